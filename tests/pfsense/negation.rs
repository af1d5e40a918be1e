//! What is not known stays unknown when it is inverted: each thing that a rule can name, plain and with `not`.
//!
//! A rule takes the packets that something names, and the same rule inverted takes the others: one of the two decides each packet, and where one is
//! undecided so is the other. Where the product leaves the rule out, neither decides.

use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::pfsense::Pfsense;
use havenlint::dialect::{Dialect, ReadOptions};
use havenlint::packet::Packet;
use havenlint::source::SourceFile;

const PACKETS: [&str; 12] = [
    "forward lan>wan tcp 192.168.1.7:40000 > 198.51.100.20:443",
    "forward lan>wan tcp 192.168.1.99:40000 > 198.51.100.21:443",
    "forward lan>wan udp 10.9.0.8:40000 > 203.0.113.99:53",
    "forward lan>opt1 tcp 192.168.1.7:40000 > 10.9.0.8:443",
    "forward lan>opt1 tcp 192.168.1.7:40000 > 10.77.0.8:443",
    "forward lan>opt2 tcp 192.168.1.7:40000 > 172.20.0.5:443",
    "input lan tcp 192.168.1.7:40000 > 192.168.1.1:22",
    "input lan tcp 192.168.1.50:40000 > 203.0.113.9:22",
    "forward lan>wan tcp [2001:db8:1::7]:40000 > [2001:db8:99::20]:443",
    "forward lan>opt1 tcp [2001:db8:1::7]:40000 > [2001:db8:9::8]:443",
    "forward lan>wan udp [2001:db8:77::7]:40000 > [2001:db8:99::21]:53",
    "input lan tcp [2001:db8:1::7]:40000 > [2001:db8:1::1]:22",
];

/// What `<network>` may hold.
const NETWORKS: [&str; 10] =
    ["lan", "lanip", "wan", "wanip", "opt1", "opt2", "opt2ip", "(self)", "openvpn", "nowhere"];

/// Aliases, and texts, that `<address>` may hold; with what the alias holds in pfSense's words.
const ALIASES: [(&str, &str, &str); 10] = [
    ("HOSTS", "host", "192.168.1.7 10.9.0.8 2001:db8:1::7 198.51.100.20"),
    ("NETS", "network", "192.168.1.0/24 2001:db8:9::/48"),
    ("NESTED", "network", "HOSTS 172.20.0.0/16"),
    ("MIXED", "host", "192.168.1.99 partner.example.net"),
    ("NAMES", "host", "partner.example.net"),
    ("DEEP", "host", "MIXED FETCHED"),
    ("FETCHED", "urltable", "https://lists.example.net/bad.txt"),
    ("ODD", "flavour", "192.168.1.7"),
    ("EMPTY", "host", ""),
    ("BROKEN", "host", "192.168.1.7 10.9.0.0/33"),
];

fn addresses() -> Vec<String> {
    let literals = ["192.168.1.7", "192.168.0.0/16", "2001:db8:1::/48", "nobody_knows", "10.9.0.0/33"];
    ALIASES.iter().map(|a| a.0).chain(literals).map(str::to_owned).collect()
}

// Interfaces of both products: static, learnt, without an address in IPv6.
fn interfaces(flag: &str) -> String {
    let one = |key: &str, device: &str, inner: &str| {
        format!("<{key}><enable>{flag}</enable><if>{device}</if><descr>{key}</descr>{inner}</{key}>")
    };
    [
        one("wan", "em0", "<ipaddr>dhcp</ipaddr><ipaddrv6>dhcp6</ipaddrv6>"),
        one(
            "lan",
            "em1",
            "<ipaddr>192.168.1.1</ipaddr><subnet>24</subnet><ipaddrv6>2001:db8:1::1</ipaddrv6><subnetv6>64</subnetv6>",
        ),
        one("opt1", "em2", "<ipaddr>10.9.0.1</ipaddr><subnet>24</subnet>"),
        one("opt2", "em3", "<ipaddr>dhcp</ipaddr>"),
    ]
    .concat()
}

