//! `havenlint diff` as people call it: whole pairs of files (`fixtures/diff`), and small edits of which each shows one thing.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

fn run(args: &[&str], stdin: &str) -> (String, i32) {
    let run = Command::cargo_bin("havenlint").unwrap().args(args).write_stdin(stdin).output().unwrap();
    (String::from_utf8(run.stdout).unwrap(), run.status.code().unwrap())
}

/// The one pair of two texts, and the exit status.
fn texts(old: &str, new: &str, more: &[&str]) -> (Value, i32) {
    let dir = tempfile::tempdir().unwrap();
    let paths = [("old", old), ("new", new)].map(|(name, text)| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let (out, code) = run(&[&["diff", &paths[0], &paths[1], "--format", "json"], more].concat(), "");
    let mut told: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
    assert_eq!(told["schema"], 1);
    assert_eq!(told["pairs"].as_array().unwrap().len(), 1);
    (told["pairs"][0].take(), code)
}

/// Kind and flow of each change, in short.
fn flows(pair: &Value) -> Vec<String> {
    let list = |v: &Value| {
        let items = v.as_array().into_iter().flatten();
        items.map(|x| x.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(",")
    };
    let of = |c: &Value| {
        let may = c["may"].as_str().map(|m| format!(" {m}")).unwrap_or_default();
        format!(
            "{}{may} {} {} {}>{} {}",
            c["kind"].as_str().unwrap(),
            c["path"].as_str().unwrap(),
            list(&c["proto"]),
            list(&c["from"]),
            list(&c["to"]),
            list(&c["port"])
        )
    };
    pair["changes"].as_array().unwrap().iter().map(of).collect()
}

fn equal(old: &str, new: &str) {
    let (pair, code) = texts(old, new, &["--fail-on", "any"]);
    assert_eq!((pair["state"].as_str(), flows(&pair), code), (Some("equal"), vec![], 0));
}

fn changed(old: &str, new: &str, expected: &[&str]) -> Value {
    let (pair, code) = texts(old, new, &["--fail-on", "any"]);
    assert_eq!(flows(&pair), expected);
    assert_eq!(code, 1);
    pair
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Expected {
    old: String,
    new: String,
    state: String,
    change: Vec<Value>,
}

/// Realistic pairs of every dialect: exactly the changes that are expected, with the lines that decide.
#[test]
fn fixtures() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/diff");
    let mut cases: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 4);
    for case in cases {
        let text = fs::read_to_string(case.join("expected.toml")).unwrap();
        let expected: Expected = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", case.display()));
        let path = |name: &str| case.join(name).to_str().unwrap().to_owned();
        let (old, new) = (path(&expected.old), path(&expected.new));
        let (out, code) = run(&["diff", &old, &new, "--format", "json"], "");
        let told: Value = serde_json::from_str(&out).unwrap();
        let pair = &told["pairs"][0];
        assert_eq!(pair["state"], expected.state.as_str(), "{}", case.display());
        let found: Vec<Value> = pair["changes"].as_array().unwrap().iter().map(short).collect();
        assert_eq!(found, expected.change, "{}", case.display());
        let exposed = expected.change.iter().any(|c| c["exposure"] == true);
        assert_eq!(code, i32::from(exposed), "{}: what comes in from the Internet fails", case.display());
        // The same bytes again, and every witness has on each side the verdict that is told.
        assert_eq!(run(&["diff", &old, &new, "--format", "json"], "").0, out);
        for c in pair["changes"].as_array().unwrap() {
            for (side, file) in [("old", &old), ("new", &new)] {
                let (traced, _) = run(
                    &["trace", file, "--packets", "-", "--format", "json"],
                    &serde_json::to_string(&c["witness"]).unwrap(),
                );
                let traced: Value = serde_json::from_str(&traced).unwrap();
                assert_eq!(traced["verdict"], c[side]["verdict"], "{}: {c}", case.display());
                assert_eq!(traced["decided_by"]["line"], c[side]["decided_by"]["line"], "{c}");
            }
        }
    }
}

// What a fixture tells of a change.
fn short(c: &Value) -> Value {
    let mut out = serde_json::Map::new();
    for key in ["kind", "path", "group", "from", "to", "proto", "port", "icmp", "exposure"] {
        if let Some(v) = c.get(key) {
            out.insert(key.to_owned(), v.clone());
        }
    }
    let lines = ["old", "new"].map(|s| c[s]["decided_by"]["line"].clone());
    out.insert("lines".to_owned(), json!(lines));
    if c["new"].get("translated").is_some() {
        let to = ["old", "new"].map(|s| c[s]["translated"]["to"][0].clone());
        out.insert("sent-to".to_owned(), json!(to));
    }
    out.into()
}

/// No file of the project differs from itself.
#[test]
fn a_file_is_equal_to_itself() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let path = root.to_str().unwrap();
    let (out, code) = run(&["diff", path, path, "--format", "json", "--fail-on", "any"], "");
    let told: Value = serde_json::from_str(&out).unwrap();
    let pairs = told["pairs"].as_array().unwrap();
    assert!(pairs.len() >= 60, "{}", pairs.len());
    for p in pairs {
        assert_eq!((&p["state"], &p["changes"]), (&json!("equal"), &json!([])), "{}", p["old"]);
    }
    assert_eq!(code, 0);
}

