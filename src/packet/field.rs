//! The fields of a packet that a firewall may look at, and how each is a number.

use super::{IntervalSet, Value};
use thiserror::Error;

/// A field of a packet. Each is a whole number from 0 to [`Field::max`].
///
/// A field may be absent: a UDP datagram has no TCP flags. A condition on an absent field does not hold, whatever
/// set it names; this is what "`tcp dport != 22` does not match UDP" means. Interfaces are never absent: where there
/// is none (`-i` in a chain reached from OUTPUT) the name is empty, value 0, and a negated match holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Field {
    /// Input interface: the name's bytes, see [`interface_value`]; 0 = none.
    Iif,
    /// Output interface, likewise.
    Oif,
    /// Connection tracking state, a [`ConnState`].
    State,
    /// Source address, see [`super::addr`].
    Src,
    /// Destination address, see [`super::addr`].
    Dst,
    /// IP protocol number; for IPv6 the first header that is not an extension header.
    Proto,
    /// Source port of tcp, udp, udplite, sctp and dccp.
    Sport,
    /// Destination port, likewise.
    Dport,
    /// ICMP or ICMPv6: type × 256 + code.
    Icmp,
    /// TCP flags byte, see [`flags`].
    TcpFlags,
    /// Source hardware address, 48 bits.
    Mac,
}

impl Field {
    /// Number of fields.
    pub const COUNT: usize = 11;

    /// All of them, in the order of their discriminants.
    pub const ALL: [Field; Field::COUNT] = [
        Field::Iif,
        Field::Oif,
        Field::State,
        Field::Src,
        Field::Dst,
        Field::Proto,
        Field::Sport,
        Field::Dport,
        Field::Icmp,
        Field::TcpFlags,
        Field::Mac,
    ];

    /// Fields that only some protocols have.
    pub const CARRIED: [Field; 4] = [Field::Sport, Field::Dport, Field::Icmp, Field::TcpFlags];

    /// The highest value of the field.
    pub const fn max(self) -> Value {
        match self {
            Field::Iif | Field::Oif => NAME_MAX,
            Field::State => ConnState::ALL.len() as Value - 1,
            Field::Src | Field::Dst => Value::MAX,
            Field::Proto | Field::TcpFlags => 0xff,
            Field::Sport | Field::Dport | Field::Icmp => 0xffff,
            Field::Mac => 0xffff_ffff_ffff,
        }
    }

    /// Every value of the field.
    pub fn all(self) -> IntervalSet {
        IntervalSet::range(0u8, self.max())
    }

    /// Every value that is not in `set`.
    pub fn complement(self, set: &IntervalSet) -> IntervalSet {
        self.all().minus(set)
    }

    /// Index into arrays of [`Field::COUNT`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Connection tracking state of a packet (`nf_conntrack`, `ip_conntrack_info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ConnState {
    /// Opens a connection. Not the same as SYN.
    New,
    /// Belongs to a connection that has seen packets.
    Established,
    /// Opens a connection that a helper or an ICMP error ties to another.
    Related,
    /// Makes no sense to the tracker.
    Invalid,
    /// Not tracked at all (`NOTRACK`, neighbour discovery).
    Untracked,
}

impl ConnState {
    /// All states, in the order of their values.
    pub const ALL: [ConnState; 5] = [
        ConnState::New,
        ConnState::Established,
        ConnState::Related,
        ConnState::Invalid,
        ConnState::Untracked,
    ];

    /// The state as a field value.
    pub const fn value(self) -> Value {
        self as Value
    }

    /// The state of a value.
    pub fn from_value(v: Value) -> Option<Self> {
        Self::ALL.get(usize::try_from(v).ok()?).copied()
    }

    /// Lower-case name, as in `ct state`.
    pub const fn name(self) -> &'static str {
        match self {
            ConnState::New => "new",
            ConnState::Established => "established",
            ConnState::Related => "related",
            ConnState::Invalid => "invalid",
            ConnState::Untracked => "untracked",
        }
    }
}

/// TCP flag bits (RFC 9293, 3.1).
#[allow(missing_docs)]
pub mod flags {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;
    pub const URG: u8 = 0x20;
    pub const ECE: u8 = 0x40;
    pub const CWR: u8 = 0x80;

    /// Names of the bits, lowest first.
    pub const NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

    /// All flag bytes `f` with `f & mask == value`.
    pub fn masked(mask: u8, value: u8) -> crate::packet::IntervalSet {
        (0..=255u8).filter(|f| f & mask == value).map(u128::from).collect()
    }
}

/// IP protocol numbers that the program must know by name, and the usual names of others (IANA).
#[allow(missing_docs)]
pub mod proto {
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const DCCP: u8 = 33;
    pub const ICMPV6: u8 = 58;
    pub const NO_NEXT_HEADER: u8 = 59;
    pub const SCTP: u8 = 132;
    pub const UDPLITE: u8 = 136;

    /// Protocols that have ports in their first four bytes.
    pub const WITH_PORTS: [u8; 5] = [TCP, UDP, DCCP, SCTP, UDPLITE];

