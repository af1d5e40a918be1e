//! Points by the labels that they carry, and rules by the label that they ask for: a cloud has thousands of groups, and few are attached to a
//! point.

use super::{ChainId, Firewall, LabelId, Rule, Term, TermRange};
use crate::packet::{IntervalSet, Value};
use rustc_hash::FxHashMap;

// First and last address, and a number.
type Place = (Value, Value, u32);

/// Of a firewall, worked out once: see [`Firewall::crowd`].
#[derive(Debug, Default)]
pub struct Crowd {
    // Addresses of points, ascending, each with the index of the labels that points there may carry.
    places: Vec<Place>,
    labels: Vec<Vec<LabelId>>,
    rules: FxHashMap<ChainId, Filed>,
}

/// Numbers of rules of a chain, ascending: of those that ask for no label, and of those that do.
#[derive(Debug, Default)]
struct Filed {
    free: Vec<u32>,
    asking: FxHashMap<LabelId, Vec<u32>>,
}

impl Crowd {
    pub(super) fn of(f: &Firewall) -> Self {
        let (places, labels) = by_labels(f);
        let bases = f.base_chains.iter().map(|b| b.chain);
        let rules = bases.map(|chain| (chain, filed(f, &f.chain(chain).rules))).collect();
        Self { places, labels, rules }
    }

    /// Addresses of some points by the labels that points with them may carry, in order of the first address; points without any are left out.
    pub fn places(&self, points: &IntervalSet) -> Vec<(IntervalSet, &[LabelId])> {
        let mut number: FxHashMap<u32, usize> = FxHashMap::default();
        let mut out: Vec<(Vec<(Value, Value)>, u32)> = Vec::new();
        for (lo, hi) in points.ranges() {
            let first = self.places.partition_point(|p| p.1 < *lo);
            for (a, b, labels) in self.places[first..].iter().take_while(|p| p.0 <= *hi) {
                let at = *number.entry(*labels).or_insert_with(|| {
                    out.push((Vec::new(), *labels));
                    out.len() - 1
                });
                out[at].0.push((*a.max(lo), *b.min(hi)));
            }
        }
        let told = |(ranges, l): (Vec<_>, u32)| {
            (IntervalSet::from_ranges(ranges), self.labels[l as usize].as_slice())
        };
        out.into_iter().map(told).collect()
    }

    /// The rules of a base chain that may apply where only some labels are carried, by their numbers, ascending.
    pub fn rules(&self, chain: ChainId, labels: &[LabelId]) -> Vec<u32> {
        let Some(filed) = self.rules.get(&chain) else { return Vec::new() };
        let own = labels.iter().filter_map(|l| filed.asking.get(l)).flatten();
        let mut out: Vec<u32> = filed.free.iter().chain(own).copied().collect();
        out.sort_unstable();
        out
    }
}

impl Firewall {
    /// The label that terms ask for first.
    pub fn asked_label(&self, terms: TermRange) -> Option<LabelId> {
        match self.terms(terms).first() {
            Some(Term::Label(l)) => Some(*l),
            _ => None,
        }
    }
}

fn filed(f: &Firewall, rules: &[Rule]) -> Filed {
    let mut out = Filed::default();
    for (n, rule) in rules.iter().enumerate() {
        let list = match f.asked_label(rule.terms) {
            Some(label) => out.asking.entry(label).or_default(),
            None => &mut out.free,
        };
        list.push(n as u32);
    }
    out
}

// Where points carry labels, for certain or perhaps, cut wherever the labels change; and the different lists of labels.
fn by_labels(f: &Firewall) -> (Vec<Place>, Vec<Vec<LabelId>>) {
    let mut carried: Vec<(Value, Value, LabelId)> = Vec::new();
    for (n, c) in f.carriers.iter().enumerate().take(f.labels.len()) {
        let ranges = c.certain.ranges().iter().chain(c.doubtful.ranges());
        carried.extend(ranges.map(|(lo, hi)| (*lo, *hi, LabelId(n as u32))));
    }
    carried.sort_unstable();
    let mut cuts: Vec<Value> = carried.iter().flat_map(|(lo, hi, _)| [*lo, hi.saturating_add(1)]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut number: FxHashMap<Vec<LabelId>, u32> = FxHashMap::default();
    let (mut places, mut lists) = (Vec::new(), Vec::new());
    let (mut begun, mut open) = (carried.into_iter().peekable(), Vec::<(Value, LabelId)>::new());
    for w in cuts.windows(2) {
        open.retain(|(hi, _)| *hi >= w[0]);
        while let Some((_, hi, label)) = begun.next_if(|(lo, ..)| *lo == w[0]) {
            open.push((hi, label));
        }
        if open.is_empty() {
            continue;
        }
        let mut labels: Vec<LabelId> = open.iter().map(|(_, l)| *l).collect();
        labels.sort_unstable();
        labels.dedup();
        let at = *number.entry(labels).or_insert_with_key(|labels| {
            lists.push(labels.clone());
            lists.len() as u32 - 1
        });
        places.push((w[0], w[1] - 1, at));
    }
    (places, lists)
}
