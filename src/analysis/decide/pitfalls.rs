//! What went wrong in other programs, or could: one test each.

use super::walk::Walk;
use super::*;
use crate::analysis::evaluate::evaluate;
use crate::analysis::{Environment, Verdict};
use crate::model::*;
use crate::packet::{ConnState, Value, addr, proto};
use crate::source::{Origin, SourceFile};

struct Bench {
    b: Builder,
    place: usize,
}

impl Bench {
    fn new() -> Self {
        Self { b: Builder::new("test", vec![SourceFile::new("t", "")], &Family::ALL), place: 0 }
    }

    fn base(&mut self, hook: Hook, kind: ChainKind, policy: Policy) -> ChainId {
        let chain = self.b.chain("t", hook.name(), Origin::default());
        self.b.base_chain(BaseChain {
            chain,
            hook,
            priority: 0,
            policy,
            policy_origin: Origin::default(),
            policy_note: None,
            families: Family::ALL.to_vec(),
            kind,
        });
        chain
    }

    fn input(&mut self, policy: Policy) -> ChainId {
        self.base(Hook::Input, ChainKind::Filter, policy)
    }

    fn chain(&mut self) -> ChainId {
        let n = self.b.firewall().chains.len();
        self.b.chain("t", &format!("c{n}"), Origin::default())
    }

    fn add(&mut self, chain: ChainId, terms: &[Term], action: Action) {
        self.place += 1;
        self.b.add(chain, Origin::new(0, self.place, self.place), terms, action);
    }

    fn range(&mut self, field: Field, lo: u32, hi: u32) -> Term {
        self.b.field(field, IntervalSet::range(lo, hi))
    }

    fn net(&mut self, field: Field, text: &str) -> Term {
        self.b.field(field, addr::parse(text).unwrap())
    }
}

fn ask(f: &Firewall, environment: &Environment, path: Path, region: Region) -> Answer {
    let firewalls = [f];
    let point = Point { firewalls: &firewalls, environment };
    let question = Question { point, path, region, mark: 0, delivered_to: None };
    let answer = decide(&question);
    for part in answer.accepted.iter().chain(&answer.denied).chain(&answer.undecided) {
        assert!(witness(&question, part).is_some(), "no witness for {part:?}");
    }
    answer
}

fn all(f: &Firewall) -> Answer {
    ask(f, &Environment::default(), Path::Input, tcp())
}

fn tcp() -> Region {
    let new = IntervalSet::single(ConnState::New.value());
    Region::all(Family::V4).protocol(proto::TCP).cut(Field::State, &new)
}

fn weight(parts: &[Part]) -> f64 {
    parts.iter().map(|p| p.region.weight()).sum()
}

fn ports(parts: &[Part]) -> IntervalSet {
    parts.iter().fold(IntervalSet::EMPTY, |s, p| s.union(p.region.get(Field::Dport)))
}

#[test]
fn a_jump_loop_is_undecided_and_ends() {
    let mut t = Bench::new();
    let input = t.input(Policy::Accept);
    let (a, b) = (t.chain(), t.chain());
    let low = t.range(Field::Dport, 0, 9);
    t.add(input, &[low], Action::Jump(a));
    t.add(a, &[], Action::Goto(b));
    t.add(b, &[], Action::Jump(a));
    let f = t.b.finish();
    let answer = all(&f);
    assert_eq!(ports(&answer.undecided), IntervalSet::range(0u8, 9u8));
    assert_eq!(ports(&answer.accepted), IntervalSet::range(10u8, 0xffffu16));
    assert!(answer.undecided[0].because[0].text.contains("jumps back to itself"));
    let firewalls = [&f];
    let environment = Environment::default();
    let packet = "input tcp 192.0.2.1:1 > 192.0.2.2:5".parse().unwrap();
    let trace = evaluate(Point { firewalls: &firewalls, environment: &environment }, &packet);
    assert_eq!(trace.verdict, Verdict::Undecided);
}

#[test]
fn ten_thousand_chains_deep() {
    let mut t = Bench::new();
    let mut at = t.input(Policy::Drop);
    for _ in 0..10_000 {
        let next = t.chain();
        t.add(at, &[], Action::Jump(next));
        at = next;
    }
    let web = t.range(Field::Dport, 80, 80);
    t.add(at, &[web], Action::Accept);
    let answer = all(&t.b.finish());
    assert_eq!(ports(&answer.accepted), IntervalSet::single(80u8));
    assert!(answer.undecided.is_empty());
}

