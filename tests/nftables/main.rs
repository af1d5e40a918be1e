//! nftables rulesets, text and JSON: reading, checks, fixtures, suggestions, the tools' own test rows.

mod checks;
mod fixtures;
mod reading;
mod suggest;
mod vectors;
