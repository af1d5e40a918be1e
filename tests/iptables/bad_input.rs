//! Files that the real tools refuse, and files that are no dumps at all: each problem is told with its place and what to do, the rest is
//! read, and nothing panics.

use havenlint::analysis::{Environment, Point, evaluate};
use havenlint::dialect::{ReadOptions, Role, by_name, detect};
use havenlint::model::Firewall;
use havenlint::packet::Packet;
use havenlint::source::{Severity, SourceFile};
use proptest::prelude::*;

fn read_bytes(variant: &str, dump: impl Into<Vec<u8>>) -> Firewall {
    let (dialect, variant) = by_name(variant).expect("a dialect");
    let options = ReadOptions { variant: Some(variant), ..ReadOptions::default() };
    dialect.read(&[SourceFile::new("dump", dump.into())], &options)
}

fn read(dump: &str) -> Firewall {
    read_bytes("iptables", dump)
}

fn verdict(f: &Firewall, packet: &str) -> String {
    let packet: Packet = packet.parse().expect("a packet");
    let environment = Environment::default();
    let trace = evaluate::evaluate(Point { firewalls: &[f], environment: &environment }, &packet);
    format!("{:?}", trace.verdict).to_lowercase()
}

/// A rule in INPUT that is wrong: what stands under the mark, a part of the message, a part of the help.
struct Wrong(&'static str, &'static str, &'static str, &'static str);

