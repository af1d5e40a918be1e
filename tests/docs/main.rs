//! The README and the book under `docs/`: what they show is what the program prints, every link leads somewhere, every rule has its page.
//!
//! `HAVENLINT_BLESS=1 cargo test --test docs` writes anew what is generated.

mod book;
mod output;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages of the book, sorted; paths below `docs/src`.
fn pages() -> Vec<PathBuf> {
    let src = root().join("docs/src");
    let mut out: Vec<PathBuf> = walkdir::WalkDir::new(&src)
        .into_iter()
        .map(Result::unwrap)
        .filter(|e| e.path().extension().is_some_and(|x| x == "md"))
        .map(|e| e.path().strip_prefix(&src).unwrap().to_owned())
        .collect();
    out.sort();
    assert!(out.len() > 10, "{out:?}");
    out
}

/// Texts that people write, with generated parts in them.
fn written() -> Vec<PathBuf> {
    let book = pages().into_iter().filter(|p| !is_rule_page(p)).map(|p| Path::new("docs/src").join(p));
    ["README.md", "CONTRIBUTING.md", "SECURITY.md"].into_iter().map(PathBuf::from).chain(book).collect()
}

/// Whether a page of the book is generated whole.
fn is_rule_page(page: &Path) -> bool {
    page.starts_with("rules")
}

/// Compares a file with what it must hold, or writes it.
fn hold(path: &Path, fresh: &str) {
    let path = root().join(path);
    if std::env::var_os("HAVENLINT_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if fs::read_to_string(&path).ok().as_deref() != Some(fresh) {
            fs::write(&path, fresh).unwrap();
        }
        return;
    }
    let text = fs::read_to_string(&path).unwrap_or_default();
    assert!(text == fresh, "{} is stale: run HAVENLINT_BLESS=1 cargo test --test docs", path.display());
}
