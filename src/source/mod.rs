//! Files, their lines, and places in them.

pub mod digest;
pub mod discover;
pub mod json;
pub mod walk;

pub mod document;
pub mod encoding;
pub mod git;
pub mod own;
pub mod progress;
pub mod shard;
pub mod text;
pub mod yaml;

use memchr::{memchr, memchr_iter, memrchr};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::{Arc, OnceLock};
pub use text::Text;

/// A file that was read whole: its name as given, its bytes, and its lines.
pub struct SourceFile {
    /// The name to show: as on the command line or found by walking, with `/` between parts; `<stdin>` for `-`.
    pub path: String,
    bytes: Vec<u8>,
    feeds: OnceLock<Vec<u32>>,
    marks: OnceLock<Vec<u32>>,
    ascii: OnceLock<bool>,
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceFile({:?}, {} bytes)", self.path, self.bytes.len())
    }
}

/// A place in one of a firewall's files: a byte range. 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Origin {
    /// Index into the list of files that goes with it.
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Origin {
    /// The bytes from `start` to `end` (excluded) of file number `file`.
    pub fn new(file: usize, start: usize, end: usize) -> Self {
        Self { file: file as u32, start: start as u32, end: end.max(start) as u32 }
    }
}

/// A place as people and programs read it. Lines and columns count from 1, columns in characters; the end column is
/// one past the last character.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Location {
    /// The file's name.
    pub path: Text,
    /// First line.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// Last line.
    pub end_line: u32,
    /// One past the last column.
    pub end_column: u32,
    /// What stands there, its first line, at most 200 characters.
    pub text: Text,
    /// What it is called, where its first line does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Box<RuleName>>,
}

/// What people call a rule whose text spans many lines (pfSense's `<rule>`): the first of them says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleName {
    /// How those who keep it describe it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What the product gave it to be told from others: `tracker 1700000051`, `uuid …`; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// What it says, in short: `pass IPv4 tcp on wan, from any to CMS port 20081`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = (!self.description.is_empty()).then(|| format!("\"{}\"", self.description));
        let id = Some(self.id.clone()).filter(|i| !i.is_empty());
        let named = [quoted, id].into_iter().flatten().collect::<Vec<_>>().join(", ");
        match (named.is_empty(), self.summary.is_empty()) {
            (false, false) => write!(f, "{named}: {}", self.summary),
            (true, _) => f.write_str(&self.summary),
            (_, true) => f.write_str(&named),
        }
    }
}

// What is counted by blocks, so that nothing is counted from the beginning: of so many bytes.
const STEP: usize = 512;

/// The largest file that is read, in bytes: places are 32-bit.
pub const MAX_BYTES: usize = u32::MAX as usize - 1;

impl SourceFile {
    /// A file from its name and bytes, which are read as UTF-8 from here on. Bytes beyond [`MAX_BYTES`] are the caller's to refuse.
    pub fn new(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Arc<Self> {
        Arc::new(Self {
            path: path.into(),
            bytes: encoding::to_utf8(bytes.into()),
            feeds: OnceLock::new(),
            marks: OnceLock::new(),
            ascii: OnceLock::new(),
        })
    }

    /// Everything in the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    // Line feeds before each block of the file, and all of them.
    fn feeds(&self) -> &[u32] {
        self.feeds.get_or_init(|| {
            let mut sum = 0;
            let mut feeds = Vec::with_capacity(self.bytes.len() / STEP + 2);
            feeds.push(0);
            feeds.extend(self.bytes.chunks(STEP).map(|block| {
                sum += memchr_iter(b'\n', block).count() as u32;
                sum
            }));
            feeds
        })
    }

    // Where the n-th line feed stands, counted from 0.
    fn feed(&self, n: usize) -> Option<usize> {
        let feeds = self.feeds();
        let block = feeds.partition_point(|f| *f as usize <= n).checked_sub(1)?;
        let start = block * STEP;
        let inside = memchr_iter(b'\n', self.bytes.get(start..)?).nth(n - feeds[block] as usize)?;
        Some(start + inside)
    }

    /// Number of lines; what stands behind the last line feed is one, even if it is nothing.
    pub fn line_count(&self) -> usize {
        self.feeds().last().map_or(0, |f| *f as usize) + 1
    }

    /// Number of the line that holds a byte, from 0.
    pub fn line_of(&self, offset: usize) -> usize {
        let offset = offset.min(self.bytes.len());
        let block = offset / STEP;
        self.feeds()[block] as usize + memchr_iter(b'\n', &self.bytes[block * STEP..offset]).count()
    }

    // The first byte of the line that holds a byte, whose number is known: mostly it is near.
    fn start_of(&self, offset: usize, line: usize) -> usize {
        let block = offset - offset % STEP;
        match memrchr(b'\n', &self.bytes[block..offset]) {
            Some(near) => block + near + 1,
            None => self.line_start(line).unwrap_or(0),
        }
    }

    // The line feed that ends the line of a byte, or the end of the file.
    fn end_of(&self, offset: usize, line: usize) -> usize {
        let near = &self.bytes[offset..self.bytes.len().min(offset + STEP)];
        match memchr(b'\n', near) {
            Some(near) => offset + near,
            None => self.feed(line).unwrap_or(self.bytes.len()),
        }
    }

    // The first byte of a line.
    fn line_start(&self, line: usize) -> Option<usize> {
        match line.checked_sub(1) {
            None => Some(0),
            Some(before) => self.feed(before).map(|at| at + 1),
        }
    }

    /// A line's byte range without its line end; `line` counts from 0. Empty past the end.
    pub fn line_range(&self, line: usize) -> std::ops::Range<usize> {
        let Some(start) = self.line_start(line) else {
            return self.bytes.len()..self.bytes.len();
        };
        start..self.without_return(start, self.end_of(start, line))
    }

    // Where the text of a line from `start` ends whose line feed stands at `end`.
    fn without_return(&self, start: usize, end: usize) -> usize {
        if end > start && self.bytes[end - 1] == b'\r' { end - 1 } else { end }
    }

    /// The text of a byte range; bytes that are no UTF-8 show as U+FFFD.
    pub fn text(&self, range: std::ops::Range<usize>) -> std::borrow::Cow<'_, str> {
        let end = range.end.min(self.bytes.len());
        String::from_utf8_lossy(&self.bytes[range.start.min(end)..end])
    }

