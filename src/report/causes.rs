//! Causes before symptoms: findings that one line decides belong together, and so do findings that say the same of the same line in many
//! files.
//!
//! A host whose policy stops six required flows has one cause, not six; a template's mistake on a thousand hosts is one, too. No finding is
//! lost: each is in exactly one cause.

use crate::finding::{Finding, Rank, Report};
use crate::source::Severity;
use rustc_hash::FxHashMap;
use serde::Serialize;

/// What is to be put right once.
pub struct Cause<'a> {
    /// The places, in the order of the report; at each the findings that it decides. Neither list is empty.
    pub places: Vec<Vec<&'a Finding>>,
}

impl<'a> Cause<'a> {
    /// The finding that stands for all.
    pub fn first(&self) -> &'a Finding {
        self.places[0][0]
    }

    /// The findings at the first place: what the cause looks like.
    pub fn example(&self) -> &[&'a Finding] {
        &self.places[0]
    }

    /// All findings.
    pub fn findings(&self) -> impl Iterator<Item = &'a Finding> {
        self.places.iter().flatten().copied()
    }

    /// How soon it is to be looked at.
    pub fn rank(&self) -> Rank {
        self.first().rank()
    }

    /// Level of its findings.
    pub fn level(&self) -> Severity {
        self.first().level
    }

    /// The rules, each once, in the order of their findings.
    pub fn rules(&self) -> Vec<&'a str> {
        let mut out: Vec<&str> = Vec::new();
        for f in self.example() {
            if !out.contains(&f.rule.as_str()) {
                out.push(&f.rule);
            }
        }
        out
    }
}

/// What findings at one place say, whoever they say it of.
type Says = Vec<(String, String)>;

/// The causes of a report, the worst first.
pub fn causes(report: &Report) -> Vec<Cause<'_>> {
    let mut places: Vec<Vec<&Finding>> = Vec::new();
    let mut index: FxHashMap<Place<'_>, usize> = FxHashMap::default();
    for f in &report.findings {
        match Place::of(f) {
            Some(place) => {
                let at = *index.entry(place).or_insert(places.len());
                match places.get_mut(at) {
                    Some(own) => own.push(f),
                    None => places.push(vec![f]),
                }
            }
            None => places.push(vec![f]),
        }
    }
    let mut causes: Vec<Cause<'_>> = Vec::new();
    let mut alike: FxHashMap<(Rank, &str, Says), usize> = FxHashMap::default();
    for place in places {
        let key = (place[0].rank(), line(place[0]), place.iter().map(|f| says(f)).collect());
        let at = *alike.entry(key).or_insert(causes.len());
        match causes.get_mut(at) {
            Some(cause) => cause.places.push(place),
            None => causes.push(Cause { places: vec![place] }),
        }
    }
    causes
}

/// Where a finding stands, to the column.
#[derive(PartialEq, Eq, Hash)]
struct Place<'a> {
    rank: Rank,
    path: &'a str,
    /// What the line does: a line can be wrong in several ways.
    label: &'a str,
    from: (u32, u32),
    to: (u32, u32),
}

impl<'a> Place<'a> {
    /// `None` = it is about no line of a file.
    fn of(f: &'a Finding) -> Option<Self> {
        let l = &f.location;
        (!l.path.is_empty() && !l.text.is_empty()).then(|| Self {
            rank: f.rank(),
            path: &l.path,
            label: &f.label,
            from: (l.line, l.column),
            to: (l.end_line, l.end_column),
        })
    }
}

/// The line that decides, without the counters that dumps of two hosts never share.
fn line(f: &Finding) -> &str {
    let text = f.location.text.as_str();
    text.strip_suffix(']').and_then(|t| t.rsplit_once(" [")).map_or(text, |(rule, _)| rule)
}

/// Rule and message, without the name of whom they are about.
fn says(f: &Finding) -> (String, String) {
    let mut message = f.message.clone();
    for name in [&f.subject, &f.location.path].into_iter().filter(|n| !n.is_empty()) {
        message = message.replace(name.as_str(), "\0");
    }
    (f.rule.clone(), message)
}

/// A cause in the machine-readable report.
#[derive(Serialize)]
pub struct Listed<'a> {
    level: Severity,
    rules: Vec<&'a str>,
    /// Places in the list of findings, from 0.
    findings: Vec<usize>,
}

/// The causes as the machine-readable report lists them.
pub fn listed(report: &Report) -> Vec<Listed<'_>> {
    let index: FxHashMap<*const Finding, usize> =
        report.findings.iter().enumerate().map(|(i, f)| (std::ptr::from_ref(f), i)).collect();
    causes(report)
        .iter()
        .map(|c| Listed {
            level: c.level(),
            rules: c.rules(),
            findings: c.findings().filter_map(|f| index.get(&std::ptr::from_ref(f)).copied()).collect(),
        })
        .collect()
}
