//! No subnet uses a network ACL.
//!
//! ## What it does
//! Reports network ACLs, other than a network's default one, that no subnet is associated with.
//!
//! ## Why is this bad?
//! Its rules look as if they protect something. They do not.
//!
//! ## Example
//! ```json
//! {"NetworkAclId": "acl-1", "IsDefault": false, "Associations": [], "Entries": []}
//! ```
//!
//! ## Use instead
//! Associate it with the subnets that it was made for, or delete it.

use super::inventory;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-ACL-UNUSED",
    name: "NetworkAclUnused",
    summary: "no subnet uses this network ACL",
    level: Severity::Note,
    security_severity: None,
    source: include_str!("acl_unused.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(inventory) = inventory(subject) else { return };
    for acl in inventory.acls.iter().filter(|a| !a.default && a.subnets.as_ref().is_some_and(Vec::is_empty)) {
        let message = format!("{}: no subnet uses this network ACL", acl.id);
        findings.push(CHECK.finding(subject, acl.origin, message, "not used"));
    }
}
