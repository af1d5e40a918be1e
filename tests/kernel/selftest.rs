//! `havenlint selftest` asks the running kernel: it agrees on our fixtures, sees a difference where there is one, and leaves nothing behind.
#![allow(clippy::unwrap_used)]

use crate::support::{compare, skip};
use havenlint::analysis::Environment;
use havenlint::model::Firewall;
use havenlint::selftest::{Limits, Outcome, Subject, loads, run};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const WEB: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\n\
    -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n-A INPUT -s 10.0.0.0/24 -p tcp -m multiport --dports 22,8000:8010 -j ACCEPT\n\
    -A FORWARD -i eth+ -o wan -p udp --dport 53 -j ACCEPT\nCOMMIT\n";

// Why it cannot run here.
fn hindrance() -> Option<String> {
    for (tool, argument) in
        [("nft", "--version"), ("ip", "-V"), ("iptables-restore", "--version"), ("conntrack", "--version")]
    {
        let found = Command::new(tool).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !found.is_ok_and(|s| s.success()) {
            return Some(format!("`{tool}` is not there"));
        }
    }
    let root = Command::new("unshare").args(["-n", "true"]).stderr(Stdio::null()).status();
    (!root.is_ok_and(|s| s.success())).then(|| "no network namespace (root is needed)".to_owned())
}

fn compared(judged: &Firewall, loaded: &Firewall, packets: usize) -> Outcome {
    let environment = Environment::default();
    let until = Instant::now() + Duration::from_secs(300);
    let loads = loads(&[loaded]).unwrap();
    let subject = Subject { firewalls: &[judged], environment: &environment, loads: &loads };
    run(subject, Limits { packets, until }).unwrap()
}

fn havenlint(arguments: &[&str]) -> Output {
    let root = env!("CARGO_MANIFEST_DIR");
    Command::new(env!("CARGO_BIN_EXE_havenlint")).current_dir(root).args(arguments).output().unwrap()
}

#[test]
fn the_kernel_agrees_on_fixtures() {
    if let Some(why) = hindrance() {
        return skip("the_kernel_agrees_on_fixtures", &why);
    }
    for files in [
        ["demo/hosts/srn-west.v4.rules", ""],
        ["demo/hosts/cms-1.v4.rules", "demo/hosts/cms-1.v6.rules"],
        ["demo/hosts/srn-east.nft", ""],
        ["iptables/host/rules.v4", "iptables/host/sets.ipset"],
        ["nftables/container-host/ruleset.nft", ""],
        ["nftables/firewalld/ruleset.nft", ""],
        ["nftables/nixos/ruleset.json", ""],
        ["nftables/openwrt/ruleset.nft", ""],
    ] {
        let paths: Vec<String> =
            files.iter().filter(|f| !f.is_empty()).map(|f| format!("fixtures/{f}")).collect();
        let mut arguments = vec!["selftest", "--packets", "400", "--seconds", "300", "--format", "json"];
        arguments.extend(paths.iter().map(String::as_str));
        let out = havenlint(&arguments);
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(0), "{files:?}: {said}{}", String::from_utf8_lossy(&out.stdout));
        let told: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(told["schema"], 1);
        for paths in told["boxes"].as_array().unwrap().iter().map(|b| &b["paths"]) {
            assert_eq!(paths.as_array().unwrap().len(), 3, "{files:?}");
            for path in paths.as_array().unwrap() {
                let count = |name: &str| path[name].as_u64().unwrap();
                assert_eq!(count("differ"), 0, "{files:?}: {path}");
                assert!(count("agree") * 2 > count("packets") && count("packets") >= 60, "{files:?}: {path}");
            }
        }
    }
}

