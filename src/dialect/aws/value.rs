//! Small values of cloud documents: names of keys, protocols, ports, prefixes.

use super::inventory::Service;
use crate::packet::proto;
use crate::source::json::{Kind, Value, is_number};
use ipnet::IpNet;
use std::borrow::Cow;
use std::net::IpAddr;

/// Whether a key is a member of the API, however the writer spells it: `IpPermissions`, `ipPermissions` (AWS Config),
/// `ip_permissions` (Steampipe, CloudQuery). `name` is in lower case; separators do not count.
pub fn is_key(key: Value<'_>, name: &str) -> bool {
    let bytes = key.bytes();
    let inner = &bytes[1..(bytes.len().max(2) - 1)];
    let mut wanted = name.bytes().filter(|b| *b != b'_');
    for b in inner.iter().filter(|b| **b != b'_') {
        if wanted.next() != Some(b.to_ascii_lowercase()) {
            return false;
        }
    }
    wanted.next().is_none()
}

/// The member of an object with that name; the last of several.
pub fn member<'d>(object: Value<'d>, name: &str) -> Option<Value<'d>> {
    object.members().filter(|(k, _)| is_key(*k, name)).last().map(|(_, v)| v)
}

/// A string that is not empty.
pub fn text<'d>(object: Value<'d>, name: &str) -> Option<Cow<'d, str>> {
    member(object, name)?.str().filter(|s| !s.is_empty())
}

/// A string that is not empty, owned.
pub fn string(object: Value<'_>, name: &str) -> Option<String> {
    text(object, name).map(Cow::into_owned)
}

/// A whole number, also one in quotes; `Ok(None)` where there is none.
///
/// # Errors
/// The text of what is no number.
pub fn number(value: Option<Value<'_>>) -> Result<Option<i64>, String> {
    let Some(v) = value else { return Ok(None) };
    let n = match v.kind() {
        Kind::Null => return Ok(None),
        Kind::Number => v.int(),
        Kind::String => v.str().and_then(|s| s.trim().parse().ok()),
        _ => None,
    };
    n.map(Some).ok_or_else(|| short(&v.raw()))
}

/// At most sixty characters of a text, on one line.
pub fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(60) {
        Some((i, _)) => format!("{}…", &line[..i]),
        None => line,
    }
}

/// A protocol or port as a file writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar<'t> {
    /// Not written, or null.
    Absent,
    /// A string.
    Text(Cow<'t, str>),
    /// A whole number.
    Number(i64),
    /// Anything else, as text.
    Other(String),
}

impl<'t> Scalar<'t> {
    /// A value of a document.
    pub fn of(value: Option<Value<'t>>) -> Self {
        let Some(v) = value.filter(|v| !v.is_null()) else { return Scalar::Absent };
        match (v.str(), v.int()) {
            (Some(text), _) => Scalar::Text(text),
            (_, Some(n)) => Scalar::Number(n),
            _ => Scalar::Other(short(&v.raw())),
        }
    }

    // A whole number, also one in quotes.
    fn number(&self) -> Result<Option<i64>, String> {
        match self {
            Scalar::Absent => Ok(None),
            Scalar::Number(n) => Ok(Some(*n)),
            // A number with leading zeros is octal to some readers, decimal to others.
            Scalar::Text(t) if is_number(t.trim()) => {
                t.trim().parse().map(Some).map_err(|_| format!("\"{}\"", short(t)))
            }
            Scalar::Text(t) => Err(format!("\"{}\"", short(t))),
            Scalar::Other(t) => Err(t.clone()),
        }
    }
}

/// The service of a permission, from values of a document.
pub fn service(protocol: Option<Value<'_>>, from: Option<Value<'_>>, to: Option<Value<'_>>) -> Service {
    let service = service_of(&Scalar::of(protocol), &Scalar::of(from), &Scalar::of(to));
    // Where ports do not count, nothing of them can change anything; where they do, what is wrong with them is told.
    [from, to].into_iter().flatten().for_each(|port| port.settle());
    service
}

