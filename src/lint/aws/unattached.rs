//! Nobody wears a security group.
//!
//! ## What it does
//! Where the files show interfaces, reports groups that none of them wears. The default group is left out: it cannot be
//! deleted.
//!
//! ## Why is this bad?
//! A group that nobody needs is put on the wrong machine one day, with rules that nobody remembers.
//!
//! ## Example
//! ```json
//! {"GroupId": "sg-0123abcd", "GroupName": "old-test", "IpPermissions": []}
//! ```
//!
//! ## Use instead
//! Delete the group, or give the files of all interfaces if one of them does wear it.

use super::{described, inventory};
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use std::collections::BTreeSet;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-UNATTACHED",
    name: "UnattachedGroup",
    summary: "no interface wears this group",
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
    let worn: BTreeSet<&str> = inventory
        .interfaces
        .iter()
        .flat_map(|i| i.groups.iter().flatten())
        .map(|(g, _)| g.as_str())
        .chain(carried)
        .collect();
    for group in
        described(inventory).filter(|g| g.name.as_deref() != Some("default") && !worn.contains(g.id.as_str()))
    {
        let message = format!("{}: no interface in the files wears it", group.title());
        findings.push(CHECK.finding(subject, group.origin, message, "not worn"));
    }
}
