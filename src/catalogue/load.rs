//! From files to a [`Catalogue`]: built-in or on disk, with what they extend.

use super::format::{CatalogueFile, DeclaredEntry, SourceEntry};
use super::lower::Lowering;
use super::{Catalogue, Declared, EVERYWHERE, End, INTERNET, Named, Parameter, Role, Services, SiteType};
use crate::deployment::Vocabulary;
use crate::packet::{IntervalSet, Value, addr};
use crate::source::digest::Digest;
use crate::source::discover::bytes;
use crate::source::document::{self, advice, origin};
use crate::source::{Diagnostic, Origin, Severity, SourceFile};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;

/// The catalogues in the binary: name and text. The first is the default.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("safehaven-4", include_str!("../../rules/safehaven-4.toml")),
    ("safehaven-5", include_str!("../../rules/safehaven-5.toml")),
    (NONE, include_str!("../../rules/none.toml")),
];

/// The catalogue that requires nothing.
pub const NONE: &str = "none";

/// A catalogue to begin one's own with.
pub const TEMPLATE: &str = include_str!("../../rules/template.toml");

/// Whether a requirement is one of a built-in catalogue.
pub fn is_built_in(id: &str) -> bool {
    let declared = format!("\nid = \"{id}\"\n");
    BUILT_IN.iter().any(|(_, text)| text.contains(&declared))
}

/// How long a chain of catalogues that extend each other may be.
const MAX_DEPTH: usize = 8;

/// Keys of a `[[node]]` that a network cannot be named like.
const NODE_KEYS: &[&str] =
    &["name", "role", "site", "address", "firewall", "interfaces", "security-groups", "routes"];

/// Reads a catalogue: a built-in one by its name, or the file at a path relative to `folder`.
///
/// Whatever is wrong is in [`Catalogue::diagnostics`]; a file that cannot be read gives a catalogue of one diagnostic.
pub fn open(spec: &str, folder: &Path) -> Catalogue {
    let (file, base) = fetch(spec, folder);
    build(file, &base, &mut Vec::new(), &BTreeMap::new())
}

/// Reads a catalogue from a file that is already in memory; what it extends is looked up relative to `folder`.
pub fn read(file: Arc<SourceFile>, folder: &Path) -> Catalogue {
    build(Ok(file), folder, &mut Vec::new(), &BTreeMap::new())
}

/// The file for a name or path, and the folder that its own paths start from.
fn fetch(spec: &str, folder: &Path) -> (Result<Arc<SourceFile>, String>, PathBuf) {
    if let Some((name, text)) = BUILT_IN.iter().find(|b| b.0 == spec) {
        return (Ok(SourceFile::new(format!("<{name}>"), *text)), folder.to_owned());
    }
    let path = folder.join(spec);
    let base = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let shown = path.to_string_lossy().replace('\\', "/");
    let file = match bytes(&path) {
        Ok(bytes) => Ok(SourceFile::new(shown, bytes)),
        Err(e) => {
            let names = BUILT_IN.iter().map(|b| b.0);
            let hint = advice(spec, names);
            Err(format!("cannot read the catalogue {shown}: {e}; for a built-in catalogue, {hint}"))
        }
    };
    (file, base)
}

/// Parameters by name.
type Parameters = BTreeMap<String, Parameter>;

