//! What iptables rules mean: each fact of the manual, a dump that shows it, packets, and what becomes of them.
//!
//! A dump that does not begin with `*` stands in table filter with policy drop.

use havenlint::analysis::{Environment, Point, evaluate};
use havenlint::dialect::{ReadOptions, by_name};
use havenlint::model::{Firewall, display};
use havenlint::packet::{Packet, addr};
use havenlint::source::{Severity, SourceFile};

/// What a line of the manual says, shown by a dump and packets.
struct Fact(&'static str, &'static str, &'static [(&'static str, &'static str)]);

fn whole(dump: &str) -> String {
    if dump.starts_with('*') {
        return dump.to_owned();
    }
    format!("*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\n{dump}\nCOMMIT\n")
}

fn read_with(variant: &str, dump: &str, companions: &[&str], options: ReadOptions) -> Firewall {
    let (dialect, variant) = by_name(variant).expect("a dialect");
    let mut files = vec![SourceFile::new("dump", whole(dump))];
    files.extend(companions.iter().enumerate().map(|(i, c)| SourceFile::new(format!("sets-{i}"), *c)));
    dialect.read(&files, &ReadOptions { variant: Some(variant), ..options })
}

fn read(variant: &str, dump: &str) -> Firewall {
    read_with(variant, dump, &[], ReadOptions::default())
}

fn verdict(f: &Firewall, packet: &str, environment: &Environment) -> String {
    let packet: Packet = packet.parse().unwrap_or_else(|e| panic!("{packet}: {e}"));
    let trace = evaluate::evaluate(Point { firewalls: &[f], environment }, &packet);
    format!("{:?}", trace.verdict).to_lowercase()
}

fn check_in(variant: &str, facts: &[Fact], environment: &Environment) {
    let mut wrong = Vec::new();
    for Fact(says, dump, packets) in facts {
        let f = read(variant, dump);
        let errors: Vec<_> = f.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
        if !errors.is_empty() {
            wrong.push(format!("{says}: {dump}\n  is refused: {errors:?}"));
        }
        for (packet, expected) in *packets {
            let found = verdict(&f, packet, environment);
            if found != *expected {
                let model = display::canonical(&f);
                wrong.push(format!("{says}: {dump}\n  {packet}: {found}, expected {expected}\n{model}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(facts: &[Fact]) {
    check_in("iptables", facts, &Environment::default());
}

fn check6(facts: &[Fact]) {
    check_in("ip6tables", facts, &Environment::default());
}

const A: &str = "accept";
const D: &str = "drop";
const U: &str = "undecided";

#[test]
fn addresses() {
    check(&[
        Fact(
            "a list of sources and one of destinations are a product",
            "-A INPUT -s 10.0.0.1,10.0.1.0/24 -d 10.9.0.1,10.9.0.2 -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.9.0.1", A),
                ("input eth0 tcp 10.0.1.77 > 10.9.0.2", A),
                ("input eth0 tcp 10.0.1.77 > 10.9.0.3", D),
                ("input eth0 tcp 10.0.0.2 > 10.9.0.1", D),
            ],
        ),
        Fact(
            "parts that are missing are zero: 10.1 is 10.1.0.0/32",
            "-A INPUT -s 10.1 -j ACCEPT",
            &[("input eth0 tcp 10.1.0.0 > 10.0.0.9", A), ("input eth0 tcp 10.1.0.1 > 10.0.0.9", D)],
        ),
        Fact(
            "host bits are masked off",
            "-A INPUT -s 10.1.2.3/16 -j ACCEPT",
            &[("input eth0 tcp 10.1.9.9 > 10.0.0.9", A), ("input eth0 tcp 10.2.2.3 > 10.0.0.9", D)],
        ),
        Fact(
            "a mask may have dots, and gaps",
            "-A INPUT -s 10.0.7.0/255.0.255.0 -j ACCEPT",
            &[("input eth0 tcp 10.99.7.1 > 10.0.0.9", A), ("input eth0 tcp 10.99.8.1 > 10.0.0.9", D)],
        ),
        Fact(
            "a mask of very many gaps is a condition that has its opposite",
            "-A INPUT -s 0.1.2.3/0.3.6.255 -j ACCEPT\n-A INPUT ! -s 0.1.2.3/0.3.6.255 -j ACCEPT",
            &[("input eth0 tcp 10.99.7.1 > 10.0.0.9", A)],
        ),
        Fact(
            "`! -s` is every other address",
            "-A INPUT ! -s 10.0.0.0/8 -j ACCEPT",
            &[("input eth0 tcp 11.0.0.0 > 10.0.0.9", A), ("input eth0 tcp 10.255.255.255 > 10.0.0.9", D)],
        ),
        Fact(
            "`! -s 0.0.0.0/0` never matches",
            "-A INPUT ! -s 0.0.0.0/0 -j ACCEPT",
            &[("input eth0 tcp 11.0.0.0 > 10.0.0.9", D)],
        ),
        Fact(
            "a reversed iprange never matches, and negated always",
            "-A INPUT -p tcp -m iprange --src-range 10.0.0.9-10.0.0.1 -j ACCEPT\n-A INPUT -p udp -m iprange ! --src-range 10.0.0.9-10.0.0.1 -j ACCEPT",
            &[("input eth0 tcp 10.0.0.5 > 10.0.0.9", D), ("input eth0 udp 10.0.0.5 > 10.0.0.9", A)],
        ),
        Fact(
            "the ranges of one iprange are negated one by one",
            "-A INPUT -m iprange --src-range 10.0.0.1-10.0.0.9 ! --dst-range 10.0.0.5-10.0.0.6 -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.9 > 10.0.0.7", A),
                ("input eth0 tcp 10.0.0.9 > 10.0.0.6", D),
                ("input eth0 tcp 10.0.0.10 > 10.0.0.7", D),
            ],
        ),
    ]);
}

#[test]
fn interfaces() {
    check(&[
        Fact(
            "a name ends with + for all that begin so, itself too; elsewhere + is a letter",
            "-A INPUT -i eth+ -j ACCEPT\n-A INPUT -i a+b -j ACCEPT",
            &[
                ("input eth tcp 10.0.0.1 > 10.0.0.9", A),
                ("input eth7 tcp 10.0.0.1 > 10.0.0.9", A),
                ("input et tcp 10.0.0.1 > 10.0.0.9", D),
                ("input a+b tcp 10.0.0.1 > 10.0.0.9", A),
                ("input axb tcp 10.0.0.1 > 10.0.0.9", D),
            ],
        ),
        Fact(
            "`-i +` is every interface",
            "-A INPUT -i + -j ACCEPT",
            &[("input eth0 tcp 10.0.0.1 > 10.0.0.9", A)],
        ),
        Fact(
            "in a chain reached from OUTPUT there is no input interface: only `!` and `+` match",
            ":a - [0:0]\n-A a -i eth0 -p tcp -j ACCEPT\n-A a -i et+ -p tcp -j ACCEPT\n-A a ! -i eth0 -p udp -j ACCEPT\n-A a -i + -p icmp -j ACCEPT\n-A OUTPUT -j a",
            &[
                ("output eth0 tcp 10.0.0.1 > 10.0.0.9", D),
                ("output eth0 udp 10.0.0.1 > 10.0.0.9", A),
                ("output eth0 icmp 10.0.0.1 > 10.0.0.9", A),
            ],
        ),
        Fact(
            "the same for -o in a chain reached from INPUT",
            ":a - [0:0]\n-A a -o eth0 -p tcp -j ACCEPT\n-A a ! -o eth0 -p udp -j ACCEPT\n-A INPUT -j a",
            &[("input eth0 tcp 10.0.0.1 > 10.0.0.9", D), ("input eth0 udp 10.0.0.1 > 10.0.0.9", A)],
        ),
    ]);
}

#[test]
fn protocols_and_ports() {
    check(&[
        Fact(
            "`-p 0` and `-p all` are every protocol",
            "-A INPUT -p 0 -s 10.0.0.1 -j ACCEPT\n-A INPUT -p all -s 10.0.0.2 -j ACCEPT",
            &[("input eth0 gre 10.0.0.1 > 10.0.0.9", A), ("input eth0 tcp 10.0.0.2 > 10.0.0.9", A)],
        ),
        Fact(
            "`:53` begins at 0, `1024:` ends at 65535, services have names",
            "-A INPUT -p tcp --dport :53 -j ACCEPT\n-A INPUT -p udp --dport 1024: -j ACCEPT\n-A INPUT -p tcp --dport https -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:0", A),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:53", A),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:54", D),
                ("input eth0 udp 10.0.0.1 > 10.0.0.9:65535", A),
                ("input eth0 udp 10.0.0.1 > 10.0.0.9:1023", D),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:443", A),
            ],
        ),
        Fact(
            "`! --dport` keeps the protocol",
            "-A INPUT -p tcp ! --dport 22 -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:23", A),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:22", D),
                ("input eth0 udp 10.0.0.1 > 10.0.0.9:23", D),
            ],
        ),
        Fact(
            "multiport --ports is either port, `! --ports` neither",
            "-A INPUT -p tcp -m multiport --ports 22,80:90 -j ACCEPT\n-A INPUT -p udp -m multiport ! --ports 22,80:90 -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1:85 > 10.0.0.9:1", A),
                ("input eth0 tcp 10.0.0.1:1 > 10.0.0.9:22", A),
                ("input eth0 tcp 10.0.0.1:1 > 10.0.0.9:1", D),
                ("input eth0 udp 10.0.0.1:85 > 10.0.0.9:1", D),
                ("input eth0 udp 10.0.0.1:1 > 10.0.0.9:22", D),
                ("input eth0 udp 10.0.0.1:1 > 10.0.0.9:1", A),
            ],
        ),
        Fact(
            "multiport, and ports, also for sctp, dccp and udplite",
            "-A INPUT -p sctp -m multiport --dports 5 -j ACCEPT\n-A INPUT -p dccp --dport 6 -j ACCEPT\n-A INPUT -p udplite -m multiport ! --dports 7 -j ACCEPT",
            &[
                ("input eth0 sctp 10.0.0.1:1 > 10.0.0.9:5", A),
                ("input eth0 dccp 10.0.0.1:1 > 10.0.0.9:6", A),
                ("input eth0 udplite 10.0.0.1:1 > 10.0.0.9:7", D),
                ("input eth0 udplite 10.0.0.1:1 > 10.0.0.9:8", A),
            ],
        ),
        Fact(
            "the same module twice is an AND",
            "-A INPUT -p tcp -m multiport --dports 22,80 -m multiport --dports 80,443 -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1:1 > 10.0.0.9:80", A),
                ("input eth0 tcp 10.0.0.1:1 > 10.0.0.9:22", D),
                ("input eth0 tcp 10.0.0.1:1 > 10.0.0.9:443", D),
            ],
        ),
        Fact(
            "what the back ends read differently is not decided: `! --dport 0:65535`, `! --tcp-flags NONE NONE`",
            "-A INPUT -p tcp ! --dport 0:65535 -j ACCEPT\n-A FORWARD -p tcp ! --tcp-flags NONE NONE -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1:1 > 10.0.0.9:80", U),
                ("input eth0 udp 10.0.0.1:1 > 10.0.0.9:80", D),
                ("forward eth0>eth1 tcp 10.0.0.1:1 > 10.0.0.9:80", U),
            ],
        ),
        Fact(
            "flags outside the mask never match, and negated always",
            "-A INPUT -p tcp --tcp-flags SYN FIN -j ACCEPT\n-A FORWARD -p tcp ! --tcp-flags SYN FIN -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1:1 > 10.0.0.9:80 SYN,FIN", D),
                ("forward eth0>eth1 tcp 10.0.0.1:1 > 10.0.0.9:80", A),
            ],
        ),
        Fact(
            "--syn is SYN alone of SYN, RST, ACK and FIN",
            "-A INPUT -p tcp --syn -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1:1 > 10.0.0.9:80 SYN,PSH", A),
                ("input eth0 tcp 10.0.0.1:1 > 10.0.0.9:80 SYN,ACK", D),
            ],
        ),
        Fact(
            "packets here are whole: `-f` never matches, `! -f` always",
            "-A INPUT -p tcp -f -j ACCEPT\n-A INPUT -p udp ! -f -j ACCEPT",
            &[("input eth0 tcp 10.0.0.1 > 10.0.0.9:80", D), ("input eth0 udp 10.0.0.1 > 10.0.0.9:80", A)],
        ),
    ]);
}

