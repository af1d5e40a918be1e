//! Interfaces as the rule generator lists them (`filter_generate_optcfg_array`), with addresses and names.

use super::product::Product;
use super::xml::Element;
use crate::packet::addr::{self, Family};
use crate::packet::{IntervalSet, Value, interface_prefix, interface_value};
use crate::source::Origin;
use ipnet::IpNet;
use std::net::IpAddr;

/// An address of an interface in one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Addressing {
    /// None at all.
    None,
    /// Written in the file.
    Static {
        /// The address.
        address: Value,
        /// Its network.
        net: IntervalSet,
    },
    /// Learnt at run time; the word that says how.
    Dynamic(String),
}

impl Addressing {
    /// Address and network, where the file has them.
    pub fn known(&self) -> Option<(Value, &IntervalSet)> {
        match self {
            Addressing::Static { address, net } => Some((*address, net)),
            _ => None,
        }
    }
}

/// A virtual address.
#[derive(Debug, Clone)]
pub(super) struct Vip {
    /// The address.
    pub address: Value,
    /// Its network.
    pub net: IntervalSet,
    /// `carp`, `ipalias`, `proxyarp` or `other`.
    pub mode: String,
}

/// An interface of the generator's list.
#[derive(Debug, Clone)]
pub(super) struct Iface {
    /// Its key: `lan`, `wan`, `opt1`, or the name of a group or pseudo interface.
    pub key: String,
    /// Device.
    pub device: String,
    /// What people call it (`descr`).
    pub label: String,
    /// IPv4.
    pub v4: Addressing,
    /// IPv6.
    pub v6: Addressing,
    /// Virtual addresses.
    pub vips: Vec<Vip>,
    /// What packets name it: the key; for a group, its members.
    pub names: IntervalSet,
    /// A group or pseudo interface, whose rules come before those of ordinary ones.
    pub group: bool,
    /// Keys of a group's members.
    pub members: Vec<String>,
    /// Order among groups (OPNsense).
    pub sequence: u64,
    /// Name of its gateway.
    pub gateway: Option<String>,
    /// Member of a bridge.
    pub bridged: bool,
    /// OPNsense's own: something of the product made it (`internal_dynamic`).
    pub internal: bool,
    /// OPNsense's own: no interface that somebody assigned (`virtual`).
    pub virtual_only: bool,
    /// Where it is described.
    pub origin: Origin,
}

impl Iface {
    /// Its address in a family.
    pub fn addressing(&self, family: Family) -> &Addressing {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    /// Virtual addresses of a family.
    pub fn vips(&self, family: Family) -> impl Iterator<Item = &Vip> {
        self.vips.iter().filter(move |v| addr::family(v.address) == family)
    }

    /// The box's own addresses on it, as far as the file tells.
    pub fn own(&self) -> IntervalSet {
        let fixed = Family::ALL.into_iter().filter_map(|f| self.addressing(f).known().map(|k| k.0));
        let vips = self.vips.iter().filter(|v| v.mode == "carp" || v.mode == "ipalias").map(|v| v.address);
        fixed.chain(vips).collect()
    }

    /// Whether the generator counts it among those with a gateway: tunnels are, whatever is said of them.
    pub fn leads_out(&self) -> bool {
        self.has_gateway() || ["ovpn", "ipsec", "gif", "gre"].iter().any(|d| self.device.starts_with(d))
    }

    /// Whether packets are filtered on it at all. OPNsense leaves the loopback device out.
    pub fn is_loopback(&self) -> bool {
        self.device == "lo0" || self.key == "lo0"
    }

    /// Whether it learns an address of the family at run time.
    pub fn learns(&self, family: Family) -> bool {
        matches!(self.addressing(family), Addressing::Dynamic(_))
    }

    /// Whether traffic leaves by it through a gateway: what the generator calls a WAN.
    pub fn has_gateway(&self) -> bool {
        self.gateway.is_some()
            || matches!(&self.v4, Addressing::Dynamic(w) if ["dhcp", "pppoe", "ppp", "pptp", "l2tp"].contains(&w.as_str()))
    }
}

/// All interfaces in force, in the generator's order: as configured, then pseudo interfaces and groups.
#[derive(Debug, Clone, Default)]
pub(super) struct Interfaces {
    /// The list.
    pub list: Vec<Iface>,
    /// Keys that are described but not in force, with their place.
    pub disabled: Vec<(String, Origin)>,
    /// Number of described interfaces.
    pub described: usize,
    /// Keys of described interfaces that are no pseudo interfaces, in force or not.
    pub keys: Vec<String>,
}

impl Interfaces {
    /// An interface by its key.
    pub fn get(&self, key: &str) -> Option<&Iface> {
        self.list.iter().find(|i| i.key == key)
    }

