//! Cheap rejection: most rules of a long chain do not meet the cells at all.

use super::cell::{State, View};
use crate::model::{Firewall, Term, TermRange};
use crate::packet::{Field, IntervalSet, Value};
use std::sync::Arc;

/// What the chains of one base chain see of the interfaces: (input, output).
pub(super) type Sees = (bool, bool);

/// The values that rules see of a field, as a set; `None` = as they arrived.
pub(super) fn seen<'a>(field: Field, view: &'a View, sees: Sees) -> Seen<'a> {
    match (field, view) {
        (Field::Iif, _) if !sees.0 => Seen::One(0),
        (Field::Oif, _) if !sees.1 => Seen::One(0),
        (_, View::Same) => Seen::Same,
        (_, View::One(v)) => Seen::One(*v),
        (_, View::Among { left, .. }) => Seen::Among(left),
        (_, View::Shift(d)) => Seen::Shift(*d),
        (_, View::Unknown) => Seen::Unknown,
    }
}

/// A [`View`] with hidden interfaces taken into account.
pub(super) enum Seen<'a> {
    Same,
    One(Value),
    Among(&'a Arc<IntervalSet>),
    Shift(Value),
    Unknown,
}

/// Bounds of all values that rules may see of some cells, by field.
#[derive(Clone)]
pub(super) struct Hull {
    // As numbers of `Term::Range`: for addresses relative to the IPv4 block. Empty = (1, 0).
    short: [(u32, u32); Field::COUNT],
    bounds: [(Value, Value); Field::COUNT],
}

impl Hull {
    pub(super) const EMPTY: Hull = Hull { short: [(1, 0); Field::COUNT], bounds: [(1, 0); Field::COUNT] };

    /// Grows to take in a cell.
    pub(super) fn add(&mut self, region: &crate::packet::Region, state: &State, sees: Sees) {
        for f in Field::ALL {
            let of = |s: &IntervalSet| (s.first().unwrap_or(1), s.last().unwrap_or(0));
            let (lo, hi) = match seen(f, &state.views[f.index()], sees) {
                Seen::Same => of(region.get(f)),
                Seen::One(v) => (v, v),
                Seen::Among(s) => of(s),
                Seen::Unknown => (0, f.max()),
                // Wrapped-around values are rare enough to give up the bound.
                Seen::Shift(d) => match of(region.get(f)) {
                    (lo, hi) if lo.wrapping_add(d) <= hi.wrapping_add(d) => {
                        (lo.wrapping_add(d), hi.wrapping_add(d))
                    }
                    _ => (0, Value::MAX),
                },
            };
            let b = &mut self.bounds[f.index()];
            *b = if b.0 > b.1 { (lo, hi) } else { (b.0.min(lo), b.1.max(hi)) };
            self.short[f.index()] = short(f, *b);
        }
    }

    /// Gives up the bounds of a field.
    pub(super) fn widen(&mut self, field: Field) {
        self.bounds[field.index()] = (0, field.max());
        self.short[field.index()] = short(field, (0, field.max()));
    }

    /// Whether some packet within the bounds may satisfy all terms. The last terms are asked first: rules begin with what many of
    /// them share, the protocol, and end with what tells them apart.
    #[inline]
    pub(super) fn may_meet(&self, f: &Firewall, terms: TermRange) -> bool {
        for term in f.terms(terms).iter().rev() {
            let holds = match *term {
                Term::Range { field, lo, hi } => {
                    let (a, b) = self.short[field.index()];
                    lo <= b && a <= hi
                }
                _ => self.may_hold(f, term),
            };
            if !holds {
                return false;
            }
        }
        true
    }

    fn may_hold(&self, f: &Firewall, term: &Term) -> bool {
        match *term {
            Term::In(field, set) => overlaps(f.sets.get(set), self.bounds[field.index()]),
            Term::Any(id) => f.alternatives[id.index()].iter().any(|r| self.may_meet(f, *r)),
            _ => true,
        }
    }
}

fn short(field: Field, (lo, hi): (Value, Value)) -> (u32, u32) {
    let base = Term::base(field);
    let top = base + Value::from(u32::MAX);
    if lo > hi || hi < base || lo > top {
        return (1, 0);
    }
    ((lo.max(base) - base) as u32, (hi.min(top) - base) as u32)
}

/// Whether the set has a value from `lo` to `hi`.
pub(super) fn overlaps(set: &IntervalSet, (lo, hi): (Value, Value)) -> bool {
    let r = set.ranges();
    match r {
        [] => false,
        [one] => one.0 <= hi && lo <= one.1,
        _ => {
            let i = r.partition_point(|x| x.1 < lo);
            r.get(i).is_some_and(|x| x.0 <= hi)
        }
    }
}
