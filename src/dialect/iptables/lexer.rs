//! Lines and words of a restore file, as `iptables-restore` splits them (iptables 1.8.9, `xshared.c`: `add_param_to_argv`).

use memchr::memchr;

/// The longest line that `iptables-restore` reads, in bytes with its line end (`char buffer[10240]`, `fgets`).
pub(super) const MAX_LINE: usize = 10_239;

/// The most words that a line may have (`MAX_ARGC`).
pub(super) const MAX_WORDS: usize = 255;

/// The longest name of a chain, in bytes (`XT_EXTENSION_MAXNAMELEN` − 1).
pub(super) const MAX_CHAIN_NAME: usize = 28;

/// A line: where it starts, where its text ends, where the next one starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub start: usize,
    /// Without `\n` and without a `\r` before it.
    pub end: usize,
    pub next: usize,
}

/// Lines of `bytes` from an offset on.
#[derive(Debug, Clone)]
pub(super) struct Lines<'f> {
    bytes: &'f [u8],
    at: usize,
}

impl<'f> Lines<'f> {
    pub(super) fn new(bytes: &'f [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The same from an offset on.
    pub(super) fn from(self, at: usize) -> Self {
        Self { at, ..self }
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    #[inline]
    fn next(&mut self) -> Option<Line> {
        let start = self.at;
        let rest = self.bytes.get(start..).filter(|r| !r.is_empty())?;
        let (mut end, next) = match memchr(b'\n', rest) {
            Some(n) => (start + n, start + n + 1),
            None => (self.bytes.len(), self.bytes.len()),
        };
        if end > start && self.bytes[end - 1] == b'\r' {
            end -= 1;
        }
        self.at = next;
        Some(Line { start, end, next })
    }
}

/// A word of a line: its place in the file, and its text, which stands there too unless quotes had to be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    /// First byte in the file, with a quote.
    pub start: u32,
    /// One past the last byte in the file, with a quote.
    pub end: u32,
    // The text: a range of the file, or of `Words::unquoted` if `quoted`.
    from: u32,
    to: u32,
    quoted: bool,
}

/// The words of one line at a time; buffers are reused.
#[derive(Debug)]
pub(super) struct Words<'f> {
    bytes: &'f [u8],
    list: Vec<Word>,
    unquoted: Vec<u8>,
    /// Where a quote was opened that the line does not close.
    pub open_quote: Option<usize>,
}

/// A line with more than [`MAX_WORDS`] words; holds the place of the first one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManyWords(pub usize);

impl<'f> Words<'f> {
    pub(super) fn new(bytes: &'f [u8]) -> Self {
        Self { bytes, list: Vec::with_capacity(64), unquoted: Vec::new(), open_quote: None }
    }

    /// The whole file.
    pub(super) fn bytes(&self) -> &'f [u8] {
        self.bytes
    }

    /// Number of words.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// A word.
    pub(super) fn word(&self, i: usize) -> Word {
        self.list[i]
    }

    /// The text of a word, without quotes.
    #[inline]
    pub(super) fn text(&self, i: usize) -> &[u8] {
        let w = &self.list[i];
        if w.quoted {
            &self.unquoted[w.from as usize..w.to as usize]
        } else {
            &self.bytes[w.from as usize..w.to as usize]
        }
    }

    /// The text of a word where it stands in the file as it is: it lives as long as the file.
    #[inline]
    pub(super) fn lasting(&self, i: usize) -> Option<&'f [u8]> {
        let w = &self.list[i];
        (!w.quoted).then(|| &self.bytes[w.from as usize..w.to as usize])
    }

    /// The text of a word for people.
    pub(super) fn shown(&self, i: usize) -> String {
        String::from_utf8_lossy(self.text(i)).into_owned()
    }

    /// Adds the part of word `i` from byte `skip` of its text on as a word of its own (`--dport=22`) and gives its index.
    pub(super) fn tail(&mut self, i: usize, skip: usize) -> usize {
        let mut w = self.list[i];
        w.from += skip as u32;
        if !w.quoted {
            w.start = w.from;
        }
        self.list.push(w);
        self.list.len() - 1
    }

    /// Splits `start..end` of the file into words.
    #[inline]
    pub(super) fn split(&mut self, start: usize, end: usize) -> Result<(), TooManyWords> {
        self.list.clear();
        self.unquoted.clear();
        self.open_quote = None;
        let bytes = &self.bytes[..end];
        let mut at = start;
        loop {
            while at < end && is_blank(bytes[at]) {
                at += 1;
            }
            if at == end {
                return Ok(());
            }
            if self.list.len() == MAX_WORDS {
                return Err(TooManyWords(at));
            }
            let from = at;
            while at < end && !is_blank(bytes[at]) && bytes[at] != b'"' {
                at += 1;
            }
            if at < end && bytes[at] == b'"' {
                at = self.quoted(from, at, end);
            } else {
                let (from, to) = (from as u32, at as u32);
                self.list.push(Word { start: from, end: to, from, to, quoted: false });
            }
        }
    }

    // A word with its first quote at `quote`. A closing quote ends the word.
    fn quoted(&mut self, start: usize, quote: usize, end: usize) -> usize {
        let from = self.unquoted.len();
        self.unquoted.extend_from_slice(&self.bytes[start..quote]);
        let mut at = quote + 1;
        let mut closed = false;
        while at < end {
            let mut b = self.bytes[at];
            at += 1;
            if b == b'"' {
                closed = true;
                break;
            }
            if b == b'\\' && at < end {
                b = self.bytes[at];
                at += 1;
            }
            self.unquoted.push(b);
        }
        if !closed {
            self.open_quote = Some(quote);
        }
        self.list.push(Word {
            start: start as u32,
            end: at as u32,
            from: from as u32,
            to: self.unquoted.len() as u32,
            quoted: true,
        });
        at
    }
}

/// What separates words.
#[inline]
pub(super) const fn is_blank(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut w = Words::new(text.as_bytes());
        w.split(0, text.len()).unwrap();
        (0..w.len()).map(|i| w.shown(i)).collect()
    }

    #[test]
    fn only_double_quotes_quote() {
        assert_eq!(words(r#"-m comment  --comment "a b""#), ["-m", "comment", "--comment", "a b"]);
        assert_eq!(words(r"a\ b 'c d'"), ["a\\", "b", "'c", "d'"]);
        assert_eq!(words(r#""a\"b\\c\d""#), [r#"a"b\cd"#]);
    }

    #[test]
    fn a_closing_quote_ends_the_word() {
        assert_eq!(words(r#"ab"c d" e"#), ["abc d", "e"]);
        assert_eq!(words(r#""ab"-j"#), ["ab", "-j"]);
        assert_eq!(words(r#"--comment "" -j"#), ["--comment", "", "-j"]);
    }

    #[test]
    fn an_open_quote_is_noticed() {
        let text = r#"--comment "abc -j ACCEPT"#;
        let mut w = Words::new(text.as_bytes());
        w.split(0, text.len()).unwrap();
        assert_eq!((w.len(), w.open_quote), (2, Some(10)));
    }

    #[test]
    fn lines_with_either_end() {
        let ends: Vec<_> = Lines::new(b"a\r\n\nbc").map(|l| (l.start, l.end)).collect();
        assert_eq!(ends, [(0, 1), (3, 3), (4, 6)]);
    }
}
