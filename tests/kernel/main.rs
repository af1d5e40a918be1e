//! The running kernel as the judge.

mod facts;
mod iptables;
mod nftables;
mod selftest;
#[path = "../support/mod.rs"]
mod support;
mod unused;
