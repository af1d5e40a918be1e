//! What to add to a ruleset so that a flow passes.
//!
//! A rule goes above the one that stops the packet, or behind the last one of a chain whose policy does: as a line of the chain's block, or as a
//! command where the file is made of commands. Where lines do not tell (a whole chain on one line), it is a command behind everything else.

use crate::dialect::{Missing, Suggestion};
use crate::model::{Action, BaseChain, ChainId, Firewall, Hook};
use crate::packet::{Family, Field, IntervalSet, addr, interface_name, proto};
use crate::source::{Origin, SourceFile};

// Longer lists of addresses or ports are not spelled out.
const MAX_LISTED: usize = 16;

/// The rule to add, and after which line.
pub(super) fn suggest(firewall: &Firewall, missing: &Missing<'_>) -> Option<Suggestion> {
    let place = Place::of(firewall, missing)?;
    let bases = leading(firewall, place.chain);
    let flow = Flow::of(firewall, missing, &place, &bases)?;
    if firewall.dialect == "nftables-json" {
        return json(firewall, &place, &flow);
    }
    Some(text(firewall, &place, &flow.text()))
}

/// Where the packet is stopped.
struct Place {
    // A chain that the file names.
    chain: ChainId,
    // The rule that stops it, or the last one of the chain; `None` if there is none.
    rule: Option<Origin>,
    // The policy stops it.
    policy: Option<Origin>,
}

impl Place {
    // Chains that the model makes of parts of a rule stand for that rule.
    fn of(f: &Firewall, missing: &Missing<'_>) -> Option<Self> {
        let mut chain = missing.chain;
        let rules = &f.chain(chain).rules;
        let mut rule = match missing.rule {
            Some(i) => Some(rules.get(i)?.origin),
            None => rules.last().map(|r| r.origin),
        };
        // Such chains nest no deeper than rules do.
        for _ in 0..64 {
            let at = f.chain(chain).origin;
            let outer = f.chains.iter().enumerate().find_map(|(c, outer)| {
                let jump = outer.rules.iter().find(|r| {
                    matches!(r.action, Action::Jump(to) | Action::Goto(to) if to == chain)
                        && holds(r.origin, at)
                })?;
                Some((ChainId(c as u32), jump.origin))
            });
            let Some((outer, origin)) = outer else { break };
            (chain, rule) = (outer, Some(origin));
        }
        let base = f.base_chains.iter().find(|b| b.chain == chain);
        let policy = base.filter(|_| missing.rule.is_none()).map(|b| b.policy_origin);
        Some(Self { chain, rule, policy })
    }
}

fn holds(outer: Origin, inner: Origin) -> bool {
    outer.file == inner.file && outer.start <= inner.start && inner.end <= outer.end
}

/// Base chains that lead to a chain.
fn leading(f: &Firewall, chain: ChainId) -> Vec<&BaseChain> {
    let mut seen = vec![false; f.chains.len()];
    let mut work = vec![chain];
    while let Some(c) = work.pop() {
        if std::mem::replace(&mut seen[c.index()], true) {
            continue;
        }
        let leads = |rules: &[crate::model::Rule]| {
            rules.iter().any(|r| matches!(r.action, Action::Jump(to) | Action::Goto(to) if to == c))
        };
        work.extend(
            f.chains.iter().enumerate().filter(|(_, o)| leads(&o.rules)).map(|(i, _)| ChainId(i as u32)),
        );
    }
    f.base_chains.iter().filter(|b| seen[b.chain.index()]).collect()
}

/// A flow as the parts of a rule.
struct Flow {
    // `inet filter`.
    table: String,
    chain: String,
    family: Family,
    // The rule must name the family, because no address does.
    names_family: bool,
    source: Vec<String>,
    destination: Vec<String>,
    input: Option<String>,
    output: Option<String>,
    protocol: String,
    // Field and values; empty values = all.
    ports: (&'static str, Vec<String>),
    state: Option<&'static str>,
}

impl Flow {
    fn of(f: &Firewall, missing: &Missing<'_>, place: &Place, bases: &[&BaseChain]) -> Option<Self> {
        let region = missing.region;
        let single = |field| {
            let set = region.get(field);
            (set.count() == 1).then(|| set.first()).flatten()
        };
        let number = u8::try_from(single(Field::Proto)?).ok()?;
        let family = addr::family(region.get(Field::Dst).first()?);
        // The box's own address says nothing: every packet of its input and output chains has it.
        let only = |hook: Hook| !bases.is_empty() && bases.iter().all(|b| b.hook == hook);
        let source = if only(Hook::Output) { Vec::new() } else { addresses(region.get(Field::Src), family)? };
        let destination =
            if only(Hook::Input) { Vec::new() } else { addresses(region.get(Field::Dst), family)? };
        let interface = |field| single(field).filter(|v| *v != 0).map(interface_name);
        let ports = match (proto::WITH_PORTS.contains(&number), missing.answers) {
            (false, _) => ("", Vec::new()),
            (true, true) => ("sport", ports(region.get(Field::Sport))?),
            (true, false) => ("dport", ports(region.get(Field::Dport))?),
        };
        // Before the tracker has seen a packet it has no state to ask for.
        let untracked =
            |b: &&BaseChain| matches!(b.hook, Hook::Prerouting | Hook::Output) && b.priority <= -200;
        let state = (!bases.iter().any(untracked)).then_some(if missing.answers || missing.later {
            "established"
        } else {
            "new"
        });
        let chain = f.chain(place.chain);
        let names_family = chain.table.starts_with("inet ") && source.is_empty() && destination.is_empty();
        let protocol = match number {
            proto::ICMPV6 => "ipv6-icmp".to_owned(),
            p => proto::name(p),
        };
        Some(Self {
            table: chain.table.clone(),
            chain: chain.name.clone(),
            family,
            names_family,
            source,
            destination,
            input: interface(Field::Iif),
            output: interface(Field::Oif),
            protocol,
            ports,
            state,
        })
    }

