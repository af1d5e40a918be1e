//! `havenlint fix`: what it offers does what it says, the real tools take it, and what cannot be proven is not offered.
#![allow(clippy::unwrap_used)]

use crate::support::random::Random;
use crate::support::skip;
use assert_cmd::Command;
use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::{Dialect, ReadOptions, iptables::Iptables};
use havenlint::finding::Finding;
use havenlint::model::Firewall;
use havenlint::packet::{Field, IntervalSet, Packet, Path as Way, addr};
use havenlint::repair::repairs;
use havenlint::session::Options;
use havenlint::source::SourceFile;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

struct Run {
    status: i32,
    out: String,
    err: String,
}

fn havenlint(dir: &Path, args: &[&str]) -> Run {
    let mut c = Command::new(env!("CARGO_BIN_EXE_havenlint"));
    let o = c.args(args).env("NO_COLOR", "1").current_dir(dir).output().unwrap();
    Run {
        status: o.status.code().unwrap(),
        out: String::from_utf8_lossy(&o.stdout).into_owned(),
        err: String::from_utf8(o.stderr).unwrap(),
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from).into_iter().flatten().filter(|e| e.file_type().is_file()) {
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(entry.path(), target).unwrap();
    }
}

fn demo() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixtures().join("demo"), &dir.path().join("demo"));
    dir
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = walkdir::WalkDir::new(dir).into_iter().flatten().filter(|e| e.file_type().is_file());
    files.map(|e| (e.path().strip_prefix(dir).unwrap().to_owned(), fs::read(e.path()).unwrap())).collect()
}

/// State and remainder of each requirement, the worst where one flow is asked at several points of a file.
fn requirements(dir: &Path, args: &[&str]) -> BTreeMap<String, (u8, String)> {
    let run = havenlint(dir, &[&["check"], args, &["--format", "json", "--fail-on", "never"]].concat());
    let report: Value = serde_json::from_str(&run.out).unwrap_or_else(|e| panic!("{e}\n{}", run.err));
    let mut out = BTreeMap::new();
    for r in report["requirements"].as_array().unwrap() {
        let key = format!("{} {} {}", r["id"], r["subject"], r["flow"]);
        let bad = match r["state"].as_str().unwrap() {
            "violated" => 2,
            "undecided" => 1,
            _ => 0,
        };
        let entry = out.entry(key).or_insert((bad, r["remainder"].to_string()));
        if bad > entry.0 {
            *entry = (bad, r["remainder"].to_string());
        }
    }
    out
}

/// The requirements that changed, all of which must be better than before.
fn bettered(
    before: &BTreeMap<String, (u8, String)>,
    after: &BTreeMap<String, (u8, String)>,
) -> BTreeSet<String> {
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let changed = before.iter().filter(|(k, was)| after[*k] != **was);
    changed
        .map(|(k, was)| {
            assert!(after[k].0 < was.0, "{k}: was {was:?}, is {:?}", after[k]);
            k.split_whitespace().next().unwrap().trim_matches('"').to_owned()
        })
        .collect()
}

/// Whether the real tool takes a file; `None` where it cannot be asked.
fn loads(file: &Path) -> Option<bool> {
    let text = fs::read(file).unwrap();
    let start = String::from_utf8_lossy(&text);
    let command: &[&str] = match () {
        () if start.contains("ip6tables-save") => &["ip6tables-restore", "--test"],
        () if start.contains("*filter") => &["iptables-restore", "--test"],
        () => &["nft", "-c", "-f", "-"],
    };
    let out = Command::new("unshare").arg("-n").args(command).write_stdin(text.clone()).output().ok()?;
    let missing = String::from_utf8_lossy(&out.stderr).contains("Operation not permitted");
    (!missing && out.status.code() != Some(127)).then(|| out.status.success())
}

