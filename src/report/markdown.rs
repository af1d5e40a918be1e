//! Markdown for a job summary or a comment on a pull request (GitHub's flavour).
//!
//! Whatever comes from a file is shown as code or with every mark of Markdown escaped, so that a comment in a dump can neither format
//! the page, nor link, nor call people.

use super::causes::{Cause, causes};
use super::matrix::{Matrix, STATES, words};
use super::places::Sources;
use super::summary::{NAMED, advice_by_rule};
use super::tables::{assumption, not_understood};
use super::text::{clean, count, thousands};
use super::verdict::verdict;
use super::{INPUT_RULE, Style, unread_title, waived_by};
use crate::finding::{Rank, Report, State};
use crate::source::{Location, Severity};
use std::fmt::Write as _;
use std::io::{self, Write};

/// Characters that a comment on GitHub may have are 65 536; findings beyond this are counted instead.
const MAX_LENGTH: usize = 56_000;
/// Places of one cause that are listed.
const MAX_PLACES: usize = 10;
/// Nodes that get a column; with more the table shows counts.
const MAX_COLUMNS: usize = 12;

/// Writes the report.
pub fn write(report: &Report, _: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(page, "## havenlint: {}\n", escape(&verdict(report)));
    if !report.catalogue.id.is_empty() {
        let c = &report.catalogue;
        let _ =
            write!(page, "Catalogue {} {}{}", escape(&c.id), escape(&c.version), escape(&report.in_phase()));
        for a in &report.assumptions {
            let _ = write!(page, "; {}", escape(assumption(a)));
        }
        page.push_str(".\n\n");
    }
    let causes = causes(report);
    summary(report, &causes, &mut page);
    super::open::markdown(report, &mut page);
    matrix(report, &mut page);
    unread(report, &mut page);
    findings(report, &causes, &mut page);
    waived(report, &mut page);
    ledger(report, &mut page);
    out.write_all(page.as_bytes())
}

const fn sign(state: State) -> &'static str {
    match state {
        State::Met => "✅",
        State::Violated => "❌",
        State::Undecided => "❓",
        State::NotChecked => "⚪",
        State::NotApplicable => "➖",
    }
}

const fn icon(level: Severity) -> &'static str {
    match level {
        Severity::Error => "❌",
        Severity::Warning => "⚠️",
        Severity::Note => "ℹ️",
    }
}

fn matrix(report: &Report, page: &mut String) {
    let matrix = Matrix::of(report);
    if matrix.rows.is_empty() {
        return;
    }
    let wide = matrix.subjects.len() <= MAX_COLUMNS;
    let heads: Vec<String> = if wide {
        matrix.subjects.iter().map(|s| escape(s)).collect()
    } else {
        STATES.map(|s| words(s).to_owned()).to_vec()
    };
    let _ = writeln!(page, "| Requirement | {} |\n|---|{}", heads.join(" | "), ":-:|".repeat(heads.len()));
    for (id, row) in &matrix.rows {
        let cells: Vec<String> = if wide {
            row.iter().map(|c| c.map_or("", sign).to_owned()).collect()
        } else {
            Matrix::tally(row).map(|n| if n > 0 { n.to_string() } else { String::new() }).to_vec()
        };
        let _ = writeln!(page, "| {} | {} |", escape(id), cells.join(" | "));
    }
    if wide {
        let legend: Vec<_> = STATES.iter().map(|s| format!("{} {}", sign(*s), words(*s))).collect();
        let _ = writeln!(page, "\n{}", legend.join(" · "));
    }
    page.push('\n');
}

