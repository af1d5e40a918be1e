//! Jumps between chains.

use crate::model::{Action, Builder, ChainId, ConditionKind, Rule};
use crate::source::Diagnostic;
use rustc_hash::FxHashSet;

/// The chains that rules jump to, with the index of the rule.
pub(super) fn targets(rules: &[Rule]) -> impl Iterator<Item = (usize, ChainId)> {
    rules.iter().enumerate().filter_map(|(i, r)| match r.action {
        Action::Jump(to) | Action::Goto(to) => Some((i, to)),
        _ => None,
    })
}

/// Finds loops of jumps and cuts them: the jump that closes one may do anything. The kernel refuses a loop that a packet can reach.
pub(super) fn break_loops(b: &mut Builder, roots: &[ChainId], all: &[ChainId]) {
    let mut done = FxHashSet::default();
    for (reachable, starts) in [(true, roots), (false, all)] {
        for (chain, rule) in back_edges(b, starts, &mut done) {
            cut(b, chain, rule, reachable);
        }
    }
}

// Depth first, with a stack of its own: chains may be nested 10 000 deep.
fn back_edges(b: &Builder, starts: &[ChainId], done: &mut FxHashSet<ChainId>) -> Vec<(ChainId, usize)> {
    let f = b.firewall();
    let mut found = Vec::new();
    for start in starts {
        if !done.insert(*start) {
            continue;
        }
        let mut open = FxHashSet::from_iter([*start]);
        let mut stack = vec![(*start, 0)];
        while let Some((chain, next)) = stack.last_mut() {
            let (chain, from) = (*chain, *next);
            let step = targets(&f.chain(chain).rules[from..]).next();
            match step {
                None => {
                    open.remove(&chain);
                    stack.pop();
                }
                Some((offset, to)) => {
                    *next = from + offset + 1;
                    if open.contains(&to) {
                        found.push((chain, from + offset));
                    } else if done.insert(to) {
                        open.insert(to);
                        stack.push((to, 0));
                    }
                }
            }
        }
    }
    found
}

fn cut(b: &mut Builder, chain: ChainId, rule: usize, reachable: bool) {
    let f = b.firewall();
    let old = f.chain(chain).rules[rule];
    let to = match old.action {
        Action::Jump(to) | Action::Goto(to) => f.chain(to).name.clone(),
        _ => return,
    };
    let text = format!("a loop of jumps to chain {to}");
    let id = b.condition(&text, "the kernel refuses such a ruleset", ConditionKind::Volatile, old.origin);
    b.retract(&old);
    b.firewall_mut().ledger.not_understood += 1;
    b.firewall_mut().chains[chain.index()].rules[rule].action = Action::Unknown(id);
    let message = format!("this jump to {to} closes a loop");
    b.diagnose(if reachable {
        Diagnostic::error(old.origin, message).help("the kernel refuses the whole table: take one jump out")
    } else {
        Diagnostic::warning(old.origin, message).help("no packet comes here, so the kernel takes it")
    });
}
