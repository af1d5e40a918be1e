//! What a run looked at, and what it did not: files passed over, rules selected by a typing error, files of several boxes.

use crate::commands::{GOOD, folder, json, run_in};
use std::fs;

const CLOSED_V6: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\nCOMMIT\n";

#[test]
fn files_that_look_like_firewalls_and_are_not_read_are_named_in_every_format() {
    let dir = folder(&[
        ("a/rules.v4", GOOD.as_bytes()),
        ("a/up.sh", b"#!/bin/sh\niptables -P INPUT DROP\n"),
        ("a/pf.conf", b"block in all\npass out all\n"),
        ("a/README.md", b"Rules of the web server\n"),
    ]);
    for format in ["human", "concise", "json", "sarif", "github", "junit", "markdown", "html"] {
        let r = run_in(dir.path(), &["check", "a", "--no-config", "--fail-on", "never", "--format", format]);
        assert_eq!(r.status, 0, "{format}: {}", r.err);
        assert!(r.out.contains("up.sh") && r.out.contains("pf.conf"), "{format}: {}", r.out);
        assert!(!r.out.contains("README.md"), "{format}");
    }
    let r = run_in(dir.path(), &["check", "a", "--no-config", "--require-all", "--format", "json"]);
    assert_eq!(r.status, 2);
    assert!(r.out.contains("not read: it is a script that calls iptables"), "{}", r.out);
    // Alone they are no reason to say that there is nothing to look at.
    fs::remove_file(dir.path().join("a/rules.v4")).unwrap();
    let r = run_in(dir.path(), &["check", "a", "--no-config"]);
    assert_eq!(r.status, 3);
    assert!(r.err.contains("a/up.sh") && r.err.contains("iptables-save"), "{}", r.err);
}

#[cfg(unix)]
#[test]
fn links_and_sets_without_a_ruleset_are_named() {
    let dir = folder(&[
        ("real/web.rules", GOOD.as_bytes()),
        ("a/db.rules", GOOD.as_bytes()),
        ("b/lists.ipset", b"create ban hash:ip family inet\nadd ban 192.0.2.1\n"),
    ]);
    std::os::unix::fs::symlink(dir.path().join("real/web.rules"), dir.path().join("a/web.rules")).unwrap();
    let r = run_in(dir.path(), &["check", "a", "b", "--no-config", "--format", "json"]);
    let unread = json(&r)["unread"].clone();
    assert_eq!(unread[0]["path"], "a/web.rules");
    assert_eq!(unread[0]["reason"], "it is a symbolic link, and links are not followed");
    assert_eq!(unread[1]["path"], "b/lists.ipset");
}

#[test]
fn a_deployment_names_the_files_beside_it_that_nobody_named() {
    let deployment = "catalogue = \"safehaven-4\"\nphase = \"operation\"\n[[site]]\nname = \"east\"\ntype = \"manual\"\n\
        [[node]]\nname = \"cms-1\"\nrole = \"cms\"\nsite = \"east\"\naddress = [\"10.1.0.10\"]\nfirewall = [\"cms.rules\"]\n";
    let dir = folder(&[
        ("havenlint.toml", deployment.as_bytes()),
        ("cms.rules", GOOD.as_bytes()),
        ("forgotten/srn.rules", GOOD.as_bytes()),
    ]);
    let r = run_in(dir.path(), &["check", "--format", "json", "--fail-on", "never"]);
    let report = json(&r);
    let inputs: Vec<&str> =
        report["inputs"].as_array().unwrap().iter().map(|i| i["path"].as_str().unwrap()).collect();
    assert_eq!(
        inputs,
        ["cms.rules", "forgotten/srn.rules"],
        "what would be checked without it is checked with it"
    );
    let problem = &report["problems"][0];
    assert_eq!(
        (&problem["level"], &problem["location"]["path"]),
        (&"warning".into(), &"forgotten/srn.rules".into())
    );
    assert!(
        problem["message"].as_str().unwrap().contains("no node or gateway of the deployment file names it")
    );
    let about = |f: &&serde_json::Value| f["subject"] == "forgotten/srn.rules";
    assert!(report["findings"].as_array().unwrap().iter().any(|f| about(&f)), "{}", r.out);
}

