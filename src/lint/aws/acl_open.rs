//! A network ACL allows everything in.
//!
//! ## What it does
//! Walks the ingress entries of each network ACL in order and reports those that allow every packet from the Internet, over
//! IPv4 or IPv6, before any entry denies one.
//!
//! ## Why is this bad?
//! The second line of defence is missing: a mistake in one security group opens the machine. The ACL that AWS creates with
//! a network is like this.
//!
//! ## Example
//! ```json
//! {"RuleNumber": 100, "Egress": false, "Protocol": "-1", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0"}
//! ```
//!
//! ## Use instead
//! Allow the ports that the subnet offers and, because network ACLs are stateless, the ports to which answers come.

use super::{inventory, over};
use crate::dialect::aws::inventory::{Acl, AclEntry, Peer, Service};
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::packet::{Family, addr, public};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-ACL-OPEN",
    name: "NetworkAclOpen",
    summary: "a network ACL allows everything in",
    level: Severity::Note,
    security_severity: None,
    source: include_str!("acl_open.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(inventory) = inventory(subject) else { return };
    for acl in &inventory.acls {
        let open: Vec<(Family, &AclEntry)> =
            Family::ALL.into_iter().filter_map(|f| Some((f, opens(acl, f)?))).collect();
        let Some((_, first)) = open.first() else { continue };
        let families: Vec<_> = open.iter().map(|(f, _)| over(*f)).collect();
        let message =
            format!("{} allows everything from the Internet over {}", acl.id, families.join(" and "));
        let mut f = CHECK.finding(subject, first.origin, message, "allows everything in");
        f.related.push(subject.related(acl.origin, acl.id.clone()));
        findings.push(f);
    }
}

/// The entry with which everything is let in before anything is denied.
pub fn opens(acl: &Acl, family: Family) -> Option<&AclEntry> {
    if !acl.unknown.is_empty() {
        return None;
    }
    let mut left = public::internet().intersect(&family.all());
    let mut entries: Vec<&AclEntry> = acl.entries.iter().filter(|e| !e.egress).collect();
    entries.sort_by_key(|e| e.number);
    for e in entries {
        let Peer::Net(net) = &e.peer else { return None };
        let peers = addr::net(*net);
        if !peers.intersects(&left) {
            continue;
        }
        match (e.allow, &e.service) {
            (true, Service::All) => left = left.minus(&peers),
            (true, _) => {}
            (false, _) => return None,
        }
        if left.is_empty() {
            return Some(e);
        }
    }
    None
}
