//! `havenlint trace`: what happens to single packets.

use super::journey::Shape;
use super::subject::{Subject, Subjects, place};
use super::{Inputs, journey, print, say, status, style};
use crate::analysis::evaluate::{Decider, Trace as Traced, evaluate};
use crate::analysis::{Environment, Point, Verdict};
use crate::dialect::{Missing, by_name};
use crate::evidence::near::near_misses;
use crate::finding::{Fix, Reason, Related};
use crate::model::{Firewall, Term};
use crate::packet::{
    ConnState, Field, IntervalSet, Packet, PacketError, Region, Value, interface_name, interface_value,
};
use crate::report::json::write_line;
use crate::report::text::{Ink, Paint, clean, width};
use crate::source::{Location, RuleName, Text};
use clap::{Args, ColorChoice};
use rayon::prelude::*;
use serde::Serialize;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Show what happens to a packet: verdict, deciding rule, every step through chains.
///
/// Each file is a machine of its own and gets its own answer, unless you say --same-box.
#[derive(Debug, Args)]
#[command(after_help = super::help::TRACE)]
#[group(id = "what", required = true, multiple = true, args = ["packet", "packets", "from"])]
pub struct Trace {
    #[command(flatten)]
    inputs: Inputs,
    /// A packet: direction, interfaces, protocol, source > destination; repeatable.
    #[arg(long, value_name = "TEXT", help_heading = "Packets")]
    packet: Vec<String>,
    /// Packets as JSON, one object per line; `-` reads standard input.
    #[arg(long, value_name = "FILE.jsonl", help_heading = "Packets")]
    packets: Option<PathBuf>,
    /// The way through a deployment, there and back.
    #[command(flatten)]
    journey: journey::Ends,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = ["human", "json"], help_heading = "Output")]
    format: String,
}

/// A rule or policy that decided, as it is printed.
#[derive(Debug, Serialize)]
struct By {
    #[serde(flatten)]
    location: Location,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize)]
struct Step {
    hook: &'static str,
    table: String,
    chain: String,
    path: String,
    line: u32,
    result: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Box<RuleName>>,
}

// What is printed of a packet.
#[derive(Debug, Serialize)]
struct Told {
    // The box that answers, where there are several.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    verdict: Verdict,
    decided_by: Option<By>,
    because: Vec<Reason>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    assumed: Vec<Reason>,
    steps: Vec<Step>,
    // Rules that would let it in, had one thing been different.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nearly: Vec<Related>,
    // What would let it in. It is not proven to let in nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<Fix>,
}

// Packets that are answered together before they are printed.
const BATCH: usize = 4096;

/// Runs the command.
pub fn execute(args: &Trace, color: ColorChoice) -> u8 {
    if args.journey.asked() {
        return journey::execute(&args.journey, &args.inputs, Shape::Way, args.format == "json", color);
    }
    let stdin_twice = args.packets.as_deref() == Some(Path::new("-"))
        && args.inputs.paths.iter().any(|p| p.as_os_str() == "-");
    if stdin_twice {
        say("error: files and packets cannot both come from standard input");
        return status::TROUBLE;
    }
    let subjects = match Subjects::open(&args.inputs) {
        Ok(s) => s,
        Err(code) => return code,
    };
    let environment = match args.inputs.reading.environment() {
        Ok(e) => e,
        Err(e) => {
            say(&format!("error: {e}"));
            return status::TROUBLE;
        }
    };
    let mut source: Box<dyn BufRead> = match &args.packets {
        None => Box::new(io::empty()),
        Some(p) if p.as_os_str() == "-" => Box::new(BufReader::new(io::stdin())),
        Some(p) => match crate::source::discover::open(p) {
            Ok(f) => Box::new(BufReader::new(f)),
            Err(e) => {
                say(&format!("error: cannot read {}: {e}", p.display()));
                return status::TROUBLE;
            }
        },
    };
    let json = args.format == "json";
    let paint = Paint { color: !json && style(color, false).color };
    let run = Run { subjects: &subjects, environment: &environment, json, paint };
    let mut refused = false;
    let printed = print(|out| {
        let words: Vec<_> = args.packet.iter().map(|t| t.parse().map_err(|e| Refused::word(&e, t))).collect();
        refused |= run.answer(&words, out)?;
        loop {
            let batch = read_batch(source.as_mut())?;
            if batch.is_empty() {
                return Ok(());
            }
            refused |= run.answer(&batch, out)?;
        }
    });
    match () {
        () if printed != status::CLEAN => printed,
        () if refused => status::TROUBLE,
        () => subjects.status,
    }
}

type Asked = Result<Packet, Refused>;

/// Why a packet has no answer.
#[derive(Debug, Clone)]
struct Refused {
    message: String,
    /// The packet's words with the wrong one underlined; empty where they are not at hand.
    words: String,
}

