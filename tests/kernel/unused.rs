//! Rules to which no packet is left, by the kernel: dense random rulesets are loaded, packets are sent at their boundaries, and the counter of
//! each such rule stays at zero.
#![allow(clippy::unwrap_used)]

use crate::support::bench::Bench;
use crate::support::compare::read;
use crate::support::pool::Pool;
use crate::support::random::Random;
use crate::support::{say, skip};
use havenlint::analysis::coverage::{Reason, unused};
use havenlint::packet::{Family, Packet};
use std::collections::BTreeMap;
use std::fmt::Write;

const HOOKS: [&str; 3] = ["INPUT", "FORWARD", "OUTPUT"];

// A rule of few values, so that rules hide others.
fn rule(pool: &Pool, r: &mut Random, users: &[String]) -> String {
    let mut out = String::new();
    for option in ["-s", "-d"] {
        if r.chance(35) {
            let net = pool.net(r);
            let not = if net.ends_with("/0") { "" } else { r.not(10) };
            let _ = write!(out, " {not}{option} {net}");
        }
    }
    if r.chance(60) {
        let protocol = *r.pick(&["tcp", "udp"]);
        let _ = write!(out, " -p {protocol}");
        if r.chance(60) {
            let (lo, hi) = (*r.pick(&[0, 22, 80, 443]), *r.pick(&[443, 8080, 65535]));
            let port = if r.chance(50) { format!("{lo}") } else { format!("{lo}:{hi}") };
            let _ = write!(out, " -m {protocol} {}--dport {port}", r.not(10));
        }
    }
    if r.chance(15) {
        let states =
            *r.pick(&["NEW", "NEW,ESTABLISHED", "RELATED,ESTABLISHED", "INVALID", "NEW,INVALID,UNTRACKED"]);
        let _ = write!(out, " -m conntrack --ctstate {states}");
    }
    match r.below(10) {
        0..4 => out += " -j ACCEPT",
        4..6 => out += " -j DROP",
        6 => out += " -j RETURN",
        7 => {}
        n if users.is_empty() => out += if n == 8 { " -j ACCEPT" } else { " -j DROP" },
        8 => {
            let _ = write!(out, " -g {}", r.pick(users));
        }
        _ => {
            let _ = write!(out, " -j {}", r.pick(users));
        }
    }
    out
}

fn dump(pool: &Pool, r: &mut Random) -> String {
    let users: Vec<String> = (0..r.below(4)).map(|n| format!("user{n}")).collect();
    let mut out = "*filter\n".to_owned();
    for hook in HOOKS {
        let _ = writeln!(out, ":{hook} {} [0:0]", r.pick(&["ACCEPT", "DROP"]));
    }
    users.iter().for_each(|u| out += &format!(":{u} - [0:0]\n"));
    for hook in HOOKS {
        for _ in 0..4 + r.below(16) {
            let _ = writeln!(out, "-A {hook}{}", rule(pool, r, &users));
        }
    }
    for (n, user) in users.iter().enumerate() {
        for _ in 0..2 + r.below(8) {
            let _ = writeln!(out, "-A {user}{}", rule(pool, r, &users[n + 1..]));
        }
    }
    out + "COMMIT\n"
}

// Packets that each rule has counted, by its chain and its number there.
fn counted(saved: &str) -> BTreeMap<(String, usize), u64> {
    let (mut out, mut seen) = (BTreeMap::new(), BTreeMap::<&str, usize>::new());
    for line in saved.lines() {
        let Some((count, rest)) = line.strip_prefix('[').and_then(|l| l.split_once(':')) else { continue };
        let Some((_, rule)) = rest.split_once("-A ") else { continue };
        let chain = rule.split(' ').next().unwrap();
        let number = seen.entry(chain).or_default();
        out.insert((chain.to_owned(), *number), count.parse().unwrap());
        *number += 1;
    }
    out
}

