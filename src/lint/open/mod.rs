//! What anybody may open a connection to, through which rule, for every firewall that stands on a box.
//!
//! Asked is about packets that open a connection and come from public addresses, by any interface but the loopback: to the box itself and
//! through it, published ports and other translations included. Few questions are asked, each narrow: one source stands for all that no
//! rule tells from it ([`sources`]). A rate limit closes nothing, and whoever connects may choose the port that he comes from.
//!
//! What an interface faces is written nowhere in most dialects. An opening by a named interface therefore says by which.

pub mod extent;
pub mod facing;
pub mod finding;
pub mod groups;
pub mod rows;
pub mod sources;
pub mod words;

use crate::analysis::decide::{ByRule, Detail, Part, Question, decide_by_rule, replayed};
use crate::analysis::evaluate::{Because, Decider, Trace};
use crate::analysis::flow::boxes;
use crate::analysis::{Environment, Point, Verdict};
use crate::lint::sensitive_ports::{self, Class};
use crate::model::{Action, ChainId, Firewall, Hook, Rule, Term, TranslatedEnd, Translation};
use crate::packet::opening::{as_flow, openings, with_zero};
use crate::packet::{Family, Field, IntervalSet, Packet, Path, Region, Value, addr, interface_value};
use crate::source::Origin;
use facing::{Facing, Interfaces};
use groups::{Group, groups};
use rustc_hash::FxHashMap;
use sources::{SourceClass, classes, wide};
use std::sync::Arc;

/// Packets from anywhere that one rule lets in, or may let in.
#[derive(Debug, Clone)]
pub struct Opening {
    /// To the box itself, or through it.
    pub path: Path,
    /// The same packets the other way too: pf has one list for both.
    pub both: bool,
    /// The packets as they arrive; connection state and TCP flags left open.
    pub region: Region,
    /// Where they go after translation, where that is elsewhere: destinations and destination ports.
    pub inner: Option<Inner>,
    /// What the interfaces by which they come face.
    pub facing: Facing,
    /// Every source that is not named singly gets in.
    pub from_all: bool,
}

/// The end of a translation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Inner {
    /// Destinations.
    pub to: IntervalSet,
    /// Destination ports.
    pub ports: IntervalSet,
}

/// A rule, or a policy, with all that it opens.
#[derive(Debug, Clone)]
pub struct Cause {
    /// It; `None` = no base chain looks at these packets.
    pub decider: Option<Decider>,
    /// What it opens, the largest first.
    pub openings: Vec<Opening>,
    /// The same, as people are told it.
    pub groups: Vec<Group>,
    /// What it depends on; empty = open for certain.
    pub because: Vec<Because>,
    /// Rate limits that its packets stay below.
    pub assumed: Vec<Because>,
    /// Packets that are let in: one to a sensitive service, if it opens some, and one to another.
    pub shown: Vec<Shown>,
}

/// A packet that is let in.
#[derive(Debug, Clone)]
pub struct Shown {
    /// It.
    pub packet: Packet,
    /// The rule that translates it, where one does.
    pub translator: Option<(usize, Origin)>,
    /// The service that it reaches in the end, if that is a sensitive one: protocol and port.
    pub sensitive: Option<(u8, Value)>,
}

/// All that is open at a box.
#[derive(Debug, Default)]
pub struct Open {
    /// By rule, in the order of the files.
    pub causes: Vec<Cause>,
    /// Those who open what is listed in part only, or not at all: the least important of very many.
    pub untold: Vec<Decider>,
    /// Some questions took too long: there may be more.
    pub exhausted: bool,
}

/// Steps for all questions about a box: some tenths of a second.
const STEPS: u64 = 60_000_000;
/// Steps for the questions about single services, where those about all of them took too long.
const STEPS_AGAIN: u64 = 20_000_000;
/// Packets that are shown, one for each rule that opens something; the others have none.
const MAX_SHOWN: usize = 200;
/// Rules that are looked at for packets to show, roughly: each packet may pass all rules of its firewall.
const MAX_LOOKED_AT: usize = 1_000_000;
/// Parts of the answer to a question that are looked at.
const MAX_PARTS: usize = 100_000;
/// Ways in that the answer to a question tells, those to sensitive services first.
const MAX_WAYS: usize = 20_000;
/// Kinds of openings to few sources each that are looked at together.
const MAX_TOGETHER: usize = 1_000;
/// Boxes that one rule's packets may fall into; the others are left out.
const MAX_BOXES: usize = 200;

