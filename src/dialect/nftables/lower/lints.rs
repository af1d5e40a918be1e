//! What is noted for the checks of the dialect while a ruleset is lowered: [`Facts`](crate::dialect::nftables::facts::Facts).

use super::values::{Key, Row};
use super::*;
use crate::dialect::nftables::facts::{Always, Covered, Policies, Shadow, Unused};
use crate::dialect::nftables::ruleset::SetDeclaration;
use crate::dialect::nftables::selector::Meaning;
use crate::packet::Value;
use std::cmp::Reverse;

// Concatenations of one list are compared pair by pair: of longer lists none are.
const MAX_PAIRED: usize = 512;

/// An element of one component.
pub(super) struct Span {
    pub(super) lo: Value,
    pub(super) hi: Value,
    pub(super) at: Origin,
    /// It does not expire, and depends on nothing.
    pub(super) certain: bool,
}

impl<'a> Lower<'a> {
    /// Facts that the declarations alone tell, and the end of the others: each once, in the order of the file.
    pub(super) fn finish_facts(&mut self, complete: bool) {
        self.stated_policies();
        if complete {
            self.unused_sets();
        }
        self.shadowed_sets();
        let facts = &mut self.facts;
        // A chain that is seen at several moments is lowered for each.
        facts.always.sort_by_key(|a| a.origin);
        facts.always.dedup_by_key(|a| a.origin);
        facts.covered.sort_by_key(|c| (c.elements[0].0, c.set.is_none(), Reverse(c.count)));
        facts.covered.dedup_by_key(|c| c.elements[0].0);
        let facts = std::mem::take(facts);
        self.b.firewall_mut().native = Some(Box::new(facts));
    }

    // A packet has exactly one state: it differs from every value of several bits.
    pub(super) fn note_always(&mut self, rule: &RuleState, left: &Expr<'a>, op: Op, right: &Expr<'a>) {
        let ExprKind::Selector(s) = &left.kind else { return };
        if op != Op::NotEqual || s.meaning != Meaning::State {
            return;
        }
        if !matches!(right.kind, ExprKind::List(_) | ExprKind::Bits(..)) {
            return;
        }
        if let Ok(values::Constant::Values(v, _)) = self.constant(s.ty, right)
            && v.count_ones() > 1
        {
            let (from, to) = (self.place(left.at), self.place(right.at));
            let origin = if from.file == to.file && from.start <= to.end {
                Origin::new(from.file as usize, from.start as usize, to.end as usize)
            } else {
                rule.at
            };
            let mut values = Vec::new();
            alternatives(right, &mut values);
            let (left, right) = (s.text.clone().into_owned(), values.join(","));
            self.facts.always.push(Always { origin, rule: rule.at, left, right });
        }
    }

    /// Elements of one list in braces, of a named set or of a rule; `rows` are those that stand there themselves, not in a variable.
    pub(super) fn note_covered_rows(&mut self, set: Option<&str>, rows: &[&Row<'a>]) {
        if rows.len() < 2 || rows.iter().any(|r| r.value.is_some()) {
            return;
        }
        if rows.iter().all(|r| r.keys.len() == 1) {
            let spans = rows.iter().filter_map(|r| span(r)).collect();
            return self.note_covered(set, spans);
        }
        if rows.len() > MAX_PAIRED {
            return;
        }
        let mut found = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            let by = rows.iter().enumerate().find(|(j, other)| {
                *j != i
                    && other.at != row.at
                    && certain(other)
                    && covers(other, row)
                    && (*j < i || !covers(row, other))
            });
            found.extend(by.map(|(_, by)| (row.at, by.at)));
        }
        self.keep_covered(set, found);
    }

    /// Elements of one component: those that another one covers.
    pub(super) fn note_covered(&mut self, set: Option<&str>, mut spans: Vec<Span>) {
        spans.sort_by_key(|s| (s.lo, Reverse(s.hi), !s.certain, s.at));
        let mut widest: Option<&Span> = None;
        let mut found = Vec::new();
        for s in &spans {
            match widest {
                Some(w) if s.hi <= w.hi => found.push((s.at, w.at)),
                _ if s.certain => widest = Some(s),
                _ => {}
            }
        }
        found.sort_unstable();
        self.keep_covered(set, found);
    }

