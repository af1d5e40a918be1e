//! `havenlint query`: what part of a flow is let through.

mod exact;
mod matrix;
mod names;
mod people;
mod through;

use super::subject::{Subject, Subjects};
use super::{Inputs, print, say, status, style};
use crate::analysis::decide::{Answer, Part, Question, decide, outline, witness};
use crate::analysis::evaluate::Because;
use crate::analysis::flow::{Flow, flows};
use crate::analysis::{Environment, Point, Verdict};
use crate::finding::Reason;
use crate::packet::opening::{as_flow, openings};
use crate::packet::{
    ConnState, Family, Field, IntervalSet, Packet, Path, Region, Value, addr, interface_prefix,
    interface_value, proto, shared_carriers,
};
use crate::report::json::write_document;
use crate::report::text::Paint;
use crate::source::Location;
use clap::{Args, ColorChoice};
use names::Names;
use serde::Serialize;
use std::path::PathBuf;

/// Show who can open a connection to what, or, with --exact, which part of a flow is accepted, denied or undecided.
///
/// What you leave out means any. Each file is a machine of its own and gets its own answer, unless you say --same-box. Without FILE: what of a flow
/// from one end to another gets through every firewall of the deployment of havenlint.toml on its way, there and back.
#[derive(Debug, Args)]
#[command(after_help = super::help::QUERY)]
pub struct Query {
    #[command(flatten)]
    inputs: Inputs,
    /// The path of the packets.
    #[arg(long, value_name = "DIRECTION", default_value = "input", value_parser = ["input", "output", "forward", "ingress", "egress"], help_heading = "Flow")]
    dir: String,
    /// Input interfaces; `eth*` = all whose names begin with eth.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Flow")]
    iif: Vec<String>,
    /// Output interfaces.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Flow")]
    oif: Vec<String>,
    /// Sources: addresses, prefixes, ranges, or names given with --set, and names of the deployment: nodes, networks, sites.
    #[arg(long, value_name = "CIDR|A-B|NAME", value_delimiter = ',', help_heading = "Flow")]
    from: Vec<String>,
    /// Destinations, written in the same way.
    #[arg(long, value_name = "CIDR|A-B|NAME", value_delimiter = ',', help_heading = "Flow")]
    to: Vec<String>,
    /// Protocols: names or numbers.
    #[arg(long, value_name = "tcp|udp|icmp|N|any", value_delimiter = ',', help_heading = "Flow")]
    proto: Vec<String>,
    /// Source ports.
    #[arg(long, value_name = "PORTS", value_delimiter = ',', help_heading = "Flow")]
    sport: Vec<String>,
    /// Destination ports: 22,80-443.
    #[arg(long, value_name = "PORTS", value_delimiter = ',', help_heading = "Flow")]
    port: Vec<String>,
    /// Connection states: new, established, related, invalid, untracked.
    #[arg(long, value_name = "STATES", value_delimiter = ',', help_heading = "Flow")]
    ct: Vec<String>,
    /// AWS: ids of the security groups attached to the interface.
    #[arg(long, value_name = "ID", value_delimiter = ',', help_heading = "Flow")]
    group: Vec<String>,
    /// A name for addresses: admin=10.0.9.0/24.
    #[arg(long, value_name = "NAME=CIDR[,CIDR…]", help_heading = "Flow")]
    set: Vec<String>,
    /// The deployment file, for the names of nodes, networks and sites. Left out: havenlint.toml of this folder or one above.
    #[arg(long, value_name = "FILE", help_heading = "Flow")]
    config: Option<PathBuf>,
    /// Show all packets, in every connection state and with TCP flags, not only those that open a connection.
    #[arg(long, help_heading = "Output")]
    exact: bool,
    /// Show who can open a connection to which service: networks and services as one table.
    #[arg(long, conflicts_with = "exact", help_heading = "Output")]
    matrix: bool,
    /// Output format; markdown and csv with --matrix.
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = ["human", "json", "markdown", "csv"], help_heading = "Output")]
    format: String,
}

#[derive(Debug, Serialize)]
struct Undecided {
    #[serde(flatten)]
    flow: Flow,
    because: Vec<Reason>,
}

