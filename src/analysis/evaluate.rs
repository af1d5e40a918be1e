//! The one-packet evaluator: what happens to this packet, and why.
//!
//! It follows a packet through the chains as the kernel does, rule by rule, and is the reference for everything that
//! decides regions. Where a condition is not known it follows both ways; the verdict is certain only if all ways agree.

use super::{Point, Verdict};
use crate::model::*;
use crate::packet::{ConnState, Family, Field, IntervalSet, Packet, Path, Value, addr};
use rustc_hash::FxHashSet;
use std::rc::Rc;

/// What happened to a packet.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The verdict over all ways.
    pub verdict: Verdict,
    /// Whether the packet, if accepted, was tracked on every way, so that its answers belong to a connection.
    pub tracked: bool,
    /// What decided, on the first way. `None`: nothing looked at the packet (no base chain on its way).
    pub decided_by: Option<Decider>,
    /// Conditions that the verdict hangs on, if it is undecided; each with the rule that asks.
    pub because: Vec<Because>,
    /// Rate limits that were assumed not to be exceeded by rules that applied on the way.
    pub assumed: Vec<Because>,
    /// What applied to the packet on the first way, in order.
    pub steps: Vec<Step>,
    /// The packet as the last hook saw it, where translations left no doubt.
    pub delivered: Option<Packet>,
    /// Some ways were not followed: too many unknown conditions. The verdict is then undecided.
    pub exhausted: bool,
}

/// The rule or policy that decided. Indices are into the point's firewalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decider {
    /// Which firewall.
    pub firewall: usize,
    /// Hook.
    pub hook: Hook,
    /// Chain that holds the rule; the base chain for a policy.
    pub chain: ChainId,
    /// Which rule of the chain; `None` = the policy of the base chain.
    pub rule: Option<usize>,
    /// Where it is written.
    pub origin: crate::source::Origin,
    /// Why it exists, where nobody wrote it.
    pub note: Option<NoteId>,
    /// What it decided.
    pub verdict: Verdict,
}

impl Decider {
    /// Whether this acceptance says more about a packet than an earlier one on its way, and so is the one to name.
    ///
    /// A rule says more than a policy, a filter more than a translation, and the hooks at which people filter more than those
    /// before and after routing.
    pub fn outranks(&self, earlier: &Decider, kind: ChainKind) -> bool {
        let filters = |d: &Decider| !matches!(d.hook, Hook::Prerouting | Hook::Postrouting);
        let nothing_yet = earlier.rule.is_none();
        // What somebody wrote says more than what a product adds by itself.
        if !nothing_yet && earlier.note.is_none() && self.note.is_some() {
            return false;
        }
        match (kind, self.rule.is_some()) {
            (ChainKind::Nat, rule) => rule && nothing_yet,
            (ChainKind::Filter, true) => nothing_yet || filters(self) || !filters(earlier),
            (ChainKind::Filter, false) => nothing_yet && (filters(self) || !filters(earlier)),
        }
    }
}

/// An unknown condition and the rule that asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Because {
    /// Which firewall.
    pub firewall: usize,
    /// The condition's text.
    pub text: String,
    /// What would settle it; may be empty.
    pub why: String,
    /// The rule.
    pub origin: crate::source::Origin,
    /// What it is, where it is a fact that can be settled ([`Environment::settled`](super::Environment)).
    pub fact: Option<super::Fact>,
}

/// Something that applied to the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which firewall.
    pub firewall: usize,
    /// Hook.
    pub hook: Hook,
    /// Chain.
    pub chain: ChainId,
    /// Where.
    pub origin: crate::source::Origin,
    /// What it did: `continue`, `jump NAME`, `accept`, `policy drop`, ….
    pub result: String,
}

/// Follows a packet through all firewalls of a point.
pub fn evaluate(point: Point<'_>, packet: &Packet) -> Trace {
    Evaluator::new(point, packet).run(packet)
}

// At most this many states are looked at: 2^14 ways through unknown conditions of a short ruleset.
const MAX_FORKS: usize = 16_384;

// A field's value on the way: known, one of several, or absent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Val {
    Absent,
    One(Value),
    Among(Rc<IntervalSet>),
}

