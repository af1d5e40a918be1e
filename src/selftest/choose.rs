//! Which packets are sent: those at the edges of what the engine answers, of what the rules ask for, and of what the files' words say.
//!
//! The last two are there because an answer that misreads a rule has no edge where the rule has one.

use super::MAX_PACKETS;
use crate::analysis::decide::{Question, decide};
use crate::analysis::{Point, Verdict};
use crate::model::{Firewall, Hook, Term, TermRange};
use crate::packet::{
    ConnState, Family, Field, IntervalSet, Packet, Path, Region, Value, addr, first_state, flags,
    interface_name, interface_prefix, interface_value, proto,
};
use rustc_hash::FxHashSet;
use std::collections::BTreeSet;

/// A packet to send, and what the answer about its region says.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The packet.
    pub packet: Packet,
    /// The verdict of the part that it was taken from; `None` = it was not taken from an answer, or no longer belongs to the part.
    pub answer: Option<Verdict>,
}

/// The interface that no rule names.
pub const OTHER: &str = "hvother";

// Benchmarking networks (RFC 2544, RFC 5180): the devices' own addresses, and no packet's.
pub(super) const OWN_V4: &str = "198.18.0.0/15";
pub(super) const OWN_V6: &str = "2001:2::/48";

/// The interfaces that the rules name, one for each pattern, and one that none names; without `lo`.
pub fn devices(firewalls: &[&Firewall]) -> Vec<String> {
    let mut names = BTreeSet::from([OTHER.to_owned()]);
    for f in firewalls {
        for (field, set) in f.terms.iter().filter_map(|t| f.field_set(t)) {
            if matches!(field, Field::Iif | Field::Oif) {
                let all = [field.complement(&set), set];
                names.extend(all.iter().flat_map(IntervalSet::ranges).filter_map(|r| named(*r)));
            }
        }
        for file in &f.files {
            names.extend(flow_devices(&String::from_utf8_lossy(file.bytes())));
        }
    }
    names.remove("lo");
    names.into_iter().filter(|n| is_device(n)).collect()
}

// A name that a range of names stands for: itself, or one that begins with the pattern.
fn named((lo, hi): (Value, Value)) -> Option<String> {
    let name = interface_name(lo);
    if lo == hi {
        return Some(name);
    }
    let pattern = interface_prefix(&name).ok()?;
    (pattern.ranges() == [(lo, hi)]).then(|| name + "0")
}

fn is_device(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@:+".contains(c);
    (1..16).contains(&name.len()) && name.chars().all(plain) && name != "." && name != ".."
}

// Devices of flow tables, which no rule asks about: `devices = { eth0, eth1 }`.
fn flow_devices(text: &str) -> impl Iterator<Item = String> {
    let lists = text.split("devices").skip(1).filter_map(|rest| {
        let inner = rest.trim_start().strip_prefix('=')?.trim_start().strip_prefix('{')?;
        Some(inner.split('}').next().unwrap_or_default())
    });
    lists
        .flat_map(|l| l.split(','))
        .map(|n| n.trim().trim_matches('"').to_owned())
        .filter(|n| !n.starts_with('$'))
}

/// The packets of a path, no two of one connection; `tracked` = packets of connections that exist can be sent, too.
pub fn packets(point: Point<'_>, path: Path, devices: &[String], tracked: bool, count: usize) -> Vec<Chosen> {
    let count = count.min(MAX_PACKETS);
    let mut choice =
        Choice { point, path, tracked, devices, random: Random(1 + path as u64), seen: FxHashSet::default() };
    let families = Family::ALL.into_iter().filter(|f| point.firewalls.iter().any(|w| w.covers(*f)));
    let families: Vec<Family> = families.collect();
    let each = count.div_ceil(families.len().max(1));
    let mut out = Vec::new();
    for family in families {
        let sendable = choice.sendable(family);
        if sendable.is_empty() {
            continue;
        }
        let of_answer = choice.of_answer_edges(&sendable, each / 2);
        let rest = each - of_answer.len();
        out.extend(of_answer);
        out.extend(choice.of_rule_edges(&sendable, rest));
    }
    out.truncate(count);
    out
}

struct Choice<'a> {
    point: Point<'a>,
    path: Path,
    tracked: bool,
    devices: &'a [String],
    random: Random,
    // Connections of the packets chosen so far.
    seen: FxHashSet<[Value; 5]>,
}

