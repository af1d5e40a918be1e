//! JUnit XML, for the test views of build servers: one suite for each node with a test case for each requirement, one suite for
//! the hygiene checks, one for the inputs. The quick-junit crate writes the XML and counts.
//!
//! Violated is a failure, undecided is an error (there is no outcome), what is not checked, does not apply, is waived, was not read or
//! is below the level that fails the run is skipped: nothing but a met requirement, a note and a file without parse errors shows as passed,
//! and something fails exactly if the run does.

use super::matrix::{words, worse};
use super::text::{clean, count};
use super::{INPUT_RULE, Style, UNREAD_RULE, waived_by};
use crate::finding::{Finding, Problem, Report, Requirement, State, UnreadFile, Waived};
use crate::source::{Location, Severity};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Writes the report.
pub fn write(report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut suites: Vec<TestSuite> = vec![];
    let mut required: BTreeMap<(&str, &str), Row<'_>> = BTreeMap::new();
    for r in &report.requirements {
        required.entry((&r.subject, &r.id)).or_default().rows.push(r);
    }
    let mut checks = TestSuite::new("checks");
    let least = style.fail_on.unwrap_or(Severity::Warning);
    for f in &report.findings {
        match required.get_mut(&(f.subject.as_str(), f.rule.as_str())) {
            Some(row) => row.findings.push(f),
            None => drop(checks.add_test_case(check(f, least))),
        }
    }
    for w in &report.waived {
        match required.get_mut(&(w.finding.subject.as_str(), w.finding.rule.as_str())) {
            Some(row) => row.waived.push(w),
            None => drop(checks.add_test_case(waived(w))),
        }
    }
    for ((subject, id), row) in &required {
        let name = clean(subject);
        if suites.last().is_none_or(|s| s.name.as_str() != name) {
            suites.push(TestSuite::new(name));
        }
        if let Some((suite, case)) = suites.last_mut().zip(requirement(id, subject, row, least)) {
            suite.add_test_case(case);
        }
    }
    suites.extend([checks, inputs(report)].into_iter().filter(|s| s.tests > 0));
    let mut document = quick_junit::Report::new("havenlint");
    // A day without a time is no time stamp of XML Schema.
    document.timestamp = style.date.as_ref().and_then(|day| format!("{day}T00:00:00Z").parse().ok());
    for s in &mut suites {
        s.timestamp = document.timestamp;
    }
    document.add_test_suites(suites);
    document.serialize(out).map_err(io::Error::other)
}

/// A requirement at a node: its points and flows, and its findings.
#[derive(Default)]
struct Row<'a> {
    rows: Vec<&'a Requirement>,
    findings: Vec<&'a Finding>,
    waived: Vec<&'a Waived>,
}

/// The files: each is a case, which fails for each place that could not be read, and is skipped where nobody read it.
fn inputs(report: &Report) -> TestSuite {
    let mut files: BTreeMap<&str, Vec<&Problem>> =
        report.inputs.iter().map(|i| (i.path.as_str(), vec![])).collect();
    for p in &report.problems {
        files.entry(&p.location.path).or_default().push(p);
    }
    let mut suite = TestSuite::new("inputs");
    for (path, problems) in &files {
        let status = problems.first().map_or_else(TestCaseStatus::success, |first| {
            let more = match problems.len() - 1 {
                0 => String::new(),
                n => format!(" (and {})", count(n, "more problem")),
            };
            let places = problems.iter().map(|p| format!("{}\n{}", p.message, place(&p.location)));
            let text = places.collect::<Vec<_>>().join("\n");
            failed(NonSuccessKind::Error, first.level.name(), &format!("{}{more}", first.message), &text)
        });
        suite.add_test_case(case(path, INPUT_RULE, problems.first().map(|p| &p.location), status));
    }
    suite.add_test_cases(report.unread.iter().map(unread));
    suite
}

fn case(name: &str, class: &str, at: Option<&Location>, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(clean(name), status);
    case.set_classname(clean(class));
    if let Some(l) = at.filter(|l| !l.path.is_empty()) {
        case.extra.insert("file".into(), clean(&l.path).into());
        case.extra.insert("line".into(), l.line.to_string().into());
    }
    case
}

