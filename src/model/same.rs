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

    /// Whether two lists of terms ask the same, in the same order.
    pub fn terms(&self, a: TermRange, b: TermRange) -> bool {
        let (x, y) = (self.first.terms(a), self.second.terms(b));
        x.len() == y.len() && x.iter().zip(y).all(|(x, y)| self.term(x, y))
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
