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
