//! What the catalogue asks of one deployment: each requirement as flows between known ends.

use super::together::{Crowd, Crowds, Together};
use super::wanted::Wanted;
use super::{
    Breach, Catalogue, Declared, EVERYWHERE, End, INTERNET, Place, Requirement, Service, Services, Side,
};
use crate::deployment::{Deployment, Node};
use crate::packet::{Field, IntervalSet, public};
use std::collections::{BTreeMap, BTreeSet};

/// One flow that a requirement speaks of: one source, one destination, one protocol.
///
/// Sources and destinations are single nodes where the deployment knows nodes, so that a path can be computed for each
/// pair; sets (a network, the Internet, a host name) stay one end.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedFlow {
    /// Index into [`Catalogue::requirements`].
    pub requirement: usize,
    /// Which end is the subject: the node that findings are about.
    pub subject: Side,
    /// Who sends the first packet.
    pub source: Endpoint,
    /// Who is sent to.
    pub destination: Endpoint,
    /// IP protocol number; `None` = any.
    pub protocol: Option<u8>,
    /// Destination ports. All of them (0–65535) where the protocol is any.
    pub ports: IntervalSet,
    /// Parts that are left out of the flow because a requirement asks for them. Only for flows that are to be kept out.
    pub except: Vec<Exempt>,
    /// Whether it has to be asked at all. If not, nothing else in here but the subject's name is of use.
    pub applies: Applies,
    /// Which boxes of its path it is asked at.
    pub asked_at: AskedAt,
}

/// Which boxes of a flow's path it is asked at.
///
/// A requirement of thousands of machines that all talk to each other speaks of millions of pairs, but at one machine's firewall all of its peers are
/// one set of addresses. Such pairs become two flows a machine: from it to all its peers, asked at its own firewall, and from all of them to it, asked
/// at the gateways and at its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedAt {
    /// All of them.
    WholePath,
    /// Those of the source. The destination is many machines.
    Source,
    /// All but those of the source, which is many machines.
    BehindSource,
}

/// Whether a requirement applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applies {
    /// It does.
    Yes,
    /// It does not, and why: one clause, as in "does not apply: the site east is not of type clc".
    No(String),
}

/// One end of a resolved flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The node, an index into [`Deployment::nodes`]; `None` = a set of addresses, whose firewalls are not known.
    pub node: Option<usize>,
    /// Name to show: the node's, the set's (`gui`), the host's (`api.example.net`), or the role's where nobody was declared.
    pub name: String,
    /// The role; `None` for sets and hosts.
    pub role: Option<String>,
    /// The role's network that the flow uses; `None` = any.
    pub network: Option<String>,
    /// Addresses.
    pub addresses: Addresses,
    /// The node's interfaces that carry the network; empty = not known.
    pub interfaces: Vec<String>,
    /// The site of the node, or of many nodes, as far as they have one.
    pub site: Option<usize>,
}

/// What is known about the addresses of an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addresses {
    /// Exactly these, of both families.
    Known(IntervalSet),
    /// Those of a host name (or `*.` pattern), which the deployment does not give. Lower case.
    HostName(String),
    /// Nobody declared them: any address may be meant, and the flow is asked for any.
    Undeclared,
}

impl Addresses {
    /// The addresses, if they are known.
    pub fn known(&self) -> Option<&IntervalSet> {
        match self {
            Addresses::Known(set) => Some(set),
            _ => None,
        }
    }
}

/// A part of a flow that is left out: packets for which all of this holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exempt {
    /// Index of the requirement that asks for it.
    pub requirement: usize,
    /// Nodes at both ends, indices into [`Deployment::nodes`].
    pub nodes: (Option<usize>, Option<usize>),
    /// Sources; undeclared = any address of the node at that end.
    pub source: Addresses,
    /// Destinations, likewise.
    pub destination: Addresses,
    /// Protocol; `None` = any.
    pub protocol: Option<u8>,
    /// Destination ports.
    pub ports: IntervalSet,
}

impl ResolvedFlow {
    /// The end that findings are about.
    pub fn subject_end(&self) -> &Endpoint {
        match self.subject {
            Side::From => &self.source,
            Side::To => &self.destination,
        }
    }
}

