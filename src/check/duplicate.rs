//! The same rule stands twice in one chain.
//!
//! ## What it does
//! Reports a rule whose conditions and verdict are exactly those of an earlier rule of the same chain. Only rules that end the packet's way
//! through the chain count; rate limits and other conditions with a memory are never "the same". Comments and counters do not matter.
//!
//! ## Why is this bad?
//! The second one can never decide anything. Duplicates pile up where scripts append without looking, and then one copy is
//! deleted and everybody believes that the opening is closed.
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

use super::registry::{Check, Subject};
use crate::finding::{Finding, Severity};
use crate::model::{Action, Effect, Firewall, Rule, Term};
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-DUPLICATE",
    name: "DuplicateRule",
    summary: "the same rule already stands further up in this chain",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("duplicate.rs"),
    run,
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let f = subject.firewall;
    // Only hashes are kept: a million rules are read once, and equality is checked when hashes meet.
    let mut seen: FxHashMap<u64, u32> = FxHashMap::default();
    for chain in &f.chains {
        seen.clear();
        seen.reserve(chain.rules.len());
        for (i, rule) in chain.rules.iter().enumerate() {
            if rule.note.is_some() || !ends(rule.action) || changes_before(f, rule) {
                continue;
            }
            let first = *seen.entry(hash(f, rule)).or_insert(i as u32) as usize;
            let earlier = &chain.rules[first];
            if first != i && earlier.action == rule.action && key(f, earlier) == key(f, rule) {
                let message = format!("this rule of chain {} already stands further up", chain.name);
                let mut finding = CHECK.finding(subject, rule.origin, message, "decides nothing");
                finding.related.push(subject.related(earlier.origin, "the same rule"));
                findings.push(finding);
            }
        }
    }
}

fn ends(action: Action) -> bool {
    matches!(action, Action::Accept | Action::Drop | Action::Reject | Action::Return | Action::Goto(_))
}

// What is tested may have changed between two equal rules: a mark, a tag, the state.
fn changes_before(f: &Firewall, rule: &Rule) -> bool {
    f.terms(rule.terms).iter().any(|t| matches!(t, Term::Register { .. }))
}

fn key<'a>(f: &'a Firewall, rule: &Rule) -> (&'a [Term], &'a [Effect]) {
    (f.terms(rule.terms), f.effects(rule))
}

fn hash(f: &Firewall, rule: &Rule) -> u64 {
    let mut h = FxHasher::default();
    rule.action.hash(&mut h);
    key(f, rule).hash(&mut h);
    h.finish()
}
