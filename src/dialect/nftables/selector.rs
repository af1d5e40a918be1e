//! What a rule can look at, and what it implies.

use super::datatype::Type;
use super::symbols as sym;
use crate::model::Register;
use crate::packet::{Family, Field, proto};
use std::borrow::Cow;

/// Something of the packet or the box that a match compares.
#[derive(Debug, Clone)]
pub(super) struct Selector<'a> {
    /// Canonical words: `ip saddr`, `ct original packets`.
    pub(super) text: Cow<'a, str>,
    /// Type of its values.
    pub(super) ty: Type,
    /// What it is in the model.
    pub(super) meaning: Meaning,
    /// Implied family.
    pub(super) family: Option<Family>,
    /// Implied protocols; empty = any.
    pub(super) protocols: &'static [u8],
    /// Implied ICMP types of the one implied protocol; empty = any.
    pub(super) icmp_types: &'static [u8],
    /// May be missing, and then neither `x` nor `!= x` holds.
    pub(super) optional: bool,
    /// Differs at each look.
    pub(super) volatile: bool,
    /// A generator gives values below this; 0 = no generator.
    pub(super) modulus: u128,
    /// Above this, which is the first of them.
    pub(super) offset: u128,
}

/// What a selector is in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A field, value for value.
    Field(Field),
    /// Source hardware address: absent where the packet has no link-layer header.
    Mac,
    /// Type half of the ICMP field.
    IcmpType,
    /// Code half of the ICMP field.
    IcmpCode,
    /// `ct state`: one bit of each.
    State,
    /// Address family by `nfproto`.
    NfProto,
    /// Address family by EtherType.
    EtherType,
    /// A mark.
    Register(Register),
    /// `fib … type` of an address.
    AddressType(Field),
    /// Port bytes of whatever protocol.
    AnyPort(Field),
    /// Not in the model.
    Opaque,
}

impl<'a> Selector<'a> {
    /// A selector that is not in the model.
    pub(super) fn opaque(text: impl Into<Cow<'a, str>>, ty: Type) -> Self {
        Selector {
            text: text.into(),
            ty,
            meaning: Meaning::Opaque,
            family: None,
            protocols: &[],
            icmp_types: &[],
            optional: true,
            volatile: false,
            modulus: 0,
            offset: 0,
        }
    }

    /// All values that it can have, lowest and highest.
    pub(super) fn bounds(&self) -> (u128, u128) {
        match self.modulus {
            0 if self.text == "meta day" => (0, 6),
            0 => (0, self.ty.max()),
            n => (self.offset, self.offset.saturating_add(n - 1)),
        }
    }

    fn present(mut self) -> Self {
        self.optional = false;
        self
    }

    fn means(mut self, meaning: Meaning) -> Self {
        self.meaning = meaning;
        self.optional = false;
        self
    }

    fn of_family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    fn of_protocol(mut self, protocols: &'static [u8]) -> Self {
        self.protocols = protocols;
        self
    }

    fn of_icmp(mut self, types: &'static [u8]) -> Self {
        self.icmp_types = types;
        self
    }

    fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }
}

/// First words of header fields.
pub(super) const HEADERS: &[&str] = &[
    "ether", "vlan", "arp", "ip", "ip6", "icmp", "icmpv6", "igmp", "tcp", "udp", "udplite", "sctp", "dccp",
    "ah", "esp", "comp", "th", "gre", "gretap", "geneve", "vxlan",
];

/// First words of IPv6 extension headers.
pub(super) const EXTENSION_HEADERS: &[&str] = &["hbh", "rt0", "rt2", "srh", "frag", "dst", "mh"];

