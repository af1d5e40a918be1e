//! From files to a [`Ruleset`]: commands and blocks in order, variables, included files. Rules and elements are only delimited.

mod blocks;
mod commands;
mod devices;
mod include;

use super::super::Includes;
use super::cursor::{Cursor, SyntaxError};
use super::lexer::{Kind, Token};
use super::ruleset::Ruleset;
use super::scope::{Body, ScopeId, Scopes};
use crate::source::discover::Edited;
use crate::source::encoding::BOM;
use crate::source::{Diagnostic, Origin, SourceFile};
pub(super) use blocks::priority_of;
use include::Folder;
use std::borrow::Cow;
use std::sync::Arc;

/// More problems of one input than this are not worth reading.
const MAX_DIAGNOSTICS: usize = 1000;

/// What was read.
pub(super) struct Loaded {
    pub(super) files: Vec<Arc<SourceFile>>,
    pub(super) scopes: Scopes,
    pub(super) ruleset: Ruleset<'static>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Where a table, chain, command or file could not be read: what stands there may change everything.
    pub(super) lost: Option<Origin>,
}

/// Reads a file and all that it includes.
pub(super) fn load(file: &Arc<SourceFile>, edited: &Arc<Edited>, includes: &Includes) -> Loaded {
    let mut loader = Loader {
        folder: Folder::of(&file.path, includes),
        edited: Arc::clone(edited),
        files: vec![Arc::clone(file)],
        scopes: Scopes::new(),
        ruleset: Ruleset::default(),
        diagnostics: Vec::new(),
        lost: None,
    };
    loader.carriage_return(0);
    loader.hidden_rule(0);
    loader.file(0, Scopes::GLOBAL);
    Loaded {
        files: loader.files,
        scopes: loader.scopes,
        ruleset: loader.ruleset,
        diagnostics: loader.diagnostics,
        lost: loader.lost,
    }
}

struct Loader {
    folder: Folder,
    edited: Arc<Edited>,
    files: Vec<Arc<SourceFile>>,
    scopes: Scopes,
    ruleset: Ruleset<'static>,
    diagnostics: Vec<Diagnostic>,
    lost: Option<Origin>,
}

impl Loader {
    // Reports a problem by which more than one rule or element is lost.
    fn lose(&mut self, error: SyntaxError) {
        self.lost.get_or_insert(error.at);
        self.report(error);
    }

    fn report(&mut self, error: SyntaxError) {
        if self.diagnostics.len() < MAX_DIAGNOSTICS {
            self.diagnostics.push(error.diagnostic());
        }
    }

    fn carriage_return(&mut self, index: usize) {
        if let Some(i) = memchr::memchr(b'\r', self.files[index].bytes()) {
            let at = Origin::new(index, i, i + 1);
            self.report(
                SyntaxError::new(at, "a carriage return, which nft refuses")
                    .help("save the file with Unix line ends; it is read here as if it were"),
            );
        }
    }

