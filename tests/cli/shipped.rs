//! What is shipped beside the program, as far as it runs here: the shell of the GitHub action.

use crate::commands::{GOOD, folder, run_in};
use std::fs;
use std::path::Path;
use std::process::Command;

#[cfg(unix)]
#[test]
fn the_action_checks_reviews_and_fails() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/action/check.sh");
    let action = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml")).unwrap();
    assert!(action.contains("\"$GITHUB_ACTION_PATH/.github/action/check.sh\""));
    let dir = folder(&[("a b/host.rules", GOOD.as_bytes())]);
    let root = dir.path();
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"];
        let out = Command::new("git").arg("-C").arg(root).args(who).args(args).output().unwrap();
        assert!(out.status.success(), "{args:?}");
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "first"]);
    let bin = Path::new(env!("CARGO_BIN_EXE_havenlint")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let run = |base: &str| {
        let out = Command::new(&script)
            .current_dir(root)
            .env("PATH", &path)
            .env("HAVENLINT_PATHS", "a b\n")
            .env("HAVENLINT_BASE", base)
            .env("GITHUB_STEP_SUMMARY", root.join("summary.md"))
            .output()
            .unwrap();
        (out.status.code(), String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let (status, _, said) = run("");
    assert_eq!(status, Some(0), "{said}");
    git(&["checkout", "-q", "-b", "change"]);
    fs::write(root.join("a b/host.rules"), GOOD.replace("-s 10.0.9.0/24 ", "")).unwrap();
    git(&["commit", "-q", "-a", "-m", "second"]);
    let (status, printed, said) = run("main");
    assert_eq!(status, Some(1), "{printed}{said}");
    assert!(printed.contains("::warning file=a b/host.rules") || printed.contains("::warning"), "{printed}");
    let summary = fs::read_to_string(root.join("summary.md")).unwrap();
    assert!(summary.contains("Newly gets in from the Internet"), "{summary}");
    assert!(fs::read_to_string(root.join("havenlint.sarif")).unwrap().contains("HL-EXPOSED-SSH"));
    assert_eq!(run("no-such-branch").0, Some(2));
}

#[test]
fn every_command_has_a_manual_page() {
    let dir = folder(&[]);
    assert_eq!(run_in(dir.path(), &["man", "--dir", "share/man"]).status, 0);
    let help = run_in(dir.path(), &["--help"]).out;
    let commands = help.lines().skip_while(|l| !l.starts_with("Commands:")).skip(1);
    let names: Vec<&str> = commands
        .take_while(|l| !l.is_empty())
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
        .filter_map(|l| l.split_whitespace().next())
        .filter(|n| *n != "help")
        .collect();
    assert!(names.len() > 12, "{help}");
    for name in names {
        let page = fs::read_to_string(dir.path().join(format!("share/man/havenlint-{name}.1")));
        assert!(page.is_ok_and(|p| p.contains(".SH SYNOPSIS")), "{name}");
    }
    fs::write(dir.path().join("file"), "").unwrap();
    let r = run_in(dir.path(), &["man", "--dir", "file"]);
    assert_eq!(r.status, 2);
    assert!(r.err.contains("cannot write to file"), "{}", r.err);
}
