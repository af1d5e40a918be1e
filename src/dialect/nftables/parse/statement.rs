//! Statements of a rule.

use super::*;
use crate::dialect::nftables::show;

impl<'a> Parser<'a> {
    /// Statements up to the end of the rule.
    pub(super) fn statements(&mut self) -> Parsed<Rule<'a>> {
        let start = self.cursor.token.start;
        let mut statements = Vec::new();
        while !matches!(self.cursor.kind(), Kind::End | Kind::Newline | Kind::Semicolon | Kind::CloseBrace) {
            statements.push(self.statement()?);
        }
        Ok(Rule { statements, at: self.cursor.since(start) })
    }

    fn statement(&mut self) -> Parsed<Statement<'a>> {
        if let Some(v) = self.verdict()? {
            return Ok(Statement::Verdict(v));
        }
        let Some(word) = self.cursor.word() else {
            return self.comparison();
        };
        let next_is = |p: &Self, w: &str| {
            let next = p.cursor.peek();
            next.kind == Kind::Word && p.cursor.bytes_of(next) == w.as_bytes()
        };
        match word {
            "counter" | "tunnel" if next_is(self, "name") => {
                self.cursor.advance();
                self.cursor.advance();
                Ok(Statement::Lookup(self.assigned()?))
            }
            "counter" | "limit" | "quota" | "last" => self.stateful(),
            "ct" if next_is(self, "count") => self.stateful(),
            "comment" => {
                self.cursor.advance();
                self.name("a comment")?;
                Ok(Statement::Inert)
            }
            "log" => self.log(),
            "reject" => self.reject(),
            "queue" => self.queue(),
            "snat" | "dnat" | "masquerade" | "redirect" => self.nat(word),
            "notrack" => {
                self.cursor.advance();
                Ok(Statement::Notrack)
            }
            "add" | "update" | "delete" | "set" => self.update(word),
            "meter" => self.meter(),
            "flow" => self.flow(),
            "dup" | "fwd" | "tproxy" => self.copy_or_forward(word),
            "synproxy" => self.synproxy(),
            "reset" => self.reset(),
            "xt" => self.extension(),
            _ => self.comparison(),
        }
    }

    fn stateful(&mut self) -> Parsed<Statement<'a>> {
        Ok(self.stateful_statement()?.map_or(Statement::Inert, Statement::Stateful))
    }

    /// A verdict, if one begins at the cursor.
    pub(super) fn verdict(&mut self) -> Parsed<Option<Verdict<'a>>> {
        let verdict = match self.cursor.word() {
            Some("accept") => Verdict::Accept,
            Some("drop") => Verdict::Drop,
            Some("continue") => Verdict::Continue,
            Some("return") => Verdict::Return,
            Some(word @ ("jump" | "goto")) => {
                self.cursor.advance();
                let target = self.target()?;
                return Ok(Some(if word == "jump" { Verdict::Jump(target) } else { Verdict::Goto(target) }));
            }
            _ => return Ok(None),
        };
        self.cursor.advance();
        Ok(Some(verdict))
    }

    fn target(&mut self) -> Parsed<Target<'a>> {
        let start = self.cursor.token.start;
        if self.cursor.kind() != Kind::OpenBrace {
            let (name, at) = self.name("the name of a chain")?;
            return Ok(Target::Chain(name, at));
        }
        let rules = self.deeper(|p| {
            let open = p.cursor.here();
            p.cursor.advance();
            let mut rules = Vec::new();
            loop {
                match p.cursor.kind() {
                    Kind::Newline | Kind::Semicolon => {
                        p.cursor.advance();
                    }
                    Kind::CloseBrace => {
                        p.cursor.advance();
                        return Ok(rules);
                    }
                    Kind::End => {
                        return Err(SyntaxError::new(open, "a `{` that is never closed")
                            .help("a `}` is missing behind the last rule"));
                    }
                    _ => rules.push(p.statements()?),
                }
            }
        })?;
        Ok(Target::Anonymous(rules, self.cursor.since(start)))
    }

    // `selector [op] value`, `selector vmap { … }`, `selector set value`.
    fn comparison(&mut self) -> Parsed<Statement<'a>> {
        let here = self.cursor.here();
        let left = self.key()?;
        if !has_selector(&left) {
            let word = match &left.kind {
                ExprKind::Word(w) | ExprKind::Quoted(w) => w.clone().into_owned(),
                _ => "this".to_owned(),
            };
            return Err(SyntaxError::new(here, format!("`{word}` begins no statement"))
                .help("a rule is made of matches such as `tcp dport 22` and verdicts such as `accept`"));
        }
        let op = match self.cursor.kind() {
            Kind::Equal => Op::Equal,
            Kind::NotEqual => Op::NotEqual,
            Kind::Less => Op::Less,
            Kind::Greater => Op::Greater,
            Kind::LessEqual => Op::LessEqual,
            Kind::GreaterEqual => Op::GreaterEqual,
            Kind::Not => Op::NoneOf,
            Kind::Word => match self.cursor.word() {
                Some("vmap") => {
                    self.cursor.advance();
                    return Ok(Statement::VerdictMap { key: left, map: self.map_of()? });
                }
                Some("set") => {
                    self.cursor.advance();
                    return Ok(Statement::Assign { target: left, value: self.assigned()? });
                }
                Some("eq") => Op::Equal,
                Some("ne") => Op::NotEqual,
                Some("lt") => Op::Less,
                Some("gt") => Op::Greater,
                Some("le") => Op::LessEqual,
                Some("ge") => Op::GreaterEqual,
                _ => Op::Implicit,
            },
            _ => Op::Implicit,
        };
        if op != Op::Implicit {
            self.cursor.advance();
        }
        let right = self.value()?;
        Ok(Statement::Match { left, op, right })
    }

    fn log(&mut self) -> Parsed<Statement<'a>> {
        self.cursor.advance();
        loop {
            match self.cursor.word() {
                Some("prefix" | "level" | "group" | "snaplen" | "queue-threshold") => {
                    self.cursor.advance();
                    self.name("a value")?;
                }
                Some("flags") => {
                    self.cursor.advance();
                    let (what, _) = self.name("a kind of flags")?;
                    if matches!(&*what, "tcp" | "ip") {
                        self.name("`sequence` or `options`")?;
                        while self.cursor.eat(Kind::Comma) {
                            self.name("`sequence` or `options`")?;
                        }
                    }
                }
                _ => return Ok(Statement::Inert),
            }
        }
    }

    fn reject(&mut self) -> Parsed<Statement<'a>> {
        self.cursor.advance();
        if !self.cursor.eat_word("with") {
            return Ok(Statement::Reject(RejectWith::Any));
        }
        let (kind, at) = self.name("`icmp`, `icmpv6`, `icmpx` or `tcp reset`")?;
        let with = match &*kind {
            "tcp" => {
                if !self.cursor.eat_word("reset") {
                    return Err(self.cursor.expected("`reset`"));
                }
                return Ok(Statement::Reject(RejectWith::TcpReset));
            }
            "icmp" => RejectWith::Icmp,
            "icmpv6" => RejectWith::Icmpv6,
            "icmpx" => RejectWith::Any,
            _ => return Err(SyntaxError::new(at, format!("`{kind}` is no answer of `reject`"))),
        };
        self.cursor.eat_word("type");
        self.name("what the answer says")?;
        Ok(Statement::Reject(with))
    }

    fn queue(&mut self) -> Parsed<Statement<'a>> {
        self.cursor.advance();
        loop {
            match self.cursor.word() {
                Some("num" | "to") => {
                    self.cursor.advance();
                    self.assigned()?;
                }
                Some("flags") => {
                    self.cursor.advance();
                    self.value()?;
                }
                Some("bypass" | "fanout") => {
                    self.cursor.advance();
                    self.cursor.eat(Kind::Comma);
                }
                _ => return Ok(Statement::Verdict(Verdict::Queue("queue".to_owned()))),
            }
        }
    }

    fn nat(&mut self, word: &str) -> Parsed<Statement<'a>> {
        self.cursor.advance();
        let mut nat = Nat {
            source: matches!(word, "snat" | "masquerade"),
            own: matches!(word, "masquerade" | "redirect"),
            family: None,
            address: None,
            port: None,
            prefix: false,
        };
        // `snat ip to …`, but `snat ip saddr map …`.
        let next = self.cursor.peek();
        if matches!(self.cursor.bytes_of(next), b"to" | b"prefix" | b"interval" | b"addr") {
            nat.family = self.family_word();
        }
        loop {
            match self.cursor.word() {
                Some("prefix") => {
                    nat.prefix = true;
                    self.cursor.advance();
                }
                Some("interval" | "addr" | "port") => {
                    self.cursor.advance();
                    self.cursor.eat(Kind::Dot);
                }
                _ => break,
            }
        }
        let to = self.cursor.eat_word("to") || self.cursor.kind() == Kind::Colon;
        // Old versions went without the `to`.
        if to || !nat.own {
            if self.cursor.kind() != Kind::Colon {
                nat.address = Some(self.assigned()?);
            }
            if self.cursor.eat(Kind::Colon) {
                nat.port = Some(self.assigned()?);
            }
            if nat.own && nat.port.is_none() {
                nat.port = nat.address.take();
            }
        }
        while let Some("random" | "fully-random" | "persistent") = self.cursor.word() {
            self.cursor.advance();
            self.cursor.eat(Kind::Comma);
        }
        Ok(Statement::Nat(Box::new(nat)))
    }

    // `add @set { key … }`, and the old `set add key @set`.
    fn update(&mut self, word: &str) -> Parsed<Statement<'a>> {
        self.cursor.advance();
        if word == "set" {
            let (op, _) = self.name("`add`, `update` or `delete`")?;
            let mut key = self.key()?;
            if let ExprKind::Word(_) = key.kind {
                key = self.key()?;
            }
            while self.cursor.eat_word("timeout") {
                self.name("a time")?;
            }
            let at = self.cursor.here();
            let set = self.map_of()?;
            let ExprKind::Named(name) = &set.kind else {
                return Err(SyntaxError::new(at, "`@` and the name of a set is expected"));
            };
            return Ok(show::update(&op, name, key, Vec::new()));
        }
        if !self.cursor.eat(Kind::At) {
            return Err(self.cursor.expected("`@` and the name of a set"));
        }
        let (set, _) = self.name("the name of a set")?;
        self.update_elements(word, &set)
    }

    fn update_elements(&mut self, op: &str, set: &str) -> Parsed<Statement<'a>> {
        if !self.cursor.eat(Kind::OpenBrace) {
            return Err(self.cursor.expected("`{`"));
        }
        self.cursor.skip_newlines();
        let e = self.element()?;
        self.cursor.skip_newlines();
        if !self.cursor.eat(Kind::CloseBrace) {
            return Err(self.cursor.expected("`}`"));
        }
        Ok(show::update(op, set, e.key, e.guard.into_iter().collect()))
    }

    fn meter(&mut self) -> Parsed<Statement<'a>> {
        self.cursor.advance();
        let (name, _) = self.name("the name of a meter")?;
        if self.cursor.eat_word("size") {
            self.name("a number")?;
        }
        self.update_elements("meter", &name)
    }

    fn flow(&mut self) -> Parsed<Statement<'a>> {
        self.cursor.advance();
        self.name("`add`")?;
        if !self.cursor.eat(Kind::At) {
            return Err(self.cursor.expected("`@` and the name of a flowtable"));
        }
        let (name, _) = self.name("the name of a flowtable")?;
        Ok(show::flow(&name))
    }

    fn copy_or_forward(&mut self, word: &str) -> Parsed<Statement<'a>> {
        self.cursor.advance();
        self.family_word();
        if !self.cursor.eat_word("to") {
            return Err(self.cursor.expected("`to`"));
        }
        if self.cursor.kind() != Kind::Colon {
            self.assigned()?;
        }
        if self.cursor.eat(Kind::Colon) {
            self.assigned()?;
        }
        if self.cursor.eat_word("device") {
            self.assigned()?;
        }
        Ok(show::copy_or_forward(word))
    }

    fn synproxy(&mut self) -> Parsed<Statement<'a>> {
        self.cursor.advance();
        loop {
            match self.cursor.word() {
                Some("mss" | "wscale") => {
                    self.cursor.advance();
                    self.name("a number")?;
                }
                Some("timestamp" | "sack-perm" | "sack-permitted") => {
                    self.cursor.advance();
                }
                Some("name") => {
                    self.cursor.advance();
                    self.assigned()?;
                }
                _ => return Ok(show::synproxy()),
            }
        }
    }

    // `reset tcp option NAME`.
    fn reset(&mut self) -> Parsed<Statement<'a>> {
        let start = self.cursor.token.start;
        self.cursor.advance();
        let target = self.key()?;
        let value = Expr { kind: ExprKind::Rest, at: self.cursor.since(start) };
        Ok(Statement::Assign { target, value })
    }

    fn extension(&mut self) -> Parsed<Statement<'a>> {
        self.cursor.advance();
        let (kind, _) = self.name("`match` or `target`")?;
        let (name, _) = self.name("the name of an extension")?;
        Ok(show::extension(&kind, &name))
    }
}

fn has_selector(e: &Expr<'_>) -> bool {
    match &e.kind {
        ExprKind::Selector(_) => true,
        ExprKind::Concat(parts) => parts.iter().any(has_selector),
        ExprKind::Bits(_, a, b) => has_selector(a) || has_selector(b),
        _ => false,
    }
}
