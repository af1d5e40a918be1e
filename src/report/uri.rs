//! File names as URIs relative to the repository's root (RFC 3986), as code scanning wants them.

use super::text::clean;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::path::{Component, Path, PathBuf};

/// The URI of a file: relative to `root`, without `.` and `..`, `/` between parts, percent-encoded. With a root, the file's name is
/// resolved (symbolic links followed) where the file exists; without one, the name is taken as it stands. A name that leads out of the
/// root keeps what follows the way out: code scanning refuses any other scheme beside relative URIs.
pub fn relative(path: &str, root: Option<&Path>) -> String {
    join(path, root, encode)
}

/// The same as a path, not encoded, safe to show.
pub fn plain(path: &str, root: Option<&Path>) -> String {
    join(path, root, |part| clean(part).into_owned())
}

fn join(path: &str, root: Option<&Path>, written: impl Fn(&str) -> String) -> String {
    let inside = root.and_then(|root| within(path, root));
    // Where `\` separates folders, the path's parts are already apart; elsewhere it is a character of the name.
    let name = inside.unwrap_or_else(|| PathBuf::from(path));
    let mut parts: Vec<String> = vec![];
    for part in name.components() {
        match part {
            Component::Normal(p) => parts.push(written(&p.to_string_lossy())),
            Component::ParentDir => drop(parts.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    if parts.is_empty() { "unknown".to_owned() } else { parts.join("/") }
}

fn within(path: &str, root: &Path) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    let file = Path::new(path).canonicalize().ok()?;
    file.strip_prefix(&root).ok().map(Path::to_path_buf)
}

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes all but the unreserved characters of RFC 3986.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_uris() {
        assert_eq!(relative("./hosts//a b/ü#1.rules", None), "hosts/a%20b/%C3%BC%231.rules");
        assert_eq!(relative("a/../../b:c", None), "b%3Ac");
        assert_eq!(relative("/etc/iptables/rules.v4", None), "etc/iptables/rules.v4");
        assert_eq!(relative("<stdin>", None), "%3Cstdin%3E");
        assert_eq!(relative("", None), "unknown");
        #[cfg(unix)]
        assert_eq!(relative("hosts/a\\b", None), "hosts/a%5Cb", "no other file's name");
    }

    #[test]
    fn symbolic_links_are_followed_inside_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        std::fs::create_dir(&real).unwrap();
        std::fs::write(real.join("a.rules"), "").unwrap();
        let link = dir.path().join("link");
        #[cfg(unix)]
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let name = link.join("a.rules");
        assert_eq!(relative(&name.to_string_lossy(), Some(dir.path())), "real/a.rules");
    }
}
