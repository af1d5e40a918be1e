//! The HTML report in a real browser: axe-core has no serious fault to find in light and dark, nothing is fetched, a telephone shows it
//! without moving sideways, and paper is not wasted.
//!
//! Needs `chromium`, `node`, and a folder with axe-core and puppeteer-core, `$HAVENLINT_BROWSER_MODULES` (`.ci/install-browser.sh`). Without them
//! the test is skipped, and says so; with `HAVENLINT_REQUIRE=1` it fails.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says what is wrong by panicking, and that it is skipped by printing"
)]

use crate::sample::{render, report};
use havenlint::report::Style;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The browser and the folder of modules.
fn browser() -> Option<(String, String)> {
    let modules = std::env::var("HAVENLINT_BROWSER_MODULES").ok()?;
    let chromium = std::env::var("HAVENLINT_CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    let path = Command::new("which").arg(&chromium).output().ok()?;
    let path = String::from_utf8(path.stdout).ok()?.trim().to_owned();
    let node = Command::new("node").arg("--version").output().is_ok_and(|o| o.status.success());
    (node && !path.is_empty() && Path::new(&modules).join("node_modules/axe-core").exists())
        .then_some((path, modules))
}

fn look_at((chromium, modules): &(String, String), pages: &[&Path]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/browser.mjs");
    let out = Command::new("node").arg(script).args([chromium, modules]).args(pages).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn everybody_can_read_the_page() {
    let Some(tools) = browser() else {
        assert!(
            std::env::var("HAVENLINT_REQUIRE").is_err(),
            "Chromium, node, axe-core and puppeteer-core are required: .ci/install-browser.sh"
        );
        println!(
            "SKIPPED: Chromium, node, axe-core or puppeteer-core is not installed (.ci/install-browser.sh)"
        );
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let sample = dir.path().join("sample.html");
    std::fs::write(&sample, render("html", &report(), &Style::default())).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = dir.path().join("demo.html");
    let folder = dir.path().join("folder");
    let checked = Command::new(env!("CARGO_BIN_EXE_havenlint"))
        .args(["check", "--fail-on", "never", "--quiet", "--format"])
        .arg(format!("html={}", demo.display()))
        .arg("--format")
        .arg(format!("html={}/", folder.display()))
        .current_dir(root.join("fixtures/demo"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let pages = [sample.as_path(), &demo, &folder.join("index.html"), &folder.join("node-1.html")];
    let seen = look_at(&tools, &pages);
    assert_eq!(seen.len(), 4);
    for page in &seen {
        assert_eq!(page["faults"], serde_json::json!([]), "{page}");
        assert_eq!(page["fetched"], 0, "{page}");
        assert!(page["overflow"].as_i64().unwrap() <= 0, "{page}");
    }
    // The demo has some forty findings.
    assert!(seen[1]["sheets"].as_i64().unwrap() <= 5, "{}", seen[1]);
    // The tools are alive: they find fault with a page that has faults.
    let bad = dir.path().join("bad.html");
    std::fs::write(&bad, "<p style='color:#bbb;width:800px'>pale</p><img src='x.png'>").unwrap();
    let seen = look_at(&tools, &[&bad]);
    assert!(
        !seen[0]["faults"].as_array().unwrap().is_empty() && seen[0]["overflow"].as_i64() > Some(0),
        "{}",
        seen[0]
    );
}
