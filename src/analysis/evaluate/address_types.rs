//! Types of addresses, as far as they are known without a routing table.

use crate::model::{AddressTypes, Hook};
use crate::packet::masked::split;
use crate::packet::{Family, Field, IntervalSet, Path, Value, addr};

/// What routing has said of the address that a rule asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::analysis) enum Routed {
    /// The packet is for this box.
    Here,
    /// The packet goes on.
    Onwards,
    /// Nothing.
    Open,
}

impl Routed {
    /// Of a field at a hook on a path. `arrived`: the field is as it was when the packet came.
    pub(in crate::analysis) fn of(field: Field, hook: Hook, path: Path, arrived: bool) -> Self {
        match (field, path, hook) {
            (Field::Dst, Path::Input, Hook::Input) => Routed::Here,
            (Field::Dst, Path::Input, _) if arrived => Routed::Here,
            (Field::Dst, Path::Forward, Hook::Forward | Hook::Postrouting) => Routed::Onwards,
            _ => Routed::Open,
        }
    }
}

/// Addresses that may be of the same types.
#[derive(Debug, Clone)]
pub(in crate::analysis) struct Class {
    pub set: IntervalSet,
    types: u8,
    /// Only addresses with these bits, mask and value, may be of all the types; the others are the box's own.
    doubt: Option<(Value, Value)>,
}

// Intervals that one test of a field's bits may make of a set.
pub(in crate::analysis) const MAX_INTERVALS: usize = 1024;

impl Class {
    /// The types that addresses of a set within the class may have.
    pub(in crate::analysis) fn types(&self, within: IntervalSet) -> Vec<(IntervalSet, u8)> {
        let Some((mask, value)) = self.doubt else { return vec![(within, self.types)] };
        let parts = split(&within, mask, value, MAX_INTERVALS);
        let open = parts.holds.union(&parts.rest);
        let parts = [(parts.fails, AddressTypes::LOCAL.0), (open, self.types)];
        parts.into_iter().filter(|(set, _)| !set.is_empty()).collect()
    }
}

/// All addresses, by the types that they may have, in disjoint classes.
///
/// Multicast is known from the address; local needs the box's addresses (loopback is always local); broadcast is known for 255.255.255.255
/// and 0.0.0.0/8 (`inet_addr_type`); the rest is unicast unless the routing table says otherwise (ip-route(8)). What routing delivered to
/// this box is one of its own addresses, or the broadcast address of one of its networks, a /27 or a wider one (its last five bits are
/// set); of IPv6, the anycast address of one of its /64 networks.
pub(in crate::analysis) fn classes(local: Option<&IntervalSet>, routed: Routed) -> Vec<Class> {
    use AddressTypes as T;
    let net = |t: &str| addr::parse(t).unwrap_or_default();
    let fixed = [
        (net("224.0.0.0/4").union(&net("ff00::/8")), T::MULTICAST),
        (net("127.0.0.0/8").union(&net("::1")), T::LOCAL),
        (net("255.255.255.255").union(&net("0.0.0.0/8")), T::BROADCAST),
        (net("::"), T::OTHER),
    ];
    let mut left = IntervalSet::range(0u8, Value::MAX);
    let mut out = Vec::new();
    let own = local.map(|l| (l.clone(), T::LOCAL));
    for (set, types) in fixed.into_iter().chain(own) {
        out.push(Class { set: set.intersect(&left), types: types.0, doubt: None });
        left = left.minus(&set);
    }
    for family in Family::ALL {
        let broadcast = if family == Family::V4 { T::BROADCAST } else { T::default() };
        let foreign = T::UNICAST.with(T::OTHER).with(broadcast);
        let (types, doubt) = match (local, routed, family) {
            (Some(_), ..) | (_, Routed::Onwards, _) => (foreign, None),
            (_, Routed::Here, Family::V4) => (T::LOCAL.with(T::BROADCAST), Some((0x1f, 0x1f))),
            (_, Routed::Here, Family::V6) => (T::LOCAL.with(T::OTHER), Some((Value::from(u64::MAX), 0))),
            _ => (foreign.with(T::LOCAL), None),
        };
        out.push(Class { set: left.intersect(&family.all()), types: types.0, doubt });
    }
    out
}

/// The types that some address of a set may have.
pub(in crate::analysis) fn types_of(classes: &[Class], set: &IntervalSet) -> u8 {
    let within = classes.iter().map(|c| (c, c.set.intersect(set))).filter(|(_, s)| !s.is_empty());
    within.flat_map(|(c, s)| c.types(s)).fold(0, |all, (_, types)| all | types)
}

/// Whether an address is of the types wanted, as far as that follows from those that it may have.
pub(in crate::analysis) fn is_of(may_be: u8, wanted: u8) -> Option<bool> {
    match (may_be & !wanted, may_be & wanted) {
        (_, 0) => Some(false),
        (0, _) => Some(true),
        _ => None,
    }
}

/// The types that are left, if the address is (or is not) of some types.
pub(in crate::analysis) fn narrowed(may_be: u8, types: u8, is: bool) -> u8 {
    if is { may_be & types } else { may_be & !types }
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
