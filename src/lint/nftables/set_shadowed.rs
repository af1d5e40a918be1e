//! A variable has the name of a set and other contents.
//!
//! ## What it does
//! Reports `define NAME = …` where a set or map NAME is declared in a place that sees the variable, or the other way round.
//! If the set's elements are exactly that variable, nothing is reported. Rulesets that nft printed have no variables.
//!
//! ## Why is this bad?
//! `$NAME` and `@NAME` look alike in a rule and mean different things: elements that a person or a program adds to the set
//! later do not reach rules that use the variable.
//!
//! ## Example
//! ```text
//! define admins = { 10.0.9.7 }
//! table inet filter {
//!     set admins { type ipv4_addr; elements = { 10.0.9.7, 10.0.9.8 }; }
//!     chain input {
//!         type filter hook input priority filter; policy drop;
//!         ip saddr $admins tcp dport 22 accept
//!     }
//! }
//! ```
//!
//! ## Use instead
//! Give the variable another name, or fill the set from it and use the set:
//! ```text
//! define admin_list = { 10.0.9.7, 10.0.9.8 }
//! table inet filter {
//!     set admins { type ipv4_addr; elements = $admin_list; }
//!     chain input {
//!         type filter hook input priority filter; policy drop;
//!         ip saddr @admins tcp dport 22 accept
//!     }
//! }
//! ```

use crate::dialect::nftables::facts::Facts;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-NFT-SET-SHADOWED",
    name: "NftSetShadowed",
    summary: "a variable has the name of a set and other contents",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("set_shadowed.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(facts) = Facts::of(subject.firewall) else { return };
    for shadow in &facts.shadows {
        let message =
            format!("the variable ${0} has the name of the set @{0}, but the two may differ", shadow.name);
        let mut f = CHECK.finding(subject, shadow.variable, message, "easily taken for the set");
        f.related.push(subject.related(shadow.set, "the set"));
        findings.push(f);
    }
}
