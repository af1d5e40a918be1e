//! GitLab's Code Quality report (the subset of Code Climate's format that GitLab documents): a JSON array of issues.
//!
//! GitLab compares reports by fingerprint, so each is unique. It knows no accepted issue: waived findings are `info` with the reason.

use super::text::clean;
use super::{INPUT_RULE, Style, UNREAD, UNREAD_RULE, json, uri, waived_by};
use crate::finding::{Finding, Report};
use crate::source::digest::sha256;
use crate::source::{Location, Severity};
use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use std::io::{self, Write};

/// Writes the report.
pub fn write(report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let first = report.inputs.first().map_or("havenlint.toml", |i| i.path.as_str());
    let mut issues = Issues { style, first, seen: FxHashMap::default(), list: vec![] };
    for p in &report.problems {
        issues.add(INPUT_RULE, severity(p.level), &p.message, &p.location, "");
    }
    for f in &report.findings {
        issues.add(&f.rule, severity(f.level), &text(f), &f.location, &f.fingerprint);
    }
    for u in &report.unread {
        let message = format!("{UNREAD}: {}", u.reason);
        issues.add(UNREAD_RULE, severity(Severity::Warning), &message, &Location::top(&u.path), "");
    }
    for w in &report.waived {
        let f = &w.finding;
        let message = format!("{} (waived: {})", f.message, waived_by(w));
        issues.add(&f.rule, severity(Severity::Note), &message, &f.location, &f.fingerprint);
    }
    json::write_document(&issues.list, out)
}

struct Issues<'a> {
    style: &'a Style,
    /// Where what is about no file stands.
    first: &'a str,
    /// How often each fingerprint was given.
    seen: FxHashMap<String, usize>,
    list: Vec<Value>,
}

impl Issues<'_> {
    fn add(&mut self, rule: &str, severity: &str, message: &str, at: &Location, fingerprint: &str) {
        let path = if at.path.is_empty() { self.first } else { &at.path };
        let key =
            format!("{rule}\0{path}\0{}\0{fingerprint}", if fingerprint.is_empty() { message } else { "" });
        let nth = self.seen.entry(key.clone()).or_insert(0);
        *nth += 1;
        let fingerprint = sha256([key.as_bytes(), nth.to_string().as_bytes()]);
        self.list.push(json!({
            "description": clean(message),
            "check_name": clean(rule),
            "fingerprint": fingerprint.as_str(),
            "severity": severity,
            "location": {
                "path": uri::plain(path, self.style.root.as_deref()),
                "lines": { "begin": at.line.max(1), "end": at.end_line.max(at.line).max(1) },
            },
        }));
    }
}

fn text(f: &Finding) -> String {
    match &f.witness {
        Some(w) => format!("{} (witness: {w})", f.message),
        None => f.message.to_string(),
    }
}

const fn severity(level: Severity) -> &'static str {
    match level {
        Severity::Error => "critical",
        Severity::Warning => "major",
        Severity::Note => "info",
    }
}
