//! Small rulesets, and what is told of which line.

use havenlint::analysis::Environment;
use havenlint::dialect::{ReadOptions, detect};
use havenlint::finding::Severity;
use havenlint::lint::registry::{Subject, run};
use havenlint::model::Firewall;
use havenlint::source::SourceFile;

fn read(text: &str) -> Firewall {
    let name = if text.starts_with('*') { "rules.v4" } else { "rules.nft" };
    let file = SourceFile::new(name, text.as_bytes().to_vec());
    let (dialect, _) = detect(file.bytes()).expect("a dialect");
    dialect.read(&[file], &ReadOptions::default())
}

/// Findings about unused rules, as `ID line`, with `note` where they are notes.
fn told(text: &str) -> Vec<String> {
    let ids = [
        "HL-UNREACHABLE",
        "HL-SHADOWED",
        "HL-REDUNDANT",
        "HL-EXCEPTION-LOST",
        "HL-DUPLICATE",
        "HL-NFT-AFTER-VERDICT",
        "HL-NEVER-MATCHES",
        "HL-UNUSED-CHAIN",
    ];
    told_of(text, &ids)
}

fn told_of(text: &str, ids: &[&str]) -> Vec<String> {
    let f = read(text);
    assert!(f.diagnostics.iter().all(|d| d.severity == Severity::Note), "{:?}\n{text}", f.diagnostics);
    let environment = Environment::default();
    let beside = [&f];
    let mut found = Vec::new();
    run(&Subject::new(&f, &beside, &environment, "box"), &mut found);
    found.retain(|f| ids.contains(&f.rule.as_str()));
    found.sort_by_key(|f| (f.location.line, f.rule.clone()));
    let level = |l| if l == Severity::Note { " note" } else { "" };
    found
        .iter()
        .map(|f| format!("{} {}{}", f.rule.trim_start_matches("HL-"), f.location.line, level(f.level)))
        .collect()
}

/// A dump of the filter table with policy drop; the first of `rules` stands on line 5 behind `chains`, one line each.
fn dump(chains: &str, rules: &str) -> String {
    format!(
        "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n{chains}{rules}\nCOMMIT\n"
    )
}

#[track_caller]
fn holds(chains: &str, rules: &str, expected: &[&str]) {
    assert_eq!(told(&dump(chains, rules)), expected, "{rules}");
}

#[test]
fn exceptions_behind_broader_rules() {
    holds(
        "",
        "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A INPUT -p tcp -m tcp --dport 8000:9000 -j DROP\n\
         -A INPUT -p tcp -m tcp --dport 8443 -j ACCEPT\n\
         -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n\
         -A INPUT -s 203.0.113.66/32 -p tcp -m tcp --dport 22 -j DROP",
        &["EXCEPTION-LOST 7", "EXCEPTION-LOST 9"],
    );
    // In the right order nothing is wrong.
    holds(
        "",
        "-A INPUT -p tcp -m tcp --dport 8443 -j ACCEPT\n\
         -A INPUT -p tcp -m tcp --dport 8000:9000 -j DROP\n\
         -A INPUT -s 203.0.113.66/32 -p tcp -m tcp --dport 22 -j DROP\n\
         -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
        &[],
    );
    // Only packets that open no connection are left to the block, and the policy stops them anyway.
    let opens = "-A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT\n\
                 -A INPUT -s 203.0.113.66/32 -p tcp -m tcp --dport 22 -j DROP";
    holds("", opens, &["EXCEPTION-LOST 6"]);
    // Where a later rule accepts them, it does something.
    holds("", &format!("{opens}\n-A INPUT -s 203.0.113.0/24 -j ACCEPT"), &[]);
    let accepting = dump("", opens).replace("INPUT DROP", "INPUT ACCEPT");
    assert_eq!(told(&accepting), [""; 0], "the policy accepts what the rule stops");
}

