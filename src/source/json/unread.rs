//! What was read of a tree, and what was not.
//!
//! A string, number or truth value is read when a reader takes its value as what it is (a number that is asked for a string is not); an
//! array or object when a reader looks at what is in it. `null` stands for "absent" and needs no reading.

use super::{Document, Kind, Value};
use crate::source::Origin;
use std::cell::Cell;

/// What was done with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Note {
    /// Nothing.
    #[default]
    Unread,
    /// Its value was taken; of a container, its members were looked at.
    Read,
    /// It is accounted for, with everything in it.
    Settled,
}

pub(super) fn notes(nodes: usize) -> Vec<Cell<Note>> {
    vec![Cell::default(); nodes]
}

/// A group of keys that have no say in what packets may do.
#[derive(Debug, Clone, Copy)]
pub struct NoEffect {
    /// Why: what they are for.
    pub why: &'static str,
    /// The keys, as the reader spells them.
    pub keys: &'static [&'static str],
}

/// A part of a document that no reader read; of what lies in one another, the outermost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The keys that lead to it from where the search began, with dots between.
    pub path: String,
    /// Its text, as JSON.
    pub value: String,
    /// Key and value where it has a key of its own, otherwise the value.
    pub origin: Origin,
}

impl<'d> Value<'d> {
    pub(super) fn note(&self, note: Note) {
        let cell: &Cell<Note> = &self.document.notes[self.at as usize];
        cell.set(cell.get().max(note));
    }

    fn noted(&self) -> Note {
        self.document.notes[self.at as usize].get()
    }

    /// Whether its value was taken, or its members were looked at.
    pub fn was_read(&self) -> bool {
        self.noted() != Note::Unread
    }

    /// Marks it, and everything in it, as accounted for: [`Value::unread`] passes it over from now on.
    pub fn settle(&self) {
        self.note(Note::Settled);
    }

    /// What was not read in it, in order of place; `file` is the number of its file. What `known` says of the keys that lead to a value,
    /// and of the value, is passed over: that is where lists of things without effect come in ([`NoEffect`]).
    ///
    /// Everything reported is settled with that, and so is the value itself: each thing is reported once, at the innermost value that is
    /// asked.
    pub fn unread(&self, file: usize, mut known: impl FnMut(&[Value<'d>], Value<'d>) -> bool) -> Vec<Unread> {
        let mut search = Search { file, keys: Vec::new(), found: Vec::new(), known: &mut known };
        search.visit(None, *self);
        self.settle();
        search.found
    }
}

struct Search<'d, 'k> {
    file: usize,
    keys: Vec<Value<'d>>,
    found: Vec<Unread>,
    known: &'k mut dyn FnMut(&[Value<'d>], Value<'d>) -> bool,
}

impl<'d> Search<'d, '_> {
    // Depth is bounded by that of documents.
    fn visit(&mut self, key: Option<Value<'d>>, v: Value<'d>) {
        let container = matches!(v.kind(), Kind::Array | Kind::Object);
        match v.noted() {
            Note::Settled => return,
            Note::Read if !container => return,
            _ if v.is_null() => return,
            _ => {}
        }
        if !self.keys.is_empty() && (self.known)(&self.keys, v) {
            return;
        }
        if v.noted() == Note::Unread {
            return self.report(key, v);
        }
        if v.kind() == Kind::Array {
            return v.children().for_each(|i| self.visit(None, i));
        }
        let mut inside = v.children();
        while let (Some(k), Some(m)) = (inside.next(), inside.next()) {
            self.keys.push(k);
            self.visit(Some(k), m);
            self.keys.pop();
        }
    }

    fn report(&mut self, key: Option<Value<'d>>, v: Value<'d>) {
        let keys: Vec<_> = self.keys.iter().filter_map(|k| k.str()).collect();
        let span = v.span();
        let start = key.map_or(span.start, |k| k.span().start);
        self.found.push(Unread {
            path: keys.join("."),
            value: v.raw().into_owned(),
            origin: Origin::new(self.file, start, span.end),
        });
        v.settle();
    }
}

impl NoEffect {
    /// Why a key is without effect, if it is in one of the groups; `same` compares spellings.
    pub fn of(groups: &[NoEffect], same: impl Fn(&str) -> bool) -> Option<&'static str> {
        groups.iter().find(|g| g.keys.iter().any(|k| same(k))).map(|g| g.why)
    }
}

impl Document<'_> {
    /// Forgets what was read.
    pub fn forget(&self) {
        self.notes.iter().for_each(|n| n.set(Note::Unread));
    }
}
