//! `havenlint trace --from … --to …`: the way of a flow through a deployment, box by box, there and back.

use super::{Inputs, print, say, status, style};
use crate::analysis::Verdict;
use crate::compliance::journey::{Decision, Visit};
use crate::evidence::near::few;
use crate::finding::{Flow, Reason};
use crate::packet::{IntervalSet, addr, proto};
use crate::report::json::write_line;
use crate::report::text::{Ink, Paint, clean};
use crate::session::Options;
use crate::session::network::{Asked, Network, Told, any_port};
use crate::source::Location;
use clap::{Args, ColorChoice};
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

/// The ends of a flow through a deployment.
#[derive(Debug, Clone, Args)]
pub struct Ends {
    /// Follow a flow through the deployment of havenlint.toml: who sends. A node, its network (web-1.front), a site, a network, `internet`, or
    /// addresses.
    #[arg(long, value_name = "NAME|CIDR", requires = "to", help_heading = "Flow through a deployment")]
    from: Option<String>,
    /// Who is sent to, likewise.
    #[arg(long, value_name = "NAME|CIDR", requires = "from", help_heading = "Flow through a deployment")]
    to: Option<String>,
    /// Its protocol.
    #[arg(long, value_name = "tcp|udp|N", default_value = "tcp", help_heading = "Flow through a deployment")]
    proto: String,
    /// Its destination ports: 22,80-443. Left out: all.
    #[arg(long, value_name = "PORTS", help_heading = "Flow through a deployment")]
    port: Option<String>,
    /// The deployment file.
    #[arg(long, value_name = "FILE", help_heading = "Flow through a deployment")]
    config: Option<PathBuf>,
}

#[derive(Serialize)]
struct Way<'a> {
    from: &'a str,
    to: &'a str,
    flow: Flow,
    family: u8,
    verdict: &'static str,
    /// What of the flow every box lets through, what some box stops, and what is not decided.
    accepted: &'a [Flow],
    denied: &'a [Flow],
    undecided: &'a [Flow],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    not_checked: &'a [String],
    boxes: Vec<Box_<'a>>,
}

#[derive(Serialize)]
#[serde(rename = "box")]
struct Box_<'a> {
    name: &'a str,
    path: &'a str,
    iif: &'a [String],
    oif: &'a [String],
    verdict: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    not_checked: &'a str,
    decisions: Vec<Decided<'a>>,
    accepted: &'a [Flow],
    denied: &'a [Flow],
    undecided: &'a [Flow],
    because: &'a [Reason],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    leaves_as: &'a [String],
}

#[derive(Serialize)]
struct Decided<'a> {
    packets: &'static str,
    verdict: Verdict,
    decided_by: &'a [Location],
    because: &'a [Reason],
}

impl Ends {
    /// The ends of a flow that is told in other words.
    pub fn of(from: &str, to: &str, proto: &str, port: Option<String>, config: Option<PathBuf>) -> Self {
        Self { from: Some(from.to_owned()), to: Some(to.to_owned()), proto: proto.to_owned(), port, config }
    }

    /// Whether a flow through a deployment is asked for.
    pub fn asked(&self) -> bool {
        self.from.is_some()
    }

    fn question(&self) -> Result<Asked, String> {
        let protocol =
            proto::parse(&self.proto).ok_or_else(|| format!("--proto {}: unknown protocol", self.proto))?;
        let port = |w: &str| -> Option<IntervalSet> {
            let (lo, hi) = w.split_once('-').unwrap_or((w, w));
            let (lo, hi): (u16, u16) = (lo.trim().parse().ok()?, hi.trim().parse().ok()?);
            (lo <= hi).then(|| IntervalSet::range(lo, hi))
        };
        let mut ports = any_port();
        if let Some(text) = &self.port {
            if !proto::WITH_PORTS.contains(&protocol) {
                return Err(format!("--port: {} has no ports", proto::name(protocol)));
            }
            ports = IntervalSet::EMPTY;
            for w in text.split(',') {
                ports =
                    ports.union(&port(w).ok_or_else(|| format!("--port {w}: write ports as 22 or 80-443"))?);
            }
        }
        let end = |e: &Option<String>| e.clone().unwrap_or_default();
        Ok(Asked { from: end(&self.from), to: end(&self.to), protocol, ports })
    }
}

/// How people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Box by box, with every decision.
    Way,
    /// What gets through, and what each box stops.
    Parts,
}