#[derive(Debug, Serialize)]
struct By {
    #[serde(flatten)]
    location: Location,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize)]
struct Witnesses {
    accepted: Option<Packet>,
    denied: Option<Packet>,
    undecided: Option<Packet>,
}

// The answer as it is printed.
#[derive(Debug, Serialize)]
struct Told {
    // The box that answers, where there are several.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    state: &'static str,
    accepted: Vec<Flow>,
    denied: Vec<Flow>,
    undecided: Vec<Undecided>,
    witnesses: Witnesses,
    decided_by: Vec<By>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    assumed: Vec<Reason>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    exhausted: bool,
    // New connections, where only those were asked about.
    #[serde(skip)]
    new: Option<New>,
}

// What becomes of new connections.
#[derive(Debug)]
struct New {
    accepted: Vec<(Region, Path)>,
    // Whether some are stopped.
    denied: bool,
    undecided: Vec<(Region, Path)>,
    // Of which only some are let through, and others not; and some undecided, the others stopped.
    partly: [Vec<(Region, Path)>; 2],
}

/// Runs the command.
pub fn execute(args: &Query, color: ColorChoice) -> u8 {
    if let Some(code) = through::execute(args, color) {
        return code;
    }
    let subjects = match Subjects::open(&args.inputs) {
        Ok(s) => s,
        Err(code) => return code,
    };
    if !args.matrix && ["markdown", "csv"].contains(&args.format.as_str()) {
        say(&format!("error: --format {} is for --matrix", args.format));
        return status::TROUBLE;
    }
    let names = match Names::open(args) {
        Ok(names) => names,
        Err(e) => {
            say(&format!("error: {e}"));
            return status::TROUBLE;
        }
    };
    if args.matrix {
        return tables(args, &subjects, &names, color);
    }
    let (answers, agreed) = match all(args, &subjects, &names) {
        Ok(a) => a,
        Err(e) => {
            say(&format!("error: {e}"));
            return status::TROUBLE;
        }
    };
    let paint = Paint { color: style(color, false).color };
    let printed = print(|out| match (args.format == "json", answers.as_slice()) {
        (true, [one]) if one.name.is_none() => write_document(one, out),
        (true, several) => write_document(&serde_json::json!({ "boxes": several }), out),
        (false, several) => several.iter().try_for_each(|told| match told.new {
            Some(_) => people::human(told, &names, paint, out),
            None => exact::human(told, paint, out),
        }),
    });
    if !agreed {
        say(
            "internal error: a packet shown here got another verdict when it was replayed; please report this",
        );
        return status::INTERNAL;
    }
    if printed == status::CLEAN { subjects.status } else { printed }
}

// The answer of every box that speaks for what is asked, and whether all witnesses hold.
fn all(args: &Query, subjects: &Subjects, names: &Names) -> Result<(Vec<Told>, bool), String> {
    let mut answers = Vec::new();
    let mut agreed = true;
    let mut silent = String::new();
    for subject in &subjects.boxes {
        match ask(args, subject, names)? {
            Ok((mut told, holds)) => {
                told.name = (subjects.boxes.len() > 1).then(|| subject.name.clone());
                agreed &= holds;
                answers.push(told);
            }
            Err(why) => silent = why,
        }
    }
    if answers.is_empty() { Err(silent) } else { Ok((answers, agreed)) }
}

// Why a box has nothing to say: its files speak for none of the families.
type Silent = String;

// Only packets that open a connection are of interest.
fn opens(args: &Query) -> bool {
    let new = args.ct.iter().all(|w| w.eq_ignore_ascii_case(ConnState::New.name()));
    args.matrix || args.format == "human" && !args.exact && new
}

