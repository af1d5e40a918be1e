//! What gets worse comes out, whatever was accepted.

use crate::{accepting, copy, edit, found, havenlint, line, report, settled};
use havenlint::finding::{Flow, Report, State};
use havenlint::packet::addr;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The two rules that let peers in whom nobody has missed so far.
fn without_two_peers(text: &str) -> String {
    let gone = |l: &&str| {
        l.contains("tcp --dport 20082") && (l.contains("-s 10.1.0.10/32") || l.contains("-s 172.31.4.11/32"))
    };
    text.lines().filter(|l| !gone(l)).map(|l| format!("{l}\n")).collect()
}

#[test]
fn more_peers_that_are_shut_out() {
    let dir = copy("demo");
    let root = dir.path();
    assert_eq!(havenlint(root, &["baseline", "write"]).0, 0);
    assert_eq!(havenlint(root, &["check", "--fail-on", "note"]).0, 0);
    edit(root, "hosts/srn-west.v4.rules", without_two_peers);
    let (status, report) = report(root, &[]);
    assert_eq!(status, 1);
    let new: Vec<_> =
        report.findings.iter().filter(|f| f.level == havenlint::finding::Severity::Error).collect();
    assert_eq!(new.len(), 1, "{:#?}", report.findings);
    assert_eq!((new[0].rule.as_str(), new[0].subject.as_str()), ("SH4-SRN-CLUSTER", "srn-west"));
    let more = &new[0].details[0];
    assert_eq!(more.0, "new");
    assert!(more.1.contains("10.1.0.10, 172.31.4.11 > 10.2.0.11 port 20082"), "{more:?}");
    assert!(!more.1.contains("10.1.0.11"), "that one was accepted: {more:?}");
}

#[test]
fn what_is_gone_is_reported_and_pruned() {
    let dir = copy("demo");
    let root = dir.path();
    edit(root, "hosts/srn-west.v4.rules", without_two_peers);
    assert_eq!(havenlint(root, &["baseline", "write"]).0, 0);
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo/hosts/srn-west.v4.rules"),
        root.join("hosts/srn-west.v4.rules"),
    )
    .unwrap();
    // Two of three peers are let in again: that is said, and fails where it is wanted.
    let (status, now) = report(root, &[]);
    assert_eq!(status, 0);
    let stale: Vec<_> = now.findings.iter().filter(|f| f.rule == "HL-BASELINE-STALE").collect();
    assert_eq!(stale.len(), 1, "{:#?}", now.findings);
    assert!(stale[0].details.iter().any(|d| d.1.contains("SH4-SRN-CLUSTER") && d.1.contains("no more: ")));
    assert_eq!(report(root, &["--ratchet"]).0, 1);
    // A run that looks elsewhere says nothing about it.
    assert_eq!(report(root, &["--ratchet", "--select", "HL-AWS"]).0, 0);
    assert_eq!(havenlint(root, &["baseline", "prune"]).0, 0);
    assert_eq!(report(root, &["--ratchet"]).0, 0);
    // From then on they are not accepted any more; the third still is.
    edit(root, "hosts/srn-west.v4.rules", without_two_peers);
    assert_eq!(report(root, &[]).0, 1);
}

