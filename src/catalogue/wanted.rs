//! What requirements ask for, found by the nodes at its ends.

use super::resolve::{Exempt, ResolvedFlow};
use rustc_hash::FxHashMap;

/// What requirements ask for, and by number those that go to a node, and that come from one.
pub(super) struct Wanted {
    all: Vec<Exempt>,
    to: FxHashMap<usize, Vec<usize>>,
    from: FxHashMap<usize, Vec<usize>>,
}

impl Wanted {
    pub fn of(all: Vec<Exempt>) -> Self {
        let (mut to, mut from): (FxHashMap<_, Vec<_>>, FxHashMap<_, Vec<_>>) = Default::default();
        for (i, e) in all.iter().enumerate() {
            let (source, destination) = e.nodes;
            source.into_iter().for_each(|n| from.entry(n).or_default().push(i));
            destination.into_iter().for_each(|n| to.entry(n).or_default().push(i));
        }
        Self { all, to, from }
    }

    /// What has the same node at an end of a flow that is a node; of other flows everything.
    pub fn near(&self, flow: &ResolvedFlow) -> Box<dyn Iterator<Item = &Exempt> + '_> {
        let numbers = match (flow.destination.node, flow.source.node) {
            (Some(n), _) => self.to.get(&n),
            (None, Some(n)) => self.from.get(&n),
            (None, None) => return Box::new(self.all.iter()),
        };
        Box::new(numbers.into_iter().flatten().filter_map(|i| self.all.get(*i)))
    }
}
