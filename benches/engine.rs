//! Twelve requirement-like questions on large firewalls: one flat list of a million mixed rules, and 5000 rules in a hundred chains.
//!
//! `cargo bench --bench engine`

use criterion::{Criterion, criterion_group, criterion_main};
use havenlint::analysis::decide::{Answer, Question, decide};
use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point};
use havenlint::model::*;
use havenlint::packet::{ConnState, Family, Field, IntervalSet, Path, Region, addr, flags, proto};
use havenlint::source::{Origin, SourceFile};
use std::hint::black_box;

// Xorshift: equal numbers on every run and machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    // Mostly hosts and small prefixes, now and then a wide one.
    fn net(&mut self) -> (u32, u32) {
        let bits = [32, 32, 32, 30, 28, 26, 24, 24, 22, 20, 16][self.below(11) as usize];
        let host = (1u64 << (32 - bits)) as u32;
        let base = 0x0a00_0000 | (self.next() as u32 & 0x00ff_ffff);
        let mask = host.wrapping_sub(1);
        (base & !mask, base | mask)
    }
}

fn mixed_rule(r: &mut Random, terms: &mut Vec<Term>) -> Action {
    terms.clear();
    let range = |field, (lo, hi): (u32, u32)| Term::Range { field, lo, hi };
    if r.below(10) < 9 {
        terms.push(range(Field::Src, r.net()));
    }
    if r.below(10) < 9 {
        terms.push(range(Field::Dst, r.net()));
    }
    let protocol = [6, 6, 6, 17, 17, 1][r.below(6) as usize];
    terms.push(range(Field::Proto, (protocol, protocol)));
    if protocol != 1 && r.below(10) < 8 {
        let port = [22, 23, 25, 53, 80, 443, 8080][r.below(7) as usize];
        let port = if r.below(2) == 0 { port } else { r.below(65000) as u32 };
        let wide = if r.below(10) == 0 { r.below(500) as u32 } else { 0 };
        terms.push(range(Field::Dport, (port, port + wide)));
    }
    // A rule about everything would end the list.
    if terms.len() < 2 {
        terms.push(range(Field::Dst, r.net()));
    }
    if r.below(10) < 7 { Action::Accept } else { Action::Drop }
}

fn base(b: &mut Builder, chain: ChainId, hook: Hook) {
    b.base_chain(BaseChain {
        chain,
        hook,
        priority: 0,
        policy: Policy::Drop,
        policy_origin: Origin::default(),
        policy_note: None,
        families: vec![Family::V4],
        kind: ChainKind::Filter,
    });
}

fn opening(b: &mut Builder, chain: ChainId) {
    let set = [ConnState::Established, ConnState::Related].map(ConnState::value).into_iter().collect();
    let established = b.field(Field::State, set);
    b.add(chain, Origin::default(), &[established], Action::Accept);
}

fn flat(rules: usize) -> Firewall {
    let mut b = Builder::new("bench", vec![SourceFile::new("bench", "")], &[Family::V4]);
    let chain = b.chain("filter", "INPUT", Origin::default());
    base(&mut b, chain, Hook::Input);
    opening(&mut b, chain);
    let mut r = Random(0x5eed_0001);
    let mut terms = Vec::new();
    for i in 0..rules {
        let action = mixed_rule(&mut r, &mut terms);
        b.add(chain, Origin::new(0, i, i + 1), &terms, action);
    }
    b.finish()
}

fn chains(rules: usize, chains: usize) -> Firewall {
    let mut b = Builder::new("bench", vec![SourceFile::new("bench", "")], &[Family::V4]);
    let input = b.chain("filter", "INPUT", Origin::default());
    base(&mut b, input, Hook::Input);
    opening(&mut b, input);
    let log = b.chain("filter", "LOGDROP", Origin::default());
    let limit = b.condition("limit 5/min", "", ConditionKind::Rate { unthrottled: true }, Origin::default());
    b.add(log, Origin::default(), &[Term::opaque(limit, false)], Action::Continue);
    b.add(log, Origin::default(), &[], Action::Drop);
    let mut r = Random(0x5eed_0002);
    let mut terms = Vec::new();
    for i in 0..chains {
        let chain = b.chain("filter", &format!("C{i}"), Origin::default());
        let (lo, hi) = if i % 3 == 0 { (0x0a00_0000, 0x0aff_ffff) } else { r.net() };
        b.add(input, Origin::default(), &[Term::Range { field: Field::Dst, lo, hi }], Action::Jump(chain));
        for j in 0..rules / chains {
            let mut action = mixed_rule(&mut r, &mut terms);
            match r.below(20) {
                0 => action = Action::Return,
                1 => action = Action::Jump(log),
                2 => {
                    let text = format!("-m owner --uid-owner {}", r.below(50));
                    terms.push(b.opaque(&text, "", false, Origin::default()));
                }
                _ => {}
            }
            b.add(chain, Origin::new(0, i * 1000 + j, i * 1000 + j + 1), &terms, action);
        }
    }
    b.add(input, Origin::default(), &[], Action::Jump(log));
    b.finish()
}

