//! Seeded inputs for the benchmarks and the growth test, of every dialect and kind: the same number gives the same bytes.
#![allow(dead_code, reason = "each benchmark takes a few of them")]

mod aws;
pub mod deployment;
mod iptables;
mod nftables;
mod pfsense;

pub use iptables::flat;

/// Files of one box by their names, of so many rules (of AWS: groups).
pub type Files = Vec<(&'static str, String)>;

/// A kind of input.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its name: `iptables/deny`.
    pub name: &'static str,
    /// Makes it of so many rules.
    pub make: fn(usize) -> Files,
}

/// All kinds.
pub const KINDS: &[Kind] = &[
    Kind { name: "iptables/flat", make: |n| iptables::dump(flat(n, 7)) },
    Kind { name: "iptables/mixed", make: |n| iptables::dump(iptables::mixed(n, iptables::Mix::Plain)) },
    Kind { name: "iptables/ifaces", make: |n| iptables::dump(iptables::mixed(n, iptables::Mix::Interfaces)) },
    Kind { name: "iptables/opaque", make: |n| iptables::dump(iptables::mixed(n, iptables::Mix::Opaque)) },
    Kind { name: "iptables/ranges", make: |n| iptables::dump(iptables::ranges(n)) },
    Kind { name: "iptables/deny", make: |n| iptables::dump(iptables::deny(n)) },
    Kind { name: "iptables/chains", make: |n| iptables::dump(iptables::chains(n)) },
    Kind { name: "iptables/kube", make: |n| iptables::dump(iptables::kube(n)) },
    Kind { name: "iptables/marks", make: |n| iptables::dump(iptables::marks(n)) },
    Kind { name: "iptables/sets", make: iptables::sets },
    Kind { name: "nftables/text", make: |n| vec![("ruleset.nft", nftables::text(n))] },
    Kind { name: "nftables/json", make: |n| vec![("ruleset.json", nftables::json(n, true))] },
    Kind { name: "nftables/json-one-line", make: |n| vec![("ruleset.json", nftables::json(n, false))] },
    Kind { name: "pfsense/rules", make: |n| vec![("config.xml", pfsense::rules(n))] },
    Kind { name: "pfsense/aliases", make: |n| vec![("config.xml", pfsense::aliases(n))] },
    Kind { name: "aws/groups", make: |n| vec![("groups.json", aws::groups(n))] },
    Kind {
        name: "aws/interfaces",
        make: |n| vec![("groups.json", aws::groups(n)), ("interfaces.json", aws::interfaces(n))],
    },
];

/// A small generator of numbers (xorshift64*): benchmarks need speed and repeatability, not quality.
pub struct Numbers(u64);

impl Numbers {
    /// A seed other than 0.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % u64::from(n)) as u32
    }

    /// One of some words.
    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u32) as usize]
    }

    /// One in so many times.
    pub fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    /// A private or public address.
    pub fn address(&mut self) -> u32 {
        let first = match self.below(5) {
            0 | 1 => 10,
            2 => 172,
            3 => 192,
            _ => 1 + self.below(222),
        };
        first << 24 | self.below(1 << 24)
    }

    /// A prefix from /8 to /32 and its length; hosts are the most common.
    pub fn prefix(&mut self) -> (u32, u32) {
        let length = [8, 12, 16, 16, 20, 24, 24, 28, 32, 32, 32][self.below(11) as usize];
        (self.address() & (u32::MAX << (32 - length)), length)
    }

    /// A port of a service, most of them rare ones.
    pub fn port(&mut self) -> u32 {
        match self.below(6) {
            n @ 0..=4 => [22, 80, 443, 20081, 20082][n as usize],
            _ => 1 + self.below(65_535),
        }
    }
}

/// An address as text.
pub fn dotted(a: u32) -> String {
    std::net::Ipv4Addr::from(a).to_string()
}
