//! From the inventory to the model.
//!
//! At ingress and at egress stands one base chain for the groups: connections that are tracked pass, then what AWS never filters, then one jump
//! for each group to its chain of accepts, guarded by the group's label; then, so that a refusal points at a group, one drop for each; the
//! policy is drop. Beside it, if network ACLs are given, one without memory ([`acl`](super::acl)).

use super::inventory::{
    Attachment, Entry, Group, Interface, Inventory, Peer, Reference, Rules, Service, Unknown,
};
use crate::dialect::ReadOptions;
use crate::model::{
    Action, BaseChain, Builder, Carriers, ChainId, ChainKind, ConditionKind, Firewall, Hook, LabelId, Policy,
    RunTimeSet, SetId, Term,
};
use crate::packet::{ConnState, Family, Field, IntervalSet, Value, addr};
use crate::source::{Diagnostic, Origin, RuleName, SourceFile};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Makes the model.
pub fn lower(
    inventory: Inventory,
    files: &[Arc<SourceFile>],
    diagnostics: Vec<Diagnostic>,
    options: &ReadOptions,
) -> Firewall {
    let mut lowering = Lowering::new(&inventory, files, options);
    lowering.builder.firewall_mut().diagnostics = diagnostics;
    lowering.memberships();
    let labels: Vec<LabelId> = inventory.groups.iter().map(|g| lowering.builder.label(&g.id)).collect();
    for hook in [Hook::Ingress, Hook::Egress] {
        super::acl::lower(&mut lowering, hook);
        lowering.base_chain(hook, &labels);
    }
    let mut firewall = lowering.builder.finish();
    firewall.assumptions = assumptions(&inventory);
    firewall.routes = super::routes::told(&inventory);
    firewall.native = Some(Box::new(inventory));
    firewall
}

// What the answers take for granted.
fn assumptions(inventory: &Inventory) -> Vec<&'static str> {
    let entries = inventory.groups.iter().flat_map(|g| g.ingress.entries.iter().chain(&g.egress.entries));
    let mut out = Vec::new();
    if entries.into_iter().any(|e| matches!(e.peer, Peer::Group(_))) {
        out.push("private-members");
    }
    if inventory.variables {
        out.push("variable-defaults");
    }
    if inventory.plan {
        out.push("no-late-blocks");
    }
    out
}

/// State of lowering.
pub struct Lowering<'i> {
    /// What the files say.
    pub inventory: &'i Inventory,
    /// The firewall so far.
    pub builder: Builder,
    /// What is not in the files does not exist.
    pub complete: bool,
    // Addresses of the interfaces to which a group is attached.
    members_of: FxHashMap<&'i str, IntervalSet>,
    // What carries a group at addresses that no file tells.
    attached: FxHashMap<&'i str, &'i Attachment>,
    prefix_lists: FxHashMap<&'i str, SetId>,
    // Where a group reference can match beyond the interfaces of the files.
    elsewhere: Option<SetId>,
}

/// Addresses of services that neither groups nor network ACLs filter: time, Windows activation, DNS, instance metadata, task metadata (VPC
/// user guide, "Security groups": "don't filter traffic destined to and from …").
const UNFILTERED: [&str; 9] = [
    "169.254.169.123",
    "169.254.169.250",
    "169.254.169.251",
    "169.254.169.253",
    "169.254.169.254",
    "169.254.170.2",
    "fd00:ec2::123",
    "fd00:ec2::253",
    "fd00:ec2::254",
];

/// Where private addresses of a VPC usually are (RFC 1918, RFC 6598). Members of a group elsewhere in IPv4 are known only from their interfaces.
const PRIVATE: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"];

fn parse_all(texts: &[&str]) -> IntervalSet {
    IntervalSet::from_ranges(texts.iter().filter_map(|t| addr::parse(t)).flat_map(|s| s.ranges().to_vec()))
}