impl Choice<'_> {
    // What can be sent at all: between the devices that are there, with addresses that travel, as no later packet of a connection that
    // does not exist.
    fn sendable(&self, family: Family) -> Region {
        let names = |lo: bool| -> IntervalSet {
            let all = self.devices.iter().map(String::as_str).chain(lo.then_some("lo"));
            all.filter_map(|n| interface_value(n).ok()).collect()
        };
        // A state test before the tracker sees what this box sends to itself as tracked; what is put on `lo` from outside is not.
        let early = |f: &&Firewall| {
            f.base_chains.iter().any(|b| {
                b.hook == Hook::Prerouting && b.priority <= -200 && !f.chain(b.chain).rules.is_empty()
            })
        };
        let lo = self.path == Path::Output || !self.point.firewalls.iter().any(early);
        let (travels, protocols): (_, &[u8]) = match family {
            Family::V4 => (
                ["1.0.0.0-126.255.255.255", "128.0.0.0-223.255.255.255"],
                &[1, 2, 6, 17, 33, 47, 50, 58, 89, 112, 132, 136, 253],
            ),
            Family::V6 => (
                [
                    "100::-1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                    "2000::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                ],
                &[6, 17, 33, 47, 50, 58, 59, 89, 103, 112, 132, 136, 253],
            ),
        };
        let set = |texts: &[&str]| {
            texts.iter().filter_map(|t| addr::parse(t)).fold(IntervalSet::EMPTY, |a, b| a.union(&b))
        };
        let travels = set(&travels).minus(&set(&[OWN_V4, OWN_V6]));
        let mut region = self
            .path
            .packets(family)
            .cut(Field::Proto, &protocols.iter().map(|p| Value::from(*p)).collect())
            .cut(Field::Src, &travels)
            .cut(Field::Dst, &travels);
        if self.path != Path::Output {
            region = region.cut(Field::Mac, &Field::Mac.complement(&IntervalSet::single(0u8)));
            region = region.cut(Field::Iif, &names(self.path == Path::Input && lo));
        } else {
            region = region.with(Field::Mac, IntervalSet::single(0u8));
        }
        if self.path != Path::Input {
            region = region.cut(Field::Oif, &names(self.path == Path::Output && lo));
        }
        if let Some(own) = &self.point.environment.local {
            let others = Field::Src.complement(own);
            region = match self.path {
                Path::Input => region.cut(Field::Dst, own),
                Path::Output => region.cut(Field::Src, own),
                _ => region.cut(Field::Src, &others).cut(Field::Dst, &others),
            };
        }
        region
    }

    // Packets of the parts of the answer about all that can be sent.
    fn of_answer_edges(&mut self, sendable: &Region, count: usize) -> Vec<Chosen> {
        let question = Question {
            point: self.point,
            path: self.path,
            region: sendable.clone(),
            mark: 0,
            delivered_to: None,
        };
        let answer = decide(&question);
        let parts: Vec<(&Region, Verdict)> = [
            (&answer.accepted, Verdict::Accept),
            (&answer.denied, Verdict::Drop),
            (&answer.undecided, Verdict::Undecided),
        ]
        .into_iter()
        .flat_map(|(parts, v)| parts.iter().map(move |p| (&p.region, v)))
        .collect();
        let mut out = Vec::new();
        for n in spread(parts.len(), 2 * count) {
            let (region, verdict) = parts[n];
            if let Some(packet) = self.edge(region).and_then(|v| self.sent(&v, sendable)) {
                let holds = region.contains(&packet) && verdict != Verdict::Undecided;
                out.push(Chosen { packet, answer: holds.then_some(verdict) });
            }
            if out.len() >= count {
                break;
            }
        }
        out
    }

    // Packets at the edges of rules, some with a value that the files' words name instead.
    fn of_rule_edges(&mut self, sendable: &Region, count: usize) -> Vec<Chosen> {
        let hooks = Hook::on(self.path);
        let mut rules: Vec<(&Firewall, TermRange)> = Vec::new();
        for f in self.point.firewalls {
            let reached = f.hooks();
            let here = f.chains.iter().zip(&reached).filter(|(_, at)| at.iter().any(|h| hooks.contains(h)));
            rules.extend(here.flat_map(|(c, _)| &c.rules).map(|r| (*f, r.terms)));
        }
        let words = Words::of(self.point.firewalls);
        let mut out = Vec::new();
        for n in spread(rules.len(), 4 * count) {
            let (firewall, terms) = rules[n];
            let region = self.asked(firewall, terms, sendable.clone());
            let from = if region.is_empty() { sendable } else { &region };
            let Some(mut values) = self.edge(from) else { continue };
            self.nudge(&mut values, &words);
            if let Some(packet) = self.sent(&values, sendable) {
                out.push(Chosen { packet, answer: None });
            }
            if out.len() >= count {
                break;
            }
        }
        out
    }

    // The packets that a rule asks for, as far as its terms are about fields; of alternatives, one.
    fn asked(&mut self, f: &Firewall, terms: TermRange, mut region: Region) -> Region {
        for term in f.terms(terms) {
            if let Term::Any(id) = term {
                let all = &f.alternatives[id.index()];
                if !all.is_empty() {
                    let one = all[self.random.below(all.len())];
                    region = self.asked(f, one, region);
                }
            } else if let Some((field, set)) = f.field_set(term) {
                region = region.cut(field, &set);
            }
        }
        region
    }

    // Every field at the edge of one of its ranges, or between.
    fn edge(&mut self, region: &Region) -> Option<[Value; Field::COUNT]> {
        let mut values = [0; Field::COUNT];
        for f in Field::ALL {
            let ranges = region.get(f).ranges();
            let (lo, hi) = *ranges.get(self.random.below(ranges.len().max(1)))?;
            values[f.index()] = match self.random.below(5) {
                0 | 1 => lo,
                2 | 3 => hi,
                _ => self.random.between(lo, hi),
            };
        }
        Some(values)
    }

    // Perhaps one step beside the edge, or a value from the files' words.
    fn nudge(&mut self, values: &mut [Value; Field::COUNT], words: &Words) {
        let field = [Field::Src, Field::Dst, Field::Sport, Field::Dport][self.random.below(4)];
        let pool = if matches!(field, Field::Src | Field::Dst) { &words.addresses } else { &words.numbers };
        let value = &mut values[field.index()];
        match self.random.below(6) {
            0 => *value = value.wrapping_add(1),
            1 => *value = value.wrapping_sub(1),
            2 | 3 if !pool.is_empty() => {
                let word = pool[self.random.below(pool.len())];
                *value = word.wrapping_add(self.random.below(3) as Value).wrapping_sub(1);
            }
            _ => {}
        }
    }

    // The packet as it can be sent: one that the tracker takes for what it says to be; `None` if it cannot, or its connection has a packet.
    fn sent(&mut self, values: &[Value; Field::COUNT], sendable: &Region) -> Option<Packet> {
        let mut values = *values;
        let lo = interface_value("lo").ok();
        let protocol = values[Field::Proto.index()] as u8;
        let family = addr::family(values[Field::Src.index()]);
        if Some(values[Field::Oif.index()]) == lo {
            // What leaves by lo is for this box.
            values[Field::Dst.index()] = values[Field::Src.index()];
        }
        if Some(values[Field::Iif.index()]) == lo {
            values[Field::Mac.index()] = 0;
        }
        let tracked = self.tracked && matches!(protocol, proto::TCP | proto::UDP);
        let wanted = values[Field::State.index()] == ConnState::Established.value();
        values[Field::State.index()] = if tracked && wanted && Some(values[Field::Iif.index()]) != lo {
            values[Field::TcpFlags.index()] = flags::ACK.into();
            ConnState::Established.value()
        } else {
            let kind = (values[Field::Icmp.index()] >> 8) as u8;
            first_state(family, protocol, values[Field::TcpFlags.index()] as u8, kind).value()
        };
        let packet = Packet::from_values(self.path, &values, 0);
        let region = sendable.with(Field::Mac, Field::Mac.all());
        (region.contains(&packet) && self.seen.insert(connection(&packet))).then_some(packet)
    }
}

