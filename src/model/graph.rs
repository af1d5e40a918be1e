//! Which chains lead where.

use super::{Action, ChainId, Firewall, Hook};

impl Firewall {
    /// For each chain, whether any base chain leads to it by jumps and gotos, whatever their conditions. Found out at the first call.
    pub fn reached(&self) -> &[bool] {
        self.reached.get_or_init(|| self.reached_from(self.base_chains.iter().map(|b| b.chain)))
    }

    /// For each chain, whether one of some chains leads to it by jumps and gotos, or is it.
    pub fn reached_from(&self, chains: impl IntoIterator<Item = ChainId>) -> Vec<bool> {
        let mut seen = vec![false; self.chains.len()];
        let mut work: Vec<ChainId> = chains.into_iter().collect();
        while let Some(chain) = work.pop() {
            if std::mem::replace(&mut seen[chain.index()], true) {
                continue;
            }
            work.extend(self.chain(chain).rules.iter().filter_map(|r| match r.action {
                Action::Jump(to) | Action::Goto(to) => Some(to),
                _ => None,
            }));
        }
        seen
    }

    /// For each chain, whether jumps and gotos, whatever their conditions, lead from it back to itself (or from one loop to another). No
    /// kernel loads such rules (`ELOOP`), so nothing is known of packets that come there. Found out at the first call.
    pub fn looping(&self) -> &[bool] {
        self.looping.get_or_init(|| {
            let mut onward = vec![Vec::new(); self.chains.len()];
            let mut backward = onward.clone();
            for (from, chain) in self.chains.iter().enumerate() {
                for rule in &chain.rules {
                    if let Action::Jump(to) | Action::Goto(to) = rule.action {
                        onward[from].push(to.index());
                        backward[to.index()].push(from);
                    }
                }
            }
            let (leads, led) = (endless(&onward, &backward), endless(&backward, &onward));
            leads.into_iter().zip(led).map(|(leads, led)| leads && led).collect()
        })
    }

    /// For each chain, the hooks from which jumps and gotos lead there, each once, in their order.
    pub fn hooks(&self) -> Vec<Vec<Hook>> {
        let mut out = vec![Vec::new(); self.chains.len()];
        for hook in Hook::ALL {
            let bases = self.base_chains.iter().filter(|b| b.hook == hook).map(|b| b.chain);
            let reached = self.reached_from(bases);
            out.iter_mut().zip(reached).filter(|(_, is)| *is).for_each(|(hooks, _)| hooks.push(hook));
        }
        out
    }
}

// Which nodes of a graph have an endless way before them: those that are left when each node is taken out whose successors are all out.
fn endless(onward: &[Vec<usize>], backward: &[Vec<usize>]) -> Vec<bool> {
    let mut open: Vec<usize> = onward.iter().map(Vec::len).collect();
    let mut work: Vec<usize> = (0..open.len()).filter(|n| open[*n] == 0).collect();
    while let Some(node) = work.pop() {
        for before in &backward[node] {
            open[*before] -= 1;
            if open[*before] == 0 {
                work.push(*before);
            }
        }
    }
    open.into_iter().map(|n| n > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Builder;
    use crate::source::Origin;

    #[test]
    fn loops_of_chains_are_found() {
        // 0 -> 1 -> 2 -> 1, 2 -> 3, 4 -> 4.
        let mut b = Builder::default();
        let chains: Vec<ChainId> = (0..5).map(|n| b.chain("", &n.to_string(), Origin::default())).collect();
        for (from, to) in [(0, 1), (1, 2), (2, 1), (2, 3), (4, 4), (0, 3), (0, 3)] {
            let rule = b.rule(Origin::default(), &[], Action::Jump(chains[to]));
            b.push(chains[from], rule);
        }
        assert_eq!(b.finish().looping(), [false, true, true, false, true]);
    }
}