    /// Whether an interface of that name would have to be described in the file: it has no other place to come from.
    pub fn may_only_be_here(&self, key: &str) -> bool {
        // No interface has such a name.
        let word = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        !word
            || matches!(key, "" | "any")
            || is_numbered(key)
            || matches!(key, "enc0" | "openvpn" | "l2tp" | "pppoe")
            || self.disabled.iter().any(|d| d.0 == key)
            || self.get(key).is_some()
    }

    /// Whether a key could stand for an interface of the file, in force or not.
    pub fn is_described(&self, key: &str) -> bool {
        is_numbered(key) || self.get(key).is_some() || self.disabled.iter().any(|d| d.0 == key)
    }

    /// Interfaces that are no groups.
    pub fn real(&self) -> impl Iterator<Item = &Iface> {
        self.list.iter().filter(|i| !i.group)
    }

    /// Every address of the box that the file tells, with the loopback addresses.
    pub fn local(&self) -> IntervalSet {
        let loopback: IntervalSet = [addr::v4(0x7f00_0001), 1].into_iter().collect();
        self.real().fold(loopback, |all, i| all.union(&i.own()))
    }

    /// Reads them.
    pub fn read(root: Element<'_>, product: Product) -> Self {
        let mut out = Interfaces::default();
        let bridged = bridge_members(root);
        let described: Vec<_> = root.at("interfaces").into_iter().flat_map(Element::elements).collect();
        out.described = described.len();
        let mut groups = Vec::new();
        for e in described {
            let key = e.taken().name().to_ascii_lowercase();
            if e.word("type") == "group" && product == Product::OpnSense {
                groups.push(e);
                continue;
            }
            if !is_known_key(&key, root) {
                e.odd("no interface has such a name");
            }
            let one = iface(e, key.clone(), &bridged);
            if !e.flag("virtual") {
                out.keys.push(key.clone());
            }
            if e.flag("enable") {
                out.list.push(one);
            } else {
                out.disabled.push((key, e.origin()));
            }
        }
        add_vips(root, &mut out);
        add_pseudo(root, &mut out);
        for e in groups {
            let key = e.name().to_ascii_lowercase();
            let devices: &[&str] = if key == "wireguard" { &["wg"] } else { &["ovpns", "ovpnc"] };
            if out.get(&key).is_none() {
                let names = family_of_devices(&out, devices).union(&name(&key));
                out.list.push(pseudo(&key, &key, names, e.origin()));
            }
        }
        add_groups(root, product, &mut out);
        out
    }
}

// Names that the products give to interfaces: by number, those of their own, and those of groups.
fn is_known_key(key: &str, root: Element<'_>) -> bool {
    const OWN: &[&str] = &[
        "lo0",
        "enc0",
        "openvpn",
        "wireguard",
        "l2tp",
        "pppoe",
        "tailscale",
        "zerotier",
        "openconnect",
        "tayga",
    ];
    let mut groups = root.at("ifgroups").into_iter().flat_map(|g| g.list("ifgroupentry"));
    is_numbered(key) || OWN.contains(&key) || groups.any(|g| g.word("ifname").eq_ignore_ascii_case(key))
}

/// `lan`, `wan`, `opt7`.
pub(super) fn is_numbered(key: &str) -> bool {
    let digits = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    matches!(key, "lan" | "wan") || key.strip_prefix("opt").is_some_and(digits)
}

fn bridge_members(root: Element<'_>) -> Vec<String> {
    let bridges = root.at("bridges").into_iter().flat_map(|b| b.list("bridged"));
    bridges
        .flat_map(|b| b.word("members").split(',').map(|m| m.trim().to_owned()).collect::<Vec<_>>())
        .collect()
}

fn iface(e: Element<'_>, key: String, bridged: &[String]) -> Iface {
    let device = e.word("if");
    let names = interface_value(&key).map(IntervalSet::single).unwrap_or_default();
    Iface {
        v4: addressing(e, "ipaddr", "subnet", &device),
        v6: addressing(e, "ipaddrv6", "subnetv6", &device),
        vips: Vec::new(),
        names,
        group: false,
        members: Vec::new(),
        sequence: 0,
        gateway: e.value("gateway").filter(|g| g != "none"),
        bridged: bridged.contains(&key),
        internal: e.at("internal_dynamic").is_some(),
        virtual_only: e.flag("virtual"),
        origin: e.origin(),
        label: e.word("descr"),
        device,
        key,
    }
}

// Devices whose addresses are set by what runs them, not by the interface's own settings.
const VIRTUAL: &[&str] =
    &["ovpn", "tun_wg", "wg", "gif", "gre", "ipsec", "ppp", "pptp", "l2tp", "tun", "tap", "zt", "tailscale"];

fn addressing(e: Element<'_>, address: &str, bits: &str, device: &str) -> Addressing {
    let Some(written) = e.at(address) else {
        return match VIRTUAL.iter().any(|v| device.starts_with(v)) {
            true => Addressing::Dynamic("tunnel".to_owned()),
            false => Addressing::None,
        };
    };
    let text = written.text();
    let Ok(ip) = text.trim().parse::<IpAddr>() else {
        e.choice(address, LEARNT);
        return Addressing::Dynamic(if text.is_empty() { "not written".to_owned() } else { text });
    };
    let bits = length(e, bits, ip);
    Addressing::Static { address: addr::value(ip), net: net_of(ip, bits) }
}

// Ways to learn an address.
const LEARNT: &[&str] =
    &["dhcp", "pppoe", "ppp", "pptp", "l2tp", "dhcp6", "slaac", "track6", "idassoc6", "6rd", "6to4", "none"];

// The length of a network's prefix; without one, a single address.
fn length(e: Element<'_>, path: &str, ip: IpAddr) -> u8 {
    let full = if ip.is_ipv4() { 32 } else { 128 };
    let bits = e.number::<u8>(path).unwrap_or(full);
    if let (true, Some(e)) = (bits > full, e.at(path)) {
        e.odd(format!("/{bits} is longer than the address"));
    }
    bits.min(full)
}

fn net_of(ip: IpAddr, bits: u8) -> IntervalSet {
    IpNet::new(ip, bits).map_or_else(|_| IntervalSet::single(addr::value(ip)), addr::net)
}

fn add_vips(root: Element<'_>, out: &mut Interfaces) {
    let vips: Vec<_> = root.at("virtualip").into_iter().flat_map(|v| v.list("vip")).collect();
    for vip in &vips {
        let text = vip.word("subnet");
        let Ok(ip) = text.trim().parse::<IpAddr>() else {
            vip.odd(format!("`{text}` is no address"));
            continue;
        };
        let bits = length(*vip, "subnet_bits", ip);
        let key = vip_parent(&vips, &vip.word("interface"));
        let mode = vip.choice("mode", &["carp", "ipalias", "proxyarp", "other"]);
        let one = Vip { address: addr::value(ip), net: net_of(ip, bits), mode };
        if let Some(i) = out.list.iter_mut().find(|i| i.key == key) {
            i.vips.push(one);
        } else if !out.may_only_be_here(&key) && key != "lo0" {
            vip.odd(format!("interface `{key}` is not in the file"));
        }
    }
}

/// The interface that a virtual address named `_vip…` stands on; other names as they are.
pub(super) fn vip_parent(vips: &[Element<'_>], name: &str) -> String {
    let id = name.strip_prefix("_vip").filter(|id| !id.is_empty());
    let parent = id.and_then(|id| vips.iter().find(|v| v.word("uniqid") == id));
    parent.map_or_else(|| name.to_owned(), |v| v.word("interface"))
}

fn prefix(text: &str) -> IntervalSet {
    interface_prefix(text).unwrap_or_default()
}

fn name(text: &str) -> IntervalSet {
    interface_value(text).map(IntervalSet::single).unwrap_or_default()
}

// Names of every device that begins so, and keys of interfaces on such devices.
fn family_of_devices(out: &Interfaces, prefixes: &[&str]) -> IntervalSet {
    let begins = |device: &str| prefixes.iter().any(|p| device.starts_with(p));
    let assigned = out.list.iter().filter(|i| begins(&i.device)).map(|i| name(&i.key));
    prefixes.iter().map(|p| prefix(p)).chain(assigned).fold(IntervalSet::EMPTY, |a, b| a.union(&b))
}

fn pseudo(key: &str, device: &str, names: IntervalSet, origin: Origin) -> Iface {
    Iface {
        key: key.to_owned(),
        device: device.to_owned(),
        label: String::new(),
        v4: Addressing::None,
        v6: Addressing::None,
        vips: Vec::new(),
        names,
        group: true,
        members: Vec::new(),
        sequence: 0,
        gateway: None,
        bridged: false,
        internal: false,
        virtual_only: false,
        origin,
    }
}

/// Phase 1 entries in force.
pub(super) fn phase1<'a>(root: Element<'a>) -> impl Iterator<Item = Element<'a>> {
    root.at("ipsec").into_iter().flat_map(|i| i.list("phase1")).filter(|p| !p.flag("disabled"))
}

