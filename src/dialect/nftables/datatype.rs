//! What words mean as values of a datatype.

use super::symbols::{self, Names};
use crate::model::RunTimeSet;
use crate::packet::{Family, Field, Value, addr, interface_prefix, interface_value, parse_mac, proto};
use std::net::IpAddr;

/// A datatype of nft. Values are numbers; addresses are values of [`addr`], interface names those of
/// [`interface_value`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// An address of a family.
    Address(Family),
    /// A hardware address.
    Mac,
    /// A port or service name.
    Port,
    /// An IP protocol.
    Protocol,
    /// An interface by name, `*` at the end for a prefix.
    InterfaceName,
    /// An interface by index, written by name.
    InterfaceIndex,
    /// A number of so many bits.
    Number(u8),
    /// A number of so many bits, with names for some values.
    Named(Names, u8),
    /// A set of bits, with names for them.
    Flags(Names, u8),
    /// A span of time in seconds.
    Time,
    /// A moment, in seconds since 1970 (UTC).
    Moment,
    /// A time of the day in seconds.
    Hour,
    /// A traffic control handle, `major:minor` in hexadecimal.
    ClassId,
    /// Anything else: known only by its text.
    Text,
}

impl Type {
    /// The fields of the model that values of the type are compared with, as bits.
    pub(super) fn fields(self) -> u16 {
        RunTimeSet::bits(match self {
            Type::Address(_) => &[Field::Src, Field::Dst],
            Type::Mac => &[Field::Mac],
            Type::Port => &[Field::Sport, Field::Dport],
            Type::Protocol => &[Field::Proto],
            Type::InterfaceName | Type::InterfaceIndex => &[Field::Iif, Field::Oif],
            _ => &Field::ALL,
        })
    }

    /// The type with a name, as in `type ipv4_addr`.
    pub(super) fn named(name: &str) -> Option<Type> {
        Some(match name {
            "ipv4_addr" => Type::Address(Family::V4),
            "ipv6_addr" => Type::Address(Family::V6),
            "ether_addr" | "ll_addr" => Type::Mac,
            "inet_service" => Type::Port,
            "inet_proto" => Type::Protocol,
            "ifname" => Type::InterfaceName,
            "iface_index" => Type::InterfaceIndex,
            "mark" => Type::Named(symbols::MARK, 32),
            "ct_state" => Type::Flags(symbols::CT_STATE, 32),
            "ct_status" => Type::Flags(symbols::CT_STATUS, 32),
            "ct_event" => Type::Flags(symbols::CT_EVENT, 32),
            "ct_dir" => Type::Named(symbols::CT_DIRECTION, 8),
            "tcp_flag" => Type::Flags(symbols::TCP_FLAGS, 8),
            "icmp_type" => Type::Named(symbols::ICMP_TYPE, 8),
            "icmp_code" | "icmpx_code" => Type::Named(symbols::ICMP_CODE, 8),
            "icmpv6_type" => Type::Named(symbols::ICMPV6_TYPE, 8),
            "icmpv6_code" => Type::Named(symbols::ICMPV6_CODE, 8),
            "igmp_type" => Type::Named(symbols::IGMP_TYPE, 8),
            "dscp" => Type::Named(symbols::DSCP, 6),
            "ecn" => Type::Named(symbols::ECN, 2),
            "ether_type" => Type::Named(symbols::ETHER_TYPE, 16),
            "nf_proto" => Type::Named(symbols::NFPROTO, 8),
            "pkt_type" => Type::Named(symbols::PACKET_TYPE, 8),
            "iface_type" => Type::Named(symbols::INTERFACE_TYPE, 16),
            "fib_addrtype" => Type::Named(symbols::ADDRESS_TYPE, 32),
            "boolean" => Type::Named(symbols::EXISTS, 1),
            "arp_op" => Type::Named(symbols::ARP_OPERATION, 16),
            "dccp_pkttype" => Type::Named(symbols::DCCP_TYPE, 8),
            "mh_type" => Type::Named(symbols::MH_TYPE, 8),
            "uid" | "gid" => Type::Named(symbols::USER, 32),
            "day" => Type::Named(symbols::DAY, 8),
            "time" => Type::Time,
            "classid" => Type::ClassId,
            "integer" | "bitmask" | "ct_id" | "ct_label" | "realm" | "devgroup" | "hour" | "string"
            | "cgroupsv2" | "tcpopt" | "ip_hdr" | "osf" | "invalid" | "verdict" | "time_date" | "ifkind"
            | "tc_handle" | "symbol" => Type::Text,
            _ => return None,
        })
    }

