//! A part of the deployment that a report is limited to: sites, nodes, networks.
//!
//! Everything is judged as always; what is about nobody and nothing of the part is left out afterwards, and counted.

use super::load::{Loaded, Part};
use super::open::Opened;
use super::triaged::Triaged;
use super::{Options, trouble};
use crate::finding::{Finding, Flow, Requirement, Scope, State};
use crate::packet::{IntervalSet, addr};
use crate::source::document::advice;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// Leaves out what is not of the part that the options name; `None` = they name none. What they name wrongly becomes a problem, and then
/// nothing is left out.
pub fn limit(options: &Options, opened: &Opened, loaded: &Loaded, triaged: &mut Triaged) -> Option<Scope> {
    if [&options.sites, &options.nodes, &options.networks].iter().all(|list| list.is_empty()) {
        return None;
    }
    let mut part = Named::default();
    for (option, names) in
        [("site", &options.sites), ("node", &options.nodes), ("network", &options.networks)]
    {
        for name in names {
            match part.add(option, name, opened, loaded) {
                Ok(()) => part.words.push(format!("{option} {name}")),
                Err((message, help)) => triaged.problems.push(trouble("(command line)", message, &help)),
            }
        }
    }
    if part.words.len() < options.sites.len() + options.nodes.len() + options.networks.len() {
        return None;
    }
    Some(part.keep(triaged))
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
        let broken: BTreeSet<(String, String)> = triaged
            .requirements
            .iter()
            .filter(|r| matches!(r.state, State::Violated | State::Undecided))
            .map(|r| (r.id.clone(), r.subject.clone()))
            .collect();
        let about = |f: &Finding| {
            self.members.contains(&f.subject)
                || self.files.contains(&f.location.path)
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
