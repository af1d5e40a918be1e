//! Statements whose answer depends on earlier packets: limits, quotas, counts; and counters, which answer nothing.

use super::*;
use crate::dialect::nftables::show;

impl<'a> Parser<'a> {
    /// A counter, limit, quota, connection count or "last used", as it stands in rules and elements. `None` if it cannot hold a packet
    /// back.
    pub(super) fn stateful_statement(&mut self) -> Parsed<Option<Stateful<'a>>> {
        match self.cursor.word() {
            Some("counter") => {
                self.cursor.advance();
                if self.cursor.eat_word("name") {
                    self.assigned()?;
                }
                while self.cursor.eat_word("packets") || self.cursor.eat_word("bytes") {
                    self.name("a number")?;
                }
                Ok(None)
            }
            Some("last") => {
                self.cursor.advance();
                if self.cursor.eat_word("used") {
                    self.name("a time")?;
                }
                Ok(None)
            }
            Some("limit") => self.limit().map(Some),
            Some("quota") => self.quota().map(Some),
            Some("ct") => self.connection_count().map(Some),
            _ => Err(self.cursor.expected("a limit, quota or counter")),
        }
    }

    fn limit(&mut self) -> Parsed<Stateful<'a>> {
        self.cursor.advance();
        if self.cursor.eat_word("name") {
            return Ok(Stateful::Object { kind: "limit", name: self.assigned()? });
        }
        self.limit_rate()
    }

    /// `rate [over] 400/minute [burst 5 packets]`.
    pub(super) fn limit_rate(&mut self) -> Parsed<Stateful<'a>> {
        if !self.cursor.eat_word("rate") {
            return Err(self.cursor.expected("`rate` or `name`"));
        }
        let over = self.over();
        let rate = self.amount()?;
        let unit = self.per()?;
        let burst = if self.cursor.eat_word("burst") { Some(self.amount()?) } else { None };
        Ok(show::limit(over, rate, &unit, burst))
    }

    fn over(&mut self) -> bool {
        let over = self.cursor.eat_word("over");
        if !over {
            self.cursor.eat_word("until");
        }
        over
    }

    // `/minute`, which may depend on the word before (`kbytes/second`): then `amount` has left it in `pending`.
    fn per(&mut self) -> Parsed<String> {
        if let Some(unit) = self.pending_unit.take() {
            return Ok(unit);
        }
        if !self.cursor.eat(Kind::Slash) {
            return Err(self.cursor.expected("`/second`, `/minute`, …"));
        }
        Ok(self.name("`second`, `minute`, `hour`, `day` or `week`")?.0.into_owned())
    }

    /// `20`, `20 packets`, `10 mbytes`, `512bytes`: the number, and bytes for a unit of bytes.
    fn amount(&mut self) -> Parsed<(u128, Option<u128>)> {
        let (word, at) = self.name("a number")?;
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        let number =
            word[..digits].parse().map_err(|_| SyntaxError::new(at, format!("`{word}` is no number")))?;
        if digits < word.len() {
            return self.unit(number, &word[digits..], at);
        }
        match self.cursor.word() {
            Some(w) if w.starts_with("packets") || w.contains("bytes") => {
                let at = self.cursor.here();
                self.cursor.advance();
                self.unit(number, w, at)
            }
            _ => Ok((number, None)),
        }
    }

    fn unit(&mut self, number: u128, word: &str, at: Origin) -> Parsed<(u128, Option<u128>)> {
        let (unit, per) = word.split_once('/').map_or((word, None), |(u, p)| (u, Some(p)));
        if let Some(p) = per.filter(|p| !p.is_empty()) {
            self.pending_unit = Some(p.to_owned());
        } else if per.is_some() {
            self.pending_unit = Some(self.name("a unit of time")?.0.into_owned());
        }
        show::unit(unit).map(|factor| (number, factor)).ok_or_else(|| {
            SyntaxError::new(at, format!("`{unit}` is no unit: packets, bytes, kbytes, mbytes"))
        })
    }

    fn quota(&mut self) -> Parsed<Stateful<'a>> {
        self.cursor.advance();
        if self.cursor.eat_word("name") {
            return Ok(Stateful::Object { kind: "quota", name: self.assigned()? });
        }
        let over = self.over();
        let amount = self.amount()?;
        if self.cursor.eat_word("used") {
            self.amount()?;
        }
        Ok(show::quota(over, amount))
    }

    fn connection_count(&mut self) -> Parsed<Stateful<'a>> {
        self.cursor.advance();
        if !self.cursor.eat_word("count") {
            return Err(self.cursor.expected("`count`"));
        }
        let over = self.over();
        let (count, _) = self.name("a number")?;
        Ok(show::count(over, &count))
    }
}
