//! Templates of CloudFormation: constants, parameters, conditions, groups of elsewhere, YAML; and what else is read of the API.

use super::common::{problems, read, verdict};
use havenlint::analysis::Environment;
use havenlint::analysis::Verdict::{Accept, Drop, Undecided};
use havenlint::dialect::aws::Aws;
use havenlint::dialect::load::load;
use havenlint::dialect::{Dialect, ReadOptions, Role};
use havenlint::lint::registry::{Subject, run};
use havenlint::model::Firewall;
use havenlint::source::SourceFile;
use std::fs;

const WORLD: &str = "ingress tcp 203.0.113.9:4000 > 10.1.0.5:22";
const OFFICE: &str = "ingress tcp 10.0.9.7:4000 > 10.1.0.5:22";

/// Rule and message of each finding, one a line.
fn findings(f: &Firewall) -> String {
    let environment = Environment::default();
    let beside = [f];
    let mut findings = Vec::new();
    run(&Subject::new(f, &beside, &environment, "cloud"), &mut findings);
    findings.iter().map(|f| format!("{} {}\n", f.rule, f.message)).collect()
}

/// A template with a group `G` whose port 22 is open for what stands in place of the CIDR, and more sections.
fn template(cidr: &str, sections: &str) -> String {
    format!(
        r#"{{"Resources":{{"G":{{"Type":"AWS::EC2::SecurityGroup","Properties":{{"GroupDescription":"x",
        "SecurityGroupIngress":[{{"IpProtocol":"tcp","FromPort":22,"ToPort":22,"CidrIp":{cidr}}}]}}}}}}{sections}}}"#
    )
}

fn with_parameters(text: &str, parameters: &[(&str, &str)]) -> Firewall {
    let parameters = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Aws.read(&[SourceFile::new("t.json", text)], &ReadOptions { parameters, ..ReadOptions::default() })
}

