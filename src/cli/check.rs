//! `havenlint check`: the main job.

use super::{Inputs, say, status};
use crate::check::run::{Options, Outcome, run};
use crate::finding::{Report, Severity};
use crate::packet::{IntervalSet, addr};
use crate::report::{FORMATS, Style};
use clap::Args;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Find firewall files, apply the catalogue and the hygiene checks, report.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    inputs: Inputs,
    /// Catalogue: a built-in name, or a file.
    #[arg(long, value_name = "NAME|FILE")]
    catalogue: Option<String>,
    /// Role of the boxes whose files are given (no deployment file is used then).
    #[arg(long)]
    role: Option<String>,
    /// Phase of the cluster.
    #[arg(long)]
    phase: Option<String>,
    /// Type of the box's site.
    #[arg(long, value_name = "TYPE")]
    site_type: Option<String>,
    /// Addresses of a role, a role's network or a named network: srn.service=10.1.0.0/24.
    #[arg(long, value_name = "NAME=CIDR[,CIDR…]")]
    set: Vec<String>,
    /// The deployment file; otherwise havenlint.toml of a given folder, or of this folder or one above.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_config", "role"])]
    config: Option<PathBuf>,
    /// Use no deployment file.
    #[arg(long)]
    no_config: bool,
    /// How to report, and where; may be given several times: human, concise, json, sarif, github, junit, markdown, html.
    #[arg(long, value_name = "FORMAT[=FILE]")]
    format: Vec<String>,
    /// The lowest level of findings that makes the exit status 1.
    #[arg(long, value_name = "LEVEL", default_value = "error", value_parser = ["error", "warning", "note", "never"])]
    fail_on: String,
    /// Only these rules: ids or prefixes.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    select: Vec<String>,
    /// Not these rules.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    ignore: Vec<String>,
    /// How many files are read and judged at a time; 0 = one for each processor.
    #[arg(long, short, default_value_t = 0)]
    jobs: usize,
    /// Findings only, no tables.
    #[arg(long, short)]
    quiet: bool,
    /// Counts by rule at the end.
    #[arg(long)]
    statistics: bool,
    /// Date for reports that carry one, and for waivers, as 2026-03-31.
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// Category of this run, for code scanning with several runs on one commit.
    #[arg(long, value_name = "NAME", default_value = "")]
    category: String,
}

struct Target {
    write: crate::report::Write,
    file: Option<PathBuf>,
}

/// Runs the command.
pub fn execute(args: &Check, color: clap::ColorChoice) -> u8 {
    let (options, targets) = match prepare(args) {
        Ok(p) => p,
        Err(message) => {
            say(&format!("error: {message}"));
            return status::TROUBLE;
        }
    };
    let threads = rayon::ThreadPoolBuilder::new().num_threads(args.jobs).stack_size(16 << 20).build();
    let outcome = match threads {
        Ok(pool) => pool.install(|| run(&options)),
        Err(_) => run(&options),
    };
    let missing = !outcome.found && outcome.report.problems.is_empty();
    if missing {
        say("error: no firewall file found: name one, or a folder that holds some");
        return status::NOTHING;
    }
    if let Some(why) = &outcome.not_asked
        && !args.quiet
    {
        say(&format!("note: {why}; `havenlint init` writes a first deployment file"));
    }
    for t in &targets {
        if let Err(e) = write_to(t, args, color, &outcome.report) {
            if e.kind() == io::ErrorKind::BrokenPipe {
                break;
            }
            let to =
                t.file.as_ref().map_or_else(|| "standard output".to_owned(), |f| f.display().to_string());
            say(&format!("error: cannot write the report to {to}: {e}"));
            return status::TROUBLE;
        }
    }
    verdict(args, &outcome)
}

fn verdict(args: &Check, outcome: &Outcome) -> u8 {
    let report = &outcome.report;
    if report.problems.iter().any(|p| p.level == Severity::Error) {
        return status::TROUBLE;
    }
    let least = match args.fail_on.as_str() {
        "never" => return status::CLEAN,
        "note" => Severity::Note,
        "warning" => Severity::Warning,
        _ => Severity::Error,
    };
    if report.findings.iter().any(|f| f.level >= least) { status::FINDINGS } else { status::CLEAN }
}

fn prepare(args: &Check) -> Result<(Options, Vec<Target>), String> {
    let (read, forced) = args.inputs.options()?;
    let mut local: Option<IntervalSet> = None;
    for text in &args.inputs.local {
        let set =
            addr::parse(text).ok_or_else(|| format!("--local {text}: not an address, prefix or range"))?;
        local = Some(local.map_or_else(|| set.clone(), |l| l.union(&set)));
    }
    let today = match &args.date {
        None => None,
        Some(d) => Some(d.parse().map_err(|e| format!("--date {d}: {e}; write 2026-03-31"))?),
    };
    let mut sets = Vec::new();
    for spec in &args.set {
        let Some((name, addresses)) = spec.split_once('=') else {
            return Err(format!("--set {spec}: write NAME=CIDR[,CIDR…], such as admin=10.0.9.0/24"));
        };
        sets.push((name.to_owned(), addresses.to_owned()));
    }
    let options = Options {
        paths: args.inputs.paths.clone(),
        catalogue: args.catalogue.clone(),
        role: args.role.clone(),
        phase: args.phase.clone(),
        site_type: args.site_type.clone(),
        sets,
        config: args.config.clone(),
        no_config: args.no_config,
        select: args.select.clone(),
        ignore: args.ignore.clone(),
        throttled: args.inputs.assume.iter().any(|a| a == "throttled"),
        read,
        forced,
        local,
        today,
    };
    let mut targets = Vec::new();
    for spec in &args.format {
        let (name, file) = spec.split_once('=').map_or((spec.as_str(), None), |(n, f)| (n, Some(f)));
        let write = FORMATS.iter().find(|(n, _)| *n == name).map(|(_, w)| *w).ok_or_else(|| {
            let known: Vec<_> = FORMATS.iter().map(|(n, _)| *n).collect();
            format!("--format {name}: there are {}", known.join(", "))
        })?;
        targets.push(Target { write, file: file.map(PathBuf::from) });
    }
    if targets.is_empty() {
        targets.push(Target { write: FORMATS[0].1, file: None });
    }
    Ok((options, targets))
}

fn write_to(target: &Target, args: &Check, color: clap::ColorChoice, report: &Report) -> io::Result<()> {
    let style = Style {
        quiet: args.quiet,
        statistics: args.statistics,
        date: args.date.clone(),
        category: args.category.clone(),
        root: repository_root(),
        ..super::style(color, target.file.is_some())
    };
    match &target.file {
        Some(path) => {
            let mut out = BufWriter::new(File::create(path)?);
            (target.write)(report, &style, &mut out)?;
            out.flush()
        }
        None => {
            let mut out = BufWriter::new(io::stdout().lock());
            (target.write)(report, &style, &mut out)?;
            out.flush()
        }
    }
}

// The folder with version control that this folder is in.
fn repository_root() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().find(|a| a.join(".git").exists()).map(PathBuf::from)
}
