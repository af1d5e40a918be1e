//! Names and places as an editor has them: `file:` URIs, lines and UTF-16 columns from 0.

use crate::report::places::Sources;
use crate::source::Location;
use lsp_types::{Position, Range, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::path::{Path, PathBuf};

/// All but the unreserved characters of RFC 3986 and what separates folders.
const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The file that a URI names; `None` = none of this machine.
pub(super) fn path_of(uri: &Uri) -> Option<PathBuf> {
    let rest = uri.as_str().strip_prefix("file://")?;
    let path = percent_decode_str(rest).decode_utf8().ok()?;
    Some(whole(Path::new(&*path)))
}

/// The URI of a file.
pub(super) fn uri_of(path: &Path) -> Option<Uri> {
    format!("file://{}", utf8_percent_encode(&path.to_string_lossy(), RESERVED)).parse().ok()
}

/// A path as both sides know it: from the root, links followed.
pub(super) fn whole(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

/// A place, on its first line.
pub(super) fn range(sources: &Sources<'_>, at: &Location) -> Range {
    let r = sources.region(at);
    let position = |column: u32| Position { line: r.line - 1, character: column - 1 };
    Range { start: position(r.column), end: position(r.end_column) }
}

/// Whether a line (from 0) is one of a place.
pub(super) fn is_on(at: &Location, line: u32) -> bool {
    (at.line..=at.end_line.max(at.line)).contains(&(line + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        let path = Path::new("/nowhere/a b/ü%#1.rules");
        let uri = uri_of(path).unwrap();
        assert_eq!(uri.as_str(), "file:///nowhere/a%20b/%C3%BC%25%231.rules");
        assert_eq!(path_of(&uri).unwrap(), path);
        assert_eq!(path_of(&"https://e.example/a".parse().unwrap()), None);
    }
}
