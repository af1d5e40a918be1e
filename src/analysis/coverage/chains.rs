//! The way of packets through the chains of one family.
//!
//! Callers come before the chains that they call, so that all packets that may enter a chain are known when its turn comes. These are never
//! too few: where their parts become many, their hull is taken.

use super::axes::Span;
use super::boxes::{BLOCKER, Boxes, OPENING, TARGET, contains, meets, remainder};
use super::graph::{Group, groups};
use super::list::{Fate, fates};
use super::parts::{Part, Reader};
use super::summary::{Summary, summary};
use super::{Reason, Unused};
use crate::model::*;
use crate::packet::{ConnState, Family, Field, flags, proto};
use rustc_hash::FxHashSet;

/// Parts of the packets that enter one chain.
const MOST_ENTRIES: usize = 16;
/// Parts that earlier rules may leave of what a jump sends to its chain.
const MOST_SENT: usize = 16;
/// Rules with so many boxes before them are not asked what exactly they leave.
const LOOK_BACK: u32 = 512;
/// Rules that are looked at behind one that stops only stray packets.
const LOOK_AHEAD: usize = 20_000;
/// Parts that those packets may fall into.
const MOST_STRAYS: usize = 64;
/// Steps for one family; a step compares a box with a cell of space. About a second.
const BUDGET: u64 = 60_000_000;

/// What became of a rule in one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It matches no packet of the family, or its chain is not entered.
    Idle,
    /// Some packets are left to it, or nobody can tell.
    Used,
    /// None are.
    Unused(Unused),
}

/// The states of all rules, by chain.
pub(super) fn states(f: &Firewall, family: Family) -> Vec<Vec<State>> {
    let reader = Reader::new(f, family);
    let syn = crate::packet::flags::masked(flags::SYN | flags::ACK | flags::RST | flags::FIN, flags::SYN);
    let mut walk = Walk {
        fields: fields(f),
        syn: reader.axes.spans(Field::TcpFlags, &syn).first().copied(),
        reader,
        f,
        entries: vec![Vec::new(); f.chains.len()],
        callers: vec![Vec::new(); f.chains.len()],
        summaries: vec![Summary::default(); f.chains.len()],
        states: f.chains.iter().map(|c| vec![State::Idle; c.rules.len()]).collect(),
        budget: BUDGET,
    };
    let groups = groups(f);
    let mut looped = f.reached().to_vec();
    for group in &groups {
        group.order.iter().for_each(|c| looped[c.index()] = false);
        walk.group(group, family);
    }
    for (states, _) in walk.states.iter_mut().zip(looped).filter(|(_, looped)| *looped) {
        states.fill(State::Used);
    }
    walk.states
}

// The fields that any rule asks for.
pub(super) fn fields(f: &Firewall) -> Vec<Field> {
    let mut asked = [false; Field::COUNT];
    for term in &f.terms {
        if let Term::Range { field, .. }
        | Term::In(field, _)
        | Term::Original(field, _)
        | Term::Masked { field, .. } = *term
        {
            asked[field.index()] = true;
        }
    }
    // Whoever asks for ports asks for protocols.
    asked[Field::Proto.index()] |= Field::CARRIED.iter().any(|field| asked[field.index()]);
    Field::ALL.into_iter().filter(|field| asked[field.index()]).collect()
}

struct Walk<'a> {
    f: &'a Firewall,
    reader: Reader<'a>,
    fields: Vec<Field>,
    // TCP segments that open a connection: one interval, see `axes`.
    syn: Option<Span>,
    // By chain: packets that may enter it, and the rules that send them.
    entries: Vec<Vec<Part>>,
    callers: Vec<Vec<(ChainId, u32)>>,
    summaries: Vec<Summary>,
    states: Vec<Vec<State>>,
    budget: u64,
}

