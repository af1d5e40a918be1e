//! Which packets may meet the rules that differ: boxes, never too small.

use super::align::{Alignment, Differing};
use super::{NEW, OLD};
use crate::analysis::decide::join::join;
use crate::model::*;
use crate::packet::{Family, Field, IntervalSet, Path, Region, shared_carriers};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is asked for, and on which paths.
pub(super) struct Extents<'a> {
    sides: [&'a Firewall; 2],
    // For each side and base chain: the chains that it leads to.
    reached: [Vec<Vec<bool>>; 2],
    // For each side and base chain: the fields that may have been rewritten before it.
    moved: [Vec<Vec<Field>>; 2],
    paths: Vec<Path>,
}

/// Packets that may fare otherwise: for each group of the enforcement point (none where there are no groups), path and family, disjoint
/// regions in normal form.
pub(super) type Asked = BTreeMap<(Option<String>, Path, Family), Vec<Region>>;

impl<'a> Extents<'a> {
    /// For two firewalls and the paths that both know.
    pub(super) fn new(sides: [&'a Firewall; 2], paths: &[Path]) -> Self {
        let reached =
            sides.map(|f| f.base_chains.iter().map(|b| f.reached_from([b.chain])).collect::<Vec<_>>());
        let moved = [OLD, NEW].map(|s| moved(sides[s], &reached[s]));
        Self { sides, reached, moved, paths: paths.to_vec() }
    }

    /// The packets that may meet what differs. `labels` tells for which groups a rule matters.
    pub(super) fn of(
        &self,
        alignment: &Alignment,
        families: &[Family],
        labels: &dyn Fn(&Differing) -> Vec<Option<String>>,
        everyone: &[Option<String>],
    ) -> Asked {
        let mut asked: BTreeMap<(Option<String>, Path, Family), Boxes> = BTreeMap::new();
        for hook in &alignment.whole {
            for (path, family) in
                self.paths_of(*hook).into_iter().flat_map(|p| families.iter().map(move |f| (p.0, *f)))
            {
                for label in everyone {
                    asked.entry((label.clone(), path, family)).or_default().add(path.packets(family));
                }
            }
        }
        for d in &alignment.differing {
            for (path, family, region) in self.boxes(d, families) {
                for label in labels(d) {
                    asked.entry((label, path, family)).or_default().add(region.clone());
                }
            }
        }
        let rules: usize = self.sides.iter().map(|f| f.rule_count()).sum();
        let pieces = (MAX_SHOWN / rules.max(1)).clamp(1, MAX_PIECES);
        asked.into_iter().map(|(k, boxes)| (k, boxes.disjoint(pieces))).collect()
    }

    /// The packets of some rules that differ, by path, spread over all of them.
    pub(super) fn samples(&self, alignment: &Alignment, families: &[Family]) -> Vec<(Path, Region)> {
        let step = alignment.differing.len().div_ceil(MAX_SAMPLES).max(1);
        let some = alignment.differing.iter().step_by(step);
        some.flat_map(|d| self.boxes(d, families)).map(|(path, _, region)| (path, region)).collect()
    }

    // The paths whose packets may come to a hook, and whether they may only after a translation sent them elsewhere.
    fn paths_of(&self, hook: Hook) -> Vec<(Path, bool)> {
        let moves = |e: &Effect| matches!(e, Effect::Rewrite { field: Field::Dst, .. } | Effect::Deliver);
        let turns = self.sides.iter().any(|f| {
            f.translations.iter().any(|t| t.end == TranslatedEnd::Destination)
                || f.effects.iter().flatten().any(moves)
        });
        let turned = |p: Path| turns && matches!(p, Path::Input | Path::Forward);
        let of = |p: &Path| {
            let straight = Hook::on(*p).contains(&hook);
            let elsewhere = [Path::Input, Path::Forward].iter().any(|o| Hook::on(*o).contains(&hook));
            (straight || (turned(*p) && elsewhere)).then_some((*p, !straight || turned(*p)))
        };
        self.paths.iter().filter_map(of).collect()
    }

    // The packets that may meet a rule, by path and family.
    fn boxes(&self, d: &Differing, families: &[Family]) -> Vec<(Path, Family, Region)> {
        let f = self.sides[d.side];
        let rule = &f.chain(d.chain).rules[d.rule];
        let mut out = Vec::new();
        for (i, base) in f.base_chains.iter().enumerate() {
            if !self.reached[d.side][i][d.chain.index()] {
                continue;
            }
            for (path, turned) in self.paths_of(base.hook) {
                let mut free = self.moved[d.side][i].clone();
                if turned {
                    free.extend([Field::Iif, Field::Oif]);
                }
                let seen = Seen { f, sees: base.hook.sees(path), free };
                for family in base.families.iter().filter(|x| families.contains(x)) {
                    let region = seen.cut(path.packets(*family), rule.terms);
                    out.extend(region.normal().into_iter().map(|r| (path, *family, r)));
                }
            }
        }
        out
    }
}

// How rules of a base chain see packets.
struct Seen<'a> {
    f: &'a Firewall,
    sees: (bool, bool),
    // Fields whose values may be other ones than those that arrived.
    free: Vec<Field>,
}

