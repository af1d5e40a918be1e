//! The deployment's nodes and gateways, as reports name them.

use crate::deployment::Deployment;
use crate::finding::Member;
use crate::packet::{IntervalSet, addr};

/// Who is in a deployment: nodes, then gateways, in the order of the file.
pub fn members(deployment: &Deployment) -> Vec<Member> {
    let nodes = deployment.nodes.iter().map(|n| {
        let sets = n.addresses.values().chain(&n.address);
        Member {
            name: n.name.clone(),
            role: n.role.clone(),
            site: n.site.and_then(|s| deployment.sites.get(s)).map_or_else(String::new, |s| s.name.clone()),
            addresses: addr::display(&sets.fold(IntervalSet::default(), |all, set| all.union(set))),
            firewall: n.firewall.iter().map(|f| f.text.clone()).collect(),
        }
    });
    let gateways = deployment.gateways.iter().map(|g| Member {
        name: g.name.clone(),
        role: "gateway".to_owned(),
        firewall: g.firewall.iter().map(|f| f.text.clone()).collect(),
        ..Member::default()
    });
    nodes.chain(gateways).collect()
}
