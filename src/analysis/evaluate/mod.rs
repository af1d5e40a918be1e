//! The one-packet evaluator: what happens to this packet, and why.
//!
//! It follows a packet through the chains as the kernel does, rule by rule, and is the reference for everything that
//! decides regions. Where a condition is not known it follows both ways; the verdict is certain only if all ways agree.

mod address_types;
mod effects;
mod state;
mod terms;

pub use address_types::type_names;
pub(super) use address_types::{Class, MAX_INTERVALS, Routed, classes, is_of, narrowed, types_of};

use super::decide::{field_name, register_name};
use super::{Moved, Point, Verdict};
use crate::model::*;
use crate::packet::{ConnState, Family, Field, IntervalSet, Packet, Path, addr};
use rustc_hash::{FxHashMap, FxHashSet};
use state::{Fact, Frame, State, Story, Truth, Val, collect, push};
use std::cell::{OnceCell, RefCell};
use terms::refuses;

/// What happened to a packet.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The verdict over all ways.
    pub verdict: Verdict,
    /// Whether the packet, if accepted, was tracked on every way, so that its answers belong to a connection.
    pub tracked: bool,
    /// What decided, on the first way. `None`: nothing looked at the packet (no base chain on its way).
    pub decided_by: Option<Decider>,
    /// Conditions that the verdict depends on, if it is undecided; each with the rule that asks.
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
        let filters = |d: &Decider| d.hook.filters();
        // To be let in by a device says least.
        let nothing_yet =
            earlier.rule.is_none() || earlier.hook == Hook::DeviceIngress && self.hook != Hook::DeviceIngress;
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

impl Because {
    /// Whether it is about the interface by which routing sends a packet on whose destination was translated.
    pub fn is_output_interface(&self) -> bool {
        self.fact.is_none() && self.text.starts_with(field_name(Field::Oif))
    }
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
    Evaluator::new(point, packet).run()
}

// At most this many states are looked at: 2^14 ways through unknown conditions of a short ruleset.
const MAX_FORKS: usize = 16_384;

struct Evaluator<'a> {
    point: Point<'a>,
    family: Family,
    local: Option<IntervalSet>,
    arrived: &'a Packet,
    // All addresses by the types that they may have, by `Routed`; made when asked for.
    classes: [OnceCell<Vec<Class>>; 3],
    // Base chains of each path, as (firewall, base chain), in order.
    ways: Vec<Vec<(usize, &'a BaseChain)>>,
    // Numbers of rules behind labels of which nothing is known, by the base chain's place, what is known of the packet, and what they do to it.
    behind_labels: RefCell<FxHashMap<Behind, Vec<usize>>>,
}

type Behind = (usize, Vec<(Fact, bool)>, Action);

// So many rules that do the same to a packet, each behind a label of its own of which nothing is known, are followed.
const MAX_ALIKE: usize = 64;

impl<'a> Evaluator<'a> {
    fn new(point: Point<'a>, packet: &'a Packet) -> Self {
        let family = packet.family();
        let ways = Path::ALL.map(|path| way(point, path, family)).into_iter().collect();
        let mut local = point.environment.local.clone();
        for f in point.firewalls {
            if let Some(l) = &f.local {
                local = Some(local.map_or_else(|| l.clone(), |a| a.union(l)));
            }
        }
        let behind_labels = RefCell::default();
        Self { point, family, local, arrived: packet, classes: Default::default(), ways, behind_labels }
    }

    fn base(&self, s: &State) -> Option<(usize, &'a BaseChain)> {
        self.ways[s.path as usize].get(s.at).copied()
    }