// A fact that is not known. Facts of the first three kinds are the same whenever asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Fact {
    Condition(usize, ConditionId),
    AddressType(Val, u8),
    Label(usize, LabelId),
    Register(Register, MaskId),
    Among(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Frame {
    chain: ChainId,
    next: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    path: Path,
    // Position: index into the base chains of the path, then the stack of chains within it; empty = enter the next.
    at: usize,
    stack: Vec<Frame>,
    values: [Val; Field::COUNT],
    registers: [Option<u32>; 3],
    translated: [bool; 2],
    known: Vec<(Fact, bool)>,
}

// What is carried along but does not tell states apart.
#[derive(Debug, Clone, Default)]
struct Story {
    steps: Option<Rc<Link<Step>>>,
    because: Option<Rc<Link<Because>>>,
    assumed: Option<Rc<Link<Because>>>,
    decider: Option<Decider>,
    // Chains that this packet, as it is now, falls through unchanged: they need not be walked again. Two jumps to each of forty
    // chains in a row would be 2^40 ways.
    barren: FxHashSet<ChainId>,
    // Counts changes of the packet and of what is known; and the count when each frame of the stack was entered.
    changes: u32,
    entered: Vec<u32>,
}

impl Story {
    fn changed(&mut self) {
        self.changes += 1;
        self.barren.clear();
    }

    fn enter(&mut self, depth: usize) {
        self.entered.truncate(depth);
        self.entered.push(self.changes);
    }

    // A chain was left by its end or a return.
    fn left(&mut self, frame: Frame, depth: usize) {
        if self.entered.get(depth) == Some(&self.changes) {
            self.barren.insert(frame.chain);
        }
    }
}

#[derive(Debug)]
struct Link<T> {
    item: T,
    before: Option<Rc<Link<T>>>,
}

// A long chain of links must not be dropped by recursion.
impl<T> Drop for Link<T> {
    fn drop(&mut self) {
        let mut next = self.before.take();
        while let Some(link) = next {
            match Rc::try_unwrap(link) {
                Ok(mut l) => next = l.before.take(),
                Err(_) => break,
            }
        }
    }
}

fn push<T>(list: &mut Option<Rc<Link<T>>>, item: T) {
    *list = Some(Rc::new(Link { item, before: list.take() }));
}

fn collect<T: Clone>(list: &Option<Rc<Link<T>>>) -> Vec<T> {
    let mut out = Vec::new();
    let mut at = list.as_ref();
    while let Some(l) = at {
        out.push(l.item.clone());
        at = l.before.as_ref();
    }
    out.reverse();
    out
}

enum Truth {
    Yes,
    No,
    Unknown(Fact),
}

struct Evaluator<'a> {
    point: Point<'a>,
    family: Family,
    local: Option<IntervalSet>,
    // Base chains of each path, as (firewall, base chain), in order.
    ways: Vec<Vec<(usize, &'a BaseChain)>>,
}

impl<'a> Evaluator<'a> {
    fn new(point: Point<'a>, packet: &Packet) -> Self {
        let family = packet.family();
        let ways = Path::ALL.map(|path| way(point, path, family)).into_iter().collect();
        let mut local = point.environment.local.clone();
        for f in point.firewalls {
            if let Some(l) = &f.local {
                local = Some(local.map_or_else(|| l.clone(), |a| a.union(l)));
            }
        }
        Self { point, family, local, ways }
    }

    fn base(&self, s: &State) -> Option<(usize, &'a BaseChain)> {
        self.ways[s.path as usize].get(s.at).copied()
    }

    fn run(&self, packet: &Packet) -> Trace {
        let values = Field::ALL.map(|f| packet.get(f).map_or(Val::Absent, Val::One));
        let conn_mark = (packet.state() == ConnState::New).then_some(0);
        let start = State {
            path: packet.path,
            at: 0,
            stack: Vec::new(),
            values,
            registers: [Some(packet.mark), conn_mark, Some(0)],
            translated: [false; 2],
            known: Vec::new(),
        };
        let mut work = vec![(start, Story::default())];
        let mut seen: FxHashSet<State> = FxHashSet::default();
        let mut ends: Vec<(Verdict, bool, Option<Packet>, Story)> = Vec::new();
        let mut exhausted = false;
        while let Some((mut state, mut story)) = work.pop() {
            if seen.len() + work.len() > MAX_FORKS {
                exhausted = true;
                break;
            }
            if !seen.insert(state.clone()) {
                continue;
            }
            // One state runs on until it ends; where it forks, the other branch waits in `work`.
            loop {
                match self.step(&mut state, &mut story, &mut work) {
                    Next::On => {}
                    Next::Forked => {
                        if seen.len() + work.len() > MAX_FORKS {
                            exhausted = true;
                            work.clear();
                            break;
                        }
                        if !seen.insert(state.clone()) {
                            break;
                        }
                    }
                    Next::End(v) => {
                        let tracked =
                            state.values[Field::State.index()] != Val::One(ConnState::Untracked.value());
                        let delivered = self.delivered(&state, packet);
                        if !ends.iter().any(|e| e.0 == v && e.1 == tracked) {
                            ends.push((v, tracked, delivered, story));
                        } else if let Some(e) = ends.iter_mut().find(|e| e.0 == v && e.2 != delivered) {
                            e.2 = None;
                        }
                        break;
                    }
                }
            }
        }
        let all = |v| ends.iter().all(|e| e.0 == v);
        let verdict = match () {
            () if exhausted || ends.is_empty() => Verdict::Undecided,
            () if all(Verdict::Accept) => Verdict::Accept,
            () if all(Verdict::Drop) => Verdict::Drop,
            () => Verdict::Undecided,
        };
        let mut because: Vec<Because> = Vec::new();
        if verdict == Verdict::Undecided {
            for b in ends.iter().flat_map(|e| collect(&e.3.because)) {
                if !because.contains(&b) {
                    because.push(b);
                }
            }
        }
        let tracked = ends.iter().all(|e| e.1);
        let delivered = match ends.as_slice() {
            [one] => one.2.clone(),
            _ => None,
        };
        let story = ends.into_iter().next().map(|e| e.3).unwrap_or_default();
        Trace {
            verdict,
            tracked,
            decided_by: story.decider,
            because,
            assumed: collect(&story.assumed),
            steps: collect(&story.steps),
            delivered,
            exhausted,
        }
    }

    fn delivered(&self, state: &State, packet: &Packet) -> Option<Packet> {
        let mut out = packet.clone();
        out.path = state.path;
        for f in Field::ALL {
            match &state.values[f.index()] {
                Val::One(v) => out.set(f, *v),
                Val::Absent => {}
                Val::Among(_) => return None,
            }
        }
        Some(out)
    }

    fn step(&self, s: &mut State, story: &mut Story, work: &mut Vec<(State, Story)>) -> Next {
        let Some((firewall, base)) = self.base(s) else {
            return Next::End(Verdict::Accept);
        };
        let Some(frame) = s.stack.last().copied() else {
            let opens = matches!(s.values[Field::State.index()], Val::One(v)
                if v == ConnState::New.value() || v == ConnState::Related.value());
            let end = match base.hook {
                Hook::Prerouting | Hook::Output => 0,
                _ => 1,
            };
            if base.kind == ChainKind::Nat && (!opens || s.translated[end]) {
                s.at += 1;
            } else {
                story.changed();
                story.enter(0);
                s.stack.push(Frame { chain: base.chain, next: 0 });
            }
            return Next::On;
        };
        let f = self.point.firewalls[firewall];
        let rules = &f.chain(frame.chain).rules;
        let mut index = frame.next;
        let told = self.told(s, base);
        // Rules that do not apply are passed over here: of a million rules few do.
        let (here, truth) = loop {
            let Some(rule) = rules.get(index) else {
                s.stack.pop();
                story.left(frame, s.stack.len());
                if s.stack.is_empty() {
                    return self.policy(s, story, work, firewall, base);
                }
                return Next::On;
            };
            let here = Here { firewall, base, chain: frame.chain, index, rule };
            let truth = if refuses(f.terms(rule.terms), &told) { Truth::No } else { self.guard(s, f, &here) };
            match truth {
                Truth::No => index += 1,
                truth => break (here, truth),
            }
            if !s.known.is_empty() {
                s.known.retain(|(fact, _)| self.lasting(fact));
            }
        };
        if let Some(top) = s.stack.last_mut() {
            top.next = index;
        }
        match truth {
            Truth::No => Next::On,
            Truth::Yes => {
                s.known.retain(|(fact, _)| self.lasting(fact));
                self.apply(s, story, work, here)
            }
            Truth::Unknown(fact) => {
                story.changed();
                push(&mut story.because, self.because(firewall, &fact, here.rule.origin));
                let mut other = s.clone();
                other.known.push((fact.clone(), false));
                s.known.push((fact, true));
                work.push((other, story.clone()));
                Next::Forked
            }
        }
    }

    // The fields as rules of this base chain see them, in the numbers of `Term::Range`.
    fn told(&self, s: &State, base: &BaseChain) -> [(u32, u32); Field::COUNT] {
        let sees = base.hook.sees(s.path);
        Field::ALL.map(|field| {
            let value = match (field, &s.values[field.index()]) {
                (Field::Iif, _) if !sees.0 => 0,
                (Field::Oif, _) if !sees.1 => 0,
                (_, Val::One(v)) => *v,
                (_, Val::Absent) => return NOTHING,
                (_, Val::Among(_)) => return (0, u32::MAX),
            };
            let base = Term::base(field);
            let short = value.checked_sub(base).and_then(|v| u32::try_from(v).ok());
            short.map_or(NOTHING, |v| (v, v))
        })
    }

    fn advance(&self, s: &mut State) {
        s.known.retain(|(fact, _)| self.lasting(fact));
        if let Some(top) = s.stack.last_mut() {
            top.next += 1;
        }
    }

    // Whether a fact's truth must be remembered beyond the rule that asked.
    fn lasting(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Condition(f, c) => {
                let c = self.point.firewalls[*f].condition(*c);
                c.uses > 1 && matches!(c.kind, ConditionKind::Pure | ConditionKind::HostName { .. })
            }
            Fact::AddressType(..) => true,
            // A label guards a chain that only accepts, and the drop behind all of them: asked again, it can give no other verdict, and
            // to remember thousands of them would make as many ways as there are sets of them.
            Fact::Label(..) | Fact::Register(..) | Fact::Among(_) => false,
        }
    }

    fn because(&self, firewall: usize, fact: &Fact, origin: crate::source::Origin) -> Because {
        let (text, why) = self.describe(fact);
        let fact = match *fact {
            Fact::Condition(f, c) => Some(super::Fact::Condition(f, c)),
            _ => None,
        };
        Because { firewall, text, why, origin, fact }
    }

    fn describe(&self, fact: &Fact) -> (String, String) {
        match fact {
            Fact::Condition(f, c) => {
                let c = self.point.firewalls[*f].condition(*c);
                (c.text.clone(), c.why.clone())
            }
            Fact::AddressType(v, types) => {
                let what = match v {
                    Val::One(v) => addr::addr(*v).to_string(),
                    _ => "the translated address".to_owned(),
                };
                (
                    format!("address type of {what}: {}", type_names(AddressTypes(*types))),
                    "the box's own addresses are not declared".to_owned(),
                )
            }
            Fact::Label(f, l) => (
                format!("wears {}", self.point.firewalls[*f].labels[l.index()]),
                "what is attached here is not declared".to_owned(),
            ),
            Fact::Register(r, _) => (
                match r {
                    Register::Mark => "packet mark",
                    Register::ConnMark => "connection mark",
                    Register::Tag => "tag",
                }
                .to_owned(),
                "its value depends on what happened before".to_owned(),
            ),
            Fact::Among(field) => (
                format!("{field:?} after translation"),
                "the translation chooses among several values".to_owned(),
            ),
        }
    }

    fn policy(
        &self,
        s: &mut State,
        story: &mut Story,
        work: &mut Vec<(State, Story)>,
        firewall: usize,
        base: &BaseChain,
    ) -> Next {
        let decider = |verdict| Decider {
            firewall,
            hook: base.hook,
            chain: base.chain,
            rule: None,
            origin: base.policy_origin,
            note: base.policy_note,
            verdict,
        };
        let step = |result: &str| Step {
            firewall,
            hook: base.hook,
            chain: base.chain,
            origin: base.policy_origin,
            result: result.to_owned(),
        };
        match base.policy {
            Policy::Accept => {
                push(&mut story.steps, step("policy accept"));
                self.accepted(s, story, base, decider(Verdict::Accept));
                Next::On
            }
            Policy::Drop => {
                push(&mut story.steps, step("policy drop"));
                story.decider = Some(decider(Verdict::Drop));
                Next::End(Verdict::Drop)
            }
            Policy::Unknown(c) => {
                push(&mut story.steps, step("policy unknown"));
                let because = self.because(firewall, &Fact::Condition(firewall, c), base.policy_origin);
                push(&mut story.because, because);
                let (mut other, mut other_story) = (s.clone(), story.clone());
                self.accepted(&mut other, &mut other_story, base, decider(Verdict::Accept));
                work.push((other, other_story));
                story.decider = Some(decider(Verdict::Drop));
                Next::End(Verdict::Drop)
            }
        }
    }

    // This base chain is done with the packet.
    fn accepted(&self, s: &mut State, story: &mut Story, base: &BaseChain, decider: Decider) {
        if story.decider.is_none_or(|old| decider.outranks(&old, base.kind))
            && (base.kind == ChainKind::Filter || decider.rule.is_some())
        {
            story.decider = Some(decider);
        }
        s.stack.clear();
        s.at += 1;
    }

    fn apply(
        &self,
        s: &mut State,
        story: &mut Story,
        work: &mut Vec<(State, Story)>,
        here: Here<'_>,
    ) -> Next {
        let Here { firewall, base, chain, index, rule } = here;
        let f = self.point.firewalls[firewall];
        for t in f.terms(rule.terms) {
            if let Term::Opaque { condition, .. } = t
                && matches!(f.condition(*condition).kind, ConditionKind::Rate { .. })
                && !self.point.environment.throttled
            {
                let fact = Fact::Condition(firewall, *condition);
                push(&mut story.assumed, self.because(firewall, &fact, rule.origin));
            }
        }
        for effect in f.effects(rule) {
            story.changed();
            self.effect(s, *effect);
        }
        let mut step = |result: String| {
            push(&mut story.steps, Step { firewall, hook: base.hook, chain, origin: rule.origin, result });
        };
        let decider = |verdict| Decider {
            firewall,
            hook: base.hook,
            chain,
            rule: Some(index),
            origin: rule.origin,
            note: rule.note,
            verdict,
        };
        match rule.action {
            Action::Accept => {
                step("accept".to_owned());
                self.accepted(s, story, base, decider(Verdict::Accept));
                Next::On
            }
            Action::Drop | Action::Reject => {
                step(if rule.action == Action::Drop { "drop" } else { "reject" }.to_owned());
                story.decider = Some(decider(Verdict::Drop));
                Next::End(Verdict::Drop)
            }
            Action::Jump(to) | Action::Goto(to) => {
                let name = &f.chain(to).name;
                let goes = rule.action == Action::Goto(to);
                step(format!("{} {name}", if goes { "goto" } else { "jump" }));
                if s.stack.iter().any(|frame| frame.chain == to) {
                    let text = format!("chain {name} comes back to itself");
                    let why = "no kernel loads such a loop".to_owned();
                    let because = Because { firewall, text, why, origin: rule.origin, fact: None };
                    push(&mut story.because, because);
                    story.decider = Some(decider(Verdict::Undecided));
                    return Next::End(Verdict::Undecided);
                }
                self.advance(s);
                if story.barren.contains(&to) && !goes {
                    return Next::On;
                }
                if let Some(top) = s.stack.last_mut()
                    && goes
                {
                    // The chain that is left for good is over when the target comes back; it stays on the stack to find loops.
                    top.next = usize::MAX;
                }
                story.enter(s.stack.len());
                s.stack.push(Frame { chain: to, next: 0 });
                Next::On
            }
            Action::Return => {
                step("return".to_owned());
                if let Some(frame) = s.stack.pop() {
                    story.left(frame, s.stack.len());
                }
                if s.stack.is_empty() {
                    return self.policy(s, story, work, firewall, base);
                }
                Next::On
            }
            Action::Continue => {
                step("continue".to_owned());
                self.advance(s);
                Next::On
            }
            Action::Translate(t) => {
                step("translate".to_owned());
                let t = f.translations[t.index()];
                let before = s.clone();
                self.translate(s, base.hook, &t);
                self.accepted(s, story, base, decider(Verdict::Accept));
                self.reroute(&before, s, story, work, base.hook, &t);
                Next::On
            }
            Action::Unknown(c) => {
                step("unknown".to_owned());
                push(&mut story.because, self.because(firewall, &Fact::Condition(firewall, c), rule.origin));
                let (mut taken, mut taken_story) = (s.clone(), story.clone());
                self.accepted(&mut taken, &mut taken_story, base, decider(Verdict::Accept));
                work.push((taken, taken_story));
                let mut on = s.clone();
                self.advance(&mut on);
                work.push((on, story.clone()));
                story.decider = Some(decider(Verdict::Drop));
                Next::End(Verdict::Drop)
            }
        }
    }

    fn effect(&self, s: &mut State, effect: Effect) {
        match effect {
            Effect::Write { register, mask, value } => {
                let r = &mut s.registers[register as usize];
                *r = if mask == u32::MAX { Some(value) } else { r.map(|old| (old & !mask) ^ value) };
            }
            Effect::Copy { from, to, mask } => {
                let (a, b) = (s.registers[from as usize], s.registers[to as usize]);
                s.registers[to as usize] = match (a, b) {
                    (Some(a), _) if mask == u32::MAX => Some(a),
                    (Some(a), Some(b)) => Some((b & !mask) | (a & mask)),
                    _ => None,
                };
            }
            Effect::Forget(register, _) => s.registers[register as usize] = None,
            Effect::Untrack => s.values[Field::State.index()] = Val::One(ConnState::Untracked.value()),
        }
    }

    fn translate(&self, s: &mut State, hook: Hook, t: &Translation) {
        let (end, address, port) = match t.end {
            TranslatedEnd::Destination => (0, Field::Dst, Field::Dport),
            TranslatedEnd::Source => (1, Field::Src, Field::Sport),
        };
        s.translated[end] = true;
        if t.identity {
            return;
        }
        let among = |set: IntervalSet| match set.ranges() {
            [(lo, hi)] if lo == hi => Val::One(*lo),
            _ => Val::Among(Rc::new(set)),
        };
        if t.own {
            // Redirection of the box's own packets goes to the loopback address (nf_nat_redirect.c).
            let own = if hook == Hook::Output {
                IntervalSet::single(match self.family {
                    Family::V4 => addr::v4(0x7f00_0001),
                    Family::V6 => 1,
                })
            } else {
                let family = self.family.all();
                self.local.as_ref().map(|l| l.intersect(&family)).filter(|l| !l.is_empty()).unwrap_or(family)
            };
            s.values[address.index()] = among(own);
        } else if let Some((lo, hi)) = t.address {
            s.values[address.index()] = match (&s.values[address.index()], t.host_mask()) {
                (Val::One(v), Some(mask)) => Val::One(lo | (v & mask)),
                _ => among(IntervalSet::range(lo, hi)),
            };
        }
        if let Some((lo, hi)) = t.port
            && s.values[port.index()] != Val::Absent
        {
            s.values[port.index()] = match (&s.values[port.index()], t.port_from) {
                (Val::One(v), Some((a, b))) if (Value::from(a)..=Value::from(b)).contains(v) => {
                    Val::One((Value::from(lo) + v - Value::from(a)).min(0xffff))
                }
                _ => among(IntervalSet::range(lo, hi)),
            };
        }
    }

    // A new destination may turn a packet for the box into one that is forwarded, and the other way round.
    fn reroute(
        &self,
        before: &State,
        s: &mut State,
        story: &mut Story,
        work: &mut Vec<(State, Story)>,
        hook: Hook,
        t: &Translation,
    ) {
        let dst = Field::Dst.index();
        let moved = t.end == TranslatedEnd::Destination
            && !t.identity
            && (t.own || before.values[dst] != s.values[dst]);
        if !moved || (hook != Hook::Prerouting && hook != Hook::Output) {
            return;
        }
        if hook == Hook::Output {
            s.values[Field::Oif.index()] = Val::Among(Rc::new(Field::Oif.all()));
            return;
        }
        let is_local = match (&s.values[dst], &self.local) {
            _ if t.own => Some(true),
            (Val::One(v), Some(l)) => Some(l.contains(*v)),
            (Val::Among(set), Some(l)) if l.covers(set) => Some(true),
            (Val::Among(set), Some(l)) if !l.intersects(set) => Some(false),
            _ => None,
        };
        let go = |s: &mut State, path: Path| {
            if s.path == path {
                return;
            }
            s.path = path;
            s.values[Field::Oif.index()] = match path {
                Path::Forward => Val::Among(Rc::new(Field::Oif.complement(&IntervalSet::single(0u8)))),
                _ => Val::One(0),
            };
        };
        match is_local {
            Some(true) => go(s, Path::Input),
            Some(false) => go(s, Path::Forward),
            // Of a gateway that does not tell its own addresses: what it forwards is taken to go on.
            None if s.path == Path::Forward && self.local.is_none() => {}
            None => {
                let fact = Fact::AddressType(s.values[dst].clone(), AddressTypes::LOCAL.0);
                let firewall = self.base(before).map_or(0, |b| b.0);
                let origin = story.decider.map_or_else(Default::default, |d| d.origin);
                push(&mut story.because, self.because(firewall, &fact, origin));
                let mut other = s.clone();
                other.known.push((fact.clone(), true));
                go(&mut other, Path::Input);
                work.push((other, story.clone()));
                s.known.push((fact, false));
                go(s, Path::Forward);
            }
        }
    }

    fn guard(&self, s: &State, f: &Firewall, here: &Here<'_>) -> Truth {
        let mut unknown = None;
        for term in f.terms(here.rule.terms) {
            match self.term(s, f, here, term) {
                Truth::No => return Truth::No,
                Truth::Yes => {}
                Truth::Unknown(fact) => unknown = unknown.or(Some(fact)),
            }
        }
        unknown.map_or(Truth::Yes, Truth::Unknown)
    }

    fn fact(&self, s: &State, fact: Fact, negated: bool) -> Truth {
        match s.known.iter().find(|(k, _)| *k == fact) {
            Some((_, v)) if *v != negated => Truth::Yes,
            Some(_) => Truth::No,
            None => Truth::Unknown(fact),
        }
    }

    // The value that rules see, if there is exactly one.
    fn one(&self, s: &State, here: &Here<'_>, field: Field) -> Option<Value> {
        let sees = here.base.hook.sees(s.path);
        match (field, &s.values[field.index()]) {
            (Field::Iif, _) if !sees.0 => Some(0),
            (Field::Oif, _) if !sees.1 => Some(0),
            (_, Val::One(v)) => Some(*v),
            _ => None,
        }
    }

    fn within(
        &self,
        s: &State,
        here: &Here<'_>,
        field: Field,
        set: &dyn Fn(&IntervalSet) -> (bool, bool),
    ) -> Truth {
        let value = match field {
            Field::Iif if !here.base.hook.sees(s.path).0 => &Val::One(0),
            Field::Oif if !here.base.hook.sees(s.path).1 => &Val::One(0),
            _ => &s.values[field.index()],
        };
        let (some, all) = match value {
            Val::Absent => return Truth::No,
            Val::One(v) => set(&IntervalSet::single(*v)),
            Val::Among(among) => set(among),
        };
        match (some, all) {
            (_, true) => Truth::Yes,
            (false, _) => Truth::No,
            _ => self.fact(s, Fact::Among(field), false),
        }
    }

    // Whether the point carries a label, when only its address tells.
    fn carried(&self, s: &State, f: &Firewall, here: &Here<'_>, label: LabelId) -> Truth {
        let told = match s.values[Firewall::own_address(here.base.hook).index()] {
            Val::One(v) => f.carries(label, v),
            _ => None,
        };
        match told {
            Some(true) => Truth::Yes,
            Some(false) => Truth::No,
            None => self.fact(s, Fact::Label(here.firewall, label), false),
        }
    }

    fn term(&self, s: &State, f: &Firewall, here: &Here<'_>, term: &Term) -> Truth {
        match *term {
            Term::Range { field, lo, hi } => {
                let base = Term::base(field);
                let (lo, hi) = (base + Value::from(lo), base + Value::from(hi));
                if let Some(v) = self.one(s, here, field) {
                    return if lo <= v && v <= hi { Truth::Yes } else { Truth::No };
                }
                let range = IntervalSet::range(lo, hi);
                self.within(s, here, field, &|v| (range.intersects(v), range.covers(v)))
            }
            Term::In(field, id) => {
                let set = f.sets.get(id);
                if let Some(v) = self.one(s, here, field) {
                    return if set.contains(v) { Truth::Yes } else { Truth::No };
                }
                self.within(s, here, field, &|v| (set.intersects(v), set.covers(v)))
            }
            Term::Opaque { condition, negated } => {
                let truth = match &f.condition(condition).kind {
                    ConditionKind::Rate { unthrottled } if !self.point.environment.throttled => {
                        Some(*unthrottled)
                    }
                    ConditionKind::HostName { field, name } => {
                        self.point.environment.names.contains(&(*field, name.clone())).then_some(true)
                    }
                    _ => None,
                };
                match truth {
                    Some(t) if t != negated => Truth::Yes,
                    Some(_) => Truth::No,
                    None => self.fact(s, Fact::Condition(here.firewall, condition), negated),
                }
            }
            Term::Any(id) => {
                let mut unknown = None;
                for range in &f.alternatives[id.index()] {
                    let rule = Rule { terms: *range, ..*here.rule };
                    match self.guard(s, f, &Here { rule: &rule, ..*here }) {
                        Truth::Yes => return Truth::Yes,
                        Truth::No => {}
                        Truth::Unknown(fact) => unknown = unknown.or(Some(fact)),
                    }
                }
                unknown.map_or(Truth::No, Truth::Unknown)
            }
            Term::Register { register, negated, test } => {
                let (value, mask) = f.sets.mask(test);
                match s.registers[register as usize] {
                    Some(v) if (v & mask == value) != negated => Truth::Yes,
                    Some(_) => Truth::No,
                    None => self.fact(s, Fact::Register(register, test), negated),
                }
            }
            Term::AddressType { field, types, negated } => {
                let truth = match &s.values[field.index()] {
                    Val::One(v) => address_type(&IntervalSet::single(*v), types, self.local.as_ref()),
                    Val::Among(set) => address_type(set, types, self.local.as_ref()),
                    Val::Absent => None,
                };
                match truth {
                    Some(t) if t != negated => Truth::Yes,
                    Some(_) => Truth::No,
                    None => {
                        self.fact(s, Fact::AddressType(s.values[field.index()].clone(), types.0), negated)
                    }
                }
            }
            Term::Label(label) => match &self.point.environment.labels {
                Some(worn) if worn.contains(&f.labels[label.index()]) => Truth::Yes,
                Some(_) => Truth::No,
                None => self.carried(s, f, here, label),
            },
        }
    }
}

