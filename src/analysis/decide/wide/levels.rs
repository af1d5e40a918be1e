//! What a question touches: the rules, the classes of each field's values, and the order of the fields.

use super::super::walk::Walk;
use crate::analysis::diagram::{Class, Classes, Level, Sorter};
use crate::analysis::evaluate::{MAX_INTERVALS, Routed, classes};
use crate::model::*;
use crate::packet::masked::split;
use crate::packet::{ConnState, Family, Field, IntervalSet, Path, Region, Value, shared_carriers};
use rustc_hash::FxHashSet;
use std::rc::Rc;

pub(super) struct Plan {
    pub levels: [Option<Level>; Field::COUNT],
    pub classes: Vec<Classes>,
    pub tops: Vec<Class>,
    pub touched: Vec<Vec<Rc<[u32]>>>,
    /// Values with which packets of the question arrive, by field.
    pub arrived: Vec<IntervalSet>,
}

impl Plan {
    pub(super) fn of(walk: &mut Walk<'_>, regions: &[Region]) -> Self {
        let touched = touched(walk);
        let union = |f: Field| regions.iter().fold(IntervalSet::EMPTY, |all, r| all.union(r.get(f)));
        let arrived: Vec<IntervalSet> = Field::ALL.into_iter().map(union).collect();
        let mut sets = Sets::new(walk, &arrived);
        for r in regions {
            for f in Field::ALL {
                sets.add(f, r.get(f).ranges());
            }
        }
        if let Some(wanted) = &walk.question.delivered_to {
            sets.add(Field::Dst, wanted.ranges());
        }
        if let Some(local) = &walk.local {
            sets.add(Field::Dst, local.ranges());
        }
        let value = ConnState::value;
        sets.add(Field::State, &[(value(ConnState::New), value(ConnState::New))]);
        sets.add(Field::State, &[(value(ConnState::Related), value(ConnState::Related))]);
        sets.add(Field::State, &[(value(ConnState::Untracked), value(ConnState::Untracked))]);
        let mut asked = [0u64; Field::COUNT];
        let mut rules = 0u64;
        for (fw, chains) in touched.iter().enumerate() {
            let f = walk.question.point.firewalls[fw];
            for (chain, indices) in f.chains.iter().zip(chains) {
                for i in indices.iter() {
                    let rule = &chain.rules[*i as usize];
                    sets.terms(f, rule.terms);
                    rules += 1;
                    for t in f.terms(rule.terms) {
                        if let Term::Range { field, .. } | Term::In(field, _) = t {
                            asked[field.index()] += 1;
                        }
                    }
                    match rule.action {
                        Action::Translate(t) => sets.translation(f, &f.translations[t.index()]),
                        _ => {
                            for e in f.effects(rule) {
                                if let Effect::Rewrite { field, to } = *e {
                                    sets.add(field, f.sets.get(to).ranges());
                                }
                            }
                        }
                    }
                }
            }
        }
        let classes = sets.classes();
        // How much of a field's classes a rule takes on the average, the less the better: then few rules meet below each edge. The protocol
        // comes first in any case: it says which fields a packet has.
        let mut share = [1f64; Field::COUNT];
        let mut wide = [0f64; Field::COUNT];
        for (fw, chains) in touched.iter().enumerate() {
            let f = walk.question.point.firewalls[fw];
            for (chain, indices) in f.chains.iter().zip(chains) {
                // A sample tells the order as well as all of them.
                let step = (indices.len() / SAMPLE).max(1);
                for i in indices.iter().step_by(step) {
                    for t in f.terms(chain.rules[*i as usize].terms) {
                        if let Some((field, set)) = f.field_set(t) {
                            let c = &classes[field.index()];
                            let n: u64 = c.set(set.ranges()).iter().map(|(a, b)| u64::from(b - a) + 1).sum();
                            wide[field.index()] += step as f64 * n as f64 / f64::from(c.count());
                        }
                    }
                }
            }
        }
        for f in Field::ALL {
            let i = f.index();
            let free = rules.saturating_sub(asked[i]) as f64;
            share[i] = if rules == 0 { 1.0 } else { (free + wide[i]) / rules as f64 };
        }
        let mut order: Vec<Field> = Field::ALL.into_iter().filter(|f| classes[f.index()].count() > 1).collect();
        order.sort_by(|a, b| {
            (*a != Field::Proto)
                .cmp(&(*b != Field::Proto))
                .then(share[a.index()].total_cmp(&share[b.index()]))
                .then(a.cmp(b))
        });
        let mut levels = [None; Field::COUNT];
        for (i, f) in order.iter().enumerate() {
            levels[f.index()] = Some(i as Level);
        }
        let tops = order.iter().map(|f| classes[f.index()].count() - 1).collect();
        Self { levels, classes, tops, touched, arrived }
    }
}

const SAMPLE: usize = 4096;

