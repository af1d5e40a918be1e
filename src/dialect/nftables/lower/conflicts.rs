//! Elements that nft refuses beside each other. Measured with nft 1.0.6 (`nft -c -f`): equal elements are no conflict, unless a map gives
//! them different values.

use super::lints::Span;
use super::values::{Key, Row};
use super::*;
use crate::dialect::nftables::ruleset::SetDeclaration;

// Concatenations of one list are compared pair by pair: of longer lists none are.
const MAX_PAIRED: usize = 512;
// Elements of a map that are held against each other, and those that may meet.
const MAX_COMPARED: usize = 20_000_000;
const MAX_MEETING: usize = 20_000;

const MERGE: &str = "nft refuses the file: add `auto-merge` to the set, or take one of the two out";
const REFUSED: &str = "nft refuses the file: take one of the two out";

impl<'a> Lower<'a> {
    /// Elements of a named set of one component.
    pub(super) fn conflicting_spans(&mut self, set: &SetDeclaration<'a>, mut spans: Vec<Span>) {
        spans.sort_by_key(|s| (s.lo, s.hi, s.at));
        let overlap =
            spans.windows(2).find(|w| w[1].lo <= w[0].hi && (w[0].lo, w[0].hi) != (w[1].lo, w[1].hi));
        if let Some([_, second]) = overlap {
            self.conflict(second.at, Some(&set.name), MERGE);
        }
    }

