//! Where a flow can be stopped: the boxes of a deployment, and those that lie on a flow's path.

use crate::analysis::decide::Kept;
use crate::analysis::{Environment, Point};
use crate::catalogue::INTERNET;
use crate::catalogue::resolve::{Addresses, AskedAt, Endpoint, ResolvedFlow};
use crate::deployment::{Deployment, Gateway};
use crate::model::{Effect, Firewall, Hook, Routes, TranslatedEnd, Translation};
use crate::packet::{Family, Field, IntervalSet, Path, addr, interface_value, public};
use std::collections::BTreeMap;
use std::sync::LazyLock;

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
    /// Addresses behind each interface, for gateways. Interfaces share addresses only where nothing tells which of them leads there.
    pub behind: Vec<(String, IntervalSet)>,
    /// A gateway's own addresses by interface, as far as known.
    pub own: BTreeMap<String, IntervalSet>,
    /// Names of all interfaces that a node declares; empty = not declared.
    pub interfaces: Vec<String>,
    /// A node's addresses by interface, as far as declared.
    pub homes: Vec<(String, IntervalSet)>,
    /// Its own routes, as far as known, then those of the network around it.
    pub routes: Vec<Routes>,
    /// Its own routes tell which interface leads where: then `behind` is what they say.
    pub by_routes: bool,
    /// The site that it stands in.
    pub site: Option<usize>,
    /// What it has answered about very many rules.
    pub kept: Kept,
}

/// What of a box has a say in paths that do not lead through it.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    name: String,
    environment: Environment,
    interfaces: Vec<String>,
    by_routes: bool,
    site: Option<usize>,
    sides: [Vec<(String, IntervalSet)>; 3],
    routes: Vec<Routes>,
    changes: (bool, bool),
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
    /// The box's own addresses by interface, as far as known.
    pub own: &'a BTreeMap<String, IntervalSet>,
    /// A node's addresses by interface, as far as declared.
    pub homes: &'a [(String, IntervalSet)],
    /// Sources that pass here.
    pub src: IntervalSet,
    /// Destinations that are reached through here.
    pub dst: IntervalSet,
    /// The box is a gateway: destinations may be translated here.
    pub gateway: bool,
    /// A gateway lies between the box and the other end.
    pub routed: bool,
    /// What the box has answered about very many rules.
    pub kept: &'a Kept,
}

/// A place on a flow's path where it can be stopped.
#[derive(Debug, Clone)]
pub enum Stop<'a> {
    /// The firewall of one of the ends.
    End(Hop<'a>),
    /// A gateway, or several of which it is not known whether a flow passes one after the other or takes one of them.
    Gateways(Vec<&'a EnforcementPoint<'a>>),
}

