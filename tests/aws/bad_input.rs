//! Broken, cut and hostile documents: a problem with line and column, the rest still read, never a panic.

use crate::common::{problems, read, verdict};
use havenlint::analysis::Verdict::{Accept, Drop, Undecided};
use havenlint::dialect::aws::Aws;
use havenlint::dialect::{Dialect, Role};
use proptest::prelude::*;
use std::time::Instant;

const OPEN: &str = "ingress tcp 203.0.113.9:4000 > 10.1.0.5:22";

const GOOD: &str = r#"{"GroupId":"sg-good","IpPermissions":[{"IpProtocol":"tcp","FromPort":22,"ToPort":22,"IpRanges":[{"CidrIp":"0.0.0.0/0"}]}],"IpPermissionsEgress":[]}"#;

/// A dump of a group `sg-bad` with this text as its permissions, and one good group.
fn beside(permissions: &str) -> String {
    format!(
        "{{\"SecurityGroups\": [\n{GOOD},\n{{\"GroupId\":\"sg-bad\",\"IpPermissionsEgress\":[],\n\"IpPermissions\":{permissions}}}]}}"
    )
}

#[test]
fn every_problem_has_its_place_and_leaves_the_rest() {
    for (permissions, expected, bad) in [
        ("null", "", Undecided),
        ("7", "0.json:4:17: error: `IpPermissions` is a number, a list is expected", Undecided),
        (
            "[null]",
            "0.json:4:18: error: an item of `IpPermissions` is null, a permission is expected",
            Undecided,
        ),
        ("[{\"IpProtocol\":\"-1\",\"IpRanges\":null}]", "", Drop),
        (
            "[{\"IpProtocol\":\"-1\",\"IpRanges\":[{\"CidrIp\":\"10.0.0.300/8\"}]}]",
            "0.json:4:59: error: \"10.0.0.300/8\" is no prefix such as 10.0.0.0/24",
            Undecided,
        ),
        (
            "[{\"IpProtocol\":\"-1\",\"IpRanges\":[{\"CidrIp\":\"10.0.0.1\"}]}]",
            "0.json:4:59: error: \"10.0.0.1\" is an address without a prefix length",
            Undecided,
        ),
        (
            "[{\"IpProtocol\":\"-1\",\"IpRanges\":[{\"CidrIp\":\"::/0\"}]}]",
            "0.json:4:59: error: \"::/0\" is a prefix of the other address family",
            Undecided,
        ),
        (
            "[{\"IpProtocol\":\"-1\",\"IpRanges\":[7]}]",
            "0.json:4:49: error: an entry without a prefix",
            Undecided,
        ),
        (
            "[{\"IpProtocol\":\"frob\",\"IpRanges\":[{\"CidrIp\":\"0.0.0.0/0\"}]}]",
            "0.json:4:18: warning: protocol \"frob\": it is no protocol by name or number, or not known before deployment",
            Undecided,
        ),
        (
            "[{\"IpProtocol\":\"tcp\",\"IpRanges\":[{\"CidrIp\":\"0.0.0.0/0\"}]}]",
            "0.json:4:18: warning: tcp from none to none: a port is missing",
            Undecided,
        ),
        (
            "[],\"IpPermissions\":[]",
            "0.json:4:20: error: the key \"IpPermissions\" appears twice in this object",
            Undecided,
        ),
        ("[]", "", Drop),
    ] {
        let f = read(&[&beside(permissions)]);
        let problems = problems(&f);
        assert_eq!(problems.first().map_or("", String::as_str), expected, "{permissions}");
        assert_eq!(verdict(&f, Some(&["sg-bad"]), OPEN), bad, "{permissions}");
        assert_eq!(verdict(&f, Some(&["sg-good"]), OPEN), Accept, "{permissions}");
    }
}

#[test]
fn a_cut_file_keeps_what_came_before() {
    let whole = beside("[]");
    for end in (whole.find("sg-bad").unwrap() + 8)..whole.len() {
        let cut = &whole[..end];
        assert_eq!(Aws.detect(cut.as_bytes()), Some(Role::Rules), "{cut}");
        let f = read(&[cut]);
        assert!(problems(&f)[0].contains("error"), "{cut}");
        assert_eq!(verdict(&f, Some(&["sg-good"]), OPEN), Accept, "{cut}");
        // The group is there, but whether it is whole is not known, except where only the outer brackets are missing.
        let expected = if end >= whole.len() - 2 { Drop } else { Undecided };
        assert_eq!(verdict(&f, Some(&["sg-bad"]), OPEN), expected, "{cut}");
    }
}

