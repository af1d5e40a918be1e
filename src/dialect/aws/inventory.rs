//! What the files say, in the words of the EC2 API: groups, prefix lists, interfaces, subnets, network ACLs. Every form of input ends here.

use super::routes::RouteTable;
use crate::packet::{IntervalSet, Value, addr, proto};
use crate::source::Origin;
use ipnet::IpNet;
use rustc_hash::FxHashMap;

/// Everything that one folder, or the files given together, say.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Security groups, in the order in which they were met.
    pub groups: Vec<Group>,
    /// Prefix lists, each id once.
    pub prefix_lists: Vec<PrefixList>,
    /// Network interfaces.
    pub interfaces: Vec<Interface>,
    /// Subnets.
    pub subnets: Vec<Subnet>,
    /// Networks.
    pub vpcs: Vec<Vpc>,
    /// Network ACLs.
    pub acls: Vec<Acl>,
    /// Route tables.
    pub route_tables: Vec<RouteTable>,
    /// Who carries groups, where no address of it is known: databases, load balancers, clusters.
    pub attached: Vec<Attachment>,
    /// Where a dump says that it goes on elsewhere (`NextToken`).
    pub cut: Option<Origin>,
    /// What may change anything that the files say: parts of them that are not understood and belong to nothing narrower.
    pub unknown: Vec<Unknown>,
    /// Entries, by their place, that hold with defaults of parameters, which a deployment may change: `the default 0.0.0.0/0 of the
    /// parameter Admin`.
    pub defaults: FxHashMap<Origin, String>,
    /// How many entries each prefix list may have (`MaxEntries`), where that is said.
    pub max_entries: FxHashMap<String, usize>,
    /// Rules depend on variables that can be set otherwise where the configuration is used.
    pub variables: bool,
    /// Some of it is Terraform's plan, in which an attribute that is unknown and not set counts as absent.
    pub plan: bool,
    /// What may say that a dump goes on elsewhere: a string beside its list that havenlint does not know.
    pub may_be_cut: Option<Unknown>,
    /// What each file is.
    pub forms: Vec<Form>,
    by_id: FxHashMap<String, usize>,
    interface_by_id: FxHashMap<String, usize>,
    prefix_list_by_id: FxHashMap<String, usize>,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// An answer of the API, or an export made of such.
    #[default]
    Api,
    /// A state or plan of Terraform.
    Terraform,
    /// A template of CloudFormation.
    CloudFormation,
}

/// A security group.
#[derive(Debug, Clone)]
pub struct Group {
    /// `sg-…`; in infrastructure code that has none yet, the resource's address or logical id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// The VPC that it belongs to.
    pub vpc: Option<String>,
    /// The account that it belongs to.
    pub owner: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// The object that describes it; of a group that is only named, the place that names it.
    pub origin: Origin,
    /// Whether a file describes it (or lists its rules), not only names it.
    pub described: bool,
    /// What it lets in.
    pub ingress: Rules,
    /// What it lets out.
    pub egress: Rules,
}

/// The rules of one direction.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// One entry for each peer of each permission: the API's `IpRanges` entries and their like.
    pub entries: Vec<Entry>,
    /// Why there may be more rules than the entries.
    pub unknown: Vec<Unknown>,
}

/// Something that the files leave open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// What, as short as a condition: `prefix list pl-1`.
    pub text: String,
    /// Why it is not known, or what would settle it.
    pub why: String,
    /// Where.
    pub origin: Origin,
}

/// "This service, from (or to) this peer."
#[derive(Debug, Clone)]
pub struct Entry {
    /// The entry itself: the narrowest object or string that holds the peer.
    pub origin: Origin,
    /// Protocol and ports.
    pub service: Service,
    /// The other end.
    pub peer: Peer,
    /// Its description; `None` where there is none or it is empty.
    pub description: Option<String>,
    /// The entry exists only if this holds.
    pub only_if: Option<Unknown>,
}

/// Protocol and ports of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Service {
    /// Everything (`-1`).
    All,
    /// A protocol with destination ports, both included.
    Ports(u8, u16, u16),
    /// icmp or icmpv6: type and code; `None` = any.
    Icmp(u8, Option<u8>, Option<u8>),
    /// A protocol, whatever its ports.
    Protocol(u8),
    /// Not understood: the text and why.
    Unknown(String, String),
}

/// The other end of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Peer {
    /// Addresses of a prefix.
    Net(IpNet),
    /// Addresses of a prefix list.
    PrefixList(String),
    /// Interfaces to which a group is attached.
    Group(Reference),
    /// Not understood: the text and why.
    Unknown(String, String),
}

