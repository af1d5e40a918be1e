//! The walk: cells of packets go forward through the chains, rule by rule.
//!
//! Each packet of the question is in exactly one *main* cell at any time. Where a rule may or may not apply, the main
//! cell goes on as if it did not, and an *extra* cell takes the other way. What the main cells come to is a partition
//! of the question; what the extra cells come to are further possible outcomes. A condition that several rules ask for is
//! remembered by both ways, so that its answers agree.

use super::Question;
use super::attached::{Attached, Site};
use super::cell::{Cell, MAX_LIST, State, View};
use super::guard::{Asker, Halves};
use super::hull::{Hull, Sees};
use super::join::join;
use super::reason::Why;
use super::settle::Outcome;
use crate::analysis::evaluate::{Because, Class, Decider, Routed, way};
use crate::analysis::{Moved, Verdict};
use crate::model::*;
use crate::packet::{ConnState, Family, Field, IntervalSet, Path, Region, Value};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

/// Where a walk is.
#[derive(Clone, Copy)]
pub(super) struct Here<'a> {
    pub firewall: usize,
    pub f: &'a Firewall,
    pub base: &'a BaseChain,
    /// Index among the base chains of the path.
    pub at: usize,
    pub sees: Sees,
}

/// The end of a cell's way.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub cell: Cell,
    pub verdict: Verdict,
    pub place: Place,
}

/// Where a way ends: base chain of the path, rule of it, rule of the chain that it leads to. Ends come in this order, but for those of
/// several sites.
pub(super) type Place = (usize, usize, usize);

/// A walk through all base chains.
pub(super) struct Walk<'a> {
    pub question: &'a Question<'a>,
    pub family: Family,
    pub ways: Vec<Vec<(usize, &'a BaseChain)>>,
    pub local: Option<IntervalSet>,
    pub states: Vec<State>,
    // Numbers of states; each state stands in the list only. With their hashes, which take a while.
    state_index: HashTable<(u64, u32)>,
    pub deciders: Vec<Decider>,
    pub decider_index: FxHashMap<Decider, u32>,
    pub reasons: Vec<Because>,
    pub reason_index: FxHashMap<(usize, Why, crate::source::Origin), u32>,
    /// All addresses by the types that they may have.
    pub types: FxHashMap<Routed, Arc<Vec<Class>>>,
    /// Addresses of points with a label: certain, possible.
    pub labels: FxHashMap<(usize, LabelId), Arc<(IntervalSet, IntervalSet)>>,
    /// Halves of sets by the addresses of the two sets; the first is kept alive.
    pub halves: FxHashMap<(usize, usize), (Arc<IntervalSet>, Halves)>,
    pub remembered: usize,
    /// What waits before the next base chain, by path.
    pub next: [Vec<Cell>; Path::ALL.len()],
    /// Labels that the point may carry, by firewall.
    attached: Vec<Attached>,
    /// Chains that do nothing to any packet of the question, by firewall.
    inert: Vec<Vec<Inert>>,
    // Those of them that were asked for.
    asked: Vec<(usize, ChainId)>,
    // Rules of the base chain at hand behind labels of which nothing is known, by what they do.
    behind_labels: FxHashMap<Action, usize>,
    entry: Hull,
    pub place: Place,
    done: FxHashMap<(usize, ChainId, u64), Vec<Done>>,
    pub main: Vec<End>,
    pub extra: Vec<End>,
    pub settled: Vec<Outcome>,
    /// Packets that a rule would have acted on, were its rate limit exceeded, with the reason.
    pub spared: Vec<(Region, u32)>,
    /// Steps so far.
    pub work: u64,
    pub forks: u32,
    /// Steps after which the rest is given up.
    pub budget: u64,
    pub exhausted: bool,
    /// Packets that different rules accepted stay apart.
    pub by_rule: bool,
}

