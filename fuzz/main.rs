//! Damaged files: whatever stands in them, nothing panics or hangs, and every place that is reported is in the file. See README.md.
#![allow(clippy::unwrap_used)]

use havenlint::dialect::{ReadOptions, load::named};
use havenlint::finding::{Report, merge::merge};
use havenlint::model::Firewall;
use havenlint::packet::Packet;
use havenlint::session::{Options, run};
use havenlint::source::SourceFile;
use havenlint::triage::baseline::Baseline;
use havenlint::{catalogue, deployment};
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use walkdir::WalkDir;

#[path = "../tests/support/random.rs"]
#[allow(dead_code)]
mod random;

use random::Random;

/// Longer inputs say nothing new and take longer.
const MAX_INPUT: u64 = 24 << 10;
/// Inputs that are kept, with those that are given.
const MAX_CORPUS: usize = 4000;
/// No damaged file of that size may take longer, on a busy machine without optimisation.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fixtures with these endings below a folder.
fn corpus(folder: &str, endings: &[&str]) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
    let mut files: Vec<PathBuf> = WalkDir::new(root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|e| e.file_type().is_file() && e.metadata().unwrap().len() < MAX_INPUT)
        .map(walkdir::DirEntry::into_path)
        .filter(|p| endings.iter().any(|e| p.to_string_lossy().ends_with(e)))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder}");
    files.iter().map(|p| fs::read(p).unwrap()).collect()
}

/// Words of a file, to be put where they do not belong.
fn words(corpus: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let all: BTreeSet<&[u8]> =
        corpus.iter().flat_map(|f| f.split(|b| b.is_ascii_whitespace())).filter(|w| !w.is_empty()).collect();
    let mut out: Vec<Vec<u8>> = all.into_iter().map(<[u8]>::to_vec).collect();
    let nasty: [&[u8]; 14] = [
        b"\0",
        b"\xff\xfe",
        b"\xe2\x80\xae",
        b"!",
        b"{",
        b"}",
        b"\"",
        b"\\",
        b"-1",
        b"4294967296",
        b"/33",
        b"0.0.0.0/0",
        b"::/0",
        b"\r\n",
    ];
    out.extend(nasty.map(<[u8]>::to_vec));
    out
}

/// Numbers at which something ends, or begins.
const NUMBERS: [&str; 16] = [
    "0",
    "1",
    "31",
    "32",
    "33",
    "63",
    "127",
    "128",
    "129",
    "255",
    "256",
    "65535",
    "65536",
    "4294967295",
    "18446744073709551616",
    "-1",
];

fn damaged(random: &mut Random, corpus: &[Vec<u8>], words: &[Vec<u8>]) -> Vec<u8> {
    let mut text = random.pick(corpus).clone();
    for _ in 0..=random.below(6) {
        let at = random.below(text.len() + 1);
        let end = (at + random.below(80)).min(text.len());
        match random.below(14) {
            0 if at < text.len() => text[at] = random.bits() as u8,
            1 if at < text.len() => text[at] ^= 1 << random.below(8),
            2 => drop(text.drain(at..end)),
            3 => {
                let piece = text[at..end].to_vec();
                let to = random.below(text.len() + 1);
                text.splice(to..to, piece);
            }
            4 => {
                let other = random.pick(corpus);
                let from = random.below(other.len() + 1);
                let piece = other[from..(from + random.below(400)).min(other.len())].to_vec();
                text.splice(at..at, piece);
            }
            5 => text.truncate(at),
            6 | 7 => {
                // A number becomes another.
                let from = text[at..].iter().position(u8::is_ascii_digit).map_or(at, |n| at + n);
                let to =
                    text[from..].iter().position(|b| !b.is_ascii_digit()).map_or(text.len(), |n| from + n);
                text.splice(from..to, random.pick(&NUMBERS).bytes());
            }
            8 | 9 => {
                // A line is said twice, goes, or changes places with one of any file.
                let line = line_at(&text, at);
                let here = text[line.clone()].to_vec();
                let other = random.pick(corpus);
                let theirs = other[line_at(other, random.below(other.len() + 1))].to_vec();
                match random.below(4) {
                    0 => drop(text.drain(line)),
                    1 => drop(text.splice(line.end..line.end, here)),
                    2 => drop(text.splice(line, theirs)),
                    _ => drop(text.splice(line.start..line.start, theirs)),
                }
            }
            10 => {
                // A piece between brackets is put into itself: what is nested grows.
                if let Some(inside) = between(&text, at) {
                    let piece = text[inside.clone()].to_vec();
                    let to = inside.start + random.below(inside.len().max(1));
                    for _ in 0..=random.below(3) {
                        text.splice(to..to, piece.iter().copied());
                    }
                }
            }
            _ => {
                let word = [b" ", random.pick(words).as_slice(), b" "].concat();
                text.splice(at..at, word);
            }
        }
        text.truncate(4 * MAX_INPUT as usize);
    }
    text
}

/// The line at a byte, with its end.
fn line_at(text: &[u8], at: usize) -> std::ops::Range<usize> {
    let start = text[..at].iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    let end = text[at..].iter().position(|b| *b == b'\n').map_or(text.len(), |n| at + n + 1);
    start..end
}

