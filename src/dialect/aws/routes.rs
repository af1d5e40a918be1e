//! Route tables: where a VPC sends what leaves a subnet (VPC user guide, "Route tables").

use super::inventory::{Interface, Inventory};
use super::known;
use super::lower::union;
use super::reader::Reader;
use super::value::{member, string, text};
use crate::model::{Next, Route, Routes, ToldRoutes};
use crate::packet::{Family, IntervalSet, addr};
use crate::source::json::Value;
use rustc_hash::{FxHashMap, FxHashSet};

/// A route table.
#[derive(Debug, Clone)]
pub struct RouteTable {
    /// The VPC.
    pub vpc: Option<String>,
    /// Subnets that name it.
    pub subnets: Vec<String>,
    /// Subnets of the VPC that name none use it.
    pub main: bool,
    /// Its routes; `None` = not all of them are understood.
    pub routes: Option<Vec<TableRoute>>,
}

/// A route of a table.
#[derive(Debug, Clone)]
pub struct TableRoute {
    to: Destination,
    target: Target,
    // A route that somebody wrote wins over one that a virtual private gateway propagates.
    propagated: bool,
}

#[derive(Debug, Clone)]
enum Destination {
    Net(IntervalSet),
    PrefixList(String),
}

#[derive(Debug, Clone)]
enum Target {
    // The VPC itself: the destination is on the link.
    Local,
    // A network interface, by its id.
    Interface(String),
    // Something else that has no address in the files: an Internet, NAT or transit gateway, a peering connection.
    Other(String),
    // The target does not exist any more: packets are dropped.
    Nothing,
}

/// Targets other than network interfaces, by their keys.
const TARGETS: [&str; 10] = [
    "gatewayid",
    "natgatewayid",
    "transitgatewayid",
    "vpcpeeringconnectionid",
    "egressonlyinternetgatewayid",
    "carriergatewayid",
    "localgatewayid",
    "corenetworkarn",
    "instanceid",
    "odbnetworkarn",
];

impl Reader<'_> {
    pub(super) fn route_table(&mut self, v: Value<'_>) {
        let mut table = RouteTable {
            vpc: string(v, "vpcid"),
            subnets: Vec::new(),
            main: false,
            routes: Some(Vec::new()),
        };
        for a in member(v, "associations").into_iter().flat_map(|l| l.items()) {
            let gone = member(a, "associationstate").and_then(|s| string(s, "state"));
            if gone.is_none_or(|s| s == "associated") {
                table.subnets.extend(string(a, "subnetid"));
                table.main |= member(a, "main").and_then(|m| m.bool()) == Some(true);
            }
            a.settle();
        }
        let list = member(v, "routes").filter(|l| !l.is_null());
        let reliable = list.is_some() && self.unreliable(v).is_none();
        for item in list.into_iter().flat_map(|l| l.items()) {
            let one = self.table_route(item);
            table.routes = table.routes.take().zip(one).map(|(mut all, one)| {
                all.push(one);
                all
            });
        }
        if !self.leftovers(v, known::ROUTE_TABLE).is_empty() || !reliable {
            table.routes = None;
        }
        self.inventory.route_tables.push(table);
    }

    // A route; `None` = not understood.
    fn table_route(&mut self, v: Value<'_>) -> Option<TableRoute> {
        let net = text(v, "destinationcidrblock").or_else(|| text(v, "destinationipv6cidrblock"));
        let list = string(v, "destinationprefixlistid");
        let to = match (net, list) {
            (Some(net), None) => addr::parse(&net).map(Destination::Net),
            (None, Some(id)) => Some(Destination::PrefixList(id)),
            _ => None,
        };
        let blackhole = string(v, "state").is_some_and(|s| s == "blackhole");
        let interface = string(v, "networkinterfaceid");
        let other: Vec<String> = TARGETS.iter().filter_map(|t| string(v, t)).collect();
        let target = match (interface, other.first()) {
            _ if blackhole => Some(Target::Nothing),
            (Some(id), _) => Some(Target::Interface(id)),
            (None, Some(t)) if t == "local" => Some(Target::Local),
            (None, Some(t)) => Some(Target::Other(t.clone())),
            (None, None) => None,
        };
        let propagated = string(v, "origin").is_some_and(|o| o == "EnableVgwRoutePropagation");
        let plain = self.leftovers(v, known::ROUTE).is_empty();
        to.zip(target).filter(|_| plain).map(|(to, target)| TableRoute { to, target, propagated })
    }
}

