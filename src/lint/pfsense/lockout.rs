//! The anti-lockout rule is off, and no rule lets an administrator in.
//!
//! ## What it does
//! Where the anti-lockout rule is turned off, checks for each inside interface with a static address whether a host of its
//! network reaches the firewall's web interface or secure shell. Reports the setting if none does for certain.
//!
//! ## Why is this bad?
//! The next mistake can be fixed only at the console.
//!
//! ## Example
//! ```xml
//! <system><webgui><noantilockout/></webgui></system>
//! ```
//! and no rule for the firewall's own ports.
//!
//! ## Use instead
//! Add a rule for administrators first:
//! ```xml
//! <rule><type>pass</type><interface>lan</interface><protocol>tcp</protocol>
//!   <source><address>ADMINS</address></source>
//!   <destination><network>(self)</network><port>443</port></destination></rule>
//! ```

use crate::analysis::decide::{Question, decide};
use crate::analysis::{Environment, Point};
use crate::dialect::pfsense::facts::Facts;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::model::Interface;
use crate::packet::{
    ConnState, Family, Field, IntervalSet, Path, Region, addr, flags, interface_value, proto,
};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-PF-LOCKOUT",
    name: "PfLockout",
    summary: "the anti-lockout rule is off and no rule lets an administrator in",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("lockout.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(facts) = Facts::of(subject.firewall) else { return };
    let Some(setting) = facts.no_anti_lockout.filter(|_| !facts.refused) else { return };
    let inside = subject.firewall.interfaces.iter().filter(|i| !facts.outside.contains(&i.name));
    if inside.into_iter().any(|i| reachable(subject, i, &facts.admin_ports)) {
        return;
    }
    let message = "the anti-lockout rule is off, and no rule is certain to let anybody inside reach the web interface or ssh";
    findings.push(CHECK.finding(subject, setting, message.to_owned(), "turns the anti-lockout rule off"));
}

// Whether some host of the interface's network certainly opens a connection to a port of the box's administration.
fn reachable(subject: &Subject<'_>, i: &Interface, ports: &[u16]) -> bool {
    let environment = Environment::default();
    let firewalls = [subject.firewall];
    let point = Point { firewalls: &firewalls, environment: &environment };
    let Ok(name) = interface_value(&i.name) else { return false };
    i.addresses.ranges().iter().any(|(own, _)| {
        let family: Family = addr::family(*own);
        let region = Region::all(family)
            .with(Field::Iif, IntervalSet::single(name))
            .with(Field::Oif, IntervalSet::single(0u8))
            .with(Field::State, IntervalSet::single(ConnState::New.value()))
            .cut(Field::Src, &i.networks.clone().unwrap_or_default())
            .with(Field::Dst, IntervalSet::single(*own))
            .protocol(proto::TCP)
            .with(Field::Sport, IntervalSet::range(1024u16, 65535u16))
            .with(Field::TcpFlags, IntervalSet::single(flags::SYN))
            .with(Field::Dport, ports.iter().map(|p| u128::from(*p)).collect());
        if region.is_empty() {
            return false;
        }
        let question = Question { point, path: Path::Input, region, mark: 0, delivered_to: None };
        !decide(&question).accepted.is_empty()
    })
}
