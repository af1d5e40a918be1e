//! From the diagram of a whole way to the answer.

use super::boxes::Boxes;
pub(super) use super::boxes::Limits;
use super::by_rule::either;
use super::guard::{Doubt, intersection};
use super::{By, Out, Wide};
use crate::analysis::Verdict;
use crate::analysis::decide::cell::View;
use crate::analysis::decide::guard::seen_region;
use crate::analysis::decide::reason::Why;
use crate::analysis::decide::witness::natural;
use crate::analysis::decide::{Part, Question};
use crate::analysis::diagram::{ClassSet, Level, Node, Outcome};
use crate::analysis::evaluate::evaluate;
use crate::packet::{ConnState, Field, IntervalSet, Packet, Region};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Rules that packets of the parts are shown to, in all, to name who decides.
pub(in crate::analysis::decide) const MAX_SHOWN: u64 = 100_000_000;
/// The outcome of packets that would have been too many boxes to tell apart.
pub(super) const UNSETTLED: Outcome = Outcome::MAX;
/// Of one diagram as exact boxes; some seconds.
pub(super) const EXACT: Limits<'static> =
    Limits { boxes: 400_000, each: usize::MAX, work: 20_000_000, lump: &|_, _| UNSETTLED };
const MAX_REASONS: usize = 8;

/// What is known of packets at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fate {
    pub verdict: Verdict,
    pub tracked: bool,
    /// The state that says how they were translated.
    pub translated: Option<u32>,
    /// Who lets them in, or would, where that is asked for.
    pub by: By,
}

impl Wide<'_, '_> {
    /// The diagram of what is known at the end, as indices into `fates`; where packets do not belong to the answer, nothing.
    pub(super) fn fates(&mut self, node: Node, fates: &mut Fates) -> Node {
        let node = self.arena.project(node, self.fields);
        let (outs, walk) = (&self.outs, &mut *self.walk);
        self.arena.map(node, &mut |arena, outcomes| {
            let outs = outcomes.iter().map(|o| outs[*o as usize]);
            let index = fate(walk, outs).map(|f| fates.index(f));
            arena.terminal(index.as_slice())
        })
    }

    /// The packets of a region through a diagram, as disjoint regions with the outcome of each, or of the lump that it is in.
    pub(super) fn pieces(&self, node: Node, region: &Region, limits: Limits<'_>) -> Vec<(Region, Outcome)> {
        self.pieces_of(&mut self.boxes(region, limits), node, region)
    }

    /// An empty list of boxes of a region's packets.
    pub(super) fn boxes<'s>(&'s self, region: &Region, limits: Limits<'s>) -> Boxes<'s> {
        let inside = self.order().map(|f| self.classes[f.index()].set(region.get(f).ranges()));
        Boxes::new(&self.arena, inside.collect(), limits)
    }

