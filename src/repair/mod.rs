//! Repairs that are proven before they are offered.
//!
//! A repair is the edit that a finding proposes. It is made in memory, everything is read and judged again, and two things must hold:
//!
//! 1. **It does what it is for, and nothing gets worse** ([`regress`]): the requirements that it is for are met, or fail for fewer packets if
//!    nothing more is known to do; no other requirement is worse or fails for more packets, and there is no new finding of level warning or above, whatever `--select` says.
//! 2. **Nothing else changes** ([`structure`]): the edited firewall is, rule by rule, the old one but for rules that accept packets of the
//!    required flow, or without rules that decide nothing. So no packet outside the flow can have another verdict, without deciding about
//!    each of them.
//!
//! A requirement may be stopped at several places, so that a first edit only brings the next one to light (the first packet passes, the
//! answers do not): such edits are one repair. Repairs are tried all together; if that cannot be proven, without those that the proof names
//! as the ones that stand in the way, or, where it names none, in ever smaller groups: first those that change no verdict, which can make nothing
//! worse but the tidiness of the file. Each group is tried on top of what is proven already: line numbers and findings are always those
//! of the files as they would be.

mod edit;
mod regress;
mod store;
mod structure;

pub use store::store;

use crate::finding::{Asked, Finding, Fix, Problem, Purpose, Report, Severity, State};
use crate::model::Firewall;
use crate::session::{Memory, Options, Outcome, run_again};
use crate::source::discover::Edited;
use crate::source::{Location, SourceFile};
use crate::triage::selection::Selection;
use regress::{Likeness, Standing, told, word};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use structure::{Change, Changes, Edits};

/// What can be repaired, and what cannot.
pub struct Repairs {
    /// The run as it is now, of everything that is judged.
    pub now: Outcome,
    /// Repairs that are proven, in order of path and line.
    pub proven: Vec<Proven>,
    /// Repairs that are not offered.
    pub refused: Vec<Refused>,
    /// Findings that need a change elsewhere: with a command, or in another file. Nothing is proven of these.
    pub elsewhere: Vec<(Finding, Fix)>,
    /// The files with all proven repairs.
    pub files: Vec<EditedFile>,
    /// The findings of the chosen rules that are left then.
    pub left: Vec<Finding>,
    /// How often all that is edited was read and judged anew.
    pub trials: usize,
}

/// A repair that is proven.
pub struct Proven {
    /// What it mends.
    pub finding: Finding,
    /// What it does.
    pub fix: Fix,
    /// What passes then that did not: `tcp/22 from 10.0.9.0/24 to this box`; empty = nothing.
    pub opens: Vec<String>,
    /// What does not pass any more.
    pub closes: Vec<String>,
    /// What it is for holds then for all packets, not only for more of them.
    pub whole: bool,
}

/// A repair that is not offered.
pub struct Refused {
    /// The finding.
    pub finding: Finding,
    /// Why not, in words.
    pub why: String,
}

/// A file with its repairs.
pub struct EditedFile {
    /// As it is.
    pub old: Arc<SourceFile>,
    /// As it would be.
    pub new: Vec<u8>,
}

// Rules that all trials may read and judge anew: some ten seconds.
const MAX_JUDGED: usize = 400_000;
// Trials that are made however many rules there are, and however few.
const MIN_TRIALS: usize = 4;
const MAX_TRIALS: usize = 200;

// An edit can bring to light no more further edits of its requirement than this.
const MAX_STEPS: usize = 12;

