//! Which firewalls are of one box, where no deployment file says so.

use crate::model::Firewall;
use crate::packet::Family;
use std::collections::{BTreeMap, BTreeSet};

/// Firewalls of one box, by their numbers in a run's list, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SameBox {
    /// The numbers.
    pub members: Vec<usize>,
    /// They were joined because of their names: `rules.v4` and `rules.v6`. To be reported, for it is a guess.
    pub by_name: bool,
}

/// The boxes that firewalls belong to: each file is a box of its own, but an IPv4 dump and an IPv6 dump of one folder whose names
/// differ only in the family are one host's. With `one`, all are of one box.
pub fn boxes(firewalls: &[&Firewall], one: bool) -> Vec<SameBox> {
    if one || firewalls.len() < 2 {
        let members: Vec<usize> = (0..firewalls.len()).collect();
        return if members.is_empty() { Vec::new() } else { vec![SameBox { members, by_name: false }] };
    }
    let mut pairs: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, f) in firewalls.iter().enumerate() {
        pairs.entry(stem(f.path())).or_default().push(i);
    }
    let speaks = |i: usize, f| firewalls[i].covers(f);
    let only = |i: usize, own, other| speaks(i, own) && !speaks(i, other);
    // The second of each pair by the first.
    let joined: BTreeMap<usize, usize> = pairs
        .into_values()
        .filter_map(|p| <[usize; 2]>::try_from(p).ok())
        .filter(|p| p.iter().all(|i| firewalls[*i].dialect.ends_with("tables")))
        .filter(|[a, b]| {
            let apart = |a, b| only(a, Family::V4, Family::V6) && only(b, Family::V6, Family::V4);
            apart(*a, *b) || apart(*b, *a)
        })
        .map(|[a, b]| (a, b))
        .collect();
    let seconds: BTreeSet<usize> = joined.values().copied().collect();
    let firsts = (0..firewalls.len()).filter(|i| !seconds.contains(i));
    firsts
        .map(|i| match joined.get(&i) {
            Some(second) => SameBox { members: vec![i, *second], by_name: true },
            None => SameBox { members: vec![i], by_name: false },
        })
        .collect()
}

/// A path without what tells the family in the file's name: those of one box may have the same.
pub fn stem(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(f, n)| (f, n));
    let name = name.to_lowercase();
    // Longer words first: `ip6tables` holds `6`.
    let words = [
        ("ip6tables", "iptables"),
        ("ipv6", "ipv"),
        ("ipv4", "ipv"),
        ("v6", "v"),
        ("v4", "v"),
        ("inet6", "inet"),
        ("ip6", "ip"),
        ("ip4", "ip"),
        ("6.", "."),
        ("4.", "."),
    ];
    let found = words.iter().find(|(w, _)| name.contains(w));
    format!("{folder}/{}", found.map_or_else(|| name.clone(), |(w, neutral)| name.replacen(w, neutral, 1)))
}

/// A name for a box: its file, or its files.
pub fn name(members: &[&Firewall]) -> String {
    let paths: Vec<&str> = members.iter().map(|f| f.path()).collect();
    paths.join(" + ")
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn names_of_one_host_have_one_stem() {
        for (a, b) in [
            ("h/rules.v4", "h/rules.v6"),
            ("h/cms-1.v4.rules", "h/cms-1.v6.rules"),
            ("iptables", "ip6tables"),
            ("etc/iptables-save.txt", "etc/ip6tables-save.txt"),
            ("web-ipv4.rules", "web-IPv6.rules"),
            ("a.ip4", "a.ip6"),
            ("fw.rules", "fw6.rules"),
        ] {
            assert_eq!(stem(a), stem(b), "{a} {b}");
        }
        assert_ne!(stem("a/rules.v4"), stem("b/rules.v6"));
        assert_ne!(stem("cms-1.v4.rules"), stem("cms-2.v6.rules"));
        assert_ne!(stem("web.rules"), stem("mail6.rules"));
    }
}
