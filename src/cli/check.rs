//! `havenlint check`: the main job.

use super::progress::shown;
use super::target::{Target, targets};
use super::{Inputs, approximated, say, status};
use crate::analysis::Environment;
use crate::finding::Severity;
use crate::finding::{Report, Summary};
use crate::report::Style;
use crate::report::gathered::{GatherError, Gathered, Gathering, Part};
use crate::session::{Options, Outcome, Ran, run, run_in_parts};
use crate::source::shard::Shard;
use clap::Args;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What is judged, and by what.
#[derive(Debug, Args)]
pub struct Judged {
    #[command(flatten)]
    inputs: Inputs,
    /// The catalogue: a built-in name, or a file. Overrides the deployment file.
    #[arg(long, value_name = "NAME|FILE", help_heading = "Rules")]
    catalogue: Option<String>,
    /// Role of the machine whose files are given; no deployment file is used then.
    #[arg(long, help_heading = "Rules")]
    role: Option<String>,
    /// Phase of the deployment, one of the catalogue's.
    #[arg(long, help_heading = "Rules")]
    phase: Option<String>,
    /// Type of the machine's site.
    #[arg(long, value_name = "TYPE", help_heading = "Rules")]
    site_type: Option<String>,
    /// Addresses of a role, of a role's network, or of a host name: srn.service=10.1.0.0/24.
    #[arg(long, value_name = "NAME=CIDR[,CIDR…]", help_heading = "Rules")]
    set: Vec<String>,
    /// The deployment file. Left out: havenlint.toml of the named folder, or of this folder or one above.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_config", "role"], help_heading = "Rules")]
    config: Option<PathBuf>,
    /// Do not use a deployment file.
    #[arg(long, help_heading = "Rules")]
    no_config: bool,
    /// The baseline. Left out: havenlint-baseline.json beside the deployment file, or in this folder.
    #[arg(long, value_name = "FILE", help_heading = "Rules")]
    baseline: Option<PathBuf>,
    /// Flows that were seen (CSV or JSON: from, to, proto, port): what rules let in beyond the catalogue and them is told by HL-LEAST-PRIVILEGE.
    #[arg(long, value_name = "FILE", help_heading = "Rules")]
    seen: Option<PathBuf>,
    /// How many files are read and checked at a time; 0 = one per processor.
    #[arg(long, short, default_value_t = 0, value_name = "N", help_heading = "Input")]
    jobs: usize,
    /// Today's date, for waivers and for reports that carry a date, such as 2026-03-31.
    #[arg(long, value_name = "DATE", help_heading = "Rules")]
    date: Option<String>,
}

