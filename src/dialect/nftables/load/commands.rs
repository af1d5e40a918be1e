//! Commands: `add`, `insert`, `delete`, `flush`, …; a bare `table … { }` is an `add`.

use super::*;
use crate::dialect::nftables::ruleset::{Source, TableFamily};

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Insert,
    Replace,
    Delete,
    Flush,
    /// Changes nothing that matters here: `list`, `reset`, `monitor`, ….
    Look,
    Rename,
}

// A position within a chain.
#[derive(Debug, Clone, Copy)]
enum Position {
    None,
    Index(usize),
    Handle,
}

impl Loader {
    /// One command, up to the end of its statement.
    pub(super) fn command(&mut self, cursor: &mut Cursor<'_>, scope: ScopeId) -> Result<(), SyntaxError> {
        if self.directive(cursor, scope, &mut |this, index| this.file(index, scope))? {
            return Ok(());
        }
        let Some(word) = cursor.word() else {
            return Err(cursor.expected("a command such as `table inet filter { … }`"));
        };
        let verb = match word {
            "add" | "create" => Verb::Add,
            "insert" => Verb::Insert,
            "replace" => Verb::Replace,
            "delete" | "destroy" => Verb::Delete,
            "flush" => Verb::Flush,
            "rename" => Verb::Rename,
            "list" | "reset" | "get" | "monitor" | "export" | "import" | "describe" => Verb::Look,
            _ => return self.object(cursor, scope, Verb::Add, false),
        };
        cursor.advance();
        if verb == Verb::Look {
            cursor.skim(&mut |_| {});
            return Ok(());
        }
        self.object(cursor, scope, verb, true)
    }

    fn object(
        &mut self,
        cursor: &mut Cursor<'_>,
        scope: ScopeId,
        verb: Verb,
        explicit: bool,
    ) -> Result<(), SyntaxError> {
        let start = cursor.token.start;
        let word = cursor.word().unwrap_or_default();
        match word {
            "ruleset" => {
                cursor.advance();
                let family = self.family(cursor);
                if verb != Verb::Flush {
                    return Err(SyntaxError::new(cursor.since(start), "`ruleset` goes with `flush`"));
                }
                self.ruleset.flush(family);
                Ok(())
            }
            "table" => {
                cursor.advance();
                self.table_command(cursor, scope, verb)
            }
            "chain" => {
                cursor.advance();
                self.chain_command(cursor, scope, verb)
            }
            "rule" => {
                cursor.advance();
                self.rule_command(cursor, scope, verb)
            }
            "set" | "map" | "meter" => {
                cursor.advance();
                self.set_command(cursor, scope, verb, word == "map")
            }
            "element" => {
                cursor.advance();
                self.element_command(cursor, scope, verb)
            }
            "flowtable" | "counter" | "quota" | "limit" | "secmark" | "synproxy" | "tunnel" | "ct"
            | "counters" | "quotas" | "limits" => {
                cursor.advance();
                if word == "ct" {
                    cursor.advance();
                }
                self.object_command(cursor, scope, verb, word)
            }
            _ if matches!(verb, Verb::Add | Verb::Insert | Verb::Replace)
                && (explicit || TableFamily::named(word).is_some() || self.is_table(word)) =>
            {
                self.rule_command(cursor, scope, verb)
            }
            _ => Err(cursor.expected("a command such as `table inet filter { … }`")),
        }
    }

    fn is_table(&self, word: &str) -> bool {
        self.ruleset.find(TableFamily::Ip, word).is_some()
    }

    fn family(&self, cursor: &mut Cursor<'_>) -> Option<TableFamily> {
        let family = TableFamily::named(cursor.word()?)?;
        cursor.advance();
        Some(family)
    }

    // `[family] table`.
    fn table_name(
        &self,
        cursor: &mut Cursor<'_>,
        scope: ScopeId,
    ) -> Result<(TableFamily, String, Origin), SyntaxError> {
        // A table may be called `ip`: the word is a family only if a name follows.
        let next = cursor.peek().kind;
        let family = match next {
            Kind::Word | Kind::Quoted | Kind::Dollar => self.family(cursor),
            _ => None,
        };
        let (name, at) = self.name(cursor, scope, "the name of a table")?;
        Ok((family.unwrap_or(TableFamily::Ip), name.into_owned(), at))
    }

