//! A security group opens remote desktop to the Internet.
//!
//! ## What it does
//! Reports groups, and interfaces with several groups, through which the Internet reaches tcp/3389. All rules of a group
//! count together, and so do all groups of an interface. Sources that together are wider than a /8 (IPv4) or a /16 (IPv6)
//! of public addresses count as the Internet, so 0.0.0.0/1 and 128.0.0.0/1 are found like 0.0.0.0/0, also inside a prefix
//! list.
//!
//! ## Why is this bad?
//! Remote desktop is a common entry point for ransomware: attackers try passwords from everywhere, all day.
//!
//! ## Example
//! ```json
//! {"IpProtocol": "tcp", "FromPort": 3389, "ToPort": 3389, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
//! ```
//!
//! ## Use instead
//! ```json
//! {"IpProtocol": "tcp", "FromPort": 3389, "ToPort": 3389, "IpRanges": [{"CidrIp": "10.0.9.0/24", "Description": "administrators"}]}
//! ```

use super::exposure_finding::open_ports;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::sensitive_ports::Class;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-INTERNET-RDP",
    name: "InternetReachesRdp",
    summary: "the Internet can reach remote desktop",
    level: Severity::Error,
    security_severity: Some(8.6),
    source: include_str!("internet_rdp.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    open_ports(&CHECK, subject, findings, Class::Rdp);
}
