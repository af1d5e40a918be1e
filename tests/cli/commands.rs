//! The command line as people and programs meet it: exit statuses, formats, determinism, bad input.

use assert_cmd::Command;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

pub const GOOD: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A INPUT -i lo -j ACCEPT\n\
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
    -A INPUT -s 10.0.9.0/24 -p tcp -m tcp --dport 22 -j ACCEPT\n\
    -A INPUT -s 10.0.8.15/32 -p tcp -m tcp --dport 20081 -j ACCEPT\n\
    -A INPUT -s 10.1.0.11/32 -p tcp -m tcp --dport 20081 -j ACCEPT\n\
    -A INPUT -s 10.1.0.11/32 -p udp -m udp --dport 20081 -j ACCEPT\n\
    COMMIT\n";

fn havenlint(args: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_havenlint"));
    c.args(args).env("NO_COLOR", "1");
    c
}

pub struct Run {
    pub status: i32,
    pub out: String,
    pub err: String,
}

pub fn run_in(dir: &Path, args: &[&str]) -> Run {
    let o = havenlint(args).current_dir(dir).output().unwrap();
    Run {
        status: o.status.code().unwrap(),
        out: String::from_utf8(o.stdout).unwrap(),
        err: String::from_utf8(o.stderr).unwrap(),
    }
}

pub fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

pub fn json(run: &Run) -> Value {
    serde_json::from_str(&run.out).unwrap_or_else(|e| panic!("{e}\n{}\n{}", run.out, run.err))
}

const CMS: [&str; 9] = [
    "--role",
    "cms",
    "--set",
    "admin=10.0.9.0/24",
    "--set",
    "gui=10.0.8.15",
    "--set",
    "srn.service=10.1.0.11",
    "--format=json",
];

