//! Regions as people and programs read them: few boxes with lists of addresses, ports and names.

use super::decide::join::join;
use crate::packet::{
    ConnState, Family, Field, IntervalSet, Path, Region, Value, addr, flags, interface_name, mac_text, proto,
    shared_carriers,
};
use serde::Serialize;
use std::fmt;

/// A box of packets: one is in it when each of its fields is in that field's list. A field that is left out is one
/// that the protocols do not have, or that the question cannot tell apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Flow {
    /// 4 or 6.
    pub family: u8,
    /// Sources, as prefixes, ranges and addresses.
    pub from: Vec<String>,
    /// Destinations, likewise.
    pub to: Vec<String>,
    /// Protocols by name, number or range of numbers; `any` = all.
    pub proto: Vec<String>,
    /// Source ports: `22`, `80-443`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sport: Option<Vec<String>>,
    /// Destination ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Vec<String>>,
    /// ICMP types, `8`, or types with code, `3/1`; `*` = all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Vec<String>>,
    /// TCP flags as `SET/LOOKED-AT`: `SYN/FIN,SYN,RST,ACK`. Left out if all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_flags: Option<Vec<String>>,
    /// Connection states. Left out if all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ct: Option<Vec<String>>,
    /// Input interfaces: names, beginnings (`eth*`), `*` = all; those with `!` are taken away from the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iif: Option<Vec<String>>,
    /// Output interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oif: Option<Vec<String>>,
    /// Source hardware addresses. Left out if all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<Vec<String>>,
}

/// The boxes of some disjoint regions: adjacent ones joined, the largest first.
pub fn flows(regions: &[Region], path: Path) -> Vec<Flow> {
    boxes(regions, path).into_iter().map(|(_, f)| f).collect()
}

/// As [`flows`], each with its region.
pub fn boxes(regions: &[Region], path: Path) -> Vec<(Region, Flow)> {
    let weighed = apart(regions).into_iter().map(|b| (b.weight(), flow(&b, path), b));
    let mut weighed: Vec<(f64, Flow, Region)> = weighed.collect();
    weighed.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    weighed.into_iter().map(|(_, f, b)| (b, f)).collect()
}

/// The regions of [`boxes`] alone, the largest first.
pub fn largest_first(regions: &[Region]) -> Vec<Region> {
    let mut weighed: Vec<(f64, Region)> = apart(regions).into_iter().map(|b| (b.weight(), b)).collect();
    weighed.sort_by(|a, b| b.0.total_cmp(&a.0));
    weighed.into_iter().map(|(_, b)| b).collect()
}

// Joined, protocols with other fields apart.
fn apart(regions: &[Region]) -> Vec<Region> {
    let mut boxes: Vec<Region> = regions.iter().flat_map(Region::normal).collect();
    join(&mut boxes);
    let mut boxes: Vec<Region> = boxes.iter().flat_map(by_fields).collect();
    join_alike(&mut boxes);
    boxes
}

/// One region in normal form as a box.
pub fn flow(region: &Region, path: Path) -> Flow {
    let protocols = region.get(Field::Proto);
    let carried = |f: Field| shared_carriers(f).is_none_or(|c| c.covers(protocols));
    let restricted = |f: Field| *region.get(f) != f.all();
    let ports = |f: Field| carried(f).then(|| numbers(region.get(f)));
    let (into, out) = match path {
        Path::Input => (true, false),
        Path::Output => (false, true),
        Path::Forward => (true, true),
        Path::Ingress | Path::Egress => (false, false),
    };
    let names = |f: Field, has: bool| (has || restricted(f)).then(|| interfaces(region.get(f)));
    let v4 = region.get(Field::Dst).first().is_none_or(|a| addr::family(a) == Family::V4);
    Flow {
        family: if v4 { 4 } else { 6 },
        from: addr::display(region.get(Field::Src)),
        to: addr::display(region.get(Field::Dst)),
        proto: self::protocols(protocols),
        sport: ports(Field::Sport),
        port: ports(Field::Dport),
        icmp: carried(Field::Icmp).then(|| icmp(region.get(Field::Icmp))),
        tcp_flags: restricted(Field::TcpFlags).then(|| tcp_flags(region.get(Field::TcpFlags))),
        ct: restricted(Field::State).then(|| states(region.get(Field::State))),
        iif: names(Field::Iif, into).filter(|n| !n.is_empty()),
        oif: names(Field::Oif, out).filter(|n| !n.is_empty()),
        mac: restricted(Field::Mac).then(|| macs(region.get(Field::Mac))),
    }
}