    /// In nft's words.
    fn text(&self) -> String {
        let ip = if self.family == Family::V4 { "ip" } else { "ip6" };
        let mut parts = Vec::new();
        for (name, interface) in [("iifname", &self.input), ("oifname", &self.output)] {
            parts.extend(interface.as_ref().map(|i| format!("{name} \"{i}\"")));
        }
        if self.names_family {
            parts.push(format!("meta nfproto {}", if self.family == Family::V4 { "ipv4" } else { "ipv6" }));
        }
        for (name, list) in [("saddr", &self.source), ("daddr", &self.destination)] {
            parts.extend(one_of(list).map(|v| format!("{ip} {name} {v}")));
        }
        parts.push(match one_of(&self.ports.1) {
            Some(v) => format!("{} {} {v}", self.protocol, self.ports.0),
            None => format!("meta l4proto {}", self.protocol),
        });
        parts.extend(self.state.map(|s| format!("ct state {s}")));
        parts.push("accept".to_owned());
        parts.join(" ")
    }
}

fn one_of(list: &[String]) -> Option<String> {
    match list {
        [] => None,
        [one] => Some(one.clone()),
        all => Some(format!("{{ {} }}", all.join(", "))),
    }
}

// Empty: all of the family.
fn addresses(set: &IntervalSet, family: Family) -> Option<Vec<String>> {
    if *set == family.all() {
        return Some(Vec::new());
    }
    let shown = addr::display(set);
    (shown.len() <= MAX_LISTED).then_some(shown)
}

// Empty: all.
fn ports(set: &IntervalSet) -> Option<Vec<String>> {
    if *set == Field::Dport.all() {
        return Some(Vec::new());
    }
    let shown: Vec<String> = set
        .ranges()
        .iter()
        .map(|(lo, hi)| if lo == hi { lo.to_string() } else { format!("{lo}-{hi}") })
        .collect();
    (shown.len() <= MAX_LISTED).then_some(shown)
}

/// A line of a file.
struct Line<'a> {
    // From 1.
    number: u32,
    // Its first byte.
    start: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn at(file: &'a SourceFile, byte: u32) -> Option<Self> {
        let number = file.line_column(byte as usize).0;
        let range = file.line_range(number as usize - 1);
        let text = std::str::from_utf8(file.bytes().get(range.clone())?).ok()?;
        Some(Self { number, start: range.start, text })
    }

    fn indent(&self) -> &'a str {
        &self.text[..self.text.len() - self.text.trim_start().len()]
    }
}

// How a rule stands in its file.
enum Style {
    // Alone on its lines, in a block.
    Block,
    // `add rule …`.
    Command,
}

/// Whether a rule has its lines for itself.
pub(super) fn alone(f: &Firewall, rule: Origin) -> bool {
    f.files.get(rule.file as usize).is_some_and(|file| style(file, rule).is_some())
}

fn style(file: &SourceFile, rule: Origin) -> Option<Style> {
    // A whole ruleset may stand on one line: what is behind the first sign is not looked at.
    let line = |byte: u32| file.line_range(file.line_of(byte as usize));
    let (first, last) = (line(rule.start), line(rule.end.saturating_sub(1).max(rule.start)));
    let bytes = file.bytes();
    let behind = bytes.get(rule.end as usize..last.end)?.trim_ascii_start();
    let semicolons = behind.iter().take_while(|b| **b == b';').count();
    if !matches!(behind[semicolons..].trim_ascii_start(), [] | [b'#', ..]) {
        return None;
    }
    let before = bytes.get(first.start..rule.start as usize)?.trim_ascii_start();
    match before {
        [] => Some(Style::Block),
        b if (b.starts_with(b"add ") || b.starts_with(b"rule "))
            && memchr::memchr3(b';', b'{', b'}', b).is_none() =>
        {
            Some(Style::Command)
        }
        _ => None,
    }
}

