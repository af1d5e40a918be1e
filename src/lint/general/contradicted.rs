//! Two rules contradict each other, and only their order decides.
//!
//! ## What it does
//! Reports a rule if an earlier rule of its chain has the opposite verdict about some new connections that both match, while each of the two also
//! matches connections that the other does not. Such packets exist for certain: no rule before both decides about them. If the two rules were
//! swapped, the verdict would change.
//!
//! A rule that is wholly within another is no contradiction but an exception: see `HL-EXCEPTION-LOST` if it stands too late. Packets on the
//! loopback interface, answers of connections, and rules that hold only under conditions which nobody knows are left out. Each rule is told once,
//! with the nearest such rule above; not every pair of a very long list is found.
//!
//! At most 1000 rules of one firewall are listed; the last finding says how many more there are.
//!
//! ## Why is this bad?
//! Neither rule means what it says. Whoever sorts the list, or puts a rule at its top or end, opens or closes something by that.
//!
//! ## Example
//! ```text
//! -A INPUT -s 10.1.0.0/16 -p tcp -m tcp --dport 1:1023 -j DROP
//! -A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT
//! ```
//!
//! ## Use instead
//! Say what is meant for those that both match, in a rule of its own before both:
//! ```text
//! -A INPUT -s 10.1.0.0/16 -p tcp -m tcp --dport 22 -j ACCEPT
//! -A INPUT -s 10.1.0.0/16 -p tcp -m tcp --dport 1:1023 -j DROP
//! -A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT
//! ```

use crate::analysis::coverage::contradicted;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::unused::{is_unordered, left_out, report, side, verb, verdict};
use crate::model::Rule;
use crate::packet::{Field, IntervalSet, interface_value};
use rustc_hash::FxHashSet;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-CONTRADICTED",
    name: "ContradictedByOrder",
    summary: "two rules overlap with opposite verdicts, and their order decides",
    level: Severity::Note,
    security_severity: None,
    source: include_str!("contradicted.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let f = subject.firewall;
    if is_unordered(f) {
        return;
    }
    let left_out = left_out(subject);
    let lo = interface_value("lo").map(IntervalSet::single).unwrap_or_default();
    let on_lo = |r: &Rule| {
        let sets = f.terms(r.terms).iter().filter_map(|t| f.field_set(t));
        sets.into_iter().any(|(field, set)| matches!(field, Field::Iif | Field::Oif) && lo.covers(&set))
    };
    let mut told = FxHashSet::default();
    let mut found =
        contradicted(f, &|chain, rule| left_out(chain, rule) || on_lo(&f.chain(chain).rules[rule]));
    found.retain(|((id, n), _)| told.insert(f.chain(*id).rules[*n].origin));
    report(subject, &found, findings, |((id, n), earlier)| {
        let rules = &f.chain(*id).rules;
        let (rule, earlier) = (&rules[*n], rules[*earlier as usize].origin);
        let (line, side) = (f.locate(earlier).line, side(earlier, rule.origin));
        let (does, _) = verb(verdict(rule.action) == Some(true));
        let (did, _) = verb(verdict(rule.action) == Some(false));
        let message = format!(
            "the rule at line {line} {side} {did} some connections that this one {does}: only their order decides"
        );
        let mut finding = CHECK.finding(subject, rule.origin, message, "contradicted in part");
        finding.related.push(subject.related(earlier, format!("{did} what both match")));
        finding
    });
}
