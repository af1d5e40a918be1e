//! A rule adds nothing to the other rules of its group.
//!
//! ## What it does
//! Reports a rule if the other rules of the same group and direction, alone or together, already allow every packet that it
//! allows. A rule that depends on an opaque condition covers nothing and is not reported. Exact duplicates have a check of
//! their own.
//!
//! ## Why is this bad?
//! Someone deletes the rule and believes that the port is closed. It is not.
//!
//! ## Example
//! ```json
//! {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "203.0.113.0/24"}, {"CidrIp": "0.0.0.0/0"}]}
//! ```
//!
//! ## Use instead
//! Delete the covered rule, or narrow the one that covers it.

use super::{Piece, inventory, piece};
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::model::Chain;
use crate::packet::{Family, Field, Region};

// A difference that falls into more parts than this is given up: then nothing is reported.
const MAX_PARTS: usize = 64;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-COVERED",
    name: "CoveredRule",
    summary: "other rules of the group already allow everything that this one does",
    level: Severity::Note,
    security_severity: None,
    source: include_str!("covered.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if inventory(subject).is_none() {
        return;
    }
    for chain in &subject.firewall.chains {
        match chain.table.as_str() {
            "ingress" => look(subject, chain, Field::Src, findings),
            "egress" => look(subject, chain, Field::Dst, findings),
            _ => {}
        }
    }
}

fn look(subject: &Subject<'_>, chain: &Chain, peer: Field, findings: &mut Vec<Finding>) {
    // Lists with denials (network ACLs) are ordered: covered there means something else.
    let f = subject.firewall;
    let accepts = |r: &crate::model::Rule| r.action == crate::model::Action::Accept;
    if chain.rules.len() < 2 || !chain.rules.iter().all(accepts) {
        return;
    }
    let mut live: Vec<Piece> = chain.rules.iter().filter_map(|r| piece(f, r, peer)).collect();
    let mut at = 0;
    while at < live.len() {
        match covering(&live, at) {
            Some(by) => {
                let gone = live.remove(at);
                let several = if by.len() > 1 { " together" } else { "" };
                let message = format!(
                    "{}: other rules{several} already allow everything that this rule allows",
                    chain.name
                );
                let mut finding = CHECK.finding(subject, gone.origin, message, "adds nothing");
                finding.related = by.into_iter().take(8).map(|o| subject.related(o, "covers it")).collect();
                findings.push(finding);
            }
            None => at += 1,
        }
    }
}

// The rules that cover the one at an index, if they do. Equal ones are the affair of the check for duplicates.
fn covering(all: &[Piece], at: usize) -> Option<Vec<crate::source::Origin>> {
    let one = &all[at];
    let same = |p: &Piece| {
        (&p.peers, &p.protocols, &p.ports, &p.icmp) == (&one.peers, &one.protocols, &one.ports, &one.icmp)
    };
    let meets = |p: &Piece| {
        p.peers.intersects(&one.peers)
            && p.protocols.intersects(&one.protocols)
            && p.ports.intersects(&one.ports)
            && p.icmp.intersects(&one.icmp)
    };
    let others: Vec<&Piece> =
        all.iter().enumerate().filter(|(i, p)| *i != at && meets(p) && !same(p)).map(|(_, p)| p).collect();
    if others.is_empty() {
        return None;
    }
    let mut left = regions(one);
    let mut by = Vec::new();
    for o in others {
        let cut = Region::minus_all(left.clone(), &regions(o));
        if cut.len() > MAX_PARTS {
            return None;
        }
        if cut != left {
            by.push(o.origin);
        }
        left = cut;
        if left.is_empty() {
            return Some(by);
        }
    }
    None
}

fn regions(p: &Piece) -> Vec<Region> {
    Family::ALL
        .into_iter()
        .flat_map(|family| {
            Region::all(family)
                .cut(Field::Src, &p.peers)
                .cut(Field::Proto, &p.protocols)
                .cut(Field::Dport, &p.ports)
                .cut(Field::Icmp, &p.icmp)
                .normal()
        })
        .collect()
}
