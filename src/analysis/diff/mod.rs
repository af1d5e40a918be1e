//! What a change to a firewall newly lets through and newly stops.
//!
//! First the rules of both sides are laid beside each other (`align`); packets fare otherwise only if they may meet a rule that one side
//! alone has (`extent`). Only for those both sides are decided, and what came of it is compared (`compare`): the work is in
//! proportion to the change.
//!
//! A condition that is not known and has the same text on both sides is taken to have the same truth value on both: where the verdicts depend on it,
//! they are compared for either value. Conditions that have a truth value of their own at each evaluation count as the same only in rules that
//! stand on both sides, and only while nothing that writes their lists is changed.

mod align;
mod compare;
mod extent;
mod rewrite;
mod search;
mod sequence;

use super::evaluate::{Because, Decider};
use super::{Environment, Verdict};
use crate::model::{ChainId, Firewall, Hook, Term};
use crate::packet::{ConnState, Family, Field, IntervalSet, Packet, Path, Region, interface_value, public};
use align::{Alignment, Differing};
use extent::{Asked, Extents};
use std::collections::{BTreeMap, BTreeSet};

// Indices of the two sides.
const OLD: usize = 0;
const NEW: usize = 1;

/// What a change does.
#[derive(Debug, Default)]
pub struct Difference {
    /// Parts of the packets that fare otherwise, or may; no packet of one path, family and group is in two of them, but for those that are
    /// told in part.
    pub changes: Vec<Change>,
    /// What was not compared, in words.
    pub not_compared: Vec<String>,
    /// Every witness was decided by the one-packet evaluator as told here; anything else is an internal error.
    pub agreed: bool,
    /// Some rule depends on a rate limit, so that the assumption about them matters.
    pub limits: bool,
}

/// What becomes of some packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Stopped for certain, now let through for certain.
    Accepted,
    /// Let through for certain, now stopped for certain.
    Stopped,
    /// Let through as before, but with other addresses or ports than before.
    Translated,
    /// Let through as before, but tracked or not otherwise than before: answers are judged differently.
    Tracked,
    /// Perhaps otherwise than before; see [`May`].
    Undecided,
}

/// What may become of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum May {
    /// They may newly be let through.
    Accept,
    /// They may newly be stopped.
    Stop,
    /// One or the other, or sent elsewhere.
    Either,
}

/// Packets that share a fate before, and one after.
#[derive(Debug, Clone)]
pub struct Change {
    /// What becomes of them.
    pub kind: Kind,
    /// Undecided: what may.
    pub may: Option<May>,
    /// The way that they take.
    pub path: Path,
    /// At enforcement points to which this group is attached, and no other one; `None` = at the point asked for.
    pub group: Option<String>,
    /// The packets, of one family, as they arrive.
    pub region: Region,
    /// Where there are too many to tell them apart: only some of the packets fare so, and these do.
    pub partly: Option<Region>,
    /// Before, and after.
    pub sides: [Fate; 2],
    /// Undecided: what it depends on, with the side whose rule asks (0 = old).
    pub because: Vec<(usize, Because)>,
    /// Packets from the Internet may newly come in.
    pub exposure: bool,
    /// One of the packets; `None` where there are too many changes to look for one.
    pub witness: Option<Packet>,
    /// What the one-packet evaluator says of the witness, before and after. Of what is undecided as a whole, it may be certain of this packet.
    pub replayed: Option<[Verdict; 2]>,
}

/// What one side does with packets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fate {
    /// Verdict.
    pub verdict: Verdict,
    /// What decides; `None` = no chain looks at them.
    pub decided_by: Option<Decider>,
    /// Where packets go after a translation, if it matters.
    pub translated: Option<Region>,
}

