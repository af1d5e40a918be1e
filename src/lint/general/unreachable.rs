//! No packet reaches a rule.
//!
//! ## What it does
//! Reports rules that never see a packet: earlier rules of their chain, alone or together, end the way of every packet, or nothing
//! that the rule matches ever enters its chain. Of rules in a row the first is reported, with their number. Conditions that are not
//! known, rate limits and sets that may be filled at run time never make a rule unreachable.
//!
//! The finding is a note where little can be meant by the rule: it stops whatever is left at the end of a chain that leaves nothing, or it
//! stands in a chain that is shared by packets of which it matches none.
//!
//! In nftables, rules behind a verdict without conditions are reported by `HL-NFT-AFTER-VERDICT`; chains to which nothing jumps by
//! `HL-UNUSED-CHAIN`.
//!
//! ## Why is this bad?
//! The rule looks as if it protected something or let something in, and does nothing. Most often it was appended behind the rule
//! that ends the chain, and nobody noticed that it came too late.
//!
//! ## Example
//! ```text
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! -A INPUT -j DROP
//! -A INPUT -p tcp -m tcp --dport 443 -j ACCEPT
//! ```
//!
//! ## Use instead
//! Put the rule above the one that ends the chain, or delete it:
//! ```text
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! -A INPUT -p tcp -m tcp --dport 443 -j ACCEPT
//! -A INPUT -j DROP
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::unused::{Case, finding, takers, unreached, verdict};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-UNREACHABLE",
    name: "UnreachableRule",
    summary: "no packet reaches this rule",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("unreachable.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for about in subject.unused_told_by(&CHECK) {
        let chain = &subject.firewall.chain(about.chain).name;
        let message = match about.case {
            Case::Ended(rules) => unreached(chain, rules),
            Case::Elsewhere => format!("no packet that this rule matches enters chain {chain}"),
            _ => continue,
        };
        let mut finding = finding(&CHECK, subject, about, takers(subject, about), (message, "never reached"));
        let rule = &subject.firewall.chain(about.chain).rules[about.rule];
        let safety_net =
            about.case == Case::Ended(1) && rule.terms.len == 0 && verdict(rule.action) == Some(false);
        if safety_net || about.case == Case::Elsewhere {
            finding.level = Severity::Note;
        }
        findings.push(finding);
    }
}