// The rules that may do something to a packet of the question, by firewall and chain; chains that none of them leads to are empty.
fn touched(walk: &mut Walk<'_>) -> Vec<Vec<Rc<[u32]>>> {
    let firewalls = walk.question.point.firewalls;
    let nothing: Rc<[u32]> = Rc::from([]);
    let mut out: Vec<Vec<Rc<[u32]>>> = firewalls.iter().map(|f| vec![Rc::clone(&nothing); f.chains.len()]).collect();
    let mut seen: Vec<Vec<bool>> = firewalls.iter().map(|f| vec![false; f.chains.len()]).collect();
    let mut work: Vec<(usize, ChainId)> = Vec::new();
    let path = walk.question.path;
    let detours: &[Path] = match path {
        Path::Input | Path::Forward => &[Path::Input, Path::Forward],
        _ => &[],
    };
    for p in std::iter::once(&path).chain(detours) {
        work.extend(walk.ways[*p as usize].iter().map(|(fw, base)| (*fw, base.chain)));
    }
    while let Some((fw, chain)) = work.pop() {
        if std::mem::replace(&mut seen[fw][chain.index()], true) {
            continue;
        }
        let f = firewalls[fw];
        let mut indices = Vec::new();
        for (i, rule) in f.chain(chain).rules.iter().enumerate() {
            if !walk.may_touch(fw, rule) {
                continue;
            }
            if let Action::Jump(to) | Action::Goto(to) = rule.action {
                if rule.action == Action::Jump(to) && rule.effects.is_none() && walk.is_inert(fw, to) {
                    continue;
                }
                work.push((fw, to));
            }
            indices.push(i as u32);
        }
        out[fw][chain.index()] = Rc::from(indices);
    }
    out
}

// The sets that tell a field's values apart.
struct Sets<'r> {
    sorters: Vec<Sorter>,
    short: FxHashSet<(Field, u32, u32)>,
    pooled: FxHashSet<(usize, Field, SetId)>,
    masks: FxHashSet<(usize, Field, BitsId)>,
    types: bool,
    local: Option<IntervalSet>,
    family: Family,
    arrived: &'r [IntervalSet],
}

impl<'r> Sets<'r> {
    fn new(walk: &Walk<'_>, arrived: &'r [IntervalSet]) -> Self {
        Self {
            sorters: Field::ALL.iter().map(|_| Sorter::default()).collect(),
            short: FxHashSet::default(),
            pooled: FxHashSet::default(),
            masks: FxHashSet::default(),
            types: false,
            local: walk.local.clone(),
            family: walk.family,
            arrived,
        }
    }

    fn add(&mut self, field: Field, ranges: &[(Value, Value)]) {
        self.sorters[field.index()].add(ranges);
    }

    fn carried(&mut self, field: Field) {
        if let Some(with) = shared_carriers(field)
            && self.pooled.insert((usize::MAX, field, SetId::default()))
        {
            self.add(Field::Proto, with.ranges());
        }
    }

    fn pooled(&mut self, f: &Firewall, field: Field, id: SetId) {
        self.carried(field);
        if self.pooled.insert((std::ptr::from_ref(f) as usize, field, id)) {
            self.add(field, f.sets.get(id).ranges());
        }
    }

    fn terms(&mut self, f: &Firewall, range: TermRange) {
        for t in f.terms(range) {
            match *t {
                Term::Range { field, lo, hi } => {
                    self.carried(field);
                    if self.short.insert((field, lo, hi)) {
                        let base = Term::base(field);
                        self.add(field, &[(base + Value::from(lo), base + Value::from(hi))]);
                    }
                }
                Term::In(field, id) | Term::Original(field, id) => self.pooled(f, field, id),
                Term::Any(id) => f.alternatives[id.index()].iter().for_each(|r| self.terms(f, *r)),
                Term::Masked { field, test, .. } => {
                    self.carried(field);
                    if self.masks.insert((std::ptr::from_ref(f) as usize, field, test)) {
                        let (mask, wanted) = f.sets.bits(test);
                        let parts = split(&self.arrived[field.index()], mask, wanted, MAX_INTERVALS);
                        self.add(field, parts.holds.ranges());
                        self.add(field, parts.rest.ranges());
                    }
                }
                Term::AddressType { .. } if !self.types => {
                    self.types = true;
                    for routed in [Routed::Here, Routed::Onwards, Routed::Open] {
                        for class in classes(self.local.as_ref(), routed) {
                            for field in [Field::Src, Field::Dst] {
                                for (set, _) in class.types(class.set.intersect(&self.arrived[field.index()])) {
                                    self.add(field, set.ranges());
                                }
                            }
                        }
                    }
                }
                Term::Label(label) if !f.carriers.is_empty() => {
                    let (certain, possible) = f.carriers(label);
                    for field in [Field::Src, Field::Dst] {
                        self.add(field, certain.ranges());
                        self.add(field, possible.ranges());
                    }
                }
                Term::AddressType { .. } | Term::Label(_) | Term::Register { .. } | Term::Opaque { .. } => {}
            }
        }
    }

    fn translation(&mut self, f: &Firewall, t: &Translation) {
        let (address, port) = match t.end {
            TranslatedEnd::Destination => (Field::Dst, Field::Dport),
            TranslatedEnd::Source => (Field::Src, Field::Sport),
        };
        self.carried(port);
        if let Some(range) = t.address {
            self.add(address, &[range]);
        }
        if let Some(set) = t.one_of {
            self.pooled(f, address, set);
        }
        if let Some((lo, hi)) = t.port {
            self.add(port, &[(lo.into(), hi.into())]);
        }
        if t.own {
            let local = self.local.clone();
            local.iter().for_each(|l| self.add(address, l.intersect(&self.family.all()).ranges()));
            // Where the box's own packets are sent.
            self.add(address, crate::packet::addr::parse("127.0.0.1").unwrap_or_default().ranges());
            self.add(address, &[(1, 1)]);
        }
    }

    fn classes(self) -> Vec<Classes> {
        Field::ALL.into_iter().zip(self.sorters).map(|(f, s)| s.classes(f.max())).collect()
    }
}
