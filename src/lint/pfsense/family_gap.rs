//! A block is for IPv4 only, and the pass below it is for IPv6 too.
//!
//! ## What it does
//! Reports block rules of IPv4 only above a pass rule of both families, where the same packets of IPv6 – between the same networks, by
//! their IPv6 addresses – are let through by that pass rule. Silent where IPv6 is not allowed on the firewall, and where what is blocked has no
//! IPv6 addresses.
//!
//! ## Why is this bad?
//! The networks are apart in IPv4 and joined in IPv6, and most hosts try IPv6 first.
//!
//! ## Example
//! ```xml
//! <rule><type>block</type><interface>opt1</interface><ipprotocol>inet</ipprotocol>
//!   <source><any/></source><destination><network>lan</network></destination></rule>
//! <rule><type>pass</type><interface>opt1</interface><ipprotocol>inet46</ipprotocol>
//!   <source><any/></source><destination><any/></destination></rule>
//! ```
//!
//! ## Use instead
//! Block both families:
//! ```xml
//! <rule><type>block</type><interface>opt1</interface><ipprotocol>inet46</ipprotocol>
//!   <source><any/></source><destination><network>lan</network></destination></rule>
//! ```

use crate::dialect::pfsense::facts::Facts;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-PF-FAMILY-GAP",
    name: "PfFamilyGap",
    summary: "a block is for IPv4 only, and the pass below it is for IPv6 too",
    level: Severity::Warning,
    security_severity: Some(7.0),
    source: include_str!("family_gap.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(facts) = Facts::of(subject.firewall) else { return };
    for gap in &facts.gaps {
        let message = "this rule stops IPv4 only; a rule below lets the same packets through over IPv6";
        let mut f = CHECK.finding(subject, gap.origin, message.to_owned(), "stops IPv4 only");
        f.related.push(subject.related(gap.pass, "lets IPv6 through"));
        findings.push(f);
    }
}