    // A rule of which old versions of nft print a comment only: `# xt_recent …` on a line of its own.
    fn hidden_rule(&mut self, index: usize) {
        let file = Arc::clone(&self.files[index]);
        let text = file.bytes();
        for at in memchr::memmem::find_iter(text, b"xt_") {
            let start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |i| i + 1);
            let before: Vec<u8> =
                text[start..at].iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
            if before == b"#" {
                let at = Origin::new(index, at, at + 3);
                self.lost.get_or_insert(at);
                let message = "nft prints this rule of iptables as a comment: what it does is not told";
                let help = "lint the output of iptables-save of the same host";
                self.diagnostics.push(Diagnostic::warning(at, message).help(help));
                return;
            }
        }
    }

    fn file(&mut self, index: usize, scope: ScopeId) {
        let file = Arc::clone(&self.files[index]);
        let start = if file.bytes().starts_with(BOM) { BOM.len() } else { 0 };
        if start > 0 {
            let help = "nft refuses it: save the file without; it is read here as if it had none";
            let mark = Origin::new(index, 0, start);
            self.diagnostics
                .push(Diagnostic::error(mark, "the file begins with a byte order mark").help(help));
        }
        let mut cursor = Cursor::new(file.bytes(), Origin::new(index, start, file.bytes().len()));
        loop {
            match cursor.kind() {
                Kind::End => return,
                Kind::Newline | Kind::Semicolon => {
                    cursor.advance();
                }
                _ => {
                    let read = self.command(&mut cursor, scope).and_then(|()| end_of_statement(&cursor));
                    if let Err(e) = read {
                        self.lose(e);
                        recover(&mut cursor);
                    }
                }
            }
        }
    }

    /// What is left of a statement, as a piece of text; the cursor stands at its end afterwards.
    fn rest(&mut self, cursor: &mut Cursor<'_>, scope: ScopeId) -> Body {
        let start = cursor.token.start;
        cursor.skim(&mut |_| {});
        self.scopes.body(cursor.since(start), scope)
    }

    // The value of a variable; notes the sets that it names.
    fn value(&mut self, cursor: &mut Cursor<'_>, scope: ScopeId) -> Body {
        let start = cursor.token.start;
        let mut at_sign = false;
        let mut named = Vec::new();
        cursor.skim(&mut |c| {
            if at_sign {
                named.push(c.text_of(c.token).into_owned());
            }
            at_sign = c.kind() == Kind::At;
        });
        self.ruleset.named_by_variables.extend(named);
        self.scopes.body(cursor.since(start), scope)
    }

    /// A name: a word, a string, or a variable that stands for one.
    fn name<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        scope: ScopeId,
        what: &str,
    ) -> Result<(Cow<'a, str>, Origin), SyntaxError> {
        match cursor.kind() {
            Kind::Word | Kind::Quoted => {
                let token = cursor.advance();
                Ok((cursor.text_of(token), cursor.origin_of(token)))
            }
            Kind::Dollar => {
                let start = cursor.advance().start;
                if cursor.kind() != Kind::Word {
                    return Err(cursor.expected("the name of a variable"));
                }
                let token = cursor.advance();
                let at = cursor.since(start);
                let here = self.scopes.body(at, scope);
                let value = self.word_of(&here, &cursor.text_of(token));
                value.map(|v| (Cow::Owned(v), at)).ok_or_else(|| {
                    let name = cursor.text_of(token);
                    SyntaxError::new(
                        at,
                        format!("the variable `{name}` is not defined here, or is not one word"),
                    )
                })
            }
            _ => Err(cursor.expected(what)),
        }
    }

    // The one word that a variable stands for.
    fn word_of(&self, seen_from: &Body, name: &str) -> Option<String> {
        let mut value = self.scopes.get(seen_from, name)?;
        for _ in 0..16 {
            let file = Arc::clone(self.files.get(value.at.file as usize)?);
            let mut cursor = Cursor::new(file.bytes(), value.at);
            match cursor.kind() {
                Kind::Dollar => {
                    cursor.advance();
                    let token = cursor.advance();
                    value = self.scopes.get(&value, &cursor.text_of(token))?;
                }
                Kind::Dash => {
                    cursor.advance();
                    let token = cursor.advance();
                    return Some(format!("-{}", cursor.text_of(token)));
                }
                Kind::Word | Kind::Quoted => {
                    let token: Token = cursor.advance();
                    let mut out = cursor.text_of(token).into_owned();
                    // `filter - 10` as the value of a priority.
                    if matches!(cursor.kind(), Kind::Dash | Kind::Plus) {
                        let sign = cursor.advance();
                        let number = cursor.advance();
                        out = format!("{out} {} {}", cursor.text_of(sign), cursor.text_of(number));
                    }
                    return Some(out);
                }
                _ => return None,
            }
        }
        None
    }

    /// `define`, `redefine`, `undefine` and `include`, which may stand in any block; `read_file` reads an included file. False if the cursor
    /// is at none of them.
    fn directive(
        &mut self,
        cursor: &mut Cursor<'_>,
        scope: ScopeId,
        read_file: &mut dyn FnMut(&mut Self, usize),
    ) -> Result<bool, SyntaxError> {
        let word = cursor.word().unwrap_or_default();
        match word {
            "include" => {
                cursor.advance();
                let at = cursor.here();
                if cursor.kind() != Kind::Quoted {
                    return Err(cursor.expected("the name of a file in quotes"));
                }
                let token = cursor.advance();
                let name = cursor.text_of(token).into_owned();
                self.include(&name, at, read_file);
            }
            "define" | "redefine" => {
                let redefine = word == "redefine";
                cursor.advance();
                if !matches!(cursor.kind(), Kind::Word | Kind::Quoted) {
                    return Err(cursor.expected("the name of a variable"));
                }
                let token = cursor.advance();
                let (name, at) = (cursor.text_of(token), cursor.origin_of(token));
                if !cursor.eat(Kind::Assign) {
                    return Err(cursor.expected("`=`"));
                }
                if matches!(cursor.kind(), Kind::Newline | Kind::Semicolon | Kind::End | Kind::CloseBrace) {
                    return Err(cursor.expected("the value of the variable"));
                }
                let value = self.value(cursor, scope);
                if !redefine && self.scopes.owner(scope, &name).is_some() {
                    self.report(
                        SyntaxError::new(at, format!("the variable `{name}` is already defined"))
                            .help("nft refuses a second `define`: use `redefine`, or another name"),
                    );
                }
                self.scopes.set(scope, &name, Some(value));
                self.scopes.defined(scope, &name, at);
            }
            "undefine" => {
                cursor.advance();
                let (name, at) = self.name(cursor, scope, "the name of a variable")?;
                match self.scopes.owner(scope, &name) {
                    Some(owner) => self.scopes.set(owner, &name, None),
                    None => {
                        return Err(SyntaxError::new(
                            at,
                            format!("the variable `{name}` is not defined here"),
                        ));
                    }
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A statement ends where a line, a block or the text ends.
fn end_of_statement(cursor: &Cursor<'_>) -> Result<(), SyntaxError> {
    match cursor.kind() {
        Kind::Newline | Kind::Semicolon | Kind::CloseBrace | Kind::End => Ok(()),
        _ => Err(cursor.expected("the end of the statement")),
    }
}

/// Goes on behind a broken statement outside of blocks.
fn recover(cursor: &mut Cursor<'_>) {
    cursor.skim(&mut |_| {});
    if cursor.kind() == Kind::CloseBrace {
        cursor.advance();
    }
}
