//! The values of options: addresses, ports, numbers, names of types.

use super::services;
use crate::packet::addr::{self, Family};
use crate::packet::{IntervalSet, Value, proto};
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{char, digit1, hex_digit1};
use nom::combinator::{all_consuming, map, map_opt, opt, rest, verify};
use nom::multi::separated_list1;
use nom::sequence::{pair, preceded, separated_pair};
use nom::{IResult, Parser};
use std::net::Ipv6Addr;

/// What is wrong with a value: a clause.
pub(super) type Read<T> = Result<T, String>;

/// The number of a protocol; 0 = every protocol.
pub(super) fn protocol(text: &[u8]) -> Option<u8> {
    match text {
        b"tcp" => Some(proto::TCP),
        b"udp" => Some(proto::UDP),
        b"icmp" => Some(proto::ICMP),
        b"all" | b"ALL" | b"any" => Some(0),
        _ => number(text)
            .map_or_else(|| std::str::from_utf8(text).ok().and_then(proto::parse), |n| u8::try_from(n).ok()),
    }
}

/// Addresses of `-s` and the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// IPv4, from–to.
    V4(u32, u32),
    /// IPv6, or what a mask with few gaps selects.
    Set(IntervalSet),
    /// A mask with so many gaps that the set is too long to write down: the bits that are looked at, and what they must be.
    Masked { mask: Value, value: Value },
    /// A host name.
    Host(String),
}

// A mask with gaps selects 2^(zeros above its last one) intervals; up to this power they are written down.
const MAX_GAPS: u32 = 10;

/// An address with an optional mask, as a length or as an address.
#[inline]
pub(super) fn address(text: &[u8], v6: bool) -> Read<Address> {
    if v6 {
        return address_v6(text);
    }
    match dotted_prefix(text) {
        Some(a) => Ok(a),
        None => address_v4(text),
    }
}

#[inline]
fn dotted_prefix(text: &[u8]) -> Option<Address> {
    let (ip, at) = dotted(text)?;
    if at == text.len() {
        return Some(Address::V4(ip, ip));
    }
    if text[at] != b'/' {
        return None;
    }
    let len = number(&text[at + 1..]).filter(|l| *l <= 32)?;
    let mask = prefix_mask(len as u32);
    Some(Address::V4(ip & mask, ip | !mask))
}

/// The mask of a prefix of so many bits, 32 at most.
pub(super) fn prefix_mask(len: u32) -> u32 {
    u32::MAX.checked_shl(32 - len).unwrap_or(0)
}

// Four decimal numbers, and where they end.
#[inline]
fn dotted(text: &[u8]) -> Option<(u32, usize)> {
    let (mut ip, mut part, mut digits, mut dots) = (0u32, 0u32, 0, 0);
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b @ b'0'..=b'9' if digits < 3 => {
                part = part * 10 + u32::from(b - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && dots < 3 && part < 256 => {
                ip = ip << 8 | part;
                (part, digits) = (0, 0);
                dots += 1;
            }
            _ => break,
        }
        at += 1;
    }
    (dots == 3 && digits > 0 && part < 256).then_some((ip << 8 | part, at))
}

fn address_v4(text: &[u8]) -> Read<Address> {
    let (ip, mask) = split(text, b'/');
    let mask = match mask {
        None => u32::MAX,
        Some(m) => match number(m) {
            Some(n) if n <= 32 => prefix_mask(n as u32),
            Some(n) => return Err(format!("`/{n}` is longer than 32")),
            None => dotted(m)
                .filter(|d| d.1 == m.len())
                .map(|d| d.0)
                .ok_or_else(|| format!("`{}` is no network mask", String::from_utf8_lossy(m)))?,
        },
    };
    let Some(ip) = short_v4(ip) else {
        return host(ip);
    };
    let ip = ip & mask;
    let holes = !mask;
    if holes & holes.wrapping_add(1) == 0 {
        return Ok(Address::V4(ip, ip | holes));
    }
    let low = mask.trailing_zeros();
    let gaps: Vec<u32> = (low..32).filter(|b| mask & 1 << b == 0).collect();
    if gaps.len() as u32 > MAX_GAPS {
        return Ok(Address::Masked { mask: mask.into(), value: ip.into() });
    }
    let below = (1u32 << low) - 1;
    let ranges = (0..1u32 << gaps.len()).map(|n| {
        let bits = gaps.iter().enumerate().filter(|(i, _)| n & 1 << i != 0).fold(0, |b, (_, g)| b | 1 << g);
        (addr::v4(ip | bits), addr::v4(ip | bits | below))
    });
    Ok(Address::Set(IntervalSet::from_ranges(ranges)))
}