#[test]
fn icmp() {
    check(&[
        Fact(
            "a type is all its codes, TYPE/CODE is one, names are either",
            "-A INPUT -p icmp --icmp-type 8 -j ACCEPT\n-A INPUT -p icmp --icmp-type 3/1 -j ACCEPT\n-A INPUT -p icmp --icmp-type fragmentation-needed -j ACCEPT",
            &[
                ("input eth0 icmp 10.0.0.1 > 10.0.0.9 type 8/7", A),
                ("input eth0 icmp 10.0.0.1 > 10.0.0.9 type 3/1", A),
                ("input eth0 icmp 10.0.0.1 > 10.0.0.9 type 3/2", D),
                ("input eth0 icmp 10.0.0.1 > 10.0.0.9 type 3/4", A),
            ],
        ),
        Fact(
            "`any` and 255 are all types; negated none",
            "-A INPUT -p icmp --icmp-type any -j ACCEPT\n-A FORWARD -p icmp --icmp-type 255 -j ACCEPT\n-A OUTPUT -p icmp ! --icmp-type any -j ACCEPT",
            &[
                ("input eth0 icmp 10.0.0.1 > 10.0.0.9 type 11", A),
                ("forward eth0>eth1 icmp 10.0.0.1 > 10.0.0.9 type 11", A),
                ("output eth0 icmp 10.0.0.1 > 10.0.0.9 type 11", D),
            ],
        ),
    ]);
    check6(&[
        Fact(
            "`-p icmp` is protocol 1 in ip6tables too, not ICMPv6",
            "-A INPUT -p icmp -j ACCEPT",
            &[
                ("input eth0 icmpv6 2001:db8::1 > 2001:db8::2 type 128", D),
                ("input eth0 1 2001:db8::1 > 2001:db8::2", A),
            ],
        ),
        Fact(
            "ICMPv6 types have names of their own",
            "-A INPUT -p ipv6-icmp --icmpv6-type neighbour-solicitation -j ACCEPT\n-A INPUT -p 58 -m icmp6 --icmpv6-type 1/4 -j ACCEPT",
            &[
                ("input eth0 icmpv6 2001:db8::1 > 2001:db8::2 type 135", A),
                ("input eth0 icmpv6 2001:db8::1 > 2001:db8::2 type 136", D),
                ("input eth0 icmpv6 2001:db8::1 > 2001:db8::2 type 1/4", A),
            ],
        ),
        Fact(
            "-p looks behind the extension headers: those never match",
            "-A INPUT -p 43 -j ACCEPT\n-A INPUT -p ipv6-frag -j ACCEPT\n-A INPUT -p 60 -j ACCEPT",
            &[
                ("input eth0 43 2001:db8::1 > 2001:db8::2", D),
                ("input eth0 44 2001:db8::1 > 2001:db8::2", D),
                ("input eth0 60 2001:db8::1 > 2001:db8::2", D),
            ],
        ),
    ]);
}

