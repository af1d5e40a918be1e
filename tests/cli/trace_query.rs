//! `trace` and `query` as people and programs call them.

use crate::commands::{GOOD, folder, run_in};
use assert_cmd::Command;
use serde_json::Value;
use std::io::Write;
use tempfile::NamedTempFile;

const DUMP: &str = "\
*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:WEB - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -s 10.0.8.0/24 -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -p tcp -m tcp --dport 8080 -m owner --uid-owner 1000 -j ACCEPT
-A INPUT -p tcp -m tcp --dport 80 -j WEB
-A WEB -s 10.0.0.0/8 -j ACCEPT
COMMIT
";

fn file(text: &str) -> NamedTempFile {
    let mut f = tempfile::Builder::new().suffix(".rules").tempfile().unwrap();
    f.write_all(text.as_bytes()).unwrap();
    f
}

fn havenlint(args: &[&str], stdin: &str) -> (String, i32) {
    let run = Command::cargo_bin("havenlint").unwrap().args(args).write_stdin(stdin).output().unwrap();
    (String::from_utf8(run.stdout).unwrap(), run.status.code().unwrap())
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn trace_answers_in_the_order_of_the_input() {
    let f = file(DUMP);
    let path = f.path().to_str().unwrap();
    let packets = r#"
{"dir":"input","iif":"eth0","src":"10.0.8.15","dst":"10.1.0.10","proto":"tcp","sport":40000,"dport":22}
{"dir":"input","iif":"eth0","src":"192.0.2.1","dst":"10.1.0.10","proto":"tcp","dport":80}
{"dir":"input","iif":"eth0","src":"192.0.2.1","dst":"10.1.0.10","proto":"tcp","dport":8080}
{"src":"10.0.0.1","dst":"10.0.0.2","proto":"icmp","dport":1}
{"src":"2001:db8::1","dst":"2001:db8::2","proto":"tcp","dport":22}
"#;
    let (out, code) = havenlint(&["trace", path, "--packets", "-", "--format", "json"], packets);
    let told = lines(&out);
    assert_eq!(told.len(), 5);
    assert_eq!(code, 2, "refused packets are trouble");
    assert_eq!(told[0]["verdict"], "accept");
    assert_eq!(told[0]["decided_by"]["line"], 8);
    assert_eq!(told[0]["decided_by"]["column"], 1);
    assert_eq!(told[0]["because"], Value::Array(vec![]));
    assert_eq!(told[1]["verdict"], "drop");
    assert_eq!(told[1]["decided_by"]["line"], 2, "the policy decides");
    let steps = told[1]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|s| s["result"] == "jump WEB" && s["chain"] == "INPUT" && s["hook"] == "input"));
    assert_eq!(told[2]["verdict"], "undecided");
    assert!(told[2]["because"][0]["text"].as_str().unwrap().contains("owner"));
    assert_eq!(told[2]["because"][0]["location"]["line"], 9);
    assert!(told[3]["error"].as_str().unwrap().contains("no ports"));
    assert!(told[4]["error"].as_str().unwrap().contains("IPv6"), "an IPv4 dump says nothing about IPv6");
}

#[test]
fn trace_takes_a_packet_in_words() {
    let f = file(DUMP);
    let path = f.path().to_str().unwrap();
    let (out, code) =
        havenlint(&["trace", path, "--packet", "input eth0 tcp 10.0.8.15:40000 > 10.1.0.10:22"], "");
    assert_eq!(code, 0);
    assert!(
        out.starts_with("accept  tcp 10.0.8.15:40000 > 10.1.0.10:22, new, arriving on eth0 (input)"),
        "{out}"
    );
    assert!(out.contains(":8: -A INPUT -s 10.0.8.0/24"), "{out}");
    assert_eq!(havenlint(&["trace", path], "").1, 2, "a packet must be given");
    assert_eq!(havenlint(&["trace", "no-such-file", "--packet", "tcp 10.0.0.1 > 10.0.0.2:1"], "").1, 2);
}

