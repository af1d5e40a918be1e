//! Dumps of real generators (`fixtures/iptables/README.md`): every packet of a case's `expected.toml` gets the verdict that its
//! author expects, and every rule is understood.

use havenlint::analysis::{Environment, Point, evaluate};
use havenlint::dialect::{ReadOptions, Role, detect};
use havenlint::packet::{Packet, addr};
use havenlint::source::SourceFile;
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// The box's own addresses.
    #[serde(default)]
    local: Vec<String>,
    packet: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    file: String,
    packet: String,
    verdict: String,
    /// What the deciding line holds, where that matters.
    by: Option<String>,
}

fn check(folder: &Path, wrong: &mut Vec<String>) {
    let text = std::fs::read_to_string(folder.join("expected.toml")).expect("expected.toml");
    let expected: Expected = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let local = expected.local.iter().filter_map(|l| addr::parse(l)).reduce(|a, b| a.union(&b));
    let environment = Environment { local, ..Environment::default() };
    let mut names: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    names.sort();
    let file = |p: &Path| SourceFile::new(p.display().to_string(), std::fs::read(p).expect("a file"));
    let sources: Vec<_> = names
        .iter()
        .map(|p| {
            let source = file(p);
            let dialect = detect(source.bytes());
            (p, source, dialect)
        })
        .collect();
    let companions: Vec<_> = sources
        .iter()
        .filter(|(.., d)| d.is_some_and(|(_, role)| role == Role::Companion))
        .map(|(_, f, _)| f.clone())
        .collect();
    for (path, source, dialect) in &sources {
        let Some((dialect, Role::Rules)) = dialect else { continue };
        let mut files = vec![source.clone()];
        files.extend(companions.iter().cloned());
        let f = dialect.read(&files, &ReadOptions::default());
        if !f.diagnostics.is_empty() || f.ledger.not_understood > 0 {
            wrong.push(format!("{}: {:?}", path.display(), f.diagnostics));
        }
        for case in expected.packet.iter().filter(|c| path.ends_with(&c.file)) {
            let packet: Packet = case.packet.parse().unwrap_or_else(|e| panic!("{}: {e}", case.packet));
            let trace = evaluate::evaluate(Point { firewalls: &[&f], environment: &environment }, &packet);
            let found = format!("{:?}", trace.verdict).to_lowercase();
            let by = trace.decided_by.map_or_else(String::new, |d| f.locate(d.origin).text.to_string());
            let fits = case.by.as_ref().is_none_or(|b| by.contains(b.as_str()));
            if found != case.verdict || !fits {
                let because: Vec<_> = trace.because.iter().map(|b| &b.text).collect();
                wrong.push(format!(
                    "{}: {}: {found} by `{by}`, expected {} {:?} {because:?}",
                    path.display(),
                    case.packet,
                    case.verdict,
                    case.by
                ));
            }
        }
    }
    for case in &expected.packet {
        assert!(folder.join(&case.file).is_file(), "{}: no file {}", folder.display(), case.file);
    }
}

#[test]
fn dumps_of_real_generators() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/iptables");
    let mut cases: Vec<_> = std::fs::read_dir(root)
        .expect("fixtures")
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.is_dir())
        .collect();
    cases.sort();
    assert!(cases.len() >= 5, "{cases:?}");
    let mut wrong = Vec::new();
    for case in &cases {
        check(case, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
