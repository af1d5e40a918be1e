//! A reader and evaluator of pf rules as text: last match wins, `quick` stops (pf.conf(5)).

use std::collections::BTreeMap;
use std::net::IpAddr;

/// A packet at one interface, in one direction.
#[derive(Debug, Clone)]
pub struct Seen {
    pub inbound: bool,
    pub interface: String,
    pub src: IpAddr,
    pub dst: IpAddr,
    pub proto: u8,
    pub sport: u16,
    pub dport: u16,
    pub icmp: u8,
    pub flags: u8,
    pub tag: String,
    pub stateless: bool,
}

#[derive(Debug, Default)]
pub struct Pf {
    tables: BTreeMap<String, Vec<(bool, IpAddr, u8)>>,
    groups: BTreeMap<String, Vec<String>>,
    nat: Vec<Rule>,
    filter: Vec<Rule>,
}

#[derive(Debug, Default, Clone)]
struct Rule {
    line: String,
    action: String,
    pass: bool,
    direction: Option<bool>,
    quick: bool,
    on: Option<(bool, String)>,
    family: Option<u8>,
    protos: Vec<u8>,
    from: Vec<String>,
    to: Vec<String>,
    sport: Vec<Port>,
    dport: Vec<Port>,
    icmp: Vec<u8>,
    flags: Option<(u8, u8)>,
    flags_any: bool,
    stateless: bool,
    tag: Option<String>,
    tagged: Option<(bool, String)>,
    target: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Port {
    Between(u16, u16),
    Excluding(u32, u32),
    Least(u16),
    Most(u16),
}

impl Port {
    fn holds(self, p: u16) -> bool {
        match self {
            Port::Between(a, b) => (a..=b).contains(&p),
            Port::Excluding(a, b) => u32::from(p) > a && u32::from(p) < b,
            Port::Least(a) => p >= a,
            Port::Most(b) => p <= b,
        }
    }
}

fn net(text: &str) -> Option<(IpAddr, u8)> {
    match text.split_once('/') {
        Some((a, n)) => Some((a.parse().ok()?, n.parse().ok()?)),
        None => {
            let a: IpAddr = text.parse().ok()?;
            Some((a, if a.is_ipv4() { 32 } else { 128 }))
        }
    }
}

fn inside(a: IpAddr, (base, length): (IpAddr, u8)) -> bool {
    match (a, base) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            length == 0 || (a.to_bits() ^ b.to_bits()) >> (32 - u32::from(length)) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            length == 0 || (a.to_bits() ^ b.to_bits()) >> (128 - u32::from(length)) == 0
        }
        _ => false,
    }
}

pub fn family(a: IpAddr) -> u8 {
    if a.is_ipv4() { 4 } else { 6 }
}

const SHORT: &str = "FSRPAUEW";

fn bits(letters: &str) -> u8 {
    letters.chars().filter_map(|c| SHORT.find(c)).fold(0, |b, i| b | 1 << i)
}

struct Words<'a>(std::iter::Peekable<std::str::SplitWhitespace<'a>>);

impl<'a> Words<'a> {
    fn take(&mut self, word: &str) -> bool {
        self.0.next_if(|w| *w == word).is_some()
    }

    // One word, or the words of a `{ list }`.
    fn list(&mut self) -> Vec<&'a str> {
        if self.take("{") {
            let mut out = Vec::new();
            for w in self.0.by_ref() {
                if w == "}" {
                    break;
                }
                out.push(w);
            }
            return out;
        }
        if self.take("!") {
            return vec![Box::leak(format!("!{}", self.0.next().unwrap()).into_boxed_str())];
        }
        self.0.next().into_iter().collect()
    }

    fn ports(&mut self) -> Vec<Port> {
        let words = self.list();
        let number = |t: &str| t.parse::<u16>().unwrap_or_else(|_| panic!("port {t}"));
        match words[..] {
            [">="] => vec![Port::Least(number(self.0.next().unwrap()))],
            ["<="] => vec![Port::Most(number(self.0.next().unwrap()))],
            [one] if self.take("><") => {
                vec![Port::Excluding(one.parse().unwrap(), self.0.next().unwrap().parse().unwrap())]
            }
            _ => words
                .iter()
                .map(|w| {
                    let (a, b) = w.split_once(':').unwrap_or((w, w));
                    Port::Between(number(a), number(b))
                })
                .collect(),
        }
    }
}

fn proto_number(name: &str) -> u8 {
    match name {
        "icmp" => 1,
        "tcp" => 6,
        "udp" => 17,
        "ipv6" => 41,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "ipv6-icmp" => 58,
        "carp" => 112,
        other => other.parse().unwrap_or_else(|_| panic!("protocol {other}")),
    }
}

