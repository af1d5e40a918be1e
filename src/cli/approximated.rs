//! `check --list approximated`: every rule that is not exact, and why.

use super::{print, status};
use crate::model::{Action, ConditionId, Firewall, Term, TermRange};
use crate::report::text::{clean, count, thousands};
use crate::source::Location;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Prints the list.
pub(super) fn list(firewalls: &[Firewall]) -> u8 {
    print(|out| firewalls.iter().try_for_each(|f| of_firewall(f, out)))
}

fn of_firewall(firewall: &Firewall, out: &mut dyn Write) -> io::Result<()> {
    let mut rules: BTreeMap<Location, Vec<ConditionId>> = BTreeMap::new();
    for rule in firewall.chains.iter().flat_map(|c| &c.rules) {
        let mut found = Vec::new();
        conditions(firewall, rule.terms, &mut found);
        found.extend(match rule.action {
            Action::Unknown(c) => Some(c),
            _ => None,
        });
        if !found.is_empty() {
            rules.entry(firewall.locate(rule.origin)).or_default().extend(found);
        }
    }
    for (at, mut found) in rules.iter().map(|(at, found)| (at, found.clone())) {
        found.sort();
        found.dedup();
        writeln!(out, "{}:{}:{}: {}", clean(&at.path), at.line, at.column, clean(&at.text))?;
        for c in found.into_iter().map(|c| firewall.condition(c)) {
            let why = if c.why.is_empty() { String::new() } else { format!(": {}", clean(&c.why)) };
            writeln!(out, "    depends on {}{why}", clean(&c.text))?;
        }
    }
    let l = &firewall.ledger;
    let inexact = l.approximated + l.not_understood;
    let named = count(rules.len(), "place");
    // A rule of a file can be several of the model; a rule that only sets what is not known stands in no condition.
    writeln!(
        out,
        "{}: {named} named; {} of {} rules are not exact",
        clean(firewall.path()),
        thousands(inexact),
        thousands(inexact + l.exact)
    )
}

fn conditions(firewall: &Firewall, terms: TermRange, out: &mut Vec<ConditionId>) {
    for term in firewall.terms(terms) {
        match term {
            Term::Opaque { condition, .. } => out.push(*condition),
            Term::Any(a) => {
                firewall.alternatives[a.index()].iter().for_each(|r| conditions(firewall, *r, out))
            }
            _ => {}
        }
    }
}

/// The exit status of the list: clean, or trouble if something could not be read.
pub(super) const fn status(errors: bool, printed: u8) -> u8 {
    if errors { status::TROUBLE } else { printed }
}
