//! Facts about the generated rules as a list: which never decide, which let everybody in, which leave packets to others.
//!
//! Each rule is two sets of packets: those that it certainly matches, and those that it may match. A rule never decides if
//! what it may match lies within what the rules before it – before it as they take precedence, [`ranked`] – certainly match.

use super::facts::{Facts, Opening, QuirkKind, Shadow};
use super::pf::{Addresses, Flags, PfAction, PfRule, Ports};
use super::user::Context;
use crate::packet::{Family, Field, IntervalSet, Neighbours, Region, carriers, flags, proto};
use crate::source::Origin;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;

/// Pairs of rules that are compared at most: a few thousand rules on one interface. Beyond, hidden rules are no longer looked for.
const MAX_PAIRS: usize = 20_000_000;
/// Parts that the rest of one rule may fall into; beyond, the rule counts as reached.
const MAX_PARTS: usize = 2_000;
/// So many rules that hide one together are shown to be needed, each of them.
const MAX_MINIMAL: usize = 24;

// A rule as sets of packets, in one direction.
pub(super) struct Ranked<'r> {
    /// The rule.
    pub rule: &'r PfRule,
    /// What it certainly matches.
    pub certain: Vec<Region>,
    /// What it may match.
    pub possible: Vec<Region>,
    around: [Hull; 2],
}

/// Fields in which rules mostly differ.
const APART: [Field; 5] = [Field::Dst, Field::Src, Field::Dport, Field::Iif, Field::Oif];

// Lowest and highest value in each of these fields: most pairs of rules are told apart by a few numbers.
#[derive(Clone, Copy)]
struct Hull([(u128, u128); APART.len()]);

impl Hull {
    fn around(regions: &[Region]) -> Self {
        let bounds = |f: Field| {
            let ends = regions.iter().filter_map(|r| r.get(f).first().zip(r.get(f).last()));
            ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((1, 0))
        };
        Hull(APART.map(bounds))
    }

    fn meets(&self, other: &Hull) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a.0 <= b.1 && b.0 <= a.1)
    }
}

// Rules of a direction that decide, in the order in which they take precedence: quick ones as they stand, then the others from the last.
pub(super) fn ranked(rules: &[PfRule], inbound: bool) -> Vec<Ranked<'_>> {
    let here = |r: &&PfRule| {
        let way = if inbound { r.direction.has_in() } else { r.direction.has_out() };
        way && r.action != PfAction::Match
    };
    let quick = rules.iter().filter(here).filter(|r| r.quick);
    let others = rules.iter().rev().filter(here).filter(|r| !r.quick);
    quick
        .chain(others)
        .map(|rule| {
            let certain = if is_certain(rule) { regions(rule, inbound, true) } else { Vec::new() };
            let possible = regions(rule, inbound, false);
            let around = [Hull::around(&certain), Hull::around(&possible)];
            Ranked { rule, certain, possible, around }
        })
        .collect()
}

// Whether it matches what it names whatever else holds.
fn is_certain(r: &PfRule) -> bool {
    let whole =
        |a: &Addresses| a.needs.is_empty() && (!a.negated || a.unknown.is_empty() && a.names.is_empty());
    r.action != PfAction::Unknown
        && r.conditions.is_empty()
        && r.tagged.is_none()
        && whole(&r.src)
        && whole(&r.dst)
}

// The packets that a rule certainly matches, or those that it may match.
pub(super) fn regions(r: &PfRule, inbound: bool, certain: bool) -> Vec<Region> {
    let families = Family::ALL.into_iter().filter(|f| r.family.is_none_or(|own| own == *f));
    families.flat_map(|f| region(r, f, inbound, certain).normal()).collect()
}

fn region(r: &PfRule, family: Family, inbound: bool, certain: bool) -> Region {
    let mut out = Region::all(family)
        .cut(Field::Src, &members(&r.src, family, certain))
        .cut(Field::Dst, &members(&r.dst, family, certain));
    if let Some(on) = &r.on {
        out = out.cut(if inbound { Field::Iif } else { Field::Oif }, on);
    }
    if let Some(p) = &r.proto {
        out = out.cut(Field::Proto, p);
    }
    let open = |p: &Ports| !certain && !p.unknown.is_empty();
    for (ports, field) in [(&r.sport, Field::Sport), (&r.dport, Field::Dport)] {
        if let Some(p) = ports {
            let set = if open(p) { field.all() } else { p.set.clone() };
            out = carried(out.cut(field, &set), field);
        }
    }
    if let Some(types) = &r.icmp {
        out = carried(out.cut(Field::Icmp, types), Field::Icmp);
    }
    match asked(r) {
        Some(set) => out.cut(Field::TcpFlags, &set),
        None => out,
    }
}

