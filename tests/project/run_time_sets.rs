//! What checks say of rules holds whatever a set contains that may be filled while the box runs.
//!
//! Random rulesets are read twice, with the same rules and other elements in their sets, members in their groups, prefixes in their lists. No
//! check may say of one that a rule is a copy, is covered, never matches or is never used, and not of the other: the text of the rules is the same.
//! A packet that shows that an accept comes to nothing (HL-NFT-UNDONE) shows so of both.

use super::random::Random;
use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::{Dialect, ReadOptions, aws::Aws, iptables::Iptables, nftables::Nftables};
use havenlint::finding::Finding;
use havenlint::lint::registry::{Subject, run};
use havenlint::model::Firewall;
use havenlint::packet::Packet;
use havenlint::source::SourceFile;
use std::collections::{BTreeMap, BTreeSet};

/// Checks whose findings are about what rules and sets are to each other.
const CLAIMS: [&str; 8] = [
    "HL-AWS-COVERED",
    "HL-DUPLICATE",
    "HL-EMPTY-CHAIN",
    "HL-NEVER-MATCHES",
    "HL-NFT-AFTER-VERDICT",
    "HL-NFT-POLICY-TWICE",
    "HL-NFT-SET-UNUSED",
    "HL-UNUSED-CHAIN",
];

/// Checks that say that a rule decides nothing: without its line no packet fares otherwise.
const IDLE: [&str; 3] = ["HL-REDUNDANT", "HL-SHADOWED", "HL-UNREACHABLE"];

const PACKETS: [&str; 8] = [
    "input eth0 tcp 10.1.2.3:40000 > 192.0.2.7:22",
    "input eth0 tcp 10.9.2.3:40000 > 192.0.2.99:443",
    "input eth0 tcp 192.0.2.7:40000 > 198.51.100.1:22",
    "input eth0 tcp 198.51.100.9:40000 > 198.51.100.1:8080",
    "input eth0 tcp 203.0.113.9:40000 > 192.0.2.7:443",
    "input eth0 udp 203.0.113.77:40000 > 198.51.100.1:53",
    "ingress tcp 10.1.2.3:40000 > 10.4.0.9:22",
    "ingress tcp 172.31.4.11:40000 > 10.4.0.9:443",
];

const ROUNDS: u64 = 150;

// What is said of rules, and packets whose acceptance is said to come to nothing.
struct Said {
    claims: BTreeSet<String>,
    stopped: Vec<Packet>,
    idle: BTreeSet<u32>,
    firewall: Firewall,
}

fn verdicts(dialect: &dyn Dialect, files: &[(&str, String)], without: Option<u32>) -> Vec<Verdict> {
    let line =
        |n: usize, text: &str| if Some(n as u32 + 1) == without { String::new() } else { text.to_owned() };
    let files: Vec<_> = files
        .iter()
        .enumerate()
        .map(|(at, (name, text))| match at {
            0 => SourceFile::new(
                *name,
                text.lines().enumerate().map(|(n, t)| line(n, t) + "\n").collect::<String>(),
            ),
            _ => SourceFile::new(*name, text.as_str()),
        })
        .collect();
    let f = dialect.read(&files, &ReadOptions { complete: true, ..ReadOptions::default() });
    let (firewalls, environment) = ([&f], Environment::default());
    let point = Point { firewalls: &firewalls, environment: &environment };
    PACKETS.iter().map(|p| evaluate(point, &p.parse().unwrap()).verdict).collect()
}

impl Said {
    fn stops(&self, packet: &Packet) -> bool {
        let environment = Environment::default();
        let firewalls = [&self.firewall];
        let point = Point { firewalls: &firewalls, environment: &environment };
        evaluate(point, packet).verdict == Verdict::Drop
    }
}

