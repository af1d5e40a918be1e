//! The rules that nobody wrote, around those that somebody wrote: the filter part of the ruleset in its order
//! (`filter_rules_generate`).

use super::address::itself;
use super::interfaces::{Addressing, Iface, phase1};
use super::pf::{Addresses, PfAction, PfRule, Unknown};
use super::product::Product;
use super::release::Release;
use super::user::Context;
use super::xml::Element;
use crate::packet::addr::{self, Family};
use crate::packet::{Field, IntervalSet, interface_value, proto};
use crate::source::Origin;
use PfAction::{Block, Pass};

pub(super) const ESP: u8 = 50;
pub(super) const AH: u8 = 51;
const GRE: u8 = 47;
const IPV6: u8 = 41;
const CARP: u8 = 112;
const TCP_UDP: &[u8] = &[proto::TCP, proto::UDP];

/// An address set from texts; the texts are constants of this module.
pub(super) fn nets(texts: &[&str]) -> Addresses {
    let sets = texts.iter().filter_map(|t| addr::parse(t));
    Addresses::of(sets.fold(IntervalSet::EMPTY, |a, b| a.union(&b)))
}

pub(super) fn types(list: &[u8]) -> IntervalSet {
    IntervalSet::from_ranges(list.iter().map(|t| (u128::from(*t) << 8, u128::from(*t) << 8 | 0xff)))
}

fn lo0() -> IntervalSet {
    interface_value("lo0").map(IntervalSet::single).unwrap_or_default()
}

/// Place of a setting: its element, or `<filter>`, or the whole document.
pub(super) fn place(root: Element<'_>, path: &str) -> Origin {
    let found = root.at(path).or_else(|| root.at("filter"));
    found.map_or_else(|| head(root), Element::origin)
}

// The opening tag of the document, rather than all of it.
fn head(root: Element<'_>) -> Origin {
    let o = root.origin();
    Origin { end: o.start + root.name().len() as u32 + 1, ..o }
}

/// Rules before those of users (numbers 0 to 17 of the design page).
pub(super) fn before(cx: &Context<'_>) -> Vec<PfRule> {
    if cx.product == Product::OpnSense {
        return super::opnsense_system::before(cx);
    }
    let mut out = Vec::new();
    super::unwritten::rules(cx, &mut out);
    let ipv6 = cx.ipv6 == Some(true);
    early(cx, ipv6, &mut out);
    for i in cx.interfaces.list.iter().filter(|i| !i.group) {
        interface(cx, i, ipv6, &mut out);
    }
    general(cx, ipv6, &mut out);
    out
}

/// Rules behind those of users (numbers 20 to 23).
pub(super) fn after(cx: &Context<'_>) -> Vec<PfRule> {
    let mut out = Vec::new();
    match cx.product {
        Product::PfSense => static_routes(cx, &mut out),
        Product::OpnSense => out.extend(super::opnsense_nat::filter_rules(cx)),
    }
    ipsec(cx, &mut out);
    upnp(cx, &mut out);
    out
}

// Rule 0b: IPv6 addresses of NAT64's well-known prefix that stand for IPv4 addresses which are not global.
fn nat64_reserved(cx: &Context<'_>, filter: Origin, out: &mut Vec<PfRule>) {
    if cx.release < Release::V2_9 || cx.root.flag("system/allow_nat64_prefix_override") {
        return;
    }
    let reserved = Addresses::of(super::built_in::table("_nat64reserved_").unwrap_or_default());
    let note = "NAT64 addresses of IPv4 hosts that are not public are blocked";
    out.push(PfRule::implicit(Block, filter, note).quick().family(Family::V6).to(reserved));
}

