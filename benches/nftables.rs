//! Reading large rulesets: 100 000 rules in one block, and a set of a million elements.
//!
//! Beside the times that criterion takes, each ruleset is read once in a process of its own, into the model and as far as one packet's way through
//! it, and then by `nft -c -f`, and the two are compared: CPU seconds, and our peak of memory as a multiple of the file. The aim is fifty times
//! less CPU than nft, and memory below five times the file. Without nft, or without leave to open a network namespace, only our own figures are
//! printed. Linux only.

mod measure;

use criterion::{Criterion, criterion_group};
use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point};
use havenlint::dialect::{Dialect, ReadOptions, nftables::Nftables};
use havenlint::source::SourceFile;
use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

fn address(n: u32) -> String {
    format!("{}.{}.{}.{}", 11 + (n >> 16) % 200, n >> 8 & 255, n & 255, n % 251)
}

fn rules() -> String {
    let mut out = String::from(
        "table inet t {\n\tchain in {\n\t\ttype filter hook input priority filter; policy drop;\n",
    );
    for n in 0..100_000u32 {
        let (a, port) = (address(n.wrapping_mul(2_654_435_761) >> 8), 1 + n % 65_000);
        let _ = match n % 4 {
            0 => writeln!(out, "\t\tip saddr {a} tcp dport {port} accept"),
            1 => writeln!(
                out,
                "\t\tiifname \"eth{}\" ip saddr {a} udp dport {{ 53, {port} }} counter accept",
                n % 9
            ),
            2 => writeln!(
                out,
                "\t\tip daddr {a} ct state new tcp dport 22-{} accept comment \"rule {n}\"",
                22 + port
            ),
            _ => writeln!(out, "\t\tip saddr {a} drop"),
        };
    }
    out.push_str("\t}\n}\n");
    out
}

fn set() -> String {
    let elements: Vec<String> =
        (0..1_000_000u32).map(|n| address(n.wrapping_mul(2_654_435_761) >> 8)).collect();
    format!(
        "table inet t {{\n\tset s {{\n\t\ttype ipv4_addr\n\t\telements = {{ {} }}\n\t}}\n\tchain in {{\n\t\t\
         type filter hook input priority filter; policy drop;\n\t\tip saddr @s accept\n\t}}\n}}\n",
        elements.join(",\n\t\t\t     ")
    )
}

/// Reads a file and follows one packet, then says what that took: CPU seconds, and the peak of memory in bytes.
fn child(path: &str) -> Option<()> {
    let file = SourceFile::new(path, std::fs::read(path).ok()?);
    let firewall = Nftables.read(&[file], &ReadOptions::default());
    let environment = Environment::default();
    let point = Point { firewalls: &[&firewall], environment: &environment };
    let packet = "input eth0 tcp 203.0.113.7:40000 > 10.1.0.10:22".parse().ok()?;
    black_box(evaluate(point, &packet));
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?.split_whitespace().next()?;
    println!("{} {}", measure::cpu(false)?, peak.parse::<u64>().ok()? * 1024);
    Some(())
}

/// CPU seconds and peak memory of our reading.
fn ours(path: &Path) -> Option<(f64, f64)> {
    let out = Command::new(std::env::current_exe().ok()?).arg("--child").arg(path).output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    let (cpu, peak) = text.trim().split_once(' ')?;
    Some((cpu.parse().ok()?, peak.parse().ok()?))
}

const RUNS: usize = 5;

fn compare(name: &str, text: &str) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join("ruleset.nft");
    if std::fs::write(&path, text).is_err() {
        return;
    }
    // The best of a few runs: other work on the machine only ever adds.
    let runs = (0..RUNS).filter_map(|_| ours(&path));
    if let Some((own, peak)) = runs.reduce(|a, b| (a.0.min(b.0), a.1.min(b.1))) {
        let (size, peak) = (text.len() as f64 / 1e6, peak / 1e6);
        print!("{name} ({size:.1} MB): {own:.2} s CPU, {peak:.0} MB = {:.1} times the file; ", peak / size);
        match measure::command(&["unshare", "-n", "nft", "-c", "-f"], &path, false) {
            Some(nft) => println!("nft -c -f: {nft:.2} s, {:.0} times as much", nft / own.max(0.01)),
            None => println!("SKIPPED: nft is absent, or cannot be run in a namespace"),
        }
    }
}

fn reading(c: &mut Criterion) {
    let mut group = c.benchmark_group("nftables");
    group.sample_size(10);
    for (name, text) in [("100 000 rules", rules()), ("set of 1 000 000", set())] {
        compare(name, &text);
        let file = SourceFile::new("ruleset.nft", text);
        group.bench_function(name, |b| {
            b.iter(|| black_box(Nftables.read(std::slice::from_ref(&file), &ReadOptions::default())));
        });
    }
    group.finish();
}

criterion_group!(benches, reading);

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("--child") {
        let done = arguments.next().and_then(|path| child(&path));
        std::process::exit(if done.is_some() { 0 } else { 1 });
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
