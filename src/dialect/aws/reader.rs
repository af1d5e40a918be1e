//! What the readers of every form share: the inventory that they fill, problems, places, and what nobody read.

use super::inventory::{AclEntry, Entry, Group, Inventory, Peer, Rules, Service, Unknown};
use super::value::{is_key, member, prefix, short, string};
use crate::source::json::{Kind, NoEffect, Value};
use crate::source::{Diagnostic, Origin};
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::ops::Range;

/// Reads values of one file into the inventory.
pub struct Reader<'r> {
    /// What is read so far, of all files.
    pub inventory: &'r mut Inventory,
    /// Problems.
    pub diagnostics: &'r mut Vec<Diagnostic>,
    /// Number of the file.
    pub file: usize,
    /// Its name.
    pub path: &'r str,
    /// Its text.
    pub text: &'r [u8],
    /// Values given for parameters of templates.
    pub parameters: &'r BTreeMap<String, String>,
    /// Places of repeated keys in it, ascending.
    pub duplicates: &'r [Range<usize>],
    /// Rules that stand apart from their groups.
    pub apart: Vec<Apart>,
    /// Entries that stand apart from their network ACL, with its id.
    pub acl_apart: Vec<(String, AclEntry)>,
    /// Subnets of network ACLs that stand apart, as (ACL, subnet).
    pub acl_subnets: Vec<(String, String)>,
}

/// A rule that stands apart from its group.
pub struct Apart {
    /// The group.
    pub group: String,
    /// For what goes out.
    pub egress: bool,
    /// The rule.
    pub entry: Entry,
    /// The list is all that the group has, unless the group is described itself.
    pub complete: bool,
}

static NO_PARAMETERS: BTreeMap<String, String> = BTreeMap::new();

impl<'r> Reader<'r> {
    /// A reader of one file.
    pub fn new(
        inventory: &'r mut Inventory,
        diagnostics: &'r mut Vec<Diagnostic>,
        file: usize,
        path: &'r str,
    ) -> Self {
        Self {
            inventory,
            diagnostics,
            file,
            path,
            text: &[],
            parameters: &NO_PARAMETERS,
            duplicates: &[],
            apart: Vec::new(),
            acl_apart: Vec::new(),
            acl_subnets: Vec::new(),
        }
    }
}

// More reasons to doubt everything than this are not worth keeping.
const MAX_DOUBTS: usize = 50;