/// What is open at the box that has these firewalls.
pub fn open(firewalls: &[&Firewall], known: &Environment) -> Open {
    // Limits let in whoever waits, and nobody on the Internet has to forge his address.
    let environment = Environment { throttled: false, forged: false, ..known.clone() };
    let mut asker = Asker {
        point: Point { firewalls, environment: &environment },
        interfaces: Interfaces::of(firewalls),
        forwards: Family::ALL.map(|family| firewalls.iter().any(|f| forwards(f, family))),
        wires: wires(firewalls),
        asks_source_type: firewalls.iter().any(|f| asks_source_type(f)),
        room: (MAX_LOOKED_AT / firewalls.iter().map(|f| f.rule_count()).sum::<usize>().max(1))
            .clamp(3, MAX_SHOWN),
        shown: FxHashMap::default(),
        found: Vec::new(),
        steps: STEPS,
        again: STEPS_AGAIN,
        untold: Vec::new(),
        exhausted: false,
    };
    for family in Family::ALL.into_iter().filter(|family| firewalls.iter().any(|f| f.covers(*family))) {
        let classes = classes(firewalls, family);
        // Whether rules that name a source let it in too says nothing about everybody.
        let unnamed = classes.iter().filter(|c| c.sample.is_some() || classes.len() == 1);
        let all = IntervalSet::from_ranges(unnamed.flat_map(|c| c.addresses.ranges().to_vec()));
        for class in &classes {
            for path in [Path::Input, Path::Forward] {
                for region in openings(&asked(family, class, path), family) {
                    asker.ask(family, class, path, region);
                }
            }
        }
        asker.seal(&all, family);
    }
    asker.finish()
}

/// Destinations of packets that a box takes or forwards: not multicast, broadcast or loopback.
pub fn destinations(family: Family) -> IntervalSet {
    let never = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255", "::/127", "ff00::/8"];
    never.iter().filter_map(|n| addr::parse(n)).fold(family.all(), |left, n| left.minus(&n))
}

// A box that hides others behind its address forwards, whether or not it has a chain for that; so does one made for it.
fn forwards(f: &Firewall, family: Family) -> bool {
    let bases = f.base_chains(Hook::Postrouting, family).map(|b| b.chain);
    let reached = f.reached_from(bases);
    let hides = |r: &Rule| match r.action {
        Action::Translate(t) => f.translations[t.index()].end == TranslatedEnd::Source,
        _ => false,
    };
    is_pf(f) || f.chains.iter().zip(reached).any(|(c, reached)| reached && c.rules.iter().any(hides))
}

fn asks_source_type(f: &Firewall) -> bool {
    f.terms.iter().any(|t| matches!(t, Term::AddressType { field: Field::Src, .. }))
}

// All interfaces but the loopback.
fn wires(firewalls: &[&Firewall]) -> IntervalSet {
    let loopback = if firewalls.iter().any(|f| is_pf(f)) { "lo0" } else { "lo" };
    let lo = interface_value(loopback).map(IntervalSet::single).unwrap_or_default();
    Field::Iif.complement(&lo)
}

fn is_pf(f: &Firewall) -> bool {
    f.dialect.starts_with("pf") || f.dialect.starts_with("opn")
}

// What one question found: packets of one rule that go one way.
struct Found {
    path: Path,
    region: Region,
    inner: Option<Inner>,
    decider: Option<Decider>,
    because: Vec<Because>,
    assumed: Vec<Because>,
    /// All sources that the question stands for, once they are known.
    from_all: bool,
    sealed: bool,
}

// What stands in the way where a translation may lead to the box itself.
const OWN_ADDRESS: (&str, &str) =
    ("address after translation: local", "the machine's own addresses are not declared");

// Packets of a class of sources.
fn asked(family: Family, class: &SourceClass, path: Path) -> Region {
    let sources = class.sample.map_or_else(|| class.addresses.clone(), IntervalSet::single);
    path.packets(family).with(Field::Src, sources).with(Field::Dst, destinations(family))
}

// Addresses that destinations are translated to.
fn targets(firewalls: &[&Firewall]) -> IntervalSet {
    let of = |f: &Firewall| -> Vec<(Value, Value)> {
        let translations = f.translations.iter().filter(|t| t.end == TranslatedEnd::Destination && !t.netmap);
        let pool = |id| f.sets.get(id).ranges().to_vec();
        translations.flat_map(|t| t.address.into_iter().chain(t.one_of.into_iter().flat_map(pool))).collect()
    };
    coarse(IntervalSet::from_ranges(firewalls.iter().flat_map(|f| of(f))))
}