/// A field of a header: `ip saddr`. `None` if the header has no such field.
pub(super) fn payload<'a>(header: &str, field: &str) -> Option<Selector<'a>> {
    let base = Selector::opaque(format!("{header} {field}"), Type::Text).present();
    let typed = |ty: Type| Selector { ty, ..base.clone() };
    let n = Type::Number;
    Some(match header {
        "ether" => match field {
            "saddr" => typed(Type::Mac).means(Meaning::Mac),
            "daddr" => Selector { optional: true, ..typed(Type::Mac) },
            "type" => typed(Type::Named(sym::ETHER_TYPE, 16)).means(Meaning::EtherType),
            _ => return None,
        },
        "vlan" => match field {
            "id" => typed(n(12)),
            "dei" | "cfi" => Selector { text: "vlan dei".into(), ..typed(n(1)) },
            "pcp" => typed(n(3)),
            "type" => typed(Type::Named(sym::ETHER_TYPE, 16)),
            _ => return None,
        },
        "arp" => match field {
            "htype" | "hlen" | "plen" => typed(n(16)),
            "ptype" => typed(Type::Named(sym::ETHER_TYPE, 16)),
            "operation" => typed(Type::Named(sym::ARP_OPERATION, 16)),
            "saddr ip" | "daddr ip" => typed(Type::Address(Family::V4)),
            "saddr ether" | "daddr ether" => typed(Type::Mac),
            _ => return None,
        },
        "ip" => ipv4(base, field)?,
        "ip6" => ipv6(base, field)?,
        "icmp" => icmp(base, field)?,
        "icmpv6" => icmpv6(base, field)?,
        "igmp" => match field {
            "type" => typed(Type::Named(sym::IGMP_TYPE, 8)),
            "checksum" => typed(n(16)),
            "mrt" => typed(n(8)),
            "group" => typed(Type::Address(Family::V4)),
            _ => return None,
        }
        .of_protocol(&[2])
        .of_family(Family::V4),
        _ => transport(base, header, field)?,
    })
}

fn ipv4<'a>(base: Selector<'a>, field: &str) -> Option<Selector<'a>> {
    let typed = |ty: Type| Selector { ty, ..base.clone() };
    Some(
        match field {
            "saddr" => typed(Type::Address(Family::V4)).means(Meaning::Field(Field::Src)),
            "daddr" => typed(Type::Address(Family::V4)).means(Meaning::Field(Field::Dst)),
            "protocol" => typed(Type::Protocol).means(Meaning::Field(Field::Proto)),
            "version" | "hdrlength" => typed(Type::Number(4)),
            "dscp" => typed(Type::Named(sym::DSCP, 6)),
            "ecn" => typed(Type::Named(sym::ECN, 2)),
            "length" | "id" | "frag-off" | "checksum" => typed(Type::Number(16)),
            "ttl" => typed(Type::Number(8)),
            _ => return None,
        }
        .of_family(Family::V4),
    )
}

fn ipv6<'a>(base: Selector<'a>, field: &str) -> Option<Selector<'a>> {
    let typed = |ty: Type| Selector { ty, ..base.clone() };
    Some(
        match field {
            "saddr" => typed(Type::Address(Family::V6)).means(Meaning::Field(Field::Src)),
            "daddr" => typed(Type::Address(Family::V6)).means(Meaning::Field(Field::Dst)),
            // The first header only. Packets of the model have no extension headers, so that it is the protocol.
            "nexthdr" => typed(Type::Protocol).means(Meaning::Field(Field::Proto)),
            "version" => typed(Type::Number(4)),
            "dscp" => typed(Type::Named(sym::DSCP, 6)),
            "ecn" => typed(Type::Named(sym::ECN, 2)),
            "flowlabel" => typed(Type::Number(20)),
            "length" => typed(Type::Number(16)),
            "hoplimit" => typed(Type::Number(8)),
            _ => return None,
        }
        .of_family(Family::V6),
    )
}

fn icmp<'a>(base: Selector<'a>, field: &str) -> Option<Selector<'a>> {
    let typed = |ty: Type| Selector { ty, ..base.clone() };
    Some(
        match field {
            "type" => typed(Type::Named(sym::ICMP_TYPE, 8)).means(Meaning::IcmpType),
            "code" => typed(Type::Named(sym::ICMP_CODE, 8)).means(Meaning::IcmpCode),
            "checksum" => typed(Type::Number(16)),
            "id" | "sequence" => typed(Type::Number(16)).of_icmp(&[0, 8]),
            "gateway" => typed(Type::Number(32)).of_icmp(&[5]),
            "mtu" => typed(Type::Number(16)).of_icmp(&[3]),
            _ => return None,
        }
        .of_protocol(&[proto::ICMP])
        .of_family(Family::V4),
    )
}

