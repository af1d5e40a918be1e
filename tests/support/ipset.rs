//! Random scripts for `ipset restore`.

use super::pool::Pool;
use super::random::Random;
use havenlint::packet::{Family, addr, mac_text};
use std::fmt::Write;

/// A script, and the sets that are there at its end, each with its dimensions.
#[derive(Debug, Default, Clone)]
pub struct Script {
    /// The script.
    pub text: String,
    /// Names and dimensions: of lists those of their members.
    pub names: Vec<(String, Vec<&'static str>)>,
}

// Types that a kernel without every module has too.
const TYPES: [&[&str]; 10] = [
    &["ip"],
    &["net"],
    &["net"],
    &["ip", "port"],
    &["net", "port"],
    &["ip", "port", "ip"],
    &["ip", "port", "net"],
    &["net", "iface"],
    &["net", "iface"],
    &["port"],
];

/// A random script.
pub fn script(pool: &Pool, r: &mut Random) -> Script {
    let mut out = Script::default();
    for n in 0..1 + r.below(4) {
        one(pool, r, &format!("s{n}"), &mut out);
    }
    if r.chance(40) {
        let (member, dimensions) = r.pick(&out.names).clone();
        let alike: Vec<String> =
            out.names.iter().filter(|(_, d)| d.len() == dimensions.len()).map(|(n, _)| n.clone()).collect();
        writeln!(out.text, "create list list:set").unwrap();
        for name in alike {
            writeln!(out.text, "add list {name}").unwrap();
        }
        if !dimensions.contains(&"mac") && !member.is_empty() {
            out.names.push(("list".to_owned(), dimensions));
        }
    }
    out
}

fn one(pool: &Pool, r: &mut Random, name: &str, out: &mut Script) {
    if pool.family == Family::V4 && r.chance(12) {
        return bitmap(pool, r, name, out);
    }
    let dimensions = *r.pick(&TYPES);
    let family = if pool.family == Family::V4 { "inet" } else { "inet6" };
    let head = match dimensions {
        ["port"] => "bitmap:port range 0-65535".to_owned(),
        d => format!("hash:{} family {family}", d.join(",")),
    };
    writeln!(out.text, "create {name} {head}").unwrap();
    let mut added = Vec::new();
    for _ in 0..1 + r.below(7) {
        let element = element(pool, r, dimensions);
        let except = if dimensions.contains(&"net") && r.chance(30) { " nomatch" } else { "" };
        writeln!(out.text, "add {name} {element}{except} -exist").unwrap();
        added.push(element);
    }
    if r.chance(30) {
        writeln!(out.text, "del {name} {} -exist", r.pick(&added)).unwrap();
    }
    if r.chance(15) {
        // As those who fill a set do it: beside, then at once.
        writeln!(out.text, "create {name}-new {head}\nadd {name}-new {}", element(pool, r, dimensions))
            .unwrap();
        writeln!(out.text, "swap {name} {name}-new\ndestroy {name}-new").unwrap();
    }
    out.names.push((name.to_owned(), dimensions.to_vec()));
}

fn element(pool: &Pool, r: &mut Random, dimensions: &[&str]) -> String {
    let parts: Vec<String> = dimensions
        .iter()
        .map(|d| match *d {
            "ip" => addr::addr(pool.address(r)).to_string(),
            "net" => loop {
                // A network of everything is refused where there is no interface.
                let net = pool.net(r);
                if !net.ends_with("/0") || dimensions.contains(&"iface") {
                    break net;
                }
            },
            "iface" => (*r.pick(&pool.interfaces)).to_owned(),
            _ if dimensions.len() == 1 => pool.port(r).to_string(),
            _ => port(pool, r),
        })
        .collect();
    parts.join(",")
}

fn port(pool: &Pool, r: &mut Random) -> String {
    let (lo, hi) = pool.ports(r);
    match r.below(8) {
        0 => format!("udp:{lo}"),
        1 if pool.family == Family::V4 => format!("icmp:{}/0", r.pick(&pool.icmp)),
        1 => format!("icmpv6:{}/0", r.pick(&pool.icmp)),
        2 => "89:0".to_owned(),
        3 if hi - lo < 100 => format!("tcp:{lo}-{hi}"),
        4 => format!("sctp:{lo}"),
        _ => format!("tcp:{lo}"),
    }
}

fn bitmap(pool: &Pool, r: &mut Random, name: &str, out: &mut Script) {
    let macs = r.chance(60);
    let kind = if macs { "bitmap:ip,mac" } else { "bitmap:ip" };
    writeln!(out.text, "create {name} {kind} range 10.20.30.0/24").unwrap();
    for _ in 0..1 + r.below(5) {
        let host = *r.pick(&[0, 1, 63, 64, 65, 77, 78, 127, 128, 254, 255]);
        let mac = if macs { format!(",{}", mac_text((*r.pick(&pool.macs)).into())) } else { String::new() };
        writeln!(out.text, "add {name} 10.20.30.{host}{mac} -exist").unwrap();
    }
    out.names.push((name.to_owned(), if macs { vec!["ip", "mac"] } else { vec!["ip"] }));
}