fn ledger(report: &Report, page: &mut String) {
    let lost: u64 = report.inputs.iter().map(|i| i.ledger.not_understood).sum();
    if lost > 0 {
        let _ = writeln!(page, "> [!WARNING]\n> {}\n", not_understood(lost));
    }
    let _ = writeln!(page, "<details><summary>{} read</summary>\n", count(report.inputs.len(), "file"));
    page.push_str(
        "| File | Dialect | Rules | Exact | Approximated | Not understood |\n|---|---|--:|--:|--:|--:|\n",
    );
    let mut inputs: Vec<_> = report.inputs.iter().collect();
    inputs.sort_by_key(|i| std::cmp::Reverse((i.ledger.not_understood, i.ledger.approximated)));
    for i in inputs.iter().take(50) {
        let l = &i.ledger;
        let n = [i.rules, l.exact, l.approximated, l.not_understood].map(thousands);
        let _ = writeln!(page, "| {} | {} | {} |", escape(&i.path), escape(&i.dialect), n.join(" | "));
    }
    if inputs.len() > 50 {
        let _ = writeln!(page, "\n… and {}", count(inputs.len() - 50, "more file"));
    }
    page.push_str("\n</details>\n\n");
}

fn unread(report: &Report, page: &mut String) {
    if report.unread.is_empty() {
        return;
    }
    let _ = writeln!(page, "> [!WARNING]\n> {}.\n", unread_title(report.unread.len()));
    page.push_str("| Not read | Reason | What to do |\n|---|---|---|\n");
    for u in report.unread.iter().take(50) {
        let _ = writeln!(page, "| {} | {} | {} |", escape(&u.path), escape(&u.reason), escape(&u.help));
    }
    if report.unread.len() > 50 {
        let _ = writeln!(page, "\n… and {}", count(report.unread.len() - 50, "more file"));
    }
    page.push('\n');
}

fn waived(report: &Report, page: &mut String) {
    if report.waived.is_empty() {
        return;
    }
    let title = count(report.waived.len(), "waived finding");
    let _ = writeln!(page, "<details><summary>{title}</summary>\n");
    page.push_str("| Rule | Finding | Place | Waived |\n|---|---|---|---|\n");
    for w in report.waived.iter().take(50) {
        let (f, l) = (&w.finding, &w.finding.location);
        let place = if l.path.is_empty() { String::new() } else { format!("{}:{}", escape(&l.path), l.line) };
        let _ = writeln!(
            page,
            "| {} | {} | {place} | {} |",
            escape(&f.rule),
            escape(&f.message),
            escape(&waived_by(w))
        );
    }
    if report.waived.len() > 50 {
        let _ = writeln!(page, "\n… and {}", count(report.waived.len() - 50, "more finding"));
    }
    page.push_str("\n</details>\n\n");
}

