//! A comparison of the connection state always holds.
//!
//! ## What it does
//! Reports `ct state != a,b`: a list after `!=`, without braces. A list of states is the sum of their bits. A packet has
//! exactly one state, so it never equals the sum, and `!=` always holds. The same goes for `ct state != (a | b)`.
//!
//! ## Why is this bad?
//! It reads "neither a nor b" and means "anything". With `drop` it discards the answers of every connection; with `accept`
//! it opens the firewall. `ct state a,b` without the `!=` does mean "a or b", so the mistake is easy to make, and nft does
//! not warn.
//!
//! ## Example
//! ```text
//! ct state != established,related drop
//! ```
//!
//! ## Use instead
//! Braces make it a set, and `!=` then means "none of them":
//! ```text
//! ct state != { established, related } drop
//! ```

use crate::dialect::nftables::facts::Facts;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-NFT-ALWAYS-TRUE",
    name: "NftAlwaysTrue",
    summary: "a comparison of the connection state always holds",
    level: Severity::Warning,
    security_severity: Some(7.0),
    source: include_str!("always_true.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(facts) = Facts::of(subject.firewall) else { return };
    for always in &facts.always {
        let values = always.right.replace(',', ", ");
        let message = format!(
            "`{0} != {1}` holds for every packet; to mean \"none of them\", write braces: `{0} != {{ {values} }}`",
            always.left, always.right
        );
        findings.push(CHECK.finding(subject, always.origin, message, "always holds"));
    }
}
