//! Colours, hyperlinks and width are decided by what the environment and the terminal say.

use std::process::Command;

const FILE: &str =
    "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n";

/// What `check` prints on a small file with this environment and nothing else.
fn printed(terminal: bool, environment: &[(&str, &str)], args: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("open.rules"), FILE).unwrap();
    let program = env!("CARGO_BIN_EXE_havenlint");
    let words = ["check", "open.rules", "--no-config", "--fail-on", "never"];
    let mut command = if terminal {
        // util-linux's `script` gives a program a terminal.
        let mut command = Command::new("script");
        let line: Vec<_> = [program].into_iter().chain(words).chain(args.iter().copied()).collect();
        command.args(["-qec", &line.join(" "), "/dev/null"]);
        command
    } else {
        let mut command = Command::new(program);
        command.args(words).args(args);
        command
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let out = command.env_clear().env("PATH", path).envs(environment.iter().copied()).current_dir(dir.path());
    String::from_utf8(out.output().unwrap().stdout).unwrap()
}

fn colored(terminal: bool, environment: &[(&str, &str)], args: &[&str]) -> bool {
    let text = printed(terminal, environment, args);
    assert!(text.contains("HL-"), "{text}");
    text.contains("\u{1b}[")
}

#[test]
fn the_environment_asks_for_colours_or_for_none() {
    for (environment, args, want) in [
        (&[][..], &[][..], false),
        (&[("FORCE_COLOR", "1")], &[], true),
        (&[("FORCE_COLOR", "0"), ("CLICOLOR_FORCE", "1")], &[], false),
        (&[("FORCE_COLOR", "")], &[], false),
        (&[("CLICOLOR_FORCE", "1")], &[], true),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], &[], false),
        (&[("FORCE_COLOR", "1"), ("NO_COLOR", "1")], &[], false),
        (&[("FORCE_COLOR", "1"), ("NO_COLOR", "")], &[], true),
        (&[("FORCE_COLOR", "1")], &["--color", "never"], false),
        (&[("NO_COLOR", "1")], &["--color", "always"], true),
    ] {
        assert_eq!(colored(false, environment, args), want, "{environment:?} {args:?}");
    }
}

#[test]
fn a_terminal_gets_what_it_can_show() {
    if !Command::new("script").arg("--version").output().is_ok_and(|o| o.status.success()) {
        assert!(std::env::var("HAVENLINT_REQUIRE").is_err(), "util-linux's `script` is required");
        println!("SKIPPED: there is no `script` to make a terminal");
        return;
    }
    assert!(colored(true, &[("TERM", "xterm-256color")], &[]));
    assert!(!colored(true, &[("TERM", "dumb")], &[]));
    assert!(!colored(true, &[("TERM", "xterm-256color"), ("NO_COLOR", "1")], &[]));
    let link = "\u{1b}]8;;https://github.com/havenlint/havenlint/blob/main/docs/src/rules/HL-";
    let known = [("TERM", "xterm-256color"), ("TERM_PROGRAM", "vscode")];
    assert!(printed(true, &known, &[]).contains(link));
    assert!(!printed(true, &[("TERM", "xterm-256color")], &[]).contains(link));
    assert!(!printed(true, &known, &["--color", "never"]).contains(link));
    assert!(!printed(false, &known, &["--color", "always"]).contains(link), "a file is no terminal");
    let narrow = printed(true, &[("TERM", "dumb"), ("COLUMNS", "50")], &[]);
    // What goes to standard error is not wrapped.
    let widest =
        narrow.lines().filter(|l| !l.starts_with("note: ")).map(|l| l.trim_end().chars().count()).max();
    assert!(widest <= Some(64), "{narrow}");
    let wide = printed(true, &[("TERM", "dumb"), ("COLUMNS", "200")], &[]);
    assert!(wide.lines().count() < narrow.lines().count(), "{wide}");
}
