//! Rulesets that the real `nft` was given, beside this reader: every form of a ruleset is one model, and whatever nft accepts is read.
//!
//! The rows come from a folder outside of the project; where it is absent the tests say so.

use flate2::read::GzDecoder;
use havenlint::dialect::{Dialect, ReadOptions, nftables::Nftables};
use havenlint::model::{Firewall, display::canonical};
use havenlint::source::{Severity, SourceFile};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

fn rows(name: &str) -> Option<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors").join(name);
    let Ok(file) = std::fs::File::open(&path) else {
        println!("SKIPPED: no vectors at {}", path.display());
        return None;
    };
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    Some(lines.map(|l| serde_json::from_str(&l.unwrap()).unwrap()).collect())
}

fn read(name: &str, text: &str) -> Firewall {
    Nftables.read(&[SourceFile::new(name, text)], &ReadOptions::default())
}

fn errors(f: &Firewall) -> Vec<String> {
    f.diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .map(|d| format!("{}: {}", f.locate(d.origin).line, d.message))
        .collect()
}

/// The few rows that were cut out of a larger test: they name a map that they do not declare, or declare a set on one line.
const NOT_A_RULESET: &[&str] = &[
    "this table has no set `map1`",
    "the end of the statement is expected, not `timeout`",
    "the end of the statement is expected, not `flags`",
];

/// Rules of which nft's own listing loses a part: `meta l4proto` before raw bytes, `meta nfproto` before `ct protocol`, the outer tag of
/// two, the direction of `ct protocol`.
const LOST_IN_LISTING: &[&str] = &[
    "meta l4proto 91 @th,0,16 0x0 accept",
    "meta nfproto ipv6 ct protocol 6",
    "ether type vlan vlan id 2",
    "ct original protocol 17 ct reply proto-src 53",
    // In chains of devices the type of the frame, and a write behind tests of arp, are left out.
    "meta iifname \"invalid\" arp ptype 0x0800 arp htype 1 arp hlen 6 arp plen 4 @nh,192,32 0xc0a88f10 @nh,144,48 set 0x112233445566",
    "ether type vlan vlan id 4094",
    "ether type vlan vlan id 0",
    "ether type vlan vlan id 4094 vlan dei 0",
    "ether type vlan vlan id 4094 vlan dei 1",
    "ether type vlan vlan id 1 ip saddr 10.0.0.0/23 udp dport 53",
    "ether type 8021ad vlan id 1 vlan type 8021q vlan id 2 vlan type ip ip protocol 6",
];

#[derive(Default)]
struct Tally {
    cut_out: usize,
    exact: usize,
    opaque: usize,
    not_understood: usize,
    refused_and_accepted: usize,
    complaints: BTreeMap<String, Vec<String>>,
}

impl Tally {
    fn complain(&mut self, what: &str, text: String) {
        self.complaints.entry(what.to_owned()).or_default().push(text);
    }

    fn report(&self, name: &str) {
        println!(
            "{name}: {} exact, {} with opaque parts, {} not understood; {} read though nft refuses them, {} no whole ruleset",
            self.exact, self.opaque, self.not_understood, self.refused_and_accepted, self.cut_out
        );
        let show = std::env::var("HAVENLINT_SHOW").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
        for (what, texts) in &self.complaints {
            println!("== {what}: {}", texts.len());
            texts.iter().take(show).for_each(|t| println!("{t}\n"));
        }
    }
}

#[test]
fn single_rules_read_alike_in_every_form() {
    let Some(rows) = rows("nftables.jsonl.gz") else { return };
    let mut tally = Tally::default();
    for row in &rows {
        let text = row["text"].as_str().unwrap();
        let rule = row["rule"].as_str().unwrap();
        let f = read("text.nft", text);
        let accepted = row["suite"].as_bool().unwrap() || row["loads"].as_bool().unwrap();
        let problems = errors(&f);
        if !accepted {
            tally.refused_and_accepted += usize::from(problems.is_empty());
            continue;
        }
        let cut_out = problems.iter().all(|p| NOT_A_RULESET.iter().any(|n| p.contains(n)));
        if row["loads"] == false && !problems.is_empty() && cut_out {
            tally.cut_out += 1;
        } else if !problems.is_empty() || f.ledger.not_understood > 0 {
            tally.not_understood += 1;
            tally.complain(
                "not understood",
                format!("[{}] {rule}\n   {}", row["family"], problems.join("\n   ")),
            );
        } else if f.ledger.approximated > 0 {
            tally.opaque += 1;
        } else {
            tally.exact += 1;
        }
        if LOST_IN_LISTING.contains(&rule) {
            continue;
        }
        let model = canonical(&f);
        for (form, other) in forms(row) {
            let g = read("other.nft", &other);
            let said = errors(&g);
            if !said.is_empty() {
                tally.complain(
                    &format!("{form} not understood"),
                    format!("{rule}\n   {}\n{other}", said.join("\n   ")),
                );
            } else if form == "json"
                && row["family"] == "netdev"
                && other.contains("\"hook\":\"ingress\",\"prio\"")
            {
                // nft 1.0.6 leaves the device of a chain out of its JSON: then any device may be meant.
                assert!(canonical(&g).contains("devices that the ruleset does not tell"), "{other}");
            } else if canonical(&g) != model {
                tally.complain(
                    &format!("{form} differs"),
                    format!("{rule}\n{other}\n{model}---\n{}", canonical(&g)),
                );
            }
        }
    }
    tally.report("nftables.jsonl");
    assert!(
        tally.complaints.is_empty(),
        "{:?}",
        tally.complaints.iter().map(|(k, v)| (k, v.len())).collect::<Vec<_>>()
    );
}

fn forms(row: &Value) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if let Some(listed) = row["listed"].as_str() {
        out.push(("listing", listed.to_owned()));
    }
    if row["json"].is_object() {
        out.push(("json", row["json"].to_string()));
    }
    out
}

#[test]
fn whole_rulesets_read_alike_in_both_forms() {
    let Some(rows) = rows("nftables-pairs.jsonl.gz") else { return };
    let mut tally = Tally::default();
    for row in &rows {
        let text = row["text"].as_str().unwrap();
        let from = row["from"].as_str().unwrap();
        let f = read("text.nft", text);
        let problems = errors(&f);
        if !problems.is_empty() || f.ledger.not_understood > 0 {
            tally.not_understood += 1;
            tally.complain("not understood", format!("{from}\n   {}", problems.join("\n   ")));
        } else if f.ledger.approximated > 0 {
            tally.opaque += 1;
        } else {
            tally.exact += 1;
        }
        for (form, other) in forms(row) {
            let g = read("other.nft", &other);
            let said = errors(&g);
            if !said.is_empty() {
                tally.complain(
                    &format!("{form} not understood"),
                    format!("{from}\n   {}", said.join("\n   ")),
                );
            } else if canonical(&g) != canonical(&f) {
                tally.complain(
                    &format!("{form} differs"),
                    format!("{from}\n{text}\n{}---\n{}", canonical(&f), canonical(&g)),
                );
            }
        }
    }
    tally.report("nftables-pairs.jsonl");
    assert!(
        tally.complaints.is_empty(),
        "{:?}",
        tally.complaints.iter().map(|(k, v)| (k, v.len())).collect::<Vec<_>>()
    );
}
