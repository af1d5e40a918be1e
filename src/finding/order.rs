//! The order of findings in every report: errors, then what is undecided, then warnings, then notes.

use super::{Finding, Severity};

/// How soon a finding is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// Wrong for certain.
    Error,
    /// The files do not settle whether it is wrong.
    Undecided,
    /// Likely wrong.
    Warning,
    /// Advice.
    Note,
}

impl Rank {
    /// As a word.
    pub const fn name(self) -> &'static str {
        match self {
            Rank::Error => "error",
            Rank::Undecided => "undecided",
            Rank::Warning => "warning",
            Rank::Note => "note",
        }
    }
}

impl Finding {
    /// How soon it is to be looked at. Advice stays advice, decided or not.
    pub const fn rank(&self) -> Rank {
        match self.level {
            Severity::Error => Rank::Error,
            Severity::Warning if self.undecided => Rank::Undecided,
            Severity::Warning => Rank::Warning,
            Severity::Note => Rank::Note,
        }
    }
}

/// Sorts findings by rank, then by place, rule, subject and message.
pub fn worst_first(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let key = |f: &Finding| f.rank();
        key(a)
            .cmp(&key(b))
            .then_with(|| a.location.cmp(&b.location))
            .then_with(|| (&a.rule, &a.subject, &a.message).cmp(&(&b.rule, &b.subject, &b.message)))
    });
}