// Ranges of targets that are told apart.
const MAX_TARGETS: usize = 64;

// Where there are very many (a cluster's services), the networks that they are in: a /16 each (IPv6: a /48), or everything between them.
fn coarse(targets: IntervalSet) -> IntervalSet {
    let wide = |set: &IntervalSet, v4: u32, v6: u32| {
        let block = |(lo, hi): &(Value, Value)| {
            let bits = if addr::family(*lo) == Family::V4 { v4 } else { v6 };
            let mask = (1 << bits) - 1;
            (lo & !mask, hi | mask)
        };
        IntervalSet::from_ranges(set.ranges().iter().map(block).collect::<Vec<_>>())
    };
    let many = |set: &IntervalSet| set.ranges().len() > MAX_TARGETS;
    let sets = [(16, 80), (24, 96), (32, 125)].into_iter().map(|(v4, v6)| wide(&targets, v4, v6));
    match many(&targets) {
        true => sets.into_iter().find(|s| !many(s)).unwrap_or_default(),
        false => targets,
    }
}

struct Asker<'a> {
    point: Point<'a>,
    interfaces: Interfaces,
    /// Whether the box forwards packets of a family for certain.
    forwards: [bool; 2],
    /// Some rule asks whether the source is an address of the box.
    asks_source_type: bool,
    /// Packets that may still be shown.
    room: usize,
    /// Those that are, by the rule that lets them in.
    shown: FxHashMap<Option<(usize, Origin)>, Vec<Shown>>,
    /// Interfaces that lead somewhere.
    wires: IntervalSet,
    found: Vec<Found>,
    steps: u64,
    again: u64,
    untold: Vec<Option<Decider>>,
    exhausted: bool,
}

impl<'a> Asker<'a> {
    // Asks about packets for the box itself, or through it, of one class of sources and some protocols.
    fn ask(&mut self, family: Family, class: &SourceClass, path: Path, region: Region) {
        let region = region.cut(Field::Iif, &self.wires);
        let known = self.point.environment;
        if known.local.is_some() || self.point.firewalls.iter().any(|f| f.local.is_some()) {
            let found = self.decided(self.point, path, region);
            return self.take(&found, class, &[]);
        }
        // What is not forwarded is for an address of the box, whatever that is; a translation leads to another machine.
        let targets = targets(self.point.firewalls).intersect(&family.all());
        let strangers = class.sample.map(IntervalSet::single).unwrap_or_default();
        let own = match path {
            // Conditions on the source would take everybody for the box itself.
            Path::Input if class.sample.is_none() && self.asks_source_type => {
                let found = self.decided(self.point, path, region);
                return self.take(&found, class, &[]);
            }
            Path::Input => family.all().minus(&targets).minus(&strangers),
            _ => IntervalSet::EMPTY,
        };
        let environment = Environment { local: Some(own), ..known.clone() };
        let point = Point { environment: &environment, ..self.point };
        let found = self.decided(point, path, region.clone());
        self.take(&found, class, &[]);
        if path != Path::Input || targets.is_empty() {
            return;
        }
        // Unless it leads to the box itself after all.
        let environment = Environment { local: Some(family.all().minus(&strangers)), ..known.clone() };
        let mut home = self.decided(Point { environment: &environment, ..self.point }, path, region);
        let routed = |p: &&Part| p.because.iter().all(is_given);
        let open = found.1.accepted.iter().chain(found.1.undecided.iter().filter(routed));
        let open: Vec<Region> = open.map(|p| p.region.clone()).collect();
        home.1.undecided.clear();
        home.1.accepted.retain(|p| {
            let translated = p.translated.as_ref().and_then(|t| inner(&p.region, t)).is_some();
            translated && !Region::minus_all(vec![p.region.clone()], &open).is_empty()
        });
        self.take(&home, class, &[OWN_ADDRESS]);
    }

