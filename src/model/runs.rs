//! Runs: neighbouring rules that do the same and differ in the values of one field only. A blocklist is one, with all its addresses.

use super::{Action, Chain, Firewall, Rule, SetId, Term};
use crate::packet::{Field, IntervalSet, Value};
use rustc_hash::FxHashSet;

/// Rules that are together one rule with the values of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Index of the first rule in its chain.
    pub first: usize,
    /// Index after the last one.
    pub end: usize,
    /// The field in which they differ.
    pub field: Field,
    /// Where the term about it stands among the terms of each rule.
    pub at: usize,
    /// The values of all.
    pub values: IntervalSet,
}

// Shorter ones gain nothing.
const SHORTEST: usize = 8;
// Intervals of one run before duplicates are found: bounds the work that sets named by many rules make.
const MAX_RANGES: usize = 4_000_000;

/// The runs of a chain, in the order of its rules.
pub(super) fn runs(f: &Firewall, chain: &Chain) -> Vec<Run> {
    let rules = &chain.rules;
    let mut out = Vec::new();
    let mut first = 0;
    while let [rule, next, ..] = &rules[first..] {
        let Some((at, field)) = difference(f, rule, next) else {
            first += 1;
            continue;
        };
        let more = rules[first + 1..].iter().take_while(|r| is_alike(f, rule, r, (at, field)));
        let end = first + 1 + more.count();
        if end - first >= SHORTEST
            && let Some(values) = values(f, &rules[first..end], at)
        {
            out.push(Run { first, end, field, at, values });
        }
        first = end;
    }
    out
}

// Where two rules differ, if they are alike but for that.
fn difference(f: &Firewall, a: &Rule, b: &Rule) -> Option<(usize, Field)> {
    let (x, y) = (f.terms(a.terms), f.terms(b.terms));
    let at = x.iter().zip(y).position(|(s, t)| s != t)?;
    let field = field_of(&x[at])?;
    is_alike(f, a, b, (at, field)).then_some((at, field))
}

// Whether two rules do the same to the packets that they ask for, and ask for the same but for the values of a field.
fn is_alike(f: &Firewall, a: &Rule, b: &Rule, (at, field): (usize, Field)) -> bool {
    // Rules that send packets through a chain may both do so.
    let ends = matches!(a.action, Action::Accept | Action::Drop | Action::Reject | Action::Return);
    if !ends || a.action != b.action || a.effects.is_some() || b.effects.is_some() {
        return false;
    }
    let (x, y) = (f.terms(a.terms), f.terms(b.terms));
    // What may have another answer for each rule is no part of a run.
    let steady = |t: &Term| !matches!(t, Term::Opaque { .. } | Term::Any(_));
    x.len() == y.len()
        && x.iter().zip(y).enumerate().all(|(i, (s, t))| {
            if i == at {
                field_of(s) == Some(field) && field_of(t) == Some(field)
            } else {
                s == t && steady(s)
            }
        })
}

fn field_of(term: &Term) -> Option<Field> {
    match *term {
        Term::Range { field, .. } | Term::In(field, _) => Some(field),
        _ => None,
    }
}

fn values(f: &Firewall, rules: &[Rule], at: usize) -> Option<IntervalSet> {
    let mut ranges: Vec<(Value, Value)> = Vec::with_capacity(rules.len());
    let mut seen: FxHashSet<SetId> = FxHashSet::default();
    for rule in rules {
        match f.terms(rule.terms)[at] {
            Term::Range { field, lo, hi } if lo <= hi => {
                ranges.push((Term::base(field) + Value::from(lo), Term::base(field) + Value::from(hi)));
            }
            Term::In(_, set) if seen.insert(set) => ranges.extend_from_slice(f.sets.get(set).ranges()),
            _ => {}
        }
        if ranges.len() > MAX_RANGES {
            return None;
        }
    }
    Some(IntervalSet::from_ranges(ranges))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Builder;
    use crate::packet::Family;
    use crate::source::{Origin, SourceFile};

    #[test]
    fn a_run_ends_where_rules_differ_in_more_than_one_field() {
        let mut b = Builder::new("test", vec![SourceFile::new("t", "")], &[Family::V4]);
        let chain = b.chain("t", "c", Origin::default());
        let limit = b.opaque("limit", "", false, Origin::default());
        for n in 0..40u32 {
            let port = b.field(Field::Dport, IntervalSet::single(n));
            let terms = match n {
                0..10 => vec![b.protocol(6), port],
                10..20 => vec![b.protocol(17), port],
                20..30 => vec![b.protocol(6), port, limit],
                _ => vec![b.protocol(6), port],
            };
            let action = if n < 35 { Action::Drop } else { Action::Accept };
            let rule = b.rule(Origin::default(), &terms, action);
            b.push(chain, rule);
        }
        let f = b.finish();
        let found: Vec<_> =
            f.runs(chain).iter().map(|r| (r.first, r.end, r.field, r.values.clone())).collect();
        let run = |first: usize, end: usize| {
            (first, end, Field::Dport, IntervalSet::range(first as u32, end as u32 - 1))
        };
        assert_eq!(
            found,
            [run(0, 10), run(10, 20)],
            "conditions that may differ and short runs are left alone"
        );
        assert!(f.run(chain, 9).is_some_and(|r| r.first == 0) && f.run(chain, 20).is_none());
    }
}
