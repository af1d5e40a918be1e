//! The rule to add: inserted where it is said to belong, it lets the flow through and changes nothing else; and nft takes it.

use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::{Dialect, Missing, ReadOptions, Suggestion, nftables::Nftables};
use havenlint::model::Firewall;
use havenlint::packet::{Family, Field, IntervalSet, Packet, Region, addr};
use havenlint::source::{Severity, SourceFile};
use std::io::Write;
use std::process::{Command, Stdio};

fn read(text: &str) -> Firewall {
    let f = Nftables.read(&[SourceFile::new("test.nft", text)], &ReadOptions::default());
    let errors: Vec<_> = f.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}\n{text}");
    f
}

fn verdict(f: &Firewall, packet: &Packet) -> Verdict {
    let environment = Environment::default();
    evaluate(Point { firewalls: &[f], environment: &environment }, packet).verdict
}

/// The suggestion for a packet that is stopped, with its region of one packet widened to every source port.
fn suggestion(f: &Firewall, packet: &Packet, answers: bool) -> Option<Suggestion> {
    let environment = Environment::default();
    let trace = evaluate(Point { firewalls: &[f], environment: &environment }, packet);
    assert_eq!(trace.verdict, Verdict::Drop, "{packet:?}");
    let by = trace.decided_by.unwrap();
    let family = addr::family(packet.get(Field::Dst).unwrap());
    let mut region = Region::all(family);
    let port = if answers { Field::Sport } else { Field::Dport };
    for field in [Field::Src, Field::Dst, Field::Proto, Field::Iif, Field::Oif, port] {
        region = region.with(field, IntervalSet::single(packet.get(field).unwrap_or_default()));
    }
    Nftables.suggest(f, &Missing { region: &region, answers, later: false, chain: by.chain, rule: by.rule })
}

fn inserted(text: &str, s: &Suggestion) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.insert(s.after_line as usize, &s.text);
    lines.join("\n") + "\n"
}

/// Whether nft takes a ruleset; `None` where it cannot be asked.
fn nft_takes(text: &str) -> Option<bool> {
    let options: &[&str] = if text.starts_with('{') { &["-j"] } else { &[] };
    let mut child = Command::new("unshare")
        .args(["-n", "nft", "-c"])
        .args(options)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(text.as_bytes()).ok()?;
    child.wait().ok().map(|s| s.success())
}

/// The added line, and its number.
fn added(text: &str, packet: &str) -> (u32, String) {
    let f = read(text);
    let answers = packet.contains("established");
    let packet: Packet = packet.parse().unwrap();
    let s = suggestion(&f, &packet, answers).unwrap();
    let changed = inserted(text, &s);
    let after = read(&changed);
    assert_eq!(verdict(&after, &packet), Verdict::Accept, "{changed}");
    for other in [
        "input eth0 tcp 198.51.100.77:40000 > 10.1.0.10:9",
        "input eth0 udp [2001:db8::77]:40000 > [2001:db8::1]:9",
        "input eth0 tcp 10.0.0.1:40000 > 10.1.0.10:20082",
        "forward eth0>eth1 tcp 198.51.100.77:40000 > 10.1.0.10:9",
        "output eth0 tcp 10.1.0.10:40000 > 198.51.100.77:9",
    ] {
        let other = other.parse().unwrap();
        assert_eq!(verdict(&f, &other), verdict(&after, &other), "{changed}");
    }
    if nft_takes(text) == Some(true) {
        assert_eq!(nft_takes(&changed), Some(true), "{changed}");
    }
    (s.after_line + 1, s.text)
}

const FLOW: &str = "input eth0 tcp 10.0.0.1:40000 > 10.1.0.10:20081";

fn input(policy: &str, rules: &str) -> String {
    format!(
        "table inet filter {{\n\tchain input {{\n\t\ttype filter hook input priority filter; policy {policy};\n{rules}\t}}\n}}\n"
    )
}

#[test]
fn above_the_rule_that_stops_it() {
    let rule = "\t\tiifname \"eth0\" ip saddr 10.0.0.1 tcp dport 20081 ct state new accept".to_owned();
    assert_eq!(
        added(&input("accept", "\t\ttcp dport 22 accept\n\t\tdrop # the rest\n"), FLOW),
        (5, rule.clone())
    );
    assert_eq!(
        added(&input("accept", "\t\tip saddr 10.0.0.0/8 tcp dport \\\n\t\t 20081 drop\n"), FLOW),
        (4, rule.clone())
    );
    // The element of a map, and a rule in a chain without a name, belong to the rule around them.
    assert_eq!(
        added(
            &input("accept", "\t\ttcp dport vmap {\n\t\t\t22 : accept,\n\t\t\t20081 : drop\n\t\t}\n"),
            FLOW
        ),
        (4, rule.clone())
    );
    assert_eq!(
        added(&input("accept", "\t\tip saddr 10.0.0.1 jump {\n\t\t\ttcp dport 20081 drop\n\t\t}\n"), FLOW),
        (4, rule)
    );
}

