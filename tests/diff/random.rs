//! `diff` against the one-packet evaluator: random rulesets, random edits, packets at their boundaries. Whatever the evaluator decides otherwise
//! before and after must be in exactly one of the changes, of the right kind; and whatever a change tells must be so.
//!
//! `HAVENLINT_KERNEL_SEED` varies the rulesets, `HAVENLINT_DIFF_CASES` their number.
#![allow(clippy::unwrap_used)]

use crate::support::compare::{environment, read};
use crate::support::ipset::Script;
use crate::support::pool::Pool;
use crate::support::random::Random;
use crate::support::{iptables, nft, say};
use havenlint::analysis::diff::{Change, Difference, Kind, May, diff};
use havenlint::analysis::evaluate::{Trace, evaluate};
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::model::Firewall;
use havenlint::packet::{Family, Packet};

#[derive(Debug, Default)]
pub struct Totals {
    pub packets: u64,
    pub certain: u64,
    in_changes: u64,
    less_certain: u64,
    equal: u64,
    pub undecided: u64,
}

// Lines that are rules: of a dump, or of a chain's block.
fn is_rule(line: &str) -> bool {
    line.starts_with("-A ")
        || (line.starts_with("\t\t") && !line.contains("type ") && !line.contains("elements"))
}

fn edit(text: &str, other: &str, r: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let foreign: Vec<&str> = other.lines().filter(|l| is_rule(l)).collect();
    for _ in 0..1 + r.below(3) {
        let rules: Vec<usize> = (0..lines.len()).filter(|i| is_rule(&lines[*i])).collect();
        if rules.is_empty() {
            return lines.join("\n") + "\n";
        }
        let at = *r.pick(&rules);
        match r.below(9) {
            0 | 1 => _ = lines.remove(at),
            // A rule moves a little, within its block if it may.
            2 | 3 => {
                let to = (at + 1 + r.below(3)).min(lines.len() - 1);
                if is_rule(&lines[to]) {
                    let line = lines.remove(at);
                    lines.insert(to, line);
                }
            }
            4 | 5 => {
                let line = lines[at].clone();
                lines[at] = match line.contains("ACCEPT") || line.contains("accept") {
                    true => line.replace("ACCEPT", "DROP").replace("accept", "drop"),
                    false => line.replace("DROP", "ACCEPT").replace("drop", "accept"),
                };
            }
            6 => {
                if let Some(i) = lines.iter().position(|l| l.contains(" DROP [") || l.contains("policy drop"))
                {
                    lines[i] =
                        lines[i].replace(" DROP [", " ACCEPT [").replace("policy drop", "policy accept");
                }
            }
            7 if !foreign.is_empty() => {
                // What stands behind the chain's name of a rule of another ruleset; jumps may go nowhere then, which is fine.
                let line = r.pick(&foreign);
                let new = match (line.split_once(' ').map(|l| l.1), lines[at].strip_prefix("-A ")) {
                    (Some(rest), Some(own)) => {
                        let chain = own.split(' ').next().unwrap_or_default();
                        format!("-A {chain} {}", rest.split_once(' ').map_or("", |l| l.1))
                    }
                    _ => (*line).to_owned(),
                };
                lines.insert(at, new);
            }
            _ => {
                let line = lines[at].clone();
                lines.insert(*r.pick(&rules), line);
            }
        }
    }
    lines.join("\n") + "\n"
}

fn wrong(old: &Trace, new: &Trace, hits: &[&Change]) -> Option<&'static str> {
    use Verdict::{Accept, Drop, Undecided};
    if old.exhausted || new.exhausted {
        return None;
    }
    let kinds: Vec<Kind> = hits.iter().map(|c| c.kind).collect();
    let one = |certain: Kind| match kinds.as_slice() {
        [k] if *k == certain || *k == Kind::Undecided => None,
        [] => Some("is told nowhere"),
        [_] => Some("is told as something else"),
        _ => Some("is told twice"),
    };
    match (old.verdict, new.verdict) {
        (Drop, Accept) => one(Kind::Accepted),
        (Accept, Drop) => one(Kind::Stopped),
        (Drop, Drop) => kinds.iter().any(|k| *k != Kind::Undecided).then_some("is no change"),
        (Accept, Accept) => {
            let moved = match (&old.delivered, &new.delivered) {
                (Some(a), Some(b)) => a != b,
                _ => false,
            };
            if moved {
                // A state that is no longer tracked shows in the packet too.
                return one(Kind::Translated).and_then(|_| one(Kind::Tracked));
            }
            kinds.iter().any(|k| matches!(k, Kind::Accepted | Kind::Stopped)).then_some("is no change")
        }
        (Undecided, Undecided) => kinds.iter().any(|k| *k != Kind::Undecided).then_some("is told as certain"),
        // One side hangs on something, the other does not.
        _ => one(Kind::Undecided),
    }
}

