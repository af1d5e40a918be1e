//! Holds havenlint's answers against the kernel's.

use super::bench::{Bench, Kernel, Load};
use super::pool::{Pool, locals};
use super::random::Random;
use super::say;
use havenlint::analysis::decide::{Question, decide, witness};
use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::{ReadOptions, by_name};
use havenlint::model::{Firewall, Hook};
use havenlint::packet::{
    ConnState, Family, Field, IntervalSet, Packet, Path, Region, addr, interface_value, proto,
};
use havenlint::source::SourceFile;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A random ruleset, the packets for it, and how it is loaded and read.
pub struct Case {
    /// Program that loads it.
    pub tool: &'static str,
    /// Dialect that reads it.
    pub dialect: &'static str,
    /// The ruleset.
    pub text: String,
    /// A script for `ipset restore` that makes the sets of the ruleset; may be empty.
    pub sets: String,
    /// Packets to ask for.
    pub packets: Vec<Packet>,
    /// Regions to ask for, with the path.
    pub regions: Vec<(Path, Region)>,
}

impl Case {
    // What this box sends to itself keeps its connection's record from output on, so that a state test before the tracker sees it;
    // what the bench puts on lo has none.
    fn untestable(&self, packet: &Packet) -> bool {
        let from_lo = packet.get(Field::Iif) == interface_value("lo").ok();
        let raw = self.text.split_once("*raw").and_then(|(_, rest)| rest.split_once("COMMIT"));
        let early = raw.is_some_and(|(raw, _)| raw.contains("state")) || self.text.contains("priority raw");
        from_lo && early
    }
}

/// What a campaign counted.
#[derive(Debug, Default)]
pub struct Totals {
    /// Rulesets that the tool loaded.
    pub rulesets: u64,
    /// Rulesets that the tool refused.
    pub refused: u64,
    /// Packets that havenlint and the kernel judge alike.
    pub alike: u64,
    /// Of these: accepted.
    pub accepted: u64,
    /// Of these: packets sampled from answers about regions.
    pub from_regions: u64,
    /// Packets that the kernel discarded by itself, or sent another way.
    pub without_verdict: u64,
    /// Packets about which havenlint says "undecided".
    pub undecided: u64,
    /// Of these: those of rules that ask for what a packet here does not tell.
    pub untold: u64,
    /// Packets judged alike by rulesets that hold something, by its name.
    pub kinds: BTreeMap<&'static str, u64>,
    /// What "undecided" depended on, and how often.
    pub doubts: BTreeMap<String, u64>,
}

// What of a ruleset is counted apart, and the words that tell it.
const KINDS: [(&str, &[&str]); 13] = [
    ("chains of devices", &["hook ingress"]),
    ("addresses written", &["saddr set ", "daddr set "]),
    ("ports written", &["dport set ", "sport set "]),
    ("marks of connections", &["ct mark", "CONNMARK", "connmark"]),
    ("kinds of addresses", &["fib ", "addrtype"]),
    ("status of connections", &["ct status", "ctstatus"]),
    ("sets beside the dump", &["--match-set"]),
    ("networks with interfaces", &["hash:net,iface"]),
    ("exceptions in sets", &["nomatch"]),
    ("untracked, then asked for states", &["notrack", "NOTRACK"]),
    ("translations", &["DNAT", "REDIRECT", "MASQUERADE", "dnat", "redirect", "masquerade"]),
    ("marks", &["MARK", "mark set"]),
    ("original destination", &["ctorigdst", "ct original"]),
];

impl Case {
    fn kinds(&self) -> impl Iterator<Item = &'static str> {
        let holds = |word: &&str| self.text.contains(word) || self.sets.contains(word);
        KINDS.iter().filter(move |(_, words)| words.iter().any(&holds)).map(|(name, _)| *name)
    }
}

/// Reads a ruleset, with the script that makes its sets.
pub fn read(dialect: &str, text: &str, sets: &str) -> Firewall {
    let (reader, variant) = by_name(dialect).expect("the dialect is registered");
    let options = ReadOptions { variant: Some(variant), ..ReadOptions::default() };
    let mut files = vec![SourceFile::new("ruleset", text.as_bytes())];
    if !sets.is_empty() {
        files.push(SourceFile::new("sets", sets.as_bytes()));
    }
    reader.read(&files, &options)
}

/// What is loaded: the sets first, for rules name them.
pub fn loads<'a>(tool: &'a str, text: &'a str, sets: &'a str) -> Vec<Load<'a>> {
    let sets = (!sets.is_empty()).then_some(("ipset", sets));
    sets.into_iter().chain([(tool, text)]).collect()
}

/// What is known about the namespace of the bench.
pub fn environment() -> Environment {
    Environment { local: Some(locals()), ..Environment::default() }
}

