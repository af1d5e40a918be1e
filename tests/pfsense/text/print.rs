//! Prints the pf ruleset that a configuration generates, from a reading of its own (the design page, sections 1 to 8).

use roxmltree::{Document, Node};
use std::fmt::Write as _;
use std::net::IpAddr;

fn kid<'a>(n: Node<'a, 'a>, path: &str) -> Option<Node<'a, 'a>> {
    let mut at = n;
    for step in path.split('/') {
        at = at.children().find(|c| c.is_element() && c.tag_name().name().to_lowercase() == step)?;
    }
    Some(at)
}

fn text(n: Node<'_, '_>, path: &str) -> String {
    kid(n, path).and_then(|k| k.text()).unwrap_or("").trim_matches(['\n', '\r', '\t']).to_owned()
}

fn all<'a>(n: Node<'a, 'a>, path: &str, name: &str) -> Vec<Node<'a, 'a>> {
    let parent = if path.is_empty() { Some(n) } else { kid(n, path) };
    let children = parent.into_iter().flat_map(|p| p.children());
    children.filter(|c| c.tag_name().name() == name && c.children().any(|k| k.is_element())).collect()
}

fn is_opnsense(n: Node<'_, '_>) -> bool {
    n.document().root_element().has_tag_name("opnsense")
}

// Whether a flag is set: by its presence in pfSense, by its text in OPNsense.
fn on(n: Node<'_, '_>, path: &str) -> bool {
    kid(n, path).is_some_and(|k| !is_opnsense(n) || !["", "0"].contains(&k.text().unwrap_or("")))
}

struct Iface {
    key: String,
    v4: Option<(IpAddr, u8)>,
    v6: Option<(IpAddr, u8)>,
    vips: Vec<(IpAddr, u8, String)>,
    gateway: bool,
    dhcp: bool,
}

impl Iface {
    fn address(&self, six: bool) -> Option<(IpAddr, u8)> {
        if six { self.v6 } else { self.v4 }
    }
}

/// What only the running box knows.
#[derive(Debug, Clone, Copy)]
pub struct World {
    /// What WAN learns where it asks for an address; `None` = it gets none.
    pub wan: Option<(IpAddr, u8)>,
    /// Whether fe80::1 is the box's own address.
    pub link_local: bool,
    /// Whether port forwards are asked before 1:1 translations.
    pub rdr_first: bool,
}

impl World {
    /// All worlds that a configuration leaves open.
    pub fn all(doc: &Document<'_>) -> Vec<World> {
        let root = doc.root_element();
        let mut out = vec![World { wan: None, link_local: false, rdr_first: false }];
        let mut either = |open: bool, set: &dyn Fn(&World) -> Vec<World>| {
            if open {
                out = out.iter().flat_map(set).collect();
            }
        };
        let learnt = [Some(("203.0.113.2", 24)), Some(("198.51.100.77", 25)), None];
        let learnt = learnt.map(|w| w.map(|(a, n)| (a.parse().unwrap(), n)));
        either(text(root, "interfaces/wan/ipaddr") == "dhcp", &|w| {
            learnt.iter().map(|wan| World { wan: *wan, ..*w }).collect()
        });
        either(on(root, "system/ipv6allow"), &|w| vec![*w, World { link_local: true, ..*w }]);
        either(!all(root, "nat", "onetoone").is_empty() && !all(root, "nat", "rule").is_empty(), &|w| {
            vec![*w, World { rdr_first: true, ..*w }]
        });
        out
    }
}

pub struct Printer<'a> {
    root: Node<'a, 'a>,
    world: World,
    version: (u32, u32),
    ifaces: Vec<Iface>,
    groups: Vec<(String, Vec<String>)>,
    out: String,
}

fn masked((a, n): (IpAddr, u8)) -> String {
    match a {
        IpAddr::V4(a) => {
            let m = if n == 0 { 0 } else { u32::MAX << (32 - n) };
            format!("{}/{n}", IpAddr::V4((a.to_bits() & m).into()))
        }
        IpAddr::V6(a) => {
            let m = if n == 0 { 0 } else { u128::MAX << (128 - n) };
            format!("{}/{n}", IpAddr::V6((a.to_bits() & m).into()))
        }
    }
}

/// The ruleset as text. What pf makes of it, and whether it loads it, is not decided here.
pub fn ruleset(doc: &Document<'_>, world: World) -> String {
    let root = doc.root_element();
    let version = if is_opnsense(root) { "99.0".to_owned() } else { text(root, "version") };
    let (a, b) = version.split_once('.').unwrap();
    let mut p = Printer {
        root,
        world,
        version: (a.parse().unwrap(), b.parse().unwrap()),
        ifaces: Vec::new(),
        groups: Vec::new(),
        out: String::new(),
    };
    p.interfaces();
    p.tables();
    p.nat();
    p.rules();
    p.out
}

impl<'a> Printer<'a> {
    fn line(&mut self, line: impl AsRef<str>) {
        let _ = writeln!(self.out, "{}", line.as_ref());
    }

    fn has(&self, path: &str) -> bool {
        on(self.root, path)
    }

