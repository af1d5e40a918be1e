//! A port forward leads to where no rule lets its packets in.
//!
//! ## What it does
//! Reports port forwards without `pass` of which every packet is dropped behind the translation: no filter rule lets anything through to the
//! address and port that it forwards to. Forwards whose linked rule is gone are another finding (HL-PF-ORPHAN).
//!
//! ## Why is this bad?
//! The service is cut off, and it does not show: the forward is there, enabled, and does its work. Sooner or later somebody adds a wide rule
//! to make it work.
//!
//! ## Example
//! ```xml
//! <nat><rule><interface>wan</interface><protocol>tcp</protocol>
//!   <destination><network>wanip</network><port>443</port></destination>
//!   <target>10.1.0.10</target><local-port>8443</local-port><associated-rule-id></associated-rule-id></rule></nat>
//! ```
//! and no rule on WAN that passes tcp to 10.1.0.10, port 8443.
//!
//! ## Use instead
//! Let the web interface add the filter rule (Filter rule association), or delete the forward:
//! ```xml
//! <rule><type>pass</type><interface>wan</interface><protocol>tcp</protocol><source><any/></source>
//!   <destination><address>10.1.0.10</address><port>8443</port></destination></rule>
//! ```

use crate::dialect::pfsense::facts::Facts;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-PF-DEAD-FORWARD",
    name: "PfDeadForward",
    summary: "a port forward leads to where no rule lets its packets in",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("dead_forward.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(facts) = Facts::of(subject.firewall) else { return };
    for dead in &facts.dead {
        let message =
            "no filter rule lets the packets of this port forward in: they are translated, then dropped";
        findings.push(CHECK.finding(subject, dead.origin, message.to_owned(), "leads nowhere"));
    }
}