    const NAMES: &[(u8, &str)] = &[
        (1, "icmp"),
        (2, "igmp"),
        (4, "ipencap"),
        (6, "tcp"),
        (8, "egp"),
        (12, "pup"),
        (17, "udp"),
        (20, "hmp"),
        (22, "xns-idp"),
        (27, "rdp"),
        (29, "iso-tp4"),
        (33, "dccp"),
        (36, "xtp"),
        (37, "ddp"),
        (38, "idpr-cmtp"),
        (41, "ipv6"),
        (43, "ipv6-route"),
        (44, "ipv6-frag"),
        (45, "idrp"),
        (46, "rsvp"),
        (47, "gre"),
        (50, "esp"),
        (51, "ah"),
        (57, "skip"),
        (58, "ipv6-icmp"),
        (59, "ipv6-nonxt"),
        (60, "ipv6-opts"),
        (73, "rspf"),
        (81, "vmtp"),
        (88, "eigrp"),
        (89, "ospf"),
        (93, "ax.25"),
        (94, "ipip"),
        (97, "etherip"),
        (98, "encap"),
        (103, "pim"),
        (108, "ipcomp"),
        (112, "vrrp"),
        (115, "l2tp"),
        (124, "isis"),
        (132, "sctp"),
        (133, "fc"),
        (135, "mobility-header"),
        (136, "udplite"),
        (137, "mpls-in-ip"),
        (138, "manet"),
        (139, "hip"),
        (140, "shim6"),
        (141, "wesp"),
        (142, "rohc"),
        (240, "pfsync"),
    ];

    /// Number of a protocol given by name (any case, the common aliases too) or number.
    pub fn parse(text: &str) -> Option<u8> {
        if let Ok(n) = text.parse::<u8>() {
            return Some(n);
        }
        let lower = text.to_ascii_lowercase();
        match lower.as_str() {
            "icmpv6" | "icmp6" => return Some(ICMPV6),
            "carp" => return Some(112),
            "ospfigp" => return Some(89),
            "mh" => return Some(135),
            _ => {}
        }
        NAMES.iter().find(|(_, n)| *n == lower).map(|(p, _)| *p)
    }

    /// The usual name, or the number where there is none.
    pub fn name(p: u8) -> String {
        if p == ICMPV6 {
            return "icmpv6".to_owned();
        }
        NAMES.iter().find(|(n, _)| *n == p).map_or_else(|| p.to_string(), |(_, n)| (*n).to_owned())
    }
}

/// Longest interface name in bytes (`IFNAMSIZ` − 1, linux/if.h).
pub const NAME_LEN: usize = 15;
const NAME_MAX: Value = (1 << (8 * NAME_LEN)) - 1;

/// A name that cannot be an interface's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an interface name has at most {NAME_LEN} bytes")]
pub struct NameError;

/// An interface name as a value: its bytes, left-aligned in 15, so that names sort as text and every prefix is one
/// interval. The empty name is 0 and means "no interface".
pub fn interface_value(name: &str) -> Result<Value, NameError> {
    let bytes = name.as_bytes();
    if bytes.len() > NAME_LEN {
        return Err(NameError);
    }
    let mut v: Value = 0;
    for i in 0..NAME_LEN {
        v = v << 8 | Value::from(bytes.get(i).copied().unwrap_or(0));
    }
    Ok(v)
}

/// All names that begin with `prefix` (itself too). The empty prefix means every name, also "no interface".
pub fn interface_prefix(prefix: &str) -> Result<IntervalSet, NameError> {
    let lo = interface_value(prefix)?;
    let free = 8 * (NAME_LEN - prefix.len());
    Ok(IntervalSet::range(lo, lo | ((1 << free) - 1)))
}

/// The name of a value; empty for "no interface".
pub fn interface_name(v: Value) -> String {
    let bytes: Vec<u8> = (0..NAME_LEN).rev().map(|i| (v >> (8 * i)) as u8).take_while(|b| *b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_prefixes() {
        let eth = interface_prefix("eth").unwrap();
        for (name, inside) in
            [("eth", true), ("eth0", true), ("et", false), ("ethernet-123456", true), ("fth", false)]
        {
            assert_eq!(eth.contains(interface_value(name).unwrap()), inside, "{name}");
            assert_eq!(interface_name(interface_value(name).unwrap()), name);
        }
        assert!(interface_value("0123456789abcdef").is_err());
        assert_eq!(interface_prefix("").unwrap(), Field::Iif.all());
    }

    #[test]
    fn protocols_by_name() {
        assert_eq!(proto::parse("ICMPv6"), Some(58));
        assert_eq!(proto::parse("255"), Some(255));
        assert_eq!(proto::parse("256"), None);
        assert_eq!(proto::name(6), "tcp");
        assert_eq!(proto::name(200), "200");
    }

    #[test]
    fn flag_masks() {
        assert!(flags::masked(flags::SYN, flags::FIN).is_empty());
        assert_eq!(flags::masked(0xff, flags::SYN).count(), 1);
    }
}
