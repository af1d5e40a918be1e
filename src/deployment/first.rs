//! A first `havenlint.toml`, written from the firewall files that a folder holds.

use super::Vocabulary;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A firewall file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its path relative to the deployment file, with `/`.
    pub path: String,
    /// What it is the firewall of.
    pub kind: FoundKind,
}

/// What a firewall file is likely to be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundKind {
    /// A host.
    Host,
    /// A firewall between networks.
    Gateway,
    /// Groups of a cloud, attached by machines that the file does not name.
    Cloud,
}

/// Ends of file names that say what is in the file, not whose it is.
const SUFFIXES: &[&str] = &[
    "v4",
    "v6",
    "ipv4",
    "ipv6",
    "rules",
    "iptables",
    "ip6tables",
    "nftables",
    "nft",
    "conf",
    "save",
    "dump",
    "txt",
    "xml",
    "json",
];
/// File names that say nothing of the machine: the folder's name does.
const GENERIC: &[&str] =
    &["", "config", "rules", "iptables", "ip6tables", "nftables", "firewall", "ruleset", "security-groups"];

/// Where editors find the format's schema.
const SCHEMA: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/raw/main/rules/havenlint.schema.json");

/// Whether the name of some host's file tells its role.
pub fn tells_roles(found: &[Found], vocabulary: &Vocabulary) -> bool {
    let hosts = group(found).into_iter().filter(|(_, (kind, _))| *kind == FoundKind::Host);
    hosts.into_iter().any(|(name, _)| guessed(&name, vocabulary).is_some())
}

// The longest role name in a machine's wins, so that `file-server` is not taken for `file`.
fn guessed<'v>(name: &str, vocabulary: &'v Vocabulary) -> Option<&'v String> {
    let lower = name.to_lowercase();
    vocabulary.roles.keys().filter(|r| mentions(&lower, r)).max_by_key(|r| r.len())
}

/// The file's text. Roles are told from names of files; what cannot be told stands in comments.
pub fn first_file(found: &[Found], vocabulary: &Vocabulary, catalogue: &str) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "#:schema {SCHEMA}\n# The deployment that havenlint checks. Written by `havenlint init`: review it and fill in the blanks.\n\
         required-version = \">=0.1\"\ncatalogue = {}",
        quoted(catalogue),
    );
    out.push_str(match vocabulary.roles.is_empty() {
        true => "   # requires nothing; `havenlint catalogue new policy.toml` begins a policy of your own\n",
        false => "\n",
    });
    if let [first, others @ ..] = vocabulary.phases.as_slice() {
        let others = others.iter().map(|p| quoted(p)).collect::<Vec<_>>().join(", ");
        let or = if others.is_empty() { String::new() } else { format!("              # or {others}") };
        let _ = writeln!(out, "phase = {}{or}", quoted(first));
    }
    out.push_str("\n# Address sets by name. A peer that is not declared may be any address.\n[networks]\n# admin = [\"10.0.9.0/24\"]\n");
    if let Some(first) = vocabulary.site_types.keys().next() {
        let kinds = vocabulary.site_types.keys().map(|k| quoted(k)).collect::<Vec<_>>().join(", ");
        let _ = write!(
            out,
            "\n# Data centers. A node names its own with `site = \"…\"`. Types: {kinds}.\n# [[site]]\n# name = \"east\"\n# type = {}\n",
            quoted(first),
        );
    }
    for (name, (kind, paths)) in group(found) {
        match kind {
            FoundKind::Host => node(&mut out, &name, &paths, vocabulary),
            FoundKind::Gateway => {
                let _ = write!(
                    out,
                    "\n[[gateway]]\nname = {}\nfirewall = [{}]\n# interfaces = {{ lan = [\"10.1.0.0/16\"], wan = [\"internet\"] }}   # left out: read from the file\n",
                    quoted(&name),
                    list(&paths)
                );
            }
            FoundKind::Cloud => {
                let _ = write!(
                    out,
                    "\n# Security groups: name them in the nodes to which they are attached.\n# [[node]]\n# name = \"…\"\n# role = \"…\"\n# firewall = [{}]\n# security-groups = [\"sg-…\"]\n",
                    list(&paths)
                );
            }
        }
    }
    out
}

fn node(out: &mut String, name: &str, paths: &[String], vocabulary: &Vocabulary) {
    let role = guessed(name, vocabulary);
    let shown = match role {
        Some(r) => format!("role = {}   # guessed from the name", quoted(r)),
        None if vocabulary.roles.is_empty() => "# role = \"…\"   # of a catalogue of your own".to_owned(),
        None => {
            let all = vocabulary.roles.keys().map(|r| quoted(r)).collect::<Vec<_>>().join(", ");
            format!(
                "# role = \"…\"   # cannot be guessed from the name; without one no requirement is checked: {all}"
            )
        }
    };
    let _ = write!(out, "\n[[node]]\nname = {}\n{shown}\n", quoted(name));
    if !vocabulary.site_types.is_empty() {
        let _ = writeln!(out, "# site = \"east\"");
    }
    let networks = role.and_then(|r| vocabulary.roles.get(r)).map(Vec::as_slice).unwrap_or_default();
    if networks.is_empty() {
        let _ = writeln!(out, "# address = [\"10.1.0.10\"]");
    }
    for network in networks {
        let _ = writeln!(out, "# {network} = [\"10.1.0.10\"]");
    }
    let _ = writeln!(out, "firewall = [{}]", list(paths));
    if let Some(network) = networks.first() {
        let _ = writeln!(out, "# interfaces = {{ eth0 = {} }}", quoted(network));
    }
}

