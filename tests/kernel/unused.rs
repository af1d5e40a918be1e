//! Rules to which no packet is left, by the kernel: dense random rulesets are loaded, packets are sent at their boundaries, and the counter of
//! each such rule stays at zero.
#![allow(clippy::unwrap_used)]

use crate::support::bench::Bench;
use crate::support::compare::read;
use crate::support::pool::Pool;
use crate::support::random::Random;
use crate::support::{say, skip};
use havenlint::analysis::coverage::{Reason, unused};
use havenlint::packet::Family;
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
