//! Addresses and routes of a box, as its own tools print them: `ip address`, `ip route` (iproute2), with `-j`, `-o`, `-d`, `-4`, `-6` or without.

use crate::model::{Next, Route, Routes};
use crate::packet::{Family, IntervalSet, Value, addr};
use serde_json::Value as Json;
use std::net::IpAddr;

/// A route that the kernel has by an address alone loses against one that is listed (`noprefixroute`).
const UNLISTED: u64 = u64::MAX;
/// Tables that packets are asked about without a rule of their own (`/etc/iproute2/rt_tables`).
const MAIN: [&str; 4] = ["main", "254", "default", "253"];

/// Adds to routes what a text says.
///
/// # Errors
/// The line (from 1), and what is wrong there.
pub fn read(routes: &mut Routes, text: &str) -> Result<(), (usize, String)> {
    if text.trim_start().starts_with(['[', '{']) {
        let json: Json = serde_json::from_str(text).map_err(|e| (e.line(), e.to_string()))?;
        let Some(list) = json.as_array() else {
            let aws = json.get("RouteTables").is_some();
            let why = if aws {
                "route tables of AWS belong beside the security groups"
            } else {
                "a list is expected"
            };
            return Err((1, why.to_owned()));
        };
        return list.iter().try_for_each(|e| object(routes, e, list)).map_err(|e| (1, e));
    }
    let mut reader = Text { routes, v6: is_v6(text), link: String::new(), multipath: None };
    text.lines().enumerate().try_for_each(|(n, line)| reader.line(line).map_err(|e| (n + 1, e)))
}

/// A text of the tools, line by line.
struct Text<'r> {
    routes: &'r mut Routes,
    // What a default route is for that does not say its family.
    v6: bool,
    // The link that addresses belong to.
    link: String,
    // The route that next hops belong to.
    multipath: Option<(IntervalSet, u64)>,
}

impl Text<'_> {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            // `2: eth0@if5: <BROADCAST,…>`
            [number, name, flags, ..] if number.ends_with(':') && flags.starts_with('<') => {
                self.link = name.trim_end_matches(':').split('@').next().unwrap_or_default().to_owned();
            }
            // `2: eth0    inet 10.1.0.1/24 …`, one line an address (`-o`)
            [number, name, "inet" | "inet6", rest @ ..] if number.ends_with(':') => {
                let name = name.split('@').next().unwrap_or_default();
                self.address(name, rest)?;
            }
            ["inet" | "inet6", rest @ ..] if !self.link.is_empty() => {
                let link = self.link.clone();
                self.address(&link, rest)?;
            }
            ["nexthop", rest @ ..] => {
                let (to, metric) = self.multipath.clone().ok_or("a next hop without its route")?;
                if !is_dead(rest) {
                    let hop = keys(rest);
                    route(self.routes, Route { to, interface: hop.interface, next: hop.next, metric });
                }
            }
            _ if !self.link.is_empty() && line.starts_with([' ', '\t']) => {}
            words => self.route(words)?,
        }
        Ok(())
    }

    // What follows `inet`.
    fn address(&mut self, link: &str, words: &[&str]) -> Result<(), String> {
        let [own, rest @ ..] = words else { return Err("an address is missing".to_owned()) };
        let peer = match rest {
            ["peer", peer, ..] => Some(*peer),
            _ => None,
        };
        let unlisted = rest.contains(&"noprefixroute");
        address(self.routes, link, own, peer, unlisted)
    }

    fn route(&mut self, words: &[&str]) -> Result<(), String> {
        let (kind, words) = match words.split_first() {
            Some((k, rest)) if DISCARDS.contains(k) => (Some(*k), rest),
            // Tables of the kernel's own: nothing passes by them.
            Some((k, _)) if OWN.contains(k) => return Ok(()),
            Some((&"unicast", rest)) => (None, rest),
            _ => (None, words),
        };
        let Some((to, rest)) = words.split_first() else { return Ok(()) };
        let hop = keys(rest);
        if table(hop.table)? || is_dead(rest) {
            return Ok(());
        }
        let v6 = hop.family.map_or(self.v6, |f| f == Family::V6);
        let to = destination(to, v6).ok_or_else(|| format!("`{to}` is not a destination of a route"))?;
        self.multipath = None;
        if kind.is_none() && hop.interface.is_none() {
            if hop.next != Next::Link {
                return Err("this route names no interface: add `dev NAME`".to_owned());
            }
            self.multipath = Some((to, hop.metric));
            return Ok(());
        }
        let interface = hop.interface.filter(|_| kind.is_none());
        route(self.routes, Route { to, interface, next: hop.next, metric: hop.metric });
        Ok(())
    }
}

