//! The output of `ipset save`: sets that rules name with `-m set`.
//!
//! Types and options: ipset(8). Semantics of lookups: `net/netfilter/ipset` of the kernel.

use super::icmp_names;
use super::lexer::{Lines, Words};
use super::values::{self, Address};
use crate::packet::addr::{self, Family};
use crate::packet::{Field, IntervalSet, Value, interface_prefix, interface_value, parse_mac, proto};
use crate::source::{Diagnostic, Origin, SourceFile};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A dimension of a set's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dimension {
    Ip,
    Net,
    Port,
    Mac,
    Iface,
    /// Marks, and what later versions add.
    Other,
}

/// One dimension of an element.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// Addresses, names or hardware addresses.
    Values(IntervalSet),
    /// A protocol, and its ports (or ICMP types) from–to; `None` = all packets of the protocol.
    Port(u8, Option<(u16, u16)>),
}

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub parts: Vec<Part>,
    /// It has no time limit.
    pub permanent: bool,
    /// An exception from wider elements.
    pub nomatch: bool,
}

/// A set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Set {
    pub dimensions: Vec<Dimension>,
    /// Not for sets of ports and hardware addresses, which serve both families.
    pub family: Option<Family>,
    pub elements: Vec<Element>,
    /// `list:set`: names of its members.
    pub members: Vec<String>,
    /// Elements come and go by themselves or by rules.
    pub grows: bool,
    /// Why its contents are not known.
    pub unknown: Option<&'static str>,
    netmask: Option<u8>,
    wildcard: bool,
}

/// All sets of the companions, by name.
#[derive(Debug, Default)]
pub(super) struct Sets {
    pub by_name: FxHashMap<String, Set>,
    /// What is wrong with the companions.
    pub diagnostics: Vec<Diagnostic>,
}

// As many diagnostics of companions are kept.
const MAX_DIAGNOSTICS: usize = 50;

/// Whether a file is the output of `ipset save`.
pub(super) fn is_save(content: &[u8]) -> bool {
    let head = &content[..content.len().min(4096)];
    let first = Lines::new(head)
        .map(|l| head[l.start..l.end].trim_ascii())
        .find(|l| !l.is_empty() && !l.starts_with(b"#"));
    let Some(line) = first else { return false };
    let mut words = line.split(|b| b.is_ascii_whitespace()).filter(|w| !w.is_empty());
    let (command, _name, kind) = (words.next(), words.next(), words.next().unwrap_or_default());
    let known = [&b"hash:"[..], b"bitmap:", b"list:set"].iter().any(|k| kind.starts_with(k));
    matches!(command, Some(b"create" | b"-N")) && known
}

impl Sets {
    /// Reads the companions of a dump. Sets that the dump's own rules change are marked.
    pub(super) fn read(companions: &[Arc<SourceFile>], dump: &[u8]) -> Self {
        let mut sets = Self::default();
        for (i, file) in companions.iter().enumerate() {
            if is_save(file.bytes()) {
                sets.file(i + 1, file.bytes());
            }
        }
        if !sets.by_name.is_empty() {
            for (option, removes) in [(&b"--add-set "[..], false), (b"--del-set ", true)] {
                for at in memchr::memmem::find_iter(dump, option) {
                    let rest = &dump[at + option.len()..];
                    let end = rest.iter().position(|b| b.is_ascii_whitespace()).unwrap_or(rest.len());
                    let name = String::from_utf8_lossy(&rest[..end]);
                    if let Some(set) = sets.by_name.get_mut(name.trim_matches('"')) {
                        set.grows = true;
                        if removes {
                            set.unknown = Some("rules take elements out of the set");
                        }
                    }
                }
            }
        }
        sets
    }

    fn file(&mut self, index: usize, bytes: &[u8]) {
        let mut words = Words::new(bytes);
        // Sets of this file; another file's sets of the same name are another box's, perhaps.
        let mut own: FxHashMap<String, Set> = FxHashMap::default();
        for line in Lines::new(bytes) {
            if line.start == line.end || bytes[line.start] == b'#' {
                continue;
            }
            let read = match words.split(line.start, line.end) {
                Ok(()) => read_line(&words, &mut own),
                Err(_) => Err("a line with too many words".to_owned()),
            };
            if let Err(message) = read
                && self.diagnostics.len() < MAX_DIAGNOSTICS
            {
                let origin = Origin::new(index, line.start, line.end);
                self.diagnostics.push(
                    Diagnostic::error(origin, message)
                        .help("a line of `ipset save` is `create NAME TYPE …` or `add NAME ELEMENT …`"),
                );
            }
        }
        for (name, set) in own {
            match self.by_name.get_mut(&name) {
                Some(other) if *other != set => {
                    other.unknown = Some("several files hold a set of this name, and they differ");
                }
                Some(_) => {}
                None => {
                    self.by_name.insert(name, set);
                }
            }
        }
    }
}