// Bounds of a field that no range of 32 bits meets, except the one of everything.
const NOTHING: (u32, u32) = (u32::MAX, 0);

// Whether one of the ranges among the terms is certain not to hold. The quick look at rules that do not apply, as most of a long chain.
#[inline]
fn refuses(terms: &[Term], told: &[(u32, u32); Field::COUNT]) -> bool {
    terms.iter().rev().any(|t| match *t {
        Term::Range { field, lo, hi } => {
            let (a, b) = told[field.index()];
            lo > b || hi < a
        }
        _ => false,
    })
}

#[derive(Clone, Copy)]
struct Here<'a> {
    firewall: usize,
    base: &'a BaseChain,
    chain: ChainId,
    index: usize,
    rule: &'a Rule,
}

enum Next {
    On,
    Forked,
    End(Verdict),
}

/// The base chains on a path, as (index of the firewall, base chain), in the order in which the kernel calls them.
pub fn way<'a>(point: Point<'a>, path: Path, family: Family) -> Vec<(usize, &'a BaseChain)> {
    let mut out = Vec::new();
    for hook in Hook::on(path) {
        let mut here: Vec<_> = point
            .firewalls
            .iter()
            .enumerate()
            .filter(|(_, f)| f.covers(family))
            .flat_map(|(i, f)| f.base_chains(*hook, family).map(move |b| (i, b)))
            .collect();
        here.sort_by_key(|(_, b)| b.priority);
        out.extend(here);
    }
    out
}