const DISCARDS: [&str; 4] = ["blackhole", "unreachable", "prohibit", "throw"];
const OWN: [&str; 4] = ["local", "broadcast", "multicast", "anycast"];

// Whether a route is of the kernel's own table, by which nothing passes.
fn table(name: Option<&str>) -> Result<bool, String> {
    match name {
        None => Ok(false),
        Some("local" | "255") => Ok(true),
        Some(name) if MAIN.contains(&name) => Ok(false),
        Some(name) => Err(format!(
            "a route of table `{name}`, which only policy routing asks: that is not modelled, so leave such routes out"
        )),
    }
}

fn is_dead(words: &[&str]) -> bool {
    words.contains(&"dead")
}

// Whether routes that do not say their family are of IPv6: others beside them are, and none is of IPv4.
fn is_v6(text: &str) -> bool {
    let begin = |l: &str| l.split_whitespace().find(|w| !DISCARDS.contains(w)).and_then(addr::parse);
    let mut families = text
        .lines()
        .filter_map(begin)
        .filter_map(|s| s.ranges().first().map(|r| addr::family(r.0)))
        .peekable();
    families.peek().is_some() && families.all(|f| f == Family::V6)
}

fn object(routes: &mut Routes, entry: &Json, all: &[Json]) -> Result<(), String> {
    let text = |key: &str| entry.get(key).and_then(Json::as_str);
    if let Some(name) = text("ifname") {
        for a in entry.get("addr_info").and_then(Json::as_array).into_iter().flatten() {
            let of = |key: &str| a.get(key).and_then(Json::as_str);
            let (Some(local), Some(length)) = (of("local"), a.get("prefixlen").and_then(Json::as_u64)) else {
                continue;
            };
            let with = |address: &str| format!("{address}/{length}");
            let unlisted = a.get("noprefixroute").and_then(Json::as_bool) == Some(true);
            match of("address") {
                None => address(routes, name, &with(local), None, unlisted)?,
                Some(peer) => address(routes, name, local, Some(&with(peer)), unlisted)?,
            }
        }
        return Ok(());
    }
    let Some(to) = text("dst") else { return Ok(()) };
    let kind = text("type").unwrap_or_default();
    let number = entry.get("table").and_then(Json::as_u64).map(|n| n.to_string());
    let dead = |e: &Json| {
        e.get("flags").and_then(Json::as_array).into_iter().flatten().any(|f| f.as_str() == Some("dead"))
    };
    if OWN.contains(&kind) || table(text("table").or(number.as_deref()))? || dead(entry) {
        return Ok(());
    }
    let discards = DISCARDS.contains(&kind);
    let metric = entry.get("metric").and_then(Json::as_u64).unwrap_or(0);
    let hops: Vec<&Json> = match entry.get("nexthops").and_then(Json::as_array) {
        Some(list) => list.iter().filter(|h| !dead(h)).collect(),
        None => vec![entry],
    };
    for hop in hops {
        let of = |key: &str| hop.get(key).and_then(Json::as_str);
        let same = of("gateway").and_then(value);
        // A router of the other family.
        let other = hop.get("via").and_then(|v| v.get("host")).and_then(Json::as_str).and_then(value);
        let told = same.map(addr::family).or_else(|| other.map(|v| opposite(addr::family(v))));
        let told = told.or_else(|| text("prefsrc").and_then(value).map(addr::family));
        let told = told.or_else(|| text("pref").map(|_| Family::V6));
        let v6 = told.map_or_else(|| is_v6_list(all), |f| f == Family::V6);
        let to = destination(to, v6).ok_or_else(|| format!("`{to}` is not a destination of a route"))?;
        let next = same.or(other).map_or(Next::Link, Next::Router);
        let interface = of("dev").map(str::to_owned).filter(|_| !discards);
        if interface.is_none() && !discards {
            return Err("this route names no interface (`dev`)".to_owned());
        }
        route(routes, Route { to, interface, next, metric });
    }
    Ok(())
}