fn read_line(words: &Words<'_>, sets: &mut FxHashMap<String, Set>) -> Result<(), String> {
    if words.len() < 3 {
        return match words.text(0) {
            // Swapping, flushing and the like change what the rest of the file says.
            _ if words.len() == 1 && words.text(0) == b"COMMIT" => Ok(()),
            _ => Err(format!("`{}` is not understood", words.shown(0))),
        };
    }
    let name = words.shown(1);
    match words.text(0) {
        b"create" | b"-N" | b"--create" => {
            sets.insert(name, create(words));
            Ok(())
        }
        b"add" | b"-A" | b"--add" => {
            let Some(set) = sets.get_mut(&name) else {
                return Err(format!("the set {name} is not created above"));
            };
            if set.dimensions.is_empty() && set.unknown.is_none() {
                set.members.push(words.shown(2));
                return Ok(());
            }
            match element(words, set) {
                Ok(e) => set.elements.push(e),
                Err(message) => {
                    set.unknown = set.unknown.or(Some("an element of the set was not understood"));
                    return Err(message);
                }
            }
            Ok(())
        }
        _ => {
            for set in sets.values_mut().filter(|_| words.text(0) != b"COMMIT") {
                set.unknown = Some("a command in the file changes sets");
            }
            Err(format!("the command `{}` is not understood", words.shown(0)))
        }
    }
}

fn create(words: &Words<'_>) -> Set {
    let kind = words.shown(2);
    let (method, dimensions) = kind.split_once(':').unwrap_or((&kind, ""));
    let mut set = Set::default();
    if kind != "list:set" {
        set.dimensions = dimensions
            .split(',')
            .map(|d| match d {
                "ip" => Dimension::Ip,
                "net" => Dimension::Net,
                "port" => Dimension::Port,
                "mac" => Dimension::Mac,
                "iface" => Dimension::Iface,
                _ => Dimension::Other,
            })
            .collect();
        if set.dimensions.contains(&Dimension::Other) || !matches!(method, "hash" | "bitmap") {
            set.unknown = Some("sets of this type are not modelled");
        }
        if set.dimensions.iter().any(|d| matches!(d, Dimension::Ip | Dimension::Net)) {
            set.family = Some(Family::V4);
        }
    }
    for i in 3..words.len() {
        let value = || if i + 1 < words.len() { words.text(i + 1) } else { &[] };
        match words.text(i) {
            b"family" if value() == b"inet6" && set.family.is_some() => set.family = Some(Family::V6),
            b"timeout" => set.grows = true,
            b"netmask" => set.netmask = values::number(value()).and_then(|n| u8::try_from(n).ok()),
            b"bitmask" => set.unknown = Some("sets with a bit mask are not modelled"),
            b"wildcard" => set.wildcard = true,
            _ => {}
        }
    }
    set
}

fn element(words: &Words<'_>, set: &Set) -> Result<Element, String> {
    if set.unknown.is_some() {
        return Ok(Element { parts: Vec::new(), permanent: false, nomatch: false });
    }
    let text = words.shown(2);
    let wrong = || format!("`{text}` is no element of this set");
    let mut parts = Vec::with_capacity(set.dimensions.len());
    let mut written = text.splitn(set.dimensions.len(), ',');
    for dimension in &set.dimensions {
        let part = match (written.next(), dimension) {
            (Some(t), _) => part(t, *dimension, set).ok_or_else(wrong)?,
            // A bitmap of addresses and hardware addresses may leave the latter open until first use.
            (None, Dimension::Mac) => Part::Values(Field::Mac.all()),
            (None, _) => return Err(wrong()),
        };
        parts.push(part);
    }
    let mut e = Element { parts, permanent: true, nomatch: false };
    let mut i = 3;
    while i < words.len() {
        match words.text(i) {
            b"timeout" => {
                e.permanent = i + 1 < words.len() && words.text(i + 1) == b"0";
                i += 1;
            }
            b"nomatch" => e.nomatch = true,
            b"wildcard" => {
                for (p, d) in e.parts.iter_mut().zip(&set.dimensions) {
                    if *d == Dimension::Iface
                        && let Part::Values(v) = p
                        && let Some(name) = v.first().map(crate::packet::interface_name)
                    {
                        *v = interface_prefix(&name).unwrap_or_default();
                    }
                }
            }
            b"comment" => i += 1,
            _ => {}
        }
        i += 1;
    }
    if set.grows && !words_have_timeout(words) {
        // A set with a default time limit: an element without its own has the default.
        e.permanent = false;
    }
    Ok(e)
}

fn words_have_timeout(words: &Words<'_>) -> bool {
    (3..words.len()).any(|i| words.text(i) == b"timeout")
}

