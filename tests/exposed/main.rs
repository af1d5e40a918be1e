//! What is open to any source: the checks `HL-EXPOSED-…`, and the table of the report.

mod fixtures;
mod random;
#[path = "../support/mod.rs"]
mod support;
