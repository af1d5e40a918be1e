//! From paths to firewalls: reading, detection, grouping.

use super::beside::Beside;
use super::kept::edition;
use super::same_box::stem;
use super::unread::suspicion;
use super::{DIALECTS, Dialect, Grouping, ReadOptions, Role, World, by_name, detect};
use crate::model::Firewall;
use crate::source::discover::{Candidate, Edited, HEAD, all_of, discover, head, read, shown};
use crate::source::encoding::to_utf8;
use crate::source::walk::Walk;
use crate::source::{Diagnostic, Origin, Severity, SourceFile};
use memchr::memmem;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use walkdir::WalkDir;

/// Entries behind a link to a folder that are looked at before it is passed over in silence.
const MAX_LINKED: usize = 1000;

/// What came of loading.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The firewalls, in order of their first file's path.
    pub firewalls: Vec<Firewall>,
    /// Files that could not be read or recognised.
    pub unreadable: Vec<Unreadable>,
    /// Files found in folders that look like firewall configurations, or may be, and were not read.
    pub passed_over: Vec<Unreadable>,
}

impl Loaded {
    /// Whether nothing was found at all.
    pub fn is_empty(&self) -> bool {
        self.firewalls.is_empty() && self.unreadable.is_empty() && self.passed_over.is_empty()
    }
}

/// A file that could not be read or recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its name.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

struct Member {
    path: PathBuf,
    file: Arc<SourceFile>,
    dialect: usize,
    role: Role,
    named: bool,
    // Lies beside a file that was named, and was not named itself.
    beside: bool,
    world: World,
}

impl Member {
    // Whether a firewall that it is part of has it by its place alone.
    fn unasked(&self) -> bool {
        let each = DIALECTS[self.dialect].grouping() == Grouping::Each;
        self.beside || (each && self.role == Role::Companion && !self.named)
    }

    fn folder(&self) -> PathBuf {
        self.path.parent().map(Path::to_owned).unwrap_or_default()
    }
}

/// Loads every firewall that is found in the paths: files as named, folders walked.
///
/// A named file that is of no dialect is reported; a walked one is passed over.
pub fn load(paths: &[PathBuf], options: &ReadOptions, forced: Option<&'static dyn Dialect>) -> Loaded {
    Found::of(paths, options, forced).build(options)
}

/// The files of firewalls, read, of which nothing is made yet.
pub struct Found {
    groups: Vec<Group>,
    // Files that are read because of their place.
    unasked: Arc<BTreeSet<String>>,
    unreadable: Vec<Unreadable>,
    passed_over: Vec<Unreadable>,
}

impl Found {
    /// Finds them, as [`load`] does.
    pub fn of(paths: &[PathBuf], options: &ReadOptions, forced: Option<&'static dyn Dialect>) -> Self {
        let found = discover(paths, &options.walk);
        let mut unreadable: Vec<Unreadable> = found.failed.iter().map(|(p, e)| cannot_read(p, e)).collect();
        let mut passed_over: Vec<Unreadable> = found.links.iter().filter_map(|p| link(p)).collect();
        let results: Vec<_> = found.files.par_iter().map(|c| member(c, forced, &options.edited)).collect();
        let mut members = Vec::new();
        for (c, r) in found.files.iter().zip(results) {
            match r {
                Some(Ok(m)) => members.push(m),
                Some(Err(u)) => unreadable.push(u),
                None => passed_over.extend(suspect(&c.path)),
            }
        }
        let walked: Vec<PathBuf> = members.iter().filter(|m| !m.named).map(|m| m.path.clone()).collect();
        add_companions(&mut members, options);
        let unasked = members.iter().filter(|m| m.unasked()).map(|m| shown(&m.path)).collect();
        let mut groups = groups(members, options);
        passed_over.extend(idle(&walked, &groups));
        if let Some(shard) = options.shard {
            // What may be of one box is of one part.
            groups.retain(|(_, files)| files.first().is_some_and(|f| shard.takes(&stem(&f.path))));
        }
        passed_over.extend(left_out(&found.ignored, &found.excluded));
        unreadable.sort_by(|a, b| a.path.cmp(&b.path));
        passed_over.sort_by(|a, b| a.path.cmp(&b.path));
        Self { groups, unasked: Arc::new(unasked), unreadable, passed_over }
    }