fn add_pseudo(root: Element<'_>, out: &mut Interfaces) {
    let mut add = |i: Iface| {
        if out.get(&i.key).is_none() {
            out.list.push(i);
        }
    };
    if let Some(l2tp) = root.at("l2tp").filter(|e| e.word("mode") == "server") {
        add(pseudo("l2tp", "l2tp", prefix("l2tp"), l2tp.origin()));
    }
    let servers = root.at("pppoes").into_iter().flat_map(|p| p.list("pppoe"));
    if let Some(server) = servers.into_iter().find(|p| p.word("mode") == "server") {
        let names = prefix("poes").union(&name("pppoe"));
        add(pseudo("pppoe", "pppoe", names, server.origin()));
    }
    if let Some(p1) = phase1(root).next() {
        add(pseudo("enc0", "enc0", name("enc0"), p1.origin()));
    }
    let openvpn = root.at("openvpn").and_then(|o| {
        o.elements().find(|e| (e.is("openvpn-server") || e.is("openvpn-client")) && !e.is_blank())
    });
    let instances = root.at("OPNsense/OpenVPN/Instances").filter(|i| i.elements().next().is_some());
    if let Some(o) = openvpn.or(instances).filter(|_| out.get("openvpn").is_none()) {
        let names = family_of_devices(out, &["ovpns", "ovpnc"]).union(&name("openvpn"));
        out.list.push(pseudo("openvpn", "openvpn", names, o.origin()));
    }
}

