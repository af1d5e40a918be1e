//! The files do not show what a group allows.
//!
//! ## What it does
//! Reports rules for a peer or a service that the files do not show: a prefix list without its entries, a value that is
//! known only at deployment, a part of the dump that is missing or broken. Also reports openings if the files do not show
//! whether a network ACL stops them. References to groups and private networks are left out: they match no public address.
//!
//! ## Why is this bad?
//! The rule may open the group to everyone. A prefix list that holds 0.0.0.0/0 looks like any other.
//!
//! ## Example
//! ```json
//! {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "PrefixListIds": [{"PrefixListId": "pl-0123abcd"}]}
//! ```
//!
//! ## Use instead
//! Put the missing answer beside the dump, for example `aws ec2 get-managed-prefix-list-entries --prefix-list-id
//! pl-0123abcd > pl-0123abcd.json`.

use super::{described, inventory, over};
use crate::dialect::aws::inventory::{Inventory, Peer, Service};
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::packet::{addr, public};
use crate::source::Origin;
use ipnet::IpNet;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-INTERNET-UNDECIDED",
    name: "InternetUndecided",
    summary: "the files do not show whether the Internet gets in",
    level: Severity::Warning,
    security_severity: Some(5.0),
    source: include_str!("internet_undecided.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(inventory) = inventory(subject) else { return };
    for u in &inventory.unknown {
        let message = format!("what the Internet reaches depends on {}: {}", u.text, u.why);
        let mut f = CHECK.finding(subject, u.origin, message, "may change what any group lets in");
        f.details.push(("because".to_owned(), format!("{}: {}", u.text, u.why)));
        findings.push(f);
    }
    for group in described(inventory) {
        let mut open = Vec::new();
        for e in group.ingress.entries.iter().filter(|e| may_be_public(inventory, &e.peer)) {
            if let Some(u) = &e.only_if {
                open.push((e.origin, u.text.clone(), u.why.clone()));
            }
            if let Service::Unknown(text, why) = &e.service {
                open.push((e.origin, text.clone(), why.clone()));
            }
            match &e.peer {
                Peer::Unknown(text, why) => open.push((e.origin, text.clone(), why.clone())),
                Peer::PrefixList(id) => match inventory.prefix_list(id) {
                    None => open.push((
                        e.origin,
                        format!("entries of prefix list {id}"),
                        "they are in no file".to_owned(),
                    )),
                    Some(l) => {
                        open.extend(l.unknown.iter().map(|u| (e.origin, u.text.clone(), u.why.clone())))
                    }
                },
                Peer::Net(_) | Peer::Group(_) => {}
            }
        }
        open.extend(group.ingress.unknown.iter().map(|u| (u.origin, u.text.clone(), u.why.clone())));
        let Some((origin, text, why)) = open.first() else { continue };
        let message = format!("{}: whether the Internet gets in depends on {text}: {why}", group.title());
        let mut f = CHECK.finding(subject, *origin, message, "not decided");
        f.related = open.iter().skip(1).take(8).map(|(o, t, _)| subject.related(*o, t.clone())).collect();
        f.details.extend(open.iter().map(|(_, t, w)| ("because".to_owned(), format!("{t}: {w}"))));
        findings.push(f);
    }
    for exposure in subject.exposures().iter().filter(|d| !d.acls.maybe.is_empty()) {
        let Some((text, why, origin)) = exposure.acls.depends_on.first() else { continue };
        let message = format!(
            "{}: whether the Internet can reach {} over {} depends on a network ACL: {text}: {why}",
            exposure.name,
            exposure.acls.maybe.words(exposure.family),
            over(exposure.family)
        );
        let mut f = CHECK.finding(subject, exposure.origin, message, "not decided");
        f.related.push(subject.related(*origin, text.clone()));
        let because = |(t, w, _): &(String, String, Origin)| ("because".to_owned(), format!("{t}: {w}"));
        f.details.extend(exposure.acls.depends_on.iter().map(because));
        findings.push(f);
    }
}

// Whether the peer may have an address that others than the owner's networks use. A group matches private addresses only.
fn may_be_public(inventory: &Inventory, peer: &Peer) -> bool {
    let public = |net: &IpNet| addr::net(*net).intersects(public::with_documentation());
    match peer {
        Peer::Net(net) => public(net),
        Peer::Group(_) => false,
        Peer::PrefixList(id) => inventory
            .prefix_list(id)
            .is_none_or(|l| !l.unknown.is_empty() || l.entries.iter().any(|(net, _)| public(net))),
        Peer::Unknown(..) => true,
    }
}
