//! Region decisions against the one-packet evaluator, on random firewalls.

use super::*;
use crate::analysis::evaluate::evaluate;
use crate::analysis::{Environment, Verdict};
use crate::model::*;
use crate::packet::{Packet, Value, addr, interface_value, opening_state};
use crate::source::{Origin, SourceFile};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

// Choices drawn from bytes, so that a failing case shrinks.
pub(in crate::analysis) struct Dice<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    // Tests of registers that the rule at hand may still get: two of one rule are one unknown to the evaluator.
    pub registers: usize,
}

impl Dice<'_> {
    fn roll(&mut self, sides: usize) -> usize {
        let b = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        b as usize % sides
    }

    pub(in crate::analysis) fn chance(&mut self, one_in: usize) -> bool {
        self.roll(one_in) == one_in - 1
    }
}

const SMALL: u128 = 6;

fn base_of(field: Field) -> Value {
    match field {
        // Apart: the kind of an address is one fact to the evaluator whichever field holds it, and two here.
        Field::Src => addr::v4(0x0a00_0100),
        Field::Dst => addr::v4(0x0a00_0000),
        _ => 0,
    }
}

/// The first three of a field's values.
pub(super) fn near(field: Field) -> IntervalSet {
    IntervalSet::range(base_of(field), base_of(field) + 2)
}

// Values that tests and packets use of a field: few, so that rules meet packets.
fn domain(field: Field) -> Vec<Value> {
    match field {
        Field::Iif | Field::Oif => ["eth0", "eth1", "lo"].map(|n| interface_value(n).unwrap()).to_vec(),
        Field::State => [0, 0, 1, 3, 4].to_vec(),
        Field::Proto => [6, 6, 17, 1].to_vec(),
        Field::Icmp => [8 << 8, 3 << 8].to_vec(),
        Field::TcpFlags => [2, 16].to_vec(),
        Field::Mac => [0].to_vec(),
        _ => (0..SMALL).map(|v| base_of(field) + v).collect(),
    }
}

fn random_set(d: &mut Dice<'_>, field: Field) -> IntervalSet {
    let values = domain(field);
    match d.roll(5) {
        0 => field.complement(&IntervalSet::single(values[d.roll(values.len())])),
        1 | 2 => IntervalSet::single(values[d.roll(values.len())]),
        3 => [values[d.roll(values.len())], values[d.roll(values.len())]].into_iter().collect(),
        _ => {
            let (a, b) = (values[d.roll(values.len())], values[d.roll(values.len())]);
            IntervalSet::range(a.min(b), a.max(b))
        }
    }
}

const TERM_FIELDS: [Field; 9] = [
    Field::Dport,
    Field::Src,
    Field::Dst,
    Field::Proto,
    Field::State,
    Field::Iif,
    Field::Icmp,
    Field::TcpFlags,
    Field::Oif,
];

pub(in crate::analysis) struct Options {
    pub conditions: bool,
    pub nat: bool,
    pub loops: bool,
}

