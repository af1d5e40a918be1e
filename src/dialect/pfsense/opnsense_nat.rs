//! Translations of OPNsense: its stores of source translations, 1:1 and prefix translations, and port forwards
//! (`DNat.xml`, `Filter.xml`, `ForwardRule.php`, `SNatRule.php`, `DNatRule.php`, `NptRule.php`).

use super::address::{self, End};
use super::aliases::{Fault, parse_net};
use super::facts::Facts;
use super::interfaces::Addressing;
use super::nat_parts::{
    Open, bounds, drop_quirk, fixed, is_on, keep_port, linked, local_port, own_address, protocols, target_of,
};
use super::opnsense::is_enabled;
use super::pf::{Addresses, NatRule, PfAction, PfRule, Ports, Rewrite, Ruleset, Unknown};
use super::user::{Context, ports, split};
use super::xml::Element;
use crate::packet::addr::{self, Family};
use crate::packet::{Field, IntervalSet, proto};

/// Translations that come before those of the older stores.
pub(super) fn early(cx: &Context<'_>, rules: &mut Ruleset, open: &mut Open) {
    let manual = ["advanced", "hybrid"].contains(&cx.root.word("nat/outbound/mode").as_str());
    for e in store(cx, "npt") {
        if in_force(e) {
            prefix(cx, e, rules);
            open.settle(e, true);
        }
    }
    for e in store(cx, "onetoone") {
        if in_force(e) {
            one_to_one(cx, e, rules);
            open.settle(e, true);
        }
    }
    for e in store(cx, "snatrules") {
        if !manual {
            e.settle();
        } else if in_force(e) {
            source(cx, e, rules);
            open.settle(e, false);
        }
    }
}

fn store<'a>(cx: &Context<'a>, name: &str) -> Vec<Element<'a>> {
    let list = cx.root.at("OPNsense/Firewall/Filter").and_then(|f| f.at(name));
    sequenced(list.into_iter().flat_map(|l| l.list("rule")).collect())
}

// In the order of their numbers; those without one are last, as they stand.
fn sequenced(mut rules: Vec<Element<'_>>) -> Vec<Element<'_>> {
    // One rule alone would not be asked for its number.
    rules.iter().for_each(|e| {
        e.at("sequence");
    });
    rules.sort_by_key(|e| e.number::<u64>("sequence").unwrap_or(u64::MAX));
    rules
}

fn in_force(e: Element<'_>) -> bool {
    let on = is_enabled(e);
    if !on {
        e.settle();
    }
    on
}

// What a translation of any store matches, for each family that it may be of, each source and each destination.
struct Match<'a> {
    e: Element<'a>,
    interfaces: Vec<String>,
    families: Vec<Option<Family>>,
    protocol: String,
    ends: [Vec<End>; 2],
}

impl<'a> Match<'a> {
    fn of(e: Element<'a>, ends: [Vec<End>; 2]) -> Self {
        let families = match e.choice("ipprotocol", &["inet", "inet6", "inet46"]).as_str() {
            "inet" => vec![Some(Family::V4)],
            "inet6" => vec![Some(Family::V6)],
            "inet46" => vec![Some(Family::V4), Some(Family::V6)],
            _ => vec![None],
        };
        let interfaces = split(&e.word("interface")).map(str::to_owned).collect();
        Self { e, interfaces, families, protocol: e.word("protocol").to_ascii_lowercase(), ends }
    }

    fn has_ports(&self) -> bool {
        ["tcp", "udp", "tcp/udp"].contains(&self.protocol.as_str())
    }

    // Names of its interfaces: `None` = all; an error where none of them is in force.
    fn on(&self, cx: &Context<'_>) -> Result<Option<IntervalSet>, Fault> {
        if self.interfaces.is_empty() {
            return Ok(None);
        }
        if let Some(k) = self.interfaces.iter().find(|k| !cx.interfaces.may_only_be_here(k)) {
            return Err(Fault::Unknown(format!("interface `{k}` is not in the file")));
        }
        let known: Vec<_> = self.interfaces.iter().filter_map(|k| cx.interfaces.get(k)).collect();
        match known.is_empty() {
            true => Err(Fault::Dropped(format!("interface {} is not in force", self.interfaces.join(", ")))),
            false => Ok(Some(known.iter().fold(IntervalSet::EMPTY, |a, i| a.union(&i.names)))),
        }
    }

