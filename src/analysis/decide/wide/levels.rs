//! What a question touches: the rules, the classes of each field's values, and the order of the fields.

use super::super::guard::shifted;
use super::super::translate::blocks;
use super::super::walk::Walk;
use crate::analysis::diagram::{Class, Classes, Level, Sorter};
use crate::analysis::evaluate::{MAX_INTERVALS, Routed, classes};
use crate::model::*;
use crate::packet::masked::split;
use crate::packet::{ConnState, Field, IntervalSet, Path, Region, Value, shared_carriers};
use rustc_hash::FxHashSet;
use std::rc::Rc;

/// Shared by all that are asked one question, so that their diagrams can be laid on each other.
pub(super) struct Plan {
    pub levels: [Option<Level>; Field::COUNT],
    pub classes: Rc<[Classes]>,
    /// By walk, firewall and chain: the rules that may do something to a packet of the question.
    pub touched: Vec<Touched>,
    /// Values with which packets of the question arrive, by field.
    pub arrived: Rc<[IntervalSet]>,
    /// Registers that some rule reads; what the others hold tells no packets apart.
    pub read: [bool; Register::COUNT],
    /// Values that translations move by a number, as they arrive.
    pub shifts: Rc<[Shift]>,
    order: Vec<Field>,
}

/// Values of a field that translations move, and by how much.
pub(super) struct Shift {
    pub field: Field,
    pub by: Value,
    pub of: IntervalSet,
}

/// Indices of rules by firewall and chain.
pub(super) type Touched = Vec<Vec<Rc<[u32]>>>;