fn said(dialect: &dyn Dialect, files: &[(&str, String)]) -> Said {
    let files: Vec<_> = files.iter().map(|(name, text)| SourceFile::new(*name, text.as_str())).collect();
    let options = ReadOptions { complete: true, ..ReadOptions::default() };
    let f: Firewall = dialect.read(&files, &options);
    let wrong = f.diagnostics.iter().find(|d| d.severity == havenlint::source::Severity::Error);
    assert!(wrong.is_none(), "{wrong:?}: {:?}", files.iter().map(|f| f.bytes()).map(String::from_utf8_lossy));
    let environment = Environment::default();
    let beside = [&f];
    let mut found = Vec::new();
    run(&Subject::new(&f, &beside, &environment, "box"), &mut found);
    let undone = found.iter().filter(|x| x.rule == "HL-NFT-UNDONE");
    let stopped = undone.filter_map(|x| x.witness.as_deref().cloned()).collect();
    let of_line = |x: &&Finding| IDLE.contains(&x.rule.as_str()) && !x.location.text.contains("vmap");
    let idle = found.iter().filter(of_line).map(|x| x.location.line).collect();
    // The elements of a map are rules as long as they are there.
    found.retain(|x| CLAIMS.contains(&x.rule.as_str()) && !x.location.text.contains("vmap"));
    let shown = |x: Finding| format!("{} {}:{}", x.rule, x.location.path, x.location.line);
    Said { claims: found.into_iter().map(shown).collect(), stopped, idle, firewall: f }
}

// Reads the files of two contents of each round; gives how often each check spoke.
fn compare(
    dialect: &dyn Dialect,
    mut write: impl FnMut(&mut Random, [&mut Random; 2]) -> [Vec<(&'static str, String)>; 2],
) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for round in 0..ROUNDS {
        let [mut rules, mut one, mut other] = [0, 1, 2].map(|s| Random::new(20_081 + round, s));
        let [a, b] = write(&mut rules, [&mut one, &mut other]);
        let (x, y) = (said(dialect, &a), said(dialect, &b));
        let told = || format!("round {round}: the same rules\n{}\nand\n{}", shown(&a), shown(&b));
        assert_eq!(x.claims, y.claims, "{}", told());
        for (packet, other) in x.stopped.iter().map(|p| (p, &y)).chain(y.stopped.iter().map(|p| (p, &x))) {
            assert!(other.stops(packet), "{packet} passes: {}", told());
            *counts.entry("HL-NFT-UNDONE".to_owned()).or_insert(0) += 1;
        }
        // JSON of AWS has no lines to take out.
        for (idle, files) in
            [(&x.idle, &b), (&y.idle, &a)].into_iter().filter(|i| !i.1[0].0.ends_with(".json"))
        {
            for line in idle {
                let changes = verdicts(dialect, files, None) != verdicts(dialect, files, Some(*line));
                assert!(!changes, "line {line} decides: {}", told());
                *counts.entry("idle".to_owned()).or_insert(0) += 1;
            }
        }
        for claim in x.claims {
            *counts.entry(claim.split(' ').next().unwrap().to_owned()).or_insert(0) += 1;
        }
    }
    counts
}

fn shown(files: &[(&str, String)]) -> String {
    files.iter().map(|(_, t)| t.as_str()).collect::<Vec<_>>().join("\n")
}

fn pick<'x>(r: &mut Random, from: &[&'x str]) -> &'x str {
    from[r.below(from.len())]
}

const NETS: [&str; 6] =
    ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "198.51.100.0/24", "203.0.113.9", "0.0.0.0/0"];

fn nets(r: &mut Random) -> Vec<&'static str> {
    let mut out: Vec<&str> = Vec::new();
    match r.below(4) {
        0 => {}
        1 => out.push(pick(r, &NETS)),
        // Apart from each other: nft refuses others.
        2 => out.extend(["10.1.0.0/16", "198.51.100.0/24"]),
        _ => out.extend(["192.0.2.7", "203.0.113.9", "10.0.0.0/8"]),
    }
    out
}

