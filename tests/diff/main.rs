//! `havenlint diff`.

mod edits;
mod random;
#[path = "../support/mod.rs"]
mod support;
mod wide;