// `10.1` is 10.1.0.0: missing parts are zero (iptables 1.8.9, `xtables_numeric_to_ipaddr` and `xtables_ipparse_multiple`).
fn short_v4(text: &[u8]) -> Option<u32> {
    let mut ip = 0;
    let mut parts = 0;
    for part in text.split(|b| *b == b'.') {
        let n = number(part).filter(|n| *n < 256)?;
        parts += 1;
        if parts > 4 {
            return None;
        }
        ip = ip << 8 | n as u32;
    }
    Some(ip << (8 * (4 - parts)))
}

pub(super) fn address_v6(text: &[u8]) -> Read<Address> {
    let (ip, mask) = split(text, b'/');
    let mask = match mask {
        None => u128::MAX,
        Some(m) => match number(m) {
            Some(n) if n <= 128 => u128::MAX.checked_shl(128 - n as u32).unwrap_or(0),
            Some(n) => return Err(format!("`/{n}` is longer than 128")),
            None => {
                v6_number(m).ok_or_else(|| format!("`{}` is no network mask", String::from_utf8_lossy(m)))?
            }
        },
    };
    let Some(ip) = v6_number(ip) else {
        return host(ip);
    };
    let ip = ip & mask;
    let holes = !mask;
    if holes & holes.wrapping_add(1) == 0 {
        return Ok(Address::Set(within(Family::V6, ip, ip | holes)));
    }
    let low = mask.trailing_zeros();
    let gaps: Vec<u32> = (low..128).filter(|b| mask & 1 << b == 0).collect();
    if gaps.len() as u32 > MAX_GAPS {
        return Ok(Address::Masked { mask, value: ip });
    }
    let below = (1u128 << low) - 1;
    let ranges = (0..1u32 << gaps.len()).map(|n| {
        let bits =
            gaps.iter().enumerate().filter(|(i, _)| n & 1 << i != 0).fold(0u128, |b, (_, g)| b | 1 << g);
        (ip | bits, ip | bits | below)
    });
    Ok(Address::Set(IntervalSet::from_ranges(ranges).intersect(&Family::V6.all())))
}

/// The length of a mask that is written as a length or as an address without gaps.
pub(super) fn mask_length(mask: &str, v6: bool) -> Option<u32> {
    let ones = |bits: u128, width: u32| {
        let length = (bits << (128 - width)).leading_ones();
        (length == bits.count_ones()).then_some(length)
    };
    match number(mask.as_bytes()) {
        Some(n) => u32::try_from(n).ok(),
        None if v6 => v6_number(mask.as_bytes()).and_then(|m| ones(m, 128)),
        None => short_v4(mask.as_bytes()).and_then(|m| ones(m.into(), 32)),
    }
}

/// From–to within a family: the block where IPv4 stands is no part of IPv6.
fn within(family: Family, lo: Value, hi: Value) -> IntervalSet {
    let whole = IntervalSet::range(lo, hi);
    if family == Family::V6 && whole.intersects(&Family::V4.all()) {
        return whole.minus(&Family::V4.all());
    }
    whole
}

fn v6_number(text: &[u8]) -> Option<u128> {
    std::str::from_utf8(text).ok()?.parse::<Ipv6Addr>().ok().map(Ipv6Addr::to_bits)
}