fn random_term(d: &mut Dice<'_>, b: &mut Builder, o: &Options, depth: usize) -> Term {
    let kinds = if o.conditions { 13 } else { 5 };
    match d.roll(kinds) {
        0..=3 => {
            let field = TERM_FIELDS[d.roll(TERM_FIELDS.len())];
            let set = random_set(d, field);
            b.field(field, set)
        }
        4 if depth < 2 => {
            let n = 1 + d.roll(3);
            let alternatives = (0..n)
                .map(|_| {
                    let n = 1 + d.roll(2);
                    (0..n).map(|_| random_term(d, b, o, depth + 1)).collect()
                })
                .collect();
            b.any(alternatives)
        }
        5 if d.registers > 0 => {
            d.registers -= 1;
            b.register(Register::Mark, d.roll(2) as u32, 1, d.chance(3))
        }
        6 => b.opaque(["X", "Y", "Z"][d.roll(3)], "", d.chance(2), Origin::default()),
        7 => {
            let kind = match d.roll(3) {
                0 => ConditionKind::Volatile,
                n => ConditionKind::Rate { unthrottled: n == 1 },
            };
            let c = b.condition("limit", "", kind, Origin::default());
            Term::opaque(c, d.chance(3))
        }
        8 => Term::AddressType {
            field: if d.chance(2) { Field::Src } else { Field::Dst },
            types: [AddressTypes::LOCAL, AddressTypes::UNICAST, AddressTypes::MULTICAST][d.roll(3)],
            negated: d.chance(2),
        },
        9 => Term::Label(b.label(["a", "b"][d.roll(2)])),
        10 if d.registers > 0 => {
            d.registers -= 1;
            let register = if d.chance(3) { Register::SrcNat } else { Register::DstNat };
            b.register(register, 1, 1, d.chance(3))
        }
        11 => {
            let field = [Field::Src, Field::Dst, Field::Dport][d.roll(3)];
            let set = random_set(d, field);
            Term::Original(field, b.set(set))
        }
        12 => {
            let mask = [1u128, 2, 5, 0xff][d.roll(4)];
            let field = [Field::Src, Field::Dst, Field::Dport][d.roll(3)];
            b.masked(field, mask, d.roll(6) as u128 & mask, d.chance(2))
        }
        _ => b.protocol(6),
    }
}

fn random_translation(d: &mut Dice<'_>, b: &mut Builder) -> Action {
    let end = if d.chance(4) { TranslatedEnd::Source } else { TranslatedEnd::Destination };
    let lo = base_of(Field::Dst) + d.roll(SMALL as usize) as u128;
    let (address, netmap) = match d.roll(5) {
        0 => (None, false),
        1 => (Some((lo, lo + 1)), false),
        2 => (Some((base_of(Field::Dst) + 4, base_of(Field::Dst) + 5)), true),
        _ => (Some((lo, lo)), false),
    };
    let port = match d.roll(4) {
        0 => Some((3, 3)),
        1 => Some((2, 4)),
        _ => None,
    };
    let t = Translation {
        end,
        address,
        port,
        port_from: port.filter(|_| d.chance(2)).map(|(a, b)| (a - 1, b - 1)),
        own: d.chance(8),
        one_of: d.chance(8).then(|| b.set(random_set(d, Field::Dst))),
        unknown: d.chance(12),
        identity: d.chance(8),
        netmap,
    };
    Action::Translate(b.translation(t))
}

