//! Wide questions: the chains as diagrams.
//!
//! The walk follows cells of packets through the rules, which is quick where a question touches few of them, and explodes where it touches thousands
//! that overlap. Here each chain becomes an interval diagram over the arriving packet's fields, once, and diagrams are put together; conditions
//! that several rules ask for are questions of their own below the fields. Both give the same kind of answer; see [`decide`](super::decide) for
//! which one is asked.

mod answer;
mod boxes;
mod by_rule;
mod compare;
mod guard;
mod levels;
mod outline;
mod rules;
mod substitute;

use super::cell::{Fact, State};
use super::join::join;
use super::walk::Walk;
use super::{Answer, Question};
use crate::analysis::diagram::{Arena, ClassSet, Classes, Level, Node, Outcome};
use crate::model::{ChainId, Register};
use crate::packet::{Family, Field, IntervalSet, Path, Region, Value};
use answer::{EXACT, Fates, UNSETTLED};
pub(super) use answer::{MAX_SHOWN, show};
pub(super) use by_rule::by_rule;
#[cfg(test)]
pub(super) use compare::Detail;
pub(super) use compare::{DETAIL, compare};
use levels::Plan;
pub(super) use outline::outline;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::rc::Rc;

/// Work of one question, in edges touched: some seconds.
pub(super) const LIMIT: u64 = 150_000_000;
/// Nodes of one question: some hundred megabytes with their edges.
const MAX_NODES: usize = 4_000_000;
// Conditions that several rules ask for and that are followed both ways; the others are taken for new ones each time, which can only make an answer less
// certain.
const MAX_ATOMS: usize = 48;

/// The answer for packets of one family. `shown` counts down the rules that packets are shown to, to name who decides: see [`MAX_SHOWN`]. `None`
/// if the rules do something that diagrams cannot say (chains that form a loop), or the budget ran out.
pub(super) fn answer(
    question: &Question<'_>,
    (family, regions): (Family, &[Region]),
    mut shown: u64,
    limit: u64,
) -> Option<Answer> {
    let mut walk = Walk::new(question, family);
    let cells = walk.begin(regions.to_vec());
    let mut plan = Plan::of(&mut [&mut walk], regions);
    let arena = Arena::new(plan.tops(), limit, MAX_NODES);
    let mut wide = Wide::new(&mut walk, &mut plan, 0, arena);
    let mut fates = Fates::default();
    let mut pieces = Vec::new();
    for cell in cells {
        let node = wide.path(question.path, 0, cell.state);
        let node = wide.fates(node, &mut fates);
        if wide.failed() {
            return None;
        }
        pieces.extend(wide.pieces(node, &cell.region, EXACT));
    }
    let mut answer = Answer::default();
    for (region, outcome) in largest_first(pieces) {
        if outcome == UNSETTLED {
            answer.exhausted = true;
            answer.undecided.push(wide.unsettled(region));
            continue;
        }
        let fate = fates.list[outcome as usize];
        let part = wide.part(region, fate, &mut shown);
        answer.list(fate.verdict).push(part);
    }
    Some(answer)
}

/// How many rules packets of some regions may touch.
pub(super) fn touched(question: &Question<'_>, family: Family, regions: &[Region]) -> u64 {
    let mut walk = Walk::new(question, family);
    walk.begin(regions.to_vec());
    let touched = levels::touched(&mut walk);
    levels::count(&walk, &touched)
}

// Few pieces, the largest first: they are the ones to be told well.
fn largest_first(mut pieces: Vec<(Region, Outcome)>) -> impl Iterator<Item = (Region, Outcome)> {
    join(&mut pieces);
    let mut weighed: Vec<(f64, (Region, Outcome))> = pieces.into_iter().map(|p| (p.0.weight(), p)).collect();
    weighed.sort_by(|a, b| b.0.total_cmp(&a.0));
    weighed.into_iter().map(|(_, piece)| piece)
}

/// What becomes of packets, as far as it has been followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Out {
    /// A guard holds, or does not.
    Holds,
    Fails,
    /// On with the next rule.
    Fall(u32),
    /// Out of this chain.
    Return(u32),
    /// The base chain lets them through: by whom, where that is asked for.
    Accept(u32, By),
    /// Stopped.
    Drop(u32),
    /// The end of the way: let through, likewise.
    Passed(u32, By),
}