#[test]
fn several_rules_hide_one() {
    let both = "-A INPUT -s 10.0.0.0/25 -j DROP\n-A INPUT -s 10.0.0.128/25 -j DROP\n";
    holds("", &format!("{both}-A INPUT -s 10.0.0.0/24 -p udp -j ACCEPT"), &["SHADOWED 7"]);
    holds("", &format!("{both}-A INPUT -s 10.0.0.77/32 -j DROP"), &["SHADOWED 7 note"]);
    holds("", &format!("{both}-A INPUT -s 10.0.0.0/23 -j ACCEPT"), &[]);
    holds("", &format!("{both}-A INPUT -s 10.0.0.0/24 -j LOG"), &["SHADOWED 7"]);
    holds(
        "",
        "-A INPUT -p tcp -j ACCEPT\n-A INPUT ! -p tcp -j DROP\n-A INPUT -p udp -j ACCEPT\n-A INPUT -s 10.0.0.1/32 -j DROP",
        &["UNREACHABLE 7"],
    );
}

#[test]
fn what_ends_a_chain_ends_it_for_all() {
    holds(
        "",
        "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -j DROP\n-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT\n\
         -A INPUT -j LOG",
        &["UNREACHABLE 7"],
    );
    // Copies are told as copies.
    holds("", "-A INPUT -p udp -j ACCEPT\n-A INPUT -j DROP\n-A INPUT -j DROP", &["DUPLICATE 7"]);
    // A chain that lets nothing through.
    let chain = ":ENDS - [0:0]\n";
    let jump = "-A INPUT -p tcp -j ENDS\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n";
    holds(chain, &format!("{jump}-A ENDS -s 192.0.2.0/24 -j ACCEPT\n-A ENDS -j DROP"), &["SHADOWED 7"]);
    holds(chain, &format!("{jump}-A ENDS -s 192.0.2.0/24 -j RETURN\n-A ENDS -j DROP"), &[]);
    holds(
        chain,
        "-A INPUT -j ENDS\n-A INPUT -j REJECT\n-A ENDS -s 192.0.2.0/24 -j ACCEPT\n-A ENDS -j DROP",
        &["UNREACHABLE 7 note"],
    );
}

#[test]
fn later_rules_make_one_redundant() {
    let narrow = "-A INPUT -s 10.1.2.0/24 -p tcp -m tcp --dport 22 -j ACCEPT\n";
    let broad = "-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT";
    holds("", &format!("{narrow}{broad}"), &["REDUNDANT 5 note"]);
    holds("", &format!("{narrow}-A INPUT -s 192.0.2.0/24 -j DROP\n{broad}"), &["REDUNDANT 5 note"]);
    holds("", &format!("{narrow}-A INPUT -s 10.1.0.0/16 -j DROP\n{broad}"), &[]);
    holds("", &format!("{narrow}-A INPUT -p tcp -j LOG\n{broad}"), &[]);
    holds("", "-A INPUT -s 203.0.113.0/24 -j DROP", &[]);
    holds("", "-A INPUT -s 203.0.113.0/24 -j DROP\n-A INPUT -j DROP", &[]);
    holds("", "-A INPUT -s 203.0.113.0/24 -j DROP\n-A INPUT -p udp -j ACCEPT", &[]);
    holds("", "-A INPUT -p udp -j ACCEPT\n-A INPUT -p tcp -j REJECT\n-A INPUT -j DROP", &[]);
    holds("", "-A INPUT -p tcp -j REJECT --reject-with tcp-reset\n-A INPUT -j REJECT", &[]);
    holds(
        "",
        "-A INPUT -m limit --limit 5/min -j ACCEPT\n-A INPUT -p tcp -m time --timestart 09:00 -j ACCEPT",
        &[],
    );
    let chain = ":OURS - [0:0]\n";
    holds(
        chain,
        "-A INPUT -p tcp -j OURS\n-A INPUT -s 10.0.0.1/32 -p tcp -j ACCEPT\n-A OURS -j ACCEPT",
        &["SHADOWED 7 note"],
    );
}