pub(in crate::analysis) fn random_firewall(d: &mut Dice<'_>, o: &Options) -> Firewall {
    let mut b = Builder::new("test", vec![SourceFile::new("t", "")], &[Family::V4]);
    let bases = 1 + d.roll(3);
    let users = d.roll(4);
    let chains: Vec<_> =
        (0..bases + users).map(|i| b.chain("t", &format!("c{i}"), Origin::default())).collect();
    let hooks = [Hook::Input, Hook::Prerouting, Hook::Input, Hook::Forward];
    let mut place = 0usize;
    for (i, chain) in chains.iter().enumerate() {
        let nat = o.nat && i < bases && d.chance(2);
        if i < bases {
            let policy = match d.roll(8) {
                0..=3 => Policy::Drop,
                7 if o.conditions => {
                    let c = b.condition("policy", "", ConditionKind::Volatile, Origin::default());
                    Policy::Unknown(c)
                }
                _ => Policy::Accept,
            };
            b.base_chain(BaseChain {
                chain: *chain,
                hook: if nat { Hook::Prerouting } else { hooks[d.roll(hooks.len())] },
                priority: d.roll(3) as i32,
                policy: if nat { Policy::Accept } else { policy },
                policy_origin: Origin::new(0, 10_000 + i, 10_000 + i),
                policy_note: None,
                families: vec![Family::V4],
                kind: if nat { ChainKind::Nat } else { ChainKind::Filter },
            });
        }
        for _ in 0..d.roll(6) {
            place += 1;
            let origin = Origin::new(0, place, place);
            let n = d.roll(4);
            d.registers = 1;
            let terms: Vec<_> = (0..n).map(|_| random_term(d, &mut b, o, 0)).collect();
            let target = if o.loops {
                Some(chains[d.roll(chains.len())])
            } else {
                // Only forward, and never into a base chain: no loops.
                let first = (i + 1).max(bases);
                (first < chains.len()).then(|| chains[first + d.roll(chains.len() - first)])
            };
            let action = match d.roll(12) {
                0..=2 => Action::Accept,
                3..=4 => Action::Drop,
                5..=6 => target.map_or(Action::Accept, Action::Jump),
                7 => target.map_or(Action::Drop, Action::Goto),
                8 => Action::Return,
                9 if nat => random_translation(d, &mut b),
                9 => Action::Reject,
                10 if o.conditions && d.chance(2) => {
                    Action::Unknown(b.condition("target", "", ConditionKind::Volatile, Origin::default()))
                }
                _ if nat => random_translation(d, &mut b),
                _ => Action::Continue,
            };
            let mut rule = b.rule(origin, &terms, action);
            if o.conditions && d.chance(4) {
                let effect = match d.roll(8) {
                    5 | 6 => {
                        let field = [Field::Src, Field::Dst, Field::Dport, Field::Proto][d.roll(4)];
                        let set = d.chance(6).then(|| random_set(d, field));
                        b.rewrite(field, set)
                    }
                    7 => Effect::Deliver,
                    0 => Effect::Untrack,
                    1 => Effect::Copy { from: Register::ConnMark, to: Register::Mark, mask: u32::MAX },
                    2 => Effect::Write { register: Register::Mark, mask: 1, value: 1 },
                    3 => Effect::Write { register: Register::ConnMark, mask: u32::MAX, value: 1 },
                    _ => Effect::Write { register: Register::Mark, mask: u32::MAX, value: d.roll(2) as u32 },
                };
                rule.effects = b.effects(&[effect]);
            }
            b.push(*chain, rule);
            // A list of values, as blocklists are.
            if d.chance(10) {
                let field = TERM_FIELDS[d.roll(TERM_FIELDS.len())];
                for _ in 0..8 {
                    place += 1;
                    let set = random_set(d, field);
                    let listed: Vec<_> = std::iter::once(b.field(field, set)).chain(terms.clone()).collect();
                    let one = b.rule(Origin::new(0, place, place), &listed, action);
                    b.push(*chain, one);
                }
            }
        }
    }
    b.finish()
}

pub(super) fn random_region(d: &mut Dice<'_>) -> Region {
    let mut r = Region::all(Family::V4);
    for f in [Field::Src, Field::Dst, Field::Dport, Field::Proto, Field::State, Field::Iif] {
        if d.chance(3) {
            r = r.cut(f, &random_set(d, f));
        }
    }
    r
}

pub(in crate::analysis) fn packets(d: &mut Dice<'_>, path: Path, n: usize) -> Vec<Packet> {
    (0..n)
        .map(|_| {
            let mut v = [0; Field::COUNT];
            for f in Field::ALL {
                let values = domain(f);
                v[f.index()] = values[d.roll(values.len())];
            }
            if d.chance(2) {
                let s = opening_state(v[Field::Proto.index()] as u8, 2, 8);
                v[Field::State.index()] = s.value();
            }
            Packet::from_values(path, &v, 0)
        })
        .collect()
}

// The firewall of a failing case.
pub(in crate::analysis) fn shown(f: &Firewall, e: &Environment) -> String {
    use std::fmt::Write;
    let mut out = format!("{e:?}\n");
    for b in &f.base_chains {
        let _ = writeln!(out, "base {:?} {:?} {:?} {:?} {}", b.chain, b.hook, b.kind, b.policy, b.priority);
    }
    for (i, c) in f.chains.iter().enumerate() {
        for r in &c.rules {
            let terms: Vec<_> = f.terms(r.terms).iter().map(|t| term_shown(f, t)).collect();
            let effects: Vec<_> = f.effects(r).iter().map(|e| effect_shown(f, e)).collect();
            let _ = write!(out, "{i}: {} {} => {}", r.origin.start, terms.join(" & "), effects.join(", "));
            let _ = match r.action {
                Action::Translate(t) => writeln!(out, " {:x?}", f.translations[t.index()]),
                a => writeln!(out, " {a:?}"),
            };
        }
    }
    out
}

