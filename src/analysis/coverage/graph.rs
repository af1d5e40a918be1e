//! The chains that base chains lead to, callers before those they call.

use super::parts::{Changes, Reader};
use crate::model::*;
use crate::packet::Family;

/// Chains that packets may pass from one to another, with the base chains that they come from.
pub(super) struct Group {
    /// Indices into [`Firewall::base_chains`].
    pub bases: Vec<usize>,
    /// Callers first. Chains that may come back to themselves, and those behind them, are left out: no kernel loads such a loop.
    pub order: Vec<ChainId>,
    /// Those that others call.
    pub called: Vec<ChainId>,
    /// What any of their rules changes.
    pub changes: Changes,
}

/// Visits every chain that packets may come to, in each family by itself, with a reader of its rules and what is left of a budget for the family.
pub(super) fn each_chain<'a>(
    f: &'a Firewall,
    budget: u64,
    mut visit: impl FnMut(&mut Reader<'a>, ChainId, &mut u64),
) {
    let groups = groups(f);
    for family in Family::ALL.into_iter().filter(|family| f.covers(*family)) {
        let mut reader = Reader::new(f, family);
        let mut left = budget;
        for group in &groups {
            reader.changes = group.changes;
            group.order.iter().for_each(|chain| visit(&mut reader, *chain, &mut left));
        }
    }
}

/// All groups of a firewall.
pub(super) fn groups(f: &Firewall) -> Vec<Group> {
    let mut of_chain: Vec<Option<usize>> = vec![None; f.chains.len()];
    let mut members: Vec<(Vec<usize>, Vec<ChainId>)> = Vec::new();
    for (b, base) in f.base_chains.iter().enumerate() {
        let mut met: Vec<usize> = Vec::new();
        let mut new: Vec<ChainId> = Vec::new();
        let mut work = vec![base.chain];
        let group = members.len();
        while let Some(chain) = work.pop() {
            match of_chain[chain.index()] {
                Some(g) if g == group => continue,
                // Whatever it leads to is of its group too.
                Some(g) => {
                    met.push(g);
                    continue;
                }
                None => {}
            }
            of_chain[chain.index()] = Some(group);
            new.push(chain);
            work.extend(targets(f, chain));
        }
        let mut bases = vec![b];
        met.sort_unstable();
        met.dedup();
        for g in met {
            let (other, chains) = std::mem::take(&mut members[g]);
            bases.extend(other);
            chains.iter().for_each(|c| of_chain[c.index()] = Some(group));
            new.extend(chains);
        }
        members.push((bases, new));
    }
    members.into_iter().filter(|(bases, _)| !bases.is_empty()).map(|(b, c)| group(f, b, &c)).collect()
}

fn targets(f: &Firewall, chain: ChainId) -> impl Iterator<Item = ChainId> {
    f.chain(chain).rules.iter().filter_map(|r| match r.action {
        Action::Jump(to) | Action::Goto(to) => Some(to),
        _ => None,
    })
}

fn group(f: &Firewall, bases: Vec<usize>, chains: &[ChainId]) -> Group {
    let mut changes = Changes::default();
    let mut callers = vec![0u32; f.chains.len()];
    for chain in chains {
        f.chain(*chain).rules.iter().filter(|r| r.effects.is_some()).for_each(|r| changes.add(f, r));
        targets(f, *chain).for_each(|to| callers[to.index()] += 1);
    }
    let called = chains.iter().copied().filter(|c| callers[c.index()] > 0).collect();
    let mut order: Vec<ChainId> = chains.iter().copied().filter(|c| callers[c.index()] == 0).collect();
    order.sort_unstable();
    let mut at = 0;
    while let Some(chain) = order.get(at).copied() {
        at += 1;
        for to in targets(f, chain) {
            callers[to.index()] -= 1;
            if callers[to.index()] == 0 {
                order.push(to);
            }
        }
    }
    Group { bases, order, called, changes }
}