// `set` holds the parameters of the catalogues that extend this one, which count for its requirements too.
fn build(
    file: Result<Arc<SourceFile>, String>,
    folder: &Path,
    seen: &mut Vec<String>,
    set: &Parameters,
) -> Catalogue {
    let mut catalogue = Catalogue::default();
    let file = match file {
        Ok(file) => file,
        Err(message) => {
            catalogue.diagnostics.push(Diagnostic::error(Origin::default(), message));
            return catalogue;
        }
    };
    seen.push(file.path.clone());
    let built_in = BUILT_IN.iter().any(|(_, text)| text.as_bytes() == file.bytes());
    let (entry, diagnostics) = match built_in {
        true => document::read_known::<CatalogueFile>(&file),
        false => document::read::<CatalogueFile>(&file),
    };
    catalogue.diagnostics = diagnostics;
    catalogue.files.push(Arc::clone(&file));
    catalogue.sha256 = Digest::of_all(&catalogue.files);
    let Some(entry) = entry else { return catalogue };
    let mut own = parameters(&entry, &mut catalogue.diagnostics);
    own.extend(set.clone());
    if let Some(base) = &entry.extends {
        let before = catalogue.diagnostics.len();
        extend(&mut catalogue, base, folder, seen, &own);
        // Without what it extends, nearly every word of the catalogue is unknown: that is one mistake, not many.
        let lost = catalogue.diagnostics.iter().skip(before).any(|d| d.severity == Severity::Error);
        if lost && catalogue.roles.is_empty() {
            catalogue.id = entry.id;
            return catalogue;
        }
    }
    catalogue.parameters.extend(own);
    apply(&mut catalogue, entry);
    catalogue.sha256 = Digest::of_all(&catalogue.files);
    catalogue
}

/// Takes over everything of the extended catalogue. Its files go behind this one's.
fn extend(
    catalogue: &mut Catalogue,
    spec: &Spanned<String>,
    folder: &Path,
    seen: &mut Vec<String>,
    set: &Parameters,
) {
    let at = origin(spec.span());
    let (file, base) = fetch(spec.get_ref(), folder);
    let file = match file {
        Err(message) => {
            catalogue.diagnostics.push(Diagnostic::error(at, message));
            return;
        }
        Ok(f) if seen.contains(&f.path) => {
            let message = format!("these catalogues extend each other in a circle: {}", seen.join(" → "));
            catalogue.diagnostics.push(Diagnostic::error(at, message));
            return;
        }
        Ok(_) if seen.len() >= MAX_DEPTH => {
            let message = format!("more than {MAX_DEPTH} catalogues extend each other");
            catalogue.diagnostics.push(Diagnostic::error(at, message));
            return;
        }
        Ok(f) => f,
    };
    let mut parent = build(Ok(file), &base, seen, set);
    for requirement in &mut parent.requirements {
        requirement.origin.file += 1;
        requirement.examples.iter_mut().for_each(|e| e.origin.file += 1);
    }
    for d in &mut parent.diagnostics {
        d.origin.file += 1;
    }
    catalogue.files.append(&mut parent.files);
    catalogue.diagnostics.append(&mut parent.diagnostics);
    parent.files = std::mem::take(&mut catalogue.files);
    parent.diagnostics = std::mem::take(&mut catalogue.diagnostics);
    *catalogue = parent;
}

fn parameters(entry: &CatalogueFile, errors: &mut Vec<Diagnostic>) -> Parameters {
    let mut out = BTreeMap::new();
    for (name, p) in &entry.parameters {
        let mut ports = IntervalSet::EMPTY;
        for entry in &p.ports {
            match super::lower::port_range(entry.get_ref()) {
                Some(set) => ports = ports.union(&set),
                None => errors.push(
                    Diagnostic::error(origin(entry.span()), "this is not a port or a range of ports")
                        .help("write 443 or \"5000-5010\""),
                ),
            }
        }
        out.insert(name.clone(), Parameter { ports, reason: p.reason.clone() });
    }
    out
}