fn early(cx: &Context<'_>, ipv6: bool, out: &mut Vec<PfRule>) {
    let root = cx.root;
    let filter = place(root, "filter");
    nat64_reserved(cx, filter, out);
    if !ipv6 {
        let note = "IPv6 is not allowed: system/ipv6allow is absent";
        let at = place(root, "system");
        out.push(PfRule::implicit(Pass, at, note).quick().family(Family::V6).on(lo0()));
        out.push(PfRule::implicit(Block, at, note).quick().family(Family::V6));
    }
    if !root.flag("system/no_apipa_block") {
        let local = nets(&["169.254.0.0/16"]);
        let rule = || {
            PfRule::implicit(
                Block,
                filter,
                "link-local IPv4 addresses are blocked: system/no_apipa_block is absent",
            )
            .quick()
            .inbound()
            .family(Family::V4)
        };
        out.push(rule().from(local.clone()));
        out.push(rule().to(local));
    }
    for family in Family::ALL {
        let note = format!("default deny rule IPv{}", family.number());
        out.push(PfRule::implicit(Block, filter, note.as_str()).inbound().family(family));
        out.push(PfRule::implicit(Block, filter, note).outbound().family(family));
    }
    if ipv6 {
        icmpv6(filter, out);
    }
    for family in [Family::V4, Family::V6].into_iter().filter(|f| *f == Family::V4 || ipv6) {
        let rule = || {
            PfRule::implicit(Block, filter, "packets from or to port 0 are blocked")
                .quick()
                .family(family)
                .proto(TCP_UDP)
        };
        out.push(rule().sport(0));
        out.push(rule().dports(&[0]));
    }
    let snort =
        || Addresses::unknown(table("snort2c", "hosts that an intrusion detection blocked; taken as empty"));
    let note = "hosts blocked by intrusion detection";
    out.push(PfRule::implicit(Block, filter, note).quick().from(snort()));
    out.push(PfRule::implicit(Block, filter, note).quick().to(snort()));
    carp(cx, out);
    let locked =
        || Addresses::unknown(table("sshguard", "hosts locked out after failed logins; taken as empty"));
    for port in [ssh_port(root), web_port(root)] {
        let rule = PfRule::implicit(Block, filter, "hosts locked out after failed logins").quick().inbound();
        out.push(rule.proto(&[proto::TCP]).from(locked()).to(itself(cx)).dports(&[port]));
    }
    let virus = Addresses::unknown(table("virusprot", "hosts that exceeded a limit; taken as empty"));
    out.push(
        PfRule::implicit(Block, filter, "hosts that exceeded a rule's limits").quick().inbound().from(virus),
    );
    if cx.release >= Release::V2_8 {
        let mut rule = PfRule::implicit(Block, filter, "DHCP answers are not forwarded").quick().outbound();
        rule.tagged = Some(super::pf::Tagged { name: "dhcpin".to_owned(), negated: false });
        out.push(rule.proto(&[proto::UDP]).sport(67).dports(&[68]));
    }
}

// A table that the box fills against abuse: assumed not to hold the packet's host, as rate limits are assumed not exceeded.
pub(super) fn table(name: &str, why: &str) -> Unknown {
    Unknown { assumed: Some(false), ..Unknown::new(format!("in table {name}"), why) }
}

fn icmpv6(filter: Origin, out: &mut Vec<PfRule>) {
    let rule = || {
        PfRule::implicit(Pass, filter, "ICMPv6 that IPv6 needs is passed: system/ipv6allow")
            .quick()
            .family(Family::V6)
            .proto(&[proto::ICMPV6])
    };
    let local = || nets(&["fe80::/10"]);
    let group = || nets(&["ff02::/16"]);
    let with = |rule: PfRule, list: &[u8]| PfRule { icmp: Some(types(list)), ..rule };
    out.push(with(rule(), &[1, 2, 135, 136]));
    let answers = [129, 133, 134, 135, 136];
    out.push(with(rule().outbound().from(local()).to(local()), &answers));
    out.push(with(rule().outbound().from(local()).to(group()), &answers));
    let asked = [128, 133, 134, 135, 136];
    for (from, to) in [(local(), local()), (group(), local()), (local(), group()), (nets(&["::"]), group())] {
        out.push(with(rule().inbound().from(from).to(to), &asked));
    }
}

