//! Versions of files as git keeps them, read by the git program.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

/// A repository.
#[derive(Debug)]
pub struct Repository {
    root: PathBuf,
    /// The folder in which havenlint runs, from the root.
    pub prefix: PathBuf,
}

/// What files are called that were called otherwise, from the root of the repository.
pub type Renames = BTreeMap<String, String>;

/// Why git's answer cannot be used: what went wrong, and what to do.
#[derive(Debug)]
pub struct GitError(String);

impl fmt::Display for GitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn error<T>(message: impl Into<String>) -> Result<T, GitError> {
    Err(GitError(message.into()))
}

impl Repository {
    /// The one that this folder is in.
    ///
    /// # Errors
    /// There is none, or no git program.
    pub fn here() -> Result<Self, GitError> {
        let here = Path::new(".");
        let root = match ask(here, &["rev-parse", "--show-toplevel"])? {
            Ok(root) => root,
            Err(why) if why.contains("not a git repository") => {
                return error(
                    "this folder is in no git repository: run in one, or compare two folders with `havenlint diff`",
                );
            }
            // Such as a folder of somebody else, which git does not trust.
            Err(why) => return error(format!("git does not read this repository: {why}")),
        };
        let prefix = ask(here, &["rev-parse", "--show-prefix"])?.unwrap_or_default();
        Ok(Self { root: PathBuf::from(root), prefix: PathBuf::from(prefix) })
    }

    /// The commit that a name stands for.
    ///
    /// # Errors
    /// It stands for none.
    pub fn commit(&self, name: &str) -> Result<String, GitError> {
        let wanted = format!("{name}^{{commit}}");
        match ask(&self.root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])? {
            Ok(id) => Ok(id),
            Err(_) => error(format!(
                "git knows no commit `{name}`: fetch it first (in GitHub Actions: actions/checkout with fetch-depth: 0)"
            )),
        }
    }

    /// Where two lines of commits part.
    ///
    /// # Errors
    /// They have nothing in common, as far as the repository knows.
    pub fn parting(&self, a: &str, b: &str) -> Result<String, GitError> {
        match ask(&self.root, &["merge-base", a, b])? {
            Ok(id) => Ok(id),
            Err(_) => error(format!(
                "git finds no common ancestor of {a} and {b}: fetch more of the history (in GitHub Actions: actions/checkout with fetch-depth: 0)"
            )),
        }
    }

    /// Files that were renamed between two commits, as git finds them: what they were called, and what they are.
    ///
    /// # Errors
    /// git fails.
    pub fn renames(&self, old: &str, new: &str) -> Result<Renames, GitError> {
        let wanted = ["diff", "--name-status", "-z", "-M", "--diff-filter=R", "--no-ext-diff", old, new];
        let out = run(&self.root, &wanted)?;
        if !out.status.success() {
            return error(format!("git cannot compare {old} with {new}: {}", said(&out.stderr)));
        }
        let text = String::from_utf8_lossy(&out.stdout);
        let words: Vec<&str> = text.split_terminator('\0').collect();
        Ok(words.chunks_exact(3).map(|w| (w[1].to_owned(), w[2].to_owned())).collect())
    }

    /// Writes all files of a commit into a folder. Links and submodules are left out; their paths are given back.
    ///
    /// # Errors
    /// git fails, or the folder cannot be written to.
    pub fn export(&self, commit: &str, to: &Path) -> Result<Vec<String>, GitError> {
        let out = run(&self.root, &["ls-tree", "-r", "-z", "--full-tree", commit])?;
        if !out.status.success() {
            return error(format!("git cannot list the files of {commit}: {}", said(&out.stderr)));
        }
        let (mut blobs, mut left_out) = (Vec::new(), Vec::new());
        for entry in out.stdout.split(|b| *b == 0).filter(|e| !e.is_empty()) {
            let text = String::from_utf8_lossy(entry);
            let Some((about, path)) = text.split_once('\t') else { continue };
            let mut words = about.split(' ');
            let (mode, id) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
            if mode.starts_with("100") && is_inside(path) {
                blobs.push((id.to_owned(), path.to_owned()));
            } else {
                left_out.push(path.to_owned());
            }
        }
        self.write(&blobs, to).or_else(|e| error(format!("cannot read {commit} from git: {e}")))?;
        Ok(left_out)
    }

    fn write(&self, blobs: &[(String, String)], to: &Path) -> io::Result<()> {
        let mut git = command(&self.root)
            .args(["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(mut asked), Some(answers)) = (git.stdin.take(), git.stdout.take()) else {
            return Err(io::Error::other("git has no input or output"));
        };
        let ids: String = blobs.iter().map(|(id, _)| format!("{id}\n")).collect();
        // Asked while the answers are read: neither side waits for the other.
        let asker = std::thread::spawn(move || asked.write_all(ids.as_bytes()));
        let mut answers = BufReader::new(answers);
        for (id, path) in blobs {
            let mut head = String::new();
            answers.read_line(&mut head)?;
            let size =
                head.trim_end().strip_prefix(&format!("{id} blob ")).and_then(|n| n.parse::<usize>().ok());
            let size = size.ok_or_else(|| io::Error::other(format!("{path}: {}", head.trim_end())))?;
            let mut content = vec![0; size + 1];
            answers.read_exact(&mut content)?;
            content.pop();
            let file = to.join(path);
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(file, content)?;
        }
        let _ = asker.join();
        git.wait().map(|_| ())
    }
}

// No entry of a tree may lead out of the folder that it is written to.
fn is_inside(path: &str) -> bool {
    let fits = |c: Component<'_>| matches!(c, Component::Normal(n) if !n.eq_ignore_ascii_case(".git"));
    !path.is_empty() && Path::new(path).components().all(fits)
}

fn command(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("--no-pager").arg("-C").arg(folder).env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
    git
}

fn run(folder: &Path, args: &[&str]) -> Result<std::process::Output, GitError> {
    match command(folder).args(args).stdin(Stdio::null()).output() {
        Ok(out) => Ok(out),
        Err(e) if e.kind() == io::ErrorKind::NotFound => error("the program `git` is not installed"),
        Err(e) => error(format!("cannot run git: {e}")),
    }
}

// One line of an answer; inside: what git said against it.
fn ask(folder: &Path, args: &[&str]) -> Result<Result<String, String>, GitError> {
    let out = run(folder, args)?;
    Ok(match out.status.success() {
        true => Ok(String::from_utf8_lossy(&out.stdout).trim_end_matches('\n').to_owned()),
        false => Err(said(&out.stderr)),
    })
}

fn said(stderr: &[u8]) -> String {
    String::from_utf8_lossy(stderr).lines().next().unwrap_or("it does not say why").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_entry_leads_out() {
        for (path, inside) in [
            ("a/b.rules", true),
            ("../a", false),
            ("/etc/passwd", false),
            ("a/../../b", false),
            (".git/x", false),
            ("", false),
        ] {
            assert_eq!(is_inside(path), inside, "{path}");
        }
    }
}
