//! Blocks: tables, chains, sets, objects.

use super::*;
use crate::dialect::nftables::ruleset::{Base, Source, TypeSpec, priority_named};

impl Loader {
    /// Runs `statement` for each statement of the block at the cursor. A broken statement costs itself only, and goes to `broken`.
    fn block<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        broken: &mut dyn FnMut(&mut Self, SyntaxError),
        statement: &mut dyn FnMut(&mut Self, &mut Cursor<'a>) -> Result<(), SyntaxError>,
    ) {
        let open = cursor.here();
        cursor.advance();
        loop {
            match cursor.kind() {
                Kind::Newline | Kind::Semicolon => {
                    cursor.advance();
                }
                Kind::CloseBrace => {
                    cursor.advance();
                    return;
                }
                Kind::End => {
                    let e = SyntaxError::new(open, "a block that is never closed");
                    return self.lose(e.help("a `}` is missing before the end of the text"));
                }
                _ => {
                    let start = cursor.token.start;
                    let read = statement(self, cursor).and_then(|()| end_of_statement(cursor));
                    if let Err(e) = read {
                        broken(self, e);
                        cursor.skim(&mut |_| {});
                        if cursor.token.start == start {
                            cursor.advance();
                        }
                    }
                }
            }
        }
    }

    /// The statements of a file that is included in a block.
    fn fragment(
        &mut self,
        index: usize,
        broken: &mut dyn FnMut(&mut Self, SyntaxError),
        statement: &mut dyn FnMut(&mut Self, &mut Cursor<'_>) -> Result<(), SyntaxError>,
    ) {
        let file = Arc::clone(&self.files[index]);
        let mut cursor = Cursor::new(file.bytes(), Origin::new(index, 0, file.bytes().len()));
        loop {
            match cursor.kind() {
                Kind::End => return,
                Kind::Newline | Kind::Semicolon => {
                    cursor.advance();
                }
                _ => {
                    let start = cursor.token.start;
                    let read = statement(self, &mut cursor).and_then(|()| end_of_statement(&cursor));
                    if let Err(e) = read {
                        broken(self, e);
                        cursor.skim(&mut |_| {});
                        if cursor.token.start == start || cursor.kind() == Kind::CloseBrace {
                            cursor.advance();
                        }
                    }
                }
            }
        }
    }

    /// `{ … }` of a table.
    pub(super) fn table_block(&mut self, cursor: &mut Cursor<'_>, t: usize, outside: ScopeId) {
        let scope = self.scopes.open(outside);
        self.block(cursor, &mut Self::lose, &mut |this, c| this.table_statement(c, t, scope));
    }

    fn table_statement(
        &mut self,
        cursor: &mut Cursor<'_>,
        t: usize,
        scope: ScopeId,
    ) -> Result<(), SyntaxError> {
        let read_file = &mut |this: &mut Self, index| {
            this.fragment(index, &mut Self::lose, &mut |this, c| this.table_statement(c, t, scope));
        };
        if self.directive(cursor, scope, read_file)? {
            return Ok(());
        }
        let word = cursor.word().unwrap_or_default();
        match word {
            "chain" => {
                cursor.advance();
                let (name, at) = self.name(cursor, scope, "the name of a chain")?;
                let table = &self.ruleset.tables[t];
                let (family, table_name) = (table.family, table.name.clone());
                let (_, c) = self.ruleset.chain(family, &table_name, &name, at);
                cursor.skip_newlines_before(Kind::OpenBrace);
                if cursor.kind() != Kind::OpenBrace {
                    return Err(cursor.expected("`{`"));
                }
                self.chain_block(cursor, t, c, scope);
            }
            "set" | "map" | "meter" => {
                cursor.advance();
                let (name, at) = self.name(cursor, scope, "the name of a set")?;
                self.ruleset.tables[t].declare_set(&name, word == "map", at).scope.get_or_insert(scope);
                cursor.skip_newlines_before(Kind::OpenBrace);
                if cursor.kind() != Kind::OpenBrace {
                    return Err(cursor.expected("`{`"));
                }
                let name = name.into_owned();
                self.set_block(cursor, t, &name, scope);
            }
            "flags" => {
                cursor.advance();
                loop {
                    let (flag, at) = self.name(cursor, scope, "`dormant`, `owner` or `persist`")?;
                    match &*flag {
                        "dormant" => self.ruleset.tables[t].dormant = true,
                        "owner" | "persist" => {}
                        _ => return Err(SyntaxError::new(at, format!("tables have no flag `{flag}`"))),
                    }
                    if !cursor.eat(Kind::Comma) {
                        break;
                    }
                }
            }
            "comment" => {
                cursor.advance();
                self.name(cursor, scope, "a comment")?;
            }
            "flowtable" => {
                cursor.advance();
                let (name, at) = self.name(cursor, scope, "the name of a flowtable")?;
                cursor.skip_newlines_before(Kind::OpenBrace);
                if let Some(open) = self.flowtable_block(cursor, t, (&name, at), scope) {
                    return Err(SyntaxError::new(open, "a block that is never closed")
                        .help("a `}` is missing before the end of the text"));
                }
            }
            "counter" | "quota" | "limit" | "secmark" | "synproxy" | "tunnel" | "ct" => {
                cursor.advance();
                if word == "ct" {
                    self.name(cursor, scope, "`helper`, `timeout` or `expectation`")?;
                }
                let (name, _) = self.name(cursor, scope, "a name")?;
                cursor.skip_newlines_before(Kind::OpenBrace);
                let mut over = false;
                if let Some(open) = self.skim_block(cursor, &mut over) {
                    return Err(SyntaxError::new(open, "a block that is never closed")
                        .help("a `}` is missing before the end of the text"));
                }
                self.ruleset.tables[t].declare_object(word, &name, over);
            }
            _ => return Err(cursor.expected("`chain`, `set`, `map` or another part of a table")),
        }
        Ok(())
    }

    // Passes over `{ … }`, in which lines end anywhere. The place of the brace if it is never closed.
    pub(super) fn skim_block(&mut self, cursor: &mut Cursor<'_>, over: &mut bool) -> Option<Origin> {
        let open = cursor.here();
        let mut depth = 0usize;
        loop {
            match cursor.kind() {
                Kind::OpenBrace => depth += 1,
                Kind::CloseBrace if depth == 0 => return None,
                Kind::CloseBrace => depth -= 1,
                Kind::End => return (depth > 0).then_some(open),
                Kind::Newline | Kind::Semicolon if depth == 0 => return None,
                _ => *over |= cursor.at_word("over"),
            }
            let closed = cursor.kind() == Kind::CloseBrace && depth == 0;
            cursor.advance();
            if closed {
                return None;
            }
        }
    }

    /// `{ … }` of a chain.
    pub(super) fn chain_block(&mut self, cursor: &mut Cursor<'_>, t: usize, c: usize, outside: ScopeId) {
        let scope = self.scopes.open(outside);
        self.block(cursor, &mut Self::lose, &mut |this, cursor| this.chain_statement(cursor, t, c, scope));
    }

    fn chain_statement(
        &mut self,
        cursor: &mut Cursor<'_>,
        t: usize,
        c: usize,
        scope: ScopeId,
    ) -> Result<(), SyntaxError> {
        let read_file = &mut |this: &mut Self, index| {
            this.fragment(index, &mut Self::lose, &mut |this, cursor| {
                this.chain_statement(cursor, t, c, scope)
            });
        };
        if self.directive(cursor, scope, read_file)? {
            return Ok(());
        }
        match cursor.word().unwrap_or_default() {
            "type" => self.base_chain(cursor, t, c, scope),
            "policy" => {
                let start = cursor.advance().start;
                let (word, at) = self.name(cursor, scope, "`accept` or `drop`")?;
                let drop = match &*word {
                    "accept" => false,
                    "drop" => true,
                    _ => return Err(SyntaxError::new(at, "a policy is `accept` or `drop`")),
                };
                let at = cursor.since(start);
                self.ruleset.tables[t].chains[c].policies.push((drop, at));
                Ok(())
            }
            "flags" => {
                cursor.advance();
                self.name(cursor, scope, "`offload`").map(|_| ())
            }
            "devices" | "device" => {
                let devices = self.devices(cursor, scope);
                self.ruleset.tables[t].chains[c].devices.add(devices);
                Ok(())
            }
            "comment" => {
                cursor.advance();
                self.name(cursor, scope, "a comment").map(|_| ())
            }
            _ => {
                let body = self.rule_body(cursor, t, scope);
                self.ruleset.tables[t].chains[c].rules.push_back(Source::Text(body));
                Ok(())
            }
        }
    }

    /// A rule from the cursor to the end of its statement; notes the sets that it names and changes.
    pub(super) fn rule_body(&mut self, cursor: &mut Cursor<'_>, t: usize, scope: ScopeId) -> Body {
        let start = cursor.token.start;
        let mut changed: Vec<(String, bool)> = Vec::new();
        let mut named: Vec<Token> = Vec::new();
        // Words before the current token, the last one first.
        let (mut verb, mut at_sign) = (None, false);
        let mut old_syntax = false;
        cursor.skim(&mut |c| {
            if at_sign {
                named.push(c.token);
                if let (Some(removes), Some(name)) = (verb, c.word()) {
                    changed.push((name.to_owned(), removes));
                }
            }
            // `meter NAME { … }` makes the set that it fills.
            at_sign = c.kind() == Kind::At || c.at_word("meter");
            match c.word() {
                Some("set") => old_syntax = true,
                Some("add" | "update") => verb = Some(false),
                Some("delete") => verb = Some(true),
                _ if at_sign || (old_syntax && verb.is_some()) => {}
                _ => verb = None,
            }
        });
        let table = &mut self.ruleset.tables[t];
        for (name, removes) in changed {
            *table.changed.entry(name).or_default() |= removes;
        }
        for token in named {
            let name = cursor.text_of(token);
            if !table.named.contains(&*name) {
                table.named.insert(name.into_owned());
            }
        }
        self.scopes.body(cursor.since(start), scope)
    }

    // `type filter hook input device eth0 priority filter - 10`.
    fn base_chain(
        &mut self,
        cursor: &mut Cursor<'_>,
        t: usize,
        c: usize,
        scope: ScopeId,
    ) -> Result<(), SyntaxError> {
        let start = cursor.advance().start;
        let (kind, kind_at) = self.name(cursor, scope, "`filter`, `nat` or `route`")?;
        if !matches!(&*kind, "filter" | "nat" | "route") {
            return Err(SyntaxError::new(kind_at, format!("`{kind}` is no type of chain"))
                .help("chains are of type filter, nat or route"));
        }
        if !cursor.eat_word("hook") {
            return Err(cursor.expected("`hook`"));
        }
        let (hook, hook_at) = self.name(cursor, scope, "the name of a hook")?;
        const HOOKS: [&str; 7] =
            ["prerouting", "input", "forward", "output", "postrouting", "ingress", "egress"];
        if !HOOKS.contains(&&*hook) {
            return Err(SyntaxError::new(hook_at, format!("`{hook}` is no hook")).help(HOOKS.join(", ")));
        }
        while cursor.at_word("device") || cursor.at_word("devices") {
            let devices = self.devices(cursor, scope);
            self.ruleset.tables[t].chains[c].devices.add(devices);
        }
        if !cursor.eat_word("priority") {
            return Err(cursor.expected("`priority`"));
        }
        let priority = self.priority(cursor, t, scope)?;
        let base =
            Base { kind: kind.into_owned(), hook: hook.into_owned(), priority, at: cursor.since(start) };
        let chain = &mut self.ruleset.tables[t].chains[c];
        match &chain.base {
            Some(old) if old.priority != priority || old.hook != base.hook => {
                let help = "nft refuses to change a chain's hook or priority: delete the chain first";
                return Err(
                    SyntaxError::new(base.at, "this chain is already registered elsewhere").help(help)
                );
            }
            _ => chain.base = Some(base),
        }
        Ok(())
    }

    pub(super) fn priority(
        &self,
        cursor: &mut Cursor<'_>,
        t: usize,
        scope: ScopeId,
    ) -> Result<i32, SyntaxError> {
        let start = cursor.token.start;
        let mut text = String::new();
        loop {
            match cursor.kind() {
                Kind::Dash | Kind::Plus => {
                    let token = cursor.advance();
                    text.push_str(&cursor.text_of(token));
                }
                Kind::Word | Kind::Quoted | Kind::Dollar => {
                    text.push_str(&self.name(cursor, scope, "a priority")?.0);
                }
                _ => break,
            }
        }
        let family = self.ruleset.tables[t].family;
        priority_of(&text, family).ok_or_else(|| {
            SyntaxError::new(cursor.since(start), format!("`{}` is no priority", text.trim()))
                .help("a number, or a name such as `filter`, also `filter - 10`")
        })
    }

    /// `{ … }` of a set or map.
    pub(super) fn set_block(&mut self, cursor: &mut Cursor<'_>, t: usize, name: &str, outside: ScopeId) {
        let scope = self.scopes.open(outside);
        let mut broken = |this: &mut Self, e: SyntaxError| {
            this.ruleset.tables[t].declare_set(name, false, e.at).broken = true;
            this.report(e);
        };
        self.block(cursor, &mut broken, &mut |this, c| this.set_statement(c, t, name, scope));
    }

    fn set_statement(
        &mut self,
        cursor: &mut Cursor<'_>,
        t: usize,
        name: &str,
        scope: ScopeId,
    ) -> Result<(), SyntaxError> {
        let read_file = &mut |this: &mut Self, index| {
            let mut broken = |this: &mut Self, e: SyntaxError| {
                this.ruleset.tables[t].declare_set(name, false, e.at).broken = true;
                this.report(e);
            };
            this.fragment(index, &mut broken, &mut |this, c| this.set_statement(c, t, name, scope));
        };
        if self.directive(cursor, scope, read_file)? {
            return Ok(());
        }
        let word = cursor.word().unwrap_or_default();
        match word {
            "type" | "typeof" => {
                cursor.advance();
                let (key, value) = if word == "type" {
                    self.type_names(cursor, scope)?
                } else {
                    self.type_examples(cursor, scope)
                };
                let Some(s) = self.ruleset.tables[t].set(name) else {
                    return Ok(());
                };
                let set = &mut self.ruleset.tables[t].sets[s];
                set.key = Some(key);
                set.value = value;
            }
            "flags" => {
                cursor.advance();
                loop {
                    let (flag, at) = self.name(cursor, scope, "a flag of sets")?;
                    let set = self.ruleset.tables[t].declare_set(name, false, at);
                    match &*flag {
                        "dynamic" => set.dynamic = true,
                        "timeout" => set.timeouts = true,
                        "interval" => set.interval = true,
                        "constant" => set.constant = true,
                        _ => return Err(SyntaxError::new(at, format!("sets have no flag `{flag}`"))),
                    }
                    if !cursor.eat(Kind::Comma) {
                        break;
                    }
                }
            }
            "timeout" => {
                let at = cursor.here();
                cursor.advance();
                self.name(cursor, scope, "a time")?;
                self.ruleset.tables[t].declare_set(name, false, at).expires = true;
            }
            "elements" => {
                let at = cursor.here();
                cursor.advance();
                if !cursor.eat(Kind::Assign) {
                    return Err(cursor.expected("`=`"));
                }
                let body = self.rest(cursor, scope);
                let set = self.ruleset.tables[t].declare_set(name, false, at);
                set.changes.push((true, Source::Text(body)));
            }
            "auto-merge" => {
                let at = cursor.here();
                cursor.advance();
                self.ruleset.tables[t].declare_set(name, false, at).merges = true;
            }
            "size" | "policy" | "gc-interval" | "comment" | "counter" | "limit" | "quota" | "last" | "ct" => {
                cursor.skim(&mut |_| {});
            }
            _ => return Err(cursor.expected("`type`, `flags`, `elements` or another part of a set")),
        }
        Ok(())
    }

    // `ipv4_addr . inet_service [: verdict]`.
    fn type_names(
        &mut self,
        cursor: &mut Cursor<'_>,
        scope: ScopeId,
    ) -> Result<(TypeSpec<'static>, Option<TypeSpec<'static>>), SyntaxError> {
        let list = |this: &Self, cursor: &mut Cursor<'_>| {
            let mut names = Vec::new();
            loop {
                let (mut name, _) = this.name(cursor, scope, "a datatype")?;
                if name == "interval" && cursor.kind() == Kind::Word {
                    name = this.name(cursor, scope, "a datatype")?.0;
                }
                names.push(name.into_owned());
                if !cursor.eat(Kind::Dot) {
                    return Ok(TypeSpec::Names(names));
                }
            }
        };
        let key = list(self, cursor)?;
        let value = if cursor.eat(Kind::Colon) { Some(list(self, cursor)?) } else { None };
        Ok((key, value))
    }

