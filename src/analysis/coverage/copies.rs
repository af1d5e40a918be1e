//! Rules that say the same as an earlier one of their chain.

use crate::model::{Action, Chain, ChainId, Effect, Firewall, Rule, Term};
use crate::packet::Field;
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};

/// A rule that says the same as an earlier one of its chain: no packet is left to it, whatever its conditions mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// The chain of both.
    pub chain: ChainId,
    /// The first rule that says it.
    pub first: usize,
    /// The one that says it again.
    pub copy: usize,
}

/// All of a firewall, in the order of chains and rules; of chains that no packet enters, too.
pub fn copies(f: &Firewall) -> Vec<Copied> {
    (0..).map(ChainId).zip(&f.chains).flat_map(|(id, chain)| of_chain(f, id, chain)).collect()
}

fn of_chain<'f>(f: &'f Firewall, id: ChainId, chain: &'f Chain) -> impl Iterator<Item = Copied> + 'f {
    let fits = |r: &Rule| r.note.is_none() && decides_alike(f, r);
    let hashes: Vec<u64> = chain.rules.iter().map(|r| if fits(r) { hash(f, r) } else { 0 }).collect();
    // The first rule with each hash that is met again; whether the rules are equal is looked at then.
    let mut seen: FxHashMap<u64, usize> = FxHashMap::default();
    repeated(&hashes).into_iter().filter_map(move |(copy, h)| {
        let first = *seen.entry(h).or_insert(copy);
        let is = first != copy && same(f, &chain.rules[first], &chain.rules[copy]);
        is.then_some(Copied { chain: id, first, copy })
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
