//! Jumps must not run in circles: nft refuses that, and no evaluation would end.

use crate::model::{Action, Builder, ChainId, ConditionKind};
use crate::source::Diagnostic;

// Nested deeper than this the kernel refuses a ruleset (`NFT_JUMP_STACK_SIZE`).
const MAX_JUMPS: usize = 16;

/// Finds jumps that close a circle, reports them and makes them unknown.
pub(super) fn break_cycles(b: &mut Builder) {
    let count = b.firewall().chains.len();
    let mut closing: Vec<(usize, usize)> = Vec::new();
    // 0 = new, 1 = open, 2 = done.
    let mut state = vec![0u8; count];
    // How deep chains nest below each.
    let mut depth = vec![1usize; count];
    for root in 0..count {
        if state[root] != 0 {
            continue;
        }
        let mut stack = vec![(root, 0usize)];
        state[root] = 1;
        while let Some((chain, at)) = stack.last_mut() {
            let here = *chain;
            let rules = &b.firewall().chains[here].rules;
            let Some(rule) = rules.get(*at) else {
                state[here] = 2;
                stack.pop();
                if let Some((parent, _)) = stack.last() {
                    depth[*parent] = depth[*parent].max(depth[here] + 1);
                }
                continue;
            };
            let index = *at;
            *at += 1;
            if let Action::Jump(to) | Action::Goto(to) = rule.action {
                match state[to.index()] {
                    0 => {
                        state[to.index()] = 1;
                        stack.push((to.index(), 0));
                    }
                    1 => closing.push((here, index)),
                    _ => depth[here] = depth[here].max(depth[to.index()] + 1),
                }
            }
        }
    }
    for (chain, index) in closing {
        let rule = b.firewall().chains[chain].rules[index];
        let name = |to: ChainId| b.firewall().chains[to.index()].name.clone();
        let target = match rule.action {
            Action::Jump(to) | Action::Goto(to) => name(to),
            _ => continue,
        };
        let message = format!("this jump to `{target}` runs in a circle");
        b.diagnose(Diagnostic::error(rule.origin, message).help("nft refuses such a ruleset"));
        let c = b.condition(
            &format!("jump {target}"),
            "the jump runs in a circle",
            ConditionKind::Volatile,
            rule.origin,
        );
        b.firewall_mut().chains[chain].rules[index].action = Action::Unknown(c);
    }
    let deep = b.firewall().base_chains.iter().map(|c| c.chain.index()).find(|c| depth[*c] > MAX_JUMPS + 1);
    if let Some(c) = deep {
        let origin = b.firewall().chains[c].origin;
        b.diagnose(
            Diagnostic::error(origin, format!("jumps from this chain nest deeper than {MAX_JUMPS} levels"))
                .help("nft refuses such a ruleset"),
        );
    }
}
