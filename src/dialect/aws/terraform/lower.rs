//! From resources to the inventory.

use super::super::inventory::{Group, Peer, Reference, Unknown};
use super::super::reader::Reader;
use super::kinds::{BYSTANDERS, IDLE, Kind};
use super::refs;
use super::tree::{Fields, Node, Open};
use super::{Resource, Resources, UNREAD_MODULE};
use crate::source::{Diagnostic, Origin};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;

/// Puts resources into the inventory.
pub fn lower(reader: &mut Reader<'_>, resources: &Resources) {
    let mut lower = Lower::new(reader, resources);
    for r in &resources.list {
        lower.resource(r);
    }
    lower.attach(resources);
    lower.spread(&resources.strays);
}

/// State of lowering.
pub struct Lower<'t, 'r> {
    /// Where everything goes.
    pub reader: &'t mut Reader<'r>,
    /// Names of what rules refer to: an address (without the attribute) to the id, or the address itself where there is none yet.
    keys: FxHashMap<&'t str, Key>,
    // Addresses without indices to those with.
    instances: FxHashMap<String, Vec<&'t str>>,
    /// Ids or addresses of the groups that these files make, in order.
    pub groups: Vec<String>,
    /// Ids or addresses of the network ACLs, in order.
    pub acls: Vec<String>,
    /// Ids or addresses of the prefix lists, in order.
    pub lists: Vec<String>,
    /// What is not understood, with the groups, network ACLs and prefix lists that it may touch; for when all are there.
    pub spoils: Vec<(BTreeSet<String>, Unknown)>,
    /// Resources of which the inventory holds an interface with its groups.
    pub placed: FxHashSet<String>,
}

struct Key {
    kind: Kind,
    id: String,
}

/// What a reference to a resource leads to.
#[derive(Debug, Default, PartialEq)]
pub struct Targets {
    /// Ids of resources of these files.
    pub own: Vec<String>,
    /// References to something else.
    pub foreign: Vec<String>,
    /// It may be any.
    pub any: bool,
}

impl Targets {
    /// The only one that it can be.
    pub fn one(&self) -> Option<&str> {
        match (self.own.as_slice(), self.foreign.as_slice(), self.any) {
            ([one], [], false) | ([], [one], false) => Some(one),
            _ => None,
        }
    }
}

impl<'t, 'r> Lower<'t, 'r> {
    fn new(reader: &'t mut Reader<'r>, resources: &'t Resources) -> Self {
        let mut out = Self {
            reader,
            keys: FxHashMap::default(),
            instances: FxHashMap::default(),
            groups: Vec::new(),
            acls: Vec::new(),
            lists: Vec::new(),
            spoils: Vec::new(),
            placed: FxHashSet::default(),
        };
        for r in &resources.list {
            let Some(kind) = r.known() else { continue };
            let given = r.attributes.map().and_then(|m| m.get("id")).and_then(Node::text);
            let id = given.filter(|i| !i.is_empty()).unwrap_or(&r.address).to_owned();
            match kind {
                Kind::Group => out.groups.push(id.clone()),
                Kind::Acl => out.acls.push(id.clone()),
                Kind::PrefixList => out.lists.push(id.clone()),
                _ => {}
            }
            out.instances.entry(refs::without_indices(&r.address)).or_default().push(&r.address);
            out.keys.insert(&r.address, Key { kind, id });
        }
        out
    }

    /// Id of a resource.
    pub fn id(&self, r: &Resource) -> String {
        self.keys.get(r.address.as_str()).map_or_else(|| r.address.clone(), |k| k.id.clone())
    }

    fn resource(&mut self, r: &Resource) {
        let Some(fields) = Fields::of(&r.attributes) else { return };
        match r.known() {
            Some(Kind::Group) => self.group(r, &fields),
            Some(Kind::Rule | Kind::IngressRule | Kind::EgressRule) => self.rule(r, &fields),
            Some(Kind::PrefixList) => self.prefix_list(r, &fields),
            Some(Kind::PrefixListEntry) => self.prefix_list_entry(r, &fields),
            Some(Kind::Interface | Kind::Instance) => self.interface(r, &fields),
            // After all interfaces.
            Some(Kind::Attachment) => {}
            Some(Kind::Vpc | Kind::VpcPrefix) => self.vpc(r, &fields),
            Some(Kind::Subnet) => self.subnet(r, &fields),
            Some(Kind::Acl) => self.acl(r, &fields),
            Some(Kind::AclRule) => self.acl_rule(r, &fields),
            Some(Kind::AclAssociation) => self.acl_association(r, &fields),
            None => self.stranger(r, &fields),
        }
    }

