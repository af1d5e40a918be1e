//! A ruleset as commands leave it: tables with their chains, sets and objects. Rules and elements are not read yet: a rule may name
//! a set that is declared further down.

use super::scope::{Body, ScopeId};
use crate::source::Origin;
use crate::source::json::Value;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;

/// Where a rule, an element list or a type stands, not yet read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'d> {
    /// In nft text.
    Text(Body),
    /// In JSON: value and number of the file.
    Json(Value<'d>, u32),
}

impl Source<'_> {
    /// Its place.
    pub(super) fn at(&self) -> Origin {
        match self {
            Source::Text(b) => b.at,
            Source::Json(v, file) => v.origin(*file as usize),
        }
    }
}

/// Family of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum TableFamily {
    Ip,
    Ip6,
    Inet,
    Arp,
    Bridge,
    Netdev,
}

impl TableFamily {
    /// The family with a name.
    pub(super) fn named(word: &str) -> Option<Self> {
        Some(match word {
            "ip" => Self::Ip,
            "ip6" => Self::Ip6,
            "inet" => Self::Inet,
            "arp" => Self::Arp,
            "bridge" => Self::Bridge,
            "netdev" => Self::Netdev,
            _ => return None,
        })
    }

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
            Self::Arp => "arp",
            Self::Bridge => "bridge",
            Self::Netdev => "netdev",
        }
    }

    /// Whether its chains see IP packets at the hooks of the model.
    pub(super) const fn sees_ip(self) -> bool {
        matches!(self, Self::Ip | Self::Ip6 | Self::Inet | Self::Netdev)
    }
}

/// All tables.
#[derive(Debug, Default)]
pub(super) struct Ruleset<'d> {
    /// In order of creation; deleted ones are gone.
    pub(super) tables: Vec<Table<'d>>,
    /// Sets that variables name: any table's rules may mean them.
    pub(super) named_by_variables: FxHashSet<String>,
    /// Comments of rules that are no part of the rules' own text and say something to havenlint.
    pub(super) comments: Vec<(Origin, String)>,
    // Counts chains, for the order of those with one priority.
    born: u32,
}

/// A table.
#[derive(Debug)]
pub(super) struct Table<'d> {
    pub(super) family: TableFamily,
    pub(super) name: String,
    pub(super) at: Origin,
    /// Switched off.
    pub(super) dormant: bool,
    pub(super) chains: Vec<Chain<'d>>,
    pub(super) sets: Vec<SetDeclaration<'d>>,
    pub(super) flowtables: Vec<Flowtable>,
    /// Named limits and quotas: whether they are `over`, by kind and name.
    pub(super) objects: FxHashMap<(&'static str, String), bool>,
    chain_index: FxHashMap<String, usize>,
    set_index: FxHashMap<String, usize>,
    /// Sets that rules change, with whether some rule removes elements.
    pub(super) changed: FxHashMap<String, bool>,
    /// Names behind an `@` in its rules: sets, maps, flowtables.
    pub(super) named: FxHashSet<String>,
}

/// A chain.
#[derive(Debug)]
pub(super) struct Chain<'d> {
    pub(super) name: String,
    pub(super) at: Origin,
    pub(super) base: Option<Base>,
    /// The devices that it is bound to, at `ingress` and `egress`.
    pub(super) devices: Devices,
    /// Every statement of a policy: whether it is drop, and where.
    pub(super) policies: Vec<(bool, Origin)>,
    pub(super) rules: VecDeque<Source<'d>>,
    /// Order of creation among all chains.
    pub(super) born: u32,
}

/// How a base chain is registered.
#[derive(Debug, Clone)]
pub(super) struct Base {
    /// `filter`, `nat` or `route`.
    pub(super) kind: String,
    /// Hook as written.
    pub(super) hook: String,
    pub(super) priority: i32,
    pub(super) at: Origin,
}

