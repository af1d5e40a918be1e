//! A pfSense rule does not do what it seems to do.
//!
//! ## What it does
//! Reports rules that pfSense's rule generator turns into something else, or into nothing: a port without a protocol (the
//! rule matches every TCP port), a port with a protocol that has none, a TCP block that stops only packets that open a
//! connection (a warning if some rule lets the others through, else a note), a floating rule that applies everywhere
//! because its interfaces are off, `not` together with `any`, and rules that are left out because an address, an interface
//! or a port cannot be resolved.
//!
//! ## Why is this bad?
//! The web interface shows the rule as it was written; the firewall does something else and does not say so. A pass rule
//! can be wider than it looks, and a block rule can be missing.
//!
//! ## Example
//! ```xml
//! <rule><type>pass</type><interface>wan</interface>
//!   <source><any/></source>
//!   <destination><address>10.1.0.10</address><port>443</port></destination></rule>
//! ```
//!
//! ## Use instead
//! State the protocol, so that the port counts:
//! ```xml
//! <rule><type>pass</type><interface>wan</interface><protocol>tcp</protocol>
//!   <source><any/></source>
//!   <destination><address>10.1.0.10</address><port>443</port></destination></rule>
//! ```

use crate::dialect::pfsense::facts::{Facts, QuirkKind};
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-PF-QUIRK",
    name: "PfQuirk",
    summary: "a rule means something else than it looks like",
    level: Severity::Warning,
    security_severity: Some(6.0),
    source: include_str!("quirk.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(facts) = Facts::of(subject.firewall) else { return };
    for quirk in &facts.quirks {
        let label = match quirk.kind {
            QuirkKind::PortWithoutProtocol => "matches every TCP port",
            QuirkKind::PortIgnored => "its port is not used",
            QuirkKind::SynOnlyBlock => "lets packets without SYN go on to other rules",
            QuirkKind::FloatingEverywhere => "applies to every interface",
            QuirkKind::Dropped => "has no effect",
            QuirkKind::NotAnyIgnored => "matches every address",
        };
        let mut f = CHECK.finding(subject, quirk.origin, quirk.message.clone(), label);
        match &quirk.related {
            Some((place, what)) => f.related.push(subject.related(*place, what)),
            // Packets that open no connection come to nothing where no rule lets them in.
            None if quirk.kind == QuirkKind::SynOnlyBlock => {
                f.level = Severity::Note;
                f.message = format!("{}; no rule lets the others through today", f.message).into();
            }
            None => {}
        }
        findings.push(f);
    }
}
