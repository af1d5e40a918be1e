//! The rule generator's facts one by one, as the design lists them: a small configuration, packets, and what pf does with them.
#![allow(clippy::unwrap_used)]

use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::pfsense::Pfsense;
use havenlint::dialect::{Dialect, ReadOptions};
use havenlint::model::Firewall;
use havenlint::source::SourceFile;

/// A box with WAN 203.0.113.2/24, LAN 10.0.0.1/24 and 2001:db8:1::1/64, OPT1 10.1.0.1/24, no anti-lockout rule, and what a test adds.
#[derive(Clone, Copy)]
struct Config<'a> {
    product: &'a str,
    version: &'a str,
    system: &'a str,
    interfaces: &'a str,
    filter: &'a str,
    more: &'a str,
    at: Option<&'a str>,
}

const BASE: Config<'static> = Config {
    product: "pfsense",
    version: "23.3",
    system: "<ipv6allow/><disablenatreflection/>",
    interfaces: "<wan><enable/><if>em0</if><ipaddr>203.0.113.2</ipaddr><subnet>24</subnet><gateway>GW</gateway></wan>\
        <lan><enable/><if>em1</if><ipaddr>10.0.0.1</ipaddr><subnet>24</subnet><ipaddrv6>2001:db8:1::1</ipaddrv6><subnetv6>64</subnetv6></lan>\
        <opt1><enable/><if>em2</if><ipaddr>10.1.0.1</ipaddr><subnet>24</subnet></opt1>\
        <opt2><if>em3</if><ipaddr>10.2.0.1</ipaddr><subnet>24</subnet></opt2>",
    filter: "",
    more: "",
    at: None,
};

impl Config<'_> {
    fn text(&self) -> String {
        let Config { product, version, system, interfaces, filter, more, .. } = self;
        let webgui = if *product == "pfsense" {
            "<webgui><noantilockout/></webgui>"
        } else {
            "<webgui><noantilockout>1</noantilockout></webgui>"
        };
        format!(
            "<{product}><version>{version}</version><system>{webgui}{system}</system><interfaces>{interfaces}</interfaces>\
             {more}<filter>{filter}</filter></{product}>"
        )
    }

    fn read(&self) -> Firewall {
        let options = ReadOptions { at: self.at.map(|t| t.parse().unwrap()), ..ReadOptions::default() };
        Pfsense.read(&[SourceFile::new("config.xml", self.text())], &options)
    }

    /// Holds packets to `+` accepted, `-` dropped, `?` undecided.
    fn does(&self, what: &str, packets: &[(char, &str)]) {
        let firewall = self.read();
        let environment = Environment::default();
        for (sign, words) in packets {
            let packet = words.parse().unwrap_or_else(|e| panic!("{words}: {e}"));
            let t = evaluate(Point { firewalls: &[&firewall], environment: &environment }, &packet);
            let expected = match sign {
                '+' => Verdict::Accept,
                '-' => Verdict::Drop,
                _ => Verdict::Undecided,
            };
            let because: Vec<_> = t.because.iter().map(|b| &b.text).collect();
            assert_eq!(t.verdict, expected, "{what}: {words}\nbecause {because:?}\n{}", self.text());
        }
    }
}

fn rule(inner: &str) -> String {
    format!("<rule>{inner}</rule>")
}

const ANY: &str = "<source><any/></source><destination><any/></destination>";

fn pass(interface: &str, more: &str) -> String {
    rule(&format!(
        "<type>pass</type><interface>{interface}</interface><ipprotocol>inet46</ipprotocol>{more}{ANY}"
    ))
}

#[test]
fn flags_are_set_by_presence_whatever_their_text() {
    let disabled = pass("lan", "<Disabled>no</Disabled>");
    Config { filter: &disabled, ..BASE }
        .does("disabled", &[('-', "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:80")]);
    let not = rule(
        "<type>pass</type><interface>lan</interface><source><network>lan</network><not>0</not></source><destination><any/></destination>",
    );
    Config { filter: &not, ..BASE }.does(
        "not",
        &[
            ('-', "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:80"),
            ('+', "forward lan>wan tcp 10.7.0.5:4000 > 192.0.2.1:80"),
        ],
    );
    // `floating` alone reads its text: another word makes an incoming rule of the floating tab.
    let odd = rule(&format!(
        "<type>pass</type><floating>on</floating><quick/><direction>any</direction><interface>lan</interface>{ANY}"
    ));
    Config { filter: &odd, ..BASE }
        .does("floating", &[('+', "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:80")]);
}

