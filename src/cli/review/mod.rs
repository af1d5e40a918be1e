//! `havenlint review`: what a change in git newly lets in, newly breaks, and fixes, as one comment.

mod page;
mod policy;

use super::check::Judged;
use super::diff::{PairTold, compare_all};
use super::{print, say, status};
use crate::deployment::Deployment;
use crate::finding::{Finding, Severity};
use crate::report::json::write_document;
use crate::session::{DEPLOYMENT_FILE, Options, Outcome};
use crate::source::git::{GitError, Renames, Repository};
use crate::triage::baseline::{Accepted, BASELINE_FILE, Baseline};
use clap::Args;
use page::Review;
use std::path::{Path, PathBuf};

/// Show what a change in git newly lets in, newly breaks and fixes, as one comment in Markdown.
///
/// Compares HEAD with the commit at which it parted from the base. Both are read from git: what is not committed is not looked at. Files, deployment
/// file and catalogue are those of each version; a baseline plays no part.
#[derive(Debug, Args)]
#[command(after_help = super::help::REVIEW)]
pub struct ReviewArgs {
    /// The branch or commit that the change is for, such as origin/main.
    #[arg(long, value_name = "REF")]
    base: String,
    /// The changed version.
    #[arg(long, value_name = "REF", default_value = "HEAD")]
    head: String,
    #[command(flatten)]
    judged: Judged,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "markdown", value_parser = ["markdown", "json"], help_heading = "Output")]
    format: String,
    /// What makes the exit status 1: `error`, `warning`, `note` = a new finding of that level or above, waived or not, something that newly comes in from
    /// the Internet, or a policy that is weaker than before; `any` = any change of what passes or is checked, too; `never`.
    #[arg(long, value_name = "WHAT", default_value = "error", value_parser = ["error", "warning", "note", "any", "never"], help_heading = "Output")]
    fail_on: String,
    /// Somebody has agreed that less is checked: a weaker policy and new waivers are shown, and do not fail.
    #[arg(long, help_heading = "Output")]
    accept_policy: bool,
}

/// Runs the command.
pub fn execute(args: &ReviewArgs) -> u8 {
    match review(args) {
        Ok(status) => status,
        Err(message) => {
            say(&format!("error: {message}"));
            status::TROUBLE
        }
    }
}

// One version of the repository, as files.
struct Version {
    folder: tempfile::TempDir,
    left_out: Vec<String>,
    deployment: Option<Deployment>,
    outcome: Outcome,
}

fn review(args: &ReviewArgs) -> Result<u8, String> {
    let repository = Repository::here().map_err(|e| e.to_string())?;
    let told = |e: GitError| e.to_string();
    let head = repository.commit(&args.head).map_err(told)?;
    let base = repository.commit(&args.base).map_err(told)?;
    let base = repository.parting(&base, &head).map_err(told)?;
    let old = version(args, &repository, &base, None)?;
    let new = version(args, &repository, &head, Some(&old))?;
    let renamed = repository.renames(&base, &head).map_err(told)?;
    if !old.outcome.found && !new.outcome.found && new.outcome.report.problems.is_empty() {
        say("error: neither version has a firewall file");
        return Ok(status::NOTHING);
    }
    let environment = args.judged.environment()?;
    let (pairs, agreed) = compare_all(
        (old.folder.path(), &old.outcome.firewalls),
        (new.folder.path(), &new.outcome.firewalls),
        &renamed,
        &environment,
    );
    let review = settle(args, &old, &new, &renamed, pairs);
    let printed = print(|out| match args.format.as_str() {
        "json" => write_document(&review, out),
        _ => out.write_all(review.page().as_bytes()),
    });
    Ok(match () {
        () if !agreed => {
            say(
                "internal error: a packet shown here got another verdict when it was replayed; please report this",
            );
            status::INTERNAL
        }
        () if printed != status::CLEAN => printed,
        () if review.cannot_be_read() => status::TROUBLE,
        () if fails(args, &review) => status::FINDINGS,
        () => status::CLEAN,
    })
}

fn fails(args: &ReviewArgs, review: &Review) -> bool {
    let least = match args.fail_on.as_str() {
        "never" => return false,
        "any" if review.changes() => return true,
        "any" | "note" => Severity::Note,
        "warning" => Severity::Warning,
        _ => Severity::Error,
    };
    // Who writes the change writes its waivers, too.
    let hides = !review.weakened.is_empty() || review.waived.iter().any(|w| w.finding.level >= least);
    review.exposes() || review.new.iter().any(|f| f.level >= least) || hides && !args.accept_policy
}

