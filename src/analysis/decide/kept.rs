//! Answers about very many rules, kept for the questions that follow.
//!
//! Requirements ask one box much the same again and again: who gets in at a port, who of the Internet does, who from any source port. Where an
//! answer takes diagrams of very many rules, it is made for more packets than were asked for, if that touches hardly more rules, and the
//! questions that follow are read off it.

use super::wide::{self, MAX_SHOWN};
use super::witness::natural;
use super::{Answer, Part, Question, by_family};
use crate::analysis::{Environment, Verdict};
use crate::packet::{Family, Field, IntervalSet, Path, Region};
use std::sync::{Arc, Mutex, PoisonError};

/// Answers about one box. Empty at first.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Vec<Arc<Known>>>);

#[derive(Debug)]
struct Known {
    asked: Asked,
    regions: Vec<Region>,
    answer: Answer,
    // How many rules packets of the regions may touch.
    rules: u64,
}

// What must be the same of two questions but for their packets. Firewalls are known by where they are: they outlive what is kept of them.
#[derive(Debug, PartialEq)]
struct Asked {
    firewalls: Vec<usize>,
    environment: Environment,
    path: Path,
    family: Family,
    mark: u32,
    delivered_to: Option<IntervalSet>,
}

/// Fields of which all packets are asked about, if that touches hardly more rules.
const WIDENED: [Field; 6] = [Field::Src, Field::Dst, Field::Iif, Field::Oif, Field::Sport, Field::TcpFlags];
/// Answers of one box that are kept.
const MOST: usize = 8;

impl Asked {
    fn of(question: &Question<'_>, family: Family) -> Self {
        Self {
            firewalls: question.point.firewalls.iter().map(|f| std::ptr::from_ref(*f) as usize).collect(),
            environment: question.point.environment.clone(),
            path: question.path,
            family,
            mark: question.mark,
            delivered_to: question.delivered_to.clone(),
        }
    }
}

impl Kept {
    fn list(&self) -> Vec<Arc<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The answer for packets of one family, in diagrams or by those that were made before; see [`wide::answer`].
    pub(super) fn answer(
        &self,
        question: &Question<'_>,
        family: Family,
        regions: &[Region],
        limit: u64,
    ) -> Option<Answer> {
        let asked = Asked::of(question, family);
        let mut known = self.list();
        known.retain(|k| k.asked == asked);
        if let Some(answer) = read_off(&known, question, regions) {
            return Some(answer);
        }
        let wider = Question { region: question.region.widened(&WIDENED), ..question.clone() };
        let more: Vec<Region> =
            by_family(&wider).into_iter().filter(|(f, _)| *f == family).flat_map(|(_, r)| r).collect();
        let few = wide::touched(question, family, regions);
        let rules = wide::touched(&wider, family, &more);
        if rules <= few + few / 4
            && let Some(answer) = wide::answer(&wider, (family, &more), 0, limit / 4).filter(can_be_cut)
        {
            let new = self.keep(Known { asked, regions: more, answer, rules });
            return read_off(&[new], question, regions);
        }
        let answer = wide::answer(question, (family, regions), MAX_SHOWN, limit)?;
        if can_be_cut(&answer) {
            self.keep(Known { asked, regions: regions.to_vec(), answer: answer.clone(), rules: few });
        }
        Some(answer)
    }

    fn keep(&self, new: Known) -> Arc<Known> {
        let new = Arc::new(new);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MOST {
            all.push(Arc::clone(&new));
        }
        new
    }
}

// What is left to be told apart, or goes elsewhere, is not known of fewer packets.
fn can_be_cut(answer: &Answer) -> bool {
    !answer.exhausted && answer.parts().all(|(_, p)| p.translated.is_none())
}

