//! Which findings count: the rules selected, waivers, the baseline, and what makes a finding the same finding after an edit.

pub mod baseline;
pub mod extent;
pub mod fingerprint;
pub mod identity;
pub mod inline;
pub mod names;
pub mod selection;
pub mod spelling;
pub mod waiver;

use crate::finding::RuleDoc;

/// Documentation of the rules about what is accepted.
pub fn docs() -> Vec<RuleDoc> {
    baseline::docs().into_iter().chain(waiver::docs()).collect()
}
