//! Shared storage for sets.

use super::MaskId;
use crate::packet::{IntervalSet, Value};
use rustc_hash::FxHashMap;

/// Index of a set in a [`SetPool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(u32);

/// Every distinct set of a firewall, once; and pairs of mask and value for tests of registers.
#[derive(Debug, Default)]
pub struct SetPool {
    sets: Vec<IntervalSet>,
    index: FxHashMap<u64, Vec<SetId>>,
    masks: Vec<(u32, u32)>,
}

impl SetPool {
    /// Stores a set, or finds the one already there.
    pub fn add(&mut self, set: IntervalSet) -> SetId {
        let key = fingerprint(&set);
        let same = self.index.entry(key).or_default();
        if let Some(id) = same.iter().find(|id| self.sets[id.0 as usize] == set) {
            return *id;
        }
        let id = SetId(self.sets.len() as u32);
        self.sets.push(set);
        same.push(id);
        id
    }

    /// The set.
    pub fn get(&self, id: SetId) -> &IntervalSet {
        &self.sets[id.0 as usize]
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

    /// Gives up the index that finds equal sets: nothing is added any more.
    pub fn freeze(&mut self) {
        self.index = FxHashMap::default();
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
