//! Packets that open a connection.

use super::{ConnState, Family, Field, IntervalSet, Region, Value, flags, proto};

/// The packets of a region that open a connection, by kind: TCP with SYN alone, UDP, and all other protocols. Of ICMP those are requests:
/// errors and answers belong to connections that exist.
pub fn openings(region: &Region, family: Family) -> Vec<Region> {
    let one = |p: u8| IntervalSet::single(p);
    let foreign = if family == Family::V4 { proto::ICMPV6 } else { proto::ICMP };
    let apart: IntervalSet = [proto::TCP, proto::UDP, foreign].into_iter().map(Value::from).collect();
    let new = region
        .cut(Field::State, &IntervalSet::single(ConnState::New.value()))
        .cut(Field::Icmp, &opening_icmp(family));
    let tcp = new.protocol(proto::TCP).cut(Field::TcpFlags, &IntervalSet::single(flags::SYN));
    let kinds = [
        tcp,
        new.cut(Field::Proto, &one(proto::UDP)),
        new.cut(Field::Proto, &Field::Proto.complement(&apart)),
    ];
    kinds.into_iter().filter(|r| !r.is_empty()).collect()
}

/// A part of such a region, with what every opening packet has in common left open, so that it reads as a flow: connection state, TCP
/// flags, the kinds of ICMP requests, and port 0, which no service has.
#[must_use]
pub fn as_flow(region: &Region, family: Family) -> Region {
    let mut out = region.with(Field::State, Field::State.all()).with(Field::TcpFlags, Field::TcpFlags.all());
    for field in [Field::Sport, Field::Dport] {
        out = out.with(field, with_zero(region.get(field)));
    }
    match *region.get(Field::Icmp) == opening_icmp(family) {
        true => out.with(Field::Icmp, Field::Icmp.all()),
        false => out,
    }
}

/// Port 0 is no service: all others are all.
pub fn with_zero(ports: &IntervalSet) -> IntervalSet {
    if *ports == IntervalSet::range(1u16, u16::MAX) { Field::Dport.all() } else { ports.clone() }
}

// Echo, timestamp, information and address mask requests (`nf_conntrack_proto_icmp.c`); of IPv6 echo requests, and node information
// queries (`nf_conntrack_proto_icmpv6.c`).
fn opening_icmp(family: Family) -> IntervalSet {
    let types: &[u16] = if family == Family::V4 { &[8, 13, 15, 17] } else { &[128, 139] };
    IntervalSet::from_ranges(types.iter().map(|t| (Value::from(t << 8), Value::from(t << 8 | 0xff))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_are_requests() {
        for family in Family::ALL {
            let kinds = openings(&Region::all(family), family);
            assert_eq!(kinds.len(), 3);
            for (i, a) in kinds.iter().enumerate() {
                assert!(kinds[i + 1..].iter().all(|b| !a.intersects(b)));
                assert_eq!(*a.get(Field::State), IntervalSet::single(ConnState::New.value()));
                assert_eq!(*as_flow(a, family).get(Field::Icmp), Field::Icmp.all());
            }
            assert_eq!(kinds[0].get(Field::TcpFlags).count(), 1);
            assert!(openings(&Region::all(family).protocol(proto::UDP), family).len() == 1);
        }
    }
}
