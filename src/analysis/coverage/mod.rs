//! Rules to which no packet is left, because earlier ones have all of theirs.
//!
//! For each base chain and the chains below it, in both families. What is said is exact; where it would take too much work to find out,
//! nothing is said of a rule. Only rules that end a packet's way through their chain for certain take packets from later ones: a condition
//! that is not known does so only if the later rule has the same one, and rate limits, counters and lists that rules fill never do. What
//! rules change on the way (marks, addresses, tracking) is not followed: what depends on it counts as not known. A set that may be filled
//! at run time holds anything. A rule that is equal to an earlier one of its chain is found by its words, whatever they mean.
//!
//! Earlier is meant as in the model: in pf, where the last match wins, rules of the file stand there in order of precedence.

mod axes;
mod boxes;
mod chains;
mod contradicted;
mod copies;
mod graph;
mod index;
mod list;
mod literals;
mod parts;
mod redundant;
mod split;
mod summary;

#[cfg(test)]
mod tests;

use crate::model::{ChainId, Firewall, Rule};
use crate::packet::Family;
use crate::source::Origin;
use chains::State;
pub use contradicted::contradicted;
pub use copies::{Copied, copies, decides_for, hash};
pub use redundant::redundant;
use rustc_hash::FxHashMap;

/// A rule to which no packet is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// Why.
    pub reason: Reason,
    /// The rules that take its packets, or (elsewhere) that send others to its chain; in order, perhaps not all.
    pub by: Vec<(ChainId, u32)>,
}

/// Why no packet is left to a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Packets come to it, but earlier rules have all that it matches.
    Covered,
    /// As [`Reason::Covered`] of all packets that may open a connection. It stops the others, which are stopped behind it anyway.
    Strays,
    /// No packet comes to its place: earlier rules of its chain end the way of each.
    Ended,
    /// Packets come to it, but none that it matches ever enters its chain.
    Elsewhere,
    /// An earlier rule of its chain is equal to it.
    Copied,
}

/// The rules of a firewall to which no packet is left, in the order of chains and rules. A written rule that stands in the model several
/// times is there only if no packet is left to any of them. Rules that match nothing by themselves, and those of chains that no packet
/// enters, are not there, unless they are [copies](Copied).
pub fn unused(f: &Firewall) -> Vec<((ChainId, usize), Unused)> {
    unused_beside(f, &copies(f))
}

/// As [`unused`]; the copies are known.
pub fn unused_beside(f: &Firewall, copied: &[Copied]) -> Vec<((ChainId, usize), Unused)> {
    let mut all: Vec<Vec<State>> = Vec::new();
    for family in Family::ALL.into_iter().filter(|family| f.covers(*family)) {
        let states = chains::states(f, family);
        if all.is_empty() {
            all = states;
            continue;
        }
        for (a, b) in all.iter_mut().flatten().zip(states.into_iter().flatten()) {
            joined(a, b);
        }
    }
    for c in copied {
        if let Some(state) = all.get_mut(c.chain.index()).and_then(|states| states.get_mut(c.copy)) {
            let by = vec![(c.chain, c.first as u32)];
            *state = State::Unused(Unused { reason: Reason::Copied, by });
        }
    }
    // By the place where it is written: several rules of the model may be one.
    let mut by_place: FxHashMap<Origin, bool> = FxHashMap::default();
    let rules = || f.chains.iter().zip(&all).flat_map(|(c, states)| c.rules.iter().zip(states));
    for (rule, _) in rules().filter(|(_, s)| matches!(s, State::Unused(_))) {
        by_place.insert(rule.origin, true);
    }
    if by_place.is_empty() {
        return Vec::new();
    }
    // What nobody wrote is not looked at, but what it does for a written rule, as pf's tags, makes that one useful.
    let works = |r: &Rule, s: &State| *s == State::Used || r.note.is_some() && r.effects.is_some();
    for (rule, _) in rules().filter(|(r, s)| works(r, s)) {
        by_place.entry(rule.origin).and_modify(|unused| *unused = false);
    }
    let mut out = Vec::new();
    for (c, states) in all.into_iter().enumerate() {
        for (n, state) in states.into_iter().enumerate() {
            if let State::Unused(unused) = state
                && by_place.get(&f.chains[c].rules[n].origin) == Some(&true)
            {
                out.push(((ChainId(c as u32), n), unused));
            }
        }
    }
    out
}

fn joined(a: &mut State, b: State) {
    match (&mut *a, b) {
        (State::Used, _) | (_, State::Idle) => {}
        (State::Unused(a), State::Unused(b)) => {
            a.reason = a.reason.min(b.reason);
            if a.reason == Reason::Covered && b.reason == Reason::Strays {
                a.reason = Reason::Strays;
            }
            a.by.extend(b.by);
            a.by.sort_unstable();
            a.by.dedup();
        }
        (a, b) => *a = b,
    }
}
