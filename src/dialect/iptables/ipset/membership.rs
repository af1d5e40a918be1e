//! Which packets are in a set.

use super::{Dimension, Element, Part, Set, Sets};
use crate::packet::{Family, Field, IntervalSet, Value, proto};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;

/// A product of sets of values, one for each field.
pub(in super::super) type Product = Vec<(Field, IntervalSet)>;

/// What is known of a membership: the packets that are certainly in the set, as a union of products, and why others may be in it too.
#[derive(Debug, Default, Clone)]
pub(in super::super) struct Membership {
    pub certain: Vec<Product>,
    pub doubtful: Option<&'static str>,
}

const MISSING: &str = "the set is not known: name the file with the output of `ipset save` beside the dump";

/// Why packets may be in a set whose elements rules or time change.
pub(in super::super) const CHANGES: &str = "elements of the set come and go";

const SIDE: &str = "the destination's hardware address is not modelled";
const BRIDGE: &str = "elements of the set ask for the port of a bridge";
const MANY: &str = "the set has too many combinations";
const CHANGING: &str = "exceptions of a set that changes are not modelled";

// A set of several dimensions becomes so many products at most.
const MAX_PRODUCTS: usize = 1024;
// So many pairs of elements are held against each other at most.
const MAX_PAIRS: usize = 1 << 18;

/// The packets of a family (`None` = of either) that a set holds; `flags`: one for each dimension, `true` = the source.
pub(in super::super) fn lookup(
    sets: &Sets,
    name: &str,
    flags: &[bool],
    family: Option<Family>,
) -> Membership {
    let Some(set) = sets.get(name) else {
        return unknown(MISSING);
    };
    if !set.is_list() {
        return of(set, flags, family);
    }
    if let Some(why) = set.unknown {
        return unknown(why);
    }
    let mut all = Membership { doubtful: set.grows.then_some(CHANGES), ..Membership::default() };
    for member in &set.members {
        let m = match sets.get(member) {
            Some(set) if !set.is_list() => of(set, flags, family),
            Some(_) => unknown("a list of lists"),
            None => unknown(MISSING),
        };
        all.certain.extend(m.certain);
        all.doubtful = all.doubtful.or(m.doubtful);
    }
    all
}

fn unknown(why: &'static str) -> Membership {
    Membership { certain: Vec::new(), doubtful: Some(why) }
}

fn of(set: &Set, flags: &[bool], family: Option<Family>) -> Membership {
    if let Some(why) = set.unknown {
        return unknown(why);
    }
    // With fewer directions than dimensions, and for the other family, nothing is ever found (ip_set_core.c, `ip_set_test`).
    let foreign = set.family.zip(family).is_some_and(|(of, asked)| of != asked);
    if flags.len() < set.dimensions.len() || foreign {
        return Membership::default();
    }
    let doubtful = match () {
        () if set.grows || set.elements().any(|e| e.traits.passing) => Some(CHANGES),
        () if set.elements().any(|e| e.traits.physdev) => Some(BRIDGE),
        () => None,
    };
    match products(set, flags) {
        Ok(certain) => Membership { certain, doubtful },
        Err(why) => unknown(why),
    }
}

// What decides where elements overlap:
//
// * `hash:net,iface`: the most specific network that holds the address; its interfaces alone are looked at (ip_set_hash_netiface.c, `multi`).
// * Other sets of networks: the most specific element that fits the packet, of which the first network goes before the second
//   (ip_set_hash_gen.h, `mtype_test_cidrs`). Without exceptions (`nomatch`) each that fits says the same.
fn products(set: &Set, flags: &[bool]) -> Result<Vec<Product>, &'static str> {
    let special = |e: &Element<'_>| e.traits.nomatch || e.traits.physdev || e.traits.passing;
    if set.dimensions == [Dimension::Net, Dimension::Iface] {
        if set.elements().any(|e| e.traits.physdev || e.traits.passing) && nested(set) {
            return Err(if set.grows { CHANGING } else { BRIDGE });
        }
        return by_network(set, flags);
    }
    if !set.elements().any(|e| e.traits.nomatch) {
        return grouped(set, flags, set.elements().filter(|e| !special(e)));
    }
    if set.grows || set.elements().any(|e| e.traits.passing) {
        return Err(CHANGING);
    }
    if set.dimensions == [Dimension::Net] {
        return Ok(innermost_matches(set, flags));
    }
    with_exceptions(set, flags)
}

