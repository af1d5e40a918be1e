//! The Internet as a set of addresses.
//!
//! Source: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, as updated by RFC 8190), column "Globally
//! Reachable"; the IANA IPv4 and IPv6 address space registries for multicast (224.0.0.0/4, RFC 5771) and for the only
//! IPv6 block that is given out for global unicast (2000::/3, RFC 4291).

use super::{IntervalSet, addr};
use std::sync::OnceLock;

/// IPv4 blocks that are not globally reachable.
const V4_PRIVATE: &[&str] = &[
    "0.0.0.0/8",      // this network, RFC 791
    "10.0.0.0/8",     // private use, RFC 1918
    "100.64.0.0/10",  // shared address space, RFC 6598
    "127.0.0.0/8",    // loopback, RFC 1122
    "169.254.0.0/16", // link local, RFC 3927
    "172.16.0.0/12",  // private use
    "192.0.0.0/24",   // IETF protocol assignments, RFC 6890, but for two anycast addresses below
    "192.168.0.0/16", // private use
    "198.18.0.0/15",  // benchmarking, RFC 2544
    "224.0.0.0/4",    // multicast
    "240.0.0.0/4",    // reserved, RFC 1112, and limited broadcast
];

/// IPv6 blocks inside 2000::/3 that are not globally reachable.
const V6_PRIVATE: &[&str] = &[
    "2001::/23", // IETF protocol assignments, RFC 2928, but for those below
];

/// Blocks inside those above (or outside 2000::/3) that are globally reachable, or that belong to tunnels whose
/// addresses are (the registry says "N/A" of them).
const PUBLIC: &[&str] = &[
    "192.0.0.9/32",    // PCP anycast, RFC 7723
    "192.0.0.10/32",   // TURN anycast, RFC 8155
    "2001::/32",       // Teredo, RFC 4380
    "2001:1::1/128",   // PCP anycast
    "2001:1::2/128",   // TURN anycast
    "2001:1::3/128",   // DNS-SD service registration anycast, RFC 9665
    "2001:3::/32",     // AMT, RFC 7450
    "2001:4:112::/48", // AS112, RFC 7535
    "2001:20::/28",    // ORCHIDv2, RFC 7343
    "2001:30::/28",    // drone remote identification, RFC 9374
    "64:ff9b::/96",    // IPv4 Internet through a translator, RFC 6052
];

/// Blocks for documentation: RFC 5737, RFC 3849, RFC 9637.
const DOCUMENTATION: &[&str] =
    &["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"];

fn union(blocks: &[&str]) -> IntervalSet {
    blocks.iter().filter_map(|b| addr::parse(b)).fold(IntervalSet::EMPTY, |all, set| all.union(&set))
}

/// All public address space of both families: addresses that are globally reachable.
pub fn internet() -> &'static IntervalSet {
    static SET: OnceLock<IntervalSet> = OnceLock::new();
    SET.get_or_init(|| with_documentation().minus(&union(DOCUMENTATION)))
}

/// [`internet`] and the blocks for documentation.
///
/// Nobody is reached at those, but they stand for public addresses in examples and in configurations that were made
/// anonymous. To ask whether *nothing* of the Internet gets in, the wider set is the safe one.
pub fn with_documentation() -> &'static IntervalSet {
    static SET: OnceLock<IntervalSet> = OnceLock::new();
    SET.get_or_init(|| {
        let v4 = super::Family::V4.all().minus(&union(V4_PRIVATE));
        let v6 = union(&["2000::/3"]).minus(&union(V6_PRIVATE));
        v4.union(&v6).union(&union(PUBLIC)).union(&union(DOCUMENTATION))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_read() {
        for block in V4_PRIVATE.iter().chain(V6_PRIVATE).chain(PUBLIC).chain(DOCUMENTATION) {
            assert!(addr::parse(block).is_some(), "{block}");
        }
    }

    #[test]
    fn the_internet_is_what_the_registries_say() {
        let holds = |a: &str| internet().contains(addr::value(a.parse().unwrap()));
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.0.9",
            "192.0.0.10",
            "192.0.1.0",
            "192.31.196.1",
            "192.88.99.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2000::",
            "2001:4860::1",
            "2001::1",
            "2001:1::1",
            "2001:3::1",
            "2001:4:112::1",
            "2001:20::1",
            "2001:200::",
            "2002::1",
            "2620:4f:8000::1",
            "2a00::1",
            "3ffe::1",
            "64:ff9b::1",
        ] {
            assert!(holds(public), "{public}");
        }
        for not in [
            "0.0.0.0",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.0.11",
            "192.0.2.1",
            "192.168.0.0",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "100::1",
            "64:ff9b:1::1",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "4000::1",
            "1fff::1",
        ] {
            assert!(!holds(not), "{not}");
        }
        assert!(with_documentation().contains(addr::value("203.0.113.9".parse().unwrap())));
        assert!(with_documentation().contains(addr::value("2001:db8::1".parse().unwrap())));
    }
}
