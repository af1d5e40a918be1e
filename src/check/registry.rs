//! All hygiene checks. A check is one file with a [`Check`] in it and one line in [`CHECKS`].

use super::aws_door::Door;
use super::points::Enforcers;
use super::probe::Stray;
use super::*;
use crate::analysis::Environment;
use crate::catalogue::Catalogue;
use crate::catalogue::resolve::ResolvedFlow;
use crate::finding::{Finding, Related, RuleDoc, Severity};
use crate::model::Firewall;
use crate::source::{Location, Origin};
use std::cell::OnceCell;

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
    /// At a whole deployment, because what is wrong follows from what its catalogue needs.
    Deployment(fn(&Deployed<'_>, &mut Vec<Finding>)),
}

/// A deployment as checks see it.
#[derive(Clone, Copy)]
pub struct Deployed<'a> {
    /// What is needed.
    pub catalogue: &'a Catalogue,
    /// The flows that the catalogue speaks of, between the nodes of the deployment.
    pub flows: &'a [ResolvedFlow],
    /// Its nodes and gateways, with their firewalls.
    pub boxes: &'a Enforcers<'a>,
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
    strays: OnceCell<Vec<Stray>>,
    doors: OnceCell<Vec<Door<'a>>>,
}

/// All checks, in the order of their ids.
pub static CHECKS: &[&Check] = &[
    &any_any::CHECK,
    &aws_acl_open::CHECK,
    &aws_acl_unused::CHECK,
    &aws_covered::CHECK,
    &aws_default_group::CHECK,
    &aws_egress_all::CHECK,
    &aws_internet_admin::CHECK,
    &aws_internet_all::CHECK,
    &aws_internet_chain::CHECK,
    &aws_internet_database::CHECK,
    &aws_internet_rdp::CHECK,
    &aws_internet_reach::CHECK,
    &aws_internet_ssh::CHECK,
    &aws_internet_undecided::CHECK,
    &aws_ipv6_opened::CHECK,
    &aws_launch_wizard::CHECK,
    &aws_least_privilege::CHECK,
    &aws_many_rules::CHECK,
    &aws_no_description::CHECK,
    &aws_stale_reference::CHECK,
    &aws_unattached::CHECK,
    &aws_wide_cidr::CHECK,
    &duplicate::CHECK,
    &empty_chain::CHECK,
    &ipv6_unguarded::CHECK,
    &never_matches::CHECK,
    &nft_after_verdict::CHECK,
    &nft_always_true::CHECK,
    &nft_covered_element::CHECK,
    &nft_policy_twice::CHECK,
    &nft_set_shadowed::CHECK,
    &nft_set_unused::CHECK,
    &nft_undone::CHECK,
    &pf_alias::CHECK,
    &pf_lockout::CHECK,
    &pf_orphan::CHECK,
    &pf_quirk::CHECK,
    &pf_shadowed::CHECK,
    &pf_wan_open::CHECK,
    &policy_accept::CHECK,
    &unused_chain::CHECK,
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
        }
    }

    /// A finding of this check at a place; `label` says what stands there.
    pub fn finding(&self, subject: &Subject<'_>, origin: Origin, message: String, label: &str) -> Finding {
        self.finding_at(subject, subject.firewall.locate(origin), message, label)
    }

    /// As [`Check::finding`], at a place already located.
    pub fn finding_at(
        &self,
        subject: &Subject<'_>,
        location: Location,
        message: String,
        label: &str,
    ) -> Finding {
        self.about(subject.name.to_owned(), location, message, label)
    }

    /// A finding about something that is more than one firewall, at a place.
    pub fn about(&self, subject: String, location: Location, message: String, label: &str) -> Finding {
        Finding { subject, ..Finding::new(self.id, self.level, message, location, label) }
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
        Self { firewall, beside, environment, name, strays: OnceCell::new(), doors: OnceCell::new() }
    }

    /// The packets that no sensible rule names and that the firewall, alone, lets in for certain. Found once, for all checks.
    pub fn strays(&self) -> &[Stray] {
        self.strays.get_or_init(|| probe::strays(self.firewall, self.environment))
    }

    /// Through what the Internet gets in, where the firewall stands in a cloud. Found once, for all checks.
    pub(super) fn doors(&self) -> &[Door<'a>] {
        self.doors.get_or_init(|| match aws::inventory(self) {
            Some(inventory) => aws_door::doors(self.firewall, self.environment, inventory),
            None => Vec::new(),
        })
    }

    /// Another place with what it has to do with a finding.
    pub fn related(&self, origin: Origin, message: impl Into<String>) -> Related {
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
    }
}

/// Runs every check of firewalls on one.
pub fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for check in CHECKS {
        if let Run::Firewall(run) = check.run {
            run(subject, findings);
        }
    }
}

/// Runs every check of deployments on one.
pub fn run_deployed(deployed: &Deployed<'_>, findings: &mut Vec<Finding>) {
    for check in CHECKS {
        if let Run::Deployment(run) = check.run {
            run(deployed, findings);
        }
    }
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