// The states at the points whose files are given: those of peers are not, and are told as not checked.
fn state(report: &Value, id: &str) -> Vec<String> {
    let all = report["requirements"].as_array().unwrap();
    all.iter()
        .filter(|r| r["id"] == id && r["state"] != "not-checked")
        .map(|r| r["state"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn requirements_without_a_deployment_file() {
    let dir = folder(&[("cms.rules", GOOD.as_bytes())]);
    let mut args = vec!["check", "cms.rules", "--local", "10.1.0.10"];
    args.extend(CMS);
    let run = run_in(dir.path(), &args);
    let report = json(&run);
    for id in ["SH4-CMS-SSH", "SH4-CMS-GUI", "SH4-CMS-CLUSTER", "SH4-CMS-HEARTBEAT", "SH4-NET-EXPOSED"] {
        let states = state(&report, id);
        assert!(!states.is_empty() && states.iter().all(|s| s == "met"), "{id}: {states:?}\n{}", run.out);
    }
    assert_eq!(run.status, 0, "{}", run.out);
    assert_eq!(report["schema"], 1);
    assert_eq!(report["inputs"][0]["ledger"]["exact"], 6);
}

#[test]
fn a_missing_port_is_a_finding_with_a_witness_that_trace_drops() {
    let broken = GOOD.replace("-A INPUT -s 10.1.0.11/32 -p udp -m udp --dport 20081 -j ACCEPT\n", "");
    let dir = folder(&[("cms.rules", broken.as_bytes())]);
    let mut args = vec!["check", "cms.rules", "--local", "10.1.0.10"];
    args.extend(CMS);
    let run = run_in(dir.path(), &args);
    assert_eq!(run.status, 1);
    let report = json(&run);
    assert_eq!(state(&report, "SH4-CMS-HEARTBEAT"), ["violated"]);
    let row = report["requirements"].as_array().unwrap().iter().find(|r| r["state"] == "violated").unwrap();
    assert_eq!(row["decided_by"][0]["line"], 2, "the policy decides");
    let witness = row["witness"].to_string();
    fs::write(dir.path().join("p.jsonl"), format!("{witness}\n")).unwrap();
    let trace = run_in(dir.path(), &["trace", "cms.rules", "--packets", "p.jsonl", "--format", "json"]);
    assert_eq!(json(&trace)["verdict"], "drop", "{}", trace.err);
}

#[test]
fn peers_that_nobody_declared() {
    let dir = folder(&[("cms.rules", GOOD.as_bytes())]);
    let run = run_in(dir.path(), &["check", "cms.rules", "--role", "cms", "--format", "json"]);
    let report = json(&run);
    // Let in from some addresses: met for those, said in a note.
    assert_eq!(state(&report, "SH4-CMS-SSH"), ["met"]);
    let notes = report["findings"].as_array().unwrap();
    assert!(notes.iter().any(|f| f["rule"] == "SH4-CMS-SSH" && f["level"] == "note"), "{}", run.out);
    // Let in from nowhere: violated.
    let closed = GOOD.replace("--dport 22 ", "--dport 2222 ");
    fs::write(dir.path().join("cms.rules"), closed).unwrap();
    let report = json(&run_in(dir.path(), &["check", "cms.rules", "--role", "cms", "--format", "json"]));
    assert_eq!(state(&report, "SH4-CMS-SSH"), ["violated"]);
}

#[test]
fn exit_statuses() {
    let dir = folder(&[
        ("good/cms.rules", GOOD.as_bytes()),
        ("none/readme.txt", b"nothing here"),
        ("empty.rules", b""),
        ("binary.rules", b"\x7fELF\0\0\0\x01\x02"),
        ("cut.rules", GOOD.trim_end_matches("COMMIT\n").as_bytes()),
    ]);
    let status = |args: &[&str]| run_in(dir.path(), args).status;
    assert_eq!(status(&["check", "good"]), 0);
    assert_eq!(status(&["check", "none"]), 3);
    assert_eq!(status(&["check", "good", "--fail-on", "note"]), 1, "no IPv6 dump is at least a note");
    assert_eq!(status(&["check", "good", "--fail-on", "never"]), 0);
    assert_eq!(status(&["check", "does-not-exist"]), 2);
    assert_eq!(status(&["check", "good", "--format", "nonsense"]), 2);
    assert_eq!(status(&["check", "good", "--catalogue", "nonsense"]), 2);
    assert_eq!(status(&["check", "good", "--role", "nonsense"]), 2);
    assert_eq!(status(&["check", "--no-such-option"]), 2);
    for bad in ["empty.rules", "binary.rules", "cut.rules"] {
        let run = run_in(dir.path(), &["check", bad, "good/cms.rules", "--format", "json"]);
        assert_eq!(run.status, 2, "{bad}");
        let report = json(&run);
        assert_eq!(report["problems"][0]["location"]["path"], bad);
        let inputs = report["inputs"].as_array().unwrap();
        assert!(
            inputs.iter().any(|i| i["path"] == "good/cms.rules"),
            "the rest is still checked:\n{}",
            run.out
        );
    }
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo");
    let files: Vec<String> = fs::read_dir(Path::new(demo).join("hosts"))
        .unwrap()
        .map(|e| e.unwrap().path().display().to_string())
        .collect();
    let mut forward: Vec<&str> = vec!["check", "--no-config", "--format", "json", "--jobs", "1"];
    let mut backward: Vec<&str> = vec!["check", "--no-config", "--format", "json", "--jobs", "4"];
    forward.extend(files.iter().map(String::as_str));
    backward.extend(files.iter().rev().map(String::as_str));
    let here = Path::new(demo);
    assert_eq!(run_in(here, &forward).out, run_in(here, &backward).out);
    for format in ["human", "concise", "json", "github", "sarif"] {
        let args = ["check", ".", "--format", format, "--fail-on", "never"];
        let (a, b) = (run_in(here, &args), run_in(here, &args));
        assert_eq!(a.status, 0, "{format}: {}", a.err);
        assert_eq!(a.out, b.out, "{format}");
        assert!(!a.out.is_empty());
    }
}

#[test]
fn several_formats_in_one_run() {
    let dir = folder(&[("cms.rules", GOOD.as_bytes())]);
    let run =
        run_in(dir.path(), &["check", "cms.rules", "--format", "concise", "--format", "sarif=out.sarif"]);
    assert!(run.out.starts_with("cms.rules:"));
    let sarif: Value = serde_json::from_slice(&fs::read(dir.path().join("out.sarif")).unwrap()).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
}

#[test]
fn standard_input_and_selection() {
    let dir = folder(&[]);
    let out = havenlint(&["check", "-", "--dialect", "iptables", "--format", "concise"])
        .current_dir(dir.path())
        .write_stdin(GOOD)
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("<stdin>"), "{text}");
    assert!(text.contains("HL-IPV6-UNGUARDED"), "{text}");
    let ignored =
        havenlint(&["check", "-", "--dialect", "iptables", "--format", "concise", "--ignore", "HL-IPV6"])
            .current_dir(dir.path())
            .write_stdin(GOOD)
            .output()
            .unwrap();
    assert!(!String::from_utf8(ignored.stdout).unwrap().contains("HL-IPV6-UNGUARDED"));
}

#[test]
fn inline_and_declared_waivers() {
    let open =
        GOOD.replace("COMMIT\n", "# havenlint: allow HL-ANY-ANY lab machine\n-A INPUT -j ACCEPT\nCOMMIT\n");
    let dir = folder(&[("lab.rules", open.as_bytes())]);
    let report = json(&run_in(dir.path(), &["check", "lab.rules", "--format", "json"]));
    assert!(report["findings"].as_array().unwrap().iter().all(|f| f["rule"] != "HL-ANY-ANY"));
    assert_eq!(report["waived"][0]["reason"], "lab machine");

    let deployment = "[[node]]\nname = \"lab\"\nrole = \"cms\"\nservice = [\"10.1.0.10\"]\nfirewall = [\"lab.rules\"]\n\
        [[waiver]]\nrule = \"HL-POLICY-ACCEPT\"\nnode = \"lab\"\nreason = \"x\"\nexpires = 2020-01-01\n\
        [[waiver]]\nrule = \"HL-IPV6-UNGUARDED\"\nnode = \"lab\"\nreason = \"y\"\n";
    let plain = GOOD.replace(":INPUT DROP", ":INPUT ACCEPT");
    let dir = folder(&[("lab.rules", plain.as_bytes()), ("havenlint.toml", deployment.as_bytes())]);
    let report = json(&run_in(dir.path(), &["check", "--format", "json", "--date", "2026-01-01"]));
    let rules: Vec<&str> =
        report["findings"].as_array().unwrap().iter().map(|f| f["rule"].as_str().unwrap()).collect();
    assert!(rules.contains(&"HL-POLICY-ACCEPT"), "an expired waiver covers nothing: {rules:?}");
    assert!(rules.contains(&"HL-WAIVER-EXPIRED"), "{rules:?}");
    assert!(rules.contains(&"HL-WAIVER-UNUSED"), "the policy accepts, so IPv6 is not the point: {rules:?}");
}

#[test]
fn requirements_are_waived_by_id_or_alias() {
    let closed = GOOD.replace("-A INPUT -s 10.0.8.15/32 -p tcp -m tcp --dport 20081 -j ACCEPT\n", "");
    for rule in ["SH4-CMS-GUI", "SH4-GUI-CMS"] {
        let deployment = format!(
            "catalogue = \"safehaven-4\"\nphase = \"operation\"\n[networks]\ngui = [\"10.0.8.15\"]\n[[site]]\nname = \"east\"\ntype = \"manual\"\n\
             [[node]]\nname = \"cms-1\"\nrole = \"cms\"\nsite = \"east\"\naddress = [\"10.1.0.10\"]\nfirewall = [\"cms.rules\"]\n\
             [[waiver]]\nrule = \"{rule}\"\nnode = \"cms-1\"\nreason = \"no console yet\"\nowner = \"net-ops\"\n"
        );
        let dir = folder(&[("havenlint.toml", deployment.as_bytes()), ("cms.rules", closed.as_bytes())]);
        let r = run_in(dir.path(), &["check", "--format", "json"]);
        let report = json(&r);
        assert_eq!(r.status, 0, "{rule}: {}", r.out);
        assert_eq!(state(&report, "SH4-CMS-GUI"), ["violated"], "{rule}");
        assert!(report["findings"].as_array().unwrap().iter().all(|f| f["rule"] != "SH4-CMS-GUI"), "{rule}");
    }
}

#[test]
fn explain_and_rules() {
    let dir = folder(&[]);
    let all = json(&run_in(dir.path(), &["rules", "--format", "json"]));
    for rule in all.as_array().unwrap() {
        let id = rule["id"].as_str().unwrap();
        let run = run_in(dir.path(), &["explain", id]);
        assert_eq!(run.status, 0, "{id}");
        assert!(run.out.contains(id));
    }
    let wrong = run_in(dir.path(), &["explain", "SH4-CMS-SHH"]);
    assert_eq!(wrong.status, 2);
    assert!(wrong.err.contains("SH4-CMS-SSH"), "{}", wrong.err);
}

/// What `fixtures/demo/expected.toml` says of the demo.
#[test]
fn the_demo_finds_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = run_in(root, &["check", "fixtures/demo", "--fail-on", "never", "--format", "json"]);
    assert_eq!(run.status, 0, "{}", run.err);
    let report = json(&run);
    let expected: toml::Table =
        toml::from_str(&fs::read_to_string(root.join("fixtures/demo/expected.toml")).unwrap()).unwrap();
    let mut wanted: Vec<String> = expected["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| {
            format!(
                "{} {} {}",
                f["level"].as_str().unwrap(),
                f["rule"].as_str().unwrap(),
                f["at"].as_str().unwrap()
            )
        })
        .collect();
    let mut found: Vec<String> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f["level"] != "note")
        .map(|f| {
            let l = &f["location"];
            let path = l["path"].as_str().unwrap().trim_start_matches("fixtures/demo/");
            format!("{} {} {path}:{}", f["level"].as_str().unwrap(), f["rule"].as_str().unwrap(), l["line"])
        })
        .collect();
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
    for r in expected["states"].as_array().unwrap() {
        let rows: Vec<&Value> = report["requirements"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|q| {
                q["id"] == *r["id"].as_str().unwrap() && q["subject"] == *r["subject"].as_str().unwrap()
            })
            .collect();
        assert!(!rows.is_empty(), "{r}");
        let worst = ["violated", "undecided", "met", "not-checked", "not-applicable"]
            .into_iter()
            .find(|s| rows.iter().any(|q| q["state"] == *s))
            .unwrap();
        assert_eq!(worst, r["state"].as_str().unwrap(), "{r}");
    }
    // Every witness shows what it is a witness of.
    for q in report["requirements"].as_array().unwrap().iter().filter(|q| q["state"] == "violated") {
        assert!(!q["witness"].is_null(), "{q}");
    }
}

