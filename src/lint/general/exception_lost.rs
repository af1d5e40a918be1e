//! An exception stands behind the rule from which it should be excepted.
//!
//! ## What it does
//! Reports a rule if an earlier rule with the opposite verdict matches more than it, and so decides about all of its packets: a block
//! behind a broader accept, or an accept behind a broader block.
//!
//! If the later rule still stops some packets that open no connection (invalid or untracked ones), and these would be stopped behind it
//! anyway, it is reported all the same, and the report says so.
//!
//! At most 1000 rules of one firewall are listed; the last finding says how many more there are.
//!
//! ## Why is this bad?
//! The first rule that matches decides. The address that somebody blocked still gets in, or the service that somebody opened stays
//! closed, and the ruleset looks right.
//!
//! ## Example
//! ```text
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! -A INPUT -s 203.0.113.66/32 -p tcp -m tcp --dport 22 -j DROP
//! ```
//!
//! ## Use instead
//! Put the exception first:
//! ```text
//! -A INPUT -s 203.0.113.66/32 -p tcp -m tcp --dport 22 -j DROP
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::unused::{finding, report, take, takers, verb, verdict};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-EXCEPTION-LOST",
    name: "ExceptionLost",
    summary: "a broader rule with the opposite verdict comes before this one",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("exception_lost.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let lost = subject.unused_told_by(&CHECK);
    report(subject, &lost, findings, |about| {
        let own = &subject.firewall.chain(about.chain).rules[about.rule];
        let verb = verb(verdict(own.action) == Some(false));
        let packets = if about.strays { "every connection" } else { "every packet" };
        let takers = takers(subject, about);
        let message =
            format!("this exception has no effect: {} {packets} that it matches", take(&takers, verb));
        finding(&CHECK, subject, about, takers, (message, "never applies"))
    });
}
