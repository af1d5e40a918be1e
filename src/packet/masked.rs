//! Values by some of their bits: `address & 0.0.0.255 == 0.0.0.7`.

use super::{IntervalSet, Value};

/// A set by whether `value & mask == wanted`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    /// Values for which it holds.
    pub holds: IntervalSet,
    /// Values for which it does not.
    pub fails: IntervalSet,
    /// Values that were not looked at: there are too many alternations.
    pub rest: IntervalSet,
}

/// Splits a set by some bits of its values, from the lowest value up, until `limit` intervals have been found.
pub fn split(set: &IntervalSet, mask: Value, wanted: Value, limit: usize) -> Split {
    let low = match mask {
        0 => Value::MAX,
        m => (1 << m.trailing_zeros()) - 1,
    };
    let mut holds: Vec<(Value, Value)> = Vec::new();
    let mut beyond: Option<Value> = None;
    'ranges: for &(lo, hi) in set.ranges() {
        let mut at = lo;
        while let Some(first) = next(at, mask, wanted).filter(|v| *v <= hi) {
            if holds.len() >= limit {
                beyond = Some(first);
                break 'ranges;
            }
            let last = (first | low).min(hi);
            holds.push((first, last));
            if last == hi {
                break;
            }
            at = last + 1;
        }
    }
    let holds = IntervalSet::from_ranges(holds);
    let rest = beyond.map_or(IntervalSet::EMPTY, |v| set.intersect(&IntervalSet::range(v, Value::MAX)));
    Split { fails: set.minus(&holds).minus(&rest), holds, rest }
}

// The lowest value from `x` on that has the wanted bits.
fn next(x: Value, mask: Value, wanted: Value) -> Option<Value> {
    if wanted & !mask != 0 {
        return None;
    }
    let differing = (x & mask) ^ wanted;
    if differing == 0 {
        return Some(x);
    }
    let top = 127 - differing.leading_zeros();
    let below = |bit: u32| (1 << bit) - 1;
    if wanted >> top & 1 == 1 {
        // It is above `x` whatever stands in the free bits below.
        return Some((x & !below(top)) | 1 << top | (wanted & below(top)));
    }
    // A free bit further up has to be raised.
    let free = (top + 1..128).find(|bit| mask >> bit & 1 == 0 && x >> bit & 1 == 0)?;
    Some((x & !below(free)) | 1 << free | (wanted & below(free)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_value_is_where_it_belongs(
            ranges in prop::collection::vec((0u128..400, 0u128..400), 0..5),
            mask in 0u128..512,
            wanted in 0u128..512,
            limit in 0usize..40,
        ) {
            let set = IntervalSet::from_ranges(ranges);
            let s = split(&set, mask, wanted, limit);
            prop_assert_eq!(s.holds.union(&s.fails).union(&s.rest), set.clone());
            for v in set.ranges().iter().flat_map(|(a, b)| *a..=*b) {
                let places = [&s.holds, &s.fails, &s.rest].map(|p| p.contains(v));
                prop_assert_eq!(places.iter().filter(|p| **p).count(), 1);
                if !places[2] {
                    prop_assert_eq!(places[0], v & mask == wanted, "{:#x}", v);
                }
            }
            if limit >= 400 {
                prop_assert!(s.rest.is_empty());
            }
        }
    }

    #[test]
    fn ends_of_the_domain_do_not_overflow() {
        let all = IntervalSet::range(0u8, Value::MAX);
        assert_eq!(split(&all, 0, 0, 1).holds, all);
        let odd = split(&all, 1, 1, 3);
        assert_eq!(odd.holds, [1u128, 3, 5].into_iter().collect());
        let top = split(&IntervalSet::range(Value::MAX - 1, Value::MAX), 1, 1, 9);
        assert_eq!(top.holds, IntervalSet::single(Value::MAX));
        assert!(top.rest.is_empty());
        assert!(split(&all, 1, 2, 9).holds.is_empty());
    }
}
