//! A field's values by the sets that hold them.

use crate::packet::{IntervalSet, Value};
use rustc_hash::FxHashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::Class;

/// Classes as ascending, disjoint, not adjacent ranges.
pub type ClassSet = Vec<(Class, Class)>;

/// Collects the sets that tell values of a field apart.
#[derive(Debug, Default)]
pub struct Sorter {
    // (value, set): the set begins, or ends before the value.
    changes: Vec<(Value, u32)>,
    sets: u32,
}

/// All values of a field, from 0 to its highest, in classes: two values are in one class exactly if the same sets hold them. Classes are numbered
/// by their lowest value.
#[derive(Debug)]
pub struct Classes {
    // The lowest value of each run of values of one class.
    starts: Vec<Value>,
    // The class of each run.
    class: Vec<Class>,
    // The last run up to which classes go up one by one.
    straight: Vec<u32>,
    // Runs by class: those of class `c` are `runs[first[c]..first[c + 1]]`.
    first: Vec<u32>,
    runs: Vec<u32>,
    // The values that are told apart; the others are in classes of theirs, whichever.
    within: IntervalSet,
    max: Value,
}

impl Sorter {
    /// Adds a set. To add equal sets twice is waste, not an error.
    pub fn add(&mut self, ranges: &[(Value, Value)]) {
        let id = self.sets;
        self.sets += 1;
        for (lo, hi) in ranges {
            if lo > hi {
                continue;
            }
            self.changes.push((*lo, id));
            if let Some(after) = hi.checked_add(1) {
                self.changes.push((after, id));
            }
        }
    }

    /// Where some set begins or ends among some values, but for their first one: values before it and from it on are told apart.
    pub fn changes(&self, (lo, hi): (Value, Value)) -> Vec<Value> {
        let mut out: Vec<Value> =
            self.changes.iter().map(|c| c.0).filter(|v| (lo + 1..=hi).contains(v)).collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    /// The classes of the values up to `max`; only those within a set are told apart.
    ///
    /// Runs of values are told apart by a sum over the sets that hold them of 128 random bits for each set, drawn anew in each process: that two
    /// different ones have the same sum is as likely as guessing a key of that length.
    pub fn classes(mut self, max: Value, within: IntervalSet) -> Classes {
        let inside = self.sets;
        self.add(within.ranges());
        self.changes.sort_unstable();
        let random = RandomState::new();
        let (mut high, mut low) = (SplitMix(random.hash_one(0u8)), SplitMix(random.hash_one(1u8)));
        let keys: Vec<u128> =
            (0..self.sets).map(|_| u128::from(high.next()) << 64 | u128::from(low.next())).collect();
        let mut held = vec![false; self.sets as usize];
        let mut out = Classes {
            starts: vec![0],
            class: vec![0],
            straight: Vec::new(),
            first: Vec::new(),
            runs: Vec::new(),
            within,
            max,
        };
        let mut known: FxHashMap<u128, Class> = FxHashMap::default();
        let mut sum = 0u128;
        let mut i = 0;
        loop {
            // All changes at the value of the run that was begun last.
            let value = out.starts.last().copied().unwrap_or(0);
            while let Some((_, id)) = self.changes.get(i).filter(|c| c.0 == value) {
                let is = &mut held[*id as usize];
                sum = if *is {
                    sum.wrapping_sub(keys[*id as usize])
                } else {
                    sum.wrapping_add(keys[*id as usize])
                };
                *is = !*is;
                i += 1;
            }
            let (new, n) = (known.len() as Class, out.class.len());
            // Values that do not matter go with those before them.
            let class = match held[inside as usize] {
                true => *known.entry(sum).or_insert(new),
                false => n.checked_sub(2).map_or(0, |before| out.class[before]),
            };
            out.class[n - 1] = class;
            match self.changes.get(i).filter(|c| c.0 <= max) {
                Some((next, _)) => {
                    out.starts.push(*next);
                    out.class.push(0);
                }
                None => break,
            }
        }
        out.finish(known.len().max(1));
        out
    }
}

impl Classes {
    // Joins neighbours of one class, and finds the runs of each.
    fn finish(&mut self, count: usize) {
        let mut kept = 0;
        for i in 0..self.class.len() {
            if i == 0 || self.class[i] != self.class[kept - 1] {
                self.class[kept] = self.class[i];
                self.starts[kept] = self.starts[i];
                kept += 1;
            }
        }
        self.class.truncate(kept);
        self.starts.truncate(kept);
        self.straight = vec![0; kept];
        for i in (0..kept).rev() {
            let goes_on = i + 1 < kept && self.class[i + 1] == self.class[i] + 1;
            self.straight[i] = if goes_on { self.straight[i + 1] } else { i as u32 };
        }
        self.first = vec![0; count + 1];
        self.class.iter().for_each(|c| self.first[*c as usize + 1] += 1);
        for c in 0..count {
            self.first[c + 1] += self.first[c];
        }
        let mut next = self.first.clone();
        self.runs = vec![0; kept];
        for (i, c) in self.class.iter().enumerate() {
            self.runs[next[*c as usize] as usize] = i as u32;
            next[*c as usize] += 1;
        }
    }

