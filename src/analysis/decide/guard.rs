//! Splits a cell by whether a rule applies to its packets.

use super::cell::{Cell, Fact, List, View, add};
use super::hull::{Seen, overlaps, seen};
use super::reason::Why;
use super::walk::{Here, Walk};
use crate::analysis::evaluate::{Class, MAX_INTERVALS, Routed, classes, is_of, narrowed, types_of};
use crate::model::*;
use crate::packet::masked::split;
use crate::packet::{Field, IntervalSet, Region, Value, shared_carriers};
use std::sync::Arc;

/// The packets of a cell by the truth of some terms.
#[derive(Default)]
pub(super) struct Pieces {
    /// They hold.
    pub yes: Vec<Cell>,
    /// They may hold, for these reasons; no later rule can tell.
    pub maybe: Vec<(Cell, List)>,
    /// They do not hold.
    pub no: Vec<Cell>,
    /// Some pieces differ from the cell in what is known about them.
    pub forked: bool,
}

impl Pieces {
    fn yes(cell: Cell) -> Self {
        Pieces { yes: vec![cell], ..Self::default() }
    }

    fn no(cell: Cell) -> Self {
        Pieces { no: vec![cell], ..Self::default() }
    }

    fn add(&mut self, other: Pieces) {
        self.forked |= other.forked;
        self.yes.extend(other.yes);
        self.maybe.extend(other.maybe);
        self.no.extend(other.no);
    }
}

/// The rule that asks.
#[derive(Clone, Copy)]
pub(super) struct Asker<'r> {
    pub rule: &'r Rule,
    /// The run of rules for which it asks, if it does not ask for itself alone.
    pub run: Option<&'r Run>,
    /// Whether it would stop packets or send them elsewhere, if it applied.
    pub acts: bool,
}

// Shared conditions that one cell may remember, and forks of one walk: beyond that the answer only becomes less certain.
const MAX_KNOWN: usize = 10;
const MAX_FORKS: u32 = 1024;
// Sets with more intervals than this have their intersections remembered.
const LARGE: usize = 16;
const MAX_REMEMBERED: usize = 2_000_000;

// Unknown terms come last: they copy cells where the others cut them.
fn is_late(term: &Term) -> bool {
    matches!(term, Term::Opaque { .. } | Term::Label(_) | Term::Any(_))
}

impl<'a> Walk<'a> {
    /// Quick and allocation-free: false if certainly no packet of the cell satisfies all terms.
    pub(super) fn meets(&self, here: &Here<'a>, cell: &Cell, terms: TermRange) -> bool {
        let state = self.state(cell.state);
        here.f.terms(terms).iter().all(|term| match *term {
            Term::Range { field, lo, hi } => {
                let range = (Term::base(field) + Value::from(lo), Term::base(field) + Value::from(hi));
                match seen(field, &state.views[field.index()], here.sees) {
                    Seen::Same => lo <= hi && overlaps(cell.region.get(field), range),
                    Seen::One(v) => (range.0..=range.1).contains(&v),
                    Seen::Among(s) => overlaps(s, range),
                    Seen::Shift(_) | Seen::Unknown => true,
                }
            }
            Term::In(field, set) => match seen(field, &state.views[field.index()], here.sees) {
                Seen::Same => match cell.region.get(field).ranges() {
                    [one] => overlaps(here.f.sets.get(set), *one),
                    _ => true,
                },
                Seen::One(v) => here.f.sets.get(set).contains(v),
                _ => true,
            },
            Term::Register { register, negated, test } => {
                let (value, mask) = here.f.sets.mask(test);
                state.registers[register as usize].is_none_or(|r| (r & mask == value) != negated)
            }
            _ => true,
        })
    }

