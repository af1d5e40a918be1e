//! AWS: security groups and network ACLs, from answers of the EC2 API and from infrastructure code.
//!
//! All files of a folder are one firewall: groups, who wears them, prefix lists. [`api`], `terraform` and `cloudformation` read them into one
//! [`Inventory`] in the words of the API; [`lower`] makes the model of it. The inventory stays in
//! [`Firewall::native`] for the checks.

mod acl;
pub mod api;
mod cloudformation;
mod companions;
pub mod inventory;
mod item;
mod lower;
pub mod suggest;
mod terraform;
mod value;

use super::{Dialect, Grouping, Missing, ReadOptions, Role, Suggestion, World};
use crate::model::Firewall;
use crate::source::json::{Document, Kind, Value};
use crate::source::{Diagnostic, Origin, SourceFile};
use api::Reader;
use inventory::{Acl, AclEntry, Form, Group, Inventory, Peer, Unknown};
use item::Item;
use std::sync::Arc;
use value::{is_key, member, text};

/// The dialect.
pub struct Aws;

impl Dialect for Aws {
    fn names(&self) -> &'static [&'static str] {
        &["aws"]
    }

    fn detect(&self, content: &[u8]) -> Option<Role> {
        if !is_json(content) {
            return terraform::hcl::detect(content);
        }
        let document = Document::parse_stream(content);
        let mut role = None;
        for root in document.roots().take(8) {
            match role_of(root, 4) {
                Some(Role::Rules) => return Some(Role::Rules),
                other => role = role.or(other),
            }
        }
        role
    }

    fn grouping(&self) -> Grouping {
        Grouping::Together
    }

    fn claims(&self, name: &str, named: bool) -> Option<Role> {
        let values = terraform::hcl::is_values(name) && (named || terraform::hcl::is_loaded(name));
        values.then_some(Role::Companion)
    }

    fn world(&self, content: &[u8]) -> World {
        if !is_json(content) {
            return World::Folder;
        }
        let document = Document::parse_stream(content);
        match document.roots().next().map_or(Form::Api, form_of) {
            Form::Api => World::Shared,
            Form::Terraform | Form::CloudFormation => World::Own,
        }
    }

    fn reads(&self, file: &SourceFile) -> Vec<String> {
        terraform::hcl::local_modules(file)
    }

    fn read(&self, files: &[Arc<SourceFile>], options: &ReadOptions) -> Firewall {
        let mut inventory = Inventory::default();
        let mut diagnostics = Vec::new();
        let mut apart = Vec::new();
        let mut configurations = Vec::new();
        for (number, file) in files.iter().enumerate() {
            if !is_json(file.bytes()) && terraform::hcl::is_configuration(file) {
                inventory.forms.push(Form::Terraform);
                configurations.push((number, &**file));
                continue;
            }
            let document = Document::parse_stream(file.bytes());
            inventory.forms.push(document.roots().next().map_or(Form::Api, form_of));
            diagnostics.extend(document.problems().iter().map(|p| p.diagnostic(number)));
            let mut reader = Reader::new(&mut inventory, &mut diagnostics, number, &file.path);
            reader.duplicates = document.duplicates();
            for root in document.roots() {
                reader.document(root);
            }
            apart.append(&mut reader.apart);
            let (entries, subnets) =
                (std::mem::take(&mut reader.acl_apart), std::mem::take(&mut reader.acl_subnets));
            settle_acls(&mut inventory, entries, subnets);
        }
        if !configurations.is_empty() {
            let mut reader = Reader::new(&mut inventory, &mut diagnostics, 0, "");
            terraform::hcl::read(&mut reader, &configurations);
            apart.append(&mut reader.apart);
            let (entries, subnets) =
                (std::mem::take(&mut reader.acl_apart), std::mem::take(&mut reader.acl_subnets));
            settle_acls(&mut inventory, entries, subnets);
        }
        settle(&mut inventory, apart);
        declared(&mut inventory, &options.labels, &mut diagnostics);
        lower::lower(inventory, files, diagnostics, options)
    }

    fn suggest(&self, firewall: &Firewall, missing: &Missing<'_>) -> Option<Suggestion> {
        suggest::suggest(firewall, missing)
    }
}