// A dump with these rules.
fn dump(rules: &str) -> String {
    format!(
        "# Generated by iptables-save v1.8.9\n*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:A - [0:0]\n:B - [0:0]\n{rules}COMMIT\n"
    )
}

const SSH: &str = "-A INPUT -s 10.0.8.0/24 -p tcp -m tcp --dport 22 -j ACCEPT\n";
const WEB: &str = "-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n";
const BAN: &str = "-A INPUT -s 192.0.2.0/24 -j DROP\n";
const RECENT: &str =
    "-A INPUT -m recent --rcheck --seconds 60 --name bad --mask 255.255.255.255 --rsource -j DROP\n";
const OWNER: &str = "-A INPUT -p tcp -m tcp --dport 8080 -m owner --uid-owner 1000 -j ACCEPT\n";

#[test]
fn an_order_that_does_not_matter_is_no_change() {
    equal(&dump(&[SSH, WEB].concat()), &dump(&[WEB, SSH].concat()));
    // Nor what is logged, commented, counted, or rejected instead of dropped.
    let plain = dump(&[BAN, SSH].concat());
    equal(&plain, &plain.replace("[0:0]", "[812:99121]"));
    equal(&plain, &plain.replace("-j DROP", "-j REJECT --reject-with icmp-port-unreachable"));
    equal(&plain, &plain.replace(SSH, &format!("-A INPUT -j LOG --log-prefix \"x \"\n{SSH}")));
    equal(&plain, &plain.replace("--dport 22", "--dport 22 -m comment --comment \"office\""));
    equal(&plain, &plain.replace(SSH, &format!("# note\n{SSH}{SSH}")));
    // A rule in two, a set in other words.
    equal(
        &plain,
        &plain.replace(
            SSH,
            "-A INPUT -s 10.0.8.0/25 -p tcp --dport 22 -j ACCEPT\n-A INPUT -s 10.0.8.128/25 -p tcp --dport 22 -j ACCEPT\n",
        ),
    );
}

#[test]
fn an_order_that_matters_is_told() {
    let pair = changed(
        &dump(&[BAN, WEB].concat()),
        &dump(&[WEB, BAN].concat()),
        &["accepted input tcp 192.0.2.0/24>0.0.0.0/0 80"],
    );
    let c = &pair["changes"][0];
    assert_eq!((&c["old"]["decided_by"]["line"], &c["new"]["decided_by"]["line"]), (&json!(8), &json!(8)));
    assert_eq!((&c["old"]["verdict"], &c["new"]["verdict"]), (&json!("drop"), &json!("accept")));
    assert_eq!(c["exposure"], true);
    changed(
        &dump(&[WEB, BAN].concat()),
        &dump(&[BAN, WEB].concat()),
        &["stopped input tcp 192.0.2.0/24>0.0.0.0/0 80"],
    );
}

