//! Reviewdog's diagnostics (rdjson), for reviews on any code host: one JSON document. Columns count bytes, from 1.
//!
//! A repair is a suggestion, which the code host can apply. Reviewdog knows no accepted finding: waived ones are `INFO` with the reason.

use super::places::Sources;
use super::text::clean;
use super::{HOMEPAGE, INPUT_RULE, Style, UNREAD, UNREAD_RULE, json, page_of, uri, waived_by};
use crate::finding::{Finding, Fix, Report, RuleDoc};
use crate::source::{Location, Severity};
use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use std::io::{self, Write};

/// Writes the report.
pub fn write(report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let page = Page {
        sources: Sources::of(report),
        rules: report.rules.iter().map(|r| (r.id.as_str(), r)).collect(),
        style,
    };
    let mut all = vec![];
    for p in &report.problems {
        all.push(page.diagnostic(INPUT_RULE, p.level, &p.message, &p.location));
    }
    all.extend(report.findings.iter().map(|f| page.finding(f)));
    for u in &report.unread {
        let message = format!("{UNREAD}: {}", u.reason);
        all.push(page.diagnostic(UNREAD_RULE, Severity::Warning, &message, &Location::top(&u.path)));
    }
    for w in &report.waived {
        let message = format!("{} (waived: {})", w.finding.message, waived_by(w));
        all.push(page.diagnostic(&w.finding.rule, Severity::Note, &message, &w.finding.location));
    }
    let source = json!({ "name": report.tool.name, "url": HOMEPAGE });
    json::write_document(&json!({ "source": source, "diagnostics": all }), out)
}

struct Page<'a> {
    sources: Sources<'a>,
    rules: FxHashMap<&'a str, &'a RuleDoc>,
    style: &'a Style,
}

impl Page<'_> {
    fn diagnostic(&self, rule: &str, level: Severity, message: &str, at: &Location) -> Value {
        let severity = match level {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
            Severity::Note => "INFO",
        };
        let mut code = json!({ "value": clean(rule) });
        let url = page_of(self.rules.get(rule).copied());
        if !url.is_empty() {
            code["url"] = url.into();
        }
        json!({ "message": clean(message), "location": self.location(at), "severity": severity, "code": code })
    }

    fn finding(&self, f: &Finding) -> Value {
        let mut lines = vec![f.message.to_string()];
        lines.extend(f.witness.iter().map(|w| format!("witness: {w}")));
        lines.extend(f.details.iter().map(|(word, text)| format!("{word}: {text}")));
        let mut it = self.diagnostic(&f.rule, f.level, "", &f.location);
        it["message"] = lines.iter().map(|l| clean(l)).collect::<Vec<_>>().join("\n").into();
        let related: Vec<_> = f
            .related
            .iter()
            .filter(|r| !r.location.path.is_empty())
            .map(|r| json!({ "message": clean(&r.message), "location": self.location(&r.location) }))
            .collect();
        if !related.is_empty() {
            it["related_locations"] = related.into();
        }
        // Reviewdog applies a suggestion to the file that the diagnostic is in.
        let fix = f.fix.as_ref().filter(|x| !x.elsewhere && x.path == f.location.path && x.delete.len() < 2);
        if let Some(fix) = fix {
            it["suggestions"] = json!([suggestion(fix)]);
        }
        it
    }

    fn location(&self, at: &Location) -> Value {
        let path = uri::plain(&at.path, self.style.root.as_deref());
        let r = self.sources.region_in_bytes(at);
        json!({
            "path": path,
            "range": {
                "start": { "line": r.line, "column": r.column },
                "end": { "line": r.line, "column": r.end_column },
            },
        })
    }
}

/// Whole lines that another text replaces; an empty range where lines only come.
fn suggestion(fix: &Fix) -> Value {
    let (from, past) =
        fix.delete.first().map_or((fix.after_line + 1, fix.after_line + 1), |l| (l.from_line, l.to_line + 1));
    let text = if fix.text.is_empty() { String::new() } else { format!("{}\n", fix.text) };
    json!({
        "range": { "start": { "line": from, "column": 1 }, "end": { "line": past, "column": 1 } },
        "text": text,
    })
}
