//! Rules follow a verdict that every packet meets.
//!
//! ## What it does
//! Reports the first rule after an `accept`, `drop`, `reject`, `return` or `goto` without conditions, once per verdict, and
//! how many rules no packet of the chain reaches. If the verdict has no conditions only because a comparison always holds,
//! or if all rules after it are copies of earlier rules, the checks for those report it.
//!
//! ## Why is this bad?
//! `nft add rule` appends. On a chain that ends with `drop`, a rule that opens or closes a port comes too late, and nothing
//! warns.
//!
//! ## Example
//! ```text
//! chain input {
//!     type filter hook input priority filter; policy accept;
//!     tcp dport 22 accept
//!     drop
//!     tcp dport 443 accept
//! }
//! ```
//!
//! ## Use instead
//! Put the rules above the verdict (`nft insert rule`), or leave the last word to the chain's policy:
//! ```text
//! chain input {
//!     type filter hook input priority filter; policy drop;
//!     tcp dport 22 accept
//!     tcp dport 443 accept
//! }
//! ```

use crate::dialect::nftables::facts::Facts;
use crate::finding::{Finding, Severity};
use crate::lint::general::duplicate::decides_for;
use crate::lint::registry::{Check, Run, Subject};
use crate::model::{Action, Rule};
use std::collections::BTreeSet;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-NFT-AFTER-VERDICT",
    name: "NftAfterVerdict",
    summary: "rules follow a verdict without conditions",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("after_verdict.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let f = subject.firewall;
    let Some(facts) = Facts::of(f) else { return };
    let always: BTreeSet<_> = facts.always.iter().map(|a| a.rule).collect();
    // A chain that is seen at several moments stands in the model for each.
    let mut told = BTreeSet::new();
    for chain in &f.chains {
        // A set that holds everything today may not tomorrow.
        let decides = |r: &Rule| ends(r) && !always.contains(&r.origin) && f.run_time_sets(r).is_empty();
        let Some(at) = chain.rules.iter().position(decides) else {
            continue;
        };
        let verdict = &chain.rules[at];
        let mut dead: Vec<&Rule> = chain.rules[at + 1..].iter().filter(|r| r.note.is_none()).collect();
        // A rule of the file may be several of the model.
        dead.retain(|r| r.origin != verdict.origin);
        dead.dedup_by_key(|r| r.origin);
        let Some(first) = dead.first() else { continue };
        let is_copy = |r: &Rule| chain.rules[..=at].iter().any(|earlier| decides_for(f, earlier, r));
        // What HL-DUPLICATE reports.
        if dead.iter().all(|r| is_copy(r)) || !told.insert(first.origin) {
            continue;
        }
        let message = match dead.len() {
            1 => format!("no packet of chain {} reaches this rule", chain.name),
            n => format!("no packet of chain {} reaches this rule and the {} after it", chain.name, n - 1),
        };
        let mut finding = CHECK.finding(subject, first.origin, message, "never reached");
        finding.related.push(subject.related(verdict.origin, "decides every packet that arrives here"));
        findings.push(finding);
    }
}

fn ends(rule: &Rule) -> bool {
    use Action::{Accept, Drop, Goto, Reject, Return, Translate};
    rule.terms.len == 0
        && rule.note.is_none()
        && matches!(rule.action, Accept | Drop | Reject | Return | Goto(_) | Translate(_))
}
