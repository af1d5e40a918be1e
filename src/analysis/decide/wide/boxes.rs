//! A diagram as few boxes: from below, so that what several nodes have below them is one box with the values of all.

use super::guard::intersection;
use crate::analysis::diagram::{Arena, ClassSet, Level, Node, Outcome};
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// What is told of packets that would be too many boxes to tell apart.
pub(super) struct Limits<'l> {
    /// Boxes of a node and all below it.
    pub boxes: usize,
    /// Boxes and ranges looked at, in all.
    pub work: u64,
    /// The outcome of the one box that stands for all below a node.
    pub lump: &'l dyn Fn(&Arena, Node) -> Outcome,
}

/// A box within all that was asked for: indices into [`Boxes::parts`].
pub(super) type BoxId = u32;
const EVERYTHING: BoxId = 0;

// A box and what happens to its packets.
type List = Rc<[(BoxId, Outcome)]>;

pub(super) struct Boxes<'d> {
    arena: &'d Arena,
    // The classes asked for, by level.
    inside: Vec<ClassSet>,
    limits: Limits<'d>,
    // A level, the classes there, and the box below.
    parts: Vec<(Level, u32, BoxId)>,
    part_index: FxHashMap<(Level, u32, BoxId), BoxId>,
    sets: Vec<Rc<ClassSet>>,
    set_index: FxHashMap<Rc<ClassSet>, u32>,
    lists: FxHashMap<Node, List>,
    work: u64,
}

impl<'d> Boxes<'d> {
    /// For packets whose classes are within these, by level.
    pub fn new(arena: &'d Arena, inside: Vec<ClassSet>, limits: Limits<'d>) -> Self {
        Self {
            arena,
            inside,
            limits,
            parts: vec![(0, 0, EVERYTHING)],
            part_index: FxHashMap::default(),
            sets: Vec::new(),
            set_index: FxHashMap::default(),
            lists: FxHashMap::default(),
            work: 0,
        }
    }

    /// Disjoint boxes that are together all packets to which something happens, each with the only thing that does.
    pub fn of(&mut self, node: Node) -> List {
        let Some(level) = self.arena.level(node) else {
            let only = self.arena.outcomes(node).and_then(|o| o.first().copied());
            return only.map(|o| (EVERYTHING, o)).into_iter().collect();
        };
        if let Some(list) = self.lists.get(&node) {
            return Rc::clone(list);
        }
        let mut children: Vec<(Node, List, ClassSet)> = Vec::new();
        let mut place: FxHashMap<Node, usize> = FxHashMap::default();
        let edges: Vec<_> = self.arena.edges(node).filter(|e| e.2 != Node::NOTHING).collect();
        for (lo, hi, to) in edges {
            let i = *place.entry(to).or_insert_with(|| {
                children.push((to, Rc::from([]), ClassSet::new()));
                children.len() - 1
            });
            children[i].2.push((lo, hi));
        }
        for (to, list, set) in &mut children {
            *set = intersection(set, &self.inside[level as usize]);
            if !set.is_empty() {
                let below = self.of(*to);
                *list = self.within_budget(*to, below);
            }
        }
        children.retain(|c| !c.2.is_empty());
        // If there are too many, those with the fewest are told.
        children.sort_by_key(|c| c.1.len());
        let list: List = self.joined(level, &children).into();
        self.lists.insert(node, Rc::clone(&list));
        list
    }

    // The list of a node, or one box for all of it where nothing more may be looked at: even if one thing only may happen below, it need not
    // happen to all.
    fn within_budget(&mut self, node: Node, list: List) -> List {
        self.work += list.len() as u64;
        if list.len() <= 1 || self.work <= self.limits.work { list } else { Rc::from([self.lump(node)]) }
    }

    fn lump(&self, node: Node) -> (BoxId, Outcome) {
        (EVERYTHING, (self.limits.lump)(self.arena, node))
    }

    // The boxes of a node: equal ones below several of its edges are one.
    fn joined(&mut self, level: Level, children: &[(Node, List, ClassSet)]) -> Vec<(BoxId, Outcome)> {
        let mut order: Vec<((BoxId, Outcome), Vec<u32>)> = Vec::new();
        let mut place: FxHashMap<(BoxId, Outcome), usize> = FxHashMap::default();
        for (i, (node, list, _)) in (0..).zip(children) {
            let lump = [self.lump(*node)];
            let list = if order.len() + list.len() > self.limits.boxes { &lump[..] } else { list };
            for below in list {
                let at = *place.entry(*below).or_insert_with(|| {
                    order.push((*below, Vec::new()));
                    order.len() - 1
                });
                order[at].1.push(i);
            }
        }
        let mut united: FxHashMap<Vec<u32>, u32> = FxHashMap::default();
        let mut out = Vec::with_capacity(order.len());
        for ((below, outcome), of) in order {
            let set = match united.get(&of) {
                Some(set) => *set,
                None => {
                    let set =
                        merged(of.iter().flat_map(|i| children[*i as usize].2.iter().copied()).collect());
                    self.work += set.len() as u64;
                    let id = self.set(set);
                    united.insert(of, id);
                    id
                }
            };
            let whole = *self.sets[set as usize] == self.inside[level as usize];
            out.push((if whole { below } else { self.part(level, set, below) }, outcome));
        }
        out
    }

    fn set(&mut self, set: ClassSet) -> u32 {
        if let Some(id) = self.set_index.get(&set) {
            return *id;
        }
        let set = Rc::new(set);
        let id = self.sets.len() as u32;
        self.sets.push(Rc::clone(&set));
        self.set_index.insert(set, id);
        id
    }

    fn part(&mut self, level: Level, set: u32, below: BoxId) -> BoxId {
        *self.part_index.entry((level, set, below)).or_insert_with(|| {
            self.parts.push((level, set, below));
            self.parts.len() as BoxId - 1
        })
    }

    /// What a box asks of each level that it restricts; the numbers of the sets are the same for equal sets.
    pub fn asks(&self, mut id: BoxId) -> impl Iterator<Item = (Level, u32, &ClassSet)> {
        std::iter::from_fn(move || {
            let (level, set, below) = *self.parts.get(id as usize).filter(|_| id != EVERYTHING)?;
            id = below;
            Some((level, set, &*self.sets[set as usize]))
        })
    }
}

fn merged(mut ranges: ClassSet) -> ClassSet {
    ranges.sort_unstable();
    ranges.dedup_by(|next, last| {
        let meets = next.0 <= last.1.saturating_add(1);
        if meets {
            last.1 = last.1.max(next.1);
        }
        meets
    });
    ranges
}
