//! Parts of a ruleset that could not be read at all.

use crate::model::{Action, BaseChain, Builder, ChainKind, ConditionKind, Hook, Policy};
use crate::packet::Family;
use crate::source::Origin;

const NOTE: &str = "a part of the ruleset could not be read";

/// What could not be read may be a chain, a table, a whole file: anything may happen at the top of every base chain, and at the hooks where
/// no base chain is known.
pub(super) fn anything(b: &mut Builder, at: Origin) {
    let why = "what could not be read here may let packets pass, or stop them";
    let condition =
        b.condition("what stands in the part that could not be read", why, ConditionKind::Volatile, at);
    let mut rule = b.implicit(at, &[], Action::Unknown(condition), NOTE);
    let written = b.anything();
    rule.effects = b.effects(&written);
    let known: Vec<_> = b.firewall().base_chains.iter().map(|base| base.chain).collect();
    for chain in known {
        b.firewall_mut().chains[chain.index()].rules.insert(0, rule);
    }
    for hook in [Hook::Input, Hook::Forward, Hook::Output] {
        let unseen = |f: &Family| b.firewall().base_chains(hook, *f).next().is_none();
        let families: Vec<Family> = Family::ALL.into_iter().filter(unseen).collect();
        if families.is_empty() {
            continue;
        }
        let chain = b.chain("", "what could not be read", at);
        b.push(chain, rule);
        let policy_note = Some(b.note(NOTE));
        let (policy, kind) = (Policy::Accept, ChainKind::Filter);
        b.base_chain(BaseChain {
            chain,
            hook,
            priority: 0,
            policy,
            policy_origin: at,
            policy_note,
            families,
            kind,
        });
    }
    b.firewall_mut().ledger.not_understood += 1;
}
