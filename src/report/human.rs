//! The report for people at a terminal: a summary where it is long, what is wrong, the line that decides, what to do; then who meets what,
//! and how well the files were understood.

use super::causes::{Cause, causes};
use super::places::Sources;
use super::snippet::{self, Mark};
use super::text::{DEFAULT_WIDTH, Ink, Paint, clean, count, cut, level_ink, link, pad, width, wrap};
use super::verdict::repairable;
use super::{INPUT_RULE, Style, page_of, summary, tables, unread_title, waived_by};
use crate::finding::{COMMAND_LINE, Finding, Fix, Problem, Related, Report, RuleDoc, UnreadFile, Waived};
use crate::source::{Location, Severity};
use rustc_hash::FxHashMap;
use std::io::{self, Write};

/// Findings of one rule that are shown in full in one file.
const FULL_PER_FILE: usize = 3;
/// Findings of one rule that are shown in full at all.
const FULL_PER_RULE: usize = 12;
/// Findings of one line whose messages are shown.
const MAX_HEADINGS: usize = 8;
/// Details of findings that one line decides.
const MAX_DETAILS: usize = 12;
/// Other places that say the same.
const MAX_ALSO: usize = 8;
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
    let rules = report.rules.iter().map(|r| (r.id.as_str(), r)).collect();
    let page = Page { sources: Sources::of(report), rules, paint, links: style.links, columns };
    let causes = causes(report);
    if !style.quiet {
        summary::human(report, &causes, paint, columns, out)?;
    }
    page.problems(&report.problems, out)?;
    if !style.quiet {
        super::open::human(report, paint, columns, out)?;
    }
    page.causes(&causes, out)?;
    page.unread(&report.unread, out)?;
    if !style.quiet {
        page.waived(&report.waived, out)?;
        tables::write(report, paint, columns, out)?;
        page.hints(report, &causes, out)?;
    }
    if style.statistics {
        page.statistics(report, out)?;
    }
    Ok(())
}

struct Page<'a> {
    sources: Sources<'a>,
    rules: FxHashMap<&'a str, &'a RuleDoc>,
    paint: Paint,
    links: bool,
    columns: usize,
}

