//! What stands around the chains of IP: devices, bridges, flowtables, programs that only a comment tells of.

use havenlint::analysis::Verdict::{Accept, Drop, Undecided};
use havenlint::analysis::decide::{Question, decide};
use havenlint::analysis::evaluate::{Trace, evaluate};
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::{Dialect, ReadOptions, nftables::Nftables};
use havenlint::model::Firewall;
use havenlint::packet::{Family, Packet, Path};
use havenlint::source::{Severity, SourceFile};

pub fn read(name: &str, text: &str) -> Firewall {
    Nftables.read(&[SourceFile::new(name, text)], &ReadOptions::default())
}

pub fn errors(f: &Firewall) -> Vec<String> {
    let errors = f.diagnostics.iter().filter(|d| d.severity == Severity::Error);
    errors.map(|d| format!("{}: {}", f.locate(d.origin).line, d.message)).collect()
}

pub fn trace(f: &Firewall, packet: &str) -> Trace {
    let packet: Packet = packet.parse().unwrap_or_else(|e| panic!("{packet}: {e}"));
    evaluate(Point { firewalls: &[f], environment: &Environment::default() }, &packet)
}

/// The verdict of the evaluator, which the regions must share.
pub fn verdict(f: &Firewall, packet: &str) -> Verdict {
    let told = trace(f, packet).verdict;
    let packet: Packet = packet.parse().unwrap();
    let environment = Environment::default();
    let firewalls = [f];
    let point = Point { firewalls: &firewalls, environment: &environment };
    let mut region = havenlint::packet::Region::all(packet.family());
    for field in havenlint::packet::Field::ALL {
        if let Some(v) = packet.get(field) {
            region = region.with(field, havenlint::packet::IntervalSet::single(v));
        }
    }
    let answer =
        decide(&Question { point, path: packet.path, region, mark: packet.mark, delivered_to: None });
    let by_region = match (answer.accepted.is_empty(), answer.denied.is_empty(), answer.undecided.is_empty())
    {
        (false, true, true) => Accept,
        (true, false, true) => Drop,
        _ => Undecided,
    };
    assert_eq!(told, by_region, "evaluator and regions: {packet}");
    told
}

const BEHIND: &str = "table inet f {\n chain i {\n type filter hook input priority 0; policy drop;\n\
                      ct state established,related accept\n tcp dport { 22, 20081, 20082 } accept\n }\n\
                      chain fw {\n type filter hook forward priority 0; policy drop;\n tcp dport 80 accept\n }\n}\n";

#[test]
fn chains_of_devices_are_on_the_way() {
    let text = format!(
        "define wan = {{ eth1, \"eth2\" }}\ntable netdev n {{\n chain in {{\n\
         type filter hook ingress devices = {{ eth0, $wan }} priority -500; policy accept;\n tcp dport 20081 drop\n }}\n}}\n{BEHIND}"
    );
    let f = read("t.nft", &text);
    assert_eq!(errors(&f), [""; 0]);
    for (packet, expected) in [
        ("input eth0 tcp 10.0.0.5 > 10.1.0.10:20081", Drop),
        ("input eth1 tcp 10.0.0.5 > 10.1.0.10:20081", Drop),
        ("input eth2 tcp 10.0.0.5 > 10.1.0.10:20081", Drop),
        ("input eth3 tcp 10.0.0.5 > 10.1.0.10:20081", Accept),
        ("input eth0 tcp 10.0.0.5 > 10.1.0.10:20082", Accept),
        // What arrives on a virtual network comes through the device, if names tell.
        ("input eth0.7 tcp 10.0.0.5 > 10.1.0.10:20081", Undecided),
        ("input eth0.7 tcp 10.0.0.5 > 10.1.0.10:20082", Accept),
        // A drop behind is a drop.
        ("input eth0 tcp 10.0.0.5 > 10.1.0.10:23", Drop),
    ] {
        assert_eq!(verdict(&f, packet), expected, "{packet}");
    }
    let t = trace(&f, "input eth0 tcp 10.0.0.5 > 10.1.0.10:20082");
    assert_eq!(f.locate(t.decided_by.unwrap().origin).line, 12, "what the device lets in says least");
}

