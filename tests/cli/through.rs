//! What gets through a whole deployment, as `query` tells it.

use crate::commands::run_in;
use havenlint::packet::{Family, Field, IntervalSet, Region, addr, proto};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn what_gets_through_a_deployment_is_what_every_box_lets_through() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo");
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (from, to) in [
        ("srn-east", "cms-1"),
        ("srn-west", "srn-east"),
        ("gui", "cms-1"),
        ("internet", "srn-east"),
        ("internet", "cms-1"),
        ("admin", "srn-west"),
        ("web-02", "srn-west"),
        ("srn-cloud", "cms-1"),
    ] {
        let run = run_in(
            &demo,
            &[
                "query",
                "--from",
                from,
                "--to",
                to,
                "--proto",
                "tcp,udp",
                "--port",
                "22,20081,20082",
                "--format",
                "json",
            ],
        );
        assert_eq!(run.status, 0, "{}", run.err);
        for line in run.out.lines() {
            let way: Value = serde_json::from_str(line).unwrap();
            let lists = ["accepted", "denied", "undecided"].map(|key| regions(&way[key]));
            let all = regions(&Value::Array(vec![way["flow"].clone()]));
            let [accepted, denied, undecided] = &lists;
            let bad: Vec<Region> = denied.iter().chain(undecided).cloned().collect();
            assert!(
                Region::minus_all(all.clone(), &[accepted.clone(), bad.clone()].concat()).is_empty(),
                "{way}"
            );
            assert!(accepted.iter().all(|a| bad.iter().all(|b| !a.intersects(b))), "{way}");
            assert!(denied.iter().all(|a| undecided.iter().all(|b| !a.intersects(b))), "{way}");
            for b in way["boxes"].as_array().unwrap() {
                let stopped = regions(&b["denied"]);
                assert!(Region::minus_all(stopped, denied).is_empty(), "{way}");
                assert!(Region::minus_all(regions(&b["undecided"]), &bad).is_empty(), "{way}");
            }
            let verdict = way["verdict"].as_str().unwrap();
            assert_eq!(verdict == "drop", !denied.is_empty(), "{way}");
            assert_eq!(
                verdict == "accept",
                bad.is_empty() && !way["boxes"].as_array().unwrap().is_empty(),
                "{way}"
            );
            let empty = lists.iter().map(|l| if l.is_empty() { '-' } else { '+' }).collect();
            seen.insert(empty);
        }
    }
    assert!(seen.len() >= 3, "only {seen:?}");
    let people = run_in(&demo, &["query", "--from", "srn-west", "--to", "srn-east", "--proto", "tcp"]);
    assert!(people.out.contains("every box on the way lets through"), "{}", people.out);
    assert!(people.out.contains("stopped on the way"), "{}", people.out);
    for wrong in [&["--exact"][..], &["--iif", "eth0"], &[]] {
        let args = [&["query", "--from", "gui", "--to", "cms-1"][..], wrong].concat();
        assert_eq!(run_in(&demo, &args).status, 2, "{wrong:?}");
    }
}

fn regions(flows: &Value) -> Vec<Region> {
    let texts = |v: &Value| -> IntervalSet {
        let sets = v.as_array().unwrap().iter().filter_map(|t| addr::parse(t.as_str()?));
        sets.fold(IntervalSet::EMPTY, |all, s| all.union(&s))
    };
    let of = |f: &Value| {
        let ports = f["port"].as_str().unwrap_or("0-65535").split(',').fold(IntervalSet::EMPTY, |all, p| {
            let (lo, hi) = p.split_once('-').unwrap_or((p, p));
            all.union(&IntervalSet::range(lo.parse::<u16>().unwrap(), hi.parse::<u16>().unwrap()))
        });
        let family = if texts(&f["from"]).intersects(&Family::V4.all()) { Family::V4 } else { Family::V6 };
        Region::all(family)
            .with(Field::Src, texts(&f["from"]))
            .with(Field::Dst, texts(&f["to"]))
            .protocol(proto::parse(f["proto"].as_str().unwrap()).unwrap())
            .with(Field::Dport, ports)
    };
    flows.as_array().unwrap().iter().map(of).collect()
}
