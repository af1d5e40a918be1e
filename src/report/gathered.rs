//! A report that is too long for memory, gathered part by part: its long lists are on disk, the rest is joined as it comes.

use super::causes::{Lister, Mark};
use super::json::fragment;
use super::spill::{Key, Merged, Record, Spill};
use super::{Style, json, sarif};
use crate::finding::merge::{MergeError, UNUSED_WAIVER, merge};
use crate::finding::{Finding, Input, Open, Report, Requirement, RuleDoc, State, Summary};
use crate::source::discover::unchanged;
use crate::source::{Location, Severity};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use thiserror::Error;

/// Why a report cannot be gathered.
#[derive(Debug, Error)]
pub enum GatherError {
    /// A temporary file cannot be written or read.
    #[error("cannot keep parts of the report in a temporary file: {0}")]
    Disk(#[from] io::Error),
    /// The parts are not of one report.
    #[error("{0}")]
    Parts(#[from] MergeError),
}

/// Parts of a report, while they come. The order in which they come does not matter.
pub struct Gathering {
    // Of each part what is not on disk.
    heads: Vec<Report>,
    requirements: Spill,
    findings: Spill,
    // Findings of the report that is read that its head is to have.
    apart: Vec<Finding>,
}

/// A part without its long lists, and those, made ready.
pub struct Part {
    head: Report,
    requirements: Vec<Record>,
    findings: Vec<Record>,
}

impl Part {
    /// Makes a part ready; what takes time is done here.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn of(mut report: Report) -> io::Result<Self> {
        let requirements = std::mem::take(&mut report.requirements);
        let (apart, findings) = std::mem::take(&mut report.findings).into_iter().partition(is_apart);
        report.findings = apart;
        report.sources = Vec::new();
        for input in &mut report.inputs {
            input.sha256 = input.sha256.as_str().to_owned().into();
        }
        let findings: Vec<Finding> = findings;
        Ok(Self {
            head: report,
            requirements: requirements.iter().map(of_requirement).collect::<io::Result<_>>()?,
            findings: findings.iter().map(of_finding).collect::<io::Result<_>>()?,
        })
    }
}

// Whether something is a waiver that matches nothing: only all parts together tell whether that is so.
fn is_apart(f: &Finding) -> bool {
    f.rule == UNUSED_WAIVER
}

fn of_requirement(r: &Requirement) -> io::Result<Record> {
    let f = &r.flow;
    let key = Key::default().text(&r.id).text(&r.subject).text(&r.at);
    let key = key.texts(&f.from).texts(&f.to).text(&f.proto).text(&f.port).text(&f.sport).texts(&f.sent_to);
    Ok(Record {
        key: key.number(r.state as u32).done(),
        mark: serde_json::to_vec(&r.state)?,
        body: fragment(r)?,
    })
}

fn of_finding(f: &Finding) -> io::Result<Record> {
    let key = at(Key::default().number(f.rank() as u32), &f.location).text(&f.rule).text(&f.subject);
    Ok(Record {
        key: key.text(&f.message).text(&f.fingerprint).done(),
        mark: serde_json::to_vec(&Mark::of(f))?,
        body: fragment(f)?,
    })
}

fn at(key: Key, l: &Location) -> Key {
    let key = key.text(&l.path).number(l.line).number(l.column).number(l.end_line).number(l.end_column);
    let key = key.text(&l.text).number(u32::from(l.rule.is_some()));
    match &l.rule {
        None => key,
        Some(rule) => key.text(&rule.description).text(&rule.id).text(&rule.summary),
    }
}

impl Gathering {
    /// Nothing so far.
    ///
    /// # Errors
    /// No temporary file can be made.
    pub fn new() -> Result<Self, GatherError> {
        Ok(Self {
            heads: Vec::new(),
            requirements: Spill::new()?,
            findings: Spill::new()?,
            apart: Vec::new(),
        })
    }

    /// Adds a requirement.
    ///
    /// # Errors
    /// The disk's.
    pub fn requirement(&mut self, r: &Requirement) -> Result<(), GatherError> {
        Ok(self.requirements.push(of_requirement(r)?)?)
    }

    /// Adds a finding.
    ///
    /// # Errors
    /// The disk's.
    pub fn finding(&mut self, f: Finding) -> Result<(), GatherError> {
        match is_apart(&f) {
            true => self.apart.push(f),
            false => self.findings.push(of_finding(&f)?)?,
        }
        Ok(())
    }

    /// Adds what else the report says whose requirements and findings were added last.
    pub fn head(&mut self, mut report: Report) {
        report.findings.append(&mut self.apart);
        // All have the same rules.
        if !self.heads.is_empty() {
            report.rules = Vec::new();
        }
        self.heads.push(report);
    }

    /// Adds a part.
    ///
    /// # Errors
    /// The disk's.
    pub fn add(&mut self, part: Part) -> Result<(), GatherError> {
        part.requirements.into_iter().try_for_each(|r| self.requirements.push(r))?;
        part.findings.into_iter().try_for_each(|r| self.findings.push(r))?;
        self.head(part.head);
        Ok(())
    }

