//! Membership in sets, and keys of several components.

use super::constrain::Wanted;
use super::matching::range_text;
use super::subject::Subject;
use super::values::{Constant, Contents, Key, Row, typed};
use super::*;
use crate::dialect::nftables::datatype::Type;
use crate::dialect::nftables::selector::{Meaning, Selector};
use crate::model::Term;
use crate::packet::{IntervalSet, Value};
use std::collections::BTreeMap;

impl<'a> Lower<'a> {
    // Membership in a set of one component.
    pub(super) fn match_contents(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subject: &Subject<'a>,
        negated: bool,
        contents: &Contents<'a>,
        name: &str,
    ) -> Parsed<()> {
        let certain = IntervalSet::from_ranges(
            contents
                .rows
                .iter()
                .filter(|r| !r.timed && r.guard.is_none())
                .filter_map(|r| match r.keys.first() {
                    Some(Key::Set(s)) => Some(s),
                    _ => None,
                })
                .flat_map(|s| s.ranges().iter().copied()),
        );
        let names: Vec<_> =
            contents.rows.iter().filter(|r| matches!(r.keys.first(), Some(Key::Name(_)))).collect();
        if contents.rows.iter().any(|r| r.keys.first() == Some(&Key::All) && !r.timed && r.guard.is_none()) {
            if negated {
                conj.refuse();
            }
            return Ok(());
        }
        let ty = subject.selector.ty;
        let text = |what: &str| {
            if subject.selector.optional && negated {
                format!("{} != {what}", subject.text())
            } else {
                format!("{} {what}", subject.text())
            }
        };
        let opaque = subject.selector.meaning == Meaning::Opaque || subject.strange.is_some();
        let plain = contents.unknown.is_none()
            && names.is_empty()
            && contents.rows.iter().all(|r| !r.timed && r.guard.is_none());
        if opaque && plain && subject.selector.text.starts_with('@') && subject.strange.is_none() {
            let stored = contents.stored.map(|id| self.b.firewall().sets.get(id).clone());
            let all = stored.unwrap_or_default().union(&certain);
            let id = self.b.set(all);
            let wanted = if negated { Wanted::NotStored(id) } else { Wanted::Stored(id) };
            if self.raw_term(rule, conj, subject, &wanted)? {
                return Ok(());
            }
        }
        if opaque {
            // Not in the model: the comparison as a whole is one condition.
            let mut parts: Vec<String> = Vec::new();
            let stored = contents.stored.map(|id| self.b.firewall().sets.get(id).clone());
            let all = stored.unwrap_or_default().union(&certain);
            let told = contents.unknown.is_none() && names.is_empty();
            if told && contents.rows.iter().all(|r| !r.timed && r.guard.is_none()) {
                let route = all.first().filter(|_| all.count() == 1);
                if route.is_some_and(|v| {
                    subject.operations.is_empty()
                        && self.route_term(rule, conj, &subject.selector, v, negated)
                }) || self.settled(conj, subject, &all, negated)
                {
                    return Ok(());
                }
            }
            parts.extend(set_text(ty, &all));
            parts.extend(names.iter().filter_map(|r| match r.keys.first() {
                Some(Key::Name(n)) => Some(n.clone()),
                _ => None,
            }));
            parts.sort_unstable();
            let words = if name.is_empty() { braces(&parts) } else { name.to_owned() };
            let invert = negated && !subject.selector.optional;
            let text = text(&words);
            if contents.unknown.is_some() && contents.changing {
                self.volatile_term(rule, conj, &text, contents.unknown.unwrap_or_default(), invert);
            } else {
                self.opaque_term(rule, conj, &subject.selector, &text, invert);
            }
            return Ok(());
        }
        let uncertain = contents.unknown.is_some()
            || !names.is_empty()
            || contents.rows.iter().any(|r| r.timed || r.guard.is_some());
        let identity = subject.operations.is_empty();
        if !uncertain {
            let wanted = match contents.stored {
                Some(id) if identity && !negated => Wanted::Stored(id),
                Some(id) if identity => Wanted::NotStored(id),
                stored => {
                    let set = stored.map_or(certain, |id| self.b.firewall().sets.get(id).clone());
                    Wanted::Set(if negated { IntervalSet::range(0u8, ty.max()).minus(&set) } else { set })
                }
            };
            let words = if name.is_empty() { "{ … }" } else { name };
            return self.constrain(rule, conj, subject, wanted, &|| text(words));
        }
        // Some elements are certain; of the others it is unknown whether they are there.
        let mut listed = Conjunction::default();
        let set = match contents.stored {
            Some(id) => self.b.firewall().sets.get(id).union(&certain),
            None => certain,
        };
        let text_of_set = if name.is_empty() { show_rows(ty, contents) } else { name.to_owned() };
        let text = format!("{} {text_of_set}", subject.text());
        let why = contents.unknown.unwrap_or("a name is resolved, or a limit asked, at run time");
        let kind = if contents.changing || contents.rows.iter().any(|r| r.guard.is_some()) {
            ConditionKind::Volatile
        } else {
            ConditionKind::Pure
        };
        let c = self.b.condition(&text, why, kind, rule.at);
        self.unclear = true;
        if negated {
            let all = IntervalSet::range(0u8, ty.max());
            self.constrain(rule, conj, subject, Wanted::Set(all.minus(&set)), &|| text.clone())?;
            conj.term(Term::opaque(c, true));
            return Ok(());
        }
        self.constrain(rule, &mut listed, subject, Wanted::Set(set), &|| text.clone())?;
        let outside = conj.protocols(&self.b);
        let listed = listed.finish(&mut self.b, rule.families(), outside.as_ref(), rule.at);
        let unknown = Term::opaque(c, false);
        let term = if matches!(listed[..], [t] if t.is_never()) {
            unknown
        } else {
            self.b.any(vec![listed, vec![unknown]])
        };
        conj.term(term);
        Ok(())
    }

