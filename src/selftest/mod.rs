//! Asks the running kernel: the ruleset is loaded in a network namespace of its own, packets at its boundaries are sent, and what the kernel
//! does with each is compared with the evaluator's verdict and with the answers about regions.
//!
//! Nothing of this machine's network is touched. The namespace has no name and belongs to one thread: it is gone when the thread ends,
//! however the program ends.

#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

#[cfg(target_os = "linux")]
mod bench;
mod choose;
mod load;
pub mod wire;

#[cfg(not(target_os = "linux"))]
mod bench {
    //! Other systems have no network namespaces.
    use super::{Kernel, Packet, Setup};

    pub fn judge(_: &Setup<'_>, _: &[Packet]) -> Result<Vec<Kernel>, String> {
        Err("this needs network namespaces, which only Linux has".to_owned())
    }

    pub fn follow(_: &Setup<'_>, _: &Packet) -> Vec<String> {
        Vec::new()
    }

    pub fn about() -> (String, bool) {
        (String::new(), false)
    }
}

pub use load::{Load, loads};

use crate::analysis::evaluate::{Trace, evaluate};
use crate::analysis::{Environment, Point, Verdict};
use crate::model::{Firewall, Hook};
use crate::packet::{Field, IntervalSet, Packet, Path, Value, addr, interface_name};
use crate::source::Location;
use choose::Chosen;
use ipnet::{Ipv4Subnets, Ipv6Subnets};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

/// What is compared: firewalls of one box as they were read, and what is loaded.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The firewalls.
    pub firewalls: &'a [&'a Firewall],
    /// What is known of the box.
    pub environment: &'a Environment,
    /// What is loaded: for an honest comparison, [`loads`] of the firewalls.
    pub loads: &'a [Load],
}

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Packets of each path, at most [`MAX_PACKETS`].
    pub packets: usize,
    /// No new work is begun after this.
    pub until: Instant,
}

/// More packets of one path are not sent.
pub const MAX_PACKETS: usize = 50_000;

// Packets that share a namespace: no more than an IPv4 packet's identification (16 bits) tells apart.
const TOGETHER: usize = 2000;

// Interfaces by which the forwarded packets of one namespace leave: no more than traffic classes of which IPv4 rules can ask.
const LEAVING: usize = 6;

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    /// The kernel.
    pub kernel: String,
    /// The programs that loaded the ruleset.
    pub loaded_with: Vec<String>,
    /// Packets by path.
    pub paths: Vec<Count>,
    /// Packets on which both agree, by the chain that decides them.
    pub chains: Vec<Deciding>,
    /// What is judged differently; no more than [`MAX_SHOWN`], `paths` counts all.
    pub differences: Vec<Difference>,
    /// Packets without a comparison, by why.
    pub not_compared: BTreeMap<String, u64>,
    /// The time was over before all packets were compared.
    pub out_of_time: bool,
}

/// Differences that are shown.
pub const MAX_SHOWN: usize = 5;

/// Packets of one path.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The path.
    pub path: &'static str,
    /// Packets sent.
    pub packets: u64,
    /// The kernel does what havenlint says.
    pub agree: u64,
    /// Of these, packets that are let through.
    pub accepted: u64,
    /// havenlint says "undecided".
    pub undecided: u64,
    /// The kernel does something else.
    pub differ: u64,
    /// Nothing to compare.
    pub not_compared: u64,
}

/// A chain that decides packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deciding {
    /// Its table; empty where the dialect has none.
    pub table: String,
    /// Its name.
    pub chain: String,
    /// The hook at which it decided.
    pub hook: &'static str,
    /// Packets.
    pub packets: u64,
    /// Rules of it (and its policy) that decided any.
    pub rules: u64,
}

