//! A part of the deployment that a report is limited to: sites, nodes, networks.
//!
//! Everything is judged as always; what is about nobody and nothing of the part is left out afterwards, and counted.

use super::load::{Loaded, Part};
use super::open::Opened;
use super::triaged::Triaged;
use super::{Options, trouble};
use crate::finding::{COMMAND_LINE, Finding, Flow, Requirement, Scope, State};
use crate::packet::{IntervalSet, addr};
use crate::source::document::advice;
use crate::source::{Severity, Text};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// Leaves out what is not of the part that the options name; `None` = they name none. What they name wrongly becomes a problem, and then
/// nothing is left out.
pub fn limit(options: &Options, opened: &Opened, loaded: &Loaded, triaged: &mut Triaged) -> Option<Scope> {
    let named = options.sites.len() + options.nodes.len() + options.networks.len();
    let least = options.min_severity.or(opened.deployment.defaults.min_severity);
    let least = least.filter(|l| *l > Severity::Note && !options.report_all);
    let rules = rules_of_file(options, opened);
    if named == 0 {
        let mut scope = Scope { of: rules, ..Scope::default() };
        if let Some(least) = least {
            severe(least, triaged, &mut scope);
        }
        return Some(scope).filter(|s| !s.of.is_empty());
    }
    let mut part = Named::default();
    for (option, names) in
        [("site", &options.sites), ("node", &options.nodes), ("network", &options.networks)]
    {
        for name in names {
            match part.add(option, name, opened, loaded) {
                Ok(()) => part.words.push(format!("{option} {name}")),
                Err((message, help)) => triaged.problems.push(trouble(COMMAND_LINE, message, &help)),
            }
        }
    }
    if part.words.len() < named {
        return None;
    }
    let mut scope = part.keep(triaged);
    scope.of.extend(rules);
    if let Some(least) = least {
        severe(least, triaged, &mut scope);
    }
    Some(scope)
}

/// The rules that the deployment file selects, in words: whoever reads a report did not see the command that says so.
fn rules_of_file(options: &Options, opened: &Opened) -> Vec<String> {
    let d = &opened.deployment.defaults;
    if options.report_all || !options.select.is_empty() || !options.ignore.is_empty() {
        return Vec::new();
    }
    let only = (!d.select.is_empty()).then(|| format!("rules {}", d.select.join(", ")));
    let but = (!d.ignore.is_empty()).then(|| format!("rules other than {}", d.ignore.join(", ")));
    only.into_iter().chain(but).collect()
}

/// Leaves out findings below a level.
fn severe(least: Severity, triaged: &mut Triaged, scope: &mut Scope) {
    let before = triaged.findings.len();
    triaged.findings.retain(|f| f.level >= least);
    scope.findings_outside += before - triaged.findings.len();
    let word = if least == Severity::Error { "errors" } else { "errors and warnings" };
    scope.of.push(word.to_owned());
}

/// Who and what is meant.
#[derive(Default)]
struct Named {
    words: Vec<String>,
    members: BTreeSet<String>,
    addresses: IntervalSet,
    files: BTreeSet<String>,
}

impl Named {
    fn add(
        &mut self,
        option: &str,
        name: &str,
        opened: &Opened,
        loaded: &Loaded,
    ) -> Result<(), (String, String)> {
        let d = &opened.deployment;
        if !opened.deployed {
            let help = "name one with --config, or leave the option out".to_owned();
            return Err((format!("--{option} {name}: there is no deployment file"), help));
        }
        if option == "network" {
            let Some(set) = d.networks.get(name) else {
                let known = d.networks.keys().map(String::as_str);
                return Err((format!("--network {name}: no such network"), advice(name, known)));
            };
            self.addresses = self.addresses.union(&set.addresses);
            return Ok(());
        }
        let site = d.sites.iter().position(|s| option == "site" && s.name == name);
        let mut found = site.is_some();
        for (i, n) in d.nodes.iter().enumerate() {
            if option == "node" && n.name == name || site.is_some() && n.site == site {
                found = true;
                self.member(&n.name, n.all(), Part::Node(i), loaded);
            }
        }
        for (i, g) in d.gateways.iter().enumerate() {
            if option == "node" && g.name == name || site.is_some() && g.site == site {
                found = true;
                self.member(&g.name, None, Part::Gateway(i), loaded);
            }
        }
        if found {
            return Ok(());
        }
        let sites = d.sites.iter().map(|s| s.name.as_str());
        let members =
            d.nodes.iter().map(|n| n.name.as_str()).chain(d.gateways.iter().map(|g| g.name.as_str()));
        let known: Vec<&str> = if option == "site" { sites.collect() } else { members.collect() };
        Err((format!("--{option} {name}: no such {option}"), advice(name, known.iter().copied())))
    }

    fn member(&mut self, name: &str, addresses: Option<IntervalSet>, part: Part, loaded: &Loaded) {
        self.members.insert(name.to_owned());
        if let Some(own) = addresses {
            self.addresses = self.addresses.union(&own);
        }
        let files = loaded.of_part(part).into_iter().flat_map(|f| &f.files);
        self.files.extend(files.map(|s| s.path.clone()));
    }

    /// Leaves out what is not of the part.
    fn keep(self, triaged: &mut Triaged) -> Scope {
        let before = (triaged.requirements.len(), triaged.findings.len());
        let mut known: FxHashMap<Vec<String>, bool> = FxHashMap::default();
        triaged.requirements.retain(|r| self.concerns(r, &mut known));
        let broken: BTreeSet<(Text, Text)> = triaged
            .requirements
            .iter()
            .filter(|r| matches!(r.state, State::Violated | State::Undecided))
            .map(|r| (Text::shared(&r.id), Text::shared(&r.subject)))
            .collect();
        let about = |f: &Finding| {
            self.members.contains(f.subject.as_str())
                || self.files.contains(f.location.path.as_str())
                || broken.contains(&(f.rule.clone(), f.subject.clone()))
        };
        triaged.findings.retain(about);
        triaged.waived.retain(|w| about(&w.finding));
        triaged.open.retain(|o| self.members.contains(&o.subject));
        Scope {
            requirements_outside: before.0 - triaged.requirements.len(),
            findings_outside: before.1 - triaged.findings.len(),
            of: self.words,
        }
    }

    fn concerns(&self, r: &Requirement, known: &mut FxHashMap<Vec<String>, bool>) -> bool {
        let Flow { from, to, .. } = &r.flow;
        self.members.contains(&r.subject)
            || self.files.contains(&r.at)
            || [from, to].into_iter().any(|texts| match known.get(texts) {
                Some(known) => *known,
                None => {
                    let sets = texts.iter().filter_map(|t| addr::parse(t));
                    let meets = sets.into_iter().any(|s| !s.intersect(&self.addresses).is_empty());
                    known.insert(texts.clone(), meets);
                    meets
                }
            })
    }
}
