//! Reports and baselines that go to files: whole or not at all, and never over what was read.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const DUMP: &str =
    "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n";

fn run(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_havenlint")).args(args).current_dir(dir).output().unwrap()
}

fn check(dir: &Path, format: &str) -> (Option<i32>, String) {
    let out = run(dir, &["check", "host.rules", "--no-config", "--fail-on", "never", "--format", format]);
    (out.status.code(), String::from_utf8(out.stderr).unwrap())
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("host.rules"), DUMP).unwrap();
    dir
}

/// Nothing half done is left beside what was there.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_report_takes_the_place_of_an_old_one() {
    let dir = folder();
    fs::write(dir.path().join("report.json"), "old").unwrap();
    assert_eq!(check(dir.path(), "json=report.json").0, Some(0));
    assert_eq!(check(dir.path(), "html=report.html").0, Some(0));
    assert!(fs::read_to_string(dir.path().join("report.json")).unwrap().starts_with('{'));
    assert_eq!(names(dir.path()), ["host.rules", "report.html", "report.json"]);
}

#[test]
fn an_input_is_not_overwritten() {
    let dir = folder();
    let (status, said) = check(dir.path(), "json=./host.rules");
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("it is an input of this run"), "{said}");
    let out =
        run(dir.path(), &["baseline", "write", "host.rules", "--no-config", "--baseline", "host.rules"]);
    assert_eq!(out.status.code(), Some(2), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(check(dir.path(), "json=shard.json").0, Some(0));
    let out = run(dir.path(), &["merge", "shard.json", "--format", "json=shard.json"]);
    assert_eq!(out.status.code(), Some(2));
    assert_eq!(fs::read_to_string(dir.path().join("host.rules")).unwrap(), DUMP);
    assert!(fs::read_to_string(dir.path().join("shard.json")).unwrap().contains("\"schema\""));
}

#[cfg(unix)]
#[test]
fn links_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = folder();
    fs::write(dir.path().join("real.json"), "old").unwrap();
    fs::set_permissions(dir.path().join("real.json"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.json", dir.path().join("link.json")).unwrap();
    symlink("host.rules", dir.path().join("other.rules")).unwrap();
    assert_eq!(check(dir.path(), "json=link.json").0, Some(0));
    let real = dir.path().join("real.json");
    assert!(fs::read_to_string(&real).unwrap().starts_with('{'));
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(dir.path().join("link.json")).unwrap().is_symlink());
    assert_eq!(check(dir.path(), "json=other.rules").0, Some(2), "a link to an input is that input");
    assert_eq!(fs::read_to_string(dir.path().join("host.rules")).unwrap(), DUMP);
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_whole_leaves_the_old_file() {
    let dir = folder();
    let (status, said) = check(dir.path(), "json=/dev/full");
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("cannot write the report to /dev/full"), "{said}");
    assert_eq!(check(dir.path(), "json=/dev/null").0, Some(0));
    fs::write(dir.path().join("report.html"), "old").unwrap();
    // A file may not grow beyond a block or two: the page is larger.
    let script = "trap '' XFSZ; ulimit -f 2; exec \"$0\" check host.rules --no-config --fail-on never --format html=report.html";
    let out = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_havenlint")])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(2), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(fs::read_to_string(dir.path().join("report.html")).unwrap(), "old");
    assert_eq!(names(dir.path()), ["host.rules", "report.html"]);
}