/// The addresses that are certainly of one of the types, and those that may be (both within all addresses).
///
/// Multicast is known from the address; local needs the box's addresses (loopback is always local); broadcast is known for
/// 255.255.255.255 only; the rest is unicast unless the routing table says otherwise (ip-route(8)).
pub fn address_type_sets(types: AddressTypes, local: Option<&IntervalSet>) -> (IntervalSet, IntervalSet) {
    let all = IntervalSet::range(0u8, Value::MAX);
    let net = |t: &str| addr::parse(t).unwrap_or_default();
    let multicast = net("224.0.0.0/4").union(&net("ff00::/8"));
    let loopback = net("127.0.0.0/8").union(&net("::1"));
    let limited = net("255.255.255.255");
    let unspecified = net("0.0.0.0").union(&net("::"));
    // What is left can be local, unicast, broadcast (IPv4 only) or another type, as routing says.
    let fixed = multicast.union(&loopback).union(&limited).union(&unspecified);
    let rest = all.minus(&fixed);
    let (mut certain, mut possible) = (IntervalSet::EMPTY, IntervalSet::EMPTY);
    let mut add = |sure: IntervalSet, may: IntervalSet| {
        certain = certain.union(&sure);
        possible = possible.union(&may);
    };
    let own = local.map(|l| l.minus(&fixed));
    if types.has(AddressTypes::MULTICAST) {
        add(multicast.clone(), multicast);
    }
    if types.has(AddressTypes::LOCAL) {
        match &own {
            Some(o) => add(loopback.union(o), loopback.union(o)),
            None => add(loopback.clone(), loopback.union(&rest)),
        }
    }
    let foreign = own.as_ref().map_or_else(|| rest.clone(), |o| rest.minus(o));
    let v4 = Family::V4.all();
    if types.has(AddressTypes::BROADCAST) {
        add(limited.clone(), limited.union(&foreign.intersect(&v4)));
    }
    if types.has(AddressTypes::UNICAST) {
        add(IntervalSet::EMPTY, foreign.clone());
    }
    if types.has(AddressTypes::OTHER) {
        add(unspecified.clone(), unspecified.union(&foreign));
    }
    if types.has(AddressTypes::BROADCAST)
        && types.has(AddressTypes::UNICAST)
        && types.has(AddressTypes::OTHER)
    {
        add(foreign.clone(), foreign);
    }
    (certain, possible)
}

fn address_type(set: &IntervalSet, types: AddressTypes, local: Option<&IntervalSet>) -> Option<bool> {
    let (certain, possible) = address_type_sets(types, local);
    match (certain.covers(set), possible.intersects(set)) {
        (true, _) => Some(true),
        (_, false) => Some(false),
        _ => None,
    }
}

/// The types in words: `local`, `unicast`, ….
pub fn type_names(types: AddressTypes) -> String {
    [
        (AddressTypes::LOCAL, "local"),
        (AddressTypes::UNICAST, "unicast"),
        (AddressTypes::BROADCAST, "broadcast"),
        (AddressTypes::MULTICAST, "multicast"),
        (AddressTypes::OTHER, "other"),
    ]
    .iter()
    .filter(|(t, _)| types.has(*t))
    .map(|(_, n)| *n)
    .collect::<Vec<_>>()
    .join("|")
}
