//! All hygiene checks. A check is one file with a [`Check`] in it and one line in [`CHECKS`].

use super::aws::exposure::Exposure;
use super::open::{self, Open};
use super::privilege::needed;
use super::probe::Probe;
use super::unused::{self, Unused, WithoutPackets};
use super::{aws, general, nftables, pfsense, probe};
use crate::analysis::Environment;
use crate::analysis::coverage::{self, Copied};
use crate::catalogue::Catalogue;
use crate::catalogue::controls::controls;
use crate::catalogue::resolve::ResolvedFlow;
use crate::compliance::path::EnforcementPoints;
use crate::finding::{self, Finding, Related, RuleDoc, Severity, joined, rule_page};
use crate::model::Firewall;
use crate::packet::{Field, Region};
use crate::source::{Location, Origin, Text};
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// What a check is: its metadata, its documentation, and the function that looks.
pub struct Check {
    /// Id: `HL-…`, upper case.
    pub id: &'static str,
    /// Name in PascalCase.
    pub name: &'static str,
    /// One sentence: what is wrong where it fires.
    pub summary: &'static str,
    /// Level of its findings.
    pub level: Severity,
    /// Security severity 0.0–10.0; `None` = tidiness.
    pub security_severity: Option<f64>,
    /// The check's own file, `include_str!`: its `//!` lines are the documentation that `explain` shows, in Markdown, with the
    /// sections "What it does", "Why is this bad?", "Example" and "Use instead".
    pub source: &'static str,
    /// The function that looks.
    pub run: Run,
}

