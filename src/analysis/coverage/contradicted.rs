//! Rules that overlap with an earlier one of the opposite verdict, so that their order decides about some new connections.

use super::boxes::{BLOCKER, Boxes, TARGET, contains, holds, meets};
use super::graph::each_chain;
use super::index::Index;
use super::literals::Literals;
use super::parts::Reader;
use crate::model::*;
use crate::packet::{ConnState, Field};
use rustc_hash::FxHashMap;
use std::ops::ControlFlow;

/// Earlier boxes that boxes are compared with, all together: each with as many, the nearest first, as that leaves it. A tenth of a second.
const COMPARED: usize = 10_000_000;
/// And at least so many.
const LOOK_BACK: usize = 32;
/// Boxes that one point is compared with.
const VISITS: usize = 1024;
/// Boxes that are looked at in all, for one family. About a second.
const BUDGET: u64 = 100_000_000;

/// Rules that accept or stop packets, each with the nearest earlier rule of its chain that does the opposite with some packets that both match, while
/// each of the two matches others too. Only such packets count as may open a connection and as no rule before both decides: swapped, the two
/// would decide otherwise about them. By chain and index; each is exact, but not all are found. Rules of which nothing is known but by
/// conditions, and those of `left_out`, are not asked for.
pub fn contradicted(f: &Firewall, left_out: &dyn Fn(ChainId, usize) -> bool) -> Vec<((ChainId, usize), u32)> {
    let mut found: FxHashMap<(ChainId, usize), u32> = FxHashMap::default();
    let fields = super::chains::fields(f);
    each_chain(f, BUDGET, |reader, id, budget| {
        for (rule, earlier) in of_chain(reader, id, &fields, left_out, budget) {
            found.entry((id, rule)).or_insert(earlier);
        }
    });
    let mut out: Vec<_> = found.into_iter().collect();
    out.sort_unstable();
    out
}

fn of_chain(
    reader: &mut Reader<'_>,
    id: ChainId,
    fields: &[Field],
    left_out: &dyn Fn(ChainId, usize) -> bool,
    budget: &mut u64,
) -> Vec<(usize, u32)> {
    let rules = &reader.f.chain(id).rules;
    let lets_in = |n: u32| match rules[n as usize].action {
        Action::Accept => Some(true),
        Action::Drop | Action::Reject => Some(false),
        _ => None,
    };
    let mut boxes = Boxes::new(fields);
    for (n, rule) in rules.iter().enumerate() {
        let written = rule.note.is_none();
        let decides = lets_in(n as u32).is_some() && written && rule.terms.len > 0 && !left_out(id, n);
        let roles = if decides { TARGET | BLOCKER } else { TARGET };
        let new = ConnState::New as u32;
        for mut part in reader.parts(rule) {
            let state = &mut part.spans[Field::State.index()];
            if (state.0..=state.1).contains(&new) {
                *state = (new, new);
                boxes.push(n, &part, roles);
            }
        }
    }
    let mut index = Index::new(&boxes);
    let mut out = Vec::new();
    let look_back = (COMPARED / boxes.len().max(1)).max(LOOK_BACK) as u32;
    for n in 0..rules.len() as u32 {
        let own = boxes.of_rule(n as usize);
        let asked = own.clone().any(|b| boxes.is(b, BLOCKER));
        let mut earlier = (own.start.saturating_sub(look_back)..own.start).rev();
        let opposite = asked.then(|| {
            earlier.find_map(|b| {
                *budget = budget.checked_sub(1)?;
                let other = boxes.rule(b);
                if !boxes.is(b, BLOCKER) || lets_in(other) != lets_in(n).map(|v| !v) {
                    return None;
                }
                let meet = |o: &u32| boxes.is(*o, BLOCKER) && meets(boxes.get(b), boxes.get(*o));
                let with = own.clone().find(meet)?;
                (!within(&boxes, n, other)
                    && !within(&boxes, other, n)
                    && decides(&boxes, reader, &index, b, with))
                .then_some(other)
            })
        });
        out.extend(opposite.flatten().map(|other| (n as usize, other)));
        own.for_each(|b| index.add(&boxes, b));
    }
    out
}

// Whether all boxes of a rule are within boxes of another one.
fn within(boxes: &Boxes, rule: u32, of: u32) -> bool {
    let outer = boxes.of_rule(of as usize);
    boxes.of_rule(rule as usize).all(|b| outer.clone().any(|o| contains(boxes.get(o), boxes.get(b))))
}

// Whether the earlier of two boxes that meet is the first to decide about some packet of both, whatever else holds: a corner of what they share.
fn decides(boxes: &Boxes, reader: &Reader<'_>, index: &Index, earlier: u32, later: u32) -> bool {
    if ![earlier, later].iter().all(|b| reader.table.implies(Literals::NONE, boxes.literals(*b))) {
        return false;
    }
    let pairs = || boxes.get(earlier).iter().zip(boxes.get(later));
    let lowest: Vec<u32> = pairs().map(|(a, b)| a.0.max(b.0)).collect();
    let highest: Vec<u32> = pairs().map(|(a, b)| a.1.min(b.1)).collect();
    [lowest, highest].iter().any(|point| {
        let (mut first, mut left) = (true, VISITS);
        let _ = index.at(point, &mut left, &mut |b| {
            first &= boxes.rule(b) >= boxes.rule(earlier) || !holds(boxes.get(b), point);
            if first { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        first && left > 0
    })
}
