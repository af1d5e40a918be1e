//! Sets that rules name with `-m set`, as `ipset save` prints them and as scripts for `ipset restore` make them.
//!
//! Types and options: ipset(8). Semantics of lookups: `net/netfilter/ipset` of the kernel. How scripts run was measured with ipset 7.17.

mod element;
mod membership;
mod script;

pub(super) use membership::{CHANGES, Membership, Product, lookup};
pub(super) use script::is_script;

use crate::packet::{Family, Value};
use crate::source::{Diagnostic, SourceFile};
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// A dimension of a set's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dimension {
    Ip,
    Net,
    Port,
    Mac,
    Iface,
    /// Marks, and what later versions add.
    Other,
}

/// One dimension of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// From–to: addresses, hardware addresses, names of interfaces. A network is one prefix.
    Values(Value, Value),
    /// A protocol, and its ports (or ICMP types) from–to; `None` = all packets of the protocol.
    Port(u8, Option<(u16, u16)>),
}

/// What an element is beside its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Traits {
    /// An exception from wider elements.
    pub nomatch: bool,
    /// It goes by itself after some time.
    pub passing: bool,
    /// The interface is the port of a bridge.
    pub physdev: bool,
    /// It was taken out again.
    deleted: bool,
}

/// An element as it lies in its set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    /// One for each dimension.
    pub parts: &'a [Part],
    pub traits: Traits,
}

/// A set.
#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    /// Its type: `hash:net,iface`.
    kind: &'static str,
    pub dimensions: Vec<Dimension>,
    /// Not for sets of ports and hardware addresses, which serve both families.
    pub family: Option<Family>,
    // The parts of one element after those of another.
    parts: Vec<Part>,
    traits: Vec<Traits>,
    // By hash of the parts, where they are more than a few.
    index: FxHashMap<u64, u32>,
    /// `list:set`: names of its members.
    pub members: Vec<String>,
    /// Elements come and go by themselves or by rules.
    pub grows: bool,
    /// Why its contents are not known.
    pub unknown: Option<&'static str>,
    netmask: Option<u8>,
    /// Elements live so many seconds unless they say otherwise; `None` = no time limits.
    timeout: Option<u64>,
    // How many elements are ranges that ipset keeps as many elements.
    ranges: u32,
    // Some element is an exception.
    except: bool,
}

impl Set {
    /// The elements that it holds.
    pub(super) fn elements(&self) -> impl Iterator<Item = Element<'_>> {
        let elements = self.parts.chunks_exact(self.dimensions.len().max(1)).zip(&self.traits);
        elements.filter(|(_, t)| !t.deleted).map(|(parts, traits)| Element { parts, traits: *traits })
    }

    /// Whether it is a `list:set`.
    pub(super) fn is_list(&self) -> bool {
        self.kind == "list:set"
    }

    // Where an element with just these parts lies.
    fn find(&self, parts: &[Part]) -> Option<usize> {
        let key = self.key(parts);
        let is = |at: &usize| {
            let found = self.parts.get(self.place(*at));
            found.is_some_and(|f| f.starts_with(key)) && !self.traits[*at].deleted
        };
        if self.index.is_empty() {
            return (0..self.traits.len()).find(is);
        }
        self.index.get(&hash(key)).map(|at| *at as usize).filter(is)
    }

    fn place(&self, at: usize) -> Range<usize> {
        let width = self.dimensions.len();
        at * width..(at + 1) * width
    }

    // What tells an element from others: `bitmap:ip,mac` has one hardware address for each address (ip_set_bitmap_ipmac.c).
    fn key<'p>(&self, parts: &'p [Part]) -> &'p [Part] {
        if self.kind == "bitmap:ip,mac" { parts.get(..1).unwrap_or(parts) } else { parts }
    }

    // An element that is added again.
    fn replace(&mut self, at: usize, parts: &[Part], traits: Traits) {
        let place = self.place(at);
        if let Some(old) = self.parts.get_mut(place) {
            old.iter_mut().zip(parts).for_each(|(old, new)| *old = *new);
        }
        self.traits[at] = traits;
    }

    fn insert(&mut self, parts: &[Part], traits: Traits) {
        // There may be very many sets, most of them small.
        let (first, new) = if self.index.is_empty() {
            (0, self.traits.len())
        } else {
            (self.traits.len(), self.traits.len())
        };
        self.parts.extend_from_slice(parts);
        self.traits.push(traits);
        if new >= FEW {
            for at in first..=new {
                let key = self.parts.get(self.place(at)).map(|p| hash(self.key(p)));
                self.index.extend(key.map(|key| (key, at as u32)));
            }
        }
    }

    fn clear(&mut self) {
        self.parts.clear();
        self.traits.clear();
        self.index.clear();
        self.members.clear();
    }

    // Says why the contents are not known, unless that is known already.
    fn doubt(&mut self, why: &'static str) {
        self.unknown = self.unknown.or(Some(why));
    }

    fn same(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.family == other.family
            && self.netmask == other.netmask
            && self.unknown == other.unknown
            && self.members == other.members
            && self.elements().map(|e| (e.parts, e.traits)).eq(other.elements().map(|e| (e.parts, e.traits)))
    }
}

