//! pfSense and OPNsense: a `config.xml`, and the whole pf ruleset that the box generates from it.
//!
//! The configuration is not a list of rules but what rules are made from. So the generator's work is done again: the
//! document ([`xml`]) is read with its oddities; interfaces, aliases and schedules are resolved; rules are generated in pfSense's order,
//! those that nobody wrote ([`system`]) around those of users ([`user`]), with their quick flags; and pf's "last match wins" is
//! [lowered](lower) to the model's first match. What only the running box knows becomes a condition with its reason. A configuration that pf would
//! refuse to load leaves the box undecided: the rules loaded before stay in force there.
//!
//! Interfaces are named by their keys in the file: `lan`, `wan`, `opt1`; `lo0`, `enc0` and tunnels by their devices.
//!
//! Facts come from pfSense's `filter.inc` and the files it uses, of 2.4.5 to 2.8, and from pf.conf(5).

mod address;
mod aliases;
mod built_in;
pub mod facts;
mod forward;
mod icmp;
mod interfaces;
mod lower;
mod names;
mod nat;
mod nat_outbound;
mod nat_parts;
mod nat_static;
mod opnsense;
mod opnsense_nat;
mod opnsense_system;
mod pf;
mod product;
mod reach;
mod read;
mod release;
mod routes;
mod schedule;
mod settle;
mod shadow;
mod silent;
mod suggest;
mod system;
mod unwritten;
mod user;
mod xml;

use super::{Dialect, Missing, ReadOptions, Role, Suggestion, WholeLines};
use crate::model::Firewall;
use crate::source::{Origin, SourceFile};
use std::sync::Arc;

/// The dialect.
pub struct Pfsense;

impl Dialect for Pfsense {
    fn names(&self) -> &'static [&'static str] {
        &["pfsense", "opnsense"]
    }

    fn detect(&self, content: &[u8]) -> Option<Role> {
        root_name(content).and_then(variant).map(|_| Role::Rules)
    }

    fn read(&self, files: &[Arc<SourceFile>], options: &ReadOptions) -> Firewall {
        read::firewall(files, options)
    }

    fn suggest(&self, firewall: &Firewall, missing: &Missing<'_>) -> Option<Suggestion> {
        suggest::suggest(firewall, missing)
    }

    fn lines(&self, firewall: &Firewall, rule: Origin) -> Option<WholeLines> {
        let (lines, before, behind) = WholeLines::around(firewall, rule)?;
        let blank = |text: &[u8]| text.iter().all(u8::is_ascii_whitespace);
        (blank(before) && blank(behind)).then_some(lines)
    }
}

// The dialect of a root element.
fn variant(root: &[u8]) -> Option<&'static str> {
    Pfsense.names().iter().find(|n| root.eq_ignore_ascii_case(n.as_bytes())).copied()
}

// The name of the first element, past what may stand before it.
fn root_name(content: &[u8]) -> Option<&[u8]> {
    let mut rest = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    loop {
        rest = rest.trim_ascii_start();
        let end: &[u8] = match rest {
            [b'<', b'?', ..] => b"?>",
            [b'<', b'!', b'-', b'-', ..] => b"-->",
            [b'<', b'!', ..] if memchr::memchr(b'[', &rest[..memchr::memchr(b'>', rest)?]).is_some() => b"]>",
            [b'<', b'!', ..] => b">",
            [b'<', name @ ..] => {
                let length = name.iter().position(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'));
                return Some(&name[..length.unwrap_or(name.len())]);
            }
            _ => return None,
        };
        rest = &rest[memchr::memmem::find(rest, end)? + end.len()..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_by_the_root_element() {
        for (text, role) in [
            ("<?xml version=\"1.0\"?>\n<!-- saved -->\n<pfsense>", Some(Role::Rules)),
            ("\u{feff}<OPNsense/>", Some(Role::Rules)),
            ("<!DOCTYPE pfsense [<!ENTITY a \"<b>\">]><pfsense>", Some(Role::Rules)),
            ("<m0n0wall>", None),
            ("*filter\n", None),
            ("<?xml", None),
            ("<pfsensei>", None),
            ("", None),
        ] {
            assert_eq!(Pfsense.detect(text.as_bytes()), role, "{text}");
        }
    }
}
