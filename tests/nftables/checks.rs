//! The checks of nftables (`HL-NFT-…`): for each a ruleset in which it fires, one beside it in which it must not, and the fixtures, which are clean.

use havenlint::analysis::Environment;
use havenlint::dialect::{Dialect, ReadOptions, nftables::Nftables};
use havenlint::finding::Finding;
use havenlint::lint::registry::{Subject, run};
use havenlint::source::SourceFile;
use std::path::Path;

fn check(name: &str, text: impl Into<Vec<u8>>) -> Vec<Finding> {
    let f = Nftables.read(&[SourceFile::new(name, text)], &ReadOptions::default());
    let environment = Environment::default();
    let beside = [&f];
    let subject = Subject::new(&f, &beside, &environment, "box");
    let mut found = Vec::new();
    run(&subject, &mut found);
    found
}

/// Findings of the dialect's own checks, as `ID line: message`.
fn found(text: &str) -> Vec<String> {
    let mut all = check("test.nft", text);
    all.retain(|f| f.rule.starts_with("HL-NFT-"));
    all.into_iter().map(|f| format!("{} {}: {}", f.rule, f.location.line, f.message)).collect()
}

fn silent(text: &str) {
    assert_eq!(found(text), Vec::<String>::new(), "{text}");
}

/// A chain at input of an inet table with policy drop; the first of `rules` stands on line 4.
fn input(rules: &str) -> String {
    format!(
        "table inet t {{\n chain in {{\n type filter hook input priority filter; policy drop;\n{rules}\n }}\n}}\n"
    )
}

/// The same in JSON: `rules` are lists of statements.
fn input_json(objects: &str, rules: &[&str]) -> String {
    let rules: Vec<String> = rules
        .iter()
        .map(|r| format!(",\n{{\"rule\": {{\"family\": \"inet\", \"table\": \"t\", \"chain\": \"in\", \"expr\": [{r}]}}}}"))
        .collect();
    format!(
        "{{\"nftables\": [{{\"table\": {{\"family\": \"inet\", \"name\": \"t\"}}}},\n\
         {{\"chain\": {{\"family\": \"inet\", \"table\": \"t\", \"name\": \"in\", \"type\": \"filter\", \"hook\": \"input\", \"prio\": 0, \"policy\": \"drop\"}}}}{objects}{}]}}",
        rules.concat()
    )
}

#[test]
fn a_negated_list_of_states_always_holds() {
    assert_eq!(
        found(&input("ct state != established,related drop\ntcp dport 22 accept")),
        [
            "HL-NFT-ALWAYS-TRUE 4: `ct state != established,related` holds for every packet; to mean \"none of them\", \
          write braces: `ct state != { established, related }`"
        ],
        "one finding, although the rule behind is never reached: the comparison is what is wrong"
    );
    let told = found(&input("ct state != established | related | new drop"));
    assert!(told[0].ends_with("`ct state != { established, related, new }`"), "{told:?}");
    assert_eq!(found(&format!("define S = established,related\n{}", input("ct state != $S drop"))).len(), 1);
    for rule in [
        "ct state != { established, related } drop",
        "ct state != established drop",
        "ct state established,related accept",
        "ct state ! established,related drop",
        "tcp flags != syn,ack drop",
        "ct status != snat,dnat drop",
    ] {
        silent(&input(rule));
    }
    let list = r#"{"match": {"op": "!=", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}, {"drop": null}"#;
    let set = r#"{"match": {"op": "!=", "left": {"ct": {"key": "state"}}, "right": {"set": ["established", "related"]}}}, {"drop": null}"#;
    assert!(
        found(&input_json("", &[list]))[0]
            .starts_with("HL-NFT-ALWAYS-TRUE 3: `ct state != established,related`")
    );
    silent(&input_json("", &[set]));
}

#[test]
fn a_chain_seen_before_and_after_tracking_tells_once() {
    let text = "table inet t {\n chain c {\n ct state != new,established drop\n }\n\
                chain a {\n type filter hook prerouting priority raw; policy accept;\n jump c\n }\n\
                chain b {\n type filter hook input priority filter; policy accept;\n jump c\n }\n}\n";
    assert_eq!(found(text).len(), 1);
}

