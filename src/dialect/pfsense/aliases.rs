//! Aliases: named lists of addresses or ports, nested, partly known at run time only (`filter_generate_aliases`,
//! `filter_generate_nested_alias`, `alias_expand`).

use super::pf::{Addresses, Ports, Unknown};
use super::product::Product;
use super::settle::settle;
use super::xml::{Doubt, Element};
use crate::packet::addr::{self, Family};
use crate::packet::{IntervalSet, Value};
use crate::source::Origin;
use ipnet::IpNet;
use rustc_hash::{FxHashMap, FxHashSet};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Why a rule is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The generator leaves the rule out.
    Dropped(String),
    /// pf refuses the line and with it the whole ruleset.
    Refused(String),
    /// Whether the rule is there, or what it matches, is not known.
    Unknown(String),
}

/// An alias as written.
#[derive(Debug, Clone)]
pub(super) struct Alias {
    /// `host`, `network`, `port`, `url`, `urltable`, ….
    pub kind: String,
    /// Members as written.
    pub members: Vec<String>,
    /// Where it is.
    pub origin: Origin,
    /// What is not understood in it: it may hold anything.
    pub doubts: Vec<Doubt>,
}

impl Alias {
    /// An alias of a kind with its members; `e` is its element, of which nothing more is read.
    pub fn new(e: Element<'_>, kind: String, members: Vec<String>) -> Self {
        // Without a name it is not known whose element this is: that is for the document to answer for.
        let doubts = if e.word("name").is_empty() { Vec::new() } else { settle(e) };
        Self { kind, members, origin: e.origin(), doubts }
    }
}

// An alias with more members than this, those of the aliases in it counted too, is not put together only to be named.
const MAX_KNOWN: usize = 256;

/// All aliases.
#[derive(Debug, Clone, Default)]
pub(super) struct Aliases {
    /// By name.
    pub by_name: FxHashMap<String, Alias>,
    names: BTreeMap<String, IntervalSet>,
    product: Option<Product>,
    // Tables already put together: one alias stands in many rules.
    tables: RefCell<FxHashMap<String, Addresses>>,
}

// What an address alias holds, its nested ones too.
#[derive(Default)]
struct Members {
    nets: Vec<(bool, IpNet)>,
    names: Vec<String>,
    ranges: Vec<IntervalSet>,
    unknown: Vec<Unknown>,
}

impl Aliases {
    /// Reads pfSense's `<aliases>`; `names` are host names whose addresses are known.
    pub fn read(root: Element<'_>, names: &BTreeMap<String, IntervalSet>) -> Self {
        let mut out = Self { names: names.clone(), product: Some(Product::PfSense), ..Self::default() };
        for e in root.at("aliases").into_iter().flat_map(|a| a.list("alias")) {
            let members = e.word("address").split_whitespace().map(str::to_owned).collect();
            let kind = e.choice(
                "type",
                &["host", "network", "port", "url", "url_ports", "urltable", "urltable_ports"],
            );
            out.insert(&e.word("name"), Alias::new(e, kind, members));
        }
        out
    }

    /// No alias yet, of a product.
    pub fn empty(names: &BTreeMap<String, IntervalSet>, product: Product) -> Self {
        Self { names: names.clone(), product: Some(product), ..Self::default() }
    }

    /// Adds one. Names that are only digits are skipped, as the generator does.
    pub fn insert(&mut self, name: &str, alias: Alias) {
        if !name.is_empty() && !name.bytes().all(|b| b.is_ascii_digit()) {
            self.by_name.insert(name.to_owned(), alias);
        }
    }

    /// Whether there is such an alias.
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The aliases that an alias names, at any depth, itself included; cycles are cut.
    pub fn reach<'s>(&'s self, name: &'s str) -> Vec<&'s str> {
        self.reached(name, usize::MAX).unwrap_or_default()
    }

