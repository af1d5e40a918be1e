//! Which chains a packet can ever reach.

use crate::model::{Action, ChainId, Firewall};

/// For each chain, whether any base chain leads to it by jumps and gotos, whatever their conditions.
pub fn reached(firewall: &Firewall) -> Vec<bool> {
    let mut seen = vec![false; firewall.chains.len()];
    let mut work: Vec<ChainId> = firewall.base_chains.iter().map(|b| b.chain).collect();
    while let Some(chain) = work.pop() {
        if std::mem::replace(&mut seen[chain.index()], true) {
            continue;
        }
        for rule in &firewall.chain(chain).rules {
            if let Action::Jump(to) | Action::Goto(to) = rule.action {
                work.push(to);
            }
        }
    }
    seen
}
