//! Infrastructure code: Terraform and CloudFormation mean the same as what they make.

use crate::common::{problems, read, verdict};
use havenlint::analysis::Verdict::{Accept, Drop, Undecided};
use havenlint::dialect::aws::Aws;
use havenlint::dialect::{Dialect, Role};

const SSH: &str = "ingress tcp 10.0.9.7:40000 > 10.1.0.5:22";
const WORLD: &str = "ingress tcp 203.0.113.7:40000 > 10.1.0.5:22";
const OUT: &str = "egress tcp 10.1.0.5:40000 > 203.0.113.7:443";
const OUT6: &str = "egress tcp [2001:db8::1]:40000 > [2001:db8::2]:443";

const STATE: &str = r#"{"version":4,"terraform_version":"1.9.5","serial":7,"lineage":"x","outputs":{},"resources":[
 {"mode":"managed","type":"aws_security_group","name":"web","provider":"provider[\"registry.terraform.io/hashicorp/aws\"]","instances":[
  {"schema_version":1,"attributes":{"id":"sg-1","name":"web","vpc_id":"vpc-1","egress":[],"ingress":[
    {"cidr_blocks":["10.0.9.0/24"],"description":"","from_port":22,"ipv6_cidr_blocks":[],"prefix_list_ids":[],"protocol":"tcp","security_groups":[],"self":false,"to_port":22},
    {"cidr_blocks":[],"description":"","from_port":0,"ipv6_cidr_blocks":[],"prefix_list_ids":[],"protocol":"-1","security_groups":[],"self":true,"to_port":0}]}}]},
 {"mode":"managed","type":"aws_security_group_rule","name":"out","instances":[{"attributes":{"type":"egress","security_group_id":"sg-1","protocol":"tcp",
   "from_port":443,"to_port":443,"cidr_blocks":["0.0.0.0/0"],"self":false}}]},
 {"mode":"managed","type":"aws_vpc_security_group_egress_rule","name":"out6","instances":[{"attributes":{"security_group_id":"sg-1","ip_protocol":"-1",
   "from_port":null,"to_port":null,"cidr_ipv4":null,"cidr_ipv6":"::/0","prefix_list_id":null,"referenced_security_group_id":null}}]},
 {"mode":"managed","type":"aws_instance","name":"peer","instances":[{"attributes":{"id":"i-1","private_ip":"10.1.0.8","ipv6_addresses":[],
   "vpc_security_group_ids":["sg-1"],"subnet_id":"subnet-1"}}]}]}"#;

#[test]
fn a_terraform_state() {
    assert_eq!(Aws.detect(STATE.as_bytes()), Some(Role::Rules));
    let f = read(&[STATE]);
    assert_eq!(problems(&f), Vec::<String>::new());
    let v = |p: &str| verdict(&f, Some(&["sg-1"]), p);
    assert_eq!((v(SSH), v(WORLD), v(OUT), v(OUT6)), (Accept, Drop, Accept, Accept));
    assert_eq!(v("ingress udp 10.1.0.8:1 > 10.1.0.5:9"), Accept, "self: members of the group itself");
    assert_eq!(
        v("egress tcp 10.1.0.5:1 > 203.0.113.7:80"),
        Drop,
        "Terraform takes the default egress rule away"
    );
}

const PLAN: &str = r#"{"format_version":"1.2","terraform_version":"1.9.5","planned_values":{"root_module":{"resources":[
  {"address":"aws_security_group.web","mode":"managed","type":"aws_security_group","name":"web","values":{"name":"web","description":"x","ingress":[
    {"cidr_blocks":["10.0.9.0/24"],"description":"","from_port":22,"ipv6_cidr_blocks":[],"prefix_list_ids":[],"protocol":"tcp","security_groups":[],"self":true,"to_port":22}]}},
  {"address":"aws_security_group_rule.more","mode":"managed","type":"aws_security_group_rule","name":"more","values":{"type":"ingress","protocol":"tcp",
    "from_port":80,"to_port":80,"cidr_blocks":["0.0.0.0/0"],"self":false}},
  {"address":"aws_security_group_rule.open","mode":"managed","type":"aws_security_group_rule","name":"open","values":{"type":"ingress","protocol":"tcp",
    "from_port":81,"to_port":81,"self":false}}]}},
 "resource_changes":[{"address":"aws_security_group.web","change":{"actions":["create"],"after_unknown":{"id":true,"egress":true,"ingress":[{"cidr_blocks":[false]}]}}},
  {"address":"aws_security_group_rule.more","change":{"actions":["create"],"after_unknown":{"id":true,"security_group_id":true}}},
  {"address":"aws_security_group_rule.open","change":{"actions":["create"],"after_unknown":{"security_group_id":true,"cidr_blocks":true}}}],
 "configuration":{"root_module":{"resources":[
  {"address":"aws_security_group.web","expressions":{"ingress":{},"name":{"constant_value":"web"}}},
  {"address":"aws_security_group_rule.more","expressions":{"security_group_id":{"references":["aws_security_group.web.id","aws_security_group.web"]}}},
  {"address":"aws_security_group_rule.open","expressions":{"security_group_id":{"references":["aws_security_group.web.id","aws_security_group.web"]}}}]}}}"#;

