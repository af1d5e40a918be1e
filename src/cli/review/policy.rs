//! What of a change says how firewalls are checked: a waiver, a weaker catalogue or a wider network may hide what the change breaks.
//!
//! Only what can hide nothing is not counted as weaker: less that is ignored, a waiver less, a machine that is gone together with its files. A
//! catalogue that has changed may ask for less in many ways, so it always counts.

use super::{Version, named};
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
/// What fails a run, from the most to the least.
const FAIL_ON: [&str; 4] = ["note", "warning", "error", "never"];

/// What is checked otherwise than before, in words.
#[derive(Default)]
pub(super) struct Changes {
    /// All of it.
    pub all: Vec<String>,
    /// What of it may hide something.
    pub weaker: Vec<String>,
}

impl Changes {
    fn tell(&mut self, weaker: bool, text: String) {
        if weaker {
            self.weaker.push(text.clone());
        }
        self.all.push(text);
    }

    fn weaker(&mut self, text: String) {
        self.tell(true, text);
    }
}

/// What is checked otherwise than before.
pub(super) fn changes(old: &Version, new: &Version, renamed: &Renames) -> Changes {
    let mut out = Changes::default();
    let nothing = Deployment::default();
    match (&old.deployment, &new.deployment) {
        (Some(_), None) => {
            out.weaker("the deployment file is gone: no requirement is checked any more".to_owned());
        }
        (None, None) => {}
        (a, Some(b)) => {
            let a = a.as_ref().unwrap_or(&nothing);
            if old.deployment.is_some() {
                phase(a, b, &mut out);
                grown(a, b, &mut out);
                machines((a, old), (b, new), renamed, &mut out);
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

fn phase(a: &Deployment, b: &Deployment, out: &mut Changes) {
    if a.phase != b.phase {
        out.weaker(format!("the phase is {} (was {})", b.phase, a.phase));
    }
}

// Names that mean more addresses: whoever may connect is more.
fn grown(a: &Deployment, b: &Deployment, out: &mut Changes) {
    for (what, old, new) in [("network", &a.networks, &b.networks), ("name", &a.names, &b.names)] {
        for (name, set) in new {
            let Some(before) = old.get(name) else { continue };
            let more = set.addresses.minus(&before.addresses);
            if !more.is_empty() {
                out.weaker(format!("the {what} {name} holds more: {}", shown(&more)));
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

// A machine that is gone may be so in truth; where its files are still there, it is not.
fn machines(
    (a, old): (&Deployment, &Version),
    (b, new): (&Deployment, &Version),
    renamed: &Renames,
    out: &mut Changes,
) {
    let called = old.outcome.spelling.renamed(renamed);
    let kept = |name: &str| {
        let own = old.outcome.report.members.iter().filter(|m| m.name == name).flat_map(|m| &m.files);
        own.into_iter().any(|f| new.folder.path().join(called.path(f)).is_file())
    };
    for old in &a.nodes {
        match b.nodes.iter().find(|n| n.name == old.name) {
            None => out.tell(kept(&old.name), format!("the node {} is gone", old.name)),
            Some(n) if n.role != old.role => {
                let role = |r: &str| if r.is_empty() { "none".to_owned() } else { r.to_owned() };
                out.weaker(format!("the role of {} is {} (was {})", n.name, role(&n.role), role(&old.role)));
            }
            Some(_) => {}
        }
    }
    for g in a.gateways.iter().filter(|g| b.gateways.iter().all(|n| n.name != g.name)) {
        out.tell(kept(&g.name), format!("the gateway {} is gone", g.name));
    }
}

fn defaults(a: &Defaults, b: &Defaults, out: &mut Changes) {
    let more = |old: &[String], new: &[String]| new.iter().any(|n| !old.contains(n));
    let fail_on = |d: &Defaults| FAIL_ON.iter().position(|l| d.fail_on.as_deref().unwrap_or("error") == *l);

    let list = |l: &[String]| if l.is_empty() { "nothing".to_owned() } else { l.join(", ") };
    let level = |l: Option<&str>| l.unwrap_or("the default").to_owned();
    let severity = |d: &Defaults| level(d.min_severity.map(|s| s.name()));
    // Nothing that is selected means everything.
    let selected_less = !b.select.is_empty() && (a.select.is_empty() || more(&b.select, &a.select));
    for (key, old, new, weaker) in [
        ("select", list(&a.select), list(&b.select), selected_less),
        ("ignore", list(&a.ignore), list(&b.ignore), more(&a.ignore, &b.ignore)),
        ("exclude", list(&a.exclude), list(&b.exclude), more(&a.exclude, &b.exclude)),
        ("fail-on", level(a.fail_on.as_deref()), level(b.fail_on.as_deref()), fail_on(a) < fail_on(b)),
        ("min-severity", severity(a), severity(b), a.min_severity < b.min_severity),
    ] {
        if old != new {
            out.tell(weaker, format!("`{key}` in [check] is {new} (was {old})"));
        }
    }
}

fn waivers(a: &Deployment, b: &Deployment, out: &mut Changes) {
    if a.inline_waivers != b.inline_waivers {
        let (new, old) = (in_force(&b.inline_waivers), in_force(&a.inline_waivers));
        let weaker = !allows_no_more(&b.inline_waivers, &a.inline_waivers);
        out.tell(weaker, format!("waivers beside rules that are in force: {new} (was: {old})"));
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
        out.weaker(format!("a waiver of {}{node}{path}{flow}{until}: {}", w.rule, w.reason));
    }
}

// Whether of waivers beside rules none is in force that was not.
fn allows_no_more(new: &InlineWaivers, old: &InlineWaivers) -> bool {
    match (new, old) {
        (InlineWaivers::None, _) | (_, InlineWaivers::All) => true,
        (InlineWaivers::Of(new), InlineWaivers::Of(old)) => new.iter().all(|n| old.contains(n)),
        (new, old) => new == old,
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

fn catalogue(old: &Report, new: &Report, out: &mut Changes) {
    let (a, b) = (&old.catalogue, &new.catalogue);
    let version = |c: &crate::finding::CatalogueId| format!("{} {}", c.id, c.version);
    if version(a) != version(b) {
        out.weaker(format!("the catalogue is {} (was {})", version(b), version(a)));
    } else if a.sha256 != b.sha256 {
        out.weaker(format!("the catalogue {} has changed", a.id));
    }
    let of = |r: &Report| -> BTreeMap<String, RuleDoc> {
        let all = r.rules.iter().filter(|d| d.kind == "requirement");
        all.map(|d| (d.id.clone(), d.clone())).collect()
    };
    let (before, now) = (of(old), of(new));
    for (id, doc) in &before {
        match now.get(id) {
            None => out.weaker(format!("the requirement {id} is gone")),
            Some(d) if d.level < doc.level => {
                out.weaker(format!("{id} is a {} (was a {})", d.level.name(), doc.level.name()));
            }
            Some(_) => {}
        }
    }
}

// Requirements that were checked for a machine and are not any more. Those of a machine that is gone are told with it.
fn requirements(old: &Version, new: &Version, renamed: &Renames, out: &mut Changes) {
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
    for (id, who) in gone {
        let there = who.iter().any(|w| named(new, w) || !named(old, w));
        out.tell(there, format!("{id} is not checked any more for {}", few(&who)));
    }
}

// Files that were read, are there, and are not read any more.
fn files(old: &Version, new: &Version, renamed: &Renames, out: &mut Changes) {
    let called = old.outcome.spelling.renamed(renamed);
    for input in &old.outcome.report.inputs {
        let name = called.path(&input.path);
        if new.folder.path().join(&name).is_file() && !new.outcome.spelling.read(&name) {
            out.weaker(format!("{name} is not read any more"));
        }
    }
}

// What `check` accepts once the change is in.
fn baseline(old: &Version, new: &Version, out: &mut Changes) {
    let read = |v: &Version| {
        let folder = v.deployment.as_ref().map_or_else(|| v.folder.path().to_owned(), |d| d.folder.clone());
        Baseline::read(&folder.join(BASELINE_FILE)).map(|b| b.findings).unwrap_or_default()
    };
    let before = read(old);
    let more = read(new).into_iter().filter(|e| !before.contains(e)).count();
    if more > 0 {
        out.weaker(format!("{BASELINE_FILE} accepts {} more", count(more, "finding")));
    }
}
