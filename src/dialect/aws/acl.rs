//! Network ACLs: one more base chain at each hook, without memory.
//!
//! Which ACL is asked follows from the subnet of the interface, and so from the packet's own address: exactly where the files hold the subnets, for the
//! listed addresses where they hold only interfaces. Entries are asked in order of their number; the first that matches decides; what
//! matches none is denied. Traffic within a subnet passes no network ACL.

use super::inventory::{Acl, Peer, Unknown};
use super::lower::{Lowering, peer_field, union};
use crate::model::{Action, BaseChain, ChainId, ChainKind, ConditionKind, Firewall, Hook, Policy, Term};
use crate::packet::{Family, Field, IntervalSet, Value, addr};
use crate::source::Origin;
use std::collections::{BTreeMap, BTreeSet};

// Subnets: addresses, and whether these are all (a prefix) or only those of known interfaces.
type Subnets<'i> = BTreeMap<&'i str, (IntervalSet, bool)>;

/// Lowers the network ACLs for a hook; nothing if there are none.
pub fn lower(lowering: &mut Lowering<'_>, hook: Hook) {
    let inventory = lowering.inventory;
    let Some(first) = inventory.acls.first() else { return };
    let subnets = subnets(lowering);
    let base = lowering.builder.chain(hook.name(), "network ACLs", first.origin);
    lowering.unfiltered(base, hook, first.origin);
    for acl in &inventory.acls {
        for subnet in acl.subnets.iter().flatten() {
            within_subnet(lowering, base, hook, acl, subnet, &subnets);
        }
    }
    let placed = union(subnets.values().map(|(a, _)| a));
    let members: Vec<IntervalSet> = inventory
        .acls
        .iter()
        .map(|a| union(a.subnets.iter().flatten().filter_map(|s| subnets.get(s.as_str())).map(|(a, _)| a)))
        .collect();
    for (i, acl) in inventory.acls.iter().enumerate() {
        let chain = entries(lowering, hook, acl);
        let others = union(members.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, m)| m));
        let exact =
            acl.subnets.iter().flatten().all(|s| subnets.get(s.as_str()).is_some_and(|(_, whole)| *whole));
        let open = match acl.subnets {
            // Any subnet that no other network ACL names may be its own.
            None => Field::Dst.all().minus(&others),
            Some(_) if exact || lowering.complete => IntervalSet::EMPTY,
            Some(_) => Field::Dst.all().minus(&placed),
        };
        let guard = guard(lowering, hook, acl, &members[i], &others, open);
        let rule = lowering.builder.implicit(
            acl.origin,
            &[guard],
            Action::Goto(chain),
            "its subnets use this network ACL",
        );
        lowering.builder.push(base, rule);
    }
    elsewhere(lowering, base, hook, &subnets, first);
    let policy_note = Some(lowering.builder.note("no network ACL in the files is for this subnet"));
    lowering.builder.base_chain(BaseChain {
        chain: base,
        hook,
        priority: if hook == Hook::Ingress { -10 } else { 10 },
        policy: Policy::Accept,
        policy_origin: first.origin,
        policy_note,
        families: Family::ALL.to_vec(),
        kind: ChainKind::Filter,
    });
}

// Subnets that the files know, and whose network ACL they do not: every subnet has one.
fn elsewhere(lowering: &mut Lowering<'_>, base: ChainId, hook: Hook, subnets: &Subnets<'_>, first: &Acl) {
    let acls = &lowering.inventory.acls;
    if acls.iter().any(|a| a.subnets.is_none()) {
        return;
    }
    let covered: BTreeSet<&str> =
        acls.iter().flat_map(|a| a.subnets.iter().flatten()).map(String::as_str).collect();
    let other = union(subnets.iter().filter(|(id, _)| !covered.contains(*id)).map(|(_, (a, _))| a));
    if other.is_empty() {
        return;
    }
    let why = "no network ACL in the files names the subnet: give describe-network-acls in full";
    let unknown = lowering.builder.condition(
        "the network ACL of the subnet",
        why,
        ConditionKind::Volatile,
        first.origin,
    );
    let term = lowering.builder.field(Firewall::own_address(hook), other);
    let note = "every subnet has a network ACL";
    let rule = lowering.builder.implicit(first.origin, &[term], Action::Unknown(unknown), note);
    lowering.builder.push(base, rule);
}

