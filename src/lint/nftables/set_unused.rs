//! No rule uses a named set or map.
//!
//! ## What it does
//! Reports sets and maps that no rule of their table uses, neither to compare nor to fill, and no variable either. Tables
//! without rules are left out (their rules are in another file), and so is everything if a file could not be read in full.
//!
//! ## Why is this bad?
//! A block list that no rule uses blocks nothing. Usually the rule was lost in an edit, or the list is left over and
//! somebody still maintains it.
//!
//! ## Example
//! ```text
//! table inet filter {
//!     set blocked { type ipv4_addr; elements = { 198.51.100.7 }; }
//!     chain input {
//!         type filter hook input priority filter; policy drop;
//!         tcp dport 22 accept
//!     }
//! }
//! ```
//!
//! ## Use instead
//! Use it in a rule, or delete it:
//! ```text
//!         ip saddr @blocked drop
//! ```

use crate::dialect::nftables::facts::Facts;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-NFT-SET-UNUSED",
    name: "NftSetUnused",
    summary: "no rule uses this set",
    level: Severity::Note,
    security_severity: None,
    source: include_str!("set_unused.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(facts) = Facts::of(subject.firewall) else { return };
    for set in &facts.unused {
        let what = if set.is_map { "map" } else { "set" };
        let message = format!("no rule uses {what} {}", set.name);
        findings.push(CHECK.finding(subject, set.origin, message, "not used"));
    }
}
