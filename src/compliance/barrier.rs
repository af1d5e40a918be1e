//! Flows that must be kept out: each has to be stopped at one place of its path, for certain.

use super::conversation::{Case, Conversation, Judged};
use super::path::{EnforcementPoint, EnforcementPoints, Goal, Hop, Stop};
use super::row::Row;
use super::walk::{Stretch, Walked, passing};
use crate::catalogue::resolve::{Addresses, ResolvedFlow};
use crate::catalogue::{Breach, Requirement as Wanted};
use crate::finding::{Related, State};
use crate::packet::{Family, Field, IntervalSet, Region, proto};
use rustc_hash::FxHashSet;

// A box that lets something through, as the row about it has it.
struct Open<'a> {
    hop: Hop<'a>,
    passed: Vec<Case>,
    undecided: Vec<Case>,
}

// Conversations that nothing has stopped so far, and the box that says so: for what is certain the last one that let them through, else the first
// one at which they became uncertain.
#[derive(Clone)]
struct Flowing {
    stretch: Stretch,
    // Box by its number among those that let something through, and what it says.
    told: Option<(usize, Case)>,
}

/// Asks about one flow in one family: one row, or one for each box that may let the last of it through.
pub fn barrier<'a>(
    wanted: &'a Wanted,
    flow: &'a ResolvedFlow,
    family: Family,
    points: &'a EnforcementPoints<'a>,
) -> Vec<Row<'a>> {
    let base = Conversation::of(flow, None, family, false);
    let row = |state, hop: Option<Hop<'a>>, judged, remark: String| Row {
        state,
        hop,
        judged,
        remark,
        ..Row::blank(wanted, flow, family, base.clone())
    };
    let path = points.path(flow, family);
    if !points.covers(flow, family) {
        let name = &flow.subject_end().name;
        let why = match path.is_empty() {
            true => format!("no firewall file of {name} was given"),
            false => format!("no file of {name} covers IPv{}", family.number()),
        };
        return vec![row(State::NotChecked, None, Judged::default(), why)];
    }
    let goal = points.goal(flow);
    let allowed = if wanted.except_wanted { asked_for(flow) } else { Vec::new() };
    let begin = |c: &Conversation| {
        Stretch::begin(c).into_iter().map(|stretch| Flowing { stretch, told: None }).collect::<Vec<_>>()
    };
    let mut flowing = begin(&base);
    if flow.destination.addresses.known().is_some() {
        let more = Region::minus_all(published(&path, &base, &goal), &base.region().normal());
        flowing.extend(more.iter().flat_map(|r| begin(&base.within(r))));
    }
    let mut open: Vec<Open<'a>> = Vec::new();
    let mut stopped: Vec<Case> = Vec::new();
    for stop in &path {
        let arrived = arriving(stop, flowing, &base, flow);
        let stretches: Vec<Stretch> = arrived.iter().map(|f| f.stretch.clone()).collect();
        let mut walked = passing(stop, &stretches, family);
        walked.retain(|w| w.hop.covers(family));
        Walked::judge_all(&mut walked, &goal, false);
        let first = walked.first().map(|w| w.hop.clone());
        stopped.extend(walked.iter().flat_map(|w| &w.parts).flat_map(|p| p.judged.stopped.iter().cloned()));
        flowing = onward(&arrived, walked, &allowed, &mut open);
        if flowing.is_empty() {
            let judged = Judged { stopped, ..Judged::default() };
            return vec![row(State::Met, first, judged, String::new())];
        }
    }
    let mut rows: Vec<Row<'a>> = Vec::new();
    let openings: Vec<Option<Related>> = open
        .iter()
        .map(|o| {
            let judged =
                Judged { passed: o.passed.clone(), undecided: o.undecided.clone(), ..Judged::default() };
            let state = if o.passed.is_empty() { State::Undecided } else { State::Violated };
            row(state, Some(o.hop.clone()), judged, String::new()).opening()
        })
        .collect();
    let all = rest(flowing, &base, flow);
    for (n, o) in open.iter().enumerate() {
        let of = |certain: bool| {
            let mine = all.iter().filter(|f| f.told.as_ref().is_some_and(|t| t.0 == n));
            mine.filter(|f| f.stretch.certain == certain).filter_map(|f| f.case()).collect::<Vec<Case>>()
        };
        let judged = Judged { passed: of(true), undecided: of(false), stopped: stopped.clone() };
        let state = broken(wanted, &judged);
        if state == State::Met {
            continue;
        }
        let mut r = row(state, Some(o.hop.clone()), judged, String::new());
        let others = openings.iter().enumerate().rev().filter(|(m, _)| *m != n);
        r.also = others.filter_map(|(_, o)| o.clone()).collect();
        rows.push(r);
    }
    // What is certain is told at one box; what is less so is told beside it only where nothing is certain.
    if rows.iter().any(|r| r.state == State::Violated) {
        rows.retain(|r| r.state == State::Violated);
    }
    if rows.is_empty() {
        let hop = open.first().map(|o| o.hop.clone());
        rows.push(row(State::Met, hop, Judged { stopped, ..Judged::default() }, String::new()));
    }
    rows
}