    /// All of it.
    ///
    /// # Errors
    /// The disk's, or the parts do not belong together.
    pub fn done(mut self) -> Result<Gathered, GatherError> {
        let heads = std::mem::take(&mut self.heads);
        let mut head = if heads.is_empty() { Report::default() } else { merge(heads)? };
        for f in std::mem::take(&mut head.findings) {
            self.findings.push(of_finding(&f)?)?;
        }
        let mut this = Gathered {
            inputs: std::mem::take(&mut head.inputs),
            open: std::mem::take(&mut head.open),
            head,
            requirements: self.requirements.merged()?,
            findings: self.findings.merged()?,
        };
        this.head.summary = this.count()?;
        Ok(this)
    }
}

/// A report of which the long lists are on disk.
pub struct Gathered {
    head: Report,
    inputs: Vec<Input>,
    open: Vec<Open>,
    requirements: Merged,
    findings: Merged,
}

/// Writes such a report.
pub type WriteGathered = fn(&Gathered, &Style, &mut dyn Write) -> io::Result<()>;

/// The formats that can be written of it, by name.
pub const STREAMED: &[(&str, WriteGathered)] = &[("json", Gathered::json), ("sarif", Gathered::sarif)];

impl Gathered {
    /// All but its long lists; with the counts of all.
    pub fn head(&self) -> &Report {
        &self.head
    }

    /// The files that were read.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Gives it the documentation of its rules.
    pub fn set_rules(&mut self, rules: Vec<RuleDoc>) {
        self.head.rules = rules;
    }

    fn count(&self) -> io::Result<Summary> {
        let mut out = Summary::default();
        for r in self.requirements.iter() {
            *match serde_json::from_slice(&r?.mark)? {
                State::Met => &mut out.met,
                State::Violated => &mut out.violated,
                State::Undecided => &mut out.undecided,
                State::NotApplicable => &mut out.not_applicable,
                State::NotChecked => &mut out.not_checked,
            } += 1;
        }
        for r in self.findings.iter() {
            *match serde_json::from_slice::<Mark>(&r?.mark)?.level {
                Severity::Error => &mut out.error,
                Severity::Warning => &mut out.warning,
                Severity::Note => &mut out.note,
            } += 1;
        }
        Ok(out)
    }

    // The document is written as if the long lists were empty, and each put in where it belongs.
    fn json(&self, _: &Style, out: &mut dyn Write) -> io::Result<()> {
        let mut text = Vec::new();
        json::write(&self.head, &Style::default(), &mut text)?;
        let text = String::from_utf8(text).map_err(io::Error::other)?;
        let mut rest = text.as_str();
        let mut until = |name: &str, out: &mut dyn Write| {
            // A line end inside a text is written as `\n`: this is the key.
            let key = format!("\n  \"{name}\": [");
            let at = rest.find(&key).map(|at| at + key.len());
            let at = at.ok_or_else(|| io::Error::other(format!("the report has no list `{name}`")))?;
            let (before, after) = rest.split_at(at);
            rest = after;
            out.write_all(before.as_bytes())
        };
        until("inputs", out)?;
        List::new(out).all(self.inputs.iter().map(fragment))?;
        until("requirements", out)?;
        List::new(out).all(self.requirements.iter().map(|r| Ok(r?.body)))?;
        until("findings", out)?;
        let mut lister = Lister::default();
        List::new(out).all(self.findings.iter().map(|r| {
            let r = r?;
            lister.add(&serde_json::from_slice(&r.mark)?);
            Ok(r.body)
        }))?;
        until("open", out)?;
        List::new(out).all(self.open.iter().map(fragment))?;
        until("causes", out)?;
        let mut list = List::new(out);
        lister.each(|cause| list.push(&fragment(&cause)?))?;
        list.end()?;
        out.write_all(rest.as_bytes())
    }

    // Code scanning takes so few results that they fit into memory.
    fn sarif(&self, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        let mut report = Report { inputs: self.inputs.clone(), open: self.open.clone(), ..self.head.clone() };
        let (mut kept, mut more) = (FxHashSet::default(), FxHashSet::default());
        for r in self.findings.iter() {
            let f: Finding = serde_json::from_slice(&r?.body)?;
            let mut hash = DefaultHasher::new();
            (&f.rule, &f.location.path, f.location.line).hash(&mut hash);
            let key = hash.finish();
            if kept.contains(&key) || kept.len() < sarif::MAX_RESULTS && kept.insert(key) {
                report.findings.push(f);
            } else {
                more.insert(key);
            }
        }
        let digests: FxHashMap<&str, &str> =
            self.inputs.iter().map(|i| (i.path.as_str(), i.sha256.as_str())).collect();
        let shown: BTreeSet<&str> = report.findings.iter().flat_map(files).collect();
        let sources = shown.into_iter().filter_map(|path| unchanged(path, digests.get(path)?));
        report.sources = sources.collect();
        sarif::write_shortened(&report, style, more.len(), out)
    }
}

// The files that a finding leads to.
fn files(f: &Finding) -> impl Iterator<Item = &str> {
    let others = f.related.iter().chain(&f.path).map(|r| r.location.path.as_str());
    [f.location.path.as_str()].into_iter().chain(others).chain(f.fix.as_ref().map(|fix| fix.path.as_str()))
}

// A list in an indented document, element by element.
struct List<'o> {
    out: &'o mut dyn Write,
    empty: bool,
}

impl<'o> List<'o> {
    fn new(out: &'o mut dyn Write) -> Self {
        Self { out, empty: true }
    }

    fn push(&mut self, element: &[u8]) -> io::Result<()> {
        self.out.write_all(if self.empty { b"\n    " } else { b",\n    " })?;
        self.empty = false;
        self.out.write_all(element)
    }

    fn end(self) -> io::Result<()> {
        if self.empty { Ok(()) } else { self.out.write_all(b"\n  ") }
    }

    fn all(mut self, elements: impl Iterator<Item = io::Result<Vec<u8>>>) -> io::Result<()> {
        for e in elements {
            self.push(&e?)?;
        }
        self.end()
    }
}