#[test]
fn query_tells_the_exact_parts() {
    let f = file(DUMP);
    let path = f.path().to_str().unwrap();
    let ask = |more: &[&str]| {
        let base = ["query", path, "--format", "json", "--iif", "eth0", "--ct", "new", "--proto", "tcp"];
        let (out, code) = havenlint(&[&base[..], more].concat(), "");
        assert_eq!(code, 0);
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let a = ask(&["--from", "10.0.0.0/16", "--port", "22"]);
    assert_eq!(a["state"], "mixed");
    assert_eq!(a["accepted"].as_array().unwrap().len(), 1);
    assert_eq!(a["accepted"][0]["from"], serde_json::json!(["10.0.8.0/24"]));
    assert_eq!(a["accepted"][0]["port"], serde_json::json!(["22"]));
    assert_eq!(a["accepted"][0]["family"], 4);
    assert_eq!(a["denied"][0]["from"], serde_json::json!(["10.0.0.0/21", "10.0.9.0-10.0.255.255"]));
    assert!(a["accepted"][0].get("icmp").is_none() && a["accepted"][0].get("oif").is_none());
    let by = a["decided_by"].as_array().unwrap();
    assert!(by.iter().any(|b| b["line"] == 8 && b["verdict"] == "accepted"));
    assert!(by.iter().any(|b| b["line"] == 2 && b["verdict"] == "denied"));
    assert_eq!(a["witnesses"]["accepted"]["src"], "10.0.8.1");
    let a = ask(&["--port", "8080"]);
    assert_eq!(a["state"], "undecided");
    assert_eq!(a["undecided"][0]["because"][0]["location"]["line"], 9);
    assert_eq!(
        ask(&["--from", "office", "--set", "office=10.3.0.0/24", "--port", "80"])["state"],
        "accepted"
    );
    assert_eq!(ask(&["--port", "443"])["state"], "denied");
}

// No column tells the hardware address: a row that holds for one of them only must not read as if it held for all.
#[test]
fn what_the_table_does_not_tell_is_told_in_part() {
    let by_mac = "-A INPUT -s 10.0.8.7/32 -p tcp -m mac --mac-source 02:00:00:00:00:07 -m tcp --dport 5900 -j ACCEPT\n";
    let rest = "-A INPUT -s 10.0.8.9/32 -p tcp -m tcp --dport 5900 -j ACCEPT\n";
    let f = file(&DUMP.replace("-A WEB", &format!("{by_mac}{rest}-A WEB")));
    let (out, code) =
        havenlint(&["query", f.path().to_str().unwrap(), "--iif", "eth0", "--port", "5900"], "");
    assert_eq!(code, 0, "{out}");
    let (whole, part) = out.split_once("in part let through").unwrap();
    assert!(whole.contains("10.0.8.9") && !whole.contains("10.0.8.7"), "{out}");
    assert!(part.contains("10.0.8.7") && !part.contains("10.0.8.9 "), "{out}");
    assert!(part.contains("everything else is stopped"), "{out}");
    // Without anything else, there is still an example, and it is one.
    let args = ["query", f.path().to_str().unwrap(), "--from", "10.0.8.7", "--iif", "eth0", "--port", "5900"];
    let (out, _) = havenlint(&args, "");
    assert!(out.starts_with("mixed") && out.contains("02:00:00:00:00:07"), "{out}");
}

#[test]
fn query_refuses_what_cannot_be() {
    let f = file(DUMP);
    let path = f.path().to_str().unwrap();
    for bad in [
        &["--from", "nowhere"][..],
        &["--port", "70000"],
        &["--port", "9-1"],
        &["--proto", "icmp", "--port", "22"],
        &["--proto", "carrier-pigeon"],
        &["--oif", "eth0"],
        &["--from", "10.0.0.1", "--to", "2001:db8::1"],
        &["--from", "2001:db8::1"],
    ] {
        let (_, code) = havenlint(&[&["query", path], bad].concat(), "");
        assert_eq!(code, 2, "{bad:?}");
    }
}

#[test]
fn trace_says_which_word_is_wrong_and_reads_back_what_it_prints() {
    let dir = folder(&[("a.rules", GOOD.as_bytes())]);
    let trace = |packet: &str| run_in(dir.path(), &["trace", "a.rules", "--packet", packet]);
    let r = trace("input eth0 tpc 10.0.8.15:40000 > 10.1.0.10:443");
    assert_eq!(r.status, 2);
    assert!(r.out.contains("`tpc` is not a protocol") && r.out.contains("\n             ^^^\n"), "{}", r.out);
    let r = trace("input eth0 tcp 10.0.8.15:40000 > 10.1.0.10:20081");
    let printed = r.out.lines().next().unwrap().trim_start_matches("accept").trim().to_owned();
    assert_eq!(trace(&printed).out, r.out, "{printed}");
}

#[test]
fn trace_shows_what_would_have_let_a_packet_in() {
    let dir = folder(&[("a.rules", GOOD.as_bytes())]);
    let packet = "input eth0 tcp 10.0.8.16:40000 > 10.1.0.10:20081";
    let r = run_in(dir.path(), &["trace", "a.rules", "--packet", packet]);
    assert_eq!(r.status, 0);
    assert!(
        r.out.contains("nearly: admits 10.0.8.15") && r.out.contains("to let it in, after line"),
        "{}",
        r.out
    );
    let json = run_in(dir.path(), &["trace", "a.rules", "--packet", packet, "--format", "json"]).out;
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    // The edit does what it says.
    let fix = &told["fix"];
    let mut lines: Vec<&str> = GOOD.lines().collect();
    let at = fix["after_line"].as_u64().unwrap() as usize;
    let text = fix["text"].as_str().unwrap();
    lines.splice(at..at, text.lines());
    std::fs::write(dir.path().join("b.rules"), lines.join("\n") + "\n").unwrap();
    let r = run_in(dir.path(), &["trace", "b.rules", "--packet", packet]);
    assert!(r.out.starts_with("accept"), "{text}\n{}", r.out);
}