fn icmpv6<'a>(base: Selector<'a>, field: &str) -> Option<Selector<'a>> {
    let typed = |ty: Type| Selector { ty, ..base.clone() };
    Some(
        match field {
            "type" => typed(Type::Named(sym::ICMPV6_TYPE, 8)).means(Meaning::IcmpType),
            "code" => typed(Type::Named(sym::ICMPV6_CODE, 8)).means(Meaning::IcmpCode),
            "checksum" => typed(Type::Number(16)),
            "parameter-problem" => typed(Type::Number(32)).of_icmp(&[4]),
            "packet-too-big" | "mtu" => {
                Selector { text: "icmpv6 mtu".into(), ..typed(Type::Number(32)) }.of_icmp(&[2])
            }
            "id" | "sequence" => typed(Type::Number(16)).of_icmp(&[128, 129]),
            "max-delay" => typed(Type::Number(16)).of_icmp(&[130, 131, 132]),
            "taddr" => typed(Type::Address(Family::V6)).of_icmp(&[130, 131, 132, 135, 136, 137]),
            "daddr" => typed(Type::Address(Family::V6)).of_icmp(&[137]),
            _ => return None,
        }
        .of_protocol(&[proto::ICMPV6])
        .of_family(Family::V6),
    )
}

fn transport<'a>(base: Selector<'a>, header: &str, field: &str) -> Option<Selector<'a>> {
    let typed = |ty: Type| Selector { ty, ..base.clone() };
    let n = Type::Number;
    let protocols: &'static [u8] = match header {
        "tcp" => &[proto::TCP],
        "udp" | "geneve" | "vxlan" => &[proto::UDP],
        "udplite" => &[proto::UDPLITE],
        "sctp" => &[proto::SCTP],
        "dccp" => &[proto::DCCP],
        "ah" => &[51],
        "esp" => &[50],
        "comp" => &[108],
        "gre" | "gretap" => &[47],
        "th" => &[],
        _ => return None,
    };
    Some(
        match (header, field) {
            ("th", "sport") => typed(Type::Port).means(Meaning::AnyPort(Field::Sport)),
            ("th", "dport") => typed(Type::Port).means(Meaning::AnyPort(Field::Dport)),
            ("tcp" | "udp" | "udplite" | "sctp" | "dccp", "sport") => {
                typed(Type::Port).means(Meaning::Field(Field::Sport))
            }
            ("tcp" | "udp" | "udplite" | "sctp" | "dccp", "dport") => {
                typed(Type::Port).means(Meaning::Field(Field::Dport))
            }
            ("tcp", "flags") => typed(Type::Flags(sym::TCP_FLAGS, 8)).means(Meaning::Field(Field::TcpFlags)),
            ("tcp", "sequence" | "ackseq") => typed(n(32)),
            ("tcp", "doff" | "reserved") => typed(n(4)),
            ("tcp", "window" | "checksum" | "urgptr") => typed(n(16)),
            ("udp", "length" | "checksum") | ("udplite", "checksum" | "csumcov") => typed(n(16)),
            ("sctp", "vtag" | "checksum") => typed(n(32)),
            ("dccp", "type") => typed(Type::Named(sym::DCCP_TYPE, 4)),
            ("ah" | "comp", "nexthdr") => typed(Type::Protocol),
            ("ah", "hdrlength") | ("comp", "flags") => typed(n(8)),
            ("ah", "reserved") | ("comp", "cpi") => typed(n(16)),
            ("ah" | "esp", "spi" | "sequence") => typed(n(32)),
            ("gre", "version" | "flags") => typed(n(8)),
            ("gre", "protocol") | ("geneve", "type") => typed(Type::Named(sym::ETHER_TYPE, 16)),
            ("geneve" | "vxlan", "vni") => typed(n(24)),
            ("vxlan", "flags") => typed(n(8)),
            ("geneve", "hdrlength" | "flags") => typed(n(8)),
            _ => return None,
        }
        .of_protocol(protocols),
    )
}

/// A field of a header inside a tunnel: `vxlan ip saddr`.
pub(super) fn inner<'a>(tunnel: &str, field: Selector<'a>) -> Option<Selector<'a>> {
    let protocols: &'static [u8] = match tunnel {
        "vxlan" | "geneve" => &[proto::UDP],
        "gre" | "gretap" => &[47],
        _ => return None,
    };
    Some(Selector::opaque(format!("{tunnel} {}", field.text), field.ty).of_protocol(protocols))
}

