//! What a deployment says and its files do not bear out: interfaces that a file does not have, gateways that lie on no path, a file of two machines,
//! names that nothing uses.

use super::load::{Loaded, Part};
use super::open::Opened;
use super::{Options, judge, problems_of};
use crate::compliance::path::{interface_named, is_cloud};
use crate::deployment::Node;
use crate::finding::Problem;
use crate::model::Firewall;
use crate::packet::{IntervalSet, addr, public};
use crate::source::document::advice;
use crate::source::{Diagnostic, Origin};
use std::collections::BTreeMap;

/// All of it, at its place in the deployment file.
pub fn problems(options: &Options, opened: &Opened, loaded: &Loaded) -> Vec<Problem> {
    let mut found = Vec::new();
    interfaces(opened, loaded, &mut found);
    on_no_path(options, opened, loaded, &mut found);
    discarded(opened, loaded, &mut found);
    shared(opened, loaded, &mut found);
    names(opened, loaded, &mut found);
    let files: Vec<_> = opened.deployment.file.iter().cloned().collect();
    problems_of(&found, &files)
}

fn interfaces(opened: &Opened, loaded: &Loaded, found: &mut Vec<Diagnostic>) {
    let deployment = &opened.deployment;
    for (n, node) in deployment.nodes.iter().enumerate() {
        let firewalls = loaded.of_part(Part::Node(n));
        found.extend(missing(&node.name, node.origin, node.interfaces.keys(), &firewalls));
    }
    for (n, gateway) in deployment.gateways.iter().enumerate() {
        let firewalls = loaded.of_part(Part::Gateway(n));
        found.extend(missing(&gateway.name, gateway.origin, gateway.interfaces.keys(), &firewalls));
        let told = firewalls.iter().any(|f| !f.interfaces.is_empty())
            || loaded.routes_of(Part::Gateway(n)).is_some_and(|r| !r.behind().is_empty());
        if gateway.interfaces.is_empty() && !told && !firewalls.is_empty() {
            let message = format!(
                "nothing says which networks are behind the interfaces of `{}`: no flow would pass it",
                gateway.name
            );
            let help = "add interfaces = { eth0 = [\"10.1.0.0/16\"], eth1 = [\"internet\"] }, or `routes` with the output of `ip address` and `ip route`";
            found.push(Diagnostic::error(gateway.origin, message).help(help));
        }
    }
}

// Gateways that have all that the deployment knows on one side.
fn on_no_path(options: &Options, opened: &Opened, loaded: &Loaded, found: &mut Vec<Diagnostic>) {
    let deployment = &opened.deployment;
    if deployment.gateways.is_empty() {
        return;
    }
    let servers = deployment.sites.iter().flat_map(|s| s.servers.values().cloned());
    let named = deployment.networks.values().chain(deployment.names.values()).map(|n| n.addresses.clone());
    let known = deployment.nodes.iter().filter_map(Node::all).chain(servers).chain(named);
    let known = known.fold(public::with_documentation().clone(), |all, s| all.union(&s));
    let points = judge::points(options, opened, loaded);
    for (gateway, point) in deployment.gateways.iter().zip(&points.gateways) {
        let sides = point.behind.iter().filter(|(_, s)| s.intersects(&known)).map(|(name, _)| name.as_str());
        let sides: Vec<&str> = sides.collect();
        if point.behind.len() > 1 && sides.len() < 2 {
            let only = sides.first().map_or("no interface".to_owned(), |name| format!("only `{name}`"));
            let message = format!(
                "`{}` is on no path: of its interfaces, {only} has declared machines or networks behind it",
                gateway.name
            );
            let help = "declare the machines and networks on its other sides, or correct `interfaces`";
            found.push(Diagnostic::warning(gateway.origin, message).help(help));
        }
    }
}

