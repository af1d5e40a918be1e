//! Findings about requirements: the rows of a run, grouped by the line that decides, in words.

use super::barrier::unwanted;
use super::conversation::{Case, Stage};
use super::path::interface_set;
use super::row::{Row, case_flows, flows};
use crate::analysis::Verdict;
use crate::analysis::evaluate::{Because, Decider};
use crate::catalogue::resolve::{Addresses, Endpoint};
use crate::catalogue::{Catalogue, INTERNET, Kind};
use crate::dialect::{Missing, by_name};
use crate::evidence::near::{few, near_misses, ports};
use crate::evidence::removal::removal;
use crate::evidence::scope::{View, boxes};
use crate::finding::{Finding, Fix, Flow, Purpose, Related, Severity, State};
use crate::model::{Action, ConditionKind, Firewall, Hook};
use crate::packet::{Family, Field, IntervalSet, Path, Region, addr, proto};
use crate::source::{Location, Origin, Text};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// The findings of all rows.
pub fn findings(catalogue: &Catalogue, rows: &[Row<'_>]) -> Vec<Finding> {
    let mut groups: BTreeMap<Key, Vec<&Row<'_>>> = BTreeMap::new();
    for row in rows {
        let Some(case) = row.cases().first() else {
            if row.state == State::Undecided {
                groups.entry(Key::of(row, None)).or_default().push(row);
            }
            continue;
        };
        groups.entry(Key::of(row, Some(case))).or_default().push(row);
    }
    let met = Met::of(rows);
    let mut out: Vec<Finding> = groups.values().map(|g| finding(catalogue, &met, g)).collect();
    out.extend(rows.iter().filter_map(|r| remark(catalogue, r)));
    out
}

// The rows of requirements that are met, by requirement, subject and file.
struct Met<'r, 'a>(FxHashMap<(&'r str, &'r str, String), Vec<&'r Row<'a>>>);

impl<'r, 'a> Met<'r, 'a> {
    fn of(rows: &'r [Row<'a>]) -> Self {
        let mut out: FxHashMap<_, Vec<_>> = FxHashMap::default();
        for row in rows.iter().filter(|r| r.state == State::Met && r.wanted.kind.wants_passage()) {
            out.entry(Self::key(row)).or_default().push(row);
        }
        Self(out)
    }

    fn key(row: &'r Row<'_>) -> (&'r str, &'r str, String) {
        (&row.wanted.id, &row.flow.subject_end().name, row.at())
    }

    fn beside(&self, row: &'r Row<'_>) -> &[&'r Row<'a>] {
        self.0.get(&Self::key(row)).map_or(&[], Vec::as_slice)
    }
}

// Rows with one key are one finding.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    id: String,
    subject: String,
    at: String,
    undecided: bool,
    stage: Option<Stage>,
    origin: Option<Origin>,
}

impl Key {
    fn of(row: &Row<'_>, case: Option<&Case>) -> Self {
        Key {
            id: row.wanted.id.clone(),
            subject: row.flow.subject_end().name.clone(),
            at: row.at(),
            undecided: row.state == State::Undecided,
            stage: case.map(|c| c.stage),
            origin: case.and_then(|c| c.decided_by.first()).map(|d| d.origin),
        }
    }
}

