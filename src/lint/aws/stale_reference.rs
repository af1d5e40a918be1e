//! A rule refers to a group that it can no longer reach.
//!
//! ## What it does
//! Reports references to groups of a peer network whose peering connection is not active: the rule matches nothing.
//!
//! ## Why is this bad?
//! The opening looks as if it were in force. If the connection comes back, so does the opening.
//!
//! ## Example
//! ```json
//! {"UserIdGroupPairs": [{"GroupId": "sg-1", "VpcPeeringConnectionId": "pcx-1", "PeeringStatus": "deleted"}]}
//! ```
//!
//! ## Use instead
//! Delete the rule, or restore the peering connection if the flow is still needed.

use super::{described, inventory};
use crate::dialect::aws::inventory::Peer;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-STALE-REFERENCE",
    name: "StaleReference",
    summary: "a rule refers to a group that is out of reach",
    level: Severity::Warning,
    security_severity: Some(3.0),
    source: include_str!("stale_reference.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(inventory) = inventory(subject) else { return };
    for group in described(inventory) {
        for e in group.ingress.entries.iter().chain(&group.egress.entries) {
            let Peer::Group(r) = &e.peer else { continue };
            let Some(status) = r.status.as_deref().filter(|s| *s != "active") else { continue };
            let message = format!(
                "{}: the rule for {} refers to {}, but the peering connection is {status}",
                group.title(),
                e.service.text(),
                r.group
            );
            findings.push(CHECK.finding(subject, e.origin, message, "matches nothing"));
        }
    }
}
