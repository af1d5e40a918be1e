//! Reading: a million rules, from bytes to the model, on one core. The goal is 200 MB/s.

mod generate;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use havenlint::dialect::{ReadOptions, by_name};
use havenlint::source::SourceFile;
use std::hint::black_box;

fn million_rules(c: &mut Criterion) {
    let dump = generate::flat(1_000_000, 7);
    let mut group = c.benchmark_group("read");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(dump.len() as u64));
    let file = SourceFile::new("million", dump);
    let Some((dialect, variant)) = by_name("iptables") else {
        return;
    };
    let options = ReadOptions { variant: Some(variant), ..ReadOptions::default() };
    let files = [file];
    group.bench_function("million rules", |b| {
        b.iter(|| {
            let firewall = dialect.read(&files, &options);
            assert_eq!(firewall.ledger.exact, 1_000_000);
            black_box(firewall.terms.len())
        });
    });
    group.finish();
}

criterion_group!(benches, million_rules);
criterion_main!(benches);