impl Flow {
    /// The same with at most so many entries in each list; `more` puts the number of the others into words. `None` if no list is longer.
    pub fn shortened(&self, most: usize, more: &dyn Fn(usize) -> String) -> Option<Flow> {
        let mut out = self.clone();
        let mut any = false;
        let fields = [
            &mut out.sport,
            &mut out.port,
            &mut out.icmp,
            &mut out.tcp_flags,
            &mut out.ct,
            &mut out.iif,
            &mut out.oif,
            &mut out.mac,
        ];
        let own = [&mut out.from, &mut out.to, &mut out.proto];
        for list in own.into_iter().chain(fields.into_iter().flatten()).filter(|l| l.len() > most) {
            let others = list.len() - most;
            list.truncate(most);
            list.push(more(others));
            any = true;
        }
        any.then_some(out)
    }
}

// A box of several protocols shows the fields that all of them have; one that hides a field of some of them must not
// restrict it, which the normal form ensures. Protocols with ports stand apart from others, so that their ports show.
fn by_fields(region: &Region) -> Vec<Region> {
    let protocols = region.get(Field::Proto);
    if *protocols == Field::Proto.all() {
        return vec![region.clone()];
    }
    let mut out = Vec::new();
    let mut rest = protocols.clone();
    for field in [Field::Dport, Field::Icmp] {
        let Some(with) = shared_carriers(field) else { continue };
        let here = rest.intersect(with);
        rest = rest.minus(with);
        if !here.is_empty() {
            out.push(region.with(Field::Proto, here));
        }
    }
    if !rest.is_empty() {
        out.push(region.with(Field::Proto, rest));
    }
    out
}

// Joins boxes of protocols with the same fields.
fn join_alike(boxes: &mut Vec<Region>) {
    let class = |r: &Region| {
        let p = r.get(Field::Proto);
        let has = |f| shared_carriers(f).is_some_and(|c| c.covers(p));
        u32::from(has(Field::Dport)) | u32::from(has(Field::Icmp)) << 1
    };
    let mut alike: Vec<(Region, u32)> =
        boxes.drain(..).map(|r| (class(&r), r)).map(|(c, r)| (r, c)).collect();
    join(&mut alike);
    boxes.extend(alike.into_iter().map(|a| a.0));
}

/// Numbers and ranges: `22`, `80-443`.
pub fn numbers(set: &IntervalSet) -> Vec<String> {
    let text = |(lo, hi): &(Value, Value)| if lo == hi { lo.to_string() } else { format!("{lo}-{hi}") };
    set.ranges().iter().map(text).collect()
}

/// Protocols by name, or as ranges of numbers.
pub fn protocols(set: &IntervalSet) -> Vec<String> {
    if *set == Field::Proto.all() {
        return vec!["any".to_owned()];
    }
    let mut out = Vec::new();
    for (lo, hi) in set.ranges() {
        if hi - lo < 4 {
            out.extend((*lo..=*hi).map(|p| proto::name(p as u8)));
        } else {
            out.push(format!("{lo}-{hi}"));
        }
    }
    out
}

fn icmp(set: &IntervalSet) -> Vec<String> {
    if *set == Field::Icmp.all() {
        return vec!["*".to_owned()];
    }
    let mut out = Vec::new();
    for (lo, hi) in set.ranges() {
        let (mut at, hi) = (*lo, *hi);
        while at <= hi {
            let last = (at | 0xff).min(hi);
            let (kind, from, to) = (at >> 8, at & 0xff, last & 0xff);
            out.push(match (from, to) {
                (0, 0xff) => kind.to_string(),
                (a, b) if a == b => format!("{kind}/{a}"),
                (a, b) => format!("{kind}/{a}-{b}"),
            });
            at = last + 1;
        }
    }
    out
}

fn states(set: &IntervalSet) -> Vec<String> {
    ConnState::ALL.iter().filter(|s| set.contains(s.value())).map(|s| s.name().to_owned()).collect()
}

fn macs(set: &IntervalSet) -> Vec<String> {
    let text = |(lo, hi): &(Value, Value)| {
        if lo == hi { mac_text(*lo) } else { format!("{}-{}", mac_text(*lo), mac_text(*hi)) }
    };
    set.ranges().iter().map(text).collect()
}