/// Compares two firewalls. Without an interface's groups in the environment, each group is asked for alone: what an interface with
/// several of them newly lets through, one of them does.
pub fn diff(old: &Firewall, new: &Firewall, environment: &Environment) -> Difference {
    let sides = [old, new];
    let mut difference = Difference { agreed: true, ..Difference::default() };
    let Some(paths) = paths(sides) else {
        difference.not_compared.push("one side is a machine, the other a cloud interface".to_owned());
        return difference;
    };
    let mut families = Vec::new();
    for family in Family::ALL {
        match sides.map(|f| f.covers(family)) {
            [true, true] => families.push(family),
            [false, false] => {}
            // One file is about the other family alone, and the other has no rule for this one: nobody says anything about it.
            known if known.iter().zip(sides).all(|(known, f)| !known || !says(f, family)) => {}
            [told, _] => difference.not_compared.push(format!(
                "only the {} side covers IPv{}",
                if told { "old" } else { "new" },
                family.number()
            )),
        }
    }
    let mut alignment = Alignment::of(sides);
    if old.local != new.local {
        // Tests of local addresses, and translations, may mean something else.
        let hooks = sides.iter().flat_map(|f| &f.base_chains).map(|b| b.hook);
        alignment.whole.extend(hooks);
    }
    difference.not_compared.extend(other_sets(sides, &alignment));
    let extents = Extents::new(sides, &paths);
    let asked = asked(sides, &alignment, &extents, &families, environment);
    let doubts = rewrite::doubts(sides, &alignment, environment);
    let samples = extents.samples(&alignment, &families);
    let mut comparison = compare::Comparison::new(sides, environment, &alignment, doubts, samples);
    for ((group, path, _), regions) in asked {
        comparison.group(group, path);
        for region in regions {
            comparison.region(&region);
        }
    }
    comparison.finish(&mut difference);
    difference.limits = sides
        .iter()
        .any(|f| f.conditions.iter().any(|c| matches!(c.kind, crate::model::ConditionKind::Rate { .. })));
    difference
}

// Sets that rules of one side alone ask for and that change at run time: what they hold then is not in the files.
fn other_sets(sides: [&Firewall; 2], alignment: &Alignment) -> Option<String> {
    let [old, new] = [OLD, NEW].map(|side| {
        let differing = alignment.differing.iter().filter(|d| d.side == side);
        let rules = differing.map(|d| &sides[side].chain(d.chain).rules[d.rule]);
        rules.flat_map(|r| sides[side].run_time_sets(r)).map(|s| &s.name).collect::<BTreeSet<_>>()
    });
    let names: Vec<&str> = old.symmetric_difference(&new).map(|n| n.as_str()).collect();
    (!names.is_empty()).then(|| {
        let them = if names.len() == 1 { "the set" } else { "the sets" };
        format!("what {them} {} may hold at run time beside what the files list", names.join(", "))
    })
}

// Whether some chain looks at packets of a family.
fn says(f: &Firewall, family: Family) -> bool {
    f.base_chains.iter().any(|b| b.families.contains(&family))
}

// A cloud interface knows two paths, a box three; `None` if the sides are of different kinds.
fn paths(sides: [&Firewall; 2]) -> Option<Vec<Path>> {
    let hooks = sides.map(|f| f.base_chains.iter().map(|b| b.hook).collect::<BTreeSet<_>>());
    let cloud = hooks.each_ref().map(|h| h.contains(&Hook::Ingress) || h.contains(&Hook::Egress));
    if cloud[OLD] != cloud[NEW] && hooks.iter().all(|h| !h.is_empty()) {
        return None;
    }
    Some(match cloud.contains(&true) {
        true => vec![Path::Ingress, Path::Egress],
        false => vec![Path::Input, Path::Output, Path::Forward],
    })
}

