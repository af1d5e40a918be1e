//! What to add to let a flow through: applied to the files, it makes the requirement hold.

use crate::support::deployment::Deployment;
use havenlint::finding::{Fix, Report, State};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const ID: &str = "SH4-SRN-CLUSTER";

fn deployment(group: &str) -> String {
    let cloud = format!(
        "service = [\"10.4.0.11\", \"2001:db8:4::11\"]\nfirewall = [\"aws/*.json\"]\nsecurity-groups = [\"{group}\"]"
    );
    Deployment::of_sites(&["cloud", "east"])
        .node("srn-cloud", "srn", "cloud", &cloud)
        .node("srn-east", "srn", "east", "service = [\"10.1.0.11\", \"2001:db8:1::11\"]")
        .node("cms", "cms", "east", "client = [\"10.1.0.10\"]\nservice = [\"10.1.0.10\"]")
        .text()
}

fn report(group: &str, files: &[(&str, String)]) -> Report {
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let report = crate::deployed::report(&deployment(group), &files, false);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    report
}

fn fixes(report: &Report, id: &str) -> Vec<Fix> {
    report
        .findings
        .iter()
        .filter(|f| f.rule == id)
        .map(|f| f.fix.as_deref().expect("a fix").clone())
        .collect()
}

fn states(report: &Report, id: &str) -> Vec<State> {
    let rows = report.requirements.iter().filter(|r| r.id == id && r.subject == "srn-cloud");
    rows.map(|r| r.state).filter(|s| *s != State::NotChecked).collect()
}

fn everything() -> Value {
    json!([{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}])
}

fn assert_met(report: &Report, id: &str) {
    let states = states(report, id);
    assert!(!states.is_empty() && states.iter().all(|s| *s == State::Met), "{id}: {states:?}");
}

/// Value of an option of a command line.
fn option<'t>(line: &'t str, name: &str) -> &'t str {
    let rest = &line[line.find(name).unwrap_or_else(|| panic!("{name} in {line}")) + name.len() + 1..];
    match rest.strip_prefix('\'') {
        Some(quoted) => &quoted[..quoted.find('\'').unwrap()],
        None => rest.split(' ').next().unwrap(),
    }
}

#[test]
fn a_command_for_an_answer_of_the_api() {
    let dump = |permissions: Value| {
        json!({"SecurityGroups": [{"GroupId": "sg-0123abcd", "IpPermissionsEgress": everything(), "IpPermissions": permissions}]})
            .to_string()
    };
    let before = report("sg-0123abcd", &[("groups.json", dump(json!([])))]);
    let mut permissions: Vec<Value> = Vec::new();
    let found = fixes(&before, ID);
    for fix in &found {
        assert!(fix.elsewhere && fix.description == "run", "{fix:?}");
        for line in fix.text.lines() {
            assert!(
                line.starts_with("aws ec2 authorize-security-group-ingress --group-id sg-0123abcd "),
                "{line}"
            );
            let list: Value = serde_json::from_str(option(line, "--ip-permissions")).unwrap();
            permissions.extend(list.as_array().unwrap().clone());
        }
    }
    assert!(!permissions.is_empty());
    let after = report("sg-0123abcd", &[("groups.json", dump(json!(permissions)))]);
    assert_met(&after, ID);
    // Nothing more than that.
    assert_met(&after, "SH4-NET-EXPOSED");
    let wider: Vec<_> = after.findings.iter().filter(|f| f.rule == "HL-AWS-LEAST-PRIVILEGE").collect();
    assert!(wider.is_empty(), "{wider:?}");
}

