//! One flow on its way through a deployment: every box that it passes, there and back, and what each decides.

use super::conversation::{Case, Conversation, Judged, Stage, stages};
use super::path::{EnforcementPoints, Hop};
use super::walk::{Stretch, Walked, walk};
use crate::analysis::Verdict;
use crate::analysis::decide::Part;
use crate::catalogue::resolve::ResolvedFlow;
use crate::finding::{Flow, Reason};
use crate::packet::{Family, Field, Region, addr};
use crate::source::Location;

use super::row::{case_flows, flows};

/// A flow in one family, on its way.
#[derive(Debug)]
pub struct Journey {
    /// The family.
    pub family: Family,
    /// The boxes in order; of a gateway each pair of interfaces that the flow may take.
    pub boxes: Vec<Visit>,
    /// The flows that every box lets through, those that some box stops, and those of which that is not certain, as they are sent.
    pub through: [Vec<Flow>; 3],
    /// Who is on the way, or at an end of it, and has no file that speaks for the family: what they let through is not known.
    pub silent: Vec<String>,
}

/// What one box makes of it.
#[derive(Debug)]
pub struct Visit {
    /// Its name.
    pub name: String,
    /// `output`, `forward`, `input`, `egress` or `ingress`.
    pub path: String,
    /// Interfaces by which the first packets arrive; empty = not known, or none.
    pub iif: Vec<String>,
    /// Interfaces by which they leave, likewise.
    pub oif: Vec<String>,
    /// Why it is not asked; empty = it is.
    pub not_checked: String,
    /// What becomes of whole conversations here.
    pub verdict: Verdict,
    /// What is decided, packet by packet of a conversation.
    pub decisions: Vec<Decision>,
    /// The flows that pass, that are stopped, and of which neither is certain, as they were sent.
    pub flows: [Vec<Flow>; 3],
    /// Conditions that no rule asks for: an interface, a way, an address that is not known.
    pub depends: Vec<Reason>,
    /// How packets leave that it translates: `10.1.0.1 > 10.2.0.9 port 22`.
    pub leaves_as: Vec<String>,
}

/// What a box decides about one kind of packets.
#[derive(Debug)]
pub struct Decision {
    /// Which packets of the conversation.
    pub stage: Stage,
    /// What becomes of them.
    pub verdict: Verdict,
    /// The lines that decide.
    pub decided_by: Vec<Location>,
    /// What it depends on.
    pub because: Vec<Reason>,
}

impl Journey {
    /// Follows a flow.
    pub fn of(points: &EnforcementPoints<'_>, flow: &ResolvedFlow, family: Family) -> Self {
        let walked = walk(points, flow, family);
        let cases = |pick: &dyn Fn(&Judged) -> Vec<Case>| -> Vec<Region> {
            let all = walked.iter().flat_map(|w| &w.parts).flat_map(|p| pick(&p.judged));
            all.map(|c| c.region).collect()
        };
        let (stopped, undecided) = (cases(&|j| j.stopped.clone()), cases(&|j| j.undecided.clone()));
        let sent = Stretch::begin(&Conversation::of(flow, None, family, true));
        let bad: Vec<Region> = stopped.iter().chain(&undecided).cloned().collect();
        let passed = Region::minus_all(sent.into_iter().map(|s| s.sent).collect(), &bad);
        let unsure = Region::minus_all(undecided, &stopped);
        let unguarded = [&flow.source, &flow.destination].into_iter().filter_map(|e| points.unguarded(e));
        let uncovered = walked.iter().filter(|w| !w.hop.covers(family)).map(|w| w.hop.name);
        let mut silent: Vec<String> = Vec::new();
        uncovered.chain(unguarded.map(|b| b.name.as_str())).for_each(|n| push(&mut silent, n.to_owned()));
        Self {
            family,
            boxes: walked.iter().map(|w| visit(w, family)).collect(),
            through: [passed, stopped, unsure].map(|regions| flows(regions.iter())),
            silent,
        }
    }

    /// What becomes of it in the end; `None` = no box was asked.
    pub fn verdict(&self) -> Option<Verdict> {
        let asked = || self.boxes.iter().filter(|b| b.not_checked.is_empty());
        let any = |v| asked().any(|b| b.verdict == v);
        match () {
            () if any(Verdict::Drop) => Some(Verdict::Drop),
            () if any(Verdict::Undecided) => Some(Verdict::Undecided),
            () => asked().next().map(|_| Verdict::Accept),
        }
    }
}

