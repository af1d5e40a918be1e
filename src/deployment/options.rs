//! A deployment from options, where there is no file: one node, and what is known about the others.

use super::{Deployment, NamedSet, Node, Site, Vocabulary};
use crate::packet::{IntervalSet, addr};
use crate::source::document::advice;

/// What the command line says about a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Role of the machine whose firewall is checked; `None` = no requirement is asked.
    pub role: Option<String>,
    /// The phase; `None` = the catalogue's first.
    pub phase: Option<String>,
    /// Type of the machine's site.
    pub site_type: Option<String>,
    /// Address sets: (`srn.service`, `10.1.0.0/24,10.2.0.0/24`).
    pub sets: Vec<(String, String)>,
    /// The machine's own addresses.
    pub local: Option<IntervalSet>,
}

/// A deployment of one node, named after its role. Its firewall files are the caller's business.
///
/// A set is named by a role (`admin`), a role and one of its networks (`srn.service`), or a host name (`api.example.net`).
/// A set of the node's own role is its peers, if nodes of the role talk to each other; else its own addresses.
///
/// # Errors
/// A message for each option that makes no sense.
pub fn from_options(options: &Options, vocabulary: &Vocabulary) -> Result<Deployment, Vec<String>> {
    let mut errors = Vec::new();
    let mut out = Deployment::default();
    let mut unknown = |option: &str, word: &str, names: &mut dyn Iterator<Item = &str>| {
        let names: Vec<&str> = names.collect();
        if !names.contains(&word) {
            errors.push(format!("{option} {word}: unknown value; {}", advice(word, names.iter().copied())));
        }
    };
    out.phase = options.phase.clone().or_else(|| vocabulary.phases.first().cloned()).unwrap_or_default();
    if let Some(phase) = &options.phase {
        unknown("--phase", phase, &mut vocabulary.phases.iter().map(String::as_str));
    }
    if let Some(kind) = &options.site_type {
        unknown("--site-type", kind, &mut vocabulary.site_types.keys().map(String::as_str));
        out.sites.push(Site { name: "this".to_owned(), kind: kind.clone(), ..Site::default() });
    }
    if let Some(role) = &options.role {
        unknown("--role", role, &mut vocabulary.roles.keys().map(String::as_str));
        let site = options.site_type.as_ref().map(|_| 0);
        let address = options.local.clone();
        out.nodes.push(Node { name: role.clone(), role: role.clone(), site, address, ..Node::default() });
    }
    for (name, text) in &options.sets {
        match addresses(text) {
            Ok(set) => {
                if let Err(e) = assign(&mut out, name, set, vocabulary) {
                    errors.push(e);
                }
            }
            Err(e) => errors.push(format!("--set {name}: {e}")),
        }
    }
    if errors.is_empty() { Ok(out) } else { Err(errors) }
}

fn addresses(text: &str) -> Result<IntervalSet, String> {
    let mut all = IntervalSet::EMPTY;
    for part in text.split(',').map(str::trim) {
        let set = addr::parse(part).ok_or_else(|| {
            format!("`{part}` is not an address; write 10.0.0.1, 10.0.0.0/24 or 10.0.0.1-10.0.0.9")
        })?;
        all = all.union(&set);
    }
    Ok(all)
}

fn assign(out: &mut Deployment, name: &str, set: IntervalSet, vocabulary: &Vocabulary) -> Result<(), String> {
    let (role, network) = match name.split_once('.') {
        Some((role, network)) if vocabulary.roles.contains_key(role) => (role, Some(network)),
        _ => (name, None),
    };
    let Some(networks) = vocabulary.roles.get(role) else {
        if name.contains('.') {
            let named = NamedSet { addresses: set, ..NamedSet::default() };
            out.names.insert(name.to_lowercase(), named);
            return Ok(());
        }
        let help = advice(name, vocabulary.roles.keys().map(String::as_str));
        return Err(format!("--set {name}: unknown role or host name; {help}"));
    };
    if let Some(network) = network.filter(|n| !networks.iter().any(|o| o == n)) {
        let help = advice(network, networks.iter().map(String::as_str));
        return Err(format!("--set {name}: role {role} has no network `{network}`; {help}"));
    }
    match out.nodes.iter_mut().find(|n| n.role == role && !vocabulary.peered.contains(role)) {
        Some(node) => {
            let slot = match network {
                Some(n) => node.addresses.entry(n.to_owned()).or_default(),
                None => node.address.get_or_insert_default(),
            };
            *slot = slot.union(&set);
        }
        None => {
            let slot = out.sets.entry((role.to_owned(), network.map(str::to_owned))).or_default();
            *slot = slot.union(&set);
        }
    }
    Ok(())
}
