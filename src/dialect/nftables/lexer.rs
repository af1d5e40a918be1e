//! Words and signs of nft text (nft(8), "Lexical conventions"; nftables `src/scanner.l`).

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bare word, number, address or interface pattern.
    Word,
    /// `"…"`, quotes included in the span.
    Quoted,
    /// End of a line.
    Newline,
    Semicolon,
    OpenBrace,
    CloseBrace,
    OpenParen,
    CloseParen,
    OpenBracket,
    CloseBracket,
    Comma,
    Dot,
    Slash,
    Dash,
    Plus,
    Colon,
    Assign,
    Equal,
    NotEqual,
    Less,
    Greater,
    LessEqual,
    GreaterEqual,
    And,
    Or,
    Xor,
    Not,
    ShiftLeft,
    ShiftRight,
    Star,
    At,
    Dollar,
    /// A quote that is never closed on its line.
    Unterminated,
    /// A character without meaning.
    Junk,
    /// End of the text.
    End,
}

/// A token: bytes from `start` to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Cuts a byte range into tokens. Copying one is how the parser looks ahead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

// Passes over whole blocks of a plain list whose lines end in commas. Written so that the compiler looks at many bytes at once: lists of a
// million elements are skimmed before they are read.
fn plain_blocks(text: &[u8], start: usize) -> usize {
    const BLOCK: usize = 64;
    let mut at = start;
    while at > 0 && at + BLOCK <= text.len() {
        let before = &text[at - 1..at + BLOCK - 1];
        let here = &text[at..at + BLOCK];
        let plain = here.iter().zip(before).fold(true, |plain, (b, before)| {
            // From `.` to `9` there are `/` and the digits between.
            let listed = matches!(b, b'.'..=b'9' | b',' | b' ' | b'\t' | b'\n');
            plain & listed & ((*b != b'\n') | (*before == b','))
        });
        if !plain {
            break;
        }
        at += BLOCK;
    }
    at
}

// Length of a number or address with the comma behind it. A line may end before it, not in it.
fn plain_item(text: &[u8]) -> Option<usize> {
    let mut begun = false;
    for (at, b) in text.iter().enumerate() {
        match b {
            b'0'..=b'9' | b'.' | b'/' => begun = true,
            b',' => return Some(at + 1),
            b' ' | b'\t' => {}
            b'\n' if !begun => {}
            _ => return None,
        }
    }
    None
}

const fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/') || b >= 0x80
}

