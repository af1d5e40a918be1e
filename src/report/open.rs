//! What is open to any source, as one table for all formats: the first page for who has a dump and nothing else.

use super::markdown::escape;
use super::tables::lay_out;
use super::text::{Ink, Paint, clean, count, cut, cut_left};
use crate::finding::{Open, Report};
use rustc_hash::FxHashMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use tabled::builder::Builder;
use tabled::settings::Alignment;

/// Rows that are shown.
const MAX_ROWS: usize = 40;
/// The columns.
pub const HEADS: [&str; 4] = ["Reached", "Where", "Coming by", "Let in by"];
/// Where nothing is forwarded.
const HERE: &str = "this machine";
/// The title.
pub const TITLE: &str = "Open to any source";

/// A row: what one rule opens at one place.
struct Row<'a> {
    open: &'a Open,
    families: Vec<u8>,
    reaches: Vec<&'a str>,
    sensitive: bool,
}

// The worst first: certain and sensitive, then certain, then what is not decided; open to all before open to many; inside networks last. What one rule opens at one place
// is one row.
fn rows(report: &Report) -> Vec<Row<'_>> {
    let mut out: Vec<Row<'_>> = Vec::new();
    let mut known: FxHashMap<_, usize> = FxHashMap::default();
    for open in &report.open {
        let place = (&open.decided_by, &open.state, &open.subject, &open.place, &open.interfaces);
        let number = *known.entry(place).or_insert(out.len());
        match out.get_mut(number) {
            Some(row) => {
                row.families.push(open.family);
                row.reaches.push(&open.reaches);
                row.sensitive |= !open.services.is_empty();
            }
            None => out.push(Row {
                open,
                families: vec![open.family],
                reaches: vec![&open.reaches],
                sensitive: !open.services.is_empty(),
            }),
        }
    }
    for row in &mut out {
        row.families.sort_unstable();
        row.families.dedup();
        let all = std::mem::take(&mut row.reaches);
        row.reaches = all.into_iter().fold(Vec::new(), |mut list, r| {
            if !list.contains(&r) {
                list.push(r);
            }
            list
        });
    }
    let some = |r: &Row<'_>| r.open.from.first().is_some_and(|f| f != "any");
    out.sort_by_key(|r| (r.open.facing == "inside", r.open.state != "open", !r.sensitive, some(r)));
    out
}

impl Row<'_> {
    fn cells(&self) -> [String; 4] {
        let o = self.open;
        let over = match self.families.as_slice() {
            [6] => " over IPv6",
            [4, 6] => " over IPv4 and IPv6",
            _ => "",
        };
        let from = match o.from.as_slice() {
            [any] if any == "any" => String::new(),
            [] => String::new(),
            [first, _, ..] if o.from.len() > 3 => format!(" from {first} and {} more", o.from.len() - 1),
            list => format!(" from {}", list.join(", ")),
        };
        let mark = if o.state == "open" { "" } else { "? " };
        let place = if o.place.is_empty() && o.facing == "internet" && o.interfaces.is_empty() {
            o.subject.clone()
        } else if o.place.is_empty() {
            HERE.to_owned()
        } else {
            o.place.clone()
        };
        let faces = if o.facing == "inside" { " (faces inside)" } else { "" };
        let gone: Vec<&str> = o.interfaces.iter().filter_map(|n| n.strip_prefix('!')).collect();
        let by = match o.interfaces.as_slice() {
            [] => "any interface".to_owned(),
            [all, ..] if all == "*" => format!("any but {}", gone.join(", ")),
            names => names.join(", "),
        };
        let at = &o.decided_by;
        let rule = if at.path.is_empty() { String::new() } else { format!("{}:{}", at.path, at.line) };
        [format!("{mark}{}{over}{from}", self.reaches.join(", ")), place, format!("{by}{faces}"), rule]
    }
}

/// Whether the table goes with the report: where a deployment is described, its requirements say what is wanted.
fn wanted(report: &Report) -> bool {
    report.members.is_empty() && !report.open.is_empty()
}

/// The table for people at a terminal.
pub fn human(report: &Report, paint: Paint, columns: usize, out: &mut dyn Write) -> io::Result<()> {
    if !wanted(report) {
        return Ok(());
    }
    let all = rows(report);
    writeln!(out, "{}", paint.ink(Ink::Bold, TITLE))?;
    let mut table = Builder::default();
    table.push_record(HEADS.map(|h| paint.ink(Ink::Dim, h)));
    let room = [columns * 4 / 10, columns * 3 / 10, columns / 6, columns / 4];
    for row in all.iter().take(MAX_ROWS) {
        let cells = row.cells();
        let ink = match row.open.state.as_str() {
            "open" if row.sensitive && row.open.facing != "inside" => Some(Ink::Yellow),
            _ => None,
        };
        table.push_record(cells.iter().zip(room).enumerate().map(|(i, (cell, room))| {
            // Of a long path the end tells more.
            let text =
                if i == 3 { cut_left(&clean(cell), room) } else { cut(&clean(cell), room).into_owned() };
            match ink.filter(|_| i == 0) {
                Some(ink) => paint.ink(ink, &text),
                None => text,
            }
        }));
    }
    lay_out(table, Alignment::left(), 0, out)?;
    if all.len() > MAX_ROWS {
        writeln!(out, "… and {}; --format json lists all", count(all.len() - MAX_ROWS, "more row"))?;
    }
    writeln!(out)
}

/// The table in Markdown.
pub fn markdown(report: &Report, page: &mut String) {
    if !wanted(report) {
        return;
    }
    let all = rows(report);
    // Writing to a string does not fail.
    let _ = writeln!(page, "### {TITLE}\n\n| {} |\n|---|---|---|---|", HEADS.join(" | "));
    for row in all.iter().take(MAX_ROWS) {
        let _ = writeln!(page, "| {} |", row.cells().map(|c| escape(&c)).join(" | "));
    }
    if all.len() > MAX_ROWS {
        let _ = writeln!(page, "\n… and {}", count(all.len() - MAX_ROWS, "more row"));
    }
    page.push('\n');
}

/// The table's rows, the worst first; empty where it does not go with the report.
pub fn shown(report: &Report) -> Vec<[String; 4]> {
    if wanted(report) { rows(report).iter().map(Row::cells).collect() } else { Vec::new() }
}
