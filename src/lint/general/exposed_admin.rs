//! A rule opens an administration port to any address.
//!
//! ## What it does
//! Reports rules that let anybody reach a port which gives control of machines: telnet 23, file sharing of Windows 445, Docker
//! 2375 and 2376, etcd 2379, VNC 5900, WinRM 5985, Kubernetes 6443 and 10250. Packets that open a connection are followed, from public addresses, by any interface but the loopback, to the machine and
//! through it: what counts is what is let through in the end, by which rule, published ports and other translations included. Sources
//! that together are wider than a /8 (IPv4) or a /16 (IPv6) of public addresses count as anybody. A rate limit closes nothing. One rule
//! that opens several services has one finding, of the worst of them.
//!
//! Where the files tell that an interface faces the Internet (pfSense: it has a gateway, or its address from a provider), this is
//! an error; where nothing tells, the level is one lower. What comes in by interfaces that face inside is listed in the report and is no
//! finding.
//!
//! ## Why is this bad?
//! Whoever reaches these ports is one password or one flaw away from the machine.
//!
//! ## Example
//! ```text
//! -A INPUT -p tcp -m tcp --dport 2375 -j ACCEPT
//! ```
//!
//! ## Use instead
//! ```text
//! -A INPUT -s 10.0.9.0/24 -p tcp -m tcp --dport 2375 -j ACCEPT
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::open::finding::services;
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::sensitive_ports::Class;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-EXPOSED-ADMIN",
    name: "ExposedAdministration",
    summary: "any address can reach an administration port",
    level: Severity::Warning,
    security_severity: Some(8.6),
    source: include_str!("exposed_admin.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    services(&CHECK, subject, findings, Class::Administration);
}
