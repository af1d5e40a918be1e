//! A rule that somebody wrote, and the pf rules that it becomes (`filter_generate_user_rule`).

use super::address::{self, End};
use super::aliases::{Aliases, Fault, port_text};
use super::facts::{Quirk, QuirkKind};
use super::icmp::icmp_types;
use super::interfaces::Interfaces;
use super::pf::{Direction, Flags, PfAction, PfRule, Ports, Tagged, Unknown};
use super::product::Product;
use super::release::Release;
use super::schedule;
use super::settle::settle;
use super::shadow::opening;
use super::xml::{Doubt, Element};
use crate::dialect::ReadOptions;
use crate::packet::{Family, IntervalSet, flags, proto};
use crate::source::Origin;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// What rules refer to.
pub(super) struct Context<'a> {
    /// The document.
    pub root: Element<'a>,
    /// Product.
    pub product: Product,
    /// Release.
    pub release: Release,
    /// Interfaces.
    pub interfaces: Interfaces,
    /// Aliases.
    pub aliases: Aliases,
    /// Schedules by name.
    pub schedules: FxHashMap<String, Element<'a>>,
    /// Whether IPv6 is allowed at all; `None`: the file does not tell.
    pub ipv6: Option<bool>,
    /// Families of the gateways and groups of gateways that the file describes, by name.
    pub gateways: FxHashMap<String, Family>,
    /// Options of this run.
    pub options: &'a ReadOptions,
}

/// A rule as written, whichever store it comes from.
#[derive(Debug, Clone)]
pub(super) struct Written {
    /// Place of the element.
    pub origin: Origin,
    /// Not in force.
    pub disabled: bool,
    /// `pass`, `block`, `reject`, `match`.
    pub action: String,
    /// From the floating tab.
    pub floating: bool,
    /// Stops evaluation.
    pub quick: bool,
    /// Keys; empty = all.
    pub interfaces: Vec<String>,
    /// Every interface but those.
    pub except: bool,
    /// Direction.
    pub direction: Direction,
    /// `inet`, `inet6`, `inet46`.
    pub families: Vec<Family>,
    /// As written, lower case; empty = none.
    pub protocol: String,
    /// ICMP types, comma list.
    pub icmp: String,
    /// ICMPv6 types, where the store has them apart.
    pub icmp6: Option<String>,
    /// Source.
    pub src: End,
    /// Destination.
    pub dst: End,
    /// `flags any`.
    pub flags_any: bool,
    /// Flags that must be set.
    pub flags_set: String,
    /// Flags that are looked at.
    pub flags_mask: String,
    /// `none`, `keep state`, ….
    pub state: String,
    /// Limits of states or rates.
    pub limited: bool,
    /// Tag that it sets.
    pub tag: String,
    /// Tag that it tests.
    pub tagged: String,
    /// The test is negated.
    pub not_tagged: bool,
    /// Schedule.
    pub schedule: String,
    /// Gateway.
    pub gateway: String,
    /// The packet is translated to IPv4 (NAT64).
    pub nat64: bool,
    /// Operating system fingerprint.
    pub os: String,
    /// Further conditions on what the model does not have, as written.
    pub other: Vec<String>,
    /// What is not understood in it: it may then match, and do, anything that these do not exclude.
    pub doubts: Vec<Doubt>,
    /// An unknown element may turn the list of interfaces around: the store writes the element for it only where it is set.
    pub turned: bool,
}