    fn interfaces(&mut self) {
        let listed = kid(self.root, "interfaces").unwrap();
        for e in listed.children().filter(|c| c.is_element() && on(*c, "enable")) {
            let key = e.tag_name().name().to_owned();
            let address = |a: &str, n: &str| {
                text(e, a).parse().ok().map(|ip: IpAddr| (ip, text(e, n).parse().unwrap()))
            };
            let vips =
                all(self.root, "virtualip", "vip").into_iter().filter(|v| text(*v, "interface") == key);
            let vips = vips.map(|v| {
                (text(v, "subnet").parse().unwrap(), text(v, "subnet_bits").parse().unwrap(), text(v, "mode"))
            });
            let dhcp = text(e, "ipaddr") == "dhcp";
            self.ifaces.push(Iface {
                v4: if dhcp { self.world.wan } else { address("ipaddr", "subnet") },
                v6: address("ipaddrv6", "subnetv6"),
                vips: vips.collect(),
                gateway: dhcp || !text(e, "gateway").is_empty(),
                dhcp,
                key,
            });
        }
        if !all(self.root, "openvpn", "openvpn-server").is_empty() {
            self.pseudo("openvpn", &["ovpns1", "ovpns2"]);
        }
        if !self.phase1().is_empty() {
            self.pseudo("enc0", &["enc0"]);
        }
        for g in all(self.root, "ifgroups", "ifgroupentry") {
            let members: Vec<String> = text(g, "members").split(' ').map(str::to_owned).collect();
            self.line(format!("group {} {}", text(g, "ifname"), members.join(" ")));
            self.groups.push((text(g, "ifname"), members));
        }
    }

    fn pseudo(&mut self, key: &str, members: &[&str]) {
        self.line(format!("group {key} {}", members.join(" ")));
        self.groups.push((key.to_owned(), members.iter().map(|m| (*m).to_owned()).collect()));
    }

    fn phase1(&self) -> Vec<Node<'a, 'a>> {
        let list = all(self.root, "ipsec", "phase1");
        list.into_iter().filter(|p| !on(*p, "disabled")).collect()
    }

    fn aliases(&self) -> Vec<Node<'a, 'a>> {
        let place = if self.opnsense() { "opnsense/firewall/alias/aliases" } else { "aliases" };
        all(self.root, place, "alias")
    }

    fn opnsense(&self) -> bool {
        is_opnsense(self.root)
    }

    fn alias(&self, name: &str) -> Option<Node<'a, 'a>> {
        self.aliases().into_iter().find(|a| text(*a, "name") == name)
    }

    fn expand(&self, name: &str, seen: &mut Vec<String>, out: &mut Vec<String>) {
        if seen.iter().any(|s| s == name) {
            return;
        }
        seen.push(name.to_owned());
        let content = if self.opnsense() { "content" } else { "address" };
        for word in text(self.alias(name).unwrap(), content).split(' ').filter(|w| !w.is_empty()) {
            match self.alias(word) {
                Some(_) => self.expand(word, seen, out),
                None => out.push(word.to_owned()),
            }
        }
    }

    fn tables(&mut self) {
        let me = self.me();
        self.line(format!("table <self> {me}"));
        for t in ["snort2c", "sshguard", "virusprot"] {
            self.line(format!("table <{t}> {{ }}"));
        }
        for a in self.aliases() {
            let (name, kind) = (text(a, "name"), text(a, "type"));
            let mut members = Vec::new();
            self.expand(&name, &mut Vec::new(), &mut members);
            if kind == "port" {
                if !members.is_empty() {
                    self.line(format!("{name} = \"{{ {} }}\"", members.join(" ")));
                }
            } else {
                members.retain(|m| {
                    m.trim_start_matches('!').split('/').next().unwrap().parse::<IpAddr>().is_ok()
                });
                self.line(format!("table <{name}> {{ {} }}", members.join(" ")));
                self.line(format!("{name} = \"<{name}>\""));
            }
        }
        if self.opnsense() {
            let mut lines = Vec::new();
            for i in &self.ifaces {
                let nets: Vec<String> = self.every_net(i);
                let key = i.key.to_uppercase();
                lines.push(format!("table <{key}__NETS> {{ {} }}", nets.join(" ")));
                lines.push(format!("table <{key}__NETS6> {{ {} fe80::/10 }}", nets.join(" ")));
                lines.push(format!("table <{key}__OWN> {{ {} }}", self.own(i).join(" ")));
            }
            for (g, members) in &self.groups {
                let of = self.ifaces.iter().filter(|i| members.contains(&i.key));
                let nets: Vec<String> = of.flat_map(|i| self.every_net(i)).collect();
                lines.push(format!("table <{g}__NETS> {{ {} }}", nets.join(" ")));
                lines.push(format!("table <{g}__NETS6> {{ {} fe80::/10 }}", nets.join(" ")));
            }
            lines.iter().for_each(|l| self.line(l));
        }
        if self.version >= (22, 5) {
            let mut lines = Vec::new();
            for i in &self.ifaces {
                let mut nets: Vec<String> = [i.v4, i.v6].into_iter().flatten().map(masked).collect();
                nets.extend(i.vips.iter().filter(|v| v.0.is_ipv4()).map(|v| masked((v.0, v.1))));
                lines.push(format!("table <{}__NETWORK> {{ {} }}", i.key.to_uppercase(), nets.join(" ")));
            }
            for (g, members) in &self.groups {
                let of = self.ifaces.iter().filter(|i| members.contains(&i.key));
                let mut nets = Vec::new();
                for i in of {
                    nets.extend([i.v4, i.v6].into_iter().flatten().map(masked));
                    nets.extend(i.vips.iter().filter(|v| v.0.is_ipv4()).map(|v| masked((v.0, v.1))));
                }
                lines.push(format!("table <{g}__NETWORK> {{ {} }}", nets.join(" ")));
            }
            lines.iter().for_each(|l| self.line(l));
        }
    }