/// Devices that a base chain or a flowtable is bound to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Devices {
    /// Their names; `eth*` stands for several.
    pub(super) names: Vec<String>,
    /// There may be others, which the ruleset does not tell.
    pub(super) unknown: bool,
}

/// A flowtable: connections that a rule adds to it pass by everything that stands between the device and the device.
#[derive(Debug, Clone)]
pub(super) struct Flowtable {
    pub(super) name: String,
    pub(super) at: Origin,
    /// Among the chains at `ingress`; `None` = not told.
    pub(super) priority: Option<i32>,
    pub(super) devices: Devices,
}

/// What a set's keys or a map's values are.
#[derive(Debug, Clone)]
pub(super) enum TypeSpec<'d> {
    /// `type ipv4_addr . inet_service`.
    Names(Vec<String>),
    /// `typeof ip saddr . tcp dport`.
    Like(Source<'d>),
}

/// A named set or map.
#[derive(Debug)]
pub(super) struct SetDeclaration<'d> {
    pub(super) name: String,
    pub(super) at: Origin,
    /// The block in which it is declared; `None` in JSON.
    pub(super) scope: Option<ScopeId>,
    pub(super) is_map: bool,
    pub(super) key: Option<TypeSpec<'d>>,
    pub(super) value: Option<TypeSpec<'d>>,
    /// Elements are added at run time.
    pub(super) dynamic: bool,
    /// Elements expire unless they say otherwise.
    pub(super) expires: bool,
    /// Nothing is added or taken away at run time (`flags constant`).
    pub(super) constant: bool,
    /// Holds intervals (`flags interval`).
    pub(super) interval: bool,
    /// Intervals that overlap become one (`auto-merge`).
    pub(super) merges: bool,
    /// A part of it could not be read.
    pub(super) broken: bool,
    /// Elements may carry a time.
    pub(super) timeouts: bool,
    /// Changes in order: whether added, and what.
    pub(super) changes: Vec<(bool, Source<'d>)>,
}

impl Devices {
    /// Adds others.
    pub(super) fn add(&mut self, more: Devices) {
        self.unknown |= more.unknown;
        for name in more.names {
            if !self.names.contains(&name) {
                self.names.push(name);
            }
        }
    }
}

impl<'d> Ruleset<'d> {
    /// The table, made if it is not there.
    pub(super) fn table(&mut self, family: TableFamily, name: &str, at: Origin) -> &mut Table<'d> {
        let i = self.table_index(family, name, at);
        &mut self.tables[i]
    }

    /// Index of the table, made if it is not there.
    pub(super) fn table_index(&mut self, family: TableFamily, name: &str, at: Origin) -> usize {
        if let Some(i) = self.find(family, name) {
            return i;
        }
        self.tables.push(Table {
            family,
            name: name.to_owned(),
            at,
            dormant: false,
            chains: Vec::new(),
            sets: Vec::new(),
            flowtables: Vec::new(),
            objects: FxHashMap::default(),
            chain_index: FxHashMap::default(),
            set_index: FxHashMap::default(),
            changed: FxHashMap::default(),
            named: FxHashSet::default(),
        });
        self.tables.len() - 1
    }

    /// Index of a table.
    pub(super) fn find(&self, family: TableFamily, name: &str) -> Option<usize> {
        self.tables.iter().rposition(|t| t.family == family && t.name == name)
    }

    /// The chain of a table, made if it is not there: indices of both.
    pub(super) fn chain(
        &mut self,
        family: TableFamily,
        table: &str,
        name: &str,
        at: Origin,
    ) -> (usize, usize) {
        self.born += 1;
        let born = self.born;
        let t = self.table_index(family, table, at);
        let table = &mut self.tables[t];
        let c = table.chain(name).unwrap_or_else(|| table.add_chain(name, at, born));
        (t, c)
    }

    /// Removes tables.
    pub(super) fn flush(&mut self, family: Option<TableFamily>) {
        self.tables.retain(|t| family.is_some_and(|f| f != t.family));
    }
}

