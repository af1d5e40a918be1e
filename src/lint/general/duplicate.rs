//! The same rule appears twice in one chain.
//!
//! ## What it does
//! Reports a rule whose conditions and verdict are exactly those of an earlier rule of the same chain. Only rules that end
//! a packet's path through the chain count; rate limits and other conditions with a memory are never "the same". Comments
//! and counters do not matter.
//!
//! Two named sets are two different sets, whatever they hold at the moment, unless nothing can be added to them (`constant`).
//!
//! ## Why is this bad?
//! The second rule can never decide anything. Duplicates pile up where scripts append without looking. Then someone deletes
//! one copy and believes that the port is closed.
//!
//! ## Example
//! ```text
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! -A INPUT -s 10.0.0.0/8 -j ACCEPT
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! ```
//!
//! ## Use instead
//! Delete the later copy.

use crate::evidence::removal::removal;
use crate::finding::{Finding, Purpose, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::model::ChainId;
use crate::source::Text;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-DUPLICATE",
    name: "DuplicateRule",
    summary: "the same rule appears earlier in this chain",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("duplicate.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let f = subject.firewall;
    let mut said: Option<(ChainId, Text)> = None;
    for about in subject.copies() {
        let chain = f.chain(about.chain);
        // One text for all findings of a chain: there may be hundreds of thousands.
        let message = match &said {
            Some((of, text)) if *of == about.chain => text.clone(),
            _ => format!("this rule is a duplicate of an earlier rule of chain {}", chain.name).into(),
        };
        said = Some((about.chain, message.clone()));
        let origin = chain.rules[about.copy].origin;
        let mut finding = CHECK.finding(subject, origin, message, "decides nothing");
        finding.related = vec![subject.related(chain.rules[about.first].origin, "the earlier rule")];
        finding.fix = removal(f, chain, about.copy, Purpose::default());
        findings.push(finding);
    }
}