// The answer, and whether its witnesses hold.
fn ask(args: &Query, subject: &Subject, names: &Names) -> Result<Result<(Told, bool), Silent>, String> {
    let path = subject.path(args.dir.parse::<Path>().map_err(|e| e.to_string())?);
    let environment = environment(args, subject)?;
    let firewalls = subject.all();
    let point = Point { firewalls: &firewalls, environment: &environment };
    let regions = match regions(args, subject, path, names)? {
        Ok(r) => r,
        Err(silent) => return Ok(Err(silent)),
    };
    if !opens(args) {
        let answers = answers(args, point, path, regions);
        return Ok(Ok(tell(subject, path, &answers, &[], true)));
    }
    let (mut answers, mut samples) = (Vec::new(), Vec::new());
    let mut partly = [Vec::new(), Vec::new()];
    for region in regions {
        let asked = openings(&region, family(&region));
        let question = Question { point, path, region, mark: 0, delivered_to: None };
        let outline = outline(&question, &asked, &people::UNTOLD);
        for p in outline.partly {
            let flow = as_flow(&p.region, family(&question.region));
            partly[usize::from(!p.accepted)].push((flow, path));
        }
        samples.extend(outline.samples.into_iter().map(|(verdict, part)| (question.clone(), verdict, part)));
        answers.push((question, outline.answer));
    }
    let (mut told, agreed) = tell(subject, path, &answers, &samples, false);
    let whole = partly.iter().all(Vec::is_empty);
    if !whole {
        told.state = "mixed";
    }
    told.new = Some(New {
        accepted: people::parts(&answers, |a| &a.accepted),
        denied: !whole || answers.iter().any(|(_, a)| !a.denied.is_empty()),
        undecided: people::parts(&answers, |a| &a.undecided),
        partly,
    });
    Ok(Ok((told, agreed)))
}

fn family(region: &Region) -> Family {
    region.get(Field::Dst).first().map_or(Family::V4, addr::family)
}

fn environment(args: &Query, subject: &Subject) -> Result<Environment, String> {
    let mut environment: Environment = args.inputs.reading.environment()?;
    if !args.group.is_empty() {
        if let Some(message) = subject.unknown_label(&args.group) {
            return Err(message);
        }
        environment.labels = Some(args.group.clone());
    }
    Ok(environment)
}

fn answers<'a>(
    args: &Query,
    point: Point<'a>,
    path: Path,
    regions: Vec<Region>,
) -> Vec<(Question<'a>, Answer)> {
    let asked = regions.into_iter().flat_map(|r| match opens(args) {
        true => openings(&r, family(&r)),
        false => vec![r],
    });
    let decided = asked.map(|region| {
        let question = Question { point, path, region, mark: 0, delivered_to: None };
        let answer = decide(&question);
        (question, answer)
    });
    decided.collect()
}

// Tables of all boxes that speak for what is asked.
fn tables(args: &Query, subjects: &Subjects, names: &Names, color: ColorChoice) -> u8 {
    let found: Result<Vec<matrix::Matrix>, String> = subjects
        .boxes
        .iter()
        .filter_map(|s| table(args, s, names, subjects.boxes.len() > 1).transpose())
        .collect();
    let found = match found {
        Ok(found) if !found.is_empty() => found,
        other => {
            say(&format!(
                "error: {}",
                other.err().unwrap_or_else(|| "no file covers what is asked".to_owned())
            ));
            return status::TROUBLE;
        }
    };
    let paint = Paint { color: style(color, false).color };
    let printed = print(|out| match (args.format.as_str(), found.as_slice()) {
        ("json", [one]) if one.name.is_none() => write_document(one, out),
        ("json", several) => write_document(&serde_json::json!({ "boxes": several }), out),
        ("markdown", several) => several.iter().try_for_each(|m| m.markdown(out)),
        ("csv", several) => {
            writeln!(out, "box,network,service,state")?;
            several.iter().try_for_each(|m| m.csv(out))
        }
        (_, several) => several.iter().try_for_each(|m| m.human(paint, out)),
    });
    if printed == status::CLEAN { subjects.status } else { printed }
}

