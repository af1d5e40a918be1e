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

fn at_input(rules: &str, packets: &[(&str, Verdict)]) {
    let f = clean(&input(rules));
    for (packet, expected) in packets {
        assert_eq!(verdict(&f, &format!("input eth0 {packet}")), *expected, "{rules}: {packet}");
    }
}

use Verdict::{Accept, Drop, Undecided};

const NEW: &str = "tcp 10.0.0.1:40000 > 10.0.0.2:22 new";
const ESTABLISHED: &str = "tcp 10.0.0.1:40000 > 10.0.0.2:22 established";
const INVALID: &str = "tcp 10.0.0.1:40000 > 10.0.0.2:22 invalid";

#[test]
fn connection_states_are_bits_or_values() {
    at_input("ct state established,new accept", &[(NEW, Accept), (ESTABLISHED, Accept), (INVALID, Drop)]);
    // A list behind `!=` is one value that no packet has.
    at_input(
        "ct state != established,new accept",
        &[(NEW, Accept), (ESTABLISHED, Accept), (INVALID, Accept)],
    );
    at_input("ct state == established,new accept", &[(NEW, Drop), (ESTABLISHED, Drop)]);
    at_input("ct state { established, new } accept", &[(NEW, Accept), (INVALID, Drop)]);
    at_input("ct state != { established, new } accept", &[(NEW, Drop), (INVALID, Accept)]);
    at_input("ct state != new accept", &[(NEW, Drop), (INVALID, Accept)]);
    at_input("ct state ! new,established accept", &[(NEW, Drop), (INVALID, Accept)]);
}

#[test]
fn tcp_flags_are_bits_values_or_masked() {
    let packet = |flags: &str| format!("tcp 10.0.0.1:40000 > 10.0.0.2:22 {flags}");
    for (rule, none, syn, syn_ack, ack) in [
        ("tcp flags syn,ack", Drop, Accept, Accept, Accept),
        ("tcp flags syn", Drop, Accept, Accept, Drop),
        ("tcp flags == syn", Drop, Accept, Drop, Drop),
        ("tcp flags != syn", Accept, Drop, Accept, Accept),
        ("tcp flags { syn, ack }", Drop, Accept, Drop, Accept),
        ("tcp flags syn / syn,ack", Drop, Accept, Drop, Drop),
        ("tcp flags != syn / syn,ack", Accept, Drop, Accept, Accept),
        ("tcp flags & (syn | ack) == ack", Drop, Drop, Drop, Accept),
        ("tcp flags & (syn | ack) == (syn | ack)", Drop, Drop, Accept, Drop),
        ("tcp flags & syn != 0", Drop, Accept, Accept, Drop),
        ("tcp flags 0x0", Drop, Drop, Drop, Drop),
        ("tcp flags == 0x0", Accept, Drop, Drop, Drop),
    ] {
        at_input(
            &format!("{rule} accept"),
            &[
                (&packet("NONE"), none),
                (&packet("SYN"), syn),
                (&packet("SYN,ACK"), syn_ack),
                (&packet("ACK"), ack),
            ],
        );
    }
}

#[test]
fn implications_are_positive() {
    let udp = "udp 10.0.0.1:40000 > 10.0.0.2:53";
    let tcp = "tcp 10.0.0.1:40000 > 10.0.0.2:53";
    let six = "tcp [2001:db8::1]:40000 > [2001:db8::2]:53";
    at_input("tcp dport != 22 accept", &[(tcp, Accept), (udp, Drop), (six, Accept)]);
    at_input("tcp dport != { 22, 80 } accept", &[(tcp, Accept), (udp, Drop)]);
    at_input("ip saddr != 192.0.2.1 accept", &[(tcp, Accept), (six, Drop)]);
    at_input("ip saddr . tcp dport != { 10.0.0.1 . 22 } accept", &[(tcp, Accept), (udp, Drop), (six, Drop)]);
    at_input("ip saddr . tcp dport != { 10.0.0.1 . 53 } accept", &[(tcp, Drop)]);
    at_input("tcp dport 0-65535 accept", &[(tcp, Accept), (udp, Drop)]);
    at_input("meta l4proto != tcp accept", &[(tcp, Drop), (udp, Accept)]);
    at_input(
        "th dport 53 accept",
        &[(tcp, Accept), (udp, Accept), ("icmp 10.0.0.1 > 10.0.0.2 type 8", Undecided)],
    );
    at_input(
        "meta l4proto { tcp, udp } th dport 53 accept",
        &[(udp, Accept), ("icmp 10.0.0.1 > 10.0.0.2 type 8", Drop)],
    );
}