    /// The fields that are asked, in their order.
    pub(super) fn order(&self) -> impl Iterator<Item = Field> {
        let mut order: Vec<(Level, Field)> =
            Field::ALL.into_iter().filter_map(|f| Some((self.levels[f.index()]?, f))).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, field)| field)
    }

    /// The pieces that some boxes of a region are.
    pub(super) fn pieces_of(
        &self,
        boxes: &mut Boxes<'_>,
        node: Node,
        region: &Region,
    ) -> Vec<(Region, Outcome)> {
        let order: Vec<Field> = self.order().collect();
        let mut values: FxHashMap<(Level, u32), Arc<IntervalSet>> = FxHashMap::default();
        let mut out = Vec::new();
        for (id, outcome) in boxes.of(node).iter() {
            let mut piece = region.clone();
            for (level, number, set) in boxes.asks(*id) {
                let field = order[level as usize];
                let cut = values.entry((level, number)).or_insert_with(|| {
                    Arc::new(self.classes[field.index()].values(set).intersect(region.get(field)))
                });
                piece.set(field, Arc::clone(cut));
            }
            out.push((piece, *outcome));
        }
        out
    }

    /// A diagram cut to a region's packets: what is possible in it happens to some of them.
    pub(super) fn only(&mut self, node: Node, region: &Region) -> Node {
        let mut inside = vec![None; self.fields as usize];
        for f in Field::ALL {
            if let Some(level) = self.levels[f.index()] {
                inside[level as usize] = Some(self.classes[f.index()].set(region.get(f).ranges()));
            }
        }
        let ranges: Vec<Option<&[(u32, u32)]>> = inside.iter().map(|s| s.as_deref()).collect();
        self.arena.within(node, &ranges)
    }

    /// Some packets of a region, to which a diagram was [cut](Wide::only), with one outcome of some.
    pub(super) fn sample(
        &mut self,
        region: &Region,
        node: Node,
        outcome: &impl Fn(Outcome) -> bool,
    ) -> Option<(Region, Outcome)> {
        let way = self.arena.find(node, &[], outcome)?;
        let mut region = region.clone();
        let mut end = node;
        for (level, lo, hi) in way.iter().rev() {
            end = self.arena.edges(end).find(|e| (e.0..=e.1).contains(lo))?.2;
            let field = Field::ALL.into_iter().find(|f| self.levels[f.index()] == Some(*level))?;
            region = region.cut(field, &self.classes[field.index()].values(&[(*lo, *hi)]));
        }
        let outcome = self.arena.outcomes(end)?.iter().copied().find(|o| outcome(*o))?;
        Some((region, outcome))
    }

    /// The part of an answer that a region with one fate is. `left` counts down the rules that packets may be shown to; after that nobody is named
    /// who decides.
    pub(super) fn part(&self, region: Region, fate: Fate, left: &mut u64) -> Part {
        let mut part = Part {
            translated: fate.translated.map(|s| seen_region(&region, self.walk.state(s))),
            region,
            decided_by: Vec::new(),
            because: Vec::new(),
            assumed: Vec::new(),
            tracked: fate.tracked,
        };
        if *left > 0
            && let Some(packet) = natural(self.walk.question, &part)
        {
            *left = left.saturating_sub(self.rules + 64);
            show(self.walk.question, &packet, fate.verdict, &mut part);
        }
        match fate.verdict {
            Verdict::Accept => {
                for reason in self.reasons(&part.region, &self.spared) {
                    if !part.assumed.contains(&reason) {
                        part.assumed.push(reason);
                    }
                }
            }
            Verdict::Undecided if part.because.is_empty() => {
                part.because = self.reasons(&part.region, &self.doubts);
            }
            Verdict::Drop | Verdict::Undecided => {}
        }
        part
    }

    /// The part of an answer that would have been too many.
    pub(super) fn unsettled(&mut self, region: Region) -> Part {
        let why = self.walk.reason(0, Why::Budget, Default::default());
        Part {
            region,
            decided_by: Vec::new(),
            because: vec![self.walk.reasons[why as usize].clone()],
            assumed: Vec::new(),
            tracked: true,
            translated: None,
        }
    }

    // Why something is not certain, or assumed, about packets of a region.
    pub(super) fn reasons(
        &self,
        region: &Region,
        doubts: &[Doubt],
    ) -> Vec<crate::analysis::evaluate::Because> {
        let mut out: Vec<u32> = Vec::new();
        for d in self.meeting(region, doubts) {
            if !out.contains(&d.reason) {
                out.push(d.reason);
            }
            if out.len() >= MAX_REASONS {
                break;
            }
        }
        out.into_iter().map(|i| self.walk.reasons[i as usize].clone()).collect()
    }

    /// The doubts that may be about packets of a region: by what the rules ask of their fields.
    pub(super) fn meeting<'d>(
        &self,
        region: &Region,
        doubts: &'d [Doubt],
    ) -> impl Iterator<Item = &'d Doubt> {
        let mut classes: [Option<ClassSet>; Field::COUNT] = Default::default();
        doubts.iter().filter(move |d| {
            Field::ALL.into_iter().all(|f| {
                // It may have been asked of a new destination.
                if self.destinations.used && matches!(f, Field::Dst | Field::Dport) {
                    return true;
                }
                let Some(wanted) = &d.fields[f.index()] else { return true };
                let here = classes[f.index()]
                    .get_or_insert_with(|| self.classes[f.index()].set(region.get(f).ranges()));
                !intersection(wanted, here).is_empty()
            })
        })
    }
}

/// Names who decides about a packet of a part with a verdict, and what that depends on, or assumes.
pub(in crate::analysis::decide) fn show(
    question: &Question<'_>,
    packet: &Packet,
    verdict: Verdict,
    part: &mut Part,
) {
    let trace = evaluate(question.point, packet);
    match verdict {
        Verdict::Undecided if !trace.because.is_empty() => part.because = trace.because,
        Verdict::Accept if trace.verdict == Verdict::Accept => {
            for reason in trace.assumed {
                if !part.assumed.contains(&reason) {
                    part.assumed.push(reason);
                }
            }
        }
        _ => {}
    }
    part.decided_by = trace.decided_by.into_iter().collect();
}

// What is certain about packets to which any of some things may happen; `None` if they do not belong to the answer.
fn fate(walk: &mut super::Walk<'_>, outs: impl Iterator<Item = Out>) -> Option<Fate> {
    let mut all: Option<Fate> = None;
    let (mut elsewhere, mut doubtful) = (false, false);
    for out in outs {
        let (verdict, state, by) = match out {
            Out::Passed(s, by) => (Verdict::Accept, s, by),
            Out::Drop(s) => (Verdict::Drop, s, None),
            _ => (Verdict::Undecided, 0, None),
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
                View::Unknown => doubtful = true,
                // Of those that are as they arrived, or moved by a number, only those wanted are left here.
                View::Shift(_) | View::One(_) | View::Same | View::Among { .. } => {}
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
            by,
        };
        all = Some(match all {
            None => new,
            Some(old) => {
                let verdict = if old.verdict == new.verdict { old.verdict } else { Verdict::Undecided };
                let translated = match (old.translated, new.translated) {
                    (Some(a), Some(b)) if walk.by_rule => either(walk, a, b),
                    // Where those go that are stopped does not matter.
                    (t, None) | (None, t) if walk.by_rule && verdict == Verdict::Undecided => t,
                    (a, b) => a.filter(|t| Some(*t) == b),
                };
                Fate {
                    verdict,
                    tracked: verdict != Verdict::Accept || (old.tracked && new.tracked),
                    translated,
                    // Rules are asked in order: the last one takes those that no doubtful one before it took.
                    by: old.by.max(new.by),
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

/// What happens at the ends of a diagram, each once.
#[derive(Default)]
pub(super) struct Fates {
    pub list: Vec<Fate>,
    index: FxHashMap<Fate, Outcome>,
}

impl Fates {
    fn index(&mut self, fate: Fate) -> Outcome {
        *self.index.entry(fate).or_insert_with(|| {
            self.list.push(fate);
            self.list.len() as Outcome - 1
        })
    }
}