#[test]
fn constants_are_evaluated() {
    let maps = r#","Mappings":{"Net":{"Ssh":{"Cidr":"0.0.0.0/0","Parts":["10.0.9.0","24"]}}}"#;
    for (cidr, world, office) in [
        (r#"{"Fn::FindInMap":["Net","Ssh","Cidr"]}"#, Accept, Accept),
        (r#"{"Fn::Join":["/",{"Fn::FindInMap":["Net","Ssh","Parts"]}]}"#, Drop, Accept),
        (r#"{"Fn::Join":["/",["0.0.0.0","0"]]}"#, Accept, Accept),
        (r#"{"Fn::Sub":"0.0.0.0/0"}"#, Accept, Accept),
        (
            r#"{"Fn::Sub":["${Net}/${Bits}",{"Net":"10.0.9.0","Bits":{"Fn::Select":[1,["8","24"]]}}]}"#,
            Drop,
            Accept,
        ),
        (r#"{"Fn::Select":["0",{"Fn::Split":[",","10.0.9.0/24,0.0.0.0/0"]}]}"#, Drop, Accept),
        (r#"{"Fn::Select":[9,{"Fn::Cidr":["10.0.0.0/16",12,8]}]}"#, Drop, Accept),
        (r#"{"Fn::Select":[1,{"Fn::Cidr":["0.0.0.0/0",2,31]}]}"#, Accept, Drop),
        (r#"{"Fn::Select":[1,{"Fn::Cidr":["10.0.9.0/24",2,9]}]}"#, Undecided, Undecided),
        (r#"{"Fn::Join":["",["10.0.9.0/2",{"Fn::Length":["a","b","c","d"]}]]}"#, Undecided, Undecided),
        (r#"{"Fn::FindInMap":["Net",{"Ref":"AWS::Region"},"Cidr"]}"#, Undecided, Undecided),
        (r#"{"Fn::FindInMap":["Net","None","Cidr"]}"#, Undecided, Undecided),
        (r#"{"Fn::ImportValue":"Office"}"#, Undecided, Undecided),
        (r#"{"Fn::Unheard":["0.0.0.0/0"]}"#, Undecided, Undecided),
        (r#"{"Fn::Sub":"${AWS::AccountId}/0"}"#, Undecided, Undecided),
        (r#"["0.0.0.0/0"]"#, Undecided, Undecided),
    ] {
        let f = read(&[&template(cidr, maps)]);
        let v = |p: &str| verdict(&f, Some(&["G"]), p);
        assert_eq!((v(WORLD), v(OFFICE)), (world, office), "{cidr}: {:?}", problems(&f));
        let said = findings(&f);
        let open = said.contains("HL-AWS-INTERNET-SSH");
        assert_eq!(open, world == Accept, "{cidr}: {said}");
        assert_eq!(said.contains("HL-AWS-INTERNET-UNDECIDED"), world == Undecided, "{cidr}: {said}");
    }
}

#[test]
fn defaults_of_parameters_are_judged_and_may_be_given() {
    let section = |kind: &str, default: &str| {
        format!(r#","Parameters":{{"Admin":{{"Type":"{kind}","Default":"{default}"}}}}"#)
    };
    let admin = r#"{"Ref":"Admin"}"#;
    let open = template(admin, &section("String", "0.0.0.0/0"));
    let f = read(&[&open]);
    assert_eq!(verdict(&f, Some(&["G"]), WORLD), Undecided, "a deployment may give another value");
    let said = findings(&f);
    let expected = "HL-AWS-INTERNET-SSH G, with the default 0.0.0.0/0 of the parameter Admin: the Internet can reach ssh (tcp/22) over IPv4";
    assert!(said.contains(expected) && !said.contains("can reach ssh (tcp/22) over IPv6"), "{said}");
    let f = with_parameters(&open, &[("Admin", "10.0.9.0/24")]);
    assert_eq!((verdict(&f, Some(&["G"]), WORLD), verdict(&f, Some(&["G"]), OFFICE)), (Drop, Accept));
    assert!(!findings(&f).contains("HL-AWS-INTERNET"), "{}", findings(&f));
    let closed = template(admin, &section("String", "10.0.9.0/24"));
    let f = read(&[&closed]);
    assert_eq!(verdict(&f, Some(&["G"]), WORLD), Undecided);
    assert!(
        !findings(&f).contains("HL-AWS-INTERNET-SSH") && findings(&f).contains("HL-AWS-INTERNET-UNDECIDED")
    );
    let f = with_parameters(&closed, &[("Admin", "0.0.0.0/0")]);
    assert!(findings(&f).contains("HL-AWS-INTERNET-SSH G: the Internet can"), "{}", findings(&f));
    // The default of such a parameter is a name, not the value.
    let f = read(&[&template(admin, &section("AWS::SSM::Parameter::Value<String>", "10.0.9.0/24"))]);
    assert_eq!(verdict(&f, Some(&["G"]), OFFICE), Undecided);
    let f = read(&[&template(
        r#"{"Fn::Select":[1,{"Ref":"Admin"}]}"#,
        &section("CommaDelimitedList", "10.0.9.0/24, 0.0.0.0/0"),
    )]);
    assert!(
        findings(&f).contains("with the default 10.0.9.0/24, 0.0.0.0/0 of the parameter Admin"),
        "{}",
        findings(&f)
    );
}

#[test]
fn conditions_are_evaluated() {
    let with = |condition: &str, default: &str| {
        template(
            r#"{"Fn::If":["C","0.0.0.0/0","10.0.9.0/24"]}"#,
            &format!(
                r#","Parameters":{{"Env":{{"Type":"String"{default}}}}},"Conditions":{{"C":{condition},"Loop":{{"Condition":"Loop"}},"Yes":{{"Fn::Equals":["a","a"]}}}}"#
            ),
        )
    };
    for (condition, default, world) in [
        (r#"{"Fn::Equals":["a","a"]}"#, "", Accept),
        (r#"{"Fn::Not":[{"Condition":"Yes"}]}"#, "", Drop),
        (r#"{"Fn::And":[{"Condition":"Yes"},{"Fn::Equals":["a","b"]}]}"#, "", Drop),
        (r#"{"Fn::Or":[{"Fn::Equals":[{"Ref":"Env"},"x"]},{"Condition":"Yes"}]}"#, "", Accept),
        (r#"{"Fn::And":[{"Fn::Equals":[{"Ref":"Env"},"x"]},{"Condition":"Yes"}]}"#, "", Undecided),
        (r#"{"Fn::Equals":[{"Ref":"Env"},"x"]}"#, r#","Default":"x""#, Undecided),
        (r#"{"Condition":"Loop"}"#, "", Undecided),
        (r#"{"Fn::Xor":[{"Condition":"Yes"},{"Condition":"Yes"}]}"#, "", Undecided),
    ] {
        let f = read(&[&with(condition, default)]);
        assert_eq!(verdict(&f, Some(&["G"]), WORLD), world, "{condition}");
        let by_default = findings(&f).contains("with the default x of the parameter Env");
        assert_eq!(by_default, !default.is_empty(), "{condition}: {}", findings(&f));
    }
    let rule = |condition: &str| {
        format!(
            r#"{{"Conditions":{{"No":{{"Fn::Equals":["a","b"]}}}},"Resources":{{"G":{{"Type":"AWS::EC2::SecurityGroup","Properties":{{"GroupDescription":"x"}}}},
            "R":{{"Type":"AWS::EC2::SecurityGroupIngress","Condition":"{condition}","Properties":{{"GroupId":{{"Ref":"G"}},"IpProtocol":"-1","CidrIp":"0.0.0.0/0"}}}}}}}}"#
        )
    };
    assert_eq!(verdict(&read(&[&rule("No")]), Some(&["G"]), WORLD), Drop);
    assert_eq!(verdict(&read(&[&rule("Unheard")]), Some(&["G"]), WORLD), Undecided);
}

fn rule_of(group: &str, parameters: &str) -> String {
    format!(
        r#"{{{parameters}"Resources":{{"Vpc":{{"Type":"AWS::EC2::VPC","Properties":{{"CidrBlock":"10.0.0.0/16"}}}},
        "In":{{"Type":"AWS::EC2::SecurityGroupIngress","Properties":{{"GroupId":{group},"IpProtocol":"tcp","FromPort":22,"ToPort":22,"CidrIp":"0.0.0.0/0"}}}}}}}}"#
    )
}

#[test]
fn a_rule_of_a_group_that_is_elsewhere_is_judged_by_what_it_opens() {
    for (group, name) in [
        (r#"{"Ref":"Given"}"#, "Given"),
        (r#"{"Fn::GetAtt":["Vpc","DefaultSecurityGroup"]}"#, "Vpc.DefaultSecurityGroup"),
        (r#"{"Fn::GetAtt":"Vpc.DefaultSecurityGroup"}"#, "Vpc.DefaultSecurityGroup"),
        (r#""sg-0123456789abcdef0""#, "sg-0123456789abcdef0"),
        (r#"{"Fn::ImportValue":"Edge"}"#, r#"{"Fn::ImportValue":"Edge"}"#),
    ] {
        let f = read(&[&rule_of(group, r#""Parameters":{"Given":{"Type":"AWS::EC2::SecurityGroup::Id"}},"#)]);
        assert!(
            findings(&f).contains(&format!("HL-AWS-INTERNET-SSH {name}: the Internet")),
            "{group}: {}",
            findings(&f)
        );
        assert_eq!(verdict(&f, Some(&[name]), WORLD), Accept);
        assert_eq!(verdict(&f, Some(&[name]), "ingress tcp 10.9.9.9:1 > 10.1.0.5:23"), Undecided, "{group}");
    }
}

/// A template with a loop over what stands in place of the list, and a group `G` of its own; `transform` is that of loops, or nothing.
fn looped(transform: &str, list: &str, parameters: &str) -> String {
    format!(
        r#"{{{transform}"Parameters":{{{parameters}}},"Resources":{{"G":{{"Type":"AWS::EC2::SecurityGroup","Properties":{{"GroupDescription":"x"}}}},
        "Fn::ForEach::Ports":["Port",{list},{{"In${{Port}}":{{"Type":"AWS::EC2::SecurityGroupIngress","Properties":{{"GroupId":{{"Ref":"G"}},
        "IpProtocol":"tcp","FromPort":{{"Ref":"Port"}},"ToPort":{{"Fn::Sub":"${{Port}}"}},"CidrIp":{{"Fn::Join":["",["10.${{Port}}.9.0","/",{{"Fn::Length":{list}}},"4"]]}}}}}}}}]}}}}"#
    )
}

#[test]
fn loops_over_constant_lists_are_run() {
    const EXTENDED: &str = r#""Transform":["AWS::LanguageExtensions"],"#;
    let parameter = r#""Open":{"Type":"CommaDelimitedList","Default":"22,80"}"#;
    let at = |f: &Firewall, peer: &str, port: &str| {
        verdict(f, Some(&["G"]), &format!("ingress tcp {peer}:4000 > 10.1.0.5:{port}"))
    };
    let f = read(&[&looped(EXTENDED, r#"["22","80"]"#, "")]);
    for (peer, port, expected) in [
        ("10.22.9.7", "22", Accept),
        ("10.80.9.7", "80", Accept),
        ("10.80.9.7", "22", Drop),
        ("10.22.9.7", "443", Drop),
    ] {
        assert_eq!(at(&f, peer, port), expected, "{peer} {port}: {:?}", problems(&f));
    }
    // What a default may be another time, and what needs the transform.
    for (text, parameters) in [
        (looped(EXTENDED, r#"{"Ref":"Open"}"#, parameter), &[][..]),
        (looped("", r#"["22","80"]"#, ""), &[]),
        (looped(EXTENDED, r#"{"Ref":"AWS::Region"}"#, ""), &[]),
    ] {
        let f = with_parameters(&text, parameters);
        assert_eq!(at(&f, "10.22.9.7", "22"), Undecided, "{text}");
        assert_eq!(at(&f, "10.22.9.7", "443"), Undecided, "{text}");
    }
    let f = with_parameters(&looped(EXTENDED, r#"{"Ref":"Open"}"#, parameter), &[("Open", "22, 8080")]);
    assert_eq!((at(&f, "10.22.9.7", "22"), at(&f, "10.80.9.7", "80")), (Accept, Drop));
}

#[test]
fn a_parameter_without_a_default_is_one_of_the_values_that_it_allows() {
    let sections =
        |values: &str| format!(r#","Parameters":{{"Office":{{"Type":"String","AllowedValues":{values}}}}}"#);
    let cidr = r#"{"Ref":"Office"}"#;
    let open = |values: &str, given: &[(&str, &str)]| {
        let f = with_parameters(&template(cidr, &sections(values)), given);
        (verdict(&f, Some(&["G"]), WORLD), verdict(&f, Some(&["G"]), OFFICE))
    };
    assert_eq!(open(r#"["10.0.9.0/24","192.168.0.0/16"]"#, &[]), (Drop, Undecided));
    assert_eq!(open(r#"["10.0.9.0/24","0.0.0.0/0"]"#, &[]), (Undecided, Undecided));
    assert_eq!(open(r#"["10.0.9.0/24","0.0.0.0/0"]"#, &[("Office", "10.0.9.0/24")]), (Drop, Accept));
    assert_eq!(open(r#"["10.0.9.0/24",{"Ref":"Other"}]"#, &[]), (Undecided, Undecided));
}

#[test]
fn what_depends_on_a_condition_and_is_private_lets_no_internet_in() {
    let undecided = |cidr: &str, sections: &str| {
        findings(&with_parameters(&template(cidr, sections), &[])).contains("HL-AWS-INTERNET-UNDECIDED")
    };
    let condition =
        r#","Parameters":{"E":{"Type":"String"}},"Conditions":{"O":{"Fn::Equals":[{"Ref":"E"},"dev"]}}"#;
    for (yes, no, open) in [
        ("192.168.0.0/16", "10.0.0.0/8", false),
        ("192.168.0.0/16", "0.0.0.0/0", true),
        ("203.0.113.0/24", "10.0.0.0/8", true),
        ("0.0.0.0/1", "10.0.0.0/8", true),
    ] {
        let cidr = format!(r#"{{"Fn::If":["O","{yes}","{no}"]}}"#);
        assert_eq!(undecided(&cidr, condition), open, "{cidr}");
    }
}

#[test]
fn a_nested_stack_is_named() {
    let stack = r#","S":{"Type":"AWS::CloudFormation::Stack","Properties":{"TemplateURL":"https://example.com/t.json"}}}}"#;
    let text = template(r#""10.0.0.0/8""#, "");
    let f = with_parameters(&format!("{}{stack}", text.strip_suffix("}}").unwrap()), &[]);
    let told: Vec<_> = f.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(told, ["the nested stack S is made by another template: its groups are not in this file"]);
    assert_eq!(verdict(&f, Some(&["G"]), WORLD), Drop);
}

#[test]
fn prefixes_of_a_network_may_be_those_of_members() {
    let group = r#"{"SecurityGroups":[{"GroupId":"sg-1","GroupName":"a","VpcId":"vpc-1","OwnerId":"111122223333","Description":"a",
        "IpPermissions":[{"IpProtocol":"tcp","FromPort":22,"ToPort":22,"UserIdGroupPairs":[{"GroupId":"sg-1"}]}],"IpPermissionsEgress":[]}]}"#;
    let network = r#"{"Vpcs":[{"VpcId":"vpc-1","CidrBlock":"10.1.0.0/16","State":"available","IsDefault":false,
        "CidrBlockAssociationSet":[{"AssociationId":"vpc-cidr-assoc-1","CidrBlock":"203.0.113.0/24","CidrBlockState":{"State":"associated"}}]}]}"#;
    let at = |f: &Firewall| verdict(f, Some(&["sg-1"]), WORLD);
    assert_eq!(at(&read(&[group])), Drop, "public addresses are no members of groups");
    let f = read(&[group, network]);
    assert_eq!((at(&f), problems(&f)), (Undecided, Vec::new()));
    let template = |vpc: &str| {
        format!(
            r#"{{"Resources":{{{vpc}"G":{{"Type":"AWS::EC2::SecurityGroup","Properties":{{"GroupDescription":"x"}}}},"I":{{"Type":"AWS::EC2::SecurityGroupIngress",
            "Properties":{{"GroupId":{{"Ref":"G"}},"IpProtocol":"tcp","FromPort":22,"ToPort":22,"SourceSecurityGroupId":{{"Ref":"G"}}}}}}}}}}"#
        )
    };
    let own = r#""V":{"Type":"AWS::EC2::VPC","Properties":{"CidrBlock":"203.0.113.0/24"}},"#;
    for (vpc, expected) in [("", Drop), (own, Undecided)] {
        assert_eq!(verdict(&read(&[&template(vpc)]), Some(&["G"]), WORLD), expected, "{vpc}");
    }
}

#[test]
fn what_makes_resources_unseen_is_said() {
    let loops = r#"{"Transform":"AWS::LanguageExtensions","Resources":{"Fn::ForEach::Ports":["Port",{"Ref":"AWS::Region"},{"In${Port}":
        {"Type":"AWS::EC2::SecurityGroupIngress","Properties":{"GroupId":{"Ref":"G"},"IpProtocol":"tcp","FromPort":{"Ref":"Port"},"ToPort":{"Ref":"Port"},"CidrIp":"0.0.0.0/0"}}}],
        "G":{"Type":"AWS::EC2::SecurityGroup","Properties":{"GroupDescription":"x","SecurityGroupIngress":[]}}}}"#;
    let group = r#""G":{"Type":"AWS::EC2::SecurityGroup","Properties":{"GroupDescription":"x","SecurityGroupIngress":[]}}"#;
    let with = |root: &str, resource: &str| {
        format!(r#"{{"AWSTemplateFormatVersion":"2010-09-09"{root},"Resources":{{{resource}{group}}}}}"#)
    };
    for (text, expected) in [
        (loops.to_owned(), Undecided),
        (with(r#","Transform":"OurMacro""#, ""), Undecided),
        (with(r#","Transform":["AWS::Serverless-2016-10-31"]"#, ""), Drop),
        (with(r#","Unheard":{"A":1}"#, ""), Undecided),
        (with("", r#""X":{"Type":"AWS::EC2::UnheardRule","Properties":{}},"#), Undecided),
        (with("", r#""X":{"Type":"Our::Own::Thing::MODULE"},"#), Undecided),
        (
            with(
                "",
                r#""X":{"Type":"AWS::S3::Bucket","Properties":{"A":{"B":1}}},"Y":{"Type":"Custom::Z"},"#,
            ),
            Drop,
        ),
        (with("", r#""Fn::Transform":{"Name":"AWS::Include"},"#), Undecided),
    ] {
        let f = read(&[&text]);
        assert_eq!(verdict(&f, Some(&["G"]), WORLD), expected, "{text}");
        let said = findings(&f).contains("HL-AWS-INTERNET-UNDECIDED");
        assert_eq!(
            (said, problems(&f).is_empty()),
            (expected == Undecided, expected == Drop),
            "{text}: {:?}",
            problems(&f)
        );
    }
}

const YAML: &str = "AWSTemplateFormatVersion: '2010-09-09'
Parameters:
  Office: {Type: String}
Resources:
  Web:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: Web servers
      VpcId: !Ref Vpc
      SecurityGroupIngress:
      - IpProtocol: tcp
        FromPort: '22'
        ToPort: 22
        CidrIp: !Join [/, [0.0.0.0, 0]]
      - {IpProtocol: tcp, FromPort: 443, ToPort: 443, SourceSecurityGroupId: !GetAtt Edge.GroupId}
      - &tests
        IpProtocol: udp
        FromPort: 53
        ToPort: 53
        CidrIp: !Sub '${Office}'
  Edge:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: Edge
      SecurityGroupIngress: [*tests]
";

#[test]
fn templates_in_yaml_are_read() {
    assert_eq!(Aws.detect(YAML.as_bytes()), Some(Role::Rules));
    let f = read(&[YAML]);
    assert_eq!(problems(&f), Vec::<String>::new());
    let web = |p: &str| verdict(&f, Some(&["Web"]), p);
    assert_eq!((web(WORLD), web("ingress tcp 10.8.0.1:1 > 10.1.0.5:443")), (Accept, Undecided));
    assert_eq!(web("ingress tcp 203.0.113.9:4 > 10.1.0.5:443"), Drop, "a group matches no public address");
    assert_eq!(web("ingress udp 203.0.113.9:4 > 10.1.0.5:53"), Undecided, "a parameter");
    assert_eq!(
        verdict(&f, Some(&["Edge"]), "ingress udp 203.0.113.9:4 > 10.1.0.5:53"),
        Undecided,
        "by an alias"
    );
    let decided = super::common::decider(&f, Some(&["Web"]), WORLD);
    assert_eq!(decided, (14, "CidrIp: !Join [/, [0.0.0.0, 0]]".to_owned()));
    let broken = YAML.replace("      - &tests\n        IpProtocol", "      - &tests\n\tIpProtocol");
    let f = read(&[&broken]);
    assert!(
        problems(&f)[0].starts_with("0.json:17:") && problems(&f)[0].contains("error: this is no YAML"),
        "{:?}",
        problems(&f)
    );
    assert_eq!(verdict(&f, Some(&["Web"]), "ingress tcp 203.0.113.9:4 > 10.1.0.5:443"), Undecided);
    let two = format!("{YAML}---\n{YAML}");
    let second = problems(&read(&[&two]));
    assert!(
        second.iter().any(|p| p.starts_with("0.json:27:") && p.contains("a second document")),
        "{second:?}"
    );
}

#[test]
fn yaml_of_the_command_line_is_read() {
    let text = "SecurityGroups:\n- Description: x\n  GroupId: sg-1\n  GroupName: x\n  IpPermissions:\n  - FromPort: 22\n    IpProtocol: tcp\n    IpRanges:\n    - CidrIp: 0.0.0.0/0\n    ToPort: 22\n  IpPermissionsEgress: []\n";
    assert_eq!(Aws.detect(text.as_bytes()), Some(Role::Rules));
    let f = read(&[text]);
    assert_eq!((verdict(&f, Some(&["sg-1"]), WORLD), problems(&f).len()), (Accept, 0));
    for other in [
        "apiVersion: v1\nkind: Service\n",
        "GroupId: 5\n",
        "# AWS::EC2:: in a comment\n*filter\nCOMMIT\n",
        "Resources:\n  A:\n    Type: AWS::S3::Bucket\n",
    ] {
        assert_eq!(Aws.detect(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn two_templates_are_two_worlds() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("a.json", &template("\"10.0.9.0/24\"", ""));
    write("b.template", &YAML.replace("Web", "G"));
    write("notes.txt", "nothing");
    let loaded = load(&[folder.path().to_owned()], &ReadOptions::default(), None);
    assert_eq!((loaded.firewalls.len(), loaded.unreadable.len()), (2, 0));
    let open = |f: &Firewall| findings(f).contains("HL-AWS-INTERNET-SSH G: the Internet can");
    let said: Vec<_> = loaded
        .firewalls
        .iter()
        .map(|f| (f.files.len(), open(f), findings(f).contains("described twice")))
        .collect();
    assert_eq!(said, [(1, false, false), (1, true, false)]);
}

const GROUP: &str = r#"{"GroupId":"sg-1","GroupName":"x","VpcId":"vpc-1","OwnerId":"111122223333","Description":"x","IpPermissions":[{"IpProtocol":"tcp","FromPort":22,"ToPort":22,"IpRanges":[{"CidrIp":"0.0.0.0/0"}]}],"IpPermissionsEgress":[]}"#;

#[test]
fn a_wrapper_around_an_answer_is_read() {
    for wrapped in [
        format!(r#"{{"eu-west-1":{{"SecurityGroups":[{GROUP}]}},"eu-north-1":{{"SecurityGroups":[]}}}}"#),
        format!(r#"{{"account":"111122223333","taken":5,"data":{{"SecurityGroups":[{GROUP}]}}}}"#),
        format!(r#"[{{"SecurityGroups":[{GROUP}]}}]"#),
        format!(r#"{{"groups":[{GROUP}]}}"#),
    ] {
        assert_eq!(Aws.detect(wrapped.as_bytes()), Some(Role::Rules), "{wrapped}");
        let f = read(&[&wrapped]);
        assert_eq!((verdict(&f, Some(&["sg-1"]), WORLD), problems(&f)), (Accept, vec![]), "{wrapped}");
    }
    let unknown = format!(r#"{{"SecurityGroups":[{GROUP}],"Overrides":[{{"GroupId":"sg-1"}}]}}"#);
    assert_eq!(verdict(&read(&[&unknown]), Some(&["sg-1"]), WORLD), Undecided);
}

#[test]
fn interfaces_of_a_cut_dump_prove_nothing() {
    let acl = r#"{"NetworkAcls":[{"NetworkAclId":"acl-1","IsDefault":false,"Associations":[{"NetworkAclId":"acl-1","SubnetId":"subnet-1"}],"Entries":[
        {"RuleNumber":100,"Egress":false,"Protocol":"6","RuleAction":"allow","CidrBlock":"0.0.0.0/0","PortRange":{"From":443,"To":443}},
        {"RuleNumber":32767,"Egress":false,"Protocol":"-1","RuleAction":"deny","CidrBlock":"0.0.0.0/0"}]}]}"#;
    let interfaces = |more: &str| {
        format!(
            r#"{{"NetworkInterfaces":[{{"NetworkInterfaceId":"eni-1","VpcId":"vpc-1","SubnetId":"subnet-1","Groups":[{{"GroupId":"sg-1"}}],"PrivateIpAddress":"10.0.0.10"}}]{more}}}"#
        )
    };
    let groups = format!(r#"{{"SecurityGroups":[{GROUP}]}}"#);
    let whole = findings(&read(&[&groups, acl, &interfaces("")]));
    assert!(!whole.contains("HL-AWS-INTERNET-SSH") && whole.contains("closes tcp/22"), "{whole}");
    let cut = findings(&read(&[&groups, acl, &interfaces(r#","NextToken":"eyJ2IjoiMiJ9""#)]));
    assert!(cut.contains("HL-AWS-INTERNET-SSH") && !cut.contains("closes tcp/22"), "{cut}");
}

#[test]
fn small_things_of_the_api() {
    let nulls = r#"{"SecurityGroups":[{"GroupId":"sg-1","Tags":null,"IpPermissions":[{"IpProtocol":"tcp","FromPort":22,"ToPort":22,"IpRanges":[{"CidrIp":"10.0.9.0/24","Description":null}],"Ipv6Ranges":null,"PrefixListIds":null,"UserIdGroupPairs":null}],"IpPermissionsEgress":null}],"NextToken":null}"#;
    let f = read(&[nulls]);
    assert_eq!(
        (verdict(&f, Some(&["sg-1"]), OFFICE), verdict(&f, Some(&["sg-1"]), WORLD), problems(&f)),
        (Accept, Drop, vec![])
    );
    assert_eq!(
        verdict(&f, Some(&["sg-1"]), "egress tcp 10.1.0.5:4 > 203.0.113.9:443"),
        Undecided,
        "as if it was not there"
    );
    let zeros = GROUP.replace("0.0.0.0/0", "010.20.1.0/24");
    let f = read(&[&zeros]);
    assert!(problems(&f)[0].contains("octal"), "{:?}", problems(&f));
    assert_eq!(verdict(&f, Some(&["sg-1"]), WORLD), Undecided);
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(format!("[{GROUP}]").encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let f = Aws.read(&[SourceFile::new("w.json", utf16)], &ReadOptions::default());
    assert_eq!((verdict(&f, Some(&["sg-1"]), WORLD), problems(&f)), (Accept, vec![]));
    // A stale reference reaches nothing, and nothing is said to be reached by it.
    let stale = r#"{"SecurityGroups":[{"GroupId":"sg-1","IpPermissions":[{"IpProtocol":"tcp","FromPort":443,"ToPort":443,"UserIdGroupPairs":[{"GroupId":"sg-2","VpcPeeringConnectionId":"pcx-1","PeeringStatus":"deleted"}]}],"IpPermissionsEgress":[]}]}"#;
    let said = findings(&read(&[stale]));
    assert!(said.contains("HL-AWS-STALE-REFERENCE") && !said.contains("reaches nothing"), "{said}");
    // A prefix list counts with as many entries as it may have.
    let listed = GROUP.replace(r#""IpRanges""#, r#""PrefixListIds":[{"PrefixListId":"pl-1"}],"IpRanges""#);
    let list = r#"{"PrefixLists":[{"PrefixListId":"pl-1","PrefixListName":"corp","MaxEntries":60,"AddressFamily":"IPv4","State":"create-complete","OwnerId":"111122223333"}]}"#;
    assert!(
        findings(&read(&[&format!("[{listed}]"), list]))
            .contains("HL-AWS-MANY-RULES sg-1 (x): 61 ingress rules")
    );
}