impl Walk<'_> {
    fn group(&mut self, group: &Group, family: Family) {
        let f = self.f;
        self.reader.changes = group.changes;
        let called: FxHashSet<ChainId> = group.called.iter().copied().collect();
        for chain in group.order.iter().rev().filter(|c| called.contains(c)) {
            self.summaries[chain.index()] = summary(&mut self.reader, *chain, &self.fields, &self.summaries);
        }
        for base in group.bases.iter().map(|b| &f.base_chains[*b]).filter(|b| b.families.contains(&family)) {
            for part in self.arriving(base) {
                self.enter(base.chain, part);
            }
        }
        for chain in &group.order {
            if !self.entries[chain.index()].is_empty() {
                self.chain(*chain, group);
            }
        }
    }

    // The packets that come to a base chain.
    fn arriving(&self, base: &BaseChain) -> Vec<Part> {
        let mut all = self.reader.everything();
        let seen = crate::packet::Path::ALL
            .into_iter()
            .filter(|p| Hook::on(*p).contains(&base.hook))
            .map(|p| base.hook.sees(p))
            .fold((false, false), |a, b| (a.0 || b.0, a.1 || b.1));
        for (field, seen) in [(Field::Iif, seen.0), (Field::Oif, seen.1)] {
            if !seen && let Some(none) = self.reader.axes.span(field, 0, 0) {
                all.spans[field.index()] = none;
            }
        }
        let asked = self.fields.contains(&Field::State);
        match base.kind {
            ChainKind::Nat if asked => [ConnState::New, ConnState::Related]
                .iter()
                .map(|s| {
                    let value = *s as u32;
                    let mut part = all;
                    part.spans[Field::State.index()] = (value, value);
                    part
                })
                .collect(),
            _ => vec![all],
        }
    }

    fn enter(&mut self, chain: ChainId, part: Part) {
        let (entries, table) = (&mut self.entries[chain.index()], &mut self.reader.table);
        if entries.iter().any(|e| e.contains(&part, table)) {
            return;
        }
        entries.retain(|e| !part.contains(e, table));
        entries.push(part);
        if entries.len() > MOST_ENTRIES {
            let hull = entries.iter().skip(1).fold(entries[0], |all, e| all.hull(e, table));
            *entries = vec![hull];
        }
    }

    fn chain(&mut self, id: ChainId, group: &Group) {
        let f = self.f;
        let rules = &f.chain(id).rules;
        let entries = self.entries[id.index()].clone();
        let whole = self.reader.everything();
        let open = matches!(entries[..], [one] if one.contains(&whole, &self.reader.table));
        let mut boxes = Boxes::new(&self.fields);
        let mut kept = vec![Met::Nothing; rules.len()];
        for (n, rule) in rules.iter().enumerate() {
            let parts = self.reader.parts(rule);
            if parts.is_empty() {
                continue;
            }
            let calls = match rule.action {
                Action::Jump(to) => Some(to),
                _ => None,
            };
            let asked = rule.note.is_none() || matches!(rule.action, Action::Jump(_) | Action::Goto(_));
            let denies = matches!(rule.action, Action::Drop | Action::Reject);
            kept[n] = Met::Here;
            let here: Vec<Part> = match (asked, open) {
                (false, _) => Vec::new(),
                (true, true) => parts.clone(),
                (true, false) => {
                    let table = &mut self.reader.table;
                    let meet = |p: &Part| entries.iter().filter_map(|e| p.and(e, table)).collect::<Vec<_>>();
                    parts.iter().flat_map(meet).collect()
                }
            };
            if asked && here.is_empty() {
                kept[n] = Met::Elsewhere;
            }
            if denies && asked {
                here.iter().flat_map(|p| self.opening(p)).for_each(|p| boxes.push(n, &p, TARGET | OPENING));
            }
            let blocks = if ends(rule.action) { BLOCKER } else { 0 };
            if open {
                parts.iter().for_each(|p| boxes.push(n, p, blocks | if asked { TARGET } else { 0 }));
            } else {
                here.iter().for_each(|p| boxes.push(n, p, TARGET));
                parts.iter().for_each(|p| boxes.push(n, p, blocks));
            }
            if let Some(to) = calls {
                for part in parts.iter().filter(|p| p.exact) {
                    for inner in self.summaries[to.index()].parts(&self.fields, whole) {
                        if let Some(both) = part.and(&inner, &mut self.reader.table) {
                            boxes.push(n, &both, BLOCKER);
                        }
                    }
                }
            }
        }
        entries.iter().for_each(|e| boxes.push(rules.len(), e, TARGET));
        let fates = fates(&boxes, &self.reader.table, &mut self.budget);
        let end = self.end(&boxes, &fates, rules.len());
        for (n, rule) in rules.iter().enumerate() {
            let name = |by: &[u32]| by.iter().map(|r| (id, *r)).collect::<Vec<_>>();
            let state = match (&kept[n], found(&boxes, &fates, n), &end) {
                (Met::Nothing, ..) => State::Idle,
                (_, _, Some((last, by))) if n > *last => {
                    State::Unused(Unused { reason: Reason::Ended, by: name(by) })
                }
                (Met::Elsewhere, ..) => {
                    let by = self.callers[id.index()].clone();
                    State::Unused(Unused { reason: Reason::Elsewhere, by })
                }
                (_, Some(found), _) if found.whole => {
                    State::Unused(Unused { reason: Reason::Covered, by: name(&found.by) })
                }
                (_, Some(found), _) if self.strays_are_denied(id, n, &boxes, group) => {
                    State::Unused(Unused { reason: Reason::Strays, by: name(&found.by) })
                }
                _ => State::Used,
            };
            if let Action::Jump(to) | Action::Goto(to) = rule.action
                && state == State::Used
            {
                self.call(id, n, to, &boxes);
            }
            self.states[id.index()][n] = if rule.note.is_some() { State::Idle } else { state };
        }
    }

    // The packets of a part that may open a connection.
    fn opening(&self, part: &Part) -> Vec<Part> {
        let mut start = *part;
        let state = &mut start.spans[Field::State.index()];
        if state.0 > ConnState::New as u32 {
            return Vec::new();
        }
        *state = (ConnState::New as u32, ConnState::New as u32);
        let (lo, hi) = start.spans[Field::Proto.index()];
        let tcp = u32::from(proto::TCP);
        let mut out = Vec::new();
        let mut add = |span: Span, segments: Option<Span>| {
            let mut piece = start;
            piece.spans[Field::Proto.index()] = (span.0.max(lo), span.1.min(hi));
            if let Some((from, to)) = segments {
                let own = &mut piece.spans[Field::TcpFlags.index()];
                *own = (own.0.max(from), own.1.min(to));
            }
            let some = |f: Field| piece.spans[f.index()].0 <= piece.spans[f.index()].1;
            if some(Field::Proto) && some(Field::TcpFlags) {
                out.push(piece);
            }
        };
        let asked = |f: Field| self.fields.contains(&f);
        match self.syn {
            Some(syn) if asked(Field::Proto) && asked(Field::TcpFlags) => {
                add((0, tcp - 1), None);
                add((tcp, tcp), Some(syn));
                add((tcp + 1, u32::from(u8::MAX)), None);
            }
            _ => add((0, u32::from(u8::MAX)), None),
        }
        out
    }

    // The rule after which no packet is left in a chain, and those that took them.
    fn end(&self, boxes: &Boxes, fates: &[Fate], end: usize) -> Option<(usize, Vec<u32>)> {
        let whole = boxes.of_rule(end);
        if whole.clone().any(|i| fates[i as usize].is_left()) {
            return None;
        }
        // What stands behind the end takes nothing any more.
        let used = |b: u32| found(boxes, fates, boxes.rule(b) as usize).is_none_or(|f| !f.whole);
        let (mut last, mut by) = (0, Vec::new());
        for entry in whole {
            let blockers = (0..entry)
                .filter(|b| boxes.is(*b, BLOCKER) && boxes.binds(*b, entry, &self.reader.table) && used(*b));
            let own = boxes.get(entry);
            let mut took = Vec::new();
            match blockers.clone().find(|b| contains(boxes.get(*b), own)) {
                Some(one) => took.push(boxes.rule(one)),
                None => {
                    let others = blockers.map(|b| (boxes.rule(b), boxes.get(b)));
                    remainder(own, others, LOOK_BACK as usize, &mut took).filter(Vec::is_empty)?;
                }
            }
            last = last.max(took.last().copied().unwrap_or(0) as usize);
            by.extend(took);
        }
        by.sort_unstable();
        by.dedup();
        Some((last, by))
    }

    // Sends on to a chain what earlier rules leave of the packets that a rule sends there.
    fn call(&mut self, chain: ChainId, rule: usize, to: ChainId, boxes: &Boxes) {
        self.callers[to.index()].push((chain, rule as u32));
        for target in boxes.of_rule(rule).filter(|i| boxes.is(*i, TARGET)) {
            let start = self.part(boxes, target);
            let left = if target > LOOK_BACK { None } else { self.rest(boxes, target, MOST_SENT) };
            for left in left.unwrap_or_else(|| vec![start]) {
                self.enter(to, left);
            }
        }
    }

    fn part(&self, boxes: &Boxes, id: u32) -> Part {
        let mut part = self.reader.everything();
        part.literals = boxes.literals(id);
        for (field, span) in self.fields.iter().zip(boxes.get(id)) {
            part.spans[field.index()] = *span;
        }
        part
    }

    // What earlier rules leave of a target; `None` if it falls into more parts than that.
    fn rest(&self, boxes: &Boxes, target: u32, most: usize) -> Option<Vec<Part>> {
        let rule = boxes.rule(target);
        let own = boxes.get(target);
        let earlier = (0..target)
            .filter(|b| {
                boxes.is(*b, BLOCKER) && boxes.rule(*b) < rule && boxes.binds(*b, target, &self.reader.table)
            })
            .filter(|b| meets(boxes.get(*b), own))
            .map(|b| (b, boxes.get(b)));
        let left = remainder(own, earlier, most, &mut Vec::new())?;
        let whole = self.part(boxes, target);
        let as_part = |spans: &Vec<Span>| {
            let mut part = whole;
            self.fields.iter().zip(spans).for_each(|(f, s)| part.spans[f.index()] = *s);
            part
        };
        Some(left.iter().map(as_part).collect())
    }

    // Whether a rule that stops packets, none of which opens a connection, might as well be missing: all of them are stopped behind it.
    fn strays_are_denied(&mut self, chain: ChainId, rule: usize, boxes: &Boxes, group: &Group) -> bool {
        let f = self.f;
        let mut left = Vec::new();
        for i in boxes.of_rule(rule) {
            match self.budget.checked_sub(u64::from(i)) {
                Some(rest) => self.budget = rest,
                None => return false,
            }
            if boxes.is(i, TARGET) && !boxes.is(i, OPENING) {
                match self.rest(boxes, i, MOST_STRAYS) {
                    Some(rest) => left.extend(rest),
                    None => return false,
                }
            }
        }
        let behind = &f.chain(chain).rules[rule + 1..];
        if behind.len() > LOOK_AHEAD {
            return false;
        }
        for later in behind {
            for part in self.reader.parts(later) {
                let apart = |l: &Part| l.spans.iter().zip(&part.spans).any(|(a, b)| a.0 > b.1 || b.0 > a.1);
                if left.iter().all(apart) {
                    continue;
                }
                match later.action {
                    Action::Continue if later.effects.is_none() => {}
                    Action::Drop | Action::Reject => {
                        let binds =
                            |l: &Part| part.exact && self.reader.table.implies(l.literals, part.literals);
                        let mut next = Vec::new();
                        for l in &left {
                            if binds(l) { l.minus(&part, &mut next) } else { next.push(*l) }
                        }
                        left = next;
                    }
                    _ => return false,
                }
                if left.is_empty() || left.len() > MOST_STRAYS {
                    return left.is_empty();
                }
            }
        }
        let bases: Vec<_> =
            group.bases.iter().map(|b| &f.base_chains[*b]).filter(|b| b.chain == chain).collect();
        !bases.is_empty()
            && self.callers[chain.index()].is_empty()
            && bases.iter().all(|b| b.policy == Policy::Drop)
    }
}

