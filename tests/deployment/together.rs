//! Machines asked about as sets have the answers that they have one by one, whatever gateways stand between them.

use crate::dump;
use havenlint::finding::{Flow, Report, Requirement, State};
use havenlint::packet::addr;
use havenlint::session::{Options, run};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const SEEDS: u64 = 8;

/// A small generator of numbers (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

/// A deployment with its files, and the addresses of its machines by their numbers.
struct Made {
    files: Vec<(String, String)>,
    addresses: Vec<(usize, String)>,
}

fn make(seed: u64) -> Made {
    let mut n = Numbers(seed * 7919 + 1);
    let sites = 2 + n.below(2) as usize;
    let mut toml = "catalogue = \"safehaven-4\"\nphase = \"operation\"\n".to_owned();
    for s in 0..sites {
        let _ = write!(toml, "[[site]]\nname = \"s{s}\"\ntype = \"manual\"\n");
    }
    let mut made = Made { files: Vec::new(), addresses: Vec::new() };
    for i in 0..(6 + n.below(4) as usize) {
        let (site, host) = (i % sites, 10 + i);
        let role = if i == 0 { "cms" } else { n.pick(&["srn", "srn", "protected-server"]) };
        let _ = write!(toml, "[[node]]\nname = \"n{i}\"\nrole = \"{role}\"\n");
        if !n.one_in(8) {
            let _ = writeln!(toml, "site = \"s{site}\"");
        }
        let networks: &[&str] = match role {
            "cms" => &["service"],
            "srn" => &["service", "replication", "local"],
            _ => &["local"],
        };
        for network in networks {
            let net = ["service", "replication", "local"].iter().position(|w| w == network).unwrap();
            let v4 = format!("10.{site}.{net}.{host}");
            let both = n.one_in(3);
            let v6 = format!("fd00:{site}:{net}::{host}");
            let list = if both { format!("\"{v4}\", \"{v6}\"") } else { format!("\"{v4}\"") };
            let _ = writeln!(toml, "{network} = [{list}]");
            made.addresses.push((i, v4));
            if both {
                made.addresses.push((i, v6));
            }
        }
        if !n.one_in(7) {
            let _ = writeln!(toml, "firewall = [\"n{i}.*\"]");
            made.files.push((format!("n{i}.v4.rules"), host_rules(&mut n, sites)));
        }
    }
    if n.one_in(2) {
        for s in 0..sites {
            gateway(&mut n, &mut toml, &mut made, s, sites, true);
        }
    } else {
        let s = n.below(sites as u64) as usize;
        gateway(&mut n, &mut toml, &mut made, s, sites, false);
    }
    made.files.push(("havenlint.toml".to_owned(), toml));
    made
}

fn some_source(n: &mut Numbers, sites: usize) -> String {
    let site = n.below(sites as u64);
    match n.below(4) {
        0 => format!("10.{site}.0.0/16"),
        1 => format!("10.{site}.{}.0/24", n.below(3)),
        2 => format!("10.{site}.{}.{}/32", n.below(3), 10 + n.below(10)),
        _ => "10.0.0.0/8".to_owned(),
    }
}

fn some_rules(n: &mut Numbers, chain: &str, sites: usize) -> Vec<String> {
    let count = 3 + n.below(8);
    let mut out = vec![format!("{chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")];
    for _ in 0..count {
        let end = n.pick(&["-s", "-d"]);
        let who = some_source(n, sites);
        let service = n.pick(&[
            "-p tcp -m multiport --dports 22,20081,20082",
            "-p udp -m udp --dport 20082",
            "-p tcp -m multiport --dports 80,3260,5671",
            "-p tcp",
            "-p udp",
            "-m recent --name seen --rcheck",
        ]);
        let what = n.pick(&["ACCEPT", "ACCEPT", "ACCEPT", "DROP"]);
        out.push(format!("{chain} {end} {who} {service} -j {what}"));
    }
    out
}

fn host_rules(n: &mut Numbers, sites: usize) -> String {
    let mut rules = some_rules(n, "INPUT", sites);
    rules.extend(some_rules(n, "OUTPUT", sites));
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let policies = [n.pick(&["ACCEPT", "DROP"]), "DROP", n.pick(&["ACCEPT", "ACCEPT", "DROP"])];
    let nat = if n.one_in(6) {
        "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -p tcp -m tcp --dport 22 -j MASQUERADE\nCOMMIT\n"
    } else {
        ""
    };
    nat.to_owned() + &dump(policies, &rules)
}