#[test]
fn a_list_of_interfaces_needs_the_floating_tab() {
    let packets: &[(char, &str)] = &[('-', "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:80")];
    Config { filter: &pass("lan,opt1", ""), ..BASE }.does("two keys", packets);
    Config { filter: &pass("opt2", ""), ..BASE }.does("disabled", packets);
    Config { filter: &pass("lan,opt1", "<floating>yes</floating>"), ..BASE }
        .does("floating", &[('+', "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:80")]);
}

#[test]
fn floating_rules_of_disabled_interfaces_apply_everywhere_before_2_5() {
    let floating = pass("opt2", "<floating>yes</floating><quick/>");
    for (version, sign) in
        [("19.1", '+'), ("21.7", '-'), ("22.2", '-'), ("23.3", '-'), ("23.9", '-'), ("24.5", '-')]
    {
        Config { version, filter: &floating, ..BASE }
            .does(version, &[(sign, "input wan tcp 192.0.2.1:4000 > 203.0.113.2:22")]);
    }
}

#[test]
fn ports_count_with_their_protocols_only() {
    let to = "<source><any/></source><destination><any/><port>443</port></destination>";
    let with = |protocol: &str| rule(&format!("<type>pass</type><interface>lan</interface>{protocol}{to}"));
    Config { filter: &with(""), ..BASE }.does(
        "no protocol",
        &[
            ('+', "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:80"),
            ('-', "forward lan>wan udp 10.0.0.5:4000 > 192.0.2.1:443"),
        ],
    );
    Config { filter: &with("<protocol>any</protocol>"), ..BASE }
        .does("any", &[('+', "forward lan>wan udp 10.0.0.5:4000 > 192.0.2.1:53")]);
    Config { filter: &with("<protocol>sctp</protocol>"), ..BASE }.does(
        "sctp",
        &[
            ('+', "forward lan>wan sctp 10.0.0.5:4000 > 192.0.2.1:443"),
            ('-', "forward lan>wan sctp 10.0.0.5:4000 > 192.0.2.1:53"),
        ],
    );
    for name in ["esp", "ah", "gre", "ipv6", "igmp", "pim", "ospf", "carp", "pfsync", "etherip"] {
        let f = Config { filter: &with(&format!("<protocol>{name}</protocol>")), ..BASE }.read();
        assert!(f.diagnostics.is_empty(), "{name}: {:?}", f.diagnostics);
    }
}

#[test]
fn port_ranges() {
    let of = |port: &str| {
        rule(&format!(
            "<type>pass</type><interface>lan</interface><protocol>tcp</protocol><source><any/></source><destination><any/><port>{port}</port></destination>"
        ))
    };
    for (port, inside, outside) in [
        ("80-90", 90, Some(91)),
        ("1-90", 1, Some(91)),
        ("90-65535", 65535, Some(89)),
        ("1-65535", 1, None),
        ("443-443", 443, Some(444)),
        ("http", 80, Some(81)),
    ] {
        let filter = of(port);
        let config = Config { filter: &filter, ..BASE };
        config.does(port, &[('+', &format!("forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:{inside}"))]);
        if let Some(p) = outside {
            config.does(port, &[('-', &format!("forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:{p}"))]);
        }
    }
    Config { filter: &of("90-80"), ..BASE }
        .does("reversed", &[('-', "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:85")]);
}

#[test]
fn tcp_blocks_stop_opening_packets_only() {
    let filter = rule(&format!("<type>block</type><interface>lan</interface><protocol>tcp</protocol>{ANY}"))
        + &pass("lan", "<protocol>tcp</protocol><tcpflags_any/>");
    Config { filter: &filter, ..BASE }.does(
        "tcp",
        &[
            ('-', "input lan tcp 10.0.0.5:4000 > 10.0.0.1:80"),
            ('+', "input lan tcp 10.0.0.5:4000 > 10.0.0.1:80 ACK new"),
        ],
    );
    let both = filter.replacen("<protocol>tcp<", "<protocol>tcp/udp<", 1);
    Config { filter: &both, ..BASE }
        .does("tcp/udp", &[('-', "input lan tcp 10.0.0.5:4000 > 10.0.0.1:80 ACK new")]);
}

