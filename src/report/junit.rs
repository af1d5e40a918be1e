//! JUnit XML, for the test views of build servers: one suite for each node with a test case for each requirement, one suite for
//! the hygiene checks, one for the inputs.
//!
//! Violated is a failure, undecided is an error (the outcome could not be told), what is not checked or does not apply is skipped:
//! nothing but a met requirement shows as passed.

use super::matrix::{words, worse};
use super::text::markup;
use super::{INPUT_RULE, Style};
use crate::finding::{Finding, Problem, Report, Requirement, State};
use crate::source::{Location, Severity};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Writes the report.
pub fn write(report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut suites: Vec<Suite> = vec![];
    let mut asked: BTreeMap<(&str, &str), Case<'_>> = BTreeMap::new();
    for r in &report.requirements {
        asked.entry((&r.subject, &r.id)).or_default().rows.push(r);
    }
    let mut checks = Suite::named("checks");
    for f in &report.findings {
        match asked.get_mut(&(f.subject.as_str(), f.rule.as_str())) {
            Some(case) => case.findings.push(f),
            None => checks.finding(f),
        }
    }
    for ((subject, id), case) in &asked {
        if suites.last().is_none_or(|s| s.name != *subject) {
            suites.push(Suite::named(subject));
        }
        if let Some(suite) = suites.last_mut() {
            suite.requirement(id, subject, case);
        }
    }
    let mut files: BTreeMap<&str, Vec<&Problem>> =
        report.inputs.iter().map(|i| (i.path.as_str(), vec![])).collect();
    for p in &report.problems {
        files.entry(&p.location.path).or_default().push(p);
    }
    let mut inputs = Suite::named("inputs");
    for (path, problems) in &files {
        inputs.case(path, INPUT_RULE, problems.first().map(|p| &p.location));
        for p in problems {
            inputs.outcome("error", p.level.name(), &p.message, &place(&p.location));
        }
        inputs.end_case();
    }
    suites.extend([checks, inputs].into_iter().filter(|s| s.tests > 0));
    let sum = |count: fn(&Suite) -> usize| suites.iter().map(count).sum::<usize>();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    write!(
        out,
        r#"<testsuites name="havenlint" tests="{}" failures="{}" errors="{}" skipped="{}""#,
        sum(|s| s.tests),
        sum(|s| s.failures),
        sum(|s| s.errors),
        sum(|s| s.skipped)
    )?;
    writeln!(out, "{}>", timestamp(style))?;
    for s in &suites {
        writeln!(
            out,
            r#"  <testsuite name="{}" tests="{}" failures="{}" errors="{}" skipped="{}"{}>"#,
            markup(&s.name),
            s.tests,
            s.failures,
            s.errors,
            s.skipped,
            timestamp(style)
        )?;
        out.write_all(s.cases.as_bytes())?;
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn timestamp(style: &Style) -> String {
    style.date.as_ref().map_or(String::new(), |d| format!(r#" timestamp="{}""#, markup(d)))
}

fn place(l: &Location) -> String {
    if l.path.is_empty() {
        String::new()
    } else {
        format!("{}:{}:{}\n  {}", l.path, l.line, l.column, l.text)
    }
}

/// A requirement at a node: its points and flows, and its findings.
#[derive(Default)]
struct Case<'a> {
    rows: Vec<&'a Requirement>,
    findings: Vec<&'a Finding>,
}

#[derive(Default)]
struct Suite {
    name: String,
    cases: String,
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Suite {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    fn case(&mut self, name: &str, class: &str, at: Option<&Location>) {
        self.tests += 1;
        // Writing to a string does not fail.
        let _ = write!(self.cases, r#"    <testcase name="{}" classname="{}""#, markup(name), markup(class));
        if let Some(l) = at.filter(|l| !l.path.is_empty()) {
            let _ = write!(self.cases, r#" file="{}" line="{}""#, markup(&l.path), l.line);
        }
        self.cases.push_str(">\n");
    }

    fn end_case(&mut self) {
        self.cases.push_str("    </testcase>\n");
    }

    /// An outcome other than passed: `failure`, `error` or `skipped`.
    fn outcome(&mut self, element: &str, kind: &str, message: &str, text: &str) {
        match element {
            "failure" => self.failures += 1,
            "error" => self.errors += 1,
            _ => self.skipped += 1,
        }
        let kind = if element == "skipped" { String::new() } else { format!(r#" type="{}""#, markup(kind)) };
        let text: Vec<_> = text.lines().map(markup).collect();
        let _ = writeln!(
            self.cases,
            r#"      <{element}{kind} message="{}">{}</{element}>"#,
            markup(message),
            text.join("\n")
        );
    }

    /// A requirement at a node, with what its findings say.
    fn requirement(&mut self, id: &str, subject: &str, case: &Case<'_>) {
        let Some(state) = case.rows.iter().map(|r| r.state).reduce(worse) else { return };
        let (rows, findings) = (&case.rows, &case.findings);
        let at = findings.first().map(|f| &f.location);
        let at = at.or_else(|| rows.iter().flat_map(|r| &r.decided_by).next());
        self.case(id, subject, at);
        let message = findings.first().map_or_else(|| words(state).to_owned(), |f| f.message.clone());
        let mut text: Vec<String> = findings.iter().map(|f| finding_text(f)).collect();
        if text.is_empty() {
            text.extend(
                rows.iter()
                    .filter(|r| r.state == state)
                    .flat_map(|r| &r.because)
                    .map(|b| format!("because of {}: {}\n{}", b.text, b.why, place(&b.location))),
            );
        }
        let text = text.join("\n");
        match state {
            State::Met => {}
            State::Violated => self.outcome("failure", words(state), &message, &text),
            State::Undecided => self.outcome("error", words(state), &message, &text),
            State::NotChecked | State::NotApplicable => self.outcome("skipped", "", words(state), &text),
        }
        self.end_case();
    }

    fn finding(&mut self, f: &Finding) {
        self.case(&format!("{}: {}", f.rule, f.message), &f.rule, Some(&f.location));
        match f.level {
            Severity::Note => {}
            level => self.outcome("failure", level.name(), &f.message, &finding_text(f)),
        }
        self.end_case();
    }
}

fn finding_text(f: &Finding) -> String {
    let mut lines = vec![f.message.clone(), place(&f.location), f.label.clone()];
    lines.extend(f.witness.iter().map(|w| format!("witness: {w}")));
    lines.extend(f.details.iter().map(|(word, text)| format!("{word}: {text}")));
    if let Some(fix) = &f.fix {
        lines.push(format!("fix: {}", fix.description));
        lines.extend(fix.text.lines().map(|l| format!("  {l}")));
    }
    lines.retain(|l| !l.is_empty());
    lines.join("\n")
}
