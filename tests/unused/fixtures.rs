//! Every fixture: a rule to which no packet is left may do anything, and no packet meets it.

use havenlint::analysis::coverage::{Reason, contradicted, redundant, unused};
use havenlint::analysis::decide::{Question, compare};
use havenlint::analysis::{Environment, Point, evaluate::evaluate};
use havenlint::dialect::{Dialect, ReadOptions, Role, detect};
use havenlint::model::{Action, Firewall, Hook, Term};
use havenlint::packet::{Family, Field, Packet, Path, Value, addr, interface_value};
use havenlint::source::SourceFile;
use std::collections::BTreeSet;
use std::sync::Arc;
use walkdir::WalkDir;

// The same numbers in every run (Vigna, SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

// Values of each field at the edges of what rules ask for.
fn values(f: &Firewall, field: Field, family: Family) -> Vec<Value> {
    let mut out: BTreeSet<Value> = match field {
        Field::Iif | Field::Oif => [interface_value("eth9").unwrap(), interface_value("lo").unwrap()].into(),
        Field::State => (0..=4).collect(),
        Field::Src | Field::Dst if family == Family::V4 => [addr::v4(0xc000_0205)].into(),
        Field::Src | Field::Dst => [0x2001_0db8 << 96 | 5].into(),
        Field::Proto => [1, 6, 17, 58].into(),
        Field::TcpFlags => [2, 16, 18, 0].into(),
        _ => [0, 22, 40_000].into(),
    };
    for term in &f.terms {
        let ends: Vec<(Value, Value)> = match *term {
            Term::Range { field: of, lo, hi } if of == field && lo <= hi => {
                vec![(Term::base(of) + Value::from(lo), Term::base(of) + Value::from(hi))]
            }
            Term::In(of, set) if of == field => f.sets.get(set).ranges().iter().take(20).copied().collect(),
            _ => continue,
        };
        for (lo, hi) in ends {
            out.extend([lo, hi, lo.saturating_sub(1), hi.saturating_add(1).min(field.max())]);
        }
    }
    let fits = |v: &Value| !matches!(field, Field::Src | Field::Dst) || addr::family(*v) == family;
    out.into_iter().filter(fits).collect()
}

fn packets(f: &Firewall, n: usize) -> Vec<Packet> {
    let mut random = Random(1);
    let mut out = Vec::new();
    for family in Family::ALL.into_iter().filter(|family| f.covers(*family)) {
        let values = Field::ALL.map(|field| values(f, field, family));
        for i in 0..n {
            let path = Path::ALL[i % Path::ALL.len()];
            let mut v = [0; Field::COUNT];
            for field in Field::ALL {
                let all = &values[field.index()];
                v[field.index()] = all[random.below(all.len())];
            }
            out.push(Packet::from_values(path, &v, 0));
        }
    }
    out
}

// All fixtures with rules, and the dialects that read them.
fn rulesets() -> impl Iterator<Item = (String, Arc<SourceFile>, &'static dyn Dialect)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
    let files = WalkDir::new(root).sort_by_file_name().into_iter().flatten();
    files.filter(|e| e.file_type().is_file()).filter_map(|entry| {
        let name = entry.path().display().to_string();
        let file = SourceFile::new(name.clone(), std::fs::read(entry.path()).unwrap());
        match detect(file.bytes()) {
            Some((dialect, Role::Rules)) if !name.contains("refused") => Some((name, file, dialect)),
            _ => None,
        }
    })
}

#[test]
fn no_packet_meets_an_unused_rule() {
    let (mut firewalls, mut rules, mut alike) = (0, 0, 0);
    for (name, file, dialect) in rulesets() {
        let f = dialect.read(std::slice::from_ref(&file), &ReadOptions::default());
        firewalls += 1;
        let found = unused(&f);
        let places: BTreeSet<_> = found.iter().map(|(rule, _)| *rule).collect();
        let missing = redundant(&f, &|c, r| places.contains(&(c, r)));
        if found.is_empty() && missing.is_empty() {
            continue;
        }
        let environment = Environment { throttled: true, forged: true, ..Environment::default() };
        let packets = packets(&f, 400);
        let point = [&f];
        let before: Vec<_> = packets
            .iter()
            .map(|p| evaluate(Point { firewalls: &point, environment: &environment }, p))
            .collect();
        let places: BTreeSet<_> = found
            .iter()
            .filter(|(_, why)| why.reason != Reason::Strays)
            .map(|((c, r), _)| f.chain(*c).rules[*r].origin)
            .collect();
        for (p, trace) in packets.iter().zip(&before) {
            for step in &trace.steps {
                assert!(!places.contains(&step.origin), "{p} meets {} of {name}", f.locate(step.origin).text);
            }
        }
        rules += found.len();
        alike += missing.len();
        // Without the redundant ones, all at once, everything is as before.
        let mut other = dialect.read(std::slice::from_ref(&file), &ReadOptions::default());
        for ((chain, rule), _) in &missing {
            other.chains[chain.index()].rules[*rule].action = Action::Continue;
        }
        for (p, before) in packets.iter().zip(&before) {
            let after = evaluate(Point { firewalls: &[&other], environment: &environment }, p);
            assert_eq!(before.verdict, after.verdict, "{p} in {name}");
        }
        for turned in [Action::Accept, Action::Drop] {
            let mut other = dialect.read(std::slice::from_ref(&file), &ReadOptions::default());
            for ((chain, rule), why) in &found {
                let rule = &mut other.chains[chain.index()].rules[*rule];
                (rule.action, rule.effects) = match why.reason {
                    Reason::Strays => (Action::Continue, None),
                    _ => (turned, None),
                };
            }
            let point = [&other];
            for (p, before) in packets.iter().zip(&before) {
                let after = evaluate(Point { firewalls: &point, environment: &environment }, p);
                assert_eq!(before.verdict, after.verdict, "{p} in {name}");
            }
        }
    }
    assert!(
        firewalls >= 40 && rules >= 20 && alike >= 3,
        "{rules} and {alike} rules of {firewalls} firewalls"
    );
}

#[test]
fn rules_that_contradict_each_other_change_verdicts_when_they_are_swapped() {
    let mut swapped = 0;
    for (name, file, dialect) in rulesets() {
        let read = || dialect.read(std::slice::from_ref(&file), &ReadOptions::default());
        let f = read();
        for ((chain, later), earlier) in contradicted(&f, &|_, _| false).into_iter().take(20) {
            let Some(base) = f.base_chains.iter().find(|b| b.chain == chain) else { continue };
            let mut other = read();
            // The later rule before the earlier one.
            let rule = other.chains[chain.index()].rules.remove(later);
            other.chains[chain.index()].rules.insert(earlier as usize, rule);
            let environment = Environment::default();
            let path = *Path::ALL.iter().find(|p| Hook::on(**p).contains(&base.hook)).unwrap();
            let (old, new) = ([&f], [&other]);
            let question = |firewalls, family| Question {
                point: Point { firewalls, environment: &environment },
                path,
                region: path.packets(family),
                mark: 0,
                delivered_to: None,
            };
            let differ = |family: &Family| {
                let questions = [&question(&old, *family), &question(&new, *family)];
                !compare(questions, &|[a, b]| a.0 == b.0).expect("few cases").is_empty()
            };
            let line = f.locate(f.chain(chain).rules[later].origin);
            assert!(base.families.iter().any(differ), "{name}:{} and rule {earlier}", line.line);
            swapped += 1;
        }
    }
    assert!(swapped >= 3, "{swapped}");
}
