//! Nodes, and the operations on them.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet, FxHasher};
use smallvec::SmallVec;
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;

/// A class of a field's values, or the truth value of a condition.
pub type Class = u32;

/// A question's place in the order of questions: every path through a diagram asks them in ascending order.
pub type Level = u16;

/// Something that may happen; what it means is the caller's.
pub type Outcome = u32;

/// A diagram: its topmost node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node(u32);

const TERMINAL: u32 = 1 << 31;

impl Node {
    /// The terminal at which nothing is possible.
    pub const NOTHING: Node = Node(TERMINAL);

    const fn is_terminal(self) -> bool {
        self.0 & TERMINAL != 0
    }

    const fn index(self) -> usize {
        (self.0 & !TERMINAL) as usize
    }
}

// From the class after the one before up to `hi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edge {
    hi: Class,
    to: Node,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    start: u32,
    len: u32,
    level: Level,
}

// Index of an interned list.
type ListId = u32;

/// Where nodes live. Operations on nodes of other arenas give nonsense.
#[derive(Default)]
pub struct Arena {
    // The highest class of each level.
    tops: Vec<Class>,
    heads: Vec<Head>,
    edges: Vec<Edge>,
    unique: HashTable<u32>,
    sets: Lists<Outcome>,
    bindings: Lists<(Outcome, Node)>,
    // By node: the outcomes that are possible somewhere below, as an index into `sets`.
    below: Vec<Option<ListId>>,
    bound: FxHashMap<(Node, ListId), Node>,
    united: FxHashMap<(Node, Node), Node>,
    scratch: Vec<Edge>,
    work: u64,
    limit: u64,
    max_nodes: usize,
}

struct Lists<T> {
    lists: Vec<Rc<[T]>>,
    // With their hashes.
    index: HashTable<(u64, ListId)>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { lists: Vec::new(), index: HashTable::new() }
    }
}

impl<T: std::hash::Hash + Eq + Clone> Lists<T> {
    fn intern(&mut self, list: &[T]) -> ListId {
        let hash = FxBuildHasher.hash_one(list);
        let lists = &self.lists;
        let same = |(h, id): &(u64, ListId)| *h == hash && *lists[*id as usize] == *list;
        match self.index.entry(hash, same, |(h, _)| *h) {
            Entry::Occupied(known) => known.get().1,
            Entry::Vacant(new) => {
                let id = lists.len() as ListId;
                new.insert((hash, id));
                self.lists.push(Rc::from(list));
                id
            }
        }
    }

    fn get(&self, id: ListId) -> Rc<[T]> {
        Rc::clone(&self.lists[id as usize])
    }
}

impl Arena {
    /// An empty arena. `tops` holds the highest class of each level; `limit` bounds the work, in edges touched, and `max_nodes` the memory, after
    /// which every operation gives nonsense at once: see [`Arena::exceeded`].
    pub fn new(tops: Vec<Class>, limit: u64, max_nodes: usize) -> Self {
        let mut arena = Arena { tops, limit, max_nodes, ..Self::default() };
        arena.sets.intern(&[]);
        arena.bindings.intern(&[]);
        arena
    }

    /// A level below all others, with the highest of its classes.
    pub fn add_level(&mut self, top: Class) -> Level {
        self.tops.push(top);
        (self.tops.len() - 1) as Level
    }

    /// Whether the budget is used up. What was computed since is worthless.
    pub fn exceeded(&self) -> bool {
        self.work > self.limit || self.heads.len() > self.max_nodes
    }

    /// Edges touched so far, and nodes made.
    pub fn cost(&self) -> (u64, usize) {
        (self.work, self.heads.len())
    }

    /// The terminal at which any of some outcomes is possible.
    pub fn terminal(&mut self, outcomes: &[Outcome]) -> Node {
        let id = if outcomes.is_sorted_by(|a, b| a < b) {
            self.sets.intern(outcomes)
        } else {
            let mut sorted = outcomes.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            self.sets.intern(&sorted)
        };
        Node(TERMINAL | id)
    }