fn finding<'r>(catalogue: &Catalogue, met: &Met<'r, '_>, group: &[&'r Row<'_>]) -> Finding {
    let row = group[0];
    let case = row.cases().first();
    let decider = case.and_then(|c| c.decided_by.first());
    let undecided = row.state == State::Undecided;
    let level = if undecided { row.wanted.level.min(Severity::Warning) } else { row.wanted.level };
    let (message, label) = (message(row, group, case), label(row, decider, undecided));
    let mut out = Finding {
        subject: row.flow.subject_end().name.clone().into(),
        undecided,
        witness: row.shown().map(|s| Box::new(s.packet.clone())),
        extent: group.iter().flat_map(|r| r.extent()).collect(),
        ..Finding::new(&row.wanted.id, level, message, place(row, decider), label)
    };
    for reason in group.iter().flat_map(|r| r.conditions().chain(r.reasons.clone())) {
        let related =
            Related { location: reason.location, message: format!("depends on: {}", reason.text).into() };
        if !out.related.contains(&related) && out.related.len() < 4 {
            out.related.push(related);
            let why = if reason.why.is_empty() { String::new() } else { format!(" ({})", reason.why) };
            out.details.push(("depends on".to_owned(), format!("{}{why}", reason.text)));
        }
    }
    out.related.extend(group.iter().flat_map(|r| r.also.iter().cloned()));
    out.related.dedup();
    if let Some(shown) = row.shown() {
        out.path = shown
            .trace
            .steps
            .iter()
            .filter_map(|s| {
                let f = row.firewall(s.firewall)?;
                let chain = &f.chain(s.chain).name;
                Some(Related {
                    location: f.locate(s.origin),
                    message: format!("{}, {chain}: {}", s.hook.name(), s.result).into(),
                })
            })
            .collect();
        let stopped = row.wanted.kind.wants_passage() && row.state == State::Violated;
        if stopped
            && !matches!(shown.stage, Stage::Later | Stage::Neighbours)
            && let Some(f) = decider.and_then(|d| row.firewall(d.firewall))
        {
            out.related.extend(near_misses(f, &shown.packet));
        }
    }
    details(catalogue, met, row, group, &mut out);
    if row.wanted.kind.wants_passage() && row.state == State::Violated {
        out.fix = fix(group).map(Box::new);
    }
    if row.wanted.kind == Kind::Forbidden && row.state == State::Violated {
        out.fix = closing(group);
    }
    out
}

// Taking away the rule that lets in what must be kept out, if it lets in nothing else.
fn closing(group: &[&Row<'_>]) -> Option<Box<Fix>> {
    let row = group[0];
    let decider = row.cases().first()?.decided_by.first()?;
    let firewall = row.firewall(decider.firewall)?;
    let (chain, rule) = (firewall.chain(decider.chain), decider.rule?);
    let opening = chain.rules.get(rule).filter(|r| r.action == Action::Accept && r.effects.is_none())?;
    let closes: Vec<Region> = group.iter().flat_map(|r| unwanted(r)).collect();
    // Most such rules let in far more. That is seen with less than where the chain is called from.
    let meets = boxes(firewall, opening);
    let within = |view: &View| meets.iter().all(|r| view.beyond(r, &closes).is_empty());
    if ![&[Hook::Input][..], &[Hook::Output], &[]].into_iter().any(|hooks| within(&View::of(hooks))) {
        return None;
    }
    let hooks = &firewall.hooks()[decider.chain.index()];
    if hooks.is_empty() || !within(&View::of(hooks)) {
        return None;
    }
    let repairs = group.iter().map(|r| r.asked()).collect();
    removal(firewall, chain, rule, Purpose { closes, repairs, ..Purpose::default() })
}

// So many rows of a group are repaired by one edit.
const MAX_REPAIRED: usize = 256;

// What is missing at one place of a firewall.
struct Gap<'a> {
    firewall: &'a Firewall,
    decider: Decider,
    answers: bool,
    later: bool,
    region: Region,
}

impl<'a> Gap<'a> {
    fn of(row: &Row<'a>) -> Option<Self> {
        let case = row.cases().first()?;
        let decider = case.decided_by.first()?;
        if case.stage == Stage::Neighbours || case.elsewhere.is_some() {
            return None;
        }
        let answers = case.stage == Stage::Answer;
        let mut region = if answers { case.seen.mirrored() } else { case.seen.clone() };
        let hop = row.hop.as_ref()?;
        let (iif, oif) = if answers { (&hop.oif, &hop.iif) } else { (&hop.iif, &hop.oif) };
        for (field, names) in [(Field::Iif, iif), (Field::Oif, oif)] {
            if !names.is_empty() {
                region = region.with(field, interface_set(field, names));
            }
        }
        let firewall = row.firewall(decider.firewall)?;
        Some(Self { firewall, decider: *decider, answers, later: case.stage == Stage::Later, region })
    }

