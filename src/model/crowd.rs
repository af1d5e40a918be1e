//! Points by the labels that they carry, and rules by the label that they ask for: a cloud has thousands of groups, and few are attached to a
//! point.

use super::{Action, Chain, ChainId, ConditionKind, Firewall, LabelId, Rule, Term, TermRange};
use crate::packet::{IntervalSet, Value};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::{BuildHasher, Hash, Hasher};

// First and last address, and a number.
type Span = (Value, Value, u32);

// Labels, and whether each is carried for certain.
type Labels = (Vec<LabelId>, bool);

/// Points that carry the same labels.
#[derive(Debug)]
pub struct Place<'f> {
    /// Their addresses.
    pub addresses: IntervalSet,
    /// The labels.
    pub labels: &'f [LabelId],
    /// Each point carries all of them for certain; else each may carry some.
    pub sure: bool,
}

/// Of a firewall, worked out once: see [`Firewall::crowd`].
#[derive(Debug, Default)]
pub struct Crowd {
    // Addresses of points, ascending, each with the index of the labels that points there may carry.
    spans: Vec<Span>,
    labels: Vec<Labels>,
    rules: FxHashMap<ChainId, Filed>,
    // By chain, the first one that says the same. Empty where it may matter that packets went through another chain before.
    alike: Vec<ChainId>,
    // By chain, the fields that its rules ask for: see `asks`.
    asks: Vec<Option<u16>>,
}

/// Numbers of rules of a chain, ascending: of those that ask for no label, and of those that do.
#[derive(Debug, Default)]
struct Filed {
    free: Vec<u32>,
    asking: FxHashMap<LabelId, Vec<u32>>,
    first_asking: u32,
}

impl Crowd {
    pub(super) fn of(f: &Firewall) -> Self {
        let (spans, labels) = by_labels(f);
        let bases = f.base_chains.iter().map(|b| b.chain);
        let rules = bases.map(|chain| (chain, filed(f, &f.chain(chain).rules))).collect();
        let (alike, asks) = match is_steady(f) {
            true => (alike(f), f.chains.iter().map(|c| asked_fields(f, c)).collect()),
            false => (Vec::new(), Vec::new()),
        };
        Self { spans, labels, rules, alike, asks }
    }

    /// Addresses of some points by the labels that points with them may carry, in order of the first address; points without any are left out.
    pub fn places(&self, points: &IntervalSet) -> Vec<Place<'_>> {
        let mut number: FxHashMap<u32, usize> = FxHashMap::default();
        let mut out: Vec<(Vec<(Value, Value)>, u32)> = Vec::new();
        for (lo, hi) in points.ranges() {
            let first = self.spans.partition_point(|p| p.1 < *lo);
            for (a, b, labels) in self.spans[first..].iter().take_while(|p| p.0 <= *hi) {
                let at = *number.entry(*labels).or_insert_with(|| {
                    out.push((Vec::new(), *labels));
                    out.len() - 1
                });
                out[at].0.push((*a.max(lo), *b.min(hi)));
            }
        }
        let told = |(ranges, l): (Vec<_>, u32)| {
            let (labels, sure) = &self.labels[l as usize];
            Place { addresses: IntervalSet::from_ranges(ranges), labels, sure: *sure }
        };
        out.into_iter().map(told).collect()
    }

    /// The fields that the rules of a chain ask for, as bits by [`Field::index`], if they ask for nothing else, but for a label first, and do nothing but
    /// accept, drop and, behind a label, send packets to another chain.
    pub fn asks(&self, chain: ChainId) -> Option<u16> {
        *self.asks.get(chain.index())?
    }

    /// Whether the rules of a base chain that ask for no label come before all others.
    pub fn begins_without_labels(&self, chain: ChainId) -> bool {
        self.rules.get(&chain).is_some_and(|f| f.free.last().is_none_or(|last| *last < f.first_asking))
    }

    /// The rules of a base chain that ask for a label, by their numbers.
    pub fn asking(&self, chain: ChainId, label: LabelId) -> &[u32] {
        self.rules.get(&chain).and_then(|f| f.asking.get(&label)).map_or(&[], Vec::as_slice)
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

    /// What a rule does that asks for a label and nothing else, if it changes no packet; a chain is told by the first one that says the same.
    /// Rules of one base chain with the same answer can do to a packet, and to whatever is left of it, only what the first of them can.
    pub fn behind_label(&self, rule: &Rule) -> Option<Action> {
        if rule.terms.len != 1 || rule.effects.is_some() || self.asked_label(rule.terms).is_none() {
            return None;
        }
        let alike = |to: ChainId| self.crowd().alike.get(to.index()).copied();
        match rule.action {
            Action::Accept | Action::Drop | Action::Reject if !self.crowd().alike.is_empty() => {
                Some(rule.action)
            }
            Action::Jump(to) => alike(to).map(Action::Jump),
            _ => None,
        }
    }
}

