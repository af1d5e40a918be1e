//! `havenlint diff`: what a change newly lets through and newly stops.

mod human;
mod pairs;

use super::subject::{complain, reason};
use super::{Reading, print, say, status, style};
use crate::analysis::diff::{Change, Difference, Fate, Kind, May, diff};
use crate::analysis::flow::{Flow, flow};
use crate::analysis::{Environment, Verdict};
use crate::dialect::load::Loaded;
use crate::finding::Reason;
use crate::model::Firewall;
use crate::packet::{Packet, Path};
use crate::report::Style;
use crate::report::json::write_document;
use crate::report::text::Paint;
use crate::source::Location;
use crate::source::git::Renames;
use clap::{Args, ColorChoice};
pub(super) use human::title;
use pairs::Pair;
use rayon::prelude::*;
use serde::Serialize;
use std::path::{Path as FsPath, PathBuf};

/// Show what a change newly lets through and newly stops, with a packet for each flow.
///
/// OLD and NEW are two files, or two folders whose firewalls are paired by path. A condition that the files do not decide is taken to have the same
/// value on both sides if its text is the same.
#[derive(Debug, Args)]
#[command(after_help = super::help::DIFF)]
pub struct Diff {
    /// The file or folder before the change; `-` reads standard input.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The file or folder after the change; `-` reads standard input.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// AWS: compare an interface to which these security groups are attached. Left out: each group alone.
    #[arg(long, value_name = "ID", value_delimiter = ',', help_heading = "Input")]
    group: Vec<String>,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = ["human", "json"], help_heading = "Output")]
    format: String,
    /// What makes the exit status 1: `exposure` = something newly comes in, or may come in, from the Internet; `any` = any change, and what could
    /// not be compared; `never`.
    #[arg(long, value_name = "WHAT", default_value = "exposure", value_parser = ["exposure", "any", "never"], help_heading = "Output")]
    fail_on: String,
    /// Print only what changed: no lines of files, no summary.
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
}

/// The output as JSON.
#[derive(Debug, Serialize)]
struct Told {
    schema: u32,
    tool: Tool,
    assumptions: Vec<&'static str>,
    pairs: Vec<PairTold>,
    summary: Summary,
}

#[derive(Debug, Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Debug, Default, Serialize)]
struct Summary {
    equal: usize,
    changed: usize,
    undecided: usize,
    exposures: usize,
}

