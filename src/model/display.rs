//! A canonical text of a firewall: equal texts mean equal models, whatever the places they come from.
//!
//! It is meant for tests and for comparing rules, not for people: terms are sorted, sets written out, indices resolved.

use super::*;
use std::fmt::Write as _;

/// The whole firewall: base chains in order, then the chains by table and name.
pub fn canonical(f: &Firewall) -> String {
    let mut out = String::new();
    for b in &f.base_chains {
        let policy = match b.policy {
            Policy::Accept => "accept".to_owned(),
            Policy::Drop => "drop".to_owned(),
            Policy::Unknown(c) => format!("unknown {}", condition(f, c)),
        };
        let families: Vec<u8> = b.families.iter().map(|f| f.number()).collect();
        let kind = if b.kind == ChainKind::Nat { "nat" } else { "filter" };
        let _ = writeln!(
            out,
            "base {} {} {kind} {families:?} {} policy {policy}",
            b.hook.name(),
            b.priority,
            chain_name(f, b.chain)
        );
    }
    let mut order: Vec<usize> = (0..f.chains.len()).collect();
    order.sort_by_key(|i| (&f.chains[*i].table, &f.chains[*i].name, *i));
    for i in order {
        let _ = writeln!(out, "chain {}", chain_name(f, ChainId(i as u32)));
        for r in &f.chains[i].rules {
            let _ = writeln!(out, "  {}", rule(f, r));
        }
    }
    out
}

/// One rule: its terms, effects and action.
pub fn rule(f: &Firewall, rule: &Rule) -> String {
    let mut out = conjunction(f, rule.terms);
    for e in f.effects(rule) {
        let _ = write!(out, " {}", effect(f, e));
    }
    let _ = write!(out, " => {}", action(f, rule.action));
    out
}

fn chain_name(f: &Firewall, id: ChainId) -> String {
    let c = f.chain(id);
    format!("{}/{}", c.table, c.name)
}

fn action(f: &Firewall, action: Action) -> String {
    match action {
        Action::Jump(c) => format!("jump {}", chain_name(f, c)),
        Action::Goto(c) => format!("goto {}", chain_name(f, c)),
        Action::Translate(t) => {
            let t = f.translations[t.index()];
            let pool = t.one_of.map(|id| f.sets.get(id));
            format!("{:?} {pool:?}", Translation { one_of: None, ..t })
        }
        Action::Unknown(c) => format!("unknown {}", condition(f, c)),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn effect(f: &Firewall, effect: &Effect) -> String {
    match effect {
        Effect::Forget(r, c) => format!("forget {r:?} {}", condition(f, *c)),
        Effect::Rewrite { field, to } => format!("rewrite {field:?} {:?}", f.sets.get(*to)),
        other => format!("{other:?}"),
    }
}

fn conjunction(f: &Firewall, range: TermRange) -> String {
    let mut terms: Vec<String> = f.terms(range).iter().map(|t| term(f, t)).collect();
    terms.sort();
    terms.dedup();
    terms.join(" & ")
}

fn term(f: &Firewall, term: &Term) -> String {
    let not = |n: &bool| if *n { "not " } else { "" };
    match term {
        Term::Range { lo, hi, .. } if lo > hi => "never".to_owned(),
        Term::Range { field, lo, hi } => {
            let base = Term::base(*field);
            let set = IntervalSet::range(base + Value::from(*lo), base + Value::from(*hi));
            format!("{field:?} {set:?}")
        }
        Term::In(field, id) => format!("{field:?} {:?}", f.sets.get(*id)),
        Term::Opaque { condition: c, negated } => format!("{}{}", not(negated), condition(f, *c)),
        Term::Any(a) => {
            let mut ways: Vec<String> =
                f.alternatives[a.index()].iter().map(|r| conjunction(f, *r)).collect();
            ways.sort();
            ways.dedup();
            format!("any({})", ways.join(" | "))
        }
        Term::Register { register, negated, test } => {
            let (value, mask) = f.sets.mask(*test);
            format!("{}{register:?} & {mask:#x} == {value:#x}", not(negated))
        }
        Term::AddressType { field, types, negated } => {
            format!("{}{field:?} type {:#x}", not(negated), types.0)
        }
        Term::Label(l) => format!("label {}", f.labels[l.index()]),
        Term::Masked { field, negated, test } => {
            let (mask, value) = f.sets.bits(*test);
            format!("{}{field:?} & {mask:#x} == {value:#x}", not(negated))
        }
        Term::Original(field, id) => format!("original {field:?} {:?}", f.sets.get(*id)),
    }
}

fn condition(f: &Firewall, id: ConditionId) -> String {
    let c = f.condition(id);
    format!("[{} {:?}]", c.text, c.kind)
}