impl Seen<'_> {
    // The part of a region that may satisfy the terms.
    fn cut(&self, mut region: Region, terms: TermRange) -> Region {
        for term in self.f.terms(terms) {
            if let Term::Any(a) = term {
                let parts = self.f.alternatives[a.index()].iter().map(|t| self.cut(region.clone(), *t));
                region = parts
                    .filter(|r| !r.is_empty())
                    .reduce(|a, b| hull(&a, &b))
                    .unwrap_or_else(|| region.with(Field::Proto, IntervalSet::EMPTY));
                continue;
            }
            let Some((field, set)) = self.f.field_set(term) else { continue };
            if let Some(with) = shared_carriers(field)
                && !self.free.contains(&Field::Proto)
            {
                region = region.cut(Field::Proto, with);
            }
            let hidden = (field == Field::Iif && !self.sees.0) || (field == Field::Oif && !self.sees.1);
            if hidden && !self.free.contains(&field) {
                if !set.contains(0) {
                    return region.with(field, IntervalSet::EMPTY);
                }
            } else if !self.free.contains(&field) {
                region = region.cut(field, &set);
            }
        }
        region
    }
}

// The smallest product that holds both.
fn hull(a: &Region, b: &Region) -> Region {
    Field::ALL.iter().fold(a.clone(), |r, f| r.with(*f, a.get(*f).union(b.get(*f))))
}

// A product that holds all: of each field every value that occurs, or all between the first and the last where they are many.
fn hull_of(regions: &[Region]) -> Option<Region> {
    let (first, others) = regions.split_first()?;
    let mut out = first.clone();
    for field in Field::ALL {
        let own = first.shared(field);
        if others.iter().all(|r| Arc::ptr_eq(r.shared(field), own)) {
            continue;
        }
        let all =
            IntervalSet::from_ranges(regions.iter().flat_map(|r| r.get(field).ranges().iter().copied()));
        let set = match (all.first(), all.last()) {
            (Some(lo), Some(hi)) if all.ranges().len() > MAX_RANGES => IntervalSet::range(lo, hi),
            _ => all,
        };
        out.set(field, Arc::new(set));
    }
    Some(out)
}