    // Rules without what they do. A family that an end is not of is left out.
    fn rules(&self, cx: &Context<'_>) -> Result<Vec<PfRule>, Fault> {
        let on = self.on(cx)?;
        let mut out = Vec::new();
        let mut fault = None;
        for family in &self.families {
            for (from, to) in self.ends[0].iter().flat_map(|s| self.ends[1].iter().map(move |d| (s, d))) {
                match self.one(cx, *family, on.clone(), (from, to)) {
                    Ok(rule) => out.push(rule),
                    Err(why) => fault = Some(why),
                }
            }
        }
        match fault {
            Some(why @ (Fault::Unknown(_) | Fault::Refused(_))) => Err(why),
            Some(why) if out.is_empty() => Err(why),
            _ => Ok(out),
        }
    }

    fn one(
        &self,
        cx: &Context<'_>,
        family: Option<Family>,
        on: Option<IntervalSet>,
        (from, to): (&End, &End),
    ) -> Result<PfRule, Fault> {
        let decided =
            family.or_else(|| [from, to].iter().find_map(|e| literal_family(e))).unwrap_or(Family::V4);
        let mut rule = PfRule { on, family, ..PfRule::new(PfAction::Pass, self.e.origin()) };
        // Without a family the addresses decide: a table, a name or `any` may be of both.
        rule.src = either(from, "source", family, decided, cx)?;
        rule.dst = either(to, "destination", family, decided, cx)?;
        rule.proto = protocols(&self.protocol, decided);
        if rule.proto.is_none() && !["", "any"].contains(&self.protocol.as_str()) {
            return Err(Fault::Refused(format!("`{}` is no protocol", self.protocol)));
        }
        if self.has_ports() {
            rule.sport = ports(&from.port, cx)?;
            rule.dport = ports(&to.port, cx)?;
        }
        Ok(rule)
    }
}

fn literal_family(end: &End) -> Option<Family> {
    let text = if end.network.is_empty() { &end.address } else { &end.network };
    parse_net(text).map(|n| Family::of(n.addr()))
}

fn either(
    end: &End,
    what: &str,
    family: Option<Family>,
    decided: Family,
    cx: &Context<'_>,
) -> Result<Addresses, Fault> {
    let first = address::resolve(end, what, decided, cx)?;
    if family.is_some() || literal_family(end).is_some() || first == Addresses::any() {
        return Ok(first);
    }
    let mut both = first;
    let other = if decided == Family::V4 { Family::V6 } else { Family::V4 };
    if let Ok(more) = address::resolve(end, what, other, cx) {
        both.set = both.set.union(&more.set);
        both.unknown
            .extend(more.unknown.into_iter().filter(|u| !first_has(&both.unknown, u)).collect::<Vec<_>>());
    }
    Ok(both)
}

fn first_has(list: &[Unknown], u: &Unknown) -> bool {
    list.contains(u)
}

// Ends of a record of the newer stores, one for each word.
fn flat(e: Element<'_>, side: &str) -> Vec<End> {
    let (net, port) = (e.word(&format!("{side}_net")), e.word(&format!("{side}_port")));
    let not = e.flag(&format!("{side}_not"));
    words(&net).map(|w| End { not, port: port.clone(), network: w.to_owned(), ..End::default() }).collect()
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    let mut found: Vec<&str> = split(list).collect();
    if found.is_empty() {
        found.push("any");
    }
    found.into_iter()
}

// Ends of a port forward: an element with `network` or `address`.
fn nested(e: Element<'_>, side: &str) -> Vec<End> {
    let one = End::pfsense(e.at(side));
    let list = if one.network.is_empty() { one.address.clone() } else { one.network.clone() };
    words(&list).map(|w| End { network: w.to_owned(), address: String::new(), ..one.clone() }).collect()
}

