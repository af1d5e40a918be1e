//! Where a flow can be stopped: the boxes of a deployment, and those that lie on a flow's path.

use crate::analysis::{Environment, Point};
use crate::catalogue::INTERNET;
use crate::catalogue::resolve::{Addresses, Endpoint, ResolvedFlow};
use crate::deployment::{Deployment, Gateway};
use crate::model::{Firewall, Hook};
use crate::packet::{Family, Field, IntervalSet, Path, addr, interface_value, public};

/// A box with firewalls: a node's host, or a gateway.
#[derive(Debug)]
pub struct EnforcementPoint<'a> {
    /// The node's or gateway's name.
    pub name: String,
    /// Firewalls with the hooks of a host.
    pub host: Vec<&'a Firewall>,
    /// Firewalls of its interface in a cloud.
    pub cloud: Vec<&'a Firewall>,
    /// What is known about it.
    pub environment: Environment,
    /// Addresses behind each interface, for gateways: disjoint.
    pub behind: Vec<(String, IntervalSet)>,
    /// Names of all interfaces that a node declares; empty = not declared.
    pub interfaces: Vec<String>,
    /// The site that it stands in.
    pub site: Option<usize>,
}

/// One box on a flow's path, and how the flow passes it.
#[derive(Debug, Clone)]
pub struct Hop<'a> {
    /// Name of the box.
    pub name: &'a str,
    /// Its firewalls.
    pub firewalls: &'a [&'a Firewall],
    /// What is known about it.
    pub environment: &'a Environment,
    /// Way of the first packet.
    pub path: Path,
    /// Names of the interface by which it arrives; empty = not known, or none.
    pub iif: Vec<String>,
    /// Names of the interface by which it leaves, likewise.
    pub oif: Vec<String>,
    /// Interfaces that the box has, as far as declared: one of them where `iif` or `oif` is not known.
    pub interfaces: &'a [String],
    /// Sources that pass here.
    pub src: IntervalSet,
    /// Destinations that are reached through here.
    pub dst: IntervalSet,
    /// The box is a gateway: destinations may be translated here.
    pub gateway: bool,
}

impl<'a> Hop<'a> {
    /// Its firewalls as the analysis takes them.
    pub fn point(&self) -> Point<'a> {
        Point { firewalls: self.firewalls, environment: self.environment }
    }

    /// Whether some firewall speaks for the family.
    pub fn covers(&self, family: Family) -> bool {
        self.firewalls.iter().any(|f| f.covers(family))
    }
}

/// Whether a firewall stands at an interface in a cloud.
pub fn is_cloud(firewall: &Firewall) -> bool {
    firewall.base_chains.iter().any(|b| matches!(b.hook, Hook::Ingress | Hook::Egress))
}

