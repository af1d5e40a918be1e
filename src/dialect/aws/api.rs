//! Answers of the EC2 API, as the AWS CLI, SDKs, AWS Config and exporters write them.
//!
//! Shapes: EC2 service model 2016-11-15. Keys are recognised in any spelling ([`is_key`]); what is missing, null or of a wrong type is reported
//! and leaves the rules there unknown.

use super::companions::id_in;
use super::inventory::{AclEntry, Entry, Group, Inventory, Peer, Reference, Rules, Service, Unknown};
use super::item::Item;
use super::value::{is_key, member, prefix, service, short, string};
use super::{cloudformation, terraform};
use crate::source::json::{Kind, Value};
use crate::source::{Diagnostic, Origin};
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

/// How lists of values are nested in a document, at most: pages of reservations of instances.
const MAX_NESTING: usize = 4;

impl<'r> Reader<'r> {
    /// A reader of one file.
    pub fn new(
        inventory: &'r mut Inventory,
        diagnostics: &'r mut Vec<Diagnostic>,
        file: usize,
        path: &'r str,
    ) -> Self {
        let (apart, acl_apart, acl_subnets) = (Vec::new(), Vec::new(), Vec::new());
        Self { inventory, diagnostics, file, path, duplicates: &[], apart, acl_apart, acl_subnets }
    }
}

