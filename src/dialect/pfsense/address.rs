//! One end of a rule: which addresses it names (`filter_generate_address`).

use super::aliases::{Fault, parse_net};
use super::interfaces::{Addressing, Iface, is_numbered};
use super::pf::{Addresses, Unknown};
use super::product::Product;
use super::release::Release;
use super::user::Context;
use super::xml::Element;
use crate::packet::addr;
use crate::packet::{Family, IntervalSet};

/// Source or destination as written.
#[derive(Debug, Clone, Default)]
pub(super) struct End {
    /// `<any>`.
    pub any: bool,
    /// `<network>`.
    pub network: String,
    /// `<address>`.
    pub address: String,
    /// `<not>`.
    pub not: bool,
    /// `<port>`.
    pub port: String,
}

impl End {
    /// Reads a `<source>` or `<destination>` of pfSense.
    pub fn pfsense(e: Option<Element<'_>>) -> Self {
        let Some(e) = e else { return Self::default() };
        Self {
            any: e.at("any").is_some(),
            network: e.word("network"),
            address: e.word("address"),
            not: e.flag("not"),
            port: e.word("port"),
        }
    }
}

/// The addresses of an end in a rule of a family; `what` is `source` or `destination`.
pub(super) fn resolve(end: &End, what: &str, family: Family, cx: &Context<'_>) -> Result<Addresses, Fault> {
    if cx.product == Product::OpnSense {
        return opnsense(end, family, cx);
    }
    if end.any {
        return Ok(Addresses::any());
    }
    if !end.network.is_empty() {
        return network(&end.network, end.not, what, family, cx);
    }
    if !end.address.is_empty() {
        return address(&end.address, end.not, family, cx);
    }
    Err(Fault::Dropped(format!("its {what} address is empty")))
}

// OPNsense makes no difference between its elements: the first that says something counts, and nothing at all is every address.
fn opnsense(end: &End, family: Family, cx: &Context<'_>) -> Result<Addresses, Fault> {
    let text = if end.network.is_empty() { &end.address } else { &end.network };
    if text.is_empty() || text == "any" {
        return Ok(Addresses::any());
    }
    if text == "(self)" {
        return Ok(Addresses { negated: end.not, ..itself(cx) });
    }
    let real = |key: &str| cx.interfaces.get(key).filter(|i| !i.group);
    if cx.aliases.has(text) || built_in(text, cx).is_some() {
        return address(text, end.not, family, cx);
    }
    if let Some(i) = real(text) {
        let mut nets = every_net(i, end.not, family);
        // In rules of IPv6 the link-local network goes with it; excluded, it is let in again.
        if family == Family::V6 && !end.not {
            nets.set = nets.set.union(&addr::parse("fe80::/10").unwrap_or_default());
        }
        return Ok(nets);
    }
    if let Some(i) = text.strip_suffix("ip").filter(|k| is_numbered(k)).and_then(real) {
        let mut own = Addresses { negated: end.not, ..Addresses::of(i.own()) };
        own.unknown = learns(&[i], &format!("is an address of {}", i.key));
        own.unknown.extend(link_local(&i.key, cx));
        return Ok(own);
    }
    if let Some(g) = cx.interfaces.get(text) {
        let mut all = Addresses { negated: end.not, ..Addresses::of(IntervalSet::EMPTY) };
        let members: Vec<_> = g.members.iter().filter_map(|m| cx.interfaces.get(m)).collect();
        members.iter().for_each(|m| all.add(every_net(m, end.not, family)));
        if members.is_empty() {
            let why = "its members are known at run time";
            all.unknown.push(Unknown::new(format!("in a network of {}", g.key), why));
        }
        if family == Family::V6 && !end.not {
            all.set = all.set.union(&addr::parse("fe80::/10").unwrap_or_default());
        }
        return Ok(all);
    }
    if let Some(found) = literal(text, end.not, family, cx) {
        return found;
    }
    Err(unresolved(text.strip_suffix("ip").unwrap_or(text), text, cx))
}

// What names nothing: left out for certain where it can have no meaning elsewhere, otherwise a name that this reader or this file may lack.
fn unresolved(key: &str, text: &str, cx: &Context<'_>) -> Fault {
    let word = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.bytes().any(|b| b.is_ascii_alphabetic());
    // A table of later releases is no unknown word.
    let later = super::built_in::table(text).is_some();
    if word && !later && !cx.interfaces.may_only_be_here(key) {
        return Fault::Unknown(format!("`{text}` is no alias, address or interface of this file"));
    }
    Fault::Dropped(format!("`{text}` is neither an address, a network nor an alias"))
}

// Networks of an interface of OPNsense: those of all its addresses.
fn every_net(i: &Iface, not: bool, family: Family) -> Addresses {
    let vips = i.vips(family).fold(IntervalSet::EMPTY, |s, v| s.union(&v.net));
    match i.addressing(family) {
        Addressing::None => Addresses { negated: not, ..Addresses::of(vips) },
        Addressing::Static { net, .. } => Addresses { negated: not, ..Addresses::of(vips.union(net)) },
        Addressing::Dynamic(_) => {
            let mut learnt = learnt(i, family, not, "network");
            learnt.needs.clear();
            learnt.set = vips;
            learnt
        }
    }
}

