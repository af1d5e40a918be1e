//! Random rulesets for `nft -f`.

use super::pool::Pool;
use super::random::Random;
use havenlint::packet::{Family, addr};
use std::fmt::Write;

/// A random ruleset over addresses of both families.
pub fn ruleset(pools: &[Pool; 2], r: &mut Random) -> String {
    let mut out = String::new();
    for n in 0..1 + r.below(3) {
        let family = *r.weighted(&[(6, "inet"), (3, "ip"), (2, "ip6")]);
        Table::write(pools, r, family, n, &mut out);
    }
    if r.chance(35) {
        translations(&pools[0], r, &mut out);
    }
    if r.chance(15) {
        let mut table = Table { pools, r, family: "netdev", sets: Vec::new(), users: 0, rejects: false };
        writeln!(out, "table netdev d {{").unwrap();
        table.named_sets(&mut out);
        table.device_chain(&mut out);
        writeln!(out, "}}").unwrap();
    }
    out
}

// A table of translations, before and after the others.
fn translations(pool: &Pool, r: &mut Random, out: &mut String) {
    writeln!(
        out,
        "table ip n {{\n\tchain pre {{\n\t\ttype nat hook prerouting priority dstnat; policy accept;"
    )
    .unwrap();
    for _ in 0..1 + r.below(3) {
        let (protocol, port) = (*r.pick(&["tcp", "udp"]), pool.port(r));
        let to = addr::addr(pool.address(r));
        let text = match r.below(4) {
            0 => format!("{protocol} dport {port} redirect to :{}", pool.port(r).max(1)),
            1 => format!(
                "ip saddr {} {protocol} dport {port} dnat to {to}:{}",
                pool.net(r),
                pool.port(r).max(1)
            ),
            2 => format!("{protocol} dport != {port} accept"),
            _ => format!("ip daddr {} dnat to {to}", pool.net(r)),
        };
        writeln!(out, "\t\t{text}").unwrap();
    }
    writeln!(out, "\t}}\n\tchain post {{\n\t\ttype nat hook postrouting priority srcnat; policy accept;")
        .unwrap();
    for _ in 0..r.below(3) {
        let text = match r.below(3) {
            0 => format!("ip saddr {} masquerade", pool.net(r)),
            1 => format!("oifname \"wan\" snat to {}", addr::addr(pool.address(r))),
            _ => format!("ip daddr {} accept", pool.net(r)),
        };
        writeln!(out, "\t\t{text}").unwrap();
    }
    writeln!(out, "\t}}\n}}").unwrap();
}

struct Table<'a> {
    pools: &'a [Pool; 2],
    r: &'a mut Random,
    family: &'static str,
    // Named sets and maps by kind of element: `address 4`, `port`, `address 4 . port`, `name`, `port verdict`.
    sets: Vec<(String, String)>,
    users: usize,
    // All base chains are at input, forward or output: reject is allowed everywhere.
    rejects: bool,
}

// What a rule has committed itself to.
#[derive(Default)]
struct Rule {
    text: String,
    family: Option<Family>,
    protocol: Option<&'static str>,
}

const HOOKS: [&str; 5] = ["input", "forward", "output", "prerouting", "postrouting"];

impl<'a> Table<'a> {
    fn write(pools: &'a [Pool; 2], r: &'a mut Random, family: &'static str, n: usize, out: &mut String) {
        let rejects = r.chance(70);
        let users = r.below(5);
        let mut table = Table { pools, r, family, sets: Vec::new(), users, rejects };
        writeln!(out, "table {family} t{n} {{").unwrap();
        table.named_sets(out);
        // Maps name chains, which may be declared later.
        for user in 0..users {
            writeln!(out, "\tchain u{user} {{").unwrap();
            for _ in 0..1 + table.r.below(5) {
                let rule = table.rule(user + 1, false);
                writeln!(out, "\t\t{rule}").unwrap();
            }
            writeln!(out, "\t}}").unwrap();
        }
        let hooks = if rejects { &HOOKS[..3] } else { &HOOKS[..] };
        for b in 0..1 + table.r.below(5) {
            let hook = *table.r.pick(hooks);
            table.base_chain(b, hook, out);
        }
        if family == "inet" && table.r.chance(15) {
            table.device_chain(out);
        }
        writeln!(out, "}}").unwrap();
    }

