//! One packet-filter model for all dialects.
//!
//! A [`Firewall`] is what one set of files makes one box (or one network interface in a cloud) enforce. Each packet
//! takes a [`Path`](crate::packet::Path); on it lie [`Hook`]s; each hook has base chains in order of priority. A packet passes when every base
//! chain of every hook on its way accepts it. A drop is final anywhere; an accept ends only its base chain.
//!
//! # Semantics
//!
//! * A chain is an ordered list of rules. A rule applies when all of its [`Term`]s hold; then its [`Effect`]s take
//!   place, then its [`Action`]. A rule that does not apply is passed over.
//! * A term about a field that the packet does not have (ports of ICMP, TCP flags of UDP) does not hold, whatever set it names.
//!   A negated match is written as the complement set, so an implied protocol stays positive.
//! * `Return`, and the end of a chain, go on after the rule that jumped here. `Goto` replaces the current chain: its end returns to
//!   the last *jumper*. In a base chain both mean the chain's policy.
//! * A nat chain ([`ChainKind::Nat`]) is consulted only for packets that open a connection (state new or related), and
//!   only until one of them translates.
//! * [`Effect::Untrack`] changes the packet's state to untracked from there on. If a packet is accepted untracked, no
//!   state is made: its answers are judged as packets without a connection.
//! * Anything not understood is a [`Condition`]: an unknown truth value ([`Term::Opaque`]) or an unknown verdict ([`Action::Unknown`]). After the
//!   latter nobody knows what the registers hold, and in a nat chain it may have translated.
//!
//! # How each dialect lowers to it
//!
//! * **iptables**: one base chain for each built-in chain, priorities as the kernel registers them (raw −300, mangle −150, nat −100/100,
//!   filter 0, security 50); user chains as they are. IPv4 and IPv6 dumps are two firewalls of one box, each with its [`Firewall::families`].
//! * **nftables**: base chains with their own hook, priority, policy and families; a set is one pooled interval set; a map of verdicts is a
//!   synthetic chain of one rule an element, reached by jump and left by goto. A chain of a device is a base chain at
//!   [`Hook::DeviceIngress`] or [`Hook::DeviceEgress`] whose first rule accepts what is not of its devices. `bridge` chains that drop, and
//!   whatever else stands before IP, are conditional drops there.
//! * **pf** (pfSense): filter rules form two base chains, at prerouting (`in`) and postrouting (`out`); last match wins,
//!   so quick rules come first in their order and the others follow in reverse order, then the default, all as first match (a quick rule below a
//!   non-quick one keeps its precedence because both lists are complete). Translations are nat chains before them. `keep state` is an implicit first
//!   rule that accepts established packets; `no state` is [`Effect::Untrack`]. `rdr pass` and `tag` write [`Register::Tag`].
//! * **Security groups**: base chains at ingress and egress; first rule accepts established packets (they are stateful); then one jump for each
//!   group, guarded by [`Term::Label`] (the groups attached to the interface); each group is a chain of accepts; policy drop.
//!   Network ACLs are one more base chain there, without the stateful rule.

mod build;
mod condition;
mod crowd;
pub mod display;
mod graph;
mod pool;
mod routes;
mod run_time;
mod runs;
pub mod same;
mod translation;

pub use build::{Builder, ChainRef};
pub use condition::{Condition, ConditionKind};
pub use crowd::{Crowd, Place};
pub use pool::{SetId, SetPool};
pub use routes::{Next, Route, Routes, ToldRoutes};
pub use rule::{Action, AddressTypes, BitsId, Effect, MaskId, Register, Rule, Term, TermRange};
pub use run_time::RunTimeSet;
pub use runs::Run;
pub use translation::{TranslatedEnd, Translation};

use crate::packet::{Family, Field, IntervalSet, Packet, Value};
use crate::source::{Diagnostic, Location, Origin, RuleName, SourceFile, locate};
use rustc_hash::{FxHashMap, FxHashSet};
use std::any::Any;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

