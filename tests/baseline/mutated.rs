//! Fixtures of every dialect, each changed in many small ways after all that was found in it was accepted: what is worse comes out.
//!
//! `HAVENLINT_MUTATIONS=200` tries more changes of each file, `HAVENLINT_SEED` others.

use crate::worse::{open, samples, was};
use crate::{accepting, copy, found, line, settled};
use havenlint::finding::{Finding, Severity, State};
use havenlint::session::Outcome;
use havenlint::triage::baseline::Baseline;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

#[path = "../support/random.rs"]
#[allow(dead_code)]
mod random;
use random::Random;

/// Changes of each file.
const TRIED: usize = 5;

const FOLDERS: &[&str] = &[
    "demo",
    "web-servers",
    "exposed",
    "iptables/host",
    "iptables/docker",
    "iptables/ufw",
    "nftables/server",
    "nftables/router",
    "nftables/container-host",
    "pfsense/edge-east",
    "pfsense/forwards",
    "pfsense/multi-wan",
    "pfsense/nat",
    "pfsense/opnsense",
    "aws/demo-site",
    "aws/cases/acl-ssh",
    "aws/cases/half-and-half",
    "aws/cases/partner",
    "aws/cases/two-groups",
    "aws/cases/inner-services",
];

/// Other words for words of rulesets: wider, another action, another port, another policy.
const WORDS: &[(&str, &str)] = &[
    ("/32", "/8"),
    ("/24", "/4"),
    ("/16", "/0"),
    ("/128", "/3"),
    ("ACCEPT", "DROP"),
    ("DROP", "ACCEPT"),
    ("accept", "drop"),
    ("drop", "accept"),
    ("reject", "accept"),
    ("REJECT", "ACCEPT"),
    ("<type>pass", "<type>block"),
    ("<type>block", "<type>pass"),
    ("<type>reject", "<type>pass"),
    ("--dport 22", "--dport 23"),
    ("--dport 443", "--dport 3389"),
    ("--dport ", "--dport 1:"),
    ("dport 22", "dport 0-65535"),
    ("dport 443", "dport 3389"),
    ("<port>443", "<port>3389"),
    ("<port>", "<port>1:"),
    ("-i eth0 ", ""),
    ("-p tcp", "! -p tcp"),
    ("-m conntrack --ctstate RELATED,ESTABLISHED ", ""),
    ("iifname", "oifname"),
    ("ip saddr", "ip saddr !="),
    ("<not/>", ""),
    ("<disabled/>", ""),
    ("<quick>yes</quick>", ""),
    ("established,related", "new"),
    ("-s 10.", "-s 11."),
];

/// A text with one piece taken away, doubled further on, changed with its neighbour, or said in other words.
fn changed_text(random: &mut Random, text: &str, is_xml: bool) -> Option<String> {
    let pieces: Vec<&str> = if is_xml {
        // A rule with its end; what stands between rules is a piece of its own.
        text.split_inclusive("</rule>")
            .flat_map(|p| match p.rfind("<rule") {
                Some(at) => vec![&p[..at], &p[at..]],
                None => vec![p],
            })
            .collect()
    } else {
        text.split_inclusive('\n').collect()
    };
    let is_rule = |p: &&str| match is_xml {
        true => p.starts_with("<rule"),
        false => !p.trim().is_empty() && !p.trim_start().starts_with('#'),
    };
    let rules: Vec<usize> = (0..pieces.len()).filter(|i| is_rule(&pieces[*i])).collect();
    if rules.is_empty() {
        return None;
    }
    let n = random.below(rules.len());
    let mut out: Vec<String> = pieces.iter().map(|p| (*p).to_owned()).collect();
    let at = rules[n];
    match random.below(6) {
        0 => out[at].clear(),
        1 => out.swap(at, *rules.get(n + 1)?),
        2 => out.swap(at, *random.pick(&rules)),
        _ => {
            let fit: Vec<_> = WORDS.iter().filter(|(old, _)| out[at].contains(old)).collect();
            let (old, new) = *fit.get(random.below(fit.len().max(1)))?;
            out[at] = out[at].replacen(old, new, 1);
        }
    }
    Some(out.concat())
}

/// A document with one element taken away or changed with its neighbour, or one value changed.
fn changed_json(random: &mut Random, text: &str) -> Option<String> {
    let mut document: Value = serde_json::from_str(text).ok()?;
    let mut ways = Vec::new();
    ways_of(&document, "", &mut ways);
    let way = random.pick(&ways).clone();
    let key = way.rsplit('/').next().unwrap_or_default().to_owned();
    match document.pointer_mut(&way)? {
        Value::Array(list) if !list.is_empty() => {
            let n = random.below(list.len());
            match random.below(2) {
                0 => drop(list.remove(n)),
                _ if n + 1 < list.len() => list.swap(n, n + 1),
                _ => return None,
            }
        }
        value @ Value::String(_) => {
            let old = value.as_str().unwrap_or_default();
            *value = json!(match old {
                "allow" => "deny",
                "deny" => "allow",
                "tcp" => "-1",
                "drop" => "accept",
                _ if old.contains(':') && old.contains('/') => "::/0",
                _ if old.contains('/') && old.contains('.') => "0.0.0.0/0",
                _ => return None,
            });
        }
        value @ Value::Number(_)
            if key.contains("Port") || key == "From" || key == "To" || key == "right" =>
        {
            *value = json!(*random.pick(&[0, 22, 3389, 65535]));
        }
        value @ Value::Bool(_) => *value = json!(value == false),
        _ => return None,
    }
    serde_json::to_string_pretty(&document).ok()
}

