//! Both sides decided on the same packets, and what came of it laid side by side.

use super::align::Alignment;
use super::rewrite::Doubt;
use super::{Change, Difference, Fate, Kind, May, NEW, OLD};
use crate::analysis::decide::{Compared, Different, Part, Question, Told, compare, replayed};
use crate::analysis::evaluate::{Because, Decider, evaluate};
use crate::analysis::flow::boxes;
use crate::analysis::{Environment, Fact, Point, Verdict};
use crate::model::{Action, ConditionId, Firewall, Policy};
use crate::packet::{Family, Field, IntervalSet, Packet, Path, Region, public};
use rustc_hash::{FxHashMap, FxHashSet};

/// A comparison under way.
pub(super) struct Comparison<'a> {
    pub(super) sides: [&'a Firewall; 2],
    // How many rules each has.
    rules: [u64; 2],
    environments: [Environment; 2],
    labels: Option<Vec<String>>,
    // What translations depend on, if they are changed.
    doubts: Vec<Doubt>,
    // Unknown conditions with one truth value on both sides: what each is called on the old one, by its name on the new one.
    same: FxHashMap<ConditionId, ConditionId>,
    partner: FxHashMap<ConditionId, ConditionId>,
    // Conditions whose truth does not settle what depends on them.
    open: [FxHashSet<ConditionId>; 2],
    group: Option<String>,
    pub(super) path: Path,
    cells: Vec<Cell>,
    // Packets of some rules that differ.
    pub(super) samples: Vec<(Path, Region)>,
    // Packets that fare otherwise, where not all is told.
    found: Vec<(Option<String>, Packet)>,
    // Work that may still be done to compare, to follow conditions both ways, and for packets to show.
    budget: u64,
    again: u64,
    shown: u64,
    // What the comparison of the region that is under way took, in rules looked at.
    base: u64,
}

// Packets with one fate on each side.
struct Cell {
    region: Region,
    key: Key,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    kind: Kind,
    may: Option<May>,
    path: Path,
    group: Option<String>,
    sides: [Fate; 2],
    because: Vec<(usize, Because)>,
    // Only some of the packets fare so, these for certain.
    partly: Option<Region>,
}

type Settled = Vec<(Atom, bool)>;

// A fact, as each side that knows it calls it.
type Atom = [Option<Fact>; 2];

// Work of one comparison, in rules looked at: some seconds.
const BUDGET: u64 = 1_000_000_000;
// The same for packets to show: a scan of a million rules takes some milliseconds.
const SHOWN: u64 = BUDGET / 4;
// What one decision costs beside its rules.
const DECISION: u64 = 10_000;
// A step of a decision, in rules that are scanned in the meantime.
const STEP: u64 = 64;
// Where conditions are followed both ways, much is decided again and again: each rule counts for all of a ruleset's, up to so many.
const AGAIN: u64 = 400;
// As often as this the comparison of a whole region must be affordable, if conditions of its parts are to be followed.
const FOLLOWED: u64 = 4;
// Unknown conditions that are followed both ways.
const MAX_ATOMS: usize = 6;
const MAX_REGIONS: usize = 4096;