    // Takes in what is missing at the same place for other peers only: one rule is enough for both.
    fn join(&mut self, other: &Self) -> bool {
        let place = |g: &Self| (g.decider.chain, g.decider.rule, g.answers, g.later);
        if !std::ptr::eq(self.firewall, other.firewall) || place(self) != place(other) {
            return false;
        }
        let alike =
            |f: &Field| Field::ALL.iter().all(|g| g == f || self.region.get(*g) == other.region.get(*g));
        let Some(field) = [Field::Src, Field::Dst].into_iter().find(alike) else { return false };
        self.region = self.region.with(field, self.region.get(field).union(other.region.get(field)));
        true
    }

    fn suggestion(&self) -> Option<(Fix, String)> {
        let (dialect, _) = by_name(self.firewall.dialect)?;
        let missing = Missing {
            region: &self.region,
            answers: self.answers,
            later: self.later,
            chain: self.decider.chain,
            rule: self.decider.rule,
        };
        let s = dialect.suggest(self.firewall, &missing)?;
        let elsewhere = s.elsewhere.is_some();
        let description = s.elsewhere.unwrap_or_else(|| match s.after_line {
            0 => "at the top".to_owned(),
            n => format!("after line {n}"),
        });
        let path = Text::name_of(self.firewall.files.get(s.file)?);
        Some((Fix { description, path, after_line: s.after_line, elsewhere, ..Fix::default() }, s.text))
    }
}

