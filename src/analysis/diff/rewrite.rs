//! Translations that depend on what is not known.
//!
//! The decision of a region says how packets are translated only where that is certain. If something differs that has a say in it, and any rule of a
//! nat chain asks for something unknown, packets that both sides let through may be sent elsewhere than before.

use super::align::{Alignment, Differing};
use super::{NEW, OLD};
use crate::analysis::evaluate::{Because, type_names};
use crate::analysis::{Environment, Fact};
use crate::model::*;
use crate::source::Origin;

/// What a translation depends on.
#[derive(Debug, Clone)]
pub(super) struct Doubt {
    /// Whose rule asks.
    pub side: usize,
    /// What for.
    pub because: Because,
}

/// All that translations depend on, if what differs has a say in them: a rule of a nat chain, one that may be about marks or tracking, or the
/// box's own addresses.
pub(super) fn doubts(sides: [&Firewall; 2], alignment: &Alignment, environment: &Environment) -> Vec<Doubt> {
    let nat = sides.map(|f| chains(f, &|_, base| base.kind == ChainKind::Nat));
    let marking = sides.map(|f| chains(f, &|reached, _| has_effects(f, reached)));
    let has_a_say = |d: &Differing| {
        let chain = d.chain.index();
        nat[d.side][chain] || marking[d.side][chain]
    };
    let mut out: Vec<Doubt> = Vec::new();
    if !alignment.differing.iter().any(has_a_say) && sides[OLD].local == sides[NEW].local {
        return out;
    }
    for side in [NEW, OLD] {
        let f = sides[side];
        let chains = f.chains.iter().zip(&nat[side]).filter(|(_, is)| **is);
        for rule in chains.flat_map(|(c, _)| &c.rules) {
            unknowns(f, environment, rule, rule.terms, &mut |because| {
                if !out.iter().any(|d| d.because.text == because.text) {
                    out.push(Doubt { side, because });
                }
            });
        }
    }
    out
}

// The chains that some base chains lead to, if there are translations at all. Asked of each: it and the chains that it leads to.
fn chains(f: &Firewall, which: &dyn Fn(&[bool], &BaseChain) -> bool) -> Vec<bool> {
    let mut out = vec![false; f.chains.len()];
    if f.translations.is_empty() {
        return out;
    }
    for base in &f.base_chains {
        let reached = f.reached_from([base.chain]);
        if which(&reached, base) {
            out.iter_mut().zip(reached).for_each(|(o, r)| *o |= r);
        }
    }
    out
}

fn has_effects(f: &Firewall, reached: &[bool]) -> bool {
    let chains = f.chains.iter().zip(reached).filter(|(_, is)| **is);
    chains.flat_map(|(c, _)| &c.rules).any(|r| r.effects.is_some())
}

// Whether a register may hold what nobody knows; otherwise its value is what rules wrote.
fn is_forgotten(f: &Firewall, register: Register) -> bool {
    let forgets = |e: &Effect| match *e {
        Effect::Forget(r, _) => r == register,
        Effect::Copy { to, .. } => to == register,
        _ => false,
    };
    let unknown = |r: &Rule| matches!(r.action, Action::Unknown(_));
    register == Register::ConnMark
        || f.effects.iter().flatten().any(forgets)
        || f.chains.iter().flat_map(|c| &c.rules).any(unknown)
}

fn unknowns(
    f: &Firewall,
    environment: &Environment,
    rule: &Rule,
    terms: TermRange,
    tell: &mut dyn FnMut(Because),
) {
    let because = |text: String, why: &str, fact: Option<Fact>, origin: Origin| Because {
        firewall: 0,
        text,
        why: why.to_owned(),
        origin,
        fact,
    };
    let condition = |id: ConditionId| {
        let c = f.condition(id);
        because(c.text.clone(), &c.why, Some(Fact::Condition(0, id)), rule.origin)
    };
    if let Action::Unknown(c) = rule.action {
        tell(condition(c));
    }
    for term in f.terms(terms) {
        match *term {
            Term::Opaque { condition: c, .. } if environment.assumed(&f.condition(c).kind).is_none() => {
                tell(condition(c));
            }
            Term::AddressType { field, types, .. } if environment.local_of(f).is_none() => {
                let text = format!("address type: {}", type_names(types));
                let fact = Some(Fact::AddressType(field, types.0));
                tell(because(text, "the machine's own addresses are not declared", fact, rule.origin));
            }
            Term::Register { register, .. } if is_forgotten(f, register) => {
                let why = "its value depends on what happened before";
                tell(because("packet or connection mark".to_owned(), why, None, rule.origin));
            }
            Term::Any(a) => {
                f.alternatives[a.index()].iter().for_each(|t| unknowns(f, environment, rule, *t, tell));
            }
            _ => {}
        }
    }
}
