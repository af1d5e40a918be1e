//! Which rules a finding speaks of, whatever line they stand on and however they are written.

use crate::finding::Finding;
use crate::model::{Firewall, display};
use crate::source::{Location, Origin, SourceFile, Text};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Tells every finding which rules stand at its place: where they are called from (their chain) and what they say, hashed. Counters, handles,
/// comments and the way of writing are no part of it; what a list that they name holds is.
///
/// A rule that was written once may have become several, and a file may belong to several machines.
pub fn assign<'f>(findings: &mut [Finding], firewalls: impl Iterator<Item = &'f Firewall>) {
    let mut at: FxHashMap<Text, Vec<usize>> = FxHashMap::default();
    findings.iter().enumerate().for_each(|(i, f)| at.entry(f.location.path.clone()).or_default().push(i));
    for firewall in firewalls {
        let mut wanted: Vec<(Origin, usize)> = Vec::new();
        for (n, file) in firewall.files.iter().enumerate() {
            let here = at.get(file.path.as_str()).into_iter().flatten();
            wanted.extend(here.map(|i| (origin(n, file, &findings[*i].location), *i)));
        }
        wanted.sort_unstable();
        for rules in standing(firewall, &wanted).chunk_by(|a, b| a.0 == b.0) {
            let text = said(firewall, rules);
            let first = wanted.partition_point(|w| w.0 < rules[0].0);
            for (_, i) in wanted[first..].iter().take_while(|w| w.0 == rules[0].0) {
                findings[*i].rules.clone_from(&text);
            }
        }
    }
}

// A rule: its place, its chain, its number there.
type Standing = (Origin, u32, u32);

// The rules that stand at wanted places, by place, and those of one place in the order of their chains.
fn standing(firewall: &Firewall, wanted: &[(Origin, usize)]) -> Vec<Standing> {
    let mut out = Vec::new();
    // Rules mostly come in the order of the file: then the next place is near.
    let mut near = 0;
    for (c, chain) in firewall.chains.iter().enumerate().filter(|_| !wanted.is_empty()) {
        for (r, rule) in chain.rules.iter().enumerate() {
            let after = |i: usize| wanted.get(i).is_none_or(|w| w.0 >= rule.origin);
            if near > 0 && after(near - 1) || !after(near + 1) {
                near = wanted.partition_point(|w| w.0 < rule.origin);
            } else if !after(near) {
                near += 1;
            }
            if wanted.get(near).is_some_and(|w| w.0 == rule.origin) {
                out.push((rule.origin, c as u32, r as u32));
            }
        }
    }
    out.sort();
    out
}

// What rules say, hashed.
fn said(firewall: &Firewall, rules: &[Standing]) -> String {
    let mut hash = Sha256::new();
    for (_, chain, rule) in rules {
        let chain = &firewall.chains[*chain as usize];
        for text in [&chain.table, &chain.name, &display::rule(firewall, &chain.rules[*rule as usize])] {
            hash.update(text.as_bytes());
            hash.update([0]);
        }
    }
    hex(hash)
}

fn origin(file: usize, source: &SourceFile, l: &Location) -> Origin {
    Origin::new(file, source.offset(l.line, l.column), source.offset(l.end_line, l.end_column))
}

/// The first ten bytes of a hash, in hexadecimal digits.
pub fn hex(hash: Sha256) -> String {
    hash.finalize().iter().take(10).fold(String::with_capacity(20), |mut s, b| {
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
