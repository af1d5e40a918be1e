//! Two firewalls' answers to one question, laid on each other.

use super::answer::{EXACT, Fate, Fates, Limits, MAX_SHOWN, UNSETTLED};
use super::join;
use super::levels::Plan;
use super::outline::WORK;
use super::{LIMIT, MAX_NODES, Wide};
use crate::analysis::Verdict;
use crate::analysis::decide::cell::Cell;
use crate::analysis::decide::walk::Walk;
use crate::analysis::decide::{Compared, Different, FEW, PlainFates, Question, Told};
use crate::analysis::diagram::{Arena, Node, Outcome};
use crate::packet::{Family, Region};

/// How much is told apart: boxes of one diagram, and, where there are more, boxes that stand for all that is below them.
pub(in crate::analysis::decide) struct Detail {
    pub exact: usize,
    pub wide: usize,
}

pub(in crate::analysis::decide) const DETAIL: Detail = Detail { exact: EXACT.boxes, wide: FEW };

/// See [`compare`](crate::analysis::decide::compare); `None` if the rules do something that diagrams cannot say, or the budget ran out.
pub(in crate::analysis::decide) fn compare(
    questions: [&Question<'_>; 2],
    family: Family,
    regions: &[Region],
    plain: &PlainFates<'_>,
    detail: &Detail,
) -> Option<Compared> {
    let [a, b] = questions;
    let (mut old, mut new) = (Walk::new(a, family), Walk::new(b, family));
    let cells = [old.begin(regions.to_vec()), new.begin(regions.to_vec())];
    let mut plan = Plan::of(&mut [&mut old, &mut new], regions);
    let arena = Arena::new(plan.tops(), LIMIT, MAX_NODES);
    let mut first = Wide::new(&mut old, &mut plan, 0, arena);
    let mut fates = [Fates::default(), Fates::default()];
    let [olds, news] = cells;
    let ends = first.ends(olds, &mut fates[0])?;
    let arena = std::mem::take(&mut first.arena);
    let mut second = Wide::new(&mut new, &mut plan, 1, arena);
    let others = second.ends(news, &mut fates[1])?;
    let both = Both { fates, plain };
    // Cells of both begin as parts of the same regions, cut otherwise where only one side looks at marks.
    let mut laid: Vec<(Node, Region)> = Vec::new();
    for (x, of) in &ends {
        for (y, with) in others.iter().filter(|o| o.1.intersects(of)) {
            laid.push((both.laid(&mut second.arena, *x, *y), of.intersect(with)));
            if second.failed() {
                return None;
            }
        }
    }
    let mut left = MAX_SHOWN;
    let mut out = Compared::default();
    let mut pieces = Vec::new();
    for (node, region) in laid {
        let exact = second.pieces(node, &region, Limits { boxes: detail.exact, ..EXACT });
        if exact.iter().all(|(_, outcome)| *outcome != UNSETTLED) {
            pieces.extend(exact);
            continue;
        }
        let node = second.only(node, &region);
        second.arena.possible(node);
        let lump = |arena: &Arena, node| {
            let kinds = arena.known_possible(node).iter().fold(0, |all, o| all | 1 << both.kind(*o));
            both.count() + kinds
        };
        let mut wide: Vec<(Region, Outcome)> = second.pieces(
            node,
            &region,
            Limits { boxes: detail.wide, each: usize::MAX, work: WORK, lump: &lump },
        );
        join(&mut wide);
        if second.failed() {
            return None;
        }
        for (region, outcome) in wide {
            let Some(kinds) = outcome.checked_sub(both.count()) else {
                pieces.push((region, outcome));
                continue;
            };
            let node = second.only(node, &region);
            let mut samples = Vec::new();
            for kind in (0..KINDS).filter(|k| kinds & 1 << k != 0) {
                let found = second.sample(&region, node, &|o| both.kind(o) == kind);
                samples.extend(found.map(|(region, o)| (o, region)));
            }
            let told = samples.into_iter().map(|(o, region)| {
                let sides = both.told(o, &region, [&first, &second], &mut left);
                (region, sides)
            });
            out.partly.push(Different { region, samples: told.collect() });
        }
    }
    join(&mut pieces);
    out.work = second.arena.cost().0;
    out.parts = pieces
        .into_iter()
        .map(|(region, o)| {
            let sides = both.told(o, &region, [&first, &second], &mut left);
            (region, sides)
        })
        .collect();
    Some(out)
}

impl Wide<'_, '_> {
    // The diagram of what becomes of each cell's packets, with the packets.
    fn ends(&mut self, cells: Vec<Cell>, fates: &mut Fates) -> Option<Vec<(Node, Region)>> {
        let mut ends = Vec::with_capacity(cells.len());
        for cell in cells {
            let node = self.path(self.walk.question.path, 0, cell.state);
            ends.push((self.fates(node, fates), cell.region));
            if self.failed() {
                return None;
            }
        }
        Some(ends)
    }
}

// The fates of both sides; a pair of them is an outcome.
struct Both<'p> {
    fates: [Fates; 2],
    plain: &'p PlainFates<'p>,
}

// Pairs of verdicts.
const KINDS: Outcome = 9;

impl Both<'_> {
    fn width(&self) -> Outcome {
        self.fates[1].list.len() as Outcome
    }

    fn count(&self) -> Outcome {
        self.fates[0].list.len() as Outcome * self.width()
    }

    fn pair(&self, outcome: Outcome) -> [Fate; 2] {
        let (i, j) = (outcome / self.width(), outcome % self.width());
        [self.fates[0].list[i as usize], self.fates[1].list[j as usize]]
    }

    fn kind(&self, outcome: Outcome) -> Outcome {
        let [p, q] = self.pair(outcome).map(|f| f.verdict as Outcome);
        3 * p + q
    }

    // One diagram laid on the other: nothing where that is of no interest.
    fn laid(&self, arena: &mut Arena, x: Node, y: Node) -> Node {
        let told = |f: &Fate| (f.verdict, f.tracked, f.translated.is_none());
        arena.laid(x, y, &mut |arena, i, j| {
            let ([i], [j]) = (i, j) else { return Node::NOTHING };
            let outcome = i * self.width() + j;
            let [p, q] = self.pair(outcome);
            if (self.plain)([told(&p), told(&q)]) { Node::NOTHING } else { arena.terminal(&[outcome]) }
        })
    }

    fn told(
        &self,
        outcome: Outcome,
        region: &Region,
        sides: [&Wide<'_, '_>; 2],
        left: &mut u64,
    ) -> [Told; 2] {
        let [p, q] = self.pair(outcome);
        let mut side = |wide: &Wide<'_, '_>, fate: Fate| -> (Verdict, _) {
            (fate.verdict, wide.part(region.clone(), fate, left))
        };
        [side(sides[0], p), side(sides[1], q)]
    }
}
