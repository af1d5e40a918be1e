//! Types of addresses, as far as they are known without a routing table.

use crate::model::AddressTypes;
use crate::packet::{Family, IntervalSet, Value, addr};

/// The addresses that are certainly of one of the types, and those that may be (both within all addresses).
///
/// Multicast is known from the address; local needs the box's addresses (loopback is always local); broadcast is known for
/// 255.255.255.255 only; the rest is unicast unless the routing table says otherwise (ip-route(8)).
pub fn address_type_sets(types: AddressTypes, local: Option<&IntervalSet>) -> (IntervalSet, IntervalSet) {
    let all = IntervalSet::range(0u8, Value::MAX);
    let net = |t: &str| addr::parse(t).unwrap_or_default();
    let multicast = net("224.0.0.0/4").union(&net("ff00::/8"));
    let loopback = net("127.0.0.0/8").union(&net("::1"));
    let limited = net("255.255.255.255");
    let unspecified = net("0.0.0.0").union(&net("::"));
    // What is left can be local, unicast, broadcast (IPv4 only) or another type, as routing says.
    let fixed = multicast.union(&loopback).union(&limited).union(&unspecified);
    let rest = all.minus(&fixed);
    let (mut certain, mut possible) = (IntervalSet::EMPTY, IntervalSet::EMPTY);
    let mut add = |sure: IntervalSet, may: IntervalSet| {
        certain = certain.union(&sure);
        possible = possible.union(&may);
    };
    let own = local.map(|l| l.minus(&fixed));
    if types.has(AddressTypes::MULTICAST) {
        add(multicast.clone(), multicast);
    }
    if types.has(AddressTypes::LOCAL) {
        match &own {
            Some(o) => add(loopback.union(o), loopback.union(o)),
            None => add(loopback.clone(), loopback.union(&rest)),
        }
    }
    let foreign = own.as_ref().map_or_else(|| rest.clone(), |o| rest.minus(o));
    let v4 = Family::V4.all();
    if types.has(AddressTypes::BROADCAST) {
        add(limited.clone(), limited.union(&foreign.intersect(&v4)));
    }
    if types.has(AddressTypes::UNICAST) {
        add(IntervalSet::EMPTY, foreign.clone());
    }
    if types.has(AddressTypes::OTHER) {
        add(unspecified.clone(), unspecified.union(&foreign));
    }
    if types.has(AddressTypes::BROADCAST)
        && types.has(AddressTypes::UNICAST)
        && types.has(AddressTypes::OTHER)
    {
        add(foreign.clone(), foreign);
    }
    (certain, possible)
}

pub(super) fn address_type(
    set: &IntervalSet,
    types: AddressTypes,
    local: Option<&IntervalSet>,
) -> Option<bool> {
    let (certain, possible) = address_type_sets(types, local);
    match (certain.covers(set), possible.intersects(set)) {
        (true, _) => Some(true),
        (_, false) => Some(false),
        _ => None,
    }
}

/// The types in words: `local`, `unicast`, ….
pub fn type_names(types: AddressTypes) -> String {
    [
        (AddressTypes::LOCAL, "local"),
        (AddressTypes::UNICAST, "unicast"),
        (AddressTypes::BROADCAST, "broadcast"),
        (AddressTypes::MULTICAST, "multicast"),
        (AddressTypes::OTHER, "other"),
    ]
    .iter()
    .filter(|(t, _)| types.has(*t))
    .map(|(_, n)| *n)
    .collect::<Vec<_>>()
    .join("|")
}