/// Check firewalls against the catalogue, and for mistakes of their own.
///
/// Without FILE: the deployment of havenlint.toml. With FILE and no deployment file: checks of each firewall, and, with --role, the
/// catalogue's requirements for a machine of that role.
#[derive(Debug, Args)]
#[command(after_help = super::help::CHECK)]
pub struct Check {
    #[command(flatten)]
    judged: Judged,
    /// Count accepted findings too: use no baseline.
    #[arg(long, conflicts_with = "baseline", help_heading = "Rules")]
    no_baseline: bool,
    /// Fail if the baseline accepts what is gone: nothing that was fixed may come back.
    #[arg(long, conflicts_with_all = ["no_baseline", "shard"], help_heading = "Rules")]
    ratchet: bool,
    /// Format of the report, and the file for it; repeatable: human, concise, json, sarif, github, junit, markdown, html, gitlab, rdjson, checkstyle, csv.
    #[arg(long, value_name = "FORMAT[=FILE]", help_heading = "Output")]
    format: Vec<String>,
    /// The lowest level of findings that makes the exit status 1.
    /// Left out: what havenlint.toml says, or error.
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warning", "note", "never"], help_heading = "Output")]
    fail_on: Option<String>,
    /// Report only findings of this level and above; the verdict says how many others there are.
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warning", "note"], help_heading = "Output")]
    min_severity: Option<String>,
    /// Only these rules: ids or prefixes, such as HL-AWS or SH4-NET.
    #[arg(long, value_name = "ID", value_delimiter = ',', help_heading = "Rules")]
    select: Vec<String>,
    /// All but these rules.
    #[arg(long, value_name = "ID", value_delimiter = ',', help_heading = "Rules")]
    ignore: Vec<String>,
    /// Report only what is about these sites of the deployment. Everything is judged; the status is that of what is reported.
    #[arg(long, value_name = "SITE", value_delimiter = ',', help_heading = "Rules")]
    site: Vec<String>,
    /// Report only what is about these nodes and gateways.
    #[arg(long, value_name = "NODE", value_delimiter = ',', help_heading = "Rules")]
    node: Vec<String>,
    /// Report only what is about flows from or to these networks of the deployment file.
    #[arg(long, value_name = "NETWORK", value_delimiter = ',', help_heading = "Rules")]
    network: Vec<String>,
    /// Do one part of the work, such as 1/4 of four; `havenlint merge` joins the JSON reports of all parts.
    #[arg(long, value_name = "K/N", help_heading = "Input")]
    shard: Option<Shard>,
    /// Ask about every pair of machines by itself. Without it, machines that talk to a great many others are asked about as sets; a pair is told where
    /// its answer is another.
    #[arg(long, help_heading = "Output")]
    full: bool,
    /// Fail with status 2 if a file looks like a firewall configuration and was not read.
    #[arg(long, help_heading = "Input")]
    require_all: bool,
    /// Instead of a report, list every rule that is not decided exactly, with the conditions that it depends on.
    #[arg(long, value_name = "WHAT", value_parser = ["approximated"], conflicts_with = "format", help_heading = "Output")]
    list: Option<String>,
    /// Print findings only, no tables.
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
    /// Print the number of findings per rule at the end.
    #[arg(long, help_heading = "Output")]
    statistics: bool,
    /// Name of this run, for code scanning with several runs per commit.
    #[arg(long, value_name = "NAME", default_value = "", help_heading = "Output")]
    category: String,
}

/// Runs the command.
pub fn execute(args: &Check, color: clap::ColorChoice) -> u8 {
    check(args, color).unwrap_or_else(|message| {
        // Empty: nobody listens any more.
        if !message.is_empty() {
            say(&format!("error: {message}"));
        }
        status::TROUBLE
    })
}

fn check(args: &Check, color: clap::ColorChoice) -> Result<u8, String> {
    let options = prepare(args)?;
    // Before the work is done.
    let mut asked = targets(&args.format, "human")?;
    let outcome = match in_parts(args, &options, &asked, color)? {
        Judgement::Whole(outcome) => *outcome,
        Judgement::Told(status) => return Ok(status),
    };
    let fail_on = args.fail_on.as_ref().or(outcome.defaults.fail_on.as_ref()).map_or("error", |l| l);
    // Either may stand in the deployment file.
    reported(options.min_severity.or(outcome.defaults.min_severity), fail_on)?;
    if args.format.is_empty() && !outcome.defaults.format.is_empty() {
        asked = targets(&outcome.defaults.format, "human")?;
    }
    let missing = !outcome.found && outcome.report.problems.is_empty();
    if missing {
        for u in &outcome.report.unread {
            say(&format!(
                "note: {} looks like a firewall configuration and was not read: {}; {}",
                u.path, u.reason, u.help
            ));
        }
        say("error: no firewall file found: name a file, or a folder that contains some");
        return Ok(status::NOTHING);
    }
    if args.list.is_some() {
        let errors = outcome.report.problems.iter().any(|p| p.level == Severity::Error);
        return Ok(approximated::status(errors, approximated::list(&outcome.firewalls)));
    }
    if let Some(why) = &outcome.not_checked
        && !args.quiet
    {
        say(&format!("note: {why}"));
    }
    let report = &outcome.report;
    for t in &asked {
        let read = report.sources.iter().map(|s| s.path.as_str());
        t.write(report, &style_of(args, fail_on, color, t.file.is_some()), read)?;
    }
    Ok(verdict(fail_on, &outcome.report))
}

