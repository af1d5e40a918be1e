//! What to add to a dump so that a flow passes.

use crate::dialect::{Missing, Suggestion};
use crate::model::{Firewall, Hook};
use crate::packet::{Family, Field, IntervalSet, addr, interface_name, proto};

/// The rule to add, and after which line.
pub fn suggest(firewall: &Firewall, missing: &Missing<'_>) -> Option<Suggestion> {
    let chain = firewall.chain(missing.chain);
    let protocol = single(missing.region.get(Field::Proto))? as u8;
    let (source, destination) = (missing.region.get(Field::Src), missing.region.get(Field::Dst));
    // The box's own address says nothing: every packet of its input and output chains has it.
    let own = match firewall.hooks()[missing.chain.index()].as_slice() {
        [Hook::Input] => "-d",
        [Hook::Output] => "-s",
        _ => "",
    };
    let mut lines = vec![String::new()];
    for (flag, set) in [("-s", source), ("-d", destination)] {
        if flag == own {
            continue;
        }
        let limits = addresses(flag, set)?;
        lines = lines.iter().flat_map(|l| limits.iter().map(move |t| format!("{l}{t}"))).collect();
    }
    let mut rest = String::new();
    for (field, flag) in [(Field::Iif, "-i"), (Field::Oif, "-o")] {
        if let Some(v) = single(missing.region.get(field)).filter(|v| *v != 0) {
            rest += &format!(" {flag} {}", interface_name(v));
        }
    }
    let name = match (protocol, addr::family(destination.first()?)) {
        (proto::ICMPV6, _) => "ipv6-icmp".to_owned(),
        (p, _) => proto::name(p),
    };
    rest += &format!(" -p {name}");
    if proto::WITH_PORTS.contains(&protocol) {
        let (field, one, many) = if missing.answers {
            (Field::Sport, "--sport", "--sports")
        } else {
            (Field::Dport, "--dport", "--dports")
        };
        let ports: Vec<String> = missing
            .region
            .get(field)
            .ranges()
            .iter()
            .map(|(lo, hi)| if lo == hi { lo.to_string() } else { format!("{lo}:{hi}") })
            .collect();
        rest += &match ports.as_slice() {
            [p] => format!(" -m {name} {one} {p}"),
            all if all.len() <= 15 => format!(" -m multiport {many} {}", all.join(",")),
            _ => return None,
        };
    }
    let state = if missing.answers || missing.later { "ESTABLISHED" } else { "NEW" };
    rest += &format!(" -m conntrack --ctstate {state} -j ACCEPT");
    let text: Vec<String> = lines.iter().map(|l| format!("-A {}{l}{rest}", chain.name)).collect();
    let (file, after_line) = after(firewall, missing)?;
    Some(Suggestion { file, after_line, text: text.join("\n"), elsewhere: None })
}

fn single(set: &IntervalSet) -> Option<u128> {
    (set.count() == 1).then(|| set.first()).flatten()
}

// So many addresses stand in one rule: iptables takes a list and makes a rule of each.
const MAX_PREFIXES: usize = 64;

// One text for each way of writing a part of the set; a few at most.
fn addresses(flag: &str, set: &IntervalSet) -> Option<Vec<String>> {
    if Family::ALL.iter().any(|f| *set == f.all()) {
        return Some(vec![String::new()]);
    }
    let shown = addr::display(set);
    let (ranges, prefixes): (Vec<_>, Vec<_>) = shown.into_iter().partition(|t| t.contains('-'));
    if ranges.len() > 16 || prefixes.len() > MAX_PREFIXES {
        return None;
    }
    let side = if flag == "-s" { "--src-range" } else { "--dst-range" };
    let mut out = Vec::new();
    if !prefixes.is_empty() {
        let full: Vec<String> = prefixes
            .iter()
            .map(|p| match (p.contains('/'), p.contains(':')) {
                (true, _) => p.clone(),
                (false, true) => format!("{p}/128"),
                (false, false) => format!("{p}/32"),
            })
            .collect();
        out.push(format!(" {flag} {}", full.join(",")));
    }
    out.extend(ranges.iter().map(|r| format!(" -m iprange {side} {r}")));
    Some(out)
}

// The line after which the rule belongs: before the rule that stops the packet, or at the end of the chain.
fn after(firewall: &Firewall, missing: &Missing<'_>) -> Option<(usize, u32)> {
    let chain = firewall.chain(missing.chain);
    let place = |o: crate::source::Origin| -> Option<(usize, u32)> {
        let file = firewall.files.get(o.file as usize)?;
        Some((o.file as usize, file.line_column(o.start as usize).0))
    };
    if let Some(rule) = missing.rule.and_then(|r| chain.rules.get(r)) {
        let (file, line) = place(rule.origin)?;
        return Some((file, line - 1));
    }
    if let Some(last) = chain.rules.last() {
        return place(last.origin);
    }
    // No rule yet: behind the declarations of the table's chains.
    let (file, mut line) = place(chain.origin)?;
    let source = &firewall.files[file];
    while source.bytes().get(source.line_range(line as usize)).is_some_and(|l| l.first() == Some(&b':')) {
        line += 1;
    }
    Some((file, line))
}
