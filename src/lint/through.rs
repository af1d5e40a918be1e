//! What the rules of a gateway let through beyond what is needed.

use super::narrowed::{Wide, proven};
use super::open::destinations;
use super::registry::{Check, Deployed};
use crate::analysis::Point;
use crate::analysis::decide::{ByRule, Detail, Part, Question, decide_by_rule};
use crate::analysis::evaluate::Decider;
use crate::analysis::flow::boxes;
use crate::catalogue::Catalogue;
use crate::catalogue::resolve::{Applies, ResolvedFlow};
use crate::compliance::path::{EnforcementPoint, interface_set, possible};
use crate::evidence::near::few;
use crate::finding::{self, Finding};
use crate::packet::opening::{as_flow, openings};
use crate::packet::{Family, Field, IntervalSet, Path, Region};
use crate::source::Origin;
use std::collections::{BTreeMap, BTreeSet};

/// Rules of a gateway that are told, those that let through most beyond.
const MAX_RULES: usize = 40;
/// Steps for the questions about a machine: some tenths of a second.
pub const STEPS: u64 = 6_000_000;
/// Ways through, and parts of them, that are looked at.
pub const DETAIL: Detail<'_> = Detail { ways: 2_000, parts: 20_000, first: &[] };
/// Parts that what a rule lets through beyond may fall into; a rule with more is not told.
const MAX_PARTS: usize = 2_000;
/// Flows that a finding shows.
const MAX_SHOWN: usize = 8;

// A rule, with what it lets through and what of it is needed: packets as they arrive.
struct Opening {
    decider: Decider,
    accepted: Vec<Region>,
    needed: Vec<Region>,
}

/// A finding for each rule of a gateway, given by its number, that lets through more than is needed, the widest first.
pub fn findings(check: &'static Check, deployed: &Deployed<'_>, gateway: usize) -> Vec<Finding> {
    let gateway = &deployed.points.gateways[gateway];
    let mut wanted = needed(deployed.catalogue, deployed.flows, gateway);
    let passes = |r: &&Region| gateway.separates(r.get(Field::Src), r.get(Field::Dst));
    wanted.extend(deployed.seen.iter().filter(passes).cloned());
    // Nobody knows what a gateway is for through which nothing is needed.
    match wanted.is_empty() || gateway.host.is_empty() {
        true => Vec::new(),
        false => told(check, gateway, &wanted),
    }
}

// The first packets of all that the catalogue wants to pass a gateway.
fn needed(catalogue: &Catalogue, flows: &[ResolvedFlow], gateway: &EnforcementPoint<'_>) -> Vec<Region> {
    let mut out = Vec::new();
    let wanted = flows.iter().filter(|f| f.applies == Applies::Yes);
    for flow in wanted.filter(|f| catalogue.requirements[f.requirement].kind.wants_passage()) {
        for family in Family::ALL {
            let (src, dst) = (possible(&flow.source, family), possible(&flow.destination, family));
            let mut region = Region::all(family).with(Field::Src, src).with(Field::Dst, dst);
            if let Some(p) = flow.protocol {
                region = region.protocol(p).cut(Field::Dport, &flow.ports);
            }
            let passes = gateway.separates(region.get(Field::Src), region.get(Field::Dst));
            if passes && !region.is_empty() && !out.contains(&region) {
                out.push(region);
            }
        }
    }
    out
}

fn told(check: &'static Check, gateway: &EnforcementPoint<'_>, wanted: &[Region]) -> Vec<Finding> {
    let (openings, mut missing) = collect(gateway, wanted);
    let mut ranked: Vec<(f64, Vec<Region>, Opening)> = Vec::new();
    for opening in openings {
        match opening.beyond() {
            Some(beyond) if beyond.is_empty() => {}
            Some(beyond) => ranked.push((beyond.iter().map(Region::weight).sum(), beyond, opening)),
            None => _ = missing.rules.insert((opening.decider.firewall, opening.decider.origin)),
        }
    }
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.2.decider.origin.cmp(&b.2.decider.origin)));
    let all = ranked.len();
    let mut out: Vec<Finding> = Vec::new();
    for (i, (_, beyond, opening)) in ranked.into_iter().take(MAX_RULES).enumerate() {
        let mut f = opening.finding(check, gateway, &beyond);
        if all > 1 {
            f.details.push(("rank".to_owned(), format!("{} of {all}, by what is beyond", i + 1)));
        }
        if i == 0 && all > MAX_RULES {
            let less = format!("{} rules that let through less beyond", all - MAX_RULES);
            f.details.push(("left out".to_owned(), less));
        }
        if i == 0 {
            f.details.extend(missing.words());
        }
        let firewall = gateway.host[opening.decider.firewall];
        let wide = Wide {
            firewall,
            environment: &gateway.environment,
            path: Path::Forward,
            decider: &opening.decider,
            needed: &opening.needed,
        };
        f.fix = if i < proven(firewall) { wide.narrowed().map(Box::new) } else { None };
        out.push(f);
    }
    out
}

/// What is not known of the rules of a machine.
#[derive(Default)]
pub struct Missing {
    /// There may be more rules.
    pub exhausted: bool,
    /// Rules of which not all is told: it falls into too many parts.
    pub rules: BTreeSet<(usize, Origin)>,
}

impl Missing {
    /// Takes in what an answer does not tell.
    pub fn add(&mut self, answer: &ByRule) {
        self.exhausted |= answer.exhausted;
        self.rules.extend(answer.untold.iter().flatten().map(|d| (d.firewall, d.origin)));
    }