#[test]
fn icmp_of_each_family() {
    let four = "icmp 10.0.0.1 > 10.0.0.2 type 8";
    let six = "icmpv6 2001:db8::1 > 2001:db8::2 type 128";
    at_input(
        "icmp type echo-request accept",
        &[(four, Accept), (six, Drop), ("icmp 2001:db8::1 > 2001:db8::2 type 8", Drop)],
    );
    at_input("icmpv6 type echo-request accept", &[(four, Drop), (six, Accept)]);
    at_input(
        "meta l4proto icmp accept",
        &[(four, Accept), ("icmp 2001:db8::1 > 2001:db8::2 type 8", Accept)],
    );
    at_input(
        "icmp type != { 8, 13 } accept",
        &[(four, Drop), ("icmp 10.0.0.1 > 10.0.0.2 type 3/1", Accept), (six, Drop)],
    );
    at_input("icmp code 1 accept", &[("icmp 10.0.0.1 > 10.0.0.2 type 3/1", Accept), (four, Drop)]);
}

#[test]
fn interfaces() {
    let tcp = "tcp 10.0.0.1:40000 > 10.0.0.2:53";
    // There is no output interface at input: a negation holds.
    at_input("oifname != \"lo\" accept", &[(tcp, Accept)]);
    at_input("oif lo accept", &[(tcp, Drop)]);
    at_input("iifname \"eth*\" accept", &[(tcp, Accept)]);
    at_input("iifname \"eth\\*\" accept", &[(tcp, Drop)]);
    at_input("iifname != { \"wlan*\", lo } accept", &[(tcp, Accept)]);
    let f = read(&input("iifname \"*\" accept"));
    assert_eq!(f.ledger.not_understood, 1);
    assert!(f.diagnostics.iter().any(|d| d.message.contains("no interface name")));
}

#[test]
fn rejects_fall_through_for_other_protocols() {
    let tcp = "tcp 10.0.0.1:40000 > 10.0.0.2:53";
    let udp = "udp 10.0.0.1:40000 > 10.0.0.2:53";
    let six = "udp [2001:db8::1]:40000 > [2001:db8::2]:53";
    at_input("reject with tcp reset\naccept", &[(tcp, Drop), (udp, Accept), (six, Accept)]);
    at_input("reject with icmp host-prohibited\naccept", &[(udp, Drop), (six, Accept)]);
    at_input("reject with icmpv6 no-route\naccept", &[(udp, Accept), (six, Drop)]);
    at_input("reject\naccept", &[(tcp, Drop), (six, Drop)]);
    at_input("reject with icmpx port-unreachable\naccept", &[(udp, Drop), (six, Drop)]);
}

#[test]
fn accept_ends_one_base_chain_only() {
    let f = clean(
        "table inet a {\n chain c {\n type filter hook input priority 0; policy accept;\n accept\n }\n}\n\
         table ip b {\n chain c {\n type filter hook input priority 10;\n tcp dport 22 drop\n }\n}\n",
    );
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1:1 > 10.0.0.2:22"), Drop);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1:1 > 10.0.0.2:23"), Accept);
    assert_eq!(verdict(&f, "input eth0 tcp [2001:db8::1]:1 > [2001:db8::2]:22"), Accept);
}

#[test]
fn of_equal_priorities_the_later_chain_runs_first() {
    let f = clean(
        "table ip a {\n chain first {\n type filter hook input priority 0;\n meta mark 1 drop\n }\n\
         chain second {\n type filter hook input priority 0;\n meta mark set 1\n }\n}\n",
    );
    let names: Vec<_> = f.base_chains.iter().map(|b| f.chain(b.chain).name.as_str()).collect();
    assert_eq!(names, ["second", "first"]);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1:1 > 10.0.0.2:22"), Drop);
}

