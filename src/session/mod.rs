//! A run as a pipeline: what is asked for is opened, files are read, judged, and the findings triaged into a report.
//!
//! ```text
//! open ──────▶ load ─────▶ judge ───────▶ triage ────────▶ assemble
//! catalogue,   firewalls   requirements,  selection,       the report
//! deployment   of points   checks         waivers,
//!                                         baseline
//! ```

mod assemble;
mod borne_out;
mod dumped;
mod judge;
mod load;
mod members;
mod memory;
pub mod network;
mod open;
mod scope;
mod seen;
mod triaged;

pub use assemble::all_rules;
pub use memory::Memory;

use crate::analysis::Environment;
use crate::deployment::Defaults;
use crate::dialect::{Dialect, ReadOptions};
use crate::finding::{Problem, Report, Severity};
use crate::model::Firewall;
use crate::packet::IntervalSet;
use crate::source::shard::Shard;
use crate::source::{Diagnostic, Location, SourceFile, locate};
use crate::triage::baseline::Baseline;
use crate::triage::selection::Selection;
use crate::triage::spelling::Spelling;
use judge::{Checked, Judged};
use load::Loaded;
use open::Opened;
use rayon::prelude::*;
use std::path::PathBuf;
use std::sync::Arc;

/// What a run is asked to do.
#[derive(Clone, Default)]
pub struct Options {
    /// Files and folders; `-` = standard input.
    pub paths: Vec<PathBuf>,
    /// Catalogue by name or path; `None` = the deployment's, or the default.
    pub catalogue: Option<String>,
    /// Role of the boxes whose files are given, where there is no deployment file.
    pub role: Option<String>,
    /// Phase.
    pub phase: Option<String>,
    /// Type of the site.
    pub site_type: Option<String>,
    /// Address sets by name: (`srn.service`, `10.1.0.0/24,10.2.0.0/24`).
    pub sets: Vec<(String, String)>,
    /// The deployment file.
    pub config: Option<PathBuf>,
    /// Do not look for a deployment file.
    pub no_config: bool,
    /// The baseline; `None` = look for one.
    pub baseline: Option<PathBuf>,
    /// Use no baseline.
    pub no_baseline: bool,
    /// Entries of the baseline that accept what is gone are errors.
    pub ratchet: bool,
    /// Only these rules: ids, their beginnings, or aliases, in any case.
    pub select: Vec<String>,
    /// Not these rules.
    pub ignore: Vec<String>,
    /// Only findings of this level and above.
    pub min_severity: Option<Severity>,
    /// Only what is about these sites.
    pub sites: Vec<String>,
    /// Only what is about these nodes and gateways.
    pub nodes: Vec<String>,
    /// Only what is about these networks of the deployment file.
    pub networks: Vec<String>,
    /// These rules, whatever else says which.
    pub selection: Option<Selection>,
    /// Report all rules; what was selected is only told in [`Outcome::selection`].
    pub report_all: bool,
    /// Without a deployment file: all files are of one box.
    pub same_box: bool,
    /// A file that looks like a firewall and was not read is an error.
    pub require_all: bool,
    /// Rate limits may be exceeded.
    pub throttled: bool,
    /// Source addresses may be forged.
    pub forged: bool,
    /// How files are read.
    pub read: ReadOptions,
    /// Read named files as this dialect.
    pub forced: Option<&'static dyn Dialect>,
    /// The box's own addresses, without a deployment file.
    pub local: Option<IntervalSet>,
    /// Flows that were seen: a file of them.
    pub seen: Option<PathBuf>,
    /// Only this part of the work is done: the firewalls of it, or of a deployment the requirements and checks of its nodes.
    pub shard: Option<Shard>,
    /// Pairs of machines of one requirement above which they are asked as sets; `None` = [`MANY_PAIRS`](crate::catalogue::together::MANY_PAIRS).
    pub pairs: Option<usize>,
    /// Today, for waivers.
    pub today: Option<jiff::civil::Date>,
}

impl Options {
    /// What is assumed, and nothing else.
    pub fn assumed(&self) -> Environment {
        Environment { throttled: self.throttled, forged: self.forged, ..Environment::default() }
    }
}

/// What came of a run.
pub struct Outcome {
    /// The report.
    pub report: Report,
    /// Whether any firewall file was found.
    pub found: bool,
    /// Whether requirements were asked for at all; if not, why.
    pub not_checked: Option<String>,
    /// Where the baseline stands, or would.
    pub baseline: PathBuf,
    /// The baseline without what it accepts for nothing, and the number of entries of which that is so; `None` = there is none.
    pub pruned: Option<(Baseline, usize)>,
    /// How a baseline names the files of the run.
    pub spelling: Spelling,
    /// The rules that were selected.
    pub selection: Selection,
    /// What the deployment file says about reports.
    pub defaults: Defaults,
    /// The firewalls that were judged, in an order that depends on nothing but their files' names and the deployment.
    pub firewalls: Vec<Firewall>,
}

