//! Services that are reached, as sets and in words.

use crate::analysis::flow::numbers;
use crate::lint::sensitive_ports::SENSITIVE_PORTS;
use crate::packet::{Family, Field, IntervalSet, Region, Value, proto};

/// Of ports that lie in more gaps than this only the number is told: as ranges they would fill a line.
const MANY_HOLES: usize = 8;

/// Services that a set of public addresses reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Ports of tcp.
    pub tcp: IntervalSet,
    /// Ports of udp.
    pub udp: IntervalSet,
    /// ICMP values of the family's own ICMP.
    pub icmp: IntervalSet,
    /// Other protocols.
    pub other: IntervalSet,
}

impl Reach {
    /// Nothing.
    pub fn is_empty(&self) -> bool {
        [&self.tcp, &self.udp, &self.icmp, &self.other].iter().all(|s| s.is_empty())
    }

    /// What is not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Reach) -> Reach {
        Reach {
            tcp: self.tcp.minus(&other.tcp),
            udp: self.udp.minus(&other.udp),
            icmp: self.icmp.minus(&other.icmp),
            other: self.other.minus(&other.other),
        }
    }

    /// Number of ports, of tcp and of udp.
    pub fn ports(&self) -> u128 {
        self.tcp.count() + self.udp.count()
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Reach) -> Reach {
        Reach {
            tcp: self.tcp.union(&other.tcp),
            udp: self.udp.union(&other.udp),
            icmp: self.icmp.union(&other.icmp),
            other: self.other.union(&other.other),
        }
    }

    /// What the packets of a region of a family go to.
    pub fn of_region(region: &Region, family: Family) -> Reach {
        let own = if family == Family::V4 { proto::ICMP } else { proto::ICMPV6 };
        let known: IntervalSet = [proto::TCP, proto::UDP, own].into_iter().map(Value::from).collect();
        let protocols = region.get(Field::Proto);
        let of = |p: u8, field: Field| match protocols.contains(p.into()) {
            true => region.get(field).clone(),
            false => IntervalSet::EMPTY,
        };
        Reach {
            tcp: of(proto::TCP, Field::Dport),
            udp: of(proto::UDP, Field::Dport),
            icmp: of(own, Field::Icmp),
            other: protocols.minus(&known),
        }
    }

    /// All ports of tcp and udp, and all other protocols.
    pub fn is_everything(&self) -> bool {
        let ports = Field::Dport.all();
        self.tcp == ports && self.udp == ports && self.icmp == Field::Icmp.all() && self.other.count() > 200
    }

    /// Ports of tcp, or of udp.
    pub fn of(&self, protocol: u8) -> &IntervalSet {
        if protocol == proto::TCP { &self.tcp } else { &self.udp }
    }

    /// The sensitive services in it, as `ssh (tcp/22)`.
    pub fn services(&self) -> Vec<String> {
        let named = SENSITIVE_PORTS
            .iter()
            .filter_map(|p| Some(format!("{} ({})", p.name, p.within(self.of(p.protocol))?)));
        named.collect()
    }

    /// All ports of tcp or of udp, or every other protocol.
    pub fn is_broad(&self) -> bool {
        let ports = Field::Dport.all();
        self.tcp == ports || self.udp == ports || self.other.count() > 200
    }

    /// In words: `tcp/22, tcp/80-443, icmp`.
    pub fn words(&self, family: Family) -> String {
        let all = self.list(family);
        if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
    }

    /// The same, each part by itself.
    pub fn list(&self, family: Family) -> Vec<String> {
        let mut out = Vec::new();
        for (name, ports) in [("tcp", &self.tcp), ("udp", &self.udp)] {
            if *ports == Field::Dport.all() {
                out.push(format!("{name} (all ports)"));
                continue;
            }
            let rest = Field::Dport.complement(ports);
            if rest.count() < 1 << 10 && rest.ranges().len() <= 4 {
                out.push(format!("{name} (all ports but {})", numbers(&rest).join(", ")));
                continue;
            }
            if rest.count() < 1 << 12 && rest.ranges().len() > MANY_HOLES {
                out.push(format!("{name} (all but {} of the ports)", rest.count()));
                continue;
            }
            for (lo, hi) in ports.ranges() {
                out.push(if lo == hi { format!("{name}/{lo}") } else { format!("{name}/{lo}-{hi}") });
            }
        }
        let icmp = if family == Family::V4 { "icmp" } else { "icmpv6" };
        if self.icmp == Field::Icmp.all() {
            out.push(icmp.to_owned());
        } else {
            let types: IntervalSet =
                self.icmp.ranges().iter().flat_map(|(a, b)| (a >> 8)..=(b >> 8)).collect();
            out.extend(types.ranges().iter().map(|(a, b)| {
                if a == b { format!("{icmp} type {a}") } else { format!("{icmp} types {a}-{b}") }
            }));
        }
        if self.other.count() > 200 {
            out.push("every other protocol".to_owned());
        } else {
            let protocols = self.other.ranges().iter().flat_map(|(a, b)| *a..=*b);
            out.extend(protocols.map(|p| proto::name(p as u8)));
        }
        out
    }
}

/// `IPv4` or `IPv6`.
pub fn over(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}
