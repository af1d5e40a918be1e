//! Translations: 1:1, prefixes, outbound, port forwards and their reflection (`filter_nat_rules_generate`).

use super::address::{self, End};
use super::aliases::{Fault, parse_net};
use super::facts::{Facts, Orphan, Quirk, QuirkKind};
use super::interfaces::{Addressing, Iface, phase1};
use super::pf::{Addresses, NatRule, PfAction, PfRule, Ports, Rewrite, Ruleset, Unknown};
use super::release::Release;
use super::user::{Context, ports};
use super::xml::Element;
use crate::packet::addr::{self, Family};
use crate::packet::{IntervalSet, proto};
use crate::source::Origin;
use rustc_hash::FxHashMap;

const TCP_UDP: &[u8] = &[proto::TCP, proto::UDP];

/// Generates all translations.
pub(super) fn generate(cx: &Context<'_>, rules: &mut Ruleset, facts: &mut Facts) {
    let nat = cx.root.at("nat");
    let items = |name: &'static str| nat.into_iter().flat_map(move |n| n.list(name));
    let mut one_to_one = Vec::new();
    for e in items("onetoone").filter(|e| !e.flag("disabled")) {
        binat(cx, e, rules, &mut one_to_one);
    }
    for e in items("npt").filter(|e| !e.flag("disabled")) {
        prefix(cx, e, rules);
    }
    newer(cx, rules);
    tunnels(cx, rules);
    outbound(cx, rules);
    let mut forwards = Vec::new();
    tftp(cx, &mut forwards);
    balancer(cx, &mut forwards);
    for (number, e) in items("rule").filter(|e| !e.flag("disabled") && !e.flag("separator")).enumerate() {
        port_forward(cx, e, number, &mut forwards, rules, facts);
    }
    upnp(cx, &mut forwards);
    merge(forwards, &one_to_one, rules);
    for b in one_to_one {
        reflect_binat(cx, &b, rules);
    }
    orphans(cx, facts);
}

// A 1:1 translation in both directions.
struct OneToOne<'a> {
    element: Element<'a>,
    on: IntervalSet,
    key: String,
    external: IntervalSet,
    internal: (u128, u128),
    nothing: bool,
}

fn bounds(set: &IntervalSet) -> Option<(u128, u128)> {
    match set.ranges() {
        [one] => Some(*one),
        _ => None,
    }
}

fn matching(origin: Origin, on: &IntervalSet) -> PfRule {
    PfRule::new(PfAction::Pass, origin).on(on.clone())
}

fn fixed(to: (u128, u128)) -> Rewrite {
    Rewrite::Address { to: Some(to), prefix: to.0 != to.1, port: None, port_from: None }
}

fn drop_quirk(facts: &mut Facts, e: Element<'_>, why: &str) {
    let message = format!("this translation is left out: {why}");
    facts.quirks.push(Quirk { kind: QuirkKind::Dropped, origin: e.origin(), message, related: None });
}

