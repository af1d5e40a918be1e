//! No base chain leads to a chain.
//!
//! ## What it does
//! Follows every jump and goto from the base chains and reports chains that have rules and are never reached. Chains to which an element
//! that is added to a map of verdicts may lead are left out.
//!
//! ## Why is this bad?
//! The rules look as if they protect something, and do nothing. Usually the jump was lost in an edit, and the protection
//! with it.
//!
//! ## Example
//! ```text
//! :BLOCKLIST - [0:0]
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! -A BLOCKLIST -s 198.51.100.0/24 -j DROP
//! ```
//!
//! ## Use instead
//! Jump to the chain where it should act, or delete it:
//! ```text
//! -A INPUT -j BLOCKLIST
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::model::ChainId;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-UNUSED-CHAIN",
    name: "UnusedChain",
    summary: "no base chain leads to this chain",
    level: Severity::Note,
    security_severity: None,
    source: include_str!("unused_chain.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let f = subject.firewall;
    let unused = |at: usize| !f.reached()[at] && !f.run_time_targets.contains(&ChainId(at as u32));
    for (_, chain) in f.chains.iter().enumerate().filter(|(at, c)| !c.rules.is_empty() && unused(*at)) {
        let rules = chain.rules.len();
        let s = if rules == 1 { "rule has" } else { "rules have" };
        let message = format!("nothing jumps to chain {}: its {rules} {s} no effect", chain.name);
        findings.push(CHECK.finding(subject, chain.origin, message, "never reached"));
    }
}
