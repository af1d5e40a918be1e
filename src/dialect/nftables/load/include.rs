//! `include`: files beside the input, and below it.

use super::*;
use globset::GlobBuilder;
use std::path::{Component, Path, PathBuf};

// nft's limit (`MAX_INCLUDE_DEPTH`).
const MAX_DEPTH: usize = 16;
// Files that one ruleset may include in all, and bytes in them: five includes in each of sixteen levels would be 10^11.
const MAX_FILES: usize = 1024;
const MAX_BYTES: usize = 256 << 20;

/// The folder of the input: nothing outside of it is read, unless a folder stands for the root of the box's files.
pub(super) struct Folder {
    // Real path, and the name under which files of it are shown. `None`: the input is no file.
    real: Option<PathBuf>,
    shown: String,
    // What stands for `/`: real path, and as it was given.
    box_root: Option<(PathBuf, PathBuf)>,
    // What lies outside is taken to hold nothing.
    assumed_empty: bool,
    // The files that are open, outermost first.
    open: Vec<PathBuf>,
    // Files and bytes that were included so far.
    files: usize,
    bytes: usize,
}

impl Folder {
    pub(super) fn of(input: &str, includes: &Includes) -> Self {
        let path = Path::new(input);
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let real = path.is_file().then(|| parent.canonicalize().ok()).flatten();
        let shown = match input.rfind('/') {
            Some(i) => input[..=i].to_owned(),
            None => String::new(),
        };
        let open = path.canonicalize().into_iter().collect();
        let box_root =
            includes.root.as_ref().map(|r| (r.canonicalize().unwrap_or_else(|_| r.clone()), r.clone()));
        let assumed_empty = includes.assumed_empty;
        Self { real, shown, box_root, assumed_empty, open, files: 0, bytes: 0 }
    }

    // The files that an absolute name stands for below the folder that stands for the root.
    fn find_in_box(&self, name: &Path, is_pattern: bool) -> Option<Vec<(PathBuf, String)>> {
        let (real, given) = self.box_root.as_ref().filter(|_| name.is_absolute())?;
        let found = expand(real, name, is_pattern).into_iter().filter_map(|f| f.canonicalize().ok());
        let named = |f: PathBuf| {
            let below = f.strip_prefix(real).ok()?;
            let shown = given.join(below).to_string_lossy().replace('\\', "/");
            Some((f, shown))
        };
        Some(found.filter_map(named).collect())
    }

    // The files that a name stands for, with the names to show; `Err` says why there are none.
    fn find(&self, name: &str) -> Result<Vec<(PathBuf, String)>, (String, String)> {
        let Some(root) = &self.real else {
            return Err((
                "included files are not read here: the ruleset does not come from a file".to_owned(),
                "give the name of the file instead of standard input".to_owned(),
            ));
        };
        let is_pattern = name.contains(['*', '?', '[']);
        if let Some(found) = self.find_in_box(Path::new(name), is_pattern) {
            if found.is_empty() && !is_pattern && !self.assumed_empty {
                let help = "copy the file there, or take the include out".to_owned();
                return Err((format!("the file `{name}` is not below the folder of --include-root"), help));
            }
            return Ok(found);
        }
        let mut bases = Vec::new();
        if Path::new(name).is_absolute() {
            bases.push(PathBuf::from("/"));
        } else {
            bases.extend(self.open.last().and_then(|f| f.parent()).map(Path::to_path_buf));
            bases.push(root.clone());
        }
        let mut outside = false;
        for base in bases {
            let mut found = expand(&base, Path::new(name), is_pattern);
            found.retain(|f| {
                let inside = f.canonicalize().is_ok_and(|f| f.starts_with(root));
                outside |= !inside;
                inside
            });
            if !found.is_empty() {
                let named = |f: PathBuf| {
                    let real = f.canonicalize().unwrap_or(f);
                    let below = real.strip_prefix(root).unwrap_or(&real).to_string_lossy().replace('\\', "/");
                    (real, format!("{}{below}", self.shown))
                };
                return Ok(found.into_iter().map(named).collect());
            }
        }
        if self.assumed_empty {
            return Ok(Vec::new());
        }
        if outside || Path::new(name).is_absolute() && !Path::new(name).starts_with(root) {
            return Err((
                format!("`{name}` is outside the folder of the input and is not read"),
                "its rules are missing from the result: name the folder that holds the box's files with --include-root, lint the output of \
                 `nft list ruleset`, or say `--assume includes-empty`"
                    .to_owned(),
            ));
        }
        if is_pattern {
            return Ok(Vec::new());
        }
        Err((format!("the file `{name}` does not exist"), String::new()))
    }
}

