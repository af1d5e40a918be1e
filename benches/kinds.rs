//! The whole `check` of every kind of input at 1000, 10 000 and 100 000 rules, on one processor: CPU seconds, the exponent with which they grow,
//! and how many times less that is than the tool of each dialect takes for the same file (`iptables-nft-restore --test`, `nft -c`), or jq, which
//! only reads JSON. A part of a name as argument chooses kinds.
//!
//! `cargo bench --bench kinds -- iptables/deny`

mod generate;
mod measure;

use generate::{Files, KINDS, Kind};
use std::path::{Path, PathBuf};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

/// CPU seconds; with more, the next size is left out.
const PATIENCE: f64 = 20.0;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    println!(
        "{:24} {:>8} {:>9} {:>9} {:>9} {:>9}",
        "kind", "rules", "check s", "HL- s", "exponent", "times less"
    );
    for kind in
        KINDS.iter().filter(|k| wanted.is_empty() || wanted.iter().any(|w| k.name.contains(w.as_str())))
    {
        let mut before: Option<f64> = None;
        for rules in SIZES {
            let Some(folder) = written((kind.make)(rules)) else {
                return println!("SKIPPED: no temporary folder");
            };
            let path = input(kind, folder.path());
            let Some(all) = check(&path, &["--role=cms"]) else { break };
            let own = check(&path, &["--select=HL-"]);
            let theirs = theirs(kind, folder.path());
            let exponent = before.map(|b| (all / b).log10());
            let shown = |n: Option<f64>| n.map_or_else(|| "-".to_owned(), |n| format!("{n:.2}"));
            println!(
                "{:24} {rules:>8} {all:>9.2} {:>9} {:>9} {:>9}",
                kind.name,
                shown(own),
                shown(exponent),
                shown(theirs.map(|t| t / all))
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

fn check(path: &Path, more: &[&str]) -> Option<f64> {
    let mut command = vec![
        env!("CARGO_BIN_EXE_havenlint"),
        "check",
        "--no-config",
        "--format=concise",
        "--jobs=1",
        "--fail-on=never",
    ];
    command.extend(more);
    measure::command(&command, path, false)
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
