//! Expressions.

use super::*;
use crate::dialect::nftables::datatype::{Type, number};
use crate::dialect::nftables::parse::MAX_OPERATORS;
use crate::dialect::nftables::selector::{self, Selector};
use crate::dialect::nftables::show;
use crate::packet::Family;
use crate::source::json::Kind;

impl<'a> Reader<'a> {
    fn made(&self, v: Value<'a>, kind: ExprKind<'a>) -> Expr<'a> {
        Expr { kind, at: self.at(v) }
    }

    /// Any expression.
    pub(super) fn expression(&mut self, v: Value<'a>) -> Parsed<Expr<'a>> {
        match v.kind() {
            Kind::Number | Kind::Bool => Ok(self.made(v, ExprKind::Word(self.word(v)?))),
            Kind::String => {
                let text = v.str().unwrap_or_default();
                Ok(match text.strip_prefix('@') {
                    Some(name) => self.made(v, ExprKind::Named(Text::Owned(name.to_owned()))),
                    None if text == "*" => self.made(v, ExprKind::Rest),
                    None => self.made(v, ExprKind::Word(text)),
                })
            }
            Kind::Array => {
                let parts = self.deeper(v, |r| v.items().map(|i| r.expression(i)).collect::<Parsed<_>>())?;
                Ok(self.made(v, ExprKind::List(parts)))
            }
            Kind::Object => self.deeper(v, |r| r.object(v)),
            Kind::Null | Kind::Invalid => Err(self.wrong(v, "an expression")),
        }
    }

    fn object(&mut self, v: Value<'a>) -> Parsed<Expr<'a>> {
        let (key, inner) = self.only(v)?;
        keys::check(inner, self.file as usize, keys::of_expression(&key))?;
        let kind = match &*key {
            "set" => ExprKind::Set(self.elements(inner)?),
            "concat" => ExprKind::Concat(inner.items().map(|i| self.expression(i)).collect::<Parsed<_>>()?),
            "range" => {
                let mut ends = inner.items().map(|i| self.expression(i)).collect::<Parsed<Vec<_>>>()?;
                match (ends.pop(), ends.pop()) {
                    (Some(high), Some(low)) => ExprKind::Range(Box::new(low), Box::new(high)),
                    _ => return Err(self.wrong(inner, "a list of two")),
                }
            }
            "prefix" => {
                let address = self.expression(self.member(inner, "addr")?)?;
                let length = self.member(inner, "len")?;
                let n = length.int().and_then(|n| u32::try_from(n).ok());
                ExprKind::Prefix(Box::new(address), n.ok_or_else(|| self.wrong(length, "a number"))?)
            }
            "elem" => return self.expression(self.member(inner, "val")?),
            "map" => {
                let key = self.expression(self.member(inner, "key")?)?;
                let data = self.expression(self.member(inner, "data")?)?;
                ExprKind::Map(Box::new(key), Box::new(data))
            }
            "&" | "|" | "^" | "<<" | ">>" => return self.operation(v, &key, inner),
            other => match self.selector(other, inner)? {
                Some(s) => ExprKind::Selector(Box::new(s)),
                None => {
                    return Err(SyntaxError::new(
                        self.at(v),
                        format!("the expression \"{other}\" is not known"),
                    ));
                }
            },
        };
        Ok(self.made(v, kind))
    }

    fn operation(&mut self, v: Value<'a>, sign: &str, operands: Value<'a>) -> Parsed<Expr<'a>> {
        let op = match sign {
            "&" => BitOp::And,
            "|" => BitOp::Or,
            "^" => BitOp::Xor,
            "<<" => BitOp::ShiftLeft,
            _ => BitOp::ShiftRight,
        };
        if operands.items().nth(MAX_OPERATORS).is_some() {
            let message = format!("more than {MAX_OPERATORS} operands in a row are not read");
            return Err(SyntaxError::new(self.at(v), message));
        }
        let mut out: Option<Expr<'a>> = None;
        for i in operands.items() {
            let next = self.expression(i)?;
            out = Some(match out {
                None => next,
                Some(left) => self.made(v, ExprKind::Bits(op, Box::new(left), Box::new(next))),
            });
        }
        out.ok_or_else(|| self.wrong(operands, "a list of operands"))
    }

    /// Elements of a set or map.
    pub(super) fn elements(&mut self, v: Value<'a>) -> Parsed<Vec<Element<'a>>> {
        if v.kind() != Kind::Array {
            return Ok(vec![self.element(v)?]);
        }
        v.items().map(|i| self.element(i)).collect()
    }

    fn element(&mut self, v: Value<'a>) -> Parsed<Element<'a>> {
        let at = self.at(v);
        let mut pair = v.items();
        if let (Kind::Array, Some(key), Some(value)) = (v.kind(), pair.next(), pair.next()) {
            let mut e = self.element(key)?;
            e.value = Some(self.map_value(value)?);
            e.at = at;
            return Ok(e);
        }
        let mut e = match v.get("elem") {
            None => {
                let key = self.expression(v)?;
                return Ok(Element { key, value: None, timed: false, guard: None, at });
            }
            Some(inner) => inner,
        };
        keys::check(e, self.file as usize, keys::of_expression("elem"))?;
        self.only(v)?;
        let mut out = Element {
            key: self.expression(self.member(e, "val")?)?,
            value: None,
            timed: e.get("expires").is_some(),
            guard: None,
            at,
        };
        out.timed |= e.get("timeout").is_some_and(|t| t.int() != Some(0));
        // Statements of the element stand beside its value, or in a list of their own.
        if let Some(list) = e.get("stmt") {
            for s in list.items() {
                if let Statement::Stateful(s) = self.statement(s)? {
                    out.guard = Some(s);
                }
            }
        }
        for kind in ["limit", "quota", "ct count"] {
            if let Some(s) = e.get(kind)
                && let Statement::Stateful(s) = self.statement_of(kind, s, e)?
            {
                out.guard = Some(s);
            }
        }
        e = v;
        out.at = self.at(e);
        Ok(out)
    }

    fn map_value(&mut self, v: Value<'a>) -> Parsed<MapValue<'a>> {
        if v.kind() == Kind::Object {
            let (key, inner) = self.only(v)?;
            if let Some(verdict) = self.verdict(&key, inner)? {
                return Ok(MapValue::Verdict(verdict));
            }
        }
        // A list here is a set in a set.
        Ok(MapValue::Expr(self.expression(v)?))
    }

    fn family(&self, v: Value<'a>) -> Option<Family> {
        match v.get("family")?.str()?.as_ref() {
            "ip" => Some(Family::V4),
            "ip6" => Some(Family::V6),
            _ => None,
        }
    }

    // What stands for something of the packet or the box; `None` if the key is no selector.
    fn selector(&mut self, key: &str, v: Value<'a>) -> Parsed<Option<Selector<'a>>> {
        let word = |k: &str| v.get(k).and_then(|m| self.word(m).ok());
        let found = match key {
            "payload" => self.payload(v)?,
            "meta" => word("key").and_then(|k| selector::meta(&k)),
            "ct" => {
                let direction = word("dir");
                let key = word("key").unwrap_or_default();
                let (family, key) = match key.split_once(' ') {
                    Some(("ip", k)) => (Some(Family::V4), k),
                    Some(("ip6", k)) => (Some(Family::V6), k),
                    _ => (self.family(v), &*key),
                };
                selector::ct(direction.as_deref(), family, key)
            }
            "fib" => {
                let flags: Vec<_> = match v.get("flags") {
                    Some(f) if f.kind() == Kind::Array => f.items().filter_map(|i| i.str()).collect(),
                    Some(f) => f.str().into_iter().collect(),
                    None => Vec::new(),
                };
                let flags: Vec<&str> = flags.iter().map(|f| &**f).collect();
                word("result").and_then(|r| selector::fib(&flags, &r))
            }
            "rt" => word("key").and_then(|k| selector::route(self.family(v), &k)),
            "socket" => word("key").map(|k| match word("level") {
                Some(l) => Selector::opaque(format!("socket {k} level {l}"), Type::Text),
                None => Selector::opaque(format!("socket {k}"), Type::Text),
            }),
            "osf" => word("key").map(|k| selector::osf(word("ttl").as_deref(), &k)),
            "ipsec" => match (word("dir"), word("key")) {
                (Some(d), Some(k)) => {
                    Some(selector::ipsec(&d, &word("spnum").unwrap_or("0".into()), self.family(v), &k))
                }
                _ => None,
            },
            "exthdr" => {
                let name = word("name").unwrap_or_default();
                let field = word("field").map(|f| match word("offset") {
                    Some(o) if name == "rt0" || name == "srh" => format!("{f}[{o}]"),
                    _ => f.into_owned(),
                });
                selector::extension(&name, field.as_deref())
            }
            "tcp option" | "ip option" | "dccp option" => {
                let header = key.split(' ').next().unwrap_or_default();
                match (word("name"), word("base").or_else(|| word("type"))) {
                    (Some(n), _) => Some(selector::option(header, &n, word("field").as_deref())),
                    (None, Some(base)) => {
                        let numbers =
                            [base, word("offset").unwrap_or_default(), word("len").unwrap_or_default()];
                        Some(selector::option_raw(header, &numbers))
                    }
                    _ => None,
                }
            }
            "sctp chunk" => word("name").map(|n| selector::chunk(&n, word("field").as_deref())),
            "numgen" | "jhash" | "symhash" => Some(self.generator(key, v)?),
            "tunnel" => word("key").map(|k| selector::tunnel(&k)),
            _ => return Ok(None),
        };
        match found {
            Some(s) => Ok(Some(s)),
            None => Err(SyntaxError::new(self.at(v), format!("this \"{key}\" is not known"))),
        }
    }

    fn payload(&mut self, v: Value<'a>) -> Parsed<Option<Selector<'a>>> {
        if let Some(base) = v.get("base") {
            let number = |k: &str| v.get(k).and_then(|n| n.int()).and_then(|n| u32::try_from(n).ok());
            let (Some(offset), Some(bits)) = (number("offset"), number("len")) else {
                return Ok(None);
            };
            return Ok(Some(selector::raw(&base.str().unwrap_or_default(), offset, bits)));
        }
        let header = self.member_word(v, "protocol")?;
        let field = self.member_word(v, "field")?;
        let found = selector::payload(&header, &field);
        Ok(match v.get("tunnel").and_then(|t| t.str()) {
            Some(tunnel) if tunnel != header => found.and_then(|f| selector::inner(&tunnel, f)),
            _ => found,
        })
    }

    fn generator(&mut self, kind: &str, v: Value<'a>) -> Parsed<Selector<'a>> {
        let mut text = kind.to_owned();
        if kind == "numgen" {
            text = format!("{text} {}", self.member_word(v, "mode")?);
        }
        if let Some(e) = v.get("expr") {
            let keys = self.expression(e)?;
            text = format!("{text} {}", show::expr(&keys));
        }
        let (mut modulus, mut first) = (0, 0);
        for option in ["mod", "seed", "offset"] {
            let Some(n) = v.get(option).and_then(|n| self.word(n).ok()).and_then(|w| number(&w)) else {
                continue;
            };
            match option {
                "mod" => modulus = n,
                "offset" => first = n,
                _ => {}
            }
            if !(option == "offset" && n == 0) {
                text = format!("{text} {option} {n}");
            }
        }
        Ok(selector::generator(text, kind, modulus, first))
    }
}