fn host(text: &[u8]) -> Read<Address> {
    let name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let letters = text.iter().any(u8::is_ascii_alphabetic);
    if letters && text.iter().all(name) {
        return Ok(Address::Host(String::from_utf8_lossy(text).to_ascii_lowercase()));
    }
    Err(format!("`{}` is neither an address of this family nor a host name", String::from_utf8_lossy(text)))
}

fn split(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(at, text) {
        Some(i) => (&text[..i], Some(&text[i + 1..])),
        None => (text, None),
    }
}

/// One address of a family as a value.
pub(super) fn single(text: &[u8], v6: bool) -> Option<Value> {
    if v6 { v6_number(text) } else { short_v4(text).map(addr::v4) }
}

/// `FROM[-TO]` of iprange, and of translations; may be reversed.
pub(super) fn address_range(text: &[u8], v6: bool) -> Read<(Value, Value)> {
    let (lo, hi) = split(text, b'-');
    let read = |t: &[u8]| {
        single(t, v6).ok_or_else(|| format!("`{}` is no address of this family", String::from_utf8_lossy(t)))
    };
    let lo = read(lo)?;
    Ok((lo, hi.map_or(Ok(lo), read)?))
}

/// A decimal number without a sign, at most 19 digits.
#[inline]
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    text.iter().try_fold(0u64, |n, b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))
}

type Input<'a> = &'a str;

