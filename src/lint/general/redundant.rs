//! A rule changes nothing, because of what stands behind it.
//!
//! ## What it does
//! Reports rules that accept or drop packets and could be deleted without changing a verdict: a later rule of the chain with the same
//! verdict, or the chain's policy if that is drop, would decide about each of their packets, and no rule between them matches any. Rules
//! that mark or change packets are left alone, and so is one without conditions that repeats the policy.
//!
//! Rules that *earlier* ones make useless are reported by `HL-SHADOWED` and `HL-DUPLICATE`.
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

use crate::analysis::coverage::{Instead, redundant};
use crate::evidence::removal::removal;
use crate::finding::{Finding, Purpose, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::unused::{has_own_checks, verb, verdict};
use rustc_hash::{FxHashMap, FxHashSet};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-REDUNDANT",
    name: "RedundantRule",
    summary: "later rules, or the policy, would decide alike without this rule",
    level: Severity::Note,
    security_severity: None,
    source: include_str!("redundant.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let f = subject.firewall;
    if has_own_checks(f) {
        return;
    }
    let unused: FxHashSet<_> = subject.without_packets().iter().map(|(rule, _)| *rule).collect();
    let mut told = FxHashSet::default();
    // A written rule that stands in the model several times is redundant only if each of them is.
    let found = redundant(f, &|chain, rule| unused.contains(&(chain, rule)));
    let mut left: FxHashMap<_, u32> =
        found.iter().map(|((c, n), _)| (f.chain(*c).rules[*n].origin, 0)).collect();
    for rule in f.chains.iter().flat_map(|c| &c.rules) {
        left.entry(rule.origin).and_modify(|n| *n += 1);
    }
    for ((c, n), _) in &found {
        left.entry(f.chain(*c).rules[*n].origin).and_modify(|n| *n -= 1);
    }
    for ((id, n), instead) in found {
        let chain = f.chain(id);
        let rule = &chain.rules[n];
        if left.get(&rule.origin) != Some(&0) || !told.insert(rule.origin) {
            continue;
        }
        let (does, _) = verb(verdict(rule.action) == Some(true));
        let what = match instead {
            Instead::Rule(later) => {
                format!("the rule at line {} below", f.locate(chain.rules[later as usize].origin).line)
            }
            Instead::Policy => format!("the policy of chain {}", chain.name),
        };
        let message = format!("this rule changes nothing: {what} {does} every packet that it matches");
        let mut finding = CHECK.finding(subject, rule.origin, message, "changes nothing");
        if let Instead::Rule(later) = instead {
            finding
                .related
                .push(subject.related(chain.rules[later as usize].origin, format!("{does} its packets too")));
        }
        finding.fix = removal(f, chain, n, Purpose::default());
        findings.push(finding);
    }
}