impl<'i> Lowering<'i> {
    fn new(inventory: &'i Inventory, files: &[Arc<SourceFile>], options: &ReadOptions) -> Self {
        let mut members_of: FxHashMap<&str, Vec<_>> = FxHashMap::default();
        for interface in &inventory.interfaces {
            for (group, _) in interface.groups.iter().flatten() {
                members_of.entry(group).or_default().extend_from_slice(interface.addresses.ranges());
            }
        }
        Self {
            inventory,
            builder: Builder::new("aws", files.to_vec(), &Family::ALL),
            complete: options.complete
                && inventory.cut.is_none()
                && inventory.may_be_cut.is_none()
                && inventory.unknown.is_empty(),
            members_of: members_of.into_iter().map(|(g, r)| (g, IntervalSet::from_ranges(r))).collect(),
            attached: inventory.attached.iter().map(|a| (a.group.as_str(), a)).collect(),
            prefix_lists: FxHashMap::default(),
            elsewhere: None,
        }
    }

    // What is attached where, by address: two networks may use the same address.
    fn memberships(&mut self) {
        if self.inventory.interfaces.is_empty() {
            return;
        }
        let known = |i: &&Interface| i.groups.is_some();
        let all = self.inventory.interfaces.iter();
        let told = union(all.clone().filter(known).map(|i| &i.addresses));
        let untold = union(all.clone().filter(|i| !known(i)).map(|i| &i.addresses));
        let shared = Shared::of(self.inventory);
        let mut carriers = Vec::with_capacity(self.inventory.groups.len());
        for group in &self.inventory.groups {
            let attached = self.members_of.get(group.id.as_str()).cloned().unwrap_or_default();
            // Certain where it is attached to every interface with the address.
            let others = shared.at(&attached).filter(|i| !is_attached(i, &group.id));
            let doubtful = attached.intersect(&union(others.map(|i| &i.addresses)));
            carriers.push(Carriers { certain: attached.minus(&doubtful), doubtful });
        }
        let firewall = self.builder.firewall_mut();
        firewall.carriers = carriers;
        firewall.points = if self.complete { Field::Dst.all() } else { told }.minus(&untold);
    }

    fn base_chain(&mut self, hook: Hook, labels: &[LabelId]) {
        let inventory = self.inventory;
        let whole = Origin::new(0, 0, 0);
        let table = hook.name();
        let base = self.builder.chain(table, "security groups", whole);
        for u in &inventory.unknown {
            let unknown = self.builder.condition(&u.text, &u.why, ConditionKind::Volatile, u.origin);
            let note = "this part of the file is not understood, and may change anything";
            let rule = self.builder.implicit(u.origin, &[], Action::Unknown(unknown), note);
            self.builder.push(base, rule);
            self.builder.firewall_mut().ledger.not_understood += 1;
        }
        self.established(base, whole);
        self.unfiltered(base, hook, whole);
        let peer = peer_field(hook);
        for (group, label) in inventory.groups.iter().zip(labels) {
            let rules = if hook == Hook::Ingress { &group.ingress } else { &group.egress };
            if rules.entries.is_empty() && rules.unknown.is_empty() {
                continue;
            }
            let chain = self.builder.chain(table, &group.id, group.origin);
            self.group(chain, group, rules, peer);
            let note = "where this group is attached";
            let jump = self.builder.implicit(group.origin, &[Term::Label(*label)], Action::Jump(chain), note);
            self.builder.push(base, jump);
        }
        let note = match hook {
            Hook::Ingress => "a security group lets in only what a rule allows",
            _ => "a security group lets out only what a rule allows",
        };
        for (group, label) in inventory.groups.iter().zip(labels) {
            let drop = self.builder.implicit(group.origin, &[Term::Label(*label)], Action::Drop, note);
            self.builder.push(base, drop);
        }
        let policy_note = Some(self.builder.note(note));
        let policy_origin = inventory.groups.first().map_or(whole, |g| g.origin);
        // An interface with none of these groups has others, or none at all: then AWS filters nothing.
        let policy = if inventory.groups.is_empty() || !self.complete {
            let text = "the security groups of the interface";
            let why = "the files do not tell: declare `security-groups`, or give describe-network-interfaces";
            Policy::Unknown(self.builder.condition(text, why, ConditionKind::Pure, whole))
        } else {
            Policy::Drop
        };
        self.builder.base_chain(BaseChain {
            chain: base,
            hook,
            priority: 0,
            policy,
            policy_origin,
            policy_note,
            families: Family::ALL.to_vec(),
            kind: ChainKind::Filter,
        });
    }