#[test]
fn connection_states() {
    check(&[
        Fact(
            "states are a set; `!` is the others",
            "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -m state ! --state NEW -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:22 established", A),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:22 related", A),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:22 new", D),
                ("forward eth0>eth1 tcp 10.0.0.1 > 10.0.0.9:22 new", D),
                ("forward eth0>eth1 tcp 10.0.0.1 > 10.0.0.9:22 untracked", A),
                ("forward eth0>eth1 tcp 10.0.0.1 > 10.0.0.9:22 invalid", A),
            ],
        ),
        Fact(
            "NEW is not SYN: a lone ACK is NEW, SYN+ACK and FIN are INVALID",
            "-A INPUT -m conntrack --ctstate NEW -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:22 ACK", A),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:22 PSH,ACK", A),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:22 SYN,ACK", D),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:22 FIN", D),
                ("input eth0 icmp 10.0.0.1 > 10.0.0.9 type 8", A),
                ("input eth0 icmp 10.0.0.1 > 10.0.0.9 type 3", D),
            ],
        ),
        Fact(
            "untracked packets match only UNTRACKED and what is negated",
            "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -j CT --notrack\n-A PREROUTING -p sctp -j NOTRACK\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n-A INPUT -p udp -m conntrack --ctstate NEW,ESTABLISHED,RELATED,INVALID -j ACCEPT\n-A INPUT -p udp --dport 53 -m conntrack --ctstate UNTRACKED -j ACCEPT\n-A INPUT -p sctp -m conntrack ! --ctstate NEW -j ACCEPT\nCOMMIT\n",
            &[
                ("input eth0 udp 10.0.0.1 > 10.0.0.9:54", D),
                ("input eth0 udp 10.0.0.1 > 10.0.0.9:53", A),
                ("input eth0 sctp 10.0.0.1 > 10.0.0.9:53", A),
            ],
        ),
        Fact(
            "in raw a packet has no connection yet: every state but INVALID fails",
            "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m state --state NEW -j DROP\n-A PREROUTING -p udp -m state --state INVALID -j DROP\nCOMMIT\n",
            &[("input eth0 tcp 10.0.0.1 > 10.0.0.9:54", A), ("input eth0 udp 10.0.0.1 > 10.0.0.9:53", D)],
        ),
        Fact(
            "SNAT and DNAT are states too: of a packet that opens a connection the rules tell, of later ones only its record",
            "-A FORWARD -m conntrack --ctstate ESTABLISHED,DNAT -j ACCEPT",
            &[
                ("forward eth0>eth1 tcp 10.0.0.1 > 10.0.0.9:22 established", A),
                ("forward eth0>eth1 tcp 10.0.0.1 > 10.0.0.9:22 new", D),
                ("forward eth0>eth1 tcp 10.0.0.1 > 10.0.0.9:22 related", U),
                ("forward eth0>eth1 tcp 10.0.0.1 > 10.0.0.9:22 invalid", D),
            ],
        ),
        Fact(
            "--ctproto is the protocol of the packet, save in an ICMP error",
            "-A INPUT -m conntrack --ctproto tcp -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:22 new", A),
                ("input eth0 udp 10.0.0.1 > 10.0.0.9:22 new", D),
                ("input eth0 icmp 10.0.0.1 > 10.0.0.9 type 3 related", U),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:22 invalid", D),
            ],
        ),
        Fact(
            "other fields of the record are conditions: true or false, the same each time",
            "-A INPUT -m conntrack --ctreplsrc 10.0.0.0/8 -j ACCEPT\n-A FORWARD -m conntrack --ctstate NEW --ctdir ORIGINAL -j ACCEPT\n-A FORWARD -m conntrack --ctstate NEW --ctrepldst 10.0.0.9 -j ACCEPT\n-A FORWARD -m conntrack --ctstate NEW ! --ctrepldst 10.0.0.9 -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:22 new", U),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:22 invalid", D),
                ("forward eth0>eth1 tcp 10.0.0.1 > 10.0.0.9:22 new", A),
            ],
        ),
    ]);
    check6(&[Fact(
        "ICMPv6 128 is NEW, neighbour discovery is UNTRACKED",
        "-A INPUT -m conntrack --ctstate NEW -j ACCEPT\n-A FORWARD -m conntrack --ctstate UNTRACKED -j ACCEPT",
        &[
            ("input eth0 icmpv6 2001:db8::1 > 2001:db8::2 type 128", A),
            ("input eth0 icmpv6 2001:db8::1 > 2001:db8::2 type 135", D),
            ("forward eth0>eth1 icmpv6 2001:db8::1 > 2001:db8::2 type 135", A),
        ],
    )]);
}