    /// Splits a cell by whether all terms hold.
    pub(super) fn conjunction(
        &mut self,
        here: &Here<'a>,
        asker: Asker<'_>,
        terms: TermRange,
        cell: Cell,
    ) -> Pieces {
        let mut out = Pieces::yes(cell);
        let terms = here.f.terms(terms);
        let early = terms.iter().filter(|t| !is_late(t));
        for term in early.chain(terms.iter().filter(|t| is_late(t))) {
            // Of a run, the values of all its rules.
            let run = asker.run.filter(|r| std::ptr::eq(term, &terms[r.at]));
            let ask = |walk: &mut Self, c: Cell| match run {
                Some(run) => walk.field(here, asker, run.field, (&run.values, Lives::On), c),
                None => walk.term(here, asker, term, c),
            };
            for c in std::mem::take(&mut out.yes) {
                let p = ask(self, c);
                out.forked |= p.forked;
                out.yes.extend(p.yes);
                out.maybe.extend(p.maybe);
                out.no.extend(p.no);
            }
            for (c, why) in std::mem::take(&mut out.maybe) {
                let p = ask(self, c);
                out.forked |= p.forked;
                out.maybe.extend(p.yes.into_iter().map(|c| (c, why.clone())));
                out.maybe.extend(p.maybe.into_iter().map(|(c, w)| (c, super::cell::both(&why, &w))));
                out.no.extend(p.no);
            }
            if out.yes.is_empty() && out.maybe.is_empty() {
                break;
            }
        }
        out
    }

    // One of several conjunctions: each takes what the ones before it left.
    fn alternatives(&mut self, here: &Here<'a>, asker: Asker<'_>, id: AlternativesId, cell: Cell) -> Pieces {
        let mut out = Pieces::default();
        let mut rest: Vec<(Cell, List)> = vec![(cell, None)];
        for terms in &here.f.alternatives[id.index()] {
            let mut next = Vec::with_capacity(rest.len());
            for (c, why) in rest {
                if !self.meets(here, &c, *terms) {
                    next.push((c, why));
                    continue;
                }
                let p = self.conjunction(here, Asker { acts: false, run: None, ..asker }, *terms, c);
                out.forked |= p.forked;
                out.yes.extend(p.yes);
                next.extend(p.no.into_iter().map(|c| (c, why.clone())));
                next.extend(p.maybe.into_iter().map(|(c, w)| (c, super::cell::both(&why, &w))));
            }
            rest = next;
        }
        for (c, why) in rest {
            if why.is_none() { out.no.push(c) } else { out.maybe.push((c, why)) }
        }
        out
    }

    fn term(&mut self, here: &Here<'a>, asker: Asker<'_>, term: &Term, cell: Cell) -> Pieces {
        match *term {
            Term::Range { field, lo, hi } => {
                let set = IntervalSet::range(
                    Term::base(field) + Value::from(lo),
                    Term::base(field) + Value::from(hi),
                );
                self.field(here, asker, field, (&set, Lives::Briefly), cell)
            }
            Term::In(field, id) => self.field(here, asker, field, (here.f.sets.get(id), Lives::On), cell),
            Term::Original(field, id) => self.original(here, asker, field, here.f.sets.get(id), cell),
            Term::Any(id) => self.alternatives(here, asker, id, cell),
            Term::Register { register, negated, test } => {
                let (value, mask) = here.f.sets.mask(test);
                match self.state(cell.state).registers[register as usize] {
                    Some(v) if (v & mask == value) != negated => Pieces::yes(cell),
                    Some(_) => Pieces::no(cell),
                    None => self.unknown(here, asker, Why::Register(register), cell),
                }
            }
            Term::Label(label) => match &self.question.point.environment.labels {
                Some(attached) if attached.contains(&here.f.labels[label.index()]) => Pieces::yes(cell),
                Some(_) => Pieces::no(cell),
                None => self.carried(here, asker, label, cell),
            },
            Term::AddressType { field, types, negated } => {
                self.address_type(here, asker, field, types, negated, cell)
            }
            Term::Masked { field, negated, test } => self.masked(here, asker, field, (test, negated), cell),
            Term::Opaque { condition, negated } => self.opaque(here, asker, condition, negated, cell),
        }
    }

