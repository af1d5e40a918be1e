//! What is judged, and what came of it: every requirement at every point of its path, every check at every firewall.

use super::Options;
use super::load::{Loaded, Part};
use super::memory::Memory;
use super::open::Opened;
use crate::analysis::Environment;
use crate::catalogue::resolve::{Endpoint, ResolvedFlow, resolve};
use crate::catalogue::together::{MANY_PAIRS, Together};
use crate::compliance::explanation;
use crate::compliance::path::{EnforcementPoint, EnforcementPoints, environment};
use crate::compliance::requirement::rows;
use crate::compliance::row::Row;
use crate::dialect::same_box::{self, SameBox};
use crate::finding::{Finding, Open, Purpose, Requirement};
use crate::lint::registry;
use crate::lint::unused::{FOR_READERS, FOR_REPAIRS};
use crate::model::Firewall;
use crate::packet::IntervalSet;
use crate::triage::selection::Selection;
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// A deployment to judge: its flows, and the enforcement points that they pass.
type World<'a> = (Vec<ResolvedFlow>, EnforcementPoints<'a>);

/// What is checked.
pub struct Checked<'a> {
    /// The deployment of the deployment file, with its enforcement points.
    deployed: Option<World<'a>>,
    /// Without a deployment file, the firewalls of each box: it is a deployment of its own, alone.
    boxes: Vec<Vec<&'a Firewall>>,
    /// The points of the deployment file, where its requirements are not checked.
    idle: EnforcementPoints<'a>,
    /// Why no requirement is checked; `None` = they are, or an error says why not.
    pub not_checked: Option<String>,
}

impl<'a> Checked<'a> {
    /// What the catalogue requires of the firewalls that were read.
    pub fn of(options: &Options, opened: &Opened, loaded: &'a Loaded) -> Self {
        let idle = EnforcementPoints::default();
        let mut this = Self { deployed: None, boxes: Vec::new(), idle, not_checked: None };
        if opened.deployed {
            let points = points(options, opened, loaded);
            if opened.sound && opened.catalogue.requirements.is_empty() {
                let id = &opened.catalogue.id;
                this.not_checked = Some(format!("the catalogue `{id}` has no requirements: none checked"));
            }
            if opened.sound {
                let side = |end: &Endpoint| points.side(end);
                let together = Together { above: options.pairs.unwrap_or(MANY_PAIRS), side: &side };
                let flows = resolve(&opened.catalogue, &opened.deployment, &together);
                this.deployed = Some((flows, points));
            } else {
                this.idle = points;
            }
        } else if options.role.is_none() {
            this.not_checked = Some("no deployment file and no --role: no requirements checked; `havenlint init` writes a first deployment file".to_owned());
        } else if opened.sound && !opened.deployment.nodes.is_empty() {
            let all: Vec<&Firewall> = loaded.firewalls().collect();
            let own = |b: &SameBox| b.members.iter().map(|m| all[*m]).collect::<Vec<_>>();
            this.boxes = loaded.boxes.iter().map(own).collect();
        }
        this
    }

    /// The flows of the deployment file that are checked, and its points.
    pub fn ways(&self) -> (&[ResolvedFlow], &EnforcementPoints<'a>) {
        (self.deployed.as_ref().map_or(&[], |w| &w.0), self.points())
    }

    // The points of the deployment file.
    fn points(&self) -> &EnforcementPoints<'a> {
        self.deployed.as_ref().map_or(&self.idle, |w| &w.1)
    }
}

// Every node and gateway of the deployment file, with its firewalls.
pub fn points<'a>(options: &Options, opened: &Opened, loaded: &'a Loaded) -> EnforcementPoints<'a> {
    let deployment = &opened.deployment;
    let mut points = EnforcementPoints::default();
    for (n, declared) in deployment.nodes.iter().enumerate() {
        let environment = environment(deployment, n, &options.assumed());
        let mut node = EnforcementPoint::new(&declared.name, &loaded.of_part(Part::Node(n)), environment);
        node.site = declared.site;
        node.interfaces = declared.interfaces.keys().cloned().collect();
        let order = opened.catalogue.roles.get(&declared.role);
        let order: Vec<String> =
            order.map(|r| r.networks.iter().map(|n| n.name.clone()).collect()).unwrap_or_default();
        let home =
            |(name, network): (&String, &String)| Some((name.clone(), declared.on(network, &order)?.clone()));
        node.homes = declared.interfaces.iter().filter_map(home).collect();
        node.routed(loaded.routes_of(Part::Node(n)));
        node.routed_by_files(&declared.all().unwrap_or_default());
        points.nodes.push(node);
    }
    for (i, g) in deployment.gateways.iter().enumerate() {
        let environment = options.assumed();
        let mut gateway = EnforcementPoint::gateway(g, &loaded.of_part(Part::Gateway(i)), environment);
        gateway.routed(loaded.routes_of(Part::Gateway(i)));
        let own = gateway.own.values().fold(IntervalSet::EMPTY, |all, s| all.union(s));
        gateway.routed_by_files(&own);
        points.gateways.push(gateway);
    }
    points
}

