//! Waivers beside rules, in every dialect: those that cover a finding, and those that are over, cover none, or name no rule.

use crate::commands::{folder, json, run_in};
use serde_json::Value;
use std::path::Path;

const IPTABLES: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    # havenlint: allow HL-EXPOSED-SSH for the move owner=net-ops\n\
    -A INPUT -s 192.0.0.0/2 -p tcp -m tcp --dport 22 -j ACCEPT\n\
    -A INPUT -p tcp -m tcp --dport 3389 -m comment --comment \"havenlint:allow=HL-EXPOSED-RDP owner=x\" -j ACCEPT\n\
    -A INPUT -p tcp -m tcp --dport 80 -m comment --comment \"havenlint:allow=HL-EXPOSED-RDP\" -j ACCEPT\n\
    COMMIT\n";
const NFTABLES: &str = "table inet f {\n  chain input {\n    type filter hook input priority 0; policy drop;\n\
    # havenlint: allow HL-EXPOSED-SSH for the move owner=net-ops\n\
    tcp dport 22 accept\n\
    tcp dport 3389 accept comment \"havenlint:allow=HL-EXPOSED-RDP owner=x\"\n\
    tcp dport 80 accept comment \"havenlint:allow=HL-EXPOSED-RDP\"\n  }\n}\n";

/// A rule of nftables as JSON, with a comment that `nft -j` prints beside the rule's own text.
fn rule(handle: u32, port: u16, comment: &str) -> String {
    let payload = "\"left\":{\"payload\":{\"protocol\":\"tcp\",\"field\":\"dport\"}}";
    format!(
        "{{\"rule\":{{\"family\":\"inet\",\"table\":\"f\",\"chain\":\"input\",\"handle\":{handle},\n\"comment\":\"{comment}\",\n\"expr\":[{{\"match\":{{\"op\":\"==\",{payload},\"right\":{port}}}}},{{\"accept\":null}}]}}}}"
    )
}

fn nftables_json() -> String {
    format!(
        "{{\"nftables\":[{{\"metainfo\":{{\"json_schema_version\":1}}}},{{\"table\":{{\"family\":\"inet\",\"name\":\"f\"}}}},\
         {{\"chain\":{{\"family\":\"inet\",\"table\":\"f\",\"name\":\"input\",\"type\":\"filter\",\"hook\":\"input\",\"prio\":0,\"policy\":\"drop\"}}}},\n{},\n{},\n{}]}}",
        rule(2, 22, "havenlint:allow=HL-EXPOSED-SSH owner=net-ops"),
        rule(3, 3389, "havenlint:allow=HL-EXPOSED-RDP owner=x"),
        rule(4, 80, "havenlint:allow=HL-EXPOSED-RDP"),
    )
}

fn pfsense() -> String {
    let rule = |port: u16, descr: &str| {
        format!(
            "<rule><type>pass</type><interface>wan</interface><ipprotocol>inet</ipprotocol><protocol>tcp</protocol>\n<source><any/></source>\n\
             <destination><any/><port>{port}</port></destination>\n<descr>{descr}</descr></rule>\n"
        )
    };
    format!(
        "<?xml version=\"1.0\"?>\n<pfsense><version>22.9</version><interfaces>\
         <wan><enable/><if>em0</if><ipaddr>198.51.100.2</ipaddr><subnet>24</subnet><gateway>GW</gateway></wan>\
         <lan><enable/><if>em1</if><ipaddr>10.0.0.1</ipaddr><subnet>24</subnet></lan></interfaces>\
         <gateways><gateway_item><interface>wan</interface><gateway>198.51.100.1</gateway><name>GW</name></gateway_item></gateways>\
         <filter>{}{}{}</filter></pfsense>\n",
        rule(22, "havenlint:allow=HL-EXPOSED-SSH owner=net-ops"),
        rule(3389, "havenlint:allow=HL-EXPOSED-RDP owner=x"),
        rule(80, "havenlint:allow=HL-EXPOSED-RDP"),
    )
}

fn aws() -> String {
    let entry = |port: u16, text: &str| {
        format!(
            "{{\"IpProtocol\":\"tcp\",\"FromPort\":{port},\"ToPort\":{port},\n\"IpRanges\":[{{\n\"CidrIp\":\"0.0.0.0/0\",\n\"Description\":\"{text}\"}}]}}"
        )
    };
    format!(
        "{{\"SecurityGroups\":[{{\"GroupId\":\"sg-0123456789abcdef0\",\"GroupName\":\"web\",\"Description\":\"web\",\"VpcId\":\"vpc-1\",\n\
         \"IpPermissions\":[{},\n{},\n{}],\"IpPermissionsEgress\":[]}}]}}",
        entry(22, "havenlint:allow=HL-AWS-INTERNET-SSH owner=net-ops"),
        entry(3389, "havenlint:allow=HL-AWS-INTERNET-RDP owner=x"),
        entry(80, "havenlint:allow=HL-AWS-INTERNET-RDP"),
    )
}

/// What is said of a waiver: rule, message, line.
type About = (String, String, u64);

