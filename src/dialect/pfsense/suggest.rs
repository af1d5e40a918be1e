//! What to add to a configuration so that a flow passes: a `<rule>`, and where the web interface has it.

use super::facts::Facts;
use super::product::Product;
use super::xml::{self, Element};
use crate::dialect::{Missing, Suggestion};
use crate::model::{Action, Firewall, Rule};
use crate::packet::{Family, Field, IntervalSet, Region, addr, interface_name, proto};
use crate::source::{Origin, SourceFile};
use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};
use std::fmt::Write as _;
use std::net::IpAddr;

/// More rules than this are no suggestion: an alias is wanted.
const MAX_RULES: usize = 12;

/// The rule to add, and after which line. Only flows that rules may let in: what a setting stops (private networks, IPv6) a rule does not open.
pub(super) fn suggest(firewall: &Firewall, missing: &Missing<'_>) -> Option<Suggestion> {
    let chain = firewall.chain(missing.chain);
    let facts = Facts::of(firewall)?;
    let file = firewall.files.first()?;
    // Answers belong to a state, and whatever came in may leave: only the way in wants a rule.
    if chain.name != "in"
        || missing.answers
        || missing.later
        || facts.refused
        || translated(firewall, missing.region)
    {
        return None;
    }
    // An interface that the file does not know has no rules.
    let key = interface_name(single(missing.region.get(Field::Iif)).filter(|v| *v != 0)?);
    let label = firewall.interfaces.iter().find(|i| i.name == key)?.also.last();
    let product = if firewall.dialect == "opnsense" { Product::OpnSense } else { Product::PfSense };
    let decider = chain.rules.get(missing.rule?)?;
    let spot = spot(firewall, file, decider, &chain.rules, &key, product)?;
    let new = New { key: &key, floating: spot.floating, product };
    let rules = new.rules(firewall, missing)?;
    let tab = if spot.floating { "Floating" } else { label.unwrap_or(&key) };
    let mut text =
        format!("{}<!-- Firewall > Rules > {tab}: {} -->\n", spot.indent, spot.place.replace("--", "- -"));
    for rule in rules {
        for line in rule.lines() {
            let _ = writeln!(text, "{}{line}", spot.indent);
        }
    }
    Some(Suggestion {
        file: 0,
        after_line: spot.after_line,
        text: text.trim_end().to_owned(),
        elsewhere: None,
    })
}

// Whether some packet of the region may come to the rules with another destination.
fn translated(firewall: &Firewall, region: &Region) -> bool {
    let meets = |rule: &Rule| {
        let sets = firewall.terms(rule.terms).iter().filter_map(|t| firewall.field_set(t));
        sets.into_iter().all(|(field, set)| region.get(field).intersects(&set))
    };
    let before = firewall.chains.iter().filter(|c| c.name == "translations in");
    before
        .flat_map(|c| &c.rules)
        .any(|r| matches!(r.action, Action::Translate(_) | Action::Unknown(_)) && meets(r))
}

// Where a rule belongs.
struct Spot {
    after_line: u32,
    indent: String,
    floating: bool,
    place: String,
}

// Before the rule that stops the packet; behind the last one where none does.
fn spot(
    firewall: &Firewall,
    file: &SourceFile,
    decider: &Rule,
    all: &[Rule],
    key: &str,
    product: Product,
) -> Option<Spot> {
    let line = |offset: u32| file.line_column(offset as usize).0;
    let Some(note) = decider.note else {
        let text = file.text(decider.origin.start as usize..decider.origin.end as usize);
        let doc = xml::parse(&text, file).ok()?;
        let notes = xml::Notes::of(&doc, product);
        let e = Element::root(&doc, &notes);
        // A record of OPNsense's newer store has an identity that only the product gives.
        if !e.is("rule") || e.at("action").is_some() {
            return None;
        }
        // A rule of an interface never comes before floating ones and those of groups.
        let same_tab = !e.flag("floating") && super::user::split(&e.word("interface")).any(|i| i == key);
        let name = match e.value("descr") {
            Some(d) => format!("above \"{d}\""),
            None => "above the rule that stops it".to_owned(),
        };
        let before = line(decider.origin.start);
        let indent = indent(file, before)?;
        return Some(Spot { after_line: before - 1, indent, floating: !same_tab, place: name });
    };
    let note = firewall.notes.get(note.index())?;
    // These are not quick, so any rule may decide before them.
    if !note.starts_with("default deny") && !note.starts_with("antispoof") {
        return None;
    }
    let place = "at the end".to_owned();
    let written = all.iter().filter(|r| r.note.is_none() && named(firewall, r.origin));
    if let Some(last) = written.map(|r| r.origin).max_by_key(|o| o.end) {
        let indent = indent(file, line(last.start))?;
        return Some(Spot { after_line: line(last.end), indent, floating: false, place });
    }
    let opening = line(decider.origin.start);
    let text = file.text(file.line_range(opening as usize - 1));
    let indent = format!("{}\t", indent(file, opening)?);
    (text.trim() == "<filter>").then_some(Spot { after_line: opening, indent, floating: false, place })
}

fn named(firewall: &Firewall, origin: Origin) -> bool {
    firewall.rule_names.contains_key(&origin)
}

