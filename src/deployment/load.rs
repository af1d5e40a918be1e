//! From `havenlint.toml` to a [`Deployment`]: names are looked up, addresses read, contradictions told.

use super::format::{
    CheckEntry, DeploymentFile, GatewayEntry, InlineEntry, NODE_KEYS, NodeEntry, SITE_KEYS, SiteEntry,
    WaiverEntry, Words, gather_addresses,
};
use super::{
    Defaults, Deployment, Gateway, InlineWaivers, NamedSet, Node, Pattern, Site, Vocabulary, WaivedFlow,
    Waiver, version,
};
use crate::packet::{Field, IntervalSet, Value, addr, interface_value, proto, public};
use crate::source::discover::bytes;
use crate::source::document::{self, advice, origin};
use crate::source::walk::Walk;
use crate::source::{Diagnostic, Origin, Severity, SourceFile};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;

/// The file's name, as it is looked for.
pub const FILE_NAME: &str = "havenlint.toml";
/// How many pairs of machines with one address are told.
const MAX_CONFLICTS: usize = 100;
/// The built-in name of all public addresses.
const INTERNET: &str = "internet";

/// A deployment file that was read, before the catalogue that it names is known.
#[derive(Debug)]
pub struct Draft {
    /// The file.
    pub file: Arc<SourceFile>,
    folder: PathBuf,
    entry: Option<DeploymentFile>,
    diagnostics: Vec<Diagnostic>,
}

/// Reads a deployment file.
///
/// # Errors
/// A message if the file cannot be read at all; what is wrong inside comes with [`Draft::deployment`].
pub fn open(path: &Path) -> Result<Draft, String> {
    let shown = path.to_string_lossy().replace('\\', "/");
    let bytes = bytes(path).map_err(|e| format!("cannot read {shown}: {e}"))?;
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    Ok(read(SourceFile::new(shown, bytes), &folder))
}

/// Reads a deployment file that is in memory; `folder` is where its relative paths start.
pub fn read(file: Arc<SourceFile>, folder: &Path) -> Draft {
    let (entry, diagnostics) = document::read_with::<DeploymentFile>(&file, gather_addresses);
    Draft { file, folder: folder.to_owned(), entry, diagnostics }
}

impl Draft {
    /// The catalogue that the file names, with its place.
    pub fn catalogue(&self) -> Option<(&str, Origin)> {
        let c = self.entry.as_ref()?.catalogue.as_ref()?;
        Some((c.get_ref(), origin(c.span())))
    }

    /// What is wrong with how it is written.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Where relative paths of the file start.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The deployment, in the words of a catalogue.
    pub fn deployment(self, vocabulary: &Vocabulary) -> Deployment {
        let mut deployment = Deployment {
            file: Some(self.file),
            folder: self.folder,
            phase: vocabulary.phases.first().cloned().unwrap_or_default(),
            diagnostics: self.diagnostics,
            ..Deployment::default()
        };
        if let Some(entry) = self.entry {
            let mut loader = Loader {
                vocabulary,
                networks: BTreeMap::new(),
                names: Vec::new(),
                used: BTreeSet::new(),
                found: Vec::new(),
            };
            loader.fill(&mut deployment, entry);
            deployment.diagnostics.append(&mut loader.found);
        }
        deployment.diagnostics.sort_by_key(|d| d.origin);
        deployment
    }
}

struct Loader<'a> {
    vocabulary: &'a Vocabulary,
    networks: BTreeMap<String, NamedSet>,
    // Names of all networks, known or not yet.
    names: Vec<String>,
    // Names of networks that something else names.
    used: BTreeSet<String>,
    found: Vec<Diagnostic>,
}