    fn me(&self) -> String {
        let mut list = vec!["127.0.0.1".to_owned(), "::1".to_owned()];
        for i in &self.ifaces {
            list.extend([i.v4, i.v6].into_iter().flatten().map(|a| a.0.to_string()));
            list.extend(i.vips.iter().filter(|v| v.2 == "carp" || v.2 == "ipalias").map(|v| v.0.to_string()));
        }
        if self.world.link_local && self.has("system/ipv6allow") {
            list.push("fe80::1".to_owned());
        }
        format!("{{ {} }}", list.join(" "))
    }

    // What sees a port forward of an interface from the inside: pfSense counts groups and tunnels, too.
    fn insiders(&self, own: &str) -> Vec<String> {
        let inside = |i: &&Iface| i.key != own && !i.gateway && (!self.opnsense() || i.v4.is_some());
        let mut out: Vec<String> = self.ifaces.iter().filter(inside).map(|i| i.key.clone()).collect();
        if !self.opnsense() {
            out.extend(self.groups.iter().map(|g| g.0.clone()));
        }
        out
    }

    // Networks of all addresses of an interface.
    fn every_net(&self, i: &Iface) -> Vec<String> {
        let own = [i.v4, i.v6].into_iter().flatten().map(masked);
        own.chain(i.vips.iter().map(|v| masked((v.0, v.1)))).collect()
    }

    // All addresses of an interface.
    fn own(&self, i: &Iface) -> Vec<String> {
        let mut list: Vec<String> = [i.v4, i.v6].into_iter().flatten().map(|a| a.0.to_string()).collect();
        list.extend(i.vips.iter().filter(|v| v.2 == "carp" || v.2 == "ipalias").map(|v| v.0.to_string()));
        if self.world.link_local && self.has("system/ipv6allow") {
            list.push("fe80::1".to_owned());
        }
        list
    }

    // The same in OPNsense, where nothing at all means everything and both elements say the same.
    fn host_of_opnsense(&self, end: Option<Node<'a, 'a>>, six: bool, rule: bool) -> Option<String> {
        let (mut words, mut not) = (String::new(), false);
        if let Some(end) = end {
            words = text(end, "network");
            if words.is_empty() {
                words = text(end, "address");
            }
            not = on(end, "not");
        }
        let bang = if not { "! " } else { "" };
        if words.is_empty() || words == "any" {
            return Some("any".to_owned());
        }
        if words == "(self)" {
            return Some(if not { "! <self>".to_owned() } else { self.me() });
        }
        if self.alias(&words).is_some() {
            return Some(format!("{bang}${words}"));
        }
        let local = if six && rule && !not { "6" } else { "" };
        if self.ifaces.iter().any(|i| i.key == words) {
            return Some(format!("{bang}<{}__NETS{local}>", words.to_uppercase()));
        }
        if self.groups.iter().any(|g| g.0 == words) {
            return Some(format!("{bang}<{words}__NETS{local}>"));
        }
        if let Some(i) = self.ifaces.iter().find(|i| words == format!("{}ip", i.key)) {
            return Some(format!("{bang}<{}__OWN>", i.key.to_uppercase()));
        }
        let literal = words.split('/').next().unwrap().parse::<IpAddr>().is_ok();
        literal.then(|| format!("{bang}{words}"))
    }

    // `None`: the rule is left out.
    fn host(&self, end: Option<Node<'a, 'a>>, six: bool) -> Option<String> {
        if self.opnsense() {
            return self.host_of_opnsense(end, six, true);
        }
        let end = end?;
        let not = on(end, "not");
        let bang = if not { "! " } else { "" };
        if kid(end, "any").is_some() {
            return Some("any".to_owned());
        }
        let network = text(end, "network");
        if !network.is_empty() {
            if network == "(self)" {
                // Negated, `! (self)` is a true complement; spelled out it would be a list.
                return Some(if not { "! <self>".to_owned() } else { self.me() });
            }
            if let Some(i) = self.ifaces.iter().find(|i| network == format!("{}ip", i.key)) {
                return Some(format!("{bang}{}", i.address(six)?.0));
            }
            if let Some(i) = self.ifaces.iter().find(|i| network == i.key) {
                let primary = i.address(six)?;
                let table = self.version >= (24, 3)
                    || self.version >= (22, 5) && (!six || !["lan", "wan"].contains(&i.key.as_str()));
                if table {
                    return Some(format!("{bang}<{}__NETWORK>", i.key.to_uppercase()));
                }
                let mut list = vec![masked(primary)];
                for v in i.vips.iter().filter(|v| v.0.is_ipv6() == six) {
                    let n = masked((v.0, v.1));
                    if n != list[0] {
                        list.push(n);
                    }
                }
                if list.len() == 1 {
                    return Some(format!("{bang}{}", list[0]));
                }
                let each: Vec<String> = list.iter().map(|n| format!("{}{n}", bang.trim())).collect();
                return Some(format!("{{ {} }}", each.join(" ")));
            }
            let (g, members) = self.groups.iter().find(|g| g.0 == network)?;
            let any = self.ifaces.iter().any(|i| members.contains(&i.key) && i.address(six).is_some());
            return (self.version >= (22, 5) && any).then(|| format!("{bang}<{g}__NETWORK>"));
        }
        let address = text(end, "address");
        if self.alias(&address).is_some() {
            return Some(format!("{bang}${address}"));
        }
        let literal = address.split('/').next().unwrap().parse::<IpAddr>().is_ok();
        literal.then(|| format!("{bang}{address}"))
    }

