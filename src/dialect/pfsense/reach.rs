//! Facts about the generated rules as a list, of packets that somebody had in mind: forwards that lead nowhere, and blocks that
//! their twins of the other family lack.

use super::facts::{Dead, Facts, Gap};
use super::pf::{Direction, PfAction, PfRule, Rewrite, Ruleset};
use super::shadow::{Ranked, ranked, regions};
use super::user::{self, Context, Written};
use crate::packet::{Family, IntervalSet, Region};
use crate::source::Origin;
use std::collections::{BTreeMap, BTreeSet};

/// Pairs of a block and a pass that are compared at most.
const MAX_PAIRS: usize = 5_000;
/// Parts that the rest of some packets may fall into; beyond, nothing is said.
const MAX_PARTS: usize = 500;

// Whether some of the packets may get past the rules, with the tag that they have; `None` where that falls into too many parts to say.
fn passes(packets: Vec<Region>, tag: Option<&str>, rules: &[Ranked<'_>]) -> Option<bool> {
    let mut left = packets;
    for r in rules {
        let tests = r.rule.tagged.as_ref().filter(|t| !t.negated).map(|t| t.name.as_str());
        if tests.is_some() && tests != tag {
            continue;
        }
        let lets = !matches!(r.rule.action, PfAction::Block | PfAction::Reject);
        if lets && r.possible.iter().any(|p| left.iter().any(|l| l.intersects(p))) {
            return Some(true);
        }
        for taken in &r.certain {
            left = left.iter().flat_map(|p| p.minus(taken)).collect();
        }
        if left.is_empty() {
            return Some(false);
        }
        if left.len() > MAX_PARTS {
            return None;
        }
    }
    // pf passes what no rule matches.
    Some(true)
}

/// Finds port forwards behind which no rule lets a packet in that comes by the interface of the forward. A 1:1 translation may be there for what goes
/// out.
pub(super) fn dead_forwards(rules: &Ruleset, facts: &mut Facts) {
    if !rules.refused.is_empty() || !rules.doubts.is_empty() || rules.disabled.is_some() {
        return;
    }
    if rules.nat_in.iter().all(|n| n.matches.note.is_some()) {
        return;
    }
    let list = ranked(&rules.rules, true);
    // The interfaces of each forward, and whether one of its rules leads somewhere; what inside networks see of it comes later.
    let mut found: BTreeMap<Origin, (Option<IntervalSet>, bool)> = BTreeMap::new();
    let outward: BTreeSet<Origin> = rules
        .nat_out
        .iter()
        .filter(|n| matches!(n.rewrite, Rewrite::Address { port: None, .. }))
        .map(|n| n.matches.origin)
        .collect();
    let forwards =
        rules.nat_in.iter().filter(|n| n.matches.note.is_none() && !outward.contains(&n.matches.origin));
    for nat in forwards {
        let own = found.entry(nat.matches.origin).or_insert_with(|| (nat.matches.on.clone(), false));
        if own.0 != nat.matches.on || own.1 {
            continue;
        }
        let behind = translated(&nat.matches, &nat.rewrite).filter(|_| !nat.pass);
        let tag = nat.matches.tag.as_deref();
        own.1 = behind.is_none_or(|b| passes(regions(&b, true, false), tag, &list) != Some(false));
    }
    let dead = found
        .into_iter()
        .filter(|(origin, (_, alive))| !alive && !facts.orphans.iter().any(|o| o.origin == *origin));
    facts.dead = dead.map(|(origin, _)| Dead { origin }).collect();
}

// What the packets of a translation look like behind it.
fn translated(matches: &PfRule, rewrite: &Rewrite) -> Option<PfRule> {
    let Rewrite::Address { to: Some((lo, hi)), port, port_from: _, prefix: _ } = rewrite else { return None };
    let mut rule = matches.clone();
    rule.dst = super::pf::Addresses::of(IntervalSet::range(*lo, *hi));
    rule.flags = super::pf::Flags::Any;
    if let Some((lo, hi)) = port {
        rule.dport = Some(super::pf::Ports::of(IntervalSet::range(*lo, *hi)));
    }
    Some(rule)
}

/// Finds blocks for IPv4 only above a pass for both families that lets the same packets of IPv6 through.
pub(super) fn gaps(written: &[&Written], rules: &[PfRule], cx: &Context<'_>, facts: &mut Facts) {
    if cx.ipv6 != Some(true) {
        return;
    }
    let sure = |w: &&&Written| !w.disabled && w.doubts.is_empty() && w.quick && w.direction != Direction::Out;
    let stops =
        |w: &&&Written| ["block", "reject"].contains(&w.action.as_str()) && w.families == [Family::V4];
    let lets =
        |w: &&&Written| !["block", "reject", "match"].contains(&w.action.as_str()) && w.families.len() == 2;
    let blocks: Vec<_> = written.iter().filter(sure).filter(stops).collect();
    let open: Vec<_> = written.iter().filter(sure).filter(lets).collect();
    if blocks.is_empty() || open.len() * blocks.len() > MAX_PAIRS || open.is_empty() {
        return;
    }
    let list = ranked(rules, true);
    for block in blocks {
        let twin = Written { families: vec![Family::V6], ..(**block).clone() };
        let six: Vec<Region> =
            user::generate(&twin, cx).rules.iter().flat_map(|r| regions(r, true, false)).collect();
        let through = open.iter().find(|pass| {
            let below = own(&list, block, Family::V4).any(|(at, b)| {
                let hides =
                    |p: &Ranked<'_>| p.possible.iter().any(|p| b.possible.iter().any(|b| b.intersects(p)));
                own(&list, pass, Family::V4).any(|(later, p)| later > at && hides(p))
            });
            below && own(&list, pass, Family::V6).any(|(at, p)| reaches(&six, &list[..at], p))
        });
        if let Some(pass) = through {
            facts.gaps.push(Gap { origin: block.origin, pass: pass.origin });
        }
    }
    facts.gaps.sort_by_key(|g| (g.origin, g.pass));
    facts.gaps.dedup_by_key(|g| g.origin);
}

// The rules that a written one became in a family, with their places in the list.
fn own<'l, 'r>(
    list: &'l [Ranked<'r>],
    w: &Written,
    family: Family,
) -> impl Iterator<Item = (usize, &'l Ranked<'r>)> {
    let origin = w.origin;
    let rules = list.iter().enumerate();
    rules.filter(move |(_, r)| r.rule.origin == origin && r.rule.family == Some(family))
}

// Whether some of the packets come to a rule past those before it, as far as these are certain.
fn reaches(packets: &[Region], before: &[Ranked<'_>], rule: &Ranked<'_>) -> bool {
    let mut left = packets.to_vec();
    for taken in before.iter().flat_map(|r| &r.certain) {
        left = left.iter().flat_map(|p| p.minus(taken)).collect();
        if left.is_empty() || left.len() > MAX_PARTS {
            return false;
        }
    }
    left.iter().any(|l| rule.certain.iter().any(|p| p.intersects(l)))
}
