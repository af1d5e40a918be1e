//! Which rules stand on both sides: chain by chain, in order.
//!
//! Two rules are the same when they ask the same (sets by their values, whatever their order, unknown conditions by their texts) and do the same, where a jump does the
//! same if it goes to the chain that is compared with its target. A packet that meets none of the other rules goes the same way on both sides.

use super::sequence::{Sequence, align};
use super::{NEW, OLD};
use crate::model::same::Sides;
use crate::model::*;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

/// A rule that the other side does not have at that place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Differing {
    /// [`OLD`] or [`NEW`].
    pub side: usize,
    /// Its chain.
    pub chain: ChainId,
    /// Which rule of it.
    pub rule: usize,
}

/// What two firewalls do not have in common.
#[derive(Debug, Default)]
pub(super) struct Alignment {
    /// Rules of one side only, in order.
    pub differing: Vec<Differing>,
    /// Hooks at which any packet may fare otherwise: a policy differs.
    pub whole: BTreeSet<Hook>,
    /// Unknown conditions that have the same truth value on both sides, old to new.
    pub same: FxHashMap<ConditionId, ConditionId>,
}

impl Alignment {
    /// Of two firewalls, old and new.
    pub(super) fn of(sides: [&Firewall; 2]) -> Self {
        let mut aligner = Aligner {
            sides,
            same: Sides::new(sides[OLD], sides[NEW]),
            partner: FxHashMap::default(),
            queued: FxHashSet::default(),
            work: Vec::new(),
            volatile: sides.map(|f| f.conditions.iter().any(|c| is_own(&c.kind))).contains(&true),
            pairs: Vec::new(),
            out: Alignment::default(),
        };
        aligner.base_chains();
        aligner.partners();
        while let Some((a, b)) = aligner.work.pop() {
            aligner.chains(a, b);
        }
        aligner.conditions();
        let mut out = aligner.out;
        out.differing.sort_unstable();
        out.differing.dedup();
        out
    }
}

struct Aligner<'a> {
    sides: [&'a Firewall; 2],
    same: Sides<'a>,
    // Chains of the old side, and what each is compared with.
    partner: FxHashMap<ChainId, ChainId>,
    queued: FxHashSet<(ChainId, ChainId)>,
    work: Vec<(ChainId, ChainId)>,
    // Some condition has a truth value for each occurrence.
    volatile: bool,
    // Such conditions in rules of both sides, with the chains.
    pairs: Vec<((ConditionId, ChainId), (ConditionId, ChainId))>,
    out: Alignment,
}

// Whether each occurrence of a condition is its own.
fn is_own(kind: &ConditionKind) -> bool {
    matches!(kind, ConditionKind::Volatile | ConditionKind::Rate { .. })
}

impl<'a> Aligner<'a> {
    fn base_chains(&mut self) {
        let [a, b] = self.sides.map(|f| f.base_chains.as_slice());
        let named = |side: usize, base: &BaseChain| {
            let c = self.sides[side].chain(base.chain);
            (self.table(&c.table).to_owned(), c.name.clone())
        };
        let names = [OLD, NEW].map(|s| {
            self.sides[s].base_chains.iter().map(|b| named(s, b)).collect::<FxHashSet<(String, String)>>()
        });
        let same = |i: u32, j: u32| {
            let (x, y) = (&a[i as usize], &b[j as usize]);
            let (n, m) = (named(OLD, x), named(NEW, y));
            // One that was renamed has no name of the other side.
            let alike = n == m || (!names[NEW].contains(&n) && !names[OLD].contains(&m));
            (x.hook, x.kind, &x.families) == (y.hook, y.kind, &y.families) && alike
        };
        let hash = |side: usize, i: u32| {
            let base = &self.sides[side].base_chains[i as usize];
            base.hook as u64 * 2 + base.kind as u64
        };
        let mut matched = Vec::new();
        align(&Sequence { lengths: [a.len(), b.len()], same: &same, hash: &hash }, &mut |i, j| {
            matched.push((i as usize, j as usize))
        });
        for (i, j) in &matched {
            self.enqueue(a[*i].chain, b[*j].chain);
            self.partner.insert(a[*i].chain, b[*j].chain);
            if !self.same.policy(a[*i].policy, b[*j].policy) {
                self.out.whole.insert(a[*i].hook);
            }
        }
        for side in [OLD, NEW] {
            let has = |k: usize| matched.iter().any(|m| [m.0, m.1][side] == k);
            for (_, base) in self.sides[side].base_chains.iter().enumerate().filter(|(k, _)| !has(*k)) {
                if base.policy != Policy::Accept {
                    self.out.whole.insert(base.hook);
                }
                self.differ(side, base.chain, 0..self.sides[side].chain(base.chain).rules.len());
            }
        }
    }

