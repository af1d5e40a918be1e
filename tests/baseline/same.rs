//! Ways to write the same: nothing of it makes an accepted finding a new one.

use crate::{accepting, copy, edit, found, havenlint, line, report, settled};
use std::fs;
use std::path::Path;

/// Counters, handles, comments and lines as they change between two dumps.
fn dumped_again(dir: &Path) {
    for file in ["hosts/cms-1.v4.rules", "hosts/cms-1.v6.rules", "hosts/srn-west.v4.rules"] {
        edit(dir, file, |text| {
            let text = text.replace("[0:0]", "[5:300]").replace("\n-A ", "\n# a remark\n\n[17:1020] -A ");
            text.replace("opened for the move of 2024-03", "nobody knows why")
        });
    }
    edit(dir, "hosts/srn-east.nft", |text| {
        let text = text.replace("counter packets 0 bytes 0", "counter packets 9 bytes 812");
        let text = text.replace(" ct state new accept", " ct state new accept # handle 7");
        let text = text.replace("installed by nodewatch-agent 3.2", "nodewatch-agent 3.3");
        format!("# written by nft\n{text}")
    });
    edit(dir, "edge/edge-east.xml", |text| {
        text.replace("<descr>", "<descr>new: ").replace("\n\t\t<rule>", "\n\n\t\t<rule>")
    });
}

#[test]
fn the_same_rules_in_other_words() {
    let dir = copy("demo");
    let baseline = accepting(&found(dir.path()));
    dumped_again(dir.path());
    let settled = settled(&baseline, &found(dir.path()));
    let new: Vec<String> = settled.new.iter().map(line).collect();
    // Names of pfSense's rules are part of what is said about rules that they take the packets of.
    let new: Vec<&String> = new.iter().filter(|l| !l.contains("matches all of its packets")).collect();
    assert!(new.is_empty(), "{new:#?}");
    let stale: Vec<_> = settled.stale.iter().filter(|s| !s.contains("matches all of its packets")).collect();
    assert!(stale.is_empty(), "{stale:#?}");
}

#[test]
fn the_same_files_under_other_names() {
    let dir = copy("demo");
    let root = dir.path();
    assert_eq!(havenlint(root, &["baseline", "write"]).0, 0);
    let text = fs::read_to_string(root.join("havenlint-baseline.json")).unwrap();
    assert!(!text.contains(root.to_str().unwrap()), "{text}");
    let whole = root.to_str().unwrap();
    for (from, args) in [
        (".", vec![]),
        (".", vec!["."]),
        (".", vec![whole]),
        ("hosts", vec![]),
        ("hosts", vec![".."]),
        ("edge", vec!["../hosts/.."]),
        ("/", vec![whole]),
    ] {
        let (status, report) = report(&root.join(from), &args);
        let new: Vec<String> = report.findings.iter().map(line).collect();
        assert!(new.is_empty(), "{from} {args:?}: {new:#?}");
        assert_eq!(status, 0, "{from} {args:?}");
    }
    // From wherever it is written.
    assert_eq!(havenlint(&root.join("aws"), &["baseline", "write"]).0, 0);
    assert_eq!(fs::read_to_string(root.join("havenlint-baseline.json")).unwrap(), text);
}

#[test]
fn without_a_deployment_file_too() {
    let dir = copy("exposed");
    let root = dir.path();
    assert_eq!(havenlint(root, &["baseline", "write", "."]).0, 0);
    let whole = root.to_str().unwrap();
    let baseline = root.join("havenlint-baseline.json");
    let baseline = baseline.to_str().unwrap();
    for args in
        [vec!["."], vec![whole], vec!["edge.nft", "remote-desktop.xml"], vec![whole, "--baseline", baseline]]
    {
        let (status, report) = report(root, &args);
        assert!(
            report.findings.is_empty(),
            "{args:?}: {:#?}",
            report.findings.iter().map(line).collect::<Vec<_>>()
        );
        assert_eq!(status, 0, "{args:?}");
        assert!(!report.waived.is_empty(), "{args:?}");
    }
}

#[test]
fn old_baselines_are_refused() {
    let dir = copy("exposed");
    let old = r#"{"schema": 1, "findings": [{"path": "edge.nft", "rule": "HL-X", "fingerprint": "00", "message": "x"}]}"#;
    fs::write(dir.path().join("havenlint-baseline.json"), old).unwrap();
    let (status, report) = report(dir.path(), &["."]);
    assert_eq!(status, 2);
    let problem = report.problems.iter().find(|p| p.location.path == "havenlint-baseline.json").unwrap();
    assert!(problem.message.contains("schema 1") && problem.help.contains("havenlint baseline write"));
    assert!(!report.findings.is_empty(), "nothing is accepted by it");
    // Writing it again is the cure.
    assert_eq!(havenlint(dir.path(), &["baseline", "write", "."]).0, 0);
    assert_eq!(havenlint(dir.path(), &["check", "."]).0, 0);
}
