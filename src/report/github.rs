//! Workflow commands of GitHub Actions: annotations on the lines of a pull request.
//!
//! `::error file=…,line=…,endLine=…,col=…,endColumn=…,title=…::message`. In the message `%`, CR and LF are written as `%25`, `%0D`
//! and `%0A`, in properties `:` and `,` as `%3A` and `%2C`, too (GitHub's documentation of workflow commands, and its toolkit's
//! `command.ts`). GitHub keeps the first ten errors, warnings and notices of a step: a cause takes one annotation, the worst come first, what
//! was not read or is waived takes one each, and where there is more than ten the tenth says so. The last is the verdict.

use super::causes::{Cause, causes};
use super::guard::{Spelling, harmless};
use super::text::{clean, count};
use super::verdict::verdict;
use super::{INPUT_RULE, Style, UNREAD_RULE, unread_title, waived_by};
use crate::finding::{Finding, Report};
use crate::source::{Location, Severity};
use std::io::{self, Write};

/// Annotations of one level that GitHub shows of a step.
const SHOWN: usize = 10;
/// Places of one cause that its annotation names.
const MAX_PLACES: usize = 20;

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
    lines.extend(causes(report).iter().map(|c| (c.level(), cause(c))));
    lines.extend(unread(report));
    lines.extend(waived(report));
    for level in [Severity::Error, Severity::Warning, Severity::Note] {
        let own: Vec<_> = lines.iter().filter(|(l, _)| *l == level).map(|(_, line)| line).collect();
        // The verdict is a notice, too.
        let room = if level == Severity::Note { SHOWN - 1 } else { SHOWN };
        let shown = if own.len() > room { room - 1 } else { own.len() };
        for line in &own[..shown] {
            writeln!(out, "{line}")?;
        }
        if own.len() > shown {
            let left = count(own.len() - shown, &format!("more {}", level.name()));
            let text =
                format!("{left}: GitHub shows {SHOWN} annotations of a kind; the whole report lists all");
            writeln!(out, "{}", command(level, &Location::top(""), "havenlint", &text))?;
        }
    }
    writeln!(out, "{}", command(Severity::Note, &Location::top(""), "havenlint", &clean(&verdict(report))))
}

/// One annotation: all that one line decides, then the other places.
fn cause(c: &Cause<'_>) -> String {
    let first = c.first();
    let mut text = c.example().iter().map(|f| clean(&f.message)).collect::<Vec<_>>().join("\n");
    text += &details(first);
    for f in c.example() {
        if let Some(fix) = &f.fix {
            text += &format!("\nfix: {}", clean(&fix.description));
            for line in fix.text.lines() {
                text += &format!("\n  {}", clean(line));
            }
        }
    }
    for p in c.places[1..].iter().take(MAX_PLACES) {
        text += &format!("\nsame at {}:{}", clean(&p[0].location.path), p[0].location.line);
    }
    if c.places.len() > MAX_PLACES + 1 {
        text += &format!("\n… and at {}", count(c.places.len() - MAX_PLACES - 1, "more place"));
    }
    command(c.level(), &first.location, &c.rules().join(", "), &text)
}

fn details(f: &Finding) -> String {
    let mut text = String::new();
    if let Some(w) = &f.witness {
        text += &format!("\nwitness: {}", clean(&w.to_string()));
    }
    for (word, detail) in &f.details {
        text += &format!("\n{}: {}", clean(word), clean(detail));
    }
    text
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
            text: "".into(),
            rule: None,
        };
        assert_eq!(
            command(Severity::Note, &at, "HL-X", "50% of\r\n::stop-commands::x"),
            "::notice file=%3A%3Aa%2Cb%3A100%25%0A%3A%3Aerror%3A%3Ax␛#♯[y],line=3,endLine=3,col=1,endColumn=9,title=HL-X::50%25 of%0D%0A::stop-commands::x"
        );
    }
}
