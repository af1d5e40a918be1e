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
    let run_as = |base: &str, agreed: &str| {
        let out = Command::new(&script)
            .env("HAVENLINT_ACCEPT_POLICY", agreed)
            .current_dir(root)
            .env("PATH", &path)
            .env("HAVENLINT_PATHS", "a b\n")
            .env("HAVENLINT_BASE", base)
            .env("GITHUB_STEP_SUMMARY", root.join("summary.md"))
            .output()
            .unwrap();
        (out.status.code(), String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let run = |base: &str| run_as(base, "false");
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
    // A change that only has less checked fails, until somebody agrees.
    git(&["checkout", "-q", "-b", "policy", "main"]);
    let policy = "catalogue = \"none\"\n[check]\nignore = [\"HL-EXPOSED\"]\n[[node]]\nname = \"host\"\nfirewall = [\"a b/host.rules\"]\n";
    fs::write(root.join("havenlint.toml"), policy).unwrap();
    git(&["add", "havenlint.toml"]);
    git(&["commit", "-q", "-m", "third"]);
    for (agreed, expected) in [("false", 1), ("true", 0)] {
        let (status, printed, said) = run_as("main", agreed);
        assert_eq!(status, Some(expected), "{agreed}: {printed}{said}");
    }
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

fn shipped(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

// What stands between the quotes of `key = "…"`.
fn quoted<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    let values = text.lines().filter_map(|l| l.strip_prefix(key)?.trim_start().strip_prefix('='));
    values.map(|v| v.trim().trim_matches('"')).collect()
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

// The targets of the release, as the workflow builds them.
fn targets() -> Vec<String> {
    let workflow = shipped(".github/workflows/release.yml");
    let found: Vec<String> = workflow
        .lines()
        .filter_map(|l| l.trim().strip_prefix("- { target: ")?.split_once(',').map(|(t, _)| t.to_owned()))
        .collect();
    assert_eq!(found.len(), 5, "{workflow}");
    found
}

#[cfg(unix)]
#[test]
fn archives_are_named_and_filled_as_installers_expect() {
    let manifest = shipped("Cargo.toml");
    let dir = folder(&[]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/release/package.sh");
    let target = "x86_64-unknown-linux-musl";
    let out = Command::new(script)
        .args([env!("CARGO_BIN_EXE_havenlint"), target])
        .arg(dir.path().join("out"))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let archive = String::from_utf8(out.stdout).unwrap().trim().to_owned();
    let filled = |text: &str| {
        let parts = [
            ("{ repo }", env!("CARGO_PKG_REPOSITORY")),
            ("{ version }", VERSION),
            ("{ target }", target),
            ("{ bin }", "havenlint"),
            ("{ binary-ext }", ""),
        ];
        parts.iter().fold(text.to_owned(), |t, (from, to)| t.replace(from, to))
    };
    // cargo binstall
    let urls = quoted(&manifest, "pkg-url");
    assert_eq!(
        filled(urls[0]),
        format!("{}/releases/download/v{VERSION}/{archive}", env!("CARGO_PKG_REPOSITORY"))
    );
    assert_eq!(urls[1], urls[0].replace(".tgz", ".zip"));
    let list =
        Command::new("tar").arg("-tzf").arg(dir.path().join("out").join(&archive)).output().unwrap().stdout;
    let list = String::from_utf8(list).unwrap();
    let holds = |file: &str| list.lines().any(|l| l == file);
    assert!(holds(&filled(quoted(&manifest, "bin-dir")[0])), "{list}");
    let name = archive.trim_end_matches(".tgz");
    for file in
        ["LICENSE", "README.md", "man/havenlint.1", "man/havenlint-check.1", "completions/havenlint.fish"]
    {
        assert!(holds(&format!("{name}/{file}")), "{file}: {list}");
    }
    // The action and the GitLab component
    let pattern = name.replace(VERSION, "$version").replace(target, "$target");
    assert!(shipped(".github/action/install.sh").contains(&format!("name={pattern}\n")), "{pattern}");
    let component = shipped("templates/havenlint.yml");
    assert!(
        component.contains(&format!("HAVENLINT_NAME: {}\n", name.replace(VERSION, "$[[ inputs.version ]]")))
    );
    assert!(component.contains(&format!("default: \"{VERSION}\"")));
    // The Debian package
    let assets: Vec<&str> =
        manifest.lines().filter_map(|l| l.trim().strip_prefix("[\"")?.split('"').next()).collect();
    assert!(assets.len() >= 7, "{assets:?}");
    for asset in assets.iter().filter(|a| **a != "target/release/havenlint") {
        let made = asset.strip_prefix("target/package/").map(|p| dir.path().join("out").join(p));
        let path = made.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(asset));
        assert!(
            path.exists() || asset.ends_with("*.1") && path.parent().unwrap().join("havenlint.1").exists(),
            "{asset}"
        );
    }
}

#[test]
fn actions_are_pinned_and_targets_agree() {
    let workflow = shipped(".github/workflows/release.yml");
    for text in [&workflow, &shipped("action.yml")] {
        for line in text.lines().filter(|l| l.contains("uses:")) {
            let pin = line.split_once('@').map_or("", |(_, p)| p);
            let (sha, version) = pin.split_once(" # v").unwrap_or_default();
            assert!(
                sha.len() == 40 && sha.bytes().all(|b| b.is_ascii_hexdigit()) && !version.is_empty(),
                "{line}"
            );
        }
    }
    let targets = targets();
    let install = shipped(".github/action/install.sh");
    let asked = install.lines().filter_map(|l| l.split_once("target=")?.1.split_once(" ;;").map(|(t, _)| t));
    assert_eq!(asked.filter(|t| targets.iter().any(|known| known == t)).count(), 4);
    assert!(targets.iter().any(|t| shipped("Cargo.toml").contains(&format!("overrides.{t}]"))));
    assert!(shipped("Cargo.toml").contains("[profile.dist]") && workflow.contains("--profile dist"));
    assert!(
        shipped("pyproject.toml").contains("profile = \"dist\"")
            && shipped("Containerfile").contains("--profile dist")
    );
}

#[cfg(unix)]
#[test]
fn the_action_installs_a_release_whose_provenance_holds() {
    use std::os::unix::fs::PermissionsExt;
    let name = format!("havenlint-v{VERSION}-x86_64-unknown-linux-musl");
    let gh = format!(
        "#!/bin/sh\n[ \"$1\" = release ] || exit \"$VERIFIED\"\nfor last; do :; done\ncd \"$last\" && mkdir {name} && touch {name}/havenlint && tar -czf {name}.tgz {name} && rm -r {name}\n"
    );
    let uname = "#!/bin/sh\n[ \"$1\" = -s ] && echo Linux || echo x86_64\n";
    let dir = folder(&[("bin/gh", gh.as_bytes()), ("bin/uname", uname.as_bytes())]);
    for tool in ["gh", "uname"] {
        fs::set_permissions(dir.path().join("bin").join(tool), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let install = |verified: &str| {
        let log = dir.path().join(format!("path-{verified}"));
        let out = Command::new("bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/action/install.sh"))
            .env("PATH", format!("{}:/usr/bin:/bin", dir.path().join("bin").display()))
            .env("HAVENLINT_VERSION", VERSION)
            .env("GITHUB_PATH", &log)
            .env("VERIFIED", verified)
            .output()
            .unwrap();
        (out.status.success(), fs::read_to_string(log).unwrap_or_default())
    };
    let (installed, path) = install("0");
    assert!(installed && Path::new(path.trim()).join("havenlint").exists(), "{path}");
    assert_eq!(install("1"), (false, String::new()), "a release without provenance is not used");
}

#[test]
fn the_hook_for_pre_commit_runs() {
    let hooks = shipped(".pre-commit-hooks.yaml");
    let entry = hooks.lines().find_map(|l| l.trim().strip_prefix("entry: havenlint ")).unwrap();
    let dir = folder(&[("host.rules", GOOD.as_bytes())]);
    assert_eq!(run_in(dir.path(), &entry.split(' ').collect::<Vec<_>>()).status, 0);
    fs::write(dir.path().join("host.rules"), GOOD.trim_end_matches("COMMIT\n")).unwrap();
    let r = run_in(dir.path(), &entry.split(' ').collect::<Vec<_>>());
    assert_eq!(r.status, 2, "a dump that was cut off: {}{}", r.out, r.err);
    assert!(hooks.contains("pass_filenames: false") && hooks.contains("language: rust"));
}