// The hardware address of a packet that tells none and comes over a wire, where rules ask for it: one that no rule names.
fn hardware(packet: &Packet, firewalls: &[&Firewall]) -> Option<Value> {
    const OWN: Value = 0x0200_5e00_5300; // locally administered, after the block for documentation of RFC 9542
    const MANY: Value = 1 << 24;
    let wire = packet.get(Field::Iif).is_some_and(|i| i != 0 && Ok(i) != interface_value("lo"));
    if !wire || packet.get(Field::Mac) != Some(0) {
        return None;
    }
    let terms = firewalls.iter().flat_map(|f| f.terms.iter().map(move |t| (f, t)));
    let named: Vec<&IntervalSet> = terms
        .filter_map(|(f, t)| match t {
            Term::In(Field::Mac, id) => Some(f.sets.get(*id)),
            _ => None,
        })
        .collect();
    let unnamed = |mac: &Value| named.iter().all(|s| s.count() >= MANY || !s.contains(*mac));
    (OWN..OWN + 256).find(unnamed).filter(|_| !named.is_empty())
}

impl Refused {
    fn new(e: impl std::fmt::Display) -> Self {
        Self { message: e.to_string(), words: String::new() }
    }

    /// What is wrong with a packet in words: the word that the message quotes.
    fn word(e: &PacketError, text: &str) -> Self {
        let message = e.to_string();
        let text = clean(text).into_owned();
        let quoted = message.split('`').nth(1).filter(|w| !w.is_empty());
        let at = quoted.and_then(|w| Some((text.find(w)?, w)));
        let words = at.map_or_else(String::new, |(at, w)| {
            format!("  {text}\n  {}{}\n", " ".repeat(width(&text[..at])), "^".repeat(width(w)))
        });
        Self { message, words }
    }
}

// A line longer than this is no packet.
const MAX_LINE: u64 = 1 << 16;

fn read_batch(source: &mut dyn BufRead) -> io::Result<Vec<Asked>> {
    let mut out = Vec::new();
    let mut line = Vec::new();
    while out.len() < BATCH {
        line.clear();
        if Read::take(&mut *source, MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if !text.is_empty() {
            out.push(serde_json::from_str(text).map_err(Refused::new));
        }
    }
    Ok(out)
}

struct Run<'a> {
    subjects: &'a Subjects,
    environment: &'a Environment,
    json: bool,
    paint: Paint,
}

