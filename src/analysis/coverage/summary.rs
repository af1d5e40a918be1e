//! Which packets a chain decides about for certain, whoever sends them there.

use super::parts::{Part, Reader};
use crate::model::*;

/// So many parts of what a chain decides are kept, the widest: fewer are never wrong.
const MOST: usize = 32;
/// Parts that may leave the chain undecided; what stands behind more of them is left out.
const MOST_HOLES: usize = 64;

/// Parts of the packets that never come back from a chain, each exact. `summaries` has those of the chains that it calls.
pub(super) fn summary(reader: &mut Reader<'_>, chain: ChainId, summaries: &[Vec<Part>]) -> Vec<Part> {
    let f = reader.f;
    let mut decided: Vec<Part> = Vec::new();
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
                    let inner = &summaries[to.index()];
                    taken.extend(inner.iter().filter_map(|s| part.and(s, &mut reader.table)));
                }
                None => {}
            }
            for one in taken {
                keep(reader, &mut decided, without(one, &holes));
            }
        }
        if matches!(rule.action, Action::Return | Action::Goto(_)) {
            holes.extend(parts);
        }
        let whole = reader.everything();
        if decided.iter().any(|d| d.contains(&whole, &reader.table)) {
            break;
        }
    }
    decided
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

fn keep(reader: &Reader<'_>, decided: &mut Vec<Part>, parts: Vec<Part>) {
    for part in parts {
        if decided.iter().any(|d| d.contains(&part, &reader.table)) {
            continue;
        }
        decided.retain(|d| !part.contains(d, &reader.table));
        decided.push(part);
        if decided.len() > MOST {
            let narrowest = (0..decided.len()).min_by_key(|n| width(&decided[*n]));
            if let Some(n) = narrowest {
                decided.swap_remove(n);
            }
        }
    }
}

// Roughly, how many packets: bits that are free.
fn width(part: &Part) -> u32 {
    part.spans.iter().map(|(lo, hi)| 32 - (hi - lo).leading_zeros()).sum()
}