fn is_v6_list(all: &[Json]) -> bool {
    let destinations = all.iter().filter_map(|e| e.get("dst").and_then(Json::as_str));
    is_v6(&destinations.collect::<Vec<_>>().join("\n"))
}

const fn opposite(family: Family) -> Family {
    match family {
        Family::V4 => Family::V6,
        Family::V6 => Family::V4,
    }
}

// An address of an interface; of a link between two, the network is the other end.
fn address(
    routes: &mut Routes,
    interface: &str,
    own: &str,
    peer: Option<&str>,
    unlisted: bool,
) -> Result<(), String> {
    let parsed = |text: &str| interface_address(text).ok_or_else(|| format!("`{text}` is not an address"));
    let (own, mut net) = parsed(own)?;
    if let Some(peer) = peer {
        net = parsed(peer)?.1;
    }
    if interface == "lo" {
        return Ok(());
    }
    let all = routes.addresses.entry(interface.to_owned()).or_default();
    *all = all.union(&IntervalSet::single(own));
    let metric = if unlisted { UNLISTED } else { 0 };
    routes.add(Route { to: net, interface: Some(interface.to_owned()), next: Next::Link, metric });
    Ok(())
}

fn route(routes: &mut Routes, route: Route) {
    if route.interface.as_deref() != Some("lo") {
        routes.add(route);
    }
}

struct Keys<'t> {
    interface: Option<String>,
    next: Next,
    metric: u64,
    table: Option<&'t str>,
    // Of the destination, as far as these words tell.
    family: Option<Family>,
}

