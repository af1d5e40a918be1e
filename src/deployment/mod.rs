//! The deployment: which nodes, sites and gateways there are, with their addresses and firewall files.
//!
//! It is read from `havenlint.toml`, or made from options where there is no such file. What roles,
//! networks, phases and site types exist is the catalogue's business: this module is told by a [`Vocabulary`].

mod first;
mod format;
mod load;
mod options;
pub mod routes;
mod version;

pub use first::{Found, FoundKind, first_file, tells_roles};
pub use format::schema_text;
pub use load::{Draft, FILE_NAME, open, read};
pub use options::{Options, from_options};

use crate::packet::IntervalSet;
use crate::source::{Diagnostic, Origin, Severity, SourceFile};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// The words that a catalogue gives to deployments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Roles that a node may have, each with the names of its networks, the main one first.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Those of them whose addresses a deployment gives as a network of that name.
    pub by_network: BTreeSet<String>,
    /// Roles whose nodes talk to each other.
    pub peered: BTreeSet<String>,
    /// Site types, each with the keys under which a site of the type declares addresses (`vcenter`).
    pub site_types: BTreeMap<String, Vec<String>>,
    /// Phases; the first is the one of a deployment that does not say.
    pub phases: Vec<String>,
    /// Host names that requirements speak of, in lower case.
    pub hosts: BTreeSet<String>,
    /// Ids of all rules that a waiver may name; empty = not checked.
    pub rules: Vec<String>,
}

/// What `check` does where its options do not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Formats of the report, as `--format` has them.
    pub format: Vec<String>,
    /// The lowest level of findings that makes the exit status 1, or `never`.
    pub fail_on: Option<String>,
    /// The lowest level of findings that is reported.
    pub min_severity: Option<Severity>,
    /// Only these rules.
    pub select: Vec<String>,
    /// All but these rules.
    pub ignore: Vec<String>,
    /// Patterns of files to pass over.
    pub exclude: Vec<String>,
}

/// A deployment.
#[derive(Debug, Clone, Default)]
pub struct Deployment {
    /// The file it was read from; `None` = made from options.
    pub file: Option<Arc<SourceFile>>,
    /// The folder that relative paths of it start from.
    pub folder: PathBuf,
    /// The catalogue: a built-in name, or a path relative to [`Deployment::folder`].
    pub catalogue: String,
    /// The phase that the cluster is in.
    pub phase: String,
    /// What `check` does where its options do not say.
    pub defaults: Defaults,
    /// Named address sets.
    pub networks: BTreeMap<String, NamedSet>,
    /// Addresses of host names; names in lower case.
    pub names: BTreeMap<String, NamedSet>,
    /// Sites.
    pub sites: Vec<Site>,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// Firewalls between networks.
    pub gateways: Vec<Gateway>,
    /// Waivers.
    pub waivers: Vec<Waiver>,
    /// Which waivers beside rules are in force.
    pub inline_waivers: InlineWaivers,
    /// Addresses by role and network that belong to no node: `--set srn.service=10.1.0.0/24`. Empty if read from a file.
    pub sets: BTreeMap<(String, Option<String>), IntervalSet>,
    /// What is wrong with it; origins are in [`Deployment::file`]. With an error in here the deployment must not be used.
    pub diagnostics: Vec<Diagnostic>,
}

/// An address set with a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedSet {
    /// Its addresses, of both families.
    pub addresses: IntervalSet,
    /// Where it is declared.
    pub origin: Origin,
}

/// A data center.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// Its type, one of the catalogue's.
    pub kind: String,
    /// Addresses of servers that the type has (`vcenter`), by key.
    pub servers: BTreeMap<String, IntervalSet>,
    /// Where it is declared.
    pub origin: Origin,
}

