//! Against brute force, and against the evaluator on random firewalls.

use super::boxes::{BLOCKER, Boxes, TARGET};
use super::list::{Fate, fates, short};
use super::literals::Table;
use super::parts::Reader;
use super::*;
use crate::analysis::decide::tests::{Dice, Options, packets, random_firewall, shown};
use crate::analysis::evaluate::evaluate;
use crate::analysis::{Environment, Point, Verdict};
use crate::model::*;
use crate::packet::{Field, IntervalSet, Packet, Path, Value, addr};
use crate::source::SourceFile;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn config(cases: u32) -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok());
    ProptestConfig {
        cases: number("HAVENLINT_CASES").map_or(cases, |n| n as u32),
        rng_seed: RngSeed::Fixed(number("HAVENLINT_SEED").unwrap_or(12)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

// Three fields of sixteen values each.
const FIELDS: [Field; 3] = [Field::Sport, Field::Dport, Field::Icmp];
const SIDE: u32 = 8;

// Whether some point of the target is in no earlier blocker.
fn is_left(list: &[([(u32, u32); 3], u8)], target: usize) -> bool {
    let inside = |b: &[(u32, u32); 3], p: [u32; 3]| b.iter().zip(p).all(|(s, v)| s.0 <= v && v <= s.1);
    (0..SIDE.pow(3))
        .map(|n| [n % SIDE, n / SIDE % SIDE, n / SIDE / SIDE])
        .filter(|p| inside(&list[target].0, *p))
        .any(|p| !list[..target].iter().any(|(b, roles)| roles & BLOCKER != 0 && inside(b, p)))
}

fn span() -> impl Strategy<Value = (u32, u32)> {
    prop_oneof![
        2 => Just((0, SIDE - 1)),
        2 => (0..SIDE).prop_map(|v| (v, v)),
        2 => (0..2u32, 0..3u32).prop_map(|(at, bits)| (at << bits, (at << bits) + (1 << bits) - 1)),
        3 => (0..SIDE, 0..SIDE).prop_map(|(a, b)| (a.min(b), a.max(b))),
    ]
}

fn listed() -> impl Strategy<Value = Vec<([(u32, u32); 3], u8)>> {
    let role = prop_oneof![4 => Just(TARGET | BLOCKER), 1 => Just(TARGET)];
    let one = ([span(), span(), span()], role).boxed();
    prop_oneof![prop::collection::vec(one.clone(), 1..40), prop::collection::vec(one, 65..160)]
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn what_is_covered_is_exact(list in listed()) {
        let empty = Firewall::default();
        let whole = Reader::new(&empty, Family::V4).everything();
        let mut boxes = Boxes::new(&FIELDS);
        for (n, (spans, roles)) in list.iter().enumerate() {
            let mut part = whole;
            FIELDS.iter().zip(spans).for_each(|(f, s)| part.spans[f.index()] = *s);
            boxes.push(n, &part, *roles);
        }
        let table = Table::new();
        let found = fates(&boxes, &table, &mut u64::MAX.clone());
        let pairs = short(&boxes, &table);
        for (n, fate) in found.iter().enumerate() {
            prop_assert_eq!(fate.is_left(), is_left(&list, n), "box {} of {:?}", n, list);
            prop_assert_eq!(fate.is_left(), pairs[n].is_left());
            // Those that are named do take all of it.
            let by: Vec<usize> = match fate {
                Fate::Left => continue,
                Fate::Taken(one) => vec![*one as usize],
                Fate::Shared(many) => many.iter().map(|r| *r as usize).collect(),
            };
            let mut fewer: Vec<_> = by.iter().map(|r| list[*r]).collect();
            fewer.push(list[n]);
            prop_assert!(by.iter().all(|r| *r < n) && !is_left(&fewer, by.len()), "{:?} takes {}", by, n);
        }
        // With no work allowed, nothing is claimed that is not so.
        for (n, fate) in fates(&boxes, &table, &mut 0).iter().enumerate() {
            prop_assert!(fate.is_left() || !is_left(&list, n));
        }
    }

    #[test]
    fn a_rule_that_is_not_used_may_do_anything(bytes in prop::collection::vec(any::<u8>(), 400)) {
        let mut d = Dice { bytes: &bytes, at: 0, registers: 1 };
        let o = Options { conditions: d.bytes[399].is_multiple_of(2), nat: d.bytes[398].is_multiple_of(2), loops: d.bytes[397].is_multiple_of(8) };
        let f = random_firewall(&mut d, &o);
        let environment = Environment {
            local: Some(IntervalSet::single(addr::v4(0x0a00_0001))),
            labels: Some(vec!["a".to_owned()]),
            throttled: d.bytes[396].is_multiple_of(2),
            ..Environment::default()
        };
        let unused = unused(&f);
        let mut tried: Vec<Packet> = Vec::new();
        for path in [Path::Input, Path::Forward] {
            tried.extend(packets(&mut d, path, 60));
        }
        // What is kept of a connection that exists is not known, and asked twice it may be two different things.
        tried.retain(|p| !o.conditions || p.get(Field::State) == Some(0));
        for ((chain, rule), found) in unused {
            for action in [Action::Accept, Action::Drop] {
                let mut other = random_firewall(&mut Dice { bytes: &bytes, at: 0, registers: 1 }, &o);
                let changed = &mut other.chains[chain.index()].rules[rule];
                changed.effects = None;
                changed.action = if found.reason == Reason::Strays { Action::Continue } else { action };
                for p in &tried {
                    let before = evaluate(Point { firewalls: &[&f], environment: &environment }, p);
                    let after = evaluate(Point { firewalls: &[&other], environment: &environment }, p);
                    prop_assert_eq!(
                        before.verdict, after.verdict,
                        "rule {} of chain {} {:?}\n{}\n{}", rule, chain.0, found, p, shown(&f, &environment)
                    );
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn without_a_redundant_rule_nothing_changes(bytes in prop::collection::vec(any::<u8>(), 400)) {
        let o = Options { conditions: bytes[399] % 2 == 0, nat: bytes[398] % 2 == 0, loops: false };
        let mut d = Dice { bytes: &bytes, at: 0, registers: 1 };
        let f = random_firewall(&mut d, &o);
        let environment = Environment { throttled: bytes[396] % 2 == 0, ..Environment::default() };
        let gone = unused(&f);
        let found = redundant(&f, &|c, r| gone.iter().any(|(rule, _)| *rule == (c, r)));
        let mut other = random_firewall(&mut Dice { bytes: &bytes, at: 0, registers: 1 }, &o);
        for ((chain, rule), _) in &found {
            other.chains[chain.index()].rules[*rule].action = Action::Continue;
        }
        for path in [Path::Input, Path::Forward] {
            for p in packets(&mut d, path, 60) {
                let before = evaluate(Point { firewalls: &[&f], environment: &environment }, &p);
                let after = evaluate(Point { firewalls: &[&other], environment: &environment }, &p);
                let same = before.verdict == after.verdict
                    || o.conditions && (before.verdict == Verdict::Undecided || after.verdict == Verdict::Undecided);
                prop_assert!(same, "{found:?} {p}\n{}", shown(&f, &environment));
            }
        }
    }
}

// A firewall whose rules ask for two fields of sixteen values; all other packets are accepted first.
fn small(bytes: &[u8], chains: usize) -> Firewall {
    let mut d = bytes.iter().map(|b| u128::from(*b)).chain(std::iter::repeat(0));
    let mut next = |sides: u128| d.next().unwrap_or(0) % sides;
    let mut b = Builder::new("test", vec![SourceFile::new("t", "")], &[Family::V4]);
    let ids: Vec<_> = (0..=chains).map(|i| b.chain("t", &format!("c{i}"), Origin::default())).collect();
    b.base_chain(BaseChain {
        chain: ids[0],
        hook: Hook::Input,
        priority: 0,
        policy: Policy::Drop,
        policy_origin: Origin::default(),
        policy_note: None,
        families: vec![Family::V4],
        kind: ChainKind::Filter,
    });
    let mut place = 0;
    let mut add = |b: &mut Builder, chain: ChainId, terms: &[Term], action: Action| {
        place += 1;
        b.add(chain, Origin::new(0, place, place), terms, action);
    };
    for field in [Field::Src, Field::Dst] {
        let others = field.complement(&IntervalSet::range(addr::v4(0), addr::v4(15)));
        let term = b.field(field, others);
        add(&mut b, ids[0], &[term], Action::Accept);
    }
    for (i, chain) in ids.iter().enumerate() {
        for _ in 0..2 + next(6) {
            let mut terms = Vec::new();
            for field in [Field::Src, Field::Dst] {
                let (lo, hi) = match next(4) {
                    0 => continue,
                    1 => (next(16), 0),
                    2 => (next(16), next(8)),
                    _ => (next(4) * 4, 3 + next(2) * 4),
                };
                let set = IntervalSet::range(addr::v4(0) + lo, addr::v4(0) + (lo + hi).min(15));
                terms.push(b.field(field, set));
            }
            let below = &ids[i + 1..];
            let action = match next(8) {
                0..=2 => Action::Accept,
                3 | 4 => Action::Drop,
                5 => Action::Return,
                6 if !below.is_empty() => Action::Jump(below[next(below.len() as u128) as usize]),
                7 if !below.is_empty() => Action::Goto(below[next(below.len() as u128) as usize]),
                6 => Action::Reject,
                _ => Action::Continue,
            };
            add(&mut b, *chain, &terms, action);
        }
    }
    b.finish()
}

// The places of rules that apply to some packet.
fn applied(f: &Firewall) -> std::collections::BTreeSet<Origin> {
    let environment = Environment::default();
    let mut out = std::collections::BTreeSet::new();
    for n in 0..17 * 17 {
        let mut v: [Value; Field::COUNT] = [0; Field::COUNT];
        v[Field::Proto.index()] = 17;
        v[Field::Src.index()] = addr::v4(0) + n % 17;
        v[Field::Dst.index()] = addr::v4(0) + n / 17;
        let packet = Packet::from_values(Path::Input, &v, 0);
        let trace = evaluate(Point { firewalls: &[f], environment: &environment }, &packet);
        out.extend(trace.steps.iter().map(|s| s.origin));
    }
    out
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn every_rule_that_no_packet_meets_is_found(bytes in prop::collection::vec(any::<u8>(), 200), chains in 0usize..4) {
        let f = small(&bytes, chains);
        let applied = applied(&f);
        let found = unused(&f);
        for ((chain, rule), why) in &found {
            // The last reason is about what a rule decides, not about what it meets.
            if why.reason != Reason::Strays {
                prop_assert!(!applied.contains(&f.chain(*chain).rules[*rule].origin), "{:?}", why);
            }
        }
        if chains == 0 {
            for (n, rule) in f.chain(ChainId(0)).rules.iter().enumerate().skip(2) {
                let told = found.iter().any(|((_, r), _)| *r == n);
                prop_assert_eq!(told, !applied.contains(&rule.origin), "rule {}\n{}", n, shown(&f, &Environment::default()));
            }
        }
    }
}

// Of rules in chains, nearly all are found too: what enters a chain is known but for hulls.
#[test]
fn few_unused_rules_of_chains_are_missed() {
    let (mut all, mut told) = (0, 0);
    let mut state = 7u64;
    for _ in 0..200 {
        let bytes: Vec<u8> = (0..200)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as u8
            })
            .collect();
        let f = small(&bytes, 3);
        let applied = applied(&f);
        let entered = |c: usize| f.chains[c].rules.iter().any(|r| applied.contains(&r.origin));
        let unused = unused(&f);
        for c in (0..f.chains.len()).filter(|c| entered(*c)) {
            for (n, rule) in f.chains[c].rules.iter().enumerate() {
                if !applied.contains(&rule.origin) {
                    all += 1;
                    told += usize::from(unused.iter().any(|((chain, r), _)| chain.index() == c && *r == n));
                }
            }
        }
    }
    assert!(all > 400 && told * 100 >= all * 97, "{told} of {all}");
}
