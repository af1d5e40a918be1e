//! The README shows what the program really prints. `HAVENLINT_BLESS=1 cargo test --test readme` writes it anew.

use assert_cmd::Command;
use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- output: ";
const END: &str = "\n<!-- end -->";

#[test]
fn the_readme_shows_real_output() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("README.md");
    let text = fs::read_to_string(&path).unwrap();
    let mut fresh = String::new();
    let mut rest = text.as_str();
    let mut blocks = 0;
    while let Some(at) = rest.find(BEGIN) {
        let (before, block) = rest.split_at(at);
        let line_end = block.find('\n').unwrap();
        let args: Vec<&str> =
            block[BEGIN.len()..line_end].trim_end_matches(" -->").split_whitespace().collect();
        let out = Command::new(env!("CARGO_BIN_EXE_havenlint"))
            .args(&args)
            .env("NO_COLOR", "1")
            .current_dir(root)
            .output()
            .unwrap();
        // `fix` says by its status that what it shows is not made.
        let expected = if args[0] == "fix" { 1 } else { 0 };
        assert_eq!(out.status.code(), Some(expected), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        let printed = String::from_utf8(out.stdout).unwrap();
        let end = block.find(END).expect("the block ends");
        fresh += before;
        fresh += &block[..line_end];
        fresh += &format!("\n```text\n$ havenlint {}\n{}\n```", args.join(" "), printed.trim_end());
        rest = &block[end..];
        blocks += 1;
    }
    fresh += rest;
    assert!(blocks > 0);
    if std::env::var_os("HAVENLINT_BLESS").is_some() {
        fs::write(&path, &fresh).unwrap();
    } else {
        assert!(fresh == text, "README.md is stale: run HAVENLINT_BLESS=1 cargo test --test readme");
    }
}