impl<'a> Hop<'a> {
    /// Its firewalls as the analysis takes them.
    pub fn point(&self) -> Point<'a> {
        Point { firewalls: self.firewalls, environment: self.environment }
    }

    /// The same hop by each interface by which packets come to some of the box's addresses, with those addresses: they come where their address is,
    /// whatever other interfaces the box has. Just the hop, where the interface is known or nothing tells.
    pub fn by_address(&self) -> Vec<(Self, IntervalSet)> {
        if self.path != Path::Input || !self.iif.is_empty() || self.homes.is_empty() {
            return vec![(self.clone(), Field::Dst.all())];
        }
        let mut by_set: Vec<(IntervalSet, Vec<String>)> = Vec::new();
        for (name, set) in self.homes {
            match by_set.iter_mut().find(|(s, _)| s == set) {
                Some((_, names)) => names.push(name.clone()),
                None => by_set.push((set.clone(), vec![name.clone()])),
            }
        }
        let mut left = Field::Dst.all();
        let mut out = Vec::new();
        for (set, names) in by_set {
            let here = left.intersect(&set);
            left = left.minus(&set);
            out.push((Self { iif: names, dst: self.dst.intersect(&here), ..self.clone() }, here));
        }
        // Nobody sends to these but who was sent elsewhere on the way: what was sent is still told by its destination.
        let rest = self.dst.intersect(&left);
        let dst = if rest.is_empty() { self.dst.clone() } else { rest };
        out.push((Self { dst, ..self.clone() }, left));
        out
    }

    /// The way through it in words: `eth0 to eth1 of edge-east`.
    pub fn way(&self) -> String {
        match (self.iif.first(), self.oif.first()) {
            (Some(i), Some(o)) => format!("{i} to {o} of {}", self.name),
            _ => self.name.to_owned(),
        }
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
            own: BTreeMap::new(),
            interfaces: Vec::new(),
            homes: Vec::new(),
            routes: Vec::new(),
            by_routes: false,
            site: None,
            kept: Kept::default(),
        }
    }

    /// A gateway: takes the networks behind its interfaces from the deployment, or from its own file.
    pub fn gateway(gateway: &Gateway, firewalls: &[&'a Firewall], environment: Environment) -> Self {
        let mut this = Self::new(&gateway.name, firewalls, environment);
        let named = |name: &String| interface_named(firewalls, name).unwrap_or(name).to_owned();
        let declared: Vec<_> = gateway.interfaces.iter().map(|(n, s)| (named(n), s.clone())).collect();
        this.behind =
            more_specific(if declared.is_empty() { networks_from_file(firewalls) } else { declared });
        for i in firewalls.iter().flat_map(|f| &f.interfaces).filter(|i| !i.addresses.is_empty()) {
            this.own.insert(i.name.clone(), i.addresses.clone());
        }
        this.own.extend(gateway.addresses.iter().map(|(n, s)| (named(n), s.clone())));
        let told = gateway.addresses.values().fold(IntervalSet::EMPTY, |all, s| all.union(s));
        if !told.is_empty() {
            let known = this.environment.local.take().unwrap_or_default();
            this.environment.local = Some(known.union(&told));
        }
        this.site = gateway.site;
        this
    }

    /// Adds what its own tools say about its addresses and routes.
    pub fn routed(&mut self, routes: Option<&Routes>) {
        let Some(routes) = routes else { return };
        let told = routes.addresses.values().fold(IntervalSet::EMPTY, |all, s| all.union(s));
        if !told.is_empty() {
            let known = self.environment.local.take().unwrap_or_default();
            self.environment.local = Some(known.union(&told));
        }
        for (name, own) in &routes.addresses {
            let all = self.own.entry(name.clone()).or_default();
            *all = all.union(own);
        }
        if routes.list.iter().any(|r| r.interface.is_some()) {
            self.behind = routes.behind();
            self.by_routes = true;
            self.routes.push(routes.clone());
        }
    }

    /// Adds the routes that its firewall files tell, and those around the addresses that it has.
    pub fn routed_by_files(&mut self, addresses: &IntervalSet) {
        let told: Vec<&Routes> = self
            .firewalls()
            .flat_map(|f| &f.routes)
            .filter(|t| t.around.as_ref().map_or(!self.by_routes, |a| a.intersects(addresses)))
            .map(|t| &t.routes)
            .collect();
        let told: Vec<Routes> = told.into_iter().cloned().collect();
        self.routes.extend(told);
    }

    // The interfaces by which it talks to some addresses, as its routes tell; else those given.
    fn by_routes(&self, peers: &IntervalSet, declared: &[String]) -> Vec<String> {
        if !self.by_routes || !declared.is_empty() {
            return declared.to_vec();
        }
        self.behind.iter().filter(|(_, s)| s.intersects(peers)).map(|(n, _)| n.clone()).collect()
    }

    /// All its firewalls.
    pub fn firewalls(&self) -> impl Iterator<Item = &'a Firewall> + '_ {
        self.host.iter().chain(&self.cloud).copied()
    }

    /// All of it but its firewalls.
    fn frame(&self) -> Frame {
        Frame {
            name: self.name.clone(),
            environment: self.environment.clone(),
            interfaces: self.interfaces.clone(),
            by_routes: self.by_routes,
            site: self.site,
            sides: [self.behind.clone(), self.own.clone().into_iter().collect(), self.homes.clone()],
            routes: self.routes.clone(),
            changes: (self.changes_ends(), self.redirects()),
        }
    }

    // Whether some rule of it may change addresses or ports.
    fn changes_ends(&self) -> bool {
        let ends = [Field::Src, Field::Dst, Field::Sport, Field::Dport];
        let rewrites = |e: &Effect| matches!(e, Effect::Rewrite { field, .. } if ends.contains(field));
        self.firewalls().any(|f| !f.translations.is_empty() || f.effects.iter().flatten().any(rewrites))
    }

    /// Whether some rule of it may send packets to another destination than the one they were sent to.
    pub fn redirects(&self) -> bool {
        let translates = |t: &Translation| t.end == TranslatedEnd::Destination && !t.identity;
        let rewrites = |e: &Effect| matches!(e, Effect::Rewrite { field: Field::Dst, .. } | Effect::Deliver);
        self.host
            .iter()
            .any(|f| f.translations.iter().any(translates) || f.effects.iter().flatten().any(rewrites))
    }

    /// Interfaces behind which some addresses are.
    fn towards(&self, addresses: &IntervalSet) -> IntervalSet {
        let found = self.behind.iter().filter(|(_, s)| s.intersects(addresses));
        found.fold(IntervalSet::EMPTY, |all, (_, s)| all.union(s))
    }

    /// Whether a flow between two sets of addresses may enter by one interface and leave by another.
    pub fn separates(&self, src: &IntervalSet, dst: &IntervalSet) -> bool {
        let into = self.behind.iter().filter(|(_, s)| s.intersects(src));
        let out: Vec<&str> =
            self.behind.iter().filter(|(_, s)| s.intersects(dst)).map(|b| b.0.as_str()).collect();
        into.into_iter().any(|(i, _)| out.iter().any(|o| o != i))
    }

    /// The hop of flows that enter by one interface and leave by another; the ends are to be filled in.
    pub fn hop(&'a self, iif: &str, oif: &str) -> Hop<'a> {
        Hop {
            name: &self.name,
            firewalls: &self.host,
            environment: &self.environment,
            path: Path::Forward,
            iif: vec![iif.to_owned()],
            oif: vec![oif.to_owned()],
            interfaces: &self.interfaces,
            own: &self.own,
            homes: &[],
            src: IntervalSet::EMPTY,
            dst: IntervalSet::EMPTY,
            gateway: true,
            routed: true,
            kept: &self.kept,
        }
    }
}

/// The key of an interface that the files know by this or another name: its device, its description.
pub fn interface_named<'f>(firewalls: &[&'f Firewall], name: &str) -> Option<&'f str> {
    let all = || firewalls.iter().flat_map(|f| &f.interfaces);
    let key = all().find(|i| i.name == name);
    let other = || all().find(|i| i.also.iter().any(|a| a.eq_ignore_ascii_case(name)));
    key.or_else(other).map(|i| i.name.as_str())
}

