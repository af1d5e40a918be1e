//! Who lets packets in: the rule or policy that decides is part of what becomes of them.

use super::answer::{EXACT, Fate, Fates, Limits, UNSETTLED};
use super::boxes::{Scale, share};
use super::levels::{self, Plan};
use super::{By, MAX_NODES, Out, Wide, largest_first};
use crate::analysis::Verdict;
use crate::analysis::decide::cell::{Cell, View};
use crate::analysis::decide::guard::seen_region;
use crate::analysis::decide::walk::{Here, Walk};
use crate::analysis::decide::witness::natural;
use crate::analysis::decide::{ByRule, Detail, Part, Question};
use crate::analysis::diagram::{Arena, Node, Outcome};
use crate::analysis::evaluate::{Decider, evaluate};
use crate::model::*;
use crate::packet::{Family, Field, IntervalSet, Region};
use rustc_hash::{FxHashMap, FxHashSet};
use std::rc::Rc;

/// In which kind of base chain each of those who decide was asked.
pub(super) type Deciders = FxHashMap<u32, ChainKind>;

/// Boxes of what one rule lets in, where there are few rules.
const MOST_EACH: usize = 200;
/// The same where there are many.
const LEAST_EACH: usize = 4;
/// Rules that packets may be shown to, in all, to find out what their verdict depends on.
const SHOWN: u64 = 1_000_000;
/// Pairs of a part and a doubt that are held against each other.
const MAX_DOUBTS: usize = 4_000_000;

/// What diagrams take for each rule that may be touched, in steps, roughly: those that cannot be afforded are not begun.
const PER_RULE: u64 = 75;
/// With fewer steps left no diagrams are begun; where they could not be afforded, so many are left for walks.
const LEAST_LIMIT: u64 = 1_200_000;

/// As [`answer`](super::answer), by rule. `None` if that takes more steps than are left, or the rules do something that diagrams cannot say.
pub(in crate::analysis::decide) fn by_rule(
    question: &Question<'_>,
    (family, regions): (Family, &[Region]),
    detail: &Detail<'_>,
    limit: &mut u64,
) -> Option<ByRule> {
    if *limit < LEAST_LIMIT {
        return None;
    }
    let mut walk = Walk::new(question, family);
    walk.by_rule = true;
    let cells = walk.begin(regions.to_vec());
    let touched = levels::touched(&mut walk);
    if levels::count(&walk, &touched).saturating_mul(PER_RULE) > *limit {
        *limit = (*limit).min(LEAST_LIMIT - 1);
        return None;
    }
    let mut plan = Plan::for_rules(&[&mut walk], vec![touched], regions);
    let arena = Arena::new(plan.tops(), *limit, MAX_NODES);
    let mut wide = Wide::new(&mut walk, &mut plan, 0, arena);
    let told = wide.by_rule(cells, detail);
    *limit = limit.saturating_sub(wide.arena.cost().0);
    told
}