// What to add, in the file's own syntax, where all flows of the group belong to one place: one rule for all peers of a service.
fn fix(group: &[&Row<'_>]) -> Option<Fix> {
    let mut purpose = Purpose::default();
    let mut gaps: Vec<Gap<'_>> = Vec::new();
    for row in group.iter().take(MAX_REPAIRED) {
        let gap = Gap::of(row)?;
        let hop = row.hop.as_ref()?;
        let mut opens = service_of(&gap.region, gap.answers);
        for (end, field) in [(&row.flow.source, Field::Src), (&row.flow.destination, Field::Dst)] {
            let unknown = end.addresses.known().is_none();
            if unknown && end.name == hop.name && !hop.gateway {
                // The box itself: what is for it is told by the chain, never by its address.
                let field = if gap.answers { opposite(field) } else { field };
                opens = opens.with(field, IntervalSet::EMPTY);
            } else if unknown && !purpose.undeclared.contains(&end.name) {
                purpose.undeclared.push(end.name.clone());
            }
        }
        purpose.opens.push(opens);
        purpose.repairs.push(row.asked());
        if !gaps.iter_mut().any(|g| g.join(&gap)) {
            gaps.push(gap);
        }
    }
    let mut found: Option<Fix> = None;
    for gap in &gaps {
        let (fix, text) = gap.suggestion()?;
        match &mut found {
            None => found = Some(Fix { text, ..fix }),
            Some(f)
                if f.path == fix.path
                    && f.after_line == fix.after_line
                    && f.description == fix.description =>
            {
                if !f.text.contains(&text) {
                    f.text.push('\n');
                    f.text.push_str(&text);
                }
            }
            Some(_) => return None,
        }
    }
    Some(Fix { purpose, ..found? })
}

fn opposite(end: Field) -> Field {
    if end == Field::Src { Field::Dst } else { Field::Src }
}

// The packets of the service that a flow names, from whatever port its clients use.
fn service_of(region: &Region, answers: bool) -> Region {
    let clients = if answers { Field::Dport } else { Field::Sport };
    region.with(clients, clients.all())
}

fn place(row: &Row<'_>, decider: Option<&Decider>) -> Location {
    let by = decider.and_then(|d| Some(row.firewall(d.firewall)?.locate(d.origin)));
    let shown = || {
        row.judged.stopped.iter().chain(&row.judged.passed).find_map(|c| row.deciders(c).into_iter().next())
    };
    by.or_else(shown).unwrap_or_else(|| {
        let first = row.hop.as_ref().and_then(|l| l.firewalls.iter().find(|f| f.covers(row.family)));
        first.map_or_else(|| crate::source::locate(&[], Origin::default()), |f| f.locate(Origin::default()))
    })
}

fn label(row: &Row<'_>, decider: Option<&Decider>, undecided: bool) -> String {
    let Some(d) = decider else { return "decides for some addresses".to_owned() };
    if let Some(who) = row.cases().first().and_then(|c| c.elsewhere.as_ref()) {
        return format!("decides: accepts it, translated to {who}");
    }
    let note = d.note.and_then(|n| row.firewall(d.firewall).map(|f| f.notes[n.index()].clone()));
    let what = match (d.verdict, d.rule.is_some()) {
        (Verdict::Accept, true) => "accepts it",
        (Verdict::Accept, false) => "no rule stops the packet, the policy accepts it",
        (Verdict::Drop, true) => "stops it",
        (Verdict::Drop, false) => "no rule admits the packet, the policy drops it",
        (Verdict::Undecided, _) => "may or may not stop it",
    };
    let word = if undecided { "may decide" } else { "decides" };
    match note {
        Some(n) => format!("{word}: {what} ({n})"),
        None => format!("{word}: {what}"),
    }
}

/// `tcp/20081`, `udp/53,123`, `any protocol`.
fn service(flow: &Flow) -> String {
    match (flow.proto.as_str(), flow.port.as_str()) {
        ("any", "") => "any protocol".to_owned(),
        ("any", p) => format!("port {p} of any protocol"),
        (proto, "") => proto.to_owned(),
        (proto, p) => format!("{proto}/{p}"),
    }
}

fn asked(row: &Row<'_>) -> String {
    let all = row.conversation.ports.count() > u128::from(u16::MAX);
    match row.conversation.protocol {
        None => "any protocol".to_owned(),
        Some(p) if !proto::WITH_PORTS.contains(&p) => proto::name(p),
        Some(p) if all => format!("any port of {}", proto::name(p)),
        Some(p) => format!("{}/{}", proto::name(p), ports(&row.conversation.ports).join(",")),
    }
}

fn unique<'r>(group: &[&'r Row<'_>], end: impl Fn(&'r Row<'_>) -> &'r Endpoint) -> Vec<String> {
    let mut seen = BTreeSet::new();
    group.iter().map(|r| called(end(r))).filter(|name| seen.insert(name.clone())).collect()
}

fn called(e: &Endpoint) -> String {
    match e.addresses {
        Addresses::Undeclared if e.node.is_none() => format!("any {}", e.name),
        _ if e.name == INTERNET => "the Internet".to_owned(),
        _ => e.name.clone(),
    }
}

