//! The project itself, and what holds for all of it.

mod growth;
mod layering;
mod plain;
#[allow(dead_code)]
#[path = "../support/random.rs"]
mod random;
mod run_time_sets;
