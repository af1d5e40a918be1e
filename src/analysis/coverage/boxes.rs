//! Many boxes side by side, in the fields that any of them restricts.

use super::axes::Span;
use super::literals::{Literals, Table};
use super::parts::Part;
use crate::packet::Field;
use std::ops::Range;

/// Boxes of the rules of one chain, in their order.
pub(super) struct Boxes {
    fields: Vec<Field>,
    spans: Vec<Span>,
    literals: Vec<Literals>,
    rules: Vec<u32>,
    roles: Vec<u8>,
}

/// Packets that must be looked for: is any of them left to the rule?
pub(super) const TARGET: u8 = 1;
/// Packets that go no further than this rule, for certain.
pub(super) const BLOCKER: u8 = 2;
/// A [`TARGET`] that holds only packets that may open a connection.
pub(super) const OPENING: u8 = 4;

impl Boxes {
    /// None yet, in some fields.
    pub fn new(fields: &[Field]) -> Self {
        Self {
            fields: fields.to_vec(),
            spans: Vec::new(),
            literals: Vec::new(),
            rules: Vec::new(),
            roles: Vec::new(),
        }
    }

    /// Number of fields.
    pub fn width(&self) -> usize {
        self.fields.len()
    }

    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Adds a box of a rule; rules come in their order.
    pub fn push(&mut self, rule: usize, part: &Part, roles: u8) {
        let roles = if part.exact { roles } else { roles & !BLOCKER };
        if roles & (TARGET | BLOCKER) == 0 {
            return;
        }
        self.spans.extend(self.fields.iter().map(|f| part.spans[f.index()]));
        self.literals.push(part.literals);
        self.rules.push(rule as u32);
        self.roles.push(roles);
    }

    pub fn get(&self, i: u32) -> &[Span] {
        let at = i as usize * self.width();
        &self.spans[at..at + self.width()]
    }

    /// The boxes of a rule.
    pub fn of_rule(&self, rule: usize) -> Range<u32> {
        let below = |rule: usize| self.rules.partition_point(|r| (*r as usize) < rule) as u32;
        below(rule)..below(rule + 1)
    }

    pub fn literals(&self, i: u32) -> Literals {
        self.literals[i as usize]
    }

    pub fn rule(&self, i: u32) -> u32 {
        self.rules[i as usize]
    }

    pub fn is(&self, i: u32, role: u8) -> bool {
        self.roles[i as usize] & role != 0
    }

    /// Whether a blocker, if it meets some packets of the target, stops them whatever else holds.
    pub fn binds(&self, blocker: u32, target: u32, table: &Table) -> bool {
        table.implies(self.literals(target), self.literals(blocker))
    }
}

/// Whether every point of `b` is in `a`.
pub(super) fn contains(a: &[Span], b: &[Span]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.0 <= b.0 && b.1 <= a.1)
}

/// Whether some point is in both.
pub(super) fn meets(a: &[Span], b: &[Span]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.0 <= b.1 && b.0 <= a.1)
}

/// Whether the point is in the box.
pub(super) fn holds(a: &[Span], point: &[u32]) -> bool {
    a.iter().zip(point).all(|(a, p)| a.0 <= *p && *p <= a.1)
}

/// What some boxes leave of one: disjoint boxes, or `None` if they become more than `most`. Says which of the others took something away.
pub(super) fn remainder<'b>(
    of: &[Span],
    others: impl IntoIterator<Item = (u32, &'b [Span])>,
    most: usize,
    took: &mut Vec<u32>,
) -> Option<Vec<Vec<Span>>> {
    let mut left = vec![of.to_vec()];
    for (id, other) in others {
        if !left.iter().any(|l| meets(l, other)) {
            continue;
        }
        took.push(id);
        let mut next = Vec::with_capacity(left.len());
        for part in left {
            minus(part, other, &mut next);
        }
        left = next;
        if left.is_empty() {
            break;
        }
        if left.len() > most {
            return None;
        }
    }
    Some(left)
}

fn minus(mut part: Vec<Span>, other: &[Span], out: &mut Vec<Vec<Span>>) {
    if !meets(&part, other) {
        out.push(part);
        return;
    }
    for (i, (lo, hi)) in other.iter().enumerate() {
        let (from, to) = part[i];
        let mut with = |span: Span| {
            let mut piece = part.clone();
            piece[i] = span;
            out.push(piece);
        };
        if from < *lo {
            with((from, lo - 1));
        }
        if to > *hi {
            with((hi + 1, to));
        }
        part[i] = (from.max(*lo), to.min(*hi));
    }
}
