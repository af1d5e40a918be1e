//! The tool and its rules, as SARIF describes them.

use super::super::text::{Paint, clean};
use super::super::{HOMEPAGE, INPUT_RULE, control_name, explain, page_of};
use super::CUT_RULE;
use crate::finding::{Control, Report, RuleDoc};
use crate::source::Severity;
use rustc_hash::FxHashMap;
use serde_json::Value;
use serde_sarif::sarif;
use std::collections::BTreeMap;

/// Tags that GitHub shows of a rule.
const MAX_TAGS: usize = 10;
/// Characters that GitHub takes in a description.
const MAX_DESCRIPTION: usize = 1_024;
/// Rules that GitHub takes in one run.
const MAX_RULES: usize = 25_000;

/// The tool with the rules of a report, and each rule's place in its list.
pub(super) fn driver(report: &Report) -> (sarif::ToolComponent, FxHashMap<String, usize>) {
    let rules = all(report);
    let index = rules.iter().enumerate().map(|(i, r)| (r.id.clone(), i)).collect();
    let driver = sarif::ToolComponent::builder()
        .name(&report.tool.name)
        .semantic_version(&report.tool.version)
        .information_uri(HOMEPAGE)
        .rules(rules.iter().map(descriptor).collect::<Vec<_>>())
        .build();
    (driver, index)
}

/// The rules that findings name, those of the report's list first; a rule that the list does not have gets a description of its own.
fn all(report: &Report) -> Vec<RuleDoc> {
    let mut rules: BTreeMap<&str, RuleDoc> = BTreeMap::new();
    for r in report.rules.iter().take(MAX_RULES) {
        rules.insert(&r.id, r.clone());
    }
    for f in report.findings.iter().chain(report.waived.iter().map(|w| &w.finding)) {
        rules.entry(&f.rule).or_insert_with(|| own(&f.rule, "A rule of this run.", f.level));
    }
    rules.entry(INPUT_RULE).or_insert_with(|| {
        own(
            INPUT_RULE,
            "An input cannot be read or parsed; everything else was still checked.",
            Severity::Error,
        )
    });
    let cut = "There are more alerts than code scanning accepts in one run; only the worst are shown.";
    rules.entry(CUT_RULE).or_insert_with(|| own(CUT_RULE, cut, Severity::Warning));
    rules.into_values().collect()
}

fn own(id: &str, summary: &str, level: Severity) -> RuleDoc {
    RuleDoc {
        id: id.to_owned(),
        name: pascal(id),
        summary: summary.to_owned(),
        documentation: summary.to_owned(),
        level,
        security_severity: None,
        tags: vec!["firewall".to_owned()],
        kind: "check".to_owned(),
        source: String::new(),
        page: String::new(),
        controls: Vec::new(),
    }
}

/// `HL-REPORT-CUT` as `HlReportCut`.
fn pascal(id: &str) -> String {
    let words = id.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    let word = |w: &str| {
        let mut chars = w.chars();
        chars
            .next()
            .map_or(String::new(), |c| c.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase())
    };
    words.map(word).collect()
}

fn descriptor(rule: &RuleDoc) -> sarif::ReportingDescriptor {
    let summary = sentence(&rule.summary, &rule.id);
    let mut full = summary.clone();
    if !rule.source.is_empty() {
        full += &format!(" Source: {}.", clean(&rule.source).trim_end_matches('.'));
    }
    let markdown =
        if rule.documentation.trim().is_empty() { full.clone() } else { rule.documentation.clone() };
    let markdown: String = markdown.lines().map(|l| clean(l).into_owned() + "\n").collect();
    let plain = explain::plain(&markdown, Paint { color: false }, 100);
    let help = sarif::MultiformatMessageString::builder().text(plain).markdown(markdown.trim_end()).build();
    let page = page_of(Some(rule));
    sarif::ReportingDescriptor::builder()
        .id(clean(&rule.id))
        // A rule of one's own is described by its catalogue; what a catalogue is stands in the book.
        .help_uri(if page.is_empty() { format!("{HOMEPAGE}/blob/main/docs/src/catalogue.md") } else { page })
        .name(if rule.name.is_empty() { pascal(&rule.id) } else { clean(&rule.name).into_owned() })
        .short_description(text(&summary))
        .full_description(text(&short(&full)))
        .help(help)
        .default_configuration(sarif::ReportingConfiguration::builder().level(rule.level.name()).build())
        .properties(properties(rule))
        .build()
}

/// What GitHub reads of a rule: its tags, and its security severity, or its severity as a problem where it has none.
fn properties(rule: &RuleDoc) -> sarif::PropertyBag {
    let mut tags: Vec<String> =
        rule.tags.iter().map(|t| clean(t).into_owned()).filter(|t| !t.is_empty()).collect();
    if rule.security_severity.is_some() && !tags.iter().any(|t| t == "security") {
        tags.insert(0, "security".to_owned());
    }
    let known: Vec<String> = rule.controls.iter().map(tag).collect();
    // What tells the rule's kind stays in front; the standards go before other words where there is no room for all.
    let room = MAX_TAGS.saturating_sub(tags.len().min(2));
    tags.splice(tags.len().min(2)..tags.len().min(2), known.into_iter().take(room));
    tags.truncate(MAX_TAGS);
    let mut more = BTreeMap::from([("precision".to_owned(), Value::from("high"))]);
    if !rule.controls.is_empty() {
        let all: Vec<Value> = rule.controls.iter().map(|c| clean(&control_name(c)).into()).collect();
        more.insert("controls".to_owned(), all.into());
    }
    match rule.security_severity {
        Some(score) => {
            more.insert("security-severity".to_owned(), format!("{:.1}", score.clamp(0.1, 10.0)).into())
        }
        None => {
            let severity = match rule.level {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "recommendation",
            };
            more.insert("problem.severity".to_owned(), severity.into())
        }
    };
    sarif::PropertyBag::builder().tags(tags).additional_properties(more).build()
}

/// An item of a standard as a tag; weaknesses as GitHub groups them.
fn tag(c: &Control) -> String {
    match c.id.strip_prefix("CWE-") {
        Some(number) => format!("external/cwe/cwe-{}", clean(number)),
        None => clean(&control_name(c)).to_lowercase().replace(' ', "-"),
    }
}

fn text(text: &str) -> sarif::MultiformatMessageString {
    sarif::MultiformatMessageString::builder().text(text).build()
}

/// A sentence, never empty.
fn sentence(text: &str, otherwise: &str) -> String {
    let text = clean(text).trim().to_owned();
    match text.as_str() {
        "" => format!("{otherwise}."),
        t if t.ends_with(['.', '!', '?']) => text,
        _ => text + ".",
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= MAX_DESCRIPTION {
        return text.to_owned();
    }
    text.chars().take(MAX_DESCRIPTION - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_ids() {
        assert_eq!(pascal("HL-REPORT-CUT"), "HlReportCut");
        assert_eq!(pascal("é--ü2"), "ÉÜ2");
        assert_eq!(short(&"ü".repeat(2000)).chars().count(), MAX_DESCRIPTION);
    }
}