#[test]
fn a_terraform_plan() {
    assert_eq!(Aws.detect(PLAN.as_bytes()), Some(Role::Rules));
    let f = read(&[PLAN]);
    assert_eq!(problems(&f), Vec::<String>::new());
    let v = |p: &str| verdict(&f, Some(&["aws_security_group.web"]), p);
    assert_eq!((v(SSH), v(WORLD), v(OUT)), (Accept, Drop, Drop));
    assert_eq!(
        v("ingress tcp 203.0.113.7:1 > 10.1.0.5:80"),
        Accept,
        "the rule's group follows from the configuration"
    );
    assert_eq!(
        v("ingress tcp 203.0.113.7:1 > 10.1.0.5:81"),
        Undecided,
        "its prefix is known only after apply"
    );
    assert_eq!(v("ingress tcp 203.0.113.7:1 > 10.1.0.5:82"), Drop);
}

const TEMPLATE: &str = r#"{"AWSTemplateFormatVersion":"2010-09-09","Parameters":{"Office":{"Type":"String","Default":"10.0.9.0/24"}},"Resources":{
  "Edge":{"Type":"AWS::EC2::SecurityGroup","Properties":{"GroupDescription":"edge","SecurityGroupIngress":[
    {"IpProtocol":"tcp","FromPort":"443","ToPort":443,"CidrIp":"0.0.0.0/0"}]}},
  "Web":{"Type":"AWS::EC2::SecurityGroup","Properties":{"GroupDescription":"web","SecurityGroupIngress":[
    {"IpProtocol":"tcp","FromPort":22,"ToPort":22,"CidrIp":"10.0.9.0/24"},
    {"IpProtocol":"tcp","FromPort":23,"ToPort":23,"CidrIp":{"Ref":"Office"}},
    {"Fn::If":["IsTest",{"IpProtocol":"-1","CidrIp":"10.7.0.0/16"},{"Ref":"AWS::NoValue"}]},
    {"IpProtocol":"tcp","FromPort":80,"ToPort":80,"SourceSecurityGroupId":{"Fn::GetAtt":["Edge","GroupId"]}}],
    "SecurityGroupEgress":[{"IpProtocol":"tcp","FromPort":443,"ToPort":443,"CidrIp":"0.0.0.0/0"}]}},
  "More":{"Type":"AWS::EC2::SecurityGroupIngress","Properties":{"GroupId":{"Ref":"Web"},"IpProtocol":"-1","CidrIpv6":"2001:db8:9::/64"}}}}"#;

#[test]
fn a_cloudformation_template() {
    assert_eq!(Aws.detect(TEMPLATE.as_bytes()), Some(Role::Rules));
    let f = read(&[TEMPLATE]);
    assert_eq!(problems(&f), Vec::<String>::new());
    let v = |p: &str| verdict(&f, Some(&["Web"]), p);
    assert_eq!((v(SSH), v(WORLD), v(OUT), v(OUT6)), (Accept, Drop, Accept, Drop));
    assert_eq!(v("ingress tcp 10.0.9.7:1 > 10.1.0.5:23"), Undecided, "a parameter can be set otherwise");
    assert_eq!(v("ingress gre 10.7.0.1 > 10.1.0.5"), Undecided, "a condition");
    assert_eq!(v("ingress tcp 10.8.0.1:1 > 10.1.0.5:80"), Undecided, "where the other group is attached");
    assert_eq!(
        v("ingress tcp [2001:db8:9::1]:1 > [2001:db8::5]:9"),
        Accept,
        "a rule in a resource of its own"
    );
    let edge = |p: &str| verdict(&f, Some(&["Edge"]), p);
    assert_eq!((edge(OUT), edge(OUT6)), (Accept, Accept), "a fresh group lets everything out");
    let separate = TEMPLATE.replace(
        "SecurityGroupIngress\",\"Properties\":{\"GroupId\":{\"Ref\":\"Web\"}",
        "SecurityGroupEgress\",\"Properties\":{\"GroupId\":{\"Ref\":\"Edge\"}",
    );
    let f = read(&[&separate]);
    assert_eq!(verdict(&f, Some(&["Edge"]), OUT), Undecided, "it may have replaced the default");
}

#[test]
fn a_host_bit_in_a_template_is_masked() {
    let f = read(&[&TEMPLATE.replace("10.0.9.0/24\"},", "10.0.9.0/0\"},")]);
    assert_eq!(verdict(&f, Some(&["Web"]), WORLD), Accept);
    assert!(problems(&f)[0].contains("10.0.9.0/0 has host bits"), "{:?}", problems(&f));
}

#[test]
fn other_documents_are_not_taken() {
    for text in [
        "{}",
        "[]",
        "null",
        "{\"nftables\":[{\"metainfo\":{}}]}",
        r#"{"entries":[1,2]}"#,
        r#"{"Resources":{"a":{"Type":"AWS::S3::Bucket"}}}"#,
        r#"{"instances":[{"name":"x"}]}"#,
        r#"{"version":4,"terraform_version":"1","resources":[{"type":"azurerm_x","name":"y"}]}"#,
        r#"{"openapi":"3","securityGroups":["a"]}"#,
        "*filter\n:INPUT DROP\n",
        "",
    ] {
        assert_eq!(Aws.detect(text.as_bytes()), None, "{text}");
    }
}
