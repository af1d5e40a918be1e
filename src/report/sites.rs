//! Sites × sites: for each service that the catalogue speaks of, the worst state of the flows from one site to another, and what each site
//! has to show for itself.

use super::matrix::{is_advice, worse};
use crate::finding::{Flow, Report, Requirement, State};
use crate::packet::{IntervalSet, addr};
use crate::source::Severity;
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::collections::BTreeMap;

/// What is at no site: the Internet, and all whose site is not declared.
pub const ELSEWHERE: &str = "elsewhere";

/// From one site to another; places in [`Sites::names`].
pub type Pair = (usize, usize);

/// The worst state for each pair of sites, and the row that says so.
pub type Cells<'a> = BTreeMap<Pair, (State, &'a Requirement)>;

/// A report seen by sites.
pub struct Sites<'a> {
    /// The sites, in order of name; last what is at none, if a flow begins or ends there.
    pub names: Vec<&'a str>,
    /// Each requirement that is no recommendation, in order of id, with the pairs of sites that it concerns.
    pub services: Vec<(&'a str, Cells<'a>)>,
}

/// What a site has to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Nodes and gateways.
    pub nodes: usize,
    /// Requirements of its nodes by state, in the order of [`super::matrix::STATES`].
    pub states: [usize; 5],
    /// Findings about its nodes: errors, warnings, notes.
    pub findings: [usize; 3],
}

impl<'a> Sites<'a> {
    /// Sorts a report's requirements by sites; `None` where no site is declared.
    pub fn of(report: &'a Report) -> Option<Self> {
        let mut homes: BTreeMap<&str, IntervalSet> = BTreeMap::new();
        for m in report.members.iter().filter(|m| !m.site.is_empty()) {
            let own = homes.entry(&m.site).or_default();
            let sets = m.addresses.iter().filter_map(|a| addr::parse(a));
            *own = sets.fold(std::mem::take(own), |all, set| all.union(&set));
        }
        if homes.is_empty() {
            return None;
        }
        let mut names: Vec<&str> = homes.keys().copied().collect();
        let mut map = Map {
            all: IntervalSet::EMPTY,
            homes: homes.into_values().collect(),
            known: FxHashMap::default(),
        };
        map.all = map.homes.iter().fold(IntervalSet::EMPTY, |all, set| all.union(set));
        let mut services: BTreeMap<&str, Cells<'_>> = BTreeMap::new();
        let mut advice: FxHashMap<&str, bool> = FxHashMap::default();
        for r in &report.requirements {
            let advice = *advice.entry(&r.id).or_insert_with(|| is_advice(report, &r.id));
            if r.state == State::NotApplicable || advice {
                continue;
            }
            let cells = services.entry(&r.id).or_default();
            let mut put = |flow: &'a Flow, state: State| {
                let (from, to) = (map.sites(&flow.from), map.sites(&flow.to));
                for pair in from.iter().flat_map(|f| to.iter().map(move |t| (*f, *t))) {
                    let cell = cells.entry(pair).or_insert((state, r));
                    if worse(cell.0, state) != cell.0 {
                        *cell = (state, r);
                    }
                }
            };
            // What does not hold is told to the packet; the rest of the flow holds.
            if matches!(r.state, State::Violated | State::Undecided) && !r.remainder.is_empty() {
                put(&r.flow, State::Met);
                r.remainder.iter().for_each(|f| put(f, r.state));
            } else {
                put(&r.flow, r.state);
            }
        }
        let elsewhere = names.len();
        if services.values().flat_map(BTreeMap::keys).any(|(f, t)| *f == elsewhere || *t == elsewhere) {
            names.push(ELSEWHERE);
        }
        Some(Self { names, services: services.into_iter().collect() })
    }

    /// The worst state of all services for each pair, with the row that says so.
    pub fn overall(&self) -> Cells<'a> {
        let mut out: Cells<'_> = BTreeMap::new();
        for (pair, (state, row)) in self.services.iter().flat_map(|(_, cells)| cells) {
            let cell = out.entry(*pair).or_insert((*state, row));
            if worse(cell.0, *state) != cell.0 {
                *cell = (*state, row);
            }
        }
        out
    }

    /// The pairs at which a service is in a state.
    pub fn pairs(cells: &Cells<'_>, state: State) -> Vec<Pair> {
        cells.iter().filter(|(_, (s, _))| *s == state).map(|(pair, _)| *pair).collect()
    }

    /// What each site has to show, in order of name.
    pub fn totals(report: &'a Report) -> Vec<(&'a str, Totals)> {
        let site: FxHashMap<&str, &str> = report
            .members
            .iter()
            .filter(|m| !m.site.is_empty())
            .map(|m| (m.name.as_str(), m.site.as_str()))
            .collect();
        let mut out: BTreeMap<&str, Totals> = BTreeMap::new();
        for s in site.values() {
            out.entry(s).or_default().nodes += 1;
        }
        let matrix = super::matrix::Matrix::of(report);
        for (_, row) in &matrix.rows[..matrix.binding] {
            for (subject, state) in matrix.subjects.iter().zip(row) {
                if let (Some(totals), Some(state)) = (site.get(subject).and_then(|s| out.get_mut(s)), state)
                    && let Some(i) = super::matrix::STATES.iter().position(|s| s == state)
                {
                    totals.states[i] += 1;
                }
            }
        }
        for f in &report.findings {
            if let Some(totals) = site.get(f.subject.as_str()).and_then(|s| out.get_mut(s)) {
                totals.findings[match f.level {
                    Severity::Error => 0,
                    Severity::Warning => 1,
                    Severity::Note => 2,
                }] += 1;
            }
        }
        out.into_iter().collect()
    }
}

/// Which sites addresses are at. The same ends come up in many rows, so answers are kept.
struct Map<'a> {
    all: IntervalSet,
    homes: Vec<IntervalSet>,
    known: FxHashMap<&'a [String], Vec<usize>>,
}

impl<'a> Map<'a> {
    fn sites(&mut self, texts: &'a [String]) -> Vec<usize> {
        if let Some(known) = self.known.get(texts) {
            return known.clone();
        }
        let sets = texts.iter().filter_map(|t| addr::parse(t));
        let set = sets.fold(IntervalSet::EMPTY, |all, set| all.union(&set));
        let home = |(i, own): (usize, &IntervalSet)| (!own.intersect(&set).is_empty()).then_some(i);
        let mut out: Vec<usize> = self.homes.iter().enumerate().filter_map(home).collect();
        // A host name or a set that nobody declared has no addresses.
        if set.is_empty() || !self.all.covers(&set) {
            out.push(self.homes.len());
        }
        self.known.insert(texts, out.clone());
        out
    }
}

/// A service in the machine-readable report.
#[derive(Serialize)]
pub struct Listed<'a> {
    requirement: &'a str,
    pairs: Vec<ListedPair<'a>>,
}

#[derive(Serialize)]
struct ListedPair<'a> {
    from: &'a str,
    to: &'a str,
    state: State,
}

/// Every service for every pair of sites, as the machine-readable report lists them.
pub fn listed(report: &Report) -> Vec<Listed<'_>> {
    let Some(sites) = Sites::of(report) else { return Vec::new() };
    let pairs = |cells: &Cells<'_>| {
        cells
            .iter()
            .map(|((from, to), (state, _))| ListedPair {
                from: sites.names[*from],
                to: sites.names[*to],
                state: *state,
            })
            .collect()
    };
    sites.services.iter().map(|(id, cells)| Listed { requirement: id, pairs: pairs(cells) }).collect()
}