#[test]
fn the_demo_is_repaired() {
    let dir = demo();
    let before = (contents(dir.path()), requirements(dir.path(), &["demo"]));

    let shown = havenlint(dir.path(), &["fix", "demo"]);
    assert_eq!(shown.status, 1, "{}", shown.err);
    assert_eq!(contents(dir.path()), before.0, "nothing is written without --apply");
    for part in [
        "--- a/demo/hosts/srn-west.v4.rules\n+++ b/demo/hosts/srn-west.v4.rules\n",
        "\n+-A INPUT -s 10.1.0.11/32 -i eth0 -p tcp -m tcp --dport 20082 -m conntrack --ctstate NEW -j ACCEPT\n",
        "only tcp/20082 from 10.1.0.11 to this machine is newly let through",
        "only tcp from port 80 of this machine to 10.2.8.61 is newly let through",
        "+\t\tiifname \"eth2\" ip saddr 10.1.8.51 tcp dport 5671 ct state new accept\n",
        "only udp/20082 from 10.2.0.11 to 10.1.0.11 (as it is after translation) is newly let through",
        "by hand, not proven: run\naws ec2 authorize-security-group-ingress",
    ] {
        assert!(shown.out.contains(part), "{part}\n{}", shown.out);
    }

    // git takes what is shown, and makes of it what --apply writes.
    let patched = demo();
    let git = |args: &[&str]| {
        Command::new("git").args(args).current_dir(patched.path()).write_stdin(shown.out.clone()).ok()
    };
    git(&["init", "-q"]).unwrap();
    git(&["apply", "--whitespace=nowarn", "-"]).unwrap();
    fs::remove_dir_all(patched.path().join(".git")).unwrap();
    let applied = havenlint(dir.path(), &["fix", "demo", "--apply"]);
    assert_eq!(applied.status, 0, "only advice is left: {}", applied.err);
    assert!(applied.err.contains("wrote demo/hosts/srn-east.nft"), "{}", applied.err);
    assert_eq!(contents(dir.path()), contents(patched.path()));

    let after = requirements(dir.path(), &["demo"]);
    let ids: BTreeSet<_> =
        ["SH4-SRN-AMQP", "SH4-SRN-CLUSTER", "SH4-SRN-HEARTBEAT", "SH4-SRN-HTTP"].map(String::from).into();
    assert_eq!(bettered(&before.1, &after), ids);
    for name in ["srn-west.v4.rules", "srn-east.nft"] {
        match loads(&dir.path().join("demo/hosts").join(name)) {
            Some(ok) => assert!(ok, "{name} does not load"),
            None => skip("the_demo_is_repaired", "no network namespace, or no iptables and nft"),
        }
    }

    // Nothing is left to do in the files.
    let now = contents(dir.path());
    let again = havenlint(dir.path(), &["fix", "demo", "--apply", "--ignore", "HL-AWS,HL-LEAST-PRIVILEGE"]);
    assert_eq!((again.status, again.out.as_str()), (0, ""), "{}", again.err);
    assert_eq!(contents(dir.path()), now);
}

const SETS: &[&str] = &[
    "--set",
    "srn.service=10.1.0.11,10.2.0.11",
    "--set",
    "cms.service=10.1.0.10",
    "--set",
    "admin=10.0.9.0/24",
    "--set",
    "gui=10.0.8.15",
    "--set",
    "protected-server.local=10.1.8.51,10.2.8.0/28",
];

#[test]
fn rulesets_of_the_tools_are_repaired() {
    let mut repaired = 0;
    for kind in ["iptables", "nftables"] {
        let files = walkdir::WalkDir::new(fixtures().join(kind)).sort_by_file_name().into_iter().flatten();
        for file in files.filter(|f| {
            let name = f.file_name().to_string_lossy().into_owned();
            name.starts_with("rules.v") || name.starts_with("ruleset.")
        }) {
            for role in ["cms", "srn"] {
                let dir = tempfile::tempdir().unwrap();
                let name = file.file_name().to_string_lossy().into_owned();
                // With what lies beside it.
                copy(file.path().parent().unwrap(), dir.path());
                let path = dir.path().join(&name);
                let args = [&[name.as_str(), "--role", role], SETS].concat();
                let before = requirements(dir.path(), &args);
                let loaded = loads(&path);
                let fix = ["fix", "--ignore", "HL-SHADOWED", "--ignore", "HL-REDUNDANT"];
                let run = havenlint(dir.path(), &[&fix[..], &["--apply"], &args[..]].concat());
                assert_eq!(run.status, 0, "{} {role}: {}", path.display(), run.err);
                let better = bettered(&before, &requirements(dir.path(), &args));
                assert_eq!(better.is_empty(), !run.err.contains("wrote "), "{}", run.err);
                repaired += better.len();
                match loaded {
                    Some(true) if !better.is_empty() => {
                        assert_eq!(loads(&path), Some(true), "{} {role}\n{}", file.path().display(), run.out);
                    }
                    None => skip("rulesets_of_the_tools_are_repaired", "no network namespace, or no tools"),
                    _ => {}
                }
                let again = havenlint(dir.path(), &[&fix[..], &args[..]].concat());
                assert_eq!(again.status, 0, "{}\n{}", again.out, again.err);
            }
        }
    }
    assert!(repaired > 40, "only {repaired}");
}

