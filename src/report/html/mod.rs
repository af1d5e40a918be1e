//! The report for auditors: one HTML file that needs neither network nor script, in light and dark, on screen and on paper.
//!
//! Everything from a file is escaped by [`markup`]; there is no place in the page where text is taken for markup.

mod finding;
mod picture;

use super::matrix::{Matrix, STATES, symbol, words, worse};
use super::places::Sources;
use super::tables::{assumption, verdict};
use super::text::{count, markup, thousands};
use super::{INPUT_RULE, Style, uri};
use crate::finding::{Finding, Report, Requirement, RuleDoc, State};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Points of one requirement that are listed.
const MAX_POINTS: usize = 400;
/// Findings of one rule that are shown.
const MAX_FINDINGS: usize = 60;
/// Nodes that get a column in the matrix; with more, it counts them.
const MAX_COLUMNS: usize = 30;

/// Writes the report.
pub fn write(report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let page = Page {
        report,
        sources: Sources::of(report),
        rules: report.rules.iter().map(|r| (r.id.as_str(), r)).collect(),
    };
    writeln!(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    // Nothing may be fetched or run, whatever stands in the page.
    writeln!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    )?;
    writeln!(out, "<title>Firewall compliance: {}</title>", markup(&verdict(report)))?;
    writeln!(out, "<style>\n{}</style>\n</head>\n<body>", include_str!("style.css"))?;
    page.cover(style, out)?;
    page.matrix(out)?;
    picture::write(report, &page.rules, out)?;
    page.requirements(out)?;
    page.checks(out)?;
    page.problems(out)?;
    page.ledger(out)?;
    page.waivers(out)?;
    writeln!(out, "</body>\n</html>")
}

struct Page<'a> {
    report: &'a Report,
    sources: Sources<'a>,
    rules: FxHashMap<&'a str, &'a RuleDoc>,
}

/// A state's name as a class of the style sheet.
const fn class(state: State) -> &'static str {
    match state {
        State::Met => "met",
        State::Violated => "violated",
        State::Undecided => "undecided",
        State::NotChecked => "not-checked",
        State::NotApplicable => "not-applicable",
    }
}

/// The anchor of a rule's section.
fn anchor(rule: &str) -> String {
    format!("rule-{}", uri::encode(rule))
}

