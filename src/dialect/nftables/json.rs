//! `nft -j list ruleset` (libnftables-json(5)): the same tree as from text.

use super::cursor::{Parsed, SyntaxError};
use super::parse::Context;
use super::syntax::*;
use crate::source::json::Value;
use crate::source::{Origin, SourceFile};
use std::sync::Arc;

/// nft text that stands in JSON strings: each is a file of its own behind the real ones.
#[derive(Debug, Default)]
pub(super) struct Snippets {
    pub(super) files: Vec<Arc<SourceFile>>,
    places: Vec<Origin>,
}

impl Snippets {
    /// The place in the real file of a place in a snippet.
    pub(super) fn place(&self, at: Origin, real_files: usize) -> Origin {
        self.places.get((at.file as usize).wrapping_sub(real_files)).copied().unwrap_or_default()
    }
}

/// A rule.
pub(super) fn rule<'a>(_: Context<'a>, _: &'a Snippets, v: Value<'a>, file: u32) -> Parsed<Rule<'a>> {
    Err(SyntaxError::new(v.origin(file as usize), "not read"))
}

/// An expression.
pub(super) fn expression<'a>(_: Context<'a>, _: &'a Snippets, v: Value<'a>, file: u32) -> Parsed<Expr<'a>> {
    Err(SyntaxError::new(v.origin(file as usize), "not read"))
}

/// Elements of a set.
pub(super) fn elements<'a>(
    _: Context<'a>,
    _: &'a Snippets,
    v: Value<'a>,
    file: u32,
) -> Parsed<Vec<Element<'a>>> {
    Err(SyntaxError::new(v.origin(file as usize), "not read"))
}