#[test]
fn two_to_the_fortieth_paths_cost_nothing() {
    for inert in [true, false] {
        let mut t = Bench::new();
        let mut at = t.input(Policy::Drop);
        for _ in 0..40 {
            let next = t.chain();
            t.add(at, &[], Action::Jump(next));
            t.add(at, &[], Action::Jump(next));
            at = next;
        }
        let port = if inert { t.range(Field::Icmp, 1, 2) } else { t.range(Field::Dport, 80, 80) };
        t.add(at, &[port], Action::Accept);
        let answer = all(&t.b.finish());
        assert_eq!(ports(&answer.accepted).is_empty(), inert);
        assert!(!answer.exhausted);
    }
}

#[test]
fn an_empty_port_range_matches_nothing_and_blocks_nothing() {
    let mut t = Bench::new();
    let input = t.input(Policy::Drop);
    t.add(input, &[Term::Range { field: Field::Dport, lo: 60000, hi: 29 }], Action::Drop);
    let web = t.range(Field::Dport, 29, 60000);
    t.add(input, &[web], Action::Accept);
    assert_eq!(ports(&all(&t.b.finish()).accepted), IntervalSet::range(29u8, 60000u16));
}

#[test]
fn the_last_port_and_the_last_address_are_values_like_others() {
    let mut t = Bench::new();
    let input = t.input(Policy::Accept);
    let last = t.range(Field::Dport, 65535, 65535);
    let end = t.net(Field::Dst, "255.255.255.255");
    t.add(input, &[last], Action::Drop);
    t.add(input, &[end], Action::Drop);
    let f = t.b.finish();
    let answer = all(&f);
    assert_eq!(ports(&answer.accepted), IntervalSet::range(0u8, 65534u16));
    assert!(answer.accepted.iter().all(|p| p.region.get(Field::Dst).last() == Some(addr::v4(u32::MAX - 1))));
    assert!(
        (weight(&answer.accepted) + weight(&answer.denied) - tcp().weight()).abs() < 1e-3 * tcp().weight()
    );
}

#[test]
fn a_negated_port_does_not_match_protocols_without_ports() {
    let mut t = Bench::new();
    let input = t.input(Policy::Drop);
    let others = t.b.field(Field::Dport, Field::Dport.complement(&IntervalSet::single(22u8)));
    t.add(input, &[others], Action::Accept);
    let f = t.b.finish();
    let everything = Region::all(Family::V4);
    let answer = ask(&f, &Environment::default(), Path::Input, everything.clone());
    assert!(answer.accepted.iter().all(|p| p.region.has_ports()));
    assert!(answer.denied.iter().any(|p| p.region.get(Field::Proto).contains(1)));
    let total = weight(&answer.accepted) + weight(&answer.denied);
    assert!((total / everything.weight() - 1.0).abs() < 1e-9);
}

#[test]
fn a_return_in_a_base_chain_is_its_policy() {
    let mut t = Bench::new();
    let input = t.input(Policy::Drop);
    let ssh = t.range(Field::Dport, 22, 22);
    t.add(input, &[ssh], Action::Return);
    t.add(input, &[], Action::Accept);
    let answer = all(&t.b.finish());
    assert_eq!(ports(&answer.denied), IntervalSet::single(22u8));
    assert_eq!(answer.denied[0].decided_by[0].rule, None);
}

#[test]
fn one_condition_has_one_truth() {
    let mut t = Bench::new();
    let input = t.input(Policy::Drop);
    let yes = t.b.opaque("-m set --match-set x src", "", false, Origin::default());
    let no = t.b.opaque("-m set --match-set x src", "", true, Origin::default());
    t.add(input, &[yes], Action::Accept);
    t.add(input, &[no], Action::Accept);
    let answer = all(&t.b.finish());
    assert!(answer.denied.is_empty() && answer.undecided.is_empty());
}