/// TCP flag bytes as patterns `SET/LOOKED-AT`, fewest first.
pub fn tcp_flags(set: &IntervalSet) -> Vec<String> {
    let inside: Vec<bool> = (0..=255u8).map(|f| set.contains(f.into())).collect();
    let mut open = inside.clone();
    let mut out = Vec::new();
    // Masks with few bits first: each pattern takes all it can.
    let mut masks: Vec<u8> = (0..=255).collect();
    masks.sort_by_key(|m| (m.count_ones(), *m));
    for mask in masks {
        if !open.contains(&true) {
            break;
        }
        for value in subsets(mask) {
            let bytes = subsets(!mask).map(|rest| usize::from(value | rest));
            if bytes.clone().all(|f| inside[f]) && bytes.clone().any(|f| open[f]) {
                bytes.for_each(|f| open[f] = false);
                out.push(format!("{}/{}", flag_names(value), flag_names(mask)));
            }
        }
    }
    out
}

// All numbers with none but these bits, in ascending order.
fn subsets(mask: u8) -> impl Iterator<Item = u8> + Clone {
    std::iter::successors(Some(0u8), move |s| Some(s.wrapping_sub(mask) & mask).filter(|next| *next != 0))
}

fn flag_names(f: u8) -> String {
    let names: Vec<_> = (0..8).filter(|b| f & 1 << b != 0).map(|b| flags::NAMES[b]).collect();
    if names.is_empty() { "NONE".to_owned() } else { names.join(",") }
}

/// Interface names, beginnings (`eth*`) and `*`; what stands behind `!` is taken away. The name of "no interface" is
/// left out; a set of only that gives an empty list.
pub fn interfaces(set: &IntervalSet) -> Vec<String> {
    // A gap that is a name or a beginning reads better as an exception.
    let mut spans: Vec<(Value, Value)> = Vec::new();
    let mut gaps: Vec<(Value, Value)> = Vec::new();
    let all = Field::Iif.all();
    let top = all.last().unwrap_or(0);
    let mut ranges: Vec<(Value, Value)> = set.ranges().to_vec();
    // Whether "no interface" belongs to it does not show.
    match ranges.first_mut() {
        Some(first) if first.0 == 1 => first.0 = 0,
        Some(first) if *first == (0, 0) => {
            ranges.remove(0);
        }
        _ => {}
    }
    for (lo, hi) in ranges {
        match spans.last_mut() {
            Some(last) if is_name(last.1 + 1, lo - 1) && !(is_name(last.0, last.1) && is_name(lo, hi)) => {
                gaps.push((last.1 + 1, lo - 1));
                last.1 = hi;
            }
            _ => spans.push((lo, hi)),
        }
    }
    let mut out: Vec<String> = Vec::new();
    for (lo, hi) in spans {
        if is_name(lo, hi) || (lo, hi) == (0, top) {
            out.push(name(lo, hi));
            continue;
        }
        // A bound that no rule can have written: shown as it is.
        out.push(format!("{}..{}", interface_name(lo), interface_name(hi)));
    }
    out.extend(gaps.into_iter().map(|(a, b)| format!("!{}", name(a, b))));
    out
}

// Whether an interval is one name, or all names with a beginning.
fn is_name(lo: Value, hi: Value) -> bool {
    if lo > hi {
        return false;
    }
    let span = hi - lo;
    lo == hi || (span & span.wrapping_add(1) == 0 && lo & span == 0 && span.count_ones().is_multiple_of(8))
}

fn name(lo: Value, hi: Value) -> String {
    if lo == hi { interface_name(lo) } else { format!("{}*", interface_name(lo)) }
}

