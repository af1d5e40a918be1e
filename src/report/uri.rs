//! File names as URIs relative to the repository's root (RFC 3986), as code scanning wants them.

use std::path::{Component, Path, PathBuf};

/// The URI of a file: relative to `root`, without `.` and `..`, `/` between parts, percent-encoded. With a root, the file's name is
/// resolved (symbolic links followed) where the file exists; without one, the name is taken as it stands. A name that leads out of the
/// root keeps what follows the way out: code scanning refuses any other scheme beside relative URIs.
pub fn relative(path: &str, root: Option<&Path>) -> String {
    let inside = root.and_then(|root| within(path, root));
    let name = inside.unwrap_or_else(|| PathBuf::from(path.replace('\\', "/")));
    let mut parts: Vec<String> = vec![];
    for part in name.components() {
        match part {
            Component::Normal(p) => parts.push(encode(&p.to_string_lossy())),
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

/// Percent-encodes all but the unreserved characters of RFC 3986.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(b)),
            _ => out += &format!("%{b:02X}"),
        }
    }
    out
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
