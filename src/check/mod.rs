//! Checks: what is asked of firewalls, and the findings that come of it.

pub mod any_any;
mod chains;
pub mod conversation;
pub mod duplicate;
pub mod empty_chain;
pub mod example;
mod explain_row;
mod fingerprint;
pub mod ipv6_unguarded;
mod near;
pub mod never_matches;
pub mod points;
pub mod policy_accept;
mod probe;
pub mod registry;
pub mod requirement;
pub mod run;
pub mod unused_chain;
pub mod waive;