// Interfaces of a configuration that names its networks. What lies behind none of them is behind those of which the
// file does not say the network (learnt at run time), and where the default gateway is, else behind `wan`.
fn networks_from_file(firewalls: &[&Firewall]) -> Vec<(String, IntervalSet)> {
    let interfaces: Vec<_> = firewalls.iter().flat_map(|f| &f.interfaces).collect();
    let mut out: Vec<(String, IntervalSet)> = Vec::new();
    let mut known = IntervalSet::EMPTY;
    for i in &interfaces {
        if let Some(n) = &i.networks {
            known = known.union(n);
            out.push((i.name.clone(), n.clone()));
        }
    }
    let own = firewalls.iter().flat_map(|f| &f.routes).filter(|t| t.around.is_none());
    let routes: Vec<_> = own.flat_map(|t| t.routes.behind()).collect();
    for family in Family::ALL {
        let rest = family.all().minus(&known);
        let defaults: Vec<&str> =
            routes.iter().filter(|(_, s)| s.covers(&rest)).map(|(name, _)| name.as_str()).collect();
        let leads = |name: &str| if defaults.is_empty() { name == "wan" } else { defaults.contains(&name) };
        let open = interfaces.iter().filter(|i| i.networks.is_none() || leads(&i.name));
        out.extend(open.map(|i| (i.name.clone(), rest.clone())));
    }
    out
}