    /// How many firewalls there will be.
    pub fn count(&self) -> usize {
        self.groups.len()
    }

    /// The same in parts of at least so many firewalls, but for the last. What may be of one box is of one part; what could not be read is of the first.
    pub fn parts(self, size: usize) -> Vec<Self> {
        let Self { groups, unasked, unreadable, passed_over } = self;
        let mut keyed: Vec<(String, Group)> =
            groups.into_iter().map(|g| (g.1.first().map(|f| stem(&f.path)).unwrap_or_default(), g)).collect();
        keyed.sort_by(|a, b| a.0.cmp(&b.0));
        let (mut parts, mut last): (Vec<Vec<Group>>, String) = (Vec::new(), String::new());
        for (key, group) in keyed {
            match parts.last_mut() {
                Some(part) if part.len() < size || key == last => part.push(group),
                _ => parts.push(vec![group]),
            }
            last = key;
        }
        let part = |groups| {
            let unasked = Arc::clone(&unasked);
            Self { groups, unasked, unreadable: Vec::new(), passed_over: Vec::new() }
        };
        let mut out: Vec<Self> = parts.into_iter().map(part).collect();
        if let Some(first) = out.first_mut() {
            (first.unreadable, first.passed_over) = (unreadable, passed_over);
        }
        out
    }

    /// Makes the firewalls.
    pub fn build(self, options: &ReadOptions) -> Loaded {
        let mut firewalls = build(self.groups, &self.unasked, options);
        firewalls.sort_by(|a, b| a.path().cmp(b.path()));
        Loaded { firewalls, unreadable: self.unreadable, passed_over: self.passed_over }
    }
}

/// The files below a folder that are not yet read: those that hold rulesets, and what else looks like a firewall configuration.
pub fn survey(folder: &Path, walk: &Walk, read: &dyn Fn(&Path) -> bool) -> (Vec<PathBuf>, Vec<Unreadable>) {
    let found = discover(&[folder.to_owned()], walk);
    let mut rulesets = Vec::new();
    let mut others: Vec<Unreadable> = found.links.iter().filter_map(|p| link(p)).collect();
    let unread = |files: &[PathBuf]| files.iter().filter(|p| !read(p)).cloned().collect::<Vec<_>>();
    others.extend(left_out(&unread(&found.ignored), &unread(&found.excluded)));
    for c in found.files.iter().filter(|c| !read(&c.path)) {
        match head(&c.path).ok().and_then(|h| detect(&h)) {
            Some((_, Role::Rules)) => rulesets.push(c.path.clone()),
            _ => others.extend(suspect(&c.path)),
        }
    }
    others.sort_by(|a, b| a.path.cmp(&b.path));
    (rulesets, others)
}

// A file found by walking that no dialect takes, if it may be a firewall's.
fn suspect(path: &Path) -> Option<Unreadable> {
    let said = |message: &str, help: &str| Unreadable {
        path: shown(path),
        message: message.to_owned(),
        help: help.to_owned(),
    };
    match head(path) {
        Ok(h) => suspicion(path, &h).map(|(why, help)| said(why, help)),
        Err(e) => Some(said(&format!("it cannot be read: {e}"), "make it readable, or leave it out")),
    }
}

/// Why a file was not read that the caller excluded.
pub const EXCLUDED: &str = "it is excluded";

// Files that were left out on purpose, as far as they look like firewalls.
fn left_out(ignored: &[PathBuf], excluded: &[PathBuf]) -> Vec<Unreadable> {
    let of = |files: &[PathBuf], message: &str, help: &str| -> Vec<Unreadable> {
        let looks = |p: &&PathBuf| head(p).is_ok_and(|h| detect(&h).is_some() || suspicion(p, &h).is_some());
        let said =
            |p: &PathBuf| Unreadable { path: shown(p), message: message.to_owned(), help: help.to_owned() };
        files.iter().filter(looks).map(said).collect()
    };
    let mut out = of(ignored, "version control ignores it", "name the file itself, or say --no-ignore");
    out.extend(of(excluded, EXCLUDED, "take it out of --exclude, or of `exclude` in havenlint.toml"));
    out
}

