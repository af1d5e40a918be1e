//! Which packets a chain decides about for certain, whoever sends them there.

use super::axes::Span;
use super::literals::Literals;
use super::parts::{Part, Reader};
use crate::model::*;
use crate::packet::Field;

/// So many parts of what a chain decides are kept, the widest: fewer are never wrong.
const MOST: usize = 32;
/// Parts that may leave the chain undecided; what stands behind more of them is left out.
const MOST_HOLES: usize = 64;

/// Parts of the packets that never come back from a chain, each exact, in the fields that any rule asks for: there may be very many chains.
#[derive(Debug, Clone, Default)]
pub(super) struct Summary {
    spans: Box<[Span]>,
    literals: Box<[Literals]>,
}

impl Summary {
    fn of(parts: &[Part], fields: &[Field]) -> Self {
        let spans = parts.iter().flat_map(|p| fields.iter().map(|f| p.spans[f.index()]));
        Self { spans: spans.collect(), literals: parts.iter().map(|p| p.literals).collect() }
    }

    /// Its parts. `whole` is every packet.
    pub fn parts<'s>(&'s self, fields: &'s [Field], whole: Part) -> impl Iterator<Item = Part> + 's {
        self.literals.iter().enumerate().map(move |(n, literals)| {
            let mut part = whole;
            part.literals = *literals;
            let own = &self.spans[n * fields.len()..];
            fields.iter().zip(own).for_each(|(f, span)| part.spans[f.index()] = *span);
            part
        })
    }
}

/// What a chain decides. `summaries` has the same of the chains that it calls, `fields` what any rule asks for.
pub(super) fn summary(
    reader: &mut Reader<'_>,
    chain: ChainId,
    fields: &[Field],
    summaries: &[Summary],
) -> Summary {
    let (f, whole) = (reader.f, reader.everything());
    let mut decided = Decided::default();
    let mut holes: Vec<Part> = Vec::new();
    for rule in &f.chain(chain).rules {
        if holes.len() > MOST_HOLES {
            break;
        }
        let (ends, callee) = match rule.action {
            Action::Accept | Action::Drop | Action::Reject | Action::Translate(_) => (true, None),
            Action::Jump(to) | Action::Goto(to) => (false, Some(to)),
            Action::Return => (false, None),
            Action::Continue | Action::Unknown(_) => continue,
        };
        let parts = reader.parts(rule);
        for part in parts.iter().filter(|p| p.exact) {
            let mut taken = Vec::new();
            match callee {
                _ if ends => taken.push(*part),
                Some(to) => {
                    let inner = summaries[to.index()].parts(fields, whole);
                    taken.extend(inner.filter_map(|s| part.and(&s, &mut reader.table)));
                }
                None => {}
            }
            for one in taken {
                without(one, &holes).into_iter().for_each(|p| decided.keep(p, reader));
            }
        }
        if matches!(rule.action, Action::Return | Action::Goto(_)) {
            holes.extend(parts);
        }
        if decided.is_everything(reader) {
            break;
        }
    }
    Summary::of(&decided.parts, fields)
}

// What the holes leave of a part; nothing if they tear it to pieces.
fn without(part: Part, holes: &[Part]) -> Vec<Part> {
    let mut left = vec![part];
    for hole in holes {
        let mut next = Vec::new();
        left.iter().for_each(|p| p.minus(hole, &mut next));
        left = next;
        if left.len() > MOST {
            return Vec::new();
        }
    }
    left
}

// Parts of what a chain decides, with their widths.
#[derive(Default)]
struct Decided {
    parts: Vec<Part>,
    widths: Vec<u32>,
}

impl Decided {
    // A part holds only such that are no wider, so most are told apart by their widths.
    fn keep(&mut self, part: Part, reader: &Reader<'_>) {
        let own = width(&part);
        if self.parts.len() == MOST && self.widths.iter().all(|w| *w >= own) {
            return;
        }
        if self.all().any(|(d, w)| w >= own && d.contains(&part, &reader.table)) {
            return;
        }
        for n in (0..self.parts.len()).rev() {
            if self.widths[n] <= own && part.contains(&self.parts[n], &reader.table) {
                self.remove(n);
            }
        }
        if self.parts.len() == MOST
            && let Some(narrowest) = (0..MOST).min_by_key(|n| self.widths[*n])
        {
            self.remove(narrowest);
        }
        self.parts.push(part);
        self.widths.push(own);
    }

    fn remove(&mut self, n: usize) {
        self.parts.swap_remove(n);
        self.widths.swap_remove(n);
    }

    fn all(&self) -> impl Iterator<Item = (&Part, u32)> {
        self.parts.iter().zip(self.widths.iter().copied())
    }

    fn is_everything(&self, reader: &Reader<'_>) -> bool {
        let whole = reader.everything();
        let widest = width(&whole);
        self.all().any(|(d, w)| w == widest && d.contains(&whole, &reader.table))
    }
}

// Roughly, how many packets: bits that are free.
fn width(part: &Part) -> u32 {
    part.spans.iter().map(|(lo, hi)| 32 - (hi - lo).leading_zeros()).sum()
}
