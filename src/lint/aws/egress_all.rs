//! A security group allows all outbound traffic.
//!
//! ## What it does
//! Reports groups whose egress rules together allow every protocol to every public address, over IPv4 or IPv6. A new group
//! has such rules.
//!
//! ## Why is this bad?
//! An attacker on the machine can send its data anywhere and download tools from anywhere.
//!
//! ## Example
//! ```json
//! {"IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}
//! ```
//!
//! ## Use instead
//! Allow what is needed: https to the update servers, the services of the other tiers.

use super::{chains, inventory, over, piece, wide};
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::packet::{Family, Field, IntervalSet, public};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-EGRESS-ALL",
    name: "EgressToEverywhere",
    summary: "all outbound traffic is allowed",
    level: Severity::Note,
    security_severity: Some(3.0),
    source: include_str!("egress_all.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(inventory) = inventory(subject) else { return };
    let f = subject.firewall;
    let chains = chains(f, "egress");
    for group in &inventory.groups {
        let Some(chain) = chains.get(group.id.as_str()) else { continue };
        // Only rules for every protocol count; peers in several parts are joined.
        let all: Vec<_> = chain
            .rules
            .iter()
            .filter_map(|r| piece(f, r, Field::Dst))
            .filter(|p| p.protocols == Field::Proto.all() && p.ports == Field::Dport.all())
            .collect();
        let peers = IntervalSet::from_ranges(all.iter().flat_map(|p| p.peers.ranges().to_vec()));
        let open: Vec<&str> = Family::ALL
            .into_iter()
            .filter(|family| {
                let internet = public::internet().intersect(&family.all());
                internet.minus(&peers).count() <= wide(*family) && peers.intersects(&internet)
            })
            .map(over)
            .collect();
        if open.is_empty() {
            continue;
        }
        let origin = all.iter().max_by_key(|p| p.peers.count()).map_or(group.origin, |p| p.origin);
        let message =
            format!("{}: all outbound traffic is allowed over {}", group.title(), open.join(" and "));
        let mut finding = CHECK.finding(subject, origin, message, "allows everything out");
        finding.related.push(subject.related(group.origin, group.title()));
        findings.push(finding);
    }
}
