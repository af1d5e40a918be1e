//! Which boxes of a list are covered by earlier ones.
//!
//! Short lists are compared pair by pair. In long ones each box is tried with a few random packets first: one that no earlier box holds
//! shows that packets are left, and a box that holds the packet may hold the whole box too. What neither settles is left to [`split`](super::split).
//! The random numbers have a fixed seed: equal lists, equal answers.

use super::axes::Span;
use super::boxes::{BLOCKER, Boxes, OPENING, TARGET, contains, holds, meets, remainder};
use super::index::Index;
use super::literals::Table;
use super::split::Split;
use std::ops::ControlFlow;

/// What became of a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// Some packets are left, or it was not asked for, or too much work to tell.
    Left,
    /// A blocker of this rule has all of them.
    Taken(u32),
    /// Blockers of these rules, and perhaps of more, have all of them together.
    Shared(Box<[u32]>),
}

impl Fate {
    pub fn is_left(&self) -> bool {
        *self == Fate::Left
    }
}

/// Lists up to this long are compared pair by pair.
const SHORT: usize = 64;
/// Random packets for each box.
const TRIES: usize = 6;
/// Boxes that one random packet is compared with.
const VISITS: usize = 1024;
/// Parts that the rest of a box may fall into.
const MOST_PARTS: usize = 256;

/// Finds the fate of every target.
pub(super) fn fates(boxes: &Boxes, table: &Table, budget: &mut u64) -> Vec<Fate> {
    if boxes.len() <= SHORT { short(boxes, table) } else { long(boxes, table, budget) }
}

// The boxes of one rule, as (first, behind the last).
fn rules(boxes: &Boxes) -> impl Iterator<Item = (u32, u32)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let first = at;
        let rule = (first < boxes.len() as u32).then(|| boxes.rule(first))?;
        while at < boxes.len() as u32 && boxes.rule(at) == rule {
            at += 1;
        }
        Some((first, at))
    })
}

pub(super) fn short(boxes: &Boxes, table: &Table) -> Vec<Fate> {
    let mut fates = vec![Fate::Left; boxes.len()];
    let mut blockers: Vec<u32> = Vec::new();
    for (first, behind) in rules(boxes) {
        for t in (first..behind).filter(|t| boxes.is(*t, TARGET)) {
            fates[t as usize] = alone(boxes, table, t, &blockers);
        }
        let spent = spent(boxes, &fates, first, behind);
        blockers.extend((first..behind).filter(|b| !spent && boxes.is(*b, BLOCKER)));
    }
    fates
}

fn alone(boxes: &Boxes, table: &Table, target: u32, blockers: &[u32]) -> Fate {
    let own = boxes.get(target);
    let near: Vec<u32> = blockers
        .iter()
        .copied()
        .filter(|b| meets(boxes.get(*b), own) && boxes.binds(*b, target, table))
        .collect();
    if let Some(one) = near.iter().find(|b| contains(boxes.get(**b), own)) {
        return Fate::Taken(boxes.rule(*one));
    }
    let mut took = Vec::new();
    let others = near.iter().map(|b| (boxes.rule(*b), boxes.get(*b)));
    match remainder(own, others, MOST_PARTS, &mut took) {
        Some(left) if left.is_empty() => shared(needed(boxes, table, target, took)),
        _ => Fate::Left,
    }
}

/// So many rules that cover a box together are shown to be needed, each of them.
const MOST_NEEDED: usize = 24;