#[test]
fn jumps_gotos_and_returns() {
    let text = |jump: &str| {
        format!(
            "table ip t {{\n chain a {{\n tcp dport 22 return\n tcp dport 23 goto b\n tcp dport 24 accept\n }}\n\
             chain b {{\n tcp dport 23 counter\n }}\n\
             chain in {{\n type filter hook input priority 0; policy drop;\n {jump} a\n tcp dport 22-23 accept\n }}\n}}\n"
        )
    };
    let port = |n: u16| format!("input eth0 tcp 10.0.0.1:1 > 10.0.0.2:{n}");
    let jump = clean(&text("jump"));
    assert_eq!(verdict(&jump, &port(22)), Accept);
    assert_eq!(verdict(&jump, &port(23)), Accept, "a goto in a jumped chain comes back to the jumper");
    assert_eq!(verdict(&jump, &port(24)), Accept);
    let goto = clean(&text("goto"));
    assert_eq!(verdict(&goto, &port(22)), Drop, "what falls off a goto meets the policy");
    assert_eq!(verdict(&goto, &port(24)), Accept);
    at_input("tcp dport 22 return\naccept", &[(NEW, Drop), ("tcp 10.0.0.1:1 > 10.0.0.2:80", Accept)]);
}

#[test]
fn verdict_maps() {
    let f = clean(
        "table ip t {\n map m {\n type inet_service : verdict\n elements = { 22 : jump a, 23 : goto a, 24 : drop, 25 : return, 26 : continue }\n }\n\
         chain a {\n tcp sport 7 accept\n }\n\
         chain in {\n type filter hook input priority 0; policy drop;\n tcp dport vmap @m accept\n tcp dport != 25 accept\n }\n}\n",
    );
    let packet = |sport: u16, dport: u16| format!("input eth0 tcp 10.0.0.1:{sport} > 10.0.0.2:{dport}");
    for (sport, dport, expected) in [
        (7, 22, Accept),
        (8, 22, Accept), // back behind the map
        (7, 23, Accept),
        (8, 23, Drop), // gone for good: policy
        (8, 24, Drop),
        (8, 25, Drop), // return in a base chain: policy
        (8, 26, Accept),
        (8, 27, Accept), // missed: next rule
    ] {
        assert_eq!(verdict(&f, &packet(sport, dport)), expected, "{sport} {dport}");
    }
    at_input(
        "tcp dport vmap { 22 : drop, * : accept }",
        &[(NEW, Drop), ("tcp 10.0.0.1:1 > 10.0.0.2:80", Accept)],
    );
    at_input(
        "ip saddr . tcp dport vmap { 10.0.0.0/24 . 22 : accept, 10.0.1.1 . 1-99 : drop }",
        &[(NEW, Accept), ("tcp 10.0.0.1:1 > 10.0.0.2:23", Drop)],
    );
}

#[test]
fn anonymous_chains() {
    at_input(
        "tcp dport 22 jump {\n ip saddr 10.0.0.0/24 accept\n ip saddr 10.0.9.9 drop; counter\n }\naccept",
        &[(NEW, Accept), ("tcp 10.0.9.9:1 > 10.0.0.2:22", Drop), ("tcp 10.0.8.8:1 > 10.0.0.2:22", Accept)],
    );
}

#[test]
fn marks_are_set_and_tested() {
    at_input(
        "tcp dport 22 meta mark set 0x10\nmeta mark & 0xf0 == 0x10 accept",
        &[(NEW, Accept), ("tcp 10.0.0.1:1 > 10.0.0.2:23", Drop)],
    );
    at_input("meta mark set 5\nmeta mark set meta mark or 2\nmeta mark 7 accept", &[(NEW, Accept)]);
    at_input("meta mark set 5\nmeta mark 3-6 accept", &[(NEW, Accept)]);
    at_input("meta mark set 5\nmeta mark != { 4, 5 } accept", &[(NEW, Drop)]);
    at_input("meta mark set 1 tcp dport 23 accept\nmeta mark 1 accept", &[(NEW, Accept)]);
    at_input("meta mark 0 meta mark set 1 tcp dport 22 accept", &[(NEW, Accept)]);
    at_input(
        "meta mark set ip saddr map { 10.0.0.0/24 : 3, 10.0.1.0/24 : 4 } meta mark 3 accept",
        &[(NEW, Accept), ("tcp 10.0.1.1:1 > 10.0.0.2:22", Drop), ("tcp 10.0.2.1:1 > 10.0.0.2:22", Drop)],
    );
    at_input("ct mark set 9\nmeta mark set ct mark\nmeta mark 9 accept", &[(NEW, Accept)]);
}

