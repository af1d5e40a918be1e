//! `fixtures/planted`: files with one classic mistake each, found once, by the check that is for it, with the rules that cause it.

use havenlint::analysis::Environment;
use havenlint::dialect::{ReadOptions, detect};
use havenlint::lint::registry::{Subject, run};
use havenlint::source::SourceFile;
use std::path::Path;

const IDS: [&str; 8] = [
    "HL-CONTRADICTED",
    "HL-DUPLICATE",
    "HL-EXCEPTION-LOST",
    "HL-NEVER-MATCHES",
    "HL-NFT-AFTER-VERDICT",
    "HL-REDUNDANT",
    "HL-SHADOWED",
    "HL-UNREACHABLE",
];

#[test]
fn each_is_found_once_by_the_right_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/planted");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 6);
    for path in files {
        let file = SourceFile::new(path.display().to_string(), std::fs::read(&path).unwrap());
        let text = file.text(0..file.bytes().len()).into_owned();
        let expected = text.lines().find_map(|l| l.strip_prefix("# expect: ")).unwrap();
        let (dialect, _) = detect(file.bytes()).unwrap();
        let f = dialect.read(&[file], &ReadOptions::default());
        assert!(f.diagnostics.is_empty(), "{:?}", f.diagnostics);
        let environment = Environment::default();
        let beside = [&f];
        let mut found = Vec::new();
        run(&Subject::new(&f, &beside, &environment, "box"), &mut found);
        let told: Vec<String> = found
            .iter()
            .filter(|f| IDS.contains(&f.rule.as_str()))
            .map(|f| {
                let by: Vec<String> = f.related.iter().map(|r| r.location.line.to_string()).collect();
                let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(" ")) };
                format!("{} {}{by}", f.rule, f.location.line)
            })
            .collect();
        assert_eq!(told, [expected], "{}", path.display());
    }
}
