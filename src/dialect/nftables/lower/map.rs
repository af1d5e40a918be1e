//! Maps: of verdicts, and of values.

use super::rule::Flow;
use super::subject::Subject;
use super::values::{Key, Row};
use super::*;
use crate::model::Term;
use crate::packet::IntervalSet;

/// A map's rows with what they are compared with.
pub(super) struct Mapping<'a> {
    pub(super) subjects: Vec<Subject<'a>>,
    pub(super) rows: Vec<Row<'a>>,
    /// Why it may hold more or less at run time, and its text.
    pub(super) unknown: Option<(&'static str, String)>,
    pub(super) name: String,
}

/// What is done for each value: the condition under which it is taken, the value, its place.
pub(super) type EachValue<'f, 'a> =
    dyn FnMut(&mut Lower<'a>, &RuleState, Conjunction, &Expr<'a>, Origin) -> Parsed<()> + 'f;

impl<'a> Lower<'a> {
    /// Reads a map and its key.
    pub(super) fn mapping(
        &mut self,
        state: &RuleState,
        key: &Expr<'a>,
        map: &Expr<'a>,
    ) -> Parsed<Mapping<'a>> {
        let parts = match &key.kind {
            ExprKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(key),
        };
        let subjects = self.subjects(parts)?;
        let types: Vec<_> = subjects.iter().map(|s| s.selector.ty).collect();
        let text = format!("{} map {}", show::expr(key), show::expr(map));
        let (rows, unknown, name) = match &map.kind {
            ExprKind::Named(name) => {
                let (_, contents) = self.contents(state.table, name, map.at)?;
                (contents.rows.clone(), contents.unknown, format!("@{name}"))
            }
            ExprKind::Set(elements) => {
                let mut rows = Vec::new();
                self.rows(&types, elements.clone(), &mut rows)?;
                (rows, None, "map".to_owned())
            }
            _ => return Err(SyntaxError::new(map.at, "a map is expected here: `{ … }` or `@name`")),
        };
        let mut rows = rows;
        conflicts::settle(&mut rows, map.at)?;
        // What elements take is disjoint now: their order is of no meaning, and the two forms print different ones.
        rows.sort_by(|a, b| a.keys.cmp(&b.keys));
        let unknown = unknown.or_else(|| rows.iter().any(|r| r.timed).then_some("an element expires"));
        Ok(Mapping { subjects, rows, unknown: unknown.map(|u| (u, text)), name })
    }

    fn implied_by_all(&mut self, state: &mut RuleState, subjects: &[Subject<'a>]) {
        let mut conj = std::mem::take(&mut state.conj);
        for s in subjects {
            self.implied(state, &mut conj, &s.selector);
        }
        state.conj = conj;
    }

    /// `key vmap { … }`.
    ///
    /// Elements that leave this chain for good (return, goto) become rules of it; the others are rules of a chain of the map's own,
    /// reached by jump, in which their jumps are gotos: so that they come back behind the rule.
    pub(super) fn verdict_map(
        &mut self,
        state: &mut RuleState,
        key: &Expr<'a>,
        map: &Expr<'a>,
    ) -> Parsed<Flow> {
        let mapping = self.mapping(state, key, map)?;
        self.implied_by_all(state, &mapping.subjects);
        let (mut own, mut leaving, mut going_on) = (Vec::new(), Vec::new(), Vec::new());
        for row in &mapping.rows {
            match &row.value {
                Some(MapValue::Verdict(Verdict::Return | Verdict::Goto(_))) => leaving.push(row),
                Some(MapValue::Verdict(Verdict::Continue)) => going_on.push(row),
                Some(MapValue::Verdict(_)) => own.push(row),
                _ => return Err(SyntaxError::new(row.at, "an element of a verdict map needs a verdict")),
            }
        }
        if state.inside && !leaving.is_empty() {
            let why = "a mark was tested, set and tested again in one rule";
            return Ok(self.unknown(state, "return or goto", why));
        }
        for row in leaving {
            self.map_rule(state, &mapping, row, false, false)?;
        }
        if !own.is_empty() {
            let chain = self.synthetic_chain(state.table, &mapping.name, state.at);
            let outer = std::mem::replace(&mut state.chain, chain);
            let conj = std::mem::take(&mut state.conj);
            // The conditions around it hold inside: the protocols are needed to know what ports are.
            if let Some(p) = conj.protocols(&self.b) {
                state.conj.field(&self.b, Field::Proto, conjunction::FieldSet::Owned(p));
            }
            // `*` last: it is for whatever no other element took.
            let (rest, listed): (Vec<&Row<'a>>, Vec<_>) =
                own.into_iter().partition(|r| r.keys.iter().all(|k| *k == Key::All));
            let last =
                if complete(&mapping) && listed.len() == mapping.rows.len() { listed.len() } else { 0 };
            let mut done = Ok(());
            for (n, row) in listed.into_iter().chain(rest).enumerate() {
                let unasked = n + 1 == last;
                done = done.and_then(|()| self.map_rule(state, &mapping, row, true, unasked));
            }
            state.chain = outer;
            state.conj = conj;
            done?;
            self.emit(state, Action::Jump(chain));
        }
        if let Some((why, text)) = &mapping.unknown {
            let mut more = RuleState { conj: state.conj.clone(), effects: Vec::new(), ..*state };
            self.unknown(&mut more, text, why);
        }
        // Behind the map only what an element lets continue is left.
        if going_on.is_empty() {
            return Ok(Flow::Ends);
        }
        let mut alternatives = Vec::new();
        for row in going_on {
            let mut one = Conjunction::default();
            self.row_terms(state, &mapping, row, &mut one)?;
            let outside = state.conj.protocols(&self.b);
            alternatives.push(one.finish(&mut self.b, state.families, outside.as_ref(), row.at));
        }
        let any = self.b.any(alternatives);
        state.conj.term(any);
        Ok(Flow::On)
    }

    // Terms that hold for the packets that a row takes.
    fn row_terms(
        &mut self,
        state: &RuleState,
        mapping: &Mapping<'a>,
        row: &Row<'a>,
        conj: &mut Conjunction,
    ) -> Parsed<()> {
        if row.keys.iter().all(|k| *k == Key::All) {
            for other in mapping.rows.iter().filter(|o| !o.keys.iter().all(|k| *k == Key::All)) {
                self.exclude(state, conj, &mapping.subjects, &other.keys)?;
            }
            if let Some((why, text)) = &mapping.unknown {
                self.volatile_term(state, conj, text, why, true);
            }
        } else {
            self.constrain_row(state, conj, &mapping.subjects, &row.keys)?;
            for taken in &row.behind {
                self.exclude(state, conj, &mapping.subjects, taken)?;
            }
        }
        if row.timed {
            let text = format!("{} still lasts", mapping.name);
            self.volatile_term(state, conj, &text, "the element expires", false);
        }
        if let Some(g) = &row.guard {
            let term = self.guard_term(state, g);
            conj.term(term);
        }
        Ok(())
    }

    // One rule for a row. In the map's own chain `*` needs no exclusion, and jumps are gotos. `unasked`: no row is left but this.
    fn map_rule(
        &mut self,
        state: &RuleState,
        mapping: &Mapping<'a>,
        row: &Row<'a>,
        own_chain: bool,
        unasked: bool,
    ) -> Parsed<()> {
        let mut conj = state.conj.clone();
        let is_rest = row.keys.iter().all(|k| *k == Key::All);
        if unasked {
            // Rules above took every other number of the generator.
        } else if !(own_chain && is_rest && !row.timed && row.guard.is_none() && mapping.unknown.is_none()) {
            self.row_terms(state, mapping, row, &mut conj)?;
        } else if let Some(continuing) = self.continuing(state, mapping)? {
            conj = continuing;
        }
        let Some(MapValue::Verdict(verdict)) = &row.value else {
            return Ok(());
        };
        let action = match self.action(state, verdict)? {
            Action::Jump(to) if own_chain => Action::Goto(to),
            other => other,
        };
        self.emit_with(state, conj, action, row.at);
        Ok(())
    }

    // `*` in the map's own chain must not take what `return`, `goto` and `continue` elements take outside of it.
    fn continuing(&mut self, state: &RuleState, mapping: &Mapping<'a>) -> Parsed<Option<Conjunction>> {
        let elsewhere: Vec<&Row<'a>> = mapping
            .rows
            .iter()
            .filter(|r| {
                matches!(
                    r.value,
                    Some(MapValue::Verdict(Verdict::Return | Verdict::Goto(_) | Verdict::Continue))
                )
            })
            .collect();
        if elsewhere.is_empty() {
            return Ok(None);
        }
        let mut conj = state.conj.clone();
        for row in elsewhere {
            self.exclude(state, &mut conj, &mapping.subjects, &row.keys)?;
        }
        Ok(Some(conj))
    }

    /// Runs `each` for every row of a map of values, with the condition under which it is taken: the rule's and the row's. A generator's
    /// rows (`numgen`, `jhash`) are tried in turn, and the last one needs no condition if the rows cover all numbers.
    pub(super) fn each_value(
        &mut self,
        state: &mut RuleState,
        key: &Expr<'a>,
        map: &Expr<'a>,
        each: &mut EachValue<'_, 'a>,
    ) -> Parsed<Mapping<'a>> {
        let mapping = self.mapping(state, key, map)?;
        self.implied_by_all(state, &mapping.subjects);
        let complete = complete(&mapping);
        let last = mapping.rows.len().saturating_sub(1);
        for (i, row) in mapping.rows.iter().enumerate() {
            let Some(MapValue::Expr(value)) = &row.value else {
                return Err(SyntaxError::new(row.at, "an element of this map needs a value"));
            };
            let mut conj = state.conj.clone();
            if !(complete && i == last) {
                self.row_terms(state, &mapping, row, &mut conj)?;
            }
            each(self, state, conj, value, row.at)?;
        }
        Ok(mapping)
    }

    /// Narrows the rule to packets that some row of a map takes: a miss ends the rule.
    pub(super) fn hit(&mut self, state: &mut RuleState, mapping: &Mapping<'a>) -> Parsed<()> {
        let mut alternatives = Vec::new();
        for row in &mapping.rows {
            let mut one = Conjunction::default();
            self.row_terms(state, mapping, row, &mut one)?;
            let outside = state.conj.protocols(&self.b);
            let terms = one.finish(&mut self.b, state.families, outside.as_ref(), row.at);
            if terms.is_empty() {
                return Ok(());
            }
            alternatives.push(terms);
        }
        if let Some((why, text)) = &mapping.unknown {
            self.unclear = true;
            let c = self.b.condition(text, why, ConditionKind::Volatile, state.at);
            alternatives.push(vec![Term::opaque(c, false)]);
        }
        match alternatives.len() {
            0 => state.conj.refuse(),
            _ => {
                let any = self.b.any(alternatives);
                state.conj.term(any);
            }
        }
        Ok(())
    }
}

// Whether the rows of a map take every number that its generator can give.
fn complete(mapping: &Mapping<'_>) -> bool {
    let Some(s) = mapping.subjects.first().map(|s| &s.selector).filter(|s| s.modulus > 0) else {
        return false;
    };
    let plain = |r: &Row<'_>| !r.timed && r.guard.is_none();
    let covered = mapping.rows.iter().filter(|r| plain(r)).filter_map(|r| match &r.keys[..] {
        [Key::Set(s)] => Some(s.ranges()),
        _ => None,
    });
    let (lo, hi) = s.bounds();
    mapping.unknown.is_none()
        && IntervalSet::from_ranges(covered.flatten().copied()).covers(&IntervalSet::range(lo, hi))
}
