//! Every semantic fact that the dialects rest on, as a small ruleset with packets: the kernel and the evaluator must both say what is
//! written here. The facts stand in `tests/kernel/*.facts`:
//!
//! ```text
//! fact: RETURN in a built-in chain is its policy
//! iptables
//! *filter
//! ...
//! packets:
//! drop input eth0 tcp 192.0.2.9:40000 > 10.20.30.1:22
//! ```
//!
//! Between the ruleset and the packets may stand `ipset:` and a script that makes its sets.
//!
//! The second line names what loads it: `iptables` and `ip6tables` mean both back ends, `iptables-nft` one of them, `nft`.
//! `unclear` instead of a verdict: the answer depends on the back end, and the evaluator must be undecided. `unclear accept`: the kernel accepts, and
//! the evaluator may not know, but must not be wrong. `discarded`: the kernel throws it away whatever the rules say.
#![allow(clippy::unwrap_used)]

use crate::support::bench::{Bench, Kernel};
use crate::support::compare::{loads, read, trace};
use crate::support::{say, skip};
use havenlint::analysis::Verdict;
use havenlint::packet::Packet;

struct Fact {
    says: String,
    loader: String,
    text: String,
    sets: String,
    packets: Vec<(String, Packet)>,
}

fn facts(file: &str) -> Vec<Fact> {
    let mut out = Vec::new();
    for block in file.split("\nfact: ").skip(1) {
        let (says, rest) = block.split_once('\n').unwrap();
        let (loader, rest) = rest.split_once('\n').unwrap();
        let (text, packets) = rest.split_once("packets:\n").unwrap_or_else(|| panic!("{says}: no packets"));
        let (text, sets) = text.split_once("ipset:\n").unwrap_or((text, ""));
        let packets = packets.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
        let packet = |line: &str| {
            let starts = ["input", "forward", "output"].iter().filter_map(|w| line.find(w)).min().unwrap();
            (
                line[..starts].trim().to_owned(),
                line[starts..].parse().unwrap_or_else(|e| panic!("{line}: {e}")),
            )
        };
        out.push(Fact {
            says: says.to_owned(),
            loader: loader.to_owned(),
            text: text.to_owned(),
            sets: sets.to_owned(),
            packets: packets.map(packet).collect(),
        });
    }
    out
}

fn run(test: &str, file: &str) {
    let mut bench = match Bench::start() {
        Ok(bench) => bench,
        Err(why) => return skip(test, &why),
    };
    let (facts, mut wrong) = (facts(file), Vec::new());
    let mut packets = 0;
    for fact in &facts {
        let (tools, dialect) = match fact.loader.as_str() {
            "nft" => (vec!["nft".to_owned()], "nftables"),
            both @ ("iptables" | "ip6tables") => {
                (vec![format!("{both}-nft-restore"), format!("{both}-legacy-restore")], both)
            }
            one => (vec![format!("{one}-restore")], one.split('-').next().unwrap()),
        };
        let known = havenlint::dialect::by_name(dialect).is_some();
        for tool in tools {
            if let Err(why) = bench.load(&loads(&tool, &fact.text, &fact.sets)) {
                wrong.push(format!("{}: does not load: {why}", fact.says));
                continue;
            }
            let list: Vec<Packet> = fact.packets.iter().map(|(_, p)| p.clone()).collect();
            for ((expected, packet), kernel) in fact.packets.iter().zip(bench.judge(&list)) {
                let kernel_right = match expected.as_str() {
                    "accept" | "unclear accept" => kernel == Kernel::Accept,
                    "drop" | "unclear drop" => kernel == Kernel::Drop,
                    "unclear" => !matches!(kernel, Kernel::Nothing(_)),
                    "discarded" => matches!(kernel, Kernel::Nothing(_)),
                    other => panic!("{}: `{other}` is no expectation", fact.says),
                };
                let ours =
                    if known { Some(trace(&read(dialect, &fact.text, &fact.sets), packet)) } else { None };
                let right = ours.is_none_or(|ours| match expected.as_str() {
                    "accept" => ours == Verdict::Accept,
                    "drop" => ours == Verdict::Drop,
                    "unclear" => ours == Verdict::Undecided,
                    "unclear accept" => ours != Verdict::Drop,
                    "unclear drop" => ours != Verdict::Accept,
                    _ => true,
                });
                packets += 1;
                if !kernel_right || !right {
                    let packet = serde_json::to_string(packet).unwrap();
                    wrong.push(format!(
                        "{} ({tool})\n{}  {packet}\n  expected {expected}, kernel {kernel:?}, havenlint {ours:?}",
                        fact.says, fact.text
                    ));
                }
            }
        }
    }
    say(&format!("{test}: {} facts, {packets} packets", facts.len()));
    assert!(wrong.is_empty(), "{} facts differ:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn facts_of_iptables() {
    run("facts_of_iptables", include_str!("iptables.facts"));
}

#[test]
fn facts_of_nftables() {
    run("facts_of_nftables", include_str!("nftables.facts"));
}
