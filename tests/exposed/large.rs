//! Rulesets with too many overlapping rules to follow packets one way after the other: what is open is told all the same, by rule, and by the
//! right one.
#![allow(clippy::unwrap_used)]

use crate::support::compare::read;
use crate::support::random::Random;
use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::lint::open::sources::classes;
use havenlint::lint::open::{Open, open};
use havenlint::model::Firewall;
use havenlint::packet::{Family, Field, Packet, Path};
use std::fmt::Write;

// Services of a cluster as kube-proxy writes them: each with two pods, every third with a port on the node.
fn cluster(services: usize) -> String {
    let mut chains = String::new();
    let mut rules =
        String::from("-A PREROUTING -j KUBE-SERVICES\n-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n");
    let mut ports = String::new();
    for n in 0..services {
        let (hi, lo) = (n / 250, n % 250 + 1);
        let inner = if n % 2 == 0 { 8080 } else { 5432 };
        for chain in ["SVC", "EXT", "SEPA", "SEPB"] {
            let _ = writeln!(chains, ":KUBE-{chain}-{n} - [0:0]");
        }
        let _ = writeln!(
            rules,
            "-A KUBE-SERVICES -d 10.96.{hi}.{lo}/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-{n}"
        );
        let _ = writeln!(
            rules,
            "-A KUBE-SVC-{n} ! -s 10.244.0.0/16 -d 10.96.{hi}.{lo}/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ"
        );
        let _ =
            writeln!(rules, "-A KUBE-SVC-{n} -m statistic --mode random --probability 0.5 -j KUBE-SEPA-{n}");
        let _ = writeln!(rules, "-A KUBE-SVC-{n} -j KUBE-SEPB-{n}");
        for (end, third) in [("SEPA", 2 * hi), ("SEPB", 2 * hi + 1)] {
            let pod = format!("10.244.{third}.{lo}");
            let _ = writeln!(rules, "-A KUBE-{end}-{n} -s {pod}/32 -j KUBE-MARK-MASQ");
            let _ = writeln!(rules, "-A KUBE-{end}-{n} -p tcp -m tcp -j DNAT --to-destination {pod}:{inner}");
        }
        let _ = writeln!(rules, "-A KUBE-EXT-{n} -j KUBE-MARK-MASQ\n-A KUBE-EXT-{n} -j KUBE-SVC-{n}");
        if n % 3 == 0 {
            let _ = writeln!(ports, "-A KUBE-NODEPORTS -p tcp -m tcp --dport {} -j KUBE-EXT-{n}", 30000 + n);
        }
    }
    format!(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n\
         :KUBE-MARK-MASQ - [0:0]\n:KUBE-NODEPORTS - [0:0]\n{chains}{rules}\
         -A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n{ports}COMMIT\n\
         *filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\n\
         -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n\
         -A FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT\nCOMMIT\n"
    )
}

#[test]
fn a_node_of_a_cluster_is_told_in_a_few_lines() {
    for services in [6, 300] {
        let firewall = read("iptables", &cluster(services), "");
        let Open { causes, untold, exhausted } = open(&[&firewall], &Environment::default());
        assert!(!exhausted && untold.is_empty());
        let [node, cluster] = &causes[..] else { panic!("{causes:#?}") };
        assert_eq!(node.groups.len(), 1);
        // Web services and databases, each by the services' addresses and by ports of the node.
        let places: Vec<String> = cluster.groups.iter().map(|g| g.opening.place()).collect();
        assert!((2..=8).contains(&places.len()), "{places:#?}");
        for inner in [8080u16, 5432] {
            let to = cluster
                .groups
                .iter()
                .filter_map(|g| g.opening.inner.as_ref())
                .filter(|i| i.ports.contains(inner.into()));
            let pods: u128 = to.map(|i| i.to.count()).max().unwrap();
            // Either pod of each service is named.
            assert_eq!(pods, if services == 6 { 2 } else { services as u128 }, "{places:#?}");
        }
        assert!(
            cluster.shown.iter().any(|s| s.sensitive.is_some_and(|(_, port)| port == 5432)),
            "{:?}",
            cluster.shown
        );
    }
}

// Rules for a port, or a range of them, from one of few networks, or anybody, to one of few, in any order.
fn list(r: &mut Random, rules: usize) -> String {
    let mut out = String::from("*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n");
    let network = |r: &mut Random| {
        format!("{}.{}.0.0/{}", r.pick(&[10, 172, 192, 198, 203]), r.below(64) * 4, 4 + r.below(13))
    };
    for _ in 0..rules {
        out.push_str("-A INPUT");
        if r.chance(60) {
            let _ = write!(out, " -s {}", network(r));
        }
        if r.chance(40) {
            let _ = write!(out, " -d {}", network(r));
        }
        if r.chance(30) {
            let _ = write!(out, " -i eth{}", r.below(3));
        }
        let from = r.below(2000);
        let to = if r.chance(50) { from } else { from + r.below(500) };
        let action = if r.chance(20) { "DROP" } else { "ACCEPT" };
        let _ = writeln!(out, " -p tcp -m tcp --dport {from}:{to} -j {action}");
    }
    out + "COMMIT\n"
}

fn packet(r: &mut Random) -> Packet {
    let text = format!(
        "input eth{} tcp {}.{}.{}.7:40000 > {}.{}.0.9:{}",
        r.below(4),
        r.pick(&[1, 8, 198, 203, 192]),
        r.below(256),
        r.below(256),
        r.pick(&[10, 172, 192, 198, 203]),
        r.below(256),
        1 + r.below(2500)
    );
    text.parse::<Packet>().unwrap()
}

fn told(firewall: &Firewall, r: &mut Random) -> [u32; 2] {
    let environment = Environment::default();
    let point = Point { firewalls: &[firewall], environment: &environment };
    let Open { causes, untold, exhausted } = open(point.firewalls, &environment);
    assert!(!exhausted && untold.is_empty(), "{untold:?}");
    let mut totals = [0; 2];
    let classes = classes(point.firewalls, Family::V4);
    for _ in 0..3000 {
        let packet = packet(r);
        let trace = evaluate(point, &packet);
        let of = causes
            .iter()
            .filter(|c| c.openings.iter().any(|o| o.path == Path::Input && o.region.contains(&packet)));
        let source = packet.get(Field::Src).unwrap();
        // What is open to the few sources that a rule names is told only where it is open to many of them.
        let unnamed = classes.iter().any(|c| c.sample.is_some() && c.addresses.contains(source));
        let by: Vec<_> = of.map(|c| c.decider).collect();
        match trace.verdict {
            Verdict::Accept if by.is_empty() && !unnamed => {}
            Verdict::Accept if by.is_empty() => {
                panic!("{packet} is let in by {:?}, and not told", trace.decided_by)
            }
            Verdict::Accept => assert_eq!(by, [trace.decided_by], "{packet}"),
            _ => assert!(by.is_empty(), "{packet} is stopped, and told: {by:?}"),
        }
        totals[usize::from(!by.is_empty())] += 1;
    }
    totals
}

#[test]
fn each_opening_of_a_long_list_is_that_of_its_rule() {
    let mut totals = [0; 2];
    for stream in 0..6 {
        let mut r = Random::new(Random::seed(), 8_100 + stream);
        let rules = if stream == 0 { 2500 } else { 500 };
        let firewall = read("iptables", &list(&mut r, rules), "");
        let own = told(&firewall, &mut r);
        totals = [totals[0] + own[0], totals[1] + own[1]];
    }
    assert!(totals.iter().all(|n| *n > 500), "{totals:?}");
}
