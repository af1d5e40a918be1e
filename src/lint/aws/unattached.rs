//! A security group is attached to no interface.
//!
//! ## What it does
//! Where the files show interfaces, reports groups that are attached to none of them. The default group is left out: it
//! cannot be deleted.
//!
//! ## Why is this bad?
//! One day someone attaches it to the wrong machine, with rules that nobody remembers.
//!
//! ## Example
//! ```json
//! {"GroupId": "sg-0123abcd", "GroupName": "old-test", "IpPermissions": []}
//! ```
//!
//! ## Use instead
//! Delete the group, or give the files of all interfaces if it is attached to one of them.

use super::{described, inventory};
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use std::collections::BTreeSet;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-UNATTACHED",
    name: "UnattachedGroup",
    summary: "this group is attached to no interface",
    level: Severity::Note,
    security_severity: None,
    source: include_str!("unattached.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(inventory) = inventory(subject) else { return };
    if inventory.interfaces.is_empty() && inventory.attached.is_empty() {
        return;
    }
    let carried = inventory.attached.iter().map(|a| a.group.as_str());
    let attached: BTreeSet<&str> = inventory
        .interfaces
        .iter()
        .flat_map(|i| i.groups.iter().flatten())
        .map(|(g, _)| g.as_str())
        .chain(carried)
        .collect();
    for group in described(inventory)
        .filter(|g| g.name.as_deref() != Some("default") && !attached.contains(g.id.as_str()))
    {
        let message = format!("{}: attached to no interface in the files", group.title());
        findings.push(CHECK.finding(subject, group.origin, message, "not attached"));
    }
}
