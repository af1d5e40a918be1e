//! Shared storage for sets.

use super::{BitsId, MaskId};
use crate::packet::{IntervalSet, Value};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;

/// Index of a set in a [`SetPool`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(u32);

impl SetId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Every distinct set of a firewall, once; and pairs of mask and value for tests of registers.
#[derive(Debug, Default)]
pub struct SetPool {
    sets: Vec<IntervalSet>,
    // By fingerprint, the last set that has it; and for each set the one before it with the same fingerprint.
    index: FxHashMap<u64, SetId>,
    before: Vec<Option<SetId>>,
    masks: Vec<(u32, u32)>,
    bits: Vec<(Value, Value)>,
}

impl SetPool {
    /// Stores a set, or finds the one already there.
    pub fn add(&mut self, set: IntervalSet) -> SetId {
        let key = fingerprint(&set);
        let new = SetId(self.sets.len() as u32);
        let last = match self.index.entry(key) {
            Entry::Vacant(e) => {
                e.insert(new);
                None
            }
            Entry::Occupied(mut e) => {
                let mut same = Some(*e.get());
                while let Some(id) = same {
                    if self.sets[id.index()] == set {
                        return id;
                    }
                    same = self.before[id.index()];
                }
                Some(e.insert(new))
            }
        };
        self.sets.push(set);
        self.before.push(last);
        new
    }

    /// The set.
    pub fn get(&self, id: SetId) -> &IntervalSet {
        &self.sets[id.index()]
    }

    /// Number of distinct sets.
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// No set stored.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Stores a test `register & mask == value`.
    pub fn add_mask(&mut self, value: u32, mask: u32) -> MaskId {
        let pair = (value, mask);
        let at = self.masks.iter().rposition(|p| *p == pair).unwrap_or_else(|| {
            self.masks.push(pair);
            self.masks.len() - 1
        });
        MaskId(at as u32)
    }

    /// Whether any rule tests a register.
    pub fn has_masks(&self) -> bool {
        !self.masks.is_empty()
    }

    /// Value and mask of a test.
    pub fn mask(&self, id: MaskId) -> (u32, u32) {
        self.masks[id.index()]
    }

    /// Stores a test `field & mask == value`.
    pub fn add_bits(&mut self, mask: Value, value: Value) -> BitsId {
        let pair = (mask, value);
        let at = self.bits.iter().rposition(|p| *p == pair).unwrap_or_else(|| {
            self.bits.push(pair);
            self.bits.len() - 1
        });
        BitsId(at as u32)
    }

    /// Mask and value of a test of a field.
    pub fn bits(&self, id: BitsId) -> (Value, Value) {
        self.bits[id.index()]
    }

    /// Gives up the index that finds equal sets: nothing is added any more.
    pub fn freeze(&mut self) {
        self.index = FxHashMap::default();
        self.before = Vec::new();
        self.sets.shrink_to_fit();
    }
}

// Of a long set only a sample is hashed; equality is checked anyway.
fn fingerprint(set: &IntervalSet) -> u64 {
    use std::hash::{Hash, Hasher};
    let r: &[(Value, Value)] = set.ranges();
    let mut h = rustc_hash::FxHasher::default();
    r.len().hash(&mut h);
    r[..r.len().min(8)].hash(&mut h);
    r[r.len() / 2..].first().hash(&mut h);
    r.last().hash(&mut h);
    h.finish()
}