impl Reader<'_> {
    /// Reads a document of the API: an answer, a list of answers or items, or a single item.
    pub fn document(&mut self, v: Value<'_>) {
        self.nested(v, MAX_NESTING);
    }

    fn nested(&mut self, v: Value<'_>, depth: usize) {
        if terraform::is_terraform(v) {
            return terraform::read(self, v);
        }
        if cloudformation::is_relevant(v) {
            return cloudformation::read(self, v);
        }
        match v.kind() {
            Kind::Array if depth > 0 => v.items().for_each(|i| self.nested(i, depth - 1)),
            Kind::Object if !self.item(v) => self.answer(v, depth),
            _ => {}
        }
    }

    // An object that is an item itself.
    fn item(&mut self, v: Value<'_>) -> bool {
        match Item::of(v) {
            Some(Item::Group) => self.group(v),
            Some(Item::Rule) => self.rule(v, true),
            Some(Item::Interface) => self.interface(v),
            Some(Item::Instance) => self.instance(v),
            Some(Item::Acl) => self.acl(v),
            Some(Item::Subnet) => self.subnet(v),
            Some(Item::PrefixList) => self.prefix_list(v, None),
            Some(Item::Config) => self.config(v),
            None => return false,
        }
        true
    }

    fn answer(&mut self, v: Value<'_>, depth: usize) {
        let partial = member(v, "return").is_some();
        for (key, value) in v.members() {
            let is = |name| is_key(key, name);
            match () {
                () if is("securitygroups") => self.each(value, "SecurityGroups", Self::group),
                () if is("securitygrouprules") => {
                    self.each(value, "SecurityGroupRules", |r, v| r.rule(v, !partial));
                }
                () if is("networkinterfaces") => self.each(value, "NetworkInterfaces", Self::interface),
                () if is("instances") => self.each(value, "Instances", Self::instance),
                () if is("reservations") => self.each(value, "Reservations", |r, v| {
                    if let Some(list) = member(v, "instances") {
                        r.each(list, "Instances", Self::instance);
                    }
                }),
                () if is("networkacls") => self.each(value, "NetworkAcls", Self::acl),
                () if is("subnets") => self.each(value, "Subnets", Self::subnet),
                () if is("prefixlists") => self.each(value, "PrefixLists", |r, v| r.prefix_list(v, None)),
                () if is("entries") => self.prefix_list(v, id_in(self.path)),
                () if is("configurationitems") || is("rows") => {
                    if depth > 0 {
                        value.items().for_each(|i| self.nested(i, depth - 1));
                    }
                }
                () if is("nexttoken") && !value.is_null() => self.goes_on(value),
                () => {
                    if let Some(id) = key.str().filter(|k| k.starts_with("pl-")) {
                        self.prefix_list(value, Some(id.into_owned()));
                    }
                }
            }
        }
    }

    fn goes_on(&mut self, token: Value<'_>) {
        let origin = token.origin(self.file);
        self.inventory.cut.get_or_insert(origin);
        self.diagnostics
            .push(Diagnostic::warning(origin, "a NextToken: this dump is only a part of the answer").help(
                "write it out again without --no-paginate and --max-items, or give all pages together",
            ));
    }

    pub(super) fn each(&mut self, list: Value<'_>, name: &str, mut read: impl FnMut(&mut Self, Value<'_>)) {
        let Ok(()) = self.expect_list(list, name) else { return };
        for item in list.items() {
            if item.kind() == Kind::Object {
                read(self, item);
            } else {
                self.wrong(item, name, "an object");
            }
        }
    }

    /// Reports a value that is no list.
    pub fn expect_list(&mut self, list: Value<'_>, name: &str) -> Result<(), Unknown> {
        if list.kind() == Kind::Array {
            return Ok(());
        }
        let help = if list.is_null() { "write [] if there is none" } else { "" };
        let origin = list.origin(self.file);
        let message = format!("`{name}` is {}, a list is expected", list.kind().words());
        self.diagnostics.push(Diagnostic::error(origin, message).help(help));
        Err(Unknown {
            text: format!("{name} of this file"),
            why: format!("{} stands where a list is expected", list.kind().words()),
            origin,
        })
    }

    pub(super) fn wrong(&mut self, item: Value<'_>, name: &str, expected: &str) -> Unknown {
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
        if memchr::memchr(b'\n', v.bytes()).is_none() {
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

    fn group(&mut self, v: Value<'_>) {
        let Some(id) = string(v, "groupid").or_else(|| string(v, "groupname")) else {
            let origin = v.origin(self.file);
            self.diagnostics.push(Diagnostic::error(origin, "a security group without GroupId"));
            return;
        };
        let mut group = Group {
            name: string(v, "groupname"),
            vpc: string(v, "vpcid"),
            owner: string(v, "ownerid"),
            description: string(v, "description"),
            described: true,
            ingress: self.permissions(v, "ippermissions", "IpPermissions"),
            egress: self.permissions(v, "ippermissionsegress", "IpPermissionsEgress"),
            ..Group::named(&id, self.place(v, &["groupid"]))
        };
        if let Some(u) = self.unreliable(v) {
            group.ingress.unknown.push(u.clone());
            group.egress.unknown.push(u);
        }
        self.define(group);
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

    fn permissions(&mut self, group: Value<'_>, key: &str, name: &str) -> Rules {
        let mut rules = Rules::default();
        let Some(list) = member(group, key) else {
            rules.unknown.push(Unknown {
                text: format!("{name} of this group"),
                why: format!("the file does not hold the key {name}"),
                origin: group.origin(self.file),
            });
            return rules;
        };
        match self.expect_list(list, name) {
            Err(u) => rules.unknown.push(u),
            Ok(()) => {
                for item in list.items() {
                    if item.kind() == Kind::Object {
                        self.permission(item, &mut rules);
                    } else {
                        let u = self.wrong(item, name, "a permission");
                        rules.unknown.push(u);
                    }
                }
            }
        }
        rules
    }

    fn permission(&mut self, v: Value<'_>, rules: &mut Rules) {
        let (mut protocol, mut from, mut to) = (None, None, None);
        let mut lists: [Option<Value<'_>>; 5] = [None; 5];
        for (key, value) in v.members() {
            let is = |name| is_key(key, name);
            match () {
                () if is("ipprotocol") => protocol = Some(value),
                () if is("fromport") => from = Some(value),
                () if is("toport") => to = Some(value),
                () if is("ipranges") => lists[0] = Some(value),
                () if is("ipv4ranges") => lists[1] = Some(value),
                () if is("ipv6ranges") => lists[2] = Some(value),
                () if is("prefixlistids") => lists[3] = Some(value),
                () if is("useridgrouppairs") => lists[4] = Some(value),
                () if value.kind() == Kind::Array && value.items().next().is_some() => {
                    rules.unknown.push(Unknown {
                        text: format!("{} of a permission", short(&key.raw())),
                        why: "havenlint does not know this kind of peer".to_owned(),
                        origin: key.origin(self.file),
                    });
                }
                () => {}
            }
        }
        // AWS Config writes the IPv4 ranges twice: as strings, and as objects, which carry the descriptions.
        if lists[1].is_some_and(|l| l.items().next().is_some()) {
            lists[0] = None;
        }
        let service = self.understood(service(protocol, from, to), v);
        const NAMES: [&str; 5] =
            ["IpRanges", "Ipv4Ranges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs"];
        for (i, list) in lists.into_iter().enumerate() {
            let Some(list) = list else { continue };
            if let Err(u) = self.expect_list(list, NAMES[i]) {
                rules.unknown.push(u);
                continue;
            }
            for item in list.items() {
                let peer = match i {
                    0 | 1 => self.net(item, &["cidrip", "cidripv4"], false),
                    2 => self.net(item, &["cidripv6"], true),
                    3 => match string(item, "prefixlistid").or_else(|| item.str().map(|s| s.into_owned())) {
                        Some(id) => Peer::PrefixList(id),
                        None => self.no_peer(item, "a prefix list without its id"),
                    },
                    _ => self.pair(item),
                };
                rules.entries.push(Entry {
                    origin: self.place(item, &["cidrip", "cidripv4", "cidripv6", "prefixlistid", "groupid"]),
                    service: service.clone(),
                    peer,
                    description: string(item, "description"),
                    only_if: None,
                });
            }
        }
    }

    /// Reports a service that is not understood.
    pub fn understood(&mut self, service: Service, v: Value<'_>) -> Service {
        if let Service::Unknown(text, why) = &service {
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
            Some(t) => self.prefix(&t, found, v6),
            None => self.no_peer(item, "an entry without a prefix"),
        }
    }

    /// A prefix of a family.
    pub fn prefix(&mut self, text: &str, at: Value<'_>, v6: bool) -> Peer {
        let origin = at.origin(self.file);
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
        let message = format!("{} is {wrong}", short(&at.raw()));
        self.diagnostics.push(Diagnostic::error(origin, message).help("what it lets through is undecided"));
        Peer::Unknown(short(&at.raw()), format!("it is {wrong}"))
    }

    pub(super) fn no_peer(&mut self, item: Value<'_>, what: &str) -> Peer {
        self.diagnostics.push(Diagnostic::error(item.origin(self.file), what));
        Peer::Unknown(short(&item.raw()), what.to_owned())
    }

    fn pair(&mut self, item: Value<'_>) -> Peer {
        let reference = Reference {
            group: string(item, "groupid").unwrap_or_default(),
            name: string(item, "groupname"),
            owner: string(item, "userid"),
            peering: string(item, "vpcpeeringconnectionid"),
            status: string(item, "peeringstatus"),
            unknown: None,
        };
        if reference.group.is_empty() && reference.name.is_none() {
            return self.no_peer(item, "a reference to a group without its id");
        }
        Peer::Group(reference)
    }

    // An item of describe-security-group-rules.
    fn rule(&mut self, v: Value<'_>, complete: bool) {
        let peers = ["cidripv4", "cidripv6", "prefixlistid", "referencedgroupinfo", "securitygroupruleid"];
        let origin = self.place(v, &peers);
        let Some(group) = string(v, "groupid") else {
            self.diagnostics
                .push(Diagnostic::error(origin, "a rule without GroupId: it belongs to no group"));
            return;
        };
        let only_if = self.unreliable(v);
        let egress = member(v, "isegress").and_then(|e| e.bool());
        let s = service(member(v, "ipprotocol"), member(v, "fromport"), member(v, "toport"));
        let service = self.understood(s, v);
        let peer = if let Some(c) = member(v, "cidripv4").filter(|c| !c.is_null()) {
            self.net(c, &[], false)
        } else if let Some(c) = member(v, "cidripv6").filter(|c| !c.is_null()) {
            self.net(c, &[], true)
        } else if let Some(id) = string(v, "prefixlistid") {
            Peer::PrefixList(id)
        } else if let Some(info) = member(v, "referencedgroupinfo").filter(|i| i.kind() == Kind::Object) {
            self.pair(info)
        } else {
            self.no_peer(v, "a rule without a peer")
        };
        let entry = Entry { origin, service, peer, description: string(v, "description"), only_if };
        match egress {
            Some(egress) => self.apart.push(Apart { group, egress, entry, complete }),
            None => {
                self.diagnostics
                    .push(Diagnostic::error(origin, "a rule without IsEgress: its direction is not known"));
                for egress in [false, true] {
                    let only_if = Some(Unknown {
                        text: "the direction of a rule".to_owned(),
                        why: "IsEgress is missing".to_owned(),
                        origin,
                    });
                    let entry = Entry { only_if, ..entry.clone() };
                    self.apart.push(Apart { group: group.clone(), egress, entry, complete });
                }
            }
        }
    }

    // An item of AWS Config.
    fn config(&mut self, v: Value<'_>) {
        let Some(inner) = member(v, "configuration") else { return };
        if inner.kind() == Kind::Object {
            self.item(inner);
        } else {
            let message = format!("`configuration` is {}, an object is expected", inner.kind().words());
            self.diagnostics.push(
                Diagnostic::error(inner.origin(self.file), message)
                    .help("AWS Config also writes it as text inside a string: unpack that, for example with jq fromjson"),
            );
        }
    }
}

// Joins two descriptions of the same rules; true if they differ. What only one of them has is uncertain.
fn merge(old: &mut Rules, new: Rules, origin: Origin) -> bool {
    let same = |a: &Entry, b: &Entry| a.service == b.service && a.peer == b.peer;
    let uncertain = |e: &mut Entry| {
        e.only_if.get_or_insert_with(|| Unknown {
            text: "which of two descriptions of the group is right".to_owned(),
            why: "the files describe the group twice, differently".to_owned(),
            origin,
        });
    };
    let mut differ = old.unknown.len() != new.unknown.len();
    for e in &mut old.entries {
        if !new.entries.iter().any(|n| same(n, e)) {
            uncertain(e);
            differ = true;
        }
    }
    for mut e in new.entries {
        if !old.entries.iter().any(|o| same(o, &e)) {
            uncertain(&mut e);
            old.entries.push(e);
            differ = true;
        }
    }
    old.unknown.extend(new.unknown);
    differ
}
