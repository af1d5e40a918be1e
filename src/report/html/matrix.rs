//! Requirements × nodes: each cell leads to its reason.

use super::super::matrix::{Matrix, STATES, symbol, words};
use super::super::text::thousands;
use super::{Page, class, scroll, state};
use crate::finding::State;
use maud::{Markup, html};

/// Nodes that get a column; with more, states are counted.
const MAX_COLUMNS: usize = 30;

impl Page<'_> {
    pub(super) fn matrix(&self) -> Markup {
        let matrix = Matrix::of(self.report);
        if matrix.rows.is_empty() {
            return html! { section { h2 #matrix { "Requirements by node" } p { "No requirements were checked." } } };
        }
        let wide = matrix.subjects.len() <= MAX_COLUMNS;
        html! {
            section {
                h2 #matrix { "Requirements by node" }
                (scroll("Requirements by node", html! { table.cells {
                    thead { tr {
                        th scope="col" { "Requirement" }
                        @if wide { @for s in &matrix.subjects { th scope="col" { (s) } } }
                        @else { @for s in STATES { th.n scope="col" { (words(s)) } } }
                    } }
                    tbody {
                        @for (i, (id, cells)) in matrix.rows.iter().enumerate() {
                            @if i == matrix.binding {
                                tr { th.sub colspan=(if wide { matrix.subjects.len() + 1 } else { 6 }) scope="rowgroup" { "Recommendations" } }
                            }
                            tr {
                                th scope="row" { (self.rule(id)) }
                                @if wide { @for (subject, cell) in matrix.subjects.iter().zip(cells) { (self.matrix_cell(id, subject, *cell)) } }
                                @else { @for n in Matrix::tally(cells) { td.n { @if n > 0 { (thousands(n as u64)) } } } }
                            }
                        }
                    }
                } }))
                p { @for s in STATES { (state(s)) " " } }
            }
        }
    }

    fn matrix_cell(&self, id: &str, subject: &str, cell: Option<State>) -> Markup {
        let Some(s) = cell else { return html! { td {} } };
        let label = format!("{id} at {subject}: {}", words(s));
        html! {
            td class={ "c " (class(s)) } {
                @match self.reason(id, subject) {
                    Some(link) => a href=(link) title=(label) aria-label=(label) { (symbol(s)) },
                    None => span title=(label) { (symbol(s)) },
                }
            }
        }
    }
}
