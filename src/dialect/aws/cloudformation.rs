//! CloudFormation templates in JSON.
//!
//! A group is known by its logical id. References to resources of the template are resolved; other intrinsic functions and parameters are unknown
//! until deployment; an `Fn::If` leaves both of its branches possible.

use super::api::{Apart, Reader};
use super::inventory::{Acl, Entry, Group, Peer, Reference, Rules, Service, Subnet, Unknown};
use super::value::{member, service, short, string, text};
use crate::source::json::{Kind, Value};
use crate::source::{Diagnostic, Origin};
use ipnet::IpNet;

/// Whether a document is a template with resources that the dialect reads.
pub fn is_relevant(v: Value<'_>) -> bool {
    resources(v).any(|(_, kind, _)| {
        kind.starts_with("AWS::EC2::SecurityGroup") || kind.starts_with("AWS::EC2::NetworkAcl")
    })
}

// Logical id, type, object.
fn resources<'d>(v: Value<'d>) -> impl Iterator<Item = (String, String, Value<'d>)> {
    v.get("Resources").into_iter().flat_map(|r| r.members()).filter_map(|(key, r)| {
        Some((key.str()?.into_owned(), string(r, "type").filter(|t| t.starts_with("AWS::"))?, r))
    })
}

/// Reads a template.
pub fn read(reader: &mut Reader<'_>, document: Value<'_>) {
    let groups: Vec<String> = resources(document)
        .filter(|(_, kind, _)| kind == "AWS::EC2::SecurityGroup")
        .map(|(id, ..)| id)
        .collect();
    let mut template = Template { reader, groups };
    // Groups first: what stands apart is put into them.
    let (groups, others): (Vec<_>, Vec<_>) =
        resources(document).partition(|(_, kind, _)| kind == "AWS::EC2::SecurityGroup");
    for (id, kind, r) in groups.into_iter().chain(others) {
        template.resource(&id, &kind, r);
    }
}

struct Template<'t, 'r> {
    reader: &'t mut Reader<'r>,
    groups: Vec<String>,
}

// A property that may be an intrinsic function.
enum Known {
    Text(String),
    Resource(String),
    Open(String),
}

fn known(v: Value<'_>) -> Known {
    if let Some(s) = v.str() {
        return Known::Text(s.into_owned());
    }
    if matches!(v.kind(), Kind::Number | Kind::Bool) {
        return Known::Text(v.raw().into_owned());
    }
    if let Some(r) = v.get("Ref").and_then(|r| r.str())
        && !r.starts_with("AWS::")
    {
        return Known::Resource(r.into_owned());
    }
    if let Some(g) = v.get("Fn::GetAtt") {
        let name = g.items().next().and_then(|n| n.str()).map(|s| s.into_owned());
        let dotted = || g.str().and_then(|s| s.split('.').next().map(str::to_owned));
        if let Some(n) = name.or_else(dotted) {
            return Known::Resource(n);
        }
    }
    Known::Open(short(&v.raw()))
}

const DEPLOYMENT: &str = "it is known only at deployment";

impl Template<'_, '_> {
    fn origin(&self, v: Value<'_>) -> Origin {
        v.origin(self.reader.file)
    }

    // A resource, by its type where it goes over several lines.
    fn place(&self, r: Value<'_>) -> Origin {
        self.reader.place(r, &["type"])
    }