    /// Whether "nothing written" before a value means "any of these bits".
    pub(super) fn is_flags(self) -> bool {
        matches!(self, Type::Flags(..))
    }

    /// The highest value.
    pub(super) fn max(self) -> Value {
        let bits = |n: u8| if n >= 128 { Value::MAX } else { (1 << n) - 1 };
        match self {
            Type::Address(_) => Value::MAX,
            Type::Mac => bits(48),
            Type::Port => 0xffff,
            Type::Protocol => 0xff,
            Type::InterfaceName | Type::InterfaceIndex => crate::packet::Field::Iif.max(),
            Type::Number(n) | Type::Named(_, n) | Type::Flags(_, n) => bits(n),
            Type::Time | Type::Moment => bits(64),
            Type::Hour | Type::ClassId => bits(32),
            Type::Text => Value::MAX,
        }
    }

    /// The values that a word stands for, lowest and highest. `Err` says what is wrong with the word; `Ok(None)` means that the
    /// value of the name is not known here.
    pub(super) fn read(self, word: &str) -> Result<Option<(Value, Value)>, String> {
        let one = |v: Value| Ok(Some((v, v)));
        match self {
            Type::Address(family) => match word.parse::<IpAddr>() {
                Ok(a) if Family::of(a) == family => one(addr::value(a)),
                Ok(a) => Err(format!(
                    "{a} is an IPv{} address, not IPv{}",
                    Family::of(a).number(),
                    family.number()
                )),
                Err(_) => match number(word) {
                    Some(n) if family == Family::V4 && n <= 0xffff_ffff => one(addr::v4(n as u32)),
                    Some(n) if family == Family::V6 => one(n),
                    _ if is_host_name(word) => Ok(None),
                    _ => Err(format!("`{word}` is no IPv{} address", family.number())),
                },
            },
            Type::Mac => parse_mac(word).map_or_else(|| Err(format!("`{word}` is no hardware address")), one),
            Type::Port => {
                let value = number(word).or_else(|| symbols::value(symbols::SERVICES, word).map(Value::from));
                match value {
                    Some(v) if v <= 0xffff => one(v),
                    Some(v) => Err(format!("port {v} is above 65535")),
                    None if is_host_name(word) => Ok(None),
                    None => Err(format!("`{word}` is no port")),
                }
            }
            Type::Protocol => match number(word) {
                Some(v) if v <= 0xff => one(v),
                Some(v) => Err(format!("protocol {v} is above 255")),
                None => match word {
                    "ip" => one(0),
                    "comp" | "ipcomp" => one(108),
                    _ => proto::parse(word)
                        .map_or_else(|| Err(format!("`{word}` is no protocol")), |p| one(p.into())),
                },
            },
            Type::InterfaceName => interface(word).map(Some),
            Type::InterfaceIndex if word.bytes().all(|b| b.is_ascii_digit()) => Ok(None),
            Type::InterfaceIndex => {
                interface_value(word).map(|v| Some((v, v))).map_err(|e| format!("`{word}`: {e}"))
            }
            Type::Number(_) => match number(word) {
                Some(v) if v <= self.max() => one(v),
                Some(v) => Err(format!("{v} is above {}", self.max())),
                None => Ok(None),
            },
            Type::Named(names, _) | Type::Flags(names, _) => match number(word) {
                Some(v) if v <= self.max() => one(v),
                Some(v) => Err(format!("{v} is above {}", self.max())),
                None => {
                    let lower = word.to_ascii_lowercase();
                    Ok(symbols::value(names, &lower).map(|v| (Value::from(v), Value::from(v))))
                }
            },
            Type::Time => Ok(seconds(word).map(|v| (v, v))),
            Type::Moment => Ok(moment(word).map(|v| (v, v))),
            Type::Hour => Ok(hour(word).map(|v| (v, v))),
            Type::ClassId => Ok(class_id(word).map(|v| (v, v))),
            Type::Text => Ok(number(word).map(|v| (v, v))),
        }
    }

    /// A value in canonical words.
    pub(super) fn show(self, v: Value) -> String {
        match self {
            Type::Address(_) => addr::addr(v).to_string(),
            Type::Mac => crate::packet::mac_text(v),
            Type::InterfaceName | Type::InterfaceIndex => crate::packet::interface_name(v),
            _ => v.to_string(),
        }
    }
}

