//! Where a box sends packets: its addresses and its routes.

use crate::packet::{IntervalSet, Value, addr};
use std::collections::BTreeMap;

/// Where a box sends packets, and its own addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// Its own addresses by interface.
    pub addresses: BTreeMap<String, IntervalSet>,
    /// Its routes, as listed.
    pub list: Vec<Route>,
}

/// Routes that files tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldRoutes {
    /// Whose they are: of the network around machines with these addresses, as a cloud has them; `None` = of the box itself.
    pub around: Option<IntervalSet>,
    /// The routes.
    pub routes: Routes,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Destinations.
    pub to: IntervalSet,
    /// The interface by which they leave; `None` = packets are discarded (`blackhole`, `unreachable`, `prohibit`).
    pub interface: Option<String>,
    /// Who takes them next.
    pub next: Next,
    /// Of routes to the same destinations, the lower one wins.
    pub metric: u64,
}

/// Who takes packets next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The destination itself, on the link.
    Link,
    /// A router with this address.
    Router(Value),
    /// A router whose address is not known.
    Unknown,
}

impl Routes {
    /// Adds a route, once.
    pub fn add(&mut self, route: Route) {
        if !self.list.contains(&route) {
            self.list.push(route);
        }
    }

    /// Destinations of which packets are discarded for certain, because a route says so.
    pub fn discarded(&self) -> IntervalSet {
        let taken = self.parts().into_iter().filter(|p| p.0.is_none());
        taken.fold(IntervalSet::EMPTY, |all, (_, _, part)| all.union(&part))
    }

    /// Addresses behind each interface: the most specific route decides. Interfaces of equally good routes share them.
    pub fn behind(&self) -> Vec<(String, IntervalSet)> {
        let mut out: BTreeMap<String, IntervalSet> = BTreeMap::new();
        for (interface, _, part) in self.parts() {
            if let Some(name) = interface {
                let all = out.entry(name.to_owned()).or_default();
                *all = all.union(&part);
            }
        }
        out.into_iter().filter(|(_, s)| !s.is_empty()).collect()
    }

    /// The next routers to some addresses; an address on a link is its own. `None` = one of them is not known.
    pub fn next(&self, to: &IntervalSet) -> Option<IntervalSet> {
        let parts = self.parts().into_iter().filter(|(i, _, part)| i.is_some() && part.intersects(to));
        parts.into_iter().try_fold(IntervalSet::EMPTY, |all, (_, next, part)| match next {
            Next::Router(v) => Some(all.union(&IntervalSet::single(v))),
            Next::Link => Some(all.union(&part.intersect(to))),
            Next::Unknown => None,
        })
    }

    // Routes from the most specific to the least, those that win over others of the same destinations first.
    fn ordered(&self) -> Vec<&Route> {
        let mut all: Vec<&Route> = self.list.iter().filter(|r| !is_local(&r.to)).collect();
        all.sort_by_key(|r| (r.to.count(), r.metric));
        all
    }

    // Each route's interface and next router, with the destinations that really take it.
    fn parts(&self) -> Vec<(Option<&str>, Next, IntervalSet)> {
        let ordered = self.ordered();
        let mut out = Vec::new();
        let mut taken = IntervalSet::EMPTY;
        let mut at = 0;
        while let Some(first) = ordered.get(at) {
            let equal: Vec<_> = ordered[at..]
                .iter()
                .take_while(|r| r.to.count() == first.to.count() && r.metric == first.metric)
                .collect();
            for r in &equal {
                out.push((r.interface.as_deref(), r.next, r.to.minus(&taken)));
            }
            for r in &equal {
                taken = taken.union(&r.to);
            }
            at += equal.len();
        }
        out
    }
}

// Link-local and multicast: on every link.
fn is_local(to: &IntervalSet) -> bool {
    ["fe80::/10", "ff00::/8", "169.254.0.0/16", "224.0.0.0/4"]
        .iter()
        .filter_map(|t| addr::parse(t))
        .any(|local| local.covers(to))
}
