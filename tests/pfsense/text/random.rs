//! Random configurations and packets that meet in few addresses and ports, so that rules matter.

use havenlint::packet::{Field, Packet, Path, addr, flags, interface_value, opening_state};
use std::fmt::Write as _;

/// A small generator: equal seeds, equal configurations (Steele, Lea, Flood: SplitMix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// One time in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

const VERSIONS: &[&str] = &["19.1", "21.7", "22.2", "23.3", "23.9", "24.5"];
const ALIASES: &[&str] = &["HOSTS", "NETS", "MIXED", "NOBODY"];
const V4: &[&str] =
    &["10.0.0.5", "10.0.0.0/24", "10.1.0.0/16", "203.0.113.2", "198.51.100.7", "192.168.7.0/24"];
const V6: &[&str] = &["2001:db8:1::5", "2001:db8:1::/64", "2001:db8:9::9"];
const PORTS: &[&str] = &[
    "80",
    "443",
    "22",
    "1-1024",
    "80-90",
    "90-80",
    "1024-65535",
    "1-65535",
    "WEBPORTS",
    "NOPORTS",
    "NOSUCH-THING",
];

fn tag(out: &mut String, name: &str, text: impl std::fmt::Display) {
    let _ = write!(out, "<{name}>{text}</{name}>");
}

fn end(d: &mut Dice, name: &str, six: bool) -> String {
    let mut s = String::new();
    match d.below(9) {
        0..=3 => s += "<any/>",
        4 => tag(
            &mut s,
            "network",
            d.of(&["lan", "wan", "opt1", "lanip", "wanip", "opt1ip", "(self)", "opt2", "SERVERS"]),
        ),
        5 => tag(&mut s, "network", d.of(&["lan", "opt1", "(self)"])),
        6 => tag(&mut s, "address", d.of(ALIASES)),
        7 => tag(&mut s, "address", if six { d.of(V6) } else { d.of(V4) }),
        _ => match d.below(3) {
            0 => tag(&mut s, "address", "10.0.0.1-10.0.0.9"),
            1 => {}
            _ => tag(&mut s, "address", d.of(V4)),
        },
    }
    if d.one_in(4) {
        s += d.of(&["<not/>", "<not>0</not>"]);
    }
    if d.one_in(3) {
        tag(&mut s, "port", d.of(PORTS));
    }
    format!("<{name}>{s}</{name}>")
}

fn rule(d: &mut Dice, clean: bool) -> String {
    let mut s = String::new();
    let family = d.of(&["inet", "inet", "inet", "inet6", "inet46", ""]);
    // A literal of the wrong family would make pf refuse all rules: only where that is wanted.
    let six = family == "inet6";
    if d.one_in(12) {
        s += d.of(&["<disabled/>", "<disabled>no</disabled>", "<Disabled></Disabled>"]);
    }
    tag(&mut s, "type", d.of(&["pass", "pass", "pass", "block", "reject", ""]));
    tag(&mut s, "ipprotocol", family);
    let floating = d.one_in(3);
    if floating {
        tag(&mut s, "floating", d.of(&["yes", "yes", "yes", "on"]));
        tag(&mut s, "direction", d.of(&["in", "out", "any", ""]));
        tag(
            &mut s,
            "interface",
            d.of(&["", "lan", "wan,lan", "opt1", "any", "opt2", "opt2,lan", "SERVERS", "openvpn,wan"]),
        );
        if d.one_in(2) {
            s += "<quick>yes</quick>";
        }
    } else {
        tag(
            &mut s,
            "interface",
            d.of(&["lan", "lan", "wan", "opt1", "opt2", "SERVERS", "lan,opt1", "openvpn", "enc0"]),
        );
    }
    let protocol = d.of(&["", "tcp", "tcp", "udp", "tcp/udp", "icmp", "any", "esp", "TCP", "gre"]);
    tag(&mut s, "protocol", protocol);
    if d.one_in(3) {
        tag(&mut s, "icmptype", d.of(&["echoreq", "echoreq,unreach", "any", "echorep"]));
    }
    if d.one_in(5) {
        s += d.of(&[
            "<tcpflags_any/>",
            "<tcpflags1>syn</tcpflags1><tcpflags2>syn,ack</tcpflags2>",
            "<tcpflags1>ack</tcpflags1><tcpflags2>syn,ack,rst</tcpflags2>",
            "<tcpflags1></tcpflags1><tcpflags2>fin</tcpflags2>",
        ]);
    }
    if d.one_in(8) {
        tag(&mut s, "statetype", d.of(&["none", "keep state", "sloppy state"]));
    }
    // Tags only on quick rules: what a later rule replaces is left open by the model on purpose.
    if d.one_in(8) && (!floating || s.contains("<quick>")) {
        tag(&mut s, "tag", d.of(&["RED", "BLUE"]));
    }
    if d.one_in(9) {
        tag(&mut s, "tagged", d.of(&["RED", "BLUE", "NEVER"]));
        if d.one_in(3) {
            s += "<nottagged/>";
        }
    }
    for name in ["source", "destination"] {
        let mut e = end(d, name, six);
        let wrong = !clean
            || !(family == "inet46" && e.contains("<address>") && V4.iter().chain(V6).any(|a| e.contains(a))
                || six && V4.iter().any(|a| e.contains(a)));
        if !wrong {
            e = format!("<{name}><any/></{name}>");
        }
        s += &e;
    }
    format!("<rule>{s}</rule>\n")
}