/// From the next bracket on, with the one that closes it.
fn between(text: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
    let start = at + text[at..].iter().position(|b| b"{[(<".contains(b))?;
    let mut depth = 0;
    for (n, b) in text[start..].iter().enumerate().take(4096) {
        depth += i32::from(b"{[(<".contains(b)) - i32::from(b"}])>".contains(b));
        if depth == 0 {
            return Some(start..start + n + 1);
        }
    }
    None
}

/// A message without what is only in this input: numbers, and what stands in quotes. Inputs that say something for the first time have come to a
/// place where none has been, and are damaged further.
fn shape(message: &str) -> String {
    let mut quoted = false;
    let keep = |c: &char| {
        quoted ^= *c == '`';
        !quoted && !c.is_ascii_digit()
    };
    message.chars().filter(keep).collect()
}

/// Tries a target for as long as `HAVENLINT_FUZZ_SECONDS` says, else for a moment. `judge` gives back what was said of the input.
fn fuzz(target: &str, corpus: &[Vec<u8>], judge: impl Fn(&[u8]) -> Vec<String>) {
    let seconds = std::env::var("HAVENLINT_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    let time = seconds.map_or(Duration::from_millis(700), Duration::from_secs);
    let seed = std::env::var("HAVENLINT_FUZZ_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        // Each day other inputs, and the same ones for who repeats it.
        if seconds.is_some() { jiff::Zoned::now().date().day_of_year() as u64 } else { 1 }
    });
    let words = words(corpus);
    let mut corpus = corpus.to_vec();
    let given = corpus.len();
    let mut known: BTreeSet<String> = BTreeSet::new();
    let input = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}.input"));
    let (begin, mut tried) = (Instant::now(), 0u64);
    while begin.elapsed() < time || tried < 10 {
        let text = damaged(&mut Random::new(seed, tried), &corpus, &words);
        // Left behind if the process ends.
        fs::write(&input, &text).unwrap();
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| judge(&text)));
        let at = || format!("{target}: input {tried} of seed {seed}, kept in {}", input.display());
        match result {
            Err(panic) => {
                eprintln!("{}", at());
                resume_unwind(panic);
            }
            Ok(said) => {
                let new = said.iter().filter(|m| known.insert(shape(m))).count();
                if new > 0 && corpus.len() < MAX_CORPUS && (text.len() as u64) < MAX_INPUT {
                    corpus.push(text);
                }
            }
        }
        assert!(started.elapsed() < PATIENCE, "{} took {:?}", at(), started.elapsed());
        tried += 1;
    }
    fs::remove_file(input).unwrap();
    eprintln!("{target}: {tried} inputs, {} kept, seed {seed}", corpus.len() - given);
}

/// A reader of firewalls: all places are in the file, and nothing is lost without a word.
fn reader(dialect: &str, text: &[u8]) -> Vec<String> {
    let (reader, variant) = named(dialect).unwrap();
    let file = SourceFile::new("f", text);
    let size = file.bytes().len();
    let options = ReadOptions { variant: Some(variant), ..ReadOptions::default() };
    let firewall = reader.read(&[file], &options);
    let rules = firewall.chains.iter().flat_map(|c| c.rules.iter().map(|r| r.origin));
    for origin in rules.chain(firewall.diagnostics.iter().map(|d| d.origin)) {
        assert!(origin.start <= origin.end && origin.end as usize <= size, "{origin:?} of {size} bytes");
    }
    let said = firewall.diagnostics.iter().map(|d| d.message.clone());
    said.chain(firewall.conditions.iter().map(|c| c.text.clone())).collect()
}

#[test]
fn iptables() {
    fuzz("iptables", &corpus("iptables", &[".rules", ".v4", ".v6"]), |t| reader("iptables", t));
}

#[test]
fn nftables() {
    fuzz("nftables", &corpus("nftables", &[".nft"]), |t| reader("nftables", t));
}

#[test]
fn nftables_json() {
    fuzz("nftables-json", &corpus("nftables", &[".json"]), |t| reader("nftables-json", t));
}

#[test]
fn pfsense() {
    fuzz("pfsense", &corpus("pfsense", &[".xml"]), |t| reader("pfsense", t));
}

#[test]
fn aws() {
    fuzz("aws", &corpus("aws", &[".json", ".tf", ".yaml"]), |t| reader("aws", t));
}