// Writes a version to a folder of its own, and checks it there: for the rules that were checked before, so that a change cannot leave out those
// that it breaks.
fn version(
    args: &ReviewArgs,
    repository: &Repository,
    commit: &str,
    before: Option<&Version>,
) -> Result<Version, String> {
    let folder = tempfile::Builder::new()
        .prefix("havenlint-")
        .tempdir()
        .map_err(|e| format!("cannot make a temporary folder: {e}"))?;
    // Names are those of the real folder, so that what is cut off again is what was put before.
    let root = folder.path().canonicalize().map_err(|e| format!("cannot use a temporary folder: {e}"))?;
    let left_out = repository.export(commit, &root).map_err(|e| e.to_string())?;
    let options = args.judged.options()?;
    let here = root.join(&repository.prefix);
    let inside = |p: &Path| if p.is_absolute() { p.to_owned() } else { here.join(p) };
    let mut config = options.config.as_deref().map(inside);
    if config.is_none() && !options.no_config && options.role.is_none() {
        let above = here.ancestors().take_while(|a| a.starts_with(&root));
        let given = options.paths.iter().map(|p| inside(p));
        let folders = given.chain(above.map(Path::to_owned)).map(|f| f.join(DEPLOYMENT_FILE));
        config = folders.into_iter().find(|f| f.is_file());
    }
    let mut paths: Vec<PathBuf> = options.paths.iter().map(|p| inside(p)).filter(|p| p.exists()).collect();
    if paths.is_empty() && config.is_none() {
        paths.push(here);
    }
    // A folder that this version does not have holds no firewall.
    paths.retain(|p| p.exists());
    let nothing = paths.is_empty() && config.is_none();
    let options = Options {
        paths: if nothing { vec![root.clone()] } else { paths },
        no_config: config.is_none(),
        config,
        no_baseline: true,
        // Files of both versions are called by their names in the repository.
        baseline: Some(root.join(BASELINE_FILE)),
        min_severity: Some(Severity::Note),
        selection: before.map(|b| b.outcome.selection.clone()),
        ..options
    };
    let outcome = args.judged.run(&options);
    let (deployment, _) = crate::session::deployment(&options);
    Ok(Version { folder, left_out, deployment, outcome })
}

// Whether a version has a node or gateway of a name.
fn named(version: &Version, name: &str) -> bool {
    let of = |d: &Deployment| {
        d.nodes.iter().map(|n| &n.name).chain(d.gateways.iter().map(|g| &g.name)).any(|n| n == name)
    };
    version.deployment.as_ref().is_some_and(of)
}

fn settle(
    args: &ReviewArgs,
    old: &Version,
    new: &Version,
    renamed: &Renames,
    pairs: Vec<PairTold>,
) -> Review {
    let roots: Vec<String> = [old, new]
        .iter()
        .filter_map(|v| Some(format!("{}/", v.folder.path().canonicalize().ok()?.to_string_lossy())))
        .collect();
    let with_waived = |o: &Outcome| -> Vec<Finding> {
        let waived = o.report.waived.iter().map(|w| w.finding.clone());
        o.report.findings.iter().cloned().chain(waived).collect()
    };
    // What was there before is what a baseline of it accepts.
    let whole = |o: &Outcome| o.report.problems.iter().all(|p| p.level != Severity::Error);
    let sound = whole(&old.outcome) && whole(&new.outcome);
    let before = with_waived(&old.outcome);
    let called = old.outcome.spelling.renamed(renamed);
    let accepted = Baseline::of(&before, &called);
    // What is not asked any more is not fixed: a file or a machine that is gone.
    let required =
        |rule: &str| old.outcome.report.rules.iter().any(|d| d.id == rule && d.kind == "requirement");
    let by_a_policy = new.deployment.is_some() || old.deployment.is_none();
    let (asked, names) = (&new.outcome.report.requirements, &new.outcome.spelling);
    let still = |e: &Accepted| {
        let row = || asked.iter().any(|r| r.id == e.rule && names.subject(&r.subject) == e.subject);
        let machines = || named(new, &e.subject) || !named(old, &e.subject);
        sound && by_a_policy && names.read(&e.path) && machines() && (!required(&e.rule) || row())
    };
    let mut settled = accepted.settle(with_waived(&new.outcome), names, &still);
    let before = |d: &mut (String, String)| {
        if d.0 == "accepted" {
            *d = ("before".to_owned(), "the rest was so before".to_owned());
        }
    };
    settled.new.iter_mut().flat_map(|f| &mut f.details).for_each(before);
    let is_waived = |f: &Finding| {
        new.outcome
            .report
            .waived
            .iter()
            .any(|w| w.finding.fingerprint == f.fingerprint && w.finding.rule == f.rule)
    };
    let (_, new_findings): (Vec<Finding>, Vec<Finding>) = settled.new.into_iter().partition(&is_waived);
    let waived_before = Baseline::of(
        &old.outcome.report.waived.iter().map(|w| w.finding.clone()).collect::<Vec<_>>(),
        &called,
    );
    let waived_now: Vec<Finding> = new.outcome.report.waived.iter().map(|w| w.finding.clone()).collect();
    let waived = waived_before.settle(waived_now, &new.outcome.spelling, &|_| false).new;
    let reason =
        |f: &Finding| new.outcome.report.waived.iter().find(|w| w.finding.fingerprint == f.fingerprint);
    let waived = waived.iter().filter_map(|f| reason(f).cloned()).collect();
    let policy = policy::changes(old, new, renamed);
    let mut review = Review {
        base: args.base.clone(),
        head: args.head.clone(),
        new: new_findings,
        waived,
        fixed: settled.stale,
        policy: policy.all,
        weakened: policy.weaker,
        accepted: args.accept_policy,
        pairs,
        problems: new.outcome.report.problems.clone(),
        unread: new.outcome.report.unread.clone(),
        left_out: new.left_out.clone(),
        old_problems: old.outcome.report.problems.iter().filter(|p| p.level == Severity::Error).count(),
    };
    crate::finding::worst_first(&mut review.new);
    review.relative(&roots);
    review
}