fn asked(
    sides: [&Firewall; 2],
    alignment: &Alignment,
    extents: &Extents<'_>,
    families: &[Family],
    environment: &Environment,
) -> Asked {
    let by_group = environment.labels.is_none() && sides.iter().any(|f| !f.labels.is_empty());
    if !by_group {
        return extents.of(alignment, families, &|_| vec![None], &[None]);
    }
    let names: BTreeSet<&String> = sides.iter().flat_map(|f| &f.labels).collect();
    let everyone: Vec<Option<String>> = names.into_iter().map(|n| Some(n.clone())).collect();
    let guards = sides.map(guards);
    let labels = |d: &Differing| {
        let f = sides[d.side];
        let own: BTreeSet<&String> = labels_of(f, &f.chain(d.chain).rules[d.rule]).collect();
        let found = match (own.is_empty(), guards[d.side].get(&d.chain)) {
            (false, _) => own,
            (true, Some(Some(g))) => g.clone(),
            (true, _) => return everyone.clone(),
        };
        found.into_iter().map(|l| Some(l.clone())).collect()
    };
    let mut asked = extents.of(alignment, families, &labels, &everyone);
    let moved = rewired(sides);
    for (path, own) in [(Path::Ingress, Field::Dst), (Path::Egress, Field::Src)] {
        for family in families {
            let region = path.packets(*family).cut(own, &moved);
            if !region.is_empty() {
                asked.insert((None, path, *family), vec![region]);
            }
        }
    }
    asked
}

fn labels_of<'f>(f: &'f Firewall, rule: &crate::model::Rule) -> impl Iterator<Item = &'f String> {
    f.terms(rule.terms).iter().filter_map(|t| match t {
        Term::Label(l) => Some(&f.labels[l.index()]),
        _ => None,
    })
}

// The labels that lead to each chain; `None` where a way without labels does.
fn guards(f: &Firewall) -> BTreeMap<ChainId, Option<BTreeSet<&String>>> {
    use crate::model::Action;
    let mut out: BTreeMap<ChainId, Option<BTreeSet<&String>>> = BTreeMap::new();
    for rule in f.chains.iter().flat_map(|c| &c.rules) {
        let (Action::Jump(to) | Action::Goto(to)) = rule.action else { continue };
        let labels: BTreeSet<&String> = labels_of(f, rule).collect();
        let known = out.entry(to).or_insert_with(|| Some(BTreeSet::new()));
        match (known, labels.is_empty()) {
            (Some(k), false) => k.extend(labels),
            (k, _) => *k = None,
        }
    }
    out
}

// Addresses of points whose groups are told otherwise than before.
fn rewired(sides: [&Firewall; 2]) -> IntervalSet {
    let names: BTreeSet<&String> = sides.iter().flat_map(|f| &f.labels).collect();
    let mut out = IntervalSet::EMPTY;
    if sides.iter().all(|f| f.carriers.is_empty()) {
        return out;
    }
    let differs = |a: &IntervalSet, b: &IntervalSet| a.minus(b).union(&b.minus(a));
    for name in names {
        let [a, b] = sides.map(|f| match f.labels.iter().position(|l| l == name) {
            Some(i) => f.carriers(crate::model::LabelId(i as u32)),
            None => Default::default(),
        });
        // A group that is attached nowhere on one side, and that the other does not know, changes nobody.
        out = out.union(&differs(&a.0, &b.0));
    }
    out.union(&differs(&sides[OLD].points, &sides[NEW].points))
}

impl Change {
    // Whether it may newly let packets in that anyone on the Internet can send. Nobody there has an address of the box's own.
    fn exposes(&self, own: &IntervalSet) -> bool {
        let lets_in = match (self.kind, self.may) {
            (Kind::Accepted | Kind::Translated, _) => true,
            (Kind::Undecided, may) => may != Some(May::Stop),
            _ => false,
        };
        let inwards = matches!(self.path, Path::Input | Path::Forward | Path::Ingress);
        let anyone: IntervalSet = [ConnState::New, ConnState::Invalid, ConnState::Untracked]
            .map(ConnState::value)
            .into_iter()
            .collect();
        let lo = IntervalSet::single(interface_value("lo").unwrap_or(0));
        lets_in
            && inwards
            && self.region.get(Field::Src).minus(own).intersects(public::with_documentation())
            && self.region.get(Field::State).intersects(&anyone)
            && !lo.covers(self.region.get(Field::Iif))
    }
}