// A number as `strtoul` reads it with base 0: `0x…` hexadecimal, `0…` octal.
fn any_number(i: Input<'_>) -> IResult<Input<'_>, u64> {
    alt((
        map_opt(preceded(alt((tag("0x"), tag("0X"))), hex_digit1), |d| u64::from_str_radix(d, 16).ok()),
        map_opt(preceded(char('0'), digit1), |d| u64::from_str_radix(d, 8).ok()),
        map_opt(digit1, |d: Input<'_>| d.parse().ok()),
    ))
    .parse(i)
}

fn word32(i: Input<'_>) -> IResult<Input<'_>, u32> {
    map_opt(any_number, |n| u32::try_from(n).ok()).parse(i)
}

fn whole<'a, T>(
    text: &'a [u8],
    parser: impl Parser<Input<'a>, Output = T, Error = nom::error::Error<Input<'a>>>,
) -> Option<T> {
    let text = std::str::from_utf8(text).ok()?;
    all_consuming(parser).parse(text).ok().map(|(_, t)| t)
}

/// `VALUE[/MASK]` of marks; the mask is `None` where it is not written.
pub(super) fn mark(text: &[u8]) -> Read<(u32, Option<u32>)> {
    whole(text, pair(word32, opt(preceded(char('/'), word32))))
        .ok_or_else(|| format!("`{}` is no `VALUE[/MASK]` of 32 bits", String::from_utf8_lossy(text)))
}

/// A number up to `max`, in any base.
pub(super) fn bounded(text: &[u8], max: u64) -> Read<u64> {
    whole(text, verify(any_number, |n| *n <= max))
        .ok_or_else(|| format!("`{}` is no number from 0 to {max}", String::from_utf8_lossy(text)))
}

fn port(i: Input<'_>) -> IResult<Input<'_>, u16> {
    let name = |c: char| !matches!(c, ':' | ',' | '/');
    map_opt(take_while1(name), |p: Input<'_>| match p.as_bytes()[0] {
        b'0'..=b'9' => {
            any_number(p).ok().filter(|(r, _)| r.is_empty()).and_then(|(_, n)| u16::try_from(n).ok())
        }
        _ => services::port(p),
    })
    .parse(i)
}

fn port_range(i: Input<'_>) -> IResult<Input<'_>, (u16, u16)> {
    alt((
        separated_pair(
            map(opt(port), |p| p.unwrap_or(0)),
            char(':'),
            map(opt(port), |p| p.unwrap_or(u16::MAX)),
        ),
        map(port, |p| (p, p)),
    ))
    .parse(i)
}

fn no_ports(text: &[u8], what: &str) -> String {
    format!("`{}` is no {what}: numbers from 0 to 65535 or names of services", String::from_utf8_lossy(text))
}

/// A port or range of ports: `22`, `1024:`, `:53`, `http`. May be reversed.
#[inline]
pub(super) fn ports(text: &[u8]) -> Read<(u16, u16)> {
    if text.first().is_some_and(|b| *b != b'0')
        && let Some(n) = number(text)
        && let Ok(p) = u16::try_from(n)
    {
        return Ok((p, p));
    }
    whole(text, port_range).ok_or_else(|| no_ports(text, "port or range of ports"))
}

/// A list of ports and ranges: `22,80,1024:2047`. Ranges may be reversed.
pub(super) fn port_list(text: &[u8]) -> Read<Vec<(u16, u16)>> {
    whole(text, separated_list1(char(','), port_range)).ok_or_else(|| no_ports(text, "list of ports"))
}

/// `PORT[-PORT]` of translations.
pub(super) fn translated_ports(text: &[u8]) -> Read<(u16, u16)> {
    let number = |i| map_opt(any_number, |n| u16::try_from(n).ok()).parse(i);
    let range = alt((separated_pair(number, char('-'), number), map(number, |p| (p, p))));
    if let Some(found) = whole(text, range) {
        return Ok(found);
    }
    whole(text, map_opt(rest, services::port))
        .map(|p| (p, p))
        .ok_or_else(|| no_ports(text, "port or range of ports"))
}

/// Six hexadecimal bytes.
pub(super) fn hardware_address(text: &[u8]) -> Option<Value> {
    std::str::from_utf8(text).ok().filter(|t| t.contains(':')).and_then(crate::packet::parse_mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let v4 = |t: &str| address(t.as_bytes(), false).unwrap();
        assert_eq!(v4("10.1"), Address::V4(0x0a01_0000, 0x0a01_0000));
        assert_eq!(v4("10.1.2.3/8"), Address::V4(0x0a00_0000, 0x0aff_ffff));
        assert_eq!(v4("10.1.2.3/255.255.0.0"), Address::V4(0x0a01_0000, 0x0a01_ffff));
        assert_eq!(v4("0.0.0.0/0"), Address::V4(0, u32::MAX));
        assert_eq!(v4("Api.example"), Address::Host("api.example".to_owned()));
        assert_eq!(v4("10.0.0.1/1.2.3.4"), Address::Masked { mask: 0x0102_0304, value: 0x0000_0000 });
        let Address::Set(gaps) = v4("10.0.0.1/255.254.255.0") else { panic!("a mask with one gap") };
        assert_eq!(addr::display(&gaps), ["10.0.0.0/24", "10.1.0.0/24"]);
        for bad in ["10.0.0.256", "10.0.0.0/33", "10.0.0.0/", "", "::1", "10.0.0.0/8/8"] {
            assert!(address(bad.as_bytes(), false).is_err(), "{bad}");
        }
        let Address::Set(all) = address(b"::/0", true).unwrap() else { panic!("a set") };
        assert_eq!(all, Family::V6.all());
        assert!(address(b"10.0.0.1", true).is_err());
    }

    #[test]
    fn port_values() {
        assert_eq!(ports(b":53"), Ok((0, 53)));
        assert_eq!(ports(b"1024:"), Ok((1024, 65535)));
        assert_eq!(ports(b"https"), Ok((443, 443)));
        assert_eq!(ports(b"ftp-data:ftp"), Ok((20, 21)));
        assert_eq!(ports(b":"), Ok((0, 65535)));
        assert_eq!(port_list(b"22,ssh,10:20"), Ok(vec![(22, 22), (22, 22), (10, 20)]));
        for bad in ["65536", "", "22,", "a b", "1:2:3", "-1"] {
            assert!(ports(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(translated_ports(b"1-65535"), Ok((1, 65535)));
    }

    #[test]
    fn numbers_in_any_base() {
        assert_eq!(mark(b"0x10/0xff"), Ok((16, Some(255))));
        assert_eq!(mark(b"010"), Ok((8, None)));
        assert!(mark(b"0x100000000").is_err());
        assert_eq!(bounded(b"0x3f", 63), Ok(63));
    }
}
