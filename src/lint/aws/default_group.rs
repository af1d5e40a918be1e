//! The default security group is in use or not closed.
//!
//! ## What it does
//! Reports groups named `default` that are attached to an interface, or that have a rule in either direction.
//!
//! ## Why is this bad?
//! Whatever is launched without a group gets the default one. Its rules then apply to machines that nobody thought about,
//! and all of them can reach each other.
//!
//! ## Example
//! ```json
//! {"GroupName": "default", "IpPermissions": [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-1"}]}]}
//! ```
//!
//! ## Use instead
//! Remove all rules from the default group, and give every machine a group for its role.

use super::{described, inventory, related};
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-DEFAULT-GROUP",
    name: "DefaultGroup",
    summary: "the default security group is attached, or has rules",
    level: Severity::Warning,
    security_severity: Some(4.0),
    source: include_str!("default_group.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(inventory) = inventory(subject) else { return };
    let members = inventory.members();
    for group in described(inventory).filter(|g| g.name.as_deref() == Some("default")) {
        let attached = members.get(group.id.as_str()).map_or(&[][..], Vec::as_slice);
        let rules = group.ingress.entries.len() + group.egress.entries.len();
        let what = match (attached.len(), rules) {
            (0, 0) => continue,
            (0, n) => format!("is not closed: it has {n} rules"),
            (n, 0) => format!("is attached to {n} interfaces"),
            (n, m) => format!("is attached to {n} interfaces and has {m} rules"),
        };
        let message = format!("the default group {} {what}", group.id);
        let mut f = CHECK.finding(subject, group.origin, message, "a default group");
        f.related =
            related(subject, attached.iter().take(8).map(|i| (i.origin, format!("attached to {}", i.id))));
        findings.push(f);
    }
}