    // `ip saddr . tcp dport [: meta mark]`.
    fn type_examples(
        &mut self,
        cursor: &mut Cursor<'_>,
        scope: ScopeId,
    ) -> (TypeSpec<'static>, Option<TypeSpec<'static>>) {
        let start = cursor.token.start;
        let mut colon = None;
        cursor.skim(&mut |c| {
            if c.kind() == Kind::Colon && colon.is_none() {
                colon = Some(c.token);
            }
        });
        let whole = cursor.since(start);
        let body = |this: &Self, from: usize, to: usize| {
            let at = Origin::new(whole.file as usize, from, to);
            TypeSpec::Like(Source::Text(this.scopes.body(at, scope)))
        };
        match colon {
            None => (body(self, start, whole.end as usize), None),
            Some(c) => (body(self, start, c.start), Some(body(self, c.end, whole.end as usize))),
        }
    }
}

/// `filter`, `-150`, `filter - 10`, `dstnat + 5`.
pub(in crate::dialect::nftables) fn priority_of(
    text: &str,
    family: crate::dialect::nftables::ruleset::TableFamily,
) -> Option<i32> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if let Ok(n) = text.parse() {
        return Some(n);
    }
    if let Some(n) = priority_named(&text, family) {
        return Some(n);
    }
    let sign = text.rfind(['+', '-'])?;
    let base = match &text[..sign] {
        "" => 0,
        name => priority_named(name, family)?,
    };
    let offset: i32 = text[sign + 1..].parse().ok()?;
    if text[sign..].starts_with('-') { base.checked_sub(offset) } else { base.checked_add(offset) }
}
