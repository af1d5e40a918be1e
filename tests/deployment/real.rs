//! A small deployment built for real, with random rulesets: what is said to be met connects, and what is said to be violated does not.

use crate::{check, dump};
use havenlint::finding::{Report, State};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Deployments that are built; each takes about three seconds.
const DEPLOYMENTS: u64 = 8;

/// Required flows: id, subject, source, destination, protocol, port.
const FLOWS: [(&str, &str, &str, &str, u16); 4] = [
    ("SH4-CMS-SSH", "admin", "cms-1", "tcp", 22),
    ("SH4-CMS-CLUSTER", "srn-1", "cms-1", "tcp", 20081),
    ("SH4-CMS-HEARTBEAT", "srn-1", "cms-1", "udp", 20081),
    ("SH4-SRN-SSH", "admin", "srn-1", "tcp", 22),
];

fn address(name: &str, v6: bool) -> String {
    let (net, host) = match name {
        "admin" => (9, "5"),
        "cms-1" => (1, "10"),
        _ => (1, "11"),
    };
    match (v6, net) {
        (true, n) => format!("fd00:{n}::{host}"),
        (false, 9) => format!("10.0.9.{host}"),
        (false, _) => format!("10.1.0.{host}"),
    }
}

// Small numbers that look random, the same in every run (xorshift).
pub struct Dice(u64);

impl Dice {
    /// The numbers of one deployment.
    pub fn of(seed: u64, deployment: u64) -> Self {
        let mut d = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(deployment * 77 + 1));
        (0..8).for_each(|_| {
            d.chance(1);
        });
        d
    }

    /// So many numbers in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % 100 < percent
    }
}

/// A host's ruleset in one family.
fn host(d: &mut Dice, name: &str, v6: bool) -> String {
    let icmp = if v6 { "ipv6-icmp" } else { "icmp" };
    let mut rules: Vec<String> = vec!["INPUT -i lo -j ACCEPT".into()];
    if d.chance(85) {
        rules.push("INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT".into());
    }
    if d.chance(75) {
        rules.push(format!("INPUT -p {icmp} -j ACCEPT"));
    }
    let from = match (d.chance(30), v6) {
        (false, _) => address("admin", v6),
        // The gateway's own address.
        (true, true) => "fd00:1::254".into(),
        (true, false) => "10.1.0.254".into(),
    };
    let by = if d.chance(25) { " -i eth7" } else { " -i eth0" };
    rules.push(format!(
        "INPUT -s {from}{} -p tcp -m tcp --dport 22 -j ACCEPT",
        if d.chance(40) { by } else { "" }
    ));
    if name == "cms-1" {
        for proto in ["tcp", "udp"].into_iter().filter(|_| d.chance(85)) {
            rules.push(format!(
                "INPUT -s {} -p {proto} -m {proto} --dport 20081 -j ACCEPT",
                address("srn-1", v6)
            ));
        }
    }
    let closed = d.chance(30);
    if closed {
        rules.push("OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT".into());
        if d.chance(70) {
            rules.push(format!("OUTPUT -p {icmp} -j ACCEPT"));
        }
        if d.chance(70) {
            rules.push("OUTPUT -p tcp -m tcp --dport 20081 -j ACCEPT".into());
            rules.push("OUTPUT -p udp -m udp --dport 20081 -j ACCEPT".into());
        }
    }
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    dump(["DROP", "DROP", if closed { "DROP" } else { "ACCEPT" }], &rules)
}

/// The gateway's, with source translation now and then.
fn gateway(d: &mut Dice, v6: bool) -> String {
    let mut rules: Vec<String> = Vec::new();
    if d.chance(75) {
        rules.push(format!("INPUT -p {} -j ACCEPT", if v6 { "ipv6-icmp" } else { "icmp" }));
    }
    if d.chance(90) {
        rules.push("FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT".into());
    }
    for to in ["cms-1", "srn-1"] {
        if d.chance(15) {
            continue;
        }
        let way = if d.chance(30) { " -i eth0 -o eth1" } else { "" };
        rules.push(format!("FORWARD -d {}{way} -p tcp -m tcp --dport 22 -j ACCEPT", address(to, v6)));
    }
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let nat = [
        "POSTROUTING -o eth1 -j MASQUERADE",
        "POSTROUTING -o eth1 -j SNAT --to-source 10.1.0.254",
        "POSTROUTING -s 10.0.9.128/25 -o eth1 -j MASQUERADE",
        "POSTROUTING -d 10.1.0.10 -o eth1 -p tcp -j SNAT --to-source 10.1.0.254",
        "PREROUTING -i eth0 -d 10.1.0.11 -p tcp -m tcp --dport 22 -j DNAT --to-destination 10.1.0.10",
    ];
    let nat: Vec<&str> = nat.into_iter().filter(|_| !v6 && d.chance(15)).collect();
    translating(&nat) + &dump(["DROP", "DROP", "ACCEPT"], &rules)
}

/// A table of translations; none without rules.
pub fn translating(rules: &[&str]) -> String {
    if rules.is_empty() {
        return String::new();
    }
    let rules: String = rules.iter().map(|r| format!("-A {r}\n")).collect();
    format!("*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n{rules}COMMIT\n")
}

