//! `havenlint trace`: what happens to single packets.

use super::subject::{Subject, Subjects, place};
use super::{Inputs, journey, print, say, status, style};
use crate::analysis::evaluate::{Decider, Trace as Traced, evaluate};
use crate::analysis::{Environment, Point, Verdict};
use crate::finding::Reason;
use crate::packet::{Field, Packet, interface_name, interface_value};
use crate::report::json::write_line;
use crate::report::text::{Ink, Paint, clean};
use crate::source::{Location, RuleName};
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
}

// Packets that are answered together before they are printed.
const BATCH: usize = 4096;

/// Runs the command.
pub fn execute(args: &Trace, color: ColorChoice) -> u8 {
    if args.journey.asked() {
        return journey::execute(&args.journey, &args.inputs, args.format == "json", color);
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
        Some(p) => match std::fs::File::open(p) {
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
        let words: Vec<_> = args.packet.iter().map(|t| t.parse().map_err(shown)).collect();
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

fn shown(e: impl std::fmt::Display) -> String {
    e.to_string()
}

type Asked = Result<Packet, String>;

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
            out.push(serde_json::from_str(text).map_err(shown));
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

    fn line(&self, told: Result<(Packet, Told), String>) -> (String, bool) {
        match (told, self.json) {
            (Ok((_, told)), true) => (line(&told), false),
            (Ok((packet, told)), false) => (self.human(&packet, &told), false),
            (Err(e), true) => (line(&serde_json::json!({ "error": e })), true),
            (Err(e), false) => (format!("{}  {}\n", self.paint.ink(Ink::Red, "refused"), clean(&e)), true),
        }
    }

    fn told(&self, subject: &Subject, mut packet: Packet) -> Result<(Packet, Told), String> {
        packet.path = subject.path(packet.path);
        for field in [Field::Iif, Field::Oif] {
            let written = packet.get(field).filter(|v| *v != 0).map(interface_name);
            let known = written.and_then(|name| subject.interface(&name).map(interface_value));
            if let Some(Ok(value)) = known {
                packet.set(field, value);
            }
        }
        if !subject.covers(packet.family()) {
            return Err(format!("no file covers IPv{} packets", packet.family().number()));
        }
        let mut environment = self.environment.clone();
        if let Some(groups) = &packet.groups {
            if let Some(message) = subject.unknown_label(groups) {
                return Err(message);
            }
            environment.labels = Some(groups.clone());
        }
        let firewalls = subject.all();
        let trace = evaluate(Point { firewalls: &firewalls, environment: &environment }, &packet);
        let mut told = Self::tell(subject, &trace);
        told.name = (self.subjects.boxes.len() > 1).then(|| subject.name.clone());
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
                path: at.path,
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
