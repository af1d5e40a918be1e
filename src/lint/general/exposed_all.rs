//! A rule opens nearly everything to any address.
//!
//! ## What it does
//! Reports rules that let anybody reach more than half of all ports of tcp or udp, or nearly every protocol. Packets that open a connection are followed, from public addresses, by any interface but the loopback, to the machine and
//! through it: what counts is what is let through in the end, by which rule, published ports and other translations included. Sources
//! that together are wider than a /8 (IPv4) or a /16 (IPv6) of public addresses count as anybody. A rate limit closes nothing. One rule
//! that opens several services has one finding, of the worst of them.
//!
//! Where the files tell that an interface faces the Internet (pfSense: it has a gateway, or its address from a provider), this is
//! an error; where nothing tells, the level is one lower. What comes in by interfaces that face inside is listed in the report and is no
//! finding.
//! Rules that HL-ANY-ANY or HL-POLICY-ACCEPT reports are left to it.
//!
//! ## Why is this bad?
//! There is no filter any more: anyone can reach whatever listens, now or later. Often such a rule was meant for something else: a limit
//! on new connections that accepts what stays below it, or answers of a name server told by their source port, which everybody may use.
//!
//! ## Example
//! ```text
//! -A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m limit --limit 10/sec -j ACCEPT
//! ```
//!
//! ## Use instead
//! ```text
//! -A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m limit --limit 10/sec -j RETURN
//! -A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::open::finding::everything;
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-EXPOSED-ALL",
    name: "ExposedEverything",
    summary: "any address can reach nearly all ports or protocols",
    level: Severity::Warning,
    security_severity: Some(9.1),
    source: include_str!("exposed_all.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    everything(&CHECK, subject, findings);
}