#[test]
fn other_matches() {
    check(&[
        Fact(
            "a source hardware address",
            "-A INPUT -m mac --mac-source 02:00:00:00:00:01 -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9 mac 02:00:00:00:00:01", A),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9 mac 02:00:00:00:00:02", D),
            ],
        ),
        Fact(
            "a comment is no condition",
            "-A INPUT -m comment --comment \"-j DROP \\\"x\\\"\" -j ACCEPT",
            &[("input eth0 tcp 10.0.0.1 > 10.0.0.9", A)],
        ),
        Fact(
            "a mark is what rules before wrote, and 0 before them",
            "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 10.0.0.1 -j MARK --set-xmark 0x10/0xff\n-A PREROUTING -s 10.0.0.2 -j MARK --or-mark 0x3\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n-A INPUT -m mark --mark 0x10/0xf0 -j ACCEPT\n-A INPUT -m mark ! --mark 0 -p udp -j ACCEPT\n-A INPUT -m mark --mark 1/0 -j ACCEPT\nCOMMIT\n",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9", A),
                ("input eth0 tcp 10.0.0.2 > 10.0.0.9", D),
                ("input eth0 udp 10.0.0.2 > 10.0.0.9", A),
                ("input eth0 udp 10.0.0.3 > 10.0.0.9", D),
            ],
        ),
        Fact(
            "--set-mark, --and-mark and --xor-mark are forms of --set-xmark",
            "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j MARK --set-mark 0xff\n-A PREROUTING -j MARK --and-mark 0xf0\n-A PREROUTING -j MARK --xor-mark 0x11\n-A PREROUTING -j MARK --set-mark 0x2/0x3\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n-A INPUT -m mark --mark 0xe2 -j ACCEPT\nCOMMIT\n",
            &[("input eth0 tcp 10.0.0.1 > 10.0.0.9", A)],
        ),
        Fact(
            "a connection's mark is 0 when it opens, unknown later, and absent without a connection",
            "-A INPUT -m connmark --mark 0 -j ACCEPT\n-A FORWARD -m connmark ! --mark 1 -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9 new", A),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9 established", U),
                ("forward eth0>eth1 tcp 10.0.0.1 > 10.0.0.9 invalid", D),
                ("forward eth0>eth1 tcp 10.0.0.1 > 10.0.0.9 new", A),
            ],
        ),
        Fact(
            "--save-mark and --restore-mark copy between the two, for packets with a connection",
            "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j MARK --set-mark 7\n-A PREROUTING -j CONNMARK --save-mark\n-A PREROUTING -j MARK --set-mark 0\n-A PREROUTING -p tcp -j CONNMARK --restore-mark\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n-A INPUT -m mark --mark 7 -j ACCEPT\nCOMMIT\n",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9 new", A),
                ("input eth0 udp 10.0.0.1 > 10.0.0.9 new", D),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9 invalid", D),
            ],
        ),
        Fact(
            "what the model has no field for is a condition with its text, never left out",
            "-A INPUT -p tcp -m string --string x --algo bm -j ACCEPT\n-A OUTPUT -m owner --uid-owner 0 -j ACCEPT\n-A OUTPUT -m owner ! --uid-owner 0 -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9", U),
                ("input eth0 udp 10.0.0.1 > 10.0.0.9", D),
                ("output eth0 tcp 10.0.0.1 > 10.0.0.9", A),
            ],
        ),
        Fact(
            "limits hold while nothing is exceeded (the usual assumption); --hashlimit-above and hit counts do not",
            "-A INPUT -p tcp -m limit --limit 5/sec -j ACCEPT\n-A INPUT -p udp -m hashlimit --hashlimit-above 5/sec --hashlimit-name x -j DROP\n-A INPUT -p icmp -m recent --update --seconds 60 --hitcount 4 --name y --rsource -j DROP\n-A INPUT -p udp -m connlimit --connlimit-upto 3 -j ACCEPT\n-A INPUT -p icmp -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9", A),
                ("input eth0 udp 10.0.0.1 > 10.0.0.9", A),
                ("input eth0 icmp 10.0.0.1 > 10.0.0.9", A),
            ],
        ),
        Fact(
            "a connection counts itself: none is below a limit of 0, so that is no limit to be trusted",
            "-A INPUT -p tcp -m connlimit --connlimit-above 0 -j DROP\n-A INPUT -p tcp -j ACCEPT\n-A INPUT -p udp -m connlimit --connlimit-upto 0 -j ACCEPT",
            &[("input eth0 tcp 10.0.0.1 > 10.0.0.9", U), ("input eth0 udp 10.0.0.1 > 10.0.0.9", U)],
        ),
        Fact(
            "`recent --set` always holds; a list that rules keep is not known",
            "-A INPUT -p tcp -m recent --set --name k --rsource -j ACCEPT\n-A INPUT -p udp -m recent --rcheck --seconds 30 --name k --rsource -j ACCEPT",
            &[("input eth0 tcp 10.0.0.1 > 10.0.0.9", A), ("input eth0 udp 10.0.0.1 > 10.0.0.9", U)],
        ),
    ]);
}

