//! A packet that fares otherwise, where there are too many cases to tell them all: one is enough to show that the change is one.

use super::compare::Comparison;
use super::{NEW, OLD};
use crate::analysis::Verdict;
use crate::analysis::decide::{Part, replayed};
use crate::analysis::evaluate::evaluate;
use crate::packet::{Field, IntervalSet, Packet, Region, Value};

// Packets that are tried beside those of rules that differ.
const TRIES: usize = 64;

impl Comparison<'_> {
    /// A packet of a region that one side lets through for certain, and the other stops; `None` if none was met soon.
    pub(super) fn search(&mut self, region: &Region) -> Option<Packet> {
        let own = self.samples.iter().filter(|(path, _)| *path == self.path);
        let of_rules = own.flat_map(|(_, sample)| sample.normal()).filter(|s| s.intersects(region));
        let mut tried: Vec<Region> = of_rules.map(|s| s.intersect(region)).collect();
        let mut random = Random(0x5eed);
        tried.extend((0..TRIES).map(|_| random.narrowed(region)));
        tried.iter().find_map(|narrow| self.differs(narrow))
    }

    // A natural packet of a region, if the sides are certain of it and do not agree.
    fn differs(&mut self, region: &Region) -> Option<Packet> {
        self.spend(2)?;
        let part = Part {
            region: region.clone(),
            decided_by: Vec::new(),
            because: Vec::new(),
            assumed: Vec::new(),
            tracked: true,
            translated: None,
        };
        let firewalls = self.sides.map(|f| [f]);
        let (packet, before) = replayed(&self.question(&firewalls, OLD, region), &part)?;
        let after = evaluate(self.question(&firewalls, NEW, region).point, &packet);
        let certain = |v: Verdict| v != Verdict::Undecided;
        let differ = before.verdict != after.verdict && certain(before.verdict) && certain(after.verdict);
        (differ && !before.exhausted && !after.exhausted).then_some(packet)
    }
}

/// Xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled"): equal questions, equal packets.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    // The region with one value of what rules mostly ask for.
    fn narrowed(&mut self, region: &Region) -> Region {
        let one = |r: Region, f: Field| {
            let value = self.within(r.get(f));
            r.with(f, value.map(IntervalSet::single).unwrap_or_default())
        };
        [Field::Src, Field::Dst, Field::Dport].into_iter().fold(region.clone(), one)
    }

    fn within(&mut self, set: &IntervalSet) -> Option<Value> {
        let ranges = set.ranges();
        let (lo, hi) = *ranges.get(self.next() as usize % ranges.len().max(1))?;
        let bits = Value::from(self.next()) << 64 | Value::from(self.next());
        let width = (hi - lo).saturating_add(1);
        Some(lo + bits % width)
    }
}