    /// Line and column of a byte, both from 1. The column counts characters.
    pub fn line_column(&self, offset: usize) -> (u32, u32) {
        let offset = offset.min(self.bytes.len());
        let line = self.line_of(offset);
        (line as u32 + 1, self.characters(self.start_of(offset, line), offset) as u32 + 1)
    }

    /// The byte at a line and a column, both from 1: what [`SourceFile::line_column`] gives back. Beyond the end of the line: its end.
    pub fn offset(&self, line: u32, column: u32) -> usize {
        let range = self.line_range((line as usize).saturating_sub(1));
        let wanted = (column as usize).saturating_sub(1);
        if self.is_ascii() {
            return (range.start + wanted).min(range.end);
        }
        // Columns grow with bytes: the first byte that has so many characters before it.
        let (mut low, mut high) = (range.start, range.end);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.characters(range.start, middle) < wanted {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        let inside = |at: &usize| self.bytes.get(*at).is_some_and(|b| b & 0xc0 == 0x80);
        (low..range.end).find(|at| !inside(at)).unwrap_or(range.end)
    }

    /// Whether every byte is a character of its own: then columns are offsets, also in lines of many megabytes.
    pub fn is_ascii(&self) -> bool {
        *self.ascii.get_or_init(|| self.bytes.is_ascii())
    }

    // Number of characters between two bytes. Documents of one line of many megabytes are common: there, counts at every few kilobytes are
    // kept (a byte that is no UTF-8 then counts as one, unless it looks like the inside of a character).
    fn characters(&self, start: usize, end: usize) -> usize {
        if self.is_ascii() {
            return end - start;
        }
        if end - start <= 2 * STEP {
            return self.text(start..end).chars().count();
        }
        let count = |bytes: &[u8]| bytes.iter().filter(|b| **b & 0xc0 != 0x80).count();
        let marks = self.marks.get_or_init(|| {
            let mut sum = 0;
            let before = |chunk: &[u8]| {
                let at = sum;
                sum += count(chunk) as u32;
                at
            };
            self.bytes.chunks(STEP).map(before).collect()
        });
        let to = |at: usize| {
            let k = (at / STEP).min(marks.len().saturating_sub(1));
            marks.get(k).map_or(0, |m| *m as usize) + count(&self.bytes[k * STEP..at])
        };
        to(end) - to(start)
    }

    /// A byte range as a [`Location`].
    pub fn locate(self: &Arc<Self>, start: usize, end: usize) -> Location {
        let start = start.min(self.bytes.len());
        let end = end.clamp(start, self.bytes.len());
        let line = self.line_of(start);
        let (line_start, line_end) = (self.start_of(start, line), self.end_of(start, line));
        let column = |at: usize| self.characters(line_start, at) as u32 + 1;
        let (end_line, end_column) =
            if end <= line_end { (line as u32 + 1, column(end)) } else { self.line_column(end) };
        let shown = self.without_return(line_start, line_end).clamp(start, end);
        let text = self.beginning(start..shown);
        let (path, line, column) = (Text::name_of(self), line as u32 + 1, column(start));
        Location { path, line, column, end_line, end_column, text, rule: None }
    }

    // The first 200 characters of a range.
    fn beginning(self: &Arc<Self>, range: std::ops::Range<usize>) -> Text {
        const MOST: usize = 200;
        let text = self.text(range.start..range.end.min(range.start + 4 * MOST));
        let end = text.char_indices().nth(MOST).map_or(text.len(), |(at, _)| at);
        match text {
            std::borrow::Cow::Borrowed(_) => Text::part_of(self, range.start..range.start + end),
            std::borrow::Cow::Owned(text) => Text::shared(&text[..end]),
        }
    }
}

impl Location {
    /// The beginning of a file of which nothing else is known.
    pub fn top(path: &str) -> Self {
        let (path, text) = (Text::shared(path), Text::default());
        Self { path, line: 1, column: 1, end_line: 1, end_column: 1, text, rule: None }
    }
}

/// The place of an origin in the files that it goes with.
pub fn locate(files: &[Arc<SourceFile>], origin: Origin) -> Location {
    match files.get(origin.file as usize) {
        Some(f) => f.locate(origin.start as usize, origin.end as usize),
        None => Location::top(""),
    }
}

/// How bad a problem of an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For information.
    Note,
    /// Suspicious, or something that could not be decided.
    Warning,
    /// Wrong.
    Error,
}