const HOST: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:WEB - [0:0]\n\
    -A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
    -A INPUT -s 10.0.9.0/24 -p tcp -m tcp --dport 22 -j ACCEPT\n\
    -A INPUT -s 10.1.0.0/16 -p udp -m udp --dport 20081 -j ACCEPT\n\
    -A INPUT -s 10.0.8.15/32 -p tcp -m tcp --dport 20081 -j ACCEPT\n\
    -A INPUT -j WEB\n-A WEB -s 10.1.0.99/32 -j ACCEPT\n-A WEB -j DROP\nCOMMIT\n";

const CMS: &[&str] = &[
    "dump",
    "--role",
    "cms",
    "--set",
    "srn.service=10.1.0.11",
    "--set",
    "admin=10.0.9.0/24",
    "--set",
    "gui=10.0.8.15",
];

const RULE: &str = "-A WEB -s 10.1.0.11/32 -p tcp -m tcp --dport 20081 -m conntrack --ctstate NEW -j ACCEPT";

fn fix(dir: &TempDir, more: &[&str]) -> Run {
    havenlint(dir.path(), &[&["fix"], CMS, more].concat())
}

#[test]
fn the_smallest_edit_where_the_packet_is_stopped() {
    let dir = folder(&[("dump", HOST)]);
    let run = fix(&dir, &["--apply"]);
    assert_eq!(run.status, 0, "{}", run.err);
    let expected = HOST.replace("-A WEB -j DROP\n", &format!("{RULE}\n-A WEB -j DROP\n"));
    assert_eq!(fs::read_to_string(dir.path().join("dump")).unwrap(), expected);
    assert!(run.err.contains("\n1 repair made; left: 0 errors, "), "{}", run.err);
}

#[test]
fn what_would_open_more_is_not_offered() {
    // The rule would stand in a chain that forwarded packets pass too: there, it lets through to everywhere.
    let dir = folder(&[("dump", &HOST.replace("-A INPUT -j WEB\n", "-A INPUT -j WEB\n-A FORWARD -j WEB\n"))]);
    let run = fix(&dir, &["--apply"]);
    assert_eq!(run.status, 0, "{}", run.err);
    assert!(
        run.out.contains("not repaired: it would also let through tcp/20081 from 10.1.0.11 to "),
        "{}",
        run.out
    );
    assert!(run.err.contains("1 finding not repaired, because no repair could be proven"), "{}", run.err);

    // Peers may be anywhere as long as nobody declares them.
    let open = "-A INPUT -s 10.0.9.0/24 -p tcp -m tcp --dport 22 -j ACCEPT\n";
    let dir = folder(&[("dump", &HOST.replace(open, "").replace("-A WEB -s 10.1.0.99/32 -j ACCEPT\n", ""))]);
    let run = havenlint(dir.path(), &["fix", "dump", "--role", "cms"]);
    assert_eq!(run.status, 0, "{}{}", run.out, run.err);
    assert!(run.out.contains("not repaired: the addresses of admin are not declared"), "{}", run.out);

    // What is required opens what is forbidden: these addresses are on the Internet.
    let dir = folder(&[("dump", HOST)]);
    let args: Vec<&str> = CMS
        .iter()
        .map(|a| if *a == "srn.service=10.1.0.11" { "srn.service=10.1.0.11,203.0.113.0/24" } else { *a })
        .collect();
    let run = havenlint(dir.path(), &[&["fix"], &args[..]].concat());
    assert!(run.out.contains("not repaired: SH4-NET-EXPOSED of dump would become violated"), "{}", run.out);
}

#[test]
fn an_edit_that_is_not_enough_is_followed_up_or_not_offered() {
    // The first packet and the answers are stopped: one repair, two rules.
    let closed = HOST.replace(":OUTPUT ACCEPT", ":OUTPUT DROP");
    let dir = folder(&[("dump", &closed)]);
    let run = fix(&dir, &["--apply", "--select", "SH4-CMS-CLUSTER"]);
    assert_eq!(run.status, 0, "{}", run.err);
    let text = fs::read_to_string(dir.path().join("dump")).unwrap();
    assert!(text.contains(RULE), "{text}");
    assert!(text.contains("-A OUTPUT -d 10.1.0.11/32 -p tcp -m tcp --sport 20081"), "{text}");
    assert_eq!(
        bettered(&requirements(folder(&[("dump", &closed)]).path(), CMS), &requirements(dir.path(), CMS))
            .len(),
        1
    );

    // A condition that the file does not decide is in the way.
    let dir = folder(&[(
        "dump",
        &HOST.replace("-A INPUT -j WEB\n", "-A INPUT -m time --timestart 22:00 -j WEB\n"),
    )]);
    let run = fix(&dir, &["--select", "SH4-CMS-CLUSTER"]);
    assert_eq!(run.status, 0, "{}", run.err);
    assert!(!run.out.contains("+++"), "{}", run.out);
}

