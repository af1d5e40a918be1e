//! Packets with thousands of new destinations, each of which is one address and port: what becomes of them from there on is one diagram, for
//! whatever destination, in which each is put in.

use super::{Out, Wide};
use crate::analysis::Moved;
use crate::analysis::decide::cell::View;
use crate::analysis::diagram::{Class, Level, Node, Outcome};
use crate::model::*;
use crate::packet::{Field, Path};
use rustc_hash::{FxHashMap, FxHashSet};

/// What is known of the places where that is done.
#[derive(Default)]
pub(super) struct Destinations {
    // Whether it may be done from a place on; see `is_open`.
    open: FxHashMap<(Path, usize), bool>,
    // States with a new destination that were followed one by one.
    seen: FxHashMap<(Path, usize), usize>,
    /// Whether it was done anywhere: from then on, what rules ask of destinations may be about new ones.
    pub used: bool,
}

// With fewer new destinations, each is followed by itself: rules about others are passed over then.
const FEW: usize = 64;

/// What is put in.
pub(super) const FIELDS: [Field; 2] = [Field::Dst, Field::Dport];

impl Wide<'_, '_> {
    /// What becomes of packets in a state from a base chain of a path on, by way of the diagram for all destinations.
    pub(super) fn substituted(&mut self, path: Path, at: usize, state: u32) -> Option<Node> {
        let s = self.walk.state(state);
        let mut put_in: Vec<(Field, View)> = Vec::new();
        for field in FIELDS {
            match &s.views[field.index()] {
                View::Same => {}
                one @ View::One(_) => put_in.push((field, one.clone())),
                _ => return None,
            }
        }
        // What the address was asked about before may not be asked again of another one.
        if put_in.is_empty() || s.moved != Moved::No || !s.known.is_empty() || !self.is_open(path, at) {
            return None;
        }
        let seen = self.destinations.seen.entry((path, at)).or_default();
        *seen += 1;
        // The random rulesets of the unit tests have few, and take this way for all.
        if !cfg!(test) && *seen <= FEW {
            return None;
        }
        self.destinations.used = true;
        let mut any = self.walk.state(state).clone();
        put_in.iter().for_each(|(field, _)| any.views[field.index()] = View::Same);
        let any = self.walk.intern(any);
        let node = self.path(path, at, any);
        let mut values: Vec<(Level, Class)> = Vec::new();
        for (field, view) in &put_in {
            if let (Some(level), View::One(v)) = (self.levels[field.index()], view) {
                values.push((level, self.classes[field.index()].of(*v)));
            }
        }
        let node = self.arena.fixed(node, &values);
        let mut ends: Vec<(Outcome, Node)> = Vec::new();
        for o in self.arena.possible(node).iter() {
            let (end, by) = match self.outs[*o as usize] {
                Out::Passed(end, by) => (end, Some(by)),
                Out::Drop(end) if self.walk.question.delivered_to.is_some() => (end, None),
                _ => continue,
            };
            let mut told = self.walk.state(end).clone();
            put_in.iter().for_each(|(field, view)| told.views[field.index()] = view.clone());
            let told = self.walk.intern(told);
            let end = by.map_or(Out::Drop(told), |by| Out::Passed(told, by));
            ends.push((*o, self.terminal(&[end])));
        }
        Some(self.arena.bind(node, |_, o| super::rules::found(&ends, o)))
    }

    // Whether from a base chain of a path on, rules ask of the destination only whether it is in sets, of the one that they see, and leave it
    // as it is.
    fn is_open(&mut self, path: Path, at: usize) -> bool {
        if let Some(known) = self.destinations.open.get(&(path, at)) {
            return *known;
        }
        let mut work: Vec<(usize, ChainId)> =
            self.walk.ways[path as usize].iter().skip(at).map(|(fw, base)| (*fw, base.chain)).collect();
        let mut seen: FxHashSet<(usize, ChainId)> = work.iter().copied().collect();
        let mut open = true;
        while let Some((firewall, chain)) = work.pop().filter(|_| open) {
            let f = self.walk.question.point.firewalls[firewall];
            for i in self.touched[firewall][chain.index()].iter() {
                let rule = &f.chain(chain).rules[*i as usize];
                open &= asks_plainly(f, rule.terms) && leaves(f, rule);
                if let Action::Jump(to) | Action::Goto(to) = rule.action
                    && seen.insert((firewall, to))
                {
                    work.push((firewall, to));
                }
            }
        }
        self.destinations.open.insert((path, at), open);
        open
    }
}

fn asks_plainly(f: &Firewall, terms: TermRange) -> bool {
    f.terms(terms).iter().all(|t| match *t {
        Term::Original(field, _) | Term::AddressType { field, .. } | Term::Masked { field, .. } => {
            !FIELDS.contains(&field)
        }
        Term::Label(_) => false,
        Term::Any(id) => f.alternatives[id.index()].iter().all(|terms| asks_plainly(f, *terms)),
        Term::Range { .. } | Term::In(..) | Term::Opaque { .. } | Term::Register { .. } => true,
    })
}

// Whether destination and protocol stay as they are.
fn leaves(f: &Firewall, rule: &Rule) -> bool {
    let rewrites = |e: &Effect| match e {
        Effect::Rewrite { field, .. } => FIELDS.contains(field) || *field == Field::Proto,
        Effect::Deliver => true,
        _ => false,
    };
    let translates = match rule.action {
        Action::Translate(t) => f.translations[t.index()].end == TranslatedEnd::Destination,
        _ => false,
    };
    !translates && !f.effects(rule).iter().any(rewrites)
}