/// A configuration.
pub fn config(d: &mut Dice) -> String {
    let mut s = String::new();
    tag(&mut s, "version", d.of(VERSIONS));
    s += "<system>";
    for (n, flag) in [(4, "<no_apipa_block/>"), (3, "<ssh><enable/></ssh>")] {
        if d.one_in(n) {
            s += flag;
        }
    }
    if !d.one_in(4) {
        s += "<ipv6allow/>";
    }
    s += d.of(&[
        "<disablenatreflection>yes</disablenatreflection>",
        "<disablenatreflection>yes</disablenatreflection>",
        "<enablenatreflectionpurenat>yes</enablenatreflectionpurenat>",
        "",
    ]);
    if d.one_in(6) {
        s += "<disablevpnrules/>";
    }
    s += "<webgui>";
    s += d.of(&[
        "",
        "<protocol>http</protocol>",
        "<protocol>https</protocol><port>8443</port>",
        "<noantilockout/>",
        "<disablehttpredirect/>",
    ]);
    s += "</webgui></system>\n<interfaces>";
    s += "<wan><enable/><if>em0</if>";
    s += if d.one_in(4) {
        "<ipaddr>dhcp</ipaddr>"
    } else {
        "<ipaddr>203.0.113.2</ipaddr><subnet>24</subnet><gateway>GW</gateway>"
    };
    if d.one_in(2) {
        s += "<blockpriv/>";
    }
    s += "</wan><lan><enable/><if>em1</if><ipaddr>10.0.0.1</ipaddr><subnet>24</subnet>";
    s += "<ipaddrv6>2001:db8:1::1</ipaddrv6><subnetv6>64</subnetv6></lan>";
    s += "<opt1><enable/><if>em2</if><ipaddr>10.1.0.1</ipaddr><subnet>16</subnet></opt1>";
    s += if d.one_in(3) { "<opt2><enable/>" } else { "<opt2>" };
    s += "<if>em3</if><ipaddr>192.168.7.1</ipaddr><subnet>24</subnet></opt2></interfaces>\n";
    s += "<gateways><gateway_item><name>GW</name><interface>wan</interface><gateway>203.0.113.1</gateway></gateway_item></gateways>";
    s += "<ifgroups><ifgroupentry><ifname>SERVERS</ifname><members>opt1 opt2</members></ifgroupentry></ifgroups>\n<virtualip>";
    if d.one_in(2) {
        let mode = d.of(&["ipalias", "carp", "proxyarp"]);
        let _ = write!(
            s,
            "<vip><mode>{mode}</mode><interface>lan</interface><subnet>172.16.5.1</subnet><subnet_bits>24</subnet_bits></vip>"
        );
    }
    s += "</virtualip>\n<aliases>";
    s += "<alias><name>HOSTS</name><type>host</type><address>10.0.0.5 198.51.100.7 2001:db8:9::9</address></alias>";
    s += "<alias><name>NETS</name><type>network</type><address>10.0.0.0/8 !10.1.0.0/16 10.1.2.0/24</address></alias>";
    s += "<alias><name>MIXED</name><type>network</type><address>HOSTS NETS 2001:db8:1::/64</address></alias>";
    s += "<alias><name>NOBODY</name><type>host</type><address></address></alias><alias/>";
    s += "<alias><name>WEBPORTS</name><type>port</type><address>80 443 8000:8010</address></alias>";
    s += "<alias><name>NOPORTS</name><type>port</type><address></address></alias></aliases>\n";
    s += "<dhcpd>";
    if d.one_in(2) {
        s += "<lan><enable/></lan>";
    }
    s += "</dhcpd><dhcpdv6>";
    if d.one_in(2) {
        s += "<lan><enable/></lan>";
    }
    s += "</dhcpdv6>\n";
    if d.one_in(3) {
        s += "<openvpn><openvpn-server><vpnid>1</vpnid></openvpn-server></openvpn>";
    }
    if d.one_in(3) {
        s += "<ipsec><phase1><interface>wan</interface>";
        s += d.of(&[
            "<remote-gateway>198.51.100.7</remote-gateway>",
            "<remote-gateway>198.51.100.7</remote-gateway><disabled/>",
            "<mobile/>",
        ]);
        s += "</phase1></ipsec>";
    }
    s += "<nat>";
    nat(d, &mut s);
    s += "</nat>\n<filter>";
    let clean = !d.one_in(12);
    for _ in 0..d.below(14) + 2 {
        s += &rule(d, clean);
    }
    if d.one_in(2) {
        s += "<rule/><rule><separator/><type>pass</type></rule>";
    }
    format!("<?xml version=\"1.0\"?>\n<pfsense>{s}</filter></pfsense>\n")
}