// A symbolic link to something that is, or looks like, a firewall, or to a folder that holds some.
fn link(path: &Path) -> Option<Unreadable> {
    let looks =
        |p: &Path| head(p).is_ok_and(|start| detect(&start).is_some() || suspicion(p, &start).is_some());
    let (found, help) = match path.is_dir() {
        // A link to a folder above leads to what is walked anyway.
        true if leads_up(path) => (false, ""),
        true => {
            let inside = WalkDir::new(path).sort_by_file_name().into_iter().take(MAX_LINKED).flatten();
            (inside.filter(|e| e.file_type().is_file()).any(|e| looks(e.path())), "name the folder itself")
        }
        false => (looks(path), "name the file itself"),
    };
    found.then(|| Unreadable {
        path: shown(path),
        message: "it is a symbolic link, and links are not followed".to_owned(),
        help: help.to_owned(),
    })
}

// Whether a link leads to a folder that it stands in.
fn leads_up(link: &Path) -> bool {
    let folder = link
        .parent()
        .and_then(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p }.canonicalize().ok());
    link.canonicalize().is_ok_and(|to| folder.is_some_and(|from| from.starts_with(to)))
}

// Files that were recognised and are part of no firewall.
fn idle(walked: &[PathBuf], groups: &[Group]) -> Vec<Unreadable> {
    let used: BTreeSet<&str> = groups.iter().flat_map(|(_, files)| files).map(|s| s.path.as_str()).collect();
    let paths = walked.iter().map(|p| shown(p)).filter(|p| !used.contains(p.as_str()));
    paths
        .map(|path| Unreadable {
            path,
            message: "it holds what rules refer to, and no ruleset here was read with it".to_owned(),
            help: "name it together with the ruleset that it belongs to".to_owned(),
        })
        .collect()
}

/// Reads one firewall from a stream (standard input), shown as `<stdin>`.
pub fn load_stream(
    stream: &mut dyn Read,
    options: &ReadOptions,
    forced: Option<&'static dyn Dialect>,
) -> Loaded {
    let wrong = |message: &str, help: &str| Loaded {
        firewalls: Vec::new(),
        passed_over: Vec::new(),
        unreadable: vec![Unreadable {
            path: "<stdin>".to_owned(),
            message: message.to_owned(),
            help: help.to_owned(),
        }],
    };
    let bytes = match all_of(stream) {
        Ok(bytes) => to_utf8(bytes),
        Err(e) => return wrong(&format!("cannot read standard input: {e}"), ""),
    };
    let Some(dialect) = forced.or_else(|| detect(&bytes).map(|(d, _)| d)) else {
        return wrong("standard input: unrecognised file format", &known());
    };
    let firewall = dialect.read(&[SourceFile::new("<stdin>", bytes)], options);
    Loaded { firewalls: vec![firewall], ..Loaded::default() }
}

/// Finds a dialect by the name given on a command line.
///
/// # Errors
/// The names that exist.
pub fn named(name: &str) -> Result<(&'static dyn Dialect, &'static str), String> {
    by_name(name).ok_or_else(|| {
        let all: Vec<_> = DIALECTS.iter().flat_map(|d| d.names()).copied().collect();
        format!("`{name}` is no dialect; there are {}", all.join(", "))
    })
}

fn known() -> String {
    let all: Vec<_> = DIALECTS.iter().flat_map(|d| d.names()).copied().collect();
    format!("say what it is with --dialect {}", all.join("|"))
}

fn cannot_read(path: &Path, e: &std::io::Error) -> Unreadable {
    let help = match e.kind() {
        std::io::ErrorKind::PermissionDenied => "make it readable, or leave it out with --exclude",
        _ => "",
    };
    Unreadable { path: shown(path), message: format!("cannot read the file: {e}"), help: help.to_owned() }
}

