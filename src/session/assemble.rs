//! The report of a run, put together.

use super::Options;
use super::dumped::dumped;
use super::load::Loaded;
use super::members::members;
use super::open::Opened;
use super::triaged::Triaged;
use crate::catalogue::Catalogue;
use crate::dialect::same_box;
use crate::finding::{CatalogueId, Input, Report, RuleDoc, Scope, Summary, Tool, worst_first};
use crate::lint::registry;
use crate::model::Firewall;
use crate::source::digest::Digest;
use crate::source::shard::Shard;
use crate::triage;
use std::collections::BTreeSet;

/// The report.
pub fn report(
    options: &Options,
    opened: &Opened,
    loaded: &Loaded,
    mut triaged: Triaged,
    scope: Option<Scope>,
) -> Report {
    worst_first(&mut triaged.findings);
    let catalogue = &opened.catalogue;
    let mut problems: Vec<_> =
        opened.problems.iter().chain(&loaded.problems).cloned().chain(triaged.problems).collect();
    problems.sort_by(|a, b| a.location.cmp(&b.location).then_with(|| a.message.cmp(&b.message)));
    problems.dedup_by(|a, b| a.location == b.location && a.message == b.message);
    Report {
        schema: 1,
        tool: Tool { name: "havenlint".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        catalogue: CatalogueId {
            id: catalogue.id.clone(),
            version: catalogue.version.clone(),
            sha256: catalogue.sha256.clone(),
        },
        phase: opened.deployment.phase.clone(),
        assumptions: assumptions(options, loaded),
        inputs: inputs(loaded.firewalls()),
        summary: Summary::of(&triaged.requirements, &triaged.findings),
        requirements: triaged.requirements,
        findings: triaged.findings,
        open: triaged.open,
        scope,
        waived: triaged.waived,
        problems,
        members: if opened.deployed { members(&opened.deployment, loaded) } else { Vec::new() },
        unread: loaded.unread.clone(),
        sources: triaged.sources,
        rules: all_rules(catalogue),
    }
}

// What is taken to be so without proof; programs know the first word.
fn assumptions(options: &Options, loaded: &Loaded) -> Vec<String> {
    let mut out = vec![if options.throttled { "throttled" } else { "not-throttled" }.to_owned()];
    if loaded.firewalls().any(Firewall::asks_reverse_path) {
        out.push(if options.forged { "forged" } else { "reverse-path" }.to_owned());
    }
    if loaded.firewalls().any(|f| !f.run_time_sets.is_empty()) {
        out.push("sets-as-listed".to_owned());
    }
    out.extend(options.shard.map(Shard::mark));
    if options.read.complete {
        out.push("complete".to_owned());
    }
    if options.read.includes.assumed_empty {
        out.push("includes-empty".to_owned());
    }
    let of_files: BTreeSet<&str> = loaded.firewalls().flat_map(|f| f.assumptions.iter().copied()).collect();
    out.extend(of_files.into_iter().map(str::to_owned));
    let all: Vec<&Firewall> = loaded.firewalls().collect();
    for b in loaded.boxes.iter().filter(|b| b.by_name || options.same_box && b.members.len() > 1) {
        let own: Vec<&Firewall> = b.members.iter().map(|m| all[*m]).collect();
        out.push(format!("same-box: {}", same_box::name(&own)));
    }
    out
}

/// Documentation of every rule: the catalogue's requirements, then the checks.
pub fn all_rules(catalogue: &Catalogue) -> Vec<RuleDoc> {
    let mut out = catalogue.docs();
    out.extend(registry::CHECKS.iter().map(|c| c.doc()));
    out.extend(triage::docs());
    out
}

fn inputs<'a>(firewalls: impl Iterator<Item = &'a Firewall>) -> Vec<Input> {
    let mut seen = BTreeSet::new();
    let mut out: Vec<Input> = Vec::new();
    for f in firewalls {
        for (i, s) in f.files.iter().enumerate() {
            if !seen.insert(&s.path) {
                continue;
            }
            out.push(Input {
                path: s.path.clone(),
                dialect: f.dialect.to_owned(),
                sha256: Digest::of(s),
                rules: if i == 0 {
                    f.ledger.exact + f.ledger.approximated + f.ledger.not_understood
                } else {
                    0
                },
                ledger: if i == 0 { f.ledger } else { Default::default() },
                dumped: dumped(s).unwrap_or_default(),
            });
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}