// Base chains stand in the order in which packets meet them, hooks too, so what stands before may have rewritten a packet.
fn moved(f: &Firewall, reached: &[Vec<bool>]) -> Vec<Vec<Field>> {
    let mut fields: BTreeSet<Field> = BTreeSet::new();
    for effect in f.effects.iter().flatten() {
        match *effect {
            Effect::Untrack => _ = fields.insert(Field::State),
            Effect::Rewrite { field: Field::Dst, .. } => fields.extend([Field::Dst, Field::Oif]),
            Effect::Rewrite { field: Field::Proto, .. } => {
                fields.extend(Field::CARRIED.into_iter().chain([Field::Proto]));
            }
            Effect::Rewrite { field, .. } => _ = fields.insert(field),
            _ => {}
        }
    }
    let ends = |base: usize| {
        let chains = f.chains.iter().enumerate().filter(move |(c, _)| reached[base][*c]);
        chains.flat_map(|(_, c)| &c.rules).filter_map(|r| match r.action {
            Action::Translate(t) => Some(f.translations[t.index()].end),
            _ => None,
        })
    };
    let mut out = Vec::with_capacity(reached.len());
    for base in 0..reached.len() {
        out.push(fields.iter().copied().collect());
        if f.translations.is_empty() {
            continue;
        }
        for end in ends(base).collect::<Vec<_>>() {
            fields.extend(match end {
                // The box's own packets are then routed anew.
                TranslatedEnd::Destination => &[Field::Dst, Field::Dport, Field::Oif][..],
                TranslatedEnd::Source => &[Field::Src, Field::Sport],
            });
        }
    }
    out
}

// More boxes than this are put together into larger ones, which hold more than what differs.
const MAX_BOXES: usize = 256;
// So many are kept before that is done.
const KEPT: usize = 8192;
const MAX_PIECES: usize = 2048;
// Rules whose packets are samples.
const MAX_SAMPLES: usize = 64;
// Rules that may be asked about all pieces, roughly.
const MAX_SHOWN: usize = 1_000_000;
// Values of a field that are told apart where many boxes are put together.
const MAX_RANGES: usize = 256;

// Boxes that may overlap.
#[derive(Default)]
struct Boxes(Vec<Region>);

impl Boxes {
    fn add(&mut self, region: Region) {
        self.0.push(region);
        if self.0.len() >= KEPT {
            self.merge();
        }
    }

    // At most so many boxes, the largest first, which hold the same packets and perhaps more.
    fn merge(&mut self) {
        let boxes = &mut self.0;
        join(boxes);
        boxes.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
        if boxes.len() > MAX_BOXES {
            let size = boxes.len().div_ceil(MAX_BOXES / 4);
            *boxes = boxes.chunks(size).filter_map(hull_of).flat_map(|r| r.normal()).collect();
        }
    }

    // The same packets and perhaps more, each in one of at most so many regions, roughly.
    fn disjoint(mut self, pieces: usize) -> Vec<Region> {
        self.merge();
        let boxes = self.0;
        let mut out: Vec<Region> = Vec::new();
        for (i, b) in boxes.iter().enumerate() {
            out.extend(Region::minus_all(vec![b.clone()], &boxes[..i]));
            if out.len() > pieces {
                return hull_of(&boxes).iter().flat_map(Region::normal).collect();
            }
        }
        join(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn region((src, port, kind): (u32, u16, bool)) -> Region {
        let protocol = if kind { 6 } else { 17 };
        Region::all(Family::V4)
            .protocol(protocol)
            .cut(Field::Src, &IntervalSet::single(crate::packet::addr::v4(src)))
            .cut(Field::Dport, &IntervalSet::single(port))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn what_boxes_are_put_together_to_holds_them_all(
            all in prop::collection::vec((any::<u32>(), any::<u16>(), any::<bool>()), 1..2 * MAX_BOXES),
            pieces in 1usize..400,
        ) {
            let mut boxes = Boxes::default();
            all.iter().for_each(|b| boxes.add(region(*b)));
            let out = boxes.disjoint(pieces);
            prop_assert!(all.iter().all(|b| out.iter().any(|o| o.covers(&region(*b)))));
            let apart = |i: usize| out[i + 1..].iter().all(|o| !o.intersects(&out[i]));
            prop_assert!((0..out.len()).all(apart));
        }
    }
}
