//! Address and port translations: what rules after them see, and which way the packets then take.

use super::cell::{Cell, Fact, State, View, add};
use super::guard::{Lives, shifted};
use super::reason::Why;
use super::walk::{Here, Walk};
use crate::model::*;
use crate::packet::{Family, Field, IntervalSet, Path, Value, addr};
use crate::source::Origin;
use std::sync::Arc;

// A prefix that is mapped on another is cut into blocks of that size; of more blocks only "one of the new addresses" is kept.
const MAX_BLOCKS: u128 = 64;

impl<'a> Walk<'a> {
    /// Applies a translation to a cell.
    pub(super) fn translate(
        &mut self,
        here: &Here<'a>,
        cell: Cell,
        t: &Translation,
        origin: Origin,
    ) -> Vec<Cell> {
        let (end, address, port) = match t.end {
            TranslatedEnd::Destination => (0, Field::Dst, Field::Dport),
            TranslatedEnd::Source => (1, Field::Src, Field::Sport),
        };
        let cell = self.restated(&cell, |s| s.translated[end] = true);
        if t.identity {
            return vec![cell];
        }
        let mut out = Vec::new();
        for moved in self.new_address(here, cell, t, address) {
            for c in self.new_port(moved.0, t, port) {
                let reroutes = moved.1
                    && t.end == TranslatedEnd::Destination
                    && matches!(here.base.hook, Hook::Prerouting | Hook::Output);
                if reroutes { self.reroute(here, c, t, origin, &mut out) } else { out.push(c) }
            }
        }
        out
    }

    // Cells with their new address, and whether it is another one than before.
    fn new_address(
        &mut self,
        here: &Here<'a>,
        cell: Cell,
        t: &Translation,
        field: Field,
    ) -> Vec<(Cell, bool)> {
        if t.own {
            let own = self.own_addresses(here.base.hook, &cell);
            return vec![(self.viewed(&cell, field, among(own)), true)];
        }
        let Some((lo, hi)) = t.address else {
            return vec![(cell, false)];
        };
        let before = self.state(cell.state).views[field.index()].clone();
        if let Some(mask) = t.host_mask() {
            match before {
                View::One(v) => {
                    let new = lo | (v & mask);
                    return vec![(self.viewed(&cell, field, View::One(new)), new != v)];
                }
                View::Same => {
                    if let Some(cells) = self.netmap(&cell, field, lo, mask) {
                        return cells;
                    }
                }
                _ => {}
            }
        }
        let new = among(IntervalSet::range(lo, hi));
        let stays = before == View::Same && (t.host_mask().is_some() || lo == hi);
        if stays {
            // Packets that have the address already are not moved.
            let kept = IntervalSet::range(lo, hi);
            let (same, other) = self.cut(Arc::clone(cell.region.shared(field)), (&kept, Lives::Briefly));
            let mut out = Vec::new();
            for (set, moved) in [(same, false), (other, true)] {
                if let Some(set) = set {
                    let view = if moved { new.clone() } else { View::Same };
                    let mut c = self.viewed(&cell, field, view);
                    c.region.set(field, set);
                    out.push((c, moved));
                }
            }
            return out;
        }
        let moved = before != new;
        vec![(self.viewed(&cell, field, new), moved)]
    }

    // Redirection of the box's own packets goes to the loopback address (nf_nat_redirect.c).
    fn own_addresses(&self, hook: Hook, cell: &Cell) -> IntervalSet {
        let family = match cell.region.get(Field::Dst).first().map(addr::family) {
            Some(Family::V6) => Family::V6,
            _ => Family::V4,
        };
        if hook == Hook::Output {
            return IntervalSet::single(match family {
                Family::V4 => addr::v4(0x7f00_0001),
                Family::V6 => 1,
            });
        }
        let all = family.all();
        self.local.as_ref().map(|l| l.intersect(&all)).filter(|l| !l.is_empty()).unwrap_or(all)
    }