// Machines to which a gateway sends nothing, because a route of it says so.
fn discarded(opened: &Opened, loaded: &Loaded, found: &mut Vec<Diagnostic>) {
    for (n, gateway) in opened.deployment.gateways.iter().enumerate() {
        let part = Part::Gateway(n);
        let told = loaded.of_part(part).into_iter().flat_map(|f| &f.routes).filter(|t| t.around.is_none());
        let routes = loaded.routes_of(part).into_iter().chain(told.map(|t| &t.routes));
        let never = routes.fold(IntervalSet::EMPTY, |all, r| all.union(&r.discarded()));
        if never.is_empty() {
            continue;
        }
        for node in &opened.deployment.nodes {
            let hit = node.all().unwrap_or_default().intersect(&never);
            if !hit.is_empty() {
                let to = addr::display(&hit).join(", ");
                let message = format!(
                    "`{}` discards what is sent to {to} (`{}`): a route of it says so",
                    gateway.name, node.name
                );
                let help = "no requirement is checked on that way; correct the route, or the addresses of the machine";
                found.push(Diagnostic::warning(gateway.origin, message).help(help));
            }
        }
    }
}

// Declared interfaces that files which know their interfaces do not have.
fn missing<'n>(
    name: &str,
    at: Origin,
    declared: impl Iterator<Item = &'n String>,
    firewalls: &[&Firewall],
) -> Vec<Diagnostic> {
    let known: Vec<&str> = firewalls.iter().flat_map(|f| &f.interfaces).map(|i| i.name.as_str()).collect();
    if known.is_empty() {
        return Vec::new();
    }
    let unknown = declared.filter(|i| interface_named(firewalls, i).is_none());
    unknown
        .map(|i| {
            let message = format!("`{name}` has no interface `{i}` in its file");
            Diagnostic::error(at, message).help(advice(i, known.iter().copied()))
        })
        .collect()
}

// A host's ruleset is one machine's; a cloud's groups are many machines'.
fn shared(opened: &Opened, loaded: &Loaded, found: &mut Vec<Diagnostic>) {
    let deployment = &opened.deployment;
    let nodes = deployment.nodes.iter().enumerate().map(|(n, x)| (Part::Node(n), &x.name, x.origin));
    let gateways = deployment.gateways.iter().enumerate().map(|(n, x)| (Part::Gateway(n), &x.name, x.origin));
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    for (part, name, at) in nodes.chain(gateways) {
        for f in loaded.of_part(part).into_iter().filter(|f| !is_cloud(f)) {
            match first.get(f.path()) {
                None => {
                    first.insert(f.path(), name);
                }
                Some(other) => {
                    let message = format!("{} is the firewall of `{other}` and of `{name}`", f.path());
                    let help = "right only if both machines really have the same rules; else name each one's own file";
                    found.push(Diagnostic::warning(at, message).help(help));
                }
            }
        }
    }
}

// Host names that neither the catalogue nor a file speaks of.
fn names(opened: &Opened, loaded: &Loaded, found: &mut Vec<Diagnostic>) {
    let hosts = opened.catalogue.vocabulary().hosts;
    let files: Vec<_> = loaded.firewalls().flat_map(|f| &f.files).collect();
    for (name, set) in &opened.deployment.names {
        let used = hosts.contains(name) || files.iter().any(|f| holds(f.bytes(), name.as_bytes()));
        if !used {
            let message = format!("nothing uses the name `{name}`: neither the catalogue nor a file has it");
            let help = advice(name, hosts.iter().map(String::as_str));
            found.push(Diagnostic::warning(set.origin, message).help(help));
        }
    }
}

// Whether a text is in another, whatever the case of its letters. The name is in lower case.
fn holds(text: &[u8], name: &[u8]) -> bool {
    let Some(first) = name.first() else { return false };
    let starts = memchr::memchr2_iter(*first, first.to_ascii_uppercase(), text);
    starts.into_iter().any(|at| text[at..].get(..name.len()).is_some_and(|t| t.eq_ignore_ascii_case(name)))
}