fn table(
    args: &Query,
    subject: &Subject,
    names: &Names,
    several: bool,
) -> Result<Option<matrix::Matrix>, String> {
    let path = subject.path(args.dir.parse::<Path>().map_err(|e| e.to_string())?);
    let environment = environment(args, subject)?;
    let firewalls = subject.all();
    let point = Point { firewalls: &firewalls, environment: &environment };
    let regions = match regions(args, subject, path, names)? {
        Ok(r) => r,
        Err(_) => return Ok(None),
    };
    let names = names.with(args, subject)?;
    let (services, mut left_out) = matrix::services(&firewalls);
    let networks = match args.from.as_slice() {
        [] => {
            let (networks, rest) = matrix::networks(&firewalls, &names);
            left_out.splice(0..0, rest);
            networks
        }
        words => words
            .iter()
            .map(|w| Ok((w.clone(), addresses("--from", std::slice::from_ref(w), &names)?)))
            .collect::<Result<_, String>>()?,
    };
    // What the machine sends to itself comes from no network.
    let lo = interface_value("lo").map(IntervalSet::single).unwrap_or_default();
    let wires = Field::Iif.complement(&lo);
    let regions: Vec<Region> = match args.iif.is_empty() {
        true => regions.iter().map(|r| r.cut(Field::Iif, &wires)).collect(),
        false => regions,
    };
    let mut cells = Vec::new();
    for (_, set) in &networks {
        let own = regions.iter().map(|r| r.cut(Field::Src, set)).filter(|r| !r.is_empty());
        cells.push(matrix::cells(&answers(args, point, path, own.collect()), &services));
    }
    // Services outside of what is asked have no row.
    let asked =
        regions.iter().flat_map(|r| openings(r, r.get(Field::Dst).first().map_or(Family::V4, addr::family)));
    let asked: Vec<Region> = asked.collect();
    let keep: Vec<bool> = services.iter().map(|s| asked.iter().any(|r| s.meets(r))).collect();
    let kept =
        |list: Vec<&'static str>| list.into_iter().zip(&keep).filter(|(_, k)| **k).map(|(x, _)| x).collect();
    Ok(Some(matrix::Matrix {
        name: several.then(|| subject.name.clone()),
        networks: networks.into_iter().map(|(n, _)| n).collect(),
        services: services.into_iter().zip(&keep).filter(|(_, k)| **k).map(|(s, _)| s.name).collect(),
        cells: cells.into_iter().map(kept).collect(),
        left_out,
    }))
}

// The regions asked for, by family.
fn regions(
    args: &Query,
    subject: &Subject,
    path: Path,
    names: &Names,
) -> Result<Result<Vec<Region>, Silent>, String> {
    let names = names.with(args, subject)?;
    let from = addresses("--from", &args.from, &names)?;
    let to = addresses("--to", &args.to, &names)?;
    let mut out = Vec::new();
    let mut silent = None;
    for family in Family::ALL {
        let region = path.packets(family).cut(Field::Src, &from).cut(Field::Dst, &to);
        if region.is_empty() {
            continue;
        }
        if subject.covers(family) {
            out.push(fields(args, subject, path, family, region)?);
        } else {
            silent = Some(family);
        }
    }
    match silent {
        Some(f) if out.is_empty() => Ok(Err(format!("no file covers IPv{}", f.number()))),
        None if out.is_empty() => Err("--from and --to have no address family in common".to_owned()),
        _ => Ok(Ok(out)),
    }
}

fn fields(
    args: &Query,
    subject: &Subject,
    path: Path,
    family: Family,
    mut r: Region,
) -> Result<Region, String> {
    if !args.proto.is_empty() {
        r = r.cut(Field::Proto, &protocols(&args.proto, family)?);
    }
    for (option, words, field) in
        [("--sport", &args.sport, Field::Sport), ("--port", &args.port, Field::Dport)]
    {
        if !words.is_empty() {
            let set = ports(option, words)?;
            let with = shared_carriers(field).map_or_else(|| Field::Proto.all(), |c| (**c).clone());
            r = r.cut(field, &set).cut(Field::Proto, &with);
            if r.get(Field::Proto).is_empty() {
                return Err(format!("{option}: this protocol has no ports"));
            }
        }
    }
    if !args.ct.is_empty() {
        let state = |w: &String| {
            let found = ConnState::ALL.into_iter().find(|c| c.name().eq_ignore_ascii_case(w));
            found.map(ConnState::value).ok_or_else(|| {
                format!(
                    "--ct {w}: unknown connection state; use new, established, related, invalid or untracked"
                )
            })
        };
        let states: IntervalSet = args.ct.iter().map(state).collect::<Result<_, _>>()?;
        r = r.cut(Field::State, &states);
    }
    for (option, words, field) in [("--iif", &args.iif, Field::Iif), ("--oif", &args.oif, Field::Oif)] {
        if words.is_empty() {
            continue;
        }
        if *r.get(field) == IntervalSet::single(0u8) {
            return Err(format!("{option}: packets of direction {path} have no such interface"));
        }
        let keys: Vec<String> = words.iter().map(|w| subject.interface(w).unwrap_or(w).to_owned()).collect();
        r = r.cut(field, &interfaces(option, &keys)?);
    }
    Ok(r)
}