#[test]
fn a_bad_repair_does_not_keep_the_good_ones_back() {
    let dump = HOST
        .replace("-A INPUT -s 10.0.8.15/32 -p tcp -m tcp --dport 20081 -j ACCEPT\n", "")
        .replace(
            "-A INPUT -s 10.0.9.0/24 -p tcp -m tcp --dport 22 -j ACCEPT\n",
            "-A INPUT -s 10.0.9.0/24 -p tcp -m tcp --dport 22 -j SSH\n",
        )
        .replace("-A INPUT -j WEB\n", "-A INPUT -j WEB\n-A FORWARD -j SSH\n-A SSH -p tcp -j DROP\n")
        .replace(":WEB - [0:0]\n", ":WEB - [0:0]\n:SSH - [0:0]\n");
    let dir = folder(&[("dump", &dump)]);
    let run = fix(&dir, &["--apply"]);
    assert_eq!(run.status, 0, "{}", run.err);
    assert!(
        run.out.contains(
            "error[SH4-CMS-SSH]: admin cannot reach dump on tcp/22\n#   not repaired: it would also"
        ),
        "{}",
        run.out
    );
    assert!(run.err.contains("2 repairs made; 1 finding not repaired"), "{}", run.err);
    let text = fs::read_to_string(dir.path().join("dump")).unwrap();
    assert!(text.contains(RULE) && text.contains("-A WEB -s 10.0.8.15/32"), "{text}");
}

#[test]
fn files_stay_as_they_are_but_for_the_edit() {
    for text in [HOST, HOST.trim_end()] {
        let dir = folder(&[("real", text)]);
        let (real, link) = (dir.path().join("real"), dir.path().join("dump"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::os::unix::fs::symlink("real", &link).unwrap();
            fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        }
        let run = fix(&dir, &["--apply"]);
        assert_eq!(run.status, 0, "{}", run.err);
        let expected = text.replace("-A WEB -j DROP", &format!("{RULE}\n-A WEB -j DROP"));
        assert_eq!(fs::read_to_string(&real).unwrap(), expected);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        }
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }
}

#[test]
fn lines_end_as_they_did() {
    let dir = demo();
    let config = dir.path().join("demo/edge/edge-east.xml");
    let unix = fs::read_to_string(&config).unwrap();
    let repaired = |text: String| {
        fs::write(&config, text).unwrap();
        let run = havenlint(dir.path(), &["fix", "demo", "--apply", "--select", "SH4-SRN-HEARTBEAT"]);
        assert!(run.status == 0 && run.err.contains("1 repair made"), "{}{}", run.out, run.err);
        fs::read_to_string(&config).unwrap()
    };
    let expected = repaired(unix.clone());
    assert_eq!(repaired(unix.replace('\n', "\r\n")), expected.replace('\n', "\r\n"));
    assert_eq!(repaired(unix.trim_end().to_owned()), expected.trim_end());
}

#[test]
fn only_what_is_chosen_is_repaired() {
    let dir = folder(&[("dump", HOST)]);
    assert_eq!(fix(&dir, &["--ignore", "SH4-CMS-CLUSTER"]).status, 0);
    assert_eq!(fix(&dir, &["--select", "SH4-CMS-SSH"]).status, 0);
    assert_eq!(fix(&dir, &["--select", "SH4-CMS-CLUSTER"]).status, 1);
    // What is accepted is left alone.
    let args = [&["baseline", "write"], CMS].concat();
    assert_eq!(havenlint(dir.path(), &args).status, 0);
    assert_eq!(fix(&dir, &[]).status, 0);
    assert_eq!(fix(&dir, &["--no-baseline"]).status, 1);
}

#[test]
fn trouble_is_told() {
    let dir = folder(&[("dump", HOST)]);
    let run = havenlint(dir.path(), &["fix", "-"]);
    assert_eq!(
        (run.status, run.err.as_str()),
        (2, "error: standard input cannot be repaired: name the file\n")
    );
    fs::create_dir(dir.path().join("empty")).unwrap();
    assert_eq!(havenlint(dir.path(), &["fix", "empty"]).status, 3);

    // A malformed file is not edited, the others are.
    fs::write(dir.path().join("broken"), HOST.replace("COMMIT", "-A FORWARD --dprt 3 -j DROP\nCOMMIT"))
        .unwrap();
    let run = havenlint(dir.path(), &[&["fix", "--apply", "broken"], CMS].concat());
    assert_eq!(run.status, 2, "{}", run.err);
    assert!(run.err.contains("wrote dump\n") && run.err.contains("error: broken:14:"), "{}", run.err);
    assert!(run.out.contains("not repaired: broken has an error on line 14: fix that first"), "{}", run.out);
}