    /// The outcomes of a terminal; `None` for other nodes.
    pub fn outcomes(&self, node: Node) -> Option<Rc<[Outcome]>> {
        node.is_terminal().then(|| self.sets.get(node.index() as ListId))
    }

    /// The level that a node asks about; `None` for terminals.
    pub fn level(&self, node: Node) -> Option<Level> {
        (!node.is_terminal()).then(|| self.heads[node.index()].level)
    }

    fn rank(&self, node: Node) -> Level {
        if node.is_terminal() { Level::MAX } else { self.heads[node.index()].level }
    }

    /// A node's edges as (first class, last class, node below), in ascending order.
    pub fn edges(&self, node: Node) -> impl Iterator<Item = (Class, Class, Node)> {
        let mut lo = 0;
        self.slice(node).iter().map(move |e| {
            let from = lo;
            lo = e.hi.wrapping_add(1);
            (from, e.hi, e.to)
        })
    }

    fn slice(&self, node: Node) -> &[Edge] {
        if node.is_terminal() {
            return &[];
        }
        let h = self.heads[node.index()];
        &self.edges[h.start as usize..(h.start + h.len) as usize]
    }

    /// `yes` where the level's class is in one of some ascending, disjoint ranges, `no` elsewhere. Both ask about later levels only.
    pub fn choice(&mut self, level: Level, ranges: &[(Class, Class)], yes: Node, no: Node) -> Node {
        let from = self.scratch.len();
        let top = self.tops[level as usize];
        let mut next = 0;
        for &(lo, hi) in ranges {
            if lo > next {
                self.push(from, lo - 1, no);
            }
            self.push(from, hi, yes);
            if hi >= top {
                return self.finish(level, from);
            }
            next = hi + 1;
        }
        self.push(from, top, no);
        self.finish(level, from)
    }

    fn push(&mut self, from: usize, hi: Class, to: Node) {
        match self.scratch[from..].last_mut() {
            Some(last) if last.to == to => last.hi = hi,
            _ => self.scratch.push(Edge { hi, to }),
        }
    }

    // Makes a node of the edges on the scratch pad from an index on.
    fn finish(&mut self, level: Level, from: usize) -> Node {
        let new = &self.scratch[from..];
        self.work += new.len() as u64;
        if let [only] = new {
            let to = only.to;
            self.scratch.truncate(from);
            return to;
        }
        let hash = hash_of(level, new);
        let (heads, edges) = (&self.heads, &self.edges);
        let of = |i: u32| {
            let h = heads[i as usize];
            (h.level, &edges[h.start as usize..(h.start + h.len) as usize])
        };
        if let Some(i) = self.unique.find(hash, |i| of(*i) == (level, new)) {
            self.scratch.truncate(from);
            return Node(*i);
        }
        let i = heads.len() as u32;
        let (start, len) = (edges.len() as u32, new.len() as u32);
        self.edges.extend_from_slice(&self.scratch[from..]);
        self.scratch.truncate(from);
        self.heads.push(Head { start, len, level });
        self.below.push(None);
        let (heads, edges) = (&self.heads, &self.edges);
        self.unique.insert_unique(hash, i, |i| {
            let h = heads[*i as usize];
            hash_of(h.level, &edges[h.start as usize..(h.start + h.len) as usize])
        });
        Node(i)
    }

    /// The outcomes that are possible somewhere in a diagram, in ascending order.
    pub fn possible(&mut self, node: Node) -> Rc<[Outcome]> {
        let id = self.possible_id(node);
        self.sets.get(id)
    }

