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