fn effect_shown(f: &Firewall, e: &Effect) -> String {
    match e {
        Effect::Rewrite { field, to } => format!("{field:?} := {:?}", f.sets.get(*to)),
        e => format!("{e:?}"),
    }
}

fn term_shown(f: &Firewall, t: &Term) -> String {
    match t {
        Term::In(field, set) => format!("{field:?} in {:?}", f.sets.get(*set)),
        Term::Original(field, set) => format!("original {field:?} in {:?}", f.sets.get(*set)),
        Term::Masked { field, negated, test } => format!("{field:?} bits {negated} {:?}", f.sets.bits(*test)),
        Term::Register { register, negated, test } => {
            format!("{register:?} {negated} {:?}", f.sets.mask(*test))
        }
        Term::Opaque { condition, negated } => {
            format!("{}{:?}", if *negated { "!" } else { "" }, f.condition(*condition))
        }
        Term::Any(a) => {
            let all = f.alternatives[a.index()]
                .iter()
                .map(|r| f.terms(*r).iter().map(|t| term_shown(f, t)).collect::<Vec<_>>().join(" & "));
            format!("any({})", all.collect::<Vec<_>>().join(" | "))
        }
        Term::Range { field, lo, hi } => format!("{field:?} {lo:x}-{hi:x}"),
        t => format!("{t:?}"),
    }
}

// Whether rules ask for single bits of addresses: of all addresses there are too many alternations.
fn asks_bits(f: &Firewall) -> bool {
    let asks = |t: &Term| match t {
        Term::Masked { field, .. } => *field != Field::Dport,
        Term::AddressType { field, .. } => *field == Field::Dst,
        _ => false,
    };
    f.terms.iter().any(asks)
}

fn lists(answer: &Answer, p: &Packet) -> Vec<(Verdict, usize)> {
    let of = |v, l: &[Part]| {
        l.iter().enumerate().filter(|(_, x)| x.region.contains(p)).map(|(i, _)| (v, i)).collect::<Vec<_>>()
    };
    let mut out = of(Verdict::Accept, &answer.accepted);
    out.extend(of(Verdict::Drop, &answer.denied));
    out.extend(of(Verdict::Undecided, &answer.undecided));
    out
}

fn agree(bytes: &[u8], options: &Options) -> Result<(), TestCaseError> {
    let mut d = Dice { bytes, at: 0, registers: 0 };
    let firewall = random_firewall(&mut d, options);
    let environment = Environment {
        local: d.chance(2).then(|| near(Field::Dst)),
        labels: d.chance(2).then(|| vec!["a".to_owned()]),
        throttled: d.chance(4),
        ..Environment::default()
    };
    let firewalls = [&firewall];
    let point = Point { firewalls: &firewalls, environment: &environment };
    let path = if d.chance(3) { Path::Forward } else { Path::Input };
    let mut region = random_region(&mut d);
    // Bits of addresses are exact where there are not too many addresses.
    let near = d.chance(2);
    for f in [Field::Src, Field::Dst].into_iter().filter(|_| near) {
        region = region.cut(f, &IntervalSet::range(base_of(f), base_of(f) + 0x1ff));
    }
    let question = Question { point, path, region, mark: 0, delivered_to: None };
    let packets = packets(&mut d, path, 60);
    // Diagrams follow conditions that hang together as if they did not: less is known to be tracked.
    let walked = by_family(&question).iter().all(|(family, regions)| {
        let walk = begun(&question, *family, regions, FIRST);
        !walk.exhausted && !walk.is_crowded()
    });
    holds(&question, &decide(&question), &packets, options, near, walked)?;
    let mut wide = Answer::default();
    for (family, regions) in by_family(&question) {
        let Some(answer) = wide::answer(&question, (family, &regions), wide::MAX_SHOWN, wide::LIMIT) else {
            return Ok(());
        };
        wide.add(answer);
    }
    holds(&question, &wide, &packets, options, near, false)?;
    let wanted = IntervalSet::range(base_of(Field::Dst) + 1, base_of(Field::Dst) + 2);
    arrives(&Question { delivered_to: Some(wanted), ..question.clone() }, &packets)?;
    for boxes in [FEW, 3] {
        let mut outline = Outline::default();
        for (family, regions) in by_family(&question) {
            let hidden = [Field::Dport, Field::TcpFlags];
            let told = wide::outline(&question, (family, &regions), &hidden, boxes, wide::LIMIT);
            let told = told.expect("what is told exactly is told in brief");
            // A node may have a wide box for each set of verdicts beside the others.
            let (parts, most) =
                (told.answer.accepted.len() + told.partly.len(), 4 * (boxes + 16) * regions.len());
            prop_assert!(parts <= most, "{} parts, at most {} are wanted", parts, most);
            outline.answer.add(told.answer);
            outline.partly.extend(told.partly);
        }
        outlines(&question, &outline, &packets)?;
        for x in outline.partly.iter().filter(|x| x.accepted) {
            let meets = wide.accepted.iter().any(|part| part.region.intersects(&x.region));
            prop_assert!(meets, "nothing of {:?} is let through", x.region);
        }
    }
    Ok(())
}