#[test]
fn quick_match_rules_leave_it_open_and_others_decide_nothing() {
    let matching = |quick: &str| {
        rule(&format!("<type>match</type><floating>yes</floating>{quick}<direction>in</direction>{ANY}"))
            + &pass("lan", "")
    };
    Config { filter: &matching("<quick/>"), ..BASE }
        .does("quick", &[('?', "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:80")]);
    Config { filter: &matching(""), ..BASE }
        .does("not quick", &[('+', "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:80")]);
}

#[test]
fn system_rules_come_before_those_of_users() {
    let filter = pass("wan", "") + &pass("lan", "");
    let interfaces = BASE.interfaces.replace("<gateway>", "<blockpriv/><blockbogons/><gateway>");
    Config { filter: &filter, interfaces: &interfaces, ..BASE }.does(
        "before",
        &[
            ('-', "input wan tcp 10.9.9.9:4000 > 203.0.113.2:22"),
            ('-', "input wan tcp 127.9.9.9:4000 > 203.0.113.2:22"),
            ('?', "input wan tcp 100.64.9.9:4000 > 203.0.113.2:22"),
            ('?', "input wan tcp 192.0.2.9:4000 > 203.0.113.2:22"),
            ('+', "input wan tcp 198.41.0.4:4000 > 203.0.113.2:22"),
            ('-', "input lan tcp 169.254.1.1:4000 > 10.0.0.1:22"),
            ('-', "input lan tcp 10.0.0.5:0 > 10.0.0.1:22"),
            ('-', "input lan udp 10.0.0.5:53 > 10.0.0.1:0"),
        ],
    );
    let system = "<no_apipa_block/>";
    Config { filter: &filter, system, ..BASE }.does(
        "apipa allowed, IPv6 not",
        &[
            ('+', "input lan tcp 169.254.1.1:4000 > 10.0.0.1:22"),
            ('-', "forward lan>wan tcp [2001:db8:1::5]:4000 > [2001:db8:9::1]:80"),
            ('-', "output wan tcp [2001:db8:1::1]:4000 > [2001:db8:9::1]:80"),
            ('+', "input lo0 tcp [::1]:4000 > [::1]:80"),
        ],
    );
}

#[test]
fn dhcp_rules_come_before_blocks_of_users() {
    let filter = rule(&format!("<type>block</type><interface>lan</interface>{ANY}"));
    let more = "<dhcpd><lan><enable/><failover_peerip>10.0.0.2</failover_peerip></lan></dhcpd>";
    Config { filter: &filter, more, ..BASE }.does(
        "server",
        &[
            ('+', "input lan udp 0.0.0.0:68 > 255.255.255.255:67"),
            ('+', "input lan udp 10.0.0.5:68 > 10.0.0.1:67"),
            ('+', "input lan tcp 10.0.0.2:4000 > 10.0.0.1:519"),
            ('-', "input lan tcp 10.0.0.3:4000 > 10.0.0.1:519"),
        ],
    );
    let relay = "<dhcrelay><enable/><interface>lan,opt1</interface></dhcrelay>";
    Config { filter: &filter, more: relay, ..BASE }.does(
        "relay",
        &[
            ('+', "input lan udp 0.0.0.0:68 > 255.255.255.255:67"),
            ('-', "input lan udp 10.0.0.5:68 > 10.0.0.1:67"),
        ],
    );
    let interfaces = BASE.interfaces.replace("<ipaddr>203.0.113.2</ipaddr>", "<ipaddr>dhcp</ipaddr>");
    let filter = rule(&format!("<type>block</type><interface>wan</interface>{ANY}"));
    Config { interfaces: &interfaces, filter: &filter, ..BASE }
        .does("client", &[('+', "input wan udp 192.0.2.1:67 > 203.0.113.2:68")]);
}

