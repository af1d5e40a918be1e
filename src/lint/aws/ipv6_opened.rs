//! IPv6 is open where IPv4 is closed.
//!
//! ## What it does
//! Reports services that the Internet reaches over IPv6 through a group that, over IPv4, allows them from restricted
//! sources only, or not at all.
//!
//! ## Why is this bad?
//! Whoever restricted the service for IPv4 meant the service. A wizard added the IPv6 entry, or it was forgotten when the
//! other one was closed.
//!
//! ## Example
//! ```json
//! {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.9.0/24"}], "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
//! ```
//!
//! ## Use instead
//! ```json
//! {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.9.0/24"}], "Ipv6Ranges": [{"CidrIpv6": "2001:db8:9::/64"}]}
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::packet::{Family, Field, proto};
use std::collections::BTreeMap;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-IPV6-OPENED",
    name: "Ipv6Opened",
    summary: "a service is open to the Internet over IPv6 only",
    level: Severity::Warning,
    security_severity: Some(6.5),
    source: include_str!("ipv6_opened.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let exposures = subject.exposures();
    let v4: BTreeMap<_, _> = exposures
        .iter()
        .filter(|d| d.family == Family::V4 && d.groups.len() == 1)
        .map(|d| (d.groups[0], &d.open))
        .collect();
    for exposure in exposures.iter().filter(|d| d.family == Family::V6 && d.groups.len() == 1) {
        let beside = v4.get(exposure.groups[0]).copied().cloned().unwrap_or_default();
        let mut only = exposure.open.minus(&beside);
        // The two ICMPs are different protocols.
        only.icmp = Default::default();
        if only.is_empty() {
            continue;
        }
        let (protocol, ports) =
            if only.tcp.is_empty() { (proto::UDP, only.udp.clone()) } else { (proto::TCP, only.tcp.clone()) };
        let message = format!(
            "{}: the Internet can reach {} over IPv6, but not over IPv4",
            exposure.name,
            only.words(Family::V6)
        );
        let mut f = exposure.finding(&CHECK, subject, protocol, &ports, message);
        f.extent = exposure.extent(&|r| {
            let tcp = r.protocol(proto::TCP).cut(Field::Dport, &only.tcp);
            let udp = r.protocol(proto::UDP).cut(Field::Dport, &only.udp);
            vec![tcp, udp, r.cut(Field::Proto, &only.other)]
        });
        findings.push(f);
    }
}