// Whether a flow of the report holds the conversation from `a` to `b`.
fn holds(flow: &Value, a: &str, b: &str, port: Option<u64>) -> bool {
    use std::net::IpAddr;
    let within = |list: &Value, ip: &str| {
        let ip: IpAddr = ip.parse().unwrap();
        list.as_array().unwrap().iter().any(|item| {
            let text = item.as_str().unwrap();
            match text.split_once('-') {
                Some((lo, hi)) => lo.parse::<IpAddr>().unwrap() <= ip && ip <= hi.parse::<IpAddr>().unwrap(),
                None => match text.parse::<ipnet::IpNet>() {
                    Ok(net) => net.contains(&ip),
                    Err(_) => text.parse::<IpAddr>().unwrap() == ip,
                },
            }
        })
    };
    let ports = flow["port"].as_str().unwrap_or_default();
    let port_fits = ports.is_empty()
        || port.is_none_or(|p| {
            ports.split(',').any(|range| {
                let (lo, hi) = range.split_once('-').unwrap_or((range, range));
                (lo.parse().unwrap()..=hi.parse().unwrap()).contains(&p)
            })
        });
    within(&flow["from"], a) && within(&flow["to"], b) && port_fits
}

#[test]
fn a_witness_belongs_to_what_is_reported() {
    // Nothing is kept out here, so that what is forbidden and what is required overlap in every way.
    let open = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n";
    let dir = folder(&[("cms.rules", open.as_bytes())]);
    let mut args = vec!["check", "cms.rules", "--local", "10.1.0.10"];
    args.extend(CMS);
    let alone = json(&run_in(dir.path(), &args));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = json(&run_in(root, &["check", "fixtures/demo", "--format", "json"]));
    let mut seen = 0;
    for row in [&alone, &demo].into_iter().flat_map(|r| r["requirements"].as_array().unwrap()) {
        let (packet, flows) = (&row["witness"], row["remainder"].as_array().unwrap());
        if packet.is_null() || flows.is_empty() {
            continue;
        }
        let (src, dst) = (packet["src"].as_str().unwrap(), packet["dst"].as_str().unwrap());
        let (sport, dport) = (packet["sport"].as_u64(), packet["dport"].as_u64());
        let fits = flows.iter().any(|f| holds(f, src, dst, dport) || holds(f, dst, src, sport));
        assert!(fits, "{}: {packet} is none of {flows:?}", row["id"]);
        seen += 1;
    }
    assert!(seen > 10, "only {seen} witnesses");
}

