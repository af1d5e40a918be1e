//! Translations that hang on what is not known.
//!
//! The decision of a region says how packets are translated only where that is certain. If a rule of a nat chain differs, and any rule there asks for
//! something unknown, packets that both sides let through may be sent elsewhere than before.

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

/// All that translations hang on, if some rule of a nat chain differs; else nothing.
pub(super) fn doubts(sides: [&Firewall; 2], alignment: &Alignment, environment: &Environment) -> Vec<Doubt> {
    let nat = sides.map(nat_chains);
    let differs = alignment.differing.iter().any(|d| nat[d.side][d.chain.index()]);
    let mut out: Vec<Doubt> = Vec::new();
    if !differs && alignment.whole.is_empty() {
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
            Term::Register { .. } => {
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
