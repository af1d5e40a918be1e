//! A rule changes nothing, because a later one does the same.
//!
//! ## What it does
//! Reports rules that accept or drop packets and could be deleted without changing a verdict: a later rule of the chain with the same
//! verdict would decide about each of their packets, and no rule between them matches any. Rules that mark or change packets are left
//! alone. So are those that stop what the chain's last rule without conditions, or its policy, would stop anyway: they are often there to
//! say so.
//!
//! Rules that *earlier* ones make useless are reported by `HL-SHADOWED` and `HL-DUPLICATE`.
//!
//! At most 1000 rules of one firewall are listed; the last finding says how many more there are.
//!
//! ## Why is this bad?
//! Nothing is open or closed by mistake. But long rulesets are read rule by rule, and whoever deletes this one to close a port is
//! surprised that it stays open.
//!
//! ## Example
//! ```text
//! -A INPUT -s 10.1.2.0/24 -p tcp -m tcp --dport 22 -j ACCEPT
//! -A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT
//! ```
//!
//! ## Use instead
//! Delete the narrow rule, or the broad one if it lets in more than is needed.

use crate::analysis::coverage::redundant;
use crate::evidence::removal::removal;
use crate::finding::{Finding, Purpose, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::unused::{is_unordered, left_out, report, side, verb, verdict};
use rustc_hash::{FxHashMap, FxHashSet};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-REDUNDANT",
    name: "RedundantRule",
    summary: "a later rule would decide alike without this one",
    level: Severity::Note,
    security_severity: None,
    source: include_str!("redundant.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let f = subject.firewall;
    if is_unordered(f) {
        return;
    }
    let left_out = left_out(subject);
    let mut told = FxHashSet::default();
    // A written rule that stands in the model several times is redundant only if each of them is.
    let mut found = redundant(f, &left_out);
    let mut left: FxHashMap<_, u32> =
        found.iter().map(|((c, n), _)| (f.chain(*c).rules[*n].origin, 0)).collect();
    for rule in f.chains.iter().flat_map(|c| &c.rules) {
        left.entry(rule.origin).and_modify(|n| *n += 1);
    }
    for ((c, n), _) in &found {
        left.entry(f.chain(*c).rules[*n].origin).and_modify(|n| *n -= 1);
    }
    found.retain(|((id, n), _)| {
        let origin = f.chain(*id).rules[*n].origin;
        left.get(&origin) == Some(&0) && told.insert(origin)
    });
    report(subject, &found, findings, |((id, n), later)| {
        let chain = f.chain(*id);
        let rule = &chain.rules[*n];
        let (does, _) = verb(verdict(rule.action) == Some(true));
        let later = chain.rules[*later as usize].origin;
        let (line, side) = (f.locate(later).line, side(later, rule.origin));
        let message = format!(
            "this rule changes nothing: the rule at line {line} {side} {does} every packet that it matches"
        );
        let mut finding = CHECK.finding(subject, rule.origin, message, "changes nothing");
        finding.related.push(subject.related(later, format!("{does} its packets too")));
        finding.fix = removal(f, chain, *n, Purpose::default());
        finding
    });
}
