//! Two gateways in a row, built for real: sources that either translates, and a port that the outer one forwards to a host behind the inner one.

use crate::real::{Dice, load, translating, tried};
use crate::{check, dump};
use havenlint::finding::State;
use serde_json::{Value, json};

/// Deployments that are built; each takes about three seconds.
const DEPLOYMENTS: u64 = 8;

const DEPLOYMENT: &str = r#"
catalogue = "safehaven-4"
[networks]
admin = ["203.0.113.50"]
[[node]]
name = "cms-1"
role = "cms"
service = ["10.1.0.10"]
firewall = ["cms-1.v4.rules"]
interfaces = { eth0 = "service" }
[[gateway]]
name = "edge"
firewall = ["edge.v4.rules"]
interfaces = { eth0 = ["203.0.113.1/24", "internet"], eth1 = ["192.168.0.1/24", "10.1.0.0/24"] }
[[gateway]]
name = "inner"
firewall = ["inner.v4.rules"]
interfaces = { eth0 = ["192.168.0.2/24", "internet"], eth1 = ["10.1.0.254/24"] }
"#;

/// Who the next box may see as sender.
const SENDERS: [&str; 4] = ["203.0.113.50", "203.0.113.0/24", "192.168.0.1", "10.1.0.254"];

// A ruleset that lets some senders in to some ports of the host.
fn ruleset(d: &mut Dice, chain: &str, nat: &[&str]) -> String {
    let mut rules = vec![format!("{chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")];
    if d.chance(70) {
        rules.push(format!("{chain} -p tcp -m tcp --dport 22 -j ACCEPT"));
    }
    for from in SENDERS {
        if d.chance(50) {
            continue;
        }
        let port = if d.chance(80) { 22 } else { 20081 };
        rules.push(format!("{chain} -s {from} -p tcp -m tcp --dport {port} -j ACCEPT"));
    }
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    translating(nat) + &dump(["DROP", "DROP", "ACCEPT"], &rules)
}

fn boxes(files: &[(String, String)]) -> Value {
    let one = |name: &str, links: Value, routes: &[&str]| json!({"links": links, "routes": routes, "load": load(files, name)});
    json!({
        "outside": one("outside", json!({"eth0": ["internet", ["203.0.113.50/24", "203.0.113.77/24"]]}), &["10.1.0.0/24 via 203.0.113.1"]),
        "edge": one("edge", json!({"eth0": ["internet", ["203.0.113.1/24"]], "eth1": ["between", ["192.168.0.1/24"]]}), &["10.1.0.0/24 via 192.168.0.2"]),
        "inner": one("inner", json!({"eth0": ["between", ["192.168.0.2/24"]], "eth1": ["inside", ["10.1.0.254/24"]]}), &["default via 192.168.0.1"]),
        "cms-1": one("cms-1", json!({"eth0": ["inside", ["10.1.0.10/24"]]}), &["default via 10.1.0.254"]),
    })
}

#[test]
fn what_two_gateways_translate_is_what_the_host_sees() {
    let seed = std::env::var("HAVENLINT_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1u64);
    let mut seen = std::collections::BTreeMap::new();
    for n in 0..DEPLOYMENTS {
        let mut d = Dice::of(seed, n);
        let some = |d: &mut Dice, all: [&'static str; 3]| -> Vec<&'static str> {
            all.into_iter().filter(|_| d.chance(40)).collect()
        };
        let outer = some(
            &mut d,
            [
                "PREROUTING -i eth0 -d 203.0.113.1 -p tcp -m tcp --dport 2222 -j DNAT --to-destination 10.1.0.10:22",
                "POSTROUTING -o eth1 -j MASQUERADE",
                "POSTROUTING -s 203.0.113.50 -o eth1 -j SNAT --to-source 192.168.0.1",
            ],
        );
        let inside = some(
            &mut d,
            [
                "POSTROUTING -s 192.168.0.0/24 -o eth1 -j MASQUERADE",
                "POSTROUTING -o eth1 -p tcp -m tcp --dport 22 -j SNAT --to-source 10.1.0.254",
                "PREROUTING -i eth0 -d 10.1.0.10 -p tcp -m tcp --dport 20081 -j DNAT --to-destination 10.1.0.10:22",
            ],
        );
        let files = vec![
            ("edge.v4.rules".to_owned(), ruleset(&mut d, "FORWARD", &outer)),
            ("inner.v4.rules".to_owned(), ruleset(&mut d, "FORWARD", &inside)),
            ("cms-1.v4.rules".to_owned(), ruleset(&mut d, "INPUT", &[])),
        ];
        let serve: Vec<Value> = [22, 20081].map(|port| json!(["cms-1", "10.1.0.10", "tcp", port])).into();
        // What is required, then everything by which a stranger may come in.
        let flows = json!([
            ["outside", "203.0.113.50", "cms-1", "10.1.0.10", "tcp", 22],
            ["outside", "203.0.113.77", "cms-1", "10.1.0.10", "tcp", 22],
            ["outside", "203.0.113.77", "cms-1", "10.1.0.10", "tcp", 20081],
            ["outside", "203.0.113.77", "cms-1", "203.0.113.1", "tcp", 2222],
        ]);
        let asked = json!({"boxes": boxes(&files), "flows": flows, "serve": serve});
        let works = match tried(&asked) {
            Ok(works) => works,
            Err(e) => return crate::support::skip("what_two_gateways_translate_is_what_the_host_sees", &e),
        };
        let texts: Vec<(&str, &str)> = files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
        let report = check(DEPLOYMENT, &texts);
        let worst = |id: &str| {
            let mine = || {
                report
                    .requirements
                    .iter()
                    .filter(|r| r.id == id && r.subject == "cms-1" && r.flow.proto == "tcp")
            };
            [State::Violated, State::Undecided, State::Met]
                .into_iter()
                .find(|s| mine().any(|r| r.state == *s))
        };
        let arrives = works[1..].contains(&true);
        let answers = [
            ("SH4-CMS-SSH", worst("SH4-CMS-SSH"), !works[0]),
            ("SH4-NET-EXPOSED", worst("SH4-NET-EXPOSED"), arrives),
        ];
        for (id, said, violated) in answers {
            let right = match said {
                Some(State::Violated) => violated,
                Some(State::Met) => !violated,
                Some(_) => true,
                None => false,
            };
            let shown = || files.iter().map(|(n, t)| format!("# {n}\n{t}")).collect::<String>();
            assert!(right, "seed {seed}, deployment {n}: {id}: said {said:?}, works: {works:?}\n{}", shown());
            *seen.entry((id, said.map(|s| format!("{s:?}")))).or_insert(0) += 1;
        }
    }
    assert!(seen.len() >= 3, "too little was tried: {seen:?}");
}