fn visit(w: &Walked<'_>, family: Family) -> Visit {
    let hop = &w.hop;
    let mut out = Visit {
        name: hop.name.to_owned(),
        path: hop.path.to_string(),
        iif: hop.iif.clone(),
        oif: hop.oif.clone(),
        not_checked: String::new(),
        verdict: Verdict::Accept,
        decisions: Vec::new(),
        flows: Default::default(),
        depends: Vec::new(),
        leaves_as: Vec::new(),
    };
    if !hop.covers(family) {
        out.not_checked = format!("no file covers IPv{}", family.number());
        return out;
    }
    let judged = || w.parts.iter().map(|p| &p.judged);
    out.verdict = match () {
        () if judged().any(|j| !j.stopped.is_empty()) => Verdict::Drop,
        () if judged().any(|j| !j.undecided.is_empty()) || judged().all(|j| j.passed.is_empty()) => {
            Verdict::Undecided
        }
        () => Verdict::Accept,
    };
    out.flows = [
        case_flows(judged().flat_map(|j| &j.passed)),
        case_flows(judged().flat_map(|j| &j.stopped)),
        case_flows(judged().flat_map(|j| &j.undecided)),
    ];
    for c in judged().flat_map(|j| j.all()) {
        let by = c.decided_by.first().and_then(|d| Some((d, hop.firewalls.get(d.firewall)?)));
        if let (Some(depends), Some((d, f))) = (&c.depends, by) {
            let (text, why) = depends.words();
            push(&mut out.depends, Reason { text, why, location: f.locate(d.origin) });
        }
        if let (Some(who), Some((d, f))) = (&c.elsewhere, by) {
            let text = format!("the packets are sent to {who}");
            push(&mut out.depends, Reason { text, why: String::new(), location: f.locate(d.origin) });
        }
        if let Some(t) = &c.translated {
            let port = |field: Field| {
                let changed = t.get(field) != c.packets.get(field);
                if changed {
                    format!(" port {}", crate::evidence::near::ports(t.get(field)).join(","))
                } else {
                    String::new()
                }
            };
            let end = |field| crate::evidence::near::few(&addr::display(t.get(field)));
            let text = format!(
                "{}{} > {}{}",
                end(Field::Src),
                port(Field::Sport),
                end(Field::Dst),
                port(Field::Dport)
            );
            push(&mut out.leaves_as, text);
        }
        if c.stage == Stage::Neighbours && !out.decisions.iter().any(|d| d.stage == Stage::Neighbours) {
            let verdict = if out.verdict == Verdict::Drop { Verdict::Drop } else { Verdict::Undecided };
            let decided_by = by.map(|(d, f)| f.locate(d.origin)).into_iter().collect();
            out.decisions.push(Decision {
                stage: Stage::Neighbours,
                verdict,
                decided_by,
                because: Vec::new(),
            });
        }
    }
    for p in &w.parts {
        for (stage, answer) in stages(hop, &p.stretch.seen) {
            for (verdict, parts) in [
                (Verdict::Accept, &answer.accepted),
                (Verdict::Drop, &answer.denied),
                (Verdict::Undecided, &answer.undecided),
            ] {
                if !parts.is_empty() {
                    decide(&mut out.decisions, hop, stage, verdict, parts);
                }
            }
        }
    }
    out
}

fn decide(decisions: &mut Vec<Decision>, hop: &Hop<'_>, stage: Stage, verdict: Verdict, parts: &[Part]) {
    let known = decisions.iter().position(|d| d.stage == stage && d.verdict == verdict);
    let at = known.unwrap_or_else(|| {
        decisions.push(Decision { stage, verdict, decided_by: Vec::new(), because: Vec::new() });
        decisions.len() - 1
    });
    let Some(decision) = decisions.get_mut(at) else { return };
    let place = |firewall: usize, origin| hop.firewalls.get(firewall).map(|f| f.locate(origin));
    for part in parts {
        for d in part.decided_by.iter().take(1) {
            if let Some(l) = place(d.firewall, d.origin) {
                push(&mut decision.decided_by, l);
            }
        }
        for b in &part.because {
            if let Some(location) = place(b.firewall, b.origin) {
                push(&mut decision.because, Reason { text: b.text.clone(), why: b.why.clone(), location });
            }
        }
    }
}

fn push<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}