fn subnets<'i>(lowering: &Lowering<'i>) -> Subnets<'i> {
    let inventory = lowering.inventory;
    let mut out = Subnets::new();
    for i in &inventory.interfaces {
        if let Some(s) = &i.subnet {
            let known = &mut out.entry(s).or_insert((IntervalSet::EMPTY, false)).0;
            *known = known.union(&i.addresses);
        }
    }
    for s in inventory.subnets.iter().filter(|s| !s.addresses.is_empty()) {
        out.insert(&s.id, (s.addresses.clone(), true));
    }
    out
}

// Whether the packet's own address is in a subnet of the ACL.
fn guard(
    lowering: &mut Lowering<'_>,
    hook: Hook,
    acl: &Acl,
    members: &IntervalSet,
    others: &IntervalSet,
    open: IntervalSet,
) -> Term {
    let own = Firewall::own_address(hook);
    let certain = members.minus(others);
    let doubtful = members.intersect(others).union(&open);
    let certain = lowering.builder.field(own, certain);
    if doubtful.is_empty() {
        return certain;
    }
    let unknown = Unknown {
        text: format!("the interface is in a subnet of {}", acl.id),
        why: "the subnets' prefixes are in no file: give describe-subnets".to_owned(),
        origin: acl.origin,
    };
    let doubtful = vec![lowering.builder.field(own, doubtful), lowering.unknown(&unknown)];
    lowering.builder.any(vec![vec![certain], doubtful])
}

// Traffic within a subnet is not filtered.
fn within_subnet(
    lowering: &mut Lowering<'_>,
    base: ChainId,
    hook: Hook,
    acl: &Acl,
    subnet: &str,
    subnets: &Subnets<'_>,
) {
    let (own, peer) = (Firewall::own_address(hook), peer_field(hook));
    let note = "traffic within a subnet passes no network ACL";
    let (known, whole) = subnets.get(subnet).cloned().unwrap_or_default();
    if !known.is_empty() {
        let terms = [lowering.builder.field(own, known.clone()), lowering.builder.field(peer, known.clone())];
        let rule = lowering.builder.implicit(acl.origin, &terms, Action::Accept, note);
        lowering.builder.push(base, rule);
    }
    if whole || lowering.complete {
        return;
    }
    // The subnet's prefix is not known: peers so near that one subnet may hold both.
    let near = neighbourhood(&known);
    let unknown = Unknown {
        text: format!("both ends are in {subnet}"),
        why: "its prefix is in no file: give describe-subnets".to_owned(),
        origin: acl.origin,
    };
    let mut terms = Vec::new();
    if !known.is_empty() {
        terms.push(lowering.builder.field(own, near.clone()));
        terms.push(lowering.builder.field(peer, near));
    }
    terms.push(lowering.unknown(&unknown));
    let rule = lowering.builder.implicit(acl.origin, &terms, Action::Accept, note);
    lowering.builder.push(base, rule);
}

// A subnet is at most a /16 (IPv4) or a /44 (IPv6) (VPC user guide, "Subnet CIDR blocks").
fn neighbourhood(known: &IntervalSet) -> IntervalSet {
    let around = |v: Value| {
        let free: Value = match addr::family(v) {
            Family::V4 => (1 << 16) - 1,
            Family::V6 => (1 << 84) - 1,
        };
        (v & !free, v | free)
    };
    IntervalSet::from_ranges(known.ranges().iter().flat_map(|(lo, hi)| [around(*lo), around(*hi)]))
}

fn entries(lowering: &mut Lowering<'_>, hook: Hook, acl: &Acl) -> ChainId {
    let chain = lowering.builder.chain(hook.name(), &acl.id, acl.origin);
    for u in &acl.unknown {
        lowering.builder.not_understood(chain, u.origin, &[], &u.text);
    }
    let mut list: Vec<_> = acl.entries.iter().filter(|e| e.egress == (hook == Hook::Egress)).collect();
    list.sort_by_key(|e| e.number);
    for e in list {
        let mut terms = Vec::with_capacity(4);
        lowering.service(&e.service, e.origin, &mut terms);
        let peer = match &e.peer {
            Peer::Net(net) => lowering.builder.field(peer_field(hook), addr::net(*net)),
            Peer::Unknown(text, why) => lowering.builder.opaque(text, why, false, e.origin),
            Peer::PrefixList(_) | Peer::Group(_) => Term::NEVER,
        };
        terms.push(peer);
        lowering.builder.add(chain, e.origin, &terms, if e.allow { Action::Accept } else { Action::Drop });
    }
    let note = "a network ACL denies what no entry matches";
    let last = lowering.builder.implicit(Origin { ..acl.origin }, &[], Action::Drop, note);
    lowering.builder.push(chain, last);
    chain
}