    fn established(&mut self, base: ChainId, origin: Origin) {
        let state = ConnState::Established.value() as u32;
        let term = Term::Range { field: Field::State, lo: state, hi: state };
        let note = "security groups are stateful: packets of a connection that was let through pass";
        let rule = self.builder.implicit(origin, &[term], Action::Accept, note);
        self.builder.push(base, rule);
    }

    /// Lets through what AWS filters nowhere.
    pub fn unfiltered(&mut self, base: ChainId, hook: Hook, origin: Origin) {
        let term = self.builder.field(peer_field(hook), parse_all(&UNFILTERED));
        let note = "AWS filters no traffic with its own DNS, time, metadata and activation services";
        let rule = self.builder.implicit(origin, &[term], Action::Accept, note);
        self.builder.push(base, rule);
    }

    fn group(&mut self, chain: ChainId, group: &Group, rules: &Rules, peer: Field) {
        for entry in &rules.entries {
            let mut terms = Vec::with_capacity(4);
            if let Some(u) = &entry.only_if {
                terms.push(self.unknown(u));
            }
            self.service(&entry.service, entry.origin, &mut terms);
            self.peer(group, entry, peer, &mut terms);
            let mut rule = self.builder.rule(entry.origin, &terms, Action::Accept);
            if terms.contains(&Term::NEVER) {
                rule.note = Some(self.builder.note("nobody is at the other end of this reference"));
            }
            self.builder.push(chain, rule);
            self.name(group, entry);
        }
        for u in &rules.unknown {
            let term = self.unknown(u);
            self.builder.firewall_mut().ledger.not_understood += 1;
            let note = "there may be rules here that the files do not show";
            let rule = self.builder.implicit(u.origin, &[term], Action::Accept, note);
            self.builder.push(chain, rule);
        }
    }

    // What people call an entry: its line may show no more than a prefix.
    fn name(&mut self, group: &Group, entry: &Entry) {
        let Some(description) = entry.description.clone().filter(|_| entry.origin != group.origin) else {
            return;
        };
        let name = RuleName { description, summary: entry.text(), ..RuleName::default() };
        let names = &mut self.builder.firewall_mut().rule_names;
        match names.get_mut(&entry.origin) {
            None => _ = names.insert(entry.origin, name),
            // One place for several peers.
            Some(old) if old.summary != name.summary => old.summary.clear(),
            Some(_) => {}
        }
    }

    /// An unknown as a condition of its own: equal texts at two places need not mean the same.
    pub fn unknown(&mut self, u: &Unknown) -> Term {
        Term::opaque(self.builder.condition(&u.text, &u.why, ConditionKind::Volatile, u.origin), false)
    }

    /// Terms for protocol and ports.
    pub fn service(&mut self, service: &Service, origin: Origin, terms: &mut Vec<Term>) {
        match service {
            Service::All => {}
            Service::Protocol(p) => terms.push(self.builder.protocol(*p)),
            Service::Ports(p, lo, hi) => {
                terms.push(self.builder.protocol(*p));
                if (*lo, *hi) != (0, u16::MAX) {
                    terms.push(Term::Range { field: Field::Dport, lo: (*lo).into(), hi: (*hi).into() });
                }
            }
            Service::Icmp(p, kind, code) => {
                terms.push(self.builder.protocol(*p));
                if kind.is_some() {
                    let values = Service::icmp_values(*kind, *code);
                    terms.push(self.builder.field(Field::Icmp, values));
                }
            }
            Service::Unknown(text, why) => terms.push(self.builder.opaque(text, why, false, origin)),
        }
    }

