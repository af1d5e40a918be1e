//! Which labels the point of a question may carry, settled once: a cloud has thousands of groups, and a few are attached to a point.

use super::Question;
use crate::model::{Effect, Firewall, Hook, LabelId, Term, TermRange};
use crate::packet::{Field, Path, Region};

/// Of one firewall: the labels that the point may carry.
#[derive(Debug, Default)]
pub(super) struct Attached {
    // By label; empty = any.
    possible: Vec<bool>,
}

impl Attached {
    /// Of a firewall, for a question.
    pub(super) fn of(f: &Firewall, question: &Question<'_>) -> Self {
        let hook = match question.path {
            Path::Ingress => Hook::Ingress,
            Path::Egress => Hook::Egress,
            _ => return Self::default(),
        };
        let possible = match &question.point.environment.labels {
            Some(attached) => f.labels.iter().map(|l| attached.contains(l)).collect(),
            // An address on the way may be another one than at first.
            None if !f.translations.is_empty() || f.effects.iter().flatten().any(is_rewrite) => Vec::new(),
            None => by_address(f, Firewall::own_address(hook), &question.region),
        };
        Self { possible }
    }

    /// False only if the terms ask for a label that the point does not carry, whatever the packet.
    pub(super) fn may_meet(&self, f: &Firewall, terms: TermRange) -> bool {
        self.possible.is_empty()
            || !matches!(f.terms(terms).first(), Some(Term::Label(LabelId(l))) if !self.possible[*l as usize])
    }
}

fn is_rewrite(effect: &Effect) -> bool {
    matches!(effect, Effect::Rewrite { .. })
}

// Where the files tell the labels of all the question's own addresses, those that one of them may carry.
fn by_address(f: &Firewall, own: Field, region: &Region) -> Vec<bool> {
    let own = region.get(own);
    if f.carriers.len() < f.labels.len() || !f.points.covers(own) {
        return Vec::new();
    }
    f.carriers.iter().map(|c| c.certain.intersects(own) || c.doubtful.intersects(own)).collect()
}
