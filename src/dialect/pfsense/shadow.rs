//! Facts about the generated rules as a list: which let everybody in, which leave packets to others.
//!
//! Each rule is two sets of packets: those that it certainly matches, and those that it may match. Rules stand in the order in which they take
//! precedence: [`ranked`].

use super::facts::{Facts, Opening, QuirkKind};
use super::pf::{Addresses, Flags, PfAction, PfRule, Ports};
use super::user::Context;
use crate::packet::{Family, Field, IntervalSet, Neighbours, Region, flags, proto, shared_carriers};
use crate::source::Origin;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::{Arc, LazyLock};

// A rule as sets of packets, in one direction.
pub(super) struct Ranked<'r> {
    /// The rule.
    pub rule: &'r PfRule,
    /// What it certainly matches.
    pub certain: Vec<Region>,
    /// What it may match.
    pub possible: Vec<Region>,
}

// Rules of a direction that decide, in the order in which they take precedence: quick ones as they stand, then the others from the last.
pub(super) fn ranked(rules: &[PfRule], inbound: bool) -> Vec<Ranked<'_>> {
    by_rank(rules, inbound)
        .map(|rule| {
            let possible = regions(rule, inbound, false);
            let certain = match is_certain(rule) {
                true if is_exact(rule) => possible.clone(),
                true => regions(rule, inbound, true),
                false => Vec::new(),
            };
            Ranked { rule, certain, possible }
        })
        .collect()
}

fn by_rank(rules: &[PfRule], inbound: bool) -> impl Iterator<Item = &PfRule> {
    let here = move |r: &&PfRule| {
        let way = if inbound { r.direction.has_in() } else { r.direction.has_out() };
        way && r.action != PfAction::Match
    };
    let quick = rules.iter().filter(here).filter(|r| r.quick);
    let others = rules.iter().rev().filter(here).filter(|r| !r.quick);
    quick.chain(others)
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

// Whether a certain rule may match nothing but what it certainly matches.
fn is_exact(r: &PfRule) -> bool {
    let whole = |a: &Addresses| a.negated || a.unknown.is_empty() && a.names.is_empty();
    let known = |p: &Option<Ports>| p.as_ref().is_none_or(|p| p.unknown.is_empty());
    whole(&r.src) && whole(&r.dst) && known(&r.sport) && known(&r.dport)
}

// The packets that a rule certainly matches, or those that it may match.
pub(super) fn regions(r: &PfRule, inbound: bool, certain: bool) -> Vec<Region> {
    let families = Family::ALL.into_iter().filter(|f| r.family.is_none_or(|own| own == *f));
    families.flat_map(|f| region(r, f, inbound, certain).normal()).collect()
}

fn region(r: &PfRule, family: Family, inbound: bool, certain: bool) -> Region {
    let mut out = Region::all(family);
    out.narrow(Field::Src, &members(&r.src, family, certain));
    out.narrow(Field::Dst, &members(&r.dst, family, certain));
    if let Some(on) = &r.on {
        out.narrow(if inbound { Field::Iif } else { Field::Oif }, on);
    }
    if let Some(p) = &r.proto {
        out.narrow(Field::Proto, p);
    }
    let open = |p: &Ports| !certain && !p.unknown.is_empty();
    for (ports, field) in [(&r.sport, Field::Sport), (&r.dport, Field::Dport)] {
        if let Some(p) = ports {
            match open(p) {
                true => out.narrow(field, &field.all()),
                false => out.narrow(field, &p.set),
            }
            carried(&mut out, field);
        }
    }
    if let Some(types) = &r.icmp {
        out.narrow(Field::Icmp, types);
        carried(&mut out, Field::Icmp);
    }
    if let Some(set) = asked(r) {
        out.narrow(Field::TcpFlags, set);
    }
    out
}

// A rule that asks for a field matches no packet without it.
fn carried(r: &mut Region, field: Field) {
    if let Some(with) = shared_carriers(field) {
        r.narrow(Field::Proto, with);
    }
}

// The TCP flags that a rule asks for.
fn asked(r: &PfRule) -> Option<&IntervalSet> {
    match &r.flags {
        Flags::Of(set) => Some(set),
        Flags::Default if r.action == PfAction::Pass && !r.stateless => Some(opening()),
        _ => None,
    }
}

/// S/SA.
pub(super) fn opening() -> &'static Arc<IntervalSet> {
    static OPENING: LazyLock<Arc<IntervalSet>> =
        LazyLock::new(|| Arc::new(flags::masked(flags::SYN | flags::ACK, flags::SYN)));
    &OPENING
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

/// Finds block rules for TCP that stop only opening packets although some other rule lets the rest through.
pub(super) fn leaks(rules: &[PfRule], facts: &mut Facts) {
    let blocks: FxHashSet<Origin> =
        facts.quirks.iter().filter(|q| q.kind == QuirkKind::SynOnlyBlock).map(|q| q.origin).collect();
    if blocks.is_empty() {
        return;
    }
    let others = Arc::new(flags::masked(0, 0).minus(opening()));
    let passes = |r: &PfRule| matches!(r.action, PfAction::Pass | PfAction::Unknown) && r.note.is_none();
    let mut leaking: FxHashMap<Origin, Origin> = FxHashMap::default();
    for inbound in [true, false] {
        let asked = by_rank(rules, inbound).filter(|r| passes(r) || blocks.contains(&r.origin));
        let list: Vec<_> = asked.map(|r| (r, regions(r, inbound, false))).collect();
        let near = Neighbours::of(list.iter().map(|(_, possible)| possible));
        for (i, (own, possible)) in list.iter().enumerate().filter(|(_, (r, _))| blocks.contains(&r.origin)) {
            let mut left = possible.clone();
            left.iter_mut().for_each(|p| p.set(Field::TcpFlags, Arc::clone(&others)));
            let lets = |(r, possible): &&(&PfRule, Vec<Region>)| {
                passes(r) && possible.iter().any(|p| left.iter().any(|l| l.intersects(p)))
            };
            let mut behind = near.meeting(&left).into_iter().filter(|n| *n > i).map(|n| &list[n]);
            if let Some((by, _)) = behind.find(lets) {
                leaking.entry(own.origin).or_insert(by.origin);
            }
        }
    }
    for q in facts.quirks.iter_mut().filter(|q| q.kind == QuirkKind::SynOnlyBlock && q.related.is_none()) {
        let by = leaking.get(&q.origin);
        q.related = by.map(|by| (*by, "lets other packets of it through".to_owned()));
    }
}

/// Finds written pass rules on outside interfaces that take any source and do not say what for, or open the box's administration.
pub(super) fn openings(rules: &[PfRule], cx: &Context<'_>, facts: &mut Facts) {
    let own = cx.interfaces.local();
    for r in rules.iter().filter(|r| r.note.is_none() && r.action == PfAction::Pass && r.direction.has_in()) {
        let outside = facts.outside.iter().filter_map(|k| cx.interfaces.get(k));
        let Some(i) = outside.into_iter().find(|i| r.on.as_ref().is_none_or(|on| on.intersects(&i.names)))
        else {
            continue;
        };
        let tied = !r.conditions.is_empty() || r.tagged.is_some();
        let known = facts.openings.iter().any(|o| o.origin == r.origin);
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
