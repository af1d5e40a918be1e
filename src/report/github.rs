//! Workflow commands of GitHub Actions: annotations on the lines of a pull request.
//!
//! `::error file=…,line=…,endLine=…,col=…,endColumn=…,title=…::message`. In the message `%`, CR and LF are written as `%25`, `%0D`
//! and `%0A`, in properties `:` and `,` as `%3A` and `%2C`, too (GitHub's documentation of workflow commands, and its toolkit's
//! `command.ts`). GitHub keeps the first ten errors, warnings and notices of a step, so the worst come first, and what was not read or is
//! waived takes one annotation each, however many there are.

use super::guard::{Spelling, harmless};
use super::text::{clean, count};
use super::{INPUT_RULE, Style, UNREAD_RULE, unread_title, waived_by};
use crate::finding::Report;
use crate::source::{Location, Severity};
use std::io::{self, Write};

/// Writes the report.
pub fn write(report: &Report, _: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut lines = vec![];
    for p in &report.problems {
        let help = if p.help.is_empty() { String::new() } else { format!("\n{}", clean(&p.help)) };
        lines.push((
            p.level,
            command(p.level, &p.location, INPUT_RULE, &(clean(&p.message).into_owned() + &help)),
        ));
    }
    for f in &report.findings {
        let mut text = clean(&f.message).into_owned();
        if let Some(w) = &f.witness {
            text += &format!("\nwitness: {}", clean(&w.to_string()));
        }
        for (word, detail) in &f.details {
            text += &format!("\n{}: {}", clean(word), clean(detail));
        }
        if let Some(fix) = &f.fix {
            text += &format!("\nfix: {}", clean(&fix.description));
            for line in fix.text.lines() {
                text += &format!("\n  {}", clean(line));
            }
        }
        lines.push((f.level, command(f.level, &f.location, &f.rule, &text)));
    }
    lines.extend(unread(report));
    lines.extend(waived(report));
    lines.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    for (_, line) in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// One annotation about all files that were not read.
fn unread(report: &Report) -> Option<(Severity, String)> {
    let first = report.unread.first()?;
    let mut text = unread_title(report.unread.len());
    for u in &report.unread {
        let help = if u.help.is_empty() { String::new() } else { format!("; {}", u.help) };
        text += &format!("\n{}", clean(&format!("{}: {}{help}", u.path, u.reason)));
    }
    let level = Severity::Warning;
    Some((level, command(level, &Location::top(&first.path), UNREAD_RULE, &text)))
}

/// One annotation about all findings that are waived.
fn waived(report: &Report) -> Option<(Severity, String)> {
    let first = report.waived.first()?;
    let is = if report.waived.len() == 1 { "is" } else { "are" };
    let mut text = format!("{} {is} waived", count(report.waived.len(), "finding"));
    for w in &report.waived {
        let (f, l) = (&w.finding, &w.finding.location);
        let line = format!("{}:{}: {}: {} ({})", l.path, l.line, f.rule, f.message, waived_by(w));
        text += &format!("\n{}", clean(&line));
    }
    let level = Severity::Note;
    Some((level, command(level, &first.finding.location, "waived", &text)))
}

fn command(level: Severity, at: &Location, title: &str, message: &str) -> String {
    let name = match level {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = String::new();
    if !at.path.is_empty() {
        properties =
            format!("file={},line={},endLine={},", property(&at.path), at.line, at.end_line.max(at.line));
        // Columns are allowed only where the first line is also the last.
        if at.end_line <= at.line {
            properties += &format!("col={},endColumn={},", at.column, at.end_column.max(at.column));
        }
    }
    format!("::{name} {properties}title={}::{}", property(title), data(message))
}

fn data(text: &str) -> String {
    shown(&encoded(text))
}

fn property(text: &str) -> String {
    shown(&encoded(text).replace(':', "%3A").replace(',', "%2C"))
}

fn encoded(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// What is one line by now, without what a terminal or a second command in it would be obeyed for.
fn shown(line: &str) -> String {
    harmless(line, Spelling::Text, false).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_message_or_a_name_begins_a_command() {
        let at = Location {
            path: "::a,b:100%\n::error::x\u{1b}##[y]".into(),
            line: 3,
            column: 1,
            end_line: 3,
            end_column: 9,
            text: String::new(),
            rule: None,
        };
        assert_eq!(
            command(Severity::Note, &at, "HL-X", "50% of\r\n::stop-commands::x"),
            "::notice file=%3A%3Aa%2Cb%3A100%25%0A%3A%3Aerror%3A%3Ax␛#♯[y],line=3,endLine=3,col=1,endColumn=9,title=HL-X::50%25 of%0D%0A::stop-commands::x"
        );
    }
}