// An end of a translation: like that of a rule, but `network` may also hold a network or an alias.
fn end(e: Option<Element<'_>>, what: &str, family: Family, cx: &Context<'_>) -> Result<Addresses, Fault> {
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

fn binat<'a>(cx: &Context<'_>, e: Element<'a>, rules: &mut Ruleset, all: &mut Vec<OneToOne<'a>>) {
    let key = e.word("interface");
    let Some(i) = cx.interfaces.get(&key) else { return };
    let family = if e.word("ipprotocol") == "inet6" { Family::V6 } else { Family::V4 };
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
    let bounded = inside.and_then(|a| bounds(&a.set.intersect(&family.all())));
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
    let nothing = e.flag("nobinat");
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
fn prefix(cx: &Context<'_>, e: Element<'_>, rules: &mut Ruleset) {
    let Some(i) = cx.interfaces.get(&e.word("interface")) else { return };
    let side = |name: &str| {
        e.at(name).and_then(|s| parse_net(&s.word("address"))).map(addr::net).and_then(|s| bounds(&s))
    };
    let rule = || matching(e.origin(), &i.names).family(Family::V6);
    let (Some(inside), Some(outside)) = (side("source"), side("destination")) else {
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

// OPNsense's newer store of translations is not read: where one is in force there, it may translate anything.
fn newer(cx: &Context<'_>, rules: &mut Ruleset) {
    let Some(store) = cx.root.at("OPNsense/Firewall/Filter") else { return };
    for list in ["onetoone", "npt", "snatrules", "dnat"] {
        for e in store.at(list).into_iter().flat_map(|l| l.list("rule")).filter(|e| e.word("enabled") != "0")
        {
            let text =
                Unknown::new("a translation of OPNsense's newer store", "such translations are not read yet");
            for direction in [&mut rules.nat_in, &mut rules.nat_out] {
                let matches = PfRule::new(PfAction::Pass, e.origin());
                direction.push(NatRule { matches, rewrite: Rewrite::Unknown(text.clone()), pass: false });
            }
        }
    }
}

// Translations of IPsec tunnels: which addresses they give is left open.
fn tunnels(cx: &Context<'_>, rules: &mut Ruleset) {
    if phase1(cx.root).next().is_none() {
        return;
    }
    let Some(i) = cx.interfaces.get("enc0") else { return };
    let translated = cx.root.at("ipsec").into_iter().flat_map(|i| i.list("phase2"));
    for e in translated.filter(|p| !p.flag("disabled") && p.flag("natlocalid")) {
        let anything = Rewrite::Address { to: None, prefix: false, port: None, port_from: None };
        rules.nat_out.push(NatRule {
            matches: matching(e.origin(), &i.names),
            rewrite: anything,
            pass: false,
        });
        let text =
            Unknown::new("translation of an IPsec tunnel", "the tunnel's selectors are not decided here");
        rules.nat_in.push(NatRule {
            matches: matching(e.origin(), &i.names),
            rewrite: Rewrite::Unknown(text),
            pass: false,
        });
    }
}

// Source address of packets that leave by an interface.
fn own_address(i: &Iface, family: Family) -> Rewrite {
    let to = i.addressing(family).known().map(|k| (k.0, k.0));
    Rewrite::Address { to, prefix: false, port: Some((1024, 65535)), port_from: None }
}

fn keep_port(rewrite: Rewrite) -> Rewrite {
    match rewrite {
        Rewrite::Address { to, prefix, .. } => Rewrite::Address { to, prefix, port: None, port_from: None },
        other => other,
    }
}

fn outbound(cx: &Context<'_>, rules: &mut Ruleset) {
    let setting = cx.root.at("nat/outbound");
    let mode = setting.map(|s| s.word("mode")).unwrap_or_default();
    if mode == "advanced" || mode == "hybrid" {
        for e in setting.into_iter().flat_map(|s| s.list("rule")).filter(|e| !e.flag("disabled")) {
            manual(cx, e, rules);
        }
    }
    if mode.is_empty() || mode == "automatic" || mode == "hybrid" {
        let place = setting.map_or_else(|| super::system::place(cx.root, "nat"), Element::origin);
        automatic(cx, place, rules);
    }
}

fn manual(cx: &Context<'_>, e: Element<'_>, rules: &mut Ruleset) {
    let Some(i) = cx.interfaces.get(&e.word("interface")) else { return };
    let family = if e.word("ipprotocol") == "inet6" { Family::V6 } else { Family::V4 };
    let (Ok(from), Ok(to)) =
        (end(e.at("source"), "source", family, cx), end(e.at("destination"), "destination", family, cx))
    else {
        return;
    };
    let mut matches = matching(e.origin(), &i.names).family(family).from(from).to(to);
    let protocol = e.word("protocol").to_ascii_lowercase();
    matches.proto = protocols(&protocol, family);
    if ["tcp", "udp", "tcp/udp"].contains(&protocol.as_str()) {
        matches.sport = e.value("sourceport").and_then(|p| ports(&p, cx).ok().flatten());
        matches.dport = e.value("dstport").and_then(|p| ports(&p, cx).ok().flatten());
    }
    let target = e.word("target");
    let rewrite = match target.as_str() {
        _ if e.flag("nonat") => Rewrite::Nothing,
        "" => own_address(i, family),
        "other-subnet" => {
            let net = format!("{}/{}", e.word("targetip"), e.word("targetip_subnet"));
            to_addresses(parse_net(&net).map(addr::net).and_then(|s| bounds(&s)))
        }
        text => to_addresses(target_of(text, family, cx).ok().flatten()),
    };
    let rewrite = match rewrite {
        _ if e.flag("staticnatport") => keep_port(rewrite),
        // A port of its own may be any.
        Rewrite::Address { to, prefix, port_from, .. } if e.value("natport").is_some() => {
            Rewrite::Address { to, prefix, port: Some((0, 65535)), port_from }
        }
        other => other,
    };
    rules.nat_out.push(NatRule { matches, rewrite, pass: false });
}

fn to_addresses(to: Option<(u128, u128)>) -> Rewrite {
    Rewrite::Address { to, prefix: false, port: Some((1024, 65535)), port_from: None }
}

fn protocols(word: &str, family: Family) -> Option<IntervalSet> {
    match word {
        "" | "any" => None,
        "tcp/udp" => Some(TCP_UDP.iter().map(|p| u128::from(*p)).collect()),
        "icmp" if family == Family::V6 => Some(IntervalSet::single(proto::ICMPV6)),
        name => proto::parse(name).map(IntervalSet::single),
    }
}

// The addresses that a target names: `Ok(None)` where they are not one range, or known at run time only.
fn target_of(text: &str, family: Family, cx: &Context<'_>) -> Result<Option<(u128, u128)>, Fault> {
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

// What leaves by a WAN with an address from inside gets the WAN's address.
fn automatic(cx: &Context<'_>, place: Origin, rules: &mut Ruleset) {
    let mut inside = IntervalSet::range(addr::v4(0x7f00_0000), addr::v4(0x7fff_ffff));
    let add =
        |set: &mut IntervalSet, other: &IntervalSet| *set = set.union(&other.intersect(&Family::V4.all()));
    let mut learnt = Vec::new();
    for i in cx.interfaces.real().filter(|i| !i.has_gateway()) {
        match &i.v4 {
            Addressing::Static { net, .. } => add(&mut inside, net),
            Addressing::Dynamic(_) => learnt.push(
                Unknown::new(format!("in the IPv4 network of {}", i.key), "it is learnt at run time")
                    .only(Family::V4),
            ),
            Addressing::None => {}
        }
        i.vips(Family::V4).for_each(|v| add(&mut inside, &v.net));
    }
    for route in
        cx.root.at("staticroutes").into_iter().flat_map(|r| r.list("route")).filter(|r| !r.flag("disabled"))
    {
        if let Some(net) = addr::parse(&route.word("network")) {
            add(&mut inside, &net);
        }
    }
    for server in cx
        .root
        .at("openvpn")
        .into_iter()
        .flat_map(|o| o.list("openvpn-server"))
        .filter(|s| !s.flag("disable"))
    {
        if let Some(net) = parse_net(&server.word("tunnel_network")) {
            add(&mut inside, &addr::net(net));
        }
    }
    let from = Addresses { unknown: learnt, ..Addresses::of(inside) };
    for i in cx.interfaces.real().filter(|i| i.has_gateway()) {
        let rule = || {
            PfRule::implicit(PfAction::Pass, place, format!("automatic outbound NAT on {}", i.key))
                .on(i.names.clone())
                .family(Family::V4)
                .from(from.clone())
        };
        let rewrite = own_address(i, Family::V4);
        let ike = rule().proto(&[proto::UDP]).dports(&[500]);
        rules.nat_out.push(NatRule { matches: ike, rewrite: keep_port(rewrite.clone()), pass: false });
        rules.nat_out.push(NatRule { matches: rule(), rewrite, pass: false });
    }
}

fn tftp(cx: &Context<'_>, out: &mut Vec<NatRule>) {
    let Some(e) = cx.root.at("system/tftpinterface") else { return };
    for key in super::user::split(&e.text()) {
        if let Some(i) = cx.interfaces.get(key) {
            let matches =
                matching(e.origin(), &i.names).family(Family::V4).proto(&[proto::UDP]).dports(&[69]);
            let rewrite = Rewrite::Unknown(Unknown::new("the TFTP proxy", "it makes rules at run time"));
            out.push(NatRule { matches, rewrite, pass: false });
        }
    }
}

// The load balancer of releases before 2.5 makes its translations at run time.
fn balancer(cx: &Context<'_>, out: &mut Vec<NatRule>) {
    let servers = cx.root.at("load_balancer").into_iter().flat_map(|l| l.list("virtual_server"));
    for e in servers.filter(|_| cx.release < Release::V2_5) {
        let rewrite =
            Rewrite::Unknown(Unknown::new("the load balancer", "it makes translations at run time"));
        let matches = PfRule::new(PfAction::Pass, e.origin()).proto(&[proto::TCP]);
        out.push(NatRule { matches, rewrite, pass: false });
    }
}

fn upnp(cx: &Context<'_>, out: &mut Vec<NatRule>) {
    let Some(e) = super::system::upnp_config(cx.root) else { return };
    let key = e.value("ext_iface").unwrap_or_else(|| "wan".to_owned());
    let Some(i) = cx.interfaces.get(&key) else { return };
    let matches = matching(e.origin(), &i.names).family(Family::V4).proto(TCP_UDP);
    let rewrite = Rewrite::Unknown(Unknown::new("port mappings of UPnP", "clients make them at run time"));
    out.push(NatRule { matches, rewrite, pass: false });
}

fn port_forward(
    cx: &Context<'_>,
    e: Element<'_>,
    number: usize,
    out: &mut Vec<NatRule>,
    rules: &mut Ruleset,
    facts: &mut Facts,
) {
    let Some(i) = cx.interfaces.get(&e.word("interface")) else {
        return drop_quirk(facts, e, &format!("interface {} is not in force", e.word("interface")));
    };
    match forward(cx, e, i) {
        Ok(rule) => {
            let reflected = reflect(cx, e, number, i, &rule);
            out.push(rule);
            out.extend(reflected);
        }
        Err(Fault::Dropped(why)) => drop_quirk(facts, e, &why),
        Err(Fault::Refused(why)) => rules.refused.push((e.origin(), why)),
    }
}

fn forward(cx: &Context<'_>, e: Element<'_>, i: &Iface) -> Result<NatRule, Fault> {
    let family = if e.word("ipprotocol") == "inet6" { Family::V6 } else { Family::V4 };
    let protocol = e.word("protocol").to_ascii_lowercase();
    let ported = ["tcp", "udp", "tcp/udp"].contains(&protocol.as_str());
    let (src, dst) = (End::pfsense(e.at("source")), End::pfsense(e.at("destination")));
    let from = match e.at("source") {
        Some(s) if !s.is_blank() => end(Some(s), "source", family, cx)?,
        _ => Addresses::any(),
    };
    let mut matches = matching(e.origin(), &i.names).family(family).from(from).to(end(
        e.at("destination"),
        "destination",
        family,
        cx,
    )?);
    matches.proto = protocols(&protocol, family);
    if ported {
        matches.sport = ports(&src.port, cx)?;
        matches.dport = ports(&dst.port, cx)?;
    }
    let pass = e.word("associated-rule-id") == "pass";
    if e.flag("nordr") {
        return Ok(NatRule { matches, rewrite: Rewrite::Nothing, pass });
    }
    if (protocol.is_empty() || protocol == "any") && cx.release < Release::V2_7 {
        let unknown = Unknown::new(
            "a port forward for any protocol",
            "releases before 2.7 differ in what they make of it",
        );
        return Ok(NatRule { matches, rewrite: Rewrite::Unknown(unknown), pass });
    }
    let target = e.word("target");
    let to = target_of(&target, family, cx)
        .map_err(|_| Fault::Dropped(format!("its target `{target}` is no address and no alias")))?;
    let (port, port_from) = match ported {
        true => local_port(&e.word("local-port"), &dst.port, matches.dport.as_ref(), cx)?,
        false => (None, None),
    };
    Ok(NatRule { matches, rewrite: Rewrite::Address { to, prefix: false, port, port_from }, pass })
}

type Mapped = (Option<(u16, u16)>, Option<(u16, u16)>);

// The new port: the same distance from `local` as the old one from the first of the forwarded range.
fn local_port(
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

// A port forward seen from the other inside networks.
fn reflect(cx: &Context<'_>, e: Element<'_>, number: usize, own: &Iface, rule: &NatRule) -> Vec<NatRule> {
    let system = match (
        cx.root.flag("system/disablenatreflection"),
        cx.root.flag("system/enablenatreflectionpurenat"),
    ) {
        (true, _) => "disable",
        (_, true) => "purenat",
        _ => "enable",
    };
    let stated = e.word("natreflection");
    let mode = if stated.is_empty() { system } else { &stated };
    if mode == "disable" || matches!(rule.rewrite, Rewrite::Nothing) {
        return Vec::new();
    }
    let inside = cx.interfaces.real().filter(|i| i.key != own.key && !i.has_gateway());
    let on = inside.fold(IntervalSet::EMPTY, |a, i| a.union(&i.names));
    if on.is_empty() {
        return Vec::new();
    }
    let mut matches = rule.matches.clone();
    matches.on = Some(on);
    let rewrite = match (mode, rule.pass) {
        (_, true) => Rewrite::Unknown(Unknown::new(
            "reflection of a port forward with pass",
            "whether it asks filter rules is not certain",
        )),
        ("purenat", _) => rule.rewrite.clone(),
        _ => {
            // A process on the box takes the connection and makes another to the target.
            matches.tag = Some("PFREFLECT".to_owned());
            let first = 19000u16.saturating_add(u16::try_from(number).unwrap_or(u16::MAX));
            let home = addr::v4(0x7f00_0001);
            Rewrite::Address {
                to: Some((home, home)),
                prefix: false,
                port: Some((19000.min(first), 20000.max(first))),
                port_from: None,
            }
        }
    };
    vec![NatRule { matches, rewrite, pass: false }]
}

// Whether pf asks port forwards or 1:1 translations first is not certain: where both match, both orders are looked at.
fn merge(forwards: Vec<NatRule>, one_to_one: &[OneToOne<'_>], rules: &mut Ruleset) {
    let overlapping = |f: &&NatRule| {
        let hit = |b: &&OneToOne<'_>| {
            f.matches.on.as_ref().is_none_or(|on| on.intersects(&b.on))
                && (!f.matches.dst.unknown.is_empty()
                    || f.matches.dst.negated
                    || f.matches.dst.set.intersects(&b.external))
        };
        one_to_one.iter().any(|b| hit(&b))
    };
    let mut first = Vec::new();
    if forwards.iter().any(|f| overlapping(&f)) {
        let why = "where both match, it is not certain which of them pf asks first";
        let order = Unknown::new("port forwards come before 1:1 translations", why);
        for f in &forwards {
            let mut f = f.clone();
            f.matches.conditions.push(order.clone());
            // A copy for the other order is no rule of its own.
            f.matches.note =
                f.matches.note.or_else(|| Some("port forward, asked before 1:1 translations".to_owned()));
            first.push(f);
        }
    }
    rules.nat_in.splice(0..0, first);
    rules.nat_in.extend(forwards);
}

fn reflect_binat(cx: &Context<'_>, b: &OneToOne<'_>, rules: &mut Ruleset) {
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

// Port forwards that rely on a filter rule which is gone or off.
fn orphans(cx: &Context<'_>, facts: &mut Facts) {
    let forwards = cx.root.at("nat").into_iter().flat_map(|n| n.list("rule")).filter(|e| !e.flag("disabled"));
    let mut rules: FxHashMap<String, Vec<Element<'_>>> = FxHashMap::default();
    for e in cx.root.at("filter").into_iter().flat_map(|f| f.list("rule")) {
        if let Some(id) = e.value("associated-rule-id") {
            rules.entry(id).or_default().push(e);
        }
    }
    for e in forwards {
        let id = e.word("associated-rule-id");
        if id.is_empty() || id == "pass" || e.flag("nordr") {
            continue;
        }
        let linked = rules.get(&id).map(Vec::as_slice).unwrap_or_default();
        if linked.is_empty() {
            let message = "the filter rule that goes with this port forward is gone".to_owned();
            facts.orphans.push(Orphan { origin: e.origin(), message, rule: None });
        } else if let Some(off) = linked.iter().find(|r| r.flag("disabled")) {
            let message = "the filter rule that goes with this port forward is disabled".to_owned();
            facts.orphans.push(Orphan { origin: e.origin(), message, rule: Some(off.origin()) });
        }
    }
}
