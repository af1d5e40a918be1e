//! What happens to every packet of a region: exact, three-valued.

mod act;
mod attached;
mod cell;
mod guard;
mod hull;
pub(crate) mod join;
mod kept;
mod reason;
mod settle;
mod together;
mod translate;
mod walk;
mod wide;
mod witness;

#[cfg(test)]
mod by_rule;
#[cfg(test)]
mod pitfalls;
#[cfg(test)]
pub(super) mod tests;

pub use kept::Kept;
pub use reason::field_name;
pub(super) use reason::register_name;
pub use witness::{replayed, witness};

use super::evaluate::{Because, Decider};
use super::{Point, Verdict};
use crate::packet::{Family, Field, IntervalSet, Path, Region};
use attached::Site;
use walk::Walk;

/// A question about a region.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Where.
    pub point: Point<'a>,
    /// The way that the packets take. A translation may turn input into forward and back.
    pub path: Path,
    /// The packets as they arrive, all of one family.
    pub region: Region,
    /// Packet mark on arrival.
    pub mark: u32,
    /// Only packets whose destination, after all translations, is in this set are asked for; the answer's parts then
    /// cover just those. `None` = all.
    pub delivered_to: Option<IntervalSet>,
}

/// The answer: three lists of disjoint parts that together are exactly the region asked for.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Let through for certain.
    pub accepted: Vec<Part>,
    /// Stopped for certain.
    pub denied: Vec<Part>,
    /// Let through or stopped, depending on conditions.
    pub undecided: Vec<Part>,
    /// The budget ran out: what was left is in `undecided`.
    pub exhausted: bool,
}

/// Packets that share a verdict.
#[derive(Debug, Clone)]
pub struct Part {
    /// The packets, as they arrived.
    pub region: Region,
    /// The rules or policies that decide, by how many packets, most first; never more than a few.
    pub decided_by: Vec<Decider>,
    /// Undecided: what it depends on.
    pub because: Vec<Because>,
    /// Accepted only because rate limits are assumed not to be exceeded.
    pub assumed: Vec<Because>,
    /// Accepted packets are tracked, so that their answers belong to a connection.
    pub tracked: bool,
    /// The packets after translation, if any rule on the way translated them.
    pub translated: Option<Region>,
}

/// An answer that fits a table: few regions, which ask nothing of some fields.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    /// What can be told apart so. What is stopped is told only if all is: else it is everything that is not named.
    pub answer: Answer,
    /// Packets of which some have another verdict than others.
    pub partly: Vec<Partly>,
    /// Packets with a verdict that occurs in `partly` only.
    pub samples: Vec<Told>,
}

/// Packets of which some, but not all, are let through, or depend on conditions.
#[derive(Debug, Clone)]
pub struct Partly {
    /// The packets.
    pub region: Region,
    /// Some are let through for certain.
    pub accepted: bool,
}

// Steps of a walk before it is asked whether diagrams do better: a fraction of a second.
const FIRST: u64 = 2_000_000;
// The same for a table, which takes diagrams less than exact boxes do.
const BRIEF: u64 = FIRST / 8;

/// Answers a question. A narrow one is walked; where that takes too many steps, the chains are put together as diagrams; where those do not serve, or
/// take too much themselves, the walk goes on to the end of its budget, and what is left then is undecided.
pub fn decide(question: &Question<'_>) -> Answer {
    decided(question, None)
}

/// As [`decide`], for what is required of a box: answers about very many rules are kept for the questions that follow. Points of a cloud at which the rules of
/// their groups say the same are told together, and of these rules only the first few are named.
pub fn decide_required(question: &Question<'_>, kept: &Kept) -> Answer {
    decided(question, Some(kept))
}

