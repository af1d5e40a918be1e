//! Text that goes to people: cleaned of what a terminal would obey, coloured, wrapped, cut.
//!
//! Lines are broken by textwrap, colours are anstyle's. Cleaning is our own: libraries that strip escape sequences take away what a reader
//! of a hostile comment should see, and leave the characters that turn the direction of writing.

use crate::finding::Severity;
use anstyle::{AnsiColor, Style as Sgr};
use std::borrow::Cow;
use textwrap::core::Word;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns of a report that does not go to a terminal.
pub const DEFAULT_WIDTH: usize = 110;

/// Makes text from a file safe to show on one line: control characters become their pictures (ESC becomes `␛`), characters
/// that turn the direction of writing or have no width become U+FFFD, a tab becomes a blank. Whoever writes a comment into a
/// dump must not be able to command the terminal, the log or the page that shows it.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| visible(c) == c) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(visible).collect())
}

/// The character to show for `c`; `c` itself where it is harmless.
pub fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        // Unicode's control pictures stand in the order of the control characters.
        '\0'..='\x1f' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
        '\x7f' => '\u{2421}',
        '\u{80}'..='\u{9f}' => '\u{fffd}',
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}'
        // No characters, nor allowed in XML 1.0.
        | '\u{fffe}'..='\u{ffff}'
        | '\u{e0000}'..='\u{e0fff}' => '\u{fffd}',
        _ => c,
    }
}

/// Columns that a text takes on a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Pads a text with blanks on the right to `columns`.
pub fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Cuts a text to at most `columns`, with `…` at the end of one that was longer.
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut room = columns.saturating_sub(1);
    let kept: String = text
        .chars()
        .take_while(|c| {
            let w = c.width().unwrap_or(0);
            let fits = w <= room;
            room = room.saturating_sub(w);
            fits
        })
        .collect();
    Cow::Owned(kept + "…")
}

/// Cuts a text to at most `columns` from its left, with `…` at the beginning of one that was longer: of a long path the end tells more.
pub fn cut_left(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut room = columns.saturating_sub(1);
    let fits = |c: &char| {
        let w = width(c.encode_utf8(&mut [0; 4]));
        let fits = w <= room;
        room = room.saturating_sub(w);
        fits
    };
    let kept: Vec<char> = text.chars().rev().take_while(fits).collect();
    format!("…{}", kept.into_iter().rev().collect::<String>())
}

/// Breaks a text at blanks into lines of at most `columns`; a longer word stays whole, so that it can be copied. No line but the
/// first begins with `::`: build servers take such a line for a command, however far it is indented.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let options = Options::new(columns)
        .break_words(false)
        .word_separator(WordSeparator::Custom(words))
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    textwrap::wrap(&text, options).into_iter().map(Cow::into_owned).collect()
}

/// The words of a text without line ends; what begins with `::` belongs to the word before it.
fn words(text: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let mut rest = text;
    Box::new(std::iter::from_fn(move || {
        let ends = rest.match_indices(' ').map(|(at, _)| at + 1).find(|at| !rest[*at..].starts_with("::"));
        let (word, after) = rest.split_at(ends.unwrap_or(rest.len()));
        rest = after;
        (!word.is_empty()).then(|| Word::from(word))
    }))
}

/// `1 rule`, `2 rules`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{} {noun}{}", thousands(n as u64), if n == 1 { "" } else { "s" })
}

/// A number with its thousands set off by narrow blanks: `81 204`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) && digits.len() > 4 {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    out
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    /// Whether to write escape sequences at all.
    pub color: bool,
}

/// What is to be set off, and how, in the sixteen colours that a terminal's own theme decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Violated, errors.
    Red,
    /// Undecided, warnings.
    Yellow,
    /// Met, text to add.
    Green,
    /// Notes, links.
    Cyan,
    /// Headings.
    Bold,
    /// What matters less.
    Dim,
}

/// The colour of a level.
pub const fn level_ink(level: Severity) -> Ink {
    match level {
        Severity::Error => Ink::Red,
        Severity::Warning => Ink::Yellow,
        Severity::Note => Ink::Cyan,
    }
}

impl Ink {
    const fn style(self) -> Sgr {
        match self {
            Ink::Red => AnsiColor::Red.on_default().bold(),
            Ink::Yellow => AnsiColor::Yellow.on_default().bold(),
            Ink::Green => AnsiColor::Green.on_default(),
            Ink::Cyan => AnsiColor::Cyan.on_default(),
            Ink::Bold => Sgr::new().bold(),
            Ink::Dim => Sgr::new().dimmed(),
        }
    }
}

impl Paint {
    /// The text in that colour.
    pub fn ink(self, ink: Ink, text: &str) -> String {
        let style = ink.style();
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// A text that leads to an address when a terminal knows hyperlinks (OSC 8); the bare text otherwise.
pub fn link(links: bool, url: &str, text: &str) -> String {
    if links && !url.is_empty() {
        format!("\x1b]8;;{url}\x1b\\{text}\x1b]8;;\x1b\\")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_comes_through() {
        assert_eq!(clean("a\x1b[31mred\x07\u{9b}2J\u{202e}x\tz"), "a␛[31mred␇\u{fffd}2J\u{fffd}x z");
        assert!(matches!(clean("plain – ünïcode 漢"), Cow::Borrowed(_)));
        for c in (0..0x3000).filter_map(char::from_u32) {
            assert!(!visible(c).is_control(), "{c:?}");
        }
    }

    #[test]
    fn widths() {
        assert_eq!(cut("漢字漢字", 5), "漢字…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(pad("漢", 4), "漢  ");
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("anextremelylongword x", 4), ["anextremelylongword", "x"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("a ::error::b", 4), ["a ::error::b"]);
        assert_eq!(wrap("a  ::b ::c d ::e", 3), ["a ::b ::c", "d ::e"]);
        assert_eq!(thousands(1234), "1234");
        assert_eq!(thousands(1234567), "1\u{202f}234\u{202f}567");
    }
}
