//! What a run found out, for the next one over the same deployment: only what a changed file has a say in is judged again.
//!
//! Everything that is remembered is remembered with what it was made of. What all answers depend on (the deployment file, the catalogue, the flows, the
//! frames of machines) is compared as a whole: if any of it is another than before, all is forgotten.

use super::judge::{Checked, Told};
use super::load::{Loaded, Part};
use super::open::Opened;
use crate::catalogue::resolve::ResolvedFlow;
use crate::compliance::path::{EnforcementPoints, Frame};
use crate::dialect::kept::Kept;
use crate::lint::registry::{Looked, Machine};
use crate::model::Firewall;
use crate::packet::Family;
use crate::source::SourceFile;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// What runs over one deployment have found out.
#[derive(Default)]
pub struct Memory {
    policy: Policy,
    ways: Ways,
    firewalls: Vec<Firewall>,
    // What the firewalls of each member are now; `None` = that is not known.
    editions: FxHashMap<Part, Option<Vec<String>>>,
    last: FxHashMap<Key, Arc<Entry>>,
    next: Mutex<FxHashMap<Key, Arc<Entry>>>,
}

// The deployment file and the catalogue.
#[derive(Default, PartialEq)]
struct Policy {
    sound: bool,
    deployed: bool,
    catalogue: String,
    files: Vec<(String, Vec<u8>)>,
}

// Who talks to whom, and what decides by which way.
#[derive(Default, PartialEq)]
struct Ways {
    flows: Vec<ResolvedFlow>,
    frames: Vec<Frame>,
}

// What was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// A requirement, by its number, with the machine that it is about.
    Unit(usize, String),
    /// A check of deployments.
    Deployed(&'static str, Looked),
    /// All checks of a firewall, by its member and first file.
    Firewall(Option<Part>, String),
}

struct Entry {
    // The members that have a say in it.
    parts: Vec<Part>,
    // The firewalls that have, as they were.
    editions: Vec<String>,
    told: Told,
}

impl Memory {
    /// Takes back the firewalls of the run before, which nobody needs any more.
    pub fn take_back(&mut self, firewalls: Vec<Firewall>) {
        self.firewalls = firewalls;
    }

    /// The firewalls that may be taken over by a run with this catalogue and deployment.
    pub(super) fn enter(&mut self, opened: &Opened) -> Kept {
        let bytes = |f: &Arc<SourceFile>| (f.path.clone(), f.bytes().to_vec());
        let policy = Policy {
            sound: opened.sound,
            deployed: opened.deployed,
            catalogue: format!("{} {}", opened.catalogue.id, opened.catalogue.sha256),
            files: opened.files().map(bytes).collect(),
        };
        if policy != self.policy {
            *self = Self { policy, ..Self::default() };
        }
        Kept::of(std::mem::take(&mut self.firewalls))
    }

    /// Notes what was read; forgets everything where flows may go other ways than before.
    pub(super) fn note(&mut self, loaded: &Loaded, checked: &Checked<'_>) {
        let (flows, points) = checked.ways();
        let ways = Ways { flows: flows.to_vec(), frames: points.frames() };
        if ways != self.ways {
            self.last.clear();
            self.ways = ways;
        }
        let of = |(part, loaded): &(Option<Part>, crate::dialect::load::Loaded)| {
            Some((part.as_ref().copied()?, editions(&loaded.firewalls)))
        };
        self.editions = loaded.groups.iter().filter_map(of).collect();
    }

    /// What is remembered from now on is what was asked in this run.
    pub(super) fn settle(&mut self) {
        self.last = self.next.get_mut().map(std::mem::take).unwrap_or_default();
    }

    /// What is known of a requirement with all flows of one machine, or what is found out now.
    pub(super) fn unit(
        &self,
        flows: &[&ResolvedFlow],
        points: &EnforcementPoints<'_>,
        judge: impl FnOnce() -> Told,
    ) -> Told {
        let Some(first) = flows.first() else { return judge() };
        let key = Key::Unit(first.requirement, first.subject_end().name.clone());
        // Flows and frames are those of the last run, so the same members have a say.
        let parts = self.last.get(&key).map_or_else(|| concerned(flows, points), |e| e.parts.clone());
        let editions = self.of_parts(&parts);
        self.answer(key, parts, editions, judge)
    }

    /// The same of a check of deployments.
    pub(super) fn deployed(
        &self,
        check: &'static str,
        looked: Looked,
        points: &EnforcementPoints<'_>,
        judge: impl FnOnce() -> Told,
    ) -> Told {
        let parts = match looked {
            Looked::At(Machine::Node(n)) => vec![Part::Node(n)],
            Looked::At(Machine::Gateway(n)) => vec![Part::Gateway(n)],
            Looked::AllNodes => (0..points.nodes.len()).map(Part::Node).collect(),
        };
        let editions = self.of_parts(&parts);
        self.answer(Key::Deployed(check, looked), parts, editions, judge)
    }

    /// The same of the checks of a firewall, which stands beside others.
    pub(super) fn firewall(
        &self,
        part: Option<Part>,
        firewall: &Firewall,
        beside: &[&Firewall],
        judge: impl FnOnce() -> Told,
    ) -> Told {
        let all = std::iter::once(firewall).chain(beside.iter().copied());
        let key = Key::Firewall(part, firewall.path().to_owned());
        self.answer(key, Vec::new(), editions(all), judge)
    }

    fn of_parts(&self, parts: &[Part]) -> Option<Vec<String>> {
        // A member without files has no firewalls, and never had.
        let of = |p: &Part| self.editions.get(p).cloned().unwrap_or_else(|| Some(Vec::new()));
        let each: Option<Vec<Vec<String>>> = parts.iter().map(of).collect();
        // Where those of one member end, those of the next begin.
        Some(each?.join(&String::new()))
    }

    fn answer(
        &self,
        key: Key,
        parts: Vec<Part>,
        editions: Option<Vec<String>>,
        judge: impl FnOnce() -> Told,
    ) -> Told {
        let Some(editions) = editions else { return judge() };
        let known = self.last.get(&key).filter(|e| e.editions == editions).map(Arc::clone);
        let entry = known.unwrap_or_else(|| Arc::new(Entry { parts, editions, told: judge() }));
        if let Ok(mut next) = self.next.lock() {
            next.insert(key, Arc::clone(&entry));
        }
        entry.told.clone()
    }
}

fn editions<'f>(firewalls: impl IntoIterator<Item = &'f Firewall>) -> Option<Vec<String>> {
    firewalls.into_iter().map(|f| f.edition.clone()).collect()
}

// The members whose firewalls have a say in some flows: both ends, and the gateways between them.
fn concerned(flows: &[&ResolvedFlow], points: &EnforcementPoints<'_>) -> Vec<Part> {
    let mut out = BTreeSet::new();
    for flow in flows {
        out.extend([&flow.source, &flow.destination].into_iter().filter_map(|e| e.node).map(Part::Node));
        for family in Family::ALL {
            out.extend(points.passed(flow, family).into_iter().map(|(n, _)| Part::Gateway(n)));
        }
    }
    out.into_iter().collect()
}
