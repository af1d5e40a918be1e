//! A table for spreadsheets (RFC 4180): one row for each finding. The csv crate quotes; a cell that a spreadsheet would take for a formula
//! begins with an apostrophe (OWASP, CSV injection).

use super::text::clean;
use super::{INPUT_RULE, Style, UNREAD, UNREAD_RULE, waived_by};
use crate::finding::{Finding, Rank, Report};
use crate::source::{Location, Severity};
use std::io::{self, Write};

/// The columns.
const HEADS: [&str; 13] = [
    "level",
    "state",
    "rule",
    "subject",
    "path",
    "line",
    "column",
    "message",
    "decides",
    "witness",
    "fix",
    "waived",
    "fingerprint",
];

/// Writes the report.
pub fn write(report: &Report, _: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(&mut *out);
    table.write_record(HEADS).map_err(io::Error::other)?;
    let mut put = |cells: [String; 13]| table.write_record(cells.map(|c| safe(&c))).map_err(io::Error::other);
    for p in &report.problems {
        put(bare(p.level, INPUT_RULE, &p.location, &p.message))?;
    }
    for f in &report.findings {
        put(row(f, state(f), String::new()))?;
    }
    for u in &report.unread {
        let message = format!("{UNREAD}: {}", u.reason);
        put(bare(Severity::Warning, UNREAD_RULE, &Location::top(&u.path), &message))?;
    }
    for w in &report.waived {
        put(row(&w.finding, "waived", waived_by(w)))?;
    }
    table.flush()
}

fn state(f: &Finding) -> &'static str {
    match f.rank() {
        Rank::Note => "advice",
        _ if f.undecided => "undecided",
        _ => "open",
    }
}

fn row(f: &Finding, state: &str, waived: String) -> [String; 13] {
    let l = &f.location;
    let fix = f.fix.as_ref().map_or_else(String::new, |fix| {
        let lines: Vec<_> = fix.text.lines().collect();
        format!("{}: {}", fix.description, lines.join(" / "))
    });
    [
        f.level.name().to_owned(),
        state.to_owned(),
        f.rule.to_string(),
        f.subject.to_string(),
        l.path.to_string(),
        l.line.to_string(),
        l.column.to_string(),
        f.message.to_string(),
        l.text.to_string(),
        f.witness.as_ref().map_or_else(String::new, ToString::to_string),
        fix,
        waived,
        f.fingerprint.clone(),
    ]
}

fn bare(level: Severity, rule: &str, at: &Location, message: &str) -> [String; 13] {
    row(&Finding::new(rule.to_owned(), level, message.to_owned(), at.clone(), ""), "open", String::new())
}

/// A cell that a spreadsheet shows and does not run.
pub fn safe(cell: &str) -> String {
    let cell = clean(cell);
    // Full-width signs count where keyboards have them.
    if cell.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) {
        format!("'{cell}")
    } else {
        cell.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        assert_eq!(safe("=HYPERLINK(\"http://e.example\")"), "'=HYPERLINK(\"http://e.example\")");
        assert_eq!(safe(" -A INPUT\r\n@x"), "' -A INPUT␍␊@x");
        assert_eq!(safe("tcp/22"), "tcp/22");
    }
}
