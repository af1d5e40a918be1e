//! `havenlint baseline`: accepts what is found today.

use super::check::Judged;
use super::output::write_file;
use super::{say, status};
use crate::finding::Severity;
use crate::report::text::count as counted;
use crate::session::{Options, Outcome};
use crate::source::discover::shown;
use crate::triage::baseline::Baseline;
use clap::{Args, Subcommand};

/// Accept today's findings, so that `check` fails on new ones only.
#[derive(Debug, Args)]
#[command(after_help = super::help::BASELINE)]
pub struct BaselineArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Accept all of today's findings.
    Write(Judged),
    /// Drop from the baseline what is gone, and narrow it to what is left.
    Prune(Judged),
}

/// Runs the command.
pub fn execute(args: &BaselineArgs) -> u8 {
    let (Action::Write(judged) | Action::Prune(judged)) = &args.action;
    let outcome = match judged.options() {
        Ok(options) => {
            let no_baseline = matches!(args.action, Action::Write(_));
            judged.run(&Options { no_baseline, ..options })
        }
        Err(message) => {
            say(&format!("error: {message}"));
            return status::TROUBLE;
        }
    };
    if !outcome.found && outcome.report.problems.is_empty() {
        say("error: no firewall file found: name a file, or a folder that contains some");
        return status::NOTHING;
    }
    let errors: Vec<_> = outcome.report.problems.iter().filter(|p| p.level == Severity::Error).collect();
    if let Some(first) = errors.first() {
        let place = format!("{}:{}:{}", first.location.path, first.location.line, first.location.column);
        say(&format!("error: {place}: {}", first.message));
        say(
            "the baseline is unchanged: a file that cannot be read hides findings; `havenlint check` lists all problems",
        );
        return status::TROUBLE;
    }
    match &args.action {
        Action::Write(_) => {
            let baseline = Baseline::of(&outcome.report.findings, &outcome.spelling);
            let count = outcome.report.findings.len();
            store(&outcome, &baseline, &format!("accepted {}", counted(count, "finding")))
        }
        Action::Prune(_) => match &outcome.pruned {
            Some((baseline, gone)) => {
                let kept = baseline.findings.len();
                let done =
                    format!("dropped or narrowed {}, {kept} still accepted", counted(*gone, "finding"));
                store(&outcome, baseline, &done)
            }
            None => {
                say(&format!("error: there is no baseline: {}", shown(&outcome.baseline)));
                status::TROUBLE
            }
        },
    }
}

fn store(outcome: &Outcome, baseline: &Baseline, done: &str) -> u8 {
    let path = shown(&outcome.baseline);
    let read = outcome.report.sources.iter().map(|s| s.path.as_str());
    match write_file(&outcome.baseline, read, |out| out.write_all(baseline.text().as_bytes())) {
        Ok(()) => {
            say(&format!("{done}: {path}"));
            status::CLEAN
        }
        Err(e) => {
            say(&format!("error: cannot write {path}: {e}"));
            status::TROUBLE
        }
    }
}
