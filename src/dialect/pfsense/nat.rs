//! Translations: 1:1, prefixes, outbound, port forwards and their reflection (`filter_nat_rules_generate`).

use super::facts::Facts;
use super::forward::{orphans, port_forward};
use super::interfaces::phase1;
use super::nat_outbound::outbound;
use super::nat_parts::*;
use super::nat_static::{OneToOne, binat, prefix, reflect_binat};
use super::pf::{NatRule, PfAction, PfRule, Rewrite, Ruleset, Unknown};
use super::product::Product;
use super::release::Release;
use super::user::Context;
use crate::packet::addr::{self, Family};
use crate::packet::proto;

/// Generates all translations.
pub(super) fn generate(cx: &Context<'_>, rules: &mut Ruleset, facts: &mut Facts) {
    let nat = cx.root.at("nat");
    let items = |name: &'static str| nat.into_iter().flat_map(move |n| n.list(name));
    let mut one_to_one = Vec::new();
    let mut open = Open::default();
    for e in items("onetoone").filter(|e| is_on(*e)) {
        binat(cx, e, rules, &mut one_to_one);
        open.settle(e, true);
    }
    for e in items("npt").filter(|e| is_on(*e)) {
        prefix(cx, e, rules);
        open.settle(e, true);
    }
    if cx.product == Product::OpnSense {
        super::opnsense_nat::early(cx, rules, &mut open);
    }
    tunnels(cx, rules);
    outbound(cx, rules, &mut open);
    let mut forwards = Vec::new();
    tftp(cx, &mut forwards);
    balancer(cx, &mut forwards);
    if cx.product == Product::OpnSense {
        super::opnsense_nat::forwards(cx, &mut forwards, rules, facts, &mut open);
    } else {
        for (number, e) in items("rule").filter(|e| is_on(*e)).enumerate() {
            port_forward(cx, e, number, &mut forwards, rules, facts);
            open.settle(e, true);
        }
        ipv6_in_ipv4(cx, &mut forwards);
    }
    upnp(cx, &mut forwards);
    merge(forwards, &one_to_one, rules);
    for b in one_to_one {
        reflect_binat(cx, &b, rules);
    }
    if cx.product == Product::PfSense {
        orphans(cx, facts);
    }
    open.put_first(rules);
}

// The switch for IPv6 in IPv4 sends such packets that come in by the WAN to a host.
fn ipv6_in_ipv4(cx: &Context<'_>, out: &mut Vec<NatRule>) {
    let Some(e) = cx.root.at("diag/ipv6nat").filter(|e| e.flag("enable")) else { return };
    let (Some(i), Ok(to)) = (cx.interfaces.get("wan"), e.word("ipaddr").trim().parse::<std::net::IpAddr>())
    else {
        return;
    };
    let to = addr::value(to);
    let matches = matching(e.origin(), &i.names).family(Family::V4).proto(&[41]);
    out.push(NatRule { matches, rewrite: fixed((to, to)), pass: false });
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
