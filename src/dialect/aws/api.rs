//! Answers of the EC2 API, as the AWS CLI, SDKs, AWS Config and exporters write them: security groups and their rules.
//!
//! Shapes: EC2 service model 2016-11-15. Keys are recognised in any spelling ([`is_key`]); what is missing, of a wrong type or not
//! understood is reported and leaves the rules there unknown. `null` stands for "absent".

use super::inventory::{Entry, Group, Peer, Reference, Rules, Service, Unknown};
use super::known;
use super::reader::{Apart, Reader};
use super::value::{is_key, member, service, string};
use crate::source::Diagnostic;
use crate::source::json::{Kind, Value};

impl Reader<'_> {
    pub(super) fn group(&mut self, v: Value<'_>) {
        let Some(id) = self.id(v, "groupid", "sg-") else {
            return self.nameless(v, "a security group without GroupId");
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
        for u in self.unreliable(v).into_iter().chain(self.leftovers(v, known::GROUP)) {
            group.doubt(&u);
        }
        self.define(group);
    }

    fn permissions(&mut self, group: Value<'_>, key: &str, name: &str) -> Rules {
        let mut rules = Rules::default();
        let Some(list) = member(group, key).filter(|l| !l.is_null()) else {
            rules.unknown.push(Unknown {
                text: format!("{name} of this group"),
                why: format!("the file does not hold the key {name}"),
                origin: group.origin(self.file),
            });
            return rules;
        };
        match self.expect_list(list, name) {
            Err(u) => {
                list.settle();
                rules.unknown.push(u);
            }
            Ok(()) => {
                for item in list.items() {
                    if item.kind() == Kind::Object {
                        self.permission(item, &mut rules);
                    } else {
                        let u = self.wrong(item, name, "a permission");
                        item.settle();
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
                () => {}
            }
        }
        // AWS Config writes the IPv4 ranges twice: as strings, and as objects, which carry the descriptions.
        if lists[1].is_some_and(|l| l.items().next().is_some())
            && let Some(strings) = lists[0].take()
        {
            strings.settle();
        }
        let first = rules.entries.len();
        let service = self.understood(service(protocol, from, to), v);
        const NAMES: [&str; 5] =
            ["IpRanges", "Ipv4Ranges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs"];
        for (i, list) in lists.into_iter().enumerate() {
            let Some(list) = list.filter(|l| !l.is_null()) else { continue };
            if let Err(u) = self.expect_list(list, NAMES[i]) {
                list.settle();
                rules.unknown.push(u);
                continue;
            }
            for item in list.items() {
                let peer = match i {
                    0 | 1 => self.net(item, &["cidrip", "cidripv4"], false),
                    2 => self.net(item, &["cidripv6"], true),
                    3 => match string(item, "prefixlistid").or_else(|| item.str().map(|s| s.into_owned())) {
                        Some(id) if id.starts_with("pl-") => Peer::PrefixList(id),
                        Some(_) => self.no_peer(item, "the id of a prefix list does not begin with pl-"),
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
        // Anything else may widen the permission, or be a condition of it.
        for u in self.leftovers(v, known::PERMISSION) {
            rules.entries[first..].iter_mut().for_each(|e| _ = e.only_if.get_or_insert_with(|| u.clone()));
            rules.unknown.push(u);
        }
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
        match (&reference.group, &reference.name) {
            (id, None) if id.is_empty() => self.no_peer(item, "a reference to a group without its id"),
            (id, _) if !id.is_empty() && !id.starts_with("sg-") => {
                self.no_peer(item, "the id of a group does not begin with sg-")
            }
            _ if !reference.status.as_deref().is_none_or(|s| PEERING.contains(&s)) => {
                self.no_peer(item, "the status of the peering connection is none that the API has")
            }
            _ => Peer::Group(reference),
        }
    }

    // An item of describe-security-group-rules.
    pub(super) fn rule(&mut self, v: Value<'_>, complete: bool) {
        let peers = ["cidripv4", "cidripv6", "prefixlistid", "referencedgroupinfo", "securitygroupruleid"];
        let origin = self.place(v, &peers);
        let Some(group) = self.id(v, "groupid", "sg-") else {
            return self.nameless(v, "a rule without GroupId: it may belong to any group");
        };
        let mut only_if = self.unreliable(v);
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
        let description = string(v, "description");
        let doubts = self.leftovers(v, known::RULE);
        only_if = only_if.or_else(|| doubts.first().cloned());
        // What is not understood may widen the rule to anything.
        for u in doubts {
            let entry = Entry {
                origin: u.origin,
                service: Service::Unknown(u.text.clone(), u.why.clone()),
                peer: Peer::Unknown(u.text.clone(), u.why.clone()),
                description: None,
                only_if: None,
            };
            for egress in [false, true].into_iter().filter(|e| egress.is_none_or(|known| known == *e)) {
                self.apart.push(Apart { group: group.clone(), egress, entry: entry.clone(), complete });
            }
        }
        let entry = Entry { origin, service, peer, description, only_if };
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
}

/// States of a peering connection (`VpcPeeringConnectionStateReasonCode`).
const PEERING: [&str; 9] = [
    "initiating-request",
    "pending-acceptance",
    "active",
    "deleted",
    "rejected",
    "failed",
    "expired",
    "provisioning",
    "deleting",
];
