//! Which files a run looks at.

use super::digest::sha256;
use super::encoding::to_utf8;
use super::walk::Walk;
use super::{MAX_BYTES, SourceFile};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use walkdir::{DirEntry, WalkDir};

/// A file that may be of interest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it was named itself, not found by walking: then it must be readable and understood.
    pub named: bool,
}

/// How much of a walked file is looked at before it is read whole, in bytes.
pub const HEAD: usize = 64 * 1024;

/// What walking found.
#[derive(Debug, Default)]
pub struct Discovered {
    /// The files, each once, sorted.
    pub files: Vec<Candidate>,
    /// What cannot be walked, with the reason.
    pub failed: Vec<(PathBuf, io::Error)>,
    /// Symbolic links to files and folders, sorted: they are not followed.
    pub links: Vec<PathBuf>,
    /// Files that the repository's `.gitignore` names, sorted.
    pub ignored: Vec<PathBuf>,
    /// Files that the caller excludes, sorted.
    pub excluded: Vec<PathBuf>,
}

/// All files below the paths; a path that is a file is `named`. Version control, build output and hidden folders are left
/// out, unless all is to be walked.
pub fn discover(paths: &[PathBuf], walk: &Walk) -> Discovered {
    let (mut ignored, mut excluded) = (Vec::new(), Vec::new());
    let mut found = Vec::new();
    let mut failed = Vec::new();
    let mut links = Vec::new();
    for path in paths {
        match fs::metadata(path) {
            Err(e) => failed.push((path.clone(), e)),
            Ok(m) if !m.is_dir() => found.push(Candidate { path: path.clone(), named: true }),
            Ok(_) => {
                let mut walked = Vec::new();
                for entry in
                    WalkDir::new(path).follow_links(false).into_iter().filter_entry(|e| wanted(e, walk))
                {
                    match entry {
                        Ok(e) if e.file_type().is_file() => walked.push(e.into_path()),
                        Ok(e) => links.extend(Some(e.into_path()).filter(|p| p.is_symlink() && p.exists())),
                        Err(e) => {
                            let at = e.path().unwrap_or(path).to_owned();
                            failed.push((at, e.into()));
                        }
                    }
                }
                let unwanted = walk.ignored(path, &walked);
                for file in walked {
                    match () {
                        () if is_unfinished(&file) => {}
                        () if walk.excludes(&file, path) => excluded.push(file),
                        () if unwanted.contains(&file) => ignored.push(file),
                        () => found.push(Candidate { path: file, named: false }),
                    }
                }
            }
        }
    }
    // A file both named and walked counts as named.
    found.sort_by(|a, b| a.path.cmp(&b.path).then(b.named.cmp(&a.named)));
    found.dedup_by(|a, b| a.path == b.path);
    // What is named is read, whatever else is said of it.
    let named: BTreeSet<String> = found.iter().filter(|c| c.named).map(|c| shown(&c.path)).collect();
    for list in [&mut links, &mut ignored, &mut excluded] {
        list.sort();
        list.dedup();
        list.retain(|p| !named.contains(&shown(p)));
    }
    Discovered { files: found, failed, links, ignored, excluded }
}

fn wanted(entry: &DirEntry, walk: &Walk) -> bool {
    let name = entry.file_name().to_string_lossy();
    if entry.depth() == 0 || !entry.file_type().is_dir() {
        return true;
    }
    match walk.all {
        true => name != ".git",
        false => !(name.starts_with('.') || name == "target" || name == "node_modules"),
    }
}

/// The files of a folder, sorted; not those of folders within. Of the folder with the empty name, which is this one, they have names without a folder.
pub fn siblings(folder: &Path) -> Vec<PathBuf> {
    let here = folder.as_os_str().is_empty();
    let mut out: Vec<PathBuf> = fs::read_dir(if here { Path::new(".") } else { folder })
        .into_iter()
        .flatten()
        .flatten()
        .filter(|e| e.file_type().is_ok_and(|t| t.is_file()) && !is_unfinished(Path::new(&e.file_name())))
        // Keep the way in which the folder itself was named.
        .map(|e| if here { e.file_name().into() } else { e.path() })
        .collect();
    out.sort();
    out
}

/// The first 64 KiB of a file, as UTF-8.
pub fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(4096);
    open(path)?.take(HEAD as u64).read_to_end(&mut out)?;
    Ok(to_utf8(out))
}