// Whether some packet of every protocol is among the cases.
fn any_protocol(group: &[&Row<'_>]) -> bool {
    let cases = group.iter().flat_map(|r| r.cases());
    cases.fold(IntervalSet::EMPTY, |all, c| all.union(c.region.get(Field::Proto))) == Field::Proto.all()
}

fn message(row: &Row<'_>, group: &[&Row<'_>], case: Option<&Case>) -> String {
    let from = few(&unique(group, |r| &r.flow.source));
    let to = few(&unique(group, |r| &r.flow.destination));
    let mut services: Vec<String> = Vec::new();
    if row.wanted.kind.wants_passage() || any_protocol(group) {
        services.extend(group.iter().map(|r| asked(r)));
    } else {
        let open = case_flows(group.iter().flat_map(|r| r.cases()));
        services.extend(open.iter().map(service));
    }
    let mut seen = BTreeSet::new();
    services.retain(|s| seen.insert(s.clone()));
    let on = few(&services);
    let family = if row.family == Family::V6 { " over IPv6" } else { "" };
    let undecided = row.state == State::Undecided;
    if !row.wanted.kind.wants_passage() {
        let advised = row.wanted.kind == Kind::AdvisedAgainst;
        return match (undecided, advised) {
            (true, _) => format!("not decided whether {from} can reach {to} on {on}{family}"),
            (false, false) => format!("{from} can reach {to} on {on}{family}"),
            (false, true) => format!("{from} can reach {to} on {on}{family}, but no requirement needs it"),
        };
    }
    if undecided {
        return format!("not decided whether {from} can reach {to} on {on}{family}");
    }
    let here = row.hop.as_ref().map_or("", |l| l.name);
    let whole = case.is_some_and(|c| row.conversation.src.ranges() == c.region.get(Field::Src).ranges());
    let partly = if whole || row.judged.passed.is_empty() { "" } else { "part of " };
    if let Some(who) = case.and_then(|c| c.elsewhere.as_ref()) {
        return format!("{from} cannot reach {to} on {on}{family}: {here} sends the packets to {who}");
    }
    match case.map(|c| c.stage) {
        Some(Stage::Neighbours) => {
            format!("{from} cannot use {to} on {on}{family}: neighbour discovery is stopped at {here}")
        }
        Some(Stage::Answer) => {
            format!("{from} cannot use {to} on {on}{family}: the answers are stopped at {here}")
        }
        Some(Stage::Later) => {
            format!(
                "{from} cannot use {to} on {on}{family}: the packets after the first are stopped at {here}"
            )
        }
        _ => match row.hop.as_ref().map(|l| l.path) {
            Some(Path::Output | Path::Egress) => {
                format!("{partly}{from} cannot reach {to} on {on}{family}: stopped by its own firewall")
            }
            Some(Path::Forward) => {
                format!("{partly}{from} cannot reach {to} on {on}{family}: stopped at {here}")
            }
            _ => format!("{partly}{from} cannot reach {to} on {on}{family}"),
        },
    }
}

fn end_text(e: &Endpoint, family: Family) -> String {
    match &e.addresses {
        Addresses::Known(_) if e.name == INTERNET => called(e),
        Addresses::Known(set) => {
            let text = few(&addr::display(&set.intersect(&family.all())));
            if text == e.name { text } else { format!("{text} ({})", e.name) }
        }
        Addresses::HostName(n) => n.clone(),
        Addresses::Undeclared => format!("any address ({}, not declared)", e.name),
    }
}

// Addresses of a flow's end: by name where they are most of a long set.
fn side(texts: &[String], end: &Endpoint) -> String {
    let whole =
        |f: &Family| end.addresses.known().is_some_and(|s| addr::display(&s.intersect(&f.all())) == texts);
    match () {
        () if Family::ALL.iter().any(whole) => called(end),
        () if texts.len() > 5 && end.node.is_none() => format!("most of {}", called(end)),
        () => few(texts),
    }
}

// The end that is not the subject.
fn peer<'r>(row: &'r Row<'_>) -> &'r Endpoint {
    if std::ptr::eq(row.flow.subject_end(), &row.flow.source) {
        &row.flow.destination
    } else {
        &row.flow.source
    }
}

