//! A base chain accepts by default.
//!
//! ## What it does
//! Sends probe packets that no sensible rule names (unassigned ports, an experimental protocol) through the input and
//! forward hooks, and reports the base chain whose *policy* accepts one of them. Every finding shows such a packet.
//!
//! ## Why is this bad?
//! With a default of accept, every forgotten rule leaves something open: a service that is started tomorrow is reachable at
//! once, from everywhere.
//!
//! ## Example
//! ```text
//! :INPUT ACCEPT [0:0]
//! -A INPUT -p tcp -m tcp --dport 23 -j DROP
//! ```
//!
//! ## Use instead
//! ```text
//! :INPUT DROP [0:0]
//! -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
//! -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::probe::Blame;
use crate::lint::registry::{Check, Run, Subject};
use crate::model::Hook;
use crate::source::Origin;
use std::collections::BTreeSet;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-POLICY-ACCEPT",
    name: "PolicyAccept",
    summary: "a base chain accepts what no rule stops",
    level: Severity::Warning,
    security_severity: Some(6.5),
    source: include_str!("policy_accept.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let mut told = BTreeSet::new();
    for probe in subject.probes() {
        let (origin, hook, chain) = match probe.blame(subject.firewall) {
            Some(Blame::Policy(hook, chain, origin)) => (origin, hook, Some(chain)),
            Some(Blame::Missing(hook)) => (Origin::default(), hook, None),
            _ => continue,
        };
        if !told.insert((origin, hook)) {
            continue;
        }
        let what = if hook == Hook::Forward { "forwards" } else { "lets in" };
        let (message, label) = match chain {
            Some(chain) => {
                let name = &subject.firewall.chain(chain).name;
                let message =
                    format!("{} {what} whatever no rule of {name} stops: the policy is accept", subject.name);
                (message, "the policy accepts what no rule stops")
            }
            None => {
                let name = hook.name();
                let message = format!(
                    "{} {what} whatever comes: it has no base chain at the {name} hook",
                    subject.name
                );
                (message, "a base chain is missing")
            }
        };
        let mut f = CHECK.finding(subject, origin, message, label);
        f.witness = Some(Box::new(probe.packet.clone()));
        findings.push(f);
    }
}
