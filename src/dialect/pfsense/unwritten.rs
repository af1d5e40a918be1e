//! Rules that are not in the file: those of packages, of users who log in, of services that open their own ports, and where the running
//! box does not filter as usual.

use super::pf::{PfAction, PfRule, Unknown};
use super::user::Context;
use super::xml::Element;

// Plugins of OPNsense that make rules, translations or interfaces.
const PLUGINS: &[&str] = &[
    "AcmeClient",
    "ZabbixAgent",
    "zabbixagent",
    "quagga",
    "ftpproxies",
    "relayd",
    "crowdsec",
    "WazuhAgent",
    "Iperf3",
    "Rspamd",
    "udpbroadcastrelays",
    "tayga",
    "Tinc",
    "openconnect",
    "netbird",
    "tailscale",
    "zerotier",
];

// Whether some part of a plugin is turned on.
fn is_enabled_somewhere(e: Element<'_>) -> bool {
    let mut work = vec![e];
    while let Some(e) = work.pop() {
        if ["enabled", "enable", "Enabled"].iter().any(|n| e.is(n)) && !["", "0"].contains(&e.text().as_str())
        {
            return true;
        }
        work.extend(e.elements());
    }
    false
}

/// Adds a rule of unknown verdict for each of them; it may decide before all others.
pub(super) fn rules(cx: &Context<'_>, out: &mut Vec<PfRule>) {
    let unknown = |e: Element<'_>, text: &str, why: &str| {
        PfRule::implicit(PfAction::Unknown, e.origin(), text).quick().when(Unknown::new(text, why))
    };
    let packages = cx.root.at("installedpackages").into_iter().flat_map(|p| p.list("package"));
    for p in packages.filter(|p| p.value("filter_rule_function").is_some()) {
        let text = format!("rules of package {}", p.word("name"));
        out.push(unknown(p, &text, "a package makes rules of its own, which are not in the file"));
    }
    let radius = |e: &Element<'_>| {
        e.value("authmode").is_some_and(|m| m.split(',').any(|m| m.trim() != "Local Database"))
    };
    let servers = cx.root.at("openvpn").into_iter().flat_map(|o| o.list("openvpn-server"));
    if let (Some(server), Some(group)) =
        (servers.filter(radius).find(|s| !s.flag("disable")), cx.interfaces.get("openvpn"))
    {
        let why = "an authentication server may hand out rules for each user";
        out.push(unknown(server, "rules of OpenVPN users", why).on(group.names.clone()));
    }
    let users = cx.root.at("ipsec/client").filter(|c| c.flag("enable"));
    let outside = |e: &Element<'_>| {
        e.value("user_source").is_some_and(|s| s.split(',').any(|m| m.trim() != "Local Database"))
    };
    if let (Some(client), Some(i)) = (users.filter(outside), cx.interfaces.get("enc0")) {
        let why = "an authentication server may hand out rules for each user";
        out.push(unknown(client, "rules of IPsec users", why).on(i.names.clone()));
    }
    for zone in
        cx.root.at("captiveportal").into_iter().flat_map(Element::elements).filter(|z| z.flag("enable"))
    {
        let text = format!("captive portal {}", zone.name());
        let why = "it depends on who has logged in";
        for key in super::user::split(&zone.word("interface")) {
            if let Some(i) = cx.interfaces.get(key) {
                out.push(unknown(zone, &text, why).on(i.names.clone()));
            }
        }
    }
    let zones = cx.root.at("OPNsense/captiveportal/zones").into_iter().flat_map(|z| z.list("zone"));
    for zone in zones.filter(|z| z.flag("enabled")) {
        for key in super::user::split(&zone.word("interfaces")) {
            let rule = unknown(zone, "a captive portal", "it depends on who has logged in");
            match cx.interfaces.get(key) {
                Some(i) => out.push(rule.on(i.names.clone())),
                None => out.push(rule),
            }
        }
    }
    for e in PLUGINS.iter().filter_map(|p| cx.root.at("OPNsense").and_then(|o| o.at(p))) {
        if is_enabled_somewhere(e) {
            let text = format!("rules of plugin {}", e.name());
            out.push(unknown(e, &text, "a plugin makes rules of its own, which are not in the file"));
        }
        e.settle();
    }
    let tunables = cx.root.at("sysctl").into_iter().flat_map(|s| s.list("item"));
    let off = tunables.into_iter().find(|t| {
        t.word("tunable") == "net.link.bridge.pfil_member"
            && !["1", "default"].contains(&t.word("value").trim())
    });
    if let Some(e) = off {
        let why = "a system tunable turns filtering on members of a bridge off";
        for i in cx.interfaces.real().filter(|i| i.bridged) {
            out.push(unknown(e, &format!("filtering on bridge member {}", i.key), why).on(i.names.clone()));
        }
    }
    for e in cx.root.at("bridges").into_iter().flat_map(|b| b.list("bridged")) {
        let device = e.word("bridgeif");
        for i in cx.interfaces.real().filter(|i| !device.is_empty() && i.device == device) {
            let why = "packets of a bridge are filtered on its members, unless system tunables say otherwise";
            out.push(unknown(e, &format!("filtering on bridge {device}"), why).on(i.names.clone()));
        }
    }
}
