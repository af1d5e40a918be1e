//! Findings' packets held against those that were accepted.

use crate::analysis::decide::join::join;
use crate::finding::Part;
use crate::packet::Region;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;

/// The same packets in as few parts as possible, each in normal form.
pub fn joined<'p>(parts: impl IntoIterator<Item = &'p Part>) -> Vec<Part> {
    let mut alike: BTreeMap<(&str, &str), Vec<Region>> = BTreeMap::new();
    for p in parts {
        alike.entry((&p.how, &p.depends)).or_default().extend(p.region.normal());
    }
    let mut out = Vec::new();
    for ((how, depends), mut regions) in alike {
        // Equal ones come from one rule asked twice.
        let mut seen = FxHashSet::default();
        regions.retain(|r| seen.insert(r.clone()));
        join(&mut regions);
        let part = |region| Part { how: how.to_owned(), depends: depends.to_owned(), region };
        out.extend(regions.into_iter().map(part));
    }
    out
}

/// What of some parts is not in those that were accepted. Both [joined].
pub fn beyond(parts: &[Part], accepted: &[Part]) -> Vec<Part> {
    minus(parts, accepted, Part::bears)
}

/// What of the parts that were accepted is not needed any more, because it is gone or has become less certain. Both [joined].
pub fn spare(accepted: &[Part], parts: &[Part]) -> Vec<Part> {
    minus(accepted, parts, |a, b| (&a.how, &a.depends) == (&b.how, &b.depends))
}

fn minus(parts: &[Part], others: &[Part], counts: impl Fn(&Part, &Part) -> bool) -> Vec<Part> {
    let mut out = Vec::new();
    for p in parts {
        let others = others.iter().filter(|o| counts(o, p)).map(|o| &o.region);
        let mut left = vec![p.region.clone()];
        for o in others {
            if left.iter().any(|r| r.intersects(o)) {
                left = left.iter().flat_map(|r| r.minus(o)).collect();
            }
        }
        out.extend(left.into_iter().map(|region| Part { region, ..p.clone() }));
    }
    out
}

/// The flows of some parts, in words.
pub fn words(parts: &[Part]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for p in joined(parts) {
        let flows = crate::analysis::flow::flows(&[p.region], crate::packet::Path::Input);
        let how = if p.how.is_empty() { String::new() } else { format!(", {}", p.how) };
        let depends =
            if p.depends.is_empty() { String::new() } else { format!(", depending on {}", p.depends) };
        out.extend(flows.into_iter().map(|f| format!("{f}{how}{depends}")));
    }
    out
}