// `via [inet6] ADDRESS`, `dev NAME`, `metric N`, `table NAME` among other words.
fn keys<'t>(words: &[&'t str]) -> Keys<'t> {
    let at = |key: &str, n: usize| {
        let at = words.iter().position(|w| *w == key)?;
        words.get(at + n).copied()
    };
    // The family is written where it is another than the destination's.
    let (via, family) = match at("via", 1) {
        Some("inet6") => (at("via", 2), Some(Family::V4)),
        Some("inet") => (at("via", 2), Some(Family::V6)),
        other => (other, other.and_then(value).map(addr::family)),
    };
    let family = family.or_else(|| at("src", 1).and_then(value).map(addr::family));
    Keys {
        interface: at("dev", 1).map(str::to_owned),
        next: via.map_or(Next::Link, |v| value(v).map_or(Next::Unknown, Next::Router)),
        metric: at("metric", 1).and_then(|m| m.parse().ok()).unwrap_or(0),
        table: at("table", 1),
        family: family.or_else(|| words.contains(&"pref").then_some(Family::V6)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

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
        read(&mut r, ADDRESS).unwrap();
        read(&mut r, ROUTE).unwrap();
        assert_eq!(r.addresses["eth1"], set("192.0.2.2"));
        assert!(r.addresses["eth0"].covers(&set("10.1.0.1 fd00:1::1")));
        let behind: BTreeMap<String, IntervalSet> = r.behind().into_iter().collect();
        assert!(behind["eth0"].covers(&set("10.1.0.0/24 10.2.0.0/16 10.5.0.0/16 fd00:1::/64")));
        assert!(!behind["eth0"].intersects(&set("10.9.0.0/16 10.3.0.0/16")));
        assert!(behind["eth1"].covers(&set("203.0.113.0/24 10.5.0.0/16 192.0.2.0/30")));
        assert!(!behind["eth1"].intersects(&set("10.1.0.0/24 10.2.0.0/16 10.9.0.0/16")));
        assert_eq!(r.next(&set("10.2.3.4")), Some(set("10.1.0.2")));
        assert_eq!(r.next(&set("10.5.0.1")), Some(set("10.1.0.2 192.0.2.1")));
        assert_eq!(r.next(&set("10.1.0.9")), Some(set("10.1.0.9")));
        assert!(r.next(&set("10.9.0.1")).unwrap().is_empty());
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
        read(&mut text, &ADDRESS.replace("    inet6 fe80::fc:ff:fe00:1/64 scope link\n", "")).unwrap();
        read(&mut text, ROUTE).unwrap();
        read(&mut json, address).unwrap();
        read(&mut json, route).unwrap();
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
            assert_eq!(read(&mut Routes::default(), text).unwrap_err().0, line, "{text}");
        }
    }

    #[test]
    fn forms_of_the_tools() {
        let one = |text: &str| {
            let mut r = Routes::default();
            read(&mut r, text).unwrap_or_else(|e| panic!("{e:?}: {text}"));
            r.behind().into_iter().map(|(name, s)| (name, addr::display(&s).join(" "))).collect::<Vec<_>>()
        };
        let v6 = ("eth0".to_owned(), "::/0".to_owned());
        let v4 = ("eth0".to_owned(), "0.0.0.0/0".to_owned());
        for (text, expected) in [
            // The family of a default route: by its router, its own words, or the routes beside it.
            ("default via 192.0.2.1 dev eth0\n2001:db8::/64 dev lo\n", vec![v4.clone()]),
            ("default via fe80::1 dev eth0 proto ra metric 1024 pref medium\n", vec![v6.clone()]),
            ("default via inet6 fe80::1 dev eth0\n", vec![v4.clone()]),
            ("default dev eth0 scope link\n", vec![v4.clone()]),
            ("default dev eth0 metric 1024 pref medium\n", vec![v6.clone()]),
            ("default dev eth0 metric 1024\n2001:db8::/32 dev lo\n", vec![v6.clone()]),
            (
                "unreachable default dev lo metric 4294967295 error -101 pref medium\ndefault dev eth0 pref medium\n",
                vec![v6.clone()],
            ),
            (
                r#"[{"dst":"default","via":{"family":"inet6","host":"fe80::1"},"dev":"eth0"}]"#,
                vec![v4.clone()],
            ),
            (r#"[{"dst":"default","dev":"eth0","pref":"medium"}]"#, vec![v6]),
            // Next hops behind addresses in one file; dead ones; the kernel's own tables.
            (
                "2: eth0@if3: <UP>\n    inet 10.1.0.1/24 scope global eth0\n10.2.0.0/24 \n\tnexthop via 10.1.0.2 dev eth0 weight 1\n\tnexthop via 10.1.0.3 dev eth1 weight 1 dead\n",
                vec![("eth0".to_owned(), "10.1.0.0/24 10.2.0.0/24".to_owned())],
            ),
            (
                "default dev eth0 table main\nlocal 10.1.0.1 dev eth0 table local\nbroadcast 10.1.0.255 dev eth1 table local\n",
                vec![v4.clone()],
            ),
            (
                r#"[{"dst":"default","dev":"eth0","table":"main"},{"type":"local","dst":"10.1.0.1","dev":"eth1","table":"local"},{"dst":"10.9.0.0/16","dev":"eth1","flags":["dead","linkdown"]}]"#,
                vec![v4],
            ),
            // One line an address; links between two; addresses without a route of their own.
            (
                "2: eth0    inet 10.1.0.1/24 brd 10.1.0.255 scope global eth0\\       valid_lft forever\n",
                vec![("eth0".to_owned(), "10.1.0.0/24".to_owned())],
            ),
            (
                "4: tun0: <POINTOPOINT>\n    inet 10.8.0.1 peer 10.8.0.2/32 scope global tun0\n",
                vec![("tun0".to_owned(), "10.8.0.2".to_owned())],
            ),
            (
                r#"[{"ifname":"tun0","addr_info":[{"local":"10.8.0.1","address":"10.8.0.2","prefixlen":32}]}]"#,
                vec![("tun0".to_owned(), "10.8.0.2".to_owned())],
            ),
            (
                "2: eth0: <UP>\n    inet 10.1.0.1/24 scope global noprefixroute eth0\n3: eth1: <UP>\n    inet 10.1.0.2/24 scope global noprefixroute eth1\n10.1.0.0/24 dev eth1 proto kernel metric 100\n",
                vec![("eth1".to_owned(), "10.1.0.0/24".to_owned())],
            ),
        ] {
            assert_eq!(one(text), expected, "{text}");
        }
    }

    #[test]
    fn routes_of_other_tables_are_refused() {
        for text in [
            "default via 10.0.0.1 dev eth0\ndefault via 10.0.0.2 dev eth1 table 100\n",
            r#"[{"dst":"default","gateway":"10.0.0.2","dev":"eth1","table":"vpn"}]"#,
            r#"{"RouteTables":[]}"#,
            "0:\tfrom all lookup local\n",
        ] {
            assert!(read(&mut Routes::default(), text).is_err(), "{text}");
        }
    }
}
