//! A network ACL lets the Internet in to remote administration.
//!
//! ## What it does
//! Decides for each network ACL, entry by entry in their order, from which public addresses it lets in tcp/22, tcp/3389,
//! or every port of tcp or udp, and reports it where these are wider than a partner: more than a /8 (IPv4) or a /16 (IPv6).
//! A network ACL that lets in everything is reported as open, and not here; nor is an entry for answers, such as tcp/1024-65535,
//! which lets in tcp/3389 with them.
//!
//! ## Why is this bad?
//! A network ACL is the second line of defence. It knows no service by name; what it lets in for ssh it lets in for every
//! machine of its subnets, whatever security group a colleague attaches next week.
//!
//! ## Example
//! ```json
//! {"RuleNumber": 100, "Egress": false, "Protocol": "6", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0", "PortRange": {"From": 22, "To": 22}}
//! ```
//!
//! ## Use instead
//! Allow administration from the networks of the administrators, and deny it from everywhere else.

use super::acl_order::{Direction, Part, admitted, holds};
use super::{acl_open, inventory, over, wide};
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::packet::{Family, Field, IntervalSet, proto, public};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-ACL-INTERNET",
    name: "NetworkAclLetsTheInternetIn",
    summary: "a network ACL lets the Internet in to remote administration, or to all ports",
    level: Severity::Warning,
    security_severity: Some(6.0),
    source: include_str!("acl_internet.rs"),
    run: Run::Firewall(run),
};

// Ports that are judged, with their name.
const PORTS: [(u16, &str); 2] = [(22, "ssh (tcp/22)"), (3389, "remote desktop (tcp/3389)")];

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(inventory) = inventory(subject) else { return };
    for acl in inventory.acls.iter().filter(|a| a.unknown.is_empty()) {
        for family in Family::ALL.into_iter().filter(|f| acl_open::opens(acl, *f).is_none()) {
            let internet = public::with_documentation().intersect(&family.all());
            let mut what = Vec::new();
            let mut at = None;
            for protocol in [proto::TCP, proto::UDP] {
                let let_in = admitted(acl, Direction::In, protocol, &internet);
                let services: Vec<Part> = let_in.iter().filter(|p| !p.is_for_answers()).cloned().collect();
                let from = |parts: &[Part], ports: &IntervalSet| {
                    holds(parts, ports).filter(|(s, _)| s.count() > wide(family))
                };
                if let Some((_, by)) = from(&let_in, &Field::Dport.all()) {
                    what.push(format!("all ports of {}", proto::name(protocol)));
                    at = at.or(Some(by));
                } else if protocol == proto::TCP {
                    for (port, name) in PORTS {
                        if let Some((_, by)) = from(&services, &IntervalSet::single(port)) {
                            what.push(name.to_owned());
                            at = at.or(Some(by));
                        }
                    }
                }
            }
            let Some(at) = at else { continue };
            let message =
                format!("{} lets the Internet in to {} over {}", acl.id, what.join(" and "), over(family));
            let mut f = CHECK.finding(subject, at, message, "lets it in");
            f.related.push(subject.related(acl.origin, acl.id.clone()));
            findings.push(f);
        }
    }
}
