//! A requirement of one flow at one point, decided, with what a report needs of it.

use super::conversation::{Case, Conversation, Judged, Stage, client_ports};
use super::path::Hop;
use crate::analysis::decide::join::join;
use crate::analysis::evaluate::Trace;
use crate::catalogue::Requirement as Wanted;
use crate::catalogue::resolve::ResolvedFlow;
use crate::evidence::near::ports;
use crate::finding::{Asked, Flow, Reason, Related, Requirement, State};
use crate::model::Firewall;
use crate::packet::{Family, Field, IntervalSet, Packet, Region, addr, proto};
use crate::source::Location;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// A requirement of one flow at one point, with all that a finding needs.
pub struct Row<'a> {
    /// The requirement.
    pub wanted: &'a Wanted,
    /// The flow.
    pub flow: &'a ResolvedFlow,
    /// The family asked about.
    pub family: Family,
    /// State.
    pub state: State,
    /// The point, `None` where there is no file.
    pub hop: Option<Hop<'a>>,
    /// What became of the conversations there.
    pub judged: Judged,
    /// Why it is not checked or does not apply, or what else a reader must know.
    pub remark: String,
    /// The addresses and ports that were asked.
    pub conversation: Conversation,
    /// Conditions on the flow as a whole.
    pub reasons: Vec<Reason>,
    /// Other points that let through what should be kept out: the rules there.
    pub also: Vec<Related>,
    pub(super) shown: OnceLock<Option<Shown>>,
}

/// A packet to show for a row.
pub struct Shown {
    /// The packet.
    pub packet: Packet,
    /// What became of it at the row's point.
    pub trace: Trace,
    /// Which of the conversation's packets it is.
    pub stage: Stage,
}

// Of so many cases the rules and conditions are told; a question can have a hundred thousand.
const LOOKED_AT: usize = 1000;
// So many conditions are told: nobody settles more before asking again.
const MAX_REASONS: usize = 64;

impl<'a> Row<'a> {
    /// What is asked, without an answer.
    pub(super) fn blank(
        wanted: &'a Wanted,
        flow: &'a ResolvedFlow,
        family: Family,
        conversation: Conversation,
    ) -> Self {
        Row {
            wanted,
            flow,
            family,
            state: State::NotChecked,
            hop: None,
            judged: Judged::default(),
            remark: String::new(),
            conversation,
            reasons: Vec::new(),
            also: Vec::new(),
            shown: OnceLock::new(),
        }
    }

    pub(super) fn empty(wanted: &'a Wanted, flow: &'a ResolvedFlow, state: State, remark: String) -> Self {
        let family =
            flow.destination.addresses.known().and_then(IntervalSet::first).map_or(Family::V4, addr::family);
        let conversation = Conversation::of(flow, None, family, true);
        Row { state, remark, ..Self::blank(wanted, flow, family, conversation) }
    }

    /// The cases that a finding is about, worst first.
    pub fn cases(&self) -> &[Case] {
        match (self.state, self.wanted.kind.wants_passage()) {
            (State::Violated, true) => &self.judged.stopped,
            (State::Violated, false) => &self.judged.passed,
            (State::Undecided, _) => &self.judged.undecided,
            _ => &[],
        }
    }

    /// A packet for which the requirement is not met, or not certainly; of the first cases that have one.
    pub fn shown(&self) -> Option<&Shown> {
        const TRIED: usize = 3;
        let find = || {
            let hop = self.hop.as_ref()?;
            self.cases().iter().take(TRIED).find_map(|c| {
                let (packet, trace) = c.witness(hop)?;
                Some(Shown { packet, trace, stage: c.stage })
            })
        };
        self.shown.get_or_init(find).as_ref()
    }