#[test]
fn sets_that_change_are_unknown_beyond_what_is_listed() {
    let f = clean(
        "table ip t {\n set s {\n type ipv4_addr\n flags dynamic\n elements = { 192.0.2.1 }\n }\n\
         chain in {\n type filter hook input priority 0; policy drop;\n ip saddr @s accept\n }\n}\n",
    );
    assert_eq!(verdict(&f, "input eth0 tcp 192.0.2.1:1 > 10.0.0.2:22"), Accept);
    assert_eq!(verdict(&f, "input eth0 tcp 192.0.2.2:1 > 10.0.0.2:22"), Undecided);
    let f = clean(
        "table ip t {\n set s {\n type ipv4_addr\n timeout 1h\n elements = { 192.0.2.1 }\n }\n\
         chain in {\n type filter hook input priority 0; policy drop;\n ip saddr @s accept\n }\n}\n",
    );
    assert_eq!(verdict(&f, "input eth0 tcp 192.0.2.1:1 > 10.0.0.2:22"), Undecided);
}

#[test]
fn negated_empty_set_is_everything_of_its_family() {
    let f = clean(
        "table inet t {\n set s {\n type ipv4_addr\n }\n\
         chain in {\n type filter hook input priority 0; policy drop;\n ip saddr != @s accept\n }\n}\n",
    );
    assert_eq!(verdict(&f, "input eth0 tcp 192.0.2.1:1 > 10.0.0.2:22"), Accept);
    assert_eq!(verdict(&f, "input eth0 tcp [2001:db8::1]:1 > [2001:db8::2]:22"), Drop);
}

#[test]
fn before_connection_tracking_every_state_is_invalid() {
    let f = clean(
        "table ip raw {\n chain pre {\n type filter hook prerouting priority raw; policy accept;\n ct state established drop\n ct state invalid tcp dport 22 drop\n }\n}\n",
    );
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1:1 > 10.0.0.2:23 established"), Accept);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1:1 > 10.0.0.2:22 new"), Drop);
}

#[test]
fn untracked_packets_and_limits() {
    let f = clean(
        "table ip t {\n chain pre {\n type filter hook prerouting priority raw;\n udp dport 53 notrack\n }\n\
         chain in {\n type filter hook input priority 0; policy drop;\n ct state untracked accept\n tcp dport 22 limit rate 3/minute accept\n tcp dport 23 limit rate over 3/minute accept\n }\n}\n",
    );
    assert_eq!(verdict(&f, "input eth0 udp 10.0.0.1:1 > 10.0.0.2:53"), Accept);
    assert_eq!(verdict(&f, "input eth0 udp 10.0.0.1:1 > 10.0.0.2:54"), Drop);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1:1 > 10.0.0.2:22"), Accept);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1:1 > 10.0.0.2:23"), Drop);
}

#[test]
fn translations() {
    let f = clean(
        "table ip nat {\n chain pre {\n type nat hook prerouting priority dstnat;\n iifname eth0 tcp dport 8080 dnat to 10.0.1.5:80\n\
         iifname eth0 dnat to tcp dport map { 2201 : 10.0.1.6, 2202 : 10.0.1.7 }\n }\n}\n\
         table ip filter {\n chain fwd {\n type filter hook forward priority 0; policy drop;\n ip daddr 10.0.1.5 tcp dport 80 accept\n ip daddr 10.0.1.6 accept\n }\n}\n",
    );
    let forward = |port: u16| format!("forward eth0>eth1 tcp 198.51.100.7:40000 > 203.0.113.1:{port}");
    assert_eq!(verdict(&f, &forward(8080)), Accept);
    assert_eq!(verdict(&f, &forward(80)), Drop);
    assert_eq!(verdict(&f, &forward(2201)), Accept);
    assert_eq!(verdict(&f, &forward(2202)), Drop);
}

