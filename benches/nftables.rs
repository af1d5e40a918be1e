//! Reading large rulesets: 100 000 rules in one block, and a set of a million elements.
//!
//! To beat, by fifty times: `nft -c -f` on the same text (30 s of CPU for the rules, 0.8 s for every 100 000 elements).

use criterion::{Criterion, criterion_group, criterion_main};
use havenlint::dialect::{Dialect, ReadOptions, nftables::Nftables};
use havenlint::source::SourceFile;
use std::fmt::Write;
use std::hint::black_box;

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

fn reading(c: &mut Criterion) {
    let mut group = c.benchmark_group("nftables");
    group.sample_size(10);
    for (name, text) in [("100 000 rules", rules()), ("set of 1 000 000", set())] {
        let file = SourceFile::new("ruleset.nft", text);
        group.bench_function(name, |b| {
            b.iter(|| black_box(Nftables.read(std::slice::from_ref(&file), &ReadOptions::default())));
        });
    }
    group.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
