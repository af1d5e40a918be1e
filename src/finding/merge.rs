//! Joining the reports of shards into one.

use super::{Finding, Report, Summary, worst_first};
use crate::source::shard::Shard;
use std::collections::BTreeSet;
use thiserror::Error;

/// Reports that cannot be joined: what differs.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct MergeError(String);

/// Joins reports of the same question about different files. Nothing is lost and nothing is softened: what two reports say of one
/// requirement stands side by side, and every format shows the worse. The order of the reports does not matter.
///
/// # Errors
/// If there are none, or they were made with different formats, catalogues, phases or assumptions, or from different content of one file.
pub fn merge(reports: Vec<Report>) -> Result<Report, MergeError> {
    let used = used_waivers(&reports);
    let mut reports = reports.into_iter();
    let Some(mut all) = reports.next() else {
        return Err(MergeError("there is no report to join".to_owned()));
    };
    for r in reports {
        same("versions of the format", &all.schema.to_string(), &r.schema.to_string())?;
        same("versions of havenlint", &all.tool.version, &r.tool.version)?;
        same("catalogues", &all.catalogue.id, &r.catalogue.id)?;
        same("contents of the catalogue", all.catalogue.sha256.as_str(), r.catalogue.sha256.as_str())?;
        same("phases", &all.phase, &r.phase)?;
        assumed(&mut all.assumptions, r.assumptions)?;
        let scope = |r: &Option<super::Scope>| r.as_ref().map_or_else(String::new, |s| s.of.join(", "));
        same("parts of the deployment in view", &scope(&all.scope), &scope(&r.scope))?;
        if let (Some(a), Some(b)) = (&mut all.scope, &r.scope) {
            a.requirements_outside += b.requirements_outside;
            a.findings_outside += b.findings_outside;
        }
        all.inputs.extend(r.inputs);
        all.requirements.extend(r.requirements);
        all.findings.extend(r.findings);
        all.open.extend(r.open);
        all.waived.extend(r.waived);
        all.problems.extend(r.problems);
        all.unread.extend(r.unread);
        all.members.extend(r.members);
    }
    all.inputs.sort_by(|a, b| {
        (&a.path, a.sha256.as_str(), &a.dialect).cmp(&(&b.path, b.sha256.as_str(), &b.dialect))
    });
    for pair in all.inputs.windows(2).filter(|p| p[0].path == p[1].path) {
        same(&format!("contents of {}", pair[0].path), pair[0].sha256.as_str(), pair[1].sha256.as_str())?;
    }
    all.inputs.dedup_by(|a, b| (&a.path, &a.dialect) == (&b.path, &b.dialect));
    all.requirements.sort_by(|a, b| {
        (&a.id, &a.subject, &a.at, &a.flow, a.state).cmp(&(&b.id, &b.subject, &b.at, &b.flow, b.state))
    });
    all.requirements.dedup_by(|a, b| {
        (&a.id, &a.subject, &a.at, &a.flow, a.state) == (&b.id, &b.subject, &b.at, &b.flow, b.state)
    });
    all.findings.retain(|f| f.rule != UNUSED_WAIVER || !used.contains(&f.location));
    worst_first(&mut all.findings);
    all.findings.dedup_by(|a, b| same_finding(a, b));
    all.open.sort();
    all.open.dedup();
    all.waived.sort_by(|a, b| key(&a.finding).cmp(&key(&b.finding)));
    all.waived.dedup_by(|a, b| same_finding(&a.finding, &b.finding));
    all.problems.sort_by(|a, b| (&a.location, &a.message).cmp(&(&b.location, &b.message)));
    all.problems.dedup_by(|a, b| (&a.location, &a.message) == (&b.location, &b.message));
    // What one shard passed over and another read was read.
    all.unread.retain(|u| all.inputs.iter().all(|i| i.path != u.path));
    all.unread.sort();
    all.unread.dedup();
    // Shards of one deployment each name all of it.
    let mut known = BTreeSet::new();
    all.members.retain(|m| known.insert(m.clone()));
    Shard::drop_marks_of_whole(&mut all.assumptions);
    all.summary = Summary::of(&all.requirements, &all.findings);
    Ok(all)
}

/// Id of findings about waivers that match nothing.
pub const UNUSED_WAIVER: &str = "HL-WAIVER-UNUSED";

/// The places of waivers that match nothing in one report and something in another.
fn used_waivers(reports: &[Report]) -> BTreeSet<super::Location> {
    let of = |r: &Report| -> BTreeSet<super::Location> {
        r.findings.iter().filter(|f| f.rule == UNUSED_WAIVER).map(|f| f.location.clone()).collect()
    };
    let each: Vec<BTreeSet<super::Location>> = reports.iter().map(of).collect();
    // Who did not read the file that a waiver stands in says nothing about it. All read the deployment file, which is no firewall's.
    let read = |r: &Report, path: &str| r.inputs.iter().any(|i| i.path == path);
    let used = |at: &super::Location| {
        let some = reports.iter().any(|r| read(r, &at.path));
        each.iter().zip(reports).any(|(own, r)| !own.contains(at) && (!some || read(r, &at.path)))
    };
    each.iter().flatten().filter(|at| used(at)).cloned().collect()
}

/// What is assumed in either report; what excludes each other cannot be.
fn assumed(all: &mut Vec<String>, more: Vec<String>) -> Result<(), MergeError> {
    const APART: [[&str; 2]; 2] = [["throttled", "not-throttled"], ["forged", "reverse-path"]];
    for [a, b] in APART {
        let has = |list: &[String], word: &str| list.iter().any(|w| w == word);
        if has(all, a) && has(&more, b) || has(all, b) && has(&more, a) {
            return same("assumptions", &all.join(", "), &more.join(", "));
        }
    }
    let new: Vec<String> = more.into_iter().filter(|w| !all.contains(w)).collect();
    all.extend(new);
    // As a run lists them: the options' words, those of files, boxes.
    const OPTIONS: [&str; 7] = [
        "not-throttled",
        "throttled",
        "reverse-path",
        "forged",
        "sets-as-listed",
        "complete",
        "includes-empty",
    ];
    let rank = |w: &str| {
        let option = OPTIONS.iter().position(|o| *o == w);
        option.unwrap_or(OPTIONS.len() + usize::from(w.starts_with("same-box: ")))
    };
    all.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)));
    Ok(())
}

fn same(what: &str, a: &str, b: &str) -> Result<(), MergeError> {
    if a == b {
        Ok(())
    } else {
        Err(MergeError(format!("the reports have different {what}: `{a}` and `{b}`")))
    }
}

/// What tells a finding from others.
fn key(f: &Finding) -> (&super::Location, &str, &str, &str) {
    (&f.location, &f.rule, &f.subject, &f.message)
}

fn same_finding(a: &Finding, b: &Finding) -> bool {
    key(a) == key(b) && a.fingerprint == b.fingerprint
}