impl<'a> Comparison<'a> {
    pub(super) fn new(
        sides: [&'a Firewall; 2],
        environment: &Environment,
        alignment: &Alignment,
        doubts: Vec<Doubt>,
        samples: Vec<(Path, Region)>,
    ) -> Self {
        Self {
            sides,
            rules: sides.map(|f| f.rule_count() as u64),
            environments: [environment.clone(), environment.clone()],
            labels: environment.labels.clone(),
            doubts,
            same: alignment.same.iter().map(|(a, b)| (*b, *a)).collect(),
            partner: alignment.same.clone(),
            open: sides.map(open),
            group: None,
            path: Path::Input,
            cells: Vec::new(),
            samples,
            found: Vec::new(),
            budget: BUDGET,
            again: BUDGET,
            shown: SHOWN,
            base: 0,
        }
    }

    /// The regions that follow are of this group and path.
    pub(super) fn group(&mut self, group: Option<String>, path: Path) {
        for e in &mut self.environments {
            e.labels = group.as_ref().map_or_else(|| self.labels.clone(), |g| Some(vec![g.clone()]));
        }
        self.group = group;
        self.path = path;
    }

    /// Compares what both sides do with a region, which is in normal form.
    pub(super) fn region(&mut self, region: &Region) {
        let Some(Compared { parts, partly, work }) = self.compared(region, &Vec::new()) else {
            self.given_up(region);
            return;
        };
        self.base = work.saturating_mul(STEP);
        for (region, [a, b]) in parts {
            match (a.0, b.0) {
                (Verdict::Undecided, _) | (_, Verdict::Undecided) => self.undecided(&region, &a, &b),
                (Verdict::Accept, Verdict::Accept) if !self.doubts.is_empty() => {
                    self.undecided(&region, &a, &b);
                }
                (Verdict::Accept, Verdict::Accept) => self.both_accept(&region),
                (Verdict::Drop, Verdict::Drop) => {}
                (Verdict::Drop, Verdict::Accept) => self.cell(region, Kind::Accepted, [&a, &b]),
                (Verdict::Accept, Verdict::Drop) => self.cell(region, Kind::Stopped, [&a, &b]),
            }
        }
        partly.into_iter().for_each(|different| self.partly(different));
    }

    // Some of the packets of a region fare otherwise: too many parts to tell them apart.
    fn partly(&mut self, different: Different) {
        for (sample, [a, b]) in different.samples {
            let (kind, may) = match (a.0, b.0) {
                (Verdict::Drop, Verdict::Accept) => (Kind::Accepted, None),
                (Verdict::Accept, Verdict::Drop) => (Kind::Stopped, None),
                (Verdict::Drop, _) => (Kind::Undecided, Some(May::Accept)),
                (_, Verdict::Drop) => (Kind::Undecided, Some(May::Stop)),
                _ => (Kind::Undecided, Some(May::Either)),
            };
            let because = if kind == Kind::Undecided { self.reasons(&a, &b) } else { Vec::new() };
            let sides = [&a, &b].map(|(verdict, part)| fate(*verdict, part));
            let (path, group, partly) = (self.path, self.group.clone(), Some(sample));
            let key = Key { kind, may, path, group, sides, because, partly };
            self.cells.push(Cell { region: different.region.clone(), key });
        }
    }

    fn cell(&mut self, region: Region, kind: Kind, sides: [&Told; 2]) {
        let sides = sides.map(|(verdict, part)| fate(*verdict, part));
        self.push(region, kind, None, sides, Vec::new());
    }

    fn push(
        &mut self,
        region: Region,
        kind: Kind,
        may: Option<May>,
        sides: [Fate; 2],
        because: Vec<(usize, Because)>,
    ) {
        let (path, group) = (self.path, self.group.clone());
        let key = Key { kind, may, path, group, sides, because, partly: None };
        self.cells.push(Cell { region, key });
    }

    fn given_up(&mut self, region: &Region) {
        let group = self.group.clone();
        let found = self.search(region);
        self.found.extend(found.map(|packet| (group, packet)));
        let because = Because {
            firewall: 0,
            text: "too many cases to decide".to_owned(),
            why: "compare smaller steps of the change".to_owned(),
            origin: crate::source::Origin::default(),
            fact: None,
        };
        let unknown = Fate { verdict: Verdict::Undecided, decided_by: None, translated: None };
        let sides = [unknown.clone(), unknown];
        self.push(region.clone(), Kind::Undecided, Some(May::Either), sides, vec![(NEW, because)]);
    }

    /// The question about a region at one of the sides, each given as the only firewall of its point.
    pub(super) fn question<'q>(
        &'q self,
        firewalls: &'q [[&'a Firewall; 1]; 2],
        side: usize,
        region: &Region,
    ) -> Question<'q> {
        Question {
            point: Point { firewalls: &firewalls[side], environment: &self.environments[side] },
            path: self.path,
            region: region.clone(),
            mark: 0,
            delivered_to: None,
        }
    }

    /// Takes what it costs to pass so many packets through both sides, if there is as much left.
    pub(super) fn spend(&mut self, packets: u64) -> Option<()> {
        let rules: u64 = self.rules.iter().map(|n| n + 1000).sum();
        self.shown = self.shown.checked_sub(rules * packets / 2)?;
        Some(())
    }

    // As `compared`, where the parts are not too many to tell them apart.
    fn pairs(&mut self, region: &Region, settled: &Settled) -> Option<Vec<(Region, [Told; 2])>> {
        let each = |n: &u64| n * AGAIN.min(*n) + DECISION;
        self.again = self.again.checked_sub(self.rules.iter().map(each).sum())?;
        let compared = self.compared(region, settled)?;
        self.again = self.again.saturating_sub(compared.work.saturating_mul(STEP));
        Some(compared).filter(|c| c.partly.is_empty()).map(|c| c.parts)
    }

    // What both sides say of each part of a region, if some things are taken for true or false; `None` if that takes too long.
    fn compared(&mut self, region: &Region, settled: &Settled) -> Option<Compared> {
        let cost: u64 = self.rules.iter().map(|n| n + DECISION).sum();
        self.budget = self.budget.checked_sub(cost)?;
        for side in [OLD, NEW] {
            self.environments[side].settled =
                settled.iter().filter_map(|(atom, truth)| atom[side].map(|f| (f, *truth))).collect();
        }
        let firewalls = self.sides.map(|f| [f]);
        // Parts that are decided alike need no further look, unless they were sent elsewhere.
        let straight = self.doubts.is_empty();
        let plain = |[a, b]: [(Verdict, bool, bool); 2]| match (a.0, b.0) {
            (Verdict::Drop, Verdict::Drop) => true,
            (Verdict::Accept, Verdict::Accept) => straight && a.2 && b.2 && a.1 == b.1,
            _ => false,
        };
        let [old, new] = [OLD, NEW].map(|side| self.question(&firewalls, side, region));
        let compared = compare([&old, &new], &plain);
        self.environments.iter_mut().for_each(|e| e.settled.clear());
        self.budget = self.budget.saturating_sub(compared.as_ref()?.work);
        self.budget = self.budget.checked_sub(compared.as_ref()?.parts.len() as u64)?;
        compared
    }

    // Let through on both sides: perhaps to somewhere else, or without being tracked.
    fn both_accept(&mut self, region: &Region) {
        let Some(pairs) = self.pairs(region, &Vec::new()) else {
            self.given_up(region);
            return;
        };
        for (region, [a, b]) in pairs {
            if let Some(kind) = goes_elsewhere(&a.1, &b.1) {
                let mut sides = [&a, &b].map(|(verdict, part)| fate(*verdict, part));
                if kind == Kind::Translated {
                    sides[OLD].translated = Some(target(&a.1));
                    sides[NEW].translated = Some(target(&b.1));
                }
                self.push(region, kind, None, sides, Vec::new());
            }
        }
    }

    fn undecided(&mut self, region: &Region, a: &Told, b: &Told) {
        let mut found: [Vec<Region>; 2] = Default::default();
        self.explore(region, [a, b], &mut Vec::new(), &mut found);
        let sides = [a, b].map(|(verdict, part)| fate(*verdict, part));
        let because = self.reasons(a, b);
        let [accept, stop] = found.map(distinct);
        let both: Vec<Region> = accept
            .iter()
            .flat_map(|x| stop.iter().filter(|y| y.intersects(x)).map(|y| x.intersect(y)))
            .collect();
        let may = [
            (May::Either, both),
            (May::Accept, Region::minus_all(accept.clone(), &stop)),
            (May::Stop, Region::minus_all(stop, &accept)),
        ];
        for (may, regions) in may {
            for region in regions {
                self.push(region, Kind::Undecided, Some(may), sides.clone(), because.clone());
            }
        }
    }

    // What the two verdicts depend on.
    fn reasons(&self, a: &Told, b: &Told) -> Vec<(usize, Because)> {
        let mut because: Vec<(usize, Because)> = Vec::new();
        for (side, told) in [(NEW, b), (OLD, a)] {
            for reason in &told.1.because {
                if !because.iter().any(|(_, k)| k.text == reason.text) {
                    because.push((side, reason.clone()));
                }
            }
        }
        if because.is_empty() {
            because.extend(self.doubts.iter().take(MAX_ATOMS).map(|d| (d.side, d.because.clone())));
        }
        because
    }

    // Where packets may newly be accepted, and where stopped: for both truth values of what the verdicts depend on.
    fn explore(
        &mut self,
        region: &Region,
        told: [&Told; 2],
        settled: &mut Settled,
        found: &mut [Vec<Region>; 2],
    ) {
        let mut may = |accept: bool, stop: bool| note(found, region, accept, stop);
        match told.map(|t| t.0) {
            [Verdict::Drop, Verdict::Accept] => return may(true, false),
            [Verdict::Accept, Verdict::Drop] => return may(false, true),
            [Verdict::Drop, Verdict::Drop] => return,
            [Verdict::Accept, Verdict::Accept] => {
                let differs = goes_elsewhere(&told[OLD].1, &told[NEW].1).is_some();
                if differs
                    || self.doubts.iter().all(|d| settled.iter().any(|(a, _)| Some(*a) == self.atom_of(d)))
                {
                    return may(differs, differs);
                }
            }
            _ => {}
        }
        let atom = self.atom(told, settled).filter(|_| settled.len() < MAX_ATOMS);
        let full = found.iter().any(|f| f.len() > MAX_REGIONS);
        // Where it cannot be done for more than one or two parts, it is not begun: it takes as long as all the rest.
        let affordable = self.again >= self.base.saturating_mul(FOLLOWED);
        if let Some(atom) = atom.filter(|_| affordable && !full) {
            let mut parts = Vec::new();
            for truth in [true, false] {
                settled.push((atom, truth));
                let pairs = self.pairs(region, settled);
                settled.pop();
                match pairs {
                    Some(p) => parts.push((truth, p)),
                    None => break,
                }
            }
            if parts.len() == 2 {
                for (truth, pairs) in parts {
                    settled.push((atom, truth));
                    for (region, [a, b]) in pairs {
                        self.explore(&region, [&a, &b], settled, found);
                    }
                    settled.pop();
                }
                return;
            }
        }
        let [old, new] = told.map(|t| t.0);
        let sent = [old, new] == [Verdict::Accept; 2];
        let accept = sent || (old != Verdict::Accept && new != Verdict::Drop);
        let stop = sent || (old != Verdict::Drop && new != Verdict::Accept);
        note(found, region, accept, stop);
    }

    // The first thing that a verdict depends on and whose truth would say more.
    fn atom(&self, told: [&Told; 2], settled: &Settled) -> Option<Atom> {
        let asked = [OLD, NEW].into_iter().flat_map(|s| told[s].1.because.iter().map(move |b| (s, b)));
        let doubts = self.doubts.iter().map(|d| (d.side, &d.because));
        let mut atoms = asked.chain(doubts).filter_map(|(side, b)| self.named(side, b.fact?));
        atoms.find(|atom| !settled.iter().any(|(known, _)| known == atom))
    }

    fn atom_of(&self, doubt: &Doubt) -> Option<Atom> {
        self.named(doubt.side, doubt.because.fact?)
    }

    // A fact as each side calls it; `None` if to settle it settles nothing.
    fn named(&self, side: usize, fact: Fact) -> Option<Atom> {
        match fact {
            Fact::AddressType(..) => Some([Some(fact), Some(fact)]),
            Fact::Condition(_, c) if self.open[side].contains(&c) => None,
            Fact::Condition(f, c) => {
                let other = if side == OLD { self.partner.get(&c) } else { self.same.get(&c) };
                let other = other.map(|c| Fact::Condition(f, *c));
                Some(if side == OLD { [Some(fact), other] } else { [other, Some(fact)] })
            }
        }
    }

    /// The changes, as boxes with witnesses.
    pub(super) fn finish(mut self, difference: &mut Difference) {
        let mut groups: Vec<(Key, Vec<Region>)> = Vec::new();
        let mut index: FxHashMap<Key, usize> = FxHashMap::default();
        for cell in std::mem::take(&mut self.cells) {
            let at = *index.entry(cell.key.clone()).or_insert_with(|| {
                groups.push((cell.key, Vec::new()));
                groups.len() - 1
            });
            groups[at].1.push(cell.region);
        }
        let own = self.sides.iter().zip(&self.environments).filter_map(|(f, e)| e.local_of(f));
        let own = own.fold(IntervalSet::EMPTY, |a, b| a.union(&b));
        let mut changes = Vec::new();
        for (key, regions) in groups {
            self.group(key.group.clone(), key.path);
            // What is told in part stays whole: its packets that fare so may be in any part of it.
            let regions = match key.partly {
                Some(_) => regions,
                None => boxes(&regions, key.path).into_iter().map(|(region, _)| region).collect(),
            };
            for region in regions {
                let Key { kind, may, path, group, sides, because, partly } = key.clone();
                let (exposure, witness, replayed) = (false, None, None);
                let mut change = Change {
                    kind,
                    may,
                    path,
                    group,
                    region,
                    partly,
                    sides,
                    because,
                    exposure,
                    witness,
                    replayed,
                };
                change.exposure = change.exposes(&own);
                match self.witness(&change, &own) {
                    Ok(Some((packet, verdicts))) => {
                        change.witness = Some(packet);
                        change.replayed = Some(verdicts);
                    }
                    Ok(None) => {}
                    Err(Disagree) => difference.agreed = false,
                }
                changes.push((change.region.weight(), change));
            }
        }
        changes.sort_by(|(w, a), (v, b)| {
            (a.kind, a.path, !a.exposure)
                .cmp(&(b.kind, b.path, !b.exposure))
                .then_with(|| a.group.cmp(&b.group))
                .then_with(|| v.total_cmp(w))
        });
        difference.changes.extend(changes.into_iter().map(|(_, c)| c));
    }

    // A packet of a change, from the Internet if that is what matters, with what the evaluator says of it; `None` if there is no time.
    fn witness(
        &mut self,
        change: &Change,
        own: &IntervalSet,
    ) -> Result<Option<(Packet, [Verdict; 2])>, Disagree> {
        if self.spend(2).is_none() {
            return Ok(None);
        }
        let firewalls = self.sides.map(|f| [f]);
        let [before, after] = [OLD, NEW].map(|side| self.question(&firewalls, side, &change.region));
        let is_found = |f: &&(Option<String>, Packet)| {
            f.0 == change.group && f.1.path == change.path && change.region.contains(&f.1)
        };
        if let Some((_, packet)) = self.found.iter().find(is_found).filter(|_| change.kind == Kind::Undecided)
        {
            let verdicts = [before, after].map(|q| evaluate(q.point, packet).verdict);
            return Ok(Some((packet.clone(), verdicts)));
        }
        let certain = change.kind != Kind::Undecided;
        let [old, new] = &change.sides;
        let packets = change.partly.as_ref().unwrap_or(&change.region);
        let outside = packets.cut(Field::Src, &public::with_documentation().minus(own));
        let region = if change.exposure && !outside.is_empty() { outside } else { packets.clone() };
        let part = Part {
            region: region.clone(),
            decided_by: old.decided_by.into_iter().collect(),
            because: if certain { Vec::new() } else { change.because.iter().map(|b| b.1.clone()).collect() },
            assumed: Vec::new(),
            tracked: true,
            translated: None,
        };
        let question = Question { region, ..before };
        let (packet, before) = replayed(&question, &part).ok_or(Disagree)?;
        let after = evaluate(after.point, &packet);
        if certain && !after.exhausted && after.verdict != new.verdict {
            return Err(Disagree);
        }
        Ok(Some((packet, [before.verdict, after.verdict])))
    }
}