/// The service of a permission. Security groups look at ports of tcp, udp and icmp only ("a protocol number other than tcp, udp, icmp, or
/// icmpv6 allows traffic on all ports, regardless of any port range you specify": EC2 API, `IpPermission`).
pub fn service_of(protocol: &Scalar<'_>, from: &Scalar<'_>, to: &Scalar<'_>) -> Service {
    let (name, p) = match protocol_of(protocol) {
        Ok((name, Some(p))) => (name, p),
        Ok((_, None)) => return Service::All,
        Err(unknown) => return unknown,
    };
    if ![proto::TCP, proto::UDP, proto::ICMP, proto::ICMPV6].contains(&p) {
        return Service::Protocol(p);
    }
    let unknown = |text: String, why: &str| Service::Unknown(text, why.to_owned());
    let (from, to) = match (from.number(), to.number()) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(t), _) | (_, Err(t)) => {
            return unknown(format!("{name} with port {t}"), "the port is no number");
        }
    };
    let shown = |v: Option<i64>| v.map_or_else(|| "none".to_owned(), |n| n.to_string());
    let written = format!("{name} from {} to {}", shown(from), shown(to));
    if p == proto::TCP || p == proto::UDP {
        return match (from.map(u16::try_from), to.map(u16::try_from)) {
            (Some(Ok(a)), Some(Ok(b))) if a <= b => Service::Ports(p, a, b),
            (None, _) | (_, None) => unknown(written, "a port is missing"),
            _ => unknown(written, "these are no ports from 0 to 65535 in order"),
        };
    }
    // FromPort is the type, ToPort the code, -1 = all; never a range.
    match (from, to) {
        (None, None) if p == proto::ICMPV6 => Service::Icmp(p, None, None),
        (None, _) => unknown(written, "the type (FromPort) is missing"),
        (Some(-1), None | Some(-1)) => Service::Icmp(p, None, None),
        (Some(t), c) => match (u8::try_from(t), c.map(u8::try_from), c) {
            (Ok(t), _, Some(-1)) => Service::Icmp(p, Some(t), None),
            (Ok(t), Some(Ok(c)), _) => Service::Icmp(p, Some(t), Some(c)),
            (Ok(_), None, _) => unknown(written, "the code (ToPort) is missing"),
            _ => unknown(written, "these are no type and code from -1 to 255"),
        },
    }
}

/// Name and number of a protocol; no number = all.
///
/// # Errors
/// What to make of one that is not understood.
pub fn parse_protocol(protocol: Option<Value<'_>>) -> Result<(String, Option<u8>), Service> {
    protocol_of(&Scalar::of(protocol))
}

/// As [`parse_protocol`].
///
/// # Errors
/// What to make of one that is not understood.
pub fn protocol_of(protocol: &Scalar<'_>) -> Result<(String, Option<u8>), Service> {
    let (name, shown) = match protocol {
        Scalar::Absent => {
            return Err(Service::Unknown(
                "no protocol".to_owned(),
                "the permission names no protocol".to_owned(),
            ));
        }
        Scalar::Text(t) => (t.trim().to_ascii_lowercase(), format!("\"{}\"", short(t))),
        Scalar::Number(n) => (n.to_string(), n.to_string()),
        Scalar::Other(t) => (String::new(), t.clone()),
    };
    if name == "-1" || name == "all" {
        return Ok((name, None));
    }
    match proto::parse(&name) {
        Some(p) => Ok((name, Some(p))),
        None => Err(Service::Unknown(
            format!("protocol {shown}"),
            "it is no protocol by name or number, or not known before deployment".to_owned(),
        )),
    }
}

/// A prefix, and whether its host bits were set (they are masked, as the API does).
///
/// # Errors
/// Why it is none.
pub fn prefix(text: &str) -> Result<(IpNet, bool), &'static str> {
    let text = text.trim();
    if leading_zero(text) {
        return Err("ambiguous: a number with a leading zero is octal to some programs, decimal to others");
    }
    if let Ok(net) = text.parse::<IpNet>() {
        return Ok((net.trunc(), net.trunc() != net));
    }
    match text.parse::<IpAddr>() {
        Ok(_) => Err("an address without a prefix length"),
        Err(_) => Err("no prefix such as 10.0.0.0/24"),
    }
}

