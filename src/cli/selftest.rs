//! `havenlint selftest`: whether this machine's kernel agrees.

use super::subject::{Subject, Subjects, place};
use super::{Inputs, print, say, status, style};
use crate::analysis::Verdict;
use crate::report::json::write_document;
use crate::report::text::{Ink, Paint, clean};
use crate::selftest::{self, Count, Difference, Limits, Outcome};
use clap::{Args, ColorChoice};
use serde::Serialize;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Load a ruleset into a network namespace of its own, send packets at its boundaries, and compare what the kernel does.
///
/// For dumps of iptables, ip6tables and nftables, on Linux. The network of this machine is not touched, and nothing is left behind. Needs root, or
/// `unshare --user --map-root-user havenlint selftest …`; and the programs nft and ip, and those that load the ruleset.
#[derive(Debug, Args)]
#[command(after_help = super::help::SELFTEST)]
pub struct Selftest {
    #[command(flatten)]
    inputs: Inputs,
    /// Packets for each of input, forward and output.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=selftest::MAX_PACKETS as i64), help_heading = "Packets")]
    packets: u32,
    /// Begin nothing new after so many seconds.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400), help_heading = "Packets")]
    seconds: u32,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = ["human", "json"], help_heading = "Output")]
    format: String,
}

#[derive(Debug, Serialize)]
struct Told {
    #[serde(rename = "box")]
    name: String,
    state: &'static str,
    #[serde(flatten)]
    outcome: Outcome,
}

/// Runs the command.
pub fn execute(args: &Selftest, color: ColorChoice) -> u8 {
    let subjects = match Subjects::open(&args.inputs) {
        Ok(s) => s,
        Err(code) => return code,
    };
    let until = Instant::now() + Duration::from_secs(args.seconds.into());
    let limits = Limits { packets: args.packets as usize, until };
    let mut code = subjects.status;
    let mut boxes = Vec::new();
    for subject in &subjects.boxes {
        match compare(args, subject, limits) {
            Ok(outcome) => {
                let state = match () {
                    () if outcome.total(|c| c.differ) > 0 => "differs",
                    () if outcome.total(|c| c.agree) == 0 => "nothing-compared",
                    () => "agrees",
                };
                match state {
                    "differs" => code = code.max(status::FINDINGS),
                    "agrees" => {}
                    _ => {
                        say(&format!("error: {}: no packet could be compared", subject.name));
                        code = status::TROUBLE;
                    }
                }
                boxes.push(Told { name: subject.name.clone(), state, outcome });
            }
            Err(e) => {
                say(&format!("error: {e}"));
                code = status::TROUBLE;
            }
        }
    }
    if boxes.is_empty() {
        return code;
    }
    let paint = Paint { color: style(color, false).color };
    let printed = print(|out| {
        if args.format == "json" {
            return write_document(&serde_json::json!({ "schema": 1, "boxes": boxes }), out);
        }
        boxes.iter().try_for_each(|told| human(told, paint, out))
    });
    if printed == status::CLEAN { code } else { printed }
}

fn compare(args: &Selftest, subject: &Subject, limits: Limits) -> Result<Outcome, String> {
    let environment = args.inputs.reading.environment()?;
    let firewalls = subject.all();
    let loads = selftest::loads(&firewalls)?;
    selftest::run(
        selftest::Subject { firewalls: &firewalls, environment: &environment, loads: &loads },
        limits,
    )
}

fn human(told: &Told, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let o = &told.outcome;
    let (ink, words) = match told.state {
        "agrees" => (Ink::Green, "the kernel agrees on every packet that was compared"),
        "differs" => (Ink::Red, "the kernel does something else with some packets"),
        _ => (Ink::Yellow, "no packet could be compared"),
    };
    writeln!(out, "{}: {words} ({})", paint.ink(ink, told.state), clean(&told.name))?;
    writeln!(out, "{}, loaded with {}", o.kernel, o.loaded_with.join(", "))?;
    let heads = ["path", "packets", "agree", "let through", "undecided", "differ", "not compared"];
    let cells = |c: &Count| [c.packets, c.agree, c.accepted, c.undecided, c.differ, c.not_compared];
    writeln!(out, "\n{}", paint.ink(Ink::Bold, &row(heads.map(str::to_owned))))?;
    for c in &o.paths {
        let [a, b, d, e, f, g] = cells(c).map(|n| n.to_string());
        writeln!(out, "{}", row([c.path.to_owned(), a, b, d, e, f, g]))?;
    }
    writeln!(out, "\n{}", paint.ink(Ink::Bold, "decided by"))?;
    for c in &o.chains {
        let name = if c.table.is_empty() { c.chain.clone() } else { format!("{}/{}", c.table, c.chain) };
        let rules = if c.rules == 1 {
            "1 rule or policy".to_owned()
        } else {
            format!("{} rules and policies", c.rules)
        };
        writeln!(out, "  {:<12} {:<28} {:>7} packets by {rules}", c.hook, clean(&name), c.packets)?;
    }
    if !o.not_compared.is_empty() {
        writeln!(out, "\n{}", paint.ink(Ink::Bold, "not compared"))?;
        for (why, n) in &o.not_compared {
            writeln!(out, "  {n:>7} {why}")?;
        }
    }
    for d in &o.differences {
        difference(d, paint, out)?;
    }
    if !o.differences.is_empty() {
        writeln!(
            out,
            "\nA difference is a mistake of havenlint, or of the kernel: please report it with the ruleset."
        )?;
    }
    if o.out_of_time {
        writeln!(out, "\nThe time was over before all packets were compared: --seconds gives more.")?;
    }
    Ok(())
}

fn row(cells: [String; 7]) -> String {
    let [path, rest @ ..] = cells;
    rest.iter().fold(format!("{path:<8}"), |line, cell| line + &format!(" {cell:>12}"))
}

fn difference(d: &Difference, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{} {} ({})", paint.ink(Ink::Red, "differs"), d.packet, d.packet.path)?;
    let by = d.decided_by.as_ref().map(|l| format!(", decided by {}: {}", place(l), clean(&l.text)));
    writeln!(out, "  havenlint: {}{}", word(d.verdict), by.unwrap_or_default())?;
    if let Some(answer) = d.answer {
        writeln!(out, "  havenlint, of all such packets: {}", word(answer))?;
    }
    let at = d.kernel_hook.map(|h| format!(" at {h}")).unwrap_or_default();
    writeln!(out, "  kernel:    {}{at}", word(d.kernel))?;
    for line in &d.kernel_trace {
        writeln!(out, "    {}", clean(line))?;
    }
    Ok(())
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accept",
        Verdict::Drop => "drop",
        Verdict::Undecided => "undecided",
    }
}