    fn group(&mut self, r: &Resource, fields: &Fields<'_>) {
        let id = self.id(r);
        let mut ingress = self.blocks(r, fields, &id, "ingress");
        let mut egress = self.blocks(r, fields, &id, "egress");
        let unknown = self.unread(fields, r, IDLE, Kind::Group.idle()).into_iter().chain(r.only_if.clone());
        for u in unknown {
            ingress.unknown.push(u.clone());
            egress.unknown.push(u);
        }
        let vpc = match fields.get("vpc_id").map(|n| (n.text(), n.unknown())) {
            Some((Some(id), _)) => Some(id.to_owned()),
            Some((_, Some(open))) => self.targets(open, Kind::Vpc).one().map(str::to_owned),
            _ => None,
        };
        let group = Group {
            name: fields.text("name").map(str::to_owned).or_else(|| Some(r.address.clone())),
            vpc,
            owner: fields.text("owner_id").map(str::to_owned),
            description: fields.text("description").map(str::to_owned),
            described: true,
            ingress,
            egress,
            ..Group::named(&id, r.place)
        };
        self.reader.define(group);
    }

    /// Names attributes that no one reads and that are not among those without effect.
    pub fn unread(
        &mut self,
        fields: &Fields<'_>,
        r: &Resource,
        idle: &[&str],
        more: &[&str],
    ) -> Vec<Unknown> {
        let mut out = Vec::new();
        for (name, at) in fields.unread(idle) {
            if more.contains(&name) {
                continue;
            }
            let why = format!("`{name}` is no attribute of {} that havenlint knows", r.kind);
            self.reader.diagnostics.push(
                Diagnostic::warning(at, format!("{}: {why}", r.address)).help("what it changes is undecided"),
            );
            out.push(Unknown { text: format!("`{name}` of {}", r.address), why, origin: at });
        }
        out
    }

    /// Reports a value that is not understood.
    pub fn wrong(&mut self, at: Origin, message: String) {
        self.reader
            .diagnostics
            .push(Diagnostic::error(at, message).help("what it lets through is undecided"));
    }

    /// The resources of a kind that an unknown value can be an id of.
    pub fn targets(&self, open: &Open, kind: Kind) -> Targets {
        let mut out = Targets { any: open.refs.is_empty(), ..Targets::default() };
        for reference in &open.refs {
            let Some((address, attribute)) = refs::split(reference) else {
                out.any = true;
                continue;
            };
            let found = self.find(&address);
            let of_kind = found.iter().filter(|k| k.kind == kind).map(|k| k.id.clone());
            let before = out.own.len();
            out.own.extend(of_kind);
            if out.own.len() > before {
                continue;
            }
            // Another resource's attribute: an id of what AWS makes beside it, or one that it was given.
            let made_beside = MADE_BESIDE.iter().any(|m| attribute.ends_with(m));
            out.any |= !made_beside && (found.is_empty() || refs::parts(reference).contains(&"data"));
            out.foreign.push(reference.clone());
        }
        out.own.sort();
        out.own.dedup();
        out
    }

    // The resources with an address; all instances where it names no single one.
    fn find(&self, address: &str) -> Vec<&Key> {
        if let Some(key) = self.keys.get(address) {
            return vec![key];
        }
        let list = self.instances.get(&refs::without_indices(address));
        list.into_iter().flatten().filter_map(|a| self.keys.get(*a)).collect()
    }