/// Runs it.
pub fn execute(ends: &Ends, inputs: &Inputs, shape: Shape, json: bool, color: ColorChoice) -> u8 {
    let found = (|| {
        let asked = ends.question()?;
        let (read, forced) = inputs.reading.options()?;
        let options = Options {
            paths: inputs.paths.clone(),
            config: ends.config.clone(),
            throttled: inputs.reading.assumes("throttled"),
            forged: inputs.reading.assumes("forged"),
            read,
            forced,
            ..Options::default()
        };
        let network = Network::open(&options)
            .ok_or("no deployment file: write havenlint.toml, or name it with --config".to_owned())?;
        Ok::<_, String>((asked, network))
    })();
    let (asked, network) = match found {
        Ok(f) => f,
        Err(e) => {
            say(&format!("error: {e}"));
            return status::TROUBLE;
        }
    };
    for p in network.problems() {
        say(&format!("error: {}:{}: {}", p.location.path, p.location.line, p.message));
    }
    if !network.is_sound() {
        return status::TROUBLE;
    }
    let told = match network.ask(&asked) {
        Ok(t) => t,
        Err(e) => {
            say(&format!("error: {e}"));
            return status::TROUBLE;
        }
    };
    let paint = Paint { color: !json && style(color, false).color };
    let printed = print(|out| {
        told.iter().try_for_each(|t| match (json, shape) {
            (true, _) => machine(t, &asked, out),
            (false, Shape::Way) => human(t, &asked, paint, out),
            (false, Shape::Parts) => parts(t, &asked, paint, out),
        })
    });
    let trouble = network.problems().next().is_some();
    if printed == status::CLEAN && trouble { status::TROUBLE } else { printed }
}

fn word(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Accept) => "accept",
        Some(Verdict::Drop) => "drop",
        Some(Verdict::Undecided) => "undecided",
        None => "not checked",
    }
}

fn service(asked: &Asked) -> String {
    let name = proto::name(asked.protocol);
    if asked.ports == any_port() {
        name
    } else {
        format!("{name}/{}", crate::evidence::near::ports(&asked.ports).join(","))
    }
}

fn machine(t: &Told, asked: &Asked, out: &mut dyn Write) -> io::Result<()> {
    let boxes = t.journey.boxes.iter().map(|b| Box_ {
        name: &b.name,
        path: &b.path,
        iif: &b.iif,
        oif: &b.oif,
        verdict: word(b.not_checked.is_empty().then_some(b.verdict)),
        not_checked: &b.not_checked,
        decisions: b
            .decisions
            .iter()
            .map(|d| Decided {
                packets: d.stage.words(),
                verdict: d.verdict,
                decided_by: &d.decided_by,
                because: &d.because,
            })
            .collect(),
        accepted: &b.flows[0],
        denied: &b.flows[1],
        undecided: &b.flows[2],
        because: &b.depends,
        leaves_as: &b.leaves_as,
    });
    let [from, to] = &t.addresses;
    let way = Way {
        from: &t.from,
        to: &t.to,
        flow: Flow {
            from: addr::display(from),
            to: addr::display(to),
            proto: proto::name(asked.protocol),
            port: if asked.ports == any_port() {
                String::new()
            } else {
                crate::evidence::near::ports(&asked.ports).join(",")
            },
            ..Flow::default()
        },
        family: t.journey.family.number(),
        verdict: word(t.journey.verdict()),
        accepted: &t.journey.through[0],
        denied: &t.journey.through[1],
        undecided: &t.journey.through[2],
        not_checked: &t.journey.silent,
        boxes: boxes.collect(),
    };
    write_line(&way, out)
}

fn painted(paint: Paint, v: Option<Verdict>) -> String {
    let ink = match v {
        Some(Verdict::Accept) => Ink::Green,
        Some(Verdict::Drop) => Ink::Red,
        Some(Verdict::Undecided) | None => Ink::Yellow,
    };
    paint.ink(ink, word(v))
}

// Who sends what to whom, behind the verdict.
fn title(t: &Told, asked: &Asked, verdict: &str, out: &mut dyn Write) -> io::Result<()> {
    let end = |name: &str, set: &IntervalSet| {
        let text = few(&addr::display(set));
        if text == name { text } else { format!("{name} ({text})") }
    };
    let [from, to] = &t.addresses;
    let (from, to) = (clean(&end(&t.from, from)).into_owned(), clean(&end(&t.to, to)).into_owned());
    let family = t.journey.family.number();
    writeln!(out, "{verdict}  {from} > {to}, {} over IPv{family}", service(asked))
}