fn source(cx: &Context<'_>, e: Element<'_>, rules: &mut Ruleset) {
    for read in ["target", "target_port", "natport", "staticnatport", "nonat", "tag", "tagged"] {
        e.at(read);
    }
    let matches = Match::of(e, [flat(e, "source"), flat(e, "destination")]);
    let found = match matches.rules(cx) {
        Ok(found) => found,
        Err(Fault::Unknown(why)) => return e.odd(why),
        Err(Fault::Refused(why)) => return rules.refused.push((e.origin(), why)),
        Err(Fault::Dropped(_)) => return,
    };
    let target = e.word("target");
    for mut rule in found {
        let family = rule.family.unwrap_or(Family::V4);
        rule.tag = e.value("tag");
        let own = matches.interfaces.first().and_then(|k| cx.interfaces.get(k));
        let any_port = Some((1024, 65535));
        let to = |to| Rewrite::Address { to, prefix: false, port: any_port, port_from: None };
        let rewrite = match (target.as_str(), own) {
            _ if e.flag("nonat") => Rewrite::Nothing,
            ("", Some(i)) => own_address(i, family),
            ("", None) => continue,
            (text, _) => to(target_of(text, family, cx).ok().flatten()),
        };
        let rewrite = match rewrite {
            _ if e.flag("staticnatport") => keep_port(rewrite),
            Rewrite::Address { to, prefix, .. } if e.value("target_port").is_some() => {
                Rewrite::Address { to, prefix, port: Some((0, 65535)), port_from: None }
            }
            other => other,
        };
        if let Some(tested) = e.value("tagged") {
            rule.conditions
                .push(Unknown::new(format!("tagged {tested}"), "tags in translations are not followed"));
        }
        rules.nat_out.push(NatRule { matches: rule, rewrite, pass: false });
    }
}

// A 1:1 translation of the newer store: both ways, or outwards only.
fn one_to_one(cx: &Context<'_>, e: Element<'_>, rules: &mut Ruleset) {
    let kind = e.choice("type", &["binat", "nat"]);
    e.choice("natreflection", &["enable", "disable"]);
    let key = e.word("interface");
    let (inside, outside) = (e.word("source_net"), e.word("external"));
    let far = flat(e, "destination");
    let unknown_source = e.flag("source_not");
    let Some(i) = cx.interfaces.get(&key) else {
        if let Some(named) = e.at("interface").filter(|_| !cx.interfaces.may_only_be_here(&key)) {
            named.odd(format!("interface `{key}` is not in the file"));
        }
        return;
    };
    let family = if inside.contains(':') || outside.contains(':') { Family::V6 } else { Family::V4 };
    let near = address::resolve(&End { network: inside, ..End::default() }, "source", family, cx);
    let near = near.ok().filter(|a| a.unknown.is_empty() && a.names.is_empty() && !unknown_source);
    let internal = near.and_then(|a| bounds(&a.set.intersect(&family.all())));
    let far = far.first().map(|d| address::resolve(d, "destination", family, cx));
    let (Some(internal), Some(outside), Some(Ok(far))) = (internal, parse_net(&outside), far) else {
        return e.odd("its addresses are not found here");
    };
    let span = internal.1 - internal.0;
    let first = addr::value(outside.addr()) & !span;
    let external = (first, first + span);
    let range = |r: (u128, u128)| Addresses::of(IntervalSet::range(r.0, r.1));
    let on = |names: &IntervalSet| PfRule::new(PfAction::Pass, e.origin()).on(names.clone()).family(family);
    let outward = on(&i.names).from(range(internal)).to(far.clone());
    rules.nat_out.push(NatRule { matches: outward, rewrite: fixed(external), pass: false });
    if kind == "nat" {
        return;
    }
    let inward = |names: &IntervalSet| on(names).from(far.clone()).to(range(external));
    rules.nat_in.push(NatRule { matches: inward(&i.names), rewrite: fixed(internal), pass: false });
    let stated = e.word("natreflection");
    if stated == "enable" || stated.is_empty() && cx.root.flag("system/enablebinatreflection") {
        let names = elsewhere(cx, &[key], family);
        rules.nat_in.push(NatRule { matches: inward(&names), rewrite: fixed(internal), pass: false });
    }
}