macro_rules! id {
    ($(#[$doc:meta] $name:ident),* $(,)?) => { $(
        #[$doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);
        impl $name {
            /// As an index.
            pub const fn index(self) -> usize { self.0 as usize }
        }
    )* };
}

id! {
    /// Index into [`Firewall::chains`].
    ChainId,
    /// Index into [`Firewall::conditions`].
    ConditionId,
    /// Index into [`Firewall::alternatives`].
    AlternativesId,
    /// Index into [`Firewall::translations`].
    TranslationId,
    /// Index into [`Firewall::labels`].
    LabelId,
}

// What few rules have: an `Option` of it takes no more room than the number.
macro_rules! rare_id {
    ($(#[$doc:meta] $name:ident),* $(,)?) => { $(
        #[$doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(NonZeroU32);
        impl $name {
            /// Of an index.
            pub const fn new(index: usize) -> Self {
                match NonZeroU32::new(index as u32 + 1) {
                    Some(n) => Self(n),
                    None => Self(NonZeroU32::MAX),
                }
            }
            /// As an index.
            pub const fn index(self) -> usize { self.0.get() as usize - 1 }
        }
    )* };
}

rare_id! {
    /// Index into [`Firewall::effects`].
    EffectsId,
    /// Index into [`Firewall::notes`].
    NoteId,
}

// Behind the macros, which it uses.
mod rule;

/// A point on a packet's way where base chains are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// Where a device hands frames over, before connection tracking and before fragments are joined (nftables: `ingress`). Sees the
    /// input interface.
    DeviceIngress,
    /// Everything that comes from a wire, before routing. Sees the input interface.
    Prerouting,
    /// For this box. Sees the input interface.
    Input,
    /// From one wire to another. Sees both interfaces.
    Forward,
    /// Made by this box. Sees the output interface.
    Output,
    /// Everything that leaves by a wire, after routing. Sees the output interface, and the input interface of
    /// what is forwarded.
    Postrouting,
    /// Where packets are handed to a device, after all else (nftables: `egress`). Sees the output interface.
    DeviceEgress,
    /// Into a network interface in a cloud.
    Ingress,
    /// Out of a network interface in a cloud.
    Egress,
}

impl Hook {
    /// All hooks, in the order of their values.
    pub const ALL: [Hook; 9] = [
        Hook::DeviceIngress,
        Hook::Prerouting,
        Hook::Input,
        Hook::Forward,
        Hook::Output,
        Hook::Postrouting,
        Hook::DeviceEgress,
        Hook::Ingress,
        Hook::Egress,
    ];

    /// `prerouting`, `input`, ….
    pub const fn name(self) -> &'static str {
        match self {
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Forward => "forward",
            Hook::Output => "output",
            Hook::Postrouting => "postrouting",
            Hook::DeviceIngress | Hook::Ingress => "ingress",
            Hook::DeviceEgress | Hook::Egress => "egress",
        }
    }

    /// The hooks on a path, in order.
    pub const fn on(path: crate::packet::Path) -> &'static [Hook] {
        use crate::packet::Path;
        match path {
            Path::Input => &[Hook::DeviceIngress, Hook::Prerouting, Hook::Input],
            Path::Output => &[Hook::Output, Hook::Postrouting, Hook::DeviceEgress],
            Path::Forward => {
                &[Hook::DeviceIngress, Hook::Prerouting, Hook::Forward, Hook::Postrouting, Hook::DeviceEgress]
            }
            Path::Ingress => &[Hook::Ingress],
            Path::Egress => &[Hook::Egress],
        }
    }

    /// Whether rules here are about what the box as a whole lets in, on or out, and so what a reader looks for first: not those around
    /// them, at which most packets pass.
    pub const fn filters(self) -> bool {
        !matches!(self, Hook::DeviceIngress | Hook::Prerouting | Hook::Postrouting | Hook::DeviceEgress)
    }

    /// Which interfaces a chain sees here, as (input, output). The other one is "none" to it.
    pub const fn sees(self, path: crate::packet::Path) -> (bool, bool) {
        use crate::packet::Path;
        match self {
            Hook::DeviceIngress | Hook::Prerouting | Hook::Input | Hook::Ingress => (true, false),
            Hook::Forward => (true, true),
            Hook::Output | Hook::DeviceEgress | Hook::Egress => (false, true),
            Hook::Postrouting => (matches!(path, Path::Forward), true),
        }
    }
}

