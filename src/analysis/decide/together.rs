//! Points of a cloud at which rules make the same of packets are followed as one. There are thousands of them; what tells them apart is whose rules
//! say so, and nobody reads more than a few of those.

use super::attached::Site;
use super::cell::MAX_LIST;
use super::walk::Walk;
use crate::model::{Action, ChainId, Firewall, Rule};
use crate::packet::{Field, IntervalSet, Region, shared_carriers};
use rustc_hash::FxHashMap;

impl<'a> Walk<'a> {
    /// Fewer sites for the packets of some regions: where many of them meet rules that say the same, the first few stay apart, so that their rules are
    /// told, and the others are one. `field` holds the addresses of the sites.
    pub(super) fn together(
        &mut self,
        field: Field,
        sites: Vec<Site<'a>>,
        regions: &[Region],
    ) -> Vec<Site<'a>> {
        let [f] = self.question.point.firewalls else { return sites };
        let mut bases: Vec<ChainId> =
            self.ways[self.question.path as usize].iter().map(|(_, base)| base.chain).collect();
        // What a rule says of the addresses of the points themselves differs from point to point.
        let plain = |c: ChainId| f.crowd().asks(c).is_some_and(|asked| asked & 1 << field.index() == 0);
        if !bases.iter().all(|c| plain(*c) && f.crowd().begins_without_labels(*c)) {
            return sites;
        }
        bases.retain(|c| !ends_before_labels(f, *c, regions));
        self.begin(regions.to_vec());
        let mut number: FxHashMap<Vec<Action>, usize> = FxHashMap::default();
        let mut alike: Vec<Vec<Site<'a>>> = Vec::new();
        let mut out = Vec::new();
        for site in sites {
            match self.made_by(&site, &bases, &plain) {
                Some(actions) => {
                    let at = *number.entry(actions).or_insert_with(|| {
                        alike.push(Vec::new());
                        alike.len() - 1
                    });
                    alike[at].push(site);
                }
                None => out.push(site),
            }
        }
        for mut group in alike {
            group.sort_by_key(|s| s.labels);
            let mut each = group.into_iter();
            out.extend(each.by_ref().take(MAX_LIST));
            if let Some(next) = each.next() {
                let own = next.own.ranges().to_vec().into_iter();
                let others = each.flat_map(|s| s.own.ranges().to_vec());
                out.push(Site { own: IntervalSet::from_ranges(own.chain(others)), ..next });
            }
        }
        out
    }

    // What the rules behind the labels of a site do to packets of the question, one after the other. `None` if that may be another thing at each of its
    // points.
    fn made_by(
        &mut self,
        site: &Site<'_>,
        bases: &[ChainId],
        plain: &dyn Fn(ChainId) -> bool,
    ) -> Option<Vec<Action>> {
        let [f] = self.question.point.firewalls else { return None };
        let labels = site.labels.filter(|_| site.sure)?;
        let (mut actions, mut rules) = (Vec::new(), Vec::<u32>::new());
        for base in bases {
            rules.clear();
            rules.extend(labels.iter().flat_map(|l| f.crowd().asking(*base, *l)));
            rules.sort_unstable();
            for n in &rules {
                match f.behind_label(&f.chain(*base).rules[*n as usize])? {
                    Action::Jump(to) if self.is_inert(0, to) => {}
                    Action::Jump(to) if !plain(to) => return None,
                    does => actions.push(does),
                }
            }
        }
        Some(actions)
    }
}

// Whether one of the first rules of a base chain, which ask for no label, decides about all packets of some regions: as the one about connections that
// exist does.
fn ends_before_labels(f: &Firewall, chain: ChainId, regions: &[Region]) -> bool {
    let covers = |rule: &Rule, region: &Region| {
        f.terms(rule.terms).iter().all(|t| match f.field_set(t) {
            // Every packet has the field, and rules see what arrives.
            Some((field, set)) => {
                let seen = !matches!(field, Field::Iif | Field::Oif);
                seen && shared_carriers(field).is_none() && set.covers(region.get(field))
            }
            None => false,
        })
    };
    let first = f.chain(chain).rules.iter().take_while(|r| f.asked_label(r.terms).is_none());
    let ends = |r: &&Rule| matches!(r.action, Action::Accept | Action::Drop | Action::Reject);
    first.filter(ends).any(|r| regions.iter().all(|region| covers(r, region)))
}