impl Written {
    /// Reads a `<rule>` of pfSense; `None` for separators.
    pub fn pfsense(e: Element<'_>, release: Release) -> Option<Self> {
        if e.flag("separator") {
            e.settle();
            return None;
        }
        let floating = e.at("floating");
        e.choice("floating", &["yes", "on", "1", "true"]);
        let stated = e.choice("direction", DIRECTIONS);
        let direction = match (floating.map(Element::text).as_deref(), stated.as_str()) {
            (Some("yes"), "in") => Direction::In,
            (Some("yes"), "out") => Direction::Out,
            (Some("yes"), _) => Direction::Both,
            _ => Direction::In,
        };
        let interface = e.word("interface");
        // Only an ordinary rule must name exactly one; a list in it is one name that nothing has.
        let interfaces = match floating {
            None => vec![interface],
            Some(_) => split(&interface)
                .filter(|n| *n != "any" || release < Release::V2_5)
                .map(str::to_owned)
                .collect(),
        };
        let mut written = Self {
            origin: e.origin(),
            disabled: e.flag("disabled"),
            action: e.choice("type", ACTIONS),
            floating: floating.is_some(),
            quick: floating.is_none() || e.flag("quick"),
            interfaces,
            except: false,
            direction,
            families: families(&e.choice("ipprotocol", FAMILIES)),
            protocol: e.word("protocol").to_ascii_lowercase(),
            icmp: e.word("icmptype"),
            icmp6: None,
            src: End::pfsense(e.at("source")),
            dst: End::pfsense(e.at("destination")),
            flags_any: e.flag("tcpflags_any"),
            flags_set: e.word("tcpflags1"),
            flags_mask: e.word("tcpflags2"),
            state: e.choice("statetype", STATES),
            limited: limited(e),
            tag: e.word("tag"),
            tagged: e.word("tagged"),
            not_tagged: e.flag("nottagged") && release >= Release::V2_5,
            schedule: e.word("sched"),
            gateway: e.word("gateway"),
            nat64: e.flag("nat/enable") && release >= Release::V2_8,
            os: e.word("os"),
            other: ["dscp", "vlanprio"]
                .iter()
                .filter_map(|n| e.value(n).filter(|v| v != "none").map(|v| format!("{n} {v}")))
                .collect(),
            doubts: Vec::new(),
            turned: false,
        };
        e.at("nat/source");
        written.open(e);
        Some(written)
    }
}

impl Written {
    /// Takes over what is not understood in its element. What is not said may then be anything.
    pub fn open(&mut self, e: Element<'_>) {
        let said = e.at("ipprotocol").is_some_and(|p| p.oddity().is_none());
        self.doubts = settle(e);
        if !said && !self.doubts.is_empty() {
            self.families = Family::ALL.to_vec();
        }
    }
}

/// What a rule may do; another word is no older rule but one that is not understood.
pub(super) const ACTIONS: &[&str] = &["pass", "block", "reject", "match"];
/// Families of a rule.
pub(super) const FAMILIES: &[&str] = &["inet", "inet6", "inet46"];
/// Directions of a rule.
pub(super) const DIRECTIONS: &[&str] = &["in", "out", "any"];
/// How a rule keeps state.
pub(super) const STATES: &[&str] = &[
    "keep state",
    "keep",
    "sloppy state",
    "sloppy",
    "modulate state",
    "modulate",
    "synproxy state",
    "synproxy",
    "none",
];

/// Whether a rule limits states or rates.
pub(super) fn limited(e: Element<'_>) -> bool {
    LIMITS.iter().filter(|l| e.value(l).is_some()).count() > 0
}

/// Settings of a rule that limit states or rates.
const LIMITS: &[&str] = &[
    "max",
    "max-src-nodes",
    "max-src-conn",
    "max-src-states",
    "max-src-conn-rate",
    "max-src-conn-rates",
    "max-pkt-rate-number",
    "max-pkt-rate-seconds",
];

pub(super) fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|w| !w.is_empty())
}

/// The families of an `ipprotocol`; anything unknown means IPv4.
pub(super) fn families(word: &str) -> Vec<Family> {
    match word {
        "inet6" => vec![Family::V6],
        "inet46" => vec![Family::V4, Family::V6],
        _ => vec![Family::V4],
    }
}

/// What became of a written rule.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Its pf rules, in order.
    pub rules: Vec<PfRule>,
    /// What is odd about it.
    pub quirks: Vec<Quirk>,
    /// Why pf would refuse it.
    pub refused: Vec<String>,
    /// What stands before all rules of users: rules that are not understood may be any of them.
    pub early: Vec<PfRule>,
}