    // `Err`: the rule is left out.
    fn port(&self, end: Option<Node<'a, 'a>>, protocol: &str) -> Result<String, ()> {
        let port = end.map(|e| text(e, "port")).unwrap_or_default();
        if port.is_empty() || !["tcp", "udp", "tcp/udp", "sctp"].contains(&protocol) {
            return Ok(String::new());
        }
        if let Some(a) = self.alias(&port) {
            let mut members = Vec::new();
            self.expand(&text(a, "name"), &mut Vec::new(), &mut members);
            return if members.is_empty() { Err(()) } else { Ok(format!("port ${port} ")) };
        }
        let (a, b) = port.split_once('-').unwrap_or((&port, &port));
        let (Ok(x), Ok(y)) = (a.parse::<u32>(), b.parse::<u32>()) else { return Err(()) };
        Ok(match (x, y) {
            _ if x == y => format!("port {x} "),
            (1, 65535) => String::new(),
            (_, 65535) => format!("port >= {x} "),
            (1, _) if !self.opnsense() => format!("port <= {y} "),
            _ => format!("port {} >< {} ", x - 1, y + 1),
        })
    }

    fn user(&mut self, r: Node<'a, 'a>) {
        if on(r, "disabled") {
            return;
        }
        let opnsense = self.opnsense();
        let floating = kid(r, "floating").filter(|_| on(r, "floating"));
        let floating = floating.map(|f| f.text().unwrap_or("").to_owned());
        let known = |k: &str| self.ifaces.iter().any(|i| i.key == k) || self.groups.iter().any(|g| g.0 == k);
        let interface = text(r, "interface");
        let interfaces: Vec<Option<String>> = if floating.is_some() || opnsense {
            let words: Vec<&str> = interface.split(',').filter(|w| !w.is_empty()).collect();
            let left: Vec<_> = words.iter().filter(|w| known(w)).map(|w| Some((*w).to_owned())).collect();
            let words: Vec<&str> = words.into_iter().filter(|w| !opnsense || *w != "any").collect();
            let everywhere = words.is_empty() || words == ["any"] && self.version >= (20, 0);
            if everywhere || left.is_empty() && self.version < (20, 0) { vec![None] } else { left }
        } else if known(&interface) {
            vec![Some(interface.clone())]
        } else {
            Vec::new()
        };
        let way = match (floating.as_deref(), text(r, "direction").as_str()) {
            (_, "out") if opnsense => "out ",
            (_, "any") if opnsense => "",
            _ if opnsense => "in ",
            (Some("yes"), "in") => "in ",
            (Some("yes"), "out") => "out ",
            (Some("yes"), _) => "",
            _ => "in ",
        };
        let quick = if floating.is_none() || on(r, "quick") { "quick " } else { "" };
        let action = match text(r, "type").as_str() {
            "block" => "block",
            "reject" => "block return",
            "match" => "match",
            _ => "pass",
        };
        let families: &[bool] = match text(r, "ipprotocol").as_str() {
            "inet6" => &[true],
            "inet46" => &[false, true],
            _ => &[false],
        };
        let protocol = text(r, "protocol").to_lowercase();
        let (source, destination) = (kid(r, "source"), kid(r, "destination"));
        for six in families {
            let inet = if *six { "inet6" } else { "inet" };
            let Some(from) = self.host(source, *six) else { continue };
            let Some(to) = self.host(destination, *six) else { continue };
            let (Ok(sport), Ok(dport)) = (self.port(source, &protocol), self.port(destination, &protocol))
            else {
                continue;
            };
            let ported = [source, destination].into_iter().flatten().any(|e| !text(e, "port").is_empty());
            let proto = match protocol.as_str() {
                "" if ported && !opnsense => "proto tcp ".to_owned(),
                "" | "any" => String::new(),
                "tcp/udp" => "proto { tcp udp } ".to_owned(),
                "icmp" if *six => "proto ipv6-icmp ".to_owned(),
                p => format!("proto {p} "),
            };
            let mut tail = String::new();
            let types = text(r, "icmptype");
            if protocol == "icmp" && !(opnsense && *six) && !types.is_empty() && types != "any" {
                let numbers: Vec<String> = types.split(',').map(|t| icmp_number(t, *six)).collect();
                tail += &format!(" icmp-type {{ {} }}", numbers.join(" "));
            }
            if protocol == "tcp" {
                let letters = |list: String| -> String {
                    list.split(',').filter_map(|w| w.chars().next()).map(|c| c.to_ascii_uppercase()).collect()
                };
                tail += &if on(r, "tcpflags_any") {
                    " flags any".to_owned()
                } else if !text(r, "tcpflags2").is_empty() {
                    format!(" flags {}/{}", letters(text(r, "tcpflags1")), letters(text(r, "tcpflags2")))
                } else if opnsense {
                    String::new()
                } else {
                    " flags S/SA".to_owned()
                };
            }
            if !text(r, "tag").is_empty() {
                tail += &format!(" tag {}", text(r, "tag"));
            }
            if !text(r, "tagged").is_empty() {
                let no = if on(r, "nottagged") && self.version >= (20, 0) && !opnsense { " !" } else { "" };
                tail += &format!("{no} tagged {}", text(r, "tagged"));
            }
            if action == "pass" {
                tail += if text(r, "statetype") == "none" { " no state" } else { " keep state" };
            }
            for name in &interfaces {
                let way_on = name.as_ref().map_or(String::new(), |n| format!("on {n} "));
                self.line(format!(
                    "{action} {way}{quick}{way_on}{inet} {proto}from {from} {sport}to {to} {dport}{tail}"
                ));
            }
        }
    }

