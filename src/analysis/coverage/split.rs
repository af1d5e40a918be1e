//! Boxes that only many others together may cover: space is halved until each cell tells.

use super::axes::Span;
use super::boxes::{Boxes, contains, meets, remainder};
use super::literals::{Literals, Table};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// With so few blockers in a cell, what they leave of a target is computed.
const FEW: usize = 24;
/// Parts that it may fall into.
const MOST_PARTS: usize = 512;
/// Boxes that are looked at to choose where to halve.
const SAMPLE: usize = 48;
/// Rules that are named for one target.
const MOST_NAMED: usize = 64;

/// The search.
pub(super) struct Split<'a> {
    boxes: &'a Boxes,
    table: &'a Table,
    budget: &'a mut u64,
}

// A part of space with the targets and the blockers in it, both in the order of their rules. Targets are numbers in the list of all.
struct Cell {
    spans: Vec<Span>,
    targets: Vec<usize>,
    blockers: Vec<u32>,
}

impl<'a> Split<'a> {
    pub fn new(boxes: &'a Boxes, table: &'a Table, budget: &'a mut u64) -> Self {
        Self { boxes, table, budget }
    }

    /// The targets of which nothing is left, each with rules that take it.
    pub fn covered(&mut self, targets: Vec<u32>, blockers: &[u32]) -> Vec<(u32, Vec<u32>)> {
        let mut groups: BTreeMap<Literals, Vec<u32>> = BTreeMap::new();
        for t in targets {
            groups.entry(self.boxes.literals(t)).or_default().push(t);
        }
        let filed = Filed::of(self.boxes, self.table, blockers);
        let mut out = Vec::new();
        for (literals, group) in groups {
            let mut search =
                Group { left: vec![false; group.len()], by: vec![Vec::new(); group.len()], targets: group };
            self.group(&mut search, &filed.may_bind(self.table, literals));
            let named = search.targets.into_iter().zip(search.by).zip(search.left);
            out.extend(named.filter(|(_, left)| !left).map(|(named, _)| named));
        }
        out
    }

    fn group(&mut self, group: &mut Group, blockers: &[u32]) {
        let boxes = self.boxes;
        let Some(first) = group.targets.first() else { return };
        let mut hull = boxes.get(*first).to_vec();
        for t in &group.targets {
            for (h, s) in hull.iter_mut().zip(boxes.get(*t)) {
                *h = (h.0.min(s.0), h.1.max(s.1));
            }
        }
        *self.budget = self.budget.saturating_sub(blockers.len() as u64 / 4);
        let near = blockers
            .iter()
            .copied()
            .filter(|b| meets(boxes.get(*b), &hull) && boxes.binds(*b, *first, self.table))
            .collect();
        let mut work =
            vec![Cell { spans: hull, targets: (0..group.targets.len()).collect(), blockers: near }];
        while let Some(mut cell) = work.pop() {
            cell.targets.retain(|t| !group.left[*t]);
            let cost = (cell.targets.len() + cell.blockers.len()) as u64;
            match self.budget.checked_sub(cost) {
                Some(rest) => *self.budget = rest,
                // Nothing is claimed of what was not looked at.
                None => return group.left.fill(true),
            }
            self.settle(group, &mut cell);
            if !cell.targets.is_empty() {
                self.halve(group, cell, &mut work);
            }
        }
    }

    // Takes away the targets whose fate in this cell is clear, and the blockers that do not matter any more.
    fn settle(&self, group: &mut Group, cell: &mut Cell) {
        let boxes = self.boxes;
        if let Some(c) = cell.blockers.iter().position(|b| contains(boxes.get(*b), &cell.spans)) {
            let rule = boxes.rule(cell.blockers[c]);
            cell.targets.retain(|t| {
                let behind = boxes.rule(group.targets[*t]) > rule;
                if behind {
                    group.name(*t, rule);
                }
                !behind
            });
            cell.blockers.truncate(c);
        }
        let first = cell.blockers.first().map_or(u32::MAX, |b| boxes.rule(*b));
        cell.targets.retain(|t| {
            let free = boxes.rule(group.targets[*t]) <= first;
            group.left[*t] |= free;
            !free
        });
        if cell.blockers.len() > FEW {
            return;
        }
        cell.targets.retain(|t| {
            let id = group.targets[*t];
            let own: Vec<Span> =
                boxes.get(id).iter().zip(&cell.spans).map(|(a, b)| (a.0.max(b.0), a.1.min(b.1))).collect();
            let earlier = cell.blockers.iter().take_while(|b| boxes.rule(**b) < boxes.rule(id));
            let mut took = Vec::new();
            let others = earlier.map(|b| (boxes.rule(*b), boxes.get(*b)));
            match remainder(&own, others, MOST_PARTS, &mut took) {
                Some(left) if left.is_empty() => {
                    took.into_iter().for_each(|rule| group.name(*t, rule));
                    false
                }
                Some(_) => {
                    group.left[*t] = true;
                    false
                }
                None => true,
            }
        });
    }