    // Who is a member of a group, and what is in a prefix list, may change without the rule.
    fn peer(&mut self, group: &Group, entry: &Entry, field: Field, terms: &mut Vec<Term>) {
        let term = match &entry.peer {
            Peer::Net(net) => self.builder.field(field, addr::net(*net)),
            Peer::PrefixList(id) => {
                self.changeable(entry, format!("prefix list {id}"), field);
                self.prefix_list(id, field, entry.origin)
            }
            Peer::Group(r) => {
                let name = if r.group.is_empty() { r.name.as_deref().unwrap_or_default() } else { &r.group };
                self.changeable(entry, format!("members of {name}"), field);
                self.reference(group, r, field, entry.origin)
            }
            Peer::Unknown(text, why) => self.builder.opaque(text, why, false, entry.origin),
        };
        terms.push(term);
    }

    fn changeable(&mut self, entry: &Entry, name: String, field: Field) {
        let set = RunTimeSet { name, fields: RunTimeSet::bits(&[field]), how: String::new() };
        self.builder.asks_run_time_set(entry.origin, set);
    }

    fn prefix_list(&mut self, id: &str, field: Field, origin: Origin) -> Term {
        let Some(list) = self.inventory.prefix_list(id) else {
            let why = "its entries are in no file: give the answer of get-managed-prefix-list-entries or describe-prefix-lists";
            return self.builder.opaque(&format!("entries of prefix list {id}"), why, false, origin);
        };
        let set = match self.prefix_lists.get(id) {
            Some(set) => *set,
            None => {
                let set = self.builder.set(list.addresses());
                self.prefix_lists.insert(&list.id, set);
                set
            }
        };
        let known = self.builder.field_in(field, set);
        if list.unknown.is_empty() {
            return known;
        }
        let mut ways = vec![vec![known]];
        for u in &list.unknown {
            ways.push(vec![self.unknown(u)]);
        }
        self.builder.any(ways)
    }

    // A reference matches private and IPv6 addresses and delegated prefixes of the interfaces to which the group is attached (VPC user guide,
    // "Security group referencing"); never public ones, which are translated.
    fn reference(&mut self, group: &Group, r: &Reference, field: Field, origin: Origin) -> Term {
        let name = if r.group.is_empty() { r.name.as_deref().unwrap_or_default() } else { &r.group };
        match (&r.peering, r.status.as_deref()) {
            (_, Some("active")) | (None, None) => {}
            (Some(_), None) => {
                let text = format!("the peering connection to {name} is active");
                return self.builder.opaque(&text, "the file does not tell its PeeringStatus", false, origin);
            }
            (_, Some(_)) => return Term::NEVER,
        }
        let attached = self.attached.get(r.group.as_str());
        let known = self.members_of.get(r.group.as_str()).cloned().unwrap_or_default();
        if self.complete && r.unknown.is_none() && attached.is_none() {
            return self.builder.field(field, known);
        }
        let used = attached.map(|a| format!("{} carries it, and no file tells its addresses", a.by));
        let foreign = match (&r.owner, &group.owner) {
            (Some(a), Some(b)) => a != b,
            _ => false,
        };
        let why = if let Some(why) = &r.unknown {
            why
        } else if let Some(used) = &used {
            used
        } else if foreign {
            "it is another account's group, whose interfaces are in no file"
        } else if self.inventory.interfaces.is_empty() {
            "no file tells where it is attached: give describe-network-interfaces, and --assume complete if it holds all of them"
        } else {
            "interfaces that are in no file may have it attached; --assume complete says that there are none"
        };
        let is_attached = self.builder.opaque(&format!("{name} is attached to the peer"), why, false, origin);
        let elsewhere = match self.elsewhere {
            Some(set) => set,
            None => {
                let set = self.beyond();
                *self.elsewhere.insert(self.builder.set(set))
            }
        };
        let elsewhere = vec![self.builder.field_in(field, elsewhere), is_attached];
        if known.is_empty() {
            return self.builder.any(vec![elsewhere]);
        }
        let known = vec![self.builder.field(field, known)];
        self.builder.any(vec![known, elsewhere])
    }