/// Generates the pf rules of a written rule.
pub(super) fn generate(w: &Written, cx: &Context<'_>) -> Outcome {
    let mut out = Outcome::default();
    if w.disabled {
        return out;
    }
    if let Some(doubt) = w.doubts.first() {
        out.early = opaque(w, &doubt.what, &w.families, cx);
        return out;
    }
    let on = match interfaces(w, cx, &mut out) {
        Ok(on) => on,
        Err(Fault::Unknown(why)) => {
            out.early = opaque(w, &why, &w.families, cx);
            out.quirk(w, QuirkKind::Dropped, format!("this rule is left out: {why}"));
            return out;
        }
        Err(Fault::Dropped(why) | Fault::Refused(why)) => {
            out.quirk(w, QuirkKind::Dropped, format!("this rule is left out: {why}"));
            return out;
        }
    };
    quirks(w, cx, &mut out);
    for family in &w.families {
        match one(w, *family, on.clone(), cx) {
            Ok(mut rules) => out.rules.append(&mut rules),
            Err(Fault::Dropped(why)) => {
                let part = if w.families.len() > 1 {
                    format!("IPv{} half of this rule", family.number())
                } else {
                    "rule".to_owned()
                };
                out.quirk(w, QuirkKind::Dropped, format!("the {part} is left out: {why}"));
            }
            Err(Fault::Refused(why)) => out.refused.push(why),
            Err(Fault::Unknown(why)) => {
                out.early.extend(opaque(w, &why, &[*family], cx));
                let rule = out.quirks.iter().any(|q| q.kind == QuirkKind::Dropped);
                if !rule {
                    out.quirk(w, QuirkKind::Dropped, format!("this rule is left out: {why}"));
                }
            }
        }
    }
    out
}

// A rule of which something is not known: any verdict, on what the rest of it does not exclude, before whatever rule it might precede.
fn opaque(w: &Written, why: &str, families: &[Family], cx: &Context<'_>) -> Vec<PfRule> {
    let known: Option<Vec<_>> = w.interfaces.iter().map(|k| cx.interfaces.get(k)).collect();
    let names = known.filter(|k| !k.is_empty() && !w.except && !w.turned);
    let on = names.map(|k| k.iter().fold(IntervalSet::EMPTY, |a, i| a.union(&i.names)));
    let what = Unknown::new(
        format!("a rule that is not understood: {why}"),
        "it may decide about this packet, or not",
    );
    let one = |family: Family| {
        let proto = if w.protocol.is_empty() { Ok(None) } else { protocol(&w.protocol, family, false, cx) };
        PfRule {
            on: on.clone(),
            family: Some(family),
            proto: proto.unwrap_or(None),
            ..PfRule::new(PfAction::Unknown, w.origin).quick().when(what.clone())
        }
    };
    families.iter().map(|f| one(*f)).collect()
}

impl Outcome {
    fn quirk(&mut self, w: &Written, kind: QuirkKind, message: String) {
        self.quirks.push(Quirk { kind, origin: w.origin, message, related: None });
    }
}

fn interfaces(w: &Written, cx: &Context<'_>, out: &mut Outcome) -> Result<Option<IntervalSet>, Fault> {
    if w.interfaces.is_empty() {
        return Ok(None);
    }
    let known: Vec<_> = w.interfaces.iter().filter_map(|k| cx.interfaces.get(k)).collect();
    let all = known.iter().fold(IntervalSet::EMPTY, |a, i| a.union(&i.names));
    // Something that makes interfaces by itself may have made this one; it is none of those in the file.
    let foreign = w.interfaces.iter().find(|k| !known.is_empty() && !cx.interfaces.may_only_be_here(k));
    if let Some(key) = foreign {
        let described = cx.interfaces.real().fold(IntervalSet::EMPTY, |a, i| a.union(&i.names));
        let others = crate::packet::Field::Iif.complement(&described);
        let rules = opaque(w, &format!("interface `{key}` is not in the file"), &w.families, cx);
        out.early.extend(rules.into_iter().map(|r| PfRule { on: Some(others.clone()), ..r }));
    }
    if !known.is_empty() {
        return Ok(Some(if w.except { crate::packet::Field::Iif.complement(&all) } else { all }));
    }
    let names = w.interfaces.join(", ");
    // Keys that the file could not lack are those of its own kind; any other may be that of something that makes interfaces by itself.
    if let Some(key) = w.interfaces.iter().find(|k| !cx.interfaces.may_only_be_here(k)) {
        return Err(Fault::Unknown(format!("interface `{key}` is not in the file")));
    }
    let missing = match w.interfaces.iter().any(|k| cx.interfaces.disabled.iter().any(|d| d.0 == *k)) {
        true => format!("interface {names} is not enabled"),
        false if names.is_empty() => "it names no interface".to_owned(),
        false => format!("there is no interface {names}"),
    };
    if w.floating && cx.product == Product::PfSense && cx.release <= Release::V2_4 {
        out.quirk(
            w,
            QuirkKind::FloatingEverywhere,
            format!("{missing}, so this floating rule applies to every interface"),
        );
        return Ok(None);
    }
    Err(Fault::Dropped(missing))
}