const VIRTUAL: &str = "<virtualip><vip><mode>ipalias</mode><interface>opt2</interface><subnet>172.20.0.1</subnet>\
     <subnet_bits>24</subnet_bits><type>single</type></vip></virtualip>";

fn end(side: &str, thing: Option<(&str, &str)>, not: bool) -> String {
    match thing {
        None => format!("<{side}><any></any></{side}>"),
        Some((element, text)) => {
            let not = if not { "<not></not>" } else { "" };
            format!("<{side}><{element}>{text}</{element}>{not}</{side}>")
        }
    }
}

fn pfsense(version: &str, filter: &str, nat: &str) -> String {
    // For a member that is no address pf refuses all rules.
    let aliases: String = ALIASES
        .iter()
        .filter(|a| a.0 != "BROKEN")
        .map(|(name, kind, members)| {
            let url = if *kind == "urltable" { format!("<url>{members}</url>") } else { String::new() };
            format!("<alias><name>{name}</name><type>{kind}</type><address>{members}</address>{url}</alias>")
        })
        .collect();
    format!(
        "<?xml version=\"1.0\"?>\n<pfsense><version>{version}</version><system><hostname>fw</hostname><ipv6allow></ipv6allow>\
         <webgui><noantilockout></noantilockout></webgui></system><interfaces>{}</interfaces>{VIRTUAL}<aliases>{aliases}</aliases>\
         <nat>{nat}</nat><filter>{filter}</filter></pfsense>\n",
        interfaces("")
    )
}

fn rule_of_pfsense(action: &str, families: &str, src: &str, dst: &str) -> String {
    format!(
        "<rule><type>{action}</type><interface>lan</interface><ipprotocol>{families}</ipprotocol>{src}{dst}<statetype>keep state</statetype></rule>"
    )
}

fn opnsense(rules: &str) -> String {
    let aliases: String = ALIASES
        .iter()
        .map(|(name, kind, members)| {
            format!("<alias><enabled>1</enabled><name>{name}</name><type>{kind}</type><content>{members}</content></alias>")
        })
        .collect();
    format!(
        "<?xml version=\"1.0\"?>\n<opnsense><system><hostname>fw</hostname><ipv6allow>1</ipv6allow><webgui><noantilockout>1</noantilockout></webgui></system>\
         <interfaces>{}</interfaces>{VIRTUAL}<OPNsense><Firewall><Alias><aliases>{aliases}</aliases></Alias>\
         <Filter><rules>{rules}</rules></Filter></Firewall></OPNsense></opnsense>\n",
        interfaces("1")
    )
}

fn rule_of_opnsense(
    action: &str,
    families: &str,
    (interface, except): (&str, bool),
    (src, src_not): (&str, bool),
    (dst, dst_not): (&str, bool),
) -> String {
    let flag = u8::from;
    format!(
        "<rule><enabled>1</enabled><sequence>1</sequence><action>{action}</action><quick>1</quick><interface>{interface}</interface>\
         <interfacenot>{}</interfacenot><direction>in</direction><ipprotocol>{families}</ipprotocol><protocol>any</protocol>\
         <source_net>{src}</source_net><source_not>{}</source_not><destination_net>{dst}</destination_net><destination_not>{}</destination_not></rule>",
        flag(except),
        flag(src_not),
        flag(dst_not)
    )
}

fn verdicts(text: &str) -> Vec<Verdict> {
    let file = SourceFile::new("config.xml", text.as_bytes().to_vec());
    let firewall = Pfsense.read(&[file], &ReadOptions::default());
    let environment = Environment::default();
    let firewalls = [&firewall];
    let point = Point { firewalls: &firewalls, environment: &environment };
    PACKETS.iter().map(|p| evaluate(point, &p.parse::<Packet>().unwrap()).verdict).collect()
}