pub(super) fn position(dialect: &'static dyn Dialect) -> usize {
    DIALECTS.iter().position(|d| d.names() == dialect.names()).unwrap_or(0)
}

fn member(
    c: &Candidate,
    forced: Option<&'static dyn Dialect>,
    edited: &Edited,
) -> Option<Result<Member, Unreadable>> {
    // A pipe gives what it holds once.
    let piped = c.named && !c.path.is_file();
    let whole = match piped.then(|| read(&c.path)).transpose() {
        Ok(whole) => whole,
        Err(e) => return Some(Err(cannot_read(&c.path, &e))),
    };
    let begin = |f: &Arc<SourceFile>| Ok(f.bytes()[..f.bytes().len().min(HEAD)].to_vec());
    let start = match whole.as_ref().map_or_else(|| head(&c.path), begin) {
        Ok(h) => h,
        // What a walked file is that cannot be opened is not known: it may be a firewall.
        Err(e) => return Some(Err(cannot_read(&c.path, &e))),
    };
    let mut found = detect(&start);
    if found.is_none() && (c.named || is_padding(&start)) {
        let file = whole.clone().or_else(|| read(&c.path).ok());
        found = file.and_then(|f| detect(f.bytes()).or_else(|| detect(behind_padding(f.bytes()))));
    }
    let claim = if found.is_none() { claimed(&c.path, c.named) } else { None };
    found = found.or(claim.map(|(d, role, _)| (d, role)));
    if c.named && found.is_none() {
        found = forced.map(|d| (d, Role::Rules));
    }
    if let (Some(d), Some((_, role))) = (forced, found)
        && c.named
    {
        found = Some((d, role));
    }
    let Some((dialect, role)) = found else {
        return c.named.then(|| {
            let message = match start.as_slice() {
                [] => "the file is empty: it holds no firewall",
                s if s.contains(&0) => "this is a binary file, not a firewall configuration",
                _ => "unrecognised file format",
            };
            Err(Unreadable { path: shown(&c.path), message: message.to_owned(), help: known() })
        });
    };
    Some(match whole.map_or_else(|| edited.read(&c.path), Ok) {
        Ok(file) => {
            let world = claim.map_or_else(|| dialect.world(&start), |(_, _, world)| world);
            let dialect = position(dialect);
            Ok(Member { path: c.path.clone(), file, dialect, role, named: c.named, beside: false, world })
        }
        Err(e) => Err(cannot_read(&c.path, &e)),
    })
}

pub(super) fn claimed(path: &Path, named: bool) -> Option<(&'static dyn Dialect, Role, World)> {
    let name = path.file_name()?.to_string_lossy();
    DIALECTS.iter().find_map(|d| d.claims(&name, named).map(|(role, world)| (*d, role, world)))
}

// The longest comment that some dialect has, or blanks, at the beginning of a text.
fn padding(text: &[u8]) -> Option<usize> {
    let until = |end: &[u8]| memmem::find(text, end).map_or(text.len(), |at| at + end.len());
    match text {
        [b, ..] if b.is_ascii_whitespace() => Some(text.len() - text.trim_ascii_start().len()),
        // An interpreter line says what the file is.
        [b'#', b'!', ..] => None,
        [b'#', ..] | [b'/', b'/', ..] => Some(until(b"\n")),
        [b'<', b'!', b'-', b'-', ..] => Some(until(b"-->")),
        [b'/', b'*', ..] => Some(until(b"*/")),
        [0xef, 0xbb, 0xbf, ..] => Some(3),
        _ => None,
    }
}

fn behind_padding(mut text: &[u8]) -> &[u8] {
    while let Some(length) = padding(text) {
        text = &text[length..];
    }
    text
}

// Whether the beginning of a file holds nothing but comments and blanks, so that what the file is stands further on.
fn is_padding(start: &[u8]) -> bool {
    !start.is_empty() && behind_padding(start).is_empty()
}