impl fmt::Display for Flow {
    /// `tcp 10.0.0.0/24 > 10.1.0.10 port 22, 80-443, on eth0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |l: &[String]| l.join(", ");
        write!(f, "{} {} > {}", list(&self.proto), list(&self.from), list(&self.to))?;
        let whole = |l: &[String]| l == ["0-65535"] || l == ["*"];
        for (word, field) in [
            ("port", &self.port),
            ("from port", &self.sport),
            ("type", &self.icmp),
            ("flags", &self.tcp_flags),
            ("in state", &self.ct),
            ("arriving on", &self.iif),
            ("leaving by", &self.oif),
            ("with hardware address", &self.mac),
        ] {
            if let Some(l) = field.as_ref().filter(|l| !whole(l)) {
                write!(f, " {word} {}", list(l))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{interface_prefix, interface_value};

    fn all() -> Region {
        Region::all(Family::V4)
    }

    fn port(r: &Region, lo: u16, hi: u16) -> Region {
        r.cut(Field::Dport, &IntervalSet::range(lo, hi))
    }

    #[test]
    fn adjacent_boxes_are_joined_and_the_largest_comes_first() {
        let tcp = all().protocol(proto::TCP);
        let parts = [port(&tcp, 22, 22), port(&tcp, 80, 100), port(&tcp, 101, 443)];
        let found = flows(&parts, Path::Input);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].port, Some(vec!["22".to_owned(), "80-443".to_owned()]));
        assert_eq!(found[0].sport, Some(vec!["0-65535".to_owned()]));
        assert_eq!((found[0].iif.as_deref(), &found[0].oif), (Some(&["*".to_owned()][..]), &None));
        assert_eq!(found[0].icmp, None);
        assert_eq!(found[0].to_string(), "tcp 0.0.0.0/0 > 0.0.0.0/0 port 22, 80-443");
        let one = addr::parse("192.0.2.1").unwrap();
        let small = all().protocol(proto::UDP).cut(Field::Dst, &one);
        let found = flows(&[small, port(&tcp, 22, 22)], Path::Input);
        assert_eq!(found[0].proto, ["tcp"]);
    }

    #[test]
    fn a_box_shows_only_fields_that_its_protocols_have() {
        let found = flows(&[all()], Path::Forward);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].proto, ["any"]);
        assert_eq!((&found[0].port, &found[0].icmp), (&None, &None));
        let ssh = port(&all(), 22, 22);
        let found = flows(&[ssh], Path::Forward);
        assert!(found.iter().all(|f| f.port.is_none() || f.icmp.is_none()), "{found:?}");
        let with_ports: Vec<_> = found.iter().filter(|f| f.port.is_some()).collect();
        assert_eq!(with_ports.len(), 1);
        assert_eq!(with_ports[0].proto, ["tcp", "udp", "dccp", "sctp", "udplite"]);
        let ping = all().protocol(1).cut(Field::Icmp, &IntervalSet::range(0x800u16, 0x8ffu16));
        assert_eq!(flows(&[ping], Path::Input)[0].icmp, Some(vec!["8".to_owned()]));
    }

    #[test]
    fn long_lists_are_cut_and_counted() {
        let ports: IntervalSet = (0..10u16).map(|n| Value::from(n * 2)).collect();
        let flow = flow(&all().protocol(proto::TCP).cut(Field::Dport, &ports), Path::Input);
        let more = |n: usize| format!("{n} more");
        assert_eq!(flow.shortened(10, &more), None);
        let short = flow.shortened(3, &more).unwrap();
        assert_eq!(short.port.unwrap(), ["0", "2", "4", "7 more"]);
        assert_eq!((short.from, short.sport), (flow.from, flow.sport));
    }

    #[test]
    fn interface_names_show_as_written() {
        let one = |n: &str| IntervalSet::single(interface_value(n).unwrap());
        let eth = interface_prefix("eth").unwrap();
        let every = Field::Iif.all();
        for (set, shown) in [
            (every.clone(), vec!["*"]),
            (one("eth0"), vec!["eth0"]),
            (one("eth0").union(&one("eth1")), vec!["eth0", "eth1"]),
            (every.minus(&one("eth0")), vec!["*", "!eth0"]),
            (every.minus(&one("eth0")).minus(&one("lo")), vec!["*", "!eth0", "!lo"]),
            (eth.clone(), vec!["eth*"]),
            (eth.minus(&one("eth0")), vec!["eth*", "!eth0"]),
            (every.minus(&eth), vec!["*", "!eth*"]),
            (every.minus(&eth).minus(&one("")), vec!["*", "!eth*"]),
            (one(""), vec![]),
        ] {
            assert_eq!(interfaces(&set), shown);
        }
    }

    #[test]
    fn flag_patterns_are_few() {
        let syn = flags::masked(flags::SYN | flags::ACK | flags::RST | flags::FIN, flags::SYN);
        assert_eq!(tcp_flags(&syn), ["SYN/FIN,SYN,RST,ACK"]);
        assert_eq!(tcp_flags(&Field::TcpFlags.complement(&syn)).len(), 4);
    }
}