impl Flowing {
    // What is told of them: from who sent them, to where they get in the end.
    fn case(&self) -> Option<Case> {
        let (_, told) = self.told.as_ref()?;
        let s = &self.stretch;
        let ends = [Field::Dst, Field::Dport];
        let region = ends.into_iter().fold(s.sent.clone(), |r, f| r.with(f, s.region.get(f).clone()));
        let sent_to = ends.into_iter().any(|f| s.changed(f)).then(|| {
            let [address, port] = ends.map(|f| s.sent.get(f).clone());
            (address, port)
        });
        // The box itself saw them before it translated them.
        let seen = if told.translated.is_some() { told.seen.clone() } else { s.region.intersect(&told.seen) };
        let seen = if seen.is_empty() { told.seen.clone() } else { seen };
        Some(Case { region, seen, sent_to, ..told.clone() })
    }
}

// Only what is for the destination comes to its own firewalls.
fn arriving(
    stop: &Stop<'_>,
    flowing: Vec<Flowing>,
    base: &Conversation,
    flow: &ResolvedFlow,
) -> Vec<Flowing> {
    match stop {
        Stop::End(hop) if matches!(hop.path, crate::packet::Path::Input | crate::packet::Path::Ingress) => {
            rest(flowing, base, flow)
        }
        _ => flowing,
    }
}

fn rest(flowing: Vec<Flowing>, base: &Conversation, flow: &ResolvedFlow) -> Vec<Flowing> {
    if flow.destination.addresses.known().is_none() {
        return flowing;
    }
    let here = |f: Flowing| {
        let stretch = f.stretch.cut(Field::Dst, &base.dst)?.cut(Field::Dport, &base.ports)?;
        Some(Flowing { stretch, ..f })
    };
    flowing.into_iter().filter_map(here).collect()
}

// What a place does not stop.
fn onward<'a>(
    arrived: &[Flowing],
    walked: Vec<Walked<'a>>,
    allowed: &[Region],
    open: &mut Vec<Open<'a>>,
) -> Vec<Flowing> {
    let mut out: Vec<Flowing> = Vec::new();
    let mut known: FxHashSet<(Region, Region)> = FxHashSet::default();
    for (n, f) in arrived.iter().enumerate() {
        let came: Vec<Region> = walked
            .iter()
            .flat_map(|w| &w.parts)
            .filter(|p| p.of == n)
            .flat_map(|p| p.judged.all().map(|c| c.region.clone()))
            .collect();
        let beside = f.stretch.without(&came);
        known.extend(beside.iter().map(|s| (s.sent.clone(), s.region.clone())));
        out.extend(beside.into_iter().map(|stretch| Flowing { stretch, told: f.told.clone() }));
    }
    for w in walked {
        let mut here = Open { hop: w.hop.clone(), passed: Vec::new(), undecided: Vec::new() };
        let slot = open.iter().position(|o| o.hop.name == w.hop.name && o.hop.path == w.hop.path);
        let number = slot.unwrap_or(open.len());
        for p in &w.parts {
            let before = &arrived[p.of];
            for (list, certain) in [(&p.judged.passed, true), (&p.judged.undecided, false)] {
                for c in list.iter().flat_map(|c| except(&p.stretch, c, allowed)) {
                    let next = p.stretch.onward(&c, &w.hop, certain);
                    let told = match before.stretch.certain {
                        true => Some((number, c.clone())),
                        false => before.told.clone(),
                    };
                    if next.certain {
                        here.passed.push(c)
                    } else {
                        here.undecided.push(c)
                    }
                    if known.insert((next.sent.clone(), next.region.clone())) {
                        out.push(Flowing { stretch: next, told });
                    }
                }
            }
        }
        if here.passed.is_empty() && here.undecided.is_empty() {
            continue;
        }
        match slot {
            Some(n) => {
                open[n].passed.append(&mut here.passed);
                open[n].undecided.append(&mut here.undecided);
            }
            None => open.push(here),
        }
    }
    out
}

