//! Addresses as values: both families in one 128-bit space.
//!
//! An IPv4 address stands at its IPv4-mapped place, `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2). Such addresses never
//! travel in IPv6 headers (the kernel discards them: `ip6_rcv_core`), so the block is free, and a value alone tells
//! its family. One set can therefore hold addresses of both families, as a pf table or a cloud prefix list does.

use super::{IntervalSet, Value};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

const V4_FIRST: Value = 0xffff_0000_0000;
const V4_LAST: Value = 0xffff_ffff_ffff;

impl Family {
    /// Both families, IPv4 first.
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];

    /// Every address of the family.
    pub fn all(self) -> IntervalSet {
        let v4 = IntervalSet::range(V4_FIRST, V4_LAST);
        match self {
            Family::V4 => v4,
            Family::V6 => IntervalSet::range(0u8, Value::MAX).minus(&v4),
        }
    }

    /// The family of an address.
    pub fn of(addr: IpAddr) -> Self {
        if addr.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// 4 or 6.
    pub fn number(self) -> u8 {
        match self {
            Family::V4 => 4,
            Family::V6 => 6,
        }
    }
}

/// The value of an IPv4 address given as a number, 0 to 2^32 − 1.
pub const fn v4(addr: u32) -> Value {
    V4_FIRST + addr as Value
}

/// The value of an address. An IPv4-mapped IPv6 address gives the value of the IPv4 address.
pub fn value(addr: IpAddr) -> Value {
    match addr {
        IpAddr::V4(a) => v4(a.to_bits()),
        IpAddr::V6(a) => a.to_bits(),
    }
}

/// The family that a value belongs to.
pub fn family(v: Value) -> Family {
    if (V4_FIRST..=V4_LAST).contains(&v) { Family::V4 } else { Family::V6 }
}

/// The address that a value stands for.
pub fn addr(v: Value) -> IpAddr {
    match family(v) {
        Family::V4 => IpAddr::V4(Ipv4Addr::from_bits((v - V4_FIRST) as u32)),
        Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(v)),
    }
}

/// Every address from `lo` to `hi`, which must be of one family (a range across families is empty). The block of
/// IPv4-mapped addresses is never part of an IPv6 range.
pub fn range(lo: IpAddr, hi: IpAddr) -> IntervalSet {
    match (lo, hi) {
        (IpAddr::V4(a), IpAddr::V4(b)) => IntervalSet::range(v4(a.to_bits()), v4(b.to_bits())),
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let whole = IntervalSet::range(a.to_bits(), b.to_bits());
            if a.to_bits() > V4_LAST || b.to_bits() < V4_FIRST {
                whole
            } else {
                whole.minus(&Family::V4.all())
            }
        }
        _ => IntervalSet::EMPTY,
    }
}

/// Every address of a prefix; host bits are ignored.
pub fn net(net: IpNet) -> IntervalSet {
    range(net.network(), net.broadcast())
}

/// The fewest prefixes and ranges that write the set as people do: `10.0.0.0/24`, `10.0.2.1-10.0.2.9`, `10.1.0.1`.
pub fn display(set: &IntervalSet) -> Vec<String> {
    let mut out = Vec::new();
    if set.covers(&Family::V6.all()) {
        // The IPv6 space has a hole where IPv4 stands; people know it as one prefix.
        out.push("::/0".to_owned());
    }
    for &(lo, hi) in set.ranges() {
        for part in split_families(lo, hi) {
            if !(out.first().is_some_and(|f| f == "::/0") && family(part.0) == Family::V6) {
                out.push(display_range(part.0, part.1));
            }
        }
    }
    out
}

fn split_families(lo: Value, hi: Value) -> Vec<(Value, Value)> {
    let mut parts = Vec::new();
    for (a, b) in [(0, V4_FIRST - 1), (V4_FIRST, V4_LAST), (V4_LAST + 1, Value::MAX)] {
        let (x, y) = (lo.max(a), hi.min(b));
        if x <= y {
            parts.push((x, y));
        }
    }
    parts
}

fn display_range(lo: Value, hi: Value) -> String {
    let bits = match family(lo) {
        Family::V4 => 32,
        Family::V6 => 128,
    };
    if lo == hi {
        return addr(lo).to_string();
    }
    let span = hi - lo;
    let aligned = span & (span.wrapping_add(1)) == 0 && lo & span == 0;
    if aligned || span == Value::MAX {
        format!("{}/{}", addr(lo), bits - (128 - span.leading_zeros()))
    } else {
        format!("{}-{}", addr(lo), addr(hi))
    }
}

/// Reads an address, a prefix (`10.0.0.0/24`, host bits allowed) or a range (`10.0.0.1-10.0.0.9`).
pub fn parse(text: &str) -> Option<IntervalSet> {
    if let Some((lo, hi)) = text.split_once('-') {
        let (lo, hi): (IpAddr, IpAddr) = (lo.trim().parse().ok()?, hi.trim().parse().ok()?);
        return Some(range(lo, hi)).filter(|s| !s.is_empty());
    }
    if let Ok(one) = text.parse::<IpAddr>() {
        return Some(range(one, one));
    }
    text.parse::<IpNet>().ok().map(net)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_it_reads() {
        for text in
            ["10.0.0.0/24", "10.0.2.1-10.0.2.9", "10.1.0.1", "2001:db8::/32", "0.0.0.0/0", "::/0", "::1"]
        {
            assert_eq!(display(&parse(text).expect(text)), [text]);
        }
        assert_eq!(display(&parse("10.0.0.9/24").unwrap()), ["10.0.0.0/24"]);
        let both = Family::V4.all().union(&Family::V6.all());
        assert_eq!(display(&both), ["::/0", "0.0.0.0/0"]);
        assert_eq!(parse("10.0.0.9-10.0.0.1"), None);
    }

    #[test]
    fn families_are_disjoint() {
        assert!(!Family::V4.all().intersects(&Family::V6.all()));
        assert!(!parse("::/0").unwrap().contains(value("10.0.0.1".parse().unwrap())));
    }
}
