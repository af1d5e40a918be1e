//! Constants and sets: from words to values.

use super::lints::Span;
use super::*;
use crate::dialect::nftables::datatype::Type;
use crate::dialect::nftables::ruleset::{SetDeclaration, TypeSpec};
use crate::dialect::nftables::v4::Span4;
use crate::model::SetId;
use crate::packet::{IntervalSet, Value, addr};
use std::collections::BTreeSet;
use std::rc::Rc;

/// What a constant stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Constant {
    Values(Value, Value),
    /// A name whose value is not known here.
    Name(String),
}

/// A row of a set or map.
#[derive(Debug, Clone)]
pub(super) struct Row<'a> {
    /// A set for each component of the key; empty for `*`.
    pub(super) keys: Vec<Key>,
    pub(super) value: Option<MapValue<'a>>,
    /// It expires: it may be gone.
    pub(super) timed: bool,
    pub(super) guard: Option<Stateful<'a>>,
    /// Keys of elements that overlap this one and take their packets before it.
    pub(super) behind: Vec<Vec<Key>>,
    pub(super) at: Origin,
}

/// One component of a row's key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Set(IntervalSet),
    Name(String),
    /// Anything.
    All,
}

impl Key {
    /// Its lowest and highest value; of a name, all.
    pub(super) fn bounds(&self) -> (u128, u128) {
        match self {
            Key::Set(s) => s.first().zip(s.last()).unwrap_or((0, 0)),
            Key::Name(_) | Key::All => (0, u128::MAX),
        }
    }
}

/// The contents of a set or map.
#[derive(Debug, Default)]
pub(super) struct Contents<'a> {
    /// A plain set of one component, stored once: its certain elements.
    pub(super) stored: Option<SetId>,
    /// All other rows.
    pub(super) rows: Vec<Row<'a>>,
    /// Why there may be more, or less, at run time.
    pub(super) unknown: Option<&'static str>,
    /// Rules change it: it may differ from look to look.
    pub(super) changing: bool,
    /// The fields that its keys may be compared with, as bits.
    pub(super) fields: u16,
}

impl<'a> Lower<'a> {
    /// The values of a constant expression.
    pub(super) fn constant(&self, ty: Type, e: &Expr<'a>) -> Parsed<Constant> {
        let wrong = |m: String| SyntaxError::new(e.at, m);
        match &e.kind {
            ExprKind::Word(w) | ExprKind::Quoted(w) => {
                let read = ty.read(w).map_err(wrong)?;
                Ok(read
                    .map_or_else(|| Constant::Name(w.to_ascii_lowercase()), |(a, b)| Constant::Values(a, b)))
            }
            ExprKind::Prefix(v, length) => {
                let width: u32 = match ty {
                    Type::Address(Family::V4) => 32,
                    Type::Address(Family::V6) => 128,
                    Type::Mac => 48,
                    other => 128 - other.max().leading_zeros(),
                };
                let Constant::Values(base, _) = self.constant(ty, v)? else {
                    return Err(wrong("a prefix needs an address".to_owned()));
                };
                if *length > width {
                    return Err(wrong(format!("a prefix length of {length} is above {width}")));
                }
                let host = width - length;
                let mask = if host >= 128 { Value::MAX } else { (1 << host) - 1 };
                Ok(Constant::Values(base & !mask, base | mask))
            }
            ExprKind::Range(a, b) => match (self.constant(ty, a)?, self.constant(ty, b)?) {
                (Constant::Values(lo, _), Constant::Values(_, hi)) if lo <= hi => {
                    Ok(Constant::Values(lo, hi))
                }
                (Constant::Values(..), Constant::Values(..)) => {
                    Err(wrong("the range ends before it begins".to_owned()))
                }
                _ => Ok(Constant::Name(show::expr(e).to_ascii_lowercase())),
            },
            ExprKind::Bits(op, a, b) => match (self.constant(ty, a)?, self.constant(ty, b)?) {
                (Constant::Values(x, x2), Constant::Values(y, y2)) if x == x2 && y == y2 => {
                    let v = super::subject::apply(*op, x, y);
                    Ok(Constant::Values(v, v))
                }
                _ => Ok(Constant::Name(show::expr(e).to_ascii_lowercase())),
            },
            // Flags in a list are their union.
            ExprKind::List(parts) => {
                let mut all = 0;
                for p in parts {
                    match self.constant(ty, p)? {
                        Constant::Values(a, _) => all |= a,
                        Constant::Name(_) => return Ok(Constant::Name(show::expr(e).to_ascii_lowercase())),
                    }
                }
                Ok(Constant::Values(all, all))
            }
            // `{ x }` of one element, as a variable may hold.
            ExprKind::Set(elements) if elements.len() == 1 => self.constant(ty, &elements[0].key),
            _ => Err(wrong(format!("`{}` is no constant value", show::expr(e)))),
        }
    }