    // The same, if they have no more members than `most` in all: of many aliases that name each other, each is not followed to the end.
    fn reached<'s>(&'s self, name: &'s str, most: usize) -> Option<Vec<&'s str>> {
        let mut seen: FxHashSet<&str> = FxHashSet::default();
        let (mut work, mut out, mut members) = (vec![name], Vec::new(), 0usize);
        while let Some(n) = work.pop() {
            let Some(alias) = self.by_name.get(n) else { continue };
            if seen.insert(n) {
                members += alias.members.len();
                if members > most {
                    return None;
                }
                out.push(n);
                work.extend(alias.members.iter().map(String::as_str).filter(|m| self.has(m)));
            }
        }
        Some(out)
    }

    fn members(&self, name: &str) -> Members {
        let mut out = Members::default();
        for alias in self.reach(name) {
            let a = &self.by_name[alias];
            if let Some(unknown) = a.open(alias).or_else(|| fetched(alias, &a.kind, false)) {
                out.unknown.push(unknown);
                continue;
            }
            for m in a.members.iter().filter(|m| !self.has(m)) {
                self.member(m, alias, &mut out);
            }
        }
        out
    }

    fn member(&self, text: &str, alias: &str, out: &mut Members) {
        let (negated, bare) = text.strip_prefix('!').map_or((false, text), |t| (true, t));
        if let Some(net) = parse_net(bare) {
            out.nets.push((negated, net));
        } else if self.product == Some(Product::OpnSense) && bare.contains('/') {
            // A mask whose ones may be anything; what is neither this nor a network is left out.
            match wildcard(bare) {
                Some(Some(set)) if !negated => out.ranges.push(set),
                Some(_) => out.unknown.push(Unknown::new(
                    format!("in table {alias}"),
                    format!("what its member `{text}` stands for is not followed here"),
                )),
                None => {}
            }
        } else if negated {
            out.unknown.push(Unknown::new(
                format!("in table {alias}"),
                format!("its member `{text}` excludes what is no address"),
            ));
        } else if let Some(range) = addr::parse(bare) {
            // pfSense takes a range for a host name, which never resolves; OPNsense expands it.
            if self.product == Some(Product::OpnSense) {
                out.ranges.push(range);
            }
        } else if is_host_name(bare) && bare.bytes().any(|b| b.is_ascii_alphabetic()) {
            // What has digits only never resolves.
            let name = bare.to_ascii_lowercase();
            match self.names.get(&name) {
                Some(addresses) => out.ranges.push(addresses.clone()),
                None => out.names.push(name),
            }
        }
    }

    /// The addresses of an alias in a rule of a family.
    pub fn addresses(&self, name: &str, family: Family, negated: bool) -> Result<Addresses, Fault> {
        let alias = &self.by_name[name];
        if let Some(unknown) = alias.open(name) {
            return Ok(Addresses { negated, ..Addresses::unknown(unknown) });
        }
        match alias.kind.as_str() {
            "port" | "url_ports" | "urltable_ports" => {
                Err(Fault::Refused(format!("alias {name} is a list of ports, where addresses are needed")))
            }
            _ if self.is_table(&alias.kind) => {
                let known = self.tables.borrow().get(name).cloned();
                let mut a = known.unwrap_or_else(|| {
                    let table = self.table(name);
                    self.tables.borrow_mut().insert(name.to_owned(), table.clone());
                    table
                });
                a.negated = negated;
                if negated && fetched(name, &alias.kind, false).is_some() {
                    a.needs.push(Unknown::new(
                        format!("table {name} was fetched"),
                        "a rule that names a table never fetched is left out",
                    ));
                }
                Ok(a)
            }
            _ => self.list(name, family, negated),
        }
    }

    /// The addresses of an alias that is a table, where the file has them all and they are not too many.
    pub fn known(&self, name: &str) -> Option<IntervalSet> {
        let alias = self.by_name.get(name)?;
        self.reached(name, MAX_KNOWN)?;
        let used = self.tables.borrow().get(name).cloned();
        let table = used.or_else(|| self.is_table(&alias.kind).then(|| self.table(name)))?;
        (table.names.is_empty() && table.unknown.is_empty()).then_some(table.set)
    }

