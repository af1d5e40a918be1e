//! A whole run: deployment, files, requirements, checks, waivers, report.

use super::baseline::{BASELINE_FILE, Baseline};
use super::members::members;
use super::points::{Enforcer, Enforcers, environment};
use super::requirement::rows;
use super::row::Row;
use super::{explain_row, fingerprint, names, registry, waive};
use crate::analysis::Environment;
use crate::catalogue::resolve::{ResolvedFlow, resolve};
use crate::catalogue::{self, Catalogue};
use crate::config::{self, Deployment};
use crate::dialect::load::{Loaded, load, load_stream};
use crate::dialect::{Dialect, ReadOptions};
use crate::finding::{CatalogueId, Finding, Flow, Input, Problem, Report, RuleDoc, Severity, Summary, Tool};
use crate::model::Firewall;
use crate::packet::IntervalSet;
use crate::source::digest::Digest;
use crate::source::discover::shown;
use crate::source::{Diagnostic, Location, SourceFile, locate};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use walkdir::WalkDir;

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
    /// Only these rules: ids or prefixes.
    pub select: Vec<String>,
    /// Not these rules.
    pub ignore: Vec<String>,
    /// Rate limits may be exceeded.
    pub throttled: bool,
    /// How files are read.
    pub read: ReadOptions,
    /// Read named files as this dialect.
    pub forced: Option<&'static dyn Dialect>,
    /// The box's own addresses, without a deployment file.
    pub local: Option<IntervalSet>,
    /// Today, for waivers.
    pub today: Option<jiff::civil::Date>,
}

/// What came of a run.
pub struct Outcome {
    /// The report.
    pub report: Report,
    /// Whether any firewall file was found.
    pub found: bool,
    /// Whether requirements were asked for at all; if not, why.
    pub not_asked: Option<String>,
    /// Where the baseline stands, or would.
    pub baseline: PathBuf,
    /// The firewalls that were judged, in an order that depends on nothing but their files' names and the deployment.
    pub firewalls: Vec<Firewall>,
}

/// The default catalogue's name.
pub const DEFAULT_CATALOGUE: &str = "safehaven-4";

/// Name of the deployment file.
pub const DEPLOYMENT_FILE: &str = "havenlint.toml";

// One box to be: the files it has, and what part it plays.
struct Planned {
    files: Vec<PathBuf>,
    part: Part,
}