pub fn judge(
    sides: [&Firewall; 2],
    environment: &Environment,
    packets: &[Packet],
    totals: &mut Totals,
) -> Result<(), String> {
    let difference: Difference = diff(sides[0], sides[1], environment);
    if !difference.agreed {
        return Err("a witness was decided otherwise".to_owned());
    }
    if difference.changes.is_empty() {
        totals.equal += 1;
    }
    for packet in packets {
        let [old, new] = sides.map(|f| evaluate(Point { firewalls: &[f], environment }, packet));
        let hits: Vec<&Change> = difference
            .changes
            .iter()
            .filter(|c| c.path == packet.path && c.region.contains(packet))
            .collect();
        totals.packets += 1;
        let certain = old.verdict != new.verdict
            && old.verdict != Verdict::Undecided
            && new.verdict != Verdict::Undecided;
        totals.certain += u64::from(certain);
        totals.in_changes += u64::from(!hits.is_empty());
        let vague = hits.iter().any(|c| c.kind == Kind::Undecided);
        totals.undecided += u64::from(vague);
        totals.less_certain += u64::from(certain && vague);
        if let Some(problem) = wrong(&old, &new, &hits) {
            let told: Vec<_> = hits.iter().map(|c| (c.kind, c.may)).collect();
            return Err(format!(
                "{packet} ({}) {problem}: {:?} before, {:?} after, told {told:?}",
                packet.path, old.verdict, new.verdict
            ));
        }
    }
    Ok(())
}

fn cases() -> u64 {
    std::env::var("HAVENLINT_DIFF_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(150)
}

fn campaign(
    name: &str,
    cases: u64,
    make: impl Fn(u64, &mut Random) -> (&'static str, [String; 2], Vec<Packet>),
) {
    let mut totals = Totals::default();
    for n in 0..cases {
        let mut r = Random::new(Random::seed(), n);
        let (dialect, texts, packets) = make(n, &mut r);
        let sides = texts.each_ref().map(|t| read(dialect, t, ""));
        let known = if n % 3 == 0 { Environment::default() } else { environment() };
        let known = Environment { throttled: n % 4 == 1, ..known };
        if let Err(problem) = judge([&sides[0], &sides[1]], &known, &packets, &mut totals) {
            panic!("{name}, ruleset {n}: {problem}\n--- old\n{}\n--- new\n{}", texts[0], texts[1]);
        }
    }
    say(&format!("{name}: {totals:?}"));
    assert!(totals.certain * 100 >= totals.packets, "edits change too little: {totals:?}");
    assert!(totals.less_certain * 10 <= totals.certain, "too much is left open: {totals:?}");
}

fn unmarked(mut packet: Packet) -> Packet {
    packet.mark = 0;
    packet
}

/// Zero differences over at least 20 000 packets.
#[test]
fn dumps_are_compared_as_their_packets_are() {
    campaign("iptables", cases(), |n, r| {
        let (family, dialect) = if n % 4 == 3 { (Family::V6, "ip6tables") } else { (Family::V4, "iptables") };
        let pool = Pool::new(family, r);
        let old = iptables::dump(&pool, &Script::default(), r);
        let new = edit(&old, &iptables::dump(&pool, &Script::default(), r), r);
        let packets = (0..150).map(|_| unmarked(pool.packet(r, true))).collect();
        (dialect, [old, new], packets)
    });
}

/// The same for dumps that translate.
#[test]
fn translations_are_followed_to_what_differs_behind_them() {
    campaign("translations", cases() / 2, |_, r| {
        let pool = Pool::new(Family::V4, r);
        let translates = |t: &String| t.contains("DNAT") || t.contains("REDIRECT");
        let dumps = (0..60).map(|_| iptables::dump(&pool, &Script::default(), r)).find(translates);
        let old = dumps.unwrap_or_default();
        let mut new = edit(&old, &iptables::dump(&pool, &Script::default(), r), r);
        // What decides stands behind the translation.
        for _ in 0..3 {
            let (filter, rest) = new.split_at(new.find("*filter").unwrap_or(0));
            new = format!("{filter}{}", edit(rest, "", r));
        }
        let packets = (0..150).map(|_| unmarked(pool.packet(r, true))).collect();
        ("iptables", [old, new], packets)
    });
}

/// The same for nftables.
#[test]
fn rulesets_are_compared_as_their_packets_are() {
    campaign("nft", cases(), |_, r| {
        let pools = [Pool::new(Family::V4, r), Pool::new(Family::V6, r)];
        let old = nft::ruleset(&pools, r);
        let new = edit(&old, &nft::ruleset(&pools, r), r);
        let packets = (0..150).map(|n| unmarked(pools[usize::from(n % 3 == 2)].packet(r, true))).collect();
        ("nftables", [old, new], packets)
    });
}

/// Rulesets that have nothing to do with each other: nothing is aligned, everything is compared.
#[test]
fn unlike_rulesets_are_compared_whole() {
    campaign("unlike", cases() / 6, |_, r| {
        let pool = Pool::new(Family::V4, r);
        let texts =
            [iptables::dump(&pool, &Script::default(), r), iptables::dump(&pool, &Script::default(), r)];
        let packets = (0..150).map(|_| unmarked(pool.packet(r, true))).collect();
        ("iptables", texts, packets)
    });
}

// A condition that no file decides, as a match.
fn unknown(name: &str) -> String {
    format!(" -m string --string \"{name}\" --algo bm --to 65535")
}

const UNKNOWNS: [&str; 3] = ["a", "b", "c"];

// Some rules ask for something unknown besides.
fn with_unknowns(text: &str, r: &mut Random) -> String {
    let mut out = String::new();
    for line in text.lines() {
        match line.rsplit_once(" -j ").or_else(|| line.rsplit_once(" -g ")) {
            Some((rule, _)) if is_rule(line) && r.chance(35) => {
                out += rule;
                out += &unknown(r.pick::<&str>(UNKNOWNS.as_slice()));
                out += &line[rule.len()..];
            }
            _ => out += line,
        }
        out.push('\n');
    }
    out
}

// The ruleset if the unknowns are true or false: the match goes, or the rule.
fn settled(text: &str, truth: usize) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        let mut gone = false;
        for (i, name) in UNKNOWNS.iter().enumerate() {
            gone |= truth & 1 << i == 0 && line.contains(&unknown(name));
            line = line.replace(&unknown(name), "");
        }
        if !gone {
            out += &line;
            out.push('\n');
        }
    }
    out
}