#[test]
fn carp_rules_depend_on_the_release() {
    let vip = "<virtualip><vip><mode>ipalias</mode><interface>lan</interface><subnet>10.0.0.9</subnet><subnet_bits>32</subnet_bits></vip></virtualip>";
    let carp = vip.replace("ipalias", "carp");
    for (version, more, sign) in [
        ("22.2", vip, '+'),
        ("22.2", "<hasync/>", '+'),
        ("22.2", "", '-'),
        ("23.3", vip, '-'),
        ("23.3", &carp, '+'),
    ] {
        Config { version, more, ..BASE }
            .does(&format!("{version} {more}"), &[(sign, "input opt1 vrrp 10.1.0.2 > 224.0.0.18")]);
    }
}

#[test]
fn anti_lockout_names_the_ports_of_administration() {
    let open = BASE.text().replace(
        "<webgui><noantilockout/></webgui>",
        "<webgui><protocol>https</protocol><port>8443</port></webgui><ssh><enable/><port>2222</port></ssh>",
    );
    let firewall = Pfsense.read(&[SourceFile::new("c", open)], &ReadOptions::default());
    let environment = Environment::default();
    for (port, expected) in [
        (8443, Verdict::Accept),
        (80, Verdict::Accept),
        (2222, Verdict::Accept),
        (443, Verdict::Drop),
        (22, Verdict::Drop),
    ] {
        let packet = format!("input lan tcp 10.0.0.5:4000 > 10.0.0.1:{port}").parse().unwrap();
        let t = evaluate(Point { firewalls: &[&firewall], environment: &environment }, &packet);
        assert_eq!(t.verdict, expected, "{port}");
    }
}

#[test]
fn a_single_interface_that_is_off_breaks_the_anti_lockout_rule() {
    let text = "<pfsense><version>23.3</version><interfaces><wan><if>em0</if><ipaddr>dhcp</ipaddr></wan></interfaces><filter/></pfsense>";
    let firewall = Pfsense.read(&[SourceFile::new("c", text)], &ReadOptions::default());
    let packet = "output wan tcp 192.0.2.1:4000 > 192.0.2.2:80".parse().unwrap();
    let t = evaluate(Point { firewalls: &[&firewall], environment: &Environment::default() }, &packet);
    assert_eq!(t.verdict, Verdict::Undecided);
    let told = firewall.diagnostics.iter().any(|d| d.message.contains("anti-lockout"));
    assert!(told, "{:?}", firewall.diagnostics);
}

#[test]
fn networks_of_interfaces_with_virtual_addresses() {
    let more = "<virtualip><vip><mode>ipalias</mode><interface>lan</interface><subnet>172.16.5.1</subnet><subnet_bits>24</subnet_bits></vip></virtualip>\
        <ifgroups><ifgroupentry><ifname>INSIDE</ifname><members>lan opt1</members></ifgroupentry></ifgroups>";
    let from = |network: &str, not: &str| {
        rule(&format!(
            "<type>pass</type><interface>lan</interface><source><network>{network}</network>{not}</source><destination><any/></destination>"
        ))
    };
    let packet = |source: &str| format!("forward lan>wan tcp {source}:4000 > 192.0.2.1:80");
    for version in ["22.2", "23.3"] {
        Config { version, more, filter: &from("lan", ""), ..BASE }.does(
            version,
            &[('+', &packet("10.0.0.5")), ('+', &packet("172.16.5.9")), ('-', &packet("10.1.0.5"))],
        );
        Config { version, more, filter: &from("lanip", ""), ..BASE }
            .does(version, &[('+', &packet("10.0.0.1")), ('-', &packet("172.16.5.1"))]);
        Config { version, more, filter: &from("(self)", ""), ..BASE }.does(
            version,
            &[('+', &packet("172.16.5.1")), ('+', &packet("203.0.113.2")), ('-', &packet("10.0.0.5"))],
        );
        for never in ["l2tp", "NETS", "10.0.0.0/24"] {
            let alias = "<alias><name>NETS</name><type>network</type><address>10.0.0.0/24</address></alias>";
            let more = format!("{more}<aliases>{alias}</aliases>");
            Config { version, more: &more, filter: &from(never, ""), ..BASE }
                .does(never, &[('-', &packet("10.0.0.5"))]);
        }
    }
    // A list of complements is everything; a table's complement is what it says.
    Config { version: "22.2", more, filter: &from("lan", "<not/>"), ..BASE }
        .does("2.6", &[('+', &packet("10.0.0.5"))]);
    Config { version: "23.3", more, filter: &from("lan", "<not/>"), ..BASE }
        .does("2.7", &[('-', &packet("10.0.0.5")), ('-', &packet("172.16.5.9")), ('+', &packet("10.1.0.5"))]);
    Config { version: "22.2", more, filter: &from("INSIDE", ""), ..BASE }
        .does("2.6", &[('-', &packet("10.0.0.5"))]);
    Config { version: "23.3", more, filter: &from("INSIDE", ""), ..BASE }
        .does("2.7", &[('+', &packet("10.0.0.5")), ('+', &packet("10.1.0.5")), ('-', &packet("10.2.0.5"))]);
}

