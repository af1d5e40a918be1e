//! A security group rule allows more than any requirement needs.
//!
//! ## What it does
//! Takes every entry (`IpRanges`, `Ipv6Ranges`, `PrefixListIds`, `UserIdGroupPairs`) of the groups that are attached to a
//! node of the deployment, and compares what it allows for certain, behind the network ACLs, with the flows to that node
//! that the catalogue requires or recommends. Reports the rest in numbers and in sets: ports and protocols that no
//! requirement needs, and source addresses that no requirement needs on the ports that are needed. One finding per entry,
//! also where the group is attached to several nodes: then whatever any of them needs is needed. A peer whose addresses the
//! deployment does not declare may be anybody, so no address goes beyond what it needs. Nodes for which the catalogue has
//! no inbound requirement are left out: nobody knows what they serve.
//!
//! ## Why is this bad?
//! Every port and address beyond what is needed is an opening that nobody watches. Groups that follow general advice ("open
//! 20080 to 20084 and all ICMP") are wider than the product's own requirements.
//!
//! ## Example
//! ```json
//! {"IpProtocol": "tcp", "FromPort": 20080, "ToPort": 20084, "IpRanges": [{"CidrIp": "10.1.0.0/24"}]}
//! ```
//!
//! ## Use instead
//! ```json
//! {"IpProtocol": "tcp", "FromPort": 20082, "ToPort": 20082, "IpRanges": [{"CidrIp": "10.1.0.11/32", "Description": "srn-east"}]}
//! ```

use super::{Piece, chains, piece};
use crate::analysis::decide::{Question, decide};
use crate::analysis::{Environment, Point};
use crate::compliance::path::EnforcementPoint;
use crate::dialect::aws::inventory::{Entry, Group, Inventory};
use crate::dialect::aws::suggest::narrow;
use crate::evidence::near::few;
use crate::finding::{Finding, Fix, Related, Severity};
use crate::lint::privilege::Use;
use crate::lint::registry::{Check, Deployed, Run};
use crate::model::Firewall;
use crate::packet::{Family, Field, IntervalSet, Path, Region};
use crate::source::Location;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-LEAST-PRIVILEGE",
    name: "MoreThanNeeded",
    summary: "a rule allows more than the catalogue needs",
    level: Severity::Note,
    security_severity: Some(3.0),
    source: include_str!("least_privilege.rs"),
    run: Run::Deployment(run),
};

fn run(deployed: &Deployed<'_>, findings: &mut Vec<Finding>) {
    let mut openings: BTreeMap<Location, Opening<'_>> = BTreeMap::new();
    for (n, node) in deployed.points.nodes.iter().enumerate().filter(|(_, b)| !b.cloud.is_empty()) {
        let needed = deployed.needed(n);
        if needed.is_empty() {
            continue;
        }
        for firewall in &node.cloud {
            collect(node, firewall, &needed, &mut openings);
        }
    }
    findings.extend(openings.iter().filter_map(|(location, opening)| opening.finding(location)));
}

// What an entry lets in, and what of it is needed, by all nodes together; any destination.
struct Opening<'a> {
    group: String,
    group_at: Location,
    nodes: Vec<String>,
    of: Use,
    source: (&'a Inventory, &'a Group, &'a Entry),
}

fn collect<'a>(
    node: &EnforcementPoint<'_>,
    firewall: &'a Firewall,
    needed: &[Region],
    openings: &mut BTreeMap<Location, Opening<'a>>,
) {
    let Some(inventory) = firewall.native.as_ref().and_then(|n| n.downcast_ref::<Inventory>()) else {
        return;
    };
    let chains = chains(firewall, "ingress");
    for (group, own) in attached(&node.environment, firewall, inventory) {
        // One rule for each entry, in their order.
        let rules = chains.get(group.id.as_str()).into_iter().flat_map(|c| &c.rules);
        for (entry, rule) in group.ingress.entries.iter().zip(rules) {
            let Some(piece) = piece(firewall, rule, Field::Src) else { continue };
            let accepted = effective(node, firewall, &piece, &own);
            if accepted.is_empty() {
                continue;
            }
            let opening = openings.entry(firewall.locate(rule.origin)).or_insert_with(|| Opening {
                group: group.title(),
                group_at: firewall.locate(group.origin),
                nodes: Vec::new(),
                of: Use::default(),
                source: (inventory, group, entry),
            });
            if !opening.nodes.contains(&node.name) {
                opening.nodes.push(node.name.clone());
            }
            for region in accepted {
                let wanted = needed.iter().map(|n| n.intersect(&region)).filter(|r| !r.is_empty());
                opening.of.needed.extend(wanted);
                opening.of.accepted.push(region);
            }
        }
    }
}

// The groups attached to a node for certain, each with the node's addresses behind it.
fn attached<'i>(
    known: &Environment,
    firewall: &Firewall,
    inventory: &'i Inventory,
) -> Vec<(&'i Group, IntervalSet)> {
    let own = known.local.clone().unwrap_or_else(|| Field::Dst.all());
    let mut labels: FxHashMap<&str, usize> = FxHashMap::default();
    firewall.labels.iter().enumerate().for_each(|(n, l)| _ = labels.entry(l).or_insert(n));
    let behind = |g: &Group| match &known.labels {
        Some(declared) => declared.contains(&g.id).then(|| own.clone()),
        None => {
            let label = labels.get(g.id.as_str())?;
            Some(firewall.carriers.get(*label)?.certain.intersect(&own))
        }
    };
    let found = inventory.groups.iter().filter_map(|g| Some((g, behind(g)?)));
    found.filter(|(_, own)| !own.is_empty()).collect()
}

// What of a rule's packets passes in the end: network ACLs may stop a part, and what the node sends to itself never gets there.
fn effective(
    node: &EnforcementPoint<'_>,
    firewall: &Firewall,
    piece: &Piece,
    own: &IntervalSet,
) -> Vec<Region> {
    let firewalls = [firewall];
    let point = Point { firewalls: &firewalls, environment: &node.environment };
    let itself = node.environment.local.clone().unwrap_or_default();
    let piece = Piece { peers: piece.peers.minus(&itself), to: own.clone(), ..piece.clone() };
    let mut out = Vec::new();
    for family in Family::ALL {
        let region = piece.region(family);
        if region.is_empty() {
            continue;
        }
        let answer = decide(&Question { point, path: Path::Ingress, region, mark: 0, delivered_to: None });
        out.extend(answer.accepted.into_iter().map(|p| p.region));
    }
    out
}

impl Opening<'_> {
    fn finding(&self, location: &Location) -> Option<Finding> {
        let shares = self.of.shares();
        let beyond = shares.beyond();
        if beyond.is_empty() {
            return None;
        }
        let message = format!(
            "{} allows more to {} than is needed: {}",
            self.group,
            few(&self.nodes),
            beyond.join("; ")
        );
        let mut f = CHECK.about(self.nodes.join(", "), location.clone(), message, "wider than needed");
        f.related.push(Related { location: self.group_at.clone(), message: self.group.clone().into() });
        let (inventory, group, entry) = self.source;
        f.fix = narrow(inventory, group, entry, &self.of.needed).map(|text| {
            let (description, path) = ("run".to_owned(), location.path.clone());
            Box::new(Fix { description, path, text, elsewhere: true, ..Fix::default() })
        });
        f.extent = shares.extent();
        f.details.extend(shares.details());
        Some(f)
    }
}
