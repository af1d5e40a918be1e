//! Ways that a flow may take: gateways one after the other or side by side, interfaces that share addresses.

use crate::{check, dump, rows, state};
use havenlint::finding::State::{self, Met, NotChecked, Undecided, Violated};

fn two(first: &str, second: &str, open: [bool; 2]) -> [State; 2] {
    let deployment = format!(
        "catalogue = \"safehaven-4\"\n[networks]\nadmin = [\"10.0.9.0/24\"]\n\
        [[node]]\nname = \"cms-1\"\nrole = \"cms\"\nservice = [\"10.1.0.10\"]\n\
        [[gateway]]\nname = \"a\"\nfirewall = [\"a.v4.rules\"]\ninterfaces = {{ {first} }}\n\
        [[gateway]]\nname = \"b\"\nfirewall = [\"b.v4.rules\"]\ninterfaces = {{ {second} }}\n"
    );
    let text = |open: bool| dump(["DROP", if open { "ACCEPT" } else { "DROP" }, "ACCEPT"], &[]);
    let report = check(&deployment, &[("a.v4.rules", &text(open[0])), ("b.v4.rules", &text(open[1]))]);
    ["a.v4.rules", "b.v4.rules"].map(|at| state(&report, "SH4-CMS-SSH", at))
}

#[test]
fn of_gateways_side_by_side_a_flow_may_take_either() {
    let same = "eth0 = [\"10.0.9.0/24\"], eth1 = [\"10.1.0.0/24\"]";
    assert_eq!(two(same, same, [true, true]), [Met, Met]);
    assert_eq!(two(same, same, [false, false]), [Violated, Violated]);
    assert_eq!(two(same, same, [true, false]), [Met, Undecided]);
}

#[test]
fn of_gateways_in_a_row_all_must_let_pass() {
    let near = "eth0 = [\"10.0.9.0/24\"], eth1 = [\"10.1.0.0/24\", \"10.2.0.0/24\"]";
    let far = "eth0 = [\"10.0.9.0/24\", \"10.2.0.0/24\"], eth1 = [\"10.1.0.0/24\"]";
    assert_eq!(two(near, far, [true, false]), [Met, Violated]);
    assert_eq!(two(far, near, [true, false]), [Met, Violated]);
}

#[test]
fn interfaces_that_share_addresses_are_ways_too() {
    let deployment = "catalogue = \"safehaven-4\"\n[networks]\nadmin = [\"10.0.9.0/24\"]\n\
        [[node]]\nname = \"cms-1\"\nrole = \"cms\"\nservice = [\"10.1.0.10\"]\n\
        [[gateway]]\nname = \"a\"\nfirewall = [\"a.v4.rules\"]\n\
        interfaces = { eth0 = [\"10.0.9.0/24\"], eth1 = [\"10.0.9.0/24\"], eth2 = [\"10.1.0.0/24\"] }\n";
    for (rule, expected) in [
        ("FORWARD -j ACCEPT", Met),
        ("FORWARD -i eth0 -j ACCEPT", Undecided),
        ("FORWARD -i eth2 -j ACCEPT", Violated),
    ] {
        let back = "FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT";
        let report = check(deployment, &[("a.v4.rules", &dump(["DROP", "DROP", "ACCEPT"], &[back, rule]))]);
        let found = rows(&report, "SH4-CMS-SSH", "a.v4.rules");
        assert!(
            found.iter().any(|r| r.state == expected)
                && found.iter().all(|r| r.state != Violated || expected == Violated),
            "{rule}"
        );
    }
}

#[test]
fn a_flow_past_every_file_is_not_checked() {
    let deployment = "catalogue = \"safehaven-4\"\n[networks]\ngui = [\"10.0.8.15\"]\n\
        [[site]]\nname = \"east\"\ntype = \"vmware\"\nvcenter = [\"10.1.0.20\"]\n\
        [[node]]\nname = \"cms-1\"\nrole = \"cms\"\nsite = \"east\"\nservice = [\"10.1.0.10\"]\nfirewall = [\"a.v4.rules\"]\n";
    let report = check(deployment, &[("a.v4.rules", &dump(["ACCEPT", "DROP", "ACCEPT"], &[]))]);
    let found = rows(&report, "SH4-GUI-VSPHERE", "");
    assert!(!found.is_empty() && found.iter().all(|r| r.state == NotChecked));
    assert_eq!(found[0].flow.to, ["10.1.0.20"]);
}

#[test]
fn every_way_by_which_a_host_is_exposed_is_told() {
    let deployment = "catalogue = \"safehaven-4\"\n\
        [[node]]\nname = \"srn-1\"\nrole = \"srn\"\nservice = [\"10.3.0.11\"]\nreplication = [\"10.3.5.11\"]\nlocal = [\"10.3.8.11\"]\n\
        [[gateway]]\nname = \"edge\"\nfirewall = [\"edge.v4.rules\"]\n\
        interfaces = { eth0 = [\"10.3.0.0/24\"], eth1 = [\"10.3.5.0/24\"], eth2 = [\"10.3.8.0/24\"], eth3 = [\"internet\"] }\n";
    let report = check(deployment, &[("edge.v4.rules", &dump(["DROP", "ACCEPT", "ACCEPT"], &[]))]);
    let row = rows(&report, "SH4-NET-EXPOSED", "edge.v4.rules")
        .into_iter()
        .find(|r| r.flow.proto == "tcp")
        .unwrap();
    assert_eq!(row.state, Violated);
    let mut open: Vec<&str> = row.remainder.iter().flat_map(|f| &f.to).map(String::as_str).collect();
    open.sort_unstable();
    assert_eq!(open, ["10.3.0.11", "10.3.5.11", "10.3.8.11"]);
}

#[test]
fn what_passes_one_place_perhaps_passes_the_next_no_more_certainly() {
    // The gateway decides by the time of day, the host lets everybody in.
    let deployment = "catalogue = \"safehaven-4\"\n\
        [[node]]\nname = \"srn-1\"\nrole = \"srn\"\nservice = [\"10.3.0.11\"]\nfirewall = [\"host.v4.rules\"]\ninterfaces = { eth0 = \"service\" }\n\
        [[gateway]]\nname = \"edge\"\nfirewall = [\"edge.v4.rules\"]\n\
        interfaces = { eth0 = [\"10.3.0.0/24\"], eth3 = [\"internet\"] }\n";
    let gate = "FORWARD -p tcp -m tcp --dport 22 -m time --timestart 08:00 --timestop 17:00 -j ACCEPT";
    let edge = dump(["DROP", "DROP", "ACCEPT"], &[gate]);
    let report = check(
        deployment,
        &[("edge.v4.rules", &edge), ("host.v4.rules", &dump(["ACCEPT", "DROP", "ACCEPT"], &[]))],
    );
    let row =
        report.requirements.iter().find(|r| r.id == "SH4-NET-EXPOSED" && r.flow.proto == "tcp").unwrap();
    assert_eq!(row.state, Undecided);
    assert!(row.at.ends_with("edge.v4.rules"), "the place that decides: {}", row.at);
}
