//! A security group opens a service to the Internet that is rarely meant for it.
//!
//! ## What it does
//! Reports groups, and interfaces with several groups, through which the Internet can reach ftp, smtp, rpc, ldap, nfs and
//! other services of inner networks, or ports at which consoles and test servers listen, such as tcp/8080. Databases, remote
//! administration, ssh and remote desktop have checks of their own.
//!
//! ## Why is this bad?
//! Some of these services send passwords in the clear, some trust whoever reaches them, some can be used to flood others. A
//! console that was to be seen for an hour stays open for years.
//!
//! ## Example
//! ```json
//! {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
//! ```
//!
//! ## Use instead
//! Let in the networks that need it, or the group of the load balancer that stands before it.

use super::exposure_finding::open_ports;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::sensitive_ports::Class;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-INTERNET-SERVICE",
    name: "InternetReachesInnerService",
    summary: "the Internet can reach a service that is rarely meant for it",
    level: Severity::Warning,
    security_severity: Some(6.5),
    source: include_str!("internet_service.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    open_ports(&CHECK, subject, findings, Class::Service);
}