    fn possible_id(&mut self, node: Node) -> ListId {
        if node.is_terminal() {
            return node.index() as ListId;
        }
        if let Some(id) = self.below[node.index()] {
            return id;
        }
        let h = self.heads[node.index()];
        let mut ids: SmallVec<[ListId; 16]> = SmallVec::new();
        for i in h.start..h.start + h.len {
            let id = self.possible_id(self.edges[i as usize].to);
            if ids.last() != Some(&id) {
                ids.push(id);
            }
        }
        self.work += u64::from(h.len);
        ids.sort_unstable();
        ids.dedup();
        let id = if let [one] = ids[..] {
            one
        } else {
            let mut all: Vec<Outcome> = ids.iter().flat_map(|i| self.sets.get(*i).to_vec()).collect();
            self.work += all.len() as u64;
            all.sort_unstable();
            all.dedup();
            self.sets.intern(&all)
        };
        self.below[node.index()] = Some(id);
        id
    }

    /// Either diagram's outcomes.
    pub fn union(&mut self, a: Node, b: Node) -> Node {
        let (a, b) = (a.min(b), a.max(b));
        if a == b || b == Node::NOTHING {
            return a;
        }
        if a == Node::NOTHING || self.exceeded() {
            return b;
        }
        if let (Some(x), Some(y)) = (self.outcomes(a), self.outcomes(b)) {
            let both: SmallVec<[Outcome; 16]> = x.iter().chain(y.iter()).copied().collect();
            return self.terminal(&both);
        }
        if let Some(n) = self.united.get(&(a, b)) {
            return *n;
        }
        let level = self.rank(a).min(self.rank(b));
        let from = self.scratch.len();
        let (mut i, mut j, mut done) = (0, 0, false);
        while !done {
            let (x, y) = (self.edge(a, level, i), self.edge(b, level, j));
            let hi = x.hi.min(y.hi);
            let n = self.union(x.to, y.to);
            self.push(from, hi, n);
            i += usize::from(x.hi == hi);
            j += usize::from(y.hi == hi);
            done = hi >= self.tops[level as usize];
        }
        let n = self.finish(level, from);
        self.united.insert((a, b), n);
        n
    }

    // The edge of a node at a level; a node that does not ask there has one edge to itself.
    fn edge(&self, node: Node, level: Level, index: usize) -> Edge {
        if self.rank(node) == level {
            self.slice(node)[index]
        } else {
            Edge { hi: self.tops[level as usize], to: node }
        }
    }

    /// The diagram in which each outcome that `next` knows is replaced by the diagram that it gives: "and then". Other outcomes stay.
    pub fn bind(&mut self, node: Node, mut next: impl FnMut(&mut Self, Outcome) -> Option<Node>) -> Node {
        let outcomes = self.possible(node);
        let mut bindings = Vec::new();
        for o in outcomes.iter() {
            if let Some(n) = next(self, *o) {
                bindings.push((*o, n));
            }
        }
        let id = self.bindings.intern(&bindings);
        self.bound_to(node, id)
    }

    fn bound_to(&mut self, node: Node, id: ListId) -> Node {
        let bindings = self.bindings.get(id);
        if bindings.is_empty() || self.exceeded() {
            return node;
        }
        if let Some(outcomes) = self.outcomes(node) {
            let mut kept: SmallVec<[Outcome; 8]> = SmallVec::new();
            let mut to: SmallVec<[Node; 8]> = SmallVec::new();
            for o in outcomes.iter() {
                match bindings.binary_search_by_key(o, |b| b.0) {
                    Ok(i) => to.push(bindings[i].1),
                    Err(_) => kept.push(*o),
                }
            }
            let kept = self.terminal(&kept);
            return to.into_iter().fold(kept, |all, n| self.union(all, n));
        }
        if let Some(n) = self.bound.get(&(node, id)) {
            return *n;
        }
        let level = bindings.iter().map(|b| self.rank(b.1)).fold(self.rank(node), Level::min);
        let from = self.scratch.len();
        if self.rank(node) == level {
            let h = self.heads[node.index()];
            let mut lo = 0;
            for i in h.start..h.start + h.len {
                let e = self.edges[i as usize];
                let possible = self.possible(e.to);
                let here = among(&bindings, &possible);
                self.segments(from, level, (lo, e.hi), e.to, &here);
                lo = e.hi.wrapping_add(1);
            }
        } else {
            self.segments(from, level, (0, self.tops[level as usize]), node, &bindings);
        }
        let n = self.finish(level, from);
        self.bound.insert((node, id), n);
        n
    }