#[test]
fn included_files_are_repaired_where_the_rule_stands() {
    let main = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority 0; policy accept;\n\t\tct state established accept\n\t}\n}\ninclude \"part.nft\"\n";
    let dir = folder(&[("dump", main)]);
    fs::write(dir.path().join("part.nft"), "add rule inet filter input drop\n").unwrap();
    let run = fix(&dir, &["--apply", "--select", "SH4-CMS-CLUSTER"]);
    assert_eq!(run.status, 0, "{}\n{}", run.out, run.err);
    assert_eq!(
        fs::read_to_string(dir.path().join("part.nft")).unwrap(),
        "add rule inet filter input ip saddr 10.1.0.11 tcp dport 20081 ct state new accept\nadd rule inet filter input drop\n"
    );
}

#[test]
fn what_decides_nothing_is_taken_away() {
    let rules = "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n[5:300] -A INPUT -s 10.0.0.0/8 -j ACCEPT\n";
    let dump = |again: &str| {
        format!(
            "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n{rules}{again}COMMIT\n"
        )
    };
    let twice = dump(
        "[0:0] -A INPUT -p tcp -m tcp --dport 22 -m comment --comment again -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n",
    );
    let nft = "table inet filter {\n\tset blocked {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\tauto-merge\n\
               \t\telements = { 198.51.100.0/24, 198.51.100.7,\n\t\t\t     198.51.100.9 }\n\t}\n\n\tchain input {\n\
               \t\ttype filter hook input priority filter; policy drop;\n\t\tip saddr @blocked drop\n\t\ttcp dport 22 accept\n\
               \t\ttcp dport { 80, 443, 80-90 } accept\n\t\ttcp dport 22 counter accept # again\n\t}\n}\n";
    let dir = folder(&[("a.rules", &twice), ("b.nft", nft)]);
    let sarif = havenlint(dir.path(), &["check", ".", "--format", "sarif", "--fail-on", "never"]).out;
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let deleted: Vec<String> = results
        .iter()
        .filter(|r| r["ruleId"] == "HL-DUPLICATE")
        .map(|r| r["fixes"][0]["artifactChanges"][0]["replacements"][0].to_string())
        .collect();
    let region = |from: u32| {
        format!(
            r#"{{"deletedRegion":{{"endColumn":1,"endLine":{},"startColumn":1,"startLine":{from}}}}}"#,
            from + 1
        )
    };
    assert_eq!(deleted, [region(7), region(8), region(15)], "{deleted:?}");

    let run = havenlint(dir.path(), &["fix", ".", "--apply"]);
    assert_eq!(run.status, 0, "{}{}", run.out, run.err);
    assert!(run.out.contains("removes 1 line; proven: every packet keeps its verdict"), "{}", run.out);
    assert_eq!(fs::read_to_string(dir.path().join("a.rules")).unwrap(), dump(""));
    let expected = nft
        .replace(", 198.51.100.7,\n\t\t\t     198.51.100.9 }", " }")
        .replace("{ 80, 443, 80-90 }", "{ 443, 80-90 }")
        .replace("\t\ttcp dport 22 counter accept # again\n", "");
    assert_eq!(fs::read_to_string(dir.path().join("b.nft")).unwrap(), expected);
    for name in ["a.rules", "b.nft"] {
        assert!(loads(&dir.path().join(name)) != Some(false), "{name}");
    }
}

#[test]
fn what_only_looks_superfluous_stays() {
    // One line is two rules, of which one stands twice; between two equal rules the tracker lets go of the packet.
    let dump = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                -A PREROUTING -m conntrack --ctstate UNTRACKED -j ACCEPT\n-A PREROUTING -p udp -j CT --notrack\n\
                -A PREROUTING -m conntrack --ctstate UNTRACKED -j ACCEPT\n-A PREROUTING -p udp -j DROP\nCOMMIT\n\
                *filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                -A INPUT -s 10.0.0.0/8 -p tcp -j ACCEPT\n-A INPUT -s 10.0.0.0/8,192.0.2.7/32 -p tcp -j ACCEPT\nCOMMIT\n";
    let dir = folder(&[("dump", dump)]);
    let run = havenlint(dir.path(), &["fix", "dump", "--apply", "--ignore", "HL-REDUNDANT"]);
    assert_eq!((run.status, run.out.as_str()), (0, ""), "{}", run.err);
    assert_eq!(fs::read_to_string(dir.path().join("dump")).unwrap(), dump);
}

