//! What the deployment file says about groups, and what the files leave open: requirements are then undecided, with the reason.

use crate::support::deployment::Deployment;
use havenlint::finding::{Report, State};

/// One node in the cloud, with a peer elsewhere; the groups attached to it are put in.
fn deployment(groups: &str) -> String {
    let own = ["service", "local", "replication"].map(|net| format!("{net} = [\"10.4.0.11\"]\n")).concat();
    Deployment::of_sites(&["cloud", "east"])
        .node("srn-cloud", "srn", "cloud", &format!("{own}firewall = [\"aws/*.json\"]\n{groups}"))
        .node("srn-east", "srn", "east", "service = [\"10.1.0.11\"]\nreplication = [\"10.1.0.11\"]")
        .node("shop", "protected-server", "cloud", "local = [\"10.4.8.61\"]")
        .text()
}

/// tcp/22 from everywhere, nothing else; http from the members of another group.
const GROUPS: &str = r#"{"SecurityGroups": [{"GroupId": "sg-1", "VpcId": "vpc-1", "IpPermissionsEgress": [], "IpPermissions": [
  {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
  {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": "sg-shop"}]}]}]}"#;

fn report(groups: &str, files: &[(&str, &str)], complete: bool) -> Report {
    crate::deployed::report(&deployment(groups), files, complete)
}

/// The worst state of a requirement of the node, and what it depends on.
fn state(report: &Report, id: &str) -> (State, String) {
    let rows = || report.requirements.iter().filter(|r| r.id == id && r.subject == "srn-cloud");
    let order = [State::Violated, State::Undecided, State::Met];
    let worst = order.into_iter().find(|s| rows().any(|r| r.state == *s));
    let worst = worst.unwrap_or_else(|| panic!("{id} was not asked"));
    let because = rows().filter(|r| r.state == worst).flat_map(|r| &r.because);
    let reasons: Vec<_> = because.map(|b| format!("{}: {}", b.text, b.why)).collect();
    (worst, reasons.join("; "))
}

#[test]
fn a_group_that_no_file_describes_leaves_everything_undecided_but_what_others_let_in() {
    let known = report(r#"security-groups = ["sg-1"]"#, &[("groups.json", GROUPS)], false);
    assert!(known.problems.is_empty(), "{:?}", known.problems);
    assert_eq!(state(&known, "SH4-SRN-SSH").0, State::Met);
    assert_eq!(state(&known, "SH4-SRN-CLUSTER").0, State::Violated);
    assert_eq!(state(&known, "SH4-NET-EXPOSED").0, State::Met);
    for complete in [false, true] {
        let both = report(r#"security-groups = ["sg-1", "sg-typo"]"#, &[("groups.json", GROUPS)], complete);
        let told: Vec<_> = both.problems.iter().map(|p| p.message.as_str()).collect();
        assert_eq!(told, ["`security-groups` names sg-typo, which no file of the node describes"]);
        // Rules only allow: what one group lets in is let in, whatever the other says.
        assert_eq!(state(&both, "SH4-SRN-SSH").0, State::Met);
        for id in
            ["SH4-SRN-CLUSTER", "SH4-SRN-HEARTBEAT", "SH4-SRN-ISCSI", "SH4-NET-EXPOSED", "SH4-NET-EGRESS"]
        {
            let (state, because) = state(&both, id);
            assert_eq!(state, State::Undecided, "{id}");
            assert!(because.contains("rules of sg-typo: no file describes this group"), "{id}: {because}");
        }
    }
}

#[test]
fn members_that_no_file_shows_leave_a_reference_undecided() {
    let attached = r#"security-groups = ["sg-1"]"#;
    let open = report(attached, &[("groups.json", GROUPS)], false);
    let (undecided, because) = state(&open, "SH4-SRN-HTTP");
    assert_eq!(undecided, State::Undecided);
    assert!(
        because.contains("sg-shop is attached to the peer: no file tells where it is attached"),
        "{because}"
    );
    let closed = report(attached, &[("groups.json", GROUPS)], true);
    assert_eq!(
        state(&closed, "SH4-SRN-HTTP").0,
        State::Violated,
        "the files are complete: it is attached nowhere"
    );

    let interfaces = |group: &str| {
        format!(
            r#"{{"NetworkInterfaces": [
              {{"NetworkInterfaceId": "eni-1", "VpcId": "vpc-1", "Groups": [{{"GroupId": "sg-1"}}], "PrivateIpAddress": "10.4.0.11"}},
              {{"NetworkInterfaceId": "eni-2", "VpcId": "vpc-1", "Groups": [{{"GroupId": "{group}"}}], "PrivateIpAddress": "10.4.8.61"}}]}}"#
        )
    };
    for (group, expected) in [("sg-shop", State::Met), ("sg-1", State::Violated)] {
        let files = [("groups.json", GROUPS), ("interfaces.json", &interfaces(group))];
        for complete in [false, true] {
            assert_eq!(
                state(&report(attached, &files, complete), "SH4-SRN-HTTP").0,
                expected,
                "{group} {complete}"
            );
        }
    }
}

#[test]
fn a_node_of_which_nobody_says_what_it_wears_is_undecided() {
    let open = report("", &[("groups.json", GROUPS)], false);
    for id in ["SH4-SRN-SSH", "SH4-SRN-CLUSTER", "SH4-NET-EXPOSED"] {
        let (state, because) = state(&open, id);
        assert_eq!(state, State::Undecided, "{id}");
        assert!(because.contains("sg-1") || because.contains("declare `security-groups`"), "{id}: {because}");
    }
}

#[test]
fn a_group_that_an_interface_wears_and_no_file_describes_is_open_too() {
    let interfaces = r#"{"NetworkInterfaces": [{"NetworkInterfaceId": "eni-1", "VpcId": "vpc-1", "PrivateIpAddress": "10.4.0.11",
      "Groups": [{"GroupId": "sg-1"}, {"GroupId": "sg-elsewhere"}]}]}"#;
    for complete in [false, true] {
        let r = report("", &[("groups.json", GROUPS), ("interfaces.json", interfaces)], complete);
        assert_eq!(state(&r, "SH4-SRN-SSH").0, State::Met);
        for id in ["SH4-SRN-CLUSTER", "SH4-NET-EXPOSED"] {
            let (state, because) = state(&r, id);
            assert_eq!(state, State::Undecided, "{id}");
            assert!(because.contains("rules of sg-elsewhere"), "{id}: {because}");
        }
    }
}

