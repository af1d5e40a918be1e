//! The top of the page: the verdict, what it rests on, and what a reader must not overlook.

use super::super::tables::not_understood;
use super::super::text::{count, thousands};
use super::super::verdict::{Requirements, verdict};
use super::super::{INPUT_RULE, unread_title};
use super::{MAX_LISTED, Page, class, more, place};
use crate::finding::{Problem, State};
use crate::source::Severity;
use maud::{Markup, html};

/// Causes that stand at the top.
const SHORT: usize = 10;

impl Page<'_> {
    pub(super) fn cover(&self) -> Markup {
        let r = self.report;
        let lost: u64 = r.inputs.iter().map(|i| i.ledger.not_understood).sum();
        html! {
            header {
                h1 { "Firewall compliance report" }
                p.verdict { (verdict(r)) "." }
                (self.tiles())
                p.soft {
                    @if !r.catalogue.id.is_empty() {
                        "Catalogue " (r.catalogue.id) " " (r.catalogue.version) (r.in_phase()) ". "
                    }
                    @if let Some(date) = &self.style.date { (date) ". " }
                    (r.tool.name) " " (r.tool.version) ". "
                    "“Met” and “violated” hold for every packet of a flow; what the files do not decide is “undecided” and never counts as met."
                }
                nav aria-label="Sections" {
                    @if self.has_sites() { a href="#sites" { "Sites" } " " }
                    a href="#matrix" { "Requirements by node" } " " a href="#causes" { "Causes" } " "
                    a href="#advice" { "Advice" } " " a href="#nodes" { "Nodes" } " " a href="#evidence" { "Evidence" }
                }
                @if lost > 0 { p.loud { (not_understood(lost)) " See the " a href="#ledger" { "ledger" } "." } }
                @if !r.unread.is_empty() {
                    p.loud { (unread_title(r.unread.len())) ". See " a href="#unread" { "files not read" } "." }
                }
            }
            (self.problems())
            (self.short())
        }
    }

    /// The numbers that matter, advice apart from what is required.
    fn tiles(&self) -> Markup {
        let requirements = Requirements::of(self.report);
        let states = [State::Violated, State::Undecided, State::NotChecked, State::Met];
        let word = |s| match s {
            State::Violated => "violated",
            State::Undecided => "undecided",
            State::NotChecked => "not checked",
            _ => "met",
        };
        let s = &self.report.summary;
        let causes = |level| self.causes.iter().filter(|c| c.level() == level).count();
        html! {
            ul.tiles {
                @if requirements.applicable() > 0 {
                    @for state in states {
                        li class=(class(state)) {
                            strong { (requirements.having(state)) } " " (word(state))
                        }
                    }
                }
                li.error { strong { (thousands(s.error as u64)) } " errors" @if causes(Severity::Error) < s.error { ", " (count(causes(Severity::Error), "cause")) } }
                li.warning { strong { (thousands(s.warning as u64)) } " warnings" }
                li.note { strong { (thousands(s.note as u64)) } " notes" }
            }
        }
    }

    /// The worst causes, a line each, leading to what is known about them.
    fn short(&self) -> Markup {
        let wrong: Vec<_> = self.wrong().collect();
        html! {
            @if !wrong.is_empty() {
                section.more {
                    h2 { "What is wrong" }
                    ol.plain { @for (i, c) in wrong.iter().take(SHORT) {
                        @let f = c.first();
                        li {
                            span class={ "level " (c.rank().name()) } { (c.rank().name()) } " "
                            a href=(self.cause_link(*i)) { (f.message) } " " code { (place(&f.location)) }
                            @if c.findings().count() > 1 { span.soft { " and " (count(c.findings().count() - 1, "more finding")) } }
                        }
                    } }
                    @if wrong.len() > SHORT { p { a href="#causes" { "… and " (count(wrong.len() - SHORT, "more cause")) } } }
                }
            }
        }
    }

    fn problems(&self) -> Markup {
        let problems = &self.report.problems;
        html! {
            @if !problems.is_empty() {
                section {
                    h2 { "What could not be read" }
                    p { "The rest of each file was still checked." }
                    @for p in problems.iter().take(MAX_LISTED) { (self.problem(p)) }
                    (more(problems.len(), MAX_LISTED, "more problem"))
                }
            }
        }
    }

    fn problem(&self, p: &Problem) -> Markup {
        html! {
            article class={ "cause " (p.level.name()) } {
                h3 { span.level { (p.level.name()) } " " (p.message) " " span.rule { (INPUT_RULE) } }
                p { code { (place(&p.location)) } }
                (self.excerpt(&p.location, 0))
                @if !p.help.is_empty() { p { (p.help) } }
            }
        }
    }
}