#[test]
fn commands_apply_in_order() {
    let f = clean(
        "table ip t {\n chain in {\n type filter hook input priority 0; policy drop;\n tcp dport 1 accept\n }\n}\n\
         flush ruleset\n\
         add table ip t\nadd chain ip t in { type filter hook input priority filter - 10 ; policy accept ; }\n\
         add chain t in { policy drop ; }\nadd set t s { type inet_service ; }\n\
         add rule t in tcp dport 22 accept\ninsert rule ip t in tcp dport 22 ip saddr 192.0.2.0/24 drop\n\
         add t in tcp dport @s accept\nadd element t s { 80, 443 }\ndelete element t s { 443 }\n",
    );
    assert_eq!(f.base_chains[0].priority, -10);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1:1 > 10.0.0.2:1"), Drop);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1:1 > 10.0.0.2:22"), Accept);
    assert_eq!(verdict(&f, "input eth0 tcp 192.0.2.1:1 > 10.0.0.2:22"), Drop);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1:1 > 10.0.0.2:80"), Accept);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1:1 > 10.0.0.2:443"), Drop);
}

#[test]
fn dormant_tables_and_other_families_are_said() {
    let f = clean(
        "table ip t {\n flags dormant\n chain in {\n type filter hook input priority 0; policy drop;\n }\n}\n\
         table netdev n {\n chain i {\n type filter hook ingress device eth0 priority 0;\n drop\n }\n}\n\
         table inet i {\n chain early {\n type filter hook ingress device eth1 priority 0;\n drop\n }\n}\n\
         table bridge b {\n chain c {\n type filter hook input priority 0;\n tcp dport 23 drop\n }\n}\n",
    );
    // Chains of devices are on the way; a bridge may be.
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1:1 > 10.0.0.2:22"), Drop);
    assert_eq!(verdict(&f, "input eth1 tcp 10.0.0.1:1 > 10.0.0.2:22"), Drop);
    assert_eq!(verdict(&f, "input eth2 tcp 10.0.0.1:1 > 10.0.0.2:22"), Undecided);
    assert_eq!(verdict(&f, "input lo tcp 10.0.0.1:1 > 10.0.0.2:22"), Accept);
    assert_eq!(f.diagnostics.len(), 2);
}

fn errors(text: &str) -> Vec<(u32, u32, String)> {
    let f = read(text);
    let errors = f.diagnostics.iter().filter(|d| d.severity == Severity::Error);
    errors
        .map(|d| {
            let l = f.locate(d.origin);
            (l.line, l.column, d.message.clone())
        })
        .collect()
}

#[test]
fn one_run_reports_every_error_and_reads_the_rest() {
    let text = "table inet t {\n chain in {\n  type filter hook input priority 0; policy drop;\n  tcp dport { 22, 80 accept\n  tcp dprt 5 accept\n  \
                ip saddr $nope accept\n  jump nowhere\n  tcp dport 25 accept\n  log prefix \"open\n }\n}\n";
    let found = errors(text);
    let places: Vec<_> = found.iter().map(|e| (e.0, e.1)).collect();
    assert_eq!(places, [(4, 22), (5, 3), (6, 12), (7, 8), (9, 14)], "{found:?}");
    let f = read(text);
    assert_eq!(f.ledger.not_understood, 5);
    assert_eq!(f.ledger.exact, 1);
}