/// Resolves every requirement of the catalogue, in its order; within one by source, then destination, as the deployment
/// lists them. A requirement that does not apply, or between roles that nobody plays, gives flows that do not apply: one
/// for each subject.
pub fn resolve(catalogue: &Catalogue, deployment: &Deployment, together: &Together<'_>) -> Vec<ResolvedFlow> {
    let resolver = Resolver { catalogue, deployment, together };
    let mut flows: Vec<Vec<ResolvedFlow>> = Vec::new();
    for (index, requirement) in catalogue.requirements.iter().enumerate() {
        flows.push(resolver.requirement(index, requirement));
    }
    let wanted = Wanted::of(flows.iter().flatten().filter_map(|f| resolver.exempt(f)).collect());
    let mut out: Vec<ResolvedFlow> = flows.into_iter().flatten().collect();
    for flow in &mut out {
        let requirement = &catalogue.requirements[flow.requirement];
        if requirement.except_wanted && flow.applies == Applies::Yes {
            flow.except = wanted.near(flow).filter(|w| concerns(w, flow)).cloned().collect();
        }
    }
    out
}

// Whether what is wanted may be a part of the flow: it must not, for certain, go to or come from elsewhere.
fn concerns(wanted: &Exempt, flow: &ResolvedFlow) -> bool {
    let meet = |a: &Addresses, b: &Addresses| match (a, b) {
        (Addresses::Known(a), Addresses::Known(b)) => a.intersects(b),
        _ => true,
    };
    let protocols = match (wanted.protocol, flow.protocol) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    let same = |wanted: Option<usize>, node: Option<usize>| node.is_none() || wanted == node;
    protocols
        && same(wanted.nodes.0, flow.source.node)
        && same(wanted.nodes.1, flow.destination.node)
        && wanted.ports.intersects(&flow.ports)
        && meet(&wanted.source, &flow.source.addresses)
        && meet(&wanted.destination, &flow.destination.addresses)
}

struct Resolver<'a> {
    catalogue: &'a Catalogue,
    deployment: &'a Deployment,
    together: &'a Together<'a>,
}

/// Two ends, and where the flow between them is asked.
type Pair = (Candidate, Candidate, AskedAt);

/// Somebody who may stand at an end, with the site if it is known.
#[derive(Clone)]
pub(super) struct Candidate {
    pub endpoint: Endpoint,
    pub site: Option<usize>,
}

impl Candidate {
    fn plain(
        name: impl Into<String>,
        role: Option<&str>,
        network: Option<&str>,
        addresses: Addresses,
    ) -> Self {
        let endpoint = Endpoint {
            node: None,
            name: name.into(),
            role: role.map(str::to_owned),
            network: network.map(str::to_owned),
            addresses,
            interfaces: Vec::new(),
            site: None,
        };
        Candidate { endpoint, site: None }
    }
}

