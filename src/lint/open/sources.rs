//! Public source addresses by how rules tell them apart.
//!
//! Whether "anybody" gets in is asked of one address that stands for many: rules that name few sources say nothing about all the others,
//! and addresses that no set of sources tells apart have one verdict. This is exact, and a hundred thousand rules for single hosts cost no
//! more than passing them over.

use crate::model::{Action, Firewall, SetId, Term, TermRange};
use crate::packet::{Family, Field, IntervalSet, Value, addr, public};
use rustc_hash::FxHashSet;

/// Public addresses that are asked about together.
#[derive(Debug, Clone)]
pub struct SourceClass {
    /// The addresses.
    pub addresses: IntervalSet,
    /// One that stands for all of them: no condition on the source tells them apart. `None` = some do.
    pub sample: Option<Value>,
}

/// More public addresses than this are "the Internet", not a partner: wider than a /8 (IPv4), than a /16 (IPv6).
pub const fn wide(family: Family) -> u128 {
    match family {
        Family::V4 => 1 << 24,
        Family::V6 => 1 << 112,
    }
}

/// The public addresses of a family, with those for documentation.
pub fn public_addresses(family: Family) -> &'static IntervalSet {
    use std::sync::LazyLock;
    static SETS: LazyLock<[IntervalSet; 2]> =
        LazyLock::new(|| Family::ALL.map(|f| public::with_documentation().intersect(&f.all())));
    &SETS[family as usize]
}

// Sets of many sources that are told apart; with more of them, nothing is.
const MAX_SETS: usize = 64;
// Classes that are asked about, the largest first; the others together are asked about as one.
const MAX_CLASSES: usize = 12;

/// The public addresses of a family, in disjoint classes, the largest first. Left out are addresses that only narrow rules which stop
/// packets tell from the others, and those that too few addresses share: partners.
pub fn classes(firewalls: &[&Firewall], family: Family) -> Vec<SourceClass> {
    let internet = public_addresses(family);
    let mut named = Named::of(family);
    for f in firewalls.iter().filter(|f| f.covers(family)) {
        named.collect(f);
    }
    let (opened, stopped) = (IntervalSet::from_ranges(named.opened), IntervalSet::from_ranges(named.stopped));
    let partners = opened.intersect(internet);
    let others = internet.minus(&opened).minus(&stopped);
    if named.bits || named.many.len() > MAX_SETS || others.count() <= wide(family) {
        return vec![SourceClass { addresses: internet.clone(), sample: None }];
    }
    let mut parts = vec![others];
    for set in &named.many {
        let split = |p: &IntervalSet| [p.intersect(set), p.minus(set)];
        parts = parts.iter().flat_map(split).filter(|p| p.count() > wide(family)).collect();
    }
    parts.sort_by_key(|p| std::cmp::Reverse(p.count()));
    let rest = parts.split_off(parts.len().min(MAX_CLASSES)).into_iter().fold(partners, |a, p| a.union(&p));
    let alike = parts.into_iter().map(|p| SourceClass { sample: natural(&p, family), addresses: p });
    let mut out: Vec<SourceClass> = alike.collect();
    if rest.count() > wide(family) {
        out.push(SourceClass { addresses: rest, sample: None });
    }
    out
}

// The sets of sources that rules name.
struct Named {
    family: Family,
    /// Few addresses each, in rules that stop packets.
    stopped: Vec<(Value, Value)>,
    /// Few addresses each, in other rules.
    opened: Vec<(Value, Value)>,
    /// Many addresses each.
    many: Vec<IntervalSet>,
    seen: FxHashSet<(SetId, bool)>,
    /// Some rule asks for bits of the source.
    bits: bool,
}

impl Named {
    fn of(family: Family) -> Self {
        let (stopped, opened, many) = (Vec::new(), Vec::new(), Vec::new());
        Named { family, stopped, opened, many, seen: FxHashSet::default(), bits: false }
    }

