//! What nftables rulesets mean: a small ruleset, packets, and what happens to them.

use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::{Dialect, ReadOptions, nftables::Nftables};
use havenlint::model::Firewall;
use havenlint::source::{Severity, SourceFile};

fn read(text: &str) -> Firewall {
    Nftables.read(&[SourceFile::new("test.nft", text)], &ReadOptions::default())
}

fn clean(text: &str) -> Firewall {
    let f = read(text);
    let errors: Vec<_> = f.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    f
}

fn verdict(f: &Firewall, packet: &str) -> Verdict {
    let environment = Environment::default();
    let point = Point { firewalls: &[f], environment: &environment };
    evaluate(point, &packet.parse().unwrap_or_else(|e| panic!("{packet}: {e}"))).verdict
}

/// A chain at input of an inet table with policy drop.
fn input(rules: &str) -> String {
    format!(
        "table inet t {{\n chain other {{\n }}\n chain in {{\n type filter hook input priority filter; policy drop;\n{rules}\n }}\n}}\n"
    )
}

#[test]
fn a_workstation() {
    let f = clean(
        "#!/usr/sbin/nft -f\nflush ruleset\ndefine ADMIN = { 10.0.9.0/24, 10.0.8.15 }\n\
         table inet filter {\n set open {\n type inet_service\n flags interval\n elements = { 80, 443, 8000-8099 }\n }\n\
         chain input {\n type filter hook input priority filter; policy drop;\n\
         ct state vmap { established : accept, related : accept, invalid : drop }\n\
         iif lo accept\n ip saddr $ADMIN tcp dport ssh accept comment \"admins\"\n tcp dport @open accept\n\
         icmp type echo-request limit rate 5/second accept\n reject with icmpx port-unreachable\n }\n}\n",
    );
    for (packet, expected) in [
        ("input eth0 tcp 10.0.9.7:40000 > 10.1.0.10:22", Verdict::Accept),
        ("input eth0 tcp 10.0.7.7:40000 > 10.1.0.10:22", Verdict::Drop),
        ("input eth0 tcp 203.0.113.9:40000 > 10.1.0.10:8042", Verdict::Accept),
        ("input eth0 udp 203.0.113.9:40000 > 10.1.0.10:443", Verdict::Drop),
        ("input lo udp 127.0.0.1:40000 > 127.0.0.1:53", Verdict::Accept),
        ("input eth0 icmp 203.0.113.9 > 10.1.0.10 type 8", Verdict::Accept),
        ("input eth0 tcp [2001:db8::9]:40000 > [2001:db8::1]:443", Verdict::Accept),
        ("input eth0 tcp [2001:db8::9]:40000 > [2001:db8::1]:25", Verdict::Drop),
        ("input eth0 tcp 203.0.113.9:443 > 10.1.0.10:40000 SYN,ACK established", Verdict::Accept),
        ("input eth0 tcp 203.0.113.9:443 > 10.1.0.10:80 SYN,ACK", Verdict::Drop),
    ] {
        assert_eq!(verdict(&f, packet), expected, "{packet}");
    }
    assert_eq!((f.ledger.exact, f.ledger.approximated, f.ledger.not_understood), (5, 1, 0));
}

#[test]
fn implied_protocols_stay_positive() {
    let f = clean(&input("tcp dport != 22 accept"));
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1:1 > 10.0.0.2:80"), Verdict::Accept);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1:1 > 10.0.0.2:22"), Verdict::Drop);
    assert_eq!(verdict(&f, "input eth0 udp 10.0.0.1:1 > 10.0.0.2:80"), Verdict::Drop);
}
