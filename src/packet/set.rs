//! Sets of values as sorted, disjoint, inclusive intervals.

use std::fmt;

/// A value of any field, see [`Field`](super::Field) for the encodings.
pub type Value = u128;

/// A set of values: inclusive intervals, sorted, disjoint and not adjacent.
///
/// Equal sets have equal representations, so `==` and hashing decide set equality.
#[derive(Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct IntervalSet {
    // INVARIANT: lo <= hi for each; sorted; every gap holds at least one value.
    ranges: Vec<(Value, Value)>,
}

impl IntervalSet {
    /// The empty set.
    pub const EMPTY: Self = Self { ranges: Vec::new() };

    /// All values from `lo` to `hi`, both included; empty if `lo > hi`.
    pub fn range(lo: impl Into<Value>, hi: impl Into<Value>) -> Self {
        let (lo, hi) = (lo.into(), hi.into());
        if lo > hi { Self::EMPTY } else { Self { ranges: vec![(lo, hi)] } }
    }

    /// The one value `v`.
    pub fn single(v: impl Into<Value>) -> Self {
        let v = v.into();
        Self { ranges: vec![(v, v)] }
    }

    /// The union of any intervals, in any order; those with `lo > hi` are empty.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (Value, Value)>) -> Self {
        let ranges = ranges.into_iter();
        let mut all: Vec<(Value, Value)> = Vec::with_capacity(ranges.size_hint().0);
        let (mut sorted, mut apart) = (true, true);
        for (lo, hi) in ranges.filter(|(lo, hi)| lo <= hi) {
            if let Some(last) = all.last() {
                sorted &= last.0 <= lo;
                apart &= last.1 < lo && lo - last.1 > 1;
            }
            all.push((lo, hi));
        }
        if apart {
            return Self { ranges: all };
        }
        if !sorted {
            all.sort_unstable();
        }
        // In place: a set of a million intervals is not held twice.
        all.dedup_by(|next, last| {
            let meets = last.1 == Value::MAX || next.0 <= last.1 + 1;
            if meets {
                last.1 = last.1.max(next.1);
            }
            meets
        });
        Self { ranges: all }
    }

    /// The intervals, ascending.
    pub fn ranges(&self) -> &[(Value, Value)] {
        &self.ranges
    }

    /// No value at all.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many values the set holds; saturates at `u128::MAX`.
    pub fn count(&self) -> u128 {
        self.ranges.iter().fold(0u128, |n, (lo, hi)| n.saturating_add((hi - lo).saturating_add(1)))
    }

    /// Whether `v` is in the set.
    pub fn contains(&self, v: Value) -> bool {
        let i = self.ranges.partition_point(|r| r.1 < v);
        self.ranges.get(i).is_some_and(|r| r.0 <= v)
    }

    /// The lowest value.
    pub fn first(&self) -> Option<Value> {
        self.ranges.first().map(|r| r.0)
    }

    /// The highest value.
    pub fn last(&self) -> Option<Value> {
        self.ranges.last().map(|r| r.1)
    }

    /// Values in both sets.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let (a, b) = (&self.ranges, &other.ranges);
        let mut out = Vec::new();
        let (mut i, mut j) = Self::start(a, b);
        while i < a.len() && j < b.len() {
            let (lo, hi) = (a[i].0.max(b[j].0), a[i].1.min(b[j].1));
            if lo <= hi {
                out.push((lo, hi));
            }
            if a[i].1 < b[j].1 { i += 1 } else { j += 1 }
        }
        Self { ranges: out }
    }

    // Where a merge of two lists has to begin: skips what lies wholly below the other's first value.
    fn start(a: &[(Value, Value)], b: &[(Value, Value)]) -> (usize, usize) {
        match (a.first(), b.first()) {
            (Some(x), Some(y)) => (a.partition_point(|r| r.1 < y.0), b.partition_point(|r| r.1 < x.0)),
            _ => (a.len(), b.len()),
        }
    }

    /// Whether the sets share a value.
    pub fn intersects(&self, other: &Self) -> bool {
        let (a, b) = (&self.ranges, &other.ranges);
        let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
        if short.len() * 16 < long.len() {
            return short.iter().any(|s| {
                let next = long.partition_point(|r| r.1 < s.0);
                long.get(next).is_some_and(|r| r.0 <= s.1)
            });
        }
        let (mut i, mut j) = Self::start(a, b);
        while i < a.len() && j < b.len() {
            if a[i].0.max(b[j].0) <= a[i].1.min(b[j].1) {
                return true;
            }
            if a[i].1 < b[j].1 { i += 1 } else { j += 1 }
        }
        false
    }

    /// Values in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        if self.is_empty() {
            return other.clone();
        }
        let (a, b) = (&self.ranges, &other.ranges);
        let mut merged = Vec::with_capacity(a.len() + b.len());
        let (mut i, mut j) = (0, 0);
        while i < a.len() || j < b.len() {
            let take_a = j >= b.len() || (i < a.len() && a[i] <= b[j]);
            if take_a {
                merged.push(a[i]);
                i += 1;
            } else {
                merged.push(b[j]);
                j += 1;
            }
        }
        Self::from_ranges(merged)
    }

    /// Values of `self` that are not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let (a, b) = (&self.ranges, &other.ranges);
        let (Some(first), Some(last)) = (other.first(), other.last()) else { return self.clone() };
        // What lies wholly below or above the other set stays as it is: one hole more in a set of many is common.
        let (from, to) = (a.partition_point(|r| r.1 < first), a.partition_point(|r| r.0 <= last));
        let mut out = Vec::with_capacity(a.len() + 1);
        out.extend_from_slice(&a[..from]);
        let mut j = a.get(from).map_or(0, |v| b.partition_point(|r| r.1 < v.0));
        for &(start, hi) in &a[from..to] {
            let mut lo = start;
            let mut spent = false;
            while j < b.len() && b[j].1 < lo {
                j += 1;
            }
            let mut k = j;
            while k < b.len() && b[k].0 <= hi {
                if b[k].0 > lo {
                    out.push((lo, b[k].0 - 1));
                }
                if b[k].1 >= hi {
                    spent = true;
                    break;
                }
                lo = b[k].1 + 1;
                k += 1;
            }
            j = k;
            if !spent {
                out.push((lo, hi));
            }
        }
        out.extend_from_slice(&a[to..]);
        Self { ranges: out }
    }

    /// Whether every value of `other` is in `self`.
    pub fn covers(&self, other: &Self) -> bool {
        let a = &self.ranges;
        let mut i = other.first().map_or(0, |v| a.partition_point(|r| r.1 < v));
        for &(lo, hi) in &other.ranges {
            while i < a.len() && a[i].1 < lo {
                i += 1;
            }
            match a.get(i) {
                Some(r) if r.0 <= lo && hi <= r.1 => {}
                _ => return false,
            }
        }
        true
    }
}