impl Planned {
    // How its files are read: with what the deployment says about the box.
    fn options(&self, deployment: &Deployment, all: &ReadOptions) -> ReadOptions {
        let labels = match self.part {
            Part::Node(n) => deployment.nodes[n].security_groups.clone(),
            Part::Gateway(_) => Vec::new(),
        };
        ReadOptions { labels, ..all.clone() }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Node(usize),
    Gateway(usize),
}

/// Runs.
pub fn run(options: &Options) -> Outcome {
    let mut problems = Vec::new();
    let draft = deployment_file(options, &mut problems);
    let catalogue = open_catalogue(options, draft.as_ref());
    let deployed = draft.is_some();
    let mut deployment = match draft {
        Some(d) => d.deployment(&vocabulary(&catalogue)),
        None => {
            config::from_options(&config_options(options), &vocabulary(&catalogue)).unwrap_or_else(|errors| {
                problems.extend(errors.into_iter().map(|e| trouble("(command line)", e, "")));
                Deployment::default()
            })
        }
    };
    override_phase(options, &catalogue, &mut deployment, &mut problems);
    let file = deployed.then(|| deployment.file.clone()).flatten().map(|f| (f, deployment.folder.clone()));
    let config_files: Vec<_> = deployment.file.iter().cloned().collect();
    problems.extend(problems_of(&deployment.diagnostics, &config_files));
    problems.extend(problems_of(&catalogue.diagnostics, &catalogue.files));
    let sound = catalogue.is_sound() && deployment.diagnostics.iter().all(|d| d.severity != Severity::Error);

    let mut read_options = options.read.clone();
    read_options.names.extend(deployment.names.iter().map(|(n, s)| (n.clone(), s.addresses.clone())));
    let planned = plan(&deployment, file.as_ref(), &mut problems);
    let mut groups: Vec<(Option<Part>, Loaded)> = planned
        .par_iter()
        .map(|p| (Some(p.part), load(&p.files, &p.options(&deployment, &read_options), None)))
        .collect();
    groups.push((None, loose(options, deployed, &planned, &read_options)));
    for u in groups.iter().flat_map(|(_, l)| &l.unreadable) {
        problems.push(trouble(&u.path, u.message.clone(), &u.help));
    }
    let firewalls: Vec<&Firewall> = groups.iter().flat_map(|(_, l)| &l.firewalls).collect();
    for f in &firewalls {
        problems.extend(problems_of(&f.diagnostics, &f.files));
    }

    let mut not_asked = None;
    let mut boxes = Enforcers::default();
    // What is asked: each deployment with its boxes. Without a deployment file each firewall is a box of its own, alone.
    let mut asked: Vec<(Vec<ResolvedFlow>, Enforcers<'_>)> = Vec::new();
    if deployed {
        for n in 0..deployment.nodes.len() {
            let own = of_part(&groups, Part::Node(n));
            let environment = environment(&deployment, n, options.throttled);
            let mut node = Enforcer::new(&deployment.nodes[n].name, &own, environment);
            node.site = deployment.nodes[n].site;
            node.interfaces = deployment.nodes[n].interfaces.keys().cloned().collect();
            boxes.nodes.push(node);
        }
        for (i, g) in deployment.gateways.iter().enumerate() {
            let own = of_part(&groups, Part::Gateway(i));
            let environment = Environment { throttled: options.throttled, ..Environment::default() };
            boxes.gateways.push(Enforcer::gateway(g, &own, environment));
        }
    } else if options.role.is_none() {
        not_asked = Some("no deployment file, and no --role: requirements were not asked for".to_owned());
    }
    if sound && not_asked.is_none() && deployed {
        asked.push((resolve(&catalogue, &deployment), std::mem::take(&mut boxes)));
    } else if sound && not_asked.is_none() && !deployment.nodes.is_empty() {
        for f in &firewalls {
            let mut alone = deployment.clone();
            for n in &mut alone.nodes {
                n.name = f.path().to_owned();
            }
            let mut environment = environment(&alone, 0, options.throttled);
            environment.local = options.local.clone().or(environment.local);
            let nodes = vec![Enforcer::new(f.path(), &[*f], environment)];
            asked.push((resolve(&catalogue, &alone), Enforcers { nodes, gateways: Vec::new() }));
        }
    }
    let all_rows: Vec<Row<'_>> = asked
        .par_iter()
        .flat_map(|(flows, boxes)| {
            flows.par_iter().flat_map(|f| rows(&catalogue, std::slice::from_ref(f), boxes))
        })
        .collect();
    let boxes = if deployed { asked.first().map_or(&boxes, |a| &a.1) } else { &boxes };
    let mut findings = explain_row::findings(&catalogue, &all_rows);
    let known =
        Environment { local: options.local.clone(), throttled: options.throttled, ..Environment::default() };
    findings.extend(hygiene(&groups, boxes, &known, &firewalls, deployed));
    for (flows, boxes) in &asked {
        registry::run_deployed(&registry::Deployed { catalogue: &catalogue, flows, boxes }, &mut findings);
    }

    let mut sources: BTreeMap<String, Arc<SourceFile>> = BTreeMap::new();
    for s in firewalls.iter().flat_map(|f| &f.files).chain(&config_files).chain(&catalogue.files) {
        sources.entry(s.path.clone()).or_insert_with(|| Arc::clone(s));
    }
    let sources: Vec<_> = sources.into_values().collect();
    findings.retain(|f| chosen(options, &f.rule));
    sort(&mut findings);
    findings.dedup_by(|a, b| a.rule == b.rule && a.location == b.location && a.message == b.message);
    let mut requirements: Vec<_> = all_rows.iter().map(Row::to_report).collect();
    requirements.retain(|r| chosen(options, &r.id));
    requirements.sort_by(|a, b| {
        (&a.id, &a.subject, &a.at, &a.flow, a.state).cmp(&(&b.id, &b.subject, &b.at, &b.flow, b.state))
    });
    requirements.dedup_by(|a, b| {
        (&a.id, &a.subject, &a.at, &a.flow, a.state) == (&b.id, &b.subject, &b.at, &b.flow, b.state)
    });
    let flow_of = |f: &Finding| -> Vec<Flow> {
        let about = requirements.iter().filter(|r| r.id == f.rule && r.subject == f.subject);
        about.flat_map(|r| r.remainder.clone()).collect()
    };
    let today = options.today.unwrap_or_else(|| jiff::Zoned::now().date());
    let declared = deployed.then_some(&deployment);
    let mut waived = waive::apply(&mut findings, declared, &sources, today, &flow_of);
    sort(&mut findings);
    names::tell(&mut findings);
    fingerprint::assign(&mut findings);
    let baseline = baseline_file(options, &deployment);
    if !options.no_baseline && (options.baseline.is_some() || baseline.is_file()) {
        match Baseline::read(&baseline) {
            Ok(b) => waived.extend(b.apply(&mut findings)),
            Err((line, column, message)) => {
                let mut p =
                    trouble(&shown(&baseline), message, "write it anew with `havenlint baseline write`");
                (p.location.line, p.location.end_line) = (line, line);
                (p.location.column, p.location.end_column) = (column, column);
                problems.push(p);
            }
        }
    }
    problems.sort_by(|a, b| a.location.cmp(&b.location).then_with(|| a.message.cmp(&b.message)));
    problems.dedup_by(|a, b| a.location == b.location && a.message == b.message);
    let found = !firewalls.is_empty();
    let mut assumptions = vec![if options.throttled { "throttled" } else { "not-throttled" }.to_owned()];
    if options.read.complete {
        assumptions.push("complete".to_owned());
    }
    let report = Report {
        schema: 1,
        tool: Tool { name: "havenlint".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        catalogue: CatalogueId {
            id: catalogue.id.clone(),
            version: catalogue.version.clone(),
            sha256: catalogue.sha256.clone(),
        },
        phase: deployment.phase.clone(),
        assumptions,
        inputs: inputs(&firewalls),
        summary: Summary::of(&requirements, &findings),
        requirements,
        findings,
        waived,
        problems,
        members: if deployed { members(&deployment) } else { Vec::new() },
        sources,
        rules: all_rules(&catalogue),
    };
    let firewalls = groups.into_iter().flat_map(|(_, l)| l.firewalls).collect();
    Outcome { report, found, not_asked, baseline, firewalls }
}

/// Documentation of every rule: the catalogue's requirements, then the checks.
pub fn all_rules(catalogue: &Catalogue) -> Vec<RuleDoc> {
    let mut out = catalogue.docs();
    out.extend(registry::CHECKS.iter().map(|c| c.doc()));
    out.extend(waive::docs());
    out
}

// Named, or beside the deployment file, or here.
fn baseline_file(options: &Options, deployment: &Deployment) -> PathBuf {
    let beside = || deployment.file.as_ref().map_or_else(PathBuf::new, |_| deployment.folder.clone());
    options.baseline.clone().unwrap_or_else(|| beside().join(BASELINE_FILE))
}

fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        (&a.location, &a.rule, &a.subject, &a.message).cmp(&(&b.location, &b.rule, &b.subject, &b.message))
    });
}

