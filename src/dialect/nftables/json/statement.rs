//! Statements.

use super::*;
use crate::dialect::nftables::show;
use crate::packet::Family;
use crate::source::json::Kind;

impl<'a> Reader<'a> {
    /// A rule: the list of its statements.
    pub(super) fn rule(&mut self, v: Value<'a>) -> Parsed<Rule<'a>> {
        let mut statements = Vec::new();
        for s in v.items() {
            if s.kind() == Kind::String {
                statements.extend(self.snippet(s)?.statements);
            } else {
                statements.push(self.statement(s)?);
            }
        }
        Ok(Rule { statements, at: self.at(v) })
    }

    pub(super) fn statement(&mut self, v: Value<'a>) -> Parsed<Statement<'a>> {
        let (key, inner) = self.only(v)?;
        self.statement_of(&key, inner, v)
    }

    /// A statement by its key; `whole` is the object that holds it.
    pub(super) fn statement_of(
        &mut self,
        key: &str,
        v: Value<'a>,
        whole: Value<'a>,
    ) -> Parsed<Statement<'a>> {
        keys::check(v, self.file as usize, keys::of_statement(key))?;
        if let Some(verdict) = self.verdict(key, v)? {
            return Ok(Statement::Verdict(verdict));
        }
        Ok(match key {
            "match" => self.comparison(v)?,
            "vmap" => {
                let key = self.expression(self.member(v, "key")?)?;
                Statement::VerdictMap { key, map: self.expression(self.member(v, "data")?)? }
            }
            "mangle" => {
                let target = self.expression(self.member(v, "key")?)?;
                Statement::Assign { target, value: self.expression(self.member(v, "value")?)? }
            }
            "counter" if v.get("map").is_some() => Statement::Lookup(self.expression(v)?),
            "counter" | "log" | "last" | "comment" | "secmark" => Statement::Inert,
            "ct helper" | "ct timeout" | "ct expectation" | "tunnel" => {
                // As in text: `ct helper set …`.
                let value = self.expression(v)?;
                Statement::Lookup(value)
            }
            "limit" => self.limit(v)?,
            "quota" => self.quota(v)?,
            "ct count" => {
                let count = self.member_word(v, "val")?;
                Statement::Stateful(show::count(self.inverted(v), &count))
            }
            "reject" => self.reject(v)?,
            "snat" | "dnat" | "masquerade" | "redirect" => self.nat(key, v)?,
            "notrack" => Statement::Notrack,
            "set" | "map" => self.update(key, v)?,
            "meter" => {
                let name = self.member_word(v, "name")?;
                let key = self.expression(self.member(v, "key")?)?;
                let guards = match v.get("stmt") {
                    Some(s) => match self.statement(s)? {
                        Statement::Stateful(s) => vec![s],
                        _ => Vec::new(),
                    },
                    None => Vec::new(),
                };
                show::update("meter", &name, key, guards)
            }
            "flow" => show::flow(self.member_word(v, "flowtable")?.trim_start_matches('@')),
            "dup" | "fwd" | "tproxy" => show::copy_or_forward(key),
            "synproxy" => show::synproxy(),
            "queue" => Statement::Verdict(Verdict::Queue("queue".to_owned())),
            "reset" => {
                let target = self.expression(v)?;
                Statement::Assign { target, value: Expr { kind: ExprKind::Rest, at: self.at(whole) } }
            }
            "xt" => match (v.get("type"), v.get("name")) {
                (Some(t), Some(n)) => {
                    show::extension(&t.str().unwrap_or_default(), &n.str().unwrap_or_default())
                }
                _ => show::extension("match", "?"),
            },
            other => {
                return Err(SyntaxError::new(
                    self.at(whole),
                    format!("the statement \"{other}\" is not known"),
                ));
            }
        })
    }

    /// A verdict; `None` if the key is none.
    pub(super) fn verdict(&mut self, key: &str, v: Value<'a>) -> Parsed<Option<Verdict<'a>>> {
        Ok(Some(match key {
            "accept" => Verdict::Accept,
            "drop" => Verdict::Drop,
            "continue" => Verdict::Continue,
            "return" => Verdict::Return,
            "jump" => Verdict::Jump(self.target(v)?),
            "goto" => Verdict::Goto(self.target(v)?),
            _ => return Ok(None),
        }))
    }

    fn target(&self, v: Value<'a>) -> Parsed<Target<'a>> {
        let target = self.member(v, "target")?;
        Ok(Target::Chain(self.word(target)?, self.at(target)))
    }

    fn inverted(&self, v: Value<'a>) -> bool {
        v.get("inv").and_then(|i| i.bool()) == Some(true)
    }

    fn comparison(&mut self, v: Value<'a>) -> Parsed<Statement<'a>> {
        let op = match &*self.member_word(v, "op")? {
            "in" => Op::Implicit,
            "==" => Op::Equal,
            "!=" => Op::NotEqual,
            "<" => Op::Less,
            ">" => Op::Greater,
            "<=" => Op::LessEqual,
            ">=" => Op::GreaterEqual,
            "!" => Op::NoneOf,
            other => {
                return Err(SyntaxError::new(self.at(v), format!("the comparison \"{other}\" is not known")));
            }
        };
        let left = self.expression(self.member(v, "left")?)?;
        let right = self.expression(self.member(v, "right")?)?;
        Ok(Statement::Match { left, op, right })
    }

    fn amount(&self, v: Value<'a>, key: &str, unit: &str) -> Parsed<show::Amount> {
        let word = self.member_word(v, key)?;
        let n = word.parse().map_err(|_| self.wrong(v, "a number"))?;
        let unit = match v.get(unit).and_then(|u| u.str()) {
            Some(u) => show::unit(&u).ok_or_else(|| self.wrong(v, "a unit such as \"kbytes\""))?,
            None => None,
        };
        Ok((n, unit))
    }

    fn limit(&mut self, v: Value<'a>) -> Parsed<Statement<'a>> {
        if v.get("rate").is_none() {
            return Ok(Statement::Stateful(Stateful::Object { kind: "limit", name: self.expression(v)? }));
        }
        let rate = self.amount(v, "rate", "rate_unit")?;
        let burst = match v.get("burst") {
            Some(_) => Some(self.amount(v, "burst", "burst_unit")?),
            None => None,
        };
        let per = self.member_word(v, "per")?;
        Ok(Statement::Stateful(show::limit(self.inverted(v), rate, &per, burst)))
    }

    fn quota(&mut self, v: Value<'a>) -> Parsed<Statement<'a>> {
        if v.get("val").is_none() {
            return Ok(Statement::Stateful(Stateful::Object { kind: "quota", name: self.expression(v)? }));
        }
        let amount = self.amount(v, "val", "val_unit")?;
        Ok(Statement::Stateful(show::quota(self.inverted(v), amount)))
    }

    fn reject(&mut self, v: Value<'a>) -> Parsed<Statement<'a>> {
        let with = match v.get("type").and_then(|t| t.str()).as_deref() {
            None | Some("icmpx") => RejectWith::Any,
            Some("tcp reset") => RejectWith::TcpReset,
            Some("icmp") => RejectWith::Icmp,
            Some("icmpv6") => RejectWith::Icmpv6,
            Some(other) => {
                return Err(SyntaxError::new(self.at(v), format!("`{other}` is no answer of a reject")));
            }
        };
        Ok(Statement::Reject(with))
    }

    fn nat(&mut self, key: &str, v: Value<'a>) -> Parsed<Statement<'a>> {
        let family = match v.get("family").and_then(|f| f.str()).as_deref() {
            Some("ip") => Some(Family::V4),
            Some("ip6") => Some(Family::V6),
            None => None,
            Some(other) => {
                return Err(SyntaxError::new(self.at(v), format!("`{other}` is no family of a translation")));
            }
        };
        let mut optional = |name: &str| match v.get(name) {
            Some(m) => self.expression(m).map(Some),
            None => Ok(None),
        };
        let (address, port) = (optional("addr")?, optional("port")?);
        let prefix = match v.get("type_flags") {
            None => false,
            Some(flags) => {
                let words: Vec<_> =
                    flags.str().into_iter().chain(flags.items().filter_map(|i| i.str())).collect();
                if let Some(other) = words.iter().find(|w| !matches!(&***w, "interval" | "prefix" | "concat"))
                {
                    return Err(SyntaxError::new(
                        self.at(flags),
                        format!("`{other}` is no way to translate"),
                    ));
                }
                words.iter().any(|w| w == "prefix")
            }
        };
        Ok(Statement::Nat(Box::new(Nat {
            source: matches!(key, "snat" | "masquerade"),
            own: matches!(key, "masquerade" | "redirect"),
            family,
            address,
            port,
            prefix,
        })))
    }

    // `{"op": "add", "elem": …, "set": "@name", "stmt": […]}`.
    fn update(&mut self, key: &str, v: Value<'a>) -> Parsed<Statement<'a>> {
        let op = self.member_word(v, "op")?;
        let name = self.member_word(v, key)?;
        let elem = self.member(v, "elem")?;
        let elements = self.elements(elem)?;
        let mut guards = Vec::new();
        let mut keys = elements.into_iter();
        let Some(first) = keys.next() else {
            return Err(self.wrong(elem, "an element"));
        };
        guards.extend(first.guard);
        if let Some(list) = v.get("stmt") {
            for s in list.items() {
                if let Statement::Stateful(s) = self.statement(s)? {
                    guards.push(s);
                }
            }
        }
        Ok(show::update(&op, name.trim_start_matches('@'), first.key, guards))
    }
}