    // The edges from `lo` to `hi` of a node that is bound to some diagrams, each cut to where it does not change.
    fn segments(
        &mut self,
        from: usize,
        level: Level,
        (mut lo, hi): (Class, Class),
        node: Node,
        bindings: &[(Outcome, Node)],
    ) {
        self.work += bindings.len() as u64 + 1;
        if bindings.is_empty() {
            return self.push(from, hi, node);
        }
        let mut at: SmallVec<[usize; 8]> = bindings
            .iter()
            .map(
                |(_, n)| {
                    if self.rank(*n) == level { self.slice(*n).partition_point(|e| e.hi < lo) } else { 0 }
                },
            )
            .collect();
        let mut below: Bindings = bindings.into();
        loop {
            let mut end = hi;
            for (k, (_, n)) in bindings.iter().enumerate() {
                let e = self.edge(*n, level, at[k]);
                below[k].1 = e.to;
                end = end.min(e.hi);
            }
            self.work += bindings.len() as u64;
            let id = self.bindings.intern(&below);
            let n = self.bound_to(node, id);
            self.push(from, end, n);
            if end == hi || self.exceeded() {
                return self.push(from, hi, n);
            }
            for (k, (_, n)) in bindings.iter().enumerate() {
                at[k] += usize::from(self.rank(*n) == level && self.edge(*n, level, at[k]).hi == end);
            }
            lo = end + 1;
            debug_assert!(lo <= hi);
        }
    }

    // The node with each of those below it replaced by what a function makes of it.
    fn rebuilt(&mut self, node: Node, below: &mut impl FnMut(&mut Self, Node) -> Node) -> Node {
        let h = self.heads[node.index()];
        let from = self.scratch.len();
        for i in h.start..h.start + h.len {
            let e = self.edges[i as usize];
            let n = below(self, e.to);
            self.push(from, e.hi, n);
        }
        self.finish(h.level, from)
    }

    /// The diagram with each terminal replaced by what a function makes of its outcomes.
    pub fn map(&mut self, node: Node, to: &mut impl FnMut(&mut Self, &[Outcome]) -> Node) -> Node {
        self.mapped(node, to, &mut FxHashMap::default())
    }

    fn mapped(
        &mut self,
        node: Node,
        to: &mut impl FnMut(&mut Self, &[Outcome]) -> Node,
        done: &mut FxHashMap<Node, Node>,
    ) -> Node {
        if let Some(n) = done.get(&node) {
            return *n;
        }
        let n = if let Some(outcomes) = self.outcomes(node) {
            to(self, &outcomes)
        } else {
            self.rebuilt(node, &mut |arena, below| arena.mapped(below, to, done))
        };
        done.insert(node, n);
        n
    }

    /// The diagram where some levels have one class for certain: they are asked about no more.
    pub fn fixed(&mut self, node: Node, values: &[(Level, Class)]) -> Node {
        self.fix(node, values, &mut FxHashMap::default())
    }

    fn fix(&mut self, node: Node, values: &[(Level, Class)], done: &mut FxHashMap<Node, Node>) -> Node {
        let rank = self.rank(node);
        if values.iter().all(|(level, _)| *level < rank) || self.exceeded() {
            return node;
        }
        if let Some(n) = done.get(&node) {
            return *n;
        }
        let n = if let Some((_, class)) = values.iter().find(|(level, _)| *level == rank) {
            let edges = self.slice(node);
            let to = edges[edges.partition_point(|e| e.hi < *class)].to;
            self.work += 1;
            self.fix(to, values, done)
        } else {
            self.rebuilt(node, &mut |arena, below| arena.fix(below, values, done))
        };
        done.insert(node, n);
        n
    }