pub(super) fn chosen(options: &Options, rule: &str) -> bool {
    let hit = |list: &[String]| list.iter().any(|p| rule == p || rule.starts_with(p.as_str()));
    (options.select.is_empty() || hit(&options.select)) && !hit(&options.ignore)
}

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

// The deployment file: named, or in a folder that is given, or in this folder or one above it.
fn deployment_file(options: &Options, problems: &mut Vec<Problem>) -> Option<config::Draft> {
    if options.no_config || options.role.is_some() {
        return None;
    }
    let path = match &options.config {
        Some(p) => p.clone(),
        None => {
            let given = options.paths.iter().map(|p| p.join(DEPLOYMENT_FILE)).find(|p| p.is_file());
            let above = || -> Option<PathBuf> {
                let stdin = options.paths.iter().any(|p| p.as_os_str() == "-");
                let start = match options.paths.first() {
                    _ if stdin => return None,
                    Some(p) => std::path::absolute(p).ok()?,
                    None => std::env::current_dir().ok()?,
                };
                let here = std::env::current_dir().ok()?;
                let found = start.ancestors().map(|a| a.join(DEPLOYMENT_FILE)).find(|p| p.is_file())?;
                Some(found.strip_prefix(&here).map(Path::to_owned).unwrap_or(found))
            };
            given.or_else(above)?
        }
    };
    match config::open(&path) {
        Ok(draft) => Some(draft),
        Err(e) => {
            problems.push(trouble(&shown(&path), e, ""));
            None
        }
    }
}

