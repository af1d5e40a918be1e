//! Files that are written: whole or not at all.

use super::discover::UNFINISHED;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use tempfile::{Builder, NamedTempFile};

/// Puts a new file in the place of one, or leaves that as it is: the new one is written beside it, brought to the disk and renamed. With `old`,
/// what is there now, permissions stay and, where that is allowed, the owner.
///
/// # Errors
/// Whatever writing gives.
pub fn replace(
    path: &Path,
    old: Option<&fs::Metadata>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut new = beside(path)?;
    // Before anything is in it: nobody reads the new file who may not read the old one.
    if let Some(old) = old {
        keep_owner(new.path(), old);
        new.as_file().set_permissions(old.permissions())?;
    }
    let mut out = BufWriter::new(new.as_file_mut());
    write(&mut out)?;
    out.flush()?;
    drop(out);
    new.as_file().sync_all()?;
    new.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// A new file in the folder of another, which gets the permissions that any program's new files get.
///
/// # Errors
/// Whatever creating gives; the message does not name the file, which nobody has asked for.
pub fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    builder().tempfile_in(folder).map_err(|e| {
        let text = e.to_string();
        io::Error::new(e.kind(), text.split(" at path ").next().unwrap_or_default().to_owned())
    })
}

#[cfg(unix)]
fn builder() -> Builder<'static, 'static> {
    use std::os::unix::fs::PermissionsExt;
    let mut it = Builder::new();
    it.prefix(UNFINISHED).permissions(fs::Permissions::from_mode(0o666));
    it
}

#[cfg(not(unix))]
fn builder() -> Builder<'static, 'static> {
    let mut it = Builder::new();
    it.prefix(UNFINISHED);
    it
}

/// Gives a file the owner of the one whose place it takes, if whoever runs may do so.
#[cfg(unix)]
fn keep_owner(path: &Path, now: &fs::Metadata) {
    use std::os::unix::fs::{MetadataExt, chown};
    let _ = chown(path, Some(now.uid()), Some(now.gid()));
}

/// Nothing to keep.
#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &fs::Metadata) {}
