//! A packet on its way: where it is, what it has become, and what has been told of it.

use super::{Because, Decider, Step};
use crate::analysis::Moved;
use crate::model::*;
use crate::packet::{Field, IntervalSet, Path, Value};
use rustc_hash::FxHashSet;
use std::rc::Rc;

// A field's value on the way: known, one of several, absent; or nobody knows even whether the packet has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Val {
    Absent,
    One(Value),
    Among(Rc<IntervalSet>),
    Unknown,
}

impl Val {
    pub(super) fn among(set: IntervalSet) -> Self {
        match set.ranges() {
            [(lo, hi)] if lo == hi => Val::One(*lo),
            _ => Val::Among(Rc::new(set)),
        }
    }
}

// A fact that is not known. Facts of the first three kinds are the same whenever asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Fact {
    Condition(usize, ConditionId),
    AddressType(Field, Val, u8),
    Label(usize, LabelId),
    Register(Register, MaskId),
    // The field, one of several values, is in the set.
    Among(Field, Rc<IntervalSet>),
    // The field as it arrived, which was written over before the connection's record was made, is in the set.
    Original(Field, SetId),
    // Some bits of the field, whose value is not known.
    Masked(Field, BitsId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Frame {
    pub(super) chain: ChainId,
    pub(super) next: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) path: Path,
    // Position: index into the base chains of the path, then the stack of chains within it; empty = enter the next.
    pub(super) at: usize,
    pub(super) stack: Vec<Frame>,
    pub(super) values: [Val; Field::COUNT],
    pub(super) registers: [Option<u32>; Register::COUNT],
    // Fields that rules wrote, other than by translation: bits by `Field::index`.
    pub(super) written: u16,
    pub(super) moved: Moved,
    pub(super) translated: [bool; 2],
    pub(super) known: Vec<(Fact, bool)>,
}

impl State {
    // The field has another value. Of one that is chosen again nothing is known.
    pub(super) fn put(&mut self, field: Field, value: Val) {
        self.known.retain(
            |(fact, _)| !matches!(fact, Fact::AddressType(f, Val::Among(_) | Val::Unknown, _) if *f == field),
        );
        self.values[field.index()] = value;
    }
}

// What is carried along but does not tell states apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Story {
    pub(super) steps: Option<Rc<Link<Step>>>,
    pub(super) because: Option<Rc<Link<Because>>>,
    pub(super) assumed: Option<Rc<Link<Because>>>,
    pub(super) decider: Option<Decider>,
    // Chains that this packet, as it is now, falls through unchanged: they need not be walked again. Two jumps to each of forty
    // chains in a row would be 2^40 ways.
    pub(super) barren: FxHashSet<ChainId>,
    // Counts changes of the packet and of what is known; and the count when each frame of the stack was entered.
    pub(super) changes: u32,
    pub(super) entered: Vec<u32>,
}

impl Story {
    pub(super) fn changed(&mut self) {
        self.changes += 1;
        self.barren.clear();
    }

    pub(super) fn enter(&mut self, depth: usize) {
        self.entered.truncate(depth);
        self.entered.push(self.changes);
    }

    // A chain was left by its end or a return.
    pub(super) fn left(&mut self, frame: Frame, depth: usize) {
        if self.entered.get(depth) == Some(&self.changes) {
            self.barren.insert(frame.chain);
        }
    }
}

#[derive(Debug)]
pub(super) struct Link<T> {
    item: T,
    before: Option<Rc<Link<T>>>,
}

// A long chain of links must not be dropped by recursion.
impl<T> Drop for Link<T> {
    fn drop(&mut self) {
        let mut next = self.before.take();
        while let Some(link) = next {
            match Rc::try_unwrap(link) {
                Ok(mut l) => next = l.before.take(),
                Err(_) => break,
            }
        }
    }
}

pub(super) fn push<T>(list: &mut Option<Rc<Link<T>>>, item: T) {
    *list = Some(Rc::new(Link { item, before: list.take() }));
}

pub(super) fn collect<T: Clone>(list: &Option<Rc<Link<T>>>) -> Vec<T> {
    let mut out = Vec::new();
    let mut at = list.as_ref();
    while let Some(l) = at {
        out.push(l.item.clone());
        at = l.before.as_ref();
    }
    out.reverse();
    out
}

pub(super) enum Truth {
    Yes,
    No,
    Unknown(Fact),
}