#[test]
fn what_well_kept_tools_write_is_no_mistake() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = run_in(
        root,
        &[
            "check",
            "fixtures/iptables",
            "fixtures/nftables",
            "--no-config",
            "--fail-on",
            "never",
            "--format",
            "json",
        ],
    );
    let report = json(&run);
    let alarms: Vec<String> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f["level"] != "note")
        // A box that accepts by default, or that has no IPv6 dump, may be meant so, and is told.
        .filter(|f| f["rule"] != "HL-POLICY-ACCEPT" && f["rule"] != "HL-IPV6-UNGUARDED")
        // So may a service that is open to anybody.
        .filter(|f| !f["rule"].as_str().unwrap().starts_with("HL-EXPOSED-"))
        .map(|f| format!("{} {}:{}", f["rule"], f["location"]["path"], f["location"]["line"]))
        .collect();
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
}

#[test]
fn a_baseline_accepts_what_is_there_and_nothing_else() {
    let broken = GOOD.replace("-A INPUT -s 10.1.0.11/32 -p udp -m udp --dport 20081 -j ACCEPT\n", "");
    let dir = folder(&[("cms.rules", broken.as_bytes())]);
    let with = |command: &[&'static str], more: &[&'static str]| {
        let options: Vec<&str> = CMS
            .into_iter()
            .take_while(|a| !a.starts_with("--format"))
            .chain(["--local", "10.1.0.10"])
            .collect();
        run_in(dir.path(), &[command, &options, more].concat())
    };
    assert_eq!(with(&["check", "cms.rules"], &[]).status, 1);
    let write = with(&["baseline", "write", "cms.rules"], &[]);
    assert_eq!(write.status, 0, "{}", write.err);
    assert!(write.err.contains("havenlint-baseline.json"), "{}", write.err);
    // Accepted, and still not compliant.
    let accepted = with(&["check", "cms.rules"], &["--format", "json"]);
    assert_eq!(accepted.status, 0, "{}", accepted.err);
    let report = json(&accepted);
    assert_eq!(state(&report, "SH4-CMS-HEARTBEAT"), ["violated"]);
    assert_eq!(report["findings"].as_array().unwrap().len(), 0);
    let said = with(&["check", "cms.rules"], &[]).out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(" waived in 1 file."), "{said}");
    assert_eq!(with(&["check", "cms.rules"], &["--no-baseline"]).status, 1);
    // A new defect counts, wherever the old one moves to.
    let worse =
        broken.replace("-A INPUT -s 10.1.0.11/32 -p tcp -m tcp --dport 20081 -j ACCEPT\n", "# moved\n");
    fs::write(dir.path().join("cms.rules"), worse).unwrap();
    let again = with(&["check", "cms.rules"], &["--format", "json"]);
    assert_eq!(again.status, 1, "{}", again.out);
    let rules: Vec<_> =
        json(&again)["findings"].as_array().unwrap().iter().map(|f| f["rule"].to_string()).collect();
    assert!(!rules.contains(&"\"SH4-CMS-HEARTBEAT\"".to_owned()), "{rules:?}");
    // What is mended leaves the baseline.
    fs::write(dir.path().join("cms.rules"), GOOD).unwrap();
    let prune = with(&["baseline", "prune", "cms.rules"], &[]);
    assert_eq!(prune.status, 0, "{}", prune.err);
    let left = fs::read_to_string(dir.path().join("havenlint-baseline.json")).unwrap();
    assert!(!left.contains("SH4-CMS-HEARTBEAT"), "{left}");
    // A broken one is no reason to pass.
    fs::write(dir.path().join("havenlint-baseline.json"), "{").unwrap();
    let bad = with(&["check", "cms.rules"], &[]);
    assert_eq!(bad.status, 2, "{}", bad.out);
    assert!(bad.out.contains("havenlint-baseline.json:1:"), "{}", bad.out);
    // Nothing is accepted on the strength of a file that cannot be read.
    fs::write(dir.path().join("cms.rules"), "*filter\n-A INPUT -j NOWHERE\nCOMMIT\n").unwrap();
    assert_eq!(with(&["baseline", "write", "cms.rules"], &[]).status, 2);
}

