//! `havenlint review`, in repositories of its own.

use crate::commands::{GOOD, Run, folder, json, run_in};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

fn git(dir: &Path, args: &[&str]) {
    let identity =
        ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"];
    let out = Command::new("git").arg("-C").arg(dir).args(identity).args(args).output().unwrap();
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

const DEPLOYMENT: &str = "catalogue = \"safehaven-4\"\n[networks]\nadmin = [\"10.0.9.0/24\"]\ngui = [\"10.0.8.15\"]\n\
    [[site]]\nname = \"east\"\ntype = \"manual\"\n\
    [[node]]\nname = \"cms-1\"\nrole = \"cms\"\nsite = \"east\"\naddress = [\"10.1.0.10\"]\nfirewall = [\"hosts/cms-1.rules\"]\n";

/// A repository with a sound version on `main`, and a branch `change` that is checked out.
fn repository() -> tempfile::TempDir {
    let dir = folder(&[
        ("fw/havenlint.toml", DEPLOYMENT.as_bytes()),
        ("fw/hosts/cms-1.rules", GOOD.as_bytes()),
        ("README.md", b"firewalls\n"),
    ]);
    git(dir.path(), &["init", "-q", "-b", "main"]);
    commit(dir.path());
    git(dir.path(), &["checkout", "-q", "-b", "change"]);
    dir
}

fn commit(dir: &Path) {
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-q", "-m", "a version"]);
}

fn commit_all(dir: &Path) {
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-q", "--allow-empty", "-m", "a version"]);
}

fn change(dir: &Path, old: &str, new: &str) {
    let file = dir.join("fw/hosts/cms-1.rules");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(old), "{text}");
    fs::write(&file, text.replacen(old, new, 1)).unwrap();
    commit(dir);
}

fn review(dir: &Path, args: &[&str]) -> Run {
    run_in(&dir.join("fw"), &[&["review", "--base", "main"], args].concat())
}

const SSH: &str = "-A INPUT -s 10.0.9.0/24 -p tcp -m tcp --dport 22 -j ACCEPT\n";

#[test]
fn what_gets_in_breaks_and_is_fixed() {
    let dir = repository();
    let root = dir.path();
    let nothing = review(root, &[]);
    assert_eq!(nothing.status, 0, "{}{}", nothing.out, nothing.err);
    assert!(nothing.out.contains("nothing newly broken"), "{}", nothing.out);

    change(root, SSH, "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n");
    let opened = review(root, &[]);
    assert_eq!(opened.status, 1, "{}{}", opened.out, opened.err);
    assert!(opened.out.contains("Newly gets in from the Internet"), "{}", opened.out);
    assert!(opened.out.contains("fw/hosts/cms-1.rules:7"), "{}", opened.out);
    assert!(
        opened.out.contains("HL\\-EXPOSED\\-SSH") || opened.out.contains("HL-EXPOSED-SSH"),
        "{}",
        opened.out
    );
    assert!(!opened.out.contains("havenlint-"), "no name of a temporary folder: {}", opened.out);
    assert_eq!(review(root, &["--fail-on", "never"]).status, 0);

    // The next change is for that one: what it takes away is fixed.
    git(root, &["checkout", "-q", "-b", "next"]);
    change(root, "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n", "");
    let next = |args: &[&str]| run_in(&root.join("fw"), &[&["review", "--base", "change"], args].concat());
    let fixed = next(&["--format", "json"]);
    let told = json(&fixed);
    let has =
        |list: &str, text: &str| told[list].as_array().unwrap().iter().any(|t| t.to_string().contains(text));
    assert!(has("fixed", "HL-EXPOSED-SSH"), "{}", fixed.out);
    assert!(has("new", "SH4-CMS-SSH"), "{}", fixed.out);
    assert_eq!(fixed.status, 1);
    let comment = next(&[]);
    assert!(
        comment.out.contains("### ✅ Fixed") && comment.out.contains("### ❌ Newly breaks"),
        "{}",
        comment.out
    );
}

#[test]
fn what_was_there_before_does_not_count() {
    let dir = repository();
    let root = dir.path();
    // Another branch breaks something on main after the change parted from it.
    git(root, &["checkout", "-q", "main"]);
    change(root, SSH, "");
    git(root, &["checkout", "-q", "change"]);
    fs::write(root.join("README.md"), "new\n").unwrap();
    commit(root);
    let r = review(root, &["--fail-on", "note"]);
    assert_eq!(r.status, 0, "{}", r.out);
    // What is not committed is not looked at.
    fs::write(root.join("fw/hosts/cms-1.rules"), GOOD.replace(SSH, "")).unwrap();
    assert_eq!(review(root, &["--fail-on", "note"]).status, 0);
}