    /// Number of classes; at least 1.
    pub fn count(&self) -> u32 {
        self.first.len() as u32 - 1
    }

    /// By class, how many values of a set are in it and those before it, roughly.
    pub fn sums(&self, set: &IntervalSet) -> Vec<f64> {
        let mut counts = vec![0.0; self.count() as usize];
        for (lo, hi) in set.ranges() {
            let mut run = self.starts.partition_point(|s| s <= lo) - 1;
            while self.starts.get(run).is_some_and(|s| s <= hi) {
                let last = self.starts.get(run + 1).map_or(self.max, |next| next - 1);
                counts[self.class[run] as usize] += (last.min(*hi) - self.starts[run].max(*lo)) as f64 + 1.0;
                run += 1;
            }
        }
        let mut sum = 0.0;
        counts.iter_mut().for_each(|c| {
            sum += *c;
            *c = sum;
        });
        counts
    }

    /// The class of a value.
    pub fn of(&self, value: Value) -> Class {
        self.class[self.starts.partition_point(|s| *s <= value) - 1]
    }

    /// The classes of a set's values, of those that are told apart; the values of those are the set itself, if it was added.
    pub fn set(&self, ranges: &[(Value, Value)]) -> ClassSet {
        let inside = match ranges {
            [(lo, hi)] => {
                let all = self.within.ranges();
                let at = all.partition_point(|r| r.1 < *hi);
                all.get(at).is_some_and(|r| r.0 <= *lo && *hi <= r.1)
            }
            _ => self.within.ranges() == [(0, self.max)],
        };
        if !inside {
            return self.plain(self.within.intersect(&IntervalSet::from_ranges(ranges.to_vec())).ranges());
        }
        self.plain(ranges)
    }

    fn plain(&self, ranges: &[(Value, Value)]) -> ClassSet {
        let mut out: ClassSet = Vec::new();
        for (lo, hi) in ranges {
            if lo > hi || *lo > self.max {
                continue;
            }
            let mut run = self.starts.partition_point(|s| s <= lo) - 1;
            // Most sets are narrow.
            let last = match self.starts.get(run + 1) {
                Some(next) if next <= hi => run + self.starts[run + 1..].partition_point(|s| s <= hi),
                _ => run,
            };
            while run <= last {
                let end = (self.straight[run] as usize).min(last);
                out.push((self.class[run], self.class[run] + (end - run) as Class));
                run = end + 1;
            }
        }
        if out.len() < 2 { out } else { merged(out) }
    }

    /// The classes of a set, where only values within another one matter, which holds it; `None` if it parts a class there. Classes without
    /// such values may be among them. The work is in proportion to the smaller one of the set and what is left of the other.
    pub fn exact(&self, set: &IntervalSet, within: &IntervalSet) -> Option<ClassSet> {
        let others = within.minus(set);
        let inverted = self.runs_in(set.ranges()) > self.runs_in(others.ranges());
        let small = if inverted { &others } else { set };
        let classes = self.set(small.ranges());
        if !small.covers(&self.values(&classes).intersect(within)) {
            return None;
        }
        Some(if inverted { self.others(&classes) } else { classes })
    }

    fn runs_in(&self, ranges: &[(Value, Value)]) -> usize {
        let run = |v: Value| self.starts.partition_point(|s| *s <= v);
        ranges.iter().map(|(lo, hi)| run(*hi) - run(*lo) + 1).sum()
    }