impl Plan {
    pub(super) fn of(walks: &mut [&mut Walk<'_>], regions: &[Region]) -> Self {
        let touched = walks.iter_mut().map(|w| touched(w)).collect();
        Self::for_rules(walks, touched, regions)
    }

    /// The same, where it is known which rules are [touched].
    pub(super) fn for_rules(walks: &[&mut Walk<'_>], touched: Vec<Touched>, regions: &[Region]) -> Self {
        // A field that only some protocols have is any value in packets of others, and nothing asks for it.
        let has =
            |r: &Region, f: Field| shared_carriers(f).is_none_or(|with| r.get(Field::Proto).intersects(with));
        let union = |f: Field| {
            regions.iter().filter(|r| has(r, f)).fold(IntervalSet::EMPTY, |all, r| all.union(r.get(f)))
        };
        let arrived: Vec<IntervalSet> = Field::ALL.into_iter().map(union).collect();
        let mut sets = Sets::new(&arrived);
        for r in regions {
            for f in Field::ALL {
                sets.add(f, r.get(f).ranges());
            }
        }
        for state in [ConnState::New, ConnState::Related, ConnState::Untracked].map(ConnState::value) {
            sets.add(Field::State, &[(state, state)]);
        }
        for (walk, touched) in walks.iter().zip(&touched) {
            sets.all_of(walk, touched);
        }
        sets.moved();
        let (read, shifts) = (sets.read, std::mem::take(&mut sets.shifts));
        let rewritten = walks.iter().flat_map(|w| w.question.point.firewalls).any(|f| f.rewrites());
        let classes = sets.classes(rewritten);
        let order = order(walks, &touched, &classes);
        let mut levels = [None; Field::COUNT];
        for (i, f) in order.iter().enumerate() {
            levels[f.index()] = Some(i as Level);
        }
        let (classes, arrived, shifts) = (Rc::from(classes), Rc::from(arrived), Rc::from(shifts));
        Self { levels, classes, touched, arrived, read, shifts, order }
    }

    /// The highest class of each level.
    pub(super) fn tops(&self) -> Vec<Class> {
        self.order.iter().map(|f| self.classes[f.index()].count() - 1).collect()
    }
}

// The fields that rules tell apart, in the order in which a diagram asks: first the one of which a rule takes the smallest share of the classes, on
// the average, so that few rules meet below each edge. A jump counts with all the rules that it leads to: what it asks parts them from all others. The
// protocol comes before all: it says which fields a packet has.
//
// A field that is asked along with another one nearly always, of few rules, follows it: what both say together is settled before the rest is asked, and the
// rest is not told anew for each of its values.
fn order(walks: &[&mut Walk<'_>], touched: &[Touched], classes: &[Classes]) -> Vec<Field> {
    let mut share = [0f64; Field::COUNT];
    // How many rules ask for little of a field, and of two.
    let mut together = [[0f64; Field::COUNT]; Field::COUNT];
    for (walk, touched) in walks.iter().zip(touched) {
        for (f, chains) in walk.question.point.firewalls.iter().zip(touched) {
            let below = rules_below(f, chains);
            for (id, indices) in (0..).map(ChainId).zip(chains) {
                // A sample tells the order as well as all of them.
                let step = (indices.len() / SAMPLE).max(1);
                for i in indices.iter().step_by(step) {
                    let mut taken = [1f64; Field::COUNT];
                    let (rule, run) = (&f.chain(id).rules[*i as usize], walk.run_of(f, id, *i as usize));
                    for (at, t) in f.terms(rule.terms).iter().enumerate() {
                        let of_run = run.filter(|r| r.at == at).map(|r| (r.field, r.values.clone()));
                        if let Some((field, set)) = of_run.or_else(|| f.field_set(t)) {
                            let c = &classes[field.index()];
                            let n: u64 = c.set(set.ranges()).iter().map(|(a, b)| u64::from(b - a) + 1).sum();
                            taken[field.index()] *= n as f64 / f64::from(c.count());
                        }
                    }
                    let weight = step as f64 * weight(rule, &below);
                    share.iter_mut().zip(taken).for_each(|(s, t)| *s += weight * t);
                    let narrow: Vec<usize> = (0..Field::COUNT).filter(|f| taken[*f] < NARROW).collect();
                    for a in &narrow {
                        narrow.iter().for_each(|b| together[*a][*b] += step as f64);
                    }
                }
            }
        }
    }
    let mut order: Vec<Field> = Field::ALL.into_iter().filter(|f| classes[f.index()].count() > 1).collect();
    order.sort_by(|a, b| {
        let later = |f: &Field| *f != Field::Proto;
        later(a).cmp(&later(b)).then(share[a.index()].total_cmp(&share[b.index()])).then(a.cmp(b))
    });
    for field in order.clone() {
        let asked = &together[field.index()];
        let at = order.iter().position(|f| *f == field).unwrap_or(0);
        let with = |f: &&Field| **f != Field::Proto && asked[f.index()] > NEARLY * asked[field.index()];
        if let Some(leader) = order[..at].iter().rposition(|f| with(&f)) {
            order[leader + 1..=at].rotate_right(1);
        }
    }
    order
}

// A smaller share of the classes is little.
const NARROW: f64 = 0.5;
const NEARLY: f64 = 0.9;

const SAMPLE: usize = 4096;

// A rule, and those that it leads to.
fn weight(rule: &Rule, below: &[Option<f64>]) -> f64 {
    match rule.action {
        Action::Jump(to) | Action::Goto(to) => 1.0 + below[to.index()].unwrap_or(0.0),
        _ => 1.0,
    }
}

// By chain, the rules that may be touched in it and in the chains to which it leads, each as often as it is led to; a loop counts once.
fn rules_below(f: &Firewall, touched: &[Rc<[u32]>]) -> Vec<Option<f64>> {
    let mut below: Vec<Option<f64>> = vec![None; touched.len()];
    let mut begun = vec![false; touched.len()];
    for start in 0..touched.len() {
        let mut work = vec![start];
        while let Some(chain) = work.last().copied() {
            let rules = || touched[chain].iter().map(|i| &f.chains[chain].rules[*i as usize]);
            if !std::mem::replace(&mut begun[chain], true) {
                let targets = rules().filter_map(|r| match r.action {
                    Action::Jump(to) | Action::Goto(to) => Some(to.index()),
                    _ => None,
                });
                work.extend(targets.filter(|to| !begun[*to]));
                continue;
            }
            work.pop();
            below[chain].get_or_insert(0.0);
            below[chain] = Some(rules().map(|r| weight(r, &below)).sum());
        }
    }
    below
}

/// The rules that may do something to a packet of the question; chains that none of them leads to have none.
pub(super) fn touched(walk: &mut Walk<'_>) -> Touched {
    let firewalls = walk.question.point.firewalls;
    let nothing: Rc<[u32]> = Rc::from([]);
    let mut out: Touched = firewalls.iter().map(|f| vec![Rc::clone(&nothing); f.chains.len()]).collect();
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
        let mut told = 0;
        for (i, rule) in f.chain(chain).rules.iter().enumerate() {
            if i < told || !walk.may_touch(fw, rule) {
                continue;
            }
            // One rule of a run stands for all.
            told = walk.run_of(f, chain, i).map_or(0, |r| r.end);
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

/// The number of rules among those that may be touched, with all of each run.
pub(super) fn count(walk: &Walk<'_>, touched: &Touched) -> u64 {
    let mut n = 0;
    for (f, chains) in walk.question.point.firewalls.iter().zip(touched) {
        for (id, indices) in (0..).map(ChainId).zip(chains) {
            let rules = |i: &u32| walk.run_of(f, id, *i as usize).map_or(1, |r| r.end - r.first) as u64;
            n += indices.iter().map(rules).sum::<u64>();
        }
    }
    n
}

// The sets that tell a field's values apart.
struct Sets<'r> {
    sorters: Vec<Sorter>,
    short: FxHashSet<(Field, u32, u32)>,
    pooled: FxHashSet<(usize, Field, SetId)>,
    carried: FxHashSet<Field>,
    masks: FxHashSet<(usize, Field, BitsId)>,
    read: [bool; Register::COUNT],
    arrived: &'r [IntervalSet],
    shifts: Vec<Shift>,
}

impl<'r> Sets<'r> {
    fn new(arrived: &'r [IntervalSet]) -> Self {
        Self {
            sorters: Field::ALL.iter().map(|_| Sorter::default()).collect(),
            short: FxHashSet::default(),
            pooled: FxHashSet::default(),
            carried: FxHashSet::default(),
            masks: FxHashSet::default(),
            read: [false; Register::COUNT],
            arrived,
            shifts: Vec::new(),
        }
    }

    // Whatever the rules of one walk may ask for.
    fn all_of(&mut self, walk: &Walk<'_>, touched: &Touched) {
        if let Some(wanted) = &walk.question.delivered_to {
            self.add(Field::Dst, wanted.ranges());
        }
        if let Some(local) = &walk.local {
            self.add(Field::Dst, local.ranges());
        }
        let mut types = false;
        for (f, chains) in walk.question.point.firewalls.iter().zip(touched) {
            for (id, indices) in (0..).map(ChainId).zip(chains) {
                for i in indices.iter().map(|i| *i as usize) {
                    let (rule, run) = (&f.chain(id).rules[i], walk.run_of(f, id, i));
                    if let Some(run) = run {
                        self.carried(run.field);
                        self.add(run.field, run.values.ranges());
                    }
                    types |= self.terms(f, rule.terms, run.map(|r| r.at));
                    if let Action::Translate(t) = rule.action {
                        self.translation(walk, (f, rule), &f.translations[t.index()]);
                    }
                    for e in f.effects(rule) {
                        match *e {
                            Effect::Rewrite { field, to } => self.add(field, f.sets.get(to).ranges()),
                            Effect::Copy { from, .. } => self.read[from as usize] = true,
                            _ => {}
                        }
                    }
                }
            }
        }
        if types {
            self.types(walk);
        }
    }

    // Addresses by their types.
    fn types(&mut self, walk: &Walk<'_>) {
        for class in [Routed::Here, Routed::Onwards, Routed::Open]
            .map(|r| classes(walk.local.as_ref(), r))
            .iter()
            .flatten()
        {
            for field in [Field::Src, Field::Dst] {
                let shifts = self.shifts.iter().filter(|s| s.field == field);
                let moved = shifts.fold(IntervalSet::EMPTY, |all, s| all.union(&shifted(&s.of, s.by)));
                let seen = self.arrived[field.index()].union(&moved);
                for (set, _) in class.types(class.set.intersect(&seen)) {
                    self.add(field, set.ranges());
                }
            }
        }
    }

    fn add(&mut self, field: Field, ranges: &[(Value, Value)]) {
        self.sorters[field.index()].add(ranges);
    }

    fn carried(&mut self, field: Field) {
        if let Some(with) = shared_carriers(field)
            && self.carried.insert(field)
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

    // All terms but the one of a run. True if some term asks for the type of an address.
    fn terms(&mut self, f: &Firewall, range: TermRange, but: Option<usize>) -> bool {
        let mut types = false;
        for (_, t) in f.terms(range).iter().enumerate().filter(|(at, _)| Some(*at) != but) {
            match *t {
                Term::Range { field, lo, hi } => {
                    self.carried(field);
                    if self.short.insert((field, lo, hi)) {
                        let base = Term::base(field);
                        self.add(field, &[(base + Value::from(lo), base + Value::from(hi))]);
                    }
                }
                Term::In(field, id) | Term::Original(field, id) => self.pooled(f, field, id),
                Term::Any(id) => {
                    f.alternatives[id.index()].iter().for_each(|r| types |= self.terms(f, *r, None))
                }
                Term::Masked { field, test, .. } => {
                    self.carried(field);
                    if self.masks.insert((std::ptr::from_ref(f) as usize, field, test)) {
                        let (mask, wanted) = f.sets.bits(test);
                        let parts = split(&self.arrived[field.index()], mask, wanted, MAX_INTERVALS);
                        self.add(field, parts.holds.ranges());
                        self.add(field, parts.rest.ranges());
                    }
                }
                Term::AddressType { .. } => types = true,
                Term::Label(label) if !f.carriers.is_empty() => {
                    let (certain, possible) = f.carriers(label);
                    for field in [Field::Src, Field::Dst] {
                        self.add(field, certain.ranges());
                        self.add(field, possible.ranges());
                    }
                }
                Term::Register { register, .. } => self.read[register as usize] = true,
                Term::Label(_) | Term::Opaque { .. } => {}
            }
        }
        types
    }

    fn translation(&mut self, walk: &Walk<'_>, (f, rule): (&Firewall, &Rule), t: &Translation) {
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
        self.shifts_of((f, rule), t, [address, port]);
        if t.own {
            if let Some(local) = &walk.local {
                self.add(address, local.intersect(&walk.family.all()).ranges());
            }
            // Where the box's own packets are sent.
            self.add(address, crate::packet::addr::parse("127.0.0.1").unwrap_or_default().ranges());
            self.add(address, &[(1, 1)]);
        }
    }

    // What a translation moves, of the packets that its rule takes.
    fn shifts_of(&mut self, (f, rule): (&Firewall, &Rule), t: &Translation, [address, port]: [Field; 2]) {
        if let (Some((lo, _)), Some(mask)) = (t.address, t.host_mask()) {
            let asked = f.terms(rule.terms).iter().filter_map(|t| f.field_set(t));
            let own = asked.filter(|(field, _)| *field == address);
            let taken =
                own.fold(self.arrived[address.index()].clone(), |left, (_, set)| left.intersect(&set));
            for base in blocks(&taken, mask).unwrap_or_default() {
                self.shift(address, lo.wrapping_sub(base), (base, base | mask));
            }
        }
        if let (Some((a, b)), Some((lo, _))) = (t.port_from, t.port) {
            let (a, b, lo) = (Value::from(a), Value::from(b), Value::from(lo));
            // No port goes beyond the last one.
            self.add(port, &[(a, b)]);
            self.shift(port, lo.wrapping_sub(a), (a, b.min(a + (0xffff - lo))));
        }
    }

    fn shift(&mut self, field: Field, by: Value, (lo, hi): (Value, Value)) {
        let of = IntervalSet::range(lo, hi);
        self.add(field, of.ranges());
        match self.shifts.iter_mut().find(|s| (s.field, s.by) == (field, by)) {
            Some(s) => s.of = s.of.union(&of),
            None => self.shifts.push(Shift { field, by, of }),
        }
    }

    // What rules tell apart of values after they were moved is told apart before.
    fn moved(&mut self) {
        for Shift { field, by, of } in &self.shifts {
            let sorter = &mut self.sorters[field.index()];
            for (lo, hi) in of.ranges() {
                let new = (lo.wrapping_add(*by), hi.wrapping_add(*by));
                for v in sorter.changes(new) {
                    sorter.add(&[(v.wrapping_sub(*by), *hi)]);
                }
            }
        }
    }

    // Only values with which packets arrive are told apart, and those that they may be sent on to.
    fn classes(self, rewritten: bool) -> Vec<Classes> {
        let within = |f: Field| match rewritten && super::substitute::FIELDS.contains(&f) {
            true => f.all(),
            false => self.arrived[f.index()].clone(),
        };
        Field::ALL.into_iter().zip(self.sorters).map(|(f, s)| s.classes(f.max(), within(f))).collect()
    }
}