    // Whether the point carries a label, when only its address tells. Where it does not, the label is not remembered: see
    // the evaluator, `lasting`.
    fn carried(&mut self, here: &Here<'a>, asker: Asker<'_>, label: LabelId, cell: Cell) -> Pieces {
        let site = self.site(here.firewall);
        if let Some(carried) = self.carries(here.firewall, label) {
            return if carried { Pieces::yes(cell) } else { Pieces::no(cell) };
        }
        if here.f.carriers.is_empty() || site == Some(false) {
            return self.unknown(here, asker, Why::Label(label), cell);
        }
        let sets = match self.labels.get(&(here.firewall, label)) {
            Some(s) => Arc::clone(s),
            None => {
                let carriers = &here.f.carriers[label.index()];
                let s = Arc::new(match site {
                    // The files tell all labels of these points: nobody else is asked about.
                    Some(_) => (carriers.certain.clone(), carriers.doubtful.clone()),
                    None => here.f.carriers(label),
                });
                self.labels.insert((here.firewall, label), Arc::clone(&s));
                s
            }
        };
        let field = Firewall::own_address(here.base.hook);
        let mut out = self.field(here, asker, field, (&sets.0, Lives::On), cell);
        for c in std::mem::take(&mut out.no)
            .into_iter()
            .chain(out.maybe.drain(..).map(|(c, _)| c).collect::<Vec<_>>())
        {
            let p = self.field(here, asker, field, (&sets.1, Lives::On), c);
            out.no.extend(p.no);
            for c in p.yes.into_iter().chain(p.maybe.into_iter().map(|(c, _)| c)) {
                let p = self.unknown(here, asker, Why::Label(label), c);
                out.maybe.extend(p.maybe);
            }
        }
        out
    }

    fn opaque(
        &mut self,
        here: &Here<'a>,
        asker: Asker<'_>,
        condition: ConditionId,
        negated: bool,
        cell: Cell,
    ) -> Pieces {
        let environment = self.question.point.environment;
        let c = here.f.condition(condition);
        if let Some(truth) =
            environment.settled.get(&crate::analysis::Fact::Condition(here.firewall, condition))
        {
            return if *truth != negated { Pieces::yes(cell) } else { Pieces::no(cell) };
        }
        match &c.kind {
            ConditionKind::Rate { unthrottled } if !environment.throttled => {
                if *unthrottled != negated {
                    return Pieces::yes(cell);
                }
                if asker.acts {
                    let why = self.reason(here.firewall, Why::Condition(condition), asker.rule.origin);
                    self.spared.push((cell.region.clone(), why));
                }
                return Pieces::no(cell);
            }
            ConditionKind::ReversePath { unforged } if !environment.forged => {
                return if *unforged != negated { Pieces::yes(cell) } else { Pieces::no(cell) };
            }
            ConditionKind::HostName { field, name }
                if environment.names.contains(&(*field, name.clone())) =>
            {
                return if negated { Pieces::no(cell) } else { Pieces::yes(cell) };
            }
            _ => {}
        }
        let lasting = c.uses > 1 && c.kind.is_pure();
        if lasting {
            self.fork(here, asker, Fact::Condition(here.firewall, condition), !negated, cell)
        } else {
            self.unknown(here, asker, Why::Condition(condition), cell)
        }
    }

    fn unknown(&mut self, here: &Here<'a>, asker: Asker<'_>, why: Why, cell: Cell) -> Pieces {
        let why = self.reason(here.firewall, why, asker.rule.origin);
        Pieces { maybe: vec![(cell, add(&None, why))], ..Pieces::default() }
    }

    // A fact that later rules may ask for again: follow both ways. The term holds if the fact's truth is `wanted`.
    fn fork(&mut self, here: &Here<'a>, asker: Asker<'_>, fact: Fact, wanted: bool, cell: Cell) -> Pieces {
        let state = self.state(cell.state);
        if let Some((_, truth)) = state.known.iter().find(|(k, _)| *k == fact) {
            return if *truth == wanted { Pieces::yes(cell) } else { Pieces::no(cell) };
        }
        let why = match &fact {
            Fact::Condition(_, c) => Why::Condition(*c),
            Fact::AddressType(field, _, types) => Why::AddressType(*field, *types),
            Fact::Masked(field, ..) => Why::Masked(*field),
        };
        if state.known.len() >= MAX_KNOWN || self.forks >= MAX_FORKS {
            return self.unknown(here, asker, why, cell);
        }
        self.forks += 1;
        let why = self.reason(here.firewall, why, asker.rule.origin);
        let mut holds = cell.clone();
        holds.state = self.with_fact(cell.state, &fact, wanted);
        holds.extra = true;
        holds.because = add(&cell.because, why);
        let mut fails = cell;
        fails.state = self.with_fact(fails.state, &fact, !wanted);
        Pieces { yes: vec![holds], no: vec![fails], maybe: Vec::new(), forked: true }
    }

