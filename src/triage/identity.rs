//! Which rules a finding speaks of, whatever line they stand on and however they are written.

use crate::finding::Finding;
use crate::model::{Firewall, display};
use crate::source::{Location, Origin, SourceFile};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Tells every finding which rules stand at its place: where they are called from (their chain) and what they say, hashed. Counters, handles,
/// comments and the way of writing are no part of it; what a list that they name holds is.
///
/// A rule that was written once may have become several, and a file may belong to several machines.
pub fn assign<'f>(findings: &mut [Finding], firewalls: impl Iterator<Item = &'f Firewall>) {
    let mut at: FxHashMap<&str, Vec<usize>> = FxHashMap::default();
    let places: Vec<Location> = findings.iter().map(|f| f.location.clone()).collect();
    places.iter().enumerate().for_each(|(i, l)| at.entry(&l.path).or_default().push(i));
    for firewall in firewalls {
        let mut wanted: FxHashMap<Origin, Vec<usize>> = FxHashMap::default();
        for (n, file) in firewall.files.iter().enumerate() {
            for i in at.get(file.path.as_str()).into_iter().flatten() {
                wanted.entry(origin(n, file, &places[*i])).or_default().push(*i);
            }
        }
        if wanted.is_empty() {
            continue;
        }
        let mut said: FxHashMap<Origin, Sha256> = FxHashMap::default();
        for chain in &firewall.chains {
            for rule in chain.rules.iter().filter(|r| wanted.contains_key(&r.origin)) {
                let hash = said.entry(rule.origin).or_default();
                for text in [&chain.table, &chain.name, &display::rule(firewall, rule)] {
                    hash.update(text.as_bytes());
                    hash.update([0]);
                }
            }
        }
        for (origin, hash) in said {
            let text = hex(hash);
            for i in wanted.get(&origin).into_iter().flatten() {
                findings[*i].rules.clone_from(&text);
            }
        }
    }
}

fn origin(file: usize, source: &SourceFile, l: &Location) -> Origin {
    Origin::new(file, source.offset(l.line, l.column), source.offset(l.end_line, l.end_column))
}

/// The first ten bytes of a hash, in hexadecimal digits.
pub fn hex(hash: Sha256) -> String {
    hash.finalize().iter().take(10).fold(String::new(), |mut s, b| {
        // Writing to a string does not fail.
        let _ = write!(s, "{b:02x}");
        s
    })
}

/// What a finding says, without the numbers of lines.
pub fn lineless(message: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    let mut lines = false;
    for word in message.split(' ') {
        let number = word.trim_end_matches([',', ':', ';']).bytes().all(|b| b.is_ascii_digit());
        lines = matches!(word, "line" | "lines") || lines && (number || word == "and" || word == "to");
        if !(lines && number && !word.is_empty()) {
            words.push(word);
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_without_lines() {
        for (text, expected) in [
            ("the rule at line 17 already accepts it", "the rule at line already accepts it"),
            ("the rules at lines 4 and 12 together", "the rules at lines and together"),
            ("12 of its 256 addresses", "12 of its 256 addresses"),
        ] {
            assert_eq!(lineless(text), expected);
        }
    }
}