// Files that a path, possibly with wildcards, names; sorted.
fn expand(base: &Path, name: &Path, is_pattern: bool) -> Vec<PathBuf> {
    let mut found = vec![base.to_path_buf()];
    for part in name.components() {
        match part {
            Component::Normal(n) => {
                let n = n.to_string_lossy();
                if !(is_pattern && n.contains(['*', '?', '['])) {
                    found.iter_mut().for_each(|f| f.push(&*n));
                    continue;
                }
                let Ok(glob) = GlobBuilder::new(&n).literal_separator(true).build() else {
                    return Vec::new();
                };
                let matcher = glob.compile_matcher();
                let mut next = Vec::new();
                for folder in &found {
                    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                        let file = entry.file_name();
                        let hidden = file.to_string_lossy().starts_with('.') && !n.starts_with('.');
                        if !hidden && matcher.is_match(&file) {
                            next.push(entry.path());
                        }
                    }
                }
                next.sort();
                found = next;
            }
            Component::ParentDir => found.iter_mut().for_each(|f| f.push("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    found.retain(|f| f.is_file());
    found
}

impl Loader {
    /// Reads the files that an `include` names, in place: what they hold are statements of the block that includes them.
    pub(super) fn include(&mut self, name: &str, at: Origin, read_file: &mut dyn FnMut(&mut Self, usize)) {
        let files = match self.folder.find(name) {
            Ok(files) => files,
            Err((message, help)) => return self.lose(SyntaxError::new(at, message).help(help)),
        };
        for (real, shown) in files {
            if self.folder.open.contains(&real) {
                self.lose(SyntaxError::new(at, format!("`{name}` includes itself")));
                continue;
            }
            if self.folder.open.len() > MAX_DEPTH {
                self.lose(SyntaxError::new(
                    at,
                    format!("files include files deeper than {MAX_DEPTH} levels"),
                ));
                return;
            }
            if self.folder.files >= MAX_FILES || self.folder.bytes >= MAX_BYTES {
                // Said once: what is left out is lost all the same.
                if self.folder.files != usize::MAX {
                    let message = format!(
                        "more than {MAX_FILES} files, or {} megabytes, are included",
                        MAX_BYTES >> 20
                    );
                    let name = |p: &PathBuf| p.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let chain: Vec<String> = self.folder.open.iter().map(name).collect();
                    let help = format!(
                        "what stands in the others is not read; this one is reached by {}",
                        chain.join(" > ")
                    );
                    self.lose(SyntaxError::new(at, message).help(help));
                }
                self.folder.files = usize::MAX;
                return;
            }
            let read = || {
                self.edited
                    .get(&real)
                    .map_or_else(|| crate::source::discover::bytes(&real), |b| Ok(b.to_vec()))
            };
            let bytes = match read() {
                Ok(b) if b.len() <= crate::source::MAX_BYTES => b,
                Ok(_) => {
                    self.lose(SyntaxError::new(at, format!("`{name}` is too large")));
                    continue;
                }
                Err(e) => {
                    self.lose(SyntaxError::new(at, format!("`{name}` cannot be read: {e}")));
                    continue;
                }
            };
            self.folder.files += 1;
            self.folder.bytes = self.folder.bytes.saturating_add(bytes.len());
            self.files.push(SourceFile::new(shown, bytes));
            let index = self.files.len() - 1;
            self.carriage_return(index);
            self.folder.open.push(real);
            self.hidden_rule(index);
            read_file(self, index);
            self.folder.open.pop();
        }
    }
}