type Span = (Value, Value);

fn span(part: &Part) -> Span {
    match *part {
        Part::Values(lo, hi) => (lo, hi),
        Part::Port(..) => (0, 0),
    }
}

// Whether one network of the first dimension lies within another.
fn nested(set: &Set) -> bool {
    let mut spans: Vec<Span> = set.elements().map(|e| span(&e.parts[0])).collect();
    spans.sort_unstable_by_key(|(lo, hi)| (*lo, Reverse(*hi)));
    spans.dedup();
    spans.windows(2).any(|w| w[1].0 <= w[0].1)
}

// For each of some different prefixes, sorted by their beginnings and the wider one first: the addresses of which it is the most specific one.
fn innermost(prefixes: &[Span]) -> Vec<Vec<Span>> {
    let mut out = vec![Vec::new(); prefixes.len()];
    let mut open: Vec<usize> = Vec::new();
    // The first address that belongs to nobody yet; `None` behind the last one.
    let mut at: Option<Value> = Some(0);
    let mut close = |owner: usize, at: &mut Option<Value>, end: Value| {
        if let Some(from) = *at
            && from <= end
        {
            out[owner].push((from, end));
            *at = end.checked_add(1);
        }
    };
    for (n, (lo, _)) in prefixes.iter().enumerate() {
        while let Some(top) = open.last().copied().filter(|top| prefixes[*top].1 < *lo) {
            close(top, &mut at, prefixes[top].1);
            open.pop();
        }
        if let (Some(top), Some(before)) = (open.last(), lo.checked_sub(1)) {
            close(*top, &mut at, before);
        }
        at = at.map(|a| a.max(*lo));
        open.push(n);
    }
    while let Some(top) = open.pop() {
        close(top, &mut at, prefixes[top].1);
    }
    out
}

// Addresses of a family: the block where IPv4 stands is no part of IPv6.
fn addresses(set: &Set, spans: impl IntoIterator<Item = Span>) -> IntervalSet {
    let all = IntervalSet::from_ranges(spans);
    match set.family {
        Some(family) => all.intersect(&family.all()),
        None => all,
    }
}

fn innermost_matches(set: &Set, flags: &[bool]) -> Vec<Product> {
    let mut elements: Vec<(Span, bool)> =
        set.elements().map(|e| (span(&e.parts[0]), e.traits.nomatch)).collect();
    elements.sort_unstable_by_key(|((lo, hi), _)| (*lo, Reverse(*hi)));
    let prefixes: Vec<Span> = elements.iter().map(|e| e.0).collect();
    let owned = innermost(&prefixes).into_iter().zip(&elements).filter(|(_, e)| !e.1);
    let held = addresses(set, owned.flat_map(|(spans, _)| spans));
    vec![vec![(side(flags[0], Field::Src, Field::Dst), held)]]
}

const fn side(src: bool, s: Field, d: Field) -> Field {
    if src { s } else { d }
}

