//! `query` for people: new connections, names, and the matrix.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;

fn query(args: &[&str]) -> String {
    let all = ["query"].into_iter().chain(args.iter().copied());
    let root = env!("CARGO_MANIFEST_DIR");
    let out = Command::cargo_bin("havenlint").unwrap().current_dir(root).args(all).output().unwrap();
    String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap()
}

const WEB: &str = "fixtures/web-servers/hosts/web-1.v4.rules";
const CONFIG: &str = "fixtures/web-servers/havenlint.toml";

fn words(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|w| !w.is_empty()).collect()
}

#[test]
fn new_connections_as_a_table_with_names() {
    let out = query(&[WEB, "--iif", "eth0", "--config", CONFIG]);
    let rows: Vec<Vec<&str>> = out.lines().map(words).collect();
    assert!(rows.contains(&vec!["any", "any", "tcp/443, tcp/8080, icmp type 8", "eth0"]), "{out}");
    assert!(rows.contains(&vec!["10.0.9.0/25", "any", "tcp/22", "eth0"]), "{out}");
    assert!(out.contains("everything else is stopped") && !out.contains("established"), "{out}");
    let named = query(&[
        WEB, "--iif", "eth0", "--config", CONFIG, "--from", "admin", "--to", "web-1", "--proto", "tcp",
        "--port", "443",
    ]);
    assert!(named.lines().map(words).any(|r| r == ["admin", "web-1", "tcp/443", "eth0"]), "{named}");
    assert!(query(&[WEB, "--from", "nobody"]).contains("nobody: this is not an address"));
}

#[test]
fn exact_and_other_states_are_told_as_boxes() {
    for args in [&[WEB, "--exact", "--iif", "eth0"][..], &[WEB, "--ct", "established", "--iif", "eth0"]] {
        let out = query(args);
        assert!(out.contains("\naccepted\n") && out.contains("established"), "{out}");
    }
}

#[test]
fn the_matrix_in_every_format() {
    let args = [WEB, "--matrix", "--config", CONFIG];
    let out = query(&args);
    let row = |service: &str| out.lines().map(words).find(|r| r.first() == Some(&service)).unwrap();
    assert!(out.starts_with("New connections"), "{out}");
    // Half of the administrators' network may; the Internet may not.
    assert_eq!((row("tcp/22")[1], row("tcp/22").last()), ("partly", Some(&"–")), "{out}");
    assert_eq!(row("tcp/443").last(), Some(&"yes"), "{out}");
    assert_eq!(row("other udp").last(), Some(&"–"), "{out}");
    let json: serde_json::Value =
        serde_json::from_str(&query(&[&args[..], &["--format", "json"]].concat())).unwrap();
    let networks = json["networks"].as_array().unwrap();
    let (internet, ssh) = (
        networks.iter().position(|n| n == "internet").unwrap(),
        json["services"].as_array().unwrap().iter().position(|s| s == "tcp/22").unwrap(),
    );
    assert_eq!(json["cells"][internet][ssh], "closed");
    let csv = query(&[&args[..], &["--format", "csv"]].concat());
    assert!(
        csv.starts_with("box,network,service,state\n")
            && csv.contains("\"\",\"internet\",\"tcp/443\",open\n"),
        "{csv}"
    );
    let markdown = query(&[&args[..], &["--format", "markdown"]].concat());
    assert!(markdown.contains("| Service | admin |"), "{markdown}");
    assert!(query(&[WEB, "--format", "csv"]).contains("--format csv is for --matrix"));
}
