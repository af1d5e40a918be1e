//! Fewer, larger regions: joins those that differ in one field only.

use crate::packet::{Field, IntervalSet, Region};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Something with a region that may be joined with others of its kind.
pub(crate) trait Joinable {
    /// Its region, in normal form.
    fn region(&self) -> &Region;
    /// To replace it.
    fn region_mut(&mut self) -> &mut Region;
    /// Equal for all that may be joined.
    fn label(&self) -> u64;
    /// Whether the two may be joined.
    fn same(&self, other: &Self) -> bool;
    /// Takes over whatever else the other one carries.
    fn absorb(&mut self, other: &Self);
}

impl Joinable for Region {
    fn region(&self) -> &Region {
        self
    }
    fn region_mut(&mut self) -> &mut Region {
        self
    }
    fn label(&self) -> u64 {
        0
    }
    fn same(&self, _: &Self) -> bool {
        true
    }
    fn absorb(&mut self, _: &Self) {}
}

/// Joins items whose regions differ in one field only, until none are left; the union stays the same.
///
/// Two regions that differ only in a field that some of their protocols lack are never joined wrongly: in normal form such a field
/// is unrestricted in both.
pub(crate) fn join<T: Joinable>(items: &mut Vec<T>) {
    if items.len() < 2 {
        return;
    }
    let mut hashes: Vec<[u64; Field::COUNT]> = items.iter().map(|i| hashes(i.region())).collect();
    let mut quiet = 0;
    for field in Field::ALL.iter().rev().cycle() {
        let before = items.len();
        join_field(items, &mut hashes, *field);
        quiet = if items.len() == before { quiet + 1 } else { 0 };
        if quiet >= Field::COUNT || items.len() < 2 {
            return;
        }
    }
}

fn hashes(region: &Region) -> [u64; Field::COUNT] {
    Field::ALL.map(|f| hash(region.get(f)))
}

// Only ends are hashed: equality is checked where it matters.
fn hash(set: &IntervalSet) -> u64 {
    let r = set.ranges();
    let mut h = r.len() as u64;
    for (lo, hi) in r.first().into_iter().chain(r.get(r.len() / 2)).chain(r.last()) {
        for v in [*lo, *hi] {
            h = (h.rotate_left(5) ^ v as u64 ^ (v >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    h
}

fn join_field<T: Joinable>(items: &mut Vec<T>, hashes: &mut Vec<[u64; Field::COUNT]>, field: Field) {
    let key = |item: &T, h: &[u64; Field::COUNT]| {
        Field::ALL
            .iter()
            .filter(|f| **f != field)
            .fold(item.label(), |k, f| (k.rotate_left(7) ^ h[f.index()]).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    };
    let mut groups: FxHashMap<u64, Vec<u32>> = FxHashMap::default();
    for (i, (item, h)) in items.iter().zip(hashes.iter()).enumerate() {
        groups.entry(key(item, h)).or_default().push(i as u32);
    }
    if groups.len() == items.len() {
        return;
    }
    let mut gone = vec![false; items.len()];
    // Hash maps have no order of their own: go by items, so that equal input gives equal output.
    for i in 0..items.len() {
        if gone[i] {
            continue;
        }
        let mates: Vec<u32> = groups
            .get(&key(&items[i], &hashes[i]))
            .into_iter()
            .flatten()
            .copied()
            .filter(|m| {
                let m = *m as usize;
                m > i && !gone[m] && items[i].same(&items[m]) && agree(&items[i], &items[m], field)
            })
            .collect();
        if mates.is_empty() {
            continue;
        }
        let mut ranges = items[i].region().get(field).ranges().to_vec();
        for m in mates {
            let m = m as usize;
            ranges.extend_from_slice(items[m].region().get(field).ranges());
            gone[m] = true;
            let (left, right) = items.split_at_mut(m);
            left[i].absorb(&right[0]);
        }
        let set = Arc::new(IntervalSet::from_ranges(ranges));
        hashes[i][field.index()] = hash(&set);
        items[i].region_mut().set(field, set);
    }
    let mut keep = gone.iter().map(|g| !g);
    hashes.retain(|_| keep.next().unwrap_or(true));
    let mut keep = gone.iter().map(|g| !g);
    items.retain(|_| keep.next().unwrap_or(true));
}

fn agree<T: Joinable>(a: &T, b: &T, field: Field) -> bool {
    Field::ALL.iter().filter(|f| **f != field).all(|f| a.region().shared(*f) == b.region().shared(*f))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Family;

    #[test]
    fn pieces_of_a_subtraction_join_again() {
        let all = Region::all(Family::V4).protocol(6);
        let hole = all
            .cut(Field::Dport, &IntervalSet::range(20u8, 30u8))
            .cut(Field::Sport, &IntervalSet::single(9u8))
            .cut(Field::TcpFlags, &IntervalSet::single(2u8));
        let mut pieces = all.minus(&hole);
        pieces.push(hole);
        assert_eq!(pieces.len(), 4);
        join(&mut pieces);
        assert_eq!(pieces, [all]);
    }
}