/// What is told as equal is equal whatever an unknown condition is; what is told as undecided may become what is told.
#[test]
fn unknown_conditions_have_one_truth_on_both_sides() {
    let (mut differ, mut told, mut idle) = (0, 0, 0);
    for n in 0..cases() {
        let mut r = Random::new(Random::seed(), 10_000 + n);
        let pool = Pool::new(Family::V4, &mut r);
        let old = with_unknowns(&iptables::dump(&pool, &Script::default(), &mut r), &mut r);
        let foreign = with_unknowns(&iptables::dump(&pool, &Script::default(), &mut r), &mut r);
        let texts = [edit(&old, &foreign, &mut r), old];
        let [new, old] = texts.each_ref().map(|t| read("iptables", t, ""));
        let environment = environment();
        let difference = diff(&old, &new, &environment);
        assert!(difference.agreed);
        let ways: Vec<[Firewall; 2]> = (0..1 << UNKNOWNS.len())
            .map(|truth| [&texts[1], &texts[0]].map(|t| read("iptables", &settled(t, truth), "")))
            .collect();
        for packet in (0..100).map(|_| unmarked(pool.packet(&mut r, true))) {
            let verdicts: Vec<[Verdict; 2]> = ways
                .iter()
                .map(|w| {
                    w.each_ref().map(|f| {
                        evaluate(Point { firewalls: &[f], environment: &environment }, &packet).verdict
                    })
                })
                .collect();
            let accept = verdicts.contains(&[Verdict::Drop, Verdict::Accept]);
            let stop = verdicts.contains(&[Verdict::Accept, Verdict::Drop]);
            let hits: Vec<&Change> = difference
                .changes
                .iter()
                .filter(|c| c.path == packet.path && c.region.contains(&packet))
                .collect();
            let says = |kind: Kind, may: May| {
                hits.iter().any(|c| {
                    c.kind == kind
                        || c.kind == Kind::Undecided && (c.may == Some(may) || c.may == Some(May::Either))
                })
            };
            let fine = hits.len() <= 1
                && (!accept || says(Kind::Accepted, May::Accept))
                && (!stop || says(Kind::Stopped, May::Stop));
            let found: Vec<_> = hits.iter().map(|c| (c.kind, c.may)).collect();
            assert!(
                fine,
                "ruleset {n}: {packet} ({}): {verdicts:?}, told {found:?}\n--- old\n{}\n--- new\n{}",
                packet.path, texts[1], texts[0]
            );
            differ += u64::from(accept || stop);
            let open = verdicts.iter().flatten().any(|v| *v == Verdict::Undecided);
            // Where both sides let through, the question is where to.
            let sent = |c: &Change| c.sides.iter().all(|s| s.verdict == Verdict::Accept);
            let vague = hits.iter().any(|c| c.kind == Kind::Undecided && !sent(c));
            told += u64::from(vague && !open);
            idle += u64::from(vague && !open && !accept && !stop);
        }
    }
    say(&format!("unknown: {differ} packets differ, {told} told as undecided, {idle} of them without need"));
    assert!(differ > 100 && told > 20 && idle * 5 <= told, "{differ} {told} {idle}");
}