/// What one set of files enforces.
#[derive(Debug, Default)]
pub struct Firewall {
    /// The dialect's name, as reports show it: `iptables`, `nftables`, ….
    pub dialect: &'static str,
    /// The files; [`Origin::file`] is an index into them. The first one names the firewall.
    pub files: Vec<Arc<SourceFile>>,
    /// The families that the files speak for. For others they say nothing.
    pub families: Vec<Family>,
    /// Base chains, in the order of evaluation: by hook, then priority, then as registered.
    pub base_chains: Vec<BaseChain>,
    /// All chains.
    pub chains: Vec<Chain>,
    /// All sets, shared.
    pub sets: SetPool,
    /// Terms of all rules; a rule names a slice.
    pub terms: Vec<Term>,
    /// Disjunctions: a list of conjunctions each, which are slices of `terms`.
    pub alternatives: Vec<Vec<TermRange>>,
    /// What is not known, each once.
    pub conditions: Vec<Condition>,
    /// Address and port translations: those that rules make, and those that rules which are not understood may make.
    pub translations: Vec<Translation>,
    /// Lists of effects.
    pub effects: Vec<Vec<Effect>>,
    /// Labels that an enforcement point may carry (security groups).
    pub labels: Vec<String>,
    /// Who carries each label as far as the files tell, by [`LabelId`]; empty where they do not tell.
    pub carriers: Vec<Carriers>,
    /// Addresses of the points of which the files tell all labels; elsewhere they are not known.
    pub points: IntervalSet,
    /// Why an implicit rule exists.
    pub notes: Vec<String>,
    /// How well the rules were understood.
    pub ledger: Ledger,
    /// The box's own addresses as far as the files themselves tell; `None` where they do not.
    pub local: Option<IntervalSet>,
    /// Interfaces that the files know by name, with their networks (pfSense).
    pub interfaces: Vec<Interface>,
    /// Routes, as far as the files tell them (pfSense, AWS).
    pub routes: Vec<ToldRoutes>,
    /// What rules are called whose first line does not tell, by place.
    pub rule_names: FxHashMap<Origin, RuleName>,
    /// Named sets whose elements may be added or taken away while the box runs, by the place of the rules that ask for them, in the order
    /// in which they ask. Verdicts take such a set as the files list it; whether two rules are the same is a question of the set itself.
    pub run_time_sets: FxHashMap<Origin, Vec<RunTimeSet>>,
    /// Chains to which jumps may be added while the box runs: those of a table with a map of verdicts that is not constant.
    pub run_time_targets: FxHashSet<ChainId>,
    /// Problems met when reading.
    pub diagnostics: Vec<Diagnostic>,
    /// What answers take for granted beyond the files, as words of the report ([`Report::assumptions`](crate::finding::Report)).
    pub assumptions: Vec<&'static str>,
    /// What it was read from, in one number: those of one deployment with the same number are the same. `None` where nobody asks, or its files do
    /// not tell.
    pub edition: Option<String>,
    /// What the dialect keeps of its files for its own checks.
    pub native: Option<Box<dyn Any + Send + Sync>>,
    reached: OnceLock<Vec<bool>>,
    crowd: OnceLock<Crowd>,
    looping: OnceLock<Vec<bool>>,
    runs: OnceLock<Vec<Vec<Run>>>,
}

