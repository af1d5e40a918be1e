//! 1:1 translations and prefix translations, with their reflection.

use super::aliases::parse_net;
use super::nat_parts::*;
use super::pf::{Addresses, NatRule, PfAction, PfRule, Rewrite, Ruleset, Unknown};
use super::user::Context;
use super::xml::Element;
use crate::packet::IntervalSet;
use crate::packet::addr::{self, Family};

// A 1:1 translation in both directions.
pub(super) struct OneToOne<'a> {
    /// Its element.
    pub element: Element<'a>,
    /// Names of its interface.
    pub on: IntervalSet,
    /// Key of its interface.
    pub key: String,
    /// Addresses outside.
    pub external: IntervalSet,
    /// Addresses inside: first and last.
    pub internal: (u128, u128),
    /// An exception: nothing is translated.
    pub nothing: bool,
}

pub(super) fn binat<'a>(cx: &Context<'_>, e: Element<'a>, rules: &mut Ruleset, all: &mut Vec<OneToOne<'a>>) {
    let key = e.word("interface");
    let six = e.choice("ipprotocol", &["inet", "inet6"]) == "inet6";
    let family = if six { Family::V6 } else { Family::V4 };
    for read in ["source", "destination", "external", "nobinat", "natreflection"] {
        e.at(read);
    }
    let Some(i) = cx.interfaces.get(&key) else { return unknown_interface(cx, e) };
    let other = match e.at("destination") {
        Some(d) => end(Some(d), "destination", family, cx),
        None => Ok(Addresses::any()),
    };
    let inside =
        end(e.at("source"), "source", family, cx).ok().filter(|a| a.unknown.is_empty() && !a.negated);
    let outside = e.word("external");
    let base = parse_net(&outside).map(|n| addr::value(n.addr())).or_else(|| {
        let i = outside.strip_suffix("ip").and_then(|k| cx.interfaces.get(k))?;
        i.addressing(family).known().map(|k| k.0)
    });
    let nothing = e.flag("nobinat");
    e.choice("natreflection", &["enable", "disable"]);
    let bounded = inside.and_then(|a| bounds(&a.set.intersect(&family.all())));
    // The address of an interface that learns it: what is translated is not known, what it becomes is.
    let learnt = outside.strip_suffix("ip").and_then(|k| cx.interfaces.get(k)).filter(|i| i.learns(family));
    if let (Ok(other), Some(internal), None, Some(own)) =
        (&other, bounded.filter(|b| b.0 == b.1), base, learnt)
    {
        let why = format!("{} learns its address at run time", own.key);
        let address = Unknown::new(format!("in the IPv{} address of {}", family.number(), own.key), why);
        let matches = matching(e.origin(), &i.names).family(family);
        let inward = matches.clone().from(other.clone()).to(Addresses::unknown(address.only(family)));
        let outward =
            matches.from(Addresses::of(IntervalSet::range(internal.0, internal.1))).to(other.clone());
        let away = Rewrite::Address { to: None, prefix: false, port: None, port_from: None };
        let rewrite = |known| if nothing { Rewrite::Nothing } else { known };
        rules.nat_in.push(NatRule { matches: inward, rewrite: rewrite(fixed(internal)), pass: false });
        rules.nat_out.push(NatRule { matches: outward, rewrite: rewrite(away), pass: false });
        return;
    }
    let (Ok(other), Some(internal), Some(base)) = (other, bounded, base) else {
        let text = Unknown::new("a 1:1 translation", "its addresses are not in the file");
        for direction in [&mut rules.nat_in, &mut rules.nat_out] {
            direction.push(NatRule {
                matches: matching(e.origin(), &i.names).family(family),
                rewrite: Rewrite::Unknown(text.clone()),
                pass: false,
            });
        }
        return;
    };
    let span = internal.1 - internal.0;
    let first = base & !span;
    let external = (first, first + span);
    let rewrite = |to| if nothing { Rewrite::Nothing } else { fixed(to) };
    let range = |r: (u128, u128)| Addresses::of(IntervalSet::range(r.0, r.1));
    rules.nat_in.push(NatRule {
        matches: matching(e.origin(), &i.names).family(family).from(other.clone()).to(range(external)),
        rewrite: rewrite(internal),
        pass: false,
    });
    rules.nat_out.push(NatRule {
        matches: matching(e.origin(), &i.names).family(family).from(range(internal)).to(other),
        rewrite: rewrite(external),
        pass: false,
    });
    let external = IntervalSet::range(external.0, external.1);
    all.push(OneToOne { element: e, on: i.names.clone(), key, external, internal, nothing });
}

// Prefix translation of IPv6 (NPt).
pub(super) fn prefix(cx: &Context<'_>, e: Element<'_>, rules: &mut Ruleset) {
    let Some(i) = cx.interfaces.get(&e.word("interface")) else { return unknown_interface(cx, e) };
    let side = |name: &str| {
        let written = e.at(name).map(|s| s.value("address").unwrap_or_else(|| s.word("network")));
        written.and_then(|t| parse_net(&t)).map(addr::net).and_then(|s| bounds(&s))
    };
    let rule = || matching(e.origin(), &i.names).family(Family::V6);
    let excluded = e.flag("source/not") || e.flag("destination/not");
    let (inside, outside) = (side("source").filter(|_| !excluded), side("destination"));
    if let (Some(inside), None) = (inside, outside) {
        // Learnt with the interface's address: which packets are meant is not known, what they become is.
        let learnt =
            Unknown::new(format!("in the delegated prefix of {}", i.key), "it is learnt at run time");
        let away = Rewrite::Address { to: None, prefix: false, port: None, port_from: None };
        let inward = rule().to(Addresses::unknown(learnt.only(Family::V6)));
        let outward = rule().from(Addresses::of(IntervalSet::range(inside.0, inside.1)));
        rules.nat_in.push(NatRule { matches: inward, rewrite: fixed(inside), pass: false });
        rules.nat_out.push(NatRule { matches: outward, rewrite: away, pass: false });
        return;
    }
    let (Some(inside), Some(outside)) = (inside, outside) else {
        let text = Unknown::new("a prefix translation", "its prefix is learnt at run time");
        for list in [&mut rules.nat_in, &mut rules.nat_out] {
            list.push(NatRule { matches: rule(), rewrite: Rewrite::Unknown(text.clone()), pass: false });
        }
        return;
    };
    let range = |r: (u128, u128)| Addresses::of(IntervalSet::range(r.0, r.1));
    rules.nat_in.push(NatRule { matches: rule().to(range(outside)), rewrite: fixed(inside), pass: false });
    rules.nat_out.push(NatRule { matches: rule().from(range(inside)), rewrite: fixed(outside), pass: false });
}

pub(super) fn reflect_binat(cx: &Context<'_>, b: &OneToOne<'_>, rules: &mut Ruleset) {
    let stated = b.element.word("natreflection");
    let on = match stated.as_str() {
        "enable" => true,
        "disable" => false,
        _ => cx.root.flag("system/enablebinatreflection"),
    };
    if !on || b.nothing {
        return;
    }
    let inside = cx.interfaces.real().filter(|i| i.key != b.key && !i.has_gateway());
    let names = inside.fold(IntervalSet::EMPTY, |a, i| a.union(&i.names));
    let note = "reflection of a 1:1 translation";
    let matches = PfRule::implicit(PfAction::Pass, b.element.origin(), note)
        .on(names)
        .to(Addresses::of(b.external.clone()));
    rules.nat_in.push(NatRule { matches, rewrite: fixed(b.internal), pass: false });
}
