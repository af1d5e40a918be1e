//! A deployment as a network to ask: who is meant by a name, and what becomes of a flow between two ends.

use super::Options;
use super::judge::points;
use super::load::Loaded;
use super::open::Opened;
use crate::catalogue::INTERNET;
use crate::catalogue::Side;
use crate::catalogue::resolve::{Addresses, Applies, AskedAt, Endpoint, ResolvedFlow};
use crate::compliance::journey::Journey;
use crate::deployment::Node;
use crate::finding::{Problem, Severity};
use crate::packet::{Family, Field, IntervalSet, addr, public};
use crate::source::document::advice;

/// A deployment, read with all its files.
pub struct Network {
    options: Options,
    opened: Opened,
    loaded: Loaded,
}

/// A question about a network.
pub struct Asked {
    /// Who sends: a node, a node's network (`web-1.front`), a site, a network, `internet`, or addresses.
    pub from: String,
    /// Who is sent to, likewise.
    pub to: String,
    /// Protocol number.
    pub protocol: u8,
    /// Destination ports.
    pub ports: IntervalSet,
}

/// The answer for one pair of ends.
pub struct Told {
    /// Name of who sends.
    pub from: String,
    /// Name of who is sent to.
    pub to: String,
    /// Addresses of both.
    pub addresses: [IntervalSet; 2],
    /// The way, in each family in which both have addresses.
    pub journey: Journey,
}

impl Network {
    /// Opens what a run of `check` would; `None` = there is no deployment file.
    pub fn open(options: &Options) -> Option<Self> {
        let opened = Opened::of(options);
        if !opened.deployed {
            return None;
        }
        let loaded = Loaded::of(options, &opened);
        Some(Self { options: options.clone(), opened, loaded })
    }

    /// What is wrong with its files.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.opened.problems.iter().chain(&self.loaded.problems).filter(|p| p.level == Severity::Error)
    }

    /// Whether it can be asked.
    pub fn is_sound(&self) -> bool {
        self.opened.sound
    }

    /// Follows the flows that a question means, each pair of ends by itself.
    ///
    /// # Errors
    /// A message on a name that means nothing, or ends with nothing in common.
    pub fn ask(&self, asked: &Asked) -> Result<Vec<Told>, String> {
        let (from, to) = (self.ends("--from", &asked.from)?, self.ends("--to", &asked.to)?);
        let points = points(&self.options, &self.opened, &self.loaded);
        let mut out = Vec::new();
        for source in &from {
            for destination in to.iter().filter(|d| d.node.is_none() || d.node != source.node) {
                let flow = ResolvedFlow {
                    requirement: 0,
                    subject: Side::To,
                    source: source.clone(),
                    destination: destination.clone(),
                    protocol: Some(asked.protocol),
                    ports: asked.ports.clone(),
                    except: Vec::new(),
                    applies: Applies::Yes,
                    asked_at: AskedAt::WholePath,
                };
                for family in Family::ALL {
                    let of = |e: &Endpoint| {
                        e.addresses.known().map(|s| s.intersect(&family.all())).unwrap_or_default()
                    };
                    let addresses = [of(source), of(destination)];
                    if addresses.iter().all(|s| !s.is_empty()) {
                        let journey = Journey::of(&points, &flow, family);
                        out.push(Told {
                            from: source.name.clone(),
                            to: destination.name.clone(),
                            addresses,
                            journey,
                        });
                    }
                }
            }
        }
        if out.is_empty() {
            return Err(format!("`{}` and `{}` have no address family in common", asked.from, asked.to));
        }
        Ok(out)
    }

    // Who is meant by a name.
    fn ends(&self, option: &str, name: &str) -> Result<Vec<Endpoint>, String> {
        let deployment = &self.opened.deployment;
        let plain = |name: &str, set: IntervalSet| Endpoint {
            node: None,
            name: name.to_owned(),
            role: None,
            network: None,
            addresses: Addresses::Known(set),
            interfaces: Vec::new(),
            site: None,
        };
        let nodes = || deployment.nodes.iter().enumerate();
        if let Some((n, node)) = nodes().find(|(_, n)| n.name == name) {
            return self
                .node(n, node, None)
                .map(|e| vec![e])
                .ok_or_else(|| format!("{option} {name}: no address is declared"));
        }
        if let Some((node, network)) = name.rsplit_once('.')
            && let Some((n, node)) = nodes().find(|(_, n)| n.name == node)
        {
            let known = self
                .opened
                .catalogue
                .roles
                .get(&node.role)
                .is_some_and(|r| r.networks.iter().any(|o| o.name == network));
            return self.node(n, node, Some(network)).filter(|_| known).map(|e| vec![e]).ok_or_else(|| {
                format!("{option} {name}: `{}` has no addresses on a network `{network}`", node.name)
            });
        }
        if let Some(site) = deployment.sites.iter().position(|s| s.name == name) {
            let inside =
                nodes().filter(|(_, n)| n.site == Some(site)).filter_map(|(i, n)| self.node(i, n, None));
            return Ok(inside.collect());
        }
        if let Some(set) =
            deployment.networks.get(name).or_else(|| deployment.names.get(&name.to_lowercase()))
        {
            return Ok(vec![plain(name, set.addresses.clone())]);
        }
        if name == INTERNET {
            return Ok(vec![plain(name, public::internet().clone())]);
        }
        if let Some(set) = addr::parse(name) {
            // An address of a node is the node.
            let owner = nodes().find(|(_, n)| n.all().is_some_and(|all| all.covers(&set)));
            return Ok(vec![match owner.and_then(|(n, node)| self.node(n, node, None)) {
                Some(e) => Endpoint { addresses: Addresses::Known(set), ..e },
                None => plain(name, set),
            }]);
        }
        let names = deployment.nodes.iter().map(|n| n.name.as_str());
        let names = names.chain(deployment.sites.iter().map(|s| s.name.as_str()));
        let names: Vec<&str> =
            names.chain(deployment.networks.keys().map(String::as_str)).chain([INTERNET]).collect();
        Err(format!(
            "{option} {name}: no node, site, network or address; {}",
            advice(name, names.iter().copied())
        ))
    }

    fn node(&self, index: usize, node: &Node, network: Option<&str>) -> Option<Endpoint> {
        let role = self.opened.catalogue.roles.get(&node.role);
        let order: Vec<String> =
            role.map(|r| r.networks.iter().map(|n| n.name.clone()).collect()).unwrap_or_default();
        let addresses = match network {
            Some(n) => node.on(n, &order).cloned()?,
            None => node.all()?,
        };
        let interfaces = network.map(|n| node.interfaces_on(n, &order)).unwrap_or_default();
        Some(Endpoint {
            node: Some(index),
            name: network.map_or_else(|| node.name.clone(), |n| format!("{}.{n}", node.name)),
            role: Some(node.role.clone()),
            network: network.map(str::to_owned),
            addresses: Addresses::Known(addresses),
            interfaces: interfaces.into_iter().map(str::to_owned).collect(),
            site: node.site,
        })
    }
}

/// All ports.
pub fn any_port() -> IntervalSet {
    Field::Dport.all()
}