// The smaller network is the more specific route: it takes its addresses out of the larger ones. Interfaces that lead to the same addresses
// (several uplinks) keep them all: a flow may pass either.
fn more_specific(behind: Vec<(String, IntervalSet)>) -> Vec<(String, IntervalSet)> {
    let smaller =
        |a: &IntervalSet, b: &IntervalSet| a != b && (a.count(), a.ranges()) < (b.count(), b.ranges());
    let own = |s: &IntervalSet| {
        let others = behind.iter().map(|(_, o)| o).filter(|o| smaller(o, s));
        others.fold(s.clone(), |left, o| left.minus(o))
    };
    let out = behind.iter().map(|(n, s)| (n.clone(), own(s)));
    out.filter(|(_, s)| !s.is_empty()).collect()
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
    /// The places where a flow can be stopped, in order.
    pub fn path(&'a self, flow: &ResolvedFlow, family: Family) -> Vec<Stop<'a>> {
        let [src, dst] = [&flow.source, &flow.destination].map(|e| possible(e, family));
        let passed = self.passed(flow, family).into_iter().map(|(_, g)| g);
        let mut groups = in_order(passed.collect(), &src, &dst);
        let first = flow.source.node.and_then(|n| self.nodes.get(n));
        follow_routes(&mut groups, first, &dst);
        let routed = groups.iter().flatten().any(|g| g.separates(&src, &dst));
        let end = |b: &'a EnforcementPoint<'a>, cloud: bool, path: Path, iif: &[String], oif: &[String]| {
            Stop::End(Hop {
                name: &b.name,
                firewalls: if cloud { &b.cloud } else { &b.host },
                environment: &b.environment,
                path,
                iif: iif.to_vec(),
                oif: oif.to_vec(),
                interfaces: &b.interfaces,
                own: &b.own,
                homes: &b.homes,
                src: src.clone(),
                dst: dst.clone(),
                gateway: false,
                routed,
                kept: &b.kept,
            })
        };
        let mut stops = Vec::new();
        let sender = flow.source.node.filter(|_| flow.asked_at != AskedAt::BehindSource);
        if let Some(b) = sender.and_then(|n| self.nodes.get(n)) {
            if !b.host.is_empty() {
                let oif = b.by_routes(&dst, &flow.source.interfaces);
                stops.push(end(b, false, Path::Output, &[], &oif));
            }
            if !b.cloud.is_empty() {
                stops.push(end(b, true, Path::Egress, &[], &[]));
            }
        }
        if flow.asked_at == AskedAt::Source {
            return stops;
        }
        stops.extend(groups.into_iter().map(Stop::Gateways));
        if let Some(b) = flow.destination.node.and_then(|n| self.nodes.get(n)) {
            if !b.cloud.is_empty() {
                stops.push(end(b, true, Path::Ingress, &[], &[]));
            }
            if !b.host.is_empty() {
                let iif = b.by_routes(&src, &flow.destination.interfaces);
                stops.push(end(b, false, Path::Input, &iif, &[]));
            }
        }
        stops
    }

    /// The gateways that may lie on a flow's path, with their numbers: no other one has a say in it.
    pub fn passed(&'a self, flow: &ResolvedFlow, family: Family) -> Vec<(usize, &'a EnforcementPoint<'a>)> {
        let [src, dst] = [&flow.source, &flow.destination].map(|e| possible(e, family));
        // One that sends packets elsewhere may take them to another side than they were sent to.
        let takes = |g: &EnforcementPoint<'_>| {
            self.may_pass(g, flow)
                && (g.separates(&src, &dst) || g.redirects() && !g.towards(&src).is_empty())
        };
        self.gateways.iter().enumerate().filter(|(_, g)| takes(g)).collect()
    }

    /// What decides, beside the rules of firewalls, by which ways flows go.
    pub fn frames(&self) -> Vec<Frame> {
        self.nodes.iter().chain(&self.gateways).map(EnforcementPoint::frame).collect()
    }

    /// Whether some file on a flow's path speaks for a family.
    pub fn covers(&self, flow: &ResolvedFlow, family: Family) -> bool {
        let speaks = |list: &[&Firewall]| list.iter().any(|f| f.covers(family));
        self.path(flow, family).iter().any(|stop| match stop {
            Stop::End(hop) => hop.covers(family),
            Stop::Gateways(group) => group.iter().any(|g| speaks(&g.host)),
        })
    }

    /// Where packets of a flow may be sent by translations on the way and still be right, and who else has which addresses.
    pub fn goal(&self, flow: &ResolvedFlow) -> Goal<'_> {
        let own = |b: &EnforcementPoint<'_>| b.environment.local.clone().unwrap_or_default();
        let node = flow.destination.node;
        Goal {
            meant: match node.and_then(|n| self.nodes.get(n)) {
                Some(b) => Some(own(b)),
                None => flow.destination.addresses.known().cloned(),
            },
            node,
            nodes: &self.nodes,
        }
    }

    /// On which side of each gateway an end is, by family and interface: of ends with the same the path to any other end is the same. `None` = a node of
    /// which the rest of the path does not see what it sent, or not by the way that all others take.
    pub fn side(&self, end: &Endpoint) -> Option<Vec<usize>> {
        if end.node.and_then(|n| self.nodes.get(n)).is_some_and(|b| !b.routes.is_empty() || b.changes_ends())
        {
            return None;
        }
        // Of gateways of sites only those of an end's own site are on its way.
        let sited = self.gateways.iter().any(|g| g.site.is_some());
        let mut out = vec![end.site.filter(|_| sited).map_or(0, |s| s + 1)];
        for family in Family::ALL {
            let addresses = possible(end, family);
            let behind = self.gateways.iter().flat_map(|g| &g.behind).enumerate();
            out.extend(behind.filter(|(_, (_, s))| s.intersects(&addresses)).map(|(n, _)| n));
            out.push(usize::MAX);
        }
        Some(out)
    }

    // A gateway of a site has nothing to do with flows between other sites, or between them and the Internet.
    fn may_pass(&self, gateway: &EnforcementPoint<'_>, flow: &ResolvedFlow) -> bool {
        let Some(site) = gateway.site else { return true };
        let foreign = |e: &Endpoint| match e.node.and_then(|n| self.nodes.get(n)) {
            Some(node) => node.site.is_some_and(|s| s != site),
            None => {
                let elsewhere = e.node.is_none() && e.site.is_some_and(|s| s != site);
                elsewhere || e.name == INTERNET || matches!(e.addresses, Addresses::HostName(_))
            }
        };
        !(foreign(&flow.source) && foreign(&flow.destination))
    }

    /// Whether the end is a node of which no firewall file was given.
    pub fn unguarded(&self, end: &Endpoint) -> Option<&EnforcementPoint<'a>> {
        let b = self.nodes.get(end.node?)?;
        (b.host.is_empty() && b.cloud.is_empty()).then_some(b)
    }
}

