//! A security group opens an administration port to the Internet.
//!
//! ## What it does
//! Reports groups, and interfaces with several groups, through which the Internet reaches a port that gives control of
//! machines: telnet 23, RPC and file sharing of Windows 135, 139 and 445, Docker 2375 and 2376, etcd 2379, VNC 5900,
//! WinRM 5985 and 5986, Kubernetes 6443 and 10250. The union of all rules of a group counts, and of all groups of an
//! interface; sources that together are wider than a /8 (IPv4) or a /16 (IPv6) of public addresses are the Internet, so
//! 0.0.0.0/1 and 128.0.0.0/1 are found like 0.0.0.0/0, also inside a prefix list.
//!
//! ## Why is this bad?
//! Whoever reaches these ports is one password or one flaw away from the machine.
//!
//! ## Example
//! ```json
//! {"IpProtocol": "tcp", "FromPort": 2375, "ToPort": 2376, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
//! ```
//!
//! ## Use instead
//! Allow the addresses of administrators only, or a bastion host by its group.

use super::exposure_finding::open_ports;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::sensitive_ports::Class;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-INTERNET-ADMIN",
    name: "InternetReachesAdministration",
    summary: "the Internet can reach an administration port",
    level: Severity::Error,
    security_severity: Some(8.6),
    source: include_str!("internet_admin.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    open_ports(&CHECK, subject, findings, Class::Administration);
}
