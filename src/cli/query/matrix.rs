//! `query --matrix`: who can open a connection to which service, networks × services.

use super::names::{INTERNET, Names};
use crate::analysis::decide::{Answer, Part, Question};
use crate::analysis::flow::numbers;
use crate::model::{Action, Firewall, Term};
use crate::packet::{Field, IntervalSet, Region, Value, addr, proto};
use crate::report::csv::safe;
use crate::report::markdown::escape;
use crate::report::tables::lay_out;
use crate::report::text::{Ink, Paint, clean};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use tabled::builder::Builder;
use tabled::settings::Alignment;

/// Services that get a row, and networks that get a column, where nobody names them.
const MAX_SERVICES: usize = 20;
const MAX_NETWORKS: usize = 10;
/// A range of more ports is no service.
const MAX_RANGE: Value = 16;

/// The table of one box.
#[derive(Debug, Serialize)]
pub struct Matrix {
    /// The box, where there are several.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where connections come from.
    pub networks: Vec<String>,
    /// What they go to.
    pub services: Vec<String>,
    /// For each network and service: `open`, `closed`, `partly` (some addresses of the network, some destinations, or some interfaces) or
    /// `undecided`.
    pub cells: Vec<Vec<&'static str>>,
    /// Networks and services that got no place.
    pub left_out: Vec<String>,
}

/// A kind of packets with a name.
pub struct Service {
    /// `tcp/22`, `other tcp`.
    pub name: String,
    protocols: IntervalSet,
    ports: IntervalSet,
}

/// The services that rules let in by port, the most used of them, and all others by protocol; with the names of those left out.
pub fn services(firewalls: &[&Firewall]) -> (Vec<Service>, Vec<String>) {
    let mut used: BTreeMap<(u8, (Value, Value)), usize> = BTreeMap::new();
    for f in firewalls {
        for rule in f.chains.iter().flat_map(|c| &c.rules) {
            if matches!(rule.action, Action::Drop | Action::Reject) {
                continue;
            }
            let terms = f.terms(rule.terms).iter().filter_map(|t| f.field_set(t));
            let sets: Vec<(Field, IntervalSet)> = terms.collect();
            let of = |field: Field| sets.iter().filter(move |(x, _)| *x == field).map(|(_, s)| s);
            for p in [proto::TCP, proto::UDP] {
                if !of(Field::Proto).all(|s| s.contains(p.into())) {
                    continue;
                }
                for range in of(Field::Dport).flat_map(|s| s.ranges()).filter(|(a, b)| b - a < MAX_RANGE) {
                    *used.entry((p, *range)).or_default() += 1;
                }
            }
        }
    }
    let mut ranked: Vec<_> = used.into_iter().collect();
    ranked.sort_by_key(|(key, n)| (std::cmp::Reverse(*n), *key));
    let name = |p: u8, range: (Value, Value)| {
        format!("{}/{}", proto::name(p), numbers(&IntervalSet::range(range.0, range.1)).join(","))
    };
    let rest = ranked.split_off(ranked.len().min(MAX_SERVICES));
    let left_out = rest.into_iter().map(|((p, r), _)| name(p, r)).collect();
    ranked.sort_by_key(|(key, _)| *key);
    let mut out: Vec<Service> = ranked
        .iter()
        .map(|((p, range), _)| Service {
            name: name(*p, *range),
            protocols: IntervalSet::single(*p),
            ports: IntervalSet::range(range.0, range.1),
        })
        .collect();
    for p in [proto::TCP, proto::UDP] {
        let own = ranked.iter().filter(|((q, _), _)| *q == p).map(|((_, r), _)| *r);
        let ports = Field::Dport.complement(&IntervalSet::from_ranges(own));
        out.push(Service {
            name: format!("other {}", proto::name(p)),
            protocols: IntervalSet::single(p),
            ports,
        });
    }
    let known: IntervalSet =
        [proto::TCP, proto::UDP, proto::ICMP, proto::ICMPV6].into_iter().map(Value::from).collect();
    let icmp: IntervalSet = [proto::ICMP, proto::ICMPV6].into_iter().map(Value::from).collect();
    for (name, protocols) in [("icmp", icmp), ("other protocols", Field::Proto.complement(&known))] {
        out.push(Service { name: name.to_owned(), protocols, ports: Field::Dport.all() });
    }
    (out, left_out)
}

