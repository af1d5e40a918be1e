//! Rules of groups, in the group and as resources of their own.

use super::super::inventory::{Entry, Group, Peer, Reference, Rules, Service, Unknown};
use super::super::reader::Apart;
use super::super::value::{member, service, short, string};
use super::{DEPLOYMENT, Known, RESOURCE, Template, Truth, function, known};
use crate::source::Diagnostic;
use crate::source::json::{Kind, NoEffect, Value};
use ipnet::IpNet;

/// Keys of a rule that limit nothing.
const RULE: &[NoEffect] = &[NoEffect {
    why: "notes for people, and whose a group is that is named by its id",
    keys: &["description"],
}];

const OVERRIDE: &str = "a deployment may give another value: --parameter NAME=VALUE tells it";

// One of the values that a property may have.
struct Branch<'d> {
    value: Value<'d>,
    // What it depends on.
    only_if: Option<Unknown>,
    // The default with which it is this one.
    default: Option<String>,
}

impl Template<'_, '_> {
    // What a property may be: itself, or the branches of `Fn::If`s.
    fn branches<'d>(&self, v: Value<'d>) -> Vec<Branch<'d>> {
        let mut out = Vec::new();
        let mut open = vec![Branch { value: v, only_if: None, default: None }];
        while let Some(b) = open.pop() {
            let default = b.default.or_else(|| self.default_of(b.value));
            match function(b.value) {
                Some((name, argument)) if name == "Fn::If" && argument.items().count() == 3 => {
                    let parts: Vec<Value<'d>> = argument.items().collect();
                    let (condition, origin) = (parts[0], self.origin(b.value));
                    let name = condition.str().unwrap_or_default();
                    let truth = self.resolved.conditions.get(name.as_ref());
                    for (part, when) in [(parts[2], false), (parts[1], true)] {
                        let (only_if, default) = match truth {
                            Some(Truth::Default(holds, text)) if *holds == when => {
                                (None, default.clone().or(Some(text.clone())))
                            }
                            _ => {
                                let text = format!("condition {}", short(&condition.raw()));
                                (Some(Unknown { text, why: DEPLOYMENT.to_owned(), origin }), default.clone())
                            }
                        };
                        let only_if = b.only_if.clone().or(only_if);
                        open.push(Branch { value: part, only_if, default });
                    }
                }
                Some((name, argument)) if name == "Ref" && argument.is("AWS::NoValue") => {}
                _ => out.push(Branch { default, ..b }),
            }
        }
        out
    }

    fn default_of(&self, v: Value<'_>) -> Option<String> {
        let span = v.span();
        self.resolved.defaults.get(&(span.start, span.end)).cloned()
    }

    // A fresh group lets everything out until a rule replaces that. Whether a rule in a resource of its own does is not settled by the
    // template: then the default is uncertain (`unsettle_default`).
    pub(super) fn default_egress(&self, r: Value<'_>) -> Rules {
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

    pub(super) fn rules(&mut self, id: &str, p: Value<'_>, name: &str) -> Rules {
        let mut rules = Rules::default();
        let Some(list) = p.get(name).filter(|l| !l.is_null()) else { return rules };
        // A list of rules, or a single one; each may be an `Fn::If`.
        for outer in self.branches(list) {
            let items: Vec<Value<'_>> = match outer.value.kind() {
                Kind::Array => outer.value.items().collect(),
                _ => vec![outer.value],
            };
            for item in items {
                for inner in self.branches(item) {
                    let only_if = outer.only_if.clone().or(inner.only_if);
                    let default = outer.default.clone().or(inner.default);
                    self.item(id, name, inner.value, (only_if, default), &mut rules);
                }
            }
        }
        rules
    }

    fn item(
        &mut self,
        id: &str,
        name: &str,
        item: Value<'_>,
        (only_if, default): (Option<Unknown>, Option<String>),
        rules: &mut Rules,
    ) {
        if item.kind() != Kind::Object || function(item).is_some() {
            let text = format!("{name} of {id}: {}", short(&item.raw()));
            let why = if item.kind() == Kind::Object { DEPLOYMENT } else { "it is no rule" };
            item.settle();
            rules.unknown.push(Unknown { text, why: why.to_owned(), origin: self.origin(item) });
            return;
        }
        let (entries, doubts) = self.entry(id, item, default);
        let only_if = only_if.or_else(|| doubts.first().cloned());
        for mut entry in entries {
            entry.only_if = entry.only_if.or_else(|| only_if.clone());
            rules.entries.push(entry);
        }
        rules.unknown.extend(doubts);
    }

    // The entries of a rule, and what of it is not understood. `default` is what the rule as a whole depends on.
    fn entry(&mut self, own: &str, v: Value<'_>, default: Option<String>) -> (Vec<Entry>, Vec<Unknown>) {
        let ports = ["ipprotocol", "fromport", "toport"].map(|k| member(v, k));
        let of_service = ports.iter().flatten().find_map(|p| self.default_of(*p));
        let s = service(ports[0], ports[1], ports[2]);
        let service = self.reader.understood(s, v);
        let mut peers = self.peers(v);
        if peers.is_empty() {
            let message = format!("a rule of {own} without a peer that havenlint knows");
            self.reader.diagnostics.push(Diagnostic::error(self.origin(v), message));
            peers.push((Peer::Unknown(short(&v.raw()), "it names no peer".to_owned()), None, None));
        }
        let description = string(v, "description");
        let doubts = self.reader.leftovers(v, RULE);
        let keys = [
            "cidrip",
            "cidripv6",
            "sourceprefixlistid",
            "destinationprefixlistid",
            "sourcesecuritygroupid",
            "destinationsecuritygroupid",
        ];
        let origin = self.reader.place(v, &keys);
        let mut out = Vec::new();
        for (peer, only_if, of_peer) in peers {
            let note = of_peer.clone().or_else(|| of_service.clone()).or_else(|| default.clone());
            let entry = |service, peer, only_if| Entry {
                origin,
                service,
                peer,
                description: description.clone(),
                only_if,
            };
            let other = |text: &String| (format!("another value than {text}"), OVERRIDE.to_owned());
            if of_peer.is_some() || of_service.is_some() {
                // What it may be instead.
                let (text, why) = note.as_ref().map(other).unwrap_or_default();
                let service = match &of_service {
                    Some(_) => Service::Unknown(text.clone(), why.clone()),
                    None => service.clone(),
                };
                let peer = if of_peer.is_some() { Peer::Unknown(text, why) } else { peer.clone() };
                out.push(entry(service, peer, only_if.clone()));
            }
            let only_if = only_if.or_else(|| {
                let text = note.clone()?;
                self.reader.inventory.defaults.insert(origin, text.clone());
                Some(Unknown { text, why: OVERRIDE.to_owned(), origin })
            });
            out.push(entry(service.clone(), peer, only_if));
        }
        (out, doubts)
    }

    // Peers, each with what it depends on and the default by which it is this one.
    fn peers(&mut self, v: Value<'_>) -> Vec<(Peer, Option<Unknown>, Option<String>)> {
        let mut out = Vec::new();
        let owner = string(v, "sourcesecuritygroupownerid");
        const KEYS: [&str; 7] = [
            "CidrIp",
            "CidrIpv6",
            "SourcePrefixListId",
            "DestinationPrefixListId",
            "SourceSecurityGroupId",
            "DestinationSecurityGroupId",
            "SourceSecurityGroupName",
        ];
        for key in KEYS {
            let Some(property) = v.get(key).filter(|p| !p.is_null()) else { continue };
            for b in self.branches(property) {
                let peer = self.peer(key, b.value, owner.clone());
                out.push((peer, b.only_if, b.default));
            }
            // Branches are read one by one.
            property.settle();
        }
        member(v, "sourcesecuritygroupownerid").inspect(Value::settle);
        out
    }

    fn peer(&mut self, key: &str, v: Value<'_>, owner: Option<String>) -> Peer {
        let open = |text: String| Peer::Unknown(format!("{key} = {text}"), DEPLOYMENT.to_owned());
        match (key, known(v)) {
            ("CidrIp" | "CidrIpv6", Known::Text(t)) => {
                self.reader.prefix(&t, v.origin(self.reader.file), key == "CidrIpv6")
            }
            ("SourcePrefixListId" | "DestinationPrefixListId", Known::Text(t) | Known::Resource(t, _)) => {
                Peer::PrefixList(t)
            }
            ("SourceSecurityGroupName", Known::Text(name)) => {
                Peer::Group(Reference { name: Some(name), owner, ..Reference::default() })
            }
            ("SourceSecurityGroupId" | "DestinationSecurityGroupId", Known::Text(group)) => {
                if group.starts_with("sg-") {
                    return Peer::Group(Reference { group, owner, ..Reference::default() });
                }
                self.reader.no_peer(v, "the id of a group does not begin with sg-")
            }
            ("SourceSecurityGroupId" | "DestinationSecurityGroupId", Known::Resource(id, attribute)) => {
                match self.group_of(&id, attribute.as_deref()) {
                    Some(group) => Peer::Group(Reference { group, owner, ..Reference::default() }),
                    None => open(shown(&id, attribute.as_deref())),
                }
            }
            (_, Known::Resource(id, attribute)) => open(shown(&id, attribute.as_deref())),
            (_, Known::Text(t) | Known::Open(t)) => open(t),
        }
    }

    // The group that a reference to a resource means.
    fn group_of(&self, id: &str, attribute: Option<&str>) -> Option<String> {
        match (self.kinds.get(id).map(String::as_str), attribute) {
            (Some("AWS::EC2::SecurityGroup"), None | Some("GroupId" | "Id")) => Some(id.to_owned()),
            (_, Some("DefaultSecurityGroup")) => Some(format!("{id}.DefaultSecurityGroup")),
            _ => None,
        }
    }

    // The groups to which a rule of its own may belong, each with what that depends on. A group that the template does not make is known
    // by how it is referred to.
    fn groups_of_rule(&mut self, id: &str, r: Value<'_>, p: Value<'_>) -> Vec<(String, Option<Unknown>)> {
        let mut out = Vec::new();
        let property = p.get("GroupId").or_else(|| p.get("GroupName"));
        for b in property.into_iter().flat_map(|g| self.branches(g)) {
            // The default names a group in the account, of which another may be given.
            match known(b.value) {
                Known::Text(g) => out.push((g, b.only_if)),
                Known::Resource(g, a) => {
                    out.push((
                        self.group_of(&g, a.as_deref()).unwrap_or_else(|| shown(&g, a.as_deref())),
                        b.only_if,
                    ));
                }
                // Nothing of the template can be imported into it.
                Known::Open(text) if function(b.value).is_some_and(|(n, _)| n == "Fn::ImportValue") => {
                    out.push((text, b.only_if));
                }
                Known::Open(text) => {
                    let any = Unknown {
                        text: format!("the group of {id}"),
                        why: DEPLOYMENT.to_owned(),
                        origin: self.origin(r),
                    };
                    let own = self.kinds.iter().filter(|(_, kind)| *kind == "AWS::EC2::SecurityGroup");
                    let mut own: Vec<_> = own.map(|(g, _)| (g.clone(), Some(any.clone()))).collect();
                    own.sort_by(|a, b| a.0.cmp(&b.0));
                    out.extend(own);
                    out.push((text, b.only_if));
                }
            }
        }
        property.inspect(Value::settle);
        out
    }

    // A rule that is a resource of its own.
    pub(super) fn rule(&mut self, id: &str, r: Value<'_>, p: Value<'_>, egress: bool) {
        let groups = self.groups_of_rule(id, r, p);
        if groups.is_empty() {
            return self.reader.nameless(r, &format!("the rule {id} names no group: it may belong to any"));
        }
        let (mut only_if, mut default) = (None, None);
        match self.condition(r) {
            Some((_, Some(Truth::Default(true, text)))) => default = Some(text),
            Some((unknown, _)) => only_if = Some(unknown),
            None => {}
        }
        let (entries, mut doubts) = self.entry(id, p, default);
        doubts.extend(self.reader.leftovers(r, RESOURCE));
        only_if = only_if.or_else(|| self.reader.unreliable(r)).or_else(|| doubts.first().cloned());
        let anything = doubts.into_iter().map(|u| Entry {
            origin: u.origin,
            service: Service::Unknown(u.text.clone(), u.why.clone()),
            peer: Peer::Unknown(u.text, u.why),
            description: None,
            only_if: None,
        });
        let entries: Vec<Entry> = entries.into_iter().chain(anything).collect();
        for (group, of_group) in groups {
            for mut entry in entries.iter().cloned() {
                entry.only_if = entry.only_if.or_else(|| of_group.clone()).or_else(|| only_if.clone());
                self.reader.apart.push(Apart { group: group.clone(), egress, entry, complete: false });
            }
            if egress && let Some(g) = self.reader.inventory.described_mut(&group) {
                unsettle_default(g);
            }
        }
    }
}

fn shown(id: &str, attribute: Option<&str>) -> String {
    attribute.map_or_else(|| id.to_owned(), |a| format!("{id}.{a}"))
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