#[test]
fn thousands_of_cases_are_judged_without_declared_interfaces() {
    let mut rules = String::from(
        "# Generated by iptables-save v1.8.9\n*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n",
    );
    for n in 0..3000 {
        let iface = if n % 2 == 0 { " -i eth0" } else { "" };
        rules += &format!("-A INPUT{iface} -p tcp -m tcp --dport {} -j ACCEPT\n", 10_000 + 7 * n);
    }
    rules += "COMMIT\n";
    let dir = folder(&[("cms.rules", rules.as_bytes())]);
    let mut args = vec!["check", "cms.rules", "--local", "10.1.0.10"];
    args.extend(CMS);
    let report = json(&run_in(dir.path(), &args));
    let row = |id: &str| {
        report["requirements"]
            .as_array()
            .unwrap()
            .iter()
            .find(|r| r["id"] == id && r["state"] != "not-checked")
            .unwrap()
            .clone()
    };
    // No rule lets answers in, so those of the other nodes come through only where a rule happens to have their port: on some interfaces, or on all.
    assert_eq!(row("SH4-SRN-CLUSTER")["state"], "violated");
    assert_eq!(row("SH4-NET-EXPOSED")["state"], "met");
    assert_eq!(row("SH4-CMS-CLUSTER")["state"], "violated");
}

fn demo() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo"))
}

#[test]
fn two_reports_are_not_mixed_on_standard_output() {
    let r = run_in(demo(), &["check", "--format", "json", "--format", "human", "--fail-on", "never"]);
    assert_eq!(r.status, 2);
    assert!(r.err.contains("would be mixed on standard output") && r.out.is_empty(), "{}", r.err);
    let dir = tempfile::tempdir().unwrap();
    let file = format!("json={}", dir.path().join("r.json").display());
    let r = run_in(demo(), &["check", "--format", &file, "--format", "human", "--fail-on", "never"]);
    assert_eq!(r.status, 0, "{}", r.err);
    // Nor under another name, nor in one file.
    for other in ["human=-", "human=/dev/stdout", "concise=/dev/fd/1"] {
        let r = run_in(demo(), &["check", "--format", "json", "--format", other, "--fail-on", "never"]);
        assert!(r.status == 2 && r.err.contains("would be mixed"), "{other}: {}", r.err);
    }
    let r = run_in(demo(), &["check", "--format", &file, "--format", &file.replace("json=", "sarif=")]);
    assert!(r.status == 2 && r.err.contains("json and sarif would write over each other"), "{}", r.err);
}

