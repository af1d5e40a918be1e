//! Blocks that show a command's output (`<!-- output: ARGUMENTS -->`) or a file (`<!-- file: PATH -->`), up to `<!-- end -->`.

use super::{hold, root, written};
use assert_cmd::Command;
use std::fs;

const END: &str = "\n<!-- end -->";

#[test]
fn what_is_shown_is_what_the_program_prints() {
    let mut blocks = 0;
    for path in written() {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let (fresh, count) = refreshed(&text);
        blocks += count;
        hold(&path, &fresh);
    }
    assert!(blocks > 10, "only {blocks} blocks");
}

// The text with every block filled anew, and the number of blocks.
fn refreshed(text: &str) -> (String, usize) {
    let mut fresh = String::new();
    let mut rest = text;
    let mut blocks = 0;
    while let Some(at) = rest.find("<!-- output: ").into_iter().chain(rest.find("<!-- file: ")).min() {
        let (before, block) = rest.split_at(at);
        let head_end = block.find(" -->").expect("the comment ends");
        let (kind, what) = block["<!-- ".len()..head_end].split_once(": ").unwrap();
        let end = block.find(END).expect("the block ends");
        let shown = if kind == "file" { file(what) } else { output(what) };
        fresh += &format!("{before}<!-- {kind}: {what} -->\n{shown}");
        rest = &block[end..];
        blocks += 1;
    }
    (fresh + rest, blocks)
}

fn file(path: &str) -> String {
    let text = fs::read_to_string(root().join(path)).unwrap();
    let language = path.rsplit_once('.').map_or("text", |(_, e)| if e == "toml" { e } else { "text" });
    format!("```{language}\n{}\n```", text.trim_end())
}

fn output(line: &str) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_havenlint"))
        .args(words(line))
        .env("NO_COLOR", "1")
        .current_dir(root())
        .output()
        .unwrap();
    // `fix` reports by its status that what it shows is not done.
    let expected = if line.starts_with("fix ") { 1 } else { 0 };
    assert_eq!(out.status.code(), Some(expected), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    let printed = String::from_utf8(out.stdout).unwrap();
    assert!(!printed.trim().is_empty(), "{line} prints nothing");
    format!("```text\n$ havenlint {line}\n{}\n```", printed.trim_end())
}

// Words of a command line; double quotes hold words together.
fn words(line: &str) -> Vec<String> {
    let pieces = line.split('"').enumerate();
    let word = |(i, piece): (usize, &str)| match i % 2 {
        1 => vec![piece.to_owned()],
        _ => piece.split_whitespace().map(str::to_owned).collect(),
    };
    pieces.flat_map(word).collect()
}

#[test]
fn words_are_split_as_a_shell_does() {
    assert_eq!(
        words("trace a.rules --packet \"input eth0 tcp\" -q"),
        ["trace", "a.rules", "--packet", "input eth0 tcp", "-q"]
    );
}