// How often plain and inverted decided otherwise, and how often both were undecided.
#[derive(Default)]
struct Count {
    opposite: usize,
    undecided: usize,
}

impl Count {
    fn compare(&mut self, what: &str, plain: &str, inverted: &str) {
        let (a, b) = (verdicts(plain), verdicts(inverted));
        for ((packet, a), b) in PACKETS.iter().zip(a).zip(b) {
            let both = (a == Verdict::Undecided, b == Verdict::Undecided);
            // The network of a virtual address is known, but not whether the rule is left out: inverted it does not match in either case.
            if what.ends_with(" inet source false network opt2") && packet.contains("> 172.20.0.5") {
                assert_eq!((a, b), (Verdict::Undecided, Verdict::Accept), "{what}: {packet}");
                continue;
            }
            assert_eq!(both.0, both.1, "{what}: {packet} is {a:?}, and {b:?} with `not`: {plain}");
            match a == b {
                true if both.0 => self.undecided += 1,
                // Left out: what stands behind the rule decides.
                true => assert_eq!(a, Verdict::Accept, "{what}: {packet} is dropped by both: {plain}"),
                false => self.opposite += 1,
            }
        }
    }
}

// Each thing on each side.
fn things() -> Vec<(bool, &'static str, String)> {
    let named = NETWORKS.iter().map(|n| ("network", (*n).to_owned()));
    let all: Vec<_> = named.chain(addresses().into_iter().map(|a| ("address", a))).collect();
    [true, false]
        .into_iter()
        .flat_map(|source| all.iter().map(move |(element, text)| (source, *element, text.clone())))
        .collect()
}

#[test]
fn of_filter_rules_of_pfsense() {
    let mut count = Count::default();
    for version in ["21.7", "22.9", "24.0"] {
        for (source, element, text) in things() {
            for families in ["inet", "inet6"] {
                let config = |not: bool| {
                    let thing = Some((element, text.as_str()));
                    let (src, dst) = match source {
                        true => (end("source", thing, not), end("destination", None, false)),
                        false => (end("source", None, false), end("destination", thing, not)),
                    };
                    let any = [end("source", None, false), end("destination", None, false)];
                    let rules = rule_of_pfsense("block", families, &src, &dst)
                        + &rule_of_pfsense("pass", "inet46", &any[0], &any[1]);
                    pfsense(version, &rules, "")
                };
                let what = format!("{version} {families} source {source} {element} {text}");
                count.compare(&what, &config(false), &config(true));
            }
        }
    }
    assert!(count.opposite > 400 && count.undecided > 400, "{} {}", count.opposite, count.undecided);
}

#[test]
fn of_filter_rules_of_opnsense() {
    let mut count = Count::default();
    let pass = rule_of_opnsense("pass", "inet46", ("lan", false), ("any", false), ("any", false));
    for (source, _, text) in things() {
        for families in ["inet", "inet6"] {
            let config = |not: bool| {
                let thing = (text.as_str(), not);
                let (src, dst) = if source { (thing, ("any", false)) } else { (("any", false), thing) };
                opnsense(&(rule_of_opnsense("block", families, ("lan", false), src, dst) + &pass))
            };
            count.compare(&format!("{families} source {source} {text}"), &config(false), &config(true));
        }
    }
    assert!(count.opposite > 100 && count.undecided > 100, "{} {}", count.opposite, count.undecided);
}

#[test]
fn of_interfaces_of_opnsense() {
    let mut count = Count::default();
    let pass = rule_of_opnsense("pass", "inet46", ("lan", false), ("any", false), ("any", false));
    for interface in ["lan", "opt1", "nowhere", "openvpn"] {
        let config = |except| {
            let any = ("any", false);
            opnsense(&(rule_of_opnsense("block", "inet46", (interface, except), any, any) + &pass))
        };
        count.compare(interface, &config(false), &config(true));
    }
    assert!(count.opposite > 0 && count.undecided > 0);
}
