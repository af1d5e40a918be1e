//! What stands beside the groups: prefix lists, interfaces, networks, subnets, network ACLs.

use super::super::inventory::{Acl, AclEntry, Interface, Peer, PrefixList, Service, Subnet, Unknown, Vpc};
use super::super::value::{protocol_of, service_of};
use super::Resource;
use super::kinds::{IDLE, Kind};
use super::lower::Lower;
use super::tree::{Data, Fields, Node};
use crate::packet::IntervalSet;
use crate::source::Origin;

/// Groups of an interface with the places that say so; `None` = not known.
type Attached = Option<Vec<(String, Origin)>>;

impl Lower<'_, '_> {
    fn kind_idle(r: &Resource) -> &'static [&'static str] {
        r.known().map_or(&[], Kind::idle)
    }

    /// A prefix list with its entries.
    pub fn prefix_list(&mut self, r: &Resource, fields: &Fields<'_>) {
        let mut list = PrefixList {
            id: self.id(r),
            entries: Vec::new(),
            unknown: r.only_if.clone().into_iter().collect(),
            max_entries: fields.get("max_entries").and_then(Node::int).and_then(|n| u32::try_from(n).ok()),
            origin: r.place,
        };
        let mut held = false;
        for key in ["entry", "entries", "cidr_blocks"] {
            let Some(node) = fields.get(key) else { continue };
            held = true;
            match &node.data {
                Data::List(items) => items.iter().for_each(|i| self.cidr(&mut list, i, r)),
                _ => {
                    let why = node.unknown().map_or("it is no list", |o| &o.why).to_owned();
                    list.unknown.push(Unknown {
                        text: format!("{key} of {}", r.address),
                        why,
                        origin: node.at,
                    });
                }
            }
        }
        // A look-up in a configuration shows nothing of what it finds.
        if !held && (!r.whole || r.data) {
            let why = "the file does not hold them".to_owned();
            list.unknown.push(Unknown { text: format!("entries of {}", r.address), why, origin: r.place });
        }
        list.unknown.extend(self.unread(fields, r, IDLE, Self::kind_idle(r)));
        self.reader.add_prefix_list(list);
    }

    fn cidr(&mut self, list: &mut PrefixList, item: &Node, r: &Resource) {
        let fields = Fields::of(item);
        let node = match &fields {
            Some(f) => f.get("cidr"),
            None => Some(item),
        };
        let Some(node) = node else {
            self.wrong(item.at, format!("{}: an entry without cidr", r.address));
            let (text, why) = (format!("an entry of {}", r.address), "it has no cidr".to_owned());
            list.unknown.push(Unknown { text, why, origin: item.at });
            return;
        };
        let v6 = node.text().is_some_and(|t| t.contains(':'));
        match self.net_peer(node, v6) {
            Peer::Net(net) => list.entries.push((net, node.at)),
            Peer::Unknown(text, why) => list.unknown.push(Unknown { text, why, origin: node.at }),
            Peer::PrefixList(_) | Peer::Group(_) => {}
        }
        if let Some(f) = fields {
            list.unknown.extend(self.unread(&f, r, &["description"], &[]));
        }
    }

    /// An entry that is a resource of its own.
    pub fn prefix_list_entry(&mut self, r: &Resource, fields: &Fields<'_>) {
        let node = fields.get("prefix_list_id");
        let targets = node.map(|n| match (n.text(), n.unknown()) {
            (Some(id), _) if id.starts_with("pl-") || self.lists.iter().any(|l| l == id) => {
                vec![id.to_owned()]
            }
            (_, Some(open)) => {
                self.targets(open, Kind::PrefixList).one().map(str::to_owned).into_iter().collect()
            }
            _ => Vec::new(),
        });
        let certain = targets.filter(|t| !t.is_empty());
        let doubtful = certain.is_none();
        for id in certain.unwrap_or_else(|| self.lists.clone()) {
            let unknown = r.only_if.clone().into_iter().collect();
            let mut list =
                PrefixList { id, entries: Vec::new(), unknown, max_entries: None, origin: r.place };
            self.cidr(&mut list, &r.attributes.clone(), r);
            if doubtful || r.only_if.is_some() {
                let text = format!("whether {} belongs to {}", r.address, list.id);
                let why = "the files do not tell".to_owned();
                list.entries.clear();
                list.unknown.push(Unknown { text, why, origin: r.place });
            }
            self.reader.add_prefix_list(list);
        }
    }

    /// An interface, or an instance with its first one.
    pub fn interface(&mut self, r: &Resource, fields: &Fields<'_>) {
        let mut certain = r.only_if.is_none();
        let mut own = Vec::new();
        for key in [
            "private_ip",
            "private_ips",
            "secondary_private_ips",
            "ipv6_addresses",
            "ipv4_prefixes",
            "ipv6_prefixes",
        ] {
            let Some(node) = fields.get(key) else { continue };
            certain &= node.opens().is_empty() && matches!(node.data, Data::Text(_) | Data::List(_));
            own.extend(node.texts().into_iter().filter(|t| !t.is_empty()));
        }
        let public: Vec<&str> = fields.text("public_ip").into_iter().collect();
        let key =
            if r.known() == Some(Kind::Instance) { "vpc_security_group_ids" } else { "security_groups" };
        let groups = fields.get(key).and_then(|n| self.attached(n));
        if key == "vpc_security_group_ids" {
            fields.get("security_groups");
        }
        let id = fields.text("primary_network_interface_id").or(fields.text("id"));
        let subnet = self.named(fields.get("subnet_id"), Kind::Subnet);
        let unread = self.unread(fields, r, IDLE, Self::kind_idle(r));
        if own.is_empty() {
            return;
        }
        let interface = Interface {
            id: id.unwrap_or(&r.address).to_owned(),
            groups: groups.filter(|_| certain && unread.is_empty()),
            vpc: self.named(fields.get("vpc_id"), Kind::Vpc),
            subnet,
            addresses: self.addresses(&own, r.place).0,
            public: self.addresses(&public, r.place).0,
            origin: r.place,
        };
        if interface.groups.is_some() {
            self.placed.insert(r.address.clone());
        }
        self.reader.add_interface(interface);
    }

    fn attached(&self, node: &Node) -> Attached {
        let one = |n: &Node| match (n.text(), n.unknown()) {
            (Some(id), _) => Some((id.to_owned(), n.at)),
            (_, Some(open)) => self.targets(open, Kind::Group).one().map(|id| (id.to_owned(), n.at)),
            _ => None,
        };
        match &node.data {
            Data::List(items) => items.iter().map(one).collect(),
            Data::Open(_) => one(node).map(|g| vec![g]),
            _ => None,
        }
    }

    /// The id of what a value names; `None` if it is not known.
    pub fn named(&self, node: Option<&Node>, kind: Kind) -> Option<String> {
        let node = node?;
        match (node.text(), node.unknown()) {
            (Some(id), _) => Some(id.to_owned()).filter(|i| !i.is_empty()),
            (_, Some(open)) => self.targets(open, kind).one().map(str::to_owned),
            _ => None,
        }
    }

    // Addresses as one set, and whether all of them were understood.
    fn addresses(&mut self, texts: &[&str], at: Origin) -> (IntervalSet, bool) {
        let mut ranges = Vec::new();
        let mut all = true;
        for text in texts {
            match crate::packet::addr::parse(text) {
                Some(s) => ranges.extend_from_slice(s.ranges()),
                None => {
                    self.wrong(at, format!("`{text}` is no address"));
                    all = false;
                }
            }
        }
        (IntervalSet::from_ranges(ranges), all)
    }

    /// A group for an interface, as a resource of its own.
    pub fn attachment(&mut self, r: &Resource, fields: &Fields<'_>) {
        let group = self.named(fields.get("security_group_id"), Kind::Group);
        let interface = fields.get("network_interface_id");
        let id = self.named(interface, Kind::Interface).or_else(|| self.named(interface, Kind::Instance));
        for i in &mut self.reader.inventory.interfaces {
            match (&id, &group) {
                (Some(id), _) if i.id != *id => {}
                (Some(_), Some(group)) if r.only_if.is_none() => {
                    self.placed.insert(r.address.clone());
                    if let Some(groups) = i.groups.as_mut().filter(|g| g.iter().all(|(g, _)| g != group)) {
                        groups.push((group.clone(), r.place));
                    }
                }
                _ => i.groups = None,
            }
        }
    }

    /// A network, or a further prefix of one.
    pub fn vpc(&mut self, r: &Resource, fields: &Fields<'_>) {
        let texts: Vec<&str> =
            ["cidr_block", "ipv6_cidr_block"].iter().filter_map(|k| fields.text(k)).collect();
        let addresses = self.addresses(&texts, r.place).0;
        let id = match r.known() {
            Some(Kind::VpcPrefix) => self.named(fields.get("vpc_id"), Kind::Vpc),
            _ => Some(self.id(r)),
        };
        self.reader.inventory.vpcs.push(Vpc { id, addresses });
    }

    /// A subnet; one whose prefixes are not all known is left out.
    pub fn subnet(&mut self, r: &Resource, fields: &Fields<'_>) {
        let nodes: Vec<&Node> =
            ["cidr_block", "ipv6_cidr_block"].iter().filter_map(|k| fields.get(k)).collect();
        let texts: Vec<&str> = nodes.iter().filter_map(|n| n.text()).filter(|t| !t.is_empty()).collect();
        let (addresses, all) = self.addresses(&texts, r.place);
        let unread = self.unread(fields, r, IDLE, Self::kind_idle(r));
        let known =
            all && unread.is_empty() && r.only_if.is_none() && nodes.iter().all(|n| n.text().is_some());
        if known && !addresses.is_empty() {
            let id = self.id(r);
            self.reader.inventory.subnets.push(Subnet { id, vpc: None, addresses });
        }
    }

    /// A network ACL with its entries.
    pub fn acl(&mut self, r: &Resource, fields: &Fields<'_>) {
        let default = r.kind == "aws_default_network_acl";
        let subnets = match fields.get("subnet_ids") {
            Some(node) => {
                node.items().and_then(|l| l.iter().map(|n| self.named(Some(n), Kind::Subnet)).collect())
            }
            None => (r.whole && !default).then(Vec::new),
        };
        let mut acl = Acl {
            id: self.id(r),
            default,
            subnets,
            entries: Vec::new(),
            unknown: r.only_if.clone().into_iter().collect(),
            origin: r.place,
        };
        for (key, egress) in [("ingress", false), ("egress", true)] {
            let node = fields.get(key);
            match node.map(|n| &n.data) {
                Some(Data::List(items)) => {
                    for item in items {
                        match Fields::of(item).ok_or(item).map(|f| (self.acl_entry(r, &f, egress, true), f)) {
                            Ok((Some(e), _)) => acl.entries.push(e),
                            Ok((None, f)) => acl.unknown.push(unreadable(r, f.at)),
                            Err(item) => acl.unknown.push(unreadable(r, item.at)),
                        }
                    }
                }
                None if r.whole => {}
                _ => {
                    let why = "it is known only after apply, or missing".to_owned();
                    let origin = node.map_or(r.place, |n| n.at);
                    acl.unknown.push(Unknown { text: format!("{key} of {}", r.address), why, origin });
                }
            }
        }
        acl.unknown.extend(self.unread(fields, r, IDLE, Self::kind_idle(r)));
        self.reader.add_acl(acl);
    }

    // An entry; `None` if its place in the order or its action is not known, or something of it is not understood.
    fn acl_entry(&mut self, r: &Resource, f: &Fields<'_>, egress: bool, block: bool) -> Option<AclEntry> {
        let (order, action) = if block { ("rule_no", "action") } else { ("rule_number", "rule_action") };
        let protocol = f.scalar("protocol");
        let icmp = protocol_of(&protocol).is_ok_and(|p| matches!(p.1, Some(1 | 58)));
        let (ports, types) =
            (["from_port", "to_port"].map(|k| f.scalar(k)), ["icmp_type", "icmp_code"].map(|k| f.scalar(k)));
        let [from, to] = if icmp { types } else { ports };
        let service = service_of(&protocol, &from, &to);
        if let Service::Unknown(text, why) = &service {
            self.wrong(f.at, format!("{text}: {why}"));
        }
        let written = |n: Option<&'_ Node>| n.is_some_and(|n| n.text() != Some(""));
        let (v4, v6) = (f.get("cidr_block"), f.get("ipv6_cidr_block"));
        let peer = match (v4, v6, written(v4), written(v6)) {
            (Some(n), _, true, false) => self.net_peer(n, false),
            (_, Some(n), false, true) => self.net_peer(n, true),
            _ => {
                self.wrong(f.at, format!("{}: an entry of a network ACL needs one prefix", r.address));
                Peer::Unknown("the prefix of this entry".to_owned(), "an entry needs one prefix".to_owned())
            }
        };
        let number = f.get(order).and_then(Node::int).and_then(|n| u32::try_from(n).ok());
        let allow = match f.text(action) {
            Some("allow") => Some(true),
            Some("deny") => Some(false),
            _ => None,
        };
        if !block {
            f.get("egress");
            f.get("network_acl_id");
        }
        let idle: &[&str] = if block { &[] } else { IDLE };
        let unread = self.unread(f, r, idle, Self::kind_idle(r));
        if !unread.is_empty() || number.is_none() || allow.is_none() {
            return None;
        }
        Some(AclEntry { number: number?, egress, allow: allow?, service, peer, origin: f.at })
    }

    /// An entry that is a resource of its own.
    pub fn acl_rule(&mut self, r: &Resource, fields: &Fields<'_>) {
        let id = match fields.get("network_acl_id").map(|n| (n, n.text(), n.unknown())) {
            Some((_, Some(id), _)) if id.starts_with("acl-") || self.acls.iter().any(|a| a == id) => {
                Some(id.to_owned())
            }
            Some((_, _, Some(open))) => self.targets(open, Kind::Acl).one().map(str::to_owned),
            _ => None,
        };
        let egress = match fields.get("egress") {
            None => Some(false),
            Some(n) => n.bool(),
        };
        let entry = egress.and_then(|e| self.acl_entry(r, fields, e, false));
        match (id, entry) {
            (Some(id), Some(entry)) if r.only_if.is_none() => self.reader.acl_apart.push((id, entry)),
            (id, _) => {
                let ids = id.map_or_else(|| self.acls.clone(), |id| vec![id]);
                self.spoils.push((ids.into_iter().collect(), unreadable(r, r.place)));
            }
        }
    }

    /// A subnet for a network ACL, as a resource of its own.
    pub fn acl_association(&mut self, r: &Resource, fields: &Fields<'_>) {
        let acl = self.named(fields.get("network_acl_id"), Kind::Acl);
        let subnet = self.named(fields.get("subnet_id"), Kind::Subnet);
        match (acl, subnet) {
            (Some(acl), Some(subnet)) if r.only_if.is_none() => self.reader.acl_subnets.push((acl, subnet)),
            _ => self
                .wrong(r.place, format!("{}: which subnet uses which network ACL is not known", r.address)),
        }
    }
}

fn unreadable(r: &Resource, origin: Origin) -> Unknown {
    Unknown {
        text: format!("an entry of {}", r.address),
        why: "its network ACL, number, action or direction is not understood".to_owned(),
        origin,
    }
}
