//! Products of field sets.

use super::concrete::has_field;
use super::{Family, Field, IntervalSet, Packet, Path, Value, proto};
use std::sync::{Arc, LazyLock};

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
        let mut sets = Field::ALL.map(|f| Arc::clone(every(f)));
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

    /// As [`Region::cut`], in place.
    pub fn narrow(&mut self, field: Field, set: &IntervalSet) {
        let own = self.get(field);
        if !set.covers(own) {
            self.sets[field.index()] = Arc::new(own.intersect(set));
        }
    }

    /// The region with any value in some fields.
    #[must_use]
    pub fn widened(&self, fields: &[Field]) -> Self {
        let mut out = self.clone();
        fields.iter().for_each(|f| out.set(*f, Arc::clone(every(*f))));
        out
    }

    /// The set of a field, to share with another region.
    pub fn shared(&self, field: Field) -> &Arc<IntervalSet> {
        &self.sets[field.index()]
    }

    /// Replaces the set of a field.
    pub fn set(&mut self, field: Field, set: Arc<IntervalSet>) {
        self.sets[field.index()] = set;
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

// All values of a field, as one shared set.
fn every(field: Field) -> &'static Arc<IntervalSet> {
    static TABLE: LazyLock<[Arc<IntervalSet>; Field::COUNT]> =
        LazyLock::new(|| Field::ALL.map(|f| Arc::new(f.all())));
    &TABLE[field.index()]
}

/// The protocols whose packets have the field; `None` if all do.
pub fn carriers(field: Field) -> Option<IntervalSet> {
    shared_carriers(field).map(|c| (**c).clone())
}

/// The protocols whose packets have the field, as one shared set; `None` if all do.
pub fn shared_carriers(field: Field) -> Option<&'static Arc<IntervalSet>> {
    static TABLE: LazyLock<[Option<Arc<IntervalSet>>; Field::COUNT]> = LazyLock::new(|| {
        Field::ALL.map(|f| {
            let with: IntervalSet = (0..=255u8).filter(|p| has_field(*p, f)).map(Value::from).collect();
            (with.count() < 256).then(|| Arc::new(with))
        })
    });
    TABLE[field.index()].as_ref()
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
    /// The same packets as disjoint regions in normal form: a field that is restricted is one that every protocol
    /// of the region has. Only on such regions does field-wise algebra say what it says about packets: two regions
    /// that differ in their ports still share their ICMP packets.
    pub fn normal(&self) -> Vec<Region> {
        if self.get(Field::Proto).is_empty() {
            return Vec::new();
        }
        let mut done: Vec<Region> = Vec::new();
        let mut work = vec![self.clone()];
        while let Some(mut r) = work.pop() {
            let split = Field::CARRIED.into_iter().find_map(|f| {
                let with = shared_carriers(f)?;
                let free = *r.get(f) == f.all();
                (!free && !with.covers(r.get(Field::Proto))).then_some((f, with))
            });
            let Some((field, with)) = split else {
                if !r.is_empty() {
                    done.push(r);
                }
                continue;
            };
            let inside = r.cut(Field::Proto, with);
            if !inside.is_empty() {
                work.push(inside);
            }
            let outside = r.get(Field::Proto).minus(with);
            if !outside.is_empty() {
                r.set(Field::Proto, Arc::new(outside));
                r.set(field, Arc::new(field.all()));
                work.push(r);
            }
        }
        done
    }

    /// Whether every packet of `other` is in the region. Both in normal form.
    pub fn covers(&self, other: &Region) -> bool {
        Field::ALL.iter().all(|f| {
            let (a, b) = (self.shared(*f), other.shared(*f));
            Arc::ptr_eq(a, b) || a.covers(b)
        })
    }

    /// Whether some packet is in both. Both in normal form.
    pub fn intersects(&self, other: &Region) -> bool {
        Field::ALL.iter().all(|f| {
            let (a, b) = (self.shared(*f), other.shared(*f));
            Arc::ptr_eq(a, b) || a.intersects(b)
        })
    }

    /// The packets in both; may be empty. Both in normal form.
    #[must_use]
    pub fn intersect(&self, other: &Region) -> Region {
        let mut out = self.clone();
        for f in Field::ALL {
            let (a, b) = (self.shared(f), other.shared(f));
            if !Arc::ptr_eq(a, b) && !b.covers(a) {
                out.set(f, if a.covers(b) { Arc::clone(b) } else { Arc::new(a.intersect(b)) });
            }
        }
        out
    }

    /// Packets of this region that are not in `other`: at most one part for each field, disjoint. Both in normal form.
    pub fn minus(&self, other: &Self) -> Vec<Self> {
        if !self.intersects(other) {
            return vec![self.clone()];
        }
        let mut rest = self.clone();
        let mut out = Vec::new();
        for f in CUT_ORDER {
            let (a, b) = (self.shared(f), other.shared(f));
            if Arc::ptr_eq(a, b) || b.covers(a) {
                continue;
            }
            let mut piece = rest.clone();
            piece.set(f, Arc::new(a.minus(b)));
            out.push(piece);
            rest.set(f, Arc::new(a.intersect(b)));
        }
        out
    }

    /// Packets of any of `regions` that are in none of `others`.
    pub fn minus_all(regions: Vec<Self>, others: &[Self]) -> Vec<Self> {
        others.iter().fold(regions, |left, o| {
            // Nearly all pairs of long lists are apart.
            let Some(first) = left.iter().position(|r| r.intersects(o)) else { return left };
            let mut out = Vec::with_capacity(left.len() + 1);
            for (n, r) in left.into_iter().enumerate() {
                match n < first || !r.intersects(o) {
                    true => out.push(r),
                    false => out.extend(r.minus(o)),
                }
            }
            out
        })
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

    /// How many packets, roughly: a floating-point product, for ordering by size only.
    pub fn weight(&self) -> f64 {
        Field::ALL.iter().map(|f| self.get(*f).count() as f64).product()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restricted_port_does_not_restrict_icmp() {
        let all = Region::all(Family::V4);
        let ssh = all.cut(Field::Dport, &IntervalSet::single(22u8));
        let parts = ssh.normal();
        assert_eq!(parts.len(), 2);
        let left: Vec<_> =
            parts.iter().fold(vec![all], |rest, p| rest.iter().flat_map(|r| r.minus(p)).collect());
        let mut icmp = [0; Field::COUNT];
        icmp[Field::Proto.index()] = 1;
        icmp[Field::Src.index()] = super::super::addr::v4(1);
        icmp[Field::Dst.index()] = super::super::addr::v4(2);
        let ping = Packet::from_values(Path::Input, &icmp, 0);
        assert!(ssh.contains(&ping));
        assert!(!left.iter().any(|r| r.contains(&ping)));
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn minus_and_intersect_partition() {
        let all = Region::all(Family::V4);
        let tcp = all.protocol(proto::TCP);
        let a = tcp.cut(Field::Dport, &IntervalSet::range(0u8, 99u8));
        let b = tcp
            .cut(Field::Dport, &IntervalSet::range(50u8, 200u8))
            .cut(Field::Sport, &IntervalSet::single(7u8));
        let inside = a.intersect(&b);
        let outside = a.minus(&b);
        assert!(a.covers(&inside) && b.covers(&inside));
        assert!(outside.iter().all(|r| !r.intersects(&b) && a.covers(r)));
        let total: f64 = outside.iter().map(Region::weight).sum::<f64>() + inside.weight();
        assert!((total / a.weight() - 1.0).abs() < 1e-9);
    }

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