#[test]
fn a_volatile_condition_may_change_its_mind() {
    let mut t = Bench::new();
    let input = t.input(Policy::Drop);
    for negated in [false, true] {
        let c = t.b.condition("-m statistic", "", ConditionKind::Volatile, Origin::default());
        t.add(input, &[Term::opaque(c, negated)], Action::Accept);
    }
    let answer = all(&t.b.finish());
    assert!(answer.accepted.is_empty() && answer.denied.is_empty());
    assert_eq!(answer.undecided.len(), 1);
    assert_eq!(answer.undecided[0].because.len(), 2);
}

#[test]
fn a_thousand_conditions_do_not_explode() {
    let mut t = Bench::new();
    let input = t.input(Policy::Drop);
    for i in 0..1000u32 {
        let port = t.range(Field::Dport, i, i);
        let c = t.b.opaque(&format!("-m owner --uid-owner {i}"), "", false, Origin::default());
        t.add(input, &[port, c], Action::Accept);
    }
    let answer = all(&t.b.finish());
    assert_eq!(ports(&answer.undecided), IntervalSet::range(0u8, 999u16));
    assert_eq!(ports(&answer.denied), IntervalSet::range(1000u16, 65535u16));
    assert_eq!(answer.undecided.len(), 1000);
    assert!(answer.undecided.iter().all(|p| p.because.len() == 1));
}

#[test]
fn shared_conditions_beyond_the_budget_only_blur() {
    let mut t = Bench::new();
    let input = t.input(Policy::Drop);
    for round in 0..2 {
        for i in 0..40 {
            let c = t.b.opaque(&format!("x{i}"), "", round == 1, Origin::default());
            let mark = Effect::Write { register: Register::Mark, mask: 1 << (i % 32), value: 1 << (i % 32) };
            let effects = t.b.effects(&[mark]);
            let mut rule = t.b.rule(Origin::default(), &[c], Action::Continue);
            rule.effects = effects;
            t.b.push(input, rule);
        }
    }
    let web = t.range(Field::Dport, 80, 80);
    t.add(input, &[web], Action::Accept);
    let answer = all(&t.b.finish());
    assert!(answer.exhausted || ports(&answer.accepted) == IntervalSet::single(80u8));
    assert!(!ports(&answer.denied).contains(80) && !ports(&answer.accepted).contains(81));
}

#[test]
fn rate_limits_follow_the_assumption_and_say_so() {
    let mut t = Bench::new();
    let input = t.input(Policy::Drop);
    let within = t.b.condition("limit 5/s", "", ConditionKind::Rate { unthrottled: true }, Origin::default());
    let above = t.b.condition("above 9/s", "", ConditionKind::Rate { unthrottled: false }, Origin::default());
    let (ssh, web) = (t.range(Field::Dport, 22, 22), t.range(Field::Dport, 80, 80));
    t.add(input, &[web, Term::opaque(above, false)], Action::Drop);
    t.add(input, &[ssh, Term::opaque(within, false)], Action::Accept);
    t.add(input, &[web], Action::Accept);
    let f = t.b.finish();
    let answer = all(&f);
    assert_eq!(ports(&answer.accepted), [22, 80].into_iter().collect());
    assert!(answer.accepted.iter().all(|p| p.assumed.len() == 1));
    let environment = Environment { throttled: true, ..Environment::default() };
    let answer = ask(&f, &environment, Path::Input, tcp());
    assert!(answer.accepted.is_empty());
    assert_eq!(ports(&answer.undecided), [22, 80].into_iter().collect());
}

#[test]
fn unknown_rules_and_logging_shadow_nothing() {
    let mut t = Bench::new();
    let input = t.input(Policy::Drop);
    let c = t.b.condition("-j MYSTERY", "", ConditionKind::Volatile, Origin::default());
    let ssh = t.range(Field::Dport, 22, 22);
    t.add(input, &[], Action::Continue);
    t.add(input, &[ssh], Action::Unknown(c));
    t.add(input, &[], Action::Accept);
    let answer = all(&t.b.finish());
    assert_eq!(ports(&answer.undecided), IntervalSet::single(22u8));
    assert!(ports(&answer.accepted).contains(23) && !ports(&answer.accepted).contains(22));
}

