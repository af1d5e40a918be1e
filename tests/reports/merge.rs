//! Reports of shards, joined: what the JSON says comes back whole, and in any order.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use crate::sample::{render, report};
use havenlint::finding::merge::merge;
use havenlint::finding::{Report, Summary};
use havenlint::report::Style;

fn json(report: &Report) -> String {
    render("json", report, &Style::default())
}

/// The sample without or with only what is about one file.
fn shard(file: &str) -> Report {
    let mut it = report();
    it.inputs.retain(|i| i.path == file);
    it.findings.retain(|f| f.location.path == file);
    it.waived.retain(|w| w.finding.location.path == file);
    it.problems.retain(|p| p.location.path == file);
    it.requirements.retain(|r| (r.at == file) != file.starts_with("aws"));
    it.summary = Summary::of(&it.requirements, &it.findings);
    it
}

#[test]
fn a_report_is_read_back_whole() {
    let text = json(&report());
    let back: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(json(&back), text);
}

#[test]
fn shards_joined_in_any_order_are_the_report_of_the_whole() {
    let (a, b) = (shard("hosts/srn-west.v4.rules"), shard("aws/security groups.json"));
    let whole = json(&merge(vec![report()]).unwrap());
    assert_eq!(json(&merge(vec![a.clone(), b.clone()]).unwrap()), whole);
    assert_eq!(json(&merge(vec![b.clone(), a.clone(), a, b]).unwrap()), whole);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let mut other = report();
    other.catalogue.sha256 = "11".repeat(32).into();
    assert!(merge(vec![report(), other]).unwrap_err().to_string().contains("contents of the catalogue"));
    let mut changed = report();
    changed.inputs[0].sha256 = "22".repeat(32).into();
    let error = merge(vec![report(), changed]).unwrap_err().to_string();
    assert!(error.contains("contents of aws/security groups.json"), "{error}");
    assert!(merge(vec![]).is_err());
}
