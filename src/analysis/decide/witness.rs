//! A natural packet of a part.

use super::{Part, Question};
use crate::analysis::evaluate::{Trace, evaluate};
use crate::packet::{
    ConnState, Family, Field, IntervalSet, Packet, Value, addr, first_state, flags, interface_value, proto,
};

/// A natural packet of a part: a host inside the prefix, an ephemeral source port, no network address; replayed in the one-packet evaluator.
/// `None` only if the part is empty or the replay disagrees, which is an internal error.
///
/// A packet of an undecided part may turn out to be decided when looked at alone: the region decision is allowed to be less
/// certain. Then it is still a packet of the part.
pub fn witness(question: &Question<'_>, part: &Part) -> Option<Packet> {
    replayed(question, part).map(|(packet, _)| packet)
}

/// As [`witness`], with what the evaluator says of the packet.
pub fn replayed(question: &Question<'_>, part: &Part) -> Option<(Packet, Trace)> {
    let packet = natural(question, part)?;
    let trace = evaluate(question.point, &packet);
    let expected = part.decided_by.first().map_or(trace.verdict, |d| d.verdict);
    // An evaluator that gave up does not disagree.
    let agrees = !part.because.is_empty() || trace.exhausted || trace.verdict == expected;
    agrees.then_some((packet, trace))
}

/// A natural packet of a part, not replayed.
pub(super) fn natural(question: &Question<'_>, part: &Part) -> Option<Packet> {
    let r = &part.region;
    let mut v: [Value; Field::COUNT] = [0; Field::COUNT];
    let protocol =
        prefer(r.get(Field::Proto), [proto::TCP, proto::UDP, proto::ICMP, proto::ICMPV6].map(Value::from))?;
    v[Field::Proto.index()] = protocol;
    v[Field::Src.index()] = host(r.get(Field::Src), ["198.51.100.7", "2001:db8:1::7"])?;
    v[Field::Dst.index()] = host(r.get(Field::Dst), ["203.0.113.10", "2001:db8:2::10"])?;
    v[Field::Sport.index()] = prefer(r.get(Field::Sport), [40000]).unwrap_or(0);
    // Answers go to a client's port, first packets to a service's.
    let answers =
        r.get(Field::Sport).count() < r.get(Field::Dport).count() && !r.get(Field::Sport).contains(40000);
    let usual = if answers { [40000, 443, 80, 22] } else { [443, 80, 22, 40000] };
    v[Field::Dport.index()] = prefer(r.get(Field::Dport), usual).unwrap_or(0);
    let family = addr::family(v[Field::Dst.index()]);
    let echo = if family == Family::V4 { 8 << 8 } else { 128 << 8 };
    v[Field::Icmp.index()] = prefer(r.get(Field::Icmp), [echo]).unwrap_or(0);
    let states = r.get(Field::State);
    let later = !states.contains(ConnState::New.value()) && states.contains(ConnState::Established.value());
    let first = Value::from(if later { flags::ACK } else { flags::SYN });
    v[Field::TcpFlags.index()] = prefer(r.get(Field::TcpFlags), [first, flags::ACK.into()]).unwrap_or(0);
    let usual = first_state(
        family,
        protocol as u8,
        v[Field::TcpFlags.index()] as u8,
        (v[Field::Icmp.index()] >> 8) as u8,
    );
    v[Field::State.index()] =
        prefer(states, [usual, ConnState::New, ConnState::Established].map(ConnState::value))?;
    let (iif, oif) = match question.path {
        crate::packet::Path::Forward => (true, true),
        crate::packet::Path::Input | crate::packet::Path::Ingress => (true, false),
        crate::packet::Path::Output | crate::packet::Path::Egress => (false, true),
    };
    v[Field::Iif.index()] = interface(r.get(Field::Iif), iif, ["eth0", "lan"])?;
    v[Field::Oif.index()] = interface(r.get(Field::Oif), oif, ["eth1", "eth0"])?;
    v[Field::Mac.index()] = prefer(r.get(Field::Mac), [0])?;
    let mut packet = Packet::from_values(question.path, &v, question.mark);
    packet.groups.clone_from(&question.point.environment.labels);
    Some(packet)
}

fn prefer(set: &IntervalSet, wanted: impl IntoIterator<Item = Value>) -> Option<Value> {
    wanted.into_iter().find(|v| set.contains(*v)).or_else(|| set.first())
}

// An interface that exists, where the path has one.
fn interface(set: &IntervalSet, exists: bool, names: [&str; 2]) -> Option<Value> {
    if !exists {
        return prefer(set, [0]);
    }
    let named = names.into_iter().filter_map(|n| interface_value(n).ok()).find(|v| set.contains(*v));
    named.or_else(|| set.minus(&IntervalSet::single(0u8)).first()).or_else(|| set.first())
}

// From a wide set a documentation address, else the first address that is no network address.
fn host(set: &IntervalSet, usual: [&str; 2]) -> Option<Value> {
    const WIDE: u128 = 1 << 24;
    let lo = set.first()?;
    let wide = set.count() >= WIDE;
    let known = usual.into_iter().filter_map(|t| t.parse().ok()).map(addr::value);
    if wide && let Some(v) = known.into_iter().find(|v| set.contains(*v)) {
        return Some(v);
    }
    // The widest interval holds the most natural host.
    let (lo, hi) =
        set.ranges().iter().copied().max_by_key(|(a, b)| (b - a, std::cmp::Reverse(*a))).unwrap_or((lo, lo));
    if lo == hi { Some(lo) } else { Some(lo + 1).filter(|v| v & 0xff != 0 || lo + 2 > hi).or(Some(lo + 2)) }
}
