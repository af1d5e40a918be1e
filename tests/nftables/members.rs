//! JSON: each member that nobody knows costs what it belongs to, and never a certain answer.

use super::around::read;
use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::model::Firewall;
use havenlint::packet::Packet;
use std::path::{Path, PathBuf};

fn fixtures() -> Vec<(PathBuf, String, Vec<Packet>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/nftables");
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (json, expected) = (entry.path().join("ruleset.json"), entry.path().join("expected.txt"));
        let (Ok(text), Ok(expected)) = (std::fs::read_to_string(&json), std::fs::read_to_string(expected))
        else {
            continue;
        };
        let packets = expected.lines().filter_map(|l| l.split_once(' ')?.1.trim().parse().ok()).collect();
        out.push((json, text, packets));
    }
    assert!(out.len() >= 3, "fixtures in JSON");
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}

fn verdicts(f: &Firewall, packets: &[Packet]) -> Vec<Verdict> {
    let environment = Environment::default();
    let firewalls = [f];
    let point = Point { firewalls: &firewalls, environment: &environment };
    packets.iter().map(|p| evaluate(point, p).verdict).collect()
}

fn certain_and_other(before: &[Verdict], after: &[Verdict]) -> bool {
    before.iter().zip(after).any(|(a, b)| *a != Verdict::Undecided && *b != Verdict::Undecided && a != b)
}

// Places of the quoted strings of a text that are followed by a colon, or not.
fn strings(text: &str, keys: bool) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(open) = memchr_quote(bytes, at) {
        let Some(close) = memchr_quote(bytes, open + 1) else { break };
        let is_key = text[close + 1..].trim_start().starts_with(':');
        if is_key == keys {
            out.push((open + 1, close));
        }
        at = close + 1;
    }
    out
}

fn memchr_quote(bytes: &[u8], from: usize) -> Option<usize> {
    bytes[from..].iter().position(|b| *b == b'"').map(|i| from + i)
}

// Of many places a spread of so many, the first of each kind of text among them.
fn spread(text: &str, places: Vec<(usize, usize)>, most: usize) -> Vec<(usize, usize)> {
    let mut seen = std::collections::BTreeMap::new();
    for (start, end) in places {
        let list: &mut Vec<_> = seen.entry(&text[start..end]).or_default();
        list.push((start, end));
    }
    let each = (most / seen.len().max(1)).max(1);
    seen.into_values()
        .flat_map(|l| l.iter().step_by((l.len() / each).max(1)).copied().collect::<Vec<_>>())
        .collect()
}

#[test]
fn a_renamed_member_makes_no_other_certain_answer() {
    let mut renamed = 0;
    for (path, text, packets) in fixtures() {
        let before = verdicts(&read("t.json", &text), &packets);
        for (start, end) in spread(&text, strings(&text, true), 250) {
            let key = &text[start..end];
            // What rules are called, count and where they came from is of no consequence, and some of it stands alone.
            let changed = format!("{}{key}-2{}", &text[..start], &text[end..]);
            let f = read("t.json", &changed);
            let after = verdicts(&f, &packets);
            assert!(
                !certain_and_other(&before, &after),
                "{}: {key} at {start}: {before:?} {after:?}",
                path.display()
            );
            renamed += 1;
        }
    }
    assert!(renamed > 200, "{renamed}");
}

#[test]
fn a_member_more_makes_no_other_certain_answer() {
    for (path, text, packets) in fixtures() {
        let before = verdicts(&read("t.json", &text), &packets);
        for (start, _) in spread(&text, strings(&text, true), 120) {
            let changed = format!("{}unheard-of\": 1, \"{}", &text[..start], &text[start..]);
            let after = verdicts(&read("t.json", &changed), &packets);
            assert!(!certain_and_other(&before, &after), "{}: at {start}", path.display());
        }
    }
}

// Words of a closed vocabulary, by the member whose value they are.
const WORDS: [&str; 12] =
    ["policy", "hook", "type", "op", "family", "flags", "protocol", "field", "result", "prio", "mode", "dir"];

#[test]
fn an_unknown_word_makes_no_other_certain_answer() {
    let mut tried = 0;
    for (path, text, packets) in fixtures() {
        let before = verdicts(&read("t.json", &text), &packets);
        let values = strings(&text, false).into_iter().filter(|(start, _)| {
            let head = text[..start - 1].trim_end();
            WORDS.iter().any(|w| head.ends_with(&format!("\"{w}\":")))
        });
        for (start, end) in spread(&text, values.collect(), 120) {
            let changed = format!("{}{}-2{}", &text[..start], &text[start..end], &text[end..]);
            let after = verdicts(&read("t.json", &changed), &packets);
            assert!(
                !certain_and_other(&before, &after),
                "{}: {} at {start}: {before:?} {after:?}",
                path.display(),
                &text[start..end]
            );
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}