/// The routes around the machines of each route table.
pub fn told(inventory: &Inventory) -> Vec<ToldRoutes> {
    let all = &inventory.route_tables;
    let named: FxHashSet<&str> = all.iter().flat_map(|t| &t.subnets).map(String::as_str).collect();
    let places = Places::of(inventory);
    let tables = all.iter().filter_map(|t| {
        let own = t.subnets.iter().filter_map(|s| places.of_subnet.get(s.as_str())).flatten();
        // The main table is that of subnets which no table names.
        let vpc = t.vpc.as_deref().filter(|_| t.main);
        let others = vpc.and_then(|vpc| places.of_vpc.get(vpc)).into_iter().flatten();
        let others = others.filter(|(subnet, _)| !named.contains(subnet));
        let around = union(own.copied().chain(others.map(|(_, addresses)| *addresses)));
        let routes = routes(inventory, t.routes.as_ref()?)?;
        Some(ToldRoutes { around: Some(around), routes })
    });
    tables.filter(|t| t.around.as_ref().is_some_and(|a| !a.is_empty())).collect()
}

// Addresses of subnets and interfaces: by subnet, and, with the subnet, by network.
#[derive(Default)]
struct Places<'i> {
    of_subnet: FxHashMap<&'i str, Vec<&'i IntervalSet>>,
    of_vpc: FxHashMap<&'i str, Vec<(&'i str, &'i IntervalSet)>>,
}

impl<'i> Places<'i> {
    fn of(inventory: &'i Inventory) -> Self {
        let subnets = inventory.subnets.iter().map(|s| (s.id.as_str(), &s.vpc, &s.addresses));
        let interfaces = inventory.interfaces.iter();
        let interfaces = interfaces.filter_map(|i| Some((i.subnet.as_deref()?, &i.vpc, &i.addresses)));
        let mut out = Self::default();
        for (subnet, vpc, addresses) in subnets.chain(interfaces) {
            out.of_subnet.entry(subnet).or_default().push(addresses);
            if let Some(vpc) = vpc {
                out.of_vpc.entry(vpc).or_default().push((subnet, addresses));
            }
        }
        out
    }
}

// The routes of a table; `None` = the destinations of one are not known.
fn routes(inventory: &Inventory, list: &[TableRoute]) -> Option<Routes> {
    let mut out = Routes::default();
    for r in list {
        let to = match &r.to {
            Destination::Net(set) => set.clone(),
            Destination::PrefixList(id) => {
                let list =
                    inventory.prefix_list(id).filter(|l| l.unknown.is_empty() && !l.entries.is_empty())?;
                list.addresses()
            }
        };
        let of = |id: &str| inventory.interface(id);
        let (name, next) = match &r.target {
            Target::Local => (Some("local"), Next::Link),
            Target::Interface(id) => (Some(id.as_str()), of(id).map_or(Next::Unknown, |i| address(i, &to))),
            Target::Other(name) => (Some(name.as_str()), Next::Unknown),
            Target::Nothing => (None, Next::Unknown),
        };
        let interface = name.map(str::to_owned);
        out.add(Route { to, interface, next, metric: u64::from(r.propagated) });
    }
    Some(out)
}

// An address of an interface, of the family of what is sent to it.
fn address(interface: &Interface, to: &IntervalSet) -> Next {
    let family = to.ranges().first().map_or(Family::V4, |(lo, _)| addr::family(*lo));
    let own = interface.addresses.intersect(&family.all());
    own.ranges().first().map_or(Next::Unknown, |(lo, _)| Next::Router(*lo))
}
