//! Translations on the way: what the next firewall sees, and where packets get.

use crate::{check, dump, problems, rows, state};
use havenlint::finding::State::{Met, Undecided, Violated};

fn deployment(gateway: &str) -> String {
    format!(
        "catalogue = \"safehaven-4\"\n[networks]\nadmin = [\"10.0.9.0/24\"]\n\
        [[node]]\nname = \"cms-1\"\nrole = \"cms\"\nservice = [\"10.1.0.10\"]\nfirewall = [\"cms.v4.rules\"]\n\
        interfaces = {{ eth0 = \"service\" }}\n\
        [[node]]\nname = \"srn-1\"\nrole = \"srn\"\nservice = [\"10.1.0.11\"]\n\
        [[gateway]]\nname = \"edge\"\nfirewall = [\"edge.v4.rules\"]\ninterfaces = {{ {gateway} }}\n"
    )
}

const PLAIN: &str = "eth0 = [\"10.1.0.0/24\"], eth1 = [\"10.0.9.0/24\", \"internet\"]";
const KNOWN: &str = "eth0 = [\"10.1.0.1/24\"], eth1 = [\"10.0.9.0/24\", \"internet\"]";

fn edge(nat: &[&str]) -> String {
    let nat: String = nat.iter().map(|r| format!("-A {r}\n")).collect();
    let heads = ":PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n";
    format!("*nat\n{heads}{nat}COMMIT\n") + &dump(["DROP", "ACCEPT", "ACCEPT"], &[])
}

fn host(source: &str) -> String {
    let ssh = format!("INPUT -s {source} -p tcp -m tcp --dport 22 -j ACCEPT");
    dump(["DROP", "DROP", "ACCEPT"], &["INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT", &ssh])
}

#[test]
fn the_next_firewall_sees_the_translated_source() {
    let masquerade = "POSTROUTING -o eth0 -j MASQUERADE";
    let snat = "POSTROUTING -o eth0 -j SNAT --to-source 10.1.0.1";
    for (interfaces, nat, source, expected) in [
        (PLAIN, None, "10.0.9.0/24", Met),
        // Which address it gives is not known.
        (PLAIN, Some(masquerade), "10.0.9.0/24", Undecided),
        (PLAIN, Some(masquerade), "0.0.0.0/0", Met),
        (PLAIN, Some(snat), "10.0.9.0/24", Violated),
        (PLAIN, Some(snat), "10.1.0.1", Met),
        (KNOWN, Some(masquerade), "10.0.9.0/24", Violated),
        (KNOWN, Some(masquerade), "10.1.0.1", Met),
        // Only part of the administrators is hidden.
        (KNOWN, Some("POSTROUTING -s 10.0.9.0/25 -o eth0 -j MASQUERADE"), "10.1.0.1", Violated),
    ] {
        let nat: Vec<&str> = nat.into_iter().collect();
        let report = check(
            &deployment(interfaces),
            &[("edge.v4.rules", &edge(&nat)), ("cms.v4.rules", &host(source))],
        );
        assert!(problems(&report).is_empty(), "{:?}", problems(&report));
        assert_eq!(state(&report, "SH4-CMS-SSH", "cms.v4.rules"), expected, "{nat:?} {source}");
        assert_eq!(state(&report, "SH4-CMS-SSH", "edge.v4.rules"), Met, "{nat:?} {source}");
        // The report speaks of who sent the packets.
        let row = rows(&report, "SH4-CMS-SSH", "cms.v4.rules")[0];
        assert_eq!(row.flow.from, ["10.0.9.0/24"]);
        if expected == Violated && nat.iter().any(|n| n.contains("/25")) {
            assert_eq!(row.remainder[0].from, ["10.0.9.128/25"]);
        }
    }
}

#[test]
fn what_is_sent_to_somebody_else_does_not_arrive() {
    let to = |target: &str| {
        format!("PREROUTING -d 10.1.0.10 -p tcp -m tcp --dport 22 -j DNAT --to-destination {target}")
    };
    for (target, expected) in [("10.1.0.11", Violated), ("10.1.0.10", Met)] {
        let files = [("edge.v4.rules", edge(&[&to(target)])), ("cms.v4.rules", host("10.0.9.0/24"))];
        let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (*n, t.as_str())).collect();
        let report = check(&deployment(PLAIN), &files);
        assert_eq!(state(&report, "SH4-CMS-SSH", "edge.v4.rules"), expected, "{target}");
        if expected == Violated {
            let told = report
                .findings
                .iter()
                .find(|f| f.rule == "SH4-CMS-SSH" && f.location.path.ends_with("edge.v4.rules"));
            assert!(
                told.unwrap().message.ends_with("edge sends the packets to srn-1"),
                "{:?}",
                told.unwrap().message
            );
        }
    }
}

#[test]
fn a_forwarded_port_exposes_the_inner_host_with_both_addresses_told() {
    let forward =
        "PREROUTING -i eth1 -d 203.0.113.1 -p tcp -m tcp --dport 2222 -j DNAT --to-destination 10.1.0.10:22";
    let gate = "FORWARD -i eth1 -m conntrack ! --ctstate DNAT -j DROP";
    let nat = edge(&[forward])
        .replace(":OUTPUT ACCEPT [0:0]\nCOMMIT", &format!(":OUTPUT ACCEPT [0:0]\n-A {gate}\nCOMMIT"));
    let report = check(&deployment(PLAIN), &[("edge.v4.rules", &nat), ("cms.v4.rules", &host("0.0.0.0/0"))]);
    let row = report
        .requirements
        .iter()
        .find(|r| r.id == "SH4-NET-EXPOSED" && r.subject == "cms-1" && r.flow.proto == "tcp")
        .unwrap();
    assert_eq!(row.state, Violated);
    let [open] = row.remainder.as_slice() else { panic!("{:?}", row.remainder) };
    assert_eq!((open.to.as_slice(), open.port.as_str()), (&["10.1.0.10".to_owned()][..], "22"));
    assert_eq!(open.sent_to, ["203.0.113.1 port 2222"]);
    // The host closed, nothing is exposed, however it is forwarded.
    let report =
        check(&deployment(PLAIN), &[("edge.v4.rules", &nat), ("cms.v4.rules", &host("10.0.9.0/24"))]);
    let row = report
        .requirements
        .iter()
        .find(|r| r.id == "SH4-NET-EXPOSED" && r.subject == "cms-1" && r.flow.proto == "tcp")
        .unwrap();
    assert_eq!(row.state, Met);
}

#[test]
fn a_masqueraded_source_hides_no_exposure() {
    // The host trusts its gateway, and the gateway lets everybody in under its own address.
    let nat = edge(&["POSTROUTING -o eth0 -j MASQUERADE"]);
    let report = check(&deployment(KNOWN), &[("edge.v4.rules", &nat), ("cms.v4.rules", &host("10.1.0.1"))]);
    let row = report
        .requirements
        .iter()
        .find(|r| r.id == "SH4-NET-EXPOSED" && r.subject == "cms-1" && r.flow.proto == "tcp")
        .unwrap();
    assert_eq!(row.state, Violated);
    assert_eq!(
        (row.remainder[0].to.as_slice(), row.remainder[0].port.as_str()),
        (&["10.1.0.10".to_owned()][..], "22")
    );
    assert!(row.remainder[0].from.len() >= 10, "everybody, not the gateway: {:?}", row.remainder[0].from);
}
