//! Rules follow a verdict that every packet meets.
//!
//! ## What it does
//! Reports the first rule after an `accept`, `drop`, `reject`, `return` or `goto` without conditions, once per verdict, and
//! how many rules no packet of the chain reaches. If the verdict has no conditions only because a comparison always holds,
//! or if all rules after it are copies of earlier rules, the checks for those report it; of a chain to which no packet comes, `HL-UNUSED-CHAIN`.
//!
//! ## Why is this bad?
//! `nft add rule` appends. On a chain that ends with `drop`, a rule that opens or closes a port comes too late, and nothing
//! warns.
//!
//! ## Example
//! ```text
//! chain input {
//!     type filter hook input priority filter; policy accept;
//!     tcp dport 22 accept
//!     drop
//!     tcp dport 443 accept
//! }
//! ```
//!
//! ## Use instead
//! Put the rules above the verdict (`nft insert rule`), or leave the last word to the chain's policy:
//! ```text
//! chain input {
//!     type filter hook input priority filter; policy drop;
//!     tcp dport 22 accept
//!     tcp dport 443 accept
//! }
//! ```

use crate::dialect::nftables::facts::Facts;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::unused::{Case, ender, finding, takers, unreached};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-NFT-AFTER-VERDICT",
    name: "NftAfterVerdict",
    summary: "rules follow a verdict without conditions",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("after_verdict.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let f = subject.firewall;
    let Some(facts) = Facts::of(f) else { return };
    for about in subject.unused_told_by(&CHECK) {
        let (Case::Ended(rules), Some(verdict)) = (about.case, ender(f, about)) else { continue };
        if facts.always.iter().any(|a| a.rule == verdict.origin) {
            continue;
        }
        let message = unreached(&f.chain(about.chain).name, rules);
        findings.push(finding(&CHECK, subject, about, takers(subject, about), (message, "never reached")));
    }
}
