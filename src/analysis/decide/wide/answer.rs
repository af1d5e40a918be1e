//! From the diagram of a whole way to the answer.

use super::guard::{Doubt, intersection};
use super::{Out, Wide};
use crate::analysis::Verdict;
use crate::analysis::decide::cell::View;
use crate::analysis::decide::guard::seen_region;
use crate::analysis::decide::witness::natural;
use crate::analysis::decide::{Answer, Part};
use crate::analysis::diagram::{ClassSet, Node};
use crate::analysis::evaluate::evaluate;
use crate::packet::{ConnState, Field, IntervalSet, Region};
use rustc_hash::FxHashMap;
use std::sync::Arc;

// Parts of an answer; more are told as "too many cases".
const MAX_PARTS: usize = 400_000;
// Rules that packets of the parts are shown to, in all, to name who decides.
const MAX_SHOWN: u64 = 100_000_000;
const MAX_REASONS: usize = 8;

/// What is known of packets at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Fate {
    verdict: Verdict,
    tracked: bool,
    /// The state that says how they were translated.
    translated: Option<u32>,
}

// Packets in one part, field by field.
struct Piece {
    region: Region,
    fate: Fate,
}

impl Wide<'_, '_> {
    /// The answer, from what each of some disjoint regions comes to; `None` if it has too many parts.
    pub(super) fn collect(mut self, parts: Vec<(Region, Node)>) -> Option<Answer> {
        let mut fates: Vec<Fate> = Vec::new();
        let mut index: FxHashMap<Fate, u32> = FxHashMap::default();
        let mut pieces = Vec::new();
        let fields = self.levels.iter().flatten().count() as u16;
        for (region, node) in parts {
            let whole = self.arena.project(node, fields);
            let node = self.arena.map(whole, &mut |arena, outcomes| {
                let outs = outcomes.iter().map(|o| self.outs[*o as usize]);
                match fate(self.walk, outs) {
                    None => Node::NOTHING,
                    Some(fate) => {
                        let i = *index.entry(fate).or_insert_with(|| {
                            fates.push(fate);
                            fates.len() as u32 - 1
                        });
                        arena.terminal(&[i])
                    }
                }
            });
            if self.arena.exceeded() {
                return None;
            }
            self.pieces(&fates, node, region, &mut pieces)?;
        }
        super::super::join::join(&mut pieces);
        Some(self.answer(pieces))
    }

    // One piece for each way through a diagram, edges with the same end taken together.
    fn pieces(&mut self, fates: &[Fate], node: Node, region: Region, out: &mut Vec<Piece>) -> Option<()> {
        let mut order = [Field::Proto; Field::COUNT];
        for f in Field::ALL {
            if let Some(level) = self.levels[f.index()] {
                order[level as usize] = f;
            }
        }
        let inside: Vec<ClassSet> =
            Field::ALL.map(|f| self.classes[f.index()].set(region.get(f).ranges())).into_iter().collect();
        let mut values: FxHashMap<(Field, ClassSet), Arc<IntervalSet>> = FxHashMap::default();
        let mut work = vec![(node, region)];
        while let Some((node, region)) = work.pop() {
            let Some(level) = self.arena.level(node) else {
                if let Some(fate) = self.arena.outcomes(node).and_then(|o| o.first().copied()) {
                    out.push(Piece { region, fate: fates[fate as usize] });
                }
                if out.len() + work.len() > MAX_PARTS {
                    return None;
                }
                continue;
            };
            let field = order[level as usize];
            let mut below: Vec<(Node, ClassSet)> = Vec::new();
            let mut place: FxHashMap<Node, usize> = FxHashMap::default();
            for (lo, hi, to) in self.arena.edges(node) {
                let i = *place.entry(to).or_insert_with(|| {
                    below.push((to, ClassSet::new()));
                    below.len() - 1
                });
                below[i].1.push((lo, hi));
            }
            for (to, set) in below.into_iter().rev() {
                let set = intersection(&set, &inside[field.index()]);
                if set.is_empty() {
                    continue;
                }
                let classes = &self.classes[field.index()];
                let whole = region.shared(field);
                let cut = values.entry((field, set)).or_insert_with_key(|(_, set)| {
                    let v = classes.values(set);
                    Arc::new(v.intersect(whole))
                });
                let mut r = region.clone();
                r.set(field, Arc::clone(cut));
                work.push((to, r));
            }
        }
        Some(())
    }

