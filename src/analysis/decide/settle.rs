//! From the ends of all ways to the answer: what is certain, and what is not.

use super::cell::{Cell, List, View, add, both};
use super::guard::{seen_region, shifted};
use super::join::{Joinable, join};
use super::reason::Why;
use super::walk::{End, Place, Walk};
use super::{Answer, Part};
use crate::analysis::Verdict;
use crate::packet::{ConnState, Field, IntervalSet, Neighbours, Region};

/// An end of packets, ready to be compared with others.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    region: Region,
    verdict: Verdict,
    tracked: bool,
    decided: List,
    because: List,
    assumed: List,
    // The state that says how the packets were translated.
    translated: Option<u32>,
    place: Place,
}

impl Joinable for Outcome {
    fn region(&self) -> &Region {
        &self.region
    }

    fn region_mut(&mut self) -> &mut Region {
        &mut self.region
    }

    fn label(&self) -> u64 {
        let list = |l: &List| l.iter().flat_map(|l| l.iter()).fold(0u64, |h, i| h * 31 + u64::from(*i) + 1);
        let flags = self.verdict as u64 * 2 + u64::from(self.tracked);
        flags ^ list(&self.decided) << 8 ^ list(&self.because) << 24 ^ list(&self.assumed) << 40
    }

    fn same(&self, o: &Self) -> bool {
        (self.verdict, self.tracked, self.translated) == (o.verdict, o.tracked, o.translated)
            && self.decided == o.decided
            && self.because == o.because
            && self.assumed == o.assumed
    }

    fn absorb(&mut self, _: &Self) {}
}

impl Outcome {
    // What is known where this one and another are both possible.
    fn or(&self, other: &Outcome, region: Region) -> Outcome {
        let mut out = Outcome { region, ..self.clone() };
        if self.verdict != other.verdict {
            out.verdict = Verdict::Undecided;
            out.because = both(&self.because, &other.because);
            out.decided = both(&self.decided, &other.decided);
        }
        out.tracked = out.verdict != Verdict::Accept || (self.tracked && other.tracked);
        if self.translated != other.translated {
            out.translated = None;
        }
        out
    }

    fn differs(&self, other: &Outcome) -> bool {
        self.verdict != other.verdict || (self.verdict == Verdict::Accept && self.tracked != other.tracked)
    }
}

impl<'a> Walk<'a> {
    /// What the ends of the packets that were followed mean.
    pub(super) fn outcome(&mut self) {
        let main = std::mem::take(&mut self.main);
        let extra = std::mem::take(&mut self.extra);
        let mut main = self.outcomes(main);
        let mut extra = self.outcomes(extra);
        join(&mut main);
        join(&mut extra);
        if self.question.delivered_to.is_some() {
            main.extend(stray(&main, &extra));
        }
        if extra.is_empty() {
            return self.settled.append(&mut main);
        }
        // Each way is held against each further way that it may meet; what is left when that takes too long is not decided.
        let near = Neighbours::of(extra.iter().map(|e| Some(&e.region)));
        let mut pairs = 0usize;
        for m in main {
            let ways = near.meeting([&m.region]);
            pairs = pairs.saturating_add(ways.len());
            if pairs <= MAX_PAIRS {
                settle_one(m, ways.into_iter().map(|n| &extra[n]), &mut self.settled);
            } else {
                self.exhausted = true;
                let why = self.reason(0, Why::Budget, Default::default());
                self.settled.push(Outcome {
                    verdict: Verdict::Undecided,
                    tracked: true,
                    because: add(&m.because, why),
                    ..m
                });
            }
        }
    }

    /// Puts the outcomes of several sites in the order in which rules decide.
    pub(super) fn in_order(&mut self) {
        self.settled.sort_by_key(|o| o.place);
    }

    /// The answer of a finished walk, added to another.
    pub(super) fn settle(mut self, answer: &mut Answer) {
        self.outcome();
        answer.exhausted |= self.exhausted;
        let mut settled = std::mem::take(&mut self.settled);
        self.spare(&mut settled);
        join(&mut settled);
        for o in settled {
            let part = self.part(&o);
            match o.verdict {
                Verdict::Accept => answer.accepted.push(part),
                Verdict::Drop => answer.denied.push(part),
                Verdict::Undecided => answer.undecided.push(part),
            }
        }
    }

    /// Whether there are so many ways, and further ways, that to hold them against each other takes longer than to ask otherwise.
    pub(super) fn is_crowded(&self) -> bool {
        self.main.len().saturating_mul(self.extra.len()) > CROWDED
    }

    /// Whether packets are let in that may be sent on to one place or to another: only diagrams tell all of them.
    pub(super) fn may_send_on(&self) -> bool {
        self.extra.iter().any(|e| e.verdict == Verdict::Accept && self.is_translated(e.cell.state))
    }

    fn outcomes(&mut self, ends: Vec<End>) -> Vec<Outcome> {
        let mut out = Vec::with_capacity(ends.len());
        for End { mut cell, mut verdict, place } in ends {
            if !self.delivered(&mut cell, &mut verdict) {
                continue;
            }
            let untracked = IntervalSet::single(ConnState::Untracked.value());
            let translated = self.is_translated(cell.state).then(|| self.translation(cell.state));
            let outcome = |region: Region, tracked: bool| Outcome {
                region,
                verdict,
                tracked,
                decided: cell.decided.clone(),
                because: cell.because.clone(),
                assumed: cell.assumed.clone(),
                translated,
                place,
            };
            let view = &self.state(cell.state).views[Field::State.index()];
            if verdict == Verdict::Accept
                && *view == View::Same
                && cell.region.get(Field::State).intersects(&untracked)
            {
                let inside = cell.region.cut(Field::State, &untracked);
                let outside = cell.region.cut(Field::State, &Field::State.complement(&untracked));
                out.push(outcome(inside, false));
                out.extend((!outside.is_empty()).then(|| outcome(outside, true)));
            } else {
                let tracked = *view != View::One(ConnState::Untracked.value());
                out.push(outcome(cell.region.clone(), tracked || verdict != Verdict::Accept));
            }
        }
        out
    }

