//! Packets that no sensible rule names: what lets them in lets everything in.

use crate::analysis::evaluate::{Decider, Step, Trace, evaluate};
use crate::analysis::{Environment, Point, Verdict};
use crate::model::{ChainId, ChainKind, Firewall, Hook, TranslatedEnd};
use crate::packet::{Family, Packet};
use crate::source::Origin;

/// A probe packet that is let in, with its way through the firewall.
pub struct Probe {
    /// The packet.
    pub packet: Packet,
    /// What happened to it.
    pub trace: Trace,
}

/// What lets a probe in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// A rule.
    Rule(Origin),
    /// The policy of a base chain.
    Policy(Hook, ChainId, Origin),
    /// No base chain that could stop it stands at the hook where that is done.
    Missing(Hook),
}

impl Probe {
    /// What lets it in: a rule or policy of the hook at which packets are filtered. Around that hook packets are translated, marked
    /// and looked at, and to pass there says nothing. `None`: nothing that a ruleset of this kind would need is missing.
    pub fn blame(&self, firewall: &Firewall) -> Option<Blame> {
        let by = self.trace.decided_by?;
        // pf filters before routing.
        if firewall.dialect.starts_with("pf") || firewall.dialect.starts_with("opn") || filters(firewall, &by)
        {
            return Some(match by.rule {
                Some(_) => Blame::Rule(by.origin),
                None => Blame::Policy(by.hook, by.chain, by.origin),
            });
        }
        let passed = |s: &&Step| matches!(s.hook, Hook::Input | Hook::Forward) && s.result == "policy accept";
        if let Some(s) = self.trace.steps.iter().rev().find(passed) {
            return Some(Blame::Policy(s.hook, s.chain, s.origin));
        }
        let hook = *Hook::on(self.packet.path).iter().find(|h| h.filters())?;
        // A host that forwards nothing needs no chain there; one that hides others behind its address forwards.
        let hides = firewall.translations.iter().any(|t| t.end == TranslatedEnd::Source);
        (hook == Hook::Input || hides).then_some(Blame::Missing(hook))
    }
}

// Whether a decision was made where packets are filtered, by a chain that filters.
fn filters(firewall: &Firewall, by: &Decider) -> bool {
    let of_kind = |kind| firewall.base_chains.iter().filter(move |b| b.kind == kind).map(|b| b.chain);
    by.hook.filters() && firewall.reached_from(of_kind(ChainKind::Filter))[by.chain.index()]
}

// Discard and an unassigned high port, from documentation addresses (RFC 5737, RFC 3849), by interfaces with names of their own.
const TCP4: &str = "203.0.113.77:40000 > 198.51.100.23:9";
const UDP4: &str = "203.0.113.77:40000 > 198.51.100.23:61999";
const TCP6: &str = "[2001:db8:77::77]:40000 > [2001:db8:23::23]:9";
const UDP6: &str = "[2001:db8:77::77]:40000 > [2001:db8:23::23]:61999";

/// The probe packets that the firewall, alone, accepts for certain on their way in or through.
pub fn probes(firewall: &Firewall, environment: &Environment) -> Vec<Probe> {
    let firewalls = [firewall];
    let point = Point { firewalls: &firewalls, environment };
    let mut out = Vec::new();
    for (family, ends) in
        [(Family::V4, [("tcp", TCP4), ("udp", UDP4)]), (Family::V6, [("tcp", TCP6), ("udp", UDP6)])]
    {
        if !firewall.covers(family) {
            continue;
        }
        for way in ["input haven0", "forward haven0>haven1"] {
            let traces: Vec<Probe> = ends
                .iter()
                .filter_map(|(proto, ends)| format!("{way} {proto} {ends}").parse::<Packet>().ok())
                .map(|packet| Probe { trace: evaluate(point, &packet), packet })
                .collect();
            // One protocol alone may be meant ("all of tcp"): everything is when both are let in.
            if traces.iter().all(|t| t.trace.verdict == Verdict::Accept && t.trace.decided_by.is_some()) {
                out.extend(traces);
            }
        }
    }
    out
}
