//! What of a change says how firewalls are checked: a waiver, a weaker catalogue or a wider network may hide what the change breaks.

use super::Version;
use crate::deployment::{Defaults, Deployment, InlineWaivers, Waiver};
use crate::finding::{Report, RuleDoc, State};
use crate::packet::{IntervalSet, addr};
use crate::report::text::count;
use crate::source::Origin;
use crate::source::git::Renames;
use crate::triage::baseline::{BASELINE_FILE, Baseline};
use std::collections::{BTreeMap, BTreeSet};

/// Names of machines, files and addresses in one line.
const MAX_NAMES: usize = 6;

/// What is checked otherwise than before, in words.
pub(super) fn changes(old: &Version, new: &Version, renamed: &Renames) -> Vec<String> {
    let mut out = Vec::new();
    let nothing = Deployment::default();
    match (&old.deployment, &new.deployment) {
        (Some(_), None) => {
            out.push("the deployment file is gone: no requirement is checked any more".to_owned())
        }
        (None, None) => {}
        (a, Some(b)) => {
            let a = a.as_ref().unwrap_or(&nothing);
            if old.deployment.is_some() {
                phase(a, b, &mut out);
                grown(a, b, &mut out);
                machines(a, b, &mut out);
            }
            defaults(&a.defaults, &b.defaults, &mut out);
            waivers(a, b, &mut out);
        }
    }
    catalogue(&old.outcome.report, &new.outcome.report, &mut out);
    requirements(old, new, renamed, &mut out);
    files(old, new, renamed, &mut out);
    baseline(old, new, &mut out);
    out
}

fn phase(a: &Deployment, b: &Deployment, out: &mut Vec<String>) {
    if a.phase != b.phase {
        out.push(format!("the phase is {} (was {})", b.phase, a.phase));
    }
}

// Names that mean more addresses: whoever may connect is more.
fn grown(a: &Deployment, b: &Deployment, out: &mut Vec<String>) {
    for (what, old, new) in [("network", &a.networks, &b.networks), ("name", &a.names, &b.names)] {
        for (name, set) in new {
            let Some(before) = old.get(name) else { continue };
            let more = set.addresses.minus(&before.addresses);
            if !more.is_empty() {
                out.push(format!("the {what} {name} holds more: {}", shown(&more)));
            }
        }
    }
}

fn shown(set: &IntervalSet) -> String {
    few(&addr::display(set))
}

fn few(names: &[String]) -> String {
    let more = names.len().saturating_sub(MAX_NAMES);
    let end = if more > 0 { format!(" and {more} more") } else { String::new() };
    names[..names.len() - more].join(", ") + &end
}

fn machines(a: &Deployment, b: &Deployment, out: &mut Vec<String>) {
    for old in &a.nodes {
        match b.nodes.iter().find(|n| n.name == old.name) {
            None => out.push(format!("the node {} is gone", old.name)),
            Some(n) if n.role != old.role => {
                let role = |r: &str| if r.is_empty() { "none".to_owned() } else { r.to_owned() };
                out.push(format!("the role of {} is {} (was {})", n.name, role(&n.role), role(&old.role)));
            }
            Some(_) => {}
        }
    }
    let gone = a.gateways.iter().filter(|g| b.gateways.iter().all(|n| n.name != g.name));
    out.extend(gone.map(|g| format!("the gateway {} is gone", g.name)));
}

fn defaults(a: &Defaults, b: &Defaults, out: &mut Vec<String>) {
    let list = |l: &[String]| if l.is_empty() { "nothing".to_owned() } else { l.join(", ") };
    let level = |l: Option<&str>| l.unwrap_or("the default").to_owned();
    let severity = |d: &Defaults| level(d.min_severity.map(|s| s.name()));
    for (key, old, new) in [
        ("select", list(&a.select), list(&b.select)),
        ("ignore", list(&a.ignore), list(&b.ignore)),
        ("exclude", list(&a.exclude), list(&b.exclude)),
        ("fail-on", level(a.fail_on.as_deref()), level(b.fail_on.as_deref())),
        ("min-severity", severity(a), severity(b)),
    ] {
        if old != new {
            out.push(format!("`{key}` in [check] is {new} (was {old})"));
        }
    }
}