impl<'d> Table<'d> {
    /// Index of a chain.
    pub(super) fn chain(&self, name: &str) -> Option<usize> {
        self.chain_index.get(name).copied()
    }

    fn add_chain(&mut self, name: &str, at: Origin, born: u32) -> usize {
        let i = self.chains.len();
        self.chains.push(Chain {
            name: name.to_owned(),
            at,
            base: None,
            devices: Devices::default(),
            policies: Vec::new(),
            rules: VecDeque::new(),
            born,
        });
        self.chain_index.insert(name.to_owned(), i);
        i
    }

    /// Removes a chain; false if it is not there.
    pub(super) fn remove_chain(&mut self, name: &str) -> bool {
        let Some(i) = self.chain(name) else {
            return false;
        };
        self.chains.remove(i);
        self.chain_index = self.chains.iter().enumerate().map(|(i, c)| (c.name.clone(), i)).collect();
        true
    }

    /// Gives a chain another name; false if it is not there.
    pub(super) fn rename_chain(&mut self, old: &str, new: &str) -> bool {
        let Some(i) = self.chain_index.remove(old) else {
            return false;
        };
        self.chains[i].name = new.to_owned();
        self.chain_index.insert(new.to_owned(), i);
        true
    }

    /// Index of a set or map.
    pub(super) fn set(&self, name: &str) -> Option<usize> {
        self.set_index.get(name).copied()
    }

    /// The set or map, made if it is not there.
    pub(super) fn declare_set(&mut self, name: &str, is_map: bool, at: Origin) -> &mut SetDeclaration<'d> {
        let i = match self.set(name) {
            Some(i) => i,
            None => {
                self.sets.push(SetDeclaration {
                    name: name.to_owned(),
                    at,
                    scope: None,
                    is_map,
                    key: None,
                    value: None,
                    dynamic: false,
                    expires: false,
                    constant: false,
                    interval: false,
                    merges: false,
                    broken: false,
                    timeouts: false,
                    changes: Vec::new(),
                });
                self.set_index.insert(name.to_owned(), self.sets.len() - 1);
                self.sets.len() - 1
            }
        };
        &mut self.sets[i]
    }

    /// Notes a named object; limits and quotas with whether they are `over`.
    pub(super) fn declare_object(&mut self, kind: &str, name: &str, over: bool) {
        let kind = match kind {
            "limit" => "limit",
            "quota" => "quota",
            _ => return,
        };
        self.objects.insert((kind, name.to_owned()), over);
    }

    /// Declares a flowtable, or adds devices to it.
    pub(super) fn declare_flowtable(&mut self, new: Flowtable) {
        match self.flowtables.iter_mut().find(|f| f.name == new.name) {
            None => self.flowtables.push(new),
            Some(old) => {
                old.priority = new.priority.or(old.priority);
                old.devices.add(new.devices);
            }
        }
    }

    /// Removes a set; false if it is not there.
    pub(super) fn remove_set(&mut self, name: &str) -> bool {
        let Some(i) = self.set(name) else {
            return false;
        };
        self.sets.remove(i);
        self.set_index = self.sets.iter().enumerate().map(|(i, s)| (s.name.clone(), i)).collect();
        true
    }
}

/// The number of a priority's name (nft(8), "Chains"; bridge tables have their own, and netdev and arp tables only one).
pub(super) fn priority_named(word: &str, family: TableFamily) -> Option<i32> {
    if family == TableFamily::Bridge {
        return Some(match word {
            "dstnat" => -300,
            "filter" => -200,
            "out" => 100,
            "srcnat" => 300,
            _ => return None,
        });
    }
    if matches!(family, TableFamily::Netdev | TableFamily::Arp) {
        return (word == "filter").then_some(0);
    }
    Some(match word {
        "raw" => -300,
        "mangle" => -150,
        "dstnat" => -100,
        "filter" => 0,
        "security" => 50,
        "srcnat" => 100,
        _ => return None,
    })
}