#[test]
fn a_large_set_is_cut_once_for_many_rules() {
    let mut t = Bench::new();
    let input = t.input(Policy::Drop);
    let hosts = IntervalSet::from_ranges((0..20_000u32).map(|i| (addr::v4(i * 4), addr::v4(i * 4 + 1))));
    let large = t.b.field(Field::Src, hosts.clone());
    for port in 0..50 {
        let port = t.range(Field::Dport, port, port);
        t.add(input, &[large, port], Action::Accept);
    }
    let answer = all(&t.b.finish());
    assert!(!answer.exhausted);
    assert_eq!(ports(&answer.accepted), IntervalSet::range(0u8, 49u8));
    assert!(answer.accepted.iter().all(|p| *p.region.get(Field::Src) == hosts));
}

#[test]
fn untracked_packets_have_no_connection() {
    let mut t = Bench::new();
    let raw = t.base(Hook::Prerouting, ChainKind::Filter, Policy::Accept);
    let dns = t.range(Field::Dport, 53, 53);
    let effects = t.b.effects(&[Effect::Untrack]);
    let mut rule = t.b.rule(Origin::default(), &[dns], Action::Accept);
    rule.effects = effects;
    t.b.push(raw, rule);
    let input = t.input(Policy::Accept);
    let established = t.range(Field::State, ConnState::New as u32, ConnState::Related as u32);
    let low = t.range(Field::Dport, 0, 99);
    t.add(input, &[low, established], Action::Drop);
    let answer = all(&t.b.finish());
    let untracked: Vec<Part> = answer.accepted.iter().filter(|p| !p.tracked).cloned().collect();
    assert!(ports(&untracked).contains(53));
    assert!(!ports(&answer.denied).contains(53));
    assert!(ports(&answer.denied).contains(54));
}

#[test]
fn a_translated_destination_is_judged_where_it_goes() {
    let mut t = Bench::new();
    let nat = t.base(Hook::Prerouting, ChainKind::Nat, Policy::Accept);
    let target = addr::value("10.0.0.5".parse().unwrap());
    let to = t.b.translation(Translation {
        address: Some((target, target)),
        port: Some((80, 80)),
        ..Translation::of(TranslatedEnd::Destination)
    });
    let (public, alt) = (t.net(Field::Dst, "198.51.100.1"), t.range(Field::Dport, 8080, 8080));
    t.add(nat, &[public, alt], Action::Translate(to));
    let forward = t.base(Hook::Forward, ChainKind::Filter, Policy::Drop);
    let (inside, web) = (t.net(Field::Dst, "10.0.0.5"), t.range(Field::Dport, 80, 80));
    t.add(forward, &[inside, web], Action::Accept);
    t.input(Policy::Drop);
    let f = t.b.finish();
    let environment = Environment { local: addr::parse("198.51.100.1"), ..Environment::default() };
    let firewalls = [&f];
    let point = Point { firewalls: &firewalls, environment: &environment };
    let region = tcp().cut(Field::State, &IntervalSet::single(ConnState::New.value()));
    let question =
        Question { point, path: Path::Input, region, mark: 0, delivered_to: addr::parse("10.0.0.5") };
    let answer = decide(&question);
    assert_eq!(answer.accepted.len(), 1);
    let part = &answer.accepted[0];
    assert_eq!(part.region.get(Field::Dst), &addr::parse("198.51.100.1").unwrap());
    assert_eq!(part.region.get(Field::Dport), &IntervalSet::single(8080u16));
    let seen = part.translated.as_ref().unwrap();
    assert_eq!(seen.get(Field::Dst), &IntervalSet::single(target));
    assert!(answer.undecided.is_empty());
    assert!(witness(&question, part).is_some());
}

