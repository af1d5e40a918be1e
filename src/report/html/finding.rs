//! One finding of the HTML report: the deciding lines in their context, the witness, the details, the repair.

use super::super::places::Sources;
use super::super::text::markup;
use super::row;
use crate::finding::{Finding, Problem};
use crate::source::Location;
use std::io::{self, Write};

/// Lines shown around a place.
const AROUND: u32 = 2;
/// Lines of one place that are shown.
const MAX_LINES: u32 = 24;
/// Other places shown with a finding.
const MAX_RELATED: usize = 6;

/// Writes a finding.
pub(super) fn write(f: &Finding, sources: &Sources<'_>, out: &mut dyn Write) -> io::Result<()> {
    heading(f.level.name(), &f.rule, &f.message, out)?;
    place(&f.location, &f.label, sources, out)?;
    for r in f.related.iter().take(MAX_RELATED) {
        place(&r.location, &r.message, sources, out)?;
    }
    writeln!(out, "<dl>")?;
    row(out, "witness", &f.witness.as_ref().map_or(String::new(), ToString::to_string))?;
    for (word, text) in &f.details {
        row(out, word, text)?;
    }
    if f.path.len() > 1 {
        let steps: Vec<_> = f
            .path
            .iter()
            .take(24)
            .map(|s| markup(&format!("line {}: {}", s.location.line, s.message)))
            .collect();
        writeln!(out, "<dt>path</dt><dd>{}</dd>", steps.join("<br>"))?;
    }
    if let Some(fix) = &f.fix {
        let lines: Vec<_> = fix.text.lines().map(markup).collect();
        let added = match lines.is_empty() {
            true => String::new(),
            false => format!("<pre class=\"add\">{}</pre>", lines.join("\n")),
        };
        writeln!(out, "<dt>fix</dt><dd>{}{added}</dd>", markup(&fix.description))?;
    }
    writeln!(out, "</dl>\n</div>")
}

/// Writes a parse error.
pub(super) fn problem(p: &Problem, rule: &str, sources: &Sources<'_>, out: &mut dyn Write) -> io::Result<()> {
    heading(p.level.name(), rule, &p.message, out)?;
    place(&p.location, "", sources, out)?;
    if !p.help.is_empty() {
        writeln!(out, "<p>{}</p>", markup(&p.help))?;
    }
    writeln!(out, "</div>")
}

fn heading(level: &str, rule: &str, message: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<div class=\"finding {level}\">\n<h4><span class=\"level {level}\">{level}</span> {} <span class=\"soft\">{}</span></h4>",
        markup(message),
        markup(rule)
    )
}

/// A place in its context, its own lines marked.
fn place(at: &Location, label: &str, sources: &Sources<'_>, out: &mut dyn Write) -> io::Result<()> {
    if at.path.is_empty() {
        return Ok(());
    }
    let label = if label.is_empty() { String::new() } else { format!(" — {}", markup(label)) };
    writeln!(out, "<p><code>{}:{}:{}</code>{label}</p>", markup(&at.path), at.line, at.column)?;
    let mut lines = vec![];
    for (number, text) in sources.lines(at, AROUND, MAX_LINES) {
        let own = (at.line..=at.end_line.max(at.line)).contains(&number);
        let text = if own { format!("<mark>{}</mark>", markup(&text)) } else { markup(&text) };
        lines.push(format!("<span class=\"no\">{number}</span>{text}"));
    }
    if lines.is_empty() { Ok(()) } else { writeln!(out, "<pre>{}</pre>", lines.join("\n")) }
}