/// Two firewalls, or one that has no partner.
#[derive(Debug, Serialize)]
pub(super) struct PairTold {
    pub(super) old: Option<String>,
    pub(super) new: Option<String>,
    pub(super) dialect: &'static str,
    pub(super) state: &'static str,
    pub(super) changes: Vec<ChangeTold>,
    /// What was not compared, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) not_compared: Vec<String>,
    #[serde(skip)]
    pub(super) limits: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct ChangeTold {
    pub(super) kind: &'static str,
    /// Of what is undecided: what may newly become of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) may: Option<&'static str>,
    pub(super) path: Path,
    /// Only some of these packets fare so: there are too many to tell them apart.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) partly: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
    #[serde(flatten)]
    pub(super) flow: Flow,
    pub(super) witness: Option<Packet>,
    /// Of what is undecided: what happens to the witness, before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) witness_verdicts: Option<[Verdict; 2]>,
    pub(super) old: SideTold,
    pub(super) new: SideTold,
    pub(super) exposure: bool,
    pub(super) because: Vec<ReasonTold>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct SideTold {
    pub(super) verdict: Verdict,
    pub(super) decided_by: Option<By>,
    /// Where the packets are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) translated: Option<Flow>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct By {
    #[serde(flatten)]
    pub(super) location: Location,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct ReasonTold {
    pub(super) side: &'static str,
    #[serde(flatten)]
    pub(super) reason: Reason,
}

/// Runs the command.
pub fn execute(args: &Diff, color: ColorChoice) -> u8 {
    let environment = args
        .reading
        .environment()
        .map(|e| Environment { labels: (!args.group.is_empty()).then(|| args.group.clone()), ..e });
    let read = environment.and_then(|e| Ok((e, pairs::load(&args.old, &args.new, &args.reading)?)));
    let (environment, [old, new]) = match read {
        Ok(r) => r,
        Err(e) => {
            say(&format!("error: {e}"));
            return status::TROUBLE;
        }
    };
    let trouble = [&old, &new].map(complain).contains(&true);
    if old.firewalls.is_empty() && new.firewalls.is_empty() {
        if !trouble {
            say("error: no firewall file found");
        }
        return if trouble { status::TROUBLE } else { status::NOTHING };
    }
    if let Some(message) = unknown_group(args, &old.firewalls, &new.firewalls) {
        say(&format!("error: {message}"));
        return status::TROUBLE;
    }
    let none = Renames::new();
    let pairs = pairs::pair((&args.old, &old.firewalls), (&args.new, &new.firewalls), &none);
    let (compared, agreed) = compare_pairs(&pairs, &environment);
    let told = Told::of(compared, &environment, asks_reverse_path(&old, &new));
    let printed = print(|out| {
        if args.format == "json" {
            return write_document(&told, out);
        }
        let style = Style { quiet: args.quiet, ..style(color, false) };
        let page = human::Page::new(&pairs, &style, Paint { color: style.color });
        page.write(&told, out)
    });
    match () {
        () if !agreed => {
            say(
                "internal error: a packet shown here got another verdict when it was replayed; please report this",
            );
            status::INTERNAL
        }
        () if printed != status::CLEAN => printed,
        () if trouble => status::TROUBLE,
        () => verdict(&args.fail_on, &told.summary),
    }
}

fn verdict(fail_on: &str, summary: &Summary) -> u8 {
    let fails = match fail_on {
        "never" => false,
        "any" => summary.changed + summary.undecided > 0,
        _ => summary.exposures > 0,
    };
    if fails { status::FINDINGS } else { status::CLEAN }
}

fn unknown_group(args: &Diff, old: &[Firewall], new: &[Firewall]) -> Option<String> {
    let known = |g: &&String| old.iter().chain(new).any(|f| f.labels.contains(g));
    let wrong = args.group.iter().find(|g| !known(g))?;
    Some(format!("unknown group `{wrong}`: no file contains it"))
}

/// What became of the firewalls of one folder in another; whether all packets that are shown were replayed.
pub(super) fn compare_all(
    (old_root, old): (&FsPath, &[Firewall]),
    (new_root, new): (&FsPath, &[Firewall]),
    renamed: &Renames,
    environment: &Environment,
) -> (Vec<PairTold>, bool) {
    compare_pairs(&pairs::pair((old_root, old), (new_root, new), renamed), environment)
}

fn compare_pairs(pairs: &[Pair<'_>], environment: &Environment) -> (Vec<PairTold>, bool) {
    let compared: Vec<(PairTold, bool)> = pairs.par_iter().map(|p| compare(p, environment)).collect();
    let agreed = compared.iter().all(|(_, a)| *a);
    (compared.into_iter().map(|(p, _)| p).collect(), agreed)
}

fn compare(pair: &Pair<'_>, environment: &Environment) -> (PairTold, bool) {
    let of = |f: Option<&Firewall>| f.map(|f| f.path().to_owned());
    let mut told = PairTold {
        old: of(pair.old),
        new: of(pair.new),
        dialect: pair.new.or(pair.old).map_or("", |f| f.dialect),
        state: "undecided",
        changes: Vec::new(),
        not_compared: Vec::new(),
        limits: false,
    };
    let (old, new) = match (pair.old, pair.new) {
        (Some(old), Some(new)) => (old, new),
        (side, _) => {
            let what = if side.is_some() { "removed file" } else { "new file" };
            told.not_compared.push(format!("{what}: nothing to compare it with"));
            return (told, true);
        }
    };
    let Difference { changes, not_compared, agreed, limits } = diff(old, new, environment);
    told.state = match () {
        () if changes.iter().any(is_certain) => "changed",
        () if changes.is_empty() && not_compared.is_empty() => "equal",
        () => "undecided",
    };
    told.changes = changes.into_iter().map(|c| ChangeTold::of(c, [old, new])).collect();
    told.not_compared = not_compared;
    told.limits = limits;
    (told, agreed)
}

// Whether some packet fares otherwise for certain.
fn is_certain(c: &Change) -> bool {
    let shown =
        matches!(c.replayed, Some([Verdict::Accept, Verdict::Drop] | [Verdict::Drop, Verdict::Accept]));
    c.kind != Kind::Undecided || shown
}

fn asks_reverse_path(old: &Loaded, new: &Loaded) -> bool {
    old.firewalls.iter().chain(&new.firewalls).any(Firewall::asks_reverse_path)
}

impl Told {
    fn of(pairs: Vec<PairTold>, environment: &Environment, reverse_path: bool) -> Self {
        let count = |state: &str| pairs.iter().filter(|p| p.state == state).count();
        let summary = Summary {
            equal: count("equal"),
            changed: count("changed"),
            undecided: count("undecided"),
            exposures: pairs.iter().flat_map(|p| &p.changes).filter(|c| c.exposure).count(),
        };
        let tool = Tool { name: "havenlint", version: env!("CARGO_PKG_VERSION") };
        let mut assumptions = vec![if environment.throttled { "throttled" } else { "not-throttled" }];
        if reverse_path {
            assumptions.push(if environment.forged { "forged" } else { "reverse-path" });
        }
        Self { schema: 1, tool, assumptions, pairs, summary }
    }
}

impl ChangeTold {
    fn of(c: Change, sides: [&Firewall; 2]) -> Self {
        let because = c
            .because
            .iter()
            .map(|(side, b)| ReasonTold { side: ["old", "new"][*side], reason: reason(sides[*side], b) });
        let [old, new] = [0, 1].map(|side| SideTold::of(&c.sides[side], sides[side], c.path));
        Self {
            kind: match c.kind {
                Kind::Accepted => "accepted",
                Kind::Stopped => "stopped",
                Kind::Translated => "translated",
                Kind::Tracked => "tracked",
                Kind::Undecided => "undecided",
            },
            may: c.may.map(|m| match m {
                May::Accept => "accepted",
                May::Stop => "stopped",
                May::Either => "either",
            }),
            path: c.path,
            partly: c.partly.is_some(),
            group: c.group,
            flow: flow(&c.region, c.path),
            witness: c.witness,
            witness_verdicts: c.replayed.filter(|_| c.kind == Kind::Undecided),
            old,
            new,
            exposure: c.exposure,
            because: because.collect(),
        }
    }
}

impl SideTold {
    fn of(fate: &Fate, f: &Firewall, path: Path) -> Self {
        let by = |d: &crate::analysis::evaluate::Decider| By {
            location: f.locate(d.origin),
            note: d.note.map(|n| f.notes[n.index()].clone()),
        };
        Self {
            verdict: fate.verdict,
            decided_by: fate.decided_by.as_ref().map(by),
            translated: fate.translated.as_ref().map(|r| flow(r, path)),
        }
    }
}
