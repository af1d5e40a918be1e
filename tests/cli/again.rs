//! A run that knows what the one before found out says what a run says that knows nothing: after every edit of every file, in the language server too.

use super::commands::folder;
use super::editor::Editor;
use crate::random::Random;
use havenlint::session::{DEPLOYMENT_FILE, Memory, Options, run, run_again};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use walkdir::WalkDir;

/// Edits: one of each file, then of files at random.
const EDITS: usize = 30;

/// The demo, with files that no machine has, one of which includes another.
fn demo() -> TempDir {
    let dir = folder(&[
        ("loose/main.nft", b"table inet a {\n    chain in {\n        type filter hook input priority 0; policy drop;\n        include \"more.nft\"\n    }\n}\n"),
        ("loose/more.nft", b"        tcp dport 22 accept\n"),
        ("loose/alone.v4.rules", b"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 80 -j ACCEPT\nCOMMIT\n"),
    ]);
    let from = Path::new("fixtures/demo");
    for entry in WalkDir::new(from).into_iter().map(Result::unwrap).filter(|e| e.file_type().is_file()) {
        let to = dir.path().join(entry.path().strip_prefix(from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(entry.path(), to).unwrap();
    }
    dir
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let all = WalkDir::new(folder).sort_by_file_name().into_iter().map(Result::unwrap);
    let all = all.filter(|e| e.file_type().is_file()).map(walkdir::DirEntry::into_path);
    all.filter(|p| !p.ends_with("README.md") && !p.ends_with("expected.toml")).collect()
}

/// The same text with a line less, twice, or broken; now and then as it was at first.
fn edited(text: &str, first: &str, random: &mut Random) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let at = random.below(lines.len().max(1));
    let mut other = |line: &str| match random.below(4) {
        0 => String::new(),
        1 => format!("{line}{line}"),
        2 => line.replacen(['1', '2'], "3", 1),
        _ => line.replacen("ACCEPT", "DROP", 1).replacen("accept", "drop", 1),
    };
    if lines.is_empty() || text != first && at.is_multiple_of(3) {
        return first.to_owned();
    }
    let changed = other(lines[at]);
    lines.iter().enumerate().map(|(n, l)| if n == at { changed.as_str() } else { l }).collect()
}

#[test]
fn a_run_with_a_memory_says_what_a_run_without_one_says() {
    let dir = demo();
    let all = files(dir.path());
    let first: Vec<String> = all.iter().map(|f| fs::read_to_string(f).unwrap()).collect();
    let options = Options { config: Some(dir.path().join(DEPLOYMENT_FILE)), ..Options::default() };
    let mut memory = Memory::default();
    let mut random = Random::new(1, 7);
    let mut said = Vec::new();
    for step in 0..EDITS {
        let n = if step < all.len() { step } else { random.below(all.len()) };
        let text = edited(&fs::read_to_string(&all[n]).unwrap(), &first[n], &mut random);
        fs::write(&all[n], text).unwrap();
        let again = run_again(&options, &mut memory);
        let whole = run(&options);
        let [a, b] = [&again, &whole].map(|o| serde_json::to_string_pretty(&o.report).unwrap());
        let other = a.lines().zip(b.lines()).find(|(a, b)| a != b);
        assert!(a == b, "step {step}, {}: {other:?}", all[n].display());
        assert_eq!(again.not_checked, whole.not_checked);
        said.push(b);
        memory.take_back(again.firewalls);
    }
    said.dedup();
    assert!(said.len() > EDITS / 2, "most edits change what is said: {}", said.len());
}

#[test]
fn an_editor_that_was_open_all_the_time_shows_what_one_shows_that_is_opened_now() {
    let dir = demo();
    let mut editor = Editor::open(dir.path());
    let mut random = Random::new(3, 7);
    for file in ["hosts/srn-west.v4.rules", "edge/edge-east.xml", "loose/more.nft", DEPLOYMENT_FILE] {
        let Some(path) = files(dir.path()).into_iter().find(|p| p.ends_with(file)) else {
            panic!("{file} is gone");
        };
        let uri = Editor::uri(dir.path(), file);
        let first = fs::read_to_string(&path).unwrap();
        editor.tell(
            "textDocument/didOpen",
            json!({ "textDocument": { "uri": uri, "languageId": "text", "version": 1, "text": first } }),
        );
        for _ in 0..3 {
            let text = edited(&fs::read_to_string(&path).unwrap(), &first, &mut random);
            editor.change(&uri, &text);
            fs::write(&path, text).unwrap();
            let shown = editor.shown(dir.path());
            assert_eq!(shown, Editor::open(dir.path()).shown(dir.path()), "{file}");
        }
    }
}
