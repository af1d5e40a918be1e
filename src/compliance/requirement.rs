//! Requirements of the catalogue, asked at every point of every flow's path.

use super::conversation::{Case, Conversation, Judged, judge};
use super::path::{EnforcementPoints, Hop};
use super::row::Row;
use crate::catalogue::resolve::{Addresses, Applies, Endpoint, ResolvedFlow};
use crate::catalogue::{Breach, Catalogue, Declared, Requirement as Wanted};
use crate::finding::{Reason, State};
use crate::packet::{Family, Field, IntervalSet, Region, addr, proto};
use std::sync::OnceLock;

/// Asks every flow.
pub fn rows<'a>(
    catalogue: &'a Catalogue,
    flows: &'a [ResolvedFlow],
    points: &'a EnforcementPoints<'a>,
) -> Vec<Row<'a>> {
    let mut out = Vec::new();
    for flow in flows {
        let wanted = &catalogue.requirements[flow.requirement];
        if let Applies::No(why) = &flow.applies {
            out.push(Row::empty(wanted, flow, State::NotApplicable, why.clone()));
            continue;
        }
        let families = families(flow, points);
        if families.is_empty() {
            let why = "source and destination have no address family in common".to_owned();
            out.push(Row::empty(wanted, flow, State::NotApplicable, why));
        }
        for family in families {
            if wanted.kind.wants_passage() {
                passage(catalogue, wanted, flow, family, points, &mut out);
            } else {
                out.push(barrier(wanted, flow, family, points));
            }
        }
    }
    out
}

// The families in which both ends have addresses; where neither end is known, those that some file on the way speaks for.
fn families(flow: &ResolvedFlow, points: &EnforcementPoints<'_>) -> Vec<Family> {
    let of = |e: &Endpoint, f: Family| e.addresses.known().is_none_or(|s| s.intersects(&f.all()));
    let unknown = flow.source.addresses.known().is_none() && flow.destination.addresses.known().is_none();
    // A host of which only the name is known is asked for in one family: every public host has an IPv4 address, and one
    // working way is enough.
    let named = |e: &Endpoint| matches!(e.addresses, Addresses::HostName(_));
    let by_name = named(&flow.source) || named(&flow.destination);
    let ipv4 = of(&flow.source, Family::V4) && of(&flow.destination, Family::V4);
    Family::ALL
        .into_iter()
        .filter(|f| of(&flow.source, *f) && of(&flow.destination, *f))
        .filter(|f| !(by_name && ipv4 && *f == Family::V6))
        .filter(|f| !unknown || points.path(flow, *f).iter().any(|l| l.covers(*f)))
        .collect()
}

// A flow that must pass: one row for each point on its path.
fn passage<'a>(
    catalogue: &Catalogue,
    wanted: &'a Wanted,
    flow: &'a ResolvedFlow,
    family: Family,
    points: &'a EnforcementPoints<'a>,
    out: &mut Vec<Row<'a>>,
) {
    let row = |state, hop: Option<Hop<'a>>, judged, remark: String, reasons| {
        let conversation = Conversation::of(flow, hop.as_ref(), family, true);
        Row {
            wanted,
            flow,
            family,
            state,
            hop,
            judged,
            remark,
            conversation,
            reasons,
            also: Vec::new(),
            shown: OnceLock::new(),
        }
    };
    for end in [&flow.source, &flow.destination] {
        if let Some(b) = points.unguarded(end) {
            let why = format!("no firewall file of {} was given", b.name);
            out.push(row(State::NotChecked, None, Judged::default(), why, Vec::new()));
        }
        // Nodes of a role that nobody declared have firewalls of their own; roles that a deployment gives as networks or
        // servers are people and services.
        let host = |name: &str| catalogue.roles.get(name).is_some_and(|r| r.declared == Declared::Node);
        if let (None, Some(role)) = (end.node, end.role.as_ref().filter(|r| host(r))) {
            let why = format!("no firewall file of any {role} was given");
            out.push(row(State::NotChecked, None, Judged::default(), why, Vec::new()));
        }
    }
    for hop in points.path(flow, family) {
        if !hop.covers(family) {
            let why = format!("no file of {} covers IPv{}", hop.name, family.number());
            out.push(row(State::NotChecked, Some(hop), Judged::default(), why, Vec::new()));
            continue;
        }
        let judged = judge(&hop, &Conversation::of(flow, Some(&hop), family, true));
        let ends = [&flow.source, &flow.destination];
        let named = ends.iter().find_map(|e| match &e.addresses {
            Addresses::HostName(name) => Some((*e, name)),
            _ => None,
        });
        let (state, remark, reasons) = match named {
            Some((e, name)) => by_name(flow, e, name, &hop, family, &judged),
            None if ends.iter().any(|e| e.addresses == Addresses::Undeclared) => undeclared(flow, &judged),
            None => (settled(&judged), String::new(), Vec::new()),
        };
        out.push(row(state, Some(hop), judged, remark, reasons));
    }
}