#[test]
fn rules_that_decide_nothing_go() {
    let kept = |rules: &[&str]| {
        let rules: String = rules.iter().map(|r| format!("-A INPUT {r}\n")).collect();
        format!("*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n{rules}COMMIT\n")
    };
    let dump = kept(&[
        "-s 10.1.2.0/24 -p tcp -m tcp --dport 22 -j ACCEPT",
        "-s 10.1.2.3/32 -p tcp -m tcp --dport 22 -j ACCEPT",
        "-s 10.0.0.0/8 -p tcp -m tcp --dport 20:30 -j ACCEPT",
        "-s 10.0.0.0/9 -p tcp -m tcp --dport 25 -j ACCEPT",
        "-s 10.2.0.0/16 -p tcp -m tcp --dport 25 -j DROP",
    ]);
    let dir = folder(&[("rules.v4", &dump)]);
    let run = havenlint(dir.path(), &["fix", "rules.v4", "--apply"]);
    assert_eq!(run.status, 0, "{}{}", run.out, run.err);
    // An exception that is lost is for a person to move.
    let expected = kept(&[
        "-s 10.0.0.0/8 -p tcp -m tcp --dport 20:30 -j ACCEPT",
        "-s 10.2.0.0/16 -p tcp -m tcp --dport 25 -j DROP",
    ]);
    assert_eq!(fs::read_to_string(dir.path().join("rules.v4")).unwrap(), expected);
}

fn input_chain(rules: &[String]) -> String {
    let rules: String = rules.iter().map(|r| format!("-A INPUT {r}\n")).collect();
    format!("*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n{rules}COMMIT\n")
}