fn address(text: &str, not: bool, family: Family, cx: &Context<'_>) -> Result<Addresses, Fault> {
    if cx.aliases.has(text) {
        return cx.aliases.addresses(text, family, not);
    }
    if let Some(table) = built_in(text, cx) {
        return Ok(Addresses { negated: not, ..table });
    }
    literal(text, not, family, cx).unwrap_or_else(|| Err(unresolved(text, text, cx)))
}

// Tables that the product makes itself and rules may name: 2.8's `_private4_` and the like, `bogons`; OPNsense's tables of blocked hosts. What
// their names say is certain, anything else that they hold is not in the file.
fn built_in(name: &str, cx: &Context<'_>) -> Option<Addresses> {
    const RUN_TIME: &[&str] = &["bogons", "bogonsv6", "sshguard", "sshlockout", "snort2c", "virusprot"];
    let name = if cx.product == Product::PfSense { &name.to_ascii_lowercase() } else { name };
    let newer = cx.product == Product::PfSense && cx.release >= Release::V2_8;
    if let Some(nets) = super::built_in::table(name).filter(|_| newer) {
        return Some(Addresses::of(nets));
    }
    // OPNsense has the networks of each interface as a table.
    if let Some(i) = name.strip_prefix("__").and_then(|t| t.strip_suffix("_network"))
        && cx.product == Product::OpnSense
    {
        let i = cx.interfaces.get(i).filter(|i| !i.group)?;
        let mut both = every_net(i, false, Family::V4);
        both.add(every_net(i, false, Family::V6));
        return Some(both);
    }
    let own = name.len() > 2 && name.starts_with('_') && name.ends_with('_') && newer;
    let run_time = RUN_TIME.contains(&name) && (cx.product == Product::OpnSense || newer);
    let unknown = vec![Unknown::new(format!("in table {name}"), "the product makes this table itself")];
    (own || run_time).then(|| Addresses { unknown, ..Addresses::of(IntervalSet::EMPTY) })
}

/// An address or network as written; `None` if it is none.
pub(super) fn literal(
    text: &str,
    not: bool,
    family: Family,
    cx: &Context<'_>,
) -> Option<Result<Addresses, Fault>> {
    let net = parse_net(text)?;
    if text.starts_with("::")
        && text.len() > 2
        && cx.product == Product::PfSense
        && cx.release >= Release::V2_5
        && net.addr().is_ipv6()
    {
        return Some(Ok(Addresses {
            negated: not,
            ..Addresses::unknown(Unknown::new(
                format!("in {text} below the delegated prefix"),
                "the provider gives the prefix at run time",
            ))
        }));
    }
    if Family::of(net.addr()) != family {
        return Some(Err(Fault::Refused(format!("{text} stands in a rule of IPv{}", family.number()))));
    }
    Some(Ok(Addresses { negated: not, ..Addresses::of(addr::net(net)) }))
}

/// What `<network>` names: an interface's network or address, the box itself, or a group.
pub(super) fn network(
    value: &str,
    not: bool,
    what: &str,
    family: Family,
    cx: &Context<'_>,
) -> Result<Addresses, Fault> {
    let empty =
        || Fault::Dropped(format!("its {what} `{value}` stands for no IPv{} address", family.number()));
    let key = value.strip_suffix("ip").unwrap_or(value);
    if !cx.interfaces.may_only_be_here(key) && value != "(self)" && !cx.aliases.has(value) {
        return Err(Fault::Unknown(format!("its {what} `{value}` is no interface of this file")));
    }
    if value == "(self)" {
        return Ok(Addresses { negated: not, ..itself(cx) });
    }
    // The generator looks for `opt` inside a value before it looks at its name.
    let optional = value.strip_suffix("ip").unwrap_or(value).strip_prefix("opt");
    let plain = optional.is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    if cx.product == Product::PfSense && value.contains("opt") && !plain && cx.interfaces.get(value).is_some()
    {
        let odd = Unknown::new(
            format!("in a network of {value}"),
            "the generator reads names with `opt` in them oddly",
        );
        let there = Unknown::new(format!("there is a network of {value}"), "else the rule is left out");
        return Ok(Addresses { negated: not, needs: vec![there], ..Addresses::unknown(odd) });
    }
    if let Some(i) = value.strip_suffix("ip").and_then(|key| cx.interfaces.get(key)).filter(|i| !i.group) {
        return match i.addressing(family) {
            Addressing::None => Err(empty()),
            Addressing::Static { address, .. } => {
                Ok(Addresses { negated: not, ..Addresses::of(IntervalSet::single(*address)) })
            }
            Addressing::Dynamic(_) => Ok(learnt(i, family, not, "address")),
        };
    }
    match cx.interfaces.get(value) {
        Some(i) if !i.group => nets(i, not, family, cx).ok_or_else(empty),
        Some(g) if g.key == "pppoe" && family == Family::V4 => {
            let pool =
                Unknown::new("in the address pool of the PPPoE server", "it is handed out at run time");
            Ok(Addresses { negated: not, ..Addresses::unknown(pool) })
        }
        Some(g) if g.key == "l2tp" || cx.release < Release::V2_7 && cx.product == Product::PfSense => {
            Err(empty())
        }
        Some(g) => group(g, not, family, cx).ok_or_else(empty),
        None => Err(empty()),
    }
}