    // A chain of a device, before connection tracking.
    fn device_chain(&mut self, out: &mut String) {
        let device = *self.r.pick(&self.pools[0].interfaces);
        if device == "lo" {
            return;
        }
        let priority = *self.r.pick(&["filter", "-5", "10"]);
        let policy = *self.r.weighted(&[(6, "policy accept;"), (1, "policy drop;"), (3, "")]);
        writeln!(
            out,
            "\tchain dev {{\n\t\ttype filter hook ingress device \"{device}\" priority {priority}; {policy}"
        )
        .unwrap();
        for _ in 0..1 + self.r.below(4) {
            let mut rule = Rule::default();
            for _ in 0..1 + self.r.below(2) {
                match self.r.below(12) {
                    0..3 => self.address(&mut rule),
                    3..6 => self.port(&mut rule),
                    6 => self.flags(&mut rule),
                    7 => self.icmp(&mut rule),
                    8 if self.family == "inet" => self.state(&mut rule),
                    9 => self.interface(&mut rule),
                    10 => self.mark(&mut rule),
                    _ => self.layer_4(&mut rule),
                }
            }
            let mark = format!("meta mark set {:#x}", self.r.pick(&self.pools[0].marks));
            let done = *self.r.weighted(&[
                (4, "drop"),
                (3, "accept"),
                (1, "return"),
                (1, "continue"),
                (2, mark.as_str()),
            ]);
            rule.add(done);
            writeln!(out, "\t\t{}", rule.text).unwrap();
        }
        writeln!(out, "\t}}").unwrap();
    }

    fn base_chain(&mut self, b: usize, hook: &str, out: &mut String) {
        let priority = match self.r.below(10) {
            0 => "raw",
            1 => "mangle",
            2 => "security",
            3 => "filter + 10",
            4 => "-5",
            5 => "100",
            _ => "filter",
        };
        let kind = if hook == "output" && self.r.chance(15) { "route" } else { "filter" };
        let policy = *self.r.weighted(&[(5, "policy accept;"), (3, "policy drop;"), (2, "")]);
        writeln!(out, "\tchain b{b} {{\n\t\ttype {kind} hook {hook} priority {priority}; {policy}").unwrap();
        let raw = priority == "raw" && matches!(hook, "prerouting" | "output");
        for _ in 0..self.r.below(8) {
            let rule = self.rule(0, raw);
            writeln!(out, "\t\t{rule}").unwrap();
        }
        writeln!(out, "\t}}").unwrap();
    }

