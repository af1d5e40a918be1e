//! The end of the report for people: who meets what, how well the files were understood, and one line that says it all. The tabled crate
//! lays out the tables.

use super::matrix::{Matrix, STATES, symbol, words};
use super::sites::Sites;
use super::text::{Ink, Paint, clean, count, cut, pad, thousands, width, wrap};
use super::verdict::{pieces, state_ink};
use crate::finding::{Input, Report, State};
use std::io::{self, Write};
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Padding, Style as Frame};

/// Heading of the requirements that are none.
const ADVICE: &str = "Recommendations";
/// Files that the ledger lists one by one.
const MAX_FILES: usize = 24;
/// What the ledger's columns beside path and dialect take at least, with the blanks between.
const LEDGER_COLUMNS: usize = 45;

/// Writes the summary tables.
pub fn write(report: &Report, paint: Paint, columns: usize, out: &mut dyn Write) -> io::Result<()> {
    let tables = Tables { paint, columns };
    tables.sites(report, out)?;
    tables.requirements(report, out)?;
    tables.ledger(&report.inputs, out)?;
    tables.verdict(report, out)
}

struct Tables {
    paint: Paint,
    columns: usize,
}

impl Tables {
    /// From site to site: one table for all services that are required, then which of them fail where.
    fn sites(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let Some(sites) = Sites::of(report).filter(|s| s.names.len() > 2) else { return Ok(()) };
        let name = |i: usize| clean(sites.names[i]).into_owned();
        let columns: usize = (0..sites.names.len()).map(|i| width(&name(i)) + 2).sum();
        let longest = (0..sites.names.len()).map(|i| width(&name(i))).max().unwrap_or(0);
        if longest + 8 + columns <= self.columns {
            let cells = sites.overall();
            let mut table = Builder::default();
            let heads = (0..sites.names.len()).map(name);
            table.push_record([self.paint.ink(Ink::Bold, "From \\ to")].into_iter().chain(heads));
            for from in 0..sites.names.len() {
                let mark = |to| {
                    cells.get(&(from, to)).map_or(String::new(), |(s, _)| {
                        self.paint.ink(state_ink(*s), &symbol(*s).to_string())
                    })
                };
                table.push_record(
                    [format!("  {}", name(from))].into_iter().chain((0..sites.names.len()).map(mark)),
                );
            }
            lay_out(table, Alignment::center(), 1, out)?;
        }
        for (id, cells) in &sites.services {
            for state in [State::Violated, State::Undecided] {
                let pairs: Vec<_> = Sites::pairs(cells, state)
                    .iter()
                    .map(|(f, t)| format!("{} → {}", name(*f), name(*t)))
                    .collect();
                if !pairs.is_empty() {
                    let line = format!("{} {}: {}", symbol(state), clean(id), pairs.join(", "));
                    let line = cut(&line, self.columns.saturating_sub(2)).into_owned();
                    writeln!(out, "  {}", self.paint.ink(state_ink(state), &line))?;
                }
            }
        }
        writeln!(out)
    }

    fn requirements(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let matrix = Matrix::of(report);
        if matrix.rows.is_empty() {
            return Ok(());
        }
        let id = matrix.rows.iter().map(|(id, _)| width(&clean(id))).max().unwrap_or(0);
        let needed: usize = matrix.subjects.iter().map(|s| width(&clean(s)) + 2).sum();
        if id + 4 + needed <= self.columns {
            self.grid(&matrix, out)?;
        } else {
            self.tallies(&matrix, out)?;
        }
        let legend: Vec<_> = STATES
            .iter()
            .filter(|s| matrix.rows.iter().any(|(_, row)| row.contains(&Some(**s))))
            .map(|s| format!("{} {}", symbol(*s), words(*s)))
            .collect();
        writeln!(out, "  {}\n", self.paint.ink(Ink::Dim, &legend.join("   ")))
    }

    /// One column for each node.
    fn grid(&self, matrix: &Matrix<'_>, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Builder::default();
        let names = matrix.subjects.iter().map(|s| clean(s).into_owned());
        table.push_record([self.paint.ink(Ink::Bold, "Requirements")].into_iter().chain(names));
        for (i, (rule, row)) in matrix.rows.iter().enumerate() {
            if i == matrix.binding {
                table.push_record([self.paint.ink(Ink::Bold, ADVICE)]);
            }
            let mark = |s: State| self.paint.ink(state_ink(s), &symbol(s).to_string());
            let marks = row.iter().map(|cell| cell.map_or(String::new(), mark));
            table.push_record([format!("  {}", clean(rule))].into_iter().chain(marks));
        }
        lay_out(table, Alignment::center(), 1, out)
    }

    /// Where there are too many nodes for a column each: how many, and the names of those that need attention.
    fn tallies(&self, matrix: &Matrix<'_>, out: &mut dyn Write) -> io::Result<()> {
        let id = matrix.rows.iter().map(|(id, _)| width(&clean(id))).max().unwrap_or(0) + 2;
        let title = self.paint.ink(Ink::Bold, &pad("Requirements", id));
        writeln!(out, "{title}  {}", count(matrix.subjects.len(), "node"))?;
        for (i, (rule, row)) in matrix.rows.iter().enumerate() {
            if i == matrix.binding {
                writeln!(out, "{}", self.paint.ink(Ink::Bold, ADVICE))?;
            }
            let mut line = pad(&format!("  {}", clean(rule)), id);
            for (state, n) in STATES.iter().zip(Matrix::tally(row)).filter(|(_, n)| *n > 0) {
                line += "  ";
                line += &self.paint.ink(state_ink(*state), &format!("{} {n}", symbol(*state)));
            }
            writeln!(out, "{line}")?;
            for state in [State::Violated, State::Undecided] {
                let nodes = matrix.nodes(row, state);
                if !nodes.is_empty() {
                    let names = clean(&nodes.join(", ")).into_owned();
                    let room = self.columns.saturating_sub(8);
                    writeln!(out, "      {} {}", symbol(state), cut(&names, room))?;
                }
            }
        }
        Ok(())
    }

