//! Nodes: where they live, and how they are made.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHasher};
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
pub struct Node(pub(super) u32);

pub(super) const TERMINAL: u32 = 1 << 31;

impl Node {
    /// The terminal at which nothing is possible.
    pub const NOTHING: Node = Node(TERMINAL);

    pub(super) const fn is_terminal(self) -> bool {
        self.0 & TERMINAL != 0
    }

    pub(super) const fn index(self) -> usize {
        (self.0 & !TERMINAL) as usize
    }
}

// From the class after the one before up to `hi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    pub hi: Class,
    pub to: Node,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub start: u32,
    pub len: u32,
    pub level: Level,
}

// Index of an interned list.
pub(super) type ListId = u32;

/// Where nodes live. Operations on nodes of other arenas give nonsense.
#[derive(Default)]
pub struct Arena {
    // The highest class of each level.
    pub(super) tops: Vec<Class>,
    pub(super) heads: Vec<Head>,
    pub(super) edges: Vec<Edge>,
    unique: HashTable<u32>,
    pub(super) sets: Lists<Outcome>,
    pub(super) bindings: Lists<(Outcome, Node)>,
    // By node: the outcomes that are possible somewhere below, as an index into `sets`.
    below: Vec<Option<ListId>>,
    pub(super) bound: FxHashMap<(Node, ListId), Node>,
    pub(super) united: FxHashMap<(Node, Node), Node>,
    pub(super) scratch: Vec<Edge>,
    pub(super) work: u64,
    limit: u64,
    max_nodes: usize,
}

pub(super) struct Lists<T> {
    pub lists: Vec<Rc<[T]>>,
    // With their hashes.
    index: HashTable<(u64, ListId)>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { lists: Vec::new(), index: HashTable::new() }
    }
}

impl<T: std::hash::Hash + Eq + Clone> Lists<T> {
    pub(super) fn intern(&mut self, list: &[T]) -> ListId {
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

    pub(super) fn get(&self, id: ListId) -> Rc<[T]> {
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

    pub(super) fn rank(&self, node: Node) -> Level {
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

    pub(super) fn slice(&self, node: Node) -> &[Edge] {
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

    pub(super) fn push(&mut self, from: usize, hi: Class, to: Node) {
        match self.scratch[from..].last_mut() {
            Some(last) if last.to == to => last.hi = hi,
            _ => self.scratch.push(Edge { hi, to }),
        }
    }

    // Makes a node of the edges on the scratch pad from an index on.
    pub(super) fn finish(&mut self, level: Level, from: usize) -> Node {
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

    pub(super) fn possible_id(&mut self, node: Node) -> ListId {
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

    /// What [`Arena::possible`] has found out of a node; nothing of nodes that it was not asked about.
    pub fn known_possible(&self, node: Node) -> Rc<[Outcome]> {
        let id = if node.is_terminal() { Some(node.index() as ListId) } else { self.below[node.index()] };
        id.map_or_else(|| Rc::from([]), |id| self.sets.get(id))
    }
}

fn hash_of(level: Level, edges: &[Edge]) -> u64 {
    let mut h = FxHasher::default();
    h.write_u16(level);
    for e in edges {
        h.write_u64(u64::from(e.hi) << 32 | u64::from(e.to.0));
    }
    h.finish()
}