fn gateway(n: &mut Numbers, toml: &mut String, made: &mut Made, site: usize, sites: usize, sited: bool) {
    let name = format!("gw{site}");
    let _ = write!(toml, "[[gateway]]\nname = \"{name}\"\nfirewall = [\"{name}.v4.rules\"]\n");
    if sited {
        let _ = writeln!(toml, "site = \"s{site}\"");
    }
    let others: Vec<String> =
        (0..sites).filter(|s| *s != site).map(|s| format!("\"10.{s}.0.0/16\"")).collect();
    let wan = if n.one_in(2) { "\"internet\", " } else { "" };
    let inner = match n.below(3) {
        0 => format!("lan = [\"10.{site}.0.0/16\"]"),
        1 => format!("lan = [\"10.{site}.0.0/23\"], dmz = [\"10.{site}.2.0/24\"]"),
        _ => format!(
            "lan = [\"10.{site}.0.0/24\"], repl = [\"10.{site}.1.0/24\"], dmz = [\"10.{site}.2.0/24\"]"
        ),
    };
    let _ = writeln!(toml, "interfaces = {{ {inner}, wan = [{wan}{}] }}", others.join(", "));
    let rules = some_rules(n, "FORWARD", sites);
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let nat = match n.below(3) {
        0 => "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n",
        _ => "",
    };
    made.files.push((
        format!("{name}.v4.rules"),
        nat.to_owned() + &dump(["DROP", n.pick(&["ACCEPT", "DROP"]), "ACCEPT"], &rules),
    ));
}

fn judged(made: &Made, pairs: usize) -> Report {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in &made.files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let config = Some(dir.path().join("havenlint.toml"));
    let options = Options {
        config,
        no_baseline: true,
        pairs: Some(pairs),
        select: vec!["SH4-SRN".to_owned(), "SH4-CMS".to_owned()],
        ..Options::default()
    };
    run(&options).report
}

type Pair<'a> = (&'a str, &'a str, &'a str, usize, usize);

fn holds(texts: &[String], address: &str) -> bool {
    let own = addr::parse(address).unwrap();
    texts.iter().any(|t| addr::parse(t).is_some_and(|s| s.covers(&own)))
}

/// What is said of each pair of machines: the worst of its states.
fn by_pair<'a>(report: &'a Report, addresses: &[(usize, String)]) -> BTreeMap<Pair<'a>, State> {
    let mut out: BTreeMap<Pair<'a>, State> = BTreeMap::new();
    let badness = |s: State| {
        [State::Met, State::NotChecked, State::Undecided, State::Violated].iter().position(|x| *x == s)
    };
    for r in &report.requirements {
        if r.state == State::NotApplicable {
            continue;
        }
        for (i, from) in addresses.iter().filter(|(_, a)| holds(&r.flow.from, a)) {
            for (j, to) in addresses.iter().filter(|(j, a)| holds(&r.flow.to, a) && j != i) {
                let of = |f: &Flow| holds(&f.from, from) && holds(&f.to, to);
                let state = match r.state {
                    State::Violated | State::Undecided if !r.remainder.iter().any(of) => State::Met,
                    other => other,
                };
                let pair = (r.id.as_str(), r.flow.proto.as_str(), r.flow.port.as_str(), *i, *j);
                let worst = out.entry(pair).or_insert(state);
                if badness(state) > badness(*worst) {
                    *worst = state;
                }
            }
        }
    }
    out
}

/// The rows that speak of a pair, in short.
fn rows_of(report: &Report, made: &Made, (id, proto, port, i, j): &Pair<'_>) -> Vec<String> {
    let any = |texts: &[String], n: &usize| made.addresses.iter().any(|(m, a)| m == n && holds(texts, a));
    let about = report.requirements.iter().filter(|r| {
        r.id == *id
            && r.flow.proto == *proto
            && r.flow.port == *port
            && any(&r.flow.from, i)
            && any(&r.flow.to, j)
    });
    let short = |r: &Requirement| {
        let because: Vec<&str> = r.because.iter().map(|b| b.text.as_str()).collect();
        format!("{:?} at {:?} {:?}: {} flows left, {because:?}", r.state, r.at, r.point, r.remainder.len())
    };
    about.map(short).collect()
}

#[test]
fn sets_have_the_answers_of_their_pairs() {
    let mut seen: BTreeMap<State, usize> = BTreeMap::new();
    for seed in 1..=SEEDS {
        let made = make(seed);
        let (sets, pairs) = (judged(&made, 0), judged(&made, usize::MAX));
        let (of_sets, of_pairs) = (by_pair(&sets, &made.addresses), by_pair(&pairs, &made.addresses));
        for (pair, state) in &of_pairs {
            if of_sets.get(pair) != Some(state) {
                let told = |r: &Report| rows_of(r, &made, pair).join("\n  ");
                panic!("seed {seed}: {pair:?}\nin sets:\n  {}\nby itself:\n  {}", told(&sets), told(&pairs));
            }
            *seen.entry(*state).or_default() += 1;
        }
        let more: Vec<_> = of_sets.keys().filter(|p| !of_pairs.contains_key(*p)).collect();
        assert!(more.is_empty(), "seed {seed}: only in sets: {more:?}");
    }
    for state in [State::Met, State::Violated, State::Undecided, State::NotChecked] {
        assert!(seen.get(&state).is_some_and(|n| *n > 20), "too few are {state:?}: {seen:?}");
    }
}