/// Finds the repairs that can be proven.
///
/// # Errors
/// Why nothing can be repaired at all.
pub fn repairs(options: &Options) -> Result<Repairs, String> {
    if options.paths.iter().any(|p| p.as_os_str() == "-") {
        return Err("standard input cannot be repaired: name the file".to_owned());
    }
    // The proof is about everything, whatever is to be repaired.
    let all = Options { report_all: true, ..options.clone() };
    let mut memory = Memory::default();
    let now = run_again(&all, &mut memory);
    if now.selection.is_broken() {
        let wrong = now.report.problems.iter().find(|p| p.level == Severity::Error);
        return Err(wrong.map_or_else(String::new, |p| format!("{}; {}", p.message, p.help)));
    }
    let rules: usize = now.firewalls.iter().map(Firewall::rule_count).sum();
    let mut attempt = Search {
        selection: now.selection.clone(),
        all: &all,
        memory,
        refused: Vec::new(),
        trials: 0,
        affordable: (MAX_JUDGED / rules.max(1)).clamp(MIN_TRIALS, MAX_TRIALS),
    };
    let mut state = Draft { outcome: None, edited: Edited::default(), contents: BTreeMap::new() };
    let mut proven = attempt.search(&now, &mut state);
    let after = state.outcome.as_ref().unwrap_or(&now);
    let mut places: FxHashMap<Likeness<'_>, Vec<&Location>> = FxHashMap::default();
    for f in &now.report.findings {
        places.entry(Likeness::of(f)).or_default().push(&f.location);
    }
    places.values_mut().for_each(|list| list.sort_unstable());
    for p in &mut proven {
        // Places are those of the files as they are.
        let alike = places.get(&Likeness::of(&p.finding)).map_or(&[][..], Vec::as_slice);
        let there = alike.binary_search(&&p.finding.location).ok();
        let here = alike.get(there.unwrap_or(0)).map(|l| (*l).clone());
        p.finding.location = here.unwrap_or_else(|| Location::top(&p.finding.location.path));
    }
    proven.sort_by(|a, b| a.finding.location.cmp(&b.finding.location));
    let Search { mut refused, trials, .. } = attempt;
    // Another repair may have fixed it too.
    let left = Likeness::counts(&after.report.findings);
    refused.retain(|r| left.contains_key(&Likeness::of(&r.finding)));
    let chosen = after.report.findings.iter().filter(|f| now.selection.takes(&f.rule));
    let elsewhere =
        chosen.clone().filter_map(|f| Some((f.clone(), f.fix.as_deref().filter(|x| x.elsewhere)?.clone())));
    let (elsewhere, left) = (elsewhere.collect(), chosen.cloned().collect());
    let files = state
        .contents
        .into_iter()
        .filter_map(|(path, new)| {
            let old = now.report.sources.iter().find(|s| s.path == path)?;
            Some(EditedFile { old: Arc::clone(old), new })
        })
        .collect();
    Ok(Repairs { now, proven, refused, elsewhere, files, left, trials })
}

// The files with what is proven so far.
struct Draft {
    // Of the files as they would be; `None` = as they are.
    outcome: Option<Outcome>,
    edited: Edited,
    contents: BTreeMap<String, Vec<u8>>,
}

struct Search<'o> {
    selection: Selection,
    all: &'o Options,
    // What a file that no repair touches came to is not found out again.
    memory: Memory,
    refused: Vec<Refused>,
    trials: usize,
    // Trials that may be made.
    affordable: usize,
}

/// Why some repairs are not proven together.
#[derive(Debug, Default)]
struct Failure {
    why: String,
    /// The repairs that stand in the way, by their number among those that are tried; empty = that is not known.
    by: BTreeMap<usize, Blame>,
}

/// Why a repair stands in the way of others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Blame {
    why: String,
    /// It is not proven by itself, whatever else is tried with it.
    alone: bool,
}

impl Failure {
    // One that is known to be the fault of some repairs.
    fn of(by: BTreeMap<usize, Blame>) -> Self {
        Self { why: by.values().next().map(|b| b.why.clone()).unwrap_or_default(), by }
    }
}

impl Blame {
    fn alone(why: impl Into<String>) -> Self {
        Self { why: why.into(), alone: true }
    }

    fn together(why: impl Into<String>) -> Self {
        Self { why: why.into(), alone: false }
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self { why, by: BTreeMap::new() }
    }
}