/// How a check looks: it adds what it finds.
pub enum Run {
    /// At each firewall.
    Firewall(fn(&Subject<'_>, &mut Vec<Finding>)),
    /// At each node and gateway of a deployment, because what is wrong follows from what its catalogue needs.
    Machine(fn(&Deployed<'_>, Machine, &mut Vec<Finding>)),
    /// At all nodes of a deployment together, for the same reason.
    Deployment(fn(&Deployed<'_>, &mut Vec<Finding>)),
}

/// A deployment as checks see it.
pub struct Deployed<'a> {
    /// What is needed.
    pub catalogue: &'a Catalogue,
    /// The flows that the catalogue speaks of, between the nodes of the deployment.
    pub flows: &'a [ResolvedFlow],
    /// Its nodes and gateways, with their firewalls.
    pub points: &'a EnforcementPoints<'a>,
    /// Flows that were seen: what is needed beside the catalogue.
    pub seen: &'a [Region],
    needed: OnceLock<FxHashMap<usize, Vec<Region>>>,
}

/// A firewall as checks see it.
pub struct Subject<'a> {
    /// The firewall.
    pub firewall: &'a Firewall,
    /// All firewalls of the same box, itself included.
    pub beside: &'a [&'a Firewall],
    /// What is known about the box.
    pub environment: &'a Environment,
    /// Name of the node; the file's path where there is none.
    pub name: &'a str,
    /// So many findings of one check list single rules; of further ones only the number is told.
    pub listed: usize,
    called: Text,
    probes: OnceLock<Vec<Probe>>,
    exposures: OnceLock<Vec<Exposure<'a>>>,
    copies: OnceLock<Vec<Copied>>,
    without_packets: OnceLock<Vec<WithoutPackets>>,
    unused: OnceLock<Vec<Unused>>,
    open: OnceLock<Open>,
}

/// All checks, in the order of their ids.
pub static CHECKS: &[&Check] = &[
    &general::any_any::CHECK,
    &aws::acl_answers::CHECK,
    &aws::acl_internet::CHECK,
    &aws::acl_open::CHECK,
    &aws::acl_unused::CHECK,
    &aws::covered::CHECK,
    &aws::default_group::CHECK,
    &aws::egress_all::CHECK,
    &aws::internet_admin::CHECK,
    &aws::internet_all::CHECK,
    &aws::internet_chain::CHECK,
    &aws::internet_database::CHECK,
    &aws::internet_rdp::CHECK,
    &aws::internet_reach::CHECK,
    &aws::internet_service::CHECK,
    &aws::internet_ssh::CHECK,
    &aws::internet_undecided::CHECK,
    &aws::ipv6_opened::CHECK,
    &aws::launch_wizard::CHECK,
    &aws::least_privilege::CHECK,
    &aws::many_rules::CHECK,
    &aws::no_description::CHECK,
    &aws::stale_reference::CHECK,
    &aws::unattached::CHECK,
    &aws::wide_cidr::CHECK,
    &general::contradicted::CHECK,
    &general::duplicate::CHECK,
    &general::empty_chain::CHECK,
    &general::exception_lost::CHECK,
    &general::exposed_admin::CHECK,
    &general::exposed_all::CHECK,
    &general::exposed_database::CHECK,
    &general::exposed_rdp::CHECK,
    &general::exposed_service::CHECK,
    &general::exposed_ssh::CHECK,
    &general::exposed_undecided::CHECK,
    &general::ipv6_unguarded::CHECK,
    &general::least_privilege::CHECK,
    &general::never_matches::CHECK,
    &nftables::after_verdict::CHECK,
    &nftables::always_true::CHECK,
    &nftables::covered_element::CHECK,
    &nftables::policy_twice::CHECK,
    &nftables::set_shadowed::CHECK,
    &nftables::set_unused::CHECK,
    &nftables::undone::CHECK,
    &pfsense::alias::CHECK,
    &pfsense::dead_forward::CHECK,
    &pfsense::family_gap::CHECK,
    &pfsense::lockout::CHECK,
    &pfsense::orphan::CHECK,
    &pfsense::quirk::CHECK,
    &pfsense::shadowed::CHECK,
    &pfsense::wan_open::CHECK,
    &general::policy_accept::CHECK,
    &general::redundant::CHECK,
    &general::shadowed::CHECK,
    &general::unreachable::CHECK,
    &general::unused_chain::CHECK,
];

impl Check {
    /// The doc comment of the check's file.
    pub fn documentation(&self) -> String {
        let lines = self.source.lines().take_while(|l| l.starts_with("//!"));
        let text: Vec<_> = lines.map(|l| l[3..].strip_prefix(' ').unwrap_or(&l[3..])).collect();
        text.join("\n").trim().to_owned()
    }

    /// The documentation of the check, as rules are documented.
    pub fn doc(&self) -> RuleDoc {
        let mut tags = vec!["firewall".to_owned()];
        tags.extend(self.security_severity.map(|_| "security".to_owned()));
        RuleDoc {
            id: self.id.to_owned(),
            name: self.name.to_owned(),
            summary: self.summary.to_owned(),
            documentation: self.documentation(),
            level: self.level,
            security_severity: self.security_severity,
            tags,
            kind: "check".to_owned(),
            source: String::new(),
            page: rule_page(self.id),
            controls: controls(self.id),
        }
    }

    /// A finding of this check at a place; `label` says what stands there.
    pub fn finding(
        &self,
        subject: &Subject<'_>,
        origin: Origin,
        message: impl Into<Text>,
        label: impl Into<Text>,
    ) -> Finding {
        self.finding_at(subject, subject.firewall.locate(origin), message, label)
    }

    /// As [`Check::finding`], at a place already located.
    pub fn finding_at(
        &self,
        subject: &Subject<'_>,
        location: Location,
        message: impl Into<Text>,
        label: impl Into<Text>,
    ) -> Finding {
        self.about(subject.called.clone(), location, message, label)
    }

    /// A finding about something that is more than one firewall, at a place.
    pub fn about(
        &self,
        subject: impl Into<Text>,
        location: Location,
        message: impl Into<Text>,
        label: impl Into<Text>,
    ) -> Finding {
        let subject = subject.into();
        // What such a check says is that the files do not decide something.
        let undecided = self.id.ends_with("-UNDECIDED");
        Finding { subject, undecided, ..Finding::new(self.id, self.level, message, location, label) }
    }
}

impl<'a> Deployed<'a> {
    /// A deployment with the flows between its nodes.
    pub fn new(
        catalogue: &'a Catalogue,
        flows: &'a [ResolvedFlow],
        points: &'a EnforcementPoints<'a>,
        seen: &'a [Region],
    ) -> Self {
        Self { catalogue, flows, points, seen, needed: OnceLock::new() }
    }

    /// The first packets of everything that is wanted to get in to a node. Found once, for all nodes and checks.
    pub fn needed(&self, node: usize) -> Vec<Region> {
        let all = self.needed.get_or_init(|| needed(self.catalogue, self.flows));
        let own = self.points.nodes.get(node).and_then(|n| n.environment.local.as_ref());
        let to_it = |r: &&Region| own.is_none_or(|own| r.get(Field::Dst).intersects(own));
        all.get(&node).into_iter().flatten().chain(self.seen.iter().filter(to_it)).cloned().collect()
    }
}

impl<'a> Subject<'a> {
    /// A firewall, with all firewalls of its box, what is known about the box, and the box's name.
    pub fn new(
        firewall: &'a Firewall,
        beside: &'a [&'a Firewall],
        environment: &'a Environment,
        name: &'a str,
    ) -> Self {
        Self {
            firewall,
            beside,
            environment,
            name,
            listed: unused::FOR_READERS,
            called: Text::shared(name),
            probes: OnceLock::new(),
            exposures: OnceLock::new(),
            open: OnceLock::new(),
            copies: OnceLock::new(),
            without_packets: OnceLock::new(),
            unused: OnceLock::new(),
        }
    }

    /// Its name, as findings about it have it as subject.
    pub fn called(&self) -> &Text {
        &self.called
    }

    /// The packets that no sensible rule names and that the firewall, alone, lets in for certain. Found once, for all checks.
    pub fn probes(&self) -> &[Probe] {
        self.probes.get_or_init(|| probe::probes(self.firewall, self.environment))
    }

    /// Through what the Internet gets in, where the firewall stands in a cloud. Found once, for all checks.
    pub fn exposures(&self) -> &[Exposure<'a>] {
        self.exposures.get_or_init(|| match aws::inventory(self) {
            Some(inventory) => aws::exposure::exposures(self.firewall, self.environment, inventory),
            None => Vec::new(),
        })
    }

    /// The rules of the model that say the same as an earlier one of their chain. Found once, for all checks.
    pub fn copies(&self) -> &[Copied] {
        self.copies.get_or_init(|| coverage::copies(self.firewall))
    }

    /// The rules of the model to which no packet is left; none are looked for where rules have no order. Found once, for all checks.
    pub fn without_packets(&self) -> &[WithoutPackets] {
        let found = || match unused::is_unordered(self.firewall) {
            true => Vec::new(),
            false => coverage::unused_beside(self.firewall, self.copies()),
        };
        self.without_packets.get_or_init(found)
    }

    /// The written rules to which no packet is left, but for copies. Found once, for all checks.
    pub fn unused(&self) -> &[Unused] {
        self.unused.get_or_init(|| unused::of(self.firewall, self.without_packets()))
    }

    /// Those of them that a check tells: each has one that does.
    pub fn unused_told_by(&self, check: &Check) -> Vec<&Unused> {
        let told = |u: &&Unused| unused::told_by(self.firewall, u) == check.id;
        self.unused().iter().filter(told).collect()
    }

    /// What anybody may open a connection to at the box, told at the first of its firewalls; empty elsewhere and in a cloud, where
    /// [exposures](Subject::exposures) tell. Found once, for all checks.
    pub fn open(&self) -> &Open {
        let first = self.beside.first().is_some_and(|f| std::ptr::eq(*f, self.firewall));
        let asked = || match first && aws::inventory(self).is_none() {
            true => open::open(self.beside, self.environment),
            false => Open::default(),
        };
        self.open.get_or_init(asked)
    }

    /// What is open, as the report lists it.
    pub fn open_rows(&self) -> Vec<finding::Open> {
        let cloud = self.exposures().iter().filter_map(|e| e.row(self));
        open::rows::rows(self).into_iter().chain(cloud).collect()
    }

    /// Another place with what it has to do with a finding.
    pub fn related(&self, origin: Origin, message: impl Into<Text>) -> Related {
        Related { location: self.firewall.locate(origin), message: message.into() }
    }
}

/// Documentation of a rule that is not a check of a firewall.
pub fn builtin_doc(id: &str, name: &str, summary: &str, level: Severity, documentation: &str) -> RuleDoc {
    RuleDoc {
        id: id.to_owned(),
        name: name.to_owned(),
        summary: summary.to_owned(),
        documentation: documentation.to_owned(),
        level,
        security_severity: None,
        tags: vec!["firewall".to_owned()],
        kind: "check".to_owned(),
        source: String::new(),
        page: rule_page(id),
        controls: controls(id),
    }
}

/// Whether what a check says follows from which packets pass, or from which rules leave others no packet. Where rules go and every packet keeps its verdict, what
/// such a check says was so before: it is only told at another rule, or was not come to before.
pub fn follows_verdicts(id: &str) -> bool {
    const OF_PACKETS: [&str; 3] = ["HL-EXPOSED-", "HL-AWS-INTERNET-", "HL-PF-WAN-OPEN"];
    let of_rules: [&Check; 9] = [
        &general::any_any::CHECK,
        &general::least_privilege::CHECK,
        &aws::least_privilege::CHECK,
        &general::shadowed::CHECK,
        &general::exception_lost::CHECK,
        &general::unreachable::CHECK,
        &general::duplicate::CHECK,
        &nftables::after_verdict::CHECK,
        &pfsense::shadowed::CHECK,
    ];
    OF_PACKETS.iter().any(|begin| id.starts_with(begin)) || of_rules.iter().any(|c| c.id == id)
}

/// Runs every check of firewalls on one.
pub fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    run_selected(subject, &|_| true, findings);
}

/// Runs the checks of firewalls whose id is `selected` on one: those of a large one side by side.
pub fn run_selected(subject: &Subject<'_>, selected: &dyn Fn(&str) -> bool, findings: &mut Vec<Finding>) {
    let checks = CHECKS.iter().filter(|c| selected(c.id)).filter_map(|c| match c.run {
        Run::Firewall(run) => Some(run),
        Run::Machine(_) | Run::Deployment(_) => None,
    });
    if subject.firewall.rule_count() < LARGE {
        return checks.for_each(|run| run(subject, findings));
    }
    let of = |run: fn(&Subject<'_>, &mut Vec<Finding>)| {
        let mut own = found(|out| run(subject, out));
        own.iter_mut().for_each(Finding::tighten);
        own
    };
    // The last ones first: while rules that decide nothing are looked for, much is held, and so are findings of duplicates once they are made.
    let checks: Vec<_> = checks.collect::<Vec<_>>().into_iter().rev().collect();
    let mut each: Vec<Vec<Finding>> = checks.into_par_iter().with_max_len(1).map(of).collect();
    each.push(std::mem::take(findings));
    each.reverse();
    *findings = joined(each);
}

// Rules of a firewall whose checks take longer than to share them out.
const LARGE: usize = 2_000;

/// A machine of a deployment, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Machine {
    /// A node.
    Node(usize),
    /// A gateway.
    Gateway(usize),
}

