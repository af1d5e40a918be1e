//! Files that commands write: whole or not at all, and never over what they read.

use crate::source::discover::{UNFINISHED, shown};
use crate::source::own::keep_owner;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use tempfile::Builder;

/// Writes a file by putting a whole new one in its place; what was there stays if that fails. A pipe or a device is written to as it is.
///
/// # Errors
/// The file cannot be written, or is one of `inputs`.
pub(crate) fn write_file<'a>(
    path: &Path,
    inputs: impl IntoIterator<Item = &'a str>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let real = fs::canonicalize(path).ok();
    if let Some(real) = &real
        && inputs.into_iter().any(|i| fs::canonicalize(i).is_ok_and(|i| i == *real))
    {
        return Err(io::Error::other("it is an input of this run"));
    }
    let old = real.as_ref().and_then(|r| fs::metadata(r).ok());
    if is_device(path) || old.as_ref().is_some_and(|m| !m.is_file()) {
        let mut out = BufWriter::new(File::create(path)?);
        write(&mut out)?;
        return out.flush();
    }
    let path = real.as_deref().unwrap_or(path);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = builder().tempfile_in(folder)?;
    let mut out = BufWriter::new(&mut new);
    write(&mut out)?;
    out.flush()?;
    drop(out);
    if let Some(old) = old {
        keep_owner(new.path(), &old);
        new.as_file().set_permissions(old.permissions())?;
    }
    new.as_file().sync_all()?;
    new.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// Names of open files, such as `/dev/stdout`: what they stand for is not to be replaced, whatever it is.
fn is_device(path: &Path) -> bool {
    ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder))
}

/// A new file gets the permissions that any program's new files get.
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

/// Writes a file that is not there yet, whole or not at all.
///
/// # Errors
/// A message: it is there, or cannot be written.
pub(crate) fn create_file(path: &Path, text: &str) -> Result<(), String> {
    let cannot = |e: io::Error| format!("cannot write {}: {e}", shown(path));
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = builder().tempfile_in(folder).map_err(cannot)?;
    new.write_all(text.as_bytes()).and_then(|()| new.as_file().sync_all()).map_err(cannot)?;
    match new.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(format!("{} already exists and is unchanged", shown(path)))
        }
        Err(e) => Err(cannot(e.error)),
    }
}
