//! The baseline: findings that were there when havenlint came, accepted so that only new ones count.
//!
//! What is accepted is written down: the flows that a requirement fails for, the packets that are open, the conditions that leave something
//! undecided; of other findings the rules that stand at their place, and what is said of them. A finding that is about more than that is
//! new, and says what is new of it. A baseline changes what a run fails on, never what is true: a requirement stays violated.

use super::extent::{beyond, joined, spare, words};
use super::fingerprint::identity;
use super::spelling::Spelling;
use crate::evidence::near::few;
use crate::finding::{Finding, Part, RuleDoc, Severity, Waived};
use crate::lint::registry::builtin_doc;
use crate::source::Location;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// Name of the baseline, beside the deployment file or in the folder where havenlint is run.
pub const BASELINE_FILE: &str = "havenlint-baseline.json";

/// Id of the finding about what is accepted and gone.
pub const STALE: &str = "HL-BASELINE-STALE";

const SCHEMA: u32 = 2;

/// Findings that are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Version of the format: 2.
    pub schema: u32,
    /// The findings, ordered by path, rule and subject, so that the file is easy to review.
    pub findings: Vec<Accepted>,
}

/// A finding that is accepted, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The file that it was found in, from the folder of the baseline.
    pub path: String,
    /// Rule.
    pub rule: String,
    /// The node or firewall that it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// Its level: what is worse is not accepted.
    pub level: Severity,
    /// What it said; for people.
    pub message: String,
    /// What stands at its place; for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// What tells it from others of its rule, subject and file, where it is about no packets.
    pub identity: String,
    /// How many equal ones there are.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: usize,
    /// The packets that it is about: only these are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extent: Vec<Part>,
}

const fn one() -> usize {
    1
}

const fn is_one(n: &usize) -> bool {
    *n == 1
}

/// Why a file is no baseline.
#[derive(Debug)]
pub struct ReadError {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// A run's findings, held against a baseline.
#[derive(Debug)]
pub struct Settled {
    /// Those that are not accepted, or not all of them.
    pub new: Vec<Finding>,
    /// Those that are.
    pub accepted: Vec<Waived>,
    /// What is accepted and not there any more, in words, with its place.
    pub stale: Vec<String>,
    /// The baseline without that.
    pub pruned: Baseline,
}

/// Documentation of the rule about baselines.
pub fn docs() -> Vec<RuleDoc> {
    vec![builtin_doc(
        STALE,
        "BaselineStale",
        "the baseline accepts findings that are gone",
        Severity::Note,
        "## What it does\nReports entries of the baseline for which there is nothing to accept any more, and those that accept more than there is. With `--ratchet` this is an \
         error.\n\n## Why is this bad?\nWhat was fixed may break again, and the baseline would hide it.\n\n## Example\nThe baseline accepts that two nodes cannot reach a third. For one of them a rule \
         was added since.\n\n## Use instead\n```console\n$ havenlint baseline prune\n```",
    )]
}

impl Accepted {
    fn of(f: &Finding, extent: Vec<Part>, spelling: &Spelling) -> Self {
        Self {
            path: spelling.path(&f.location.path),
            rule: f.rule.to_string(),
            subject: spelling.subject(&f.subject),
            level: f.level,
            message: f.message.replace(f.subject.as_str(), &spelling.subject(&f.subject)),
            text: f.location.rule.as_ref().map_or_else(|| f.location.text.to_string(), |r| r.to_string()),
            identity: identity(f, spelling),
            count: 1,
            extent,
        }
    }

    fn key(&self) -> (&str, &str, &str) {
        (&self.rule, &self.path, &self.subject)
    }
}

impl Baseline {
    /// The baseline that accepts these findings.
    pub fn of(findings: &[Finding], spelling: &Spelling) -> Self {
        Self::with(findings.iter().map(|f| Accepted::of(f, joined(&f.extent), spelling)).collect())
    }

