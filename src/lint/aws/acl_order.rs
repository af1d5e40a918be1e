//! What a network ACL lets through, in the order of its entries.

use crate::dialect::aws::inventory::{Acl, AclEntry, Peer, Service};
use crate::packet::{Field, IntervalSet, addr};
use crate::source::Origin;

/// Which way packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into the subnet.
    In,
    /// Out of it.
    Out,
}

impl Direction {
    /// The way of the answers.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Direction::In => Direction::Out,
            Direction::Out => Direction::In,
        }
    }
}

/// Packets that one entry decides to let through.
#[derive(Debug, Clone)]
pub struct Part {
    /// The other ends.
    pub peers: IntervalSet,
    /// Destination ports.
    pub ports: IntervalSet,
    /// The entry.
    pub origin: Origin,
}

/// Ports that clients take for their own side of a connection, on every system (VPC user guide, "Ephemeral ports").
pub const CLIENTS: (u16, u16) = (32768, 60999);

impl Part {
    /// Whether it is there for the answers of connections the other way: the ports of clients, and none below 1024.
    pub fn is_for_answers(&self) -> bool {
        let (lo, hi) = CLIENTS;
        self.ports.covers(&IntervalSet::range(lo, hi)) && self.ports.first().is_some_and(|p| p >= 1024)
    }
}

/// Ports of a protocol that an entry speaks of; `None` = nothing of it for certain, or something unknown.
fn ports(entry: &AclEntry, protocol: u8) -> Option<IntervalSet> {
    match &entry.service {
        Service::All => Some(Field::Dport.all()),
        Service::Ports(p, lo, hi) if *p == protocol => Some(IntervalSet::range(*lo, *hi)),
        _ => None,
    }
}

/// What is let through for certain to or from some of `peers`, each packet at the entry that decides it.
pub fn admitted(acl: &Acl, direction: Direction, protocol: u8, peers: &IntervalSet) -> Vec<Part> {
    let mut entries: Vec<&AclEntry> =
        acl.entries.iter().filter(|e| e.egress == (direction == Direction::Out)).collect();
    entries.sort_by_key(|e| e.number);
    let mut decided: Vec<(IntervalSet, IntervalSet)> = Vec::new();
    let mut out = Vec::new();
    for e in entries {
        // What is not understood may decide anything: what comes behind it is not certain.
        if matches!(e.service, Service::Unknown(..)) {
            break;
        }
        let Peer::Net(net) = &e.peer else { break };
        let Some(ports) = ports(e, protocol) else { continue };
        let mut left = vec![(addr::net(*net).intersect(peers), ports)];
        for (p, q) in &decided {
            left = left.into_iter().flat_map(|(a, b)| minus(a, b, p, q)).collect();
        }
        for (peers, ports) in left.into_iter().filter(|(a, b)| !a.is_empty() && !b.is_empty()) {
            if e.allow {
                out.push(Part { peers: peers.clone(), ports: ports.clone(), origin: e.origin });
            }
            decided.push((peers, ports));
        }
    }
    out
}

// A rectangle without another one.
fn minus(
    a: IntervalSet,
    b: IntervalSet,
    p: &IntervalSet,
    q: &IntervalSet,
) -> Vec<(IntervalSet, IntervalSet)> {
    let (x, y) = (a.intersect(p), b.intersect(q));
    if x.is_empty() || y.is_empty() {
        return if a.is_empty() || b.is_empty() { Vec::new() } else { vec![(a, b)] };
    }
    [(a.minus(&x), b.clone()), (x, b.minus(&y))]
        .into_iter()
        .filter(|(a, b)| !a.is_empty() && !b.is_empty())
        .collect()
}

/// The peers that are let through to every one of some ports, and the first entry that has a part in it; `None` = there are none.
pub fn holds(parts: &[Part], ports: &IntervalSet) -> Option<(IntervalSet, Origin)> {
    let mut cuts: Vec<u128> =
        parts.iter().flat_map(|p| p.ports.ranges()).flat_map(|(a, b)| [*a, *b + 1]).collect();
    cuts.extend(ports.ranges().iter().map(|(a, _)| *a));
    cuts.retain(|c| ports.contains(*c));
    cuts.sort_unstable();
    cuts.dedup();
    let at = |port: u128| {
        let through = parts.iter().filter(|p| p.ports.contains(port)).flat_map(|p| p.peers.ranges().to_vec());
        IntervalSet::from_ranges(through)
    };
    let peers = cuts.into_iter().map(at).reduce(|a, b| a.intersect(&b)).filter(|p| !p.is_empty())?;
    let first = parts.iter().find(|p| p.ports.intersects(ports) && p.peers.intersects(&peers))?;
    Some((peers, first.origin))
}
