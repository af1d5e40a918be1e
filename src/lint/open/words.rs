//! Openings in words.

use super::facing::Facing;
use super::sources::wide;
use super::{Opening, destinations};
use crate::analysis::flow::{interfaces, numbers};
use crate::evidence::near::few;
use crate::lint::reach::Reach;
use crate::packet::{Family, Field, IntervalSet, Path, addr, proto};

impl Opening {
    /// Who gets in.
    pub fn who(&self) -> String {
        match (self.from_all, self.facing) {
            (false, _) if self.region.get(Field::Src).count() > wide(self.family()) => {
                format!("many public addresses ({})", few(&self.from()))
            }
            (false, _) => format!("{}, and by other rules many more public addresses,", few(&self.from())),
            (true, Facing::Internet) => "the Internet".to_owned(),
            (true, _) => "any address".to_owned(),
        }
    }

    /// Sources, as reports have them: `any`, or public networks.
    pub fn from(&self) -> Vec<String> {
        match self.from_all {
            true => vec!["any".to_owned()],
            false => addr::display(self.region.get(Field::Src)),
        }
    }

    /// Interfaces by which the packets come; empty = any.
    pub fn interfaces(&self) -> Vec<String> {
        let mut names = interfaces(self.region.get(Field::Iif));
        names.retain(|n| !["!lo", "!lo0"].contains(&n.as_str()));
        if names == ["*"] { Vec::new() } else { names }
    }

    /// Destinations as the packets arrive; empty = any.
    pub fn to(&self) -> Vec<String> {
        named(self.region.get(Field::Dst), self.family())
    }

    /// What is reached in the end, as services.
    pub fn reach(&self) -> Reach {
        let inner = self.inner.as_ref().map_or(self.region.get(Field::Dport), |i| &i.ports);
        Reach::of_region(&self.region.with(Field::Dport, inner.clone()), self.family())
    }

    /// Where it leads: ` at 10.0.0.5, published as tcp/2222 of 203.0.113.2`; empty = the machine itself.
    pub fn place(&self) -> String {
        let to = addresses(self.region.get(Field::Dst), self.family());
        let Some(inner) = &self.inner else {
            return match (to.is_empty(), self.path) {
                (true, Path::Forward) => " of whatever it forwards to".to_owned(),
                (true, _) => String::new(),
                (false, _) => format!(" at {to}"),
            };
        };
        let inner_to = addresses(&inner.to, self.family());
        let at = if inner_to.is_empty() { String::new() } else { format!(" at {inner_to}") };
        let of = if to.is_empty() { String::new() } else { format!(" of {to}") };
        match self.outer_ports() {
            ports if ports.is_empty() => format!("{at}, published{of}"),
            ports => format!("{at}, published as {}{of}", few(&ports)),
        }
    }

    /// The ports that a translation publishes: `tcp/2222`.
    pub fn outer_ports(&self) -> Vec<String> {
        let of = |p: u8| self.region.get(Field::Proto).contains(p.into());
        let ports = numbers(self.region.get(Field::Dport));
        let names = [proto::TCP, proto::UDP].into_iter().filter(|p| of(*p)).map(proto::name);
        names.flat_map(|n| ports.iter().map(move |p| format!("{n}/{p}"))).collect()
    }

    /// By which interfaces: ` by eth0`, ` by any interface but docker0`; empty = by any.
    pub fn by(&self) -> String {
        let names = self.interfaces();
        let gone: Vec<String> = names.iter().filter_map(|n| n.strip_prefix('!')).map(str::to_owned).collect();
        match names.as_slice() {
            [] => String::new(),
            [all, ..] if all == "*" => format!(" by any interface but {}", few(&gone)),
            _ => format!(" by {}", few(&names)),
        }
    }

    /// The source ports, where not every one gets in.
    pub fn from_ports(&self) -> Option<String> {
        let ports = self.region.get(Field::Sport);
        (*ports != Field::Sport.all()).then(|| few(&numbers(ports)))
    }
}

/// Addresses that are named one by one.
const MAX_NAMED: usize = 8;

// Addresses in words: a few of them, or, of many single ones, how many there are in which network. Empty as of `named`.
fn addresses(set: &IntervalSet, family: Family) -> String {
    let all = named(set, family);
    let single = set.ranges().iter().all(|(lo, hi)| hi - lo < 8);
    match network(set, family).filter(|_| single && all.len() > MAX_NAMED) {
        Some(network) => format!("{} addresses of {network}", set.count()),
        None => few(&all),
    }
}

// The smallest network that holds some addresses, unless it is wider than any site's.
fn network(set: &IntervalSet, family: Family) -> Option<String> {
    let (lo, hi) = (set.first()?, set.last()?);
    let bits = 128 - (lo ^ hi).leading_zeros();
    let widest = if family == Family::V4 { 24 } else { 96 };
    let hosts = (1u128 << bits.min(widest)) - 1;
    let network = IntervalSet::range(lo & !hosts, lo | hosts);
    (bits <= widest).then(|| addr::display(&network).join(", "))
}

// Addresses that are named; empty = any destination, or nearly any: those that other rules take are few.
fn named(set: &IntervalSet, family: Family) -> Vec<String> {
    let many = set.count() > destinations(family).count() / 2;
    if many { Vec::new() } else { addr::display(set) }
}
