//! Node by node, folded: every requirement at every point of its path, and what was found.

use super::super::matrix::{STATES, worse};
use super::super::text::count;
use super::{Page, list, place, scroll, state};
use crate::finding::{Finding, Rank, Requirement};
use maud::{Markup, html};
use rustc_hash::FxHashMap;

/// Findings of one node that its section lists.
const MAX_FINDINGS: usize = 60;
/// Requirements at points that one page lists for a node.
const MAX_ROWS: usize = 400;
/// Bytes that all nodes together take of one page.
const MAX_BYTES: usize = 900_000;
/// Nodes that one page lists.
const MAX_NODES: usize = 1_000;

/// What is about one node.
#[derive(Default)]
pub(super) struct About<'a> {
    pub(super) rows: Vec<&'a Requirement>,
    pub(super) findings: Vec<(usize, &'a Finding)>,
}

impl<'a> Page<'a> {
    pub(super) fn nodes(&self) -> Markup {
        let about = self.about();
        let mut room = MAX_BYTES;
        let mut body = |own: &About<'_>| {
            // As much as there is room for: all, or what was found, or how much that is.
            let tries = [own.rows.len().min(MAX_ROWS), 0].into_iter().map(|rows| self.node(own, rows));
            let fits = tries.into_iter().find(|m| m.0.len() <= room);
            room -= fits.as_ref().map_or(0, |m| m.0.len());
            fits.unwrap_or_else(|| html! { p { (count(own.findings.len(), "finding")) ", " (count(own.rows.len(), "row")) ": see --format html=FOLDER/." } })
        };
        html! {
            section {
                h2 #nodes { "Nodes" }
                @for (i, subject) in self.subjects.iter().take(MAX_NODES).enumerate() {
                    @let own = &about[i];
                    // A browser unfolds what a link leads into, not what it leads to.
                    details {
                        summary { (self.node_title(subject, own)) }
                        div id={ "n" (i + 1) } { (body(own)) }
                    }
                }
                @if self.subjects.len() > MAX_NODES { p.loud { "… and " (count(self.subjects.len() - MAX_NODES, "more node")) ": see --format html=FOLDER/." } }
            }
        }
    }

    /// What is about each subject, in their order.
    pub(super) fn about(&self) -> Vec<About<'a>> {
        let index: FxHashMap<&str, usize> = self.subjects.iter().enumerate().map(|(i, s)| (*s, i)).collect();
        let mut out: Vec<About<'a>> = self.subjects.iter().map(|_| About::default()).collect();
        for r in &self.report.requirements {
            if let Some(i) = index.get(r.subject.as_str()) {
                out[*i].rows.push(r);
            }
        }
        for (c, cause) in self.causes.iter().enumerate() {
            for f in cause.findings() {
                if let Some(i) = index.get(f.subject.as_str()) {
                    out[*i].findings.push((c, f));
                }
            }
        }
        for own in &mut out {
            own.rows.sort_by_key(|r| STATES.iter().position(|s| *s == r.state));
        }
        out
    }

    /// Its name, role and worst state.
    pub(super) fn node_title(&self, subject: &str, own: &About<'_>) -> Markup {
        let member = self.report.members.iter().find(|m| m.name == subject);
        let worst = own.rows.iter().map(|r| r.state).reduce(worse);
        html! {
            strong { (subject) }
            @if let Some(m) = member {
                span.soft { " " (m.role) @if !m.site.is_empty() { ", site " (m.site) } @if !m.addresses.is_empty() { ", " (list(&m.addresses)) } }
            }
            @if let Some(s) = worst { " " (state(s)) }
            @if !own.findings.is_empty() { " " span.soft { (count(own.findings.len(), "finding")) } }
        }
    }

    /// Findings first, then the first so many requirements, the worst first.
    pub(super) fn node(&self, own: &About<'_>, rows: usize) -> Markup {
        html! {
            @if !own.findings.is_empty() {
                ul.plain { @for (c, f) in own.findings.iter().take(MAX_FINDINGS) {
                    li {
                        span class={ "level " (f.rank().name()) } { (f.rank().name()) } " "
                        @if f.rank() == Rank::Note { (f.message) } @else { a href=(self.cause_link(*c)) { (f.message) } }
                        " " span.rule { (f.rule) } " " code { (place(&f.location)) }
                    }
                } }
                @if own.findings.len() > MAX_FINDINGS { p { "… and " (count(own.findings.len() - MAX_FINDINGS, "more finding")) } }
            }
            @if rows > 0 {
                (scroll("Requirements of this node", html! { table {
                    thead { tr { th scope="col" { "Requirement" } th scope="col" { "State" } th scope="col" { "Flow" } th scope="col" { "File" } th scope="col" { "Decided by" } } }
                    tbody { @for r in own.rows.iter().take(rows) { (self.row(r)) } }
                } }))
            }
            @if rows < own.rows.len() { p { "… and " (count(own.rows.len() - rows, "more row")) ": --format html=FOLDER/ and JSON have all." } }
        }
    }

    /// One requirement at one enforcement point.
    fn row(&self, r: &Requirement) -> Markup {
        let port = if r.flow.port.is_empty() { String::new() } else { format!("/{}", r.flow.port) };
        html! {
            tr {
                td { (self.rule(&r.id)) }
                td { (state(r.state)) }
                td { (r.flow.proto) (port) " " (list(&r.flow.from)) " → " (list(&r.flow.to)) }
                td { (r.at) }
                td {
                    @for l in r.decided_by.iter().take(2) { div { "line " (l.line) ": " code { (l.text) } } }
                    @for b in r.because.iter().take(3) {
                        div { "depends on " code { (b.text) } ", line " (b.location.line) @if !b.why.is_empty() { ": " (b.why) } }
                    }
                }
            }
        }
    }
}
