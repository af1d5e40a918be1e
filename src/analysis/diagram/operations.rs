//! What is made of diagrams.

use super::arena::{Arena, Class, Edge, Level, ListId, Node, Outcome, TERMINAL};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

impl Arena {
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
        let n = self.stepwise(level, (a, b), &mut |arena, (x, y)| arena.union(x, y));
        self.united.insert((a, b), n);
        n
    }

    /// Two diagrams laid on each other: what a function makes of the outcomes of both.
    pub fn laid(
        &mut self,
        a: Node,
        b: Node,
        to: &mut impl FnMut(&mut Self, &[Outcome], &[Outcome]) -> Node,
    ) -> Node {
        self.lay((a, b), to, &mut FxHashMap::default())
    }

    fn lay(
        &mut self,
        (a, b): (Node, Node),
        to: &mut impl FnMut(&mut Self, &[Outcome], &[Outcome]) -> Node,
        done: &mut FxHashMap<(Node, Node), Node>,
    ) -> Node {
        if self.exceeded() {
            return Node::NOTHING;
        }
        if let Some(n) = done.get(&(a, b)) {
            return *n;
        }
        let n = match (self.outcomes(a), self.outcomes(b)) {
            (Some(x), Some(y)) => to(self, &x, &y),
            _ => {
                let level = self.rank(a).min(self.rank(b));
                self.stepwise(level, (a, b), &mut |arena, pair| arena.lay(pair, to, done))
            }
        };
        done.insert((a, b), n);
        n
    }

    // A node at a level, of what a function makes of those below two others, edge by edge.
    fn stepwise(
        &mut self,
        level: Level,
        (a, b): (Node, Node),
        below: &mut impl FnMut(&mut Self, (Node, Node)) -> Node,
    ) -> Node {
        let from = self.scratch.len();
        let (mut i, mut j, mut done) = (0, 0, false);
        while !done {
            let (x, y) = (self.edge(a, level, i), self.edge(b, level, j));
            let hi = x.hi.min(y.hi);
            let n = below(self, (x.to, y.to));
            self.push(from, hi, n);
            i += usize::from(x.hi == hi);
            j += usize::from(y.hi == hi);
            done = hi >= self.tops[level as usize];
        }
        self.finish(level, from)
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