/// The default catalogue's name.
pub const DEFAULT_CATALOGUE: &str = "safehaven-4";

/// Name of the deployment file.
pub const DEPLOYMENT_FILE: &str = "havenlint.toml";

/// The deployment that a run would go by, and what is wrong with it and its catalogue; `None` = there is no deployment file.
pub fn deployment(options: &Options) -> (Option<crate::deployment::Deployment>, Vec<Problem>) {
    let opened = Opened::of(options);
    (opened.deployed.then_some(opened.deployment), opened.problems)
}

/// Runs.
pub fn run(options: &Options) -> Outcome {
    let mut opened = Opened::of(options);
    let selection = opened.selection(options);
    let loaded = Loaded::of(options, &opened);
    outcome(options, &opened, &selection, loaded, None)
}

/// Runs with the same options but other contents of files: what an earlier run found out is not asked again, as far as it still holds. The outcome is
/// that of [`run`].
pub fn run_again(options: &Options, memory: &mut Memory) -> Outcome {
    let mut opened = Opened::of(options);
    let selection = opened.selection(options);
    let mut options = options.clone();
    options.read.kept = Some(Arc::new(memory.enter(&opened)));
    let loaded = Loaded::of(&options, &opened);
    outcome(&options, &opened, &selection, loaded, Some(memory))
}

/// What came of a run that may have been done in parts.
pub enum Ran {
    /// It was done as a whole.
    Whole(Box<Outcome>),
    /// It was done in parts, and their reports are given away.
    Parts {
        /// Why no requirement was asked for; `None` = they were.
        not_checked: Option<String>,
    },
}

/// Runs over many firewalls part by part, so that no more than a few parts are in memory: if there is no deployment file, and there are more firewalls
/// than a part has. The report of each part goes to `take`, in any order and from several threads.
pub fn run_in_parts(options: &Options, size: usize, take: &(dyn Fn(Report) + Sync)) -> Ran {
    let mut opened = Opened::of(options);
    let selection = opened.selection(options);
    let found = load::found(options, &opened);
    let parts = match found {
        Some(found) if found.count() > size => found.parts(size),
        Some(found) => {
            let loaded = Loaded::of_found(options, &opened, found);
            return Ran::Whole(Box::new(outcome(options, &opened, &selection, loaded, None)));
        }
        None => {
            let loaded = Loaded::of(options, &opened);
            return Ran::Whole(Box::new(outcome(options, &opened, &selection, loaded, None)));
        }
    };
    let done = parts.into_par_iter().with_max_len(1).map(|found| {
        let loaded = Loaded::of_found(options, &opened, found);
        let outcome = outcome(options, &opened, &selection, loaded, None);
        take(outcome.report);
        outcome.not_checked
    });
    Ran::Parts { not_checked: done.reduce(|| None, Option::or) }
}

// Judges what was read.
fn outcome(
    options: &Options,
    opened: &Opened,
    selection: &Selection,
    loaded: Loaded,
    mut memory: Option<&mut Memory>,
) -> Outcome {
    let reported = if options.report_all { Selection::default() } else { selection.clone() };
    let (report, not_checked, baseline, pruned, spelling) = {
        let checked = Checked::of(options, opened, &loaded);
        if let Some(memory) = memory.as_deref_mut() {
            memory.note(&loaded, &checked);
        }
        let judged = Judged::of(options, opened, &loaded, &checked, &reported, memory.as_deref());
        if let Some(memory) = memory {
            memory.settle();
        }
        let mut triaged = triaged::triage(options, opened, &loaded, judged, &reported);
        let (baseline, pruned) = (triaged.baseline.clone(), triaged.pruned.take());
        let spelling = std::mem::take(&mut triaged.spelling);
        let scope = scope::limit(options, opened, &loaded, &mut triaged);
        let report = assemble::report(options, opened, &loaded, triaged, scope);
        (report, checked.not_checked, baseline, pruned, spelling)
    };
    // Another part may have some.
    let found = options.shard.is_some() || loaded.firewalls().next().is_some();
    let defaults = opened.deployment.defaults.clone();
    let firewalls = loaded.into_firewalls();
    let selection = selection.clone();
    Outcome { report, found, not_checked, baseline, pruned, spelling, selection, defaults, firewalls }
}

// What a reader said, as the report has it.
fn problems_of(diagnostics: &[Diagnostic], files: &[Arc<SourceFile>]) -> Vec<Problem> {
    diagnostics
        .iter()
        .map(|d| Problem {
            level: d.severity,
            message: d.message.clone(),
            help: d.help.clone(),
            location: locate(files, d.origin),
        })
        .collect()
}

// An error about a whole file, or about the command line.
fn trouble(path: &str, message: String, help: &str) -> Problem {
    Problem { level: Severity::Error, message, help: help.to_owned(), location: Location::top(path) }
}
