//! The running kernel as the judge.

mod facts;
mod iptables;
mod nftables;
#[path = "../support/mod.rs"]
mod support;
mod unused;