/// Adds what a file says to what it extends.
fn apply(catalogue: &mut Catalogue, entry: CatalogueFile) {
    catalogue.id = entry.id;
    catalogue.version = entry.version;
    catalogue.title = entry.title;
    let named = |n: super::format::NamedEntry| Named { name: n.name, summary: n.summary };
    for phase in entry.phases.into_iter().map(named) {
        match catalogue.phases.iter_mut().find(|p| p.name == phase.name) {
            Some(old) => *old = phase,
            None => catalogue.phases.push(phase),
        }
    }
    for (name, t) in entry.site_types {
        catalogue.site_types.entry(name).or_default().summary = t.summary;
    }
    let mut errors = Vec::new();
    for (name, role) in entry.roles {
        let declared = match role.declared {
            DeclaredEntry::Node => Declared::Node,
            DeclaredEntry::Network => Declared::Network,
            DeclaredEntry::Site => Declared::Site,
        };
        for t in &role.site_types {
            match catalogue.site_types.get_mut(t.get_ref()) {
                Some(SiteType { servers, .. }) if !servers.contains(&name) => servers.push(name.clone()),
                Some(_) => {}
                None => errors.push(
                    unknown(t, "site type")
                        .help(advice(t.get_ref(), catalogue.site_types.keys().map(String::as_str))),
                ),
            }
        }
        let networks: Vec<Named> = role.networks.into_iter().map(named).collect();
        for n in networks.iter().filter(|n| NODE_KEYS.contains(&n.name.as_str())) {
            let message =
                format!("the network `{}` of role `{name}` is named like another key of `[[node]]`", n.name);
            errors.push(Diagnostic::error(Origin::default(), message).help("give it another name"));
        }
        catalogue.roles.insert(name, Role { summary: role.summary, networks, declared });
    }
    for (name, set) in entry.sets {
        let mut all = IntervalSet::EMPTY;
        for text in &set.addresses {
            match addr::parse(text.get_ref()) {
                Some(s) => all = all.union(&s),
                None => errors.push(
                    Diagnostic::error(origin(text.span()), format!("`{}` is not an address", text.get_ref()))
                        .help("write 10.0.0.1, 10.0.0.0/24 or 10.0.0.1-10.0.0.9"),
                ),
            }
        }
        if name == INTERNET || name == EVERYWHERE {
            errors.push(Diagnostic::error(Origin::default(), format!("the set `{name}` is built in")));
        }
        catalogue.sets.insert(name, all);
    }
    for id in &entry.remove {
        let before = catalogue.requirements.len();
        catalogue.requirements.retain(|r| r.id != *id.get_ref());
        if catalogue.requirements.len() == before {
            let ids = catalogue.requirements.iter().map(|r| r.id.as_str());
            errors.push(unknown(id, "requirement of the extended catalogue").help(advice(id.get_ref(), ids)));
        }
    }
    catalogue.diagnostics.append(&mut errors);
    requirements(catalogue, entry.requirements, entry.source.as_ref());
}

fn unknown(word: &Spanned<String>, what: &str) -> Diagnostic {
    Diagnostic::error(origin(word.span()), format!("unknown {what} `{}`", word.get_ref()))
}

fn requirements(
    catalogue: &mut Catalogue,
    entries: Vec<Spanned<super::format::RequirementEntry>>,
    source: Option<&SourceEntry>,
) {
    let mut found = Vec::new();
    let mut own = Vec::new();
    let mut seen = BTreeSet::new();
    for entry in entries {
        let span = entry.span();
        let entry = entry.into_inner();
        let extended = catalogue.requirements.iter().any(|r| r.id == *entry.id.get_ref());
        match (entry.replaces, extended) {
            (false, true) => {
                let message = format!("`{}` is a requirement of the extended catalogue", entry.id.get_ref());
                let help = "write `override = true` to replace it, or choose another id";
                found.push(Diagnostic::error(origin(entry.id.span()), message).help(help));
            }
            (true, false) => {
                let ids = catalogue.requirements.iter().map(|r| r.id.as_str());
                let message =
                    format!("`{}` overrides no requirement of an extended catalogue", entry.id.get_ref());
                let help = advice(entry.id.get_ref(), ids);
                found.push(Diagnostic::error(origin(entry.id.span()), message).help(help));
            }
            _ => {}
        }
        for id in std::iter::once(&entry.id).chain(&entry.aliases) {
            if !seen.insert(id.get_ref().clone()) {
                let message = format!("the id `{}` appears twice", id.get_ref());
                found.push(Diagnostic::error(origin(id.span()), message).help("an id names one requirement"));
            }
        }
        let mut lowering = Lowering { catalogue, source, found: &mut found };
        own.push(lowering.requirement(entry, span));
    }
    for requirement in own {
        match catalogue.requirements.iter_mut().find(|r| r.id == requirement.id) {
            Some(old) => *old = requirement,
            None => catalogue.requirements.push(requirement),
        }
    }
    catalogue.diagnostics.append(&mut found);
    catalogue.diagnostics.sort_by_key(|d| d.origin);
}

