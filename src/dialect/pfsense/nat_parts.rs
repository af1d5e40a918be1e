//! What translations of all kinds are made of: their ends, their targets, their ports.

use super::address::{self, End};
use super::aliases::{Fault, parse_net};
use super::facts::{Facts, Quirk, QuirkKind};
use super::interfaces::Iface;
use super::pf::{Addresses, NatRule, PfAction, PfRule, Ports, Rewrite, Ruleset, Unknown};
use super::product::Product;
use super::settle::settle;
use super::user::{Context, ports};
use super::xml::{Doubt, Element};
use crate::packet::addr::{self, Family};
use crate::packet::{IntervalSet, proto};
use crate::source::Origin;

pub(super) const TCP_UDP: &[u8] = &[proto::TCP, proto::UDP];

pub(super) fn bounds(set: &IntervalSet) -> Option<(u128, u128)> {
    match set.ranges() {
        [one] => Some(*one),
        _ => None,
    }
}

pub(super) fn matching(origin: Origin, on: &IntervalSet) -> PfRule {
    PfRule::new(PfAction::Pass, origin).on(on.clone())
}

pub(super) fn fixed(to: (u128, u128)) -> Rewrite {
    Rewrite::Address { to: Some(to), prefix: to.0 != to.1, port: None, port_from: None }
}

pub(super) fn drop_quirk(facts: &mut Facts, e: Element<'_>, why: &str) {
    let message = format!("this translation is left out: {why}");
    facts.quirks.push(Quirk { kind: QuirkKind::Dropped, origin: e.origin(), message, related: None });
}

// An end of a translation: like that of a rule, but `network` may also hold a network or an alias.
pub(super) fn end(
    e: Option<Element<'_>>,
    what: &str,
    family: Family,
    cx: &Context<'_>,
) -> Result<Addresses, Fault> {
    let mut end = End::pfsense(e);
    if end.network == "any" {
        return Ok(Addresses::any());
    }
    let named = cx.aliases.has(&end.network) || parse_net(&end.network).is_some();
    if named && !end.any {
        end.address = std::mem::take(&mut end.network);
    }
    address::resolve(&end, what, family, cx)
}

// Source address of packets that leave by an interface.
pub(super) fn own_address(i: &Iface, family: Family) -> Rewrite {
    let to = i.addressing(family).known().map(|k| (k.0, k.0));
    Rewrite::Address { to, prefix: false, port: Some((1024, 65535)), port_from: None }
}

pub(super) fn keep_port(rewrite: Rewrite) -> Rewrite {
    match rewrite {
        Rewrite::Address { to, prefix, .. } => Rewrite::Address { to, prefix, port: None, port_from: None },
        other => other,
    }
}

pub(super) fn to_addresses(to: Option<(u128, u128)>) -> Rewrite {
    Rewrite::Address { to, prefix: false, port: Some((1024, 65535)), port_from: None }
}

pub(super) fn protocols(word: &str, family: Family) -> Option<IntervalSet> {
    match word {
        "" | "any" => None,
        "tcp/udp" => Some(TCP_UDP.iter().map(|p| u128::from(*p)).collect()),
        "icmp" if family == Family::V6 => Some(IntervalSet::single(proto::ICMPV6)),
        name => proto::parse(name).map(IntervalSet::single),
    }
}

// The addresses that a target names: `Ok(None)` where they are not one range, or known at run time only.
pub(super) fn target_of(text: &str, family: Family, cx: &Context<'_>) -> Result<Option<(u128, u128)>, Fault> {
    let named = |a: Addresses| match a.unknown.is_empty() && a.names.is_empty() {
        true => bounds(&a.set.intersect(&family.all())),
        false => None,
    };
    if let Some(net) = parse_net(text) {
        return Ok(bounds(&addr::net(net)));
    }
    if cx.aliases.has(text) {
        return cx.aliases.addresses(text, family, false).map(named);
    }
    address::network(text, false, "target", family, cx).map(named)
}

pub(super) type Mapped = (Option<(u16, u16)>, Option<(u16, u16)>);

