//! Whether a run after an edit is as good as the one before: no requirement worse, nothing new to look at.

use crate::finding::{Asked, Finding, Flow, Report, Severity, State};
use crate::lint::registry::follows_verdicts;
use crate::packet::{Family, Field, IntervalSet, Region, addr, proto};
use crate::source::Location;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// What of a report two runs are compared by.
pub(super) struct Standing<'r> {
    requirements: BTreeMap<Asked, Stand<'r>>,
    findings: BTreeMap<Mark<'r>, usize>,
    problems: BTreeMap<(&'r str, &'r str), usize>,
}

struct Stand<'r> {
    state: State,
    remainder: Vec<&'r Flow>,
}

// What tells a finding from others when lines move.
type Mark<'r> = (&'r str, &'r str, &'r str, Option<String>);

impl<'r> Standing<'r> {
    /// Of a report of everything that is judged.
    pub fn of(report: &'r Report) -> Self {
        let mut requirements: BTreeMap<Asked, Stand<'r>> = BTreeMap::new();
        for r in &report.requirements {
            let stand = requirements
                .entry(r.asked())
                .or_insert_with(|| Stand { state: r.state, remainder: Vec::new() });
            if badness(r.state) > badness(stand.state) {
                stand.state = r.state;
            }
            stand.remainder.extend(&r.remainder);
        }
        let catalogue: BTreeSet<&str> =
            report.rules.iter().filter(|d| d.kind == "requirement").map(|d| d.id.as_str()).collect();
        let mut findings = BTreeMap::new();
        let all = report.findings.iter().chain(report.waived.iter().map(|w| &w.finding));
        // Requirements are compared as such.
        for f in all.filter(|f| !catalogue.contains(f.rule.as_str())) {
            if f.level >= Severity::Warning {
                *findings.entry(mark(f)).or_insert(0) += 1;
            }
        }
        let mut problems = BTreeMap::new();
        for p in report.problems.iter().filter(|p| p.level >= Severity::Warning) {
            *problems.entry((p.location.path.as_str(), p.message.as_str())).or_insert(0) += 1;
        }
        Self { requirements, findings, problems }
    }

    /// Whether a requirement holds.
    pub fn holds(&self, asked: &Asked) -> bool {
        self.requirements.get(asked).is_some_and(|s| s.state == State::Met)
    }

    /// Whether a requirement that is not met fails for fewer packets than before.
    pub fn nearer(&self, asked: &Asked, before: &Self) -> bool {
        let (Some(was), Some(is)) = (before.requirements.get(asked), self.requirements.get(asked)) else {
            return false;
        };
        was.state == is.state
            && within(&is.remainder, &was.remainder)
            && !within(&was.remainder, &is.remainder)
    }

    /// The first thing that is worse than it was before, in words; `None` = nothing is. Where it is known that every packet keeps its verdict, what
    /// [follows from verdicts](follows_verdicts) is not: it was so before, and is only told at another rule.
    pub fn worse_than(&self, before: &Self, verdicts_stay: bool) -> Option<String> {
        if let Some(((path, message), _)) = grown(&before.problems, &self.problems).next() {
            return Some(format!("{path} would have a new problem: {message}"));
        }
        let mut found = grown(&before.findings, &self.findings);
        if let Some(((rule, path, text, _), _)) =
            found.find(|((rule, ..), _)| !(verdicts_stay && follows_verdicts(rule)))
        {
            return Some(format!("there would be a new finding: {rule} at `{text}` of {path}"));
        }
        for (asked, was) in &before.requirements {
            let Some(is) = self.requirements.get(asked) else {
                return Some(format!("{} would no longer be checked", told(asked)));
            };
            if badness(is.state) > badness(was.state) {
                return Some(format!("{} would become {}", told(asked), word(is.state)));
            }
            if is.state == was.state && !within(&is.remainder, &was.remainder) {
                return Some(format!("{} would be {} for more packets", told(asked), word(is.state)));
            }
        }
        let new = self
            .requirements
            .iter()
            .find(|(a, s)| !before.requirements.contains_key(a) && badness(s.state) > 0);
        new.map(|(asked, s)| format!("{} would be {}", told(asked), word(s.state)))
    }
}

fn grown<'m, K: Ord>(
    before: &'m BTreeMap<K, usize>,
    after: &'m BTreeMap<K, usize>,
) -> impl Iterator<Item = (&'m K, &'m usize)> {
    after.iter().filter(|(k, n)| before.get(k).is_none_or(|b| b < n))
}

fn mark(f: &Finding) -> Mark<'_> {
    let Location { path, text, rule, .. } = &f.location;
    (&f.rule, path, text, rule.as_ref().map(ToString::to_string))
}

/// Equal for findings of the same rule about the same text, wherever its line is.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Likeness<'r> {
    mark: Mark<'r>,
    subject: &'r str,
    message: &'r str,
}