// What gets through, and what each box stops.
fn parts(t: &Told, asked: &Asked, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    const SHOWN: usize = 20;
    let state = match t.journey.through.each_ref().map(Vec::is_empty) {
        [false, true, true] => paint.ink(Ink::Green, "accepted"),
        [true, false, true] => paint.ink(Ink::Red, "denied"),
        [true, true, false] => paint.ink(Ink::Yellow, "undecided"),
        _ => paint.ink(Ink::Yellow, "mixed"),
    };
    title(t, asked, &state, out)?;
    if t.journey.boxes.is_empty() {
        writeln!(out, "  no firewall that the deployment names lies on the way")?;
    }
    let list = |indent: &str, title: &str, flows: &[Flow], out: &mut dyn Write| -> io::Result<()> {
        if flows.is_empty() {
            return Ok(());
        }
        writeln!(out, "{indent}{title}")?;
        for f in flows.iter().take(SHOWN) {
            writeln!(out, "{indent}  {}", clean(&flow_text(f)))?;
        }
        match flows.len().checked_sub(SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => writeln!(out, "{indent}  … {more} more; --format json shows all"),
        }
    };
    let [passed, stopped, unsure] = &t.journey.through;
    list("  ", "every box on the way lets through", passed, out)?;
    list("  ", "stopped on the way", stopped, out)?;
    list("  ", "not decided", unsure, out)?;
    for name in &t.journey.silent {
        let family = t.journey.family.number();
        writeln!(out, "  not checked: no file of {} speaks for IPv{family}", clean(name))?;
    }
    for (n, b) in t.journey.boxes.iter().enumerate().filter(|(_, b)| b.not_checked.is_empty()) {
        let verdict = painted(paint, Some(b.verdict));
        writeln!(out, "{:>3}  {}  {}  {verdict}", n + 1, clean(&b.name), way(b))?;
        list("       ", "stops", &b.flows[1], out)?;
        list("       ", "may stop", &b.flows[2], out)?;
        for d in b.decisions.iter().filter(|d| d.verdict != Verdict::Accept) {
            decision(d, &painted(paint, Some(d.verdict)), out)?;
        }
        depends(b, out)?;
    }
    Ok(())
}

// `tcp/22,80-443  10.1.0.0/24 > 10.2.0.9`.
fn flow_text(f: &Flow) -> String {
    let port = if f.port.is_empty() { String::new() } else { format!("/{}", f.port) };
    let sport = if f.sport.is_empty() { String::new() } else { format!(" source port {}", f.sport) };
    format!("{}{port}{sport}  {} > {}", f.proto, few(&f.from), few(&f.to))
}

fn depends(b: &Visit, out: &mut dyn Write) -> io::Result<()> {
    for r in &b.depends {
        let why = if r.why.is_empty() { String::new() } else { format!(" ({})", clean(&r.why)) };
        writeln!(out, "       depends on {}{why}", clean(&r.text))?;
    }
    b.leaves_as.iter().try_for_each(|text| writeln!(out, "       leaves as {text}"))
}

fn human(t: &Told, asked: &Asked, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    title(t, asked, &painted(paint, t.journey.verdict()), out)?;
    if t.journey.boxes.is_empty() {
        writeln!(out, "  no firewall that the deployment names lies on the way")?;
    }
    for (n, b) in t.journey.boxes.iter().enumerate() {
        let verdict = painted(paint, b.not_checked.is_empty().then_some(b.verdict));
        writeln!(out, "{:>3}  {}  {}  {verdict}", n + 1, clean(&b.name), way(b))?;
        if !b.not_checked.is_empty() {
            writeln!(out, "       {}", clean(&b.not_checked))?;
        }
        for d in &b.decisions {
            decision(d, &painted(paint, Some(d.verdict)), out)?;
        }
        depends(b, out)?;
    }
    Ok(())
}

// By which interfaces it goes: `output by eth0`, `eth0 > eth1`.
fn way(b: &Visit) -> String {
    match (b.iif.as_slice(), b.oif.as_slice()) {
        ([], []) => b.path.clone(),
        (i, []) => format!("{} by {}", b.path, i.join(" or ")),
        ([], o) => format!("{} by {}", b.path, o.join(" or ")),
        (i, o) => format!("{} {} > {}", b.path, i.join(" or "), o.join(" or ")),
    }
}

fn decision(d: &Decision, verdict: &str, out: &mut dyn Write) -> io::Result<()> {
    const SHOWN: usize = 4;
    for (n, l) in d.decided_by.iter().take(SHOWN).enumerate() {
        let (stage, verdict) = if n == 0 { (d.stage.words(), verdict) } else { ("", "") };
        writeln!(
            out,
            "       {stage:<27} {verdict:<9} {}:{}  {}",
            clean(&l.path),
            l.line,
            clean(l.text.trim())
        )?;
    }
    if d.decided_by.len() > SHOWN {
        writeln!(out, "       {:<37} and {} more lines", "", d.decided_by.len() - SHOWN)?;
    }
    for r in &d.because {
        let why = if r.why.is_empty() { String::new() } else { format!(" ({})", clean(&r.why)) };
        writeln!(
            out,
            "       depends on {} at {}:{}{why}",
            clean(&r.text),
            clean(&r.location.path),
            r.location.line
        )?;
    }
    Ok(())
}
