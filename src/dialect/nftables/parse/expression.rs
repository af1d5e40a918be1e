//! Expressions: what stands left and right of a comparison, in sets and maps, and behind `set`.

use super::*;
use crate::dialect::nftables::datatype::number;

/// Each operator in a row makes the tree one level deeper.
pub(in crate::dialect::nftables) const MAX_OPERATORS: usize = 32;

impl<'a> Parser<'a> {
    fn expr(&self, kind: ExprKind<'a>, start: usize) -> Expr<'a> {
        Expr { kind, at: self.cursor.since(start) }
    }

    /// What is compared: selectors, joined by `.`, with operators on bits.
    pub(super) fn key(&mut self) -> Parsed<Expr<'a>> {
        let start = self.cursor.token.start;
        let first = self.bits(0, true)?;
        if self.cursor.kind() != Kind::Dot {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.cursor.eat(Kind::Dot) {
            self.cursor.skip_newlines();
            parts.push(self.bits(0, true)?);
        }
        Ok(self.expr(ExprKind::Concat(parts), start))
    }

    /// What something is compared with or set to, lists of flags included: `22`, `10.0.0.1-10.0.0.9`, `{ … }`, `@name`, `new,established`.
    pub(super) fn value(&mut self) -> Parsed<Expr<'a>> {
        let start = self.cursor.token.start;
        let mut left = self.list()?;
        if self.cursor.kind() == Kind::Slash {
            self.cursor.advance();
            let mask = self.list()?;
            left = self.expr(ExprKind::Masked(Box::new(left), Box::new(mask)), start);
        }
        Ok(left)
    }

    fn list(&mut self) -> Parsed<Expr<'a>> {
        let start = self.cursor.token.start;
        let first = self.element_value()?;
        if self.cursor.kind() != Kind::Comma {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.cursor.eat(Kind::Comma) {
            self.cursor.skip_newlines();
            parts.push(self.element_value()?);
        }
        Ok(self.expr(ExprKind::List(parts), start))
    }

