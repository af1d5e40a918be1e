//! The whole `check` of deployments of many machines, on one processor: CPU seconds, megabytes, and the exponent with which they grow.
//!
//! `cargo bench --bench deployment [-- PART-OF-A-NAME]`; with `-- write FOLDER KIND NODES` a deployment is written to a folder.

mod generate;
mod measure;

use generate::deployment::{Size, files};
use std::path::Path;

/// A kind of deployment, by the number of its nodes.
type Kind = (&'static str, fn(usize) -> Size);

const KINDS: &[Kind] = &[
    ("networks", |n| Size { sites: 64, srns: n, servers: 0, by_address: false, faulty: 0 }),
    ("networks-faulty", |n| Size { sites: 64, srns: n, servers: 0, by_address: false, faulty: 50 }),
    ("addresses", |n| Size { sites: 64, srns: n, servers: 0, by_address: true, faulty: 0 }),
    ("addresses-faulty", |n| Size { sites: 64, srns: n, servers: 0, by_address: true, faulty: 10 }),
    ("servers", |n| Size { sites: n / 22, srns: n / 11, servers: n - n / 11, by_address: true, faulty: 20 }),
];

const NODES: [usize; 5] = [50, 100, 250, 1000, 5000];

/// CPU seconds; with more, the next size is left out.
const PATIENCE: f64 = 20.0;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    if let [write, folder, kind, nodes] = args.as_slice()
        && write == "write"
    {
        let size = KINDS.iter().find(|(name, _)| name == kind).zip(nodes.parse().ok());
        match size {
            Some(((_, size), nodes)) if written(Path::new(folder), &size(nodes)).is_some() => {}
            _ => println!("SKIPPED: no such deployment"),
        }
        return;
    }
    println!("{:18} {:>6} {:>9} {:>9} {:>9} {:>9}", "kind", "nodes", "check s", "MB", "JSON MB", "exponent");
    for (name, size) in
        KINDS.iter().filter(|(k, _)| args.is_empty() || args.iter().any(|a| k.contains(a.as_str())))
    {
        let mut before: Option<(usize, f64)> = None;
        for nodes in NODES {
            let Ok(folder) = tempfile::tempdir() else { return println!("SKIPPED: no temporary folder") };
            let report = folder.path().join("report.json");
            if written(folder.path(), &size(nodes)).is_none() {
                return println!("SKIPPED: no room for it");
            }
            let format = format!("--format=json={}", report.display());
            let command = [
                env!("CARGO_BIN_EXE_havenlint"),
                "check",
                "--jobs=1",
                "--fail-on=never",
                &format,
                "--config",
            ];
            let Some((seconds, megabytes)) =
                measure::with_memory(&command, &folder.path().join("havenlint.toml"))
            else {
                break;
            };
            let written = std::fs::metadata(&report).map_or(0.0, |m| m.len() as f64 / 1e6);
            let exponent = before.map(|(n, s)| (seconds / s).ln() / (nodes as f64 / n as f64).ln());
            let exponent = exponent.map_or_else(|| "-".to_owned(), |e| format!("{e:.2}"));
            println!("{name:18} {nodes:>6} {seconds:>9.2} {megabytes:>9.0} {written:>9.1} {exponent:>9}");
            if seconds > PATIENCE {
                break;
            }
            before = Some((nodes, seconds.max(0.01)));
        }
    }
}

fn written(folder: &Path, size: &Size) -> Option<()> {
    std::fs::create_dir_all(folder.join("hosts")).ok()?;
    files(size).iter().try_for_each(|(name, text)| std::fs::write(folder.join(name), text)).ok()
}
