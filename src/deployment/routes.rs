//! Addresses and routes of a box, as its own tools print them: `ip address`, `ip route` (iproute2), with `-j` or without.

use crate::packet::{Family, IntervalSet, Value, addr};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Where a box sends packets, and its own addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// Its own addresses by interface.
    pub addresses: BTreeMap<String, IntervalSet>,
    /// Its routes, as listed.
    pub list: Vec<Route>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Destinations.
    pub to: IntervalSet,
    /// The interface by which they leave; `None` = packets are discarded (`blackhole`, `unreachable`, `prohibit`).
    pub interface: Option<String>,
    /// The next router; `None` = on the link.
    pub via: Option<Value>,
    /// Of routes to the same destinations, the lower one wins.
    pub metric: u64,
}

impl Routes {
    /// Adds what a text says.
    ///
    /// # Errors
    /// The line (from 1), and what is wrong there.
    pub fn read(&mut self, text: &str) -> Result<(), (usize, String)> {
        if text.trim_start().starts_with('[') {
            let json: Json = serde_json::from_str(text).map_err(|e| (e.line(), e.to_string()))?;
            return json
                .as_array()
                .into_iter()
                .flatten()
                .try_for_each(|e| self.object(e))
                .map_err(|e| (1, e));
        }
        let mut link = String::new();
        let mut multipath: Option<(IntervalSet, u64)> = None;
        for (n, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let wrong = |message: String| (n + 1, message);
            match words.as_slice() {
                [] => {}
                // `2: eth0@if5: <BROADCAST,…>`
                [number, name, flags, ..] if number.ends_with(':') && flags.starts_with('<') => {
                    link = name.trim_end_matches(':').split('@').next().unwrap_or_default().to_owned();
                }
                ["inet" | "inet6", address, ..] if !link.is_empty() => {
                    let (own, net) = interface_address(address)
                        .ok_or_else(|| wrong(format!("`{address}` is not an address")))?;
                    self.address(&link, own, net);
                }
                _ if !link.is_empty() && line.starts_with([' ', '\t']) => {}
                ["nexthop", rest @ ..] => {
                    let (to, metric) =
                        multipath.clone().ok_or_else(|| wrong("a next hop without its route".to_owned()))?;
                    let hop = keys(rest);
                    self.route(to, hop.interface, hop.via, metric).map_err(wrong)?;
                }
                words => {
                    let (kind, words) = match words.split_first() {
                        Some((k @ (&"blackhole" | &"unreachable" | &"prohibit"), rest)) => (Some(*k), rest),
                        // Tables of the kernel's own: nothing passes by them.
                        Some((&("local" | "broadcast" | "multicast" | "anycast"), _)) => continue,
                        Some((&"unicast", rest)) => (None, rest),
                        _ => (None, words),
                    };
                    let Some((to, rest)) = words.split_first() else { continue };
                    let hop = keys(rest);
                    let v6 = hop.via.is_some_and(|v| addr::family(v) == Family::V6) || text.contains("::");
                    let to = destination(to, v6)
                        .ok_or_else(|| wrong(format!("`{to}` is not a destination of a route")))?;
                    if kind.is_none() && hop.interface.is_none() {
                        if hop.via.is_some() {
                            return Err(wrong("this route names no interface: add `dev NAME`".to_owned()));
                        }
                        multipath = Some((to, hop.metric));
                        continue;
                    }
                    self.route(to, hop.interface.filter(|_| kind.is_none()), hop.via, hop.metric)
                        .map_err(wrong)?;
                }
            }
        }
        Ok(())
    }

    fn object(&mut self, entry: &Json) -> Result<(), String> {
        let text = |key: &str| entry.get(key).and_then(Json::as_str);
        if let Some(name) = text("ifname") {
            for a in entry.get("addr_info").and_then(Json::as_array).into_iter().flatten() {
                let (Some(local), Some(length)) =
                    (a.get("local").and_then(Json::as_str), a.get("prefixlen").and_then(Json::as_u64))
                else {
                    continue;
                };
                let (own, net) = interface_address(&format!("{local}/{length}"))
                    .ok_or_else(|| format!("`{local}/{length}` is not an address"))?;
                self.address(name, own, net);
            }
            return Ok(());
        }
        let Some(to) = text("dst") else { return Ok(()) };
        if matches!(text("type"), Some("local" | "broadcast" | "multicast" | "anycast")) {
            return Ok(());
        }
        let discards = matches!(text("type"), Some("blackhole" | "unreachable" | "prohibit"));
        let metric = entry.get("metric").and_then(Json::as_u64).unwrap_or(0);
        let hop = |e: &Json| {
            let of = |key: &str| e.get(key).and_then(Json::as_str);
            let via = of("gateway").or_else(|| e.get("via")?.get("host")?.as_str());
            (of("dev").map(str::to_owned), via.and_then(value))
        };
        let hops: Vec<_> = match entry.get("nexthops").and_then(Json::as_array) {
            Some(list) => list.iter().map(hop).collect(),
            None => vec![hop(entry)],
        };
        for (interface, via) in hops {
            let v6 = via.is_some_and(|v| addr::family(v) == Family::V6)
                || to.contains(':')
                || text("pref").is_some();
            let set = destination(to, v6).ok_or_else(|| format!("`{to}` is not a destination of a route"))?;
            self.route(set, interface.filter(|_| !discards), via, metric)?;
        }
        Ok(())
    }