impl fmt::Debug for IntervalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.ranges.iter().map(|(lo, hi)| format!("{lo:#x}-{hi:#x}"))).finish()
    }
}

impl FromIterator<Value> for IntervalSet {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        Self::from_ranges(values.into_iter().map(|v| (v, v)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // A few ranges, or many with small gaps: long sets against short ones go a way of their own.
    fn set() -> impl Strategy<Value = IntervalSet> {
        let few = prop::collection::vec((0u8..40, 0u8..40), 0..6)
            .prop_map(|v| IntervalSet::from_ranges(v.into_iter().map(|(a, b)| (a.into(), b.into()))));
        let many =
            prop::collection::vec(0u8..200, 0..100).prop_map(|v| v.into_iter().map(Value::from).collect());
        prop_oneof![2 => few, 1 => many]
    }

    proptest! {
        #[test]
        fn agrees_with_membership(a in set(), b in set()) {
            for v in 0..205u128 {
                let (x, y) = (a.contains(v), b.contains(v));
                prop_assert_eq!(a.intersect(&b).contains(v), x && y);
                prop_assert_eq!(a.union(&b).contains(v), x || y);
                prop_assert_eq!(a.minus(&b).contains(v), x && !y);
            }
            prop_assert_eq!(a.covers(&b), b.minus(&a).is_empty());
            prop_assert_eq!(a.intersects(&b), !a.intersect(&b).is_empty());
            prop_assert_eq!(a.union(&b).minus(&b).union(&b), a.union(&b));
        }
    }

    #[test]
    fn ends_of_the_domain_do_not_overflow() {
        let all = IntervalSet::range(0u8, Value::MAX);
        assert_eq!(all.minus(&IntervalSet::single(Value::MAX)).last(), Some(Value::MAX - 1));
        assert_eq!(IntervalSet::single(Value::MAX).union(&all), all);
        assert_eq!(all.count(), Value::MAX);
        assert!(IntervalSet::range(5u8, 4u8).is_empty());
    }
}
