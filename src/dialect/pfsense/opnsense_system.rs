//! OPNsense: the rules that nobody wrote, in the order of their priorities (`filter.lib.inc` and the parts of plugins that open
//! ports). A rule that says nothing else is quick and for packets that come in.

use super::address::itself;
use super::interfaces::{Addressing, Iface};
use super::pf::{Addresses, PfAction, PfRule, Unknown};
use super::system::{bogons, nets, place, ssh_port, table, types, web_port};
use super::user::{Context, split};
use super::xml::Element;
use crate::packet::addr::Family;
use crate::packet::{Field, IntervalSet, proto};
use crate::source::Origin;
use PfAction::{Block, Pass};

const CARP: u8 = 112;
const GRE: u8 = 47;
const IPV6: u8 = 41;
const TCP_UDP: &[u8] = &[proto::TCP, proto::UDP];

const PRIVATE4: &[&str] =
    &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16"];
const PRIVATE6: &[&str] = &["fd00::/8", "fe80::/10", "::1/128"];

/// Rules before those of users.
pub(super) fn before(cx: &Context<'_>) -> Vec<PfRule> {
    let mut out = Vec::new();
    unfiltered(cx, &mut out);
    super::unwritten::rules(cx, &mut out);
    for i in filtered(cx) {
        antispoof(i, &mut out);
    }
    general(cx, &mut out);
    for i in filtered(cx) {
        interface(cx, i, &mut out);
    }
    dnsmasq(cx, &mut out);
    kea(cx, &mut out);
    for i in filtered(cx).filter(|i| !i.virtual_only) {
        blocked(cx, i, &mut out);
    }
    late(cx, &mut out);
    out
}

fn filtered<'c>(cx: &'c Context<'_>) -> impl Iterator<Item = &'c Iface> {
    cx.interfaces.real().filter(|i| !i.is_loopback())
}

fn inward(action: PfAction, at: Origin, note: impl Into<String>) -> PfRule {
    PfRule::implicit(action, at, note).quick().inbound()
}

// `set skip on`: pf does not look at these devices.
fn unfiltered(cx: &Context<'_>, out: &mut Vec<PfRule>) {
    let lo = crate::packet::interface_value("lo0").map(IntervalSet::single).unwrap_or_default();
    let at = place(cx.root, "filter");
    out.push(PfRule::implicit(Pass, at, "packets on the loopback device are not filtered").quick().on(lo));
    let tunnels = cx.root.at("OPNsense/Swanctl/VTIs").into_iter().flat_map(|v| v.list("VTI"));
    for e in tunnels.filter(|v| v.flag("skip_fw")) {
        let device = format!("ipsec{}", e.word("reqid"));
        if let Some(i) = cx.interfaces.real().find(|i| i.device == device) {
            let note = format!("packets on {} are not filtered", i.key);
            let rule = PfRule::implicit(Pass, e.origin(), note).quick().on(i.names.clone());
            out.push(PfRule { flags: super::pf::Flags::Any, ..rule });
        }
    }
}

// For networks that are learnt, which packets are meant is not known.
fn antispoof(i: &Iface, out: &mut Vec<PfRule>) {
    if i.bridged || i.internal {
        return;
    }
    let rule = || PfRule::implicit(Block, i.origin, format!("antispoof for {}", i.key)).inbound();
    for family in Family::ALL {
        let net = match i.addressing(family) {
            Addressing::None => continue,
            Addressing::Static { address, net } => {
                out.push(rule().from(Addresses::of(IntervalSet::single(*address))));
                Addresses::of(net.clone())
            }
            Addressing::Dynamic(_) => {
                let what = format!("in the IPv{} network of {}", family.number(), i.key);
                Addresses::unknown(Unknown::new(what, "it is learnt at run time").only(family))
            }
        };
        out.push(rule().on(Field::Iif.complement(&i.names)).from(net));
    }
}