/// Addresses of the points that carry a label, for packets at a point whose labels are not declared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Carriers {
    /// Points with these addresses carry it.
    pub certain: IntervalSet,
    /// Points with these addresses may carry it (two networks use the same address); disjoint from `certain`.
    pub doubtful: IntervalSet,
}

/// An interface that a configuration describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Name as packets carry it.
    pub name: String,
    /// Other names that people use for it: its device, its description.
    pub also: Vec<String>,
    /// The box's own addresses on it.
    pub addresses: IntervalSet,
    /// Networks behind it; `None` = learnt at run time.
    pub networks: Option<IntervalSet>,
    /// Where it is described.
    pub origin: Origin,
}

/// How many rules were read, and how well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Ledger {
    /// Modelled exactly.
    pub exact: u64,
    /// With at least one opaque condition.
    pub approximated: u64,
    /// Not understood: any verdict is possible there.
    pub not_understood: u64,
}

/// A chain that the kernel calls by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseChain {
    /// Its rules.
    pub chain: ChainId,
    /// Where it is registered.
    pub hook: Hook,
    /// Lower runs first.
    pub priority: i32,
    /// Verdict at its end.
    pub policy: Policy,
    /// Where the policy is stated, or what implies it.
    pub policy_origin: Origin,
    /// Why the policy is so where nobody wrote it.
    pub policy_note: Option<NoteId>,
    /// Families that it sees.
    pub families: Vec<Family>,
    /// What kind it is.
    pub kind: ChainKind,
}

/// Verdict at the end of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Accept.
    Accept,
    /// Drop.
    Drop,
    /// Not known.
    Unknown(ConditionId),
}

/// Kind of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChainKind {
    /// Sees every packet.
    Filter,
    /// Sees packets that open a connection; holds translations.
    Nat,
}

/// A list of rules.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    /// Table that it stands in; empty where the dialect has none.
    pub table: String,
    /// Name.
    pub name: String,
    /// Rules, in order.
    pub rules: Vec<Rule>,
    /// Where it is declared.
    pub origin: Origin,
}

impl Firewall {
    /// Place of an origin.
    pub fn locate(&self, origin: Origin) -> Location {
        let rule = self.rule_names.get(&origin).cloned().map(Box::new);
        Location { rule, ..locate(&self.files, origin) }
    }

    /// The name under which packets carry an interface that people call `name`: itself where a file knows it so, else the one
    /// interface that has it as device or description.
    pub fn interface_named(&self, name: &str) -> Option<&str> {
        if self.interfaces.iter().any(|i| i.name == name) {
            return None;
        }
        let called = |i: &&Interface| i.also.iter().any(|a| a.eq_ignore_ascii_case(name));
        let mut found = self.interfaces.iter().filter(called);
        found.next().filter(|_| found.next().is_none()).map(|i| i.name.as_str())
    }

    /// The main file's name.
    pub fn path(&self) -> &str {
        self.files.first().map_or("", |f| &f.path)
    }

    /// A chain.
    pub fn chain(&self, id: ChainId) -> &Chain {
        &self.chains[id.index()]
    }

    /// Terms of a slice.
    pub fn terms(&self, range: TermRange) -> &[Term] {
        &self.terms[range.start as usize..(range.start + range.len) as usize]
    }

    /// The field that a term asks about, and the values with which it holds; `None` for terms about anything but a field.
    pub fn field_set(&self, term: &Term) -> Option<(Field, IntervalSet)> {
        match *term {
            Term::Range { field, lo, hi } => {
                let base = Term::base(field);
                Some((field, IntervalSet::range(base + Value::from(lo), base + Value::from(hi))))
            }
            Term::In(field, id) => Some((field, self.sets.get(id).clone())),
            _ => None,
        }
    }

    /// Points by the labels that they carry, and rules by the label that they ask for. Found out at the first call.
    pub fn crowd(&self) -> &Crowd {
        self.crowd.get_or_init(|| Crowd::of(self))
    }