fn quirks(w: &Written, cx: &Context<'_>, out: &mut Outcome) {
    let ported = !w.src.port.is_empty() || !w.dst.port.is_empty();
    let port = if w.dst.port.is_empty() { &w.src.port } else { &w.dst.port };
    if ported && w.protocol.is_empty() && cx.product == Product::OpnSense {
        let message = format!("port {port} is not used: a rule without a protocol has no ports");
        out.quirk(w, QuirkKind::PortIgnored, message);
    } else if ported && w.protocol.is_empty() {
        out.quirk(
            w,
            QuirkKind::PortWithoutProtocol,
            format!("port {port} is not used: a rule without a protocol matches all TCP ports"),
        );
    } else if ported && !has_ports(&w.protocol) {
        out.quirk(
            w,
            QuirkKind::PortIgnored,
            format!("port {port} is not used: protocol {} has no ports", w.protocol),
        );
    }
    let blocks = w.action == "block" || w.action == "reject";
    if blocks
        && cx.product == Product::PfSense
        && w.protocol == "tcp"
        && !w.flags_any
        && w.flags_mask.is_empty()
    {
        out.quirk(
            w,
            QuirkKind::SynOnlyBlock,
            "this rule stops only TCP packets that open a connection (flags S/SA)".to_owned(),
        );
    }
    for end in [&w.src, &w.dst] {
        if end.any && end.not {
            out.quirk(
                w,
                QuirkKind::NotAnyIgnored,
                "`not` has no effect on `any`: this rule matches every address".to_owned(),
            );
        }
    }
}

fn has_ports(protocol: &str) -> bool {
    matches!(protocol, "tcp" | "udp" | "tcp/udp" | "sctp")
}

fn one(w: &Written, family: Family, on: Option<IntervalSet>, cx: &Context<'_>) -> Result<Vec<PfRule>, Fault> {
    let action = match w.action.as_str() {
        "block" => PfAction::Block,
        "reject" => PfAction::Reject,
        "match" => PfAction::Match,
        _ => PfAction::Pass,
    };
    // A rule that its schedule turns off is not written, and cannot be refused.
    let Some(conditions) = conditions(w, cx) else { return Ok(Vec::new()) };
    let mut conditions = conditions;
    if cx.product == Product::OpnSense && action == PfAction::Pass && !w.gateway.is_empty() {
        conditions.extend(gateway_family(&w.gateway, family, cx)?);
    }
    let other = cx.gateways.get(&w.gateway).filter(|f| **f != family && action == PfAction::Pass);
    if let Some(other) = other {
        let why = format!("gateway {} is of IPv{}", w.gateway, other.number());
        return Err(match cx.product {
            Product::PfSense => Fault::Refused(why),
            Product::OpnSense => Fault::Dropped(why),
        });
    }
    let mut rule = PfRule {
        quick: w.quick,
        direction: w.direction,
        on,
        family: Some(family),
        ..PfRule::new(action, w.origin)
    };
    let ported = !w.src.port.is_empty() || !w.dst.port.is_empty();
    rule.proto = protocol(&w.protocol, family, ported, cx)?;
    let src = address::resolve(&w.src, "source", family, cx);
    let dst = address::resolve(&w.dst, "destination", family, cx);
    let ported = |text: &str| if has_ports(&w.protocol) { ports(text, cx) } else { Ok(None) };
    let (sport, dport) = (ported(&w.src.port), ported(&w.dst.port));
    // A rule that is left out for one of its parts never comes to pf, whatever pf would say to the others.
    let faults = [src.as_ref().err(), dst.as_ref().err(), sport.as_ref().err(), dport.as_ref().err()];
    if let Some(left_out) = faults.into_iter().flatten().find(|f| matches!(f, Fault::Dropped(_))) {
        return Err(left_out.clone());
    }
    (rule.src, rule.dst, rule.sport, rule.dport) = (src?, dst?, sport?, dport?);
    if w.protocol == "icmp" || (w.protocol == "ipv6-icmp" && w.icmp6.is_some()) {
        let types = if family == Family::V6 { w.icmp6.as_ref().unwrap_or(&w.icmp) } else { &w.icmp };
        rule.icmp = icmp_types(types, family)?;
    }
    rule.flags = tcp_flags(w, cx)?;
    rule.stateless = w.state == "none" && action == PfAction::Pass;
    rule.limited = w.limited && action == PfAction::Pass;
    rule.tag = Some(w.tag.clone()).filter(|t| !t.is_empty());
    let tested = Some(w.tagged.clone()).filter(|t| !t.is_empty());
    rule.tagged = tested.map(|name| Tagged { name, negated: w.not_tagged });
    rule.conditions = conditions;
    gateway(w, &mut rule, cx);
    if w.nat64 && family == Family::V6 && action == PfAction::Pass {
        let why = "what becomes of a packet translated to IPv4 is not followed here";
        rule.conditions = vec![Unknown::new("translation from IPv6 to IPv4", why)];
        rule.action = PfAction::Unknown;
    }
    Ok(vec![rule])
}