/// Rules and owners of what is waived, and what is said of waivers: rule and line.
fn told(dir: &Path, file: &str, args: &[&str]) -> (Vec<(String, String)>, Vec<About>) {
    let report = json(&run_in(dir, &[&["check", file, "--no-config", "--format", "json"], args].concat()));
    let list = |key: &str| report[key].as_array().unwrap().clone();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let mut waived: Vec<_> =
        list("waived").iter().map(|w| (text(&w["finding"]["rule"]), text(&w["owner"]))).collect();
    waived.sort();
    let about = list("findings").into_iter().filter(|f| text(&f["rule"]).starts_with("HL-WAIVER"));
    let about =
        about.map(|f| (text(&f["rule"]), text(&f["message"]), f["location"]["line"].as_u64().unwrap()));
    (waived, about.collect())
}

#[test]
fn in_every_dialect_those_that_match_nothing_are_told() {
    let (json, pfsense, aws) = (nftables_json(), pfsense(), aws());
    let of = |prefix: &str| {
        [(format!("{prefix}-RDP"), "x".to_owned()), (format!("{prefix}-SSH"), "net-ops".to_owned())]
    };
    for (name, text, prefix) in [
        ("a.rules", IPTABLES, "HL-EXPOSED"),
        ("a.nft", NFTABLES, "HL-EXPOSED"),
        ("a.json", &json, "HL-EXPOSED"),
        ("config.xml", &pfsense, "HL-EXPOSED"),
        ("groups.json", &aws, "HL-AWS-INTERNET"),
    ] {
        let dir = folder(&[(name, text.as_bytes())]);
        let (waived, about) = told(dir.path(), name, &[]);
        assert_eq!(waived, of(prefix), "{name}");
        let unused = text.lines().position(|l| {
            l.ends_with("RDP\" -j ACCEPT")
                || l.contains("-RDP\"\n")
                || l.contains("allow=") && !l.contains("owner=")
        });
        let line = unused.unwrap() as u64 + 1;
        let message = format!("the waiver of {prefix}-RDP matches no finding");
        assert_eq!(about, [("HL-WAIVER-UNUSED".to_owned(), message, line)], "{name}");
        // Who does not look for the rule cannot say that it finds nothing.
        let other = [&["--select", "HL-WAIVER", "--select", "HL-DUPLICATE"][..]].concat();
        assert_eq!(told(dir.path(), name, &other).1, [], "{name}");
    }
}

#[test]
fn what_names_no_rule_or_is_over_is_told() {
    let text = IPTABLES
        .replace("HL-EXPOSED-SSH for", "HL-EXPOSED-SSHH for")
        .replace("HL-EXPOSED-RDP owner=x", "HL-EXPOSED-RDP expires=2026-03-31")
        .replace("\"havenlint:allow=HL-EXPOSED-RDP\"", "\"havenlint:allow=\"");
    let dir = folder(&[("a.rules", text.as_bytes())]);
    let at = |day: &str| told(dir.path(), "a.rules", &["--date", day]);
    let names = |about: &[About]| -> Vec<(String, u64)> {
        about.iter().map(|(rule, _, line)| (rule.clone(), *line)).collect()
    };
    let unused = || vec![("HL-WAIVER-UNUSED".to_owned(), 5), ("HL-WAIVER-UNUSED".to_owned(), 8)];
    let (waived, about) = at("2026-03-31");
    assert_eq!(waived, [("HL-EXPOSED-RDP".to_owned(), String::new())]);
    assert_eq!(names(&about), unused());
    assert_eq!(about[0].1, "the waiver names `HL-EXPOSED-SSHH`, which is no rule");
    assert_eq!(about[1].1, "the waiver names no rule");
    let (waived, about) = at("2026-04-01");
    assert_eq!(waived, []);
    assert_eq!(names(&about), [vec![("HL-WAIVER-EXPIRED".to_owned(), 7)], unused()].concat());
    let r = run_in(dir.path(), &["check", "a.rules", "--no-config", "--date", "2026-03-31"]);
    assert!(r.out.contains("did you mean `HL-EXPOSED-SSH`?"), "{}", r.out);
}

#[test]
fn a_range_of_a_security_group_is_told_by_every_kind_that_it_opens() {
    let text = r#"{"SecurityGroups":[{"GroupId":"sg-0123456789abcdef0","GroupName":"web","Description":"web","VpcId":"vpc-1",
        "IpPermissions":[{"IpProtocol":"tcp","FromPort":20,"ToPort":30,"IpRanges":[{"CidrIp":"0.0.0.0/0","Description":"d"}]}],
        "IpPermissionsEgress":[]}]}"#;
    let dir = folder(&[("groups.json", text.as_bytes())]);
    let report = json(&run_in(dir.path(), &["check", "groups.json", "--no-config", "--format", "json"]));
    let errors: Vec<_> =
        report["findings"].as_array().unwrap().iter().filter(|f| f["level"] == "error").collect();
    let rules: Vec<_> = errors.iter().map(|f| f["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["HL-AWS-INTERNET-ADMIN", "HL-AWS-INTERNET-SSH"]);
}
