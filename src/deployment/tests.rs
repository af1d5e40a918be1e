//! The deployment file: the manual's example, and what is said about mistakes.

use super::*;
use crate::packet::addr;
use std::path::Path;

/// The manual's example ("the deployment"), to the letter.
const MANUAL: &str = r#"
required-version = ">=0.1"
catalogue = "safehaven-4"            # built in, or a path to a catalogue file
phase = "operation"                  # or "installation"

[networks]                           # names for address sets, usable everywhere below
admin = ["10.0.9.0/24", "2001:db8:9::/64"]
gui = ["10.0.8.15"]

[names]                              # addresses of host names that the catalogue or a firewall uses
"api.ctl.io" = ["198.51.100.7"]      # left out: flows to it are decided where the firewall names it too, else undecided

[[site]]
name = "east"
type = "vmware"                      # vmware | clc | manual | aws (safehaven-5)
vcenter = ["10.1.0.20"]

[[site]]
name = "west"
type = "clc"

[[node]]
name = "cms-1"
role = "cms"
site = "east"
client = ["10.1.0.10"]               # GUI logs in here
service = ["10.1.0.10"]
firewall = ["hosts/cms-1.v4.rules", "hosts/cms-1.v6.rules"]     # globs allowed

[[node]]
name = "srn-east"
role = "srn"
site = "east"
service = ["10.1.0.11"]
replication = ["10.1.5.11"]
local = ["10.1.8.11"]
firewall = ["hosts/srn-east.nft"]
interfaces = { eth0 = "service", eth1 = "replication", eth2 = "local" }

[[node]]                             # in a cloud: the groups attached to it
name = "srn-west"
role = "srn"
site = "west"
service = ["172.31.4.11"]
firewall = ["aws/security-groups.json"]
security-groups = ["sg-0a1b2c3d4e5f60718"]

[[node]]
name = "files-01"
role = "protected-server"
site = "east"
local = ["10.1.8.51"]

[[gateway]]                          # a firewall between networks: every flow that enters by one interface and leaves by another passes it
name = "edge-east"
firewall = ["edge/config.xml"]
interfaces = { lan = ["10.1.0.0/16"], wan = ["internet", "10.2.0.0/16"] }   # pfSense: taken from the file where it says so

[[waiver]]
rule = "SH4-NET-EGRESS"
node = "cms-1"                       # or path = …, or a flow: from/to/proto/port, which survives reordering
reason = "package mirror has no fixed address"
owner = "net-ops"
expires = 2027-03-31                 # an expired waiver is a finding; one that matches nothing is reported
"#;

fn vocabulary() -> Vocabulary {
    let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let roles = [
        ("cms", list(&["service", "client"])),
        ("srn", list(&["service", "replication", "local"])),
        ("protected-server", list(&["local"])),
        ("gui", vec![]),
        ("admin", vec![]),
    ];
    Vocabulary {
        hosts: Default::default(),
        roles: roles.into_iter().map(|(n, l)| (n.to_owned(), l)).collect(),
        by_network: ["gui".to_owned(), "admin".to_owned()].into(),
        peered: ["srn".to_owned()].into(),
        site_types: [("vmware".to_owned(), list(&["vcenter"])), ("clc".to_owned(), vec![])].into(),
        phases: list(&["operation", "installation"]),
        rules: list(&["SH4-NET-EGRESS", "HL-ANY-ANY"]),
    }
}

fn load(text: &str) -> Deployment {
    read(SourceFile::new("havenlint.toml", text), Path::new("demo")).deployment(&vocabulary())
}

fn problems(text: &str) -> Vec<String> {
    let deployment = load(text);
    let file = deployment.file.unwrap();
    let shown = |d: &Diagnostic| {
        let l = file.locate(d.origin.start as usize, d.origin.end as usize);
        format!("{}:{} {} ({})", l.line, l.column, d.message, d.help)
    };
    deployment.diagnostics.iter().map(shown).collect()
}

fn set(text: &str) -> IntervalSet {
    text.split(',').fold(IntervalSet::EMPTY, |all, t| all.union(&addr::parse(t).unwrap()))
}