#[test]
fn chains_are_compared_by_what_they_do() {
    let old = dump(&format!("-A INPUT -p tcp -j A\n{BAN}-A A -p tcp -m tcp --dport 80 -j ACCEPT\n"));
    // Renamed; and written out.
    equal(&old, &old.replace("-j A\n", "-j WEB\n").replace(":A -", ":WEB -").replace("-A A ", "-A WEB "));
    equal(&old, &dump(&[WEB, BAN].concat()));
    // Renamed and changed. Who was stopped by another rule before stands apart.
    let new = old.replace("-j A\n", "-j WEB\n").replace(":A -", ":WEB -").replace("-A A ", "-A WEB ");
    let rest = "0.0.0.0-192.0.1.255,192.0.3.0-255.255.255.255";
    let accepted = [rest, "192.0.2.0/24"].map(|from| format!("accepted input tcp {from}>0.0.0.0/0 81"));
    let [a, b] = accepted.each_ref().map(String::as_str);
    changed(&old, &new.replace("--dport 80", "--dport 80:81"), &[a, b]);
    // A change in a chain shows at whatever leads there.
    let stopped = [rest, "192.0.2.0/24"].map(|from| format!("stopped input tcp {from}>0.0.0.0/0 80"));
    let [c, d] = stopped.each_ref().map(String::as_str);
    changed(&old, &old.replace("--dport 80", "--dport 81"), &[a, b, c, d]);
    equal(&dump(&format!("{WEB}-A B -j DROP\n")), &dump(&format!("{WEB}-A B -j ACCEPT\n")));
}

#[test]
fn a_policy_is_told() {
    let old = dump(WEB);
    let new = old.replace(":INPUT DROP", ":INPUT ACCEPT");
    let (pair, code) = texts(&old, &new, &[]);
    assert_eq!((pair["state"].as_str(), code), (Some("changed"), 1));
    assert!(flows(&pair).iter().all(|f| f.starts_with("accepted input")), "{:?}", flows(&pair));
    assert_eq!(pair["changes"][0]["new"]["decided_by"]["text"], ":INPUT ACCEPT [0:0]");
    // What newly goes out is no exposure, but a change.
    let out = old.replace(":OUTPUT ACCEPT", ":OUTPUT DROP");
    assert_eq!(texts(&out, &old, &[]).1, 0);
    assert_eq!(texts(&out, &old, &["--fail-on", "any"]).1, 1);
    assert_eq!(texts(&out, &old, &["--fail-on", "never"]).1, 0);
}

#[test]
fn an_unknown_condition_that_stays_is_no_change() {
    // Whatever is above the rules that changed places, or between them.
    for unknown in [RECENT, OWNER, "-A INPUT -m addrtype --dst-type LOCAL -j RETURN\n"] {
        equal(&dump(&[unknown, SSH, WEB].concat()), &dump(&[unknown, WEB, SSH].concat()));
        equal(&dump(&[SSH, unknown, WEB].concat()), &dump(&[SSH, unknown, WEB, SSH].concat()));
    }
    // One that keeps its meaning in another place.
    equal(&dump(&[OWNER, WEB].concat()), &dump(&[WEB, OWNER].concat()));
}

