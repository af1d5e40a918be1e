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

/// A region with a label: joined with those of the same label.
impl Joinable for (Region, u32) {
    fn region(&self) -> &Region {
        &self.0
    }
    fn region_mut(&mut self) -> &mut Region {
        &mut self.0
    }
    fn label(&self) -> u64 {
        self.1.into()
    }
    fn same(&self, other: &Self) -> bool {
        self.1 == other.1
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
    if let [first, second] = items.as_mut_slice() {
        if joined_pair(first, second) {
            items.pop();
        }
        return;
    }
    let mut hashes = hashes(items);
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

// Joins the second of two items to the first, if they may be: without the tables that long lists need.
fn joined_pair<T: Joinable>(first: &mut T, second: &T) -> bool {
    if !first.same(second) {
        return false;
    }
    let differs = |f: &&Field| first.region().shared(**f) != second.region().shared(**f);
    let mut fields = Field::ALL.iter().filter(differs);
    let (field, more) = (fields.next().copied(), fields.next());
    if more.is_some() {
        return false;
    }
    first.absorb(second);
    if let Some(field) = field {
        let set = first.region().get(field).union(second.region().get(field));
        first.region_mut().set(field, Arc::new(set));
    }
    true
}

// Hashes of an item: of each field's set, and of all that has to be equal in what is joined. The latter is their sum, so that one field is
// easily left out.
struct Hashes {
    fields: [u64; Field::COUNT],
    sum: u64,
}

impl Hashes {
    fn without(&self, field: Field) -> u64 {
        self.sum.wrapping_sub(self.fields[field.index()])
    }

    fn set(&mut self, field: Field, set: &IntervalSet) {
        let new = hash(field, set);
        self.sum = self.without(field).wrapping_add(new);
        self.fields[field.index()] = new;
    }
}

fn hashes<T: Joinable>(items: &[T]) -> Vec<Hashes> {
    let mut out: Vec<Hashes> = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        // Neighbours share most of their sets.
        let before = i.checked_sub(1).and_then(|b| Some((items.get(b)?.region(), out.get(b)?.fields)));
        let fields = Field::ALL.map(|f| match &before {
            Some((region, known)) if Arc::ptr_eq(region.shared(f), item.region().shared(f)) => {
                known[f.index()]
            }
            _ => hash(f, item.region().get(f)),
        });
        let label = item.label().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        out.push(Hashes { fields, sum: fields.iter().fold(label, |sum, h| sum.wrapping_add(*h)) });
    }
    out
}

// Only ends are hashed: equality is checked where it matters.
fn hash(field: Field, set: &IntervalSet) -> u64 {
    let r = set.ranges();
    let mut h = (r.len() * Field::COUNT + field.index()) as u64;
    for (lo, hi) in r.first().into_iter().chain(r.get(r.len() / 2)).chain(r.last()) {
        for v in [*lo, *hi] {
            h = (h.rotate_left(5) ^ v as u64 ^ (v >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    h
}

fn join_field<T: Joinable>(items: &mut Vec<T>, hashes: &mut Vec<Hashes>, field: Field) {
    const NONE: u32 = u32::MAX;
    // The next item that may agree with each.
    let mut next = vec![NONE; items.len()];
    let mut first: FxHashMap<u64, u32> = FxHashMap::with_capacity_and_hasher(items.len(), Default::default());
    for (i, h) in hashes.iter().enumerate().rev() {
        if let Some(later) = first.insert(h.without(field), i as u32) {
            next[i] = later;
        }
    }
    if first.len() == items.len() {
        return;
    }
    let mut gone = vec![false; items.len()];
    for i in 0..items.len() {
        if gone[i] || next[i] == NONE {
            continue;
        }
        let mut mates = Vec::new();
        let mut m = next[i];
        while m != NONE {
            let at = m as usize;
            if !gone[at] && items[i].same(&items[at]) && agree(&items[i], &items[at], field) {
                mates.push(at);
            }
            m = next[at];
        }
        if mates.is_empty() {
            continue;
        }
        let mut ranges = items[i].region().get(field).ranges().to_vec();
        for m in mates {
            ranges.extend_from_slice(items[m].region().get(field).ranges());
            gone[m] = true;
            let (left, right) = items.split_at_mut(m);
            left[i].absorb(&right[0]);
        }
        let set = Arc::new(IntervalSet::from_ranges(ranges));
        hashes[i].set(field, &set);
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
