//! The whole `check` of every kind of input at 1000 to a million rules, on one processor: CPU seconds, the exponent with which they grow, the
//! most memory, by how many times that is more than the file, and how many times less CPU that is than the tool of each dialect takes for the
//! same file (`iptables-nft-restore --test`, `nft -c`), or jq, which only reads JSON. Once more without the checks that look at a ruleset as a
//! whole: what reading and requirements cost. A part of a name as argument chooses kinds, a number the largest size.
//!
//! `cargo bench --bench kinds -- iptables/deny 100000`

mod generate;
mod measure;

use generate::{Files, KINDS, Kind};
use std::path::{Path, PathBuf};

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// CPU seconds; with more, the next size is left out.
const PATIENCE: f64 = 5.0;

/// The checks that hold every rule of a ruleset against all others.
const WHOLE: &str = "--ignore=HL-UNREACHABLE,HL-SHADOWED,HL-REDUNDANT,HL-CONTRADICTED,HL-EXCEPTION-LOST,HL-EXPOSED,HL-LEAST-PRIVILEGE";

fn main() {
    let (numbers, wanted): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).filter(|a| !a.starts_with('-')).partition(|a| a.parse::<usize>().is_ok());
    let largest = numbers.iter().filter_map(|n| n.parse().ok()).max().unwrap_or(usize::MAX);
    println!(
        "{:24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10} {:>10} {:>10}",
        "kind", "rules", "check s", "exponent", "MB", "x file", "times less", "reading s", "times less"
    );
    for kind in
        KINDS.iter().filter(|k| wanted.is_empty() || wanted.iter().any(|w| k.name.contains(w.as_str())))
    {
        let mut before: Option<f64> = None;
        for rules in SIZES.into_iter().filter(|n| *n <= largest) {
            let files = (kind.make)(rules);
            let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
            let Some(folder) = written(files) else {
                return println!("SKIPPED: no temporary folder");
            };
            let path = input(kind, folder.path());
            let Some((all, megabytes)) = check(&path, &["--role=cms"]) else { break };
            let reading = check(&path, &["--role=cms", WHOLE]).map(|(seconds, _)| seconds);
            let theirs = theirs(kind, folder.path());
            let times = |own: f64| theirs.map(|t| t / own.max(0.01));
            let shown = |n: Option<f64>| n.map_or_else(|| "-".to_owned(), |n| format!("{n:.2}"));
            println!(
                "{:24} {rules:>8} {all:>8.2} {:>8} {megabytes:>8.0} {:>8.1} {:>10} {:>10} {:>10}",
                kind.name,
                shown(before.map(|b| (all / b).log10())),
                megabytes * 1e6 / bytes as f64,
                shown(times(all)),
                shown(reading),
                shown(reading.and_then(times))
            );
            if all > PATIENCE {
                break;
            }
            before = Some(all.max(0.01));
        }
    }
}

fn written(files: Files) -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().ok()?;
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).ok()?;
    }
    Some(folder)
}

// Several files are read as a folder.
fn input(kind: &Kind, folder: &Path) -> PathBuf {
    let files: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    match files.as_slice() {
        [one] if !kind.name.starts_with("aws") => one.clone(),
        _ => folder.to_owned(),
    }
}

// CPU seconds and megabytes.
fn check(path: &Path, more: &[&str]) -> Option<(f64, f64)> {
    let mut command = vec![
        env!("CARGO_BIN_EXE_havenlint"),
        "check",
        "--no-config",
        "--format=concise",
        "--jobs=1",
        "--fail-on=never",
    ];
    command.extend(more);
    measure::with_memory(&command, path)
}

fn theirs(kind: &Kind, folder: &Path) -> Option<f64> {
    match kind.name.split('/').next()? {
        "iptables" if kind.name != "iptables/sets" => {
            let restore = ["unshare", "-n", "iptables-nft-restore", "--test"];
            measure::command(&restore, &folder.join("box.rules"), true)
        }
        "nftables" if kind.name == "nftables/text" => {
            measure::command(&["unshare", "-n", "nft", "-c", "-f"], &folder.join("ruleset.nft"), false)
        }
        "nftables" => {
            measure::command(&["unshare", "-n", "nft", "-j", "-c", "-f"], &folder.join("ruleset.json"), false)
        }
        "aws" => measure::command(&["jq", "."], &folder.join("groups.json"), false),
        _ => None,
    }
}
