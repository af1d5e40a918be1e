//! Terraform: state files (version 4) and `terraform show -json` of states and plans.
//!
//! A group is known by its id; in a plan, where it has none yet, by its address (`module.net.aws_security_group.web`). What is known only after
//! apply is unknown, unless the configuration in the plan refers to a resource of the plan. Terraform removes the egress rule that the API gives
//! a fresh group (provider documentation, `aws_security_group`), so a group without egress blocks lets nothing out.

use super::api::{Apart, Reader};
use super::inventory::{
    Acl, AclEntry, Entry, Group, Interface, Peer, PrefixList, Reference, Rules, Subnet, Unknown,
};
use super::value::{member, number, service, short, string, text};
use crate::source::Diagnostic;
use crate::source::json::{Kind, Value};
use rustc_hash::FxHashMap;

// A resource instance.
struct Resource<'d> {
    address: String,
    module: String,
    kind: String,
    data: bool,
    values: Value<'d>,
    // Parallel to the values: true = known after apply.
    unknown: Option<Value<'d>>,
    // Expressions of the configuration; `None` = no configuration in the file.
    config: Option<Value<'d>>,
}

/// Whether a document is Terraform's.
pub fn is_terraform(v: Value<'_>) -> bool {
    let has = |key| v.get(key).is_some();
    (has("terraform_version") && (has("resources") || has("serial")))
        || (has("format_version") && (has("values") || has("planned_values")))
}

/// Whether a document holds resources that the dialect reads.
pub fn is_relevant(v: Value<'_>) -> bool {
    resources(v).iter().any(|r| {
        [
            "aws_security_group",
            "aws_default_security_group",
            "aws_vpc_security_group",
            "aws_network_acl",
            "aws_default_network_acl",
        ]
        .iter()
        .any(|k| r.kind.starts_with(k))
    })
}

/// Reads a state or plan.
pub fn read(reader: &mut Reader<'_>, document: Value<'_>) {
    let resources = resources(document);
    // Separate rules may name groups by address: the addresses of all groups, with their keys.
    let mut keys: FxHashMap<String, String> = FxHashMap::default();
    for r in resources.iter().filter(|r| !r.data && is_group(&r.kind)) {
        keys.insert(r.address.clone(), string(r.values, "id").unwrap_or_else(|| r.address.clone()));
    }
    let mut terraform = Terraform { reader, keys };
    for r in &resources {
        terraform.resource(r);
    }
}

fn is_group(kind: &str) -> bool {
    matches!(kind, "aws_security_group" | "aws_default_security_group")
}

fn resources(document: Value<'_>) -> Vec<Resource<'_>> {
    let mut out = Vec::new();
    if let Some(list) = document.get("resources") {
        for r in list.items() {
            state_resource(r, &mut out);
        }
        return out;
    }
    let planned = document.get("planned_values");
    let values = planned.or_else(|| document.get("values"));
    let mut unknown = FxHashMap::default();
    for change in document.get("resource_changes").into_iter().flat_map(|l| l.items()) {
        if let (Some(a), Some(c)) = (string(change, "address"), change.get("change"))
            && let Some(u) = c.get("after_unknown")
        {
            unknown.insert(a, u);
        }
    }
    let config = configurations(document);
    let mut modules: Vec<Value<'_>> = values.and_then(|v| v.get("root_module")).into_iter().collect();
    while let Some(m) = modules.pop() {
        let module = string(m, "address").unwrap_or_default();
        modules.extend(m.get("child_modules").into_iter().flat_map(|l| l.items()));
        for r in m.get("resources").into_iter().flat_map(|l| l.items()) {
            let (Some(address), Some(kind), Some(values)) =
                (string(r, "address"), string(r, "type"), r.get("values"))
            else {
                continue;
            };
            out.push(Resource {
                config: config.get(&without_indices(&address)).copied(),
                unknown: unknown.get(&address).copied(),
                module: module.clone(),
                kind,
                data: text(r, "mode").as_deref() == Some("data"),
                values,
                address,
            });
        }
    }
    out
}

fn state_resource<'d>(r: Value<'d>, out: &mut Vec<Resource<'d>>) {
    let (Some(kind), Some(name)) = (string(r, "type"), string(r, "name")) else { return };
    if !kind.starts_with("aws_") {
        return;
    }
    let module = string(r, "module").unwrap_or_default();
    let prefix = if module.is_empty() { String::new() } else { format!("{module}.") };
    for instance in r.get("instances").into_iter().flat_map(|l| l.items()) {
        let Some(values) = instance.get("attributes") else { continue };
        let index = instance.get("index_key").map(|i| format!("[{}]", i.raw())).unwrap_or_default();
        out.push(Resource {
            address: format!("{prefix}{kind}.{name}{index}"),
            module: module.clone(),
            kind: kind.clone(),
            data: text(r, "mode").as_deref() == Some("data"),
            values,
            unknown: None,
            config: None,
        });
    }
}