    fn address(&mut self, interface: &str, own: Value, net: IntervalSet) {
        if interface == "lo" {
            return;
        }
        let all = self.addresses.entry(interface.to_owned()).or_default();
        *all = all.union(&IntervalSet::single(own));
        let link = Route { to: net, interface: Some(interface.to_owned()), via: None, metric: 0 };
        if !self.list.contains(&link) {
            self.list.push(link);
        }
    }

    fn route(
        &mut self,
        to: IntervalSet,
        interface: Option<String>,
        via: Option<Value>,
        metric: u64,
    ) -> Result<(), String> {
        if interface.as_deref() == Some("lo") {
            return Ok(());
        }
        let route = Route { to, interface, via, metric };
        if !self.list.contains(&route) {
            self.list.push(route);
        }
        Ok(())
    }

    // Routes from the most specific to the least, those that win over others of the same destinations first.
    fn ordered(&self) -> Vec<&Route> {
        let mut all: Vec<&Route> = self.list.iter().filter(|r| !is_local(&r.to)).collect();
        all.sort_by_key(|r| (r.to.count(), r.metric));
        all
    }

    /// Addresses behind each interface: the most specific route decides. Interfaces of equally good routes share them.
    pub fn behind(&self) -> Vec<(String, IntervalSet)> {
        let mut out: BTreeMap<String, IntervalSet> = BTreeMap::new();
        for (interface, _, part) in self.parts() {
            let all = out.entry(interface).or_default();
            *all = all.union(&part);
        }
        out.into_iter().filter(|(_, s)| !s.is_empty()).collect()
    }

    /// The next routers to some addresses; an address on a link is its own.
    pub fn next(&self, to: &IntervalSet) -> IntervalSet {
        let parts = self.parts().into_iter().filter(|(_, _, part)| part.intersects(to));
        parts.fold(IntervalSet::EMPTY, |all, (_, via, part)| match via {
            Some(v) => all.union(&IntervalSet::single(v)),
            None => all.union(&part.intersect(to)),
        })
    }

    // Each route's interface and next router, with the destinations that really take it.
    fn parts(&self) -> Vec<(String, Option<Value>, IntervalSet)> {
        let ordered = self.ordered();
        let mut out = Vec::new();
        let mut taken = IntervalSet::EMPTY;
        let mut at = 0;
        while let Some(first) = ordered.get(at) {
            let equal: Vec<_> = ordered[at..]
                .iter()
                .take_while(|r| r.to.count() == first.to.count() && r.metric == first.metric)
                .collect();
            for r in &equal {
                if let Some(interface) = &r.interface {
                    out.push((interface.clone(), r.via, r.to.minus(&taken)));
                }
            }
            for r in &equal {
                taken = taken.union(&r.to);
            }
            at += equal.len();
        }
        out
    }
}

struct Keys {
    interface: Option<String>,
    via: Option<Value>,
    metric: u64,
}

// `via [inet6] ADDRESS`, `dev NAME` and `metric N` among other words.
fn keys(words: &[&str]) -> Keys {
    let after = |key: &str| {
        let at = words.iter().position(|w| *w == key)?;
        words.get(at + 1).copied()
    };
    let via = match after("via") {
        Some("inet" | "inet6") => {
            words.iter().position(|w| *w == "via").and_then(|at| words.get(at + 2).copied())
        }
        other => other,
    };
    Keys {
        interface: after("dev").map(str::to_owned),
        via: via.and_then(value),
        metric: after("metric").and_then(|m| m.parse().ok()).unwrap_or(0),
    }
}

fn value(text: &str) -> Option<Value> {
    text.parse::<IpAddr>().ok().map(addr::value)
}

// An address with the length of its network: the address and the network.
fn interface_address(text: &str) -> Option<(Value, IntervalSet)> {
    let net: ipnet::IpNet = match text.parse() {
        Ok(net) => net,
        Err(_) => text.parse::<IpAddr>().ok()?.into(),
    };
    Some((addr::value(net.addr()), addr::parse(&net.trunc().to_string())?))
}

fn destination(text: &str, v6: bool) -> Option<IntervalSet> {
    match text {
        "default" if v6 => Some(Family::V6.all()),
        "default" => Some(Family::V4.all()),
        _ => addr::parse(text),
    }
}