#[test]
fn the_manuals_example() {
    let draft = read(SourceFile::new("havenlint.toml", MANUAL), Path::new("demo"));
    assert_eq!(draft.catalogue().unwrap().0, "safehaven-4");
    let d = draft.deployment(&vocabulary());
    assert_eq!(d.diagnostics, []);
    assert_eq!(
        (&*d.catalogue, &*d.phase, d.folder.as_path()),
        ("safehaven-4", "operation", Path::new("demo"))
    );
    assert_eq!(d.networks["admin"].addresses, set("10.0.9.0/24,2001:db8:9::/64"));
    assert_eq!(d.names["api.ctl.io"].addresses, set("198.51.100.7"));
    assert_eq!(d.sites[0].servers["vcenter"], set("10.1.0.20"));
    let names: Vec<_> = d.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["cms-1", "srn-east", "srn-west", "files-01"]);
    let east = &d.nodes[1];
    assert_eq!((east.site, east.role.as_str()), (Some(0), "srn"));
    assert_eq!(east.addresses["replication"], set("10.1.5.11"));
    let order = &vocabulary().roles["srn"];
    assert_eq!(east.interfaces_on("local", order), ["eth2"]);
    assert_eq!(east.firewall[0].text, "hosts/srn-east.nft");
    assert_eq!(east.all(), Some(set("10.1.0.11,10.1.5.11,10.1.8.11")));
    assert_eq!(d.nodes[0].firewall.len(), 2);
    let west = &d.nodes[2];
    assert_eq!(west.security_groups, ["sg-0a1b2c3d4e5f60718"]);
    assert_eq!(west.on("replication", order), Some(&set("172.31.4.11")), "one interface serves all networks");
    let wan = &d.gateways[0].interfaces["wan"];
    assert!(wan.covers(&set("10.2.0.0/16,1.1.1.1,2a00::1,198.51.100.7")));
    assert!(!wan.intersects(&set("10.1.0.0/16")));
    let waiver = &d.waivers[0];
    assert_eq!((waiver.rule.as_str(), waiver.node.as_deref()), ("SH4-NET-EGRESS", Some("cms-1")));
    assert_eq!(waiver.expires, Some(jiff::civil::date(2027, 3, 31)));
    assert_eq!((waiver.owner.as_str(), &waiver.flow), ("net-ops", &None));
}

#[test]
fn addresses_of_both_families_and_every_form() {
    let d = load(
        "[networks]\nroom = ['10.0.0.1-10.0.0.9', '2001:db8::1']\nhouse = ['room', '10.0.1.0/24']\n\
         [[node]]\nname = 'c'\nrole = 'cms'\naddress = '2001:db8:1::5'\n\
         [[waiver]]\nrule = 'HL-ANY-ANY'\nreason = 'x'\nfrom = 'house'\nto = ['10.9.0.0/16']\nproto = 'tcp'\nport = [22, '80-443']\nexpires = '2027-01-01'\n",
    );
    assert_eq!(d.diagnostics, []);
    assert_eq!(d.networks["house"].addresses, set("10.0.0.1-10.0.0.9,2001:db8::1,10.0.1.0/24"));
    assert_eq!(d.nodes[0].on("client", &[]), Some(&set("2001:db8:1::5")));
    let flow = d.waivers[0].flow.as_ref().unwrap();
    assert_eq!(flow.proto, Some(6));
    assert_eq!(flow.ports, Some(IntervalSet::single(22u8).union(&IntervalSet::range(80u16, 443u16))));
    assert_eq!(flow.from.as_ref(), Some(&d.networks["house"].addresses));
}