// Whether a part of an IPv4 address, or the length, begins with a zero and has more digits.
fn leading_zero(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['.', '/']).collect();
    let digits = |p: &&str| !p.is_empty() && p.len() <= 4 && p.bytes().all(|b| b.is_ascii_digit());
    (4..=5).contains(&parts.len())
        && parts.iter().all(digits)
        && parts.iter().any(|p| p.len() > 1 && p.starts_with('0'))
}

/// The id of a prefix list in a file's name: `pl-0123abcd.json`.
pub fn id_in(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    let rest = &name[name.find("pl-")?..];
    let end = rest[3..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(rest.len(), |n| n + 3);
    (end > 3).then(|| rest[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::json::Document;

    fn of(text: &str) -> Service {
        let d = Document::parse(text.as_bytes());
        let r = d.root().unwrap();
        service(member(r, "ipprotocol"), member(r, "fromport"), member(r, "toport"))
    }

    #[test]
    fn services_as_the_api_means_them() {
        for (text, expected) in [
            (r#"{"IpProtocol":"-1"}"#, Service::All),
            (r#"{"IpProtocol":-1,"FromPort":0,"ToPort":0}"#, Service::All),
            (r#"{"IpProtocol":"tcp","FromPort":22,"ToPort":22}"#, Service::Ports(6, 22, 22)),
            (r#"{"ipProtocol":"6","fromPort":"22","toPort":"23"}"#, Service::Ports(6, 22, 23)),
            (r#"{"ip_protocol":"UDP","from_port":0,"to_port":65535}"#, Service::Ports(17, 0, 65535)),
            (r#"{"IpProtocol":"icmp","FromPort":-1,"ToPort":-1}"#, Service::Icmp(1, None, None)),
            (r#"{"IpProtocol":"icmp","FromPort":8,"ToPort":-1}"#, Service::Icmp(1, Some(8), None)),
            (r#"{"IpProtocol":"icmp","FromPort":3,"ToPort":4}"#, Service::Icmp(1, Some(3), Some(4))),
            (r#"{"IpProtocol":"icmpv6"}"#, Service::Icmp(58, None, None)),
            (r#"{"IpProtocol":"58","FromPort":128,"ToPort":0}"#, Service::Icmp(58, Some(128), Some(0))),
            (r#"{"IpProtocol":"132","FromPort":22,"ToPort":22}"#, Service::Protocol(132)),
            (r#"{"IpProtocol":"50"}"#, Service::Protocol(50)),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for text in [
            r#"{}"#,
            r#"{"IpProtocol":"tcp"}"#,
            r#"{"IpProtocol":"tcp","FromPort":22}"#,
            r#"{"IpProtocol":"tcp","FromPort":23,"ToPort":22}"#,
            r#"{"IpProtocol":"tcp","FromPort":-1,"ToPort":-1}"#,
            r#"{"IpProtocol":"tcp","FromPort":22,"ToPort":65536}"#,
            r#"{"IpProtocol":"tcp","FromPort":"ssh","ToPort":22}"#,
            r#"{"IpProtocol":"icmp"}"#,
            r#"{"IpProtocol":"icmp","FromPort":8}"#,
            r#"{"IpProtocol":"icmp","FromPort":256,"ToPort":0}"#,
            r#"{"IpProtocol":"sctp-ish"}"#,
            r#"{"IpProtocol":{"Ref":"Proto"}}"#,
        ] {
            assert!(matches!(of(text), Service::Unknown(..)), "{text}");
        }
    }

    #[test]
    fn prefixes_are_masked() {
        assert_eq!(prefix("10.0.2.0/0").unwrap(), ("0.0.0.0/0".parse().unwrap(), true));
        assert!(!prefix("10.0.2.0/24").unwrap().1);
        assert!(prefix("010.20.1.0/24").unwrap_err().contains("octal"));
        assert!(prefix("10.0.2.0/024").is_err() && !prefix("10.0.0.300/8").unwrap_err().contains("octal"));
        assert!(prefix("10.0.2.0").is_err() && prefix("10.0.2.0/33").is_err() && prefix("").is_err());
    }
}
