//! Realistic configurations, each with packets and the verdicts that pfSense's rules give them, worked out by hand.
//!
//! `fixtures/pfsense/CASE/packets.txt` has one packet a line: a verdict, the packet in the words of `trace`, and after `#` why. Lines that
//! begin with `@` set what is known beside the file: `@at 2026-11-23T09:00`, `@name api.example 192.0.2.7`.

#![allow(clippy::unwrap_used)]

use havenlint::analysis::evaluate::{Trace, evaluate};
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::pfsense::Pfsense;
use havenlint::dialect::{Dialect, ReadOptions};
use havenlint::model::Firewall;
use havenlint::packet::{Packet, addr};
use havenlint::source::SourceFile;
use std::path::{Path, PathBuf};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pfsense");
    let mut found: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|p| p.join("packets.txt").exists());
    found.sort();
    found
}

fn read(path: &Path, options: &ReadOptions) -> Firewall {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let file = SourceFile::new(name, std::fs::read(path).unwrap());
    assert!(Pfsense.detect(file.bytes()).is_some(), "{} is not detected", path.display());
    Pfsense.read(&[file], options)
}

fn trace(firewall: &Firewall, packet: &Packet) -> Trace {
    let environment = Environment::default();
    evaluate(Point { firewalls: &[firewall], environment: &environment }, packet)
}

fn told(firewall: &Firewall, trace: &Trace) -> String {
    let by = trace.decided_by.map_or_else(String::new, |d| {
        let place = firewall.locate(d.origin);
        let note = d.note.map_or("", |n| &firewall.notes[n.index()]);
        format!("by line {} {} ({note})", place.line, place.text)
    });
    let because: Vec<_> = trace.because.iter().map(|b| b.text.as_str()).collect();
    format!("{:?} {by} because {because:?}", trace.verdict)
}

#[test]
fn verdicts_are_those_worked_out_by_hand() {
    let mut wrong = Vec::new();
    let mut packets = 0;
    for case in cases() {
        let text = std::fs::read_to_string(case.join("packets.txt")).unwrap();
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let mut options = ReadOptions::default();
        let mut firewall = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap().trim();
            if let Some(setting) = line.strip_prefix('@') {
                set(&mut options, setting);
                firewall = None;
                continue;
            }
            let Some((verdict, packet)) = line.split_once(' ') else { continue };
            let packet: Packet =
                packet.trim().parse().unwrap_or_else(|e| panic!("{name}:{}: {e}", number + 1));
            let firewall = firewall.get_or_insert_with(|| read(&case.join("config.xml"), &options));
            let trace = trace(firewall, &packet);
            let expected: Verdict = serde_json::from_value(verdict.into()).expect(verdict);
            packets += 1;
            if trace.verdict != expected {
                wrong.push(format!("{name}:{}: {line}\n    got {}", number + 1, told(firewall, &trace)));
            }
        }
    }
    assert!(packets > 100, "only {packets} packets");
    assert!(wrong.is_empty(), "{} of {packets} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn set(options: &mut ReadOptions, setting: &str) {
    match setting.split_whitespace().collect::<Vec<_>>()[..] {
        ["at", "any"] => options.at = None,
        ["at", time] => options.at = Some(time.parse().expect(time)),
        ["name", name, address] => {
            options.names.insert(name.to_owned(), addr::parse(address).expect(address));
        }
        _ => panic!("@{setting} means nothing"),
    }
}

// What the checks of pfSense say about a configuration, as (id, line).
fn findings(case: &str) -> Vec<(String, String)> {
    use havenlint::lint::registry::{Subject, run};
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pfsense").join(case).join("config.xml");
    let firewall = read(&path, &ReadOptions::default());
    let environment = Environment::default();
    let beside = [&firewall];
    let subject = Subject::new(&firewall, &beside, &environment, case);
    let mut found = Vec::new();
    run(&subject, &mut found);
    found.retain(|f| f.rule.starts_with("HL-PF-"));
    found.into_iter().map(|f| (f.rule.to_string(), f.message.to_string())).collect()
}