fn carp(cx: &Context<'_>, out: &mut Vec<PfRule>) {
    let vips = || cx.root.at("virtualip").into_iter().flat_map(|v| v.list("vip"));
    let wanted = match cx.release >= Release::V2_7 {
        true => vips().find(|v| v.word("mode") == "carp"),
        false => vips().next().or_else(|| cx.root.at("hasync")),
    };
    if let Some(e) = wanted {
        let note = "CARP between the members of a cluster";
        out.push(PfRule::implicit(Block, e.origin(), note).quick().inbound().proto(&[CARP]).from(itself(cx)));
        let pass = PfRule::implicit(Pass, e.origin(), note).quick().proto(&[CARP]);
        out.push(PfRule { stateless: true, ..pass });
    }
}

// Rules 10a to 10i of one interface.
fn interface(cx: &Context<'_>, i: &Iface, ipv6: bool, out: &mut Vec<PfRule>) {
    let settings = cx.root.at("interfaces").and_then(|s| s.at(&i.key));
    let udp = |direction: fn(PfRule) -> PfRule, from: u16, to: u16, note: &str| {
        let rule =
            PfRule::implicit(Pass, i.origin, format!("{note} on {}", i.key)).quick().on(i.names.clone());
        direction(rule).proto(&[proto::UDP]).sport(from).dports(&[to])
    };
    let word = |family| match i.addressing(family) {
        Addressing::Dynamic(word) => word.clone(),
        _ => String::new(),
    };
    if word(Family::V4) == "dhcp" {
        let mut answer = udp(PfRule::inbound, 67, 68, "DHCP client (ipaddr is dhcp)");
        if cx.release >= Release::V2_8 {
            answer = PfRule { stateless: true, tag: Some("dhcpin".to_owned()), ..answer };
        }
        out.push(answer);
        out.push(udp(PfRule::outbound, 68, 67, "DHCP client (ipaddr is dhcp)"));
    }
    if ipv6 && ["dhcp6", "slaac"].contains(&word(Family::V6).as_str()) {
        let local = || nets(&["fe80::/10"]);
        let six = |r: PfRule| r.family(Family::V6);
        out.push(six(udp(PfRule::inbound, 546, 546, "DHCPv6 client (ipaddrv6)")).from(local()).to(local()));
        out.push(six(udp(PfRule::inbound, 547, 546, "DHCPv6 client (ipaddrv6)")));
        out.push(six(udp(PfRule::outbound, 546, 547, "DHCPv6 client (ipaddrv6)")));
    }
    let flag = |name| settings.and_then(|s| s.flagged(name));
    if let Some(e) = flag("blockbogons") {
        bogons(i, e.origin(), ipv6, out);
    }
    antispoof(i, out);
    if let Some(e) = flag("blockpriv").filter(|_| !i.bridged) {
        let note = format!("private networks are blocked on {}: blockpriv", i.key);
        let rule =
            || PfRule::implicit(Block, e.origin(), note.as_str()).quick().inbound().on(i.names.clone());
        for net in ["10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"] {
            out.push(rule().from(nets(&[net])));
        }
    }
    if word(Family::V4) == "pptp" {
        let note = format!("PPTP client on {}: ipaddr is pptp", i.key);
        out.push(PfRule::implicit(Pass, i.origin, note).inbound().on(i.names.clone()).proto(&[GRE]));
    }
    dhcp_server(cx, i, out);
    if ["6rd", "6to4"].contains(&word(Family::V6).as_str()) {
        let rule = PfRule::implicit(Pass, i.origin, format!("IPv6 tunnel on {}", i.key))
            .on(i.names.clone())
            .proto(&[IPV6]);
        out.push(rule);
    }
    if ipv6 {
        dhcpv6_server(cx, i, out);
    }
}