    fn resource(&mut self, id: &str, kind: &str, r: Value<'_>) {
        let Some(p) = r.get("Properties") else {
            if kind == "AWS::EC2::SecurityGroup" {
                self.group(id, r, r);
            }
            return;
        };
        match kind {
            "AWS::EC2::SecurityGroup" => self.group(id, r, p),
            "AWS::EC2::SecurityGroupIngress" => self.rule(id, r, p, false),
            "AWS::EC2::SecurityGroupEgress" => self.rule(id, r, p, true),
            "AWS::EC2::Subnet" => {
                let texts: Vec<_> =
                    ["cidrblock", "ipv6cidrblock"].iter().filter_map(|k| string(p, k)).collect();
                let addresses = self.reader.set(texts.iter().map(String::as_str), p);
                self.reader.inventory.subnets.push(Subnet { id: id.to_owned(), addresses });
            }
            "AWS::EC2::PrefixList" => self.reader.named_prefix_list(p, id),
            "AWS::EC2::NetworkAcl" => {
                let origin = self.origin(r);
                self.reader.add_acl(Acl {
                    id: id.to_owned(),
                    default: false,
                    subnets: Some(Vec::new()),
                    entries: Vec::new(),
                    unknown: self.reader.unreliable(r).into_iter().collect(),
                    origin,
                });
            }
            "AWS::EC2::NetworkAclEntry" => {
                let entry = self.reader.acl_entry(p, Some(false));
                if let (Ok(e), Some(Known::Resource(acl) | Known::Text(acl))) =
                    (entry, p.get("NetworkAclId").map(known))
                {
                    self.reader.acl_apart.push((acl, e));
                }
            }
            "AWS::EC2::SubnetNetworkAclAssociation" => {
                let of = |key| match p.get(key).map(known) {
                    Some(Known::Resource(s) | Known::Text(s)) => Some(s),
                    _ => None,
                };
                if let (Some(acl), Some(subnet)) = (of("NetworkAclId"), of("SubnetId")) {
                    self.reader.acl_subnets.push((acl, subnet));
                }
            }
            _ => {}
        }
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
        if let Some(u) = self.reader.unreliable(r) {
            group.ingress.unknown.push(u.clone());
            group.egress.unknown.push(u);
        }
        self.reader.define(group);
    }

    // A fresh group lets everything out until a rule replaces that. Whether a rule in a resource of its own does is not settled by the
    // template: then the default is uncertain (`unsettle_default`).
    fn default_egress(&self, r: Value<'_>) -> Rules {
        let origin = self.place(r);
        let everywhere = [IpNet::default(), IpNet::V6(ipnet::Ipv6Net::default())];
        let entries = everywhere.into_iter().map(|net| Entry {
            origin,
            service: Service::All,
            peer: Peer::Net(net),
            description: Some("the egress rule that a fresh group has".to_owned()),
            only_if: None,
        });
        Rules { entries: entries.collect(), unknown: Vec::new() }
    }