fn general(cx: &Context<'_>, out: &mut Vec<PfRule>) {
    let root = cx.root;
    let filter = place(root, "filter");
    let ipv6 = cx.ipv6 != Some(false);
    if cx.ipv6 != Some(true) {
        let at = place(root, "system");
        let rule = inward(Block, at, "IPv6 is not allowed").family(Family::V6);
        let why = "older releases block IPv6 without system/ipv6allow, newer ones without OPNsense/Interfaces/settings/disableipv6 do not";
        out.push(if ipv6 { rule.when(Unknown::new("IPv6 is blocked altogether", why)) } else { rule });
    }
    for family in Family::ALL {
        let note = format!("default deny rule IPv{}", family.number());
        out.push(PfRule::implicit(Block, filter, note).inbound().family(family));
    }
    if ipv6 && !root.flag("system/no_ipv6_rfc4890_req") {
        icmpv6(cx, filter, out);
    }
    if !root.flag("system/no_port0_block") {
        let rule = || inward(Block, filter, "packets from or to port 0 are blocked").proto(TCP_UDP);
        out.push(rule().sport(0));
        out.push(rule().dports(&[0]));
    }
    let vips = root.at("virtualip").into_iter().flat_map(|v| v.list("vip"));
    if let Some(e) = vips.into_iter().find(|v| v.word("mode") == "carp") {
        let group = if ipv6 { nets(&["224.0.0.18", "ff02::12"]) } else { nets(&["224.0.0.18"]) };
        let note = "CARP between the members of a cluster";
        out.push(PfRule::implicit(Pass, e.origin(), note).quick().proto(&[CARP]).to(group));
    }
    if !root.flag("system/no_sshlockout") {
        let locked = || {
            Addresses::unknown(table("sshlockout", "hosts locked out after failed logins; taken as empty"))
        };
        for port in [ssh_port(root), web_port(root)] {
            let rule = inward(Block, filter, "hosts locked out after failed logins").proto(&[proto::TCP]);
            out.push(rule.from(locked()).to(itself(cx)).dports(&[port]));
        }
    }
    if !root.flag("system/no_virusprot") {
        let virus = Addresses::unknown(table("virusprot", "hosts that exceeded a limit; taken as empty"));
        out.push(inward(Block, filter, "hosts that exceeded a rule's limits").from(virus));
    }
}

fn icmpv6(cx: &Context<'_>, filter: Origin, out: &mut Vec<PfRule>) {
    let note = "ICMPv6 that IPv6 needs is passed (RFC 4890)";
    let rule = |list: &[u8]| {
        let rule = PfRule::implicit(Pass, filter, note).quick().family(Family::V6).proto(&[proto::ICMPV6]);
        PfRule { icmp: Some(types(list)), ..rule }
    };
    let around = || nets(&["fe80::/10", "ff02::/16"]);
    out.push(rule(&[1, 2, 3, 4, 135, 136]).inbound());
    out.push(rule(&[128, 129, 133, 134, 135, 136]).outbound().from(itself(cx)).to(around()));
    let asked = [128, 133, 134, 135, 136];
    for (from, to) in [
        (nets(&["fe80::/10"]), around()),
        (nets(&["ff02::/16"]), nets(&["fe80::/10"])),
        (nets(&["::"]), nets(&["ff02::/16"])),
    ] {
        out.push(rule(&asked).inbound().from(from).to(to));
    }
}

// What an interface needs for the way in which it gets or gives addresses.
fn interface(cx: &Context<'_>, i: &Iface, out: &mut Vec<PfRule>) {
    let rule =
        |note: &str| PfRule::implicit(Pass, i.origin, format!("{note} on {}", i.key)).on(i.names.clone());
    let udp = |note: &str| rule(note).quick().proto(&[proto::UDP]);
    let word = |family| match i.addressing(family) {
        Addressing::Dynamic(word) => word.as_str(),
        _ => "",
    };
    let ipv6 = cx.ipv6 != Some(false);
    if ipv6 && ["dhcp6", "slaac"].contains(&word(Family::V6)) {
        let six = |r: PfRule| r.family(Family::V6);
        out.push(six(udp("DHCPv6 client").inbound()).to(nets(&["fe80::/10"])).dports(&[546]));
        let asks = six(udp("DHCPv6 client").outbound()).from(nets(&["fe80::/10"])).sport(546);
        out.push(asks.to(nets(&["fe80::/10", "ff02::/16"])).dports(&[547]));
    }
    match word(Family::V4) {
        "pptp" => {
            out.push(rule("PPTP client").inbound().proto(&[proto::TCP]).dports(&[1723]));
            out.push(rule("PPTP client").inbound().proto(&[GRE]));
        }
        "dhcp" => {
            out.push(udp("DHCP client").inbound().sport(67).dports(&[68]));
            out.push(udp("DHCP client").outbound().sport(68).dports(&[67]));
        }
        _ => {
            let server = cx.root.at("dhcpd").and_then(|d| d.at(&i.key)).filter(|s| s.at("enable").is_some());
            if let Some(e) = server {
                isc_server(cx, i, e, out);
            }
        }
    }
    match word(Family::V6) {
        "6rd" | "6to4" if ipv6 => out.push(rule("IPv6 tunnel").proto(&[IPV6])),
        _ if ipv6 => {
            let server =
                cx.root.at("dhcpdv6").and_then(|d| d.at(&i.key)).filter(|s| s.at("enable").is_some());
            let plugin =
                Unknown::new("the ISC DHCP server is installed", "newer releases have it as a plugin");
            if let Some(e) = server {
                served6(cx, i, e.origin(), "DHCPv6 server", Some(&plugin), out);
            } else if word(Family::V6) == "track6" {
                served6(cx, i, i.origin, "DHCPv6 server", Some(&plugin), out);
            }
            for e in relays6(cx).into_iter().filter(|e| e.word("interface") == i.key) {
                served6(cx, i, e.origin(), "DHCPv6 relay", None, out);
            }
        }
        _ => {}
    }
}

