//! What a rule asks for, as boxes of coordinates.
//!
//! A part that is *exact* holds for every packet in it. One that is not takes in too much: such a part may be found covered, and never
//! covers another.

use super::axes::{Axes, Span};
use super::literals::{Atom, Literals, Table};
use crate::model::*;
use crate::packet::{Family, Field, Value, carriers};
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// Packets that satisfy a rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// By [`Field::index`].
    pub spans: [Span; Field::COUNT],
    pub literals: Literals,
    pub exact: bool,
}

impl Part {
    /// Both; `None` if no packet is in both.
    pub fn and(&self, other: &Part, table: &mut Table) -> Option<Part> {
        let mut out = *self;
        for (own, (lo, hi)) in out.spans.iter_mut().zip(other.spans) {
            *own = (own.0.max(lo), own.1.min(hi));
            if own.0 > own.1 {
                return None;
            }
        }
        out.literals = table.both(self.literals, other.literals)?;
        out.exact = self.exact && other.exact;
        Some(out)
    }

    /// Whether every packet of the other is in this one, if this one is exact.
    pub fn contains(&self, other: &Part, table: &Table) -> bool {
        self.spans.iter().zip(&other.spans).all(|(a, b)| a.0 <= b.0 && b.1 <= a.1)
            && table.implies(other.literals, self.literals)
    }

    /// The smallest part that takes in both.
    pub fn hull(&self, other: &Part, table: &mut Table) -> Part {
        let mut out = *self;
        for (own, (lo, hi)) in out.spans.iter_mut().zip(other.spans) {
            *own = (own.0.min(lo), own.1.max(hi));
        }
        out.literals = table.common(self.literals, other.literals);
        out.exact = false;
        out
    }

    /// The packets of this part that are not in the other, which is exact, whatever its literals say: disjoint.
    pub fn minus(&self, other: &Part, out: &mut Vec<Part>) {
        if self.spans.iter().zip(&other.spans).any(|(a, b)| a.0 > b.1 || b.0 > a.1) {
            out.push(*self);
            return;
        }
        let mut rest = *self;
        for (i, (lo, hi)) in other.spans.iter().enumerate() {
            let (from, to) = rest.spans[i];
            if from < *lo {
                out.push(rest.with(i, (from, lo - 1)));
            }
            if to > *hi {
                out.push(rest.with(i, (hi + 1, to)));
            }
            rest.spans[i] = (from.max(*lo), to.min(*hi));
        }
    }

    fn with(mut self, at: usize, span: Span) -> Part {
        self.spans[at] = span;
        self
    }
}

/// What rules change about packets on their way through some chains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// By [`Field::index`].
    pub fields: u16,
    /// By value of [`Register`].
    pub registers: u8,
}

impl Changes {
    /// Takes in what a rule changes for the rules behind it.
    pub fn add(&mut self, f: &Firewall, rule: &Rule) {
        if matches!(rule.action, Action::Accept | Action::Drop | Action::Reject | Action::Translate(_)) {
            return;
        }
        if let Action::Unknown(_) = rule.action {
            self.registers = u8::MAX;
        }
        for effect in f.effects(rule) {
            match *effect {
                Effect::Write { register, .. } | Effect::Forget(register, _) => {
                    self.registers |= 1 << register as u8
                }
                Effect::Copy { to, .. } => self.registers |= 1 << to as u8,
                Effect::Rewrite { field: Field::Proto, .. } => {
                    let carried = Field::CARRIED.into_iter().chain([Field::Proto]);
                    carried.for_each(|field| self.fields |= 1 << field.index());
                }
                Effect::Rewrite { field, .. } => self.fields |= 1 << field.index(),
                Effect::Untrack => self.fields |= 1 << Field::State.index(),
                Effect::Deliver => {}
            }
        }
    }

    fn field(self, field: Field) -> bool {
        self.fields & 1 << field.index() != 0
    }
}