    fn nat(&mut self) {
        let mut lines = Vec::new();
        for e in all(self.root, "nat", "onetoone") {
            if !on(e, "disabled") {
                let inner = text(e, "source/address");
                let bits = inner.split_once('/').map_or("32", |s| s.1);
                lines.push(format!(
                    "binat on {} inet from {inner} to any -> {}/{bits}",
                    text(e, "interface"),
                    text(e, "external")
                ));
            }
        }
        for e in all(self.root, "nat", "npt") {
            let side = |s: &str| text(e, &format!("{s}/address"));
            let key = text(e, "interface");
            lines.push(format!(
                "binat on {key} inet6 from {} to any -> {}",
                side("source"),
                side("destination")
            ));
        }
        let outside: Vec<_> = self.ifaces.iter().filter(|i| i.gateway).collect();
        if text(self.root, "nat/outbound/mode") != "disabled" {
            let inside: Vec<String> = self
                .ifaces
                .iter()
                .filter(|i| !i.gateway)
                .flat_map(|i| {
                    let own = i.v4.map(masked);
                    own.into_iter().chain(i.vips.iter().filter(|v| v.0.is_ipv4()).map(|v| masked((v.0, v.1))))
                })
                .collect();
            for i in outside {
                // The rule names the interface, whatever its address: without one, nothing else is known of the source.
                let to = i.v4.map_or_else(|| "0.0.0.0".to_owned(), |a| a.0.to_string());
                lines.push(format!(
                    "nat on {} inet from {{ 127.0.0.0/8 {} }} to any -> {to}",
                    i.key,
                    inside.join(" ")
                ));
            }
        }
        if let Some((key, ports)) = self.lockout().filter(|_| self.opnsense()) {
            let to = format!("<{}__OWN>", key.to_uppercase());
            lines.push(format!("no rdr on {key} proto tcp from any to {to} port {{ {} }}", ports.join(" ")));
        }
        for (number, e) in
            all(self.root, "nat", "rule").into_iter().filter(|e| !on(*e, "disabled")).enumerate()
        {
            let key = text(e, "interface");
            if on(e, "disabled") || !self.ifaces.iter().any(|i| i.key == key) {
                continue;
            }
            let protocol = text(e, "protocol");
            let proto = match protocol.as_str() {
                "tcp/udp" => "proto { tcp udp } ".to_owned(),
                p => format!("proto {p} "),
            };
            if text(e, "target").is_empty() && self.opnsense() && !on(e, "nordr") {
                continue;
            }
            let Some(from) = self.host(kid(e, "source"), false) else { continue };
            let Some(to) = self.host(kid(e, "destination"), false) else { continue };
            let port = text(e, "destination/port").replace('-', ":");
            let pass = if text(e, "associated-rule-id") == "pass" { "pass " } else { "" };
            let star = if port.contains(':') { ":*" } else { "" };
            let (target, local) = (text(e, "target"), text(e, "local-port"));
            if on(e, "nordr") {
                lines.push(format!("no rdr on {key} inet {proto}from {from} to {to} port {port}"));
                let stated = text(e, "natreflection");
                let off = stated == "disable" || stated.is_empty() && self.has("system/disablenatreflection");
                for i in self.insiders(&key).into_iter().filter(|_| !off && !self.opnsense()) {
                    lines.push(format!("no rdr on {i} inet {proto}from {from} to {to} port {port}"));
                }
            } else {
                lines.push(format!(
                    "rdr {pass}on {key} inet {proto}from {from} to {to} port {port} -> {target} port {local}{star}"
                ));
                let stated = text(e, "natreflection");
                let mode = match stated.as_str() {
                    "" if self.has("system/disablenatreflection") => "disable",
                    "" if self.has("system/enablenatreflectionpurenat") => "purenat",
                    "" => "enable",
                    s => s,
                };
                let seen = if mode == "disable" { Vec::new() } else { self.insiders(&key) };
                for i in seen {
                    let plain = self.opnsense() || mode == "purenat";
                    let inner = match plain {
                        true => format!("-> {target} port {local}{star}"),
                        false => format!("tag PFREFLECT -> 127.0.0.1 port {}{star}", 19000 + number),
                    };
                    let pass = if plain { pass } else { "" };
                    lines.push(format!(
                        "rdr {pass}on {i} inet {proto}from {from} to {to} port {port} {inner}"
                    ));
                }
            }
        }
        lines.iter().for_each(|l| self.line(l));
    }

