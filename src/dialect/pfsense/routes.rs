//! Where the box sends packets: networks of its interfaces, static routes, default gateways.

use super::interfaces::{Addressing, Iface};
use super::pf::Addresses;
use super::user::Context;
use super::xml::Element;
use crate::model::{Interface, Next, Route, Routes};
use crate::packet::addr::{self, Family};
use crate::packet::{IntervalSet, Value};
use crate::source::Diagnostic;
use std::net::IpAddr;

/// Gateways that stand for "discard".
const NULL: [&str; 2] = ["Null4", "Null6"];

/// The next router of routes that name it.
struct Gateway {
    name: String,
    // Key of its interface.
    interface: String,
    // Its address, if the file has it.
    address: Option<Value>,
    family: Option<Family>,
    // How it ranks as default gateway; `None` = it is none.
    default: Option<u64>,
}

/// The interfaces with the networks behind each, and the routes; what is not known of them is told.
pub(super) fn read(cx: &Context<'_>, diagnostics: &mut Vec<Diagnostic>) -> (Vec<Interface>, Routes) {
    let mut routes = Routes::default();
    for i in cx.interfaces.real() {
        let fixed = Family::ALL.into_iter().filter_map(|f| i.addressing(f).known().map(|k| k.1));
        for net in fixed.chain(i.vips.iter().map(|v| &v.net)) {
            let interface = Some(i.key.clone());
            routes.add(Route { to: net.clone(), interface, next: Next::Link, metric: 0 });
        }
        if !i.own().is_empty() {
            routes.addresses.insert(i.key.clone(), i.own());
        }
    }
    let gateways = gateways(cx);
    for e in static_routes(cx.root) {
        for why in add_static(cx, e, &gateways, &mut routes) {
            diagnostics.push(
                Diagnostic::warning(e.origin(), format!("where this route leads is not known: {why}"))
                    .help("say what is behind each interface with `interfaces` in the deployment file"),
            );
        }
    }
    let behind = routes.behind();
    let networks = |i: &Iface| {
        let found = behind.iter().find(|(name, _)| *name == i.key).map(|(_, s)| s.clone());
        let learns = |f: &Family| matches!(i.addressing(*f), Addressing::Dynamic(w) if w != "not written");
        found.or_else(|| (!Family::ALL.iter().any(learns)).then_some(IntervalSet::EMPTY))
    };
    let interfaces = cx.interfaces.real().map(|i| {
        let also = [&i.device, &i.label].into_iter().filter(|n| !n.is_empty()).cloned().collect();
        Interface { name: i.key.clone(), also, addresses: i.own(), networks: networks(i), origin: i.origin }
    });
    let interfaces = interfaces.collect();
    for (g, metric) in gateways.iter().filter_map(|g| Some((g, g.default?))) {
        for family in Family::ALL.into_iter().filter(|f| g.family.is_none_or(|own| own == *f)) {
            routes.add(Route { metric, ..g.route(family.all()) });
        }
    }
    (interfaces, routes)
}

/// The static routes in force.
pub(super) fn static_routes(root: Element<'_>) -> impl Iterator<Item = Element<'_>> {
    root.at("staticroutes").into_iter().flat_map(|r| r.list("route")).filter(|r| !r.flag("disabled"))
}

/// The key of the interface of a gateway that the file describes.
pub(super) fn interface_of(root: Element<'_>, gateway: &str) -> Option<String> {
    items(root).find(|g| g.word("name") == gateway).map(|g| g.word("interface"))
}

fn items(root: Element<'_>) -> impl Iterator<Item = Element<'_>> {
    let stores = [root.at("OPNsense/Gateways"), root.at("gateways")];
    stores.into_iter().flatten().flat_map(|s| s.list("gateway_item")).filter(|e| !e.flag("disabled"))
}

// Adds a static route, as far as it is known; says what is not.
fn add_static(cx: &Context<'_>, e: Element<'_>, gateways: &[Gateway], routes: &mut Routes) -> Vec<String> {
    let (network, name) = (e.word("network"), e.word("gateway"));
    let mut told = Vec::new();
    let mut to = IntervalSet::EMPTY;
    match addr::parse(&network) {
        Some(set) => to = set,
        None if cx.aliases.has(&network) => match cx.aliases.addresses(&network, Family::V4, false) {
            Ok(Addresses { set, unknown, names, .. }) => {
                to = set;
                if !unknown.is_empty() || !names.is_empty() {
                    told.push(format!("the alias {network} holds more than the file tells"));
                }
            }
            Err(_) => told.push(format!("the alias {network} cannot be read")),
        },
        None => told.push(format!("`{network}` is not a network")),
    }
    let discards = NULL.contains(&name.as_str());
    let gateway = gateways.iter().find(|g| g.name == name);
    match gateway {
        _ if to.is_empty() => {}
        _ if discards => routes.add(Route { to, interface: None, next: Next::Unknown, metric: 0 }),
        Some(g) => routes.add(g.route(to)),
        None => told.push(format!("there is no gateway `{name}` in the file")),
    }
    told
}

impl Gateway {
    fn route(&self, to: IntervalSet) -> Route {
        let next = self.address.map_or(Next::Unknown, Next::Router);
        Route { to, interface: Some(self.interface.clone()), next, metric: 0 }
    }
}

// All gateways: those that the file describes, and those that an interface learns.
fn gateways(cx: &Context<'_>) -> Vec<Gateway> {
    let described = items(cx.root).map(|e| Gateway {
        name: e.word("name"),
        interface: e.word("interface"),
        address: e.word("gateway").trim().parse::<IpAddr>().ok().map(addr::value),
        family: cx.gateways.get(&e.word("name")).copied(),
        default: e.flag("defaultgw").then(|| e.number("priority").unwrap_or(0)),
    });
    let mut all: Vec<Gateway> = described.collect();
    for i in cx.interfaces.real() {
        for family in Family::ALL {
            let Addressing::Dynamic(word) = i.addressing(family) else { continue };
            let called = if i.label.is_empty() { &i.key } else { &i.label };
            let name = format!("{called}_{word}").to_uppercase();
            if !all.iter().any(|g| g.name == name) {
                let interface = i.key.clone();
                all.push(Gateway { name, interface, address: None, family: Some(family), default: None });
            }
        }
    }
    for (family, key) in [(Family::V4, "gateways/defaultgw4"), (Family::V6, "gateways/defaultgw6")] {
        let Some(default) = cx.root.value(key) else { continue };
        for (name, tier) in members(cx.root, &default) {
            if let Some(g) = all.iter_mut().find(|g| g.name == name) {
                g.default = Some(tier);
                g.family = g.family.or(Some(family));
            }
        }
    }
    all.retain(|g| cx.interfaces.get(&g.interface).is_some());
    all
}

// The gateways that a name stands for: itself, or the members of a group, each with its tier.
fn members(root: Element<'_>, name: &str) -> Vec<(String, u64)> {
    let mut groups = root.at("gateways").into_iter().flat_map(|s| s.list("gateway_group"));
    let Some(group) = groups.find(|g| g.word("name") == name) else { return vec![(name.to_owned(), 0)] };
    let item = |text: String| {
        let mut parts = text.split('|');
        let name = parts.next()?.to_owned();
        Some((name, parts.next()?.trim().parse().ok()?))
    };
    group.list("item").filter_map(|e| item(e.text())).collect()
}
