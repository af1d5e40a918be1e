//! Too many rules, or too many groups on one interface.
//!
//! ## What it does
//! Counts as AWS does: rules of one direction and family, each reference once for both families, each prefix list as
//! often as it may have entries (`MaxEntries`, where a file says it; otherwise once),
//! against the quota of 60; groups of an interface against 5; both multiplied against the hard limit of 1000.
//!
//! ## Why is this bad?
//! Beyond the quota the next change fails, usually in the middle of an incident. Long before that, nobody can read the
//! list.
//!
//! ## Example
//! ```json
//! {"GroupId": "sg-1", "IpPermissions": ["… 200 entries …"]}
//! ```
//!
//! ## Use instead
//! Put the prefixes into a managed prefix list, refer to groups instead of addresses, split groups by role.

use super::{described, inventory};
use crate::dialect::aws::inventory::{Entry, Inventory, Peer, Rules};
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::packet::Family;
use std::collections::BTreeMap;

// Quotas of the VPC user guide, "Amazon VPC quotas", security groups.
const RULES: usize = 60;
const GROUPS: usize = 5;
const PRODUCT: usize = 1000;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-MANY-RULES",
    name: "ManyRules",
    summary: "more rules or groups than AWS allows by default",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("many_rules.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(inventory) = inventory(subject) else { return };
    let mut most: BTreeMap<&str, usize> = BTreeMap::new();
    for group in described(inventory) {
        for (rules, direction) in [(&group.ingress, "ingress"), (&group.egress, "egress")] {
            let n = count(inventory, rules);
            let known = most.entry(&group.id).or_default();
            *known = n.max(*known);
            if n > RULES {
                let message = format!(
                    "{}: {n} {direction} rules of one family; the default quota is {RULES}",
                    group.title()
                );
                findings.push(CHECK.finding(subject, group.origin, message, "too many rules"));
            }
        }
    }
    for interface in &inventory.interfaces {
        let attached: Vec<&str> = interface.groups.iter().flatten().map(|(g, _)| g.as_str()).collect();
        let rules: usize = attached.iter().filter_map(|g| most.get(g)).sum();
        if attached.len() > GROUPS || rules > PRODUCT {
            let message = format!(
                "{} has {} groups with {rules} rules attached; the defaults are {GROUPS} and {PRODUCT}",
                interface.id,
                attached.len()
            );
            findings.push(CHECK.finding(subject, interface.origin, message, "too many groups"));
        }
    }
}

// The larger of the two families. A prefix list counts as often as it may have entries (VPC user guide, "Managed prefix lists").
fn count(inventory: &Inventory, rules: &Rules) -> usize {
    let (mut v4, mut v6) = (0, 0);
    for e in &rules.entries {
        let n = match &e.peer {
            Peer::PrefixList(id) => weight(inventory, id),
            _ => 1,
        };
        match family(inventory, e) {
            Some(Family::V4) => v4 += n,
            Some(Family::V6) => v6 += n,
            None => (v4, v6) = (v4 + n, v6 + n),
        }
    }
    v4.max(v6)
}

fn weight(inventory: &Inventory, id: &str) -> usize {
    let list = inventory.prefix_list(id);
    let most =
        list.and_then(|l| l.max_entries).map(|n| n as usize).or(inventory.max_entries.get(id).copied());
    most.or(list.map(|l| l.entries.len())).unwrap_or(1).max(1)
}

// The family in which an entry counts; `None` = both.
fn family(inventory: &Inventory, e: &Entry) -> Option<Family> {
    match &e.peer {
        Peer::Net(n) => Some(Family::of(n.addr())),
        Peer::PrefixList(id) => {
            let first = inventory.prefix_list(id)?.entries.first()?;
            Some(Family::of(first.0.addr()))
        }
        Peer::Group(_) | Peer::Unknown(..) => None,
    }
}