    // A table by the name that both dialects give it: nftables puts the family before.
    fn table<'t>(&self, name: &'t str) -> &'t str {
        match self.sides[OLD].dialect == self.sides[NEW].dialect {
            true => name,
            false => name.rsplit(' ').next().unwrap_or(name),
        }
    }

    fn differ(&mut self, side: usize, chain: ChainId, rules: impl IntoIterator<Item = usize>) {
        self.out.differing.extend(rules.into_iter().map(|rule| Differing { side, chain, rule }));
    }

    fn enqueue(&mut self, a: ChainId, b: ChainId) {
        if self.queued.insert((a, b)) {
            self.work.push((a, b));
        }
    }

    // Which chains are compared: those of one name; of several with one name, and of those with no namesake, the ones that hold the same.
    fn partners(&mut self) {
        type Groups<'f> = FxHashMap<(&'f str, &'f str), [Vec<ChainId>; 2]>;
        let mut groups: Groups<'_> = FxHashMap::default();
        let taken: FxHashSet<ChainId> = self.partner.values().copied().collect();
        let mut order = Vec::new();
        for side in [OLD, NEW] {
            for (i, chain) in self.sides[side].chains.iter().enumerate() {
                let id = ChainId(i as u32);
                let free = if side == OLD { !self.partner.contains_key(&id) } else { !taken.contains(&id) };
                if free {
                    let key = (self.table(&chain.table), chain.name.as_str());
                    groups.entry(key).or_insert_with(|| {
                        order.push(key);
                        Default::default()
                    })[side]
                        .push(id);
                }
            }
        }
        let mut left: [Vec<ChainId>; 2] = Default::default();
        for key in order {
            match groups.remove(&key) {
                Some([a, b]) if a.len() == 1 && b.len() == 1 => _ = self.partner.insert(a[0], b[0]),
                Some([a, b]) if a.is_empty() || b.is_empty() => {
                    left[OLD].extend(a);
                    left[NEW].extend(b);
                }
                Some([a, b]) => {
                    let [a, b] = self.alike([a, b]);
                    for (x, y) in a.iter().zip(&b) {
                        self.partner.insert(*x, *y);
                    }
                    left[OLD].extend(a.iter().skip(b.len()));
                    left[NEW].extend(b.iter().skip(a.len()));
                }
                None => {}
            }
        }
        self.alike(left);
    }

    // Makes chains with the same rules partners, in order; gives back the others.
    fn alike(&mut self, [a, b]: [Vec<ChainId>; 2]) -> [Vec<ChainId>; 2] {
        if a.is_empty() || b.is_empty() {
            return [a, b];
        }
        let mut by_content: FxHashMap<u64, Vec<ChainId>> = FxHashMap::default();
        for id in b.iter().rev() {
            by_content.entry(self.hash_chain(NEW, *id)).or_default().push(*id);
        }
        let mut used = FxHashSet::default();
        let mut left = Vec::new();
        for id in a {
            match by_content.get_mut(&self.hash_chain(OLD, id)).and_then(Vec::pop) {
                Some(mate) => {
                    self.partner.insert(id, mate);
                    used.insert(mate);
                }
                None => left.push(id),
            }
        }
        [left, b.into_iter().filter(|id| !used.contains(id)).collect()]
    }

    fn hash_chain(&self, side: usize, id: ChainId) -> u64 {
        let mut h = FxHasher::default();
        for rule in &self.sides[side].chain(id).rules {
            self.hash_rule(side, rule, false).hash(&mut h);
        }
        h.finish()
    }

    fn chains(&mut self, a: ChainId, b: ChainId) {
        let lists = [(OLD, a), (NEW, b)].map(|(side, chain)| self.effective(side, chain));
        let rules = [self.sides[OLD].chain(a).rules.as_slice(), self.sides[NEW].chain(b).rules.as_slice()];
        let at = |side: usize, i: u32| &rules[side][lists[side].get(i)];
        let same = |i: u32, j: u32| self.same_rule(at(OLD, i), at(NEW, j));
        let hash = |side: usize, i: u32| self.hash_rule(side, at(side, i), true);
        let mut targets: Vec<(ChainId, ChainId)> = Vec::new();
        let mut asking: Vec<(u32, u32)> = Vec::new();
        let mut differing: Vec<(usize, usize)> = Vec::new();
        let mut seen = [0, 0];
        let sequence = Sequence { lengths: lists.each_ref().map(Effective::len), same: &same, hash: &hash };
        align(&sequence, &mut |i, j| {
            for (side, k) in [(OLD, i as usize), (NEW, j as usize)] {
                differing.extend((seen[side]..k).map(|k| (side, k)));
                seen[side] = k + 1;
            }
            let (x, y) = (at(OLD, i), at(NEW, j));
            if let (Action::Jump(x) | Action::Goto(x), Action::Jump(y) | Action::Goto(y)) =
                (x.action, y.action)
                && targets.last() != Some(&(x, y))
            {
                targets.push((x, y));
            }
            if self.volatile && x.terms.len > 0 {
                asking.push((i, j));
            }
        });
        for side in [OLD, NEW] {
            differing.extend((seen[side]..lists[side].len()).map(|k| (side, k)));
        }
        let pairs =
            asking.iter().flat_map(|(i, j)| self.condition_pairs(at(OLD, *i).terms, at(NEW, *j).terms));
        let pairs: Vec<_> = pairs.map(|(x, y)| ((x, a), (y, b))).collect();
        self.pairs.extend(pairs);
        for (side, k) in differing {
            self.differ(side, [a, b][side], [lists[side].get(k as u32)]);
        }
        for (x, y) in targets {
            self.enqueue(x, y);
        }
    }

    // The rules that do something: not what only logs or counts.
    fn effective(&self, side: usize, chain: ChainId) -> Effective {
        let f = self.sides[side];
        let rules = &f.chain(chain).rules;
        let idle = |r: &Rule| {
            r.action == Action::Continue && r.effects.is_none() && !(self.volatile && self.feeds(side, r))
        };
        if !rules.iter().any(idle) {
            return Effective::All(rules.len());
        }
        Effective::Some((0..rules.len() as u32).filter(|i| !idle(&rules[*i as usize])).collect())
    }

    // Whether a rule changes lists that conditions elsewhere ask for.
    fn feeds(&self, side: usize, rule: &Rule) -> bool {
        self.sides[side].files.get(rule.origin.file as usize).is_some_and(|file| {
            let text = file.text(rule.origin.start as usize..rule.origin.end as usize);
            WRITES.iter().any(|w| text.contains(w))
        })
    }

    // Unknown conditions that have one truth value on both sides.
    fn conditions(&mut self) {
        let [old, new] = self.sides;
        let shared = |c: &Condition| !is_own(&c.kind);
        let by_text: FxHashMap<(&str, &ConditionKind), u32> = new
            .conditions
            .iter()
            .enumerate()
            .filter(|(_, c)| shared(c))
            .map(|(i, c)| ((c.text.as_str(), &c.kind), i as u32))
            .collect();
        for (i, c) in old.conditions.iter().enumerate().filter(|(_, c)| shared(c)) {
            if let Some(j) = by_text.get(&(c.text.as_str(), &c.kind)) {
                self.out.same.insert(ConditionId(i as u32), ConditionId(*j));
            }
        }
        if !self.volatile {
            return;
        }
        let changed = self
            .out
            .differing
            .iter()
            .any(|d| self.feeds(d.side, &self.sides[d.side].chain(d.chain).rules[d.rule]));
        if changed {
            self.volatile_rules();
            return;
        }
        let once = self.sides.map(entered_once);
        for ((x, a), (y, b)) in std::mem::take(&mut self.pairs) {
            let single = old.condition(x).uses == 1 && new.condition(y).uses == 1;
            if single && once[OLD][a.index()] && once[NEW][b.index()] {
                self.out.same.insert(x, y);
            }
        }
    }

    // What changes at run time may have changed everywhere: each rule that asks for it counts as different.
    fn volatile_rules(&mut self) {
        for side in [OLD, NEW] {
            let f = self.sides[side];
            for (i, chain) in f.chains.iter().enumerate() {
                let asks = |r: &Rule| match r.action {
                    Action::Unknown(c) if f.condition(c).kind == ConditionKind::Volatile => true,
                    _ => asks_volatile(f, r.terms),
                };
                let rules: Vec<_> = (0..chain.rules.len()).filter(|k| asks(&chain.rules[*k])).collect();
                self.differ(side, ChainId(i as u32), rules);
            }
        }
    }

    fn condition_pairs(&self, a: TermRange, b: TermRange) -> Vec<(ConditionId, ConditionId)> {
        let [f, g] = self.sides;
        let own = |f: &Firewall, terms: TermRange| {
            let conditions = f.terms(terms).iter().filter_map(|t| match *t {
                Term::Opaque { condition, .. } => Some(condition),
                _ => None,
            });
            conditions.filter(|c| is_own(&f.condition(*c).kind)).collect::<Vec<_>>()
        };
        own(f, a).into_iter().zip(own(g, b)).collect()
    }
}

