//! Other rules take every packet of a pfSense rule.
//!
//! ## What it does
//! Reports rules that decide nothing because other rules, alone or together, take all of their packets: written ones, or
//! those that pfSense adds by itself (private networks on WAN, the anti-lockout rule, IPv6 turned off). For a rule that is
//! not quick these may also come after it, because the last match wins. A rule that depends on something unknown (a
//! schedule, a list that is downloaded) hides nothing.
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

use crate::dialect::pfsense::facts::Facts;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::source::Origin;

// So many of the rules that hide one are shown.
const MAX_SHOWN: usize = 8;

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
    let Some(facts) = Facts::of(subject.firewall) else { return };
    for shadow in &facts.shadows {
        let name = |(origin, note): &(Origin, Option<String>)| match note {
            Some(note) => note.clone(),
            None => {
                let at = subject.firewall.locate(*origin);
                let named = at.rule.filter(|r| !r.description.is_empty());
                named.map_or(format!("the rule at line {}", at.line), |r| {
                    format!("rule \"{}\"", r.description)
                })
            }
        };
        let message = match shadow.by.as_slice() {
            [one] => format!("this rule decides nothing: {} matches all of its packets", name(one)),
            many => {
                format!("this rule decides nothing: {} others together match all of its packets", many.len())
            }
        };
        let mut f = CHECK.finding(subject, shadow.origin, message, "decides nothing");
        let alone = shadow.by.len() == 1;
        for (origin, note) in shadow.by.iter().take(MAX_SHOWN) {
            let what = if alone { "matches all of its packets" } else { "matches some of its packets" };
            let what = note.as_ref().map_or(what.to_owned(), |n| format!("{what}: {n}"));
            f.related.push(subject.related(*origin, what));
        }
        findings.push(f);
    }
}
