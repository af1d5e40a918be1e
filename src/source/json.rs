//! JSON (RFC 8259) with places: a compact tree in which every value knows its byte range.
//!
//! Made for configurations of many megabytes, often on one line, sometimes cut or edited by hand. It never recurses, reports every
//! problem with its place, and goes on where that is possible: a container that the text leaves open holds what was read of it and
//! says so ([`Value::is_cut`]); what is no JSON value is [`Kind::Invalid`].

use super::{Diagnostic, Origin};
use memchr::memchr2;
use rustc_hash::FxHasher;
use std::borrow::Cow;
use std::hash::Hasher;
use std::ops::Range;

/// Containers nested deeper than this are refused.
pub const MAX_DEPTH: usize = 512;

// More problems than this are not worth reading.
const MAX_PROBLEMS: usize = 100;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
    /// Something that is no JSON value; a problem says so.
    Invalid,
}

impl Kind {
    /// In words, with an article: `a number`.
    pub const fn words(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool => "true or false",
            Kind::Number => "a number",
            Kind::String => "a string",
            Kind::Array => "a list",
            Kind::Object => "an object",
            Kind::Invalid => "no JSON value",
        }
    }
}

// One value or key. Values stand in the order of the text (a key before its value), so that a subtree is one slice.
#[derive(Debug, Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    // Index after the last node of the subtree.
    next: u32,
    kind: Kind,
    // A string with a backslash; a container that the text leaves open.
    flag: bool,
}

/// What is wrong at a place of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to do; may be empty.
    pub help: String,
    /// Where, in bytes.
    pub span: Range<usize>,
}

impl Problem {
    /// As a diagnostic of file number `file`.
    pub fn diagnostic(&self, file: usize) -> Diagnostic {
        Diagnostic::error(Origin::new(file, self.span.start, self.span.end), &self.message).help(&self.help)
    }
}

/// A text as a tree of values.
#[derive(Debug)]
pub struct Document<'t> {
    text: &'t [u8],
    nodes: Vec<Node>,
    problems: Vec<Problem>,
    duplicates: Vec<Range<usize>>,
}

/// A value of a document.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    document: &'d Document<'d>,
    at: u32,
}

impl<'t> Document<'t> {
    /// Reads one value; anything behind it is a problem.
    pub fn parse(text: &'t [u8]) -> Self {
        Parser::new(text).run(false)
    }

    /// Reads one value after the other, as tools that print pages write them.
    pub fn parse_stream(text: &'t [u8]) -> Self {
        Parser::new(text).run(true)
    }

    /// The first value; `None` if the text holds none.
    pub fn root(&'t self) -> Option<Value<'t>> {
        self.roots().next()
    }

    /// All values at the top, in order.
    pub fn roots(&'t self) -> impl Iterator<Item = Value<'t>> {
        Siblings { document: self, at: 0, end: self.nodes.len() as u32 }
    }

    /// What is wrong with the text, in order of place; at most a hundred problems.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The places of keys that stand in their object for a second time, in order of place.
    pub fn duplicates(&self) -> &[Range<usize>] {
        &self.duplicates
    }
}

struct Siblings<'d> {
    document: &'d Document<'d>,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Siblings<'d> {
    type Item = Value<'d>;
    fn next(&mut self) -> Option<Value<'d>> {
        if self.at >= self.end {
            return None;
        }
        let value = Value { document: self.document, at: self.at };
        self.at = value.node().next;
        Some(value)
    }
}