// What stands before the element that begins in a line; `None` if the line begins with something else.
fn indent(file: &SourceFile, line: u32) -> Option<String> {
    let text = file.text(file.line_range(line as usize - 1)).into_owned();
    let rest = text.trim_start();
    rest.starts_with('<').then(|| text[..text.len() - rest.len()].to_owned())
}

fn single(set: &IntervalSet) -> Option<u128> {
    (set.count() == 1).then(|| set.first()).flatten()
}

// Rules to be written.
struct New<'a> {
    key: &'a str,
    floating: bool,
    product: Product,
}

impl New<'_> {
    // One for each pair of source, destination and ports that a rule can name.
    fn rules(&self, firewall: &Firewall, missing: &Missing<'_>) -> Option<Vec<String>> {
        let region = missing.region;
        let protocol = single(region.get(Field::Proto))? as u8;
        let family = addr::family(region.get(Field::Dst).first()?);
        let ports = match proto::WITH_PORTS.contains(&protocol) {
            true => ports(region.get(Field::Dport)),
            false => vec![None],
        };
        let types = region.get(Field::Icmp).ranges();
        let echo = match (protocol, types) {
            (proto::ICMP, [(0x800, hi)]) => *hi <= 0x8ff,
            (proto::ICMPV6, [(0x8000, hi)]) => *hi <= 0x80ff,
            _ => false,
        };
        let sides = [Field::Src, Field::Dst].map(|f| ends(firewall, region.get(f), family));
        // An address that begins so is taken for one below the delegated prefix.
        if sides.iter().flatten().any(|e| e.contains(">::")) {
            return None;
        }
        if sides[0].len() * sides[1].len() * ports.len() > MAX_RULES {
            return None;
        }
        let name = match protocol {
            proto::ICMPV6 | proto::ICMP => "icmp".to_owned(),
            p => proto::name(p),
        };
        let mut out = Vec::new();
        for from in &sides[0] {
            for to in &sides[1] {
                for port in &ports {
                    out.push(self.rule(family, &name, echo, from, to, port.as_deref()));
                }
            }
        }
        Some(out)
    }

    fn rule(
        &self,
        family: Family,
        protocol: &str,
        echo: bool,
        from: &str,
        to: &str,
        port: Option<&str>,
    ) -> String {
        let inet = if family == Family::V6 { "inet6" } else { "inet" };
        let quick = if self.product == Product::OpnSense { "1" } else { "yes" };
        let mut s = format!("<rule>\n\t<type>pass</type>\n\t<interface>{}</interface>\n", self.key);
        if self.floating {
            let _ = writeln!(
                s,
                "\t<floating>yes</floating>\n\t<quick>{quick}</quick>\n\t<direction>in</direction>"
            );
        }
        let _ = writeln!(s, "\t<ipprotocol>{inet}</ipprotocol>\n\t<protocol>{protocol}</protocol>");
        if echo && (self.product == Product::PfSense || family == Family::V4) {
            s += "\t<icmptype>echoreq</icmptype>\n";
        }
        let _ = writeln!(s, "\t<source>\n\t\t{from}\n\t</source>");
        let port = port.map(|p| format!("\n\t\t<port>{p}</port>")).unwrap_or_default();
        let _ = writeln!(s, "\t<destination>\n\t\t{to}{port}\n\t</destination>");
        s += "\t<descr><![CDATA[required flow, proposed by havenlint]]></descr>\n</rule>";
        s
    }
}

// Ports as rules write them; `None` = all.
fn ports(set: &IntervalSet) -> Vec<Option<String>> {
    if *set == Field::Dport.all() {
        return vec![None];
    }
    let one = |(lo, hi): &(u128, u128)| if lo == hi { lo.to_string() } else { format!("{lo}-{hi}") };
    set.ranges().iter().map(|r| Some(one(r))).collect()
}

// Elements that name the addresses: everything, an alias that holds just these, or each network.
fn ends(firewall: &Firewall, set: &IntervalSet, family: Family) -> Vec<String> {
    if *set == family.all() {
        return vec!["<any></any>".to_owned()];
    }
    let aliases = Facts::of(firewall).map(|f| f.aliases.as_slice()).unwrap_or_default();
    let same = |a: &&super::facts::AliasFact| {
        a.addresses.as_ref().is_some_and(|known| known.intersect(&family.all()) == *set)
    };
    if set.ranges().len() > 1
        && let Some(alias) = aliases.iter().find(same)
    {
        return vec![format!("<address>{}</address>", alias.name)];
    }
    let prefixes = set.ranges().iter().flat_map(|(lo, hi)| prefixes(addr::addr(*lo), addr::addr(*hi)));
    prefixes.take(MAX_RULES + 1).map(|p| format!("<address>{p}</address>")).collect()
}

// A rule names no range: the networks that make it up.
fn prefixes(lo: IpAddr, hi: IpAddr) -> Vec<String> {
    let shown =
        |n: IpNet| if n.prefix_len() == n.max_prefix_len() { n.addr().to_string() } else { n.to_string() };
    let subnets: IpSubnets = match (lo, hi) {
        (IpAddr::V4(a), IpAddr::V4(b)) => Ipv4Subnets::new(a, b, 0).into(),
        (IpAddr::V6(a), IpAddr::V6(b)) => Ipv6Subnets::new(a, b, 0).into(),
        _ => return Vec::new(),
    };
    subnets.take(MAX_RULES + 1).map(shown).collect()
}