// `None`: a schedule says that the rule is not in force at the moment.
fn conditions(w: &Written, cx: &Context<'_>) -> Option<Vec<Unknown>> {
    let mut out = Vec::new();
    if !w.os.is_empty() && w.protocol == "tcp" {
        out.push(Unknown::new(
            format!("os \"{}\"", w.os),
            "the sender's system is guessed from its first packet",
        ));
    }
    let why = "a header field that is not part of a packet here";
    out.extend(w.other.iter().map(|o| Unknown::new(o.clone(), why)));
    // A name that no schedule has leaves the rule always on.
    if let Some(s) = cx.schedules.get(&w.schedule) {
        let text = format!("schedule {}", w.schedule);
        match cx.options.at.map(|at| schedule::active(*s, at)) {
            None => out.push(Unknown::new(text, "give the moment with --at to decide it")),
            Some(None) => out.push(Unknown::new(text, "its time ranges cannot be read")),
            Some(Some(true)) => {}
            Some(Some(false)) => return None,
        }
    }
    Some(out)
}

// A gateway that the file does not describe is made at run time, and says its family by the end of its name; a rule of the other family is left
// out. Of any other name it is not known.
fn gateway_family(name: &str, family: Family, cx: &Context<'_>) -> Result<Option<Unknown>, Fault> {
    const ENDS: [(&[&str], Family); 2] = [
        (&["_DHCP", "_PPPOE", "_PPP", "_PPTP", "_L2TP", "_VPNV4", "_GWV4", "_TUNNELV4"], Family::V4),
        (&["_DHCP6", "_SLAAC", "_TRACK6", "_VPNV6", "_GWV6", "_TUNNELV6"], Family::V6),
    ];
    if cx.gateways.contains_key(name) || name == "default" {
        return Ok(None);
    }
    let upper = name.to_ascii_uppercase();
    match ENDS.iter().find(|(ends, _)| ends.iter().any(|e| upper.ends_with(e))).map(|e| e.1) {
        Some(own) if own == family => Ok(None),
        Some(own) => Err(Fault::Dropped(format!("gateway {name} is of IPv{}", own.number()))),
        None => Ok(Some(Unknown::new(
            format!("gateway {name} is of IPv{}", family.number()),
            "the file does not describe it; a rule whose gateway is of the other family is left out",
        ))),
    }
}

fn gateway(w: &Written, rule: &mut PfRule, cx: &Context<'_>) {
    if w.gateway.is_empty() || w.gateway == "default" || rule.action != PfAction::Pass {
        return;
    }
    if cx.root.flag("system/skip_rules_gw_down") {
        let why = "a rule through a gateway that is down is left out (skip_rules_gw_down)";
        rule.conditions.push(Unknown::new(format!("gateway {} is up", w.gateway), why));
    }
    // Gateways of interfaces that learn their address are not in the file, and one that is may be down: then the rule routes as usual.
    rule.gateway = Some(w.gateway.clone());
}