    // All other classes.
    fn others(&self, classes: &[(Class, Class)]) -> ClassSet {
        let mut missing = ClassSet::new();
        let mut next = 0;
        for (lo, hi) in classes {
            if *lo > next {
                missing.push((next, lo - 1));
            }
            next = hi + 1;
        }
        if next < self.count() {
            missing.push((next, self.count() - 1));
        }
        missing
    }

    /// The values of some classes, with some that are not told apart.
    pub fn values(&self, classes: &[(Class, Class)]) -> IntervalSet {
        let runs: usize = classes.iter().map(|c| self.runs_of(*c).len()).sum();
        if 2 * runs <= self.runs.len() {
            return self.gathered(classes);
        }
        // Of many classes it is quicker to say which are missing.
        IntervalSet::range(0u8, self.max).minus(&self.gathered(&self.others(classes)))
    }

    fn gathered(&self, classes: &[(Class, Class)]) -> IntervalSet {
        let runs = classes.iter().flat_map(|c| self.runs_of(*c));
        IntervalSet::from_ranges(runs.map(|i| {
            let i = *i as usize;
            (self.starts[i], self.starts.get(i + 1).map_or(self.max, |next| next - 1))
        }))
    }

    fn runs_of(&self, (lo, hi): (Class, Class)) -> &[u32] {
        &self.runs[self.first[lo as usize] as usize..self.first[hi as usize + 1] as usize]
    }
}

/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

fn merged(mut ranges: ClassSet) -> ClassSet {
    ranges.sort_unstable();
    let mut out: ClassSet = Vec::with_capacity(ranges.len());
    for (lo, hi) in ranges {
        match out.last_mut() {
            Some(last) if lo <= last.1.saturating_add(1) => last.1 = last.1.max(hi),
            _ => out.push((lo, hi)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sets() -> impl Strategy<Value = Vec<Vec<(Value, Value)>>> {
        let range = (0u128..40, 0u128..12).prop_map(|(lo, n)| (lo, (lo + n).min(40)));
        proptest::collection::vec(proptest::collection::vec(range, 0..4), 0..8)
    }

    proptest! {
        // One value at a time.
        #[test]
        fn values_are_in_one_class_if_the_same_sets_hold_them(sets in sets(), within in sets(), all in any::<bool>()) {
            let sets: Vec<IntervalSet> = sets.into_iter().map(IntervalSet::from_ranges).collect();
            let within = match all {
                true => IntervalSet::range(0u8, 40u8),
                false => IntervalSet::from_ranges(within.into_iter().flatten().collect::<Vec<_>>()),
            };
            let mut sorter = Sorter::default();
            sets.iter().for_each(|s| sorter.add(s.ranges()));
            let classes = sorter.classes(40, within.clone());
            let holders = |v: Value| sets.iter().map(|s| s.contains(v)).collect::<Vec<_>>();
            let matter = || (0..=40u128).filter(|v| within.contains(*v));
            for a in matter() {
                for b in matter() {
                    prop_assert_eq!(holders(a) == holders(b), classes.of(a) == classes.of(b));
                }
            }
            let used: std::collections::BTreeSet<Class> = matter().map(|v| classes.of(v)).collect();
            prop_assert_eq!(used.len().max(1), classes.count() as usize);
            prop_assert!((0..=40u128).all(|v| classes.of(v) < classes.count()));
            for s in &sets {
                prop_assert_eq!(classes.values(&classes.set(s.ranges())).intersect(&within), s.intersect(&within));
            }
        }
    }

    #[test]
    fn the_ends_of_a_field_are_values_like_others() {
        let mut sorter = Sorter::default();
        sorter.add(&[(Value::MAX, Value::MAX)]);
        sorter.add(&[(0, 0)]);
        sorter.add(&[(5, 4)]);
        let classes = sorter.classes(Value::MAX, IntervalSet::range(0u8, Value::MAX));
        assert_eq!(classes.count(), 3);
        assert_eq!(
            classes.values(&classes.set(&[(Value::MAX, Value::MAX)])).ranges(),
            [(Value::MAX, Value::MAX)]
        );
    }
}
