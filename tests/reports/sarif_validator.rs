//! SARIF output before the real validator: Microsoft's SARIF Multitool (npm `@microsoft/sarif-multitool`) under the rules of the
//! standard and those of GitHub code scanning. Zero errors, zero warnings.
//!
//! The tool is `$HAVENLINT_SARIF_MULTITOOL` (the package's own program, `node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool`), or
//! what `npx --no-install sarif-multitool` finds. Without it the test is skipped, and says so; with `HAVENLINT_REQUIRE=1` it fails.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says what is wrong by panicking, and that it is skipped by printing"
)]

use crate::sample::{render, report};
use havenlint::finding::{Problem, Report, Summary};
use havenlint::report::Style;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The validator as a command that takes its arguments.
fn multitool() -> Option<Vec<String>> {
    let npx = "npx --no-install sarif-multitool".split(' ').map(str::to_owned).collect();
    let command: Vec<String> = std::env::var("HAVENLINT_SARIF_MULTITOOL").map_or(npx, |path| vec![path]);
    let works = Command::new(&command[0]).args(&command[1..]).arg("--version").output();
    works.is_ok_and(|o| o.status.success()).then_some(command)
}

/// What the validator says of a log, as `level rule: message`.
fn validate(tool: &[String], dir: &Path, name: &str, sarif: &str) -> Vec<String> {
    // The package's script for `npx` hands its arguments to a shell, which must not take the semicolons for its own.
    let quote = |list: &str| if tool.len() > 1 { format!("'{list}'") } else { list.to_owned() };
    let (input, output) = (dir.join(format!("{name}.sarif")), dir.join(format!("{name}.verdict.sarif")));
    std::fs::write(&input, sarif).unwrap();
    let run = Command::new(&tool[0])
        .args(&tool[1..])
        .arg("validate")
        .arg(&input)
        .args(["--rule-kind", &quote("Sarif;Ghas"), "--level", &quote("Error;Warning;Note")])
        .args(["--log", "ForceOverwrite", "-o"])
        .arg(&output)
        .output()
        .unwrap();
    let verdict = std::fs::read_to_string(&output)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&run.stdout)));
    let verdict: Value = serde_json::from_str(verdict.trim_start_matches('\u{feff}')).unwrap();
    let results = verdict["runs"][0]["results"].as_array().cloned().unwrap_or_default();
    let word = |v: &Value| v.as_str().unwrap_or("").to_owned();
    // Notes ask for what is not wanted (numeric rule ids, messages by id) or not possible here (URIs that can be fetched).
    results
        .iter()
        .filter(|r| r["level"] != "note")
        .map(|r| {
            let level = r["level"].as_str().unwrap_or("warning");
            let arguments: Vec<_> =
                r["message"]["arguments"].as_array().into_iter().flatten().map(word).collect();
            format!("{level} {}: {} {arguments:?}", word(&r["ruleId"]), word(&r["message"]["id"]))
        })
        .collect()
}

/// More findings than code scanning takes, none that names a file, no findings at all, and the sample.
fn cases() -> Vec<(&'static str, Report)> {
    let clean = Report { findings: vec![], problems: vec![], ..report() };
    let clean = Report { summary: Summary::of(&clean.requirements, &[]), ..clean };
    let mut placeless = report();
    for f in &mut placeless.findings {
        f.location = havenlint::source::locate(&[], havenlint::source::Origin::default());
    }
    let mut unreadable = report();
    unreadable.problems.push(Problem {
        level: havenlint::finding::Severity::Error,
        message: "cannot be read: permission denied".into(),
        help: String::new(),
        location: havenlint::source::Location {
            path: "hosts/secret".into(),
            ..placeless.findings[0].location.clone()
        },
    });
    vec![("sample", report()), ("clean", clean), ("placeless", placeless), ("unreadable", unreadable)]
}

#[test]
fn the_real_validator_has_nothing_to_say() {
    let Some(tool) = multitool() else {
        assert!(
            std::env::var("HAVENLINT_REQUIRE").is_err(),
            "the SARIF Multitool is required, yet not installed"
        );
        println!("SKIPPED: the SARIF Multitool is not installed (npm install @microsoft/sarif-multitool)");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    for (name, report) in cases() {
        let style = Style { category: "nightly".into(), ..Style::default() };
        let said = validate(&tool, dir.path(), name, &render("sarif", &report, &style));
        assert!(said.is_empty(), "{name}:\n{}", said.join("\n"));
    }
    // The validator is alive: it finds fault with a log that has faults.
    let said = validate(
        &tool,
        dir.path(),
        "bad",
        r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": [{"message": {"text": "x"}}]}]}"#,
    );
    assert!(!said.is_empty());
}