/// A reference to a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Reference {
    /// Its id; empty if only the name is given and no file knows it.
    pub group: String,
    /// Its name where given.
    pub name: Option<String>,
    /// The account that it belongs to, where given.
    pub owner: Option<String>,
    /// The peering connection through which it is reached.
    pub peering: Option<String>,
    /// That connection's status as the API tells it: the reference holds while it is `active`.
    pub status: Option<String>,
    /// Which group it is, is not known; why.
    pub unknown: Option<String>,
}

/// A prefix list.
#[derive(Debug, Clone)]
pub struct PrefixList {
    /// `pl-…`.
    pub id: String,
    /// Its prefixes, each with its place.
    pub entries: Vec<(IpNet, Origin)>,
    /// Why there may be more.
    pub unknown: Vec<Unknown>,
    /// The most entries that it may have: as so many it counts in a group's quota.
    pub max_entries: Option<u32>,
    /// Where it is.
    pub origin: Origin,
}

/// A network.
#[derive(Debug, Clone, Default)]
pub struct Vpc {
    /// `vpc-…`, or its address in infrastructure code; `None` = not known which.
    pub id: Option<String>,
    /// Its addresses of both families, as far as the files tell.
    pub addresses: IntervalSet,
}

/// Something that carries a group and whose addresses the files do not tell.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// The group.
    pub group: String,
    /// What carries it: `aws_db_instance.main`.
    pub by: String,
    /// Where it says so.
    pub origin: Origin,
}

/// A network interface.
#[derive(Debug, Clone, Default)]
pub struct Interface {
    /// `eni-…`, or an instance's id or address where the interface has none.
    pub id: String,
    /// Groups attached to it, each with the place that says so; `None` = not said.
    pub groups: Option<Vec<(String, Origin)>>,
    /// The VPC.
    pub vpc: Option<String>,
    /// The subnet.
    pub subnet: Option<String>,
    /// Private IPv4 addresses, IPv6 addresses and delegated prefixes: what a group reference matches.
    pub addresses: IntervalSet,
    /// Public IPv4 addresses that are translated to the private ones.
    pub public: IntervalSet,
    /// Where it is.
    pub origin: Origin,
}

/// A subnet.
#[derive(Debug, Clone, Default)]
pub struct Subnet {
    /// `subnet-…`.
    pub id: String,
    /// Its VPC.
    pub vpc: Option<String>,
    /// Its addresses of both families.
    pub addresses: IntervalSet,
}

/// A network ACL: stateless, first match in order of rule number.
#[derive(Debug, Clone)]
pub struct Acl {
    /// `acl-…`.
    pub id: String,
    /// The VPC's default one.
    pub default: bool,
    /// Subnets that use it; `None` = not said.
    pub subnets: Option<Vec<String>>,
    /// Entries, in the order of the file.
    pub entries: Vec<AclEntry>,
    /// Why there may be more.
    pub unknown: Vec<Unknown>,
    /// Where it is.
    pub origin: Origin,
}

/// An entry of a network ACL.
#[derive(Debug, Clone)]
pub struct AclEntry {
    /// Order: ascending. 32767 is the implicit last one.
    pub number: u32,
    /// For what leaves the subnet.
    pub egress: bool,
    /// Lets through, or stops.
    pub allow: bool,
    /// Protocol and ports.
    pub service: Service,
    /// The other end; [`Peer::Net`] or [`Peer::Unknown`].
    pub peer: Peer,
    /// The entry.
    pub origin: Origin,
}

impl Inventory {
    /// What a file is, by its number.
    pub fn form(&self, file: u32) -> Form {
        self.forms.get(file as usize).copied().unwrap_or_default()
    }

    /// The group with an id, added as merely named if it is new.
    pub fn group_mut(&mut self, id: &str, origin: Origin) -> &mut Group {
        let at = match self.by_id.get(id) {
            Some(at) => *at,
            None => {
                self.by_id.insert(id.to_owned(), self.groups.len());
                self.groups.push(Group::named(id, origin));
                self.groups.len() - 1
            }
        };
        &mut self.groups[at]
    }

    /// The group with an id.
    pub fn group(&self, id: &str) -> Option<&Group> {
        self.by_id.get(id).map(|at| &self.groups[*at])
    }

    /// The described group with an id.
    pub fn described_mut(&mut self, id: &str) -> Option<&mut Group> {
        let at = self.group_index(id)?;
        Some(&mut self.groups[at]).filter(|g| g.described)
    }

