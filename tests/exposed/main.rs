//! What is open to any source: the checks `HL-EXPOSED-…`, and the table of the report.

mod fixtures;
mod large;
mod least_privilege;
mod query;
mod random;
#[path = "../support/mod.rs"]
mod support;