    fn is_translated(&self, state: u32) -> bool {
        let views = &self.state(state).views;
        [Field::Src, Field::Dst, Field::Sport, Field::Dport].iter().any(|f| views[f.index()] != View::Same)
    }

    // The state that says how packets were translated; where the answer is by rule, that and nothing else, so that two ways on which a
    // packet becomes the same are not told apart.
    fn translation(&mut self, state: u32) -> u32 {
        if !self.by_rule {
            return state;
        }
        let mut s = self.state(state).clone();
        (s.rule, s.known, s.written) = (None, Vec::new(), 0);
        s.registers = Default::default();
        for f in [Field::Iif, Field::Oif, Field::State] {
            s.views[f.index()] = View::Same;
        }
        self.intern(s)
    }

    // Cuts a cell to the destinations that the question asks for. False if none is left.
    fn delivered(&mut self, cell: &mut Cell, verdict: &mut Verdict) -> bool {
        let Some(wanted) = &self.question.delivered_to else {
            return true;
        };
        match &self.state(cell.state).views[Field::Dst.index()] {
            View::Same => cell.region = cell.region.cut(Field::Dst, wanted),
            View::Shift(d) => cell.region = cell.region.cut(Field::Dst, &shifted(wanted, d.wrapping_neg())),
            View::One(v) => return wanted.contains(*v),
            View::Among { left, .. } if wanted.covers(left) => {}
            View::Among { left, .. } if !wanted.intersects(left) => return false,
            View::Among { .. } | View::Unknown => {
                let first = cell.decided.as_ref().and_then(|l| l.first()).map(|d| self.deciders[*d as usize]);
                let (firewall, origin) = first.map_or_else(Default::default, |d| (d.firewall, d.origin));
                let why = self.reason(firewall, Why::Among(Field::Dst), origin);
                cell.because = add(&cell.because, why);
                *verdict = Verdict::Undecided;
            }
        }
        !cell.region.is_empty()
    }

    // Accepted packets that a rate limit would have stopped are accepted under an assumption.
    fn spare(&mut self, settled: &mut [Outcome]) {
        let spared = std::mem::take(&mut self.spared);
        if spared.len().saturating_mul(settled.len()) > MAX_SPARED {
            return;
        }
        for (region, why) in spared {
            for o in
                settled.iter_mut().filter(|o| o.verdict == Verdict::Accept && o.region.intersects(&region))
            {
                o.assumed = add(&o.assumed, why);
            }
        }
    }

    fn part(&self, o: &Outcome) -> Part {
        let reasons =
            |l: &List| l.iter().flat_map(|l| l.iter()).map(|i| self.reasons[*i as usize].clone()).collect();
        let decided = o.decided.iter().flat_map(|l| l.iter());
        Part {
            region: o.region.clone(),
            decided_by: decided.map(|i| self.deciders[*i as usize]).collect(),
            because: if o.verdict == Verdict::Undecided { reasons(&o.because) } else { Vec::new() },
            assumed: if o.verdict == Verdict::Accept { reasons(&o.assumed) } else { Vec::new() },
            tracked: o.tracked,
            translated: o.translated.map(|s| seen_region(&o.region, self.state(s))),
        }
    }
}

const MAX_SPARED: usize = 1_000_000;
const CROWDED: usize = 1_000_000;
// Some seconds.
const MAX_PAIRS: usize = 100_000_000;

fn settle_one<'e>(main: Outcome, extra: impl Iterator<Item = &'e Outcome>, settled: &mut Vec<Outcome>) {
    let mut pieces = vec![main];
    for e in extra {
        if pieces.iter().all(|p| !p.differs(e)) || !pieces.iter().any(|p| p.region.intersects(&e.region)) {
            continue;
        }
        let mut next = Vec::with_capacity(pieces.len());
        for mut p in pieces {
            if !p.differs(e) || !p.region.intersects(&e.region) {
                next.push(p);
            } else if p.verdict == Verdict::Undecided {
                // Nothing is less certain than that; only the reasons grow.
                if e.region.covers(&p.region) {
                    p.because = both(&p.because, &e.because);
                    p.decided = both(&p.decided, &e.decided);
                }
                next.push(p);
            } else {
                next.push(p.or(e, p.region.intersect(&e.region)));
                next.extend(
                    p.region.minus(&e.region).into_iter().map(|region| Outcome { region, ..p.clone() }),
                );
            }
        }
        pieces = next;
    }
    settled.append(&mut pieces);
}

// Packets that only an extra way brings to a destination asked for: nothing is certain about them.
fn stray(main: &[Outcome], extra: &[Outcome]) -> Vec<Outcome> {
    let mut out: Vec<Outcome> = Vec::new();
    for e in extra {
        let mut rest = vec![e.region.clone()];
        for other in main.iter().map(|m| &m.region).chain(out.iter().map(|o| &o.region).collect::<Vec<_>>()) {
            rest = rest.iter().flat_map(|r| r.minus(other)).collect();
        }
        out.extend(rest.into_iter().map(|region| Outcome {
            region,
            verdict: Verdict::Undecided,
            ..e.clone()
        }));
    }
    out
}
