//! CloudFormation templates.
//!
//! A group is known by its logical id. Constants are put in place first ([`resolve`]); references to resources of the template are resolved;
//! other functions and parameters without a value are unknown until deployment; an `Fn::If` leaves both of its branches possible.

mod resolve;
mod rules;
mod types;

use super::inventory::{Acl, Group, Subnet, Unknown, Vpc};
use super::reader::Reader;
use super::value::{member, short, string};
use crate::source::json::{Kind, NoEffect, Value};
use crate::source::{Diagnostic, Origin};
use resolve::{Resolved, Truth, function};
use rustc_hash::FxHashMap;

const DEPLOYMENT: &str = "it is known only at deployment";

/// How deep sections are searched for resources.
const MAX_SECTIONS: usize = 4;

/// Whether a document is a template with resources that the dialect reads, wherever they stand.
pub fn is_relevant(v: Value<'_>) -> bool {
    (v.get("Resources").is_some() || v.get("AWSTemplateFormatVersion").is_some()) && mentions(v, MAX_SECTIONS)
}

// Whether a resource of a kind that is read stands in a value.
fn mentions(v: Value<'_>, depth: usize) -> bool {
    let kind = |t: Value<'_>| t.str().is_some_and(|t| is_read(&t));
    match v.kind() {
        Kind::Object => {
            v.get("Type").is_some_and(kind) || depth > 0 && v.members().any(|(_, m)| mentions(m, depth - 1))
        }
        Kind::Array => depth > 0 && v.items().any(|i| mentions(i, depth - 1)),
        _ => false,
    }
}

fn is_read(kind: &str) -> bool {
    kind.starts_with("AWS::EC2::SecurityGroup") || kind.starts_with("AWS::EC2::NetworkAcl")
}

/// Reads a template.
pub fn read(reader: &mut Reader<'_>, document: Value<'_>) {
    let resolved = resolve::resolve(document, reader.parameters);
    document.settle();
    if let Some(root) = resolved.document.root() {
        let resources = root.get("Resources");
        let kinds = resources
            .into_iter()
            .flat_map(|r| r.members())
            .filter_map(|(id, r)| Some((id.str()?.into_owned(), r.get("Type")?.str()?.into_owned())));
        let mut template = Template { reader, kinds: kinds.collect(), resolved: &resolved };
        template.root(root);
    }
}

struct Template<'t, 'r> {
    reader: &'t mut Reader<'r>,
    // Types of the resources by logical id.
    kinds: FxHashMap<String, String>,
    resolved: &'t Resolved,
}

// A property that may be a function.
enum Known {
    Text(String),
    // A resource or parameter, and its attribute.
    Resource(String, Option<String>),
    Open(String),
}

fn known(v: Value<'_>) -> Known {
    if let Some(text) = v.scalar() {
        return Known::Text(text.into_owned());
    }
    let open = || {
        v.settle();
        Known::Open(short(&v.raw()))
    };
    let Some((name, argument)) = function(v) else { return open() };
    let named = |text: &str| match text.split_once('.') {
        Some((id, attribute)) => Known::Resource(id.to_owned(), Some(attribute.to_owned())),
        None => Known::Resource(text.to_owned(), None),
    };
    match name.as_ref() {
        "Ref" => match argument.str().filter(|r| !r.starts_with("AWS::")) {
            Some(id) => Known::Resource(id.into_owned(), None),
            None => open(),
        },
        "Fn::GetAtt" => {
            let parts: Option<Vec<String>> =
                argument.items().map(|n| n.str().map(|s| s.into_owned())).collect();
            match (argument.str(), parts) {
                (Some(text), _) => named(&text),
                (None, Some(parts)) if parts.len() >= 2 => {
                    Known::Resource(parts[0].clone(), Some(parts[1..].join(".")))
                }
                _ => open(),
            }
        }
        "Fn::Sub" => match argument.str().as_deref().and_then(|t| t.strip_prefix("${")?.strip_suffix('}')) {
            Some(inner) if !inner.contains(['$', '!', ':', '}']) => named(inner),
            _ => open(),
        },
        _ => open(),
    }
}

/// Keys of a resource and its properties that make no rules.
const RESOURCE: &[NoEffect] = &[
    NoEffect {
        why: "notes for people",
        keys: &["groupdescription", "description", "tags", "metadata", "groupname"],
    },
    NoEffect {
        why: "when and how the resource is made and deleted",
        keys: &["dependson", "deletionpolicy", "updatereplacepolicy", "creationpolicy", "updatepolicy"],
    },
    NoEffect { why: "where it belongs", keys: &["vpcid"] },
];

impl Template<'_, '_> {
    fn origin(&self, v: Value<'_>) -> Origin {
        v.origin(self.reader.file)
    }

    // A resource, by its type where it goes over several lines.
    fn place(&self, r: Value<'_>) -> Origin {
        self.reader.place(r, &["type"])
    }