#[test]
fn sets_that_no_rule_names() {
    let with = |sets: &str, rules: &str| {
        format!(
            "table inet t {{\n{sets}\n chain in {{\n type filter hook input priority filter; policy drop;\n{rules}\n }}\n}}\n"
        )
    };
    let set = " set s { type ipv4_addr; elements = { 10.0.0.1 }; }";
    assert_eq!(found(&with(set, "tcp dport 22 accept")), ["HL-NFT-SET-UNUSED 2: no rule uses set s"]);
    let map = " map m { type ipv4_addr : verdict; elements = { 10.0.0.1 : accept }; }";
    assert_eq!(found(&with(map, "tcp dport 22 accept")), ["HL-NFT-SET-UNUSED 2: no rule uses map m"]);
    for rule in [
        "ip saddr @s accept",
        "ip saddr != @s drop",
        "ip saddr . tcp dport @s accept",
        "add @s { ip saddr } drop",
        "tcp dport 22 jump {\n ip saddr @s accept\n }",
        "meter s { ip saddr limit rate 3/second } accept",
        // Behind a verdict of its own kind nothing is lowered: the set is named all the same.
        "queue ip saddr @s",
    ] {
        let told = found(&with(set, rule));
        assert!(told.iter().all(|t| !t.contains("SET-UNUSED")), "{rule}: {told:?}");
    }
    silent(&with(map, "ip saddr vmap @m"));
    silent(&format!("define x = @s\n{}", with(set, "ip saddr $x accept")));
    // A file of sets that another one includes, and a table that the model leaves out.
    silent("table inet t {\n set s { type ipv4_addr; elements = { 10.0.0.1 }; }\n}\n");
    silent(
        "table netdev t {\n set s { type ipv4_addr; elements = { 10.0.0.1 }; }\n chain c {\n ip saddr @s drop\n }\n}\n",
    );
    // A part of the rules is missing: nothing is said.
    silent(&format!("include \"missing.nft\"\n{}", with(set, "tcp dport 22 accept")));

    let object = r#", {"set": {"family": "inet", "table": "t", "name": "s", "type": "ipv4_addr", "elem": ["10.0.0.1"]}}"#;
    let named = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@s"}}, {"accept": null}"#;
    assert_eq!(
        found(&input_json(object, &[r#"{"accept": null}"#])),
        ["HL-NFT-SET-UNUSED 2: no rule uses set s"]
    );
    silent(&input_json(object, &[named]));
    silent(&input_json(object, &[r#""jump {\n\t\tip saddr @s accept\n\t}""#]));
}

#[test]
fn elements_that_others_cover() {
    let set = |body: &str| {
        format!(
            "table inet t {{\n set s {{\n{body}\n }}\n chain in {{\n type filter hook input priority filter; policy drop;\nip saddr @s accept\n }}\n}}\n"
        )
    };
    assert_eq!(
        found(&set(
            "type ipv4_addr; flags interval; auto-merge\nelements = { 10.0.0.0/8,\n10.1.2.3, 192.0.2.1,\n10.9.0.0-10.9.1.255 }"
        )),
        [
            "HL-NFT-COVERED-ELEMENT 5: 10.1.2.3 is already covered by 10.0.0.0/8 in set s, and so is 1 other element"
        ]
    );
    assert_eq!(
        found(&set("type ipv4_addr\nelements = { 10.0.0.1,\n10.0.0.2 comment \"x\", 10.0.0.1 }")),
        ["HL-NFT-COVERED-ELEMENT 5: 10.0.0.1 appears twice in set s"]
    );
    assert_eq!(
        found(&input("tcp dport { 22, 80-90, 81 } accept")),
        ["HL-NFT-COVERED-ELEMENT 4: 81 is already covered by 80-90 in this set"]
    );
    assert_eq!(
        found(&input("ip saddr . tcp dport { 10.0.0.0/8 . 1-100, 10.1.1.1 . 22 } accept")),
        ["HL-NFT-COVERED-ELEMENT 4: 10.1.1.1 . 22 is already covered by 10.0.0.0/8 . 1-100 in this set"]
    );
    for body in [
        "type ipv4_addr; flags interval\nelements = { 10.0.0.0/9, 10.128.0.0/9, 192.0.2.1 }",
        // What expires covers nothing.
        "type ipv4_addr; flags interval,timeout\nelements = { 10.0.0.0/8 timeout 1h, 10.1.2.3 }",
        "type ipv4_addr\nelements = { 10.0.0.1, 10.0.0.2 }",
    ] {
        silent(&set(body));
    }
    // Two variables that overlap are no mistake of the list's.
    silent(&format!(
        "define LAN = 10.0.0.0/8\ndefine ADMINS = {{ 10.1.0.0/16, 10.2.0.1 }}\n{}",
        input("ip saddr { $LAN, $ADMINS } accept\nip saddr $ADMINS drop")
    ));
    silent(&input("tcp dport vmap { 22 : accept, 80-90 : drop }"));
    silent(&input("ip saddr . tcp dport { 10.0.0.0/8 . 22, 10.1.1.1 . 80 } accept"));
    // In a variable's own list they are, once however often it is used.
    assert_eq!(
        found(&format!(
            "define ADMINS = {{ 10.1.0.0/16, 10.1.0.1 }}\n{}",
            input("ip saddr $ADMINS drop\nip daddr $ADMINS accept")
        )),
        ["HL-NFT-COVERED-ELEMENT 1: 10.1.0.1 is already covered by 10.1.0.0/16 in this set"]
    );
    let json = |elements: &str| {
        let object = format!(
            ", {{\"set\": {{\"family\": \"inet\", \"table\": \"t\", \"name\": \"s\", \"type\": \"ipv4_addr\", \"elem\": [{elements}]}}}}"
        );
        let named = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@s"}}, {"accept": null}"#;
        found(&input_json(&object, &[named]))
    };
    let told = json(r#"{"prefix": {"addr": "10.0.0.0", "len": 8}}, "10.1.2.3""#);
    assert!(
        told.len() == 1 && told[0].starts_with("HL-NFT-COVERED-ELEMENT 2: \"10.1.2.3\" is already"),
        "{told:?}"
    );
    assert_eq!(json(r#""10.0.0.1", "10.1.2.3""#), Vec::<String>::new());
}

#[test]
fn a_policy_stated_twice() {
    let twice = |second: &str| {
        format!(
            "table inet t {{\n chain in {{ type filter hook input priority filter; policy drop; }}\n}}\n\
             table inet t {{\n chain in {{ {second} }}\n}}\n"
        )
    };
    assert_eq!(
        found(&twice("type filter hook input priority filter; policy accept;")),
        ["HL-NFT-POLICY-TWICE 5: the policy of chain in is stated again, and this accept wins"]
    );
    assert_eq!(
        found(&twice("policy drop;")),
        ["HL-NFT-POLICY-TWICE 5: the policy of chain in is stated again, also as drop"]
    );
    silent(&twice("type filter hook input priority filter; tcp dport 22 accept"));
    silent(&format!("{}flush ruleset\n{}", twice("tcp dport 22 accept"), twice("tcp dport 22 accept")));
    let again = r#", {"chain": {"family": "inet", "table": "t", "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}}"#;
    assert_eq!(
        found(&input_json(again, &[])),
        ["HL-NFT-POLICY-TWICE 2: the policy of chain in is stated again, and this accept wins"]
    );
}

#[test]
fn a_variable_with_the_name_of_a_set() {
    let with = |before: &str, elements: &str, inside: &str| {
        format!(
            "{before}\ntable inet t {{\n set s {{ type ipv4_addr; elements = {elements}; }}\n chain in {{\n\
             type filter hook input priority filter; policy drop;\n{inside}\nip saddr @s accept\n }}\n}}\n"
        )
    };
    let message = "the variable $s has the name of the set @s, but the two may differ";
    assert_eq!(
        found(&with("define s = { 10.0.0.1 }", "{ 10.0.0.1, 10.0.0.2 }", "ip saddr $s drop")),
        [format!("HL-NFT-SET-SHADOWED 1: {message}")]
    );
    assert_eq!(
        found(&with("", "{ 10.0.0.2 }", "define s = 10.0.0.1")),
        [format!("HL-NFT-SET-SHADOWED 6: {message}")]
    );
    silent(&with("define s = { 10.0.0.1 }", "$s", ""));
    silent(&with("define s = { 10.0.0.1 }", "{ $s, }", ""));
    silent(&with("define other = { 10.0.0.1 }", "{ 10.0.0.2 }", "ip saddr $other drop"));
    // In another table's block it is out of sight.
    silent(&with("table ip u {\n define s = 10.0.0.1\n}", "{ 10.0.0.2 }", ""));
}

#[test]
fn tables_that_undo_each_other() {
    let beside = |first: &str, rules: &str, policy: &str, own: &str| {
        format!(
            "table {first} {{\n chain INPUT {{\n type filter hook input priority 0; policy accept;\n{rules}\n }}\n}}\n\
             table inet firewall {{\n chain input {{\n type filter hook input priority 10; policy {policy};\n\
             ct state established,related accept\niif lo accept\n{own}\n }}\n}}\n"
        )
    };
    assert_eq!(
        found(&beside(
            "ip filter",
            "ct state established accept\ntcp dport 443 accept\nudp dport 53 accept",
            "drop",
            "tcp dport 22 accept"
        )),
        [
            "HL-NFT-UNDONE 5: this rule of table ip filter accepts what chain input of table inet firewall drops at the \
          same hook; the same goes for 1 other rule"
        ]
    );
    // Also where a rule drops, and whichever chain runs first; and in a chain that the base chain jumps to.
    assert_eq!(
        found(&beside("ip6 filter", "tcp dport 443 accept", "accept", "tcp dport 1-1023 drop")).len(),
        1
    );
    assert_eq!(
        found(&beside(
            "inet other",
            "tcp dport 443 accept",
            "drop",
            "ip saddr 10.0.0.0/8 tcp dport 22 accept"
        ))
        .len(),
        1
    );
    for (rules, policy, own) in [
        // Both let it in.
        ("tcp dport 443 accept", "drop", "tcp dport { 22, 443 } accept"),
        // Let in for some: the rule opens what the other table leaves of it.
        ("tcp dport 443 accept", "drop", "ip saddr 10.0.0.0/8 accept"),
        // A list of the blocked beside the rules.
        ("tcp dport 443 accept", "accept", "ip saddr 203.0.113.0/24 drop"),
        // Unknown: nothing is claimed.
        ("tcp dport 443 accept", "drop", "meta skuid 0 accept"),
        // Answers, and what comes over lo.
        ("ct state established,related accept", "drop", "tcp dport 22 accept"),
    ] {
        silent(&beside("ip filter", rules, policy, own));
    }
    // The chains of one table are one design.
    silent(
        "table inet t {\n chain early {\n type filter hook input priority -10; policy accept;\n tcp dport 443 accept\n }\n\
         chain late {\n type filter hook input priority 0; policy drop;\n tcp dport 22 accept\n }\n}\n",
    );
    // Tables of different families never meet.
    silent(
        "table ip a {\n chain in {\n type filter hook input priority 0; policy drop;\n tcp dport 443 accept\n }\n}\n\
         table ip6 b {\n chain in {\n type filter hook input priority 0; policy drop;\n tcp dport 22 accept\n }\n}\n",
    );
    let other = r#", {"table": {"family": "ip", "name": "f"}},
        {"chain": {"family": "ip", "table": "f", "name": "I", "type": "filter", "hook": "input", "prio": -5, "policy": "accept"}},
        {"rule": {"family": "ip", "table": "f", "chain": "I", "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 443}}, {"accept": null}]}}"#;
    let ssh = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 22}}, {"accept": null}"#;
    assert_eq!(found(&input_json(other, &[ssh])).len(), 1);
}

#[test]
fn rules_behind_an_unconditional_verdict() {
    assert_eq!(
        found(&input("tcp dport 22 accept\ncounter drop\ntcp dport 443 accept\ntcp dport 80 accept")),
        ["HL-NFT-AFTER-VERDICT 6: no packet of chain in reaches this rule and the 1 after it"]
    );
    assert_eq!(found(&input("tcp dport 22 accept\nreject\nlog")).len(), 1);
    // The copy of a rule above is a duplicate, and nothing else.
    let all = check("test.nft", input("tcp dport 22 accept\ndrop\ndrop"));
    let ids: Vec<_> = all.iter().map(|f| f.rule.as_str()).filter(|r| !r.starts_with("HL-EXPOSED")).collect();
    assert_eq!(ids, ["HL-DUPLICATE"]);
    for rules in [
        "tcp dport 22 accept\ndrop",
        "log\ncounter\ntcp dport 22 accept",
        "tcp dport vmap { 22 : accept, * : drop }",
        "reject with tcp reset\nreject",
        "limit rate 5/second accept\ndrop",
    ] {
        silent(&input(rules));
    }
    let ssh = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 22}}, {"accept": null}"#;
    assert_eq!(
        found(&input_json("", &[r#"{"drop": null}"#, ssh])),
        ["HL-NFT-AFTER-VERDICT 4: no packet of chain in reaches this rule"]
    );
    silent(&input_json("", &[ssh, r#"{"drop": null}"#]));
}

#[test]
fn sets_that_are_filled_at_run_time_are_two_sets() {
    let twice = |flags: &str| {
        let set = |name: &str| format!(" set {name} {{ type ipv4_addr; {flags} }}\n");
        format!(
            "table inet f {{\n{}{} chain in {{\n type filter hook input priority 0; policy drop;\n ip saddr @ban drop\n\
             ip saddr @guests drop\n ip saddr @ban drop\n tcp dport 22 accept\n }}\n}}\n",
            set("ban"),
            set("guests")
        )
    };
    let lines = |text: String| {
        let all = check("test.nft", text);
        let copies = all.iter().filter(|f| f.rule == "HL-DUPLICATE");
        copies.map(|f| f.location.line).collect::<Vec<_>>()
    };
    assert_eq!(lines(twice("")), [8]);
    assert_eq!(lines(twice("elements = { 198.51.100.7 };")), [8]);
    assert_eq!(lines(twice("flags constant; elements = { 198.51.100.7 };")), [7, 8]);
}

#[test]
fn realistic_rulesets_are_clean() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/nftables");
    let mut looked_at = 0;
    for case in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|e| e.is_dir()) {
        for file in ["ruleset.nft", "ruleset.json"].map(|n| case.join(n)).iter().filter(|p| p.exists()) {
            let mut all = check(file.to_str().unwrap(), std::fs::read(file).unwrap());
            all.retain(|f| f.rule.starts_with("HL-NFT-"));
            let told: Vec<_> = all.iter().map(|f| (&f.rule, f.location.line, &f.message)).collect();
            assert!(told.is_empty(), "{}: {told:#?}", file.display());
            looked_at += 1;
        }
    }
    assert!(looked_at >= 8);
}

/// Findings of some checks, as `ID line: message`.
fn general(text: &str, ids: &[&str]) -> Vec<String> {
    let mut all = check("test.nft", text);
    all.retain(|f| ids.contains(&f.rule.as_str()));
    all.into_iter().map(|f| format!("{} {}: {}", f.rule, f.location.line, f.message)).collect()
}

const OPEN: [&str; 2] = ["HL-ANY-ANY", "HL-POLICY-ACCEPT"];

#[test]
fn what_lets_everything_in_is_blamed_not_what_stands_around() {
    let host = "table inet fw {\n chain pre {\n type filter hook prerouting priority mangle; policy accept;\n\
                meta l4proto { tcp, udp } socket transparent 1 meta mark set 1 accept\n meta mark set 2 accept\n }\n\
                chain in {\n type filter hook input priority 0; policy drop;\n tcp dport 22 accept\n }\n}\n";
    assert_eq!(general(host, &OPEN), [""; 0], "a host needs no chain at forward");
    let open = host.replace("priority 0; policy drop;", "priority 0; policy accept;");
    assert_eq!(
        general(&open, &OPEN),
        ["HL-POLICY-ACCEPT 8: box lets in whatever no rule of in stops: the policy is accept"],
        "the policy at input, not the rule before routing"
    );
    let router = format!(
        "{host}table ip nat {{\n chain post {{\n type nat hook postrouting priority srcnat; policy accept;\n masquerade\n }}\n}}\n"
    );
    assert_eq!(
        general(&router, &OPEN),
        ["HL-POLICY-ACCEPT 1: box forwards whatever comes: it has no base chain at the forward hook"]
    );
    let closed = format!(
        "{router}table inet g {{\n chain fw {{\n type filter hook forward priority 0; policy drop;\n }}\n}}\n"
    );
    assert_eq!(general(&closed, &OPEN), [""; 0]);
    let rule = closed.replace("policy drop;\n }\n}\n", "policy drop;\n counter accept\n }\n}\n");
    assert_eq!(
        general(&rule, &OPEN),
        ["HL-ANY-ANY 21: box accepts everything here, even packets that no sensible rule names"]
    );
}

#[test]
fn chains_of_devices_are_no_unused_chains() {
    let text = "table inet f {\n chain ing {\n type filter hook ingress device eth0 priority 0; policy accept;\n tcp dport 22 drop\n }\n\
                chain i {\n type filter hook input priority 0; policy drop;\n tcp dport 22 accept\n }\n chain gone {\n drop\n }\n}\n\
                table netdev n {\n chain e {\n type filter hook egress device eth0 priority 0; policy accept;\n tcp dport 22 drop\n }\n}\n";
    assert_eq!(
        general(text, &["HL-UNUSED-CHAIN"]),
        ["HL-UNUSED-CHAIN 10: nothing jumps to chain gone: its 1 rule has no effect"]
    );
}
