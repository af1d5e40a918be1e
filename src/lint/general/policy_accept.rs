//! A base chain accepts by default.
//!
//! ## What it does
//! Sends probe packets that no sensible rule names (unassigned ports, an experimental protocol) through the input and
//! forward hooks, and reports the base chain whose *policy* accepts one of them. Every finding shows such a packet.
//!
//! ## Why is this bad?
//! With a default of accept, every forgotten rule leaves something open: a service that is started tomorrow is reachable at
//! once, from everywhere.
//!
//! ## Example
//! ```text
//! :INPUT ACCEPT [0:0]
//! -A INPUT -p tcp -m tcp --dport 23 -j DROP
//! ```
//!
//! ## Use instead
//! ```text
//! :INPUT DROP [0:0]
//! -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use std::collections::BTreeSet;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-POLICY-ACCEPT",
    name: "PolicyAccept",
    summary: "a base chain accepts what no rule stops",
    level: Severity::Warning,
    security_severity: Some(6.5),
    source: include_str!("policy_accept.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let mut told = BTreeSet::new();
    for probe in subject.probes() {
        let Some(by) = probe.trace.decided_by.filter(|d| d.rule.is_none()) else { continue };
        if !told.insert(by.origin) {
            continue;
        }
        let chain = subject.firewall.chain(by.chain);
        let what = if by.hook.name() == "forward" { "forwards" } else { "lets in" };
        let mut f = CHECK.finding(
            subject,
            by.origin,
            format!("{} {what} whatever no rule of {} stops: the policy is accept", subject.name, chain.name),
            "the policy accepts what no rule stops",
        );
        f.witness = Some(probe.packet.clone());
        findings.push(f);
    }
}