    fn rules(&mut self) {
        if self.opnsense() {
            self.rules_of_opnsense();
            self.user_rules();
            if self.has("ipsec/enable") {
                self.ipsec();
            }
            return;
        }
        let six = self.has("system/ipv6allow");
        let me = self.me();
        if !six {
            self.line("pass in quick on lo0 inet6 from any to any");
            self.line("pass out quick on lo0 inet6 from any to any");
            self.line("block in quick inet6 from any to any");
            self.line("block out quick inet6 from any to any");
        }
        if !self.has("system/no_apipa_block") {
            self.line("block in quick inet from 169.254.0.0/16 to any");
            self.line("block in quick inet from any to 169.254.0.0/16");
        }
        for f in ["inet", "inet6"] {
            self.line(format!("block in {f} from any to any"));
            self.line(format!("block out {f} from any to any"));
        }
        if six {
            let icmp = "inet6 proto ipv6-icmp from";
            self.line(format!("pass quick {icmp} any to any icmp6-type {{ 1 2 135 136 }} keep state"));
            for to in ["fe80::/10", "ff02::/16"] {
                self.line(format!(
                    "pass out quick {icmp} fe80::/10 to {to} icmp6-type {{ 129 133 134 135 136 }} keep state"
                ));
            }
            for (from, to) in [
                ("fe80::/10", "fe80::/10"),
                ("ff02::/16", "fe80::/10"),
                ("fe80::/10", "ff02::/16"),
                ("::", "ff02::/16"),
            ] {
                self.line(format!(
                    "pass in quick {icmp} {from} to {to} icmp6-type {{ 128 133 134 135 136 }} keep state"
                ));
            }
        }
        for f in ["inet", "inet6"].into_iter().take(1 + usize::from(six)) {
            self.line(format!("block quick {f} proto {{ tcp udp }} from any port 0 to any"));
            self.line(format!("block quick {f} proto {{ tcp udp }} from any to any port 0"));
        }
        self.line("block quick from <snort2c> to any");
        self.line("block quick from any to <snort2c>");
        let vips = all(self.root, "virtualip", "vip");
        let carp = match self.version >= (22, 5) {
            true => vips.iter().any(|v| text(*v, "mode") == "carp"),
            false => !vips.is_empty() || self.has("hasync"),
        };
        if carp {
            self.line(format!("block in quick proto carp from {me} to any"));
            self.line("pass quick proto carp from any to any no state");
        }
        self.line("block in quick from <virusprot> to any");
        if self.version >= (23, 5) {
            self.line("block out quick proto udp from any port 67 to any port 68 tagged dhcpin");
        }
        self.per_interface(six);
        let mut lines = Vec::new();
        self.line("pass in on lo0 inet from any to any keep state");
        self.line("pass out on lo0 inet from any to any keep state");
        if six {
            self.line("pass in on lo0 inet6 from any to any keep state");
            self.line("pass out on lo0 inet6 from any to any keep state");
        }
        self.line("pass out inet from any to any keep state");
        if six {
            self.line("pass out inet6 from any to any keep state");
        }
        for i in self.ifaces.iter().filter(|i| i.gateway && !i.dhcp) {
            if let Some(own) = i.v4 {
                lines.push(format!("pass out inet from {} to ! {} keep state", own.0, masked(own)));
            }
        }
        if !self.phase1().is_empty() {
            lines.push("pass out on enc0 from any to any keep state".to_owned());
        }
        lines.iter().for_each(|l| self.line(l));
        self.anti_lockout();
        if !all(self.root, "nat", "rule").is_empty() && !self.has("system/disablenatreflection") {
            self.line("pass in inet from any to any tagged PFREFLECT keep state");
        }
        self.user_rules();
        self.ipsec();
    }

    fn user_rules(&mut self) {
        let rules = all(self.root, "filter", "rule");
        let is_group = |r: &Node<'a, 'a>| {
            let interface = text(*r, "interface");
            self.groups.iter().any(|g| interface.split(',').next() == Some(g.0.as_str()))
        };
        let classes: Vec<u8> = rules
            .iter()
            .map(|r| {
                if on(*r, "floating") {
                    0
                } else if is_group(r) {
                    1
                } else {
                    2
                }
            })
            .collect();
        for class in 0..3 {
            for (r, c) in rules.iter().zip(&classes) {
                if *c == class && kid(*r, "separator").is_none() {
                    self.user(*r);
                }
            }
        }
    }