// Whether what is said of two rulesets, laid on each other, is what the evaluator says of each, however few boxes may be told.
fn differ(bytes: &[u8], options: &Options) -> Result<(), TestCaseError> {
    let mut d = Dice { bytes, at: 0, registers: 0 };
    let old = random_firewall(&mut d, options);
    let new = random_firewall(&mut d, options);
    let (environment, sides) = (Environment::default(), [[&old], [&new]]);
    let path = if d.chance(3) { Path::Forward } else { Path::Input };
    let region = random_region(&mut d);
    let question = |side: usize| Question {
        point: Point { firewalls: &sides[side], environment: &environment },
        path,
        region: region.clone(),
        mark: 0,
        delivered_to: None,
    };
    let questions = [&question(0), &question(1)];
    let packets = packets(&mut d, path, 60);
    let plain = |[a, b]: [(Verdict, bool, bool); 2]| a.0 == b.0 && a.0 != Verdict::Undecided;
    for exact in [wide::DETAIL.exact, 0] {
        let mut told = Compared::default();
        for (family, regions) in by_family(questions[0]) {
            let detail = wide::Detail { exact, wide: 3 };
            match wide::compare(questions, family, &regions, &plain, &detail) {
                Some(compared) => told.add(compared),
                None => return Ok(()),
            }
        }
        for p in packets.iter().filter(|p| region.contains(p)) {
            let verdicts = questions.map(|q| evaluate(q.point, p).verdict);
            let parts: Vec<_> = told.parts.iter().filter(|x| x.0.contains(p)).collect();
            let partly = told.partly.iter().filter(|x| x.region.contains(p)).count();
            prop_assert!(parts.len() + partly <= 1, "{} is in {} and {}", p, parts.len(), partly);
            match parts.first() {
                Some((_, sides)) => {
                    for (side, verdict) in sides.iter().zip(verdicts) {
                        prop_assert!(side.0 == Verdict::Undecided || side.0 == verdict, "{}", p);
                    }
                }
                None => prop_assert!(partly == 1 || verdicts[0] == verdicts[1], "{} is not told", p),
            }
        }
        for x in &told.partly {
            prop_assert!(!x.samples.is_empty());
            for (sample, sides) in &x.samples {
                prop_assert!(x.region.covers(sample) && !sample.is_empty());
                let kind = sides.each_ref().map(|s| s.0);
                prop_assert!(!plain(kind.map(|v| (v, true, true))));
            }
        }
    }
    Ok(())
}