/// A packet that is judged differently.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The packet.
    pub packet: Packet,
    /// What havenlint says.
    pub verdict: Verdict,
    /// The rule or policy that decides, as havenlint has it.
    pub decided_by: Option<Location>,
    /// The verdict of the answer about a region that holds the packet, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Verdict>,
    /// What the kernel does.
    pub kernel: Verdict,
    /// The hook at which the kernel stops it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_hook: Option<&'static str>,
    /// The kernel's own account, as `nft monitor trace` prints it; empty where the ruleset is not traced (iptables-legacy).
    pub kernel_trace: Vec<String>,
}

/// What the kernel does with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kernel {
    /// It comes to the end of its path.
    Accept,
    /// It comes to this hook, and not out of it.
    Drop(Hook),
    /// The kernel discarded it between the hooks, or sent it elsewhere.
    Nothing,
}

impl Kernel {
    fn contradicts(&self, ours: Verdict) -> bool {
        matches!((self, ours), (Kernel::Accept, Verdict::Drop) | (Kernel::Drop(_), Verdict::Accept))
    }
}

/// What is set up in the namespace.
#[derive(Debug, Clone)]
struct Setup<'a> {
    loads: &'a [Load],
    // Interfaces beside `lo`.
    devices: &'a [String],
    // Those by which forwarded packets leave.
    leaving: Vec<Value>,
    // The box's own addresses, as text: prefixes.
    own: Vec<String>,
    // The interface that leads to a source, where rules ask for it.
    back: BTreeMap<Value, String>,
    // Chains look at packets where devices hand them over.
    at_devices: bool,
}

impl Outcome {
    /// The sum over all paths.
    pub fn total(&self, of: impl Fn(&Count) -> u64) -> u64 {
        self.paths.iter().map(of).sum()
    }
}

// Packets that are asked for alone, because what is sent before changes what a limit or a translation does.
const ALONE: usize = 16;

/// Compares.
///
/// # Errors
/// A message if it cannot be done here: rights or programs that are missing, or a ruleset that its own program refuses.
pub fn run(subject: Subject<'_>, limits: Limits) -> Result<Outcome, String> {
    let devices = choose::devices(subject.firewalls);
    let (kernel, tracked) = bench::about();
    let loaded_with: BTreeSet<String> = subject.loads.iter().map(Load::command).collect();
    let mut out = Outcome { kernel, loaded_with: loaded_with.into_iter().collect(), ..Outcome::default() };
    let mut deciding = Decisions::new();
    for path in [Path::Input, Path::Forward, Path::Output] {
        let point = Point { firewalls: subject.firewalls, environment: subject.environment };
        let mut count = Count { path: path.name(), ..Count::default() };
        for chosen in together(choose::packets(point, path, &devices, tracked, limits.packets)) {
            if Instant::now() >= limits.until && (!out.paths.is_empty() || count.packets > 0) {
                out.out_of_time = true;
                break;
            }
            let mut run = Run::new(point, subject.loads, &devices, count, chosen);
            run.compare(limits, &mut out)?;
            for (trace, agrees) in run.traces.iter().zip(&run.agrees) {
                let Some(d) = trace.decided_by.as_ref().filter(|_| *agrees) else { continue };
                let chain = subject.firewalls[d.firewall].chain(d.chain);
                let at = deciding.entry((d.hook, chain.table.clone(), chain.name.clone())).or_default();
                *at.entry(d.rule).or_default() += 1;
            }
            count = run.count;
        }
        out.paths.push(count);
    }
    let chains = deciding.into_iter().map(|((hook, table, chain), rules)| Deciding {
        table,
        chain,
        hook: hook.name(),
        packets: rules.values().sum(),
        rules: rules.len() as u64,
    });
    out.chains = chains.collect();
    Ok(out)
}

// The packets that share a namespace.
fn together(chosen: Vec<Chosen>) -> Vec<Vec<Chosen>> {
    let (mut leaving, mut groups) = (Vec::new(), Vec::<Vec<Chosen>>::new());
    for c in chosen {
        let oif = c.packet.get(Field::Oif).filter(|_| c.packet.path == Path::Forward);
        let number = leaving.iter().position(|o| *o == oif).unwrap_or_else(|| {
            leaving.push(oif);
            leaving.len() - 1
        });
        groups.resize_with(groups.len().max(number / LEAVING + 1), Vec::new);
        groups[number / LEAVING].push(c);
    }
    groups.iter().flat_map(|g| g.chunks(TOGETHER)).map(<[Chosen]>::to_vec).collect()
}

