//! Dumps of real tools (`fixtures/exposed/README.md`) and small rulesets: what is found, at which rule, in which words.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use serde_json::Value;

fn check(text: &str, name: &str, args: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), text).unwrap();
    let all = ["check", "--no-config", "--format", "json", name].into_iter().chain(args.iter().copied());
    let out = Command::cargo_bin("havenlint").unwrap().current_dir(folder.path()).args(all).output().unwrap();
    serde_json::from_slice(&out.stdout).unwrap()
}

fn fixture(name: &str) -> String {
    std::fs::read_to_string(format!("{}/fixtures/exposed/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

// Findings as `ID level line: message`.
fn told(report: &Value) -> Vec<String> {
    let one = |f: &Value| {
        let word = |v: &Value| v.as_str().unwrap().to_owned();
        let line = f["location"]["text"].as_str().unwrap().trim().to_owned();
        format!("{} {} {line}: {}", word(&f["rule"]), word(&f["level"]), word(&f["message"]))
    };
    report["findings"].as_array().unwrap().iter().map(one).filter(|t| t.starts_with("HL-EXPOSED")).collect()
}

// Rows of the table as `state reaches [place] by interfaces`.
fn open(report: &Value) -> Vec<String> {
    let one = |o: &Value| {
        let list = |k: &str| {
            o[k].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        let word = |k: &str| o[k].as_str().unwrap().to_owned();
        format!(
            "{} {} [{}] by {} faces {}",
            word("state"),
            word("reaches"),
            word("place"),
            list("interfaces"),
            word("facing")
        )
    };
    let mut out: Vec<String> = report["open"].as_array().unwrap().iter().map(one).collect();
    out.sort();
    out.dedup();
    out
}

#[test]
fn published_ports_translations_and_limits() {
    let report = check(&fixture("published.v4.rules"), "rules.v4", &[]);
    let expected = [
        "HL-EXPOSED-SSH warning -A FORWARD -d 10.20.0.5/32 -i eth0 -p tcp -m tcp --dport 22 -j ACCEPT: any address can reach ssh (tcp/22) at 10.20.0.5, published as tcp/2222 by eth0 over IPv4",
        "HL-EXPOSED-DATABASE warning -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 5432 -j ACCEPT: any address can reach a database (tcp/5432) at 172.17.0.2, published as tcp/5432 by any interface but docker0 over IPv4",
        // One finding for one rule, of the worst that it opens.
        "HL-EXPOSED-SSH warning -A ufw-user-input -p tcp -m multiport --dports 22,443,3306 -j ACCEPT: any address can reach ssh (tcp/22) over IPv4",
        "HL-EXPOSED-ALL warning -A ufw-user-input -p udp -m udp --sport 53 -j ACCEPT: any address can reach udp (all ports) over IPv4, 10 sensitive services among it",
        "HL-EXPOSED-DATABASE warning -A ufw-user-input -p tcp -m tcp --dport 11211 -m limit --limit 10/sec -j ACCEPT: any address can reach a database (tcp/11211) over IPv4",
    ];
    let found = told(&report);
    for line in expected {
        assert!(found.contains(&line.to_owned()), "{line}\nis not in\n{}", found.join("\n"));
    }
    // Halves of the Internet are told each; a partner and private networks are nobody's Internet; nothing lets 33890 through.
    let halves: Vec<_> = found.iter().filter(|f| f.contains("27017")).collect();
    assert_eq!(halves.len(), 2, "{found:?}");
    for never in ["6379", "9200", "3389"] {
        assert!(!found.iter().any(|f| f.contains(never)), "{never}: {found:?}");
    }
    assert_eq!(found.len(), expected.len() + 2, "{}", found.join("\n"));
    let multiport = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["location"]["text"].as_str().unwrap().contains("multiport"));
    assert!(multiport.unwrap()["details"].to_string().contains("MySQL (tcp/3306)"), "{multiport:?}");
    let docker = "open tcp (all ports), udp (all ports), icmp, every other protocol [of whatever it forwards to] by docker0 faces inside";
    assert!(open(&report).contains(&docker.to_owned()), "{:#?}", open(&report));
}

#[test]
fn each_kind_can_be_selected_although_one_finding_is_told() {
    let text = fixture("published.v4.rules");
    let only = told(&check(&text, "rules.v4", &["--select", "HL-EXPOSED-DATABASE"]));
    assert!(only.iter().any(|f| f.contains("multiport") && f.contains("tcp/3306")), "{only:?}");
    assert!(only.iter().all(|f| f.starts_with("HL-EXPOSED-DATABASE")));
}

#[test]
fn an_nftables_edge() {
    let report = check(&fixture("edge.nft"), "edge.nft", &[]);
    let found = told(&report);
    let expected = [
        "HL-EXPOSED-SSH warning iifname \"wan0\" tcp dport { 22, 443, 6379 } accept: any address can reach ssh (tcp/22) by wan0",
        "HL-EXPOSED-DATABASE note iifname \"wan0\" ip6 daddr 2001:db8:20::9 tcp dport 5432 accept: any address can reach a database (tcp/5432) at 2001:db8:20::9 by wan0 over IPv6",
    ];
    for line in expected {
        assert!(found.contains(&line.to_owned()), "{line}\nis not in\n{}", found.join("\n"));
    }
    assert!(found.iter().any(|f| f.contains("10.20.0.5, published as tcp/2222 by wan0")), "{found:#?}");
    // No rule lets the other forward's packets through, and what comes from inside is listed only.
    assert!(!found.iter().any(|f| f.contains("10.20.0.9") || f.contains("lan0")), "{found:#?}");
    assert!(open(&report).iter().any(|o| o.contains("by lan0 faces inside")), "{:#?}", open(&report));
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn a_port_forward_of_pfsense() {
    let report = check(&fixture("remote-desktop.xml"), "config.xml", &[]);
    let found = told(&report);
    let [one] = &found[..] else { panic!("{found:#?}") };
    assert!(one.starts_with("HL-EXPOSED-RDP error"), "{one}");
    let words = "the Internet can reach remote desktop (tcp/3389) at 10.9.0.20, published as tcp/33890 of 203.0.113.2 by wan over IPv4";
    assert!(one.ends_with(words), "{one}");
    // The forward without a rule leads nowhere, and is no opening.
    assert!(
        !open(&report).iter().any(|o| o.contains("10.9.0.21") && o.contains("by wan")),
        "{:#?}",
        open(&report)
    );
}

#[test]
fn what_depends_on_a_condition_is_undecided_once() {
    let rules = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
        -A INPUT -m set --match-set trusted src -j CHECK\n-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT\nCOMMIT\n"
        .replace(":OUTPUT", ":CHECK - [0:0]\n:OUTPUT")
        .replace("COMMIT", "-A CHECK -p tcp -m tcp --dport 22 -j ACCEPT\n-A CHECK -p tcp -m tcp --dport 3306 -j ACCEPT\nCOMMIT");
    let report = check(&rules, "rules.v4", &[]);
    let found = told(&report);
    let [one] = &found[..] else { panic!("{found:#?}") };
    assert!(
        one.starts_with("HL-EXPOSED-UNDECIDED note") && one.contains("can reach tcp/22, tcp/3306"),
        "{one}"
    );
    assert!(one.contains("match-set trusted src"), "{one}");
}

#[test]
fn the_first_page_without_a_deployment() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.v4"), fixture("published.v4.rules")).unwrap();
    let page = |args: &[&str]| {
        let all = ["check", "--no-config", "rules.v4"].into_iter().chain(args.iter().copied());
        let out =
            Command::cargo_bin("havenlint").unwrap().current_dir(folder.path()).args(all).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    let human = page(&[]);
    let at = |text: &str| human.find(text).unwrap_or_else(|| panic!("no {text:?} in\n{human}"));
    assert!(at("no requirements checked") < at("\nOpen to any source\n"), "{human}");
    assert!(at("\nOpen to any source\n") < at("\nwarning["), "{human}");
    let table = &human[at("\nOpen to any source\n")..];
    let line = table.lines().find(|l| l.contains("tcp/5432")).unwrap();
    assert!(
        line.contains("at 172.17.0.2") && line.contains("any but docker0") && line.contains("rules.v4:"),
        "{line}"
    );
    assert!(page(&["--format", "markdown"]).contains("### Open to any source\n"));
    assert!(page(&["--format", "html"]).contains("<h2>Open to any source</h2>"));
    assert!(!page(&["--quiet"]).contains("Open to any source"));
}

// However many single partners a list names, they are not the Internet; networks that are together more than a /8 are.
#[test]
fn many_partners_are_not_the_internet() {
    let list = |sources: Vec<String>| {
        let rules = sources.iter().map(|s| format!("-A INPUT -s {s} -p tcp -m tcp --dport 22 -j ACCEPT\n"));
        format!("*filter\n:INPUT DROP [0:0]\n{}COMMIT\n", rules.collect::<String>())
    };
    let partners = (0..1500).map(|i| format!("8.{}.{}.9/32", i / 250, i % 250));
    let report = check(&list(partners.collect()), "partners.rules", &[]);
    assert_eq!(told(&report), Vec::<String>::new());
    let networks = (0..300).map(|i| format!("{}.{}.0.0/16", 8 + i / 200, i % 200));
    let report = check(&list(networks.collect()), "networks.rules", &[]);
    let told = told(&report);
    assert_eq!(told.len(), 300);
    assert!(told[0].contains("and by other rules many more public addresses, can reach ssh"), "{}", told[0]);
}