/// Index of the one who decided, among those of the walk.
type By = Option<u32>;

struct Wide<'w, 'a> {
    walk: &'w mut Walk<'a>,
    arena: Arena,
    // By field.
    levels: [Option<Level>; Field::COUNT],
    // Number of levels that are fields.
    fields: Level,
    classes: Rc<[Classes]>,
    // Rules that the question may touch, by firewall and chain.
    touched: Vec<Vec<Rc<[u32]>>>,
    // The only rule that leads to each chain, likewise.
    callers: Vec<Vec<Option<(ChainId, u32)>>>,
    // How many rules the question may touch.
    rules: u64,
    // Values with which packets arrive, by field.
    arrived: Rc<[IntervalSet]>,
    // Registers that some rule reads.
    read: [bool; Register::COUNT],
    shifts: Rc<[levels::Shift]>,
    atoms: FxHashMap<Fact, Level>,
    // By field, what makes sets equal, and by how much the field was moved.
    class_sets: FxHashMap<(Field, guard::Key, Value), Rc<ClassSet>>,
    outs: Vec<Out>,
    out_index: FxHashMap<Out, Outcome>,
    chains: FxHashMap<(Path, usize, ChainId, u32), Node>,
    paths: FxHashMap<(Path, usize, u32), Node>,
    // What becomes of packets that a base chain lets through.
    sent_on: FxHashMap<(Path, usize, u32), Node>,
    destinations: substitute::Destinations,
    deciders: by_rule::Deciders,
    // Rules that might have applied, and why it is not known: by what they ask of the fields.
    doubts: Vec<guard::Doubt>,
    // The same of rate limits that are assumed not to be exceeded.
    spared: Vec<guard::Doubt>,
    unsupported: bool,
}

impl<'w, 'a> Wide<'w, 'a> {
    // For the walk with an index among those that the plan was made for.
    fn new(walk: &'w mut Walk<'a>, plan: &mut Plan, index: usize, arena: Arena) -> Self {
        let touched = std::mem::take(&mut plan.touched[index]);
        let firewalls = walk.question.point.firewalls;
        Self {
            arena,
            levels: plan.levels,
            fields: plan.levels.iter().flatten().count() as Level,
            classes: Rc::clone(&plan.classes),
            arrived: Rc::clone(&plan.arrived),
            read: plan.read,
            shifts: Rc::clone(&plan.shifts),
            rules: levels::count(walk, &touched),
            callers: firewalls.iter().zip(&touched).map(|(f, chains)| rules::callers(f, chains)).collect(),
            touched,
            walk,
            atoms: FxHashMap::default(),
            class_sets: FxHashMap::default(),
            outs: Vec::new(),
            out_index: FxHashMap::default(),
            chains: FxHashMap::default(),
            paths: FxHashMap::default(),
            sent_on: FxHashMap::default(),
            destinations: Default::default(),
            deciders: Default::default(),
            doubts: Vec::new(),
            spared: Vec::new(),
            unsupported: false,
        }
    }

    fn failed(&self) -> bool {
        self.unsupported || self.arena.exceeded()
    }

    fn out(&mut self, out: Out) -> Outcome {
        *self.out_index.entry(out).or_insert_with(|| {
            self.outs.push(out);
            self.outs.len() as Outcome - 1
        })
    }

    fn terminal(&mut self, outs: &[Out]) -> Node {
        let ids: SmallVec<[Outcome; 4]> = outs.iter().map(|o| self.out(*o)).collect();
        self.arena.terminal(&ids)
    }

    // The state of stopped packets: only where they were going matters, and only to a question about that.
    fn dropped(&mut self, state: u32) -> Out {
        if self.walk.question.delivered_to.is_none() {
            return Out::Drop(0);
        }
        let mut plain = State { known: Vec::new(), ..self.walk.state(state).clone() };
        plain.registers = Default::default();
        Out::Drop(self.walk.intern(plain))
    }

    // A condition's level, if it may still be told apart from others.
    fn atom(&mut self, fact: Fact) -> Option<Level> {
        if let Some(l) = self.atoms.get(&fact) {
            return Some(*l);
        }
        if self.atoms.len() >= MAX_ATOMS {
            return None;
        }
        let level = self.arena.add_level(1);
        self.atoms.insert(fact, level);
        Some(level)
    }
}
