//! Translations that hang on what is not known.
//!
//! The decision of a region says how packets are translated only where that is certain. If something differs that has a say in it, and any rule of a
//! nat chain asks for something unknown, packets that both sides let through may be sent elsewhere than before.

use super::align::Alignment;
use super::{NEW, OLD};
use crate::analysis::evaluate::{Because, type_names};
use crate::analysis::{Environment, Fact};
use crate::model::*;
use crate::source::Origin;

/// What a translation hangs on.
#[derive(Debug, Clone)]
pub(super) struct Doubt {
    /// Whose rule asks.
    pub side: usize,
    /// What for.
    pub because: Because,
}

/// All that translations hang on, if what differs has a say in them: a rule of a nat chain, one that may be about marks or tracking, or the
/// box's own addresses.
pub(super) fn doubts(sides: [&Firewall; 2], alignment: &Alignment, environment: &Environment) -> Vec<Doubt> {
    let nat = sides.map(nat_chains);
    let marks = sides.iter().any(|f| !f.effects.is_empty());
    let matters = alignment.differing.iter().any(|d| marks || nat[d.side][d.chain.index()]);
    let mut out: Vec<Doubt> = Vec::new();
    if !matters && sides[OLD].local == sides[NEW].local {
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

// The chains that a nat chain leads to, if there are translations at all.
fn nat_chains(f: &Firewall) -> Vec<bool> {
    let mut seen = vec![false; f.chains.len()];
    if f.translations.is_empty() {
        return seen;
    }
    let nat = f.base_chains.iter().filter(|b| b.kind == ChainKind::Nat);
    let mut work: Vec<ChainId> = nat.map(|b| b.chain).collect();
    while let Some(chain) = work.pop() {
        if std::mem::replace(&mut seen[chain.index()], true) {
            continue;
        }
        work.extend(f.chain(chain).rules.iter().filter_map(|r| match r.action {
            Action::Jump(to) | Action::Goto(to) => Some(to),
            _ => None,
        }));
    }
    seen
}

// Whether a register may hold what nobody knows; otherwise its value is what rules wrote.
fn is_forgotten(f: &Firewall, register: Register) -> bool {
    let forgets = |e: &Effect| match *e {
        Effect::Forget(r, _) => r == register,
        Effect::Copy { to, .. } => to == register,
        _ => false,
    };
    register == Register::ConnMark || f.effects.iter().flatten().any(forgets)
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
            Term::Opaque { condition: c, .. } => {
                let limit = matches!(f.condition(c).kind, ConditionKind::Rate { .. });
                if environment.throttled || !limit {
                    tell(condition(c));
                }
            }
            Term::AddressType { field, types, .. } if environment.local_of(f).is_none() => {
                let text = format!("address type: {}", type_names(types));
                let fact = Some(Fact::AddressType(field, types.0));
                tell(because(text, "the box's own addresses are not declared", fact, rule.origin));
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
