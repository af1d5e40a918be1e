//! Neighbour discovery as a part of every conversation over IPv6.

use crate::{check, dump, rows, state};
use havenlint::finding::State::{self, Met, Undecided, Violated};

const SSH: &str = "INPUT -s fd00:9::/64 -p tcp -m tcp --dport 22 -j ACCEPT";
const ESTABLISHED: &str = "INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";

fn cms(policies: [&str; 3], rules: &[&str]) -> State {
    let deployment = "catalogue = \"safehaven-4\"\n[networks]\nadmin = [\"fd00:9::/64\"]\n\
        [[node]]\nname = \"cms-1\"\nrole = \"cms\"\nservice = [\"fd00:1::a\"]\nfirewall = [\"cms.v6.rules\"]\n\
        interfaces = { eth0 = \"service\" }\n";
    let rules: Vec<&str> = [SSH, ESTABLISHED].iter().chain(rules).copied().collect();
    state(&check(deployment, &[("cms.v6.rules", &dump(policies, &rules))]), "SH4-CMS-SSH", "cms.v6.rules")
}

#[test]
fn a_host_that_hears_no_neighbour_serves_nobody() {
    let open = ["DROP", "DROP", "ACCEPT"];
    let closed = ["DROP", "DROP", "DROP"];
    let out = "OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
    let all = "INPUT -p ipv6-icmp -j ACCEPT";
    let solicit = "INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT";
    let advert = "INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 136 -j ACCEPT";
    let out_all = "OUTPUT -p ipv6-icmp -j ACCEPT";
    for (policies, rules, expected) in [
        (open, &[all][..], Met),
        (open, &[solicit, advert], Met),
        // Nothing gets in: it never learns where its neighbours are.
        (open, &[], Violated),
        // Each other's questions teach both sides, as long as somebody asks.
        (open, &[solicit], Undecided),
        (open, &[advert], Undecided),
        // Tracking does not know these packets.
        (closed, &[all, out], Violated),
        (closed, &[all, out, out_all], Met),
        // A router solicitation tells others where the box is.
        (closed, &[all, out, "OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 133 -j ACCEPT"], Undecided),
        // An echo request does not.
        (closed, &[all, out, "OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT"], Violated),
        // Routers ask from a link-local address.
        (open, &["INPUT -s fe80::/10 -p ipv6-icmp -j ACCEPT"], Met),
        (open, &["INPUT -s fd00:77::/64 -p ipv6-icmp -j ACCEPT"], Violated),
    ] {
        assert_eq!(cms(policies, rules), expected, "{policies:?} {rules:?}");
    }
}

#[test]
fn a_neighbour_on_the_same_link_asks_from_its_own_address() {
    let deployment = "catalogue = \"safehaven-4\"\n[networks]\nadmin = [\"fd00:1::9\"]\n\
        [[node]]\nname = \"cms-1\"\nrole = \"cms\"\nservice = [\"fd00:1::a\"]\nfirewall = [\"cms.v6.rules\"]\n\
        interfaces = { eth0 = \"service\" }\n";
    let ssh = "INPUT -s fd00:1::9/128 -p tcp -m tcp --dport 22 -j ACCEPT";
    for (from, expected) in [("fe80::/10", Violated), ("fd00:1::/64", Met)] {
        let allow = format!("INPUT -s {from} -p ipv6-icmp -j ACCEPT");
        let text = dump(["DROP", "DROP", "ACCEPT"], &[ssh, ESTABLISHED, &allow]);
        assert_eq!(
            state(&check(deployment, &[("cms.v6.rules", &text)]), "SH4-CMS-SSH", "cms.v6.rules"),
            expected,
            "{from}"
        );
    }
}

#[test]
fn a_gateway_must_find_its_neighbours_too() {
    let deployment = "catalogue = \"safehaven-4\"\n[networks]\nadmin = [\"fd00:9::/64\"]\n\
        [[node]]\nname = \"cms-1\"\nrole = \"cms\"\nservice = [\"fd00:1::a\"]\n\
        [[gateway]]\nname = \"core\"\nfirewall = [\"core.v6.rules\"]\n\
        interfaces = { eth0 = [\"fd00:9::/64\"], eth1 = [\"fd00:1::/64\"] }\n";
    let forward = [
        "FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "FORWARD -d fd00:1::a -p tcp -m tcp --dport 22 -j ACCEPT",
    ];
    for (rules, expected) in [
        (&[][..], Violated),
        // What may be forwarded has nothing to do with it.
        (&["FORWARD -p ipv6-icmp -j ACCEPT"][..], Violated),
        (&["INPUT -i eth0 -p ipv6-icmp -j ACCEPT"], Violated),
        (&["INPUT -p ipv6-icmp -j ACCEPT"], Met),
    ] {
        let rules: Vec<&str> = forward.iter().chain(rules).copied().collect();
        let report = check(deployment, &[("core.v6.rules", &dump(["DROP", "DROP", "ACCEPT"], &rules))]);
        assert_eq!(state(&report, "SH4-CMS-SSH", "core.v6.rules"), expected, "{rules:?}");
    }
}

#[test]
fn what_cannot_be_reached_over_ipv6_is_not_exposed() {
    let deployment = "catalogue = \"safehaven-4\"\n\
        [[node]]\nname = \"cms-1\"\nrole = \"cms\"\nservice = [\"2001:db8:1::a\"]\nfirewall = [\"cms.v6.rules\"]\n\
        interfaces = { eth0 = \"service\" }\n";
    let ssh = "INPUT -p tcp -m tcp --dport 22 -j ACCEPT";
    let exposed = |policies, rules: &[&str]| {
        let report = check(deployment, &[("cms.v6.rules", &dump(policies, rules))]);
        let tcp = rows(&report, "SH4-NET-EXPOSED", "cms.v6.rules")
            .into_iter()
            .find(|r| r.flow.proto == "tcp")
            .unwrap();
        tcp.state
    };
    assert_eq!(exposed(["DROP", "DROP", "DROP"], &[ssh]), Met);
    // Its own questions tell others where it is.
    assert_eq!(exposed(["DROP", "DROP", "ACCEPT"], &[ssh]), Violated);
    assert_eq!(
        exposed(
            ["DROP", "DROP", "DROP"],
            &[ssh, "INPUT -p ipv6-icmp -j ACCEPT", "OUTPUT -p ipv6-icmp -j ACCEPT"]
        ),
        Violated
    );
}