/// What a check of deployments looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Looked {
    /// One machine.
    At(Machine),
    /// All nodes.
    AllNodes,
}

/// Tells what a check finds where it looks, if need be by looking.
pub type Teller<'a> = dyn Fn(&'static str, Looked, &dyn Fn() -> Vec<Finding>) -> Vec<Finding> + Sync + 'a;

/// Runs the checks of deployments whose id is `selected` on one. What each finds, and where it looks, goes through `told`, which may know it already.
pub fn run_deployed(
    deployed: &Deployed<'_>,
    selected: &(dyn Fn(&str) -> bool + Sync),
    told: &Teller<'_>,
) -> Vec<Finding> {
    let nodes = (0..deployed.points.nodes.len()).map(Machine::Node);
    let machines: Vec<Machine> =
        nodes.chain((0..deployed.points.gateways.len()).map(Machine::Gateway)).collect();
    let checks = CHECKS.iter().filter(|c| selected(c.id));
    checks
        .flat_map(|check| match check.run {
            Run::Firewall(_) => Vec::new(),
            Run::Deployment(run) => told(check.id, Looked::AllNodes, &|| found(|out| run(deployed, out))),
            Run::Machine(run) => {
                let each = machines.par_iter();
                let each: Vec<Vec<Finding>> = each
                    .map(|m| told(check.id, Looked::At(*m), &|| found(|out| run(deployed, *m, out))))
                    .collect();
                each.into_iter().flatten().collect()
            }
        })
        .collect()
}

fn found(look: impl FnOnce(&mut Vec<Finding>)) -> Vec<Finding> {
    let mut out = Vec::new();
    look(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_documented_and_unique() {
        for (i, c) in CHECKS.iter().enumerate() {
            assert!(c.id.starts_with("HL-") && c.id.to_uppercase() == c.id, "{}", c.id);
            assert!(CHECKS[..i].iter().all(|o| o.id < c.id), "{} is out of order or twice", c.id);
            for section in ["## What it does", "## Why is this bad?", "## Example", "## Use instead"] {
                assert!(c.documentation().contains(section), "{} lacks `{section}`", c.id);
            }
            assert!(!c.summary.ends_with('.') && !c.summary.is_empty());
        }
    }
}