#[test]
fn deep_nesting_and_long_lines_are_no_trouble() {
    let deep = format!("{{\"SecurityGroups\":[{GOOD},{}", "[".repeat(2_000_000));
    let f = read(&[&deep]);
    assert!(problems(&f)[0].contains("nested deeper than 512 levels"), "{:?}", problems(&f));
    assert_eq!(verdict(&f, Some(&["sg-good"]), OPEN), Accept);
    // One line of a megabyte.
    let many: Vec<String> = (0..8000).map(|i| GOOD.replace("sg-good", &format!("sg-{i}"))).collect();
    let long = format!("{{\"SecurityGroups\":[{}]}}", many.join(","));
    assert!(long.len() > 900_000 && !long.contains('\n'));
    let started = Instant::now();
    let f = read(&[&long]);
    assert_eq!(problems(&f), Vec::<String>::new());
    assert_eq!(verdict(&f, Some(&["sg-7999"]), OPEN), Accept);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn nothing_is_read_as_open_or_closed() {
    for text in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        "\u{feff}{}",
        "{\"SecurityGroups\":null}",
        "\0\0\0",
        "{\"SecurityGroups\":[{}]}",
    ] {
        let f = read(&[text]);
        assert_eq!(verdict(&f, Some(&["sg-1"]), OPEN), Undecided, "{text:?}");
    }
}

fn pieces() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "true",
        "-1",
        "22",
        "\"\"",
        "\"GroupId\":\"sg-1\"",
        "\"IpPermissions\":",
        "\"IpRanges\":",
        "\"CidrIp\":\"0.0.0.0/0\"",
        "\"SecurityGroups\":",
        "\"NetworkInterfaces\":",
        "\"Groups\":",
        "\"Entries\":",
        "\"Resources\":",
        "\"Type\":\"AWS::EC2::SecurityGroup\"",
        "\"terraform_version\":\"1\"",
        "\"resources\":",
        "\"Fn::If\":",
        "\"NetworkAcls\":",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|w| w.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_sequence_of_words_is_trouble(text in pieces()) {
        let _ = Aws.detect(text.as_bytes());
        let f = read(&[&text]);
        for d in &f.diagnostics {
            let _ = f.locate(d.origin);
        }
    }

    #[test]
    fn no_mutation_of_a_dump_is_trouble(at in 0usize..400, with in any::<u8>(), delete in 0usize..30, which in 0usize..5) {
        let texts = [
            beside("[{\"IpProtocol\":\"tcp\",\"FromPort\":1,\"ToPort\":2,\"UserIdGroupPairs\":[{\"GroupId\":\"sg-1\"}],\"PrefixListIds\":[{\"PrefixListId\":\"pl-1\"}]}]"),
            r#"{"NetworkInterfaces":[{"NetworkInterfaceId":"eni-1","Groups":[{"GroupId":"sg-1"}],"PrivateIpAddress":"10.0.0.1","Ipv6Addresses":[{"Ipv6Address":"2001:db8::1"}]}]}"#.to_owned(),
            r#"{"NetworkAcls":[{"NetworkAclId":"acl-1","Associations":[{"SubnetId":"subnet-1"}],"Entries":[{"RuleNumber":1,"Egress":false,"Protocol":"6","RuleAction":"allow","CidrBlock":"10.0.0.0/8","PortRange":{"From":1,"To":2}}]}]}"#.to_owned(),
            r#"{"Resources":{"A":{"Type":"AWS::EC2::SecurityGroup","Properties":{"SecurityGroupIngress":[{"IpProtocol":"-1","CidrIp":{"Ref":"P"}}]}}}}"#.to_owned(),
            r#"{"version":4,"terraform_version":"1.9.5","resources":[{"mode":"managed","type":"aws_security_group","name":"w","instances":[{"attributes":{"id":"sg-1","ingress":[{"protocol":"tcp","from_port":1,"to_port":2,"cidr_blocks":["10.0.0.0/8"],"self":true}],"egress":[]}}]}]}"#.to_owned(),
        ];
        let mut bytes = texts[which].clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = with;
        let end = (at + delete).min(bytes.len());
        bytes.drain(at..end);
        let _ = Aws.detect(&bytes);
        let file = havenlint::source::SourceFile::new("x.json", bytes);
        let f = Aws.read(&[file], &Default::default());
        for d in &f.diagnostics {
            let _ = f.locate(d.origin);
        }
        let _ = verdict(&f, None, OPEN);
    }
}