    // `ip saddr . tcp dport { … }`.
    pub(super) fn match_concat(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        parts: &[Expr<'a>],
        op: Op,
        right: &Expr<'a>,
    ) -> Parsed<()> {
        let mut subjects = self.subjects(parts)?;
        self.fix(rule.table, &mut subjects, parts, right)?;
        let types: Vec<Type> = subjects.iter().map(|s| s.selector.ty).collect();
        for s in &subjects {
            self.implied(rule, conj, &s.selector);
        }
        let negated = op == Op::NotEqual;
        let mut unknown = None;
        let mut changing = false;
        let mut rows: Vec<Row<'a>> = Vec::new();
        match &right.kind {
            ExprKind::Named(name) => {
                let (_, contents) = self.contents(rule.table, name, right.at)?;
                rows = contents.rows.clone();
                unknown = contents.unknown;
                changing = contents.changing;
            }
            ExprKind::Set(elements) => self.rows(&types, elements.clone(), &mut rows)?,
            _ => {
                let element =
                    Element { key: right.clone(), value: None, timed: false, guard: None, at: right.at };
                self.rows(&types, vec![element], &mut rows)?;
            }
        }
        let text = || {
            let left: Vec<_> = subjects.iter().map(Subject::text).collect();
            format!("{} {}", left.join(" . "), show::expr(right))
        };
        if rows.iter().any(|r| r.timed || r.guard.is_some()) {
            unknown = unknown.or(Some("an element expires, or carries a limit"));
            rows.retain(|r| !r.timed && r.guard.is_none());
        }
        let rows = merge(rows.into_iter().map(|r| r.keys).collect());
        let beyond = unknown.map(|why| {
            self.unclear = true;
            let kind = if changing { ConditionKind::Volatile } else { ConditionKind::Pure };
            self.b.condition(&text(), why, kind, rule.at)
        });
        if negated {
            for keys in &rows {
                self.exclude(rule, conj, &subjects, keys)?;
            }
            if let Some(c) = beyond {
                conj.term(Term::opaque(c, true));
            }
            return Ok(());
        }
        if let ([keys], None) = (&rows[..], beyond) {
            return self.constrain_row(rule, conj, &subjects, keys);
        }
        let outside = conj.protocols(&self.b);
        let mut alternatives = Vec::with_capacity(rows.len());
        for keys in &rows {
            let mut one = Conjunction::default();
            self.constrain_row(rule, &mut one, &subjects, keys)?;
            let terms = one.finish(&mut self.b, rule.families(), outside.as_ref(), rule.at);
            if !matches!(terms[..], [t] if t.is_never()) {
                alternatives.push(terms);
            }
        }
        if let Some(c) = beyond {
            alternatives.push(vec![Term::opaque(c, false)]);
        }
        match &alternatives[..] {
            [] => conj.refuse(),
            [one] => one.iter().for_each(|t| conj.term(*t)),
            _ => {
                let any = self.b.any(alternatives);
                conj.term(any);
            }
        }
        Ok(())
    }

    pub(super) fn subjects(&self, parts: &[Expr<'a>]) -> Parsed<Vec<Subject<'a>>> {
        let constant = |p: &Expr<'a>| match &p.kind {
            ExprKind::Word(w) | ExprKind::Quoted(w) if parts.len() > 1 => Some(Subject {
                selector: Selector::opaque(w.clone(), Type::Text),
                operations: Vec::new(),
                strange: None,
                fixed: None,
            }),
            _ => None,
        };
        parts
            .iter()
            .map(|p| {
                Subject::of(p)
                    .or_else(|| constant(p))
                    .ok_or_else(|| SyntaxError::new(p.at, "nothing of the packet is compared here"))
            })
            .collect()
    }

    // Constant parts of a concatenation have the type that the set gives them.
    pub(super) fn fix(
        &mut self,
        table: usize,
        subjects: &mut [Subject<'a>],
        parts: &[Expr<'a>],
        right: &Expr<'a>,
    ) -> Parsed<()> {
        let ExprKind::Named(name) = &right.kind else {
            return Ok(());
        };
        let ruleset = self.ruleset;
        let Some(s) = ruleset.tables[table].set(name) else {
            return Ok(());
        };
        let types = self.key_types(&ruleset.tables[table].sets[s]);
        for ((subject, part), ty) in subjects.iter_mut().zip(parts).zip(types) {
            if Subject::of(part).is_none() {
                subject.fixed = Some(self.constant(ty, part)?);
                subject.selector.ty = ty;
            }
        }
        Ok(())
    }

    /// All components of a key match.
    pub(super) fn constrain_row(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subjects: &[Subject<'a>],
        keys: &[Key],
    ) -> Parsed<()> {
        for (subject, key) in subjects.iter().zip(keys) {
            self.constrain_key(rule, conj, subject, key, false)?;
        }
        Ok(())
    }

    pub(super) fn constrain_key(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subject: &Subject<'a>,
        key: &Key,
        negated: bool,
    ) -> Parsed<()> {
        let opaque = subject.selector.meaning == Meaning::Opaque || subject.strange.is_some();
        if let Some(fixed) = &subject.fixed {
            let hit = match (key, fixed) {
                (Key::All, _) => true,
                (Key::Set(s), Constant::Values(lo, hi)) => s.covers(&IntervalSet::range(*lo, *hi)),
                (Key::Name(a), Constant::Name(b)) => a == b,
                _ => false,
            };
            if hit == negated {
                conj.refuse();
            }
            return Ok(());
        }
        match key {
            Key::All if negated => {
                conj.refuse();
                Ok(())
            }
            Key::All => Ok(()),
            Key::Name(name) => {
                let op = if negated { Op::NotEqual } else { Op::Implicit };
                self.match_name(rule, conj, subject, op, name, rule.at)
            }
            Key::Set(set) if opaque && self.settled(conj, subject, set, negated) => Ok(()),
            Key::Set(set)
                if opaque
                    && subject.operations.is_empty()
                    && set.count() == 1
                    && self.route_term(
                        rule,
                        conj,
                        &subject.selector,
                        set.first().unwrap_or_default(),
                        negated,
                    ) =>
            {
                Ok(())
            }
            Key::Set(set) if opaque => {
                let words = braces(&set_text(subject.selector.ty, set));
                if negated && subject.selector.optional {
                    let text = format!("{} != {words}", subject.text());
                    self.opaque_term(rule, conj, &subject.selector, &text, false);
                } else {
                    let text = format!("{} {words}", subject.text());
                    self.opaque_term(rule, conj, &subject.selector, &text, negated);
                }
                Ok(())
            }
            Key::Set(set) => {
                let ty = subject.selector.ty;
                let (wanted, sign) = if negated {
                    (typed(ty, IntervalSet::range(0u8, ty.max()).minus(set)), "!= ")
                } else {
                    (set.clone(), "")
                };
                let text = || format!("{} {sign}{}", subject.text(), braces(&set_text(ty, set)));
                self.constrain(rule, conj, subject, Wanted::Set(wanted), &text)
            }
        }
    }

    /// Some component of a key differs.
    pub(super) fn exclude(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subjects: &[Subject<'a>],
        keys: &[Key],
    ) -> Parsed<()> {
        if let ([subject], [key]) = (subjects, keys) {
            return self.constrain_key(rule, conj, subject, key, true);
        }
        let outside = conj.protocols(&self.b);
        let mut alternatives = Vec::new();
        for (subject, key) in subjects.iter().zip(keys) {
            let mut one = Conjunction::default();
            self.constrain_key(rule, &mut one, subject, key, true)?;
            let terms = one.finish(&mut self.b, rule.families(), outside.as_ref(), rule.at);
            if terms.is_empty() {
                return Ok(());
            }
            if !matches!(terms[..], [t] if t.is_never()) {
                alternatives.push(terms);
            }
        }
        if alternatives.is_empty() {
            conj.refuse();
            return Ok(());
        }
        let any = self.b.any(alternatives);
        conj.term(any);
        Ok(())
    }
}

fn set_text(ty: Type, set: &IntervalSet) -> Vec<String> {
    set.ranges().iter().map(|(lo, hi)| range_text(ty, *lo, *hi)).collect()
}

fn braces(parts: &[String]) -> String {
    match parts {
        [one] => one.clone(),
        _ => format!("{{ {} }}", parts.join(", ")),
    }
}

fn show_rows(ty: Type, contents: &Contents<'_>) -> String {
    let mut parts: Vec<String> = contents
        .rows
        .iter()
        .flat_map(|r| match r.keys.first() {
            Some(Key::Set(s)) => set_text(ty, s),
            Some(Key::Name(n)) => vec![n.clone()],
            _ => vec!["*".to_owned()],
        })
        .collect();
    parts.sort_unstable();
    braces(&parts)
}

// Intervals, and other keys, of rows that are alike in all but one component.
type Group = (Vec<(Value, Value)>, Vec<Key>);

/// Keys that differ in one component only become one: the fewest rows, in an order of their own.
pub(super) fn merge(mut rows: Vec<Vec<Key>>) -> Vec<Vec<Key>> {
    let width = rows.first().map_or(0, Vec::len);
    for component in (0..width).rev() {
        let mut groups: BTreeMap<Vec<Key>, Group> = BTreeMap::new();
        for mut keys in rows {
            let one = std::mem::replace(&mut keys[component], Key::All);
            let group = groups.entry(keys).or_default();
            match one {
                Key::Set(s) => group.0.extend_from_slice(s.ranges()),
                other => group.1.push(other),
            }
        }
        rows = Vec::with_capacity(groups.len());
        for (keys, (ranges, mut others)) in groups {
            let with = |key: Key| {
                let mut keys = keys.clone();
                keys[component] = key;
                keys
            };
            if others.contains(&Key::All) {
                rows.push(with(Key::All));
                continue;
            }
            others.sort_unstable();
            others.dedup();
            if !ranges.is_empty() {
                rows.push(with(Key::Set(IntervalSet::from_ranges(ranges))));
            }
            rows.extend(others.into_iter().map(with));
        }
    }
    rows.sort_unstable();
    rows
}