#[test]
fn where_a_chain_or_file_cannot_be_read_nothing_is_certain() {
    let (in22, in23) = ("input eth0 tcp 10.0.0.1:1 > 10.0.0.2:22", "input eth0 tcp 10.0.0.1:1 > 10.0.0.2:23");
    let out = "output eth0 tcp 10.0.0.2:1 > 10.0.0.1:22";
    let good = input("tcp dport 22 accept");
    for text in [
        // A file that is not there, a table that is none, a chain whose hook is lost, a block that is never closed.
        format!("include \"absent.nft\"\n{good}"),
        format!("tabel inet u {{\n chain c {{\n }}\n}}\n{good}"),
        format!(
            "{good}table inet u {{\n chain c {{\n type filter hok input priority 0; policy drop;\n }}\n}}\n"
        ),
        format!("{good}table inet u {{\n chain c {{\n"),
    ] {
        let f = read(&text);
        assert!(f.ledger.not_understood > 0);
        for packet in [in22, in23, out] {
            assert_eq!(verdict(&f, packet), Undecided, "{packet}: {text}");
        }
    }
    // A rule that cannot be read is unknown itself, and a variable costs those rules that name it.
    let f =
        read(&format!("define x = 1\ndefine x = 2\n{}", input("tcp dport 22 accept\ntcp dprt 23 accept")));
    assert_eq!((verdict(&f, in22), verdict(&f, in23), verdict(&f, out)), (Accept, Undecided, Accept));
    // A part of a set: who else is in it is not known.
    let set = "set s { type ipv4_addr; elments = { 10.0.0.9 }; elements = { 10.0.0.1 }; }";
    let text = input("ip saddr @s accept").replace("chain other", &format!("{set}\n chain other"));
    let f = read(&text);
    assert_eq!(
        (verdict(&f, in22), verdict(&f, &in22.replace(".0.1:1", ".0.3:1"))),
        (Accept, Undecided),
        "{text}"
    );
    let json = r#"{"nftables": [{"table": {"family": "ip", "name": "t"}}, {"chian": {}}]}"#;
    assert_eq!(verdict(&read(json), in22), Undecided);
}

#[test]
fn bad_input_is_an_error_and_no_more() {
    for (text, message) in [
        ("table ip t {\n chain c {\n accept\n", "a block that is never closed"),
        (
            "define x = $x\ntable ip t {\n chain c {\n tcp dport $x\n }\n}\n",
            "the variable `x` is not defined here",
        ),
        ("define x = 1\ndefine x = 2\n", "the variable `x` is already defined"),
        (
            "include \"absent.nft\"\n",
            "included files are not read here: the ruleset does not come from a file",
        ),
        (
            "table ip t {\n chain c {\n jump d\n }\n chain d {\n jump c\n }\n}\n",
            "this jump to `c` runs in a circle",
        ),
        ("table ip t {\n chain c {\n tcp dport 70000\n }\n}\n", "port 70000 is above 65535"),
        ("table ip t {\n chain c {\n tcp dport 99-98\n }\n}\n", "the range ends before it begins"),
        ("table ip t {\n chain c {\n type filter hook nowhere priority 0\n }\n}\n", "`nowhere` is no hook"),
        ("tabel ip t { }\n", "a command such as `table inet filter { … }` is expected, not `tabel`"),
    ] {
        let found = errors(text);
        assert!(found.iter().any(|e| e.2 == message), "{text}: {found:?}");
    }
    let deep = format!(
        "table ip t {{\n chain c {{\n tcp dport {}{}\n }}\n}}\n",
        "{".repeat(10_000),
        "}".repeat(10_000)
    );
    assert!(errors(&deep).iter().any(|e| e.2.contains("nested deeper")), "{:?}", errors(&deep).first());
    let flags =
        format!("table ip t {{\n chain c {{\n meta mark {}\n }}\n}}\n", vec!["1"; 100_000].join(" | "));
    assert!(
        errors(&flags).iter().any(|e| e.2.contains("operators in a row")),
        "{:?}",
        errors(&flags).first()
    );
    let only_braces = "{".repeat(10_000);
    assert!(!errors(&only_braces).is_empty());
    let mut laughs = "define v0 = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }\n".to_owned();
    for i in 1..20 {
        let before = format!("$v{}", i - 1);
        laughs += &format!("define v{i} = {{ {} }}\n", vec![before; 10].join(", "));
    }
    laughs += "table ip t {\n chain c {\n tcp dport $v19\n }\n}\n";
    let said = errors(&laughs);
    assert!(
        said.iter().any(|e| e.2.contains("beyond all bounds") || e.2.contains("nested deeper")),
        "{said:?}"
    );
}

