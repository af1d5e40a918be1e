//! The exact answer for people: every box of the region asked for, in all connection states.

use super::super::subject::place;
use super::{By, Told};
use crate::analysis::flow::Flow;
use crate::finding::Reason;
use crate::report::text::{Ink, Paint, clean};
use std::io;

// Boxes and rules that a person is shown of each list.
const SHOWN: usize = 20;

/// Prints the exact answer.
pub fn human(t: &Told, paint: Paint, out: &mut dyn io::Write) -> io::Result<()> {
    let (ink, words) = match t.state {
        "accepted" => (Ink::Green, "the whole flow is let through"),
        "denied" => (Ink::Red, "nothing of the flow is let through"),
        "undecided" => (Ink::Yellow, "the files do not decide the flow"),
        _ => (Ink::Yellow, "parts of the flow have different verdicts"),
    };
    let at = t.name.as_ref().map(|n| format!(" ({})", clean(n))).unwrap_or_default();
    writeln!(out, "{}: {words}{at}", paint.ink(ink, t.state))?;
    let flows = |list: &[Flow]| list.iter().map(Flow::to_string).collect::<Vec<_>>();
    let open: Vec<String> = t.undecided.iter().map(|u| u.flow.to_string()).collect();
    for (title, list, example) in [
        ("accepted", flows(&t.accepted), &t.witnesses.accepted),
        ("denied", flows(&t.denied), &t.witnesses.denied),
        ("undecided", open, &t.witnesses.undecided),
    ] {
        if list.is_empty() {
            continue;
        }
        writeln!(out, "\n{}", paint.ink(Ink::Bold, title))?;
        for line in list.iter().take(SHOWN) {
            writeln!(out, "  {}", clean(line))?;
        }
        if list.len() > SHOWN {
            writeln!(out, "  … {} more; --format json shows all", list.len() - SHOWN)?;
        }
        if let Some(p) = example {
            writeln!(out, "  {}", paint.ink(Ink::Dim, &format!("for example {p}")))?;
        }
    }
    because(t, paint, out)?;
    section("decided by", &by_lines(&t.decided_by.iter().collect::<Vec<_>>()), paint, out)
}

/// The rules that decide, a line each.
pub fn by_lines(list: &[&By]) -> Vec<String> {
    list.iter().map(|b| format!("{} {}: {}", place(&b.location), b.verdict, b.location.text)).collect()
}

/// What is not decided depends on, and what is assumed.
pub fn because(t: &Told, paint: Paint, out: &mut dyn io::Write) -> io::Result<()> {
    let because: Vec<&Reason> = t.undecided.iter().flat_map(|u| &u.because).collect();
    for (title, list) in [
        ("undecided because of", because),
        ("assuming that limits are not exceeded", t.assumed.iter().collect()),
    ] {
        let mut lines: Vec<String> = Vec::new();
        for r in list {
            let why = if r.why.is_empty() { String::new() } else { format!(" ({})", r.why) };
            let line = format!("{}: {}{why}", place(&r.location), r.text);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        section(title, &lines, paint, out)?;
    }
    Ok(())
}

/// A few lines with a title.
pub fn section(title: &str, lines: &[String], paint: Paint, out: &mut dyn io::Write) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint.ink(Ink::Bold, title))?;
    for line in lines.iter().take(SHOWN) {
        writeln!(out, "  {}", clean(line))?;
    }
    if lines.len() > SHOWN {
        writeln!(out, "  … {} more", lines.len() - SHOWN)?;
    }
    Ok(())
}