// The new port: the same distance from `local` as the old one from the first of the forwarded range.
pub(super) fn local_port(
    local: &str,
    forwarded: &str,
    range: Option<&Ports>,
    cx: &Context<'_>,
) -> Result<Mapped, Fault> {
    if local.is_empty() || local == forwarded {
        return Ok((None, None));
    }
    let first = match ports(local.split('-').next().unwrap_or(local), cx)? {
        Some(p) if p.unknown.is_empty() => bounds(&p.set).filter(|b| b.0 == b.1).map(|b| b.0),
        _ => None,
    };
    let Some(first) = first else {
        // A list of ports as target: any of them, or none as pf sees it.
        return Ok((Some((0, 65535)), None));
    };
    let clamp = |v: u128| u16::try_from(v).unwrap_or(u16::MAX);
    Ok(match range.and_then(|r| bounds(&r.set)) {
        Some((a, b)) if a < b && forwarded.contains('-') => {
            (Some((clamp(first), clamp(first + b - a))), Some((clamp(a), clamp(b))))
        }
        _ => (Some((clamp(first), clamp(first))), None),
    })
}

// A translation on an interface that the file may lack is one that is not understood.
pub(super) fn unknown_interface(cx: &Context<'_>, e: Element<'_>) {
    let key = e.word("interface");
    if let Some(named) = e.at("interface").filter(|_| !cx.interfaces.may_only_be_here(&key)) {
        named.odd(format!("interface `{key}` is not in the file"));
    }
}

/// What a port forward is linked to: `pass`, or the id of a filter rule. Another word is not understood.
pub(super) fn linked(e: Element<'_>) -> String {
    let id = e.word("associated-rule-id");
    if !(id.is_empty() || id == "pass" || id.starts_with("nat_"))
        && let Some(e) = e.at("associated-rule-id")
    {
        e.odd(format!("`{id}` is neither pass nor the id of a rule"));
    }
    id
}

/// Whether a translation is in force. One that is not has no say, whatever stands in it.
pub(super) fn is_on(e: Element<'_>) -> bool {
    let off = e.flag("disabled") || e.product() == Product::PfSense && e.flag("separator");
    if e.at("disabled").is_some_and(|d| d.oddity().is_some()) {
        // Neither on nor off.
        return true;
    }
    if off {
        e.settle();
    }
    !off
}

/// Translations of which something is not understood: they may be any translation, before all others.
#[derive(Default)]
pub(super) struct Open(Vec<Opened>);

struct Opened {
    doubt: Doubt,
    inbound: bool,
    // What its element says, and understandably: it cannot be what is not understood.
    family: Option<Family>,
    protocols: Option<IntervalSet>,
}

impl Open {
    /// Takes over what is not understood in an element; `inbound`: it may translate on the way in as well.
    pub fn settle(&mut self, e: Element<'_>, inbound: bool) {
        let family = match e.word("ipprotocol").as_str() {
            "inet" => Some(Family::V4),
            "inet6" => Some(Family::V6),
            _ => None,
        };
        let protocols = protocols(&e.word("protocol").to_ascii_lowercase(), family.unwrap_or(Family::V4));
        let one = |doubt| Opened { doubt, inbound, family, protocols: protocols.clone() };
        self.0.extend(settle(e).into_iter().map(one));
    }

    /// Puts them before all others.
    pub fn put_first(self, rules: &mut Ruleset) {
        let one = |o: &Opened| {
            let what = Unknown::new(
                format!("a translation that is not understood: {}", o.doubt.what),
                "it may translate this packet, to any address and port, or not",
            );
            let note = "a translation that is not understood";
            let matches = PfRule {
                family: o.family,
                proto: o.protocols.clone(),
                ..PfRule::implicit(PfAction::Pass, o.doubt.origin, note)
            };
            NatRule { matches, rewrite: Rewrite::Unknown(what), pass: true }
        };
        let inbound: Vec<_> = self.0.iter().filter(|o| o.inbound).map(one).collect();
        let outbound: Vec<_> = self.0.iter().map(one).collect();
        rules.nat_in.splice(0..0, inbound);
        rules.nat_out.splice(0..0, outbound);
        rules.translation_doubts.extend(self.0.into_iter().map(|o| o.doubt));
    }
}