#[test]
fn the_box_has_link_local_addresses_that_the_file_does_not_tell() {
    let filter = rule(
        "<type>pass</type><interface>lan</interface><ipprotocol>inet6</ipprotocol><source><any/></source><destination><network>(self)</network></destination>",
    );
    Config { filter: &filter, ..BASE }.does(
        "self",
        &[
            ('?', "input lan tcp [fe80::5]:4000 > [fe80::1]:22"),
            ('+', "input lan tcp [fe80::5]:4000 > [2001:db8:1::1]:22"),
            ('-', "input lan tcp [fe80::5]:4000 > [2001:db8:1::2]:22"),
        ],
    );
}

#[test]
fn tables_that_the_product_makes() {
    let to = |name: &str| {
        rule(&format!(
            "<type>pass</type><interface>lan</interface><source><any/></source><destination><address>{name}</address></destination>"
        ))
    };
    let filter = to("_private4_");
    Config { version: "23.9", filter: &filter, ..BASE }.does(
        "2.8",
        &[
            ('+', "forward lan>opt1 tcp 10.0.0.5:4000 > 10.1.0.5:80"),
            ('-', "forward lan>wan tcp 10.0.0.5:4000 > 198.51.100.1:80"),
        ],
    );
    Config { filter: &filter, ..BASE }
        .does("2.7 has none", &[('-', "forward lan>opt1 tcp 10.0.0.5:4000 > 10.1.0.5:80")]);
    let filter = to("_reserved46_");
    Config { version: "23.9", filter: &filter, ..BASE }
        .does("reserved", &[('+', "forward lan>opt1 tcp 10.0.0.5:4000 > 10.1.0.5:80")]);
}

#[test]
fn addresses_of_nat64_are_blocked_by_2_9() {
    let filter = pass("lan", "");
    let packets = |private, other| {
        [
            (private, "forward lan>wan tcp [2001:db8:1::5]:4000 > [64:ff9b::10.1.2.3]:80"),
            (other, "forward lan>wan tcp [2001:db8:1::5]:4000 > [64:ff9b::198.51.100.1]:80"),
            ('+', "forward lan>wan tcp [2001:db8:1::5]:4000 > [64:ff9b::9.9.9.9]:80"),
            ('+', "forward lan>wan tcp [2001:db8:1::5]:4000 > [2001:db8:9::1]:80"),
        ]
    };
    Config { version: "24.5", filter: &filter, ..BASE }.does("2.9", &packets('-', '-'));
    Config { version: "23.9", filter: &filter, ..BASE }.does("2.8", &packets('+', '+'));
    let translating = rule(&format!(
        "<type>pass</type><interface>lan</interface><ipprotocol>inet6</ipprotocol><nat><enable/></nat>{ANY}"
    ));
    Config { version: "23.9", filter: &translating, ..BASE }
        .does("af-to", &[('?', "forward lan>wan tcp [2001:db8:1::5]:4000 > [64:ff9b::198.51.100.1]:80")]);
}