/// A machine with a role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its role, one of the catalogue's; empty = none: no requirement speaks of it.
    pub role: String,
    /// Its site, an index into [`Deployment::sites`].
    pub site: Option<usize>,
    /// Addresses by network of the role. A network that was not declared is absent: see [`Node::on`].
    pub addresses: BTreeMap<String, IntervalSet>,
    /// Addresses given without a network (`address`).
    pub address: Option<IntervalSet>,
    /// Its firewall's files: paths or globs relative to the deployment's folder.
    pub firewall: Vec<Pattern>,
    /// Its interfaces and the network on each, in order of the interface's name.
    pub interfaces: BTreeMap<String, String>,
    /// Files with its addresses and routes, or routes themselves.
    pub routes: Vec<Pattern>,
    /// Cloud: ids of the groups attached to it.
    pub security_groups: Vec<String>,
    /// Where it is declared.
    pub origin: Origin,
}

/// A path or glob with its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pattern {
    /// As written.
    pub text: String,
    /// Where.
    pub origin: Origin,
}

/// A firewall between networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gateway {
    /// Its name.
    pub name: String,
    /// Its files.
    pub firewall: Vec<Pattern>,
    /// The site that it stands in, an index into [`Deployment::sites`]. Flows between nodes of other sites, and between those and the
    /// Internet, do not pass it. `None` = every flow that enters by one interface and leaves by another does.
    pub site: Option<usize>,
    /// Addresses behind each interface. Where two interfaces hold an address, the smaller set is the more specific
    /// route. Empty = taken from the firewall's own file.
    pub interfaces: BTreeMap<String, IntervalSet>,
    /// Its own addresses on each interface, as far as declared.
    pub addresses: BTreeMap<String, IntervalSet>,
    /// Files with its addresses and routes, or routes themselves.
    pub routes: Vec<Pattern>,
    /// Where it is declared.
    pub origin: Origin,
}

/// Which waivers beside rules, written by whoever changes the firewall, are in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum InlineWaivers {
    /// All.
    #[default]
    All,
    /// None.
    None,
    /// Those that name an owner.
    WithOwner,
    /// Those of these rules: ids, or beginnings of ids.
    Of(Vec<String>),
}

/// A decision to live with a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// Id of the rule.
    pub rule: String,
    /// Only for this node or gateway.
    pub node: Option<String>,
    /// Only in this file (a glob).
    pub path: Option<String>,
    /// Only for this flow.
    pub flow: Option<WaivedFlow>,
    /// Why.
    pub reason: String,
    /// Who answers for it; may be empty.
    pub owner: String,
    /// Last day on which it holds; `None` = no end.
    pub expires: Option<jiff::civil::Date>,
    /// Where it is declared.
    pub origin: Origin,
}

/// The flow that a waiver is for; `None` = any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaivedFlow {
    /// Sources.
    pub from: Option<IntervalSet>,
    /// Destinations.
    pub to: Option<IntervalSet>,
    /// Protocol.
    pub proto: Option<u8>,
    /// Destination ports.
    pub ports: Option<IntervalSet>,
}

impl Node {
    /// The node's addresses on a network of its role, `None` = not known.
    ///
    /// A node that does not declare the network is taken to use one interface for several networks: `address` stands for
    /// it, else the first declared network in `order` (the role's networks, the main one first).
    pub fn on(&self, network: &str, order: &[String]) -> Option<&IntervalSet> {
        self.addresses
            .get(network)
            .or(self.address.as_ref())
            .or_else(|| order.iter().find_map(|n| self.addresses.get(n)))
    }

    /// All addresses of the node; `None` = none is known.
    pub fn all(&self) -> Option<IntervalSet> {
        let sets = self.addresses.values().chain(&self.address);
        sets.fold(None, |all: Option<IntervalSet>, s| Some(all.map_or_else(|| s.clone(), |a| a.union(s))))
    }

    /// Interfaces that carry a network; empty = not declared. Where none is declared for the network, those of networks
    /// on which the node has the same addresses.
    pub fn interfaces_on(&self, network: &str, order: &[String]) -> Vec<&str> {
        let on = |wanted: &dyn Fn(&str) -> bool| {
            self.interfaces.iter().filter(|(_, n)| wanted(n)).map(|(i, _)| i.as_str()).collect::<Vec<_>>()
        };
        let named = on(&|n| n == network);
        if !named.is_empty() {
            return named;
        }
        let addresses = self.on(network, order);
        on(&|n| addresses.is_some() && self.on(n, order) == addresses)
    }
}

#[cfg(test)]
mod tests;