    /// One component of an element's key.
    fn component(&self, ty: Type, e: &Expr<'a>) -> Parsed<Key> {
        if let ExprKind::Rest = e.kind {
            return Ok(Key::All);
        }
        Ok(match self.constant(ty, e)? {
            Constant::Values(lo, hi) => Key::Set(typed(ty, IntervalSet::range(lo, hi))),
            Constant::Name(n) => Key::Name(n),
        })
    }

    /// Rows of the elements of one list; sets within sets are spread out.
    pub(super) fn rows(
        &mut self,
        types: &[Type],
        elements: Vec<Element<'a>>,
        out: &mut Vec<Row<'a>>,
    ) -> Parsed<()> {
        // Which rows stand in this very list: what a variable brings along is not the writer's concern.
        let mut own = Vec::new();
        let several = elements.len() > 1;
        for e in elements {
            let before = out.len();
            let here = e.at.file == e.key.at.file && e.at.start <= e.key.at.start && e.key.at.end <= e.at.end;
            let is_list = matches!(e.key.kind, ExprKind::Set(_));
            self.row(types, e, out)?;
            if several && here && !is_list && out.len() == before + 1 {
                own.push(before);
            }
        }
        if own.len() > 1 {
            let own: Vec<&Row<'a>> = own.into_iter().map(|i| &out[i]).collect();
            self.note_covered_rows(None, &own);
            self.conflicting_rows(None, &own);
        }
        Ok(())
    }

    fn row(&mut self, types: &[Type], e: Element<'a>, out: &mut Vec<Row<'a>>) -> Parsed<()> {
        let at = self.place(e.at);
        let mut row =
            Row { keys: Vec::new(), value: e.value, timed: e.timed, guard: e.guard, behind: Vec::new(), at };
        match e.key.kind {
            ExprKind::Rest if types.len() > 1 || row.value.is_some() || types.len() == 1 => {
                row.keys = vec![Key::All; types.len()];
                out.push(row);
            }
            // A set in a set: its elements take over what stands behind it.
            ExprKind::Set(inner) => {
                let inner = inner.into_iter().map(|mut i| {
                    i.value = i.value.or_else(|| row.value.clone());
                    i.timed |= row.timed;
                    i
                });
                self.rows(types, inner.collect(), out)?;
            }
            ExprKind::Concat(parts) => {
                if parts.len() != types.len() {
                    return Err(SyntaxError::new(
                        e.key.at,
                        format!("{} parts where {} are compared", parts.len(), types.len()),
                    ));
                }
                // A part may be a set again (a variable): every combination is an element.
                let mut keys: Vec<Vec<Key>> = vec![Vec::new()];
                for (ty, part) in types.iter().zip(&parts) {
                    let choices = match &part.kind {
                        ExprKind::Set(inner) => {
                            inner.iter().map(|i| self.component(*ty, &i.key)).collect::<Parsed<Vec<_>>>()?
                        }
                        _ => vec![self.component(*ty, part)?],
                    };
                    if keys.len().saturating_mul(choices.len()) > 1_000_000 {
                        return Err(SyntaxError::new(part.at, "sets within sets grow beyond all bounds"));
                    }
                    keys = keys
                        .iter()
                        .flat_map(|k| {
                            choices.iter().map(move |c| [k.as_slice(), std::slice::from_ref(c)].concat())
                        })
                        .collect();
                }
                out.extend(keys.into_iter().map(|keys| Row { keys, ..row.clone() }));
            }
            _ if types.len() > 1 => {
                return Err(SyntaxError::new(
                    e.key.at,
                    format!("one part where {} are compared", types.len()),
                ));
            }
            _ => {
                let ty = types.first().copied().unwrap_or(Type::Text);
                row.keys = vec![self.component(ty, &e.key)?];
                out.push(row);
            }
        }
        Ok(())
    }

