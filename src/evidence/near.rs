//! Near misses: rules that would have let a packet in, had one thing been different.

use crate::analysis::decide::field_name;
use crate::finding::Related;
use crate::model::{Action, Firewall, Rule};
use crate::packet::{Field, IntervalSet, Packet, addr, interface_name, proto};

/// The accepting rules nearest to a packet that was refused: at most two, each failing on one field only.
pub fn near_misses(firewall: &Firewall, packet: &Packet) -> Vec<Related> {
    let seen = firewall.reached();
    let mut found: Vec<(u8, &Rule, Field)> = Vec::new();
    for (chain, _) in firewall.chains.iter().zip(seen).filter(|(_, s)| **s) {
        for rule in chain.rules.iter().filter(|r| r.action == Action::Accept && r.terms.len > 0) {
            if let Some(field) = single_miss(firewall, rule, packet) {
                let rank = match field {
                    Field::Src => 0,
                    Field::Dst => 1,
                    Field::Iif | Field::Oif => 2,
                    Field::Dport => 3,
                    _ => 4,
                };
                found.push((rank, rule, field));
            }
        }
    }
    found.sort_by_key(|(rank, rule, _)| (*rank, rule.origin));
    let best = found.first().map(|f| f.0);
    found
        .into_iter()
        .filter(|f| Some(f.0) == best && f.0 < 4)
        .take(2)
        .map(|(_, rule, field)| Related {
            location: firewall.locate(rule.origin),
            message: describe(firewall, rule, field).into(),
        })
        .collect()
}

// The one field on which the rule misses the packet. A rule must ask for the packet's port, or for its source, to be near.
fn single_miss(firewall: &Firewall, rule: &Rule, packet: &Packet) -> Option<Field> {
    let mut miss = None;
    let mut hit_port = false;
    let mut hit_source = false;
    for term in firewall.terms(rule.terms).iter().rev() {
        let (field, holds) = firewall.holds(term, packet)?;
        match field {
            Field::Dport if holds => hit_port = true,
            Field::Src if holds => hit_source = true,
            _ => {}
        }
        if !holds {
            match miss {
                None => miss = Some(field),
                Some(f) if f == field => {}
                Some(_) => return None,
            }
        }
    }
    let near = match miss? {
        Field::Dport => hit_source,
        _ => hit_port,
    };
    near.then_some(miss).flatten()
}

fn describe(firewall: &Firewall, rule: &Rule, field: Field) -> String {
    let set = firewall
        .terms(rule.terms)
        .iter()
        .filter_map(|t| firewall.field_set(t))
        .filter_map(|(f, set)| (f == field).then_some(set))
        .reduce(|a, b| a.intersect(&b))
        .unwrap_or_default();
    let what = words(field, &set);
    match field {
        Field::Src => format!("nearly: admits {what} only"),
        Field::Dst => format!("nearly: for destination {what} only"),
        Field::Iif | Field::Oif => format!("nearly: for interface {what} only"),
        Field::Dport => format!("nearly: for port {what} only"),
        _ => format!("nearly: differs in its {}", field_name(field)),
    }
}

/// A set of a field in words, a few at most: `10.1.0.0/28, 10.2.0.1 and 3 more`.
pub fn words(field: Field, set: &IntervalSet) -> String {
    let all: Vec<String> = match field {
        Field::Src | Field::Dst => addr::display(set),
        Field::Iif | Field::Oif => set
            .ranges()
            .iter()
            .map(|(lo, hi)| if lo == hi { interface_name(*lo) } else { format!("{}*", interface_name(*lo)) })
            .collect(),
        Field::Proto => {
            set.ranges().iter().flat_map(|(lo, hi)| *lo..=*hi).map(|p| proto::name(p as u8)).collect()
        }
        _ => ports(set),
    };
    few(&all)
}

/// At most four of a list, and how many more there are.
pub fn few(all: &[String]) -> String {
    const SHOWN: usize = 4;
    if all.len() <= SHOWN + 1 {
        return all.join(", ");
    }
    format!("{} and {} more", all[..SHOWN].join(", "), all.len() - SHOWN)
}

/// A set of numbers as `22`, `80-443`.
pub fn ports(set: &IntervalSet) -> Vec<String> {
    set.ranges().iter().map(|(lo, hi)| if lo == hi { lo.to_string() } else { format!("{lo}-{hi}") }).collect()
}
