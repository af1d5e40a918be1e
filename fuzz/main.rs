//! Damaged files: whatever stands in them, nothing panics or hangs, and every place that is reported is in the file. See README.md.
#![allow(clippy::unwrap_used)]

use havenlint::dialect::{ReadOptions, load::named};
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

fn damaged(random: &mut Random, corpus: &[Vec<u8>], words: &[Vec<u8>]) -> Vec<u8> {
    let mut text = random.pick(corpus).clone();
    for _ in 0..=random.below(6) {
        let at = random.below(text.len() + 1);
        let end = (at + random.below(80)).min(text.len());
        match random.below(8) {
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
            _ => {
                let word = [b" ", random.pick(words).as_slice(), b" "].concat();
                text.splice(at..at, word);
            }
        }
    }
    text
}

/// Tries a target for as long as `HAVENLINT_FUZZ_SECONDS` says, else for a moment.
fn fuzz(target: &str, corpus: &[Vec<u8>], judge: impl Fn(&[u8])) {
    let seconds = std::env::var("HAVENLINT_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    let time = seconds.map_or(Duration::from_millis(700), Duration::from_secs);
    let seed = std::env::var("HAVENLINT_FUZZ_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        // Each day other inputs, and the same ones for who repeats it.
        if seconds.is_some() { jiff::Zoned::now().date().day_of_year() as u64 } else { 1 }
    });
    let words = words(corpus);
    let input = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}.input"));
    let (begin, mut tried) = (Instant::now(), 0u64);
    while begin.elapsed() < time || tried < 10 {
        let text = damaged(&mut Random::new(seed, tried), corpus, &words);
        // Left behind if the process ends.
        fs::write(&input, &text).unwrap();
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| judge(&text)));
        let at = || format!("{target}: input {tried} of seed {seed}, kept in {}", input.display());
        if let Err(panic) = result {
            eprintln!("{}", at());
            resume_unwind(panic);
        }
        assert!(started.elapsed() < PATIENCE, "{} took {:?}", at(), started.elapsed());
        tried += 1;
    }
    fs::remove_file(input).unwrap();
    eprintln!("{target}: {tried} inputs, seed {seed}");
}

/// A reader of firewalls: all places are in the file, and nothing is lost without a word.
fn reader(dialect: &str, text: &[u8]) {
    let (reader, variant) = named(dialect).unwrap();
    let file = SourceFile::new("f", text);
    let size = file.bytes().len();
    let options = ReadOptions { variant: Some(variant), ..ReadOptions::default() };
    let firewall = reader.read(&[file], &options);
    let rules = firewall.chains.iter().flat_map(|c| c.rules.iter().map(|r| r.origin));
    for origin in rules.chain(firewall.diagnostics.iter().map(|d| d.origin)) {
        assert!(origin.start <= origin.end && origin.end as usize <= size, "{origin:?} of {size} bytes");
    }
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
        let draft = deployment::read(file.clone(), Path::new("."));
        for d in found.iter().filter(|d| d.origin.file == 0).chain(&draft.deployment(&words).diagnostics) {
            assert!(d.origin.end as usize <= file.bytes().len(), "{d:?}");
        }
        let _ = serde_json::from_slice::<Baseline>(text);
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
    });
}