impl Reader<'_> {
    /// Notes that a list goes on in another answer.
    pub fn goes_on(&mut self, token: Value<'_>) {
        token.settle();
        let origin = token.origin(self.file);
        self.inventory.cut.get_or_insert(origin);
        self.diagnostics
            .push(Diagnostic::warning(origin, "a NextToken: this dump is only a part of the answer").help(
                "write it out again without --no-paginate and --max-items, or give all pages together",
            ));
    }

    /// Reads each object of a list; anything else in it may be anything.
    pub fn each(&mut self, list: Value<'_>, name: &str, mut read: impl FnMut(&mut Self, Value<'_>)) {
        if list.is_null() {
            return;
        }
        if let Err(u) = self.expect_list(list, name) {
            list.settle();
            return self.doubt(u);
        }
        for item in list.items() {
            if item.kind() == Kind::Object {
                read(self, item);
            } else {
                let u = self.wrong(item, name, "an object");
                item.settle();
                // One group less is known; everything else that a list may hold has a say in more than itself.
                if name == "SecurityGroups" {
                    self.inventory.cut.get_or_insert(u.origin);
                } else {
                    self.doubt(u);
                }
            }
        }
    }

    /// Notes what may change anything that the files say.
    pub fn doubt(&mut self, u: Unknown) {
        if self.inventory.unknown.len() < MAX_DOUBTS {
            self.inventory.unknown.push(u);
        }
    }

    /// Reports an object that cannot be placed: it may change anything.
    pub fn nameless(&mut self, v: Value<'_>, what: &str) {
        let origin = v.origin(self.file);
        v.settle();
        self.diagnostics.push(
            Diagnostic::error(origin, what)
                .help("what it changes is not known, so everything here is undecided"),
        );
        let why = "what it belongs to is not known".to_owned();
        self.doubt(Unknown { text: what.to_owned(), why, origin });
    }

    /// The id of an object, which begins as the API's do.
    pub fn id(&self, v: Value<'_>, key: &str, begin: &str) -> Option<String> {
        string(v, key).filter(|id| id.starts_with(begin))
    }

    /// What nobody read of an object, with a problem for each: reasons why what the object says is not known for certain. Keys in
    /// `known` are without effect; the object is settled.
    pub fn leftovers(&mut self, v: Value<'_>, known: &[NoEffect]) -> Vec<Unknown> {
        let file = self.file;
        let found = v.unread(file, |keys, _| {
            keys.last().is_some_and(|k| NoEffect::of(known, |name| is_key(*k, name)).is_some())
        });
        let understood = |u: &crate::source::json::Unread| {
            let text = match u.path.as_str() {
                "" => short(&u.value),
                path => short(&format!("{path} = {}", u.value)),
            };
            let message = format!("`{text}` is not understood");
            let help =
                "what it may change is undecided: correct it, or give a version of havenlint that knows it";
            (
                Diagnostic::warning(u.origin, message).help(help),
                Unknown {
                    text,
                    why: "havenlint does not know this key, or not with this value".to_owned(),
                    origin: u.origin,
                },
            )
        };
        let (problems, unknown): (Vec<_>, Vec<_>) = found.iter().map(understood).unzip();
        self.diagnostics.extend(problems);
        unknown
    }

    /// As [`Reader::leftovers`] of something that the whole file depends on.
    pub fn doubt_leftovers(&mut self, v: Value<'_>, known: &[NoEffect]) {
        for u in self.leftovers(v, known) {
            self.doubt(u);
        }
    }

    /// Reports a value that is no list.
    pub fn expect_list(&mut self, list: Value<'_>, name: &str) -> Result<(), Unknown> {
        if list.kind() == Kind::Array {
            return Ok(());
        }
        let origin = list.origin(self.file);
        let message = format!("`{name}` is {}, a list is expected", list.kind().words());
        self.diagnostics.push(Diagnostic::error(origin, message));
        Err(Unknown {
            text: format!("{name} of this file"),
            why: format!("{} stands where a list is expected", list.kind().words()),
            origin,
        })
    }

    /// Reports an item of a list that is of a wrong kind.
    pub fn wrong(&mut self, item: Value<'_>, name: &str, expected: &str) -> Unknown {
        let origin = item.origin(self.file);
        let message = format!("an item of `{name}` is {}, {expected} is expected", item.kind().words());
        self.diagnostics.push(Diagnostic::error(origin, message));
        Unknown {
            text: format!("an item of {name}"),
            why: format!("it is {}, not {expected}", item.kind().words()),
            origin,
        }
    }

    /// The place of an object as people want to see it: the object itself on one line, otherwise the first of the members that it has.
    pub fn place(&self, v: Value<'_>, names: &[&str]) -> Origin {
        if memchr::memchr(b'\n', self.text.get(v.span()).unwrap_or_default()).is_none() {
            return v.origin(self.file);
        }
        let found = names.iter().find_map(|n| v.members().find(|(k, m)| is_key(*k, n) && !m.is_null()));
        match found {
            Some((key, value)) => Origin::new(self.file, key.span().start, value.span().end),
            None => v.origin(self.file),
        }
    }

    /// Why the rules inside an object cannot be relied on: it is cut, or repeats a key.
    pub fn unreliable(&self, v: Value<'_>) -> Option<Unknown> {
        let span = v.span();
        let origin = v.origin(self.file);
        if v.is_cut() {
            return Some(Unknown {
                text: "the rest of the object".to_owned(),
                why: "the file ends or breaks inside it".to_owned(),
                origin,
            });
        }
        let at = self.duplicates.partition_point(|d| d.start < span.start);
        let d = self.duplicates.get(at).filter(|d| d.end <= span.end)?;
        Some(Unknown {
            text: "which of two equal keys counts".to_owned(),
            why: "a key stands twice in one object".to_owned(),
            origin: Origin::new(self.file, d.start, d.end),
        })
    }

    /// Adds a described group. One that is described before, differently, keeps only what both say for certain.
    pub fn define(&mut self, new: Group) {
        let old = self.inventory.group_mut(&new.id, new.origin);
        if !old.described {
            *old = new;
            return;
        }
        let differ =
            merge(&mut old.ingress, new.ingress, new.origin) | merge(&mut old.egress, new.egress, new.origin);
        if differ {
            let message = format!("{} is described twice, with different rules", new.id);
            self.diagnostics.push(
                Diagnostic::warning(new.origin, message)
                    .help("give the dumps of one moment only; what one of them lacks is taken as undecided"),
            );
        }
    }

    /// Reports a service that is not understood.
    pub fn understood(&mut self, service: Service, v: Value<'_>) -> Service {
        if let Service::Unknown(text, why) = &service {
            let keys = ["ipprotocol", "protocol", "fromport", "toport"];
            v.members().filter(|(k, _)| keys.iter().any(|n| is_key(*k, n))).for_each(|(_, m)| m.settle());
            self.diagnostics.push(
                Diagnostic::warning(v.origin(self.file), format!("{text}: {why}"))
                    .help("what this rule lets through is undecided"),
            );
        }
        service
    }

    /// The peer of an entry that names a prefix: under one of the keys, or as a bare string.
    pub fn net(&mut self, item: Value<'_>, keys: &[&str], v6: bool) -> Peer {
        let found = keys.iter().find_map(|k| member(item, k)).unwrap_or(item);
        match found.str() {
            Some(t) => self.prefix(&t, found.origin(self.file), v6),
            None => self.no_peer(item, "an entry without a prefix"),
        }
    }

    /// A prefix of a family at a place.
    pub fn prefix(&mut self, text: &str, origin: Origin, v6: bool) -> Peer {
        let wrong = match prefix(text) {
            Ok((net, masked)) if net.addr().is_ipv6() == v6 => {
                if masked {
                    let mut d = Diagnostic::warning(origin, format!("{text} has host bits: it means {net}"));
                    if net.prefix_len() == 0 {
                        d = d.help("this is everything, not one network");
                    }
                    self.diagnostics.push(d);
                }
                return Peer::Net(net);
            }
            Ok(_) => "a prefix of the other address family",
            Err(why) => why,
        };
        let shown = format!("\"{}\"", short(text));
        let message = format!("{shown} is {wrong}");
        self.diagnostics.push(Diagnostic::error(origin, message).help("what it lets through is undecided"));
        Peer::Unknown(shown, format!("it is {wrong}"))
    }

    /// Reports that a peer is missing or no peer.
    pub fn no_peer(&mut self, item: Value<'_>, what: &str) -> Peer {
        item.settle();
        self.diagnostics.push(Diagnostic::error(item.origin(self.file), what));
        Peer::Unknown(short(&item.raw()), what.to_owned())
    }
}

// Joins two descriptions of the same rules; true if they differ. What only one of them has is uncertain.
fn merge(old: &mut Rules, new: Rules, origin: Origin) -> bool {
    let said = |entries: &[Entry]| -> FxHashSet<(Service, Peer)> {
        entries.iter().map(|e| (e.service.clone(), e.peer.clone())).collect()
    };
    let (mut of_old, of_new) = (said(&old.entries), said(&new.entries));
    let uncertain = |e: &mut Entry| {
        e.only_if.get_or_insert_with(|| Unknown {
            text: "which of two descriptions of the group is right".to_owned(),
            why: "the files describe the group twice, differently".to_owned(),
            origin,
        });
    };
    let mut differ = old.unknown.len() != new.unknown.len();
    for e in &mut old.entries {
        if !of_new.contains(&(e.service.clone(), e.peer.clone())) {
            uncertain(e);
            differ = true;
        }
    }
    for mut e in new.entries {
        if of_old.insert((e.service.clone(), e.peer.clone())) {
            uncertain(&mut e);
            old.entries.push(e);
            differ = true;
        }
    }
    old.unknown.extend(new.unknown);
    differ
}