#[test]
fn throttled_limits_are_undecided() {
    let throttled = Environment { throttled: true, ..Environment::default() };
    check_in(
        "iptables",
        &[Fact(
            "if limits may be exceeded",
            "-A INPUT -m limit --limit 5/sec -j ACCEPT",
            &[("input eth0 tcp 10.0.0.1 > 10.0.0.9", U)],
        )],
        &throttled,
    );
}

#[test]
fn kinds_of_addresses() {
    let dump = "-A INPUT -m addrtype --dst-type LOCAL -j ACCEPT\n-A INPUT -p udp -m addrtype ! --dst-type LOCAL,MULTICAST,BROADCAST -j ACCEPT";
    let facts = |local: &'static [(&'static str, &'static str)]| {
        [Fact("addrtype asks for the box's addresses", dump, local)]
    };
    let known = Environment { local: addr::parse("10.0.0.9"), ..Environment::default() };
    check_in(
        "iptables",
        &facts(&[
            ("input eth0 tcp 10.0.0.1 > 10.0.0.9", A),
            ("input eth0 tcp 10.0.0.1 > 127.0.0.5", A),
            ("input eth0 tcp 10.0.0.1 > 10.0.0.8", D),
            ("input eth0 tcp 10.0.0.1 > 224.0.0.5", D),
        ]),
        &known,
    );
    // What routing delivered here is of this box, unless it ends like the broadcast address of a network.
    check(&facts(&[
        ("input eth0 tcp 10.0.0.1 > 10.0.0.8", A),
        ("input eth0 tcp 10.0.0.1 > 10.0.0.255", U),
        ("forward eth0>eth1 tcp 10.0.0.1 > 10.0.0.8", D),
        ("input eth0 tcp 10.0.0.1 > 224.0.0.5", D),
    ]));
}