    /// Index of the group with an id.
    pub fn group_index(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The prefix list with an id.
    pub fn prefix_list(&self, id: &str) -> Option<&PrefixList> {
        self.prefix_list_by_id.get(id).map(|at| &self.prefix_lists[*at])
    }

    /// The prefix list with the id of `new`, if it is there already; otherwise that is added.
    pub fn add_prefix_list(&mut self, new: PrefixList) -> Option<(&mut PrefixList, PrefixList)> {
        if let Some(at) = self.prefix_list_by_id.get(&new.id) {
            return Some((&mut self.prefix_lists[*at], new));
        }
        self.prefix_list_by_id.insert(new.id.clone(), self.prefix_lists.len());
        self.prefix_lists.push(new);
        None
    }

    /// The interface with an id.
    pub fn interface(&self, id: &str) -> Option<&Interface> {
        self.interface_by_id.get(id).map(|at| &self.interfaces[*at])
    }

    /// The interface with an id, if it is there already; otherwise `new` is added.
    pub fn add_interface(&mut self, new: Interface) -> Option<(&mut Interface, Interface)> {
        if !new.id.is_empty() {
            if let Some(at) = self.interface_by_id.get(&new.id) {
                return Some((&mut self.interfaces[*at], new));
            }
            self.interface_by_id.insert(new.id.clone(), self.interfaces.len());
        }
        self.interfaces.push(new);
        None
    }

    /// Interfaces by the groups that are attached to them.
    pub fn members(&self) -> FxHashMap<&str, Vec<&Interface>> {
        let mut out: FxHashMap<&str, Vec<&Interface>> = FxHashMap::default();
        for interface in &self.interfaces {
            for (group, _) in interface.groups.iter().flatten() {
                let members = out.entry(group).or_default();
                // One group may be named twice.
                if members.last().is_none_or(|last| !std::ptr::eq(*last, interface)) {
                    members.push(interface);
                }
            }
        }
        out
    }
}

impl Group {
    /// A group of which nothing but the id is known.
    pub fn named(id: &str, origin: Origin) -> Self {
        Self {
            id: id.to_owned(),
            name: None,
            vpc: None,
            owner: None,
            description: None,
            origin,
            described: false,
            ingress: Rules::default(),
            egress: Rules::default(),
        }
    }

    /// Notes that all that it lets in and out, and what else there may be, depends on something unknown.
    pub fn doubt(&mut self, u: &Unknown) {
        for rules in [&mut self.ingress, &mut self.egress] {
            rules.entries.iter_mut().for_each(|e| _ = e.only_if.get_or_insert_with(|| u.clone()));
            rules.unknown.push(u.clone());
        }
    }

    /// Id and name as people know it: `sg-1 (web)`.
    pub fn title(&self) -> String {
        match &self.name {
            Some(n) if *n != self.id => format!("{} ({n})", self.id),
            _ => self.id.clone(),
        }
    }
}

impl Entry {
    /// As people write it: `tcp/22 with 10.0.9.0/24`.
    pub fn text(&self) -> String {
        let peer = match &self.peer {
            Peer::Net(net) => net.to_string(),
            Peer::PrefixList(id) => id.clone(),
            Peer::Group(r) if r.group.is_empty() => r.name.clone().unwrap_or_default(),
            Peer::Group(r) => r.group.clone(),
            Peer::Unknown(text, _) => text.clone(),
        };
        format!("{} with {peer}", self.service.text())
    }
}

impl PrefixList {
    /// Every address of the list.
    pub fn addresses(&self) -> IntervalSet {
        let sets = self.entries.iter().map(|(n, _)| addr::net(*n));
        IntervalSet::from_ranges(sets.flat_map(|s| s.ranges().to_vec()))
    }
}

impl Service {
    /// As people write it: `tcp/22`, `udp/20080-20084`, `icmp type 8`, `all traffic`.
    pub fn text(&self) -> String {
        match self {
            Service::All => "all traffic".to_owned(),
            Service::Ports(p, 0, u16::MAX) => format!("{}, all ports", proto::name(*p)),
            Service::Ports(p, a, b) if a == b => format!("{}/{a}", proto::name(*p)),
            Service::Ports(p, a, b) => format!("{}/{a}-{b}", proto::name(*p)),
            Service::Icmp(p, None, _) => proto::name(*p),
            Service::Icmp(p, Some(t), None) => format!("{} type {t}", proto::name(*p)),
            Service::Icmp(p, Some(t), Some(c)) => format!("{} type {t} code {c}", proto::name(*p)),
            Service::Protocol(p) => proto::name(*p),
            Service::Unknown(text, _) => text.clone(),
        }
    }

    /// The ICMP values (type × 256 + code) of a type and code.
    pub fn icmp_values(kind: Option<u8>, code: Option<u8>) -> IntervalSet {
        let of = |t: u8| {
            let base = Value::from(t) << 8;
            code.map_or((base, base | 0xff), |c| (base | Value::from(c), base | Value::from(c)))
        };
        match kind {
            Some(t) => IntervalSet::from_ranges([of(t)]),
            None => IntervalSet::from_ranges((0..=u8::MAX).map(of)),
        }
    }
}
