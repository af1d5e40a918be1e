//! Names of ICMP types and codes, as iptables spells them (iptables-extensions(8); numbers: IANA).

use super::values;

/// Name, type, lowest and highest code.
pub(super) type Name = (&'static str, u8, u8, u8);

/// ICMP.
pub(super) const ICMP: &[Name] = &[
    ("any", 255, 0, 255),
    ("echo-reply", 0, 0, 255),
    ("pong", 0, 0, 255),
    ("destination-unreachable", 3, 0, 255),
    ("network-unreachable", 3, 0, 0),
    ("host-unreachable", 3, 1, 1),
    ("protocol-unreachable", 3, 2, 2),
    ("port-unreachable", 3, 3, 3),
    ("fragmentation-needed", 3, 4, 4),
    ("source-route-failed", 3, 5, 5),
    ("network-unknown", 3, 6, 6),
    ("host-unknown", 3, 7, 7),
    ("network-prohibited", 3, 9, 9),
    ("host-prohibited", 3, 10, 10),
    ("TOS-network-unreachable", 3, 11, 11),
    ("TOS-host-unreachable", 3, 12, 12),
    ("communication-prohibited", 3, 13, 13),
    ("host-precedence-violation", 3, 14, 14),
    ("precedence-cutoff", 3, 15, 15),
    ("source-quench", 4, 0, 255),
    ("redirect", 5, 0, 255),
    ("network-redirect", 5, 0, 0),
    ("host-redirect", 5, 1, 1),
    ("TOS-network-redirect", 5, 2, 2),
    ("TOS-host-redirect", 5, 3, 3),
    ("echo-request", 8, 0, 255),
    ("ping", 8, 0, 255),
    ("router-advertisement", 9, 0, 255),
    ("router-solicitation", 10, 0, 255),
    ("time-exceeded", 11, 0, 255),
    ("ttl-exceeded", 11, 0, 255),
    ("ttl-zero-during-transit", 11, 0, 0),
    ("ttl-zero-during-reassembly", 11, 1, 1),
    ("parameter-problem", 12, 0, 255),
    ("ip-header-bad", 12, 0, 0),
    ("required-option-missing", 12, 1, 1),
    ("timestamp-request", 13, 0, 255),
    ("timestamp-reply", 14, 0, 255),
    ("address-mask-request", 17, 0, 255),
    ("address-mask-reply", 18, 0, 255),
];

/// ICMPv6.
pub(super) const ICMPV6: &[Name] = &[
    ("destination-unreachable", 1, 0, 255),
    ("no-route", 1, 0, 0),
    ("communication-prohibited", 1, 1, 1),
    ("beyond-scope", 1, 2, 2),
    ("address-unreachable", 1, 3, 3),
    ("port-unreachable", 1, 4, 4),
    ("failed-policy", 1, 5, 5),
    ("reject-route", 1, 6, 6),
    ("packet-too-big", 2, 0, 255),
    ("time-exceeded", 3, 0, 255),
    ("ttl-exceeded", 3, 0, 255),
    ("ttl-zero-during-transit", 3, 0, 0),
    ("ttl-zero-during-reassembly", 3, 1, 1),
    ("parameter-problem", 4, 0, 255),
    ("bad-header", 4, 0, 0),
    ("unknown-header-type", 4, 1, 1),
    ("unknown-option", 4, 2, 2),
    ("echo-request", 128, 0, 255),
    ("ping", 128, 0, 255),
    ("echo-reply", 129, 0, 255),
    ("pong", 129, 0, 255),
    ("router-solicitation", 133, 0, 255),
    ("router-advertisement", 134, 0, 255),
    ("neighbour-solicitation", 135, 0, 255),
    ("neighbor-solicitation", 135, 0, 255),
    ("neighbour-advertisement", 136, 0, 255),
    ("neighbor-advertisement", 136, 0, 255),
    ("redirect", 137, 0, 255),
];

/// A type, a type with a code, or a name (whole, or its unambiguous beginning), as lowest and highest `type × 256 + code`.
pub(super) fn parse(text: &[u8], names: &[Name]) -> Option<(u16, u16)> {
    let word = |t: u8, code: u8| u16::from(t) << 8 | u16::from(code);
    let named = |n: &Name| (word(n.1, n.2), word(n.1, n.3));
    if text.first()?.is_ascii_digit() {
        let mut parts = text.splitn(2, |b| *b == b'/');
        let byte = |t: &[u8]| values::bounded(t, 255).ok().map(|n| n as u8);
        let kind = byte(parts.next()?)?;
        return match parts.next() {
            None => Some((word(kind, 0), word(kind, 255))),
            Some(code) => byte(code).map(|code| (word(kind, code), word(kind, code))),
        };
    }
    let text = std::str::from_utf8(text).ok()?;
    if let Some(n) = names.iter().find(|n| n.0.eq_ignore_ascii_case(text)) {
        return Some(named(n));
    }
    let mut begin =
        names.iter().filter(|n| n.0.get(..text.len()).is_some_and(|b| b.eq_ignore_ascii_case(text)));
    match (begin.next(), begin.next()) {
        (Some(n), None) => Some(named(n)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_name_and_number() {
        assert_eq!(parse(b"8", ICMP), Some((0x800, 0x8ff)));
        assert_eq!(parse(b"3/1", ICMP), Some((0x301, 0x301)));
        assert_eq!(parse(b"echo-request", ICMP), Some((0x800, 0x8ff)));
        assert_eq!(parse(b"port-unreach", ICMP), Some((0x303, 0x303)));
        assert_eq!(parse(b"echo", ICMP), None);
        assert_eq!(parse(b"256", ICMP), None);
        assert_eq!(parse(b"neighbor-advertisement", ICMPV6), Some((0x8800, 0x88ff)));
    }
}
