//! What rules are called: the description and tracker that people know them by, and what they say, in short.
//!
//! A rule is an element of many lines that all begin with `<rule>`; this is what reports show beside the place.

use super::product::Product;
use super::xml::Element;
use crate::source::{Origin, RuleName};
use rustc_hash::FxHashMap;

/// Names of all rules and translations of a document.
pub(super) fn rules(root: Element<'_>) -> FxHashMap<Origin, RuleName> {
    let list = |path: &str, name: &'static str| root.at(path).into_iter().flat_map(move |e| e.list(name));
    let filter = list("filter", "rule").chain(list("OPNsense/Firewall/Filter/rules", "rule"));
    let forwards = list("nat", "rule").map(|e| (e, forward(e)));
    let both_ways = list("nat", "onetoone").map(|e| (e, one_to_one(e)));
    let outbound = list("nat/outbound", "rule").map(|e| (e, outbound(e)));
    let newer = |name: &'static str| list_at(root, "OPNsense/Firewall/Filter", name);
    let flat_both = newer("onetoone").map(|e| (e, flat_one_to_one(e)));
    let flat_out = newer("snatrules").map(|e| (e, flat_outbound(e)));
    let flat_nat = flat_both.chain(flat_out);
    let named = filter.map(|e| (e, rule(e))).chain(forwards).chain(both_ways).chain(outbound).chain(flat_nat);
    named
        .map(|(e, summary)| {
            let description = e.value("descr").or_else(|| e.value("description")).unwrap_or_default();
            let tracker = e.value("tracker").map(|t| format!("tracker {t}"));
            let uuid = || e.attribute("uuid").map(|u| format!("uuid {u}"));
            let id = tracker.or_else(uuid).unwrap_or_default();
            (e.origin(), RuleName { description, id, summary })
        })
        .collect()
}

fn rule(e: Element<'_>) -> String {
    let either = |a: &str, b: &str| e.value(a).or_else(|| e.value(b)).unwrap_or_default();
    let mut out = match either("type", "action").as_str() {
        "" => "pass".to_owned(),
        action => action.to_owned(),
    };
    out += match e.word("ipprotocol").as_str() {
        "inet6" => " IPv6",
        "inet46" => " IPv4+IPv6",
        _ => " IPv4",
    };
    out += &spaced(&e.word("protocol"));
    let direction = e.word("direction");
    let floating = e.flag("floating");
    let way = match (floating, direction.as_str()) {
        (true, "in") => " in on",
        (true, "out") => " out on",
        (true, _) => " in and out on",
        (false, "out") => " out on",
        (false, _) => " on",
    };
    let interface = e.word("interface");
    let interface = if interface.is_empty() { "every interface" } else { &interface };
    out += &format!("{way} {interface}");
    let side = |name: &str| match e.at(name) {
        Some(end) => ends(end),
        None => flat(e, name),
    };
    out += &format!(", from {} to {}", side("source"), side("destination"));
    for (setting, word) in [("gateway", "through"), ("sched", "during"), ("statetype", "with")] {
        if let Some(text) = e.value(setting).filter(|t| t != "keep state" && t != "keep") {
            out += &format!(", {word} {text}");
        }
    }
    if floating && !e.flag("quick") {
        out += ", not quick";
    }
    if e.flag("disabled") || e.word("enabled") == "0" {
        out += ", disabled";
    }
    out
}

fn spaced(word: &str) -> String {
    if word.is_empty() || word == "any" { String::new() } else { format!(" {word}") }
}

// One end of a rule: `any`, `lan net`, `wan address`, `not CMS port 22`.
fn ends(e: Element<'_>) -> String {
    let network = e.word("network");
    let what = match () {
        () if e.at("any").is_some() => "any".to_owned(),
        () if !network.is_empty() => words(&network),
        () => e.value("address").unwrap_or_else(|| match e.product() {
            Product::PfSense => "nothing".to_owned(),
            Product::OpnSense => "any".to_owned(),
        }),
    };
    let not = if e.flag("not") { "not " } else { "" };
    let port = e.value("port").map(|p| format!(" port {p}")).unwrap_or_default();
    format!("{not}{what}{port}")
}

// The same in OPNsense's newer store.
fn flat(e: Element<'_>, side: &str) -> String {
    let net = e.value(&format!("{side}_net")).unwrap_or_else(|| "any".to_owned());
    let not = if e.flag(&format!("{side}_not")) { "not " } else { "" };
    let port = e.value(&format!("{side}_port")).map(|p| format!(" port {p}")).unwrap_or_default();
    format!("{not}{net}{port}")
}

fn words(network: &str) -> String {
    match network.strip_suffix("ip") {
        _ if network.starts_with('(') || network.contains('/') => network.to_owned(),
        Some(key) => format!("{key} address"),
        None => format!("{network} net"),
    }
}

fn forward(e: Element<'_>) -> String {
    let what = if e.flag("nordr") { "no port forward for" } else { "port forward of" };
    let to = e.at("destination").map(ends).unwrap_or_default();
    let mut out = format!("{what}{} on {}, to {to}", spaced(&e.word("protocol")), e.word("interface"));
    if !e.flag("nordr") {
        let port = e.value("local-port").map(|p| format!(" port {p}")).unwrap_or_default();
        out += &format!(", becomes {}{port}", e.word("target"));
    }
    if e.word("associated-rule-id") == "pass" || e.word("pass") == "pass" {
        out += ", passed without a rule";
    }
    out
}

fn one_to_one(e: Element<'_>) -> String {
    let inside = e.at("source").map(ends).unwrap_or_default();
    format!("1:1 on {}: {} outside is {inside} inside", e.word("interface"), e.word("external"))
}

// Rules of a list of the newer store.
fn list_at<'a>(root: Element<'a>, path: &str, name: &str) -> impl Iterator<Item = Element<'a>> {
    root.at(path).and_then(|s| s.at(name)).into_iter().flat_map(|l| l.list("rule"))
}

fn flat_one_to_one(e: Element<'_>) -> String {
    format!("1:1 on {}: {} outside is {} inside", e.word("interface"), e.word("external"), flat(e, "source"))
}

fn flat_outbound(e: Element<'_>) -> String {
    let interface = e.word("interface");
    format!("outbound NAT on {interface}, from {} to {}", flat(e, "source"), flat(e, "destination"))
}

fn outbound(e: Element<'_>) -> String {
    let side = |name: &str| e.at(name).map(ends).unwrap_or_else(|| "any".to_owned());
    let interface = e.word("interface");
    format!("outbound NAT on {interface}, from {} to {}", side("source"), side("destination"))
}
