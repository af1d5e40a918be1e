//! A rule opens a service to any address that is rarely meant for it.
//!
//! ## What it does
//! Reports rules that let anybody reach ftp, smtp, rpc, ldap, nfs and other services of inner networks, or ports at which consoles
//! and test servers listen, such as tcp/8080. Packets that open a connection are followed, from public addresses, by any interface but the loopback, to the machine and
//! through it: what counts is what is let through in the end, by which rule, published ports and other translations included. Sources
//! that together are wider than a /8 (IPv4) or a /16 (IPv6) of public addresses count as anybody. A rate limit closes nothing. One rule
//! that opens several services has one finding, of the worst of them.
//!
//! Where the files tell that an interface faces the Internet (pfSense: it has a gateway, or its address from a provider), this is
//! a warning; where nothing tells, the level is one lower. What comes in by interfaces that face inside is listed in the report and is no
//! finding.
//!
//! ## Why is this bad?
//! Some of these services send passwords in the clear, some trust whoever reaches them, some can be used to flood others. A
//! console that was to be seen for an hour stays open for years.
//!
//! ## Example
//! ```text
//! -A INPUT -p tcp -m tcp --dport 8080 -j ACCEPT
//! ```
//!
//! ## Use instead
//! ```text
//! -A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 8080 -j ACCEPT
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::open::finding::services;
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::sensitive_ports::Class;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-EXPOSED-SERVICE",
    name: "ExposedInnerService",
    summary: "any address can reach a service that is rarely meant for it",
    level: Severity::Note,
    security_severity: Some(6.5),
    source: include_str!("exposed_service.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    services(&CHECK, subject, findings, Class::Service);
}
