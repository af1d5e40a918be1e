//! GitHub's own line hash, by which code scanning recognises an alert again after a file was edited
//! (`primaryLocationLineHash`; github/codeql-action, `fingerprints.ts`). The action computes it itself and warns of every result that
//! says otherwise, so it must agree to the bit.
//!
//! The hash of a line is taken over the 100 UTF-16 units that begin with it, blanks and tabs left out and line ends counted as one LF; the
//! file ends with the unit 65535, and zeros follow. It is the polynomial of the units in 37, modulo 2^64, in lower-case hexadecimal,
//! followed by `:n` for the n-th line of the file with that hash.

use rustc_hash::FxHashMap;

const WINDOW: usize = 100;
const BASE: u64 = 37;
const END_OF_FILE: u16 = 65535;
const BLANK: u16 = b' ' as u16;
const TAB: u16 = b'\t' as u16;
const LF: u16 = b'\n' as u16;
const CR: u16 = b'\r' as u16;

/// Hashes of the lines (from 1) that `wanted` holds, as [`line`](FxHashMap) → `hash:n`. Takes one pass over the whole file, since the
/// lines before a line decide its `n`.
pub fn line_hashes(bytes: &[u8], wanted: impl Fn(u32) -> bool) -> FxHashMap<u32, String> {
    let mut it = Hasher::new(wanted);
    for chunk in bytes.utf8_chunks() {
        for unit in chunk.valid().encode_utf16() {
            it.read(unit);
        }
        if !chunk.invalid().is_empty() {
            it.read(char::REPLACEMENT_CHARACTER as u16);
        }
    }
    it.finish()
}

struct Hasher<F> {
    wanted: F,
    /// The last units, in a ring.
    window: [u16; WINDOW],
    /// For each unit of the ring the line that begins with it; 0 = none does.
    starts: [u32; WINDOW],
    at: usize,
    hash: u64,
    /// 37^100: takes the oldest unit out of the hash.
    oldest: u64,
    line: u32,
    line_begins: bool,
    after_cr: bool,
    seen: FxHashMap<u64, u32>,
    out: FxHashMap<u32, String>,
}

impl<F: Fn(u32) -> bool> Hasher<F> {
    fn new(wanted: F) -> Self {
        Self {
            wanted,
            window: [0; WINDOW],
            starts: [0; WINDOW],
            at: 0,
            hash: 0,
            oldest: (0..WINDOW).fold(1, |p: u64, _| p.wrapping_mul(BASE)),
            line: 0,
            line_begins: true,
            after_cr: false,
            seen: FxHashMap::default(),
            out: FxHashMap::default(),
        }
    }

    fn read(&mut self, unit: u16) {
        let second_of_crlf = self.after_cr && unit == LF;
        self.after_cr = unit == CR;
        if unit == BLANK || unit == TAB || second_of_crlf {
            return;
        }
        let unit = if unit == CR { LF } else { unit };
        self.emit();
        if self.line_begins {
            self.line += 1;
            self.starts[self.at] = self.line;
        }
        self.line_begins = unit == LF;
        self.push(unit);
    }

    /// Notes the hash of the line whose first unit is about to leave the window, if one is.
    fn emit(&mut self) {
        let line = std::mem::take(&mut self.starts[self.at]);
        if line > 0 {
            let n = self.seen.entry(self.hash).or_insert(0);
            *n += 1;
            if (self.wanted)(line) {
                self.out.insert(line, format!("{:x}:{n}", self.hash));
            }
        }
    }

    fn push(&mut self, unit: u16) {
        let leaving = std::mem::replace(&mut self.window[self.at], unit);
        self.hash = self
            .hash
            .wrapping_mul(BASE)
            .wrapping_add(unit.into())
            .wrapping_sub(self.oldest.wrapping_mul(leaving.into()));
        self.at = (self.at + 1) % WINDOW;
    }

    fn finish(mut self) -> FxHashMap<u32, String> {
        self.read(END_OF_FILE);
        for _ in 0..WINDOW {
            self.emit();
            self.push(0);
        }
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::line_hashes;

    fn hashes(text: &str) -> Vec<String> {
        let mut all: Vec<_> = line_hashes(text.as_bytes(), |_| true).into_iter().collect();
        all.sort();
        assert!(all.iter().enumerate().all(|(i, (line, _))| *line as usize == i + 1));
        all.into_iter().map(|(_, hash)| hash).collect()
    }

    /// The vectors that github/codeql-action publishes in `fingerprints.test.ts`.
    #[test]
    fn github_s_published_vectors() {
        assert_eq!(hashes(""), ["c129715d7a2bc9a3:1"]);
        assert_eq!(
            hashes(" a\nb\n  \t\tc\n d"),
            ["271789c17abda88f:1", "54703d4cd895b18:1", "180aee12dab6264:1", "a23a3dc5e078b07b:1"]
        );
        assert_eq!(
            hashes(" hello; \t\nworld!!!\n\n\n  \t\tGreetings\n End"),
            [
                "8b7cf3e952e7aeb2:1",
                "b1ae1287ec4718d9:1",
                "bff680108adb0fcc:1",
                "c6805c5e1288b612:1",
                "b86d3392aea1be30:1",
                "e6ceba753e1a442:1"
            ]
        );
        for text in [
            " hello; \t\nworld!!!\n\n\n  \t\tGreetings\n End\n",
            " hello; \t\nworld!!!\r\r\r  \t\tGreetings\r End\r",
            " hello; \t\r\nworld!!!\r\n\r\n\r\n  \t\tGreetings\r\n End\r\n",
            " hello; \t\nworld!!!\r\n\n\r  \t\tGreetings\r End\r\n",
        ] {
            assert_eq!(
                hashes(text),
                [
                    "e9496ae3ebfced30:1",
                    "fb7c023a8b9ccb3f:1",
                    "ce8ba1a563dcdaca:1",
                    "e20e36e16fcb0cc8:1",
                    "b3edc88f2938467e:1",
                    "c8e28b0b4002a3a0:1",
                    "c129715d7a2bc9a3:1"
                ]
            );
        }
        assert_eq!(
            hashes(&"Lorem ipsum dolor sit amet.\n".repeat(10)),
            [
                "a7f2ff13bc495cf2:1",
                "a7f2ff13bc495cf2:2",
                "a7f2ff13bc495cf2:3",
                "a7f2ff13bc495cf2:4",
                "a7f2ff13bc495cf2:5",
                "a7f2ff13bc495cf2:6",
                "a7f2ff1481e87703:1",
                "a9cf91f7bbf1862b:1",
                "55ec222b86bcae53:1",
                "cc97dc7b1d7d8f7b:1",
                "c129715d7a2bc9a3:1"
            ]
        );
    }

    #[test]
    fn bytes_that_are_no_text_count_as_the_replacement_character() {
        assert_eq!(line_hashes(b"a\xffb\n", |_| true), line_hashes("a\u{fffd}b\n".as_bytes(), |_| true));
    }
}