// JSON begins with a bracket.
fn is_json(content: &[u8]) -> bool {
    let first = content.iter().find(|b| !b.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(b));
    matches!(first, Some(b'{' | b'['))
}

fn form_of(v: Value<'_>) -> Form {
    match () {
        () if terraform::is_terraform(v) => Form::Terraform,
        () if cloudformation::is_relevant(v) => Form::CloudFormation,
        () => Form::Api,
    }
}

// What part a document plays, by its outermost keys.
fn role_of(v: Value<'_>, depth: usize) -> Option<Role> {
    if v.kind() == Kind::Array && depth > 0 {
        return v.items().next().and_then(|i| role_of(i, depth - 1));
    }
    if terraform::is_terraform(v) {
        return terraform::is_relevant(v).then_some(Role::Rules);
    }
    if cloudformation::is_relevant(v) {
        return Some(Role::Rules);
    }
    match Item::of(v) {
        Some(Item::Group | Item::Rule | Item::Acl) => return Some(Role::Rules),
        Some(Item::Config) => {
            let kind = text(v, "resourcetype").unwrap_or_default();
            let rules = kind.ends_with("::SecurityGroup") || kind.ends_with("::NetworkAcl");
            return Some(if rules { Role::Rules } else { Role::Companion });
        }
        Some(_) => return Some(Role::Companion),
        None => {}
    }
    let mut role = None;
    for (key, value) in v.members() {
        // The key must be the API's, and the list, unless it is empty, hold what the API puts there.
        let list = |name: &str, inside: &str| {
            is_key(key, name)
                && (value.is_null()
                    || value.kind() == Kind::Array
                        && value.items().next().is_none_or(|i| member(i, inside).is_some() || i.is_cut()))
        };
        match () {
            () if list("securitygroups", "groupid")
                || list("securitygrouprules", "groupid")
                || list("networkacls", "networkaclid") =>
            {
                return Some(Role::Rules);
            }
            () if is_key(key, "configurationitems") || is_key(key, "rows") => {
                if let Some(r) =
                    value.items().next().filter(|_| depth > 0).and_then(|i| role_of(i, depth - 1))
                {
                    return Some(r);
                }
            }
            () if list("networkinterfaces", "networkinterfaceid")
                || list("reservations", "instances")
                || list("instances", "instanceid")
                || list("subnets", "subnetid")
                || list("prefixlists", "prefixlistid")
                || is_key(key, "entries")
                    && value.items().next().is_some_and(|i| member(i, "cidr").is_some())
                || key.bytes().starts_with(b"\"pl-") && member(value, "entries").is_some() =>
            {
                role = Some(Role::Companion);
            }
            () => {}
        }
    }
    role
}

// Puts entries and subnets that stand apart into their network ACLs.
fn settle_acls(inventory: &mut Inventory, entries: Vec<(String, AclEntry)>, subnets: Vec<(String, String)>) {
    for (id, entry) in entries {
        let at = inventory.acls.iter().position(|a| a.id == id).unwrap_or_else(|| {
            let unknown = Unknown {
                text: format!("the other entries of {id}"),
                why: "no file describes this network ACL".to_owned(),
                origin: entry.origin,
            };
            inventory.acls.push(Acl {
                id: id.clone(),
                default: false,
                subnets: None,
                entries: Vec::new(),
                unknown: vec![unknown],
                origin: entry.origin,
            });
            inventory.acls.len() - 1
        });
        let acl = &mut inventory.acls[at];
        if !acl
            .entries
            .iter()
            .any(|e| (e.egress, e.number) == (entry.egress, entry.number) && e.allow == entry.allow)
        {
            acl.entries.push(entry);
        }
    }
    for (id, subnet) in subnets {
        if let Some(acl) = inventory.acls.iter_mut().find(|a| a.id == id) {
            acl.subnets.get_or_insert_default().push(subnet);
        }
    }
}

