//! havenlint reads firewall configurations, decides exactly which packets they let through, and holds that against a
//! catalogue of required and forbidden flows.
//!
//! Data flows one way, a folder a step:
//!
//! ```text
//! source ──▶ dialect ──▶ model ──▶ analysis ──▶ compliance ──▶ triage ──▶ session ──▶ report
//! files,     parsers,    one       packet sets, requirements   waivers,   one run,    human, SARIF,
//! spans      lowering    filter    verdicts,    of the         baseline,  from files  JSON, …
//!                        model     witnesses    catalogue;     selection  to findings
//!                                               lint: hygiene
//! ```
//!
//! * [`deployment`] and [`catalogue`] say who is where, and what must pass and what must not.
//! * [`evidence`] is what findings show beside their message; [`finding`] is what reports are made of.
//! * [`repair`] runs a session again on edited files, to prove an edit before it is offered.
//! * [`selftest`] asks the running kernel whether it agrees.
//! * [`editor`] answers an editor while files are written.
//! * [`cli`] is the command line: one file a command, without logic of its own.
//!
//! The words that the code uses are those of `docs/src/design/glossary.md`. A test (`tests/project/layering.rs`) fails on an arrow
//! that points up.
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
pub mod editor;
pub mod evidence;
pub mod finding;
pub mod lint;
pub mod model;
pub mod packet;
pub mod repair;
pub mod report;
pub mod selftest;
pub mod session;
pub mod source;
pub mod triage;
