//! Port forwards of pfSense, and what the other inside networks see of them (reflection).

use super::address::End;
use super::aliases::Fault;
use super::facts::{Facts, Orphan};
use super::interfaces::{Addressing, Iface};
use super::nat_parts::*;
use super::pf::{Addresses, NatRule, Rewrite, Ruleset, Unknown};
use super::release::Release;
use super::user::{Context, ports};
use super::xml::Element;
use crate::packet::IntervalSet;
use crate::packet::addr::{self, Family};
use rustc_hash::FxHashMap;

pub(super) fn port_forward(
    cx: &Context<'_>,
    e: Element<'_>,
    number: usize,
    out: &mut Vec<NatRule>,
    rules: &mut Ruleset,
    facts: &mut Facts,
) {
    // Asked for before anything fails, so that what is left is what nobody knows.
    for read in [
        "target",
        "local-port",
        "natreflection",
        "associated-rule-id",
        "nordr",
        "destination",
        "source",
        "protocol",
    ] {
        e.at(read);
    }
    e.choice("ipprotocol", &["inet", "inet6"]);
    for side in ["source", "destination"] {
        End::pfsense(e.at(side));
    }
    let key = e.value("interface").unwrap_or_else(|| "wan".to_owned());
    let Some(i) = cx.interfaces.get(&key) else {
        if !cx.interfaces.may_only_be_here(&key)
            && let Some(named) = e.at("interface")
        {
            named.odd(format!("interface `{key}` is not in the file"));
        }
        return drop_quirk(facts, e, &format!("interface {key} is not in force"));
    };
    match forward(cx, e, i) {
        Ok(rule) => {
            let reflected = reflect(cx, e, number, i, &rule);
            out.push(rule);
            out.extend(reflected);
        }
        Err(Fault::Dropped(why)) => drop_quirk(facts, e, &why),
        Err(Fault::Refused(why)) => rules.refused.push((e.origin(), why)),
        Err(Fault::Unknown(why)) => e.odd(why),
    }
}

pub(super) fn forward(cx: &Context<'_>, e: Element<'_>, i: &Iface) -> Result<NatRule, Fault> {
    if protocols(&e.word("protocol").to_ascii_lowercase(), Family::V4).is_none()
        && !["", "any"].contains(&e.word("protocol").to_ascii_lowercase().as_str())
    {
        return Err(Fault::Refused(format!("`{}` is no protocol", e.word("protocol"))));
    }
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
    let pass = linked(e) == "pass";
    if e.flag("nordr") {
        // An exception passes nothing, whatever it is linked to.
        return Ok(NatRule { matches, rewrite: Rewrite::Nothing, pass: false });
    }
    if (protocol.is_empty() || protocol == "any") && cx.release < Release::V2_7 {
        let unknown = Unknown::new(
            "a port forward for any protocol",
            "releases before 2.7 differ in what they make of it",
        );
        return Ok(NatRule { matches, rewrite: Rewrite::Unknown(unknown), pass });
    }
    let target = e.word("target");
    let to = target_of(&target, family, cx).map_err(|fault| match fault {
        Fault::Unknown(why) => Fault::Unknown(why),
        _ => Fault::Dropped(format!("its target `{target}` is no address and no alias")),
    })?;
    let (port, port_from) = match ported {
        true => local_port(&e.word("local-port"), &dst.port, matches.dport.as_ref(), cx)?,
        false => (None, None),
    };
    Ok(NatRule { matches, rewrite: Rewrite::Address { to, prefix: false, port, port_from }, pass })
}

// A port forward seen from the other inside networks.
pub(super) fn reflect(
    cx: &Context<'_>,
    e: Element<'_>,
    number: usize,
    own: &Iface,
    rule: &NatRule,
) -> Vec<NatRule> {
    let system = match (
        cx.root.flag("system/disablenatreflection"),
        cx.root.flag("system/enablenatreflectionpurenat"),
    ) {
        (true, _) => "disable",
        (_, true) => "purenat",
        _ => "enable",
    };
    let stated = e.choice("natreflection", &["enable", "purenat", "disable"]);
    let mode = if stated.is_empty() { system } else { &stated };
    let nothing = matches!(rule.rewrite, Rewrite::Nothing);
    let proxied = mode == "enable";
    let six = rule.matches.family == Some(Family::V6);
    // The proxy is for IPv4, and for protocols with ports that the rule names.
    if mode == "disable" || proxied && !nothing && (six || rule.matches.dport.is_none()) {
        return Vec::new();
    }
    // Groups and tunnels count as interfaces of their own here.
    let inside = cx.interfaces.list.iter().filter(|i| i.device != own.device && !i.leads_out());
    let on = inside.fold(IntervalSet::EMPTY, |a, i| a.union(&i.names));
    if on.is_empty() {
        return Vec::new();
    }
    let mut matches = rule.matches.clone();
    matches.on = Some(on);
    if e.at("destination/any").is_some() {
        // Every destination would be too much: the networks of the interface are meant.
        match own.addressing(matches.family.unwrap_or(Family::V4)) {
            Addressing::Static { net, .. } => matches.dst = Addresses::of(net.clone()),
            Addressing::Dynamic(_) => {
                let why = format!("{} learns its network at run time", own.key);
                matches.dst = Addresses::unknown(Unknown::new(format!("in the network of {}", own.key), why));
            }
            Addressing::None => return Vec::new(),
        }
    }
    let pass = rule.pass && !proxied;
    let rewrite = match mode {
        _ if nothing => Rewrite::Nothing,
        "purenat" => rule.rewrite.clone(),
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
    vec![NatRule { matches, rewrite, pass }]
}

// Port forwards that rely on a filter rule which is gone or off.
pub(super) fn orphans(cx: &Context<'_>, facts: &mut Facts) {
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
