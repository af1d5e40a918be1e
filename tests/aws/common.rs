//! Reading documents and asking for packets, as the tests of the dialect do it.
#![allow(dead_code, clippy::unwrap_used)]

use havenlint::analysis::evaluate::{Trace, evaluate};
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::aws::Aws;
use havenlint::dialect::{Dialect, ReadOptions};
use havenlint::model::Firewall;
use havenlint::packet::Packet;
use havenlint::source::SourceFile;

/// Reads documents as one firewall; the world beyond them is open.
pub fn read(documents: &[&str]) -> Firewall {
    read_with(documents, false)
}

/// Reads documents as one firewall.
pub fn read_with(documents: &[&str], complete: bool) -> Firewall {
    let files: Vec<_> =
        documents.iter().enumerate().map(|(i, d)| SourceFile::new(format!("{i}.json"), *d)).collect();
    Aws.read(&files, &ReadOptions { complete, ..ReadOptions::default() })
}

/// What happens to a packet at an interface to which the groups are attached; `None` = not declared.
pub fn trace(firewall: &Firewall, groups: Option<&[&str]>, packet: &Packet) -> Trace {
    let labels = groups.map(|g| g.iter().map(|g| (*g).to_owned()).collect());
    let environment = Environment { labels, ..Environment::default() };
    evaluate(Point { firewalls: &[firewall], environment: &environment }, packet)
}

/// The verdict on a packet written in words.
pub fn verdict(firewall: &Firewall, groups: Option<&[&str]>, packet: &str) -> Verdict {
    trace(firewall, groups, &packet.parse().unwrap_or_else(|e| panic!("{packet}: {e}"))).verdict
}

/// Line and text of what decides.
pub fn decider(firewall: &Firewall, groups: Option<&[&str]>, packet: &str) -> (u32, String) {
    let t = trace(firewall, groups, &packet.parse().unwrap());
    let place = firewall.locate(t.decided_by.expect("something decides").origin);
    (place.line, place.text.to_string())
}

/// Messages of the problems, each with line and column.
pub fn problems(firewall: &Firewall) -> Vec<String> {
    let show = |d: &havenlint::source::Diagnostic| {
        let at = firewall.locate(d.origin);
        format!("{}:{}:{}: {}: {}", at.path, at.line, at.column, d.severity.name(), d.message)
    };
    firewall.diagnostics.iter().map(show).collect()
}