/// What never ends, or never begins, is refused wherever a file is named.
#[cfg(target_os = "linux")]
#[test]
fn only_regular_files_are_read() {
    let dir = folder();
    assert!(Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap().success());
    for odd in ["pipe", "/dev/zero"] {
        for args in [
            &["check", odd, "--no-config"][..],
            &["check", "host.rules", "--config", odd],
            &["check", "host.rules", "--no-config", "--catalogue", odd],
            &["check", "host.rules", "--no-config", "--baseline", odd],
            &["check", "host.rules", "--no-config", "--seen", odd],
            &["trace", "host.rules", "--packets", odd],
            &["query", odd],
            &["diff", "host.rules", odd],
            &["merge", odd],
            &["catalogue", "lint", odd],
        ] {
            let out = run(dir.path(), args);
            let said = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
            assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
            // Lines are broken at the width of a page.
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.contains("not a regular file"), "{args:?}: {said}");
        }
    }
    // A pipe of the shell's is one that somebody writes to.
    let script = "exec \"$0\" check <(cat host.rules) --no-config --fail-on never --format concise";
    let out = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_havenlint")])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(String::from_utf8_lossy(&out.stdout).contains("HL-ANY-ANY"));
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_printed_is_an_error() {
    let dir = folder();
    for command in [
        "completions bash",
        "man",
        "rules",
        "explain HL-ANY-ANY",
        "catalogue new",
        "check host.rules --no-config",
        "query host.rules",
    ] {
        for (script, full) in
            [("exec \"$0\" $1 > /dev/full", true), ("\"$0\" $1 | true; exit ${PIPESTATUS[0]}", false)]
        {
            let out = Command::new("bash")
                .args(["-c", script, env!("CARGO_BIN_EXE_havenlint"), command])
                .current_dir(dir.path())
                .output()
                .unwrap();
            let said = String::from_utf8(out.stderr).unwrap();
            assert!(!said.contains("panicked"), "{command}: {said}");
            // A reader that went away in time may have got all of it.
            assert!(out.status.code() == Some(2) || !full, "{command}: {:?} {said}", out.status);
            assert_eq!(said.contains("No space left"), full, "{command}: {said}");
        }
    }
}

#[test]
fn what_an_ended_run_left_behind_is_not_read() {
    let dir = folder();
    fs::rename(dir.path().join("host.rules"), dir.path().join(".havenlint-aB3xY9")).unwrap();
    let out = run(dir.path(), &["check", ".", "--no-config"]);
    assert_eq!(out.status.code(), Some(3), "{}", String::from_utf8_lossy(&out.stdout));
}

/// A folder of its own on a disk of 64 kB, if this machine lets us make one.
#[cfg(target_os = "linux")]
fn small_disk(test: &str) -> Option<SmallDisk> {
    let at = tempfile::tempdir().expect("a folder");
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(at.path()).output();
    if mount.is_ok_and(|m| m.status.success()) {
        return Some(SmallDisk(at));
    }
    assert!(std::env::var("HAVENLINT_REQUIRE").as_deref() != Ok("1"), "{test} could not run: it needs root");
    println!("SKIPPED: {test}: it needs root");
    None
}

#[cfg(target_os = "linux")]
struct SmallDisk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_full_disk_nothing_is_half_and_what_is_said_is_true() {
    let Some(disk) = small_disk("on_a_full_disk_nothing_is_half_and_what_is_said_is_true") else { return };
    let dir = disk.0.path();
    let duplicate = format!(
        "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n{}-A INPUT -s 10.0.0.1/32 -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n",
        (1..200)
            .map(|i| format!("-A INPUT -s 10.0.0.{i}/32 -p tcp -m tcp --dport 22 -j ACCEPT\n"))
            .collect::<String>()
    );
    for name in ["a.rules", "b.rules"] {
        fs::write(dir.join(name), &duplicate).expect("a file");
    }
    // Whatever is left.
    while fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(dir.join("fill"))
        .and_then(|mut f| {
            use std::io::Write;
            f.write_all(&[0; 4096])
        })
        .is_ok()
    {}
    let run = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_havenlint"))
            .args(args)
            .current_dir(dir)
            .output()
            .expect("the program runs");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
        assert!(!said.contains(".havenlint-"), "{said}");
        said
    };
    let said = run(&["fix", ".", "--no-config", "--apply"]);
    assert!(said.contains("0 of 2 proven repairs made, for not all files could be written"), "{said}");
    assert!(said.contains("error: a.rules is unchanged: No space left"), "{said}");
    for format in ["json=r", "html=folder/", "sarif=a.sarif"] {
        run(&["check", ".", "--no-config", "--fail-on", "never", "--format", format]);
    }
    run(&["baseline", "write", ".", "--no-config"]);
    run(&["init", "."]);
    run(&["catalogue", "new", "policy.toml"]);
    run(&["man", "--dir", "pages"]);
    let mut left: Vec<String> = walkdir::WalkDir::new(dir)
        .into_iter()
        .flatten()
        .filter(|e| e.file_type().is_file())
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    assert_eq!(left, ["a.rules", "b.rules", "fill"], "no half file, and nothing left behind");
    assert_eq!(fs::read_to_string(dir.join("a.rules")).expect("a file"), duplicate);
}
