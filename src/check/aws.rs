//! What the checks for clouds share: what the Internet reaches through a group, or through all groups of an interface, as exact sets.

use super::registry::{Check, Subject};
use crate::analysis::evaluate::evaluate;
use crate::analysis::{Environment, Point, Verdict};
use crate::dialect::aws::inventory::{Group, Inventory, Service};
use crate::finding::{Finding, Related};
use crate::model::{Action, Chain, Firewall, Rule, Term, TermRange};
use crate::packet::{Family, Field, IntervalSet, Packet, Value, addr, proto, public};
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
    /// The rule.
    pub origin: Origin,
}

/// The chains of a direction by group id.
pub fn chains<'a>(firewall: &'a Firewall, direction: &str) -> BTreeMap<&'a str, &'a Chain> {
    firewall.chains.iter().filter(|c| c.table == direction).map(|c| (c.name.as_str(), c)).collect()
}

/// What a rule lets pass for certain; `peer` is the field of the other end. `None` if it hangs on a condition.
pub fn piece(f: &Firewall, rule: &Rule, peer: Field) -> Option<Piece> {
    if rule.action != Action::Accept {
        return None;
    }
    let mut out = Piece {
        peers: Field::Src.all(),
        protocols: Field::Proto.all(),
        ports: Field::Dport.all(),
        icmp: Field::Icmp.all(),
        origin: rule.origin,
    };
    narrow(f, rule.terms, peer, &mut out)?;
    Some(out).filter(|p| !p.peers.is_empty())
}