    fn is_table(&self, kind: &str) -> bool {
        self.product == Some(Product::OpnSense) || matches!(kind, "host" | "network" | "url" | "urltable")
    }

    // pf looks for the longest prefix that holds the address; a negated entry then says no.
    fn table(&self, name: &str) -> Addresses {
        let mut m = self.members(name);
        m.nets.sort_by_key(|(negated, net)| (net.prefix_len(), net.addr().is_ipv6(), *negated));
        let mut set = IntervalSet::EMPTY;
        let mut last: Option<(u8, IntervalSet)> = None;
        for group in m.nets.chunk_by(|a, b| a.0 == b.0 && a.1.prefix_len() == b.1.prefix_len()) {
            let nets =
                IntervalSet::from_ranges(group.iter().flat_map(|(_, n)| addr::net(*n).ranges().to_vec()));
            let length = group[0].1.prefix_len();
            if last.as_ref().is_some_and(|(n, plain)| group[0].0 && *n == length && plain.intersects(&nets)) {
                let why = "a network stands in it both plain and excluded";
                m.unknown.push(Unknown::new(format!("in table {name}"), why));
            }
            set = if group[0].0 { set.minus(&nets) } else { set.union(&nets) };
            last = Some((length, nets));
        }
        let set = m.ranges.iter().fold(set, |a, b| a.union(b));
        Addresses { set, names: m.names, unknown: m.unknown, negated: false, needs: Vec::new() }
    }

    // An alias without a type that makes a table is a macro: a list, which pf expands to one rule for each member.
    fn list(&self, name: &str, family: Family, negated: bool) -> Result<Addresses, Fault> {
        let m = self.members(name);
        let all = family.all();
        let nets: Vec<_> =
            m.nets.iter().map(|(n, net)| (*n, addr::net(*net))).filter(|(_, s)| s.intersects(&all)).collect();
        if nets.is_empty() && m.names.is_empty() && m.unknown.is_empty() {
            let why = if m.nets.is_empty() { "is empty" } else { "holds no address of the rule's family" };
            return Err(Fault::Refused(format!("alias {name} {why}")));
        }
        if negated && !(m.names.is_empty() && m.unknown.is_empty()) {
            return Ok(Addresses::unknown(Unknown::new(
                format!("not in list {name}"),
                "its names are resolved when the rules are loaded",
            )));
        }
        let set = nets.iter().fold(IntervalSet::EMPTY, |acc, (n, s)| match *n != negated {
            true => acc.union(&all.minus(s)),
            false => acc.union(s),
        });
        Ok(Addresses { names: m.names, unknown: m.unknown, ..Addresses::of(set) })
    }

    /// The ports of an alias.
    pub fn ports(&self, name: &str) -> Result<Ports, Fault> {
        let alias = &self.by_name[name];
        if let Some(unknown) = alias.open(name) {
            return Ok(Ports { unknown: vec![unknown], ..Ports::of(IntervalSet::EMPTY) });
        }
        let kind = alias.kind.as_str();
        if matches!(kind, "host" | "network" | "url" | "urltable") {
            return Err(Fault::Refused(format!(
                "alias {name} is a list of addresses, where ports are needed"
            )));
        }
        let mut out = Ports::of(IntervalSet::EMPTY);
        for alias in self.reach(name) {
            let a = &self.by_name[alias];
            if let Some(unknown) = a.open(alias).or_else(|| fetched(alias, &a.kind, true)) {
                out.unknown.push(unknown);
                continue;
            }
            for m in a.members.iter().filter(|m| !self.has(m)) {
                match port_text(m) {
                    Some(set) => out.set = out.set.union(&set),
                    // OPNsense takes the ports out of the list and leaves the rest.
                    None if self.product == Some(Product::OpnSense) && !is_word(m) => {}
                    None if self.product == Some(Product::OpnSense) => out.unknown.push(Unknown::new(
                        format!("in port alias {name}, if `{m}` is a service"),
                        "a service name that is not known here",
                    )),
                    // The box may know a service by that name; if not, the list is emptied, and the rule left out.
                    None if is_word(m) => {
                        let named = format!("in port alias {name}, if `{m}` is a service");
                        let why = "a service name that is not known here";
                        return Ok(Ports {
                            unknown: vec![Unknown::new(named, why)],
                            ..Ports::of(IntervalSet::EMPTY)
                        });
                    }
                    // pfSense takes it for the name of a host, as in a list of addresses, and empties the list for the resolver to fill.
                    None if is_host_name(m) => {
                        let why = format!("`{m}` in port alias {alias} is no port, which empties the list");
                        return Err(Fault::Dropped(why));
                    }
                    None => return Err(Fault::Refused(format!("`{m}` in alias {alias} is no port"))),
                }
            }
        }
        if out.set.is_empty() && out.unknown.is_empty() {
            return Err(Fault::Dropped(format!("port alias {name} is empty")));
        }
        Ok(out)
    }
}