// Puts rules that stand apart into their groups, resolves references by name, and names groups that nothing describes.
fn settle(inventory: &mut Inventory, apart: Vec<api::Apart>) {
    let mut listed: Vec<usize> = Vec::new();
    for rule in apart {
        let known = inventory.group_index(&rule.group);
        let group = inventory.group_mut(&rule.group, rule.entry.origin);
        let rules = if rule.egress { &mut group.egress } else { &mut group.ingress };
        if !group.described && !rule.complete && rules.unknown.is_empty() {
            rules.unknown.push(Unknown {
                text: format!("the other rules of {}", rule.group),
                why: "the file is the answer of a change, not a list of all rules".to_owned(),
                origin: rule.entry.origin,
            });
        }
        let same = |e: &inventory::Entry| e.service == rule.entry.service && e.peer == rule.entry.peer;
        if !rules.entries.iter().any(same) {
            rules.entries.push(rule.entry);
        }
        if known.is_none() {
            listed.extend(inventory.group_index(&rule.group));
        }
    }
    for at in listed {
        let group = &mut inventory.groups[at];
        group.described = true;
        // An answer to a change shows one direction; the other is then as unknown.
        let unknown = group.ingress.unknown.first().or(group.egress.unknown.first()).cloned();
        if let Some(u) = unknown {
            for rules in [&mut group.ingress, &mut group.egress] {
                if rules.unknown.is_empty() {
                    rules.unknown.push(u.clone());
                }
            }
        }
    }
    resolve_names(inventory);
    let worn: Vec<_> = inventory.interfaces.iter().flat_map(|i| i.groups.iter().flatten().cloned()).collect();
    for (id, origin) in worn {
        inventory.group_mut(&id, origin);
    }
    inventory.groups.iter_mut().filter(|g| !g.described).for_each(open);
}

// A group that is only named may let anything pass.
fn open(group: &mut Group) {
    let u = Unknown {
        text: format!("rules of {}", group.id),
        why: "no file describes this group: give describe-security-groups with it".to_owned(),
        origin: group.origin,
    };
    group.ingress.unknown.push(u.clone());
    group.egress.unknown.push(u);
}

// Groups that the deployment says are worn, and that no file describes.
fn declared(inventory: &mut Inventory, worn: &[String], diagnostics: &mut Vec<Diagnostic>) {
    for id in worn.iter().filter(|w| inventory.group(w).is_none_or(|g| !g.described)).collect::<Vec<_>>() {
        let message = format!("`security-groups` names {id}, which no file of the node describes");
        let help = "correct the deployment file, or give the dump that holds the group; what it lets through is undecided";
        diagnostics.push(Diagnostic::error(Origin::new(0, 0, 0), message).help(help));
        if inventory.group(id).is_none() {
            open(inventory.group_mut(id, Origin::new(0, 0, 0)));
        }
    }
}

// A reference by name means the group of that name in the same VPC.
fn resolve_names(inventory: &mut Inventory) {
    let names: Vec<(Option<String>, String, String)> = inventory
        .groups
        .iter()
        .filter_map(|g| Some((g.vpc.clone(), g.name.clone()?, g.id.clone())))
        .collect();
    let find = |group_vpc: &Option<String>, name: &str| {
        let mut found = names.iter().filter(|(vpc, n, _)| n == name && vpc == group_vpc).map(|(.., id)| id);
        let one = found.next()?;
        found.next().is_none().then(|| one.clone())
    };
    let entries = |g: &mut Group| -> Vec<(usize, usize, String)> {
        let mut out = Vec::new();
        for (d, rules) in [&g.ingress, &g.egress].into_iter().enumerate() {
            for (i, e) in rules.entries.iter().enumerate() {
                if let Peer::Group(r) = &e.peer
                    && r.group.is_empty()
                    && let Some(id) = r.name.as_deref().and_then(|n| find(&g.vpc, n))
                {
                    out.push((d, i, id));
                }
            }
        }
        out
    };
    for group in &mut inventory.groups {
        for (direction, at, id) in entries(group) {
            let rules = if direction == 0 { &mut group.ingress } else { &mut group.egress };
            if let Peer::Group(r) = &mut rules.entries[at].peer {
                r.group = id;
            }
        }
    }
}