// A rule that asks for a field matches no packet without it.
fn carried(r: Region, field: Field) -> Region {
    match carriers(field) {
        Some(with) => r.cut(Field::Proto, &with),
        None => r,
    }
}

// The TCP flags that a rule asks for.
fn asked(r: &PfRule) -> Option<IntervalSet> {
    match &r.flags {
        Flags::Of(set) => Some(set.clone()),
        Flags::Default if r.action == PfAction::Pass && !r.stateless => Some(opening()),
        _ => None,
    }
}

// S/SA.
fn opening() -> IntervalSet {
    flags::masked(flags::SYN | flags::ACK, flags::SYN)
}

fn members(a: &Addresses, family: Family, certain: bool) -> IntervalSet {
    let scope = family.all();
    let open = !a.unknown.is_empty() || !a.names.is_empty();
    match a.negated {
        true => scope.minus(&a.set),
        false if open && !certain => {
            let more = a.unknown.iter().map(|u| u.within.clone().unwrap_or_else(|| scope.clone()));
            let named = if a.names.is_empty() { IntervalSet::EMPTY } else { scope.clone() };
            more.fold(a.set.union(&named), |all, m| all.union(&m)).intersect(&scope)
        }
        false => a.set.intersect(&scope),
    }
}

/// Finds written rules that decide nothing: others take every packet of theirs.
pub(super) fn shadows(rules: &[PfRule], facts: &mut Facts) {
    let mut by_element: BTreeMap<Origin, Option<Shadow>> = BTreeMap::new();
    let mut pairs = 0;
    for inbound in [true, false] {
        let list = ranked(rules, inbound);
        for (i, own) in list
            .iter()
            .enumerate()
            .filter(|(_, r)| r.rule.note.is_none() && r.rule.action != PfAction::Unknown)
        {
            pairs += i;
            let hidden = if pairs > MAX_PAIRS { None } else { hidden(own, &list[..i], &list[i + 1..]) };
            let shadow = hidden.map(|by| Shadow { origin: own.rule.origin, by });
            match by_element.entry(own.rule.origin) {
                std::collections::btree_map::Entry::Vacant(e) => {
                    e.insert(shadow);
                }
                std::collections::btree_map::Entry::Occupied(mut e) => match (e.get_mut(), shadow) {
                    (Some(known), Some(more)) => {
                        known.by.extend(more.by);
                        known.by.sort();
                        known.by.dedup();
                    }
                    (known, _) => *known = None,
                },
            }
        }
    }
    facts.shadows = by_element.into_values().flatten().collect();
}