    fn families(&self) -> &'static [Family] {
        match self.family {
            "ip" => &[Family::V4],
            "ip6" => &[Family::V6],
            _ => &[Family::V4, Family::V6],
        }
    }

    fn pool(&self, family: Family) -> &'a Pool {
        &self.pools[usize::from(family == Family::V6)]
    }

    fn named_sets(&mut self, out: &mut String) {
        for n in 0..self.r.below(4) {
            let family = *self.r.pick(self.families());
            let address = if family == Family::V4 { "ipv4_addr" } else { "ipv6_addr" };
            let (kind, body) = match self.r.below(6) {
                0 => {
                    let list = self.disjoint_addresses(family);
                    (
                        format!("address {}", family.number()),
                        format!("type {address}; flags interval; elements = {{ {} }}", list.join(", ")),
                    )
                }
                1 => {
                    let list: Vec<_> =
                        (0..1 + self.r.below(4)).map(|_| self.pool(family).net(self.r)).collect();
                    let list = list.into_iter().filter(|n| !n.ends_with("/0")).collect::<Vec<_>>().join(", ");
                    let elements =
                        if list.is_empty() { String::new() } else { format!(" elements = {{ {list} }}") };
                    (
                        format!("address {}", family.number()),
                        format!("type {address}; flags interval; auto-merge;{elements}"),
                    )
                }
                2 => {
                    let list = self.disjoint_ports();
                    (
                        "port".to_owned(),
                        format!("type inet_service; flags interval; elements = {{ {} }}", list.join(", ")),
                    )
                }
                3 => {
                    let list = self.pairs(family);
                    (
                        format!("address {} . port", family.number()),
                        format!(
                            "type {address} . inet_service; flags interval; elements = {{ {} }}",
                            list.join(", ")
                        ),
                    )
                }
                4 => {
                    ("name".to_owned(), "type ifname; elements = { \"eth0\", \"br-lan\", \"lo\" }".to_owned())
                }
                _ => {
                    let list = self.verdict_map(0);
                    let kind = "port verdict".to_owned();
                    self.sets.push((kind, format!("s{n}")));
                    writeln!(out, "\tmap s{n} {{ type inet_service : verdict; flags interval; elements = {{ {list} }} }}").unwrap();
                    continue;
                }
            };
            self.sets.push((kind, format!("s{n}")));
            writeln!(out, "\tset s{n} {{ {body} }}").unwrap();
        }
    }

    fn named(&mut self, kind: &str) -> Option<String> {
        let all: Vec<_> = self.sets.iter().filter(|(k, _)| k == kind).map(|(_, n)| format!("@{n}")).collect();
        if all.is_empty() { None } else { Some(self.r.pick(&all).clone()) }
    }

    fn disjoint_addresses(&mut self, family: Family) -> Vec<String> {
        let pool = self.pool(family);
        let mut points: Vec<_> = (0..2 + self.r.below(4)).map(|_| pool.address(self.r)).collect();
        points.sort_unstable();
        points.dedup();
        self.disjoint(&points.iter().map(|p| addr::addr(*p).to_string()).collect::<Vec<_>>())
    }

    fn disjoint_ports(&mut self) -> Vec<String> {
        let pool = &self.pools[0];
        let mut points: Vec<_> = (0..2 + self.r.below(4)).map(|_| pool.port(self.r)).collect();
        points.sort_unstable();
        points.dedup();
        self.disjoint(&points.iter().map(u16::to_string).collect::<Vec<_>>())
    }

    // Sorted points as single values and ranges.
    fn disjoint(&mut self, points: &[String]) -> Vec<String> {
        let mut out = Vec::new();
        let mut at = 0;
        while at < points.len() {
            if at + 1 < points.len() && self.r.chance(40) {
                out.push(format!("{}-{}", points[at], points[at + 1]));
                at += 2;
            } else {
                out.push(points[at].clone());
                at += 1;
            }
        }
        out
    }

    fn pairs(&mut self, family: Family) -> Vec<String> {
        let addresses = self.disjoint_addresses(family);
        let ports = self.disjoint_ports();
        addresses.iter().enumerate().map(|(i, a)| format!("{a} . {}", ports[i % ports.len()])).collect()
    }

    // Ports with verdicts; jumps go to chains from `first` on.
    fn verdict_map(&mut self, first: usize) -> String {
        let list: Vec<_> =
            self.disjoint_ports().into_iter().map(|p| format!("{p} : {}", self.map_verdict(first))).collect();
        list.join(", ")
    }

    fn map_verdict(&mut self, first: usize) -> String {
        if first < self.users && self.r.chance(50) {
            let how = if self.r.chance(30) { "goto" } else { "jump" };
            return format!("{how} u{}", first + self.r.below(self.users - first));
        }
        (*self.r.pick(&["accept", "drop", "accept", "drop", "continue", "return"])).to_owned()
    }

    /// A rule in a chain from which the user chains from `first` on may be reached.
    fn rule(&mut self, first: usize, raw: bool) -> String {
        let mut rule = Rule::default();
        for _ in 0..*self.r.weighted(&[(1, 0), (6, 1), (4, 2), (2, 3)]) {
            self.one_match(&mut rule);
        }
        if self.r.chance(20) {
            rule.add("counter");
        }
        self.verdict(&mut rule, first, raw);
        if self.r.chance(8) {
            rule.add("comment \"a { b } ; c\"");
        }
        rule.text
    }

    // One of the rule's family, or any of the table's: what the rule is then committed to.
    fn family_of(&mut self, rule: &mut Rule) -> Family {
        let family = rule.family.unwrap_or_else(|| *self.r.pick(self.families()));
        rule.family = Some(family);
        family
    }

    fn one_match(&mut self, rule: &mut Rule) {
        match self.r.below(24) {
            0..5 => self.address(rule),
            5..10 => self.port(rule),
            10 => self.flags(rule),
            11 => self.icmp(rule),
            12..14 => self.state(rule),
            14..17 => self.interface(rule),
            17 => self.layer_4(rule),
            18 => self.mark(rule),
            19 => self.local(rule),
            20 => self.pair(rule),
            21 => {
                let mac = havenlint::packet::mac_text((*self.r.pick(&self.pools[0].macs)).into());
                let not = self.op();
                rule.add(&format!("ether saddr {not}{mac}"));
            }
            22 if self.family == "inet" && rule.family.is_none() => {
                let family = self.family_of(rule);
                rule.add(&format!("meta nfproto ipv{}", family.number()));
            }
            _ => {
                let text =
                    *self.r.pick(&["meta length 0-60", "meta length != 41-65535", "ct direction original"]);
                if self.r.chance(30) {
                    rule.add(text);
                }
            }
        }
    }

    fn op(&mut self) -> &'static str {
        if self.r.chance(25) { "!= " } else { "" }
    }

    fn address(&mut self, rule: &mut Rule) {
        let family = self.family_of(rule);
        let (word, end) =
            (if family == Family::V4 { "ip" } else { "ip6" }, *self.r.pick(&["saddr", "daddr"]));
        if rule.text.contains(&format!("{word} {end}")) {
            return;
        }
        let pool = self.pool(family);
        let value = match self.r.below(8) {
            0 => {
                let (a, b) = pool.range(self.r);
                if a == b { a } else { format!("{a}-{b}") }
            }
            1 | 2 => {
                let list: Vec<_> = (0..1 + self.r.below(4))
                    .map(|_| pool.net(self.r))
                    .filter(|n| !n.ends_with("/0"))
                    .collect();
                if list.is_empty() { pool.net(self.r) } else { format!("{{ {} }}", list.join(", ")) }
            }
            3 | 4 => self.named(&format!("address {}", family.number())).unwrap_or_else(|| pool.net(self.r)),
            5 => {
                let verdicts: Vec<_> = self
                    .disjoint_addresses(family)
                    .into_iter()
                    .map(|a| format!("{a} : {}", self.map_verdict(self.users)))
                    .collect();
                return rule.add(&format!("{word} {end} vmap {{ {} }}", verdicts.join(", ")));
            }
            _ => pool.net(self.r),
        };
        let op = if value.ends_with("/0") { "" } else { self.op() };
        rule.add(&format!("{word} {end} {op}{value}"));
    }

    fn port(&mut self, rule: &mut Rule) {
        let protocol = match rule.protocol {
            Some(p @ ("tcp" | "udp" | "sctp" | "dccp" | "udplite")) => p,
            Some(_) => return,
            None => *self.r.weighted(&[
                (6, "tcp"),
                (5, "udp"),
                (1, "sctp"),
                (1, "dccp"),
                (1, "udplite"),
                (2, "th"),
            ]),
        };
        let end = *self.r.pick(&["dport", "dport", "sport"]);
        if rule.text.contains(end) {
            return;
        }
        rule.protocol = Some(protocol);
        let (lo, hi) = self.pools[0].ports(self.r);
        let value = match self.r.below(7) {
            0 | 1 => lo.to_string(),
            2 if lo < hi => format!("{lo}-{hi}"),
            3 => format!("{{ {} }}", self.disjoint_ports().join(", ")),
            4 => self.named("port").unwrap_or_else(|| hi.to_string()),
            5 if self.r.chance(50) => {
                let op = self.r.pick(&["<", ">", "<=", ">="]);
                let value = lo.clamp(1, 65534);
                return rule.add(&format!("{protocol} {end} {op} {value}"));
            }
            _ => hi.to_string(),
        };
        let op = self.op();
        rule.add(&format!("{protocol} {end} {op}{value}"));
    }

    fn flags(&mut self, rule: &mut Rule) {
        if rule.protocol.is_some_and(|p| p != "tcp") {
            return;
        }
        rule.protocol = Some("tcp");
        let text = *self.r.pick(&[
            "syn",
            "syn,ack",
            "== syn",
            "!= syn",
            "& (fin|syn|rst|ack) == syn",
            "& (fin|syn|rst|ack) != syn",
            "{ syn, ack, syn|ack }",
            "!= { syn, syn|ack }",
            "& syn == syn",
            "& (fin|syn) == (fin|syn)",
            "== 0x0",
            "& (syn|ack) == 0x0",
            "syn / syn,ack",
            "! syn",
            "!= syn / syn,ack",
        ]);
        rule.add(&format!("tcp flags {text}"));
    }

    fn icmp(&mut self, rule: &mut Rule) {
        let family = self.family_of(rule);
        let word = if family == Family::V4 { "icmp" } else { "icmpv6" };
        if rule.protocol.is_some() {
            return;
        }
        rule.protocol = Some(word);
        let kinds: Vec<_> = self.pool(family).icmp.iter().map(u8::to_string).collect();
        let value = match self.r.below(4) {
            0 => format!("{{ {} }}", kinds[..2].join(", ")),
            1 => return rule.add(&format!("{word} code {}", self.r.below(3))),
            2 => "echo-request".to_owned(),
            _ => self.r.pick(&kinds).clone(),
        };
        let op = self.op();
        rule.add(&format!("{word} type {op}{value}"));
    }

    fn state(&mut self, rule: &mut Rule) {
        let all = ["new", "established", "related", "invalid", "untracked"];
        let n = 1 + self.r.below(3);
        let list = self.r.some(&all, n);
        let text = match self.r.below(8) {
            0 => format!("{{ {} }}", list.join(", ")),
            1 => format!("!= {{ {} }}", list.join(", ")),
            2 => format!("!= {}", list.join(",")),
            3 => format!("== {}", list.join(",")),
            4 => format!("& ({}) != 0", ["new", "related"].join("|")),
            5 if !rule.text.contains("vmap") => {
                let verdicts: Vec<_> =
                    list.iter().map(|s| format!("{s} : {}", self.map_verdict(self.users))).collect();
                format!("vmap {{ {} }}", verdicts.join(", "))
            }
            _ => list.join(","),
        };
        rule.add(&format!("ct state {text}"));
    }

    fn interface(&mut self, rule: &mut Rule) {
        let word = *self.r.pick(&["iifname", "oifname", "iifname", "oifname", "iif", "oif"]);
        if rule.text.contains(word) {
            return;
        }
        let name = *self.r.pick(&self.pools[0].interfaces);
        let long = word.ends_with("name");
        let value = match self.r.below(8) {
            0 if long => "\"eth*\"".to_owned(),
            1 if long => "{ \"eth0\", \"wan\", \"ppp0\" }".to_owned(),
            2 if long => "{ \"eth*\", \"lo\" }".to_owned(),
            3 if long => self.named("name").unwrap_or_else(|| "\"eth1*\"".to_owned()),
            4 => "\"lo\"".to_owned(),
            _ => format!("\"{name}\""),
        };
        let op = self.op();
        rule.add(&format!("{word} {op}{value}"));
    }

    fn layer_4(&mut self, rule: &mut Rule) {
        if rule.protocol.is_some() {
            return;
        }
        rule.protocol = Some("any");
        let text = match self.r.below(6) {
            0 => "meta l4proto { tcp, udp } th dport 53",
            1 => "meta l4proto { icmp, ipv6-icmp }",
            2 => "meta l4proto != tcp",
            3 => "meta l4proto udp",
            4 if self.families() == [Family::V4] || rule.family == Some(Family::V4) => {
                "ip protocol != { tcp, udp }"
            }
            5 if self.families() == [Family::V6] || rule.family == Some(Family::V6) => "ip6 nexthdr tcp",
            _ => "meta l4proto 47",
        };
        rule.add(text);
    }

    fn mark(&mut self, rule: &mut Rule) {
        let mark = *self.r.pick(&self.pools[0].marks);
        let text = match self.r.below(5) {
            0 => format!("meta mark != {mark:#x}"),
            1 => format!("meta mark & 0xff == {:#x}", mark & 0xff),
            2 => "meta mark { 0x1, 0x2-0x20 }".to_owned(),
            3 => format!("meta mark and 0x80000001 != {:#x}", mark & 0x8000_0001),
            _ => format!("meta mark {mark:#x}"),
        };
        rule.add(&text);
    }

    fn local(&mut self, rule: &mut Rule) {
        let text = *self.r.pick(&[
            "fib daddr type local",
            "fib saddr type local",
            "fib daddr type != local",
            "fib daddr type { local, multicast }",
            "fib daddr type unicast",
            "fib daddr type broadcast",
            "fib daddr type != { local, broadcast, multicast }",
            "fib saddr type { unicast, local }",
            "ct status dnat",
            "ct status != dnat",
            "ct mark 0x1",
            "ct mark != 0x0",
        ]);
        rule.add(text);
    }

    fn pair(&mut self, rule: &mut Rule) {
        if rule.protocol.is_some_and(|p| p != "tcp" && p != "udp")
            || rule.text.contains("dport")
            || rule.text.contains("saddr")
        {
            return;
        }
        let family = self.family_of(rule);
        let word = if family == Family::V4 { "ip" } else { "ip6" };
        let protocol = rule.protocol.unwrap_or(*self.r.pick(&["tcp", "udp"]));
        rule.protocol = Some(protocol);
        let key = format!("{word} saddr . {protocol} dport");
        let value = match self.r.below(3) {
            0 if !rule.text.contains("vmap") => {
                let list: Vec<_> = self
                    .pairs(family)
                    .into_iter()
                    .map(|p| format!("{p} : {}", self.map_verdict(self.users)))
                    .collect();
                return rule.add(&format!("{key} vmap {{ {} }}", list.join(", ")));
            }
            1 => self.named(&format!("address {} . port", family.number())),
            _ => None,
        };
        let value = value.unwrap_or_else(|| format!("{{ {} }}", self.pairs(family).join(", ")));
        let op = self.op();
        rule.add(&format!("{key} {op}{value}"));
    }

    fn verdict(&mut self, rule: &mut Rule, first: usize, raw: bool) {
        if raw && self.r.chance(25) {
            return rule.add("notrack");
        }
        if self.r.chance(12) {
            let text = self.rewriting(rule);
            rule.add(&text);
            if self.r.chance(70) {
                return;
            }
        }
        if self.r.chance(12) {
            let mark = *self.r.pick(&self.pools[0].marks);
            rule.add(&match self.r.below(4) {
                0 => format!("meta mark set meta mark | {mark:#x}"),
                1 => format!("meta mark set meta mark and {mark:#x}"),
                2 => format!("meta mark set meta mark ^ {mark:#x}"),
                _ => format!("meta mark set {mark:#x}"),
            });
            if self.r.chance(70) {
                return;
            }
        }
        if first < self.users && self.r.chance(35) {
            let how = if self.r.chance(30) { "goto" } else { "jump" };
            return rule.add(&format!("{how} u{}", first + self.r.below(self.users - first)));
        }
        if rule.protocol.is_none_or(|p| p == "tcp" || p == "udp")
            && self.r.chance(12)
            && !rule.text.contains("vmap")
        {
            let protocol = rule.protocol.unwrap_or("tcp");
            // The named map may jump to any chain: only a base chain may use it.
            let map = if first == 0 { self.named("port verdict") } else { None };
            let map = map.unwrap_or_else(|| format!("{{ {} }}", self.verdict_map(first)));
            return rule.add(&format!("{protocol} dport vmap {map}"));
        }
        let reject = if !self.rejects { "drop" } else { self.reject(rule) };
        let word = *self.r.weighted(&[
            (40, "accept"),
            (30, "drop"),
            (10, reject),
            (8, "return"),
            (4, "continue"),
            (4, ""),
        ]);
        rule.add(word);
    }

    // Statements that change what later rules see.
    fn rewriting(&mut self, rule: &mut Rule) -> String {
        let kind = self.r.below(6);
        match kind {
            0 => "ct mark set meta mark".to_owned(),
            1 => "meta mark set ct mark".to_owned(),
            2 => format!("ct mark set {:#x}", self.r.pick(&self.pools[0].marks)),
            3 | 4 if rule.protocol.is_none_or(|p| p == "tcp" || p == "udp") => {
                let protocol = rule.protocol.unwrap_or("tcp");
                rule.protocol = Some(protocol);
                let end = if kind == 3 { "dport" } else { "sport" };
                format!("{protocol} {end} set {}", self.pools[0].port(self.r).max(1))
            }
            _ => {
                let family = self.family_of(rule);
                let word = if family == Family::V4 { "ip" } else { "ip6" };
                // A new destination before routing would send the packet where the bench cannot follow.
                let end = if self.rejects && self.r.chance(50) { "daddr" } else { "saddr" };
                format!("{word} {end} set {}", addr::addr(self.pool(family).address(self.r)))
            }
        }
    }

    fn reject(&mut self, rule: &Rule) -> &'static str {
        let v4 = rule.family.is_none_or(|f| f == Family::V4) && self.family != "ip6";
        let v6 = rule.family.is_none_or(|f| f == Family::V6) && self.family != "ip";
        match self.r.below(5) {
            0 if rule.protocol.is_none_or(|p| p == "tcp") => "reject with tcp reset",
            1 if v4 => "reject with icmp type host-prohibited",
            2 if v6 => "reject with icmpv6 type admin-prohibited",
            3 if self.family == "inet" => "reject with icmpx type port-unreachable",
            _ => "reject",
        }
    }
}

impl Rule {
    fn add(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(text);
    }
}