/// What is left to do.
enum Judgement {
    /// To report this.
    Whole(Box<Outcome>),
    /// Nothing: it was reported, with this status.
    Told(u8),
}

// Firewalls of one part of a large run.
const PART: usize = 200;

// Runs; if the formats allow it and there are many firewalls, in parts, whose reports do not stay in memory.
fn in_parts(
    args: &Check,
    options: &Options,
    targets: &[Target],
    color: clap::ColorChoice,
) -> Result<Judgement, String> {
    if args.list.is_some() || !targets.iter().all(Target::streams) {
        return Ok(Judgement::Whole(Box::new(args.judged.run(options))));
    }
    let gathered: Mutex<Option<Result<Gathering, GatherError>>> = Mutex::new(None);
    let take = |report: Report| {
        let part = Part::of(report).map_err(GatherError::from);
        let mut all = gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let so_far = all.take().unwrap_or_else(Gathering::new);
        *all = Some(so_far.and_then(|mut g| {
            g.add(part?)?;
            Ok(g)
        }));
    };
    let ran = args.judged.pooled(options, || run_in_parts(options, PART, &take));
    let not_checked = match ran {
        Ran::Whole(outcome) => return Ok(Judgement::Whole(outcome)),
        Ran::Parts { not_checked } => not_checked,
    };
    if let Some(why) = not_checked.filter(|_| !args.quiet) {
        say(&format!("note: {why}"));
    }
    let gathered = gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
    let report = gathered.unwrap_or_else(Gathering::new).and_then(Gathering::done);
    let report = report.map_err(|e| e.to_string())?;
    let fail_on = args.fail_on.as_deref().unwrap_or("error");
    write_gathered(targets, &report, &[], |t| style_of(args, fail_on, color, t.file.is_some()))?;
    Ok(Judgement::Told(verdict_of(fail_on, report.head())))
}

/// Writes a report that is not in memory; what it was made from is not written over, nor are `others`.
///
/// # Errors
/// A message; an empty one if nobody listens any more.
pub(super) fn write_gathered(
    targets: &[Target],
    report: &Gathered,
    others: &[&str],
    style: impl Fn(&Target) -> Style,
) -> Result<(), String> {
    let read = report.inputs().iter().map(|i| i.path.as_str()).chain(others.iter().copied());
    targets.iter().try_for_each(|t| t.write_gathered(report, &style(t), read.clone()))
}

/// The status of a report of which only the counts are at hand.
pub(super) fn verdict_of(fail_on: &str, head: &Report) -> u8 {
    let Summary { error, warning, note, .. } = head.summary;
    let count = |least| match least {
        Severity::Error => error,
        Severity::Warning => error + warning,
        Severity::Note => error + warning + note,
    };
    settled(fail_on, head, |least| count(least) > 0)
}

/// The status of a report.
pub(super) fn verdict(fail_on: &str, report: &Report) -> u8 {
    settled(fail_on, report, |least| report.findings.iter().any(|f| f.level >= least))
}

// `fails`: whether there is a finding of a level or a higher one.
fn settled(fail_on: &str, report: &Report, fails: impl FnOnce(Severity) -> bool) -> u8 {
    if report.problems.iter().any(|p| p.level == Severity::Error) {
        return status::TROUBLE;
    }
    if least(fail_on).is_some_and(fails) { status::FINDINGS } else { status::CLEAN }
}

// The lowest level that fails the run; `None` = none does.
fn least(fail_on: &str) -> Option<Severity> {
    match fail_on {
        "never" => None,
        "note" => Some(Severity::Note),
        "warning" => Some(Severity::Warning),
        _ => Some(Severity::Error),
    }
}

// Whether what fails the run is reported at all.
fn reported(shown: Option<Severity>, fail_on: &str) -> Result<(), String> {
    match (shown, least(fail_on)) {
        (Some(shown), Some(fails)) if fails < shown => Err(format!(
            "--fail-on {} is below --min-severity {}: what is not reported cannot fail the run",
            fails.name(),
            shown.name()
        )),
        _ => Ok(()),
    }
}

