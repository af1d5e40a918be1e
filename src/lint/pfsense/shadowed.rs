//! Other rules take every packet of a pfSense rule.
//!
//! ## What it does
//! Reports rules that decide nothing because other rules, alone or together, take all of their packets: written ones, or
//! those that pfSense adds by itself (private networks on WAN, the anti-lockout rule, IPv6 turned off). For a rule that is
//! not quick these may also come after it, because the last match wins. A rule that depends on something unknown (a
//! schedule, a list that is downloaded) hides nothing. A copy of an earlier rule is reported by `HL-DUPLICATE`.
//!
//! ## Why is this bad?
//! The rule looks as if it decides something. A block below a pass protects nothing, and a pass behind one of the system's
//! blocks will be missed when it is needed.
//!
//! ## Example
//! ```text
//! LAN  pass   LAN net → any        (left from the installation)
//! LAN  block  LAN net → 10.9.0.0/16
//! ```
//!
//! ## Use instead
//! Remove the broad rule, or put the narrow one above it.

use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::unused::{Unused, finding, takers};
use crate::model::Rule;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-PF-SHADOWED",
    name: "PfShadowed",
    summary: "other rules take every packet of this one",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("shadowed.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let f = subject.firewall;
    let filters = |about: &&Unused| !f.chain(about.chain).name.starts_with("translations");
    for about in subject.unused_told_by(&CHECK).into_iter().filter(filters) {
        let takers = takers(subject, about);
        let message = match (about.by.as_slice(), takers.as_slice()) {
            ([(chain, rule), ..], [_]) => {
                let name = name(subject, &f.chain(*chain).rules[*rule as usize]);
                format!("this rule decides nothing: {name} matches all of its packets")
            }
            (_, many) => {
                format!("this rule decides nothing: {} others together match all of its packets", many.len())
            }
        };
        findings.push(finding(&CHECK, subject, about, takers, (message, "decides nothing")));
    }
}

fn name(subject: &Subject<'_>, rule: &Rule) -> String {
    if let Some(note) = rule.note {
        return subject.firewall.notes[note.index()].clone();
    }
    let at = subject.firewall.locate(rule.origin);
    let named = at.rule.filter(|r| !r.description.is_empty());
    named.map_or(format!("the rule at line {}", at.line), |r| format!("rule \"{}\"", r.description))
}
