//! Finds the boxes that a point is in: hash tables within hash tables.
//!
//! A box is filed under the smallest aligned block of its interval in one field: all boxes that hold a point are filed under blocks that
//! hold the point's coordinate, at most 33. Where many boxes share a block, another field tells them apart. With each box stands its interval in
//! one more field, so that most of those in a list are passed over without a look at them.

use super::axes::Span;
use super::boxes::Boxes;
use rustc_hash::FxHashMap;
use std::ops::ControlFlow;

/// Boxes that a list may hold before another field is asked.
const LIST: u32 = 16;
/// So few boxes are one list.
const SHORT: usize = 64;
const NONE: u32 = u32::MAX;

/// An index of boxes that grows.
pub(super) struct Index {
    nodes: Vec<Node>,
    root: Slot,
    // By box.
    filed: Vec<Filed>,
    // The field of the intervals there.
    beside: usize,
}

#[derive(Clone, Copy)]
struct Filed {
    // The box filed before this one in the same list.
    before: u32,
    span: Span,
}

struct Node {
    field: u8,
    // Fields that tell nothing here: this one and those of the tables above.
    asked: u16,
    // Widths of the blocks that occur, as bits.
    widths: u64,
    blocks: FxHashMap<(u8, u32), Slot>,
}

#[derive(Clone, Copy)]
enum Slot {
    // The last box filed and how many there are.
    List(u32, u32),
    Node(u32),
}

// The smallest aligned block around an interval: the number of free bits, and the others.
fn block((lo, hi): Span) -> (u8, u32) {
    let width = 32 - (lo ^ hi).leading_zeros();
    (width as u8, prefix(lo, width as u8))
}

fn prefix(value: u32, width: u8) -> u32 {
    (u64::from(value) >> width) as u32
}

impl Index {
    /// An empty index for some boxes.
    pub fn new(boxes: &Boxes) -> Self {
        let beside = beside(boxes);
        let span = |i: u32| boxes.get(i).get(beside).copied().unwrap_or((0, u32::MAX));
        let filed = (0..boxes.len() as u32).map(|i| Filed { before: NONE, span: span(i) });
        Self { nodes: Vec::new(), root: Slot::List(NONE, 0), filed: filed.collect(), beside }
    }

    /// Files a box.
    pub fn add(&mut self, boxes: &Boxes, id: u32) {
        let mut asked = 0u16;
        let mut holder: Option<(u32, (u8, u32))> = None;
        let mut slot = self.root;
        while let Slot::Node(n) = slot {
            let node = &mut self.nodes[n as usize];
            asked = node.asked;
            let key = block(boxes.get(id)[node.field as usize]);
            node.widths |= 1 << key.0;
            slot = *node.blocks.entry(key).or_insert(Slot::List(NONE, 0));
            holder = Some((n, key));
        }
        let Slot::List(last, count) = slot else { return };
        self.filed[id as usize].before = last;
        let mut filed = Slot::List(id, count + 1);
        // Where no field told them apart, it is tried again when there are twice as many.
        let long = self.filed.len() > SHORT;
        if long && count >= LIST && (count / LIST).is_power_of_two() && count % LIST == 0 {
            filed = self.divided(boxes, id, asked).unwrap_or(filed);
        }
        match holder {
            None => self.root = filed,
            Some((n, key)) => {
                self.nodes[n as usize].blocks.insert(key, filed);
            }
        }
    }

    // A list as a table of the field that tells most of its boxes apart.
    fn divided(&mut self, boxes: &Boxes, last: u32, asked: u16) -> Option<Slot> {
        let mut list = Vec::new();
        let mut id = last;
        while id != NONE {
            list.push(id);
            id = self.filed[id as usize].before;
        }
        // How many pairs of boxes share a block.
        let pairs = |field: usize| -> usize {
            let mut blocks: FxHashMap<(u8, u32), usize> = FxHashMap::default();
            list.iter().for_each(|i| *blocks.entry(block(boxes.get(*i)[field])).or_default() += 1);
            blocks.into_values().map(|n| n * n).sum()
        };
        let open = (0..boxes.width()).filter(|field| asked & 1 << field == 0);
        let best = open.map(|field| (pairs(field), field)).min()?;
        if best.0 * 4 > list.len() * list.len() * 3 {
            return None;
        }
        let field = best.1 as u8;
        let new = self.nodes.len() as u32;
        self.nodes.push(Node { field, asked: asked | 1 << field, widths: 0, blocks: FxHashMap::default() });
        for id in list.into_iter().rev() {
            let node = &mut self.nodes[new as usize];
            let key = block(boxes.get(id)[best.1]);
            node.widths |= 1 << key.0;
            let slot = node.blocks.entry(key).or_insert(Slot::List(NONE, 0));
            if let Slot::List(last, count) = *slot {
                self.filed[id as usize].before = last;
                *slot = Slot::List(id, count + 1);
            }
        }
        Some(Slot::Node(new))
    }

    /// Calls `visit` with boxes that may hold the point, all that do among them, widest blocks first, until it says stop. `most` counts down the boxes
    /// looked at: if it comes to 0, the others are left out.
    pub fn at(
        &self,
        point: &[u32],
        most: &mut usize,
        visit: &mut impl FnMut(u32) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.below(self.root, point, most, visit)
    }

    fn below(
        &self,
        slot: Slot,
        point: &[u32],
        most: &mut usize,
        visit: &mut impl FnMut(u32) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match slot {
            Slot::List(mut id, _) => {
                let value = point.get(self.beside).copied().unwrap_or(0);
                while id != NONE {
                    if *most == 0 {
                        return ControlFlow::Break(());
                    }
                    *most -= 1;
                    let Filed { before, span } = self.filed[id as usize];
                    if span.0 <= value && value <= span.1 {
                        visit(id)?;
                    }
                    id = before;
                }
            }
            Slot::Node(n) => {
                let node = &self.nodes[n as usize];
                let value = point[node.field as usize];
                let mut widths = node.widths;
                while widths != 0 {
                    let width = (63 - widths.leading_zeros()) as u8;
                    widths &= !(1 << width);
                    if let Some(slot) = node.blocks.get(&(width, prefix(value, width))) {
                        self.below(*slot, point, most, visit)?;
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }
}

// Boxes that are looked at to tell which fields differ.
const SAMPLE: usize = 4096;

// The field that changes most often from box to box but for one: that one will part the lists.
fn beside(boxes: &Boxes) -> usize {
    let step = (boxes.len() / SAMPLE).max(1);
    let sample = || (0..boxes.len() as u32).step_by(step).map(|i| boxes.get(i));
    let changes = |field: usize| sample().zip(sample().skip(1)).filter(|(a, b)| a[field] != b[field]).count();
    let mut fields: Vec<(usize, usize)> = (0..boxes.width()).map(|f| (changes(f), f)).collect();
    fields.sort_unstable_by(|a, b| b.cmp(a));
    fields.get(1).or(fields.first()).map_or(0, |f| f.1)
}