fn prepare(args: &Check) -> Result<Options, String> {
    let least = args.min_severity.as_deref();
    let level = |name: &str| {
        [Severity::Error, Severity::Warning, Severity::Note].into_iter().find(|l| l.name() == name)
    };
    let least = least.and_then(level);
    reported(least, args.fail_on.as_deref().unwrap_or("error"))?;
    Ok(Options {
        min_severity: least,
        no_baseline: args.no_baseline,
        ratchet: args.ratchet,
        select: args.select.clone(),
        ignore: args.ignore.clone(),
        require_all: args.require_all,
        sites: args.site.clone(),
        nodes: args.node.clone(),
        networks: args.network.clone(),
        shard: args.shard,
        pairs: args.full.then_some(usize::MAX),
        ..args.judged.options()?
    })
}

impl Judged {
    /// As the check takes them.
    ///
    /// # Errors
    /// A message on a value that cannot be read.
    pub(super) fn options(&self) -> Result<Options, String> {
        let (read, forced) = self.inputs.reading.options()?;
        let today = match &self.date {
            None => None,
            Some(d) => Some(d.parse().map_err(|e| format!("--date {d}: {e}; write it as 2026-03-31"))?),
        };
        let mut sets = Vec::new();
        for spec in &self.set {
            let Some((name, addresses)) = spec.split_once('=') else {
                return Err(format!("--set {spec}: write NAME=CIDR[,CIDR…], such as admin=10.0.9.0/24"));
            };
            sets.push((name.to_owned(), addresses.to_owned()));
        }
        Ok(Options {
            paths: self.inputs.paths.clone(),
            same_box: self.inputs.same_box,
            catalogue: self.catalogue.clone(),
            role: self.role.clone(),
            phase: self.phase.clone(),
            site_type: self.site_type.clone(),
            sets,
            config: self.config.clone(),
            no_config: self.no_config,
            baseline: self.baseline.clone(),
            seen: self.seen.clone(),
            throttled: self.inputs.reading.assumes("throttled"),
            forged: self.inputs.reading.assumes("forged"),
            read,
            forced,
            local: self.inputs.reading.environment()?.local,
            today,
            ..Options::default()
        })
    }

    /// What the command line tells about the machines.
    ///
    /// # Errors
    /// A message on an address that cannot be read.
    pub(super) fn environment(&self) -> Result<Environment, String> {
        self.inputs.reading.environment()
    }

    /// Runs the check on as many processors as asked for.
    pub(super) fn run(&self, options: &Options) -> Outcome {
        self.pooled(options, || run(options))
    }

    /// Does something on as many processors as asked for, and shows how far it is if that takes long.
    pub(super) fn pooled<T: Send>(&self, options: &Options, job: impl FnOnce() -> T + Send) -> T {
        let job = || shown(&options.read.progress, job);
        let threads = rayon::ThreadPoolBuilder::new().num_threads(self.jobs).stack_size(16 << 20).build();
        match threads {
            Ok(pool) => pool.install(job),
            Err(_) => job(),
        }
    }
}

fn style_of(args: &Check, fail_on: &str, color: clap::ColorChoice, to_file: bool) -> Style {
    Style {
        quiet: args.quiet,
        statistics: args.statistics,
        date: args.judged.date.clone(),
        category: args.category.clone(),
        fail_on: Some(least(fail_on).unwrap_or(Severity::Error)),
        root: repository_root(),
        command: Some(command_line()),
        ..super::style(color, to_file)
    }
}

// How this run was asked for, without what changes nothing in the answer.
fn command_line() -> String {
    let mut words = vec!["havenlint".to_owned()];
    let mut given = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned());
    while let Some(word) = given.next() {
        match word.as_str() {
            "--jobs" | "-j" => drop(given.next()),
            w if w.starts_with("--jobs=") || w.starts_with("-j") => {}
            w if w.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c)) => words.push(word),
            w => words.push(format!("'{}'", w.replace('\'', "'\\''"))),
        }
    }
    words.join(" ")
}

// The folder with version control that this folder is in.
fn repository_root() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().find(|a| a.join(".git").exists()).map(PathBuf::from)
}
