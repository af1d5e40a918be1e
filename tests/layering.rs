//! Data flows one way through the folders: no arrow may point up.

use std::fs;
use walkdir::WalkDir;

/// Folders from the bottom up; a folder may use those before it, and those on its own level where named together.
const LEVELS: &[&[&str]] = &[
    &["packet", "source"],
    &["model"],
    &["finding"],
    &["analysis", "dialect"],
    &["config", "catalogue"],
    &["check"],
    &["report"],
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
    ("report", "check"),
    ("report", "catalogue"),
    ("report", "config"),
    ("check", "report"),
];

fn level(folder: &str) -> Option<usize> {
    LEVELS.iter().position(|l| l.contains(&folder))
}

#[test]
fn no_arrow_points_up() {
    let src = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in
        WalkDir::new(src).into_iter().flatten().filter(|e| e.path().extension().is_some_and(|x| x == "rs"))
    {
        let path = entry.path().strip_prefix(src).unwrap();
        let from = path.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let Some(own) = level(&from) else { continue };
        let text = fs::read_to_string(entry.path()).unwrap();
        for (i, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for part in line.split("crate::").skip(1) {
                let to: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let Some(other) = level(&to) else { continue };
                seen += 1;
                if other > own || FORBIDDEN.contains(&(from.as_str(), to.as_str())) {
                    wrong.push(format!("{}:{}: {from} uses {to}", path.display(), i + 1));
                }
            }
        }
    }
    assert!(seen > 20, "the scan found only {seen} arrows: it does not look where it should");
    assert!(wrong.is_empty(), "arrows that point up:\n{}", wrong.join("\n"));
}
