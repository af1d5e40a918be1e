//! Exposures: what the Internet reaches through a group, or through all groups of an interface, behind the network ACLs.

use super::{Piece, Reach, chains, over, piece_with_defaults, reach, wide};
use crate::analysis::decide::{Question, decide};
use crate::analysis::{Environment, Point};
use crate::dialect::aws::inventory::{Interface, Inventory};
use crate::evidence::near::few;
use crate::lint::open::sources::public_addresses;
use crate::model::{Chain, Firewall, Rule, Term};
use crate::packet::{Family, Field, IntervalSet, Path, addr, proto};
use crate::source::Origin;
use std::collections::{BTreeMap, BTreeSet};

/// Something through which the Internet gets in: one group, or an interface with several.
pub struct Exposure<'a> {
    /// What it is: `sg-1 (web)`, `eni-1 with sg-1 and sg-2`.
    pub name: String,
    /// Where it is described.
    pub origin: Origin,
    /// The groups.
    pub groups: Vec<&'a str>,
    /// Family of the packets.
    pub family: Family,
    /// What is let in for certain, peers cut to public addresses of the family.
    pub pieces: Vec<Piece>,
    /// What more than a partner reaches ([`wide`]). Of an interface: what no single group lets in.
    pub open: Reach,
    /// What the network ACLs make of what the groups let in.
    pub acls: Acls,
    /// Public addresses of this family at the interfaces of the files that have the groups attached; `None` = no interface is known to.
    pub public: Option<Vec<String>>,
}

/// What the network ACLs make of a exposure.
#[derive(Debug, Clone, Default)]
pub struct Acls {
    /// Stopped at every interface of the files that has the groups attached.
    pub closed: Reach,
    /// The entries that stop it.
    pub closed_by: Vec<Origin>,
    /// Stopped or not: not known.
    pub maybe: Reach,
    /// What that depends on, each with its reason and place.
    pub depends_on: Vec<(String, String, Origin)>,
    /// There are network ACLs, and no interface in the files has the groups attached: which of them is asked is not known.
    pub unplaced: bool,
}

/// What a chain lets in for certain from public addresses of a family.
pub fn public_pieces(f: &Firewall, chain: &Chain, family: Family) -> Vec<Piece> {
    let internet = public_addresses(family);
    let pieces = chain
        .rules
        .iter()
        .filter(|r| may_admit(f, r, internet))
        .filter_map(|r| piece_with_defaults(f, r, Field::Src));
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

/// All exposures of a firewall: every group by family, then every interface whose groups together let in more than each. Exposures that
/// network ACLs close altogether are among them, with nothing open.
pub fn exposures<'a>(
    firewall: &'a Firewall,
    environment: &Environment,
    inventory: &'a Inventory,
) -> Vec<Exposure<'a>> {
    let asked = Asked::of(firewall, environment, inventory);
    let chains = chains(firewall, "ingress");
    let mut members_of: BTreeMap<&str, Vec<&Interface>> = BTreeMap::new();
    for interface in &inventory.interfaces {
        for (group, _) in interface.groups.iter().flatten() {
            members_of.entry(group).or_default().push(interface);
        }
    }
    let mut out = Vec::new();
    // Of each group what its rules let in, and where its exposure is.
    let mut single: BTreeMap<(&str, Family), (Vec<Piece>, usize)> = BTreeMap::new();
    for group in &inventory.groups {
        let Some(chain) = chains.get(group.id.as_str()) else { continue };
        for family in Family::ALL {
            let written = public_pieces(firewall, chain, family);
            if written.is_empty() {
                continue;
            }
            let attached_to = members_of.get(group.id.as_str()).map_or(&[][..], Vec::as_slice);
            let (pieces, acls) = behind_acls(&asked, &[&group.id], &written, attached_to, family);
            single.insert((&group.id, family), (written, out.len()));
            out.push(Exposure {
                name: with_defaults(inventory, group.title(), &pieces),
                origin: group.origin,
                groups: vec![&group.id],
                family,
                open: reach(&pieces, family, wide(family)),
                pieces,
                acls,
                public: public_of(attached_to, family),
            });
        }
    }
    for interface in inventory.interfaces.iter() {
        let attached: Vec<&str> = interface.groups.iter().flatten().map(|(g, _)| g.as_str()).collect();
        for family in Family::ALL {
            let of: Vec<_> = attached.iter().filter_map(|g| single.get(&(*g, family))).collect();
            if of.len() < 2 {
                continue;
            }
            let written: Vec<Piece> = of.iter().flat_map(|(pieces, _)| pieces.clone()).collect();
            let (pieces, acls) = behind_acls(&asked, &attached, &written, &[interface], family);
            let together = reach(&pieces, family, wide(family));
            let open = of.iter().fold(together, |left, (_, i)| left.minus(&out[*i].open));
            if !open.is_empty() {
                out.push(Exposure {
                    name: format!("{} with {}", interface.id, attached.join(" and ")),
                    origin: interface.origin,
                    groups: attached.clone(),
                    family,
                    pieces,
                    open,
                    acls,
                    public: public_of(&[interface], family),
                });
            }
        }
    }
    out
}