    fn ledger(&self, inputs: &[Input], out: &mut dyn Write) -> io::Result<()> {
        if inputs.is_empty() {
            return Ok(());
        }
        // The worst understood first; files that were read exactly only as far as there is room.
        let mut order: Vec<&Input> = inputs.iter().collect();
        order.sort_by_key(|i| std::cmp::Reverse((i.ledger.not_understood, i.ledger.approximated > 0)));
        let shown = &order[..order.len().min(MAX_FILES)];
        let dialect = shown.iter().map(|i| i.dialect.len()).max().unwrap_or(0);
        let room = self.columns.saturating_sub(dialect + LEDGER_COLUMNS).max(16);
        let mut table = Builder::default();
        let heads = ["Files", "dialect", "rules", "exact", "approx.", "not understood"];
        table.push_record(heads.map(|head| self.paint.ink(Ink::Bold, head)));
        for i in shown {
            let number = |n: u64, ink: Ink| match n {
                0 => "0".to_owned(),
                n => self.paint.ink(ink, &thousands(n)),
            };
            table.push_record([
                format!("  {}", cut(&clean(&i.path), room)),
                clean(&i.dialect).into_owned(),
                number(i.rules, Ink::Bold),
                number(i.ledger.exact, Ink::Green),
                number(i.ledger.approximated, Ink::Yellow),
                number(i.ledger.not_understood, Ink::Red),
            ]);
        }
        lay_out(table, Alignment::right(), 2, out)?;
        if order.len() > shown.len() {
            let rest = &order[shown.len()..];
            let rules: u64 = rest.iter().map(|i| i.rules).sum();
            let exact: u64 = rest.iter().map(|i| i.ledger.exact).sum();
            writeln!(
                out,
                "  … and {} with {} rules, {} of them exact",
                count(rest.len(), "more file"),
                thousands(rules),
                thousands(exact)
            )?;
        }
        self.not_understood(inputs, out)?;
        writeln!(out)
    }

    fn not_understood(&self, inputs: &[Input], out: &mut dyn Write) -> io::Result<()> {
        let n: u64 = inputs.iter().map(|i| i.ledger.not_understood).sum();
        if n == 0 {
            return Ok(());
        }
        for line in wrap(&format!("✗ {}", not_understood(n)), self.columns.saturating_sub(2)) {
            writeln!(out, "  {}", self.paint.ink(Ink::Red, &line))?;
        }
        Ok(())
    }

    fn verdict(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let c = &report.catalogue;
        if !c.id.is_empty() {
            let version = if c.version.is_empty() { String::new() } else { format!(" {}", c.version) };
            let mut line = format!("{}{version}{}", c.id, report.in_phase());
            for a in &report.assumptions {
                line += &format!("; {}", assumption(a));
            }
            for line in wrap(&clean(&line), self.columns) {
                writeln!(out, "{}", self.paint.ink(Ink::Dim, &line))?;
            }
        }
        flow(&pieces(report), self.paint, self.columns, out)
    }
}

/// Writes pieces beside each other, breaking lines between them.
pub fn flow(pieces: &[(String, Ink)], paint: Paint, columns: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut used = 0;
    for (text, ink) in pieces {
        if used > 0 && used + 1 + width(text) > columns {
            writeln!(out)?;
            used = 0;
        }
        let blank = if used > 0 { " " } else { "" };
        // Punctuation stays uncoloured.
        let bare = text.trim_end_matches([',', ';', '.']);
        write!(out, "{blank}{}{}", paint.ink(*ink, bare), &text[bare.len()..])?;
        used += blank.len() + width(text);
    }
    writeln!(out)
}

/// What it means that rules were not understood, in two sentences.
pub fn not_understood(rules: u64) -> String {
    let (were, they) = if rules == 1 { ("rule was", "It") } else { ("rules were", "They") };
    format!(
        "{} {were} not understood. {they} may accept or drop anything, so what depends on {} is undecided, never met.",
        thousands(rules),
        if rules == 1 { "it" } else { "them" }
    )
}

/// Writes a table without lines: two blanks between columns, all from the column `first` on aligned alike.
pub fn lay_out(table: Builder, alignment: Alignment, first: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut table = table.build();
    table.with(Frame::empty()).with(Padding::new(0, 2, 0, 0));
    table.modify(Columns::new(first..), alignment);
    for line in table.to_string().lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// An assumption in words.
pub fn assumption(word: &str) -> &str {
    match word {
        "not-throttled" => "assuming rate limits are not exceeded",
        "throttled" => "assuming rate limits may be exceeded",
        "reverse-path" => "assuming that there is a way back to the source of every packet",
        "forged" => "assuming that source addresses may be forged",
        "includes-empty" => "assuming that included files that are not read hold nothing",
        "sets-as-listed" => "assuming that sets hold what the files list",
        "complete" => "assuming that what the files do not mention does not exist",
        "private-members" => {
            "assuming members of security groups have private addresses, or those of their VPC"
        }
        "no-late-blocks" => {
            "assuming that no dynamic block of the plan depends on values known only after apply"
        }
        "variable-defaults" => "assuming Terraform variables have the values that the files give them",
        other => other,
    }
}
