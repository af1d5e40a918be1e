//! Texts that findings hold by the hundred thousand.

use super::SourceFile;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

/// A text that is not held again where it already stands: in the program, in a file that was read, or in another text. A copy of it takes 24
/// bytes. It compares, sorts and hashes as the `str` that it reads as.
#[derive(Clone)]
pub struct Text(Stored);

#[derive(Clone)]
enum Stored {
    /// Part of the program.
    Fixed(&'static str),
    /// One for all copies.
    Shared(Arc<str>),
    /// The name of a file.
    Name(Arc<SourceFile>),
    // INVARIANT: the range is within the file and valid UTF-8.
    /// What stands in a file: first byte and number of bytes.
    Part(Arc<SourceFile>, u32, u32),
}

impl Text {
    /// A text of the program.
    pub const fn fixed(text: &'static str) -> Self {
        Self(Stored::Fixed(text))
    }

    /// A text that all copies share.
    pub fn shared(text: &str) -> Self {
        if text.is_empty() { Self::default() } else { Self(Stored::Shared(text.into())) }
    }

    /// The name of a file.
    pub fn name_of(file: &Arc<SourceFile>) -> Self {
        Self(Stored::Name(Arc::clone(file)))
    }

    /// The bytes of a file in a range; what is no UTF-8 shows as U+FFFD, what lies beyond its end is left out.
    pub fn part_of(file: &Arc<SourceFile>, range: Range<usize>) -> Self {
        let end = range.end.min(file.bytes().len());
        let start = range.start.min(end);
        match (
            std::str::from_utf8(&file.bytes()[start..end]),
            u32::try_from(start),
            u32::try_from(end - start),
        ) {
            (Ok(_), Ok(start), Ok(len)) if len > 0 => Self(Stored::Part(Arc::clone(file), start, len)),
            _ => Self::shared(&file.text(start..end)),
        }
    }

    /// As it reads.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Stored::Fixed(text) => text,
            Stored::Shared(text) => text,
            Stored::Name(file) => &file.path,
            Stored::Part(file, start, len) => {
                let bytes = file.bytes().get(*start as usize..*start as usize + *len as usize);
                std::str::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
            }
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::fixed("")
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self::fixed(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::shared(&text)
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Self::shared(text)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl AsRef<Path> for Text {
    fn as_ref(&self) -> &Path {
        Path::new(self.as_str())
    }
}

impl AsRef<OsStr> for Text {
    fn as_ref(&self) -> &OsStr {
        OsStr::new(self.as_str())
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl Eq for Text {}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Stored::Shared(a), Stored::Shared(b)) if Arc::ptr_eq(a, b) => true,
            (Stored::Name(a), Stored::Name(b)) if Arc::ptr_eq(a, b) => true,
            _ => self.as_str() == other.as_str(),
        }
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Text {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<Text> for String {
    fn eq(&self, other: &Text) -> bool {
        self == other.as_str()
    }
}

impl PartialEq<Text> for str {
    fn eq(&self, other: &Text) -> bool {
        self == other.as_str()
    }
}

impl PartialEq<Text> for &str {
    fn eq(&self, other: &Text) -> bool {
        *self == other.as_str()
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Stored::Shared(a), Stored::Shared(b)) if Arc::ptr_eq(a, b) => Ordering::Equal,
            (Stored::Name(a), Stored::Name(b)) if Arc::ptr_eq(a, b) => Ordering::Equal,
            _ => self.as_str().cmp(other.as_str()),
        }
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(String::deserialize(from)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn wherever_it_stands_it_is_the_same_text() {
        let file = SourceFile::new("one two", "one two\n");
        let texts = [
            Text::fixed("one two"),
            Text::shared("one two"),
            Text::from("one two".to_owned()),
            Text::name_of(&file),
            Text::part_of(&file, 0..7),
        ];
        for a in &texts {
            assert_eq!((a.as_str(), a.len()), ("one two", 7));
            assert!(texts.iter().all(|b| a == b && a.cmp(b).is_eq()));
            assert_eq!(serde_json::to_string(a).unwrap(), "\"one two\"");
        }
        assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), 1);
        assert_eq!(size_of::<Text>(), 24);
    }

    #[test]
    fn a_part_of_a_file_is_text_whatever_its_bytes() {
        let file = SourceFile::new("f", b"ab\xffcd\xc3\xa9".to_vec());
        for range in [0..2, 0..3, 2..3, 3..7, 5..6, 4..99, 50..60, 3..3] {
            assert_eq!(Text::part_of(&file, range.clone()), *file.text(range));
        }
    }
}
