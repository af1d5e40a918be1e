//! A rule on an outside interface is open to everybody.
//!
//! ## What it does
//! Reports pass rules on an interface with a gateway (a WAN) that take any source (or all but a few) and name no port: they
//! open everything behind the firewall, or everything at one destination. Also reports those that name a port of the
//! firewall's own administration.
//!
//! ## Why is this bad?
//! The Internet is scanned all the time. Attackers find such a rule within minutes, with every service behind it.
//!
//! ## Example
//! ```xml
//! <rule><type>pass</type><interface>wan</interface>
//!   <source><any/></source><destination><any/></destination></rule>
//! ```
//!
//! ## Use instead
//! Name the sources and the service:
//! ```xml
//! <rule><type>pass</type><interface>wan</interface><protocol>tcp</protocol>
//!   <source><address>PARTNERS</address></source>
//!   <destination><address>10.1.0.10</address><port>443</port></destination></rule>
//! ```

use crate::dialect::pfsense::facts::Facts;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::unused::places;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-PF-WAN-OPEN",
    name: "PfWanOpen",
    summary: "a rule on an outside interface is open to everybody",
    level: Severity::Warning,
    security_severity: Some(8.0),
    source: include_str!("wan_open.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(facts) = Facts::of(subject.firewall) else { return };
    let hidden = places(subject);
    for opening in facts.openings.iter().filter(|o| !hidden.contains(&o.origin)) {
        let mut f = CHECK.finding(subject, opening.origin, opening.message.clone(), "lets everybody in");
        // That one says exactly what is reached.
        f.within.push("HL-EXPOSED-ALL".into());
        findings.push(f);
    }
}