/// The worst causes, a line each, and the advice as numbers.
fn summary(report: &Report, causes: &[Cause<'_>], page: &mut String) {
    let wrong: Vec<_> = causes.iter().filter(|c| c.rank() != Rank::Note).collect();
    for c in wrong.iter().take(NAMED) {
        let f = c.first();
        let more = match c.findings().count() - 1 {
            0 => String::new(),
            n => format!(" (+{n})"),
        };
        let _ = writeln!(page, "* {} {}{more}{}", icon(c.level()), escape(&f.message), place(&f.location));
    }
    if wrong.len() > NAMED {
        let _ = writeln!(page, "* … and {}", count(wrong.len() - NAMED, "more cause"));
    }
    let advice = advice_by_rule(report);
    if !advice.is_empty() {
        let _ = writeln!(page, "* {} {}", icon(Severity::Note), escape(&advice));
    }
    page.push('\n');
}

fn findings(report: &Report, causes: &[Cause<'_>], page: &mut String) {
    let mut items: Vec<(Severity, String)> = report
        .problems
        .iter()
        .map(|p| {
            let mut item = heading(p.level, &[INPUT_RULE], &p.message, &p.location);
            if !p.help.is_empty() {
                let _ = writeln!(item, "\n{}", escape(&p.help));
            }
            (p.level, item)
        })
        .collect();
    let sources = Sources::of(report);
    // What is not shown need not be written.
    let mut length = page.len();
    for c in causes {
        let item = if length > MAX_LENGTH { String::new() } else { cause(c, &sources) };
        length += item.len();
        items.push((c.level(), item));
    }
    items.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    let mut folded = false;
    for (i, (level, item)) in items.iter().enumerate() {
        if item.is_empty() || page.len() + item.len() > MAX_LENGTH {
            let _ = writeln!(page, "… and {}: see the full report.\n", count(items.len() - i, "more cause"));
            break;
        }
        if *level == Severity::Note && !folded {
            folded = true;
            let _ = writeln!(page, "<details><summary>{}</summary>\n", count(report.summary.note, "note"));
        }
        page.push_str(item);
        page.push('\n');
    }
    if folded {
        page.push_str("</details>\n\n");
    }
}

fn cause(c: &Cause<'_>, sources: &Sources<'_>) -> String {
    let f = c.first();
    let mut item = heading(f.level, &c.rules(), &f.message, &f.location);
    item.push('\n');
    let lines: Vec<_> = sources.lines(&f.location, 0, 12).into_iter().map(|(_, text)| text).collect();
    if !lines.is_empty() {
        item += &code(&lines.join("\n"));
    }
    let mut line = |word: &str, text: &str| {
        let _ = writeln!(item, "* {}: {}", escape(word), escape(text));
    };
    for g in &c.example()[1..] {
        line("also", &g.message);
    }
    for p in c.places[1..].iter().take(MAX_PLACES) {
        line("same at", &format!("{}:{}", p[0].location.path, p[0].location.line));
    }
    if c.places.len() > MAX_PLACES + 1 {
        line("same at", &count(c.places.len() - MAX_PLACES - 1, "more place"));
    }
    if !f.label.is_empty() {
        line("here", &f.label);
    }
    for r in &f.related {
        line(&format!("line {}", r.location.line), &r.message);
    }
    if let Some(w) = &f.witness {
        line("witness", &w.to_string());
    }
    for (word, text) in &f.details {
        line(word, text);
    }
    for fix in c.example().iter().filter_map(|g| g.fix.as_ref()) {
        let _ = writeln!(item, "* fix: {}", escape(&fix.description));
        if !fix.text.is_empty() {
            item.push('\n');
            item += &code(&fix.text);
        }
    }
    item
}

fn place(at: &Location) -> String {
    if at.path.is_empty() { String::new() } else { format!(" · {}:{}", escape(&at.path), at.line) }
}

fn heading(level: Severity, rules: &[&str], message: &str, at: &Location) -> String {
    // Two stars with nothing between them would be a line across the page.
    let named = rules.iter().map(|r| escape(r)).filter(|r| !r.trim().is_empty());
    let rules = named.map(|r| format!("**{r}**")).collect::<Vec<_>>().join(", ");
    format!("### {} {}\n\n{rules}{}\n", icon(level), escape(message), place(at))
}

/// A block of code, fenced by more backticks than stand in it.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let lines: Vec<_> = text.lines().map(clean).collect();
    format!("{fence}text\n{}\n{fence}\n\n", lines.join("\n"))
}

/// Text with every mark of Markdown escaped. Backslashes do not keep GitHub from linking `@name` and `#1`; an invisible character does.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '@' => out.push_str("@\u{2060}"),
            '#' => out.push_str("\\#\u{2060}"),
            // GitHub makes links of `www.example`, too.
            '.' if ends_with_www(&out) => out.push_str("\\."),
            '.' | ',' | '-' | '/' | '(' | ')' | '?' | ';' => out.push(c),
            c if c.is_ascii_punctuation() => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

fn ends_with_www(text: &str) -> bool {
    text.get(text.len().saturating_sub(3)..).is_some_and(|end| end.eq_ignore_ascii_case("www"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_in_a_dump_formats_nothing() {
        assert_eq!(
            escape("<b>*x* [l](http://www.e.example) | `c` #1 @all"),
            "\\<b\\>\\*x\\* \\[l\\](http\\://www\\.e.example) \\| \\`c\\` \\#\u{2060}1 @\u{2060}all"
        );
        assert_eq!(code("a ``` b"), "````text\na ``` b\n````\n\n");
    }
}
