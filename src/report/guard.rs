//! The last thing that text passes on its way out: whatever a format wrote, a build server that keeps it in its log finds no command in it,
//! and a terminal nothing to obey.
//!
//! Formats clean what they take from files ([`super::text::clean`]); this guard stands behind them all, so that one place forgotten harms
//! nobody. A line that begins with `::` after blanks is a command to GitHub's runner (`::stop-commands::`), and so is `##[` anywhere in a line
//! (`ActionCommand.cs`: `TryParseV2`, `TryParse`); Azure's agent and TeamCity read `##vso[` and `##teamcity[`.

use super::text::visible;
use std::borrow::Cow;
use std::io::{self, Write};
use unicode_width::UnicodeWidthChar;

/// How the first character of a command is written so that it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// As a character that looks alike and is as wide: U+2236 and U+266F.
    Text,
    /// As a character reference of XML and HTML, which means the same.
    Markup,
}

impl Spelling {
    const fn colon(self) -> &'static str {
        match self {
            Spelling::Text => "\u{2236}",
            Spelling::Markup => "&#58;",
        }
    }

    const fn hash(self) -> &'static str {
        match self {
            Spelling::Text => "\u{266f}",
            Spelling::Markup => "&#35;",
        }
    }
}

/// Writes through the guard. `color` lets colours and hyperlinks pass.
///
/// # Errors
/// Whatever writing gives.
pub fn guarded(
    out: &mut dyn Write,
    spelling: Spelling,
    color: bool,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut lines = Lines { out, spelling, color, line: Vec::new() };
    let written = write(&mut lines);
    let rest = std::mem::take(&mut lines.line);
    lines.pass(&rest)?;
    written
}

/// Holds back what was written of a line until it is whole.
struct Lines<'a> {
    out: &'a mut dyn Write,
    spelling: Spelling,
    color: bool,
    line: Vec<u8>,
}

impl Lines<'_> {
    fn pass(&mut self, line: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(line);
        self.out.write_all(harmless(&text, self.spelling, self.color).as_bytes())
    }
}

impl Write for Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.pass(&line[..line.len() - 1])?;
                self.out.write_all(b"\n")?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A line that is not whole yet cannot be judged.
        self.out.flush()
    }
}

/// One line without what a terminal or a build server would obey.
pub fn harmless(line: &str, spelling: Spelling, color: bool) -> Cow<'_, str> {
    let shown = |(at, c): (usize, char)| match c {
        '\x1b' if color && is_ours(&line[at..]) => c,
        // Keeps Markdown from calling people by name; without width and direction it does no harm.
        '\u{2060}' => c,
        c => visible(c),
    };
    let line = match line.char_indices().all(|(at, c)| shown((at, c)) == c) {
        true => Cow::Borrowed(line),
        false => Cow::Owned(line.char_indices().map(shown).collect()),
    };
    let commands = commands(&line);
    if commands.is_empty() {
        return line;
    }
    let mut out = String::with_capacity(line.len() + 8 * commands.len());
    let mut done = 0;
    for at in commands {
        out += &line[done..at];
        out += if line[at..].starts_with(':') { spelling.colon() } else { spelling.hash() };
        done = at + 1;
    }
    out += &line[done..];
    Cow::Owned(out)
}

/// Whether an escape sequence is one of those that reports use: colours, and both ends of a hyperlink.
fn is_ours(text: &str) -> bool {
    let color =
        text.strip_prefix("\x1b[").map(|t| t.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';'));
    color.is_some_and(|t| t.starts_with('m')) || text.starts_with("\x1b]8;;") || text.starts_with("\x1b\\")
}

/// Where in a line a character stands without which nothing in it is a command.
pub(super) fn commands(line: &str) -> Vec<usize> {
    let mut out = Vec::new();
    if !line.contains(['#', ':']) {
        return out;
    }
    // Runners compare as people read: what has no width does not count.
    let counts = |c: &(usize, char)| c.1.width() != Some(0);
    let begun = |c: &(usize, char)| c.1.is_whitespace();
    let mut first = uncoloured(line).filter(counts).skip_while(begun);
    if let (Some((at, ':')), Some((_, ':'))) = (first.next(), first.next()) {
        out.push(at);
    }
    // `##`, perhaps a word, `[`: the last `#` goes.
    let (mut hashes, mut last, mut word) = (0, 0, false);
    for (at, c) in line.char_indices().filter(counts) {
        match c {
            '#' => {
                hashes = if word { 1 } else { hashes + 1 };
                (last, word) = (at, false);
            }
            c if hashes > 1 && c.is_ascii_alphabetic() => word = true,
            c => {
                if c == '[' && hashes > 1 {
                    out.push(last);
                }
                (hashes, word) = (0, false);
            }
        }
    }
    out
}

/// The characters of a line without the colours that it begins with.
fn uncoloured(line: &str) -> impl Iterator<Item = (usize, char)> {
    let mut inside = false;
    line.char_indices().filter(move |(_, c)| {
        let skip = inside || *c == '\x1b';
        inside = skip && !(inside && c.is_ascii_alphabetic());
        !skip
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_a_command() {
        let text = |line: &str| harmless(line, Spelling::Text, false).into_owned();
        assert_eq!(text("::stop-commands::x"), "\u{2236}:stop-commands::x");
        assert_eq!(text("  \u{a0}::error::x ::y"), "  \u{a0}\u{2236}:error::x ::y");
        assert_eq!(text("a ::error::x"), "a ::error::x");
        assert_eq!(text(": :x"), ": :x");
        assert_eq!(text("a ##[error]b ###[c] ##vso[task] # #[x]"), "a #♯[error]b ##♯[c] #♯vso[task] # #[x]");
        assert_eq!(text("#\u{301}#[error]"), "#\u{301}♯[error]");
        assert_eq!(text("## [x] ##a b[ #[x]"), "## [x] ##a b[ #[x]");
        assert_eq!(harmless(" ::x##[y", Spelling::Markup, false), " &#58;:x#&#35;[y");
        assert_eq!(harmless("\x1b[1;36m::x\x1b[0m", Spelling::Text, true), "\x1b[1;36m\u{2236}:x\x1b[0m");
        assert!(matches!(harmless("-A INPUT # a::b", Spelling::Text, false), Cow::Borrowed(_)));
    }

    #[test]
    fn a_terminal_gets_nothing_to_obey() {
        let text = "a\x1b[2J\r\u{202e}b\tc\x1b[1;31md\x1b]8;;u\x1b\\\x1b]0;t\x07";
        assert_eq!(harmless(text, Spelling::Text, true), "a␛[2J␍\u{fffd}b c\x1b[1;31md\x1b]8;;u\x1b\\␛]0;t␇");
        assert!(!harmless(text, Spelling::Text, false).contains('\x1b'));
    }

    #[test]
    fn lines_written_in_pieces_are_whole_lines() {
        let mut out = Vec::new();
        guarded(&mut out, Spelling::Text, false, |out| {
            for piece in ["a\n ", ":", ":x\n\n#", "#", "[y]"] {
                out.write_all(piece.as_bytes())?;
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a\n \u{2236}:x\n\n#♯[y]");
    }
}