/// Judges a packet with the evaluator.
pub fn trace(firewall: &Firewall, packet: &Packet) -> Verdict {
    let environment = environment();
    evaluate(Point { firewalls: &[firewall], environment: &environment }, packet).verdict
}

// What rules ask for and a packet of the comparison does not tell: its length, its class of service.
const UNTOLD: [&str; 3] = ["-m length", "-m dscp", "meta length"];

// What an undecided answer depends on.
fn doubts(firewall: &Firewall, packet: &Packet) -> Vec<String> {
    let environment = environment();
    let t = evaluate(Point { firewalls: &[firewall], environment: &environment }, packet);
    t.because.into_iter().map(|b| b.text).collect()
}

// Whether a destination was translated so that havenlint sends the packet another way, or nothing tells which: the bench cannot
// follow, it has chosen the way before.
fn goes_elsewhere(firewall: &Firewall, packet: &Packet) -> bool {
    let environment = environment();
    let t = evaluate(Point { firewalls: &[firewall], environment: &environment }, packet);
    let translated = t.steps.iter().any(|s| s.hook == Hook::Prerouting && s.result == "translate");
    let here = if packet.path == Path::Input { Hook::Input } else { Hook::Forward };
    let there = if packet.path == Path::Input { Hook::Forward } else { Hook::Input };
    let at = |hook| t.steps.iter().any(|s| s.hook == hook);
    translated && (at(there) || !at(here))
}

/// Whether certain answers contradict each other.
pub fn contradicts(ours: Verdict, kernel: &Kernel) -> bool {
    matches!((ours, kernel), (Verdict::Accept, Kernel::Drop) | (Verdict::Drop, Kernel::Accept))
}

/// Runs `count` cases on three benches (they wait for the kernel more than they work). Panics with the smallest ruleset it can find for the first few differences.
pub fn campaign(
    name: &str,
    count: u64,
    make: impl Fn(u64, &mut Random) -> Case + Sync,
) -> Result<Totals, String> {
    let benches: Vec<_> = (0..3).map(|_| Bench::start()).collect::<Result<_, _>>()?;
    let (seed, began) = (Random::seed(), Instant::now());
    let next = AtomicU64::new(0);
    let (totals, problems) = (Mutex::new(Totals::default()), Mutex::new(Vec::<String>::new()));
    std::thread::scope(|scope| {
        for mut bench in benches {
            let (next, totals, problems, make) = (&next, &totals, &problems, &make);
            scope.spawn(move || {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count || problems.lock().unwrap().len() >= 3 {
                        return;
                    }
                    let mut r = Random::new(seed, n);
                    let case = make(n, &mut r);
                    if let Err(problem) = one(&mut bench, &case, &mut r, totals) {
                        problems.lock().unwrap().push(format!("ruleset {n} of seed {seed}: {problem}"));
                    }
                }
            });
        }
    });
    let (totals, problems) = (totals.into_inner().unwrap(), problems.into_inner().unwrap());
    say(&format!("{name}: seed {seed}, {:.1} s, {totals:?}", began.elapsed().as_secs_f32()));
    assert!(problems.is_empty(), "{name} differs from the kernel:\n\n{}", problems.join("\n\n"));
    Ok(totals)
}