    // Equal entries are one that counts them.
    fn with(mut list: Vec<Accepted>) -> Self {
        list.sort_by(|a, b| {
            (&a.path, &a.rule, &a.subject, &a.identity, &a.message).cmp(&(
                &b.path,
                &b.rule,
                &b.subject,
                &b.identity,
                &b.message,
            ))
        });
        list.dedup_by(|next, first| {
            let equal = next.key() == first.key() && next.identity == first.identity;
            let equal = equal && next.level == first.level && next.extent == first.extent;
            first.count += if equal { next.count } else { 0 };
            equal
        });
        list.sort_by(|a, b| {
            (&a.path, &a.rule, &a.subject, &a.message).cmp(&(&b.path, &b.rule, &b.subject, &b.message))
        });
        Self { schema: SCHEMA, findings: list }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it. A baseline of version 1 is refused: it does not say how much it accepts.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        const AGAIN: &str = "run `havenlint baseline write` to write it again";
        let error = |line: usize, column: usize, message: String| {
            let at = |n: usize| u32::try_from(n.max(1)).unwrap_or(u32::MAX);
            ReadError { line: at(line), column: at(column), message, help: AGAIN.to_owned() }
        };
        #[derive(Deserialize)]
        struct Head {
            schema: u32,
        }
        let text = crate::source::discover::read(path)
            .map_err(|e| error(1, 1, format!("cannot read the baseline: {e}")))?;
        let wrong =
            |e: serde_json::Error| error(e.line(), e.column(), format!("this is not a baseline: {e}"));
        let head: Head = serde_json::from_slice(text.bytes()).map_err(wrong)?;
        match head.schema {
            SCHEMA => serde_json::from_slice(text.bytes()).map_err(wrong),
            1 => Err(ReadError {
                help: "run `havenlint baseline write` to accept what is found today, and review the difference"
                    .to_owned(),
                ..error(1, 1, "the baseline has schema 1, which does not say how much of a finding is accepted: it could hide that things got worse".to_owned())
            }),
            n => Err(error(1, 1, format!("the baseline has schema {n}; this version of havenlint reads schema {SCHEMA}"))),
        }
    }

    /// As text, with a line end.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Holds findings against what is accepted. `judged` says of which entries the run would have found what they accept.
    pub fn settle(
        &self,
        findings: Vec<Finding>,
        spelling: &Spelling,
        judged: &dyn Fn(&Accepted) -> bool,
    ) -> Settled {
        let mut ledger = Ledger::of(self);
        let (mut new, mut accepted) = (Vec::new(), Vec::new());
        for mut finding in findings {
            if ledger.take(&mut finding, spelling) {
                let reason = "in the baseline".to_owned();
                accepted.push(Waived { finding, reason, owner: String::new(), expires: String::new() });
            } else {
                new.push(finding);
            }
        }
        let (stale, pruned) = ledger.rest(judged);
        Settled { new, accepted, stale, pruned }
    }
}

// The entries of a baseline, and what of them was used.
struct Ledger<'b> {
    entries: &'b [Accepted],
    of: HashMap<(&'b str, &'b str, &'b str), Vec<usize>>,
    // Of equal findings, how many more are accepted.
    left: Vec<usize>,
    // The packets of findings that were held against an entry.
    met: Vec<Vec<Part>>,
    held: Vec<Accepted>,
}

impl<'b> Ledger<'b> {
    fn of(baseline: &'b Baseline) -> Self {
        let entries = baseline.findings.as_slice();
        let mut of: HashMap<_, Vec<usize>> = HashMap::new();
        entries.iter().enumerate().for_each(|(i, e)| of.entry(e.key()).or_default().push(i));
        let left = entries.iter().map(|e| e.count).collect();
        Self { entries, of, left, met: vec![Vec::new(); entries.len()], held: Vec::new() }
    }