// Packets by hook, table and chain, and by the rule; `None` = the policy.
type Decisions = BTreeMap<(Hook, String, String), BTreeMap<Option<usize>, u64>>;

// Some packets of one path.
struct Run<'a> {
    point: Point<'a>,
    setup: Setup<'a>,
    count: Count,
    chosen: Vec<Chosen>,
    traces: Vec<Trace>,
    agrees: Vec<bool>,
}

impl<'a> Run<'a> {
    fn new(
        point: Point<'a>,
        loads: &'a [Load],
        devices: &'a [String],
        mut count: Count,
        mut chosen: Vec<Chosen>,
    ) -> Self {
        let own = own_addresses(point.environment, count.path, &chosen);
        let asked =
            count.path != Path::Output.name() && point.firewalls.iter().any(|f| f.asks_reverse_path());
        let back = if asked { ways_back(&own, &mut chosen) } else { BTreeMap::new() };
        let own = prefixes(&own);
        let at_devices =
            point.firewalls.iter().any(|f| f.base_chains.iter().any(|b| b.hook == Hook::DeviceIngress));
        let traces: Vec<Trace> = chosen.iter().map(|c| evaluate(point, &c.packet)).collect();
        count.packets += chosen.len() as u64;
        let forwarded = chosen.iter().filter(|c| c.packet.path == Path::Forward);
        let leaving: BTreeSet<Value> = forwarded.filter_map(|c| c.packet.get(Field::Oif)).collect();
        let leaving = leaving.into_iter().collect();
        let setup = Setup { loads, devices, leaving, own, back, at_devices };
        Self { point, setup, count, agrees: vec![false; chosen.len()], chosen, traces }
    }

    fn compare(&mut self, limits: Limits, out: &mut Outcome) -> Result<(), String> {
        let all: Vec<usize> = (0..self.chosen.len()).collect();
        // Sent together first; what differs then is sent again to a ruleset that has counted nothing yet, and what still differs, alone.
        let mut suspects = self.judge(&all, out)?;
        if !suspects.is_empty() && Instant::now() < limits.until {
            suspects = self.judge(&suspects, out)?;
        }
        for (n, suspect) in suspects.into_iter().enumerate() {
            if n >= ALONE || Instant::now() >= limits.until {
                out.out_of_time |= n < ALONE;
                // Each of those before was found to differ when it was alone, or the time is over: counted, not explained.
                self.skip("what differs together was not sent alone", out);
                continue;
            }
            if !self.judge(&[suspect], out)?.is_empty() {
                self.count.differ += 1;
                if out.differences.len() < MAX_SHOWN {
                    let told = self.explain(suspect)?;
                    out.differences.push(told);
                }
            }
        }
        Ok(())
    }

    // Sends some packets to a fresh namespace and counts what can be counted; those that contradict.
    fn judge(&mut self, which: &[usize], out: &mut Outcome) -> Result<Vec<usize>, String> {
        let packets: Vec<Packet> = which.iter().map(|n| self.chosen[*n].packet.clone()).collect();
        let answers = bench::judge(&self.setup, &packets)?;
        let mut suspects = Vec::new();
        for (n, kernel) in which.iter().zip(answers) {
            let (chosen, trace) = (&self.chosen[*n], &self.traces[*n]);
            if kernel == Kernel::Nothing {
                self.skip("the kernel discarded it outside the ruleset, or sent it another way", out);
            } else if self.leaves(&chosen.packet) {
                self.skip("a chain at the egress hook sees it, and packets are not sent as far as that", out);
            } else if self.elsewhere(trace) {
                self.skip("its destination is translated, and the routes of the machine are not known", out);
            } else if kernel.contradicts(trace.verdict)
                || chosen.answer.is_some_and(|a| kernel.contradicts(a))
            {
                suspects.push(*n);
            } else if trace.verdict == Verdict::Undecided {
                self.count.undecided += 1;
            } else {
                self.count.agree += 1;
                self.count.accepted += u64::from(kernel == Kernel::Accept);
                self.agrees[*n] = true;
            }
        }
        Ok(suspects)
    }

