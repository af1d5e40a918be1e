//! A network ACL stops the answers to what it lets through.
//!
//! ## What it does
//! Looks for services (tcp or udp ports below 32768) that a network ACL lets in from public addresses, or lets out to them,
//! while it stops packets in the other direction to the ports at which answers arrive: those above 32767, which clients
//! take for their own side of a connection.
//!
//! ## Why is this bad?
//! Network ACLs have no memory. A connection whose answers are stopped never comes about: the entry that lets it in is of
//! no use, and what it was for does not work.
//!
//! ## Example
//! ```json
//! {"RuleNumber": 100, "Egress": true, "Protocol": "6", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0", "PortRange": {"From": 443, "To": 443}}
//! ```
//!
//! ## Use instead
//! ```json
//! {"RuleNumber": 110, "Egress": true, "Protocol": "6", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0", "PortRange": {"From": 1024, "To": 65535}}
//! ```

use super::acl_order::{CLIENTS, Direction, admitted};
use super::{inventory, over};
use crate::dialect::aws::inventory::Acl;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::packet::{Family, IntervalSet, proto, public};
use crate::source::Origin;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-ACL-ANSWERS",
    name: "NetworkAclStopsAnswers",
    summary: "a network ACL stops the answers to what it lets through",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("acl_answers.rs"),
    run: Run::Firewall(run),
};

// Ports of services, and of the client's side as some systems take them (VPC user guide, "Ephemeral ports").
const SERVICES: (u16, u16) = (0, 32767);
const ALL_CLIENTS: (u16, u16) = (1024, u16::MAX);

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(inventory) = inventory(subject) else { return };
    for acl in inventory.acls.iter().filter(|a| a.unknown.is_empty()) {
        for family in Family::ALL {
            for direction in [Direction::In, Direction::Out] {
                for protocol in [proto::TCP, proto::UDP] {
                    let Some((services, stopped, at)) = stopped(acl, family, direction, protocol) else {
                        continue;
                    };
                    let (way, back) = match direction {
                        Direction::In => ("in from", "out"),
                        Direction::Out => ("out to", "in"),
                    };
                    let name = proto::name(protocol);
                    let message = format!(
                        "{} lets {} {way} the Internet over {}, but no answer {back} to ports {}",
                        acl.id,
                        words(&name, &services),
                        over(family),
                        words("", &stopped)
                    );
                    let mut f = CHECK.finding(subject, at, message, "its answers are stopped");
                    f.related.push(subject.related(acl.origin, acl.id.clone()));
                    findings.push(f);
                }
            }
        }
    }
}

fn words(name: &str, ports: &IntervalSet) -> String {
    let start = if name.is_empty() { String::new() } else { format!("{name}/") };
    let one = |(a, b): &(u128, u128)| if a == b { format!("{start}{a}") } else { format!("{start}{a}-{b}") };
    let list: Vec<String> = ports.ranges().iter().take(4).map(one).collect();
    let more = if ports.ranges().len() > 4 { ", …" } else { "" };
    format!("{}{more}", list.join(", "))
}

// Services that are let through, the ports to which no public address that they serve gets an answer, and the entry.
fn stopped(
    acl: &Acl,
    family: Family,
    direction: Direction,
    protocol: u8,
) -> Option<(IntervalSet, IntervalSet, Origin)> {
    let internet = public::with_documentation().intersect(&family.all());
    let range = |(lo, hi): (u16, u16)| IntervalSet::range(lo, hi);
    let forward = admitted(acl, direction, protocol, &internet);
    let mut services = IntervalSet::EMPTY;
    let mut peers = IntervalSet::EMPTY;
    let mut at = None;
    for part in &forward {
        // Entries for the answers of the other direction are no services.
        let ports = part.ports.intersect(&range(SERVICES));
        if ports.is_empty() || part.ports.covers(&range(CLIENTS)) {
            continue;
        }
        services = services.union(&ports);
        peers = peers.union(&part.peers);
        at = at.or(Some(part.origin));
    }
    let back = admitted(acl, direction.other(), protocol, &peers);
    let mut answered = IntervalSet::EMPTY;
    for part in &back {
        answered = answered.union(&part.ports);
    }
    let missing = range(ALL_CLIENTS).minus(&answered);
    let at = at.filter(|_| missing.covers(&range(CLIENTS)))?;
    Some((services, missing, at))
}