#[test]
fn catalogues_deployments_and_baselines() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let read = |name: &str| fs::read(rules.join(name)).unwrap();
    let mut texts = vec![read("template.toml"), read("none.toml")];
    texts.extend(corpus("web-servers", &[".toml"]));
    texts.extend(corpus("demo", &["havenlint.toml"]));
    texts.push(br#"{"schema":2,"findings":[{"path":"a","rule":"HL-X","level":"error","message":"m","identity":"00","extent":[{"family":4,"from":"10.0.0.0/8","proto":"tcp","port":"22-23","iif":"eth*"}]}]}"#.to_vec());
    let words = catalogue::open("safehaven-4", Path::new(".")).vocabulary();
    fuzz("configuration", &texts, |text| {
        let file = SourceFile::new("f", text);
        let found = catalogue::read(file.clone(), Path::new(".")).diagnostics;
        let deployment = deployment::read(file.clone(), Path::new(".")).deployment(&words);
        for d in found.iter().filter(|d| d.origin.file == 0).chain(&deployment.diagnostics) {
            assert!(d.origin.end as usize <= file.bytes().len(), "{d:?}");
        }
        let baseline = serde_json::from_slice::<Baseline>(text).map_err(|e| e.to_string());
        let said = found
            .iter()
            .map(|d| d.message.clone())
            .chain(deployment.diagnostics.iter().map(|d| d.message.clone()));
        said.chain(baseline.err()).collect()
    });
}

/// All of a run, over the files of a small deployment of which one is damaged: reports can be written in every format.
#[test]
fn check() {
    let dir = tempfile::tempdir().unwrap();
    let texts: Vec<Vec<u8>> =
        [corpus("web-servers", &[".rules", ".nft"]), corpus("exposed", &[".rules", ".nft"])].concat();
    let config = dir.path().join("havenlint.toml");
    let deployment = "catalogue = \"safehaven-4\"\n[[site]]\nname = \"east\"\ntype = \"manual\"\n[[node]]\nname = \"cms-1\"\nrole = \"cms\"\nsite = \"east\"\naddress = [\"10.1.0.10\"]\nfirewall = [\"a.rules\"]\n";
    fs::write(&config, deployment).unwrap();
    fuzz("check", &texts, |text| {
        fs::write(dir.path().join("a.rules"), text).unwrap();
        let report = run(&Options { config: Some(config.clone()), ..Options::default() }).report;
        for (name, write) in havenlint::report::FORMATS {
            let mut out = Vec::new();
            write(&report, &havenlint::report::Style::default(), &mut out).unwrap();
            assert!(String::from_utf8(out).is_ok(), "{name}");
        }
        let said = report.findings.iter().map(|f| format!("{} {}", f.rule, f.message));
        said.chain(report.problems.iter().map(|p| p.message.clone())).collect()
    });
}

/// Two versions of a ruleset of which one is damaged are compared, whichever is the old one.
#[test]
fn diff() {
    let texts: Vec<Vec<u8>> =
        [corpus("diff", &[".rules", ".nft"]), corpus("exposed", &[".rules", ".nft"])].concat();
    let read = |text: &[u8]| -> Option<Firewall> {
        let (dialect, _) = havenlint::dialect::detect(text)?;
        Some(dialect.read(&[SourceFile::new("f", text)], &ReadOptions::default()))
    };
    let whole: Vec<Firewall> = texts.iter().filter_map(|t| read(t)).collect();
    let environment = havenlint::analysis::Environment::default();
    fuzz("diff", &texts, |text| {
        let Some(damaged) = read(text) else { return Vec::new() };
        let mut said = Vec::new();
        for other in whole.iter().filter(|w| w.dialect == damaged.dialect).take(3) {
            for (old, new) in [(other, &damaged), (&damaged, other)] {
                let found = havenlint::analysis::diff::diff(old, new, &environment);
                assert!(found.agreed, "a packet of a change got another verdict when it was replayed");
                said.extend(found.not_compared);
            }
        }
        said
    });
}

/// Packets in words and as JSON, and reports that are joined: what others hand over.
#[test]
fn packets_and_reports() {
    let mut texts: Vec<Vec<u8>> = [
        "input eth0 tcp 10.0.8.15:40000 > 10.1.0.10:20081",
        "forward lan>wan udp 2001:db8::1:53 > 2001:db8::2:53, established",
        "ingress icmp 203.0.113.7 > 10.1.0.10 type 8/0, new, groups sg-1",
        r#"{"family":4,"dir":"input","iif":"eth0","src":"10.0.0.1","dst":"10.0.0.2","proto":"tcp","sport":1,"dport":22,"tcp_flags":"SYN,ACK","ct":"new","mark":7}"#,
    ]
    .iter()
    .map(|t| t.as_bytes().to_vec())
    .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/exposed");
    let report =
        run(&Options { paths: vec![folder], no_config: true, no_baseline: true, ..Options::default() })
            .report;
    let mut small = report.clone();
    small.findings.truncate(2);
    small.open.truncate(2);
    small.rules.truncate(2);
    texts.push(serde_json::to_vec_pretty(&small).unwrap());
    fuzz("packets-reports", &texts, |text| {
        let words = String::from_utf8_lossy(text);
        let mut said: Vec<String> =
            words.parse::<Packet>().err().map(|e| e.to_string()).into_iter().collect();
        match serde_json::from_slice::<Packet>(text) {
            Ok(packet) => assert_eq!(
                packet.to_string().parse::<Packet>().map(|p| p.to_string()).ok(),
                Some(packet.to_string())
            ),
            Err(e) => said.push(e.to_string()),
        }
        match serde_json::from_slice::<Report>(text) {
            Ok(other) => said.extend(merge(vec![small.clone(), other]).err().map(|e| e.to_string())),
            Err(e) => said.push(e.to_string()),
        }
        said
    });
}
