//! Machines that are asked about together: at one machine's firewall all of its peers are one set of addresses.

use super::resolve::{Candidate, Endpoint};
use crate::packet::IntervalSet;
use std::collections::BTreeMap;

/// Pairs of machines of one requirement above which they are asked as sets, if nobody says otherwise.
pub const MANY_PAIRS: usize = 2048;

/// When machines are asked about together.
pub struct Together<'a> {
    /// Pairs of machines of one requirement above which they are asked as sets.
    pub above: usize,
    /// On which side of each gateway an end is: ends that gateways cannot tell apart have the same. `None` = the end is asked by itself, however many
    /// there are, because it changes the addresses of what it sends, or has routes of its own.
    pub side: &'a (dyn Fn(&Endpoint) -> Option<Vec<usize>> + 'a),
}

impl Default for Together<'_> {
    fn default() -> Self {
        Self { above: MANY_PAIRS, side: &|_| Some(Vec::new()) }
    }
}

// Those who may stand at an end: those that are asked about one by one, and all others by what gateways see of them and by site.
pub(super) struct Crowds<'c> {
    pub alone: Vec<&'c Candidate>,
    groups: BTreeMap<Place, Group<'c>>,
}

// What gateways see of nodes, and their site.
type Place = (Vec<usize>, Option<usize>);

// Nodes of one place, and all their addresses.
type Group<'c> = (Vec<&'c Candidate>, IntervalSet);

// Nodes that are asked about together.
pub(super) struct Crowd<'c> {
    pub side: &'c [usize],
    // Where they have one.
    pub site: Option<usize>,
    pub members: Vec<&'c Candidate>,
    pub addresses: IntervalSet,
}

impl<'c> Crowds<'c> {
    pub fn of(all: &'c [Candidate], together: &Together<'_>) -> Self {
        let mut out = Self { alone: Vec::new(), groups: BTreeMap::new() };
        for c in all {
            let known = c.endpoint.node.is_some() && c.endpoint.addresses.known().is_some();
            match (together.side)(&c.endpoint).filter(|_| known) {
                Some(side) => out.groups.entry((side, c.site)).or_default().0.push(c),
                None => out.alone.push(c),
            }
        }
        for (members, union) in out.groups.values_mut() {
            *union = addresses_of(members);
        }
        out
    }

    pub fn is_alone(&self, one: &Candidate) -> bool {
        self.alone.iter().any(|c| std::ptr::eq(*c, one))
    }

    // With whom somebody may talk.
    pub fn peers(
        &'c self,
        one: &Candidate,
        may: &dyn Fn(&Candidate) -> bool,
    ) -> (Vec<&'c Candidate>, Vec<Crowd<'c>>) {
        let alone = self.alone.iter().copied().filter(|c| may(c)).collect();
        let mut crowds = Vec::new();
        for ((side, site), (members, addresses)) in &self.groups {
            let itself = |c: &&Candidate| one.endpoint.node.is_some() && c.endpoint.node == one.endpoint.node;
            // All of a group are of one site, so that what holds for one that is not the node itself holds for all.
            let Some(true) = members.iter().find(|c| !itself(c)).map(|c| may(c)) else { continue };
            let others: Vec<&Candidate> = match one.site == *site {
                true => members.iter().copied().filter(|c| !itself(c)).collect(),
                false => members.clone(),
            };
            let addresses = match others.len() == members.len() {
                true => addresses.clone(),
                false => addresses_of(&others),
            };
            crowds.push(Crowd { side, site: *site, members: others, addresses });
        }
        (alone, crowds)
    }
}

impl Crowd<'_> {
    pub fn joined(crowds: Vec<Self>) -> Option<Self> {
        let ranges = crowds.iter().flat_map(|c| c.addresses.ranges()).copied();
        let addresses = IntervalSet::from_ranges(ranges);
        let mut all = crowds.into_iter();
        let mut out = Self { addresses, ..all.next()? };
        for c in all {
            out.site = out.site.filter(|s| c.site == Some(*s));
            out.members.extend(c.members);
        }
        Some(out)
    }
}

fn addresses_of(many: &[&Candidate]) -> IntervalSet {
    let sets = many.iter().filter_map(|c| c.endpoint.addresses.known());
    IntervalSet::from_ranges(sets.flat_map(|s| s.ranges().iter().copied()))
}