// One box that nothing but the options describes.
fn alone<'a>(options: &Options, opened: &Opened, own: &[&'a Firewall]) -> World<'a> {
    let name = same_box::name(own);
    let mut deployment = opened.deployment.clone();
    for n in &mut deployment.nodes {
        n.name = name.clone();
    }
    let mut environment = environment(&deployment, 0, &options.assumed());
    environment.local = options.local.clone().or(environment.local);
    let nodes = vec![EnforcementPoint::new(&name, own, environment)];
    (
        resolve(&opened.catalogue, &deployment, &Together::default()),
        EnforcementPoints { nodes, gateways: Vec::new() },
    )
}

/// What came of it.
pub struct Judged {
    /// The requirements, as the report has them.
    pub requirements: Vec<Requirement>,
    /// The findings of requirements and of checks.
    pub findings: Vec<Finding>,
    /// What anybody may open a connection to.
    pub open: Vec<Open>,
}

impl Judged {
    /// Judges what is selected, and nothing else.
    pub fn of(
        options: &Options,
        opened: &Opened,
        loaded: &Loaded,
        checked: &Checked<'_>,
        selection: &Selection,
        memory: Option<&Memory>,
    ) -> Self {
        let catalogue = &opened.catalogue;
        // Without a deployment file the parts have files of their own.
        let mine = |name: &str| !opened.deployed || options.shard.is_none_or(|s| s.takes(name));
        let asked = |f: &&ResolvedFlow| {
            selection.takes(&catalogue.requirements[f.requirement].id) && mine(&f.subject_end().name)
        };
        let progress = &options.read.progress.requirements;
        // What an edit is for is asked only by who proves it.
        let kept = |mut f: Finding| {
            if let Some(fix) = f.fix.as_mut().filter(|_| !options.report_all) {
                fix.purpose = Purpose::default();
            }
            f
        };
        // What findings are made of is needed no longer than for those of one requirement and one subject.
        let unit = |flows: &Vec<&ResolvedFlow>, points: &EnforcementPoints<'_>| -> Told {
            let rows: Vec<Row<'_>> = flows
                .par_iter()
                .flat_map(|f| {
                    let of_one = rows(catalogue, std::slice::from_ref(*f), points);
                    progress.tick();
                    of_one
                })
                .collect();
            Told {
                findings: explanation::findings(catalogue, &rows).into_iter().map(kept).collect(),
                requirements: rows.iter().map(Row::to_report).collect(),
                open: Vec::new(),
            }
        };
        let world = |(flows, points): &World<'_>, memory: Option<&Memory>| -> Told {
            let units = units(flows.iter().filter(asked));
            progress.expect(units.iter().map(Vec::len).sum());
            let each = units.par_iter().map(|flows| match memory {
                Some(memory) => memory.unit(flows, points, || unit(flows, points)),
                None => unit(flows, points),
            });
            let mut told = Told::all(each.collect());
            let deployed = registry::Deployed::new(catalogue, flows, points, &opened.seen);
            let selected = |id: &str| selection.takes(id) && mine(id);
            told.findings.extend(registry::run_deployed(&deployed, &selected, &|check, looked, look| {
                match memory {
                    Some(m) => m.deployed(check, looked, points, || Told::found(look())).findings,
                    None => look(),
                }
            }));
            told
        };
        // Boxes that only the options describe are nobody's memory.
        let boxes = checked.boxes.par_iter().map(|own| world(&alone(options, opened, own), None));
        let mut told: Vec<Told> = boxes.collect();
        told.extend(checked.deployed.as_ref().map(|w| world(w, memory)));
        told.extend(hygiene(options, opened, loaded, checked.points(), selection, memory));
        let Told { findings, requirements, mut open } = Told::all(told);
        open.sort();
        open.dedup();
        Self { requirements, findings, open }
    }
}

