//! By how much security groups let in more than the catalogue needs (`HL-AWS-LEAST-PRIVILEGE`).

use havenlint::finding::{Finding, Requirement};
use havenlint::session::{Options, run};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const RULE: &str = "HL-AWS-LEAST-PRIVILEGE";

fn findings(path: PathBuf) -> Vec<Finding> {
    let options = Options { paths: vec![path], select: vec![RULE.to_owned()], ..Options::default() };
    let report = run(&options).report;
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    report.findings
}

#[test]
fn the_demo_says_by_how_much() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo");
    let expected: toml::Table =
        toml::from_str(&fs::read_to_string(root.join("expected.toml")).unwrap()).unwrap();
    let wanted: Vec<(String, String)> = expected["beyond"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["at"].as_str().unwrap().to_owned(), f["says"].as_str().unwrap().to_owned()))
        .collect();
    let found: Vec<(String, String)> = findings(root)
        .iter()
        .map(|f| {
            let path = f.location.path.split("fixtures/demo/").last().unwrap_or_default();
            let at = format!("{path}:{}", f.location.line);
            (at, f.message.split_once(": ").map(|m| m.1.to_owned()).unwrap_or_default())
        })
        .collect();
    assert_eq!(found, wanted);
}

/// Carries out the commands of the fixes on the demo's dump.
fn carry_out(dump: &mut Value, commands: &str) {
    for line in commands.lines() {
        let words: Vec<&str> = line.splitn(7, ' ').collect();
        let ["aws", "ec2", verb, "--group-id", id, "--ip-permissions", list] = words[..] else {
            panic!("{line}")
        };
        let list: Vec<Value> = serde_json::from_str(list.trim_matches('\'')).unwrap();
        let groups = dump["SecurityGroups"].as_array_mut().unwrap();
        let group = groups.iter_mut().find(|g| g["GroupId"] == id).unwrap();
        let permissions = group["IpPermissions"].as_array_mut().unwrap();
        if verb == "authorize-security-group-ingress" {
            permissions.extend(list);
            continue;
        }
        assert_eq!(verb, "revoke-security-group-ingress");
        for gone in &list {
            let same = |p: &Value| ["IpProtocol", "FromPort", "ToPort"].iter().all(|k| p[*k] == gone[*k]);
            let cidr = &gone["IpRanges"][0]["CidrIp"];
            let before = permissions.clone();
            for p in permissions.iter_mut().filter(|p| same(p)) {
                p["IpRanges"].as_array_mut().unwrap().retain(|r| r["CidrIp"] != *cidr);
            }
            assert_ne!(before, *permissions, "{line} takes nothing away");
        }
    }
}

#[test]
fn the_fixes_leave_what_is_needed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo");
    let copy = tempfile::tempdir().unwrap();
    for entry in walkdir::WalkDir::new(&root).into_iter().flatten().filter(|e| e.file_type().is_file()) {
        let to = copy.path().join(entry.path().strip_prefix(&root).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(entry.path(), to).unwrap();
    }
    let file = copy.path().join("aws/security-groups.json");
    let mut dump: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let states = || -> Vec<_> {
        let options = Options { paths: vec![copy.path().to_owned()], ..Options::default() };
        let of = |r: &Requirement| (r.id.clone(), r.flow.clone(), r.state);
        run(&options).report.requirements.iter().filter(|r| r.subject == "srn-cloud").map(of).collect()
    };
    let before = states();
    for f in findings(copy.path().to_owned()) {
        let fix = f.fix.expect("a fix");
        assert!(fix.elsewhere && fix.description == "run");
        carry_out(&mut dump, &fix.text);
    }
    fs::write(&file, dump.to_string()).unwrap();
    assert!(findings(copy.path().to_owned()).is_empty());
    assert_eq!(states(), before);
}

/// Two nodes in the cloud, a peer elsewhere; administrators are not declared.
const DEPLOYMENT: &str = r#"
catalogue = "safehaven-4"
phase = "operation"
[[site]]
name = "cloud"
type = "manual"
[[site]]
name = "other-cloud"
type = "manual"
[[site]]
name = "east"
type = "manual"
[[node]]
name = "srn-a"
role = "srn"
site = "cloud"
service = ["10.4.0.11", "2001:db8:4::11"]
firewall = ["aws/*.json"]
[[node]]
name = "srn-b"
role = "srn"
site = "other-cloud"
service = ["10.4.0.12"]
firewall = ["aws/*.json"]
[[node]]
name = "srn-east"
role = "srn"
site = "east"
service = ["10.1.0.11"]
[[node]]
name = "cms"
role = "cms"
site = "east"
client = ["10.1.0.10"]
service = ["10.1.0.10"]
[[node]]
name = "shop"
role = "protected-server"
site = "cloud"
local = ["10.4.8.61"]
firewall = ["aws/*.json"]
"#;

const INTERFACES: &str = r#"{"NetworkInterfaces": [
  {"NetworkInterfaceId": "eni-a", "VpcId": "vpc-1", "SubnetId": "subnet-1", "Groups": [{"GroupId": "sg-srn"}], "PrivateIpAddress": "10.4.0.11", "Ipv6Addresses": [{"Ipv6Address": "2001:db8:4::11"}]},
  {"NetworkInterfaceId": "eni-b", "VpcId": "vpc-1", "SubnetId": "subnet-1", "Groups": [{"GroupId": "sg-srn"}], "PrivateIpAddress": "10.4.0.12"},
  {"NetworkInterfaceId": "eni-p", "VpcId": "vpc-1", "SubnetId": "subnet-2", "Groups": [{"GroupId": "sg-shop"}], "PrivateIpAddress": "10.4.8.61"}]}"#;