// 198.51.100.0/24 is mapped on 10.2.0.0/24; ports 1000-1099 of 203.0.113.9 become 8000-8099.
#[test]
fn what_is_moved_by_a_number_is_exact_in_diagrams_too() {
    let mut t = Bench::new();
    let nat = t.base(Hook::Prerouting, ChainKind::Nat, Policy::Accept);
    let inside = addr::parse("10.2.0.0/24").unwrap();
    let (lo, hi) = (inside.first().unwrap(), inside.last().unwrap());
    let netmap = t.b.translation(Translation {
        address: Some((lo, hi)),
        netmap: true,
        ..Translation::of(TranslatedEnd::Destination)
    });
    let public = t.net(Field::Dst, "198.51.100.0/24");
    t.add(nat, &[public], Action::Translate(netmap));
    let ports = t.b.translation(Translation {
        port: Some((8000, 8099)),
        port_from: Some((1000, 1099)),
        ..Translation::of(TranslatedEnd::Destination)
    });
    let (other, tcp_ports) = (t.net(Field::Dst, "203.0.113.9"), t.range(Field::Dport, 1000, 1099));
    t.add(nat, &[other, tcp_ports], Action::Translate(ports));
    let forward = t.base(Hook::Forward, ChainKind::Filter, Policy::Drop);
    let mapped = t.net(Field::Dst, "10.2.0.5-10.2.0.9");
    t.add(forward, &[mapped], Action::Accept);
    let (same, moved) = (t.net(Field::Dst, "203.0.113.9"), t.range(Field::Dport, 8010, 8010));
    t.add(forward, &[same, moved], Action::Accept);
    let f = t.b.finish();
    let environment = Environment { local: addr::parse("192.0.2.1"), ..Environment::default() };
    let firewalls = [&f];
    let point = Point { firewalls: &firewalls, environment: &environment };
    let region = tcp().cut(Field::State, &IntervalSet::single(ConnState::New.value()));
    let asked = addr::parse("198.51.100.0/24").unwrap().union(&addr::parse("203.0.113.9").unwrap());
    let region = region.cut(Field::Dst, &asked);
    let wanted = addr::parse("10.2.0.6-10.2.0.20").unwrap();
    for delivered_to in [None, Some(wanted.clone())] {
        let question = Question {
            point,
            path: Path::Forward,
            region: region.clone(),
            mark: 0,
            delivered_to: delivered_to.clone(),
        };
        let answer =
            wide::answer(&question, (Family::V4, &region.normal()), wide::MAX_SHOWN, wide::LIMIT).unwrap();
        assert!(answer.undecided.is_empty(), "{:?}", answer.undecided);
        let accepted: Vec<(IntervalSet, IntervalSet)> = answer
            .accepted
            .iter()
            .map(|p| (p.region.get(Field::Dst).clone(), p.region.get(Field::Dport).clone()))
            .collect();
        match delivered_to {
            None => {
                let net = addr::parse("198.51.100.5-198.51.100.9").unwrap();
                let port = |n: u16| (addr::parse("203.0.113.9").unwrap(), IntervalSet::single(n));
                assert_eq!(accepted, [(net, Field::Dport.all()), port(1010), port(8010)]);
            }
            Some(_) => {
                let net = addr::parse("198.51.100.6-198.51.100.9").unwrap();
                assert_eq!(accepted, [(net, Field::Dport.all())]);
                let stopped = answer
                    .denied
                    .iter()
                    .fold(IntervalSet::EMPTY, |all, p| all.union(p.region.get(Field::Dst)));
                assert_eq!(stopped, addr::parse("198.51.100.10-198.51.100.20").unwrap());
            }
        }
    }
}

#[test]
fn an_exhausted_budget_never_claims_anything() {
    let mut t = Bench::new();
    let input = t.input(Policy::Accept);
    for i in 0..200u32 {
        let src = t.net(Field::Src, &format!("10.0.{}.0/24", i % 97));
        let dst = t.net(Field::Dst, &format!("10.1.{}.0/25", i % 89));
        let port = t.range(Field::Dport, i * 3, i * 3 + 40);
        t.add(input, &[src, dst, port], if i % 2 == 0 { Action::Drop } else { Action::Accept });
    }
    let f = t.b.finish();
    let firewalls = [&f];
    let environment = Environment::default();
    let point = Point { firewalls: &firewalls, environment: &environment };
    let question = Question { point, path: Path::Input, region: tcp(), mark: 0, delivered_to: None };
    let mut exact = Answer::default();
    let mut walk = Walk::new(&question, Family::V4);
    walk.run(tcp().normal());
    walk.settle(&mut exact);
    assert!(!exact.exhausted);
    let mut short = Answer::default();
    let mut walk = Walk::new(&question, Family::V4);
    walk.budget = 2000;
    walk.run(tcp().normal());
    walk.settle(&mut short);
    assert!(short.exhausted && !short.undecided.is_empty());
    let inside = |parts: &[Part], whole: &[Part]| {
        let whole: Vec<Region> = whole.iter().map(|p| p.region.clone()).collect();
        Region::minus_all(parts.iter().map(|p| p.region.clone()).collect(), &whole).is_empty()
    };
    assert!(inside(&short.accepted, &exact.accepted));
    assert!(inside(&short.denied, &exact.denied));
    let total = weight(&short.accepted) + weight(&short.denied) + weight(&short.undecided);
    assert!((total / tcp().weight() - 1.0).abs() < 1e-9);
}