/// So many parts of one rule are told apart; beyond that its terms are left out one by one.
const MAX_PARTS: usize = 256;
/// Sets with more intervals are known by their number only.
const MAX_INTERVALS: usize = 64;

/// Turns rules into parts.
pub(super) struct Reader<'a> {
    pub f: &'a Firewall,
    pub axes: Axes,
    pub table: Table,
    /// What the rules of the chains at hand change.
    pub changes: Changes,
    all: [Span; Field::COUNT],
    carriers: [Option<Rc<[Span]>>; Field::COUNT],
    sets: FxHashMap<(Field, SetId), Rc<[Span]>>,
}

impl<'a> Reader<'a> {
    pub fn new(f: &'a Firewall, family: Family) -> Self {
        let axes = Axes::new(f, family);
        let all = Field::ALL.map(|field| axes.all(field));
        let carriers =
            Field::ALL.map(|field| carriers(field).map(|set| Rc::from(axes.spans(Field::Proto, &set))));
        Self {
            f,
            axes,
            table: Table::new(),
            changes: Changes::default(),
            all,
            carriers,
            sets: FxHashMap::default(),
        }
    }

    /// Every packet.
    pub fn everything(&self) -> Part {
        Part { spans: self.all, literals: Literals::NONE, exact: true }
    }

    /// The packets that a rule applies to, or may apply to. Nothing if there are none in this family.
    pub fn parts(&mut self, rule: &Rule) -> Vec<Part> {
        let mut start = self.everything();
        let filled = self.f.run_time_sets(rule);
        let terms = self.f.terms(rule.terms);
        if filled.is_empty() {
            return self.conjunction(terms, vec![start]);
        }
        // What such a set holds is not known. Where two rules ask for the same sets in the same words, they ask the same.
        let atom = Atom::Filled(filled.to_vec(), terms.to_vec());
        start.exact = self.conjunction(terms, vec![start]).iter().all(|p| p.exact);
        match self.table.and(start.literals, atom, false) {
            Some(literals) => start.literals = literals,
            None => start.exact = false,
        }
        // What no element can be about stays as it is written.
        let about = filled.iter().fold(0, |all, s| all | s.fields);
        let fixed = |t: &&Term| match t {
            Term::Range { field, .. } | Term::In(field, _) => {
                !t.is_never() && about & 1 << field.index() == 0
            }
            _ => false,
        };
        let fixed: Vec<Term> = terms.iter().filter(fixed).copied().collect();
        self.conjunction(&fixed, vec![start])
    }

