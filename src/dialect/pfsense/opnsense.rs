//! OPNsense: its two stores of rules and its aliases, read into the forms that pfSense's become.
//!
//! Flags are texts there (`0` is off), and the newer store has a flat record for each rule.

use super::address::End;
use super::aliases::{Alias, Aliases};
use super::pf::Direction;
use super::product::Product;
use super::user::{ACTIONS, DIRECTIONS, FAMILIES, STATES, Written, families, limited, split};
use super::xml::Element;
use crate::packet::IntervalSet;
use std::collections::BTreeMap;

/// Whether a record is in force: it is unless it says that it is not.
pub(super) fn is_enabled(e: Element<'_>) -> bool {
    e.choice("enabled", &["0", "1"]) != "0"
}

/// Kinds of aliases.
const KINDS: &[&str] = &[
    "host",
    "network",
    "port",
    "url",
    "urltable",
    "urljson",
    "url_ports",
    "urltable_ports",
    "geoip",
    "networkgroup",
    "mac",
    "asn",
    "dynipv6host",
    "authgroup",
    "internal",
    "external",
];

/// Reads `<OPNsense><Firewall><Alias>`.
pub(super) fn aliases(root: Element<'_>, names: &BTreeMap<String, IntervalSet>) -> Aliases {
    let mut out = Aliases::empty(names, Product::OpnSense);
    let list = root.at("OPNsense/Firewall/Alias/aliases").into_iter().flat_map(|a| a.list("alias"));
    for e in list {
        if !is_enabled(e) {
            e.settle();
            continue;
        }
        let content = e.word("content");
        let members =
            content.split([' ', ',', '\n', '\r', '\t']).filter(|m| !m.is_empty()).map(str::to_owned);
        // An external table and a Geo-IP list have no members of their own here.
        let kind = e.choice("type", KINDS).to_ascii_lowercase();
        let kind = if kind == "networkgroup" { "network".to_owned() } else { kind };
        // A list of countries, a program that fills it: what they hold is open in any case.
        out.insert(&e.word("name"), Alias::new(e, kind, members.collect()));
    }
    out
}

/// All rules: those of the newer store first, by sequence, then those of the older one in order. The classes that put
/// floating rules before those of interfaces come later.
pub(super) fn rules<'a>(root: Element<'a>, legacy: impl Iterator<Item = Element<'a>>) -> Vec<Written> {
    let store = root.at("OPNsense/Firewall/Filter/rules").into_iter().flat_map(|r| r.list("rule"));
    let mut records: Vec<_> = store.collect();
    // One record alone would not be asked for its number.
    records.iter().for_each(|e| {
        e.at("sequence");
    });
    records.sort_by_key(|e| e.number::<u64>("sequence").unwrap_or(u64::MAX));
    let newer = records.into_iter().flat_map(record);
    newer.chain(legacy.flat_map(older)).collect()
}

// One rule for each pair of source and destination, and one for each interface that is excluded: each stands for itself.
fn apart(one: Written, sources: &[End], destinations: &[End]) -> Vec<Written> {
    let interfaces: Vec<Vec<String>> = match one.except {
        true => one.interfaces.iter().map(|i| vec![i.clone()]).collect(),
        false => vec![one.interfaces.clone()],
    };
    let mut out = Vec::new();
    for src in sources {
        for dst in destinations {
            for on in &interfaces {
                let (src, dst) = (src.clone(), dst.clone());
                out.push(Written { src, dst, interfaces: on.clone(), ..one.clone() });
            }
        }
    }
    out
}

// An end of the older store, one for each word of its list.
fn ends_of(end: End) -> Vec<End> {
    let list = if end.network.is_empty() { end.address.clone() } else { end.network.clone() };
    let mut words: Vec<String> = split(&list).map(str::to_owned).collect();
    if words.is_empty() {
        words.push("any".to_owned());
    }
    words.into_iter().map(|network| End { network, address: String::new(), ..end.clone() }).collect()
}