#[test]
fn checks_name_what_is_odd() {
    let ids = |case: &str| -> Vec<String> {
        let mut ids: Vec<_> = findings(case).into_iter().map(|f| f.0).collect();
        ids.dedup();
        ids
    };
    assert_eq!(ids("default-2.7.2"), Vec::<String>::new(), "the factory default is clean");
    assert_eq!(ids("quirks-2.4"), ["HL-PF-QUIRK"]);
    let quirks: Vec<String> = findings("quirks-2.4").into_iter().map(|f| f.1).collect();
    for words in [
        "applies to every interface",
        "stops only TCP packets",
        "matches all TCP ports",
        "protocol icmp has no ports",
        "`10.0.0.1-10.0.0.9` is neither",
    ] {
        assert!(quirks.iter().any(|q| q.contains(words)), "{words}: {quirks:#?}");
    }
    assert_eq!(ids("nat"), ["HL-PF-DEAD-FORWARD", "HL-PF-ORPHAN"]);
    let edge = findings("edge-east");
    assert!(
        edge.contains(&("HL-PF-ALIAS".to_owned(), "alias OLD_BACKUP is never used".to_owned())),
        "{edge:#?}"
    );
    let hidden = edge.iter().filter(|f| f.0 == "HL-PF-SHADOWED").count();
    assert_eq!(hidden, 4, "rules below the forgotten one whose senders are all in LAN net: {edge:#?}");
    assert_eq!(ids("multi-wan"), ["HL-PF-ALIAS"], "an empty alias");
    assert_eq!(
        ids("opnsense"),
        Vec::<String>::new(),
        "a block for any sender is not hidden by a pass for LAN net"
    );
}

// `fixtures/pfsense/lints/NAME.xml` says in its third line what all checks find in it: `ID:LINE`, `:note` where the level is not warning.
#[test]
fn every_lint_fires_where_it_should_and_nowhere_else() {
    use havenlint::lint::registry::{CHECKS, Subject, run};
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pfsense/lints");
    let mut fired = std::collections::BTreeSet::new();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for path in &files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().nth(2).unwrap();
        let expected = line.trim_start_matches("<!-- expect: ").trim_end_matches(" -->");
        let mut expected: Vec<&str> = expected.split(' ').filter(|w| *w != "nothing").collect();
        let firewall = read(path, &ReadOptions::default());
        assert!(firewall.diagnostics.is_empty(), "{name}: {:?}", firewall.diagnostics);
        let environment = Environment::default();
        let beside = [&firewall];
        let subject = Subject::new(&firewall, &beside, &environment, &name);
        let mut found = Vec::new();
        run(&subject, &mut found);
        // What is open has tests of its own.
        found.retain(|f| !f.rule.starts_with("HL-EXPOSED-"));
        let mut told: Vec<String> = found
            .iter()
            .map(|f| match f.level.name() {
                "warning" => format!("{}:{}", f.rule, f.location.line),
                level => format!("{}:{}:{level}", f.rule, f.location.line),
            })
            .collect();
        told.sort();
        expected.sort_unstable();
        assert_eq!(told, expected, "{name}: {:#?}", found.iter().map(|f| &f.message).collect::<Vec<_>>());
        fired.extend(found.into_iter().map(|f| f.rule));
    }
    let silent = files.iter().filter(|p| p.to_string_lossy().contains("-silent")).count();
    assert!(silent >= 9 && files.len() >= 20, "{silent} of {}", files.len());
    for check in CHECKS.iter().filter(|c| c.id.starts_with("HL-PF-")) {
        assert!(fired.contains(check.id), "{} has no fixture in which it fires", check.id);
    }
}

fn read_text(text: &str) -> Firewall {
    Pfsense.read(&[SourceFile::new("config.xml", text)], &ReadOptions::default())
}

fn everything_undecided(firewall: &Firewall) -> bool {
    [
        "forward lan>wan tcp 10.0.0.5:40000 > 192.0.2.9:443",
        "input wan tcp 192.0.2.9:40000 > 203.0.113.2:22",
        "output wan udp 203.0.113.2:40000 > 192.0.2.9:53",
    ]
    .iter()
    .all(|p| trace(firewall, &p.parse().unwrap()).verdict == Verdict::Undecided)
}