impl Search<'_> {
    fn search(&mut self, now: &Outcome, state: &mut Draft) -> Vec<Proven> {
        let mut proven = Vec::new();
        let mut group = usize::MAX;
        // Those that stood in the way of others are tried after these.
        let mut held: Vec<Finding> = Vec::new();
        loop {
            let report = &state.outcome.as_ref().unwrap_or(now).report;
            let known = Likeness::counts(self.refused.iter().map(|r| &r.finding));
            let wanted = |f: &&Finding| self.wanted(f) && !known.contains_key(&Likeness::of(f));
            let open: Vec<Finding> = report.findings.iter().filter(wanted).cloned().collect();
            // They would only stand in the way of others.
            let (hopeless, open): (Vec<Finding>, Vec<Finding>) =
                open.into_iter().partition(|f| self.forbidden(f).is_some());
            if !hopeless.is_empty() {
                let why = hopeless.into_iter().filter_map(|f| Some((self.forbidden(&f)?, f)));
                let refused: Vec<Refused> = why.map(|(why, finding)| Refused { finding, why }).collect();
                self.refused.extend(refused);
                continue;
            }
            let (kept, mut open): (Vec<Finding>, Vec<Finding>) = {
                let held = Likeness::counts(&held);
                open.into_iter().partition(|f| held.contains_key(&Likeness::of(f)))
            };
            let last = open.is_empty();
            if last {
                open = kept;
                held.clear();
            }
            if open.is_empty() {
                break;
            }
            if self.trials >= self.affordable {
                let why = format!("not tried: {} trials were made; run again", self.trials);
                self.refused.extend(open.into_iter().map(|finding| Refused { finding, why: why.clone() }));
                // Those that are held are next.
                continue;
            }
            open.sort_by_key(changes_verdicts);
            let tried = &open[..group.min(open.len())];
            let quiet = tried.partition_point(|f| !changes_verdicts(f));
            match self.attempt(state.outcome.as_ref().unwrap_or(now), state, tried) {
                Ok((next, done)) => {
                    *state = next;
                    proven.extend(done);
                    group = tried.len().saturating_mul(2);
                }
                Err(Failure { why, .. }) if tried.len() == 1 => {
                    self.refused.push(Refused { finding: tried[0].clone(), why });
                    group = group.max(2);
                }
                // On top of all others they cannot be proven either.
                Err(Failure { by, .. }) if last && by.values().any(|b| b.alone) => {
                    let alone = by.into_iter().filter(|(_, b)| b.alone);
                    let refused = alone.filter_map(|(n, b)| Some((tried.get(n)?.clone(), b.why)));
                    self.refused.extend(refused.map(|(finding, why)| Refused { finding, why }));
                }
                Err(Failure { by, .. }) if !by.is_empty() && by.len() < tried.len() => {
                    held.extend(by.keys().filter_map(|n| tried.get(*n)).cloned());
                }
                Err(_) if (1..tried.len()).contains(&quiet) => group = quiet,
                Err(_) => group = tried.len() / 2,
            }
        }
        proven
    }

    fn wanted(&self, f: &Finding) -> bool {
        f.fix.as_ref().is_some_and(|x| !x.elsewhere) && self.selection.takes(&f.rule)
    }

    // Applies the repairs of some findings on top of what stands, with all that they bring to light, and proves them.
    fn attempt(
        &mut self,
        before: &Outcome,
        from: &Draft,
        findings: &[Finding],
    ) -> Result<(Draft, Vec<Proven>), Failure> {
        let mut next = Draft { outcome: None, edited: from.edited.clone(), contents: from.contents.clone() };
        let mut proven: Vec<Proven> = Vec::new();
        let mut step: Vec<Finding> = findings.to_vec();
        for number in 0..MAX_STEPS {
            self.trials += 1;
            let old = next.outcome.as_ref().unwrap_or(before);
            let made = self.edited(old, &mut next.edited, &mut next.contents, &step);
            let proof =
                made.and_then(|(edits, outcome)| Ok((unchanged(old, &outcome, &edits, &step)?, outcome)));
            // Edits that only came to light have other numbers than those that are tried.
            let (changes, outcome) = proof.map_err(|f| if number == 0 { f } else { Failure::from(f.why) })?;
            proven.extend(step.into_iter().zip(changes).filter_map(|(mut finding, c)| {
                let fix = *finding.fix.take()?;
                Some(Proven { finding, fix, opens: c.opens, closes: c.closes, whole: true })
            }));
            let standing = Standing::of(&outcome.report);
            let missed: BTreeSet<Asked> = proven
                .iter()
                .flat_map(|p| &p.fix.purpose.repairs)
                .filter(|a| !standing.holds(a))
                .cloned()
                .collect();
            // What is still in the way of the same requirements.
            let for_them = |x: &Fix| !x.elsewhere && x.purpose.repairs.iter().any(|a| missed.contains(a));
            let follow = outcome.report.findings.iter().filter(|f| f.fix.as_deref().is_some_and(for_them));
            step = follow.cloned().collect();
            if step.is_empty() {
                let was = Standing::of(&before.report);
                if let Some(open) = missed.iter().find(|a| !standing.nearer(a, &was)) {
                    return Err(still_open(open, &outcome.report).into());
                }
                settled(before, &outcome.report, &standing, &was, &proven)?;
                for p in &mut proven {
                    p.whole = !p.fix.purpose.repairs.iter().any(|a| missed.contains(a));
                }
                next.outcome = Some(outcome);
                return Ok((next, proven));
            }
            next.outcome = Some(outcome);
        }
        Err("too many edits would be needed".to_owned().into())
    }

    // Why the repair of a finding is not even tried.
    fn forbidden(&self, f: &Finding) -> Option<String> {
        let fix = f.fix.as_ref()?;
        if let Some(peer) = fix.purpose.undeclared.first() {
            return Some(format!(
                "the addresses of {peer} are not declared, so the repair would open it to anybody"
            ));
        }
        // Who is locked out by a repair should have asked for it.
        let locks_out = !fix.purpose.closes.is_empty() && !self.selection.is_explicit();
        locks_out.then(|| format!("it stops packets that pass today: select it with `--select {}`", f.rule))
    }

    // Edits the files and judges them anew.
    fn edited(
        &mut self,
        old: &Outcome,
        edited: &mut Edited,
        contents: &mut BTreeMap<String, Vec<u8>>,
        findings: &[Finding],
    ) -> Result<(Edits, Outcome), Failure> {
        let forbidden =
            findings.iter().enumerate().filter_map(|(n, f)| Some((n, Blame::alone(self.forbidden(f)?))));
        let forbidden: BTreeMap<usize, Blame> = forbidden.collect();
        if !forbidden.is_empty() {
            return Err(Failure::of(forbidden));
        }
        let fixes = || findings.iter().enumerate().filter_map(|(i, f)| Some((i, f.fix.as_deref()?)));
        let mut edits = Edits::new();
        for path in fixes().map(|(_, x)| x.path.as_str()).collect::<BTreeSet<_>>() {
            let sources = &old.report.sources;
            let file =
                sources.iter().find(|s| s.path == path).ok_or_else(|| format!("{path} was not read"))?;
            let broken = |p: &&Problem| p.level == Severity::Error && p.location.path == path;
            if let Some(p) = old.report.problems.iter().find(broken) {
                let why = format!("{path} has an error on line {}: fix that first", p.location.line);
                let own = fixes().filter(|(_, x)| x.path == path);
                return Err(Failure::of(own.map(|(n, _)| (n, Blame::alone(why.clone()))).collect()));
            }
            let edit = edit::apply(file, fixes().filter(|(_, x)| x.path == path)).map_err(Failure::of)?;
            edited.set(Path::new(path), edit.bytes.clone()).map_err(|e| format!("{path}: {e}"))?;
            contents.insert(path.to_owned(), edit.bytes.clone());
            edits.insert(path.to_owned(), edit);
        }
        let mut options = self.all.clone();
        options.read.edited = Arc::new(edited.clone());
        Ok((edits, run_again(&options, &mut self.memory)))
    }
}