// Relays in force whose destination has an IPv6 address.
fn relays6<'a>(cx: &Context<'a>) -> Vec<Element<'a>> {
    let store = cx.root.at("OPNsense/DHCRelay");
    let destinations: Vec<_> = store.into_iter().flat_map(|s| s.list("destinations")).collect();
    let six = |id: &str| {
        let to = destinations.iter().filter(|d| d.attribute("uuid") == Some(id));
        to.into_iter().any(|d| d.word("server").contains(':'))
    };
    let relays = store.into_iter().flat_map(|s| s.list("relays"));
    relays.filter(|r| r.flag("enabled") && six(&r.word("destination"))).collect()
}

fn isc_server(cx: &Context<'_>, i: &Iface, e: Element<'_>, out: &mut Vec<PfRule>) {
    let plugin = Unknown::new("the ISC DHCP server is installed", "newer releases have it as a plugin");
    let maybe = |r: PfRule| {
        if cx.root.at("OPNsense/Interfaces/settings").is_some() { r.when(plugin.clone()) } else { r }
    };
    for rule in served4(cx, i, e.origin(), true) {
        out.push(maybe(rule));
    }
    if let Some(peer) = e.value("failover_peerip").and_then(|p| crate::packet::addr::parse(&p)) {
        let note = format!("DHCP failover on {}", i.key);
        let rule =
            inward(Pass, e.origin(), note).on(i.names.clone()).proto(TCP_UDP).from(Addresses::of(peer));
        out.push(maybe(rule.to(itself(cx)).dports(&[519, 520])));
    }
}

// Ports of a DHCP server on an interface; `answers`: what it sends is passed as well.
fn served4(cx: &Context<'_>, i: &Iface, at: Origin, answers: bool) -> Vec<PfRule> {
    let rule = || {
        PfRule::implicit(Pass, at, format!("DHCP server on {}", i.key))
            .quick()
            .on(i.names.clone())
            .family(Family::V4)
            .proto(&[proto::UDP])
    };
    let mut out = vec![
        rule().inbound().sport(68).to(nets(&["255.255.255.255"])).dports(&[67]),
        rule().inbound().sport(68).to(itself(cx)).dports(&[67]),
    ];
    if answers {
        out.push(rule().outbound().sport(67).from(itself(cx)).dports(&[68]));
    }
    out
}

fn served6(
    cx: &Context<'_>,
    i: &Iface,
    at: Origin,
    what: &str,
    condition: Option<&Unknown>,
    out: &mut Vec<PfRule>,
) {
    let rule = || {
        let rule = inward(Pass, at, format!("{what} on {}", i.key)).on(i.names.clone()).family(Family::V6);
        let rule = rule.proto(&[proto::UDP]);
        condition.map_or(rule.clone(), |c| rule.when(c.clone()))
    };
    let (local, group) = (|| nets(&["fe80::/10"]), || nets(&["ff02::/16"]));
    out.push(rule().from(local()).to(nets(&["fe80::/10", "ff02::/16"])).dports(&[546]));
    out.push(rule().from(local()).to(group()).dports(&[547]));
    out.push(rule().from(group()).to(local()).dports(&[547]));
    out.push(rule().from(local()).to(itself(cx)).dports(&[546]));
    out.push(rule().outbound().from(itself(cx)).to(local()).sport(547));
}

// A setting that is on where nobody wrote it.
fn on_unless_off(e: Option<Element<'_>>, name: &str) -> bool {
    e.is_none_or(|e| e.at(name).is_none() || e.flag(name))
}

