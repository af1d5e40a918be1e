//! Findings sorted out: selected, waived, accepted by the baseline, each with its fingerprint.

use super::judge::Judged;
use super::load::Loaded;
use super::open::Opened;
use super::{Options, all_rules, trouble};
use crate::finding::{Finding, Flow, Open, Part, Problem, Requirement, Severity, Waived};
use crate::source::discover::shown;
use crate::source::{SourceFile, Text};
use crate::triage::baseline::{self, Accepted, BASELINE_FILE, Baseline, STALE};
use crate::triage::selection::Selection;
use crate::triage::spelling::Spelling;
use crate::triage::{fingerprint, identity, names, waiver};
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
    /// The baseline without what it accepts for nothing, and the number of entries of which that is so; `None` = there is none.
    pub pruned: Option<(Baseline, usize)>,
    /// How a baseline names the files of the run.
    pub spelling: Spelling,
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
    findings.dedup_by(|next, first| {
        let same =
            next.rule == first.rule && next.location == first.location && next.message == first.message;
        if same {
            first.extent.append(&mut next.extent);
        }
        same
    });
    let requirements = selected(selection, requirements);
    let flow_of = |f: &Finding| -> Vec<Flow> {
        let key = |r: &Requirement| (r.id.as_str(), r.subject.as_str()).cmp(&(&f.rule, &f.subject));
        let first = requirements.partition_point(|r| key(r).is_lt());
        let about = requirements[first..].iter().take_while(|r| key(r).is_eq());
        about.flat_map(|r| r.remainder.clone()).collect()
    };
    let day = OnceCell::new();
    let today = || *day.get_or_init(|| options.today.unwrap_or_else(|| jiff::Zoned::now().date()));
    let declared = opened.deployed.then_some(&opened.deployment);
    let asked: BTreeSet<&str> = requirements.iter().map(|r| r.id.as_str()).collect();
    // What is not asked, or stands in a file with errors, may be found when it is.
    let unsound: BTreeSet<&str> = opened
        .problems
        .iter()
        .chain(&loaded.problems)
        .filter(|p| p.level == Severity::Error)
        .map(|p| p.location.path.as_str())
        .collect();
    let world = waiver::World {
        deployment: declared,
        sources: &sources,
        selection,
        aliases: &opened.catalogue.aliases(),
        rules: &|| all_rules(&opened.catalogue),
        judged: &|rule, path| {
            (rule.kind != "requirement" || asked.contains(rule.id.as_str())) && !unsound.contains(path)
        },
        today: &today,
        flow_of: &flow_of,
    };
    let mut waived = waiver::apply(&mut findings, &world);
    sort(&mut findings);
    names::tell(&mut findings);
    identity::assign(&mut findings, loaded.firewalls());
    let baseline = baseline_file(options, opened);
    let spelling = Spelling::new(&baseline, sources.iter().map(|s| s.path.as_str()));
    fingerprint::assign(&mut findings, &spelling);
    let (mut problems, mut pruned) = (Vec::new(), None);
    if !options.no_baseline && (options.baseline.is_some() || baseline.is_file()) {
        match Baseline::read(&baseline) {
            Ok(accepted) => {
                // Who sees only a part of it cannot say what is gone.
                let whole = options.shard.is_none()
                    && !opened.problems.iter().chain(&loaded.problems).any(|p| p.level == Severity::Error);
                let judged =
                    |e: &Accepted| whole && selection.takes(&e.rule) && looked_at(opened, &spelling, e);
                let settled = accepted.settle(std::mem::take(&mut findings), &spelling, &judged);
                findings = settled.new;
                waived.extend(settled.accepted);
                if selection.takes(STALE) || options.ratchet {
                    findings.extend(baseline::stale(&settled.stale, &shown(&baseline), options.ratchet));
                    sort(&mut findings);
                }
                pruned = Some((settled.pruned, settled.stale.len()));
            }
            Err(e) => {
                let mut p = trouble(&shown(&baseline), e.message, &e.help);
                (p.location.line, p.location.end_line) = (e.line, e.line);
                (p.location.column, p.location.end_column) = (e.column, e.column);
                problems.push(p);
            }
        }
    }
    Triaged { requirements, open, findings, waived, problems, sources, baseline, pruned, spelling }
}

// Whether the run would have found what an entry of the baseline accepts: it read the file, and knows the machine.
fn looked_at(opened: &Opened, spelling: &Spelling, entry: &Accepted) -> bool {
    match entry.path.as_str() {
        "" => opened.deployed,
        path if spelling.read(path) => opened.deployed || entry.subject.contains(path),
        path => !spelling.exists(path),
    }
}

// One finding for one cause: what another one at the same place says too, and that is reported, is left out. The other one answers for its
// packets.
fn leave_to_others(findings: &mut Vec<Finding>) {
    type Place = (Text, Text, u32, u32);
    let place = |f: &Finding, id: &Text| -> Place {
        (id.clone(), f.location.path.clone(), f.location.line, f.location.column)
    };
    let named: BTreeSet<Text> = findings.iter().flat_map(|f| f.within.iter().cloned()).collect();
    let telling = findings.iter().filter(|f| named.contains(&f.rule));
    let told: BTreeSet<Place> = telling.map(|f| place(f, &f.rule)).collect();
    let left = |f: &Finding| -> Vec<Place> {
        f.within.iter().map(|id| place(f, id)).filter(|p| told.contains(p)).collect()
    };
    let mut packets: BTreeMap<Place, Vec<Part>> = BTreeMap::new();
    findings.retain(|f| {
        let to = left(f);
        to.iter().for_each(|p| packets.entry(p.clone()).or_default().extend(f.extent.iter().cloned()));
        to.is_empty()
    });
    for f in findings.iter_mut().filter(|f| named.contains(&f.rule)) {
        f.extent.extend(packets.get(&place(f, &f.rule)).into_iter().flatten().cloned());
    }
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