/// A field of an IPv6 extension header; without a field whether the header is there.
pub(super) fn extension<'a>(header: &str, field: Option<&str>) -> Option<Selector<'a>> {
    let n = Type::Number;
    let Some(field) = field else {
        return Some(
            Selector::opaque(format!("exthdr {header}"), Type::Named(sym::EXISTS, 1))
                .of_family(Family::V6)
                .present(),
        );
    };
    let ty = match (header, field) {
        (_, "nexthdr") => Type::Protocol,
        (_, "hdrlength") => n(8),
        ("rt" | "rt0" | "rt2" | "srh", "type" | "seg-left") => n(8),
        ("rt0" | "rt2", f) if f.starts_with("addr") => Type::Address(Family::V6),
        ("rt0" | "rt2", "reserved") | ("srh", "tag") => n(32),
        ("srh", "last-entry" | "flags") => n(8),
        ("srh", f) if f.starts_with("sid") => Type::Address(Family::V6),
        ("frag", "reserved" | "reserved2") => n(8),
        ("frag", "frag-off") => n(13),
        ("frag", "more-fragments") => n(1),
        ("frag", "id") => n(32),
        ("mh", "type") => Type::Named(sym::MH_TYPE, 8),
        ("mh", "reserved") => n(8),
        ("mh", "checksum") => n(16),
        _ => return None,
    };
    Some(Selector::opaque(format!("{header} {field}"), ty).of_family(Family::V6))
}

/// `meta KEY`.
pub(super) fn meta<'a>(key: &str) -> Option<Selector<'a>> {
    let key = match key {
        "ibriport" | "ibrname" => "ibrname",
        "obriport" | "obrname" => "obrname",
        "secpath" | "ipsec" => "ipsec",
        other => other,
    };
    let base = Selector::opaque(format!("meta {key}"), Type::Text);
    let typed = |ty: Type| Selector { ty, ..base.clone() };
    let n = Type::Number;
    Some(match key {
        "iifname" => typed(Type::InterfaceName).means(Meaning::Field(Field::Iif)),
        "oifname" => typed(Type::InterfaceName).means(Meaning::Field(Field::Oif)),
        "iif" => typed(Type::InterfaceIndex).means(Meaning::Field(Field::Iif)),
        "oif" => typed(Type::InterfaceIndex).means(Meaning::Field(Field::Oif)),
        "l4proto" => typed(Type::Protocol).means(Meaning::Field(Field::Proto)),
        "nfproto" => typed(Type::Named(sym::NFPROTO, 8)).means(Meaning::NfProto),
        "protocol" => typed(Type::Named(sym::ETHER_TYPE, 16)).means(Meaning::EtherType),
        "mark" => typed(Type::Named(sym::MARK, 32)).means(Meaning::Register(Register::Mark)),
        "length" => typed(n(32)).present(),
        "priority" => typed(Type::ClassId).present(),
        "pkttype" => typed(Type::Named(sym::PACKET_TYPE, 8)).present(),
        "cpu" => typed(n(32)).present(),
        "iiftype" | "oiftype" => typed(Type::Named(sym::INTERFACE_TYPE, 16)),
        "iifgroup" | "oifgroup" => typed(Type::Named(&[("default", 0)], 32)),
        "skuid" | "skgid" => typed(Type::Named(sym::USER, 32)),
        "rtclassid" => typed(Type::Text),
        "cgroup" => typed(n(32)),
        "iifkind" | "oifkind" | "ibrname" | "obrname" | "sdifname" => typed(Type::InterfaceName),
        "sdif" => typed(Type::InterfaceIndex),
        "ipsec" => typed(Type::Named(sym::EXISTS, 1)).present(),
        "random" => typed(n(32)).present().volatile(),
        "time" => typed(Type::Moment).present(),
        "hour" => typed(Type::Hour).present(),
        "day" => typed(Type::Named(sym::DAY, 8)).present(),
        "ibrpvid" => typed(n(16)),
        "ibrvproto" => typed(Type::Named(sym::ETHER_TYPE, 16)),
        "ibrhwaddr" => typed(Type::Mac),
        "broute" | "nftrace" => typed(n(1)),
        "secmark" => typed(n(32)),
        _ => return None,
    })
}

/// Keys of `meta` that may stand without the word `meta`.
pub(super) const BARE_META: &[&str] = &[
    "mark",
    "iif",
    "iifname",
    "iiftype",
    "oif",
    "oifname",
    "oiftype",
    "skuid",
    "skgid",
    "nftrace",
    "rtclassid",
    "ibriport",
    "obriport",
    "ibrname",
    "obrname",
    "pkttype",
    "cpu",
    "iifgroup",
    "oifgroup",
    "cgroup",
    "time",
    "day",
    "hour",
    "iifkind",
    "oifkind",
    "length",
    "protocol",
    "priority",
    "random",
    "secpath",
    "nfproto",
    "l4proto",
    "sdif",
    "sdifname",
];

