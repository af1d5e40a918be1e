//! Bits of a field, and raw bytes of a header. nft prints raw bytes as the field that lies there, where it knows the header; both forms mean
//! the same here.

use super::constrain::Wanted;
use super::subject::Subject;
use super::*;
use crate::dialect::nftables::selector::{self, Meaning, Selector};
use crate::model::Term;
use crate::packet::{IntervalSet, Value, addr, proto};
use conjunction::FieldSet;

// More tests of bits than these are not worth a term each.
const MAX_TESTS: usize = 256;

/// A field's place in a header: its words, first bit and number of bits.
type Place = (&'static str, &'static str, u32, u32);

const IPV4: &[Place] = &[("ip", "protocol", 72, 8), ("ip", "saddr", 96, 32), ("ip", "daddr", 128, 32)];
const IPV6: &[Place] = &[("ip6", "nexthdr", 48, 8), ("ip6", "saddr", 64, 128), ("ip6", "daddr", 192, 128)];
const TCP: &[Place] = &[("tcp", "sport", 0, 16), ("tcp", "dport", 16, 16), ("tcp", "flags", 104, 8)];
const PORTS: &[Place] = &[("th", "sport", 0, 16), ("th", "dport", 16, 16)];
const ICMP: &[Place] = &[("icmp", "type", 0, 8), ("icmp", "code", 8, 8)];
const ICMPV6: &[Place] = &[("icmpv6", "type", 0, 8), ("icmpv6", "code", 8, 8)];

/// A test of bits: mask and value.
type Bits = (Value, Value);

fn ones(bits: u32) -> Value {
    if bits >= 128 { Value::MAX } else { (1 << bits) - 1 }
}

/// A set of numbers of so many bits as tests `x & mask == value`, the fewest.
fn prefixes(set: &IntervalSet, width: u32) -> Vec<Bits> {
    let mut out = Vec::new();
    for (lo, hi) in set.ranges() {
        let mut at = *lo;
        loop {
            let mut bits = if at == 0 { width } else { at.trailing_zeros().min(width) };
            while bits > 0 && at.checked_add(ones(bits)).is_none_or(|end| end > *hi) {
                bits -= 1;
            }
            let low = ones(bits);
            out.push((ones(width) & !low, at));
            if out.len() > MAX_TESTS {
                return out;
            }
            match at.checked_add(low) {
                Some(end) if end < *hi => at = end + 1,
                _ => break,
            }
        }
    }
    out
}

/// Values `x` of so many bits with `(x & mask) ^ flip` in the set: tests of which one holds, or, `true`, of which none does. `None` = too many.
fn bit_tests(set: &IntervalSet, width: u32, mask: Value, flip: Value) -> Option<(Vec<Bits>, bool)> {
    let all = IntervalSet::range(0u8, ones(width));
    let set = set.intersect(&all);
    let (inside, outside) = (prefixes(&set, width), prefixes(&all.minus(&set), width));
    let (tests, negated) = if inside.len() <= outside.len() { (inside, false) } else { (outside, true) };
    // What the mask takes away must agree with the value.
    let possible = |(m, v): &Bits| (v ^ flip) & m & !mask == 0;
    let tests: Vec<Bits> =
        tests.into_iter().filter(possible).map(|(m, v)| (m & mask, (v ^ flip) & m & mask)).collect();
    (tests.len() <= MAX_TESTS).then_some((tests, negated))
}

impl<'a> Lower<'a> {
    /// "The bits of an address, masked and flipped, are in the set", whose values are numbers of so many bits; false if that cannot be told.
    pub(super) fn bits_term(
        &mut self,
        conj: &mut Conjunction,
        field: Field,
        (width, shift): (u32, u32),
        (mask, flip): (Value, Value),
        set: &IntervalSet,
    ) -> bool {
        let Some((tests, negated)) = bit_tests(set, width, mask, flip) else { return false };
        let terms: Vec<Term> =
            tests.into_iter().map(|(m, v)| self.b.masked(field, m << shift, v << shift, negated)).collect();
        match (negated, terms.len()) {
            (false, 0) => conj.refuse(),
            (false, 2..) => {
                let any = self.b.any(terms.into_iter().map(|t| vec![t]).collect());
                conj.term(any);
            }
            _ => terms.into_iter().for_each(|t| conj.term(t)),
        }
        true
    }

    /// Raw bytes in which a field of the model lies; false if they mean nothing to it.
    pub(super) fn raw_term(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subject: &Subject<'a>,
        wanted: &Wanted,
    ) -> Parsed<bool> {
        let mut words = subject.selector.text.strip_prefix('@').unwrap_or_default().split(',');
        let (Some(base), Some(offset), Some(bits)) = (words.next(), words.next(), words.next()) else {
            return Ok(false);
        };
        let (Ok(offset), Ok(bits)) = (offset.parse::<u32>(), bits.parse::<u32>()) else { return Ok(false) };
        let (base, places) = (base.to_owned(), self.places(rule, conj, base));
        let end = offset.saturating_add(bits);
        if let Some(place) = places.iter().find(|p| p.2 <= offset && end <= p.2 + p.3) {
            return self.part_term(rule, conj, subject, (*place, offset, bits), wanted);
        }
        // Several fields side by side: each has its part of the value.
        let value = match wanted {
            Wanted::Set(set) if set.count() == 1 && subject.operations.is_empty() => set.first(),
            _ => None,
        };
        let Some(value) = value.filter(|_| bits <= 128) else { return Ok(false) };
        let mut parts: Vec<&Place> = places.iter().filter(|p| offset <= p.2 && p.2 + p.3 <= end).collect();
        parts.sort_by_key(|p| p.2);
        if parts.iter().map(|p| p.3).sum::<u32>() != bits || parts.len() < 2 {
            return Ok(false);
        }
        for p in parts {
            let part = value >> (end - p.2 - p.3) & ones(p.3);
            let one = Subject {
                selector: selector::raw(&base, p.2, p.3),
                operations: Vec::new(),
                strange: None,
                fixed: None,
            };
            self.part_term(rule, conj, &one, (*p, p.2, p.3), &Wanted::Set(IntervalSet::single(part)))?;
        }
        Ok(true)
    }