fn decided(question: &Question<'_>, required: Option<&Kept>) -> Answer {
    let mut answer = Answer::default();
    for (family, regions) in by_family(question) {
        if let Some((field, sites)) = attached::sites(question) {
            let mut walk = Walk::unplaced(question, family);
            let meets = |s: &Site<'_>| regions.iter().any(|r| r.get(field).intersects(&s.own));
            let mut sites: Vec<Site<'_>> = sites.into_iter().filter(meets).collect();
            if required.is_some() {
                sites = walk.together(field, sites, &regions);
            }
            for site in &sites {
                walk.go_to(site);
                let here = regions.iter().map(|r| r.cut(field, &site.own));
                walk.run(here.filter(|r| !r.is_empty()).collect());
                walk.outcome();
            }
            walk.in_order();
            if !walk.exhausted {
                walk.settle(&mut answer);
                continue;
            }
        }
        let walk = begun(question, family, &regions, FIRST);
        let wide = match walk.exhausted || walk.is_crowded() {
            false => None,
            true => match required {
                Some(kept) => kept.answer(question, family, &regions, wide::LIMIT),
                None => wide::answer(question, (family, &regions), wide::MAX_SHOWN, wide::LIMIT),
            },
        };
        match wide {
            Some(wide) => answer.add(wide),
            None => finished(walk, regions).settle(&mut answer),
        }
    }
    answer
}

/// The answer for some disjoint parts of a question's region, for a table that does not tell some fields. What is too much for that is not told apart:
/// [`Partly`].
pub fn outline(question: &Question<'_>, regions: &[Region], hidden: &[Field]) -> Outline {
    let mut out = Outline::default();
    let placed = attached::sites(question).is_some();
    for region in regions.iter().filter(|_| placed) {
        out.answer.add(decide(&Question { region: region.clone(), ..question.clone() }));
    }
    for (family, regions) in families(regions).into_iter().filter(|_| !placed) {
        let mut answer = Answer::default();
        let walk = begun(question, family, &regions, BRIEF);
        let mut wide = walk.exhausted || walk.is_crowded();
        if !wide {
            walk.settle(&mut answer);
            let parts = answer.accepted.iter().chain(&answer.undecided);
            wide = parts.clone().count() > FEW || parts.clone().any(|p| asks(&p.region, hidden));
        }
        match wide.then(|| wide::outline(question, (family, &regions), hidden, FEW, wide::LIMIT)).flatten() {
            Some(outline) => {
                out.answer.add(outline.answer);
                out.partly.extend(outline.partly);
                out.samples.extend(outline.samples);
            }
            None if wide && answer.is_empty() => {
                finished(begun(question, family, &regions, FIRST), regions).settle(&mut out.answer)
            }
            None => out.answer.add(answer),
        }
    }
    out.hide(hidden);
    out
}

// Parts of an answer that a table may have; with more, diagrams tell it in fewer.
const FEW: usize = 2_000;

fn asks(region: &Region, fields: &[Field]) -> bool {
    fields.iter().any(|f| *region.get(*f) != f.all())
}

// A walk of so many steps.
fn begun<'a>(question: &'a Question<'a>, family: Family, regions: &[Region], steps: u64) -> Walk<'a> {
    let mut walk = Walk::new(question, family);
    walk.budget = steps;
    walk.run(regions.to_vec());
    walk
}

// A walk to the end of its whole budget, where that was not enough.
fn finished(walk: Walk<'_>, regions: Vec<Region>) -> Walk<'_> {
    if !walk.exhausted {
        return walk;
    }
    let mut walk = Walk::new(walk.question, walk.family);
    walk.run(regions);
    walk
}

/// How much is told by rule.
#[derive(Debug, Clone, Copy)]
pub struct Detail<'d> {
    /// Ways in: one is a rule, and a new destination, if packets get one there.
    pub ways: usize,
    /// Parts, roughly: those of each rule are fewer where many rules let packets in.
    pub parts: usize,
    /// Ports, by protocol: the ways to them are told before all others; of the others, the widest.
    pub first: &'d [(u8, IntervalSet)],
}

/// Packets that are let in, or may be, by who does it.
#[derive(Debug, Clone, Default)]
pub struct ByRule {
    /// Let through for certain.
    pub accepted: Vec<Part>,
    /// Let through or stopped, depending on conditions.
    pub undecided: Vec<Part>,
    /// Those who let in, or may, packets that are in no part. `None` stands for what nobody looks at, and for doubts of many rules.
    pub untold: Vec<Option<Decider>>,
    /// The budget ran out: packets in no part may be let in by whomever.
    pub exhausted: bool,
}

