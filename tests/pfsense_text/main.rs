//! The model against a second evaluator that works the other way round: it prints the pf rules that a configuration generates, as text,
//! and evaluates packets by pf's own rule, the last match unless `quick`.
#![allow(clippy::unwrap_used)]

mod pf;
mod print;
mod random;

use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::pfsense::Pfsense;
use havenlint::dialect::{Dialect, ReadOptions};
use havenlint::model::Firewall;
use havenlint::packet::{ConnState, Field, Packet, Path, addr, interface_name};
use havenlint::source::SourceFile;
use pf::{Pf, Seen};
use random::Dice;

const CONFIGS: usize = 160;
const PACKETS: usize = 150;

fn seen(packet: &Packet, inbound: bool) -> Seen {
    let value = |f| packet.get(f).unwrap_or(0);
    let interface = if inbound { Field::Iif } else { Field::Oif };
    Seen {
        inbound,
        interface: interface_name(value(interface)),
        src: addr::addr(value(Field::Src)),
        dst: addr::addr(value(Field::Dst)),
        proto: packet.proto(),
        sport: value(Field::Sport) as u16,
        dport: value(Field::Dport) as u16,
        icmp: (value(Field::Icmp) >> 8) as u8,
        flags: value(Field::TcpFlags) as u8,
        tag: String::new(),
        stateless: false,
    }
}

// The verdict by pf's rules, and what gave it. `locals` are the box's own addresses.
fn by_text(pf: &Pf, packet: &Packet, firewall: &Firewall) -> (Verdict, String) {
    let mut because = String::new();
    let mut at = seen(packet, packet.path != Path::Output);
    let mut path = packet.path;
    if path != Path::Output {
        let before = at.dst;
        let done = pf.translate(&mut at);
        let local = firewall.local.as_ref().unwrap().contains(addr::value(at.dst));
        if at.dst != before {
            path = if local { Path::Input } else { Path::Forward };
        }
        if !done {
            let (pass, line) = pf.filter(&mut at);
            because = line;
            if !pass {
                return (Verdict::Drop, because);
            }
        }
        if path == Path::Input {
            return (Verdict::Accept, because);
        }
    }
    // A packet that was for the box and is forwarded now may leave anywhere.
    let exits: Vec<String> = match path == packet.path {
        true => vec![interface_name(packet.get(Field::Oif).unwrap())],
        false => ["wan", "lan", "opt1", "opt2", "opt9", "lo0"].map(str::to_owned).to_vec(),
    };
    let mut verdicts = Vec::new();
    for interface in exits {
        let mut out = Seen { inbound: false, interface, ..at.clone() };
        pf.translate(&mut out);
        let (pass, line) = pf.filter(&mut out);
        because = format!("{because} / {line}");
        verdicts.push(pass);
    }
    let verdict = match (verdicts.contains(&true), verdicts.contains(&false)) {
        (true, true) => Verdict::Undecided,
        (true, false) => Verdict::Accept,
        _ => Verdict::Drop,
    };
    (verdict, because)
}

#[test]
fn the_model_decides_as_pf_does() {
    let (mut packets, mut accepted, mut refused) = (0, 0, 0);
    for seed in 0..CONFIGS {
        let mut dice = Dice::new(seed as u64);
        let xml = random::config(&mut dice);
        let file = SourceFile::new("config.xml", xml.as_str());
        let firewall = Pfsense.read(&[file], &ReadOptions::default());
        let doc = roxmltree::Document::parse(&xml).unwrap();
        let text = print::ruleset(&doc);
        let pf = Pf::load(&text);
        let environment = Environment::default();
        for _ in 0..PACKETS {
            let packet = random::packet(&mut dice);
            let trace = evaluate(Point { firewalls: &[&firewall], environment: &environment }, &packet);
            let (expected, why) = match (&pf, packet.state()) {
                (Err(e), _) => (Verdict::Undecided, e.clone()),
                (_, ConnState::Established) => (Verdict::Accept, "its state".to_owned()),
                (Ok(pf), _) => by_text(pf, &packet, &firewall),
            };
            refused += usize::from(pf.is_err());
            accepted += usize::from(expected == Verdict::Accept);
            packets += 1;
            assert_eq!(
                trace.verdict,
                expected,
                "seed {seed}: {} {packet}\npf: {why}\nmodel: {:?} {:?}\n{:?}\n{text}\n{xml}",
                packet.path,
                trace.decided_by.map(|d| firewall.locate(d.origin)),
                trace.because,
                trace.steps.iter().map(|s| &s.result).collect::<Vec<_>>(),
            );
        }
    }
    assert!(packets >= 10_000, "{packets}");
    assert!(accepted * 5 > packets, "{accepted} of {packets} are accepted");
    assert!(refused * 4 < packets, "{refused} of {packets} on boxes that refuse their rules");
}
