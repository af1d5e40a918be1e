//! The model against a second evaluator that works the other way round: it prints the pf rules that a configuration generates, as text,
//! and evaluates packets by pf's own rule, the last match unless `quick`.
#![allow(clippy::unwrap_used)]

mod pf;
mod print;
mod random;

use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::pfsense::Pfsense;
use havenlint::dialect::{Dialect, Missing, ReadOptions};
use havenlint::model::Firewall;
use havenlint::packet::{ConnState, Field, IntervalSet, Packet, Path, Region, addr, interface_name};
use havenlint::source::SourceFile;
use pf::{Pf, Seen};
use print::World;
use random::Dice;

const CONFIGS: usize = 250;
const PACKETS: usize = 80;

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
fn by_text(pf: &Pf, world: &World, packet: &Packet, firewall: &Firewall) -> (Verdict, String) {
    let mut because = String::new();
    let mut at = seen(packet, packet.path != Path::Output);
    let mut path = packet.path;
    if path != Path::Output {
        let before = at.dst;
        let done = pf.translate(&mut at, world.rdr_first);
        let learnt = world.wan.is_some_and(|w| w.0 == at.dst);
        let local = learnt || firewall.local.as_ref().unwrap().contains(addr::value(at.dst));
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
        false => ["wan", "lan", "opt1", "opt2", "opt9", "lo0", "enc0", "ovpns1"].map(str::to_owned).to_vec(),
    };
    let mut verdicts = Vec::new();
    for interface in exits {
        let mut out = Seen { inbound: false, interface, ..at.clone() };
        pf.translate(&mut out, world.rdr_first);
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

// The verdict over all worlds, and what gave it in the first.
fn over_worlds(
    worlds: &[(World, Result<Pf, String>)],
    packet: &Packet,
    firewall: &Firewall,
) -> (Verdict, String) {
    let mut told: Option<(Verdict, String)> = None;
    for (world, pf) in worlds {
        let (verdict, why) = match (pf, packet.state()) {
            (Err(e), _) => (Verdict::Undecided, e.clone()),
            (_, ConnState::Established) => (Verdict::Accept, "its state".to_owned()),
            (Ok(pf), _) => by_text(pf, world, packet, firewall),
        };
        told = Some(match told {
            Some((known, first)) if known != verdict => {
                (Verdict::Undecided, format!("{first}\nbut {why} in {world:?}"))
            }
            Some(known) => known,
            None => (verdict, why),
        });
    }
    told.unwrap()
}

#[derive(Default, Debug)]
struct Tally {
    packets: usize,
    accepted: usize,
    refused: usize,
    open: usize,
    cautious: usize,
}

// Compares the model and pf on one configuration. What the worlds agree on must be decided so, unless something is learnt at run time:
// then the model may be more careful, but never wrong.
fn compare(seed: usize, xml: &str, dice: &mut Dice, tally: &mut Tally) {
    let file = SourceFile::new("config.xml", xml);
    let firewall = Pfsense.read(&[file], &ReadOptions::default());
    let doc = roxmltree::Document::parse(xml).unwrap();
    let texts: Vec<_> = World::all(&doc).into_iter().map(|w| (w, print::ruleset(&doc, w))).collect();
    let worlds: Vec<_> = texts.iter().map(|(w, t)| (*w, Pf::load(t))).collect();
    let learns = worlds.iter().any(|(w, _)| w.wan.is_some() || w.rdr_first);
    let environment = Environment::default();
    for _ in 0..PACKETS {
        let packet = random::packet(dice);
        let trace = evaluate(Point { firewalls: &[&firewall], environment: &environment }, &packet);
        let (expected, why) = over_worlds(&worlds, &packet, &firewall);
        // Any link-local address may be one of the box; the worlds try one.
        let link_local = addr::parse("fe80::/10").unwrap();
        let near = [Field::Src, Field::Dst].iter().any(|f| link_local.contains(packet.get(*f).unwrap()));
        let careful =
            trace.verdict == Verdict::Undecided && expected != Verdict::Undecided && (learns || near);
        tally.refused += usize::from(worlds.iter().all(|(_, pf)| pf.is_err()));
        tally.accepted += usize::from(expected == Verdict::Accept);
        tally.open += usize::from(expected == Verdict::Undecided);
        tally.cautious += usize::from(careful);
        tally.packets += 1;
        assert!(
            careful || trace.verdict == expected,
            "seed {seed}: {} {packet}\npf: {expected:?} {why}\nmodel: {:?} {:?}\n{:?}\n{:?}\n{}\n{xml}",
            packet.path,
            trace.verdict,
            trace.decided_by.map(|d| firewall.locate(d.origin)),
            trace.because,
            trace.steps.iter().map(|s| &s.result).collect::<Vec<_>>(),
            texts[0].1,
        );
    }
}

#[test]
fn the_model_decides_as_pf_does() {
    let mut tally = Tally::default();
    for seed in 0..CONFIGS {
        let mut dice = Dice::new(seed as u64);
        let xml = random::config(&mut dice);
        compare(seed, &xml, &mut dice, &mut tally);
    }
    println!("{tally:?}");
    assert!(tally.packets >= 10_000, "{tally:?}");
    assert!(tally.accepted * 5 > tally.packets, "{tally:?}");
    assert!(tally.refused * 4 < tally.packets, "{tally:?}");
    assert!(tally.open > tally.refused, "some worlds differ: {tally:?}");
    assert!(tally.cautious * 20 < tally.packets, "{tally:?}");
}

#[test]
fn the_model_decides_as_opnsense_does() {
    let mut tally = Tally::default();
    for seed in 0..CONFIGS / 2 {
        let mut dice = Dice::new(seed as u64 + 20_000);
        let xml = random::opnsense(&mut dice);
        compare(seed, &xml, &mut dice, &mut tally);
    }
    println!("{tally:?}");
    assert!(tally.packets >= 10_000 && tally.accepted * 5 > tally.packets, "{tally:?}");
    assert!(tally.cautious * 20 < tally.packets, "{tally:?}");
}

// The flow of a packet as a requirement would ask for it: its ends, protocol and service.
fn flow(packet: &Packet) -> Region {
    let fields = [Field::Iif, Field::Src, Field::Dst, Field::Proto, Field::Dport];
    let named = |r: Region, f: &Field| match packet.get(*f) {
        Some(v) => r.with(*f, IntervalSet::single(v)),
        None => r,
    };
    fields.iter().fold(Region::all(packet.family()), named)
}

#[test]
fn a_proposed_rule_lets_its_flow_in_and_changes_nothing_else() {
    let environment = Environment::default();
    let (mut proposed, mut floating, mut others) = (0, 0, 0);
    for seed in 0..CONFIGS / 2 {
        let mut dice = Dice::new(seed as u64 + 10_000);
        // Lines and indentation as pfSense writes them.
        let xml =
            random::config(&mut dice).replace("<rule>", "\n\t\t<rule>").replace("<filter>", "\n\t<filter>\n");
        let read = |text: &str| Pfsense.read(&[SourceFile::new("config.xml", text)], &ReadOptions::default());
        let before = read(&xml);
        for _ in 0..12 {
            let packet = random::packet(&mut dice);
            let point = Point { firewalls: &[&before], environment: &environment };
            let trace = evaluate(point, &packet);
            let opens =
                packet.state() == ConnState::New && packet.get(Field::TcpFlags).is_none_or(|f| f == 2);
            let Some(by) = trace.decided_by.filter(|_| trace.verdict == Verdict::Drop && opens) else {
                continue;
            };
            let region = flow(&packet);
            let missing =
                Missing { region: &region, answers: false, later: false, chain: by.chain, rule: by.rule };
            let Some(s) = Pfsense.suggest(&before, &missing) else { continue };
            let mut lines: Vec<&str> = xml.split('\n').collect();
            lines.insert(s.after_line as usize, &s.text);
            let text = lines.join("\n");
            let after = read(&text);
            let told = || format!("seed {seed}: {} {packet}\n{}\n{text}", packet.path, s.text);
            assert_eq!(
                after.diagnostics.len(),
                before.diagnostics.len(),
                "{:?} {}",
                after.diagnostics,
                told()
            );
            let point = Point { firewalls: &[&after], environment: &environment };
            let now = evaluate(point, &packet);
            // Another rule that may stop it, for what is learnt at run time, still stands before.
            let passed = now.verdict != Verdict::Drop
                || now.decided_by.is_some_and(|d| after.chain(d.chain).name == "out");
            assert!(passed, "{:?} {}", now.verdict, told());
            proposed += 1;
            floating += usize::from(s.text.contains("<floating>"));
            for _ in 0..40 {
                let other = random::packet(&mut dice);
                let was = Point { firewalls: &[&before], environment: &environment };
                // What is translated meets the rule with another address.
                if !region.contains(&other) && other.get(Field::Dst) != packet.get(Field::Dst) {
                    let same = evaluate(point, &other).verdict == evaluate(was, &other).verdict;
                    let translated = before.chains.iter().any(|c| c.name == "translations in");
                    assert!(same || translated, "{} {other}\n{}", other.path, told());
                    others += 1;
                }
            }
        }
    }
    assert!(proposed > 200 && floating > 5 && others > 5000, "{proposed} {floating} {others}");
}
