//! `havenlint merge`: one report from those of shards.

use super::check::{verdict, verdict_of, write_gathered};
use super::target::{Target, targets};
use super::{say, status, style};
use crate::catalogue;
use crate::finding::merge::merge;
use crate::finding::stream::{self, Element};
use crate::finding::{Report, RuleDoc};
use crate::report::gathered::{GatherError, Gathering};
use crate::session::all_rules;
use crate::source::discover::{bytes, open, unchanged};
use clap::{Args, ColorChoice};
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Join the JSON reports of several runs.
#[derive(Debug, Args)]
#[command(after_help = super::help::MERGE)]
pub struct Merge {
    /// Reports written by `check --format json`.
    #[arg(value_name = "REPORT", required = true)]
    reports: Vec<PathBuf>,
    /// Format of the report, and the file for it; repeatable. The formats are those of `check`.
    #[arg(long, value_name = "FORMAT[=FILE]", default_value = "json", help_heading = "Output")]
    format: Vec<String>,
    /// The lowest level of findings that makes the exit status 1.
    #[arg(long, value_name = "LEVEL", default_value = "error", value_parser = ["error", "warning", "note", "never"], help_heading = "Output")]
    fail_on: String,
}

/// Runs the command.
pub fn execute(args: &Merge, color: ColorChoice) -> u8 {
    let done = match join_in_parts(args, color) {
        Ok(Some(status)) => Ok(status),
        Ok(None) => join(args, color).map(|report| verdict(&args.fail_on, &report)),
        Err(message) => Err(message),
    };
    match done {
        Ok(status) => status,
        // Nobody listens any more.
        Err(message) if message.is_empty() => status::TROUBLE,
        Err(message) => {
            say(&format!("error: {message}"));
            status::TROUBLE
        }
    }
}

// Joins reports without holding their long lists; `None` = the formats, or the deployment that they are about, need the whole.
fn join_in_parts(args: &Merge, color: ColorChoice) -> Result<Option<u8>, String> {
    let targets = targets(&args.format, "json")?;
    // What is no file can be read once only.
    if !targets.iter().all(Target::streams) || !args.reports.iter().all(|p| p.is_file()) {
        return Ok(None);
    }
    let told = |e: GatherError| e.to_string();
    let mut all = Gathering::new().map_err(told)?;
    for path in &args.reports {
        let from = BufReader::new(open(path).map_err(|e| format!("{}: {e}", path.display()))?);
        let read = stream::read(from, &mut |element| {
            let taken = match element {
                Element::Requirement(r) => all.requirement(&r),
                Element::Finding(f) => all.finding(*f),
            };
            taken.map_err(told)
        });
        let report = of_this_version(path, read)?;
        if !report.members.is_empty() {
            return Ok(None);
        }
        all.head(report);
    }
    let mut report = all.done().map_err(told)?;
    let rules = rules(report.head());
    report.set_rules(rules);
    let shards: Vec<&str> = args.reports.iter().filter_map(|p| p.to_str()).collect();
    write_gathered(&targets, &report, &shards, |t| style(color, t.file.is_some()))?;
    Ok(Some(verdict_of(&args.fail_on, report.head())))
}

fn join(args: &Merge, color: ColorChoice) -> Result<Report, String> {
    let targets = targets(&args.format, "json")?;
    let reports: Result<Vec<Report>, String> = args.reports.iter().map(|p| read(p)).collect();
    let mut report = merge(reports?).map_err(|e| e.to_string())?;
    report.sources = report.inputs.iter().filter_map(|i| unchanged(&i.path, i.sha256.as_str())).collect();
    report.rules = rules(&report);
    let shards = args.reports.iter().filter_map(|p| p.to_str());
    let read_files: Vec<&str> = shards.chain(report.inputs.iter().map(|i| i.path.as_str())).collect();
    for t in targets {
        t.write(&report, &style(color, t.file.is_some()), read_files.iter().copied())?;
    }
    Ok(report)
}

fn read(path: &Path) -> Result<Report, String> {
    let text = bytes(path).map_err(|e| format!("{}: {e}", path.display()))?;
    of_this_version(path, serde_json::from_slice(&text))
}

fn of_this_version(path: &Path, read: serde_json::Result<Report>) -> Result<Report, String> {
    let report =
        read.map_err(|e| format!("{}: this is not a report of `check --format json`: {e}", path.display()))?;
    if report.schema != 1 {
        return Err(format!(
            "{}: this report has schema {}; this version of havenlint reads schema 1",
            path.display(),
            report.schema
        ));
    }
    Ok(report)
}

// Documentation of the rules. A catalogue of one's own is not at hand here; its rules are then shown by their ids.
fn rules(report: &Report) -> Vec<RuleDoc> {
    let catalogue = catalogue::open(&report.catalogue.id, Path::new(""));
    if catalogue.is_sound() { all_rules(&catalogue) } else { Vec::new() }
}
