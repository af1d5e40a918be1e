//! Rules whose packets would have the same verdict without them, because of a later rule.

use super::boxes::{BLOCKER, Boxes, TARGET, contains, meets};
use super::graph::each_chain;
use super::index::Index;
use super::parts::Reader;
use crate::model::*;
use crate::packet::Field;
use std::ops::ControlFlow;

/// Boxes behind a rule that are looked at.
const LOOK_AHEAD: usize = 4096;
/// Boxes that one point is compared with.
const VISITS: usize = 1024;
/// Boxes that are looked at in all, for one family. About a second.
const BUDGET: u64 = 100_000_000;

/// Rules that accept or drop packets and might as well be missing: a later rule of the chain with the same action would do the same with
/// each, and no rule between could see it. Both are written rules. By chain and index, each with the index of the later rule; exact, but not all. A rule without
/// conditions is no such later rule: what it would do with all the rest is often said before to be clear. `left_out` says which rules are
/// not asked for and do not count as later ones.
pub fn redundant(f: &Firewall, left_out: &dyn Fn(ChainId, usize) -> bool) -> Vec<((ChainId, usize), u32)> {
    let mut found: Vec<((ChainId, usize), Option<u32>)> = Vec::new();
    let fields = super::chains::fields(f);
    each_chain(f, BUDGET, |reader, chain, budget| {
        let mut search = Search { f, fields: &fields, reader, left_out, budget };
        found.extend(search.chain(chain).into_iter().map(|(rule, later)| ((chain, rule), later)));
    });
    // In both families, where both ask for it.
    found.sort_unstable();
    let rules = found.chunk_by(|a, b| a.0 == b.0);
    let both = |own: &[(_, Option<u32>)]| own.iter().map(|f| f.1).collect::<Option<Vec<_>>>();
    rules.filter_map(|own| Some((own[0].0, both(own)?.into_iter().max()?))).collect()
}

struct Search<'s, 'a> {
    f: &'a Firewall,
    fields: &'s [Field],
    reader: &'s mut Reader<'a>,
    left_out: &'s dyn Fn(ChainId, usize) -> bool,
    budget: &'s mut u64,
}

impl Search<'_, '_> {
    // For each rule that is asked for and has packets in this family: the later rule.
    fn chain(&mut self, id: ChainId) -> Vec<(usize, Option<u32>)> {
        let rules = &self.f.chain(id).rules;
        // Two rules that reject may answer differently.
        let decides = |r: &Rule| matches!(r.action, Action::Accept | Action::Drop);
        if !rules.iter().any(decides) {
            return Vec::new();
        }
        let mut boxes = Boxes::new(self.fields);
        for (n, rule) in rules.iter().enumerate() {
            let written = rule.note.is_none();
            let takes = decides(rule) && written && rule.terms.len > 0 && !(self.left_out)(id, n);
            let roles = if takes { TARGET | BLOCKER } else { TARGET };
            self.reader.parts(rule).iter().for_each(|p| boxes.push(n, p, roles));
        }
        let mut index = Index::new(&boxes);
        let mut out = Vec::new();
        for (n, rule) in rules.iter().enumerate().rev() {
            let own = boxes.of_rule(n);
            let plain = decides(rule) && rule.note.is_none() && rule.effects.is_none();
            if plain && !own.is_empty() && !(self.left_out)(id, n) {
                let later = own.clone().map(|i| self.later(&boxes, &index, rules, i));
                out.push((n, later.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max())));
            }
            own.filter(|b| boxes.is(*b, BLOCKER)).for_each(|b| index.add(&boxes, b));
        }
        out
    }

    // The nearest rule behind a box that has all of its packets and does the same with them, if no other between has any.
    fn later(&mut self, boxes: &Boxes, behind: &Index, rules: &[Rule], own: u32) -> Option<u32> {
        let rule = boxes.rule(own);
        let action = rules[rule as usize].action;
        let spans = boxes.get(own);
        let corner: Vec<u32> = spans.iter().map(|s| s.0).collect();
        let (mut nearest, mut left) = (None::<u32>, VISITS);
        let _ = behind.at(&corner, &mut left, &mut |b| {
            let other = boxes.rule(b);
            let fits = rules[other as usize].action == action
                && contains(boxes.get(b), spans)
                && boxes.binds(b, own, &self.reader.table);
            if fits && nearest.is_none_or(|n| other < n) {
                nearest = Some(other);
            }
            ControlFlow::Continue(())
        });
        let later = nearest?;
        let mut between = boxes.of_rule(rule as usize).end..boxes.of_rule(later as usize).start;
        *self.budget = self.budget.checked_sub(between.len() as u64)?;
        let alike = |b: u32| rules[boxes.rule(b) as usize].action == action;
        let free = between.len() <= LOOK_AHEAD && between.all(|b| alike(b) || !meets(boxes.get(b), spans));
        free.then_some(later)
    }
}
