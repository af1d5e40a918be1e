//! The whole `check` of a dump of a million rules with the full catalogue, on one processor, beside `iptables-nft-restore --test` on the same
//! file. The aim is twenty times less CPU. Without iptables, or without leave to open a network namespace, only our own figure is printed.
//!
//! `cargo bench --bench check`

mod generate;
mod measure;

const RUNS: usize = 3;

fn main() {
    let dump = generate::flat(1_000_000, 7);
    let megabytes = dump.len() as f64 / 1e6;
    // In a folder of its own: `check` looks at what lies beside a dump.
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(e) => return println!("SKIPPED: no temporary folder: {e}"),
    };
    let path = folder.path().join("million.rules");
    if let Err(e) = std::fs::write(&path, dump) {
        return println!("SKIPPED: {} cannot be written: {e}", path.display());
    }
    let check = [
        env!("CARGO_BIN_EXE_havenlint"),
        "check",
        "--role=cms",
        "--local=192.168.10.10",
        "--set=srn.service=10.1.0.11,10.2.0.11",
        "--set=admin=10.0.9.0/24",
        "--set=gui=10.0.8.15",
        "--format=concise",
        "--jobs=1",
        "--fail-on=never",
    ];
    let restore = ["unshare", "-n", "iptables-nft-restore", "--test"];
    // The best of a few runs: other work on the machine only ever adds.
    let best = |times: Vec<f64>| times.into_iter().reduce(f64::min);
    let ours = best((0..RUNS).filter_map(|_| measure::command(&check, &path, false)).collect());
    let theirs = best((0..RUNS).filter_map(|_| measure::command(&restore, &path, true)).collect());
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => println!(
            "a million rules ({megabytes:.0} MB): check {ours:.2} s CPU, iptables-nft-restore --test {theirs:.2} s: {:.1} times less",
            theirs / ours
        ),
        (Some(ours), None) => {
            println!(
                "a million rules ({megabytes:.0} MB): check {ours:.2} s CPU; SKIPPED: iptables-nft-restore cannot be run here"
            );
        }
        _ => println!("the check failed"),
    }
}
