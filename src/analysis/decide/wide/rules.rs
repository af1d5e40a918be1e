//! Rules, chains and hooks, put together.

use super::guard::{Doubt, Guard, Key};
use super::{By, Out, Wide};
use crate::analysis::decide::cell::{Cell, View};
use crate::analysis::decide::reason::Why;
use crate::analysis::decide::walk::Here;
use crate::analysis::diagram::{ClassSet, Node, Outcome};
use crate::model::*;
use crate::packet::{ConnState, Field, IntervalSet, Path, Region, shared_carriers};
use std::rc::Rc;

// Rules that are put together before those that follow are asked whether anything is left for them.
const FIRST_BLOCK: usize = 64;
// Stack that a step into a chain needs at most, and what is added where there is less.
const RED_ZONE: usize = 256 * 1024;
const SEGMENT: usize = 4 * 1024 * 1024;
// Rules that lead to a translation that are asked what packets come to it.
const CALLERS: usize = 16;

impl<'a> Wide<'_, 'a> {
    /// What becomes of packets in a state from a base chain of a path on.
    pub(super) fn path(&mut self, path: Path, at: usize, state: u32) -> Node {
        let state = self.without_unread(state);
        let key = (path, at, state);
        if let Some(n) = self.paths.get(&key) {
            return *n;
        }
        let node = self
            .substituted(path, at, state)
            .unwrap_or_else(|| stacker::maybe_grow(RED_ZONE, SEGMENT, || self.base_chain(path, at, state)));
        self.paths.insert(key, node);
        node
    }

    fn base_chain(&mut self, path: Path, at: usize, state: u32) -> Node {
        let Some((firewall, base)) = self.walk.ways[path as usize].get(at).copied() else {
            return self.passed(state);
        };
        if self.failed() {
            return Node::NOTHING;
        }
        let f = self.walk.question.point.firewalls[firewall];
        let here = Here { firewall, f, base, at, sees: base.hook.sees(path) };
        let plain = Cell::arriving(Region::all(self.walk.family), state);
        let (enters, passes) = self.walk.consulted(&here, plain);
        let mut node = Node::NOTHING;
        if enters.is_some() {
            node = self.chain(&here, path, base.chain, state);
        }
        // A nat chain looks at packets that open a connection.
        if let Some(cell) = passes {
            let accept = self.terminal(&[Out::Accept(state, None)]);
            node = if enters.is_some() {
                let set = self.exact_set(Field::State, cell.region.get(Field::State));
                self.split(Field::State, &set, accept, node)
            } else {
                accept
            };
        }
        let outcomes = self.arena.possible(node);
        let mut next = Vec::with_capacity(outcomes.len());
        let policy = self.policy_named(&here);
        for o in outcomes.iter() {
            let to = match self.outs[*o as usize] {
                Out::Fall(s) | Out::Return(s) => match base.policy {
                    Policy::Accept => Some(self.accepted(&here, s, policy)),
                    Policy::Drop => Some(self.stopped(s)),
                    Policy::Unknown(c) => {
                        let reason = self.walk.reason(firewall, Why::Condition(c), base.policy_origin);
                        self.doubts.push(Doubt { fields: Default::default(), reason, by: policy });
                        let (yes, no) = (self.accepted(&here, s, policy), self.stopped(s));
                        Some(self.arena.union(yes, no))
                    }
                },
                Out::Accept(s, by) => Some(self.accepted(&here, s, by)),
                _ => None,
            };
            next.extend(to.map(|n| (*o, n)));
        }
        self.arena.bind(node, |_, o| found(&next, o))
    }

    // The state without what no rule reads: fewer ways are followed then.
    fn without_unread(&mut self, state: u32) -> u32 {
        let mut s = self.walk.state(state).clone();
        for (held, read) in s.registers.iter_mut().zip(self.read) {
            if !read {
                *held = Some(0);
            }
        }
        self.walk.intern(s)
    }

    fn stopped(&mut self, state: u32) -> Node {
        let out = self.dropped(state);
        let node = self.terminal(&[out]);
        self.delivered(state, node, |wide, elsewhere| {
            let out = wide.dropped(elsewhere);
            wide.terminal(&[out])
        })
    }

    // Of destinations that are not one known value, the question asks for some: `node` where it asks, else as if they were another one.
    fn delivered(&mut self, state: u32, node: Node, end: impl FnOnce(&mut Self, u32) -> Node) -> Node {
        let Some(wanted) = self.walk.question.delivered_to.clone() else { return node };
        let set = match self.walk.state(state).views[Field::Dst.index()] {
            View::Same => self.exact_set(Field::Dst, &wanted),
            View::Shift(by) => self.before_move(Field::Dst, &wanted, by),
            _ => return node,
        };
        let Some(other) = Field::Dst.complement(&wanted).first() else { return node };
        let mut elsewhere = self.walk.state(state).clone();
        elsewhere.views[Field::Dst.index()] = View::One(other);
        let elsewhere = self.walk.intern(elsewhere);
        let elsewhere = end(self, elsewhere);
        self.split(Field::Dst, &set, node, elsewhere)
    }

    // The end of the way.
    fn passed(&mut self, state: u32) -> Node {
        let node = self.let_through(state);
        self.delivered(state, node, Self::let_through)
    }

    fn let_through(&mut self, state: u32) -> Node {
        let mut end = self.walk.state(state).clone();
        // What no later rule and no report asks for.
        end.known = Vec::new();
        end.registers = Default::default();
        (end.translated, end.written) = ([false; 2], 0);
        end.views[Field::Mac.index()] = View::Same;
        let untracked = ConnState::Untracked.value();
        let view = end.views[Field::State.index()].clone();
        let end = self.walk.intern(end);
        let tracked = self.terminal(&[Out::Passed(end, None)]);
        if view != View::Same {
            return tracked;
        }
        let mut other = self.walk.state(end).clone();
        other.views[Field::State.index()] = View::One(untracked);
        let other = self.walk.intern(other);
        let not = self.terminal(&[Out::Passed(other, None)]);
        let set = self.exact_set(Field::State, &IntervalSet::single(untracked));
        self.split(Field::State, &set, not, tracked)
    }

    // The base chain lets packets in a state through.
    fn accepted(&mut self, here: &Here<'a>, state: u32, by: By) -> Node {
        let node = self.sent_on(here, state);
        self.let_in_by(node, by)
    }

    fn sent_on(&mut self, here: &Here<'a>, state: u32) -> Node {
        let key = (self.walk.state(state).path, here.at, state);
        if let Some(n) = self.sent_on.get(&key) {
            return *n;
        }
        let cell = Cell::arriving(Region::all(self.walk.family), state);
        let cells = self.walk.rerouted(here, cell, here.base.policy_origin);
        let node = self.ways(cells, &Region::all(self.walk.family), |wide, state| {
            let path = wide.walk.state(state).path;
            wide.path(path, here.at + 1, state)
        });
        self.sent_on.insert(key, node);
        node
    }

    // Cells that are disjoint, or further ways of the others: what each becomes, put together. Of packets that are not within a region nothing is said.
    fn ways(
        &mut self,
        cells: Vec<Cell>,
        within: &Region,
        mut then: impl FnMut(&mut Self, u32) -> Node,
    ) -> Node {
        let mut node = Node::NOTHING;
        for cell in cells {
            let mut reached = then(self, cell.state);
            if let Some(reasons) = &cell.because {
                for reason in reasons.iter() {
                    self.doubts.push(Doubt { fields: Default::default(), reason: *reason, by: None });
                }
            }
            for f in Field::ALL {
                if cell.region.get(f) != within.get(f) {
                    let set = self.exact_set(f, cell.region.get(f));
                    reached = self.split(f, &set, reached, Node::NOTHING);
                }
            }
            node = self.arena.union(node, reached);
        }
        node
    }

    /// What a chain does to packets in a state: lets them fall, accepts or drops them.
    fn chain(&mut self, here: &Here<'a>, path: Path, chain: ChainId, state: u32) -> Node {
        let key = (path, here.at, chain, state);
        if let Some(n) = self.chains.get(&key) {
            return *n;
        }
        let node = stacker::maybe_grow(RED_ZONE, SEGMENT, || self.blocks(here, path, chain, state));
        // Whoever returns goes on after the jump, as those who come to the end.
        let outs = &self.outs;
        let returns: Vec<(u32, u32)> = self
            .arena
            .possible(node)
            .iter()
            .filter_map(|o| match outs[*o as usize] {
                Out::Return(s) => Some((*o, s)),
                _ => None,
            })
            .collect();
        let node = self.rename(node, &returns, Out::Fall);
        self.chains.insert(key, node);
        node
    }

    fn rename(&mut self, node: Node, from: &[(u32, u32)], to: fn(u32) -> Out) -> Node {
        let to: Vec<(u32, Node)> = from.iter().map(|(o, s)| (*o, self.terminal(&[to(*s)]))).collect();
        self.arena.bind(node, |_, o| found(&to, o))
    }

    // In blocks, each twice as long as the one before: rules for which nothing is left are not put together at all.
    fn blocks(&mut self, here: &Here<'a>, path: Path, chain: ChainId, state: u32) -> Node {
        let rules = Rc::clone(&self.touched[here.firewall][chain.index()]);
        let mut node = self.terminal(&[Out::Fall(state)]);
        let (mut next, mut size) = (0, FIRST_BLOCK);
        while next < rules.len() && !self.failed() {
            let block = &rules[next..(next + size).min(rules.len())];
            next += block.len();
            size = next.max(FIRST_BLOCK);
            let falls = self.falls(node);
            if falls.is_empty() {
                break;
            }
            let left = self.left(here, chain, block, node, &falls);
            if left.is_empty() {
                continue;
            }
            let mut then = Vec::with_capacity(falls.len());
            for (o, s) in falls {
                then.push((o, self.halves(here, path, chain, &left, s)));
            }
            node = self.arena.bind(node, |_, o| found(&then, o));
        }
        node
    }

    fn falls(&mut self, node: Node) -> Vec<(u32, u32)> {
        let outs = &self.outs;
        let falls = |o: &u32| match outs[*o as usize] {
            Out::Fall(s) => Some((*o, s)),
            _ => None,
        };
        self.arena.possible(node).iter().filter_map(falls).collect()
    }

    // The rules of a block that packets may come to.
    fn left(
        &mut self,
        here: &Here<'a>,
        chain: ChainId,
        block: &[u32],
        node: Node,
        falls: &[(u32, u32)],
    ) -> Vec<u32> {
        if self.arena.level(node).is_none() {
            return block.to_vec();
        }
        let mut out = Vec::new();
        for index in block {
            let rule = &here.f.chain(chain).rules[*index as usize];
            let mut sets: Vec<Option<Rc<ClassSet>>> = vec![None; Field::COUNT];
            let run = self.walk.run_of(here.f, chain, *index as usize);
            for (at, t) in here.f.terms(rule.terms).iter().enumerate() {
                let run = run.filter(|r| r.at == at);
                let (field, key) = match (run, *t) {
                    (Some(run), _) => (run.field, Key::Run(here.firewall, chain, run.first)),
                    (None, Term::Range { field, lo, hi }) => (field, Key::Range(lo, hi)),
                    (None, Term::In(field, id)) => (field, Key::Pooled(here.firewall, id)),
                    _ => continue,
                };
                let plain = |s: u32| {
                    matches!(
                        crate::analysis::decide::hull::seen(
                            field,
                            &self.walk.state(s).views[field.index()],
                            here.sees
                        ),
                        crate::analysis::decide::hull::Seen::Same
                    )
                };
                let Some(level) = self.levels[field.index()] else { continue };
                if !falls.iter().all(|(_, s)| plain(*s)) {
                    continue;
                }
                sets[level as usize] = match run {
                    Some(run) => Some(self.class_set(field, key, &run.values)),
                    None => here.f.field_set(t).map(|(_, set)| self.class_set(field, key, &set)),
                };
            }
            let ranges: Vec<Option<&[(u32, u32)]>> =
                sets.iter().map(|s| s.as_ref().map(|s| s.as_slice())).collect();
            if self.arena.meets(node, &ranges, &|o| falls.binary_search_by_key(&o, |f| f.0).is_ok()) {
                out.push(*index);
            }
        }
        out
    }

    // By halves: to put rules together one by one would copy the widest node once for each.
    fn halves(&mut self, here: &Here<'a>, path: Path, chain: ChainId, rules: &[u32], state: u32) -> Node {
        if self.failed() {
            return Node::NOTHING;
        }
        match rules {
            [] => self.terminal(&[Out::Fall(state)]),
            [one] => self.rule(here, path, chain, *one, state),
            _ => {
                let (a, b) = rules.split_at(rules.len() / 2);
                let first = self.halves(here, path, chain, a, state);
                let mut then = Vec::new();
                for (o, s) in self.falls(first) {
                    then.push((o, self.halves(here, path, chain, b, s)));
                }
                self.arena.bind(first, |_, o| found(&then, o))
            }
        }
    }

    fn rule(&mut self, here: &Here<'a>, path: Path, chain: ChainId, index: u32, state: u32) -> Node {
        let rule = &here.f.chain(chain).rules[index as usize];
        let acts = !matches!(rule.action, Action::Accept | Action::Continue | Action::Return);
        let run = self.walk.run_of(here.f, chain, index as usize).map(|r| (chain, r));
        let guard = self.guard(here, rule, (rule.terms, run), state, acts, true);
        let no = self.terminal(&[Out::Fall(state)]);
        if guard.refused {
            return no;
        }
        let by = if rule.action == Action::Accept { self.rule_named(here, (chain, index)) } else { None };
        for reason in &guard.reasons {
            self.doubts.push(Doubt { fields: guard.fields.clone(), reason: *reason, by });
        }
        // Of a field that has one of several values, what is left of them on either way.
        let (mut taken, mut others) = (state, Vec::new());
        for (field, set) in &guard.choices {
            let (inside, outside) = self.halved(taken, *field, set);
            others.push(outside);
            taken = inside;
        }
        let mut yes = self.act(here, path, (chain, index), taken);
        for s in others {
            let other = self.terminal(&[Out::Fall(s)]);
            yes = self.arena.union(yes, other);
        }
        if guard.doubtful {
            yes = self.unnamed(yes);
            yes = self.arena.union(yes, no);
        }
        if guard.others.is_empty() && self.arena.level(yes).is_none() {
            return self.conjunction(&guard, yes, no);
        }
        let plain = Guard { doubtful: false, choices: Vec::new(), ..guard };
        let asked = self.boolean(&plain);
        self.when(asked, yes, no)
    }

    fn halved(&mut self, state: u32, field: Field, set: &IntervalSet) -> (u32, u32) {
        let View::Among { of, left } = self.walk.state(state).views[field.index()].clone() else {
            return (state, state);
        };
        let mut with = |left: IntervalSet| {
            let mut s = self.walk.state(state).clone();
            s.views[field.index()] = View::Among { of: of.clone(), left: std::sync::Arc::new(left) };
            self.walk.intern(s)
        };
        (with(left.intersect(set)), with(left.minus(set)))
    }

    // What a rule does to packets that it applies to.
    fn act(&mut self, here: &Here<'a>, path: Path, place: (ChainId, u32), state: u32) -> Node {
        let rule = &here.f.chain(place.0).rules[place.1 as usize];
        let state = match rule.effects {
            Some(_) => self.walk.effects(here, state, here.f.effects(rule)),
            None => state,
        };
        match rule.action {
            Action::Accept => {
                let by = self.rule_named(here, place);
                self.terminal(&[Out::Accept(state, by)])
            }
            Action::Drop | Action::Reject => self.stopped(state),
            Action::Return => self.terminal(&[Out::Return(state)]),
            Action::Continue => self.terminal(&[Out::Fall(state)]),
            Action::Jump(to) | Action::Goto(to) if here.f.looping()[to.index()] => {
                self.unsupported = true;
                Node::NOTHING
            }
            Action::Jump(to) => self.chain(here, path, to, state),
            Action::Goto(to) => {
                let node = self.chain(here, path, to, state);
                let falls = self.falls(node);
                self.rename(node, &falls, Out::Return)
            }
            Action::Translate(t) => {
                let t = here.f.translations[t.index()];
                self.translated(here, place, state, &t)
            }
            Action::Unknown(c) => {
                let reason = self.walk.reason(here.firewall, Why::Condition(c), rule.origin);
                let by = self.rule_named(here, place);
                self.doubts.push(Doubt { fields: Default::default(), reason, by });
                let drop = self.stopped(state);
                let mut s = self.walk.state(state).clone();
                s.registers = Default::default();
                let on = self.walk.intern(s);
                let node = self.terminal(&[Out::Accept(on, by), Out::Fall(on)]);
                let node = self.arena.union(node, drop);
                if here.base.kind != ChainKind::Nat {
                    return node;
                }
                let translated = self.translated(here, place, on, &Translation::anything(here.base.hook));
                self.arena.union(node, translated)
            }
        }
    }

    fn translated(&mut self, here: &Here<'a>, place: (ChainId, u32), state: u32, t: &Translation) -> Node {
        let within = self.arriving_at(here, place, state);
        let cells = self.walk.translate(here, Cell::arriving(within.clone(), state), t);
        let by = self.rule_named(here, place);
        self.ways(cells, &within, |wide, s| wide.terminal(&[Out::Accept(s, by)]))
    }

    // Packets to which a rule may apply in a state, and perhaps others: all that the rule asks for, and the rules that lead to it where each of them is the
    // only one. What they ask is asked of the arriving values of fields that rules see as they arrived: no field comes back to that.
    fn arriving_at(&self, here: &Here<'a>, place: (ChainId, u32), state: u32) -> Region {
        let all = Region::all(self.walk.family);
        let views = &self.walk.state(state).views;
        let same = |field: Field| {
            let seen = super::super::hull::seen(field, &views[field.index()], here.sees);
            matches!(seen, super::super::hull::Seen::Same)
        };
        let mut within = all.clone();
        for field in [Field::Src, Field::Dst].into_iter().filter(|f| same(*f)) {
            within = within.cut(field, &self.arrived[field.index()]);
        }
        let mut next = Some(place);
        for _ in 0..CALLERS {
            let Some((chain, index)) = next else { break };
            let rule = &here.f.chain(chain).rules[index as usize];
            let run = here.f.run(chain, index as usize);
            for (at, t) in here.f.terms(rule.terms).iter().enumerate() {
                let of_run = run.filter(|r| r.at == at).map(|r| (r.field, r.values.clone()));
                let Some((field, set)) = of_run.or_else(|| here.f.field_set(t)) else { continue };
                let carriers = shared_carriers(field);
                if same(field) && (carriers.is_none() || same(Field::Proto)) {
                    within = within.cut(field, &set);
                    within = carriers.map_or(within.clone(), |with| within.cut(Field::Proto, with));
                }
            }
            next = self.callers[here.firewall][chain.index()];
        }
        if within.is_empty() { all } else { within }
    }
}

/// By chain, the rule of those touched that leads to it, if it is the only one.
pub(super) fn callers(f: &Firewall, touched: &[Rc<[u32]>]) -> Vec<Option<(ChainId, u32)>> {
    let mut out = vec![None; touched.len()];
    let mut several = vec![false; touched.len()];
    for base in &f.base_chains {
        several[base.chain.index()] = true;
    }
    for (id, rules) in (0..).map(ChainId).zip(touched) {
        for index in rules.iter() {
            if let Action::Jump(to) | Action::Goto(to) = f.chain(id).rules[*index as usize].action {
                let one = out[to.index()].is_none() && !several[to.index()];
                several[to.index()] = !one;
                out[to.index()] = one.then_some((id, *index));
            }
        }
    }
    out
}

// What an outcome of an ascending list leads to.
pub(super) fn found(list: &[(Outcome, Node)], outcome: Outcome) -> Option<Node> {
    list.binary_search_by_key(&outcome, |l| l.0).ok().map(|i| list[i].1)
}
