//! One rule accepts everything.
//!
//! ## What it does
//! Sends packets that no sensible rule names (unassigned ports, an experimental protocol) through the input and forward
//! hooks, and reports the rule that accepts one of them although nothing in it limits protocol, addresses or ports. Every finding has such a
//! packet as its witness.
//!
//! ## Why is this bad?
//! Whatever stands before such a rule only makes exceptions, and whatever stands behind it has no effect: the
//! firewall is open. Often the rule was a test, or an opening "for the installation", that nobody took back.
//!
//! ## Example
//! ```text
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! -A INPUT -j ACCEPT
//! -A INPUT -j DROP
//! ```
//!
//! ## Use instead
//! Name what is needed, and leave the rest to the default:
//! ```text
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! -A INPUT -j DROP
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use std::collections::BTreeSet;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-ANY-ANY",
    name: "AnyAny",
    summary: "a rule accepts everything from everywhere",
    level: Severity::Warning,
    security_severity: Some(7.5),
    source: include_str!("any_any.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let mut told = BTreeSet::new();
    for probe in subject.probes() {
        let Some(by) = probe.trace.decided_by.filter(|d| d.rule.is_some()) else { continue };
        if !told.insert(by.origin) {
            continue;
        }
        let mut f = CHECK.finding(
            subject,
            by.origin,
            format!("{} accepts everything here, also what no sensible rule names", subject.name),
            "accepts a packet that no sensible rule names",
        );
        f.witness = Some(probe.packet.clone());
        findings.push(f);
    }
}