fn text(f: &Firewall, place: &Place, rule: &str) -> Suggestion {
    beside(f, place, rule).unwrap_or_else(|| {
        // Behind everything else: at the top of the chain, or at its end where the policy is what stops the packet.
        let chain = f.chain(place.chain);
        let verb = if place.policy.is_some() { "add" } else { "insert" };
        let lines = f.files.first().map_or(0, |f| last_line(f));
        let text = format!("{verb} rule {} {} {rule}", chain.table, chain.name);
        Suggestion { file: 0, after_line: lines, text, elsewhere: None }
    })
}

fn last_line(file: &SourceFile) -> u32 {
    let bytes = file.bytes();
    let end = bytes.len() - usize::from(bytes.last() == Some(&b'\n'));
    file.line_column(end.saturating_sub(1)).0
}

fn beside(f: &Firewall, place: &Place, rule: &str) -> Option<Suggestion> {
    let chain = f.chain(place.chain);
    let Some(at) = place.rule else {
        // No rule yet: behind the line that states the policy.
        let at = place.policy?;
        let file = f.files.get(at.file as usize)?;
        let line = Line::at(file, at.start)?;
        let inside = !line.text.contains(['{', '}']);
        let text = format!("{}{rule}", line.indent());
        return inside.then_some(Suggestion {
            file: at.file as usize,
            after_line: line.number,
            text,
            elsewhere: None,
        });
    };
    let file = f.files.get(at.file as usize)?;
    let (first, last) = (Line::at(file, at.start)?, Line::at(file, at.end.saturating_sub(1))?);
    let text = match style(file, at)? {
        Style::Block => format!("{}{rule}", first.indent()),
        Style::Command => format!("{}add rule {} {} {rule}", first.indent(), chain.table, chain.name),
    };
    let after_line = if place.policy.is_some() { last.number } else { first.number - 1 };
    Some(Suggestion { file: at.file as usize, after_line, text, elsewhere: None })
}

// An object of its own above that of the rule: only where that one begins a line. The policy stops the packet: above the last rule
// does as well as behind it, and needs no comma elsewhere.
fn json(f: &Firewall, place: &Place, flow: &Flow) -> Option<Suggestion> {
    let at = place.rule?;
    let file = f.files.get(at.file as usize)?;
    // The origin of a rule is its list of statements; its object is the outermost one that begins before it: `{"rule": {`.
    let before = file.bytes().get(..at.start as usize)?;
    let start = memchr::memmem::rfind(before, b"\"rule\"")?;
    let start = memchr::memrchr(b'{', &before[..start])?;
    let line = Line::at(file, start as u32)?;
    if file.bytes().get(line.start..start)?.iter().any(|b| !b.is_ascii_whitespace()) {
        return None;
    }
    let text = format!("{}{},", line.indent(), flow.json()?);
    Some(Suggestion { file: at.file as usize, after_line: line.number - 1, text, elsewhere: None })
}

impl Flow {
    /// As an object of libnftables-json(5).
    fn json(&self) -> Option<serde_json::Value> {
        use serde_json::{Value, json};
        let value = |v: &String| -> Value {
            if let Some((base, length)) = v.split_once('/') {
                return json!({"prefix": {"addr": base, "len": length.parse::<u8>().unwrap_or(0)}});
            }
            if let Some((lo, hi)) = v.split_once('-') {
                let end = |t: &str| t.parse::<u16>().map_or_else(|_| json!(t), |n| json!(n));
                return json!({"range": [end(lo), end(hi)]});
            }
            v.parse::<u16>().map_or_else(|_| json!(v), |n| json!(n))
        };
        let any_of = |list: &[String]| match list {
            [one] => value(one),
            all => json!({"set": all.iter().map(value).collect::<Vec<_>>()}),
        };
        let equals = |left: Value, right: Value| json!({"match": {"op": "==", "left": left, "right": right}});
        let ip = if self.family == Family::V4 { "ip" } else { "ip6" };
        let mut list = Vec::new();
        for (key, interface) in [("iifname", &self.input), ("oifname", &self.output)] {
            list.extend(interface.as_ref().map(|i| equals(json!({"meta": {"key": key}}), json!(i))));
        }
        if self.names_family {
            let family = if self.family == Family::V4 { "ipv4" } else { "ipv6" };
            list.push(equals(json!({"meta": {"key": "nfproto"}}), json!(family)));
        }
        for (field, addresses) in [("saddr", &self.source), ("daddr", &self.destination)] {
            if !addresses.is_empty() {
                list.push(equals(json!({"payload": {"protocol": ip, "field": field}}), any_of(addresses)));
            }
        }
        list.push(match self.ports.1.as_slice() {
            [] => equals(json!({"meta": {"key": "l4proto"}}), json!(self.protocol)),
            ports => {
                equals(json!({"payload": {"protocol": self.protocol, "field": self.ports.0}}), any_of(ports))
            }
        });
        list.extend(
            self.state.map(|s| json!({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": s}})),
        );
        list.push(json!({"accept": null}));
        let (family, table) = self.table.split_once(' ')?;
        Some(json!({"rule": {"family": family, "table": table, "chain": self.chain, "expr": list}}))
    }
}