// Aliases whose content is a file on the box.
fn fetched(name: &str, kind: &str, ports: bool) -> Option<Unknown> {
    let what = match (kind, ports) {
        ("urltable", false) => "a list that the firewall downloads; the file has only its address",
        ("urltable_ports", true) => {
            "a list of ports that the firewall downloads; the file has only its address"
        }
        ("geoip" | "dynipv6host" | "mac" | "asn" | "internal" | "external" | "authgroup", false) => {
            "the firewall fills it at run time"
        }
        _ => return None,
    };
    Some(Unknown::new(format!("in table {name}"), what))
}

impl Alias {
    /// Whether more may be in it than its members: the box fills it, or something in it is not understood.
    pub fn is_filled_elsewhere(&self) -> bool {
        let filled = |ports| fetched("", &self.kind, ports).is_some();
        !self.doubts.is_empty() || filled(false) || filled(true)
    }

    // What leaves its members open.
    fn open(&self, name: &str) -> Option<Unknown> {
        let doubt = self.doubts.first()?;
        Some(Unknown::new(format!("in alias {name}"), format!("the alias is not understood: {}", doubt.what)))
    }
}

impl Aliases {
    /// Members that pfSense writes into a table or a list as they are, although pf cannot read them: it then refuses all rules, whether
    /// one names the alias or not.
    pub fn broken(&self) -> Vec<(Origin, String)> {
        let mut out = Vec::new();
        if self.product == Some(Product::PfSense) {
            for (name, a) in self.by_name.iter().filter(|(_, a)| a.doubts.is_empty()) {
                if let Some(m) = self.broken_member(a) {
                    out.push((
                        a.origin,
                        format!("`{m}` in alias {name} is neither an address, a port nor a name"),
                    ));
                }
            }
        }
        out.sort();
        out
    }

    fn broken_member<'s>(&self, alias: &'s Alias) -> Option<&'s str> {
        let ports = matches!(alias.kind.as_str(), "port" | "url_ports");
        if alias.kind.starts_with("urltable") {
            return None;
        }
        let readable = |m: &str| {
            let bare = m.strip_prefix('!').unwrap_or(m);
            is_host_name(bare)
                || if ports {
                    port_text(m).is_some()
                } else {
                    parse_net(bare).is_some() || alias.kind.is_empty()
                }
        };
        alias.members.iter().map(String::as_str).find(|m| !self.has(m) && !readable(m))
    }
}

