//! The files of the dialect lie in layers: none imports, by whatever way, itself.

use std::collections::{BTreeMap, BTreeSet};
use walkdir::WalkDir;

// The file that a `use super::` line of another names; `depth` counts the folders below the dialect's own.
fn imported(line: &str, depth: usize) -> Vec<String> {
    let text =
        line.trim_start().trim_start_matches("pub(super) ").trim_start_matches("pub(in super::super) ");
    let Some(mut rest) = text.strip_prefix("use super::") else { return Vec::new() };
    let mut up = 1;
    while let Some(more) = rest.strip_prefix("super::") {
        (rest, up) = (more, up + 1);
    }
    if up != depth + 1 {
        return Vec::new();
    }
    let names = rest.strip_prefix('{').map_or_else(|| vec![rest], |list| list.split(',').collect());
    let word =
        |n: &str| n.trim().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    names.into_iter().map(word).filter(|n| !n.is_empty()).collect()
}

#[test]
fn no_file_of_the_dialect_imports_itself() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/dialect/iptables");
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in WalkDir::new(root).into_iter().flatten().filter(|e| e.file_type().is_file()) {
        let path = entry.path().strip_prefix(root).unwrap().with_extension("");
        let parts: Vec<_> = path.iter().map(|p| p.to_string_lossy().into_owned()).collect();
        // Files of a folder count as the folder; tests look at what they test.
        if parts == ["mod"] || parts == ["negation"] {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let found = code.lines().flat_map(|l| imported(l, parts.len() - 1));
        uses.entry(parts[0].clone()).or_default().extend(found.filter(|f| *f != parts[0]));
    }
    assert!(uses.values().map(BTreeSet::len).sum::<usize>() > 40, "the scan finds too few imports: {uses:?}");
    // Files of which all imports are gone go, until none is left or a circle is.
    while let Some(free) =
        uses.iter().find(|(_, of)| of.iter().all(|o| !uses.contains_key(o))).map(|u| u.0.clone())
    {
        uses.remove(&free);
    }
    assert!(uses.is_empty(), "these import each other: {uses:?}");
}
