//! Rules that let in what is needed and no more, in a file's own syntax, proven to fit.

use crate::analysis::Environment;
use crate::analysis::diff::{Change, Kind, diff};
use crate::analysis::evaluate::Decider;
use crate::dialect::{Dialect, Missing, ReadOptions, WholeLines, by_name};
use crate::finding::Fix;
use crate::model::Firewall;
use crate::packet::opening::openings;
use crate::packet::{ConnState, Family, Field, IntervalSet, Path, Region, addr};
use crate::source::{SourceFile, Text};

/// Rules that a narrowed rule may become.
const MAX_NARROWED: usize = 8;

/// Rules that are read again for proofs, in all.
const MAX_READ: usize = 100_000;

/// How many of a firewall's rules are narrowed: each proof reads the file twice.
pub fn proven(firewall: &Firewall) -> usize {
    MAX_READ / firewall.rule_count().max(1)
}

/// A rule that is wider than needed.
pub struct Wide<'a> {
    /// Its firewall.
    pub firewall: &'a Firewall,
    /// What is known about the box.
    pub environment: &'a Environment,
    /// The way of its packets.
    pub path: Path,
    /// The rule.
    pub decider: &'a Decider,
    /// What of its packets is needed, as they arrive.
    pub needed: &'a [Region],
}

impl Wide<'_> {
    /// What to write instead of the rule. The file with it was read again: what is needed passes as before, and nothing passes that did not. `None`
    /// where that is not so, or the dialect cannot say it.
    pub fn narrowed(&self) -> Option<Fix> {
        let (dialect, _) = by_name(self.firewall.dialect)?;
        let text = self.rules(dialect)?;
        let lines = dialect.lines(self.firewall, self.decider.origin)?;
        let path = Text::name_of(self.firewall.files.get(lines.file)?);
        self.fits(dialect, &lines, &text)?;
        Some(Fix { description: "write instead".to_owned(), path, text, elsewhere: true, ..Fix::default() })
    }

    // A rule for each part of what is needed.
    fn rules(&self, dialect: &dyn Dialect) -> Option<String> {
        let mut lines: Vec<String> = Vec::new();
        for region in self.needed {
            let (chain, rule) = (self.decider.chain, self.decider.rule);
            let missing = Missing { region, answers: false, later: false, chain, rule };
            let suggested = dialect.suggest(self.firewall, &missing)?.text;
            if !lines.contains(&suggested) {
                lines.push(suggested);
            }
            if lines.len() > MAX_NARROWED {
                return None;
            }
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    // Reads the file with other lines instead of the rule's, and compares.
    fn fits(&self, dialect: &dyn Dialect, lines: &WholeLines, text: &str) -> Option<()> {
        // What a file includes is not read again.
        let [file] = self.firewall.files.as_slice() else { return None };
        let old = file.text(0..file.bytes().len());
        let kept = |n: usize| n + 1 < lines.first as usize || n + 1 > lines.last as usize;
        let mut new = String::with_capacity(old.len() + text.len());
        for (n, line) in old.split_inclusive('\n').enumerate() {
            if n + 1 == lines.first as usize {
                new += text;
                new.push('\n');
            }
            if kept(n) {
                new += line;
            }
        }
        let options = ReadOptions { variant: Some(self.firewall.dialect), ..ReadOptions::default() };
        let [old, new] = [old.into_owned(), new].map(|text| {
            let file = SourceFile::new(file.path.clone(), text.into_bytes());
            dialect.read(&[file], &options)
        });
        let difference = diff(&old, &new, self.environment);
        let fits = difference.agreed
            && difference.not_compared.is_empty()
            && difference.changes.iter().all(|c| c.kind == Kind::Stopped && !self.is_needed(c));
        fits.then_some(())
    }

    // Whether a change touches packets that open a needed connection, or those of it that follow.
    fn is_needed(&self, change: &Change) -> bool {
        let established = IntervalSet::single(ConnState::Established.value());
        change.path == self.path
            && self.needed.iter().any(|region| {
                let family = region.get(Field::Dst).first().map_or(Family::V4, addr::family);
                let later = region.cut(Field::State, &established).normal();
                let mut packets = openings(region, family).into_iter().chain(later);
                packets.any(|p| p.intersects(&change.region))
            })
    }
}