fn trouble(path: &str, message: String, help: &str) -> Problem {
    Problem { level: Severity::Error, message, help: help.to_owned(), location: Location::top(path) }
}

fn open_catalogue(options: &Options, draft: Option<&config::Draft>) -> Catalogue {
    if let Some(c) = &options.catalogue {
        return catalogue::open(c, Path::new(""));
    }
    match draft {
        Some(d) => catalogue::open(d.catalogue().map_or(DEFAULT_CATALOGUE, |c| c.0), d.folder()),
        None => catalogue::open(DEFAULT_CATALOGUE, Path::new("")),
    }
}

fn vocabulary(catalogue: &Catalogue) -> config::Vocabulary {
    let mut v = catalogue.vocabulary();
    v.rules.extend(registry::CHECKS.iter().map(|c| c.id.to_owned()));
    v.rules.extend(waive::docs().into_iter().map(|d| d.id));
    v
}

fn config_options(options: &Options) -> config::Options {
    config::Options {
        role: options.role.clone(),
        phase: options.phase.clone(),
        site_type: options.site_type.clone(),
        sets: options.sets.clone(),
        local: options.local.clone(),
    }
}

fn override_phase(options: &Options, catalogue: &Catalogue, d: &mut Deployment, problems: &mut Vec<Problem>) {
    let Some(phase) = &options.phase else { return };
    if catalogue.phases.iter().any(|p| p.name == *phase) {
        d.phase = phase.clone();
    } else if d.file.is_some() {
        let known: Vec<_> = catalogue.phases.iter().map(|p| p.name.as_str()).collect();
        problems.push(trouble("", format!("--phase {phase}: the catalogue knows {}", known.join(", ")), ""));
    }
}

fn plan(
    deployment: &Deployment,
    file: Option<&(Arc<SourceFile>, PathBuf)>,
    problems: &mut Vec<Problem>,
) -> Vec<Planned> {
    let Some((source, folder)) = file else { return Vec::new() };
    let nodes = deployment.nodes.iter().enumerate().map(|(i, n)| (Part::Node(i), &n.firewall));
    let gateways = deployment.gateways.iter().enumerate().map(|(i, g)| (Part::Gateway(i), &g.firewall));
    let mut out = Vec::new();
    for (part, patterns) in nodes.chain(gateways) {
        let mut files = BTreeSet::new();
        for p in patterns {
            let found = expand(folder, &p.text);
            if found.is_empty() {
                let location = source.locate(p.origin.start as usize, p.origin.end as usize);
                problems.push(Problem {
                    level: Severity::Error,
                    message: format!("no file matches `{}`", p.text),
                    help: format!("paths are relative to {}", shown(&folder.join("."))),
                    location,
                });
            }
            files.extend(found);
        }
        if !files.is_empty() {
            out.push(Planned { files: files.into_iter().collect(), part });
        }
    }
    out
}

