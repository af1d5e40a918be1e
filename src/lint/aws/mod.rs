//! Checks of AWS security groups and network ACLs: `HL-AWS-…`, and what they share: what rules of groups let in, as exact sets, and services in words.

pub mod acl_answers;
pub mod acl_internet;
pub mod acl_open;
mod acl_order;
pub mod acl_unused;
pub mod covered;
pub mod default_group;
pub mod egress_all;
pub mod exposure;
pub mod exposure_finding;
pub mod internet_admin;
pub mod internet_all;
pub mod internet_chain;
pub mod internet_database;
pub mod internet_rdp;
pub mod internet_reach;
pub mod internet_service;
pub mod internet_ssh;
pub mod internet_undecided;
pub mod ipv6_opened;
pub mod launch_wizard;
pub mod least_privilege;
pub mod many_rules;
pub mod no_description;
pub mod stale_reference;
pub mod unattached;
pub mod wide_cidr;

use crate::dialect::aws::inventory::{Group, Inventory, Service};
use crate::finding::Related;
pub use crate::lint::open::sources::wide;
pub use crate::lint::reach::{Reach, over};
use crate::lint::registry::Subject;
use crate::model::{Action, Chain, Firewall, Rule, Term, TermRange};
use crate::packet::{ConnState, Family, Field, IntervalSet, Region, Value, proto};
use crate::source::Origin;
use std::collections::BTreeMap;

/// The inventory of a firewall of the dialect `aws`.
pub fn inventory<'a>(subject: &Subject<'a>) -> Option<&'a Inventory> {
    subject.firewall.native.as_ref()?.downcast_ref()
}

/// What one rule lets in for certain. Fields that it does not limit hold every value.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The peers.
    pub peers: IntervalSet,
    /// Protocols.
    pub protocols: IntervalSet,
    /// Destination ports.
    pub ports: IntervalSet,
    /// ICMP values.
    pub icmp: IntervalSet,
    /// The interface's own addresses.
    pub to: IntervalSet,
    /// The rule.
    pub origin: Origin,
}

impl Piece {
    /// The part of the piece that a region holds.
    #[must_use]
    pub fn cut(&self, region: &Region) -> Piece {
        let of = |f: Field| region.get(f).clone();
        Piece {
            peers: of(Field::Src),
            protocols: of(Field::Proto),
            ports: of(Field::Dport),
            icmp: of(Field::Icmp),
            to: of(Field::Dst),
            origin: self.origin,
        }
    }

    /// The packets of a family that open a connection.
    pub fn region(&self, family: Family) -> Region {
        let none = IntervalSet::single(0u8);
        Region::all(family)
            .cut(Field::Src, &self.peers)
            .cut(Field::Dst, &self.to)
            .with(Field::Proto, self.protocols.clone())
            .with(Field::Dport, self.ports.clone())
            .with(Field::Icmp, self.icmp.clone())
            .with(Field::State, IntervalSet::single(ConnState::New.value()))
            .with(Field::Iif, none.clone())
            .with(Field::Oif, none)
    }
}

/// The chains of a direction by group id.
pub fn chains<'a>(firewall: &'a Firewall, direction: &str) -> BTreeMap<&'a str, &'a Chain> {
    firewall.chains.iter().filter(|c| c.table == direction).map(|c| (c.name.as_str(), c)).collect()
}

/// What a rule lets pass for certain; `peer` is the field of the other end. `None` if it depends on a condition.
pub fn piece(f: &Firewall, rule: &Rule, peer: Field) -> Option<Piece> {
    piece_if(f, rule, peer, None)
}

/// As [`piece`], with the defaults of parameters as they stand: the finding names them.
pub fn piece_with_defaults(f: &Firewall, rule: &Rule, peer: Field) -> Option<Piece> {
    let inventory: Option<&Inventory> = f.native.as_ref().and_then(|n| n.downcast_ref());
    piece_if(f, rule, peer, inventory.and_then(|i| i.defaults.get(&rule.origin)).map(String::as_str))
}

// `default` is the condition that is taken to hold.
fn piece_if(f: &Firewall, rule: &Rule, peer: Field, default: Option<&str>) -> Option<Piece> {
    if rule.action != Action::Accept {
        return None;
    }
    let mut out = Piece {
        peers: Field::Src.all(),
        protocols: Field::Proto.all(),
        ports: Field::Dport.all(),
        icmp: Field::Icmp.all(),
        to: Field::Dst.all(),
        origin: rule.origin,
    };
    narrow(f, rule.terms, (peer, default), &mut out)?;
    let all = [&out.peers, &out.protocols, &out.ports, &out.icmp, &out.to];
    let never = all.iter().any(|s| s.is_empty());
    (!never).then_some(out)
}

