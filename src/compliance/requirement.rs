//! Requirements of the catalogue, asked at every point of every flow's path.

use super::barrier::barrier;
use super::conversation::{Case, Conversation, Judged};
use super::path::{EnforcementPoints, Hop};
use super::row::Row;
use super::walk::walk;
use crate::catalogue::resolve::{Addresses, Applies, AskedAt, Endpoint, ResolvedFlow};
use crate::catalogue::{Catalogue, Declared, Requirement as Wanted};
use crate::finding::{Reason, State};
use crate::packet::{Family, Field, IntervalSet, addr};

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
                out.extend(barrier(wanted, flow, family, points));
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
        .filter(|f| !unknown || points.covers(flow, *f))
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
        Row { state, hop, judged, remark, reasons, ..Row::blank(wanted, flow, family, conversation) }
    };
    let told = out.len();
    for end in [&flow.source, &flow.destination] {
        if let Some(b) = points.unguarded(end) {
            let why = format!("no firewall file of {} was given", b.name);
            out.push(row(State::NotChecked, None, Judged::default(), why, Vec::new()));
        }
        // Nodes of a role that nobody declared have firewalls of their own; roles that a deployment gives as networks or
        // servers are people and services.
        let host = |name: &str| catalogue.roles.get(name).is_some_and(|r| r.declared == Declared::Node);
        let many = flow.asked_at != AskedAt::WholePath;
        if let (None, Some(role), false) = (end.node, end.role.as_ref().filter(|r| host(r)), many) {
            let why = format!("no firewall file of any {role} was given");
            out.push(row(State::NotChecked, None, Judged::default(), why, Vec::new()));
        }
    }
    for w in walk(points, flow, family) {
        let hop = w.hop;
        if !hop.covers(family) {
            let why = format!("no file of {} covers IPv{}", hop.name, family.number());
            out.push(row(State::NotChecked, Some(hop), Judged::default(), why, Vec::new()));
            continue;
        }
        let judged = w.parts.iter().fold(Judged::default(), |all, p| all.and(p.judged.clone()));
        let ends = [&flow.source, &flow.destination];
        let named = ends.iter().find_map(|e| match &e.addresses {
            Addresses::HostName(name) => Some((*e, name)),
            _ => None,
        });
        let (state, remark, reasons) = match named {
            Some((e, name)) => by_name(flow, e, name, &hop, &judged, |named| {
                w.parts.iter().fold(Judged::default(), |all, p| all.and(p.stretch.judge(named)))
            }),
            None if ends.iter().any(|e| e.addresses == Addresses::Undeclared) => undeclared(flow, &judged),
            None => (settled(&judged), String::new(), Vec::new()),
        };
        if let Some(rest) = unsettled_peers(flow, &judged).filter(|_| state == State::Violated) {
            out.push(row(State::Undecided, Some(hop.clone()), rest, String::new(), Vec::new()));
        }
        out.push(row(state, Some(hop), judged, remark, reasons));
    }
    if out.len() == told && flow.asked_at == AskedAt::WholePath {
        let why = "no firewall is declared between them".to_owned();
        out.push(row(State::NotChecked, None, Judged::default(), why, Vec::new()));
    }
}

// Of many machines that are asked about together: what is undecided for those of which nothing is stopped.
fn unsettled_peers(flow: &ResolvedFlow, judged: &Judged) -> Option<Judged> {
    let peers = match flow.asked_at {
        AskedAt::WholePath => return None,
        AskedAt::Source => Field::Dst,
        AskedAt::BehindSource => Field::Src,
    };
    let stopped = judged.stopped.iter().flat_map(|c| c.region.get(peers).ranges());
    let others = peers.complement(&IntervalSet::from_ranges(stopped.copied()));
    let of = |c: &Case| {
        let region = c.region.cut(peers, &others);
        let hidden = c.seen.get(peers) != c.region.get(peers);
        let seen = if hidden { c.seen.clone() } else { c.seen.cut(peers, &others) };
        (!region.is_empty()).then(|| Case { region, seen, ..c.clone() })
    };
    let undecided: Vec<Case> = judged.undecided.iter().filter_map(of).collect();
    (!undecided.is_empty()).then(|| Judged { undecided, ..Judged::default() })
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
            // In one go: a long list of denied addresses leaves a hole for each.
            let bad = against.flat_map(|b| b.region.get(*field).ranges().iter().copied());
            out = out.union(&p.region.get(*field).minus(&IntervalSet::from_ranges(bad)));
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
    judged: &Judged,
    judge: impl Fn(&Hop<'_>) -> Judged,
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
    let again = judge(&named);
    if again.stopped.is_empty() && again.undecided.is_empty() && !again.passed.is_empty() {
        return (State::Met, format!("the firewall itself names {name}"), Vec::new());
    }
    let place = hop.firewalls.first().map(|f| f.locate(Default::default()));
    let reasons = place.map(|location| Reason {
        text: format!("the addresses of {name}"),
        why: format!("declare them: [names] \"{name}\" = [\"…\"]"),
        location,
    });
    (State::Undecided, format!("the addresses of {name} are not known"), reasons.into_iter().collect())
}
