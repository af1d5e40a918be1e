//! A security group opens everything to the Internet.
//!
//! ## What it does
//! Reports groups, and interfaces with several groups, that let the Internet reach every tcp or udp port, or nearly every
//! protocol. All rules of a group count together, and so do all groups of an interface. Sources that together are wider
//! than a /8 (IPv4) or a /16 (IPv6) of public addresses count as the Internet, so 0.0.0.0/1 and 128.0.0.0/1 are found like
//! 0.0.0.0/0, also inside a prefix list.
//!
//! ## Why is this bad?
//! There is no filter any more: anyone can reach whatever listens on the machine, now or later.
//!
//! ## Example
//! ```json
//! {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
//! ```
//!
//! ## Use instead
//! Name the ports and the sources that are needed.

use super::over;
use crate::finding::{Finding, Severity};
use crate::lint::open::finding::few_services;
use crate::lint::registry::{Check, Run, Subject};
use crate::packet::{Field, proto};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-INTERNET-ALL",
    name: "InternetReachesEverything",
    summary: "the Internet can reach all ports or protocols",
    level: Severity::Error,
    security_severity: Some(9.1),
    source: include_str!("internet_all.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for exposure in subject.exposures().iter().filter(|d| d.open.is_broad()) {
        let (protocol, ports) = if !exposure.open.tcp.is_empty() {
            (proto::TCP, exposure.open.tcp.clone())
        } else if !exposure.open.udp.is_empty() {
            (proto::UDP, exposure.open.udp.clone())
        } else {
            (exposure.open.other.first().map_or(proto::TCP, |p| p as u8), Field::Dport.all())
        };
        let message = format!(
            "{}: the Internet can reach {} over {}",
            exposure.name,
            exposure.open.words(exposure.family),
            over(exposure.family)
        );
        let mut f = exposure.finding(&CHECK, subject, protocol, &ports, message);
        f.extent = exposure.extent(&|r| vec![r.clone()]);
        let services = exposure.open.services();
        if !services.is_empty() {
            f.details.push(("among it".to_owned(), few_services(services)));
        }
        findings.push(f);
    }
}