/// The JSON schema of the format, as it is committed and as `havenlint catalogue schema` prints it.
pub fn schema_text() -> String {
    let mut schema = document::schema::<CatalogueFile>();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), "havenlint catalogue".into());
    }
    // Printing a value that is in memory cannot fail.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

impl Catalogue {
    /// Whether it may be used: nothing in it is wrong.
    pub fn is_sound(&self) -> bool {
        self.diagnostics.iter().all(|d| d.severity != Severity::Error)
    }

    /// Other names of requirements, each with the id that it stands for.
    pub fn aliases(&self) -> Vec<(String, String)> {
        let of =
            |r: &super::Requirement| r.aliases.iter().map(|a| (a.clone(), r.id.clone())).collect::<Vec<_>>();
        self.requirements.iter().flat_map(of).collect()
    }

    /// A requirement by its id or one of its aliases.
    pub fn requirement(&self, id: &str) -> Option<&super::Requirement> {
        self.requirements.iter().find(|r| r.id == id || r.aliases.iter().any(|a| a == id))
    }

    /// The words that a deployment may use.
    pub fn vocabulary(&self) -> Vocabulary {
        let names = |r: &Role| r.networks.iter().map(|n| n.name.clone()).collect();
        Vocabulary {
            roles: self.roles.iter().map(|(name, r)| (name.clone(), names(r))).collect(),
            by_network: self
                .roles
                .iter()
                .filter(|(_, r)| r.declared == Declared::Network)
                .map(|(name, _)| name.clone())
                .collect(),
            peered: self.roles.keys().filter(|r| self.is_peered(r)).cloned().collect(),
            site_types: self.site_types.iter().map(|(n, t)| (n.clone(), t.servers.clone())).collect(),
            phases: self.phases.iter().map(|p| p.name.clone()).collect(),
            hosts: self.hosts(),
            rules: Vec::new(),
        }
    }

    // Host names that requirements speak of.
    fn hosts(&self) -> BTreeSet<String> {
        let ends = self.requirements.iter().flat_map(|r| r.from.iter().chain(&r.to));
        ends.filter_map(|e| if let End::Host(name) = e { Some(name.clone()) } else { None }).collect()
    }

    fn is_peered(&self, role: &str) -> bool {
        let holds = |ends: &[End]| ends.iter().any(|e| matches!(e, End::Role { role: r, .. } if r == role));
        self.requirements.iter().any(|r| holds(&r.from) && holds(&r.to))
    }

    /// Every service that some requirement wants at a role, by protocol in ascending order.
    pub fn services_of(&self, role: &str) -> Vec<super::Service> {
        let mut out: Vec<super::Service> = Vec::new();
        for r in self.requirements.iter().filter(|r| r.kind.wants_passage()) {
            let Services::These(services) = &r.services else { continue };
            if !r.to.iter().any(|e| matches!(e, End::Role { role: r, .. } if r == role)) {
                continue;
            }
            for s in services {
                match out.iter_mut().find(|o| o.protocol == s.protocol) {
                    Some(o) => o.ports = o.ports.union(&s.ports),
                    None => out.push(s.clone()),
                }
            }
        }
        out.sort_by_key(|s| s.protocol.map(Value::from));
        out
    }
}
