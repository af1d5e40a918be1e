//! Causes before symptoms: findings that one line decides belong together, and so do findings that say the same of the same line in many
//! files.
//!
//! A host whose policy stops six required flows has one cause, not six; a template's mistake on a thousand hosts is one, too. No finding is
//! lost: each is in exactly one cause.

use crate::finding::{Finding, Rank, Report};
use crate::source::Severity;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What is to be put right once.
pub struct Cause<'a> {
    /// The places, in the order of the report; at each the findings that it decides. Neither list is empty.
    pub places: Vec<Vec<&'a Finding>>,
}

impl<'a> Cause<'a> {
    /// The finding that stands for all.
    pub fn first(&self) -> &'a Finding {
        self.places[0][0]
    }

    /// The findings at the first place: what the cause looks like.
    pub fn example(&self) -> &[&'a Finding] {
        &self.places[0]
    }

    /// All findings.
    pub fn findings(&self) -> impl Iterator<Item = &'a Finding> {
        self.places.iter().flatten().copied()
    }

    /// How soon it is to be looked at.
    pub fn rank(&self) -> Rank {
        self.first().rank()
    }

    /// Level of its findings.
    pub fn level(&self) -> Severity {
        self.first().level
    }

    /// The rules, each once, in the order of their findings.
    pub fn rules(&self) -> Vec<&'a str> {
        let mut out: Vec<&str> = Vec::new();
        for f in self.example() {
            if !out.contains(&f.rule.as_str()) {
                out.push(&f.rule);
            }
        }
        out
    }
}

/// The causes of a report, the worst first.
pub fn causes(report: &Report) -> Vec<Cause<'_>> {
    let mut sorter = Sorter::default();
    report.findings.iter().for_each(|f| sorter.add(&Mark::of(f)));
    let sorted = sorter.done();
    let place = |own: &[Sorted]| own.iter().map(|s| &report.findings[s.finding as usize]).collect();
    let cause =
        |own: &[Sorted]| Cause { places: own.chunk_by(|a, b| a.place == b.place).map(place).collect() };
    sorted.chunk_by(|a, b| a.cause == b.cause).map(cause).collect()
}

/// What is compared: a digest of it, so that as many as a fleet has can be remembered.
type Print = u128;

/// What tells to which cause a finding belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its level.
    pub level: Severity,
    /// Its rule.
    pub rule: String,
    /// How soon it is to be looked at, and its file.
    file: Print,
    /// Where it stands there, to the column, and what the line does: a line can be wrong in several ways. `None` = it is about no line of a file.
    place: Option<Print>,
    /// The line that decides, without the counters that dumps of two hosts never share.
    line: Print,
    /// Rule and message, without the name of whom they are about.
    says: Print,
}

impl Mark {
    /// Of a finding.
    pub fn of(f: &Finding) -> Self {
        let l = &f.location;
        let here = !l.path.is_empty() && !l.text.is_empty();
        let at = [l.line, l.column, l.end_line, l.end_column].map(u32::to_le_bytes).concat();
        let line =
            l.text.strip_suffix(']').and_then(|t| t.rsplit_once(" [")).map_or(&*l.text, |(rule, _)| rule);
        let mut message = f.message.to_string();
        for name in [&f.subject, &l.path].into_iter().filter(|n| !n.is_empty()) {
            message = message.replace(name.as_str(), "\0");
        }
        Self {
            level: f.level,
            rule: f.rule.to_string(),
            file: print(&[f.rank().name().as_bytes(), l.path.as_bytes()]),
            place: here.then(|| print(&[f.label.as_bytes(), &at])),
            line: print(&[f.rank().name().as_bytes(), line.as_bytes()]),
            says: print(&[f.rule.as_bytes(), message.as_bytes()]),
        }
    }
}

// A digest of parts that tells them apart.
fn print(parts: &[&[u8]]) -> Print {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).fold(0, |n, b| n << 8 | u128::from(*b))
}