fn repaired(file: &Path) -> havenlint::repair::Repairs {
    let options = Options { paths: vec![file.to_owned()], no_config: true, ..Options::default() };
    repairs(&options).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn what_is_open_all_the_same_may_be_told_at_another_rule() {
    // Without the first rule the database is as open as before, by the second, of which nothing was said.
    let rules = ["-p tcp -m tcp --dport 5432 -j ACCEPT", "-p tcp -m tcp --dport 5425:5435 -j ACCEPT"];
    let dir = folder(&[("dump", &input_chain(&rules.map(str::to_owned)))]);
    let file = dir.path().join("dump");
    let open = |list: &[Finding]| -> Vec<u32> {
        list.iter().filter(|f| f.rule == "HL-EXPOSED-DATABASE").map(|f| f.location.line).collect()
    };
    let found = repaired(&file);
    assert_eq!((open(&found.now.report.findings), open(&found.left)), (vec![5], vec![5]));
    assert!(found.left.iter().any(|f| f.rule == "HL-EXPOSED-DATABASE" && f.location.text.contains("5425")));
    assert_eq!((found.proven.len(), found.refused.len(), found.trials), (1, 0, 1));
}

#[test]
fn however_many_rules_decide_nothing_they_go_at_once() {
    // More than a report lists, each kind with a warning that is left.
    let mut rules: Vec<String> = vec!["-s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT".to_owned()];
    for n in 0..1200 {
        rules.push(format!("-s 10.{}.{}.0/24 -p tcp -m tcp --dport 22 -j ACCEPT", n / 256, n % 256));
        rules.push(format!("-s 192.0.2.{}/32 -p tcp -m tcp --dport {} -j ACCEPT", n % 256, 1000 + n / 256));
    }
    for n in 0..8 {
        rules.push(format!("-s 10.200.0.{n}/32 -p tcp -m tcp --dport 22 -j DROP"));
        rules.push(format!("-s 10.0.0.0/9 -p tcp -m tcp --dport 20:2{n} -j ACCEPT"));
        rules.push(format!("-s 192.0.2.{n}/32 -p tcp -m tcp --dport 1000 -j ACCEPT"));
    }
    let dir = folder(&[("dump", &input_chain(&rules))]);
    let found = repaired(&dir.path().join("dump"));
    assert!(found.refused.is_empty(), "{}", found.refused[0].why);
    let left = |rule: &str| found.left.iter().filter(|f| f.rule == rule).count();
    assert_eq!(
        ["HL-SHADOWED", "HL-REDUNDANT", "HL-DUPLICATE", "HL-EXCEPTION-LOST"].map(left),
        [0, 0, 0, 8],
        "{:?}",
        found.left.iter().map(|f| &f.message).collect::<Vec<_>>()
    );
    // One for what is found now, one for what that brings to light.
    assert!(found.proven.len() > 1200 && found.trials <= 2, "{} {}", found.proven.len(), found.trials);
}

#[test]
fn a_repair_that_another_one_hinders_is_made_after_it() {
    // The second and the third rule say the same, and the fourth has them both: what goes first decides what is left of the others.
    let rules = [
        "-s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT",
        "-s 10.1.0.0/16 -p tcp -m tcp --dport 22 -j ACCEPT",
        "-s 10.1.0.0/16 -p tcp -m tcp --dport 22 -j ACCEPT",
        "-s 10.0.0.0/7 -p tcp -m tcp --dport 22 -j ACCEPT",
        "-s 10.1.0.0/16 -p tcp -m tcp --dport 22 -j ACCEPT",
    ];
    let dir = folder(&[("dump", &input_chain(&rules.map(str::to_owned)))]);
    let found = repaired(&dir.path().join("dump"));
    assert!(found.refused.is_empty(), "{}", found.refused[0].why);
    let kept = input_chain(&["-s 10.0.0.0/7 -p tcp -m tcp --dport 22 -j ACCEPT".to_owned()]);
    assert_eq!(String::from_utf8_lossy(&found.files[0].new), kept);
}

#[test]
fn a_rule_that_lets_in_only_what_is_forbidden_goes() {
    let wide = "-A WEB -p tcp -m tcp --dport 20081 -j ACCEPT\n";
    let (one, two) = (
        "-A INPUT -s 203.0.113.0/24 -p tcp -m tcp --dport 22 -j ACCEPT\n",
        "-A WEB -s 198.51.100.7/32 -p tcp -m tcp --dport 20081 -j ACCEPT\n",
    );
    let base = HOST.replace("-A WEB -j DROP\n", &format!("{RULE}\n-A WEB -j DROP\n"));
    let open = base.replace("-A INPUT -j WEB\n", &format!("{one}-A INPUT -j WEB\n{two}"));
    let dir = folder(&[("dump", &open)]);
    // Whoever might lose access by it must ask for it.
    let run = fix(&dir, &["--apply"]);
    assert_eq!(fs::read_to_string(dir.path().join("dump")).unwrap(), open);
    assert!(run.out.contains("select it with `--select SH4-NET-EXPOSED`"), "{}", run.out);
    let run = fix(&dir, &["--apply", "--select", "SH4-NET-EXPOSED"]);
    assert_eq!(run.status, 0, "{}{}", run.out, run.err);
    assert!(
        run.out.contains("only tcp/22 from 203.0.113.0/24 to this machine is newly stopped"),
        "{}",
        run.out
    );
    assert_eq!(fs::read_to_string(dir.path().join("dump")).unwrap(), base);

    // One that lets in others too is for people to narrow; the requirement then fails for fewer packets.
    let dir = folder(&[("dump", &open.replace("-A WEB -j DROP\n", &format!("{wide}-A WEB -j DROP\n")))]);
    let run = fix(&dir, &["--apply", "--select", "SH4-NET-EXPOSED"]);
    assert_eq!(run.status, 0, "{}{}", run.out, run.err);
    assert!(
        run.out.contains("proven: its requirement fails for fewer packets, and only tcp/22"),
        "{}",
        run.out
    );
    let text = fs::read_to_string(dir.path().join("dump")).unwrap();
    assert!(text.contains(wide) && !text.contains(one) && !text.contains(two), "{text}");
}

/// A small dump: a chain or two, called from here and there, rules for few addresses and ports.
fn small_dump(r: &mut Random) -> String {
    let policy = |r: &mut Random| if r.chance(70) { "DROP" } else { "ACCEPT" };
    let mut out = format!(
        "*filter\n:INPUT {} [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT {} [0:0]\n:A - [0:0]\n:B - [0:0]\n",
        policy(r),
        policy(r)
    );
    for _ in 0..4 + r.below(8) {
        let chain = *r.weighted(&[(5, "INPUT"), (3, "A"), (1, "B"), (1, "FORWARD"), (3, "OUTPUT")]);
        let side = if chain == "OUTPUT" { "-d" } else { "-s" };
        let mut rule = format!("-A {chain}");
        if r.chance(60) {
            rule += &format!(
                " {side} {}",
                *r.pick(&["10.0.0.0/30", "10.0.0.2/31", "10.0.0.0/8", "10.0.0.1/32", "192.0.2.0/24"])
            );
        }
        if r.chance(50) {
            let port = *r.pick(&["22", "20081", "1:20081", "80", "20000:30000"]);
            rule += &format!(
                " -p {} --{} {port}",
                *r.pick(&["tcp", "udp"]),
                *r.pick(&["dport", "dport", "sport"])
            );
        }
        if r.chance(25) {
            rule += *r.pick(&[
                " -m conntrack --ctstate NEW",
                " -m conntrack --ctstate RELATED,ESTABLISHED",
                " -m mark --mark 0x7",
            ]);
        }
        let jumps = matches!(chain, "INPUT" | "FORWARD" | "OUTPUT");
        let target = *r.weighted(&[
            (4, "ACCEPT"),
            (4, "DROP"),
            (1, "RETURN"),
            (if jumps { 4 } else { 0 }, "A"),
            (if jumps { 1 } else { 0 }, "B"),
            (1, "MARK --set-mark 7"),
        ]);
        out += &format!("{rule} -j {target}\n");
    }
    out + "COMMIT\n"
}

/// A packet for such a dump.
fn small_packet(r: &mut Random) -> Packet {
    let path = *r.weighted(&[(5, "input eth0"), (2, "forward eth0>eth1"), (3, "output eth0")]);
    let address = |r: &mut Random| {
        *r.pick(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.9.9.9", "192.0.2.1", "10.1.0.10"])
    };
    let port = |r: &mut Random| *r.pick(&[22u16, 23, 80, 20080, 20081, 20082, 40000]);
    let state = *r.weighted(&[(3, "new"), (2, "established")]);
    let flags = if state == "new" { "SYN" } else { "ACK" };
    let protocol = *r.pick(&["tcp", "tcp", "udp"]);
    let flags = if protocol == "tcp" { flags } else { "" };
    let text =
        format!("{path} {protocol} {}:{} > {}:{} {flags} {state}", address(r), port(r), address(r), port(r));
    text.parse().unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

#[test]
fn whatever_the_ruleset_only_the_flow_changes() {
    const RULESETS: u64 = 60;
    const PACKETS: usize = 1500;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dump");
    let (mut proven, mut refused, mut changed) = (0, 0, 0);
    let sets = [("srn.service", "10.0.0.1"), ("admin", "10.0.0.2"), ("gui", "10.0.0.3")];
    let peers: Vec<IntervalSet> = sets.iter().map(|(_, a)| addr::parse(a).unwrap()).collect();
    for stream in 0..RULESETS {
        let mut r = Random::new(Random::seed(), 7_000 + stream);
        fs::write(&path, small_dump(&mut r)).unwrap();
        let sets = sets.map(|(n, a)| (n.to_owned(), a.to_owned()));
        let options = Options {
            paths: vec![path.clone()],
            role: Some("cms".to_owned()),
            sets: sets.into(),
            no_config: true,
            ..Options::default()
        };
        let found = repairs(&options).unwrap();
        refused += found.refused.len();
        let Some(file) = found.files.first() else { continue };
        proven += found.proven.len();
        let read = |bytes: &[u8]| Iptables.read(&[SourceFile::new("dump", bytes)], &ReadOptions::default());
        let (old, new) = (read(file.old.bytes()), read(&file.new));
        let environment = Environment::default();
        let verdict = |f: &Firewall, p: &Packet| {
            evaluate(Point { firewalls: &[f], environment: &environment }, p).verdict
        };
        let services = [(6, 22), (6, 20081), (17, 20081), (6, 20082), (17, 20082)];
        for _ in 0..PACKETS {
            let p = small_packet(&mut r);
            let (was, is) = (verdict(&old, &p), verdict(&new, &p));
            if was == is {
                continue;
            }
            changed += 1;
            // Between the box and a peer, on a port of the services that either asks of the other.
            let of = |peer: Field, port: Field| {
                let known = peers.iter().any(|s| p.get(peer).is_some_and(|v| s.contains(v)));
                let service = (p.get(Field::Proto), p.get(port));
                known && services.iter().any(|(proto, n)| service == (Some(*proto), Some(*n)))
            };
            let flow = match p.path {
                Way::Input => of(Field::Src, Field::Dport) || of(Field::Src, Field::Sport),
                Way::Output => of(Field::Dst, Field::Dport) || of(Field::Dst, Field::Sport),
                _ => false,
            };
            assert!(flow, "{p}: was {was:?}, is {is:?}\n{}", String::from_utf8_lossy(&file.new));
            assert!(is != Verdict::Drop, "{p}: was {was:?}, is {is:?}");
        }
    }
    crate::support::say(&format!("{proven} repairs proven, {refused} refused, {changed} packets changed"));
    assert!(proven >= 200 && refused >= 50 && changed >= 1000, "{proven}, {refused}, {changed}");
}