#[test]
fn what_hangs_on_an_unknown_condition_is_told_as_undecided() {
    // Let in unless the source was seen misbehaving.
    let pair = changed(
        &dump(&[RECENT, SSH].concat()),
        &dump(&[RECENT, SSH, WEB].concat()),
        &["undecided accepted input tcp 0.0.0.0/0>0.0.0.0/0 80"],
    );
    let c = &pair["changes"][0];
    assert_eq!(pair["state"], "undecided");
    assert_eq!((&c["old"]["verdict"], &c["new"]["verdict"]), (&json!("drop"), &json!("undecided")));
    assert_eq!(c["witness_verdicts"], json!(["drop", "undecided"]));
    assert_eq!(c["because"][0]["location"]["line"], 8);
    assert!(c["because"][0]["text"].as_str().unwrap().contains("recent"));
    assert_eq!(c["exposure"], true, "what may come in counts");
    // The condition is removed, or moved below what it guarded.
    let guarded = dump(&[RECENT, WEB].concat());
    changed(&guarded, &dump(WEB), &["undecided accepted input tcp 0.0.0.0/0>0.0.0.0/0 80"]);
    changed(
        &guarded,
        &dump(&[WEB, RECENT].concat()),
        &["undecided accepted input tcp 0.0.0.0/0>0.0.0.0/0 80"],
    );
    changed(&dump(WEB), &guarded, &["undecided stopped input tcp 0.0.0.0/0>0.0.0.0/0 80"]);
    changed(&dump(OWNER), &dump(""), &["undecided stopped input tcp 0.0.0.0/0>0.0.0.0/0 8080"]);
    // The condition is another one, though the verdicts depend on something before and after.
    let other = OWNER.replace("1000", "1001");
    changed(&dump(OWNER), &dump(&other), &["undecided either input tcp 0.0.0.0/0>0.0.0.0/0 8080"]);
    // A line that is not understood may do anything.
    let broken = dump(&format!("-A INPUT -p tcp --dport 80 -j FROBNICATE\n{SSH}"));
    let (pair, code) = texts(&dump(SSH), &broken, &[]);
    assert_eq!(flows(&pair), ["undecided accepted input tcp 0.0.0.0/0>0.0.0.0/0 80"]);
    assert_eq!(code, 2, "the file is malformed");
    // Nobody writes the list any more: whatever asks for it may fare otherwise.
    let set = "-A INPUT -p tcp --dport 23 -m recent --set --name bad --mask 255.255.255.255 --rsource\n";
    let (pair, _) = texts(&dump(&[RECENT, set, WEB].concat()), &guarded, &[]);
    assert!(!flows(&pair).is_empty());
}

#[test]
fn limits_follow_the_assumption() {
    let limited = WEB.replace("-j", "-m limit --limit 5/sec -j");
    equal(&dump(&limited), &dump(WEB));
    let (pair, _) = texts(&dump(&limited), &dump(WEB), &["--assume", "throttled"]);
    assert_eq!(flows(&pair), ["undecided accepted input tcp 0.0.0.0/0>0.0.0.0/0 80"]);
    let (pair, _) =
        texts(&dump(&[&limited, SSH].concat()), &dump(&[SSH, &limited].concat()), &["--assume", "throttled"]);
    assert!(pair["changes"].as_array().unwrap().iter().all(|c| c["kind"] == "undecided"));
}

// A gateway that forwards what it translates.
fn nat(rules: &str) -> String {
    format!(
        "# Generated by iptables-save v1.8.9\n*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n{rules}COMMIT\n\
         *filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"
    )
}

#[test]
fn another_target_of_a_translation_is_told() {
    let rule =
        "-A PREROUTING -d 203.0.113.5/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.0.0.5\n";
    let (pair, code) = texts(&nat(rule), &nat(&rule.replace("10.0.0.5", "10.0.0.6")), &[]);
    let told = flows(&pair);
    assert!(told.contains(&"translated forward tcp 0.0.0.0/0>203.0.113.5 443".to_owned()), "{told:?}");
    assert!(told.iter().all(|f| f.starts_with("translated")), "{told:?}");
    assert_eq!(pair["changes"][0]["old"]["translated"]["to"], json!(["10.0.0.5"]));
    assert_eq!(pair["changes"][0]["new"]["translated"]["to"], json!(["10.0.0.6"]));
    assert_eq!(code, 1, "another machine is reached from the Internet");
    // A translation that depends on what the box's own addresses are.
    let docker = "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n";
    let publish = "-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\n";
    let (pair, _) = texts(&nat(docker), &nat(&[docker, publish].concat()), &[]);
    let told = flows(&pair);
    assert!(
        told.iter().any(|f| f.starts_with("undecided either input tcp") && f.ends_with("8080")),
        "{told:?}"
    );
    let (pair, _) = texts(&nat(docker), &nat(&[docker, publish].concat()), &["--local", "203.0.113.5"]);
    let told = flows(&pair);
    assert_eq!(told[0], "translated input tcp 0.0.0.0/0>127.0.0.0/8,203.0.113.5 8080");
}