fn addresses(option: &str, words: &[String], names: &Names) -> Result<IntervalSet, String> {
    if words.is_empty() {
        return Ok(Field::Src.all());
    }
    let mut out = IntervalSet::EMPTY;
    for w in words.iter().map(|w| w.trim()) {
        let set = match w {
            "any" | "*" => Field::Src.all(),
            _ => names.get(w).cloned().or_else(|| addr::parse(w)).ok_or_else(|| {
                format!("{option} {w}: this is not an address, a prefix, a range, or a name given with --set")
            })?,
        };
        out = out.union(&set);
    }
    Ok(out)
}

fn protocols(words: &[String], family: Family) -> Result<IntervalSet, String> {
    let mut out = IntervalSet::EMPTY;
    for w in words {
        let set = match w.as_str() {
            "any" | "*" => Field::Proto.all(),
            "icmp" if family == Family::V6 => IntervalSet::single(proto::ICMPV6),
            _ => IntervalSet::single(
                proto::parse(w)
                    .ok_or_else(|| format!("--proto {w}: unknown protocol; use a name or a number"))?,
            ),
        };
        out = out.union(&set);
    }
    Ok(out)
}

fn ports(option: &str, words: &[String]) -> Result<IntervalSet, String> {
    let bad = |w: &str| format!("{option} {w}: write ports as 22 or 80-443");
    let mut ranges: Vec<(Value, Value)> = Vec::new();
    for w in words.iter().map(|w| w.trim()) {
        let (lo, hi) = w.split_once(['-', ':']).unwrap_or((w, w));
        let (lo, hi): (u16, u16) =
            (lo.trim().parse().map_err(|_| bad(w))?, hi.trim().parse().map_err(|_| bad(w))?);
        if lo > hi {
            return Err(bad(w));
        }
        ranges.push((lo.into(), hi.into()));
    }
    Ok(IntervalSet::from_ranges(ranges))
}

fn interfaces(option: &str, words: &[String]) -> Result<IntervalSet, String> {
    let mut out = IntervalSet::EMPTY;
    for w in words.iter().map(|w| w.trim()) {
        let set = match w.strip_suffix(['*', '+']) {
            Some(prefix) => interface_prefix(prefix),
            None => interface_value(w).map(IntervalSet::single),
        };
        out = out.union(&set.map_err(|e| format!("{option} {w}: {e}"))?);
    }
    Ok(out)
}