    /// A diagram that says the same where each level's class is within its ranges, and elsewhere whatever makes it small: everything that is possible
    /// in it is possible within. No ranges are empty; a level without ranges is not restricted.
    pub fn within(&mut self, node: Node, ranges: &[Option<&[(Class, Class)]>]) -> Node {
        self.cut(node, ranges, &mut FxHashMap::default())
    }

    fn cut(
        &mut self,
        node: Node,
        ranges: &[Option<&[(Class, Class)]>],
        done: &mut FxHashMap<Node, Node>,
    ) -> Node {
        if node.is_terminal() || self.exceeded() {
            return node;
        }
        if let Some(n) = done.get(&node) {
            return *n;
        }
        let n = match ranges.get(self.rank(node) as usize).copied().flatten() {
            None => self.rebuilt(node, &mut |arena, below| arena.cut(below, ranges, done)),
            Some(inside) => {
                let level = self.rank(node);
                let top = self.tops[level as usize];
                let edges: SmallVec<[Edge; 8]> = met(self.slice(node), inside).collect();
                let from = self.scratch.len();
                for (i, e) in edges.iter().enumerate() {
                    let n = self.cut(e.to, ranges, done);
                    self.push(from, if i + 1 == edges.len() { top } else { e.hi }, n);
                }
                self.finish(level, from)
            }
        };
        done.insert(node, n);
        n
    }

    /// The diagram without the levels from one on: what was possible under any of their answers.
    pub fn project(&mut self, node: Node, level: Level) -> Node {
        self.projected(node, level, &mut FxHashMap::default())
    }

    fn projected(&mut self, node: Node, level: Level, done: &mut FxHashMap<Node, Node>) -> Node {
        if node.is_terminal() {
            return node;
        }
        if let Some(n) = done.get(&node) {
            return *n;
        }
        let n = if self.rank(node) >= level {
            let id = self.possible_id(node);
            Node(TERMINAL | id)
        } else {
            self.rebuilt(node, &mut |arena, below| arena.projected(below, level, done))
        };
        done.insert(node, n);
        n
    }

    /// The diagram without some levels, by level: what was possible under any of their answers.
    pub fn forget(&mut self, node: Node, levels: &[bool]) -> Node {
        self.forgot(node, levels, &mut FxHashMap::default())
    }

    fn forgot(&mut self, node: Node, levels: &[bool], done: &mut FxHashMap<Node, Node>) -> Node {
        if node.is_terminal() || self.exceeded() {
            return node;
        }
        if let Some(n) = done.get(&node) {
            return *n;
        }
        let h = self.heads[node.index()];
        let n = if levels.get(h.level as usize) == Some(&true) {
            let mut below: Vec<Node> = self.slice(node).iter().map(|e| e.to).collect();
            below.sort_unstable();
            below.dedup();
            // By halves: what many of them have in common is met early.
            let mut all: Vec<Node> = below.into_iter().map(|n| self.forgot(n, levels, done)).collect();
            while all.len() > 1 {
                all = all
                    .chunks(2)
                    .map(|pair| pair.iter().copied().reduce(|a, b| self.union(a, b)).unwrap_or(Node::NOTHING))
                    .collect();
            }
            all.first().copied().unwrap_or(Node::NOTHING)
        } else {
            self.rebuilt(node, &mut |arena, below| arena.forgot(below, levels, done))
        };
        done.insert(node, n);
        n
    }

