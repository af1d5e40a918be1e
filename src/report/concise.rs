//! One line for each finding: `path:line:col: level[ID]: message`, for editors and `grep`.

use super::text::{clean, count};
use super::{INPUT_RULE, Style, UNREAD, UNREAD_RULE, waived_by};
use crate::finding::Report;
use std::io::{self, Write};

/// Writes the report.
pub fn write(report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    for p in &report.problems {
        let l = &p.location;
        let at = place(&l.path, l.line, l.column);
        writeln!(out, "{at}{}[{INPUT_RULE}]: {}", p.level.name(), clean(&p.message))?;
    }
    for f in &report.findings {
        let l = &f.location;
        let at = place(&l.path, l.line, l.column);
        writeln!(out, "{at}{}[{}]: {}", f.level.name(), clean(&f.rule), clean(&f.message))?;
    }
    for u in &report.unread {
        let at = place(&u.path, 1, 1);
        let help = if u.help.is_empty() { String::new() } else { format!("; {}", clean(&u.help)) };
        writeln!(out, "{at}warning[{UNREAD_RULE}]: {UNREAD}: {}{help}", clean(&u.reason))?;
    }
    for w in &report.waived {
        let f = &w.finding;
        let at = place(&f.location.path, f.location.line, f.location.column);
        let why = waived_by(w);
        writeln!(out, "{at}waived[{}]: {} (waived: {})", clean(&f.rule), clean(&f.message), clean(&why))?;
    }
    if style.statistics {
        for (rule, n) in super::by_rule(report) {
            writeln!(out, "{}: {}", clean(rule), count(n, "finding"))?;
        }
    }
    Ok(())
}

fn place(path: &str, line: u32, column: u32) -> String {
    if path.is_empty() { String::new() } else { format!("{}:{line}:{column}: ", clean(path)) }
}