fn state(s: State) -> String {
    format!(r#"<span class="state {}">{} {}</span>"#, class(s), symbol(s), words(s))
}

fn row(out: &mut dyn Write, word: &str, text: &str) -> io::Result<()> {
    if text.is_empty() { Ok(()) } else { writeln!(out, "<dt>{}</dt><dd>{}</dd>", markup(word), markup(text)) }
}

impl Page<'_> {
    fn cover(&self, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        let r = self.report;
        writeln!(out, "<header>\n<h1>Firewall compliance report</h1>")?;
        writeln!(out, "<p class=\"verdict\">{}.</p>\n<dl>", markup(&verdict(r)))?;
        row(out, "Date", style.date.as_deref().unwrap_or(""))?;
        row(out, "Catalogue", format!("{} {}", r.catalogue.id, r.catalogue.version).trim())?;
        row(out, "Catalogue’s SHA-256", &r.catalogue.sha256)?;
        row(out, "Phase", &r.phase)?;
        let assumed: Vec<_> =
            r.assumptions.iter().map(|a| assumption(a).trim_start_matches("assuming that ")).collect();
        row(out, "Assumed", &assumed.join("; "))?;
        row(out, "Made by", &format!("{} {}", r.tool.name, r.tool.version))?;
        writeln!(out, "</dl>")?;
        writeln!(
            out,
            "<p class=\"soft\">“Met” and “violated” are claims about every packet of a flow. What the files do not decide is \
             “undecided” and is never counted as met. Each witness is one packet that shows the finding.</p>\n</header>"
        )?;
        self.not_understood(out)
    }

    fn not_understood(&self, out: &mut dyn Write) -> io::Result<()> {
        let lost: u64 = self.report.inputs.iter().map(|i| i.ledger.not_understood).sum();
        if lost == 0 {
            return Ok(());
        }
        writeln!(
            out,
            "<p class=\"loud error\">{} not understood. Any verdict is possible there: what depends on them is shown as undecided. \
             See the <a href=\"#ledger\">ledger</a>.</p>",
            count(lost as usize, "rule")
        )
    }

    fn matrix(&self, out: &mut dyn Write) -> io::Result<()> {
        let matrix = Matrix::of(self.report);
        if matrix.rows.is_empty() {
            return Ok(());
        }
        writeln!(out, "<section>\n<h2>Requirements by node</h2>\n<div class=\"scroll\"><table>")?;
        let wide = matrix.subjects.len() <= MAX_COLUMNS;
        let heads: Vec<String> = if wide {
            matrix.subjects.iter().map(|s| markup(s)).collect()
        } else {
            STATES.map(|s| words(s).to_owned()).to_vec()
        };
        writeln!(out, "<tr><th>Requirement</th><th>{}</th></tr>", heads.join("</th><th>"))?;
        for (id, cells) in &matrix.rows {
            write!(out, "<tr><td><a href=\"#{}\">{}</a></td>", anchor(id), markup(id))?;
            if wide {
                for cell in cells {
                    match cell {
                        Some(s) => write!(
                            out,
                            "<td class=\"c {}\" title=\"{}\">{}</td>",
                            class(*s),
                            words(*s),
                            symbol(*s)
                        )?,
                        None => write!(out, "<td></td>")?,
                    }
                }
            } else {
                for n in Matrix::tally(cells) {
                    write!(
                        out,
                        "<td class=\"n\">{}</td>",
                        if n > 0 { thousands(n as u64) } else { String::new() }
                    )?;
                }
            }
            writeln!(out, "</tr>")?;
        }
        writeln!(out, "</table></div>")?;
        let legend: Vec<_> = STATES.iter().map(|s| state(*s)).collect();
        writeln!(out, "<p>{}</p>\n</section>", legend.join(" · "))
    }

    fn requirements(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut by_id: BTreeMap<&str, Vec<&Requirement>> = BTreeMap::new();
        for r in &self.report.requirements {
            by_id.entry(&r.id).or_default().push(r);
        }
        if by_id.is_empty() {
            return Ok(());
        }
        writeln!(out, "<section>\n<h2>Each requirement</h2>")?;
        for (id, rows) in &by_id {
            self.rule_heading(id, rows.iter().map(|r| r.state).reduce(worse), out)?;
            self.points(rows, out)?;
            let findings: Vec<_> = self.report.findings.iter().filter(|f| f.rule == *id).collect();
            self.findings(&findings, out)?;
        }
        writeln!(out, "</section>")
    }

    fn rule_heading(&self, id: &str, worst: Option<State>, out: &mut dyn Write) -> io::Result<()> {
        let verdict = worst.map_or(String::new(), |s| format!(" — {}", state(s)));
        writeln!(out, "<h3 id=\"{}\">{}{verdict}</h3>", anchor(id), markup(id))?;
        if let Some(doc) = self.rules.get(id) {
            writeln!(out, "<p>{}</p>", markup(&doc.summary))?;
            if !doc.source.is_empty() {
                writeln!(out, "<p class=\"soft\">Source: {}</p>", markup(&doc.source))?;
            }
        }
        Ok(())
    }

    /// Every point at which a requirement was asked.
    fn points(&self, rows: &[&Requirement], out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "<div class=\"scroll\"><table>\n<tr><th>Node</th><th>Flow</th><th>At</th><th>State</th><th>Decided by</th></tr>"
        )?;
        let mut order = rows.to_vec();
        order.sort_by_key(|r| STATES.iter().position(|s| *s == r.state));
        for r in order.iter().take(MAX_POINTS) {
            let port = if r.flow.port.is_empty() { String::new() } else { format!("/{}", r.flow.port) };
            let flow = format!("{}{port} {} → {}", r.flow.proto, list(&r.flow.from), list(&r.flow.to));
            let mut decided: Vec<String> = r
                .decided_by
                .iter()
                .take(3)
                .map(|l| format!("line {}: <code>{}</code>", l.line, markup(&l.text)))
                .collect();
            decided.extend(r.because.iter().take(3).map(|b| {
                let why = if b.why.is_empty() { String::new() } else { format!(": {}", markup(&b.why)) };
                format!("because of <code>{}</code>, line {}{why}", markup(&b.text), b.location.line)
            }));
            writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                markup(&r.subject),
                markup(&flow),
                markup(&r.at),
                state(r.state),
                decided.join("<br>")
            )?;
        }
        writeln!(out, "</table></div>")?;
        more(rows.len(), MAX_POINTS, "more point", out)
    }

    fn findings(&self, findings: &[&Finding], out: &mut dyn Write) -> io::Result<()> {
        for f in findings.iter().take(MAX_FINDINGS) {
            finding::write(f, &self.sources, out)?;
        }
        more(findings.len(), MAX_FINDINGS, "more finding", out)
    }

    /// Findings of checks that are no requirements.
    fn checks(&self, out: &mut dyn Write) -> io::Result<()> {
        let asked: std::collections::BTreeSet<&str> =
            self.report.requirements.iter().map(|r| r.id.as_str()).collect();
        let mut by_rule: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for f in self.report.findings.iter().filter(|f| !asked.contains(f.rule.as_str())) {
            by_rule.entry(&f.rule).or_default().push(f);
        }
        if by_rule.is_empty() {
            return Ok(());
        }
        writeln!(out, "<section>\n<h2>Hygiene</h2>")?;
        for (rule, findings) in &by_rule {
            self.rule_heading(rule, None, out)?;
            self.findings(findings, out)?;
        }
        writeln!(out, "</section>")
    }

    fn problems(&self, out: &mut dyn Write) -> io::Result<()> {
        let problems = &self.report.problems;
        if problems.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "<section>\n<h2>Malformed input</h2>\n<p>The rest of each file was still checked.</p>"
        )?;
        for p in problems.iter().take(MAX_FINDINGS) {
            finding::problem(p, INPUT_RULE, &self.sources, out)?;
        }
        more(problems.len(), MAX_FINDINGS, "more problem", out)?;
        writeln!(out, "</section>")
    }

    fn ledger(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "<section>\n<h2 id=\"ledger\">Files read, and how well they were understood</h2>\n<div class=\"scroll\"><table>"
        )?;
        writeln!(
            out,
            "<tr><th>File</th><th>Dialect</th><th class=\"n\">Rules</th><th class=\"n\">Exact</th><th class=\"n\">Approximated</th>\
             <th class=\"n\">Not understood</th><th>SHA-256</th></tr>"
        )?;
        for i in &self.report.inputs {
            let l = &i.ledger;
            let lost = if l.not_understood > 0 { " error" } else { "" };
            writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n{lost}\">{}</td><td><code>{}</code></td></tr>",
                markup(&i.path),
                markup(&i.dialect),
                thousands(i.rules),
                thousands(l.exact),
                thousands(l.approximated),
                thousands(l.not_understood),
                markup(i.sha256.as_str())
            )?;
        }
        writeln!(out, "</table></div>\n</section>")
    }

    fn waivers(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.report.waived.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "<section>\n<h2>Waived findings</h2>\n<p>Somebody has decided to live with these; they do not count above.</p>"
        )?;
        writeln!(
            out,
            "<div class=\"scroll\"><table>\n<tr><th>Rule</th><th>Finding</th><th>At</th><th>Reason</th><th>Owner</th><th>Until</th></tr>"
        )?;
        for w in &self.report.waived {
            let l = &w.finding.location;
            writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}:{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                markup(&w.finding.rule),
                markup(&w.finding.message),
                markup(&l.path),
                l.line,
                markup(&w.reason),
                markup(&w.owner),
                if w.expires.is_empty() { "no end".to_owned() } else { markup(&w.expires) }
            )?;
        }
        writeln!(out, "</table></div>\n</section>")
    }
}

/// The first few of a list of addresses.
fn list(items: &[String]) -> String {
    let shown: Vec<_> = items.iter().take(4).map(String::as_str).collect();
    let rest = if items.len() > 4 { format!(" and {} more", items.len() - 4) } else { String::new() };
    shown.join(", ") + &rest
}

/// Says how many were left out, if any were.
fn more(all: usize, shown: usize, noun: &str, out: &mut dyn Write) -> io::Result<()> {
    match all.checked_sub(shown).filter(|n| *n > 0) {
        Some(n) => writeln!(out, "<p class=\"loud\">… and {}; the JSON report has them.</p>", count(n, noun)),
        None => Ok(()),
    }
}