#[test]
fn of_nftables() {
    let said = compare(&Nftables, |rules, contents| {
        let mut body = String::new();
        for (chain, head, jumps) in [
            ("b", "", vec![]),
            ("a", "", vec!["jump b"]),
            ("c", "", vec![]),
            ("in", "type filter hook input priority filter; policy drop;\n", vec!["jump a", "jump b"]),
        ] {
            body += &format!("chain {chain} {{\n{head}");
            for _ in 0..2 + rules.below(5) {
                let matches = [
                    "ip saddr @s",
                    "ip saddr @t",
                    "ip saddr != @s",
                    "ip saddr @k",
                    "ip saddr 10.0.0.0/8",
                    "tcp dport @p",
                    "tcp dport 22",
                    "tcp dport 22 tcp dport 443",
                    "",
                ];
                let n = 1 + rules.below(2);
                let tests: Vec<&str> = (0..n).map(|_| pick(rules, &matches)).collect();
                let mut verdicts = vec!["accept", "drop", "return"];
                verdicts.extend(&jumps);
                let verdict = pick(rules, &verdicts);
                body += &match rules.below(12) {
                    0 if chain == "in" => format!("{} ip saddr vmap @m\n", tests[0]),
                    _ => format!("{} {verdict}\n", tests.join(" ")),
                };
            }
            body += "}\n";
        }
        let mut beside = String::new();
        for _ in 0..1 + rules.below(3) {
            let tests = ["tcp dport 22", "ip saddr @s", "ip saddr 10.0.0.0/8", "tcp dport 443"];
            let verdict = pick(rules, &["accept", "accept", "drop"]);
            beside += &format!("{} {verdict}\n", pick(rules, &tests));
        }
        contents.map(|c| {
            let elements = |list: Vec<String>| match list.is_empty() {
                true => String::new(),
                false => format!("elements = {{ {} }}", list.join(", ")),
            };
            let mut of_nets = || elements(nets(c).into_iter().map(str::to_owned).collect());
            let (s, t) = (of_nets(), of_nets());
            let p = elements([22, 443, 8080].iter().filter(|_| c.below(2) == 0).map(u16::to_string).collect());
            let m = elements(
                ["192.0.2.7", "10.1.2.3"]
                    .iter()
                    .filter(|_| c.below(2) == 0)
                    .map(|a| format!("{a} : {}", ["accept", "drop", "jump c"][a.len() % 3]))
                    .collect(),
            );
            let text = format!(
                "table inet x {{\nset s {{ type ipv4_addr; flags interval; {s}; }}\nset t {{ type ipv4_addr; flags interval; {t}; }}\n\
                 set k {{ type ipv4_addr; flags constant, interval; elements = {{ 10.0.0.0/8 }}; }}\nset p {{ type inet_service; {p}; }}\n\
                 map m {{ type ipv4_addr : verdict; {m}; }}\n{body}}}\n\
                 table ip y {{\nset s {{ type ipv4_addr; flags interval; {s}; }}\n\
                 chain in {{\ntype filter hook input priority 10; policy drop;\n{beside}}}\n}}\n"
            );
            vec![("rules.nft", text.replace("; ; }", "; }"))]
        })
    });
    for check in
        ["HL-DUPLICATE", "HL-NEVER-MATCHES", "HL-NFT-AFTER-VERDICT", "HL-NFT-UNDONE", "HL-UNUSED-CHAIN"]
    {
        assert!(said.contains_key(check), "{check} never spoke: {said:?}");
    }
}

