//! `havenlint fix`.

mod proofs;
#[path = "../support/mod.rs"]
mod support;