    // The answer; where that takes too long, for a few services at least.
    fn decided<'p>(&mut self, point: Point<'p>, path: Path, region: Region) -> (Question<'p>, ByRule) {
        let mut question = Question { point, path, region, mark: 0, delivered_to: None };
        let detail = Detail { ways: MAX_WAYS, parts: MAX_PARTS, first: sensitive_ports::by_protocol() };
        let mut answer = decide_by_rule(&question, &detail, &mut self.steps);
        if answer.exhausted {
            self.exhausted = true;
            let ports = sensitive_ports::ports(question.region.get(Field::Proto));
            question.region = question.region.with(Field::Dport, ports.clone());
            answer = match ports.is_empty() {
                true => ByRule::default(),
                false => decide_by_rule(&question, &detail, &mut self.again),
            };
            if answer.exhausted {
                answer.undecided.clear();
            }
        }
        let untold = answer.untold.iter().copied();
        let counting: Vec<_> = untold.filter(|d| d.is_none_or(|d| self.counts(&d))).collect();
        self.untold.extend(counting);
        (question, answer)
    }

    fn take(
        &mut self,
        (question, answer): &(Question<'_>, ByRule),
        class: &SourceClass,
        unless: &[(&str, &str)],
    ) {
        let family = question.region.get(Field::Dst).first().map_or(Family::V4, addr::family);
        for part in answer.accepted.iter().chain(&answer.undecided) {
            let decider = part.decided_by.iter().find(|d| d.verdict == Verdict::Accept).copied();
            let decider = decider.filter(|d| self.counts(d));
            let inner = part.translated.as_ref().and_then(|t| inner(&part.region, t));
            if question.path == Path::Forward
                && decider.is_none()
                && inner.is_none()
                && !self.forwards[family as usize]
            {
                continue;
            }
            let mut because: Vec<Because> = part.because.iter().filter(|b| !is_given(b)).cloned().collect();
            because.extend(unless.iter().map(|(text, why)| Because {
                firewall: decider.map_or(0, |d| d.firewall),
                text: (*text).to_owned(),
                why: (*why).to_owned(),
                origin: decider.map_or_else(Origin::default, |d| d.origin),
                fact: None,
            }));
            let region = match class.sample {
                Some(_) => part.region.with(Field::Src, class.addresses.clone()),
                None => part.region.clone(),
            };
            let mut region = as_flow(&region, family);
            // The address that stands for the sources was no address of the box.
            let to = region.get(Field::Dst);
            if let Some(sample) = class.sample.filter(|_| to.count() > destinations(family).count() / 2) {
                region = region.with(Field::Dst, to.union(&IntervalSet::single(sample)));
            }
            if because.is_empty() {
                self.show(question, part, (rule(&decider), &inner));
            }
            self.found.push(Found {
                path: question.path,
                region,
                inner,
                decider,
                because,
                assumed: part.assumed.clone(),
                from_all: false,
                sealed: false,
            });
        }
    }

    // Whether to have been let through there says that a packet is let in.
    fn counts(&self, d: &Decider) -> bool {
        d.hook.filters() || is_pf(self.point.firewalls[d.firewall])
    }

    // Shows a packet that a rule lets in, unless one that is no better is known.
    fn show(
        &mut self,
        question: &Question<'_>,
        part: &Part,
        (rule, inner): (Option<(usize, Origin)>, &Option<Inner>),
    ) {
        if self.room == 0 {
            return;
        }
        let known = self.shown.get(&rule).map_or(&[][..], |k| k);
        let ports = inner.as_ref().map_or(part.region.get(Field::Dport), |i| &i.ports);
        // Of all ports together none says more than another; of what is neither sensitive nor nearly everything there is no finding.
        let chosen = ports.count() <= Field::Dport.all().count() / 2;
        let hits = |class: &Class| {
            let hit = sensitive_ports::of(*class).find(|p| {
                part.region.get(Field::Proto).contains(p.protocol.into()) && p.ports().intersects(ports)
            })?;
            let shown = |s: &Shown| s.sensitive.is_some_and(|(protocol, port)| class.holds(protocol, port));
            Some((hit, known.iter().any(shown)))
        };
        let worst = Class::ALL.iter().find_map(hits);
        let mut one = part.clone();
        let sensitive = match worst.filter(|_| chosen) {
            Some((hit, false)) if inner.is_none() => {
                one.region = one.region.protocol(hit.protocol).cut(Field::Dport, &hit.ports());
                one.region.get(Field::Dport).first().map(|port| (hit.protocol, port))
            }
            Some((hit, false)) => hit.ports().intersect(ports).first().map(|port| (hit.protocol, port)),
            None if !chosen && known.is_empty() => None,
            _ => return,
        };
        let Some((packet, trace)) = replayed(question, &one) else { return };
        // A ruleset on which the evaluator gives up is too much for more of them.
        self.room = if trace.exhausted { 0 } else { self.room.saturating_sub(1) };
        let translator = self.translator(&trace);
        self.shown.entry(rule).or_default().push(Shown { packet, translator, sensitive });
    }

    // The rule that gave the packet another destination.
    fn translator(&self, trace: &Trace) -> Option<(usize, Origin)> {
        let translates = |f: &Firewall, origin: Origin, chain| translation(f, origin, chain).is_some();
        let step =
            trace.steps.iter().find(|s| translates(self.point.firewalls[s.firewall], s.origin, s.chain))?;
        Some((step.firewall, step.origin))
    }

    // All classes of a family have been asked about: what all of them share is open to everybody.
    fn seal(&mut self, all: &IntervalSet, family: Family) {
        type Key = (Path, Option<Decider>, Vec<Because>, Option<Inner>);
        let (done, new): (Vec<Found>, Vec<Found>) =
            std::mem::take(&mut self.found).into_iter().partition(|f| f.sealed);
        let mut index: FxHashMap<Key, usize> = FxHashMap::default();
        let mut groups: Vec<Vec<Found>> = Vec::new();
        for f in new {
            let key = (f.path, f.decider, f.because.clone(), f.inner.clone());
            let at = *index.entry(key).or_insert(groups.len());
            match groups.get_mut(at) {
                Some(group) => group.push(f),
                None => groups.push(vec![f]),
            }
        }
        let mut joined: Vec<Found> = Vec::new();
        for group in groups {
            let regions: Vec<Region> = group.iter().map(|f| f.region.clone()).collect();
            let assumed = group.iter().find(|f| !f.assumed.is_empty()).map(|f| f.assumed.clone());
            let one = &group[0];
            for (region, _) in boxes(&regions, one.path).into_iter().take(MAX_BOXES) {
                joined.push(Found {
                    path: one.path,
                    from_all: region.get(Field::Src).covers(all),
                    region,
                    inner: one.inner.clone(),
                    decider: one.decider,
                    because: one.because.clone(),
                    assumed: assumed.clone().unwrap_or_default(),
                    sealed: true,
                });
            }
        }
        let (mut many, few): (Vec<Found>, Vec<Found>) =
            joined.into_iter().partition(|f| f.region.get(Field::Src).count() > wide(family));
        many.extend(together(few, family));
        self.found = done;
        self.found.append(&mut many);
    }

    fn finish(self) -> Open {
        let mut causes: Vec<Cause> = Vec::new();
        type Key = (Option<(usize, Origin)>, Vec<Because>);
        let mut index: FxHashMap<Key, usize> = FxHashMap::default();
        for f in self.found {
            let facing = self.interfaces.facing(f.path, f.region.get(Field::Iif));
            let opening = Opening {
                path: f.path,
                both: false,
                region: f.region,
                inner: f.inner,
                facing,
                from_all: f.from_all,
            };
            let at = *index.entry((rule(&f.decider), f.because.clone())).or_insert(causes.len());
            match causes.get_mut(at) {
                Some(c) => c.openings.push(opening),
                None => causes.push(Cause {
                    decider: f.decider,
                    openings: vec![opening],
                    groups: Vec::new(),
                    because: f.because,
                    assumed: f.assumed,
                    shown: Vec::new(),
                }),
            }
        }
        causes.iter_mut().for_each(Cause::join_ways);
        causes.iter_mut().for_each(Cause::join_ways);
        // What a product adds by itself for its inside networks, and neighbour discovery, opens nothing that anybody chose.
        for c in causes.iter_mut().filter(|c| c.decider.is_some_and(|d| d.note.is_some())) {
            c.openings.retain(|o| {
                let reach = o.reach();
                o.facing != Facing::Inside && !(reach.tcp.is_empty() && reach.udp.is_empty())
            });
        }
        causes.retain(|c| !c.openings.is_empty());
        for c in &mut causes {
            c.openings.sort_by(|a, b| b.region.weight().total_cmp(&a.region.weight()));
            c.groups = groups(&c.openings);
            let known = self.shown.get(&rule(&c.decider)).filter(|_| c.because.is_empty());
            let own = |s: &&Shown| c.openings.iter().any(|o| o.region.contains(&s.packet));
            c.shown = known.into_iter().flatten().filter(own).cloned().collect();
        }
        causes.sort_by_key(|c| (rule(&c.decider), !c.because.is_empty()));
        let mut untold: Vec<Decider> = self.untold.into_iter().flatten().collect();
        untold.sort_by_key(|d| (d.firewall, d.origin));
        untold.dedup_by_key(|d| (d.firewall, d.origin));
        Open { causes, untold, exhausted: self.exhausted }
    }
}

