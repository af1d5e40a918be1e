//! What a long report begins with: the verdict and the worst causes, in at most ten lines.

use super::causes::Cause;
use super::tables::flow;
use super::text::{Ink, Paint, clean, count, cut, cut_left, level_ink, pad, thousands, width};
use super::verdict::pieces;
use crate::finding::{Finding, Rank, Report};
use crate::source::Severity;
use rustc_hash::FxHashMap;
use std::io::{self, Write};

/// With fewer causes a report is short, and needs no summary on top.
const LONG: usize = 4;
/// Causes that the summary names.
pub const NAMED: usize = 6;

/// Writes it for people at a terminal.
pub fn human(
    report: &Report,
    causes: &[Cause<'_>],
    paint: Paint,
    columns: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    if causes.len() + report.problems.len() < LONG {
        return Ok(());
    }
    flow(&pieces(report), paint, columns, out)?;
    if let Some(first) = report.problems.iter().find(|p| p.level == Severity::Error) {
        let n = report.problems.iter().filter(|p| p.level == Severity::Error).count();
        let text = format!(
            "{}, the first at {}",
            count(n, "parse error"),
            place(&first.location.path, first.location.line)
        );
        writeln!(out, "  {}", paint.ink(Ink::Red, &cut(&clean(&text), columns.saturating_sub(2))))?;
    }
    let wrong: Vec<_> = causes.iter().filter(|c| c.rank() != Rank::Note).collect();
    let places: Vec<String> = wrong.iter().take(NAMED).map(|c| at(c.first())).collect();
    let room = places.iter().map(|p| width(p)).max().unwrap_or(0).min(columns / 3);
    for (c, place) in wrong.iter().zip(&places) {
        let rank = paint.ink(level_ink(c.level()), &pad(c.rank().name(), 9));
        let more = match c.findings().count() - 1 {
            0 => String::new(),
            n => format!(" (+{n})"),
        };
        let left = columns.saturating_sub(15 + room + width(&more));
        let message = clean(&c.first().message).into_owned();
        writeln!(out, "  {rank}  {}  {}{more}", pad(&cut_left(place, room), room), cut(&message, left))?;
    }
    if wrong.len() > NAMED {
        writeln!(out, "  … and {} below", count(wrong.len() - NAMED, "more cause"))?;
    }
    advice(report, paint, columns, out)?;
    writeln!(out)
}

/// The notes, as numbers.
fn advice(report: &Report, paint: Paint, columns: usize, out: &mut dyn Write) -> io::Result<()> {
    let text = advice_by_rule(report);
    if text.is_empty() {
        return Ok(());
    }
    let word = paint.ink(Ink::Cyan, &pad("notes", 9));
    writeln!(out, "  {word}  {}", cut(&clean(&text), columns.saturating_sub(13)))
}

/// `HL-DUPLICATE 12, HL-REDUNDANT 3`: rules of notes, the most frequent first.
pub fn advice_by_rule(report: &Report) -> String {
    let mut counts: FxHashMap<&str, usize> = FxHashMap::default();
    for f in report.findings.iter().filter(|f| f.rank() == Rank::Note) {
        *counts.entry(&f.rule).or_insert(0) += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable_by_key(|(rule, n)| (std::cmp::Reverse(*n), *rule));
    let words: Vec<_> = counts.iter().map(|(rule, n)| format!("{rule} {}", thousands(*n as u64))).collect();
    words.join(", ")
}

/// Where a finding stands, or whom it is about.
fn at(f: &Finding) -> String {
    let name = if f.location.path.is_empty() {
        f.subject.to_string()
    } else {
        place(&f.location.path, f.location.line)
    };
    clean(&name).into_owned()
}

fn place(path: &str, line: u32) -> String {
    format!("{path}:{line}")
}
