//! What makes a finding the same finding after an edit elsewhere in the file.

use super::identity::{hex, lineless};
use super::spelling::Spelling;
use crate::finding::Finding;
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

/// Gives every finding its fingerprint: rule, subject, file, and the rules that stand at its place, hashed; where no rule stands there, what
/// it says, unless that is about packets, which may become more. The n-th of equal ones is numbered. Lines, counters, comments and the way in
/// which files were named play no part.
pub fn assign(findings: &mut [Finding], spelling: &Spelling) {
    let mut seen: FxHashMap<[u8; 20], u32> = FxHashMap::default();
    for f in findings {
        let said = if f.rules.is_empty() && f.extent.is_empty() { claim(f, spelling) } else { String::new() };
        let mut hash = Sha256::new();
        for part in
            [&*f.rule, &spelling.subject(&f.subject), &spelling.path(&f.location.path), &f.rules, &said]
        {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let hex = hex(hash);
        let n = seen.entry(hex.as_bytes().try_into().unwrap_or_default()).or_insert(0);
        *n += 1;
        f.fingerprint = if *n == 1 { hex } else { format!("{hex}:{n}") };
    }
}

/// What a finding says, wherever it stands and however its files were named.
pub fn claim(f: &Finding, spelling: &Spelling) -> String {
    let message = match f.subject.is_empty() {
        true => f.message.to_string(),
        false => f.message.replace(f.subject.as_str(), &spelling.subject(&f.subject)),
    };
    lineless(&message)
}

/// What tells a finding from all others of its rule, subject and file: the rules at its place, and what it says.
pub fn identity(f: &Finding, spelling: &Spelling) -> String {
    let mut hash = Sha256::new();
    hash.update(f.rules.as_bytes());
    hash.update([0]);
    hash.update(claim(f, spelling).as_bytes());
    hex(hash)
}