    /// The contents of a named set or map, read once.
    pub(super) fn contents(
        &mut self,
        table: usize,
        name: &str,
        at: Origin,
    ) -> Parsed<(usize, Rc<Contents<'a>>)> {
        let ruleset = self.ruleset;
        let Some(s) = ruleset.tables[table].set(name) else {
            let known = ruleset.tables[table].sets.iter().map(|s| s.name.as_str());
            let near = known.into_iter().find(|k| strsim::damerau_levenshtein(k, name) <= 2);
            let help = near.map_or_else(String::new, |k| format!("did you mean `@{k}`?"));
            return Err(SyntaxError::new(at, format!("this table has no set `{name}`")).help(help));
        };
        let owner = &ruleset.tables[table];
        let contents = match self.sets.get(&(table, s)) {
            Some(c) => Rc::clone(c),
            None => {
                let contents = Rc::new(self.read_set(table, &owner.sets[s]));
                self.sets.insert((table, s), Rc::clone(&contents));
                contents
            }
        };
        if !owner.sets[s].constant {
            let name = format!("{} {} @{name}", owner.family.name(), owner.name);
            self.asked.push(RunTimeSet { name, fields: contents.fields, how: String::new() });
        }
        Ok((s, contents))
    }

    /// Types of a set's key.
    pub(super) fn key_types(&mut self, set: &SetDeclaration<'a>) -> Vec<Type> {
        match &set.key {
            Some(TypeSpec::Names(names)) => {
                names.iter().map(|n| Type::named(n).unwrap_or(Type::Text)).collect()
            }
            Some(TypeSpec::Like(source)) => self.like(source),
            None => vec![Type::Text],
        }
    }

    /// Types of what `typeof` names.
    fn like(&mut self, source: &Source<'a>) -> Vec<Type> {
        let key = match source {
            Source::Text(body) => Parser::new(self.context, *body).whole_key(),
            Source::Json(v, file) => json::expression(self.context, self.snippets, *v, *file),
        };
        match key {
            Ok(e) => types_of(&e),
            Err(e) => {
                self.b.diagnose(e.diagnostic());
                vec![Type::Text]
            }
        }
    }

