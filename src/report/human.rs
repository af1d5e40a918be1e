//! The report for people at a terminal: what is wrong, the line that decides, what to do; then who meets what, and how well the
//! files were understood.

use super::places::Sources;
use super::snippet::{self, Mark};
use super::text::{DEFAULT_WIDTH, Ink, Paint, clean, count, cut, level_ink, link, pad, width, wrap};
use super::{INPUT_RULE, Style, rule_url, tables, unread_title, waived_by};
use crate::finding::{Finding, Fix, Problem, Report, UnreadFile, Waived};
use crate::source::Severity;
use rustc_hash::FxHashMap;
use std::io::{self, Write};

/// Findings of one rule that are shown in full in one file.
const FULL_PER_FILE: usize = 3;
/// Findings of one rule that are shown in full at all.
const FULL_PER_RULE: usize = 12;
/// Further findings of one rule that get a line each.
const LISTED_PER_RULE: usize = 20;
/// Near misses and other places shown with a finding.
const MAX_RELATED: usize = 4;
/// Steps of a packet's path that are shown.
const MAX_STEPS: usize = 8;
/// Parse errors that are shown in full.
const FULL_PROBLEMS: usize = 20;
/// Files that were not read, and waived findings, that are listed.
const LISTED: usize = 20;

/// Columns of the words before details, where none is longer.
const WORDS: usize = 7;

/// Writes the report.
pub fn write(report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let columns = if style.width == 0 { DEFAULT_WIDTH } else { style.width.clamp(40, 400) };
    let paint = Paint { color: style.color };
    let page = Page { sources: Sources::of(report), paint, links: style.links, columns };
    page.problems(&report.problems, out)?;
    if !style.quiet {
        super::open::human(report, paint, columns, out)?;
    }
    page.findings(&report.findings, out)?;
    page.unread(&report.unread, out)?;
    if !style.quiet {
        page.waived(&report.waived, out)?;
        tables::write(report, paint, columns, out)?;
    }
    if style.statistics {
        page.statistics(report, out)?;
    }
    Ok(())
}

struct Page<'a> {
    sources: Sources<'a>,
    paint: Paint,
    links: bool,
    columns: usize,
}

