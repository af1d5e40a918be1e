//! `nft -j list ruleset` (libnftables-json(5)): the same tree as from text.
//!
//! What nft has no JSON for (anonymous chains, some changes of maps) it prints as a string of nft text: [`Snippets`] keeps those apart and
//! the parser of text reads them.

mod expression;
mod keys;
mod load;
mod statement;

pub(super) use load::load;

use super::cursor::{Parsed, SyntaxError};
use super::parse::{Context, Parser};
use super::scope::{Body, Moment, ScopeId};
use super::syntax::*;
use crate::source::json::Value;
use crate::source::{Origin, SourceFile};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Objects and lists nest no deeper than this.
const MAX_DEPTH: u32 = 48;

/// nft text that stands in JSON strings: each is a file of its own behind the real ones.
#[derive(Debug, Default)]
pub(super) struct Snippets {
    /// The texts.
    pub(super) files: Vec<Arc<SourceFile>>,
    places: Vec<Origin>,
    by_start: FxHashMap<u32, usize>,
}

impl Snippets {
    /// Keeps the text of a string.
    pub(super) fn add(&mut self, v: Value<'_>, file: usize) {
        let Some(text) = v.str() else { return };
        let at = v.origin(file);
        self.by_start.insert(at.start, self.files.len());
        self.files.push(SourceFile::new("", text.into_owned()));
        self.places.push(at);
    }

    /// The place in the real file of a place in a snippet.
    pub(super) fn place(&self, at: Origin, real_files: usize) -> Origin {
        self.places.get((at.file as usize).wrapping_sub(real_files)).copied().unwrap_or_default()
    }
}

/// Reads values of one JSON file.
struct Reader<'a> {
    context: Context<'a>,
    snippets: &'a Snippets,
    file: u32,
    depth: u32,
}

/// A rule: the list of its statements.
pub(super) fn rule<'a>(
    context: Context<'a>,
    snippets: &'a Snippets,
    v: Value<'a>,
    file: u32,
) -> Parsed<Rule<'a>> {
    Reader { context, snippets, file, depth: 0 }.rule(v)
}

/// An expression.
pub(super) fn expression<'a>(
    context: Context<'a>,
    snippets: &'a Snippets,
    v: Value<'a>,
    file: u32,
) -> Parsed<Expr<'a>> {
    Reader { context, snippets, file, depth: 0 }.expression(v)
}

/// Elements of a set: a list.
pub(super) fn elements<'a>(
    context: Context<'a>,
    snippets: &'a Snippets,
    v: Value<'a>,
    file: u32,
) -> Parsed<Vec<Element<'a>>> {
    Reader { context, snippets, file, depth: 0 }.elements(v)
}

impl<'a> Reader<'a> {
    fn at(&self, v: Value<'a>) -> Origin {
        v.origin(self.file as usize)
    }

    fn wrong(&self, v: Value<'a>, what: &str) -> SyntaxError {
        SyntaxError::new(self.at(v), format!("{what} is expected here, not {}", v.kind().words()))
    }

    fn deeper<T>(&mut self, v: Value<'a>, inside: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return Err(SyntaxError::new(
                self.at(v),
                format!("nested deeper than {MAX_DEPTH} levels is not read"),
            ));
        }
        self.depth += 1;
        let out = inside(self);
        self.depth -= 1;
        out
    }

    /// The only member of an object.
    fn only(&self, v: Value<'a>) -> Parsed<(Text<'a>, Value<'a>)> {
        let mut members = v.members();
        let (k, inner) = members.next().ok_or_else(|| self.wrong(v, "an object with one member"))?;
        if let Some((more, _)) = members.next() {
            return Err(self.wrong(more, "the end of the object"));
        }
        Ok((k.str().unwrap_or_default(), inner))
    }

    fn member(&self, v: Value<'a>, key: &str) -> Parsed<Value<'a>> {
        v.get(key).ok_or_else(|| SyntaxError::new(self.at(v), format!("the member \"{key}\" is missing")))
    }

    /// A string or number as a word.
    fn word(&self, v: Value<'a>) -> Parsed<Text<'a>> {
        use crate::source::json::Kind;
        match v.kind() {
            Kind::String => Ok(v.str().unwrap_or_default()),
            Kind::Number => Ok(v.raw()),
            Kind::Bool => Ok(Text::Borrowed(if v.bool() == Some(true) { "1" } else { "0" })),
            _ => Err(self.wrong(v, "a string or number")),
        }
    }

    fn member_word(&self, v: Value<'a>, key: &str) -> Parsed<Text<'a>> {
        self.word(self.member(v, key)?)
    }

    /// The rule that a string of nft text holds.
    fn snippet(&self, v: Value<'a>) -> Parsed<Rule<'a>> {
        let at = self.at(v);
        let Some(i) = self.snippets.by_start.get(&at.start) else {
            return Err(self.wrong(v, "a statement"));
        };
        let number = self.context.files.len() - self.snippets.files.len() + i;
        let length = self.snippets.files[*i].bytes().len();
        let body =
            Body { at: Origin::new(number, 0, length), scope: ScopeId::default(), moment: Moment::default() };
        Parser::new(self.context, body).rule()
    }
}
