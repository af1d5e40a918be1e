//! Whether a rule's conditions hold of a packet.

use super::address_types::{MAX_INTERVALS, Routed, classes, is_of, narrowed, types_of};
use super::state::{Fact, State, Truth, Val};
use super::{Evaluator, Here};
use crate::model::*;
use crate::packet::masked::split;
use crate::packet::{Field, IntervalSet, Value};
use std::rc::Rc;

impl Evaluator<'_> {
    // The fields as rules of this base chain see them, in the numbers of `Term::Range`.
    pub(super) fn told(&self, s: &State, base: &BaseChain) -> [(u32, u32); Field::COUNT] {
        let sees = base.hook.sees(s.path);
        Field::ALL.map(|field| {
            let value = match (field, &s.values[field.index()]) {
                (Field::Iif, _) if !sees.0 => 0,
                (Field::Oif, _) if !sees.1 => 0,
                (_, Val::One(v)) => *v,
                (_, Val::Absent) => return NOTHING,
                (_, Val::Among(_) | Val::Unknown) => return (0, u32::MAX),
            };
            let base = Term::base(field);
            let short = value.checked_sub(base).and_then(|v| u32::try_from(v).ok());
            short.map_or(NOTHING, |v| (v, v))
        })
    }

    pub(super) fn guard(&self, s: &State, f: &Firewall, here: &Here<'_>) -> Truth {
        let mut unknown = None;
        for term in f.terms(here.rule.terms) {
            match self.term(s, f, here, term) {
                Truth::No => return Truth::No,
                Truth::Yes => {}
                Truth::Unknown(fact) => unknown = unknown.or(Some(fact)),
            }
        }
        unknown.map_or(Truth::Yes, Truth::Unknown)
    }

    pub(super) fn fact(&self, s: &State, fact: Fact, negated: bool) -> Truth {
        match s.known.iter().find(|(k, _)| *k == fact) {
            Some((_, v)) if *v != negated => Truth::Yes,
            Some(_) => Truth::No,
            None => Truth::Unknown(fact),
        }
    }

    // The value that rules see, if there is exactly one.
    pub(super) fn one(&self, s: &State, here: &Here<'_>, field: Field) -> Option<Value> {
        let sees = here.base.hook.sees(s.path);
        match (field, &s.values[field.index()]) {
            (Field::Iif, _) if !sees.0 => Some(0),
            (Field::Oif, _) if !sees.1 => Some(0),
            (_, Val::One(v)) => Some(*v),
            _ => None,
        }
    }

    pub(super) fn within(&self, s: &State, here: &Here<'_>, field: Field, set: &IntervalSet) -> Truth {
        let value = match field {
            Field::Iif if !here.base.hook.sees(s.path).0 => &Val::One(0),
            Field::Oif if !here.base.hook.sees(s.path).1 => &Val::One(0),
            _ => &s.values[field.index()],
        };
        match value {
            Val::Absent => Truth::No,
            Val::One(v) if set.contains(*v) => Truth::Yes,
            Val::One(_) => Truth::No,
            Val::Among(among) if set.covers(among) => Truth::Yes,
            Val::Among(among) if !set.intersects(among) => Truth::No,
            Val::Among(among) => self.fact(s, Fact::Among(field, Rc::new(set.intersect(among))), false),
            Val::Unknown => self.fact(s, Fact::Among(field, Rc::new(set.clone())), false),
        }
    }

    // Whether the point carries a label, when only its address tells.
    pub(super) fn carried(&self, s: &State, f: &Firewall, here: &Here<'_>, label: LabelId) -> Truth {
        let told = match s.values[Firewall::own_address(here.base.hook).index()] {
            Val::One(v) => f.carries(label, v),
            _ => None,
        };
        match told {
            Some(true) => Truth::Yes,
            Some(false) => Truth::No,
            None => self.fact(s, Fact::Label(here.firewall, label), false),
        }
    }

    fn address_type(
        &self,
        s: &State,
        here: &Here<'_>,
        field: Field,
        types: AddressTypes,
        negated: bool,
    ) -> Truth {
        let value = &s.values[field.index()];
        let arrived = matches!(value, Val::One(v) if self.arrived.get(field) == Some(*v));
        let arrived = arrived && s.written & 1 << field.index() == 0;
        let routed = Routed::of(field, here.base.hook, s.path, arrived);
        let classes = self.classes[routed as usize].get_or_init(|| classes(self.local.as_ref(), routed));
        let mut may_be = match value {
            Val::One(v) => types_of(classes, &IntervalSet::single(*v)),
            Val::Among(set) => types_of(classes, set),
            Val::Absent | Val::Unknown => u8::MAX,
        };
        for (fact, truth) in &s.known {
            if let Fact::AddressType(f, of, types) = fact
                && (*f, of) == (field, value)
            {
                may_be = narrowed(may_be, *types, *truth);
            }
        }
        match is_of(may_be, types.0) {
            Some(is) if is != negated => Truth::Yes,
            Some(_) => Truth::No,
            None => self.fact(s, Fact::AddressType(field, value.clone(), may_be & types.0), negated),
        }
    }

    fn masked(
        &self,
        s: &State,
        field: Field,
        (test, (mask, wanted)): (BitsId, (Value, Value)),
        negated: bool,
    ) -> Truth {
        match &s.values[field.index()] {
            Val::Absent => Truth::No,
            Val::One(v) if (v & mask == wanted) != negated => Truth::Yes,
            Val::One(_) => Truth::No,
            Val::Among(among) => {
                let parts = split(among, mask, wanted, MAX_INTERVALS);
                match (parts.holds.is_empty(), parts.fails.is_empty(), parts.rest.is_empty()) {
                    (false, true, true) if !negated => Truth::Yes,
                    (true, false, true) if negated => Truth::Yes,
                    (false, true, true) | (true, false, true) => Truth::No,
                    (.., true) => self.fact(s, Fact::Among(field, Rc::new(parts.holds)), negated),
                    _ => self.fact(s, Fact::Masked(field, test), negated),
                }
            }
            Val::Unknown => self.fact(s, Fact::Masked(field, test), negated),
        }
    }

    pub(super) fn term(&self, s: &State, f: &Firewall, here: &Here<'_>, term: &Term) -> Truth {
        match *term {
            Term::Range { field, lo, hi } => {
                let base = Term::base(field);
                let (lo, hi) = (base + Value::from(lo), base + Value::from(hi));
                if let Some(v) = self.one(s, here, field) {
                    return if lo <= v && v <= hi { Truth::Yes } else { Truth::No };
                }
                self.within(s, here, field, &IntervalSet::range(lo, hi))
            }
            Term::In(field, id) => {
                let set = f.sets.get(id);
                if let Some(v) = self.one(s, here, field) {
                    return if set.contains(v) { Truth::Yes } else { Truth::No };
                }
                self.within(s, here, field, set)
            }
            Term::Original(field, id) => match self.arrived.get(field) {
                None => Truth::No,
                Some(_) if s.written & 1 << field.index() != 0 => {
                    self.fact(s, Fact::Original(field, id), false)
                }
                Some(v) if f.sets.get(id).contains(v) => Truth::Yes,
                Some(_) => Truth::No,
            },
            Term::Opaque { condition, negated } => {
                let truth = match &f.condition(condition).kind {
                    kind @ (ConditionKind::Rate { .. } | ConditionKind::ReversePath { .. }) => {
                        self.point.environment.assumed(kind)
                    }
                    ConditionKind::HostName { field, name } => {
                        self.point.environment.names.contains(&(*field, name.clone())).then_some(true)
                    }
                    _ => None,
                };
                match truth {
                    Some(t) if t != negated => Truth::Yes,
                    Some(_) => Truth::No,
                    None => self.fact(s, Fact::Condition(here.firewall, condition), negated),
                }
            }
            Term::Any(id) => {
                let mut unknown = None;
                for range in &f.alternatives[id.index()] {
                    let rule = Rule { terms: *range, ..*here.rule };
                    match self.guard(s, f, &Here { rule: &rule, ..*here }) {
                        Truth::Yes => return Truth::Yes,
                        Truth::No => {}
                        Truth::Unknown(fact) => unknown = unknown.or(Some(fact)),
                    }
                }
                unknown.map_or(Truth::No, Truth::Unknown)
            }
            Term::Register { register, negated, test } => {
                let (value, mask) = f.sets.mask(test);
                match s.registers[register as usize] {
                    Some(v) if (v & mask == value) != negated => Truth::Yes,
                    Some(_) => Truth::No,
                    None => self.fact(s, Fact::Register(register, test), negated),
                }
            }
            Term::AddressType { field, types, negated } => self.address_type(s, here, field, types, negated),
            Term::Masked { field, negated, test } => {
                let bits = f.sets.bits(test);
                self.masked(s, field, (test, bits), negated)
            }
            Term::Label(label) => match &self.point.environment.labels {
                Some(attached) if attached.contains(&f.labels[label.index()]) => Truth::Yes,
                Some(_) => Truth::No,
                None => self.carried(s, f, here, label),
            },
        }
    }
}

// Bounds of a field that no range of 32 bits meets, except the one of everything.
const NOTHING: (u32, u32) = (u32::MAX, 0);

// Whether one of the ranges among the terms is certain not to hold. The quick look at rules that do not apply, as most of a long chain.
#[inline]
pub(super) fn refuses(terms: &[Term], told: &[(u32, u32); Field::COUNT]) -> bool {
    terms.iter().rev().any(|t| match *t {
        Term::Range { field, lo, hi } => {
            let (a, b) = told[field.index()];
            lo > b || hi < a
        }
        _ => false,
    })
}
