//! What a finding is about, packet for packet, so that it can be held against what was accepted before.

use crate::packet::{
    ConnState, Family, Field, IntervalSet, Region, Value, addr, interface_name, interface_prefix,
    interface_value, proto,
};
use serde::{Deserialize, Serialize};

/// Packets of which a finding says the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Part {
    /// What tells their fate from that of others: `the answers`, `sent on to 10.0.0.5 port 22`. Two parts are compared only where it is the
    /// same. May be empty.
    pub how: String,
    /// The conditions on which it depends whether they fare so; empty = they do for certain.
    pub depends: String,
    /// The packets.
    pub region: Region,
}

impl Part {
    /// Packets that fare so for certain.
    pub fn certain(region: Region, how: impl Into<String>) -> Self {
        Self { how: how.into(), depends: String::new(), region }
    }

    /// Packets of which it depends on conditions.
    pub fn uncertain(region: Region, how: impl Into<String>, depends: &str) -> Self {
        let depends = if depends.is_empty() { "what is not known" } else { depends };
        Self { how: how.into(), depends: depends.to_owned(), region }
    }

    /// Whether who accepts this accepts the other one's packets too, as far as they are the same: what may be is less than what is.
    pub fn bears(&self, other: &Part) -> bool {
        self.how == other.how && (self.depends.is_empty() || self.depends == other.depends)
    }
}

/// A part as baselines hold it: a list of values for each field, parted by commas; empty = any value. Nothing is lost, and people can read it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Written {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    how: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    depends_on: String,
    family: u8,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    from: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    to: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    proto: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    port: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    sport: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    icmp: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    tcp_flags: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    ct: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    iif: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    oif: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    mac: String,
}

// Between the values of a list; no name of an interface holds a blank.
const SEPARATOR: &str = ", ";

impl Written {
    fn lists(&self) -> [(Field, &str); Field::COUNT] {
        [
            (Field::Src, &self.from),
            (Field::Dst, &self.to),
            (Field::Proto, &self.proto),
            (Field::Dport, &self.port),
            (Field::Sport, &self.sport),
            (Field::Icmp, &self.icmp),
            (Field::TcpFlags, &self.tcp_flags),
            (Field::State, &self.ct),
            (Field::Iif, &self.iif),
            (Field::Oif, &self.oif),
            (Field::Mac, &self.mac),
        ]
    }
}

impl From<Part> for Written {
    fn from(part: Part) -> Self {
        let r = &part.region;
        let family = r.get(Field::Dst).first().map_or(Family::V4, addr::family);
        let free = Region::all(family);
        let list = |field: Field| match r.get(field) == free.get(field) {
            true => String::new(),
            false => values(field, r.get(field)).join(SEPARATOR),
        };
        Written {
            family: family.number(),
            from: list(Field::Src),
            to: list(Field::Dst),
            proto: list(Field::Proto),
            port: list(Field::Dport),
            sport: list(Field::Sport),
            icmp: list(Field::Icmp),
            tcp_flags: list(Field::TcpFlags),
            ct: list(Field::State),
            iif: list(Field::Iif),
            oif: list(Field::Oif),
            mac: list(Field::Mac),
            how: part.how,
            depends_on: part.depends,
        }
    }
}

impl TryFrom<Written> for Part {
    type Error = String;

    fn try_from(w: Written) -> Result<Self, String> {
        let family = Family::ALL.into_iter().find(|f| f.number() == w.family);
        let family = family.ok_or_else(|| format!("family {} is neither 4 nor 6", w.family))?;
        let mut region = Region::all(family);
        for (field, list) in w.lists().into_iter().filter(|(_, l)| !l.is_empty()) {
            let sets: Result<Vec<IntervalSet>, String> = list
                .split(SEPARATOR)
                .map(|t| value(field, t).ok_or_else(|| format!("`{t}` cannot be read")))
                .collect();
            let ranges = sets?.iter().flat_map(|s| s.ranges().to_vec()).collect::<Vec<_>>();
            region = region.cut(field, &IntervalSet::from_ranges(ranges));
        }
        Ok(Part { how: w.how, depends: w.depends_on, region })
    }
}

// The values of a field as texts: names where there are some.
fn values(field: Field, set: &IntervalSet) -> Vec<String> {
    if matches!(field, Field::Src | Field::Dst) {
        return addr::display(set);
    }
    let one = |(lo, hi): &(Value, Value)| -> String {
        let text = match field {
            Field::Iif | Field::Oif if lo == hi => interface_name(*lo),
            Field::Iif | Field::Oif => format!("{}*", interface_name(*lo)),
            _ if lo == hi => name(field, *lo),
            _ => format!("{}-{}", name(field, *lo), name(field, *hi)),
        };
        // What no name says (no interface, a part of all of them) is written as numbers.
        let said = !text.is_empty() && !text.contains(SEPARATOR);
        match said && value(field, &text).is_some_and(|s| s.ranges() == [(*lo, *hi)]) {
            true => text,
            false => format!("{lo:#x}-{hi:#x}"),
        }
    };
    set.ranges().iter().map(one).collect()
}