// Expressions of every resource of the configuration by address without indices.
fn configurations<'d>(document: Value<'d>) -> FxHashMap<String, Value<'d>> {
    let mut out = FxHashMap::default();
    let root = document.get("configuration").and_then(|c| c.get("root_module"));
    let mut modules: Vec<(String, Value<'d>)> = root.into_iter().map(|m| (String::new(), m)).collect();
    while let Some((prefix, module)) = modules.pop() {
        for (name, call) in module.get("module_calls").into_iter().flat_map(|c| c.members()) {
            if let (Some(name), Some(m)) = (name.str(), call.get("module")) {
                modules.push((format!("{prefix}module.{name}."), m));
            }
        }
        for r in module.get("resources").into_iter().flat_map(|l| l.items()) {
            if let (Some(a), Some(e)) = (string(r, "address"), r.get("expressions")) {
                out.insert(format!("{prefix}{a}"), e);
            }
        }
    }
    out
}

fn without_indices(address: &str) -> String {
    let mut out = String::with_capacity(address.len());
    let mut depth = 0usize;
    for c in address.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

// Whether something of a value is known only after apply.
fn pending(unknown: Option<Value<'_>>, key: &str) -> bool {
    let Some(start) = unknown.and_then(|u| u.get(key)) else { return false };
    let mut work = vec![start];
    while let Some(v) = work.pop() {
        if v.bool() == Some(true) {
            return true;
        }
        work.extend(v.items());
        work.extend(v.members().map(|(_, v)| v));
    }
    false
}

struct Terraform<'t, 'r> {
    reader: &'t mut Reader<'r>,
    keys: FxHashMap<String, String>,
}

impl Terraform<'_, '_> {
    fn resource(&mut self, r: &Resource<'_>) {
        match (r.kind.as_str(), r.data) {
            (k, false) if is_group(k) => self.group(r),
            ("aws_security_group_rule", false) => {
                let egress = match text(r.values, "type").as_deref() {
                    Some("ingress") => false,
                    Some("egress") => true,
                    _ => return self.misplaced(r, "its type is neither ingress nor egress"),
                };
                self.rule(r, egress);
            }
            ("aws_vpc_security_group_ingress_rule", false) => self.rule(r, false),
            ("aws_vpc_security_group_egress_rule", false) => self.rule(r, true),
            ("aws_ec2_managed_prefix_list" | "aws_prefix_list", _) => self.prefix_list(r),
            ("aws_ec2_managed_prefix_list_entry", false) => self.prefix_list_entry(r),
            ("aws_network_interface" | "aws_instance", _) => self.interface(r),
            ("aws_subnet", _) => self.subnet(r),
            ("aws_network_acl" | "aws_default_network_acl", false) => self.acl(r),
            ("aws_network_acl_rule", false) => self.acl_rule(r),
            _ => {}
        }
    }

    fn misplaced(&mut self, r: &Resource<'_>, why: &str) {
        let origin = r.values.origin(self.reader.file);
        self.reader.diagnostics.push(Diagnostic::error(origin, format!("{}: {why}", r.address)));
    }

    fn group(&mut self, r: &Resource<'_>) {
        let key = self.keys.get(&r.address).cloned().unwrap_or_else(|| r.address.clone());
        let mut group = Group {
            name: string(r.values, "name").or_else(|| Some(r.address.clone())),
            vpc: string(r.values, "vpc_id"),
            owner: string(r.values, "ownerid"),
            description: string(r.values, "description"),
            described: true,
            ingress: self.rules(r, &key, "ingress"),
            egress: self.rules(r, &key, "egress"),
            ..Group::named(&key, self.reader.place(r.values, &["name", "id"]))
        };
        if let Some(u) = self.reader.unreliable(r.values) {
            group.ingress.unknown.push(u.clone());
            group.egress.unknown.push(u);
        }
        self.reader.define(group);
    }

    fn rules(&mut self, r: &Resource<'_>, key: &str, direction: &str) -> Rules {
        let mut rules = Rules::default();
        let origin = r.values.origin(self.reader.file);
        let unknown = |text: String, why: &str| Unknown { text, why: why.to_owned(), origin };
        let list = r.values.get(direction).filter(|l| !l.is_null());
        let Some(list) = list else {
            // In a plan, nothing is written of blocks that the configuration does not have.
            let blocks = r.config.map(|c| c.get(direction).is_some());
            if blocks != Some(false) {
                let text = format!("{direction} of {}", r.address);
                rules.unknown.push(unknown(text, "it is known only after apply, or missing"));
            }
            return rules;
        };
        if let Err(u) = self.reader.expect_list(list, direction) {
            rules.unknown.push(u);
            return rules;
        }
        let pending_list = r.unknown.and_then(|u| u.get(direction));
        if pending_list.and_then(|p| p.bool()) == Some(true) {
            let text = format!("{direction} of {}", r.address);
            rules.unknown.push(unknown(text, "it is known only after apply"));
        }
        let mut pending_items = pending_list.into_iter().flat_map(|l| l.items());
        for item in list.items() {
            self.entries(item, pending_items.next(), None, key, &mut rules.entries);
        }
        rules
    }

    // The entries of a block or rule resource.
    fn entries(
        &mut self,
        v: Value<'_>,
        unknown: Option<Value<'_>>,
        resource: Option<&Resource<'_>>,
        own: &str,
        out: &mut Vec<Entry>,
    ) {
        let file = self.reader.file;
        let protocol = v.get("ip_protocol").or_else(|| v.get("protocol"));
        let s = service(protocol, v.get("from_port"), v.get("to_port"));
        let service = self.reader.understood(s, v);
        let description = string(v, "description");
        let mut peers = Vec::new();
        for (key, v6) in [("cidr_blocks", false), ("ipv6_cidr_blocks", true)] {
            for c in v.get(key).into_iter().flat_map(|l| l.items()) {
                peers.push((c.origin(file), self.reader.net(c, &[], v6)));
            }
        }
        for (key, v6) in [("cidr_ipv4", false), ("cidr_ipv6", true)] {
            if let Some(c) =
                v.get(key).filter(|c| c.kind() == Kind::String && c.str().is_some_and(|s| !s.is_empty()))
            {
                peers.push((c.origin(file), self.reader.net(c, &[], v6)));
            }
        }
        let lists = v.get("prefix_list_ids").into_iter().flat_map(|l| l.items());
        for p in lists.chain(v.get("prefix_list_id")) {
            if let Some(id) = p.str().filter(|s| !s.is_empty()) {
                peers.push((p.origin(file), Peer::PrefixList(id.into_owned())));
            }
        }
        let groups = v.get("security_groups").into_iter().flat_map(|l| l.items());
        for g in groups.chain(v.get("source_security_group_id")).chain(v.get("referenced_security_group_id"))
        {
            if let Some(id) = g.str().filter(|s| !s.is_empty()) {
                peers.push((g.origin(file), Peer::Group(reference(&id))));
            }
        }
        if let Some(s) = v.get("self").filter(|s| s.bool() == Some(true)) {
            peers.push((s.origin(file), Peer::Group(reference(own))));
        }
        for key in [
            "cidr_blocks",
            "ipv6_cidr_blocks",
            "cidr_ipv4",
            "cidr_ipv6",
            "prefix_list_ids",
            "prefix_list_id",
            "security_groups",
            "source_security_group_id",
            "referenced_security_group_id",
            "self",
        ] {
            if pending(unknown, key) {
                let peer = match resource.and_then(|r| self.referred(r, key)).as_deref() {
                    Some([one]) if key.ends_with("security_group_id") => Peer::Group(reference(one)),
                    _ => Peer::Unknown(
                        format!("{key} of this rule"),
                        "it is known only after apply".to_owned(),
                    ),
                };
                peers.push((v.origin(file), peer));
            }
        }
        for (origin, peer) in peers {
            out.push(Entry {
                origin,
                service: service.clone(),
                peer,
                description: description.clone(),
                only_if: None,
            });
        }
    }

    // The keys of the groups to which an expression refers.
    fn referred(&self, r: &Resource<'_>, key: &str) -> Option<Vec<String>> {
        let references = r.config?.get(key)?.get("references")?;
        let prefix =
            if r.module.is_empty() { String::new() } else { format!("{}.", without_indices(&r.module)) };
        let mut out = Vec::new();
        for name in references.items().filter_map(|n| n.str().map(|s| s.into_owned())) {
            let address = format!("{prefix}{}", without_indices(&name));
            for (a, k) in &self.keys {
                if without_indices(a) == address && !out.contains(k) {
                    out.push(k.clone());
                }
            }
        }
        out.sort();
        Some(out)
    }

    fn rule(&mut self, r: &Resource<'_>, egress: bool) {
        let candidates = match string(r.values, "security_group_id") {
            Some(id) => vec![id],
            None => self.referred(r, "security_group_id").unwrap_or_default(),
        };
        let candidates = if candidates.is_empty() {
            self.misplaced(r, "its security group is not known before apply, so it may belong to any group");
            let mut all: Vec<_> = self.keys.values().cloned().collect();
            all.sort();
            all
        } else {
            candidates
        };
        let unsure = candidates.len() > 1;
        for group in candidates {
            let mut entries = Vec::new();
            self.entries(r.values, r.unknown, Some(r), &group, &mut entries);
            for mut entry in entries {
                entry.only_if = self.reader.unreliable(r.values).or_else(|| {
                    unsure.then(|| Unknown {
                        text: format!("the security group of {}", r.address),
                        why: "it is known only after apply".to_owned(),
                        origin: entry.origin,
                    })
                });
                self.reader.apart.push(Apart { group: group.clone(), egress, entry, complete: false });
            }
        }
    }

    fn prefix_list(&mut self, r: &Resource<'_>) {
        let origin = r.values.origin(self.reader.file);
        let id = string(r.values, "id").unwrap_or_else(|| r.address.clone());
        let mut list = PrefixList { id, entries: Vec::new(), unknown: Vec::new(), origin };
        for key in ["entry", "entries", "cidr_blocks"] {
            for e in r.values.get(key).into_iter().flat_map(|l| l.items()) {
                self.add_cidr(&mut list, e);
            }
            if pending(r.unknown, key) {
                let why = "they are known only after apply".to_owned();
                list.unknown.push(Unknown { text: format!("entries of {}", r.address), why, origin });
            }
        }
        self.reader.add_prefix_list(list);
    }

    fn add_cidr(&mut self, list: &mut PrefixList, e: Value<'_>) {
        let origin = e.origin(self.reader.file);
        let at = member(e, "cidr").unwrap_or(e);
        let v6 = at.str().is_some_and(|s| s.contains(':'));
        match self.reader.net(at, &[], v6) {
            Peer::Net(net) => list.entries.push((net, origin)),
            Peer::Unknown(text, why) => list.unknown.push(Unknown { text, why, origin }),
            _ => {}
        }
    }

    fn prefix_list_entry(&mut self, r: &Resource<'_>) {
        let Some(id) = string(r.values, "prefix_list_id") else { return };
        let origin = r.values.origin(self.reader.file);
        let mut list = PrefixList { id, entries: Vec::new(), unknown: Vec::new(), origin };
        self.add_cidr(&mut list, r.values);
        self.reader.add_prefix_list(list);
    }

    fn interface(&mut self, r: &Resource<'_>) {
        let v = r.values;
        let file = self.reader.file;
        let texts = |keys: &[&str]| -> Vec<String> {
            let of = |v: Value<'_>| v.str().filter(|s| !s.is_empty()).map(|s| s.into_owned());
            keys.iter()
                .filter_map(|k| v.get(k))
                .flat_map(|v| of(v).into_iter().chain(v.items().filter_map(of)))
                .collect()
        };
        let own = texts(&[
            "private_ip",
            "private_ips",
            "secondary_private_ips",
            "ipv6_addresses",
            "ipv4_prefixes",
            "ipv6_prefixes",
        ]);
        if own.is_empty() {
            return;
        }
        let key = if r.kind == "aws_instance" { "vpc_security_group_ids" } else { "security_groups" };
        let groups = v.get(key).filter(|l| l.kind() == Kind::Array && !pending(r.unknown, key));
        let one = |g: Value<'_>| g.str().map(|s| (s.into_owned(), g.origin(file)));
        let interface = Interface {
            id: string(v, "primary_network_interface_id")
                .or_else(|| string(v, "id"))
                .unwrap_or_else(|| r.address.clone()),
            groups: groups.and_then(|l| l.items().map(one).collect()),
            vpc: None,
            subnet: string(v, "subnet_id"),
            addresses: self.reader.set(own.iter().map(String::as_str), v),
            public: self.reader.set(texts(&["public_ip"]).iter().map(String::as_str), v),
            origin: v.origin(file),
        };
        self.reader.add_interface(interface);
    }

    fn subnet(&mut self, r: &Resource<'_>) {
        let Some(id) = string(r.values, "id") else { return };
        let texts: Vec<_> =
            ["cidr_block", "ipv6_cidr_block"].iter().filter_map(|k| string(r.values, k)).collect();
        let addresses = self.reader.set(texts.iter().map(String::as_str), r.values);
        self.reader.inventory.subnets.push(Subnet { id, addresses });
    }

    fn acl(&mut self, r: &Resource<'_>) {
        let origin = r.values.origin(self.reader.file);
        let mut acl = Acl {
            id: string(r.values, "id").unwrap_or_else(|| r.address.clone()),
            default: r.kind == "aws_default_network_acl",
            subnets: None,
            entries: Vec::new(),
            unknown: self.reader.unreliable(r.values).into_iter().collect(),
            origin,
        };
        if let Some(list) = r
            .values
            .get("subnet_ids")
            .filter(|l| l.kind() == Kind::Array && !pending(r.unknown, "subnet_ids"))
        {
            acl.subnets = Some(list.items().filter_map(|s| s.str().map(|s| s.into_owned())).collect());
        }
        for (key, egress) in [("ingress", false), ("egress", true)] {
            let list = r.values.get(key).filter(|l| l.kind() == Kind::Array);
            if list.is_none() || pending(r.unknown, key) {
                let why = "it is known only after apply, or missing".to_owned();
                acl.unknown.push(Unknown { text: format!("{key} of {}", r.address), why, origin });
            }
            for e in list.into_iter().flat_map(|l| l.items()) {
                match self.acl_entry(e, egress, "rule_no", "action") {
                    Some(e) => acl.entries.push(e),
                    None => acl.unknown.push(Unknown {
                        text: format!("an entry of {}", acl.id),
                        why: "its number or action is not understood".to_owned(),
                        origin: e.origin(self.reader.file),
                    }),
                }
            }
        }
        self.reader.add_acl(acl);
    }

    fn acl_entry(&mut self, v: Value<'_>, egress: bool, order: &str, action: &str) -> Option<AclEntry> {
        let icmp = super::value::parse_protocol(v.get("protocol")).is_ok_and(|p| matches!(p.1, Some(1 | 58)));
        let (from, to) = if icmp { ("icmp_type", "icmp_code") } else { ("from_port", "to_port") };
        let s = service(v.get("protocol"), v.get(from), v.get(to));
        let service = self.reader.understood(s, v);
        let peer = match (text(v, "cidrblock"), text(v, "ipv6cidrblock")) {
            (Some(c), None) => self.reader.prefix(&c, v, false),
            (None, Some(c)) => self.reader.prefix(&c, v, true),
            _ => Peer::Unknown(short(&v.raw()), "an entry needs one prefix".to_owned()),
        };
        let number = number(v.get(order)).ok().flatten().and_then(|n| u32::try_from(n).ok())?;
        let allow = match text(v, action)?.as_ref() {
            "allow" => true,
            "deny" => false,
            _ => return None,
        };
        Some(AclEntry { number, egress, allow, service, peer, origin: v.origin(self.reader.file) })
    }

    fn acl_rule(&mut self, r: &Resource<'_>) {
        let Some(id) = string(r.values, "network_acl_id") else {
            return self.misplaced(r, "its network ACL is not known before apply");
        };
        let egress = r.values.get("egress").and_then(|e| e.bool()).unwrap_or(false);
        match self.acl_entry(r.values, egress, "rule_number", "rule_action") {
            Some(entry) => self.reader.acl_apart.push((id, entry)),
            None => self.misplaced(r, "its number or action is not understood"),
        }
    }
}

// `sg-1`, or `123456789012/sg-1` of another account.
fn reference(id: &str) -> Reference {
    let (owner, group) = match id.split_once('/') {
        Some((o, g)) => (Some(o.to_owned()), g),
        None => (None, id),
    };
    Reference { group: group.to_owned(), owner, ..Reference::default() }
}
