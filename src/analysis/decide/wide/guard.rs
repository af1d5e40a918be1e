//! What a rule asks, as classes of fields, conditions, and doubts.

use super::{By, Out, Wide};
use crate::analysis::decide::cell::{Fact, View};
use crate::analysis::decide::guard::shifted;
use crate::analysis::decide::hull::{Seen, seen};
use crate::analysis::decide::reason::Why;
use crate::analysis::decide::walk::Here;
use crate::analysis::diagram::{ClassSet, Level, Node};
use crate::analysis::evaluate::{MAX_INTERVALS, Routed, is_of, narrowed, types_of};
use crate::model::*;
use crate::packet::masked::split;
use crate::packet::{Field, IntervalSet, Value, shared_carriers};
use std::rc::Rc;

/// What makes sets equal without looking at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Range(u32, u32),
    Pooled(usize, SetId),
    Carriers(Field),
    /// The values of a run: firewall, chain and first rule.
    Run(usize, ChainId, usize),
}

/// A conjunction, sorted by what it takes to ask it.
#[derive(Default)]
pub(super) struct Guard {
    /// It cannot hold.
    pub refused: bool,
    /// By field, the classes that are wanted.
    pub fields: [Option<Rc<ClassSet>>; Field::COUNT],
    /// Conditions that others ask for too, with the truth value that is wanted.
    pub atoms: Vec<(Level, bool)>,
    /// A condition of its own, which may hold or not.
    pub doubtful: bool,
    /// Fields that have one of several values, and those that are wanted.
    pub choices: Vec<(Field, IntervalSet)>,
    /// Further guards, as diagrams of [`Out::Holds`] and [`Out::Fails`].
    pub others: Vec<Node>,
    /// Why it may hold or not.
    pub reasons: Vec<u32>,
}

/// Packets for which something is not known or assumed, and the reason.
pub(super) struct Doubt {
    pub fields: [Option<Rc<ClassSet>>; Field::COUNT],
    pub reason: u32,
    /// Who would let the packets in, where that is asked for.
    pub by: By,
}

// Values of which one is taken, followed in one question; beyond, they are only known to be one of them.
const MAX_CHOICES: u32 = 1024;