fn name(field: Field, v: Value) -> String {
    match field {
        Field::Proto => proto::name(v as u8),
        Field::State => ConnState::from_value(v).map_or_else(|| v.to_string(), |s| s.name().to_owned()),
        Field::Icmp => format!("{}/{}", v >> 8, v & 0xff),
        _ => v.to_string(),
    }
}

// What a text stands for.
fn value(field: Field, text: &str) -> Option<IntervalSet> {
    let hex = |t: &str| Value::from_str_radix(t.strip_prefix("0x")?, 16).ok();
    if let Some((lo, hi)) = text.split_once('-').and_then(|(a, b)| Some((hex(a)?, hex(b)?))) {
        return (lo <= hi && hi <= field.max()).then(|| IntervalSet::range(lo, hi));
    }
    match field {
        Field::Src | Field::Dst => return addr::parse(text),
        Field::Iif | Field::Oif => {
            return match text.strip_suffix('*') {
                Some(prefix) => interface_prefix(prefix).ok(),
                None => interface_value(text).ok().map(IntervalSet::single),
            };
        }
        _ => {}
    }
    // A name may hold the sign that stands between two (`ipv6-icmp`).
    if let Some(v) = number(field, text) {
        return Some(IntervalSet::single(v));
    }
    let pair = |(at, _)| Some((number(field, &text[..at])?, number(field, &text[at + 1..])?));
    let (lo, hi) = text.match_indices('-').find_map(pair)?;
    (lo <= hi).then(|| IntervalSet::range(lo, hi))
}

fn number(field: Field, text: &str) -> Option<Value> {
    let v = match field {
        Field::Proto => proto::parse(text)?.into(),
        Field::State => ConnState::ALL.into_iter().find(|s| s.name() == text)?.value(),
        Field::Icmp => {
            let (kind, code) = text.split_once('/')?;
            Value::from(kind.parse::<u8>().ok()?) << 8 | Value::from(code.parse::<u8>().ok()?)
        }
        _ => text.parse().ok()?,
    };
    (v <= field.max()).then_some(v)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges(field: Field) -> impl Strategy<Value = IntervalSet> {
        let max = field.max();
        let small = (0..=max.min(300), 0..=max.min(300));
        let wide = (any::<u128>(), any::<u128>()).prop_map(move |(a, b)| (a % max.max(1), b % max.max(1)));
        let named = prop::sample::select(vec!["", "eth0", "eth", "lo", "0x1-0x2", "a*", "a, b", "br-lan"])
            .prop_map(move |n| {
                let v = interface_value(n).unwrap();
                if matches!(field, Field::Iif | Field::Oif) { (v, v) } else { (0, 0) }
            });
        prop::collection::vec(prop_oneof![small, wide, named], 1..4).prop_map(|list| {
            IntervalSet::from_ranges(list.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect::<Vec<_>>())
        })
    }

    fn region() -> impl Strategy<Value = Region> {
        let family = prop::sample::select(Family::ALL.to_vec());
        let fields = prop::collection::vec(prop::sample::select(Field::ALL.to_vec()), 0..5);
        (family, fields)
            .prop_flat_map(|(family, fields)| {
                let sets: Vec<_> = fields.iter().map(|f| ranges(*f)).collect();
                (Just(family), Just(fields), sets)
            })
            .prop_map(|(family, fields, sets)| {
                fields.into_iter().zip(sets).fold(Region::all(family), |r, (field, set)| {
                    let cut = r.cut(field, &set);
                    if cut.is_empty() { r } else { cut }
                })
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(region in region(), depends in "[a-c]?") {
            let part = Part { how: "the answers".to_owned(), depends, region };
            let text = serde_json::to_string(&part).unwrap();
            let read: Part = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read, part, "{}", text);
        }
    }

    #[test]
    fn parts_read_like_flows() {
        let region = Region::all(Family::V4)
            .protocol(proto::TCP)
            .cut(Field::Src, &addr::parse("10.1.0.0/24").unwrap())
            .cut(Field::Dport, &IntervalSet::range(80u16, 443u16))
            .cut(Field::Iif, &interface_prefix("eth").unwrap());
        let text = serde_json::to_string(&Part::uncertain(region, "", "-m x")).unwrap();
        assert_eq!(
            text,
            r#"{"depends-on":"-m x","family":4,"from":"10.1.0.0/24","proto":"tcp","port":"80-443","iif":"eth*"}"#
        );
        for wrong in [r#"{"family":5}"#, r#"{"family":4,"port":"99999"}"#, r#"{"family":4,"prot":"tcp"}"#] {
            assert!(serde_json::from_str::<Part>(wrong).is_err(), "{wrong}");
        }
    }
}
