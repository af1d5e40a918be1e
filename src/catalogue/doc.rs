//! What a requirement is, as people read it: the documentation of its findings, and its flow in words.

use super::controls::controls;
use super::load::is_built_in;
use super::lower::port_text;
use super::{Breach, Catalogue, End, Place, Requirement, Service, Services};
use crate::finding::{RuleDoc, rule_page};
use crate::packet::proto;
use std::fmt::Write as _;

impl Catalogue {
    /// Documentation of every requirement, in the catalogue's order.
    pub fn docs(&self) -> Vec<RuleDoc> {
        self.requirements.iter().map(|r| self.doc(r)).collect()
    }

    /// Documentation of one requirement.
    pub fn doc(&self, requirement: &Requirement) -> RuleDoc {
        let mut tags = requirement.tags.clone();
        tags.insert(0, requirement.kind.name().replace(' ', "-"));
        if requirement.security_severity.is_some() {
            tags.insert(0, "security".to_owned());
        }
        RuleDoc {
            id: requirement.id.clone(),
            name: requirement.name.clone(),
            summary: requirement.title.clone(),
            documentation: self.markdown(requirement),
            level: requirement.level,
            security_severity: requirement.security_severity,
            tags,
            kind: "requirement".to_owned(),
            source: requirement.reference.clone(),
            page: if is_built_in(&requirement.id) { rule_page(&requirement.id) } else { String::new() },
            controls: controls(&requirement.id),
        }
    }

    fn markdown(&self, r: &Requirement) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}.\n\n## Requirement\n", r.title);
        let _ = writeln!(out, "* **flow**: {}", self.flow_words(r));
        let _ = writeln!(out, "* **kind**: {}", r.kind.name());
        let _ = writeln!(out, "* **applies**: {}", applies_words(r));
        if r.tls {
            let _ =
                writeln!(out, "* **encrypted**: the source requires TLS; a packet filter cannot check that");
        }
        if r.breach == Breach::Whole {
            let _ =
                writeln!(out, "* **breach**: only if the whole flow is let through, over IPv4 or over IPv6");
        }
        if r.except_wanted {
            let _ = writeln!(out, "* **exempt**: what a required or recommended flow needs");
        }
        if !r.aliases.is_empty() {
            let _ = writeln!(out, "* **also listed as**: {}", r.aliases.join(", "));
        }
        for (name, p) in self.parameters.iter().filter(|p| r.parameters.contains(p.0)) {
            let reason = p.reason.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(out, "* **parameter** `{name}` = {}: {reason}", port_text(&p.ports));
        }
        if !r.rationale.is_empty() {
            let _ = writeln!(out, "\n## Why\n\n{}", r.rationale);
        }
        for example in &r.examples {
            let state =
                format!("{:?}", example.expect).to_lowercase().replace("notapplicable", "not applicable");
            let _ = writeln!(
                out,
                "\n## Example: {state}\n\nOn a machine of role `{}`, {}:\n",
                example.role, example.title
            );
            let _ = writeln!(out, "```text\n{}\n```", example.file.trim());
        }
        if !r.reference.is_empty() {
            let _ = write!(out, "\n## Reference\n\n{}", r.reference);
            if !r.reference_url.is_empty() {
                let _ = write!(out, ": <{}>", r.reference_url);
            }
            out.push('\n');
        }
        out
    }

    /// The flow in words: `cms (service), peer srn (service) → srn (service), tcp/20082`.
    pub fn flow_words(&self, r: &Requirement) -> String {
        let ends = |ends: &[End]| ends.iter().map(end_words).collect::<Vec<_>>().join(", ");
        let services = match &r.services {
            Services::These(list) => list.iter().map(service_words).collect::<Vec<_>>().join(", "),
            Services::OfDestination => "every service of the destination".to_owned(),
        };
        format!("{} → {}, {services}", ends(&r.from), ends(&r.to))
    }
}

/// A service in words: `tcp/20082`, `tcp/80,443`, `any protocol`.
pub fn service_words(service: &Service) -> String {
    let Some(p) = service.protocol else { return "any protocol".to_owned() };
    match port_text(&service.ports).as_str() {
        "any" => proto::name(p),
        ports => format!("{}/{ports}", proto::name(p)),
    }
}

fn end_words(end: &End) -> String {
    match end {
        End::Role { role, network, place } => {
            let mut out = role.clone();
            if let Some(n) = network {
                let _ = write!(out, " ({n})");
            }
            out.push_str(match place {
                Place::Anywhere => "",
                Place::SameSite => " of the same site",
                Place::OtherSite => " of every other site",
            });
            out
        }
        End::Host(name) => format!("`{name}`"),
        End::Set(name) => name.clone(),
    }
}

fn applies_words(r: &Requirement) -> String {
    let mut parts = Vec::new();
    if !r.when.phases.is_empty() {
        parts.push(format!("in phase {}", r.when.phases.join(" or ")));
    }
    if !r.when.site_types.is_empty() {
        parts.push(format!("at sites of type {}", r.when.site_types.join(" or ")));
    }
    if !r.when.site_exists.is_empty() {
        parts.push(format!("if a site of type {} exists", r.when.site_exists.join(" or ")));
    }
    if parts.is_empty() { "always".to_owned() } else { parts.join(", ") }
}