#[test]
fn files_are_included_from_the_inputs_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    write("rules.d/10-ssh.nft", "tcp dport 22 accept\n");
    write("rules.d/20-web.nft", "tcp dport 80 accept\n");
    write("vars.nft", "define admin = 192.0.2.0/24\n");
    write("loop.nft", "include \"loop.nft\"\n");
    write("chain.nft", "table ip t {\n chain in {\n ip saddr $admin tcp dport 23 accept\n }\n}\n");
    let good = "include \"vars.nft\"\ninclude \"empty.d/*.nft\"\n\
         table ip t {\n chain in {\n type filter hook input priority 0; policy drop;\n }\n}\n\
         include \"chain.nft\"\n";
    let read_main = |text: &str| {
        let path = write("main.nft", text);
        Nftables.read(&[SourceFile::new(path.to_str().unwrap(), text)], &ReadOptions::default())
    };
    let f = read_main(good);
    assert!(f.diagnostics.is_empty(), "{:?}", f.diagnostics);
    assert_eq!(verdict(&f, "input eth0 tcp 192.0.2.1:1 > 10.0.0.2:23"), Accept);
    assert_eq!(verdict(&f, "input eth0 tcp 198.51.100.1:1 > 10.0.0.2:23"), Drop);
    // What is not read may hold any rule: then nothing is certain.
    let f =
        read_main(&format!("{good}include \"loop.nft\"\ninclude \"/etc/hostname\"\ninclude \"gone.nft\"\n"));
    let messages: Vec<_> = f.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "`loop.nft` includes itself",
            "`/etc/hostname` is outside the folder of the input and is not read",
            "the file `gone.nft` does not exist"
        ]
    );
    assert_eq!(verdict(&f, "input eth0 tcp 192.0.2.1:1 > 10.0.0.2:23"), Undecided);
    assert!(f.files.iter().any(|f| f.path.ends_with("/chain.nft")));
}

#[test]
fn the_examples_of_the_package_load() {
    let folder = std::path::Path::new("/usr/share/doc/nftables/examples");
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("SKIPPED: {} is absent", folder.display());
        assert!(std::env::var_os("HAVENLINT_REQUIRE").is_none(), "required: {}", folder.display());
        return;
    };
    let mut read = 0;
    for entry in entries.flatten().filter(|e| e.path().extension().is_some_and(|x| x == "nft")) {
        let path = entry.path();
        let file = SourceFile::new(path.to_str().unwrap(), std::fs::read(&path).unwrap());
        let f = Nftables.read(&[file], &ReadOptions::default());
        let errors: Vec<_> = f.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        read += 1;
    }
    assert!(read > 5);
}

mod any_bytes {
    use super::*;
    use proptest::prelude::*;

    const SEED: &str = "define a = { 1, 2 }\ntable inet t {\n set s { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 1-5 } }\n \
        map m { type inet_service : verdict; elements = { 1 : accept, 2 : jump d } }\n chain d { }\n \
        chain c {\n type filter hook input priority filter - 5; policy drop;\n ct state established,related accept\n ip saddr . tcp dport @s accept\n \
        tcp dport vmap @m\n meta mark set ip saddr map { 1.2.3.4 : 5, * : 6 } jump { accept; }\n tcp flags & (syn | ack) == syn limit rate 5/second reject with tcp reset\n }\n}\n";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn never_harm(edits in prop::collection::vec((0..SEED.len(), 0usize..4, "[\\PC\n]{0,3}"), 1..6)) {
            let mut text = SEED.as_bytes().to_vec();
            for (at, removed, inserted) in edits {
                let at = at.min(text.len());
                let end = (at + removed * 3).min(text.len());
                text.splice(at..end, inserted.bytes());
            }
            let f = Nftables.read(&[SourceFile::new("x.nft", text)], &ReadOptions::default());
            for d in &f.diagnostics {
                let _ = f.locate(d.origin);
            }
        }

        #[test]
        fn never_harm_json(text in r#"[\[\]{},:"a-z @*0-9]{0,80}"#) {
            let text = format!(
                "{{\"nftables\":[{{\"table\":{{\"family\":\"ip\",\"name\":\"t\"}}}},{{\"chain\":{{\"family\":\"ip\",\"table\":\"t\",\"name\":\"c\"}}}},\
                 {{\"rule\":{{\"family\":\"ip\",\"table\":\"t\",\"chain\":\"c\",\"expr\":[{text}]}}}}]}}"
            );
            let _ = Nftables.read(&[SourceFile::new("x.json", text)], &ReadOptions::default());
        }
    }
}
