//! Rules of security groups: blocks of a group, and resources of their own.

use super::super::inventory::{Entry, Peer, Rules, Service, Unknown};
use super::super::reader::Apart;
use super::super::value::service_of;
use super::Resource;
use super::kinds::{IDLE, Kind};
use super::lower::{Lower, Targets, is_group_id, reference};
use super::tree::{Data, Fields, Node};
use crate::source::Origin;

// The attributes that name peers.
const PEERS: [&str; 9] = [
    "cidr_blocks",
    "ipv6_cidr_blocks",
    "cidr_ipv4",
    "cidr_ipv6",
    "prefix_list_ids",
    "prefix_list_id",
    "security_groups",
    "source_security_group_id",
    "referenced_security_group_id",
];

impl Lower<'_, '_> {
    /// The rules of one direction in a group.
    pub fn blocks(&mut self, r: &Resource, fields: &Fields<'_>, own: &str, direction: &str) -> Rules {
        let mut rules = Rules::default();
        let unknown = |text: String, why: String, origin| Unknown { text, why, origin };
        let Some(node) = fields.get(direction) else {
            if !r.whole {
                let why = "the file does not hold it".to_owned();
                rules.unknown.push(unknown(format!("{direction} of {}", r.address), why, r.place));
            }
            return rules;
        };
        match &node.data {
            Data::List(items) => {
                for item in items {
                    let Some(block) = Fields::of(item) else {
                        let u = match item.unknown() {
                            Some(open) => unknown(open.text.clone(), open.why.clone(), item.at),
                            None => {
                                self.wrong(
                                    item.at,
                                    format!("a rule is {}, an object is expected", item.words()),
                                );
                                unknown(item.shown(), "it is no rule".to_owned(), item.at)
                            }
                        };
                        rules.unknown.push(u);
                        continue;
                    };
                    let entries = self.entries(r, &block, own);
                    rules.entries.extend(entries);
                }
            }
            Data::Open(open) => {
                rules.unknown.push(unknown(
                    format!("{direction} of {}", r.address),
                    open.why.clone(),
                    node.at,
                ));
            }
            _ => {
                let message = format!("`{direction}` is {}, a list is expected", node.words());
                self.wrong(node.at, message.clone());
                rules.unknown.push(unknown(format!("{direction} of {}", r.address), message, node.at));
            }
        }
        rules
    }

    // The entries of a block or of a resource. What is not understood of it makes them uncertain, and one more that may let in anything.
    fn entries(&mut self, r: &Resource, fields: &Fields<'_>, own: &str) -> Vec<Entry> {
        let name = if fields.has("ip_protocol") { "ip_protocol" } else { "protocol" };
        let service =
            service_of(&fields.scalar(name), &fields.scalar("from_port"), &fields.scalar("to_port"));
        if let Service::Unknown(text, why) = &service {
            let (at, message) = (fields.get(name).map_or(fields.at, |n| n.at), format!("{text}: {why}"));
            self.reader.diagnostics.push(
                crate::source::Diagnostic::warning(at, message)
                    .help("what this rule lets through is undecided"),
            );
        }
        let peers = self.peers(r, fields, own);
        let description = fields.text("description").map(str::to_owned);
        let block = r.attributes.at != fields.at;
        let idle: &[&str] = if block { &[] } else { IDLE };
        let unread = self.unread(fields, r, idle, Kind::Rule.idle());
        let entry = |origin, service: Service, peer, only_if| Entry {
            origin,
            service,
            peer,
            description: description.clone(),
            only_if,
        };
        let mut out: Vec<Entry> = peers
            .into_iter()
            .map(|(origin, peer)| entry(origin, service.clone(), peer, unread.first().cloned()))
            .collect();
        for u in unread {
            out.push(entry(u.origin, Service::All, Peer::Unknown(u.text.clone(), u.why.clone()), None));
        }
        out
    }