impl Page<'_> {
    fn problems(&self, problems: &[Problem], out: &mut dyn Write) -> io::Result<()> {
        for p in problems.iter().take(FULL_PROBLEMS) {
            self.heading(p.level, INPUT_RULE, &p.message, out)?;
            let mark = Mark { at: &p.location, label: String::new(), primary: true };
            let drawn = snippet::render(&[mark], &self.sources, p.level, self.paint, self.columns);
            out.write_all(drawn.as_bytes())?;
            if drawn.is_empty() && !["", COMMAND_LINE].contains(&p.location.path.as_str()) {
                let Location { path, line, column, .. } = &p.location;
                self.detail("at", WORDS, &clean(&format!("{path}:{line}:{column}")), out)?;
            }
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

    /// All causes, those of one rule in one file together.
    fn causes(&self, causes: &[Cause<'_>], out: &mut dyn Write) -> io::Result<()> {
        let mut groups: Vec<Vec<&Cause<'_>>> = vec![];
        let mut index: FxHashMap<(&str, &str, Severity), usize> = FxHashMap::default();
        for c in causes {
            let f = c.first();
            let at = *index.entry((&f.location.path, &f.rule, f.level)).or_insert(groups.len());
            match groups.get_mut(at) {
                Some(group) => group.push(c),
                None => groups.push(vec![c]),
            }
        }
        let mut shown: FxHashMap<&str, Shown> = FxHashMap::default();
        for group in &groups {
            let tally = shown.entry(&group[0].first().rule).or_default();
            let full = group.len().min(FULL_PER_FILE).min(FULL_PER_RULE.saturating_sub(tally.full));
            tally.full += full;
            for c in &group[..full] {
                self.cause(c, out)?;
            }
            let rest = &group[full..];
            let listed = rest.len().min(LISTED_PER_RULE.saturating_sub(tally.listed));
            tally.listed += listed;
            tally.omitted += rest[listed..].iter().map(|c| c.findings().count()).sum::<usize>();
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

    /// A cause: what its findings say, the line that decides them, and what to do.
    fn cause(&self, c: &Cause<'_>, out: &mut dyn Write) -> io::Result<()> {
        let (f, all) = (c.first(), c.example());
        for g in all.iter().take(MAX_HEADINGS) {
            self.heading(g.level, &g.rule, &g.message, out)?;
        }
        if let Some(more) = all.len().checked_sub(MAX_HEADINGS).filter(|n| *n > 0) {
            let text = format!("… and {} decided by the same line", count(more, "more finding"));
            writeln!(out, "  {}", self.paint.ink(Ink::Bold, &text))?;
        }
        let related = related(all);
        let mut marks = vec![Mark { at: &f.location, label: f.label.to_string(), primary: true }];
        marks.extend(related.iter().take(MAX_RELATED).map(|r| Mark {
            at: &r.location,
            label: r.message.to_string(),
            primary: false,
        }));
        out.write_all(snippet::render(&marks, &self.sources, f.level, self.paint, self.columns).as_bytes())?;
        let words = f.details.iter().map(|(w, _)| width(&clean(w)));
        let column = words.max().unwrap_or(0).max(WORDS);
        if let Some(w) = &f.witness {
            self.detail("witness", column, &clean(&w.to_string()), out)?;
        }
        for (word, text) in details(all) {
            self.detail(&clean(word), column, &clean(text), out)?;
        }
        self.path(f, column, out)?;
        if let Some(more) = related.len().checked_sub(MAX_RELATED).filter(|n| *n > 0) {
            self.detail("see also", column, &count(more, "more place"), out)?;
        }
        self.also(c, column, out)?;
        let mut last: Option<&Fix> = None;
        for fix in all.iter().filter_map(|g| g.fix.as_ref()) {
            self.fix(fix, last, column, out)?;
            last = Some(fix);
        }
        writeln!(out)
    }

    /// The other places of a cause.
    fn also(&self, c: &Cause<'_>, column: usize, out: &mut dyn Write) -> io::Result<()> {
        let others: Vec<_> = c.places[1..].iter().map(|p| p[0]).collect();
        if others.is_empty() {
            return Ok(());
        }
        let here = &c.first().location.path;
        let name = |f: &&Finding| match f.location.path == *here {
            true => format!("line {}", f.location.line),
            false => format!("{}:{}", f.location.path, f.location.line),
        };
        let mut text = others.iter().take(MAX_ALSO).map(name).collect::<Vec<_>>().join(", ");
        if others.len() > MAX_ALSO {
            text += &format!(" and {}", count(others.len() - MAX_ALSO, "more place"));
        }
        self.detail("same at", column, &clean(&text), out)
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
    fn fix(&self, fix: &Fix, last: Option<&Fix>, column: usize, out: &mut dyn Write) -> io::Result<()> {
        let goes_on = last.filter(|l| l.description == fix.description && l.path == fix.path);
        if goes_on.is_none() {
            self.detail("fix", column, &clean(&fix.description), out)?;
        }
        for line in fix.text.lines().filter(|l| !goes_on.is_some_and(|o| o.text.lines().any(|m| m == *l))) {
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
                    let url = page_of(self.rules.get(rule).copied());
                    let id = link(self.links, &url, &clean(rule));
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

    fn listed(&self, rest: &[&Cause<'_>], all: usize, out: &mut dyn Write) -> io::Result<()> {
        let first = rest[0].first();
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
        for c in rest {
            let f = c.first();
            let place = self.paint.ink(Ink::Dim, &pad(&format!("line {}", f.location.line), 10));
            let more = match c.findings().count() - 1 {
                0 => String::new(),
                n => format!(" (and {n} like it)"),
            };
            let room = self.columns.saturating_sub(14 + width(&more));
            writeln!(out, "  {place}  {}{more}", cut(&clean(&f.message), room))?;
        }
        writeln!(out)
    }

    /// What to do next.
    fn hints(&self, report: &Report, causes: &[Cause<'_>], out: &mut dyn Write) -> io::Result<()> {
        let Some(first) = causes.first() else { return Ok(()) };
        let mut text = format!("`havenlint explain {}` tells what a rule means", clean(&first.first().rule));
        match repairable(report) {
            0 => {}
            1 => text += "; `havenlint fix` shows the repair of 1 finding if it can be proven",
            n => {
                text += &format!(
                    "; `havenlint fix` shows the repairs of {n} findings, as far as they can be proven"
                )
            }
        }
        for line in wrap(&text, self.columns) {
            writeln!(out, "{}", self.paint.ink(Ink::Dim, &line))?;
        }
        Ok(())
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

/// The other places of findings that one line decides, each once.
fn related<'a>(findings: &[&'a Finding]) -> Vec<&'a Related> {
    let mut out: Vec<&Related> = vec![];
    for f in findings {
        let own = f.related.iter().filter(|r| r.location != f.location || r.message != f.label);
        for r in own {
            if !out.contains(&r) {
                out.push(r);
            }
        }
    }
    out
}

/// The details of findings that one line decides, each once.
pub(super) fn details<'a>(findings: &[&'a Finding]) -> Vec<(&'a str, &'a str)> {
    let mut out: Vec<(&str, &str)> = vec![];
    for (i, f) in findings.iter().take(MAX_HEADINGS).enumerate() {
        for (word, text) in &f.details {
            if !out.contains(&(word, text)) && (i == 0 || out.len() < MAX_DETAILS) {
                out.push((word, text));
            }
        }
    }
    out
}
