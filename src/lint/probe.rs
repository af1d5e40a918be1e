//! Packets that no sensible rule names: what lets them in lets everything in.

use crate::analysis::evaluate::{Trace, evaluate};
use crate::analysis::{Environment, Point, Verdict};
use crate::model::Firewall;
use crate::packet::{Family, Packet};

/// A probe packet that is let in, with its way through the firewall.
pub struct Probe {
    /// The packet.
    pub packet: Packet,
    /// What happened to it.
    pub trace: Trace,
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
