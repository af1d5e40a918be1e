//! AWS security groups: reading, semantics, checks, suggestions.

mod bad_input;
mod brute_force;
mod common;
mod crowd;
mod deployed;
mod deployment;
mod fixtures;
mod infrastructure;
mod least_privilege;
mod loading;
mod mutations;
mod real_client;
mod semantics;
mod suggest;
#[path = "../support/mod.rs"]
mod support;
mod templates;
mod terraform;