#[test]
fn undecided_is_not_violated() {
    let rule = "-A INPUT -s 10.0.8.15/32 -p tcp -m tcp --dport 20081 -j ACCEPT\n";
    let dump = |rule: &str| {
        format!(
            "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -s 10.0.8.16/32 -j DROP\n{rule}COMMIT\n"
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cms.rules");
    let maybe = rule.replace("-j ACCEPT", "-m string --algo bm --string x -j ACCEPT");
    let args = [
        "--role",
        "cms",
        "--set",
        "gui=10.0.8.15",
        "--select",
        "SH4-CMS-GUI",
        "cms.rules",
        "--fail-on",
        "warning",
    ];
    let check = |text: &str| {
        fs::write(&file, dump(text)).unwrap();
        report(dir.path(), &args)
    };
    let write = [&["baseline", "write"], &args[..4], &["cms.rules"]].concat();
    fs::write(&file, dump(&maybe)).unwrap();
    assert_eq!(havenlint(dir.path(), &write).0, 0);
    assert_eq!(check(&maybe).0, 0, "accepted");
    let (status, worse) = check("");
    assert_eq!(status, 1);
    assert!(worse.findings.iter().any(|f| f.rule == "SH4-CMS-GUI"), "{:#?}", worse.findings);
    // Undecided for another reason is another question.
    assert_eq!(
        check(&rule.replace("-j ACCEPT", "-m statistic --mode random --probability 0.5 -j ACCEPT")).0,
        1
    );
    // What was shut out for certain and now may pass is no worse.
    fs::write(&file, dump("")).unwrap();
    assert_eq!(havenlint(dir.path(), &write).0, 0);
    assert_eq!(check(&maybe).0, 0);
}

/// Changes of a line of a ruleset; what cannot be read afterwards is left out by the test.
fn changes(line: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    for (old, new) in [
        ("--dport 20082", "--dport 22"),
        ("dport 20082", "dport 22"),
        ("-s 10.1.0.10/32 ", ""),
        ("-i eth0 ", ""),
        ("ip saddr 10.1.0.10 ", ""),
        (" DROP [", " ACCEPT ["),
        ("policy drop", "policy accept"),
        ("accept", "drop"),
        ("-j ACCEPT", "-j DROP"),
        ("-j DROP", "-j ACCEPT"),
        ("--dport 22 ", "--dport 22:23 "),
    ] {
        if line.contains(old) {
            out.push(line.replacen(old, new, 1));
        }
    }
    if line.starts_with("-A INPUT") {
        out.push(format!("-A INPUT -p tcp -m tcp --dport 3306 -j ACCEPT\n{line}"));
        out.push(format!("-A INPUT -j ACCEPT\n{line}"));
    }
    out
}

/// A flow that a requirement fails for, by one of its packets.
pub type Sample = (String, String, String, String, String, String, String);

/// First and last addresses and ports of all flows that some requirements are broken (or undecided) for.
pub fn samples(report: &Report, states: &[State]) -> BTreeSet<Sample> {
    let mut out = BTreeSet::new();
    let ends = |list: &[String]| -> Vec<String> {
        let sets = list.iter().filter_map(|t| addr::parse(t));
        sets.flat_map(|s| [s.first().unwrap(), s.last().unwrap()])
            .map(|v| addr::addr(v).to_string())
            .collect()
    };
    for r in report.requirements.iter().filter(|r| states.contains(&r.state)) {
        for f in &r.remainder {
            for (from, to) in
                ends(&f.from).iter().flat_map(|a| ends(&f.to).into_iter().map(move |b| (a.clone(), b)))
            {
                for port in f.port.split([',', '-']) {
                    let s = (&r.id, &r.subject, &r.at, &from, &to, &f.proto);
                    out.insert((
                        s.0.clone(),
                        s.1.clone(),
                        s.2.clone(),
                        s.3.clone(),
                        s.4.clone(),
                        s.5.clone(),
                        port.to_owned(),
                    ));
                }
            }
        }
    }
    out
}

/// Whether some requirement was broken for the packet before.
pub fn was(report: &Report, s: &Sample, states: &[State]) -> bool {
    let holds = |list: &[String], a: &str| {
        let a = addr::parse(a).unwrap();
        list.iter().filter_map(|t| addr::parse(t)).any(|set| set.covers(&a))
    };
    let port = |f: &Flow| {
        let Ok(p) = s.6.parse::<u32>() else { return f.port == s.6 || f.port.is_empty() };
        f.port.split(',').any(|range| {
            let (lo, hi) = range.split_once('-').unwrap_or((range, range));
            lo.parse::<u32>().is_ok_and(|lo| lo <= p) && hi.parse::<u32>().is_ok_and(|hi| p <= hi)
        })
    };
    let same = |f: &Flow| holds(&f.from, &s.3) && holds(&f.to, &s.4) && f.proto == s.5 && port(f);
    let of = report.requirements.iter().filter(|r| (&r.id, &r.subject, &r.at) == (&s.0, &s.1, &s.2));
    of.filter(|r| states.contains(&r.state)).any(|r| r.remainder.iter().any(same))
}

/// Sensitive services that are open to anybody: who lets them in, and which.
pub fn open(report: &Report) -> BTreeSet<(String, String, u8, String)> {
    let outside = report.open.iter().filter(|o| o.state == "open" && o.facing != "inside");
    let of = |o: &havenlint::finding::Open| {
        let o = o.clone();
        o.services.clone().into_iter().map(move |s| (o.subject.clone(), o.place.clone(), o.family, s))
    };
    outside.flat_map(of).collect()
}

/// Every line of the demo's rulesets, taken away or changed: each flow that newly fails, and each service that is newly open, is found.
#[test]
fn every_change_that_makes_something_worse_is_found() {
    let dir = copy("demo");
    let before = found(dir.path());
    let baseline = accepting(&before);
    assert!(settled(&baseline, &before).new.is_empty());
    assert!(settled(&baseline, &before).stale.is_empty());
    let (broken, open_states) = ([State::Violated], [State::Violated, State::Undecided]);
    let open_before = open(&before.report);
    let (mut tried, mut worse) = (0, 0);
    for file in ["hosts/srn-west.v4.rules", "hosts/cms-1.v4.rules", "hosts/srn-east.nft"] {
        let path = dir.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (n, old) in lines.iter().enumerate() {
            let rule = old.starts_with("-A ") || old.starts_with(':') || old.starts_with("\t\t");
            // Each line is taken away; each third is changed too, in one way: all ways come up, in different chains.
            let mut changes = changes(old);
            let gone = changes.remove(0);
            let other = changes.get(n / 3 % changes.len().max(1)).filter(|_| n % 3 == 0).cloned();
            let other = [gone].into_iter().chain(other);
            for new in other.filter(|_| rule) {
                let mut edited: Vec<&str> = lines.clone();
                edited[n] = &new;
                fs::write(&path, edited.join("\n") + "\n").unwrap();
                let after = found(dir.path());
                if !after.report.problems.is_empty() {
                    continue;
                }
                tried += 1;
                let settled = settled(&baseline, &after);
                let told: BTreeSet<(&str, &str)> =
                    settled.new.iter().map(|f| (f.rule.as_str(), f.subject.as_str())).collect();
                let change = format!("{file}:{}: `{old}` became `{new}`", n + 1);
                for (states, before_states) in [(&broken[..], &broken[..]), (&open_states, &open_states)] {
                    for s in samples(&after.report, states) {
                        if was(&before.report, &s, before_states) {
                            continue;
                        }
                        worse += 1;
                        assert!(
                            told.contains(&(s.0.as_str(), s.1.as_str())),
                            "{change}\n{s:?} is not told\n{told:?}"
                        );
                    }
                }
                for o in open(&after.report).difference(&open_before) {
                    worse += 1;
                    let exposed = |f: &&havenlint::finding::Finding| {
                        let rules = ["HL-EXPOSED-", "HL-ANY-ANY", "HL-POLICY-ACCEPT"];
                        f.subject == o.0 && rules.iter().any(|r| f.rule.starts_with(r))
                    };
                    let lines: Vec<String> = settled.new.iter().map(line).collect();
                    assert!(
                        settled.new.iter().any(|f| exposed(&f)),
                        "{change}\n{o:?} is not told\n{lines:#?}"
                    );
                }
            }
        }
        fs::write(&path, text).unwrap();
    }
    assert!(tried > 80 && worse > 50, "{tried} changes, {worse} flows and services that are worse");
}
