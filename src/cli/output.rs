//! Files that commands write: whole or not at all, and never over what they read.

use crate::source::discover::{UNFINISHED, shown};
use crate::source::own::{beside, replace};
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
    replace(path, old.as_ref(), write)
}

/// Names of open files, such as `/dev/stdout`: what they stand for is not to be replaced, whatever it is.
fn is_device(path: &Path) -> bool {
    ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder))
}

/// Writes a file that is not there yet, whole or not at all.
///
/// # Errors
/// A message: it is there, or cannot be written.
pub(crate) fn create_file(path: &Path, text: &str) -> Result<(), String> {
    let cannot = |e: io::Error| format!("cannot write {}: {e}", shown(path));
    let mut new = beside(path).map_err(cannot)?;
    new.as_file_mut().write_all(text.as_bytes()).map_err(cannot)?;
    new.as_file().sync_all().map_err(cannot)?;
    match new.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(format!("{} already exists and is unchanged", shown(path)))
        }
        Err(e) => Err(cannot(e.error)),
    }
}

/// Puts files into a folder, each whole: they are written beside it first.
///
/// # Errors
/// Whatever writing gives; then no file of the folder is half of what it should be.
pub(crate) fn write_folder(folder: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let new = Builder::new().prefix(UNFINISHED).tempdir_in(folder)?;
    write(new.path())?;
    for file in fs::read_dir(new.path())? {
        let file = file?;
        File::open(file.path())?.sync_all()?;
        fs::rename(file.path(), folder.join(file.file_name()))?;
    }
    Ok(())
}
