//! What one rule opens, as people are told it: by place, and where there are very many places, those that differ in nothing else together.

use super::{Inner, Opening};
use crate::lint::reach::Reach;
use crate::packet::{Field, IntervalSet};
use rustc_hash::{FxHashMap, FxHashSet};
use std::hash::Hash;

/// What one rule opens at one place, by the same interfaces.
#[derive(Debug, Clone)]
pub struct Group {
    /// One of the openings; of several places together, with the addresses and ports of all.
    pub opening: Opening,
    /// What is reached, by all of them.
    pub reach: Reach,
    // Place of the first one among all openings of its rule.
    place: usize,
}

/// Places that one rule opens that are told one by one. A cluster's node sends packets on to thousands.
const MAX_PLACES: usize = 8;

/// The groups of a rule's openings, in their order.
pub fn groups(openings: &[Opening]) -> Vec<Group> {
    let one = |(place, o): (usize, &Opening)| Group { reach: o.reach(), opening: o.clone(), place };
    let places = joined(openings.iter().enumerate().map(one), |g| (who(&g.opening), g.opening.place()));
    let wide = within_all(within_wider(places));
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
    out.sort_by_key(|g| g.place);
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
    let mut out: Vec<Vec<Group>> = Vec::new();
    let mut index: FxHashMap<K, usize> = FxHashMap::default();
    for g in list {
        let at = *index.entry(key(&g)).or_insert(out.len());
        match out.get_mut(at) {
            Some(alike) => alike.push(g),
            None => out.push(vec![g]),
        }
    }
    out.into_iter().filter_map(together).collect()
}

// What a rule opens everywhere but where other rules take some of it is told once: the exceptions are no places of their own.
fn within_wider(places: Vec<Group>) -> Vec<Group> {
    let everywhere = |g: &Group| g.opening.inner.is_none() && g.opening.to().is_empty();
    let at = |g: &Group| (who(&g.opening), g.opening.path);
    let wide: FxHashSet<_> = places.iter().filter(|g| everywhere(g)).map(at).collect();
    let inside = |g: &Group| g.opening.inner.is_none() && wide.contains(&at(g));
    let (mut within, mut others): (Vec<Group>, Vec<Group>) = places.into_iter().partition(inside);
    // The wide one gives its name to all.
    within.sort_by_key(|g| !everywhere(g));
    others.extend(joined(within, at));
    others
}

// Of what anybody reaches it is not told again that those reach it whom other rules name.
fn within_all(groups: Vec<Group>) -> Vec<Group> {
    let (all, some): (Vec<Group>, Vec<Group>) = groups.into_iter().partition(|g| g.opening.from_all);
    let known = |g: &Group| {
        let o = &g.opening;
        all.iter().any(|a| {
            (a.opening.path, a.opening.facing, a.opening.family()) == (o.path, o.facing, o.family())
                && a.opening.inner == o.inner
                && [Field::Iif, Field::Sport, Field::Dst]
                    .iter()
                    .all(|f| a.opening.region.get(*f).covers(o.region.get(*f)))
                && g.reach.minus(&a.reach).is_empty()
        })
    };
    let others: Vec<Group> = some.into_iter().filter(|g| !known(g)).collect();
    all.into_iter().chain(others).collect()
}

// The first of some groups, with what all of them reach.
fn together(groups: Vec<Group>) -> Option<Group> {
    let union = |of: &dyn Fn(&Group) -> Option<&IntervalSet>| {
        IntervalSet::from_ranges(groups.iter().filter_map(of).flat_map(|s| s.ranges().to_vec()))
    };
    let mut all = groups.first()?.clone();
    if groups.len() == 1 {
        return Some(all);
    }
    all.place = groups.iter().map(|g| g.place).min()?;
    all.reach = Reach {
        tcp: union(&|g| Some(&g.reach.tcp)),
        udp: union(&|g| Some(&g.reach.udp)),
        icmp: union(&|g| Some(&g.reach.icmp)),
        other: union(&|g| Some(&g.reach.other)),
    };
    for field in [Field::Dst, Field::Proto, Field::Dport] {
        all.opening.region = all.opening.region.with(field, union(&|g| Some(g.opening.region.get(field))));
    }
    if let Some(inner) = &mut all.opening.inner {
        *inner = Inner {
            to: union(&|g| g.opening.inner.as_ref().map(|i| &i.to)),
            ports: union(&|g| g.opening.inner.as_ref().map(|i| &i.ports)),
        };
    }
    Some(all)
}