#[test]
fn a_report_can_be_limited_to_a_part_of_the_deployment() {
    let of = |args: &[&str]| {
        json(&run_in(demo(), &[&["check", "--format", "json", "--fail-on", "never"], args].concat()))
    };
    let all = of(&[]);
    let count = |r: &serde_json::Value, key: &str| r[key].as_array().unwrap().len();
    assert!(all["scope"].is_null());
    for args in
        [&["--site", "west"][..], &["--node", "srn-west"], &["--network", "gui"], &["--node", "edge-east"]]
    {
        let part = of(args);
        let scope = &part["scope"];
        let outside = |key: &str| scope[key].as_u64().unwrap() as usize;
        assert_eq!(
            count(&part, "findings") + outside("findings_outside"),
            count(&all, "findings"),
            "{args:?}"
        );
        assert_eq!(
            count(&part, "requirements") + outside("requirements_outside"),
            count(&all, "requirements"),
            "{args:?}"
        );
        assert!(outside("requirements_outside") > 0 && count(&part, "requirements") > 0, "{args:?}");
    }
    let west = of(&["--node", "srn-west"]);
    // What srn-west cannot reach is about it, too, though edge-east decides.
    assert!(
        west["findings"].as_array().unwrap().iter().any(|f| f["location"]["path"] == "edge/edge-east.xml")
    );
    assert!(west["requirements"].as_array().unwrap().iter().any(|r| r["subject"] == "srn-east"));
    let said = run_in(demo(), &["check", "--site", "west", "--fail-on", "never"]).out;
    assert!(
        said.contains("Only site west:")
            && said.split_whitespace().collect::<Vec<_>>().join(" ").contains("other findings not shown."),
        "{said}"
    );
    for (args, advice) in
        [(["--site", "wets"], "west"), (["--node", "srn-wets"], "srn-west"), (["--network", "gi"], "gui")]
    {
        let r = run_in(demo(), &[&["check", "--format", "json"][..], &args].concat());
        assert_eq!(r.status, 2);
        assert!(r.out.contains(advice) && json(&r)["scope"].is_null(), "{}", r.out);
    }
    let r = run_in(demo(), &["check", "hosts/cms-1.v4.rules", "--no-config", "--site", "west"]);
    assert_eq!(r.status, 2);
    assert!(r.out.contains("there is no deployment file"), "{}", r.out);
}

const OPEN: &str = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n";

