//! Translations on the way: what the next firewall sees, and where packets get.

use crate::{check, dump, problems, rows, state};
use havenlint::finding::State::{self, Met, Undecided, Violated};

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
fn an_answer_names_the_destination_that_was_sent_to() {
    // An inner address that nobody declared, and one of several.
    for target in ["10.1.0.99", "10.1.0.10-10.1.0.11"] {
        let rule =
            format!("PREROUTING -d 10.1.0.10 -p tcp -m tcp --dport 22 -j DNAT --to-destination {target}");
        let files = [("edge.v4.rules", edge(&[&rule])), ("cms.v4.rules", host("10.0.9.0/24"))];
        let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (*n, t.as_str())).collect();
        let report = check(&deployment(PLAIN), &files);
        let found = rows(&report, "SH4-CMS-SSH", "cms.v4.rules");
        assert!(!found.is_empty() && found.iter().all(|r| r.flow.to == ["10.1.0.10"]), "{target}: {found:?}");
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

// A pfSense firewall between the office and a host behind its WAN, with this in <nat>.
fn outbound(nat: &str, source: &str) -> (State, Vec<String>) {
    let edge = format!(
        "<?xml version=\"1.0\"?>\n<pfsense><version>23.3</version><interfaces>\
        <wan><enable/><if>em0</if><ipaddr>203.0.113.2</ipaddr><subnet>24</subnet><gateway>UP</gateway></wan>\
        <lan><enable/><if>em1</if><ipaddr>10.0.9.1</ipaddr><subnet>24</subnet></lan></interfaces>\
        <gateways><gateway_item><name>UP</name><interface>wan</interface><gateway>203.0.113.1</gateway><ipprotocol>inet</ipprotocol></gateway_item><defaultgw4>UP</defaultgw4></gateways>\
        <nat>{nat}</nat><filter><rule><type>pass</type><interface>lan</interface><ipprotocol>inet</ipprotocol><source><any/></source><destination><any/></destination></rule></filter></pfsense>\n"
    );
    let deployment = "catalogue = \"safehaven-4\"\n[networks]\nadmin = [\"10.0.9.0/24\"]\n\
        [[node]]\nname = \"cms-1\"\nrole = \"cms\"\nservice = [\"198.51.100.10\"]\nfirewall = [\"cms.v4.rules\"]\n\
        interfaces = { eth0 = \"service\" }\n[[gateway]]\nname = \"edge\"\nfirewall = [\"edge.xml\"]\n";
    let report = check(deployment, &[("edge.xml", &edge), ("cms.v4.rules", &host(source))]);
    assert_eq!(state(&report, "SH4-CMS-SSH", "edge.xml"), Met, "{nat}");
    (state(&report, "SH4-CMS-SSH", "cms.v4.rules"), problems(&report))
}

#[test]
fn outbound_translation_of_pfsense_is_what_the_host_sees() {
    let mode = |mode: &str, rules: &str| format!("<outbound><mode>{mode}</mode>{rules}</outbound>");
    let rule = |source: &str, target: &str, more: &str| {
        format!(
            "<rule><interface>wan</interface><source><network>{source}</network></source><destination><any/></destination><target>{target}</target>{more}</rule>"
        )
    };
    let one = "<onetoone><external>203.0.113.77</external><interface>wan</interface><ipprotocol>inet</ipprotocol>\
        <source><address>10.0.9.0/24</address></source><destination><any/></destination></onetoone>";
    let (own, inner) = ("203.0.113.2", "10.0.9.0/24");
    for (nat, seen) in [
        (String::new(), own),
        (mode("automatic", ""), own),
        (mode("disabled", ""), inner),
        (mode("advanced", ""), inner),
        (mode("advanced", &rule(inner, "", "")), own),
        (mode("advanced", &rule("10.8.0.0/16", "", "")), inner),
        (mode("advanced", &rule(inner, "203.0.113.66", "<targetip>203.0.113.66</targetip>")), "203.0.113.66"),
        (mode("advanced", &rule(inner, "", "<disabled/>")), inner),
        // In hybrid mode the written rules come first, and what they leave is translated automatically.
        (mode("hybrid", &rule(inner, "", "<nonat/>")), inner),
        (mode("hybrid", &rule("10.8.0.0/16", "", "<nonat/>")), own),
        (format!("{one}{}", mode("disabled", "")), "203.0.113.0/24"),
    ] {
        assert_eq!(outbound(&nat, seen).0, Met, "{nat}");
        let (other, told) = outbound(&nat, if seen == inner { own } else { inner });
        assert_eq!(other, Violated, "{nat}");
        assert!(told.is_empty(), "{told:?} {nat}");
    }
    // One address for one: which each gets is not followed.
    assert_eq!(outbound(&format!("{one}{}", mode("disabled", "")), "203.0.113.128/25").0, Undecided);
    // Part of them is not translated.
    assert_eq!(outbound(&mode("advanced", &rule("10.0.9.0/25", "", "")), own).0, Violated);
}
