//! Which findings count: the rules selected, waivers, the baseline, and what makes a finding the same finding after an edit.

pub mod baseline;
pub mod fingerprint;
pub mod names;
pub mod selection;
pub mod waiver;