// Of openings to few sources each, those that belong to an opening to many.
fn together(few: Vec<Found>, family: Family) -> Vec<Found> {
    const OTHERS: [Field; 4] = [Field::Iif, Field::Dst, Field::Proto, Field::Dport];
    let union = |found: &[usize]| {
        let ranges = found.iter().flat_map(|i| few[*i].region.get(Field::Src).ranges().to_vec());
        IntervalSet::from_ranges(ranges)
    };
    let mut alike: FxHashMap<(Path, [&IntervalSet; 4]), Vec<usize>> = FxHashMap::default();
    for (i, f) in few.iter().enumerate() {
        alike.entry((f.path, OTHERS.map(|o| f.region.get(o)))).or_default().push(i);
    }
    let mut keep = vec![false; few.len()];
    // Of very many kinds it is only looked whether all of them together are many.
    let all: Vec<usize> = (0..few.len()).collect();
    if union(&all).count() > wide(family) {
        let kinds: Vec<_> = alike.into_iter().map(|(kind, found)| (kind, union(&found), found)).collect();
        for ((path, asked), own, found) in &kinds {
            let meets = |(p, a): &(Path, [&IntervalSet; 4])| {
                p == path && a.iter().zip(asked).all(|(x, y)| x.intersects(y))
            };
            let with = kinds.iter().filter(|k| k.0 != (*path, *asked) && meets(&k.0));
            let many = kinds.len() > MAX_TOGETHER
                || with.fold(own.clone(), |sum, k| sum.union(&k.1)).count() > wide(family);
            found.iter().for_each(|i| keep[*i] = many);
        }
    }
    few.into_iter().zip(keep).filter_map(|(f, keep)| keep.then_some(f)).collect()
}

