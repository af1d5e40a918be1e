//! Sites × sites: all services together, then those that do not work everywhere, each cell leading to its reason.

use super::super::matrix::{STATES, symbol, words};
use super::super::sites::{Cells, ELSEWHERE, Sites};
use super::{Page, class, list, scroll};
use crate::finding::{Requirement, State};
use maud::{Markup, html};

/// More sites than this are listed by pairs that fail.
const MAX_SITES: usize = 24;
/// Pairs of sites that are listed for one service.
const MAX_PAIRS: usize = 60;

impl Page<'_> {
    /// Whether the page has a section about sites.
    pub(super) fn has_sites(&self) -> bool {
        self.report.members.iter().any(|m| !m.site.is_empty()) && !self.report.requirements.is_empty()
    }

    pub(super) fn sites(&self) -> Markup {
        let Some(sites) = Sites::of(self.report).filter(|s| !s.services.is_empty()) else { return html! {} };
        let wide = sites.names.len() <= MAX_SITES;
        let broken: Vec<_> = sites
            .services
            .iter()
            .filter(|(_, cells)| cells.values().any(|(s, _)| matches!(s, State::Violated | State::Undecided)))
            .collect();
        html! {
            section {
                h2 #sites { "Sites" }
                (self.totals())
                h3 { "From site to site, all required services" }
                @if wide { (self.table(&sites, &sites.overall(), "all required services")) } @else { (self.pairs(&sites, &sites.overall())) }
                div.services { @for (id, cells) in broken {
                    div {
                        h3 { (self.rule(id)) @if let Some(what) = service(cells) { " " span.soft { (what) } } }
                        @if wide { (self.table(&sites, cells, id)) } @else { (self.pairs(&sites, cells)) }
                    }
                } }
                p { @for s in &STATES[..4] { (super::state(*s)) " " } "A row is where the flow begins, a column where it ends." }
            }
        }
    }

    fn totals(&self) -> Markup {
        let totals = Sites::totals(self.report);
        html! {
            (scroll("Sites in numbers", html! { table {
                thead { tr {
                    th scope="col" { "Site" } th.n scope="col" { "Nodes" }
                    @for s in &STATES[..4] { th.n scope="col" { (words(*s)) } }
                    th.n scope="col" { "errors" } th.n scope="col" { "warnings" } th.n scope="col" { "notes" }
                } }
                tbody { @for (name, t) in totals {
                    tr {
                        th scope="row" { (name) } td.n { (t.nodes) }
                        @for n in &t.states[..4] { td.n { (n) } }
                        @for n in t.findings { td.n { (n) } }
                    }
                } }
            } }))
        }
    }

    fn table(&self, sites: &Sites<'_>, cells: &Cells<'_>, label: &str) -> Markup {
        // Nothing need begin or end elsewhere.
        let shown = |used: &dyn Fn(usize) -> bool| -> Vec<(usize, &str)> {
            let all = sites.names.iter().copied().enumerate();
            all.filter(|(n, name)| *name != ELSEWHERE || used(*n)).collect()
        };
        let rows = shown(&|n| cells.keys().any(|(from, _)| *from == n));
        let columns = shown(&|n| cells.keys().any(|(_, to)| *to == n));
        scroll(
            &format!("From site to site: {label}"),
            html! { table.cells {
                thead { tr { td { "from \\ to" } @for (_, name) in &columns { th scope="col" { (name) } } } }
                tbody { @for (from, name) in rows {
                    tr {
                        th scope="row" { (name) }
                        @for (to, other) in columns.iter().copied() {
                            @match cells.get(&(from, to)) {
                                Some((state, row)) => td class={ "c " (class(*state)) } { (self.cell(*state, row, &format!("{name} to {other}"))) },
                                None => td {},
                            }
                        }
                    }
                } }
            } },
        )
    }

    /// A state that leads to its reason.
    fn cell(&self, state: State, row: &Requirement, of: &str) -> Markup {
        let label = format!("{of}: {}", words(state));
        html! { @match self.reason(&row.id, &row.subject) {
            Some(link) => a href=(link) title=(label) aria-label=(label) { (symbol(state)) },
            None => span title=(label) { (symbol(state)) },
        } }
    }

    /// The pairs that fail, where there are too many sites for a table.
    fn pairs(&self, sites: &Sites<'_>, cells: &Cells<'_>) -> Markup {
        html! { @for state in [State::Violated, State::Undecided] {
            @let pairs = Sites::pairs(cells, state);
            @if !pairs.is_empty() {
                p { (super::state(state)) " "
                    @for (i, (from, to)) in pairs.iter().take(MAX_PAIRS).enumerate() {
                        @if i > 0 { ", " }
                        (sites.names[*from]) " → " (sites.names[*to])
                    }
                    @if pairs.len() > MAX_PAIRS { " and " (pairs.len() - MAX_PAIRS) " more pairs" }
                }
            }
        } }
    }
}

/// The protocol and port of a service, where all rows share it.
fn service(cells: &Cells<'_>) -> Option<String> {
    let name = |r: &Requirement| match r.flow.port.as_str() {
        "" => r.flow.proto.clone(),
        port => format!("{}/{}", r.flow.proto, list(&port.split(',').map(str::to_owned).collect::<Vec<_>>())),
    };
    let mut all = cells.values().map(|(_, r)| name(r));
    let first = all.next()?;
    all.all(|n| n == first).then_some(first)
}
