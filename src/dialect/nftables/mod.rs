//! nftables: rulesets as text and as JSON (nft(8), libnftables-json(5)).
//!
//! Reading takes two steps. [`load`] follows commands and blocks and leaves a [`ruleset::Ruleset`], in which rules and elements are only
//! delimited; [`lower`] then reads rule after rule into a small tree ([`syntax`]) and lowers it at once, so that a rule may name sets and
//! chains declared below it and a large ruleset never exists as a tree.
//!
//! What the kernel does that the words do not say:
//!
//! * Header fields imply their protocol or family, also under `!=`.
//! * `ct state a,b` asks for any of them; `!= a,b` compares the value, and always holds.
//! * Of base chains with one priority the one added last runs first.
//! * Before priority −200 of prerouting and output no packet has a connection.

mod cursor;
mod datatype;
pub mod element;
pub mod facts;
mod json;
mod lexer;
mod load;
mod lower;
mod parse;
mod ruleset;
mod scope;
mod selector;
mod show;
mod suggest;
mod symbols;
mod syntax;
mod v4;

use super::{Dialect, Missing, ReadOptions, Role, Suggestion, WholeLines};
use crate::model::{Builder, Firewall};
use crate::source::discover::Edited;
use crate::source::json::Document;
use crate::source::{Origin, SourceFile};
use std::cell::Cell;
use std::sync::Arc;

/// The dialects `nftables` and `nftables-json`.
pub struct Nftables;

impl Dialect for Nftables {
    fn names(&self) -> &'static [&'static str] {
        &["nftables", "nftables-json"]
    }

    fn detect(&self, content: &[u8]) -> Option<Role> {
        (is_json(content) || is_text(content)).then_some(Role::Rules)
    }

    fn read(&self, files: &[Arc<SourceFile>], options: &ReadOptions) -> Firewall {
        let Some(file) = files.first() else {
            return Builder::new("nftables", Vec::new(), &[]).finish();
        };
        let json = match options.variant {
            Some(variant) => variant == "nftables-json",
            None => is_json(file.bytes()),
        };
        if json { read_json(file) } else { read_text(file, &options.edited) }
    }

    fn suggest(&self, firewall: &Firewall, missing: &Missing<'_>) -> Option<Suggestion> {
        suggest::suggest(firewall, missing)
    }

    fn lines(&self, firewall: &Firewall, rule: Origin) -> Option<WholeLines> {
        let lines = WholeLines::around(firewall, rule)?.0;
        (firewall.dialect == "nftables" && suggest::alone(firewall, rule)).then_some(lines)
    }
}

fn read_text(file: &Arc<SourceFile>, edited: &Arc<Edited>) -> Firewall {
    let loaded = load::load(file, edited);
    let expansions = Cell::new(0);
    let snippets = json::Snippets::default();
    let files = loaded.files.clone();
    lower::lower(lower::Input {
        dialect: "nftables",
        files: loaded.files,
        context: parse::Context { files: &files, scopes: &loaded.scopes, expansions: &expansions },
        snippets: &snippets,
        ruleset: &loaded.ruleset,
        diagnostics: loaded.diagnostics,
        lost: loaded.lost,
    })
}

fn read_json(file: &Arc<SourceFile>) -> Firewall {
    let document = Document::parse(file.bytes());
    let (ruleset, snippets, diagnostics, lost) = json::load(&document);
    let (scopes, expansions) = (scope::Scopes::new(), Cell::new(0));
    let files: Vec<_> = std::iter::once(file).chain(&snippets.files).map(Arc::clone).collect();
    lower::lower(lower::Input {
        dialect: "nftables-json",
        files: vec![Arc::clone(file)],
        context: parse::Context { files: &files, scopes: &scopes, expansions: &expansions },
        snippets: &snippets,
        ruleset: &ruleset,
        diagnostics,
        lost,
    })
}

// `{"nftables": [`.
fn is_json(content: &[u8]) -> bool {
    let head = &content[..content.len().min(4096)];
    let text: Vec<u8> = head.iter().copied().filter(|b| !b.is_ascii_whitespace()).take(12).collect();
    text.starts_with(b"{\"nftables\"")
}

// The first words of a file of nft text: an interpreter line that names nft, or a command with its object.
fn is_text(content: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&content[..content.len().min(65_536)]);
    if head.starts_with("#!") {
        return head.lines().next().is_some_and(|l| l.split(['/', ' ']).any(|w| w == "nft"));
    }
    let mut words =
        head.lines().map(|l| l.split('#').next().unwrap_or_default()).flat_map(str::split_whitespace).take(4);
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let third = words.next().unwrap_or_default();
    const FAMILIES: [&str; 6] = ["ip", "ip6", "inet", "arp", "bridge", "netdev"];
    const OBJECTS: [&str; 9] =
        ["table", "chain", "rule", "set", "map", "element", "ruleset", "counter", "flowtable"];
    match first {
        "table" => FAMILIES.contains(&second) || third.starts_with('{') || second.ends_with('{'),
        "flush" | "add" | "create" | "insert" | "delete" | "destroy" | "list" => OBJECTS.contains(&second),
        "define" => third.starts_with('=') || second.ends_with('='),
        "include" => second.starts_with('"'),
        _ => false,
    }
}
