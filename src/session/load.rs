//! The firewall files of a run, read: those of each node and gateway, and those that belong to none.

use super::borne_out;
use super::open::Opened;
use super::{Options, problems_of, trouble};
use crate::deployment::Deployment;
use crate::deployment::routes;
use crate::dialect::ReadOptions;
use crate::dialect::load::{self, load, load_stream};
use crate::dialect::same_box::{SameBox, boxes};
use crate::finding::{Problem, Severity, UnreadFile};
use crate::model::{Firewall, Routes};
use crate::source::SourceFile;
use crate::source::discover::{bytes, shown};
use crate::source::walk::Walk;
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use walkdir::WalkDir;

/// The member of the deployment that files belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A node, by its number.
    Node(usize),
    /// A gateway, by its number.
    Gateway(usize),
}

/// What was read.
pub struct Loaded {
    /// The files of each member that has some; last those that belong to none.
    pub groups: Vec<(Option<Part>, load::Loaded)>,
    // Which of them each member's are.
    of_part: FxHashMap<Part, usize>,
    /// What could not be read, and what is wrong in what was.
    pub problems: Vec<Problem>,
    /// Files that look like firewall configurations and were not read.
    pub unread: Vec<UnreadFile>,
    /// Addresses and routes of each member of which they are declared.
    pub routes: FxHashMap<Part, Routes>,
    /// Of the firewalls that belong to no member: which are of one box, by their numbers in [`Loaded::firewalls`].
    pub boxes: Vec<SameBox>,
}

impl Loaded {
    /// Reads the files that the deployment and the options name.
    pub fn of(options: &Options, opened: &Opened) -> Self {
        let deployment = &opened.deployment;
        let mut problems = Vec::new();
        let read = reading(options, opened);
        let planned = match &deployment.file {
            Some(file) if opened.deployed => plan(deployment, file, &mut problems),
            _ => Vec::new(),
        };
        let mut groups: Vec<(Option<Part>, load::Loaded)> = planned
            .par_iter()
            .map(|p| (Some(p.part), load(&p.files, &p.options(deployment, &read), None)))
            .collect();
        let (beside, others) = beside(options, opened, &read.walk, &groups);
        groups.push((None, loose(options, opened.deployed, &beside, &planned, &read)));
        problems.extend(beside.iter().map(|p| unnamed(&shown(p))));
        Self::from(options, opened, groups, others, problems)
    }

    /// Firewalls that belong to no member of a deployment, as they were found.
    pub fn of_found(options: &Options, opened: &Opened, found: load::Found) -> Self {
        let loose = found.build(&reading(options, opened));
        Self::from(options, opened, vec![(None, loose)], Vec::new(), Vec::new())
    }

    fn from(
        options: &Options,
        opened: &Opened,
        groups: Vec<(Option<Part>, load::Loaded)>,
        others: Vec<load::Unreadable>,
        mut problems: Vec<Problem>,
    ) -> Self {
        let deployment = &opened.deployment;
        for u in groups.iter().flat_map(|(_, l)| &l.unreadable) {
            problems.push(trouble(&u.path, u.message.clone(), &u.help));
        }
        let unread = unread(others, &groups);
        if options.require_all {
            problems.extend(unread.iter().filter(|u| u.reason != load::EXCLUDED).map(required));
        }
        let of_part =
            groups.iter().enumerate().filter_map(|(n, (part, _))| Some((part.as_ref().copied()?, n)));
        let mut this = Self {
            of_part: of_part.collect(),
            groups,
            problems,
            unread,
            routes: FxHashMap::default(),
            boxes: Vec::new(),
        };
        if let Some(file) = &deployment.file {
            this.routes = declared_routes(deployment, file, &mut this.problems);
        }
        if opened.deployed {
            let said = borne_out::problems(options, opened, &this);
            this.problems.extend(said);
        }
        let said: Vec<Problem> =
            this.firewalls().flat_map(|f| problems_of(&f.diagnostics, &f.files)).collect();
        this.problems.extend(said);
        // What belongs to no member stands last.
        let members = this.groups.iter().filter(|(p, _)| p.is_some()).map(|(_, l)| l.firewalls.len()).sum();
        let others: Vec<&Firewall> = this.firewalls().skip(members).collect();
        let mut found = boxes(&others, options.same_box);
        found.iter_mut().flat_map(|b| &mut b.members).for_each(|m| *m += members);
        this.boxes = found;
        this
    }

