//! Whose a file is.

use std::fs;
use std::path::Path;

/// Gives a file the owner of the one whose place it takes, if whoever runs may do so.
#[cfg(unix)]
pub fn keep_owner(path: &Path, now: &fs::Metadata) {
    use std::os::unix::fs::{MetadataExt, chown};
    let _ = chown(path, Some(now.uid()), Some(now.gid()));
}

/// Nothing to keep.
#[cfg(not(unix))]
pub fn keep_owner(_: &Path, _: &fs::Metadata) {}
