//! What interfaces face, as far as a firewall's own files tell.

use crate::dialect::pfsense::facts::Facts;
use crate::model::{Action, ChainKind, Firewall, Hook, Rule, TranslatedEnd};
use crate::packet::{Field, IntervalSet, Path, interface_value, public};

/// What faces the interfaces by which packets come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Facing {
    /// Networks inside: they get out by other interfaces.
    Inside,
    /// Not told: the rule names interfaces of a machine that forwards.
    Named,
    /// Not told.
    Unknown,
    /// The Internet.
    Internet,
}

/// What is known of a box's interfaces.
#[derive(Debug, Default)]
pub struct Interfaces {
    /// Those with a gateway or an address of a provider (pfSense), where the files know.
    outside: Option<IntervalSet>,
    /// Those by which packets are hidden behind the box's address on their way out; empty = none are.
    hiding: IntervalSet,
}

impl Interfaces {
    /// Of the firewalls of a box.
    pub fn of(firewalls: &[&Firewall]) -> Self {
        let names =
            |f: &Facts| -> IntervalSet { f.outside.iter().filter_map(|n| interface_value(n).ok()).collect() };
        let outside = firewalls.iter().filter_map(|f| Facts::of(f)).map(names).reduce(|a, b| a.union(&b));
        let hiding = firewalls.iter().flat_map(|f| hiding(f)).fold(IntervalSet::EMPTY, |a, b| a.union(&b));
        Self { outside: outside.filter(|o| !o.is_empty()), hiding }
    }

    /// What interfaces face by which packets come.
    pub fn facing(&self, path: Path, by: &IntervalSet) -> Facing {
        let named = by.count() < Field::Iif.all().count() / 2;
        match &self.outside {
            Some(outside) if by.intersects(outside) => Facing::Internet,
            Some(_) => Facing::Inside,
            None if named && !self.hiding.is_empty() && !by.intersects(&self.hiding) => Facing::Inside,
            None if named && path == Path::Forward => Facing::Named,
            None => Facing::Unknown,
        }
    }
}

// The interfaces of rules that hide packets for public addresses behind the box's own.
fn hiding(f: &Firewall) -> Vec<IntervalSet> {
    let bases = f.base_chains.iter().filter(|b| b.kind == ChainKind::Nat && b.hook == Hook::Postrouting);
    let reached = f.reached_from(bases.map(|b| b.chain));
    let hides = |r: &&Rule| match r.action {
        Action::Translate(t) => f.translations[t.index()].end == TranslatedEnd::Source,
        _ => false,
    };
    let set = |r: &Rule, field: Field| {
        let own = f.terms(r.terms).iter().filter_map(|t| f.field_set(t)).filter(|(of, _)| *of == field);
        own.fold(field.all(), |a, (_, set)| a.intersect(&set))
    };
    let chains = f.chains.iter().zip(reached).filter(|(_, reached)| *reached);
    let rules = chains.flat_map(|(c, _)| &c.rules).filter(hides);
    let outward = rules.filter(|r| set(r, Field::Dst).intersects(public::with_documentation()));
    outward.map(|r| set(r, Field::Oif)).collect()
}