#[test]
fn text_and_json_bind_alike() {
    let text = "table netdev n {\n chain a {\n type filter hook ingress devices = { eth0, eth1 } priority 0; policy drop;\n\
                tcp dport 1 accept\n }\n chain b {\n type filter hook egress device \"eth0\" priority 0; policy accept;\n\
                tcp dport 2 drop\n }\n}\n";
    let json = r#"{"nftables": [{"table": {"family": "netdev", "name": "n"}},
        {"chain": {"family": "netdev", "table": "n", "name": "a", "type": "filter", "hook": "ingress", "prio": 0, "dev": ["eth0", "eth1"], "policy": "drop"}},
        {"chain": {"family": "netdev", "table": "n", "name": "b", "type": "filter", "hook": "egress", "prio": 0, "dev": "eth0", "policy": "accept"}},
        {"rule": {"family": "netdev", "table": "n", "chain": "a", "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 1}}, {"accept": null}]}},
        {"rule": {"family": "netdev", "table": "n", "chain": "b", "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 2}}, {"drop": null}]}}]}"#;
    let (a, b) = (read("t.nft", text), read("t.json", json));
    assert_eq!((errors(&a), errors(&b)), (Vec::new(), Vec::new()));
    assert_eq!(havenlint::model::display::canonical(&a), havenlint::model::display::canonical(&b));
    assert_eq!(verdict(&b, "input eth0 tcp 10.0.0.5 > 10.1.0.10:1"), Accept);
    assert_eq!(verdict(&b, "input eth1 tcp 10.0.0.5 > 10.1.0.10:2"), Drop);
    assert_eq!(verdict(&b, "output eth0 tcp 10.0.0.5 > 10.1.0.10:2"), Drop);
    assert_eq!(verdict(&b, "output eth1 tcp 10.0.0.5 > 10.1.0.10:2"), Accept);
}

#[test]
fn devices_that_are_not_told_may_be_any() {
    for device in ["device $unknown", "devices = { $unknown }"] {
        let text = format!(
            "table netdev n {{\n chain in {{\n type filter hook ingress {device} priority 0; policy drop;\n }}\n}}\n{BEHIND}"
        );
        assert_eq!(
            verdict(&read("t.nft", &text), "input eth0 tcp 10.0.0.5 > 10.1.0.10:22"),
            Undecided,
            "{device}"
        );
    }
}

#[test]
fn hooks_that_a_family_does_not_have_are_refused() {
    for (family, hook) in [("ip", "ingress"), ("inet", "egress"), ("netdev", "input"), ("ip6", "egress")] {
        let device = if hook == "input" { "" } else { "device eth0 " };
        let text = format!(
            "table {family} t {{\n chain c {{\n type filter hook {hook} {device}priority 0; policy drop;\n }}\n}}\n{BEHIND}"
        );
        let f = read("t.nft", &text);
        assert_eq!(errors(&f), [format!("3: tables of family {family} have no hook {hook}")]);
        assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.5 > 10.1.0.10:22"), Undecided);
    }
}

#[test]
fn a_bridge_may_drop_what_crosses_it() {
    let bridge = |rules: &str| {
        format!(
            "table bridge b {{\n chain c {{\n type filter hook input priority filter; policy accept;\n{rules}\n }}\n}}\n{BEHIND}"
        )
    };
    let packet = "input br0 tcp 10.0.0.5 > 10.1.0.10:22";
    let f = read("t.nft", &bridge("tcp dport 22 drop"));
    assert_eq!(verdict(&f, packet), Undecided);
    let because = trace(&f, packet).because;
    assert!(because.iter().any(|b| b.text.contains("table bridge b")), "{because:?}");
    assert_eq!(verdict(&f, "input br0 tcp 10.0.0.5 > 10.1.0.10:23"), Drop);
    // Where nothing drops, nothing can be lost.
    assert_eq!(verdict(&read("t.nft", &bridge("counter accept")), packet), Accept);
    assert_eq!(verdict(&read("t.nft", &bridge("counter\n").replace("accept;", "drop;")), packet), Undecided);
    assert_eq!(verdict(&read("t.nft", &bridge("tcp dport vmap { 22 : drop }")), packet), Undecided);
}

#[test]
fn offloaded_connections_may_pass_by() {
    let ruleset = |add: &str| {
        format!(
            "table inet f {{\n flowtable ft {{\n hook ingress priority 0; devices = {{ eth0, eth1 }};\n }}\n\
             chain fw {{\n type filter hook forward priority 0; policy drop;\n ip saddr 10.9.9.9 drop\n{add}\n\
             ct state established accept\n tcp dport 80 accept\n }}\n}}\n"
        )
    };
    let f = read("t.nft", &ruleset("ct state established flow add @ft"));
    assert_eq!(errors(&f), [""; 0]);
    for (packet, expected) in [
        ("forward eth0>eth1 tcp 10.9.9.9:40000 > 10.2.0.1:80 ACK established", Undecided),
        ("forward eth0>eth1 tcp 10.9.9.9:40000 > 10.2.0.1:80", Drop),
        ("forward eth2>eth1 tcp 10.9.9.9:40000 > 10.2.0.1:80 ACK established", Drop),
        ("forward eth0>eth1 tcp 10.0.0.9:40000 > 10.2.0.1:80 ACK established", Accept),
    ] {
        assert_eq!(verdict(&f, packet), expected, "{packet}");
    }
    let unused = read("t.nft", &ruleset(""));
    assert_eq!(verdict(&unused, "forward eth0>eth1 tcp 10.9.9.9:40000 > 10.2.0.1:80 ACK established"), Drop);
}

#[test]
fn a_program_that_a_comment_tells_of_may_drop() {
    let packet = "input eth0 tcp 10.0.0.5 > 10.1.0.10:22";
    for comment in ["# XDP drops scanners before this", "# see: tc filter show dev eth0 ingress", "#xdp"] {
        let f = read("t.nft", &format!("{comment}\n{BEHIND}"));
        assert_eq!(verdict(&f, packet), Undecided, "{comment}");
        assert_eq!(f.diagnostics.len(), 1);
    }
    for comment in ["# no expdp here", "define xdp = 1", "# the etc filter"] {
        assert_eq!(verdict(&read("t.nft", &format!("{comment}\n{BEHIND}")), packet), Accept, "{comment}");
    }
}

#[test]
fn regions_know_the_devices() {
    let f = read(
        "t.nft",
        "table inet f {\n chain g {\n type filter hook ingress device eth0 priority 0; policy accept;\n tcp dport 22 drop\n }\n\
         chain i {\n type filter hook input priority 0; policy drop;\n tcp dport 22 accept\n }\n}\n",
    );
    let environment = Environment::default();
    let firewalls = [&f];
    let point = Point { firewalls: &firewalls, environment: &environment };
    let region = Path::Input.packets(Family::V4);
    let answer = decide(&Question { point, path: Path::Input, region, mark: 0, delivered_to: None });
    let from = |name: &str| havenlint::packet::interface_value(name).unwrap();
    let through = |v| answer.accepted.iter().any(|p| p.region.get(havenlint::packet::Field::Iif).contains(v));
    assert!(!through(from("eth0")) && through(from("eth1")) && !through(from("eth0.9")));
}
