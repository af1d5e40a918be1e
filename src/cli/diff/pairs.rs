//! Which firewall of the old side belongs to which of the new one.

use crate::cli::Reading;
use crate::dialect::load::Loaded;
use crate::model::Firewall;
use crate::source::discover::shown;
use crate::source::git::Renames;
use std::collections::BTreeMap;
use std::path::Path;

/// A firewall on both sides, or on one.
pub(super) struct Pair<'a> {
    pub old: Option<&'a Firewall>,
    pub new: Option<&'a Firewall>,
}

/// Reads both sides at a time.
///
/// # Errors
/// A message on arguments that do not go together.
pub(super) fn load(old: &Path, new: &Path, reading: &Reading) -> Result<[Loaded; 2], String> {
    let stream = |p: &Path| p.as_os_str() == "-";
    if stream(old) && stream(new) {
        return Err("only one of OLD and NEW can be standard input".to_owned());
    }
    for (folder, other) in [(old, new), (new, old)] {
        if folder.is_dir() && !other.is_dir() && (stream(other) || other.exists()) {
            let message = "is a folder and the other side is not: name two files, or two folders";
            return Err(format!("{} {message}", folder.display()));
        }
    }
    let (a, b) = rayon::join(|| reading.load(&[old.to_owned()]), || reading.load(&[new.to_owned()]));
    Ok([a?, b?])
}

/// Pairs firewalls by their paths below the two folders; then those that are left, if one of a dialect is left in a folder on each side. Two
/// files are a pair whatever they are called. `renamed` says what files of the old side are called on the new one.
pub(super) fn pair<'a>(
    (old_root, old): (&Path, &'a [Firewall]),
    (new_root, new): (&Path, &'a [Firewall]),
    renamed: &'a Renames,
) -> Vec<Pair<'a>> {
    if let ([a], [b]) = (old, new)
        && !old_root.is_dir()
    {
        return vec![Pair { old: Some(a), new: Some(b) }];
    }
    let mut pairs: BTreeMap<&str, Pair<'a>> = BTreeMap::new();
    let empty = || Pair { old: None, new: None };
    for f in old {
        let path = below(old_root, f.path());
        let path = renamed.get(path).map_or(path, String::as_str);
        pairs.entry(path).or_insert_with(empty).old = Some(f);
    }
    for f in new {
        pairs.entry(below(new_root, f.path())).or_insert_with(empty).new = Some(f);
    }
    // A file that was renamed.
    let mut alone: BTreeMap<(&str, &str), [Vec<&str>; 2]> = BTreeMap::new();
    for (path, pair) in &pairs {
        let folder = path.rsplit_once('/').map_or("", |(f, _)| f);
        match (pair.old, pair.new) {
            (Some(f), None) => alone.entry((folder, f.dialect)).or_default()[0].push(path),
            (None, Some(f)) => alone.entry((folder, f.dialect)).or_default()[1].push(path),
            _ => {}
        }
    }
    for [a, b] in alone.into_values() {
        if let ([a], [b]) = (a.as_slice(), b.as_slice())
            && let Some(renamed) = pairs.remove(a)
            && let Some(to) = pairs.get_mut(b)
        {
            to.old = renamed.old;
        }
    }
    pairs.into_values().collect()
}

// A path below a folder.
fn below<'p>(root: &Path, path: &'p str) -> &'p str {
    let root = shown(root);
    let rest = path.strip_prefix(root.trim_end_matches('/')).unwrap_or(path);
    rest.trim_start_matches('/')
}
