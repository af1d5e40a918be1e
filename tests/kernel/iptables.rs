//! The kernel is the judge: random dumps are loaded with the real tools in a network namespace, and the kernel's verdict about each packet
//! is compared with the evaluator's (the program behind `trace`) and with the answers about regions (behind `check`).
//!
//! `HAVENLINT_KERNEL_SEED` varies the rulesets; `HAVENLINT_REQUIRE=1` makes a skipped test a failure.
#![allow(clippy::unwrap_used)]

use crate::support::bench::{Bench, Kernel};
use crate::support::compare::{Case, campaign, region};
use crate::support::pool::Pool;
use crate::support::{ipset, iptables, skip};
use havenlint::packet::{Family, Packet};

/// The bench itself: fixed rulesets whose verdicts are beyond doubt, on every path, in both families and back ends.
#[test]
fn the_bench_tells_verdicts() {
    let mut bench = match Bench::start() {
        Ok(bench) => bench,
        Err(why) => return skip("the_bench_tells_verdicts", &why),
    };
    let packets: Vec<Packet> = [
        "input eth0 tcp 192.0.2.9:40000 > 10.20.30.1:22",
        "input eth0 tcp 192.0.2.9:40000 > 10.20.30.1:23",
        "input lo tcp 192.0.2.9:40000 > 10.20.30.1:22",
        "forward eth0>wan udp 192.0.2.9:40000 > 198.51.100.7:53",
        "forward wan>eth0 udp 192.0.2.9:40000 > 198.51.100.7:53",
        "output eth1 icmp 192.0.2.9 > 198.51.100.7 type 8",
        "output lo icmp 192.0.2.9 > 198.51.100.7 type 8",
    ]
    .iter()
    .map(|p| p.parse().unwrap())
    .collect();
    let dump = "*filter\n:INPUT DROP\n:FORWARD DROP\n:OUTPUT DROP\n-A INPUT -i eth0 -p tcp --dport 22 -j ACCEPT\n\
        -A FORWARD -i eth0 -o wan -j ACCEPT\n-A OUTPUT -o eth1 -j ACCEPT\nCOMMIT\n";
    let expected =
        [true, false, false, true, false, true, false].map(|a| if a { Kernel::Accept } else { Kernel::Drop });
    let six: Vec<Packet> = packets.iter().map(to_v6).collect();
    for back_end in ["nft", "legacy"] {
        bench.load(&[(&format!("iptables-{back_end}-restore"), dump)]).unwrap();
        assert_eq!(bench.judge(&packets), expected, "{back_end}");
        bench.load(&[(&format!("ip6tables-{back_end}-restore"), dump)]).unwrap();
        assert_eq!(bench.judge(&six), expected, "{back_end}, IPv6");
        assert_eq!(
            bench.judge(&packets),
            vec![Kernel::Accept; packets.len()],
            "{back_end}: IPv4 is unguarded"
        );
    }
    let states = "*filter\n:INPUT DROP\n-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\nCOMMIT\n";
    let with = |state: &str| -> Packet {
        format!("input eth0 tcp 192.0.2.9:40000 > 10.20.30.1:22 ACK {state}").parse().unwrap()
    };
    bench.load(&[("iptables-nft-restore", states)]).unwrap();
    assert_eq!(bench.judge(&[with("established")]), [Kernel::Accept]);
    assert_eq!(bench.judge(&[with("related")]), [Kernel::Drop]);
    assert_eq!(bench.judge(&[with("new")]), [Kernel::Drop]);
}

fn to_v6(packet: &Packet) -> Packet {
    let mut json = serde_json::to_value(packet).unwrap();
    json["family"] = 6.into();
    json["src"] = "2001:db8::9".into();
    json["dst"] = "2001:db8:1:2::77".into();
    if json["proto"] == "icmp" {
        json["proto"] = "icmpv6".into();
        json["icmp_type"] = 128.into();
    }
    serde_json::from_value(json).unwrap()
}

/// A random dump of either family and back end, with packets at its boundaries.
fn case(n: u64, r: &mut crate::support::random::Random) -> Case {
    let (family, tools, dialect) = match n % 5 {
        0..3 => (Family::V4, ["iptables-nft-restore", "iptables-legacy-restore"], "iptables"),
        _ => (Family::V6, ["ip6tables-nft-restore", "ip6tables-legacy-restore"], "ip6tables"),
    };
    let pool = Pool::new(family, r);
    let sets = if r.chance(50) { ipset::script(&pool, r) } else { ipset::Script::default() };
    let text = iptables::dump(&pool, &sets, r);
    let packets = (0..150).map(|_| pool.packet(r, true)).collect();
    let regions = (0..4).map(|_| region(&pool, r)).collect();
    Case { tool: tools[r.below(2)], dialect, text, sets: sets.text, packets, regions }
}

/// Zero differences over at least 20 000 packets.
#[test]
fn iptables_is_judged_as_the_kernel_does() {
    let test = "iptables_is_judged_as_the_kernel_does";
    if havenlint::dialect::by_name("iptables").is_none() {
        return skip(test, "the dialect is not there");
    }
    match campaign(test, 145, case) {
        Err(why) => skip(test, &why),
        Ok(totals) => {
            assert!(totals.alike >= 20_000, "too few packets: {totals:?}");
            assert!(
                (totals.undecided - totals.untold) * 100 <= totals.alike,
                "too many undecided: {totals:?}"
            );
            for kind in ["sets beside the dump", "networks with interfaces", "exceptions in sets"] {
                assert!(
                    totals.kinds.get(kind).is_some_and(|n| *n >= 500),
                    "too few packets of {kind}: {totals:?}"
                );
            }
            assert!(
                totals.refused * 10 <= totals.rulesets,
                "the generator makes what the tools refuse: {totals:?}"
            );
        }
    }
}
