//! Who lets packets in, against the one-packet evaluator, on random firewalls: walked, by diagrams, and where only little may be told.

use super::tests::{Dice, Options, cases, packets, random_firewall, random_region, seed, shown};
use super::*;
use crate::analysis::evaluate::evaluate;
use crate::analysis::{Environment, Verdict};
use crate::model::Firewall;
use crate::packet::Packet;
use proptest::prelude::*;

// Where the evaluator follows one way only, and so names the one who decides for certain.
fn one_way(f: &Firewall, options: &Options) -> bool {
    let single = |t: &crate::model::Translation| {
        t.address.is_none_or(|(a, b)| a == b)
            && t.port.is_none_or(|(a, b)| a == b)
            && t.one_of.is_none()
            && !t.own
    };
    !options.conditions && f.translations.iter().all(single)
}

fn by_diagrams(question: &Question<'_>, detail: &Detail<'_>) -> Option<ByRule> {
    let mut all = ByRule::default();
    for (family, regions) in by_family(question) {
        all.add(wide::by_rule(question, (family, &regions), detail, &mut { wide::LIMIT })?);
    }
    Some(all)
}

fn agree(bytes: &[u8], options: &Options) -> Result<(), TestCaseError> {
    let mut d = Dice { bytes, at: 0, registers: 0 };
    let firewall = random_firewall(&mut d, options);
    let environment = Environment {
        local: d.chance(2).then(|| super::tests::near(Field::Dst)),
        labels: d.chance(2).then(|| vec!["a".to_owned()]),
        throttled: d.chance(4),
        ..Environment::default()
    };
    let firewalls = [&firewall];
    let point = Point { firewalls: &firewalls, environment: &environment };
    let path = if d.chance(3) { Path::Forward } else { Path::Input };
    let question = Question { point, path, region: random_region(&mut d), mark: 0, delivered_to: None };
    let packets = packets(&mut d, path, 60);
    let port = [(6, IntervalSet::single(2u8))];
    let all = Detail { ways: usize::MAX, parts: usize::MAX, first: &port };
    let walked = decide_by_rule(&question, &all, &mut { FIRST });
    prop_assert!(walked.exhausted || walked.untold.is_empty());
    told(&question, &walked, &packets, one_way(&firewall, options))?;
    for detail in [all, Detail { ways: 2, ..all }, Detail { parts: 1, ..all }] {
        let Some(wide) = by_diagrams(&question, &detail) else { return Ok(()) };
        prop_assert!(!wide.exhausted);
        told(&question, &wide, &packets, one_way(&firewall, options))?;
    }
    Ok(())
}

// Whether each packet that is let in is told, with the one who does it, or else it is told that not all of his are; and no other packet is.
fn told(
    question: &Question<'_>,
    answer: &ByRule,
    packets: &[Packet],
    one_way: bool,
) -> Result<(), TestCaseError> {
    let f = question.point.firewalls[0];
    for p in packets.iter().filter(|p| question.region.contains(p)) {
        let of = |parts: &[Part]| -> Vec<Option<Decider>> {
            let own = parts.iter().filter(|x| x.region.contains(p));
            own.map(|x| x.decided_by.iter().find(|d| d.verdict == Verdict::Accept).copied()).collect()
        };
        let (open, perhaps) = (of(&answer.accepted), of(&answer.undecided));
        let trace = evaluate(question.point, p);
        prop_assert!(open.len() + perhaps.len() <= 1, "{} is told twice", p);
        let context = || format!("{p} at {}: {}", p.path, shown(f, question.point.environment));
        match trace.verdict {
            Verdict::Drop => prop_assert!(open.is_empty(), "{}", context()),
            Verdict::Undecided => prop_assert!(open.is_empty(), "{}", context()),
            Verdict::Accept => match open.first() {
                Some(by) if one_way => prop_assert_eq!(*by, trace.decided_by, "{}", context()),
                Some(_) => {}
                None => {
                    let untold = match one_way {
                        true => answer.untold.contains(&trace.decided_by),
                        false => !answer.untold.is_empty(),
                    };
                    let known = answer.exhausted || untold || !perhaps.is_empty();
                    prop_assert!(known, "not told: {}, but {:?}", context(), answer.untold);
                }
            },
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), rng_seed: seed(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rules_that_let_in_are_those_of_the_evaluator(bytes in prop::collection::vec(any::<u8>(), 400..700)) {
        agree(&bytes, &Options { conditions: false, nat: false, loops: false })?;
    }

    #[test]
    fn rules_that_let_in_what_is_sent_on(bytes in prop::collection::vec(any::<u8>(), 400..700)) {
        agree(&bytes, &Options { conditions: false, nat: true, loops: false })?;
    }

    #[test]
    fn rules_that_let_in_under_conditions(bytes in prop::collection::vec(any::<u8>(), 400..700)) {
        agree(&bytes, &Options { conditions: true, nat: true, loops: false })?;
    }
}
