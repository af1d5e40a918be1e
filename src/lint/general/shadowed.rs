//! Earlier rules decide about every packet of a rule.
//!
//! ## What it does
//! Reports a rule if packets come to its place, but each one that it matches has been decided by earlier rules of the chain: by one that
//! matches more, or by several together. If these have the same verdict, the rule is merely redundant, and the finding is a note. A rule
//! that is equal to an earlier one is reported by `HL-DUPLICATE`; one with the opposite verdict behind a broader one by
//! `HL-EXCEPTION-LOST`.
//!
//! What is reported is exact. Only rules that certainly end a packet's way count as earlier rules: those with conditions that are not known,
//! rate limits, or sets that may be filled at run time hide a later rule only if it asks for the same.
//!
//! At most 1000 rules of one firewall are listed; the last finding says how many more there are.
//!
//! ## Why is this bad?
//! The rule looks as if it decided something. Whoever deletes or edits it is surprised that nothing changes, and whoever deletes the
//! earlier rule is surprised that something does.
//!
//! ## Example
//! ```text
//! -A INPUT -p tcp -m tcp --dport 8000:8499 -j DROP
//! -A INPUT -p tcp -m tcp --dport 8500:9000 -j DROP
//! -A INPUT -p tcp -m tcp --dport 8443:8888 -j ACCEPT
//! ```
//!
//! ## Use instead
//! Delete the rule, or put it before those that hide it:
//! ```text
//! -A INPUT -p tcp -m tcp --dport 8443:8888 -j ACCEPT
//! -A INPUT -p tcp -m tcp --dport 8000:8499 -j DROP
//! -A INPUT -p tcp -m tcp --dport 8500:9000 -j DROP
//! ```

use crate::evidence::removal::removal;
use crate::finding::{Finding, Purpose, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::unused::{Case, finding, report, take, takers, verb, verdict};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-SHADOWED",
    name: "ShadowedRule",
    summary: "earlier rules decide about every packet of this one",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("shadowed.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let f = subject.firewall;
    report(subject, &subject.unused_told_by(&CHECK), findings, |about| {
        let chain = f.chain(about.chain);
        let rule = &chain.rules[about.rule];
        let packets = if about.strays { "every connection" } else { "every packet" };
        let decide = ("decides about", "decide about");
        let (lead, verb) = match (about.case, verdict(rule.action)) {
            (Case::Repeated, own) => ("this rule is redundant", verb(own == Some(true))),
            (_, Some(_)) => ("this rule decides nothing", decide),
            (_, None) => ("this rule never applies", decide),
        };
        let takers = takers(subject, about);
        let message = format!("{lead}: {} {packets} that it matches", take(&takers, verb));
        let mut finding = finding(&CHECK, subject, about, takers, (message, "decides nothing"));
        if about.case == Case::Repeated {
            finding.level = Severity::Note;
            if rule.effects.is_none() {
                finding.fix = removal(f, chain, about.rule, Purpose::default());
            }
        }
        finding
    });
}