// Whether no rule changes a packet, or what is remembered of one beside the answers of conditions.
fn is_steady(f: &Firewall) -> bool {
    let limits = |k: &ConditionKind| matches!(k, ConditionKind::Rate { .. });
    !f.labels.is_empty()
        && f.effects.is_empty()
        && f.translations.is_empty()
        && !f.sets.has_masks()
        && !f.conditions.iter().any(|c| limits(&c.kind))
}

fn asked_fields(f: &Firewall, chain: &Chain) -> Option<u16> {
    let mut out = 0;
    for rule in &chain.rules {
        let terms = f.terms(rule.terms);
        let sends = matches!(rule.action, Action::Jump(_)) && matches!(terms, [Term::Label(_)]);
        if !sends && !matches!(rule.action, Action::Accept | Action::Drop | Action::Reject) {
            return None;
        }
        for (n, term) in terms.iter().enumerate() {
            match *term {
                Term::Label(_) if n == 0 => {}
                Term::Range { field, .. } | Term::In(field, _) => out |= 1 << field.index(),
                _ => return None,
            }
        }
    }
    Some(out)
}

fn alike(f: &Firewall) -> Vec<ChainId> {
    let said = |c: &Chain| -> u64 {
        let mut hasher = FxBuildHasher.build_hasher();
        c.rules.iter().for_each(|r| (f.terms(r.terms), r.action).hash(&mut hasher));
        hasher.finish()
    };
    let same = |a: &Rule, b: &Rule| f.terms(a.terms) == f.terms(b.terms) && a.action == b.action;
    let mut known: FxHashMap<u64, Vec<ChainId>> = FxHashMap::default();
    let mut out = Vec::with_capacity(f.chains.len());
    for (n, chain) in f.chains.iter().enumerate() {
        let before = known.entry(said(chain)).or_default();
        let rules = |c: &ChainId| &f.chain(*c).rules;
        let equal = |c: &&ChainId| {
            rules(c).len() == chain.rules.len() && rules(c).iter().zip(&chain.rules).all(|(a, b)| same(a, b))
        };
        let first = before.iter().find(equal).copied();
        out.push(first.unwrap_or_else(|| {
            before.push(ChainId(n as u32));
            ChainId(n as u32)
        }));
    }
    out
}

fn filed(f: &Firewall, rules: &[Rule]) -> Filed {
    let mut out = Filed { first_asking: u32::MAX, ..Filed::default() };
    for (n, rule) in rules.iter().enumerate() {
        let list = match f.asked_label(rule.terms) {
            Some(label) => {
                out.first_asking = out.first_asking.min(n as u32);
                out.asking.entry(label).or_default()
            }
            None => &mut out.free,
        };
        list.push(n as u32);
    }
    out
}

// Where points carry labels, for certain or perhaps, cut wherever the labels change; and the different lists of labels.
fn by_labels(f: &Firewall) -> (Vec<Span>, Vec<Labels>) {
    let mut carried: Vec<(Value, Value, LabelId, bool)> = Vec::new();
    for (n, c) in f.carriers.iter().enumerate().take(f.labels.len()) {
        for (set, sure) in [(&c.certain, true), (&c.doubtful, false)] {
            carried.extend(set.ranges().iter().map(|(lo, hi)| (*lo, *hi, LabelId(n as u32), sure)));
        }
    }
    carried.sort_unstable();
    let mut cuts: Vec<Value> = carried.iter().flat_map(|(lo, hi, ..)| [*lo, hi.saturating_add(1)]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut number: FxHashMap<Labels, u32> = FxHashMap::default();
    let (mut places, mut lists) = (Vec::new(), Vec::new());
    let (mut begun, mut open) = (carried.into_iter().peekable(), Vec::<(Value, LabelId, bool)>::new());
    for w in cuts.windows(2) {
        open.retain(|(hi, ..)| *hi >= w[0]);
        while let Some((_, hi, label, sure)) = begun.next_if(|(lo, ..)| *lo == w[0]) {
            open.push((hi, label, sure));
        }
        if open.is_empty() {
            continue;
        }
        let mut labels: Vec<LabelId> = open.iter().map(|(_, l, _)| *l).collect();
        labels.sort_unstable();
        labels.dedup();
        let sure = open.iter().all(|(.., sure)| *sure);
        let at = *number.entry((labels, sure)).or_insert_with_key(|labels| {
            lists.push(labels.clone());
            lists.len() as u32 - 1
        });
        places.push((w[0], w[1] - 1, at));
    }
    (places, lists)
}
