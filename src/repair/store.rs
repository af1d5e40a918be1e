//! Writing a repaired file.

use super::EditedFile;
use crate::source::discover::UNFINISHED;
use crate::source::encoding::is_utf16;
use crate::source::own::keep_owner;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Puts the new content in the file's place at once, or leaves the file as it is. Permissions and, where that is allowed, the owner stay;
/// a name that is a link still leads to the same file.
///
/// # Errors
/// The file cannot be written, or is not any more what was judged.
pub fn store(file: &EditedFile) -> io::Result<()> {
    let path = fs::canonicalize(Path::new(&file.old.path))?;
    let now = fs::read(&path)?;
    if is_utf16(&now) {
        return Err(io::Error::other("the file is UTF-16, which is read and not written: save it as UTF-8"));
    }
    if now != file.old.bytes() {
        return Err(io::Error::other("the file has changed in the meantime: run again"));
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let now = fs::metadata(&path)?;
    let mut new = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
    new.write_all(&file.new)?;
    keep_owner(new.path(), &now);
    new.as_file().set_permissions(now.permissions())?;
    new.as_file().sync_all()?;
    new.persist(&path).map_err(|e| e.error)?;
    Ok(())
}
