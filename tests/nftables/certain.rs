//! Answers that are certain, and those that cannot be.

use super::around::{errors, read, trace, verdict};
use havenlint::analysis::Verdict::{Accept, Drop, Undecided};
use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point};
use havenlint::packet::Packet;

fn input(policy: &str, rules: &str) -> String {
    format!(
        "table inet t {{\n chain c {{\n type filter hook input priority 0; policy {policy};\n{rules}\n }}\n}}\n"
    )
}

#[test]
fn what_is_not_local_is_not_known_before_routing() {
    let text = input("accept", "fib daddr type != local drop\ntcp dport 9 accept");
    let packet = "input eth0 tcp 10.0.0.5 > 10.1.0.10:22";
    assert_ne!(verdict(&read("t.nft", &text), packet), Drop, "at input a unicast destination is local");
    let early = text.replace("hook input priority 0", "hook prerouting priority 0");
    assert_eq!(verdict(&read("t.nft", &early), "forward eth0>eth1 tcp 10.0.0.5 > 10.1.0.10:22"), Undecided);
}

#[test]
fn what_is_written_is_seen_by_later_rules() {
    let text = "table inet m {\n chain pre {\n type filter hook prerouting priority mangle; policy accept;\n\
                iifname \"wan0\" ip saddr set 10.1.0.5\n iifname \"wan1\" ip saddr set numgen inc mod 2 map { 0 : 10.1.0.5, 1 : 192.0.2.1 }\n\
                iifname \"wan2\" @nh,96,32 set 5\n }\n\
                chain i {\n type filter hook input priority 0; policy drop;\n ip saddr 10.1.0.0/24 tcp dport 22 accept\n }\n}\n";
    let f = read("t.nft", text);
    assert_eq!(errors(&f), [""; 0]);
    assert_eq!(verdict(&f, "input wan0 tcp 203.0.113.9 > 10.1.0.10:22"), Accept);
    assert_eq!(verdict(&f, "input wan0 tcp 203.0.113.9 > 10.1.0.10:23"), Drop);
    assert_eq!(verdict(&f, "input wan1 tcp 203.0.113.9 > 10.1.0.10:22"), Undecided);
    assert_eq!(verdict(&f, "input wan2 tcp 203.0.113.9 > 10.1.0.10:22"), Undecided);
    assert_eq!(verdict(&f, "input eth0 tcp 203.0.113.9 > 10.1.0.10:22"), Drop);
}

#[test]
fn a_transparent_socket_takes_what_is_for_others() {
    let text = "table inet m {\n chain pre {\n type filter hook prerouting priority mangle; policy accept;\n\
                tcp dport 80 tproxy to :3128 meta mark set 1 accept\n }\n\
                chain i {\n type filter hook input priority 0; policy drop;\n meta mark 1 accept\n }\n\
                chain fw {\n type filter hook forward priority 0; policy drop;\n }\n}\n";
    let f = read("t.nft", text);
    assert_eq!(verdict(&f, "forward eth0>eth1 tcp 10.0.0.5 > 198.51.100.7:80"), Undecided);
    assert_eq!(verdict(&f, "forward eth0>eth1 tcp 10.0.0.5 > 198.51.100.7:81"), Drop);
}

#[test]
fn forged_sources_are_an_assumption() {
    let text = "table inet firewalld {\n chain rp {\n type filter hook prerouting priority filter + 10; policy accept;\n\
                fib saddr . mark . iif oif missing drop\n }\n chain i {\n type filter hook input priority 0; policy drop;\n\
                tcp dport 22 accept\n }\n}\ntable inet nixos-fw {\n chain rpfilter {\n\
                type filter hook prerouting priority mangle + 10; policy drop;\n fib saddr . mark . iif oif exists accept\n }\n}\n";
    let f = read("t.nft", text);
    assert!(f.asks_reverse_path());
    let packet: Packet = "input eth0 tcp 10.0.0.5 > 10.1.0.10:22".parse().unwrap();
    let ask = |forged| {
        let environment = Environment { forged, ..Environment::default() };
        evaluate(Point { firewalls: &[&f], environment: &environment }, &packet).verdict
    };
    assert_eq!((ask(false), ask(true)), (Accept, Undecided));
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.5 > 10.1.0.10:22"), Accept);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.5 > 10.1.0.10:23"), Drop);
}

#[test]
fn rules_that_old_versions_print_as_comments_are_opaque() {
    let cut =
        input("drop", "ip saddr 10.0.0.5 # xt_recent counter packets 0 bytes 0 accept\ntcp dport 22 accept");
    let f = read("t.nft", &cut);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.5 > 10.1.0.10:23"), Undecided);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.6 > 10.1.0.10:23"), Drop);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.6 > 10.1.0.10:22"), Accept);
    let whole = input("accept", "# xt_tcp counter packets 0 bytes 0 drop\ntcp dport 22 accept");
    let f = read("t.nft", &whole);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.6 > 10.1.0.10:22"), Undecided);
    let because = trace(&f, "input eth0 tcp 10.0.0.6 > 10.1.0.10:22").because;
    assert!(because.iter().any(|b| b.text.contains("could not be read")), "{because:?}");
    let none = input("drop", "# not xt_ at all\ntcp dport 22 accept # see xt_recent");
    assert_eq!(verdict(&read("t.nft", &none), "input eth0 tcp 10.0.0.6 > 10.1.0.10:22"), Accept);
}
