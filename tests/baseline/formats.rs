//! All formats say the same of what is accepted as the exit status does.

use crate::{copy, edit, havenlint};
use havenlint::report::FORMATS;
use serde_json::Value;
use std::path::Path;

/// Whether a report in a format says that something counts against the run.
fn fails(format: &str, text: &str) -> bool {
    let json = || serde_json::from_str::<Value>(text).unwrap();
    match format {
        "human" => text.lines().any(|l| l.starts_with("error[")),
        "concise" => text.lines().any(|l| l.contains(": error[")),
        "json" => json()["findings"].as_array().unwrap().iter().any(|f| f["level"] == "error"),
        "sarif" => json()["runs"][0]["results"]
            .as_array()
            .unwrap()
            .iter()
            .any(|r| r["level"] == "error" && r["suppressions"].is_null()),
        "github" => text.lines().any(|l| l.starts_with("::error")),
        "junit" => text.contains("<failure") || text.contains("<error"),
        "markdown" => text.contains("### ❌"),
        "gitlab" => json().as_array().unwrap().iter().any(|f| f["severity"] == "critical"),
        "rdjson" => json()["diagnostics"].as_array().unwrap().iter().any(|d| d["severity"] == "ERROR"),
        "checkstyle" => text.contains("severity=\"error\""),
        "csv" => text.lines().any(|l| l.starts_with("error,") && !l.starts_with("error,waived,")),
        _ => text.contains("class=\"level error\"") || text.contains(">error</"),
    }
}

/// Whether it shows that something is accepted, and why.
fn shows_accepted(format: &str, text: &str) -> bool {
    let json = || serde_json::from_str::<Value>(text).unwrap();
    match format {
        "json" => !json()["waived"].as_array().unwrap().is_empty(),
        "sarif" => json()["runs"][0]["results"].as_array().unwrap().iter().any(|r| {
            r["suppressions"][0]["justification"].as_str().is_some_and(|j| j.contains("in the baseline"))
        }),
        "junit" => text.contains("<skipped message=\"waived: in the baseline"),
        _ => text.contains("in the baseline"),
    }
}

fn reports(dir: &Path, args: &[&str]) -> Vec<(&'static str, i32, String)> {
    let names = FORMATS.iter().map(|f| f.0);
    names
        .map(|f| {
            let (status, out, err) = havenlint(dir, &[&["check", "--format", f], args].concat());
            assert!(!out.is_empty(), "{f}: {err}");
            (f, status, out)
        })
        .collect()
}

#[test]
fn every_format_agrees_with_the_exit_status() {
    let dir = copy("demo");
    for (format, status, text) in reports(dir.path(), &[]) {
        assert_eq!(status, 1);
        assert!(fails(format, &text), "{format} shows nothing that fails:\n{text}");
    }
    assert_eq!(havenlint(dir.path(), &["baseline", "write"]).0, 0);
    for (format, status, text) in reports(dir.path(), &[]) {
        assert_eq!(status, 0);
        assert!(!fails(format, &text), "{format} fails though everything is accepted:\n{text}");
        assert!(shows_accepted(format, &text), "{format} hides what is accepted:\n{text}");
    }
    edit(dir.path(), "hosts/cms-1.v4.rules", |text| text.replace("--dport 22 ", "--dport 2222 "));
    for (format, status, text) in reports(dir.path(), &[]) {
        assert_eq!(status, 1);
        assert!(fails(format, &text), "{format} shows nothing that fails:\n{text}");
    }
}