#[test]
fn what_cannot_be_read_is_an_error_with_its_place_and_decides_nothing() {
    use havenlint::source::Severity;
    let good = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pfsense/default-2.7.2/config.xml"),
    )
    .unwrap();
    let twice = good.replacen("<type>pass</type>", "<type>pass</type><TYPE>block</TYPE>", 1);
    let bomb = good.replacen(
        "<pfsense>",
        "<!DOCTYPE pfsense [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><pfsense>",
        1,
    );
    for (text, line, words) in [
        (&good[..good.len() / 2], good[..good.len() / 2].lines().count() as u32, "cut off"),
        (bomb.as_str(), 2, "DTD"),
        (twice.as_str(), 96, "stands twice"),
        ("<m0n0wall><version>1</version></m0n0wall>", 1, "not <pfsense>"),
        ("this is no XML", 1, ""),
        ("<pfsense><a></b></pfsense>", 1, "well-formed"),
    ] {
        let firewall = read_text(text);
        let worst = firewall.diagnostics.iter().find(|d| d.severity == Severity::Error).expect(words);
        assert!(worst.message.contains(words), "{}", worst.message);
        assert!(!worst.help.is_empty());
        assert_eq!(firewall.locate(worst.origin).line, line, "{}", worst.message);
        assert!(everything_undecided(&firewall), "{words}");
    }
    let latin = [good.as_bytes(), b"\xff"].concat();
    let firewall = Pfsense.read(&[SourceFile::new("c", latin)], &ReadOptions::default());
    assert!(firewall.diagnostics[0].message.contains("UTF-8") && everything_undecided(&firewall));
}

#[test]
fn unknown_rules_are_counted_not_guessed() {
    let text = "<pfsense><version>23.3</version><filter><rule><type>pass</type><interface>lan</interface></rule>\
                <newrule><type>block</type></newrule></filter></pfsense>";
    let firewall = read_text(text);
    assert_eq!(firewall.ledger.not_understood, 1);
    assert!(firewall.diagnostics.iter().any(|d| d.message.contains("newrule")));
}

#[test]
fn the_deployment_can_take_interfaces_from_the_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pfsense/edge-east/config.xml");
    let firewall = read(&path, &ReadOptions::default());
    let of = |name: &str| {
        let i = firewall.interfaces.iter().find(|i| i.name == name).unwrap();
        (addr::display(&i.addresses), addr::display(i.networks.as_ref().unwrap()))
    };
    assert_eq!(of("opt3"), (vec!["10.255.0.1".into()], vec!["10.2.0.0/16".into(), "10.255.0.0/30".into()]));
    assert_eq!(of("lan").1, ["10.1.0.0/24", "2001:db8:1::/64"]);
    assert!(firewall.local.as_ref().unwrap().contains(addr::value("203.0.113.2".parse().unwrap())));
    let dhcp = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pfsense/default-2.8/config.xml");
    let wan = read(&dhcp, &ReadOptions::default()).interfaces.remove(0);
    assert_eq!((wan.name.as_str(), wan.networks), ("wan", None));
}

#[test]
fn a_big_file_costs_no_more_than_its_bytes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pfsense/edge-east/config.xml");
    let small = std::fs::read_to_string(path).unwrap();
    let file = "<rrddatafile><filename>x.rrd</filename><xmldata>Zm9vYmFyYmF6cXV4</xmldata></rrddatafile>\n";
    let data = format!("<rrddata>{}</rrddata></pfsense>", file.repeat(60_000));
    let big = small.replace("</pfsense>", &data);
    assert!(big.len() > 5_000_000);
    let start = std::time::Instant::now();
    let firewall = read_text(&big);
    let time = start.elapsed();
    println!("{} bytes in {time:?}", big.len());
    assert!(time.as_secs() < 20, "{time:?}, without optimisation");
    assert_eq!(firewall.rule_count(), read_text(&small).rule_count());
}