#[test]
fn of_ipsets() {
    let said = compare(&Iptables, |rules, contents| {
        let mut body = String::new();
        for _ in 0..4 + rules.below(6) {
            let matches = [
                "-m set --match-set s src",
                "-m set --match-set t src",
                "-m set ! --match-set s src",
                "-s 10.0.0.0/8",
                "-d 192.0.2.7/32",
                "-p tcp -m tcp --dport 22",
                "-p tcp -m tcp --tcp-flags SYN FIN",
            ];
            let mut tests: Vec<&str> = (0..1 + rules.below(2)).map(|_| pick(rules, &matches)).collect();
            tests.sort_by_key(|t| !t.starts_with("-s"));
            tests.dedup_by_key(|t| t.split(' ').next().unwrap().to_owned());
            let target = pick(rules, &["ACCEPT", "DROP", "RETURN"]);
            body += &format!("-A INPUT {} -j {target}\n", tests.join(" "));
        }
        let dump = format!(
            "# Generated by iptables-save v1.8.11 (nf_tables) on Mon Nov  2 10:00:00 2026\n*filter\n:INPUT DROP [0:0]\n\
             :FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n{body}COMMIT\n"
        );
        contents.map(|c| {
            let mut sets = String::new();
            for name in ["s", "t"] {
                sets += &format!(
                    "create {name} hash:net family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0xc430460d\n"
                );
                for net in nets(c).into_iter().filter(|n| !n.ends_with("/0")) {
                    sets += &format!("add {name} {net}\n");
                }
            }
            vec![("rules.v4", dump.clone()), ("sets.ipset", sets)]
        })
    });
    for check in ["HL-DUPLICATE", "HL-NEVER-MATCHES"] {
        assert!(said.contains_key(check), "{check} never spoke: {said:?}");
    }
}

#[test]
fn of_groups_and_prefix_lists() {
    let said = compare(&Aws, |rules, contents| {
        let peers = [
            r#""IpRanges":[{"CidrIp":"10.0.0.0/8"}]"#,
            r#""IpRanges":[{"CidrIp":"10.1.0.0/16"}]"#,
            r#""IpRanges":[{"CidrIp":"0.0.0.0/0"}],"Ipv6Ranges":[{"CidrIpv6":"::/0"}]"#,
            r#""UserIdGroupPairs":[{"GroupId":"sg-1"}]"#,
            r#""UserIdGroupPairs":[{"GroupId":"sg-2"}]"#,
            r#""PrefixListIds":[{"PrefixListId":"pl-0a1b2c3d"}]"#,
        ];
        let ports = [(22, 22), (443, 443), (1, 1000)];
        let entries: Vec<String> = (0..2 + rules.below(5))
            .map(|_| {
                let (from, to) = ports[rules.below(ports.len())];
                let peer = pick(rules, &peers);
                format!(r#"{{"IpProtocol":"tcp","FromPort":{from},"ToPort":{to},{peer}}}"#)
            })
            .collect();
        let group = |id: &str, entries: &str| {
            format!(
                r#"{{"GroupId":"{id}","GroupName":"{id}","VpcId":"vpc-1","OwnerId":"111122223333","Description":"a","IpPermissions":[{entries}],"IpPermissionsEgress":[]}}"#
            )
        };
        let groups = format!(
            "{{\"SecurityGroups\":[{},\n{},\n{}]}}",
            group("sg-1", ""),
            group("sg-2", ""),
            group("sg-3", &entries.join(",\n"))
        );
        contents.map(|c| {
            let addresses = ["10.1.0.5", "10.9.0.5", "172.31.4.11", "192.168.7.7"];
            let interfaces: Vec<String> = ["sg-1", "sg-2", "sg-2"]
                .iter()
                .enumerate()
                .map(|(n, g)| {
                    let address = pick(c, &addresses);
                    format!(
                        r#"{{"NetworkInterfaceId":"eni-{n}","VpcId":"vpc-1","Groups":[{{"GroupId":"{g}"}}],"PrivateIpAddresses":[{{"PrivateIpAddress":"{address}"}}]}}"#
                    )
                })
                .collect();
            let prefixes: Vec<String> = [vec![pick(c, &NETS)], nets(c)]
                .concat()
                .into_iter()
                .map(|n| if n.contains('/') { n.to_owned() } else { format!("{n}/32") })
                .map(|n| format!(r#"{{"Cidr":"{n}"}}"#))
                .collect();
            vec![
                ("groups.json", groups.clone()),
                ("interfaces.json", format!("{{\"NetworkInterfaces\":[{}]}}", interfaces.join(",\n"))),
                ("pl-0a1b2c3d.json", format!("{{\"Entries\":[{}]}}", prefixes.join(",\n"))),
            ]
        })
    });
    for check in ["HL-AWS-COVERED", "HL-DUPLICATE"] {
        assert!(said.contains_key(check), "{check} never spoke: {said:?}");
    }
}
