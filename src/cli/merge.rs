//! `havenlint merge`: one report from those of shards.

use super::target::targets;
use super::{say, status, style};
use crate::catalogue;
use crate::finding::merge::merge;
use crate::finding::{Report, Severity};
use crate::session::all_rules;
use crate::source::SourceFile;
use crate::source::digest::sha256;
use crate::source::discover::bytes;
use clap::{Args, ColorChoice};
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
    match join(args, color) {
        Ok(report) => verdict(&report, &args.fail_on),
        // Nobody listens any more.
        Err(message) if message.is_empty() => status::TROUBLE,
        Err(message) => {
            say(&format!("error: {message}"));
            status::TROUBLE
        }
    }
}

fn join(args: &Merge, color: ColorChoice) -> Result<Report, String> {
    let targets = targets(&args.format, "json")?;
    let reports: Result<Vec<Report>, String> = args.reports.iter().map(|p| read(p)).collect();
    let mut report = merge(reports?).map_err(|e| e.to_string())?;
    report.sources = report.inputs.iter().filter_map(|i| unchanged(&i.path, i.sha256.as_str())).collect();
    // A catalogue of one's own is not at hand here; its rules are then shown by their ids.
    let catalogue = catalogue::open(&report.catalogue.id, Path::new(""));
    if catalogue.is_sound() {
        report.rules = all_rules(&catalogue);
    }
    let shards = args.reports.iter().filter_map(|p| p.to_str());
    let read_files: Vec<&str> = shards.chain(report.inputs.iter().map(|i| i.path.as_str())).collect();
    for t in targets {
        t.write(&report, &style(color, t.file.is_some()), read_files.iter().copied())?;
    }
    Ok(report)
}

fn read(path: &Path) -> Result<Report, String> {
    let text = bytes(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let report: Report = serde_json::from_slice(&text)
        .map_err(|e| format!("{}: this is not a report of `check --format json`: {e}", path.display()))?;
    if report.schema != 1 {
        return Err(format!(
            "{}: this report has schema {}; this version of havenlint reads schema 1",
            path.display(),
            report.schema
        ));
    }
    Ok(report)
}

/// A file as the shard read it, if it is still here and the same: only then its lines can be shown.
fn unchanged(path: &str, digest: &str) -> Option<std::sync::Arc<SourceFile>> {
    let content = bytes(Path::new(path)).ok()?;
    (sha256([content.as_slice()]) == digest).then(|| SourceFile::new(path, content))
}

fn verdict(report: &Report, fail_on: &str) -> u8 {
    if report.problems.iter().any(|p| p.level == Severity::Error) {
        return status::TROUBLE;
    }
    let least = match fail_on {
        "never" => return status::CLEAN,
        "note" => Severity::Note,
        "warning" => Severity::Warning,
        _ => Severity::Error,
    };
    if report.findings.iter().any(|f| f.level >= least) { status::FINDINGS } else { status::CLEAN }
}
