//! Finding the text behind a [`Location`] again: lines by number, columns in bytes and in UTF-16 units.

use super::text::{clean, visible};
use crate::finding::Report;
use crate::source::{Location, SourceFile};
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::sync::Arc;

/// The files of a report, by name.
pub struct Sources<'a>(FxHashMap<&'a str, &'a SourceFile>);

impl<'a> Sources<'a> {
    /// The files that a report carries.
    pub fn of(report: &'a Report) -> Self {
        Self(report.sources.iter().map(|s| (s.path.as_str(), &**s)).collect())
    }

    /// These files.
    pub fn files(files: &'a [Arc<SourceFile>]) -> Self {
        Self(files.iter().map(|s| (s.path.as_str(), &**s)).collect())
    }

    /// The file that a location is in, if the report has it.
    pub fn file(&self, location: &Location) -> Option<&'a SourceFile> {
        self.0.get(location.path.as_str()).copied()
    }

    /// The lines of a place with their numbers (from 1), safe to show, and `around` lines before and after: at most `most` lines of at
    /// most 300 characters.
    pub fn lines(&self, at: &Location, around: u32, most: u32) -> Vec<(u32, String)> {
        let Some(file) = self.file(at) else {
            let text = clean(&at.text).into_owned();
            return if text.is_empty() { vec![] } else { vec![(at.line, text)] };
        };
        let count = file.line_count() as u32;
        let first = at.line.max(1).saturating_sub(around).max(1);
        let last =
            at.end_line.max(at.line).saturating_add(around).min(first.saturating_add(most - 1)).min(count);
        let show = |line: u32| {
            let index = line as usize - 1;
            let column = if line == at.line { at.column.saturating_sub(1) as usize } else { 0 };
            let text = Window::new(file, index, column, 300).text.trim_end().to_owned();
            // What follows the last line feed is no line.
            (line < count || !file.line_range(index).is_empty()).then_some((line, text))
        };
        (first..=last).filter_map(show).collect()
    }

    /// A location as a region on its first line, with columns in UTF-16 units.
    pub fn region(&self, at: &Location) -> Span {
        self.span(at, char::len_utf16)
    }

    /// The same with columns in bytes.
    pub fn region_in_bytes(&self, at: &Location) -> Span {
        self.span(at, char::len_utf8)
    }

    fn span(&self, at: &Location, unit: fn(char) -> usize) -> Span {
        let one_line = at.end_line <= at.line;
        let Some(file) = self.file(at) else {
            let end = if one_line { at.end_column } else { at.column + at.text.chars().count() as u32 };
            return Span::new(at.line, at.column, end);
        };
        let range = file.line_range(at.line.saturating_sub(1) as usize);
        let (ascii, last) = (file.is_ascii(), range.len() as u32);
        let text = file.text(if ascii { 0..0 } else { range });
        let units = |columns: u32| {
            let n = columns.saturating_sub(1);
            if ascii {
                return n.min(last) + 1;
            }
            let n = n as usize;
            text.chars().take(n).map(|c| unit(c) as u32).sum::<u32>() + 1
        };
        Span::new(at.line, units(at.column), if one_line { units(at.end_column) } else { units(u32::MAX) })
    }
}

/// A region on one line: 1-based, end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The line.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// One past the last column.
    pub end_column: u32,
}

impl Span {
    fn new(line: u32, column: u32, end: u32) -> Self {
        let column = column.max(1);
        Self { line: line.max(1), column, end_column: end.max(column) }
    }
}

/// What of a line is shown: at most so many characters of it, with `…` where it goes on.
#[derive(Debug, PartialEq, Eq)]
pub struct Window {
    /// The text, safe to show.
    pub text: String,
    /// Characters of the line that stand before [`Window::text`].
    skipped: usize,
    /// Byte offset in the text of each character shown, and of its end.
    offsets: Vec<usize>,
    /// Whether an ellipsis stands before the first character.
    cut: bool,
}

impl Window {
    /// The part of a line (from 0) of at most `room` characters that shows column `from` (from 0) with a little before it.
    pub fn new(file: &SourceFile, line: usize, from: usize, room: usize) -> Self {
        let range = file.line_range(line);
        let room = room.max(8);
        if !file.is_ascii() || range.len() <= 4 * room {
            return Self::of(&file.text(range), from, room);
        }
        // Of a very long line only the neighbourhood is looked at.
        let skipped = from.min(range.len()).saturating_sub(room);
        let start = range.start + skipped;
        let near = file.text(start..range.end.min(start + 4 * room));
        let window = Self::of(&near, from - skipped, room);
        Self { skipped: window.skipped + skipped, ..window }
    }

    /// The same of a line whose text is at hand.
    pub fn of(line: &str, from: usize, room: usize) -> Self {
        let fits = line.chars().nth(room).is_none();
        let skipped = if fits || from < room / 2 { 0 } else { from - room / 8 };
        let cut = skipped > 0;
        let mut text = String::from(if cut { "…" } else { "" });
        let mut offsets = vec![];
        let mut chars = line.chars().skip(skipped);
        for c in chars.by_ref().take(room) {
            offsets.push(text.len());
            text.push(visible(c));
        }
        offsets.push(text.len());
        if chars.next().is_some() {
            text.push('…');
        } else {
            // A place at the line's end, or an empty line, still needs something to stand under.
            text.push(' ');
        }
        Self { text, skipped, offsets, cut }
    }

    /// Byte range in the text of characters `columns` (from 0) of the line, as far as they are shown: never empty.
    pub fn bytes(&self, columns: Range<usize>) -> Range<usize> {
        let last = self.offsets.len() - 1;
        let at = |c: usize| match c.checked_sub(self.skipped) {
            Some(i) => self.offsets[i.min(last)],
            None => 0,
        };
        let start = at(columns.start);
        let end = at(columns.end.max(columns.start)).max(start);
        let step = self.text[start..].chars().next().map_or(0, char::len_utf8);
        let start = if step == 0 { start.saturating_sub(1) } else { start };
        start..end.max(start + step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_show_the_place_in_a_long_line() {
        let w = Window::of("abc", 1, 20);
        assert_eq!((w.text.as_str(), w.bytes(1..2), w.bytes(3..3)), ("abc ", 1..2, 3..4));
        let long: String = (0..1000).map(|i| char::from(b'a' + (i % 26) as u8)).collect();
        let w = Window::of(&long, 500, 40);
        assert_eq!(w.text, format!("…{}…", &long[495..535]));
        assert_eq!(&w.text[w.bytes(500..503)], &long[500..503]);
        assert_eq!(&w.text[w.bytes(500..900)], &long[500..535]);
        assert_eq!(&w.text[w.bytes(0..900)], &w.text[..w.text.len() - 3]);
        assert_eq!(&w.text[w.bytes(800..900)], "…");
        assert_eq!(Window::of("", 0, 20).bytes(0..0), 0..1);
    }

    #[test]
    fn columns_in_utf16_units() {
        let file = SourceFile::new("a", "# 𝄞 ü x\n");
        let mut at = file.locate(2, 6);
        assert_eq!((at.column, at.end_column), (3, 4));
        let sources = Sources([("a", &*file)].into_iter().collect());
        assert_eq!(sources.region(&at), Span { line: 1, column: 3, end_column: 5 });
        assert_eq!(sources.region_in_bytes(&at), Span { line: 1, column: 3, end_column: 7 });
        at.end_line = 9;
        assert_eq!(sources.region(&at).end_column, 9);
    }
}