impl<'a> Wide<'_, 'a> {
    fn by_rule(&mut self, cells: Vec<Cell>, detail: &Detail<'_>) -> Option<ByRule> {
        let mut fates = Fates::default();
        let mut ends: Vec<(Node, Region)> = Vec::with_capacity(cells.len());
        for cell in cells {
            let node = self.path(self.walk.question.path, 0, cell.state);
            let node = self.fates(node, &mut fates);
            let node = self.arena.map(node, &mut |arena, indices| match indices {
                [i] if fates.list[*i as usize].verdict != Verdict::Drop => arena.terminal(&[*i]),
                _ => Node::NOTHING,
            });
            ends.push((self.only(node, &cell.region), cell.region));
            if self.failed() {
                return None;
            }
        }
        let mut out = ByRule::default();
        let kept = self.most_important(&ends, &fates, detail);
        let mut left_out: FxHashSet<By> = FxHashSet::default();
        for (node, _) in &mut ends {
            *node = self.arena.map(*node, &mut |arena, indices| {
                let [i] = indices else { return Node::NOTHING };
                if kept.contains(i) {
                    return arena.terminal(indices);
                }
                left_out.insert(fates.list[*i as usize].by);
                Node::NOTHING
            });
        }
        if self.failed() {
            return None;
        }
        let each = (detail.parts / kept.len().max(1)).clamp(LEAST_EACH, MOST_EACH);
        let mut pieces = Vec::new();
        for (node, region) in &ends {
            let limits = Limits { each, ..EXACT };
            let mut boxes = self.boxes(region, limits).weighed(self.scale(region));
            pieces.extend(self.pieces_of(&mut boxes, *node, region));
            left_out.extend(boxes.cut_short().iter().map(|o| fates.list[*o as usize].by));
        }
        let mut shown = SHOWN;
        let mut doubts = MAX_DOUBTS;
        for (region, outcome) in largest_first(pieces) {
            if outcome == UNSETTLED {
                out.exhausted = true;
                continue;
            }
            let fate = fates.list[outcome as usize];
            match fate.verdict {
                Verdict::Accept => out.accepted.push(self.let_in(region, fate, &mut doubts)),
                Verdict::Undecided => match self.doubtful(region, fate, (&mut shown, &mut doubts)) {
                    Some(part) => out.undecided.push(part),
                    None => _ = left_out.insert(fate.by),
                },
                Verdict::Drop => {}
            }
        }
        out.untold = left_out.into_iter().map(|by| by.map(|by| self.walk.deciders[by as usize])).collect();
        out.untold.sort_by_key(|d| d.map(|d| (d.firewall, d.origin)));
        Some(out)
    }

    // The outcomes that are told: those of the ports that are asked for first, then the largest.
    fn most_important(
        &mut self,
        ends: &[(Node, Region)],
        fates: &Fates,
        detail: &Detail<'_>,
    ) -> FxHashSet<Outcome> {
        let mut first: FxHashSet<Outcome> = FxHashSet::default();
        let mut weights: FxHashMap<Outcome, f64> = FxHashMap::default();
        for (node, region) in ends {
            let scale = self.scale(region);
            let mut known = FxHashMap::default();
            for (outcome, weight) in self.shares(*node, &scale, &mut known).iter() {
                *weights.entry(*outcome).or_default() += weight * region.weight();
            }
        }
        if weights.len() <= detail.ways {
            return weights.into_keys().collect();
        }
        for (node, region) in ends {
            for (protocol, ports) in detail.first {
                let wanted = region.protocol(*protocol).cut(Field::Dport, ports);
                if !wanted.is_empty() {
                    let node = self.only(*node, &wanted);
                    first.extend(self.arena.possible(node).iter());
                }
            }
        }
        let asked = |o: &Outcome| {
            let state = fates.list[*o as usize].translated.map(|s| self.walk.state(s));
            match state.map(|s| (&s.views[Field::Dport.index()], &s.views[Field::Proto.index()])) {
                Some((View::One(port), _)) => detail.first.iter().any(|(_, ports)| ports.contains(*port)),
                _ => first.contains(o),
            }
        };
        let certain = |o: &Outcome| fates.list[*o as usize].verdict == Verdict::Accept;
        let mut ranked: Vec<(bool, bool, f64, Outcome)> =
            weights.into_iter().map(|(o, w)| (asked(&o), certain(&o), w, o)).collect();
        ranked.sort_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)).then(b.2.total_cmp(&a.2)).then(a.3.cmp(&b.3)));
        ranked.into_iter().take(detail.ways).map(|r| r.3).collect()
    }

    fn scale(&self, region: &Region) -> Scale {
        self.order().map(|f| self.classes[f.index()].sums(region.get(f))).collect()
    }

    // What share of the packets has each outcome.
    fn shares(
        &self,
        node: Node,
        scale: &Scale,
        known: &mut FxHashMap<Node, Rc<[(Outcome, f64)]>>,
    ) -> Rc<[(Outcome, f64)]> {
        if let Some(outcomes) = self.arena.outcomes(node) {
            return outcomes.iter().map(|o| (*o, 1.0)).collect();
        }
        if let Some(list) = known.get(&node) {
            return Rc::clone(list);
        }
        let level = self.arena.level(node).unwrap_or_default() as usize;
        let mut below: FxHashMap<Node, f64> = FxHashMap::default();
        for (lo, hi, to) in self.arena.edges(node).filter(|e| e.2 != Node::NOTHING) {
            let part = scale.get(level).map_or(1.0, |sums| share(sums, &vec![(lo, hi)]));
            *below.entry(to).or_default() += part;
        }
        let mut sum: FxHashMap<Outcome, f64> = FxHashMap::default();
        for (to, part) in below {
            for (outcome, weight) in self.shares(to, scale, known).iter() {
                *sum.entry(*outcome).or_default() += part * weight;
            }
        }
        let list: Rc<[(Outcome, f64)]> = sum.into_iter().collect();
        known.insert(node, Rc::clone(&list));
        list
    }

    // Packets that somebody lets in.
    fn let_in(&self, region: Region, fate: Fate, doubts: &mut usize) -> Part {
        let mut part = self.plain(region, fate);
        if self.spared.len() <= *doubts {
            *doubts -= self.spared.len();
            part.assumed = self.reasons(&part.region, &self.spared);
        }
        part
    }

    // Packets that somebody may let in; `None` if too many of them have been told for that it could be said who and why.
    fn doubtful(&self, region: Region, fate: Fate, (shown, doubts): (&mut u64, &mut usize)) -> Option<Part> {
        let mut part = self.plain(region, fate);
        if *shown > 0
            && let Some(packet) = natural(self.walk.question, &part)
        {
            *shown = shown.saturating_sub(self.rules + 64);
            let trace = evaluate(self.walk.question.point, &packet);
            part.because = trace.because;
        }
        *doubts = doubts.checked_sub(self.doubts.len())?;
        if part.because.is_empty() {
            part.because = self.reasons(&part.region, &self.doubts);
        }
        if part.decided_by.is_empty() {
            part.decided_by.extend(self.would_let_in(&part.region));
        }
        Some(part)
    }

    // The first who would.
    fn would_let_in(&self, region: &Region) -> Option<Decider> {
        let by = self.meeting(region, &self.doubts).find_map(|d| d.by)?;
        Some(self.walk.deciders[by as usize])
    }

    fn plain(&self, region: Region, fate: Fate) -> Part {
        Part {
            translated: fate.translated.map(|s| seen_region(&region, self.walk.state(s))),
            region,
            decided_by: fate.by.map(|by| self.walk.deciders[by as usize]).into_iter().collect(),
            because: Vec::new(),
            assumed: Vec::new(),
            tracked: fate.tracked,
        }
    }

    /// A rule that lets packets through, where that is asked for.
    pub(super) fn rule_named(&mut self, here: &Here<'a>, (chain, index): (ChainId, u32)) -> By {
        if !self.walk.by_rule {
            return None;
        }
        let by = self.walk.rule_decider(here, chain, index as usize, Verdict::Accept);
        self.deciders.insert(by, here.base.kind);
        Some(by)
    }

    /// The policy of a base chain that lets packets through, likewise.
    pub(super) fn policy_named(&mut self, here: &Here<'a>) -> By {
        if !self.walk.by_rule || here.base.kind == ChainKind::Nat || here.base.policy == Policy::Drop {
            return None;
        }
        let by = self.walk.policy_decider(here, Verdict::Accept);
        self.deciders.insert(by, here.base.kind);
        Some(by)
    }

    /// A diagram in which nobody is named. What one of several doubtful rules may let in is told by what it depends on: were each of them an outcome
    /// of its own, there would be as many outcomes as there are sets of rules.
    pub(super) fn unnamed(&mut self, node: Node) -> Node {
        if !self.walk.by_rule {
            return node;
        }
        let mut renamed = Vec::new();
        for o in self.arena.possible(node).iter() {
            if let Out::Accept(state, Some(_)) = self.outs[*o as usize] {
                renamed.push((*o, self.terminal(&[Out::Accept(state, None)])));
            }
        }
        self.arena.bind(node, |_, o| super::rules::found(&renamed, o))
    }

    /// What becomes of packets that somebody let through on the way: he is named, unless somebody behind him says more.
    pub(super) fn let_in_by(&mut self, node: Node, by: By) -> Node {
        let Some(earlier) = by else { return node };
        let mut renamed = Vec::new();
        for o in self.arena.possible(node).iter() {
            let Out::Passed(state, later) = self.outs[*o as usize] else { continue };
            let best = later.filter(|l| self.outranks(*l, earlier)).unwrap_or(earlier);
            if Some(best) != later {
                renamed.push((*o, self.terminal(&[Out::Passed(state, Some(best))])));
            }
        }
        self.arena.bind(node, |_, o| super::rules::found(&renamed, o))
    }

    fn outranks(&self, later: u32, earlier: u32) -> bool {
        let [later_one, earlier_one] = [later, earlier].map(|i| self.walk.deciders[i as usize]);
        let kind = self.deciders.get(&later).copied().unwrap_or(ChainKind::Filter);
        later_one.outranks(&earlier_one, kind)
    }
}

/// The state of packets that were translated in one of two ways: each field has one of the values of both. `None` if that cannot be said.
pub(super) fn either(walk: &mut Walk<'_>, a: u32, b: u32) -> Option<u32> {
    if a == b {
        return Some(a);
    }
    let mut both = walk.state(a).clone();
    for field in [Field::Src, Field::Dst, Field::Sport, Field::Dport] {
        let i = field.index();
        let other = &walk.state(b).views[i];
        if both.views[i] != *other {
            let set = values(&both.views[i])?.union(&values(other)?);
            both.views[i] = View::among(set);
        }
    }
    Some(walk.intern(both))
}

fn values(view: &View) -> Option<IntervalSet> {
    match view {
        View::One(v) => Some(IntervalSet::single(*v)),
        View::Among { left, .. } => Some((**left).clone()),
        View::Same | View::Shift(_) | View::Unknown => None,
    }
}