impl Loader<'_> {
    fn error(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.found.push(Diagnostic::error(origin(span), message).help(help));
    }

    fn known<'n>(
        &mut self,
        word: &Spanned<String>,
        what: &str,
        names: impl IntoIterator<Item = &'n str> + Clone,
    ) -> bool {
        let known = names.clone().into_iter().any(|n| n == word.get_ref());
        if !known {
            let help = advice(word.get_ref(), names);
            self.error(word.span(), format!("{what} `{}`", word.get_ref()), help);
        }
        known
    }

    fn fill(&mut self, deployment: &mut Deployment, entry: DeploymentFile) {
        if let Some(v) = &entry.required_version {
            match version::allows(v.get_ref(), env!("CARGO_PKG_VERSION")) {
                Some(true) => {}
                Some(false) => {
                    let message = format!(
                        "this is havenlint {}, but the file requires {}",
                        env!("CARGO_PKG_VERSION"),
                        v.get_ref()
                    );
                    self.error(v.span(), message, "use a version that matches");
                }
                None => self.error(
                    v.span(),
                    "this is not a version requirement",
                    "write \">=0.1\" or \">=0.1, <2\"",
                ),
            }
        }
        deployment.catalogue = entry.catalogue.map(Spanned::into_inner).unwrap_or_default();
        if let Some(phase) = &entry.phase {
            let vocabulary = self.vocabulary;
            self.known(phase, "unknown phase", vocabulary.phases.iter().map(String::as_str));
            deployment.phase.clone_from(phase.get_ref());
        }
        deployment.defaults = self.defaults(&entry.check);
        self.read_networks(&entry.networks);
        deployment.networks = self.networks.clone();
        for (name, words) in &entry.names {
            self.not_empty(words);
            let addresses = self.literal_addresses(words);
            let set = NamedSet { addresses, origin: origin(name.span()) };
            deployment.names.insert(name.get_ref().to_lowercase(), set);
        }
        deployment.sites = entry.sites.into_iter().map(|s| self.site(s)).collect();
        deployment.nodes = entry.nodes.into_iter().map(|n| self.node(n, &deployment.sites)).collect();
        deployment.gateways =
            entry.gateways.into_iter().map(|g| self.gateway(g, &deployment.sites)).collect();
        let names =
            |of: Vec<(&String, Origin)>| of.into_iter().map(|(n, o)| (n.clone(), o)).collect::<Vec<_>>();
        self.unique("site", names(deployment.sites.iter().map(|s| (&s.name, s.origin)).collect()));
        let enforcers = deployment.nodes.iter().map(|n| (&n.name, n.origin));
        let enforcers = enforcers.chain(deployment.gateways.iter().map(|g| (&g.name, g.origin)));
        self.unique("node or gateway", names(enforcers.collect()));
        self.conflicts(&deployment.nodes);
        if let Some(inline) = &entry.inline_waivers {
            deployment.inline_waivers = self.inline(inline);
        }
        deployment.waivers = entry.waivers.into_iter().map(|w| self.waiver(w, deployment)).collect();
        // Of a file with mistakes that would be told of what follows from them.
        if self.found.iter().all(|d| d.severity != Severity::Error) && deployment.diagnostics.is_empty() {
            self.without_effect(deployment);
        }
    }

    fn defaults(&mut self, entry: &CheckEntry) -> Defaults {
        let words = |w: &Spanned<Words>| w.get_ref().0.iter().map(|w| w.text.clone()).collect::<Vec<_>>();
        let levels = [Severity::Error, Severity::Warning, Severity::Note];
        let names = levels.map(Severity::name);
        if let Some(level) = &entry.fail_on {
            self.known(level, "unknown level", names.into_iter().chain(["never"]));
        }
        let least = entry.min_severity.as_ref().filter(|l| self.known(l, "unknown level", names));
        for word in &entry.format.get_ref().0 {
            // Whoever may change this file may not write anywhere on the machine that checks it.
            let file = word.text.split_once('=').map_or("", |(_, file)| file);
            if !Path::new(file).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
                let span = word.span.clone().unwrap_or_else(|| entry.format.span());
                self.error(
                    span,
                    format!("`{file}` is outside of this folder"),
                    "name a file below it, or say --format",
                );
            }
        }
        let exclude = words(&entry.exclude);
        if let Err(message) = Walk::default().exclude(exclude.iter().cloned()) {
            self.error(
                entry.exclude.span(),
                message,
                "write it as in .gitignore: `old/`, `*.bak`, `site/east/*.rules`",
            );
        }
        Defaults {
            format: words(&entry.format),
            fail_on: entry.fail_on.as_ref().map(|l| l.get_ref().clone()),
            min_severity: least.and_then(|l| levels.into_iter().find(|s| s.name() == l.get_ref())),
            select: words(&entry.select),
            ignore: words(&entry.ignore),
            exclude,
        }
    }

    // What is declared and changes nothing.
    fn without_effect(&mut self, deployment: &Deployment) {
        let mut warn = |at: Origin, message: String, help: &str| {
            self.found.push(Diagnostic::warning(at, message).help(help));
        };
        let roles = &self.vocabulary.by_network;
        for (name, set) in &deployment.networks {
            if !self.used.contains(name) && !roles.contains(name) {
                let message = format!(
                    "nothing uses the network `{name}`: no role takes its addresses from it, and no list names it"
                );
                warn(set.origin, message, "name it where its addresses are meant, or remove it");
            }
        }
        for (n, site) in deployment.sites.iter().enumerate() {
            let here = |s: Option<usize>| s == Some(n);
            if !deployment.nodes.iter().any(|m| here(m.site))
                && !deployment.gateways.iter().any(|g| here(g.site))
            {
                let message = format!("nothing is in the site `{}`: no node or gateway names it", site.name);
                warn(site.origin, message, "write `site` at its machines, or remove it");
            }
        }
        for node in deployment.nodes.iter().filter(|n| n.all().is_none() && !n.role.is_empty()) {
            let message = format!("`{}` has no address: its requirements are asked for any", node.name);
            warn(node.origin, message, "give its addresses, by network of its role or as `address`");
        }
        for gateway in &deployment.gateways {
            if gateway.interfaces.len() == 1 {
                let message = format!("`{}` has one interface: no flow passes it", gateway.name);
                warn(gateway.origin, message, "declare the networks behind its other interfaces too");
            }
            let mut by_set: BTreeMap<&[(Value, Value)], Vec<&str>> = BTreeMap::new();
            for (name, set) in &gateway.interfaces {
                by_set.entry(set.ranges()).or_default().push(name);
            }
            for names in by_set.values().filter(|n| n.len() > 1) {
                let message =
                    format!("the same addresses are behind {} of `{}`", names.join(" and "), gateway.name);
                warn(
                    gateway.origin,
                    message,
                    "right only if a flow may take either; else say what is behind which",
                );
            }
        }
    }

    fn unique(&mut self, what: &str, names: Vec<(String, Origin)>) {
        let mut seen = BTreeSet::new();
        for (name, at) in names {
            if !seen.insert(name.clone()) {
                let message = format!("more than one {what} is named `{name}`");
                self.found.push(Diagnostic::error(at, message).help("names must be unique"));
            }
        }
    }

    // Networks may name each other, in any order but not in a circle.
    fn read_networks(&mut self, entries: &BTreeMap<Spanned<String>, Spanned<Words>>) {
        self.names = entries.keys().map(|k| k.get_ref().clone()).collect();
        let names: BTreeSet<&str> = entries.keys().map(|k| k.get_ref().as_str()).collect();
        let mut waiting: Vec<_> = entries.iter().collect();
        loop {
            let before = waiting.len();
            waiting.retain(|(name, words)| {
                let ready = words
                    .get_ref()
                    .0
                    .iter()
                    .all(|w| !names.contains(w.text.as_str()) || self.networks.contains_key(&w.text));
                if ready {
                    self.not_empty(words);
                    let addresses = self.addresses(words);
                    let set = NamedSet { addresses, origin: origin(name.span()) };
                    self.networks.insert(name.get_ref().clone(), set);
                }
                !ready
            });
            if waiting.is_empty() || waiting.len() == before {
                break;
            }
        }
        for (name, _) in waiting {
            let message = format!("the network `{}` refers to itself", name.get_ref());
            self.error(name.span(), message, "write addresses");
        }
        for name in entries.keys().filter(|n| *n.get_ref() == INTERNET) {
            self.error(name.span(), "`internet` is built in: all public addresses", "choose another name");
        }
    }

    /// Addresses of a list, in which networks may be named.
    fn addresses(&mut self, words: &Spanned<Words>) -> IntervalSet {
        // Joined at the end: there may be very many.
        let mut all = Vec::new();
        for w in &words.get_ref().0 {
            let span = w.span.clone().unwrap_or_else(|| words.span());
            if let Some(set) = self.networks.get(&w.text) {
                self.used.insert(w.text.clone());
                all.extend_from_slice(set.addresses.ranges());
            } else if w.text == INTERNET {
                // Whoever stands in for the Internet in an example is behind the interface that leads there.
                all.extend_from_slice(public::with_documentation().ranges());
            } else {
                all.extend_from_slice(self.address(&w.text, span, true).ranges());
            }
        }
        IntervalSet::from_ranges(all)
    }

    fn literal_addresses(&mut self, words: &Spanned<Words>) -> IntervalSet {
        let mut all = Vec::new();
        for w in &words.get_ref().0 {
            let span = w.span.clone().unwrap_or_else(|| words.span());
            all.extend_from_slice(self.address(&w.text, span, false).ranges());
        }
        IntervalSet::from_ranges(all)
    }

    fn address(&mut self, text: &str, span: Range<usize>, names_allowed: bool) -> IntervalSet {
        let Some(set) = addr::parse(text.trim()) else {
            let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic()) && !text.contains(':');
            let networks: Vec<String> = self.names.iter().cloned().chain([INTERNET.to_owned()]).collect();
            let help = if is_name && names_allowed {
                advice(text, networks.iter().map(String::as_str))
            } else {
                "write 10.0.0.1, 10.0.0.0/24, 10.0.0.1-10.0.0.9 or 2001:db8::/64".to_owned()
            };
            let message = if is_name && names_allowed {
                format!("unknown network `{text}`")
            } else {
                format!("`{text}` is not an address")
            };
            self.error(span, message, help);
            return IntervalSet::EMPTY;
        };
        if let Some(net) = text.trim().parse::<ipnet::IpNet>().ok().filter(|n| n.addr() != n.network()) {
            let help = format!("write {} for the network, or {} for the machine", net.trunc(), net.addr());
            self.error(span, format!("`{text}` is not a network: host bits are set"), help);
        }
        set
    }

    /// Addresses that a machine can have.
    fn host_addresses(&mut self, words: &Spanned<Words>) -> IntervalSet {
        let set = self.addresses(words);
        for (text, why) in [
            ("127.0.0.0/8", "loopback"),
            ("::1", "loopback"),
            ("::", "the unspecified address"),
            ("0.0.0.0", "the unspecified address"),
            ("224.0.0.0/4", "multicast"),
            ("ff00::/8", "multicast"),
            ("255.255.255.255", "broadcast"),
        ] {
            if addr::parse(text).is_some_and(|s| s.intersects(&set)) {
                let message = format!("{text} ({why}) is not the address of a machine");
                self.error(words.span(), message, "give the addresses at which others reach it");
                break;
            }
        }
        self.not_empty(words);
        set
    }

    fn not_empty(&mut self, words: &Spanned<Words>) {
        if words.get_ref().0.is_empty() {
            self.error(
                words.span(),
                "this list of addresses is empty",
                "leave the key out if the address is not known",
            );
        }
    }

    // Reports a key that is not one of the address keys; `fixed` are the other keys that it may be a slip for.
    fn address_key(&mut self, key: &Spanned<String>, of: &str, keys: &[&str], fixed: &[&str]) -> bool {
        let known = keys.contains(&key.get_ref().as_str());
        if !known {
            let all: Vec<&str> = keys.iter().chain(fixed).copied().collect();
            let help = advice(key.get_ref(), all.iter().copied());
            self.error(key.span(), format!("{of} has no key `{}`", key.get_ref()), help);
        }
        known
    }

    fn site(&mut self, entry: SiteEntry) -> Site {
        let vocabulary = self.vocabulary;
        let kind = entry.kind.get_ref();
        let mut servers = BTreeMap::new();
        if self.known(&entry.kind, "unknown site type", vocabulary.site_types.keys().map(String::as_str)) {
            let keys: Vec<&str> = vocabulary.site_types[kind].iter().map(String::as_str).collect();
            for (key, words) in &entry.addresses {
                if self.address_key(key, &format!("a site of type {kind}"), &keys, SITE_KEYS) {
                    servers.insert(key.get_ref().clone(), self.host_addresses(words));
                }
            }
        }
        Site {
            origin: origin(entry.name.span()),
            name: entry.name.into_inner(),
            kind: entry.kind.into_inner(),
            servers,
        }
    }

    fn node(&mut self, entry: NodeEntry, sites: &[Site]) -> Node {
        let vocabulary = self.vocabulary;
        let mut node = Node { origin: origin(entry.name.span()), ..Node::default() };
        if let Some(site) = &entry.site
            && self.known(site, "unknown site", sites.iter().map(|s| s.name.as_str()))
        {
            node.site = sites.iter().position(|s| s.name == *site.get_ref());
        }
        let known = match &entry.role {
            None => true,
            Some(r) => self.known(r, "unknown role", vocabulary.roles.keys().map(String::as_str)),
        };
        let role = entry.role.map(Spanned::into_inner).unwrap_or_default();
        let of = if role.is_empty() {
            "a node without a role".to_owned()
        } else {
            format!("a node of role {role}")
        };
        if known {
            let networks = vocabulary.roles.get(&role).map(Vec::as_slice).unwrap_or_default();
            let networks: Vec<&str> = networks.iter().map(String::as_str).collect();
            let keys: Vec<&str> = networks.iter().copied().chain(["address"]).collect();
            for (key, words) in &entry.addresses {
                if !self.address_key(key, &of, &keys, NODE_KEYS) {
                    continue;
                }
                let set = self.host_addresses(words);
                if key.get_ref() == "address" {
                    node.address = Some(set);
                } else {
                    node.addresses.insert(key.get_ref().clone(), set);
                }
            }
            for (name, network) in &entry.interfaces {
                self.interface_name(name);
                if self.known(
                    network,
                    &format!("{} has no network", of.trim_start_matches("a node of ")),
                    networks.iter().copied(),
                ) {
                    node.interfaces.insert(name.get_ref().clone(), network.get_ref().clone());
                }
            }
        }
        self.files_given(&entry.firewall);
        node.firewall = patterns(&entry.firewall);
        node.routes = patterns(&entry.routes);
        node.security_groups = entry.security_groups.get_ref().0.iter().map(|w| w.text.clone()).collect();
        node.name = entry.name.into_inner();
        node.role = role;
        node
    }

    // A list that is there and empty; one that is left out has no place.
    fn files_given(&mut self, words: &Spanned<Words>) {
        if words.get_ref().0.is_empty() && !words.span().is_empty() {
            self.error(
                words.span(),
                "this list of files is empty",
                "name the files, or leave the key out: the machine is then not checked",
            );
        }
    }

    fn interface_name(&mut self, name: &Spanned<String>) {
        if let Err(e) = interface_value(name.get_ref()) {
            self.error(name.span(), format!("`{}` is not an interface name: {e}", name.get_ref()), "");
        }
    }

    fn gateway(&mut self, entry: GatewayEntry, sites: &[Site]) -> Gateway {
        if entry.firewall.get_ref().0.is_empty() {
            self.error(
                entry.firewall.span(),
                "a gateway needs a firewall file: without one there is nothing to check",
                "name it",
            );
        }
        let (mut interfaces, mut addresses) = (BTreeMap::new(), BTreeMap::new());
        for (name, words) in &entry.interfaces {
            self.interface_name(name);
            self.not_empty(words);
            let (own, networks) = own_addresses(words);
            let set = self.addresses(&networks).union(&own.1);
            interfaces.insert(name.get_ref().clone(), set);
            if !own.0.is_empty() {
                addresses.insert(name.get_ref().clone(), own.0);
            }
        }
        let site = entry
            .site
            .as_ref()
            .filter(|s| self.known(s, "unknown site", sites.iter().map(|s| s.name.as_str())));
        Gateway {
            site: site.and_then(|name| sites.iter().position(|s| s.name == *name.get_ref())),
            origin: origin(entry.name.span()),
            firewall: patterns(&entry.firewall),
            routes: patterns(&entry.routes),
            name: entry.name.into_inner(),
            interfaces,
            addresses,
        }
    }

    // One address, two machines: it is not clear whose firewall counts. Sites may use the same private addresses.
    fn conflicts(&mut self, nodes: &[Node]) {
        let sets: Vec<IntervalSet> = nodes.iter().map(|n| n.all().unwrap_or_default()).collect();
        let mut ranges: Vec<(Value, Value, usize)> = Vec::new();
        for (i, set) in sets.iter().enumerate() {
            ranges.extend(set.ranges().iter().map(|(lo, hi)| (*lo, *hi, i)));
        }
        ranges.sort_unstable();
        // A sweep over all addresses: whoever still goes on where another begins shares addresses with it.
        let mut open: Vec<(Value, usize)> = Vec::new();
        let mut pairs = BTreeSet::new();
        for (lo, hi, node) in ranges {
            open.retain(|(end, _)| *end >= lo);
            pairs.extend(open.iter().filter(|(_, n)| *n != node).map(|(_, n)| (node.max(*n), node.min(*n))));
            open.push((hi, node));
        }
        for (i, j) in pairs.into_iter().take(MAX_CONFLICTS) {
            self.conflict(&nodes[i], &nodes[j], &sets[i].intersect(&sets[j]));
        }
    }

    fn conflict(&mut self, a: &Node, b: &Node, shared: &IntervalSet) {
        let shown = addr::display(shared).join(", ");
        let called = |n: &Node| match n.role.as_str() {
            "" => format!("`{}`", n.name),
            role => format!("`{}` ({role})", n.name),
        };
        let message = format!("{} and {} both have the address {shown}", called(a), called(b));
        let apart = a.site.is_some() && b.site.is_some() && a.site != b.site;
        self.found.push(if apart {
            Diagnostic::warning(a.origin, message).help("right only if the sites' networks are not joined")
        } else {
            Diagnostic::error(a.origin, message)
                .help("give each machine its own addresses; a machine with two roles is not supported")
        });
    }

    fn inline(&mut self, entry: &Spanned<InlineEntry>) -> InlineWaivers {
        match entry.get_ref() {
            InlineEntry::Switch(true) => InlineWaivers::All,
            InlineEntry::Switch(false) => InlineWaivers::None,
            InlineEntry::Word(word) if word == "with-owner" => InlineWaivers::WithOwner,
            InlineEntry::Word(word) => {
                let help = "write true, false, \"with-owner\", or a list of rules";
                self.error(entry.span(), format!("`{word}` does not say which waivers are in force"), help);
                InlineWaivers::None
            }
            InlineEntry::Rules(list) => {
                let rules = &self.vocabulary.rules;
                for id in
                    list.iter().filter(|id| !rules.is_empty() && !rules.iter().any(|r| r.starts_with(*id)))
                {
                    let help = advice(id, rules.iter().map(String::as_str));
                    self.found.push(
                        Diagnostic::error(origin(entry.span()), format!("unknown rule `{id}`")).help(help),
                    );
                }
                InlineWaivers::Of(list.clone())
            }
        }
    }

    fn waiver(&mut self, entry: WaiverEntry, deployment: &Deployment) -> Waiver {
        let vocabulary = self.vocabulary;
        if !vocabulary.rules.is_empty() {
            self.known(&entry.rule, "unknown rule", vocabulary.rules.iter().map(String::as_str));
        }
        if let Some(node) = &entry.node {
            let names = deployment.nodes.iter().map(|n| n.name.as_str());
            self.known(
                node,
                "unknown node or gateway",
                names.chain(deployment.gateways.iter().map(|g| g.name.as_str())),
            );
        }
        if entry.reason.get_ref().trim().is_empty() {
            self.error(entry.reason.span(), "a waiver needs a reason", "say why the finding is accepted");
        }
        let flow = WaivedFlow {
            from: entry.from.as_ref().map(|w| self.addresses(w)),
            to: entry.to.as_ref().map(|w| self.addresses(w)),
            proto: entry.proto.as_ref().and_then(|p| self.protocol(p)),
            ports: entry.port.as_ref().map(|w| self.ports(w)),
        };
        Waiver {
            origin: origin(entry.rule.span()),
            rule: entry.rule.into_inner(),
            node: entry.node.map(Spanned::into_inner),
            path: entry.path.map(Spanned::into_inner),
            flow: Some(flow).filter(|f| *f != WaivedFlow::default()),
            reason: entry.reason.into_inner(),
            owner: entry.owner,
            expires: entry.expires.map(|d| d.get_ref().0),
        }
    }

    fn protocol(&mut self, text: &Spanned<String>) -> Option<u8> {
        let number = proto::parse(text.get_ref());
        if number.is_none() && text.get_ref() != "any" {
            let help = advice(text.get_ref(), ["tcp", "udp", "icmp", "icmpv6", "any"]);
            self.error(text.span(), format!("unknown protocol `{}`", text.get_ref()), help);
        }
        number
    }

    fn ports(&mut self, words: &Spanned<Words>) -> IntervalSet {
        let mut all = IntervalSet::EMPTY;
        for w in &words.get_ref().0 {
            for part in w.text.split(',') {
                match port_range(part) {
                    Some(set) => all = all.union(&set),
                    None => {
                        let span = w.span.clone().unwrap_or_else(|| words.span());
                        self.error(
                            span,
                            format!("`{part}` is not a port"),
                            "write 22, \"80-443\" or [22, \"80-443\"]",
                        );
                    }
                }
            }
        }
        all.intersect(&Field::Dport.all())
    }
}