    // OPNsense's own rules: quick, and for what comes in, unless they say otherwise.
    fn rules_of_opnsense(&mut self) {
        let six = self.has("system/ipv6allow");
        let me = self.me();
        let mut lines = vec!["pass quick on lo0 from any to any".to_owned()];
        for i in &self.ifaces {
            for a in [i.v4, i.v6].into_iter().flatten() {
                lines.push(format!("block in on ! {} from {} to any", i.key, masked(a)));
                lines.push(format!("block in from {} to any", a.0));
            }
        }
        if !six {
            lines.push("block in quick inet6 from any to any".to_owned());
        }
        lines.push("block in inet from any to any".to_owned());
        lines.push("block in inet6 from any to any".to_owned());
        if six {
            let icmp = |way: &str, from: &str, to: &str, types: &str| {
                format!(
                    "pass {way} quick inet6 proto ipv6-icmp from {from} to {to} icmp6-type {{ {types} }} keep state"
                )
            };
            lines.push(icmp("in", "any", "any", "1 2 3 4 135 136"));
            for to in ["fe80::/10", "ff02::/16"] {
                lines.push(icmp("out", &me, to, "128 129 133 134 135 136"));
                lines.push(icmp("in", "fe80::/10", to, "128 133 134 135 136"));
            }
            lines.push(icmp("in", "ff02::/16", "fe80::/10", "128 133 134 135 136"));
            lines.push(icmp("in", "::", "ff02::/16", "128 133 134 135 136"));
        }
        lines.push("block in quick proto { tcp udp } from any port 0 to any".to_owned());
        lines.push("block in quick proto { tcp udp } from any to any port 0".to_owned());
        if all(self.root, "virtualip", "vip").iter().any(|v| text(*v, "mode") == "carp") {
            lines.push("pass quick inet proto carp from any to 224.0.0.18 keep state".to_owned());
            if six {
                lines.push("pass quick inet6 proto carp from any to ff02::12 keep state".to_owned());
            }
        }
        for i in &self.ifaces {
            let key = &i.key;
            if i.dhcp {
                lines.push(format!(
                    "pass in quick on {key} proto udp from any port 67 to any port 68 keep state"
                ));
                lines.push(format!(
                    "pass out quick on {key} proto udp from any port 68 to any port 67 keep state"
                ));
            }
            let udp = format!("quick on {key} inet proto udp from");
            if !i.dhcp && kid(self.root, &format!("dhcpd/{key}/enable")).is_some() {
                lines.push(format!("pass in {udp} any port 68 to 255.255.255.255 port 67 keep state"));
                lines.push(format!("pass in {udp} any port 68 to {me} port 67 keep state"));
                lines.push(format!("pass out {udp} {me} port 67 to any port 68 keep state"));
            }
            let udp = format!("quick on {key} inet6 proto udp from");
            if six && kid(self.root, &format!("dhcpdv6/{key}/enable")).is_some() {
                for (from, to, port) in [
                    ("fe80::/10", "fe80::/10", 546),
                    ("fe80::/10", "ff02::/16", 546),
                    ("fe80::/10", "ff02::/16", 547),
                    ("ff02::/16", "fe80::/10", 547),
                    ("fe80::/10", &me, 546),
                ] {
                    lines.push(format!("pass in {udp} {from} to {to} port {port} keep state"));
                }
                lines.push(format!("pass out {udp} {me} port 547 to fe80::/10 keep state"));
            }
        }
        for i in &self.ifaces {
            let settings = kid(self.root, &format!("interfaces/{}", i.key)).unwrap();
            if on(settings, "blockpriv") {
                let four = "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 127.0.0.0/8 100.64.0.0/10 169.254.0.0/16";
                let nets = if six { format!("{four} fd00::/8 fe80::/10 ::1/128") } else { four.to_owned() };
                lines.extend(nets.split(' ').map(|n| format!("block in quick on {} from {n} to any", i.key)));
            }
        }
        lines.push("pass out from any to any keep state".to_owned());
        if let Some((key, ports)) = self.lockout() {
            let ports = ports.join(" ");
            lines.push(format!(
                "pass in quick on {key} proto tcp from any to {me} port {{ {ports} }} keep state"
            ));
        }
        lines.iter().for_each(|l| self.line(l));
    }

    // The interface that administrators are let in by, and the ports.
    fn lockout(&self) -> Option<(String, Vec<String>)> {
        if kid(self.root, "system/webgui/noantilockout").is_some() {
            return None;
        }
        let described: Vec<&str> = kid(self.root, "interfaces")?
            .children()
            .filter(|c| c.is_element())
            .map(|c| c.tag_name().name())
            .collect();
        let first = ["lan", "opt1", "opt2", "wan"].into_iter().find(|k| described.contains(k))?;
        self.ifaces.iter().find(|i| i.key == first)?;
        let https = text(self.root, "system/webgui/protocol") != "http";
        let own = text(self.root, "system/webgui/port");
        let web = if own.is_empty() { if https { "443" } else { "80" }.to_owned() } else { own };
        let mut ports = vec![web.clone()];
        if https && !self.has("system/webgui/disablehttpredirect") && web != "80" {
            ports.push("80".to_owned());
        }
        if self.has("system/ssh/enable") || self.has("system/ssh/enabled") {
            let port = text(self.root, "system/ssh/port");
            ports.push(if port.is_empty() { "22".to_owned() } else { port });
        }
        Some((first.to_owned(), ports))
    }

