//! Which labels the points of a question may carry, settled once: a cloud has thousands of groups, and a few are attached to a point.

use super::Question;
use crate::model::{ChainId, Effect, Firewall, Hook, LabelId, TermRange};
use crate::packet::{Field, IntervalSet, Path, Region};

/// Of one firewall: the labels that the points of the packets under way may carry.
#[derive(Debug, Default)]
pub(super) struct Attached {
    // By label; empty = any.
    possible: Vec<bool>,
    site: Option<Placed>,
}

/// Points whose labels the files tell alike: the packets of a site are followed by themselves.
#[derive(Debug)]
pub(super) struct Site<'f> {
    /// Their addresses.
    pub own: IntervalSet,
    /// The labels that they may carry; `None` = the files tell nothing of these points, and nobody knows.
    pub labels: Option<&'f [LabelId]>,
    /// They carry all of the labels for certain.
    pub sure: bool,
}

// The site whose packets are under way.
#[derive(Debug)]
struct Placed {
    known: bool,
    // The labels, where all of them are carried for certain.
    sure: Option<Vec<LabelId>>,
    // The rules of the base chains on the way that it may meet, by their numbers.
    rules: Vec<(ChainId, Vec<u32>)>,
}

// With fewer labels all packets are followed together.
const MANY: usize = 32;

impl Attached {
    /// Of a firewall, for a question.
    pub(super) fn of(f: &Firewall, question: &Question<'_>) -> Self {
        let Some(hook) = hook(question) else { return Self::default() };
        let possible = match &question.point.environment.labels {
            Some(attached) => f.labels.iter().map(|l| attached.contains(l)).collect(),
            None if moves(f) => Vec::new(),
            None => by_address(f, Firewall::own_address(hook), &question.region),
        };
        Self { possible, site: None }
    }

    /// Of a firewall, where the packets of a site are followed through some base chains.
    pub(super) fn at(f: &Firewall, site: &Site<'_>, bases: impl Iterator<Item = ChainId>) -> Self {
        let rules = match &site.labels {
            Some(labels) => bases.map(|chain| (chain, f.crowd().rules(chain, labels))).collect(),
            None => Vec::new(),
        };
        let sure = site.labels.filter(|_| site.sure).map(<[LabelId]>::to_vec);
        let site = Some(Placed { known: site.labels.is_some(), sure, rules });
        Self { possible: Vec::new(), site }
    }

    /// False only if the terms ask for a label that the point does not carry, whatever the packet.
    pub(super) fn may_meet(&self, f: &Firewall, terms: TermRange) -> bool {
        self.possible.is_empty()
            || !matches!(f.asked_label(terms), Some(LabelId(l)) if !self.possible[l as usize])
    }

    /// The rules of a chain that may be met, ascending; `None` = any.
    pub(super) fn rules(&self, chain: ChainId) -> Option<&[u32]> {
        self.site.as_ref()?.rules.iter().find(|(c, _)| *c == chain).map(|(_, rules)| rules.as_slice())
    }

    /// Whether the points are at a site, and whether the files tell its labels.
    pub(super) fn site(&self) -> Option<bool> {
        self.site.as_ref().map(|s| s.known)
    }

    /// Whether the points of the site carry a label, where that is certain.
    pub(super) fn carries(&self, label: LabelId) -> Option<bool> {
        self.site.as_ref()?.sure.as_ref().map(|labels| labels.contains(&label))
    }
}

/// The packets of a question by the labels that their points may carry, the field of these points' addresses first; `None` where that is of no
/// use: there are few labels, they are declared, or the files do not tell.
pub(super) fn sites<'a>(question: &Question<'a>) -> Option<(Field, Vec<Site<'a>>)> {
    let hook = hook(question)?;
    let [f] = question.point.firewalls else { return None };
    let declared = question.point.environment.labels.is_some();
    if declared || f.labels.len() < MANY || f.carriers.len() < f.labels.len() || moves(f) {
        return None;
    }
    let field = Firewall::own_address(hook);
    let own = question.region.get(field);
    let told = own.intersect(&f.points);
    let places = f.crowd().places(&told).into_iter();
    let mut sites: Vec<Site<'_>> =
        places.map(|p| Site { own: p.addresses, labels: Some(p.labels), sure: p.sure }).collect();
    let labelled = IntervalSet::from_ranges(sites.iter().flat_map(|s| s.own.ranges().iter().copied()));
    sites.push(Site { own: told.minus(&labelled), labels: Some(&[]), sure: true });
    sites.push(Site { own: own.minus(&f.points), labels: None, sure: false });
    sites.retain(|s| !s.own.is_empty());
    Some((field, sites))
}

fn hook(question: &Question<'_>) -> Option<Hook> {
    match question.path {
        Path::Ingress => Some(Hook::Ingress),
        Path::Egress => Some(Hook::Egress),
        _ => None,
    }
}

// An address on the way may be another one than at first.
fn moves(f: &Firewall) -> bool {
    !f.translations.is_empty() || f.effects.iter().flatten().any(|e| matches!(e, Effect::Rewrite { .. }))
}

// Where the files tell the labels of all the question's own addresses, those that one of them may carry.
fn by_address(f: &Firewall, own: Field, region: &Region) -> Vec<bool> {
    let own = region.get(own);
    if f.carriers.len() < f.labels.len() || !f.points.covers(own) {
        return Vec::new();
    }
    f.carriers.iter().map(|c| c.certain.intersects(own) || c.doubtful.intersects(own)).collect()
}
