//! From the text of one rule, or one value, to its syntax tree.

mod elements;
mod expression;
mod selectors;
mod stateful;
mod statement;

use super::cursor::{Cursor, Parsed, SyntaxError};
use super::lexer::Kind;
use super::scope::{Body, Scopes};
use super::syntax::*;
use crate::source::{Origin, SourceFile};
pub(super) use expression::MAX_OPERATORS;
use std::cell::Cell;
use std::sync::Arc;

/// Braces, parentheses and variables nest no deeper than this.
const MAX_DEPTH: u32 = 48;

// All variables together may stand for no more than so many words.
const MAX_EXPANSIONS: u32 = 4_000_000;

/// What texts are read against: the files, and their variables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) files: &'a [Arc<SourceFile>],
    pub(super) scopes: &'a Scopes,
    /// Words that variables stood for so far.
    pub(super) expansions: &'a Cell<u32>,
}

/// Reads one piece of text.
pub(super) struct Parser<'a> {
    context: Context<'a>,
    body: Body,
    cursor: Cursor<'a>,
    depth: u32,
    // The unit of time of a rate, where it hung on the word before.
    pending_unit: Option<String>,
}

impl<'a> Parser<'a> {
    /// A parser for a piece of text.
    pub(super) fn new(context: Context<'a>, body: Body) -> Self {
        Self::nested(context, body, 0)
    }

    fn nested(context: Context<'a>, body: Body, depth: u32) -> Self {
        let bytes = context.files.get(body.at.file as usize).map_or(&[][..], |f| f.bytes());
        Self { context, body, cursor: Cursor::new(bytes, body.at), depth, pending_unit: None }
    }

    /// A whole rule; the text must hold nothing else.
    pub(super) fn rule(mut self) -> Parsed<Rule<'a>> {
        let rule = self.statements()?;
        self.end()?;
        Ok(rule)
    }

    /// A whole expression as it stands on the left of a match (`typeof`).
    pub(super) fn whole_key(mut self) -> Parsed<Expr<'a>> {
        let e = self.key()?;
        self.end()?;
        Ok(e)
    }

    fn end(&mut self) -> Parsed<()> {
        match self.cursor.kind() {
            Kind::End => Ok(()),
            _ => Err(self.cursor.expected("the end of the rule")),
        }
    }

    fn deeper<T>(&mut self, inside: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return Err(SyntaxError::new(
                self.cursor.here(),
                format!("nested deeper than {MAX_DEPTH} levels is not read"),
            )
            .help("no real ruleset nests so deep: a brace may be missing before"));
        }
        self.depth += 1;
        let out = inside(self);
        self.depth -= 1;
        out
    }

    /// Reads the value of the variable at the cursor (`$name`) with `read`.
    fn variable<T>(&mut self, read: impl FnOnce(&mut Parser<'a>) -> Parsed<T>) -> Parsed<T> {
        let start = self.cursor.token.start;
        self.cursor.advance();
        if self.cursor.kind() != Kind::Word {
            return Err(self.cursor.expected("the name of a variable"));
        }
        let token = self.cursor.advance();
        let name = self.cursor.text_of(token);
        let at = self.cursor.since(start);
        let Some(value) = self.context.scopes.get(&self.body, &name) else {
            let known = self.context.scopes.names(&self.body);
            let near = known.iter().find(|k| strsim::damerau_levenshtein(k, &name) <= 2);
            let help = near.map_or_else(
                || format!("write `define {name} = …` above"),
                |k| format!("did you mean `${k}`?"),
            );
            return Err(SyntaxError::new(at, format!("the variable `{name}` is not defined here")).help(help));
        };
        let length = value.at.end - value.at.start;
        let used = self.context.expansions.get().saturating_add(1 + length / 8);
        self.context.expansions.set(used);
        if used > MAX_EXPANSIONS {
            return Err(SyntaxError::new(at, "variables that stand for variables grow beyond all bounds")
                .help("name a set instead"));
        }
        let (context, depth) = (self.context, self.depth);
        self.deeper(|_| {
            let mut inner = Parser::nested(context, value, depth + 1);
            let out = read(&mut inner)?;
            inner.cursor.skip_newlines();
            match inner.cursor.kind() {
                Kind::End => Ok(out),
                _ => Err(inner.cursor.expected("the end of the variable's value")),
            }
        })
    }

    /// A name: a word, a string, or a variable that stands for one.
    fn name(&mut self, what: &str) -> Parsed<(Text<'a>, Origin)> {
        match self.cursor.kind() {
            Kind::Word | Kind::Quoted => {
                let token = self.cursor.advance();
                Ok((self.cursor.text_of(token), self.cursor.origin_of(token)))
            }
            Kind::Dollar => self.deeper(|p| p.variable(|inner| inner.name(what))),
            _ => Err(self.cursor.expected(what)),
        }
    }
}