/// `ct [DIRECTION] [FAMILY] KEY`.
pub(super) fn ct<'a>(direction: Option<&str>, family: Option<Family>, key: &str) -> Option<Selector<'a>> {
    let mut text = String::from("ct ");
    if let Some(d) = direction {
        text.push_str(d);
        text.push(' ');
    }
    if let Some(f) = family {
        text.push_str(if f == Family::V4 { "ip " } else { "ip6 " });
    }
    text.push_str(key);
    let base = Selector::opaque(text, Type::Text);
    let typed = |ty: Type| Selector { ty, ..base.clone() };
    Some(match key {
        "state" => typed(Type::Flags(sym::CT_STATE, 32)).means(Meaning::State),
        "mark" => typed(Type::Named(sym::MARK, 32)).means(Meaning::Register(Register::ConnMark)),
        "direction" => typed(Type::Named(sym::CT_DIRECTION, 8)),
        "status" => typed(Type::Flags(sym::CT_STATUS, 32)),
        "event" => typed(Type::Flags(sym::CT_EVENT, 32)),
        "expiration" => typed(Type::Time),
        "l3proto" => typed(Type::Named(sym::NFPROTO, 8)),
        "protocol" => typed(Type::Protocol),
        "saddr" | "daddr" => {
            family.map_or_else(|| typed(Type::Text), |f| typed(Type::Address(f)).of_family(f))
        }
        "proto-src" | "proto-dst" => typed(Type::Port),
        "id" | "zone" | "secmark" | "bytes" | "packets" | "avgpkt" => typed(Type::Number(64)),
        "helper" | "label" | "timeout" | "expectation" => typed(Type::Text),
        _ => return None,
    })
}

/// `fib FLAGS RESULT`.
pub(super) fn fib<'a>(flags: &[&str], result: &str) -> Option<Selector<'a>> {
    if !flags.iter().all(|f| matches!(*f, "saddr" | "daddr" | "mark" | "iif" | "oif")) {
        return None;
    }
    let text = format!("fib {} {result}", flags.join(" . "));
    Some(match result {
        "type" => {
            let s = Selector::opaque(text, Type::Named(sym::ADDRESS_TYPE, 32)).present();
            match flags {
                ["daddr"] => s.means(Meaning::AddressType(Field::Dst)),
                ["saddr"] => s.means(Meaning::AddressType(Field::Src)),
                _ => s,
            }
        }
        "oif" => Selector::opaque(text, Type::Named(sym::EXISTS, 32)).present(),
        "check" => {
            Selector::opaque(format!("fib {} oif", flags.join(" . ")), Type::Named(sym::EXISTS, 32)).present()
        }
        "oifname" => Selector::opaque(text, Type::InterfaceName).present(),
        _ => return None,
    })
}

/// Raw bytes: base, offset and length in bits. The port bytes of the transport header have a meaning.
pub(super) fn raw<'a>(base: &str, offset: u32, bits: u32) -> Selector<'a> {
    match (base, offset, bits) {
        ("th", 0, 16) => return payload_or_opaque("th", "sport"),
        ("th", 16, 16) => return payload_or_opaque("th", "dport"),
        _ => {}
    }
    Selector::opaque(format!("@{base},{offset},{bits}"), Type::Number(bits.min(128) as u8))
}

fn payload_or_opaque<'a>(header: &str, field: &str) -> Selector<'a> {
    payload(header, field).unwrap_or_else(|| Selector::opaque(format!("{header} {field}"), Type::Text))
}

/// Words that are fields of TCP, IP and DCCP options.
pub(super) fn is_option_field(word: &str) -> bool {
    const FIELDS: &[&str] = &[
        "length", "size", "count", "left", "right", "tsval", "tsecr", "subtype", "kind", "type", "ptr",
        "addr", "value", "echo",
    ];
    FIELDS.contains(&word)
}

fn protocol_of(header: &str) -> &'static [u8] {
    match header {
        "tcp" => &[proto::TCP],
        "dccp" => &[proto::DCCP],
        "sctp" => &[proto::SCTP],
        _ => &[],
    }
}

// Options that nft knows by number as well.
const TCP_OPTIONS: &[(&str, &str)] = &[
    ("0", "eol"),
    ("1", "nop"),
    ("2", "maxseg"),
    ("3", "window"),
    ("4", "sack-perm"),
    ("5", "sack"),
    ("8", "timestamp"),
    ("19", "md5sig"),
    ("30", "mptcp"),
    ("34", "fastopen"),
    ("sack-permitted", "sack-perm"),
    ("mss", "maxseg"),
    ("noop", "nop"),
];