    fn rules(&mut self, id: &str, p: Value<'_>, name: &str) -> Rules {
        let mut rules = Rules::default();
        let Some(list) = p.get(name) else { return rules };
        let items: Vec<Value<'_>> = match list.kind() {
            Kind::Array => list.items().collect(),
            // A single rule need not stand in a list; a function does not look like one.
            Kind::Object if member(list, "ipprotocol").is_some() => vec![list],
            Kind::Object => {
                let text = format!("{name} of {id}: {}", short(&list.raw()));
                rules.unknown.push(Unknown { text, why: DEPLOYMENT.to_owned(), origin: self.origin(list) });
                return rules;
            }
            _ => {
                rules.unknown.extend(self.reader.expect_list(list, name).err());
                return rules;
            }
        };
        for item in items {
            self.item(id, item, &mut rules);
        }
        rules
    }

    // A rule, or an `Fn::If` with a rule in each branch.
    fn item(&mut self, id: &str, item: Value<'_>, rules: &mut Rules) {
        let Some(branches) = item.get("Fn::If") else {
            if text(item, "ref").as_deref() != Some("AWS::NoValue") {
                rules.entries.extend(self.entry(id, item));
            }
            return;
        };
        let name = branches.items().next().map(|c| short(&c.raw())).unwrap_or_default();
        for branch in branches.items().skip(1).filter(|b| text(*b, "ref").as_deref() != Some("AWS::NoValue"))
        {
            for mut entry in self.entry(id, branch) {
                entry.only_if = Some(Unknown {
                    text: format!("condition {name}"),
                    why: DEPLOYMENT.to_owned(),
                    origin: self.origin(item),
                });
                rules.entries.push(entry);
            }
        }
    }

    fn entry(&mut self, own: &str, v: Value<'_>) -> Vec<Entry> {
        let s = service(member(v, "ipprotocol"), member(v, "fromport"), member(v, "toport"));
        let service = self.reader.understood(s, v);
        let mut peers = Vec::new();
        for (key, v6) in [("CidrIp", false), ("CidrIpv6", true)] {
            let Some(c) = v.get(key) else { continue };
            peers.push(match known(c) {
                Known::Text(t) => self.reader.prefix(&t, c, v6),
                Known::Resource(r) => Peer::Unknown(format!("{key} = {r}"), DEPLOYMENT.to_owned()),
                Known::Open(t) => Peer::Unknown(format!("{key} = {t}"), DEPLOYMENT.to_owned()),
            });
        }
        for key in ["SourcePrefixListId", "DestinationPrefixListId"] {
            let Some(p) = v.get(key) else { continue };
            peers.push(match known(p) {
                Known::Text(t) | Known::Resource(t) => Peer::PrefixList(t),
                Known::Open(t) => Peer::Unknown(format!("{key} = {t}"), DEPLOYMENT.to_owned()),
            });
        }
        for key in ["SourceSecurityGroupId", "DestinationSecurityGroupId"] {
            let Some(g) = v.get(key) else { continue };
            let owner = string(v, "sourcesecuritygroupownerid");
            peers.push(match known(g) {
                Known::Text(group) => Peer::Group(Reference { group, owner, ..Reference::default() }),
                Known::Resource(group) if self.groups.contains(&group) => {
                    Peer::Group(Reference { group, owner, ..Reference::default() })
                }
                Known::Resource(t) | Known::Open(t) => {
                    Peer::Unknown(format!("{key} = {t}"), DEPLOYMENT.to_owned())
                }
            });
        }
        if let Some(n) = v.get("SourceSecurityGroupName") {
            peers.push(match known(n) {
                Known::Text(name) => Peer::Group(Reference { name: Some(name), ..Reference::default() }),
                Known::Resource(t) | Known::Open(t) => {
                    Peer::Unknown(format!("SourceSecurityGroupName = {t}"), DEPLOYMENT.to_owned())
                }
            });
        }
        if peers.is_empty() {
            let message = format!("a rule of {own} without a peer that havenlint knows");
            self.reader.diagnostics.push(Diagnostic::error(self.origin(v), message));
            peers.push(Peer::Unknown(short(&v.raw()), "it names no peer".to_owned()));
        }
        let description = string(v, "description");
        let keys = [
            "cidrip",
            "cidripv6",
            "sourceprefixlistid",
            "destinationprefixlistid",
            "sourcesecuritygroupid",
            "destinationsecuritygroupid",
        ];
        let origin = self.reader.place(v, &keys);
        let entry = |peer| Entry {
            origin,
            service: service.clone(),
            peer,
            description: description.clone(),
            only_if: None,
        };
        peers.into_iter().map(entry).collect()
    }

    // A rule that is a resource of its own.
    fn rule(&mut self, id: &str, r: Value<'_>, p: Value<'_>, egress: bool) {
        let group = p.get("GroupId").or_else(|| p.get("GroupName")).map(known);
        let (groups, mut only_if) = match group {
            Some(Known::Text(g)) => (vec![g], None),
            Some(Known::Resource(g)) if self.groups.contains(&g) => (vec![g], None),
            _ => {
                let text = format!("the group of {id}");
                let u = Unknown { text, why: DEPLOYMENT.to_owned(), origin: self.origin(r) };
                (self.groups.clone(), Some(u))
            }
        };
        if let Some(c) = r.get("Condition") {
            let text = format!("condition {}", short(&c.raw()));
            only_if.get_or_insert(Unknown { text, why: DEPLOYMENT.to_owned(), origin: self.origin(c) });
        }
        only_if = only_if.or_else(|| self.reader.unreliable(r));
        for group in groups {
            for mut entry in self.entry(&group, p) {
                entry.only_if = only_if.clone();
                self.reader.apart.push(Apart { group: group.clone(), egress, entry, complete: false });
            }
            if egress && let Some(g) = self.reader.inventory.described_mut(&group) {
                unsettle_default(g);
            }
        }
    }
}

// A separate egress rule may have replaced the default one.
fn unsettle_default(group: &mut Group) {
    for e in &mut group.egress.entries {
        if e.origin == group.origin {
            e.only_if.get_or_insert(Unknown {
                text: "the default egress rule is still there".to_owned(),
                why: "the template adds egress rules in resources of their own; write SecurityGroupEgress in the group".to_owned(),
                origin: group.origin,
            });
        }
    }
}
