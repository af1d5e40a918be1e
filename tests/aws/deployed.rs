//! A deployment with files of a cloud, in a folder of its own, and what a run says of it.

use havenlint::dialect::ReadOptions;
use havenlint::finding::Report;
use havenlint::session::{Options, run};
use std::fs;

/// Runs on a deployment file whose cloud files stand in its folder `aws`.
pub fn report(deployment: &str, files: &[(&str, &str)], complete: bool) -> Report {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("aws")).unwrap();
    fs::write(folder.path().join("havenlint.toml"), deployment).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join("aws").join(name), text).unwrap();
    }
    let read = ReadOptions { complete, ..ReadOptions::default() };
    run(&Options { paths: vec![folder.path().to_owned()], read, ..Options::default() }).report
}