// Of rules that cover a box together those without which they would not: an earlier one that others make needless is left out.
fn needed(boxes: &Boxes, table: &Table, target: u32, mut rules: Vec<u32>) -> Vec<u32> {
    if rules.len() > MOST_NEEDED {
        return rules;
    }
    rules.sort_unstable();
    rules.dedup();
    let own = boxes.get(target);
    let cover = |rules: &[u32]| {
        let blocks = |b: &u32| boxes.is(*b, BLOCKER) && boxes.binds(*b, target, table);
        let all = rules.iter().flat_map(|r| boxes.of_rule(*r as usize)).filter(blocks);
        let left = remainder(own, all.map(|b| (b, boxes.get(b))), MOST_PARTS, &mut Vec::new());
        left.is_some_and(|left| left.is_empty())
    };
    let mut at = 0;
    while at < rules.len() {
        let mut fewer = rules.clone();
        fewer.remove(at);
        match cover(&fewer) {
            true => rules = fewer,
            false => at += 1,
        }
    }
    rules
}

fn shared(mut rules: Vec<u32>) -> Fate {
    rules.sort_unstable();
    rules.dedup();
    match rules[..] {
        [one] => Fate::Taken(one),
        _ => Fate::Shared(rules.into()),
    }
}

// Whether no packet is left to a rule: it stops nothing that others have not stopped.
fn spent(boxes: &Boxes, fates: &[Fate], first: u32, behind: u32) -> bool {
    let mut targets = (first..behind).filter(|t| boxes.is(*t, TARGET) && !boxes.is(*t, OPENING)).peekable();
    targets.peek().is_some() && targets.all(|t| !fates[t as usize].is_left())
}

fn long(boxes: &Boxes, table: &Table, budget: &mut u64) -> Vec<Fate> {
    let mut fates = vec![Fate::Left; boxes.len()];
    let mut index = Index::new(boxes);
    let mut random = Random(0x5eed);
    let mut point = Vec::new();
    let (mut rest, mut blockers) = (Vec::new(), Vec::new());
    for (first, behind) in rules(boxes) {
        let unsettled = rest.len();
        let mut opens = false;
        for t in (first..behind).filter(|t| boxes.is(*t, TARGET)) {
            // Packets that are left of a part are left of the whole.
            if opens && !boxes.is(t, OPENING) {
                continue;
            }
            match tried(boxes, table, &index, t, &mut random, &mut point) {
                Some(fate) => {
                    opens |= boxes.is(t, OPENING) && fate.is_left();
                    fates[t as usize] = fate;
                }
                None => rest.push(t),
            }
        }
        if rest.len() == unsettled && spent(boxes, &fates, first, behind) {
            continue;
        }
        for b in (first..behind).filter(|b| boxes.is(*b, BLOCKER)) {
            index.add(boxes, b);
            blockers.push(b);
        }
    }
    for (target, by) in Split::new(boxes, table, budget).covered(rest, &blockers) {
        fates[target as usize] = shared(needed(boxes, table, target, by));
    }
    fates
}

// What random packets tell of a box; `None` if nothing.
fn tried(
    boxes: &Boxes,
    table: &Table,
    index: &Index,
    target: u32,
    random: &mut Random,
    point: &mut Vec<u32>,
) -> Option<Fate> {
    let own = boxes.get(target);
    for attempt in 0..TRIES {
        point.clear();
        point.extend(own.iter().map(|s| random.within(*s)));
        let (mut left, mut hit, mut around) = (VISITS, false, None);
        let _ = index.at(point, &mut left, &mut |b| {
            let other = boxes.get(b);
            if holds(other, point) && boxes.binds(b, target, table) {
                hit = true;
                if attempt > 0 {
                    return ControlFlow::Break(());
                }
                if contains(other, own) {
                    around = Some(boxes.rule(b));
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        match around {
            Some(rule) => return Some(Fate::Taken(rule)),
            None if left == 0 => return None,
            None if !hit => return Some(Fate::Left),
            None => {}
        }
    }
    None
}

/// Xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled").
struct Random(u64);

impl Random {
    fn within(&mut self, (lo, hi): Span) -> u32 {
        if lo == hi {
            return lo;
        }
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        let width = u64::from(hi - lo) + 1;
        lo + ((bits * width) >> 32) as u32
    }
}
