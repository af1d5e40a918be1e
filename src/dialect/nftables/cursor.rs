//! A place in nft text: the current token, looking ahead, and finding where a statement ends.

use super::lexer::{Kind, Lexer, Token};
use super::v4::{self, Span4};
use crate::source::{Diagnostic, Origin};
use std::borrow::Cow;

/// What is wrong at a place.
#[derive(Debug, Clone)]
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) help: String,
    pub(super) at: Origin,
}

impl SyntaxError {
    pub(super) fn new(at: Origin, message: impl Into<String>) -> Self {
        Self { message: message.into(), help: String::new(), at }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    pub(super) fn diagnostic(self) -> Diagnostic {
        Diagnostic::error(self.at, self.message).help(self.help)
    }
}

/// Result of parsing.
pub(super) type Parsed<T> = Result<T, SyntaxError>;

/// Reads tokens of one stretch of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    file: u32,
    lexer: Lexer<'a>,
    /// The current token.
    pub(super) token: Token,
    /// End of the token before it.
    pub(super) before: usize,
}

impl<'a> Cursor<'a> {
    /// At the first token of a stretch.
    pub(super) fn new(bytes: &'a [u8], at: Origin) -> Self {
        let mut lexer = Lexer::new(bytes, at.start as usize, at.end as usize);
        let token = lexer.next();
        Self { bytes, file: at.file, lexer, token, before: at.start as usize }
    }

    pub(super) fn kind(&self) -> Kind {
        self.token.kind
    }

    pub(super) fn advance(&mut self) -> Token {
        let old = self.token;
        self.before = old.end;
        self.token = self.lexer.next();
        old
    }

    /// The token after the current one.
    pub(super) fn peek(&self) -> Token {
        let mut lexer = self.lexer;
        lexer.next()
    }

    pub(super) fn eat(&mut self, kind: Kind) -> bool {
        let hit = self.token.kind == kind;
        if hit {
            self.advance();
        }
        hit
    }

    /// Bytes of a token.
    pub(super) fn bytes_of(&self, token: Token) -> &'a [u8] {
        &self.bytes[token.start..token.end]
    }

    /// Text of a token, quotes stripped.
    pub(super) fn text_of(&self, token: Token) -> Cow<'a, str> {
        let bytes = self.bytes_of(token);
        let inner = match token.kind {
            Kind::Quoted => &bytes[1..bytes.len() - 1],
            _ => bytes,
        };
        String::from_utf8_lossy(inner)
    }

    /// Whether the current token is this bare word.
    pub(super) fn at_word(&self, word: &str) -> bool {
        self.token.kind == Kind::Word && self.bytes_of(self.token) == word.as_bytes()
    }

    /// Takes this bare word if it is there.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let hit = self.at_word(word);
        if hit {
            self.advance();
        }
        hit
    }

    /// The current bare word.
    pub(super) fn word(&self) -> Option<&'a str> {
        match self.token.kind {
            Kind::Word => std::str::from_utf8(self.bytes_of(self.token)).ok(),
            _ => None,
        }
    }

    /// Takes IPv4 addresses, prefixes and ranges, each with the comma behind it, from the current token on as long as nothing
    /// else comes.
    pub(super) fn plain_addresses(&mut self, list: &mut Vec<Span4>) {
        let end = self.lexer.end();
        let text = &self.bytes[..end];
        let mut at = self.token.start;
        let mut done = at;
        while let Some((lo, hi, mut next)) = v4::element(text, at) {
            while matches!(text.get(next), Some(b' ' | b'\t')) {
                next += 1;
            }
            if text.get(next) != Some(&b',') {
                break;
            }
            list.push(Span4::new(lo, hi));
            done = next + 1;
            at = done;
            while matches!(text.get(at), Some(b' ' | b'\t' | b'\n')) {
                at += 1;
            }
        }
        if done > self.token.start {
            *self = Self::new(self.bytes, Origin::new(self.file as usize, done, end));
        }
    }

    pub(super) fn skip_newlines(&mut self) {
        while self.kind() == Kind::Newline {
            self.advance();
        }
    }

    /// Skips newlines if a token of this kind follows them.
    pub(super) fn skip_newlines_before(&mut self, kind: Kind) {
        let mut ahead = *self;
        ahead.skip_newlines();
        if ahead.kind() == kind {
            *self = ahead;
        }
    }

    /// Place of a token.
    pub(super) fn origin_of(&self, token: Token) -> Origin {
        Origin::new(self.file as usize, token.start, token.end)
    }

    /// Place of the current token.
    pub(super) fn here(&self) -> Origin {
        self.origin_of(self.token)
    }

    /// From a byte to the end of the last token taken.
    pub(super) fn since(&self, start: usize) -> Origin {
        Origin::new(self.file as usize, start, self.before.max(start))
    }

    /// "X is expected here."
    pub(super) fn expected(&self, what: &str) -> SyntaxError {
        let (message, help) = match self.token.kind {
            Kind::End => (format!("{what} is expected, but the text ends"), ""),
            Kind::Newline => (format!("{what} is expected, but the line ends"), ""),
            Kind::Unterminated => {
                ("a string begins here and does not end on its line".to_owned(), "close it with `\"`")
            }
            _ => {
                let shown: String = self.text_of(self.token).chars().take(40).collect();
                (format!("{what} is expected, not `{shown}`"), "")
            }
        };
        SyntaxError::new(self.here(), message).help(help)
    }

    /// Goes to the end of a statement: a newline or `;` outside braces, a closing brace, or the end. Braces of sets and anonymous chains
    /// inside are passed over. Returns the place of the brace that is never closed, if there is one.
    ///
    /// In the braces of a set a line may end only where nft allows it, beside a brace or comma: so one forgotten brace costs one
    /// statement, not the rest of the file.
    pub(super) fn skim(&mut self, seen: &mut dyn FnMut(&Cursor<'a>)) -> Option<Origin> {
        // Open braces: place, and whether statements stand in them.
        let mut open: Vec<(Origin, bool)> = Vec::new();
        let mut previous = Kind::Newline;
        let mut jumps = false;
        loop {
            match self.kind() {
                Kind::End => return open.first().map(|b| b.0),
                Kind::Newline | Kind::Semicolon if open.is_empty() => return None,
                Kind::CloseBrace if open.is_empty() => return None,
                Kind::CloseBrace => {
                    open.pop();
                }
                Kind::OpenBrace => open.push((self.here(), jumps)),
                Kind::Newline if open.last().is_some_and(|b| !b.1) => {
                    let after_separator = matches!(
                        previous,
                        Kind::OpenBrace | Kind::Comma | Kind::Colon | Kind::Newline | Kind::CloseBrace
                    );
                    let mut ahead = *self;
                    ahead.skip_newlines();
                    if !after_separator
                        && !matches!(ahead.kind(), Kind::Comma | Kind::CloseBrace | Kind::Colon)
                    {
                        return open.last().map(|b| b.0);
                    }
                }
                _ => {}
            }
            jumps = self.at_word("jump") || self.at_word("goto");
            previous = self.kind();
            seen(self);
            if matches!(previous, Kind::Comma | Kind::OpenBrace) && open.last().is_some_and(|b| !b.1) {
                self.lexer.skip_plain_list();
            }
            self.advance();
        }
    }
}