/// `tcp option NAME [FIELD]`; without a field whether the option is there.
pub(super) fn option<'a>(header: &str, name: &str, field: Option<&str>) -> Selector<'a> {
    let name = TCP_OPTIONS.iter().find(|(n, _)| header == "tcp" && *n == name).map_or(name, |(_, n)| n);
    let name = if name == "sack0" { "sack" } else { name };
    let family = (header == "ip").then_some(Family::V4);
    let s = match field {
        None => Selector::opaque(format!("{header} option {name}"), Type::Named(sym::EXISTS, 1)).present(),
        Some("subtype") => {
            Selector::opaque(format!("{header} option {name} subtype"), Type::Named(sym::MPTCP_SUBTYPE, 4))
        }
        Some("addr") => Selector::opaque(format!("{header} option {name} addr"), Type::Address(Family::V4)),
        Some(f) => Selector::opaque(format!("{header} option {name} {f}"), Type::Number(32)),
    };
    Selector { family, ..s.of_protocol(protocol_of(header)) }
}

/// `tcp option @KIND,OFFSET,LENGTH`.
pub(super) fn option_raw<'a>(header: &str, numbers: &[Cow<'_, str>]) -> Selector<'a> {
    let [kind, offset, length] = numbers else {
        return Selector::opaque(format!("{header} option @{}", numbers.join(",")), Type::Text);
    };
    if header == "tcp" && offset == "0" && length == "8" || length == "0" {
        return option(header, kind, None);
    }
    Selector::opaque(format!("{header} option @{kind},{offset},{length}"), Type::Number(64))
        .of_protocol(protocol_of(header))
}

/// `sctp chunk NAME [FIELD]`.
pub(super) fn chunk<'a>(name: &str, field: Option<&str>) -> Selector<'a> {
    match field {
        None => Selector::opaque(format!("sctp chunk {name}"), Type::Named(sym::EXISTS, 1)).present(),
        Some(f) => Selector::opaque(format!("sctp chunk {name} {f}"), Type::Number(32)),
    }
    .of_protocol(&[proto::SCTP])
}

/// `rt [FAMILY] KEY`.
pub(super) fn route<'a>(family: Option<Family>, key: &str) -> Option<Selector<'a>> {
    Some(match key {
        "nexthop" => match family {
            // Without the family's word the table tells it; the address does as well.
            None => Selector::opaque("rt nexthop", Type::Text),
            Some(f) => Selector::opaque("rt nexthop", Type::Address(f)).of_family(f),
        },
        "classid" => Selector::opaque("rt classid", Type::Text),
        "mtu" => Selector::opaque("rt mtu", Type::Number(32)),
        "ipsec" => Selector::opaque("rt ipsec", Type::Named(sym::EXISTS, 1)),
        _ => return None,
    })
}

/// `osf [ttl MODE] KEY`.
pub(super) fn osf<'a>(ttl: Option<&str>, key: &str) -> Selector<'a> {
    let mode = ttl.map_or_else(String::new, |t| format!("ttl {t} "));
    Selector::opaque(format!("osf {mode}{key}"), Type::Text).of_protocol(&[proto::TCP])
}

/// `ipsec DIRECTION spnum N [FAMILY] KEY`.
pub(super) fn ipsec<'a>(direction: &str, spnum: &str, family: Option<Family>, key: &str) -> Selector<'a> {
    let words = family.map_or("", |f| if f == Family::V4 { "ip " } else { "ip6 " });
    let ty = family.map_or(Type::Number(32), Type::Address);
    let s = Selector::opaque(format!("ipsec {direction} spnum {spnum} {words}{key}"), ty);
    Selector { family, ..s }
}

/// A number generator or hash: `text` in canonical words.
pub(super) fn generator<'a>(text: String, kind: &str, modulus: u128, offset: u128) -> Selector<'a> {
    let s = Selector { modulus, offset, ..Selector::opaque(text, Type::Number(32)).present() };
    if kind == "numgen" { s.volatile() } else { s }
}

/// `tunnel KEY`.
pub(super) fn tunnel<'a>(key: &str) -> Selector<'a> {
    let ty = if key == "path" { Type::Named(sym::EXISTS, 1) } else { Type::Number(32) };
    Selector::opaque(format!("tunnel {key}"), ty)
}