// What is known of all packets of some regions; `None` if that is not all of them.
fn read_off(known: &[Arc<Known>], question: &Question<'_>, regions: &[Region]) -> Option<Answer> {
    let mut left = regions.to_vec();
    let mut pieces: Vec<(Verdict, &Part, Region)> = Vec::new();
    for k in known {
        let here: Vec<Region> = left
            .iter()
            .flat_map(|r| k.regions.iter().map(|of| r.intersect(of)))
            .filter(|r| !r.is_empty())
            .collect();
        if here.is_empty() {
            continue;
        }
        left = Region::minus_all(left, &k.regions);
        for (verdict, part) in k.answer.parts() {
            let cut = here.iter().map(|r| part.region.intersect(r)).filter(|r| !r.is_empty());
            pieces.extend(cut.map(|region| (verdict, part, region)));
        }
        if left.is_empty() {
            break;
        }
    }
    if !left.is_empty() {
        return None;
    }
    // The largest are told well.
    let mut weighed: Vec<_> = pieces.into_iter().map(|p| (p.2.weight(), p)).collect();
    weighed.sort_by(|a, b| b.0.total_cmp(&a.0));
    let rules = known.iter().map(|k| k.rules).max().unwrap_or(0);
    let mut shown = MAX_SHOWN;
    let mut answer = Answer::default();
    for (_, (verdict, part, region)) in weighed {
        let mut part = Part {
            region,
            decided_by: Vec::new(),
            because: part.because.clone(),
            assumed: part.assumed.clone(),
            tracked: part.tracked,
            translated: None,
        };
        if shown > 0
            && let Some(packet) = natural(question, &part)
        {
            shown = shown.saturating_sub(rules + 64);
            wide::show(question, &packet, verdict, &mut part);
        }
        answer.list(verdict).push(part);
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{
        Dice, Options, base_chain, cases, holds, packets, random_firewall, random_region, seed,
    };
    use super::*;
    use crate::analysis::Point;
    use crate::model::*;
    use crate::packet::addr;
    use crate::source::{Origin, SourceFile};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: cases(), rng_seed: seed(), failure_persistence: None, ..ProptestConfig::default() })]

        // Whether questions are answered as by themselves, whatever was asked before.
        #[test]
        fn what_is_read_off_agrees_with_the_evaluator(bytes in prop::collection::vec(any::<u8>(), 500..900)) {
            let mut d = Dice { bytes: &bytes, at: 0, registers: 0 };
            let options = Options { conditions: true, nat: false, loops: false };
            let firewall = random_firewall(&mut d, &options);
            let (firewalls, environment) = ([&firewall], Environment::default());
            let point = Point { firewalls: &firewalls, environment: &environment };
            let kept = Kept::default();
            for path in [Path::Input, Path::Forward, Path::Input, Path::Input] {
                let question = Question { point, path, region: random_region(&mut d), mark: 0, delivered_to: None };
                let mut answer = Answer::default();
                for (family, regions) in by_family(&question) {
                    let Some(part) = kept.answer(&question, family, &regions, wide::LIMIT) else { return Ok(()) };
                    answer.add(part);
                }
                let packets = packets(&mut d, path, 40);
                holds(&question, &answer, &packets, &options, false, false)?;
            }
        }
    }

    #[test]
    fn a_narrower_question_is_read_off_a_wider_one() {
        let mut b = Builder::new("test", vec![SourceFile::new("t", "")], &[Family::V4]);
        let chain = base_chain(&mut b, "in", Hook::Input, Policy::Drop);
        let terms = [
            b.field(Field::Src, addr::parse("192.0.2.0/24").unwrap()),
            b.protocol(6),
            b.field(Field::Dport, IntervalSet::single(22u16)),
        ];
        let rule = b.rule(Origin::default(), &terms, Action::Accept);
        b.push(chain, rule);
        let firewall = b.finish();
        let (firewalls, environment) = ([&firewall], Environment::default());
        let question = |from: &str, port: u16| Question {
            point: Point { firewalls: &firewalls, environment: &environment },
            path: Path::Input,
            region: Path::Input
                .packets(Family::V4)
                .protocol(6)
                .cut(Field::Src, &addr::parse(from).unwrap())
                .cut(Field::Dport, &IntervalSet::single(port)),
            mark: 0,
            delivered_to: None,
        };
        let kept = Kept::default();
        let ask = |q: &Question<'_>| {
            let (family, regions) = by_family(q).remove(0);
            kept.answer(q, family, &regions, wide::LIMIT).unwrap()
        };
        let answer = ask(&question("192.0.2.7", 22));
        assert!(answer.denied.is_empty());
        assert!(answer.accepted[0].decided_by.iter().any(|d| d.verdict == Verdict::Accept));
        let answer = ask(&question("198.51.100.0/24", 22));
        assert!(answer.accepted.is_empty());
        assert!(answer.denied[0].decided_by.iter().any(|d| d.verdict == Verdict::Drop));
        assert_eq!(kept.list().len(), 1, "sources that the first question did not ask for are known too");
        ask(&question("192.0.2.7", 23));
        assert_eq!(kept.list().len(), 2, "another port is another answer");
    }
}
