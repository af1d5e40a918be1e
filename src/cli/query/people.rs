//! The answer for people: who can open a connection to what.

use super::exact::{because, by_lines, section};
use super::names::Names;
use super::{By, Told};
use crate::analysis::decide::{Answer, Part, Question};
use crate::analysis::flow::{interfaces, largest_first, numbers};
use crate::lint::reach::Reach;
use crate::packet::opening::as_flow;
use crate::packet::{Family, Field, Path, Region, addr};
use crate::report::tables::lay_out;
use crate::report::text::{Ink, Paint, clean, count};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use std::io;
use tabled::builder::Builder;
use tabled::settings::Alignment;

/// Rows of a table that a person is shown.
const SHOWN: usize = 30;

/// Fields that no table has a column for.
pub const UNTOLD: [Field; 1] = [Field::Mac];

/// A row: packets of one kind from somewhere to somewhere.
pub struct Row {
    from: String,
    to: String,
    by: String,
    reach: Reach,
    family: Family,
    from_ports: String,
}

/// The rows of some parts of an answer, the largest first.
pub fn rows(parts: &[(Region, Path)], names: &Names) -> Vec<Row> {
    let mut out: Vec<Row> = Vec::new();
    let mut place: FxHashMap<(String, String, String, String, Family), usize> = FxHashMap::default();
    let Some((_, path)) = parts.first() else { return out };
    let regions: Vec<Region> = parts.iter().map(|(r, _)| r.clone()).collect();
    for region in largest_first(&regions) {
        let family = region.get(Field::Dst).first().map_or(Family::V4, addr::family);
        let sports = region.get(Field::Sport);
        let row = Row {
            from: names.label(region.get(Field::Src), family),
            to: names.label(region.get(Field::Dst), family),
            by: by(&region, *path),
            reach: Reach::of_region(&region, family),
            family,
            from_ports: if *sports == Field::Sport.all() {
                String::new()
            } else {
                numbers(sports).join(", ")
            },
        };
        let same = (row.from.clone(), row.to.clone(), row.by.clone(), row.from_ports.clone(), family);
        match place.entry(same) {
            Entry::Occupied(known) => {
                let known = &mut out[*known.get()];
                known.reach = known.reach.union(&row.reach);
            }
            Entry::Vacant(new) => {
                new.insert(out.len());
                out.push(row);
            }
        }
    }
    out
}

// By which interfaces: `eth0`, `eth0 → eth1`; empty = any.
fn by(region: &Region, path: Path) -> String {
    let names = |f: Field| {
        let list = interfaces(region.get(f));
        let gone: Vec<&str> = list.iter().filter_map(|n| n.strip_prefix('!')).collect();
        match list.first().map(String::as_str) {
            None => "any".to_owned(),
            Some("*") if gone.is_empty() => "any".to_owned(),
            Some("*") => format!("any but {}", gone.join(", ")),
            _ => list.join(", "),
        }
    };
    match path {
        Path::Input => names(Field::Iif),
        Path::Output => names(Field::Oif),
        Path::Forward => format!("{} → {}", names(Field::Iif), names(Field::Oif)),
        Path::Ingress => names(Field::Iif),
        Path::Egress => names(Field::Oif),
    }
}

impl Row {
    fn service(&self) -> String {
        let words = match self.reach.is_everything() {
            true => "any service".to_owned(),
            false => self.reach.words(self.family),
        };
        match self.from_ports.is_empty() {
            true => words,
            false => format!("{words} (from port {})", self.from_ports),
        }
    }
}

/// Parts of a kind, as flows.
pub fn parts(answers: &[(Question<'_>, Answer)], pick: fn(&Answer) -> &Vec<Part>) -> Vec<(Region, Path)> {
    let of = |(q, a): &(Question<'_>, Answer)| {
        let family = q.region.get(Field::Dst).first().map_or(Family::V4, addr::family);
        pick(a).iter().map(|p| (as_flow(&p.region, family), q.path)).collect::<Vec<_>>()
    };
    answers.iter().flat_map(of).collect()
}

/// Prints the answer about new connections.
pub fn human(t: &Told, names: &Names, paint: Paint, out: &mut dyn io::Write) -> io::Result<()> {
    let (ink, words) = match t.state {
        "accepted" => (Ink::Green, "every new connection asked for is let through"),
        "denied" => (Ink::Red, "no new connection asked for is let through"),
        "undecided" => (Ink::Yellow, "the files do not decide which new connections are let through"),
        _ => (Ink::Yellow, "some of the new connections asked for are let through"),
    };
    let at = t.name.as_ref().map(|n| format!(" ({})", clean(n))).unwrap_or_default();
    writeln!(out, "{}: {words}{at}", paint.ink(ink, t.state))?;
    let Some(new) = &t.new else { return Ok(()) };
    table("let through", &rows(&new.accepted, names), paint, out)?;
    table("undecided", &rows(&new.undecided, names), paint, out)?;
    let [accepted, undecided] = &new.partly;
    table("in part let through", &rows(accepted, names), paint, out)?;
    table("in part undecided", &rows(undecided, names), paint, out)?;
    if !accepted.is_empty() || !undecided.is_empty() {
        let words = "in part: which packets of these rows depends on more than the table tells; narrow the question, or see --exact";
        writeln!(out, "\n{}", paint.ink(Ink::Dim, words))?;
    }
    if t.state == "mixed" && new.denied {
        writeln!(out, "\n{}", paint.ink(Ink::Dim, "everything else is stopped"))?;
    }
    let example =
        t.witnesses.accepted.as_ref().or(t.witnesses.undecided.as_ref()).or(t.witnesses.denied.as_ref());
    if let Some(p) = example {
        writeln!(out, "\n{}", paint.ink(Ink::Dim, &clean(&format!("for example {p}"))))?;
    }
    because(t, paint, out)?;
    let deciding: Vec<&By> =
        t.decided_by.iter().filter(|b| t.state == "denied" || b.verdict != "denied").collect();
    section("decided by", &by_lines(&deciding), paint, out)?;
    writeln!(
        out,
        "\n{}",
        paint.ink(Ink::Dim, "answers and other packets of connections are left out: --exact shows all")
    )
}

fn table(title: &str, rows: &[Row], paint: Paint, out: &mut dyn io::Write) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint.ink(Ink::Bold, title))?;
    let mut table = Builder::default();
    table.push_record(["  from", "to", "service", "by"].map(|h| paint.ink(Ink::Dim, h)));
    for r in rows.iter().take(SHOWN) {
        let over = match (r.family, rows.iter().any(|o| o.family != r.family)) {
            (Family::V6, true) => " over IPv6",
            (Family::V4, true) => " over IPv4",
            _ => "",
        };
        let cells = [format!("  {}", r.from), r.to.clone(), format!("{}{over}", r.service()), r.by.clone()];
        table.push_record(cells.map(|c| clean(&c).into_owned()));
    }
    lay_out(table, Alignment::left(), 0, out)?;
    if rows.len() > SHOWN {
        writeln!(out, "  … and {}; --format json shows all", count(rows.len() - SHOWN, "more row"))?;
    }
    Ok(())
}