impl Page<'_> {
    fn problems(&self, problems: &[Problem], out: &mut dyn Write) -> io::Result<()> {
        for p in problems.iter().take(FULL_PROBLEMS) {
            self.heading(p.level, INPUT_RULE, &p.message, out)?;
            let mark = Mark { at: &p.location, label: String::new(), primary: true };
            out.write_all(
                snippet::render(&[mark], &self.sources, p.level, self.paint, self.columns).as_bytes(),
            )?;
            if !p.help.is_empty() {
                self.detail("help", WORDS, &clean(&p.help), out)?;
            }
            writeln!(out)?;
        }
        if let Some(more) = problems.len().checked_sub(FULL_PROBLEMS).filter(|n| *n > 0) {
            let text =
                format!("… and {} in the input; --format concise lists all", count(more, "more problem"));
            writeln!(out, "{}\n", self.paint.ink(Ink::Yellow, &text))?;
        }
        Ok(())
    }

    /// All findings, those of one rule in one file together.
    fn findings(&self, findings: &[Finding], out: &mut dyn Write) -> io::Result<()> {
        let mut groups: Vec<Vec<&Finding>> = vec![];
        let mut index: FxHashMap<(&str, &str, Severity), usize> = FxHashMap::default();
        for f in findings {
            let at = *index.entry((&f.location.path, &f.rule, f.level)).or_insert(groups.len());
            match groups.get_mut(at) {
                Some(group) => group.push(f),
                None => groups.push(vec![f]),
            }
        }
        let mut shown: FxHashMap<&str, Shown> = FxHashMap::default();
        for group in &groups {
            let tally = shown.entry(&group[0].rule).or_default();
            let full = group.len().min(FULL_PER_FILE).min(FULL_PER_RULE.saturating_sub(tally.full));
            tally.full += full;
            for f in &group[..full] {
                self.finding(f, out)?;
            }
            let rest = &group[full..];
            let listed = rest.len().min(LISTED_PER_RULE.saturating_sub(tally.listed));
            tally.listed += listed;
            tally.omitted += rest.len() - listed;
            if listed > 0 {
                self.listed(&rest[..listed], rest.len(), out)?;
            }
        }
        let mut omitted: Vec<_> = shown.iter().filter(|(_, s)| s.omitted > 0).collect();
        omitted.sort_unstable_by_key(|(rule, _)| **rule);
        for (rule, s) in &omitted {
            let text =
                format!("… {} of {rule}; --format concise lists all", count(s.omitted, "more finding"));
            writeln!(out, "{}", self.paint.ink(Ink::Yellow, &text))?;
        }
        if !omitted.is_empty() {
            writeln!(out)?;
        }
        Ok(())
    }

    fn finding(&self, f: &Finding, out: &mut dyn Write) -> io::Result<()> {
        self.heading(f.level, &f.rule, &f.message, out)?;
        let mut marks = vec![Mark { at: &f.location, label: f.label.clone(), primary: true }];
        let same = |r: &&crate::finding::Related| r.location != f.location || r.message != f.label;
        marks.extend(f.related.iter().filter(same).take(MAX_RELATED).map(|r| Mark {
            at: &r.location,
            label: r.message.clone(),
            primary: false,
        }));
        out.write_all(snippet::render(&marks, &self.sources, f.level, self.paint, self.columns).as_bytes())?;
        let words = f.details.iter().map(|(w, _)| width(&clean(w)));
        let column = words.max().unwrap_or(0).max(WORDS);
        if let Some(w) = &f.witness {
            self.detail("witness", column, &clean(&w.to_string()), out)?;
        }
        for (word, text) in &f.details {
            self.detail(&clean(word), column, &clean(text), out)?;
        }
        self.path(f, column, out)?;
        if let Some(more) = f.related.len().checked_sub(MAX_RELATED).filter(|n| *n > 0) {
            self.detail("see also", column, &count(more, "more place"), out)?;
        }
        if let Some(fix) = &f.fix {
            self.fix(fix, column, out)?;
        }
        writeln!(out)
    }

    /// The packet's path through chains, where it is more than one step.
    fn path(&self, f: &Finding, column: usize, out: &mut dyn Write) -> io::Result<()> {
        if f.path.len() < 2 {
            return Ok(());
        }
        for (i, step) in f.path.iter().take(MAX_STEPS).enumerate() {
            let text = format!("line {}: {}", step.location.line, clean(&step.message));
            self.detail(if i == 0 { "path" } else { "" }, column, &text, out)?;
        }
        match f.path.len().checked_sub(MAX_STEPS).filter(|n| *n > 0) {
            Some(more) => self.detail("", column, &format!("… {}", count(more, "more step")), out),
            None => Ok(()),
        }
    }

    /// A repair: its lines stand alone and unbroken, so that they can be copied.
    fn fix(&self, fix: &Fix, column: usize, out: &mut dyn Write) -> io::Result<()> {
        self.detail("fix", column, &clean(&fix.description), out)?;
        for line in fix.text.lines() {
            // Every visible blank of the line is its own; only what a terminal would obey is replaced.
            let line = self.paint.ink(Ink::Green, &clean(line));
            writeln!(out, "  {}   {line}", " ".repeat(column))?;
        }
        Ok(())
    }

    fn heading(&self, level: Severity, rule: &str, message: &str, out: &mut dyn Write) -> io::Result<()> {
        let head = format!("{}[{}]", level.name(), clean(rule));
        let text = format!("{head}: {}", clean(message));
        for (i, line) in wrap(&text, self.columns.saturating_sub(2)).iter().enumerate() {
            match line.strip_prefix(&head).filter(|_| i == 0) {
                Some(rest) => {
                    let id = link(self.links, &rule_url(rule), &clean(rule));
                    let head = self.paint.ink(level_ink(level), &format!("{}[{id}]", level.name()));
                    writeln!(out, "{head}{}", self.paint.ink(Ink::Bold, rest))?;
                }
                None => writeln!(out, "  {}", self.paint.ink(Ink::Bold, line))?,
            }
        }
        Ok(())
    }

    fn detail(&self, word: &str, column: usize, text: &str, out: &mut dyn Write) -> io::Result<()> {
        let mut word = self.paint.ink(Ink::Cyan, &pad(word, column));
        for line in wrap(text, self.columns.saturating_sub(column + 5).max(30)) {
            writeln!(out, "  {word}   {line}")?;
            word = " ".repeat(column);
        }
        Ok(())
    }

    fn listed(&self, rest: &[&Finding], all: usize, out: &mut dyn Write) -> io::Result<()> {
        let first = rest[0];
        let whence = if first.location.path.is_empty() {
            String::new()
        } else {
            format!(" in {}", clean(&first.location.path))
        };
        let head = format!("{}[{}]", first.level.name(), clean(&first.rule));
        writeln!(
            out,
            "{}: {} of this kind{whence}",
            self.paint.ink(level_ink(first.level), &head),
            count(all, "more finding")
        )?;
        for f in rest {
            let place = self.paint.ink(Ink::Dim, &pad(&format!("line {}", f.location.line), 10));
            writeln!(out, "  {place}  {}", cut(&clean(&f.message), self.columns.saturating_sub(14)))?;
        }
        writeln!(out)
    }

    /// Files that look like firewalls and were not read. They stand with the findings, also where tables are not wanted.
    fn unread(&self, files: &[UnreadFile], out: &mut dyn Write) -> io::Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let title = self.paint.ink(Ink::Yellow, &unread_title(files.len()));
        writeln!(out, "{title}")?;
        for u in files.iter().take(LISTED) {
            self.item(&u.path, &u.reason, out)?;
            if !u.help.is_empty() {
                self.indented(&u.help, out)?;
            }
        }
        self.more(files.len(), "more file", out)
    }

    fn waived(&self, waived: &[Waived], out: &mut dyn Write) -> io::Result<()> {
        if waived.is_empty() {
            return Ok(());
        }
        writeln!(out, "{}", self.paint.ink(Ink::Bold, &count(waived.len(), "waived finding")))?;
        for w in waived.iter().take(LISTED) {
            let f = &w.finding;
            let at = match f.location.path.as_str() {
                "" => String::new(),
                path => format!("{path}:{}: ", f.location.line),
            };
            self.item(&format!("{at}{}", f.rule), &f.message, out)?;
            self.indented(&waived_by(w), out)?;
        }
        self.more(waived.len(), "more finding", out)
    }

    fn item(&self, name: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
        let text = clean(&format!("{name}: {text}")).into_owned();
        for (i, line) in wrap(&text, self.columns.saturating_sub(6)).iter().enumerate() {
            writeln!(out, "{}{line}", if i == 0 { "  " } else { "      " })?;
        }
        Ok(())
    }

    fn indented(&self, text: &str, out: &mut dyn Write) -> io::Result<()> {
        for line in wrap(&clean(text), self.columns.saturating_sub(6)) {
            writeln!(out, "      {}", self.paint.ink(Ink::Dim, &line))?;
        }
        Ok(())
    }

    /// How many of a list were left out; then the list ends.
    fn more(&self, all: usize, noun: &str, out: &mut dyn Write) -> io::Result<()> {
        if all > LISTED {
            writeln!(out, "  … and {}; --format concise lists all", count(all - LISTED, noun))?;
        }
        writeln!(out)
    }

    fn statistics(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.paint.ink(Ink::Bold, "Findings by rule"))?;
        let mut counts: Vec<_> = super::by_rule(report).into_iter().collect();
        counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        for (rule, n) in counts {
            writeln!(out, "  {n:>7}  {}", clean(rule))?;
        }
        writeln!(out)
    }
}

/// How many findings of a rule were shown, and how.
#[derive(Default)]
struct Shown {
    full: usize,
    listed: usize,
    omitted: usize,
}