// Files of a companion role that lie beside a named file are read too where the files of a folder belong together, and for the member of a
// deployment that names none.
fn add_companions(members: &mut Vec<Member>, options: &ReadOptions) {
    let folders: BTreeMap<(PathBuf, usize), PathBuf> =
        members.iter().filter(|m| m.named).map(|m| ((m.folder(), m.dialect), m.path.clone())).collect();
    let worlds: BTreeSet<(PathBuf, usize, bool)> = members
        .iter()
        .filter(|m| m.named && m.world != World::Own)
        .map(|m| (m.folder(), m.dialect, m.world == World::Folder))
        .collect();
    let mut have: BTreeSet<PathBuf> = members.iter().map(|m| m.path.clone()).collect();
    let given: BTreeSet<usize> =
        members.iter().filter(|m| m.role == Role::Companion).map(|m| m.dialect).collect();
    for ((folder, beside), named) in folders {
        let together = DIALECTS[beside].grouping() == Grouping::Together;
        if !together && (!options.beside || given.contains(&beside)) {
            continue;
        }
        for found in options.folders.of(&named).iter() {
            // The files of a module belong together whatever they hold.
            let whole = found.world == World::Folder;
            let same = !together || worlds.contains(&(folder.clone(), beside, whole));
            if found.dialect == beside
                && same
                && !have.contains(&found.path)
                && let Ok(file) = options.edited.read(&found.path)
            {
                let Beside { path, dialect, role, world } = found.clone();
                have.insert(path.clone());
                members.push(Member { path, file, dialect, role, named: together, beside: true, world });
            }
        }
    }
}

// Says which files of a firewall were read with it because of their place.
fn tell(firewall: &mut Firewall, unasked: &BTreeSet<String>) {
    let others: Vec<&str> =
        firewall.files.iter().map(|f| f.path.as_str()).filter(|p| unasked.contains(*p)).collect();
    let help = "name the files one by one, or list them in the deployment file, to say which belong together";
    let message = match others.as_slice() {
        [] => return,
        [one] => format!("{one}, which lies beside this file, was read with it"),
        some => format!("{}, which lie beside this file, were read with it", some.join(" and ")),
    };
    let end = firewall.files.first().map_or(0, |f| f.line_range(0).end);
    let note = Diagnostic::warning(Origin::new(0, 0, end), message).help(help);
    firewall.diagnostics.push(Diagnostic { severity: Severity::Note, ..note });
}

// The files of one firewall, and the number of their dialect.
pub(super) type Group = (usize, Vec<Arc<SourceFile>>);

fn groups(members: Vec<Member>, options: &ReadOptions) -> Vec<Group> {
    // One a file with its companions, or one a folder (all named files together), but each world for itself.
    let mut together: BTreeMap<(usize, Option<PathBuf>, bool), Vec<Arc<SourceFile>>> = BTreeMap::new();
    let mut groups: Vec<Group> = Vec::new();
    let folder = Member::folder;
    // Files with rules first: they name the firewall.
    let rules_first = [Role::Rules, Role::Companion].map(|r| members.iter().filter(move |m| m.role == r));
    for m in rules_first.into_iter().flatten() {
        match (DIALECTS[m.dialect].grouping(), m.role) {
            (Grouping::Together, _) if m.world == World::Folder => {}
            (Grouping::Together, _) => {
                let key = match m.world {
                    World::Own => (m.dialect, Some(m.path.clone()), true),
                    _ => (m.dialect, (!m.named).then(|| folder(m)), false),
                };
                together.entry(key).or_default().push(Arc::clone(&m.file));
            }
            (Grouping::Each, _) => {}
        }
    }
    let companions: Vec<_> = members
        .iter()
        .filter(|m| m.role == Role::Companion && DIALECTS[m.dialect].grouping() == Grouping::Each)
        .collect();
    let mut walked: HashMap<(usize, PathBuf), Vec<&Arc<SourceFile>>> = HashMap::new();
    for c in companions.iter().filter(|c| !c.named) {
        walked.entry((c.dialect, folder(c))).or_default().push(&c.file);
    }
    for m in members.iter().filter(|m| m.role == Role::Rules) {
        let dialect = DIALECTS[m.dialect];
        if dialect.grouping() != Grouping::Each {
            continue;
        }
        let named = companions.iter().filter(|c| c.named && c.dialect == m.dialect).map(|c| &c.file);
        let mut files: Vec<_> = std::iter::once(&m.file).chain(named).cloned().collect();
        if (!m.named || options.beside) && dialect.refers(m.file.bytes()) {
            files.extend(walked.get(&(m.dialect, folder(m))).into_iter().flatten().map(|f| Arc::clone(f)));
        }
        groups.push((m.dialect, files));
    }
    groups.extend(together.into_iter().map(|((dialect, ..), files)| (dialect, files)));
    groups.extend(modules(&members));
    groups
}