// Whether what is said of packets by where they go in the end, walked or by diagrams, is said of those that the evaluator sends there.
fn arrives(question: &Question<'_>, packets: &[Packet]) -> Result<(), TestCaseError> {
    let Some(wanted) = &question.delivered_to else { return Ok(()) };
    let mut wide = Answer::default();
    for (family, regions) in by_family(question) {
        let Some(answer) = wide::answer(question, (family, &regions), wide::MAX_SHOWN, wide::LIMIT) else {
            return Ok(());
        };
        wide.add(answer);
    }
    for p in packets.iter().filter(|p| question.region.contains(p)) {
        let trace = evaluate(question.point, p);
        let Some(end) = trace.delivered.as_ref().filter(|_| trace.verdict != Verdict::Undecided) else {
            continue;
        };
        for answer in [&decide(question), &wide] {
            match (end.get(Field::Dst).is_some_and(|v| wanted.contains(v)), &lists(answer, p)[..]) {
                (_, [(Verdict::Undecided, _)]) | (false, []) => {}
                (true, [(told, _)]) => prop_assert_eq!(*told, trace.verdict, "{}", p),
                (_, found) => prop_assert!(false, "{} goes to {}: {:?}", p, end, found),
            }
        }
    }
    Ok(())
}

// Whether an outline says nothing of a packet that the evaluator denies.
fn outlines(question: &Question<'_>, outline: &Outline, packets: &[Packet]) -> Result<(), TestCaseError> {
    for p in packets.iter().filter(|p| question.region.contains(p)) {
        let found = lists(&outline.answer, p);
        let partly = outline.partly.iter().filter(|x| x.region.contains(p)).count();
        prop_assert!(found.len() + partly <= 1, "{} is in {:?} and in {} that are mixed", p, found, partly);
        let verdict = evaluate(question.point, p).verdict;
        match found.first() {
            Some((Verdict::Undecided, _)) => {}
            Some((told, _)) => prop_assert_eq!(*told, verdict, "{}", p),
            None if partly == 0 => {
                prop_assert_eq!(verdict, Verdict::Drop, "{} is not told", p);
                prop_assert!(outline.answer.denied.is_empty());
            }
            None => {}
        }
    }
    Ok(())
}