/// What a packet's connection is, in both directions.
fn connection(packet: &Packet) -> [Value; 5] {
    let value = |f| packet.get(f).unwrap_or(0);
    let mut ends = [(value(Field::Src), value(Field::Sport)), (value(Field::Dst), value(Field::Dport))];
    ends.sort_unstable();
    [packet.proto().into(), ends[0].0, ends[0].1, ends[1].0, ends[1].1]
}

// `count` numbers below `len`: all of them over and over, or where there are more, every so many.
fn spread(len: usize, count: usize) -> impl Iterator<Item = usize> {
    let count = if len == 0 { 0 } else { count };
    (0..count).map(move |n| if len < count { n % len } else { n * len / count })
}

// Addresses and numbers that the files write, however they were read.
struct Words {
    addresses: Vec<Value>,
    numbers: Vec<Value>,
}

// More words than this of one kind are left out.
const MAX_WORDS: usize = 4096;

impl Words {
    fn of(firewalls: &[&Firewall]) -> Self {
        let (mut addresses, mut numbers) = (BTreeSet::new(), BTreeSet::new());
        for file in firewalls.iter().flat_map(|f| &f.files) {
            let text = String::from_utf8_lossy(file.bytes());
            for word in text.split(|c: char| !(c.is_ascii_hexdigit() || ".:/".contains(c))) {
                if let Ok(number) = word.parse::<u16>() {
                    numbers.insert(Value::from(number));
                } else if let Some(set) = word.contains(['.', ':']).then(|| addr::parse(word)).flatten() {
                    addresses.extend(set.first().into_iter().chain(set.last()));
                }
                if addresses.len().max(numbers.len()) >= MAX_WORDS {
                    break;
                }
            }
        }
        Self { addresses: addresses.into_iter().collect(), numbers: numbers.into_iter().collect() }
    }
}

