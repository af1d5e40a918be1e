//! What makes a finding the same finding after an edit elsewhere in the file.

use crate::finding::Finding;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Write;

/// Gives every finding its fingerprint: rule, subject, file, the text of the line and the name of what stands there, hashed; the n-th of equal ones is
/// numbered. Line numbers play no part.
pub fn assign(findings: &mut [Finding]) {
    let mut seen: HashMap<String, u32> = HashMap::new();
    for f in findings {
        let mut hash = Sha256::new();
        // All rules of some dialects begin alike: their names tell them apart.
        let named = f.location.rule.iter().flat_map(|n| [&n.description, &n.id]);
        for part in [&f.rule, &f.subject, &f.location.path, &f.location.text].into_iter().chain(named) {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let hex = hash.finalize().iter().take(10).fold(String::new(), |mut s, b| {
            // INVARIANT: writing to a String cannot fail.
            let _ = write!(s, "{b:02x}");
            s
        });
        let n = seen.entry(hex.clone()).or_insert(0);
        *n += 1;
        f.fingerprint = if *n == 1 { hex } else { format!("{hex}:{n}") };
    }
}
