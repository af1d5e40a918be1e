//! What is wrong, by cause: the line that decides, in its context, what it decides, a packet to try, and the repair.
//!
//! What stands in a block of class `more` is for the screen: on paper ten causes fit on a page.

use super::super::causes::Cause;
use super::super::human::details;
use super::super::open;
use super::super::text::count;
use super::{MAX_CAUSES, MAX_LISTED, Page, more, place, scroll};
use crate::finding::{Finding, Rank, RuleDoc};
use crate::source::Location;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Lines shown around a place.
const AROUND: u32 = 2;
/// Lines of one place that are shown.
const MAX_LINES: u32 = 14;
/// Other places shown with a cause.
const MAX_RELATED: usize = 6;
/// Findings of one line that are spelled out.
const MAX_FINDINGS: usize = 40;
/// Places of one cause that are named.
const MAX_PLACES: usize = 60;
/// Places of one kind of advice that are named.
const MAX_ADVICE: usize = 12;

impl Page<'_> {
    /// Errors, then what is undecided, then warnings.
    pub(super) fn causes(&self) -> Markup {
        let wrong: Vec<_> = self.wrong().collect();
        html! {
            section {
                h2 #causes { "Causes, the worst first" }
                @if wrong.is_empty() { p { "No errors, no warnings." } }
                @for (i, c) in wrong.iter().take(MAX_CAUSES) { (self.cause(*i, c)) }
                @if wrong.len() > MAX_CAUSES { (self.more_causes(&wrong[MAX_CAUSES..])) }
            }
        }
    }

    /// All but advice, with their numbers.
    pub(super) fn wrong(&self) -> impl Iterator<Item = (usize, &Cause<'_>)> {
        self.causes.iter().enumerate().filter(|(_, c)| c.rank() != Rank::Note)
    }

    fn more_causes(&self, rest: &[(usize, &Cause<'_>)]) -> Markup {
        html! {
            h3 #more-causes { (count(rest.len(), "more cause")) }
            ul.plain {
                @for (i, c) in rest.iter().take(MAX_LISTED) {
                    @let f = c.first();
                    li {
                        span class={ "level " (c.rank().name()) } { (c.rank().name()) } " "
                        @if self.folder { a href=(self.cause_link(*i)) { (f.message) } } @else { (f.message) }
                        " " code { (place(&f.location)) }
                    }
                }
            }
            (more(rest.len(), MAX_LISTED, "more cause"))
        }
    }

    /// One cause.
    pub(super) fn cause(&self, i: usize, c: &Cause<'_>) -> Markup {
        let f = c.first();
        html! {
            article class={ "cause " (c.rank().name()) } id={ "c" (i + 1) } {
                @for g in c.example().iter().take(MAX_FINDINGS) {
                    h3 { span.level { (g.rank().name()) } " " (g.message) " " (self.rule(&g.rule)) }
                }
                @if c.example().len() > MAX_FINDINGS {
                    p { "… and " (count(c.example().len() - MAX_FINDINGS, "more finding")) " decided by the same line" }
                }
                @if !f.location.path.is_empty() {
                    p.place { code { (place(&f.location)) } @if !f.label.is_empty() { " " (f.label) } }
                }
                div.paper { code { (f.location.text) } }
                div.more { (self.excerpt(&f.location, AROUND)) (self.related(c)) }
                (self.facts(c))
            }
        }
    }

    /// The other places of a cause's first findings.
    fn related(&self, c: &Cause<'_>) -> Markup {
        let f = c.first();
        let others = f.related.iter().filter(|r| r.location != f.location || r.message != f.label);
        html! {
            @for r in others.take(MAX_RELATED) {
                p.place { code { (place(&r.location)) } " " (r.message) }
                (self.excerpt(&r.location, 0))
            }
        }
    }

    fn facts(&self, c: &Cause<'_>) -> Markup {
        let f = c.first();
        html! {
            dl {
                @if let Some(w) = &f.witness { dt { "witness" } dd { (w) } }
                @for (word, text) in details(c.example()) {
                    div.more[word == "because"] { dt { (word) } dd { (text) } }
                }
                @if c.places.len() > 1 { dt { "same at" } dd { (places(c)) } }
                @if f.path.len() > 1 {
                    div.more { dt { "path" } dd { ol.plain { @for s in f.path.iter().take(MAX_LINES as usize) {
                        li { "line " (s.location.line) ": " (s.message) }
                    } } } }
                }
                @for fix in c.example().iter().filter_map(|g| g.fix.as_ref()).take(MAX_FINDINGS) {
                    dt { "fix" }
                    dd { (fix.description) @if !fix.text.is_empty() { pre.add { (fix.text) } } }
                }
            }
        }
    }

    /// A place in its context, its own lines marked.
    pub(super) fn excerpt(&self, at: &Location, around: u32) -> Markup {
        let lines = if at.path.is_empty() { Vec::new() } else { self.sources.lines(at, around, MAX_LINES) };
        let own = at.line..=at.end_line.max(at.line);
        html! {
            @if !lines.is_empty() {
                pre { @for (number, text) in &lines {
                    span.no { (number) } @if own.contains(number) { mark { (text) } } @else { (text) } "\n"
                } }
            }
        }
    }

    /// What is open to any source, where no deployment says what is wanted.
    pub(super) fn open(&self) -> Markup {
        let rows = open::shown(self.report);
        html! {
            @if !rows.is_empty() {
                section {
                    h2 { (open::TITLE) }
                    (scroll(open::TITLE, html! { table {
                        thead { tr { @for head in open::HEADS { th scope="col" { (head) } } } }
                        tbody { @for row in rows.iter().take(MAX_LISTED) { tr { @for cell in row { td { (cell) } } } } }
                    } }))
                    (more(rows.len(), MAX_LISTED, "more row"))
                }
            }
        }
    }

    /// Notes: one entry for each rule, with its places. Below it what each rule of this report means.
    pub(super) fn advice(&self) -> Markup {
        let mut by_rule: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for c in self.causes.iter().filter(|c| c.rank() == Rank::Note) {
            for f in c.findings() {
                by_rule.entry(&f.rule).or_default().push(f);
            }
        }
        html! {
            section {
                h2 #advice { "Advice" }
                p { "Notes do not speak against a requirement. " @if by_rule.is_empty() { "There are none." } }
                @for (rule, findings) in &by_rule {
                    details {
                        summary { span.rule { (rule) } " " (count(findings.len(), "note")) @if let Some(doc) = self.rules.get(rule) { ": " (doc.summary) } }
                        ul.plain {
                            @for f in findings.iter().take(MAX_ADVICE) { li { code { (place(&f.location)) } " " (f.message) } }
                        }
                        (more(findings.len(), MAX_ADVICE, "more note"))
                    }
                }
                (self.rules_named())
            }
        }
    }

    fn rules_named(&self) -> Markup {
        let mut ids: Vec<&str> = self.report.findings.iter().map(|f| f.rule.as_str()).collect();
        ids.extend(self.report.requirements.iter().map(|r| r.id.as_str()));
        ids.sort_unstable();
        ids.dedup();
        let docs: Vec<&RuleDoc> = ids.iter().filter_map(|id| self.rules.get(id).copied()).collect();
        html! {
            @if !docs.is_empty() {
                h3 { "What the rules mean" }
                dl.rules { @for doc in docs {
                    dt id={ "rule-" (super::super::uri::encode(&doc.id)) } { (doc.id) }
                    dd { (doc.summary) "." @if !doc.source.is_empty() { " " span.soft { "Source: " (doc.source) "." } } }
                } }
            }
        }
    }
}

/// The other places of a cause, by name.
fn places(c: &Cause<'_>) -> String {
    let others = &c.places[1..];
    let names: Vec<String> = others.iter().take(MAX_PLACES).map(|p| place(&p[0].location)).collect();
    let rest = match others.len().saturating_sub(MAX_PLACES) {
        0 => String::new(),
        n => format!(" and {}", count(n, "more place")),
    };
    names.join(", ") + &rest
}
