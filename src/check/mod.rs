//! Checks: what is asked of firewalls, and the findings that come of it.

pub mod any_any;
mod chains;
pub mod duplicate;
pub mod empty_chain;
pub mod ipv6_unguarded;
pub mod never_matches;
pub mod policy_accept;
mod probe;
pub mod registry;
pub mod unused_chain;
