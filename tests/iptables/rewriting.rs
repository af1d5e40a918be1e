//! What targets write, later rules see.

use havenlint::analysis::{Environment, Point, Verdict, evaluate};
use havenlint::dialect::{ReadOptions, by_name};
use havenlint::model::Firewall;
use havenlint::packet::{Packet, addr};
use havenlint::source::{Severity, SourceFile};

fn read(variant: &str, dump: &str) -> Firewall {
    let (dialect, variant) = by_name(variant).unwrap();
    let options = ReadOptions { variant: Some(variant), ..ReadOptions::default() };
    dialect.read(&[SourceFile::new("dump", dump)], &options)
}

fn verdict(f: &Firewall, packet: &str) -> Verdict {
    let local = addr::parse("198.51.100.1").map(|l| l.union(&addr::parse("2001:db8:a::1").unwrap()));
    let environment = Environment { local, ..Environment::default() };
    let packet: Packet = packet.parse().unwrap_or_else(|e| panic!("{packet}: {e}"));
    evaluate::evaluate(Point { firewalls: &[f], environment: &environment }, &packet).verdict
}

fn check(variant: &str, dump: &str, packets: &[(&str, Verdict)]) {
    let f = read(variant, dump);
    let errors: Vec<_> = f.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{dump}{errors:?}");
    for (packet, expected) in packets {
        assert_eq!(verdict(&f, packet), *expected, "{packet}\n{dump}");
    }
}

use Verdict::{Accept, Drop, Undecided};

#[test]
fn a_transparent_proxy_sets_the_mark_and_keeps_the_destination() {
    let dump = "*mangle\n:PREROUTING ACCEPT [0:0]\n\
        -A PREROUTING -p tcp -m tcp --dport 80 -j TPROXY --on-port 3129 --on-ip 0.0.0.0 --tproxy-mark 0x1/0x1\nCOMMIT\n\
        *filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n\
        -A INPUT -d 203.0.113.9/32 -m mark --mark 0x1/0x1 -j ACCEPT\nCOMMIT\n";
    check(
        "iptables",
        dump,
        &[
            // Taken by the proxy with its mark, or dropped where none listens.
            ("forward eth0>eth1 tcp 192.0.2.9:4000 > 203.0.113.9:80", Undecided),
            // Not for the proxy's rule in INPUT: dropped either way.
            ("forward eth0>eth1 tcp 192.0.2.9:4000 > 203.0.113.8:80", Drop),
            ("forward eth0>eth1 tcp 192.0.2.9:4000 > 203.0.113.9:81", Accept),
            ("input eth0 tcp 192.0.2.9:4000 > 198.51.100.1:80", Drop),
        ],
    );
}

#[test]
fn stateless_translations_write_addresses() {
    check(
        "ip6tables",
        "*mangle\n:PREROUTING ACCEPT [0:0]\n\
         -A PREROUTING -d 2001:db8:1::/48 -j DNPT --src-pfx 2001:db8:1::/48 --dst-pfx fd00:1::/48\nCOMMIT\n\
         *filter\n:FORWARD DROP [0:0]\n-A FORWARD -d fd00:1::/48 -p tcp --dport 80 -j ACCEPT\n\
         -A FORWARD -d fd00:1::7/128 -p tcp --dport 22 -j ACCEPT\n-A FORWARD -d 2001:db8:1::/48 -j ACCEPT\nCOMMIT\n",
        &[
            ("forward eth0>eth1 tcp [2001:db8:b::1]:4000 > [2001:db8:1::7]:80", Accept),
            ("forward eth0>eth1 tcp [2001:db8:b::1]:4000 > [2001:db8:1::7]:22", Undecided),
            ("forward eth0>eth1 tcp [2001:db8:b::1]:4000 > [2001:db8:1::7]:25", Drop),
        ],
    );
    check(
        "iptables",
        "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 192.0.2.5/32 -j RAWDNAT --to-destination 10.0.0.5/32\nCOMMIT\n\
         *filter\n:FORWARD DROP [0:0]\n-A FORWARD -d 10.0.0.5/32 -j ACCEPT\n-A FORWARD -d 192.0.2.5/32 -j ACCEPT\nCOMMIT\n",
        &[
            ("forward eth0>eth1 tcp 203.0.113.9:4000 > 192.0.2.5:80", Accept),
            ("forward eth0>eth1 tcp 203.0.113.9:4000 > 192.0.2.6:80", Drop),
        ],
    );
    check(
        "iptables",
        "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 192.0.2.5/32 -j RAWSNAT --to-source 10.0.0.5/32\nCOMMIT\n\
         *filter\n:FORWARD DROP [0:0]\n-A FORWARD -s 192.0.2.5/32 -j ACCEPT\nCOMMIT\n",
        &[("forward eth0>eth1 tcp 192.0.2.5:4000 > 203.0.113.9:80", Drop)],
    );
}

