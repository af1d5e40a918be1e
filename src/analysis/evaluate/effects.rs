//! What rules change of a packet.

use super::Evaluator;
use super::state::{Fact, State, Story, Val, push};
use crate::model::*;
use crate::packet::{ConnState, Family, Field, IntervalSet, Path, Value, addr};
use std::rc::Rc;

impl Evaluator<'_> {
    pub(super) fn effect(&self, s: &mut State, effect: Effect) {
        match effect {
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

    pub(super) fn translate(&self, s: &mut State, hook: Hook, t: &Translation) {
        let (end, address, port) = match t.end {
            TranslatedEnd::Destination => (0, Field::Dst, Field::Dport),
            TranslatedEnd::Source => (1, Field::Src, Field::Sport),
        };
        s.translated[end] = true;
        if t.identity {
            return;
        }
        let among = |set: IntervalSet| match set.ranges() {
            [(lo, hi)] if lo == hi => Val::One(*lo),
            _ => Val::Among(Rc::new(set)),
        };
        if t.own {
            // Redirection of the box's own packets goes to the loopback address (nf_nat_redirect.c).
            let own = if hook == Hook::Output {
                IntervalSet::single(match self.family {
                    Family::V4 => addr::v4(0x7f00_0001),
                    Family::V6 => 1,
                })
            } else {
                let family = self.family.all();
                self.local.as_ref().map(|l| l.intersect(&family)).filter(|l| !l.is_empty()).unwrap_or(family)
            };
            s.values[address.index()] = among(own);
        } else if let Some((lo, hi)) = t.address {
            s.values[address.index()] = match (&s.values[address.index()], t.host_mask()) {
                (Val::One(v), Some(mask)) => Val::One(lo | (v & mask)),
                _ => among(IntervalSet::range(lo, hi)),
            };
        }
        if let Some((lo, hi)) = t.port
            && s.values[port.index()] != Val::Absent
        {
            s.values[port.index()] = match (&s.values[port.index()], t.port_from) {
                (Val::One(v), Some((a, b))) if (Value::from(a)..=Value::from(b)).contains(v) => {
                    Val::One((Value::from(lo) + v - Value::from(a)).min(0xffff))
                }
                _ => among(IntervalSet::range(lo, hi)),
            };
        }
    }

    // A new destination may turn a packet for the box into one that is forwarded, and the other way round.
    pub(super) fn reroute(
        &self,
        before: &State,
        s: &mut State,
        story: &mut Story,
        work: &mut Vec<(State, Story)>,
        hook: Hook,
        t: &Translation,
    ) {
        let dst = Field::Dst.index();
        let moved = t.end == TranslatedEnd::Destination
            && !t.identity
            && (t.own || before.values[dst] != s.values[dst]);
        if !moved || (hook != Hook::Prerouting && hook != Hook::Output) {
            return;
        }
        if hook == Hook::Output {
            s.values[Field::Oif.index()] = Val::Among(Rc::new(Field::Oif.all()));
            return;
        }
        let is_local = match (&s.values[dst], &self.local) {
            _ if t.own => Some(true),
            (Val::One(v), Some(l)) => Some(l.contains(*v)),
            (Val::Among(set), Some(l)) if l.covers(set) => Some(true),
            (Val::Among(set), Some(l)) if !l.intersects(set) => Some(false),
            _ => None,
        };
        let go = |s: &mut State, path: Path| {
            if s.path == path {
                return;
            }
            s.path = path;
            s.values[Field::Oif.index()] = match path {
                Path::Forward => Val::Among(Rc::new(Field::Oif.complement(&IntervalSet::single(0u8)))),
                _ => Val::One(0),
            };
        };
        match is_local {
            Some(true) => go(s, Path::Input),
            Some(false) => go(s, Path::Forward),
            // Of a gateway that does not tell its own addresses: what it forwards is taken to go on.
            None if s.path == Path::Forward && self.local.is_none() => {}
            None => {
                let fact = Fact::AddressType(s.values[dst].clone(), AddressTypes::LOCAL.0);
                let firewall = self.base(before).map_or(0, |b| b.0);
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