    // The fields of a header that the packet is known to have.
    fn places(&self, rule: &RuleState, conj: &Conjunction, base: &str) -> &'static [Place] {
        match base {
            "nh" => {
                let only = if let [one] = rule.families { Some(*one) } else { None };
                match conj.family.or(only) {
                    Some(Family::V4) => IPV4,
                    Some(Family::V6) => IPV6,
                    None => &[],
                }
            }
            "th" => {
                let protocols = conj.protocols(&self.b).unwrap_or_default();
                let all = |list: &[u8]| list.iter().map(|p| Value::from(*p)).collect::<IntervalSet>();
                match () {
                    () if protocols.is_empty() => &[],
                    () if all(&[proto::TCP]).covers(&protocols) => TCP,
                    () if all(&[proto::ICMP]).covers(&protocols) => ICMP,
                    () if all(&[proto::ICMPV6]).covers(&protocols) => ICMPV6,
                    () if all(&proto::WITH_PORTS).covers(&protocols) => PORTS,
                    () => &[],
                }
            }
            _ => &[],
        }
    }

    // Bytes that lie within one field.
    fn part_term(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subject: &Subject<'a>,
        ((header, name, start, length), offset, bits): (Place, u32, u32),
        wanted: &Wanted,
    ) -> Parsed<bool> {
        let Some(named) = selector::payload(header, name) else { return Ok(false) };
        let Some(numbers) = self.numbers(&named, bits, wanted) else { return Ok(false) };
        let Some((mask, flip)) = subject.mask_and_flip(ones(bits)) else { return Ok(false) };
        let shift = start + length - offset - bits;
        if let (Meaning::Field(field @ (Field::Src | Field::Dst)), Some(family)) =
            (named.meaning, named.family)
        {
            conj.of_family(family);
            if length == bits && mask == ones(bits) && flip == 0 {
                let first = if family == Family::V4 { addr::v4(0) } else { 0 };
                let ranges = numbers.ranges().iter().map(|(lo, hi)| (first + lo, first + hi));
                conj.field(&self.b, field, FieldSet::Owned(IntervalSet::from_ranges(ranges)));
                return Ok(true);
            }
            return Ok(self.bits_term(conj, field, (bits, shift), (mask, flip), &numbers));
        }
        let values =
            (0..=ones(length)).filter(|x| numbers.contains(((x >> shift & ones(bits)) & mask) ^ flip));
        let whole = Subject { selector: named, operations: Vec::new(), strange: None, fixed: None };
        let values = Wanted::Set(values.collect());
        self.constrain(rule, conj, &whole, values, &|| whole.text())?;
        Ok(true)
    }

    // The wanted values as numbers of so many bits; those of sets of addresses are addresses.
    fn numbers(&self, named: &Selector<'a>, bits: u32, wanted: &Wanted) -> Option<IntervalSet> {
        let all = IntervalSet::range(0u8, ones(bits));
        let stored = |id| {
            let set = self.b.firewall().sets.get(id);
            let first = addr::v4(0);
            match (named.meaning, named.family) {
                (Meaning::Field(Field::Src | Field::Dst), Some(Family::V4)) => IntervalSet::from_ranges(
                    set.ranges().iter().map(|(lo, hi)| match lo.checked_sub(first) {
                        Some(lo) => (lo, hi - first),
                        None => (*lo, *hi),
                    }),
                ),
                _ => set.clone(),
            }
        };
        Some(match wanted {
            Wanted::Set(set) => set.intersect(&all),
            Wanted::Stored(id) => stored(*id).intersect(&all),
            Wanted::NotStored(id) => all.minus(&stored(*id)),
            Wanted::Test(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_of_bits_say_what_sets_say() {
        for (mask, flip) in [(0x0f, 0), (0xf5, 0x05), (0xff, 0x80), (0x00, 0x00), (0xa0, 0x20)] {
            for (lo, hi) in [(0u8, 255u8), (7, 7), (5, 5), (0, 9), (128, 255), (3, 200)] {
                let set = IntervalSet::range(lo, hi);
                let (tests, negated) = bit_tests(&set, 8, mask, flip).unwrap();
                for x in 0..=255u128 {
                    let told = tests.iter().any(|(m, v)| x & m == *v) != negated;
                    assert_eq!(
                        told,
                        set.contains((x & mask) ^ flip),
                        "{x} & {mask:#x} ^ {flip:#x} in {lo}-{hi}"
                    );
                }
            }
        }
    }
}