/// A rule behind a translation asks for the new address; packets that were sent to the box arrive with the old one.
#[test]
fn a_rule_behind_a_translation_is_told_by_the_packets_that_arrive() {
    let gateway = |rules: &str| {
        format!(
            "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 203.0.113.5/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.0.0.5:8443\n\
             COMMIT\n*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n{rules}COMMIT\n"
        )
    };
    let rule = "-A FORWARD -d 10.0.0.5/32 -p tcp -m tcp --dport 8443 -j ACCEPT\n";
    let (pair, code) = texts(&gateway(""), &gateway(rule), &["--local", "203.0.113.5"]);
    assert_eq!(
        flows(&pair),
        [
            "accepted input tcp 0.0.0.0/0>203.0.113.5 443",
            "accepted forward tcp 0.0.0.0/0>10.0.0.5 8443",
            "accepted forward tcp 0.0.0.0/0>203.0.113.5 443",
        ]
    );
    assert_eq!(code, 1);
}

#[test]
fn packets_that_are_no_longer_tracked_are_told() {
    let raw = |rule: &str| {
        format!(
            "# Generated by iptables-save v1.8.9\n*raw\n:PREROUTING ACCEPT [0:0]\n{rule}COMMIT\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"
        )
    };
    let notrack = "-A PREROUTING -p udp -m udp --dport 53 -j NOTRACK\n";
    let (pair, code) = texts(&raw(""), &raw(notrack), &[]);
    let told = flows(&pair);
    assert!(
        !told.is_empty() && told.iter().all(|f| f.starts_with("tracked") && f.ends_with(" 53")),
        "{told:?}"
    );
    assert_eq!((pair["state"].as_str(), code), (Some("changed"), 0));
}

#[test]
fn sets_are_compared_by_their_elements() {
    let old = "table inet f {\n\tset s {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { 10.0.0.0/24, 10.0.1.0/24 }\n\t}\n\tchain in {\n\t\ttype filter hook input priority 0; policy drop;\n\t\tip saddr @s tcp dport vmap { 22 : accept, 80 : jump web }\n\t}\n\tchain web {\n\t\taccept\n\t}\n}\n";
    equal(old, &old.replace("10.0.0.0/24, 10.0.1.0/24", "10.0.0.0/23"));
    let other =
        |text: &str| text.replace("set s ", "set peers ").replace("@s ", "@peers ").replace("web", "pages");
    let constant = old.replace("flags interval", "flags constant, interval");
    equal(&constant, &other(&constant));
    // A set that may be filled at run time is another set under another name.
    let (pair, code) = texts(old, &other(old), &["--fail-on", "any"]);
    assert_eq!((pair["state"].as_str(), flows(&pair), code), (Some("undecided"), vec![], 1));
    equal(old, &old.replace("22 : accept, 80 : jump web", "80 : jump web, 22 : accept"));
    changed(
        old,
        &old.replace("22 : accept, ", "22 : accept, 23 : accept, "),
        &["accepted input tcp 10.0.0.0/23>0.0.0.0/0 23"],
    );
    changed(
        old,
        &old.replace(", 10.0.1.0/24", ""),
        &["stopped input tcp 10.0.1.0/24>0.0.0.0/0 22", "stopped input tcp 10.0.1.0/24>0.0.0.0/0 80"],
    );
}

#[test]
fn another_dialect_is_compared_whole() {
    let nft = "table ip filter {\n\tchain in {\n\t\ttype filter hook input priority 0; policy drop;\n\t\ttcp dport 80 accept\n\t}\n}\ntable ip6 filter {\n\tchain in {\n\t\ttype filter hook input priority 0; policy drop;\n\t}\n}\n";
    let iptables = dump(WEB).replace(":FORWARD DROP", ":FORWARD ACCEPT");
    let (pair, code) = texts(&iptables, nft, &["--fail-on", "any"]);
    assert_eq!((flows(&pair), pair["state"].as_str(), code), (vec![], Some("undecided"), 1));
    assert_eq!(pair["not_compared"], json!(["only the new side covers IPv6"]));
    let (pair, _) = texts(&iptables.replace("--dport 80", "--dport 81"), nft, &[]);
    assert_eq!(
        flows(&pair),
        ["accepted input tcp 0.0.0.0/0>0.0.0.0/0 80", "stopped input tcp 0.0.0.0/0>0.0.0.0/0 81",]
    );
}

