//! The deployment's nodes and gateways, as reports name them.

use super::load::{Loaded, Part};
use crate::deployment::Deployment;
use crate::finding::Member;
use crate::packet::{IntervalSet, addr};

/// Who is in a deployment: nodes, then gateways, in the order of the file.
pub fn members(deployment: &Deployment, loaded: &Loaded) -> Vec<Member> {
    let site = |s: Option<usize>| {
        s.and_then(|s| deployment.sites.get(s)).map_or_else(String::new, |s| s.name.clone())
    };
    let files = |part| -> Vec<String> {
        loaded.of_part(part).iter().flat_map(|f| f.files.iter().map(|s| s.path.clone())).collect()
    };
    let nodes = deployment.nodes.iter().enumerate().map(|(i, n)| {
        let sets = n.addresses.values().chain(&n.address);
        Member {
            name: n.name.clone(),
            role: n.role.clone(),
            site: site(n.site),
            addresses: addr::display(&sets.fold(IntervalSet::default(), |all, set| all.union(set))),
            firewall: n.firewall.iter().map(|f| f.text.clone()).collect(),
            files: files(Part::Node(i)),
        }
    });
    let gateways = deployment.gateways.iter().enumerate().map(|(i, g)| Member {
        name: g.name.clone(),
        role: "gateway".to_owned(),
        site: site(g.site),
        firewall: g.firewall.iter().map(|f| f.text.clone()).collect(),
        files: files(Part::Gateway(i)),
        ..Member::default()
    });
    nodes.chain(gateways).collect()
}
