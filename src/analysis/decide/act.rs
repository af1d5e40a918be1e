//! What rules and policies do to the cells that they take.

use super::cell::{Cell, List, State, View, add};
use super::reason::Why;
use super::translate::rewrite;
use super::walk::{End, Here, Walk};
use crate::analysis::{Moved, Verdict};
use crate::model::*;
use crate::packet::{ConnState, Field};

/// Combinations of marks and known facts: with more of them, marks that are written are not remembered.
const MAX_STATES: usize = 2048;

impl<'a> Walk<'a> {
    pub(super) fn policy(&mut self, here: &Here<'a>, mut cell: Cell) {
        match here.base.policy {
            Policy::Accept => {
                let d = self.policy_decider(here, Verdict::Accept);
                self.accept(here, cell, add(&None, d));
            }
            Policy::Drop => {
                let d = self.policy_decider(here, Verdict::Drop);
                self.drop(cell, d);
            }
            Policy::Unknown(c) => {
                let why = self.reason(here.firewall, Why::Condition(c), here.base.policy_origin);
                let (yes, no) =
                    (self.policy_decider(here, Verdict::Accept), self.policy_decider(here, Verdict::Drop));
                let accepted = Cell { extra: true, because: add(&cell.because, why), ..cell.clone() };
                self.accept(here, accepted, add(&None, yes));
                if cell.extra {
                    cell.because = add(&cell.because, why);
                }
                self.drop(cell, no);
            }
        }
    }

    /// The base chain is done with the cell.
    pub(super) fn accept(&mut self, here: &Here<'a>, mut cell: Cell, decided: List) {
        let first = decided.as_ref().and_then(|l| l.first()).copied();
        if let Some(d) = first {
            let new = self.deciders[d as usize];
            let old = cell.decided.as_ref().and_then(|l| l.first()).map(|o| self.deciders[*o as usize]);
            let better = old.is_none_or(|o| new.outranks(&o, here.base.kind));
            if better && (here.base.kind == ChainKind::Filter || new.rule.is_some()) {
                cell.decided = decided;
                if self.by_rule {
                    cell = self.restated(&cell, |s| s.rule = Some(d));
                }
            }
        }
        let origin = first.map_or(here.base.policy_origin, |d| self.deciders[d as usize].origin);
        for cell in self.rerouted(here, cell, origin) {
            let path = self.state(cell.state).path;
            if here.at + 1 >= self.ways[path as usize].len() {
                self.end(cell, Verdict::Accept);
            } else {
                self.next[path as usize].push(cell);
            }
        }
    }

    fn drop(&mut self, mut cell: Cell, decider: u32) {
        cell.decided = add(&None, decider);
        self.end(cell, Verdict::Drop);
    }

    pub(super) fn end(&mut self, cell: Cell, verdict: Verdict) {
        let list = if cell.extra { &mut self.extra } else { &mut self.main };
        list.push(End { cell, verdict, place: self.place });
    }

    // A cell whose way is not followed any further.
    pub(super) fn give_up(
        &mut self,
        firewall: usize,
        mut cell: Cell,
        why: Why,
        origin: crate::source::Origin,
    ) {
        let why = self.reason(firewall, why, origin);
        cell.because = add(&cell.because, why);
        self.end(cell, Verdict::Undecided);
    }

