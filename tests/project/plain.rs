//! Firewalls as common tools set them up, and nothing else: their answers are seldom undecided.

use super::random::Random;
use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::{ReadOptions, detect};
use havenlint::packet::{Packet, addr};
use havenlint::source::SourceFile;
use std::collections::BTreeSet;
use std::path::Path;

const PACKETS: usize = 2000;

// A ruleset, the box's own addresses, and its interfaces.
const PLAIN: [(&str, &str, &[&str]); 8] = [
    ("iptables/docker/rules.v4", "10.40.0.10", &["eth0", "docker0", "br-5e1f0c2a9d44", "lo"]),
    ("iptables/firewalld/rules.v4", "10.1.0.10", &["eth0", "eth1", "eth2", "lo"]),
    ("iptables/ufw/rules.v4", "10.1.0.10", &["eth0", "eth1", "lo"]),
    ("nftables/container-host/ruleset.nft", "10.1.0.10", &["eth0", "docker0", "lo"]),
    ("nftables/firewalld/ruleset.nft", "10.1.0.10", &["eth0", "eth1", "lo"]),
    ("nftables/nixos/ruleset.nft", "10.1.0.10", &["eth0", "lan0", "vpn0", "lo"]),
    ("nftables/openwrt/ruleset.nft", "192.168.40.1", &["br-lan", "br-guest", "wan0", "lo"]),
    ("nftables/ufw/ruleset.nft", "10.1.0.10", &["eth0", "eth1", "lo"]),
];

#[test]
fn plain_firewalls_are_seldom_undecided() {
    let mut often = Vec::new();
    for (n, (file, own, interfaces)) in PLAIN.iter().enumerate() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(file);
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let (dialect, _) = detect(&bytes).unwrap();
        let firewall = dialect.read(&[SourceFile::new(*file, bytes)], &ReadOptions::default());
        let environment = Environment { local: addr::parse(own), ..Environment::default() };
        let point = Point { firewalls: &[&firewall], environment: &environment };
        let mut r = Random::new(20_081, n as u64);
        let (addresses, ports) = values(&text);
        let mut undecided = 0;
        let mut why = BTreeSet::new();
        for _ in 0..PACKETS {
            let trace = evaluate(point, &packet(&mut r, own, interfaces, &addresses, &ports));
            if trace.verdict == Verdict::Undecided {
                undecided += 1;
                why.extend(trace.because.into_iter().map(|b| b.text));
            }
        }
        println!("{file}: {undecided} of {PACKETS} undecided {why:?}");
        if undecided * 10 >= PACKETS {
            often.push(format!("{file}: {undecided} of {PACKETS} undecided: {why:?}"));
        }
    }
    assert!(often.is_empty(), "{}", often.join("\n"));
}

// Addresses and ports that a ruleset names, and some that it does not.
fn values(text: &str) -> (Vec<String>, Vec<u16>) {
    let mut addresses = BTreeSet::from(["198.51.100.7".to_owned(), "10.77.0.9".to_owned()]);
    let mut ports = BTreeSet::from([22, 80, 443, 20081, 40000]);
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.') {
        match word.parse::<u16>() {
            Ok(port) => drop(ports.insert(port)),
            Err(_) if word.matches('.').count() == 3 && addr::parse(word).is_some() => {
                addresses.insert(word.to_owned());
            }
            Err(_) => {}
        }
    }
    (addresses.into_iter().collect(), ports.into_iter().collect())
}

// Nine of ten open a connection.
fn packet(r: &mut Random, own: &str, interfaces: &[&str], addresses: &[String], ports: &[u16]) -> Packet {
    let mut one = |n: usize| r.below(n);
    let (src, dst) = (&addresses[one(addresses.len())], &addresses[one(addresses.len())]);
    let (from, to) = (interfaces[one(interfaces.len() - 1)], interfaces[one(interfaces.len() - 1)]);
    let proto = ["tcp", "tcp", "udp", "icmp"][one(4)];
    let (src, dst, way) = match one(3) {
        0 => (src.as_str(), own, format!("input {from}")),
        1 => (own, dst.as_str(), format!("output {to}")),
        _ => (src.as_str(), dst.as_str(), format!("forward {from}>{to}")),
    };
    let state = if one(10) == 0 { " established" } else { "" };
    let rest =
        if proto == "icmp" { format!("{dst} type 8") } else { format!("{dst}:{}", ports[one(ports.len())]) };
    let text = format!("{way} {proto} {src} > {rest}{state}");
    text.parse().unwrap_or_else(|e| panic!("{text}: {e:?}"))
}
