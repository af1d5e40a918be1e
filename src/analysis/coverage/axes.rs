//! Every value of a field as a 32-bit coordinate, for packets of one family.
//!
//! IPv4 addresses, ports and numbers are their own coordinates. IPv6 addresses, interface names and hardware addresses become numbers of
//! segments: the values between two ends of intervals that rules name are alike to every rule. TCP flags are reordered so that the usual
//! tests (`SYN,ACK SYN`; `FIN,SYN,RST,ACK SYN`) are one interval.

use crate::model::{Firewall, Term};
use crate::packet::{Family, Field, IntervalSet, Value, addr, flags};
use rustc_hash::FxHashSet;

/// Coordinates from–to, both included.
pub(super) type Span = (u32, u32);

/// The coordinates of all fields.
pub(super) struct Axes {
    family: Family,
    // First values of the segments, ascending; empty = values are coordinates.
    starts: [Vec<Value>; Field::COUNT],
}

/// Flags from the one that most rules test to the one that fewest do.
const FLAG_ORDER: [u8; 8] =
    [flags::SYN, flags::ACK, flags::RST, flags::FIN, flags::PSH, flags::URG, flags::ECE, flags::CWR];

impl Axes {
    /// For all rules of a firewall.
    pub fn new(f: &Firewall, family: Family) -> Self {
        let mut ends: [Vec<Value>; Field::COUNT] = Default::default();
        let ranked = |field: Field| match field {
            Field::Iif | Field::Oif | Field::Mac => true,
            Field::Src | Field::Dst => family == Family::V6,
            _ => false,
        };
        let mut add = |field: Field, (lo, hi): (Value, Value)| {
            ends[field.index()].push(lo);
            ends[field.index()].extend(hi.checked_add(1));
        };
        let mut seen = FxHashSet::default();
        for term in &f.terms {
            match *term {
                Term::In(field, set) if ranked(field) && seen.insert((field, set)) => {
                    f.sets.get(set).ranges().iter().for_each(|r| add(field, *r));
                }
                Term::Range { field, lo, hi } if ranked(field) && lo <= hi => {
                    let base = Term::base(field);
                    add(field, (base + Value::from(lo), base + Value::from(hi)));
                }
                _ => {}
            }
        }
        // "No interface" is a value of its own.
        add(Field::Iif, (0, 0));
        add(Field::Oif, (0, 0));
        for field in Field::ALL.into_iter().filter(|f| ranked(*f)) {
            let domain = if matches!(field, Field::Src | Field::Dst) { family.all() } else { field.all() };
            let all = &mut ends[field.index()];
            all.extend(domain.ranges().iter().map(|r| r.0));
            all.sort_unstable();
            all.dedup();
            all.retain(|v| domain.contains(*v));
        }
        Self { family, starts: ends }
    }

    /// All coordinates of a field.
    pub fn all(&self, field: Field) -> Span {
        let last = match self.starts[field.index()].len() {
            0 if matches!(field, Field::Src | Field::Dst) => u32::MAX,
            0 => field.max() as u32,
            n => (n - 1) as u32,
        };
        (0, last)
    }

    /// The coordinates of the values from `lo` to `hi`; not of TCP flags.
    pub fn span(&self, field: Field, lo: Value, hi: Value) -> Option<Span> {
        let starts = &self.starts[field.index()];
        let (lo, hi) = if starts.is_empty() {
            let (first, last) = match field {
                Field::Src | Field::Dst => (addr::v4(0), addr::v4(u32::MAX)),
                _ => (0, field.max()),
            };
            let (lo, hi) = (lo.max(first), hi.min(last));
            if lo > hi {
                return None;
            }
            ((lo - first) as u32, (hi - first) as u32)
        } else {
            let behind = starts.partition_point(|s| *s <= hi);
            (starts.partition_point(|s| *s < lo) as u32, (behind as u32).checked_sub(1)?)
        };
        (lo <= hi).then_some((lo, hi))
    }

    /// The coordinates of a set, ascending.
    pub fn spans(&self, field: Field, set: &IntervalSet) -> Vec<Span> {
        if field == Field::TcpFlags {
            return flag_spans(set);
        }
        let mut out: Vec<Span> = Vec::with_capacity(set.ranges().len());
        let (first, last) = match (field, self.family) {
            (Field::Src | Field::Dst, Family::V4) => (addr::v4(0), addr::v4(u32::MAX)),
            _ => (0, Value::MAX),
        };
        let ranges = set.ranges();
        let from = ranges.partition_point(|r| r.1 < first);
        for &(lo, hi) in ranges[from..].iter().take_while(|r| r.0 <= last) {
            let Some(span) = self.span(field, lo, hi) else { continue };
            match out.last_mut() {
                // Two intervals with nothing between them but addresses of the other family.
                Some(before) if before.1.checked_add(1) == Some(span.0) => before.1 = span.1,
                _ => out.push(span),
            }
        }
        out
    }
}

fn flag_spans(set: &IntervalSet) -> Vec<Span> {
    let place = |byte: u8| {
        let bits = FLAG_ORDER.iter().map(|bit| u32::from(byte & bit != 0));
        bits.fold(0, |all, bit| all << 1 | bit)
    };
    let mut has = [false; 256];
    for byte in (0..=u8::MAX).filter(|b| set.contains(Value::from(*b))) {
        has[place(byte) as usize] = true;
    }
    let mut out: Vec<Span> = Vec::new();
    for (at, _) in (0u32..).zip(has).filter(|(_, has)| *has) {
        match out.last_mut() {
            Some(last) if last.1 + 1 == at => last.1 = at,
            _ => out.push((at, at)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_tests_of_flags_are_one_interval() {
        use flags::{ACK, FIN, RST, SYN, masked};
        for (mask, value) in
            [(SYN | ACK, SYN), (FIN | SYN | RST | ACK, SYN), (0x3f, 0), (SYN | RST, SYN | RST)]
        {
            let spans = flag_spans(&masked(mask, value));
            let size: u32 = spans.iter().map(|s| s.1 - s.0 + 1).sum();
            assert_eq!(u128::from(size), masked(mask, value).count());
            assert!(spans.len() <= 2, "{mask:#x} {value:#x}: {spans:?}");
        }
    }

    #[test]
    fn segments_leave_out_the_other_family() {
        let mut b = crate::model::Builder::new("test", Vec::new(), &Family::ALL);
        let six = addr::parse("2001:db8::/32").unwrap();
        let term = b.field(Field::Src, six.clone());
        b.rule(crate::source::Origin::default(), &[term], crate::model::Action::Drop);
        let axes = Axes::new(b.firewall(), Family::V6);
        assert_eq!(axes.spans(Field::Src, &Family::V6.all()), [axes.all(Field::Src)]);
        assert_eq!(axes.spans(Field::Src, &six).len(), 1);
        assert_eq!(axes.spans(Field::Src, &Family::V4.all()), []);
        let four = Axes::new(b.firewall(), Family::V4);
        assert_eq!(four.spans(Field::Dst, &Family::V4.all()), [(0, u32::MAX)]);
        assert_eq!(four.spans(Field::Src, &six), []);
    }
}
