//! The command line: one file per subcommand, with no logic of its own.

mod baseline;
mod catalogue;
mod check;
mod diff;
mod explain;
mod fix;
mod init;
mod merge;
mod query;
mod subject;
mod terminal;
mod trace;

use crate::analysis::Environment;
use crate::dialect::load::{Loaded, load, load_stream, named};
use crate::dialect::{Dialect, Includes, ReadOptions};
use crate::packet::{IntervalSet, addr};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
pub(crate) use terminal::{print, print_exact, say, style};

/// Exit statuses, the same for every command and format.
pub mod status {
    /// Nothing at or above the level asked for.
    pub const CLEAN: u8 = 0;
    /// Findings.
    pub const FINDINGS: u8 = 1;
    /// The job could not be done: usage, configuration, unreadable or malformed input.
    pub const TROUBLE: u8 = 2;
    /// No firewall file found.
    pub const NOTHING: u8 = 3;
    /// Internal error.
    pub const INTERNAL: u8 = 70;
}

/// Prove what firewalls let through, and hold it against a catalogue of required and forbidden flows.
#[derive(Debug, Parser)]
#[command(name = "havenlint", version, about, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: clap::ColorChoice,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find firewall files, apply the catalogue and the hygiene checks, report.
    Check(Box<check::Check>),
    /// Show what happens to packets: verdict, deciding rule, every step through chains.
    Trace(Box<trace::Trace>),
    /// Show what part of a flow is let through: exact accepted, denied and undecided remainders.
    Query(Box<query::Query>),
    /// Repair what can be proven to be repaired: show the edits as a diff, or make them.
    Fix(Box<fix::Fix>),
    /// Show what a change newly lets through and newly stops.
    Diff(Box<diff::Diff>),
    /// Show what a rule means.
    Explain(explain::Explain),
    /// List all rules.
    Rules(explain::Rules),
    /// Write a first havenlint.toml from the firewall files that a folder holds.
    Init(init::Init),
    /// Accept today's findings, so that `check` fails on new ones only.
    Baseline(Box<baseline::BaselineArgs>),
    /// Check a catalogue, print the format's JSON schema, run a catalogue's own examples.
    Catalogue(catalogue::CatalogueArgs),
    /// Join the JSON reports of shards.
    Merge(merge::Merge),
    /// Print the manual page.
    Man,
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// The files a command reads, and how.
#[derive(Debug, Clone, Args)]
pub struct Inputs {
    /// Firewall files, or folders to look for them in; `-` reads standard input.
    #[arg(value_name = "FILE")]
    pub paths: Vec<PathBuf>,
    /// All files are of one box. Without this, and without a deployment file, each file is a box of its own; an IPv4 and an IPv6
    /// dump whose names differ only in the family are taken for one.
    #[arg(long)]
    pub same_box: bool,
    /// How they are read.
    #[command(flatten)]
    pub reading: Reading,
}

/// How files are read, and what is known beside them.
#[derive(Debug, Clone, Args)]
pub struct Reading {
    /// Read named files as this dialect instead of judging by their content.
    #[arg(long, value_name = "DIALECT")]
    pub dialect: Option<String>,
    /// The box's own addresses, for tests of local addresses.
    #[arg(long, value_name = "ADDR[,ADDR…]", value_delimiter = ',')]
    pub local: Vec<String>,
    /// Judge schedules at this local time of the box, as 2026-03-31T12:00.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Assumptions: `throttled` = rate limits may be exceeded; `forged` = source addresses may be forged, so that reverse-path checks
    /// stop packets; `complete` = what the files do not mention does not exist; `includes-empty` = included files that are not read
    /// hold nothing.
    #[arg(long, value_name = "WHAT", value_parser = ["throttled", "not-throttled", "forged", "reverse-path", "complete", "includes-empty"])]
    pub assume: Vec<String>,
    /// The folder that holds the box's files: absolute names that a ruleset includes are looked up in it.
    #[arg(long, value_name = "DIR")]
    pub include_root: Option<PathBuf>,
}

impl Reading {
    /// Whether something is to be assumed.
    pub fn assumes(&self, what: &str) -> bool {
        self.assume.iter().any(|a| a == what)
    }

    /// How to read, and the dialect asked for.
    ///
    /// # Errors
    /// A message on an unknown dialect or a time that cannot be.
    pub fn options(&self) -> Result<(ReadOptions, Option<&'static dyn Dialect>), String> {
        let forced = self.dialect.as_deref().map(named).transpose()?;
        let at = match &self.at {
            None => None,
            Some(t) => Some(t.parse().map_err(|e| format!("--at {t}: {e}; write 2026-03-31T12:00"))?),
        };
        let options = ReadOptions {
            variant: forced.map(|f| f.1),
            at,
            complete: self.assumes("complete"),
            includes: Includes {
                root: self.include_root.clone(),
                assumed_empty: self.assumes("includes-empty"),
            },
            ..ReadOptions::default()
        };
        Ok((options, forced.map(|f| f.0)))
    }

    /// Reads files, or standard input if one of them is `-`.
    ///
    /// # Errors
    /// As [`Reading::options`].
    pub fn load(&self, paths: &[PathBuf]) -> Result<Loaded, String> {
        let (options, forced) = self.options()?;
        if paths.iter().any(|p| p.as_os_str() == "-") {
            return Ok(load_stream(&mut std::io::stdin().lock(), &options, forced));
        }
        Ok(load(paths, &options, forced))
    }

    /// What the command line tells about the box.
    ///
    /// # Errors
    /// A message on an address that cannot be read.
    pub fn environment(&self) -> Result<Environment, String> {
        let mut local: Option<IntervalSet> = None;
        for text in &self.local {
            let set = addr::parse(text)
                .ok_or_else(|| format!("--local {text}: not an address, prefix or range"))?;
            local = Some(local.map_or_else(|| set.clone(), |l| l.union(&set)));
        }
        Ok(Environment {
            local,
            throttled: self.assumes("throttled"),
            forged: self.assumes("forged"),
            ..Environment::default()
        })
    }
}

/// Runs the command line; the status is for `main` to exit with.
pub fn run(cli: &Cli) -> ExitCode {
    ExitCode::from(match &cli.command {
        Command::Check(args) => check::execute(args, cli.color),
        Command::Trace(args) => trace::execute(args, cli.color),
        Command::Query(args) => query::execute(args, cli.color),
        Command::Fix(args) => fix::execute(args, cli.color),
        Command::Diff(args) => diff::execute(args, cli.color),
        Command::Explain(args) => explain::explain(args, cli.color),
        Command::Rules(args) => explain::rules(args, cli.color),
        Command::Init(args) => init::execute(args),
        Command::Baseline(args) => baseline::execute(args),
        Command::Catalogue(args) => catalogue::execute(args, cli.color),
        Command::Merge(args) => merge::execute(args, cli.color),
        Command::Completions { shell } => {
            let mut command = <Cli as clap::CommandFactory>::command();
            clap_complete::generate(*shell, &mut command, "havenlint", &mut std::io::stdout());
            status::CLEAN
        }
        Command::Man => {
            let page = clap_mangen::Man::new(<Cli as clap::CommandFactory>::command());
            match page.render(&mut std::io::stdout()) {
                Ok(()) => status::CLEAN,
                Err(_) => status::TROUBLE,
            }
        }
    })
}