/// Sorts findings into causes as they come: in the order of reports, so that those of one file and rank come one after the other.
#[derive(Default)]
pub struct Sorter {
    all: Vec<Sorted>,
    alike: FxHashMap<Print, u32>,
    places: u32,
    // What is open: the file, its places, and where its findings begin. Until it is closed, `cause` is not known and `place` counts from 0.
    file: Print,
    here: Vec<Place>,
    known: FxHashMap<Print, usize>,
    since: usize,
}

struct Place {
    line: Print,
    says: Vec<Print>,
}

/// A finding with its cause and its place, in the order in which they first come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sorted {
    cause: u32,
    place: u32,
    finding: u32,
}

impl Sorter {
    /// Adds the next finding.
    pub fn add(&mut self, mark: &Mark) {
        if mark.file != self.file {
            self.close();
            self.file = mark.file;
        }
        let new = self.here.len();
        let at = match mark.place {
            Some(place) => *self.known.entry(place).or_insert(new),
            None => new,
        };
        match self.here.get_mut(at) {
            Some(place) => place.says.push(mark.says),
            None => self.here.push(Place { line: mark.line, says: vec![mark.says] }),
        }
        self.all.push(Sorted { cause: 0, place: at as u32, finding: self.all.len() as u32 });
    }

    fn close(&mut self) {
        let causes: Vec<u32> = std::mem::take(&mut self.here)
            .into_iter()
            .map(|place| {
                let says = std::iter::once(place.line).chain(place.says).flat_map(u128::to_le_bytes);
                let next = self.alike.len() as u32;
                *self.alike.entry(print(&[&says.collect::<Vec<u8>>()])).or_insert(next)
            })
            .collect();
        for s in &mut self.all[self.since..] {
            s.cause = causes[s.place as usize];
            s.place += self.places;
        }
        self.places += causes.len() as u32;
        self.since = self.all.len();
        self.known.clear();
    }

    /// All findings, cause by cause, place by place.
    pub fn done(mut self) -> Vec<Sorted> {
        self.close();
        self.all.sort_unstable();
        self.all
    }
}

/// A cause in the machine-readable report.
#[derive(Serialize)]
pub struct Listed {
    level: Severity,
    rules: Vec<String>,
    /// Places in the list of findings, from 0.
    findings: Vec<u32>,
}

/// Makes the list of causes as findings come.
#[derive(Default)]
pub struct Lister {
    sorter: Sorter,
    // Of each finding the level, and the rule by its number.
    told: Vec<(Severity, u32)>,
    rules: FxHashMap<String, u32>,
}

impl Lister {
    /// Adds the next finding.
    pub fn add(&mut self, mark: &Mark) {
        self.sorter.add(mark);
        let next = self.rules.len() as u32;
        let rule = match self.rules.get(&mark.rule) {
            Some(known) => *known,
            None => *self.rules.entry(mark.rule.clone()).or_insert(next),
        };
        self.told.push((mark.level, rule));
    }

    /// The causes as the machine-readable report lists them, one by one.
    ///
    /// # Errors
    /// What `each` gives.
    pub fn each<E>(self, mut each: impl FnMut(Listed) -> Result<(), E>) -> Result<(), E> {
        let Self { sorter, told, rules } = self;
        let names: FxHashMap<u32, String> = rules.into_iter().map(|(name, n)| (n, name)).collect();
        for own in sorter.done().chunk_by(|a, b| a.cause == b.cause) {
            let of = |s: &Sorted| told[s.finding as usize];
            let mut rules: Vec<u32> = Vec::new();
            for (_, rule) in own.iter().take_while(|s| s.place == own[0].place).map(of) {
                if !rules.contains(&rule) {
                    rules.push(rule);
                }
            }
            each(Listed {
                level: of(&own[0]).0,
                rules: rules.iter().filter_map(|r| names.get(r).cloned()).collect(),
                findings: own.iter().map(|s| s.finding).collect(),
            })?;
        }
        Ok(())
    }
}

/// The causes as the machine-readable report lists them.
pub fn listed(report: &Report) -> Vec<Listed> {
    let mut lister = Lister::default();
    report.findings.iter().for_each(|f| lister.add(&Mark::of(f)));
    let mut out = Vec::new();
    let done: Result<(), std::convert::Infallible> = lister.each(|c| {
        out.push(c);
        Ok(())
    });
    match done {
        Ok(()) => out,
    }
}
