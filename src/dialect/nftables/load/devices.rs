//! Devices that chains and flowtables are bound to.

use super::*;
use crate::dialect::nftables::ruleset::{Devices, Flowtable};

// Variables that name variables nest no deeper than this.
const MAX_NESTING: usize = 16;

impl Loader {
    /// `device eth0`, `devices = { eth0, $wan }`, at the word.
    pub(super) fn devices(&self, cursor: &mut Cursor<'_>, scope: ScopeId) -> Devices {
        cursor.advance();
        cursor.eat(Kind::Assign);
        let mut out = Devices::default();
        if cursor.kind() == Kind::OpenBrace {
            while !matches!(cursor.kind(), Kind::CloseBrace | Kind::End) {
                self.device(cursor, scope, &mut out);
            }
            cursor.eat(Kind::CloseBrace);
        } else {
            self.device(cursor, scope, &mut out);
        }
        out
    }

    // The device, list or variable at the cursor, or a sign between two of them.
    fn device(&self, cursor: &mut Cursor<'_>, scope: ScopeId, out: &mut Devices) {
        let token = cursor.advance();
        match token.kind {
            Kind::Word | Kind::Quoted => {
                let mut name = cursor.text_of(token).into_owned();
                if cursor.kind() == Kind::Star && cursor.token.start == token.end {
                    cursor.advance();
                    name.push('*');
                }
                out.names.push(name);
            }
            Kind::Dollar => {
                let token = cursor.advance();
                let here = self.scopes.body(cursor.origin_of(token), scope);
                self.named_devices(&here, &cursor.text_of(token), 0, out);
            }
            Kind::Comma | Kind::Newline | Kind::OpenBrace | Kind::CloseBrace => {}
            _ => out.unknown = true,
        }
    }

    // The devices that a variable stands for.
    fn named_devices(&self, seen_from: &Body, name: &str, depth: usize, out: &mut Devices) {
        let value = self.scopes.get(seen_from, name).filter(|_| depth < MAX_NESTING);
        let file = value.and_then(|v| self.files.get(v.at.file as usize));
        let (Some(value), Some(file)) = (value, file) else {
            out.unknown = true;
            return;
        };
        let file = Arc::clone(file);
        let mut cursor = Cursor::new(file.bytes(), value.at);
        while cursor.kind() != Kind::End {
            if cursor.eat(Kind::Dollar) {
                let token = cursor.advance();
                self.named_devices(&value, &cursor.text_of(token), depth + 1, out);
            } else {
                self.device(&mut cursor, value.scope, out);
            }
        }
    }

    /// `{ hook ingress priority 0; devices = { eth0, eth1 }; }` of a flowtable. The place of the brace if it is never closed.
    pub(super) fn flowtable_block(
        &mut self,
        cursor: &mut Cursor<'_>,
        t: usize,
        (name, at): (&str, Origin),
        scope: ScopeId,
    ) -> Option<Origin> {
        let mut table = Flowtable { name: name.to_owned(), at, priority: None, devices: Devices::default() };
        let open = cursor.here();
        let mut closed = !cursor.eat(Kind::OpenBrace);
        while !closed && cursor.kind() != Kind::End {
            match cursor.word() {
                Some("device" | "devices") => table.devices.add(self.devices(cursor, scope)),
                Some("priority") => {
                    cursor.advance();
                    table.priority = self.priority(cursor, t, scope).ok();
                }
                _ => closed = cursor.advance().kind == Kind::CloseBrace,
            }
        }
        self.ruleset.tables[t].declare_flowtable(table);
        (!closed).then_some(open)
    }
}
