//! What is told as open against the one-packet evaluator: random rulesets, packets at their boundaries from public addresses. What is open for
//! certain is accepted; what is accepted is told, as open or as undecided.
//!
//! `HAVENLINT_KERNEL_SEED` varies the rulesets.
#![allow(clippy::unwrap_used)]

use crate::support::compare::read;
use crate::support::ipset::Script;
use crate::support::pool::Pool;
use crate::support::random::Random;
use crate::support::{iptables, nft};
use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::lint::open::sources::classes;
use havenlint::lint::open::{Open, destinations, open};
use havenlint::model::Firewall;
use havenlint::packet::{ConnState, Family, Field, Packet, Path, flags, interface_value, proto};

// A packet that opens a connection from a source that stands for many.
fn opening(pool: &Pool, firewall: &Firewall, r: &mut Random) -> Option<Packet> {
    let mut packet = pool.packet(r, false);
    if packet.path == Path::Output || packet.get(Field::Iif) == interface_value("lo").ok() {
        return None;
    }
    let class = r.pick(&classes(&[firewall], pool.family)).clone();
    let (lo, hi) = *r.pick(class.addresses.ranges());
    packet.set(Field::Src, class.sample.filter(|_| r.chance(30)).unwrap_or_else(|| r.between(lo, hi)));
    packet.set(Field::State, ConnState::New.value());
    packet.mark = 0;
    match packet.proto() {
        proto::TCP => packet.set(Field::TcpFlags, flags::SYN.into()),
        proto::UDP => {}
        _ => return None,
    }
    let ports = [Field::Sport, Field::Dport].iter().all(|f| packet.get(*f) != Some(0));
    let reachable = packet.get(Field::Dst).is_some_and(|d| destinations(pool.family).contains(d));
    (ports && reachable).then_some(packet)
}

fn compare(firewall: &Firewall, pool: &Pool, r: &mut Random, totals: &mut [u32; 3], what: &str) {
    let locals = crate::support::pool::locals();
    let environment = Environment { local: Some(locals.clone()), ..Environment::default() };
    let Open { causes, exhausted, untold } = open(&[firewall], &environment);
    assert!(!exhausted && untold.is_empty(), "{what}");
    for _ in 0..60 {
        let Some(packet) = opening(pool, firewall, r) else { continue };
        let trace = evaluate(Point { firewalls: &[firewall], environment: &environment }, &packet);
        let inside = |certain: bool| {
            let told = causes.iter().filter(|c| c.because.is_empty() == certain).flat_map(|c| &c.openings);
            told.filter(|o| o.path == packet.path || o.both).any(|o| {
                // An opening of both ways names the output interface of one.
                let region =
                    if o.both { o.region.with(Field::Oif, Field::Oif.all()) } else { o.region.clone() };
                region.contains(&packet)
            })
        };
        let (sure, maybe) = (inside(true), inside(false));
        // Where a translation leads by routing is taken for given.
        let routed = trace.because.iter().any(|b| b.is_output_interface());
        match trace.verdict {
            Verdict::Accept => {
                let filtered = trace.decided_by.is_some_and(|d| d.hook.filters());
                let close = || {
                    let all =
                        causes.iter().flat_map(|c| &c.openings).filter(|o| o.path == packet.path || o.both);
                    let missed = |o: &havenlint::lint::open::Opening| -> Vec<Field> {
                        let outside =
                            |f: &Field| packet.get(*f).is_some_and(|v| !o.region.get(*f).contains(v));
                        Field::ALL.into_iter().filter(outside).collect()
                    };
                    all.map(missed).collect::<Vec<_>>()
                };
                assert!(
                    sure || maybe || !filtered,
                    "{what}\n{packet} is accepted and not told: {:?}",
                    close()
                );
                totals[0] += 1;
            }
            Verdict::Drop => {
                assert!(!sure, "{what}\n{packet} is dropped and told as open");
                totals[1] += 1;
            }
            Verdict::Undecided => {
                assert!(!sure || routed, "{what}\n{packet} is undecided and told as open");
                totals[2] += 1;
            }
        }
    }
}

#[test]
fn what_is_open_is_what_the_evaluator_accepts() {
    let mut totals = [0; 3];
    for stream in 0..120 {
        let mut r = Random::new(Random::seed(), 7_000 + stream);
        let pools = Family::ALL.map(|f| Pool::new(f, &mut r));
        let (pool, dialect, text) = match stream % 3 {
            0 => (&pools[0], "iptables", iptables::dump(&pools[0], &Script::default(), &mut r)),
            1 => (&pools[1], "ip6tables", iptables::dump(&pools[1], &Script::default(), &mut r)),
            _ => {
                let text = nft::ruleset(&pools, &mut r);
                (&pools[r.below(2)], "nftables", text)
            }
        };
        let firewall = read(dialect, &text, "");
        compare(&firewall, pool, &mut r, &mut totals, &text);
    }
    assert!(totals.iter().all(|n| *n > 50), "{totals:?}");
}