    /// Elements of one list: of a map, or of a set of concatenations.
    pub(super) fn conflicting_rows(&mut self, name: Option<&str>, rows: &[&Row<'a>]) {
        let single = rows.iter().all(|r| r.keys.len() == 1);
        if single && rows.iter().all(|r| r.value.is_none()) {
            return;
        }
        let found = if single { beside(rows) } else { pairs(rows) };
        if let Some(row) = found {
            self.conflict(row.at, name, REFUSED);
        }
    }

    fn conflict(&mut self, at: Origin, name: Option<&str>, help: &str) {
        let whose = name.map_or_else(|| "the list".to_owned(), |n| format!("`{n}`"));
        let message = format!("this element conflicts with another one of {whose}: the two overlap");
        self.b.diagnose(Diagnostic::error(at, message).help(help));
    }

    /// Intervals in a set that holds none.
    pub(super) fn undeclared_interval(&mut self, set: &SetDeclaration<'a>, at: Origin) {
        let message = format!("`{}` holds no intervals, and this is one", set.name);
        let at = self.place(at);
        self.b.diagnose(
            Diagnostic::error(at, message).help("nft refuses the file: add `flags interval` to the set"),
        );
    }
}

// The second of two rows of one component that overlap.
fn beside<'r, 'a>(rows: &[&'r Row<'a>]) -> Option<&'r Row<'a>> {
    let mut spans: Vec<_> = rows
        .iter()
        .filter_map(|r| match &r.keys[..] {
            [Key::Set(s)] => {
                s.ranges().first().filter(|_| s.ranges().len() == 1).map(|(lo, hi)| (*lo, *hi, *r))
            }
            _ => None,
        })
        .collect();
    spans.sort_by_key(|(lo, hi, r)| (*lo, *hi, r.at));
    let clash = |a: &(_, _, &Row<'a>), b: &(_, _, &Row<'a>)| match (a.0, a.1) == (b.0, b.1) {
        true => !gives_same(a.2, b.2),
        false => b.0 <= a.1,
    };
    spans.windows(2).find(|w| clash(&w[0], &w[1])).map(|w| w[1].2)
}

// The first row that the kernel does not take beside those before it: it looks whether the new element's lowest or highest value lies in one of them
// (`nft_pipapo_insert` in net/netfilter/nft_set_pipapo.c). Elements that overlap in another way are taken.
fn pairs<'r, 'a>(rows: &[&'r Row<'a>]) -> Option<&'r Row<'a>> {
    if rows.len() > MAX_PAIRED {
        return None;
    }
    let clash = |a: &Row<'a>, b: &Row<'a>| {
        let same = a.keys == b.keys && gives_same(a, b);
        let lies = |end: fn((u128, u128)) -> u128| {
            a.keys.len() == b.keys.len()
                && a.keys.iter().zip(&b.keys).all(|(x, y)| match (x, y) {
                    (Key::Set(x), Key::Set(_)) => x.contains(end(y.bounds())),
                    (x, y) => x == y,
                })
        };
        !same && (lies(|(lo, _)| lo) || lies(|(_, hi)| hi))
    };
    rows.iter().enumerate().find(|(i, b)| rows[..*i].iter().any(|a| clash(a, b))).map(|(_, b)| *b)
}

/// Tells each row of a map of concatenations which rows stand before it and take some of its packets: of elements that meet, the kernel takes the
/// one that was added first (measured; `pipapo_get` in net/netfilter/nft_set_pipapo.c).
pub(super) fn settle(rows: &mut [Row<'_>], at: Origin) -> Parsed<()> {
    let one = |k: &Key| !matches!(k, Key::Set(s) if s.count() > 1);
    if rows.iter().all(|r| r.keys.len() < 2 || r.keys.iter().all(one)) {
        return Ok(());
    }
    let meeting = meeting(rows).ok_or_else(|| {
        SyntaxError::new(at, "more elements overlap than can be held against each other: split the map")
    })?;
    for (first, second) in meeting {
        if gives_same(&rows[first], &rows[second]) {
            continue;
        }
        // What may be gone does not take the packets for certain, nor leave them.
        rows[second].timed |= rows[first].timed || rows[first].guard.is_some();
        let keys = rows[first].keys.clone();
        rows[second].behind.push(keys);
    }
    Ok(())
}

// Pairs of rows that have a value in common, the first before the second. `None`: too many.
fn meeting(rows: &[Row<'_>]) -> Option<Vec<(usize, usize)>> {
    let bounds = |i: usize| rows[i].keys[0].bounds();
    let is_rest = |i: &usize| rows[*i].keys.iter().all(|k| *k == Key::All);
    let mut order: Vec<usize> = (0..rows.len()).filter(|i| !is_rest(i)).collect();
    order.sort_by_key(|i| bounds(*i));
    let (mut open, mut found, mut compared) = (Vec::<usize>::new(), Vec::new(), 0);
    for i in order {
        open.retain(|j| bounds(*j).1 >= bounds(i).0);
        compared += open.len();
        let meets = |j: &&usize| {
            rows[**j].keys.iter().zip(&rows[i].keys).all(|(x, y)| match (x, y) {
                (Key::Set(x), Key::Set(y)) => x.intersects(y),
                (x, y) => x == y || *x == Key::All || *y == Key::All,
            })
        };
        found.extend(open.iter().filter(meets).map(|j| (i.min(*j), i.max(*j))));
        if compared > MAX_COMPARED || found.len() > MAX_MEETING {
            return None;
        }
        open.push(i);
    }
    found.sort_unstable();
    Some(found)
}

fn gives_same(a: &Row<'_>, b: &Row<'_>) -> bool {
    use Verdict::{Accept, Continue, Drop, Goto, Jump, Queue, Return};
    match (&a.value, &b.value) {
        (None, None) => true,
        (Some(MapValue::Expr(a)), Some(MapValue::Expr(b))) => show::expr(a) == show::expr(b),
        (Some(MapValue::Verdict(a)), Some(MapValue::Verdict(b))) => match (a, b) {
            (Accept, Accept) | (Drop, Drop) | (Continue, Continue) | (Return, Return) => true,
            (Jump(Target::Chain(a, _)), Jump(Target::Chain(b, _)))
            | (Goto(Target::Chain(a, _)), Goto(Target::Chain(b, _))) => a == b,
            (Queue(a), Queue(b)) => a == b,
            _ => false,
        },
        _ => false,
    }
}