    /// A value without commas: a concatenation of ranges, prefixes and words.
    pub(super) fn element_value(&mut self) -> Parsed<Expr<'a>> {
        let start = self.cursor.token.start;
        let first = self.range()?;
        if self.cursor.kind() != Kind::Dot {
            return Ok(first);
        }
        let mut parts = Vec::new();
        flatten(first, &mut parts);
        while self.cursor.eat(Kind::Dot) {
            self.cursor.skip_newlines();
            flatten(self.range()?, &mut parts);
        }
        Ok(self.expr(ExprKind::Concat(parts), start))
    }

    pub(super) fn range(&mut self) -> Parsed<Expr<'a>> {
        let start = self.cursor.token.start;
        let low = self.bits(0, false)?;
        if self.cursor.kind() != Kind::Dash {
            return Ok(low);
        }
        self.cursor.advance();
        self.cursor.skip_newlines();
        let high = self.bits(0, false)?;
        Ok(self.expr(ExprKind::Range(Box::new(low), Box::new(high)), start))
    }

    // Operators by binding strength: `|` weakest, then `^`, `&`, shifts.
    fn bits(&mut self, strength: u8, selectors: bool) -> Parsed<Expr<'a>> {
        let start = self.cursor.token.start;
        let mut left = self.operand(selectors)?;
        let mut operators = 0;
        loop {
            let (op, binds) = match self.cursor.kind() {
                Kind::Or => (BitOp::Or, 1),
                Kind::Xor => (BitOp::Xor, 2),
                Kind::And => (BitOp::And, 3),
                Kind::ShiftLeft => (BitOp::ShiftLeft, 4),
                Kind::ShiftRight => (BitOp::ShiftRight, 4),
                Kind::Word => match self.cursor.word() {
                    Some("or") => (BitOp::Or, 1),
                    Some("xor") => (BitOp::Xor, 2),
                    Some("and") => (BitOp::And, 3),
                    Some("lshift") => (BitOp::ShiftLeft, 4),
                    Some("rshift") => (BitOp::ShiftRight, 4),
                    _ => return Ok(left),
                },
                _ => return Ok(left),
            };
            if binds <= strength {
                return Ok(left);
            }
            operators += 1;
            if operators > MAX_OPERATORS {
                return Err(SyntaxError::new(
                    self.cursor.here(),
                    format!("more than {MAX_OPERATORS} operators in a row are not read"),
                ));
            }
            self.cursor.advance();
            let right = self.deeper(|p| p.bits(binds, selectors))?;
            left = self.expr(ExprKind::Bits(op, Box::new(left), Box::new(right)), start);
        }
    }

    fn operand(&mut self, selectors: bool) -> Parsed<Expr<'a>> {
        let start = self.cursor.token.start;
        match self.cursor.kind() {
            Kind::OpenParen => {
                self.cursor.advance();
                let inner = self.deeper(|p| if selectors { p.bits(0, true) } else { p.value() })?;
                if !self.cursor.eat(Kind::CloseParen) {
                    return Err(self.cursor.expected("`)`"));
                }
                Ok(inner)
            }
            Kind::OpenBrace => self.deeper(Self::set),
            Kind::OpenBracket => {
                self.cursor.advance();
                let token = self.cursor.advance();
                let text = self.cursor.text_of(token);
                if !self.cursor.eat(Kind::CloseBracket) {
                    return Err(self.cursor.expected("`]`"));
                }
                let word = self.expr(ExprKind::Word(text), start);
                self.prefix(word, start)
            }
            Kind::Dollar if selectors => self.deeper(|p| p.variable(|inner| inner.bits(0, true))),
            Kind::Dollar => {
                let value = self.deeper(|p| p.variable(Parser::value))?;
                self.prefix(value, start)
            }
            Kind::Star => {
                self.cursor.advance();
                Ok(self.expr(ExprKind::Rest, start))
            }
            Kind::At => self.at(),
            Kind::Quoted => {
                let token = self.cursor.advance();
                Ok(self.expr(ExprKind::Quoted(self.cursor.text_of(token)), start))
            }
            Kind::Word if selectors => match self.selector()? {
                Some(s) => Ok(self.expr(ExprKind::Selector(Box::new(s)), start)),
                None => self.constant(),
            },
            Kind::Word => self.constant(),
            Kind::Dash => {
                // A negative number: only priorities have one.
                self.cursor.advance();
                let token = self.cursor.advance();
                let text = format!("-{}", self.cursor.text_of(token));
                Ok(self.expr(ExprKind::Word(text.into()), start))
            }
            _ => Err(self.cursor.expected(if selectors { "something to match" } else { "a value" })),
        }
    }

    fn constant(&mut self) -> Parsed<Expr<'a>> {
        let start = self.cursor.token.start;
        let token = self.cursor.advance();
        let word = self.expr(ExprKind::Word(self.cursor.text_of(token)), start);
        self.prefix(word, start)
    }

    // `/length` behind a value, if it is one.
    fn prefix(&mut self, value: Expr<'a>, start: usize) -> Parsed<Expr<'a>> {
        if self.cursor.kind() != Kind::Slash {
            return Ok(value);
        }
        let next = self.cursor.peek();
        let length = (next.kind == Kind::Word).then(|| number(&self.cursor.text_of(next))).flatten();
        let Some(length) = length.and_then(|n| u32::try_from(n).ok()) else {
            return Ok(value);
        };
        self.cursor.advance();
        self.cursor.advance();
        Ok(self.expr(ExprKind::Prefix(Box::new(value), length), start))
    }

    // `@name`, or raw bytes: `@th,16,16`.
    fn at(&mut self) -> Parsed<Expr<'a>> {
        let start = self.cursor.token.start;
        self.cursor.advance();
        let (name, _) = self.name("the name of a set")?;
        if matches!(&*name, "ll" | "nh" | "th" | "ih") && self.cursor.kind() == Kind::Comma {
            let s = self.raw_payload(&name)?;
            return Ok(self.expr(ExprKind::Selector(Box::new(s)), start));
        }
        Ok(self.expr(ExprKind::Named(name), start))
    }

    /// What is written into a mark or field, or an address to translate to: a value, a selector, or `selector map { … }`.
    pub(super) fn assigned(&mut self) -> Parsed<Expr<'a>> {
        let start = self.cursor.token.start;
        if matches!(self.cursor.kind(), Kind::OpenBrace | Kind::Quoted | Kind::OpenBracket | Kind::Dash) {
            return self.value();
        }
        let left = self.key_or_value()?;
        if self.cursor.eat_word("map") {
            let map = self.map_of()?;
            return Ok(self.expr(ExprKind::Map(Box::new(left), Box::new(map)), start));
        }
        Ok(left)
    }

    fn key_or_value(&mut self) -> Parsed<Expr<'a>> {
        let start = self.cursor.token.start;
        let first = self.bits(0, true)?;
        match self.cursor.kind() {
            Kind::Dot => {
                let mut parts = vec![first];
                while self.cursor.eat(Kind::Dot) {
                    parts.push(self.bits(0, true)?);
                }
                Ok(self.expr(ExprKind::Concat(parts), start))
            }
            Kind::Dash => {
                self.cursor.advance();
                let high = self.bits(0, false)?;
                Ok(self.expr(ExprKind::Range(Box::new(first), Box::new(high)), start))
            }
            Kind::Comma => {
                let mut parts = vec![first];
                while self.cursor.eat(Kind::Comma) {
                    parts.push(self.bits(0, false)?);
                }
                Ok(self.expr(ExprKind::List(parts), start))
            }
            _ => Ok(first),
        }
    }

    /// The map behind `map` or `vmap`: `{ … }`, `@name` or a variable.
    pub(super) fn map_of(&mut self) -> Parsed<Expr<'a>> {
        match self.cursor.kind() {
            Kind::OpenBrace => self.deeper(Self::set),
            Kind::At => self.at(),
            Kind::Dollar => self.deeper(|p| p.variable(Parser::map_of)),
            _ => Err(self.cursor.expected("a map: `{ … }` or `@name`")),
        }
    }
}

fn flatten<'a>(part: Expr<'a>, into: &mut Vec<Expr<'a>>) {
    match part.kind {
        ExprKind::Concat(parts) => into.extend(parts),
        _ => into.push(part),
    }
}