fn details<'r>(
    catalogue: &Catalogue,
    met: &Met<'r, '_>,
    row: &'r Row<'_>,
    group: &[&Row<'_>],
    out: &mut Finding,
) {
    let mut add = |word: &str, mut texts: Vec<String>| {
        texts.sort();
        texts.dedup();
        if !texts.is_empty() {
            out.details.push((word.to_owned(), few(&texts)));
        }
    };
    if row.wanted.kind.wants_passage() {
        add("met for", met.beside(row).iter().map(|r| end_text(peer(r), r.family)).collect());
        let word = if row.state == State::Undecided { "in question" } else { "missing" };
        let parts = group.iter().flat_map(|r| match r.flow_part() {
            Some(part) if r.judged.passed.is_empty() || part.is_empty() => vec![end_text(peer(r), r.family)],
            Some(part) => part.into_iter().map(|p| format!("{p} ({})", peer(r).name)).collect(),
            None => vec![end_text(peer(r), r.family)],
        });
        add(word, parts.collect());
    } else {
        let open = case_flows(group.iter().flat_map(|r| r.cases()));
        let texts = open.iter().map(|f| {
            let sport = if f.sport.is_empty() { String::new() } else { format!(" source port {}", f.sport) };
            let sent =
                if f.sent_to.is_empty() { String::new() } else { format!(", sent to {}", few(&f.sent_to)) };
            format!(
                "{} from {}{sport} to {}{sent}",
                service(f),
                side(&f.from, &row.flow.source),
                side(&f.to, &row.flow.destination)
            )
        });
        let word = if row.state == State::Undecided { "in question" } else { "lets through" };
        add(word, texts.collect());
    }
    let tls = if row.wanted.tls { ", TLS (which a packet filter cannot check)" } else { "" };
    let reference = match row.wanted.reference.as_str() {
        "" => String::new(),
        r => format!(" [{r}]"),
    };
    let why = format!("{}: {}{tls}{reference}", catalogue.title, row.wanted.summary);
    out.details.push(("because".to_owned(), why));
}

impl Row<'_> {
    // The peer addresses for which it does not hold.
    fn flow_part(&self) -> Option<Vec<String>> {
        let list = flows(self.cases().iter().map(|c| &c.region));
        let from_peer = std::ptr::eq(peer(self), &self.flow.source);
        let mut all: Vec<String> =
            list.into_iter().flat_map(|f| if from_peer { f.from } else { f.to }).collect();
        all.sort();
        all.dedup();
        (!all.is_empty()).then_some(all)
    }
}

// Whether the limit is one that a packet must be under to be let in; a limit above which it is stopped is stated by the
// report's assumption alone.
fn admits(row: &Row<'_>, a: &Because) -> bool {
    let all = row.firewall(a.firewall).map_or(&[][..], |f| &f.conditions);
    all.iter().any(|c| c.text == a.text && c.kind == ConditionKind::Rate { unthrottled: true })
}

// Notes on requirements that are met, but with something to know.
fn remark(catalogue: &Catalogue, row: &Row<'_>) -> Option<Finding> {
    if row.state != State::Met || !row.wanted.kind.wants_passage() {
        return None;
    }
    let limited = row.judged.passed.iter().find_map(|c| c.assumed.iter().find(|a| admits(row, a)));
    let (from, to) = (&row.flow.source.name, &row.flow.destination.name);
    let (message, label, location, detail, extent) = if let Some(a) = limited {
        let location = row.firewall(a.firewall)?.locate(a.origin);
        (
            format!("{from} reaches {to} on {} only while a rate limit is not exceeded", asked(row)),
            "admits it up to a limit".to_owned(),
            location,
            ("assumed".to_owned(), format!("not throttled: {}", a.text)),
            row.limited(&a.text),
        )
    } else if !row.remark.is_empty() && !row.judged.stopped.is_empty() {
        let decider = row.judged.passed.first().and_then(|c| c.decided_by.first());
        (
            format!("{} is partly met: {}", row.wanted.id, row.remark),
            "admits these".to_owned(),
            place(row, decider),
            (
                "declare".to_owned(),
                format!("the addresses of {}, with --set or a deployment file", peer(row).name),
            ),
            row.extent(),
        )
    } else {
        return None;
    };
    let mut out = Finding {
        subject: row.flow.subject_end().name.clone().into(),
        details: vec![detail],
        extent,
        ..Finding::new(&row.wanted.id, Severity::Note, message, location, label)
    };
    out.details.push(("because".to_owned(), format!("{}: {}", catalogue.title, row.wanted.summary)));
    Some(out)
}
