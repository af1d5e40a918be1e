//! Output formats. Each is one file and one line in [`FORMATS`].
//!
//! Nothing that comes from a file (a comment of a rule, a name, a path) goes out raw: each format escapes by its own means what it shows, and
//! those that a build server may keep in a log pass the guard as a whole.

pub mod causes;
pub mod checkstyle;
pub mod concise;
pub mod csv;
pub mod explain;
pub mod gathered;
pub mod github;
pub mod gitlab;
pub mod guard;
pub mod html;
pub mod human;
pub mod json;
pub mod junit;
pub mod line_hash;
pub mod markdown;
pub mod matrix;
pub mod open;
pub mod patch;
pub mod places;
pub mod rdjson;
pub mod sarif;
pub mod sites;
pub mod snippet;
pub mod spill;
pub mod summary;
pub mod tables;
pub mod text;
pub mod uri;
pub mod verdict;

use crate::finding::{Control, Report, RuleDoc, Severity, Waived};
use guard::{Spelling, guarded};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// How a report is written.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// Colours.
    pub color: bool,
    /// Ids of rules lead to their documentation (a terminal that knows hyperlinks).
    pub links: bool,
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
    /// The lowest level of findings that fails the run; `None` = warnings fail it too.
    pub fail_on: Option<Severity>,
    /// Category of the run, for code scanning; may be empty.
    pub category: String,
    /// The command line, as evidence; `None` = not told.
    pub command: Option<String>,
}

/// Writes a report.
pub type Write = fn(&Report, &Style, &mut dyn io::Write) -> io::Result<()>;

/// All formats by name; the first is the default. JSON and SARIF escape in their strings what the guard would replace.
pub const FORMATS: &[(&str, Write)] = &[
    ("human", |r, s, out| guarded(out, Spelling::Text, s.color, |out| human::write(r, s, out))),
    ("concise", |r, s, out| guarded(out, Spelling::Text, false, |out| concise::write(r, s, out))),
    ("json", json::write),
    ("sarif", sarif::write),
    ("github", github::write),
    ("junit", |r, s, out| guarded(out, Spelling::Markup, false, |out| junit::write(r, s, out))),
    ("markdown", |r, s, out| guarded(out, Spelling::Text, false, |out| markdown::write(r, s, out))),
    ("gitlab", gitlab::write),
    ("rdjson", rdjson::write),
    ("checkstyle", |r, s, out| guarded(out, Spelling::Markup, false, |out| checkstyle::write(r, s, out))),
    ("csv", |r, s, out| guarded(out, Spelling::Text, false, |out| csv::write(r, s, out))),
    ("html", |r, s, out| guarded(out, Spelling::Markup, false, |out| html::write(r, s, out))),
];

/// Where havenlint is at home.
pub const HOMEPAGE: &str = env!("CARGO_PKG_REPOSITORY");

/// Id under which formats that want one show a parse error or an unreadable input.
pub const INPUT_RULE: &str = "HL-INPUT";

/// Id under which formats that want one show a file that was not read.
pub const UNREAD_RULE: &str = "HL-UNREAD";

/// Where a rule is described, as an address of havenlint's repository; empty for a rule that has no page there.
pub fn page_of(rule: Option<&RuleDoc>) -> String {
    match rule.map_or("", |r| r.page.as_str()) {
        "" => String::new(),
        page => {
            let parts: Vec<_> = page.split('/').map(uri::encode).collect();
            format!("{HOMEPAGE}/blob/main/{}", parts.join("/"))
        }
    }
}

/// An item of a standard by its name: `PCI DSS 4.0.1 1.2.5`, `CWE-284`.
pub fn control_name(c: &Control) -> String {
    if c.id.starts_with(&c.framework) { c.id.clone() } else { format!("{} {}", c.framework, c.id) }
}

/// Why a finding was waived, by whom and until when, as far as somebody said so.
pub fn waived_by(w: &Waived) -> String {
    let reason = if w.reason.is_empty() { "no reason given" } else { &w.reason };
    let owner = if w.owner.is_empty() { String::new() } else { format!(", {}", w.owner) };
    let expires = if w.expires.is_empty() { String::new() } else { format!(", until {}", w.expires) };
    format!("{reason}{owner}{expires}")
}

/// `2 files look like firewall configurations and were not read`.
pub fn unread_title(n: usize) -> String {
    let looks = match n {
        1 => UNREAD,
        _ => "look like firewall configurations and were not read",
    };
    format!("{} {looks}", text::count(n, "file"))
}

/// What is said of one such file.
const UNREAD: &str = "looks like a firewall configuration and was not read";

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
