//! A pfSense rule that no packet reaches.
//!
//! ## What it does
//! Reports rules all of whose packets are taken by one earlier rule that stops the evaluation: another rule, or one that pfSense makes
//! by itself (private networks on WAN, the anti-lockout rule, IPv6 turned off). Rules that only several others together take are not
//! reported here.
//!
//! ## Why is this bad?
//! It looks as if the rule decided something. A block below a pass protects nothing, and a pass behind a block of the
//! system will be missed when it is needed.
//!
//! ## Example
//! ```text
//! LAN  pass   LAN net → any        (left from the installation)
//! LAN  block  LAN net → 10.9.0.0/16
//! ```
//!
//! ## Use instead
//! Take the broad rule out, or put the narrow one above it.

use super::registry::{Check, Subject};
use crate::dialect::pfsense::facts::Facts;
use crate::finding::{Finding, Severity};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-PF-SHADOWED",
    name: "PfShadowed",
    summary: "another rule takes every packet of this one",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("pf_shadowed.rs"),
    run,
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(facts) = Facts::of(subject.firewall) else { return };
    for shadow in &facts.shadows {
        let by = shadow.note.as_deref().unwrap_or("an earlier rule");
        let message = format!("no packet reaches this rule: {by} takes them all");
        let mut f = CHECK.finding(subject, shadow.origin, message, "decides nothing");
        f.related
            .push(subject.related(shadow.by, shadow.note.as_deref().unwrap_or("takes all of its packets")));
        findings.push(f);
    }
}