    /// The firewall of a case's decider at this row's point.
    pub fn firewall(&self, index: usize) -> Option<&'a Firewall> {
        self.hop.as_ref().and_then(|l| l.firewalls.get(index)).copied()
    }

    /// Places of the rules that decide a case.
    pub fn deciders(&self, case: &Case) -> Vec<Location> {
        case.decided_by.iter().filter_map(|d| Some(self.firewall(d.firewall)?.locate(d.origin))).collect()
    }

    /// Conditions of a case.
    pub fn because(&self, case: &Case) -> Vec<Reason> {
        let mut out: Vec<Reason> = case
            .because
            .iter()
            .filter_map(|b| {
                let location = self.firewall(b.firewall)?.locate(b.origin);
                Some(Reason { text: b.text.clone(), why: b.why.clone(), location })
            })
            .collect();
        if let Some(depends) = &case.depends
            && let Some(location) = self.deciders(case).into_iter().next()
        {
            let (text, why) = depends.words();
            out.push(Reason { text, why, location });
        }
        out
    }

    /// Conditions of all cases, of a great many only the first.
    pub fn conditions(&self) -> impl Iterator<Item = Reason> {
        self.cases().iter().take(LOOKED_AT).flat_map(|c| self.because(c))
    }

    /// Path of the file at this point that speaks for the family.
    pub fn at(&self) -> String {
        let Some(hop) = &self.hop else { return String::new() };
        let decided =
            self.cases().iter().flat_map(|c| &c.decided_by).find_map(|d| hop.firewalls.get(d.firewall));
        let any = hop.firewalls.iter().find(|f| f.covers(self.family));
        decided.or(any).map_or_else(String::new, |f| f.path().to_owned())
    }

    // The first rule that lets the flow through at this point.
    pub(super) fn opening(&self) -> Option<Related> {
        let name = self.hop.as_ref()?.name;
        let location = self.cases().iter().find_map(|c| self.deciders(c).into_iter().next())?;
        let word = if self.state == State::Undecided { "may let it through" } else { "lets it through" };
        Some(Related { location, message: format!("{name} {word} here").into() })
    }

    /// As the report has it.
    pub fn to_report(&self) -> Requirement {
        let cases = self.cases();
        let mut decided_by: Vec<Location> = Vec::new();
        let shown: &[Case] = if cases.is_empty() { &self.judged.passed } else { cases };
        let shown: &[Case] =
            if shown.is_empty() && self.state == State::Met { &self.judged.stopped } else { shown };
        for l in shown.iter().take(LOOKED_AT).flat_map(|c| self.deciders(c)) {
            if !decided_by.contains(&l) && decided_by.len() < 8 {
                decided_by.push(l);
            }
        }
        let mut because: Vec<Reason> = self.reasons.clone();
        for r in self.conditions() {
            if because.len() < MAX_REASONS && !because.contains(&r) {
                because.push(r);
            }
        }
        Requirement {
            id: self.wanted.id.clone(),
            state: self.state,
            subject: self.flow.subject_end().name.clone(),
            at: self.at(),
            flow: self.flow_checked(),
            witness: self.shown().map(|s| s.packet.clone()),
            remainder: case_flows(cases.iter()),
            decided_by,
            because,
            point: self.point(),
        }
    }

    /// Which requirement it is, as the report has it.
    pub fn asked(&self) -> Asked {
        Asked {
            id: self.wanted.id.clone(),
            subject: self.flow.subject_end().name.clone(),
            point: self.point(),
            flow: self.flow_checked(),
        }
    }

    // What must be kept out may be stopped anywhere on its way: no one point answers for it.
    fn point(&self) -> String {
        let hop = self.hop.as_ref().filter(|_| self.wanted.kind.wants_passage());
        hop.map_or_else(String::new, |l| format!("{} {:?} {:?}>{:?}", l.name, l.path, l.iif, l.oif))
    }

    fn flow_checked(&self) -> Flow {
        Flow {
            from: addr::display(&self.conversation.src),
            to: addr::display(&self.conversation.dst),
            proto: self.conversation.protocol.map_or_else(|| "any".to_owned(), proto::name),
            port: port_text(self.conversation.protocol, &self.conversation.ports),
            ..Flow::default()
        }
    }
}

fn port_text(protocol: Option<u8>, set: &IntervalSet) -> String {
    let all = set.count() > u128::from(u16::MAX);
    match protocol {
        Some(p) if proto::WITH_PORTS.contains(&p) => ports(set).join(","),
        None if !all => ports(set).join(","),
        _ => String::new(),
    }
}

// So many regions are compared with each other.
const PAIRWISE: usize = 256;

