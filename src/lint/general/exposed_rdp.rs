//! A rule opens remote desktop to any address.
//!
//! ## What it does
//! Reports rules that let anybody reach port 3389, also through a port forward. Packets that open a connection are followed, from public addresses, by any interface but the loopback, to the machine and
//! through it: what counts is what is let through in the end, by which rule, published ports and other translations included. Sources
//! that together are wider than a /8 (IPv4) or a /16 (IPv6) of public addresses count as anybody. A rate limit closes nothing. One rule
//! that opens several services has one finding, of the worst of them.
//!
//! Where the files tell that an interface faces the Internet (pfSense: it has a gateway, or its address from a provider), this is
//! an error; where nothing tells, the level is one lower. What comes in by interfaces that face inside is listed in the report and is no
//! finding.
//!
//! ## Why is this bad?
//! Remote desktop is a common entry point for ransomware: attackers try passwords from everywhere, all day.
//!
//! ## Example
//! ```text
//! -A PREROUTING -i eth0 -p tcp -m tcp --dport 3389 -j DNAT --to-destination 10.0.0.20
//! -A FORWARD -d 10.0.0.20/32 -p tcp -m tcp --dport 3389 -j ACCEPT
//! ```
//!
//! ## Use instead
//! ```text
//! -A FORWARD -s 10.8.0.0/24 -d 10.0.0.20/32 -p tcp -m tcp --dport 3389 -j ACCEPT
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::open::finding::services;
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::sensitive_ports::Class;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-EXPOSED-RDP",
    name: "ExposedRdp",
    summary: "any address can reach remote desktop",
    level: Severity::Warning,
    security_severity: Some(8.6),
    source: include_str!("exposed_rdp.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    services(&CHECK, subject, findings, Class::Rdp);
}
