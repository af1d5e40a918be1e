//! From text to the tree.

use super::{Document, Kind, MAX_DEPTH, MAX_PROBLEMS, Node, Problem, unread};
use memchr::memchr2;
use rustc_hash::FxHasher;
use std::borrow::Cow;
use std::hash::Hasher;
use std::ops::Range;

pub(super) fn unescape(inner: &[u8]) -> String {
    let text = String::from_utf8_lossy(inner);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let mut code = hex4(rest.as_str());
                let mut used = 4;
                if let Some(high @ 0xd800..=0xdbff) = code
                    && let Some(low @ 0xdc00..=0xdfff) = hex4(rest.as_str().get(6..).unwrap_or(""))
                    && rest.as_str().get(4..6) == Some("\\u")
                {
                    code = Some(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
                    used = 10;
                }
                if code.is_some() {
                    rest = rest.as_str()[used..].chars();
                }
                out.push(code.and_then(char::from_u32).unwrap_or('\u{fffd}'));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// Writes a string of JSON; whether it needed escapes.
pub(super) fn escape(text: &str, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    out.push(b'"');
    for b in text.bytes() {
        match b {
            b'"' | b'\\' => out.extend([b'\\', b]),
            b'\n' => out.extend(b"\\n"),
            b'\t' => out.extend(b"\\t"),
            0..0x20 => out.extend(format!("\\u{b:04x}").bytes()),
            _ => out.push(b),
        }
    }
    out.push(b'"');
    out.len() - before != text.len() + 2
}

fn hex4(text: &str) -> Option<u32> {
    let digits = text.get(..4)?;
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

// A container that is being read.
struct Frame {
    node: u32,
    // Where its keys begin in `Parser::keys`.
    keys: usize,
    object: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    // A value, or (only at the beginning of an array) its end.
    ValueOrEnd,
    Value,
    KeyOrEnd,
    Key,
    Colon,
    CommaOrEnd,
}

pub(super) struct Parser<'t> {
    text: &'t [u8],
    at: usize,
    nodes: Vec<Node>,
    frames: Vec<Frame>,
    // Hash and node of every key of the open objects.
    keys: Vec<(u64, u32)>,
    problems: Vec<Problem>,
    duplicates: Vec<Range<usize>>,
}

// The text cannot be read on from here.
struct Stop;

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        let at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Self {
            text,
            at,
            nodes: Vec::with_capacity(text.len() / 16),
            frames: Vec::new(),
            keys: Vec::new(),
            problems: Vec::new(),
            duplicates: Vec::new(),
        }
    }

    pub(super) fn run(mut self, stream: bool) -> Document<'t> {
        loop {
            self.blank();
            let first = self.nodes.is_empty();
            match self.peek() {
                None if first => {
                    self.problem(self.at..self.at, "the file is empty", "a JSON value is expected")
                }
                None => break,
                Some(_) if !first && !stream => {
                    self.problem(self.at..self.at + 1, "there is text behind the end of the JSON value", "");
                    break;
                }
                Some(_) => {}
            }
            if self.peek().is_none() || self.value().is_err() {
                break;
            }
        }
        self.abandon();
        self.problems.sort_by_key(|p| p.span.start);
        self.duplicates.sort_by_key(|s| s.start);
        Document {
            text: Cow::Borrowed(self.text),
            notes: unread::notes(self.nodes.len()),
            nodes: self.nodes,
            places: None,
            problems: self.problems,
            duplicates: self.duplicates,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn problem(&mut self, span: Range<usize>, message: impl Into<String>, help: &str) {
        if self.problems.len() < MAX_PROBLEMS {
            let span = span.start.min(self.text.len())..span.end.min(self.text.len());
            self.problems.push(Problem { message: message.into(), help: help.to_owned(), span });
        }
    }

    // One value with all that is in it.
    fn value(&mut self) -> Result<(), Stop> {
        let depth = self.frames.len();
        let mut expect = Expect::Value;
        loop {
            self.blank();
            let Some(b) = self.peek() else {
                self.unfinished();
                return Err(Stop);
            };
            expect = match (expect, b) {
                (Expect::ValueOrEnd | Expect::CommaOrEnd, b']')
                | (Expect::KeyOrEnd | Expect::CommaOrEnd, b'}') => {
                    self.close(b)?;
                    Expect::CommaOrEnd
                }
                (Expect::Value | Expect::ValueOrEnd, b'{' | b'[') => self.open(b == b'{')?,
                (Expect::Value | Expect::ValueOrEnd, _) => {
                    self.scalar(b)?;
                    Expect::CommaOrEnd
                }
                (Expect::Key | Expect::KeyOrEnd, b'"') => {
                    self.key()?;
                    Expect::Colon
                }
                (Expect::Key | Expect::KeyOrEnd, _) => self.no_key(b)?,
                (Expect::Colon, b':') => {
                    self.at += 1;
                    Expect::Value
                }
                (Expect::Colon, _) => {
                    self.problem(self.at..self.at + 1, "a `:` is missing between a key and its value", "");
                    Expect::Value
                }
                (Expect::CommaOrEnd, b',') => self.comma(),
                (Expect::CommaOrEnd, _) => self.no_comma(b)?,
            };
            if self.frames.len() == depth && expect == Expect::CommaOrEnd {
                return Ok(());
            }
        }
    }

    fn open(&mut self, object: bool) -> Result<Expect, Stop> {
        if self.frames.len() == MAX_DEPTH {
            self.problem(
                self.at..self.at + 1,
                format!("JSON nested deeper than {MAX_DEPTH} levels is not read"),
                "no tool writes firewall configurations so deep; everything before this place was read",
            );
            return Err(Stop);
        }
        self.frames.push(Frame { node: self.nodes.len() as u32, keys: self.keys.len(), object });
        self.push(self.at, self.at + 1, if object { Kind::Object } else { Kind::Array }, false);
        self.at += 1;
        Ok(if object { Expect::KeyOrEnd } else { Expect::ValueOrEnd })
    }

    fn push(&mut self, start: usize, end: usize, kind: Kind, flag: bool) {
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Node { start: start as u32, end: end as u32, next, kind, flag });
    }

    // Ends the innermost container at a bracket of its kind.
    fn close(&mut self, bracket: u8) -> Result<(), Stop> {
        match self.frames.last() {
            Some(f) if f.object == (bracket == b'}') => {
                self.at += 1;
                self.end_container(false);
                Ok(())
            }
            _ => {
                self.problem(
                    self.at..self.at + 1,
                    format!("`{}` closes nothing that is open here", bracket as char),
                    "a bracket before this place is missing or one too many",
                );
                Err(Stop)
            }
        }
    }

    fn end_container(&mut self, cut: bool) {
        let Some(frame) = self.frames.pop() else { return };
        if frame.object {
            self.find_duplicates(frame.keys);
        }
        let next = self.nodes.len() as u32;
        let node = &mut self.nodes[frame.node as usize];
        node.end = self.at as u32;
        node.next = next;
        node.flag = cut;
    }

    // Ends everything that is open, as cut. A key without its value gets an invalid one.
    fn abandon(&mut self) {
        self.at = self.at.min(self.text.len());
        while let Some(frame) = self.frames.last() {
            if frame.object {
                let (mut at, mut children) = (frame.node + 1, 0usize);
                while (at as usize) < self.nodes.len() {
                    at = self.nodes[at as usize].next;
                    children += 1;
                }
                if children % 2 == 1 {
                    self.push(self.at, self.at, Kind::Invalid, false);
                }
            }
            self.end_container(true);
        }
    }

    fn unfinished(&mut self) {
        let open = self.frames.last().map(|f| self.nodes[f.node as usize].start as usize);
        let end = self.text.len();
        match open {
            Some(start) => {
                let line = 1 + memchr::memchr_iter(b'\n', &self.text[..start]).count();
                let what = if self.text[start] == b'{' { "object" } else { "list" };
                self.problem(
                    end..end,
                    format!("the file ends inside the {what} that begins on line {line}"),
                    "it seems to be cut: write it out again in full",
                );
            }
            None => self.problem(end..end, "a JSON value is expected here", ""),
        }
    }

    fn comma(&mut self) -> Expect {
        let comma = self.at;
        self.at += 1;
        self.blank();
        let object = self.frames.last().is_some_and(|f| f.object);
        match self.peek() {
            Some(b']' | b'}') => {
                self.problem(comma..comma + 1, "a `,` before a closing bracket", "take the comma away");
                Expect::CommaOrEnd
            }
            _ if object => Expect::Key,
            _ => Expect::Value,
        }
    }

    // Something that begins a value or key without a comma before it: read on as if the comma was there.
    fn no_comma(&mut self, b: u8) -> Result<Expect, Stop> {
        let object = self.frames.last().is_some_and(|f| f.object);
        let begins = if object {
            b == b'"'
        } else {
            matches!(b, b'"' | b'{' | b'[' | b'-' | b'0'..=b'9' | b'a'..=b'z')
        };
        if !begins {
            if matches!(b, b']' | b'}') {
                self.close(b)?;
            }
            self.problem(self.at..self.at + 1, format!("`{}` is not expected here", self.shown()), "");
            return Err(Stop);
        }
        self.problem(self.at..self.at + 1, "a `,` is missing before this", "");
        Ok(if object { Expect::Key } else { Expect::Value })
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.text[self.at..(self.at + 4).min(self.text.len())])
            .chars()
            .take(1)
            .collect::<String>()
            .escape_debug()
            .to_string()
    }

    fn no_key(&mut self, b: u8) -> Result<Expect, Stop> {
        if b == b']' {
            self.close(b)?;
        }
        self.problem(
            self.at..self.at + 1,
            format!("a key in double quotes is expected, not `{}`", self.shown()),
            "",
        );
        Err(Stop)
    }

    fn key(&mut self) -> Result<(), Stop> {
        let node = self.nodes.len() as u32;
        self.string()?;
        let mut h = FxHasher::default();
        h.write(&self.key_text(node));
        self.keys.push((h.finish(), node));
        Ok(())
    }

    fn key_text(&self, node: u32) -> Cow<'t, [u8]> {
        let n = self.nodes[node as usize];
        let inner = &self.text[n.start as usize + 1..n.end as usize - 1];
        if n.flag { Cow::Owned(unescape(inner).into_bytes()) } else { Cow::Borrowed(inner) }
    }

    fn find_duplicates(&mut self, first: usize) {
        let mut keys = self.keys.split_off(first);
        let same = |a: &(u64, u32), b: &(u64, u32)| a.0 == b.0 && self.key_text(a.1) == self.key_text(b.1);
        let repeated: Vec<u32> = if keys.len() <= 24 {
            (1..keys.len())
                .filter(|i| keys[..*i].iter().any(|k| same(k, &keys[*i])))
                .map(|i| keys[i].1)
                .collect()
        } else {
            keys.sort_unstable();
            keys.windows(2).filter(|w| same(&w[0], &w[1])).map(|w| w[1].1).collect()
        };
        for node in repeated {
            let n = self.nodes[node as usize];
            let span = n.start as usize..n.end as usize;
            let name = String::from_utf8_lossy(&self.text[span.clone()]).into_owned();
            self.duplicates.push(span.clone());
            self.problem(
                span,
                format!("the key {name} appears twice in this object"),
                "readers differ in which one they take: leave one",
            );
        }
    }

    fn scalar(&mut self, b: u8) -> Result<(), Stop> {
        let start = self.at;
        let word = |w: &[u8]| self.text[start..].starts_with(w);
        let (kind, len) = match b {
            b'"' => return self.string(),
            b't' if word(b"true") => (Kind::Bool, 4),
            b'f' if word(b"false") => (Kind::Bool, 5),
            b'n' if word(b"null") => (Kind::Null, 4),
            b'-' | b'0'..=b'9' => (Kind::Number, number(&self.text[start..])),
            _ => (Kind::Invalid, 0),
        };
        // Up to the next thing that can follow a value.
        let end = self.text[start..]
            .iter()
            .position(|c| {
                matches!(c, b',' | b'}' | b']' | b':' | b'"' | b'{' | b'[') || c.is_ascii_whitespace()
            })
            .map_or(self.text.len(), |n| start + n);
        if kind == Kind::Invalid || len == 0 || start + len != end {
            let word = String::from_utf8_lossy(&self.text[start..end.min(start + 40)]).into_owned();
            if end == start {
                self.problem(start..start + 1, format!("a value is expected, not `{}`", self.shown()), "");
                return Err(Stop);
            }
            self.problem(start..end, format!("`{word}` is no JSON value"), "strings stand in double quotes");
            self.push(start, end, Kind::Invalid, false);
        } else {
            self.push(start, end, kind, false);
        }
        self.at = end;
        Ok(())
    }

    // The string that begins here, with checks of its escapes.
    fn string(&mut self) -> Result<(), Stop> {
        let start = self.at;
        let mut at = start + 1;
        let mut escaped = false;
        loop {
            match memchr2(b'"', b'\\', &self.text[at.min(self.text.len())..]) {
                None => {
                    self.problem(
                        start..start + 1,
                        "a string begins here and does not end",
                        "it seems that the file is cut or a quote is missing",
                    );
                    self.at = self.text.len();
                    return Err(Stop);
                }
                Some(n) if self.text[at + n] == b'"' => {
                    at += n + 1;
                    break;
                }
                Some(n) => {
                    escaped = true;
                    let e = at + n;
                    let fine = match self.text.get(e + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') | None => true,
                        Some(b'u') => {
                            self.text.get(e + 2..e + 6).is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit))
                        }
                        Some(_) => false,
                    };
                    if !fine {
                        self.problem(e..e + 2, "an escape that JSON does not have", "");
                    }
                    at = e + 2;
                }
            }
        }
        self.push(start, at, Kind::String, escaped);
        self.at = at;
        Ok(())
    }
}

// Length of the number at the beginning by the grammar of RFC 8259, section 6; 0 if it is none.
pub(super) fn number(text: &[u8]) -> usize {
    let digits = |from: usize| text[from.min(text.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && text[at] == b'0') {
        return 0;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return 0;
        }
        at += 1 + fraction;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return 0;
        }
        at += 1 + sign + exponent;
    }
    at
}