/// As [`decide`], with the packets that each rule lets in in parts of their own; what is stopped is not told. At most so many steps are taken. A
/// step is a rule that meets some packets, or a few set intervals or edges of diagrams touched: some nanoseconds. They are subtracted, so that
/// several questions share a budget.
pub fn decide_by_rule(question: &Question<'_>, detail: &Detail<'_>, steps: &mut u64) -> ByRule {
    let mut all = ByRule::default();
    for (family, regions) in by_family(question) {
        let mut walk = walked_by_rule(question, family, &regions, (FIRST_BY_RULE, steps));
        if walk.exhausted || walk.is_crowded() || walk.may_send_on() {
            if let Some(told) = wide::by_rule(question, (family, &regions), detail, steps) {
                all.add(told);
                continue;
            }
            if walk.exhausted {
                walk = walked_by_rule(question, family, &regions, (FIRST, steps));
            }
        }
        let mut answer = Answer::default();
        walk.settle(&mut answer);
        all.exhausted |= answer.exhausted;
        all.accepted.extend(answer.accepted);
        all.undecided.extend(answer.undecided);
    }
    all
}

fn walked_by_rule<'a>(
    question: &'a Question<'a>,
    family: Family,
    regions: &[Region],
    (most, steps): (u64, &mut u64),
) -> Walk<'a> {
    let mut walk = Walk::new(question, family);
    walk.budget = most.min(*steps);
    walk.by_rule = true;
    walk.run(regions.to_vec());
    *steps = steps.saturating_sub(walk.work);
    walk
}

// Steps of a walk by rule before it is asked whether diagrams do better, as they mostly do: few packets have one decider for long.
const FIRST_BY_RULE: u64 = FIRST / 32;

impl ByRule {
    fn add(&mut self, other: ByRule) {
        self.accepted.extend(other.accepted);
        self.undecided.extend(other.undecided);
        self.untold.extend(other.untold);
        self.exhausted |= other.exhausted;
    }
}

/// A verdict, and the part of an answer that it is about.
pub type Told = (Verdict, Part);

/// What two points say of the same packets.
#[derive(Debug, Clone, Default)]
pub struct Compared {
    /// The parts of both answers laid on each other, without those that are of no interest.
    pub parts: Vec<(Region, [Told; 2])>,
    /// Where there are too many of those to tell apart.
    pub partly: Vec<Different>,
    /// What it took, in steps of some nanoseconds.
    pub work: u64,
}

/// Packets of which some, but perhaps not all, are of interest.
#[derive(Debug, Clone)]
pub struct Different {
    /// The packets.
    pub region: Region,
    /// Some of them for each pair of verdicts that occurs among those of interest.
    pub samples: Vec<(Region, [Told; 2])>,
}

/// Whether packets are of no interest: by the two verdicts, each with whether the packets are tracked, and keep their addresses and ports.
pub type PlainFates<'f> = dyn Fn([(Verdict, bool, bool); 2]) -> bool + 'f;

