//! What rules ask for beyond the fields of a packet, as literals: conditions that have one truth value for one packet wherever they stand.

use crate::model::*;
use crate::packet::Field;
use rustc_hash::FxHashMap;

/// A condition with one truth value for one packet, as long as no rule changes what it looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Atom {
    /// Not known, but the same whenever it is asked for.
    Condition(ConditionId),
    /// A register, masked, has the value.
    Register(Register, MaskId),
    /// The field's address is of one of the types.
    AddressType(Field, AddressTypes),
    /// The enforcement point carries the label.
    Label(LabelId),
    /// The field arrived with one of these values.
    Original(Field, SetId),
    /// Some bits of the field have the values wanted.
    Masked(Field, BitsId),
    /// The field has one of so many values that they are not followed one by one.
    Set(Field, SetId),
    /// All of these terms, of which some ask for sets that may change at run time.
    Filled(Vec<RunTimeSet>, Vec<Term>),
}

/// A conjunction of atoms and negated atoms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Literals(u32);

impl Literals {
    /// Always holds.
    pub const NONE: Literals = Literals(0);
}

/// All atoms and conjunctions met.
pub(super) struct Table {
    atoms: FxHashMap<Atom, u32>,
    index: FxHashMap<Vec<u32>, Literals>,
    lists: Vec<Vec<u32>>,
}

impl Table {
    pub fn new() -> Self {
        Self { atoms: FxHashMap::default(), index: FxHashMap::default(), lists: vec![Vec::new()] }
    }

    /// The conjunction with one literal more; `None` if it contradicts itself.
    pub fn and(&mut self, of: Literals, atom: Atom, negated: bool) -> Option<Literals> {
        let next = self.atoms.len() as u32;
        let atom = *self.atoms.entry(atom).or_insert(next);
        let one = self.intern(vec![atom << 1 | u32::from(negated)]);
        self.both(of, one)
    }

    /// Both conjunctions; `None` if they contradict each other.
    pub fn both(&mut self, a: Literals, b: Literals) -> Option<Literals> {
        if a == b || b == Literals::NONE {
            return Some(a);
        }
        if a == Literals::NONE {
            return Some(b);
        }
        let mut list = self.list(a).to_vec();
        list.extend_from_slice(self.list(b));
        list.sort_unstable();
        list.dedup();
        if list.windows(2).any(|w| w[0] ^ 1 == w[1]) {
            return None;
        }
        Some(self.intern(list))
    }

    /// What both conjunctions ask for.
    pub fn common(&mut self, a: Literals, b: Literals) -> Literals {
        if a == b {
            return a;
        }
        let list = self.list(a).iter().filter(|l| self.list(b).contains(l)).copied().collect();
        self.intern(list)
    }

    /// Whether whatever satisfies `stronger` satisfies `weaker`.
    pub fn implies(&self, stronger: Literals, weaker: Literals) -> bool {
        weaker == Literals::NONE
            || weaker == stronger
            || self.list(weaker).iter().all(|l| self.list(stronger).contains(l))
    }

    /// The literals of a conjunction, as numbers, ascending.
    pub fn list(&self, of: Literals) -> &[u32] {
        &self.lists[of.0 as usize]
    }

    fn intern(&mut self, list: Vec<u32>) -> Literals {
        if list.is_empty() {
            return Literals::NONE;
        }
        if let Some(known) = self.index.get(&list) {
            return *known;
        }
        let new = Literals(self.lists.len() as u32);
        self.lists.push(list.clone());
        self.index.insert(list, new);
        new
    }
}