#[test]
fn verdicts_and_chains() {
    check(&[
        Fact(
            "ACCEPT ends only its table: the others can still drop",
            "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 10.0.0.1 -j DROP\nCOMMIT\n*mangle\n:INPUT ACCEPT [0:0]\n-A INPUT -s 10.0.0.2 -j DROP\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n*security\n:INPUT ACCEPT [0:0]\n-A INPUT -s 10.0.0.3 -j DROP\nCOMMIT\n",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9", D),
                ("input eth0 tcp 10.0.0.2 > 10.0.0.9", D),
                ("input eth0 tcp 10.0.0.3 > 10.0.0.9", D),
                ("input eth0 tcp 10.0.0.4 > 10.0.0.9", A),
            ],
        ),
        Fact(
            "a chain that ends returns to the rule behind the jump",
            ":a - [0:0]\n-A INPUT -j a\n-A INPUT -p tcp -j ACCEPT\n-A a -p udp -j ACCEPT\n-A a -p tcp -j RETURN\n-A a -j DROP",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9", A),
                ("input eth0 udp 10.0.0.1 > 10.0.0.9", A),
                ("input eth0 sctp 10.0.0.1 > 10.0.0.9", D),
            ],
        ),
        Fact(
            "RETURN in a built-in chain is its policy",
            "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j RETURN\n-A INPUT -j DROP\nCOMMIT\n",
            &[("input eth0 tcp 10.0.0.1 > 10.0.0.9", A), ("input eth0 udp 10.0.0.1 > 10.0.0.9", D)],
        ),
        Fact(
            "after a goto the end of the chain returns to the last jumper",
            ":a - [0:0]\n:b - [0:0]\n-A INPUT -p tcp -j a\n-A INPUT -s 10.0.0.1 -j ACCEPT\n-A a -g b\n-A a -j ACCEPT\n-A b -s 10.0.0.2 -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9", A),
                ("input eth0 tcp 10.0.0.2 > 10.0.0.9", A),
                ("input eth0 tcp 10.0.0.3 > 10.0.0.9", D),
            ],
        ),
        Fact(
            "and after a goto in a built-in chain to its policy",
            ":b - [0:0]\n-A INPUT -p tcp -g b\n-A INPUT -j ACCEPT",
            &[("input eth0 tcp 10.0.0.1 > 10.0.0.9", D), ("input eth0 udp 10.0.0.1 > 10.0.0.9", A)],
        ),
        Fact(
            "a rule without a target only counts, and logging goes on",
            "-A INPUT -p tcp\n-A INPUT -j LOG --log-prefix \"in: \" --log-level 7\n-A INPUT -j NFLOG --nflog-group 5\n-A INPUT -p tcp -j TCPMSS --clamp-mss-to-pmtu\n-A INPUT -p tcp -j ACCEPT",
            &[("input eth0 tcp 10.0.0.1 > 10.0.0.9", A)],
        ),
        Fact(
            "NFQUEUE asks a program",
            "-A INPUT -p tcp -j NFQUEUE --queue-num 3\n-A INPUT -p udp -j NFQUEUE --queue-bypass\n-A INPUT -p icmp -j QUEUE",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9", U),
                ("input eth0 udp 10.0.0.1 > 10.0.0.9", U),
                ("input eth0 icmp 10.0.0.1 > 10.0.0.9", U),
                ("input eth0 sctp 10.0.0.1 > 10.0.0.9", D),
            ],
        ),
        Fact(
            "REJECT discards",
            "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j REJECT --reject-with tcp-reset\n-A INPUT -p udp -j REJECT\nCOMMIT\n",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9", D),
                ("input eth0 udp 10.0.0.1 > 10.0.0.9", D),
                ("input eth0 icmp 10.0.0.1 > 10.0.0.9", A),
            ],
        ),
        Fact(
            "a later table of the same name replaces the first",
            "*filter\n:INPUT DROP [0:0]\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n",
            &[("input eth0 tcp 10.0.0.1 > 10.0.0.9", A)],
        ),
        Fact(
            "built-in chains need no declaration, and accept unless told otherwise",
            "*filter\n-A INPUT -p tcp -j DROP\nCOMMIT\n",
            &[("input eth0 tcp 10.0.0.1 > 10.0.0.9", D), ("input eth0 udp 10.0.0.1 > 10.0.0.9", A)],
        ),
    ]);
}

#[test]
fn translations() {
    let known = Environment { local: addr::parse("192.0.2.1"), ..Environment::default() };
    check_in(
        "iptables",
        &[
            Fact(
                "FORWARD sees the new destination, of the packet that opens a connection",
                "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 192.0.2.1 -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.9:80\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n-A FORWARD -d 10.0.0.9 -p tcp --dport 80 -j ACCEPT\nCOMMIT\n",
                &[
                    ("input eth0 tcp 198.51.100.1 > 192.0.2.1:8080", A),
                    ("input eth0 tcp 198.51.100.1 > 192.0.2.1:80", D),
                ],
            ),
            Fact(
                "a new connection's record tells whether it was translated, and from which port",
                "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.9:8080\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n-A FORWARD -i eth0 -p tcp --dport 8080 -m conntrack --ctorigdstport 80 -j ACCEPT\n-A FORWARD -i eth1 -m conntrack --ctstate DNAT -j ACCEPT\n-A FORWARD -i eth2 -m conntrack ! --ctstate DNAT -j ACCEPT\n-A FORWARD -i eth3 -m conntrack --ctorigsrc 198.51.100.1 ! --ctorigdst 10.0.0.9 -j ACCEPT\nCOMMIT\n",
                &[
                    ("forward eth0>eth9 tcp 198.51.100.1 > 192.0.2.7:80", A),
                    ("forward eth0>eth9 tcp 198.51.100.1 > 10.0.0.9:8080", D),
                    ("forward eth1>eth9 tcp 198.51.100.1 > 192.0.2.7:80", A),
                    ("forward eth1>eth9 tcp 198.51.100.1 > 192.0.2.7:81", D),
                    ("forward eth2>eth9 tcp 198.51.100.1 > 192.0.2.7:80", D),
                    ("forward eth2>eth9 tcp 198.51.100.1 > 192.0.2.7:81", A),
                    ("forward eth3>eth9 tcp 198.51.100.1 > 192.0.2.7:81", A),
                    ("forward eth3>eth9 tcp 198.51.100.2 > 192.0.2.7:81", D),
                    ("forward eth3>eth9 tcp 198.51.100.1 > 192.0.2.7:80", A),
                    ("forward eth3>eth9 tcp 198.51.100.1 > 10.0.0.9:80", D),
                ],
            ),
            Fact(
                "INPUT sees the new port",
                "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 3128\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport 3128 -j ACCEPT\nCOMMIT\n",
                &[("input eth0 tcp 198.51.100.1 > 192.0.2.1:80", A)],
            ),
            Fact(
                "the source is changed last, after every filter",
                "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth1 -j MASQUERADE\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n-A FORWARD -s 10.0.0.0/8 -j ACCEPT\nCOMMIT\n",
                &[("forward eth0>eth1 tcp 10.0.0.1 > 198.51.100.1:80", A)],
            ),
            Fact(
                "NETMAP keeps the host bits",
                "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 192.0.2.0/28 -j NETMAP --to 10.0.0.0/28\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n-A FORWARD -d 10.0.0.5 -j ACCEPT\nCOMMIT\n",
                &[
                    ("forward eth0>eth1 tcp 198.51.100.1 > 192.0.2.5:80", A),
                    ("forward eth0>eth1 tcp 198.51.100.1 > 192.0.2.6:80", D),
                ],
            ),
            Fact(
                "a nat policy of drop loads, and drops what opens a connection",
                "*nat\n:PREROUTING DROP [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth9 -j MASQUERADE\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n",
                &[
                    ("input eth0 tcp 198.51.100.1 > 192.0.2.1:80 new", D),
                    ("input eth0 tcp 198.51.100.1 > 192.0.2.1:80 established", A),
                ],
            ),
        ],
        &known,
    );
}

