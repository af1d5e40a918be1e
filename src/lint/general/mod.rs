//! Checks for every dialect.

pub mod any_any;
pub mod contradicted;
pub mod duplicate;
pub mod empty_chain;
pub mod exception_lost;
pub mod exposed_admin;
pub mod exposed_all;
pub mod exposed_database;
pub mod exposed_rdp;
pub mod exposed_service;
pub mod exposed_ssh;
pub mod exposed_undecided;
pub mod ipv6_unguarded;
pub mod least_privilege;
pub mod never_matches;
pub mod policy_accept;
pub mod redundant;
pub mod shadowed;
pub mod unreachable;
pub mod unused_chain;
