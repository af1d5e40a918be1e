//! What one rule opens, as people are told it: by place, and where there are very many places, those that differ in nothing else together.

use super::{Inner, Opening};
use crate::lint::reach::Reach;
use crate::packet::{Field, IntervalSet};
use rustc_hash::FxHashMap;
use std::hash::Hash;

/// What one rule opens at one place, by the same interfaces.
#[derive(Debug, Clone)]
pub struct Group {
    /// One of the openings; of several places together, with the addresses and ports of all.
    pub opening: Opening,
    /// What is reached, by all of them.
    pub reach: Reach,
}

/// Places that one rule opens that are told one by one. A cluster's node sends packets on to thousands.
const MAX_PLACES: usize = 8;

/// The groups of a rule's openings, in their order.
pub fn groups(openings: &[Opening]) -> Vec<Group> {
    let one = |o: &Opening| Group { reach: o.reach(), opening: o.clone() };
    let places = joined(openings.iter().map(one), |g| (who(&g.opening), g.opening.place()));
    let wide = within_wider(places);
    let (sent_on, here): (Vec<Group>, Vec<Group>) = wide.into_iter().partition(|g| g.opening.inner.is_some());
    let mut out: Vec<Group> = Vec::new();
    for list in [here, sent_on] {
        match list.len() > MAX_PLACES {
            true => out.extend(joined(list, |g| {
                (who(&g.opening), inner_ports(&g.opening), g.opening.to().is_empty())
            })),
            false => out.extend(list),
        }
    }
    out
}

// What is the same in all openings that are told together.
fn who(o: &Opening) -> impl Hash + Eq + use<> {
    let sources = (!o.from_all).then(|| o.region.get(Field::Src).clone());
    (o.family().number(), o.facing, sources, o.interfaces(), o.from_ports())
}

fn inner_ports(o: &Opening) -> Option<IntervalSet> {
    o.inner.as_ref().map(|i| i.ports.clone())
}

fn joined<K: Hash + Eq>(list: impl IntoIterator<Item = Group>, key: impl Fn(&Group) -> K) -> Vec<Group> {
    let mut out: Vec<Group> = Vec::new();
    let mut index: FxHashMap<K, usize> = FxHashMap::default();
    for g in list {
        let at = *index.entry(key(&g)).or_insert(out.len());
        match out.get_mut(at) {
            Some(first) => first.add(&g),
            None => out.push(g),
        }
    }
    out
}

// What a rule opens everywhere but where other rules take some of it is told once: the exceptions are no places of their own.
fn within_wider(places: Vec<Group>) -> Vec<Group> {
    let everywhere = |g: &Group| g.opening.inner.is_none() && g.opening.to().is_empty();
    let mut wide: FxHashMap<_, usize> = FxHashMap::default();
    let mut out: Vec<Group> = Vec::new();
    for g in places.iter().filter(|g| everywhere(g)) {
        wide.entry((who(&g.opening), g.opening.path)).or_insert_with(|| {
            out.push(g.clone());
            out.len() - 1
        });
    }
    let mut others = Vec::new();
    for g in places {
        let at = wide.get(&(who(&g.opening), g.opening.path)).copied().filter(|_| g.opening.inner.is_none());
        match at.and_then(|at| out.get_mut(at)) {
            Some(first) => first.add(&g),
            None => others.push(g),
        }
    }
    out.append(&mut others);
    out
}

impl Group {
    fn add(&mut self, other: &Group) {
        self.reach = self.reach.union(&other.reach);
        for field in [Field::Dst, Field::Proto, Field::Dport] {
            let all = self.opening.region.get(field).union(other.opening.region.get(field));
            self.opening.region = self.opening.region.with(field, all);
        }
        if let (Some(own), Some(others)) = (&mut self.opening.inner, &other.opening.inner) {
            *own = Inner { to: own.to.union(&others.to), ports: own.ports.union(&others.ports) };
        }
    }
}
