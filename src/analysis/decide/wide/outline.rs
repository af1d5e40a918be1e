//! An answer that fits a table: what cannot be told apart in few boxes is told in wide ones, of which only a part has the verdict.

use super::answer::{Fate, Fates, Limits};
use super::levels::Plan;
use super::{MAX_NODES, Wide, largest_first};
use crate::analysis::Verdict;
use crate::analysis::decide::cell::Cell;
use crate::analysis::decide::walk::Walk;
use crate::analysis::decide::{Outline, Part, Partly, Question};
use crate::analysis::diagram::{Arena, Node, Outcome};
use crate::packet::{Family, Field, Region};
use rustc_hash::{FxHashMap, FxHashSet};

// A bit for each verdict that occurs, and one for boxes that stand for more than was looked at.
const LUMP: Outcome = 1 << 3;

const VERDICTS: [Verdict; 3] = [Verdict::Accept, Verdict::Drop, Verdict::Undecided];

/// So much is looked at for the wide boxes of a diagram: a fraction of a second.
pub(super) const WORK: u64 = 2_000_000;

// Rules that packets may be shown to, to name who decides.
const SHOWN: u64 = 4_000_000;
// Wide boxes, the largest, whose conditions are named.
const REASONED: usize = 16;

/// As [`answer`](super::answer), in few boxes that ask nothing of some fields; see [`outline`](crate::analysis::decide::outline).
pub(in crate::analysis::decide) fn outline(
    question: &Question<'_>,
    (family, regions): (Family, &[Region]),
    hidden: &[Field],
    boxes: usize,
    limit: u64,
) -> Option<Outline> {
    let mut walk = Walk::new(question, family);
    let cells = walk.begin(regions.to_vec());
    let mut plan = Plan::of(&mut [&mut walk], regions);
    let arena = Arena::new(plan.tops(), limit, MAX_NODES);
    let mut wide = Wide::new(&mut walk, &mut plan, 0, arena);
    // Cells differ in their region, seldom in their state.
    let mut by_state: FxHashMap<u32, Node> = FxHashMap::default();
    let mut ends: Vec<(Cell, Node, Node)> = Vec::with_capacity(cells.len());
    for cell in cells {
        let node = *by_state.entry(cell.state).or_insert_with(|| wide.verdicts(question, cell.state));
        let node = wide.only(node, &cell.region);
        let told = wide.told(node, hidden);
        ends.push((cell, node, told));
    }
    let masks: Vec<Outcome> =
        ends.iter().flat_map(|(_, _, told)| wide.arena.possible(*told).to_vec()).collect();
    if wide.failed() {
        return None;
    }
    // What is stopped is everything else, if there is anything else.
    let stopped = bit(Verdict::Drop);
    let all_stopped = masks.iter().all(|m| *m == stopped);
    let mut pieces = Vec::new();
    for (cell, _, told) in &ends {
        let told = match all_stopped {
            true => *told,
            false => wide.arena.map(*told, &mut |arena, masks| {
                if masks == [stopped] { Node::NOTHING } else { arena.terminal(masks) }
            }),
        };
        wide.arena.possible(told);
        let lump = |arena: &Arena, node| arena.known_possible(node).iter().fold(LUMP, |all, o| all | o);
        pieces.extend(wide.pieces(
            told,
            &cell.region,
            Limits { boxes, each: usize::MAX, work: WORK, lump: &lump },
        ));
    }
    let mut outline = Outline::default();
    let mut left = SHOWN;
    for (region, mask) in largest_first(pieces) {
        match VERDICTS.into_iter().find(|v| mask == bit(*v)) {
            Some(verdict) => {
                let part = wide.told_part(region, verdict, &mut left);
                outline.answer.list(verdict).push(part);
            }
            None => outline.partly.push(Partly { region, accepted: mask & bit(Verdict::Accept) != 0 }),
        }
    }
    for verdict in VERDICTS {
        let has = |o: Outcome| o == verdict as Outcome;
        let sample = ends.iter().find_map(|(cell, node, _)| wide.sample(&cell.region, *node, &has));
        if let Some((region, _)) = sample.filter(|_| outline.answer.list(verdict).is_empty()) {
            let mut part = wide.told_part(region, verdict, &mut left);
            if verdict == Verdict::Undecided {
                for p in outline.partly.iter().take(REASONED) {
                    part.because.extend(wide.reasons(&p.region, &wide.doubts));
                }
                let mut seen = FxHashSet::default();
                part.because.retain(|b| seen.insert(b.clone()));
            }
            outline.samples.push((verdict, part));
        }
    }
    Some(outline)
}

fn bit(verdict: Verdict) -> Outcome {
    1 << (verdict as Outcome)
}

impl Wide<'_, '_> {
    // The diagram of verdicts.
    fn verdicts(&mut self, question: &Question<'_>, state: u32) -> Node {
        let node = self.path(question.path, 0, state);
        let mut fates = Fates::default();
        let node = self.fates(node, &mut fates);
        self.arena.map(node, &mut |arena, indices| {
            let verdicts: Vec<Outcome> =
                indices.iter().map(|i| fates.list[*i as usize].verdict as Outcome).collect();
            arena.terminal(&verdicts)
        })
    }

    // The diagram of which verdicts occur, without the fields that are not told.
    fn told(&mut self, node: Node, hidden: &[Field]) -> Node {
        let mut forgotten = vec![false; self.fields as usize];
        for level in hidden.iter().filter_map(|f| self.levels[f.index()]) {
            forgotten[level as usize] = true;
        }
        let node = self.arena.forget(node, &forgotten);
        self.arena.map(node, &mut |arena, verdicts| match verdicts {
            [] => Node::NOTHING,
            some => arena.terminal(&[some.iter().fold(0, |all, v| all | 1 << v)]),
        })
    }

    fn told_part(&self, region: Region, verdict: Verdict, left: &mut u64) -> Part {
        self.part(region, Fate { verdict, tracked: true, translated: None, by: None }, left)
    }
}