fn protocol(
    word: &str,
    family: Family,
    ported: bool,
    cx: &Context<'_>,
) -> Result<Option<IntervalSet>, Fault> {
    let of = |list: &[u8]| Ok(Some(list.iter().map(|p| u128::from(*p)).collect()));
    match word {
        "" if ported && cx.product == Product::PfSense => of(&[proto::TCP]),
        "" | "any" => Ok(None),
        "tcp/udp" => of(&[proto::TCP, proto::UDP]),
        "icmp" if family == Family::V6 => of(&[proto::ICMPV6]),
        name => match proto::parse(name) {
            Some(p) => of(&[p]),
            None => Err(Fault::Refused(format!("`{name}` is no protocol"))),
        },
    }
}

/// The ports of a rule; `None` = no condition.
pub(super) fn ports(text: &str, cx: &Context<'_>) -> Result<Option<Ports>, Fault> {
    let text = text.replace(' ', "");
    if text.is_empty() || text == "any" && cx.product == Product::OpnSense {
        return Ok(None);
    }
    if text == "any" {
        return Err(Fault::Dropped("`any` is neither a port nor a port alias".to_owned()));
    }
    if cx.aliases.has(&text) {
        return cx.aliases.ports(&text).map(Some);
    }
    let text = match cx.product {
        // An open end of a range.
        Product::OpnSense => text.replace(':', "-").replace("any-", "1-").replace("-any", "-65535"),
        Product::PfSense => text,
    };
    // The text is split at `-` whatever it is, so a service name with one in it is no port.
    let Some((a, b)) = text.split_once('-').filter(|(a, b)| !b.is_empty() && a != b) else {
        return one_port(text.split('-').next().unwrap_or(&text)).map(Some);
    };
    let number = |t: &str| t.parse::<u32>().ok().filter(|n| *n <= 65535);
    let (Some(lo), Some(hi)) = (number(a), number(b)) else {
        return Err(Fault::Dropped(format!("`{text}` is neither a port nor a port alias")));
    };
    if cx.product == Product::OpnSense && lo > hi {
        return Err(Fault::Dropped(format!("`{text}` is no range of ports")));
    }
    match (lo, hi) {
        (1, 65535) => Ok(None),
        // Written `<= b`, which lets port 0 in.
        (1, hi) if cx.product == Product::PfSense => Ok(Some(Ports::of(IntervalSet::range(0u8, hi)))),
        _ => Ok(Some(Ports::of(IntervalSet::range(lo, hi)))),
    }
}

fn one_port(text: &str) -> Result<Ports, Fault> {
    if let Some(set) = port_text(text) {
        return Ok(Ports::of(set));
    }
    let name = text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    if !name || text.bytes().all(|c| c.is_ascii_digit()) {
        return Err(Fault::Dropped(format!("`{text}` is neither a port nor a port alias")));
    }
    // The box may know a service by that name, and leaves the rule out if not.
    let named = Unknown::new(format!("named {text}"), "a service name that is not known here");
    Ok(Ports { set: IntervalSet::EMPTY, unknown: vec![named] })
}

fn tcp_flags(w: &Written, cx: &Context<'_>) -> Result<Flags, Fault> {
    if w.protocol != "tcp" {
        return Ok(Flags::Default);
    }
    if w.flags_any {
        return Ok(Flags::Any);
    }
    if !w.flags_mask.is_empty() {
        let (set, mask) = (flag_bits(&w.flags_set)?, flag_bits(&w.flags_mask)?);
        return Ok(Flags::Of(Arc::new(flags::masked(mask, set))));
    }
    Ok(match cx.product {
        Product::PfSense => Flags::Of(Arc::clone(opening())),
        Product::OpnSense => Flags::Default,
    })
}

fn flag_bits(list: &str) -> Result<u8, Fault> {
    split(list).try_fold(0, |bits, word| {
        let at = flags::NAMES.iter().position(|n| n.eq_ignore_ascii_case(word));
        at.map(|i| bits | 1 << i).ok_or_else(|| Fault::Refused(format!("`{word}` is no TCP flag")))
    })
}
