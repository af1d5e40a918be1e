//! A group of the launch wizard is still there.
//!
//! ## What it does
//! Reports groups whose name begins with `launch-wizard-`.
//!
//! ## Why is this bad?
//! The wizard creates a group for a first try and opens ssh or remote desktop in it. The group says nothing about what the
//! machine is for.
//!
//! ## Example
//! ```json
//! {"GroupName": "launch-wizard-7", "Description": "launch-wizard-7 created 2026-03-31T08:00:00.000Z"}
//! ```
//!
//! ## Use instead
//! Create a group for the machine's role, with the rules that it needs, and delete the wizard's.

use super::{described, inventory};
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-LAUNCH-WIZARD",
    name: "LaunchWizardGroup",
    summary: "the launch wizard created this group",
    level: Severity::Note,
    security_severity: None,
    source: include_str!("launch_wizard.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(inventory) = inventory(subject) else { return };
    let wizard = |name: &String| name.starts_with("launch-wizard-");
    for group in described(inventory).filter(|g| g.name.as_ref().is_some_and(wizard)) {
        let message = format!("{} was created by the launch wizard", group.title());
        findings.push(CHECK.finding(subject, group.origin, message, "a wizard's group"));
    }
}