fn settled(judged: &Judged) -> State {
    match () {
        () if !judged.stopped.is_empty() => State::Violated,
        // Nothing passed either: no packet was asked about, which proves nothing.
        () if !judged.undecided.is_empty() || judged.passed.is_empty() => State::Undecided,
        () => State::Met,
    }
}

// Nobody said which addresses an end has: it is enough that all of the flow passes for some of them, and that is said. The
// other end must be served whole, and so must all ports.
fn undeclared(flow: &ResolvedFlow, judged: &Judged) -> (State, String, Vec<Reason>) {
    let ends = [(Field::Src, &flow.source), (Field::Dst, &flow.destination)];
    let open: Vec<Field> =
        ends.iter().filter(|(_, e)| e.addresses == Addresses::Undeclared).map(|(f, _)| *f).collect();
    let certain = served(&open, &judged.passed, &[&judged.stopped, &judged.undecided]);
    if certain.is_empty() {
        let at_best = [&judged.passed, &judged.undecided];
        let possible = at_best.into_iter().any(|l| !served(&open, l, &[&judged.stopped]).is_empty());
        let state = if possible { State::Undecided } else { State::Violated };
        return (state, String::new(), Vec::new());
    }
    if judged.stopped.is_empty() && judged.undecided.is_empty() {
        return (State::Met, String::new(), Vec::new());
    }
    let who: Vec<&str> =
        ends.iter().filter(|(f, _)| open.contains(f)).map(|(_, e)| e.name.as_str()).collect();
    let sets = addr::display(&certain);
    let remark = format!(
        "met for {}; declare the addresses of {} to check the rest",
        crate::evidence::near::few(&sets),
        who.join(" and ")
    );
    (State::Met, remark, Vec::new())
}

// Addresses of an open end for which nothing of the flow is among the bad cases.
fn served(open: &[Field], passed: &[Case], bad: &[&Vec<Case>]) -> IntervalSet {
    let mut out = IntervalSet::EMPTY;
    for p in passed {
        for field in open {
            // With two open ends, one is fixed to what this case lets through.
            let fixed = open.iter().find(|f| *f != field);
            let against = bad
                .iter()
                .flat_map(|l| l.iter())
                .filter(|b| fixed.is_none_or(|f| b.region.get(*f).intersects(p.region.get(*f))));
            let good = against.fold(p.region.get(*field).clone(), |left, b| left.minus(b.region.get(*field)));
            out = out.union(&good);
            if !out.is_empty() && open.len() > 1 {
                return out;
            }
        }
    }
    out
}

// A host name without addresses: decided where every address gives the same, or where the firewall names the host too.
fn by_name(
    flow: &ResolvedFlow,
    end: &Endpoint,
    name: &str,
    hop: &Hop<'_>,
    family: Family,
    judged: &Judged,
) -> (State, String, Vec<Reason>) {
    if judged.passed.is_empty() && judged.undecided.is_empty() {
        return (State::Violated, String::new(), Vec::new());
    }
    if judged.stopped.is_empty() && judged.undecided.is_empty() {
        return (State::Met, String::new(), Vec::new());
    }
    let field = if std::ptr::eq(end, &flow.source) { Field::Src } else { Field::Dst };
    let mut environment = hop.environment.clone();
    environment.names.insert((field, name.to_owned()));
    let named = Hop { environment: &environment, ..hop.clone() };
    let again = judge(&named, &Conversation::of(flow, Some(hop), family, true));
    if again.stopped.is_empty() && again.undecided.is_empty() && !again.passed.is_empty() {
        return (State::Met, format!("the firewall itself names {name}"), Vec::new());
    }
    let place = hop.firewalls.iter().find(|f| f.covers(family)).map(|f| f.locate(Default::default()));
    let reasons = place.map(|location| Reason {
        text: format!("the addresses of {name}"),
        why: format!("declare them: [names] \"{name}\" = [\"…\"]"),
        location,
    });
    (State::Undecided, format!("the addresses of {name} are not known"), reasons.into_iter().collect())
}