    fn with_fact(&mut self, state: u32, fact: &Fact, truth: bool) -> u32 {
        let mut s = self.state(state).clone();
        let at = s.known.partition_point(|(k, _)| k < fact);
        s.known.insert(at, (fact.clone(), truth));
        self.intern(s)
    }

    fn address_type(
        &mut self,
        here: &Here<'a>,
        asker: Asker<'_>,
        field: Field,
        types: AddressTypes,
        negated: bool,
        cell: Cell,
    ) -> Pieces {
        let state = self.state(cell.state);
        let view = state.views[field.index()].clone();
        let routed = Routed::of(field, here.base.hook, state.path, view == View::Same);
        let known = self.known_types(cell.state, field, &view);
        let left = |may_be: u8| known.iter().fold(may_be, |t, (types, is)| narrowed(t, *types, *is));
        let classes = self.classes(routed);
        let arrived = cell.region.get(field);
        let parts: Vec<(IntervalSet, u8)> = match &view {
            View::Same => classes.iter().flat_map(|c| c.types(arrived.intersect(&c.set))).collect(),
            View::One(v) => vec![(arrived.clone(), types_of(&classes, &IntervalSet::single(*v)))],
            View::Among { left, .. } => vec![(arrived.clone(), types_of(&classes, left))],
            View::Shift(d) => vec![(arrived.clone(), types_of(&classes, &shifted(arrived, *d)))],
            View::Unknown => vec![(arrived.clone(), u8::MAX)],
        };
        // By what follows from the types that are left; the open ones apart.
        let mut certain = IntervalSet::EMPTY;
        let mut open: Vec<(u8, IntervalSet)> = Vec::new();
        for (set, may_be) in parts {
            let may_be = left(may_be);
            match is_of(may_be, types.0) {
                Some(true) => certain = certain.union(&set),
                Some(false) => {}
                None => match open.iter_mut().find(|(t, _)| *t == may_be & types.0) {
                    Some((_, s)) => *s = s.union(&set),
                    None => open.push((may_be & types.0, set)),
                },
            }
        }
        let mut out = Pieces::default();
        let mut rest = Some(cell);
        for (asked, set) in
            std::iter::once((None, certain)).chain(open.into_iter().map(|(t, s)| (Some(t), s)))
        {
            let Some(cell) = rest.take() else { break };
            let mut halves = Pieces::default();
            self.cut_cell(cell, field, (&set, Lives::Briefly), &mut halves);
            rest = halves.no.pop();
            for c in halves.yes {
                let p = match asked {
                    None if negated => Pieces::no(c),
                    None => Pieces::yes(c),
                    Some(t) => self.fork(here, asker, Fact::AddressType(field, view.clone(), t), !negated, c),
                };
                out.add(p);
            }
        }
        if let Some(c) = rest {
            out.add(if negated { Pieces::yes(c) } else { Pieces::no(c) });
        }
        out
    }

    // What is known already of an address's types, as (types, whether it is one of them).
    pub(super) fn known_types(&self, state: u32, field: Field, view: &View) -> Vec<(u8, bool)> {
        let met = self.state(state).known.iter().filter_map(|(fact, truth)| match fact {
            Fact::AddressType(f, v, types) if *f == field && v == view => Some((*types, *truth)),
            _ => None,
        });
        let settled = self.question.point.environment.settled.iter();
        let settled = settled.filter(|_| *view == View::Same).filter_map(|(fact, truth)| match fact {
            crate::analysis::Fact::AddressType(f, types) if *f == field => Some((*types, *truth)),
            _ => None,
        });
        met.chain(settled).collect()
    }

    pub(super) fn classes(&mut self, routed: Routed) -> Arc<Vec<Class>> {
        let local = self.local.as_ref();
        Arc::clone(self.types.entry(routed).or_insert_with(|| Arc::new(classes(local, routed))))
    }