#[test]
fn a_waiver_or_a_baseline_of_the_change_is_seen() {
    let dir = repository();
    let root = dir.path();
    change(
        root,
        SSH,
        "# havenlint: allow HL-EXPOSED-SSH for the move\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n",
    );
    run_in(&root.join("fw"), &["baseline", "write"]);
    commit(root);
    let r = review(root, &[]);
    assert_eq!(r.status, 1, "{}", r.out);
    assert!(r.out.contains("### ⚠️ Newly waived") && r.out.contains("for the move"), "{}", r.out);
    assert!(r.out.contains("SH4\\-NET\\-EXPOSED") || r.out.contains("SH4-NET-EXPOSED"), "{}", r.out);
    assert!(!r.out.contains("Fixed"), "{}", r.out);
}

/// Who changes a firewall cannot excuse the change; somebody else can.
#[test]
fn a_waiver_or_a_weaker_policy_fails_until_it_is_accepted() {
    let dir = repository();
    let root = dir.path();
    // Warnings only, and the check itself is content.
    change(root, SSH, &format!("{SSH}# havenlint: allow HL-DUPLICATE for the move\n{SSH}"));
    let waived = |args: &[&str]| review(root, &[&["--fail-on", "note"], args].concat());
    let r = waived(&[]);
    assert_eq!(r.status, 1, "{}", r.out);
    assert!(
        r.out.contains("nothing newly broken, 1 newly waived") && r.out.contains("accept-policy"),
        "{}",
        r.out
    );
    let accepted = waived(&["--accept-policy"]);
    assert_eq!(accepted.status, 0, "{}", accepted.out);
    assert!(
        accepted.out.contains("### ⚠️ Newly waived") && !accepted.out.contains("accept-policy"),
        "{}",
        accepted.out
    );
    assert_eq!(review(root, &[]).status, 0, "what is waived is no error");

    let file = root.join("fw/havenlint.toml");
    let with = |line: &str| DEPLOYMENT.replacen("[networks]", &format!("[check]\n{line}\n[networks]"), 1);
    let mut was = DEPLOYMENT.to_owned();
    for (now, weaker) in [
        (with("fail-on = \"warning\""), false),
        (with("fail-on = \"never\""), true),
        (with("ignore = [\"HL-DUPLICATE\", \"HL-SHADOWED\"]"), true),
        (with("ignore = [\"HL-DUPLICATE\"]"), false),
        (with("select = [\"SH4-\", \"HL-\"]"), true),
        (with("select = [\"HL-\"]"), true),
        (with("select = [\"HL-\", \"SH4-CMS\"]"), false),
        (with("min-severity = \"warning\""), true),
        (DEPLOYMENT.to_owned(), false),
        (format!("inline-waivers = false\n{DEPLOYMENT}"), false),
        (format!("inline-waivers = [\"HL-\"]\n{DEPLOYMENT}"), true),
        (DEPLOYMENT.to_owned(), true),
        (DEPLOYMENT.replace("10.0.9.0/24", "10.0.9.0/25"), false),
        (DEPLOYMENT.to_owned(), true),
    ] {
        git(root, &["checkout", "-q", "-B", "main"]);
        fs::write(&file, &was).unwrap();
        commit_all(root);
        git(root, &["checkout", "-q", "-B", "policy"]);
        fs::write(&file, &now).unwrap();
        commit_all(root);
        let r = review(root, &["--format", "json"]);
        assert_eq!(json(&r)["weakened"] != Value::Array(vec![]), weaker, "{was}\n{now}\n{}", r.out);
        assert_eq!(r.status, i32::from(weaker), "{was}\n{now}\n{}", r.out);
        assert_eq!(review(root, &["--accept-policy"]).status, 0, "{now}");
        was = now;
    }
}

#[test]
fn what_is_gone_is_not_fixed() {
    let dir = repository();
    let root = dir.path();
    change(root, SSH, "");
    git(root, &["checkout", "-q", "-b", "gone"]);
    fs::remove_file(root.join("fw/hosts/cms-1.rules")).unwrap();
    fs::write(root.join("fw/havenlint.toml"), DEPLOYMENT.replace("firewall = [\"hosts/cms-1.rules\"]\n", ""))
        .unwrap();
    commit(root);
    let r = run_in(&root.join("fw"), &["review", "--base", "change", "--format", "json"]);
    let told = json(&r);
    assert_eq!(told["fixed"], Value::Array(vec![]), "{}", r.out);
    assert!(told["pairs"].to_string().contains("removed file"), "{}", r.out);
}