fn add_groups(root: Element<'_>, product: Product, out: &mut Interfaces) {
    for e in root.at("ifgroups").into_iter().flat_map(|g| g.list("ifgroupentry")) {
        let key = e.word("ifname");
        if key.is_empty() || out.get(&key).is_some() {
            continue;
        }
        let members: Vec<String> = e
            .word("members")
            .split([' ', ',', '\n', '\t'])
            .filter(|m| !m.is_empty())
            .map(str::to_owned)
            .collect();
        let mut names = IntervalSet::EMPTY;
        let tunnel = |m: &str| VIRTUAL.iter().any(|v| m.starts_with(v));
        let known = |m: &String| {
            out.may_only_be_here(m) || tunnel(m) || m == "lo0" || out.list.iter().any(|i| i.device == *m)
        };
        if let Some(odd) = members.iter().find(|m| !known(m)) {
            e.odd(format!("its member `{odd}` is not in the file"));
        }
        for member in &members {
            // A member is a key, or a device that may be assigned to a key.
            let assigned = out.list.iter().find(|i| !i.group && i.device == *member);
            names = names.union(&name(assigned.map_or(member.as_str(), |i| i.key.as_str())));
        }
        if key == "WireGuard" {
            names = names.union(&family_of_devices(out, &["tun_wg"])).union(&name("WireGuard"));
        }
        let sequence = match product {
            Product::OpnSense => e.word("sequence").trim().parse().unwrap_or(0),
            Product::PfSense => 0,
        };
        out.list.push(Iface { members, sequence, ..pseudo(&key, &key, names, e.origin()) });
    }
}