// A cell that entered a chain, and what came out at its end.
type Done = (Cell, Vec<Cell>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inert {
    Unknown,
    Yes,
    No,
}

/// Steps of one walk; a step is a rule meeting a cell or a few set intervals touched. Some seconds.
const BUDGET: u64 = 50_000_000;
/// Cells at one place: bounds memory to some hundred megabytes.
const MAX_CELLS: usize = 200_000;
/// Ends of ways: likewise.
const MAX_ENDS: usize = 1_000_000;
// Stack that a step into a chain needs at most, and what is added where there is less.
const RED_ZONE: usize = 128 * 1024;
const SEGMENT: usize = 2 * 1024 * 1024;

impl<'a> Walk<'a> {
    /// Follows the packets of a region, which is of one family and in normal form, to their ends.
    pub(super) fn new(question: &'a Question<'a>, family: Family) -> Self {
        let firewalls = question.point.firewalls;
        let attached = firewalls.iter().map(|f| Attached::of(f, question)).collect();
        Walk { attached, ..Self::unplaced(question, family) }
    }

    /// The same, before it is said where the packets are: see [`Walk::go_to`].
    pub(super) fn unplaced(question: &'a Question<'a>, family: Family) -> Self {
        let point = question.point;
        let mut local = point.environment.local.clone();
        for f in point.firewalls {
            if let Some(l) = &f.local {
                local = Some(local.map_or_else(|| l.clone(), |a| a.union(l)));
            }
        }
        Walk {
            question,
            family,
            ways: Path::ALL.iter().map(|p| way(point, *p, family)).collect(),
            local,
            states: Vec::new(),
            state_index: HashTable::new(),
            deciders: Vec::new(),
            decider_index: FxHashMap::default(),
            reasons: Vec::new(),
            reason_index: FxHashMap::default(),
            types: FxHashMap::default(),
            labels: FxHashMap::default(),
            halves: FxHashMap::default(),
            remembered: 0,
            next: Default::default(),
            attached: Vec::new(),
            inert: point.firewalls.iter().map(|f| vec![Inert::Unknown; f.chains.len()]).collect(),
            asked: Vec::new(),
            behind_labels: FxHashMap::default(),
            entry: Hull::EMPTY,
            place: (0, 0, 0),
            done: FxHashMap::default(),
            main: Vec::new(),
            extra: Vec::new(),
            settled: Vec::new(),
            spared: Vec::new(),
            work: 0,
            forks: 0,
            budget: BUDGET,
            exhausted: false,
            by_rule: false,
        }
    }

    /// The packets that follow are those of a site.
    pub(super) fn go_to(&mut self, site: &Site<'_>) {
        let firewalls = self.question.point.firewalls;
        // Rules about labels are in the base chains of clouds, which do not send packets another way.
        let way = &self.ways[self.question.path as usize];
        let bases = |n: usize| way.iter().filter(move |(f, _)| *f == n).map(|(_, base)| base.chain);
        self.attached = firewalls.iter().enumerate().map(|(n, f)| Attached::at(f, site, bases(n))).collect();
    }

    /// Follows packets to the ends of their ways.
    pub(super) fn run(&mut self, regions: Vec<Region>) {
        self.entry = Hull::EMPTY;
        for (firewall, chain) in std::mem::take(&mut self.asked) {
            self.inert[firewall][chain.index()] = Inert::Unknown;
        }
        let cells = self.begin(regions);
        self.next[self.question.path as usize] = cells;
        let last = self.ways.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..=last {
            // Packets that change their path go on at the next place of the other one, never at this one again.
            let waiting = std::mem::take(&mut self.next);
            for (path, cells) in Path::ALL.into_iter().zip(waiting) {
                if !cells.is_empty() {
                    self.base_chain(path, at, cells);
                }
            }
        }
    }

    /// The cells of some disjoint regions as they arrive; from here on it is known what rules may see of them at most.
    pub(super) fn begin(&mut self, regions: Vec<Region>) -> Vec<Cell> {
        let cells = self.start(regions);
        let firewalls = self.question.point.firewalls;
        for c in &cells {
            let state = self.states[c.state as usize].clone();
            self.entry.add(&c.region, &state, (true, true));
        }
        // Chains see interfaces or none; packets may be rewritten before they reach one.
        self.entry.widen(Field::Iif);
        self.entry.widen(Field::Oif);
        if firewalls.iter().any(|f| !f.translations.is_empty()) {
            for f in [Field::Src, Field::Dst, Field::Sport, Field::Dport] {
                self.entry.widen(f);
            }
        }
        for effect in firewalls.iter().flat_map(|f| f.effects.iter().flatten()) {
            match *effect {
                Effect::Untrack => self.entry.widen(Field::State),
                Effect::Rewrite { field: Field::Proto, .. } => {
                    Field::CARRIED.into_iter().chain([Field::Proto]).for_each(|f| self.entry.widen(f));
                }
                Effect::Rewrite { field, .. } => self.entry.widen(field),
                _ => {}
            }
        }
        cells
    }

    fn start(&mut self, regions: Vec<Region>) -> Vec<Cell> {
        let registers_matter =
            self.question.point.firewalls.iter().any(|f| !f.effects.is_empty() || f.sets.has_masks());
        let new = IntervalSet::single(ConnState::New.value());
        let mut cells = Vec::new();
        for region in regions {
            // What is kept of a connection that exists is not known.
            let parts = if registers_matter {
                let opens = region.cut(Field::State, &new);
                let others = region.cut(Field::State, &Field::State.complement(&new));
                vec![(opens, true), (others, false)]
            } else {
                vec![(region, true)]
            };
            for (region, opens) in parts.into_iter().filter(|p| !p.0.is_empty()) {
                let state = self.intern(State {
                    path: self.question.path,
                    views: [const { View::Same }; Field::COUNT],
                    registers: Register::on_arrival(self.question.mark, opens),
                    translated: [false; 2],
                    written: 0,
                    moved: Moved::No,
                    known: Vec::new(),
                    rule: None,
                });
                cells.push(Cell::arriving(region, state));
            }
        }
        cells
    }

    /// Whether the packets of one site are followed, and whether the files tell its labels.
    pub(super) fn site(&self, firewall: usize) -> Option<bool> {
        self.attached[firewall].site()
    }

    /// Whether the points of the site carry a label, where that is certain.
    pub(super) fn carries(&self, firewall: usize, label: LabelId) -> Option<bool> {
        self.attached[firewall].carries(label)
    }

    /// A state by its index.
    pub(super) fn state(&self, index: u32) -> &State {
        &self.states[index as usize]
    }

    /// Index of a state.
    pub(super) fn intern(&mut self, state: State) -> u32 {
        let hash = FxBuildHasher.hash_one(&state);
        let states = &mut self.states;
        let same = |(h, i): &(u64, u32)| *h == hash && states[*i as usize] == state;
        match self.state_index.entry(hash, same, |(h, _)| *h) {
            Entry::Occupied(known) => known.get().1,
            Entry::Vacant(new) => {
                let i = states.len() as u32;
                new.insert((hash, i));
                states.push(state);
                i
            }
        }
    }

    fn base_chain(&mut self, path: Path, at: usize, cells: Vec<Cell>) {
        let Some((firewall, base)) = self.ways[path as usize].get(at).copied() else {
            for cell in cells {
                self.end(cell, Verdict::Accept);
            }
            return;
        };
        let f = self.question.point.firewalls[firewall];
        let here = Here { firewall, f, base, at, sees: base.hook.sees(path) };
        let mut enter = Vec::new();
        for cell in cells {
            let (in_, past) = self.consulted(&here, cell);
            enter.extend(in_);
            if let Some(c) = past {
                self.accept(&here, c, None);
            }
        }
        self.tidy(&mut enter);
        self.behind_labels.clear();
        let left = self.walk(here, base.chain, enter);
        self.place = (at, usize::MAX, 0);
        for cell in left {
            self.policy(&here, cell);
        }
    }

    // Nat chains see packets that open a connection, until one of them translates: what enters, and what passes by.
    pub(super) fn consulted(&mut self, here: &Here<'a>, cell: Cell) -> (Option<Cell>, Option<Cell>) {
        if here.base.kind != ChainKind::Nat {
            return (Some(cell), None);
        }
        let state = self.state(cell.state);
        let end = match here.base.hook {
            Hook::Prerouting | Hook::Output => 0,
            _ => 1,
        };
        let opening: IntervalSet =
            [ConnState::New, ConnState::Related].map(ConnState::value).into_iter().collect();
        match &state.views[Field::State.index()] {
            _ if state.translated[end] => (None, Some(cell)),
            View::One(v) if !opening.contains(*v) => (None, Some(cell)),
            View::Same => {
                let with = |set: IntervalSet| {
                    let region = cell.region.with(Field::State, set);
                    (!region.is_empty()).then(|| Cell { region, ..cell.clone() })
                };
                let states = cell.region.get(Field::State);
                (with(states.intersect(&opening)), with(states.minus(&opening)))
            }
            _ => (Some(cell), None),
        }
    }

    /// Walks cells through a chain; gives back those that come to its end or return.
    fn walk(&mut self, here: Here<'a>, chain: ChainId, cells: Vec<Cell>) -> Vec<Cell> {
        if cells.is_empty() {
            return cells;
        }
        stacker::maybe_grow(RED_ZONE, SEGMENT, || self.rules(here, chain, cells))
    }

    fn rules(&mut self, here: Here<'a>, chain: ChainId, cells: Vec<Cell>) -> Vec<Cell> {
        let mut live = cells;
        let mut out = Vec::new();
        let mut hull = self.hull(&here, &live);
        let mut tidy_at = TIDY.max(2 * live.len());
        let mut stale = 0;
        let rules = &here.f.chain(chain).rules;
        let length = self.attached[here.firewall].rules(chain).map_or(rules.len(), <[u32]>::len);
        self.work += length as u64 / 16;
        let mut next = 0;
        while let Some(index) = self.next_met(&here, &hull, chain, next) {
            let run = self.run_of(here.f, chain, index);
            next = run.map_or(index + 1, |r| r.end);
            self.place = match chain == here.base.chain {
                true => (here.at, index, 0),
                false => (here.at, self.place.1, index),
            };
            let rule = &rules[index];
            if self.is_repeated(&here, chain, rule) {
                continue;
            }
            if let Action::Jump(to) = rule.action
                && rule.effects.is_none()
                && self.is_inert(here.firewall, to)
            {
                continue;
            }
            if !self.rule(here, (chain, index, run), &mut live, &mut out) {
                continue;
            }
            if self.work > self.budget
                || live.len() > MAX_CELLS
                || self.main.len() + self.extra.len() > MAX_ENDS
            {
                self.exhausted = true;
                for cell in live.drain(..).chain(out.drain(..)) {
                    self.give_up(here.firewall, cell, Why::Budget, rule.origin);
                }
                return out;
            }
            if live.is_empty() {
                break;
            }
            if live.len() > tidy_at {
                self.tidy(&mut live);
                tidy_at = TIDY.max(2 * live.len());
            }
            stale += 1;
            if stale * 8 > live.len() {
                hull = self.hull(&here, &live);
                stale = 0;
            }
        }
        out.append(&mut live);
        self.tidy(&mut out);
        out
    }

    // The first rule from `start` on that may do something to the cells within the hull. Most rules of a long chain are passed over here.
    fn next_met(&self, here: &Here<'a>, hull: &Hull, chain: ChainId, start: usize) -> Option<usize> {
        let (f, attached) = (here.f, &self.attached[here.firewall]);
        let rules = &f.chain(chain).rules;
        let may = |rule: &Rule| {
            hull.may_meet(f, rule.terms)
                && attached.may_meet(f, rule.terms)
                && (rule.action != Action::Continue || rule.effects.is_some())
        };
        if let Some(some) = attached.rules(chain) {
            let behind = &some[some.partition_point(|n| (*n as usize) < start)..];
            return behind.iter().map(|n| *n as usize).find(|n| may(&rules[*n]));
        }
        Some(start + rules[start..].iter().position(may)?)
    }

    // Whether as many rules as are ever told did the same before, of whose labels nothing is known either: all that this one may do to a packet may
    // be done to it already.
    fn is_repeated(&mut self, here: &Here<'a>, chain: ChainId, rule: &Rule) -> bool {
        let unknown = self.question.point.environment.labels.is_none()
            && (here.f.carriers.is_empty() || self.site(here.firewall) == Some(false));
        if !unknown || self.by_rule || chain != here.base.chain {
            return false;
        }
        let Some(does) = here.f.behind_label(rule) else { return false };
        let before = self.behind_labels.entry(does).or_default();
        *before += 1;
        *before > MAX_LIST
    }

    fn hull(&self, here: &Here<'a>, cells: &[Cell]) -> Hull {
        let mut hull = Hull::EMPTY;
        for c in cells {
            hull.add(&c.region, self.state(c.state), here.sees);
        }
        hull
    }

    /// The run that a rule stands for: of rules that accept only where nobody asks which of them does.
    pub(super) fn run_of<'f>(&self, f: &'f Firewall, chain: ChainId, index: usize) -> Option<&'f Run> {
        let apart = self.by_rule && f.chain(chain).rules[index].action == Action::Accept;
        f.run(chain, index).filter(|_| !apart)
    }

    // Lets one rule, or a run of them, act on all cells. False if it met none.
    fn rule(
        &mut self,
        here: Here<'a>,
        at: (ChainId, usize, Option<&'a Run>),
        live: &mut Vec<Cell>,
        out: &mut Vec<Cell>,
    ) -> bool {
        let (chain, index, run) = at;
        let rule = &here.f.chain(chain).rules[index];
        let acts = !matches!(rule.action, Action::Accept | Action::Continue | Action::Return);
        let asker = Asker { rule, run, acts };
        let (mut taken, mut rest) = (Vec::new(), Vec::new());
        let mut k = 0;
        self.work += live.len() as u64;
        while k < live.len() {
            if run.is_none() && !self.meets(&here, &live[k], rule.terms) {
                k += 1;
                continue;
            }
            let cell = live.swap_remove(k);
            let p = self.conjunction(&here, asker, rule.terms, cell.clone());
            self.work += 8 + 4 * (p.yes.len() + p.no.len() + p.maybe.len()) as u64;
            let whole = p.yes.is_empty() && !p.forked;
            for (c, why) in p.maybe {
                let because = super::cell::both(&c.because, &why);
                taken.push(Cell { extra: true, because, ..c.clone() });
                if !whole {
                    rest.push(c);
                }
            }
            if whole {
                rest.push(cell);
            } else {
                taken.extend(p.yes);
                rest.extend(p.no);
            }
        }
        let met = !taken.is_empty();
        live.append(&mut rest);
        if met {
            self.act(here, at, taken, live, out);
        }
        met
    }

    // Walks another chain, unless it is part of a loop, or did the same before.
    pub(super) fn enter(&mut self, here: Here<'a>, rule: &Rule, to: ChainId, cells: Vec<Cell>) -> Vec<Cell> {
        if here.f.looping()[to.index()] {
            for c in cells {
                self.give_up(here.firewall, c, Why::Loop(to), rule.origin);
            }
            return Vec::new();
        }
        let jumps = |r: &Rule| matches!(r.action, Action::Jump(_) | Action::Goto(_));
        if !here.f.chain(to).rules.iter().take(MEMO_SCAN).any(jumps) {
            return self.walk(here, to, cells);
        }
        let mut out = Vec::new();
        for cell in cells {
            let key = (here.at, to, weak_hash(&cell));
            let known = self
                .done
                .get(&key)
                .into_iter()
                .flatten()
                .find(|(c, _)| c.state == cell.state && c.extra == cell.extra && c.region == cell.region);
            if let Some((_, left)) = known {
                out.extend(left.iter().map(|l| Cell {
                    decided: cell.decided.clone(),
                    because: super::cell::both(&cell.because, &l.because),
                    ..l.clone()
                }));
                continue;
            }
            let left = self.walk(here, to, vec![cell.clone()]);
            if self.done.len() < MAX_MEMO {
                self.done.entry(key).or_default().push((cell, left.clone()));
            }
            out.extend(left);
        }
        out
    }

    /// Whether a rule may do something to a packet of the question.
    pub(super) fn may_touch(&self, firewall: usize, rule: &Rule) -> bool {
        let f = self.question.point.firewalls[firewall];
        (rule.action != Action::Continue || rule.effects.is_some())
            && self.entry.may_meet(f, rule.terms)
            && self.attached[firewall].may_meet(f, rule.terms)
    }

    /// Whether a chain lets every packet of the question fall through unchanged.
    pub(super) fn is_inert(&mut self, firewall: usize, chain: ChainId) -> bool {
        match self.inert[firewall][chain.index()] {
            Inert::Yes => return true,
            Inert::No => return false,
            Inert::Unknown => {}
        }
        self.asked.push((firewall, chain));
        let f = self.question.point.firewalls[firewall];
        // No packet falls through a loop; and chains that are no part of one can be asked one after the other.
        let yes = !f.looping()[chain.index()]
            && stacker::maybe_grow(RED_ZONE, SEGMENT, || {
                f.chain(chain).rules.iter().all(|r| {
                    let passes = match r.action {
                        Action::Continue | Action::Return => r.effects.is_none(),
                        _ => false,
                    };
                    let target = match r.action {
                        Action::Jump(to) | Action::Goto(to) if r.effects.is_none() => Some(to),
                        _ => None,
                    };
                    passes
                        || !self.entry.may_meet(f, r.terms)
                        || target.is_some_and(|to| self.is_inert(firewall, to))
                })
            });
        self.work += f.chain(chain).rules.len() as u64 / 16;
        self.inert[firewall][chain.index()] = if yes { Inert::Yes } else { Inert::No };
        yes
    }

    /// Fewer cells that stand for the same: joined, and without extra ones that a cell with the same future covers.
    fn tidy(&mut self, cells: &mut Vec<Cell>) {
        if cells.len() < 2 {
            return;
        }
        self.work += cells.len() as u64 * 4;
        join(cells);
        let extras = cells.iter().filter(|c| c.extra).count();
        if extras == 0 || extras.saturating_mul(cells.len()) > MAX_COVERS {
            return;
        }
        self.work += (extras * cells.len()) as u64 / 4;
        let mut i = 0;
        while i < cells.len() {
            let covered = cells[i].extra
                && cells.iter().enumerate().any(|(j, c)| {
                    j != i
                        && c.state == cells[i].state
                        && c.region.covers(&cells[i].region)
                        && (!c.extra || j < i || c.region != cells[i].region)
                });
            if covered {
                cells.swap_remove(i);
            } else {
                i += 1;
            }
        }
    }
}

// Cells are joined when this many are alive, and again when they have doubled.
const TIDY: usize = 32;
const MAX_COVERS: usize = 4_000_000;
// A chain that jumps on may be reached by very many paths: what it did is remembered.
const MEMO_SCAN: usize = 256;
const MAX_MEMO: usize = 100_000;

fn weak_hash(cell: &Cell) -> u64 {
    let mut h = u64::from(cell.state) << 1 | u64::from(cell.extra);
    for f in Field::ALL {
        let s = cell.region.get(f);
        for v in [s.first().unwrap_or(0), s.last().unwrap_or(0), s.ranges().len() as Value] {
            h = (h.rotate_left(5) ^ v as u64 ^ (v >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    h
}