#[test]
fn without_a_chain_on_the_way_everything_passes() {
    let answer = all(&Bench::new().b.finish());
    assert_eq!(answer.accepted.len(), 1);
    assert_eq!(answer.accepted[0].region, tcp());
    assert!(answer.accepted[0].decided_by.is_empty());
}

#[test]
fn both_families_are_answered() {
    let mut t = Bench::new();
    let input = t.input(Policy::Drop);
    let v6 = t.net(Field::Src, "2001:db8::/32");
    t.add(input, &[v6], Action::Accept);
    let f = t.b.finish();
    let region = Region::all(Family::V6).protocol(proto::TCP);
    let answer = ask(&f, &Environment::default(), Path::Input, region);
    let from = answer.accepted[0].region.get(Field::Src).clone();
    assert_eq!(addr::display(&from), ["2001:db8::/32"]);
    let first: Value = from.first().unwrap();
    assert_eq!(addr::family(first), Family::V6);
}

fn verdict(f: &Firewall, packet: &str) -> Verdict {
    let environment = Environment::default();
    let packet = packet.parse().unwrap();
    evaluate(Point { firewalls: &[f], environment: &environment }, &packet).verdict
}

#[test]
fn what_is_written_is_what_later_rules_see() {
    let mut t = Bench::new();
    let before = t.base(Hook::Prerouting, ChainKind::Filter, Policy::Accept);
    let writes = [
        ("198.51.100.0/24", Some(addr::parse("10.1.0.5").unwrap())),
        ("203.0.113.0/24", Some(addr::parse("10.1.0.4/31").unwrap())),
        ("192.0.2.0/24", None),
    ];
    for (from, to) in writes {
        let term = t.net(Field::Src, from);
        let effect = t.b.rewrite(Field::Src, to);
        let mut rule = t.b.rule(Origin::default(), &[term], Action::Accept);
        rule.effects = t.b.effects(&[effect]);
        t.b.push(before, rule);
    }
    let input = t.input(Policy::Drop);
    let inside = t.net(Field::Src, "10.1.0.5");
    t.add(input, &[inside], Action::Accept);
    let f = t.b.finish();
    let of = |src: &str| verdict(&f, &format!("input eth0 tcp {src}:40000 > 10.1.0.10:22"));
    assert_eq!(of("198.51.100.7"), Verdict::Accept);
    assert_eq!(of("10.1.0.5"), Verdict::Accept);
    assert_eq!(of("10.1.0.6"), Verdict::Drop);
    assert_eq!(of("203.0.113.9"), Verdict::Undecided);
    assert_eq!(of("192.0.2.9"), Verdict::Undecided);
    let answer = all(&f);
    let sources =
        |parts: &[Part]| parts.iter().fold(IntervalSet::EMPTY, |s, p| s.union(p.region.get(Field::Src)));
    let open = ["203.0.113.0/24", "192.0.2.0/24"].map(|n| addr::parse(n).unwrap());
    assert_eq!(sources(&answer.undecided), open[0].union(&open[1]));
    let through = ["198.51.100.0/24", "10.1.0.5"].map(|n| addr::parse(n).unwrap());
    assert_eq!(sources(&answer.accepted), through[0].union(&through[1]));
}

#[test]
fn a_destination_that_is_written_before_routing_decides_the_way() {
    let mut t = Bench::new();
    let before = t.base(Hook::Prerouting, ChainKind::Filter, Policy::Accept);
    let effect = t.b.rewrite(Field::Dst, addr::parse("10.9.0.9"));
    let mut rule = t.b.rule(Origin::default(), &[], Action::Continue);
    rule.effects = t.b.effects(&[effect]);
    t.b.push(before, rule);
    t.input(Policy::Accept);
    t.base(Hook::Forward, ChainKind::Filter, Policy::Drop);
    t.b.firewall_mut().local = addr::parse("10.1.0.10");
    let f = t.b.finish();
    assert_eq!(verdict(&f, "input eth0 tcp 192.0.2.1:40000 > 10.1.0.10:22"), Verdict::Drop);
}