// A configuration without its sections of a name.
fn without(s: &str, name: &str) -> String {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    match (s.find(&open), s.find(&close)) {
        (Some(a), Some(b)) => without(&format!("{}{}", &s[..a], &s[b + close.len()..]), name),
        _ => s.to_owned(),
    }
}

/// A configuration of OPNsense, with rules in its older store: flags are texts there, and aliases stand elsewhere.
pub fn opnsense(d: &mut Dice) -> String {
    let mut s =
        config(d).replace("pfsense>", "opnsense>").replace("<Disabled></Disabled>", "<disabled>1</disabled>");
    for flag in ["enable", "ipv6allow", "blockpriv", "noantilockout", "tcpflags_any", "not"] {
        s = s.replace(&format!("<{flag}/>"), &format!("<{flag}>1</{flag}>"));
    }
    s = s.replace("<ssh><enable>1</enable></ssh>", "<ssh><enabled>enabled</enabled></ssh>");
    s = s.replace("<direction></direction>", "<direction>in</direction>");
    s = s.replace("<rule><separator/><type>pass</type></rule>", "");
    let (before, rest) = s.split_once("<aliases>").unwrap();
    let (aliases, after) = rest.split_once("</aliases>").unwrap();
    let aliases = aliases.replace("address>", "content>");
    let mut store = format!("<Firewall><Alias><aliases>{aliases}</aliases></Alias></Firewall>");
    let whole = format!("{before}STORE{after}");
    if whole.contains("<ipv6allow>") {
        return whole.replace("STORE", &format!("<OPNsense>{store}</OPNsense>"));
    }
    // The newer switch, of releases in which the older DHCP server is a plugin.
    store += "<Interfaces><settings><disableipv6>1</disableipv6></settings></Interfaces>";
    without(&without(&whole, "dhcpd"), "dhcpdv6").replace("STORE", &format!("<OPNsense>{store}</OPNsense>"))
}

