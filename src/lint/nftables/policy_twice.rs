//! The policy of a base chain is stated more than once.
//!
//! ## What it does
//! Reports base chains for which the files give a policy twice: in one block, or because the chain is declared in several
//! places. A warning if the policies differ, else a note.
//!
//! ## Why is this bad?
//! The last one wins, wherever it is. A `policy accept` in an included file undoes a `policy drop` on the first page, and
//! whoever reads the first page believes that the firewall is closed.
//!
//! ## Example
//! ```text
//! table inet filter {
//!     chain input { type filter hook input priority filter; policy drop; }
//! }
//! table inet filter {
//!     chain input { type filter hook input priority filter; policy accept; }
//! }
//! ```
//!
//! ## Use instead
//! State it once, where the chain is declared; a block that only adds rules does not need the line:
//! ```text
//! table inet filter {
//!     chain input { type filter hook input priority filter; policy drop; }
//! }
//! table inet filter {
//!     chain input { tcp dport 22 accept; }
//! }
//! ```

use crate::dialect::nftables::facts::Facts;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-NFT-POLICY-TWICE",
    name: "NftPolicyTwice",
    summary: "the policy of a base chain is stated more than once",
    level: Severity::Warning,
    security_severity: Some(5.0),
    source: include_str!("policy_twice.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(facts) = Facts::of(subject.firewall) else { return };
    for policies in &facts.policies {
        let Some(((drop, last), earlier)) = policies.stated.split_last() else { continue };
        let word = |drop: bool| if drop { "drop" } else { "accept" };
        let differs = earlier.iter().any(|(d, _)| d != drop);
        let message = if differs {
            format!("the policy of chain {} is stated again, and this {} wins", policies.chain, word(*drop))
        } else {
            format!("the policy of chain {} is stated again, also as {}", policies.chain, word(*drop))
        };
        let mut f = CHECK.finding(subject, *last, message, "the last one wins");
        if !differs {
            f.level = Severity::Note;
        }
        f.related =
            earlier.iter().map(|(d, at)| subject.related(*at, format!("here it is {}", word(*d)))).collect();
        findings.push(f);
    }
}
