//! Writing a repaired file.

use super::EditedFile;
use crate::source::encoding::is_utf16;
use crate::source::own::replace;
use std::fs;
use std::io;
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
    let old = fs::metadata(&path)?;
    replace(&path, Some(&old), |out| out.write_all(&file.new))
}
