//! A port forward's filter rule is gone or disabled.
//!
//! ## What it does
//! Reports port forwards that are linked to a filter rule which was deleted or disabled.
//!
//! ## Why is this bad?
//! The packets are still translated, and then any other rule for the inner address decides: the service is cut off, or open
//! in a way that nobody documented beside the port forward.
//!
//! ## Example
//! ```xml
//! <rule><interface>wan</interface><target>10.1.0.10</target>
//!   <associated-rule-id>nat_65f2b1c07a1de4.21771003</associated-rule-id></rule>
//! ```
//! and no `<filter><rule>` with that id.
//!
//! ## Use instead
//! Delete the port forward too, or let the web interface create its filter rule again.

use crate::dialect::pfsense::facts::Facts;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-PF-ORPHAN",
    name: "PfOrphan",
    summary: "a port forward's filter rule is gone or disabled",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("orphan.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(facts) = Facts::of(subject.firewall) else { return };
    for orphan in &facts.orphans {
        let mut f = CHECK.finding(subject, orphan.origin, orphan.message.clone(), "still translates");
        f.related.extend(orphan.rule.map(|r| subject.related(r, "its filter rule, disabled")));
        findings.push(f);
    }
}
