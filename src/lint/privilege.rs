//! What a rule lets in beyond what is needed, in numbers and in words: shared by the checks for least privilege of every dialect.

use super::reach::{Reach, over};
use crate::catalogue::Catalogue;
use crate::catalogue::resolve::{Applies, ResolvedFlow};
use crate::evidence::near::few;
use crate::finding::Part;
use crate::packet::{Family, Field, IntervalSet, Region, Value, addr, proto};
use rustc_hash::FxHashMap;

/// What a rule lets in, and what of it is needed.
#[derive(Debug, Default)]
pub struct Use {
    /// What it lets in.
    pub accepted: Vec<Region>,
    /// What of that is needed.
    pub needed: Vec<Region>,
}

/// The first packets of everything that the catalogue wants to get in to each node, by the node's number.
pub fn needed(catalogue: &Catalogue, flows: &[ResolvedFlow]) -> FxHashMap<usize, Vec<Region>> {
    let mut out: FxHashMap<usize, Vec<Region>> = FxHashMap::default();
    let wanted = flows.iter().filter(|f| f.applies == Applies::Yes);
    for flow in wanted.filter(|f| catalogue.requirements[f.requirement].kind.wants_passage()) {
        let Some(node) = flow.destination.node else { continue };
        for family in Family::ALL {
            let end = |known: Option<&IntervalSet>| match known {
                Some(set) => set.intersect(&family.all()),
                None => family.all(),
            };
            let mut region = Region::all(family)
                .with(Field::Src, end(flow.source.addresses.known()))
                .with(Field::Dst, end(flow.destination.addresses.known()));
            if let Some(p) = flow.protocol {
                region = region.protocol(p).cut(Field::Dport, &flow.ports);
            }
            if !region.is_empty() {
                out.entry(node).or_default().push(region);
            }
        }
    }
    out
}

/// Services of a rule that share their sources.
#[derive(Debug)]
struct Share {
    family: Family,
    services: Reach,
    // All sources that are let in, and those of them that something needs.
    sources: IntervalSet,
    needed: IntervalSet,
}

/// What a rule lets in, by services that share their sources.
pub struct Shares(Vec<Share>);

impl Shares {
    /// What nothing needs, in words, the families apart; empty = all is needed.
    pub fn beyond(&self) -> Vec<String> {
        let both = Family::ALL.iter().all(|f| self.0.iter().any(|s| s.family == *f));
        let mut beyond = Vec::new();
        for family in Family::ALL {
            let of = || self.0.iter().filter(|s| s.family == family);
            let ports = of().map(|s| s.services.ports()).sum();
            let words = of().filter_map(|s| s.beyond(ports));
            beyond.extend(words.map(|w| if both { format!("{w} over {}", over(family)) } else { w }));
        }
        beyond
    }

    /// The packets that nothing needs, to whatever address of the machine.
    pub fn extent(&self) -> Vec<Part> {
        let mut out = Vec::new();
        for s in &self.0 {
            let all = Region::all(s.family).with(Field::Src, s.sources.minus(&s.needed));
            let own_icmp = if s.family == Family::V4 { proto::ICMP } else { proto::ICMPV6 };
            out.extend([
                all.protocol(proto::TCP).with(Field::Dport, s.services.tcp.clone()),
                all.protocol(proto::UDP).with(Field::Dport, s.services.udp.clone()),
                all.protocol(own_icmp).with(Field::Icmp, s.services.icmp.clone()),
                all.with(Field::Proto, s.services.other.clone()),
            ]);
        }
        out.retain(|r| !r.is_empty());
        out.into_iter().map(|r| Part::certain(r, "")).collect()
    }

    /// What is needed, and what is beyond, as details of a finding.
    pub fn details(&self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        for s in &self.0 {
            let from = |set: &IntervalSet| {
                let words = s.services.words(s.family);
                format!("{words} from {} ({})", few(&addr::display(set)), addresses(set))
            };
            if !s.needed.is_empty() {
                out.push(("needed".to_owned(), from(&s.needed)));
            }
            let extra = s.sources.minus(&s.needed);
            if !extra.is_empty() {
                out.push(("beyond".to_owned(), from(&extra)));
            }
        }
        out
    }

    /// How much is beyond: pairs of a source address and a port or protocol, for order by size; 0 = all is needed.
    pub fn excess(&self) -> f64 {
        let size = |s: &Share| {
            let services = s.services.ports() + s.services.icmp.count() + s.services.other.count();
            s.sources.minus(&s.needed).count() as f64 * services as f64
        };
        self.0.iter().map(size).sum()
    }
}