    fn missing(&self, at: Origin, what: &str, name: &str) -> SyntaxError {
        SyntaxError::new(at, format!("there is no {what} `{name}` here"))
    }

    fn table_command(
        &mut self,
        cursor: &mut Cursor<'_>,
        scope: ScopeId,
        verb: Verb,
    ) -> Result<(), SyntaxError> {
        let (family, name, at) = self.table_name(cursor, scope)?;
        match verb {
            Verb::Add => {
                let t = self.ruleset.table_index(family, &name, at);
                cursor.skip_newlines_before(Kind::OpenBrace);
                if cursor.kind() == Kind::OpenBrace {
                    self.table_block(cursor, t, scope);
                }
            }
            Verb::Delete | Verb::Flush => match self.ruleset.find(family, &name) {
                Some(t) if verb == Verb::Flush => {
                    self.ruleset.tables[t].chains.iter_mut().for_each(|c| c.rules.clear());
                }
                Some(t) => {
                    self.ruleset.tables.remove(t);
                }
                // `delete table` of a live box refers to what the kernel holds: of no consequence here.
                None => {}
            },
            _ => return Err(SyntaxError::new(at, "this verb does not go with a table")),
        }
        Ok(())
    }

    fn chain_command(
        &mut self,
        cursor: &mut Cursor<'_>,
        scope: ScopeId,
        verb: Verb,
    ) -> Result<(), SyntaxError> {
        let (family, table, _) = self.table_name(cursor, scope)?;
        let (name, at) = self.name(cursor, scope, "the name of a chain")?;
        match verb {
            Verb::Add => {
                let (t, c) = self.ruleset.chain(family, &table, &name, at);
                if cursor.kind() == Kind::OpenBrace {
                    self.chain_block(cursor, t, c, scope);
                }
                return Ok(());
            }
            Verb::Rename => {
                let (new, _) = self.name(cursor, scope, "the new name")?;
                let renamed = self
                    .ruleset
                    .find(family, &table)
                    .is_some_and(|t| self.ruleset.tables[t].rename_chain(&name, &new));
                return if renamed { Ok(()) } else { Err(self.missing(at, "chain", &name)) };
            }
            _ => {}
        }
        let Some(t) = self.ruleset.find(family, &table) else {
            return Ok(());
        };
        let table = &mut self.ruleset.tables[t];
        match verb {
            Verb::Flush => {
                if let Some(c) = table.chain(&name) {
                    table.chains[c].rules.clear();
                }
            }
            Verb::Delete => {
                // `delete chain … { }` repeats the declaration, or names the devices from which the chain is taken.
                let mut devices = false;
                cursor.skim(&mut |c| devices |= c.at_word("device") || c.at_word("devices"));
                match table.chain(&name) {
                    Some(c) if devices => table.chains[c].devices.unknown = true,
                    _ => {
                        table.remove_chain(&name);
                    }
                }
            }
            _ => return Err(SyntaxError::new(at, "this verb does not go with a chain")),
        }
        Ok(())
    }

    fn rule_command(
        &mut self,
        cursor: &mut Cursor<'_>,
        scope: ScopeId,
        verb: Verb,
    ) -> Result<(), SyntaxError> {
        let start = cursor.token.start;
        let (family, table, table_at) = self.table_name(cursor, scope)?;
        let (chain, chain_at) = self.name(cursor, scope, "the name of a chain")?;
        let position = self.position(cursor, scope)?;
        let at = cursor.since(start);
        if matches!(position, Position::Handle) || matches!(verb, Verb::Replace | Verb::Delete) {
            cursor.skim(&mut |_| {});
            return Err(SyntaxError::new(at, "a rule is named by its handle, which only the kernel knows")
                .help("lint the output of `nft list ruleset` instead of the commands that change it"));
        }
        let Some(t) = self.ruleset.find(family, &table) else {
            cursor.skim(&mut |_| {});
            return Err(self.missing(table_at, &format!("table {}", family.name()), &table));
        };
        let Some(c) = self.ruleset.tables[t].chain(&chain) else {
            cursor.skim(&mut |_| {});
            return Err(self.missing(chain_at, "chain", &chain));
        };
        let body = self.rule_body(cursor, t, scope);
        let rules = &mut self.ruleset.tables[t].chains[c].rules;
        let place = match (verb, position) {
            (Verb::Insert, Position::Index(i)) => i,
            (Verb::Insert, _) => 0,
            (_, Position::Index(i)) => i.saturating_add(1),
            _ => rules.len(),
        };
        rules.insert(place.min(rules.len()), Source::Text(body));
        Ok(())
    }

