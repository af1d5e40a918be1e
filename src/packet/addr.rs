//! Addresses as values: both families in one 128-bit space, so that one set can hold addresses of both, as a pf table or a cloud prefix
//! list does, and a value alone tells its family.
//!
//! IPv4 stands in a /96 of its own that no IPv6 packet can come from or go to: within `::/8`, which the IETF keeps in reserve (IANA, IPv6
//! address space), at a place that no prefix in use ends at. It is *not* the place of IPv4-mapped addresses: `::ffff:a.b.c.d` is an IPv6
//! address like any other, which rules do name (`::ffff:0:0/96`) and packets do carry.

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

const V4_FIRST: Value = 0x0044_4444_4444_4444_4444_4444_0000_0000;
const V4_LAST: Value = V4_FIRST + 0xffff_ffff;

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

/// Whether an address is an IPv6 address in the block that stands for IPv4 here: no packet has it, and no set holds it.
pub fn is_reserved(addr: IpAddr) -> bool {
    matches!(addr, IpAddr::V6(a) if family(a.to_bits()) == Family::V4)
}

/// The value of an address, which is not reserved (see [`is_reserved`]).
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

/// Every address from `lo` to `hi`, which must be of one family (a range across families is empty). The block that stands for IPv4 is
/// never part of an IPv6 range.
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
    let v4 = Family::V4.all();
    let mut v6 = set.minus(&v4);
    if v6.contains(V4_FIRST - 1) && v6.contains(V4_LAST + 1) {
        // People do not know of the hole where IPv4 stands.
        v6 = v6.union(&v4);
    }
    let v4 = set.intersect(&v4);
    let of = |family: Family, set: &IntervalSet| {
        set.ranges().iter().map(|&(lo, hi)| (lo, display_range(family, lo, hi))).collect::<Vec<_>>()
    };
    let mut parts = of(Family::V6, &v6);
    parts.extend(of(Family::V4, &v4));
    parts.sort_by_key(|(lo, _)| *lo);
    parts.into_iter().map(|(_, text)| text).collect()
}

fn display_range(family: Family, lo: Value, hi: Value) -> String {
    let bits = match family {
        Family::V4 => 32,
        Family::V6 => 128,
    };
    let mut out = String::with_capacity(2 * "255.255.255.255".len() + 1);
    push(&mut out, lo);
    if lo == hi {
        return out;
    }
    let span = hi - lo;
    let aligned = span & (span.wrapping_add(1)) == 0 && lo & span == 0;
    if aligned || span == Value::MAX {
        out.push('/');
        out.push_str(&(bits - (128 - span.leading_zeros())).to_string());
    } else {
        out.push('-');
        push(&mut out, hi);
    }
    out
}

// An address as text. Reports hold millions: those of IPv4 are written without the formatting machinery.
fn push(out: &mut String, value: Value) {
    match addr(value) {
        IpAddr::V6(v6) => out.push_str(&v6.to_string()),
        IpAddr::V4(v4) => {
            for (n, octet) in v4.octets().into_iter().enumerate() {
                if n > 0 {
                    out.push('.');
                }
                for (least, unit) in [(100, 100), (10, 10), (0, 1)] {
                    if octet >= least {
                        out.push(char::from(b'0' + octet / unit % 10));
                    }
                }
            }
        }
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
    use proptest::prelude::*;

    // Addresses of both families, often near each other's numbers.
    fn address() -> impl Strategy<Value = IpAddr> {
        let v4 = prop_oneof![any::<u32>(), Just(0), Just(u32::MAX), 0x0a00_0000u32..0x0a00_0010];
        let embedded = v4.clone().prop_flat_map(|v| {
            let high = [0u128, 0xffff << 32, 0xffff << 48, 0x64_ff9b << 96, 0x2001_0db8 << 96];
            prop::sample::select(high.to_vec())
                .prop_map(move |h| IpAddr::from(Ipv6Addr::from_bits(h | u128::from(v))))
        });
        let any_v6 = any::<u128>().prop_map(|v| IpAddr::from(Ipv6Addr::from_bits(v)));
        prop_oneof![
            2 => v4.prop_map(|v| IpAddr::from(Ipv4Addr::from_bits(v))),
            3 => embedded,
            1 => any_v6,
        ]
    }

    fn prefix() -> impl Strategy<Value = IpNet> {
        (address(), 0u8..=128).prop_map(|(a, n)| {
            let most = if a.is_ipv4() { 32 } else { 128 };
            IpNet::new(a, n.min(most)).unwrap()
        })
    }

    proptest! {
        // The family is a fact of its own: an address is in a prefix exactly if both are of one family and the bits agree.
        #[test]
        fn an_address_is_in_the_prefixes_of_its_own_family(
            nets in prop::collection::vec(prefix(), 1..4),
            addresses in prop::collection::vec(address(), 1..20),
        ) {
            let set = nets.iter().fold(IntervalSet::EMPTY, |s, n| s.union(&net(*n)));
            let others = Family::ALL.map(|f| f.all().minus(&set));
            let bounds = nets.iter().flat_map(|n| [n.network(), n.broadcast()]);
            for a in addresses.into_iter().chain(bounds).filter(|a| !is_reserved(*a)) {
                let inside = nets.iter().any(|n| n.contains(&a));
                prop_assert_eq!(set.contains(value(a)), inside, "{} in {:?}", a, nets);
                prop_assert_eq!(addr(value(a)), a);
                prop_assert_eq!(family(value(a)), Family::of(a));
                for (f, other) in Family::ALL.into_iter().zip(&others) {
                    prop_assert_eq!(other.contains(value(a)), f == Family::of(a) && !inside);
                }
            }
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for text in [
            "10.0.0.0/24",
            "10.0.2.1-10.0.2.9",
            "10.1.0.1",
            "2001:db8::/32",
            "0.0.0.0/0",
            "::/0",
            "::/8",
            "::1",
            "::ffff:0.0.0.0/96",
            "::ffff:10.0.0.1",
        ] {
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
        let in_v6 = |text: &str| parse("::/0").unwrap().contains(value(text.parse().unwrap()));
        assert!(!in_v6("10.0.0.1"));
        assert!(in_v6("::ffff:10.0.0.1"));
    }
}