#[test]
fn mistakes_are_told_at_their_place_with_a_suggestion() {
    for (text, expected) in [
        ("fase = 'operation'", "1:1 the file has no key `fase` (did you mean `phase`?)"),
        ("phase = 'instalation'", "1:9 unknown phase `instalation` (did you mean `installation`?)"),
        (
            "required-version = '>=9'",
            "1:20 this is havenlint 0.1.0, but the file requires >=9 (use a version that matches)",
        ),
        (
            "required-version = 'new'",
            "1:20 this is not a version requirement (write \">=0.1\" or \">=0.1, <2\")",
        ),
        (
            "[networks]\na = ['10.0.0.300']",
            "2:6 `10.0.0.300` is not an address (write 10.0.0.1, 10.0.0.0/24, 10.0.0.1-10.0.0.9 or 2001:db8::/64)",
        ),
        (
            "[networks]\na = ['10.0.0.9/24']",
            "2:6 `10.0.0.9/24` is not a network: host bits are set (write 10.0.0.0/24 for the network, or 10.0.0.9 for the machine)",
        ),
        ("[networks]\na = ['a']", "2:1 the network `a` refers to itself (write addresses)"),
        (
            "[networks]\nadmin = ['10.0.0.1']\n[[node]]\nname = 'n'\nrole = 'cms'\nservice = ['admn']",
            "6:12 unknown network `admn` (did you mean `admin`?)",
        ),
        (
            "[networks]\ninternet = ['10.0.0.1']",
            "2:1 `internet` is built in: all public addresses (choose another name)",
        ),
        ("[[site]]\nname = 'e'\ntype = 'vmwear'", "3:8 unknown site type `vmwear` (did you mean `vmware`?)"),
        (
            "[[site]]\nname = 'e'\ntype = 'clc'\nvcenter = ['10.0.0.1']",
            "4:1 a site of type clc has no key `vcenter` (use one of `name`, `type`)",
        ),
        (
            "[[site]]\nname = 'e'",
            "1:1 `site` lacks the key `type` (`type`: Its type, one of the catalogue's)",
        ),
        ("[[node]]\nname = 'n'\nrole = 'srm'", "3:8 unknown role `srm` (did you mean `srn`?)"),
        ("[[node]]\nname = 'n'\nrole = 'srn'\nsite = 'east'", "4:8 unknown site `east` ()"),
        (
            "[[node]]\nname = 'n'\nrole = 'srn'\nreplicaton = ['10.0.0.1']",
            "4:1 a node of role srn has no key `replicaton` (did you mean `replication`?)",
        ),
        (
            "[[node]]\nname = 'n'\nrole = 'srn'\nfirewal = ['a']",
            "4:1 a node of role srn has no key `firewal` (did you mean `firewall`?)",
        ),
        (
            "[[node]]\nname = 'n'\nrole = 'srn'\nservice = ['224.0.0.9']",
            "4:11 224.0.0.0/4 (multicast) is not the address of a machine (give the addresses at which others reach it)",
        ),
        (
            "[[node]]\nname = 'n'\nrole = 'srn'\nservice = ['127.0.0.1']",
            "4:11 127.0.0.0/8 (loopback) is not the address of a machine (give the addresses at which others reach it)",
        ),
        (
            "[[node]]\nname = 'n'\nrole = 'srn'\nservice = []",
            "4:11 this list of addresses is empty (leave the key out if the address is not known)",
        ),
        (
            "[[node]]\nname = 'n'\nrole = 'srn'\ninterfaces = { eth0 = 'servic' }",
            "4:23 role srn has no network `servic` (did you mean `service`?)",
        ),
        (
            "[[node]]\nname = 'n'\nrole = 'srn'\nservice = true",
            "4:11 `service` must be a list or a string or an integer, not a boolean ()",
        ),
        (
            "[[node]]\nname = 'n'\nrole = 'srn'\ninterfaces = { interface-number-0 = 'service' }",
            "4:16 `interface-number-0` is not an interface name: an interface name has at most 15 bytes ()",
        ),
        (
            "[[gateway]]\nname = 'g'\nfirewall = []",
            "3:12 a gateway needs a firewall file: without one there is nothing to check (name it)",
        ),
        (
            "[[waiver]]\nrule = 'HL-ANYANY'\nreason = 'x'",
            "2:8 unknown rule `HL-ANYANY` (did you mean `HL-ANY-ANY`?)",
        ),
        (
            "[[waiver]]\nrule = 'HL-ANY-ANY'\nreason = ' '",
            "3:10 a waiver needs a reason (say why the finding is accepted)",
        ),
        (
            "[[waiver]]\nrule = 'HL-ANY-ANY'\nreason = 'x'\nexpires = 'soon'",
            "4:11 `soon` is not a date: write 2027-03-31 ()",
        ),
        ("[[waiver]]\nrule = 'HL-ANY-ANY'\nreason = 'x'\nnode = 'n'", "4:8 unknown node or gateway `n` ()"),
        (
            "[[waiver]]\nrule = 'HL-ANY-ANY'\nreason = 'x'\nport = ['99999']",
            "4:9 `99999` is not a port (write 22, \"80-443\" or [22, \"80-443\"])",
        ),
    ] {
        assert_eq!(problems(text), [expected], "{text}");
    }
}

#[test]
fn one_interface_for_two_networks() {
    let d = load(
        "[[node]]\nname = 'c'\nrole = 'cms'\nclient = '10.0.0.1'\nservice = '10.0.0.1'\ninterfaces = { eth0 = 'service' }\n\
         [[node]]\nname = 'd'\nrole = 'cms'\nclient = '10.0.0.2'\nservice = '10.0.0.3'\ninterfaces = { eth0 = 'service' }\n",
    );
    let order = &vocabulary().roles["cms"];
    assert_eq!(d.nodes[0].interfaces_on("client", order), ["eth0"]);
    assert!(d.nodes[1].interfaces_on("client", order).is_empty());
}