impl Use {
    /// By services that share their sources.
    pub fn shares(&self) -> Shares {
        let mut out = Vec::new();
        for family in Family::ALL {
            let own_icmp = if family == Family::V4 { proto::ICMP } else { proto::ICMPV6 };
            for (protocol, field) in
                [(proto::TCP, Field::Dport), (proto::UDP, Field::Dport), (own_icmp, Field::Icmp)]
            {
                for values in self.segments(protocol, field) {
                    let at = |r: &Region| {
                        let value = values.first().unwrap_or(0);
                        r.get(Field::Proto).contains(protocol.into()) && r.get(field).contains(value)
                    };
                    let mut services = Reach::default();
                    match protocol {
                        proto::TCP => services.tcp = values.clone(),
                        proto::UDP => services.udp = values.clone(),
                        _ => services.icmp = values.clone(),
                    }
                    self.share(family, services, &at, &mut out);
                }
            }
            let apart: IntervalSet =
                [proto::TCP, proto::UDP, own_icmp].into_iter().map(Value::from).collect();
            for others in cut(self.all(), Field::Proto) {
                let others = others.minus(&apart);
                let Some(first) = others.first() else { continue };
                let services = Reach { other: others, ..Reach::default() };
                self.share(family, services, &|r| r.get(Field::Proto).contains(first), &mut out);
            }
        }
        Shares(out)
    }

    fn all(&self) -> impl Iterator<Item = &Region> {
        self.accepted.iter().chain(&self.needed)
    }

    // The values of a field of a protocol.
    fn segments(&self, protocol: u8, field: Field) -> Vec<IntervalSet> {
        cut(self.all().filter(|r| r.get(Field::Proto).contains(protocol.into())), field)
    }

    // Adds services to the share that has the same sources.
    fn share(&self, family: Family, services: Reach, at: &dyn Fn(&Region) -> bool, out: &mut Vec<Share>) {
        let sources = |list: &[Region]| {
            let sets = list.iter().filter(|r| at(r)).flat_map(|r| r.get(Field::Src).ranges());
            IntervalSet::from_ranges(sets.copied()).intersect(&family.all())
        };
        let (sources, needed) = (sources(&self.accepted), sources(&self.needed));
        if sources.is_empty() {
            return;
        }
        match out.iter_mut().find(|s| s.family == family && s.sources == sources && s.needed == needed) {
            Some(share) => share.services = share.services.union(&services),
            None => out.push(Share { family, services, sources, needed }),
        }
    }
}

// The values of a field, cut wherever something begins or ends.
fn cut<'r>(regions: impl Iterator<Item = &'r Region>, field: Field) -> Vec<IntervalSet> {
    let mut cuts: Vec<Value> =
        regions.flat_map(|r| r.get(field).ranges()).flat_map(|(a, b)| [*a, *b + 1]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|w| IntervalSet::range(w[0], w[1] - 1)).collect()
}

impl Share {
    // What nothing needs of an entry that opens so many ports in all, in words; `None` where all is needed.
    fn beyond(&self, all_ports: u128) -> Option<String> {
        let words = self.services.words(self.family);
        let all = self.sources.count();
        if !self.needed.is_empty() {
            let extra = self.sources.minus(&self.needed).count();
            let verb = if extra == 1 { "does" } else { "do" };
            return (extra > 0).then(|| {
                format!("{} of its {} addresses {verb} not need {words}", number(extra), number(all))
            });
        }
        let ports = self.services.ports();
        let only_ports = self.services.icmp.is_empty() && self.services.other.is_empty();
        Some(if only_ports && ports < all_ports {
            format!("no requirement needs {} of its {} ports ({words})", number(ports), number(all_ports))
        } else {
            let from = few(&addr::display(&self.sources));
            format!("no requirement needs {words} from {from} ({})", addresses(&self.sources))
        })
    }
}

fn addresses(set: &IntervalSet) -> String {
    match set.count() {
        1 => "1 address".to_owned(),
        n => format!("{} addresses", number(n)),
    }
}

// In groups of three digits; powers of two where nobody would count digits (IPv6).
fn number(n: u128) -> String {
    if n >= 1 << 40 {
        return if n.is_power_of_two() {
            format!("2^{}", n.ilog2())
        } else {
            format!("about 2^{}", n.ilog2())
        };
    }
    let digits = n.to_string();
    let mut out = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(d);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (n, text) in [(0, "0"), (256, "256"), (16_777_216, "16\u{202f}777\u{202f}216"), (1 << 64, "2^64")]
        {
            assert_eq!(number(n), text);
        }
        assert_eq!(number((1 << 64) + 1), "about 2^64");
    }
}