// What of a list is an interface's own address with its network, as `ip address` shows it (`10.1.0.1/24`): addresses and networks; and the rest.
fn own_addresses(words: &Spanned<Words>) -> ((IntervalSet, IntervalSet), Spanned<Words>) {
    let (mut own, mut networks) = (IntervalSet::EMPTY, IntervalSet::EMPTY);
    let mut rest = words.get_ref().clone();
    rest.0.retain(|w| {
        let both = w.text.trim().parse::<ipnet::IpNet>().ok().filter(|n| n.addr() != n.network());
        let Some(net) = both else { return true };
        own = own.union(&IntervalSet::single(addr::value(net.addr())));
        networks = networks.union(&addr::parse(&net.trunc().to_string()).unwrap_or_default());
        false
    });
    ((own, networks), Spanned::new(words.span(), rest))
}

fn port_range(text: &str) -> Option<IntervalSet> {
    let (lo, hi) = text.split_once('-').unwrap_or((text, text));
    let (lo, hi): (u16, u16) = (lo.trim().parse().ok()?, hi.trim().parse().ok()?);
    (lo <= hi).then(|| IntervalSet::range(lo, hi))
}

fn patterns(words: &Spanned<Words>) -> Vec<Pattern> {
    let place = |span: &Option<Range<usize>>| origin(span.clone().unwrap_or_else(|| words.span()));
    words.get_ref().0.iter().map(|w| Pattern { text: w.text.clone(), origin: place(&w.span) }).collect()
}