#[test]
fn counters_of_unused_rules_stay_at_zero() {
    let test = "counters_of_unused_rules_stay_at_zero";
    if havenlint::dialect::by_name("iptables").is_none() {
        return skip(test, "the dialect is not there");
    }
    let mut bench = match Bench::start() {
        Ok(bench) => bench,
        Err(why) => return skip(test, &why),
    };
    let (mut asked, mut met, mut by_reason) = (0, 0, BTreeMap::new());
    for n in 0..80 {
        let r = &mut Random::new(Random::seed(), 0x1000 + n);
        let (family, tool, dialect) = match n % 3 {
            0 => (Family::V6, "ip6tables-nft", "ip6tables"),
            _ => (Family::V4, "iptables-nft", "iptables"),
        };
        let pool = Pool::new(family, r);
        let text = dump(&pool, r);
        bench.load(&[(&format!("{tool}-restore"), &text)]).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let f = read(dialect, &text, "");
        assert_eq!(f.rule_count(), text.matches("-A ").count(), "a line is a rule: {text}");
        let packets: Vec<_> = (0..400).map(|_| pool.packet(r, false)).collect();
        bench.judge(&packets);
        let counted = counted(&bench.save(&format!("{tool}-save")));
        assert_eq!(counted.len(), text.matches("-A ").count(), "{text}");
        met += counted.values().filter(|c| **c > 0).count();
        for ((chain, rule), found) in unused(&f) {
            *by_reason.entry(found.reason).or_insert(0) += 1;
            // What such a rule still stops are packets that open no connection.
            if found.reason == Reason::Strays {
                continue;
            }
            asked += 1;
            let place = (f.chain(chain).name.clone(), rule);
            assert_eq!(counted[&place], 0, "rule {rule} of {}: {found:?}\n{text}", place.0);
        }
    }
    say(&format!("{test}: {asked} unused rules, {met} that counted packets; {by_reason:?}"));
    assert!(asked >= 400 && met >= 400, "{asked} unused rules, {met} that counted packets");
}

// Packets to ports that the files of `fixtures/planted` name and to one beside each, from their networks and from elsewhere.
fn around_planted(text: &str) -> Vec<Packet> {
    let sources = ["10.0.9.7", "10.1.2.5", "10.1.0.9", "10.99.0.1", "203.0.113.66", "198.51.100.9"];
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u16>().ok());
    let ports: std::collections::BTreeSet<u16> =
        numbers.flat_map(|n| [n.max(1), n.saturating_add(1)]).collect();
    let one = |source: &str, port: u16, protocol: &str| {
        format!("input eth0 {protocol} {source}:40000 > 10.20.30.1:{port}").parse::<Packet>().unwrap()
    };
    let all = sources.iter().flat_map(|s| ports.iter().map(move |p| (*s, *p)));
    all.flat_map(|(s, p)| ["tcp", "udp"].map(|protocol| one(s, p, protocol))).collect()
}

// Packets that the rule at a line of a file has counted: rules stand in the same order in what the kernel lists.
fn at_line(text: &str, line: usize, listed: &str) -> u64 {
    let is_rule = |l: &&str| l.starts_with("-A ") || l.contains(" counter ");
    let before = text.lines().take(line - 1).filter(is_rule).count();
    let counts: Vec<u64> = listed
        .lines()
        .filter_map(|l| match l.strip_prefix('[') {
            Some(rest) if rest.contains("] -A ") => rest.split(':').next()?.parse().ok(),
            _ => l.split_once("counter packets ")?.1.split(' ').next()?.parse().ok(),
        })
        .collect();
    counts[before]
}

#[test]
fn planted_rules_that_never_decide_count_no_packet() {
    let test = "planted_rules_that_never_decide_count_no_packet";
    let mut bench = match Bench::start() {
        Ok(bench) => bench,
        Err(why) => return skip(test, &why),
    };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/planted");
    let (mut silent, mut busy) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let (load, save) = match path.extension().is_some_and(|e| e == "nft") {
            true => ("nft", "nft"),
            false => ("iptables-nft-restore", "iptables-nft-save"),
        };
        bench.load(&[(load, &text)]).unwrap_or_else(|e| panic!("{e}\n{text}"));
        bench.judge(&around_planted(&text));
        let listed = bench.save(save);
        let expected = text.lines().find_map(|l| l.strip_prefix("# expect: ")).unwrap();
        let mut words = expected.split(' ');
        let (id, line) = (words.next().unwrap(), words.next().unwrap().parse::<usize>().unwrap());
        let counted = at_line(&text, line, &listed);
        match id {
            // These see packets: what is wrong is that others would decide alike, or otherwise.
            "HL-REDUNDANT" | "HL-CONTRADICTED" => busy += u64::from(counted > 0),
            _ => {
                assert_eq!(counted, 0, "{}:\n{listed}", path.display());
                silent += 1;
            }
        }
        for by in words.filter_map(|w| w.parse::<usize>().ok()) {
            assert!(at_line(&text, by, &listed) > 0, "line {by} of {}:\n{listed}", path.display());
        }
    }
    assert_eq!((silent, busy), (4, 2));
}
