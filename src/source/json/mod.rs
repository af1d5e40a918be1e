//! JSON (RFC 8259) with places: a compact tree in which every value knows its byte range.
//!
//! Made for configurations of many megabytes, often on one line, sometimes cut or edited by hand. It never recurses, reports every
//! problem with its place, and goes on where that is possible: a container that the text leaves open holds what was read of it and
//! says so ([`Value::is_cut`]); what is no JSON value is [`Kind::Invalid`].
//!
//! Other languages with the same values (YAML, HCL) are read into the same tree by a [`Build`], each value with its place in the
//! text that was written.
//!
//! The tree notes what was read of it, and [`Value::unread`] tells what was not: a key that no reader knows, a word where a number
//! is expected. So a reader need not foresee what it does not know.

mod build;
mod parse;
mod unread;

#[cfg(test)]
mod tests;

pub use build::Build;
pub use unread::{NoEffect, Unread};

use super::{Diagnostic, Origin};
use parse::{Parser, unescape};
use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;
use unread::Note;

/// Containers nested deeper than this are refused.
pub const MAX_DEPTH: usize = 512;

// More problems than this are not worth reading.
const MAX_PROBLEMS: usize = 100;

/// Whether a text is a number as JSON writes it.
pub fn is_number(text: &str) -> bool {
    !text.is_empty() && parse::number(text.as_bytes()) == text.len()
}

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
    // JSON: the file's own, or what a `Build` wrote.
    text: Cow<'t, [u8]>,
    nodes: Vec<Node>,
    // Where each node stands in the file, if `text` is not the file's.
    places: Option<Vec<(u32, u32)>>,
    // What was read of each node.
    notes: Vec<Cell<Note>>,
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

    /// Its place in the file, in bytes, with quotes or brackets.
    pub fn span(&self) -> Range<usize> {
        match &self.document.places {
            None => self.within(),
            Some(places) => {
                let (start, end) = places[self.at as usize];
                start as usize..end as usize
            }
        }
    }

    // Its place in the JSON.
    fn within(&self) -> Range<usize> {
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

    /// Its text as JSON, to be shown. This does not count as reading it.
    pub fn raw(&self) -> Cow<'d, str> {
        String::from_utf8_lossy(self.bytes())
    }

    /// The bytes of its JSON. This does not count as reading it.
    pub fn bytes(&self) -> &'d [u8] {
        &self.document.text[self.within()]
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
        self.note(Note::Read);
        let inner = &self.document.text[n.start as usize + 1..(n.end as usize - 1).max(n.start as usize + 1)];
        Some(if n.flag { Cow::Owned(unescape(inner)) } else { String::from_utf8_lossy(inner) })
    }

    /// The text of a string, or a number, `true` or `false` as written; `None` of anything else.
    pub fn scalar(&self) -> Option<Cow<'d, str>> {
        match self.kind() {
            Kind::Number | Kind::Bool => {
                self.note(Note::Read);
                Some(self.raw())
            }
            _ => self.str(),
        }
    }

    /// `true` or `false`.
    pub fn bool(&self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| {
            self.note(Note::Read);
            self.document.text[self.node().start as usize] == b't'
        })
    }

    /// A number without fraction and exponent that fits.
    pub fn int(&self) -> Option<i64> {
        if self.kind() != Kind::Number {
            return None;
        }
        let n = std::str::from_utf8(self.bytes()).ok()?.parse().ok()?;
        self.note(Note::Read);
        Some(n)
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
        if self.kind() != kind {
            return Siblings { document: self.document, at: self.at, end: self.at };
        }
        self.note(Note::Read);
        self.children()
    }

    // Keys and values in order.
    fn children(&self) -> Siblings<'d> {
        Siblings { document: self.document, at: self.at + 1, end: self.node().next }
    }

    /// The member of an object; the last one of several, as most readers take it.
    pub fn get(&self, key: &str) -> Option<Value<'d>> {
        self.members().filter(|(k, _)| k.is(key)).last().map(|(_, v)| v)
    }

    /// Whether it is the string `text`.
    pub fn is(&self, text: &str) -> bool {
        let n = self.node();
        let same = match (n.kind, n.flag) {
            (Kind::String, false) => {
                n.end - n.start == text.len() as u32 + 2
                    && &self.document.text[n.start as usize + 1..n.end as usize - 1] == text.as_bytes()
            }
            (Kind::String, true) => self.str().is_some_and(|s| s == text),
            _ => false,
        };
        if same {
            self.note(Note::Read);
        }
        same
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} at {:?}", self.kind(), self.span())
    }
}