fn ways_of(value: &Value, way: &str, out: &mut Vec<String>) {
    out.push(way.to_owned());
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, v)| ways_of(v, &format!("{way}/{i}"), out))
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(k, v)| {
                ways_of(v, &format!("{way}/{}", k.replace('~', "~0").replace('/', "~1")), out)
            });
        }
        _ => {}
    }
}

/// What is worse than before and is not told by any finding that is new.
fn hidden(before: &Outcome, after: &Outcome, baseline: &Baseline) -> Vec<String> {
    let new = settled(baseline, after).new;
    let told: BTreeSet<(&str, &str)> = new.iter().map(|f| (f.rule.as_str(), f.subject.as_str())).collect();
    let mut out = Vec::new();
    for states in [&[State::Violated][..], &[State::Violated, State::Undecided]] {
        for s in samples(&after.report, states).iter().filter(|s| !was(&before.report, s, states)) {
            if !told.contains(&(s.0.as_str(), s.1.as_str())) {
                out.push(format!("{states:?} {s:?}"));
            }
        }
    }
    let key = |f: &Finding| (f.rule.clone(), f.subject.clone(), f.location.path.clone());
    let errors = |o: &Outcome| -> BTreeSet<_> {
        o.report.findings.iter().filter(|f| f.level == Severity::Error).map(key).collect()
    };
    for e in errors(after).difference(&errors(before)) {
        if !new.iter().any(|f| f.level == Severity::Error && key(f) == *e) {
            out.push(format!("{e:?}"));
        }
    }
    for o in open(&after.report).difference(&open(&before.report)) {
        let rules = ["HL-EXPOSED-", "HL-ANY-ANY", "HL-POLICY-ACCEPT", "HL-AWS-", "HL-PF-", "HL-IPV6-"];
        if !new.iter().any(|f| line(f).contains(&o.0) && rules.iter().any(|r| f.rule.starts_with(r))) {
            out.push(format!("{o:?}"));
        }
    }
    if !out.is_empty() {
        out.push(format!("new: {:#?}", new.iter().map(line).collect::<Vec<_>>()));
    }
    out
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let all = WalkDir::new(dir).sort_by_file_name().into_iter().map(Result::unwrap);
    let rulesets = |p: &PathBuf| {
        let name = p.file_name().unwrap().to_string_lossy();
        [".rules", ".v4", ".v6", ".nft", ".xml", ".json"].iter().any(|e| name.ends_with(e))
            && !name.contains("expect")
    };
    all.filter(|e| e.file_type().is_file()).map(walkdir::DirEntry::into_path).filter(rulesets).collect()
}

fn set(name: &str) -> Option<usize> {
    std::env::var(name).ok().and_then(|v| v.parse().ok())
}

#[test]
fn no_change_of_a_fixture_gets_worse_unseen() {
    let (tries, seed) = (set("HAVENLINT_MUTATIONS").unwrap_or(TRIED), set("HAVENLINT_SEED").unwrap_or(1));
    let (mut tried, mut worse) = (0, 0);
    for folder in FOLDERS {
        let dir = copy(folder);
        let before = found(dir.path());
        let baseline = accepting(&before);
        assert!(settled(&baseline, &before).new.is_empty(), "{folder}");
        let problems = before.report.problems.len();
        for (f, path) in files(dir.path()).into_iter().enumerate() {
            let text = fs::read_to_string(&path).unwrap();
            let is = |end: &str| path.to_string_lossy().ends_with(end);
            for n in 0..tries {
                let mut random = Random::new(seed as u64, (f * 1_000_000 + n) as u64);
                let changed = match is(".json") {
                    true => changed_json(&mut random, &text),
                    false => changed_text(&mut random, &text, is(".xml")),
                };
                let Some(changed) = changed.filter(|c| *c != text) else { continue };
                fs::write(&path, &changed).unwrap();
                let after = found(dir.path());
                // What cannot be read is status 2, whatever was accepted.
                if after.report.problems.len() <= problems {
                    tried += 1;
                    let hidden = hidden(&before, &after, &baseline);
                    worse += usize::from(!settled(&baseline, &after).new.is_empty());
                    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hidden.input");
                    fs::write(&kept, &changed).unwrap();
                    assert!(
                        hidden.is_empty(),
                        "{folder}: {}, change {n} of seed {seed}, kept in {}: {}",
                        path.strip_prefix(dir.path()).unwrap().display(),
                        kept.display(),
                        hidden.join("\n")
                    );
                }
            }
            fs::write(&path, text).unwrap();
        }
    }
    assert!(tried > 60 && worse > 30, "{tried} changes, {worse} of them with something new");
}
