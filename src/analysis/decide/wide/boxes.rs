//! A diagram as few boxes: from below, so that what several nodes have below them is one box with the values of all.

use super::guard::intersection;
use crate::analysis::diagram::{Arena, ClassSet, Level, Node, Outcome};
use rustc_hash::{FxHashMap, FxHashSet};
use std::rc::Rc;

/// What is told of packets that would be too many boxes to tell apart.
pub(super) struct Limits<'l> {
    /// Boxes of a node and all below it.
    pub boxes: usize,
    /// Boxes of one outcome, at a node: the largest are told, of the others it is only [known](Boxes::cut_short) that there are some.
    pub each: usize,
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
    // The share of all that was asked for that each part has, and outcomes of which not all is told.
    weights: Vec<f64>,
    cut_short: FxHashSet<Outcome>,
    scale: Scale,
}

/// By level and class, how many values there are up to it, of those asked for. Empty where nobody asks which boxes are large.
pub(super) type Scale = Vec<Vec<f64>>;

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
            weights: vec![1.0],
            cut_short: FxHashSet::default(),
            scale: Scale::new(),
        }
    }

    /// With a scale by which boxes are large or small.
    pub fn weighed(self, scale: Scale) -> Self {
        Self { scale, ..self }
    }

    /// Outcomes of which some boxes are not told.
    pub fn cut_short(&self) -> &FxHashSet<Outcome> {
        &self.cut_short
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
        if out.len() > self.limits.each {
            self.keep_largest(&mut out);
        }
        out
    }

    fn keep_largest(&mut self, list: &mut Vec<(BoxId, Outcome)>) {
        let weight = |b: &(BoxId, Outcome)| self.weights[b.0 as usize];
        list.sort_by(|a, b| a.1.cmp(&b.1).then(weight(b).total_cmp(&weight(a))).then(a.0.cmp(&b.0)));
        let (mut of, mut count) = (None, 0);
        let (each, cut_short) = (self.limits.each, &mut self.cut_short);
        list.retain(|(_, outcome)| {
            count = if of == Some(*outcome) { count + 1 } else { 1 };
            of = Some(*outcome);
            if count > each {
                cut_short.insert(*outcome);
            }
            count <= each
        });
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
        if let Some(id) = self.part_index.get(&(level, set, below)) {
            return *id;
        }
        let id = self.parts.len() as BoxId;
        self.parts.push((level, set, below));
        self.part_index.insert((level, set, below), id);
        if let Some(sums) = self.scale.get(level as usize) {
            self.weights.push(self.weights[below as usize] * share(sums, &self.sets[set as usize]));
        }
        id
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

/// The share of a level's values that some classes have.
pub(super) fn share(sums: &[f64], classes: &ClassSet) -> f64 {
    let before = |class: u32| class.checked_sub(1).map_or(0.0, |c| sums[c as usize]);
    let own: f64 = classes.iter().map(|(lo, hi)| sums[*hi as usize] - before(*lo)).sum();
    own / sums.last().copied().unwrap_or(1.0).max(1.0)
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