#[test]
fn one_address_two_machines() {
    let two = |site: &str| {
        format!(
            "[[site]]\nname = 'e'\ntype = 'clc'\n[[site]]\nname = 'w'\ntype = 'clc'\n\
             [[node]]\nname = 'a'\nrole = 'cms'\nsite = 'e'\naddress = ['10.0.0.1']\n\
             [[node]]\nname = 'b'\nrole = 'srn'\nsite = '{site}'\nservice = ['10.0.0.1', '10.0.0.2']\n"
        )
    };
    assert_eq!(
        problems(&two("e")),
        [
            "13:8 `b` (srn) and `a` (cms) both have the address 10.0.0.1 (give each machine its own addresses; a machine with two roles is not supported)"
        ]
    );
    let apart = load(&two("w"));
    assert_eq!(apart.diagnostics[0].severity, crate::source::Severity::Warning);
    let same = "[[node]]\nname = 'a'\nrole = 'cms'\n[[node]]\nname = 'a'\nrole = 'srn'\n";
    assert_eq!(problems(same), ["5:8 more than one node or gateway is named `a` (names must be unique)"]);
}

#[test]
fn a_deployment_from_options() {
    let options = |role: &str, sets: &[(&str, &str)]| Options {
        role: Some(role.to_owned()),
        sets: sets.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
        ..Options::default()
    };
    let d = from_options(
        &options("srn", &[("srn.service", "10.1.0.0/24, 10.2.0.0/24"), ("API.ctl.io", "198.51.100.7")]),
        &vocabulary(),
    )
    .unwrap();
    assert_eq!(d.phase, "operation");
    assert_eq!(d.nodes[0].all(), None);
    assert_eq!(d.sets[&("srn".to_owned(), Some("service".to_owned()))], set("10.1.0.0/24,10.2.0.0/24"));
    assert_eq!(d.names["api.ctl.io"].addresses, set("198.51.100.7"));
    // A CMS has no peers: its own addresses.
    let d = from_options(&options("cms", &[("cms.service", "10.1.0.10")]), &vocabulary()).unwrap();
    assert_eq!(d.nodes[0].all(), Some(set("10.1.0.10")));
    let wrong = from_options(
        &options("cmss", &[("srn.servic", "10.1.0.0/24"), ("gui", "x"), ("guy", "10.0.0.1")]),
        &vocabulary(),
    );
    assert_eq!(
        wrong.unwrap_err(),
        [
            "--role cmss: unknown value; did you mean `cms`?",
            "--set srn.servic: role srn has no network `servic`; did you mean `service`?",
            "--set gui: `x` is not an address; write 10.0.0.1, 10.0.0.0/24 or 10.0.0.1-10.0.0.9",
            "--set guy: unknown role or host name; did you mean `gui`?",
        ]
    );
}

#[test]
fn ten_thousand_machines_are_compared_at_once() {
    let mut text = String::new();
    for i in 0..10_000 {
        text += &format!(
            "[[node]]\nname = 'n{i}'\nrole = 'protected-server'\nlocal = ['10.{}.{}.1']\n",
            i / 250,
            i % 250
        );
    }
    text += "[[node]]\nname = 'last'\nrole = 'srn'\nservice = ['10.3.7.1']\n";
    assert_eq!(problems(&text).len(), 1);
}

mod any_input {
    use super::*;
    use crate::catalogue;
    use proptest::prelude::*;

    // A text with a piece of it replaced by something else.
    fn damaged(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"".to_vec()),
            Just(b"\"".to_vec()),
            Just(b"]".to_vec()),
            Just(b"= { x = [[1]] }".to_vec()),
            Just(b"2001:db8::/129".to_vec()),
            Just(b"-".to_vec()),
            prop::collection::vec(any::<u8>(), 0..6),
        ];
        (0..text.len(), 0..40usize, piece).prop_map(move |(at, len, new)| {
            let bytes = text.as_bytes();
            let end = (at + len).min(bytes.len());
            [&bytes[..at], &new, &bytes[end..]].concat()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn deployments_do_not_panic(bytes in damaged(MANUAL)) {
            let file = SourceFile::new("havenlint.toml", bytes);
            let d = read(Arc::clone(&file), Path::new(".")).deployment(&vocabulary());
            for x in &d.diagnostics {
                prop_assert!(x.origin.end as usize <= file.bytes().len());
                file.locate(x.origin.start as usize, x.origin.end as usize);
            }
        }

        #[test]
        fn catalogues_do_not_panic(bytes in damaged(catalogue::BUILT_IN[0].1)) {
            let c = catalogue::read(SourceFile::new("c.toml", bytes), Path::new("."));
            for x in &c.diagnostics {
                crate::source::locate(&c.files, x.origin);
            }
            let _ = c.docs();
        }
    }
}
