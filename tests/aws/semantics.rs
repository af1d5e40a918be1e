//! What security groups and network ACLs mean, one fact a test.

use crate::common::{decider, problems, read, read_with, trace, verdict};
use havenlint::analysis::Verdict::{self, Accept, Drop, Undecided};

/// A dump of one group `sg-1` with permissions.
fn group(ingress: &str, egress: &str) -> String {
    format!(
        r#"{{"SecurityGroups":[{{"GroupId":"sg-1","IpPermissions":[{ingress}],"IpPermissionsEgress":[{egress}]}}]}}"#
    )
}

fn tcp22(peer: &str) -> String {
    format!(r#"{{"IpProtocol":"tcp","FromPort":22,"ToPort":22,{peer}}}"#)
}

fn all(dump: &str, cases: &[(&str, Verdict)]) {
    let f = read(&[dump]);
    assert_eq!(problems(&f), Vec::<String>::new());
    for (packet, expected) in cases {
        assert_eq!(verdict(&f, Some(&["sg-1"]), packet), *expected, "{packet}");
    }
}

#[test]
fn only_what_a_rule_allows_passes() {
    let dump = group(&tcp22(r#""IpRanges":[{"CidrIp":"10.0.9.0/24"}]"#), "");
    all(
        &dump,
        &[
            ("ingress tcp 10.0.9.7:40000 > 10.1.0.5:22", Accept),
            ("ingress tcp 10.0.8.7:40000 > 10.1.0.5:22", Drop),
            ("ingress tcp 10.0.9.7:40000 > 10.1.0.5:23", Drop),
            ("ingress udp 10.0.9.7:40000 > 10.1.0.5:22", Drop),
            ("ingress tcp 10.0.9.7:22 > 10.1.0.5:4000", Drop),
            ("ingress tcp [2001:db8::1]:40000 > [2001:db8::2]:22", Drop),
            ("egress tcp 10.1.0.5:40000 > 10.0.9.7:443", Drop),
        ],
    );
}

#[test]
fn answers_of_what_passed_pass() {
    let dump = group(&tcp22(r#""IpRanges":[{"CidrIp":"10.0.9.0/24"}]"#), "");
    all(
        &dump,
        &[
            ("egress tcp 10.1.0.5:22 > 10.0.9.7:40000 established", Accept),
            ("ingress tcp 10.3.0.1:443 > 10.1.0.5:40000 established", Accept),
        ],
    );
}

#[test]
fn all_protocols_ignore_ports() {
    let dump = group(
        r#"{"IpProtocol":"-1","FromPort":0,"ToPort":0,"IpRanges":[{"CidrIp":"10.0.0.0/8"}]},
           {"IpProtocol":"50","FromPort":7,"ToPort":7,"IpRanges":[{"CidrIp":"10.0.0.0/8"}]},
           {"IpProtocol":"132","FromPort":7,"ToPort":7,"Ipv6Ranges":[{"CidrIpv6":"::/0"}]}"#,
        "",
    );
    all(
        &dump,
        &[
            ("ingress tcp 10.0.9.7:40000 > 10.1.0.5:65535", Accept),
            ("ingress icmp 10.0.9.7 > 10.1.0.5 type 8", Accept),
            ("ingress gre 10.0.9.7 > 10.1.0.5", Accept),
            ("ingress sctp [2001:db8::1]:1 > [2001:db8::2]:9", Accept),
            ("ingress tcp [2001:db8::1]:1 > [2001:db8::2]:7", Drop),
        ],
    );
}

#[test]
fn icmp_is_type_and_code_never_a_range() {
    let dump = group(
        r#"{"IpProtocol":"icmp","FromPort":3,"ToPort":4,"IpRanges":[{"CidrIp":"0.0.0.0/0"}]},
           {"IpProtocol":"icmp","FromPort":8,"ToPort":-1,"IpRanges":[{"CidrIp":"0.0.0.0/0"}]},
           {"IpProtocol":"icmpv6","Ipv6Ranges":[{"CidrIpv6":"::/0"}]}"#,
        "",
    );
    all(
        &dump,
        &[
            ("ingress icmp 198.51.100.1 > 10.1.0.5 type 3/4", Accept),
            ("ingress icmp 198.51.100.1 > 10.1.0.5 type 3/3", Drop),
            ("ingress icmp 198.51.100.1 > 10.1.0.5 type 4/0", Drop),
            ("ingress icmp 198.51.100.1 > 10.1.0.5 type 8/9", Accept),
            ("ingress icmpv6 2001:db8::1 > 2001:db8::2 type 136", Accept),
        ],
    );
}

#[test]
fn the_union_of_all_groups_counts() {
    let dump = r#"[{"GroupId":"sg-a","IpPermissions":[{"IpProtocol":"tcp","FromPort":22,"ToPort":22,"IpRanges":[{"CidrIp":"0.0.0.0/1"}]}],"IpPermissionsEgress":[]},
      {"GroupId":"sg-b","IpPermissions":[{"IpProtocol":"tcp","FromPort":22,"ToPort":22,"IpRanges":[{"CidrIp":"128.0.0.0/1"}]}],"IpPermissionsEgress":[]}]"#;
    let f = read(&[dump]);
    let (low, high) =
        ("ingress tcp 1.2.3.4:4000 > 10.1.0.5:22", "ingress tcp 198.51.100.1:4000 > 10.1.0.5:22");
    for (attached, a, b) in
        [(&["sg-a"][..], Accept, Drop), (&["sg-b"], Drop, Accept), (&["sg-a", "sg-b"], Accept, Accept)]
    {
        assert_eq!(
            (verdict(&f, Some(attached), low), verdict(&f, Some(attached), high)),
            (a, b),
            "{attached:?}"
        );
    }
    assert_eq!(verdict(&f, None, low), Undecided, "nobody says what is attached");
    let other = "ingress tcp 1.2.3.4:4000 > 10.1.0.5:23";
    assert_eq!(verdict(&f, None, other), Undecided, "a group that no file shows may be attached");
    assert_eq!(
        verdict(&read_with(&[dump], true), None, other),
        Drop,
        "all groups are in the files: whatever is attached"
    );
}

#[test]
fn a_refusal_points_at_the_group_and_an_accept_at_the_entry() {
    let dump = "{\"SecurityGroups\": [\n  {\"GroupId\": \"sg-1\",\n   \"IpPermissions\": [{\"IpProtocol\": \"tcp\", \"FromPort\": 22, \"ToPort\": 22,\n     \"IpRanges\": [{\"CidrIp\": \"10.0.8.0/24\"},\n       {\"CidrIp\": \"10.0.9.0/24\", \"Description\": \"admins\"}]}],\n   \"IpPermissionsEgress\": []}]}";
    let f = read(&[dump]);
    let (line, text) = decider(&f, Some(&["sg-1"]), "ingress tcp 10.0.9.7:4000 > 10.1.0.5:22");
    assert_eq!((line, text.as_str()), (5, "{\"CidrIp\": \"10.0.9.0/24\", \"Description\": \"admins\"}"));
    let (line, text) = decider(&f, Some(&["sg-1"]), "ingress tcp 10.0.7.7:4000 > 10.1.0.5:22");
    assert_eq!((line, text.as_str()), (2, "\"GroupId\": \"sg-1\""));
}

const INTERFACES: &str = r#"{"NetworkInterfaces":[
  {"NetworkInterfaceId":"eni-1","VpcId":"vpc-1","Groups":[{"GroupId":"sg-peer"}],"PrivateIpAddress":"10.1.0.7",
   "PrivateIpAddresses":[{"PrivateIpAddress":"10.1.0.7","Association":{"PublicIp":"198.51.100.7"}},{"PrivateIpAddress":"10.1.0.8"}],
   "Ipv6Addresses":[{"Ipv6Address":"2001:db8:1::7"}],"Ipv4Prefixes":[{"Ipv4Prefix":"10.1.9.16/28"}],
   "Ipv6Prefixes":[{"Ipv6Prefix":"2001:db8:1:9::/80"}]},
  {"NetworkInterfaceId":"eni-2","VpcId":"vpc-1","Groups":[{"GroupId":"sg-1"}],"PrivateIpAddress":"10.1.0.5"}]}"#;

#[test]
fn a_reference_matches_private_addresses_of_wearers() {
    let dump = group(&tcp22(r#""UserIdGroupPairs":[{"GroupId":"sg-peer"}]"#), "");
    for complete in [false, true] {
        let f = read_with(&[&dump, INTERFACES], complete);
        let unlisted = if complete { Drop } else { Undecided };
        for (src, expected) in [
            ("10.1.0.7", Accept),
            ("10.1.0.8", Accept),
            ("10.1.9.31", Accept),
            ("10.1.9.32", unlisted),
            ("198.51.100.7", Drop),
            ("203.0.113.1", Drop),
        ] {
            let packet = format!("ingress tcp {src}:4000 > 10.1.0.5:22");
            assert_eq!(verdict(&f, Some(&["sg-1"]), &packet), expected, "{src} {complete}");
        }
        let v6 = "ingress tcp [2001:db8:1::7]:4000 > [2001:db8::5]:22";
        assert_eq!(verdict(&f, Some(&["sg-1"]), v6), Accept);
        let prefix = "ingress tcp [2001:db8:1:9::1]:4000 > [2001:db8::5]:22";
        assert_eq!(verdict(&f, Some(&["sg-1"]), prefix), Accept);
    }
    let f = read(&[&dump]);
    let t = trace(&f, Some(&["sg-1"]), &"ingress tcp 10.1.0.7:4000 > 10.1.0.5:22".parse().unwrap());
    assert_eq!(t.verdict, Undecided);
    assert_eq!(t.because[0].text, "sg-peer is attached to the peer");
}

#[test]
fn who_wears_what_follows_from_the_address() {
    let dump = group(&tcp22(r#""IpRanges":[{"CidrIp":"0.0.0.0/0"}]"#), "");
    let peer = dump.replace("sg-1", "sg-peer").replace("22", "80");
    let f = read(&[&dump, &peer, INTERFACES]);
    for (packet, expected) in [
        ("ingress tcp 10.9.9.9:4000 > 10.1.0.5:22", Accept),
        ("ingress tcp 10.9.9.9:4000 > 10.1.0.5:80", Drop),
        ("ingress tcp 10.9.9.9:4000 > 10.1.0.8:80", Accept),
        ("ingress tcp 10.9.9.9:4000 > 10.1.0.8:22", Drop),
        ("ingress tcp 10.9.9.9:4000 > 10.1.0.99:22", Undecided),
        ("ingress tcp 10.9.9.9:4000 > 10.1.0.99:23", Undecided),
    ] {
        assert_eq!(verdict(&f, None, packet), expected, "{packet}");
    }
    let f = read_with(&[&dump, &peer, INTERFACES], true);
    let unlisted = "ingress tcp 10.9.9.9:4000 > 10.1.0.99:23";
    assert_eq!(verdict(&f, None, unlisted), Drop, "the files are complete: it is attached nowhere");
}

#[test]
fn a_peered_reference_holds_while_the_peering_is_active() {
    for (status, expected) in [
        (r#","PeeringStatus":"active""#, Accept),
        (r#","PeeringStatus":"deleted""#, Drop),
        (r#","PeeringStatus":"pending-acceptance""#, Drop),
        ("", Undecided),
    ] {
        let pair = format!(
            r#""UserIdGroupPairs":[{{"GroupId":"sg-peer","VpcPeeringConnectionId":"pcx-1"{status}}}]"#
        );
        let f = read(&[&group(&tcp22(&pair), ""), INTERFACES]);
        assert_eq!(
            verdict(&f, Some(&["sg-1"]), "ingress tcp 10.1.0.7:4000 > 10.1.0.5:22"),
            expected,
            "{status}"
        );
    }
}

#[test]
fn prefix_lists_are_their_entries() {
    let dump = group(&tcp22(r#""PrefixListIds":[{"PrefixListId":"pl-1"}]"#), "");
    let packet = "ingress tcp 203.0.113.9:4000 > 10.1.0.5:22";
    assert_eq!(verdict(&read(&[&dump]), Some(&["sg-1"]), packet), Undecided);
    for lists in [
        r#"{"PrefixLists":[{"PrefixListId":"pl-1","Cidrs":["203.0.113.0/24"]}]}"#,
        r#"{"pl-1":{"Entries":[{"Cidr":"203.0.113.0/24","Description":"x"}]}}"#,
        r#"{"PrefixListId":"pl-1","Entries":[{"Cidr":"203.0.113.0/24"}]}"#,
    ] {
        let f = read(&[&dump, lists]);
        assert_eq!(problems(&f), Vec::<String>::new());
        assert_eq!(verdict(&f, Some(&["sg-1"]), packet), Accept, "{lists}");
        assert_eq!(verdict(&f, Some(&["sg-1"]), "ingress tcp 203.0.114.9:4000 > 10.1.0.5:22"), Drop);
    }
}

#[test]
fn host_bits_are_masked_and_said() {
    let f = read(&[&group(&tcp22(r#""IpRanges":[{"CidrIp":"10.0.2.0/0"}]"#), "")]);
    assert_eq!(verdict(&f, Some(&["sg-1"]), "ingress tcp 203.0.113.9:4000 > 10.1.0.5:22"), Accept);
    assert!(
        problems(&f)[0].ends_with("warning: 10.0.2.0/0 has host bits: it means 0.0.0.0/0"),
        "{:?}",
        problems(&f)
    );
}

#[test]
fn missing_keys_leave_a_direction_open() {
    let f = read(&[r#"[{"GroupId":"sg-1","IpPermissions":[]}]"#]);
    assert_eq!(verdict(&f, Some(&["sg-1"]), "ingress tcp 10.0.0.1:4000 > 10.1.0.5:22"), Drop);
    assert_eq!(verdict(&f, Some(&["sg-1"]), "egress tcp 10.1.0.5:4000 > 10.0.0.1:22"), Undecided);
}

#[test]
fn a_worn_group_that_no_file_describes_is_open() {
    let dump = group("", "").replace("sg-1", "sg-other");
    let f = read(&[&dump, INTERFACES]);
    let packet = "ingress tcp 10.0.0.1:4000 > 10.1.0.5:22";
    assert_eq!(verdict(&f, None, packet), Undecided);
    assert_eq!(verdict(&f, Some(&["sg-other"]), packet), Drop);
}

#[test]
fn link_local_services_are_not_filtered() {
    let f = read(&[&group("", "")]);
    assert_eq!(verdict(&f, Some(&["sg-1"]), "egress udp 10.1.0.5:4000 > 169.254.169.253:53"), Accept);
    assert_eq!(verdict(&f, Some(&["sg-1"]), "egress udp 10.1.0.5:4000 > 169.254.169.252:53"), Drop);
}

#[test]
fn rules_listed_apart_make_the_same_group() {
    let rules = r#"{"SecurityGroupRules":[
      {"SecurityGroupRuleId":"sgr-1","GroupId":"sg-1","IsEgress":false,"IpProtocol":"tcp","FromPort":22,"ToPort":22,"CidrIpv4":"10.0.9.0/24"},
      {"SecurityGroupRuleId":"sgr-2","GroupId":"sg-1","IsEgress":true,"IpProtocol":"-1","FromPort":-1,"ToPort":-1,"CidrIpv6":"::/0"}]}"#;
    let f = read(&[rules]);
    assert_eq!(problems(&f), Vec::<String>::new());
    assert_eq!(verdict(&f, Some(&["sg-1"]), "ingress tcp 10.0.9.7:4000 > 10.1.0.5:22"), Accept);
    assert_eq!(verdict(&f, Some(&["sg-1"]), "ingress tcp 10.0.9.7:4000 > 10.1.0.5:23"), Drop);
    assert_eq!(verdict(&f, Some(&["sg-1"]), "egress tcp [2001:db8::1]:4000 > [2001:db8::2]:23"), Accept);
    // The answer of authorize-security-group-ingress has the same list, but it is not all of the group's rules.
    let f = read(&[&rules.replacen('{', r#"{"Return":true,"#, 1)]);
    assert_eq!(verdict(&f, Some(&["sg-1"]), "ingress tcp 10.0.9.7:4000 > 10.1.0.5:23"), Undecided);
    assert_eq!(verdict(&f, Some(&["sg-1"]), "ingress tcp 10.0.9.7:4000 > 10.1.0.5:22"), Accept);
}

#[test]
fn spellings_of_other_exporters() {
    let camel = r#"[{"version":"1.3","resourceType":"AWS::EC2::SecurityGroup","configuration":{"groupId":"sg-1","groupName":"web",
      "ipPermissions":[{"fromPort":22,"ipProtocol":"tcp","toPort":22,"ipv6Ranges":[],"prefixListIds":[],"userIdGroupPairs":[],
        "ipv4Ranges":[{"cidrIp":"10.0.9.0/24"}],"ipRanges":["10.0.9.0/24"]}],"ipPermissionsEgress":[]}}]"#;
    let snake = r#"{"rows":[{"group_id":"sg-1","group_name":"web","ip_permissions":[{"FromPort":22,"IpProtocol":"tcp","ToPort":22,
        "IpRanges":[{"CidrIp":"10.0.9.0/24","Description":null}]}],"ip_permissions_egress":[]}]}"#;
    // The history of a resource holds it as text.
    let (before, configuration) = camel.split_once("\"configuration\":").unwrap();
    let configuration = serde_json::to_string(configuration.strip_suffix("}]").unwrap()).unwrap();
    let history = format!("{before}\"configuration\":{configuration}}}]");
    for dump in [camel, snake, &history] {
        let f = read(&[dump]);
        assert_eq!(problems(&f), Vec::<String>::new(), "{dump}");
        assert_eq!(verdict(&f, Some(&["sg-1"]), "ingress tcp 10.0.9.7:4000 > 10.1.0.5:22"), Accept);
        assert_eq!(verdict(&f, Some(&["sg-1"]), "ingress tcp 10.0.8.7:4000 > 10.1.0.5:22"), Drop);
    }
}

#[test]
fn a_group_that_a_history_tells_twice_is_not_known() {
    let item = |cidr: &str| {
        let permission = format!(
            r#"{{"ipProtocol":"tcp","fromPort":22,"toPort":22,"ipv4Ranges":[{{"cidrIp":"{cidr}"}}]}}"#
        );
        let group =
            format!(r#"{{"groupId":"sg-1","ipPermissions":[{permission}],"ipPermissionsEgress":[]}}"#);
        let text = serde_json::to_string(&group).unwrap();
        format!(r#"{{"resourceType":"AWS::EC2::SecurityGroup","resourceId":"sg-1","configuration":{text}}}"#)
    };
    let history = format!(r#"{{"configurationItems":[{},{}]}}"#, item("10.0.9.0/24"), item("0.0.0.0/0"));
    let f = read(&[&history]);
    assert_eq!(verdict(&f, Some(&["sg-1"]), "ingress tcp 203.0.113.9:4000 > 10.1.0.5:22"), Undecided);
    let broken = history.replace("\\\"ipPermissions\\\":[", "\\\"ipPermissions\\\":[[");
    let f = read(&[&broken]);
    assert_eq!(verdict(&f, Some(&["sg-1"]), "ingress tcp 203.0.113.9:4000 > 10.1.0.5:22"), Undecided);
}

#[test]
fn network_acls_are_asked_too_and_have_no_memory() {
    let dump = group(&tcp22(r#""IpRanges":[{"CidrIp":"0.0.0.0/0"}]"#), "");
    let acls = r#"{"NetworkAcls":[{"NetworkAclId":"acl-1","Associations":[{"SubnetId":"subnet-1"}],"Entries":[
      {"RuleNumber":100,"Egress":false,"Protocol":"6","RuleAction":"allow","CidrBlock":"203.0.113.0/24","PortRange":{"From":22,"To":22}},
      {"RuleNumber":90,"Egress":false,"Protocol":"-1","RuleAction":"deny","CidrBlock":"203.0.113.128/25"},
      {"RuleNumber":32767,"Egress":false,"Protocol":"-1","RuleAction":"deny","CidrBlock":"0.0.0.0/0"},
      {"RuleNumber":100,"Egress":true,"Protocol":"6","RuleAction":"allow","CidrBlock":"0.0.0.0/0","PortRange":{"From":1024,"To":65535}}]}]}"#;
    let subnets = r#"{"Subnets":[{"SubnetId":"subnet-1","CidrBlock":"10.1.0.0/24"}]}"#;
    let f = read(&[&dump, acls, subnets]);
    assert_eq!(problems(&f), Vec::<String>::new());
    let v = |p: &str| verdict(&f, Some(&["sg-1"]), p);
    assert_eq!(v("ingress tcp 203.0.113.9:4000 > 10.1.0.5:22"), Accept);
    assert_eq!(v("ingress tcp 203.0.113.200:4000 > 10.1.0.5:22"), Drop, "a lower number goes first");
    assert_eq!(v("ingress tcp 203.0.112.9:4000 > 10.1.0.5:22"), Drop);
    assert_eq!(v("egress tcp 10.1.0.5:22 > 203.0.113.9:4000 established"), Accept);
    assert_eq!(
        v("egress tcp 10.1.0.5:22 > 203.0.113.9:1000 established"),
        Drop,
        "answers need their own entry"
    );
    assert_eq!(v("ingress tcp 10.1.0.9:4000 > 10.1.0.5:22"), Accept, "within the subnet no ACL is passed");
    assert_eq!(v("ingress tcp 203.0.112.9:4000 > 10.2.0.5:22"), Accept, "another subnet");
    let f = read(&[&dump, acls]);
    assert_eq!(verdict(&f, Some(&["sg-1"]), "ingress tcp 203.0.112.9:4000 > 10.1.0.5:22"), Undecided);
}

#[test]
fn a_dump_that_goes_on_elsewhere_says_so() {
    let f = read(&[r#"{"SecurityGroups":[],"NextToken":"abc"}"#]);
    assert!(problems(&f)[0].contains("NextToken"), "{:?}", problems(&f));
}

#[test]
fn a_group_described_twice_differently_is_uncertain_where_they_differ() {
    let a = group(&tcp22(r#""IpRanges":[{"CidrIp":"10.0.8.0/24"},{"CidrIp":"10.0.9.0/24"}]"#), "");
    let b = group(&tcp22(r#""IpRanges":[{"CidrIp":"10.0.9.0/24"},{"CidrIp":"10.0.7.0/24"}]"#), "");
    let f = read(&[&a, &b]);
    for (src, expected) in
        [("10.0.9.1", Accept), ("10.0.8.1", Undecided), ("10.0.7.1", Undecided), ("10.0.6.1", Drop)]
    {
        let packet = format!("ingress tcp {src}:4000 > 10.1.0.5:22");
        assert_eq!(verdict(&f, Some(&["sg-1"]), &packet), expected, "{src}");
    }
}
