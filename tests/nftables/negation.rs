//! What is not known stays unknown when it is negated: each selector with a value, and with `!=` before it.

use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::{Dialect, ReadOptions, nftables::Nftables};
use havenlint::source::{Severity, SourceFile};

/// Selectors and a value of each, as `nft` takes them in an `inet` table.
const MATCHES: &[(&str, &str)] = &[
    ("meta skuid", "1000"),
    ("meta skgid", "1000"),
    ("meta cgroup", "5"),
    ("meta cpu", "1"),
    ("meta rtclassid", "5"),
    ("meta iifgroup", "3"),
    ("meta oifgroup", "3"),
    ("meta iiftype", "ether"),
    ("meta oiftype", "ether"),
    ("meta iifkind", "\"veth\""),
    ("meta oifkind", "\"veth\""),
    ("meta pkttype", "broadcast"),
    ("meta pkttype", "host"),
    ("meta length", "100"),
    ("meta priority", "1:2"),
    ("meta mark", "5"),
    ("meta time", "\"2030-01-01 00:00:00\""),
    ("meta day", "\"Monday\""),
    ("meta hour", "\"08:00\"-\"17:00\""),
    ("meta l4proto", "tcp"),
    ("meta nfproto", "ipv4"),
    ("meta protocol", "ip"),
    ("ct state", "established"),
    ("ct state", "new"),
    ("ct status", "assured"),
    ("ct status", "dnat"),
    ("ct mark", "5"),
    ("ct direction", "original"),
    ("ct direction", "reply"),
    ("ct helper", "\"ftp\""),
    ("ct zone", "5"),
    ("ct expiration", "10s"),
    ("ct id", "5"),
    ("ct bytes", "1000"),
    ("ct packets", "5"),
    ("ct avgpkt", "5"),
    ("ct original ip saddr", "10.0.0.5"),
    ("ct original ip daddr", "10.9.0.9"),
    ("ct original proto-dst", "22"),
    ("ct reply ip saddr", "10.1.0.10"),
    ("rt classid", "5"),
    ("rt ip nexthop", "10.0.0.1"),
    ("rt mtu", "1400"),
    ("socket mark", "5"),
    ("socket transparent", "1"),
    ("socket wildcard", "1"),
    ("osf name", "\"Linux\""),
    ("fib daddr type", "local"),
    ("fib daddr type", "broadcast"),
    ("fib saddr type", "unicast"),
    ("fib saddr type", "local"),
    ("fib saddr . iif oif", "\"eth0\""),
    ("fib saddr oif", "\"eth1\""),
    ("fib daddr . iif type", "local"),
    ("fib daddr . mark type", "unicast"),
    ("numgen random mod 2", "0"),
    ("numgen inc mod 2", "0"),
    ("numgen inc mod 1", "0"),
    ("jhash ip saddr mod 2", "0"),
    ("symhash mod 2", "0"),
    ("ip saddr", "10.0.0.5"),
    ("ip saddr & 0.0.0.255", "0.0.0.5"),
    ("ip dscp", "cs1"),
    ("ip ecn", "ce"),
    ("ip ttl", "5"),
    ("ip id", "5"),
    ("ip length", "100"),
    ("ip checksum", "5"),
    ("ip6 saddr", "::ffff:10.0.0.5"),
    ("ip6 hoplimit", "5"),
    ("ip6 flowlabel", "5"),
    ("tcp dport", "22"),
    ("tcp sequence", "5"),
    ("tcp window", "5"),
    ("tcp flags", "syn"),
    ("tcp option maxseg size", "1400"),
    ("udp length", "100"),
    ("th dport", "22"),
    ("@th,16,16", "22"),
    ("@nh,64,8", "5"),
    ("@ll,0,8", "5"),
    ("ether saddr", "00:53:00:11:22:33"),
    ("ether type", "ip"),
    ("vlan id", "5"),
    ("iifname", "\"eth0\""),
    ("oifname", "\"eth0\""),
];

const PACKETS: &[&str] = &[
    "input eth0 tcp 10.0.0.5:40000 > 10.1.0.10:22",
    "input eth0 tcp 10.0.0.5:40000 > 10.1.0.10:22 ACK established",
    "input eth0 udp 10.0.0.7:40000 > 255.255.255.255:67",
    "input lo tcp 127.0.0.1:40000 > 127.0.0.1:22",
    "input eth0 tcp [2001:db8::5]:40000 > [2001:db8:1::10]:22",
    "output eth0 tcp 10.1.0.10:40000 > 10.0.0.5:22",
    "forward eth0 eth1 tcp 10.0.0.5:40000 > 10.2.0.9:22",
    "forward eth0 eth1 tcp [2001:db8::5]:40000 > [2001:db8:2::9]:22",
];

fn verdict(rules: &str, packet: &str) -> Verdict {
    let chain = |hook: &str| {
        format!(" chain {hook} {{\n  type filter hook {hook} priority filter; policy drop;\n{rules} }}\n")
    };
    let text = format!("table inet t {{\n{}}}\n", ["input", "output", "forward"].map(chain).concat());
    let f = Nftables.read(&[SourceFile::new("test.nft", text.clone())], &ReadOptions::default());
    let errors: Vec<_> = f.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{text}{errors:?}");
    let environment = Environment::default();
    evaluate(Point { firewalls: &[&f], environment: &environment }, &packet.parse().unwrap()).verdict
}

#[test]
fn what_is_not_known_is_not_known_of_its_negation() {
    let mut open = 0;
    let mut wrong = Vec::new();
    for (selector, value) in MATCHES {
        let positive = format!("  {selector} {value} accept\n");
        let negative = format!("  {selector} != {value} accept\n");
        for packet in PACKETS {
            let (is, is_not) = (verdict(&positive, packet), verdict(&negative, packet));
            let both = verdict(&(positive.clone() + &negative), packet);
            open += usize::from(is == Verdict::Undecided);
            let fair = match (is, is_not) {
                // One of the two rules accepts, if the packet has what is asked for; and that is all that is certain.
                (Verdict::Undecided, Verdict::Undecided) => both != Verdict::Drop,
                (Verdict::Accept, Verdict::Drop) | (Verdict::Drop, Verdict::Accept) => {
                    both == Verdict::Accept
                }
                // The packet does not have what is asked for: neither holds.
                (Verdict::Drop, Verdict::Drop) => both == Verdict::Drop,
                // Any bit of a list, and the whole word: it is never this bit alone.
                (Verdict::Undecided, Verdict::Accept) => *selector == "ct status" && both == Verdict::Accept,
                // A negation may be read with more caution than what it negates, never with less.
                (_, Verdict::Undecided) => both == if is == Verdict::Accept { is } else { is_not },
                _ => false,
            };
            if !fair {
                wrong
                    .push(format!("{selector} {value}: {packet}: {is:?}, negated {is_not:?}, both {both:?}"));
            }
        }
    }
    assert!(open > 150, "only {open} of the answers were open: the table does not ask what it should");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
