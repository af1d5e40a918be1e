//! Findings sorted out: selected, waived, accepted by the baseline, each with its fingerprint.

use super::judge::Judged;
use super::load::Loaded;
use super::open::Opened;
use super::{Options, trouble};
use crate::finding::{Finding, Flow, Open, Problem, Requirement, Waived};
use crate::source::SourceFile;
use crate::source::discover::shown;
use crate::triage::baseline::{BASELINE_FILE, Baseline};
use crate::triage::selection::Selection;
use crate::triage::{fingerprint, names, waiver};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// What is reported.
pub struct Triaged {
    /// The requirements that were selected.
    pub requirements: Vec<Requirement>,
    /// What anybody may open a connection to.
    pub open: Vec<Open>,
    /// The findings that count.
    pub findings: Vec<Finding>,
    /// Those that do not, and why.
    pub waived: Vec<Waived>,
    /// What is wrong with the baseline.
    pub problems: Vec<Problem>,
    /// Every file that a finding may stand in.
    pub sources: Vec<Arc<SourceFile>>,
    /// Where the baseline stands, or would.
    pub baseline: PathBuf,
}

/// Sorts out what was judged.
pub fn triage(
    options: &Options,
    opened: &Opened,
    loaded: &Loaded,
    judged: Judged,
    selection: &Selection,
) -> Triaged {
    let Judged { requirements, mut findings, open } = judged;
    let sources = sources(opened, loaded);
    findings.retain(|f| selection.takes(&f.rule));
    leave_to_others(&mut findings);
    sort(&mut findings);
    findings.dedup_by(|a, b| a.rule == b.rule && a.location == b.location && a.message == b.message);
    let requirements = selected(selection, requirements);
    let flow_of = |f: &Finding| -> Vec<Flow> {
        let about = requirements.iter().filter(|r| r.id == f.rule && r.subject == f.subject);
        about.flat_map(|r| r.remainder.clone()).collect()
    };
    let day = OnceCell::new();
    let today = || *day.get_or_init(|| options.today.unwrap_or_else(|| jiff::Zoned::now().date()));
    let declared = opened.deployed.then_some(&opened.deployment);
    let mut waived = waiver::apply(&mut findings, declared, &sources, &today, &flow_of);
    sort(&mut findings);
    names::tell(&mut findings);
    fingerprint::assign(&mut findings);
    let baseline = baseline_file(options, opened);
    let mut problems = Vec::new();
    if !options.no_baseline && (options.baseline.is_some() || baseline.is_file()) {
        match Baseline::read(&baseline) {
            Ok(b) => waived.extend(b.apply(&mut findings)),
            Err((line, column, message)) => {
                let mut p =
                    trouble(&shown(&baseline), message, "run `havenlint baseline write` to write it again");
                (p.location.line, p.location.end_line) = (line, line);
                (p.location.column, p.location.end_column) = (column, column);
                problems.push(p);
            }
        }
    }
    Triaged { requirements, open, findings, waived, problems, sources, baseline }
}

// One finding for one cause: what another one at the same place says too, and that is reported, is left out.
fn leave_to_others(findings: &mut Vec<Finding>) {
    let place = |f: &Finding| (f.location.path.clone(), f.location.line, f.location.column);
    let mut told: BTreeSet<(String, (String, u32, u32))> = BTreeSet::new();
    let named: BTreeSet<String> = findings.iter().flat_map(|f| f.within.iter().cloned()).collect();
    told.extend(findings.iter().filter(|f| named.contains(&f.rule)).map(|f| (f.rule.clone(), place(f))));
    findings.retain(|f| !f.within.iter().any(|id| told.contains(&(id.clone(), place(f)))));
}

fn sources(opened: &Opened, loaded: &Loaded) -> Vec<Arc<SourceFile>> {
    let mut sources: BTreeMap<String, Arc<SourceFile>> = BTreeMap::new();
    for s in loaded.firewalls().flat_map(|f| &f.files).chain(opened.files()) {
        sources.entry(s.path.clone()).or_insert_with(|| Arc::clone(s));
    }
    sources.into_values().collect()
}

// Each requirement once, in an order of its own.
fn selected(selection: &Selection, mut requirements: Vec<Requirement>) -> Vec<Requirement> {
    requirements.retain(|r| selection.takes(&r.id));
    requirements.sort_by(|a, b| {
        (&a.id, &a.subject, &a.at, &a.flow, a.state).cmp(&(&b.id, &b.subject, &b.at, &b.flow, b.state))
    });
    requirements.dedup_by(|a, b| {
        (&a.id, &a.subject, &a.at, &a.flow, a.state) == (&b.id, &b.subject, &b.at, &b.flow, b.state)
    });
    requirements
}

// Named, or beside the deployment file, or here.
fn baseline_file(options: &Options, opened: &Opened) -> PathBuf {
    let deployment = &opened.deployment;
    let beside = || deployment.file.as_ref().map_or_else(PathBuf::new, |_| deployment.folder.clone());
    options.baseline.clone().unwrap_or_else(|| beside().join(BASELINE_FILE))
}

fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        (&a.location, &a.rule, &a.subject, &a.message).cmp(&(&b.location, &b.rule, &b.subject, &b.message))
    });
}