#[test]
fn a_malformed_rule_is_told_and_may_do_anything_and_the_rest_is_read() {
    let cases = [
        Wrong("-p tcp --dprt 22 -j ACCEPT", "--dprt", "no option here", "did you mean `--dport`?"),
        Wrong("-p tcp --dport 22 -j ACCEPT # ssh", "#", "neither an option", "line of its own"),
        Wrong("-p tcp --dport 22 \\", "\\", "neither an option", "stands on one line"),
        Wrong("-m comment --comment 'a b' -j ACCEPT", "b'", "neither an option", ""),
        Wrong("! -s ! 10.0.0.1 -j ACCEPT", "!", "stands twice", ""),
        Wrong("! ! -s 10.0.0.1 -j ACCEPT", "!", "stands twice", ""),
        Wrong("-s 10.0.0.1 -s 10.0.0.2 -j ACCEPT", "-s", "stands twice", "list"),
        Wrong(
            "! -s 10.0.0.1,10.0.0.2 -j ACCEPT",
            "10.0.0.1,10.0.0.2",
            "list of addresses",
            "one rule for each",
        ),
        Wrong("-s 10.0.0.256 -j ACCEPT", "10.0.0.256", "neither an address", ""),
        Wrong("-s 10.0.0.0/33 -j ACCEPT", "10.0.0.0/33", "longer than 32", ""),
        Wrong("-s 2001:db8::1 -j ACCEPT", "2001:db8::1", "neither an address", ""),
        Wrong("-p tpc -j ACCEPT", "tpc", "no protocol", "name such as tcp"),
        Wrong("! -p all -j ACCEPT", "all", "never matches", ""),
        Wrong("-p tcp --dport 65536 -j ACCEPT", "65536", "0 to 65535", ""),
        Wrong("--dport 22 -j ACCEPT", "--dport", "no option here", "`-p tcp`"),
        Wrong("-p udp -m tcp --dport 22 -j ACCEPT", "tcp", "needs `-p tcp`", ""),
        Wrong("-m multiport --dports 22 -j ACCEPT", "multiport", "needs `-p tcp`", ""),
        Wrong(
            "-p tcp -m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 -j ACCEPT",
            "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
            "more than 15",
            "two rules",
        ),
        Wrong(
            "-p icmp --icmp-type echo-requst -j ACCEPT",
            "echo-requst",
            "no ICMP type",
            "did you mean `echo-request`?",
        ),
        Wrong(
            "-m state --state NEW,ESTABLISED -j ACCEPT",
            "NEW,ESTABLISED",
            "no list of connection states",
            "ESTABLISHED",
        ),
        Wrong("-m conntrak --ctstate NEW -j ACCEPT", "conntrak", "is not known", "did you mean `conntrack`?"),
        Wrong("-m mac --mac-source 02:00 -j ACCEPT", "02:00", "no hardware address", "six"),
        Wrong("-o eth0 -j ACCEPT", "-o", "cannot be used in this chain", ""),
        Wrong("-i interface-name-16 -j ACCEPT", "interface-name-16", "at most 15", ""),
        Wrong("-j ACCPET", "ACCPET", "no chain and no target", "declare the chain"),
        Wrong("-j OUTPUT", "OUTPUT", "no chain and no target", ""),
        Wrong("-j REJECT --reject-with tcp-reset", "tcp-reset", "needs `-p tcp`", ""),
        Wrong("-j DNAT --to-destination 10.0.0.1", "DNAT", "only in table nat", ""),
        Wrong("-t filter -j ACCEPT", "-t", "no place in a restore file", "*TABLE"),
        Wrong("-p tcp -j", "-j", "needs an argument", ""),
        Wrong("-j ACCEPT !", "!", "before nothing", ""),
        Wrong("! -j ACCEPT", "!", "cannot stand before", ""),
    ];
    let mut bad = Vec::new();
    for Wrong(rule, marked, message, help) in cases {
        let dump = format!(
            "*filter\n:INPUT DROP [0:0]\n-A INPUT -s 10.7.0.1 -j ACCEPT\n-A INPUT {rule}\n-A INPUT -s 10.7.0.2 -j DROP\nCOMMIT\n"
        );
        let f = read(&dump);
        let [d] = f.diagnostics.as_slice() else {
            bad.push(format!("{rule}: {:?}", f.diagnostics));
            continue;
        };
        let place = f.locate(d.origin);
        let told = d.severity == Severity::Error && d.message.contains(message) && d.help.contains(help);
        // What comes before is decided, what comes after is read.
        let rest = (f.ledger.exact, f.ledger.not_understood, f.rule_count()) == (2, 1, 3)
            && verdict(&f, "input eth0 tcp 10.7.0.1 > 10.0.0.9:22") == "accept";
        if !told || !rest || (place.text.as_str(), place.line) != (marked, 4) {
            bad.push(format!("{rule}: `{}` {} / {} {:?}", place.text, d.message, d.help, f.ledger));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn a_malformed_rule_has_nothing_of_the_rule_before() {
    let f = read("*filter\n:INPUT DROP [0:0]\n-A INPUT -s 10.0.0.1 -p tcp -j DROP\n-A INPUT --bad\nCOMMIT\n");
    assert_eq!(verdict(&f, "input eth0 udp 10.0.0.2 > 10.0.0.9:22"), "undecided");
}

#[test]
fn what_was_understood_of_a_malformed_rule_narrows_it() {
    let f = read("*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -s 10.0.0.0/8 --dprt 22 -j ACCEPT\nCOMMIT\n");
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1 > 10.0.0.9:22"), "undecided");
    assert_eq!(verdict(&f, "input eth0 udp 10.0.0.1 > 10.0.0.9:22"), "drop");
    assert_eq!(verdict(&f, "input eth0 tcp 11.0.0.1 > 10.0.0.9:22"), "drop");
}

/// A whole file, and (line, part of the message) of each error.
fn errors(dump: &str) -> Vec<(u32, String)> {
    let f = read(dump);
    f.diagnostics.iter().map(|d| (f.locate(d.origin).line, d.message.clone())).collect()
}

fn assert_errors(dump: &str, expected: &[(u32, &str)]) {
    let found = errors(dump);
    let fits = found.len() == expected.len()
        && found.iter().zip(expected).all(|(f, e)| f.0 == e.0 && f.1.contains(e.1));
    assert!(fits, "{dump:?}\n found {found:?}\n expected {expected:?}");
}

#[test]
fn the_frame_of_a_file() {
    for (dump, expected) in [
        ("", &[(1, "no table in this file")][..]),
        ("# only a comment\n", &[(1, "no table in this file")]),
        ("*filter\n:INPUT DROP [0:0]\n", &[(2, "ends before the COMMIT of table filter")]),
        ("*filter\n*nat\nCOMMIT\n", &[(2, "table filter has no COMMIT")]),
        ("*filter\nCOMMIT \n", &[(2, "neither an option"), (2, "ends before the COMMIT")]),
        ("-A INPUT -j DROP\n*filter\nCOMMIT\n", &[(1, "outside of a table")]),
        (":INPUT DROP\n*filter\nCOMMIT\n", &[(1, "outside of a table")]),
        ("COMMIT\n*filter\nCOMMIT\n", &[(1, "COMMIT without a table")]),
        ("*fliter\n-A INPUT -j DROP\nCOMMIT\n", &[(1, "no table `fliter`"), (1, "no table in this file")]),
        ("*filter\n   \nCOMMIT\n", &[(2, "a line of blanks")]),
        ("*filter\r\n-A INPUT -j DROP\r\nCOMMIT\r\n", &[(1, "carriage return")]),
        ("*filter\n:INPUT\nCOMMIT\n", &[(2, "has no policy")]),
        ("*filter\n:INPUT REJECT\nCOMMIT\n", &[(2, "`REJECT` is no policy")]),
        ("*filter\n:a - [0:0]\n:a - [0:0]\nCOMMIT\n", &[(3, "declared twice")]),
        ("*filter\n:a ACCEPT [0:0]\nCOMMIT\n", &[(2, "of your own has a policy")]),
        ("*filter\n:abcdefghijklmnopqrstuvwxyzabc - [0:0]\nCOMMIT\n", &[(2, "1 to 28 bytes")]),
        ("*filter\n-A a -j DROP\nCOMMIT\n", &[(2, "no chain `a`")]),
        ("*filter\n-A INPUT -j a\n:a - [0:0]\nCOMMIT\n", &[(2, "no chain and no target `a`")]),
        (
            "*filter\n-P a DROP\n-N INPUT\n-X INPUT\n-F a\nCOMMIT\n",
            &[(2, "no chain `a`"), (3, "exists already"), (4, "cannot be deleted"), (5, "no chain `a`")],
        ),
        (
            "*filter\n-I INPUT 2 -j DROP\n-D INPUT 5\n-D INPUT -j ACCEPT\nCOMMIT\n",
            &[(2, "only 0 rules"), (3, "only 1 rules"), (4, "no rule like this one")],
        ),
        ("*filter\n-p tcp -j DROP\nCOMMIT\n", &[(2, "names no command")]),
        ("*filter\n-A INPUT -A OUTPUT -j DROP\nCOMMIT\n", &[(2, "a second command")]),
        ("*nat\n-A PREROUTING -j DROP\nCOMMIT\n", &[(2, "the nat table cannot drop")]),
        (
            "*filter\n[1,2] -A INPUT -j DROP\nCOMMIT\n",
            &[(2, "counters are written"), (2, "neither an option")],
        ),
        (
            "*filter\n-A INPUT -p tcp --dport 60000:29 -j ACCEPT\nCOMMIT\n",
            &[(2, "range of ports is reversed")],
        ),
    ] {
        assert_errors(dump, expected);
    }
}

#[test]
fn a_truncated_dump_is_uncertain_behind_its_last_rule() {
    let f =
        read("*filter\n:INPUT DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -p tcp -j ACCEPT\n-A INPUT -p ud");
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1 > 10.0.0.9:22"), "accept");
    assert_eq!(verdict(&f, "input eth0 udp 10.0.0.1 > 10.0.0.9:22"), "undecided");
    assert_eq!(verdict(&f, "output eth0 udp 10.0.0.1 > 10.0.0.9:22"), "undecided");
}

#[test]
fn a_ruleset_beside_this_one_is_told() {
    let f = read(
        "# Warning: iptables-legacy tables present, use iptables-legacy-save to see them\n*filter\nCOMMIT\n",
    );
    assert_eq!(f.diagnostics.len(), 1);
    assert_eq!(f.diagnostics[0].severity, Severity::Warning);
    assert!(f.diagnostics[0].message.contains("iptables-legacy-save"), "{}", f.diagnostics[0].message);
    let hidden = read("# Table `filter' is incompatible, use 'nft' tool.\n");
    assert_eq!(verdict(&hidden, "input eth0 tcp 10.0.0.1 > 10.0.0.9:22"), "undecided");
}

#[test]
fn a_table_given_twice_is_told() {
    let f = read("*filter\n-A INPUT --bad\nCOMMIT\n*filter\nCOMMIT\n");
    let found: Vec<_> = f.diagnostics.iter().map(|d| (d.severity, f.locate(d.origin).line)).collect();
    assert_eq!(found, [(Severity::Warning, 1), (Severity::Error, 2)]);
    assert_eq!(f.rule_count(), 0);
}

#[test]
fn a_loop_of_jumps_is_told_and_cut() {
    let f = read(
        "*filter\n:INPUT DROP [0:0]\n:a - [0:0]\n:b - [0:0]\n-A INPUT -p tcp -j a\n-A a -j b\n-A b -g a\nCOMMIT\n",
    );
    assert_eq!(f.diagnostics.len(), 1);
    let place = f.locate(f.diagnostics[0].origin);
    assert_eq!((place.line, f.diagnostics[0].severity), (7, Severity::Error));
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1 > 10.0.0.9:22"), "undecided");
    assert_eq!(verdict(&f, "input eth0 udp 10.0.0.1 > 10.0.0.9:22"), "drop");
    // Where no packet comes, the kernel takes it.
    let f = read("*filter\n:INPUT DROP [0:0]\n:a - [0:0]\n-A a -j a\nCOMMIT\n");
    assert_eq!(f.diagnostics[0].severity, Severity::Warning);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1 > 10.0.0.9:22"), "drop");
}

#[test]
fn ten_thousand_nested_jumps() {
    let mut dump = String::from("*filter\n:INPUT DROP [0:0]\n");
    for i in 0..10_000 {
        dump.push_str(&format!(":c{i} - [0:0]\n"));
    }
    dump.push_str("-A INPUT -j c0\n");
    for i in 0..9_999 {
        dump.push_str(&format!("-A c{i} -j c{}\n", i + 1));
    }
    dump.push_str("-A c9999 -p tcp -j ACCEPT\nCOMMIT\n");
    let f = read(&dump);
    assert_eq!(f.diagnostics, []);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1 > 10.0.0.9:22"), "accept");
    assert_eq!(verdict(&f, "input eth0 udp 10.0.0.1 > 10.0.0.9:22"), "drop");
}

#[test]
fn a_line_of_a_hundred_megabytes() {
    let mut dump = b"*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -j ACCEPT\n-A INPUT ".to_vec();
    dump.resize(dump.len() + 100_000_000, b'x');
    dump.extend_from_slice(b"\nCOMMIT\n");
    let f = read_bytes("iptables", dump);
    assert_eq!(f.diagnostics.len(), 1);
    assert!(f.diagnostics[0].message.contains("10239"), "{}", f.diagnostics[0].message);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1 > 10.0.0.9:22"), "accept");
    assert_eq!(verdict(&f, "input eth0 udp 10.0.0.1 > 10.0.0.9:22"), "undecided");
}

#[test]
fn bytes_that_are_no_text_in_a_comment() {
    let f = read_bytes(
        "iptables",
        b"*filter\n:INPUT DROP [0:0]\n# \xff\xfe\n-A INPUT -p tcp -m comment --comment \"caf\xe9\" -j ACCEPT\nCOMMIT\n"
            .to_vec(),
    );
    assert_eq!(f.diagnostics, []);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1 > 10.0.0.9:22"), "accept");
}

#[test]
fn an_open_quote_takes_the_rest_of_the_line_as_the_tools_do() {
    let f = read("*filter\n:INPUT DROP [0:0]\n-A INPUT -m comment --comment \"abc -j ACCEPT\nCOMMIT\n");
    assert_eq!(f.diagnostics.len(), 1);
    assert_eq!(f.diagnostics[0].severity, Severity::Warning);
    assert_eq!(verdict(&f, "input eth0 tcp 10.0.0.1 > 10.0.0.9:22"), "drop");
}

#[test]
fn a_binary_file_has_a_bounded_number_of_problems() {
    let bytes: Vec<u8> = (0..2_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let f = read_bytes("iptables", bytes);
    assert!((2..=202).contains(&f.diagnostics.len()), "{}", f.diagnostics.len());
}

#[test]
fn dumps_are_known_by_their_content() {
    for (content, expected) in [
        ("# Generated by iptables-save v1.8.9 on Mon Jan  5 10:00:00 2026\n*filter\n", Some(Role::Rules)),
        ("# my rules\n\n*filter\n:INPUT ACCEPT\n", Some(Role::Rules)),
        ("*nat\n", Some(Role::Rules)),
        ("*mangel\n:INPUT ACCEPT [0:0]\n", Some(Role::Rules)),
        (":INPUT ACCEPT [0:0]\n-A INPUT -j DROP\n", Some(Role::Rules)),
        ("create a hash:ip family inet\n", Some(Role::Companion)),
        ("", None),
        ("* filter the list\n", None),
        ("*emphasis* of a text\n", None),
        ("# Notes\n- nothing\n", None),
        ("\u{0}\u{1}\u{2}*filter", None),
    ] {
        let found =
            detect(content.as_bytes()).filter(|(d, _)| d.names()[0] == "iptables").map(|(_, role)| role);
        assert_eq!(found, expected, "{content:?}");
    }
}

#[test]
fn the_family_is_seen_from_the_content() {
    let (dialect, _) = by_name("iptables").expect("a dialect");
    for (dump, expected) in [
        ("# Generated by ip6tables-save v1.8.9 on Mon Jan  5 10:00:00 2026\n*filter\nCOMMIT\n", "ip6tables"),
        (
            "# Generated by iptables-save v1.8.9 (nf_tables) on Mon Jan  5\n*filter\n-A INPUT -s ::1\nCOMMIT\n",
            "iptables",
        ),
        ("*filter\n-A INPUT -s 2001:db8::/32 -j DROP\nCOMMIT\n", "ip6tables"),
        ("*filter\n-A INPUT -s 10.0.0.1 -j DROP\nCOMMIT\n", "iptables"),
        ("*filter\n-A INPUT -p ipv6-icmp -j ACCEPT\nCOMMIT\n", "ip6tables"),
        ("*filter\n-A INPUT -j REJECT --reject-with icmp6-port-unreachable\nCOMMIT\n", "ip6tables"),
        ("*filter\n-A INPUT -j DROP\nCOMMIT\n", "iptables"),
    ] {
        let f = dialect.read(&[SourceFile::new("dump", dump)], &ReadOptions::default());
        assert_eq!(f.dialect, expected, "{dump}");
    }
}

// Pieces that mutated dumps are made of.
const PIECES: &[&str] = &[
    "*filter\n",
    "*nat\n",
    "*raw\n",
    "*mangle\n",
    "COMMIT\n",
    ":INPUT DROP [0:0]\n",
    ":a - [0:0]\n",
    ":b - [0:0]\n",
    "-A INPUT ",
    "-A a ",
    "-I INPUT ",
    "-I INPUT 2 ",
    "-D INPUT ",
    "-D INPUT 1\n",
    "-R INPUT 1 ",
    "-F\n",
    "-X a\n",
    "-E a c\n",
    "-P INPUT DROP\n",
    "-N a\n",
    "! ",
    "-s 10.0.0.0/8 ",
    "-s 10.0.0.1/255.0.255.3,h.example ",
    "-d ::1/ffff::1 ",
    "-p tcp ",
    "-p 58 ",
    "--dport 1:2 ",
    "--dport ",
    "-m multiport --ports 1,2:3 ",
    "-m set --match-set x src,dst ",
    "-m conntrack --ctstate NEW,DNAT --ctproto 6 ",
    "-m connmark --mark 1/2 ",
    "-m cluster ",
    "-m recent --set ",
    "-m recent --update --hitcount 3 ",
    "-j ACCEPT\n",
    "-j a\n",
    "-g a\n",
    "-j b\n",
    "-j LOG --log-prefix \"x ",
    "-j CONNMARK --restore-mark --nfmask 1 --ctmask 3\n",
    "-j DNAT --to-destination 10.0.0.1-10.0.0.2:1-2/3\n",
    "-j NETMAP --to 10.0.0.0/8\n",
    "-j NFQUEUE\n",
    "\"",
    "\\",
    "\n",
    "\r\n",
    " ",
    "\t",
    "\u{fffd}",
    "# x\n",
    "-4 ",
    "-6 ",
    "[1:2] ",
    "--",
    "-",
    "=",
    "-f ",
    "-i + ",
    "-o eth+ ",
    "-m policy --dir in --pol ipsec --reqid 1 --next --spi 2 ",
    "-m time --weekdays Mo ",
    "-m tos --tos 1/2 ",
];

fn both(bytes: &[u8]) {
    for variant in ["iptables", "ip6tables"] {
        let f = read_bytes(variant, bytes);
        // Every place is inside the file, and every index inside its list.
        for chain in &f.chains {
            for rule in &chain.rules {
                let _ = (f.locate(rule.origin), f.terms(rule.terms), f.effects(rule));
            }
        }
        for d in &f.diagnostics {
            assert!(d.origin.end as usize <= bytes.len(), "{d:?}");
        }
        let packet = if variant == "iptables" {
            "input eth0 tcp 10.0.0.1 > 10.0.0.9:2"
        } else {
            "input eth0 tcp ::2 > ::1"
        };
        let _ = verdict(&f, packet);
    }
    let _ = detect(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        both(&bytes);
        let mut inside = b"*filter\n:INPUT DROP [0:0]\n-A INPUT ".to_vec();
        inside.extend_from_slice(&bytes);
        both(&inside);
    }

    #[test]
    fn mutated_dumps_do_no_harm(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        both(pieces.concat().as_bytes());
        both(format!("*filter\n:a - [0:0]\n{}", pieces.concat()).as_bytes());
    }
}