fn build(groups: Vec<Group>, unasked: &BTreeSet<String>, options: &ReadOptions) -> Vec<Firewall> {
    let done = Mutex::new(Vec::with_capacity(groups.len()));
    options.progress.files.expect(groups.iter().map(|g| g.1.len()).sum());
    groups.into_par_iter().for_each(|group| {
        let firewall = one(&group, unasked, options);
        group.1.iter().for_each(|_| options.progress.files.tick());
        if let Ok(mut d) = done.lock() {
            d.push(firewall);
        }
    });
    done.into_inner().unwrap_or_default()
}

// Reads one, or takes over that of an earlier run.
fn one(group: &Group, unasked: &BTreeSet<String>, options: &ReadOptions) -> Firewall {
    let edition = options.kept.as_ref().and_then(|_| edition(group, unasked, options));
    let known = options.kept.as_ref().zip(edition.as_ref()).and_then(|(kept, edition)| kept.take(edition));
    known.unwrap_or_else(|| {
        let mut firewall = DIALECTS[group.0].read(&group.1, options);
        tell(&mut firewall, unasked);
        firewall.edition = edition;
        firewall
    })
}

// The folders of a world of folders that no other one reads, each with those that it reads; without rules they are no firewall. Companions that are
// named and lie in a folder of their own are for every folder with rules.
fn modules(members: &[Member]) -> Vec<(usize, Vec<Arc<SourceFile>>)> {
    let mut folders: BTreeMap<(usize, PathBuf), Vec<&Member>> = BTreeMap::new();
    for m in members.iter().filter(|m| m.world == World::Folder) {
        folders.entry((m.dialect, m.folder())).or_default().push(m);
    }
    let reads: BTreeMap<&(usize, PathBuf), Vec<(usize, PathBuf)>> = folders
        .iter()
        .map(|(key, files)| {
            let all = files.iter().flat_map(|m| DIALECTS[m.dialect].reads(&m.file));
            (
                key,
                all.map(|f| (key.0, PathBuf::from(f)))
                    .filter(|f| folders.contains_key(f) && f != key)
                    .collect(),
            )
        })
        .collect();
    let read: BTreeSet<&(usize, PathBuf)> = reads.values().flatten().collect();
    let rules: BTreeSet<usize> =
        members.iter().filter(|m| m.role == Role::Rules).map(|m| m.dialect).collect();
    let is_loose = |(key, files): &(&(usize, PathBuf), &Vec<&Member>)| {
        rules.contains(&key.0) && files.iter().all(|m| m.named && m.role == Role::Companion)
    };
    let loose: BTreeMap<&(usize, PathBuf), &Vec<&Member>> = folders.iter().filter(is_loose).collect();
    let mut out = Vec::new();
    for key in folders.keys().filter(|k| !read.contains(k) && !loose.contains_key(k)) {
        let mut seen = BTreeSet::new();
        let mut work = vec![key];
        let mut files: Vec<&Member> = Vec::new();
        while let Some(next) = work.pop() {
            if seen.insert(next) {
                files.extend(&folders[next]);
                work.extend(&reads[next]);
            }
        }
        if files.iter().any(|m| m.role == Role::Rules || m.named) {
            files.extend(loose.iter().filter(|(k, _)| k.0 == key.0).flat_map(|(_, files)| files.iter()));
            files.sort_by_key(|m| m.role != Role::Rules);
            out.push((key.0, files.iter().map(|m| Arc::clone(&m.file)).collect()));
        }
    }
    out
}
