//! A tree made of another language than JSON: its values, each with its place in the text as written.

use super::parse::escape;
use super::{Document, Kind, MAX_DEPTH, MAX_PROBLEMS, Node, Problem, unread};
use rustc_hash::FxHashSet;
use std::borrow::Cow;
use std::ops::Range;

/// Builds a [`Document`] value by value, in the order of the text.
///
/// In an object each value follows its [`key`](Build::key). Places are byte ranges of the file. What is left open at the end is closed
/// there and counts as cut.
#[derive(Debug, Default)]
pub struct Build {
    text: Vec<u8>,
    nodes: Vec<Node>,
    places: Vec<(u32, u32)>,
    open: Vec<Frame>,
    problems: Vec<Problem>,
    duplicates: Vec<Range<usize>>,
    // A key waits for its value.
    keyed: bool,
    // Where what was read last ends in the file.
    reach: usize,
    // The text is broken behind what was read.
    cut: bool,
}

#[derive(Debug)]
struct Frame {
    node: usize,
    // Keys so far; `None` = an array.
    keys: Option<FxHashSet<String>>,
}

impl Build {
    /// Begins an object.
    ///
    /// # Errors
    /// Too deep: a problem says so, and nothing was opened.
    pub fn object(&mut self, place: Range<usize>) -> Result<(), TooDeep> {
        self.container(Kind::Object, place)
    }

    /// Begins an array.
    ///
    /// # Errors
    /// As [`Build::object`].
    pub fn array(&mut self, place: Range<usize>) -> Result<(), TooDeep> {
        self.container(Kind::Array, place)
    }

    /// Ends the innermost container; it reaches to `end`, and at least as far as what is in it.
    pub fn close(&mut self, end: usize) {
        self.end(Some(end));
    }

    /// Ends the innermost container, of which more may have followed.
    pub fn cut(&mut self) {
        self.end(None);
    }

    /// The key of the value that follows. A key that stands in the object already is a problem.
    pub fn key(&mut self, name: &str, place: Range<usize>) {
        let Some(keys) = self.open.last_mut().and_then(|f| f.keys.as_mut()) else { return };
        if !keys.insert(name.to_owned()) {
            self.duplicates.push(place.clone());
            self.problem(Problem {
                message: format!("the key \"{name}\" appears twice in this object"),
                help: "readers differ in which one they take: leave one".to_owned(),
                span: place.clone(),
            });
        }
        self.comma();
        self.quoted(name, place);
        self.text.push(b':');
        self.keyed = true;
    }

    /// A string.
    pub fn string(&mut self, text: &str, place: Range<usize>) {
        self.comma();
        self.quoted(text, place);
    }

    /// A number, `true`, `false` or `null` as JSON writes it; anything else is an invalid value.
    pub fn plain(&mut self, text: &str, place: Range<usize>) {
        self.comma();
        let kind = match text {
            "null" => Kind::Null,
            "true" | "false" => Kind::Bool,
            t if super::is_number(t) => Kind::Number,
            _ => Kind::Invalid,
        };
        let start = self.text.len();
        self.text.extend_from_slice(text.as_bytes());
        self.push(start, kind, false, place);
    }

    /// Notes what is wrong with the text.
    pub fn problem(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    /// Where the last value or key ends.
    pub fn reach(&self) -> usize {
        self.reach
    }

    /// How many values and keys there are so far.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nothing so far.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The document of a text that is broken somewhere, and was read up to there.
    pub fn broken(mut self) -> Document<'static> {
        // What stands at the top, whole or not, may go on behind the break.
        self.cut = true;
        self.finish()
    }

    /// The document.
    pub fn finish(mut self) -> Document<'static> {
        if self.cut
            && let Some(root) =
                self.nodes.first_mut().filter(|n| matches!(n.kind, Kind::Array | Kind::Object))
        {
            root.flag = true;
        }
        while !self.open.is_empty() {
            self.end(None);
        }
        self.problems.sort_by_key(|p| p.span.start);
        self.duplicates.sort_by_key(|s| s.start);
        Document {
            text: Cow::Owned(self.text),
            notes: unread::notes(self.nodes.len()),
            nodes: self.nodes,
            places: Some(self.places),
            problems: self.problems,
            duplicates: self.duplicates,
        }
    }

    fn container(&mut self, kind: Kind, place: Range<usize>) -> Result<(), TooDeep> {
        if self.open.len() == MAX_DEPTH {
            self.problem(Problem {
                message: format!("nested deeper than {MAX_DEPTH} levels: what lies deeper is not read"),
                help: "no tool writes firewall configurations so deep".to_owned(),
                span: place,
            });
            return Err(TooDeep);
        }
        self.comma();
        let keys = (kind == Kind::Object).then(FxHashSet::default);
        self.open.push(Frame { node: self.nodes.len(), keys });
        let start = self.text.len();
        self.text.push(if kind == Kind::Object { b'{' } else { b'[' });
        self.push(start, kind, false, place);
        Ok(())
    }

    // Ends the innermost container; without an end it is cut.
    fn end(&mut self, end: Option<usize>) {
        if self.keyed {
            let at = self.places.last().map_or(0, |p| p.1 as usize);
            self.keyed = false;
            self.push(self.text.len(), Kind::Invalid, false, at..at);
        }
        let Some(frame) = self.open.pop() else { return };
        self.text.push(if frame.keys.is_some() { b'}' } else { b']' });
        let (next, inner) = (self.nodes.len() as u32, self.reach as u32);
        let node = &mut self.nodes[frame.node];
        (node.end, node.next, node.flag) = (self.text.len() as u32, next, end.is_none());
        let place = &mut self.places[frame.node];
        place.1 = end.map_or(0, |e| e as u32).max(inner).max(place.1);
        self.reach = place.1 as usize;
    }

    // What stands between this value and the one before.
    fn comma(&mut self) {
        if self.keyed {
            self.keyed = false;
        } else if !self.open.is_empty() && !matches!(self.text.last(), Some(b'{' | b'[') | None) {
            self.text.push(b',');
        } else if self.open.is_empty() && !self.text.is_empty() {
            self.text.push(b'\n');
        }
    }

    fn quoted(&mut self, text: &str, place: Range<usize>) {
        let start = self.text.len();
        let escaped = escape(text, &mut self.text);
        self.push(start, Kind::String, escaped, place);
    }

    fn push(&mut self, start: usize, kind: Kind, flag: bool, place: Range<usize>) {
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Node { start: start as u32, end: self.text.len() as u32, next, kind, flag });
        self.reach = place.end.max(place.start);
        self.places.push((place.start as u32, self.reach as u32));
    }
}

/// A container lies deeper than [`MAX_DEPTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooDeep;