mod damaged {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        // Any piece of a real configuration replaced by any other piece, or by bytes.
        #[test]
        fn no_input_panics(which in 0usize..100, cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0usize..60), 1..6), noise in prop::collection::vec(any::<u8>(), 0..8)) {
            let all = cases();
            let mut bytes = std::fs::read(all[which % all.len()].join("config.xml")).unwrap();
            for (from, to, at, length) in cuts {
                let piece: Vec<u8> = bytes[from.index(bytes.len())..].iter().copied().take(length).collect();
                let (a, b) = (at.index(bytes.len()), to.index(bytes.len()));
                let end = if length % 3 == 0 { a + (b.saturating_sub(a)).min(length) } else { a };
                bytes.splice(a..end, if length % 7 == 0 { noise.clone() } else { piece });
            }
            let firewall = Pfsense.read(&[SourceFile::new("config.xml", bytes)], &ReadOptions::default());
            let packet = "forward lan>wan tcp 10.0.0.5:40000 > 192.0.2.9:443".parse().unwrap();
            trace(&firewall, &packet);
        }

        // Well-formed all the time: texts of elements replaced by odd ones.
        #[test]
        fn odd_texts_do_not_panic(which in 0usize..100, at in any::<prop::sample::Index>(), odd in prop::sample::select(vec!["", "-", "-1", "99999999999", "1-", "-1-2", "::", "::/0", "0.0.0.0/33", "!", "!x", "a-b", "opt", "optip", "ip", "(self)", "_vip", "any", "1:70000", "&amp;amp;", "é", "65536", "0-0", "tcp/", "10.0.0.0/8/8", ",", "\u{a0}"])) {
            let all = cases();
            let text = std::fs::read_to_string(all[which % all.len()].join("config.xml")).unwrap();
            let places: Vec<_> = text.match_indices("</").map(|m| m.0).collect();
            let end = *at.get(&places);
            let start = text[..end].rfind('>').unwrap() + 1;
            let changed = format!("{}{odd}{}", &text[..start], &text[end..]);
            let firewall = read_text(&changed);
            let packet = "input wan tcp 198.41.0.4:40000 > 203.0.113.2:443".parse().unwrap();
            trace(&firewall, &packet);
        }
    }
}

mod words {
    use std::process::Command;

    const EDGE: &str = "fixtures/pfsense/edge-east/config.xml";

    fn traced(packet: &str, format: &str) -> String {
        let out = Command::new(env!("CARGO_BIN_EXE_havenlint"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["trace", EDGE, "--format", format, "--packet", packet])
            .output()
            .unwrap();
        String::from_utf8(out.stdout).unwrap()
    }

    #[test]
    fn trace_names_the_rule_as_its_keepers_do() {
        let packet = "forward lan>wan tcp 10.1.0.11:40000 > 198.41.0.4:443";
        let human = traced(packet, "human");
        let named = "<rule> \"TEMP: allow all while SafeHaven is installed - REMOVE AFTERWARDS\", tracker 1700000051: pass IPv4 on lan, from lan net to any";
        assert!(human.contains(named), "{human}");
        let json: serde_json::Value = serde_json::from_str(&traced(packet, "json")).unwrap();
        let rule = &json["decided_by"]["rule"];
        assert_eq!(rule["id"], "tracker 1700000051");
        assert_eq!(rule["summary"], "pass IPv4 on lan, from lan net to any");
        assert!(rule["description"].as_str().unwrap().starts_with("TEMP: allow all"));
        assert_eq!(json["decided_by"]["text"], "<rule>");
    }

    #[test]
    fn implicit_rules_name_their_setting_and_point_to_it() {
        for (packet, text, note) in [
            (
                "input lan tcp 10.1.0.50:40000 > 10.1.0.1:443",
                "<webgui>",
                "anti-lockout rule on lan: system/webgui/noantilockout is absent",
            ),
            (
                "input wan tcp 10.9.9.9:40000 > 203.0.113.2:443",
                "<blockpriv></blockpriv>",
                "private networks are blocked on wan: blockpriv",
            ),
            ("input wan tcp 198.41.0.4:40000 > 203.0.113.2:443", "<filter>", "default deny rule IPv4"),
        ] {
            let json: serde_json::Value = serde_json::from_str(&traced(packet, "json")).unwrap();
            let by = &json["decided_by"];
            assert_eq!((&by["text"], &by["note"]), (&text.into(), &note.into()), "{packet}: {json}");
        }
    }

    #[test]
    fn devices_and_descriptions_stand_for_keys() {
        let verdicts: Vec<String> = ["lan>wan", "em1.10>em0", "service>WAN"]
            .iter()
            .map(|way| traced(&format!("forward {way} tcp 10.1.0.11:40000 > 198.41.0.4:443"), "human"))
            .collect();
        assert!(verdicts[0].starts_with("accept"), "{}", verdicts[0]);
        assert!(verdicts.iter().all(|v| *v == verdicts[0]), "{verdicts:#?}");
    }
}
