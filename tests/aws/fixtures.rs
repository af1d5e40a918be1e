//! Every folder of `fixtures/aws/cases` against the expectation that stands in it.

use crate::common;
use havenlint::analysis::{Environment, Verdict};
use havenlint::dialect::ReadOptions;
use havenlint::dialect::load::load;
use havenlint::finding::Finding;
use havenlint::lint::registry::{CHECKS, Subject, run};
use havenlint::model::Firewall;
use havenlint::triage::selection::Selection;
use serde::Deserialize;
use std::fs;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    about: String,
    #[serde(default)]
    complete: bool,
    caught: Vec<(String, String)>,
    #[serde(default)]
    says: Vec<(String, String)>,
    silent: Vec<String>,
    #[serde(default)]
    verdicts: Vec<(String, String, Verdict)>,
    #[serde(default)]
    warns: Vec<String>,
}

/// The firewall of a folder.
fn firewall(folder: &Path, complete: bool) -> Firewall {
    let mut loaded = load(&[folder.to_owned()], &ReadOptions { complete, ..ReadOptions::default() }, None);
    assert!(loaded.unreadable.is_empty(), "{folder:?}: {:?}", loaded.unreadable);
    assert_eq!(loaded.firewalls.len(), 1, "{folder:?}");
    loaded.firewalls.remove(0)
}

/// The findings of all checks on a folder, and the messages of its problems of level error.
fn findings(folder: &Path, complete: bool) -> (Vec<Finding>, Vec<String>) {
    let firewall = &firewall(folder, complete);
    let environment = Environment::default();
    let beside = [firewall];
    let subject = Subject::new(firewall, &beside, &environment, "cloud");
    let mut findings = Vec::new();
    run(&subject, &mut findings);
    let wrong = |d: &&havenlint::source::Diagnostic| d.severity == havenlint::source::Severity::Error;
    (findings, firewall.diagnostics.iter().filter(wrong).map(|d| d.message.clone()).collect())
}

#[test]
fn every_case_is_as_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/aws/cases");
    let mut cases = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let folder = entry.unwrap().path();
        let text = fs::read_to_string(folder.join("expected.toml")).unwrap();
        let expected: Expected = toml::from_str(&text).unwrap_or_else(|e| panic!("{folder:?}: {e}"));
        assert!(!expected.about.is_empty());
        let (found, errors) = findings(&folder, expected.complete);
        if !errors.is_empty() {
            wrong.push(format!("{folder:?}: {errors:?}"));
        }
        let all: Vec<_> =
            found.iter().map(|f| format!("{} at {}: {}", f.rule, f.location.text, f.message)).collect();
        let read = firewall(&folder, expected.complete);
        for (group, packet, verdict) in &expected.verdicts {
            let got = common::verdict(&read, Some(&[group]), packet);
            if got != *verdict {
                wrong.push(format!("{folder:?}: {group}, {packet}: {got:?}, not {verdict:?}"));
            }
        }
        for words in &expected.warns {
            if !read.diagnostics.iter().any(|d| d.message.contains(words)) {
                wrong.push(format!("{folder:?}: no problem says `{words}`: {:?}", common::problems(&read)));
            }
        }
        for (rule, place) in &expected.caught {
            if !found.iter().any(|f| f.rule == *rule && f.location.text.contains(place)) {
                wrong.push(format!("{folder:?}: {rule} at {place} is missed\n  {}", all.join("\n  ")));
            }
        }
        for (rule, words) in &expected.says {
            if !found.iter().any(|f| f.rule == *rule && f.message.contains(words)) {
                wrong.push(format!("{folder:?}: {rule} does not say `{words}`\n  {}", all.join("\n  ")));
            }
        }
        for f in found.iter().filter(|f| expected.silent.iter().any(|r| f.rule == *r)) {
            wrong.push(format!("{folder:?}: false alarm {}: {}", f.rule, f.message));
        }
        for rule in expected.caught.iter().map(|c| &c.0).chain(&expected.silent) {
            assert!(CHECKS.iter().any(|c| c.id == rule), "{folder:?}: there is no check {rule}");
        }
        cases += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases >= 18, "only {cases} cases");
}

#[test]
fn openings_to_the_internet_come_with_a_packet_that_gets_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/aws/cases");
    let mut seen = 0;
    for name in [
        "half-and-half",
        "host-bits",
        "ipv6-global",
        "prefix-list-everything",
        "two-groups",
        "protocol-all",
        "self-first",
    ] {
        let (found, _) = findings(&root.join(name), false);
        for f in found
            .iter()
            .filter(|f| ["SSH", "DATABASE", "ALL"].iter().any(|k| f.rule == format!("HL-AWS-INTERNET-{k}")))
        {
            assert!(f.witness.is_some(), "{name}: {}", f.message);
            seen += 1;
        }
    }
    assert!(seen >= 7, "{seen}");
}

#[test]
fn the_demo_site_is_read_without_a_complaint() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/aws/demo-site");
    let (found, errors) = findings(&folder, false);
    assert_eq!(errors, Vec::<String>::new());
    assert!(found.iter().any(|f| f.rule == "HL-AWS-EGRESS-ALL"));
    assert!(!found.iter().any(|f| f.rule.starts_with("HL-AWS-INTERNET")), "{found:?}");
}

#[test]
fn a_waiver_in_a_description_allows_its_own_entry_only() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/aws/cases/waiver-of-a-neighbour");
    let (mut found, _) = findings(&folder, false);
    found.retain(|f| f.rule == "HL-AWS-INTERNET-SSH");
    assert_eq!(found.len(), 2, "both groups are open");
    let files = firewall(&folder, false).files;
    let today = || jiff::civil::date(2026, 9, 14);
    let world = havenlint::triage::waiver::World {
        deployment: None,
        sources: &files,
        selection: &Selection::default(),
        aliases: &[],
        rules: &Vec::new,
        judged: &|_, _| false,
        today: &today,
        flow_of: &|_| Vec::new(),
    };
    let waived = havenlint::triage::waiver::apply(&mut found, &world);
    found.retain(|f| f.rule == "HL-AWS-INTERNET-SSH");
    assert_eq!((waived.len(), found.len()), (1, 1), "{found:?}");
    assert!(found[0].message.contains("sg-0c3e5a7f9b1d20462"), "{}", found[0].message);
}