#[derive(Clone)]
enum Met {
    // The rule matches no packet of the family.
    Nothing,
    // It does, of those that come here.
    Here,
    // It does, but none of those comes here.
    Elsewhere,
}

// What is found of a rule: whether all its packets or only those that open connections are taken, and by which rules.
struct Found {
    whole: bool,
    by: Vec<u32>,
}

fn found(boxes: &Boxes, fates: &[Fate], rule: usize) -> Option<Found> {
    let of = |opening: bool| {
        let targets =
            boxes.of_rule(rule).filter(|i| boxes.is(*i, TARGET) && boxes.is(*i, OPENING) == opening);
        let mut targets = targets.map(|i| &fates[i as usize]).peekable();
        targets.peek()?;
        let mut by = Vec::new();
        for fate in targets {
            match fate {
                Fate::Left => return None,
                Fate::Taken(one) => by.push(*one),
                Fate::Shared(many) => by.extend_from_slice(many),
            }
        }
        by.sort_unstable();
        by.dedup();
        Some(by)
    };
    match of(false) {
        Some(by) => Some(Found { whole: true, by }),
        None => of(true).map(|by| Found { whole: false, by }),
    }
}

// Whether a rule's packets go no further in its chain.
fn ends(action: Action) -> bool {
    matches!(
        action,
        Action::Accept
            | Action::Drop
            | Action::Reject
            | Action::Return
            | Action::Goto(_)
            | Action::Translate(_)
    )
}