#[test]
fn schedules_need_every_part_of_a_range() {
    let more = "<schedules><schedule><name>XMAS</name><timerange><month>12,12</month><day>24,31</day><position>4</position><hour>8:00-17:30</hour></timerange></schedule></schedules>";
    let filter = pass("lan", "<sched>XMAS</sched>");
    let packet = "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:80";
    // 24 December 2026 is a Thursday, 31 December 2025 a Wednesday.
    for (at, sign) in [
        (None, '?'),
        (Some("2026-12-24T08:00"), '+'),
        (Some("2026-12-24T17:30"), '-'),
        (Some("2025-12-31T09:00"), '-'),
        (Some("2026-12-17T09:00"), '-'),
    ] {
        Config { at, more, filter: &filter, ..BASE }.does(&format!("{at:?}"), &[(sign, packet)]);
    }
    let filter = pass("lan", "<sched>NOSUCH</sched>");
    Config { more, filter: &filter, ..BASE }.does("no such schedule", &[('+', packet)]);
}

#[test]
fn a_rule_with_a_gateway_takes_packets_for_the_box_along() {
    let filter = pass("lan", "<gateway>WAN_DHCP</gateway>");
    Config { filter: &filter, ..BASE }.does(
        "gateway",
        &[
            ('+', "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:80"),
            ('?', "input lan tcp 10.0.0.5:4000 > 10.0.0.1:22"),
        ],
    );
    let system = "<ipv6allow/><skip_rules_gw_down/>";
    Config { filter: &filter, system, ..BASE }
        .does("down", &[('?', "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:80")]);
}

#[test]
fn bridges_filter_on_members_unless_told_otherwise() {
    let more =
        "<bridges><bridged><members>lan,opt1</members><bridgeif>bridge0</bridgeif></bridged></bridges>";
    let filter = pass("lan", "");
    let packet = "forward lan>opt1 tcp 10.0.0.5:4000 > 10.0.0.6:80";
    Config { filter: &filter, more, ..BASE }.does("members", &[('+', packet)]);
    let more = format!(
        "{more}<sysctl><item><tunable>net.link.bridge.pfil_member</tunable><value>0</value></item></sysctl>"
    );
    Config { filter: &filter, more: &more, ..BASE }.does("off", &[('?', packet)]);
}

#[test]
fn the_box_may_leave_by_every_door() {
    Config { system: "<disablenatreflection/>", ..BASE }.does(
        "out",
        &[
            ('+', "output wan tcp 203.0.113.2:4000 > 192.0.2.1:80"),
            ('+', "output lan udp 10.0.0.1:4000 > 10.0.0.5:80"),
        ],
    );
    let firewall = BASE.read();
    let packet = "output wan tcp 203.0.113.2:4000 > 192.0.2.1:80".parse().unwrap();
    let t = evaluate(Point { firewalls: &[&firewall], environment: &Environment::default() }, &packet);
    let note = t.decided_by.and_then(|d| d.note).map(|n| firewall.notes[n.index()].clone());
    assert_eq!(
        note.as_deref(),
        Some("the firewall's own packets leave through the gateway of wan"),
        "rule 13"
    );
    let block = rule(&format!("<type>block</type><floating>yes</floating><direction>out</direction>{ANY}"));
    Config { filter: &block, ..BASE }
        .does("a floating rule may stop it", &[('-', "output wan tcp 203.0.113.2:4000 > 192.0.2.1:80")]);
}

#[test]
fn what_the_running_box_adds_is_undecided() {
    let filter = pass("lan", "");
    let packet = "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:80";
    for more in [
        "<installedpackages><package><name>snort</name><filter_rule_function>snort_rules</filter_rule_function></package></installedpackages>",
        "<captiveportal><guests><enable/><interface>lan</interface></guests></captiveportal>",
    ] {
        Config { filter: &filter, more, ..BASE }.does(more, &[('?', packet)]);
    }
    let users = "<ipsec><client><enable/><user_source>RADIUS</user_source></client><phase1><mobile/><interface>wan</interface></phase1></ipsec>";
    Config { filter: &pass("enc0", ""), more: users, ..BASE }
        .does("IPsec users", &[('?', "forward enc0>lan tcp 10.99.0.5:4000 > 10.0.0.5:80")]);
    let balancer = "<load_balancer><virtual_server><name>web</name></virtual_server></load_balancer>";
    for (version, sign) in [("19.1", '?'), ("21.7", '+')] {
        Config { version, filter: &filter, more: balancer, ..BASE }.does(version, &[(sign, packet)]);
    }
}