fn failed(kind: NonSuccessKind, ty: &str, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(ty);
    explained(status, message, text)
}

fn skipped(message: &str, text: &str) -> TestCaseStatus {
    explained(TestCaseStatus::skipped(), message, text)
}

fn explained(mut status: TestCaseStatus, message: &str, text: &str) -> TestCaseStatus {
    status.set_message(clean(message));
    if !text.is_empty() {
        status.set_description(text.lines().map(clean).collect::<Vec<_>>().join("\n"));
    }
    status
}

/// A requirement at a node, with what its findings say.
fn requirement(id: &str, subject: &str, row: &Row<'_>, least: Severity) -> Option<TestCase> {
    let Row { rows, findings, waived } = row;
    let state = rows.iter().map(|r| r.state).reduce(worse)?;
    let at = findings.first().map(|f| &f.location);
    let at = at.or_else(|| rows.iter().flat_map(|r| &r.decided_by).next());
    let message = findings.first().map_or_else(|| words(state).to_owned(), |f| f.message.to_string());
    let mut text: Vec<String> = findings.iter().map(|f| finding_text(f)).collect();
    text.extend(waived.iter().map(|w| format!("waived: {}\n{}", waived_by(w), finding_text(&w.finding))));
    if text.is_empty() {
        let reasons = rows.iter().filter(|r| r.state == state).flat_map(|r| &r.because);
        text.extend(reasons.map(|b| format!("depends on {}: {}\n{}", b.text, b.why, place(&b.location))));
    }
    let text = text.join("\n");
    let bad = matches!(state, State::Violated | State::Undecided);
    let level = findings.iter().map(|f| f.level).max();
    let accepted = waived.first().filter(|_| bad && findings.is_empty());
    let harmless = level.filter(|l| bad && *l < least);
    let status = match (accepted, harmless) {
        (Some(w), _) => skipped(&format!("waived: {}", waived_by(w)), &text),
        (None, Some(level)) => below(level, &message, &text),
        (None, None) => match state {
            State::Met => TestCaseStatus::success(),
            State::Violated => failed(NonSuccessKind::Failure, words(state), &message, &text),
            State::Undecided => failed(NonSuccessKind::Error, words(state), &message, &text),
            State::NotChecked | State::NotApplicable => skipped(words(state), &text),
        },
    };
    Some(case(id, subject, at, status))
}

fn check(f: &Finding, least: Severity) -> TestCase {
    let status = match f.level {
        level if level >= least => {
            failed(NonSuccessKind::Failure, level.name(), &f.message, &finding_text(f))
        }
        Severity::Note => TestCaseStatus::success(),
        level => below(level, &f.message, &finding_text(f)),
    };
    case(&format!("{}: {}", f.rule, f.message), &f.rule, Some(&f.location), status)
}

/// What does not fail the run.
fn below(level: Severity, message: &str, text: &str) -> TestCaseStatus {
    skipped(&format!("{}, which does not fail the run: {message}", level.name()), text)
}

fn waived(w: &Waived) -> TestCase {
    let f = &w.finding;
    let status = skipped(&format!("waived: {}", waived_by(w)), &place(&f.location));
    case(&format!("{}: {}", f.rule, f.message), &f.rule, Some(&f.location), status)
}

fn unread(u: &UnreadFile) -> TestCase {
    case(&u.path, UNREAD_RULE, None, skipped(&format!("not read: {}", u.reason), &u.help))
}

fn place(l: &Location) -> String {
    if l.path.is_empty() {
        String::new()
    } else {
        format!("{}:{}:{}\n  {}", clean(&l.path), l.line, l.column, l.text)
    }
}

fn finding_text(f: &Finding) -> String {
    let mut lines = vec![f.message.to_string(), place(&f.location), f.label.to_string()];
    lines.extend(f.witness.iter().map(|w| format!("witness: {w}")));
    lines.extend(f.details.iter().map(|(word, text)| format!("{word}: {text}")));
    if let Some(fix) = &f.fix {
        lines.push(format!("fix: {}", fix.description));
        lines.extend(fix.text.lines().map(|l| format!("  {l}")));
    }
    lines.retain(|l| !l.is_empty());
    lines.join("\n")
}
