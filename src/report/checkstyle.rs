//! Checkstyle's XML, which many review tools take: the files, and in each its findings.
//!
//! The format has no place for what is accepted: waived findings are listed as `info` with the reason.

use super::text::clean;
use super::{INPUT_RULE, Style, UNREAD, UNREAD_RULE, waived_by};
use crate::finding::Report;
use crate::source::{Location, Severity};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, Event};
use std::io::{self, Write};

/// One entry of the list.
struct Entry<'a> {
    at: &'a Location,
    level: &'static str,
    rule: &'a str,
    message: String,
}

/// Writes the report.
pub fn write(report: &Report, _: &Style, out: &mut dyn Write) -> io::Result<()> {
    let unread: Vec<Location> = report.unread.iter().map(|u| Location::top(&u.path)).collect();
    let entries = entries(report, &unread);
    let mut files: Vec<(&str, Vec<&Entry<'_>>)> = vec![];
    for e in &entries {
        match files.iter_mut().find(|(path, _)| *path == e.at.path) {
            Some((_, own)) => own.push(e),
            None => files.push((&e.at.path, vec![e])),
        }
    }
    let mut xml = Writer::new_with_indent(&mut *out, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.write_event(Event::Start(BytesStart::new("checkstyle").with_attributes([("version", "4.3")])))?;
    for (path, own) in files {
        xml.write_event(Event::Start(BytesStart::new("file").with_attributes([("name", &*clean(path))])))?;
        for e in own {
            let (line, column) = (e.at.line.max(1).to_string(), e.at.column.max(1).to_string());
            xml.write_event(Event::Empty(BytesStart::new("error").with_attributes([
                ("line", line.as_str()),
                ("column", &column),
                ("severity", e.level),
                ("message", &clean(&e.message)),
                ("source", &format!("havenlint.{}", clean(e.rule))),
            ])))?;
        }
        xml.write_event(Event::End(BytesEnd::new("file")))?;
    }
    xml.write_event(Event::End(BytesEnd::new("checkstyle")))?;
    writeln!(out)
}

fn entries<'a>(report: &'a Report, unread: &'a [Location]) -> Vec<Entry<'a>> {
    let problems = report.problems.iter().map(|p| Entry {
        at: &p.location,
        level: severity(p.level),
        rule: INPUT_RULE,
        message: p.message.clone(),
    });
    let findings = report.findings.iter().map(|f| Entry {
        at: &f.location,
        level: severity(f.level),
        rule: &f.rule,
        message: f.message.to_string(),
    });
    let unread = report.unread.iter().zip(unread).map(|(u, at)| Entry {
        at,
        level: severity(Severity::Warning),
        rule: UNREAD_RULE,
        message: format!("{UNREAD}: {}", u.reason),
    });
    let waived = report.waived.iter().map(|w| Entry {
        at: &w.finding.location,
        level: severity(Severity::Note),
        rule: &w.finding.rule,
        message: format!("{} (waived: {})", w.finding.message, waived_by(w)),
    });
    problems.chain(findings).chain(unread).chain(waived).collect()
}

const fn severity(level: Severity) -> &'static str {
    match level {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "info",
    }
}
