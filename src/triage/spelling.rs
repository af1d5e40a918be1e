//! Paths as baselines write them: relative to the baseline's own folder, however they were named on the command line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The names of a run's files, and what each is called from a folder.
#[derive(Debug, Default)]
pub struct Spelling {
    folder: PathBuf,
    names: BTreeMap<String, String>,
}

impl Spelling {
    /// For the files of a run, seen from the folder of a baseline.
    pub fn new<'a>(baseline: &Path, files: impl Iterator<Item = &'a str>) -> Self {
        let folder = real(baseline.parent().unwrap_or(Path::new(""))).unwrap_or_default();
        let names = files.map(|f| (f.to_owned(), from(&folder, f))).collect();
        Self { folder, names }
    }

    /// The same, with files called what they are called now.
    #[must_use]
    pub fn renamed(&self, now: &BTreeMap<String, String>) -> Self {
        let name = |n: &String| now.get(n).unwrap_or(n).clone();
        let names = self.names.iter().map(|(file, n)| (file.clone(), name(n))).collect();
        Self { folder: self.folder.clone(), names }
    }

    /// A path as the baseline has it.
    pub fn path(&self, path: &str) -> String {
        self.names.get(path).cloned().unwrap_or_else(|| from(&self.folder, path))
    }

    /// A subject: the name of a machine, or the paths of its files.
    pub fn subject(&self, subject: &str) -> String {
        let part = |p: &str| self.names.get(p).cloned().unwrap_or_else(|| p.to_owned());
        subject.split(" + ").map(part).collect::<Vec<_>>().join(" + ")
    }

    /// Whether the run read the file that a baseline calls so.
    pub fn read(&self, name: &str) -> bool {
        self.names.values().any(|n| n == name)
    }

    /// Whether the file that a baseline calls so is there.
    pub fn exists(&self, name: &str) -> bool {
        self.folder.join(name).exists()
    }
}

// A folder without links and `..`; the empty path is this folder.
fn real(folder: &Path) -> Option<PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    fs::canonicalize(folder).ok()
}

// What is no file (`<stdin>`) keeps its name. A link keeps its own name, in whatever folder it stands.
fn from(folder: &Path, path: &str) -> String {
    let file = Path::new(path);
    let real = file.file_name().and_then(|name| Some(real(file.parent()?)?.join(name)));
    let Some(real) = real.filter(|r| r.symlink_metadata().is_ok()) else { return path.to_owned() };
    let (mut here, mut there) = (folder.components().peekable(), real.components().peekable());
    while here.peek().is_some() && here.peek() == there.peek() {
        here.next();
        there.next();
    }
    let up = here.map(|_| "..".to_owned());
    let down = there.filter_map(|c| match c {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    up.chain(down).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_has_one_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("hosts/a")).unwrap();
        fs::create_dir_all(root.join("ci")).unwrap();
        fs::write(root.join("hosts/a/x.rules"), "").unwrap();
        let text = |p: PathBuf| p.to_string_lossy().into_owned();
        let spelled = [text(root.join("hosts/a/x.rules")), text(root.join("ci/../hosts/./a/x.rules"))];
        for file in &spelled {
            let of = |baseline: &str| Spelling::new(&root.join(baseline), [file.as_str()].into_iter());
            assert_eq!(of("havenlint-baseline.json").path(file), "hosts/a/x.rules");
            assert_eq!(of("ci/baseline.json").path(file), "../hosts/a/x.rules");
            assert_eq!(of("ci/baseline.json").subject(&format!("{file} + b")), "../hosts/a/x.rules + b");
            assert!(of("ci/baseline.json").read("../hosts/a/x.rules"));
        }
        assert_eq!(from(root, "<stdin>"), "<stdin>");
    }
}