    /// All firewalls, in an order that depends on nothing but their files' names and the deployment.
    pub fn firewalls(&self) -> impl Iterator<Item = &Firewall> {
        self.groups.iter().flat_map(|(_, l)| &l.firewalls)
    }

    /// The firewalls of a member of the deployment.
    pub fn of_part(&self, part: Part) -> Vec<&Firewall> {
        let own = self.of_part.get(&part).and_then(|n| self.groups.get(*n));
        own.into_iter().flat_map(|(_, l)| &l.firewalls).collect()
    }

    /// The addresses and routes of a member of the deployment, as far as declared.
    pub fn routes_of(&self, part: Part) -> Option<&Routes> {
        self.routes.get(&part)
    }

    /// The firewalls, for who wants to keep them.
    pub fn into_firewalls(self) -> Vec<Firewall> {
        self.groups.into_iter().flat_map(|(_, l)| l.firewalls).collect()
    }
}

/// How files are read.
fn reading(options: &Options, opened: &Opened) -> ReadOptions {
    let deployment = &opened.deployment;
    let mut read = options.read.clone();
    // The deployment file's own patterns were tried when it was read.
    let _ = read.walk.exclude(deployment.defaults.exclude.iter().cloned());
    read.names.extend(deployment.names.iter().map(|(n, s)| (n.clone(), s.addresses.clone())));
    // Of a deployment every part sees all files: paths lead from one to another.
    read.shard = options.shard.filter(|_| !opened.deployed);
    read
}

/// The files of a run without a deployment file; `None` = they come from standard input, or are of one box.
pub fn found(options: &Options, opened: &Opened) -> Option<load::Found> {
    let one = options.same_box || options.paths.iter().any(|p| p.as_os_str() == "-");
    let read = reading(options, opened);
    (!opened.deployed && !one).then(|| load::Found::of(walked(options), &read, options.forced))
}

// What is looked through where no deployment file says so.
fn walked(options: &Options) -> &[PathBuf] {
    static HERE: LazyLock<[PathBuf; 1]> = LazyLock::new(|| [PathBuf::from(".")]);
    if options.paths.is_empty() { &*HERE } else { &options.paths }
}

// Where only the deployment file says what to read: the rulesets beside it that it does not name, which are checked as they would be
// without it, and what else looks like a firewall.
fn beside(
    options: &Options,
    opened: &Opened,
    walk: &Walk,
    groups: &[(Option<Part>, load::Loaded)],
) -> (Vec<PathBuf>, Vec<load::Unreadable>) {
    if !opened.deployed || !options.paths.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let read = read_by(groups);
    let folder = &opened.deployment.folder;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    load::survey(folder, walk, &|p| p.canonicalize().is_ok_and(|p| read.contains(&p)))
}

fn unnamed(path: &str) -> Problem {
    let help = "add it to a node's `firewall`, or move it elsewhere";
    let message =
        "no node or gateway of the deployment file names it: it is checked by itself, for no requirement"
            .to_owned();
    Problem { level: Severity::Warning, ..trouble(path, message, help) }
}

// The real paths of all files that firewalls were read from.
fn read_by(groups: &[(Option<Part>, load::Loaded)]) -> BTreeSet<PathBuf> {
    let files = groups.iter().flat_map(|(_, l)| l.firewalls.iter().flat_map(|f| &f.files));
    files.filter_map(|s| Path::new(&s.path).canonicalize().ok()).collect()
}

// Files that look like firewalls and were not read: those passed over in folders that were walked, and beside the deployment file.
fn unread(others: Vec<load::Unreadable>, groups: &[(Option<Part>, load::Loaded)]) -> Vec<UnreadFile> {
    let mut passed: Vec<load::Unreadable> =
        groups.iter().flat_map(|(_, l)| &l.passed_over).cloned().collect();
    let read = if others.is_empty() { BTreeSet::new() } else { read_by(groups) };
    let is_read = |u: &load::Unreadable| Path::new(&u.path).canonicalize().is_ok_and(|p| read.contains(&p));
    passed.extend(others.into_iter().filter(|u| !is_read(u)));
    let mut out: Vec<UnreadFile> =
        passed.into_iter().map(|u| UnreadFile { path: u.path, reason: u.message, help: u.help }).collect();
    out.sort();
    out.dedup_by(|a, b| a.path == b.path);
    out
}