#[test]
fn a_ruleset_that_is_not_the_one_judged_differs() {
    if let Some(why) = hindrance() {
        return skip("a_ruleset_that_is_not_the_one_judged_differs", &why);
    }
    let read = |text: &str| compare::read("iptables", text, "");
    let judged = read(WEB);
    assert_eq!(compared(&judged, &judged, 300).total(|c| c.differ), 0);
    for (what, with, hook, path) in [
        ("8000:8010", "8000:8009", "input", "input"),
        ("10.0.0.0/24", "10.0.0.0/25", "input", "input"),
        (":OUTPUT ACCEPT", ":OUTPUT DROP", "output", "output"),
        ("-o wan", "-o lan", "forward", "forward"),
        ("ESTABLISHED", "RELATED", "input", "input"),
    ] {
        let out = compared(&judged, &read(&WEB.replace(what, with)), 300);
        let counts = out.paths.iter().find(|c| c.path == path).unwrap();
        assert!(counts.differ > 0, "{what} as {with} is not seen: {out:?}");
        let shown = out.differences.iter().find(|d| d.packet.path.name() == path).unwrap();
        assert_eq!(shown.kernel_hook, Some(hook), "{shown:?}");
        assert!(shown.decided_by.is_some(), "{shown:?}");
        assert!(shown.kernel_trace.iter().any(|l| l.contains("trace id")), "{shown:?}");
    }
}

#[test]
fn what_cannot_be_loaded_is_said_in_the_words_of_the_program() {
    if let Some(why) = hindrance() {
        return skip("what_cannot_be_loaded_is_said_in_the_words_of_the_program", &why);
    }
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let before = namespaces();
    let unknown = file("unknown.rules", &WEB.replace("-m multiport", "-m nosuchmatch"));
    let out = havenlint(&["selftest", &unknown]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(
        said.contains("unknown.rules cannot be loaded: `iptables-restore`") && said.contains("nosuchmatch"),
        "{said}"
    );
    let missing = file(
        "missing.nft",
        "table ip t {\n\tchain c {\n\t\ttype filter hook input priority 0;\n\t\tip saddr @absent drop\n\t}\n}\n",
    );
    let said = String::from_utf8_lossy(&havenlint(&["selftest", &missing]).stderr).into_owned();
    assert!(said.contains("missing.nft:4:"), "{said}");
    let out = havenlint(&["selftest", "fixtures/demo/edge/edge-east.xml"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("does not run in the Linux kernel"));
    assert_eq!(namespaces(), before);
}

// The signals that this process ignores, as the kernel shows them (proc_pid_status(5), `SigIgn`): the lowest bit is signal 1.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap()
}

// The named namespaces.
fn namespaces() -> Vec<u8> {
    Command::new("ip").args(["netns", "list"]).output().unwrap().stdout
}

// The network namespaces of a process's threads that are not ours.
fn foreign(process: &Path) -> Vec<String> {
    let name = |p: &Path| fs::read_link(p.join("ns/net")).ok().map(|l| l.to_string_lossy().into_owned());
    let own = name(Path::new("/proc/self"));
    let tasks = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    tasks.filter_map(|t| name(&t.path())).filter(|n| Some(n) != own.as_ref()).collect()
}

fn within<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + limit;
    loop {
        let answer = ask();
        if answer.is_some() || Instant::now() > until {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nothing_is_left_when_it_is_killed() {
    if let Some(why) = hindrance() {
        return skip("nothing_is_left_when_it_is_killed", &why);
    }
    let before = namespaces();
    // A job that a shell has put in the background ignores INT, and so does all that it starts.
    let ignored = ignored();
    for (signal, _) in
        [("INT", 2), ("TERM", 15), ("KILL", 9)].iter().filter(|(_, n)| ignored >> (n - 1) & 1 == 0)
    {
        let mut child: Child = Command::new(env!("CARGO_BIN_EXE_havenlint"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["selftest", "--packets", "50000", "fixtures/demo/hosts/srn-east.nft"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = Path::new("/proc").join(child.id().to_string());
        let space = within(Duration::from_secs(60), || foreign(&process).pop());
        let sent =
            Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().code(), None, "{signal}: it had ended before");
        let space = space.unwrap_or_else(|| panic!("{signal}: no namespace was seen"));
        let gone = within(Duration::from_secs(30), || {
            let processes = fs::read_dir("/proc").unwrap().flatten();
            (!processes.into_iter().any(|p| foreign(&p.path()).contains(&space))).then_some(())
        });
        assert!(gone.is_some(), "{signal}: something still lives in {space}");
    }
    assert_eq!(namespaces(), before);
}