// The name, with the defaults of parameters with which its rules let in what they do.
fn with_defaults(inventory: &Inventory, name: String, pieces: &[Piece]) -> String {
    let mut defaults: Vec<&str> =
        pieces.iter().filter_map(|p| inventory.defaults.get(&p.origin).map(String::as_str)).collect();
    defaults.sort_unstable();
    defaults.dedup();
    match defaults.is_empty() {
        true => name,
        false => format!("{name}, with {}", defaults.join(" and ")),
    }
}

// IPv4 is translated at the Internet gateway: only an interface with a public address is reached. IPv6 addresses are their own.
fn public_of(attached_to: &[&Interface], family: Family) -> Option<Vec<String>> {
    if attached_to.is_empty() {
        return None;
    }
    let of = |i: &&Interface| match family {
        Family::V4 => i.public.clone(),
        Family::V6 => i.addresses.intersect(&family.all()),
    };
    Some(attached_to.iter().flat_map(|i| addr::display(&of(i))).collect())
}

struct Asked<'q> {
    firewall: &'q Firewall,
    environment: &'q Environment,
    inventory: &'q Inventory,
    // Groups that something carries whose addresses no file tells.
    carried: BTreeSet<&'q str>,
    // The files do not show every interface with its groups.
    cut: bool,
}

impl<'q> Asked<'q> {
    fn of(firewall: &'q Firewall, environment: &'q Environment, inventory: &'q Inventory) -> Self {
        let carried = inventory.attached.iter().map(|a| a.group.as_str()).collect();
        let cut = inventory.cut.is_some() || inventory.interfaces.iter().any(|i| i.groups.is_none());
        Self { firewall, environment, inventory, carried, cut }
    }
}

// What of the pieces passes the network ACLs of the interfaces that have the groups attached, and what becomes of the rest.
fn behind_acls(
    asked: &Asked<'_>,
    groups: &[&str],
    written: &[Piece],
    attached_to: &[&Interface],
    family: Family,
) -> (Vec<Piece>, Acls) {
    let own = attached_to.iter().flat_map(|i| i.addresses.ranges().to_vec());
    let own = IntervalSet::from_ranges(own).intersect(&family.all());
    let to = |set: &IntervalSet| written.iter().map(|p| Piece { to: set.clone(), ..p.clone() }).collect();
    // Where the files do not show every interface, another one may be behind another network ACL.
    let unseen = asked.cut || groups.iter().any(|g| asked.carried.contains(g));
    if own.is_empty() || asked.inventory.acls.is_empty() || unseen {
        let unplaced = !asked.inventory.acls.is_empty();
        let pieces = if own.is_empty() || unseen { written.to_vec() } else { to(&own) };
        return (pieces, Acls { unplaced, ..Acls::default() });
    }
    let labels = Some(groups.iter().map(|g| (*g).to_owned()).collect());
    let environment = Environment { labels, ..asked.environment.clone() };
    let firewalls = [asked.firewall];
    let point = Point { firewalls: &firewalls, environment: &environment };
    let mut acls = Acls::default();
    let (mut passed, mut open) = (Vec::new(), Vec::new());
    for piece in to(&own) as Vec<Piece> {
        let region = piece.region(family);
        let answer = decide(&Question { point, path: Path::Ingress, region, mark: 0, delivered_to: None });
        passed.extend(answer.accepted.iter().map(|p| piece.cut(&p.region)));
        for part in &answer.undecided {
            open.push(piece.cut(&part.region));
            for b in &part.because {
                let reason = (b.text.clone(), b.why.clone(), b.origin);
                if !acls.depends_on.contains(&reason) {
                    acls.depends_on.push(reason);
                }
            }
        }
        for decider in answer.denied.iter().flat_map(|p| &p.decided_by) {
            if !acls.closed_by.contains(&decider.origin) {
                acls.closed_by.push(decider.origin);
            }
        }
    }
    let passes = reach(&passed, family, 0);
    acls.maybe = reach(&open, family, 0).minus(&passes);
    acls.closed = reach(written, family, 0).minus(&passes).minus(&acls.maybe);
    if let Some(u) = asked.inventory.may_be_cut.as_ref().filter(|_| !acls.closed.is_empty()) {
        acls.maybe = acls.maybe.union(&std::mem::take(&mut acls.closed));
        acls.depends_on.push((u.text.clone(), u.why.clone(), u.origin));
    }
    (passed, acls)
}

impl Exposure<'_> {
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

    /// What else a reader must know: public addresses, and network ACLs that may stand in the way.
    pub fn remarks(&self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        match self.public.as_deref() {
            Some([]) => {
                let text = format!(
                    "no interface in the files to which it is attached has a public {} address",
                    over(self.family)
                );
                out.push(("addresses".to_owned(), text));
            }
            Some(list) => out.push(("addresses".to_owned(), few(list))),
            None => {}
        }
        if self.acls.unplaced {
            let text = match &self.public {
                None => "not known: it is attached to no interface in the files, so its subnet is not known",
                Some(_) => "not known: the files are cut, so it may be attached in other subnets too",
            };
            let text = text.to_owned();
            out.push(("network ACL".to_owned(), text));
        }
        out
    }
}