#[test]
fn behind_the_last_rule_where_the_policy_stops_it() {
    let rule = "\t\tiifname \"eth0\" ip saddr 10.0.0.1 tcp dport 20081 ct state new accept".to_owned();
    assert_eq!(added(&input("drop", "\t\ttcp dport 22 accept\n"), FLOW), (5, rule.clone()));
    assert_eq!(added(&input("drop", ""), FLOW), (4, rule));
    assert_eq!(
        added(
            &input("drop", "\t\ttcp dport vmap { 22 : accept }\n"),
            "input eth0 udp [2001:db8::5]:40000 > [2001:db8::1]:20082"
        )
        .1,
        "\t\tiifname \"eth0\" ip6 saddr 2001:db8::5 udp dport 20082 ct state new accept"
    );
    assert_eq!(
        added(&input("drop", ""), "input eth0 icmp 10.0.0.1 > 10.1.0.10 type 8").1,
        "\t\tiifname \"eth0\" ip saddr 10.0.0.1 meta l4proto icmp ct state new accept"
    );
}

#[test]
fn in_other_hooks_and_for_answers() {
    let forward = "table ip filter {\n\tchain forward {\n\t\ttype filter hook forward priority 0; policy drop;\n\t}\n}\n";
    assert_eq!(
        added(forward, "forward eth0>eth1 tcp 10.0.0.1:40000 > 10.1.0.10:443").1,
        "\t\tiifname \"eth0\" oifname \"eth1\" ip saddr 10.0.0.1 ip daddr 10.1.0.10 tcp dport 443 ct state new accept"
    );
    let output =
        "table ip filter {\n\tchain out {\n\t\ttype filter hook output priority 0; policy drop;\n\t}\n}\n";
    assert_eq!(
        added(output, "output eth0 tcp 10.1.0.10:443 > 10.0.0.1:40000 ACK established").1,
        "\t\toifname \"eth0\" ip daddr 10.0.0.1 tcp sport 443 ct state established accept"
    );
}

#[test]
fn as_a_command_where_the_file_is_made_of_commands() {
    let text = "add table ip filter\nadd chain ip filter INPUT { type filter hook input priority 0; policy drop; }\n\
                add rule ip filter INPUT tcp dport 22 accept\n";
    let rule = "iifname \"eth0\" ip saddr 10.0.0.1 tcp dport 20081 ct state new accept";
    assert_eq!(added(text, FLOW), (4, format!("add rule ip filter INPUT {rule}")));
    assert_eq!(
        added(&format!("{text}add rule ip filter INPUT drop\n"), FLOW),
        (4, format!("add rule ip filter INPUT {rule}"))
    );
    // On one line with others, or inserted from the back: above all, at the end of the file.
    let line = "table inet t { chain in { type filter hook input priority 0; policy accept; tcp dport 22 accept; drop; }; }\n# end\n";
    assert_eq!(added(line, FLOW), (3, format!("insert rule inet t in {rule}")));
    let backwards = format!("{text}insert rule ip filter INPUT tcp dport 1-30000 drop\n");
    assert_eq!(added(&backwards, FLOW), (5, format!("insert rule ip filter INPUT {rule}")));
}

#[test]
fn in_json_that_has_lines() {
    let chain = r#"{"chain": {"family": "inet", "table": "t", "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}}"#;
    let text = format!(
        "{{\n  \"nftables\": [\n    {{\"table\": {{\"family\": \"inet\", \"name\": \"t\"}}}},\n    {chain},\n    {{\n      \"rule\": {{\n        \
         \"family\": \"inet\", \"table\": \"t\", \"chain\": \"in\",\n        \"expr\": [{{\"drop\": null}}]\n      }}\n    }}\n  ]\n}}\n"
    );
    let (line, rule) = added(&text, FLOW);
    assert_eq!(line, 5);
    assert!(
        rule.starts_with("    {\"rule\":{\"family\":\"inet\",\"table\":\"t\",\"chain\":\"in\",\"expr\":["),
        "{rule}"
    );
    // On one line there is no place to name.
    let f = read(&text.replace('\n', " "));
    assert_eq!(suggestion(&f, &FLOW.parse().unwrap(), false), None);
}

#[test]
fn lists_are_sets_and_whole_families_are_named() {
    let f = read(&input("drop", ""));
    let chain = f.base_chains[0].chain;
    let region = Region::all(Family::V4)
        .with(Field::Proto, IntervalSet::single(6u8))
        .with(Field::Dport, [22u128, 80, 81, 82].into_iter().collect());
    let ask = |region: &Region| {
        Nftables
            .suggest(&f, &Missing { region, answers: false, later: false, chain, rule: None })
            .map(|s| s.text.trim().to_owned())
    };
    assert_eq!(ask(&region).unwrap(), "meta nfproto ipv4 tcp dport { 22, 80-82 } ct state new accept");
    let some = addr::parse("10.0.0.0/24").unwrap().union(&addr::parse("10.0.2.1-10.0.2.9").unwrap());
    assert_eq!(
        ask(&region.with(Field::Src, some)).unwrap(),
        "ip saddr { 10.0.0.0/24, 10.0.2.1-10.0.2.9 } tcp dport { 22, 80-82 } ct state new accept"
    );
    let many = (0..40u128).map(|n| n * 2).collect();
    assert_eq!(ask(&region.with(Field::Dport, many)), None, "too many to write down");
}