impl<'d> Value<'d> {
    fn node(&self) -> &'d Node {
        &self.document.nodes[self.at as usize]
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.node().kind
    }

    /// Its place in bytes, with quotes or brackets.
    pub fn span(&self) -> Range<usize> {
        let n = self.node();
        n.start as usize..n.end as usize
    }

    /// Its place in file number `file`.
    pub fn origin(&self, file: usize) -> Origin {
        let span = self.span();
        Origin::new(file, span.start, span.end)
    }

    /// The text ends, or breaks, before the container does: members may be missing.
    pub fn is_cut(&self) -> bool {
        matches!(self.kind(), Kind::Array | Kind::Object) && self.node().flag
    }

    /// Its text as written.
    pub fn raw(&self) -> Cow<'d, str> {
        String::from_utf8_lossy(&self.document.text[self.span()])
    }

    /// Its bytes as written.
    pub fn bytes(&self) -> &'d [u8] {
        &self.document.text[self.span()]
    }

    /// `null`.
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// The string without quotes and escapes; bytes that are no UTF-8 show as U+FFFD. `None` if it is no string.
    pub fn str(&self) -> Option<Cow<'d, str>> {
        let n = self.node();
        if n.kind != Kind::String {
            return None;
        }
        let inner = &self.document.text[n.start as usize + 1..(n.end as usize - 1).max(n.start as usize + 1)];
        Some(if n.flag { Cow::Owned(unescape(inner)) } else { String::from_utf8_lossy(inner) })
    }

    /// `true` or `false`.
    pub fn bool(&self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.document.text[self.node().start as usize] == b't')
    }

    /// A number without fraction and exponent that fits.
    pub fn int(&self) -> Option<i64> {
        if self.kind() != Kind::Number {
            return None;
        }
        std::str::from_utf8(&self.document.text[self.span()]).ok()?.parse().ok()
    }

    /// The values of an array; nothing if it is none.
    pub fn items(&self) -> impl Iterator<Item = Value<'d>> + use<'d> {
        self.inside(Kind::Array)
    }

    /// The members of an object as (key, value), in order, duplicates too; nothing if it is none.
    pub fn members(&self) -> impl Iterator<Item = (Value<'d>, Value<'d>)> + use<'d> {
        let mut inside = self.inside(Kind::Object);
        std::iter::from_fn(move || Some((inside.next()?, inside.next()?)))
    }

    fn inside(&self, kind: Kind) -> Siblings<'d> {
        let n = self.node();
        let end = if n.kind == kind { n.next } else { self.at };
        Siblings { document: self.document, at: self.at + 1, end }
    }

    /// The member of an object; the last one of several, as most readers take it.
    pub fn get(&self, key: &str) -> Option<Value<'d>> {
        self.members().filter(|(k, _)| k.is(key)).last().map(|(_, v)| v)
    }

    /// Whether it is the string `text`.
    pub fn is(&self, text: &str) -> bool {
        let n = self.node();
        match (n.kind, n.flag) {
            (Kind::String, false) => {
                n.end - n.start == text.len() as u32 + 2
                    && &self.document.text[n.start as usize + 1..n.end as usize - 1] == text.as_bytes()
            }
            (Kind::String, true) => self.str().is_some_and(|s| s == text),
            _ => false,
        }
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} at {:?}", self.kind(), self.span())
    }
}