    fn root(&mut self, root: Value<'_>) {
        self.transforms(root);
        let Some(resources) = root.get("Resources") else {
            return self.reader.doubt_leftovers(root, &[]);
        };
        // What stands apart is put into groups and network ACLs: those first.
        let whole = |(_, r): &(Value<'_>, Value<'_>)| {
            let kind = string(*r, "type").unwrap_or_default();
            kind == "AWS::EC2::SecurityGroup" || kind == "AWS::EC2::NetworkAcl"
        };
        let (first, then): (Vec<_>, Vec<_>) = resources.members().partition(whole);
        for (id, r) in first.into_iter().chain(then) {
            let id = id.str().unwrap_or_default().into_owned();
            match self.kinds.get(&id).cloned() {
                Some(kind) => self.resource(&id, &kind, r),
                None => self.no_resource(&id, r),
            }
        }
        if root.is_cut() || resources.is_cut() {
            let origin = self.origin(resources);
            let why = "the file ends or breaks inside the template".to_owned();
            self.reader.doubt(Unknown { text: "the rest of the template".to_owned(), why, origin });
        }
        self.reader.doubt_leftovers(root, &[]);
    }

    fn transforms(&mut self, root: Value<'_>) {
        let Some(transform) = root.get("Transform") else { return };
        let harmless = |t: Value<'_>| t.str().is_some_and(|t| types::TRANSFORMS.contains(&t.as_ref()));
        let all = match transform.kind() {
            Kind::Array => transform.items().all(harmless),
            _ => harmless(transform),
        };
        transform.settle();
        if !all {
            let text = format!("Transform {}", short(&transform.raw()));
            self.macro_(transform, text, "a macro may add or change any resource");
        }
    }

    fn macro_(&mut self, v: Value<'_>, text: String, why: &str) {
        let origin = self.origin(v);
        self.reader.diagnostics.push(
            Diagnostic::warning(origin, format!("{text}: {why}")).help(
                "give the processed template: aws cloudformation get-template --template-stage Processed",
            ),
        );
        self.reader.doubt(Unknown { text, why: why.to_owned(), origin });
    }

    // Something among the resources that is none: a loop over what is no constant list, a macro, or broken.
    fn no_resource(&mut self, id: &str, r: Value<'_>) {
        let raw = r.raw();
        let harmless = id.starts_with("Fn::ForEach::")
            && raw.contains("\"AWS::")
            && !raw.contains("AWS::EC2::")
            && !raw.contains("Fn::Transform");
        r.settle();
        if harmless {
            return;
        }
        match id.starts_with("Fn::") {
            true => {
                self.macro_(r, short(id), "what it makes is not evaluated, and may be rules of any group")
            }
            false => self.reader.nameless(r, &format!("the resource {id} has no type that can be read")),
        }
    }

    fn resource(&mut self, id: &str, kind: &str, r: Value<'_>) {
        if matches!(kind, "AWS::EC2::VPC" | "AWS::EC2::VPCCidrBlock") {
            return self.vpc(id, r);
        }
        if matches!(kind, "AWS::CloudFormation::Stack" | "AWS::Serverless::Application") {
            return self.nested(id, r);
        }
        if types::is_harmless(kind) {
            return r.settle();
        }
        let p = r.get("Properties").unwrap_or(r);
        match kind {
            "AWS::EC2::SecurityGroup" => self.group(id, r, p),
            "AWS::EC2::SecurityGroupIngress" => self.rule(id, r, p, false),
            "AWS::EC2::SecurityGroupEgress" => self.rule(id, r, p, true),
            // Another network in which the group may be attached: its rules stay what they are.
            "AWS::EC2::SecurityGroupVpcAssociation" => r.settle(),
            "AWS::EC2::Subnet" => self.subnet(id, r, p),
            "AWS::EC2::PrefixList" => {
                self.reader.named_prefix_list(p, id);
                self.condition(r);
                self.reader.doubt_leftovers(r, RESOURCE);
            }
            "AWS::EC2::NetworkAcl" => self.acl(id, r),
            "AWS::EC2::NetworkAclEntry" => self.acl_entry(id, r, p),
            "AWS::EC2::SubnetNetworkAclAssociation" => self.association(id, r, p),
            _ => self.reader.nameless(
                r,
                &format!("the resource {id} is of the type {}, which havenlint does not know", short(kind)),
            ),
        }
    }

    // What a resource's existence depends on.
    fn condition(&mut self, r: Value<'_>) -> Option<(Unknown, Option<Truth>)> {
        let condition = r.get("Condition")?;
        let name = condition.str()?;
        let text = format!("condition {}", short(&name));
        let unknown = Unknown { text, why: DEPLOYMENT.to_owned(), origin: self.origin(condition) };
        Some((unknown, self.resolved.conditions.get(name.as_ref()).cloned()))
    }

