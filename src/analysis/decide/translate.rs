//! Address and port translations: what rules after them see, and which way the packets then take.

use super::cell::{Cell, Fact, State, View, add};
use super::guard::{Lives, shifted};
use super::reason::Why;
use super::walk::{Here, Walk};
use crate::analysis::Moved;
use crate::model::*;
use crate::packet::{Family, Field, IntervalSet, Path, Value, addr};
use crate::source::Origin;
use std::sync::Arc;

// A prefix that is mapped on another is cut into blocks of that size; of more blocks only "one of the new addresses" is kept.
const MAX_BLOCKS: u128 = 64;

impl<'a> Walk<'a> {
    /// Applies a translation to a cell.
    pub(super) fn translate(&mut self, here: &Here<'a>, cell: Cell, t: &Translation) -> Vec<Cell> {
        let (end, address, port, status) = match t.end {
            TranslatedEnd::Destination => (0, Field::Dst, Field::Dport, Register::DstNat),
            TranslatedEnd::Source => (1, Field::Src, Field::Sport, Register::SrcNat),
        };
        let cell = self.restated(&cell, |s| s.translated[end] = true);
        if t.identity {
            return vec![cell];
        }
        let mut out = Vec::new();
        for (cell, new_address) in self.new_address(here, cell, t, address) {
            let cell = match (t.end, new_address) {
                (TranslatedEnd::Source, _) => cell,
                // Delivered here, also where the address was the box's own before.
                _ if t.own => self.restated(&cell, |s| s.moved = Moved::Here),
                (_, Some(false)) => cell,
                _ => self.restated(&cell, |s| s.moved = Moved::Elsewhere),
            };
            for (cell, new_port) in self.new_port(cell, t, port) {
                let changed = match (new_address, new_port) {
                    (Some(true), _) | (_, Some(true)) => Some(1),
                    (Some(false), Some(false)) => {
                        out.push(cell);
                        continue;
                    }
                    _ => None,
                };
                out.push(self.restated(&cell, |s| {
                    let register = &mut s.registers[status as usize];
                    *register = if *register == Some(1) { Some(1) } else { changed };
                }));
            }
        }
        out
    }

    // Cells with their new address, and whether it certainly is another one than before, or certainly is not.
    fn new_address(
        &mut self,
        here: &Here<'a>,
        cell: Cell,
        t: &Translation,
        field: Field,
    ) -> Vec<(Cell, Option<bool>)> {
        let family = self.family.all();
        let several = match (t.unknown, t.one_of, t.own) {
            (true, ..) => family,
            (_, Some(pool), _) => here.f.sets.get(pool).intersect(&family),
            (_, _, true) => self.own_addresses(here.base.hook),
            _ => return self.told_address(cell, t, field),
        };
        self.one_of(cell, field, several)
    }

    fn told_address(&mut self, cell: Cell, t: &Translation, field: Field) -> Vec<(Cell, Option<bool>)> {
        let Some((lo, hi)) = t.address else {
            return vec![(cell, Some(false))];
        };
        let before = self.state(cell.state).views[field.index()].clone();
        if let Some(mask) = t.host_mask() {
            match before {
                View::One(v) => {
                    let new = lo | (v & mask);
                    return vec![(self.viewed(&cell, field, View::One(new)), Some(new != v))];
                }
                View::Same => {
                    if let Some(cells) = self.netmap(&cell, field, lo, mask) {
                        return cells;
                    }
                }
                _ => {}
            }
        }
        let new = IntervalSet::range(lo, hi);
        if before != View::Same || t.host_mask().is_none() {
            return self.one_of(cell, field, new);
        }
        // Packets that have an address of the prefix already keep it.
        self.parted(&cell, field, &new, View::Same, View::among(new.clone()))
            .into_iter()
            .map(|(cell, inside)| (cell, Some(!inside)))
            .collect()
    }

    // The field becomes one of several values.
    fn one_of(&mut self, cell: Cell, field: Field, new: IntervalSet) -> Vec<(Cell, Option<bool>)> {
        let view = View::among(new.clone());
        match &self.state(cell.state).views[field.index()] {
            View::Same => {
                // A single value is a change for certain, or none; of several one may be the old one.
                let single = matches!(view, View::One(_));
                let stays = if single { View::Same } else { view.clone() };
                let parts = self.parted(&cell, field, &new, stays, view);
                parts
                    .into_iter()
                    .map(|(c, inside)| (c, if inside { single.then_some(false) } else { Some(true) }))
                    .collect()
            }
            View::One(v) => {
                let changed = match &view {
                    View::One(new) => Some(new != v),
                    _ => (!new.contains(*v)).then_some(true),
                };
                vec![(self.viewed(&cell, field, view), changed)]
            }
            View::Among { left, .. } => {
                let changed = (!left.intersects(&new)).then_some(true);
                vec![(self.viewed(&cell, field, view), changed)]
            }
            View::Shift(_) | View::Unknown => vec![(self.viewed(&cell, field, view), None)],
        }
    }