// The same numbers in every run (splitmix64, Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % (n as u64).max(1)) as usize
    }

    fn between(&mut self, lo: Value, hi: Value) -> Value {
        let value = Value::from(self.next()) << 64 | Value::from(self.next());
        match (hi - lo).checked_add(1) {
            Some(count) => lo + value % count,
            None => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{ReadOptions, by_name};
    use crate::source::SourceFile;

    fn read(dialect: &str, text: &str) -> Firewall {
        let (reader, variant) = by_name(dialect).unwrap();
        let options = ReadOptions { variant: Some(variant), ..ReadOptions::default() };
        reader.read(&[SourceFile::new("ruleset", text.as_bytes())], &options)
    }

    #[test]
    fn every_interface_that_rules_name_is_made() {
        let dump = "*filter\n:INPUT DROP\n:FORWARD DROP\n-A INPUT ! -i eth0 -j ACCEPT\n-A FORWARD -i ppp+ -o br-lan -j ACCEPT\nCOMMIT\n";
        assert_eq!(devices(&[&read("iptables", dump)]), ["br-lan", "eth0", OTHER, "ppp0"]);
        let text = "table inet f {\n flowtable t { hook ingress priority 0; devices = { lan0, \"wan0\" }; }\n chain c { type filter hook input priority 0; iifname { \"lo\", \"vpn*\" } accept; }\n}\n";
        assert_eq!(devices(&[&read("nftables", text)]), [OTHER, "lan0", "vpn0", "wan0"]);
    }

    #[test]
    fn packets_are_at_the_edges_and_of_connections_of_their_own() {
        let dump = "*filter\n:INPUT DROP\n-A INPUT -s 10.1.0.0/24 -p tcp -m tcp --dport 8000:8010 -j ACCEPT\nCOMMIT\n";
        let firewall = read("iptables", dump);
        let environment = crate::analysis::Environment::default();
        let point = Point { firewalls: &[&firewall], environment: &environment };
        let all = packets(point, Path::Input, &devices(&[&firewall]), false, 500);
        assert!(all.len() > 300, "{}", all.len());
        let connections: FxHashSet<_> = all.iter().map(|c| connection(&c.packet)).collect();
        assert_eq!(connections.len(), all.len());
        for (field, edges) in [
            (Field::Dport, ["7999", "8000", "8010", "8011"]),
            (Field::Src, ["10.0.255.255", "10.1.0.0", "10.1.0.255", "10.1.1.0"]),
        ] {
            for edge in edges {
                let value = edge
                    .parse()
                    .map_or_else(|_| addr::parse(edge).unwrap().first().unwrap(), |n: u16| n.into());
                assert!(all.iter().any(|c| c.packet.get(field) == Some(value)), "no packet at {edge}");
            }
        }
        for c in &all {
            let trace = crate::analysis::evaluate::evaluate(point, &c.packet);
            assert!(c.answer.is_none_or(|a| a == trace.verdict), "{}", c.packet);
        }
    }
}