// A flow that must be kept out: it has to be stopped at one point of its path.
fn barrier<'a>(
    wanted: &'a Wanted,
    flow: &'a ResolvedFlow,
    family: Family,
    points: &'a EnforcementPoints<'a>,
) -> Row<'a> {
    let mut hops = points.path(flow, family);
    let all_hops = hops.len();
    hops.retain(|l| l.covers(family));
    let base = Conversation::of(flow, None, family, false);
    let row = |state, hop: Option<Hop<'a>>, judged, remark: String| Row {
        wanted,
        flow,
        family,
        state,
        hop,
        judged,
        remark,
        conversation: base.clone(),
        reasons: Vec::new(),
        also: Vec::new(),
        shown: OnceLock::new(),
    };
    if hops.is_empty() {
        let name = &flow.subject_end().name;
        let why = match all_hops {
            0 => format!("no firewall file of {name} was given"),
            _ => format!("no file of {name} covers IPv{}", family.number()),
        };
        return row(State::NotChecked, None, Judged::default(), why);
    }
    // Follow what is not stopped from point to point; the last one that lets it through is where it stands. Several hops of
    // one gateway (interface pairs) are alternatives, not a sequence.
    let mut worst: Option<Row<'a>> = None;
    let mut groups: Vec<Vec<Hop<'a>>> = Vec::new();
    for hop in hops {
        match groups.last_mut() {
            Some(g) if hop.gateway && g[0].gateway && g[0].name == hop.name => g.push(hop),
            _ => groups.push(vec![hop]),
        }
    }
    let mut held: Option<Row<'a>> = None;
    // What the points so far let through, as the next one sees it; `None` = everything.
    let mut flowing: Option<Vec<Region>> = None;
    for group in groups {
        let mut onward = Vec::new();
        let mut through: Option<Row<'a>> = None;
        for hop in group {
            let mut judged = judge(&hop, &Conversation::of(flow, Some(&hop), family, false));
            if hop.gateway {
                let inside = Conversation {
                    dst: family.all(),
                    delivered_to: Some(hop.dst.clone()),
                    ..Conversation::of(flow, Some(&hop), family, false)
                };
                let delivered = judge(&hop, &inside);
                judged.passed.extend(delivered.passed.into_iter().filter(|c| c.translated.is_some()));
                judged.undecided.extend(delivered.undecided.into_iter().filter(|c| c.translated.is_some()));
            }
            except(wanted, flow, &mut judged);
            if let Some(before) = &flowing {
                keep(&mut judged, before);
            }
            onward.extend(judged.passed.iter().chain(&judged.undecided).map(delivered_region));
            let state = broken(wanted, &judged);
            let r = row(state, Some(hop), judged, String::new());
            if state == State::Met {
                held.get_or_insert(r);
            } else if through.as_ref().is_none_or(|t| rank(state) > rank(t.state)) {
                through = Some(r);
            }
        }
        flowing = Some(onward);
        match through {
            // Stopped here for certain: kept out, whatever the other points do.
            None => return held.unwrap_or_else(|| row(State::Met, None, Judged::default(), String::new())),
            Some(mut t) => {
                let before = worst.take();
                // It passes only where it passes everywhere: one undecided point makes the whole undecided.
                worst = Some(match before {
                    Some(mut w) if w.state == State::Undecided => {
                        w.also.extend(t.opening());
                        w
                    }
                    Some(w) => {
                        t.also.extend(w.opening().into_iter().chain(w.also));
                        t
                    }
                    None => t,
                });
            }
        }
    }
    worst.unwrap_or_else(|| row(State::Met, None, Judged::default(), String::new()))
}

// Only what came through the points before.
fn keep(judged: &mut Judged, before: &[Region]) {
    for list in [&mut judged.passed, &mut judged.undecided] {
        let cases = std::mem::take(list);
        for c in cases {
            let parts = before.iter().map(|b| c.region.intersect(b)).filter(|r| !r.is_empty());
            list.extend(parts.map(|region| Case { region, ..c.clone() }));
        }
    }
}

// A case's packets as they leave the point: after translation.
fn delivered_region(c: &Case) -> Region {
    match &c.translated {
        None => c.region.clone(),
        Some(t) => [Field::Src, Field::Dst, Field::Sport, Field::Dport]
            .into_iter()
            .fold(c.region.clone(), |r, f| r.with(f, t.get(f).clone())),
    }
}

fn rank(s: State) -> u8 {
    match s {
        State::Violated => 2,
        State::Undecided => 1,
        _ => 0,
    }
}

// Takes out what another requirement asks for.
fn except(wanted: &Wanted, flow: &ResolvedFlow, judged: &mut Judged) {
    if !wanted.except_wanted || flow.except.is_empty() {
        return;
    }
    let allowed = asked_for(flow);
    for list in [&mut judged.passed, &mut judged.undecided] {
        let cases = std::mem::take(list);
        for c in cases {
            for region in Region::minus_all(vec![c.region.clone()], &allowed) {
                list.push(Case { region, ..c.clone() });
            }
        }
    }
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