// A rule that was written once may have become several.
fn rule(decider: &Option<Decider>) -> Option<(usize, Origin)> {
    decider.map(|d| (d.firewall, d.origin))
}

impl Cause {
    // pf has one list for both ways: what reaches the box and what passes it are told together.
    fn join_ways(&mut self) {
        let mut out: Vec<Opening> = Vec::with_capacity(self.openings.len());
        let mut known: FxHashMap<_, Vec<usize>> = FxHashMap::default();
        for o in std::mem::take(&mut self.openings) {
            let shown = [Field::Iif, Field::Dst, Field::Proto, Field::Sport, Field::Dport, Field::Icmp];
            let alike =
                known.entry((shown.map(|f| Arc::clone(o.region.shared(f))), o.inner.clone())).or_default();
            match alike.iter().find(|i| out[**i].path != o.path) {
                Some(twin) => (out[*twin].path, out[*twin].both) = (Path::Forward, true),
                None => {
                    alike.push(out.len());
                    out.push(o);
                }
            }
        }
        self.openings = out;
    }
}

// The translation of a destination that a rule makes.
fn translation(f: &Firewall, origin: Origin, chain: ChainId) -> Option<&Translation> {
    f.chain(chain).rules.iter().find_map(|r| match r.action {
        Action::Translate(t) if r.origin == origin => {
            let t = &f.translations[t.index()];
            (t.end == TranslatedEnd::Destination && !t.identity).then_some(t)
        }
        _ => None,
    })
}

// What is taken for given: routing sends a translated packet by the interface that the rule for it names, and addresses that nobody may use
// (pfSense's table of bogons, downloaded each month) are nobody's.
fn is_given(b: &Because) -> bool {
    b.is_output_interface() || b.text.ends_with("table bogons") || b.text.ends_with("table bogonsv6")
}

// What a translation makes of destination and port; `None` where it changes neither.
fn inner(arrived: &Region, seen: &Region) -> Option<Inner> {
    let of = |r: &Region| Inner { to: r.get(Field::Dst).clone(), ports: with_zero(r.get(Field::Dport)) };
    Some(of(seen)).filter(|i| *i != of(arrived))
}

impl Opening {
    /// The family of the packets.
    pub fn family(&self) -> Family {
        self.region.get(Field::Dst).first().map_or(Family::V4, addr::family)
    }
}