    fn netmap(&mut self, cell: &Cell, field: Field, lo: Value, mask: Value) -> Option<Vec<(Cell, bool)>> {
        let set = cell.region.get(field);
        let blocks: u128 = set.ranges().iter().try_fold(0u128, |n, (a, b)| {
            n.checked_add((b & !mask).abs_diff(a & !mask) / mask.checked_add(1)? + 1)
        })?;
        if blocks > MAX_BLOCKS {
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
        let mut out = Vec::new();
        for base in bases {
            let block = IntervalSet::range(base, base | mask);
            let delta = lo.wrapping_sub(base);
            let view = if delta == 0 { View::Same } else { View::Shift(delta) };
            let mut c = self.viewed(cell, field, view);
            c.region = c.region.cut(field, &block);
            out.push((c, delta != 0));
        }
        Some(out)
    }

    fn new_port(&mut self, cell: Cell, t: &Translation, field: Field) -> Vec<Cell> {
        let Some((lo, hi)) = t.port else {
            return vec![cell];
        };
        let (lo, hi) = (Value::from(lo), Value::from(hi));
        let any = among(IntervalSet::range(lo, hi));
        let Some((a, b)) = t.port_from.map(|(a, b)| (Value::from(a), Value::from(b))) else {
            return vec![self.viewed(&cell, field, any)];
        };
        match self.state(cell.state).views[field.index()] {
            View::One(v) if (a..=b).contains(&v) => {
                vec![self.viewed(&cell, field, View::One((lo + v - a).min(0xffff)))]
            }
            View::Same => {
                // One to one, but no port beyond the last one.
                let last = a + (0xffff - lo);
                let parts = [
                    (IntervalSet::range(a, b.min(last)), View::Shift(lo.wrapping_sub(a))),
                    (IntervalSet::range(a.max(last.saturating_add(1)), b), View::One(0xffff)),
                    (field.complement(&IntervalSet::range(a, b)), any),
                ];
                let mut out = Vec::new();
                for region in with_and_without(&cell, field) {
                    let Some(region) = region else { continue };
                    let carries = crate::packet::shared_carriers(field)
                        .is_none_or(|c| c.covers(region.get(Field::Proto)));
                    let cell = Cell { region, ..cell.clone() };
                    if !carries {
                        out.push(cell);
                        continue;
                    }
                    for (set, view) in &parts {
                        let view = if *view == View::Shift(0) { View::Same } else { view.clone() };
                        let mut c = self.viewed(&cell, field, view);
                        c.region = c.region.cut(field, set);
                        if !c.region.is_empty() {
                            out.push(c);
                        }
                    }
                }
                out
            }
            _ => vec![self.viewed(&cell, field, any)],
        }
    }

    fn viewed(&mut self, cell: &Cell, field: Field, view: View) -> Cell {
        self.restated(cell, |s| s.views[field.index()] = view)
    }

    // A new destination may turn packets for the box into forwarded ones, and the other way round.
    fn reroute(&mut self, here: &Here<'a>, cell: Cell, t: &Translation, origin: Origin, out: &mut Vec<Cell>) {
        if here.base.hook == Hook::Output {
            let any = View::Among(Arc::new(Field::Oif.all()));
            out.push(self.viewed(&cell, Field::Oif, any));
            return;
        }
        if t.own {
            out.push(self.sent(&cell, Path::Input));
            return;
        }
        let state = self.state(cell.state);
        let (view, path) = (state.views[Field::Dst.index()].clone(), state.path);
        match (self.local.clone(), &view) {
            (Some(l), View::One(v)) => {
                out.push(self.sent(&cell, if l.contains(*v) { Path::Input } else { Path::Forward }));
            }
            (Some(l), View::Among(s)) if l.covers(s) => out.push(self.sent(&cell, Path::Input)),
            (Some(l), View::Among(s)) if !l.intersects(s) => out.push(self.sent(&cell, Path::Forward)),
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
                    Path::Forward => View::Among(Arc::new(Field::Oif.complement(&IntervalSet::single(0u8)))),
                    _ => View::One(0),
                };
            }
        })
    }
}

fn among(set: IntervalSet) -> View {
    match set.ranges() {
        [(lo, hi)] if lo == hi => View::One(*lo),
        _ => View::Among(Arc::new(set)),
    }
}

// A cell's packets that have the field, and those that do not.
fn with_and_without(cell: &Cell, field: Field) -> [Option<crate::packet::Region>; 2] {
    let Some(with) = crate::packet::shared_carriers(field) else {
        return [Some(cell.region.clone()), None];
    };
    let inside = cell.region.cut(Field::Proto, with);
    let outside = cell.region.with(Field::Proto, cell.region.get(Field::Proto).minus(with));
    [inside, outside].map(|r| (!r.is_empty()).then_some(r))
}