#[test]
fn the_order_of_rules_that_overlap_decides() {
    let told = |rules: &str| told_of(&dump("", rules), &["HL-CONTRADICTED", "HL-EXCEPTION-LOST"]);
    let low = "-A INPUT -s 10.1.0.0/16 -p tcp -m tcp --dport 1:1023 -j DROP\n";
    let ssh = "-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT";
    assert_eq!(told(&format!("{low}{ssh}")), ["CONTRADICTED 6 note"]);
    // The nearest of several.
    let more = "-A INPUT -s 10.1.2.0/24 -p tcp -m tcp --dport 20:25 -j DROP\n";
    assert_eq!(told(&format!("{low}{more}{ssh}")), ["CONTRADICTED 7 note"]);
    // An exception, before and behind; the same verdict; other packets.
    assert_eq!(told("-A INPUT -s 10.1.0.0/16 -p tcp -j DROP\n-A INPUT -p tcp -j ACCEPT"), [""; 0]);
    assert_eq!(
        told("-A INPUT -p tcp -j DROP\n-A INPUT -s 10.1.0.0/16 -p tcp -j ACCEPT"),
        ["EXCEPTION-LOST 6"]
    );
    assert_eq!(told(&format!("{low}{}", ssh.replace("ACCEPT", "REJECT"))), [""; 0]);
    assert_eq!(told(&format!("{low}{}", ssh.replace("--dport 22", "--dport 2222"))), [""; 0]);
    // Answers of connections, the loopback interface, and packets that an earlier rule decides about.
    let answers = "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    let blocked = "-A INPUT -s 203.0.113.0/24 -j DROP";
    assert_eq!(told(&format!("{answers}-A INPUT -i lo -j ACCEPT\n{blocked}")), [""; 0]);
    let both = "-A INPUT -s 10.1.0.0/16 -p tcp -m tcp --dport 22 -j ACCEPT\n";
    assert_eq!(told(&format!("{both}{low}{ssh}")), [""; 0]);
    // Nobody knows whether the first one ever applies.
    let owner = low.replace("-j DROP", "-m string --string x --algo bm -j DROP");
    assert_eq!(told(&format!("{owner}{ssh}")), [""; 0]);
}

#[test]
fn chains_see_what_is_sent_to_them() {
    let chain = ":WEB - [0:0]\n";
    let rules = "-A WEB -p udp -j DROP\n-A WEB -p tcp -m tcp --dport 80 -j ACCEPT\n-A WEB -p tcp -m tcp --dport 90 -j ACCEPT";
    let jump = "-A INPUT -p tcp -m multiport --dports 80,443 -j WEB\n";
    holds(chain, &format!("{jump}{rules}"), &["UNREACHABLE 7 note", "UNREACHABLE 9 note"]);
    // Reached from elsewhere, too.
    holds(chain, &format!("{jump}-A FORWARD -p udp -j WEB\n{rules}"), &["UNREACHABLE 10 note"]);
    // A chain that nothing enters because its jump is hidden is told once, at the jump; one without a jump as a chain.
    holds(chain, &format!("-A INPUT -p tcp -j DROP\n{jump}{rules}"), &["SHADOWED 7"]);
    holds(chain, rules, &["UNUSED-CHAIN 5 note"]);
}

#[test]
fn what_is_not_certain_hides_nothing() {
    for uncertain in [
        "-m limit --limit 5/min",
        "-m recent --rcheck --name x --rsource",
        "-m statistic --mode random --probability 0.5",
        "-m mark --mark 0x1",
        "-m time --timestart 08:00 --timestop 18:00",
        "-m set --match-set banned src",
    ] {
        holds(
            "",
            &format!("-A INPUT -p tcp {uncertain} -j DROP\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"),
            &[],
        );
    }
    // The same condition, as far as it has one truth value for one packet.
    let time = "-m time --timestart 08:00 --timestop 18:00";
    for (condition, hides) in [
        (time, true),
        ("-m mark --mark 0x1", true),
        ("-m addrtype --dst-type LOCAL", true),
        ("-m limit --limit 5/min", false),
        ("-m statistic --mode random --probability 0.5", false),
    ] {
        let expected: &[&str] = if hides { &["EXCEPTION-LOST 6"] } else { &[] };
        holds(
            "",
            &format!(
                "-A INPUT -p tcp {condition} -j DROP\n-A INPUT -p tcp {condition} -s 192.0.2.1/32 -j ACCEPT"
            ),
            expected,
        );
        let broad = format!("-A INPUT -p tcp -j DROP\n-A INPUT -p tcp {condition} -j ACCEPT");
        holds("", &broad, &["EXCEPTION-LOST 6"]);
    }
    holds(
        "",
        &format!("-A INPUT -p tcp {time} -j DROP\n-A INPUT -p tcp -m time --timestart 09:00 -j ACCEPT"),
        &[],
    );
}