// What a catalogue asks: peers to services, management from outside, forbidden services from anywhere.
fn questions() -> Vec<Region> {
    let first = |r: Region| {
        r.with(Field::State, IntervalSet::single(ConnState::New.value()))
            .with(Field::TcpFlags, IntervalSet::single(flags::SYN))
    };
    let ask = |from: &str, to: &str, protocol: u8, port: u16| {
        let r = Region::all(Family::V4)
            .cut(Field::Src, &addr::parse(from).unwrap_or_default())
            .cut(Field::Dst, &addr::parse(to).unwrap_or_default())
            .protocol(protocol)
            .with(Field::Dport, IntervalSet::single(port));
        first(r)
    };
    vec![
        ask("10.1.0.11", "10.1.0.10", proto::TCP, 20081),
        ask("10.2.0.0/24", "10.1.0.10", proto::TCP, 20082),
        ask("10.2.0.0/24", "10.1.0.0/24", proto::UDP, 20082),
        ask("10.0.9.0/24", "10.1.0.10", proto::TCP, 22),
        ask("10.0.9.0/24", "10.1.0.0/16", proto::TCP, 443),
        ask("0.0.0.0/0", "10.1.0.10", proto::TCP, 22),
        ask("0.0.0.0/0", "10.1.0.10", proto::TCP, 3260),
        ask("0.0.0.0/0", "10.1.0.0/24", proto::TCP, 443),
        ask("10.1.0.10", "0.0.0.0/0", proto::UDP, 53),
        ask("10.1.0.0/24", "0.0.0.0/0", proto::UDP, 123),
        ask("198.51.100.0/24", "10.0.0.0/8", proto::TCP, 23),
        ask("0.0.0.0/0", "10.5.0.0/16", proto::TCP, 21),
    ]
}

fn decide_on(f: &Firewall, region: &Region) -> Answer {
    let environment = Environment::default();
    let firewalls = [f];
    let point = Point { firewalls: &firewalls, environment: &environment };
    decide(&Question { point, path: Path::Input, region: region.clone(), mark: 0, delivered_to: None })
}

fn describe(name: &str, f: &Firewall, regions: &[Region]) {
    for (i, r) in regions.iter().enumerate() {
        let start = std::time::Instant::now();
        let a = decide_on(f, r);
        println!(
            "{name} question {i}: {:?}, {} accepted, {} denied, {} undecided, exhausted {}",
            start.elapsed(),
            a.accepted.len(),
            a.denied.len(),
            a.undecided.len(),
            a.exhausted
        );
    }
}

fn engine(c: &mut Criterion) {
    let asked = questions();
    let all = [(flat(1_000_000), "flat 1M"), (chains(5_000, 100), "5000 rules in 100 chains")];
    let mut group = c.benchmark_group("twelve questions");
    group.sample_size(10);
    for (f, name) in &all {
        describe(name, f, &asked);
        group.bench_function(*name, |b| {
            b.iter(|| asked.iter().for_each(|r| drop(black_box(decide_on(f, r)))));
        });
    }
    group.finish();
    let (f, _) = &all[0];
    let telnet = Region::all(Family::V4).protocol(proto::TCP).with(Field::Dport, IntervalSet::single(23u8));
    describe("any to any tcp/23, flat 1M", f, std::slice::from_ref(&telnet));
    let wide = Region::all(Family::V4);
    describe("everything, flat 1M", f, std::slice::from_ref(&wide));
    let environment = Environment::default();
    let firewalls = [f];
    let point = Point { firewalls: &firewalls, environment: &environment };
    if let Ok(packet) = "input tcp 192.0.2.1:40000 > 192.0.2.2:3".parse() {
        c.bench_function("one packet, flat 1M", |b| b.iter(|| black_box(evaluate(point, &packet).verdict)));
    }
}

criterion_group!(benches, engine);
criterion_main!(benches);
