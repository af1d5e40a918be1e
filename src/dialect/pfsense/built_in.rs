//! Tables that pfSense makes itself from 2.8 on and that rules may name: networks with a meaning of their own (IANA's registries of
//! special-purpose addresses).

use crate::packet::IntervalSet;
use crate::packet::addr;

/// The networks of a table; `None` if there is none of that name.
pub(super) fn table(name: &str) -> Option<IntervalSet> {
    let parts: &[&[&str]] = match name {
        "_loopback4_" => &[&["127.0.0.0/8"]],
        "_loopback6_" => &[&["::1/128"]],
        "_loopback46_" => &[&["127.0.0.0/8", "::1/128"]],
        "_linklocal4_" => &[&["169.254.0.0/16"]],
        "_linklocal6_" => &[&["fe80::/10"]],
        "_linklocal46_" => &[&["169.254.0.0/16", "fe80::/10"]],
        "_private4_" => &[PRIVATE],
        "_private6_" => &[&["fc00::/7"]],
        "_private46_" => &[PRIVATE, &["fc00::/7"]],
        "_multicast4_" => &[&["224.0.0.0/4"]],
        "_multicast6_" => &[&["ff00::/8"]],
        "_multicast46_" => &[&["224.0.0.0/4", "ff00::/8"]],
        "_reserved4_" => &[RESERVED4],
        "_reserved6_" => &[RESERVED6],
        "_reserved46_" => &[RESERVED4, RESERVED6],
        "_nat64reserved_" => &[NAT64_RESERVED],
        _ => return None,
    };
    let sets = parts.iter().flat_map(|p| p.iter()).filter_map(|t| addr::parse(t));
    Some(sets.fold(IntervalSet::EMPTY, |a, b| a.union(&b)))
}

const PRIVATE: &[&str] = &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

#[rustfmt::skip]
const RESERVED4: &[&str] = &[
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
];

#[rustfmt::skip]
const RESERVED6: &[&str] = &[
    "::1/128", "::/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:2::/48", "2001:db8::/32", "2002::/16", "3fff::/20",
    "5f00::/16", "fc00::/7", "fe80::/10", "ff00::/8",
];

// NAT64's well-known prefix with IPv4 addresses that are not global behind it.
#[rustfmt::skip]
const NAT64_RESERVED: &[&str] = &[
    "64:ff9b::0/104", "64:ff9b::a00:0/104", "64:ff9b::6440:0/106", "64:ff9b::7f00:0/104", "64:ff9b::a9fe:0/112", "64:ff9b::ac10:0/108", "64:ff9b::c000:0/120",
    "64:ff9b::c000:200/120", "64:ff9b::c058:6300/120", "64:ff9b::c0a8:0/112", "64:ff9b::c612:0/111", "64:ff9b::c633:6400/120", "64:ff9b::cb00:7100/120",
    "64:ff9b::e000:0/100", "64:ff9b::f000:0/100", "64:ff9b::ffff:ffff/128",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combined_tables_hold_both_families() {
        for (four, six, both) in [
            ("_private4_", "_private6_", "_private46_"),
            ("_reserved4_", "_reserved6_", "_reserved46_"),
            ("_loopback4_", "_loopback6_", "_loopback46_"),
        ] {
            let sets: Vec<_> = [four, six, both].iter().map(|n| table(n).expect("a table")).collect();
            assert_eq!(sets[0].union(&sets[1]), sets[2], "{both}");
            assert!(!sets[0].is_empty() && !sets[1].is_empty());
        }
        assert_eq!(table("_mine_"), None);
    }
}