#[test]
fn an_entry_of_the_network_acl_that_stops_it() {
    let groups =
        json!({"SecurityGroups": [{"GroupId": "sg-0123abcd", "IpPermissionsEgress": everything(), "IpPermissions": [
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]}]})
        .to_string();
    let subnets = json!({"Subnets": [{"SubnetId": "subnet-1", "CidrBlock": "10.4.0.0/24",
        "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": "2001:db8:4::/64"}]}]})
    .to_string();
    let first = json!([{"RuleNumber": 1, "Egress": false, "Protocol": "17", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0"},
        {"RuleNumber": 50, "Egress": false, "Protocol": "6", "RuleAction": "deny", "CidrBlock": "10.0.0.0/8"},
        {"RuleNumber": 32767, "Egress": false, "Protocol": "-1", "RuleAction": "deny", "CidrBlock": "0.0.0.0/0"}]);
    let mut entries = first.as_array().unwrap().clone();
    // The first packet, then the answers: each run shows what stops the conversation next.
    for _ in 0..6 {
        let acls = json!({"NetworkAcls": [{"NetworkAclId": "acl-1", "Associations": [{"SubnetId": "subnet-1"}], "Entries": entries}]});
        let files = [
            ("groups.json", groups.clone()),
            ("subnets.json", subnets.clone()),
            ("acls.json", acls.to_string()),
        ];
        let now = report("sg-0123abcd", &files);
        let found = fixes(&now, ID);
        if found.is_empty() {
            assert_met(&now, ID);
            assert!(entries.len() > first.as_array().unwrap().len());
            return;
        }
        for line in found.iter().flat_map(|f| f.text.lines()) {
            assert!(line.starts_with("aws ec2 create-network-acl-entry --network-acl-id acl-1 "), "{line}");
            let mut e = json!({"RuleNumber": option(line, "--rule-number").parse::<u32>().unwrap(),
                "Egress": line.contains(" --egress "), "Protocol": option(line, "--protocol"),
                "RuleAction": option(line, "--rule-action")});
            let (key, cidr) = if line.contains("--ipv6-cidr-block") {
                ("Ipv6CidrBlock", option(line, "--ipv6-cidr-block"))
            } else {
                ("CidrBlock", option(line, "--cidr-block"))
            };
            e[key] = json!(cidr);
            let ports: BTreeMap<&str, u16> = option(line, "--port-range")
                .split(',')
                .map(|p| p.split_once('=').map(|(k, v)| (k, v.parse().unwrap())).unwrap())
                .collect();
            e["PortRange"] = json!(ports);
            let number = &e["RuleNumber"];
            if entries.iter().any(|o| o["RuleNumber"] == *number && o["Egress"] == e["Egress"] && *o != e) {
                // Two findings of one run may ask for the same number; the next run asks again.
                continue;
            }
            entries.push(e);
        }
    }
    panic!("it does not end: {entries:#?}");
}

#[test]
fn a_resource_for_terraform() {
    let state = |more: Vec<Value>| {
        let mut resources = vec![
            json!({"mode": "managed", "type": "aws_security_group", "name": "srn", "provider": "provider",
            "instances": [{"attributes": {"id": "sg-0123abcd", "name": "srn", "vpc_id": "vpc-1", "ingress": [],
                "egress": [{"protocol": "-1", "from_port": 0, "to_port": 0, "self": false, "description": "", "cidr_blocks": ["0.0.0.0/0"],
                    "ipv6_cidr_blocks": ["::/0"], "prefix_list_ids": [], "security_groups": []}]}}]}),
        ];
        resources.extend(more);
        json!({"version": 4, "terraform_version": "1.9.0", "resources": resources}).to_string()
    };
    let before = report("sg-0123abcd", &[("terraform.tfstate.json", state(vec![]))]);
    let mut more = Vec::new();
    for fix in fixes(&before, ID) {
        assert!(fix.elsewhere && fix.description == "add to the Terraform configuration", "{fix:?}");
        for block in fix.text.split("resource ").filter(|b| !b.is_empty()) {
            assert!(block.starts_with("\"aws_vpc_security_group_ingress_rule\" \""), "{block}");
            let name = block.split('"').nth(3).unwrap();
            let attributes: serde_json::Map<String, Value> = block
                .lines()
                .filter_map(|l| l.split_once(" = "))
                .map(|(k, v)| (k.trim().to_owned(), serde_json::from_str(v).unwrap()))
                .collect();
            let mut attributes = Value::Object(attributes);
            attributes["id"] = json!(format!("sgr-{}", more.len()));
            more.push(json!({"mode": "managed", "type": "aws_vpc_security_group_ingress_rule", "name": name,
                "provider": "provider", "instances": [{"attributes": attributes}]}));
        }
    }
    assert!(!more.is_empty());
    assert_met(&report("sg-0123abcd", &[("terraform.tfstate.json", state(more))]), ID);
}

#[test]
fn an_entry_for_a_template() {
    let template = |entries: &str| {
        format!(
            r#"{{"AWSTemplateFormatVersion": "2010-09-09", "Resources": {{"Srn": {{"Type": "AWS::EC2::SecurityGroup",
              "Properties": {{"GroupDescription": "node", "VpcId": "vpc-1", "SecurityGroupIngress": [{entries}]}}}}}}}}"#
        )
    };
    let before = report("Srn", &[("template.json", template(""))]);
    let mut entries: Vec<String> = Vec::new();
    for fix in fixes(&before, ID) {
        assert!(fix.elsewhere, "{fix:?}");
        assert_eq!(fix.description, "add to SecurityGroupIngress of Srn in the template");
        entries.push(fix.text.replace("}\n{", "},\n{"));
    }
    assert!(!entries.is_empty());
    assert_met(&report("Srn", &[("template.json", template(&entries.join(",")))]), ID);
}