// The rules that together take every packet that the rule may match; `None` if some packet reaches it for all that is known.
fn hidden(
    own: &Ranked<'_>,
    before: &[Ranked<'_>],
    behind: &[Ranked<'_>],
) -> Option<Vec<(Origin, Option<String>)>> {
    // A tag stays on the packet whoever decides. A rule that matches nothing decides nothing wherever it stands: another finding.
    if !own.rule.quick && own.rule.tag.is_some() || own.possible.is_empty() {
        return None;
    }
    let near: Vec<&Ranked<'_>> = before
        .iter()
        .filter(|b| b.around[0].meets(&own.around[1]))
        .filter(|b| b.certain.iter().any(|c| own.possible.iter().any(|p| c.intersects(p))))
        .collect();
    let takes_all = |list: &[&Ranked<'_>]| {
        rest(&own.possible, list).is_some_and(|r| r.is_empty() || is_left_to_others(own.rule, &r, behind))
    };
    let named = |r: &Ranked<'_>| (r.rule.origin, r.rule.note.clone());
    if let Some(one) = near.iter().find(|b| takes_all(&[**b])) {
        return Some(vec![named(one)]);
    }
    if !takes_all(&near) {
        return None;
    }
    let mut needed = near;
    if needed.len() <= MAX_MINIMAL {
        for i in (0..needed.len()).rev() {
            let mut fewer = needed.clone();
            fewer.remove(i);
            if takes_all(&fewer) {
                needed = fewer;
            }
        }
    }
    let mut by: Vec<_> = needed.into_iter().map(named).collect();
    by.sort();
    by.dedup();
    Some(by)
}

// Whether what is left for a block are packets that open no connection, and rules behind it stop all of them anyway: that the default deny
// would do the same does not make it useful.
fn is_left_to_others(rule: &PfRule, left: &[Region], behind: &[Ranked<'_>]) -> bool {
    let blocks = matches!(rule.action, PfAction::Block | PfAction::Reject);
    let opening = opening();
    let later = |r: &Region| {
        r.get(Field::Proto).count() == 1
            && r.get(Field::Proto).contains(proto::TCP.into())
            && !r.get(Field::TcpFlags).intersects(&opening)
    };
    if !blocks || !left.iter().all(later) {
        return false;
    }
    let mut left = left.to_vec();
    for r in behind {
        let stops = matches!(r.rule.action, PfAction::Block | PfAction::Reject);
        if !stops && r.possible.iter().any(|p| left.iter().any(|l| l.intersects(p))) {
            return false;
        }
        for taken in &r.certain {
            left = left.iter().flat_map(|p| p.minus(taken)).collect();
        }
        if left.is_empty() || left.len() > MAX_PARTS {
            return left.is_empty();
        }
    }
    false
}

// What rules leave of some packets; `None` if it falls into too many parts to say.
fn rest(packets: &[Region], rules: &[&Ranked<'_>]) -> Option<Vec<Region>> {
    let mut left = packets.to_vec();
    for taken in rules.iter().flat_map(|r| &r.certain) {
        left = left.iter().flat_map(|p| p.minus(taken)).collect();
        if left.len() > MAX_PARTS {
            return None;
        }
    }
    Some(left)
}

/// Finds block rules for TCP that stop only opening packets although some other rule lets the rest through.
pub(super) fn leaks(rules: &[PfRule], facts: &mut Facts) {
    let blocks: FxHashSet<Origin> =
        facts.quirks.iter().filter(|q| q.kind == QuirkKind::SynOnlyBlock).map(|q| q.origin).collect();
    if blocks.is_empty() {
        return;
    }
    let others = flags::masked(0, 0).minus(&opening());
    for inbound in [true, false] {
        let list = ranked(rules, inbound);
        let near = Neighbours::of(list.iter().map(|r| &r.possible));
        for (i, own) in list.iter().enumerate().filter(|(_, r)| blocks.contains(&r.rule.origin)) {
            let left: Vec<_> = own.possible.iter().map(|p| p.with(Field::TcpFlags, others.clone())).collect();
            let passes = |r: &&Ranked<'_>| {
                matches!(r.rule.action, PfAction::Pass | PfAction::Unknown)
                    && r.rule.note.is_none()
                    && r.possible.iter().any(|p| left.iter().any(|l| l.intersects(p)))
            };
            let behind = near.meeting(&left).into_iter().filter(|n| *n > i).map(|n| &list[n]);
            let Some(by) = behind.into_iter().find(passes) else { continue };
            for q in facts.quirks.iter_mut().filter(|q| q.origin == own.rule.origin) {
                if q.kind == QuirkKind::SynOnlyBlock && q.related.is_none() {
                    q.related = Some((by.rule.origin, "lets other packets of it through".to_owned()));
                }
            }
        }
    }
}

/// Finds written pass rules on outside interfaces that take any source and do not say what for, or open the box's administration.
pub(super) fn openings(rules: &[PfRule], cx: &Context<'_>, facts: &mut Facts) {
    let hidden: FxHashSet<Origin> = facts.shadows.iter().map(|s| s.origin).collect();
    let own = cx.interfaces.local();
    for r in rules.iter().filter(|r| r.note.is_none() && r.action == PfAction::Pass && r.direction.has_in()) {
        let outside = facts.outside.iter().filter_map(|k| cx.interfaces.get(k));
        let Some(i) = outside.into_iter().find(|i| r.on.as_ref().is_none_or(|on| on.intersects(&i.names)))
        else {
            continue;
        };
        let tied = !r.conditions.is_empty() || r.tagged.is_some();
        let known = hidden.contains(&r.origin) || facts.openings.iter().any(|o| o.origin == r.origin);
        if tied || known || !is_everybody(&r.src) {
            continue;
        }
        let everything = r.dst == Addresses::any();
        let Some(to) = what(r, everything, &own, &facts.admin_ports) else { continue };
        let message = format!("anybody on {} may reach {to} through this rule", i.key);
        facts.openings.push(Opening { origin: r.origin, message });
    }
}

// Every address, or all but a few.
fn is_everybody(a: &Addresses) -> bool {
    a.negated || *a == Addresses::any()
}

// What a rule opens, if it is more than a service.
fn what(r: &PfRule, everything: bool, own: &IntervalSet, admin_ports: &[u16]) -> Option<String> {
    let services = |p: u8| r.proto.as_ref().is_none_or(|set| set.contains(p.into()));
    let bounded = r.icmp.is_some() || !services(proto::TCP) && !services(proto::UDP);
    let Some(ports) = &r.dport else {
        let to = if everything { "anything" } else { "every port of its destination" };
        return (!bounded).then(|| to.to_owned());
    };
    let firewall = everything || !r.dst.negated && r.dst.set.intersects(own);
    let port = admin_ports.iter().find(|p| ports.set.contains(u128::from(**p)))?;
    (firewall && services(proto::TCP))
        .then(|| format!("the administration of the firewall itself (tcp/{port})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{addr, interface_value};

    fn lan(action: PfAction, place: usize, ports: (u16, u16)) -> PfRule {
        let on = IntervalSet::single(interface_value("lan").expect("a name"));
        let ports = Ports::of(IntervalSet::range(ports.0, ports.1));
        let rule = PfRule::new(action, Origin::new(0, place, place + 1)).quick().inbound().on(on);
        PfRule { dport: Some(ports), ..rule.family(Family::V4).proto(&[proto::TCP]) }
    }

    fn hiders(rules: &[PfRule]) -> Vec<(u32, Vec<u32>)> {
        let mut facts = Facts::default();
        shadows(rules, &mut facts);
        let by = |s: &Shadow| s.by.iter().map(|b| b.0.start).collect();
        facts.shadows.iter().map(|s| (s.origin.start, by(s))).collect()
    }

    #[test]
    fn several_rules_hide_one_together() {
        let a = lan(PfAction::Pass, 1, (1, 100));
        let b = lan(PfAction::Pass, 2, (60, 200));
        let elsewhere = lan(PfAction::Pass, 3, (500, 600));
        let hidden = lan(PfAction::Pass, 4, (50, 150));
        let wider = lan(PfAction::Pass, 5, (50, 201));
        assert_eq!(hiders(&[a, b, elsewhere, hidden, wider]), [(4, vec![1, 2])]);
    }

    #[test]
    fn a_pass_does_not_hide_a_block_of_other_flags() {
        let pass = lan(PfAction::Pass, 1, (1, 100));
        let block = lan(PfAction::Block, 2, (1, 100));
        assert_eq!(hiders(&[pass.clone(), block.clone()]), [], "packets without SYN reach the block");
        assert_eq!(hiders(&[block, pass]), [(1, vec![2])]);
    }

    #[test]
    fn what_is_not_certain_hides_nothing() {
        let doubt = super::super::pf::Unknown::new("schedule", "");
        let sometimes = lan(PfAction::Pass, 1, (1, 100)).when(doubt.clone());
        let listed = lan(PfAction::Pass, 2, (1, 100)).from(Addresses::unknown(doubt.clone()));
        let below = lan(PfAction::Pass, 3, (1, 100));
        assert_eq!(hiders(&[sometimes.clone(), listed, below.clone()]), []);
        // Nor does it save a rule: whatever the condition, its packets are taken.
        let hidden = PfRule { origin: Origin::new(0, 4, 5), ..sometimes };
        assert_eq!(hiders(&[below, hidden]), [(4, vec![3])]);
    }

    #[test]
    fn a_later_rule_overrides_one_that_is_not_quick() {
        let slow = |action, place| PfRule { quick: false, ..lan(action, place, (1, 100)) };
        assert_eq!(hiders(&[slow(PfAction::Pass, 1), slow(PfAction::Pass, 2)]), [(1, vec![2])]);
        let tagging = PfRule { tag: Some("T".into()), ..slow(PfAction::Pass, 1) };
        assert_eq!(hiders(&[tagging, slow(PfAction::Pass, 2)]), [], "its tag stays");
        let part = addr::parse("10.0.0.0/8").map(Addresses::of).expect("a network");
        assert_eq!(hiders(&[slow(PfAction::Pass, 1), slow(PfAction::Pass, 2).from(part)]), []);
    }
}