#[test]
fn sets_that_are_filled_at_run_time_are_themselves() {
    let named = |rules: &str| {
        format!(
            "table inet t {{\n set a {{ type ipv4_addr; elements = {{ 192.0.2.1 }} }}\n set b {{ type ipv4_addr; }}\n \
             chain in {{\n type filter hook input priority 0; policy drop;\n{rules}\n }}\n}}\n"
        )
    };
    assert_eq!(
        told(&named("ip saddr @a drop\nip saddr 192.0.2.1 accept")),
        [""; 0],
        "it may be taken out of the set"
    );
    assert_eq!(
        told(&named("ip saddr 192.0.2.0/24 drop\nip saddr @a accept")),
        [""; 0],
        "others may be added"
    );
    assert_eq!(told(&named("ip saddr @a drop\nip saddr @b drop")), [""; 0]);
    assert_eq!(told(&named("ip saddr @a drop\nip saddr @a drop")), ["DUPLICATE 7"]);
    // Whatever the set holds, the port is written.
    assert_eq!(told(&named("tcp dport 22 drop\nip saddr @a tcp dport 22 accept")), ["EXCEPTION-LOST 7"]);
    assert_eq!(
        told(&named("ip saddr 192.0.2.0/24 tcp dport 22 drop\nip saddr @a tcp dport 22 accept")),
        [""; 0]
    );
    let dump = "-A INPUT -p tcp -m tcp --dport 22 -j DROP\n-A INPUT -p tcp -m set --match-set admins src -m tcp --dport";
    holds("", &format!("{dump} 22 -j ACCEPT"), &["EXCEPTION-LOST 6"]);
    holds("", &format!("{dump} 23 -j ACCEPT"), &[]);
    holds("", &format!("{} 22 -j ACCEPT", dump.replace("admins src", "admins src,dst")), &[]);
    assert_eq!(told(&named("drop\nip saddr @b accept")), ["NFT-AFTER-VERDICT 7"]);
}

#[test]
fn nftables_of_both_families() {
    let input = |rules: &str| {
        format!(
            "table inet t {{\n chain in {{\n type filter hook input priority filter; policy drop;\n{rules}\n }}\n}}\n"
        )
    };
    let rules = "ip saddr 10.0.0.0/8 drop\nip6 saddr fd00::/8 drop\nip saddr 10.1.0.0/16 tcp dport 22 accept\n\
                 ip6 saddr fd00:1::/32 tcp dport 22 accept\nip6 saddr 2001:db8::/32 accept\ntcp dport 22 accept";
    assert_eq!(told(&input(rules)), ["EXCEPTION-LOST 6", "EXCEPTION-LOST 7"]);
    // Of one family only: the other is left.
    assert_eq!(told(&input("meta nfproto ipv4 drop\ntcp dport 22 accept")), [""; 0]);
    assert_eq!(
        told(&input("meta nfproto ipv4 drop\nmeta nfproto ipv6 drop\ntcp dport 22 accept")),
        ["UNREACHABLE 6"]
    );
    let ports =
        "tcp dport { 22, 80, 443 } accept\ntcp dport 80 drop\nudp dport 80 drop\ntcp dport { 80, 81 } drop";
    assert_eq!(told(&input(ports)), ["EXCEPTION-LOST 5"]);
    assert_eq!(
        told(&input("iifname \"eth*\" drop\niifname \"eth1\" accept\niifname \"wlan0\" accept")),
        ["EXCEPTION-LOST 5"]
    );
    assert_eq!(
        told(&input(
            "tcp flags syn / fin,syn,rst,ack drop\ntcp flags syn / syn,ack,rst,fin tcp dport 22 accept"
        )),
        ["EXCEPTION-LOST 5"]
    );
}

#[test]
fn very_many_are_not_all_listed() {
    let narrow: String =
        (0..1005).map(|n| format!("-A INPUT -s 10.0.{}.{}/32 -j ACCEPT\n", n / 250, n % 250 + 1)).collect();
    let text = dump("", &format!("-A INPUT -s 10.0.0.0/8 -j ACCEPT\n{narrow}"));
    let f = read(&text);
    let environment = Environment::default();
    let beside = [&f];
    let mut found = Vec::new();
    run(&Subject::new(&f, &beside, &environment, "box"), &mut found);
    found.retain(|f| f.rule == "HL-SHADOWED");
    assert_eq!(found.len(), 1000);
    assert!(found[..999].iter().all(|f| f.details.is_empty()));
    assert_eq!(found[999].details[0].1, "5 more rules of this kind in the same firewall");
}