impl Severity {
    /// `note`, `warning` or `error`.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// Something that is wrong with an input, where, and what to do. An error means that the file is malformed there
/// (exit status 2); the rest of it is still read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to do about it; may be empty.
    pub help: String,
    /// Where: index into the files read together.
    pub origin: Origin,
}

impl Diagnostic {
    /// A malformed input.
    pub fn error(origin: Origin, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), help: String::new(), origin }
    }

    /// Something that a reader should know.
    pub fn warning(origin: Origin, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(origin, message) }
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_very_long_lines() {
        let mut text = String::from("first\n");
        (0..20_000).for_each(|i| text += if i % 7 == 0 { "é" } else { "x" });
        let f = SourceFile::new("f", text.clone());
        for at in [6, 7, 4000, 9000, 17_001, text.len()] {
            let at = (at..).find(|i| text.is_char_boundary(*i)).unwrap();
            assert_eq!(f.line_column(at), (2, text[6..at].chars().count() as u32 + 1), "{at}");
            assert_eq!(f.offset(2, f.line_column(at).1), at);
        }
    }

    #[test]
    fn lines_are_found_by_blocks() {
        // Lines of 0 to 40 bytes, and one that is longer than some blocks.
        let mut text: Vec<u8> = (0..1000).flat_map(|n| [vec![b'x'; n % 41], vec![b'\n']].concat()).collect();
        text.extend(std::iter::repeat_n(b'y', 3 * STEP));
        for end in [&b""[..], b"\n", b"\nz"] {
            let whole = [&text[..], end].concat();
            let f = SourceFile::new("f", whole.clone());
            let lines: Vec<&[u8]> = whole.split(|b| *b == b'\n').collect();
            assert_eq!(f.line_count(), lines.len());
            let mut at = 0;
            for (n, line) in lines.iter().enumerate() {
                assert_eq!(f.line_range(n), at..at + line.len(), "line {n}");
                assert_eq!((f.line_of(at), f.line_of(at + line.len())), (n, n));
                at += line.len() + 1;
            }
            assert_eq!(f.line_range(lines.len()), whole.len()..whole.len());
            assert_eq!(f.line_of(whole.len() + 9), lines.len() - 1);
        }
    }

    #[test]
    fn places() {
        let f = SourceFile::new("a", "ab\r\nçd\nlast");
        assert_eq!(f.line_column(0), (1, 1));
        assert_eq!(f.line_column(6), (2, 2));
        assert_eq!(f.line_column(7), (2, 3));
        assert_eq!(&*f.text(f.line_range(0)), "ab");
        assert_eq!(f.locate(8, 12).text, "last");
        assert_eq!(f.locate(8, 12).end_column, 5);
        assert_eq!(f.locate(99, 100).line, 3);
        let empty = SourceFile::new("e", "");
        assert_eq!(empty.locate(0, 0).line, 1);
    }
}