    fn peers(&mut self, r: &Resource, fields: &Fields<'_>, own: &str) -> Vec<(Origin, Peer)> {
        let mut peers = Vec::new();
        for key in PEERS {
            let Some(node) = fields.get(key) else { continue };
            let list =
                matches!(key, "cidr_blocks" | "ipv6_cidr_blocks" | "prefix_list_ids" | "security_groups");
            match (&node.data, list) {
                (Data::List(items), true) => {
                    for item in items.iter().filter(|i| i.data != Data::Null) {
                        peers.push((item.at, self.peer(key, item)));
                    }
                }
                (Data::Open(_), _) => peers.push((node.at, self.peer(key, node))),
                (Data::Text(t), false) if t.is_empty() => {}
                (Data::Text(_), false) => peers.push((node.at, self.peer(key, node))),
                _ => {
                    let expected = if list { "a list" } else { "a string" };
                    let message = format!("`{key}` is {}, {expected} is expected", node.words());
                    self.wrong(node.at, message.clone());
                    peers.push((node.at, Peer::Unknown(format!("{key} of this rule"), message)));
                }
            }
        }
        match fields.get("self") {
            None => {}
            Some(node) => match (node.bool(), node.unknown()) {
                (Some(true), _) => peers.push((node.at, Peer::Group(reference(own)))),
                (Some(false), _) => {}
                (None, Some(open)) => {
                    peers.push((node.at, Peer::Unknown("self of this rule".to_owned(), open.why.clone())));
                }
                (None, None) => {
                    let message = format!("`self` is {}, true or false is expected", node.shown());
                    self.wrong(node.at, message.clone());
                    peers.push((node.at, Peer::Unknown("self of this rule".to_owned(), message)));
                }
            },
        }
        if peers.is_empty() && !PEERS.iter().any(|k| fields.has(k)) && !fields.has("self") {
            self.wrong(fields.at, format!("{}: a rule without a peer", r.address));
            peers.push((
                fields.at,
                Peer::Unknown("the peer of this rule".to_owned(), "it names none".to_owned()),
            ));
        }
        peers
    }

    fn peer(&mut self, key: &str, node: &Node) -> Peer {
        match key {
            "cidr_blocks" | "cidr_ipv4" => self.net_peer(node, false),
            "ipv6_cidr_blocks" | "cidr_ipv6" => self.net_peer(node, true),
            "prefix_list_ids" | "prefix_list_id" => match (node.text(), node.unknown()) {
                (Some(id), _) => Peer::PrefixList(id.to_owned()),
                (_, Some(open)) => match self.targets(open, Kind::PrefixList).one() {
                    Some(one) => Peer::PrefixList(one.to_owned()),
                    None => Peer::Unknown(open.text.clone(), open.why.clone()),
                },
                _ => Peer::Unknown(node.shown(), "it is no id of a prefix list".to_owned()),
            },
            _ => self.group_peer(node).unwrap_or_else(|why| {
                self.wrong(node.at, format!("{} is {why}", node.shown()));
                Peer::Unknown(node.shown(), format!("it is {why}"))
            }),
        }
    }

    /// A rule that is a resource of its own.
    pub fn rule(&mut self, r: &Resource, fields: &Fields<'_>) {
        let directions: &[bool] = match r.known() {
            Some(Kind::IngressRule) => &[false],
            Some(Kind::EgressRule) => &[true],
            _ => match fields.text("type") {
                Some("ingress") => &[false],
                Some("egress") => &[true],
                _ => {
                    self.wrong(r.place, format!("{}: its type is neither ingress nor egress", r.address));
                    &[false, true]
                }
            },
        };
        let node = fields.get("security_group_id");
        let targets = self.rule_targets(r, node);
        let certain = targets.one().map(str::to_owned);
        let mut groups = [targets.own.clone(), targets.foreign.clone()].concat();
        if targets.any {
            let named = node.and_then(Node::unknown).map(|o| o.text.clone());
            groups.extend(self.groups.clone());
            if targets.foreign.is_empty() {
                groups.push(format!(
                    "the group of {}{}",
                    r.address,
                    named.map(|n| format!(" ({n})")).unwrap_or_default()
                ));
            }
        }
        groups.sort();
        groups.dedup();
        for group in groups {
            let own_group = self.groups.contains(&group);
            let entries = self.entries(r, fields, &group);
            for mut entry in entries {
                entry.only_if = r.only_if.clone().or(entry.only_if);
                let doubtful = certain.is_none() && own_group || directions.len() > 1;
                if doubtful {
                    entry.only_if.get_or_insert_with(|| Unknown {
                        text: format!("the security group of {}", r.address),
                        why: "the files do not tell which group, or which direction, this rule is of"
                            .to_owned(),
                        origin: entry.origin,
                    });
                }
                for egress in directions {
                    let (group, entry) = (group.clone(), entry.clone());
                    self.reader.apart.push(Apart { group, egress: *egress, entry, complete: false });
                }
            }
        }
    }

    fn rule_targets(&mut self, r: &Resource, node: Option<&Node>) -> Targets {
        let any = Targets { any: true, ..Targets::default() };
        let Some(node) = node else {
            self.wrong(r.place, format!("{}: a rule without security_group_id", r.address));
            return any;
        };
        match (node.text(), node.unknown()) {
            (Some(id), _) if is_group_id(id) || self.groups.iter().any(|g| g == id) => {
                Targets { own: vec![id.to_owned()], ..Targets::default() }
            }
            (_, Some(open)) => self.targets(open, Kind::Group),
            _ => {
                self.wrong(node.at, format!("{}: {} is no id of a security group", r.address, node.shown()));
                any
            }
        }
    }
}
