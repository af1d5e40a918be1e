//! Which of many regions may meet another one, without a look at each of them.

use super::{Field, Region, Value};

// Fields by which regions of rules are told apart.
const APART: [Field; 6] = [Field::Src, Field::Dst, Field::Dport, Field::Sport, Field::Iif, Field::Oif];

// So many items share one entry of the upper level.
const BLOCK: usize = 64;

// Bounds of a field, and whose they are.
type Filed = (Value, Value, u32);

/// Items made of regions, filed by the lowest and highest value of one field: the one by which fewest of them meet each other.
pub struct Neighbours {
    field: Field,
    // Bounds and number of each item, by the lower bound.
    items: Vec<Filed>,
    // The highest upper bound of each block of items.
    reach: Vec<Value>,
}

impl Neighbours {
    /// Files items by their numbers, from 0; an item is the union of its regions, and without any it meets nothing.
    pub fn of<'r, I>(items: impl Iterator<Item = I> + Clone) -> Self
    where
        I: IntoIterator<Item = &'r Region>,
    {
        let filed = |field: Field| -> Vec<Filed> {
            let bounded = items.clone().enumerate();
            bounded.filter_map(|(n, i)| bounds(field, i).map(|(lo, hi)| (lo, hi, n as u32))).collect()
        };
        let mut best: Option<(u64, Field, Vec<Filed>)> = None;
        for field in APART {
            let mut items = filed(field);
            items.sort_unstable();
            let pairs = meetings(&items);
            if best.as_ref().is_none_or(|b| pairs < b.0) {
                best = Some((pairs, field, items));
            }
        }
        let (_, field, items) = best.unwrap_or((0, Field::Src, Vec::new()));
        let reach = items.chunks(BLOCK).map(|b| b.iter().fold(0, |top, i| top.max(i.1))).collect();
        Self { field, items, reach }
    }

    /// The numbers of the items that may meet one made of these regions, ascending: all that do, and few others.
    pub fn meeting<'r>(&self, regions: impl IntoIterator<Item = &'r Region>) -> Vec<usize> {
        let Some((lo, hi)) = bounds(self.field, regions) else { return Vec::new() };
        let below = &self.items[..self.items.partition_point(|i| i.0 <= hi)];
        let blocks = below.chunks(BLOCK).zip(&self.reach).filter(|(_, top)| **top >= lo);
        let mut out: Vec<usize> =
            blocks.flat_map(|(b, _)| b).filter(|i| i.1 >= lo).map(|i| i.2 as usize).collect();
        out.sort_unstable();
        out
    }
}

// Lowest and highest value of a field; `None` if it has none.
fn bounds<'r>(field: Field, regions: impl IntoIterator<Item = &'r Region>) -> Option<(Value, Value)> {
    let ends = regions.into_iter().filter_map(|r| r.get(field).first().zip(r.get(field).last()));
    ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

// How many pairs of items have bounds that meet, each pair twice; sorted by the lower bound.
fn meetings(items: &[Filed]) -> u64 {
    let mut ends: Vec<Value> = items.iter().map(|i| i.1).collect();
    ends.sort_unstable();
    let begun = |hi: Value| items.partition_point(|i| i.0 <= hi);
    let over = |lo: Value| ends.partition_point(|e| *e < lo);
    items.iter().map(|i| (begun(i.1) - over(i.0)) as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Family, IntervalSet};
    use proptest::prelude::*;

    fn item() -> impl Strategy<Value = Vec<Region>> {
        let region = (0u16..400, 0u16..40, 0u16..300, 0u16..300).prop_map(|(port, more, a, b)| {
            Region::all(Family::V4)
                .cut(Field::Dport, &IntervalSet::range(port, port + more))
                .cut(Field::Sport, &IntervalSet::range(a.min(b), a.max(b)))
        });
        prop::collection::vec(region, 0..3)
    }

    proptest! {
        #[test]
        fn all_that_meet_are_found(items in prop::collection::vec(item(), 0..200), one in item()) {
            let found = Neighbours::of(items.iter()).meeting(&one);
            prop_assert!(found.is_sorted());
            for (n, i) in items.iter().enumerate() {
                let meets = i.iter().any(|r| one.iter().any(|o| r.intersects(o)));
                prop_assert!(!meets || found.contains(&n));
            }
        }
    }

    #[test]
    fn few_others_are_found() {
        let regions: Vec<Region> = (0..5000u16)
            .map(|n| Region::all(Family::V4).cut(Field::Dport, &IntervalSet::range(n * 10, n * 10 + 12)))
            .collect();
        let index = Neighbours::of(regions.iter().map(Some));
        assert_eq!(index.meeting([&regions[700]]), [699, 700, 701]);
    }
}