    /// Neighbouring rules of a chain that do the same and differ in the values of one field, in the order of the rules. Found out at the first
    /// call.
    pub fn runs(&self, chain: ChainId) -> &[Run] {
        &self.runs.get_or_init(|| self.chains.iter().map(|c| runs::runs(self, c)).collect())[chain.index()]
    }

    /// The run to which a rule belongs.
    pub fn run(&self, chain: ChainId, rule: usize) -> Option<&Run> {
        let runs = self.runs(chain);
        runs.get(runs.partition_point(|r| r.end <= rule)).filter(|r| r.first <= rule)
    }

    /// The field that a term asks about, and whether the packet's value is among those with which it holds; `None` for terms about
    /// anything but a field. Answers as [`Firewall::field_set`], without making a set.
    #[inline]
    pub fn holds(&self, term: &Term, packet: &Packet) -> Option<(Field, bool)> {
        let (field, set) = match *term {
            Term::Range { field, lo, hi } => {
                let base = Term::base(field);
                let within = |v: Value| base + Value::from(lo) <= v && v <= base + Value::from(hi);
                return Some((field, packet.get(field).is_some_and(within)));
            }
            Term::In(field, id) => (field, self.sets.get(id)),
            _ => return None,
        };
        Some((field, packet.get(field).is_some_and(|v| set.contains(v))))
    }

    /// Effects of a rule.
    pub fn effects(&self, rule: &Rule) -> &[Effect] {
        rule.effects.map_or(&[], |e| &self.effects[e.index()])
    }

    /// A condition.
    pub fn condition(&self, id: ConditionId) -> &Condition {
        &self.conditions[id.index()]
    }

    /// Base chains of a hook that see a family, in order.
    pub fn base_chains(&self, hook: Hook, family: Family) -> impl Iterator<Item = &BaseChain> {
        self.base_chains.iter().filter(move |b| b.hook == hook && b.families.contains(&family))
    }

    /// The field that holds the address of the point itself at a hook.
    pub const fn own_address(hook: Hook) -> Field {
        match hook {
            Hook::Egress | Hook::Output => Field::Src,
            _ => Field::Dst,
        }
    }

    /// Whether the point with an address carries a label, as far as the files tell.
    pub fn carries(&self, label: LabelId, address: Value) -> Option<bool> {
        let c = self.carriers.get(label.index())?;
        match () {
            () if c.certain.contains(address) => Some(true),
            () if self.points.contains(address) && !c.doubtful.contains(address) => Some(false),
            () => None,
        }
    }

    /// The addresses of points that carry a label for certain, and of those that may (both within all addresses): what
    /// [`Firewall::carries`] says of each address.
    pub fn carriers(&self, label: LabelId) -> (IntervalSet, IntervalSet) {
        let all = Field::Src.all();
        match self.carriers.get(label.index()) {
            Some(c) => (c.certain.clone(), all.minus(&self.points.minus(&c.certain).minus(&c.doubtful))),
            None => (IntervalSet::EMPTY, all),
        }
    }

    /// Whether the files speak for a family.
    pub fn covers(&self, family: Family) -> bool {
        self.families.contains(&family)
    }

    /// Whether any rule asks if there is a way back to a packet's source.
    pub fn asks_reverse_path(&self) -> bool {
        self.conditions.iter().any(|c| matches!(c.kind, ConditionKind::ReversePath { .. }))
    }

    /// Whether some rule may give packets other addresses, ports or another protocol.
    pub fn rewrites(&self) -> bool {
        let rewrites = |e: &Effect| matches!(e, Effect::Rewrite { .. });
        !self.translations.is_empty() || self.effects.iter().flatten().any(rewrites)
    }

    /// Number of rules in all chains.
    pub fn rule_count(&self) -> usize {
        self.chains.iter().map(|c| c.rules.len()).sum()
    }
}