// Whether the firewalls are the same but for what the fixes are for; what each of them changes.
fn unchanged(
    old: &Outcome,
    new: &Outcome,
    edits: &Edits,
    findings: &[Finding],
) -> Result<Vec<Change>, Failure> {
    let none = Purpose::default();
    let purposes: Vec<&Purpose> =
        findings.iter().map(|f| f.fix.as_ref().map_or(&none, |x| &x.purpose)).collect();
    let same = |(a, b): (&Firewall, &Firewall)| {
        a.path() == b.path() && a.dialect == b.dialect && a.files.len() == b.files.len()
    };
    if old.firewalls.len() != new.firewalls.len() || !old.firewalls.iter().zip(&new.firewalls).all(same) {
        return Err("the edited files would be read as other firewalls".to_owned().into());
    }
    let mut changes = Changes::new();
    for (a, b) in old.firewalls.iter().zip(&new.firewalls) {
        if a.files.iter().any(|f| edits.contains_key(&f.path)) {
            structure::prove(a, b, edits, &purposes, &mut changes)?;
        }
    }
    Ok((0..findings.len()).map(|i| changes.remove(&i).unwrap_or_default()).collect())
}

// What of a requirement is not met after its repair, and why.
fn still_open(asked: &Asked, report: &Report) -> String {
    let open = report.requirements.iter().find(|r| r.asked() == *asked && r.state != State::Met);
    let Some(r) = open else { return format!("{} would no longer be checked", told(asked)) };
    let because = match r.because.first() {
        Some(b) if b.why.is_empty() => format!(": it depends on {}", b.text),
        Some(b) => format!(": it depends on {} ({})", b.text, b.why),
        None => String::new(),
    };
    match r.state {
        State::Violated => format!("{} would still be violated", told(asked)),
        state => format!("{} would then be {}{because}", told(asked), word(state)),
    }
}