// Gateways on a path in the order in which a flow passes them. The one that knows less of the source's side stands nearer to it, if it does not know
// less of the destination's side too. Those of which that does not tell the order stand together: the flow may pass any of them.
fn in_order<'a>(
    gateways: Vec<&'a EnforcementPoint<'a>>,
    src: &IntervalSet,
    dst: &IntervalSet,
) -> Vec<Vec<&'a EnforcementPoint<'a>>> {
    struct Sides<'a>(&'a EnforcementPoint<'a>, IntervalSet, IntervalSet);
    let mut all: Vec<Sides<'_>> =
        gateways.into_iter().map(|g| Sides(g, g.towards(src), g.towards(dst))).collect();
    let before =
        |a: &Sides<'_>, b: &Sides<'_>| (a.1 != b.1 || a.2 != b.2) && b.1.covers(&a.1) && a.2.covers(&b.2);
    let rank = |one: &Sides<'_>, all: &[Sides<'_>]| all.iter().filter(|o| before(o, one)).count();
    let ranks: Vec<usize> = all.iter().map(|s| rank(s, &all)).collect();
    let mut order: Vec<(usize, Sides<'_>)> = ranks.into_iter().zip(all.drain(..)).collect();
    order.sort_by_key(|(rank, _)| *rank);
    let mut out: Vec<Vec<Sides<'_>>> = Vec::new();
    for (_, one) in order {
        match out.last_mut() {
            Some(group) if group.iter().any(|o| !before(o, &one)) => group.push(one),
            _ => out.push(vec![one]),
        }
    }
    out.into_iter().map(|group| group.into_iter().map(|s| s.0).collect()).collect()
}