// Addresses that differ from the written one only in the ones of the mask; `None` if it is none, `Some(None)` if they are too many ranges.
fn wildcard(text: &str) -> Option<Option<IntervalSet>> {
    // More ranges than this are no list that somebody wrote down.
    const MAX_FREE_BITS: u32 = 12;
    let (address, mask) = text.split_once('/')?;
    let (address, mask): (IpAddr, IpAddr) = (address.parse().ok()?, mask.parse().ok()?);
    if address.is_ipv4() != mask.is_ipv4() {
        return None;
    }
    let (base, zero) = match address {
        IpAddr::V4(_) => (addr::value(address), addr::v4(0)),
        IpAddr::V6(_) => (addr::value(address), 0),
    };
    let free = addr::value(mask) - zero;
    let tail = free.trailing_ones();
    let low = if tail == 128 { Value::MAX } else { (1 << tail) - 1 };
    let upper = free & !low;
    if upper.count_ones() > MAX_FREE_BITS {
        return Some(None);
    }
    let bits: Vec<u32> = (0..128).filter(|b| upper >> b & 1 == 1).collect();
    let ranges = (0u32..1 << bits.len()).map(|n| {
        let spread = bits.iter().enumerate().filter(|(i, _)| n >> i & 1 == 1).fold(0, |v, (_, b)| v | 1 << b);
        let first = base & !free | spread;
        (first, first | low)
    });
    Some(Some(IntervalSet::from_ranges(ranges)))
}

/// An address or prefix; host bits are masked.
pub(super) fn parse_net(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)).map(|n| n.trunc())
}

// Letters, with digits and `_`: what a service may be called.
fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.bytes().any(|b| b.is_ascii_alphabetic())
}

// What pfSense takes for a name of a host: labels of letters, digits, `_` and, inside, `-`. Ranges and mistyped addresses are names too.
fn is_host_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let label = |l: &str| !l.is_empty() && l.bytes().all(inner) && !l.starts_with('-') && !l.ends_with('-');
    text.split('.').all(label)
}

/// A port, a range `a:b` (both included), or the name of a service.
pub(super) fn port_text(text: &str) -> Option<IntervalSet> {
    if let Some((a, b)) = text.split_once(':') {
        let (a, b): (u16, u16) = (a.parse().ok()?, b.parse().ok()?);
        return Some(IntervalSet::range(a, b));
    }
    if let Ok(p) = text.parse::<u16>() {
        return Some(IntervalSet::single(p));
    }
    SERVICES
        .iter()
        .find(|(n, _)| n.eq_ignore_ascii_case(text))
        .map(|(_, p)| IntervalSet::single(Value::from(*p)))
}

