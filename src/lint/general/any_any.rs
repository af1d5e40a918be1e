//! One rule accepts everything.
//!
//! ## What it does
//! Sends probe packets that no sensible rule names (unassigned ports, an experimental protocol) through the input and
//! forward hooks, and reports the rule that accepts one of them although nothing in it limits protocol, addresses or ports.
//! Every finding shows such a packet.
//!
//! ## Why is this bad?
//! Rules above it only make exceptions, and rules below it have no effect: the firewall is open. Often such a rule was a
//! test, or an opening "for the installation", that nobody removed.
//!
//! ## Example
//! ```text
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! -A INPUT -j ACCEPT
//! -A INPUT -j DROP
//! ```
//!
//! ## Use instead
//! Allow what is needed, and leave the rest to the default:
//! ```text
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! -A INPUT -j DROP
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::probe::Blame;
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
        let Some(Blame::Rule(origin)) = probe.blame(subject.firewall) else { continue };
        if !told.insert(origin) {
            continue;
        }
        let mut f = CHECK.finding(
            subject,
            origin,
            format!("{} accepts everything here, even packets that no sensible rule names", subject.name),
            "accepts a packet that no sensible rule names",
        );
        f.witness = Some(Box::new(probe.packet.clone()));
        findings.push(f);
    }
}