fn hash(parts: &[Part]) -> u64 {
    let mut h = FxHasher::default();
    parts.hash(&mut h);
    h.finish()
}

/// Sets by their names. Boxed: a table has room for more than it holds.
pub(super) type ByName = FxHashMap<String, Box<Set>>;

/// All sets of the companions, by name.
#[derive(Debug, Default)]
pub(super) struct Sets {
    by_name: ByName,
    /// What is wrong with the companions.
    pub diagnostics: Vec<Diagnostic>,
}

// So many elements are looked through one by one.
const FEW: usize = 8;

// As many diagnostics of companions are kept.
const MAX_DIAGNOSTICS: usize = 50;

impl Sets {
    /// Reads the companions of a dump. Sets that the dump's own rules change are marked.
    pub(super) fn read(companions: &[Arc<SourceFile>], dump: &[u8]) -> Self {
        let mut sets = Self::default();
        for (i, file) in companions.iter().enumerate() {
            if is_script(file.bytes()) {
                let own = script::run(i + 1, file.bytes(), &mut sets.diagnostics);
                sets.diagnostics.truncate(MAX_DIAGNOSTICS);
                sets.merge(own);
            }
        }
        sets.changed_by(dump);
        sets
    }

    /// The set with a name.
    pub(super) fn get(&self, name: &str) -> Option<&Set> {
        self.by_name.get(name).map(|set| &**set)
    }

    /// The family that rules with the set are of: neither program takes a set of the other's addresses.
    pub(super) fn family(&self, name: &str) -> Option<Family> {
        self.get(name)?.family
    }

    // Another file's sets of the same name are another box's, perhaps.
    fn merge(&mut self, own: ByName) {
        for (name, mut set) in own {
            set.index = FxHashMap::default();
            match self.by_name.get_mut(&name) {
                Some(other) if !other.same(&set) => {
                    other.unknown = Some("several files hold a set of this name, and they differ");
                }
                Some(_) => {}
                None => {
                    self.by_name.insert(name, set);
                }
            }
        }
    }

    // `-j SET --add-set NAME` and `--del-set NAME`.
    fn changed_by(&mut self, dump: &[u8]) {
        if self.by_name.is_empty() {
            return;
        }
        for (option, removes) in [(&b"--add-set"[..], false), (b"--del-set", true)] {
            for at in memchr::memmem::find_iter(dump, option) {
                let rest = dump[at + option.len()..].trim_ascii_start();
                let rest = rest.strip_prefix(b"=").unwrap_or(rest);
                let end = rest.iter().position(|b| b.is_ascii_whitespace()).unwrap_or(rest.len());
                let name = String::from_utf8_lossy(&rest[..end]);
                if let Some(set) = self.by_name.get_mut(name.trim_matches('"')) {
                    set.grows = true;
                    if removes {
                        set.doubt("rules take elements out of the set");
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
