//! A jump leads to a chain without rules.
//!
//! ## What it does
//! Reports rules that jump or go to a chain that has no rules. Rules in chains that are never reached are left out. So are
//! empty chains that tools keep as hooks for the user, if only an unconditional jump leads there.
//!
//! ## Why is this bad?
//! The jump was written to have an effect, and has none: the packet comes straight back. A goto is worse: it leaves the
//! chain, so the rules after it are skipped.
//!
//! ## Example
//! ```text
//! :FROM_PARTNERS - [0:0]
//! -A INPUT -s 198.51.100.0/24 -j FROM_PARTNERS
//! ```
//!
//! ## Use instead
//! Fill the chain, or remove the jump.

use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::model::Action;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-EMPTY-CHAIN",
    name: "EmptyChain",
    summary: "a conditional jump leads to a chain without rules",
    level: Severity::Note,
    security_severity: None,
    source: include_str!("empty_chain.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let f = subject.firewall;
    let seen = f.reached();
    for rule in f.chains.iter().zip(seen).filter(|(_, seen)| **seen).flat_map(|(c, _)| &c.rules) {
        let (Action::Jump(to) | Action::Goto(to)) = rule.action else { continue };
        let chain = f.chain(to);
        let hook = rule.terms.len == 0 && matches!(rule.action, Action::Jump(_));
        if !chain.rules.is_empty() || hook || rule.note.is_some() {
            continue;
        }
        let message = format!("jumps to chain {}, which has no rules", chain.name);
        let mut finding = CHECK.finding(subject, rule.origin, message, "has no effect");
        finding.related.push(subject.related(chain.origin, "the chain is empty"));
        findings.push(finding);
    }
}
