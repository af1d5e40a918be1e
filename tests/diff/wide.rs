//! Changes that touch nearly every packet: a policy flipped, a list in another order, a broad rule in front. Each is told exactly, as the one-packet
//! evaluator has it.
#![allow(clippy::unwrap_used)]

use crate::random::{Totals, judge};
use crate::support::compare::read;
use crate::support::random::Random;
use crate::support::say;
use havenlint::analysis::Environment;
use havenlint::packet::{Field, Packet, Path, interface_value};

const RULES: usize = 300;
const PORTS: [u32; 6] = [22, 80, 443, 3306, 20081, 20082];

// Prefixes that nest, as lists that grew over years have them.
fn prefix(r: &mut Random) -> (u32, u32) {
    let length = *r.pick(&[8, 12, 16, 16, 20, 24, 24, 28, 32, 32, 32]);
    let address = (10 << 24) | (r.bits() as u32 & 0xff_ffff);
    (address & (u32::MAX << (32 - length)), length)
}

fn text((address, length): (u32, u32)) -> String {
    format!("{}/{length}", std::net::Ipv4Addr::from(address))
}

fn rule(r: &mut Random) -> String {
    let mut out = "-A INPUT".to_owned();
    if r.chance(70) {
        out += &format!(" -s {}", text(prefix(r)));
    }
    if r.chance(40) {
        out += &format!(" -d {}", text(prefix(r)));
    }
    let protocol = *r.pick(&["tcp", "tcp", "udp"]);
    out += &format!(" -p {protocol} -m {protocol}");
    let port = if r.chance(80) { *r.pick(&PORTS) } else { 1 + r.below(65_000) as u32 };
    out += &match r.below(5) {
        0 => format!(" --dport {port}:{}", port + 500),
        _ => format!(" --dport {port}"),
    };
    if r.chance(20) {
        out += " -m conntrack --ctstate NEW";
    }
    out + if r.chance(30) { " -j DROP" } else { " -j ACCEPT" }
}

fn dump(policy: &str, rules: &[String]) -> String {
    format!(
        "*filter\n:INPUT {policy} [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n{}\nCOMMIT\n",
        rules.join("\n")
    )
}

// Packets near the values of some rules: hosts inside their prefixes, ports at their ends.
fn packets(rules: &[String], r: &mut Random) -> Vec<Packet> {
    let host = |rule: &str, option: &str, r: &mut Random| {
        let any = 10 << 24 | (r.bits() as u32 & 0xff_ffff);
        let Some((_, rest)) = rule.split_once(option) else { return any };
        let (address, length) = rest.split(' ').next().unwrap().split_once('/').unwrap();
        let address = u32::from(address.parse::<std::net::Ipv4Addr>().unwrap());
        let length: u32 = length.parse().unwrap();
        address | (any & u32::MAX.checked_shr(length).unwrap_or(0))
    };
    let v4 = |a: u32| havenlint::packet::addr::value(std::net::Ipv4Addr::from(a).into());
    (0..200)
        .map(|_| {
            let one = r.pick(rules).clone();
            let mut values = [0; Field::COUNT];
            values[Field::Src.index()] = v4(host(&one, "-s ", r));
            values[Field::Dst.index()] = v4(host(&one, "-d ", r));
            values[Field::Proto.index()] = if one.contains("-p udp") { 17 } else { 6 };
            let port: u32 =
                one.split_once("--dport ").unwrap().1.split([' ', ':']).next().unwrap().parse().unwrap();
            values[Field::Dport.index()] = (port + r.below(2) as u32).into();
            values[Field::Sport.index()] = 40_000;
            values[Field::TcpFlags.index()] = if r.chance(80) { 2 } else { 16 };
            values[Field::State.index()] = *r.pick(&[0, 0, 1, 3]);
            values[Field::Iif.index()] = interface_value("eth0").unwrap();
            Packet::from_values(Path::Input, &values, 0)
        })
        .collect()
}

#[test]
fn changes_that_touch_nearly_every_packet_are_told_exactly() {
    let mut totals = Totals::default();
    for n in 0..3 {
        let mut r = Random::new(Random::seed(), 7_000 + n);
        let rules: Vec<String> = (0..RULES).map(|_| rule(&mut r)).collect();
        let mut shuffled = rules.clone();
        for i in (1..shuffled.len()).rev() {
            shuffled.swap(i, r.below(i + 1));
        }
        let mut broad = rules.clone();
        broad.insert(0, "-A INPUT -s 10.0.0.0/9 -p tcp -m tcp --dport 1:30000 -j DROP".to_owned());
        let old = read("iptables", &dump("DROP", &rules), "");
        let edits = [
            ("flipped", dump("ACCEPT", &rules)),
            ("shuffled", dump("DROP", &shuffled)),
            ("broad", dump("DROP", &broad)),
        ];
        for (name, new) in edits {
            let new = read("iptables", &new, "");
            let packets = packets(&rules, &mut r);
            if let Err(problem) = judge([&old, &new], &Environment::default(), &packets, &mut totals) {
                panic!("{name}, ruleset {n}: {problem}");
            }
        }
    }
    say(&format!("wide changes: {totals:?}"));
    assert_eq!(totals.undecided, 0, "{totals:?}");
    assert!(totals.certain * 10 >= totals.packets, "edits change too little: {totals:?}");
}