    fn group(&mut self, id: &str, r: Value<'_>, p: Value<'_>) {
        let ingress = self.rules(id, p, "SecurityGroupIngress");
        let mut egress = self.rules(id, p, "SecurityGroupEgress");
        if egress.entries.is_empty() && egress.unknown.is_empty() {
            egress = self.default_egress(r);
        }
        let mut group = Group {
            name: string(p, "groupname").or_else(|| Some(id.to_owned())),
            vpc: string(p, "vpcid"),
            description: string(p, "groupdescription"),
            described: true,
            ingress,
            egress,
            ..Group::named(id, self.place(r))
        };
        // Where the group does not exist, nobody is in it.
        self.condition(r);
        for u in self.reader.unreliable(r).into_iter().chain(self.reader.leftovers(r, RESOURCE)) {
            group.doubt(&u);
        }
        self.reader.define(group);
    }

    // A stack within this one: another template makes it.
    fn nested(&mut self, id: &str, r: Value<'_>) {
        let what =
            format!("the nested stack {id} is made by another template: its groups are not in this file");
        let at = self.place(r);
        self.reader.diagnostics.push(
            Diagnostic::warning(at, what).help("give the template of the nested stack to havenlint as well"),
        );
        r.settle();
    }

    // The prefixes of a network, as far as they are constants; another one than those is learnt at deployment.
    fn vpc(&mut self, id: &str, r: Value<'_>) {
        if let Some(p) = r.get("Properties") {
            let texts: Vec<_> = ["cidrblock", "ipv6cidrblock"].iter().filter_map(|k| string(p, k)).collect();
            let addresses = self.reader.set(texts.iter().map(String::as_str), p);
            let id = match p.get("VpcId") {
                Some(_) => self.named(p, "VpcId"),
                None => Some(id.to_owned()),
            };
            self.reader.inventory.vpcs.push(Vpc { id, addresses });
        }
        r.settle();
    }

    fn subnet(&mut self, id: &str, r: Value<'_>, p: Value<'_>) {
        let texts: Vec<_> = ["cidrblock", "ipv6cidrblock"].iter().filter_map(|k| string(p, k)).collect();
        let constant =
            ["cidrblock", "ipv6cidrblock"].iter().filter_map(|k| member(p, k)).all(|c| c.was_read());
        // Addresses that are not constants leave it open which the subnet has.
        let texts = if constant { texts } else { Vec::new() };
        let addresses = self.reader.set(texts.iter().map(String::as_str), p);
        // Everything else of a subnet is about its interfaces to come.
        r.settle();
        self.reader.inventory.subnets.push(Subnet { id: id.to_owned(), vpc: None, addresses });
    }

    fn acl(&mut self, id: &str, r: Value<'_>) {
        let origin = self.origin(r);
        self.condition(r);
        let mut unknown: Vec<Unknown> = self.reader.unreliable(r).into_iter().collect();
        r.get("Properties").inspect(|p| _ = p.members().count());
        unknown.extend(self.reader.leftovers(r, RESOURCE));
        self.reader.add_acl(Acl {
            id: id.to_owned(),
            default: false,
            subnets: Some(Vec::new()),
            entries: Vec::new(),
            unknown,
            origin,
        });
    }

    // The id of a network ACL or subnet that a property names.
    fn named(&self, p: Value<'_>, key: &str) -> Option<String> {
        match known(p.get(key)?) {
            Known::Text(id) | Known::Resource(id, None) => Some(id),
            Known::Resource(id, Some(a)) => {
                let own = ["Id", "NetworkAclId", "SubnetId"].contains(&a.as_str());
                Some(if own { id } else { format!("{id}.{a}") })
            }
            Known::Open(_) => None,
        }
    }

    fn acl_entry(&mut self, id: &str, r: Value<'_>, p: Value<'_>) {
        let entry = self.reader.acl_entry(p, Some(false));
        let Some(acl) = self.named(p, "NetworkAclId") else {
            return self.reader.nameless(r, &format!("the network ACL of {id} is not known: it may be any"));
        };
        let mut doubts: Vec<Unknown> = self.condition(r).map(|(u, _)| u).into_iter().collect();
        doubts.extend(self.reader.leftovers(r, RESOURCE));
        match entry {
            Ok(e) => self.reader.acl_apart.push((acl.clone(), e)),
            Err(u) => doubts.push(u),
        }
        match self.reader.inventory.acls.iter_mut().find(|a| a.id == acl) {
            Some(known) => known.unknown.extend(doubts),
            None => doubts.into_iter().for_each(|u| self.reader.doubt(u)),
        }
    }

    fn association(&mut self, id: &str, r: Value<'_>, p: Value<'_>) {
        match (self.named(p, "NetworkAclId"), self.named(p, "SubnetId")) {
            (Some(acl), Some(subnet)) => {
                self.reader.acl_subnets.push((acl, subnet));
                if let Some((u, _)) = self.condition(r) {
                    self.reader.doubt(u);
                }
                self.reader.doubt_leftovers(r, RESOURCE);
            }
            _ => {
                self.reader.nameless(r, &format!("{id} does not tell which network ACL is for which subnet"))
            }
        }
    }
}
