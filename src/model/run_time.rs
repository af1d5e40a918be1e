//! Named sets that may change while the box runs.

use super::{Firewall, Rule};
use crate::packet::{Field, IntervalSet};

/// A named set that may change while the box runs, as a rule asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunTimeSet {
    /// A name that no other set of the firewall has: `inet filter @ban`.
    pub name: String,
    /// The fields that may be compared with it: bits by [`Field::index`].
    pub fields: u16,
    /// What the rule asks, in words, as far as terms do not tell it: with what a set holds today, different questions may have the same terms.
    pub how: String,
}

impl RunTimeSet {
    /// Bits of some fields.
    pub fn bits(fields: &[Field]) -> u16 {
        fields.iter().fold(0, |bits, f| bits | 1 << f.index())
    }
}

impl Firewall {
    /// The sets that a rule asks for and that may change while the box runs. What is said of such a rule beyond verdicts must hold whatever
    /// they contain.
    pub fn run_time_sets(&self, rule: &Rule) -> &[RunTimeSet] {
        self.run_time_sets.get(&rule.origin).map_or(&[], Vec::as_slice)
    }

    /// What a rule asks of fields whatever the sets hold that may change while the box runs: for each field term that is none of theirs, and
    /// does not come of an empty one, the field and the values with which it holds.
    pub fn lasting_terms(&self, rule: &Rule) -> impl Iterator<Item = (Field, IntervalSet)> {
        let open = self.run_time_sets(rule).iter().fold(0, |all, s| all | s.fields);
        let terms = self.terms(rule.terms).iter().filter(move |t| open == 0 || !t.is_never());
        terms.filter_map(|t| self.field_set(t)).filter(move |(field, _)| open & 1 << field.index() == 0)
    }
}