    /// In words, as details of a finding.
    pub fn words(&self) -> Vec<(String, String)> {
        let undecided = self.exhausted.then(|| "other rules too: too many cases".to_owned());
        let parts = match self.rules.len() {
            0 => None,
            1 => Some("some of what one rule lets pass, which falls into many parts".to_owned()),
            n => Some(format!("some of what {n} rules let pass, which falls into many parts")),
        };
        let words = [("not decided", undecided), ("left out", parts)];
        words.into_iter().filter_map(|(word, text)| Some((word.to_owned(), text?))).collect()
    }
}

// What each rule lets through, and what of it is needed; what of it could not be told.
fn collect(gateway: &EnforcementPoint<'_>, wanted: &[Region]) -> (Vec<Opening>, Missing) {
    let mut found: BTreeMap<(usize, Origin), Opening> = BTreeMap::new();
    let (mut steps, mut missing) = (STEPS, Missing::default());
    let own = gateway.environment.local.clone().unwrap_or_default();
    let point = Point { firewalls: &gateway.host, environment: &gateway.environment };
    for family in Family::ALL.into_iter().filter(|f| gateway.host.iter().any(|h| h.covers(*f))) {
        let packets = passing(gateway, family, &own);
        for region in packets.iter().flat_map(|r| openings(r, family)) {
            let question = Question { point, path: Path::Forward, region, mark: 0, delivered_to: None };
            let answer = decide_by_rule(&question, &DETAIL, &mut steps);
            missing.add(&answer);
            // What is for the gateway itself passes it only if it is sent on.
            let passes = |p: &Part| p.translated.is_some() || !own.covers(p.region.get(Field::Dst));
            for part in answer.accepted.into_iter().filter(passes) {
                let Some(decider) = part.decided_by.iter().find(|d| counts(gateway, d)).copied() else {
                    continue;
                };
                let entry = found.entry((decider.firewall, decider.origin)).or_insert_with(|| Opening {
                    decider,
                    accepted: Vec::new(),
                    needed: Vec::new(),
                });
                entry.needed.extend(used(&part, wanted, family));
                entry.accepted.push(as_flow(&part.region, family));
            }
        }
    }
    (found.into_values().collect(), missing)
}

// The packets that may pass a gateway: from the addresses behind one interface to those behind another, and to its own, from where they may be
// sent on. All, where it is not known what is behind its interfaces.
fn passing(gateway: &EnforcementPoint<'_>, family: Family, own: &IntervalSet) -> Vec<Region> {
    let hosts = destinations(family);
    let all =
        Path::Forward.packets(family).with(Field::Src, hosts.minus(own)).with(Field::Dst, hosts.minus(own));
    let home = all.with(Field::Dst, hosts.intersect(own));
    let mut out = Vec::new();
    for (into, senders) in &gateway.behind {
        let on = |r: &Region| {
            r.cut(Field::Src, senders).cut(Field::Iif, &interface_set(Field::Iif, std::slice::from_ref(into)))
        };
        for (by, receivers) in gateway.behind.iter().filter(|(by, _)| by != into) {
            let oif = interface_set(Field::Oif, std::slice::from_ref(by));
            out.push(on(&all).cut(Field::Dst, receivers).cut(Field::Oif, &oif));
        }
        out.push(on(&home));
    }
    if gateway.behind.is_empty() {
        out.extend([all, home]);
    }
    out.retain(|r| !r.is_empty());
    out
}

// A rule that somebody wrote, where packets are filtered; pf does that before they are routed.
fn counts(gateway: &EnforcementPoint<'_>, d: &Decider) -> bool {
    let dialect = gateway.host[d.firewall].dialect;
    let filters = d.hook.filters() || dialect.starts_with("pf") || dialect.starts_with("opn");
    d.rule.is_some() && d.note.is_none() && filters
}

// What of a part is needed. A flow is known by where its packets get in the end.
fn used(part: &Part, wanted: &[Region], family: Family) -> Vec<Region> {
    let arrived = as_flow(&part.region, family);
    let reached = part.translated.as_ref().map(|t| as_flow(t, family));
    let needed = |w: &Region| match &reached {
        None => w.intersect(&arrived),
        // Who is sent on is told by the new destination; which of the packets that were sent to the old one that is, is not.
        Some(to) => {
            let sent = to.intersect(w);
            let source = w.get(Field::Src);
            if sent.is_empty() { sent } else { arrived.cut(Field::Src, source) }
        }
    };
    wanted.iter().map(needed).filter(|r| !r.is_empty()).collect()
}

impl Opening {
    // What nothing needs, the largest first; `None` if it falls into too many parts.
    fn beyond(&self) -> Option<Vec<Region>> {
        let mut left: Vec<Region> = self.accepted.iter().flat_map(Region::normal).collect();
        for needed in self.needed.iter().flat_map(Region::normal) {
            left = Region::minus_all(left, &[needed]);
            if left.len() > MAX_PARTS {
                return None;
            }
        }
        Some(boxes(&left, Path::Forward).into_iter().map(|(region, _)| region).collect())
    }

    fn finding(&self, check: &'static Check, gateway: &EnforcementPoint<'_>, beyond: &[Region]) -> Finding {
        let flows = |regions: &[Region]| {
            boxes(regions, Path::Forward).into_iter().map(|(_, flow)| flow.to_string()).collect::<Vec<_>>()
        };
        let (more, used) = (flows(beyond), flows(&self.needed));
        let message = format!("lets through {} more than is needed: {}", gateway.name, few(&more));
        let location = gateway.host[self.decider.firewall].locate(self.decider.origin);
        let mut f = check.about(gateway.name.clone(), location, message, "wider than needed");
        f.extent = beyond.iter().map(|r| finding::Part::certain(r.clone(), "")).collect();
        for (word, flows) in [("needed", used), ("beyond", more)] {
            f.details.extend(flows.into_iter().take(MAX_SHOWN).map(|flow| (word.to_owned(), flow)));
        }
        f
    }
}
