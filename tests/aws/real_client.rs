//! What a real client writes: the AWS CLI against a loopback moto server, both from PyPI, builds a dozen groups; its answers are linted.
//!
//! Skipped where Python or PyPI cannot be had; with HAVENLINT_REQUIRE=1 that is a failure. HAVENLINT_AWS_VENV names a virtual environment
//! with `awscli` and `moto[ec2,server]` to use instead of a fresh one.

use crate::common::verdict;
use havenlint::analysis::Environment;
use havenlint::analysis::Verdict::{Accept, Drop};
use havenlint::dialect::ReadOptions;
use havenlint::dialect::load::load;
use havenlint::lint::registry::{Subject, run};
use havenlint::model::Firewall;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Server(Child);

impl std::ops::Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A virtual environment with both programs, or why there is none.
fn environment(scratch: &Path) -> Result<PathBuf, String> {
    if let Ok(given) = std::env::var("HAVENLINT_AWS_VENV") {
        return Ok(given.into());
    }
    let venv = scratch.join("venv");
    let run = |program: &Path, args: &[&str]| {
        let out =
            Command::new(program).args(args).output().map_err(|e| format!("{}: {e}", program.display()))?;
        if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
    };
    run(Path::new("python3"), &["-m", "venv", &venv.to_string_lossy()])?;
    run(
        &venv.join("bin/pip"),
        &["install", "--quiet", "--disable-pip-version-check", "awscli", "moto[ec2,server]"],
    )?;
    Ok(venv)
}

/// A moto server on a free loopback port.
fn server(venv: &Path) -> Result<(Server, String), String> {
    let mut child = Command::new(venv.join("bin/moto_server"))
        .args(["-H", "127.0.0.1", "-p", "0"])
        .env("PYTHONUNBUFFERED", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("moto_server: {e}"))?;
    let log = child.stderr.take().ok_or("no log")?;
    let server = Server(child);
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if let Some(at) = line.find("http://127.0.0.1:") {
                let _ = send.send(line[at..].split_whitespace().next().unwrap_or_default().to_owned());
            }
        }
    });
    let endpoint = receive.recv_timeout(Duration::from_secs(60)).map_err(|_| "moto_server does not start")?;
    Ok((server, endpoint))
}

fn by_name(f: &Firewall, name: &str) -> String {
    let inventory: &havenlint::dialect::aws::inventory::Inventory =
        f.native.as_ref().unwrap().downcast_ref().unwrap();
    inventory
        .groups
        .iter()
        .find(|g| g.name.as_deref() == Some(name))
        .unwrap_or_else(|| panic!("{name}"))
        .id
        .clone()
}

#[test]
fn the_answers_of_the_aws_cli_are_understood() {
    let scratch = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let ready = environment(scratch.path()).and_then(|venv| Ok((server(&venv)?, venv)));
    let ((_server, endpoint), venv) = match ready {
        Ok(r) => r,
        Err(why) if std::env::var("HAVENLINT_REQUIRE").is_ok_and(|v| v == "1") => {
            panic!("required, but: {why}")
        }
        Err(why) => {
            println!("SKIPPED: no AWS CLI and moto from PyPI: {why}");
            return;
        }
    };
    let cloud = scratch.path().join("cloud");
    std::fs::create_dir(&cloud).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/build_cloud.sh");
    let out =
        Command::new("sh").arg(script).arg(venv.join("bin/aws")).arg(&endpoint).arg(&cloud).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));

    let groups_only = ReadOptions { complete: true, ..ReadOptions::default() };
    let loaded = load(std::slice::from_ref(&cloud), &groups_only, None);
    assert_eq!((loaded.firewalls.len(), loaded.unreadable.len()), (2, 0), "{:?}", loaded.unreadable);
    let f = &loaded.firewalls[0];
    let problems = crate::common::problems(f);
    assert_eq!(problems, Vec::<String>::new());
    assert!(f.files.len() >= 5, "groups, interfaces, ACLs, subnets, prefix list");

    let environment = Environment::default();
    let mut findings = Vec::new();
    run(&Subject::new(f, &[f], &environment, "cloud"), &mut findings);
    let found = |rule: &str, name: &str| {
        findings.iter().any(|x| x.rule == rule && x.message.contains(&format!("({name})")))
    };
    for (rule, name) in [
        ("HL-AWS-INTERNET-SSH", "ssh-open"),
        ("HL-AWS-INTERNET-RDP", "halves"),
        ("HL-AWS-INTERNET-DATABASE", "six"),
        ("HL-AWS-INTERNET-ALL", "all-open"),
        ("HL-AWS-INTERNET-ADMIN", "listed"),
        ("HL-AWS-EGRESS-ALL", "srn"),
    ] {
        assert!(
            found(rule, name),
            "{rule} for {name}: {:?}",
            findings.iter().map(|f| &f.message).collect::<Vec<_>>()
        );
    }
    for name in ["udp-only", "ping", "admin", "srn", "by-reference", "closed"] {
        for rule in ["SSH", "RDP", "DATABASE", "ADMIN", "ALL", "UNDECIDED"] {
            assert!(!found(&format!("HL-AWS-INTERNET-{rule}"), name), "{rule} for {name}");
        }
    }
    assert!(!found("HL-AWS-EGRESS-ALL", "closed"));

    let verdict_of = |f: &Firewall, name: &str, packet: &str| verdict(f, Some(&[&by_name(f, name)]), packet);
    for (name, packet, expected) in [
        ("by-reference", "ingress tcp 172.31.4.11:4000 > 172.31.4.12:443", Accept),
        ("by-reference", "ingress tcp 172.31.4.13:4000 > 172.31.4.12:443", Drop),
        ("srn", "ingress tcp 10.1.0.7:4000 > 172.31.4.14:20084", Accept),
        ("srn", "ingress tcp 10.1.0.7:4000 > 172.31.4.14:20085", Drop),
        ("closed", "egress tcp 172.31.4.15:4000 > 10.1.0.7:443", Drop),
        ("srn", "egress tcp 172.31.4.15:4000 > 10.1.0.7:443", Accept),
    ] {
        assert_eq!(verdict_of(f, name, packet), expected, "{name}: {packet}");
    }
    // By address alone: both groups are attached to the interface.
    assert_eq!(verdict(f, None, "ingress tcp 10.0.9.7:4000 > 172.31.4.12:22"), Accept);
    assert_eq!(verdict(f, None, "ingress tcp 10.0.9.7:4000 > 172.31.4.11:22"), Drop);

    // The list of rules makes the same groups.
    let rules = &loaded.firewalls[1];
    assert_eq!(crate::common::problems(rules), Vec::<String>::new());
    for (name, packet) in [
        ("srn", "ingress tcp 10.1.0.7:4000 > 172.31.4.14:20084"),
        ("srn", "ingress tcp 10.1.0.7:4000 > 172.31.4.14:20085"),
        ("ssh-open", "ingress tcp 203.0.113.7:4000 > 172.31.4.14:22"),
        ("ping", "ingress icmp 203.0.113.7 > 172.31.4.14 type 8"),
        ("all-open", "ingress gre 203.0.113.7 > 172.31.4.14"),
    ] {
        let id = by_name(f, name);
        assert_eq!(
            verdict(rules, Some(&[&id]), packet),
            verdict(f, Some(&[&id]), packet),
            "{name}: {packet}"
        );
    }
    println!("a dozen groups by the AWS CLI, built and linted in {:?}", started.elapsed());
}