fn nat(d: &mut Dice, s: &mut String) {
    *s += if d.one_in(2) {
        "<outbound><mode>disabled</mode></outbound>"
    } else {
        "<outbound><mode>automatic</mode></outbound>"
    };
    if d.one_in(2) {
        for _ in 0..d.below(4) {
            *s += "<rule>";
            for (n, text) in [(6, "<disabled/>"), (6, "<nordr/>")] {
                if d.one_in(n) {
                    *s += text;
                }
            }
            tag(s, "interface", d.of(&["wan", "wan", "opt2", "lan"]));
            tag(s, "protocol", d.of(&["tcp", "udp", "tcp/udp"]));
            *s += d.of(&["<source><any/></source>", "<source><address>HOSTS</address></source>"]);
            let port = d.of(&["80", "443", "8000-8010"]);
            let to = d.of(&[
                "<network>wanip</network>",
                "<address>203.0.113.2</address>",
                "<network>lanip</network>",
            ]);
            let _ = write!(s, "<destination>{to}<port>{port}</port></destination>");
            tag(s, "target", d.of(&["10.0.0.5", "10.1.0.7", "10.0.0.1"]));
            tag(s, "local-port", d.of(&["8080", "22", "80"]));
            tag(s, "associated-rule-id", d.of(&["", "pass", "nat_123"]));
            if d.one_in(4) {
                tag(s, "natreflection", d.of(&["enable", "disable", "purenat"]));
            }
            *s += "</rule>";
        }
    }
    if d.one_in(3) {
        *s += "<npt><interface>wan</interface><source><address>2001:db8:1::/64</address></source><destination><address>2001:db8:f::/64</address></destination></npt>";
    }
    if d.one_in(3) {
        *s += "<onetoone><interface>wan</interface><external>203.0.113.8</external><source><address>10.0.0.4/30</address></source><destination><any/></destination></onetoone>";
    }
}

const ADDRESSES4: &[&str] = &[
    "10.0.0.5",
    "10.0.0.1",
    "10.0.0.77",
    "10.1.0.7",
    "10.1.2.9",
    "10.1.0.1",
    "10.2.3.4",
    "203.0.113.2",
    "203.0.113.9",
    "203.0.113.10",
    "198.51.100.7",
    "192.168.7.8",
    "172.16.5.1",
    "172.16.5.9",
    "169.254.3.3",
    "127.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "198.51.100.77",
];
const ADDRESSES6: &[&str] = &[
    "2001:db8:1::5",
    "2001:db8:1::1",
    "2001:db8:9::9",
    "2001:db8:f::5",
    "fe80::1",
    "fe80::2",
    "ff02::2",
    "::1",
    "::",
    "fc00::5",
];

/// A packet.
pub fn packet(d: &mut Dice) -> Packet {
    let path = d.of(&[Path::Input, Path::Forward, Path::Forward, Path::Output]);
    let list = if d.one_in(4) { ADDRESSES6 } else { ADDRESSES4 };
    let mut v = [0; Field::COUNT];
    let address = |d: &mut Dice| addr::value(d.of(list).parse().unwrap());
    v[Field::Src.index()] = address(d);
    v[Field::Dst.index()] = address(d);
    let mut set = |f: Field, x: u128| v[f.index()] = x;
    let names = ["lan", "lan", "wan", "wan", "opt1", "opt2", "lo0", "opt9", "enc0", "ovpns1"];
    if path != Path::Output {
        set(Field::Iif, interface_value(d.of(&names)).unwrap());
    }
    if path != Path::Input {
        set(Field::Oif, interface_value(d.of(&names)).unwrap());
    }
    let six = list.len() == ADDRESSES6.len();
    let proto = d.of(&[6u8, 6, 6, 17, 17, if six { 58 } else { 1 }, 47, 50, 51, 112]);
    set(Field::Proto, proto.into());
    let ports =
        [0u16, 22, 53, 67, 68, 80, 85, 90, 443, 500, 546, 547, 1024, 4500, 8005, 8080, 8443, 40000, 65535];
    set(Field::Sport, d.of(&ports).into());
    set(Field::Dport, d.of(&ports).into());
    let icmp = d.of(&[0u8, 3, 8, 128, 129, 133, 135, 1]);
    set(Field::Icmp, u128::from(icmp) << 8);
    let tcp = d.of(&[flags::SYN, flags::SYN, flags::SYN, flags::ACK, flags::SYN | flags::ACK, flags::FIN, 0]);
    set(Field::TcpFlags, tcp.into());
    let state = opening_state(proto, tcp, icmp);
    let state = if d.one_in(20) { havenlint::packet::ConnState::Established } else { state };
    set(Field::State, state.value());
    Packet::from_values(path, &v, 0)
}
