//! Rules whose packets would have the same verdict without them, because of what stands behind.

use super::boxes::{BLOCKER, Boxes, TARGET, contains, meets};
use super::graph::{Group, groups};
use super::index::Index;
use super::parts::Reader;
use crate::model::*;
use crate::packet::Family;
use rustc_hash::FxHashMap;
use std::ops::ControlFlow;

/// What decides about the packets of a rule if it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instead {
    /// A later rule of the chain, by its index.
    Rule(u32),
    /// The policy of the base chain.
    Policy,
}

/// Boxes behind a rule that are looked at.
const LOOK_AHEAD: usize = 4096;
/// Boxes that one point is compared with.
const VISITS: usize = 1024;
/// Boxes that are looked at in all, for one family. About a second.
const BUDGET: u64 = 100_000_000;

/// Rules that accept or drop packets and might as well be missing: a later rule with the same action, or the policy, would do the same with
/// each, and no rule between could see it. By chain and index, each with what would decide instead; exact, but not all. `left_out` says which
/// rules are not asked for and do not count as later ones.
pub fn redundant(
    f: &Firewall,
    left_out: &dyn Fn(ChainId, usize) -> bool,
) -> Vec<((ChainId, usize), Instead)> {
    let mut found: FxHashMap<(ChainId, usize), Option<Instead>> = FxHashMap::default();
    let groups = groups(f);
    for family in Family::ALL.into_iter().filter(|family| f.covers(*family)) {
        let mut reader = Reader::new(f, family);
        let mut budget = BUDGET;
        for group in &groups {
            reader.changes = group.changes;
            for chain in &group.order {
                let mut search = Search { f, reader: &mut reader, left_out, budget: &mut budget };
                for (rule, instead) in search.chain(*chain, group) {
                    let both = found.entry((*chain, rule)).or_insert(instead);
                    *both = both.zip(instead).map(|(a, b)| a.max(b));
                }
            }
        }
    }
    let mut out: Vec<_> = found.into_iter().filter_map(|(rule, instead)| Some((rule, instead?))).collect();
    out.sort_unstable();
    out
}

struct Search<'s, 'a> {
    f: &'a Firewall,
    reader: &'s mut Reader<'a>,
    left_out: &'s dyn Fn(ChainId, usize) -> bool,
    budget: &'s mut u64,
}

impl Search<'_, '_> {
    // For each rule that has packets in this family: what would decide instead.
    fn chain(&mut self, id: ChainId, group: &Group) -> Vec<(usize, Option<Instead>)> {
        let rules = &self.f.chain(id).rules;
        // Two rules that reject may answer differently.
        let decides = |r: &Rule| matches!(r.action, Action::Accept | Action::Drop);
        if rules.iter().filter(|r| decides(r)).count() == 0 {
            return Vec::new();
        }
        let fields = super::chains::fields(self.f);
        let mut boxes = Boxes::new(&fields);
        for (n, rule) in rules.iter().enumerate() {
            let blocks = if decides(rule) && !(self.left_out)(id, n) { BLOCKER } else { 0 };
            self.reader.parts(rule).iter().for_each(|p| boxes.push(n, p, TARGET | blocks));
        }
        let drops = self.drops(id, group);
        let mut index = Index::new(&boxes);
        let mut out = Vec::new();
        for (n, rule) in rules.iter().enumerate().rev() {
            let own = boxes.of_rule(n);
            if own.is_empty() {
                continue;
            }
            let asked =
                decides(rule) && rule.note.is_none() && rule.effects.is_none() && !(self.left_out)(id, n);
            if asked {
                // A last word that the policy would have too is there for its own sake.
                let policy = drops && rule.action == Action::Drop && rule.terms.len > 0;
                let instead = own.clone().map(|i| self.instead(&boxes, &index, rules, i, policy));
                let all = instead.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
                out.push((n, all));
            }
            own.filter(|b| boxes.is(*b, BLOCKER)).for_each(|b| index.add(&boxes, b));
        }
        out
    }

    // Whether a chain is a base chain that drops at its end, and no other calls it. Where the policy accepts, that is what is wrong.
    fn drops(&self, id: ChainId, group: &Group) -> bool {
        let mut bases =
            group.bases.iter().map(|b| &self.f.base_chains[*b]).filter(|b| b.chain == id).peekable();
        bases.peek().is_some() && !group.called.contains(&id) && bases.all(|b| b.policy == Policy::Drop)
    }

    fn instead(
        &mut self,
        boxes: &Boxes,
        later: &Index,
        rules: &[Rule],
        own: u32,
        policy: bool,
    ) -> Option<Instead> {
        let rule = boxes.rule(own);
        let action = rules[rule as usize].action;
        let spans = boxes.get(own);
        let corner: Vec<u32> = spans.iter().map(|s| s.0).collect();
        let (mut nearest, mut visits) = (None::<u32>, 0);
        let _ = later.at(&corner, &mut |b| {
            visits += 1;
            let other = boxes.rule(b);
            let fits = rules[other as usize].action == action
                && contains(boxes.get(b), spans)
                && boxes.binds(b, own, &self.reader.table);
            if fits && nearest.is_none_or(|n| other < n) {
                nearest = Some(other);
            }
            if visits < VISITS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let (end, instead) = match nearest {
            Some(n) => (n as usize, Instead::Rule(n)),
            None if policy => (rules.len(), Instead::Policy),
            None => return None,
        };
        let between = boxes.of_rule(rule as usize).end..boxes.of_rule(end).start;
        *self.budget = self.budget.checked_sub(between.len() as u64)?;
        if between.len() > LOOK_AHEAD {
            return None;
        }
        let alike = |b: u32| rules[boxes.rule(b) as usize].action == action;
        let mut between = between;
        between.all(|b| alike(b) || !meets(boxes.get(b), spans)).then_some(instead)
    }
}