fn unescape(inner: &[u8]) -> String {
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

struct Parser<'t> {
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
    fn new(text: &'t [u8]) -> Self {
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

    fn run(mut self, stream: bool) -> Document<'t> {
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
        Document { text: self.text, nodes: self.nodes, problems: self.problems, duplicates: self.duplicates }
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
                format!("the key {name} stands twice in this object"),
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
fn number(text: &[u8]) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problems(text: &str) -> Vec<(String, usize)> {
        let d = Document::parse(text.as_bytes());
        d.problems().iter().map(|p| (p.message.clone(), p.span.start)).collect()
    }

    #[test]
    fn values_know_their_places() {
        let text = " {\"a\": [1, -2.5e3, true, null], \"b\\u00e9\\ud83d\\ude00\\n\": \"x\\\"y\"}\n";
        let d = Document::parse(text.as_bytes());
        assert!(d.problems().is_empty(), "{:?}", d.problems());
        let root = d.root().unwrap();
        let items: Vec<_> =
            root.get("a").unwrap().items().map(|v| (v.kind(), v.raw().into_owned())).collect();
        assert_eq!(
            items,
            [
                (Kind::Number, "1".to_owned()),
                (Kind::Number, "-2.5e3".to_owned()),
                (Kind::Bool, "true".to_owned()),
                (Kind::Null, "null".to_owned())
            ]
        );
        assert_eq!(root.get("bé😀\n").unwrap().str().unwrap(), "x\"y");
        assert_eq!(&text[root.get("a").unwrap().span()], "[1, -2.5e3, true, null]");
        assert_eq!(&text[root.span()], text.trim());
        assert!(!root.is_cut());
        assert_eq!(root.get("a").unwrap().items().next().unwrap().int(), Some(1));
        assert_eq!(root.get("absent").map(|v| v.kind()), None);
    }

    #[test]
    fn problems_have_a_place_and_the_rest_is_read() {
        for (text, message, at, read) in [
            ("", "the file is empty", 0, 0),
            ("[1,2", "the file ends inside the list that begins on line 1", 4, 2),
            ("[1,2,]", "a `,` before a closing bracket", 4, 2),
            ("[1 2]", "a `,` is missing before this", 3, 2),
            ("[1, NaN, 3]", "`NaN` is no JSON value", 4, 3),
            ("[1, 007, 3]", "`007` is no JSON value", 4, 3),
            ("[1, 1., 3]", "`1.` is no JSON value", 4, 3),
            ("[1, 2] x", "there is text behind the end of the JSON value", 7, 2),
            ("[1, \"abc", "a string begins here and does not end", 4, 1),
            ("[1, 2}", "`}` closes nothing that is open here", 5, 2),
            ("[\"\\x\", 2]", "an escape that JSON does not have", 2, 2),
        ] {
            let d = Document::parse(text.as_bytes());
            let first = d.problems().first().unwrap_or_else(|| panic!("{text}"));
            assert_eq!((first.message.as_str(), first.span.start), (message, at), "{text}");
            assert_eq!(d.root().map_or(0, |r| r.items().count()), read, "{text}");
        }
    }

    #[test]
    fn a_cut_object_holds_what_was_read() {
        for text in [
            "{\"a\": 1, \"b\": {\"c\": 2",
            "{\"a\": 1, \"b\": {\"c\": 2, \"d\"",
            "{\"a\": 1, \"b\": {\"c\": 2, \"d\":",
        ] {
            let d = Document::parse(text.as_bytes());
            let root = d.root().unwrap();
            assert!(root.is_cut(), "{text}");
            assert_eq!(root.get("a").unwrap().int(), Some(1));
            assert_eq!(root.get("b").unwrap().get("c").unwrap().int(), Some(2));
            assert_eq!(d.problems().len(), 1, "{text}");
        }
    }

    #[test]
    fn keys_that_stand_twice_are_reported() {
        assert_eq!(
            problems("{\"a\":1,\"\\u0061\":2,\"b\":{\"a\":1}}"),
            [("the key \"\\u0061\" stands twice in this object".to_owned(), 7)]
        );
        let many: Vec<String> = (0..60).map(|i| format!("\"k{}\":{i}", i % 59)).collect();
        let text = format!("{{{}}}", many.join(","));
        assert_eq!(problems(&text).len(), 1);
        assert_eq!(Document::parse(text.as_bytes()).root().unwrap().get("k0").unwrap().int(), Some(59));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "[".repeat(1_000_000);
        let d = Document::parse(deep.as_bytes());
        assert_eq!(d.problems()[0].message, "JSON nested deeper than 512 levels is not read");
        assert_eq!(d.problems()[0].span.start, MAX_DEPTH);
        let fine = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert!(problems(&fine).is_empty());
    }

    #[test]
    fn pages_one_after_the_other() {
        let d = Document::parse_stream(b"{\"a\":1}\n{\"a\":2} ");
        assert!(d.problems().is_empty());
        assert_eq!(d.roots().map(|r| r.get("a").unwrap().int().unwrap()).collect::<Vec<_>>(), [1, 2]);
        let none = Document::parse_stream(b" ");
        assert_eq!(none.problems().len(), 1);
        assert!(none.root().is_none());
    }

    fn same(ours: Value<'_>, theirs: &serde_json::Value) -> bool {
        match theirs {
            serde_json::Value::Null => ours.is_null(),
            serde_json::Value::Bool(b) => ours.bool() == Some(*b),
            serde_json::Value::Number(n) => n.as_i64().is_none() || ours.int() == n.as_i64(),
            serde_json::Value::String(s) => ours.str().as_deref() == Some(s),
            serde_json::Value::Array(a) => {
                ours.items().count() == a.len() && ours.items().zip(a).all(|(x, y)| same(x, y))
            }
            serde_json::Value::Object(o) => o.iter().all(|(k, v)| ours.get(k).is_some_and(|x| same(x, v))),
        }
    }

    proptest! {
        // serde_json is the reference: what it reads, we read alike; what it refuses has a problem.
        #[test]
        fn agrees_with_another_reader(text in r#"[\[\]{},:"a1\\ntrue0.e -]{0,40}"#) {
            let d = Document::parse(text.as_bytes());
            let _ = d.roots().count();
            match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(v) => {
                    let only_duplicates = d.problems().len() == d.duplicates().len();
                    prop_assert!(only_duplicates, "{:?}", d.problems());
                    prop_assert!(same(d.root().unwrap(), &v));
                }
                // Control characters in strings and numbers too large to hold are the only liberties taken.
                Err(e) => prop_assert!(!d.problems().is_empty() || e.to_string().contains("out of range")),
            }
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let d = Document::parse_stream(&bytes);
            for v in d.roots() {
                let _ = (v.members().count(), v.items().count(), v.str(), v.raw());
            }
        }
    }
}
