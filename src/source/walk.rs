//! What a walk through folders passes over: what version control ignores, and what the caller excludes.

use globset::{Glob, GlobSet, GlobSetBuilder};
use ignore::WalkBuilder;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How folders are walked.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    /// Files that `.gitignore` names, hidden folders and those of build output are walked, too; `.git` is not.
    pub all: bool,
    /// The patterns as they were given.
    patterns: Vec<String>,
    exclude: GlobSet,
}

impl Walk {
    /// Adds patterns of files to pass over. One without `/` is the name of a file or folder, wherever it is; one with `/` is a path from here or
    /// from the folder that is walked.
    ///
    /// # Errors
    /// A message on a pattern that cannot be read.
    pub fn exclude(&mut self, patterns: impl IntoIterator<Item = String>) -> Result<(), String> {
        self.patterns.extend(patterns);
        let mut set = GlobSetBuilder::new();
        for pattern in &self.patterns {
            let path = pattern.trim_start_matches("./").trim_end_matches('/');
            let anywhere = if path.contains('/') { "" } else { "**/" };
            for end in ["", "/**"] {
                let glob = format!("{anywhere}{path}{end}");
                set.add(
                    Glob::new(&glob)
                        .map_err(|e| format!("`{pattern}` is no pattern of files: {}", e.kind()))?,
                );
            }
        }
        self.exclude = set.build().map_err(|e| e.to_string())?;
        Ok(())
    }

    /// Whether a file below a folder is excluded.
    pub fn excludes(&self, path: &Path, folder: &Path) -> bool {
        if self.patterns.is_empty() {
            return false;
        }
        let here = path.strip_prefix(".").unwrap_or(path);
        self.exclude.is_match(here)
            || path.strip_prefix(folder).is_ok_and(|inside| self.exclude.is_match(inside))
    }

    /// Those of the files below a folder that its repository's `.gitignore` files name.
    pub fn ignored(&self, folder: &Path, files: &[PathBuf]) -> BTreeSet<PathBuf> {
        if self.all || !(files.iter().any(|f| f.ends_with(".gitignore")) || above(folder)) {
            return BTreeSet::new();
        }
        let mut walk = WalkBuilder::new(folder);
        // What a person's own configuration ignores would make reports differ between machines.
        walk.hidden(false).ignore(false).git_global(false).git_exclude(false).follow_links(false);
        let kept: BTreeSet<PathBuf> = walk.build().flatten().map(ignore::DirEntry::into_path).collect();
        files.iter().filter(|f| !kept.contains(*f)).cloned().collect()
    }
}

/// Whether a folder above has a `.gitignore`, up to the root of its repository.
fn above(folder: &Path) -> bool {
    let Ok(full) = folder.canonicalize() else { return false };
    for a in full.ancestors().skip(1) {
        if a.join(".gitignore").is_file() {
            return true;
        }
        if a.join(".git").exists() {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_names_or_paths() {
        let mut walk = Walk::default();
        walk.exclude(["old".to_owned(), "*.bak".to_owned(), "./site/east/**".to_owned()]).unwrap();
        let excludes = |path: &str, folder: &str| walk.excludes(Path::new(path), Path::new(folder));
        assert!(
            excludes("./old/a.rules", ".") && excludes("x/old/y/a.rules", "x") && excludes("./a.bak", ".")
        );
        assert!(excludes("/srv/site/east/a.rules", "/srv") && excludes("site/east/a.rules", "site"));
        assert!(!excludes("./older/a.rules", ".") && !excludes("./site/west/a.rules", "."));
        assert!(Walk::default().exclude(["a[".to_owned()]).unwrap_err().contains("`a[`"));
    }

    #[test]
    fn a_repository_says_what_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let files = [
            file(".gitignore", "dumps/\n*.tmp\n"),
            file("dumps/a.rules", ""),
            file("b.tmp", ""),
            file("sub/c.rules", ""),
        ];
        let ignored = |walk: Walk| walk.ignored(dir.path(), &files);
        assert!(ignored(Walk::default()).is_empty(), "without a repository nothing is");
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        assert_eq!(ignored(Walk::default()), [files[1].clone(), files[2].clone()].into());
        assert!(ignored(Walk { all: true, ..Walk::default() }).is_empty());
    }
}
