//! Rulesets as people and tools write them, with what happens to packets beside each: `fixtures/nftables/*/expected.txt`.

use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::{Dialect, ReadOptions, detect, nftables::Nftables};
use havenlint::model::{Firewall, display::canonical};
use havenlint::packet::{IntervalSet, addr};
use havenlint::source::{Severity, SourceFile};
use std::path::{Path, PathBuf};
use std::process::Command;

fn read(path: &Path) -> Firewall {
    let bytes = std::fs::read(path).unwrap();
    assert!(detect(&bytes).is_some_and(|(d, _)| d.names().contains(&"nftables")), "{}", path.display());
    let f = Nftables.read(&[SourceFile::new(path.to_str().unwrap(), bytes)], &ReadOptions::default());
    let errors: Vec<_> = f.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    f
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/nftables");
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut cases: Vec<_> = entries.filter(|e| e.is_dir()).collect();
    cases.sort();
    cases
}

#[test]
fn packets_meet_what_is_written_beside_the_ruleset() {
    let mut wrong = Vec::new();
    for case in cases() {
        let expected = std::fs::read_to_string(case.join("expected.txt")).unwrap();
        let own = expected.lines().find_map(|l| l.strip_prefix("local "));
        let local =
            own.map(|l| l.split(',').fold(IntervalSet::EMPTY, |all, a| all.union(&addr::parse(a).unwrap())));
        let environment = Environment { local, ..Environment::default() };
        for form in ["ruleset.nft", "ruleset.json"].map(|n| case.join(n)).iter().filter(|p| p.exists()) {
            let f = read(form);
            for line in expected.lines().filter(|l| !l.starts_with(['#', 'l'])) {
                let (verdict, packet) = line.split_once(' ').unwrap();
                let want = match verdict {
                    "accept" => Verdict::Accept,
                    "drop" => Verdict::Drop,
                    _ => Verdict::Undecided,
                };
                let point = Point { firewalls: &[&f], environment: &environment };
                let trace = evaluate(point, &packet.trim().parse().unwrap());
                if trace.verdict != want {
                    let by = trace.decided_by.map(|d| f.locate(d.origin));
                    wrong.push(format!(
                        "{}: {line}: {:?} by {by:?} {:?}",
                        form.display(),
                        trace.verdict,
                        trace.because
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What nft makes of a ruleset, in a network namespace of its own; `None` where that cannot be done.
fn listed(path: &Path) -> Option<(String, String)> {
    let script = "nft -f \"$1\" && nft -s list ruleset && printf '\\1' && nft -s -j list ruleset";
    let out = Command::new("unshare").args(["-n", "sh", "-c", script, "sh"]).arg(path).output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    let (plain, json) = text.split_once('\u{1}')?;
    Some((plain.to_owned(), json.to_owned()))
}

#[test]
fn what_nft_makes_of_a_ruleset_is_the_same_model() {
    let mut compared = 0;
    for case in cases() {
        let path = case.join("ruleset.nft");
        let Some((plain, json)) = listed(&path) else {
            println!("SKIPPED: nft cannot load {}", path.display());
            continue;
        };
        let model = |name: &str, text: String| {
            canonical(&Nftables.read(&[SourceFile::new(name, text)], &ReadOptions::default()))
        };
        let ours = canonical(&read(&path));
        for (form, other) in [("list.nft", plain), ("list.json", json)] {
            let theirs = model(form, other);
            let differ = ours.lines().zip(theirs.lines()).find(|(a, b)| a != b);
            assert_eq!(ours, theirs, "{} as {form}: {differ:#?}", path.display());
        }
        compared += 1;
    }
    assert!(compared > 0 || std::env::var_os("HAVENLINT_REQUIRE").is_none(), "nft or unshare is missing");
}