    // A cell by whether its packets arrived with a value of a set (each with a view of its own).
    fn parted(
        &mut self,
        cell: &Cell,
        field: Field,
        set: &IntervalSet,
        inside: View,
        outside: View,
    ) -> Vec<(Cell, bool)> {
        let halves = self.cut(Arc::clone(cell.region.shared(field)), (set, Lives::Briefly));
        let mut out = Vec::new();
        for (part, view, is_inside) in [(halves.0, inside, true), (halves.1, outside, false)] {
            if let Some(part) = part {
                let mut c = self.viewed(cell, field, view);
                c.region.set(field, part);
                out.push((c, is_inside));
            }
        }
        out
    }

    // Redirection of the box's own packets goes to the loopback address (nf_nat_redirect.c).
    fn own_addresses(&self, hook: Hook) -> IntervalSet {
        if hook == Hook::Output {
            return IntervalSet::single(match self.family {
                Family::V4 => addr::v4(0x7f00_0001),
                Family::V6 => 1,
            });
        }
        let all = self.family.all();
        self.local.as_ref().map(|l| l.intersect(&all)).filter(|l| !l.is_empty()).unwrap_or(all)
    }

    fn netmap(
        &mut self,
        cell: &Cell,
        field: Field,
        lo: Value,
        mask: Value,
    ) -> Option<Vec<(Cell, Option<bool>)>> {
        let mut out = Vec::new();
        for base in blocks(cell.region.get(field), mask)? {
            let block = IntervalSet::range(base, base | mask);
            let delta = lo.wrapping_sub(base);
            let view = if delta == 0 { View::Same } else { View::Shift(delta) };
            let mut c = self.viewed(cell, field, view);
            c.region = c.region.cut(field, &block);
            out.push((c, Some(delta != 0)));
        }
        Some(out)
    }

    // Cells with their new port, and whether it certainly is another one than before, or certainly is not.
    fn new_port(&mut self, cell: Cell, t: &Translation, field: Field) -> Vec<(Cell, Option<bool>)> {
        let range = if t.unknown { Some((0, u16::MAX)) } else { t.port };
        let Some((lo, hi)) = range else {
            return vec![(cell, Some(false))];
        };
        let (lo, hi) = (Value::from(lo), Value::from(hi));
        let any = IntervalSet::range(lo, hi);
        let mut out = Vec::new();
        for (region, carries) in with_and_without(&cell, field) {
            let cell = Cell { region, ..cell.clone() };
            let unknown = self.state(cell.state).views[field.index()] == View::Unknown;
            match t.port_from.map(|(a, b)| (Value::from(a), Value::from(b))) {
                // Where the protocol was written, nobody knows whether there is a port.
                _ if unknown => out.push((cell, None)),
                _ if !carries => out.push((cell, Some(false))),
                Some(from) if !t.unknown => {
                    out.extend(self.shifted_port(cell, field, from, (lo, any.clone())))
                }
                _ => out.extend(self.one_of(cell, field, any.clone())),
            }
        }
        out
    }

    // Ports from `a` to `b` are mapped one to one on those from `lo` on, but no port beyond the last one; others become any of `any`.
    fn shifted_port(
        &mut self,
        cell: Cell,
        field: Field,
        (a, b): (Value, Value),
        (lo, any): (Value, IntervalSet),
    ) -> Vec<(Cell, Option<bool>)> {
        match self.state(cell.state).views[field.index()] {
            View::One(v) if (a..=b).contains(&v) => {
                let new = (lo + v - a).min(0xffff);
                vec![(self.viewed(&cell, field, View::One(new)), Some(new != v))]
            }
            View::Same => {
                let last = a + (0xffff - lo);
                let delta = lo.wrapping_sub(a);
                let view = if delta == 0 { View::Same } else { View::Shift(delta) };
                let beyond = (a.max(last.saturating_add(1)), b);
                let mut out = Vec::new();
                let part = |set: &IntervalSet| {
                    let region = cell.region.cut(field, set);
                    (!region.is_empty()).then(|| Cell { region, ..cell.clone() })
                };
                if let Some(c) = part(&IntervalSet::range(a, b.min(last))) {
                    out.push((self.viewed(&c, field, view), Some(delta != 0)));
                }
                if let Some(c) = part(&IntervalSet::range(beyond.0, beyond.1)) {
                    out.extend(self.one_of(c, field, IntervalSet::single(0xffffu16)));
                }
                if let Some(c) = part(&field.complement(&IntervalSet::range(a, b))) {
                    out.extend(self.one_of(c, field, any));
                }
                out
            }
            _ => self.one_of(cell, field, any),
        }
    }

    fn viewed(&mut self, cell: &Cell, field: Field, view: View) -> Cell {
        self.restated(cell, |s| s.put(field, view))
    }

    /// The base chain is done with a cell. A new destination may turn packets for the box into forwarded ones, and the other way round.
    pub(super) fn rerouted(&mut self, here: &Here<'a>, cell: Cell, origin: Origin) -> Vec<Cell> {
        let moved = self.state(cell.state).moved;
        if moved == Moved::No {
            return vec![cell];
        }
        let cell = self.restated(&cell, |s| s.moved = Moved::No);
        match (here.base.hook, moved) {
            (Hook::Prerouting, Moved::Here) => vec![self.sent(&cell, Path::Input)],
            (Hook::Prerouting, _) => self.routed(here, cell, origin),
            (Hook::Output, _) => {
                let any = View::among(Field::Oif.all());
                vec![self.viewed(&cell, Field::Oif, any)]
            }
            _ => vec![cell],
        }
    }