    fn read_set(&mut self, table: usize, set: &SetDeclaration<'a>) -> Contents<'a> {
        let types = self.key_types(set);
        let changed = self.ruleset.tables[table].changed.get(&set.name).copied();
        let fields = types.iter().fold(0, |all, t| all | t.fields());
        let mut contents = Contents { changing: changed.is_some(), fields, ..Contents::default() };
        contents.unknown = if changed.is_some() {
            Some("rules change the set at run time")
        } else if set.dynamic {
            Some("the set is filled at run time")
        } else if set.timeouts || set.expires {
            Some("elements of the set come and expire at run time")
        } else if set.broken {
            Some("a part of the set could not be read")
        } else {
            None
        };
        // What rules may remove, or what expires, is not certain.
        let certain = changed != Some(true) && !set.expires;
        let mut plain = Ranges::default();
        let mut removed: Vec<Row<'a>> = Vec::new();
        for (added, source) in &set.changes {
            // Deletions in a row are made at once.
            if *added {
                remove(&mut plain, &mut contents.rows, std::mem::take(&mut removed));
            }
            let before = contents.rows.len();
            let mut rows = std::mem::take(&mut contents.rows);
            let simple = if *added && !set.is_map && certain {
                types.first().filter(|_| types.len() == 1)
            } else {
                None
            };
            if let Err(e) = self.elements(&types, simple.copied(), source, &mut plain, &mut rows) {
                self.b.diagnose(e.diagnostic());
                contents.unknown = contents.unknown.or(Some("an element could not be read"));
            }
            if !*added {
                removed.extend(rows.split_off(before));
            }
            contents.rows = rows;
        }
        remove(&mut plain, &mut contents.rows, removed);
        if !certain {
            contents.rows.iter_mut().for_each(|r| r.timed = true);
        }
        if contents.rows.iter().any(|r| r.timed) && contents.unknown.is_none() {
            contents.unknown = Some("elements of the set expire");
        }
        if types.len() > 1 && !set.is_map && set.changes.iter().all(|(added, _)| *added) {
            let rows: Vec<&Row<'a>> = contents.rows.iter().collect();
            self.note_covered_rows(Some(&set.name), &rows);
        }
        if set.changes.len() == 1 && (types.len() > 1 || set.is_map) {
            let rows: Vec<&Row<'a>> = contents.rows.iter().collect();
            self.conflicting_rows(Some(&set.name), &rows);
        }
        if !set.interval && !set.broken && set.key.is_some() {
            let wide = |k: &Key| matches!(k, Key::Set(s) if s.count() > 1);
            let found = contents.rows.iter().find(|r| r.keys.iter().any(wide)).map(|r| r.at);
            if let Some(at) = found.or_else(|| plain.widest().then_some(set.at)) {
                self.undeclared_interval(set, at);
            }
        }
        if types.len() == 1 && !set.is_map {
            contents.rows.retain(|r| match (&r.keys[..], r.timed, &r.guard) {
                ([Key::Set(s)], false, None) => {
                    s.ranges().iter().for_each(|r| plain.push(*r));
                    false
                }
                _ => true,
            });
            let ty = types[0];
            let (values, overlaps) = plain.finish();
            if overlaps.covered {
                self.look_for_covered(ty, set);
            }
            if overlaps.conflict && !set.merges && set.changes.len() == 1 {
                let spans = self.spans_of(ty, set);
                self.conflicting_spans(set, spans);
            }
            let values = typed(ty, values);
            contents.stored = Some(self.b.set(values));
        }
        contents
    }

    // Reads the elements of a named set again, now with their places, to tell which ones others cover. Not where some are deleted: then
    // which ones are left is not told by their places.
    fn look_for_covered(&mut self, ty: Type, set: &SetDeclaration<'a>) {
        if set.changes.iter().any(|(added, _)| !added) {
            return;
        }
        let spans = self.spans_of(ty, set);
        self.note_covered(Some(&set.name), spans);
    }

    // The elements of a named set of one component, with their places.
    fn spans_of(&mut self, ty: Type, set: &SetDeclaration<'a>) -> Vec<Span> {
        let mut spans = Vec::new();
        for (_, source) in &set.changes {
            let mut rest = Vec::new();
            match source {
                Source::Text(body) => {
                    let mut take = |low: &str, high: Option<&str>, length: Option<u8>, at: Origin| {
                        let values = simple_values(ty, low, high, length);
                        spans.extend(values.map(|(lo, hi)| Span { lo, hi, at, certain: true }));
                        values.is_some()
                    };
                    let parser = Parser::new(self.context, *body);
                    let _ = parser.named_elements(None, &mut take, &mut |e| rest.push(e));
                }
                Source::Json(v, file) => {
                    rest = json::elements(self.context, self.snippets, *v, *file).unwrap_or_default();
                }
            }
            let mut rows = Vec::new();
            for e in rest.into_iter().filter(|e| !matches!(e.key.kind, ExprKind::Set(_))) {
                let _ = self.row(&[ty], e, &mut rows);
            }
            spans.extend(rows.iter().filter_map(super::lints::span));
        }
        spans
    }

    // Elements of one source: simple ones as values, the others as rows.
    fn elements(
        &mut self,
        types: &[Type],
        simple: Option<Type>,
        source: &Source<'a>,
        plain: &mut Ranges,
        rows: &mut Vec<Row<'a>>,
    ) -> Parsed<()> {
        let mut trees = Vec::new();
        match source {
            Source::Text(body) => {
                let mut v4 = std::mem::take(&mut plain.v4);
                let mut take_simple = |low: &str, high: Option<&str>, length: Option<u8>, _: Origin| {
                    simple
                        .and_then(|ty| simple_values(ty, low, high, length))
                        .map(|v| plain.push(v))
                        .is_some()
                };
                let list = (simple == Some(Type::Address(Family::V4))).then_some(&mut v4);
                let parser = Parser::new(self.context, *body);
                let parsed = parser.named_elements(list, &mut take_simple, &mut |e| trees.push(e));
                v4.append(&mut plain.v4);
                plain.v4 = v4;
                parsed?;
            }
            Source::Json(v, file) => {
                trees = json::elements(self.context, self.snippets, *v, *file)?;
            }
        }
        // One wrong element does not hide the others.
        let mut first_error = None;
        for e in trees {
            if let Err(error) = self.row(types, e, rows) {
                match first_error {
                    None => first_error = Some(error),
                    Some(_) => self.b.diagnose(error.diagnostic()),
                }
            }
        }
        first_error.map_or(Ok(()), Err)
    }
}

fn remove(plain: &mut Ranges, rows: &mut Vec<Row<'_>>, removed: Vec<Row<'_>>) {
    if removed.is_empty() {
        return;
    }
    let gone: BTreeSet<Vec<Key>> = removed.into_iter().map(|r| r.keys).collect();
    rows.retain(|row| !gone.contains(&row.keys));
    let values = IntervalSet::from_ranges(
        gone.iter()
            .flat_map(|keys| match &keys[..] {
                [Key::Set(s)] => s.ranges(),
                _ => &[],
            })
            .copied(),
    );
    let left = std::mem::take(plain).finish().0.minus(&values);
    left.ranges().iter().for_each(|r| plain.push(*r));
}

/// How the elements of a plain set overlap.
#[derive(Debug, Clone, Copy, Default)]
struct Overlaps {
    /// An element lies within another one.
    covered: bool,
    /// Elements overlap that are not equal.
    conflict: bool,
}

/// Values of a plain set as they are read. IPv4 addresses stand apart, four times smaller: the longest lists are theirs.
#[derive(Debug, Default)]
struct Ranges {
    v4: Vec<Span4>,
    others: Vec<(Value, Value)>,
}

impl Ranges {
    fn push(&mut self, (lo, hi): (Value, Value)) {
        let v4 = |v: Value| v.checked_sub(addr::v4(0)).and_then(|v| u32::try_from(v).ok());
        match v4(lo).zip(v4(hi)) {
            Some((lo, hi)) => self.v4.push(Span4::new(lo, hi)),
            None => self.others.push((lo, hi)),
        }
    }