#[test]
fn opnsense_reads_flags_by_their_text_and_orders_by_priority() {
    let opnsense = Config {
        product: "opnsense",
        version: "",
        system: "<ipv6allow>1</ipv6allow><disablenatreflection>1</disablenatreflection>",
        ..BASE
    };
    let interfaces = BASE
        .interfaces
        .replace("<opt2>", "<opt2><enable>0</enable>")
        .replace("<enable/>", "<enable>1</enable>");
    let opnsense = Config { interfaces: &interfaces, ..opnsense };
    let packet = "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:80";
    let off = rule(&format!("<type>pass</type><interface>lan</interface><disabled>0</disabled>{ANY}"));
    Config { filter: &off, ..opnsense }.does("disabled 0", &[('+', packet)]);
    // Legacy rules are quick unless they say 0; a newer floating rule comes before those of interfaces.
    let more = "<OPNsense><Firewall><Filter><rules><rule uuid=\"a\"><enabled>1</enabled><sequence>1</sequence><action>block</action>\
        <interface></interface><source_net>any</source_net><destination_net>192.0.2.0/24</destination_net></rule>\
        <rule uuid=\"b\"><enabled>0</enabled><action>block</action></rule></rules></Filter></Firewall></OPNsense>";
    Config { filter: &off, more, ..opnsense }.does(
        "floating first",
        &[('-', packet), ('+', "forward lan>wan tcp 10.0.0.5:4000 > 198.51.100.1:80")],
    );
    // A block for TCP stops every segment here.
    let block = rule(&format!("<type>block</type><interface>lan</interface><protocol>tcp</protocol>{ANY}"))
        + &rule(&format!(
            "<type>pass</type><interface>lan</interface><protocol>tcp</protocol><tcpflags_any>1</tcpflags_any>{ANY}"
        ));
    Config { filter: &block, ..opnsense }
        .does("flags", &[('-', "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:80 ACK new")]);
    // Groups come in the order of their numbers, not in that of the file.
    let groups = "<ifgroups><ifgroupentry><ifname>LATE</ifname><members>lan</members><sequence>20</sequence></ifgroupentry>\
        <ifgroupentry><ifname>EARLY</ifname><members>lan</members><sequence>10</sequence></ifgroupentry></ifgroups>";
    let filter = rule(&format!("<type>pass</type><interface>LATE</interface>{ANY}"))
        + &rule(&format!("<type>block</type><interface>EARLY</interface>{ANY}"));
    Config { filter: &filter, more: groups, ..opnsense }.does("groups", &[('-', packet)]);
    // Names of interface networks and of tables that the product makes.
    let filter = rule(
        "<type>pass</type><interface>lan</interface><source><address>__lan_network</address></source><destination><any>1</any></destination>",
    );
    Config { filter: &filter, ..opnsense }
        .does("lan", &[('+', packet), ('-', "forward lan>wan tcp 10.7.0.5:4000 > 192.0.2.1:80")]);
    let filter = rule(
        "<type>block</type><interface>lan</interface><source><address>sshlockout</address></source><destination><any>1</any></destination>",
    ) + &off;
    Config { filter: &filter, ..opnsense }.does("table", &[('?', packet)]);
}

#[test]
fn a_rule_that_is_left_out_cannot_break_the_ruleset() {
    let clash = "<type>pass</type><interface>lan</interface><ipprotocol>inet6</ipprotocol><source><address>10.0.0.0/8</address></source>";
    let packet = "forward lan>wan tcp 10.0.0.5:4000 > 192.0.2.1:80";
    for (destination, sign) in [("<any/>", '?'), ("<address>10.0.0.1-10.0.0.9</address>", '-')] {
        let filter = rule(&format!("{clash}<destination>{destination}</destination>"));
        Config { filter: &filter, ..BASE }.does(destination, &[(sign, packet)]);
    }
    let more = "<schedules><schedule><name>NEVER</name><timerange><month>2</month><day>30</day></timerange></schedule></schedules>";
    let filter = rule(&format!("{clash}<sched>NEVER</sched><destination><any/></destination>"));
    Config { filter: &filter, more, at: Some("2026-11-22T12:00"), ..BASE }.does("schedule", &[('-', packet)]);
}