/// What cases are about, as flows.
pub fn case_flows<'c>(cases: impl Iterator<Item = &'c Case>) -> Vec<Flow> {
    let mut by_target: BTreeMap<Vec<String>, Vec<&Region>> = BTreeMap::new();
    for c in cases {
        let target = c.sent_to.as_ref().map(|(addresses, port)| {
            let port = if *port == Field::Dport.all() {
                String::new()
            } else {
                format!(" port {}", ports(port).join(","))
            };
            addr::display(addresses).into_iter().map(|a| format!("{a}{port}")).collect()
        });
        by_target.entry(target.unwrap_or_default()).or_default().push(&c.region);
    }
    let of = |(sent_to, regions): (Vec<String>, Vec<&Region>)| {
        flows(regions.into_iter()).into_iter().map(move |f| Flow { sent_to: sent_to.clone(), ..f })
    };
    by_target.into_iter().flat_map(of).collect()
}

/// Regions as flows, each once, joined where only the source or only the destination differs.
pub fn flows<'r>(regions: impl Iterator<Item = &'r Region>) -> Vec<Flow> {
    let mut regions: Vec<Region> = regions.cloned().collect();
    if regions.len() > PAIRWISE {
        join(&mut regions);
    }
    let mut joined: Vec<Region> = Vec::new();
    for mut r in regions {
        if joined.len() > PAIRWISE {
            joined.push(r);
            continue;
        }
        loop {
            let mergeable = joined.iter().position(|o| {
                o.covers(&r)
                    || JOINED.iter().any(|f| Field::ALL.iter().all(|g| g == f || o.get(*g) == r.get(*g)))
            });
            let Some(i) = mergeable else { break };
            let o = joined.swap_remove(i);
            if o.covers(&r) {
                r = o;
                continue;
            }
            for f in JOINED {
                r = r.with(f, r.get(f).union(o.get(f)));
            }
        }
        joined.push(r);
    }
    let out: BTreeSet<Flow> = joined.iter().flat_map(by_protocol).collect();
    out.into_iter().collect()
}

const JOINED: [Field; 4] = [Field::Src, Field::Dst, Field::Sport, Field::Dport];

// One flow for each protocol that people know by name, and one for all others; all of them together are `any`.
fn by_protocol(r: &Region) -> Vec<Flow> {
    let flow = |name: String, protocol: Option<u8>| Flow {
        from: addr::display(r.get(Field::Src)),
        to: addr::display(r.get(Field::Dst)),
        port: port_text(protocol, r.get(Field::Dport)),
        sport: if unusual(r.get(Field::Sport)) {
            port_text(protocol, r.get(Field::Sport))
        } else {
            String::new()
        },
        proto: name,
        sent_to: Vec::new(),
    };
    let all = r.get(Field::Proto);
    if *all == Field::Proto.all() {
        return vec![flow("any".to_owned(), None)];
    }
    const FEW: u128 = 5;
    let known = [proto::TCP, proto::UDP, proto::ICMP, proto::ICMPV6].map(u128::from).into_iter();
    let known: IntervalSet = known.filter(|p| all.contains(*p)).collect();
    let (named, others) = if all.count() <= FEW {
        (all.clone(), IntervalSet::EMPTY)
    } else {
        (known.clone(), all.minus(&known))
    };
    let each = named.ranges().iter().flat_map(|(lo, hi)| *lo..=*hi).map(|p| p as u8);
    let mut out: Vec<Flow> = each.map(|p| flow(proto::name(p), Some(p))).collect();
    if !others.is_empty() {
        let but = Field::Proto.complement(&others);
        out.push(flow(format!("any but {}", ports_named(&but)), None));
    }
    out
}

// Ports that say something: those of clients, and any at all, do not.
fn unusual(sports: &IntervalSet) -> bool {
    *sports != Field::Sport.all() && *sports != client_ports()
}

fn ports_named(protocols: &IntervalSet) -> String {
    let text = |(lo, hi): &(u128, u128)| {
        if lo == hi { proto::name(*lo as u8) } else { format!("{lo}-{hi}") }
    };
    protocols.ranges().iter().map(text).collect::<Vec<_>>().join(", ")
}