fn group(id: &str, permissions: &str) -> String {
    format!(
        r#"{{"GroupId": "{id}", "VpcId": "vpc-1", "IpPermissions": [{permissions}], "IpPermissionsEgress": []}}"#
    )
}

/// What is said of the entries, by the entry's text.
fn said(permissions: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let shop = group(
        "sg-shop",
        r#"{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}"#,
    );
    let groups = format!("{{\"SecurityGroups\": [\n{},\n{shop}]}}", group("sg-srn", permissions));
    let files = [&[("groups.json", groups.as_str()), ("interfaces.json", INTERFACES)], more].concat();
    let report = crate::deployed::report(DEPLOYMENT, &files, false);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let found = report.findings.into_iter().filter(|f| f.rule == RULE);
    found
        .map(|f| {
            (
                f.location.text.to_string(),
                f.message.split_once(": ").map(|m| m.1.to_owned()).unwrap_or_default(),
            )
        })
        .collect()
}

fn one(permissions: &str) -> String {
    let found = said(permissions, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].1.clone()
}

#[test]
fn what_is_needed_is_silent() {
    // The peers of two nodes in one group: the one needs the other, so both are needed.
    let needed = r#"
      {"IpProtocol": "tcp", "FromPort": 20082, "ToPort": 20082, "IpRanges": [{"CidrIp": "10.1.0.10/31"}],
       "UserIdGroupPairs": [{"GroupId": "sg-srn"}]},
      {"IpProtocol": "udp", "FromPort": 20082, "ToPort": 20082, "IpRanges": [{"CidrIp": "10.1.0.11/32"}]},
      {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}"#;
    assert_eq!(said(needed, &[]), []);
}

#[test]
fn ports_protocols_and_addresses_are_counted() {
    let tcp = |ports: (u16, u16), peer: &str| {
        format!(r#"{{"IpProtocol": "tcp", "FromPort": {}, "ToPort": {}, {peer}}}"#, ports.0, ports.1)
    };
    assert_eq!(
        one(&tcp((20081, 20082), r#""IpRanges": [{"CidrIp": "10.1.0.11/32"}]"#)),
        "no requirement needs 1 of its 2 ports (tcp/20081)"
    );
    assert_eq!(
        one(&tcp((20082, 20082), r#""IpRanges": [{"CidrIp": "10.1.0.8/30"}]"#)),
        "2 of its 4 addresses do not need tcp/20082"
    );
    assert_eq!(
        one(&tcp((443, 443), r#""UserIdGroupPairs": [{"GroupId": "sg-shop"}]"#)),
        "no requirement needs tcp/443 from 10.4.8.61 (1 address)"
    );
    assert_eq!(
        one(&tcp((443, 443), r#""Ipv6Ranges": [{"CidrIpv6": "2001:db8::/64"}]"#)),
        "no requirement needs tcp/443 from 2001:db8::/64 (2^64 addresses)"
    );
    let all = one(r#"{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.1.0.11/32"}]}"#);
    assert_eq!(
        all,
        // Nobody declared the protected servers of srn-b: anybody may need the ports that they use.
        "no requirement needs tcp/0-21, tcp/23-79, tcp/81-3259, tcp/3261-5670, tcp/5672-20081, tcp/20083-65535, \
         udp (all ports but 20082), icmp, every other protocol from 10.1.0.11 (1 address)"
    );
}

#[test]
fn an_entry_that_the_network_acl_closes_lets_nothing_in() {
    let wide =
        r#"{"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "IpRanges": [{"CidrIp": "10.1.0.0/24"}]}"#;
    assert_eq!(said(wide, &[]).len(), 1);
    let acls = r#"{"NetworkAcls": [{"NetworkAclId": "acl-1", "Associations": [{"SubnetId": "subnet-1"}], "Entries": [
      {"RuleNumber": 90, "Egress": false, "Protocol": "17", "RuleAction": "deny", "CidrBlock": "0.0.0.0/0", "PortRange": {"From": 53, "To": 53}},
      {"RuleNumber": 100, "Egress": false, "Protocol": "-1", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0"}]}]}"#;
    let subnets = r#"{"Subnets": [{"SubnetId": "subnet-1", "CidrBlock": "10.4.0.0/24"}]}"#;
    assert_eq!(said(wide, &[("acls.json", acls), ("subnets.json", subnets)]), []);
}

#[test]
fn what_may_be_let_in_only_is_not_counted() {
    let list =
        r#"{"IpProtocol": "tcp", "FromPort": 9, "ToPort": 9, "PrefixListIds": [{"PrefixListId": "pl-1"}]}"#;
    assert_eq!(said(list, &[]), []);
    let entries = r#"{"PrefixLists": [{"PrefixListId": "pl-1", "Cidrs": ["203.0.113.0/28"]}]}"#;
    let found = said(list, &[("lists.json", entries)]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].1, "no requirement needs tcp/9 from 203.0.113.0/28 (16 addresses)");
}