// Interfaces that see a translation of others from the inside: with an address of the family and without a gateway.
fn elsewhere(cx: &Context<'_>, own: &[String], family: Family) -> IntervalSet {
    let inside = cx.interfaces.real().filter(|i| {
        !own.contains(&i.key)
            && !i.leads_out()
            && *i.addressing(family) != Addressing::None
            && !i.is_loopback()
    });
    inside.fold(IntervalSet::EMPTY, |a, i| a.union(&i.names))
}

fn prefix(cx: &Context<'_>, e: Element<'_>, rules: &mut Ruleset) {
    let (inside, outside) = (e.word("source_net"), e.word("destination_net"));
    e.at("trackif");
    let key = e.word("interface");
    let Some(i) = cx.interfaces.get(&key) else {
        if let Some(named) = e.at("interface").filter(|_| !cx.interfaces.may_only_be_here(&key)) {
            named.odd(format!("interface `{key}` is not in the file"));
        }
        return;
    };
    let net = |text: &str| parse_net(text).map(addr::net).and_then(|s| bounds(&s));
    let rule = || PfRule::new(PfAction::Pass, e.origin()).on(i.names.clone()).family(Family::V6);
    let Some(inside) = net(&inside) else { return e.odd("its inner prefix is not found here") };
    let near = Addresses::of(IntervalSet::range(inside.0, inside.1));
    if outside.is_empty() {
        // Learnt with the interface's address: which packets are meant is not known, what they become is.
        let why = "it is learnt at run time";
        let learnt = Unknown::new(format!("in the delegated prefix of {key}"), why).only(Family::V6);
        let away = Rewrite::Address { to: None, prefix: false, port: None, port_from: None };
        let inward = rule().to(Addresses::unknown(learnt));
        rules.nat_in.push(NatRule { matches: inward, rewrite: fixed(inside), pass: false });
        rules.nat_out.push(NatRule { matches: rule().from(near), rewrite: away, pass: false });
        return;
    }
    let Some(outside) = net(&outside) else { return e.odd("its outer prefix is not found here") };
    let far = Addresses::of(IntervalSet::range(outside.0, outside.1));
    rules.nat_in.push(NatRule { matches: rule().to(far), rewrite: fixed(inside), pass: false });
    rules.nat_out.push(NatRule { matches: rule().from(near), rewrite: fixed(outside), pass: false });
}

/// Port forwards, with the exceptions for the administration before them.
pub(super) fn forwards(
    cx: &Context<'_>,
    out: &mut Vec<NatRule>,
    rules: &mut Ruleset,
    facts: &mut Facts,
    open: &mut Open,
) {
    if let Some((i, ports)) = super::opnsense_system::anti_lockout(cx) {
        let mut own = Addresses::of(i.own());
        own.unknown = address::learns(&[i], &format!("is an address of {}", i.key));
        let note = "ports of the administration are not forwarded";
        let matches =
            PfRule::implicit(PfAction::Pass, i.origin, note).on(i.names.clone()).proto(&[proto::TCP]);
        let matches = matches.to(own).dports(&ports);
        out.push(NatRule { matches, rewrite: Rewrite::Nothing, pass: false });
    }
    for e in list(cx) {
        match forward(cx, e) {
            Ok(found) => out.extend(found),
            Err(Fault::Dropped(why)) => drop_quirk(facts, e, &why),
            Err(Fault::Refused(why)) => rules.refused.push((e.origin(), why)),
            Err(Fault::Unknown(why)) => e.odd(why),
        }
        open.settle(e, true);
    }
}

fn list<'a>(cx: &Context<'a>) -> Vec<Element<'a>> {
    let all = cx.root.at("nat").into_iter().flat_map(|n| n.list("rule"));
    sequenced(all.filter(|e| is_on(*e)).collect())
}

