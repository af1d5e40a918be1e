//! Rules of a group have no description.
//!
//! ## What it does
//! Reports groups with rules that carry no description, once per group. The rules of the default group and the egress rules
//! that every new group has are left out.
//!
//! ## Why is this bad?
//! Nobody can tell whether the rule is still needed, so nobody removes it.
//!
//! ## Example
//! ```json
//! {"IpRanges": [{"CidrIp": "203.0.113.7/32"}]}
//! ```
//!
//! ## Use instead
//! ```json
//! {"IpRanges": [{"CidrIp": "203.0.113.7/32", "Description": "backup of the branch office, until 2027"}]}
//! ```

use super::{described, inventory};
use crate::dialect::aws::inventory::{Entry, Peer, Service};
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-NO-DESCRIPTION",
    name: "RuleWithoutDescription",
    summary: "rules have no description",
    level: Severity::Note,
    security_severity: None,
    source: include_str!("no_description.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(inventory) = inventory(subject) else { return };
    for group in described(inventory).filter(|g| g.name.as_deref() != Some("default")) {
        let rules = || group.ingress.entries.iter().chain(group.egress.entries.iter().filter(|e| !fresh(e)));
        let bare: Vec<&Entry> = rules().filter(|e| e.description.is_none()).collect();
        let Some(first) = bare.first() else { continue };
        let message =
            format!("{}: {} of {} rules have no description", group.title(), bare.len(), rules().count());
        let mut f = CHECK.finding(subject, first.origin, message, "what is it for?");
        f.related =
            bare.iter().skip(1).take(4).map(|e| subject.related(e.origin, "no description either")).collect();
        findings.push(f);
    }
}

// The rule that a fresh group has.
fn fresh(e: &Entry) -> bool {
    e.service == Service::All && matches!(&e.peer, Peer::Net(n) if n.prefix_len() == 0)
}
