//! OPNsense: its two stores of rules and its aliases, read into the forms that pfSense's become.
//!
//! Flags are texts there (`0` is off), and the newer store has a flat record for each rule.

use super::address::End;
use super::aliases::{Alias, Aliases};
use super::interfaces::Interfaces;
use super::pf::Direction;
use super::release::Product;
use super::user::{LIMITS, Written, families, split};
use super::xml::Element;
use crate::packet::IntervalSet;
use std::collections::BTreeMap;

/// Reads `<OPNsense><Firewall><Alias>`.
pub(super) fn aliases(root: Element<'_>, names: &BTreeMap<String, IntervalSet>) -> Aliases {
    let mut out = Aliases::empty(names, Product::OpnSense);
    let list = root.at("OPNsense/Firewall/Alias/aliases").into_iter().flat_map(|a| a.list("alias"));
    for e in list.filter(|e| e.word("enabled") != "0") {
        let content = e.word("content");
        let members =
            content.split([' ', ',', '\n', '\r', '\t']).filter(|m| !m.is_empty()).map(str::to_owned);
        // An external table and a Geo-IP list have no members of their own here.
        let kind = e.word("type").to_ascii_lowercase();
        let kind = if kind == "networkgroup" { "network".to_owned() } else { kind };
        out.insert(&e.word("name"), Alias { kind, members: members.collect(), origin: e.origin() });
    }
    out
}

/// All rules: those of the newer store first, by sequence, then those of the older one in order. The classes that put
/// floating rules before those of interfaces come later.
pub(super) fn rules<'a>(root: Element<'a>, legacy: impl Iterator<Item = Element<'a>>) -> Vec<Written> {
    let keys = Interfaces::read(root, Product::OpnSense);
    let store = root.at("OPNsense/Firewall/Filter/rules").into_iter().flat_map(|r| r.list("rule"));
    let mut records: Vec<_> = store.collect();
    records.sort_by_key(|e| e.word("sequence").trim().parse::<u64>().unwrap_or(u64::MAX));
    let newer = records.into_iter().flat_map(|e| record(e, &keys));
    newer.chain(legacy.map(older)).collect()
}

fn older(e: Element<'_>) -> Written {
    let floating = e.flag("floating");
    let mut other: Vec<String> = e.value("prio").map(|v| format!("prio {v}")).into_iter().collect();
    let direction = match e.word("direction").as_str() {
        "out" => Direction::Out,
        "any" => Direction::Both,
        "in" => Direction::In,
        _ if floating => {
            other.push("a floating rule without a direction".to_owned());
            Direction::Both
        }
        _ => Direction::In,
    };
    let quick = match e.value("quick") {
        Some(text) => text != "0",
        None => !floating,
    };
    Written {
        origin: e.origin(),
        disabled: e.flag("disabled"),
        action: e.word("type"),
        floating,
        quick,
        interfaces: split(&e.word("interface")).filter(|n| *n != "any").map(str::to_owned).collect(),
        except: e.flag("interfacenot"),
        direction,
        families: families(&e.word("ipprotocol")),
        protocol: e.word("protocol").to_ascii_lowercase(),
        icmp: e.word("icmptype"),
        icmp6: Some(e.word("icmp6-type")),
        src: End::pfsense(e.at("source")),
        dst: End::pfsense(e.at("destination")),
        flags_any: e.flag("tcpflags_any"),
        flags_set: e.word("tcpflags1"),
        flags_mask: e.word("tcpflags2"),
        state: e.word("statetype"),
        limited: LIMITS.iter().any(|l| e.value(l).is_some()),
        tag: e.word("tag"),
        tagged: e.word("tagged"),
        not_tagged: false,
        schedule: e.word("sched"),
        gateway: e.word("gateway"),
        nat64: false,
        os: e.word("os"),
        other,
    }
}

// A record of the newer store; one rule for each pair of source and destination.
fn record(e: Element<'_>, keys: &Interfaces) -> Vec<Written> {
    let interfaces: Vec<String> = split(&e.word("interface")).map(str::to_owned).collect();
    let except = e.flag("interfacenot");
    let mut other: Vec<String> =
        ["prio", "tos"].iter().filter_map(|n| e.value(n).map(|v| format!("{n} {v}"))).collect();
    let sources = ends(e, "source", keys, &mut other);
    let destinations = ends(e, "destination", keys, &mut other);
    let default = |name: &str, word: &str| e.value(name).unwrap_or_else(|| word.to_owned());
    let one = |src: &End, dst: &End| Written {
        origin: e.origin(),
        disabled: default("enabled", "1") == "0",
        action: default("action", "pass"),
        floating: interfaces.len() != 1 || except,
        quick: default("quick", "1") != "0",
        interfaces: interfaces.clone(),
        except,
        direction: match default("direction", "in").as_str() {
            "out" => Direction::Out,
            "any" => Direction::Both,
            _ => Direction::In,
        },
        families: families(&e.word("ipprotocol")),
        protocol: default("protocol", "any").to_ascii_lowercase(),
        icmp: e.word("icmptype"),
        icmp6: Some(e.word("icmp6type")),
        src: src.clone(),
        dst: dst.clone(),
        flags_any: e.flag("tcpflags_any"),
        flags_set: e.word("tcpflags1"),
        flags_mask: e.word("tcpflags2"),
        state: default("statetype", "keep"),
        limited: LIMITS.iter().any(|l| e.value(l).is_some()),
        tag: e.word("tag"),
        tagged: e.word("tagged"),
        not_tagged: false,
        schedule: e.word("sched"),
        gateway: e.word("gateway"),
        nat64: false,
        os: String::new(),
        other: other.clone(),
    };
    sources.iter().flat_map(|s| destinations.iter().map(move |d| (s, d))).map(|(s, d)| one(s, d)).collect()
}

fn ends(e: Element<'_>, side: &str, keys: &Interfaces, other: &mut Vec<String>) -> Vec<End> {
    let net = e.word(&format!("{side}_net"));
    let not = e.flag(&format!("{side}_not"));
    let port = e.word(&format!("{side}_port"));
    let words: Vec<&str> = split(&net).collect();
    if words.len() > 1 && not {
        other.push(format!("{side} not in {net}"));
        return vec![End { any: true, port, ..End::default() }];
    }
    let end = |word: &str| {
        let key = word.strip_suffix("ip").unwrap_or(word);
        let network = word == "(self)" || keys.get(key).is_some() || keys.disabled.iter().any(|d| d.0 == key);
        let mut end = End { not, port: port.clone(), ..End::default() };
        match word {
            "any" => end.any = true,
            _ if network => end.network = word.to_owned(),
            _ => end.address = word.to_owned(),
        }
        end
    };
    if words.is_empty() { vec![end("any")] } else { words.into_iter().map(end).collect() }
}