// Networks of the DNS root servers (root-servers.org). The bogon lists have what is reserved or not assigned; these will be assigned as long as
// names are resolved, so a packet from there is certainly not stopped, and an opening to the Internet has a certain witness.
const ASSIGNED: &[&str] = &[
    "198.41.0.0/24",
    "192.33.4.0/24",
    "192.203.230.0/24",
    "192.5.5.0/24",
    "192.36.148.0/24",
    "192.58.128.0/24",
    "193.0.14.0/24",
    "202.12.27.0/24",
    "2001:503:ba3e::/48",
    "2001:500:2f::/48",
    "2001:7fd::/48",
];

pub(super) fn bogons(i: &Iface, origin: Origin, ipv6: bool, out: &mut Vec<PfRule>) {
    let rule = || {
        let note = format!("bogon networks are blocked on {}: blockbogons", i.key);
        PfRule::implicit(Block, origin, note).quick().inbound().on(i.names.clone())
    };
    let why = "the list of addresses that nobody may use is downloaded each month";
    let assigned = nets(ASSIGNED).set;
    // The list has reserved and unassigned networks, but never those of RFC 1918.
    let private = nets(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]).set;
    for (family, table) in [(Family::V4, "bogons"), (Family::V6, "bogonsv6")] {
        if family == Family::V4 || ipv6 {
            let may = family.all().minus(&private).minus(&assigned);
            let listed = Unknown::new(format!("source in table {table}"), why);
            out.push(rule().family(family).from(Addresses::of(may)).when(listed));
        }
    }
}

// What is not quick decides only where no rule of a user does. Of a network that is learnt, which packets are meant is not known.
fn antispoof(i: &Iface, out: &mut Vec<PfRule>) {
    if i.bridged {
        return;
    }
    if let Addressing::Dynamic(_) = i.v4 {
        let learnt = Unknown::new(format!("in the IPv4 network of {}", i.key), "it is learnt at run time");
        let rule = PfRule::implicit(Block, i.origin, format!("antispoof for {}", i.key)).inbound();
        let from = Addresses::unknown(learnt.only(Family::V4));
        out.push(rule.on(Field::Iif.complement(&i.names)).from(from));
    }
    if let Some((address, net)) = i.v4.known() {
        let rule = || PfRule::implicit(Block, i.origin, format!("antispoof for {}", i.key)).inbound();
        out.push(rule().on(Field::Iif.complement(&i.names)).from(Addresses::of(net.clone())));
        out.push(rule().from(Addresses::of(IntervalSet::single(address))));
    }
}

// Addresses of an interface in a rule of the generator itself: where they are learnt, a condition.
fn own(i: &Iface, family: Family) -> Option<Addresses> {
    match i.addressing(family) {
        Addressing::None => None,
        Addressing::Static { address, .. } => Some(Addresses::of(IntervalSet::single(*address))),
        Addressing::Dynamic(_) => Some(Addresses::unknown(Unknown::new(
            format!("in the IPv{} address of {}", family.number(), i.key),
            format!("{} learns its address at run time", i.key),
        ))),
    }
}

fn dhcp_server(cx: &Context<'_>, i: &Iface, out: &mut Vec<PfRule>) {
    let without = matches!(&i.v4, Addressing::None)
        || matches!(&i.v4, Addressing::Dynamic(w) if w == "pptp" || w == "pppoe");
    let server = cx.root.at("dhcpd").and_then(|d| d.at(&i.key)).filter(|s| s.flag("enable") && !without);
    let relay = cx
        .root
        .at("dhcrelay")
        .filter(|r| r.flag("enable") && super::user::split(&r.word("interface")).any(|k| k == i.key));
    let Some(e) = server.or(relay) else { return };
    let what = if server.is_some() { "DHCP server" } else { "DHCP relay" };
    let rule = || {
        PfRule::implicit(Pass, e.origin(), format!("{what} on {}", i.key))
            .quick()
            .on(i.names.clone())
            .family(Family::V4)
            .proto(&[proto::UDP])
    };
    out.push(rule().inbound().sport(68).to(nets(&["255.255.255.255"])).dports(&[67]));
    let (Some(server), Some(own)) = (server, own(i, Family::V4)) else { return };
    out.push(rule().inbound().sport(68).to(own.clone()).dports(&[67]));
    out.push(rule().outbound().from(own.clone()).sport(67).dports(&[68]));
    if let Some(peer) = server.value("failover_peerip").and_then(|p| addr::parse(&p)) {
        let rule = rule().inbound().from(Addresses::of(peer)).to(own).proto(TCP_UDP);
        out.push(rule.clone().dports(&[519]));
        out.push(rule.dports(&[520]));
    }
}