const fn starts_word(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

impl<'a> Lexer<'a> {
    /// A lexer for the bytes from `start` to `end` (excluded).
    pub(super) fn new(bytes: &'a [u8], start: usize, end: usize) -> Self {
        let end = end.min(bytes.len());
        Self { bytes, at: start.min(end), end }
    }

    /// Behind a comma or brace of a list: passes over numbers, addresses and commas up to the last comma of the run, the next token. Lines end
    /// only behind commas there. Stays where it is if there is no such comma.
    pub(super) fn skip_plain_list(&mut self) {
        let text = &self.bytes[..self.end];
        // From here on it is as behind a comma.
        let mut from = self.at;
        loop {
            let at = plain_blocks(text, from);
            if let Some(n) = memchr::memrchr(b',', &text[from..at]) {
                from += n + 1;
            }
            match plain_item(&text[from..]) {
                Some(n) => from += n,
                None => break,
            }
        }
        if from > self.at {
            self.at = from - 1;
        }
    }

    /// Where the text ends.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    fn peek(&self, offset: usize) -> u8 {
        if self.at + offset < self.end { self.bytes[self.at + offset] } else { 0 }
    }

    fn skip_blank(&mut self) {
        while self.at < self.end {
            match self.bytes[self.at] {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\\' if self.peek(1) == b'\n' => self.at += 2,
                b'\\' if self.peek(1) == b'\r' && self.peek(2) == b'\n' => self.at += 3,
                b'#' => {
                    let rest = &self.bytes[self.at..self.end];
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                _ => break,
            }
        }
    }

    /// The next token; [`Kind::End`] again and again at the end.
    pub(super) fn next(&mut self) -> Token {
        self.skip_blank();
        let start = self.at;
        if start >= self.end {
            return Token { kind: Kind::End, start, end: start };
        }
        let b = self.bytes[start];
        let (kind, len) = match b {
            b'0'..=b'9' => (Kind::Word, self.value()),
            b':' if self.peek(1) == b':' => (Kind::Word, self.address().unwrap_or(1)),
            b'.' if !is_word(self.peek(1)) => (Kind::Dot, 1),
            b'"' => self.quoted(),
            _ if starts_word(b) || b == b'.' => (Kind::Word, self.address().unwrap_or_else(|| self.word())),
            b'\\' if self.peek(1) == b'*' => (Kind::Word, 2),
            _ => self.sign(b),
        };
        let kind = if kind == Kind::Word && b == b':' && len == 1 { Kind::Colon } else { kind };
        self.at += len;
        Token { kind, start, end: self.at }
    }

    fn sign(&self, b: u8) -> (Kind, usize) {
        let second = self.peek(1);
        match (b, second) {
            (b'\n', _) => (Kind::Newline, 1),
            (b';', _) => (Kind::Semicolon, 1),
            (b'{', _) => (Kind::OpenBrace, 1),
            (b'}', _) => (Kind::CloseBrace, 1),
            (b'(', _) => (Kind::OpenParen, 1),
            (b')', _) => (Kind::CloseParen, 1),
            (b'[', _) => (Kind::OpenBracket, 1),
            (b']', _) => (Kind::CloseBracket, 1),
            (b',', _) => (Kind::Comma, 1),
            (b'/', _) => (Kind::Slash, 1),
            (b'-', _) => (Kind::Dash, 1),
            (b'+', _) => (Kind::Plus, 1),
            (b':', _) => (Kind::Colon, 1),
            (b'=', b'=') => (Kind::Equal, 2),
            (b'=', _) => (Kind::Assign, 1),
            (b'!', b'=') => (Kind::NotEqual, 2),
            (b'!', _) => (Kind::Not, 1),
            (b'<', b'=') => (Kind::LessEqual, 2),
            (b'>', b'=') => (Kind::GreaterEqual, 2),
            (b'<', b'<') => (Kind::ShiftLeft, 2),
            (b'>', b'>') => (Kind::ShiftRight, 2),
            (b'<', _) => (Kind::Less, 1),
            (b'>', _) => (Kind::Greater, 1),
            (b'&', _) => (Kind::And, 1),
            (b'|', _) => (Kind::Or, 1),
            (b'^', _) => (Kind::Xor, 1),
            (b'*', _) => (Kind::Star, 1),
            (b'@', _) => (Kind::At, 1),
            (b'$', _) => (Kind::Dollar, 1),
            _ => (Kind::Junk, 1),
        }
    }

    fn quoted(&self) -> (Kind, usize) {
        let rest = &self.bytes[self.at + 1..self.end];
        match memchr::memchr2(b'"', b'\n', rest) {
            Some(i) if rest[i] == b'"' => (Kind::Quoted, i + 2),
            Some(i) => (Kind::Unterminated, i + 1),
            None => (Kind::Unterminated, rest.len() + 1),
        }
    }

    // A word that begins with a letter; a final `*` makes it a pattern, `\*` is a literal star.
    fn word(&self) -> usize {
        let mut n = 1;
        loop {
            match self.peek(n) {
                0 => break,
                b if is_word(b) => n += 1,
                b'*' => return n + 1,
                b'\\' if self.peek(n + 1) == b'*' => n += 2,
                _ => break,
            }
        }
        n
    }

    // A number, an IPv4 address, a time, or anything of colons.
    fn value(&self) -> usize {
        if let Some(n) = self.address() {
            return n;
        }
        let mut n = 1;
        while self.peek(n).is_ascii_alphanumeric() || matches!(self.peek(n), b'_' | b'.') {
            n += 1;
        }
        while n > 1 && self.peek(n - 1) == b'.' {
            n -= 1;
        }
        n
    }

    // IPv6 addresses, hardware addresses and class ids: the longest run of hexadecimal digits, colons and dots that is one.
    fn address(&self) -> Option<usize> {
        let mut n = 0;
        let mut colons = 0;
        loop {
            match self.peek(n) {
                b':' => colons += 1,
                b'.' => {}
                b if b.is_ascii_hexdigit() => {}
                _ => break,
            }
            n += 1;
            if n > 64 {
                return None;
            }
        }
        if colons == 0 {
            return None;
        }
        while n > 0 {
            let next = self.peek(n);
            if !(next.is_ascii_alphanumeric() || next == b'_')
                && std::str::from_utf8(&self.bytes[self.at..self.at + n]).is_ok_and(is_colon_value)
            {
                return Some(n);
            }
            n -= 1;
            while n > 0 && self.peek(n) != b':' {
                n -= 1;
            }
        }
        None
    }
}

fn is_colon_value(text: &str) -> bool {
    if text.parse::<std::net::Ipv6Addr>().is_ok() || crate::packet::parse_mac(text).is_some() {
        return true;
    }
    let mut parts = text.split(':');
    let hex = |p: Option<&str>| p.is_some_and(|p| (1..=4).contains(&p.len()));
    hex(parts.next()) && hex(parts.next()) && parts.next().is_none() && !text.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let mut lexer = Lexer::new(text.as_bytes(), 0, text.len());
        let mut out = Vec::new();
        loop {
            let t = lexer.next();
            if t.kind == Kind::End {
                return out;
            }
            out.push(&text[t.start..t.end]);
        }
    }

    #[test]
    fn words_are_nfts() {
        for (text, expected) in [
            ("tcp dport ssh-100", vec!["tcp", "dport", "ssh-100"]),
            ("{25:accept, 28:drop}", vec!["{", "25", ":", "accept", ",", "28", ":", "drop", "}"]),
            ("fe80::/10 ::1", vec!["fe80::", "/", "10", "::1"]),
            ("00:0f:54:0c:11:4 accept", vec!["00:0f:54:0c:11:4", "accept"]),
            ("1.1.1.1 . 22-80", vec!["1.1.1.1", ".", "22", "-", "80"]),
            ("[2001:db8::1]:80", vec!["[", "2001:db8::1", "]", ":", "80"]),
            ("10.0.0.1:8080", vec!["10.0.0.1", ":", "8080"]),
            ("iifname eth* # note", vec!["iifname", "eth*"]),
            ("meta priority bcad:dadc", vec!["meta", "priority", "bcad:dadc"]),
            ("a \\\n b", vec!["a", "b"]),
            ("\"a b\" 1h30m 0x1f", vec!["\"a b\"", "1h30m", "0x1f"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn an_open_quote_ends_with_its_line() {
        let mut lexer = Lexer::new(b"\"abc\nx", 0, 6);
        assert_eq!(lexer.next().kind, Kind::Unterminated);
        assert_eq!(lexer.next().kind, Kind::Newline);
    }

    // What `skip_plain_list` promises, byte by byte.
    fn skipped(text: &[u8], start: usize) -> usize {
        let (mut comma, mut newlines_allowed) = (None, true);
        for (at, b) in text.iter().enumerate().skip(start) {
            match b {
                b'0'..=b'9' | b'.' | b'/' => newlines_allowed = false,
                b',' => (comma, newlines_allowed) = (Some(at), true),
                b' ' | b'\t' => {}
                b'\n' if newlines_allowed => {}
                _ => break,
            }
        }
        comma.unwrap_or(start)
    }

    #[test]
    fn plain_lists_are_passed_over_up_to_their_last_comma() {
        const ENDS: [&str; 8] = [",\n\t\t", ", ", ",", " ,\n", "\n,", ",\n\n", "}", "-"];
        let mut n = 1u64;
        let mut below = |limit: usize| {
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (n >> 33) as usize % limit
        };
        let mut passed = 0;
        for odd in [1, 2, 30, 300] {
            for _ in 0..500 {
                let mut text = String::from("{");
                for _ in 0..below(60) {
                    let end = if below(odd) == 0 { ENDS[below(ENDS.len())] } else { ENDS[below(3)] };
                    text += &format!("10.{}.0.{}/{}{end}", below(256), below(256), below(33));
                }
                for start in [1, text.len() / 2, text.len()] {
                    let mut lexer = Lexer::new(text.as_bytes(), start, text.len());
                    lexer.skip_plain_list();
                    assert_eq!(lexer.at, skipped(text.as_bytes(), start), "{text:?} from {start}");
                    passed += lexer.at - start;
                }
            }
        }
        assert!(passed > 500_000);
    }
}