    fn skip(&mut self, why: &str, out: &mut Outcome) {
        self.count.not_compared += 1;
        *out.not_compared.entry(why.to_owned()).or_default() += 1;
    }

    // Whether a translation sends the packet another way than the one that was made for it.
    fn elsewhere(&self, trace: &Trace) -> bool {
        let (here, there) = match self.count.path {
            "input" => (Hook::Input, Hook::Forward),
            "forward" => (Hook::Forward, Hook::Input),
            _ => return false,
        };
        let at = |hook| trace.steps.iter().any(|s| s.hook == hook);
        let translated = trace.steps.iter().any(|s| s.hook == Hook::Prerouting && s.result == "translate");
        translated && (at(there) || !at(here))
    }

    fn leaves(&self, packet: &Packet) -> bool {
        let sees = |f: &&Firewall| f.base_chains(Hook::DeviceEgress, packet.family()).next().is_some();
        packet.path != Path::Input && self.point.firewalls.iter().any(sees)
    }

    fn explain(&self, n: usize) -> Result<Difference, String> {
        let (chosen, trace) = (&self.chosen[n], &self.traces[n]);
        let answers = bench::judge(&self.setup, std::slice::from_ref(&chosen.packet))?;
        let hook = answers.iter().find_map(|k| if let Kernel::Drop(hook) = k { Some(*hook) } else { None });
        let by = trace.decided_by.as_ref();
        Ok(Difference {
            packet: chosen.packet.clone(),
            verdict: trace.verdict,
            decided_by: by.map(|d| self.point.firewalls[d.firewall].locate(d.origin)),
            answer: chosen.answer.filter(|a| *a != trace.verdict),
            kernel: if hook.is_some() { Verdict::Drop } else { Verdict::Accept },
            kernel_hook: hook.map(Hook::name),
            kernel_trace: bench::follow(&self.setup, &chosen.packet),
        })
    }
}

// The addresses that the namespace has: those that are known of the box, or those that its packets imply.
fn own_addresses(environment: &Environment, path: &str, chosen: &[Chosen]) -> IntervalSet {
    let implied = |field| chosen.iter().filter_map(|c| c.packet.get(field)).collect();
    match (&environment.local, path) {
        (Some(local), _) => local.clone(),
        (None, "input") => implied(Field::Dst),
        (None, "output") => implied(Field::Src),
        _ => IntervalSet::EMPTY,
    }
}

// The interface that leads back to each source. Packets of one source that come by another are left out, and those from the box's own
// addresses or from lo, to which no interface leads.
fn ways_back(own: &IntervalSet, chosen: &mut Vec<Chosen>) -> BTreeMap<Value, String> {
    let mut back = BTreeMap::new();
    chosen.retain(|c| {
        let by = interface_name(c.packet.get(Field::Iif).unwrap_or(0));
        let source = c.packet.get(Field::Src).filter(|v| by != "lo" && !own.contains(*v));
        source.is_some_and(|v| *back.entry(v).or_insert_with(|| by.clone()) == by)
    });
    back
}

// A set of addresses as prefixes.
fn prefixes(set: &IntervalSet) -> Vec<String> {
    let nets = set.ranges().iter().flat_map(|(lo, hi)| match (addr::addr(*lo), addr::addr(*hi)) {
        (IpAddr::V4(a), IpAddr::V4(b)) => Ipv4Subnets::new(a, b, 0).map(|n| n.to_string()).collect(),
        (IpAddr::V6(a), IpAddr::V6(b)) => Ipv6Subnets::new(a, b, 0).map(|n| n.to_string()).collect(),
        _ => Vec::new(),
    });
    nets.collect()
}
