//! Outbound translations: those that somebody wrote, and the automatic ones.

use super::aliases::{Fault, parse_net};
use super::interfaces::Addressing;
use super::nat_parts::*;
use super::pf::{Addresses, NatRule, PfAction, PfRule, Rewrite, Ruleset, Unknown};
use super::user::{Context, ports};
use super::xml::Element;
use crate::packet::addr::{self, Family};
use crate::packet::{IntervalSet, proto};
use crate::source::Origin;

pub(super) fn outbound(cx: &Context<'_>, rules: &mut Ruleset, open: &mut Open) {
    let setting = cx.root.at("nat/outbound");
    let mode = setting.map(|s| s.choice("mode", &["automatic", "advanced", "hybrid", "disabled"]));
    let mode = mode.unwrap_or_default();
    let manual_too = mode == "advanced" || mode == "hybrid";
    for e in setting.into_iter().flat_map(|s| s.list("rule")).filter(|e| is_on(*e)) {
        if manual_too {
            manual(cx, e, rules);
            open.settle(e, false);
        } else {
            e.settle();
        }
    }
    if mode.is_empty() || mode == "automatic" || mode == "hybrid" {
        let place = setting.map_or_else(|| super::system::place(cx.root, "nat"), Element::origin);
        automatic(cx, place, rules);
    }
}

pub(super) fn manual(cx: &Context<'_>, e: Element<'_>, rules: &mut Ruleset) {
    for read in [
        "target",
        "targetip",
        "targetip_subnet",
        "target_subnet",
        "natport",
        "staticnatport",
        "nonat",
        "sourceport",
        "dstport",
        "protocol",
    ] {
        e.at(read);
    }
    let six = e.choice("ipprotocol", &["inet", "inet6", "inet46"]) == "inet6";
    let family = if six { Family::V6 } else { Family::V4 };
    let (from, to) =
        (end(e.at("source"), "source", family, cx), end(e.at("destination"), "destination", family, cx));
    let Some(i) = cx.interfaces.get(&e.word("interface")) else {
        return unknown_interface(cx, e);
    };
    let (from, to) = match (from, to) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(Fault::Unknown(why)), _) | (_, Err(Fault::Unknown(why))) => return e.odd(why),
        _ => return,
    };
    let mut matches = matching(e.origin(), &i.names).family(family).from(from).to(to);
    let protocol = e.word("protocol").to_ascii_lowercase();
    if !["", "any"].contains(&protocol.as_str()) && protocols(&protocol, family).is_none() {
        return rules.refused.push((e.origin(), format!("`{protocol}` is no protocol")));
    }
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
        text => {
            match e.value("target_subnet").map(|bits| format!("{text}/{bits}")).and_then(|n| parse_net(&n)) {
                Some(net) => to_addresses(bounds(&addr::net(net))),
                None => to_addresses(target_of(text, family, cx).ok().flatten()),
            }
        }
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

// What leaves by a WAN with an address from inside gets the WAN's address.
pub(super) fn automatic(cx: &Context<'_>, place: Origin, rules: &mut Ruleset) {
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
    for route in super::routes::static_routes(cx.root) {
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
