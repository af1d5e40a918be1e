//! The built-in catalogues at work: their examples, and the `catalogue` command.

use havenlint::catalogue::{BUILT_IN, Expected, open};
use havenlint::compliance::example;
use havenlint::finding::State;
use std::path::Path;

#[test]
fn every_example_has_the_state_that_it_states() {
    let mut wrong = Vec::new();
    for (name, _) in BUILT_IN {
        let catalogue = open(name, Path::new("."));
        for r in &catalogue.requirements {
            for e in &r.examples {
                let expected = match e.expect {
                    Expected::Met => State::Met,
                    Expected::Violated => State::Violated,
                    Expected::Undecided => State::Undecided,
                    Expected::NotApplicable => State::NotApplicable,
                };
                let found = example::run(&catalogue, r, e);
                if found != Ok(expected) {
                    wrong.push(format!("{} ({}): expected {expected:?}, found {found:?}", r.id, e.title));
                }
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

fn havenlint(args: &[&str]) -> (Option<i32>, String) {
    let out = assert_cmd::Command::cargo_bin("havenlint").unwrap().args(args).output().unwrap();
    (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned())
}

#[test]
fn lint_says_what_is_wrong_and_where() {
    let (code, out) = havenlint(&["catalogue", "lint", "safehaven-4", "rules/safehaven-5.toml"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.starts_with("safehaven-4: safehaven-4 1.0.0, 20 requirements, "), "{out}");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("own.toml");
    let text = "format = 1\nid = \"own\"\nversion = \"1\"\ntitle = \"t\"\nextends = \"safehaven-4\"\nremove = [\"SH4-CMS-SHS\"]\n";
    std::fs::write(&path, text).unwrap();
    let (code, out) = havenlint(&["catalogue", "lint", path.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(out.contains("own.toml:6:11"), "{out}");
    assert!(out.contains("unknown requirement of the extended catalogue `SH4-CMS-SHS`"), "{out}");
    assert!(out.contains("did you mean `SH4-CMS-SSH`?"), "{out}");
}

#[test]
fn schema_is_the_committed_one() {
    let (code, out) = havenlint(&["catalogue", "schema"]);
    assert_eq!(code, Some(0));
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/catalogue.schema.json");
    assert_eq!(out, std::fs::read_to_string(committed).unwrap());
}

#[test]
fn the_schema_of_deployment_files_is_the_committed_one() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/havenlint.schema.json");
    let fresh = havenlint::deployment::schema_text();
    if std::env::var_os("HAVENLINT_BLESS").is_some() {
        std::fs::write(&committed, &fresh).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(committed).unwrap_or_default(),
        fresh,
        "stale: HAVENLINT_BLESS=1 cargo test --test catalogue"
    );
    let schema: serde_json::Value = serde_json::from_str(&fresh).unwrap();
    assert!(schema["$defs"]["NodeEntry"]["properties"]["addresses"].is_null());
    assert_eq!(schema["$defs"]["NodeEntry"]["additionalProperties"]["$ref"], "#/$defs/Words");
    assert_eq!(
        schema["properties"]["check"]["$ref"].as_str().map(|r| r.contains("CheckEntry")),
        Some(true),
        "{}",
        schema["properties"]["check"]
    );
}

#[test]
fn a_failing_example_fails_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("own.toml");
    let text = r#"
format = 1
id = "own"
version = "1"
title = "t"
extends = "safehaven-4"

[[requirement]]
id = "OWN-WEB"
name = "OwnWeb"
title = "Anybody can reach the CMS on tcp/8443"
summary = "status page"
kind = "required"
section = "handbook"
from = [{ set = "everywhere" }]
to = [{ role = "cms" }]
protocols = ["tcp"]
ports = [8443]
rationale = "Status."

[[requirement.example]]
title = "the port is closed"
role = "cms"
expect = "met"
file = """
*filter
:INPUT DROP [0:0]
:OUTPUT ACCEPT [0:0]
COMMIT
"""
"#;
    std::fs::write(&path, text).unwrap();
    let (code, out) = havenlint(&["catalogue", "test", "--quiet", path.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("FAIL  OWN-WEB: the port is closed"), "{out}");
    assert!(out.contains("own.toml:21: expected met, found violated"), "{out}");
}

/// The engine knows no product: nothing of what the catalogues say stands in the source.
#[test]
fn no_fact_of_a_catalogue_is_in_the_code() {
    let facts =
        ["2008", "SH4-", "SH5-", "ctl.io", "amazonaws", "\"cms\"", "\"srn\"", "vcenter", "protected-server"];
    let mut found = Vec::new();
    let mut looked_at = 0;
    for entry in walkdir::WalkDir::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let entry = entry.unwrap();
        let path = entry.path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let in_tests = path.components().any(|c| c.as_os_str() == "tests") || name.ends_with("tests.rs");
        if path.extension().is_none_or(|e| e != "rs") || in_tests {
            continue;
        }
        looked_at += 1;
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (n, line) in code.lines().enumerate() {
            let line = line.trim_start();
            if !line.starts_with("//") && facts.iter().any(|f| line.contains(f)) {
                found.push(format!("{}:{}: {line}", path.display(), n + 1));
            }
        }
    }
    assert!(looked_at > 30, "{looked_at}");
    assert_eq!(found, [""; 0]);
}

#[test]
fn init_writes_a_file_that_check_reads_and_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let (code, _) = havenlint(&["init", folder]);
    assert_eq!(code, Some(3), "an empty folder");
    std::fs::create_dir(dir.path().join("hosts")).unwrap();
    let dump = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n";
    for name in ["cms-1.v4.rules", "srn-east.rules", "mystery.rules"] {
        std::fs::write(dir.path().join("hosts").join(name), dump).unwrap();
    }
    assert_eq!(havenlint(&["init", folder]).0, Some(0));
    let text = std::fs::read_to_string(dir.path().join("havenlint.toml")).unwrap();
    assert!(text.contains("name = \"cms-1\"\nrole = \"cms\""), "{text}");
    assert!(text.contains("firewall = [\"hosts/srn-east.rules\"]"), "{text}");
    assert!(text.contains("name = \"mystery\"\n# role = "), "{text}");
    let (code, out) = havenlint(&["check", "--fail-on", "never", folder]);
    assert_eq!(code, Some(0), "{out}");
    assert_eq!(havenlint(&["init", folder]).0, Some(2));
    assert_eq!(std::fs::read_to_string(dir.path().join("havenlint.toml")).unwrap(), text);
}