fn narrow(f: &Firewall, terms: TermRange, peer: Field, out: &mut Piece) -> Option<()> {
    for term in f.terms(terms) {
        let (field, set) = match *term {
            Term::Any(a) => {
                // The ways that hang on nothing; others may add to them, and are for the check of what is undecided.
                let mut peers = IntervalSet::EMPTY;
                for way in &f.alternatives[a.index()] {
                    let mut one = Piece { peers: Field::Src.all(), ..out.clone() };
                    if narrow(f, *way, peer, &mut one).is_some() {
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

/// Services that a set of public addresses reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Ports of tcp.
    pub tcp: IntervalSet,
    /// Ports of udp.
    pub udp: IntervalSet,
    /// ICMP values of the family's own ICMP.
    pub icmp: IntervalSet,
    /// Other protocols.
    pub other: IntervalSet,
}

impl Reach {
    /// Nothing.
    pub fn is_empty(&self) -> bool {
        [&self.tcp, &self.udp, &self.icmp, &self.other].iter().all(|s| s.is_empty())
    }

    /// What is not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Reach) -> Reach {
        Reach {
            tcp: self.tcp.minus(&other.tcp),
            udp: self.udp.minus(&other.udp),
            icmp: self.icmp.minus(&other.icmp),
            other: self.other.minus(&other.other),
        }
    }

    /// Number of ports, of tcp and of udp.
    pub fn ports(&self) -> u128 {
        self.tcp.count() + self.udp.count()
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Reach) -> Reach {
        Reach {
            tcp: self.tcp.union(&other.tcp),
            udp: self.udp.union(&other.udp),
            icmp: self.icmp.union(&other.icmp),
            other: self.other.union(&other.other),
        }
    }

    /// All ports of tcp or of udp, or every other protocol.
    pub fn is_broad(&self) -> bool {
        let ports = Field::Dport.all();
        self.tcp == ports || self.udp == ports || self.other.count() > 200
    }

    /// In words: `tcp/22, tcp/80-443, icmp`.
    pub fn words(&self, family: Family) -> String {
        let mut out = Vec::new();
        for (name, ports) in [("tcp", &self.tcp), ("udp", &self.udp)] {
            if *ports == Field::Dport.all() {
                out.push(format!("{name} (all ports)"));
                continue;
            }
            for (lo, hi) in ports.ranges() {
                out.push(if lo == hi { format!("{name}/{lo}") } else { format!("{name}/{lo}-{hi}") });
            }
        }
        let icmp = if family == Family::V4 { "icmp" } else { "icmpv6" };
        if self.icmp == Field::Icmp.all() {
            out.push(icmp.to_owned());
        } else {
            let types: IntervalSet =
                self.icmp.ranges().iter().flat_map(|(a, b)| (a >> 8)..=(b >> 8)).collect();
            out.extend(types.ranges().iter().map(|(a, b)| {
                if a == b { format!("{icmp} type {a}") } else { format!("{icmp} types {a}-{b}") }
            }));
        }
        if self.other.count() > 200 {
            out.push("every other protocol".to_owned());
        } else {
            let protocols = self.other.ranges().iter().flat_map(|(a, b)| *a..=*b);
            out.extend(protocols.map(|p| proto::name(p as u8)));
        }
        if out.is_empty() { "nothing".to_owned() } else { out.join(", ") }
    }
}

/// More public addresses than this are "the Internet", not a partner: wider than a /8 (IPv4), than a /16 (IPv6).
pub const fn wide(family: Family) -> u128 {
    match family {
        Family::V4 => 1 << 24,
        Family::V6 => 1 << 112,
    }
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

/// Something through which the Internet gets in: one group, or an interface with several.
pub struct Door<'a> {
    /// What it is: `sg-1 (web)`, `eni-1 with sg-1, sg-2`.
    pub name: String,
    /// Where it is described.
    pub origin: Origin,
    /// The groups.
    pub groups: Vec<&'a str>,
    /// The interface's own addresses, where one is known.
    pub own: IntervalSet,
    /// Family of the packets.
    pub family: Family,
    /// What is let in, peers cut to public addresses of the family.
    pub pieces: Vec<Piece>,
    /// What more than a partner reaches ([`wide`]). Of an interface: what no single group lets in.
    pub open: Reach,
}

/// The public addresses of a family, with those for documentation.
fn public_addresses(family: Family) -> &'static IntervalSet {
    use std::sync::LazyLock;
    static SETS: LazyLock<[IntervalSet; 2]> =
        LazyLock::new(|| Family::ALL.map(|f| public::with_documentation().intersect(&f.all())));
    &SETS[family as usize]
}

/// What a chain lets in for certain from public addresses of a family.
pub fn public_pieces(f: &Firewall, chain: &Chain, family: Family) -> Vec<Piece> {
    let internet = public_addresses(family);
    let pieces =
        chain.rules.iter().filter(|r| may_admit(f, r, internet)).filter_map(|r| piece(f, r, Field::Src));
    pieces
        .filter(|p| p.peers.intersects(internet))
        .map(|p| Piece { peers: p.peers.intersect(internet), ..p })
        .collect()
}

// Whether a rule's sources meet a set; most do not, and then nothing is computed of it.
fn may_admit(f: &Firewall, rule: &Rule, set: &IntervalSet) -> bool {
    f.terms(rule.terms).iter().all(|term| match *term {
        Term::Range { field: Field::Src, lo, hi } => {
            let (lo, hi) = (addr::v4(lo), addr::v4(hi));
            let first = set.ranges().partition_point(|r| r.1 < lo);
            set.ranges().get(first).is_some_and(|r| r.0 <= hi)
        }
        Term::In(Field::Src, id) => f.sets.get(id).intersects(set),
        _ => true,
    })
}

/// All doors of a firewall: every group by family, then every interface whose groups together let in more than each.
pub fn doors<'a>(subject: &Subject<'a>, inventory: &'a Inventory) -> Vec<Door<'a>> {
    let f = subject.firewall;
    let chains = chains(f, "ingress");
    let mut out = Vec::new();
    let mut single: BTreeMap<(&str, Family), usize> = BTreeMap::new();
    for group in &inventory.groups {
        let Some(chain) = chains.get(group.id.as_str()) else { continue };
        for family in Family::ALL {
            let pieces = public_pieces(f, chain, family);
            if pieces.is_empty() {
                continue;
            }
            let open = reach(&pieces, family, wide(family));
            single.insert((&group.id, family), out.len());
            out.push(Door {
                name: group.title(),
                origin: group.origin,
                groups: vec![&group.id],
                own: IntervalSet::EMPTY,
                family,
                pieces,
                open,
            });
        }
    }
    for interface in inventory.interfaces.iter() {
        let worn: Vec<&str> = interface.groups.iter().flatten().map(|(g, _)| g.as_str()).collect();
        for family in Family::ALL {
            let of: Vec<usize> = worn.iter().filter_map(|g| single.get(&(*g, family)).copied()).collect();
            if of.len() < 2 {
                continue;
            }
            let pieces: Vec<Piece> = of.iter().flat_map(|i| out[*i].pieces.clone()).collect();
            let together = reach(&pieces, family, wide(family));
            let open = of.iter().fold(together, |left, i| left.minus(&out[*i].open));
            if !open.is_empty() {
                out.push(Door {
                    name: format!("{} with {}", interface.id, worn.join(" and ")),
                    origin: interface.origin,
                    groups: worn.clone(),
                    own: interface.addresses.clone(),
                    family,
                    pieces,
                    open,
                });
            }
        }
    }
    out
}

impl Door<'_> {
    /// The rules that let in one of the ports of a protocol, largest sources first.
    pub fn rules(&self, protocol: u8, ports: &IntervalSet) -> Vec<&Piece> {
        let mut found: Vec<&Piece> = self
            .pieces
            .iter()
            .filter(|p| p.protocols.contains(protocol.into()))
            .filter(|p| ![proto::TCP, proto::UDP].contains(&protocol) || p.ports.intersects(ports))
            .collect();
        found.sort_by_key(|p| std::cmp::Reverse(p.peers.count()));
        found
    }

    /// A finding at the rule that admits most, with the others beside it and a packet that is let in.
    pub fn finding(
        &self,
        check: &Check,
        subject: &Subject<'_>,
        protocol: u8,
        ports: &IntervalSet,
        message: String,
    ) -> Finding {
        let rules = self.rules(protocol, ports);
        let first = rules.first().map_or(self.origin, |p| p.origin);
        let mut f = check.finding(subject, first, message, "lets it in");
        f.related
            .extend(rules.iter().skip(1).take(8).map(|p| subject.related(p.origin, "lets in another part")));
        f.related.push(subject.related(self.origin, self.name.clone()));
        f.witness = self.witness(subject, protocol, ports, &rules);
        f
    }

    // A packet from the Internet that the evaluator lets in.
    fn witness(
        &self,
        subject: &Subject<'_>,
        protocol: u8,
        ports: &IntervalSet,
        rules: &[&Piece],
    ) -> Option<Packet> {
        let piece = rules.first()?;
        let from = natural(&piece.peers, self.family)?;
        let own = self.own.intersect(&self.family.all()).first();
        let to = own.map(addr::addr).unwrap_or_else(|| match self.family {
            Family::V4 => std::net::Ipv4Addr::new(10, 0, 0, 10).into(),
            Family::V6 => std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10).into(),
        });
        let port = piece.ports.intersect(ports).first();
        let mut v = serde_json::json!({"dir": "ingress", "src": from, "dst": to, "proto": protocol});
        if let Some(port) = port.filter(|_| [proto::TCP, proto::UDP].contains(&protocol)) {
            v["dport"] = (port as u16).into();
        }
        if [proto::ICMP, proto::ICMPV6].contains(&protocol)
            && let Some(i) = piece.icmp.first()
        {
            v["icmp_type"] = ((i >> 8) as u8).into();
            v["icmp_code"] = (i as u8).into();
        }
        let mut packet: Packet = serde_json::from_value(v).ok()?;
        packet.groups = Some(self.groups.iter().map(|g| (*g).to_owned()).collect());
        let environment = Environment { labels: packet.groups.clone(), ..subject.environment.clone() };
        let firewalls = [subject.firewall];
        let trace = evaluate(Point { firewalls: &firewalls, environment: &environment }, &packet);
        (trace.verdict == Verdict::Accept).then_some(packet)
    }
}

// A host of the set, from a documentation range if it may be.
fn natural(set: &IntervalSet, family: Family) -> Option<std::net::IpAddr> {
    let usual = match family {
        Family::V4 => addr::v4(0xcb00_714d),
        Family::V6 => 0x2001_0db8_0077_0000_0000_0000_0000_0077,
    };
    if set.contains(usual) {
        return Some(addr::addr(usual));
    }
    let (lo, hi) = set.ranges().first()?;
    Some(addr::addr(if hi > lo { lo + 1 } else { *lo }))
}

/// Findings of a check for single ports: every door by which the Internet reaches one of them, unless it reaches (nearly) everything.
pub fn open_ports(
    check: &Check,
    subject: &Subject<'_>,
    findings: &mut Vec<Finding>,
    what: &str,
    ports: &[(u8, u16)],
) {
    let Some(inventory) = inventory(subject) else { return };
    for door in doors(subject, inventory) {
        for protocol in [proto::TCP, proto::UDP] {
            let open = if protocol == proto::TCP { &door.open.tcp } else { &door.open.udp };
            let asked: IntervalSet =
                ports.iter().filter(|p| p.0 == protocol).map(|p| Value::from(p.1)).collect();
            let hit = open.intersect(&asked);
            if hit.is_empty() || *open == Field::Dport.all() {
                continue;
            }
            let list: Vec<_> =
                asked.ranges().iter().flat_map(|(a, b)| *a..=*b).filter(|p| hit.contains(*p)).collect();
            let names: Vec<_> = list.iter().map(|p| format!("{}/{p}", proto::name(protocol))).collect();
            let over = over(door.family);
            let message =
                format!("{}: the Internet reaches {what} ({}) over {over}", door.name, names.join(", "));
            findings.push(door.finding(check, subject, protocol, &hit, message));
        }
    }
}

/// `IPv4` or `IPv6`.
pub fn over(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
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
