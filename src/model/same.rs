//! Whether parts of two firewalls say the same: sets are compared by their values, unknown conditions by their texts, labels by their names.
//!
//! What jumps lead to is not compared: who asks knows which chains belong together.

use super::*;
use std::cell::RefCell;

/// Two firewalls, the first and the second of all that is compared.
pub struct Sides<'a> {
    first: &'a Firewall,
    second: &'a Firewall,
    // Long sets that were compared: many rules share one.
    sets: RefCell<FxHashMap<(SetId, SetId), bool>>,
}

impl<'a> Sides<'a> {
    /// Of two firewalls.
    pub fn new(first: &'a Firewall, second: &'a Firewall) -> Self {
        Self { first, second, sets: RefCell::default() }
    }

    /// Whether two conditions that are not known are the same.
    pub fn condition(&self, a: ConditionId, b: ConditionId) -> bool {
        let (a, b) = (self.first.condition(a), self.second.condition(b));
        a.text == b.text && a.kind == b.kind
    }

    /// Whether two policies are the same.
    pub fn policy(&self, a: Policy, b: Policy) -> bool {
        match (a, b) {
            (Policy::Unknown(a), Policy::Unknown(b)) => self.condition(a, b),
            (a, b) => a == b,
        }
    }

    /// Whether two rules ask for the same sets, of those that may change at run time: two that hold the same now need not do so later.
    pub fn run_time_sets(&self, a: &Rule, b: &Rule) -> bool {
        self.first.run_time_sets(a) == self.second.run_time_sets(b)
    }

    /// Whether two rules change the same before they act.
    pub fn effects(&self, a: &Rule, b: &Rule) -> bool {
        let (x, y) = (self.first.effects(a), self.second.effects(b));
        x.len() == y.len()
            && x.iter().zip(y).all(|(x, y)| match (*x, *y) {
                (Effect::Forget(r, x), Effect::Forget(s, y)) => r == s && self.condition(x, y),
                (Effect::Rewrite { field: r, to: x }, Effect::Rewrite { field: s, to: y }) => {
                    r == s && self.set(x, y)
                }
                (x, y) => x == y,
            })
    }

    /// Whether two translations do the same.
    pub fn translation(&self, a: TranslationId, b: TranslationId) -> bool {
        let (a, b) = (self.first.translations[a.index()], self.second.translations[b.index()]);
        let pools = match (a.one_of, b.one_of) {
            (Some(x), Some(y)) => self.set(x, y),
            (x, y) => x.is_none() && y.is_none(),
        };
        pools && Translation { one_of: None, ..a } == Translation { one_of: None, ..b }
    }

    /// Whether two lists of terms ask the same. Of fields it does not matter in which order, nor in how many terms, unless a condition has a
    /// truth value each time it is asked: then it may matter which packets come to it.
    pub fn terms(&self, a: TermRange, b: TermRange) -> bool {
        let (x, y) = (self.first.terms(a), self.second.terms(b));
        let alike =
            |x: &[Term], y: &[Term]| x.len() == y.len() && x.iter().zip(y).all(|(x, y)| self.term(x, y));
        if alike(x, y) {
            return true;
        }
        if x.len().min(y.len()) < 2 {
            return false;
        }
        let (rest, others) = (beside_fields(x), beside_fields(y));
        alike(&rest, &others)
            && self.first.is_settled(&rest)
            && self.second.is_settled(&others)
            && self.first.fields_asked(x) == self.second.fields_asked(y)
    }

    fn term(&self, a: &Term, b: &Term) -> bool {
        let (f, g) = (self.first, self.second);
        match (*a, *b) {
            (Term::Range { .. }, _) | (Term::AddressType { .. }, _) => a == b,
            (Term::In(x, s), Term::In(y, t)) | (Term::Original(x, s), Term::Original(y, t)) => {
                x == y && self.set(s, t)
            }
            (Term::Opaque { condition: x, negated: n }, Term::Opaque { condition: y, negated: m }) => {
                n == m && self.condition(x, y)
            }
            (Term::Any(x), Term::Any(y)) => {
                let (x, y) = (&f.alternatives[x.index()], &g.alternatives[y.index()]);
                x.len() == y.len() && x.iter().zip(y).all(|(x, y)| self.terms(*x, *y))
            }
            (
                Term::Register { register: r, negated: n, test: x },
                Term::Register { register: s, negated: m, test: y },
            ) => (r, n) == (s, m) && f.sets.mask(x) == g.sets.mask(y),
            (
                Term::Masked { field: r, negated: n, test: x },
                Term::Masked { field: s, negated: m, test: y },
            ) => (r, n) == (s, m) && f.sets.bits(x) == g.sets.bits(y),
            (Term::Label(x), Term::Label(y)) => f.labels[x.index()] == g.labels[y.index()],
            _ => false,
        }
    }

    fn set(&self, a: SetId, b: SetId) -> bool {
        const SHORT: usize = 8;
        let (x, y) = (self.first.sets.get(a), self.second.sets.get(b));
        if x.ranges().len() != y.ranges().len() || x.ranges().len() <= SHORT {
            return x == y;
        }
        *self.sets.borrow_mut().entry((a, b)).or_insert_with(|| x == y)
    }
}

fn beside_fields(terms: &[Term]) -> Vec<Term> {
    terms.iter().filter(|t| !matches!(t, Term::Range { .. } | Term::In(..))).copied().collect()
}

impl Firewall {
    /// What a list of terms asks of fields, by field: one set each.
    pub fn fields_asked(&self, terms: &[Term]) -> Vec<(Field, IntervalSet)> {
        let mut out: Vec<(Field, IntervalSet)> = Vec::with_capacity(terms.len());
        for (field, set) in terms.iter().filter_map(|t| self.field_set(t)) {
            match out.iter_mut().find(|(f, _)| *f == field) {
                Some((_, known)) => *known = known.intersect(&set),
                None => out.push((field, set)),
            }
        }
        out.sort_unstable_by_key(|(f, _)| *f);
        out
    }

    // Whether what terms ask has one answer for a packet.
    fn is_settled(&self, terms: &[Term]) -> bool {
        terms.iter().all(|t| match *t {
            Term::Opaque { condition, .. } => self.condition(condition).kind.is_pure(),
            Term::Any(a) => self.alternatives[a.index()].iter().all(|t| self.is_settled(self.terms(*t))),
            _ => true,
        })
    }
}