    /// What [`Arena::possible`] has found out of a node; nothing of nodes that it was not asked about.
    pub fn known_possible(&self, node: Node) -> Rc<[Outcome]> {
        let id = if node.is_terminal() { Some(node.index() as ListId) } else { self.below[node.index()] };
        id.map_or_else(|| Rc::from([]), |id| self.sets.get(id))
    }

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

// The edges that ascending ranges meet.
fn met<'e>(edges: &'e [Edge], ranges: &'e [(Class, Class)]) -> impl Iterator<Item = Edge> + 'e {
    let mut from = 0;
    edges.iter().copied().filter(move |e| {
        let lo = std::mem::replace(&mut from, e.hi.wrapping_add(1));
        ranges.get(ranges.partition_point(|r| r.1 < lo)).is_some_and(|r| r.0 <= e.hi)
    })
}

// What outcomes lead to, in ascending order.
type Bindings = SmallVec<[(Outcome, Node); 8]>;

// The bindings whose outcome is in an ascending list.
fn among(bindings: &[(Outcome, Node)], possible: &[Outcome]) -> Bindings {
    if bindings.len() <= 8 * possible.len() {
        return bindings.iter().filter(|b| possible.binary_search(&b.0).is_ok()).copied().collect();
    }
    possible
        .iter()
        .filter_map(|o| bindings.binary_search_by_key(o, |b| b.0).ok())
        .map(|i| bindings[i])
        .collect()
}

fn hash_of(level: Level, edges: &[Edge]) -> u64 {
    let mut h = FxHasher::default();
    h.write_u16(level);
    for e in edges {
        h.write_u64(u64::from(e.hi) << 32 | u64::from(e.to.0));
    }
    h.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOPS: [Class; 3] = [4, 3, 5];

    fn arena() -> Arena {
        Arena::new(TOPS.to_vec(), u64::MAX, usize::MAX)
    }

    // What a diagram says of one point, edge by edge.
    fn at(arena: &Arena, mut node: Node, point: [Class; 3]) -> Vec<Outcome> {
        while let Some(level) = arena.level(node) {
            let class = point[level as usize];
            node = arena.edges(node).find(|(lo, hi, _)| (*lo..=*hi).contains(&class)).unwrap().2;
        }
        arena.outcomes(node).unwrap().to_vec()
    }

    fn points() -> impl Iterator<Item = [Class; 3]> {
        (0..=TOPS[0]).flat_map(|a| (0..=TOPS[1]).flat_map(move |b| (0..=TOPS[2]).map(move |c| [a, b, c])))
    }

    // A list of rules: a box each, and the outcome where it applies.
    type Rules = Vec<([(Class, Class); 3], Outcome)>;

    fn rules() -> impl Strategy<Value = Rules> {
        let side = |top: Class| (0..=top, 0..=top).prop_map(|(a, b)| (a.min(b), a.max(b)));
        let boxes = (side(TOPS[0]), side(TOPS[1]), side(TOPS[2])).prop_map(|(a, b, c)| [a, b, c]);
        proptest::collection::vec((boxes, 1..4u32), 0..7)
    }

    // Outcome 0 is "on with the next".
    fn build(arena: &mut Arena, rules: &Rules) -> Node {
        let on = arena.terminal(&[0]);
        let mut node = on;
        for (sides, outcome) in rules {
            let mut rule = arena.terminal(&[*outcome]);
            for level in (0..3).rev() {
                rule = arena.choice(level as Level, &[sides[level]], rule, on);
            }
            node = arena.bind(node, |_, o| (o == 0).then_some(rule));
        }
        node
    }

    fn first(rules: &Rules, point: [Class; 3]) -> Outcome {
        let inside =
            |sides: &[(Class, Class); 3]| (0..3).all(|i| (sides[i].0..=sides[i].1).contains(&point[i]));
        rules.iter().find(|r| inside(&r.0)).map_or(0, |r| r.1)
    }

    proptest! {
        #[test]
        fn the_first_rule_decides(a in rules(), b in rules()) {
            let mut arena = arena();
            let (x, y) = (build(&mut arena, &a), build(&mut arena, &b));
            let both = arena.bind(x, |_, o| (o == 0).then_some(y));
            let either = arena.union(x, y);
            let listed: Rules = a.iter().chain(&b).copied().collect();
            for p in points() {
                prop_assert_eq!(at(&arena, both, p), vec![first(&listed, p)]);
                let mut wanted = vec![first(&a, p), first(&b, p)];
                wanted.sort_unstable();
                wanted.dedup();
                prop_assert_eq!(at(&arena, either, p), wanted);
            }
            // Equal functions are one node, however they came about.
            prop_assert_eq!(both, build(&mut arena, &listed));
            let same = points().all(|p| first(&a, p) == first(&b, p));
            prop_assert_eq!(same, x == y);
        }

        // Several outcomes that go on at once, each with a diagram of its own.
        #[test]
        fn each_outcome_goes_its_own_way(a in rules(), next in proptest::collection::vec(rules(), 4)) {
            let mut arena = arena();
            let x = build(&mut arena, &a);
            let ways: Vec<Node> = next.iter().map(|r| build(&mut arena, r)).collect();
            let bound = arena.bind(x, |_, o| (o != 3).then_some(ways[o as usize]));
            for p in points() {
                let before = first(&a, p);
                let wanted = if before == 3 { 3 } else { first(&next[before as usize], p) };
                prop_assert_eq!(at(&arena, bound, p), vec![wanted]);
            }
        }

        #[test]
        fn what_is_possible_somewhere(a in rules(), b in rules(), sides in rules()) {
            let mut arena = arena();
            let (x, y) = (build(&mut arena, &a), build(&mut arena, &b));
            let node = arena.union(x, y);
            let all: std::collections::BTreeSet<Outcome> = points().flat_map(|p| at(&arena, node, p)).collect();
            prop_assert_eq!(arena.possible(node).to_vec(), all.into_iter().collect::<Vec<_>>());
            for (sides, outcome) in sides {
                let ranges: Vec<Vec<(Class, Class)>> = sides.iter().map(|s| vec![*s]).collect();
                let ranges: Vec<Option<&[(Class, Class)]>> = ranges.iter().map(|r| Some(r.as_slice())).collect();
                let inside = |p: &[Class; 3]| (0..3).all(|i| (sides[i].0..=sides[i].1).contains(&p[i]));
                let wanted = points().filter(inside).any(|p| at(&arena, node, p).contains(&outcome));
                prop_assert_eq!(arena.meets(node, &ranges, &|o| o == outcome), wanted);
                let cut = arena.within(node, &ranges);
                let mut possible = std::collections::BTreeSet::new();
                for p in points().filter(inside) {
                    prop_assert_eq!(at(&arena, cut, p), at(&arena, node, p));
                    possible.extend(at(&arena, node, p));
                }
                prop_assert_eq!(arena.possible(cut).to_vec(), possible.into_iter().collect::<Vec<_>>());
            }
            let flat = arena.project(node, 2);
            let forgot = arena.forget(node, &[false, true]);
            for p in points() {
                let mut wanted: Vec<Outcome> = (0..=TOPS[1]).flat_map(|c| at(&arena, node, [p[0], c, p[2]])).collect();
                wanted.sort_unstable();
                wanted.dedup();
                prop_assert_eq!(at(&arena, forgot, p), wanted);
                let mut wanted: Vec<Outcome> = (0..=TOPS[2]).flat_map(|c| at(&arena, node, [p[0], p[1], c])).collect();
                wanted.sort_unstable();
                wanted.dedup();
                prop_assert_eq!(at(&arena, flat, p), wanted);
            }
        }
    }

    #[test]
    fn a_budget_ends_the_work() {
        let mut arena = Arena::new(TOPS.to_vec(), 3, usize::MAX);
        let (yes, no) = (arena.terminal(&[1]), arena.terminal(&[2]));
        let a = arena.choice(0, &[(0, 1), (3, 3)], yes, no);
        arena.choice(1, &[(0, 1), (3, 3)], a, no);
        assert!(arena.exceeded());
    }
}