// Whether an answer says of each packet what the evaluator says.
pub(super) fn holds(
    question: &Question<'_>,
    answer: &Answer,
    packets: &[Packet],
    options: &Options,
    near: bool,
    exact: bool,
) -> Result<(), TestCaseError> {
    let (region, point) = (&question.region, question.point);
    let (firewall, environment) = (point.firewalls[0], point.environment);
    for p in packets {
        let found = lists(answer, p);
        if !region.contains(p) {
            prop_assert!(found.is_empty(), "{p} is outside the question, yet in {found:?}");
            continue;
        }
        prop_assert_eq!(found.len(), 1, "{} is in {:?}", p, found);
        let trace = evaluate(point, p);
        if found[0].0 == Verdict::Undecided && options.loops {
            continue;
        }
        if found[0].0 == Verdict::Undecided && !near && asks_bits(firewall) {
            continue;
        }
        if found[0].0 == Verdict::Undecided
            && firewall.translations.iter().any(|t| t.netmap || t.port_from.is_some())
        {
            // Prefixes mapped from very many blocks are only known to give one of the new addresses, and of what is shifted by a known
            // number it is not known whether it comes back to its old value.
            continue;
        }
        let reasons = || {
            answer
                .undecided
                .iter()
                .flat_map(|p| &p.because)
                .map(|b| (&b.text, b.origin.start))
                .collect::<Vec<_>>()
        };
        let followed =
            || trace.steps.iter().map(|s| (s.chain, s.origin.start, &s.result)).collect::<Vec<_>>();
        prop_assert_eq!(
            found[0].0,
            trace.verdict,
            "{} at {}: {} because {:?}, followed {:?}",
            p,
            p.path,
            shown(firewall, environment),
            reasons(),
            followed()
        );
        if trace.verdict == Verdict::Accept {
            let part = &answer.accepted[found[0].1];
            prop_assert!(!part.tracked || trace.tracked, "{} is not tracked", p);
            prop_assert!(
                part.tracked || !trace.tracked || options.loops || !exact,
                "{} is tracked: {}, followed {:?}",
                p,
                shown(firewall, environment),
                followed()
            );
        }
    }
    for part in answer.accepted.iter().chain(&answer.denied).chain(&answer.undecided) {
        let by = witness(question, part);
        prop_assert!(by.is_some(), "no witness for {part:?}: {}", shown(firewall, environment));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), rng_seed: seed(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plain_rules_agree_with_the_evaluator(bytes in prop::collection::vec(any::<u8>(), 400..700)) {
        agree(&bytes, &Options { conditions: false, nat: false, loops: false })?;
    }

    #[test]
    fn conditions_and_marks_agree_with_the_evaluator(bytes in prop::collection::vec(any::<u8>(), 400..700)) {
        agree(&bytes, &Options { conditions: true, nat: false, loops: false })?;
    }

    #[test]
    fn translations_agree_with_the_evaluator(bytes in prop::collection::vec(any::<u8>(), 400..700)) {
        agree(&bytes, &Options { conditions: false, nat: true, loops: false })?;
    }

    #[test]
    fn everything_together_agrees_with_the_evaluator(bytes in prop::collection::vec(any::<u8>(), 400..700)) {
        agree(&bytes, &Options { conditions: true, nat: true, loops: false })?;
    }

    #[test]
    fn two_rulesets_on_each_other_agree_with_the_evaluator(bytes in prop::collection::vec(any::<u8>(), 800..1400)) {
        differ(&bytes, &Options { conditions: true, nat: true, loops: false })?;
    }

    #[test]
    fn loops_claim_nothing_that_the_evaluator_denies(bytes in prop::collection::vec(any::<u8>(), 400..700)) {
        agree(&bytes, &Options { conditions: true, nat: true, loops: true })?;
    }
}

// The same rulesets in every run; others with HAVENLINT_SEED=1.
pub(super) fn seed() -> RngSeed {
    RngSeed::Fixed(std::env::var("HAVENLINT_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(20081))
}

// More with HAVENLINT_CASES=10000.
pub(super) fn cases() -> u32 {
    std::env::var("HAVENLINT_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(150)
}

/// An IPv4 chain that filters at a hook.
pub(super) fn base_chain(b: &mut Builder, name: &str, hook: Hook, policy: Policy) -> ChainId {
    let chain = b.chain("t", name, Origin::default());
    b.base_chain(BaseChain {
        chain,
        hook,
        priority: 0,
        policy,
        policy_origin: Origin::default(),
        policy_note: None,
        families: vec![Family::V4],
        kind: ChainKind::Filter,
    });
    chain
}

// A packet for the box that a rule sends on passes the hooks before routing once: a mark that they put there is not seen by them.
#[test]
fn packets_that_are_sent_on_pass_no_hook_twice() {
    let mut b = Builder::new("test", vec![SourceFile::new("t", "")], &[Family::V4]);
    let before = base_chain(&mut b, "before", Hook::Prerouting, Policy::Drop);
    base_chain(&mut b, "in", Hook::Input, Policy::Drop);
    base_chain(&mut b, "on", Hook::Forward, Policy::Accept);
    let unmarked = b.register(Register::Mark, 0, 1, false);
    let mut rule = b.rule(Origin::default(), &[unmarked], Action::Accept);
    let elsewhere = b.rewrite(Field::Dst, Some(IntervalSet::single(addr::v4(0x0a00_0105))));
    rule.effects =
        b.effects(&[Effect::Write { register: Register::Mark, mask: u32::MAX, value: 1 }, elsewhere]);
    b.push(before, rule);
    let f = b.finish();
    let environment =
        Environment { local: Some(IntervalSet::single(addr::v4(0x0a00_0001))), ..Environment::default() };
    let point = Point { firewalls: &[&f], environment: &environment };
    let region = Region::all(Family::V4);
    let question = Question { point, path: Path::Input, region, mark: 0, delivered_to: None };
    let answer = decide(&question);
    assert_eq!((answer.denied.len(), answer.undecided.len()), (0, 0));
    assert!(!answer.accepted.is_empty());
}