#[test]
fn a_selection_that_names_no_rule_is_an_error() {
    let dir = folder(&[("open.rules", b"*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n")]);
    let open = |args: &[&str]| run_in(dir.path(), &[&["check", "open.rules", "--no-config"], args].concat());
    for option in ["--select", "--ignore"] {
        let r = open(&[option, "HL-POLICY-ACEPT"]);
        assert_eq!(r.status, 2, "{}", r.out);
        assert!(r.out.contains("did you mean `HL-POLICY-ACCEPT`?"), "{}", r.out);
        // Nothing is hidden by a typing error.
        assert!(r.out.contains("[HL-POLICY-ACCEPT]"), "{}", r.out);
    }
    let r = open(&["--select", "hl-policy-accept", "--format", "concise"]);
    assert!(r.status != 2 && r.out.contains("HL-POLICY-ACCEPT"), "{}", r.out);
    let r = run_in(dir.path(), &["fix", "open.rules", "--no-config", "--select", "HL-TYPO", "--apply"]);
    assert_eq!(r.status, 2);
    assert!(r.err.contains("no rule has this id"), "{}", r.err);
}

#[test]
fn several_files_are_several_boxes() {
    let dir = folder(&[("a.rules", GOOD.as_bytes()), ("b.rules", CLOSED_V6.as_bytes())]);
    let packet = "input eth0 tcp 10.0.8.15:40000 > 10.1.0.10:20081";
    let trace = |args: &[&str]| {
        let all = [
            &["trace", "a.rules", "b.rules", "--dialect", "iptables", "--packet", packet, "--format", "json"],
            args,
        ]
        .concat();
        run_in(dir.path(), &all)
    };
    let r = trace(&[]);
    let lines: Vec<serde_json::Value> = r.out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{}", r.out);
    assert_eq!((&lines[0]["box"], &lines[0]["verdict"]), (&"a.rules".into(), &"accept".into()));
    assert_eq!((&lines[1]["box"], &lines[1]["verdict"]), (&"b.rules".into(), &"drop".into()));
    // One box drops what one of its tables drops.
    let r = trace(&["--same-box"]);
    assert_eq!(r.out.lines().count(), 1);
    assert!(r.out.contains("\"verdict\":\"drop\"") && !r.out.contains("\"box\""), "{}", r.out);
    let r = run_in(
        dir.path(),
        &[
            "query",
            "a.rules",
            "b.rules",
            "--dialect",
            "iptables",
            "--proto",
            "tcp",
            "--port",
            "20081",
            "--from",
            "10.0.8.15",
            "--format",
            "json",
        ],
    );
    let boxes = json(&r)["boxes"].clone();
    assert_eq!((&boxes[0]["box"], &boxes[0]["state"]), (&"a.rules".into(), &"accepted".into()), "{boxes}");
    assert_eq!((&boxes[1]["box"], &boxes[1]["state"]), (&"b.rules".into(), &"denied".into()), "{boxes}");
}

#[test]
fn both_families_of_a_host_are_joined_by_name_and_that_is_reported() {
    let v6 = format!("# Generated by ip6tables-save v1.8.9\n{CLOSED_V6}");
    let v4 = format!("# Generated by iptables-save v1.8.9\n{GOOD}");
    let dir = folder(&[("h/web.v4", v4.as_bytes()), ("h/web.v6", v6.as_bytes())]);
    let r = run_in(dir.path(), &["check", "h", "--no-config", "--format", "json", "--fail-on", "never"]);
    let report = json(&r);
    let assumed = report["assumptions"].as_array().unwrap();
    assert!(assumed.contains(&"same-box: h/web.v4 + h/web.v6".into()), "{assumed:?}");
    assert!(!r.out.contains("\"HL-IPV6-UNGUARDED\",\n      \"level\""), "{}", r.out);
    let packets = [
        "input eth0 tcp 10.0.8.15:40000 > 10.1.0.10:20081",
        "input eth0 tcp [2001:db8::1]:4 > [2001:db8::2]:22",
    ];
    let r = run_in(
        dir.path(),
        &["trace", "h", "--packet", packets[0], "--packet", packets[1], "--format", "json"],
    );
    assert_eq!(r.status, 0);
    assert_eq!(r.out.lines().count(), 2);
    assert!(r.err.contains("taken for one box because of their names"), "{}", r.err);
}

#[test]
fn firewalls_at_the_other_end_of_a_requirement_are_not_checked_and_that_is_shown() {
    let dir = folder(&[("cms.rules", GOOD.as_bytes())]);
    let args = ["check", "cms.rules", "--role", "cms", "--set", "srn.service=10.1.0.11", "--format", "json"];
    let report = json(&run_in(dir.path(), &args));
    let rows: Vec<&str> = report["requirements"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| r["id"] == "SH4-CMS-CLUSTER")
        .map(|r| r["state"].as_str().unwrap())
        .collect();
    assert!(rows.contains(&"met") && rows.contains(&"not-checked"), "{rows:?}");
}

