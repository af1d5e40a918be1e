//! A rule adds nothing to the other rules of its group.
//!
//! ## What it does
//! Reports a rule if the other rules of the same group and direction, alone or together, already allow every packet that it
//! allows. A rule that depends on an opaque condition covers nothing and is not reported. What a group or a prefix list stands for may change
//! at any time: only everything, or the same group or list, covers it. Exact duplicates have a check of their own.
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
use crate::dialect::aws::inventory::{Entry, Peer};
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
    let Some(inventory) = inventory(subject) else { return };
    for chain in &subject.firewall.chains {
        let Some(group) = inventory.group(&chain.name) else { continue };
        match chain.table.as_str() {
            "ingress" => look(subject, chain, (Field::Src, &group.ingress.entries), findings),
            "egress" => look(subject, chain, (Field::Dst, &group.egress.entries), findings),
            _ => {}
        }
    }
}

fn look(
    subject: &Subject<'_>,
    chain: &Chain,
    (peer, entries): (Field, &[Entry]),
    findings: &mut Vec<Finding>,
) {
    // Lists with denials (network ACLs) are ordered: covered there means something else.
    let f = subject.firewall;
    let accepts = |r: &crate::model::Rule| r.action == crate::model::Action::Accept;
    if chain.rules.len() < 2 || !chain.rules.iter().all(accepts) {
        return;
    }
    // Each entry is one rule; then come those of what is not known.
    let peers = entries.iter().map(|e| Some(&e.peer)).chain(std::iter::repeat(None));
    let changes = |p: &&Peer| matches!(p, Peer::Group(_) | Peer::PrefixList(_));
    let mut live: Vec<Part<'_>> = chain
        .rules
        .iter()
        .zip(peers)
        .filter_map(|(r, entry)| Some(Part { piece: piece(f, r, peer)?, named: entry.filter(changes) }))
        .collect();
    let mut at = 0;
    while at < live.len() {
        match covering(&live, at) {
            Some(by) => {
                let gone = live.remove(at).piece;
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

// What a rule allows, and the group or prefix list that it allows it to.
struct Part<'f> {
    piece: Piece,
    named: Option<&'f Peer>,
}

// The rules that cover the one at an index, if they do. Equal ones are the affair of the check for duplicates.
fn covering(all: &[Part<'_>], at: usize) -> Option<Vec<crate::source::Origin>> {
    let named = all[at].named;
    let Piece { mut peers, protocols, ports, icmp, to, origin } = all[at].piece.clone();
    if named.is_some() {
        // It may come to hold anything.
        peers = Field::Src.all();
    }
    let one = Piece { peers, protocols, ports, icmp, to, origin };
    let same = |p: &Part<'_>| {
        p.named == named
            && (&p.piece.peers, &p.piece.protocols, &p.piece.ports, &p.piece.icmp)
                == (&all[at].piece.peers, &one.protocols, &one.ports, &one.icmp)
    };
    let meets = |p: &Piece| {
        p.peers.intersects(&one.peers)
            && p.protocols.intersects(&one.protocols)
            && p.ports.intersects(&one.ports)
            && p.icmp.intersects(&one.icmp)
    };
    let others: Vec<Piece> = all
        .iter()
        .enumerate()
        .filter(|(i, p)| *i != at && !same(p) && (p.named.is_none() || p.named == named))
        // The same name stands for the same.
        .map(|(_, p)| match p.named {
            None => p.piece.clone(),
            Some(_) => Piece { peers: Field::Src.all(), ..p.piece.clone() },
        })
        .filter(meets)
        .collect();
    if others.is_empty() {
        return None;
    }
    let mut left = regions(&one);
    let mut by = Vec::new();
    for o in &others {
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