/// Files that are read as if they had other content than they have: edits that are tried before they are made.
#[derive(Debug, Clone, Default)]
pub struct Edited {
    // By the file's real path, so that each of its names leads there.
    files: BTreeMap<PathBuf, Arc<[u8]>>,
}

impl Edited {
    /// Gives a file other content.
    ///
    /// # Errors
    /// The file does not exist, or cannot be looked at.
    pub fn set(&mut self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        self.files.insert(fs::canonicalize(path)?, bytes.into());
        Ok(())
    }

    /// The content that a file has here; `None` = its own.
    pub fn get(&self, path: &Path) -> Option<&[u8]> {
        if self.files.is_empty() {
            return None;
        }
        self.files.get(&fs::canonicalize(path).ok()?).map(|b| &**b)
    }

    /// Reads a file whole, with the content that it has here.
    ///
    /// # Errors
    /// As [`read`].
    pub fn read(&self, path: &Path) -> io::Result<Arc<SourceFile>> {
        match self.get(path) {
            Some(bytes) => Ok(SourceFile::new(shown(path), bytes)),
            None => read(path),
        }
    }
}

/// Reads a file whole.
///
/// # Errors
/// As [`bytes`].
pub fn read(path: &Path) -> io::Result<Arc<SourceFile>> {
    Ok(SourceFile::new(shown(path), bytes(path)?))
}

/// Everything in a file.
///
/// # Errors
/// Whatever reading gives; a file larger than [`MAX_BYTES`] is an error, and so is what [`open`] refuses.
pub fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    all_of(&mut open(path)?)
}

/// A file as a run read it, if it is still there and the same.
pub fn unchanged(path: &str, digest: &str) -> Option<Arc<SourceFile>> {
    let content = bytes(Path::new(path)).ok()?;
    (sha256([content.as_slice()]) == digest).then(|| SourceFile::new(path, content))
}

/// Everything that a stream gives.
///
/// # Errors
/// Whatever reading gives, or more than [`MAX_BYTES`].
pub fn all_of(stream: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    if stream.take(MAX_BYTES as u64 + 1).read_to_end(&mut out)? > MAX_BYTES {
        let message = "files above 4 GiB are not read: split the dump";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(out)
}

/// Opens a file to be read.
///
/// # Errors
/// Whatever opening gives. What is no regular file is refused: a device may never end, and a pipe that nobody writes to never begins. A pipe that
/// the shell has opened (`<(…)`, `/dev/stdin`) is one that somebody writes to.
pub fn open(path: &Path) -> io::Result<File> {
    let by_shell = ["/dev/fd", "/proc/self/fd", "/dev/stdin"].iter().any(|p| path.starts_with(p));
    if !by_shell && !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    File::open(path)
}

/// How names of files begin that a run puts beside those that it writes, until they are whole.
pub const UNFINISHED: &str = ".havenlint-";

/// Whether a file is what a run that was ended has left behind.
fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(UNFINISHED))
}

/// A path as reports show it: `/` between parts, no leading `./`.
pub fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    // Elsewhere than on Windows `\` is a character of the name.
    let text = if cfg!(windows) { text.replace('\\', "/").into() } else { text };
    let mut shown = &*text;
    while let Some(rest) = shown.strip_prefix("./") {
        shown = rest.trim_start_matches('/');
    }
    shown.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_sorted_and_once() {
        let dir = tempfile::tempdir().unwrap();
        for f in ["b.rules", "a/x.nft", ".git/config", "target/y"] {
            let p = dir.path().join(f);
            fs::create_dir_all(p.parent().unwrap()).unwrap();
            fs::write(p, "x").unwrap();
        }
        let Discovered { files: found, failed, .. } = discover(
            &[dir.path().to_owned(), dir.path().join("b.rules"), dir.path().join("none")],
            &Walk::default(),
        );
        let names: Vec<_> =
            found.iter().map(|c| (shown(c.path.strip_prefix(dir.path()).unwrap()), c.named)).collect();
        assert_eq!(names, [("a/x.nft".to_owned(), false), ("b.rules".to_owned(), true)]);
        assert_eq!(failed.len(), 1);
        assert_eq!(shown(Path::new("./a/b")), "a/b");
    }
}
