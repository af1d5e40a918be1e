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
use crate::source::json::Document;
use crate::source::{Origin, SourceFile};
use memchr::memmem;
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

    fn names_others(&self, content: &[u8]) -> bool {
        memmem::find(content, b"include").is_some()
    }

    fn read(&self, files: &[Arc<SourceFile>], options: &ReadOptions) -> Firewall {
        let Some(file) = files.first() else {
            return Builder::new("nftables", Vec::new(), &[]).finish();
        };
        let json = match options.variant {
            Some(variant) => variant == "nftables-json",
            None => is_json(file.bytes()),
        };
        if json { read_json(file) } else { read_text(file, options) }
    }

    fn suggest(&self, firewall: &Firewall, missing: &Missing<'_>) -> Option<Suggestion> {
        suggest::suggest(firewall, missing)
    }

    fn lines(&self, firewall: &Firewall, rule: Origin) -> Option<WholeLines> {
        if firewall.dialect != "nftables" || !suggest::alone(firewall, rule) {
            return None;
        }
        WholeLines::around(firewall, rule).map(|(lines, ..)| lines)
    }
}

fn read_text(file: &Arc<SourceFile>, options: &ReadOptions) -> Firewall {
    let loaded = load::load(file, &options.edited, &options.includes);
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
    if let Some(interpreter) = head.strip_prefix("#!") {
        let line = interpreter.lines().next().unwrap_or_default();
        if line.split(['/', ' ', '\t', '\r']).any(|w| w == "nft") {
            return true;
        }
    }
    let words = head.lines().map(|l| l.split('#').next().unwrap_or_default());
    let words = words.flat_map(|l| l.split([' ', '\t', '\r', ';'])).filter(|w| !w.is_empty());
    let [first, second, third] = first_three(words);
    const FAMILIES: [&str; 6] = ["ip", "ip6", "inet", "arp", "bridge", "netdev"];
    const OBJECTS: [&str; 10] =
        ["table", "chain", "rule", "set", "map", "element", "ruleset", "counter", "flowtable", "quota"];
    match first {
        "table" => FAMILIES.contains(&second) || third.starts_with('{') || second.ends_with('{'),
        "flush" | "add" | "create" | "insert" | "delete" | "destroy" | "list" => OBJECTS.contains(&second),
        "define" | "redefine" => third.starts_with('=') || second.contains('='),
        "include" => second.starts_with('"'),
        _ => false,
    }
}

fn first_three<'a>(mut words: impl Iterator<Item = &'a str>) -> [&'a str; 3] {
    [(); 3].map(|()| words.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::is_text;

    #[test]
    fn nft_text_is_recognised() {
        for text in [
            "flush ruleset;\n\ntable inet filter {\n}\n",
            "flush ruleset ; table inet filter { }",
            "flush ruleset\r\n",
            "#!/usr/sbin/nft -f\n",
            "#! /sbin/nft -f\n",
            "#!/usr/bin/env -S nft -f\n",
            "#!\t/usr/sbin/nft\t-f\n",
            "#!nft -f\n",
            "#!/bin/cat\ntable ip x {\n",
            "define wan=eth0\n",
            "# by hand\n\n\tadd table inet x; add chain inet x y\n",
            "table x {\n",
        ] {
            assert!(is_text(text.as_bytes()), "{text}");
        }
        for text in
            ["#!/bin/sh\nnft add table x\n", "table of contents\n", "flush the pipes\n", "*filter\n", ""]
        {
            assert!(!is_text(text.as_bytes()), "{text}");
        }
    }
}
