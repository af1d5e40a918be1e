//! Facts about the generated rules as a list: which are never reached, which open a WAN to everybody.

use super::facts::{Facts, Opening, Shadow};
use super::pf::{Addresses, Direction, Flags, PfAction, PfRule};
use super::user::Context;
use crate::packet::{Family, IntervalSet, flags, proto};
use crate::source::Origin;
use std::collections::BTreeMap;

/// Pairs of rules that are compared at most: a few thousand rules on one interface. Beyond, hidden rules are no longer looked for.
const MAX_PAIRS: usize = 20_000_000;

/// Finds written rules all of whose pf rules stand behind a quick rule that takes every packet of theirs.
pub(super) fn shadows(rules: &[PfRule], facts: &mut Facts) {
    let mut by_element: BTreeMap<Origin, Option<Shadow>> = BTreeMap::new();
    let blockers: Vec<(usize, &PfRule)> =
        rules.iter().enumerate().filter(|(_, r)| blocks_the_view(r)).collect();
    let enough = MAX_PAIRS / blockers.len().max(1);
    for (i, rule) in rules.iter().enumerate().filter(|(_, r)| r.note.is_none()).take(enough) {
        // A rule that is not quick decides only if no quick rule does, wherever that stands.
        let before = |b: &&(usize, &PfRule)| !rule.quick || b.0 < i;
        let by = blockers.iter().filter(before).find(|(j, b)| *j != i && covers(b, rule));
        let shadow = by.filter(|_| !matches_nothing(rule)).map(|(_, b)| Shadow {
            origin: rule.origin,
            by: b.origin,
            note: b.note.clone(),
        });
        let entry = by_element.entry(rule.origin).or_insert_with(|| shadow.clone());
        if shadow.is_none() {
            *entry = None;
        }
    }
    facts.shadows = by_element.into_values().flatten().collect();
}

// Quick, deciding, and certain to match what it names.
fn blocks_the_view(r: &PfRule) -> bool {
    let certain =
        |a: &Addresses| a.needs.is_empty() && (!a.negated || a.unknown.is_empty() && a.names.is_empty());
    let ports = [&r.sport, &r.dport].into_iter().flatten().all(|p| p.unknown.is_empty());
    r.quick
        && !matches!(r.action, PfAction::Match | PfAction::Unknown)
        && r.conditions.is_empty()
        && r.tagged.is_none()
        && certain(&r.src)
        && certain(&r.dst)
        && ports
}

// Such a rule is not hidden by others: it decides nothing wherever it stands, and that is another finding.
fn matches_nothing(r: &PfRule) -> bool {
    let nobody = |a: &Addresses| !a.negated && a.set.is_empty() && a.names.is_empty() && a.unknown.is_empty();
    let no_port =
        [&r.sport, &r.dport].into_iter().flatten().any(|p| p.set.is_empty() && p.unknown.is_empty());
    nobody(&r.src) || nobody(&r.dst) || no_port
}

fn covers(a: &PfRule, b: &PfRule) -> bool {
    let family = a.family.is_none() || a.family == b.family;
    let direction = a.direction == Direction::Both || a.direction == b.direction;
    let within = |x: &Option<IntervalSet>, y: &Option<IntervalSet>| match (x, y) {
        (None, _) => true,
        (Some(x), Some(y)) => x.covers(y),
        (Some(_), None) => false,
    };
    let ports = |x: &Option<super::pf::Ports>, y: &Option<super::pf::Ports>| match (x, y) {
        (None, _) => true,
        (Some(x), Some(y)) => y.unknown.is_empty() && x.set.covers(&y.set),
        (Some(_), None) => false,
    };
    family
        && direction
        && within(&a.on, &b.on)
        && within(&a.proto, &b.proto)
        && within(&a.icmp, &b.icmp)
        && ports(&a.sport, &b.sport)
        && ports(&a.dport, &b.dport)
        && addresses(&a.src, &b.src, b.family)
        && addresses(&a.dst, &b.dst, b.family)
        && tcp_flags(a, b)
}

// Whether the certain members of one hold all possible members of the other.
fn addresses(a: &Addresses, b: &Addresses, family: Option<Family>) -> bool {
    let scope = family.map_or_else(|| Family::V4.all().union(&Family::V6.all()), Family::all);
    let certain = if a.negated { scope.minus(&a.set) } else { a.set.intersect(&scope) };
    let open = !b.unknown.is_empty() || !b.names.is_empty();
    let possible = match (b.negated, open) {
        (true, _) => scope.minus(&b.set),
        (false, true) => scope,
        (false, false) => b.set.intersect(&scope),
    };
    certain.covers(&possible)
}

fn tcp_flags(a: &PfRule, b: &PfRule) -> bool {
    let has_tcp = |r: &PfRule| r.proto.as_ref().is_none_or(|p| p.contains(proto::TCP.into()));
    let wanted = |r: &PfRule| match &r.flags {
        Flags::Of(set) => set.clone(),
        Flags::Default if r.action == PfAction::Pass && !r.stateless => {
            flags::masked(flags::SYN | flags::ACK, flags::SYN)
        }
        _ => flags::masked(0, 0),
    };
    !has_tcp(a) || !has_tcp(b) || wanted(a).covers(&wanted(b))
}

/// Finds written pass rules on outside interfaces that take any source and do not say what for.
pub(super) fn openings(rules: &[PfRule], cx: &Context<'_>, facts: &mut Facts) {
    let everything = Addresses::any();
    for r in rules.iter().filter(|r| r.note.is_none() && r.action == PfAction::Pass && r.direction.has_in()) {
        let outside = facts.outside.iter().filter_map(|k| cx.interfaces.get(k));
        let hit = outside.into_iter().find(|i| r.on.as_ref().is_none_or(|on| on.intersects(&i.names)));
        let named = r.dport.is_some()
            || r.icmp.is_some()
            || r.proto
                .as_ref()
                .is_some_and(|p| !p.contains(proto::TCP.into()) && !p.contains(proto::UDP.into()));
        let tied = !r.conditions.is_empty() || r.tagged.is_some();
        let fresh = facts.openings.iter().all(|o| o.origin != r.origin);
        if let Some(i) = hit.filter(|_| r.src == everything && !named && !tied && fresh) {
            let to = if r.dst == everything { "anything" } else { "every port of its destination" };
            let message = format!("anybody on {} may reach {to} through this rule", i.key);
            facts.openings.push(Opening { origin: r.origin, message });
        }
    }
}