// Whether the role stands in the name as a word of its own: `srn-east`, `east.srn2`.
fn mentions(name: &str, role: &str) -> bool {
    name.match_indices(role).any(|(at, _)| {
        let before = name[..at].chars().next_back();
        let after = name[at + role.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphabetic)
    })
}

/// Files by machine: those of one folder whose names differ only in what says the content.
fn group(found: &[Found]) -> BTreeMap<String, (FoundKind, Vec<String>)> {
    let mut by_place: BTreeMap<(String, String), (FoundKind, Vec<String>)> = BTreeMap::new();
    for f in found {
        let (folder, file) = f.path.rsplit_once('/').unwrap_or(("", &f.path));
        let mut stem = file;
        while let Some((head, tail)) = stem.rsplit_once('.') {
            if !SUFFIXES.contains(&tail.to_lowercase().as_str()) {
                break;
            }
            stem = head;
        }
        let own = if GENERIC.contains(&stem.to_lowercase().as_str()) {
            folder.rsplit('/').next().filter(|n| !n.is_empty()).unwrap_or(if stem.is_empty() {
                "host"
            } else {
                stem
            })
        } else {
            stem
        };
        let entry = by_place.entry((own.to_owned(), folder.to_owned())).or_insert((f.kind, Vec::new()));
        entry.1.push(f.path.clone());
    }
    let mut out: BTreeMap<String, (FoundKind, Vec<String>)> = BTreeMap::new();
    for ((name, folder), mut value) in by_place {
        value.1.sort();
        let mut unique = name.clone();
        if out.contains_key(&unique) {
            unique = format!("{}-{name}", folder.replace('/', "-"));
        }
        for n in 2.. {
            if !out.contains_key(&unique) {
                break;
            }
            unique = format!("{name}-{n}");
        }
        out.insert(unique, value);
    }
    out
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn list(paths: &[String]) -> String {
    // A file's name is taken as it is; where it has a sign that globs use, any sign may stand there.
    paths.iter().map(|p| quoted(&p.replace(['*', '[', ']', '{', '}'], "?"))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Severity, SourceFile};
    use std::path::Path;

    fn vocabulary() -> Vocabulary {
        let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        Vocabulary {
            roles: [("web".to_owned(), list(&["front", "back"])), ("web-cache".to_owned(), vec![])].into(),
            site_types: [("hill".to_owned(), vec![])].into(),
            phases: list(&["day", "night"]),
            ..Vocabulary::default()
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let found = |path: &str, kind| Found { path: path.to_owned(), kind };
        let text = first_file(
            &[
                found("hosts/web-1.v4.rules", FoundKind::Host),
                found("hosts/web-1.v6.rules", FoundKind::Host),
                found("hosts/east.web-cache.nft", FoundKind::Host),
                found("hosts/spider\"man.rules", FoundKind::Host),
                found("other/web-1.v4.rules", FoundKind::Host),
                found("edge/config.xml", FoundKind::Gateway),
                found("aws/security-groups.json", FoundKind::Cloud),
            ],
            &vocabulary(),
            "x-1",
        );
        let d = super::super::read(SourceFile::new("havenlint.toml", text.clone()), Path::new("."))
            .deployment(&vocabulary());
        let wrong: Vec<_> = d.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
        assert!(wrong.is_empty(), "{wrong:?}\n{text}");
        assert_eq!((&*d.catalogue, &*d.phase), ("x-1", "day"));
        let nodes: Vec<_> = d
            .nodes
            .iter()
            .map(|n| (&*n.name, &*n.role, n.firewall.iter().map(|p| &*p.text).collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            nodes,
            [
                ("east.web-cache", "web-cache", vec!["hosts/east.web-cache.nft"]),
                ("other-web-1", "web", vec!["other/web-1.v4.rules"]),
                ("spider\"man", "", vec!["hosts/spider\"man.rules"]),
                ("web-1", "web", vec!["hosts/web-1.v4.rules", "hosts/web-1.v6.rules"]),
            ]
        );
        assert_eq!((&*d.gateways[0].name, &*d.gateways[0].firewall[0].text), ("edge", "edge/config.xml"));
        assert!(text.contains("# firewall = [\"aws/security-groups.json\"]"), "{text}");
        assert!(text.contains("no requirement is checked: \"web\", \"web-cache\""), "{text}");
        // With its comments taken off, a block of a node whose role is filled in is complete, too.
        assert!(text.contains("# front = [\"10.1.0.10\"]\n# back = [\"10.1.0.10\"]\nfirewall = "), "{text}");
    }
}