#[test]
fn files_read_unasked_are_said() {
    let groups = br#"{"SecurityGroups": [{"GroupId": "sg-1", "VpcId": "vpc-1", "GroupName": "web", "Description": "web", "OwnerId": "111122223333",
      "IpPermissions": [], "IpPermissionsEgress": []}]}"#;
    let interfaces = br#"{"NetworkInterfaces": [{"NetworkInterfaceId": "eni-1", "VpcId": "vpc-1", "Groups": [{"GroupId": "sg-1"}],
      "PrivateIpAddresses": [{"PrivateIpAddress": "10.4.0.11"}]}]}"#;
    let dir = folder(&[("c/groups.json", groups), ("c/interfaces.json", interfaces)]);
    let said = |args: &[&str]| {
        let r = run_in(dir.path(), &[&["check", "--no-config", "--format", "json"], args].concat());
        r.out.contains("c/interfaces.json, which lies beside this file, was read with it")
    };
    assert!(said(&["c/groups.json"]));
    assert!(!said(&["c/groups.json", "c/interfaces.json"]) && !said(&["c"]));
}

#[cfg(unix)]
#[test]
fn folders_that_are_passed_over_are_named_or_walked_if_wanted() {
    let dir = folder(&[
        ("real/web.rules", GOOD.as_bytes()),
        ("a/.hidden/x.rules", GOOD.as_bytes()),
        ("a/target/x.rules", GOOD.as_bytes()),
        ("a/node_modules/x.rules", GOOD.as_bytes()),
        ("a/.git/x.rules", GOOD.as_bytes()),
    ]);
    // To a folder with firewalls, to one without, to itself.
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    for (to, name) in
        [("../real", "link"), ("../empty", "nothing"), (".", "loop"), ("no such file", "nowhere")]
    {
        std::os::unix::fs::symlink(to, dir.path().join("a").join(name)).unwrap();
    }
    let r = run_in(dir.path(), &["check", "a", "--no-config"]);
    assert_eq!(r.status, 3, "{}{}", r.out, r.err);
    assert!(
        r.err.contains("a/link") && r.err.contains("links are not followed; name the folder itself"),
        "{}",
        r.err
    );
    assert!(!r.err.contains("a/loop") && !r.err.contains("a/nothing"), "{}", r.err);
    let report = json(&run_in(dir.path(), &["check", "a", "--no-config", "--no-ignore", "--format", "json"]));
    let read: Vec<&str> =
        report["inputs"].as_array().unwrap().iter().map(|i| i["path"].as_str().unwrap()).collect();
    assert_eq!(read, ["a/.hidden/x.rules", "a/node_modules/x.rules", "a/target/x.rules"]);
}

#[cfg(unix)]
#[test]
fn a_file_in_a_folder_that_cannot_be_opened_is_an_error() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let dir = folder(&[("a/web.rules", GOOD.as_bytes()), ("a/db.rules", GOOD.as_bytes())]);
    let file = dir.path().join("a/db.rules");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o0)).unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_havenlint"));
    command
        .args(["check", "a", "--no-config", "--fail-on", "never", "--format", "concise"])
        .current_dir(dir.path());
    // Root may read everything.
    if std::fs::metadata(dir.path()).unwrap().uid() == 0 {
        let program = dir.path().join("havenlint");
        std::fs::copy(env!("CARGO_BIN_EXE_havenlint"), &program).unwrap();
        let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = std::process::Command::new(program);
        command.args(args).current_dir(dir.path()).uid(65534).gid(65534);
    }
    let out = command.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(2), "{text}");
    assert!(text.contains("a/db.rules:1:1: error[HL-INPUT]: cannot read the file"), "{text}");
    assert!(text.contains("a/web.rules"), "the rest is checked: {text}");
}

#[test]
fn padding_before_the_first_word_hides_nothing() {
    let padded = format!("{}{GOOD}", "# nothing to see here\n".repeat(4000));
    assert!(padded.len() > 80_000);
    let dir = folder(&[("a/web.rules", padded.as_bytes())]);
    for path in ["a", "a/web.rules"] {
        let report = json(&run_in(dir.path(), &["check", path, "--no-config", "--format", "json"]));
        assert_eq!(report["inputs"][0]["path"], "a/web.rules", "{path}");
        assert!(report["inputs"][0]["rules"].as_u64() > Some(3), "{path}");
    }
}
