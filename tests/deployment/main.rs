//! Deployments of several machines: what passes from one end to the other, and what a deployment file must say for that.
#![allow(clippy::unwrap_used)]

mod configuration;
mod many;
mod neighbours;
mod real;
mod relayed;
mod routes;
mod together;
mod translation;
mod ways;

#[path = "../support/mod.rs"]
mod support;

use havenlint::finding::{Report, Requirement, Severity, State};
use havenlint::session::{Options, run};
use std::fs;

/// What `check` says of a folder with a deployment file and the files that it names.
pub fn check(deployment: &str, files: &[(&str, &str)]) -> Report {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files.iter().chain([&("havenlint.toml", deployment)]) {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let config = Some(dir.path().join("havenlint.toml"));
    run(&Options { config, no_baseline: true, ..Options::default() }).report
}

/// A dump of a filter table with these chain policies (INPUT, FORWARD, OUTPUT) and rules.
pub fn dump(policies: [&str; 3], rules: &[&str]) -> String {
    let [i, f, o] = policies;
    let rules: String = rules.iter().map(|r| format!("-A {r}\n")).collect();
    format!("*filter\n:INPUT {i} [0:0]\n:FORWARD {f} [0:0]\n:OUTPUT {o} [0:0]\n{rules}COMMIT\n")
}

/// The rows of a requirement at a file, whatever folder it is in.
pub fn rows<'r>(report: &'r Report, id: &str, at: &str) -> Vec<&'r Requirement> {
    report.requirements.iter().filter(|r| r.id == id && r.at.ends_with(at)).collect()
}

/// The state of the only row of a requirement at a file.
pub fn state(report: &Report, id: &str, at: &str) -> State {
    match rows(report, id, at).as_slice() {
        [one] => one.state,
        several => panic!("{} rows of {id} at {at}: {:?}", several.len(), report.problems),
    }
}

/// What a report says is wrong with its inputs; how dumps were read is none of it.
pub fn problems(report: &Report) -> Vec<String> {
    report.problems.iter().filter(|p| p.level > Severity::Note).map(|p| p.message.clone()).collect()
}
