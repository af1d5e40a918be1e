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
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::unused::{Case, Unused, ender, finding, takers, unreached};
use crate::model::{Action, ChainId, Rule};
use crate::source::Origin;
use rustc_hash::FxHashSet;

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
    for about in &behind(subject) {
        let Case::Ended(rules) = about.case else { continue };
        let message = unreached(&subject.firewall.chain(about.chain).name, rules);
        findings.push(finding(&CHECK, subject, about, takers(subject, about), (message, "never reached")));
    }
}

// The first rule behind a verdict without conditions in each chain. That is so whatever sets and maps hold, and whether packets come to the chain as
// they are filled now.
fn behind(subject: &Subject<'_>) -> Vec<Unused> {
    let f = subject.firewall;
    let Some(facts) = Facts::of(f) else { return Vec::new() };
    // A set that holds everything today may not tomorrow.
    let decides = |r: &Rule| {
        ends(r) && facts.always.iter().all(|a| a.rule != r.origin) && f.run_time_sets(r).is_empty()
    };
    // Where several rules together end the way of all packets, HL-UNREACHABLE tells what comes after them.
    let others =
        subject.unused().iter().filter(|u| matches!(u.case, Case::Ended(_)) && ender(f, u).is_none());
    let others: FxHashSet<ChainId> = others.map(|u| u.chain).collect();
    let copies: FxHashSet<(ChainId, usize)> = subject.copies().iter().map(|c| (c.chain, c.copy)).collect();
    let mut told: FxHashSet<Origin> = FxHashSet::default();
    let mut out = Vec::new();
    for (id, chain) in (0..).map(ChainId).zip(&f.chains).filter(|(id, _)| !others.contains(id)) {
        let Some(at) = chain.rules.iter().position(decides) else { continue };
        let written = |n: &usize| {
            let r = &chain.rules[*n];
            r.note.is_none() && r.origin != chain.rules[at].origin && !copies.contains(&(id, *n))
        };
        let mut behind: Vec<usize> = (at + 1..chain.rules.len()).filter(written).collect();
        // A rule of the file may be several of the model.
        behind.dedup_by_key(|n| chain.rules[*n].origin);
        if let Some(rule) = behind.first().copied().filter(|n| told.insert(chain.rules[*n].origin)) {
            let by = vec![(id, at as u32)];
            out.push(Unused { chain: id, rule, case: Case::Ended(behind.len()), by, strays: false });
        }
    }
    out
}

fn ends(rule: &Rule) -> bool {
    use Action::{Accept, Drop, Goto, Reject, Return, Translate};
    rule.terms.len == 0
        && rule.note.is_none()
        && matches!(rule.action, Accept | Drop | Reject | Return | Goto(_) | Translate(_))
}
