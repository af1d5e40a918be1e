//! The test data of iptables itself, as the real tools judge it: what loads is read exactly or with opaque parts, a rule and the form
//! in which the saver prints it mean the same, and what the tools refuse gets a diagnostic.

use flate2::read::GzDecoder;
use havenlint::dialect::{ReadOptions, by_name};
use havenlint::model::{Firewall, display};
use havenlint::source::SourceFile;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

#[derive(Deserialize)]
struct Vector {
    from: String,
    format: String,
    text: String,
    saved: Option<String>,
    loads: BTreeMap<String, bool>,
    suite: bool,
}

impl Vector {
    // Both say so. "Loads" was asked with `--test`, which does not ask the kernel: the rows that the suite refuses and `--test` does not are
    // refused by the kernel (`-m tcp` without `-p tcp`).
    fn valid(&self) -> bool {
        self.suite && self.loads.values().any(|l| *l)
    }

    fn refused(&self) -> bool {
        !self.suite && !self.loads.values().any(|l| *l)
    }
}

fn vectors() -> Option<Vec<Vector>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors/iptables.jsonl.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        println!("SKIPPED: {} is not there", path.display());
        return None;
    };
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("a gzipped file");
    Some(text.lines().map(|l| serde_json::from_str(l).expect("a vector")).collect())
}

fn read(format: &str, text: &str) -> Firewall {
    let (dialect, variant) = by_name(format).expect("a dialect");
    let options = ReadOptions { variant: Some(variant), ..ReadOptions::default() };
    dialect.read(&[SourceFile::new("vector", text)], &options)
}

fn problems(f: &Firewall) -> Vec<String> {
    f.diagnostics.iter().map(|d| d.message.clone()).collect()
}

#[test]
fn what_loads_is_read() {
    let Some(vectors) = vectors() else { return };
    let mut wrong = Vec::new();
    for v in vectors.iter().filter(|v| v.valid()) {
        let f = read(&v.format, &v.text);
        if f.ledger.not_understood > 0 || !f.diagnostics.is_empty() {
            wrong.push(format!("{} {}: {}  {:?}", v.from, v.format, v.text.trim(), problems(&f)));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), vectors.len(), wrong.join("\n"));
}

#[test]
fn a_rule_and_its_saved_form_mean_the_same() {
    let Some(vectors) = vectors() else { return };
    let mut wrong = Vec::new();
    let mut compared = 0;
    for v in vectors.iter().filter(|v| v.valid()) {
        let Some(saved) = &v.saved else { continue };
        let lines: Vec<String> = v
            .text
            .lines()
            .map(|line| match line.strip_prefix("-A ") {
                Some(rule) => format!("-A {} {saved}", rule.split(' ').next().unwrap_or_default()),
                None => line.to_owned(),
            })
            .collect();
        let (a, b) = (read(&v.format, &v.text), read(&v.format, &(lines.join("\n") + "\n")));
        compared += 1;
        let (x, y) = (display::canonical(&a), display::canonical(&b));
        if x != y || !b.diagnostics.is_empty() {
            let pick = |t: &str| t.lines().filter(|l| l.starts_with("  ")).collect::<Vec<_>>().join("\n");
            wrong.push(format!(
                "{} {}: {}\n    saved {saved}\n  {}\n  {}\n  {:?}",
                v.from,
                v.format,
                v.text.trim(),
                pick(&x),
                pick(&y),
                problems(&b)
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_the_tools_refuse_gets_a_diagnostic() {
    let Some(vectors) = vectors() else { return };
    let refused: Vec<_> = vectors.iter().filter(|v| v.refused()).collect();
    let accepted: Vec<_> =
        refused.iter().filter(|v| read(&v.format, &v.text).diagnostics.is_empty()).collect();
    for v in &accepted {
        println!("read, though the tools refuse it: {} {}", v.format, v.text.trim().replace('\n', " / "));
    }
    println!("{} of {} refused files are read without a diagnostic", accepted.len(), refused.len());
    // Most of these are values out of bounds and options missing in extensions that are opaque anyway.
    assert!(accepted.len() <= 24, "{} of {}", accepted.len(), refused.len());
}
