//! What a report says in one sentence: requirements first, advice apart from them, then findings and their causes.

use super::causes::causes;
use super::matrix::{Matrix, STATES, is_advice, words, worse};
use super::text::{Ink, clean, count, level_ink, thousands};
use crate::finding::{Report, State};
use crate::source::Severity;

/// How many requirements of the catalogue have each state; a requirement has the worst state that it has anywhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Those that must hold, in the order of [`STATES`].
    pub binding: [usize; 5],
    /// Recommendations that do not hold, or not for certain.
    pub advice: usize,
}

impl Requirements {
    /// Counts them.
    pub fn of(report: &Report) -> Self {
        let mut out = Self::default();
        for (id, row) in &Matrix::of(report).rows {
            let Some(state) = row.iter().flatten().copied().reduce(worse) else { continue };
            if is_advice(report, id) {
                out.advice += usize::from(matches!(state, State::Violated | State::Undecided));
            } else if let Some(i) = STATES.iter().position(|s| *s == state) {
                out.binding[i] += 1;
            }
        }
        out
    }

    /// How many have a state.
    pub fn having(&self, state: State) -> usize {
        STATES.iter().position(|s| *s == state).map_or(0, |i| self.binding[i])
    }

    /// Those that say something about these machines.
    pub fn applicable(&self) -> usize {
        self.binding.iter().sum::<usize>() - self.having(State::NotApplicable)
    }
}

/// The colour of a state.
pub const fn state_ink(state: State) -> Ink {
    match state {
        State::Met => Ink::Green,
        State::Violated => Ink::Red,
        State::Undecided => Ink::Yellow,
        State::NotChecked => Ink::Cyan,
        State::NotApplicable => Ink::Dim,
    }
}

/// The sentence in pieces: `2 of 9 requirements violated, 7 met; 12 errors (2 causes), 1 waived in 6 files.`
pub fn pieces(report: &Report) -> Vec<(String, Ink)> {
    let requirements = Requirements::of(report);
    let all = requirements.applicable();
    let mut pieces: Vec<(String, Ink)> = Vec::new();
    for state in &STATES[..4] {
        let n = requirements.having(*state);
        if n == 0 {
            continue;
        }
        let text = match pieces.is_empty() {
            true if n == all => format!("{} {},", count(n, "requirement"), words(*state)),
            true => format!("{n} of {} {},", count(all, "requirement"), words(*state)),
            false => format!("{n} {},", words(*state)),
        };
        pieces.push((text, state_ink(*state)));
    }
    if requirements.advice > 0 {
        pieces.push((format!("{} not followed,", count(requirements.advice, "recommendation")), Ink::Cyan));
    }
    if pieces.is_empty() {
        pieces.push(("no requirements checked,".to_owned(), Ink::Dim));
    }
    end_with(&mut pieces, ';');
    let begun = pieces.len();
    let s = &report.summary;
    let causes = causes(report);
    let levels = [(s.error, Severity::Error), (s.warning, Severity::Warning), (s.note, Severity::Note)];
    for (n, level) in levels.into_iter().filter(|(n, _)| *n > 0) {
        let of_level = causes.iter().filter(|c| c.level() == level).count();
        // Advice is not about one thing that went wrong.
        let from = match of_level {
            c if c < n && level != Severity::Note => format!(" ({})", count(c, "cause")),
            _ => String::new(),
        };
        pieces.push((format!("{}{from},", count(n, level.name())), level_ink(level)));
    }
    let errors = report.problems.iter().filter(|p| p.level == Severity::Error).count();
    if errors > 0 {
        pieces.push((format!("{},", count(errors, "parse error")), Ink::Red));
    }
    if pieces.len() == begun {
        pieces.push(("no findings,".to_owned(), Ink::Green));
    }
    if !report.waived.is_empty() {
        pieces.push((format!("{} waived,", thousands(report.waived.len() as u64)), Ink::Dim));
    }
    end_with(&mut pieces, ' ');
    pieces.push((format!("in {}.", count(report.inputs.len(), "file")), Ink::Dim));
    if !report.unread.is_empty() {
        end_with(&mut pieces, ';');
        pieces.push((format!("{} not read.", count(report.unread.len(), "file")), Ink::Yellow));
    }
    if let Some(s) = &report.scope {
        pieces.insert(0, (format!("Only {}:", clean(&s.of.join(", "))), Ink::Bold));
        if s.findings_outside > 0 {
            end_with(&mut pieces, ';');
            let outside = count(s.findings_outside, "other finding");
            pieces.push((format!("{outside} not shown."), Ink::Yellow));
        }
    }
    pieces
}

/// The sentence, without its full stop.
pub fn verdict(report: &Report) -> String {
    let words: Vec<_> = pieces(report).into_iter().map(|(text, _)| text).collect();
    words.join(" ").trim_end_matches('.').to_owned()
}

/// Ends a list: the last comma becomes another mark, or nothing.
fn end_with(pieces: &mut [(String, Ink)], mark: char) {
    if let Some((text, _)) = pieces.last_mut() {
        text.pop();
        if mark != ' ' {
            text.push(mark);
        }
    }
}

/// How many findings have a repair that `havenlint fix` may prove.
pub fn repairable(report: &Report) -> usize {
    report.findings.iter().filter(|f| f.fix.as_ref().is_some_and(|fix| !fix.elsewhere)).count()
}