/// What `iptables-nft-restore` and `nft list ruleset` make of a dump is the same firewall, whatever they call its tables and in which order they ask.
#[test]
fn a_migration_is_proven() {
    let iptables = "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n\
        -A PREROUTING -d 203.0.113.5/32 -p tcp -m tcp --dport 8443 -j DNAT --to-destination 10.0.20.11:443\n\
        -A POSTROUTING -s 10.0.0.0/8 -o eth0 -j MASQUERADE\nCOMMIT\n\
        *filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:WEB - [0:0]\n\
        -A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
        -A INPUT -s 10.0.0.0/8 -d 10.0.20.10/32 -p udp -m multiport --dports 264,1444 -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 443 -j WEB\n\
        -A WEB -s 203.0.113.64/26 -j DROP\n-A WEB -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n";
    let nft = "table ip nat {\n\tchain PREROUTING {\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n\
        \t\tip daddr 203.0.113.5 tcp dport 8443 counter packets 0 bytes 0 dnat to 10.0.20.11:443\n\t}\n\
        \tchain INPUT {\n\t\ttype nat hook input priority srcnat; policy accept;\n\t}\n\
        \tchain OUTPUT {\n\t\ttype nat hook output priority dstnat; policy accept;\n\t}\n\
        \tchain POSTROUTING {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n\
        \t\toifname \"eth0\" ip saddr 10.0.0.0/8 counter packets 0 bytes 0 masquerade\n\t}\n}\n\
        table ip filter {\n\tchain WEB {\n\t\tip saddr 203.0.113.64/26 counter packets 0 bytes 0 drop\n\t\tct state new counter packets 0 bytes 0 accept\n\t}\n\
        \tchain INPUT {\n\t\ttype filter hook input priority filter; policy drop;\n\t\tiifname \"lo\" counter packets 0 bytes 0 accept\n\
        \t\tct state related,established counter packets 0 bytes 0 accept\n\
        \t\tmeta l4proto udp ip saddr 10.0.0.0/8 ip daddr 10.0.20.10 udp dport { 264, 1444 } counter packets 0 bytes 0 accept\n\
        \t\ttcp dport 443 counter packets 0 bytes 0 jump WEB\n\t}\n\
        \tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n\
        \tchain OUTPUT {\n\t\ttype filter hook output priority filter; policy accept;\n\t}\n}\n";
    equal(iptables, nft);
    let lost = nft.replace("\t\tip saddr 203.0.113.64/26 counter packets 0 bytes 0 drop\n", "");
    assert_ne!(lost, nft);
    let (pair, code) = texts(iptables, &lost, &["--fail-on", "any"]);
    assert_eq!((pair["state"].as_str(), code), (Some("changed"), 1));
    assert_eq!(flows(&pair)[0], "accepted input tcp 203.0.113.64/26>0.0.0.0/0 443");
}

#[test]
fn loopback_and_answers_are_no_exposure() {
    let lo = "-A INPUT -i lo -j ACCEPT\n";
    let answers = "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n";
    let (pair, code) = texts(&dump(SSH), &dump(&[lo, answers, SSH].concat()), &[]);
    assert_eq!((pair["state"].as_str(), code), (Some("changed"), 0), "{:?}", flows(&pair));
    let private = "-A INPUT -s 10.0.0.0/8 -j ACCEPT\n";
    assert_eq!(texts(&dump(SSH), &dump(&[SSH, private].concat()), &[]).1, 0);
    assert_eq!(texts(&dump(SSH), &dump(&[SSH, "-A FORWARD -s 1.1.1.1/32 -j ACCEPT\n"].concat()), &[]).1, 1);
}