impl Pf {
    /// Reads a ruleset; an error is what pfctl would refuse.
    pub fn load(text: &str) -> Result<Self, String> {
        let mut out = Pf::default();
        let mut macros: BTreeMap<String, String> = BTreeMap::new();
        for line in text.lines().filter(|l| !l.is_empty()) {
            let mut line = line.to_owned();
            for (name, value) in &macros {
                line = line.replace(&format!("${name} "), &format!("{value} "));
            }
            if line.contains('$') {
                return Err(format!("undefined macro: {line}"));
            }
            if let Some((name, value)) = line.split_once(" = ") {
                macros.insert(name.to_owned(), value.trim_matches('"').to_owned());
                continue;
            }
            let mut words = Words(line.split_whitespace().peekable());
            match *words.0.peek().unwrap() {
                "table" => {
                    words.0.next();
                    let name = words.0.next().unwrap().to_owned();
                    let entries = words.list().into_iter().map(|w| {
                        let (no, w) = w.strip_prefix('!').map_or((false, w), |w| (true, w));
                        let (a, n) = net(w).unwrap_or_else(|| panic!("table entry {w}"));
                        (no, a, n)
                    });
                    let entries = entries.collect();
                    out.tables.insert(name, entries);
                }
                "group" => {
                    words.0.next();
                    let name = words.0.next().unwrap().to_owned();
                    out.groups.insert(name, words.0.map(str::to_owned).collect());
                }
                "rdr" | "nat" | "binat" | "no" => out.nat.push(rule(&line)?),
                _ => out.filter.push(rule(&line)?),
            }
        }
        Ok(out)
    }

    fn hosts(&self, specs: &[String], a: IpAddr) -> bool {
        specs.iter().any(|spec| {
            let (no, spec) = spec.strip_prefix('!').map_or((false, spec.as_str()), |s| (true, s));
            let member = if spec == "any" {
                true
            } else if spec.starts_with('<') {
                let table = &self.tables[spec];
                let best = table.iter().filter(|(_, n, l)| inside(a, (*n, *l))).max_by_key(|e| e.2);
                best.is_some_and(|e| !e.0)
            } else {
                let n = net(spec).unwrap_or_else(|| panic!("host {spec}"));
                // A member of the other family makes no rule for this one.
                if family(n.0) != family(a) {
                    return false;
                }
                inside(a, n)
            };
            member != no
        })
    }

    fn matches(&self, r: &Rule, p: &Seen) -> bool {
        let on = r.on.as_ref().is_none_or(|(no, name)| {
            let hit = *name == p.interface || self.groups.get(name).is_some_and(|g| g.contains(&p.interface));
            hit != *no
        });
        let ported = [6, 17, 33, 132, 136].contains(&p.proto);
        let ports = |list: &[Port], v: u16| list.is_empty() || ported && list.iter().any(|x| x.holds(v));
        let flags = match r.flags {
            Some((set, mask)) => p.proto != 6 || p.flags & mask == set,
            None if r.action == "pass" && !r.stateless && !r.flags_any => {
                p.proto != 6 || p.flags & bits("SA") == bits("S")
            }
            None => true,
        };
        on && r.direction.is_none_or(|d| d == p.inbound)
            && r.family.is_none_or(|f| f == family(p.src))
            && (r.protos.is_empty() || r.protos.contains(&p.proto))
            && self.hosts(&r.from, p.src)
            && self.hosts(&r.to, p.dst)
            && ports(&r.sport, p.sport)
            && ports(&r.dport, p.dport)
            && (r.icmp.is_empty() || r.icmp.contains(&p.icmp))
            && flags
            && r.tagged.as_ref().is_none_or(|(no, t)| (*t == p.tag) != *no)
    }

    /// The filter's verdict, and the rule that gave it.
    pub fn filter(&self, p: &mut Seen) -> (bool, String) {
        let mut last: Option<&Rule> = None;
        for r in &self.filter {
            if !self.matches(r, p) {
                continue;
            }
            if let Some(t) = &r.tag {
                p.tag.clone_from(t);
            }
            if r.action != "match" {
                last = Some(r);
                if r.quick {
                    break;
                }
            }
        }
        p.stateless |= last.is_some_and(|r| r.stateless);
        last.map_or((true, "no match".to_owned()), |r| (r.action == "pass", r.line.clone()))
    }