    fn position(&self, cursor: &mut Cursor<'_>, scope: ScopeId) -> Result<Position, SyntaxError> {
        let word = match cursor.word() {
            Some(w @ ("handle" | "position" | "index")) => w,
            _ => return Ok(Position::None),
        };
        cursor.advance();
        let (number, at) = self.name(cursor, scope, "a number")?;
        let n: usize =
            number.parse().map_err(|_| SyntaxError::new(at, format!("`{number}` is no number")))?;
        Ok(if word == "index" { Position::Index(n) } else { Position::Handle })
    }

    fn set_command(
        &mut self,
        cursor: &mut Cursor<'_>,
        scope: ScopeId,
        verb: Verb,
        is_map: bool,
    ) -> Result<(), SyntaxError> {
        let (family, table, _) = self.table_name(cursor, scope)?;
        let (name, at) = self.name(cursor, scope, "the name of a set")?;
        if verb == Verb::Add {
            let t = self.ruleset.table_index(family, &table, at);
            self.ruleset.tables[t].declare_set(&name, is_map, at).scope.get_or_insert(scope);
            if cursor.kind() == Kind::OpenBrace {
                self.set_block(cursor, t, &name, scope);
            }
            return Ok(());
        }
        let Some(t) = self.ruleset.find(family, &table) else {
            return Ok(());
        };
        let table = &mut self.ruleset.tables[t];
        match verb {
            Verb::Delete => {
                table.remove_set(&name);
            }
            Verb::Flush => {
                if let Some(s) = table.set(&name) {
                    table.sets[s].changes.clear();
                }
            }
            _ => return Err(SyntaxError::new(at, "this verb does not go with a set")),
        }
        Ok(())
    }

    fn element_command(
        &mut self,
        cursor: &mut Cursor<'_>,
        scope: ScopeId,
        verb: Verb,
    ) -> Result<(), SyntaxError> {
        let (family, table, _) = self.table_name(cursor, scope)?;
        let (name, at) = self.name(cursor, scope, "the name of a set")?;
        let body = self.rest(cursor, scope);
        let set = self.ruleset.find(family, &table).and_then(|t| {
            let table = &mut self.ruleset.tables[t];
            table.set(&name).map(|s| &mut table.sets[s])
        });
        let Some(set) = set else {
            return Err(self.missing(at, "set", &name));
        };
        match verb {
            Verb::Add => set.changes.push((true, Source::Text(body))),
            Verb::Delete => set.changes.push((false, Source::Text(body))),
            _ => return Err(SyntaxError::new(at, "this verb does not go with elements")),
        }
        Ok(())
    }

    fn object_command(
        &mut self,
        cursor: &mut Cursor<'_>,
        scope: ScopeId,
        verb: Verb,
        kind: &str,
    ) -> Result<(), SyntaxError> {
        let (family, table, at) = self.table_name(cursor, scope)?;
        if !matches!(cursor.kind(), Kind::Word | Kind::Quoted | Kind::Dollar) {
            return Ok(());
        }
        let (name, name_at) = self.name(cursor, scope, "a name")?;
        let mut over = false;
        match (verb, kind) {
            (Verb::Add, "flowtable") => {
                let t = self.ruleset.table_index(family, &table, at);
                self.flowtable_block(cursor, t, (&name, name_at), scope);
            }
            (Verb::Add, _) => {
                self.skim_block(cursor, &mut over);
                self.ruleset.table(family, &table, at).declare_object(kind, &name, over);
            }
            _ => {
                let whole = cursor.kind() != Kind::OpenBrace;
                self.skim_block(cursor, &mut over);
                if let ("flowtable", true, Some(t)) = (kind, whole, self.ruleset.find(family, &table)) {
                    self.ruleset.tables[t].flowtables.retain(|f| f.name != name);
                }
            }
        }
        Ok(())
    }
}