#[test]
fn one_side_comes_from_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fw.rules");
    fs::write(&file, dump(&[SSH, WEB].concat())).unwrap();
    let (out, code) = run(&["diff", "-", file.to_str().unwrap()], &dump(SSH));
    assert_eq!(code, 1);
    assert!(out.starts_with("<stdin> -> "), "{out}");
    assert!(
        out.contains("newly accepted from the Internet: input tcp 0.0.0.0/0 > 0.0.0.0/0 port 80"),
        "{out}"
    );
    assert!(out.contains("new: lets it through") && out.contains("old: stops it"), "{out}");
    assert!(out.contains("1 firewall compared: 0 equal, 1 changed, 0 undecided"), "{out}");
    let (out, code) =
        run(&["diff", file.to_str().unwrap(), "-", "--dialect", "iptables", "--quiet"], &dump(SSH));
    assert_eq!(code, 0);
    assert!(out.contains("newly stopped: input tcp") && !out.contains("compared"), "{out}");
    assert_eq!(run(&["diff", "-", "-"], "").1, 2);
    assert_eq!(run(&["diff", "-", dir.path().to_str().unwrap()], &dump(SSH)).1, 2);
    assert_eq!(run(&["diff", file.to_str().unwrap(), "no-such-file"], "").1, 2);
}

#[test]
fn folders_are_paired_by_path() {
    let dir = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("a/same.rules", &dump(SSH));
    put("b/same.rules", &dump(SSH));
    put("a/x/edited.rules", &dump(SSH));
    put("b/x/edited.rules", &dump(""));
    put("a/y/name.rules", &dump(SSH));
    put("b/y/renamed.rules", &dump(SSH));
    put("a/z/gone.rules", &dump(SSH));
    put("b/w/fresh.rules", &dump(SSH));
    put("b/readme.txt", "nothing");
    let [a, b] = ["a", "b"].map(|d| dir.path().join(d).to_str().unwrap().to_owned());
    let (out, code) = run(&["diff", &a, &b, "--format", "json"], "");
    let told: Value = serde_json::from_str(&out).unwrap();
    let name = |v: &Value| v.as_str().map(|p| p.rsplit('/').next().unwrap().to_owned());
    let pairs: Vec<_> = told["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (name(&p["old"]), name(&p["new"]), p["state"].as_str().unwrap()))
        .collect();
    let some = |s: &str| Some(s.to_owned());
    assert_eq!(
        pairs,
        [
            (some("same.rules"), some("same.rules"), "equal"),
            (None, some("fresh.rules"), "undecided"),
            (some("edited.rules"), some("edited.rules"), "changed"),
            (some("name.rules"), some("renamed.rules"), "equal"),
            (some("gone.rules"), None, "undecided"),
        ]
    );
    assert_eq!(code, 0, "nothing newly comes in");
    let (out, code) = run(&["diff", &a, &b, "--fail-on", "any"], "");
    assert_eq!(code, 1);
    assert!(out.contains("new file: nothing to compare it with"), "{out}");
    assert!(out.contains("removed file: nothing to compare it with"), "{out}");
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let empty = empty.to_str().unwrap();
    assert_eq!(run(&["diff", empty, empty], "").1, 3);
}

#[test]
fn network_acls_and_groups_are_compared() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/aws/cases/acl-closes");
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "json") {
            let text = fs::read_to_string(&path).unwrap().replace("\"deny\"", "\"allow\"");
            fs::write(dir.path().join(path.file_name().unwrap()), text).unwrap();
        }
    }
    let (out, code) =
        run(&["diff", root.to_str().unwrap(), dir.path().to_str().unwrap(), "--format", "json"], "");
    let told: Value = serde_json::from_str(&out).unwrap();
    let pair = &told["pairs"][0];
    let changes = pair["changes"].as_array().unwrap();
    assert!(!changes.is_empty() && code == 1, "{out}");
    assert!(changes.iter().all(|c| c["kind"] == "accepted" || c["kind"] == "undecided"), "{:?}", flows(pair));
    assert!(changes.iter().all(|c| c["group"].is_string()), "{out}");
}