fn by_network(set: &Set, flags: &[bool]) -> Result<Vec<Product>, &'static str> {
    // By network: the interfaces that match, and those that do not.
    let mut networks: FxHashMap<Span, [Vec<Span>; 2]> = FxHashMap::default();
    for e in set.elements().filter(|e| !e.traits.physdev && !e.traits.passing) {
        networks.entry(span(&e.parts[0])).or_default()[usize::from(e.traits.nomatch)].push(span(&e.parts[1]));
    }
    let mut networks: Vec<_> = networks.into_iter().collect();
    networks.sort_unstable_by_key(|((lo, hi), _)| (*lo, Reverse(*hi)));
    let prefixes: Vec<Span> = networks.iter().map(|n| n.0).collect();
    let mut by_interfaces: FxHashMap<Vec<Span>, (IntervalSet, Vec<Span>)> = FxHashMap::default();
    let mut order = Vec::new();
    for ((_, [yes, no]), own) in networks.into_iter().zip(innermost(&prefixes)) {
        let (yes, no) = (IntervalSet::from_ranges(yes), IntervalSet::from_ranges(no));
        if yes.intersects(&no) {
            return Err("a name and a wildcard of one network contradict each other");
        }
        let key = yes.ranges().to_vec();
        let entry = by_interfaces.entry(key.clone()).or_insert_with(|| {
            order.push(key);
            (yes, Vec::new())
        });
        entry.1.extend(own);
    }
    if order.len() > MAX_PRODUCTS {
        return Err(MANY);
    }
    let product = |key: Vec<Span>| {
        let (interfaces, own) = by_interfaces.remove(&key)?;
        let mut product = vec![(side(flags[0], Field::Src, Field::Dst), addresses(set, own))];
        meet(&mut product, side(flags[1], Field::Iif, Field::Oif), interfaces);
        Some(product)
    };
    Ok(order.into_iter().filter_map(product).filter(|p| p.iter().all(|f| !f.1.is_empty())).collect())
}

// Each element that matches, without those that are looked at before it and do not.
fn with_exceptions(set: &Set, flags: &[bool]) -> Result<Vec<Product>, &'static str> {
    let specific = |e: &Element<'_>| -> Vec<Value> {
        let nets = set.dimensions.iter().zip(e.parts).filter(|(d, _)| **d == Dimension::Net);
        nets.map(|(_, p)| span(p).1 - span(p).0).collect()
    };
    let mut exceptions = Vec::new();
    for e in set.elements().filter(|e| e.traits.nomatch) {
        exceptions.push((specific(&e), product(set, flags, e.parts)?));
    }
    let matching: Vec<Element<'_>> = set.elements().filter(|e| !e.traits.nomatch).collect();
    if matching.len().saturating_mul(exceptions.len()) > MAX_PAIRS {
        return Err(MANY);
    }
    let mut out: Vec<Product> = Vec::new();
    for e in matching {
        let own = specific(&e);
        let mut left = vec![product(set, flags, e.parts)?];
        for (_, exception) in exceptions.iter().filter(|(at, _)| *at < own) {
            left = left.into_iter().flat_map(|p| minus(p, exception)).collect();
        }
        for p in left {
            push_joined(&mut out, p);
        }
        if out.len() > MAX_PRODUCTS {
            return Err(MANY);
        }
    }
    Ok(out)
}

fn product(set: &Set, flags: &[bool], parts: &[Part]) -> Result<Product, &'static str> {
    let mut product = Vec::new();
    for ((part, dimension), src) in parts.iter().zip(&set.dimensions).zip(flags) {
        let values = IntervalSet::from_ranges([span(part)]);
        for (field, values) in fields(set, part, values, *dimension, *src).ok_or(SIDE)? {
            meet(&mut product, field, values);
        }
    }
    Ok(product)
}

// What of a product is not in another; disjoint products.
fn minus(product: Product, other: &Product) -> Vec<Product> {
    let at = |p: &Product, field: Field| p.iter().find(|f| f.0 == field).map(|f| f.1.clone());
    let same_fields = other.iter().all(|(f, _)| at(&product, *f).is_some());
    let apart = other.iter().any(|(f, v)| at(&product, *f).is_some_and(|mine| !mine.intersects(v)));
    if apart || !same_fields {
        return vec![product];
    }
    let (mut out, mut rest) = (Vec::new(), product);
    for (field, values) in other {
        let Some(n) = rest.iter().position(|f| f.0 == *field) else { continue };
        let outside = rest[n].1.minus(values);
        if !outside.is_empty() {
            let mut piece = rest.clone();
            piece[n].1 = outside;
            out.push(piece);
        }
        rest[n].1 = rest[n].1.intersect(values);
    }
    out
}

