//! What the Internet can reach through a security group.
//!
//! ## What it does
//! Lists for each group, IPv4 and IPv6 apart, the exact services that public addresses reach, and each rule that allows
//! them with the public addresses that it names. Interfaces are listed where their groups together open more than each of
//! them. References to groups never count: they match private addresses. Where the files hold network ACLs, only what
//! passes those of the interfaces to which the group is attached is reached; what they stop is reported, with the entries
//! that stop it.
//!
//! ## Why is this bad?
//! It may be intended: a web server is meant to be reached. Compare this list with what you mean to offer.
//!
//! ## Example
//! ```json
//! {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
//! ```
//!
//! ## Use instead
//! Close what nobody needs; accept the rest with `havenlint baseline write` or a waiver.

use super::exposure::Exposure;
use super::{Piece, Reach, over, reach};
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::packet::{Family, IntervalSet, addr, public};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-INTERNET-REACH",
    name: "InternetReach",
    summary: "what the Internet can reach through this group",
    level: Severity::Note,
    security_severity: Some(3.0),
    source: include_str!("internet_reach.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for exposure in subject.exposures() {
        // Of an interface only what its groups open together; of a group all, from however few addresses.
        let all = if exposure.groups.len() == 1 {
            reach(&exposure.pieces, exposure.family, 0)
        } else {
            exposure.open.clone()
        };
        let mut message = format!("{}: {}", exposure.name, told(exposure, &all));
        if !exposure.acls.closed.is_empty() {
            message += &format!("; the network ACL closes {}", exposure.acls.closed.words(exposure.family));
        }
        if !exposure.acls.maybe.is_empty() {
            let words = exposure.acls.maybe.words(exposure.family);
            message += &format!("; whether the network ACL closes {words} is not known");
        }
        let mut pieces: Vec<&Piece> = exposure.pieces.iter().collect();
        pieces.sort_by_key(|p| std::cmp::Reverse(p.peers.count()));
        let first = pieces.first().map_or(exposure.origin, |p| p.origin);
        let mut f = CHECK.finding(subject, first, message, "lets public addresses in");
        for p in pieces {
            let services = reach(std::slice::from_ref(p), exposure.family, 0).words(exposure.family);
            f.details.push((format!("from {}", sources(&p.peers, exposure.family)), services.clone()));
            f.related.push(subject.related(p.origin, services));
        }
        let stops = exposure.acls.closed_by.iter().take(4);
        f.related.extend(stops.map(|o| subject.related(*o, "the network ACL stops the rest")));
        f.related.push(subject.related(exposure.origin, exposure.name.clone()));
        f.details.extend(exposure.remarks());
        f.extent = exposure.extent(&|r| vec![r.clone()]);
        findings.push(f);
    }
}

// What the Internet reaches, and what single networks of it do: a partner is not the Internet.
fn told(exposure: &Exposure<'_>, all: &Reach) -> String {
    let (family, over) = (exposure.family, over(exposure.family));
    let few = all.minus(&exposure.open);
    if few.is_empty() {
        return format!("the Internet can reach {} over {over}", exposure.open.words(family));
    }
    if exposure.open.is_empty() {
        let peers = exposure.pieces.iter().flat_map(|p| p.peers.ranges().to_vec());
        let from = sources(&IntervalSet::from_ranges(peers), family);
        return format!("{from} can reach {} over {over}", few.words(family));
    }
    format!(
        "the Internet can reach {} over {over}; single public networks can reach {} too",
        exposure.open.words(family),
        few.words(family)
    )
}

fn sources(peers: &IntervalSet, family: Family) -> String {
    if *peers == public::with_documentation().intersect(&family.all()) {
        return "everywhere".to_owned();
    }
    let list = addr::display(peers);
    match list.as_slice() {
        few if few.len() <= 4 => few.join(", "),
        [a, b, ..] => format!("{a}, {b} and {} more", list.len() - 2),
        _ => String::new(),
    }
}