fn forward(cx: &Context<'_>, e: Element<'_>) -> Result<Vec<NatRule>, Fault> {
    let kind = e.choice("pass", &["pass", "rule"]);
    let linked = linked(e) == "pass";
    let (local, target) = (e.word("local-port"), e.word("target"));
    let stated = e.choice("natreflection", &["purenat", "enable", "disable"]);
    for read in ["tag", "tagged", "nordr"] {
        e.at(read);
    }
    let matches = Match::of(e, [nested(e, "source"), nested(e, "destination")]);
    let found = matches.rules(cx)?;
    let nothing = e.flag("nordr");
    if target.is_empty() && !nothing {
        return Err(Fault::Dropped("it has no target".to_owned()));
    }
    let pass = !nothing && (kind == "pass" || linked);
    let reflected = match stated.as_str() {
        "purenat" | "enable" => true,
        "disable" => false,
        _ => !cx.root.flag("system/disablenatreflection"),
    };
    let mut out = Vec::new();
    for rule in found {
        let family = rule.family.or_else(|| parse_net(&target).map(|n| Family::of(n.addr())));
        let rule = PfRule { family, tag: e.value("tag"), ..rule };
        let rewrite = if nothing {
            Rewrite::Nothing
        } else {
            let to = target_of(&target, family.unwrap_or(Family::V4), cx)?;
            let old = &matches.ends[1][0].port;
            let (port, port_from) = match matches.has_ports() {
                true => local_port(&local, old, rule.dport.as_ref(), cx)?,
                false => (None, None),
            };
            Rewrite::Address { to, prefix: false, port, port_from }
        };
        let mut conditions = rule.conditions.clone();
        if let Some(tested) = e.value("tagged") {
            conditions
                .push(Unknown::new(format!("tagged {tested}"), "tags in translations are not followed"));
        }
        let rule = PfRule { conditions, ..rule };
        if reflected && !nothing && !matches.interfaces.is_empty() {
            let names = elsewhere(cx, &matches.interfaces, family.unwrap_or(Family::V4));
            let mirrored = PfRule { on: Some(names), ..rule.clone() };
            out.push(NatRule { matches: rule, rewrite: rewrite.clone(), pass });
            out.push(NatRule { matches: mirrored, rewrite, pass });
        } else {
            out.push(NatRule { matches: rule, rewrite, pass });
        }
    }
    Ok(out)
}

/// Filter rules that port forwards bring with them, behind those of users.
pub(super) fn filter_rules(cx: &Context<'_>) -> Vec<PfRule> {
    let mut out = Vec::new();
    for e in list(cx).into_iter().filter(|e| e.word("pass") == "rule") {
        let target = e.word("target");
        let matches = Match::of(e, [nested(e, "source"), vec![End { network: target, ..End::default() }]]);
        let old = End::pfsense(e.at("destination")).port;
        let Ok(found) = matches.rules(cx) else { continue };
        for rule in found {
            let dport = if matches.has_ports() { new_ports(cx, &old, &e.word("local-port")) } else { None };
            out.push(PfRule {
                quick: true,
                direction: super::pf::Direction::In,
                dport,
                note: Some("filter rule of a port forward".to_owned()),
                ..rule
            });
        }
    }
    out
}

// Ports behind a forward: the same distance from the local port as the old ones from the first of theirs.
fn new_ports(cx: &Context<'_>, old: &str, local: &str) -> Option<Ports> {
    let old = ports(old, cx).ok().flatten();
    if local.is_empty() {
        return old;
    }
    let first = ports(local, cx).ok().flatten()?;
    if let Some(open) = old.as_ref().filter(|p| !p.unknown.is_empty()) {
        return Some(Ports { unknown: open.unknown.clone(), ..Ports::of(IntervalSet::EMPTY) });
    }
    let span = old.as_ref().and_then(|p| bounds(&p.set)).map_or(0, |(a, b)| b - a);
    match bounds(&first.set) {
        Some((a, b)) if a == b => {
            Some(Ports::of(IntervalSet::range(a, (a + span).min(65535)).intersect(&Field::Dport.all())))
        }
        _ => Some(first),
    }
}
