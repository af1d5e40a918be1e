//! The report for auditors: one HTML page that needs neither network nor script, in light and dark, on screen and on paper; or, for a large
//! deployment, a folder of such pages.
//!
//! Maud escapes every text; the guard behind it takes away what a terminal or a build server would obey. There is no place in a page where
//! text is taken for markup.

mod causes;
mod cover;
mod evidence;
mod folder;
mod matrix;
mod nodes;
mod picture;
mod sites;

pub use folder::write_folder;

use super::Style;
use super::causes::{Cause, causes};
use super::matrix::{symbol, words};
use super::places::Sources;
use super::text::count;
use super::verdict::verdict;
use crate::finding::{Report, RuleDoc, State};
use crate::source::Location;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use rustc_hash::FxHashMap;
use std::io::{self, Write};

/// Causes that one page shows in full.
const MAX_CAUSES: usize = 100;
/// Entries of other lists.
const MAX_LISTED: usize = 400;

/// Writes the report as one page.
pub fn write(report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let page = Page::new(report, style, false);
    page.whole(&format!("Firewall compliance: {}", verdict(report)), out, |out| {
        page.front(out)?;
        put(out, page.nodes())?;
        put(out, page.evidence())
    })
}

fn put(out: &mut dyn Write, markup: Markup) -> io::Result<()> {
    out.write_all(markup.into_string().as_bytes())?;
    writeln!(out)
}

/// What all sections are made from.
struct Page<'a> {
    report: &'a Report,
    style: &'a Style,
    sources: Sources<'a>,
    rules: FxHashMap<&'a str, &'a RuleDoc>,
    causes: Vec<Cause<'a>>,
    /// The cause that tells why a requirement has its state at a node.
    told_by: FxHashMap<(&'a str, &'a str), usize>,
    /// Nodes and firewalls that findings or requirements are about, in order of name.
    subjects: Vec<&'a str>,
    /// Nodes have pages of their own, and so have causes for which the first page has no room.
    folder: bool,
}

impl<'a> Page<'a> {
    fn new(report: &'a Report, style: &'a Style, folder: bool) -> Self {
        let causes = causes(report);
        let mut told_by = FxHashMap::default();
        for (i, c) in causes.iter().enumerate() {
            for f in c.findings() {
                told_by.entry((f.rule.as_str(), f.subject.as_str())).or_insert(i);
            }
        }
        let about = report.requirements.iter().map(|r| r.subject.as_str());
        let members = report.members.iter().map(|m| m.name.as_str());
        let mut subjects: Vec<&str> =
            about.chain(members).chain(report.findings.iter().map(|f| f.subject.as_str())).collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects.retain(|s| !s.is_empty());
        Self {
            report,
            style,
            sources: Sources::of(report),
            rules: report.rules.iter().map(|r| (r.id.as_str(), r)).collect(),
            causes,
            told_by,
            subjects,
            folder,
        }
    }

    /// A page of its own, with all that goes around.
    fn whole(
        &self,
        title: &str,
        out: &mut dyn Write,
        body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        // Nothing may be fetched or run, whatever stands in the page.
        let policy = "default-src 'none'; style-src 'unsafe-inline'";
        let head = html! {
            (DOCTYPE)
            (PreEscaped("<html lang=\"en\">\n"))
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy);
                title { (title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            (PreEscaped("\n<body>\n<main>"))
        };
        put(out, head)?;
        body(out)?;
        writeln!(out, "</main>\n</body>\n</html>")
    }

    /// What one page and the first page of a folder have in common.
    fn front(&self, out: &mut dyn Write) -> io::Result<()> {
        put(out, self.cover())?;
        put(out, self.open())?;
        put(out, self.sites())?;
        put(out, self.matrix())?;
        put(out, picture::picture(self.report))?;
        put(out, self.causes())?;
        put(out, self.advice())
    }

    /// Where a cause is told.
    fn cause_link(&self, i: usize) -> String {
        match (i < MAX_CAUSES, self.folder) {
            (true, false) => format!("#c{}", i + 1),
            (true, true) => format!("index.html#c{}", i + 1),
            (false, false) => "#more-causes".to_owned(),
            (false, true) => format!("{}#c{}", folder::causes_page(i), i + 1),
        }
    }

    /// Where a node is told; `None` = nowhere.
    fn node_link(&self, subject: &str) -> Option<String> {
        let i = self.subjects.binary_search(&subject).ok()?;
        Some(if self.folder { folder::node_page(i) } else { format!("#n{}", i + 1) })
    }

    /// The reason for a requirement's state at a node: what is wrong, or the row that says that it holds.
    fn reason(&self, id: &str, subject: &str) -> Option<String> {
        self.told_by.get(&(id, subject)).map(|i| self.cause_link(*i)).or_else(|| self.node_link(subject))
    }

    /// A rule's id, leading to its section.
    fn rule(&self, id: &str) -> Markup {
        let known = self.rules.contains_key(id);
        let page = if self.folder { "index.html" } else { "" };
        html! { @if known { a.rule href={ (page) "#rule-" (super::uri::encode(id)) } { (id) } } @else { span.rule { (id) } } }
    }
}

/// A state's name as a class of the style sheet.
const fn class(state: State) -> &'static str {
    match state {
        State::Met => "met",
        State::Violated => "violated",
        State::Undecided => "undecided",
        State::NotChecked => "not-checked",
        State::NotApplicable => "not-applicable",
    }
}

fn state(s: State) -> Markup {
    html! { span class={ "state " (class(s)) } { (symbol(s)) " " (words(s)) } }
}

/// A table that may be wider than the screen: it can be reached and moved by keyboard.
fn scroll(label: &str, table: Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(label) { (table) } }
}

/// `path:line`.
fn place(at: &Location) -> String {
    if at.path.is_empty() { String::new() } else { format!("{}:{}", at.path, at.line) }
}

/// The first few of a list of addresses.
fn list(items: &[String]) -> String {
    let shown: Vec<_> = items.iter().take(4).map(String::as_str).collect();
    let rest = if items.len() > 4 { format!(" and {} more", items.len() - 4) } else { String::new() };
    shown.join(", ") + &rest
}

/// Says how many were left out, if any were.
fn more(all: usize, shown: usize, noun: &str) -> Markup {
    html! { @if all > shown { p.loud { "… and " (count(all - shown, noun)) ": see the JSON report." } } }
}