    fn conjunction(&mut self, terms: &[Term], mut parts: Vec<Part>) -> Vec<Part> {
        let mut carried = 0u16;
        for term in terms {
            match *term {
                Term::Range { field: Field::TcpFlags, lo, hi } => {
                    let set = crate::packet::IntervalSet::range(lo, hi);
                    let spans = self.axes.spans(Field::TcpFlags, &set);
                    self.cut(&mut parts, Field::TcpFlags, &spans);
                    carried |= 1 << Field::TcpFlags.index();
                }
                Term::Range { field, lo, hi } => {
                    let base = Term::base(field);
                    let span = self.axes.span(field, base + Value::from(lo), base + Value::from(hi));
                    self.cut(&mut parts, field, span.filter(|_| lo <= hi).as_slice());
                    carried |= 1 << field.index();
                }
                Term::In(field, set) => {
                    let spans = self.set(field, set);
                    carried |= 1 << field.index();
                    match (spans.first(), spans.last()) {
                        (Some(first), Some(last)) if spans.len() > MAX_INTERVALS => {
                            self.cut(&mut parts, field, &[(first.0, last.1)]);
                            let known = !self.changes.field(field);
                            self.literal(&mut parts, known.then_some(Atom::Set(field, set)), false);
                        }
                        _ => self.cut(&mut parts, field, &spans),
                    }
                }
                Term::Any(id) => parts = self.alternatives(id, parts),
                Term::Opaque { condition, negated } => {
                    let known = match self.f.condition(condition).kind {
                        // Routing looks at the mark too.
                        ConditionKind::ReversePath { .. } => self.changes == Changes::default(),
                        ref kind => kind.is_pure() && self.changes.fields == 0,
                    };
                    self.literal(&mut parts, known.then_some(Atom::Condition(condition)), negated);
                }
                Term::Register { register, negated, test } => {
                    let known = self.changes.registers & 1 << register as u8 == 0;
                    self.literal(&mut parts, known.then_some(Atom::Register(register, test)), negated);
                }
                Term::AddressType { field, types, negated } => {
                    let known = !self.changes.field(field);
                    self.literal(&mut parts, known.then_some(Atom::AddressType(field, types)), negated);
                }
                Term::Label(label) => self.literal(&mut parts, Some(Atom::Label(label)), false),
                Term::Original(field, set) => {
                    carried |= 1 << field.index();
                    self.literal(&mut parts, Some(Atom::Original(field, set)), false);
                }
                Term::Masked { field, negated, test } => {
                    carried |= 1 << field.index();
                    let known = !self.changes.field(field);
                    self.literal(&mut parts, known.then_some(Atom::Masked(field, test)), negated);
                }
            }
            if parts.is_empty() {
                return parts;
            }
        }
        // A rule about ports matches no packet without ports.
        for field in Field::CARRIED.into_iter().filter(|f| carried & 1 << f.index() != 0) {
            if let Some(with) = self.carriers[field.index()].clone() {
                let inside = |p: &Part| {
                    with.iter().any(|w| {
                        let proto = p.spans[Field::Proto.index()];
                        w.0 <= proto.0 && proto.1 <= w.1
                    })
                };
                if !parts.iter().all(inside) {
                    self.cut(&mut parts, Field::Proto, &with);
                }
            }
        }
        parts
    }

    fn set(&mut self, field: Field, set: SetId) -> Rc<[Span]> {
        if let Some(known) = self.sets.get(&(field, set)) {
            return Rc::clone(known);
        }
        let spans: Rc<[Span]> = Rc::from(self.axes.spans(field, self.f.sets.get(set)));
        self.sets.insert((field, set), Rc::clone(&spans));
        spans
    }

    // Cuts every part to the spans of a field.
    fn cut(&self, parts: &mut Vec<Part>, field: Field, spans: &[Span]) {
        let whole = [self.all[field.index()]];
        let inexact = self.changes.field(field) && spans != whole || parts.len() * spans.len() > MAX_PARTS;
        if inexact && !spans.is_empty() {
            parts.iter_mut().for_each(|p| p.exact = false);
            return;
        }
        let within = |p: &Part, (lo, hi): Span| {
            let own = p.spans[field.index()];
            let both = (own.0.max(lo), own.1.min(hi));
            (both.0 <= both.1).then(|| p.with(field.index(), both))
        };
        if let [one] = spans {
            parts.retain_mut(|p| within(p, *one).map(|q| *p = q).is_some());
        } else {
            *parts = parts.iter().flat_map(|p| spans.iter().filter_map(|s| within(p, *s))).collect();
        }
    }

    // Adds a literal to every part; `None`: one that no other rule can share.
    fn literal(&mut self, parts: &mut Vec<Part>, atom: Option<Atom>, negated: bool) {
        match atom {
            None => parts.iter_mut().for_each(|p| p.exact = false),
            Some(atom) => {
                let table = &mut self.table;
                parts.retain_mut(|p| match table.and(p.literals, atom.clone(), negated) {
                    Some(literals) => {
                        p.literals = literals;
                        true
                    }
                    None => false,
                });
            }
        }
    }

    fn alternatives(&mut self, id: AlternativesId, mut parts: Vec<Part>) -> Vec<Part> {
        let mut out = Vec::new();
        for terms in &self.f.alternatives[id.index()] {
            out.extend(self.conjunction(self.f.terms(*terms), parts.clone()));
            if out.len() > MAX_PARTS {
                parts.iter_mut().for_each(|p| p.exact = false);
                return parts;
            }
        }
        out
    }
}