// Compares one case; the problem in words if there is one.
fn one(bench: &mut Bench, case: &Case, r: &mut Random, totals: &Mutex<Totals>) -> Result<(), String> {
    if let Err(why) = bench.load(&loads(case.tool, &case.text, &case.sets)) {
        totals.lock().unwrap().refused += 1;
        if std::env::var_os("HAVENLINT_KERNEL_REFUSED").is_some() {
            say(&format!("refused by {}: {why}\n{}{}", case.tool, case.sets, case.text));
        }
        return Ok(());
    }
    let firewall = read(case.dialect, &case.text, &case.sets);
    if firewall.ledger.not_understood > 0 {
        let words: Vec<_> = firewall.diagnostics.iter().map(|d| format!("{d:?}")).collect();
        return Err(format!(
            "{} accepts what {} does not understand:\n{}\n{}",
            case.tool,
            case.dialect,
            words.join("\n"),
            case.text
        ));
    }
    let (sampled, expected) = sample(&firewall, case, r)?;
    let packets: Vec<_> = case.packets.iter().chain(&sampled).cloned().collect();
    let answers = bench.judge(&packets);
    let mut t = Totals { rulesets: 1, ..Totals::default() };
    let mut bad = None;
    for (n, (packet, kernel)) in packets.iter().zip(&answers).enumerate() {
        let ours = trace(&firewall, packet);
        let of_region = n.checked_sub(case.packets.len()).map(|i| expected[i]);
        let region_differs = of_region.is_some_and(|v| contradicts(v, kernel));
        if case.untestable(packet) || packet.path != Path::Output && goes_elsewhere(&firewall, packet) {
            t.without_verdict += 1;
            continue;
        }
        // What is sent to the box's own addresses is for this box, even if they are not known.
        let own = packet.get(Field::Dst).is_some_and(|v| locals().contains(v));
        if packet.path == Path::Input && own && !case.untestable(packet) {
            let unaware = Environment::default();
            let verdict = evaluate(Point { firewalls: &[&firewall], environment: &unaware }, packet).verdict;
            if contradicts(verdict, kernel) && !contradicts(ours, kernel) {
                let packet = serde_json::to_string(packet).unwrap();
                return Err(format!(
                    "without known addresses {verdict:?}, kernel {kernel:?}: {packet}\n{}",
                    case.text
                ));
            }
        }
        if contradicts(ours, kernel) || region_differs {
            // Packets that are translated to the same connection stand in each other's way: each is asked for alone.
            let alone = &bench.judge(std::slice::from_ref(packet))[0];
            let region_differs = of_region.is_some_and(|v| contradicts(v, alone));
            if contradicts(ours, alone) || region_differs {
                bad.get_or_insert((packet, !contradicts(ours, alone)));
            } else {
                t.without_verdict += 1;
            }
            continue;
        }
        match (ours, kernel) {
            (_, Kernel::Nothing(_)) => t.without_verdict += 1,
            (Verdict::Undecided, _) => {
                let doubts = doubts(&firewall, packet);
                let untold = doubts.iter().any(|d| UNTOLD.iter().any(|u| d.starts_with(u)));
                t.undecided += 1;
                t.untold += u64::from(untold);
                for doubt in doubts {
                    *t.doubts.entry(doubt).or_default() += 1;
                }
            }
            (_, k) => {
                t.alike += 1;
                t.accepted += u64::from(*k == Kernel::Accept);
                t.from_regions += u64::from(of_region.is_some());
            }
        }
    }
    let mut totals = totals.lock().unwrap();
    totals.rulesets += t.rulesets;
    totals.alike += t.alike;
    totals.accepted += t.accepted;
    totals.from_regions += t.from_regions;
    totals.without_verdict += t.without_verdict;
    totals.undecided += t.undecided;
    totals.untold += t.untold;
    for (doubt, n) in t.doubts {
        *totals.doubts.entry(doubt).or_default() += n;
    }
    for kind in case.kinds() {
        *totals.kinds.entry(kind).or_default() += t.alike;
    }
    drop(totals);
    match bad {
        None => Ok(()),
        Some((packet, true)) => Err(format!(
            "the answer about a region contradicts evaluator and kernel for {}\n{}",
            serde_json::to_string(packet).unwrap(),
            case.text
        )),
        Some((packet, false)) => Err(explain(bench, case, packet)),
    }
}

// Packets from the certain parts of the answers about the case's regions, with what each answer says of them.
fn sample(firewall: &Firewall, case: &Case, r: &mut Random) -> Result<(Vec<Packet>, Vec<Verdict>), String> {
    let environment = environment();
    let firewalls = [firewall];
    let point = Point { firewalls: &firewalls, environment: &environment };
    let (mut packets, mut verdicts) = (Vec::new(), Vec::new());
    for (path, region) in &case.regions {
        let question = Question { point, path: *path, region: region.clone(), mark: 0, delivered_to: None };
        let answer = decide(&question);
        let lists = [
            (&answer.accepted, Verdict::Accept),
            (&answer.denied, Verdict::Drop),
            (&answer.undecided, Verdict::Undecided),
        ];
        for _ in 0..4 {
            let Some(p) = packet_in(region, *path, r) else { continue };
            let hits =
                lists.iter().flat_map(|(l, _)| l.iter()).filter(|part| part.region.contains(&p)).count();
            if hits != 1 {
                let p = serde_json::to_string(&p).unwrap();
                return Err(format!("{hits} parts of the answer about a region hold {p}\n{}", case.text));
            }
        }
        for (list, verdict) in lists.iter().filter(|(_, v)| *v != Verdict::Undecided) {
            for _ in 0..4usize.min(2 * list.len()) {
                let part = r.pick(list);
                let found =
                    if r.chance(25) { witness(&question, part) } else { packet_in(&part.region, *path, r) };
                let Some(p) = found else { continue };
                if travels(&p) {
                    packets.push(p);
                    verdicts.push(*verdict);
                }
            }
        }
    }
    Ok((packets, verdicts))
}