#[test]
fn what_version_control_ignores_is_not_read_and_that_is_said() {
    let dir = folder(&[
        ("a.rules", GOOD.as_bytes()),
        ("dumps/b.rules", OPEN.as_bytes()),
        (".gitignore", b"dumps/\n"),
        ("dumps/notes.txt", b"hello\n"),
    ]);
    fs::create_dir(dir.path().join(".git")).unwrap();
    let inputs = |args: &[&str]| {
        let r = json(&run_in(
            dir.path(),
            &[&["check", "--no-config", "--fail-on", "never", "--format", "json"], args].concat(),
        ));
        let names = |key: &str| {
            r[key]
                .as_array()
                .unwrap()
                .iter()
                .map(|i| i["path"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        (names("inputs"), names("unread"))
    };
    assert_eq!(inputs(&["."]), (vec!["a.rules".to_owned()], vec!["dumps/b.rules".to_owned()]));
    assert_eq!(inputs(&[".", "--no-ignore"]).0, ["a.rules", "dumps/b.rules"]);
    assert_eq!(
        inputs(&[".", "dumps/b.rules"]),
        (vec!["a.rules".to_owned(), "dumps/b.rules".to_owned()], vec![])
    );
    assert_eq!(inputs(&["dumps"]).0, ["dumps/b.rules"], "a folder that is named is walked");
    let r = run_in(dir.path(), &["check", ".", "--no-config", "--require-all", "--fail-on", "never"]);
    assert_eq!(r.status, 2);
    assert!(r.out.contains("1 file not read") && r.out.contains("version control ignores it"), "{}", r.out);
    // Excluded on purpose: said too, and no trouble.
    let r = run_in(
        dir.path(),
        &[
            "check",
            ".",
            "--no-config",
            "--no-ignore",
            "--exclude",
            "dumps",
            "--require-all",
            "--fail-on",
            "never",
        ],
    );
    assert_eq!(r.status, 0, "{}", r.out);
    assert!(r.out.contains("1 file not read") && r.out.contains("it is excluded"), "{}", r.out);
    let r = run_in(dir.path(), &["check", ".", "--exclude", "a["]);
    assert!(r.status == 2 && r.err.contains("`a[` is no pattern of files"), "{}", r.err);
}

#[test]
fn the_deployment_file_says_how_check_reports() {
    let config = "[check]\nformat = \"concise\"\nfail-on = \"never\"\nmin-severity = \"warning\"\nignore = [\"HL-DUPLICATE\"]\nexclude = [\"old/\"]\n";
    let node = "[[node]]\nname = \"web\"\nrole = \"cms\"\nservice = [\"10.1.0.10\"]\nclient = [\"10.1.0.10\"]\nfirewall = [\"web.rules\"]\n";
    let dir = folder(&[
        ("havenlint.toml", format!("{config}{node}").as_bytes()),
        ("web.rules", OPEN.as_bytes()),
        ("old/web.rules", OPEN.as_bytes()),
    ]);
    let r = run_in(dir.path(), &["check"]);
    assert_eq!(r.status, 0, "{}\n{}", r.out, r.err);
    assert!(
        r.out.lines().all(|l| !l.contains(": note[")) && r.out.contains("web.rules:2:1: warning["),
        "{}",
        r.out
    );
    let full = json(&run_in(dir.path(), &["check", "--format", "json"]));
    assert_eq!(
        full["scope"]["of"],
        serde_json::json!(["rules other than HL-DUPLICATE", "errors and warnings"])
    );
    assert_eq!(full["unread"][0]["reason"], "it is excluded");
    // Options weigh more.
    let r =
        run_in(dir.path(), &["check", "--fail-on", "warning", "--min-severity", "note", "--format", "json"]);
    assert_eq!(r.status, 1);
    assert!(json(&r)["summary"]["note"].as_u64() > Some(0));
    let r = run_in(dir.path(), &["check", "--fail-on", "note", "--min-severity", "warning"]);
    assert!(r.status == 2 && r.err.contains("what is not reported cannot fail the run"), "{}", r.err);
    // Wherever the two stand.
    for (inside, args) in [
        ("fail-on = \"note\"\nmin-severity = \"error\"", &[][..]),
        ("min-severity = \"error\"", &["--fail-on", "warning"]),
        ("fail-on = \"note\"", &["--min-severity", "warning"]),
    ] {
        fs::write(dir.path().join("havenlint.toml"), format!("[check]\n{inside}\n{node}")).unwrap();
        let r = run_in(dir.path(), &[&["check"], args].concat());
        assert!(
            r.status == 2 && r.err.contains("what is not reported cannot fail the run"),
            "{inside}: {}",
            r.err
        );
    }
    for (wrong, said) in [
        ("fail-on = \"eror\"", "did you mean `error`?"),
        ("format = [\"json=../out.json\"]", "is outside of this folder"),
        ("format = [\"json=/etc/out.json\"]", "is outside of this folder"),
        ("exclude = [\"a[\"]", "is no pattern of files"),
        ("ignore = [\"HL-DUPLICTE\"]", "did you mean `HL-DUPLICATE`?"),
    ] {
        fs::write(dir.path().join("havenlint.toml"), format!("[check]\n{wrong}\n{node}")).unwrap();
        let r = run_in(dir.path(), &["check", "--format", "concise"]);
        assert_eq!(r.status, 2, "{wrong}: {}", r.out);
        let whole = run_in(dir.path(), &["check", "--format", "json"]);
        assert!(whole.out.contains(said), "{wrong}: {}", whole.out);
        assert!(r.out.contains("havenlint.toml:"), "{wrong}: {}", r.out);
    }
}

#[test]
fn rules_that_are_not_exact_are_named() {
    let rules = GOOD.replace("COMMIT", "-A INPUT -m geoip --source-country DE -j ACCEPT\n-A INPUT -p tcp -m recent --name x --rcheck -j DROP\nCOMMIT");
    let dir = folder(&[("a.rules", rules.as_bytes())]);
    let r = run_in(dir.path(), &["check", "a.rules", "--no-config", "--list", "approximated"]);
    assert_eq!(r.status, 0, "{}", r.err);
    assert!(
        r.out.contains("a.rules:11:1: -A INPUT -m geoip")
            && r.out.contains("depends on -m geoip --source-country DE"),
        "{}",
        r.out
    );
    assert!(
        r.out.contains("a.rules:12:1: -A INPUT -p tcp -m recent")
            && r.out.contains("2 of 8 rules are not exact"),
        "{}",
        r.out
    );
}

/// Runs a check of a machine whose rule has a waiver beside it, with a line in the deployment file; the waivers in force, and the findings.
fn with_inline_waivers(policy: &str, comment: &str) -> (usize, Vec<String>, i32) {
    let dump = GOOD.replace("COMMIT\n", &format!("# havenlint: allow HL-EXPOSED-SSH {comment}\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"));
    let deployment =
        format!("catalogue = \"none\"\n{policy}\n[[node]]\nname = \"lab\"\nfirewall = [\"lab.rules\"]\n");
    let dir = folder(&[("lab.rules", dump.as_bytes()), ("havenlint.toml", deployment.as_bytes())]);
    let r = run_in(dir.path(), &["check", "--format", "json"]);
    let report = json(&r);
    let about = |f: &&Value| f["rule"] == "HL-EXPOSED-SSH";
    let details =
        report["findings"].as_array().unwrap().iter().filter(about).map(|f| f["details"].to_string());
    (report["waived"].as_array().unwrap().len(), details.collect(), r.status)
}

#[test]
fn the_deployment_file_says_which_inline_waivers_are_in_force() {
    for (policy, comment, in_force) in [
        ("", "lab", true),
        ("inline-waivers = true", "lab", true),
        ("inline-waivers = false", "lab", false),
        ("inline-waivers = \"with-owner\"", "lab", false),
        ("inline-waivers = \"with-owner\"", "owner=net-ops lab", true),
        ("inline-waivers = [\"HL-EXPOSED\"]", "lab", true),
        ("inline-waivers = [\"HL-ANY-ANY\"]", "lab", false),
    ] {
        let (waived, findings, _) = with_inline_waivers(policy, comment);
        assert_eq!(waived == 1, in_force, "{policy} {comment}: {findings:?}");
        assert_eq!(findings.len(), usize::from(!in_force), "{policy} {comment}");
        assert!(findings.iter().all(|d| d.contains("is not in force")), "{policy}: {findings:?}");
    }
    for wrong in ["inline-waivers = \"sometimes\"", "inline-waivers = [\"HL-TYPO\"]", "inline-waivers = 7"] {
        assert_eq!(with_inline_waivers(wrong, "lab").2, 2, "{wrong}");
    }
}

#[test]
fn a_first_contact_needs_no_roles() {
    let dir = folder(&[("web.rules", GOOD.as_bytes()), ("db/db-1.rules", GOOD.as_bytes())]);
    let before = json(&run_in(dir.path(), &["check", ".", "--format", "json"]));
    assert_eq!(run_in(dir.path(), &["init"]).status, 0);
    let text = fs::read_to_string(dir.path().join("havenlint.toml")).unwrap();
    assert!(text.contains("catalogue = \"none\""), "{text}");
    let r = run_in(dir.path(), &["check", "--format", "json"]);
    let after = json(&r);
    assert_eq!(r.status, 0, "{}{}", r.out, r.err);
    assert!(r.err.contains("has no requirements"), "{}", r.err);
    assert_eq!(after["problems"], Value::Array(vec![]), "the file works as it is");
    let count = |report: &Value| report["inputs"].as_array().unwrap().len();
    assert_eq!((count(&before), count(&after)), (2, 2));
    let rules = |report: &Value| {
        let mut all: Vec<String> =
            report["findings"].as_array().unwrap().iter().map(|f| f["rule"].to_string()).collect();
        all.sort();
        all
    };
    assert_eq!(rules(&before), rules(&after));

    // The next step: a policy of one's own.
    assert_eq!(run_in(dir.path(), &["catalogue", "new", "policy.toml"]).status, 0);
    assert_eq!(run_in(dir.path(), &["catalogue", "new", "policy.toml"]).status, 2, "nothing is overwritten");
    assert_eq!(run_in(dir.path(), &["catalogue", "lint", "policy.toml"]).status, 0);
    let own = text
        .replace("catalogue = \"none\"", "catalogue = \"policy.toml\"")
        .replace("name = \"web\"\n", "name = \"web\"\nrole = \"web\"\naddress = [\"10.0.20.11\"]\n");
    fs::write(dir.path().join("havenlint.toml"), own).unwrap();
    let r = run_in(dir.path(), &["check", "--format", "json"]);
    assert_eq!(r.status, 1, "{}{}", r.out, r.err);
    let report = json(&r);
    assert_eq!(state(&report, "WEB-HTTPS"), ["violated", "not-checked"][..1], "{}", r.out);
}

#[test]
fn twenty_missing_peers_are_one_edit() {
    let mut config = "[[node]]\nname = \"cms-1\"\nrole = \"cms\"\nservice = [\"10.1.0.10\"]\nclient = [\"10.1.0.10\"]\nfirewall = [\"cms.v4.rules\"]\n".to_owned();
    for i in 0..20 {
        config += &format!("[[node]]\nname = \"srn-{i}\"\nrole = \"srn\"\nservice = [\"10.2.{i}.11\"]\n");
    }
    let rules = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT\n";
    let dir = folder(&[("havenlint.toml", config.as_bytes()), ("cms.v4.rules", rules.as_bytes())]);
    let report = json(&run_in(dir.path(), &["check", "--format", "json"]));
    let own: Vec<&Value> =
        report["findings"].as_array().unwrap().iter().filter(|f| f["rule"] == "SH4-CMS-CLUSTER").collect();
    assert_eq!(own.len(), 1);
    let text = own[0]["fix"]["text"].as_str().unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!((0..20).all(|i| text.contains(&format!("10.2.{i}.11/32"))), "{text}");
    let r = run_in(dir.path(), &["fix", "--select", "SH4-CMS-CLUSTER", "--apply"]);
    assert!(r.err.contains("1 repair made"), "{}\n{}", r.out, r.err);
    let report = json(&run_in(dir.path(), &["check", "--format", "json"]));
    assert!(state(&report, "SH4-CMS-CLUSTER").iter().all(|s| s != "violated"), "{}", report["requirements"]);
}

#[test]
fn a_catalogue_is_told_what_its_examples_do_not_show() {
    let web = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/web-servers/policy.toml");
    let r = run_in(demo(), &["catalogue", "lint", web]);
    assert_eq!(r.status, 0);
    assert!(r.err.contains("note: WEB-SSH has no example that is violated"), "{}", r.err);
    let r = run_in(demo(), &["catalogue", "lint", "safehaven-4", "safehaven-5"]);
    assert!(r.status == 0 && r.err.is_empty(), "{}", r.err);
}