const DEPLOYMENT: &str = r#"
catalogue = "safehaven-4"
[networks]
admin = ["10.0.9.5", "fd00:9::5"]
[[node]]
name = "cms-1"
role = "cms"
service = ["10.1.0.10", "fd00:1::10"]
firewall = ["cms-1.v4.rules", "cms-1.v6.rules"]
interfaces = { eth0 = "service" }
[[node]]
name = "srn-1"
role = "srn"
service = ["10.1.0.11", "fd00:1::11"]
firewall = ["srn-1.v4.rules", "srn-1.v6.rules"]
interfaces = { eth0 = "service" }
[[gateway]]
name = "edge"
firewall = ["edge.v4.rules", "edge.v6.rules"]
interfaces = { eth0 = ["10.0.9.254/24", "fd00:9::254/64"], eth1 = ["10.1.0.254/24", "fd00:1::254/64"] }
"#;

// What is said of a flow in one family: the worst of its rows.
fn said(report: &Report, id: &str, from: &str, to: &str) -> Option<State> {
    let rows = || {
        let mine = report.requirements.iter().filter(|r| r.id == id && r.state != State::NotChecked);
        mine.filter(|r| r.flow.from == [from] && r.flow.to == [to])
    };
    [State::Violated, State::Undecided, State::Met].into_iter().find(|s| rows().any(|r| r.state == *s))
}

fn lab(files: &[(String, String)], flows: &Value) -> Result<Vec<bool>, String> {
    let link = |bridge: &str, addresses: &[String]| json!([bridge, addresses]);
    let of = |name: &str| [format!("{}/24", address(name, false)), format!("{}/64", address(name, true))];
    let end = |name: &str, bridge: &str, net: u8| {
        let v4 = if net == 9 { "10.0.9.254" } else { "10.1.0.254" };
        json!({"links": {"eth0": link(bridge, &of(name))}, "load": load(files, name),
            "routes": [format!("default via {v4}"), format!("default via fd00:{net}::254")]})
    };
    let edge = |net: u8| {
        let v4 = if net == 9 { "10.0.9.254/24" } else { "10.1.0.254/24" };
        [v4.to_owned(), format!("fd00:{net}::254/64")]
    };
    let asked = json!({"flows": flows, "boxes": {
        "admin": end("admin", "outside", 9), "cms-1": end("cms-1", "inside", 1), "srn-1": end("srn-1", "inside", 1),
        "edge": {"links": {"eth0": link("outside", &edge(9)), "eth1": link("inside", &edge(1))}, "routes": [], "load": load(files, "edge")}}});
    tried(&asked)
}

/// Builds what `lab.py` is to build, and says which of the conversations work.
///
/// # Errors
/// It cannot be built here.
pub fn tried(asked: &Value) -> Result<Vec<bool>, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/deployment/lab.py");
    let mut child = Command::new("unshare")
        .args(["-m", "-n", "python3", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("unshare: {e}"))?;
    let written = child.stdin.take().unwrap().write_all(asked.to_string().as_bytes());
    let out = child.wait_with_output().map_err(|e| e.to_string())?;
    let errors = String::from_utf8_lossy(&out.stderr);
    written.map_err(|e| format!("{e}: {errors}"))?;
    serde_json::from_slice(&out.stdout).map_err(|e| format!("{e}: {errors}"))
}

/// What is to be loaded in a box.
pub fn load(files: &[(String, String)], name: &str) -> Vec<[String; 2]> {
    let tool = |file: &str| if file.contains(".v6.") { "ip6tables-restore" } else { "iptables-restore" };
    let mine = files.iter().filter(|(f, _)| f.starts_with(&format!("{name}.")));
    mine.map(|(f, text)| [tool(f).to_owned(), text.clone()]).collect()
}

#[test]
fn what_is_said_of_a_deployment_is_what_happens_in_it() {
    let seed = std::env::var("HAVENLINT_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1u64);
    let (mut met, mut violated, mut undecided) = (0, 0, 0);
    for n in 0..DEPLOYMENTS {
        let mut d = Dice::of(seed, n);
        let mut files: Vec<(String, String)> = Vec::new();
        for v6 in [false, true] {
            let end = if v6 { "v6.rules" } else { "v4.rules" };
            files.extend(["cms-1", "srn-1"].map(|name| (format!("{name}.{end}"), host(&mut d, name, v6))));
            files.push((format!("edge.{end}"), gateway(&mut d, v6)));
        }
        let asked: Vec<(&str, String, String, Value)> = [false, true]
            .into_iter()
            .flat_map(|v6| FLOWS.iter().map(move |f| (f, v6)))
            .map(|((id, from, to, proto, port), v6)| {
                let (s, t) = (address(from, v6), address(to, v6));
                (*id, s.clone(), t.clone(), json!([from, s, to, t, proto, port]))
            })
            .collect();
        let works = match lab(&files, &asked.iter().map(|a| a.3.clone()).collect()) {
            Ok(w) => w,
            Err(e) => return crate::support::skip("what_is_said_of_a_deployment_is_what_happens_in_it", &e),
        };
        let texts: Vec<(&str, &str)> = files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
        let report = check(DEPLOYMENT, &texts);
        for ((id, from, to, flow), works) in asked.iter().zip(works) {
            let said = said(&report, id, from, to);
            let shown = || files.iter().map(|(n, t)| format!("# {n}\n{t}")).collect::<String>();
            match said {
                Some(State::Met) => met += 1,
                Some(State::Violated) => violated += 1,
                _ => undecided += 1,
            }
            let wrong = match said {
                Some(State::Met) => !works,
                Some(State::Violated) => works,
                other => other.is_none(),
            };
            assert!(
                !wrong,
                "seed {seed}, deployment {n}: {id} {flow}: said {said:?}, works: {works}\n{}",
                shown()
            );
        }
    }
    assert!(
        met > 5 && violated > 5,
        "{met} met, {violated} violated, {undecided} undecided: nothing was tried"
    );
}