    // Some bits of the field have the values wanted.
    fn masked(
        &mut self,
        here: &Here<'a>,
        asker: Asker<'_>,
        field: Field,
        (test, negated): (BitsId, bool),
        cell: Cell,
    ) -> Pieces {
        let (mask, wanted) = here.f.sets.bits(test);
        let mut out = Pieces::default();
        let view = self.state(cell.state).views[field.index()].clone();
        if view == View::Unknown {
            return self.unknown(here, asker, Why::Masked(field), cell);
        }
        let Some(cell) = self.carrying(field, cell, &mut out) else { return out };
        let fact = Fact::Masked(field, view.clone(), test);
        match view {
            View::One(v) if (v & mask == wanted) != negated => out.yes.push(cell),
            View::One(_) => out.no.push(cell),
            View::Among { left, .. } => {
                let parts = split(&left, mask, wanted, MAX_INTERVALS);
                let (set, other) =
                    if negated { (parts.fails, parts.holds) } else { (parts.holds, parts.fails) };
                match (set.is_empty(), other.is_empty(), parts.rest.is_empty()) {
                    (false, true, true) => out.yes.push(cell),
                    (true, _, true) => out.no.push(cell),
                    (.., true) => out.add(self.one_of_several(here, asker, field, &set, cell)),
                    _ => out.add(self.unknown(here, asker, Why::Masked(field), cell)),
                }
            }
            View::Same => {
                let parts = split(cell.region.get(field), mask, wanted, MAX_INTERVALS);
                let with =
                    |set: IntervalSet| (!set.is_empty()).then(|| replaced(&cell, field, Arc::new(set)));
                let (holds, fails, rest) = (with(parts.holds), with(parts.fails), with(parts.rest));
                let (yes, no) = if negated { (fails, holds) } else { (holds, fails) };
                out.yes.extend(yes);
                out.no.extend(no);
                if let Some(c) = rest {
                    out.add(self.fork(here, asker, fact, !negated, c));
                }
            }
            View::Shift(_) | View::Unknown => out.add(self.fork(here, asker, fact, !negated, cell)),
        }
        out
    }

    fn field(
        &mut self,
        here: &Here<'a>,
        asker: Asker<'_>,
        field: Field,
        by: (&IntervalSet, Lives),
        cell: Cell,
    ) -> Pieces {
        let set = by.0;
        let mut out = Pieces::default();
        if self.state(cell.state).views[field.index()] == View::Unknown {
            return self.unknown(here, asker, Why::Among(field), cell);
        }
        let Some(cell) = self.carrying(field, cell, &mut out) else { return out };
        let known = match seen(field, &self.state(cell.state).views[field.index()], here.sees) {
            Seen::One(v) => Some((set.contains(v), true)),
            Seen::Among(among) => Some((set.intersects(among), set.covers(among))),
            Seen::Same | Seen::Unknown => None,
            Seen::Shift(d) => {
                let before = shifted(set, d.wrapping_neg());
                self.cut_cell(cell, field, (&before, Lives::Briefly), &mut out);
                return out;
            }
        };
        match known {
            None => self.cut_cell(cell, field, by, &mut out),
            Some((false, _)) => out.no.push(cell),
            Some((true, true)) => out.yes.push(cell),
            Some((true, false)) => {
                out.add(self.one_of_several(here, asker, field, set, cell));
            }
        }
        out
    }

    // The packets of a cell that have a field; the others do not satisfy a term about it.
    fn carrying(&mut self, field: Field, mut cell: Cell, out: &mut Pieces) -> Option<Cell> {
        let Some(with) = shared_carriers(field) else { return Some(cell) };
        let (inside, outside) = self.cut(Arc::clone(cell.region.shared(Field::Proto)), (with, Lives::On));
        if let Some(o) = outside {
            out.no.push(replaced(&cell, Field::Proto, o));
        }
        cell.region.set(Field::Proto, inside?);
        Some(cell)
    }

    // The field has one of several values: both ways are followed, each with what is left of them.
    fn one_of_several(
        &mut self,
        here: &Here<'a>,
        asker: Asker<'_>,
        field: Field,
        set: &IntervalSet,
        cell: Cell,
    ) -> Pieces {
        let View::Among { of, left } = self.state(cell.state).views[field.index()].clone() else {
            return self.unknown(here, asker, Why::Among(field), cell);
        };
        if self.forks >= MAX_FORKS {
            return self.unknown(here, asker, Why::Among(field), cell);
        }
        self.forks += 1;
        let why = self.reason(here.firewall, Why::Among(field), asker.rule.origin);
        let with = |left: IntervalSet| View::Among { of: Arc::clone(&of), left: Arc::new(left) };
        let mut holds = self.restated(&cell, |s| s.views[field.index()] = with(left.intersect(set)));
        holds.extra = true;
        holds.because = add(&cell.because, why);
        let fails = self.restated(&cell, |s| s.views[field.index()] = with(left.minus(set)));
        Pieces { yes: vec![holds], no: vec![fails], maybe: Vec::new(), forked: true }
    }