/// What a part of a run tells.
#[derive(Clone, Default)]
pub struct Told {
    /// Findings.
    pub findings: Vec<Finding>,
    /// Requirements.
    pub requirements: Vec<Requirement>,
    /// What anybody may open a connection to.
    pub open: Vec<Open>,
}

impl Told {
    fn found(findings: Vec<Finding>) -> Self {
        Self { findings, ..Self::default() }
    }

    // One after another.
    fn all(each: Vec<Self>) -> Self {
        each.into_iter().fold(Self::default(), |mut all, told| {
            all.findings.extend(told.findings);
            all.requirements.extend(told.requirements);
            all.open.extend(told.open);
            all
        })
    }
}

// The flows of each requirement with each subject.
fn units<'f>(flows: impl Iterator<Item = &'f ResolvedFlow>) -> Vec<Vec<&'f ResolvedFlow>> {
    let mut out: Vec<Vec<&ResolvedFlow>> = Vec::new();
    let mut known: FxHashMap<(usize, &str), usize> = FxHashMap::default();
    for flow in flows {
        let number = *known.entry((flow.requirement, flow.subject_end().name.as_str())).or_insert(out.len());
        match out.get_mut(number) {
            Some(unit) => unit.push(flow),
            None => out.push(vec![flow]),
        }
    }
    out
}

// Whether some check is asked for that tells what anybody may open a connection to: only then that is listed.
fn tells_open(selection: &Selection) -> bool {
    const THEY: [&str; 2] = ["HL-EXPOSED-", "HL-AWS-INTERNET-"];
    let told = registry::CHECKS.iter().filter(|c| THEY.iter().any(|begin| c.id.starts_with(begin)));
    told.map(|c| c.id).any(|id| selection.takes(id))
}

// A firewall of a run, with what its checks ask for.
struct Looked<'a> {
    name: String,
    environment: &'a Environment,
    beside: Vec<&'a Firewall>,
    firewall: &'a Firewall,
    part: Option<Part>,
}

fn hygiene(
    options: &Options,
    opened: &Opened,
    loaded: &Loaded,
    points: &EnforcementPoints<'_>,
    selection: &Selection,
    memory: Option<&Memory>,
) -> Vec<Told> {
    let known = &Environment { local: options.local.clone(), ..options.assumed() };
    let all: &[&Firewall] = &loaded.firewalls().collect::<Vec<_>>();
    let of: BTreeMap<&str, &SameBox> =
        loaded.boxes.iter().flat_map(|b| b.members.iter().map(move |m| (all[*m].path(), b))).collect();
    let same = |f: &Firewall| -> Vec<&Firewall> {
        of.get(f.path()).map_or_else(Vec::new, |b| b.members.iter().map(|m| all[*m]).collect())
    };
    let same = &same;
    let subjects: Vec<Looked<'_>> = loaded
        .groups
        .iter()
        .flat_map(|(part, loaded)| {
            let own: Vec<&Firewall> = loaded.firewalls.iter().collect();
            loaded.firewalls.iter().map(move |f| {
                let b = match part {
                    Some(Part::Node(n)) => points.nodes.get(*n),
                    Some(Part::Gateway(g)) => points.gateways.get(*g),
                    None => None,
                };
                let name = b.map_or_else(|| f.path().to_owned(), |b| b.name.clone());
                let beside = if b.is_none() { same(f) } else { own.clone() };
                Looked {
                    name,
                    environment: b.map_or(known, |b| &b.environment),
                    beside,
                    firewall: f,
                    part: *part,
                }
            })
        })
        .collect();
    // What is said of a file that several members have is said once.
    let mine = |f: &Firewall| !opened.deployed || options.shard.is_none_or(|s| s.takes(f.path()));
    subjects
        .par_iter()
        .filter(|s| mine(s.firewall))
        .map(|Looked { name, environment, beside, firewall, part }| {
            let look = || {
                let listed = if options.report_all { FOR_REPAIRS } else { FOR_READERS };
                let mut subject = registry::Subject::new(firewall, beside, environment, name);
                subject.listed = listed;
                let mut told = Told::default();
                registry::run_selected(&subject, &|id| selection.takes(id), &mut told.findings);
                if tells_open(selection) {
                    told.open = subject.open_rows();
                }
                told
            };
            match memory {
                Some(memory) => memory.firewall(*part, firewall, beside, look),
                None => look(),
            }
        })
        .collect()
}