    fn routed(&mut self, here: &Here<'a>, cell: Cell, origin: Origin) -> Vec<Cell> {
        let mut out = Vec::new();
        let state = self.state(cell.state);
        let (view, path) = (state.views[Field::Dst.index()].clone(), state.path);
        match (self.local.clone(), &view) {
            (Some(l), View::One(v)) => {
                out.push(self.sent(&cell, if l.contains(*v) { Path::Input } else { Path::Forward }));
            }
            (Some(l), View::Among { left, .. }) if l.covers(left) => out.push(self.sent(&cell, Path::Input)),
            (Some(l), View::Among { left, .. }) if !l.intersects(left) => {
                out.push(self.sent(&cell, Path::Forward))
            }
            (Some(l), View::Shift(d)) => {
                let before = shifted(&l, d.wrapping_neg());
                let halves = self.cut(Arc::clone(cell.region.shared(Field::Dst)), (&before, Lives::Briefly));
                for (set, path) in [(halves.0, Path::Input), (halves.1, Path::Forward)] {
                    if let Some(set) = set {
                        let mut c = self.sent(&cell, path);
                        c.region.set(Field::Dst, set);
                        out.push(c);
                    }
                }
            }
            // Of a gateway that does not tell its own addresses: what it forwards is taken to go on.
            (None, _) if path == Path::Forward => out.push(cell),
            _ => {
                // Nobody knows whether the new address is the box's own: both ways.
                let local = AddressTypes::LOCAL.0;
                let why = self.reason(here.firewall, Why::AddressType(Field::Dst, local), origin);
                let fact = Fact::AddressType(Field::Dst, view, local);
                let known = self.learnt(&cell, &fact, true);
                let mut stays = self.sent(&known, Path::Input);
                stays.extra = true;
                stays.because = add(&cell.because, why);
                let goes = self.learnt(&cell, &fact, false);
                out.push(stays);
                out.push(self.sent(&goes, Path::Forward));
            }
        }
        out
    }

    fn learnt(&mut self, cell: &Cell, fact: &Fact, truth: bool) -> Cell {
        self.restated(cell, |s: &mut State| {
            let at = s.known.partition_point(|(k, _)| k < fact);
            if s.known.get(at).is_none_or(|(k, _)| k != fact) {
                s.known.insert(at, (fact.clone(), truth));
            }
        })
    }

    fn sent(&mut self, cell: &Cell, path: Path) -> Cell {
        self.restated(cell, |s| {
            if s.path != path {
                s.path = path;
                s.views[Field::Oif.index()] = match path {
                    Path::Forward => View::among(Field::Oif.complement(&IntervalSet::single(0u8))),
                    _ => View::One(0),
                };
            }
        })
    }
}

/// The first addresses of the blocks of a host mask that some addresses lie in; `None` if those are too many to follow each.
pub(super) fn blocks(set: &IntervalSet, mask: Value) -> Option<Vec<Value>> {
    let count: u128 = set.ranges().iter().try_fold(0u128, |n, (a, b)| {
        n.checked_add((b & !mask).abs_diff(a & !mask) / mask.checked_add(1)? + 1)
    })?;
    if count > MAX_BLOCKS {
        return None;
    }
    let mut bases: Vec<Value> = Vec::new();
    for (a, b) in set.ranges() {
        let mut base = a & !mask;
        loop {
            if bases.last() != Some(&base) {
                bases.push(base);
            }
            match base.checked_add(mask).and_then(|v| v.checked_add(1)) {
                Some(next) if next <= *b => base = next,
                _ => break,
            }
        }
    }
    Some(bases)
}

/// A rule writes a field.
pub(super) fn rewrite(s: &mut State, field: Field, to: &IntervalSet, family: Family) {
    s.written |= 1 << field.index();
    let view = &s.views[field.index()];
    if *view == View::Unknown {
        return;
    }
    let new = View::among(match field {
        Field::Src | Field::Dst => to.intersect(&family.all()),
        _ => to.clone(),
    });
    if field == Field::Dst && new != *view {
        s.moved = Moved::Elsewhere;
    }
    s.put(field, new);
    if field == Field::Proto {
        for carried in Field::CARRIED {
            s.views[carried.index()] = View::Unknown;
        }
    }
}

// A cell's packets that have the field, and those that do not.
fn with_and_without(cell: &Cell, field: Field) -> Vec<(crate::packet::Region, bool)> {
    let Some(with) = crate::packet::shared_carriers(field) else {
        return vec![(cell.region.clone(), true)];
    };
    let inside = cell.region.cut(Field::Proto, with);
    let outside = cell.region.with(Field::Proto, cell.region.get(Field::Proto).minus(with));
    [(inside, true), (outside, false)].into_iter().filter(|(r, _)| !r.is_empty()).collect()
}