    // The field as it arrived.
    fn original(
        &mut self,
        here: &Here<'a>,
        asker: Asker<'_>,
        field: Field,
        set: &IntervalSet,
        cell: Cell,
    ) -> Pieces {
        let mut out = Pieces::default();
        let Some(cell) = self.carrying(field, cell, &mut out) else { return out };
        if self.state(cell.state).written & 1 << field.index() != 0 {
            out.add(self.unknown(here, asker, Why::Original(field), cell));
        } else {
            self.cut_cell(cell, field, (set, Lives::On), &mut out);
        }
        out
    }

    fn cut_cell(&mut self, mut cell: Cell, field: Field, by: (&IntervalSet, Lives), out: &mut Pieces) {
        let (inside, outside) = self.cut(Arc::clone(cell.region.shared(field)), by);
        if let Some(o) = outside {
            out.no.push(replaced(&cell, field, o));
        }
        if let Some(i) = inside {
            cell.region.set(field, i);
            out.yes.push(cell);
        }
    }

    /// A set's part inside and outside another; `None` where empty.
    pub(super) fn cut(&mut self, of: Arc<IntervalSet>, (by, lives): (&IntervalSet, Lives)) -> Halves {
        // Only sets that stay where they are may be known by their address.
        let large = lives == Lives::On && by.ranges().len() > LARGE;
        let key = (Arc::as_ptr(&of) as usize, std::ptr::from_ref(by) as usize);
        if large && let Some((_, halves)) = self.halves.get(&key) {
            return halves.clone();
        }
        let size = of.ranges().len() + by.ranges().len();
        self.work += size as u64 / 8;
        let halves = if by.covers(&of) {
            (Some(Arc::clone(&of)), None)
        } else {
            let inside = of.intersect(by);
            if inside.is_empty() {
                (None, Some(Arc::clone(&of)))
            } else {
                (Some(Arc::new(inside)), Some(Arc::new(of.minus(by))))
            }
        };
        if large {
            self.remembered += size;
            if self.remembered > MAX_REMEMBERED {
                self.halves.clear();
                self.remembered = size;
            }
            self.halves.insert(key, (of, halves.clone()));
        }
        halves
    }
}

/// How long a set stays at its address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lives {
    /// As long as the walk.
    On,
    /// For this call.
    Briefly,
}

/// A set's part inside and outside another.
pub(super) type Halves = (Option<Arc<IntervalSet>>, Option<Arc<IntervalSet>>);

fn replaced(cell: &Cell, field: Field, set: Arc<IntervalSet>) -> Cell {
    let mut c = cell.clone();
    c.region.set(field, set);
    c
}

/// The set with `delta` added to every value, wrapping.
pub(super) fn shifted(set: &IntervalSet, delta: Value) -> IntervalSet {
    IntervalSet::from_ranges(set.ranges().iter().flat_map(|(lo, hi)| {
        let (a, b) = (lo.wrapping_add(delta), hi.wrapping_add(delta));
        if a <= b { [(a, b), (1, 0)] } else { [(a, Value::MAX), (0, b)] }
    }))
}

/// The region as rules see it after translation.
pub(super) fn seen_region(region: &Region, state: &super::cell::State) -> Region {
    let mut out = region.clone();
    for f in Field::ALL {
        let view = &state.views[f.index()];
        let set = match seen(f, view, (true, true)) {
            Seen::Same => continue,
            _ if let View::Among { of, .. } = view => Arc::clone(of),
            Seen::One(v) => Arc::new(IntervalSet::single(v)),
            Seen::Among(s) => Arc::clone(s),
            Seen::Shift(d) => Arc::new(shifted(region.get(f), d)),
            Seen::Unknown => Arc::new(f.all()),
        };
        out.set(f, set);
    }
    out
}