    /// The peers that a value names which must be an id of a group: never the Internet, whatever it is.
    pub fn group_peer(&self, node: &Node) -> Result<Peer, &'static str> {
        if let Some(id) = node.text() {
            return Ok(Peer::Group(reference(id)));
        }
        let Some(open) = node.unknown() else { return Err("no id of a group") };
        let targets = self.targets(open, Kind::Group);
        if let Some(one) = targets.one() {
            return Ok(Peer::Group(Reference { group: one.to_owned(), ..Reference::default() }));
        }
        let name = [targets.own, targets.foreign].concat().join(" or ");
        let name = if name.is_empty() { open.text.clone() } else { name };
        Ok(Peer::Group(Reference {
            name: Some(name),
            unknown: Some(open.why.clone()),
            ..Reference::default()
        }))
    }

    /// A prefix of a family.
    pub fn net_peer(&mut self, node: &Node, v6: bool) -> Peer {
        let Some(text) = node.text() else {
            if let Some(open) = node.unknown() {
                return Peer::Unknown(open.text.clone(), open.why.clone());
            }
            let message = format!("{} stands where a prefix is expected", node.words());
            self.wrong(node.at, message.clone());
            return Peer::Unknown(node.shown(), message);
        };
        self.reader.prefix(text, node.at, v6)
    }

    // A type that is in no list: by the shape of its attributes it may hold rules all the same.
    fn stranger(&mut self, r: &Resource, fields: &Fields<'_>) {
        const TARGETS: [&str; 3] = ["security_group_id", "network_acl_id", "prefix_list_id"];
        const OF_RULES: [&str; 8] = [
            "cidr",
            "cidr_block",
            "cidr_blocks",
            "cidr_ipv4",
            "cidr_ipv6",
            "protocol",
            "ip_protocol",
            "rule_number",
        ];
        if r.data || BYSTANDERS.contains(&r.kind.as_str()) {
            return;
        }
        let module = r.kind == UNREAD_MODULE;
        let names = ["security_group", "network_acl", "prefix_list"];
        let sounds = r.kind.starts_with("aws_") && names.iter().any(|w| r.kind.contains(w));
        let target = TARGETS.into_iter().find(|k| fields.has(k));
        let rule = target.is_some() && OF_RULES.iter().any(|k| fields.has(k));
        if !module && !sounds && !rule {
            return;
        }
        let why = match module {
            true => "its files are not read, and it is given this".to_owned(),
            false => format!("havenlint does not know resources of type {}", r.kind),
        };
        if !module {
            self.reader.diagnostics.push(
                Diagnostic::warning(r.place, format!("{}: {why}", r.address))
                    .help("what it changes in the groups that it names is undecided"),
            );
        }
        let unknown = Unknown { text: format!("what {} changes", r.address), why, origin: r.place };
        let named = target.filter(|_| !module).and_then(|k| fields.get(k)).unwrap_or(&r.attributes);
        let ids: BTreeSet<&str> = named.texts().into_iter().collect();
        let opens: Vec<Targets> = named
            .opens()
            .into_iter()
            .flat_map(|o| [Kind::Group, Kind::Acl, Kind::PrefixList].map(|k| self.targets(o, k)))
            .collect();
        let own: BTreeSet<&String> = opens.iter().flat_map(|t| &t.own).collect();
        let any = !module && own.is_empty() && opens.iter().any(|t| t.any);
        let touched = |id: &&String| any || own.contains(id) || ids.contains(id.as_str());
        let ids =
            [&self.groups, &self.acls, &self.lists].into_iter().flatten().filter(touched).cloned().collect();
        self.spoils.push((ids, unknown));
    }

    // Parts that were not understood may hold anything: rules of every group, entries of every list.
    fn spread(&mut self, strays: &[Unknown]) {
        let all: BTreeSet<String> =
            [&self.groups, &self.acls, &self.lists].into_iter().flatten().cloned().collect();
        for u in strays {
            self.reader.inventory.cut.get_or_insert(u.origin);
        }
        let mut spoils = std::mem::take(&mut self.spoils);
        spoils.extend(strays.iter().map(|u| (all.clone(), u.clone())));
        for (ids, u) in spoils {
            for id in self.groups.iter().filter(|g| ids.contains(*g)) {
                let group = self.reader.inventory.group_mut(id, u.origin);
                group.ingress.unknown.push(u.clone());
                group.egress.unknown.push(u.clone());
            }
            for acl in self.reader.inventory.acls.iter_mut().filter(|a| ids.contains(&a.id)) {
                acl.unknown.push(u.clone());
            }
            for list in self.reader.inventory.prefix_lists.iter_mut().filter(|l| ids.contains(&l.id)) {
                list.unknown.push(u.clone());
            }
        }
    }
}

/// Attributes that hold ids of groups which AWS itself makes: never one that the configuration makes.
const MADE_BESIDE: &[&str] =
    &["cluster_security_group_id", "default_security_group_id", "source_security_group_id"];

/// `sg-1`, or `123456789012/sg-1` of another account.
pub fn reference(id: &str) -> Reference {
    let (owner, group) = match id.split_once('/') {
        Some((o, g)) => (Some(o.to_owned()), g),
        None => (None, id),
    };
    Reference { group: group.to_owned(), owner, ..Reference::default() }
}

/// Whether a text can be the id of a group, as AWS gives them.
pub fn is_group_id(text: &str) -> bool {
    let id = text.rsplit('/').next().unwrap_or(text);
    id.strip_prefix("sg-")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}