// What gateways translate to the addresses and ports of the destination, as it is sent.
fn published(path: &[Stop<'_>], base: &Conversation, goal: &Goal<'_>) -> Vec<Region> {
    let inward = |g: &&&EnforcementPoint<'_>| g.redirects() && g.host.iter().any(|f| f.covers(base.family));
    let gateways = path.iter().flat_map(|s| match s {
        Stop::Gateways(group) => group.as_slice(),
        Stop::End(_) => &[],
    });
    let mut out: Vec<Region> = Vec::new();
    for gateway in gateways.filter(inward) {
        let all = Conversation { dst: base.family.all(), ports: Field::Dport.all(), ..base.clone() };
        let stop = Stop::Gateways(vec![gateway]);
        let mut walked = passing(&stop, &Stretch::begin(&all), base.family);
        for p in walked.iter_mut().flat_map(|w| &mut w.parts) {
            let inside = p.stretch.seen.delivered_to.take().unwrap_or_default().intersect(&base.dst);
            p.stretch.seen.delivered_to = Some(inside);
        }
        Walked::judge_all(&mut walked, goal, false);
        for w in walked {
            let passes = |j: &Judged| j.passed.iter().chain(&j.undecided).cloned().collect::<Vec<_>>();
            for c in w.parts.iter().flat_map(|p| passes(&p.judged)) {
                if c.translated.is_some_and(|t| t.get(Field::Dport).intersects(&base.ports)) {
                    let sent = Region::all(base.family)
                        .with(Field::Src, base.src.clone())
                        .with(Field::Proto, c.region.get(Field::Proto).clone())
                        .with(Field::Dst, c.region.get(Field::Dst).clone())
                        .with(Field::Dport, c.region.get(Field::Dport).clone());
                    out.extend(Region::minus_all(sent.normal(), &out));
                }
            }
        }
    }
    out
}

// A case without what another requirement asks for: from who sends to where it gets.
fn except(stretch: &Stretch, case: &Case, allowed: &[Region]) -> Vec<Case> {
    if allowed.is_empty() {
        return vec![case.clone()];
    }
    let ends = [Field::Dst, Field::Dport];
    let meant = ends.into_iter().fold(case.region.clone(), |r, f| r.with(f, case.seen.get(f).clone()));
    let left = Region::minus_all(vec![meant], allowed);
    left.into_iter()
        .map(|m| {
            let sent = ends
                .into_iter()
                .filter(|f| stretch.changed(*f))
                .fold(m.clone(), |r, f| r.with(f, case.region.get(f).clone()));
            let c = stretch.recut(case, sent);
            Case { seen: ends.into_iter().fold(c.seen.clone(), |r, f| r.cut(f, m.get(f))), ..c }
        })
        .collect()
}

/// All packets of a flow that is to be kept out, without what other requirements ask for.
pub fn unwanted(row: &Row<'_>) -> Vec<Region> {
    let conversation = &row.conversation;
    let mut all = Region::all(conversation.family)
        .cut(Field::Src, &conversation.src)
        .cut(Field::Dst, &conversation.dst)
        .with(Field::Dport, conversation.ports.clone());
    if let Some(p) = conversation.protocol {
        all = all.protocol(p);
    }
    let allowed: Vec<Region> = match row.wanted.except_wanted {
        true => asked_for(row.flow).iter().flat_map(Region::normal).collect(),
        false => Vec::new(),
    };
    Region::minus_all(all.normal(), &allowed)
}

// What other requirements ask for of a flow that is to be kept out.
fn asked_for(flow: &ResolvedFlow) -> Vec<Region> {
    let mut allowed = Vec::new();
    for e in &flow.except {
        for family in Family::ALL {
            let (Some(s), Some(d)) = (end_set(&e.source, family), end_set(&e.destination, family)) else {
                continue;
            };
            let mut r = Region::all(family).cut(Field::Src, &s).cut(Field::Dst, &d);
            if let Some(p) = e.protocol {
                r = r.protocol(p);
                if proto::WITH_PORTS.contains(&p) {
                    r = r.cut(Field::Dport, &e.ports);
                }
            }
            if !r.is_empty() {
                allowed.push(r);
            }
        }
    }
    allowed
}

// A host without known addresses may be anywhere: what is asked for towards it is not held against the flow.
fn end_set(a: &Addresses, family: Family) -> Option<IntervalSet> {
    match a {
        Addresses::Known(s) => Some(s.intersect(&family.all())).filter(|s| !s.is_empty()),
        Addresses::HostName(_) => Some(family.all()),
        Addresses::Undeclared => None,
    }
}

fn broken(wanted: &Wanted, judged: &Judged) -> State {
    let some = match () {
        () if !judged.passed.is_empty() => State::Violated,
        () if !judged.undecided.is_empty() => State::Undecided,
        () => State::Met,
    };
    if wanted.breach == Breach::Some {
        return some;
    }
    // Only where some source has all of it; a part of it is no breach.
    let sources =
        |cases: &[Case]| cases.iter().fold(IntervalSet::EMPTY, |all, c| all.union(c.region.get(Field::Src)));
    let (passed, undecided, stopped) =
        (sources(&judged.passed), sources(&judged.undecided), sources(&judged.stopped));
    match () {
        () if !passed.minus(&undecided).minus(&stopped).is_empty() => State::Violated,
        () if !undecided.minus(&stopped).is_empty() => State::Undecided,
        () => State::Met,
    }
}
