//! havenlint reads firewall configurations, decides exactly which packets they let through, and holds that against a
//! catalogue of required and forbidden flows.
//!
//! Data flows one way:
//!
//! ```text
//! source ──▶ dialect ──▶ model ──▶ analysis ──▶ check ──▶ finding ──▶ report
//! files,     parsers,    one       packet sets, catalogue  severity,   human, SARIF,
//! spans      lowering    filter    verdicts,    + hygiene  waivers     JSON, …
//!                        model     witnesses
//! ```
//!
//! Every question has three answers: yes, no, and undecided because of a condition that the files do not settle. Yes and no are
//! claims about every packet.
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr, clippy::exit)]

pub mod analysis;
pub mod catalogue;
pub mod cli;
pub mod compliance;
pub mod deployment;
pub mod dialect;
pub mod evidence;
pub mod finding;
pub mod lint;
pub mod model;
pub mod packet;
pub mod repair;
pub mod report;
pub mod session;
pub mod source;
pub mod triage;