fn dhcpv6_server(cx: &Context<'_>, i: &Iface, out: &mut Vec<PfRule>) {
    let server = cx.root.at("dhcpdv6").and_then(|d| d.at(&i.key)).filter(|s| s.flag("enable"));
    let relay = cx
        .root
        .at("dhcrelay6")
        .filter(|r| r.flag("enable") && super::user::split(&r.word("interface")).any(|k| k == i.key));
    let Some(e) = server.or(relay) else { return };
    let rule = || {
        PfRule::implicit(Pass, e.origin(), format!("DHCPv6 server or relay on {}", i.key))
            .quick()
            .on(i.names.clone())
            .family(Family::V6)
            .proto(&[proto::UDP])
    };
    let (local, group) = (nets(&["fe80::/10"]), nets(&["ff02::/16"]));
    for (from, to, port) in
        [(&local, &local, 546), (&local, &group, 546), (&local, &group, 547), (&group, &local, 547)]
    {
        out.push(rule().from(from.clone()).to(to.clone()).dports(&[port]));
    }
    if let Some(own) = own(i, Family::V6) {
        out.push(rule().inbound().from(local).to(own.clone()).dports(&[546]));
        out.push(rule().outbound().from(own).sport(547).to(nets(&["fe80::/10"])));
    }
}

// Rules 11 to 16: loopback, the box's own packets, IPsec, administration, reflection.
fn general(cx: &Context<'_>, ipv6: bool, out: &mut Vec<PfRule>) {
    let root = cx.root;
    let filter = place(root, "filter");
    let families: Vec<_> = Family::ALL.into_iter().filter(|f| *f == Family::V4 || ipv6).collect();
    for f in &families {
        out.push(PfRule::implicit(Pass, filter, "loopback is passed").family(*f).on(lo0()));
    }
    for f in &families {
        out.push(
            PfRule::implicit(
                Pass,
                filter,
                "everything may leave: let out anything from the firewall host itself",
            )
            .outbound()
            .family(*f),
        );
    }
    through_gateways(cx, &families, out);
    if let Some(i) = cx.interfaces.get("enc0") {
        out.push(
            PfRule::implicit(Pass, i.origin, "IPsec: everything may leave through tunnels")
                .outbound()
                .on(i.names.clone()),
        );
    }
    anti_lockout(cx, out);
    let mut reflected =
        PfRule::implicit(Pass, filter, "NAT reflection: system/disablenatreflection is absent")
            .inbound()
            .family(Family::V4);
    reflected.tagged = Some(super::pf::Tagged { name: "PFREFLECT".to_owned(), negated: false });
    if !root.flag("system/disablenatreflection")
        && root.at("nat").is_some_and(|n| n.list("rule").next().is_some())
    {
        out.push(reflected);
    }
}

// Rule 13: the box's own packets from an address of a WAN leave through that WAN. Everything may leave anyway; this names it.
fn through_gateways(cx: &Context<'_>, families: &[Family], out: &mut Vec<PfRule>) {
    for i in cx.interfaces.real().filter(|i| i.has_gateway()) {
        for f in families {
            let Some((address, net)) = i.addressing(*f).known() else { continue };
            let note = format!("the firewall's own packets leave through the gateway of {}", i.key);
            let rule = || {
                let elsewhere = Addresses { negated: true, ..Addresses::of(net.clone()) };
                PfRule::implicit(Pass, i.origin, note.as_str()).outbound().family(*f).to(elsewhere)
            };
            let sources = [address].into_iter().chain(i.vips(*f).map(|v| v.address));
            out.extend(sources.map(|a| rule().from(Addresses::of(IntervalSet::single(a)))));
        }
    }
}