    pub(super) fn act(
        &mut self,
        here: Here<'a>,
        at: (ChainId, usize, Option<&'a Run>),
        mut taken: Vec<Cell>,
        live: &mut Vec<Cell>,
        out: &mut Vec<Cell>,
    ) {
        let (chain, index, _) = at;
        let rule = &here.f.chain(chain).rules[index];
        self.assume(&here, rule, &mut taken);
        if rule.effects.is_some() {
            for c in &mut taken {
                c.state = self.effects(&here, c.state, here.f.effects(rule));
            }
        }
        match rule.action {
            Action::Accept => {
                for c in taken {
                    let decided = self.deciders_of(&here, at, &c, Verdict::Accept);
                    self.accept(&here, c, decided);
                }
            }
            Action::Drop | Action::Reject => {
                for mut c in taken {
                    c.decided = self.deciders_of(&here, at, &c, Verdict::Drop);
                    self.end(c, Verdict::Drop);
                }
            }
            Action::Jump(to) => {
                let mut left = self.enter(here, rule, to, taken);
                live.append(&mut left);
            }
            Action::Goto(to) => {
                let mut left = self.enter(here, rule, to, taken);
                out.append(&mut left);
            }
            Action::Return => out.append(&mut taken),
            Action::Continue => live.append(&mut taken),
            Action::Translate(t) => {
                let decided = self.rule_decider(&here, chain, index, Verdict::Accept);
                for c in taken {
                    for c in self.translate(&here, c, &here.f.translations[t.index()]) {
                        self.accept(&here, c, add(&None, decided));
                    }
                }
            }
            Action::Unknown(condition) => {
                let why = self.reason(here.firewall, Why::Condition(condition), rule.origin);
                let accept = self.rule_decider(&here, chain, index, Verdict::Accept);
                let drop = self.rule_decider(&here, chain, index, Verdict::Drop);
                for c in taken {
                    let c = self.restated(&c, |s| s.registers = Default::default());
                    let way = Cell { extra: true, because: add(&c.because, why), ..c.clone() };
                    if here.base.kind == ChainKind::Nat {
                        for t in self.translate(&here, way.clone(), &Translation::anything(here.base.hook)) {
                            self.accept(&here, t, add(&None, accept));
                        }
                    }
                    self.accept(&here, way.clone(), add(&None, accept));
                    self.drop(way, drop);
                    live.push(c);
                }
            }
        }
    }

    // Remembers which rate limits let the rule apply.
    fn assume(&mut self, here: &Here<'a>, rule: &Rule, taken: &mut [Cell]) {
        if self.question.point.environment.throttled || rule.action == Action::Continue {
            return;
        }
        for term in here.f.terms(rule.terms) {
            if let Term::Opaque { condition, .. } = term
                && matches!(here.f.condition(*condition).kind, ConditionKind::Rate { .. })
            {
                let why = self.reason(here.firewall, Why::Condition(*condition), rule.origin);
                for c in taken.iter_mut() {
                    c.assumed = add(&c.assumed, why);
                }
            }
        }
    }

    pub(super) fn effects(&mut self, here: &Here<'a>, state: u32, effects: &[Effect]) -> u32 {
        let mut s = self.state(state).clone();
        let blurred = self.states.len() > MAX_STATES;
        for effect in effects {
            match *effect {
                Effect::Untrack => s.views[Field::State.index()] = View::One(ConnState::Untracked.value()),
                Effect::Forget(register, _) => s.registers[register as usize] = None,
                Effect::Rewrite { field, to } => rewrite(&mut s, field, here.f.sets.get(to), self.family),
                Effect::Deliver => s.moved = Moved::Here,
                Effect::Write { register, .. } | Effect::Copy { to: register, .. } if blurred => {
                    s.registers[register as usize] = None;
                }
                Effect::Write { register, mask, value } => {
                    let r = &mut s.registers[register as usize];
                    *r = if mask == u32::MAX { Some(value) } else { r.map(|old| (old & !mask) ^ value) };
                }
                Effect::Copy { from, to, mask } => {
                    let (a, b) = (s.registers[from as usize], s.registers[to as usize]);
                    s.registers[to as usize] = match (a, b) {
                        (Some(a), _) if mask == u32::MAX => Some(a),
                        (Some(a), Some(b)) => Some((b & !mask) | (a & mask)),
                        _ => None,
                    };
                }
            }
        }
        self.intern(s)
    }

    /// The state of a cell with another state put in its place.
    pub(super) fn restated(&mut self, cell: &Cell, change: impl FnOnce(&mut State)) -> Cell {
        let mut s = self.state(cell.state).clone();
        change(&mut s);
        Cell { state: self.intern(s), ..cell.clone() }
    }
}