    /// Whether some is no single value.
    fn widest(&self) -> bool {
        self.v4.iter().any(|s| s.lo() < s.hi()) || self.others.iter().any(|(lo, hi)| lo < hi)
    }

    /// All as a set, and how they overlap.
    fn finish(mut self) -> (IntervalSet, Overlaps) {
        self.v4.sort_unstable();
        // Of a sorted list the first interval that lies within an earlier one lies within the one before it, and the first that meets
        // an earlier one meets that.
        let mut overlaps = Overlaps {
            covered: self.v4.windows(2).any(|w| w[1].hi() <= w[0].hi() || w[1].lo() == w[0].lo()),
            conflict: self.v4.windows(2).any(|w| w[1].lo() <= w[0].hi() && w[1] != w[0]),
        };
        // Joined while they are small.
        self.v4.dedup_by(|next, last| {
            let meets = next.lo() <= last.hi().saturating_add(1);
            if meets {
                *last = Span4::new(last.lo(), last.hi().max(next.hi()));
            }
            meets
        });
        let v4 = IntervalSet::from_ranges(self.v4.iter().map(|s| (addr::v4(s.lo()), addr::v4(s.hi()))));
        if self.others.is_empty() {
            return (v4, overlaps);
        }
        self.others.sort_unstable();
        overlaps.covered |= self.others.windows(2).any(|w| w[1].1 <= w[0].1 || w[1].0 == w[0].0);
        overlaps.conflict |= self.others.windows(2).any(|w| w[1].0 <= w[0].1 && w[1] != w[0]);
        (IntervalSet::from_ranges(self.others).union(&v4), overlaps)
    }
}

// A word, range or prefix of the commonest types without a tree.
fn simple_values(ty: Type, low: &str, high: Option<&str>, length: Option<u8>) -> Option<(Value, Value)> {
    let (lo, lo_end) = ty.read(low).ok()??;
    match (high, length) {
        (None, None) => Some((lo, lo_end)),
        (Some(h), _) => {
            let (_, hi) = ty.read(h).ok()??;
            (lo <= hi).then_some((lo, hi))
        }
        (None, Some(n)) => {
            let host = match ty {
                Type::Address(Family::V4) => 32u32.checked_sub(n.into())?,
                Type::Address(Family::V6) => 128u32.checked_sub(n.into())?,
                _ => return None,
            };
            let mask = if host >= 128 { Value::MAX } else { (1 << host) - 1 };
            Some((lo & !mask, lo | mask))
        }
    }
}

/// IPv6 sets never hold the block in which IPv4 addresses stand.
pub(super) fn typed(ty: Type, set: IntervalSet) -> IntervalSet {
    match ty {
        Type::Address(Family::V6) => {
            let v4 = Family::V4.all();
            if set.intersects(&v4) { set.minus(&v4) } else { set }
        }
        _ => set,
    }
}

/// Types of an expression that serves as an example.
pub(super) fn types_of(e: &Expr<'_>) -> Vec<Type> {
    match &e.kind {
        ExprKind::Selector(s) => vec![s.ty],
        ExprKind::Concat(parts) => parts.iter().flat_map(types_of).collect(),
        ExprKind::Bits(_, a, _) => types_of(a),
        _ => vec![Type::Text],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_a_set() {
        let mut ranges = Ranges::default();
        let v4 = |n: u32| addr::v4(n);
        for range in [(v4(9), v4(9)), (v4(1), v4(3)), (v4(4), v4(5)), (7, 8)] {
            ranges.push(range);
        }
        assert_eq!(ranges.v4.len(), 3);
        let (set, overlaps) = ranges.finish();
        assert_eq!(set, IntervalSet::from_ranges([(7, 8), (v4(1), v4(5)), (v4(9), v4(9))]));
        assert!(!overlaps.covered && !overlaps.conflict);
        let again = Ranges { v4: vec![Span4::new(1, 5), Span4::new(2, 3)], others: Vec::new() };
        let overlaps = again.finish().1;
        assert!(overlaps.covered && overlaps.conflict);
    }
}
