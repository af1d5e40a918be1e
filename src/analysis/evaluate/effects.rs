//! What rules change of a packet.

use super::Evaluator;
use super::state::{Fact, State, Story, Val, push};
use crate::analysis::Moved;
use crate::model::*;
use crate::packet::{ConnState, Family, Field, IntervalSet, Path, Value, addr};
use std::rc::Rc;

impl Evaluator<'_> {
    pub(super) fn effect(&self, s: &mut State, f: &Firewall, effect: Effect) {
        match effect {
            Effect::Rewrite { field, to } => self.rewrite(s, field, f.sets.get(to)),
            Effect::Deliver => s.moved = Moved::Here,
            Effect::Write { register, mask, value } => {
                let r = &mut s.registers[register as usize];
                *r = if mask == u32::MAX { Some(value) } else { r.map(|old| (old & !mask) ^ value) };
            }
            Effect::Copy { from, to, mask } => {
                let (a, b) = (s.registers[from as usize], s.registers[to as usize]);
                s.registers[to as usize] = match (a, b) {
                    (Some(a), _) if mask == u32::MAX => Some(a),
                    (Some(a), Some(b)) => Some((b & !mask) | (a & mask)),
                    _ => None,
                };
            }
            Effect::Forget(register, _) => s.registers[register as usize] = None,
            Effect::Untrack => s.values[Field::State.index()] = Val::One(ConnState::Untracked.value()),
        }
    }

    // A rule writes a field.
    fn rewrite(&self, s: &mut State, field: Field, to: &IntervalSet) {
        s.written |= 1 << field.index();
        let value = &s.values[field.index()];
        if matches!(value, Val::Absent | Val::Unknown) {
            return;
        }
        let new = Val::among(match field {
            Field::Src | Field::Dst => to.intersect(&self.family.all()),
            _ => to.clone(),
        });
        // Written for the first time, the packet is routed by what is written, even if it had that before.
        let arrived = self.arrived.get(field).map(Val::One);
        if field == Field::Dst && (new != *value || arrived.as_ref() == Some(value)) {
            s.moved = Moved::Elsewhere;
        }
        s.put(field, new);
        if field == Field::Proto {
            for carried in Field::CARRIED {
                s.values[carried.index()] = Val::Unknown;
            }
        }
    }

    pub(super) fn translate(&self, s: &mut State, f: &Firewall, hook: Hook, t: &Translation) {
        let (end, address, port, status) = match t.end {
            TranslatedEnd::Destination => (0, Field::Dst, Field::Dport, Register::DstNat),
            TranslatedEnd::Source => (1, Field::Src, Field::Sport, Register::SrcNat),
        };
        s.translated[end] = true;
        if t.identity {
            return;
        }
        let before = [address, port].map(|field| s.values[field.index()].clone());
        self.new_ends(s, f, hook, t, [address, port]);
        if t.end == TranslatedEnd::Destination {
            s.moved = match () {
                () if t.own => Moved::Here,
                () if s.values[address.index()] != before[0] => Moved::Elsewhere,
                () => s.moved,
            };
        }
        // What a translation leaves alone is the same, known or not.
        let kept = [
            t.address.is_none() && t.one_of.is_none() && !t.own && !t.unknown,
            t.port.is_none() && !t.unknown,
        ];
        let ends = [address, port].into_iter().zip(&before).zip(kept);
        let changed: Vec<_> = ends
            .map(
                |((field, old), kept)| if kept { Some(false) } else { differ(old, &s.values[field.index()]) },
            )
            .collect();
        let register = &mut s.registers[status as usize];
        if changed.contains(&Some(true)) {
            *register = Some(1);
        } else if changed.contains(&None) && *register != Some(1) {
            *register = None;
        }
    }

    fn new_ends(
        &self,
        s: &mut State,
        f: &Firewall,
        hook: Hook,
        t: &Translation,
        [address, port]: [Field; 2],
    ) {
        let among = Val::among;
        let family = self.family.all();
        if t.unknown {
            s.put(address, among(family));
            if !matches!(s.values[port.index()], Val::Absent | Val::Unknown) {
                s.put(port, among(port.all()));
            }
            return;
        }
        if let Some(pool) = t.one_of {
            s.put(address, among(f.sets.get(pool).intersect(&family)));
        } else if t.own {
            // Redirection of the box's own packets goes to the loopback address (nf_nat_redirect.c).
            let own = if hook == Hook::Output {
                IntervalSet::single(match self.family {
                    Family::V4 => addr::v4(0x7f00_0001),
                    Family::V6 => 1,
                })
            } else {
                self.local.as_ref().map(|l| l.intersect(&family)).filter(|l| !l.is_empty()).unwrap_or(family)
            };
            s.put(address, among(own));
        } else if let Some((lo, hi)) = t.address {
            let new = match (&s.values[address.index()], t.host_mask()) {
                (Val::One(v), Some(mask)) => Val::One(lo | (v & mask)),
                _ => among(IntervalSet::range(lo, hi)),
            };
            s.put(address, new);
        }
        if let Some((lo, hi)) = t.port
            && !matches!(s.values[port.index()], Val::Absent | Val::Unknown)
        {
            let new = match (&s.values[port.index()], t.port_from) {
                (Val::One(v), Some((a, b))) if (Value::from(a)..=Value::from(b)).contains(v) => {
                    Val::One((Value::from(lo) + v - Value::from(a)).min(0xffff))
                }
                _ => among(IntervalSet::range(lo, hi)),
            };
            s.put(port, new);
        }
    }

    // A new destination may turn a packet for the box into one that is forwarded, and the other way round.
    pub(super) fn reroute(
        &self,
        s: &mut State,
        story: &mut Story,
        work: &mut Vec<(State, Story)>,
        firewall: usize,
        base: &BaseChain,
    ) {
        let dst = Field::Dst.index();
        let moved = std::mem::replace(&mut s.moved, Moved::No);
        match base.hook {
            _ if moved == Moved::No => return,
            Hook::Prerouting => {}
            Hook::Output => {
                s.values[Field::Oif.index()] = Val::Among(Rc::new(Field::Oif.all()));
                return;
            }
            _ => return,
        }
        let is_local = match (&s.values[dst], &self.local) {
            _ if moved == Moved::Here => Some(true),
            (Val::One(v), Some(l)) => Some(l.contains(*v)),
            (Val::Among(set), Some(l)) if l.covers(set) => Some(true),
            (Val::Among(set), Some(l)) if !l.intersects(set) => Some(false),
            _ => None,
        };
        match is_local {
            Some(true) => go(s, Path::Input),
            Some(false) => go(s, Path::Forward),
            // Of a gateway that does not tell its own addresses: what it forwards is taken to go on.
            None if s.path == Path::Forward && self.local.is_none() => {}
            None => {
                let fact = Fact::AddressType(Field::Dst, s.values[dst].clone(), AddressTypes::LOCAL.0);
                let origin = story.decider.map_or_else(Default::default, |d| d.origin);
                push(&mut story.because, self.because(firewall, &fact, origin));
                let mut other = s.clone();
                other.known.push((fact.clone(), true));
                go(&mut other, Path::Input);
                work.push((other, story.clone()));
                s.known.push((fact, false));
                go(s, Path::Forward);
            }
        }
    }
}

// Routing takes another way.
fn go(s: &mut State, path: Path) {
    if s.path == path {
        return;
    }
    s.path = path;
    s.values[Field::Oif.index()] = match path {
        Path::Forward => Val::Among(Rc::new(Field::Oif.complement(&IntervalSet::single(0u8)))),
        _ => Val::One(0),
    };
}

// Whether two values certainly differ, or certainly do not.
fn differ(a: &Val, b: &Val) -> Option<bool> {
    match (a, b) {
        (Val::One(a), Val::One(b)) => Some(a != b),
        (Val::Absent, Val::Absent) => Some(false),
        (Val::One(v), Val::Among(set)) | (Val::Among(set), Val::One(v)) if !set.contains(*v) => Some(true),
        (Val::Among(a), Val::Among(b)) if !a.intersects(b) => Some(true),
        (Val::Among(a), Val::Among(b)) if Rc::ptr_eq(a, b) => Some(false),
        _ => None,
    }
}
