//! Elements as they are written: `10.0.0.0/8,tcp:80`.

use super::super::{icmp_names, values};
use super::{Dimension, Part, Set, Traits};
use crate::packet::addr::{self, Family};
use crate::packet::{Field, Value, interface_prefix, interface_value, parse_mac, proto};

/// The elements that a text stands for: a range of networks is several.
///
/// `wildcard` makes a prefix of the interface's name. `None` if the text is no element of the set.
pub(super) fn read(text: &str, set: &Set, wildcard: bool) -> Option<(Vec<Vec<Part>>, Traits)> {
    let mut traits = Traits::default();
    let mut all: Vec<Vec<Part>> = vec![Vec::with_capacity(set.dimensions.len())];
    let mut written = text.splitn(set.dimensions.len(), ',');
    for dimension in &set.dimensions {
        let parts = match (written.next(), dimension) {
            (Some(t), Dimension::Net) => networks(t, set.family)?,
            (Some(t), Dimension::Iface) => {
                let name = t.strip_prefix("physdev:");
                traits.physdev |= name.is_some();
                vec![interface(name.unwrap_or(t), wildcard)?]
            }
            (Some(t), d) => vec![one(t, *d, set)?],
            // A bitmap of addresses and hardware addresses leaves the latter open until the first packet.
            (None, Dimension::Mac) => {
                traits.passing = true;
                vec![Part::Values(1, Field::Mac.max())]
            }
            (None, _) => return None,
        };
        all = parts.iter().flat_map(|p| all.iter().map(|head| [head.as_slice(), &[*p]].concat())).collect();
    }
    Some((all, traits))
}

fn one(text: &str, dimension: Dimension, set: &Set) -> Option<Part> {
    match dimension {
        Dimension::Ip => addresses(text, set.family?, set.netmask),
        Dimension::Mac => parse_mac(text).map(|m| Part::Values(m, m)),
        Dimension::Port => port(text, set.kind.starts_with("bitmap")),
        _ => None,
    }
}

fn interface(name: &str, wildcard: bool) -> Option<Part> {
    if name.is_empty() {
        return None;
    }
    if !wildcard {
        return interface_value(name).ok().map(|v| Part::Values(v, v));
    }
    let prefix = interface_prefix(name).ok()?;
    Some(Part::Values(prefix.first()?, prefix.last()?))
}

const fn width(family: Family) -> u32 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

fn host_bits(family: Family, length: u32) -> Option<Value> {
    let free = width(family).checked_sub(length)?;
    Some(1u128.checked_shl(free).map_or(Value::MAX, |n| n - 1))
}

// `ADDRESS`, `ADDRESS/LENGTH`, `ADDRESS-ADDRESS`: from–to, and whether it was a range.
fn span(text: &str, family: Family) -> Option<(Value, Value)> {
    let address = |t: &str| {
        let ip: std::net::IpAddr = t.parse().ok()?;
        let same = Family::of(ip) == family;
        same.then(|| values::single(t.as_bytes(), family == Family::V6)).flatten()
    };
    if let Some((lo, hi)) = text.split_once('-') {
        let (lo, hi) = (address(lo)?, address(hi)?);
        return Some((lo.min(hi), lo.max(hi)));
    }
    let (ip, length) = text.split_once('/').unwrap_or((text, ""));
    let ip = address(ip)?;
    if length.is_empty() {
        return (!text.contains('/')).then_some((ip, ip));
    }
    let hosts = host_bits(family, u32::try_from(values::number(length.as_bytes())?).ok()?)?;
    Some((ip & !hosts, ip | hosts))
}

// The set keeps networks of its own size only, if it has one.
fn addresses(text: &str, family: Family, netmask: Option<u8>) -> Option<Part> {
    let (lo, hi) = span(text, family)?;
    let hosts = netmask.map_or(Some(0), |n| host_bits(family, n.into()))?;
    Some(Part::Values(lo & !hosts, hi | hosts))
}

fn networks(text: &str, family: Option<Family>) -> Option<Vec<Part>> {
    let family = family?;
    let (mut lo, hi) = span(text, family)?;
    let mut out = Vec::new();
    loop {
        // The largest prefix that begins here and does not go beyond.
        let mut size = if lo == 0 { Value::MAX } else { (lo & lo.wrapping_neg()) - 1 };
        if family == Family::V4 {
            size &= addr::v4(u32::MAX) - addr::v4(0);
        }
        while size > hi - lo {
            size >>= 1;
        }
        out.push(Part::Values(lo, lo + size));
        match (lo + size).checked_add(1) {
            Some(next) if next <= hi => lo = next,
            _ => return Some(out),
        }
    }
}

// `[PROTO:]PORT[-PORT]`; of ICMP `icmp:TYPE/CODE` or a name; of protocols without ports `PROTO:0`.
// A bitmap of ports holds bare numbers and is asked for tcp and udp only: protocol 0 stands for both.
fn port(text: &str, bitmap: bool) -> Option<Part> {
    let (p, ports) = text.split_once(':').unwrap_or(("tcp", text));
    let p = if bitmap { 0 } else { values::protocol(p.as_bytes()).filter(|p| *p != 0)? };
    let range = match p {
        proto::ICMP | proto::ICMPV6 => {
            let names = if p == proto::ICMP { icmp_names::ICMP } else { icmp_names::ICMPV6 };
            // A name without a code stands for code 0 (ipset's own tables).
            let (lo, hi) = icmp_names::parse(ports.as_bytes(), names)?;
            Some((lo, if ports.contains('/') { hi } else { lo }))
        }
        0 | proto::TCP | proto::UDP | proto::SCTP | proto::UDPLITE => {
            let number = |t: &str| values::ports(t.as_bytes()).ok().filter(|r| r.0 == r.1).map(|r| r.0);
            // Names of services may hold a `-`.
            let (lo, hi) = match number(ports) {
                Some(one) => (one, one),
                None => ports.split_once('-').and_then(|(lo, hi)| Some((number(lo)?, number(hi)?)))?,
            };
            Some((lo.min(hi), lo.max(hi)))
        }
        _ if ports == "0" => None,
        _ => return None,
    };
    Some(Part::Port(p, range))
}