    fn halve(&self, group: &mut Group, cell: Cell, work: &mut Vec<Cell>) {
        let boxes = self.boxes;
        let Some((field, at)) = self.cut(group, &cell) else {
            cell.targets.iter().for_each(|t| group.left[*t] = true);
            return;
        };
        let (lo, hi) = cell.spans[field];
        for side in [(lo, at), (at + 1, hi)] {
            let meets = |id: u32| {
                let s = boxes.get(id)[field];
                s.0 <= side.1 && side.0 <= s.1
            };
            let mut spans = cell.spans.clone();
            spans[field] = side;
            work.push(Cell {
                spans,
                targets: cell.targets.iter().copied().filter(|t| meets(group.targets[*t])).collect(),
                blockers: cell.blockers.iter().copied().filter(|b| meets(*b)).collect(),
            });
        }
    }

    // Where to halve a cell: the median end of the field in which fewest boxes lie on both sides. There is one: blockers that restrict the
    // cell in no field are gone.
    fn cut(&self, group: &Group, cell: &Cell) -> Option<(usize, u32)> {
        let boxes = self.boxes;
        let step = |n: usize| n.div_ceil(SAMPLE).max(1);
        let blockers = cell.blockers.iter().step_by(step(cell.blockers.len())).copied();
        let targets = cell.targets.iter().step_by(step(cell.targets.len())).map(|t| group.targets[*t]);
        let sample: Vec<&[Span]> = blockers.chain(targets).map(|id| boxes.get(id)).collect();
        (0..boxes.width())
            .filter_map(|field| {
                let (lo, hi) = cell.spans[field];
                let mut ends: Vec<u32> = Vec::with_capacity(sample.len() * 2);
                for s in &sample {
                    ends.extend((s[field].0 > lo && s[field].0 <= hi).then(|| s[field].0 - 1));
                    ends.extend((s[field].1 < hi && s[field].1 >= lo).then_some(s[field].1));
                }
                ends.sort_unstable();
                let at = *ends.get(ends.len() / 2)?;
                let below = sample.iter().filter(|s| s[field].0 <= at).count();
                let above = sample.iter().filter(|s| s[field].1 > at).count();
                Some((below.max(above), below + above, field, at))
            })
            .min()
            .map(|(_, _, field, at)| (field, at))
    }
}

// Blockers by the first of the literals that they ask for: one binds only targets that ask for it too. There may be as many sets of literals as
// rules, and then few blockers are of interest to each.
struct Filed {
    free: Vec<u32>,
    asking: FxHashMap<u32, Vec<u32>>,
}

impl Filed {
    fn of(boxes: &Boxes, table: &Table, blockers: &[u32]) -> Self {
        let mut out = Self { free: Vec::new(), asking: FxHashMap::default() };
        for b in blockers {
            match table.list(boxes.literals(*b)).first() {
                Some(first) => out.asking.entry(*first).or_default().push(*b),
                None => out.free.push(*b),
            }
        }
        out
    }

    // Those that may bind targets with some literals, in the order of their rules.
    fn may_bind(&self, table: &Table, targets: Literals) -> Vec<u32> {
        let mut out = self.free.clone();
        out.extend(table.list(targets).iter().filter_map(|l| self.asking.get(l)).flatten());
        out.sort_unstable();
        out
    }
}

// Targets with the same literals.
struct Group {
    targets: Vec<u32>,
    left: Vec<bool>,
    by: Vec<Vec<u32>>,
}

impl Group {
    fn name(&mut self, target: usize, rule: u32) {
        let by = &mut self.by[target];
        if by.len() < MOST_NAMED && !by.contains(&rule) {
            by.push(rule);
        }
    }
}
