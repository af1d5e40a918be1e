//! A rule allows a very wide public prefix.
//!
//! ## What it does
//! Reports ingress rules for a public prefix wider than /8 (IPv4) or /16 (IPv6) that is not the whole Internet, also where
//! host bits hide it: 0.0.0.0/1, 64.0.0.0/2, 2000::/3.
//!
//! ## Why is this bad?
//! No partner has that many addresses. Such a prefix is a typing mistake, or a trick against tools that look for 0.0.0.0/0.
//!
//! ## Example
//! ```json
//! {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "128.0.0.0/1"}]}
//! ```
//!
//! ## Use instead
//! Name the networks that are meant. If everybody is meant, write 0.0.0.0/0.

use super::{described, inventory};
use crate::dialect::aws::inventory::Peer;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::packet::{addr, public};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-WIDE-CIDR",
    name: "WidePublicPrefix",
    summary: "a public prefix is wider than any organisation's network",
    level: Severity::Warning,
    security_severity: Some(5.0),
    source: include_str!("wide_cidr.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(inventory) = inventory(subject) else { return };
    for group in described(inventory) {
        for e in &group.ingress.entries {
            let Peer::Net(net) = &e.peer else { continue };
            let longest = if net.addr().is_ipv4() { 8 } else { 16 };
            if net.prefix_len() == 0
                || net.prefix_len() >= longest
                || !public::internet().intersects(&addr::net(*net))
            {
                continue;
            }
            let message = format!(
                "{}: {} is allowed from {net}, which is wider than any one organisation's network",
                group.title(),
                e.service.text()
            );
            findings.push(CHECK.finding(subject, e.origin, message, "a very wide prefix"));
        }
    }
}