    /// Translates; `Some(true)` if a filter rule is not to be asked any more.
    pub fn translate(&self, p: &mut Seen, rdr_first: bool) -> bool {
        // binat is looked up before nat; for incoming packets the order of binat and rdr is not certain.
        let order = match (p.inbound, rdr_first) {
            (true, true) => ["rdr", "binat"],
            (true, false) => ["binat", "rdr"],
            (false, _) => ["binat", "nat"],
        };
        for wanted in order {
            for r in self.nat.iter().filter(|r| r.action == wanted) {
                if wanted == "binat" && p.inbound {
                    // Reversed: to the external address, from whom the rule names as destination.
                    let external = net(&r.target[0]).unwrap();
                    let turned = Rule { from: r.to.clone(), to: vec![r.target[0].clone()], ..r.clone() };
                    if self.matches(&Rule { flags_any: true, ..turned }, p) {
                        if let Some(internal) = net(&r.from[0]) {
                            p.dst = shift(p.dst, external, internal);
                        }
                        return false;
                    }
                    continue;
                }
                if !self.matches(&Rule { flags_any: true, ..r.clone() }, p) {
                    continue;
                }
                if r.target.is_empty() {
                    return r.pass;
                }
                if let Some(t) = &r.tag {
                    p.tag.clone_from(t);
                }
                let to = net(&r.target[0]).unwrap();
                match wanted {
                    "binat" => p.src = shift(p.src, net(&r.from[0]).unwrap(), to),
                    "nat" => {
                        p.src = to.0;
                        // `port 1024:65535`: one of these, which no test rule tells apart.
                        p.sport = 50_000;
                    }
                    _ => {
                        p.dst = to.0;
                        if let Some(port) = r.target.get(2)
                            && [6, 17].contains(&p.proto)
                        {
                            let first = match r.dport[..] {
                                [Port::Between(a, b)] if a < b => a,
                                _ => p.dport,
                            };
                            let base: u16 = port.trim_end_matches(":*").parse().unwrap();
                            p.dport = base + (p.dport - first);
                        }
                    }
                }
                return r.pass;
            }
        }
        false
    }
}

fn shift(a: IpAddr, from: (IpAddr, u8), to: (IpAddr, u8)) -> IpAddr {
    match (a, from.0, to.0) {
        (IpAddr::V4(a), IpAddr::V4(_), IpAddr::V4(t)) => {
            let host = if from.1 == 32 { 0 } else { u32::MAX >> from.1 };
            IpAddr::V4(((t.to_bits() & !host) | (a.to_bits() & host)).into())
        }
        (IpAddr::V6(a), IpAddr::V6(_), IpAddr::V6(t)) => {
            let host = if from.1 == 128 { 0 } else { u128::MAX >> from.1 };
            IpAddr::V6(((t.to_bits() & !host) | (a.to_bits() & host)).into())
        }
        _ => to.0,
    }
}

fn rule(line: &str) -> Result<Rule, String> {
    let mut w = Words(line.split_whitespace().peekable());
    let mut r = Rule { line: line.to_owned(), ..Rule::default() };
    let no = w.take("no");
    r.action = w.0.next().unwrap().to_owned();
    r.pass = matches!(r.action.as_str(), "rdr" | "nat" | "binat") && w.take("pass");
    w.take("return");
    for (word, inbound) in [("in", true), ("out", false)] {
        if w.take(word) {
            r.direction = Some(inbound);
        }
    }
    r.quick = w.take("quick");
    if w.take("on") {
        let no = w.take("!");
        r.on = Some((no, w.0.next().unwrap().to_owned()));
    }
    for (word, f) in [("inet", 4), ("inet6", 6)] {
        if w.take(word) {
            r.family = Some(f);
        }
    }
    if w.take("proto") {
        r.protos = w.list().iter().map(|p| proto_number(p)).collect();
    }
    assert!(w.take("from"), "{line}");
    r.from = w.list().iter().map(|s| (*s).to_owned()).collect();
    if w.take("port") {
        r.sport = w.ports();
    }
    assert!(w.take("to"), "{line}");
    r.to = w.list().iter().map(|s| (*s).to_owned()).collect();
    if w.take("port") {
        r.dport = w.ports();
    }
    if w.take("tag") {
        r.tag = w.0.next().map(str::to_owned);
    }
    if w.take("->") {
        r.target = w.0.by_ref().map(str::to_owned).collect();
        return Ok(r);
    }
    if no {
        return Ok(r);
    }
    while let Some(word) = w.0.next() {
        match word {
            "flags" => match w.0.next().unwrap() {
                "any" => r.flags_any = true,
                f => {
                    let (set, mask) = f.split_once('/').unwrap();
                    r.flags = Some((bits(set), bits(mask)));
                }
            },
            "icmp-type" | "icmp6-type" => r.icmp = w.list().iter().map(|t| t.parse().unwrap()).collect(),
            "keep" => assert!(w.take("state")),
            "no" => {
                assert!(w.take("state"));
                r.stateless = true;
            }
            "tag" => r.tag = w.0.next().map(str::to_owned),
            "tagged" => r.tagged = w.0.next().map(|t| (false, t.to_owned())),
            "!" => {
                assert!(w.take("tagged"));
                r.tagged = w.0.next().map(|t| (true, t.to_owned()));
            }
            other => panic!("{other} in {line}"),
        }
    }
    check_families(&r)?;
    Ok(r)
}

// "rule expands to no valid combination".
fn check_families(r: &Rule) -> Result<(), String> {
    let Some(f) = r.family else { return Ok(()) };
    for list in [&r.from, &r.to] {
        let fits = |s: &String| {
            let s = s.trim_start_matches('!');
            s == "any" || s.starts_with('<') || net(s).is_some_and(|n| family(n.0) == f)
        };
        if !list.is_empty() && !list.iter().any(fits) {
            return Err(format!("no valid combination: {}", r.line));
        }
    }
    Ok(())
}
