//! The baseline: findings that were there when havenlint came, accepted so that only new ones count.
//!
//! A finding is known again by its fingerprint, which survives edits elsewhere in its file. An accepted finding is listed among the waived
//! ones, and the requirement that it speaks of stays violated: a baseline changes what a run fails on, never what is true.

use crate::finding::{Finding, Waived};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// Name of the baseline, beside the deployment file or in the folder where havenlint is run.
pub const BASELINE_FILE: &str = "havenlint-baseline.json";

/// Findings that are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Version of the format: 1.
    pub schema: u32,
    /// The findings, ordered by path, rule and fingerprint, so that the file is easy to review.
    pub findings: Vec<Accepted>,
}

/// An accepted finding. Only the fingerprint counts, the rest is for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Path of the file it was found in.
    pub path: String,
    /// Rule.
    pub rule: String,
    /// Fingerprint.
    pub fingerprint: String,
    /// What it said.
    pub message: String,
}

impl Baseline {
    /// The baseline that accepts these findings.
    pub fn of(findings: &[Finding]) -> Self {
        let mut list: Vec<Accepted> = findings
            .iter()
            .map(|f| Accepted {
                path: f.location.path.clone(),
                rule: f.rule.clone(),
                fingerprint: f.fingerprint.clone(),
                message: f.message.clone(),
            })
            .collect();
        list.sort();
        Self { schema: 1, findings: list }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it: line, column and message.
    pub fn read(path: &Path) -> Result<Self, (u32, u32, String)> {
        let text =
            std::fs::read_to_string(path).map_err(|e| (1, 1, format!("cannot read the baseline: {e}")))?;
        let baseline: Self = serde_json::from_str(&text).map_err(|e| {
            (e.line().max(1) as u32, e.column().max(1) as u32, format!("this is not a baseline: {e}"))
        })?;
        if baseline.schema != 1 {
            return Err((
                1,
                1,
                format!(
                    "the baseline has schema {}; this version of havenlint reads schema 1",
                    baseline.schema
                ),
            ));
        }
        Ok(baseline)
    }

    /// As text, with a line end.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Takes the accepted findings out of the list. Findings must have their fingerprints.
    pub fn apply(&self, findings: &mut Vec<Finding>) -> Vec<Waived> {
        let known: BTreeSet<&str> = self.findings.iter().map(|a| a.fingerprint.as_str()).collect();
        let (accepted, new): (Vec<Finding>, Vec<Finding>) =
            std::mem::take(findings).into_iter().partition(|f| known.contains(f.fingerprint.as_str()));
        *findings = new;
        accepted
            .into_iter()
            .map(|finding| Waived {
                finding,
                reason: "in the baseline".to_owned(),
                owner: String::new(),
                expires: String::new(),
            })
            .collect()
    }

    /// Forgets the findings that are not there any more; gives their number.
    pub fn prune(&mut self, findings: &[Finding]) -> usize {
        let before = self.findings.len();
        let there: BTreeSet<&str> = findings.iter().map(|f| f.fingerprint.as_str()).collect();
        self.findings.retain(|a| there.contains(a.fingerprint.as_str()));
        before - self.findings.len()
    }
}