    // Whether a finding is accepted. Of one that is accepted in part, says which part is new.
    fn take(&mut self, f: &mut Finding, spelling: &Spelling) -> bool {
        let (path, subject) = (spelling.path(&f.location.path), spelling.subject(&f.subject));
        let under = |rule: &str| -> Vec<usize> {
            let key = (rule, path.as_str(), subject.as_str());
            let all = self.of.get(&key).into_iter().flatten().copied();
            all.filter(|i| self.entries[*i].level >= f.level).collect()
        };
        let own = under(&f.rule);
        if f.extent.is_empty() {
            let wanted = identity(f, spelling);
            let equal = own.into_iter().find(|i| self.left[*i] > 0 && self.entries[*i].identity == wanted);
            if let Some(i) = equal {
                self.left[i] -= 1;
                self.held.push(Accepted::of(f, Vec::new(), spelling));
            }
            return equal.is_some();
        }
        // It may have been told under a rule that said more.
        let entries: Vec<usize> = f.within.iter().flat_map(|r| under(r)).chain(own).collect();
        let accepted = joined(entries.iter().flat_map(|i| &self.entries[*i].extent));
        let parts = joined(&f.extent);
        let more = beyond(&parts, &accepted);
        let inside = if more.is_empty() { parts } else { spare(&parts, &more) };
        for i in entries {
            self.left[i] = self.left[i].saturating_sub(1);
            self.met[i].extend(inside.iter().cloned());
        }
        if !inside.is_empty() {
            if !more.is_empty() {
                let text = few(&words(&more));
                f.details.insert(0, ("new".to_owned(), text));
                f.details.insert(1, ("accepted".to_owned(), "the rest is in the baseline".to_owned()));
            }
            self.held.push(Accepted::of(f, inside, spelling));
        }
        more.is_empty()
    }

    // What is accepted for nothing, and the baseline without it.
    fn rest(self, judged: &dyn Fn(&Accepted) -> bool) -> (Vec<String>, Baseline) {
        let mut stale = Vec::new();
        let (mut kept, mut keys): (Vec<Accepted>, Vec<(&str, &str, &str)>) = (Vec::new(), Vec::new());
        for (i, entry) in self.entries.iter().enumerate() {
            if !judged(entry) {
                kept.push(entry.clone());
                keys.push(entry.key());
                continue;
            }
            let at = format!("{}: {}: {}", entry.path, entry.rule, entry.message);
            let spare = spare(&joined(&entry.extent), &joined(&self.met[i]));
            match (entry.extent.is_empty(), self.left[i]) {
                (true, 0) => {}
                (true, 1) if entry.count == 1 => stale.push(at),
                (true, n) => stale.push(format!("{at} ({n} of {})", entry.count)),
                (false, _) if spare.is_empty() => {}
                (false, _) if self.met[i].is_empty() => stale.push(at),
                (false, _) => stale.push(format!("{at} (no more: {})", few(&words(&spare)))),
            }
        }
        kept.extend(self.held.into_iter().filter(|h| !keys.contains(&h.key())));
        (stale, Baseline::with(kept))
    }
}

/// The finding about what is accepted for nothing.
pub fn stale(stale: &[String], baseline: &str, ratchet: bool) -> Option<Finding> {
    const LISTED: usize = 10;
    let n = stale.len();
    let what = match n {
        0 => return None,
        1 => "1 finding that is gone, or more of it than there is".to_owned(),
        n => format!("{n} findings that are gone, or more of them than there is"),
    };
    let level = if ratchet { Severity::Error } else { Severity::Note };
    let message = format!("the baseline accepts {what}: `havenlint baseline prune` drops it");
    let mut f = Finding::new(STALE, level, message, Location::top(baseline), "");
    f.details.extend(stale.iter().take(LISTED).map(|s| ("gone".to_owned(), s.clone())));
    if n > LISTED {
        f.details.push(("gone".to_owned(), format!("{} more", n - LISTED)));
    }
    Some(f)
}