#[test]
fn what_git_does_not_know_is_said() {
    let dir = repository();
    let root = dir.path();
    for base in ["origin/main", "--upload-pack=touch x", "no such thing"] {
        let r = run_in(root, &["review", &format!("--base={base}")]);
        assert_eq!(r.status, 2, "{base}: {}", r.err);
        assert!(r.err.contains("git knows no commit"), "{base}: {}", r.err);
    }
    git(root, &["checkout", "-q", "--orphan", "alone"]);
    fs::write(root.join("README.md"), "another beginning\n").unwrap();
    commit(root);
    let r = run_in(root, &["review", "--base", "main"]);
    assert_eq!(r.status, 2, "{}{}", r.out, r.err);
    assert!(r.err.contains("no common ancestor"), "{}", r.err);
    let nowhere = folder(&[]);
    let r = run_in(nowhere.path(), &["review", "--base", "main"]);
    assert_eq!(r.status, 2, "{}", r.err);
    assert!(r.err.contains("no git repository"), "{}", r.err);
    change_to_garbage(root);
    let r = run_in(root, &["review", "--base", "alone~1"]);
    assert_eq!(r.status, 2, "{}", r.out);
    assert!(r.out.contains("CAUTION"), "{}", r.out);
}

fn change_to_garbage(root: &Path) {
    fs::write(root.join("fw/hosts/cms-1.rules"), "*filter\n-A INPUT --nonsense\n").unwrap();
    commit(root);
}

#[cfg(unix)]
#[test]
fn nothing_in_a_change_commands_whoever_reads_the_comment() {
    let dir = repository();
    let root = dir.path();
    let evil = "\u{1b}[2J\u{202e}<script>x</script> [l](http://evil.example) `c` @all\n::error::x";
    let comment = evil.replace('\n', " ");
    let text = GOOD.replace(
        SSH,
        &format!("-A INPUT -p tcp -m tcp --dport 22 -m comment --comment \"{comment}\" -j ACCEPT\n"),
    );
    fs::write(root.join("fw/hosts").join(format!("{}.rules", evil.replace('/', "|"))), &text).unwrap();
    fs::write(root.join("fw/hosts/cms-1.rules"), text).unwrap();
    std::os::unix::fs::symlink("cms-1.rules", root.join("fw/hosts/\u{1b}[31mlink\n::error::y")).unwrap();
    commit(root);
    for format in ["markdown", "json"] {
        let r = review(root, &["--format", format]);
        assert_eq!(r.status, 1, "{}{}", r.out, r.err);
        assert!(!r.out.contains(['\u{1b}', '\u{202e}']), "{format}: {:?}", r.out);
        assert!(!r.out.lines().any(|l| l.trim_start().starts_with("::")), "{format}: {}", r.out);
        if format == "markdown" {
            formats_nothing(&r.out);
        }
    }
}

/// No link, and no markup but that of the comment itself.
fn formats_nothing(page: &str) {
    use pulldown_cmark::{Event, Options, Parser, Tag};
    let ours = ["<details><summary>", "</details>", "</summary>"];
    for event in Parser::new_ext(page, Options::all()) {
        match event {
            Event::Html(t) | Event::InlineHtml(t) => {
                assert!(ours.iter().any(|o| t.starts_with(o)), "{t} in {page}")
            }
            Event::Start(Tag::Link { .. } | Tag::Image { .. }) => panic!("a link in {page}"),
            Event::Text(t) => assert!(!t.contains("@all"), "{t}"),
            _ => {}
        }
    }
}