    fn answer(&mut self, pieces: Vec<Piece>) -> Answer {
        let mut answer = Answer::default();
        let mut shown = 0u64;
        let rules: u64 = self.touched.iter().flatten().map(|c| c.len() as u64).sum();
        let mut pieces: Vec<(f64, Piece)> = pieces.into_iter().map(|p| (p.region.weight(), p)).collect();
        pieces.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, piece) in pieces {
            let mut part = Part {
                translated: piece.fate.translated.map(|s| seen_region(&piece.region, self.walk.state(s))),
                region: piece.region,
                decided_by: Vec::new(),
                because: Vec::new(),
                assumed: Vec::new(),
                tracked: piece.fate.tracked,
            };
            if shown < MAX_SHOWN
                && let Some(packet) = natural(self.walk.question, &part)
            {
                shown += rules + 64;
                let trace = evaluate(self.walk.question.point, &packet);
                if piece.fate.verdict == Verdict::Undecided {
                    part.because = trace.because;
                } else if trace.verdict == piece.fate.verdict {
                    part.assumed = trace.assumed;
                }
                part.decided_by.extend(trace.decided_by);
            }
            match piece.fate.verdict {
                Verdict::Accept => {
                    for reason in self.reasons(&part.region, &self.spared) {
                        if !part.assumed.contains(&reason) {
                            part.assumed.push(reason);
                        }
                    }
                    answer.accepted.push(part);
                }
                Verdict::Drop => {
                    part.assumed = Vec::new();
                    answer.denied.push(part);
                }
                Verdict::Undecided => {
                    if part.because.is_empty() {
                        part.because = self.reasons(&part.region, &self.doubts);
                    }
                    answer.undecided.push(part);
                }
            }
        }
        answer
    }

    // Why something is not certain, or assumed, about packets of a region: by what the rules ask of their fields.
    fn reasons(&self, region: &Region, doubts: &[Doubt]) -> Vec<crate::analysis::evaluate::Because> {
        let mut out: Vec<u32> = Vec::new();
        let mut classes: [Option<ClassSet>; Field::COUNT] = Default::default();
        for d in doubts {
            if out.len() >= MAX_REASONS {
                break;
            }
            if out.contains(&d.reason) {
                continue;
            }
            let meets = Field::ALL.into_iter().all(|f| {
                let Some(wanted) = &d.fields[f.index()] else { return true };
                let here = classes[f.index()]
                    .get_or_insert_with(|| self.classes[f.index()].set(region.get(f).ranges()));
                !intersection(wanted, here).is_empty()
            });
            if meets {
                out.push(d.reason);
            }
        }
        out.into_iter().map(|i| self.walk.reasons[i as usize].clone()).collect()
    }
}

// What is certain about packets to which any of some things may happen; `None` if they do not belong to the answer.
fn fate(walk: &super::Walk<'_>, outs: impl Iterator<Item = Out>) -> Option<Fate> {
    let mut all: Option<Fate> = None;
    let (mut elsewhere, mut doubtful) = (false, false);
    for out in outs {
        let (verdict, state) = match out {
            Out::Passed(s) => (Verdict::Accept, s),
            Out::Drop(s) => (Verdict::Drop, s),
            _ => (Verdict::Undecided, 0),
        };
        let s = walk.state(state);
        if let Some(wanted) = &walk.question.delivered_to {
            match &s.views[Field::Dst.index()] {
                View::One(v) if !wanted.contains(*v) => {
                    elsewhere = true;
                    continue;
                }
                View::Among { left, .. } if !wanted.intersects(left) => {
                    elsewhere = true;
                    continue;
                }
                View::Among { left, .. } if !wanted.covers(left) => doubtful = true,
                View::Shift(_) | View::Unknown => doubtful = true,
                View::One(_) | View::Same | View::Among { .. } => {}
            }
        }
        let moved = [Field::Src, Field::Dst, Field::Sport, Field::Dport]
            .iter()
            .any(|f| s.views[f.index()] != View::Same);
        let new = Fate {
            verdict,
            tracked: verdict != Verdict::Accept
                || s.views[Field::State.index()] != View::One(ConnState::Untracked.value()),
            translated: (moved && verdict != Verdict::Drop).then_some(state),
        };
        all = Some(match all {
            None => new,
            Some(old) => {
                let verdict = if old.verdict == new.verdict { old.verdict } else { Verdict::Undecided };
                Fate {
                    verdict,
                    tracked: verdict != Verdict::Accept || (old.tracked && new.tracked),
                    translated: old.translated.filter(|t| Some(*t) == new.translated),
                }
            }
        });
    }
    all.map(|mut fate| {
        if doubtful || elsewhere {
            fate.verdict = Verdict::Undecided;
            fate.tracked = true;
        }
        fate
    })
}

impl super::super::join::Joinable for Piece {
    fn region(&self) -> &Region {
        &self.region
    }

    fn region_mut(&mut self) -> &mut Region {
        &mut self.region
    }

    fn label(&self) -> u64 {
        self.fate.verdict as u64 * 2 + u64::from(self.fate.tracked) + (u64::from(self.fate.translated.map_or(0, |t| t + 1)) << 8)
    }

    fn same(&self, other: &Self) -> bool {
        self.fate == other.fate
    }

    fn absorb(&mut self, _: &Self) {}
}
