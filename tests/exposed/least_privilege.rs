//! `HL-LEAST-PRIVILEGE`: what rules let in beyond the catalogue and the flows that were seen.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use serde_json::Value;
use std::path::Path;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|e| e.unwrap()) {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }
}

// Findings of the check for the example deployment, and problems of the run.
fn check(seen: Option<(&str, &str)>) -> (Vec<Value>, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/web-servers"), folder.path());
    let mut args = vec!["check", "--format", "json", "--select", "HL-LEAST", "--fail-on", "never"];
    if let Some((name, text)) = seen {
        std::fs::write(folder.path().join(name), text).unwrap();
        args.extend(["--seen", name]);
    }
    let out =
        Command::cargo_bin("havenlint").unwrap().current_dir(folder.path()).args(args).output().unwrap();
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    let list = |k: &str| report[k].as_array().unwrap().clone();
    (list("findings"), list("problems"))
}

fn of<'f>(findings: &'f [Value], text: &str) -> Option<&'f Value> {
    findings.iter().find(|f| f["location"]["text"].as_str().unwrap().contains(text))
}

#[test]
fn ports_that_nothing_needs_are_told_with_the_narrowed_rule() {
    let (findings, _) = check(None);
    let wide = of(&findings, "--dports 443,8080").unwrap_or_else(|| panic!("{findings:#?}"));
    assert_eq!(wide["rule"], "HL-LEAST-PRIVILEGE");
    let message = wide["message"].as_str().unwrap();
    assert!(
        message.starts_with("lets in more to web-1 than is needed:") && message.contains("tcp/8080"),
        "{message}"
    );
    assert!(!message.contains("tcp/443"), "{message}");
    let fix = wide["fix"]["text"].as_str().unwrap();
    assert!(fix.contains("--dport 443") && !fix.contains("8080") && fix.starts_with("-A INPUT"), "{fix}");
    // The rule for administrators is no wider than what the catalogue asks for.
    assert!(of(&findings, "--dport 22").is_none(), "{findings:#?}");
}

#[test]
fn flows_that_were_seen_are_needed_too() {
    let csv = "from,to,proto,port\n0.0.0.0/0,10.0.20.11,tcp,8080\n";
    let (findings, problems) = check(Some(("seen.csv", csv)));
    assert!(problems.is_empty(), "{problems:?}");
    assert!(of(&findings, "--dports 443,8080").is_none(), "{findings:#?}");
    let one = r#"[{"from": "198.51.100.7", "to": "10.0.20.11", "proto": "tcp", "port": 8080}]"#;
    let (findings, _) = check(Some(("seen.json", one)));
    let told = of(&findings, "--dports 443,8080").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(told.contains("addresses do not need tcp/8080"), "{told}");
    let (_, problems) = check(Some(("seen.csv", "from,to,proto,port\n10.0.0.1,10.0.20.11,tcp,ssh\n")));
    assert_eq!(problems[0]["location"]["line"], 2, "{problems:?}");
}

const GATEWAY: &str = r#"
[[gateway]]
name = "edge"
firewall = ["edge.rules"]
interfaces = { wan = ["internet"], dmz = ["10.0.20.0/24"], lan = ["10.0.9.0/24"] }
"#;

const EDGE: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
    -A FORWARD -d 10.0.20.0/24 -p tcp -m multiport --dports 443,8080 -j ACCEPT\n\
    -A FORWARD -s 10.0.9.0/24 -i lan -o dmz -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n";

#[test]
fn rules_of_gateways_are_narrowed_to_what_passes_them() {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/web-servers"), folder.path());
    let file = folder.path().join("havenlint.toml");
    let deployment = std::fs::read_to_string(&file).unwrap() + GATEWAY;
    std::fs::write(&file, deployment).unwrap();
    std::fs::write(folder.path().join("edge.rules"), EDGE).unwrap();
    let args = ["check", "--format", "json", "--select", "HL-LEAST-PRIVILEGE", "--fail-on", "never"];
    let out =
        Command::cargo_bin("havenlint").unwrap().current_dir(folder.path()).args(args).output().unwrap();
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    let findings: Vec<Value> = report["findings"].as_array().unwrap().clone();
    let edge: Vec<&Value> = findings.iter().filter(|f| f["subject"] == "edge").collect();
    let wide = edge.iter().find(|f| f["location"]["line"] == 6).unwrap_or_else(|| panic!("{report:#}"));
    let message = wide["message"].as_str().unwrap();
    assert!(message.starts_with("lets through edge more than is needed:"), "{message}");
    assert!(message.contains("8080"), "{message}");
    // Not by interfaces behind which nobody has these addresses.
    assert!(!message.contains("10.0.20.0/24 > 10.0.20.0/24"), "{message}");
    let fix = wide["fix"]["text"].as_str().unwrap_or_else(|| panic!("{wide:#}"));
    assert!(fix.lines().all(|l| l.starts_with("-A FORWARD ") && l.contains("--dport 443")), "{fix}");
}
