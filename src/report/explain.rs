//! Documentation of rules: for a terminal, and as a list.

use super::text::{DEFAULT_WIDTH, Ink, Paint, clean, link, pad, width, wrap};
use super::{Style, control_name, json, page_of};
use crate::finding::RuleDoc;
use std::io::{self, Write};

/// Writes one rule's documentation for people.
pub fn write(rule: &RuleDoc, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let paint = Paint { color: style.color };
    let columns = columns(style);
    let ink = super::text::level_ink(rule.level);
    let id = link(style.links, &page_of(Some(rule)), &clean(&rule.id));
    writeln!(out, "{} {}", paint.ink(Ink::Bold, &id), clean(&rule.name))?;
    for line in wrap(&clean(&rule.summary), columns) {
        writeln!(out, "{line}")?;
    }
    writeln!(out)?;
    let mut facts = vec![("kind", rule.kind.clone()), ("level", paint.ink(ink, rule.level.name()))];
    if let Some(score) = rule.security_severity {
        facts.push(("security severity", format!("{score:.1} of 10")));
    }
    if !rule.tags.is_empty() {
        facts.push(("tags", clean(&rule.tags.join(", ")).into_owned()));
    }
    if !rule.source.is_empty() {
        facts.push(("source", clean(&rule.source).into_owned()));
    }
    for (i, c) in rule.controls.iter().enumerate() {
        let text = format!("{}: {}", control_name(c), c.title);
        facts.push((if i == 0 { "evidence for" } else { "" }, clean(&text).into_owned()));
    }
    for (word, text) in facts {
        writeln!(out, "  {}  {text}", paint.ink(Ink::Cyan, &pad(word, 17)))?;
    }
    if !rule.documentation.trim().is_empty() {
        writeln!(out, "\n{}", plain(&rule.documentation, paint, columns))?;
    }
    Ok(())
}

/// Writes all rules, a line each.
pub fn list(rules: &[RuleDoc], style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let paint = Paint { color: style.color };
    let id = rules.iter().map(|r| width(&clean(&r.id))).max().unwrap_or(0);
    for r in rules {
        let level = paint.ink(super::text::level_ink(r.level), &pad(r.level.name(), 7));
        let name = clean(&r.id);
        let blanks = " ".repeat(id - width(&name));
        let name = link(style.links, &page_of(Some(r)), &name);
        let mut before = format!("{}{blanks}  {level}  ", paint.ink(Ink::Bold, &name));
        for line in wrap(&clean(&r.summary), columns(style).saturating_sub(id + 11).max(30)) {
            writeln!(out, "{before}{line}")?;
            before = " ".repeat(id + 11);
        }
    }
    Ok(())
}

/// Writes all rules as a JSON array.
pub fn list_json(rules: &[RuleDoc], out: &mut dyn Write) -> io::Result<()> {
    json::write_document(&rules, out)
}

fn columns(style: &Style) -> usize {
    if style.width == 0 { DEFAULT_WIDTH } else { style.width.clamp(40, 110) }
}

/// Markdown as it reads best on a terminal: headings set off, paragraphs and list items wrapped, blocks of code indented and left alone.
pub fn plain(markdown: &str, paint: Paint, columns: usize) -> String {
    let mut out: Vec<String> = vec![];
    let mut paragraph = String::new();
    let mut in_code = false;
    for line in markdown.lines() {
        let line = line.trim_end();
        if line.trim_start().starts_with("```") {
            flush(&mut paragraph, columns, &mut out);
            in_code = !in_code;
        } else if in_code {
            out.push(format!("    {}", paint.ink(Ink::Green, &clean(line))));
        } else if let Some(title) = line.strip_prefix('#') {
            flush(&mut paragraph, columns, &mut out);
            out.push(paint.ink(Ink::Bold, &clean(title.trim_start_matches('#').trim())));
        } else if line.is_empty() {
            flush(&mut paragraph, columns, &mut out);
            if out.last().is_some_and(|l| !l.is_empty()) {
                out.push(String::new());
            }
        } else {
            if is_item(line) {
                flush(&mut paragraph, columns, &mut out);
            }
            paragraph += line;
            paragraph.push('\n');
        }
    }
    flush(&mut paragraph, columns, &mut out);
    while out.last().is_some_and(String::is_empty) {
        out.pop();
    }
    out.join("\n")
}

fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("* ")
        || line.starts_with("- ")
        || line.split_once(". ").is_some_and(|(n, _)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Ends a paragraph or a list item.
fn flush(paragraph: &mut String, columns: usize, out: &mut Vec<String>) {
    let text = std::mem::take(paragraph);
    if text.is_empty() {
        return;
    }
    let (first, rest) = if is_item(&text) { ("  ", "    ") } else { ("", "") };
    // Bold type has no place in plain text; backticks stay, since they tell words of the syntax from prose.
    let text = text.replace("**", "");
    // A list item's mark is a word like the others here.
    for (i, line) in
        wrap(&clean(&text.replace('\n', " ")), columns.saturating_sub(rest.len())).iter().enumerate()
    {
        out.push(format!("{}{line}", if i == 0 { first } else { rest }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_reads_well_without_a_renderer() {
        let text = "## What it does\nOne\nparagraph of **words**.\n\n* first item that is long\n  and goes on\n* second\n\n```text\n-A INPUT   -j ACCEPT\n```\n";
        assert_eq!(
            plain(text, Paint { color: false }, 24),
            "What it does\nOne paragraph of words.\n\n  * first item that is\n    long and goes on\n  * second\n\n    -A INPUT   -j ACCEPT"
        );
    }
}
