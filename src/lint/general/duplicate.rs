//! The same rule appears twice in one chain.
//!
//! ## What it does
//! Reports a rule whose conditions and verdict are exactly those of an earlier rule of the same chain. Only rules that end
//! a packet's path through the chain count; rate limits and other conditions with a memory are never "the same". Comments
//! and counters do not matter.
//!
//! Two named sets are two different sets, whatever they hold at the moment, unless nothing can be added to them (`constant`).
//!
//! ## Why is this bad?
//! The second rule can never decide anything. Duplicates pile up where scripts append without looking. Then someone deletes
//! one copy and believes that the port is closed.
//!
//! ## Example
//! ```text
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! -A INPUT -s 10.0.0.0/8 -j ACCEPT
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! ```
//!
//! ## Use instead
//! Delete the later copy.

use crate::evidence::removal::removal;
use crate::finding::{Finding, Purpose, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::model::{Action, Chain, Effect, Firewall, Rule, Term};
use crate::packet::Field;
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-DUPLICATE",
    name: "DuplicateRule",
    summary: "the same rule appears earlier in this chain",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("duplicate.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let f = subject.firewall;
    for chain in &f.chains {
        for (first, copy) in copies(f, chain) {
            let message = format!("this rule is a duplicate of an earlier rule of chain {}", chain.name);
            let mut finding = CHECK.finding(subject, chain.rules[copy].origin, message, "decides nothing");
            finding.related.push(subject.related(chain.rules[first].origin, "the earlier rule"));
            finding.fix = removal(f, chain, copy, Purpose::default());
            findings.push(finding);
        }
    }
}

/// The rules of a chain that say the same as an earlier one, as (earlier, later), in the order of the later ones.
pub fn copies<'f>(f: &'f Firewall, chain: &'f Chain) -> impl Iterator<Item = (usize, usize)> + 'f {
    let fits = |r: &Rule| r.note.is_none() && decides_alike(f, r);
    let hashes: Vec<u64> = chain.rules.iter().map(|r| if fits(r) { hash(f, r) } else { 0 }).collect();
    // The first rule with each hash that is met again; whether the rules are equal is looked at then.
    let mut seen: FxHashMap<u64, usize> = FxHashMap::default();
    repeated(&hashes).into_iter().filter_map(move |(i, h)| {
        let first = *seen.entry(h).or_insert(i);
        (first != i && same(f, &chain.rules[first], &chain.rules[i])).then_some((first, i))
    })
}

/// Whether no packet comes to `later` that `earlier` has not decided about, if both stand in one chain in this order.
pub fn decides_for(f: &Firewall, earlier: &Rule, later: &Rule) -> bool {
    decides_alike(f, later) && same(f, earlier, later)
}

fn same(f: &Firewall, earlier: &Rule, later: &Rule) -> bool {
    let stateful =
        |t: &Term| matches!(t, Term::Range { field: Field::State, .. } | Term::In(Field::State, _));
    // Between the two the packet may have been taken from the connection tracker.
    let untracked = || f.effects.iter().flatten().any(|e| *e == Effect::Untrack);
    earlier.action == later.action
        && key(f, earlier) == key(f, later)
        && f.run_time_sets(earlier) == f.run_time_sets(later)
        && !(f.terms(later.terms).iter().any(stateful) && untracked())
}

// The indices, in order, of all hashes but 0 that may be there twice. A table of single bits tells nearly all others apart: it stays in the
// processor's cache where a map of a million entries would not.
fn repeated(hashes: &[u64]) -> Vec<(usize, u64)> {
    const BITS_EACH: usize = 16;
    let bits = (hashes.len() * BITS_EACH).next_power_of_two().max(64);
    let mut once = vec![0u64; bits / 64];
    let mut twice = vec![0u64; bits / 64];
    // The upper bits of the hash are its best ones.
    let place = |h: u64| (h >> (64 - bits.trailing_zeros())) as usize;
    for h in hashes.iter().filter(|h| **h != 0) {
        let (word, bit) = (place(*h) / 64, 1 << (place(*h) % 64));
        twice[word] |= once[word] & bit;
        once[word] |= bit;
    }
    let again = |h: u64| twice[place(h) / 64] & 1 << (place(h) % 64) != 0;
    hashes.iter().copied().enumerate().filter(|(_, h)| *h != 0 && again(*h)).collect()
}

// A packet that meets it once meets it wherever else it stands in the chain, and goes no further there.
fn decides_alike(f: &Firewall, rule: &Rule) -> bool {
    ends(rule.action) && !changes_before(f, rule)
}

fn ends(action: Action) -> bool {
    matches!(action, Action::Accept | Action::Drop | Action::Reject | Action::Return | Action::Goto(_))
}

// What is tested may have changed between two equal rules: a mark, a tag.
fn changes_before(f: &Firewall, rule: &Rule) -> bool {
    f.sets.has_masks() && f.terms(rule.terms).iter().any(|t| matches!(t, Term::Register { .. }))
}

fn key<'a>(f: &'a Firewall, rule: &Rule) -> (&'a [Term], &'a [Effect]) {
    (f.terms(rule.terms), f.effects(rule))
}

/// Equal for rules of one firewall of which one [`decides_for`] the other; never 0.
pub fn hash(f: &Firewall, rule: &Rule) -> u64 {
    let mut h = FxHasher::default();
    rule.action.hash(&mut h);
    rule.effects.hash(&mut h);
    f.run_time_sets(rule).hash(&mut h);
    for term in f.terms(rule.terms) {
        match *term {
            // The words of nearly all terms, in as few steps as they need.
            Term::Range { field, lo, hi } => {
                h.write_u64(u64::from(lo) << 32 | u64::from(hi));
                h.write_usize(field.index());
            }
            term => term.hash(&mut h),
        }
    }
    h.finish() | 1
}
