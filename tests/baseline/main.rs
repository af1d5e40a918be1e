//! Baselines: what was accepted stays accepted however the files are written, and nothing that is worse hides behind it.
#![allow(clippy::unwrap_used)]

mod formats;
mod mutated;
mod same;
mod worse;

use havenlint::finding::{Finding, Report};
use havenlint::session::{Options, Outcome, run};
use havenlint::triage::baseline::{Baseline, Settled};
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use walkdir::WalkDir;

/// A copy of a folder of fixtures, to be changed.
pub fn copy(of: &str) -> TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(of);
    let dir = tempfile::tempdir().unwrap();
    for entry in WalkDir::new(&from).into_iter().map(Result::unwrap).filter(|e| e.file_type().is_file()) {
        let to = dir.path().join(entry.path().strip_prefix(&from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(entry.path(), to).unwrap();
    }
    dir
}

/// All that is found in a folder, accepted or not.
pub fn found(dir: &Path) -> Outcome {
    let paths = vec![dir.to_owned()];
    let today = Some(jiff::civil::date(2026, 11, 29));
    run(&Options { paths, no_baseline: true, today, ..Options::default() })
}

/// The baseline that accepts all of it.
pub fn accepting(outcome: &Outcome) -> Baseline {
    let baseline = Baseline::of(&outcome.report.findings, &outcome.spelling);
    // As it is read again.
    serde_json::from_str(&baseline.text()).unwrap()
}

/// What a run found, held against a baseline.
pub fn settled(baseline: &Baseline, outcome: &Outcome) -> Settled {
    baseline.settle(outcome.report.findings.clone(), &outcome.spelling, &|_| true)
}

/// A finding in one line.
pub fn line(f: &Finding) -> String {
    format!("{}:{}: {} {}: {}", f.location.path, f.location.line, f.rule, f.subject, f.message)
}

/// A text of a folder's file replaced, which must be there.
pub fn edit(dir: &Path, file: &str, edit: impl Fn(&str) -> String) {
    let path = dir.join(file);
    let old = fs::read_to_string(&path).unwrap();
    let new = edit(&old);
    assert_ne!(old, new, "{file}: nothing to change");
    fs::write(path, new).unwrap();
}

/// The program itself.
pub fn havenlint(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_havenlint"))
        .args(args)
        .env("NO_COLOR", "1")
        .current_dir(dir)
        .output()
        .unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
}

/// The JSON report of a folder.
pub fn report(dir: &Path, args: &[&str]) -> (i32, Report) {
    let (status, out, err) = havenlint(dir, &[&["check", "--format", "json"], args].concat());
    (status, serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}\n{out}\n{err}")))
}
