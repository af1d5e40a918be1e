//! The end of the page: how the report was made and from what, so that it can be made again, and who stands for it.

use super::super::matrix::{Matrix, words, worse};
use super::super::tables::assumption;
use super::super::text::{count, thousands};
use super::super::{control_name, unread_title};
use super::{MAX_LISTED, Page, more, place, scroll, state};
use crate::finding::{Control, RuleDoc, State};
use maud::{Markup, html};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

impl Page<'_> {
    pub(super) fn evidence(&self) -> Markup {
        html! {
            section {
                h2 #evidence { "Evidence" }
                (self.made())
                (self.ledger())
                (self.unread())
                (self.waivers())
                (self.standards())
                (signature())
            }
        }
    }

    fn made(&self) -> Markup {
        let r = self.report;
        html! {
            dl {
                @if let Some(date) = &self.style.date { dt { "Date" } dd { (date) } }
                @if let Some(command) = &self.style.command { dt { "Command" } dd { code { (command) } } }
                dt { "Program" } dd { (r.tool.name) " " (r.tool.version) }
                @if !r.catalogue.id.is_empty() {
                    dt { "Catalogue" } dd { (r.catalogue.id) " " (r.catalogue.version) ", SHA-256 " code { (r.catalogue.sha256.as_str()) } }
                    @if !r.phase.is_empty() { dt { "Phase" } dd { (r.phase) } }
                }
                dt { "Assumptions" }
                dd { ul.plain { @for a in &r.assumptions { li { (assumed(a)) } } } }
            }
        }
    }

    fn ledger(&self) -> Markup {
        let inputs = &self.report.inputs;
        html! {
            h3 #ledger { "Files read, and how well they were understood" }
            (scroll("Files read", html! { table {
                thead { tr {
                    th scope="col" { "File" } th scope="col" { "Dialect" } th scope="col" { "Dumped" } th.n scope="col" { "Rules" }
                    th.n scope="col" { "Exact" } th.n scope="col" { "Approximated" } th.n scope="col" { "Not understood" } th scope="col" { "SHA-256" }
                } }
                tbody { @for i in inputs.iter().take(MAX_LISTED) {
                    tr {
                        td { (i.path) } td { (i.dialect) } td { @if i.dumped.is_empty() { "not told" } @else { (i.dumped) } }
                        @for n in [i.rules, i.ledger.exact, i.ledger.approximated] { td.n { (thousands(n)) } }
                        td class=(if i.ledger.not_understood > 0 { "n violated" } else { "n" }) { (thousands(i.ledger.not_understood)) }
                        td { code { (i.sha256.as_str()) } }
                    }
                } }
            } }))
            (more(inputs.len(), MAX_LISTED, "more file"))
        }
    }

    fn unread(&self) -> Markup {
        let files = &self.report.unread;
        html! {
            h3 #unread { "Files not read" }
            @if files.is_empty() { p { "Every file that looks like a firewall configuration was read." } }
            @else {
                p { (unread_title(files.len())) ". No verdict here covers " @if files.len() == 1 { "it." } @else { "them." } }
                (scroll("Files not read", html! { table {
                    thead { tr { th scope="col" { "File" } th scope="col" { "Reason" } th scope="col" { "What to do" } } }
                    tbody { @for u in files.iter().take(MAX_LISTED) { tr { td { (u.path) } td { (u.reason) } td { (u.help) } } } }
                } }))
                (more(files.len(), MAX_LISTED, "more file"))
            }
        }
    }

    fn waivers(&self) -> Markup {
        let waived = &self.report.waived;
        html! {
            h3 #waivers { "Accepted findings" }
            @if waived.is_empty() { p { "None: every finding counts." } }
            @else {
                p { "Somebody decided to live with these. They do not count as findings; a requirement that they break stays violated." }
                (scroll("Accepted findings", html! { table {
                    thead { tr { @for head in ["Rule", "Finding", "Place", "Reason", "Owner", "Expires"] { th scope="col" { (head) } } } }
                    tbody { @for w in waived.iter().take(MAX_LISTED) {
                        tr {
                            td { (w.finding.rule) } td { (w.finding.message) } td { (place(&w.finding.location)) }
                            td { @if w.reason.is_empty() { "no reason given" } @else { (w.reason) } }
                            td { @if w.owner.is_empty() { "nobody named" } @else { (w.owner) } }
                            td { @if w.expires.is_empty() { "never" } @else { (w.expires) } }
                        }
                    } }
                } }))
                (more(waived.len(), MAX_LISTED, "more finding"))
            }
        }
    }

    /// What speaks for and against items of security standards.
    fn standards(&self) -> Markup {
        let matrix = Matrix::of(self.report);
        let states: FxHashMap<&str, State> = matrix
            .rows
            .iter()
            .filter_map(|(id, row)| Some((*id, row.iter().flatten().copied().reduce(worse)?)))
            .collect();
        let mut items: BTreeMap<&Control, Vec<&RuleDoc>> = BTreeMap::new();
        for doc in
            self.report.rules.iter().filter(|d| d.kind != "requirement" || states.contains_key(d.id.as_str()))
        {
            for c in &doc.controls {
                items.entry(c).or_default().push(doc);
            }
        }
        html! {
            @if !items.is_empty() {
                details {
                    summary { h3 #standards { "Standards" } }
                    p { "What this report says about items of security standards. It is evidence, never proof that an item as a whole is met." }
                    (scroll("Standards", html! { table {
                        thead { tr { th scope="col" { "Item" } th scope="col" { "Asks for" } th scope="col" { "Speaks against it" } th scope="col" { "Speaks for it" } } }
                        tbody { @for (c, docs) in &items {
                            tr { th scope="row" { (control_name(c)) } td { (c.title) } td { (self.against(docs, &states)) } td { (in_favour(docs, &states)) } }
                        } }
                    } }))
                }
            }
        }
    }

    fn against(&self, docs: &[&RuleDoc], states: &FxHashMap<&str, State>) -> Markup {
        let findings = |d: &RuleDoc| self.report.findings.iter().filter(|f| f.rule == d.id).count();
        let wrong: Vec<_> = docs
            .iter()
            .filter_map(|d| match states.get(d.id.as_str()) {
                Some(s @ (State::Violated | State::Undecided)) => {
                    Some(html! { (self.rule(&d.id)) " " (state(*s)) })
                }
                Some(_) => None,
                None => Some(findings(d))
                    .filter(|n| *n > 0)
                    .map(|n| html! { (self.rule(&d.id)) " " (count(n, "finding")) }),
            })
            .collect();
        html! { @if wrong.is_empty() { "nothing" } @for w in wrong { div { (w) } } }
    }
}

/// What speaks for an item: requirements that hold, and checks that found nothing.
fn in_favour(docs: &[&RuleDoc], states: &FxHashMap<&str, State>) -> String {
    let met = docs.iter().filter(|d| states.get(d.id.as_str()) == Some(&State::Met)).count();
    let asked = docs.iter().filter(|d| states.contains_key(d.id.as_str())).count();
    match asked {
        0 => String::new(),
        n => format!("{met} of {} {}", count(n, "requirement"), words(State::Met)),
    }
}

/// A place to sign.
fn signature() -> Markup {
    html! {
        h3 { "Signature" }
        dl.signature {
            @for word in ["Prepared by", "Reviewed by", "Date"] { dt { (word) } dd {} }
        }
    }
}

/// An assumption as a statement.
fn assumed(word: &str) -> &str {
    let text = assumption(word);
    let text = text.strip_prefix("assuming ").unwrap_or(text);
    text.strip_prefix("that ").unwrap_or(text)
}
