//! The command line: one file per subcommand, with no logic of its own.

mod approximated;
mod baseline;
mod catalogue;
mod check;
mod diff;
mod explain;
mod fix;
mod help;
mod init;
mod journey;
mod lsp;
mod merge;
mod output;
mod progress;
mod query;
mod review;
mod selftest;
mod subject;
mod target;
mod terminal;
mod trace;

use crate::analysis::Environment;
use crate::dialect::load::{Loaded, load, load_stream, named};
use crate::dialect::{Dialect, Includes, ReadOptions};
use crate::packet::{IntervalSet, addr};
use crate::source::walk::Walk;
use clap::{Args, Parser, Subcommand};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
pub(crate) use terminal::{print, print_exact, say, style};

/// Exit statuses, the same for every command and format.
pub mod status {
    /// Nothing at or above the chosen level.
    pub const CLEAN: u8 = 0;
    /// Findings.
    pub const FINDINGS: u8 = 1;
    /// havenlint could not do all of its job: usage, configuration, unreadable or malformed input.
    pub const TROUBLE: u8 = 2;
    /// No firewall file found.
    pub const NOTHING: u8 = 3;
    /// Internal error.
    pub const INTERNAL: u8 = 70;
}

/// Decide exactly what firewalls let through, and check it against a catalogue of required and forbidden flows.
///
/// Reads iptables-save and ip6tables-save dumps, nftables rulesets, pfSense and OPNsense config.xml, and AWS security groups. Opens no network
/// connection.
#[derive(Debug, Parser)]
#[command(
    name = "havenlint",
    version,
    about,
    max_term_width = 100,
    propagate_version = true,
    after_help = help::TOP
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub color: clap::ColorChoice,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check firewalls against the catalogue, and for mistakes of their own.
    Check(Box<check::Check>),
    /// Show what happens to a packet: verdict, deciding rule, every step through chains.
    Trace(Box<trace::Trace>),
    /// Show who can open a connection to what; with --exact every packet of a flow.
    Query(Box<query::Query>),
    /// Show repairs that are proven, as a diff, or make them.
    Fix(Box<fix::Fix>),
    /// Show what a change newly lets through and newly stops.
    Diff(Box<diff::Diff>),
    /// Show what a change in git newly lets in, newly breaks and fixes, as one comment.
    Review(Box<review::ReviewArgs>),
    /// Load a ruleset into a network namespace and compare what the kernel does with packets at its boundaries.
    Selftest(Box<selftest::Selftest>),
    /// Show what a rule means.
    Explain(explain::Explain),
    /// List all rules.
    Rules(explain::Rules),
    /// Write a first havenlint.toml from the firewall files in a folder.
    Init(init::Init),
    /// Accept today's findings, so that `check` fails on new ones only.
    Baseline(Box<baseline::BaselineArgs>),
    /// Begin a catalogue, check it, run its examples, or print the format's JSON schema.
    Catalogue(catalogue::CatalogueArgs),
    /// Join the JSON reports of several runs.
    Merge(merge::Merge),
    /// Serve an editor: diagnostics, explanations and proven repairs while files are written (language server, on standard input and output).
    Lsp,
    /// Print the manual page, or write one for every command.
    Man {
        /// The folder to write them to, one page a command.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// The files a command reads, and how.
#[derive(Debug, Clone, Args)]
pub struct Inputs {
    /// Firewall files, or folders to search for them; `-` reads standard input.
    #[arg(value_name = "FILE")]
    pub paths: Vec<PathBuf>,
    /// All files belong to one machine. Left out, and without a deployment file: each file is a machine of its own; an IPv4 and an IPv6
    /// dump whose names differ only in the family are joined.
    #[arg(long, help_heading = "Input")]
    pub same_box: bool,
    /// How they are read.
    #[command(flatten)]
    pub reading: Reading,
}

/// How files are read, and what is known beside them.
#[derive(Debug, Clone, Args)]
pub struct Reading {
    /// Pass over files and folders with this name, or whose path matches this pattern; repeatable. Reports name those that look like firewalls.
    #[arg(long, value_name = "PATTERN", help_heading = "Input")]
    pub exclude: Vec<String>,
    /// Read files that the repository's .gitignore names, and walk hidden folders, `target` and `node_modules`, too.
    #[arg(long, help_heading = "Input")]
    pub no_ignore: bool,
    /// Read the named files as this dialect, instead of detecting it from their content.
    #[arg(long, value_name = "DIALECT", help_heading = "Input")]
    pub dialect: Option<String>,
    /// The machine's own addresses, for rules that test whether an address is local; `10.1.0.10/24` is the one address 10.1.0.10.
    #[arg(long, value_name = "ADDR[,ADDR…]", value_delimiter = ',', help_heading = "Input")]
    pub local: Vec<String>,
    /// Evaluate schedules at this local time, such as 2026-03-31T12:00.
    #[arg(long, value_name = "TIME", help_heading = "Input")]
    pub at: Option<String>,
    /// Value of a CloudFormation parameter. Left out: the template's default, and the report says so.
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Input")]
    pub parameter: Vec<String>,
    /// Change an assumption: `throttled` = rate limits may be exceeded; `forged` = source addresses may be forged, so reverse-path checks stop
    /// packets; `complete` = what the files do not mention does not exist; `includes-empty` = included files that are not read are empty.
    #[arg(long, value_name = "WHAT", value_parser = ["throttled", "not-throttled", "forged", "reverse-path", "complete", "includes-empty"], help_heading = "Input")]
    pub assume: Vec<String>,
    /// A copy of the machine's file system: absolute paths that a ruleset includes are looked up in this folder.
    #[arg(long, value_name = "DIR", help_heading = "Input")]
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
            Some(t) => Some(t.parse().map_err(|e| format!("--at {t}: {e}; write it as 2026-03-31T12:00"))?),
        };
        let mut parameters = BTreeMap::new();
        for spec in &self.parameter {
            let Some((name, value)) = spec.split_once('=') else {
                return Err(format!(
                    "--parameter {spec}: write NAME=VALUE, such as AdminNetwork=10.0.9.0/24"
                ));
            };
            parameters.insert(name.to_owned(), value.to_owned());
        }
        let mut walk = Walk::default();
        walk.all = self.no_ignore;
        walk.exclude(self.exclude.iter().cloned()).map_err(|e| format!("--exclude: {e}"))?;
        let options = ReadOptions {
            walk,
            variant: forced.map(|f| f.1),
            at,
            parameters,
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
            let set = own_address(text)
                .ok_or_else(|| format!("--local {text}: this is not an address, a prefix or a range"))?;
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

// An address as `ip address` shows it, with the length of its network's prefix, is one address: `10.1.0.10/24`. A prefix without host bits
// stands for all its addresses.
fn own_address(text: &str) -> Option<IntervalSet> {
    let one = text.parse::<ipnet::IpNet>().ok().filter(|n| n.addr() != n.network());
    one.map_or_else(|| addr::parse(text), |n| Some(IntervalSet::single(addr::value(n.addr()))))
}

/// Runs the command line; the status is for `main` to exit with.
pub fn run(cli: &Cli) -> ExitCode {
    ExitCode::from(match &cli.command {
        Command::Check(args) => check::execute(args, cli.color),
        Command::Trace(args) => trace::execute(args, cli.color),
        Command::Query(args) => query::execute(args, cli.color),
        Command::Fix(args) => fix::execute(args, cli.color),
        Command::Diff(args) => diff::execute(args, cli.color),
        Command::Review(args) => review::execute(args),
        Command::Selftest(args) => selftest::execute(args, cli.color),
        Command::Explain(args) => explain::explain(args, cli.color),
        Command::Rules(args) => explain::rules(args, cli.color),
        Command::Init(args) => init::execute(args),
        Command::Baseline(args) => baseline::execute(args),
        Command::Catalogue(args) => catalogue::execute(args, cli.color),
        Command::Merge(args) => merge::execute(args, cli.color),
        Command::Lsp => lsp::execute(),
        Command::Completions { shell } => {
            let mut command = <Cli as clap::CommandFactory>::command();
            // Written at once: the generator takes a full disk for a mistake of its own.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command, "havenlint", &mut script);
            print_exact(|out| out.write_all(&script))
        }
        Command::Man { dir: Some(dir) } => {
            let command = <Cli as clap::CommandFactory>::command();
            let written = output::write_folder(dir, |folder| clap_mangen::generate_to(command, folder));
            match written {
                Ok(()) => status::CLEAN,
                Err(e) => {
                    say(&format!("error: cannot write to {}: {e}", dir.display()));
                    status::TROUBLE
                }
            }
        }
        Command::Man { dir: None } => {
            let page = clap_mangen::Man::new(<Cli as clap::CommandFactory>::command());
            print_exact(|mut out| page.render(&mut out))
        }
    })
}