// With parts that show a verdict where no part of the answers has it. `spelled`: with every box in words. A table for people says it otherwise, and
// there may be very many.
fn tell(
    subject: &Subject,
    path: Path,
    answers: &[(Question<'_>, Answer)],
    samples: &[(Question<'_>, Verdict, Part)],
    spelled: bool,
) -> (Told, bool) {
    let mut agreed = true;
    let mut seen = |verdict: Verdict, pick: fn(&Answer) -> &Vec<Part>| {
        let parts = answers.iter().flat_map(|(q, a)| pick(a).iter().map(move |p| (q, p)));
        let largest = parts.max_by(|a, b| a.1.region.weight().total_cmp(&b.1.region.weight()));
        let (q, p) =
            largest.or_else(|| samples.iter().find(|s| s.1 == verdict).map(|(q, _, part)| (q, part)))?;
        let packet = witness(q, p);
        agreed &= packet.is_some();
        packet
    };
    let witnesses = Witnesses {
        accepted: seen(Verdict::Accept, |a| &a.accepted),
        denied: seen(Verdict::Drop, |a| &a.denied),
        undecided: seen(Verdict::Undecided, |a| &a.undecided),
    };
    let most = if spelled { usize::MAX } else { 1 };
    let spell = |pick: fn(&Answer) -> &Vec<Part>| -> Vec<Flow> {
        let parts = answers.iter().filter(|_| spelled).flat_map(|(_, a)| pick(a));
        flows(&parts.map(|p| p.region.clone()).collect::<Vec<_>>(), path)
    };
    let (accepted, denied) = (spell(|a| &a.accepted), spell(|a| &a.denied));
    let undecided = undecided(subject, path, answers, samples, most);
    let some = |pick: fn(&Answer) -> &Vec<Part>| answers.iter().any(|(_, a)| !pick(a).is_empty());
    let state = match (some(|a| &a.accepted), some(|a| &a.denied), some(|a| &a.undecided)) {
        (true, false, false) => "accepted",
        (false, true, false) => "denied",
        (false, false, true) => "undecided",
        _ => "mixed",
    };
    let mut assumed: Vec<Because> = Vec::new();
    for b in answers.iter().flat_map(|(_, a)| &a.accepted).flat_map(|p| &p.assumed) {
        if !assumed.contains(b) {
            assumed.push(b.clone());
        }
    }
    let told = Told {
        new: None,
        name: None,
        state,
        accepted,
        denied,
        undecided,
        witnesses,
        decided_by: deciders(subject, answers, samples),
        assumed: subject.reasons(&assumed),
        exhausted: answers.iter().any(|(_, a)| a.exhausted),
    };
    (told, agreed)
}

// Undecided boxes, those with the same reasons joined; of each reason at most so many parts.
fn undecided(
    subject: &Subject,
    path: Path,
    answers: &[(Question<'_>, Answer)],
    samples: &[(Question<'_>, Verdict, Part)],
    most: usize,
) -> Vec<Undecided> {
    let mut groups: Vec<(&[Because], Vec<Region>)> = Vec::new();
    let samples = samples.iter().filter(|s| s.1 == Verdict::Undecided).map(|s| &s.2);
    for p in answers.iter().flat_map(|(_, a)| &a.undecided).chain(samples) {
        match groups.iter_mut().find(|g| g.0 == p.because) {
            Some(g) if g.1.len() >= most => {}
            Some(g) => g.1.push(p.region.clone()),
            None => groups.push((&p.because, vec![p.region.clone()])),
        }
    }
    let of = |(because, regions): (&[Because], Vec<Region>)| {
        let because = subject.reasons(because);
        flows(&regions, path)
            .into_iter()
            .map(move |flow| Undecided { flow, because: because.clone() })
            .collect::<Vec<_>>()
    };
    groups.into_iter().flat_map(of).collect()
}

fn deciders(
    subject: &Subject,
    answers: &[(Question<'_>, Answer)],
    samples: &[(Question<'_>, Verdict, Part)],
) -> Vec<By> {
    let mut weighed: Vec<(f64, &Part)> = answers
        .iter()
        .flat_map(|(_, a)| a.accepted.iter().chain(&a.denied).chain(&a.undecided))
        .chain(samples.iter().map(|s| &s.2))
        .map(|p| (p.region.weight(), p))
        .collect();
    weighed.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut seen = std::collections::HashSet::new();
    let mut out = Vec::new();
    for d in weighed.iter().flat_map(|(_, p)| &p.decided_by).filter(|d| seen.insert(**d)) {
        let f = &subject.firewalls[d.firewall];
        out.push(By {
            location: f.locate(d.origin),
            verdict: match d.verdict {
                Verdict::Accept => "accepted",
                Verdict::Drop => "denied",
                Verdict::Undecided => "undecided",
            },
            note: d.note.map(|n| f.notes[n.index()].clone()),
        });
    }
    out
}