#[test]
fn commands_of_files_written_by_hand() {
    check(&[
        Fact(
            "-I puts a rule first, or before a position",
            "-A INPUT -p tcp -j DROP\n-I INPUT -s 10.0.0.1 -j ACCEPT\n-I INPUT 2 -s 10.0.0.2 -j ACCEPT\n-I INPUT -s 10.0.0.1 -p tcp --dport 1 -j DROP",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:22", A),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:1", D),
                ("input eth0 tcp 10.0.0.2 > 10.0.0.9:22", A),
                ("input eth0 tcp 10.0.0.3 > 10.0.0.9:22", D),
            ],
        ),
        Fact(
            "-D takes the first equal rule out, however it is written, or a position; -R replaces",
            "-A INPUT -p tcp --dport 22 -j ACCEPT\n-A INPUT -p tcp --dport 23 -j ACCEPT\n-A INPUT -p tcp --dport 24 -j ACCEPT\n-D INPUT -p 6 -m tcp --dport ssh -j ACCEPT\n-D INPUT 1\n-R INPUT 1 -p tcp --dport 25 -j ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:22", D),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:23", D),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:24", D),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:25", A),
            ],
        ),
        Fact(
            "-N, -P, -E, -F and -X",
            "-N a\n-A a -p tcp -j ACCEPT\n-A INPUT -j a\n-P FORWARD ACCEPT\n-A OUTPUT -j ACCEPT\n-F OUTPUT\n-N gone\n-X gone\n-N old\n-E old new\n-A new -p udp -j ACCEPT\n-A INPUT -j new",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9", A),
                ("input eth0 udp 10.0.0.1 > 10.0.0.9", A),
                ("forward eth0>eth1 udp 10.0.0.1 > 10.0.0.9", A),
                ("output eth0 udp 10.0.0.1 > 10.0.0.9", D),
            ],
        ),
        Fact(
            "counters, leading blanks, long and shortened options, `=`",
            "[12:3456] -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n  -A INPUT --protocol tcp --destination-port=23 --jump ACCEPT\n--append INPUT --proto udp --dpor 24 -c 7 8 --jump ACCEPT",
            &[
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:22", A),
                ("input eth0 tcp 10.0.0.1 > 10.0.0.9:23", A),
                ("input eth0 udp 10.0.0.1 > 10.0.0.9:24", A),
            ],
        ),
        Fact(
            "lines for the other family do not count",
            "-6 -A INPUT -s 2001:db8::/32 -j ACCEPT\n-4 -A INPUT -s 10.0.0.1 -j ACCEPT",
            &[("input eth0 tcp 10.0.0.1 > 10.0.0.9", A), ("input eth0 tcp 10.0.0.2 > 10.0.0.9", D)],
        ),
    ]);
}

#[test]
fn host_names() {
    let dump = "-A INPUT -p tcp -s api.example.com -j ACCEPT\n-A INPUT -p udp ! -s api.example.com -j ACCEPT";
    let unknown = read("iptables", dump);
    assert_eq!(verdict(&unknown, "input eth0 tcp 10.0.0.1 > 10.0.0.9", &Environment::default()), U);
    let names = [("api.example.com".to_owned(), addr::parse("198.51.100.7").expect("an address"))].into();
    let known = read_with("iptables", dump, &[], ReadOptions { names, ..ReadOptions::default() });
    for (packet, expected) in [
        ("input eth0 tcp 198.51.100.7 > 10.0.0.9", A),
        ("input eth0 tcp 198.51.100.8 > 10.0.0.9", D),
        ("input eth0 udp 198.51.100.7 > 10.0.0.9", D),
    ] {
        assert_eq!(verdict(&known, packet, &Environment::default()), expected, "{packet}");
    }
}