/// Port of the secure shell.
pub(super) fn ssh_port(root: Element<'_>) -> u16 {
    root.number("system/ssh/port").unwrap_or(22)
}

/// Port of the web interface.
pub(super) fn web_port(root: Element<'_>) -> u16 {
    root.number("system/webgui/port").unwrap_or(if is_https(root) { 443 } else { 80 })
}

fn is_https(root: Element<'_>) -> bool {
    root.choice("system/webgui/protocol", &["http", "https"]) != "http"
}

/// Ports of the box's administration.
pub(super) fn admin_ports(root: Element<'_>) -> Vec<u16> {
    let mut ports = vec![web_port(root)];
    if is_https(root) && !root.flag("system/webgui/disablehttpredirect") && ports[0] != 80 {
        ports.push(80);
    }
    if root.flag("system/ssh/enable") || root.flag("system/ssh/enabled") || root.flag("system/enablesshd") {
        ports.push(ssh_port(root));
    }
    ports
}

/// A box with one interface that is off: the anti-lockout rule is written without interface and addresses, which pf does not read.
pub(super) fn broken_anti_lockout(cx: &Context<'_>) -> Option<(Origin, String)> {
    let on = cx.product == Product::PfSense && !cx.root.flag("system/webgui/noantilockout");
    let broken = on && cx.interfaces.described == 1 && cx.interfaces.get("wan").is_none();
    let why = "the anti-lockout rule names the only interface, which is not enabled";
    broken.then(|| (place(cx.root, "interfaces"), why.to_owned()))
}

fn anti_lockout(cx: &Context<'_>, out: &mut Vec<PfRule>) {
    if cx.root.flag("system/webgui/noantilockout") {
        return;
    }
    let key = if cx.interfaces.described > 1 { "lan" } else { "wan" };
    let Some(i) = cx.interfaces.get(key) else { return };
    let mut to = Addresses::of(i.own());
    to.unknown = super::address::learns(&[i], &format!("is an address of {key}"));
    to.unknown.extend(super::address::link_local(key, cx));
    let rule = PfRule::implicit(
        Pass,
        place(cx.root, "system/webgui"),
        format!("anti-lockout rule on {key}: system/webgui/noantilockout is absent"),
    );
    out.push(
        rule.quick().inbound().on(i.names.clone()).proto(&[proto::TCP]).to(to).dports(&admin_ports(cx.root)),
    );
}

// Rule 20: packets between networks of one side, of which only half pass through the box.
pub(super) fn static_routes(cx: &Context<'_>, out: &mut Vec<PfRule>) {
    let Some(setting) = cx.root.flagged("filter/bypassstaticroutes") else { return };
    for route in super::routes::static_routes(cx.root) {
        let gateway = route.word("gateway");
        let key = super::routes::interface_of(cx.root, &gateway);
        let Some(i) = key.and_then(|k| cx.interfaces.get(&k).cloned()) else { continue };
        let network = route.word("network");
        let far = match addr::parse(&network) {
            Some(set) => Addresses::of(set),
            None if cx.aliases.has(&network) => match cx.aliases.addresses(&network, Family::V4, false) {
                Ok(a) => a,
                Err(_) => continue,
            },
            None => continue,
        };
        let Some((_, near)) = i.v4.known() else { continue };
        let near = Addresses::of(near.clone());
        let rule = || {
            let r = PfRule::implicit(
                Pass,
                setting.origin(),
                format!("static route to {network} on {}: filter/bypassstaticroutes", i.key),
            );
            let r = if cx.product == Product::PfSense { r.quick() } else { r.inbound() };
            PfRule { flags: super::pf::Flags::Any, ..r.on(i.names.clone()).family(Family::V4) }
        };
        for (from, to) in [(&near, &far), (&far, &near)] {
            out.push(rule().proto(&[proto::TCP]).from(from.clone()).to(to.clone()));
            out.push(rule().from(from.clone()).to(to.clone()));
        }
    }
}