// dnsmasq opens its ports where it hands out addresses.
fn dnsmasq(cx: &Context<'_>, out: &mut Vec<PfRule>) {
    let Some(e) = cx.root.at("dnsmasq") else { return };
    let rules = on_unless_off(e.at("dhcp"), "default_fw_rules");
    let ranges: Vec<_> = e.list("dhcp_ranges").collect();
    let excluded = e.word("dhcp/no_interface");
    let stated = e.word("interface");
    let mut keys: Vec<String> = split(&stated).map(str::to_owned).collect();
    if keys.is_empty() {
        keys = ranges.iter().map(|r| r.word("interface")).collect();
    }
    keys.sort();
    keys.dedup();
    if !e.flag("enable") || !rules || ranges.is_empty() {
        return;
    }
    for key in keys.iter().filter(|k| !split(&excluded).any(|x| x == *k)) {
        match cx.interfaces.get(key) {
            Some(i) => {
                out.extend(served4(cx, i, e.origin(), true));
                served6(cx, i, e.origin(), "DHCPv6 server", None, out);
            }
            None if !key.is_empty() && !cx.interfaces.may_only_be_here(key) => {
                e.odd(format!("its interface `{key}` is not in the file"));
            }
            None => {}
        }
    }
}

fn kea(cx: &Context<'_>, out: &mut Vec<PfRule>) {
    for (path, family) in
        [("OPNsense/Kea/dhcp4/general", Family::V4), ("OPNsense/Kea/dhcp6/general", Family::V6)]
    {
        let Some(e) = cx.root.at(path) else { continue };
        let rules = on_unless_off(Some(e), "fwrules");
        let interfaces = e.word("interfaces");
        if !e.flag("enabled") || !rules {
            continue;
        }
        for key in split(&interfaces) {
            match cx.interfaces.get(key) {
                Some(i) if family == Family::V4 => out.extend(served4(cx, i, e.origin(), false)),
                Some(i) => served6(cx, i, e.origin(), "DHCPv6 server", None, out),
                None if !cx.interfaces.may_only_be_here(key) => {
                    e.odd(format!("its interface `{key}` is not in the file"));
                }
                None => {}
            }
        }
    }
}

// Bogons and private networks.
fn blocked(cx: &Context<'_>, i: &Iface, out: &mut Vec<PfRule>) {
    let ipv6 = cx.ipv6 != Some(false);
    let settings = cx.root.at("interfaces").and_then(|s| s.at(&i.key));
    let flag = |name| settings.and_then(|s| s.flagged(name));
    if let Some(e) = flag("blockbogons") {
        bogons(i, e.origin(), ipv6, out);
    }
    if let Some(e) = flag("blockpriv") {
        let note = format!("private networks are blocked on {}: blockpriv", i.key);
        let rule = |family| inward(Block, e.origin(), note.as_str()).on(i.names.clone()).family(family);
        out.push(rule(Family::V4).from(nets(PRIVATE4)));
        if ipv6 {
            out.push(rule(Family::V6).from(nets(PRIVATE6)));
        }
    }
}

// What may leave, the way to the administration, and static routes.
fn late(cx: &Context<'_>, out: &mut Vec<PfRule>) {
    let filter = place(cx.root, "filter");
    let note = "everything may leave: let out anything from the firewall host itself";
    out.push(PfRule::implicit(Pass, filter, note).outbound());
    if let Some((i, ports)) = anti_lockout(cx) {
        let note = format!("anti-lockout rule on {}: system/webgui/noantilockout is absent", i.key);
        let rule = inward(Pass, place(cx.root, "system/webgui"), note).on(i.names.clone());
        out.push(rule.proto(&[proto::TCP]).to(itself(cx)).dports(&ports));
    }
    super::system::static_routes(cx, out);
}

/// The interface that administrators are let in by, and the ports; `None` where the rule is off.
pub(super) fn anti_lockout<'c>(cx: &'c Context<'_>) -> Option<(&'c Iface, Vec<u16>)> {
    if cx.root.at("system/webgui/noantilockout").is_some() {
        return None;
    }
    // `lan`, else the optional interface of the lowest number, else `wan`.
    let rank = |key: &str| match key {
        "lan" => Some(0),
        "wan" => Some(u64::MAX),
        _ => key.strip_prefix("opt").and_then(|n| n.parse::<u64>().ok()).map(|n| n.saturating_add(1)),
    };
    let first = cx.interfaces.keys.iter().filter_map(|k| Some((rank(k)?, k))).min()?;
    Some((cx.interfaces.get(first.1)?, super::system::admin_ports(cx.root)))
}