    // Addresses at which an interface that no file shows may be. Those of interfaces whose groups are known are settled, unless another
    // VPC may use the same ones.
    fn beyond(&self) -> IntervalSet {
        let mut vpcs = self
            .inventory
            .interfaces
            .iter()
            .map(|i| &i.vpc)
            .chain(self.inventory.groups.iter().map(|g| &g.vpc));
        let first = vpcs.next().cloned().flatten();
        let one = first.is_some() && vpcs.all(|v| *v == first);
        let used = union(self.inventory.interfaces.iter().map(|i| &i.addresses));
        let subnets = union(self.inventory.subnets.iter().map(|s| &s.addresses));
        // A VPC may use public addresses as its own.
        let vpcs = union(self.inventory.vpcs.iter().map(|v| &v.addresses));
        let all = parse_all(&PRIVATE).union(&Family::V6.all()).union(&used).union(&subnets).union(&vpcs);
        if one { all.minus(&self.builder.firewall().points) } else { all }
    }
}

/// The field that holds the peer's address at a hook.
pub fn peer_field(hook: Hook) -> Field {
    match hook {
        Hook::Egress => Field::Dst,
        _ => Field::Src,
    }
}

fn is_attached(interface: &Interface, group: &str) -> bool {
    interface.groups.iter().flatten().any(|(g, _)| g == group)
}

/// The union of many sets.
pub fn union<'s>(sets: impl Iterator<Item = &'s IntervalSet>) -> IntervalSet {
    IntervalSet::from_ranges(sets.flat_map(|s| s.ranges().iter().copied()))
}

// Interfaces with an address that another one has too, by their addresses.
struct Shared<'i> {
    // In order of the first address; with each the highest last address so far.
    places: Vec<(Value, Value, Value, &'i Interface)>,
}

impl<'i> Shared<'i> {
    fn of(inventory: &'i Inventory) -> Self {
        let shared = shared_addresses(inventory.interfaces.iter().map(|i| &i.addresses));
        let sharing = inventory.interfaces.iter().filter(|i| i.addresses.intersects(&shared));
        let ranges = |i: &'i Interface| i.addresses.ranges().iter().map(move |(lo, hi)| (*lo, *hi, *hi, i));
        let mut places: Vec<_> = sharing.flat_map(ranges).collect();
        places.sort_by_key(|(lo, hi, ..)| (*lo, *hi));
        let mut highest = 0;
        for (_, hi, so_far, _) in &mut places {
            highest = highest.max(*hi);
            *so_far = highest;
        }
        Self { places }
    }

    // Those with one of these addresses, some of them several times.
    fn at(&self, addresses: &IntervalSet) -> impl Iterator<Item = &'i Interface> {
        addresses.ranges().iter().flat_map(|(lo, hi)| {
            let first = self.places.partition_point(|p| p.2 < *lo);
            let near = self.places[first..].iter().take_while(|p| p.0 <= *hi);
            near.filter(|p| p.1 >= *lo).map(|p| p.3)
        })
    }
}

// Addresses that more than one of the sets hold.
fn shared_addresses<'s>(sets: impl Iterator<Item = &'s IntervalSet>) -> IntervalSet {
    let mut ranges: Vec<_> = sets.flat_map(|s| s.ranges().iter().copied()).collect();
    ranges.sort_unstable();
    let mut shared = Vec::new();
    let mut last = None;
    for (lo, hi) in ranges {
        if let Some(end) = last
            && lo <= end
        {
            shared.push((lo, hi.min(end)));
        }
        last = Some(last.map_or(hi, |end: u128| end.max(hi)));
    }
    IntervalSet::from_ranges(shared)
}