fn expand(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    if !pattern.contains(['*', '?', '[', '{']) {
        let path = folder.join(pattern);
        return if path.is_file() { vec![path] } else { Vec::new() };
    }
    let Ok(glob) = globset::GlobBuilder::new(pattern).literal_separator(true).build() else {
        return Vec::new();
    };
    let matcher = glob.compile_matcher();
    // Walk only from the part of the pattern that is a plain path.
    let fixed: PathBuf = Path::new(pattern)
        .components()
        .take_while(|c| !c.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']))
        .collect();
    WalkDir::new(folder.join(fixed))
        .sort_by_file_name()
        .into_iter()
        .flatten()
        .filter(|e| e.file_type().is_file())
        .filter(|e| e.path().strip_prefix(folder).is_ok_and(|p| matcher.is_match(p)))
        .map(walkdir::DirEntry::into_path)
        .collect()
}

// Files that are given or walked and belong to no node.
fn loose(options: &Options, deployed: bool, planned: &[Planned], read_options: &ReadOptions) -> Loaded {
    if options.paths.iter().any(|p| p.as_os_str() == "-") {
        return load_stream(&mut std::io::stdin().lock(), read_options, options.forced);
    }
    let here = [PathBuf::from(".")];
    let paths: &[PathBuf] = match (options.paths.is_empty(), deployed) {
        (false, _) => &options.paths,
        (true, true) => return Loaded::default(),
        (true, false) => &here,
    };
    let mut loaded = load(paths, read_options, options.forced);
    let taken: BTreeSet<PathBuf> =
        planned.iter().flat_map(|p| &p.files).filter_map(|f| f.canonicalize().ok()).collect();
    loaded.firewalls.retain(|f| {
        !f.files.iter().any(|s| Path::new(&s.path).canonicalize().is_ok_and(|p| taken.contains(&p)))
    });
    loaded
}

fn of_part(groups: &[(Option<Part>, Loaded)], part: Part) -> Vec<&Firewall> {
    groups.iter().filter(|(p, _)| *p == Some(part)).flat_map(|(_, l)| &l.firewalls).collect()
}

fn hygiene(
    groups: &[(Option<Part>, Loaded)],
    boxes: &Enforcers<'_>,
    known: &Environment,
    all: &[&Firewall],
    deployed: bool,
) -> Vec<Finding> {
    let subjects: Vec<(String, &Environment, Vec<&Firewall>, &Firewall)> = groups
        .iter()
        .flat_map(|(part, loaded)| {
            let own: Vec<&Firewall> = loaded.firewalls.iter().collect();
            loaded.firewalls.iter().map(move |f| {
                let b = match part {
                    Some(Part::Node(n)) => boxes.nodes.get(*n),
                    Some(Part::Gateway(g)) => boxes.gateways.get(*g),
                    None => None,
                };
                let name = b.map_or_else(|| f.path().to_owned(), |b| b.name.clone());
                // Without a deployment nothing tells which files are of one box: all of the run are taken to be.
                let beside = if b.is_none() && !deployed { all.to_vec() } else { own.clone() };
                (name, b.map_or(known, |b| &b.environment), beside, f)
            })
        })
        .collect();
    subjects
        .par_iter()
        .flat_map(|(name, environment, beside, firewall)| {
            let mut out = Vec::new();
            registry::run(&registry::Subject::new(firewall, beside, environment, name), &mut out);
            out
        })
        .collect()
}

fn inputs(firewalls: &[&Firewall]) -> Vec<Input> {
    let mut seen = BTreeSet::new();
    let mut out: Vec<Input> = Vec::new();
    for f in firewalls {
        for (i, s) in f.files.iter().enumerate() {
            if !seen.insert(&s.path) {
                continue;
            }
            out.push(Input {
                path: s.path.clone(),
                dialect: f.dialect.to_owned(),
                sha256: Digest::of(s),
                rules: if i == 0 {
                    f.ledger.exact + f.ledger.approximated + f.ledger.not_understood
                } else {
                    0
                },
                ledger: if i == 0 { f.ledger } else { Default::default() },
            });
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}