impl<'a> EnforcementPoint<'a> {
    /// A box from its firewalls.
    pub fn new(name: &str, firewalls: &[&'a Firewall], environment: Environment) -> Self {
        let (cloud, host): (Vec<&Firewall>, _) = firewalls.iter().partition(|f| is_cloud(f));
        Self {
            name: name.to_owned(),
            host,
            cloud,
            environment,
            behind: Vec::new(),
            interfaces: Vec::new(),
            site: None,
        }
    }

    /// A gateway: takes the networks behind its interfaces from the deployment, or from its own file.
    pub fn gateway(gateway: &Gateway, firewalls: &[&'a Firewall], environment: Environment) -> Self {
        let mut this = Self::new(&gateway.name, firewalls, environment);
        let declared: Vec<_> = gateway.interfaces.iter().map(|(n, s)| (n.clone(), s.clone())).collect();
        this.behind = if declared.is_empty() { networks_from_file(firewalls) } else { declared };
        make_disjoint(&mut this.behind);
        this.site = gateway.site;
        this
    }

    /// All its firewalls.
    pub fn firewalls(&self) -> impl Iterator<Item = &'a Firewall> + '_ {
        self.host.iter().chain(&self.cloud).copied()
    }
}

// Interfaces of a configuration that names its networks. What lies behind none of them is behind those of which the
// file does not say the network (learnt at run time), else behind `wan`.
fn networks_from_file(firewalls: &[&Firewall]) -> Vec<(String, IntervalSet)> {
    let all = Family::V4.all().union(&Family::V6.all());
    let mut out: Vec<(String, IntervalSet)> = Vec::new();
    let mut open = Vec::new();
    let mut known = IntervalSet::EMPTY;
    for i in firewalls.iter().flat_map(|f| &f.interfaces) {
        if let Some(n) = &i.networks {
            known = known.union(n);
            out.push((i.name.clone(), n.clone()));
        }
        if i.networks.is_none() || i.name == "wan" {
            open.push(i.name.clone());
        }
    }
    for name in open {
        out.push((name, all.minus(&known)));
    }
    out
}

// The smaller network is the more specific route: it takes its addresses out of the larger ones.
fn make_disjoint(behind: &mut Vec<(String, IntervalSet)>) {
    let mut order: Vec<usize> = (0..behind.len()).collect();
    order.sort_by_key(|i| behind[*i].1.count());
    let mut taken = IntervalSet::EMPTY;
    for i in order {
        let own = behind[i].1.minus(&taken);
        // Two interfaces may lead to the same addresses (several uplinks): the flow may pass either.
        let shared = behind[i].1.count() == all_count() || own.is_empty();
        if !shared {
            taken = taken.union(&own);
            behind[i].1 = own;
        } else {
            behind[i].1 = behind[i].1.minus(&taken);
        }
    }
    behind.retain(|(_, s)| !s.is_empty());
}

fn all_count() -> u128 {
    u128::MAX
}

/// The boxes of a deployment: those of nodes by the node's index, then gateways.
#[derive(Debug, Default)]
pub struct EnforcementPoints<'a> {
    /// One for each node; without firewalls where none was given.
    pub nodes: Vec<EnforcementPoint<'a>>,
    /// Gateways.
    pub gateways: Vec<EnforcementPoint<'a>>,
}

impl<'a> EnforcementPoints<'a> {
    /// The boxes that a flow passes, in order.
    pub fn path(&'a self, flow: &ResolvedFlow, family: Family) -> Vec<Hop<'a>> {
        let ends = [&flow.source, &flow.destination].map(|e| possible(e, family));
        let [src, dst] = ends;
        let mut hops = Vec::new();
        let hop =
            |b: &'a EnforcementPoint<'a>, cloud: bool, path: Path, iif: &[String], oif: &[String]| Hop {
                name: &b.name,
                firewalls: if cloud { &b.cloud } else { &b.host },
                environment: &b.environment,
                path,
                iif: iif.to_vec(),
                oif: oif.to_vec(),
                interfaces: &b.interfaces,
                src: src.clone(),
                dst: dst.clone(),
                gateway: false,
            };
        if let Some(b) = flow.source.node.and_then(|n| self.nodes.get(n)) {
            if !b.host.is_empty() {
                hops.push(hop(b, false, Path::Output, &[], &flow.source.interfaces));
            }
            if !b.cloud.is_empty() {
                hops.push(hop(b, true, Path::Egress, &[], &[]));
            }
        }
        for g in self.gateways.iter().filter(|g| self.may_pass(g, flow)) {
            for (i, from) in &g.behind {
                for (o, to) in g.behind.iter().filter(|(o, _)| o != i) {
                    let (s, d) = (src.intersect(from), dst.intersect(to));
                    if !s.is_empty() && !d.is_empty() {
                        let l =
                            hop(g, false, Path::Forward, std::slice::from_ref(i), std::slice::from_ref(o));
                        hops.push(Hop { src: s, dst: d, gateway: true, ..l });
                    }
                }
            }
        }
        if let Some(b) = flow.destination.node.and_then(|n| self.nodes.get(n)) {
            if !b.cloud.is_empty() {
                hops.push(hop(b, true, Path::Ingress, &[], &[]));
            }
            if !b.host.is_empty() {
                hops.push(hop(b, false, Path::Input, &flow.destination.interfaces, &[]));
            }
        }
        hops
    }

    // A gateway of a site has nothing to do with flows between other sites, or between them and the Internet.
    fn may_pass(&self, gateway: &EnforcementPoint<'_>, flow: &ResolvedFlow) -> bool {
        let Some(site) = gateway.site else { return true };
        let foreign = |e: &Endpoint| match e.node.and_then(|n| self.nodes.get(n)) {
            Some(node) => node.site.is_some_and(|s| s != site),
            None => e.name == INTERNET || matches!(e.addresses, Addresses::HostName(_)),
        };
        !(foreign(&flow.source) && foreign(&flow.destination))
    }

    /// Whether the end is a node of which no firewall file was given.
    pub fn unguarded(&self, end: &Endpoint) -> Option<&EnforcementPoint<'a>> {
        let b = self.nodes.get(end.node?)?;
        (b.host.is_empty() && b.cloud.is_empty()).then_some(b)
    }
}

/// The environment of a node: what the deployment tells, and what is assumed.
pub fn environment(deployment: &Deployment, node: usize, assumed: &Environment) -> Environment {
    let n = &deployment.nodes[node];
    Environment {
        local: n.all(),
        labels: Some(n.security_groups.clone()).filter(|g| !g.is_empty()),
        ..assumed.clone()
    }
}

/// A set of interfaces by name; for none named (or none that can be an interface's name), every interface but loopback.
pub fn interface_set(field: Field, names: &[String]) -> IntervalSet {
    let named: IntervalSet = names.iter().filter_map(|n| interface_value(n).ok()).collect();
    if !named.is_empty() {
        return named;
    }
    let lo = interface_value("lo").unwrap_or(0);
    field.complement(&IntervalSet::from_ranges([(0, 0), (lo, lo)]))
}

/// Addresses that an end may have: its own, or where they are not known, whatever a host can have (RFC 6890: not loopback,
/// multicast, reserved or "this network"; hosts with names are on the Internet).
pub fn possible(end: &Endpoint, family: Family) -> IntervalSet {
    let all = match &end.addresses {
        Addresses::Known(set) => set.clone(),
        Addresses::HostName(_) => public::internet().clone(),
        Addresses::Undeclared => {
            let never = [
                "0.0.0.0/8",
                "127.0.0.0/8",
                "169.254.0.0/16",
                "224.0.0.0/3",
                "::/128",
                "::1/128",
                "fe80::/10",
                "ff00::/8",
            ];
            never.iter().filter_map(|n| addr::parse(n)).fold(family.all(), |all, n| all.minus(&n))
        }
    };
    all.intersect(&family.all())
}
