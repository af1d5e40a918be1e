//! An alias is never used, or is empty.
//!
//! ## What it does
//! Reports aliases that no rule, translation or other setting uses, at any depth, and aliases without a member.
//!
//! ## Why is this bad?
//! An unused alias is left over from a rule, and the next reader believes that it still protects something. A rule with an
//! empty alias matches nothing; with `not`, it matches everything.
//!
//! ## Example
//! ```xml
//! <alias><name>OLD_BACKUP</name><type>host</type><address></address></alias>
//! ```
//!
//! ## Use instead
//! Delete the alias together with its purpose, or fill it.

use crate::dialect::pfsense::facts::Facts;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-PF-ALIAS",
    name: "PfAlias",
    summary: "an alias is not used, or has no members",
    level: Severity::Note,
    security_severity: None,
    source: include_str!("alias.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(facts) = Facts::of(subject.firewall) else { return };
    for alias in &facts.aliases {
        let (message, label) = match (alias.unused, alias.empty) {
            (true, _) => (format!("alias {} is never used", alias.name), "not used"),
            (false, true) => (format!("alias {} is used and has no members", alias.name), "empty"),
            (false, false) => continue,
        };
        findings.push(CHECK.finding(subject, alias.origin, message, label));
    }
}