    fn ipsec(&mut self) {
        if self.has("system/disablevpnrules") {
            return;
        }
        let me = self.me();
        for p1 in self.phase1() {
            let (key, peer) = (text(p1, "interface"), text(p1, "remote-gateway"));
            let anybody = on(p1, "mobile") || peer.is_empty();
            for what in ["proto udp", "proto udp 4500", "proto esp", "proto ah"] {
                let (proto, port) = match what {
                    "proto udp" => ("proto udp", " port 500"),
                    "proto udp 4500" => ("proto udp", " port 4500"),
                    p => (p, ""),
                };
                if !anybody {
                    self.line(format!("pass out {proto} from {me} to {peer}{port} keep state"));
                }
                let from = if anybody { "any" } else { &peer };
                self.line(format!("pass in on {key} {proto} from {from} to {me}{port} keep state"));
            }
        }
    }

    fn per_interface(&mut self, six: bool) {
        let mut lines = Vec::new();
        for i in &self.ifaces {
            let key = &i.key;
            let settings = kid(self.root, &format!("interfaces/{key}")).unwrap();
            if i.dhcp {
                let new = self.version >= (23, 5) && self.version < (99, 0);
                let state = if new { " tag dhcpin no state" } else { " keep state" };
                lines
                    .push(format!("pass in quick on {key} proto udp from any port 67 to any port 68{state}"));
                lines.push(format!(
                    "pass out quick on {key} proto udp from any port 68 to any port 67 keep state"
                ));
            }
            if let Some(own) = i.v4 {
                lines.push(format!("block in on ! {key} from {} to any", masked(own)));
                lines.push(format!("block in from {} to any", own.0));
            }
            if on(settings, "blockpriv") {
                let nets = "10.0.0.0/8 127.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7";
                for net in nets.split(' ') {
                    lines.push(format!("block in quick on {key} from {net} to any"));
                }
            }
            let server = on(self.root, &format!("dhcpd/{key}/enable"));
            if let Some((own, _)) = i.v4.filter(|_| server) {
                let udp = format!("quick on {key} inet proto udp from");
                lines.push(format!("pass in {udp} any port 68 to 255.255.255.255 port 67 keep state"));
                lines.push(format!("pass in {udp} any port 68 to {own} port 67 keep state"));
                lines.push(format!("pass out {udp} {own} port 67 to any port 68 keep state"));
            }
            let server = six && on(self.root, &format!("dhcpdv6/{key}/enable"));
            if let Some((own, _)) = i.v6.filter(|_| server) {
                let udp = format!("quick on {key} inet6 proto udp from");
                for (from, to, port) in [
                    ("fe80::/10", "fe80::/10", 546),
                    ("fe80::/10", "ff02::/16", 546),
                    ("fe80::/10", "ff02::/16", 547),
                    ("ff02::/16", "fe80::/10", 547),
                ] {
                    lines.push(format!("pass {udp} {from} to {to} port {port} keep state"));
                }
                lines.push(format!("pass in {udp} fe80::/10 to {own} port 546 keep state"));
                lines.push(format!("pass out {udp} {own} port 547 to fe80::/10 keep state"));
            }
        }
        lines.iter().for_each(|l| self.line(l));
    }

    fn anti_lockout(&mut self) {
        if self.has("system/webgui/noantilockout") {
            return;
        }
        let Some(lan) = self.ifaces.iter().find(|i| i.key == "lan") else { return };
        let https = text(self.root, "system/webgui/protocol") != "http";
        let own = text(self.root, "system/webgui/port");
        let web = if own.is_empty() { if https { "443" } else { "80" }.to_owned() } else { own };
        let mut ports = vec![web.clone()];
        if https && !self.has("system/webgui/disablehttpredirect") && web != "80" {
            ports.push("80".to_owned());
        }
        if self.has("system/ssh/enable") || self.has("system/ssh/enabled") {
            let port = text(self.root, "system/ssh/port");
            ports.push(if port.is_empty() { "22".to_owned() } else { port });
        }
        let mut own: Vec<String> = [lan.v4, lan.v6].into_iter().flatten().map(|a| a.0.to_string()).collect();
        own.extend(lan.vips.iter().filter(|v| v.2 == "carp" || v.2 == "ipalias").map(|v| v.0.to_string()));
        let line = format!(
            "pass in quick on lan proto tcp from any to {{ {} }} port {{ {} }} keep state",
            own.join(" "),
            ports.join(" ")
        );
        self.line(line);
    }
}

fn icmp_number(name: &str, six: bool) -> String {
    let n = match (name, six) {
        ("echoreq", false) => 8,
        ("echorep", false) => 0,
        ("unreach", false) => 3,
        ("echoreq", true) => 128,
        ("echorep", true) => 129,
        ("unreach", true) => 1,
        (n, _) => n.parse().unwrap(),
    };
    n.to_string()
}