fn older(e: Element<'_>) -> Vec<Written> {
    let floating = e.flag("floating");
    let other: Vec<String> =
        ["prio", "tos", "divert-to"].iter().filter_map(|n| e.value(n).map(|v| format!("{n} {v}"))).collect();
    let direction = match e.choice("direction", DIRECTIONS).as_str() {
        "out" => Direction::Out,
        "any" => Direction::Both,
        "in" => Direction::In,
        // Without a direction pf is told `in`, floating or not.
        _ => Direction::In,
    };
    let quick = match e.at("quick") {
        Some(_) => e.flag("quick"),
        None => e.at("floating").is_none(),
    };
    let (sources, destinations) =
        (ends_of(End::pfsense(e.at("source"))), ends_of(End::pfsense(e.at("destination"))));
    e.at("seq");
    let mut one = Written {
        origin: e.origin(),
        disabled: e.flag("disabled") && e.at("disabled").is_some_and(|d| d.oddity().is_none()),
        action: e.choice("type", ACTIONS),
        floating,
        quick,
        interfaces: split(&e.word("interface")).filter(|n| *n != "any").map(str::to_owned).collect(),
        except: e.flag("interfacenot"),
        direction,
        families: families(&e.choice("ipprotocol", FAMILIES)),
        protocol: e.word("protocol").to_ascii_lowercase(),
        icmp: e.word("icmptype"),
        icmp6: Some(e.value("icmp6type").unwrap_or_else(|| e.word("icmp6-type"))),
        src: End::default(),
        dst: End::default(),
        flags_any: e.flag("tcpflags_any"),
        flags_set: e.word("tcpflags1"),
        flags_mask: e.word("tcpflags2"),
        state: e.choice("statetype", STATES),
        limited: limited(e),
        tag: e.word("tag"),
        tagged: e.word("tagged"),
        not_tagged: false,
        schedule: e.word("sched"),
        gateway: e.word("gateway"),
        nat64: false,
        os: e.word("os"),
        other,
        doubts: Vec::new(),
        turned: e.at("interfacenot").is_none(),
    };
    let link = e.word("associated-rule-id");
    if !link.is_empty() {
        // A link to a port forward; the rule stands for itself.
        e.at("associated-rule-id");
    }
    one.open(e);
    apart(one, &sources, &destinations)
}

// A record of the newer store; one rule for each pair of source and destination.
fn record(e: Element<'_>) -> Vec<Written> {
    let interfaces: Vec<String> = split(&e.word("interface")).map(str::to_owned).collect();
    let except = e.flag("interfacenot");
    let mut other: Vec<String> =
        ["prio", "tos", "divert-to"].iter().filter_map(|n| e.value(n).map(|v| format!("{n} {v}"))).collect();
    other.sort();
    let (sources, destinations) = (ends(e, "source"), ends(e, "destination"));
    let default = |name: &str, word: &str| e.value(name).unwrap_or_else(|| word.to_owned());
    e.choice("quick", &["0", "1"]);
    let mut one = Written {
        origin: e.origin(),
        disabled: !is_enabled(e),
        action: e.choice("action", ACTIONS),
        floating: interfaces.len() != 1 || except,
        quick: default("quick", "1") != "0",
        interfaces: interfaces.clone(),
        except,
        direction: match e.choice("direction", DIRECTIONS).as_str() {
            "out" => Direction::Out,
            "any" => Direction::Both,
            _ => Direction::In,
        },
        families: families(&e.choice("ipprotocol", FAMILIES)),
        protocol: default("protocol", "any").to_ascii_lowercase(),
        icmp: e.word("icmptype"),
        icmp6: Some(e.word("icmp6type")),
        src: End::default(),
        dst: End::default(),
        flags_any: e.flag("tcpflags_any"),
        flags_set: e.word("tcpflags1"),
        flags_mask: e.word("tcpflags2"),
        state: e.choice("statetype", STATES),
        limited: limited(e),
        tag: e.word("tag"),
        tagged: e.word("tagged"),
        not_tagged: false,
        schedule: e.word("sched"),
        gateway: e.word("gateway"),
        nat64: false,
        os: String::new(),
        other,
        doubts: Vec::new(),
        turned: e.at("interfacenot").is_none(),
    };
    one.open(e);
    apart(one, &sources, &destinations)
}

// Source or destination of a record, one for each word of its list.
fn ends(e: Element<'_>, side: &str) -> Vec<End> {
    ends_of(End {
        network: e.word(&format!("{side}_net")),
        not: e.flag(&format!("{side}_not")),
        port: e.word(&format!("{side}_port")),
        ..End::default()
    })
}