fn travels(p: &Packet) -> bool {
    p.mark == 0
        && [Field::Src, Field::Dst]
            .into_iter()
            .all(|f| p.get(f).is_some_and(|v| super::pool::travels(p.family(), v)))
}

// A packet of the region, at a boundary more often than not.
fn packet_in(region: &Region, path: Path, r: &mut Random) -> Option<Packet> {
    let mut values = [0; Field::COUNT];
    for f in Field::ALL {
        let ranges = region.get(f).ranges();
        if ranges.is_empty() {
            return None;
        }
        let (lo, hi) = *r.pick(ranges);
        values[f.index()] = match r.below(3) {
            0 => lo,
            1 => hi,
            _ => r.between(lo, hi),
        };
    }
    Some(Packet::from_values(path, &values, 0))
}

/// A random region whose packets the bench can send: packets that open connections, between interfaces that are there.
pub fn region(pool: &Pool, r: &mut Random) -> (Path, Region) {
    let path = *r.pick(&[Path::Input, Path::Forward, Path::Output]);
    let (iif, oif) = match path {
        Path::Input => (*r.pick(&pool.interfaces), ""),
        Path::Output => ("", *r.pick(&pool.interfaces)),
        _ => (*r.pick(&pool.interfaces), *r.pick(&pool.interfaces)),
    };
    let name = |n| IntervalSet::single(interface_value(n).unwrap());
    let (icmp, echo) = match pool.family {
        Family::V4 => (proto::ICMP, 8u8),
        Family::V6 => (proto::ICMPV6, 128),
    };
    let protocols =
        r.pick(&[vec![proto::TCP], vec![proto::UDP], vec![icmp], vec![proto::TCP, proto::UDP]]).clone();
    let mac = if path == Path::Output { 0 } else { *r.pick(&pool.macs) };
    let mut region = Region::all(pool.family)
        .with(Field::Iif, name(iif))
        .with(Field::Oif, name(oif))
        .with(Field::State, IntervalSet::single(ConnState::New.value()))
        .with(Field::Proto, protocols.iter().map(|p| u128::from(*p)).collect())
        .with(Field::Icmp, IntervalSet::single(u128::from(echo) << 8))
        .with(Field::TcpFlags, IntervalSet::single(2u8))
        .with(Field::Mac, IntervalSet::single(mac));
    for f in [Field::Src, Field::Dst] {
        let nets = (0..1 + r.below(3)).filter_map(|_| addr::parse(&pool.net(r)));
        let set = nets.fold(IntervalSet::EMPTY, |a, b| a.union(&b));
        if !set.is_empty() {
            region = region.cut(f, &set);
        }
    }
    for f in [Field::Sport, Field::Dport] {
        if r.chance(60) {
            let (lo, hi) = pool.ports(r);
            region = region.with(f, IntervalSet::range(lo, hi));
        }
    }
    (path, region)
}

// The difference in words, with the ruleset cut down to what matters.
fn explain(bench: &mut Bench, case: &Case, packet: &Packet) -> String {
    let mut lines: Vec<&str> = case.text.lines().collect();
    let mut size = lines.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < lines.len() {
            let mut fewer = lines.clone();
            fewer.drain(at..(at + size).min(fewer.len()));
            if differs(bench, case, &fewer.join("\n"), packet) {
                lines = fewer;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    let text = lines.join("\n") + "\n";
    let loaded = bench.load(&loads(case.tool, &text, &case.sets));
    let kernel = bench.judge(std::slice::from_ref(packet));
    let firewall = read(case.dialect, &text, &case.sets);
    let environment = environment();
    let t = evaluate(Point { firewalls: &[&firewall], environment: &environment }, packet);
    let mut out = format!("{} ({loaded:?}):\n{}{text}", case.tool, case.sets);
    let _ = writeln!(out, "packet:    {}", serde_json::to_string(packet).unwrap());
    let _ = writeln!(out, "kernel:    {:?}", kernel[0]);
    let _ = writeln!(out, "havenlint: {:?}", t.verdict);
    for step in &t.steps {
        let _ = writeln!(
            out,
            "    {}: {} -> {}",
            step.hook.name(),
            firewall.locate(step.origin).text,
            step.result
        );
    }
    out
}

fn differs(bench: &mut Bench, case: &Case, text: &str, packet: &Packet) -> bool {
    let text = text.to_owned() + "\n";
    if bench.load(&loads(case.tool, &text, &case.sets)).is_err() {
        return false;
    }
    let firewall = read(case.dialect, &text, &case.sets);
    let elsewhere =
        case.untestable(packet) || packet.path != Path::Output && goes_elsewhere(&firewall, packet);
    !elsewhere && contradicts(trace(&firewall, packet), &bench.judge(std::slice::from_ref(packet))[0])
}