fn part(text: &str, dimension: Dimension, set: &Set) -> Option<Part> {
    let v6 = set.family == Some(Family::V6);
    match dimension {
        Dimension::Ip | Dimension::Net => addresses(text, v6, set.netmask).map(Part::Values),
        Dimension::Mac => parse_mac(text).map(|m| Part::Values(IntervalSet::single(m))),
        Dimension::Iface => {
            // `physdev:` asks for a port of a bridge.
            let value = interface_value(text).ok().filter(|_| !text.starts_with("physdev:"))?;
            Some(Part::Values(IntervalSet::single(value)))
        }
        Dimension::Port => port(text, set.dimensions.len() == 1),
        Dimension::Other => None,
    }
}

fn addresses(text: &str, v6: bool, netmask: Option<u8>) -> Option<IntervalSet> {
    if let Some((lo, hi)) = text.split_once('-') {
        let lo = values::single(lo.as_bytes(), v6)?;
        return Some(IntervalSet::range(lo, values::single(hi.as_bytes(), v6)?));
    }
    let masked;
    let text = match netmask {
        Some(n) if !text.contains('/') => {
            masked = format!("{text}/{n}");
            &masked
        }
        _ => text,
    };
    match values::address(text.as_bytes(), v6).ok()? {
        Address::V4(lo, hi) => Some(IntervalSet::range(addr::v4(lo), addr::v4(hi))),
        Address::Set(set) => Some(set),
        _ => None,
    }
}

// `[PROTO:]PORT[-PORT]`; of ICMP `icmp:TYPE/CODE` or a name; of protocols without ports `PROTO:0`.
// A bitmap of ports holds bare numbers and is asked for tcp and udp only: protocol 0 stands for both.
fn port(text: &str, bitmap: bool) -> Option<Part> {
    let (p, ports) = text.split_once(':').unwrap_or((if bitmap { "0" } else { "tcp" }, text));
    let p = values::protocol(p.as_bytes())?;
    let range = match p {
        proto::ICMP | proto::ICMPV6 => {
            let names = if p == proto::ICMP { icmp_names::ICMP } else { icmp_names::ICMPV6 };
            // A name without a code stands for code 0 (ipset's own tables).
            let (lo, hi) = icmp_names::parse(ports.as_bytes(), names)?;
            Some((lo, if ports.contains('/') { hi } else { lo }))
        }
        0 | proto::TCP | proto::UDP | proto::SCTP | proto::UDPLITE => {
            let (lo, hi) = ports.split_once('-').unwrap_or((ports, ports));
            let number = |t: &str| values::ports(t.as_bytes()).ok().filter(|r| r.0 == r.1).map(|r| r.0);
            Some((number(lo)?, number(hi)?))
        }
        _ => None,
    };
    Some(Part::Port(p, range))
}

/// Highest value of a part, to order elements.
pub(super) fn width(part: &Part) -> Value {
    match part {
        Part::Values(v) => v.ranges().first().map_or(0, |(lo, hi)| hi - lo),
        Part::Port(..) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Sets {
        Sets::read(&[SourceFile::new("sets", text)], b"")
    }

    #[test]
    fn what_ipset_prints_is_read() {
        let sets = read(
            "create a hash:ip family inet hashsize 1024 maxelem 65536 timeout 300 bucketsize 12 initval 0xe604e53a\n\
             add a 10.0.0.2 timeout 0\nadd a 10.0.0.1 timeout 299\n\
             create b hash:net,port family inet6 comment\nadd b 2001:db8::/32,tcp:80 comment \"hi there\"\n\
             create d bitmap:port range 0-1024\nadd d 22\n\
             create f hash:ip,port,net family inet\nadd f 10.0.0.1,icmp:echo-request,10.0.0.0/8\n\
             add f 10.0.0.1,gre:0,10.0.0.0/8\ncreate e list:set size 8\nadd e a\n",
        );
        assert_eq!(sets.diagnostics, []);
        let a = &sets.by_name["a"];
        assert!(a.grows);
        assert_eq!(a.elements.iter().map(|e| e.permanent).collect::<Vec<_>>(), [true, false]);
        assert_eq!(sets.by_name["b"].elements[0].parts[1], Part::Port(6, Some((80, 80))));
        assert_eq!(sets.by_name["d"].elements[0].parts, [Part::Port(0, Some((22, 22)))]);
        assert_eq!(sets.by_name["f"].elements[0].parts[1], Part::Port(1, Some((0x800, 0x800))));
        assert_eq!(sets.by_name["f"].elements[1].parts[1], Part::Port(47, None));
        assert_eq!(sets.by_name["e"].members, ["a"]);
    }

    #[test]
    fn what_is_wrong_is_said_and_makes_the_set_unknown() {
        let sets = read("create a hash:ip\nadd a ten\nadd b 10.0.0.1\nflush a\n");
        assert_eq!(sets.diagnostics.len(), 3);
        assert!(sets.by_name["a"].unknown.is_some());
    }

    #[test]
    fn companions_are_known_by_their_content() {
        assert!(is_save(b"# made by hand\ncreate a hash:ip family inet\n"));
        assert!(!is_save(b"create a new world\n"));
    }
}
