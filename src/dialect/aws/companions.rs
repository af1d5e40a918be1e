//! What rules refer to, in answers of the EC2 API: prefix lists, interfaces and instances, subnets, network ACLs.

use super::inventory::{Acl, AclEntry, Interface, Peer, PrefixList, Service, Subnet, Unknown, Vpc};
use super::known;
use super::reader::Reader;
use super::value::{member, number, parse_protocol, service, short, string, text};
use crate::packet::{IntervalSet, addr};
use crate::source::json::Value;
use crate::source::{Diagnostic, Origin};

impl Reader<'_> {
    pub(super) fn prefix_list(&mut self, v: Value<'_>, id: Option<String>) {
        let origin = v.origin(self.file);
        let Some(id) = string(v, "prefixlistid").or(id) else {
            v.settle();
            self.diagnostics.push(
                Diagnostic::warning(origin, "entries of a prefix list, but not of which").help(
                    "name the file after it (pl-….json), or wrap the answer: {\"pl-…\": {\"Entries\": […]}}",
                ),
            );
            return;
        };
        let max_entries = number(member(v, "maxentries")).ok().flatten().and_then(|n| u32::try_from(n).ok());
        let mut list = PrefixList { id, entries: Vec::new(), unknown: Vec::new(), max_entries, origin };
        list.unknown.extend(self.unreliable(v));
        let token = member(v, "nexttoken").filter(|t| !t.is_null());
        if token.is_some_and(|t| t.str().is_none_or(|t| !t.is_empty())) {
            token.inspect(Value::settle);
            let why = "a NextToken says that there are more entries".to_owned();
            list.unknown.push(Unknown { text: format!("the rest of prefix list {}", list.id), why, origin });
        }
        if let Some(most) = list.max_entries {
            self.inventory.max_entries.insert(list.id.clone(), most as usize);
        }
        let Some((entries, name)) =
            member(v, "cidrs").map(|l| (l, "Cidrs")).or_else(|| member(v, "entries").map(|l| (l, "Entries")))
        else {
            // An answer of describe-managed-prefix-lists: how many entries it may have, and a name.
            v.settle();
            return;
        };
        match self.expect_list(entries, name) {
            Err(u) => {
                entries.settle();
                list.unknown.push(u);
            }
            Ok(()) => {
                for item in entries.items() {
                    let at = member(item, "cidr").unwrap_or(item);
                    let v6 = at.str().is_some_and(|s| s.contains(':'));
                    match self.net(item, &["cidr"], v6) {
                        Peer::Net(net) => list.entries.push((net, item.origin(self.file))),
                        Peer::Unknown(text, why) => {
                            list.unknown.push(Unknown { text, why, origin: item.origin(self.file) });
                        }
                        _ => {}
                    }
                }
            }
        }
        list.unknown.extend(self.leftovers(v, known::PREFIX_LIST));
        self.add_prefix_list(list);
    }

    /// Adds a prefix list, or its further entries.
    pub fn add_prefix_list(&mut self, list: PrefixList) {
        if let Some((old, more)) = self.inventory.add_prefix_list(list) {
            old.entries.extend(more.entries);
            old.unknown.extend(more.unknown);
            old.max_entries = old.max_entries.max(more.max_entries);
        }
    }

    pub(super) fn instance(&mut self, v: Value<'_>) {
        // The groups of the instance itself are those of its first interface only.
        match member(v, "networkinterfaces") {
            Some(list) => self.each(list, "NetworkInterfaces", Self::interface),
            None => return self.nameless(v, "an instance without NetworkInterfaces"),
        }
        // Everything else of an instance is about the machine: its groups and addresses are those of its interfaces.
        v.settle();
    }

    pub(super) fn interface(&mut self, v: Value<'_>) {
        let mut out = Interface {
            id: string(v, "networkinterfaceid").unwrap_or_default(),
            vpc: string(v, "vpcid"),
            subnet: string(v, "subnetid"),
            origin: self.place(v, &["networkinterfaceid"]),
            ..Interface::default()
        };
        if let Some(list) = member(v, "groups")
            && !list.is_null()
            && self.expect_list(list, "Groups").is_ok()
            && self.unreliable(v).is_none()
        {
            let one = |g: Value<'_>| self.id(g, "groupid", "sg-").map(|id| (id, g.origin(self.file)));
            out.groups = list.items().map(one).collect();
            if out.groups.is_none() {
                self.nameless(list, "an interface with a group that has no GroupId");
            }
        }
        self.addresses(v, &mut out);
        self.doubt_leftovers(v, known::INTERFACE);
        self.add_interface(out);
    }

    fn addresses(&mut self, v: Value<'_>, out: &mut Interface) {
        let mut own = Vec::new();
        let mut public = Vec::new();
        own.extend(text(v, "privateipaddress"));
        own.extend(text(v, "ipv6address"));
        let mut association = |v: Value<'_>| {
            public.extend(member(v, "association").and_then(|a| string(a, "publicip")));
        };
        association(v);
        for (list, item) in [
            ("privateipaddresses", "privateipaddress"),
            ("ipv6addresses", "ipv6address"),
            ("ipv4prefixes", "ipv4prefix"),
            ("ipv6prefixes", "ipv6prefix"),
        ] {
            for entry in member(v, list).into_iter().flat_map(|l| l.items()) {
                own.extend(text(entry, item));
                association(entry);
            }
        }
        out.addresses = self.set(own.iter().map(AsRef::as_ref), v);
        out.public = self.set(public.iter().map(String::as_str), v);
    }

    /// Addresses and prefixes as one set; what is none is reported.
    pub fn set<'t>(&mut self, texts: impl Iterator<Item = &'t str>, at: Value<'_>) -> IntervalSet {
        let mut ranges = Vec::new();
        for text in texts {
            match addr::parse(text) {
                Some(s) => ranges.extend_from_slice(s.ranges()),
                None => {
                    let (origin, text) = (at.origin(self.file), format!("`{}` is no address", short(text)));
                    self.diagnostics.push(Diagnostic::error(origin, &text));
                    self.doubt(Unknown { text, why: "it may stand for any address".to_owned(), origin });
                }
            }
        }
        IntervalSet::from_ranges(ranges)
    }

    /// Adds an interface, or what is new about it.
    pub fn add_interface(&mut self, new: Interface) {
        let Some((old, new)) = self.inventory.add_interface(new) else { return };
        old.addresses = old.addresses.union(&new.addresses);
        old.public = old.public.union(&new.public);
        old.subnet = old.subnet.take().or(new.subnet);
        old.vpc = old.vpc.take().or(new.vpc);
        let names = |g: &Option<Vec<(String, Origin)>>| {
            let mut n: Vec<String> = g.iter().flatten().map(|(g, _)| g.clone()).collect();
            n.sort();
            n
        };
        match (&old.groups, &new.groups) {
            (None, Some(_)) => old.groups = new.groups,
            (Some(_), Some(_)) if names(&old.groups) != names(&new.groups) => {
                old.groups = None;
                let message = format!("{} has different groups attached in two places", new.id);
                self.diagnostics.push(
                    Diagnostic::warning(new.origin, message)
                        .help("which groups are attached is taken as not known"),
                );
            }
            _ => {}
        }
    }

    pub(super) fn subnet(&mut self, v: Value<'_>) {
        let Some(id) = string(v, "subnetid") else { return self.nameless(v, "a subnet without SubnetId") };
        let mut texts: Vec<String> = string(v, "cidrblock").into_iter().collect();
        for a in member(v, "ipv6cidrblockassociationset").into_iter().flat_map(|l| l.items()) {
            let state = member(a, "ipv6cidrblockstate").and_then(|s| string(s, "state"));
            if state.is_none_or(|s| s == "associated") {
                texts.extend(string(a, "ipv6cidrblock"));
            }
        }
        let addresses = self.set(texts.iter().map(String::as_str), v);
        self.doubt_leftovers(v, known::SUBNET);
        self.inventory.subnets.push(Subnet { id, vpc: string(v, "vpcid"), addresses });
    }

    /// A network with its prefixes, those too that are coming or going.
    pub(super) fn vpc(&mut self, v: Value<'_>) {
        let mut texts: Vec<String> = string(v, "cidrblock").into_iter().collect();
        for (list, key) in
            [("cidrblockassociationset", "cidrblock"), ("ipv6cidrblockassociationset", "ipv6cidrblock")]
        {
            let all = member(v, list).into_iter().flat_map(|l| l.items());
            texts.extend(all.filter_map(|a| string(a, key)));
        }
        let addresses = self.set(texts.iter().map(String::as_str), v);
        self.inventory.vpcs.push(Vpc { id: string(v, "vpcid"), addresses });
        self.doubt_leftovers(v, known::VPC);
    }

    pub(super) fn acl(&mut self, v: Value<'_>) {
        let origin = self.place(v, &["networkaclid"]);
        let Some(id) = self.id(v, "networkaclid", "acl-") else {
            return self.nameless(v, "a network ACL without NetworkAclId");
        };
        let mut acl = Acl {
            id,
            default: member(v, "isdefault").and_then(|d| d.bool()).unwrap_or(false),
            subnets: None,
            entries: Vec::new(),
            unknown: self.unreliable(v).into_iter().collect(),
            origin,
        };
        if let Some(list) = member(v, "associations")
            && !list.is_null()
            && self.expect_list(list, "Associations").is_ok()
        {
            let one = |a: Value<'_>| {
                let own = text(a, "networkaclid").is_none_or(|of| of == acl.id);
                string(a, "subnetid").filter(|_| own)
            };
            acl.subnets = list.items().map(one).collect();
        }
        match member(v, "entries").filter(|l| !l.is_null()) {
            None => acl.unknown.push(Unknown {
                text: "Entries of this network ACL".to_owned(),
                why: "the file does not hold the key Entries".to_owned(),
                origin,
            }),
            Some(list) => match self.expect_list(list, "Entries") {
                Err(u) => {
                    list.settle();
                    acl.unknown.push(u);
                }
                Ok(()) => {
                    for item in list.items() {
                        match self.acl_entry(item, None) {
                            Ok(e) => acl.entries.push(e),
                            Err(u) => acl.unknown.push(u),
                        }
                        acl.unknown.extend(self.leftovers(item, known::ACL_ENTRY));
                    }
                }
            },
        }
        acl.unknown.extend(self.leftovers(v, known::ACL));
        self.add_acl(acl);
    }

    /// Adds a network ACL; one that another file describes alike is the same.
    pub fn add_acl(&mut self, acl: Acl) {
        let Some(old) = self.inventory.acls.iter_mut().find(|a| a.id == acl.id) else {
            self.inventory.acls.push(acl);
            return;
        };
        let key = |e: &AclEntry| (e.egress, e.number, e.allow, e.service.clone(), e.peer.clone());
        let same = old.entries.len() == acl.entries.len()
            && old.entries.iter().all(|e| acl.entries.iter().any(|n| key(n) == key(e)));
        if !same {
            old.unknown.push(Unknown {
                text: format!("which description of {} is right", acl.id),
                why: "the files describe it twice, differently".to_owned(),
                origin: acl.origin,
            });
            let message = format!("{} is described twice, with different entries", acl.id);
            self.diagnostics
                .push(Diagnostic::warning(acl.origin, message).help("give the dumps of one moment only"));
        }
    }

    /// A prefix list with an id of its own.
    pub fn named_prefix_list(&mut self, v: Value<'_>, id: &str) {
        self.prefix_list(v, Some(id.to_owned()));
    }

    /// An entry of a network ACL; `default_egress` counts where it does not say its direction.
    ///
    /// # Errors
    /// What is unknown if it cannot be read.
    pub fn acl_entry(&mut self, v: Value<'_>, default_egress: Option<bool>) -> Result<AclEntry, Unknown> {
        let origin = self.place(v, &["cidrblock", "ipv6cidrblock", "rulenumber"]);
        let ports = member(v, "portrange");
        let icmp = member(v, "icmptypecode").or_else(|| member(v, "icmp"));
        // A port range counts for tcp and udp, type and code for icmp; without them the API means all.
        let protocol = member(v, "protocol");
        // What its protocol does not have does not count, whatever it says.
        if let Ok((_, p)) = parse_protocol(protocol) {
            icmp.filter(|_| !matches!(p, Some(1 | 58))).inspect(Value::settle);
            ports.filter(|_| !matches!(p, Some(6 | 17))).inspect(Value::settle);
        }
        let s = match parse_protocol(protocol) {
            Err(unknown) => unknown,
            Ok((_, None)) => Service::All,
            Ok((_, Some(p @ (1 | 58)))) => match icmp {
                None => Service::Icmp(p, None, None),
                Some(c) => service(protocol, member(c, "type"), member(c, "code")),
            },
            Ok((_, Some(p @ (6 | 17)))) => match ports {
                None => Service::Ports(p, 0, u16::MAX),
                Some(r) => service(protocol, member(r, "from"), member(r, "to")),
            },
            Ok((_, Some(p))) => Service::Protocol(p),
        };
        let service = self.understood(s, v);
        let peer = match (
            member(v, "cidrblock").filter(|c| !c.is_null()),
            member(v, "ipv6cidrblock").filter(|c| !c.is_null()),
        ) {
            (Some(c), None) => self.net(c, &[], false),
            (None, Some(c)) => self.net(c, &[], true),
            _ => self.no_peer(v, "an entry of a network ACL needs one prefix"),
        };
        let rule_number = number(member(v, "rulenumber")).ok().flatten().and_then(|n| u32::try_from(n).ok());
        let allow = match text(v, "ruleaction").as_deref() {
            Some("allow") => Some(true),
            Some("deny") => Some(false),
            _ => None,
        };
        let egress = member(v, "egress").map_or(default_egress, |e| e.bool());
        match (rule_number, allow, egress) {
            (Some(number), Some(allow), Some(egress)) => {
                Ok(AclEntry { number, egress, allow, service, peer, origin })
            }
            _ => {
                self.diagnostics.push(Diagnostic::error(
                    origin,
                    "an entry of a network ACL needs RuleNumber, RuleAction (allow or deny) and Egress",
                ));
                Err(Unknown {
                    text: "an entry of a network ACL".to_owned(),
                    why: "its number, action or direction is missing".to_owned(),
                    origin,
                })
            }
        }
    }
}