/// Every address of the box.
pub(super) fn itself(cx: &Context<'_>) -> Addresses {
    let mut out = Addresses::of(cx.interfaces.local());
    let all: Vec<&Iface> = cx.interfaces.real().collect();
    out.unknown = learns(&all, "is an address of the firewall");
    out.unknown.extend(link_local("the firewall", cx));
    out
}

/// Where IPv6 is allowed, interfaces give themselves link-local addresses, which no file tells.
pub(super) fn link_local(of: &str, cx: &Context<'_>) -> Option<Unknown> {
    let why = "interfaces make their link-local addresses themselves";
    let one = Unknown::new(format!("is a link-local address of {of}"), why);
    (cx.ipv6 != Some(false)).then(|| one.within(addr::parse("fe80::/10").unwrap_or_default()))
}

/// A condition for each family in which one of the interfaces learns an address.
pub(super) fn learns(interfaces: &[&Iface], text: &str) -> Vec<Unknown> {
    let families = Family::ALL.into_iter().filter(|f| interfaces.iter().any(|i| i.learns(*f)));
    let one = |f: Family| {
        let keys: Vec<_> = interfaces.iter().filter(|i| i.learns(f)).map(|i| i.key.as_str()).collect();
        let why = format!("IPv{} addresses of {} are learnt at run time", f.number(), keys.join(", "));
        Unknown::new(text, why).only(f)
    };
    families.map(one).collect()
}

// Membership in something that an interface learns at run time. If it learns nothing, the rule is left out, negated or not.
fn learnt(i: &Iface, family: Family, not: bool, noun: &str) -> Addresses {
    let Addressing::Dynamic(how) = i.addressing(family) else { return Addresses::any() };
    let n = family.number();
    let member = Unknown::new(
        format!("in the IPv{n} {noun} of {}", i.key),
        format!("{} learns its IPv{n} address at run time ({how})", i.key),
    )
    .only(family);
    let mut out = Addresses { negated: not, ..Addresses::unknown(member) };
    if not {
        out.needs.push(has_address(i, family));
    }
    out
}

fn has_address(i: &Iface, family: Family) -> Unknown {
    Unknown::new(
        format!("{} has an IPv{} address", i.key, family.number()),
        "without one the rule is left out",
    )
}

// Networks of an interface, with those of its virtual addresses.
fn nets(i: &Iface, not: bool, family: Family, cx: &Context<'_>) -> Option<Addresses> {
    let primary = match i.addressing(family) {
        Addressing::None => return None,
        Addressing::Dynamic(_) => {
            let mut a = learnt(i, family, not, "network");
            // Virtual addresses are known all the same.
            a.set = i.vips(family).fold(IntervalSet::EMPTY, |s, v| s.union(&v.net));
            if !a.set.is_empty() && a.needs.is_empty() {
                a.needs.push(has_address(i, family));
            }
            return Some(a);
        }
        Addressing::Static { net, .. } => net.clone(),
    };
    let pfsense = cx.product == Product::PfSense;
    let optional = !matches!(i.key.as_str(), "lan" | "wan");
    let table = !pfsense
        || cx.release >= Release::V2_9
        || cx.release >= Release::V2_7 && (family == Family::V4 || optional);
    // The tables of 2.7 to 2.8 hold no networks of IPv6 virtual addresses.
    let with_vips = !(pfsense && table && family == Family::V6);
    let extra: Vec<_> =
        i.vips(family).filter(|v| with_vips && !primary.covers(&v.net)).map(|v| v.net.clone()).collect();
    let all = extra.iter().fold(primary.clone(), |s, n| s.union(n));
    if not && !table && !extra.is_empty() {
        // `{ !a !b }` is a list of two rules: a union of complements.
        let common = extra.iter().fold(primary, |s, n| s.intersect(n));
        return Some(Addresses { negated: true, ..Addresses::of(common) });
    }
    Some(Addresses { negated: not, ..Addresses::of(all) })
}

// Networks of a group's members, in one table.
fn group(g: &Iface, not: bool, family: Family, cx: &Context<'_>) -> Option<Addresses> {
    let mut out = Addresses { negated: not, ..Addresses::of(IntervalSet::EMPTY) };
    for member in g.members.iter().filter_map(|m| cx.interfaces.get(m)) {
        if let Some(a) = nets(member, false, family, cx) {
            out.add(a);
        }
    }
    if g.members.is_empty() {
        out.unknown
            .push(Unknown::new(format!("in a network of {}", g.key), "its members are known at run time"));
    }
    let nothing = out.set.is_empty() && out.unknown.is_empty();
    (!nothing).then_some(out)
}
