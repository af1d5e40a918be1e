//! Random dumps for `iptables-restore` and `ip6tables-restore`.

use super::ipset::Script;
use super::pool::Pool;
use super::random::Random;
use havenlint::packet::Family;
use std::fmt::Write;

struct Table {
    name: &'static str,
    hooks: &'static [&'static str],
    weight: usize,
}

const TABLES: [Table; 5] = [
    Table { name: "raw", hooks: &["PREROUTING", "OUTPUT"], weight: 35 },
    Table { name: "mangle", hooks: &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"], weight: 45 },
    Table { name: "nat", hooks: &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"], weight: 20 },
    Table { name: "filter", hooks: &["INPUT", "FORWARD", "OUTPUT"], weight: 100 },
    Table { name: "security", hooks: &["INPUT", "FORWARD", "OUTPUT"], weight: 10 },
];

/// A random dump.
pub fn dump(pool: &Pool, sets: &Script, r: &mut Random) -> String {
    let mut out = String::new();
    for table in &TABLES {
        if r.chance(table.weight) {
            write_table(pool, sets, r, table, &mut out);
        }
    }
    out
}

fn write_table(pool: &Pool, sets: &Script, r: &mut Random, table: &Table, out: &mut String) {
    let main = table.name == "filter";
    writeln!(out, "*{}", table.name).unwrap();
    for hook in table.hooks {
        let drop = if main { 45 } else { 0 };
        writeln!(out, ":{hook} {} [0:0]", if r.chance(drop) { "DROP" } else { "ACCEPT" }).unwrap();
    }
    let users: Vec<String> = (0..r.below(if main { 6 } else { 3 })).map(|n| format!("user{n}")).collect();
    for user in &users {
        writeln!(out, ":{user} - [0:0]").unwrap();
    }
    for hook in table.hooks {
        for _ in 0..r.below(if main { 9 } else { 4 }) {
            let rule = rule((pool, sets), r, table.name, Some(hook), &users);
            writeln!(out, "-A {hook}{rule}").unwrap();
        }
    }
    for (n, user) in users.iter().enumerate() {
        for _ in 0..r.below(6) {
            let rule = rule((pool, sets), r, table.name, None, &users[n + 1..]);
            writeln!(out, "-A {user}{rule}").unwrap();
        }
    }
    writeln!(out, "COMMIT").unwrap();
}

/// What stands behind `-A CHAIN`. `hook` is the built-in chain, `None` in a user chain; `users` are the chains it may go to.
fn rule(
    (pool, sets): (&Pool, &Script),
    r: &mut Random,
    table: &str,
    hook: Option<&str>,
    users: &[String],
) -> String {
    let mut rule = Rule {
        pool,
        sets,
        r,
        text: String::new(),
        protocol: None,
        source: false,
        destination: false,
        listed: false,
        negated: false,
    };
    for _ in 0..*rule.r.weighted(&[(1, 0), (5, 1), (5, 2), (3, 3), (1, 4)]) {
        rule.one_match(hook);
    }
    rule.target(table, hook, users);
    rule.text
}

struct Rule<'a> {
    pool: &'a Pool,
    sets: &'a Script,
    r: &'a mut Random,
    text: String,
    // Set by `-p`: its number, and whether it was negated.
    protocol: Option<(u8, bool)>,
    // About `-s` and `-d`: given; one is a list; one is negated.
    source: bool,
    destination: bool,
    listed: bool,
    negated: bool,
}

impl Rule<'_> {
    fn add(&mut self, text: &str) {
        self.text.push(' ');
        self.text.push_str(text);
    }

    fn one_match(&mut self, hook: Option<&str>) {
        if !self.sets.names.is_empty() && self.r.chance(30) {
            return self.set(hook);
        }
        match self.r.below(24) {
            0..4 => self.address(),
            4..6 => self.interface(hook),
            6..13 => self.protocol_match(),
            13..15 => self.state(),
            15 => self.iprange(),
            16 => self.mac(hook),
            17 => self.address_type(),
            18..20 => self.mark(),
            20 => self.opaque(),
            21 => {
                let comment =
                    *self.r.pick(&["ssh", "\"two words\"", "\"-j DROP\"", "\"it's \\\"quoted\\\"\""]);
                self.add(&format!("-m comment --comment {comment}"));
            }
            22 => self.multiport(),
            _ => self.connmark(),
        }
    }

    fn address(&mut self) {
        let source = self.r.chance(50);
        let used = if source { &mut self.source } else { &mut self.destination };
        if std::mem::replace(used, true) {
            return;
        }
        let option = match (source, self.r.below(8)) {
            (true, 0) => "--source",
            (false, 0) => "--destination",
            (true, _) => "-s",
            (false, _) => "-d",
        };
        // A list is refused together with a negation of either side.
        if self.r.chance(12) && !self.negated {
            self.listed = true;
            let (a, b) = (self.pool.net(self.r), self.pool.net(self.r));
            return self.add(&format!("{option} {a},{b}"));
        }
        if self.r.chance(6) && self.pool.family == Family::V6 {
            let odd =
                *self.r.pick(&["2001:db8:1:2::77/ffff:ffff::ffff", "::77/::ff", "2001:db8::1/ffff:fff0::1"]);
            return self.add(&format!("{option} {odd}"));
        }
        if self.r.chance(8) && self.pool.family == Family::V4 {
            let odd = *self.r.pick(&[
                "10.20.30.1/255.0.0.255",
                "0.0.0.1/0.0.0.1",
                "0.0.0.64/0.0.0.192",
                "10.20.30.64/255.255.0.255",
                "10.20.30.0/255.255.255.0",
                "10.20",
                "192.0.2.1/255.0.0.255",
            ]);
            return self.add(&format!("{option} {odd}"));
        }
        let net = self.pool.net(self.r);
        // The two back ends differ on the negation of everything.
        let not = if net.ends_with("/0") || self.listed { "" } else { self.r.not(25) };
        self.negated |= !not.is_empty();
        self.add(&format!("{not}{option} {net}"));
    }

    fn interface(&mut self, hook: Option<&str>) {
        let input = match hook {
            Some("INPUT" | "PREROUTING") => true,
            Some("OUTPUT" | "POSTROUTING") => false,
            _ => self.r.chance(50),
        };
        let option = if input { "-i" } else { "-o" };
        if self.text.contains(option) {
            return;
        }
        let name = match self.r.below(8) {
            0 => *self.r.pick(&["eth+", "e+", "br-+", "w+", "eth1+", "eth10+"]),
            1 => *self.r.pick(&["lo", "+", "ppp0", "eth"]),
            2 => "lo",
            _ => self.r.pick(&self.pool.interfaces),
        };
        let not = if name == "+" { "" } else { self.r.not(25) };
        self.add(&format!("{not}{option} {name}"));
    }

    fn protocol_match(&mut self) {
        if self.protocol.is_some() {
            return;
        }
        let number = if self.r.chance(75) {
            self.pool.protocols[self.r.below(3)]
        } else {
            *self.r.pick(&self.pool.protocols)
        };
        let name = match number {
            6 => "tcp".to_owned(),
            17 => "udp".to_owned(),
            1 => "icmp".to_owned(),
            58 => "ipv6-icmp".to_owned(),
            132 => "sctp".to_owned(),
            33 => "dccp".to_owned(),
            136 => "udplite".to_owned(),
            n => n.to_string(),
        };
        if self.r.chance(10) {
            self.protocol = Some((number, true));
            return self.add(&format!("! -p {name}"));
        }
        if self.r.chance(3) {
            self.protocol = Some((0, true));
            return self.add("-p all");
        }
        self.protocol = Some((number, false));
        self.add(&format!("-p {name}"));
        match number {
            6 | 17 => self.ports(&name),
            132 | 33 if self.r.chance(60) => self.ports(&name),
            1 if self.pool.family == Family::V4 => self.icmp("--icmp-type"),
            58 if self.pool.family == Family::V6 => self.icmp("--icmpv6-type"),
            _ => {}
        }
        if number == 6 && self.r.chance(35) {
            self.tcp_flags();
        }
    }

    fn ports(&mut self, module: &str) {
        if self.r.chance(15) {
            return self.multiport();
        }
        if self.r.chance(60) || module == "sctp" || module == "dccp" {
            self.add(&format!("-m {module}"));
        }
        for (option, chance) in [("--dport", 75), ("--sport", 20)] {
            if self.r.chance(chance) {
                let range = self.port_range();
                let not = if range == "0:65535" { "" } else { self.r.not(20) };
                self.add(&format!("{not}{option} {range}"));
            }
        }
    }

    fn port_range(&mut self) -> String {
        let (lo, hi) = self.pool.ports(self.r);
        match self.r.below(8) {
            0..4 => lo.to_string(),
            // An open end must leave something out, see above.
            4 if hi < 65535 => format!(":{hi}"),
            5 if lo > 0 => format!("{lo}:"),
            _ => format!("{lo}:{hi}"),
        }
    }

    fn multiport(&mut self) {
        let with_ports = matches!(self.protocol, Some((6 | 17 | 132 | 33 | 136, false)));
        if !with_ports || self.text.contains("port") {
            return;
        }
        let option = *self.r.pick(&["--dports", "--sports", "--ports", "--dports"]);
        let mut list: Vec<String> = Vec::new();
        for _ in 0..1 + self.r.below(4) {
            let (lo, hi) = self.pool.ports(self.r);
            list.push(if self.r.chance(30) && lo < hi { format!("{lo}:{hi}") } else { lo.to_string() });
        }
        let not = if list.iter().any(|l| l == "0:65535") { "" } else { self.r.not(20) };
        self.add(&format!("-m multiport {not}{option} {}", list.join(",")));
    }

    fn icmp(&mut self, option: &str) {
        if !self.r.chance(75) {
            return;
        }
        let kind = *self.r.pick(&self.pool.icmp);
        let text = match self.r.below(8) {
            0 => format!("{kind}/{}", *self.r.pick(&[0, 1, 4])),
            1 => "echo-request".to_owned(),
            2 if option == "--icmp-type" => return self.add("--icmp-type any"),
            _ => kind.to_string(),
        };
        let not = self.r.not(20);
        self.add(&format!("{not}{option} {text}"));
    }

    fn tcp_flags(&mut self) {
        if self.r.chance(35) {
            let not = self.r.not(35);
            return self.add(&format!("{not}--syn"));
        }
        let mask = *self.r.pick(&["SYN,ACK,FIN,RST", "ALL", "SYN,RST", "FIN,SYN", "ACK,URG,PSH", "SYN"]);
        let value = *self.r.pick(&["SYN", "NONE", "ALL", "SYN,ACK", "FIN", "RST", "ACK", "FIN,URG,PSH"]);
        let not = self.r.not(20);
        self.add(&format!("{not}--tcp-flags {mask} {value}"));
    }

    fn state(&mut self) {
        let all = ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"];
        let n = 1 + self.r.below(3);
        let list = self.r.some(&all, n).join(",");
        let not = self.r.not(20);
        if self.r.chance(40) {
            self.add(&format!("-m state {not}--state {list}"));
        } else {
            self.add(&format!("-m conntrack {not}--ctstate {list}"));
        }
    }

    // Sometimes with fewer directions than the set has dimensions: then nothing is ever found.
    fn set(&mut self, hook: Option<&str>) {
        let (name, dimensions) = self.r.pick(&self.sets.names).clone();
        let few = self.r.chance(4);
        let mut sides: Vec<&str> = Vec::new();
        for dimension in dimensions.iter().take(dimensions.len() - usize::from(few && dimensions.len() > 1)) {
            let input = match hook {
                Some("INPUT" | "PREROUTING") => true,
                Some("OUTPUT" | "POSTROUTING") => false,
                _ => self.r.chance(50),
            };
            sides.push(match *dimension {
                "mac" => "src",
                "iface" if input => "src",
                "iface" => "dst",
                _ if self.r.chance(50) => "src",
                _ => "dst",
            });
        }
        let not = self.r.not(25);
        self.add(&format!("-m set {not}--match-set {name} {}", sides.join(",")));
    }

    fn iprange(&mut self) {
        self.add("-m iprange");
        let mut any = false;
        for option in ["--src-range", "--dst-range"] {
            if self.r.chance(60) || (!any && option == "--dst-range") {
                let (lo, hi) = self.pool.range(self.r);
                let not = self.r.not(25);
                self.add(&format!("{not}{option} {lo}-{hi}"));
                any = true;
            }
        }
    }

    fn mac(&mut self, hook: Option<&str>) {
        if !matches!(hook, Some("INPUT" | "FORWARD" | "PREROUTING")) {
            return;
        }
        let mac = havenlint::packet::mac_text((*self.r.pick(&self.pool.macs)).into());
        let not = self.r.not(25);
        self.add(&format!("-m mac {not}--mac-source {mac}"));
    }

    fn address_type(&mut self) {
        let option = *self.r.pick(&["--dst-type", "--src-type", "--dst-type"]);
        let kinds = *self.r.pick(&["LOCAL", "LOCAL", "LOCAL", "MULTICAST"]);
        let not = self.r.not(30);
        self.add(&format!("-m addrtype {not}{option} {kinds}"));
    }

    fn mark(&mut self) {
        let mark = *self.r.pick(&self.pool.marks);
        let not = self.r.not(25);
        let mask = *self.r.pick(&["", "", "/0xff", "/0x1", "/0x80000000"]);
        self.add(&format!("-m mark {not}--mark {mark:#x}{mask}"));
    }

    fn connmark(&mut self) {
        if self.r.chance(50) {
            let mark = *self.r.pick(&[0, 1, 2, 0x10]);
            self.add(&format!("-m connmark --mark {mark:#x}"));
        }
    }

    fn opaque(&mut self) {
        let text = *self.r.pick(&[
            "-m length --length 0:100",
            "-m length ! --length 41:65535",
            "-m dscp --dscp 0x01",
            "-m dscp ! --dscp 0x02",
            "-m length --length 0:50",
        ]);
        self.add(text);
    }

    fn target(&mut self, table: &str, hook: Option<&str>, users: &[String]) {
        if !users.is_empty() && self.r.chance(35) {
            let user = self.r.pick(users).clone();
            let how = if self.r.chance(30) { "-g" } else { "-j" };
            return self.add(&format!("{how} {user}"));
        }
        let choices: &[(usize, &str)] = match table {
            "filter" => &[
                (40, "-j ACCEPT"),
                (30, "-j DROP"),
                (10, "-j RETURN"),
                (12, "REJECT"),
                (5, ""),
                (3, "-j NFLOG --nflog-group 9"),
            ],
            "mangle" => &[
                (30, "-j ACCEPT"),
                (5, "-j DROP"),
                (10, "-j RETURN"),
                (40, "MARK"),
                (6, "CONNMARK"),
                (5, ""),
            ],
            "raw" => &[
                (30, "-j ACCEPT"),
                (6, "-j DROP"),
                (10, "-j RETURN"),
                (25, "NOTRACK"),
                (5, ""),
                (10, "MARK"),
            ],
            "nat" => &[(25, "-j ACCEPT"), (10, "-j RETURN"), (50, "NAT"), (5, "")],
            _ => &[(40, "-j ACCEPT"), (10, "-j DROP"), (10, "-j RETURN"), (5, "")],
        };
        match *self.r.weighted(choices) {
            "" => {}
            "REJECT" => self.reject(),
            "MARK" => self.set_mark(),
            "CONNMARK" => {
                let how =
                    *self.r.pick(&["--save-mark", "--restore-mark", "--set-mark 0x1", "--set-mark 0x10"]);
                self.add(&format!("-j CONNMARK {how}"));
            }
            "NOTRACK" => {
                let how = *self.r.pick(&["-j NOTRACK", "-j CT --notrack"]);
                self.add(how);
            }
            "NAT" => self.nat(hook),
            plain => self.add(plain),
        }
    }

    fn reject(&mut self) {
        let tcp = self.protocol == Some((6, false));
        let with = match (self.pool.family, self.r.below(4)) {
            (_, 0) if tcp => " --reject-with tcp-reset",
            (Family::V4, 1) => " --reject-with icmp-host-prohibited",
            (Family::V6, 1) => " --reject-with icmp6-adm-prohibited",
            _ => "",
        };
        self.add(&format!("-j REJECT{with}"));
    }

    fn set_mark(&mut self) {
        let mark = *self.r.pick(&self.pool.marks);
        let how = *self.r.pick(&[
            "--set-mark",
            "--set-xmark",
            "--or-mark",
            "--and-mark",
            "--xor-mark",
            "--set-mark",
        ]);
        let mask = if how.starts_with("--set") && self.r.chance(30) { "/0xff" } else { "" };
        self.add(&format!("-j MARK {how} {mark:#x}{mask}"));
    }

    fn nat(&mut self, hook: Option<&str>) {
        let ports = matches!(self.protocol, Some((6 | 17, false)));
        let target = match hook {
            Some("PREROUTING" | "OUTPUT") => {
                if ports && self.r.chance(50) {
                    format!("-j REDIRECT --to-ports {}", self.pool.port(self.r).max(1))
                } else {
                    let to = match self.pool.family {
                        Family::V4 => *self.r.pick(&["10.20.30.77", "10.20.31.5", "192.0.2.200"]),
                        Family::V6 => *self.r.pick(&["2001:db8:1:2::77", "2001:db8:1:3::5"]),
                    };
                    match (ports && self.r.chance(50), self.pool.family) {
                        (true, Family::V4) => {
                            format!("-j DNAT --to-destination {to}:{}", self.pool.port(self.r).max(1))
                        }
                        (true, Family::V6) => {
                            format!("-j DNAT --to-destination [{to}]:{}", self.pool.port(self.r).max(1))
                        }
                        _ => format!("-j DNAT --to-destination {to}"),
                    }
                }
            }
            Some("POSTROUTING") => "-j MASQUERADE".to_owned(),
            _ => "-j ACCEPT".to_owned(),
        };
        self.add(&target);
    }
}