// Rule 21: what IPsec itself needs.
fn ipsec(cx: &Context<'_>, out: &mut Vec<PfRule>) {
    let off = match cx.product {
        Product::PfSense => cx.root.flag("system/disablevpnrules"),
        Product::OpnSense => {
            cx.root.flag("OPNsense/IPsec/general/disablevpnrules") || cx.root.at("ipsec/enable").is_none()
        }
    };
    if off {
        return;
    }
    let vips: Vec<_> = cx.root.at("virtualip").into_iter().flat_map(|v| v.list("vip")).collect();
    for p1 in phase1(cx.root) {
        let peer = p1.word("remote-gateway");
        let anybody = p1.flag("mobile") || peer.is_empty() || peer == "0.0.0.0" || peer == "::";
        let them = match addr::parse(&peer) {
            _ if anybody => Addresses::any(),
            Some(set) => Addresses::of(set),
            None => named_peer(&peer, cx),
        };
        let key = super::interfaces::vip_parent(&vips, &p1.word("interface"));
        let on = cx.interfaces.get(&key).map(|i| i.names.clone());
        if let Some(e) = p1.at("interface").filter(|_| on.is_none() && !cx.interfaces.may_only_be_here(&key))
        {
            e.odd(format!("interface `{key}` is not in the file"));
        }
        let note = format!("IPsec with {}", if anybody { "anybody" } else { &peer });
        let rule = || PfRule::implicit(Pass, p1.origin(), note.as_str());
        let services = |r: PfRule, ike: u16, natt: u16| {
            [
                r.clone().proto(&[proto::UDP]).dports(&[ike]),
                r.clone().proto(&[proto::UDP]).dports(&[natt]),
                r.clone().proto(&[ESP]),
                r.proto(&[AH]),
            ]
        };
        let port = |e: Option<Element<'_>>, name: &str, usual: u16| {
            e.and_then(|e| e.number::<u16>(name)).filter(|_| cx.product == Product::PfSense).unwrap_or(usual)
        };
        // The peer's ports, and the box's own.
        let theirs = (port(Some(p1), "ikeport", 500), port(Some(p1), "nattport", 4500));
        let whole = cx.root.at("ipsec");
        let ours = (port(whole, "port", 500), port(whole, "port_nat_t", 4500));
        if !anybody {
            out.extend(services(rule().outbound().from(itself(cx)).to(them.clone()), theirs.0, theirs.1));
        }
        if let Some(on) = on {
            out.extend(services(rule().inbound().on(on).from(them).to(itself(cx)), ours.0, ours.1));
        }
    }
}

fn named_peer(name: &str, cx: &Context<'_>) -> Addresses {
    let name = name.to_ascii_lowercase();
    match cx.options.names.get(&name) {
        Some(set) => Addresses::of(set.clone()),
        None => Addresses { names: vec![name], ..Addresses::of(IntervalSet::EMPTY) },
    }
}

/// The settings of the UPnP service, if it runs.
pub(super) fn upnp_config(root: Element<'_>) -> Option<Element<'_>> {
    root.at("installedpackages/miniupnpd/config").filter(|c| c.flag("enable") && c.word("enable") != "off")
}

fn upnp(cx: &Context<'_>, out: &mut Vec<PfRule>) {
    let Some(e) = upnp_config(cx.root) else { return };
    let why = "UPnP and NAT-PMP clients make rules at run time";
    out.push(
        PfRule::implicit(PfAction::Unknown, e.origin(), "rules of UPnP")
            .inbound()
            .quick()
            .when(Unknown::new("rules of UPnP", why)),
    );
    let group = nets(&["239.255.255.250"]);
    out.push(
        PfRule::implicit(Pass, e.origin(), "UPnP discovery")
            .inbound()
            .proto(&[proto::UDP])
            .to(group)
            .dports(&[1900]),
    );
}