/// Two points' answers about the same packets, but for those that are of no interest. `None` if it takes too long.
pub fn compare(questions: [&Question<'_>; 2], plain: &PlainFates<'_>) -> Option<Compared> {
    let mut out = Compared::default();
    for (family, regions) in by_family(questions[0]) {
        let mut walks: [Option<Walk<'_>>; 2] = [None, None];
        let mut wide = false;
        for (walk, question) in walks.iter_mut().zip(questions) {
            let begun = begun(question, family, &regions, FIRST);
            out.work += begun.work;
            wide |= begun.exhausted || begun.is_crowded();
            // What a walk that did not come to its end holds is much, and of no more use; nor is then the other side's.
            if begun.exhausted {
                break;
            }
            *walk = Some(begun);
        }
        if wide && let Some(compared) = wide::compare(questions, family, &regions, plain, &wide::DETAIL) {
            out.add(compared);
            continue;
        }
        let mut told: Vec<Vec<Told>> = Vec::new();
        for (walk, question) in walks.into_iter().zip(questions) {
            let mut answer = Answer::default();
            let walk = walk.unwrap_or_else(|| {
                let mut walk = Walk::new(question, family);
                walk.run(regions.clone());
                out.work += walk.work;
                walk
            });
            walk.settle(&mut answer);
            let of = |v: Verdict, parts: Vec<Part>| parts.into_iter().map(move |p| (v, p));
            let accepted = of(Verdict::Accept, answer.accepted);
            let rest = of(Verdict::Drop, answer.denied).chain(of(Verdict::Undecided, answer.undecided));
            told.push(accepted.chain(rest).collect());
        }
        let [old, new] = &told[..] else { return None };
        if old.len().saturating_mul(new.len()) > MAX_PAIRS {
            out.add(wide::compare(questions, family, &regions, plain, &wide::DETAIL)?);
            continue;
        }
        let seen = |t: &Told| (t.0, t.1.tracked, t.1.translated.is_none());
        for a in old {
            for b in new.iter().filter(|b| !plain([seen(a), seen(b)]) && b.1.region.intersects(&a.1.region)) {
                out.parts.push((a.1.region.intersect(&b.1.region), [a.clone(), b.clone()]));
            }
        }
    }
    Some(out)
}

impl Compared {
    /// Whether nothing is of interest.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.partly.is_empty()
    }

    fn add(&mut self, other: Compared) {
        self.parts.extend(other.parts);
        self.partly.extend(other.partly);
        self.work += other.work;
    }
}

// Pairs of parts that are looked at one by one.
const MAX_PAIRS: usize = 4_000_000;

// The question's packets by family, as regions in normal form.
fn by_family(question: &Question<'_>) -> Vec<(Family, Vec<Region>)> {
    families(std::slice::from_ref(&question.region))
}

fn families(regions: &[Region]) -> Vec<(Family, Vec<Region>)> {
    let of = |family: Family| {
        let addresses = family.all();
        let own = regions.iter().map(|r| r.cut(Field::Src, &addresses).cut(Field::Dst, &addresses));
        (family, own.flat_map(|r| r.normal()).collect::<Vec<_>>())
    };
    Family::ALL.into_iter().map(of).filter(|(_, regions)| !regions.is_empty()).collect()
}

impl Outline {
    // What asks something of fields that are not told is only partly so.
    fn hide(&mut self, fields: &[Field]) {
        for (list, accepted) in [(&mut self.answer.accepted, true), (&mut self.answer.undecided, false)] {
            let (asking, plain): (Vec<Part>, Vec<Part>) =
                std::mem::take(list).into_iter().partition(|p| asks(&p.region, fields));
            *list = plain;
            for part in asking {
                let region = fields.iter().fold(part.region.clone(), |r, f| r.with(*f, f.all()));
                self.partly.push(Partly { region, accepted });
                let verdict = if accepted { Verdict::Accept } else { Verdict::Undecided };
                self.samples.push((verdict, part));
            }
        }
    }
}

impl Answer {
    fn is_empty(&self) -> bool {
        [&self.accepted, &self.denied, &self.undecided].iter().all(|l| l.is_empty())
    }

    fn parts(&self) -> impl Iterator<Item = (Verdict, &Part)> {
        let accepted = self.accepted.iter().map(|p| (Verdict::Accept, p));
        let denied = self.denied.iter().map(|p| (Verdict::Drop, p));
        accepted.chain(denied).chain(self.undecided.iter().map(|p| (Verdict::Undecided, p)))
    }

    fn list(&mut self, verdict: Verdict) -> &mut Vec<Part> {
        match verdict {
            Verdict::Accept => &mut self.accepted,
            Verdict::Drop => &mut self.denied,
            Verdict::Undecided => &mut self.undecided,
        }
    }

    fn add(&mut self, other: Answer) {
        self.accepted.extend(other.accepted);
        self.denied.extend(other.denied);
        self.undecided.extend(other.undecided);
        self.exhausted |= other.exhausted;
    }
}