// Names that rules use, with the numbers of FreeBSD's /etc/services.
#[rustfmt::skip]
const SERVICES: &[(&str, u16)] = &[
    ("ftp-data", 20), ("ftp", 21), ("ssh", 22), ("telnet", 23), ("smtp", 25), ("time", 37),
    ("tacacs", 49), ("domain", 53), ("bootps", 67), ("bootpc", 68), ("tftp", 69), ("gopher", 70),
    ("finger", 79), ("http", 80), ("kerberos", 88), ("kerberos-sec", 88), ("pop3", 110), ("sunrpc", 111),
    ("auth", 113), ("ident", 113), ("nntp", 119), ("ntp", 123), ("netbios-ns", 137),
    ("netbios-dgm", 138), ("netbios-ssn", 139), ("imap", 143), ("snmp", 161), ("snmptrap", 162),
    ("bgp", 179), ("irc", 194), ("ldap", 389), ("https", 443), ("microsoft-ds", 445), ("isakmp", 500),
    ("syslog", 514), ("printer", 515), ("submission", 587), ("ldaps", 636), ("rsync", 873),
    ("imaps", 993), ("pop3s", 995), ("openvpn", 1194), ("radius", 1812), ("radius-acct", 1813),
    ("nfsd", 2049), ("sip", 5060),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceFile;

    fn aliases(xml: &str) -> Aliases {
        let text = format!("<pfsense><aliases>{xml}</aliases></pfsense>");
        let file = SourceFile::new("c", text.as_str());
        let doc = super::super::xml::parse(&text, &file).unwrap();
        let notes = super::super::xml::Notes::of(&doc, Product::PfSense);
        Aliases::read(
            Element::root(&doc, &notes),
            &BTreeMap::from([("known.example".to_owned(), addr::parse("192.0.2.7").unwrap())]),
        )
    }

    fn shown(a: &Addresses) -> Vec<String> {
        addr::display(&a.set)
    }

    const XML: &str = "
        <alias><name>outer</name><type>network</type><address>10.0.0.0/8 !10.1.0.0/16 10.1.2.0/24 inner</address></alias>
        <alias><name>inner</name><type>host</type><address>192.0.2.1 2001:db8::1 outer api.ctl.example known.example 10.9.0.1-10.9.0.5</address></alias>
        <alias><name>ports</name><type>port</type><address>80 8000:8010 more</address></alias>
        <alias><name>more</name><type>port</type><address>443 https</address></alias>
        <alias><name>none</name><type>host</type><address></address></alias>
        <alias><name>noport</name><type>port</type></alias>
        <alias><name>feed</name><type>urltable</type><address>https://feed.example/</address></alias>
        <alias><name>plain</name><address>10.0.0.1 10.0.0.2</address></alias>
        <alias><name>42</name><type>host</type><address>10.0.0.1</address></alias>";

    #[test]
    fn longest_prefix_wins_and_nesting_is_followed_once() {
        let a = aliases(XML).addresses("outer", Family::V4, false).unwrap();
        assert_eq!(
            shown(&a),
            [
                "10.0.0.0/16",
                "10.1.2.0/24",
                "10.2.0.0-10.255.255.255",
                "192.0.2.1",
                "192.0.2.7",
                "2001:db8::1"
            ]
        );
        assert_eq!(a.names, ["api.ctl.example"], "a range is a name that never resolves");
    }

    #[test]
    fn ones_of_a_mask_may_be_anything() {
        let set = |text: &str| wildcard(text).flatten().map(|s| addr::display(&s));
        assert_eq!(set("10.9.0.7/0.0.0.255").unwrap(), ["10.9.0.0/24"]);
        assert_eq!(
            set("172.18.161.2/0.1.2.7").unwrap(),
            ["172.18.161.0/29", "172.18.163.0/29", "172.19.161.0/29", "172.19.163.0/29"]
        );
        assert_eq!(set("2001:db8::5/::ffff").unwrap(), ["2001:db8::/112"]);
        assert_eq!(wildcard("10.0.0.1/255.255.0.255"), Some(None), "too many to list");
        assert_eq!((wildcard("10.9.0.0/33"), wildcard("10.9.0.0/::1")), (None, None));
    }

    #[test]
    fn what_pf_cannot_read_is_found() {
        let a = aliases(
            "<alias><name>a</name><type>network</type><address>10.0.0.0/33</address></alias>
             <alias><name>b</name><type>port</type><address>80;90</address></alias>
             <alias><name>c</name><type>host</type><address>10.0.0.300 10.0.0.1-10.0.0.9 host.example b</address></alias>
             <alias><name>d</name><type>urltable</type><address>https://feed.example/</address></alias>",
        );
        let found: Vec<_> = a.broken().into_iter().map(|b| b.1).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("10.0.0.0/33") && found[1].contains("80;90"), "{found:?}");
    }

    #[test]
    fn ports_and_faults() {
        let a = aliases(XML);
        assert_eq!(a.ports("ports").unwrap().set.ranges(), [(80, 80), (443, 443), (8000, 8010)]);
        assert!(matches!(a.ports("noport"), Err(Fault::Dropped(_))));
        assert!(matches!(a.ports("inner"), Err(Fault::Refused(_))));
        assert!(matches!(a.addresses("ports", Family::V4, false), Err(Fault::Refused(_))));
        assert!(!a.has("42"));
    }

    #[test]
    fn empty_fetched_and_untyped() {
        let a = aliases(XML);
        assert!(a.addresses("none", Family::V4, true).unwrap().set.is_empty());
        assert_eq!(a.addresses("feed", Family::V4, false).unwrap().unknown.len(), 1);
        assert_eq!(a.addresses("feed", Family::V4, true).unwrap().needs.len(), 1);
        assert_eq!(
            shown(&a.addresses("plain", Family::V4, true).unwrap()),
            ["0.0.0.0/0"],
            "a negated list is a union of complements"
        );
    }
}