// Link-local and multicast: on every link.
fn is_local(to: &IntervalSet) -> bool {
    ["fe80::/10", "ff00::/8", "169.254.0.0/16", "224.0.0.0/4"]
        .iter()
        .filter_map(|t| addr::parse(t))
        .any(|local| local.covers(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> IntervalSet {
        text.split(' ').filter_map(addr::parse).fold(IntervalSet::EMPTY, |all, s| all.union(&s))
    }

    const ADDRESS: &str = "\
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
       valid_lft forever preferred_lft forever
4: eth0@if5: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000
    link/ether 02:fc:00:00:00:01 brd ff:ff:ff:ff:ff:ff link-netnsid 0
    inet 10.1.0.1/24 brd 10.1.0.255 scope global eth0
       valid_lft forever preferred_lft forever
    inet6 fd00:1::1/64 scope global nodad
       valid_lft forever preferred_lft forever
    inet6 fe80::fc:ff:fe00:1/64 scope link
5: eth1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500
    inet 192.0.2.2/30 scope global eth1
";
    const ROUTE: &str = "\
default via 192.0.2.1 dev eth1 proto static
10.1.0.0/24 dev eth0 proto kernel scope link src 10.1.0.1
10.2.0.0/16 via 10.1.0.2 dev eth0 metric 100
10.2.0.0/16 via 192.0.2.1 dev eth1 metric 200
blackhole 10.9.0.0/16
10.5.0.0/16
\tnexthop via 10.1.0.2 dev eth0 weight 1
\tnexthop via 192.0.2.1 dev eth1 weight 1
192.0.2.0/30 dev eth1 proto kernel scope link src 192.0.2.2
";

    #[test]
    fn text_of_the_tools() {
        let mut r = Routes::default();
        r.read(ADDRESS).unwrap();
        r.read(ROUTE).unwrap();
        assert_eq!(r.addresses["eth1"], set("192.0.2.2"));
        assert!(r.addresses["eth0"].covers(&set("10.1.0.1 fd00:1::1")));
        let behind: BTreeMap<String, IntervalSet> = r.behind().into_iter().collect();
        assert!(behind["eth0"].covers(&set("10.1.0.0/24 10.2.0.0/16 10.5.0.0/16 fd00:1::/64")));
        assert!(!behind["eth0"].intersects(&set("10.9.0.0/16 10.3.0.0/16")));
        assert!(behind["eth1"].covers(&set("203.0.113.0/24 10.5.0.0/16 192.0.2.0/30")));
        assert!(!behind["eth1"].intersects(&set("10.1.0.0/24 10.2.0.0/16 10.9.0.0/16")));
        assert_eq!(r.next(&set("10.2.3.4")), set("10.1.0.2"));
        assert_eq!(r.next(&set("10.5.0.1")), set("10.1.0.2 192.0.2.1"));
        assert_eq!(r.next(&set("10.1.0.9")), set("10.1.0.9"));
        assert!(r.next(&set("10.9.0.1")).is_empty());
    }

    #[test]
    fn json_of_the_tools_says_the_same() {
        let address = r#"[{"ifname":"eth0","addr_info":[{"family":"inet","local":"10.1.0.1","prefixlen":24},{"family":"inet6","local":"fd00:1::1","prefixlen":64}]},
            {"ifname":"eth1","addr_info":[{"family":"inet","local":"192.0.2.2","prefixlen":30}]},{"ifname":"lo","addr_info":[{"local":"127.0.0.1","prefixlen":8}]}]"#;
        let route = r#"[{"dst":"default","gateway":"192.0.2.1","dev":"eth1","flags":[]},{"dst":"10.1.0.0/24","dev":"eth0","protocol":"kernel"},
            {"dst":"10.2.0.0/16","gateway":"10.1.0.2","dev":"eth0","metric":100,"flags":[]},{"dst":"10.2.0.0/16","gateway":"192.0.2.1","dev":"eth1","metric":200},
            {"type":"blackhole","dst":"10.9.0.0/16","flags":[]},
            {"dst":"10.5.0.0/16","flags":[],"nexthops":[{"gateway":"10.1.0.2","dev":"eth0","weight":1},{"gateway":"192.0.2.1","dev":"eth1","weight":1}]},
            {"dst":"192.0.2.0/30","dev":"eth1"}]"#;
        let (mut text, mut json) = (Routes::default(), Routes::default());
        text.read(&ADDRESS.replace("    inet6 fe80::fc:ff:fe00:1/64 scope link\n", "")).unwrap();
        text.read(ROUTE).unwrap();
        json.read(address).unwrap();
        json.read(route).unwrap();
        assert_eq!(text.behind(), json.behind());
        assert_eq!(text.addresses, json.addresses);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for (text, line) in [
            ("default via 10.0.0.1 dev eth0\nnonsense here\n", 2),
            ("10.0.0.0/8 via 10.1.0.1\n", 1),
            ("[{\n]", 2),
        ] {
            assert_eq!(Routes::default().read(text).unwrap_err().0, line, "{text}");
        }
    }
}
