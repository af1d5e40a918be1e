//! Which packets a rule can meet, in the chain that it stands in.

use super::near::{few, ports};
use crate::model::{Firewall, Hook, Rule};
use crate::packet::{Field, IntervalSet, Path, Region, addr, proto};

/// What every packet has alike that comes to a chain, so that no rule there needs to say so.
pub struct View {
    // The end that is the box itself.
    own: Option<Field>,
    // Interfaces that are not known there: not yet, or not any more.
    unseen: Vec<Field>,
}

impl View {
    /// Of a chain to which these hooks lead.
    pub fn of(hooks: &[Hook]) -> Self {
        let own = match hooks {
            [Hook::Input] => Some(Field::Dst),
            [Hook::Output] => Some(Field::Src),
            _ => None,
        };
        let blind = |field: &Field| match field {
            Field::Iif => hooks.iter().all(|h| matches!(h, Hook::Output | Hook::DeviceEgress | Hook::Egress)),
            _ => hooks.iter().all(|h| h.sees(Path::Input) == (true, false)),
        };
        Self { own, unseen: [Field::Iif, Field::Oif].into_iter().filter(blind).collect() }
    }

    /// The region with every value of what the packets have alike, or do not show.
    pub fn free(&self, region: &Region) -> Region {
        self.own.iter().chain(&self.unseen).fold(region.clone(), |r, field| r.with(*field, field.all()))
    }

    /// The packets of a region, as they are here, that are in none of others.
    pub fn beyond(&self, region: &Region, others: &[Region]) -> Vec<Region> {
        let others: Vec<Region> = others.iter().flat_map(|r| self.free(r).normal()).collect();
        Region::minus_all(vec![self.free(region)], &others)
    }

    /// `tcp/20082 from 10.1.0.11 to this box`; of answers: `tcp from port 80 of this box to 10.2.8.61`.
    pub fn words(&self, region: &Region) -> String {
        let own = |field, set: &IntervalSet| match self.own {
            Some(f) if f == field => "this machine".to_owned(),
            _ => few(&addr::display(set)),
        };
        let protocol = region.get(Field::Proto);
        let name = match protocol.count() {
            1 => proto::name(protocol.first().unwrap_or(0) as u8),
            256 => "any protocol".to_owned(),
            _ => format!("protocols {}", few(&ports(protocol))),
        };
        let named = |field: Field| {
            let set = region.get(field);
            (*set != field.all()).then(|| ports(set).join(","))
        };
        let to = named(Field::Dport).map_or_else(String::new, |p| format!("/{p}"));
        let from = named(Field::Sport).map_or_else(String::new, |p| format!("port {p} of "));
        let (src, dst) = (region.get(Field::Src), region.get(Field::Dst));
        format!("{name}{to} from {from}{} to {}", own(Field::Src, src), own(Field::Dst, dst))
    }
}

/// The packets that a rule can meet, or more: what it asks beside fields is left out.
pub fn boxes(f: &Firewall, rule: &Rule) -> Vec<Region> {
    let all = f.families.iter().map(|family| {
        let terms = f.terms(rule.terms).iter().filter_map(|t| f.field_set(t));
        terms.fold(Region::all(*family), |r, (field, set)| r.cut(field, &set))
    });
    all.flat_map(|r| r.normal()).collect()
}