// What rules write that change lists: `-m recent --set`, `-j SET --add-set`, `add @set { … }` and its JSON, shared quotas.
const WRITES: [&str; 11] = [
    "--set ",
    "--update",
    "--remove",
    "--add-set",
    "--del-set",
    "--map-set",
    "add @",
    "update @",
    "delete @",
    "\"op\"",
    "quota name",
];

fn asks_volatile(f: &Firewall, terms: TermRange) -> bool {
    f.terms(terms).iter().any(|t| match *t {
        Term::Opaque { condition, .. } => f.condition(condition).kind == ConditionKind::Volatile,
        Term::Any(a) => f.alternatives[a.index()].iter().any(|t| asks_volatile(f, *t)),
        _ => false,
    })
}

// The rules of a chain that count, by their number.
enum Effective {
    All(usize),
    Some(Vec<u32>),
}

impl Effective {
    fn len(&self) -> usize {
        match self {
            Effective::All(n) => *n,
            Effective::Some(list) => list.len(),
        }
    }

    fn get(&self, i: u32) -> usize {
        match self {
            Effective::All(_) => i as usize,
            Effective::Some(list) => list[i as usize] as usize,
        }
    }
}

// For each chain, whether a packet comes through it at most once: one way leads there from the base chains.
fn entered_once(f: &Firewall) -> Vec<bool> {
    let targets = |c: usize| {
        f.chains[c].rules.iter().filter_map(|r| match r.action {
            Action::Jump(to) | Action::Goto(to) => Some(to.index()),
            _ => None,
        })
    };
    let mut callers = vec![0u32; f.chains.len()];
    (0..f.chains.len()).flat_map(targets).for_each(|t| callers[t] += 1);
    f.base_chains.iter().for_each(|b| callers[b.chain.index()] += 1);
    // A chain is entered once if one rule calls it, whose chain is entered once.
    let mut once = vec![false; f.chains.len()];
    let mut work: Vec<usize> = f.base_chains.iter().map(|b| b.chain.index()).collect();
    while let Some(c) = work.pop() {
        if callers[c] == 1 && !once[c] {
            once[c] = true;
            work.extend(targets(c));
        }
    }
    once
}

