//! The kernel is the judge, for nftables: see `tests/kernel/iptables.rs`.
#![allow(clippy::unwrap_used)]

use crate::support::compare::{Case, campaign, region};
use crate::support::pool::Pool;
use crate::support::random::Random;
use crate::support::{nft, skip};
use havenlint::packet::Family;

/// A random ruleset of all families, with packets of both families at its boundaries.
fn case(_: u64, r: &mut Random) -> Case {
    let pools = [Pool::new(Family::V4, r), Pool::new(Family::V6, r)];
    let text = nft::ruleset(&pools, r);
    let packets = (0..170).map(|n| pools[usize::from(n % 3 == 2)].packet(r, true)).collect();
    let regions = (0..4).map(|n| region(&pools[n / 3], r)).collect();
    Case { tool: "nft", dialect: "nftables", text, sets: String::new(), packets, regions }
}

/// Zero differences over at least 20 000 packets.
#[test]
fn nft_is_judged_as_the_kernel_does() {
    let test = "nft_is_judged_as_the_kernel_does";
    if havenlint::dialect::by_name("nftables").is_none() {
        return skip(test, "the dialect is not there");
    }
    match campaign(test, 140, case) {
        Err(why) => skip(test, &why),
        Ok(totals) => {
            assert!(totals.alike >= 20_000, "too few packets: {totals:?}");
            assert!(
                (totals.undecided - totals.untold) * 100 <= totals.alike,
                "too many undecided: {totals:?}"
            );
            assert!(
                totals.refused * 10 <= totals.rulesets,
                "the generator makes what nft refuses: {totals:?}"
            );
        }
    }
}