fn required(u: &UnreadFile) -> Problem {
    trouble(&u.path, format!("not read: {}", u.reason), &u.help)
}

// A member of the deployment and its files.
struct Planned {
    files: Vec<PathBuf>,
    part: Part,
}

impl Planned {
    // How its files are read: with what the deployment says about the member.
    fn options(&self, deployment: &Deployment, all: &ReadOptions) -> ReadOptions {
        let labels = match self.part {
            Part::Node(n) => deployment.nodes[n].security_groups.clone(),
            Part::Gateway(_) => Vec::new(),
        };
        ReadOptions { labels, beside: true, ..all.clone() }
    }
}

fn plan(deployment: &Deployment, source: &Arc<SourceFile>, problems: &mut Vec<Problem>) -> Vec<Planned> {
    let folder = &deployment.folder;
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

fn declared_routes(
    deployment: &Deployment,
    source: &Arc<SourceFile>,
    problems: &mut Vec<Problem>,
) -> FxHashMap<Part, Routes> {
    let nodes = deployment.nodes.iter().enumerate().map(|(i, n)| (Part::Node(i), &n.routes));
    let gateways = deployment.gateways.iter().enumerate().map(|(i, g)| (Part::Gateway(i), &g.routes));
    let mut out = FxHashMap::default();
    for (part, patterns) in nodes.chain(gateways).filter(|(_, p)| !p.is_empty()) {
        let mut all = Routes::default();
        for p in patterns {
            let mut wrong = |message: String, help: &str| {
                let location = source.locate(p.origin.start as usize, p.origin.end as usize);
                problems.push(Problem { level: Severity::Error, message, help: help.to_owned(), location });
            };
            // A route as `ip route` prints it is no path.
            if p.text.contains(" dev ") {
                if let Err((_, e)) = routes::read(&mut all, &p.text) {
                    wrong(e, "write it as `ip route` prints it: \"10.2.0.0/16 via 192.0.2.1 dev eth1\"");
                }
                continue;
            }
            let found = expand(&deployment.folder, &p.text);
            if found.is_empty() {
                let help = format!("paths are relative to {}", shown(&deployment.folder.join(".")));
                wrong(format!("no file matches `{}`", p.text), &help);
            }
            for path in found {
                let name = shown(&path);
                let text = bytes(&path)
                    .and_then(|b| String::from_utf8(b).map_err(|_| std::io::Error::other("it is not UTF-8")));
                match text {
                    Err(e) => wrong(format!("cannot read {name}: {e}"), ""),
                    Ok(text) => {
                        if let Err((line, e)) = routes::read(&mut all, &text) {
                            wrong(
                                format!("{name}:{line}: {e}"),
                                "it must be the output of `ip address` or `ip route`, with -j or not",
                            );
                        }
                    }
                }
            }
        }
        out.insert(part, all);
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
fn loose(
    options: &Options,
    deployed: bool,
    beside: &[PathBuf],
    planned: &[Planned],
    read_options: &ReadOptions,
) -> load::Loaded {
    if options.paths.iter().any(|p| p.as_os_str() == "-") {
        return load_stream(&mut std::io::stdin().lock(), read_options, options.forced);
    }
    let paths: &[PathBuf] = match (options.paths.is_empty(), deployed) {
        (true, true) if beside.is_empty() => return load::Loaded::default(),
        (true, true) => beside,
        _ => walked(options),
    };
    let mut loaded = load(paths, read_options, options.forced);
    let taken: BTreeSet<PathBuf> =
        planned.iter().flat_map(|p| &p.files).filter_map(|f| f.canonicalize().ok()).collect();
    loaded.firewalls.retain(|f| {
        !f.files.iter().any(|s| Path::new(&s.path).canonicalize().is_ok_and(|p| taken.contains(&p)))
    });
    loaded
}
