//! The book holds together: every page is in its table of contents, every link leads to a page and a heading that exist.

use super::{pages, root, written};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

#[test]
fn every_page_is_in_the_summary() {
    let summary = fs::read_to_string(root().join("docs/src/SUMMARY.md")).unwrap();
    let listed: Vec<PathBuf> = links(&summary).into_iter().map(PathBuf::from).collect();
    let unique: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(unique.len(), listed.len(), "a page is listed twice");
    let all: BTreeSet<PathBuf> = pages().into_iter().filter(|p| p != Path::new("SUMMARY.md")).collect();
    assert_eq!(unique, all);
}

#[test]
fn every_link_leads_somewhere() {
    let book = pages().into_iter().map(|p| Path::new("docs/src").join(p));
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in written().into_iter().chain(book).collect::<BTreeSet<_>>() {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        for link in links(&text) {
            count += 1;
            if let Err(why) = resolve(&path, &link) {
                wrong.push(format!("{}: {link}: {why}", path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(count > 100, "only {count} links were found");
}

// Whether a link of a page leads to a file, and to a heading of it. Links of the book must stay in the book.
fn resolve(page: &Path, link: &str) -> Result<(), String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return Ok(());
    }
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = match file {
        "" => page.to_owned(),
        _ => plain(&page.parent().unwrap().join(file)),
    };
    if page.starts_with("docs/src") && !target.starts_with("docs/src") {
        return Err("outside the book".to_owned());
    }
    let full = root().join(&target);
    if !full.exists() {
        return Err("there is no such file".to_owned());
    }
    if heading.is_empty() {
        return Ok(());
    }
    let text = fs::read_to_string(full).map_err(|e| e.to_string())?;
    match prose(&text).lines().filter(|l| l.starts_with('#')).any(|l| slug(l) == heading) {
        true => Ok(()),
        false => Err("there is no such heading".to_owned()),
    }
}

// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

// The anchor of a heading, as mdBook and GitHub make it.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

// Targets of all links, outside of code.
fn links(text: &str) -> Vec<String> {
    let text = prose(text);
    let mut out = Vec::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("](") {
        rest = &rest[at + 2..];
        let end = rest.find(')').expect("the link ends");
        out.push(rest[..end].to_owned());
        rest = &rest[end..];
    }
    out
}

// A text without its blocks of code and its code in lines.
fn prose(text: &str) -> String {
    let mut out = String::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            // A heading keeps its code: its anchor is made from it. A link's words do not matter here.
            match line.starts_with('#') {
                true => out += line,
                false => out.extend(line.split('`').step_by(2)),
            }
            out.push('\n');
        }
    }
    out
}

#[test]
fn code_holds_no_links() {
    assert_eq!(
        links("[a](b.md) `[x](y)` [`c`](d.md#e)\n```text\n[no](z)\n```\n[f](g)"),
        ["b.md", "d.md#e", "g"]
    );
    assert_eq!(slug("## `[[node]]`: machines"), "node-machines");
}
