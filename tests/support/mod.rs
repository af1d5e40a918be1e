//! What the kernel tests share: a bench that asks the running kernel, random rulesets, and packets aimed at their boundaries.
#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout)]

pub mod bench;
pub mod compare;
pub mod deployment;
pub mod ipset;
pub mod iptables;
pub mod nft;
pub mod pool;
pub mod random;

use std::io::Write;

/// Says that a test did nothing, and why; fails where `HAVENLINT_REQUIRE=1` asks for the real thing.
pub fn skip(test: &str, why: &str) {
    assert!(std::env::var("HAVENLINT_REQUIRE").as_deref() != Ok("1"), "{test} could not run: {why}");
    say(&format!("SKIPPED: {test}: {why}"));
}

/// A line that is shown even if the test passes (the test harness keeps what is printed by macros to itself).
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