// Whether everything that was found is gone, and nothing is worse than before.
fn settled(
    before: &Outcome,
    after: &Report,
    standing: &Standing<'_>,
    was: &Standing<'_>,
    proven: &[Proven],
) -> Result<(), Failure> {
    let (now, then) = (Likeness::counts(&before.report.findings), Likeness::counts(&after.findings));
    let fixed = Likeness::counts(proven.iter().map(|p| &p.finding));
    let still = |p: &Proven| {
        let alike = Likeness::of(&p.finding);
        let count = |of: &FxHashMap<Likeness<'_>, usize>| of.get(&alike).copied().unwrap_or(0);
        count(&then) + count(&fixed) > count(&now)
    };
    let asked = proven.iter().enumerate().filter(|(_, p)| p.fix.purpose.repairs.is_empty() && still(p));
    let found: BTreeMap<usize, Blame> = asked
        .map(|(n, p)| (n, Blame::together(format!("{} would still be found", p.finding.rule))))
        .collect();
    if !found.is_empty() {
        return Err(Failure::of(found));
    }
    let verdicts_stay = proven.iter().all(|p| p.opens.is_empty() && p.closes.is_empty());
    match standing.worse_than(was, verdicts_stay) {
        Some(worse) => Err(worse.into()),
        None => Ok(()),
    }
}

// Whether a repair is for packets to fare otherwise.
fn changes_verdicts(f: &Finding) -> bool {
    let Some(Fix { purpose, .. }) = f.fix.as_deref() else { return false };
    !(purpose.opens.is_empty() && purpose.closes.is_empty() && purpose.repairs.is_empty())
}