impl Aligner<'_> {
    fn same_rule(&self, a: &Rule, b: &Rule) -> bool {
        self.same.terms(a.terms, b.terms)
            && self.same_action(a.action, b.action)
            && self.same.effects(a, b)
            && self.same.run_time_sets(a, b)
    }

    fn same_action(&self, a: Action, b: Action) -> bool {
        match (a, b) {
            (Action::Jump(x), Action::Jump(y)) | (Action::Goto(x), Action::Goto(y)) => {
                self.partner.get(&x) == Some(&y)
            }
            (Action::Drop | Action::Reject, Action::Drop | Action::Reject) => true,
            (Action::Translate(x), Action::Translate(y)) => self.same.translation(x, y),
            (Action::Unknown(x), Action::Unknown(y)) => self.same.condition(x, y),
            (Action::Jump(_) | Action::Goto(_) | Action::Translate(_) | Action::Unknown(_), _) => false,
            (a, b) => a == b,
        }
    }

    // Equal for rules that are the same. Targets of jumps count only if asked for: chains may have been renamed.
    fn hash_rule(&self, side: usize, rule: &Rule, targets: bool) -> u64 {
        let f = self.sides[side];
        let mut h = FxHasher::default();
        self.hash_terms(f, rule.terms, &mut h);
        let (kind, detail) = match rule.action {
            Action::Accept => (0, 0),
            Action::Drop | Action::Reject => (1, 0),
            Action::Jump(to) | Action::Goto(to) => {
                let known = if side == OLD { self.partner.get(&to).copied() } else { Some(to) };
                let target = known.filter(|_| targets).map_or(0, |t| u64::from(t.0) + 1);
                (if rule.action == Action::Jump(to) { 2 } else { 3 }, target)
            }
            Action::Return => (4, 0),
            Action::Continue => (5, 0),
            Action::Translate(_) => (6, 0),
            Action::Unknown(c) => (7, hash_text(&f.condition(c).text)),
        };
        (kind, detail, f.effects(rule).len()).hash(&mut h);
        h.finish()
    }

    // Equal for terms that ask the same, in whatever order they ask it of fields.
    fn hash_terms(&self, f: &Firewall, terms: TermRange, h: &mut FxHasher) {
        let terms = f.terms(terms);
        for (field, set) in f.fields_asked(terms) {
            let r = set.ranges();
            (1, field, r.len(), r.first(), r.get(r.len() / 2), r.last()).hash(h);
        }
        for term in terms {
            match *term {
                Term::In(..) | Term::Range { .. } => {}
                Term::Original(field, set) => {
                    let r = f.sets.get(set).ranges();
                    (7, field, r.len(), r.first(), r.get(r.len() / 2), r.last()).hash(h);
                }
                Term::Opaque { condition, negated } => (2, negated, &f.condition(condition).text).hash(h),
                Term::Any(a) => {
                    (3, f.alternatives[a.index()].len()).hash(h);
                    f.alternatives[a.index()].iter().for_each(|t| self.hash_terms(f, *t, h));
                }
                Term::Register { register, negated, test } => {
                    (4, register, negated, f.sets.mask(test)).hash(h);
                }
                Term::Masked { field, negated, test } => (6, field, negated, f.sets.bits(test)).hash(h),
                Term::Label(l) => (5, &f.labels[l.index()]).hash(h),
                Term::AddressType { .. } => term.hash(h),
            }
        }
    }
}

fn hash_text(text: &str) -> u64 {
    let mut h = FxHasher::default();
    text.hash(&mut h);
    h.finish()
}