/// A waiver in an entry's description is for that entry: also where the description stands on a line of its own, and where the whole
/// document is one line.
#[test]
fn a_description_waives_its_own_entry_only() {
    let mut list = vec![
        serde_json::json!({"CidrIp": "0.0.0.0/1", "Description": "havenlint:allow=HL-AWS-WIDE-CIDR until 2030"}),
    ];
    list.push(serde_json::json!({"CidrIp": "64.0.0.0/2", "Description": "forgotten"}));
    // So that the document's only line is long.
    list.extend(
        (0..100).map(
            |i| serde_json::json!({"CidrIp": format!("10.0.{i}.0/24"), "Description": "a branch office"}),
        ),
    );
    let dump = serde_json::json!({"SecurityGroups": [{"GroupId": "sg-1", "IpPermissionsEgress": [], "IpPermissions": [
        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": list}]}]});
    let pretty = serde_json::to_string_pretty(&dump).unwrap();
    for text in [pretty, dump.to_string()] {
        let r = report(r#"security-groups = ["sg-1"]"#, &[("groups.json", &text)], false);
        let wide = |f: &&havenlint::finding::Finding| f.rule == "HL-AWS-WIDE-CIDR";
        let left: Vec<_> = r.findings.iter().filter(wide).map(|f| f.location.text.as_str()).collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(left[0].contains("64.0.0.0/2"), "{left:?}");
        let waived: Vec<_> = r.waived.iter().map(|w| &w.finding).filter(wide).collect();
        assert_eq!(waived.len(), 1);
        assert!(waived[0].location.text.contains("0.0.0.0/1"));
    }
}