fn narrow(
    f: &Firewall,
    terms: TermRange,
    (peer, default): (Field, Option<&str>),
    out: &mut Piece,
) -> Option<()> {
    for term in f.terms(terms) {
        let (field, set) = match *term {
            Term::Opaque { condition, negated: false }
                if default.is_some_and(|d| f.conditions[condition.index()].text == d) =>
            {
                continue;
            }
            Term::Any(a) => {
                // The ways that depend on nothing; others may add to them, and are for the check of what is undecided.
                let mut peers = IntervalSet::EMPTY;
                for way in &f.alternatives[a.index()] {
                    let mut one = Piece { peers: Field::Src.all(), ..out.clone() };
                    if narrow(f, *way, (peer, default), &mut one).is_some() {
                        peers = peers.union(&one.peers);
                    }
                }
                (peer, peers)
            }
            _ => f.field_set(term)?,
        };
        let slot = match field {
            x if x == peer => &mut out.peers,
            Field::Proto => &mut out.protocols,
            Field::Dport => &mut out.ports,
            Field::Icmp => &mut out.icmp,
            _ => return None,
        };
        *slot = slot.intersect(&set);
    }
    Some(())
}

/// What more than `limit` public addresses reach together, by pieces whose peers are cut to public addresses of the family.
pub fn reach(pieces: &[Piece], family: Family, limit: u128) -> Reach {
    let own_icmp = if family == Family::V4 { proto::ICMP } else { proto::ICMPV6 };
    let named: IntervalSet = [proto::TCP, proto::UDP, own_icmp].into_iter().map(Value::from).collect();
    Reach {
        tcp: sweep(pieces, limit, |p| p.protocols.contains(proto::TCP.into()).then_some(&p.ports)),
        udp: sweep(pieces, limit, |p| p.protocols.contains(proto::UDP.into()).then_some(&p.ports)),
        icmp: sweep(pieces, limit, |p| p.protocols.contains(own_icmp.into()).then_some(&p.icmp)),
        // Security groups look at no port of other protocols.
        other: sweep(pieces, limit, |p| Some(&p.protocols)).minus(&named),
    }
}

// The values at which the union of the peers is larger than the limit.
fn sweep<'p>(
    pieces: &'p [Piece],
    limit: u128,
    values: impl Fn(&'p Piece) -> Option<&'p IntervalSet>,
) -> IntervalSet {
    let list: Vec<(&Piece, &IntervalSet)> = pieces.iter().filter_map(|p| Some((p, values(p)?))).collect();
    let alone = list.iter().filter(|(p, _)| p.peers.count() > limit).flat_map(|(_, v)| v.ranges().to_vec());
    let mut open = IntervalSet::from_ranges(alone);
    let narrow: Vec<_> = list.iter().filter(|(p, _)| p.peers.count() <= limit).collect();
    if narrow.iter().map(|(p, _)| p.peers.count()).fold(0u128, u128::saturating_add) <= limit {
        return open;
    }
    let mut cuts: Vec<Value> =
        narrow.iter().flat_map(|(_, v)| v.ranges()).flat_map(|(a, b)| [*a, *b + 1]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    for w in cuts.windows(2) {
        let here =
            narrow.iter().filter(|(_, v)| v.contains(w[0])).flat_map(|(p, _)| p.peers.ranges().to_vec());
        if IntervalSet::from_ranges(here).count() > limit {
            open = open.union(&IntervalSet::range(w[0], w[1] - 1));
        }
    }
    open
}

/// A place with a few words for each of the entries.
pub fn related(subject: &Subject<'_>, entries: impl IntoIterator<Item = (Origin, String)>) -> Vec<Related> {
    entries.into_iter().map(|(o, m)| subject.related(o, m)).collect()
}

/// Groups that a file describes.
pub fn described(inventory: &Inventory) -> impl Iterator<Item = &Group> {
    inventory.groups.iter().filter(|g| g.described)
}

/// Services of several entries in words, each once.
pub fn services<'e>(entries: impl Iterator<Item = &'e Service>) -> String {
    let mut out: Vec<String> = Vec::new();
    for s in entries.map(Service::text) {
        if !out.contains(&s) {
            out.push(s);
        }
    }
    out.join(", ")
}
