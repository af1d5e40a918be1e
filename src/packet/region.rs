//! Products of field sets.

use super::concrete::has_field;
use super::{Family, Field, IntervalSet, Packet, Path, Value, proto};
use std::sync::Arc;

/// The set of all packets whose every field lies in that field's set: a box, or a product of interval sets.
///
/// The sets of fields that a packet does not have (ports of ICMP) do not matter to it. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Region {
    sets: [Arc<IntervalSet>; Field::COUNT],
}

impl Region {
    /// Every packet of a family.
    pub fn all(family: Family) -> Self {
        let mut sets = Field::ALL.map(|f| Arc::new(f.all()));
        let addresses = Arc::new(family.all());
        sets[Field::Src.index()] = Arc::clone(&addresses);
        sets[Field::Dst.index()] = addresses;
        Self { sets }
    }

    /// The set of a field.
    pub fn get(&self, field: Field) -> &IntervalSet {
        &self.sets[field.index()]
    }

    /// The region with the field's set replaced.
    #[must_use]
    pub fn with(&self, field: Field, set: IntervalSet) -> Self {
        let mut out = self.clone();
        out.sets[field.index()] = Arc::new(set);
        out
    }

    /// The region cut to packets whose field is in `set`.
    #[must_use]
    pub fn cut(&self, field: Field, set: &IntervalSet) -> Self {
        self.with(field, self.get(field).intersect(set))
    }

    /// Whether some field has no value left.
    pub fn is_empty(&self) -> bool {
        self.sets.iter().any(|s| s.is_empty())
    }

    /// Whether the packet is in the region; fields that it does not have count as inside.
    pub fn contains(&self, packet: &Packet) -> bool {
        Field::ALL.iter().all(|f| packet.get(*f).is_none_or(|v| self.get(*f).contains(v)))
    }

    /// A packet of the region with every field at its lowest value; `None` if the region is empty.
    pub fn corner(&self, path: Path) -> Option<Packet> {
        let mut values = [0; Field::COUNT];
        for f in Field::ALL {
            values[f.index()] = self.get(f).first()?;
        }
        Some(Packet::from_values(path, &values, 0))
    }
}

/// The protocols whose packets have the field; `None` if all do.
pub fn carriers(field: Field) -> Option<IntervalSet> {
    let with: IntervalSet = (0..=255u8).filter(|p| has_field(*p, field)).map(Value::from).collect();
    (with.count() < 256).then_some(with)
}

impl Region {
    /// Cut to a protocol.
    #[must_use]
    pub fn protocol(&self, p: u8) -> Self {
        self.cut(Field::Proto, &IntervalSet::single(p))
    }

    /// Whether every protocol of the region has ports.
    pub fn has_ports(&self) -> bool {
        let ports: IntervalSet = proto::WITH_PORTS.iter().map(|p| Value::from(*p)).collect();
        ports.covers(self.get(Field::Proto))
    }
}

// Fields in the order in which a difference is cut: protocols before the fields that only some of them carry.
const CUT_ORDER: [Field; Field::COUNT] = [
    Field::Proto,
    Field::Dst,
    Field::Src,
    Field::Dport,
    Field::State,
    Field::Iif,
    Field::Oif,
    Field::Sport,
    Field::Icmp,
    Field::TcpFlags,
    Field::Mac,
];

impl Region {
    /// Packets in both.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let mut out = self.clone();
        for f in Field::ALL {
            let i = f.index();
            if !Arc::ptr_eq(&out.sets[i], &other.sets[i]) && !other.sets[i].covers(&out.sets[i]) {
                out.sets[i] = Arc::new(out.sets[i].intersect(&other.sets[i]));
            }
        }
        out
    }

    /// Whether some packet is in both.
    pub fn intersects(&self, other: &Self) -> bool {
        self.sets.iter().zip(&other.sets).all(|(a, b)| a.intersects(b))
    }

    /// Whether every packet of `other` is in this region.
    pub fn covers(&self, other: &Self) -> bool {
        self.sets.iter().zip(&other.sets).all(|(a, b)| Arc::ptr_eq(a, b) || a.covers(b))
    }

    /// Packets of this region that are not in `other`: at most one part for each field, disjoint.
    ///
    /// Exact where `other` limits ports, ICMP types or TCP flags only together with protocols that carry them.
    pub fn minus(&self, other: &Self) -> Vec<Self> {
        if !self.intersects(other) {
            return vec![self.clone()];
        }
        let mut rest = self.clone();
        let mut out = Vec::new();
        for f in CUT_ORDER {
            let outside = rest.get(f).minus(other.get(f));
            if !outside.is_empty() {
                out.push(rest.with(f, outside));
                rest = rest.cut(f, other.get(f));
            }
        }
        out
    }

    /// Packets of any of `regions` that are in none of `others`.
    pub fn minus_all(regions: Vec<Self>, others: &[Self]) -> Vec<Self> {
        others.iter().fold(regions, |left, o| left.iter().flat_map(|r| r.minus(o)).collect())
    }

    /// The answers to the packets of this region: ends and interfaces exchanged.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        let mut out = self.clone();
        for (a, b) in [(Field::Src, Field::Dst), (Field::Sport, Field::Dport), (Field::Iif, Field::Oif)] {
            out.sets.swap(a.index(), b.index());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difference_is_exact_and_disjoint() {
        let all = Region::all(Family::V4).protocol(proto::TCP);
        let inner = all
            .cut(Field::Dport, &IntervalSet::range(20u8, 30u8))
            .cut(Field::Src, &super::super::addr::parse("10.0.0.0/8").unwrap());
        let parts = all.minus(&inner);
        assert_eq!(parts.len(), 2);
        assert!(!parts[0].intersects(&parts[1]));
        assert!(parts.iter().all(|p| !p.intersects(&inner) && all.covers(p)));
        assert!(Region::minus_all(parts, std::slice::from_ref(&all)).is_empty());
        assert_eq!(inner.minus(&all), []);
        assert_eq!(inner.mirrored().get(Field::Sport), &IntervalSet::range(20u8, 30u8));
        assert_eq!(inner.mirrored().mirrored(), inner);
    }
}