#[test]
fn sets_beside_the_dump() {
    let sets = "create hosts hash:ip family inet hashsize 1024 maxelem 65536\nadd hosts 10.0.0.1\nadd hosts 10.0.0.2\n\
                create nets hash:net family inet\nadd nets 10.1.0.0/16\nadd nets 10.1.2.0/24 nomatch\nadd nets 10.1.2.9\n\
                create web hash:ip,port family inet\nadd web 10.0.0.9,tcp:80\nadd web 10.0.0.9,tcp:443\nadd web 10.0.0.8,icmp:8/0\n\
                create ports bitmap:port range 0-1024\nadd ports 22\nadd ports 80\n\
                create banned hash:ip timeout 600\nadd banned 10.0.0.5 timeout 0\nadd banned 10.0.0.6 timeout 30\n\
                create all list:set size 8\nadd all hosts\nadd all nets\n\
                create six hash:ip family inet6\nadd six 2001:db8::1\n";
    let cases: &[(&str, &str, &str)] = &[
        ("-m set --match-set hosts src -j ACCEPT", "input eth0 tcp 10.0.0.2 > 10.0.0.9", A),
        ("-m set --match-set hosts src -j ACCEPT", "input eth0 tcp 10.0.0.3 > 10.0.0.9", D),
        ("-m set ! --match-set hosts dst -j ACCEPT", "input eth0 tcp 10.0.0.3 > 10.0.0.9", A),
        ("-m set ! --match-set hosts dst -j ACCEPT", "input eth0 tcp 10.0.0.3 > 10.0.0.1", D),
        ("-m set --match-set nets src -j ACCEPT", "input eth0 tcp 10.1.3.1 > 10.0.0.9", A),
        ("-m set --match-set nets src -j ACCEPT", "input eth0 tcp 10.1.2.8 > 10.0.0.9", D),
        ("-m set --match-set nets src -j ACCEPT", "input eth0 tcp 10.1.2.9 > 10.0.0.9", A),
        ("-m set --match-set web dst,dst -j ACCEPT", "input eth0 tcp 10.0.0.1 > 10.0.0.9:443", A),
        ("-m set --match-set web dst,dst -j ACCEPT", "input eth0 udp 10.0.0.1 > 10.0.0.9:443", D),
        ("-m set --match-set web dst,dst -j ACCEPT", "input eth0 icmp 10.0.0.1 > 10.0.0.8 type 8", A),
        ("-m set ! --match-set web dst,dst -j ACCEPT", "input eth0 udp 10.0.0.1 > 10.0.0.9:443", A),
        ("-m set ! --match-set web dst,dst -j ACCEPT", "input eth0 tcp 10.0.0.1 > 10.0.0.9:80", D),
        // Fewer directions than dimensions: nothing is found.
        ("-m set --match-set web dst -j ACCEPT", "input eth0 tcp 10.0.0.1 > 10.0.0.9:443", D),
        ("-m set --match-set ports dst -j ACCEPT", "input eth0 udp 10.0.0.1 > 10.0.0.9:22", A),
        ("-m set --match-set ports dst -j ACCEPT", "input eth0 sctp 10.0.0.1 > 10.0.0.9:22", D),
        ("-m set ! --match-set ports dst -j ACCEPT", "input eth0 icmp 10.0.0.1 > 10.0.0.9", A),
        ("-m set --match-set banned src -j ACCEPT", "input eth0 tcp 10.0.0.5 > 10.0.0.9", A),
        ("-m set --match-set banned src -j ACCEPT", "input eth0 tcp 10.0.0.6 > 10.0.0.9", U),
        ("-m set --match-set banned src -j ACCEPT", "input eth0 tcp 10.0.0.7 > 10.0.0.9", U),
        ("-m set --match-set all src -j ACCEPT", "input eth0 tcp 10.1.3.1 > 10.0.0.9", A),
        ("-m set --match-set all src -j ACCEPT", "input eth0 tcp 10.2.3.1 > 10.0.0.9", D),
        ("-m set --match-set six src -j ACCEPT", "input eth0 tcp 10.2.3.1 > 10.0.0.9", D),
        ("-m set --match-set missing src -j ACCEPT", "input eth0 tcp 10.2.3.1 > 10.0.0.9", U),
        (
            "-j SET --add-set hosts src\n-A INPUT -m set --match-set hosts src -j ACCEPT",
            "input eth0 tcp 10.0.0.3 > 10.0.0.9",
            U,
        ),
    ];
    for (rule, packet, expected) in cases {
        let f = read_with("iptables", &format!("-A INPUT {rule}"), &[sets], ReadOptions::default());
        assert_eq!(f.diagnostics, [], "{rule}");
        assert_eq!(
            verdict(&f, packet, &Environment::default()),
            *expected,
            "{rule}: {packet}\n{}",
            display::canonical(&f)
        );
    }
}

#[test]
fn origins_are_what_is_written() {
    let f = read("iptables", "*filter\n:INPUT DROP [12:34]  \n[5:6] -A INPUT -p tcp -j ACCEPT   \nCOMMIT\n");
    let input = &f.base_chains[0];
    assert_eq!(f.locate(input.policy_origin).text, ":INPUT DROP [12:34]");
    let rule = f.locate(f.chain(input.chain).rules[0].origin);
    assert_eq!((rule.text.as_str(), rule.line, rule.column), ("-A INPUT -p tcp -j ACCEPT", 3, 7));
}

#[test]
fn the_order_of_tables() {
    let f = read(
        "iptables",
        "*security\n:INPUT ACCEPT\nCOMMIT\n*nat\n:INPUT ACCEPT\nCOMMIT\n*filter\n:INPUT ACCEPT\nCOMMIT\n*mangle\n:INPUT ACCEPT\nCOMMIT\n*raw\n:PREROUTING ACCEPT\nCOMMIT\n",
    );
    let order: Vec<_> = f
        .base_chains
        .iter()
        .filter(|b| ["prerouting", "input"].contains(&b.hook.name()))
        .map(|b| (f.chain(b.chain).table.as_str(), b.priority))
        .collect();
    assert_eq!(order, [("raw", -300), ("mangle", -150), ("filter", 0), ("security", 50), ("nat", 100)]);
}