impl Resolver<'_> {
    fn requirement(&self, index: usize, requirement: &Requirement) -> Vec<ResolvedFlow> {
        let mut pairs = Vec::new();
        for from in &requirement.from {
            for to in &requirement.to {
                pairs.extend(self.pairs(requirement, from, to).into_iter().map(|pair| (pair, to)));
            }
        }
        let mut flows: Vec<ResolvedFlow> = Vec::new();
        for ((source, destination, asked_at), to) in pairs {
            // Of many machines no one is the subject.
            let side = match asked_at {
                AskedAt::WholePath => requirement.subject,
                AskedAt::Source => Side::From,
                AskedAt::BehindSource => Side::To,
            };
            let subject = if side == Side::From { &source } else { &destination };
            let applies = self.applies(requirement, subject);
            for service in self.services(requirement, to) {
                let flow = ResolvedFlow {
                    requirement: index,
                    subject: side,
                    source: source.endpoint.clone(),
                    destination: destination.endpoint.clone(),
                    protocol: service.protocol,
                    ports: service.ports,
                    except: Vec::new(),
                    applies: applies.clone(),
                    asked_at,
                };
                // One flow for each subject tells that a requirement does not apply to it.
                let told = |f: &ResolvedFlow| f.subject_end().name == flow.subject_end().name;
                if flow.applies == Applies::Yes || !flows.iter().any(told) {
                    flows.push(flow);
                }
            }
        }
        if flows.is_empty() {
            flows.push(self.absent(index, requirement));
        }
        flows
    }

    fn services(&self, requirement: &Requirement, to: &End) -> Vec<Service> {
        match (&requirement.services, to) {
            (Services::These(list), _) => list.clone(),
            (Services::OfDestination, End::Role { role, .. }) => self.catalogue.services_of(role),
            (Services::OfDestination, _) => Vec::new(),
        }
    }

    // Every source with every destination that the ends allow. A node that would be left alone gets an undeclared partner.
    fn pairs(&self, requirement: &Requirement, from: &End, to: &End) -> Vec<Pair> {
        let sources = self.candidates(requirement, from);
        let destinations = self.candidates(requirement, to);
        let nodes = |list: &[Candidate]| list.iter().filter(|c| c.endpoint.node.is_some()).count();
        // What must be kept out may be stopped at either end: both are asked at once.
        if nodes(&sources).saturating_mul(nodes(&destinations)) > self.together.above
            && requirement.when.site_types.is_empty()
            && requirement.kind.wants_passage()
        {
            return self.sets(&sources, &destinations, from, to);
        }
        let mut out = Vec::new();
        for s in &sources {
            for d in &destinations {
                if self.may_pair(s, d, from, to) {
                    out.push((s.clone(), d.clone()));
                }
            }
        }
        let paired: BTreeSet<(Side, usize)> = out
            .iter()
            .flat_map(|(s, d)| {
                let from = s.endpoint.node.map(|n| (Side::From, n));
                from.into_iter().chain(d.endpoint.node.map(|n| (Side::To, n)))
            })
            .collect();
        let lonely = |c: &&Candidate, side: Side| {
            let partner = if side == Side::From { to } else { from };
            c.endpoint.node.is_some_and(|n| !paired.contains(&(side, n)))
                && self.may_be_undeclared(c, partner)
        };
        let mut more = Vec::new();
        for s in sources.iter().filter(|c| lonely(c, Side::From)) {
            more.push((s.clone(), undeclared(to)));
        }
        for d in destinations.iter().filter(|c| lonely(c, Side::To)) {
            more.push((undeclared(from), d.clone()));
        }
        out.extend(more);
        out.into_iter().map(|(s, d)| (s, d, AskedAt::WholePath)).collect()
    }

    // Each node with all its peers at once, and pairs of all others.
    fn sets(&self, sources: &[Candidate], destinations: &[Candidate], from: &End, to: &End) -> Vec<Pair> {
        let [senders, receivers] = [sources, destinations].map(|all| Crowds::of(all, self.together));
        let mut out = Vec::new();
        for s in sources {
            let by_itself = senders.is_alone(s);
            let may = |d: &Candidate| self.may_pair(s, d, from, to);
            let (one_by_one, crowds) = receivers.peers(s, &may);
            if one_by_one.is_empty()
                && crowds.is_empty()
                && s.endpoint.node.is_some()
                && self.may_be_undeclared(s, to)
            {
                out.push((s.clone(), undeclared(to), AskedAt::WholePath));
            }
            // What is not asked as a set at the destination is asked there pair by pair.
            out.extend(one_by_one.into_iter().map(|d| (s.clone(), d.clone(), AskedAt::WholePath)));
            if by_itself {
                let each = crowds.iter().flat_map(|c| &c.members);
                out.extend(each.map(|d| (s.clone(), (*d).clone(), AskedAt::WholePath)));
            } else {
                // Its own firewall does not see where they are.
                let all = Crowd::joined(crowds);
                out.extend(all.map(|c| (s.clone(), self.candidate(&c, false), AskedAt::Source)));
            }
        }
        for d in destinations {
            let may = |s: &Candidate| self.may_pair(s, d, from, to);
            let (one_by_one, crowds) = senders.peers(d, &may);
            if one_by_one.is_empty()
                && crowds.is_empty()
                && d.endpoint.node.is_some()
                && self.may_be_undeclared(d, from)
            {
                out.push((undeclared(from), d.clone(), AskedAt::WholePath));
            }
            if receivers.is_alone(d) {
                continue;
            }
            let mut sides: BTreeMap<&[usize], Vec<Crowd<'_>>> = BTreeMap::new();
            for c in crowds {
                sides.entry(c.side).or_default().push(c);
            }
            let several = sides.len() > 1;
            let each = sides.into_values().filter_map(Crowd::joined);
            out.extend(each.map(|c| (self.candidate(&c, several), d.clone(), AskedAt::BehindSource)));
        }
        out
    }

    // A crowd as one end; by the name of its site, where that tells it from others.
    fn candidate(&self, crowd: &Crowd<'_>, told: bool) -> Candidate {
        let first = crowd.members.first().map(|c| c.endpoint.clone());
        let mut endpoint =
            first.unwrap_or_else(|| Candidate::plain("", None, None, Addresses::Undeclared).endpoint);
        endpoint.node = None;
        if crowd.members.len() > 1 {
            let role = endpoint.role.clone().unwrap_or_default();
            let site = crowd.site.filter(|_| told).and_then(|s| self.deployment.sites.get(s));
            let of = site.map_or_else(String::new, |s| format!(" of {}", s.name));
            endpoint.name = format!("{} {role} nodes{of}", crowd.members.len());
            endpoint.addresses = Addresses::Known(crowd.addresses.clone());
            endpoint.interfaces = Vec::new();
        }
        endpoint.site = crowd.site;
        Candidate { endpoint, site: crowd.site }
    }

    fn may_pair(&self, s: &Candidate, d: &Candidate, from: &End, to: &End) -> bool {
        let (a, b) = (&s.endpoint, &d.endpoint);
        if a.node.is_some() && a.node == b.node {
            return false;
        }
        // Nobody's firewall is on the way of a flow between strangers; between two known sets there may be a gateway.
        let stranger = |e: &Endpoint| e.node.is_none() && e.addresses == Addresses::Undeclared;
        let sets = a.node.is_none() && b.node.is_none();
        if sets && (self.deployment.file.is_none() || stranger(a) || stranger(b)) {
            return false;
        }
        let place = |e: &End| if let End::Role { place, .. } = e { *place } else { Place::Anywhere };
        [place(from), place(to)].into_iter().all(|place| match (place, s.site, d.site) {
            (Place::SameSite, Some(x), Some(y)) => x == y,
            (Place::OtherSite, Some(x), Some(y)) => x != y,
            _ => true,
        })
    }

    // Whether somebody who was not declared may stand at the other end. Not so for peers at other sites, if there are
    // peers and all of them stand at this one.
    fn may_be_undeclared(&self, node: &Candidate, partner: &End) -> bool {
        let End::Role { role, place, .. } = partner else { return false };
        let others = self.deployment.nodes.iter().enumerate();
        let known = others.filter(|(i, n)| n.role == *role && Some(*i) != node.endpoint.node).count();
        *place != Place::OtherSite || known == 0
    }

    fn candidates(&self, requirement: &Requirement, end: &End) -> Vec<Candidate> {
        match end {
            End::Role { role, network, .. } => self.players(role, network.as_deref()),
            End::Host(name) => {
                let addresses = match self.deployment.names.get(name) {
                    Some(set) => Addresses::Known(set.addresses.clone()),
                    None => Addresses::HostName(name.clone()),
                };
                vec![Candidate::plain(name, None, None, addresses)]
            }
            End::Set(name) => {
                let wide = !requirement.kind.wants_passage() && requirement.breach == Breach::Some;
                let set = match name.as_str() {
                    INTERNET if wide => public::with_documentation().clone(),
                    INTERNET => public::internet().clone(),
                    EVERYWHERE => Field::Src.all(),
                    other => self.catalogue.sets.get(other).cloned().unwrap_or_default(),
                };
                vec![Candidate::plain(name, None, None, Addresses::Known(set))]
            }
        }
    }

    fn players(&self, role: &str, network: Option<&str>) -> Vec<Candidate> {
        let mut out = Vec::new();
        let mut taken = IntervalSet::EMPTY;
        for (index, node) in self.deployment.nodes.iter().enumerate().filter(|(_, n)| n.role == role) {
            if let Some(all) = node.all() {
                taken = taken.union(&all);
            }
            out.push(self.node(index, node, network));
        }
        let mut sets: Vec<(String, Option<usize>, &IntervalSet)> = Vec::new();
        match self.catalogue.roles.get(role).map(|r| r.declared) {
            Some(Declared::Network) => {
                sets.extend(
                    self.deployment.networks.get(role).map(|n| (role.to_owned(), None, &n.addresses)),
                );
            }
            Some(Declared::Site) => {
                for (i, site) in self.deployment.sites.iter().enumerate() {
                    if let Some(set) = site.servers.get(role) {
                        sets.push((format!("{role} of {}", site.name), Some(i), set));
                    }
                }
            }
            Some(Declared::Node) | None => {}
        }
        for ((r, n), set) in &self.deployment.sets {
            if r == role && (n.is_none() || network.is_none() || n.as_deref() == network) {
                let name = n.as_ref().map_or_else(|| role.to_owned(), |n| format!("{role}.{n}"));
                sets.push((name, None, set));
            }
        }
        for (name, site, set) in sets {
            // Machines that are declared by themselves too are looked at by themselves.
            let rest = set.minus(&taken);
            if !rest.is_empty() {
                let mut candidate = Candidate::plain(name, Some(role), network, Addresses::Known(rest));
                candidate.site = site;
                out.push(candidate);
            }
        }
        out
    }

    fn node(&self, index: usize, node: &Node, network: Option<&str>) -> Candidate {
        let order: Vec<String> = self
            .catalogue
            .roles
            .get(&node.role)
            .map(|r| r.networks.iter().map(|n| n.name.clone()).collect())
            .unwrap_or_default();
        let addresses = match network {
            Some(n) => node.on(n, &order).cloned(),
            None => node.all(),
        };
        let interfaces = network.map(|n| node.interfaces_on(n, &order)).unwrap_or_default();
        let endpoint = Endpoint {
            node: Some(index),
            name: node.name.clone(),
            role: Some(node.role.clone()),
            network: network.map(str::to_owned),
            addresses: addresses.map_or(Addresses::Undeclared, Addresses::Known),
            interfaces: interfaces.into_iter().map(str::to_owned).collect(),
            site: node.site,
        };
        Candidate { endpoint, site: node.site }
    }

    fn applies(&self, requirement: &Requirement, subject: &Candidate) -> Applies {
        let when = &requirement.when;
        let phase = &self.deployment.phase;
        if !when.phases.is_empty() && !when.phases.contains(phase) {
            return Applies::No(format!("the phase is {phase}, not {}", when.phases.join(" or ")));
        }
        let kinds = |list: &[String]| list.join(" or ");
        if !when.site_exists.is_empty()
            && !self.deployment.sites.iter().any(|s| when.site_exists.contains(&s.kind))
        {
            return Applies::No(format!("no site of type {} exists", kinds(&when.site_exists)));
        }
        if when.site_types.is_empty() {
            return Applies::Yes;
        }
        let name = &subject.endpoint.name;
        match subject.site.and_then(|i| self.deployment.sites.get(i)) {
            Some(site) if when.site_types.contains(&site.kind) => Applies::Yes,
            Some(site) => Applies::No(format!(
                "the site {} is of type {}, not {}",
                site.name,
                site.kind,
                kinds(&when.site_types)
            )),
            None => {
                Applies::No(format!("the site of {name} is not declared as type {}", kinds(&when.site_types)))
            }
        }
    }

    // What a requirement asks for, as a part that a flow to be kept out leaves out.
    fn exempt(&self, flow: &ResolvedFlow) -> Option<Exempt> {
        let requirement = &self.catalogue.requirements[flow.requirement];
        let declared = |e: &Endpoint| e.node.is_some() || e.addresses != Addresses::Undeclared;
        let wanted = requirement.kind.wants_passage() && flow.applies == Applies::Yes;
        (wanted && declared(&flow.source) && declared(&flow.destination)).then(|| Exempt {
            requirement: flow.requirement,
            nodes: (flow.source.node, flow.destination.node),
            source: as_kept_out(&flow.source.addresses),
            destination: as_kept_out(&flow.destination.addresses),
            protocol: flow.protocol,
            ports: flow.ports.clone(),
        })
    }

    // The flow that says that nobody plays the roles of a requirement.
    fn absent(&self, index: usize, requirement: &Requirement) -> ResolvedFlow {
        let first = |ends: &[End]| {
            ends.first().map_or_else(|| Candidate::plain("", None, None, Addresses::Undeclared), undeclared)
        };
        let (source, destination) = (first(&requirement.from).endpoint, first(&requirement.to).endpoint);
        let roles: BTreeSet<&str> = requirement
            .from
            .iter()
            .chain(&requirement.to)
            .filter_map(|e| if let End::Role { role, .. } = e { Some(role.as_str()) } else { None })
            .collect();
        let roles: Vec<_> = roles.into_iter().collect();
        ResolvedFlow {
            requirement: index,
            subject: requirement.subject,
            source,
            destination,
            protocol: None,
            ports: Field::Dport.all(),
            except: Vec::new(),
            asked_at: AskedAt::WholePath,
            applies: Applies::No(format!(
                "no machine or network is declared for its ends ({})",
                roles.join(", ")
            )),
        }
    }
}

// "The Internet" of a flow that is to pass, as a flow that is to be kept out has it: with the blocks for documentation.
fn as_kept_out(addresses: &Addresses) -> Addresses {
    match addresses {
        Addresses::Known(set) if set == public::internet() => {
            Addresses::Known(public::with_documentation().clone())
        }
        other => other.clone(),
    }
}

fn undeclared(end: &End) -> Candidate {
    match end {
        End::Role { role, network, .. } => {
            Candidate::plain(role, Some(role), network.as_deref(), Addresses::Undeclared)
        }
        End::Host(name) | End::Set(name) => Candidate::plain(name, None, None, Addresses::Undeclared),
    }
}