impl<'a> Wide<'_, 'a> {
    /// A conjunction, as packets in a state meet it, or those of a run of rules. `acts`: the rule would stop packets or send them elsewhere.
    pub(super) fn guard(
        &mut self,
        here: &Here<'a>,
        rule: &Rule,
        (terms, run): (TermRange, Option<(ChainId, &Run)>),
        state: u32,
        acts: bool,
        top: bool,
    ) -> Guard {
        let mut g = Guard::default();
        for (at, term) in here.f.terms(terms).iter().enumerate() {
            match run.filter(|(_, r)| r.at == at) {
                Some((chain, run)) => {
                    let key = Key::Run(here.firewall, chain, run.first);
                    self.field(here, rule, top, run.field, &run.values, key, state, &mut g);
                }
                None => self.term(here, (rule, acts, top), *term, state, &mut g),
            }
            if g.refused {
                break;
            }
        }
        g
    }

    fn term(&mut self, here: &Here<'a>, asker: (&Rule, bool, bool), term: Term, state: u32, g: &mut Guard) {
        let (rule, acts, top) = asker;
        match term {
            Term::Range { field, lo, hi } => {
                let base = Term::base(field);
                let set = IntervalSet::range(base + Value::from(lo), base + Value::from(hi));
                self.field(here, rule, top, field, &set, Key::Range(lo, hi), state, g);
            }
            Term::In(field, id) => {
                let key = Key::Pooled(here.firewall, id);
                self.field(here, rule, top, field, here.f.sets.get(id), key, state, g);
            }
            Term::Original(field, id) => {
                self.carried(field, g);
                if self.walk.state(state).written & 1 << field.index() != 0 {
                    self.doubt(here, Why::Original(field), rule, g);
                } else {
                    let classes = self.class_set(field, Key::Pooled(here.firewall, id), here.f.sets.get(id));
                    want(g, field, &classes);
                }
            }
            Term::Register { register, negated, test } => {
                let (value, mask) = here.f.sets.mask(test);
                match self.walk.state(state).registers[register as usize] {
                    Some(v) if (v & mask == value) != negated => {}
                    Some(_) => g.refused = true,
                    None => self.doubt(here, Why::Register(register), rule, g),
                }
            }
            Term::Any(id) => {
                let node = self.alternatives(here, rule, id, state, &mut g.reasons);
                if node != self.terminal(&[Out::Holds]) {
                    g.others.push(node);
                }
            }
            Term::Label(label) => match &self.walk.question.point.environment.labels {
                Some(attached) if attached.contains(&here.f.labels[label.index()]) => {}
                Some(_) => g.refused = true,
                None => self.label(here, rule, label, state, g),
            },
            Term::AddressType { field, types, negated } => {
                self.address_type(here, rule, field, types, negated, state, g);
            }
            Term::Masked { field, negated, test } => {
                self.masked(here, rule, field, (test, negated), state, g)
            }
            Term::Opaque { condition, negated } => {
                self.opaque(here, (rule, acts), condition, negated, state, g)
            }
        }
    }

    fn doubt(&mut self, here: &Here<'a>, why: Why, rule: &Rule, g: &mut Guard) {
        g.doubtful = true;
        g.reasons.push(self.walk.reason(here.firewall, why, rule.origin));
    }

    // A condition with one truth value per packet.
    fn fact(&mut self, here: &Here<'a>, rule: &Rule, fact: Fact, wanted: bool, state: u32, g: &mut Guard) {
        if let Some((_, truth)) = self.walk.state(state).known.iter().find(|(k, _)| *k == fact) {
            g.refused |= *truth != wanted;
            return;
        }
        let why = why_of(&fact);
        g.reasons.push(self.walk.reason(here.firewall, why, rule.origin));
        match self.atom(fact) {
            Some(level) => g.atoms.push((level, wanted)),
            None => g.doubtful = true,
        }
    }

    // The same as a diagram of its own.
    fn fact_node(
        &mut self,
        here: &Here<'a>,
        rule: &Rule,
        fact: Fact,
        wanted: bool,
        state: u32,
        reasons: &mut Vec<u32>,
    ) -> Node {
        let mut g = Guard::default();
        self.fact(here, rule, fact, wanted, state, &mut g);
        reasons.append(&mut g.reasons);
        self.boolean(&g)
    }

    fn carried(&mut self, field: Field, g: &mut Guard) {
        if let Some(with) = shared_carriers(field) {
            let classes = self.class_set(Field::Proto, Key::Carriers(field), with);
            want(g, Field::Proto, &classes);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn field(
        &mut self,
        here: &Here<'a>,
        rule: &Rule,
        top: bool,
        field: Field,
        set: &IntervalSet,
        key: Key,
        state: u32,
        g: &mut Guard,
    ) {
        enum Case {
            Arrived,
            Known(bool),
            OneOf,
            Unknown,
            Moved(Value),
        }
        let case = match seen(field, &self.walk.state(state).views[field.index()], here.sees) {
            Seen::Same => Case::Arrived,
            Seen::One(v) => Case::Known(set.contains(v)),
            Seen::Among(among) if set.covers(among) => Case::Known(true),
            Seen::Among(among) if !set.intersects(among) => Case::Known(false),
            Seen::Among(_) => Case::OneOf,
            Seen::Unknown => Case::Unknown,
            Seen::Shift(by) => Case::Moved(by),
        };
        if matches!(case, Case::Unknown) {
            return self.doubt(here, Why::Among(field), rule, g);
        }
        self.carried(field, g);
        match case {
            Case::Arrived => {
                let classes = self.class_set(field, key, set);
                want(g, field, &classes);
            }
            Case::Known(holds) => g.refused |= !holds,
            Case::OneOf if top && self.walk.forks < MAX_CHOICES => {
                self.walk.forks += 1;
                g.choices.push((field, set.clone()));
                g.reasons.push(self.walk.reason(here.firewall, Why::Among(field), rule.origin));
            }
            Case::OneOf | Case::Unknown => self.doubt(here, Why::Among(field), rule, g),
            Case::Moved(by) => {
                let classes = self.moved_set(field, key, set, by);
                want(g, field, &classes);
            }
        }
    }

    /// The classes of a set that was planned for; anything else is not supported.
    pub(super) fn class_set(&mut self, field: Field, key: Key, set: &IntervalSet) -> Rc<ClassSet> {
        if let Some(c) = self.class_sets.get(&(field, key, 0)) {
            return Rc::clone(c);
        }
        let c = Rc::new(self.classes[field.index()].set(set.ranges()));
        self.class_sets.insert((field, key, 0), Rc::clone(&c));
        c
    }

    // The classes of arriving values that are in a set after they were moved.
    fn moved_set(&mut self, field: Field, key: Key, set: &IntervalSet, by: Value) -> Rc<ClassSet> {
        if let Some(c) = self.class_sets.get(&(field, key, by)) {
            return Rc::clone(c);
        }
        let c = self.before_move(field, set, by);
        self.class_sets.insert((field, key, by), Rc::clone(&c));
        c
    }

    /// The same of a set that has no key.
    pub(super) fn before_move(&mut self, field: Field, set: &IntervalSet, by: Value) -> Rc<ClassSet> {
        let shift = self.shifts.iter().find(|s| (s.field, s.by) == (field, by));
        let classes = shift.and_then(|s| {
            let before = shifted(set, by.wrapping_neg()).intersect(&s.of);
            self.classes[field.index()].exact(&before, &s.of)
        });
        self.unsupported |= classes.is_none();
        Rc::new(classes.unwrap_or_default())
    }

    /// The same of a set that has no key; `unsupported` if it is no union of classes.
    pub(super) fn exact_set(&mut self, field: Field, set: &IntervalSet) -> Rc<ClassSet> {
        // Of values with which no packet arrives it does not matter where they are.
        let arrived = &self.arrived[field.index()];
        let classes = self.classes[field.index()].exact(&set.intersect(arrived), arrived);
        self.unsupported |= classes.is_none();
        Rc::new(classes.unwrap_or_default())
    }

    fn alternatives(
        &mut self,
        here: &Here<'a>,
        rule: &Rule,
        id: AlternativesId,
        state: u32,
        reasons: &mut Vec<u32>,
    ) -> Node {
        let fails = self.out(Out::Fails);
        let mut nodes: Vec<Node> = Vec::new();
        for terms in &here.f.alternatives[id.index()] {
            let mut g = self.guard(here, rule, (*terms, None), state, false, false);
            reasons.append(&mut g.reasons);
            nodes.push(self.boolean(&g));
        }
        let nothing = self.arena.terminal(&[fails]);
        // By halves: the first of all alternatives would be copied once for each other.
        while nodes.len() > 1 {
            let pairs = nodes.chunks(2);
            let mut next = Vec::with_capacity(pairs.len());
            for pair in pairs {
                next.push(match *pair {
                    [a, b] => self.arena.bind(a, |_, o| (o == fails).then_some(b)),
                    [a] => a,
                    _ => nothing,
                });
            }
            nodes = next;
        }
        nodes.pop().unwrap_or(nothing)
    }

    fn label(&mut self, here: &Here<'a>, rule: &Rule, label: LabelId, state: u32, g: &mut Guard) {
        let field = Firewall::own_address(here.base.hook);
        let view = &self.walk.state(state).views[field.index()];
        if here.f.carriers.is_empty() || *view != View::Same {
            return self.doubt(here, Why::Label(label), rule, g);
        }
        let (certain, possible) = here.f.carriers(label);
        let (yes, maybe, no) = (
            self.terminal(&[Out::Holds]),
            self.terminal(&[Out::Holds, Out::Fails]),
            self.terminal(&[Out::Fails]),
        );
        let (certain, possible) = (self.exact_set(field, &certain), self.exact_set(field, &possible));
        let below = self.split(field, &possible, maybe, no);
        let node = self.split(field, &certain, yes, below);
        g.reasons.push(self.walk.reason(here.firewall, Why::Label(label), rule.origin));
        g.others.push(node);
    }

    #[allow(clippy::too_many_arguments)]
    fn address_type(
        &mut self,
        here: &Here<'a>,
        rule: &Rule,
        field: Field,
        types: AddressTypes,
        negated: bool,
        state: u32,
        g: &mut Guard,
    ) {
        let s = self.walk.state(state);
        let view = s.views[field.index()].clone();
        let routed = Routed::of(field, here.base.hook, s.path, view == View::Same);
        let known = self.walk.known_types(state, field, &view);
        let left = |may_be: u8| known.iter().fold(may_be, |t, (types, is)| narrowed(t, *types, *is));
        let classes = self.walk.classes(routed);
        let arrived = &self.arrived[field.index()];
        let parts: Vec<(Option<IntervalSet>, u8)> = match &view {
            View::Same => classes
                .iter()
                .flat_map(|c| c.types(c.set.intersect(arrived)))
                .map(|(set, t)| (Some(set), t))
                .collect(),
            View::One(v) => vec![(None, types_of(&classes, &IntervalSet::single(*v)))],
            View::Among { left, .. } => vec![(None, types_of(&classes, left))],
            View::Unknown => vec![(None, u8::MAX)],
            View::Shift(by) => {
                let shift = self.shifts.iter().find(|s| (s.field, s.by) == (field, *by));
                let moved = shift.map_or(IntervalSet::EMPTY, |s| shifted(&s.of, *by));
                self.unsupported |= shift.is_none();
                classes
                    .iter()
                    .flat_map(|c| c.types(c.set.intersect(&moved)))
                    .map(|(set, t)| (Some(set), t))
                    .collect()
            }
        };
        let (yes, no) = (self.terminal(&[Out::Holds]), self.terminal(&[Out::Fails]));
        let mut node = no;
        for (set, may_be) in parts {
            let may_be = left(may_be);
            let here_node = match is_of(may_be, types.0) {
                Some(is) if is != negated => yes,
                Some(_) => no,
                None => {
                    let fact = Fact::AddressType(field, view.clone(), may_be & types.0);
                    self.fact_node(here, rule, fact, !negated, state, &mut g.reasons)
                }
            };
            node = match set {
                Some(set) => {
                    let classes = match view {
                        View::Shift(by) => self.before_move(field, &set, by),
                        _ => self.exact_set(field, &set),
                    };
                    self.split(field, &classes, here_node, node)
                }
                None => here_node,
            };
        }
        if node == no {
            g.refused = true;
        } else if node != yes {
            g.others.push(node);
        }
    }

    fn masked(
        &mut self,
        here: &Here<'a>,
        rule: &Rule,
        field: Field,
        (test, negated): (BitsId, bool),
        state: u32,
        g: &mut Guard,
    ) {
        let (mask, wanted) = here.f.sets.bits(test);
        let view = self.walk.state(state).views[field.index()].clone();
        if view == View::Unknown {
            return self.doubt(here, Why::Masked(field), rule, g);
        }
        self.carried(field, g);
        match &view {
            View::One(v) => g.refused |= (v & mask == wanted) == negated,
            View::Among { left, .. } => {
                let parts = split(left, mask, wanted, MAX_INTERVALS);
                let (set, other) =
                    if negated { (parts.fails, parts.holds) } else { (parts.holds, parts.fails) };
                match (set.is_empty(), other.is_empty(), parts.rest.is_empty()) {
                    (false, true, true) => {}
                    (true, _, true) => g.refused = true,
                    _ => self.doubt(here, Why::Masked(field), rule, g),
                }
            }
            View::Same => {
                let parts = split(&self.arrived[field.index()], mask, wanted, MAX_INTERVALS);
                let (yes, no) = (self.terminal(&[Out::Holds]), self.terminal(&[Out::Fails]));
                let (if_holds, if_fails) = if negated { (no, yes) } else { (yes, no) };
                let mut node = if_fails;
                if !parts.rest.is_empty() {
                    let fact = Fact::Masked(field, view.clone(), test);
                    let open = self.fact_node(here, rule, fact, !negated, state, &mut g.reasons);
                    let rest = self.exact_set(field, &parts.rest);
                    node = self.split(field, &rest, open, node);
                }
                let holds = self.exact_set(field, &parts.holds);
                node = self.split(field, &holds, if_holds, node);
                if node == no {
                    g.refused = true;
                } else if node != yes {
                    g.others.push(node);
                }
            }
            View::Shift(_) => self.unsupported = true,
            View::Unknown => {}
        }
    }

    fn opaque(
        &mut self,
        here: &Here<'a>,
        (rule, acts): (&Rule, bool),
        condition: ConditionId,
        negated: bool,
        state: u32,
        g: &mut Guard,
    ) {
        let environment = self.walk.question.point.environment;
        let c = here.f.condition(condition);
        if let Some(truth) =
            environment.settled.get(&crate::analysis::Fact::Condition(here.firewall, condition))
        {
            g.refused |= *truth == negated;
            return;
        }
        match &c.kind {
            ConditionKind::Rate { unthrottled } if !environment.throttled => {
                if *unthrottled == negated {
                    g.refused = true;
                    if acts {
                        let reason = self.walk.reason(here.firewall, Why::Condition(condition), rule.origin);
                        self.spare(here, rule, state, reason);
                    }
                }
                return;
            }
            ConditionKind::ReversePath { unforged } if !environment.forged => {
                g.refused |= *unforged == negated;
                return;
            }
            ConditionKind::HostName { field, name }
                if environment.names.contains(&(*field, name.clone())) =>
            {
                g.refused |= negated;
                return;
            }
            _ => {}
        }
        if c.uses > 1 && c.kind.is_pure() {
            self.fact(here, rule, Fact::Condition(here.firewall, condition), !negated, state, g);
        } else {
            self.doubt(here, Why::Condition(condition), rule, g);
        }
    }

    // Packets that meet all that the rule asks of fields, but for its rate limit.
    fn spare(&mut self, here: &Here<'a>, rule: &Rule, state: u32, reason: u32) {
        let mut g = Guard::default();
        for term in here.f.terms(rule.terms) {
            let set = match here.f.field_set(term) {
                Some((field, set)) if matches!(self.walk.state(state).views[field.index()], View::Same) => {
                    (field, set)
                }
                _ => continue,
            };
            let classes = self.exact_set(set.0, &set.1);
            want(&mut g, set.0, &classes);
        }
        self.spared.push(Doubt { fields: g.fields, reason, by: None });
    }

    /// A guard as a diagram of its own.
    pub(super) fn boolean(&mut self, g: &Guard) -> Node {
        let (holds, fails) = (self.terminal(&[Out::Holds]), self.terminal(&[Out::Fails]));
        if g.refused {
            return fails;
        }
        // Of alternatives, one of several values is only known to be one of them.
        let yes = if g.doubtful || !g.choices.is_empty() { self.arena.union(holds, fails) } else { holds };
        let simple = self.conjunction(g, yes, fails);
        self.also(&g.others, simple)
    }

    /// A diagram where some others hold too, else what they say.
    fn also(&mut self, others: &[Node], simple: Node) -> Node {
        let holds = self.out(Out::Holds);
        others.iter().fold(simple, |all, other| self.arena.bind(*other, |_, o| (o == holds).then_some(all)))
    }

    /// `yes` where all that is asked of fields and conditions holds, else `no`; both are terminals.
    pub(super) fn conjunction(&mut self, g: &Guard, yes: Node, no: Node) -> Node {
        let mut atoms = g.atoms.clone();
        atoms.sort_unstable();
        atoms.dedup();
        if atoms.windows(2).any(|w| w[0].0 == w[1].0) {
            return no;
        }
        let mut node = yes;
        for (level, wanted) in atoms.into_iter().rev() {
            let class = u32::from(wanted);
            node = self.arena.choice(level, &[(class, class)], node, no);
        }
        let mut fields: Vec<(Level, Rc<ClassSet>)> = Vec::new();
        for f in Field::ALL {
            if let Some(set) = &g.fields[f.index()] {
                match self.levels[f.index()] {
                    Some(level) => fields.push((level, Rc::clone(set))),
                    None if set.is_empty() => return no,
                    None => {}
                }
            }
        }
        fields.sort_unstable_by_key(|f| std::cmp::Reverse(f.0));
        for (level, set) in fields {
            node = self.arena.choice(level, &set, node, no);
        }
        node
    }

    // `yes` where the arriving field is in the classes, else `no`.
    pub(super) fn split(&mut self, field: Field, set: &ClassSet, yes: Node, no: Node) -> Node {
        let Some(level) = self.levels[field.index()] else {
            return if set.is_empty() { no } else { yes };
        };
        let (holds, fails) = (self.terminal(&[Out::Holds]), self.terminal(&[Out::Fails]));
        let guard = self.arena.choice(level, set, holds, fails);
        self.when(guard, yes, no)
    }

    /// `yes` where a diagram of [`Out::Holds`] and [`Out::Fails`] holds, else `no`.
    pub(super) fn when(&mut self, guard: Node, yes: Node, no: Node) -> Node {
        let holds = self.out(Out::Holds);
        self.arena.bind(guard, |_, o| Some(if o == holds { yes } else { no }))
    }
}

// The field must be in the classes too.
pub(super) fn want(g: &mut Guard, field: Field, classes: &Rc<ClassSet>) {
    let set = match &g.fields[field.index()] {
        None => Rc::clone(classes),
        Some(old) if Rc::ptr_eq(old, classes) => return,
        Some(old) => Rc::new(intersection(old, classes)),
    };
    g.refused |= set.is_empty();
    g.fields[field.index()] = Some(set);
}

/// The classes in both.
pub(super) fn intersection(a: &ClassSet, b: &ClassSet) -> ClassSet {
    let (mut i, mut j) = (0, 0);
    let mut out = ClassSet::new();
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        let (lo, hi) = (x.0.max(y.0), x.1.min(y.1));
        if lo <= hi {
            out.push((lo, hi));
        }
        if x.1 < y.1 { i += 1 } else { j += 1 }
    }
    out
}

fn why_of(fact: &Fact) -> Why {
    match fact {
        Fact::Condition(_, c) => Why::Condition(*c),
        Fact::AddressType(field, _, types) => Why::AddressType(*field, *types),
        Fact::Masked(field, ..) => Why::Masked(*field),
    }
}
