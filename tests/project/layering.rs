//! Data flows one way through the folders: no arrow may point up, and no check of one dialect may look into another.

use std::fs;
use walkdir::WalkDir;

/// Folders from the bottom up; a folder may use those before it, and those on its own level unless [`FORBIDDEN`].
const LEVELS: &[&[&str]] = &[
    &["packet", "source"],
    &["model"],
    &["finding"],
    &["analysis", "dialect"],
    &["deployment", "catalogue"],
    &["evidence", "selftest"],
    &["compliance"],
    &["lint"],
    &["triage"],
    &["session"],
    &["repair"],
    &["report"],
    &["editor"],
    &["cli"],
];

/// Pairs on one level, or downwards, that are forbidden all the same.
const FORBIDDEN: &[(&str, &str)] = &[
    ("packet", "source"),
    ("source", "packet"),
    ("analysis", "dialect"),
    ("dialect", "analysis"),
    ("dialect", "finding"),
    ("analysis", "finding"),
    ("report", "dialect"),
    ("report", "analysis"),
    ("report", "evidence"),
    ("report", "compliance"),
    ("report", "lint"),
    ("report", "triage"),
    ("report", "session"),
    ("report", "repair"),
    ("report", "catalogue"),
    ("report", "deployment"),
];

/// Folders of `lint/`, and the dialect that each may know; `general` knows none. What is `open` is found for all of them; of pfSense it asks
/// which interfaces lead outside.
const LINTS: &[(&str, &str)] =
    &[("general", ""), ("open", "pfsense"), ("aws", "aws"), ("nftables", "nftables"), ("pfsense", "pfsense")];

/// A use of `crate::…` in a file: the file below `src`, the line, and the path behind `crate::`.
struct Arrow {
    file: String,
    line: usize,
    to: Vec<String>,
}

impl Arrow {
    fn place(&self) -> String {
        format!("{}:{}: crate::{}", self.file, self.line, self.to.join("::"))
    }
}

fn level(folder: &str) -> Option<usize> {
    LEVELS.iter().position(|l| l.contains(&folder))
}

// Every `crate::a::b` outside comments, be it in a `use` or in the middle of code. Several folders in one `use` are braced
// behind `crate::{`, which the project does not write: [`arrows`] fails on it, so that none can hide there.
fn arrows() -> Vec<Arrow> {
    let src = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let files = WalkDir::new(src).sort_by_file_name().into_iter().flatten();
    let mut out = Vec::new();
    for entry in files.filter(|e| e.path().extension().is_some_and(|x| x == "rs")) {
        let file = entry.path().strip_prefix(src).unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(entry.path()).unwrap();
        for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            for part in line.split("crate::").skip(1) {
                assert!(!part.starts_with('{'), "{file}:{}: write one `use crate::…` a folder", i + 1);
                let path: String =
                    part.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
                let to = path.split("::").filter(|w| !w.is_empty()).map(str::to_owned).collect();
                out.push(Arrow { file: file.clone(), line: i + 1, to });
            }
        }
    }
    assert!(out.len() > 500, "the scan found only {} arrows: it does not look where it should", out.len());
    out
}

#[test]
fn every_folder_has_a_level() {
    let src = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    for entry in fs::read_dir(src).unwrap().flatten().filter(|e| e.path().is_dir()) {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(level(&name).is_some(), "src/{name} stands on no level");
    }
}

#[test]
fn no_arrow_points_up() {
    let wrong: Vec<String> = arrows()
        .iter()
        .filter(|a| {
            let from = a.file.split('/').next().unwrap_or_default();
            let (Some(own), Some(to)) = (level(from), a.to.first()) else { return false };
            level(to).is_some_and(|other| other > own) || FORBIDDEN.contains(&(from, to.as_str()))
        })
        .map(Arrow::place)
        .collect();
    assert!(wrong.is_empty(), "arrows that point up:\n{}", wrong.join("\n"));
}

#[test]
fn no_check_of_one_dialect_looks_into_another() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for a in arrows() {
        let Some((folder, _)) = a.file.strip_prefix("lint/").and_then(|rest| rest.split_once('/')) else {
            continue;
        };
        seen += 1;
        let own = LINTS
            .iter()
            .find(|(f, _)| *f == folder)
            .unwrap_or_else(|| panic!("lint/{folder} is new: name its dialect"));
        let foreign = |name: &str, known: &[&str]| known.contains(&name) && name != own.1 && name != folder;
        let dialects: Vec<&str> =
            LINTS.iter().map(|l| l.1).filter(|d| !d.is_empty()).chain(["iptables"]).collect();
        let folders: Vec<&str> =
            LINTS.iter().map(|l| l.0).filter(|f| !["general", "open"].contains(f)).collect();
        let bad = match a.to.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["dialect", d, ..] => foreign(d, &dialects),
            ["lint", f, ..] => foreign(f, &folders),
            _ => false,
        };
        if bad {
            wrong.push(a.place());
        }
    }
    assert!(seen > 100, "the scan found only {seen} arrows in lint/");
    assert!(wrong.is_empty(), "checks that look into another dialect:\n{}", wrong.join("\n"));
}
