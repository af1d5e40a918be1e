//! Words that select something of the packet or the box.

use super::*;
use crate::dialect::nftables::datatype::Type;
use crate::dialect::nftables::selector::{self, Selector};
use crate::packet::Family;

impl<'a> Parser<'a> {
    fn take(&mut self) -> Text<'a> {
        let token = self.cursor.advance();
        self.cursor.text_of(token)
    }

    fn peek_word(&self) -> Option<Text<'a>> {
        let next = self.cursor.peek();
        (next.kind == Kind::Word).then(|| self.cursor.text_of(next))
    }

    /// The selector that begins at the cursor; `None` if the word there begins none.
    pub(super) fn selector(&mut self) -> Parsed<Option<Selector<'a>>> {
        let Some(word) = self.cursor.word() else {
            return Ok(None);
        };
        if selector::HEADERS.contains(&word) {
            return self.header(word);
        }
        if selector::EXTENSION_HEADERS.contains(&word) {
            return self.extension_header(word).map(Some);
        }
        let found = match word {
            "meta" => {
                self.cursor.advance();
                let (key, at) = self.name("a key of `meta`")?;
                selector::meta(&key)
                    .ok_or_else(|| SyntaxError::new(at, format!("`meta {key}` is not known")))?
            }
            "ct" => return self.conntrack(),
            "fib" => self.fib()?,
            "rt" => self.routing()?,
            "socket" => self.socket()?,
            "osf" => self.os_fingerprint()?,
            "ipsec" => self.ipsec()?,
            "exthdr" => {
                self.cursor.advance();
                let (header, at) = self.name("an extension header")?;
                selector::extension(&header, None).ok_or_else(|| SyntaxError::new(at, "no such header"))?
            }
            "numgen" | "jhash" | "symhash" => self.generator()?,
            "tunnel" => {
                self.cursor.advance();
                selector::tunnel(&self.take())
            }
            bare if selector::BARE_META.contains(&bare) => {
                self.cursor.advance();
                match selector::meta(bare) {
                    Some(s) => s,
                    None => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(found))
    }

    /// A selector inside a set's braces, where most words are values: only where its second word leaves no doubt.
    pub(super) fn selector_in_element(&mut self) -> Parsed<Option<Selector<'a>>> {
        if self.cursor.kind() == Kind::At {
            let mut ahead = self.cursor;
            ahead.advance();
            if matches!(ahead.word(), Some("ll" | "nh" | "th" | "ih")) && ahead.peek().kind == Kind::Comma {
                self.cursor.advance();
                let base = self.take();
                return self.raw_payload(&base).map(Some);
            }
            return Ok(None);
        }
        let Some(word) = self.cursor.word() else {
            return Ok(None);
        };
        let second = self.peek_word();
        let is_selector = match (word, second.as_deref()) {
            (
                "meta" | "ct" | "fib" | "rt" | "socket" | "osf" | "ipsec" | "exthdr" | "numgen" | "jhash",
                Some(_),
            ) => true,
            ("iif" | "oif" | "iifname" | "oifname" | "mark", s) => {
                matches!(
                    s,
                    None | Some("timeout" | "expires" | "limit" | "counter" | "quota" | "comment" | "ct")
                )
            }
            (header, Some(field)) if selector::HEADERS.contains(&header) => {
                selector::payload(header, field).is_some() || selector::HEADERS.contains(&field)
            }
            _ => false,
        };
        if is_selector { self.selector() } else { Ok(None) }
    }

    fn header(&mut self, header: &'a str) -> Parsed<Option<Selector<'a>>> {
        let Some(second) = self.peek_word() else {
            return Ok(None);
        };
        match (header, &*second) {
            ("tcp" | "ip" | "dccp", "option") => return self.option(header).map(Some),
            ("sctp", "chunk") => return self.chunk().map(Some),
            ("arp", "saddr" | "daddr") => {
                self.cursor.advance();
                self.cursor.advance();
                let kind = self.take();
                let field = format!("{second} {kind}");
                return selector::payload(header, &field)
                    .map(Some)
                    .ok_or_else(|| self.cursor.expected("`ip` or `ether`"));
            }
            _ => {}
        }
        if let Some(s) = selector::payload(header, &second) {
            self.cursor.advance();
            self.cursor.advance();
            return Ok(Some(s));
        }
        let tunnels = ["gre", "gretap", "geneve", "vxlan"];
        if tunnels.contains(&header) && selector::HEADERS.contains(&&*second) {
            self.cursor.advance();
            let word = self.cursor.word().unwrap_or_default();
            return match self.deeper(|p| p.header(word))? {
                Some(field) => Ok(selector::inner(header, field)),
                None => Err(self.cursor.expected("a header field")),
            };
        }
        let start = self.cursor.token.start;
        self.cursor.advance();
        self.cursor.advance();
        Err(SyntaxError::new(self.cursor.since(start), format!("`{header}` has no field `{second}`")))
    }

    fn extension_header(&mut self, header: &str) -> Parsed<Selector<'a>> {
        self.cursor.advance();
        let (field, at) = self.name("a field of the header")?;
        let mut field = field.into_owned();
        if self.cursor.eat(Kind::OpenBracket) {
            let index = self.take();
            if !self.cursor.eat(Kind::CloseBracket) {
                return Err(self.cursor.expected("`]`"));
            }
            field = format!("{field}[{index}]");
        }
        selector::extension(header, Some(&field))
            .ok_or_else(|| SyntaxError::new(at, format!("`{header}` has no field `{field}`")))
    }

    // `tcp option NAME [FIELD]`, `tcp option @kind,offset,length`.
    fn option(&mut self, header: &str) -> Parsed<Selector<'a>> {
        self.cursor.advance();
        self.cursor.advance();
        if self.cursor.eat(Kind::At) {
            let numbers = self.comma_numbers()?;
            return Ok(selector::option_raw(header, &numbers));
        }
        let (name, _) = self.name("the name of an option")?;
        let next = self.cursor.word();
        let field = next.filter(|f| selector::is_option_field(f)).inspect(|_| {
            self.cursor.advance();
        });
        Ok(selector::option(header, &name, field))
    }

    fn chunk(&mut self) -> Parsed<Selector<'a>> {
        self.cursor.advance();
        self.cursor.advance();
        let (name, _) = self.name("a chunk")?;
        let field = match self.cursor.word() {
            None | Some("exists" | "missing") => None,
            Some(f) => {
                self.cursor.advance();
                Some(f)
            }
        };
        Ok(selector::chunk(&name, field))
    }

    // `1,2,3`.
    fn comma_numbers(&mut self) -> Parsed<Vec<Text<'a>>> {
        let mut out = vec![self.name("a number")?.0];
        while self.cursor.eat(Kind::Comma) {
            out.push(self.name("a number")?.0);
        }
        Ok(out)
    }

    /// `@BASE,OFFSET,LENGTH`, at the first comma.
    pub(super) fn raw_payload(&mut self, base: &str) -> Parsed<Selector<'a>> {
        let mut numbers = [0u32; 2];
        for n in &mut numbers {
            if !self.cursor.eat(Kind::Comma) {
                return Err(self.cursor.expected("`,`"));
            }
            let (word, at) = self.name("a number of bits")?;
            *n = word.parse().map_err(|_| SyntaxError::new(at, format!("`{word}` is no number of bits")))?;
        }
        Ok(selector::raw(base, numbers[0], numbers[1]))
    }

    fn conntrack(&mut self) -> Parsed<Option<Selector<'a>>> {
        let start = self.cursor.token.start;
        self.cursor.advance();
        let direction = match self.cursor.word() {
            Some(d @ ("original" | "reply")) => {
                self.cursor.advance();
                Some(d)
            }
            _ => None,
        };
        let family = self.family_word();
        let (key, _) = self.name("a key of `ct`")?;
        selector::ct(direction, family, &key)
            .map(Some)
            .ok_or_else(|| SyntaxError::new(self.cursor.since(start), format!("`ct {key}` is not known")))
    }

    pub(super) fn family_word(&mut self) -> Option<Family> {
        match self.cursor.word() {
            Some("ip") => {
                self.cursor.advance();
                Some(Family::V4)
            }
            Some("ip6") => {
                self.cursor.advance();
                Some(Family::V6)
            }
            _ => None,
        }
    }

    fn fib(&mut self) -> Parsed<Selector<'a>> {
        let start = self.cursor.token.start;
        self.cursor.advance();
        let mut flags = vec![self.name("`saddr` or `daddr`")?.0];
        while self.cursor.eat(Kind::Dot) {
            flags.push(self.name("`mark`, `iif` or `oif`")?.0);
        }
        let (result, _) = self.name("`type`, `oif` or `oifname`")?;
        let flags: Vec<&str> = flags.iter().map(|f| &**f).collect();
        selector::fib(&flags, &result).ok_or_else(|| {
            SyntaxError::new(self.cursor.since(start), format!("`fib … {result}` is not known"))
        })
    }

    // `rt classid`, `rt [ip|ip6] nexthop`, `rt mtu`, `rt ipsec`; or the routing header.
    fn routing(&mut self) -> Parsed<Selector<'a>> {
        match self.peek_word().as_deref() {
            Some("nexthdr" | "hdrlength" | "type" | "seg-left") => self.extension_header("rt"),
            _ => {
                self.cursor.advance();
                let family = self.family_word();
                let (key, at) = self.name("a key of `rt`")?;
                selector::route(family, &key)
                    .ok_or_else(|| SyntaxError::new(at, format!("`rt {key}` is not known")))
            }
        }
    }

    fn socket(&mut self) -> Parsed<Selector<'a>> {
        self.cursor.advance();
        let (key, _) = self.name("a key of `socket`")?;
        let mut text = format!("socket {key}");
        if key == "cgroupv2" && self.cursor.eat_word("level") {
            text = format!("{text} level {}", self.name("a number")?.0);
        }
        Ok(Selector::opaque(text, Type::Text))
    }

    fn os_fingerprint(&mut self) -> Parsed<Selector<'a>> {
        self.cursor.advance();
        let ttl = if self.cursor.eat_word("ttl") { Some(self.name("`loose` or `skip`")?.0) } else { None };
        let (key, _) = self.name("`name` or `version`")?;
        Ok(selector::osf(ttl.as_deref(), &key))
    }

    fn ipsec(&mut self) -> Parsed<Selector<'a>> {
        self.cursor.advance();
        let (direction, _) = self.name("`in` or `out`")?;
        let spnum =
            if self.cursor.eat_word("spnum") { self.name("a number")?.0 } else { Text::Borrowed("0") };
        let family = self.family_word();
        let (key, _) = self.name("a key of `ipsec`")?;
        Ok(selector::ipsec(&direction, &spnum, family, &key))
    }

    // `numgen inc mod 2 offset 100`, `jhash ip saddr . ip daddr mod 2 seed 0x1`, `symhash mod 2`.
    fn generator(&mut self) -> Parsed<Selector<'a>> {
        let kind = self.take();
        let mut text = kind.clone().into_owned();
        let (mut modulus, mut first) = (0, 0);
        match &*kind {
            "numgen" => text = format!("{text} {}", self.name("`inc` or `random`")?.0),
            "jhash" => {
                let keys = self.deeper(Parser::key)?;
                text = format!("{text} {}", super::super::show::expr(&keys));
            }
            _ => {}
        }
        while let Some(option @ ("mod" | "offset" | "seed")) = self.cursor.word() {
            self.cursor.advance();
            let (value, at) = self.name("a number")?;
            let n = super::super::datatype::number(&value)
                .ok_or_else(|| SyntaxError::new(at, format!("`{value}` is no number")))?;
            match option {
                "mod" => modulus = n,
                "offset" => first = n,
                _ => {}
            }
            // An offset of nothing is not printed.
            if !(option == "offset" && n == 0) {
                text = format!("{text} {option} {n}");
            }
        }
        Ok(selector::generator(text, &kind, modulus, first))
    }
}
