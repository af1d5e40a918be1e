//! `cidrsubnet` and its sisters.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

// Network, length and width of a prefix.
fn parse(prefix: &str) -> Option<(u128, u32, u32)> {
    let net: IpNet = prefix.trim().parse().ok()?;
    Some(match net.network() {
        IpAddr::V4(a) => (u128::from(u32::from(a)), net.prefix_len().into(), 32),
        IpAddr::V6(a) => (u128::from(a), net.prefix_len().into(), 128),
    })
}

fn address(value: u128, width: u32) -> Option<IpAddr> {
    match width {
        32 => u32::try_from(value).ok().map(|v| Ipv4Addr::from(v).into()),
        _ => Some(Ipv6Addr::from(value).into()),
    }
}

/// Subnet number `number` of those with `bits` more bits.
pub fn subnet(prefix: &str, bits: i64, number: i64) -> Option<String> {
    let (base, length, width) = parse(prefix)?;
    let (bits, number) = (u32::try_from(bits).ok()?, u128::try_from(number).ok()?);
    let new = length.checked_add(bits).filter(|n| *n <= width)?;
    if bits < 128 && number >> bits != 0 {
        return None;
    }
    let shifted = if width == new { number } else { number.checked_shl(width - new)? };
    Some(format!("{}/{new}", address(base | shifted, width)?))
}

/// Subnets one after the other, each with as many more bits.
pub fn subnets(prefix: &str, bits: &[i64]) -> Option<Vec<String>> {
    let (base, length, width) = parse(prefix)?;
    let end = if length == 0 { None } else { Some(base.checked_add(1u128.checked_shl(width - length)?)?) };
    let mut next = base;
    let mut out = Vec::new();
    for b in bits {
        let new = length.checked_add(u32::try_from(*b).ok()?).filter(|n| *n <= width)?;
        let size = 1u128.checked_shl(width - new)?;
        let start = next.checked_add(size - 1)? & !(size - 1);
        let after = start.checked_add(size)?;
        if end.is_some_and(|e| after > e) {
            return None;
        }
        out.push(format!("{}/{new}", address(start, width)?));
        next = after;
    }
    Some(out)
}

/// Address number `number`; from the end if it is negative.
pub fn host(prefix: &str, number: i64) -> Option<String> {
    let (base, length, width) = parse(prefix)?;
    let free = width - length;
    let size = 1u128.checked_shl(free);
    let offset = match u128::try_from(number) {
        Ok(n) => n,
        Err(_) => size?.checked_sub(u128::from(number.unsigned_abs()))?,
    };
    if size.is_some_and(|s| offset >= s) {
        return None;
    }
    address(base | offset, width).map(|a| a.to_string())
}

/// The mask of an IPv4 prefix.
pub fn mask(prefix: &str) -> Option<String> {
    match prefix.trim().parse::<IpNet>().ok()? {
        IpNet::V4(n) => Some(n.netmask().to_string()),
        IpNet::V6(_) => None,
    }
}