impl<'r> Likeness<'r> {
    /// Of a finding.
    pub fn of(f: &'r Finding) -> Self {
        Self { mark: mark(f), subject: &f.subject, message: &f.message }
    }

    /// How many of some findings are alike.
    pub fn counts(findings: impl IntoIterator<Item = &'r Finding>) -> FxHashMap<Self, usize> {
        let mut out = FxHashMap::default();
        findings.into_iter().for_each(|f| *out.entry(Self::of(f)).or_insert(0) += 1);
        out
    }
}

fn badness(state: State) -> u8 {
    match state {
        State::Met | State::NotApplicable => 0,
        State::NotChecked => 1,
        State::Undecided => 2,
        State::Violated => 3,
    }
}

/// A state in words.
pub(super) fn word(state: State) -> &'static str {
    match state {
        State::Met => "met",
        State::NotApplicable => "not applicable",
        State::NotChecked => "not checked",
        State::Undecided => "undecided",
        State::Violated => "violated",
    }
}

/// A requirement in words.
pub(super) fn told(asked: &Asked) -> String {
    format!("{} of {}", asked.id, asked.subject)
}

// Longer lists are compared by their texts alone.
const COMPARED: usize = 512;

// Whether all packets of some flows are among those of others; `false` where it is not known.
fn within(inner: &[&Flow], outer: &[&Flow]) -> bool {
    if inner.iter().all(|f| outer.contains(f)) {
        return true;
    }
    if inner.len() > COMPARED || outer.len() > COMPARED {
        return false;
    }
    let regions = |list: &[&Flow]| list.iter().map(|f| region(f)).collect::<Option<Vec<_>>>();
    let (Some(inner), Some(outer)) = (regions(inner), regions(outer)) else { return false };
    let normal = |list: Vec<Region>| list.iter().flat_map(Region::normal).collect::<Vec<_>>();
    Region::minus_all(normal(inner), &normal(outer)).is_empty()
}

// A flow as it was before it was put into words.
fn region(flow: &Flow) -> Option<Region> {
    let set = |texts: &[String]| {
        texts.iter().try_fold(IntervalSet::EMPTY, |all, t| Some(all.union(&addr::parse(t)?)))
    };
    let ports = |text: &str| {
        text.split(',').try_fold(IntervalSet::EMPTY, |all, part| {
            let (lo, hi) = part.split_once('-').unwrap_or((part, part));
            Some(all.union(&IntervalSet::range(lo.parse::<u16>().ok()?, hi.parse::<u16>().ok()?)))
        })
    };
    let (from, to) = (set(&flow.from)?, set(&flow.to)?);
    let mut out = Region::all(Family::V4).with(Field::Src, from).with(Field::Dst, to);
    match flow.proto.strip_prefix("any but ") {
        Some(but) => {
            let named = |text: &str| match text.split_once('-') {
                Some((lo, hi)) => Some(IntervalSet::range(lo.parse::<u8>().ok()?, hi.parse::<u8>().ok()?)),
                None => proto::parse(text).map(IntervalSet::single),
            };
            let but = but.split(", ").try_fold(IntervalSet::EMPTY, |all, t| Some(all.union(&named(t)?)))?;
            out = out.cut(Field::Proto, &Field::Proto.complement(&but));
        }
        None if flow.proto != "any" => out = out.protocol(proto::parse(&flow.proto)?),
        None => {}
    }
    if !flow.sport.is_empty() {
        out = out.with(Field::Sport, ports(&flow.sport)?);
    }
    if !flow.port.is_empty() {
        out = out.with(Field::Dport, ports(&flow.port)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compliance::row::flows;

    fn flow(from: &str, port: &str) -> Flow {
        Flow {
            from: vec![from.to_owned()],
            to: vec!["10.1.0.1".to_owned()],
            proto: "tcp".to_owned(),
            port: port.to_owned(),
            ..Flow::default()
        }
    }

    #[test]
    fn smaller_remainders_are_told_from_larger_ones() {
        let (all, half, other) =
            (flow("10.0.0.0/24", "22,80-90"), flow("10.0.0.0/25", "22,85"), flow("10.0.1.0/24", "22"));
        assert!(within(&[], &[]));
        assert!(within(&[&half], &[&all]));
        assert!(!within(&[&all], &[&half]));
        assert!(!within(&[&half, &other], &[&all]));
        assert!(within(&[&all], &[&half, &other, &flow("10.0.0.0-10.0.0.255", "1-100")]));
    }

    #[test]
    fn flows_survive_being_words() {
        let r =
            Region::all(Family::V4).protocol(6).with(Field::Dport, [22u128, 80, 81].into_iter().collect());
        let texts = flows(std::iter::once(&r));
        assert_eq!(region(&texts[0]).unwrap(), r);
    }
}