fn waivers(a: &Deployment, b: &Deployment, out: &mut Vec<String>) {
    if a.inline_waivers != b.inline_waivers {
        let (new, old) = (in_force(&b.inline_waivers), in_force(&a.inline_waivers));
        out.push(format!("waivers beside rules that are in force: {new} (was: {old})"));
    }
    let plain = |w: &Waiver| Waiver { origin: Origin::default(), ..w.clone() };
    let before: Vec<Waiver> = a.waivers.iter().map(plain).collect();
    for w in b.waivers.iter().map(plain).filter(|w| !before.contains(w)) {
        let of = |word: &str, name: &Option<String>| {
            name.as_ref().map_or_else(String::new, |n| format!(" {word} {n}"))
        };
        let until = w.expires.map_or_else(String::new, |d| format!(" until {d}"));
        let flow = if w.flow.is_some() { " for some flows" } else { "" };
        let (node, path) = (of("for", &w.node), of("in", &w.path));
        out.push(format!("a waiver of {}{node}{path}{flow}{until}: {}", w.rule, w.reason));
    }
}

fn in_force(w: &InlineWaivers) -> String {
    match w {
        InlineWaivers::All => "all".to_owned(),
        InlineWaivers::None => "none".to_owned(),
        InlineWaivers::WithOwner => "those with an owner".to_owned(),
        InlineWaivers::Of(rules) => format!("those of {}", rules.join(", ")),
    }
}

fn catalogue(old: &Report, new: &Report, out: &mut Vec<String>) {
    let (a, b) = (&old.catalogue, &new.catalogue);
    let version = |c: &crate::finding::CatalogueId| format!("{} {}", c.id, c.version);
    if version(a) != version(b) {
        out.push(format!("the catalogue is {} (was {})", version(b), version(a)));
    } else if a.sha256 != b.sha256 {
        out.push(format!("the catalogue {} has changed", a.id));
    }
    let of = |r: &Report| -> BTreeMap<String, RuleDoc> {
        let all = r.rules.iter().filter(|d| d.kind == "requirement");
        all.map(|d| (d.id.clone(), d.clone())).collect()
    };
    let (before, now) = (of(old), of(new));
    for (id, doc) in &before {
        match now.get(id) {
            None => out.push(format!("the requirement {id} is gone")),
            Some(d) if d.level < doc.level => {
                out.push(format!("{id} is a {} (was a {})", d.level.name(), doc.level.name()));
            }
            Some(_) => {}
        }
    }
}

// Requirements that were checked for a machine and are not any more.
fn requirements(old: &Version, new: &Version, renamed: &Renames, out: &mut Vec<String>) {
    let called = old.outcome.spelling.renamed(renamed);
    let checked = |v: &Version, name: &dyn Fn(&str) -> String| -> BTreeSet<(String, String)> {
        let all = v.outcome.report.requirements.iter();
        all.filter(|r| !matches!(r.state, State::NotChecked | State::NotApplicable))
            .map(|r| (r.id.clone(), name(&r.subject)))
            .collect()
    };
    let before = checked(old, &|s| called.subject(s));
    let now = checked(new, &|s| new.outcome.spelling.subject(s));
    let mut gone: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (id, subject) in before.difference(&now) {
        gone.entry(id).or_default().push(subject.clone());
    }
    out.extend(gone.iter().map(|(id, who)| format!("{id} is not checked any more for {}", few(who))));
}

// Files that were read, are there, and are not read any more.
fn files(old: &Version, new: &Version, renamed: &Renames, out: &mut Vec<String>) {
    let called = old.outcome.spelling.renamed(renamed);
    for input in &old.outcome.report.inputs {
        let name = called.path(&input.path);
        if new.folder.path().join(&name).is_file() && !new.outcome.spelling.read(&name) {
            out.push(format!("{name} is not read any more"));
        }
    }
}

// What `check` accepts once the change is in.
fn baseline(old: &Version, new: &Version, out: &mut Vec<String>) {
    let read = |v: &Version| {
        let folder = v.deployment.as_ref().map_or_else(|| v.folder.path().to_owned(), |d| d.folder.clone());
        Baseline::read(&folder.join(BASELINE_FILE)).map(|b| b.findings).unwrap_or_default()
    };
    let before = read(old);
    let more = read(new).into_iter().filter(|e| !before.contains(e)).count();
    if more > 0 {
        out.push(format!("{BASELINE_FILE} accepts {} more", count(more, "finding")));
    }
}
