//! One packet, as people and programs write it and as the evaluator reads it.

use super::addr::{self, Family};
use super::{ConnState, Field, IntervalSet, Region, Value, flags, interface_name, interface_value, proto};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use thiserror::Error;

/// Which way a packet takes through a firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// From a wire to a process of the box: hooks prerouting, input.
    Input,
    /// From a process of the box to a wire: output, postrouting.
    Output,
    /// From a wire to another: prerouting, forward, postrouting.
    Forward,
    /// Into a network interface in a cloud.
    Ingress,
    /// Out of a network interface in a cloud.
    Egress,
}

impl Path {
    /// All paths.
    pub const ALL: [Path; 5] = [Path::Input, Path::Output, Path::Forward, Path::Ingress, Path::Egress];

    /// Every packet of a family on this path: an interface exists where the path has one, and only there.
    pub fn packets(self, family: Family) -> Region {
        let none = IntervalSet::single(0u8);
        let (into, out) = match self {
            Path::Input => (true, false),
            Path::Output => (false, true),
            Path::Forward => (true, true),
            Path::Ingress | Path::Egress => (false, false),
        };
        let set = |field: Field, has: bool| if has { field.complement(&none) } else { none.clone() };
        Region::all(family).with(Field::Iif, set(Field::Iif, into)).with(Field::Oif, set(Field::Oif, out))
    }

    /// The word for it: `input`, `output`, ….
    pub const fn name(self) -> &'static str {
        match self {
            Path::Input => "input",
            Path::Output => "output",
            Path::Forward => "forward",
            Path::Ingress => "ingress",
            Path::Egress => "egress",
        }
    }
}