/// The networks that have names, and the Internet; where few have, those that rules name too.
pub fn networks(firewalls: &[&Firewall], names: &Names) -> (Vec<(String, IntervalSet)>, Vec<String>) {
    // Of a node its own name says enough.
    let own = names.0.iter().filter(|(n, _)| *n != INTERNET && !n.contains('.'));
    let mut out: Vec<(String, IntervalSet)> = own.map(|(n, s)| (n.clone(), s.clone())).collect();
    if out.is_empty() {
        let mut used: BTreeMap<Vec<(Value, Value)>, usize> = BTreeMap::new();
        for f in firewalls {
            for rule in f.chains.iter().flat_map(|c| &c.rules).filter(|r| r.action == Action::Accept) {
                for t in f
                    .terms(rule.terms)
                    .iter()
                    .filter(|t| matches!(t, Term::Range { field: Field::Src, .. } | Term::In(Field::Src, _)))
                {
                    if let Some((_, set)) = f.field_set(t) {
                        *used.entry(set.ranges().to_vec()).or_default() += 1;
                    }
                }
            }
        }
        let mut ranked: Vec<_> = used.into_iter().collect();
        ranked.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        out.extend(ranked.into_iter().map(|(ranges, _)| {
            let set = IntervalSet::from_ranges(ranges);
            (crate::evidence::near::few(&addr::display(&set)), set)
        }));
    }
    let rest = out.split_off(out.len().min(MAX_NETWORKS));
    out.extend(names.get(INTERNET).map(|s| (INTERNET.to_owned(), s.clone())));
    (out, rest.into_iter().map(|(n, _)| n).collect())
}

/// The states of one network's services.
pub fn cells(answers: &[(Question<'_>, Answer)], services: &[Service]) -> Vec<&'static str> {
    let one = |s: &Service| {
        let meets = |pick: fn(&Answer) -> &Vec<Part>| {
            answers.iter().flat_map(|(_, a)| pick(a)).any(|p| s.meets(&p.region))
        };
        match (meets(|a| &a.accepted), meets(|a| &a.denied), meets(|a| &a.undecided)) {
            (_, _, true) => "undecided",
            (true, false, _) => "open",
            (true, true, _) => "partly",
            _ => "closed",
        }
    };
    services.iter().map(one).collect()
}

impl Service {
    /// Whether some packets of a region are of it.
    pub fn meets(&self, region: &Region) -> bool {
        let protocols = region.get(Field::Proto).intersect(&self.protocols);
        let ported = protocols
            .ranges()
            .iter()
            .flat_map(|(a, b)| *a..=*b)
            .any(|p| proto::WITH_PORTS.contains(&(p as u8)));
        !protocols.is_empty() && (!ported || region.get(Field::Dport).intersects(&self.ports))
    }
}

fn symbol(state: &str) -> (&'static str, Ink) {
    match state {
        "open" => ("yes", Ink::Green),
        "partly" => ("partly", Ink::Yellow),
        "undecided" => ("?", Ink::Yellow),
        _ => ("–", Ink::Dim),
    }
}

impl Matrix {
    fn rows(&self) -> impl Iterator<Item = (&str, Vec<&'static str>)> {
        let column =
            |i: usize| self.cells.iter().map(move |c| c.get(i).copied().unwrap_or("closed")).collect();
        self.services.iter().enumerate().map(move |(i, s)| (s.as_str(), column(i)))
    }

    /// As a table for a terminal.
    pub fn human(&self, paint: Paint, out: &mut dyn io::Write) -> io::Result<()> {
        let title = match &self.name {
            Some(name) => format!("New connections to {}", clean(name)),
            None => "New connections".to_owned(),
        };
        let mut table = Builder::default();
        let heads = self.networks.iter().map(|n| clean(n).into_owned());
        table.push_record([paint.ink(Ink::Bold, &title)].into_iter().chain(heads));
        for (service, row) in self.rows() {
            let cells = row.into_iter().map(symbol).map(|(text, ink)| paint.ink(ink, text));
            table.push_record([format!("  {}", clean(service))].into_iter().chain(cells));
        }
        lay_out(table, Alignment::left(), 1, out)?;
        if !self.left_out.is_empty() {
            let named = crate::evidence::near::few(&self.left_out);
            writeln!(out, "  left out: {}; name them with --from or --port", clean(&named))?;
        }
        Ok(())
    }

    /// As a table in Markdown.
    pub fn markdown(&self, out: &mut dyn io::Write) -> io::Result<()> {
        if let Some(name) = &self.name {
            writeln!(out, "### {}\n", escape(name))?;
        }
        let heads: Vec<String> = self.networks.iter().map(|n| escape(n)).collect();
        writeln!(out, "| Service | {} |\n|---|{}", heads.join(" | "), ":-:|".repeat(heads.len()))?;
        for (service, row) in self.rows() {
            let cells: Vec<&str> = row.into_iter().map(|s| symbol(s).0).collect();
            writeln!(out, "| {} | {} |", escape(service), cells.join(" | "))?;
        }
        writeln!(out)
    }

    /// As comma-separated values (RFC 4180): one line a network and service.
    pub fn csv(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for (network, states) in self.networks.iter().zip(&self.cells) {
            for (service, state) in self.services.iter().zip(states) {
                let own = self.name.as_deref().unwrap_or("");
                writeln!(out, "{},{},{},{state}", quoted(own), quoted(network), quoted(service))?;
            }
        }
        Ok(())
    }
}

// A value that a spreadsheet takes for text, whatever it begins with.
fn quoted(text: &str) -> String {
    format!("\"{}\"", safe(text).replace('"', "\"\""))
}