#[test]
fn a_translation_to_what_is_there_already_leaves_no_trace() {
    let mut t = Bench::new();
    let nat = t.base(Hook::Prerouting, ChainKind::Nat, Policy::Accept);
    let port =
        t.b.translation(Translation { port: Some((22, 22)), ..Translation::of(TranslatedEnd::Destination) });
    t.add(nat, &[], Action::Translate(port));
    let input = t.input(Policy::Drop);
    let translated = t.b.register(Register::DstNat, 1, 1, false);
    t.add(input, &[translated], Action::Accept);
    let f = t.b.finish();
    assert_eq!(verdict(&f, "input eth0 tcp 192.0.2.1:40000 > 10.1.0.10:2222"), Verdict::Accept);
    assert_eq!(verdict(&f, "input eth0 tcp 192.0.2.1:40000 > 10.1.0.10:22"), Verdict::Drop);
    assert_eq!(ports(&all(&f).denied), IntervalSet::single(22u8));
}

#[test]
fn what_routing_delivered_here_is_for_this_box() {
    for negated in [false, true] {
        let mut t = Bench::new();
        let input = t.input(Policy::Accept);
        let term = Term::AddressType { field: Field::Dst, types: AddressTypes::LOCAL, negated };
        t.add(input, &[term], Action::Drop);
        let forward = t.base(Hook::Forward, ChainKind::Filter, Policy::Accept);
        t.add(forward, &[term], Action::Drop);
        let f = t.b.finish();
        let of = |way: &str, dst: &str| verdict(&f, &format!("{way} udp 192.0.2.1:40000 > {dst}:53"));
        let when = |is: bool| if is != negated { Verdict::Drop } else { Verdict::Accept };
        assert_eq!(of("input eth0", "10.1.0.10"), when(true));
        assert_eq!(of("input eth0", "224.0.0.1"), when(false));
        assert_eq!(of("input eth0", "255.255.255.255"), when(false));
        // The broadcast address of a network, or an address of the box.
        assert_eq!(of("input eth0", "10.1.0.255"), Verdict::Undecided);
        assert_eq!(of("forward eth0>eth1", "10.1.0.10"), when(false));
    }
}

#[test]
fn kinds_of_one_address_exclude_each_other() {
    let mut t = Bench::new();
    let input = t.input(Policy::Drop);
    for types in [AddressTypes::LOCAL, AddressTypes::MULTICAST, AddressTypes::BROADCAST] {
        t.add(input, &[Term::AddressType { field: Field::Dst, types, negated: false }], Action::Accept);
    }
    let f = t.b.finish();
    let region = |path: Path| path.packets(Family::V4).cut(Field::Proto, &IntervalSet::single(proto::UDP));
    let answer = ask(&f, &Environment::default(), Path::Input, region(Path::Input));
    assert!(answer.denied.is_empty() && answer.undecided.is_empty(), "{:?}", answer.undecided);
    assert_eq!(verdict(&f, "input eth0 udp 192.0.2.1:40000 > 10.1.0.255:53"), Verdict::Accept);
}

#[test]
fn bits_of_an_address_are_exact() {
    let mut t = Bench::new();
    let input = t.input(Policy::Drop);
    let host = t.b.masked(Field::Src, 0xff, 7, false);
    let v4 = t.b.family(Family::V4);
    t.add(input, &[v4, host], Action::Accept);
    let f = t.b.finish();
    let of = |src: &str| verdict(&f, &format!("input eth0 tcp {src}:40000 > 10.1.0.10:22"));
    assert_eq!(of("10.0.0.7"), Verdict::Accept);
    assert_eq!(of("10.0.0.8"), Verdict::Drop);
    let near = tcp().cut(Field::Src, &addr::parse("10.0.0.0/16").unwrap());
    let answer = ask(&f, &Environment::default(), Path::Input, near);
    assert!(answer.undecided.is_empty());
    assert_eq!(answer.accepted.iter().map(|p| p.region.get(Field::Src).count()).sum::<u128>(), 256);
    // Of all addresses some are looked at: enough to see that the rule lets packets in.
    assert!(!all(&f).accepted.is_empty());
}