// The fields of a part. A packet has them all, or the product does not hold.
fn fields(set: &Set, part: &Part, values: IntervalSet, dimension: Dimension, src: bool) -> Option<Product> {
    Some(match (*part, dimension) {
        (Part::Values(..), Dimension::Ip | Dimension::Net) => {
            vec![(side(src, Field::Src, Field::Dst), addresses(set, values.ranges().iter().copied()))]
        }
        (Part::Values(..), Dimension::Iface) => vec![(side(src, Field::Iif, Field::Oif), values)],
        (Part::Values(..), Dimension::Mac) if src => vec![(Field::Mac, values)],
        (Part::Port(p, range), _) => {
            let protocols: IntervalSet = match p {
                0 => [proto::TCP, proto::UDP].into_iter().map(u128::from).collect(),
                p => IntervalSet::single(p),
            };
            let mut product = vec![(Field::Proto, protocols)];
            if let Some((lo, hi)) = range {
                let field = match p {
                    proto::ICMP | proto::ICMPV6 => Field::Icmp,
                    _ => side(src, Field::Sport, Field::Dport),
                };
                product.push((field, IntervalSet::range(lo, hi)));
            }
            product
        }
        _ => return None,
    })
}

// The elements as products, those that differ in one dimension of addresses only taken together.
fn grouped<'s>(
    set: &'s Set,
    flags: &[bool],
    elements: impl Iterator<Item = Element<'s>>,
) -> Result<Vec<Product>, &'static str> {
    let address = |d: &Dimension| matches!(d, Dimension::Net | Dimension::Ip | Dimension::Mac);
    let head = set.dimensions.iter().position(|d| *d == Dimension::Net);
    let head = head.or_else(|| set.dimensions.iter().position(address)).unwrap_or(0);
    let mut groups: Vec<(Vec<Part>, Vec<Span>)> = Vec::new();
    let mut index: FxHashMap<Vec<Part>, usize> = FxHashMap::default();
    for e in elements {
        let mut key = e.parts.to_vec();
        if let Part::Values(..) = key[head] {
            key[head] = Part::Values(0, 0);
        }
        let at = *index.entry(key).or_insert_with_key(|key| {
            groups.push((key.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(span(&e.parts[head]));
    }
    let mut out = Vec::new();
    for (parts, spans) in groups {
        let mut product = Vec::new();
        let mut spans = Some(IntervalSet::from_ranges(spans));
        for (n, ((part, dimension), src)) in parts.iter().zip(&set.dimensions).zip(flags).enumerate() {
            let own = spans.take_if(|_| n == head);
            let values = own.unwrap_or_else(|| IntervalSet::from_ranges([span(part)]));
            for (field, values) in fields(set, part, values, *dimension, *src).ok_or(SIDE)? {
                meet(&mut product, field, values);
            }
        }
        push_joined(&mut out, product);
        if out.len() > MAX_PRODUCTS {
            return Err(MANY);
        }
    }
    Ok(out)
}

// Two dimensions may look at one field (`src,src`).
fn meet(product: &mut Product, field: Field, values: IntervalSet) {
    match product.iter_mut().find(|p| p.0 == field) {
        Some(p) => p.1 = p.1.intersect(&values),
        None => product.push((field, values)),
    }
}

// Products that differ in one field only become one: single ports become ranges.
fn push_joined(out: &mut Vec<Product>, product: Product) {
    if let Some(last) = out.last_mut()
        && last.len() == product.len()
        && last.iter().zip(&product).all(|(a, b)| a.0 == b.0)
        && last.iter().zip(&product).filter(|(a, b)| a.1 != b.1).count() <= 1
    {
        for (a, b) in last.iter_mut().zip(&product) {
            a.1 = a.1.union(&b.1);
        }
    } else {
        out.push(product);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_prefix_owns_an_address() {
        let max = Value::MAX;
        let prefixes = [(0, max), (0, 15), (4, 7), (8, 11), (8, 8), (max - 1, max)];
        let owned = innermost(&prefixes);
        assert_eq!(owned[0], [(16, max - 2)]);
        assert_eq!(owned[1], [(0, 3), (12, 15)]);
        assert_eq!(owned[2], [(4, 7)]);
        assert_eq!(owned[3], [(9, 11)]);
        assert_eq!(owned[4], [(8, 8)]);
        assert_eq!(owned[5], [(max - 1, max)]);
        assert_eq!(innermost(&[(5, 6), (9, 9)]), [vec![(5, 6)], vec![(9, 9)]]);
    }
}