impl FromStr for Path {
    type Err = PacketError;
    fn from_str(s: &str) -> Result<Self, PacketError> {
        Path::ALL.into_iter().find(|p| p.name() == s).ok_or_else(|| {
            PacketError(format!("`{s}` is not a direction: use input, output, forward, ingress or egress"))
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A packet that cannot be: what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct PacketError(pub String);

/// One whole datagram (never a later fragment) on its way through a firewall.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Packet {
    /// Its way.
    pub path: Path,
    /// Values by [`Field::index`]; `None` where the packet does not have the field. Interfaces and state always have one.
    values: [Option<Value>; Field::COUNT],
    /// Packet mark on entry (`skb->mark`); 0 on everything that comes from a wire.
    pub mark: u32,
    /// Cloud: the security groups attached by the interface that is looked at. `None` = not stated.
    pub groups: Option<Vec<String>>,
}

impl Packet {
    /// A packet from values by field; absent fields are dropped according to the protocol, missing ones are 0.
    pub fn from_values(path: Path, values: &[Value; Field::COUNT], mark: u32) -> Self {
        let proto = values[Field::Proto.index()] as u8;
        let mut out = [None; Field::COUNT];
        for f in Field::ALL {
            if has_field(proto, f) {
                out[f.index()] = Some(values[f.index()]);
            }
        }
        Packet { path, values: out, mark, groups: None }
    }

    /// Value of a field, `None` where the packet does not have it.
    pub fn get(&self, field: Field) -> Option<Value> {
        self.values[field.index()]
    }

    /// Sets a field that the packet has; others stay absent.
    pub fn set(&mut self, field: Field, value: Value) {
        if let Some(v) = &mut self.values[field.index()] {
            *v = value;
        }
    }

    /// Address family.
    pub fn family(&self) -> Family {
        self.get(Field::Dst).map_or(Family::V4, addr::family)
    }

    /// IP protocol number.
    pub fn proto(&self) -> u8 {
        self.get(Field::Proto).unwrap_or(0) as u8
    }

    /// Connection state.
    pub fn state(&self) -> ConnState {
        self.get(Field::State).and_then(ConnState::from_value).unwrap_or(ConnState::New)
    }
}

/// Whether packets of protocol `p` have field `f`.
pub fn has_field(p: u8, f: Field) -> bool {
    match f {
        Field::Sport | Field::Dport => proto::WITH_PORTS.contains(&p),
        Field::TcpFlags => p == proto::TCP,
        Field::Icmp => p == proto::ICMP || p == proto::ICMPV6,
        _ => true,
    }
}

/// The state that the connection tracker gives to a packet of which it knows no connection (measured on Linux 6.18:
/// `nf_conntrack_proto_tcp.c` `tcp_new`, `nf_conntrack_proto_icmp.c`, `nf_conntrack_proto_icmpv6.c`).
pub fn opening_state(protocol: u8, tcp_flags: u8, icmp_type: u8) -> ConnState {
    use flags::{ACK, FIN, RST, SYN, URG};
    match protocol {
        proto::TCP => {
            let f = tcp_flags & (FIN | SYN | RST | ACK | URG);
            if f == SYN || f == SYN | URG || f == ACK || f == ACK | URG {
                ConnState::New
            } else {
                ConnState::Invalid
            }
        }
        proto::ICMP if ![8, 13, 15, 17].contains(&icmp_type) => ConnState::Invalid,
        proto::ICMPV6 => match icmp_type {
            128 | 139 => ConnState::New,
            // Neighbour and listener discovery (RFC 4861, 2710, 3810), multicast routers (RFC 4286).
            130..=136 | 143 | 151 | 152 => ConnState::Untracked,
            _ => ConnState::Invalid,
        },
        _ => ConnState::New,
    }
}

/// The same for a packet of a family, whose header may name a protocol of the other one: then the tracker makes nothing of it, nor of an
/// IPv6 packet without a payload (`nf_conntrack_icmp_packet`, `nf_conntrack_icmpv6_packet`, `ipv6_skip_exthdr`).
pub fn first_state(family: Family, protocol: u8, tcp_flags: u8, icmp_type: u8) -> ConnState {
    match (family, protocol) {
        (Family::V4, proto::ICMPV6) | (Family::V6, proto::ICMP | proto::NO_NEXT_HEADER) => ConnState::Invalid,
        _ => opening_state(protocol, tcp_flags, icmp_type),
    }
}

/// A packet as JSON (see the manual, "trace: packets").
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dir: Option<Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iif: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oif: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proto: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sport: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dport: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_flags: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ct: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<String>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Number(u8),
    Name(String),
}

impl TryFrom<Written> for Packet {
    type Error = PacketError;
    fn try_from(w: Written) -> Result<Self, PacketError> {
        let err = |m: String| Err(PacketError(m));
        if let Some(a) = w.src.into_iter().chain(w.dst).find(|a| addr::is_reserved(*a)) {
            return err(format!("`{a}` is in a block reserved by the IETF: no packet has it"));
        }
        let family = match (w.family, w.src, w.dst) {
            (Some(n @ (4 | 6)), s, d) => {
                let f = if n == 4 { Family::V4 } else { Family::V6 };
                if s.into_iter().chain(d).any(|a| Family::of(a) != f) {
                    return err(format!("an address is not of family {n}"));
                }
                f
            }
            (Some(n), ..) => return err(format!("family {n}: use 4 or 6")),
            (None, Some(s), Some(d)) if Family::of(s) != Family::of(d) => {
                return err("source and destination are of different families".to_owned());
            }
            (None, Some(a), _) | (None, None, Some(a)) => Family::of(a),
            (None, None, None) => Family::V4,
        };
        let unspecified = match family {
            Family::V4 => addr::v4(0),
            Family::V6 => 0,
        };
        let protocol = match &w.proto {
            None if w.icmp_type.is_some() && family == Family::V4 => proto::ICMP,
            None if w.icmp_type.is_some() => proto::ICMPV6,
            None => {
                return err(
                    "a packet needs its protocol (`proto`), such as tcp, udp, icmp or a number".to_owned()
                );
            }
            Some(Number::Number(n)) => *n,
            Some(Number::Name(n)) => {
                proto::parse(n).ok_or_else(|| PacketError(format!("`{n}` is not a protocol")))?
            }
        };
        let path = w.dir.unwrap_or(Path::Input);
        let tcp_flags = match &w.tcp_flags {
            None => flags::SYN,
            Some(text) => parse_flags(text)?,
        };
        let icmp_type = w.icmp_type.unwrap_or(if protocol == proto::ICMPV6 { 128 } else { 8 });
        let state = match w.ct.as_deref() {
            None => first_state(family, protocol, tcp_flags, icmp_type),
            Some(s) => ConnState::ALL
                .into_iter()
                .find(|c| c.name().eq_ignore_ascii_case(s))
                .ok_or_else(|| PacketError(format!("`{s}` is not a connection state")))?,
        };
        let iface = |n: &Option<String>| match n {
            None => Ok(0),
            // Linux refuses white space (`dev_valid_name`); a packet in words could tell neither.
            Some(n) if n.ends_with(',') || n.contains(|c: char| c.is_whitespace() || c.is_control()) => Err(
                PacketError(format!("interface `{n}`: a name has no white space, and no comma at its end")),
            ),
            Some(n) => interface_value(n).map_err(|e| PacketError(format!("interface `{n}`: {e}"))),
        };
        let mut v = [0; Field::COUNT];
        v[Field::Iif.index()] = iface(&w.iif)?;
        v[Field::Oif.index()] = iface(&w.oif)?;
        v[Field::State.index()] = state.value();
        v[Field::Src.index()] = w.src.map_or(unspecified, addr::value);
        v[Field::Dst.index()] = w.dst.map_or(unspecified, addr::value);
        v[Field::Proto.index()] = protocol.into();
        for (name, f, given) in [("sport", Field::Sport, w.sport), ("dport", Field::Dport, w.dport)] {
            if given.is_some() && !has_field(protocol, f) {
                return err(format!(
                    "protocol {} has no ports, yet `{name}` is given",
                    proto::name(protocol)
                ));
            }
            v[f.index()] = given.unwrap_or(if f == Field::Sport { 40000 } else { 0 }).into();
        }
        v[Field::Icmp.index()] = Value::from(icmp_type) << 8 | Value::from(w.icmp_code.unwrap_or(0));
        v[Field::TcpFlags.index()] = tcp_flags.into();
        if let Some(m) = &w.mac {
            v[Field::Mac.index()] =
                parse_mac(m).ok_or_else(|| PacketError(format!("`{m}` is not a hardware address")))?;
        }
        let mut p = Packet::from_values(path, &v, w.mark.unwrap_or(0));
        p.groups = w.groups;
        Ok(p)
    }
}

impl From<Packet> for Written {
    fn from(p: Packet) -> Self {
        let name = |f| p.get(f).filter(|v| *v != 0).map(interface_name);
        let icmp = p.get(Field::Icmp);
        Written {
            family: Some(p.family().number()),
            dir: Some(p.path),
            iif: name(Field::Iif),
            oif: name(Field::Oif),
            src: p.get(Field::Src).map(addr::addr),
            dst: p.get(Field::Dst).map(addr::addr),
            proto: Some(Number::Name(proto::name(p.proto()))),
            sport: p.get(Field::Sport).map(|v| v as u16),
            dport: p.get(Field::Dport).map(|v| v as u16),
            icmp_type: icmp.map(|v| (v >> 8) as u8),
            icmp_code: icmp.map(|v| v as u8),
            tcp_flags: p.get(Field::TcpFlags).map(|v| flag_text(v as u8)),
            mac: p.get(Field::Mac).filter(|v| *v != 0).map(mac_text),
            ct: Some(p.state().name().to_owned()),
            mark: Some(p.mark).filter(|m| *m != 0),
            groups: p.groups,
        }
    }
}

fn parse_flags(text: &str) -> Result<u8, PacketError> {
    if text.eq_ignore_ascii_case("none") || text.is_empty() {
        return Ok(0);
    }
    text.split(',').try_fold(0, |acc, word| {
        let bit = flags::NAMES.iter().position(|n| n.eq_ignore_ascii_case(word.trim()));
        bit.map(|b| acc | 1 << b).ok_or_else(|| PacketError(format!("`{word}` is not a TCP flag")))
    })
}

fn flag_text(f: u8) -> String {
    let names: Vec<_> = (0..8).filter(|b| f & 1 << b != 0).map(|b| flags::NAMES[b]).collect();
    if names.is_empty() { "NONE".to_owned() } else { names.join(",") }
}

/// Reads six hexadecimal bytes, separated by `:` or `-`.
pub fn parse_mac(text: &str) -> Option<Value> {
    let parts: Vec<_> = text.split([':', '-']).collect();
    if parts.len() != 6 {
        return None;
    }
    parts.iter().try_fold(0, |v, p| {
        if p.len() > 2 {
            return None;
        }
        Some(v << 8 | Value::from(u8::from_str_radix(p, 16).ok()?))
    })
}

/// Writes a hardware address as `02:00:00:00:00:01`.
pub fn mac_text(v: Value) -> String {
    let bytes: Vec<_> = (0..6).rev().map(|i| format!("{:02x}", (v >> (8 * i)) as u8)).collect();
    bytes.join(":")
}

impl FromStr for Packet {
    type Err = PacketError;

    /// Reads the words of `trace --packet`: `[DIRECTION] [INTERFACE[>INTERFACE]] PROTOCOL SRC[:SPORT] > DST[:DPORT] [WORD…]`,
    /// where a trailing word is a connection state, TCP flags (`SYN,ACK`), `type N[/M]`, `mark N` or `mac M`; or a packet as it is printed,
    /// with `arriving on INTERFACE`, `leaving by INTERFACE` and `(DIRECTION)` behind.
    fn from_str(text: &str) -> Result<Self, PacketError> {
        let spaced = text.replace(" > ", " \u{1} ").replace(" -> ", " \u{1} ");
        let words: Vec<&str> =
            spaced.split_whitespace().map(|w| w.trim_end_matches(',')).filter(|w| !w.is_empty()).collect();
        let Some(gt) = words.iter().position(|w| *w == "\u{1}") else {
            return Err(PacketError(
                "there is no ` > ` between source and destination: write a packet as `input eth0 tcp 10.0.8.15:40000 > 10.1.0.10:443`".to_owned(),
            ));
        };
        let (before, after) = (&words[..gt], &words[gt + 1..]);
        let (Some(src), Some(dst)) = (before.last(), after.first()) else {
            return Err(PacketError("an address is missing beside the `>`".to_owned()));
        };
        let mut w = Written::default();
        (w.src, w.sport) = endpoint(src)?;
        (w.dst, w.dport) = endpoint(dst)?;
        let mut head = before[..before.len() - 1].iter().peekable();
        w.dir = head.peek().and_then(|d| d.parse().ok());
        if w.dir.is_some() {
            head.next();
        }
        let head: Vec<_> = head.collect();
        let interfaces = match head.as_slice() {
            [] => return Err(PacketError("the protocol is missing before the source address".to_owned())),
            [i @ .., p] => {
                w.proto = Some(Number::Name((**p).to_owned()));
                i
            }
        };
        let names: Vec<&str> =
            interfaces.iter().flat_map(|i| i.split('>')).filter(|s| !s.is_empty()).collect();
        match (w.dir.unwrap_or(Path::Input), names.as_slice()) {
            (_, []) => {}
            (Path::Output | Path::Egress, [o]) => w.oif = Some((*o).to_owned()),
            (Path::Input | Path::Ingress | Path::Forward, [i]) => w.iif = Some((*i).to_owned()),
            (Path::Forward, [i, o]) => {
                w.iif = Some((*i).to_owned());
                w.oif = Some((*o).to_owned());
            }
            (p, _) => return Err(PacketError(format!("too many interfaces for direction {p}"))),
        }
        let mut rest = after[1..].iter();
        while let Some(word) = rest.next() {
            let mut number = |what: &str| {
                rest.next().copied().ok_or_else(|| PacketError(format!("`{what}` needs a value")))
            };
            match *word {
                "type" => {
                    let n = number("type")?;
                    let (t, c) = n.split_once('/').unwrap_or((n, "0"));
                    let bad = |_| PacketError(format!("`type {n}`: write `type 8` or `type 3/1`"));
                    w.icmp_type = Some(t.parse().map_err(bad)?);
                    w.icmp_code = Some(c.parse().map_err(bad)?);
                }
                "mark" => {
                    let n = number("mark")?;
                    let parsed =
                        n.strip_prefix("0x").map_or_else(|| n.parse(), |h| u32::from_str_radix(h, 16));
                    w.mark = Some(parsed.map_err(|_| PacketError(format!("`{n}` is not a mark")))?);
                }
                "mac" => w.mac = Some(number("mac")?.to_owned()),
                "arriving" | "leaving" => {
                    let joint = if *word == "arriving" { "on" } else { "by" };
                    let name = match number(word)? {
                        j if j == joint => number(word)?,
                        other => {
                            return Err(PacketError(format!("`{other}`: write `{word} {joint} INTERFACE`")));
                        }
                    };
                    let place = if *word == "arriving" { &mut w.iif } else { &mut w.oif };
                    *place = Some(name.to_owned());
                }
                d if d.starts_with('(') && d.ends_with(')') => {
                    let name = &d[1..d.len() - 1];
                    w.dir =
                        Some(name.parse().map_err(|_| PacketError(format!("`{name}` is not a direction")))?);
                }
                s if ConnState::ALL.iter().any(|c| c.name() == s) => w.ct = Some(s.to_owned()),
                f if parse_flags(f).is_ok() => w.tcp_flags = Some(f.to_owned()),
                other => return Err(PacketError(format!("unexpected `{other}` after the destination"))),
            }
        }
        if w.dir.is_none() && w.oif.is_some() {
            w.dir = Some(if w.iif.is_some() { Path::Forward } else { Path::Output });
        }
        w.try_into()
    }
}

fn endpoint(text: &str) -> Result<(Option<IpAddr>, Option<u16>), PacketError> {
    if let Ok(a) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok((Some(a), None));
    }
    text.parse::<SocketAddr>()
        .map(|s| (Some(s.ip()), Some(s.port())))
        .map_err(|_| PacketError(format!("`{text}` is not an address with an optional port")))
}

impl fmt::Display for Packet {
    /// `tcp 10.1.0.11:40000 > 10.2.0.11:20082, new, arriving on eth0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |a: Field, p: Field| {
            let ip = addr::addr(self.get(a).unwrap_or(0));
            match (ip, self.get(p)) {
                (ip, None) => ip.to_string(),
                (IpAddr::V4(ip), Some(port)) => format!("{ip}:{port}"),
                (IpAddr::V6(ip), Some(port)) => format!("[{ip}]:{port}"),
            }
        };
        write!(
            f,
            "{} {} > {}",
            proto::name(self.proto()),
            end(Field::Src, Field::Sport),
            end(Field::Dst, Field::Dport)
        )?;
        if let Some(i) = self.get(Field::Icmp) {
            write!(f, " type {}/{}", i >> 8, i & 0xff)?;
        }
        if let Some(t) = self.get(Field::TcpFlags).filter(|t| *t != Value::from(flags::SYN)) {
            write!(f, " {}", flag_text(t as u8))?;
        }
        if self.mark != 0 {
            write!(f, " mark {:#x}", self.mark)?;
        }
        if let Some(m) = self.get(Field::Mac).filter(|m| *m != 0) {
            write!(f, " mac {}", mac_text(m))?;
        }
        write!(f, ", {}", self.state().name())?;
        for (field, word) in [(Field::Iif, "arriving on"), (Field::Oif, "leaving by")] {
            if let Some(v) = self.get(field).filter(|v| *v != 0) {
                write!(f, ", {word} {}", interface_name(v))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_json_mean_the_same() {
        let a: Packet = "input eth0 tcp 10.0.8.15:40000 > 10.1.0.10:20081".parse().unwrap();
        let b: Packet = serde_json::from_str(
            r#"{"dir":"input","iif":"eth0","proto":6,"src":"10.0.8.15","sport":40000,"dst":"10.1.0.10","dport":20081}"#,
        )
        .unwrap();
        assert_eq!(a, b);
        assert_eq!(a.to_string(), "tcp 10.0.8.15:40000 > 10.1.0.10:20081, new, arriving on eth0");
        let back: Packet = serde_json::from_str(&serde_json::to_string(&a).unwrap()).unwrap();
        assert_eq!(back, a);
        let v6: Packet = "forward eth0>eth1 icmpv6 2001:db8::1 > 2001:db8::2 type 1/4".parse().unwrap();
        assert_eq!(v6.state(), ConnState::Invalid);
        assert_eq!(v6.get(Field::Icmp), Some(0x104));
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for text in [
            "input eth0 tcp 10.0.8.15:40000 > 10.1.0.10:20081",
            "forward lan>wan udp [2001:db8::1]:5 > [2001:db8::2]:53 established mark 0x10",
            "output eth1 tcp 10.0.0.1:80 > 10.0.0.2:40000 SYN,ACK established mac 02:00:00:00:00:01",
            "ingress icmp 10.0.0.1 > 10.0.0.2 type 3/1 related",
            "input 47 10.0.0.1 > 10.0.0.2",
        ] {
            let packet: Packet = text.parse().unwrap();
            let printed = format!("{packet} ({})", packet.path);
            assert_eq!(printed.parse::<Packet>().unwrap(), packet, "{printed}");
        }
        // As findings print it, without its direction.
        let packet: Packet =
            "tcp 10.0.8.15:40000 > 10.1.0.10:20081, new, arriving on lan, leaving by wan".parse().unwrap();
        assert_eq!(packet, "forward lan>wan tcp 10.0.8.15:40000 > 10.1.0.10:20081".parse().unwrap());
        for (bad, word) in [
            ("tcp 10.0.0.1 > 10.0.0.2 arriving at eth0", "`at`"),
            ("tcp 10.0.0.1 > 10.0.0.2 (inpt)", "`inpt`"),
        ] {
            assert!(bad.parse::<Packet>().unwrap_err().to_string().contains(word));
        }
    }

    #[test]
    fn impossible_packets_are_refused() {
        for bad in [
            r#"{"src":"10.0.0.1","dst":"::1","proto":"tcp"}"#,
            r#"{"src":"10.0.0.1","dst":"::ffff:10.0.0.2","proto":"tcp"}"#,
            r#"{"src":"::1","dst":"44:4444:4444:4444:4444:4444::1","proto":"tcp"}"#,
            r#"{"src":"10.0.0.1","dst":"10.0.0.2","proto":"icmp","dport":1}"#,
            r#"{"src":"10.0.0.1","dst":"10.0.0.2"}"#,
            r#"{"family":6,"src":"10.0.0.1","proto":"tcp"}"#,
            r#"{"src":"10.0.0.1","proto":"tcp","colour":1}"#,
        ] {
            assert!(serde_json::from_str::<Packet>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn opening_states_are_the_kernels() {
        use flags::*;
        for (f, state) in [
            (SYN, ConnState::New),
            (ACK, ConnState::New),
            (PSH | ACK, ConnState::New),
            (SYN | URG, ConnState::New),
            (SYN | ACK, ConnState::Invalid),
            (FIN, ConnState::Invalid),
            (RST, ConnState::Invalid),
            (0, ConnState::Invalid),
            (FIN | PSH | URG, ConnState::Invalid),
        ] {
            assert_eq!(opening_state(proto::TCP, f, 0), state, "{f:#x}");
        }
    }

    #[test]
    fn an_interface_has_a_name_that_words_can_tell() {
        let named = |name: &str| {
            let text = serde_json::json!({"dir": "input", "iif": name, "proto": "tcp", "src": "10.0.8.15", "dst": "10.1.0.10"});
            serde_json::from_value::<Packet>(text)
        };
        assert!(named("eth0.20").is_ok());
        for bad in ["eth 0", " eth0", "eth0,", "eth\u{1}0"] {
            assert!(named(bad).unwrap_err().to_string().contains("white space"), "{bad:?}");
        }
    }
}