/// A change of the deployment file cannot hide what the change breaks, and is told.
#[test]
fn what_is_checked_otherwise_is_told() {
    let dir = repository();
    let root = dir.path();
    let file = root.join("fw/havenlint.toml");
    let hidden = DEPLOYMENT.replacen("[networks]", "inline-waivers = [\"HL-\"]\n[check]\nignore = [\"SH4-CMS\"]\nmin-severity = \"error\"\n[networks]", 1)
        .replace("10.0.9.0/24", "10.0.8.0/23")
        + "[[waiver]]\nrule = \"HL-DUPLICATE\"\nnode = \"cms-1\"\nreason = \"later\"\n";
    fs::write(&file, hidden).unwrap();
    change(root, SSH, "");
    let r = review(root, &["--format", "json"]);
    let told = json(&r);
    let policy: Vec<&str> = told["policy"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    assert_eq!(
        policy,
        [
            "the network admin holds more: 10.0.8.0/24",
            "`ignore` in [check] is SH4-CMS (was nothing)",
            "`min-severity` in [check] is error (was the default)",
            "waivers beside rules that are in force: those of HL- (was: all)",
            "a waiver of HL-DUPLICATE for cms-1: later",
        ]
    );
    assert_eq!(r.status, 1, "{}", r.out);
    assert!(told["new"].to_string().contains("SH4-CMS-SSH"), "ignored by the change itself: {}", r.out);
    assert!(review(root, &[]).out.contains("### ⛔ Less is checked"));
    // A machine with another role, no catalogue of ours, or no deployment at all.
    for (text, words) in [
        (Some(DEPLOYMENT.replace("role = \"cms\"", "role = \"srn\"")), "the role of cms-1 is srn (was cms)"),
        (Some(DEPLOYMENT.replace("cms-1\"\nrole", "cms-2\"\nrole")), "the node cms-1 is gone"),
        (
            Some(
                DEPLOYMENT
                    .replace("safehaven-4", "none")
                    .replace(
                        "role = \"cms\"
site = \"east\"
",
                        "",
                    )
                    .replace(
                        "[[site]]
name = \"east\"
type = \"manual\"
",
                        "",
                    ),
            ),
            "SH4-CMS-SSH is not checked any more for cms-1",
        ),
        (None, "the deployment file is gone"),
    ] {
        match &text {
            Some(t) => fs::write(&file, t).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        commit(root);
        let r = review(root, &["--format", "json"]);
        assert!(json(&r)["weakened"].to_string().contains(words), "{words}: {}{}", r.out, r.err);
        assert_eq!(json(&r)["fixed"], Value::Array(vec![]), "{words}: {}", r.out);
        assert_eq!(r.status, 1, "{words}: {}", r.out);
    }
}

#[test]
fn a_file_with_another_name_is_the_same_firewall() {
    let dir = repository();
    let root = dir.path();
    // In another folder, and with a rule less.
    git(root, &["mv", "fw/hosts", "fw/machines"]);
    let text = DEPLOYMENT.replace("hosts/cms-1.rules", "machines/cms-1.rules");
    fs::write(root.join("fw/havenlint.toml"), text).unwrap();
    commit(root);
    let r = review(root, &["--format", "json", "--fail-on", "note"]);
    let told = json(&r);
    assert_eq!(r.status, 0, "{}", r.out);
    for list in ["new", "fixed", "policy"] {
        assert_eq!(told[list], Value::Array(vec![]), "{list}: {}", r.out);
    }
    assert_eq!(told["pairs"][0]["state"], "equal", "{}", r.out);
    let file = root.join("fw/machines/cms-1.rules");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace(SSH, "")).unwrap();
    commit(root);
    let r = review(root, &["--format", "json"]);
    assert_eq!(json(&r)["new"].as_array().unwrap().len(), 1, "{}", r.out);
    assert!(json(&r)["pairs"][0]["changes"].to_string().contains("stopped"), "{}", r.out);
}

#[test]
fn a_clone_without_history_is_told_what_it_lacks() {
    let dir = repository();
    let root = dir.path();
    change(root, SSH, "");
    let clone = folder(&[]);
    let url = format!("file://{}", root.canonicalize().unwrap().display());
    git(clone.path(), &["clone", "-q", "--depth", "1", "-b", "change", &url, "c"]);
    let at = clone.path().join("c/fw");
    let r = run_in(&at, &["review", "--base", "origin/main"]);
    assert_eq!(r.status, 2);
    assert!(
        r.err.contains("git knows no commit `origin/main`") && r.err.contains("fetch-depth: 0"),
        "{}",
        r.err
    );
    git(&at, &["fetch", "-q", "--depth", "1", "origin", "main:refs/remotes/origin/main"]);
    let r = run_in(&at, &["review", "--base", "origin/main"]);
    assert_eq!(r.status, 2);
    assert!(r.err.contains("no common ancestor") && r.err.contains("fetch-depth: 0"), "{}", r.err);
    git(&at, &["fetch", "-q", "--unshallow", "origin"]);
    let r = run_in(&at, &["review", "--base", "origin/main"]);
    assert_eq!(r.status, 1, "{}{}", r.out, r.err);
}