    fn collect(&mut self, f: &Firewall) {
        self.seen.clear();
        for rule in f.chains.iter().flat_map(|c| &c.rules) {
            self.terms(f, rule.terms, matches!(rule.action, Action::Drop | Action::Reject));
        }
    }

    fn terms(&mut self, f: &Firewall, terms: TermRange, stops: bool) {
        for term in f.terms(terms) {
            match *term {
                Term::Range { field: Field::Src, lo, hi } if lo <= hi && self.family == Family::V4 => {
                    self.add(&[(addr::v4(lo), addr::v4(hi))], stops);
                }
                Term::In(Field::Src, id) if self.seen.insert((id, stops)) => {
                    let own = f.sets.get(id).intersect(&self.family.all());
                    self.add(own.ranges(), stops);
                }
                Term::Masked { field: Field::Src, .. } => self.bits = true,
                Term::Any(a) => f.alternatives[a.index()].iter().for_each(|t| self.terms(f, *t, stops)),
                _ => {}
            }
        }
    }

    fn add(&mut self, ranges: &[(Value, Value)], stops: bool) {
        let count = ranges.iter().fold(0u128, |n, (a, b)| n.saturating_add(b - a).saturating_add(1));
        if count <= wide(self.family) {
            let list = if stops { &mut self.stopped } else { &mut self.opened };
            list.extend_from_slice(ranges);
        } else if self.many.len() <= MAX_SETS {
            let set = IntervalSet::from_ranges(ranges.to_vec());
            if !self.many.contains(&set) {
                self.many.push(set);
            }
        }
    }
}

/// A host of a set of addresses of a family: one for documentation where it holds some, else one of its widest range.
pub fn natural(set: &IntervalSet, family: Family) -> Option<Value> {
    let usual = match family {
        Family::V4 => [addr::v4(0xcb00_714d), addr::v4(0xc633_6407)],
        Family::V6 => [0x2001_0db8_0077_0000_0000_0000_0000_0077, 0x2001_0db8_0001_0000_0000_0000_0000_0007],
    };
    if let Some(v) = usual.into_iter().find(|v| set.contains(*v)) {
        return Some(v);
    }
    let (lo, hi) = set.ranges().iter().copied().max_by_key(|(a, b)| (b - a, std::cmp::Reverse(*a)))?;
    Some(if hi > lo { lo + 1 } else { lo })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{ReadOptions, detect};
    use crate::source::SourceFile;

    fn read(rules: &str) -> Firewall {
        let text =
            format!("*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n{rules}COMMIT\n");
        let file = SourceFile::new("fw.rules", text);
        let (dialect, _) = detect(file.bytes()).unwrap();
        dialect.read(&[file], &ReadOptions::default())
    }

    fn of(rules: &str) -> Vec<SourceClass> {
        classes(&[&read(rules)], Family::V4)
    }

    #[test]
    fn hosts_are_passed_over_and_halves_are_told_apart() {
        let [all] = &of("-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n")[..] else { panic!() };
        assert_eq!(all.addresses, *public_addresses(Family::V4));
        assert_eq!(all.sample, Some(addr::v4(0xcb00_714d)));

        let hosts = of("-A INPUT -s 203.0.113.77/32 -j DROP\n-A INPUT -s 198.51.100.0/24 -j ACCEPT\n");
        let [all] = &hosts[..] else { panic!("{hosts:?}") };
        let sample = all.sample.unwrap();
        assert!(all.addresses.contains(sample) && sample != addr::v4(0xcb00_714d));

        let halves = of("-A INPUT -s 0.0.0.0/1 -j ACCEPT\n");
        assert_eq!(halves.len(), 2, "{halves:?}");
        assert!(!halves[0].addresses.intersects(&halves[1].addresses));
    }

    #[test]
    fn many_partners_together_are_asked_about() {
        let rules: String = (20..180).map(|n| format!("-A INPUT -s {n}.0.0.0/12 -j ACCEPT\n")).collect();
        let found = of(&rules);
        assert_eq!(found.iter().map(|c| c.sample.is_some()).collect::<Vec<_>>(), [true, false], "{found:?}");
    }
}
