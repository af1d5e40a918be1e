//! Output formats. Each is one file and one line in [`FORMATS`].

pub mod concise;
pub mod explain;
pub mod github;
pub mod html;
pub mod human;
pub mod json;
pub mod junit;
pub mod line_hash;
pub mod markdown;
pub mod matrix;
pub mod patch;
pub mod places;
pub mod sarif;
pub mod snippet;
pub mod tables;
pub mod text;
pub mod uri;

use crate::finding::Report;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// How a report is written.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// Colours and hyperlinks.
    pub color: bool,
    /// Width of the terminal in columns; 0 = not a terminal.
    pub width: usize,
    /// Only findings, no tables.
    pub quiet: bool,
    /// Counts by rule at the end.
    pub statistics: bool,
    /// Date that the report carries; `None` = none, so that equal inputs give equal bytes.
    pub date: Option<String>,
    /// The repository's root, to which names in code scanning are relative; `None` = names are taken as they stand.
    pub root: Option<PathBuf>,
    /// Category of the run, for code scanning; may be empty.
    pub category: String,
}

/// Writes a report.
pub type Write = fn(&Report, &Style, &mut dyn io::Write) -> io::Result<()>;

/// All formats by name; the first is the default.
pub const FORMATS: &[(&str, Write)] = &[
    ("human", human::write),
    ("concise", concise::write),
    ("json", json::write),
    ("sarif", sarif::write),
    ("github", github::write),
    ("junit", junit::write),
    ("markdown", markdown::write),
    ("html", html::write),
];

/// Where havenlint is described.
pub const HOMEPAGE: &str = "https://docs.rs/havenlint";

/// Id under which formats that want one show a malformed input.
pub const INPUT_RULE: &str = "HL-INPUT";

/// How many findings each rule has, in order of id.
pub fn by_rule(report: &Report) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for f in &report.findings {
        *counts.entry(f.rule.as_str()).or_insert(0) += 1;
    }
    if !report.problems.is_empty() {
        counts.insert(INPUT_RULE, report.problems.len());
    }
    counts
}
