//! AWS: security groups and network ACLs, from answers of the EC2 API and from infrastructure code.
//!
//! All answers of the API in a folder are one firewall: groups, to what they are attached, prefix lists. Each template and each state or plan
//! is a world of its own. `document` tells what a file is; `api`, `companions`, `terraform` and `cloudformation` read it into one
//! [`Inventory`] in the words of the API, by way of a `reader` that notes what nobody read; [`lower`] makes the model of it. The inventory
//! stays in [`Firewall::native`] for the checks.

mod acl;
mod api;
mod cloudformation;
mod companions;
mod document;
pub mod inventory;
mod item;
mod known;
mod lower;
mod reader;
pub mod routes;
pub mod suggest;
mod terraform;
mod value;

use super::{Dialect, Grouping, Missing, ReadOptions, Role, Suggestion, World};
use crate::model::Firewall;
use crate::source::json::Document;
use crate::source::{Diagnostic, Origin, SourceFile, yaml};
use document::{form_of, role_of};
use inventory::{Acl, AclEntry, Form, Group, Inventory, Peer, Service, Unknown};
use memchr::memmem;
use reader::{Apart, Reader};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// The dialect.
pub struct Aws;

impl Dialect for Aws {
    fn names(&self) -> &'static [&'static str] {
        &["aws"]
    }

    fn detect(&self, content: &[u8]) -> Option<Role> {
        if !is_json(content)
            && let Some(role) = terraform::hcl::detect(content)
        {
            return Some(role);
        }
        let document = parse(content)?;
        let mut role = None;
        for root in document.roots().take(8) {
            match role_of(root) {
                Some(Role::Rules) => return Some(Role::Rules),
                other => role = role.or(other),
            }
        }
        role
    }

    fn grouping(&self) -> Grouping {
        Grouping::Together
    }

    fn claims(&self, name: &str, named: bool) -> Option<(Role, World)> {
        let values = terraform::hcl::is_values(name) && (named || terraform::hcl::is_loaded(name));
        values.then_some((Role::Companion, World::Folder))
    }

    fn world(&self, content: &[u8]) -> World {
        let Some(document) = parse(content) else { return World::Folder };
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
            let yaml = || parse(file.bytes()).is_some_and(|d| d.roots().any(|r| role_of(r).is_some()));
            let values = terraform::hcl::is_values(&file.path);
            if values || !is_json(file.bytes()) && !yaml() && terraform::hcl::is_configuration(file) {
                inventory.forms.push(Form::Terraform);
                configurations.push((number, &**file));
                continue;
            }
            let document = if is_json(file.bytes()) {
                Document::parse_stream(file.bytes())
            } else {
                yaml::parse(file.bytes())
            };
            inventory.forms.push(document.roots().next().map_or(Form::Api, form_of));
            diagnostics.extend(document.problems().iter().map(|p| p.diagnostic(number)));
            diagnostics.extend(second_document(&document, number));
            document.forget();
            let mut reader = Reader::new(&mut inventory, &mut diagnostics, number, &file.path);
            reader.duplicates = document.duplicates();
            (reader.text, reader.parameters) = (file.bytes(), &options.parameters);
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

// A text that is JSON, or may be YAML of AWS.
fn parse(content: &[u8]) -> Option<Document<'_>> {
    match is_json(content) {
        true => Some(Document::parse_stream(content)),
        false => may_be_yaml(content).then(|| yaml::parse(content)),
    }
}

// Whether a text may be YAML of AWS: what is more costly is asked only of those.
fn may_be_yaml(content: &[u8]) -> bool {
    const SIGNS: [&[u8]; 10] = [
        b"AWS::EC2::",
        b"GroupId:",
        b"IpPermissions:",
        b"SecurityGroupRules:",
        b"NetworkAcls:",
        b"NetworkInterfaces:",
        b"PrefixListId:",
        b"RouteTableId:",
        b"SubnetId:",
        b"Cidr:",
    ];
    !content.starts_with(b"<")
        && !content.contains(&0)
        && SIGNS.iter().any(|s| memmem::find(content, s).is_some())
}

// CloudFormation takes one document a file.
fn second_document(document: &Document<'_>, file: usize) -> Option<Diagnostic> {
    let roots: Vec<_> = document.roots().take(2).collect();
    let template = roots.iter().any(|r| form_of(*r) == Form::CloudFormation);
    let second = roots.get(1).filter(|_| template)?;
    let message = "a second document in one file: a template of CloudFormation is a single one";
    Some(Diagnostic::error(second.origin(file), message).help("put each template into a file of its own"))
}

// Puts entries and subnets that stand apart into their network ACLs.
fn settle_acls(inventory: &mut Inventory, entries: Vec<(String, AclEntry)>, subnets: Vec<(String, String)>) {
    let mut at_of: FxHashMap<String, usize> = FxHashMap::default();
    for (at, acl) in inventory.acls.iter().enumerate() {
        at_of.entry(acl.id.clone()).or_insert(at);
    }
    for (id, entry) in entries {
        let at = *at_of.entry(id).or_insert_with_key(|id| {
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
        if let Some(acl) = at_of.get(&id).and_then(|at| inventory.acls.get_mut(*at)) {
            acl.subnets.get_or_insert_default().push(subnet);
        }
    }
}

// Puts rules that stand apart into their groups, resolves references by name, and names groups that nothing describes.
fn settle(inventory: &mut Inventory, apart: Vec<Apart>) {
    let mut listed: Vec<usize> = Vec::new();
    // Of each list of rules to which one is added: what they say.
    let mut said: FxHashMap<(String, bool), FxHashSet<(Service, Peer)>> = FxHashMap::default();
    for rule in apart {
        let known = inventory.group_index(&rule.group);
        let group = inventory.group_mut(&rule.group, rule.entry.origin);
        let rules = if rule.egress { &mut group.egress } else { &mut group.ingress };
        if !group.described && !rule.complete && rules.unknown.is_empty() {
            rules.unknown.push(Unknown {
                text: format!("the other rules of {}", rule.group),
                why: "the file adds rules to this group, and does not list all that it has".to_owned(),
                origin: rule.entry.origin,
            });
        }
        let what = |e: &inventory::Entry| (e.service.clone(), e.peer.clone());
        let said = said
            .entry((rule.group.clone(), rule.egress))
            .or_insert_with(|| rules.entries.iter().map(what).collect());
        if said.insert(what(&rule.entry)) {
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
    let attached: Vec<_> =
        inventory.interfaces.iter().flat_map(|i| i.groups.iter().flatten().cloned()).collect();
    for (id, origin) in attached {
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

// Groups that the deployment says are attached, and that no file describes.
fn declared(inventory: &mut Inventory, attached: &[String], diagnostics: &mut Vec<Diagnostic>) {
    for id in attached.iter().filter(|w| inventory.group(w).is_none_or(|g| !g.described)).collect::<Vec<_>>()
    {
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
