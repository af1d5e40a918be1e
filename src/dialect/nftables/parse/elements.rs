//! Elements of sets and maps.

use super::*;
use crate::dialect::nftables::v4::Span4;

/// Takes an element that is one word, range (high end) or prefix (length), and its place; false if it is not so simple.
pub(in crate::dialect::nftables) type Simple<'f> =
    dyn FnMut(&str, Option<&str>, Option<u8>, Origin) -> bool + 'f;

impl<'a> Parser<'a> {
    /// `{ element, … }`.
    pub(super) fn set(&mut self) -> Parsed<Expr<'a>> {
        let start = self.cursor.token.start;
        let mut elements = Vec::new();
        self.each_element(&mut |e| elements.push(e))?;
        Ok(Expr { kind: ExprKind::Set(elements), at: self.cursor.since(start) })
    }

    fn each_element(&mut self, take: &mut dyn FnMut(Element<'a>)) -> Parsed<()> {
        let open = self.cursor.here();
        if !self.cursor.eat(Kind::OpenBrace) {
            return Err(self.cursor.expected("`{`"));
        }
        loop {
            self.cursor.skip_newlines();
            if self.cursor.eat(Kind::CloseBrace) {
                return Ok(());
            }
            let e = self.element()?;
            take(e);
            let line_ended = self.cursor.kind() == Kind::Newline;
            self.cursor.skip_newlines();
            match self.cursor.kind() {
                Kind::Comma => {
                    self.cursor.advance();
                }
                Kind::CloseBrace => {}
                Kind::End | Kind::Newline => {
                    return Err(SyntaxError::new(open, "a `{` that is never closed")
                        .help("a `}` is missing behind the last element"));
                }
                _ if line_ended => {
                    return Err(SyntaxError::new(open, "a `{` that is not closed before the next line")
                        .help("a `}` or a `,` is missing at the end of a line"));
                }
                _ => return Err(self.cursor.expected("`,` or `}`")),
            }
        }
    }

    /// Elements of a named set: a whole `{ … }`, or a variable that holds one. Elements that are one bare word, prefix or range go to
    /// `simple`, without building a tree, while it takes them, those of IPv4 to `plain` if there is one; all others to `take`.
    pub(in crate::dialect::nftables) fn named_elements(
        mut self,
        mut plain: Option<&mut Vec<Span4>>,
        simple: &mut Simple<'_>,
        take: &mut dyn FnMut(Element<'a>),
    ) -> Parsed<()> {
        match self.cursor.kind() {
            Kind::OpenBrace => {}
            Kind::Dollar => {
                let e = self.variable(Parser::value)?;
                return self.take_value(e, take);
            }
            _ => {
                let e = self.element()?;
                take(e);
                return self.end();
            }
        }
        let open = self.cursor.here();
        self.cursor.advance();
        loop {
            self.cursor.skip_newlines();
            if let Some(take) = &mut plain {
                self.cursor.plain_addresses(take);
                self.cursor.skip_newlines();
            }
            while self.simple_element(simple) {}
            match self.cursor.kind() {
                Kind::CloseBrace => {
                    self.cursor.advance();
                    self.cursor.skip_newlines();
                    return self.end();
                }
                Kind::End => {
                    return Err(SyntaxError::new(open, "a `{` that is never closed")
                        .help("a `}` is missing behind the last element"));
                }
                _ => {}
            }
            let e = self.element()?;
            take(e);
            self.cursor.skip_newlines();
            match self.cursor.kind() {
                Kind::Comma => {
                    self.cursor.advance();
                }
                Kind::CloseBrace | Kind::End => {}
                _ => return Err(self.cursor.expected("`,` or `}`")),
            }
        }
    }

    fn take_value(&self, e: Expr<'a>, take: &mut dyn FnMut(Element<'a>)) -> Parsed<()> {
        match e.kind {
            ExprKind::Set(elements) => elements.into_iter().for_each(take),
            _ => take(Element { at: e.at, key: e, value: None, timed: false, guard: None }),
        }
        Ok(())
    }

    // `word`, `word/length` or `word-word`, directly followed by `,` or `}`: consumes it with its comma.
    fn simple_element(&mut self, simple: &mut Simple<'_>) -> bool {
        let Some(low) = self.cursor.word() else {
            return false;
        };
        let mut ahead = self.cursor;
        ahead.advance();
        let (mut high, mut length) = (None, None);
        match ahead.kind() {
            Kind::Dash => {
                ahead.advance();
                high = ahead.word();
                if high.is_none() {
                    return false;
                }
                ahead.advance();
            }
            Kind::Slash => {
                ahead.advance();
                length = ahead.word().and_then(|w| w.parse::<u8>().ok());
                if length.is_none() {
                    return false;
                }
                ahead.advance();
            }
            _ => {}
        }
        let at = ahead.since(self.cursor.token.start);
        ahead.skip_newlines();
        if !matches!(ahead.kind(), Kind::Comma | Kind::CloseBrace) || !simple(low, high, length, at) {
            return false;
        }
        if ahead.eat(Kind::Comma) {
            ahead.skip_newlines();
        }
        self.cursor = ahead;
        true
    }

    /// One element: key, options, and for maps `: value`.
    pub(super) fn element(&mut self) -> Parsed<Element<'a>> {
        let start = self.cursor.token.start;
        let key = self.deeper(Self::element_key)?;
        let mut e = Element { key, value: None, timed: false, guard: None, at: self.cursor.here() };
        self.element_options(&mut e)?;
        self.cursor.skip_newlines_before(Kind::Colon);
        if self.cursor.eat(Kind::Colon) {
            self.cursor.skip_newlines();
            e.value = Some(self.map_value()?);
            self.element_options(&mut e)?;
        }
        e.at = self.cursor.since(start);
        Ok(e)
    }

    // A value, or (in `add @set { ip saddr }`) selectors, or a set in a set.
    fn element_key(&mut self) -> Parsed<Expr<'a>> {
        let start = self.cursor.token.start;
        let first = self.element_part()?;
        if self.cursor.kind() != Kind::Dot {
            return Ok(first);
        }
        let mut parts = Vec::new();
        push_part(first, &mut parts);
        while self.cursor.eat(Kind::Dot) {
            self.cursor.skip_newlines();
            push_part(self.element_part()?, &mut parts);
        }
        Ok(Expr { kind: ExprKind::Concat(parts), at: self.cursor.since(start) })
    }

    fn element_part(&mut self) -> Parsed<Expr<'a>> {
        let start = self.cursor.token.start;
        if let Some(s) = self.selector_in_element()? {
            let mut e = Expr { kind: ExprKind::Selector(Box::new(s)), at: self.cursor.since(start) };
            if self.cursor.kind() == Kind::And || self.cursor.at_word("and") {
                self.cursor.advance();
                let mask = self.range()?;
                e = Expr {
                    kind: ExprKind::Bits(BitOp::And, Box::new(e), Box::new(mask)),
                    at: self.cursor.since(start),
                };
            }
            return Ok(e);
        }
        self.range()
    }

    fn map_value(&mut self) -> Parsed<MapValue<'a>> {
        if let Some(v) = self.verdict()? {
            return Ok(MapValue::Verdict(v));
        }
        Ok(MapValue::Expr(self.element_key()?))
    }

    fn element_options(&mut self, e: &mut Element<'a>) -> Parsed<()> {
        loop {
            match self.cursor.word() {
                Some("timeout") => {
                    self.cursor.advance();
                    let (span, _) = self.name("a time")?;
                    e.timed |= !matches!(&*span, "0s" | "0" | "never");
                }
                Some("expires") => {
                    self.cursor.advance();
                    self.name("a time")?;
                    e.timed = true;
                }
                Some("comment") => {
                    self.cursor.advance();
                    self.name("a comment")?;
                }
                Some("counter" | "limit" | "quota" | "last" | "ct") => {
                    if let Some(s) = self.stateful_statement()? {
                        e.guard = Some(s);
                    }
                }
                _ => return Ok(()),
            }
        }
    }
}

fn push_part<'a>(part: Expr<'a>, into: &mut Vec<Expr<'a>>) {
    match part.kind {
        ExprKind::Concat(parts) => into.extend(parts),
        _ => into.push(part),
    }
}