impl Run<'_> {
    // Prints the answers in order; true if a packet was refused.
    fn answer(&self, batch: &[Asked], out: &mut dyn Write) -> io::Result<bool> {
        let lines: Vec<(String, bool)> = batch.par_iter().map(|p| self.one(p)).collect();
        let mut refused = false;
        for (text, bad) in lines {
            refused |= bad;
            out.write_all(text.as_bytes())?;
        }
        Ok(refused)
    }

    // What every box says to a packet.
    fn one(&self, asked: &Asked) -> (String, bool) {
        let packet = match asked {
            Ok(p) => p,
            Err(e) => return self.line(Err(e.clone())),
        };
        let mut out = (String::new(), false);
        for subject in self.subjects.speaking(&[packet.family()]) {
            let (text, refused) = self.line(self.told(subject, packet.clone()));
            out.0 += &text;
            out.1 |= refused;
        }
        out
    }

    fn line(&self, told: Result<(Packet, Told), Refused>) -> (String, bool) {
        match (told, self.json) {
            (Ok((_, told)), true) => (line(&told), false),
            (Ok((packet, told)), false) => (self.human(&packet, &told), false),
            (Err(e), true) => (line(&serde_json::json!({ "error": e.message })), true),
            (Err(e), false) => {
                let head = self.paint.ink(Ink::Red, "refused");
                (format!("{head}  {}\n{}", clean(&e.message), e.words), true)
            }
        }
    }

    fn told(&self, subject: &Subject, mut packet: Packet) -> Result<(Packet, Told), Refused> {
        packet.path = subject.path(packet.path);
        for field in [Field::Iif, Field::Oif] {
            let written = packet.get(field).filter(|v| *v != 0).map(interface_name);
            let known = written.and_then(|name| subject.interface(&name).map(interface_value));
            if let Some(Ok(value)) = known {
                packet.set(field, value);
            }
        }
        if !subject.covers(packet.family()) {
            return Err(Refused::new(format!("no file covers IPv{} packets", packet.family().number())));
        }
        let mut environment = self.environment.clone();
        if let Some(groups) = &packet.groups {
            if let Some(message) = subject.unknown_label(groups) {
                return Err(Refused::new(message));
            }
            environment.labels = Some(groups.clone());
        }
        let firewalls = subject.all();
        if let Some(mac) = hardware(&packet, &firewalls) {
            packet.set(Field::Mac, mac);
        }
        let trace = evaluate(Point { firewalls: &firewalls, environment: &environment }, &packet);
        let mut told = Self::tell(subject, &trace);
        told.name = (self.subjects.boxes.len() > 1).then(|| subject.name.clone());
        if trace.verdict == Verdict::Drop
            && let Some(d) = &trace.decided_by
        {
            let firewall = &subject.firewalls[d.firewall];
            told.nearly = near_misses(firewall, &packet);
            told.fix = opening(firewall, d, &packet);
        }
        Ok((packet, told))
    }

    fn tell(subject: &Subject, t: &Traced) -> Told {
        let firewalls = &subject.firewalls;
        let by = |d: &Decider| {
            let f = &firewalls[d.firewall];
            By { location: f.locate(d.origin), note: d.note.map(|n| f.notes[n.index()].clone()) }
        };
        let steps = t.steps.iter().map(|s| {
            let f = &firewalls[s.firewall];
            let chain = f.chain(s.chain);
            let at = f.locate(s.origin);
            Step {
                hook: s.hook.name(),
                table: chain.table.clone(),
                chain: chain.name.clone(),
                path: at.path.into(),
                line: at.line,
                result: s.result.clone(),
                rule: at.rule,
            }
        });
        Told {
            name: None,
            verdict: t.verdict,
            decided_by: t.decided_by.as_ref().map(by),
            because: subject.reasons(&t.because),
            assumed: if t.verdict == Verdict::Accept { subject.reasons(&t.assumed) } else { Vec::new() },
            steps: steps.collect(),
            nearly: Vec::new(),
            fix: None,
        }
    }

    fn human(&self, packet: &Packet, t: &Told) -> String {
        let word = match t.verdict {
            Verdict::Accept => self.paint.ink(Ink::Green, "accept"),
            Verdict::Drop => self.paint.ink(Ink::Red, "drop"),
            Verdict::Undecided => self.paint.ink(Ink::Yellow, "undecided"),
        };
        let at = t.name.as_ref().map(|n| format!(" at {}", clean(n))).unwrap_or_default();
        let mut out = format!("{word}  {packet} ({}){at}\n", packet.path);
        match &t.decided_by {
            Some(by) => {
                let note = by.note.as_ref().map(|n| format!(" ({})", clean(n))).unwrap_or_default();
                let rule = by.location.rule.as_ref().map(|r| format!(" {}", clean(&r.to_string())));
                let text = clean(&by.location.text).into_owned() + &rule.unwrap_or_default();
                out += &format!("  decided by {}: {text}{note}\n", place(&by.location));
            }
            None => out += "  no chain sees it\n",
        }
        for (title, list) in [("undecided because of", &t.because), ("assuming not exceeded:", &t.assumed)] {
            for r in list {
                out += &format!("  {title} {} at {}{}\n", clean(&r.text), place(&r.location), why(&r.why));
            }
        }
        for r in &t.nearly {
            out +=
                &format!("  {} at {}: {}\n", clean(&r.message), place(&r.location), clean(&r.location.text));
        }
        if let Some(fix) = &t.fix {
            out += &format!("  to let it in, {} of {}:\n", clean(&fix.description), clean(&fix.path));
            for l in fix.text.lines() {
                out += &format!("      {}\n", self.paint.ink(Ink::Green, &clean(l)));
            }
        }
        for s in &t.steps {
            let chain = if s.table.is_empty() { s.chain.clone() } else { format!("{}/{}", s.table, s.chain) };
            let line = format!("{:<11} {:<24} {:<20}", s.hook, clean(&chain), clean(&s.result));
            let rule = s.rule.as_ref().filter(|r| !r.description.is_empty());
            let name = rule.map(|r| format!(" \"{}\"", clean(&r.description))).unwrap_or_default();
            let at = self.paint.ink(Ink::Dim, &format!("{}:{}{name}", s.path, s.line));
            out += &format!("    {line} {at}\n");
        }
        out
    }
}

// What to add so that a packet that opens a connection gets in, as the check proposes it for a flow.
fn opening(firewall: &Firewall, decider: &Decider, packet: &Packet) -> Option<Fix> {
    if packet.state() != ConnState::New {
        return None;
    }
    let mut region = Region::all(packet.family());
    for field in [Field::Src, Field::Dst, Field::Proto, Field::Dport, Field::Iif, Field::Oif, Field::Icmp] {
        if let Some(value) =
            packet.get(field).filter(|v| *v != 0 || matches!(field, Field::Proto | Field::Dport))
        {
            region = region.with(field, IntervalSet::single(value));
        }
    }
    let (dialect, _) = by_name(firewall.dialect)?;
    let missing =
        Missing { region: &region, answers: false, later: false, chain: decider.chain, rule: decider.rule };
    let s = dialect.suggest(firewall, &missing)?;
    let description = s.elsewhere.clone().unwrap_or_else(|| match s.after_line {
        0 => "at the top".to_owned(),
        n => format!("after line {n}"),
    });
    Some(Fix {
        description,
        path: Text::name_of(firewall.files.get(s.file)?),
        after_line: s.after_line,
        text: s.text,
        elsewhere: s.elsewhere.is_some(),
        ..Fix::default()
    })
}

// An answer as JSON on one line.
fn line(answer: &impl Serialize) -> String {
    let mut out = Vec::new();
    // Writing to memory does not fail.
    let _ = write_line(answer, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn why(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({})", clean(text)) }
}
