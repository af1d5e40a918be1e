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

use super::{Piece, Reach, chains, over, piece};
use crate::analysis::decide::{Question, decide};
use crate::analysis::{Environment, Point};
use crate::catalogue::Catalogue;
use crate::catalogue::resolve::{Applies, ResolvedFlow};
use crate::compliance::path::EnforcementPoint;
use crate::dialect::aws::inventory::{Entry, Group, Inventory};
use crate::dialect::aws::suggest::narrow;
use crate::evidence::near::few;
use crate::finding::{Finding, Fix, Related, Severity};
use crate::lint::registry::{Check, Deployed, Run};
use crate::model::Firewall;
use crate::packet::{Family, Field, IntervalSet, Path, Region, Value, addr, proto};
use crate::source::Location;
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
    let Deployed { catalogue, flows, points } = *deployed;
    let mut openings: BTreeMap<Location, Opening<'_>> = BTreeMap::new();
    for (n, node) in points.nodes.iter().enumerate().filter(|(_, b)| !b.cloud.is_empty()) {
        let needed = needed(catalogue, flows, n);
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
    accepted: Vec<Region>,
    needed: Vec<Region>,
    source: (&'a Inventory, &'a Group, &'a Entry),
}

// The first packets of everything that the catalogue wants to get in to a node.
fn needed(catalogue: &Catalogue, flows: &[ResolvedFlow], node: usize) -> Vec<Region> {
    let wanted = flows.iter().filter(|f| f.destination.node == Some(node) && f.applies == Applies::Yes);
    let mut out = Vec::new();
    for flow in wanted.filter(|f| catalogue.requirements[f.requirement].kind.wants_passage()) {
        for family in Family::ALL {
            let end = |known: Option<&IntervalSet>| match known {
                Some(set) => set.intersect(&family.all()),
                None => family.all(),
            };
            let mut region = Region::all(family)
                .with(Field::Src, end(flow.source.addresses.known()))
                .with(Field::Dst, end(flow.destination.addresses.known()));
            if let Some(p) = flow.protocol {
                region = region.protocol(p).cut(Field::Dport, &flow.ports);
            }
            out.extend(Some(region).filter(|r| !r.is_empty()));
        }
    }
    out
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
                accepted: Vec::new(),
                needed: Vec::new(),
                source: (inventory, group, entry),
            });
            if !opening.nodes.contains(&node.name) {
                opening.nodes.push(node.name.clone());
            }
            for region in accepted {
                let wanted = needed.iter().map(|n| n.intersect(&region)).filter(|r| !r.is_empty());
                opening.needed.extend(wanted);
                opening.accepted.push(region);
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
    let behind = |g: &Group| match &known.labels {
        Some(declared) => declared.contains(&g.id).then(|| own.clone()),
        None => {
            let label = firewall.labels.iter().position(|l| *l == g.id)?;
            Some(firewall.carriers.get(label)?.certain.intersect(&own))
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

// Services of an opening that share their sources.
struct Share {
    family: Family,
    services: Reach,
    // All sources that are let in, and those of them that something needs.
    sources: IntervalSet,
    needed: IntervalSet,
}

impl Opening<'_> {
    fn finding(&self, location: &Location) -> Option<Finding> {
        let shares = self.shares();
        let both = Family::ALL.iter().all(|f| shares.iter().any(|s| s.family == *f));
        let mut beyond = Vec::new();
        for family in Family::ALL {
            let of = || shares.iter().filter(|s| s.family == family);
            let ports = of().map(|s| s.services.ports()).sum();
            let words = of().filter_map(|s| s.beyond(ports));
            beyond.extend(words.map(|w| if both { format!("{w} over {}", over(family)) } else { w }));
        }
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
        f.related.push(Related { location: self.group_at.clone(), message: self.group.clone() });
        let (inventory, group, entry) = self.source;
        f.fix = narrow(inventory, group, entry, &self.needed).map(|text| Fix {
            description: "run".to_owned(),
            path: location.path.clone(),
            text,
            elsewhere: true,
            ..Fix::default()
        });
        for s in &shares {
            let from = |set: &IntervalSet| {
                let words = s.services.words(s.family);
                format!("{words} from {} ({})", few(&addr::display(set)), addresses(set))
            };
            if !s.needed.is_empty() {
                f.details.push(("needed".to_owned(), from(&s.needed)));
            }
            let extra = s.sources.minus(&s.needed);
            if !extra.is_empty() {
                f.details.push(("beyond".to_owned(), from(&extra)));
            }
        }
        Some(f)
    }

    fn shares(&self) -> Vec<Share> {
        let mut out = Vec::new();
        for family in Family::ALL {
            let own_icmp = if family == Family::V4 { proto::ICMP } else { proto::ICMPV6 };
            for (protocol, field) in
                [(proto::TCP, Field::Dport), (proto::UDP, Field::Dport), (own_icmp, Field::Icmp)]
            {
                for values in self.segments(protocol, field) {
                    let at = |r: &Region| {
                        let value = values.first().unwrap_or(0);
                        r.get(Field::Proto).contains(protocol.into()) && r.get(field).contains(value)
                    };
                    let mut services = Reach::default();
                    match protocol {
                        proto::TCP => services.tcp = values.clone(),
                        proto::UDP => services.udp = values.clone(),
                        _ => services.icmp = values.clone(),
                    }
                    self.share(family, services, &at, &mut out);
                }
            }
            for p in (0..=u8::MAX).filter(|p| ![proto::TCP, proto::UDP, own_icmp].contains(p)) {
                let services = Reach { other: IntervalSet::single(p), ..Reach::default() };
                self.share(family, services, &|r| r.get(Field::Proto).contains(p.into()), &mut out);
            }
        }
        out
    }

    // The values of a field, cut wherever something begins or ends.
    fn segments(&self, protocol: u8, field: Field) -> Vec<IntervalSet> {
        let regions = self.accepted.iter().chain(&self.needed);
        let of = regions.filter(|r| r.get(Field::Proto).contains(protocol.into()));
        let mut cuts: Vec<Value> =
            of.flat_map(|r| r.get(field).ranges()).flat_map(|(a, b)| [*a, *b + 1]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts.windows(2).map(|w| IntervalSet::range(w[0], w[1] - 1)).collect()
    }

    // Adds services to the share that has the same sources.
    fn share(&self, family: Family, services: Reach, at: &dyn Fn(&Region) -> bool, out: &mut Vec<Share>) {
        let sources = |list: &[Region]| {
            let sets = list.iter().filter(|r| at(r)).flat_map(|r| r.get(Field::Src).ranges().to_vec());
            IntervalSet::from_ranges(sets).intersect(&family.all())
        };
        let (sources, needed) = (sources(&self.accepted), sources(&self.needed));
        if sources.is_empty() {
            return;
        }
        match out.iter_mut().find(|s| s.family == family && s.sources == sources && s.needed == needed) {
            Some(share) => share.services = share.services.union(&services),
            None => out.push(Share { family, services, sources, needed }),
        }
    }
}

impl Share {
    // What nothing needs of an entry that opens so many ports in all, in words; `None` where all is needed.
    fn beyond(&self, all_ports: u128) -> Option<String> {
        let words = self.services.words(self.family);
        let all = self.sources.count();
        if !self.needed.is_empty() {
            let extra = self.sources.minus(&self.needed).count();
            let verb = if extra == 1 { "does" } else { "do" };
            return (extra > 0).then(|| {
                format!("{} of its {} addresses {verb} not need {words}", number(extra), number(all))
            });
        }
        let ports = self.services.ports();
        let only_ports = self.services.icmp.is_empty() && self.services.other.is_empty();
        Some(if only_ports && ports < all_ports {
            format!("no requirement needs {} of its {} ports ({words})", number(ports), number(all_ports))
        } else {
            let from = few(&addr::display(&self.sources));
            format!("no requirement needs {words} from {from} ({})", addresses(&self.sources))
        })
    }
}

fn addresses(set: &IntervalSet) -> String {
    match set.count() {
        1 => "1 address".to_owned(),
        n => format!("{} addresses", number(n)),
    }
}

// In groups of three digits; powers of two where nobody would count digits (IPv6).
fn number(n: u128) -> String {
    if n >= 1 << 40 {
        return if n.is_power_of_two() {
            format!("2^{}", n.ilog2())
        } else {
            format!("about 2^{}", n.ilog2())
        };
    }
    let digits = n.to_string();
    let mut out = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(d);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (n, text) in [(0, "0"), (256, "256"), (16_777_216, "16\u{202f}777\u{202f}216"), (1 << 64, "2^64")]
        {
            assert_eq!(number(n), text);
        }
        assert_eq!(number((1 << 64) + 1), "about 2^64");
    }
}
