//! What is possible somewhere in a diagram, and where.

use super::arena::{Arena, Class, Level, Node, Outcome};
use rustc_hash::FxHashSet;

impl Arena {
    /// Whether one of some outcomes is possible where each level's class is within its ranges. A level without ranges is not restricted.
    pub fn meets(
        &mut self,
        node: Node,
        ranges: &[Option<&[(Class, Class)]>],
        outcome: &impl Fn(Outcome) -> bool,
    ) -> bool {
        self.find(node, ranges, outcome).is_some()
    }

    /// As [`Arena::meets`]: the classes that lead to it, by the levels that are asked on the way, the last one first.
    pub fn find(
        &mut self,
        node: Node,
        ranges: &[Option<&[(Class, Class)]>],
        outcome: &impl Fn(Outcome) -> bool,
    ) -> Option<Vec<(Level, Class, Class)>> {
        let mut search = Search { arena: self, ranges, seen: Default::default(), steps: 0, way: Vec::new() };
        let found = search.meets(node, outcome);
        let (steps, way) = (search.steps, search.way);
        self.work += steps;
        found.then_some(way)
    }
}

struct Search<'a> {
    arena: &'a Arena,
    ranges: &'a [Option<&'a [(Class, Class)]>],
    // Nodes below which nothing was found.
    seen: FxHashSet<Node>,
    steps: u64,
    way: Vec<(Level, Class, Class)>,
}

impl Search<'_> {
    fn meets(&mut self, node: Node, outcome: &impl Fn(Outcome) -> bool) -> bool {
        if node.is_terminal() {
            return self.arena.sets.lists[node.index()].iter().any(|o| outcome(*o));
        }
        if !self.seen.insert(node) {
            return false;
        }
        let level = self.arena.heads[node.index()].level;
        let edges = self.arena.slice(node);
        let everything = [(0, Class::MAX)];
        for (lo, hi) in self.ranges.get(level as usize).copied().flatten().unwrap_or(&everything) {
            let first = edges.partition_point(|e| e.hi < *lo);
            let mut from = *lo;
            for e in &edges[first..] {
                self.steps += 1;
                if self.meets(e.to, outcome) {
                    self.way.push((level, from, e.hi.min(*hi)));
                    return true;
                }
                if e.hi >= *hi {
                    break;
                }
                from = e.hi + 1;
            }
        }
        false
    }
}