fn is_host_name(word: &str) -> bool {
    word.bytes().any(|b| b.is_ascii_alphabetic())
        && !word.contains("..")
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

// `eth0`; `eth*` is a prefix, `eth\*` a star.
fn interface(word: &str) -> Result<(Value, Value), String> {
    let wrong = |e: crate::packet::NameError| format!("`{word}`: {e}");
    if let Some(literal) = word.strip_suffix("\\*") {
        let v = interface_value(&format!("{literal}*")).map_err(wrong)?;
        return Ok((v, v));
    }
    match word.strip_suffix('*') {
        Some("") => Err("`*` alone is no interface name: leave the match out, or name a prefix".to_owned()),
        Some(prefix) => {
            let set = interface_prefix(prefix).map_err(wrong)?;
            Ok((set.first().unwrap_or(0), set.last().unwrap_or(0)))
        }
        None => interface_value(word).map(|v| (v, v)).map_err(wrong),
    }
}

/// A decimal or hexadecimal number.
pub(super) fn number(word: &str) -> Option<Value> {
    if !word.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(hex) => Value::from_str_radix(hex, 16).ok(),
        None => word.parse().ok(),
    }
}

// `2022-07-01 11:00:00`, or seconds since 1970.
fn moment(word: &str) -> Option<Value> {
    if let Some(n) = number(word).filter(|_| !word.contains('-')) {
        return Some(n);
    }
    let (date, time) = word.split_once(' ').unwrap_or((word, "00:00:00"));
    let at: jiff::civil::DateTime = format!("{date}T{time}").parse().ok()?;
    let since = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    Value::try_from(since).ok()
}

// `17:00`, `17:00:30`, or seconds.
fn hour(word: &str) -> Option<Value> {
    if let Some(n) = number(word) {
        return Some(n);
    }
    let mut total = 0;
    let mut parts = word.split(':');
    for unit in [3600, 60, 1] {
        match parts.next() {
            Some(p) => total += p.parse::<Value>().ok()?.checked_mul(unit)?,
            None => break,
        }
    }
    Some(total % 86_400)
}

fn class_id(word: &str) -> Option<Value> {
    if let Some(n) = number(word) {
        return Some(n);
    }
    if let Some((major, minor)) = word.split_once(':') {
        let half = |t: &str| if t.is_empty() { Some(0) } else { Value::from_str_radix(t, 16).ok() };
        return Some(half(major)? << 16 | half(minor)?);
    }
    symbols::value(symbols::PRIORITY, word).map(Value::from)
}

/// `1d2h3m4s`, or a number of seconds.
pub(super) fn seconds(word: &str) -> Option<Value> {
    if let Some(n) = number(word) {
        return Some(n);
    }
    let mut total: Value = 0;
    let mut rest = word;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let n: Value = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit: Value = match &rest[..letters] {
            "w" => 604_800,
            "d" => 86_400,
            "h" => 3_600,
            "m" => 60,
            "s" => 1,
            "ms" if n.is_multiple_of(1000) => {
                rest = &rest[letters..];
                total = total.checked_add(n / 1000)?;
                continue;
            }
            _ => return None,
        };
        rest = &rest[letters..];
        total = total.checked_add(n.checked_mul(unit)?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_values() {
        assert_eq!(Type::Port.read("ssh"), Ok(Some((22, 22))));
        assert_eq!(Type::Port.read("0x50"), Ok(Some((80, 80))));
        assert!(Type::Port.read("65536").is_err());
        assert_eq!(Type::Protocol.read("ipv6-icmp"), Ok(Some((58, 58))));
        assert_eq!(Type::Time.read("1m30s"), Ok(Some((90, 90))));
        assert_eq!(Type::Flags(symbols::CT_STATE, 32).read("established"), Ok(Some((2, 2))));
        let eth = Type::InterfaceName.read("eth*").unwrap().unwrap();
        assert!(eth.0 < eth.1);
        let star = Type::InterfaceName.read("eth\\*").unwrap().unwrap();
        assert_eq!((star.0, star.1), (interface_value("eth*").unwrap(), interface_value("eth*").unwrap()));
        assert!(Type::InterfaceName.read("*").is_err());
        assert!(Type::Address(Family::V4).read("::1").is_err());
    }
}