#[test]
fn one_address_of_a_pool() {
    check(
        "iptables",
        "*nat\n:PREROUTING ACCEPT [0:0]\n\
         -A PREROUTING -d 198.51.100.1/32 -j SAME --to 10.0.0.1-10.0.0.2 --to 10.0.0.8-10.0.0.9\nCOMMIT\n\
         *filter\n:FORWARD DROP [0:0]\n-A FORWARD -d 10.0.0.0/29 -p tcp --dport 22 -j ACCEPT\n\
         -A FORWARD -d 10.0.0.0/28 -p tcp --dport 80 -j ACCEPT\n-A FORWARD -d 198.51.100.1/32 -j ACCEPT\nCOMMIT\n",
        &[
            ("input eth0 tcp 203.0.113.9:4000 > 198.51.100.1:80", Accept),
            ("input eth0 tcp 203.0.113.9:4000 > 198.51.100.1:22", Undecided),
            ("input eth0 tcp 203.0.113.9:4000 > 198.51.100.1:25", Drop),
        ],
    );
}

#[test]
fn what_a_rule_writes_is_no_longer_what_a_match_saw() {
    // The first test sees the old value, the second one the new.
    check(
        "iptables",
        "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -m dscp --dscp 0x01 -j DROP\n-A PREROUTING -j DSCP --set-dscp 0x01\nCOMMIT\n\
         *filter\n:INPUT DROP [0:0]\n-A INPUT -m dscp --dscp 0x01 -j ACCEPT\nCOMMIT\n",
        &[("input eth0 tcp 192.0.2.9:4000 > 198.51.100.1:22", Undecided)],
    );
    // Where nothing writes it, both see the same.
    check(
        "iptables",
        "*filter\n:INPUT DROP [0:0]\n-A INPUT -m dscp --dscp 0x01 -j DROP\n-A INPUT -m dscp --dscp 0x01 -j ACCEPT\nCOMMIT\n",
        &[("input eth0 tcp 192.0.2.9:4000 > 198.51.100.1:22", Drop)],
    );
}

#[test]
fn a_not_behind_its_option_is_read_as_one() {
    let rules = "-s ! 10.0.0.0/8 -d ! 198.51.100.2 -i ! eth1 -p tcp --dport ! 22 --tcp-flags ! SYN,ACK ACK";
    let packets = [
        ("input eth0 tcp 192.0.2.9:4000 > 198.51.100.1:23", Accept),
        ("input eth0 tcp 10.1.0.9:4000 > 198.51.100.1:23", Drop),
        ("input eth0 tcp 192.0.2.9:4000 > 198.51.100.2:23", Drop),
        ("input eth1 tcp 192.0.2.9:4000 > 198.51.100.1:23", Drop),
        ("input eth0 tcp 192.0.2.9:4000 > 198.51.100.1:22", Drop),
        ("input eth0 tcp 192.0.2.9:4000 > 198.51.100.1:23 ACK", Drop),
        ("input eth0 udp 192.0.2.9:4000 > 198.51.100.1:23", Drop),
    ];
    for (head, severity) in [
        ("# Generated by iptables-save v1.3.5 on Mon Nov 16 16:39:29 2015\n", None),
        ("# Generated by iptables-save v1.8.8 on Mon Nov 16 16:39:29 2022\n", None),
        ("# Generated by iptables-save v1.8.9 on Mon Nov 16 16:39:29 2026\n", Some(Severity::Error)),
        ("", Some(Severity::Warning)),
    ] {
        let f = read(
            "iptables",
            &format!("{head}*filter\n:INPUT DROP [0:0]\n-A INPUT {rules} -j ACCEPT\nCOMMIT\n"),
        );
        let told: Vec<_> = f.diagnostics.iter().map(|d| d.severity).collect();
        assert_eq!(told, severity.into_iter().collect::<Vec<_>>(), "{head}{:?}", f.diagnostics);
        for (packet, expected) in packets {
            assert_eq!(verdict(&f, packet), expected, "{head}{packet}");
        }
    }
}