    fn keep_covered(&mut self, set: Option<&str>, mut found: Vec<(Origin, Origin)>) {
        if found.is_empty() {
            return;
        }
        let count = found.len();
        found.truncate(Covered::MOST);
        self.facts.covered.push(Covered { set: set.map(str::to_owned), elements: found, count });
    }

    fn stated_policies(&mut self) {
        for chain in self.ruleset.tables.iter().flat_map(|t| &t.chains).filter(|c| c.policies.len() > 1) {
            self.facts.policies.push(Policies { chain: chain.name.clone(), stated: chain.policies.clone() });
        }
    }

    // Of tables without rules the rules stand elsewhere: such a file is made to be included.
    fn unused_sets(&mut self) {
        let ruleset = self.ruleset;
        for table in ruleset.tables.iter().filter(|t| t.chains.iter().any(|c| !c.rules.is_empty())) {
            for set in &table.sets {
                if !table.named.contains(&set.name) && !ruleset.named_by_variables.contains(&set.name) {
                    let (name, is_map) = (set.name.clone(), set.is_map);
                    self.facts.unused.push(Unused { origin: set.at, name, is_map });
                }
            }
        }
    }

    // A variable that the set is filled from holds the same, and is no trap.
    fn shadowed_sets(&mut self) {
        let scopes = self.context.scopes;
        let mut named: FxHashMap<&str, Vec<&SetDeclaration<'a>>> = FxHashMap::default();
        for set in self.ruleset.tables.iter().flat_map(|t| &t.sets) {
            named.entry(&set.name).or_default().push(set);
        }
        for definition in scopes.definitions() {
            for set in named.get(definition.name.as_str()).into_iter().flatten() {
                let Some(scope) = set.scope else { continue };
                let meet = scopes.within(scope, definition.scope) || scopes.within(definition.scope, scope);
                if meet && !self.is_filled_from(set, &definition.name) {
                    let name = set.name.clone();
                    self.facts.shadows.push(Shadow { name, variable: definition.at, set: set.at });
                }
            }
        }
    }

    fn is_filled_from(&self, set: &SetDeclaration<'a>, name: &str) -> bool {
        let [(true, Source::Text(body))] = set.changes[..] else { return false };
        let bytes = self.context.files.get(body.at.file as usize).map_or(&[][..], |f| f.bytes());
        let text = bytes.get(body.at.start as usize..body.at.end as usize).unwrap_or_default();
        let text: Vec<u8> = text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
        let text = text.strip_prefix(b"{").and_then(|t| t.strip_suffix(b"}")).unwrap_or(&text);
        text.strip_suffix(b",").unwrap_or(text).strip_prefix(b"$").is_some_and(|t| t == name.as_bytes())
    }
}

// The values of `a,b` and of `a | b`. Trees nest no deeper than the parser allows.
fn alternatives(e: &Expr<'_>, out: &mut Vec<String>) {
    match &e.kind {
        ExprKind::List(parts) => parts.iter().for_each(|p| alternatives(p, out)),
        ExprKind::Bits(BitOp::Or, a, b) => {
            alternatives(a, out);
            alternatives(b, out);
        }
        _ => out.push(show::expr(e)),
    }
}

fn certain(row: &Row<'_>) -> bool {
    !row.timed && row.guard.is_none()
}

/// A row of one component as a span; `None` for names and whatever is no single interval.
pub(super) fn span(row: &Row<'_>) -> Option<Span> {
    match &row.keys[..] {
        [Key::Set(s)] => match s.ranges() {
            [(lo, hi)] => Some(Span { lo: *lo, hi: *hi, at: row.at, certain: certain(row) }),
            _ => None,
        },
        _ => None,
    }
}

fn covers(outer: &Row<'_>, inner: &Row<'_>) -> bool {
    outer.keys.len() == inner.keys.len()
        && outer.keys.iter().zip(&inner.keys).all(|(o, i)| match (o, i) {
            (Key::All, _) => true,
            (Key::Set(o), Key::Set(i)) => o.covers(i),
            (Key::Name(o), Key::Name(i)) => o == i,
            _ => false,
        })
}