    fn run(&self) -> Trace {
        let packet = self.arrived;
        let values = Field::ALL.map(|f| packet.get(f).map_or(Val::Absent, Val::One));
        let start = State {
            path: packet.path,
            at: 0,
            stack: Vec::new(),
            values,
            registers: Register::on_arrival(packet.mark, packet.state() == ConnState::New),
            written: 0,
            moved: Moved::No,
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
            let mut told: FxHashSet<Because> = FxHashSet::default();
            let all = ends.iter().flat_map(|e| collect(&e.3.because));
            because.extend(all.filter(|b| told.insert(b.clone())));
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
                Val::Among(_) | Val::Unknown => return None,
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
                Truth::Unknown(Fact::Label(..)) if self.is_repeated(s, &here, &told) => index += 1,
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
                learn(&mut other, &fact, false);
                learn(s, &fact, true);
                work.push((other, story.clone()));
                Next::Forked
            }
        }
    }

    // Whether many rules did the same before to the packet, of whose labels nothing is known either: this one adds no way.
    fn is_repeated(&self, s: &State, here: &Here<'_>, told: &[(u32, u32); Field::COUNT]) -> bool {
        let f = self.point.firewalls[here.firewall];
        if here.chain != here.base.chain {
            return false;
        }
        let does = match f.behind_label(here.rule) {
            Some(Action::Jump(to)) if f.chain(to).rules.iter().all(|r| refuses(f.terms(r.terms), told)) => {
                // It falls through the chain.
                Action::Continue
            }
            Some(does) => does,
            None => return false,
        };
        let mut behind = self.behind_labels.borrow_mut();
        let followed = behind.entry((s.at, s.known.clone(), does)).or_default();
        if followed.len() >= MAX_ALIKE {
            return !followed.contains(&here.index);
        }
        if !followed.contains(&here.index) {
            followed.push(here.index);
        }
        false
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
                c.uses > 1 && c.kind.is_pure()
            }
            Fact::AddressType(..) => true,
            // A label guards a chain that only accepts, and the drop behind all of them: asked again, it can give no other verdict, and
            // to remember thousands of them would make as many ways as there are sets of them.
            Fact::Label(..)
            | Fact::Register(..)
            | Fact::Among(..)
            | Fact::Original(..)
            | Fact::Masked(..) => false,
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
            Fact::AddressType(_, v, types) => {
                let what = match v {
                    Val::One(v) => addr::addr(*v).to_string(),
                    _ => "the translated address".to_owned(),
                };
                (
                    format!("address type of {what}: {}", type_names(AddressTypes(*types))),
                    "the machine's own addresses are not declared".to_owned(),
                )
            }
            Fact::Label(f, l) => (
                format!("group {} is attached", self.point.firewalls[*f].labels[l.index()]),
                "the attached groups are not declared".to_owned(),
            ),
            Fact::Register(r, _) => {
                (register_name(*r).to_owned(), "its value depends on what happened before".to_owned())
            }
            Fact::Among(field, _) => (
                format!("{} after a rule changed it", field_name(*field)),
                "its new value is not known".to_owned(),
            ),
            Fact::Masked(field, _) => {
                (format!("bits of the {}", field_name(*field)), "its new value is not known".to_owned())
            }
            Fact::Original(field, _) => (
                format!("{} before any translation", field_name(*field)),
                "a rule changed it before the connection was recorded".to_owned(),
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
                self.accepted(s, story, work, (firewall, base), decider(Verdict::Accept));
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
                self.accepted(&mut other, &mut other_story, work, (firewall, base), decider(Verdict::Accept));
                work.push((other, other_story));
                story.decider = Some(decider(Verdict::Drop));
                Next::End(Verdict::Drop)
            }
        }
    }

    // This base chain is done with the packet.
    fn accepted(
        &self,
        s: &mut State,
        story: &mut Story,
        work: &mut Vec<(State, Story)>,
        (firewall, base): (usize, &BaseChain),
        decider: Decider,
    ) {
        if story.decider.is_none_or(|old| decider.outranks(&old, base.kind))
            && (base.kind == ChainKind::Filter || decider.rule.is_some())
        {
            story.decider = Some(decider);
        }
        s.stack.clear();
        s.at += 1;
        self.reroute(s, story, work, firewall, base);
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
        if rule.effects.is_some() {
            story.changed();
            f.effects(rule).iter().for_each(|effect| self.effect(s, f, *effect));
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
                self.accepted(s, story, work, (firewall, base), decider(Verdict::Accept));
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
                if f.looping()[to.index()] {
                    let text = format!("chain {name} jumps back to itself");
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
                    // The chain that is left for good is over when the target comes back.
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
                self.translate(s, f, base.hook, &t);
                self.accepted(s, story, work, (firewall, base), decider(Verdict::Accept));
                Next::On
            }
            Action::Unknown(c) => {
                step("unknown".to_owned());
                push(&mut story.because, self.because(firewall, &Fact::Condition(firewall, c), rule.origin));
                s.registers = Default::default();
                story.changed();
                let mut ways = vec![s.clone()];
                if base.kind == ChainKind::Nat {
                    let mut translated = s.clone();
                    self.translate(&mut translated, f, base.hook, &Translation::anything(base.hook));
                    ways.push(translated);
                }
                for mut taken in ways {
                    let mut told = story.clone();
                    self.accepted(&mut taken, &mut told, work, (firewall, base), decider(Verdict::Accept));
                    work.push((taken, told));
                }
                let mut on = s.clone();
                self.advance(&mut on);
                work.push((on, story.clone()));
                story.decider = Some(decider(Verdict::Drop));
                Next::End(Verdict::Drop)
            }
        }
    }
}

// Takes a fact for true or false. Of a field that is one of several values, the others are left.
fn learn(s: &mut State, fact: &Fact, truth: bool) {
    if let Fact::Among(field, set) = fact {
        let value = &mut s.values[field.index()];
        if let Val::Among(among) = value {
            *value = Val::among(if truth { among.intersect(set) } else { among.minus(set) });
            return;
        }
    }
    s.known.push((fact.clone(), truth));
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