// Of gateways side by side, the one that the box before sends a flow to, where its routes and the gateways' addresses tell.
fn follow_routes<'a>(
    groups: &mut [Vec<&'a EnforcementPoint<'a>>],
    first: Option<&'a EnforcementPoint<'a>>,
    dst: &IntervalSet,
) {
    let mut before = first;
    for group in groups {
        let routes = before.filter(|_| group.len() > 1).into_iter().flat_map(|b| &b.routes);
        for next in routes.filter_map(|r| r.next(dst)) {
            let takes = |g: &&&EnforcementPoint<'_>| g.own.values().any(|own| own.intersects(&next));
            let chosen: Vec<_> = group.iter().filter(takes).copied().collect();
            let owned =
                chosen.iter().flat_map(|g| g.own.values()).fold(IntervalSet::EMPTY, |all, s| all.union(s));
            if !chosen.is_empty() && owned.covers(&next) {
                *group = chosen;
                break;
            }
        }
        before = match group.as_slice() {
            [one] => Some(one),
            _ => None,
        };
    }
}

/// The destination of a flow.
pub struct Goal<'a> {
    // Its addresses, as far as known.
    meant: Option<IntervalSet>,
    // Who it is: a node may have addresses that nobody declared.
    node: Option<usize>,
    nodes: &'a [EnforcementPoint<'a>],
}

/// What a new destination is to a flow.
pub enum Reached {
    /// The one that is meant.
    Goal,
    /// Somebody else, by name or address.
    Elsewhere(String),
    /// Nobody knows.
    Unclear,
}

impl Goal<'_> {
    /// Where packets to some addresses get.
    pub fn reached(&self, addresses: &IntervalSet) -> Reached {
        let Some(meant) = &self.meant else { return Reached::Goal };
        if meant.covers(addresses) {
            return Reached::Goal;
        }
        if meant.intersects(addresses) {
            return Reached::Unclear;
        }
        let others = self.nodes.iter().enumerate().filter(|(n, _)| Some(*n) != self.node);
        let owns =
            |b: &&EnforcementPoint<'_>| b.environment.local.as_ref().is_some_and(|l| l.intersects(addresses));
        match others.map(|(_, b)| b).find(owns) {
            // Whoever is declared is nobody else; an address that nobody declares may be the destination's inner one.
            None if self.node.is_some() => Reached::Goal,
            None => Reached::Elsewhere(addr::display(addresses).join(", ")),
            Some(b) if b.environment.local.as_ref().is_some_and(|l| l.covers(addresses)) => {
                Reached::Elsewhere(b.name.clone())
            }
            Some(_) => Reached::Unclear,
        }
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
        Addresses::Undeclared => return hosts(family).clone(),
    };
    all.intersect(&family.all())
}

// Whatever a host can have.
fn hosts(family: Family) -> &'static IntervalSet {
    const NEVER: [&str; 8] = [
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/3",
        "::/128",
        "::1/128",
        "fe80::/10",
        "ff00::/8",
    ];
    static SETS: LazyLock<[IntervalSet; 2]> = LazyLock::new(|| {
        let never: Vec<IntervalSet> = NEVER.iter().filter_map(|n| addr::parse(n)).collect();
        Family::ALL.map(|f| never.iter().fold(f.all(), |all, n| all.minus(n)))
    });
    &SETS[family as usize]
}
