//! Requirements × nodes: what the summary tables of all formats show.

use crate::finding::{Report, State};
use std::collections::BTreeMap;

/// The state of each requirement at each node; the worst of all points and flows of the pair.
pub struct Matrix<'a> {
    /// The nodes, in order of name.
    pub subjects: Vec<&'a str>,
    /// The requirements in order of id, recommendations last, each with a state for each node; `None` = it does not concern that node.
    pub rows: Vec<(&'a str, Vec<Option<State>>)>,
    /// How many of the rows are no recommendations.
    pub binding: usize,
}

impl<'a> Matrix<'a> {
    /// Builds it from a report.
    pub fn of(report: &'a Report) -> Self {
        let mut subjects: Vec<&str> = report.requirements.iter().map(|r| r.subject.as_str()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let mut rows: BTreeMap<&str, Vec<Option<State>>> = BTreeMap::new();
        for r in &report.requirements {
            let row = rows.entry(&r.id).or_insert_with(|| vec![None; subjects.len()]);
            if let Ok(i) = subjects.binary_search(&r.subject.as_str()) {
                row[i] = Some(row[i].map_or(r.state, |s| worse(s, r.state)));
            }
        }
        let (mut binding, advice): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(id, _)| !is_advice(report, id));
        let count = binding.len();
        binding.extend(advice);
        Self { subjects, rows: binding, binding: count }
    }

    /// How many nodes have each state in a row, in the order of [`STATES`].
    pub fn tally(row: &[Option<State>]) -> [usize; 5] {
        STATES.map(|s| row.iter().filter(|c| **c == Some(s)).count())
    }

    /// Names of the nodes that have a state in a row.
    pub fn nodes(&self, row: &[Option<State>], state: State) -> Vec<&'a str> {
        let named = self.subjects.iter().zip(row);
        named.filter(|(_, c)| **c == Some(state)).map(|(s, _)| *s).collect()
    }
}

/// Whether a requirement is a recommendation.
pub fn is_advice(report: &Report, id: &str) -> bool {
    let doc = report.rules.iter().find(|r| r.id == id);
    doc.is_some_and(|d| d.tags.iter().any(|t| t == "recommended" || t == "advised-against"))
}

/// All states, the worst first: what is not checked at one point of a path is not shown as met.
pub const STATES: [State; 5] =
    [State::Violated, State::Undecided, State::NotChecked, State::Met, State::NotApplicable];

/// The worse of two states.
pub fn worse(a: State, b: State) -> State {
    STATES.into_iter().find(|s| *s == a || *s == b).unwrap_or(a)
}

/// A state as one character that is clear without colour.
pub const fn symbol(state: State) -> char {
    match state {
        State::Met => '✓',
        State::Violated => '✗',
        State::Undecided => '?',
        State::NotChecked => '○',
        State::NotApplicable => '–',
    }
}

/// A state in words.
pub const fn words(state: State) -> &'static str {
    match state {
        State::Met => "met",
        State::Violated => "violated",
        State::Undecided => "undecided",
        State::NotChecked => "not checked",
        State::NotApplicable => "does not apply",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_state_is_shown() {
        assert_eq!(worse(State::Met, State::NotChecked), State::NotChecked);
        assert_eq!(worse(State::Undecided, State::Violated), State::Violated);
        assert_eq!(worse(State::NotApplicable, State::Met), State::Met);
    }
}