// The evaluator says otherwise than the decision of a region.
struct Disagree;

// Remembers what may become of a region.
fn note(found: &mut [Vec<Region>; 2], region: &Region, accept: bool, stop: bool) {
    for (is, list) in [accept, stop].into_iter().zip(found) {
        if is {
            list.push(region.clone());
        }
    }
}

fn fate(verdict: Verdict, part: &Part) -> Fate {
    let first: Option<Decider> = part.decided_by.first().copied();
    Fate { verdict, decided_by: first, translated: None }
}

// Where packets that are let through go: their ends after translation.
fn target(part: &Part) -> Region {
    let seen = part.translated.as_ref().unwrap_or(&part.region);
    let family = part.region.get(Field::Dst).first().map_or(Family::V4, crate::packet::addr::family);
    let ends = [Field::Src, Field::Dst, Field::Proto, Field::Sport, Field::Dport];
    ends.iter().fold(Region::all(family), |mut to, f| {
        to.set(*f, seen.shared(*f).clone());
        to
    })
}

// Conditions of targets and policies that are not understood: they have more than two outcomes.
fn open(f: &Firewall) -> FxHashSet<ConditionId> {
    let actions = f.chains.iter().flat_map(|c| &c.rules).filter_map(|r| match r.action {
        Action::Unknown(c) => Some(c),
        _ => None,
    });
    let policies = f.base_chains.iter().filter_map(|b| match b.policy {
        Policy::Unknown(c) => Some(c),
        _ => None,
    });
    actions.chain(policies).collect()
}

// Whether packets that both sides let through are sent elsewhere, or are tracked on one side only.
fn goes_elsewhere(a: &Part, b: &Part) -> Option<Kind> {
    let target = |p: &Part, f: Field| {
        let to = p.translated.as_ref().map(|t| t.shared(f).clone());
        to.filter(|t| **t != *p.region.get(f))
    };
    let moved =
        [Field::Src, Field::Dst, Field::Sport, Field::Dport].iter().any(|f| target(a, *f) != target(b, *f));
    match (moved, a.tracked == b.tracked) {
        (true, _) => Some(Kind::Translated),
        (false, false) => Some(Kind::Tracked),
        _ => None,
    }
}

// The same packets, each in one region.
fn distinct(regions: Vec<Region>) -> Vec<Region> {
    let mut out: Vec<Region> = Vec::new();
    for r in regions {
        let rest = Region::minus_all(vec![r], &out);
        out.extend(rest);
    }
    out
}
