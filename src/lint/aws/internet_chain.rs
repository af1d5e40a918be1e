//! A chain of groups leads from the Internet to a group.
//!
//! ## What it does
//! Follows references between groups: if the Internet reaches group A, and group B allows the members of A, then whoever
//! takes over a member of A reaches B. Reports each such B with the chain and the services of its last step. Only active
//! references count (an active peering connection).
//!
//! ## Why is this bad?
//! It may be intended: tiers are built like this. But a database behind an edge that is open to everyone is only as safe as
//! that edge, and no rule of the database's own group shows it.
//!
//! ## Example
//! ```json
//! {"GroupId": "sg-edge", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}
//! {"GroupId": "sg-db", "IpPermissions": [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-edge"}]}]}
//! ```
//!
//! ## Use instead
//! Allow the edge to reach the one service that it needs, and put a tier between the edge and the data.

use super::{described, inventory, services};
use crate::dialect::aws::inventory::{Entry, Group, Peer};
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use std::collections::{BTreeMap, VecDeque};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-INTERNET-CHAIN",
    name: "InternetChain",
    summary: "the Internet reaches this group through the members of another",
    level: Severity::Note,
    security_severity: Some(3.0),
    source: include_str!("internet_chain.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(inventory) = inventory(subject) else { return };
    // Which groups let in the members of a group.
    let mut behind: BTreeMap<&str, Vec<&Group>> = BTreeMap::new();
    for group in described(inventory) {
        let mut peers: Vec<&str> = group.ingress.entries.iter().filter_map(|e| referenced(e)).collect();
        peers.sort_unstable();
        peers.dedup();
        for p in peers.into_iter().filter(|p| *p != group.id) {
            behind.entry(p).or_default().push(group);
        }
    }
    if behind.is_empty() {
        return;
    }
    let mut way: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    let mut queue: VecDeque<&str> = VecDeque::new();
    for exposure in subject.exposures().iter().filter(|d| !d.open.is_empty()) {
        for g in exposure.groups.iter().copied() {
            if way.insert(g, None).is_none() {
                queue.push_back(g);
            }
        }
    }
    while let Some(from) = queue.pop_front() {
        for group in behind.get(from).into_iter().flatten() {
            if way.contains_key(group.id.as_str()) {
                continue;
            }
            way.insert(&group.id, Some(from));
            queue.push_back(&group.id);
            findings.push(finding(subject, group, from, &way));
        }
    }
}

fn referenced(entry: &Entry) -> Option<&str> {
    match &entry.peer {
        Peer::Group(r) if r.status.as_deref().is_none_or(|s| s == "active") && entry.only_if.is_none() => {
            Some(&r.group)
        }
        _ => None,
    }
}

fn finding(subject: &Subject<'_>, group: &Group, from: &str, way: &BTreeMap<&str, Option<&str>>) -> Finding {
    let mut chain = vec![group.id.as_str()];
    let mut at = Some(from);
    while let Some(g) = at {
        chain.push(g);
        at = way.get(g).copied().flatten();
    }
    chain.push("the Internet");
    chain.reverse();
    let steps: Vec<&Entry> = group.ingress.entries.iter().filter(|e| referenced(e) == Some(from)).collect();
    let what = services(steps.iter().map(|e| &e.service));
    let message = format!(
        "{}: reached from the Internet through {from}: {} ({what})",
        group.title(),
        chain.join(" → ")
    );
    let origin = steps.first().map_or(group.origin, |e| e.origin);
    let mut f = CHECK.finding(subject, origin, message, "lets the members of that group in");
    f.related.push(subject.related(group.origin, group.title()));
    f
}
