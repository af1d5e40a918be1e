//! What a walk carries through the chains: a set of packets and all that the rules so far did to them.

use super::join::Joinable;
use crate::analysis::Moved;
use crate::model::{BitsId, ConditionId, Register};
use crate::packet::{Field, IntervalSet, Path, Region, Value};
use std::rc::Rc;
use std::sync::Arc;

/// A few indices into one of the walk's tables, oldest first.
pub(super) type List = Option<Rc<[u32]>>;

/// Longer lists would explain nothing to a reader.
pub(super) const MAX_LIST: usize = 8;

/// The list with an item at its end, unless it is there already or the list is full.
pub(super) fn add(list: &List, item: u32) -> List {
    match list {
        None => Some(Rc::from([item])),
        Some(l) if l.contains(&item) || l.len() >= MAX_LIST => Some(Rc::clone(l)),
        Some(l) => Some(l.iter().copied().chain([item]).collect()),
    }
}

/// Both lists.
pub(super) fn both(a: &List, b: &List) -> List {
    match (a, b) {
        (Some(x), Some(y)) if !Rc::ptr_eq(x, y) => y.iter().fold(a.clone(), |l, i| add(&l, *i)),
        (None, b) => b.clone(),
        (a, _) => a.clone(),
    }
}

/// What a rule sees where a field of the arriving packet was.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum View {
    /// The arriving value.
    Same,
    /// This value on every packet.
    One(Value),
    /// Some value of a set; which one is not known.
    Among {
        /// What the rule that wrote it says.
        of: Arc<IntervalSet>,
        /// What later rules have left of that, on this way.
        left: Arc<IntervalSet>,
    },
    /// The arriving value plus this (wrapping).
    Shift(Value),
    /// Nobody knows the value, nor whether the packet has the field at all.
    Unknown,
}

impl View {
    /// One of a set's values.
    pub fn among(set: IntervalSet) -> Self {
        match set.ranges() {
            [(lo, hi)] if lo == hi => View::One(*lo),
            _ => {
                let of = Arc::new(set);
                View::Among { left: Arc::clone(&of), of }
            }
        }
    }
}

/// An unknown fact that has one truth value per packet, whenever it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Fact {
    /// A condition of a firewall.
    Condition(usize, ConditionId),
    /// Whether an address, as a rule sees it, is of one of the types.
    AddressType(Field, View, u8),
    /// Whether some bits of a field, as a rule sees it, have the values wanted.
    Masked(Field, View, BitsId),
}

/// All that tells two cells with the same packets apart. Interned: see `Walk::state`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub path: Path,
    pub views: [View; Field::COUNT],
    pub registers: [Option<u32>; Register::COUNT],
    /// Destination and source translated.
    pub translated: [bool; 2],
    /// Fields that rules wrote, other than by translation: bits by `Field::index`.
    pub written: u16,
    /// Whether routing has to be asked again.
    pub moved: Moved,
    /// Facts that were decided by following both ways.
    pub known: Vec<(Fact, bool)>,
    /// The decider so far, where the answer is asked for by rule.
    pub rule: Option<u32>,
}

impl State {
    /// Rules see another value of the field. Of one that is chosen again nothing is known.
    pub fn put(&mut self, field: Field, view: View) {
        let chosen = |v: &View| matches!(v, View::Among { .. } | View::Unknown);
        self.known.retain(|(fact, _)| match fact {
            Fact::AddressType(f, v, _) | Fact::Masked(f, v, _) => *f != field || !chosen(v),
            Fact::Condition(..) => true,
        });
        self.views[field.index()] = view;
    }
}

/// Packets that have gone the same way so far.
///
/// At every moment each packet of the question is in exactly one cell that is not `extra`; extra cells are further
/// ways that it may take, depending on conditions.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    /// The packets, as they arrived; in normal form.
    pub region: Region,
    /// Index of the interned [`State`].
    pub state: u32,
    pub extra: bool,
    /// Deciders of earlier base chains.
    pub decided: List,
    /// Why the cell is extra.
    pub because: List,
    /// Rate limits assumed not to be exceeded.
    pub assumed: List,
}

impl Cell {
    /// Packets of a region before anything has happened to them.
    pub fn arriving(region: Region, state: u32) -> Self {
        Self { region, state, extra: false, decided: None, because: None, assumed: None }
    }
}

impl Joinable for Cell {
    fn region(&self) -> &Region {
        &self.region
    }

    fn region_mut(&mut self) -> &mut Region {
        &mut self.region
    }

    fn label(&self) -> u64 {
        u64::from(self.state) << 1 | u64::from(self.extra)
    }

    fn same(&self, other: &Self) -> bool {
        self.state == other.state && self.extra == other.extra
    }

    fn absorb(&mut self, other: &Self) {
        self.decided = both(&self.decided, &other.decided);
        self.because = both(&self.because, &other.because);
        self.assumed = both(&self.assumed, &other.assumed);
    }
}
